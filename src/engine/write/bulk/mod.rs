//! Writes by ingest jobs of Bulk API 2.0: where many changes of one kind are ready, Salesforce takes thousands of them in a
//! handful of calls and works on them by itself.
//!
//! ```text
//!    begin    claim, coalesce, keep the job, make it, upload (sheet), close it      the writer, within its turn
//!    follow   is it over? take its results, or end it                               a part of its own
//!    results  match rows with units by their keys, acknowledge them in slices
//! ```
//!
//! Only what is safe to send again goes by a job: upserts by external id, updates and deletes by Id. While a job is kept
//! (`syncdeck.write_job`), its units are in flight under its token and have a lease without an end: none of them goes another way
//! before it is known that Salesforce works on the job no more (I3). Salesforce begins when a job is closed, and that is noted
//! before. So whoever finds a job that its engine left knows what it may be: one that was not closed is aborted, and
//! nothing was sent; one that was is waited for. What cannot be learnt any more counts as a lost answer, and is sent again (I5).
//!
//! A job that fails as a whole is no error of its rows: those that were not looked at go back, and the mapping's changes go
//! by collections for a while (`rest`).

mod begin;
mod follow;
mod rest;
mod results;
mod sheet;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::domain::mappings::mapping::Mapping;
use crate::postgres::Error;
use crate::postgres::changes::write_jobs::WriteJob;

use super::claim::Claim;
use super::dependencies::named_by;
use crate::engine::Shared;

pub(super) use begin::{DueJobs, begin_due, least};
pub(in crate::engine) use follow::run;

/// How many units are acknowledged in one transaction, and how many are given back in one.
const SLICE: usize = 200;
const BACK: usize = 500;
/// A request is started only when the lease outlasts its timeout by this much (I4).
const LEASE_MARGIN: Duration = Duration::from_secs(1);

/// What an engine knows of its jobs beside what the database has.
#[derive(Default)]
pub(in crate::engine) struct BulkWrites {
    /// Jobs that were closed just now, for whoever follows them.
    closed: Mutex<Vec<Driven>>,
    wake: Notify,
    rests: rest::Rests,
    /// Units that jobs gave back unsent, and that were not looked at for another job.
    back: AtomicU64,
}

impl BulkWrites {
    /// Whether it is to be told that deletes of a table wait for jobs.
    pub(super) fn is_news(&self, table: &str) -> bool {
        self.rests.is_news(table)
    }

    /// How many units came back from jobs since it was asked last.
    pub(super) fn take_back(&self) -> u64 {
        self.back.swap(0, Ordering::Relaxed)
    }

    /// Units are ready again that were with a job: enough of them are due for the next one, as what is captured is.
    fn note_back(&self, units: usize) {
        self.back.fetch_add(units as u64, Ordering::Relaxed);
    }

    fn hand_over(&self, job: Driven) {
        if let Ok(mut closed) = self.closed.lock() {
            closed.push(job);
        }
        self.wake.notify_one();
    }

    fn handed_over(&self) -> Vec<Driven> {
        self.closed.lock().map(|mut closed| std::mem::take(&mut *closed)).unwrap_or_default()
    }
}

/// A job that this engine drives.
struct Driven {
    job: WriteJob,
    /// Its claim, from the last renewal on.
    claim: Claim,
    /// The server's time then.
    now: chrono::DateTime<chrono::Utc>,
}

impl Driven {
    fn new(job: WriteJob, since: Instant) -> Driven {
        let (claim, now) = (Claim::renewed(&job.token, since), job.began_at);
        Driven { job, claim, now }
    }

    /// Keeps how far it is, and renews its lease. False when another engine has it.
    async fn renew(&mut self, shared: &Shared) -> Result<bool, Error> {
        let since = Instant::now();
        let renewed = shared.store.renew_write_job(&self.job, shared.config.salesforce.lease).await?;
        if let Some(now) = renewed {
            (self.claim, self.now) = (Claim::renewed(&self.job.token, since), now);
        }
        Ok(renewed.is_some())
    }

    /// Renews the lease where a good part of it is over.
    async fn renew_if_due(&mut self, shared: &Shared) -> Result<bool, Error> {
        if self.claim.since.elapsed() < shared.config.salesforce.lease / 4 {
            return Ok(true);
        }
        self.renew(shared).await
    }

    /// Whether a request about it may start: the lease outlasts the request (I4).
    fn may_ask(&self, shared: &Shared) -> bool {
        let longest = self.claim.since.elapsed() + shared.client.timeout() + LEASE_MARGIN;
        longest < shared.config.salesforce.lease
    }

    /// Gives everything back that is in flight with it, unsent, and ends it.
    async fn give_all_back(&mut self, shared: &Shared) -> Result<usize, Error> {
        let units = shared.store.held_for_write_job(&self.job.token).await?;
        let count = units.len();
        self.give_back(shared, units).await?;
        self.end(shared).await?;
        Ok(count)
    }

    /// Ends it: what became of its units is kept, or they are elsewhere. Deletes that waited for it go.
    async fn end(&self, shared: &Shared) -> Result<(), Error> {
        let mappings = shared.mappings();
        let waited = named_by(&mappings, &self.job.table).map(|of| of.table.as_str()).collect::<Vec<_>>();
        shared.store.end_write_job(&self.job.token, &waited).await?;
        shared.wake_writer.notify_one();
        Ok(())
    }

    /// Gives units back unsent, in transactions of a bounded size. No attempt is counted (I8).
    async fn give_back(
        &mut self,
        shared: &Shared,
        mut units: Vec<crate::domain::changes::dispatch::Claimed>,
    ) -> Result<(), Error> {
        while !units.is_empty() {
            let rest = units.split_off(units.len().min(BACK));
            if !self.renew_if_due(shared).await? {
                return Ok(());
            }
            super::acknowledge::release(shared, &self.claim, units, Duration::ZERO).await?;
            units = rest;
        }
        Ok(())
    }
}

/// The mapping of a table, as it is now.
fn mapping_of(shared: &Shared, table: &str) -> Option<Mapping> {
    shared.mappings().iter().find(|mapping| mapping.table == table).cloned()
}
