//! What is asked for of a row, and the row as it stands then.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::domain::attached::history::RowState;
use crate::domain::attached::mode::WriteMode;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::RowRef;
use crate::domain::records::record::FieldEdit;
use crate::domain::values::hstore::Hstore;

/// What is done to a row.
#[derive(Clone, Debug)]
pub struct Mend<'a> {
    /// Its mapping.
    pub mapping: &'a Mapping,
    /// Which row.
    pub at: &'a RowRef,
    /// Fields that change, compared with what was shown.
    pub fields: &'a [FieldEdit],
    /// Whether what failed is sent again.
    pub retry: bool,
    /// The error that it is done about, by its entry and when that was seen last; compared where it is given.
    pub seen: Option<(Option<i64>, DateTime<Utc>)>,
    /// How Heroku Connect writes.
    pub mode: WriteMode,
    /// Whether the archive is there to read.
    pub archive: bool,
}

/// A row as it is locked.
pub(super) struct LockedRow {
    pub(super) json: Value,
    pub(super) state: RowState,
    /// The values as the log writes them; empty without the extension hstore.
    pub(super) values: Hstore,
}
