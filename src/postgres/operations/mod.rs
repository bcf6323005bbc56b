//! What operators do: edits, links, reverts, rules, requests to the engine; the audit, and the way back.

pub mod answers;
pub mod audit;
pub mod causes;
pub mod commands;
pub mod edit;
pub mod link;
pub(super) mod merge;
mod removed;
pub mod revert;
pub mod settings;
pub mod undo;
