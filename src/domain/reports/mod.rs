//! How things stand, and what happened.

pub mod budget;
pub mod daily_limit;
pub mod forecast;
pub mod overview;
pub mod rebind;
pub mod run;
pub mod setup_plan;
pub mod trend;
pub mod way_back;
