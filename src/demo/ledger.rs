//! The application's own ledger: what it committed, in which order, per key. The judge believes nothing else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use serde_json::Value;

/// One row's commits.
#[derive(Clone, Debug, Default)]
pub(super) struct Commits {
    /// Salesforce object.
    pub(super) object: String,
    /// Table.
    pub(super) table: String,
    /// The row's id.
    pub(super) row: i32,
    /// Whether the application made the row.
    pub(super) inserted: bool,
    /// Every value committed to each field (API name), in order, with its time.
    pub(super) fields: BTreeMap<String, Vec<(DateTime<Utc>, Value)>>,
    /// Whether the row was deleted in the end.
    pub(super) deleted: bool,
}

impl Commits {
    /// Notes a value committed now.
    pub(super) fn value(&mut self, field: &str, value: Value) {
        self.fields.entry(field.to_owned()).or_default().push((Utc::now(), value));
    }
}

/// The ledger, shared by the writers.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    keys: Arc<Mutex<BTreeMap<String, Commits>>>,
}

impl Ledger {
    /// Notes a commit after it happened. `write` changes the key's entry.
    pub(super) fn note(&self, key: &str, write: impl FnOnce(&mut Commits)) {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        write(keys.entry(key.to_owned()).or_default());
    }

    /// Everything noted.
    pub(super) fn all(&self) -> BTreeMap<String, Commits> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
