//! The client for people and scripts: everything that a console or a command asks or does goes through an
//! [`api::Client`]. It works on the database in the operator's own session; what only Salesforce can tell is asked of
//! whichever engine runs ([`crate::domain::operations::request::Request`]), and nothing here knows how that one works.
//!
//! - `api` is the client itself, `error` why it did not do what was asked; `queries` what lists and views show,
//!   `summaries` what their lines say; `groups` what a list of causes tells besides; `export` the same into files; `events` what changed
//!   meanwhile; `preview` what of a row waits to be sent, as it would be sent; `health` how well it goes.
//! - `row` what is done to one row, `mapping` what is done to mappings, `about` what is told of one, `operations/` what is done to many rows.
//! - `attached` answers the same questions on a database that Heroku Connect keeps, and says of the others why not;
//!   `heroku` is what only Heroku Connect's own API tells and does there.
//! - `setup` is what a configuration makes of the database: a plan, a takeover, the way back.
//! - `ask` is the client's end of a request to the engine; `answers` waits for what becomes of rows that somebody has just
//!   sent, `tally` looks what became of them so far.

pub mod about;
pub mod alerts;
pub mod answers;
pub mod api;
mod ask;
pub mod attached;
pub mod causes;
mod error;
mod events;
pub mod export;
pub mod groups;
pub mod health;
pub mod heroku;
pub mod mapping;
pub mod operations;
mod preview;
pub mod queries;
pub mod row;
pub mod setup;
mod summaries;
pub mod tally;
