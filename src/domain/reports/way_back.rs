//! What it is to take a takeover back.

use serde::Serialize;

/// What is put back, what is removed, and what stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WayBack {
    /// When the schema was taken over, first.
    pub adopted_at: String,
    /// By which role.
    pub adopted_by: String,
    /// Triggers and functions that become what they were.
    pub restored: Vec<String>,
    /// Triggers, functions and indexes of ours that go.
    pub removed: Vec<String>,
    /// Of what a takeover added, what stays.
    pub kept: Vec<String>,
    /// Changes that are not sent, and become NEW again.
    pub unsent: i64,
    /// Changes that failed, or whose outcome is not known, and are FAILED.
    pub failed: i64,
    /// Fields that changed on both sides and wait for a decision; the row's value stays.
    pub conflicts: i64,
    /// Rules that were set at run time, and stay noted: `Contact.strategy`.
    pub settings: Vec<String>,
}
