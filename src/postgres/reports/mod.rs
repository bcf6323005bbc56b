//! What engines tell: how they and the mappings stand, runs, trends, health, the log, alerts,
//! comparisons.

pub mod alert_lists;
pub mod alert_look;
pub mod alerts;
pub mod deliveries;
pub mod health;
pub mod log_store;
pub(super) mod overview;
pub(super) mod runs;
pub mod status;
pub(super) mod trends;
pub mod verified;
