//! Changes on their way to Salesforce: the life of a unit, one operation out of many changes, what is sent, what an answer or none makes of it.

pub mod coalesce;
pub mod dispatch;
pub mod dry_run;
pub mod lost;
pub mod merge;
pub mod outgoing;
pub mod pending;
pub mod unit;
pub mod write_job;
