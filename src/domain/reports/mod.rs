//! How things stand, and what happened.

pub mod budget;
pub mod forecast;
pub mod overview;
pub mod run;
pub mod setup_plan;
pub mod trend;
pub mod way_back;
