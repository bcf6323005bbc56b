//! Sync errors: kept, listed, filtered, found.

pub mod causes;
pub(super) mod condition;
pub(super) mod facets;
pub(super) mod failing;
pub(super) mod find;
pub mod findings;
pub mod group_hours;
pub mod listing;
pub mod regroup;
pub(super) mod sooner;
pub mod sync_errors;
