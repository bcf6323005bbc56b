//! What the words of the product mean: record and row, field, mapping, change, unit, sync error, the catalogue
//! of causes and remedies, the filter language, back-off. Values and functions of values only: no tokio, no SQL,
//! no HTTP, no terminal comes in here, and nothing here knows any other folder of the crate.

pub mod act;
pub mod address;
pub mod backoff;
pub mod catalogue;
pub mod check;
pub mod condition;
pub mod dispatch;
pub mod dry_run;
pub mod duration;
pub mod explain;
pub mod field;
pub mod filter;
pub mod fold;
pub mod group;
pub mod hstore;
pub mod key;
pub mod lost;
pub mod mapping;
pub mod masking;
pub mod merge;
pub mod names;
pub mod nearest;
pub mod number;
pub mod offer;
pub mod outgoing;
pub mod overview;
pub mod pending;
mod phone;
pub mod record;
pub mod remedy;
pub mod request;
pub mod rules;
pub mod run;
pub mod size;
pub mod sort;
pub mod strategy;
pub mod sync_error;
pub mod transform;
pub mod trend;
pub mod unit;
pub mod verify;
