//! The org in a box: a Salesforce org over real HTTP on loopback, for the demo and the tests. OAuth, describe, SOQL,
//! rows, sObject Collections, Bulk API 2.0 and the one before it, deletes, change events and limits, with the codes, messages and shapes of the real thing; field types,
//! validation and duplicate rules, an Apex trigger; faults on demand; and a journal of every accepted write, so that
//! a test can prove what arrived, how often and in which order.
//!
//! It shares no code with `salesforce`, the client: a bug in both must not cancel out. Nothing in here knows the
//! engine or PostgreSQL. State is in memory.

mod administrator;
mod bulk;
mod call;
mod checks;
mod collections;
mod composite;
mod cursors;
mod faults;
mod fields;
mod hold;
mod ids;
mod index;
mod journal;
mod oauth;
mod org;
mod own;
mod parts;
mod queries;
mod records;
mod rejection;
mod response;
mod routes;
mod rows;
mod rules;
mod save;
mod schema;
mod search;
pub mod seed;
mod server;
mod soap;
mod soql;
mod streaming;
mod tables;
mod transaction;
mod undo;
mod users;
mod values;
mod xml;

pub use administrator::Order;
pub use faults::{CannedAnswer, FaultCounts, Faults, Refusal};
pub use journal::JournalEntry;
pub use oauth::check_public_key;
pub use org::{Org, OrgOptions};
pub use rules::{DuplicateAction, DuplicateRule, Trigger, TriggerAction, TriggerEvent, ValidationRule};
pub use server::serve;
