//! What a dry run came to: rows as they would be sent, and what Salesforce said of them before it took them back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::names::RowId;

/// What allOrNone does not take back.
pub const NOT_TAKEN_BACK: &str = "What Salesforce does not take back: numbers of auto-number fields stay used, platform \
     events that are published immediately are out, and so is what a trigger did outside of the org or asynchronously.";

/// What became of one row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DryRunRow {
    /// Which row.
    pub row: RowId,
    /// Its record, where it has one.
    pub sfid: Option<String>,
    /// `insert` or `update`.
    pub op: String,
    /// Whether it would go through, as far as was tried.
    pub passes: bool,
    /// Who refused it: `check` here, or `salesforce`.
    pub refused_by: Option<String>,
    /// Code.
    pub code: Option<String>,
    /// Message.
    pub message: Option<String>,
    /// API names of the fields at fault.
    pub fields: Vec<String>,
    /// What is sent, after the mapping's rules.
    pub sent: BTreeMap<String, Option<String>>,
    /// Fields that stay behind, and why.
    pub left_out: BTreeMap<String, String>,
}

/// What a trial came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DryRun {
    /// The mapping's object name.
    pub mapping: String,
    /// Whether Salesforce was asked, or only the checks here.
    pub offline: bool,
    /// How many rows were tried.
    pub rows: usize,
    /// How many would go through.
    pub passed: usize,
    /// What became of each.
    pub items: Vec<DryRunRow>,
}
