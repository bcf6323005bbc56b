//! The door for people and scripts: everything that a console or a command asks or does goes through a
//! [`handle::Handle`]. It works on the database in the operator's own session; what only Salesforce can tell is asked of
//! whichever engine runs ([`crate::domain::request::Request`]), and nothing here knows how that one works.
//!
//! - `handle` is the door itself; `queries` what lists and views show; `export` the same into files; `events` what changed
//!   meanwhile; `preview` what of a row waits to be sent, as it would be sent.
//! - `row` what is done to one row, `mapping` what is done to mappings, `operations/` what is done to many rows.
//! - `ask` is the client's end of a request to the engine; `answers` what became of rows that somebody has just sent.

pub mod answers;
mod ask;
mod events;
pub mod export;
pub mod handle;
pub mod mapping;
pub mod operations;
mod preview;
pub mod queries;
pub mod row;
