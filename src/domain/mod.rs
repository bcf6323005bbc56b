//! What the words of the product mean. Values and functions of values only: no tokio, no SQL, no HTTP, no terminal comes in
//! here, and nothing here knows any other folder of the crate.
//!
//! - [`names`] are what things are called on either side, [`state`] how they stand.
//! - [`values`] and how they are written; [`mappings`] with their rules; [`condition`], the language of the rule `where`.
//! - [`changes`] on their way to Salesforce; [`records`], a row beside its record; [`errors`], their causes and remedies.
//! - [`attached`], what a database of Heroku Connect's tells of its errors.
//! - [`operations`] that people do; [`reports`] of what happened; [`health`], figures of a year; [`alert`], whom to tell and
//!   when.

pub mod alert;
pub mod attached;
pub mod changes;
pub mod condition;
pub mod errors;
pub mod health;
pub mod mappings;
pub mod names;
pub mod operations;
pub mod records;
pub mod reports;
pub mod state;
pub mod values;
