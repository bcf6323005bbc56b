//! From Salesforce into the rows: a task for each mapping (`reader`) loads it first (`load`) and then polls. What was read
//! goes into the rows (`apply`); what PostgreSQL refuses of it is kept and tried again (`refused`), and what it cannot hold
//! is replaced and told (`replaced`).

mod apply;
mod load;
pub(super) mod reader;
mod refused;
pub(super) mod replaced;
