//! Changes on their way to Salesforce: taken in, claimed, acknowledged, told to their rows; what waits, for what, and why.

pub mod acknowledge;
pub mod candidates;
mod contents;
pub mod custody;
pub mod given_up;
pub mod keys;
pub(super) mod locks;
pub mod outcomes;
pub(super) mod pause;
pub(super) mod pending;
pub mod queue;
pub mod write_jobs;
pub mod writeback;
