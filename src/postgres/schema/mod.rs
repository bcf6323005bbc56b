//! What is laid out: our tables and Heroku Connect's, triggers and functions, indexes; what is taken over, and whether it is still there.

pub mod at_work;
pub(super) mod capture;
pub(super) mod indexes;
pub mod install;
mod large;
mod lookups;
pub mod rebind;
mod rebind_guard;
mod setup_plan;
pub(super) mod step;
pub mod table_check;
pub(super) mod table_steps;
pub(super) mod takeover;
pub mod way_back;
