//! Sync errors: the catalogue of causes and remedies, the filter language, groups, the order of lists.

pub mod catalogue;
pub mod cause;
pub mod explain;
pub mod filter;
pub mod group;
pub mod group_hours;
pub mod grouping;
pub mod remedy;
pub mod sort;
pub mod suggested_fix;
pub mod summary;
pub mod sync_error;
