//! A database that Heroku Connect syncs, as it is seen from beside it: its change log, and what the entries of a row
//! come to together; and what Heroku Connect's own API tells ([`told`], [`refused`]).

pub mod history;
pub mod mode;
pub mod refused;
pub mod select;
pub mod told;
