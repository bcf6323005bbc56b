//! The client beside Heroku Connect: the same questions and answers on a database that it keeps, with the rights of an
//! application, and nothing of ours installed. What only an installation can tell or do is refused with the reason.
//!
//! - `session` is the connection and the picture that it holds of all errors, taken by `picture`.
//! - `heroku` is what Heroku Connect's own API tells beside the database, `operations` what it is told to do.
//! - `answers` are lists, counts and how things stand, `record` one row, `mend` what is done to it, `events` what changed.

mod answers;
pub mod events;
pub mod heroku;
mod mend;
mod operations;
mod picture;
mod record;
pub mod session;
