//! What is counted on the way and stored now and then, so that no batch waits for a number.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, DurationRound, TimeDelta, Utc};

use crate::domain::run::{Kind, Run};
use crate::domain::trend::{Answers, Minute};
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
    minutes: BTreeMap<(String, DateTime<Utc>), Minute>,
    answers: BTreeMap<String, Answers>,
}

impl Tally {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds to counters.
    pub(super) fn add(&self, counters: &[(&'static str, i64)]) {
        let mut waiting = self.waiting();
        for (name, count) in counters {
            *waiting.counters.entry(name).or_default() += count;
        }
    }

    /// Notes that Salesforce accepted a write of this table just now.
    pub(super) fn written(&self, table: &str) {
        self.waiting().written.insert(table.to_owned());
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
            self.count(mapping, Minute { accepted, rejected: run.failed, ..Minute::at(run.began_at) });
            let answers = Answers::of(accepted, run.failed, run.began_at);
            self.waiting().answers.entry(mapping.to_owned()).or_default().join(answers);
            self.join(run);
        }
    }

    /// Notes records whose answer never came.
    pub(super) fn lost(&self, mapping: &str, lost: i64) {
        self.count(mapping, Minute { lost, ..Minute::at(Utc::now()) });
    }

    /// Notes rows that a read changed.
    pub(super) fn read(&self, mapping: &str, read: i64) {
        if read > 0 {
            self.count(mapping, Minute { read, ..Minute::at(Utc::now()) });
        }
    }

    fn count(&self, mapping: &str, counts: Minute) {
        let minute = counts.at.duration_trunc(TimeDelta::minutes(1)).unwrap_or(counts.at);
        let mut waiting = self.waiting();
        let of = waiting.minutes.entry((mapping.to_owned(), minute));
        of.or_insert_with(|| Minute::at(minute)).add(&counts);
    }

    fn join(&self, run: Run) {
        let mut waiting = self.waiting();
        match waiting.sends.get_mut(&run.mapping) {
            Some(before) => before.join(&run),
            None => {
                waiting.sends.insert(run.mapping.clone(), run);
            }
        }
    }

    /// Stores what waits; what cannot be stored waits on.
    pub(super) async fn store(&self, store: &Store) -> Result<(), Error> {
        let Waiting { counters, written, sends, minutes, answers } = std::mem::take(&mut *self.waiting());
        let counters: Vec<(&'static str, i64)> = counters.into_iter().collect();
        let minutes: Vec<(String, Minute)> =
            minutes.into_iter().map(|((mapping, _), minute)| (mapping, minute)).collect();
        if let Err(error) = store.add(&counters, &minutes).await {
            self.add(&counters);
            minutes.into_iter().for_each(|(mapping, minute)| self.count(&mapping, minute));
            written.iter().for_each(|table| self.written(table));
            sends.into_values().for_each(|run| self.join(run));
            let mut waiting = self.waiting();
            for (mapping, before) in answers {
                // What came meanwhile is later.
                let since = waiting.answers.remove(&mapping).unwrap_or_default();
                waiting.answers.entry(mapping).or_insert(before).join(since);
            }
            return Err(error);
        }
        for run in sends.into_values() {
            store.keep_run(&run).await?;
        }
        for (mapping, answers) in answers {
            store.note_answers(&mapping, &answers).await?;
        }
        for table in written {
            store.note_write(&table).await?;
        }
        Ok(())
    }
}
