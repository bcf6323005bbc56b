//! What is counted on the way and stored now and then, so that no batch waits for a number.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use crate::domain::run::{Kind, Run};
use crate::postgres::{Error, Store};

/// Counts and marks that are not stored yet.
#[derive(Default)]
pub(super) struct Tally {
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    counters: BTreeMap<&'static str, i64>,
    written: BTreeSet<String>,
    sends: BTreeMap<String, Run>,
}

impl Tally {
    /// Adds to counters.
    pub(super) fn add(&self, counters: &[(&'static str, i64)]) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, count) in counters {
            *waiting.counters.entry(name).or_default() += count;
        }
    }

    /// Notes that Salesforce accepted a write of this table just now.
    pub(super) fn written(&self, table: &str) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.written.insert(table.to_owned());
    }

    /// Notes what became of a call's records.
    pub(super) fn sent(&self, mapping: &str, accepted: i64, codes: impl IntoIterator<Item = String>) {
        let mut run = Run::begin(mapping, Kind::Send);
        for code in codes {
            *run.codes.entry(code).or_default() += 1;
            run.failed += 1;
        }
        (run.records, run.changed) = (accepted + run.failed, accepted);
        // Units that are only held were not sent.
        if run.records > 0 {
            self.join(run);
        }
    }

    fn join(&self, run: Run) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        match waiting.sends.get_mut(&run.mapping) {
            Some(before) => before.join(&run),
            None => {
                waiting.sends.insert(run.mapping.clone(), run);
            }
        }
    }

    /// Stores what waits; what cannot be stored waits on.
    pub(super) async fn store(&self, store: &Store) -> Result<(), Error> {
        let Waiting { counters, written, sends } =
            std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        let counters: Vec<(&'static str, i64)> = counters.into_iter().collect();
        if let Err(error) = store.add(&counters).await {
            self.add(&counters);
            written.iter().for_each(|table| self.written(table));
            sends.into_values().for_each(|run| self.join(run));
            return Err(error);
        }
        for run in sends.into_values() {
            store.keep_run(&run).await?;
        }
        for table in written {
            store.note_write(&table).await?;
        }
        Ok(())
    }
}
