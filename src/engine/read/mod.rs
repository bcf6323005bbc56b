//! From Salesforce into the rows: a task for each mapping (`reader`) loads it first (`load`, `loading`; of many records by a `job` of
//! Bulk API 2.0, whose pages come `ahead` and go in by `copy`) and then polls (`changes`); where change events are asked for, one
//! engine listens to them (`events`), and leaves out what only echoes our own changes (`echo`). All ask by `fetch`. What was read goes
//! into the rows (`apply`); what PostgreSQL refuses of it is kept and tried again (`refused`), what it cannot hold is replaced and
//! told (`replaced`), and rows that a whole read did not meet go (`gone`).

mod ahead;
mod apply;
mod changes;
mod copy;
mod echo;
pub(super) mod events;
pub(super) mod fetch;
mod gone;
mod job;
mod load;
mod loading;
pub(super) mod reader;
mod refused;
pub(super) mod replaced;
