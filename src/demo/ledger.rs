//! The application's own ledger: what it committed, in which order, per key. The judge believes nothing else. Each
//! key has one writer at a time, so that the order of its notes is the order of its commits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use serde_json::Value;

/// One row's commits.
#[derive(Clone, Debug, Default)]
pub struct Commits {
    /// Salesforce object.
    pub object: String,
    /// Table.
    pub table: String,
    /// The row's id.
    pub row: i32,
    /// Whether the application made the row.
    pub inserted: bool,
    /// Every value committed to each field (API name), in order, with its time.
    pub fields: BTreeMap<String, Vec<(DateTime<Utc>, Value)>>,
    /// The times of those that operators committed: what they took over from the org was not sent.
    pub by_operators: BTreeSet<DateTime<Utc>>,
    /// Whether the row was deleted in the end.
    pub deleted: bool,
    /// How often it was deleted; after each, its key may come again.
    pub deletes: usize,
}

impl Commits {
    /// Notes a delete.
    pub fn delete(&mut self) {
        self.deleted = true;
        self.deletes += 1;
    }

    /// Notes a value committed now.
    pub fn value(&mut self, field: &str, value: Value) {
        self.fields.entry(field.to_owned()).or_default().push((Utc::now(), value));
    }
}

/// The ledger, shared by the writers.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    keys: Arc<Mutex<BTreeMap<String, Commits>>>,
}

impl Ledger {
    /// Notes a commit after it happened. `write` changes the key's entry.
    pub fn note(&self, key: &str, write: impl FnOnce(&mut Commits)) {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        write(keys.entry(key.to_owned()).or_default());
    }

    /// Everything noted.
    pub fn all(&self) -> BTreeMap<String, Commits> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
