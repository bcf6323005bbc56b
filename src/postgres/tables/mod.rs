//! The users' tables: what was read into them, what they hold, what their database refuses, and how they differ from Salesforce.

pub mod change_events;
pub mod conflicts;
pub mod copy;
pub mod copy_format;
mod deletes;
pub(super) mod duplicates;
mod life;
pub mod load;
pub(super) mod masked;
pub mod named;
pub mod obstacle;
pub mod records;
pub mod refused;
pub(super) mod relatives;
pub(super) mod reread;
pub(super) mod row_condition;
pub mod rows;
pub mod uncaptured;
pub mod verify;
