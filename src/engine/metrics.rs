//! What is counted on the way and stored now and then, so that no batch waits for a number.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};

use crate::domain::health::histogram::Histogram;
use crate::domain::health::history::{Cell, Counts, Times};
use crate::domain::reports::run::{Run, RunKind};
use crate::domain::reports::trend::{Answers, Minute};
use crate::postgres::{Error, Store};

/// Counts and marks that are not stored yet.
#[derive(Default)]
pub(super) struct EngineMetrics {
    waiting: Mutex<Waiting>,
    /// Everything since this engine began, by mapping.
    totals: Mutex<BTreeMap<String, Total>>,
}

/// What an engine counted of a mapping since it began.
#[derive(Clone, Debug, Default)]
pub(super) struct Total {
    pub(super) counts: Counts,
    pub(super) waited: Measured,
    pub(super) requests: Measured,
    pub(super) reads: Measured,
    pub(super) read_lag: Measured,
}

/// Lengths of time, and what they come to together.
#[derive(Clone, Debug, Default)]
pub(super) struct Measured {
    pub(super) histogram: Histogram,
    pub(super) seconds: f64,
}

impl Measured {
    fn add(&mut self, took: Duration) {
        self.histogram.add(took, 1);
        self.seconds += took.as_secs_f64();
    }
}

#[derive(Default)]
struct Waiting {
    counters: BTreeMap<&'static str, i64>,
    written: BTreeSet<String>,
    sends: BTreeMap<String, Run>,
    minutes: BTreeMap<(String, DateTime<Utc>), Minute>,
    answers: BTreeMap<String, Answers>,
    hours: BTreeMap<(String, DateTime<Utc>), Cell>,
}

impl EngineMetrics {
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
        let mut run = Run::begin(mapping, RunKind::Send);
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

    /// Notes how long changes waited that Salesforce took.
    pub(super) fn waited(&self, mapping: &str, waited: &[Duration]) {
        self.measure(mapping, waited, |times| &mut times.waited, |total| &mut total.waited);
    }

    /// Notes how long a request that writes records took.
    pub(super) fn requested(&self, mapping: &str, took: Duration) {
        self.measure(mapping, &[took], |times| &mut times.requests, |total| &mut total.requests);
    }

    /// Notes how long a request that reads records took.
    pub(super) fn asked(&self, mapping: &str, took: Duration) {
        self.measure(mapping, &[took], |times| &mut times.reads, |total| &mut total.reads);
    }

    /// Notes how old records were when they were read.
    pub(super) fn lagged(&self, mapping: &str, lags: &[Duration]) {
        self.measure(mapping, lags, |times| &mut times.read_lag, |total| &mut total.read_lag);
    }

    fn measure(
        &self,
        mapping: &str,
        measured: &[Duration],
        of_hour: fn(&mut Times) -> &mut Histogram,
        of_total: fn(&mut Total) -> &mut Measured,
    ) {
        if measured.is_empty() {
            return;
        }
        let mut cell = Cell::of(mapping, Utc::now());
        measured.iter().for_each(|took| of_hour(&mut cell.times).add(*took, 1));
        self.add_hour(cell);
        let mut totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        let total = of_total(totals.entry(mapping.to_owned()).or_default());
        measured.iter().for_each(|took| total.add(*took));
    }

    /// Everything since this engine began, by mapping.
    pub(super) fn totals(&self) -> BTreeMap<String, Total> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn add_hour(&self, cell: Cell) {
        match self.waiting().hours.entry((cell.mapping.clone(), cell.at)) {
            Entry::Occupied(mut sum) => sum.get_mut().add(&cell),
            Entry::Vacant(place) => drop(place.insert(cell)),
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
        let Minute { accepted, rejected, lost, read, .. } = counts;
        let mut cell = Cell::of(mapping, counts.at);
        cell.counts = Counts { accepted, rejected, lost, read, ..Counts::default() };
        let mut totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        totals.entry(mapping.to_owned()).or_default().counts.add(cell.counts);
        drop(totals);
        self.add_hour(cell);
        self.add_minute(mapping, counts);
    }

    fn add_minute(&self, mapping: &str, counts: Minute) {
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
        let Waiting { counters, written, sends, minutes, answers, hours } =
            std::mem::take(&mut *self.waiting());
        let hours: Vec<Cell> = hours.into_values().collect();
        let counters: Vec<(&'static str, i64)> = counters.into_iter().collect();
        let minutes: Vec<(String, Minute)> =
            minutes.into_iter().map(|((mapping, _), minute)| (mapping, minute)).collect();
        if let Err(error) = store.add(&counters, &minutes, &hours).await {
            self.add(&counters);
            minutes.into_iter().for_each(|(mapping, minute)| self.add_minute(&mapping, minute));
            hours.into_iter().for_each(|cell| self.add_hour(cell));
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
