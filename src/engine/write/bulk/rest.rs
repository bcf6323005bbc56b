//! When jobs rest: after one failed as a whole the mapping's changes go by collections for a while, longer each time; and where
//! too few of the ready units can go by a job, it is not looked again at once.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::domain::errors::sync_error::ErrorSource;
use crate::domain::mappings::backoff::Backoff;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::values::duration;
use crate::engine::Shared;
use crate::postgres::errors::sync_errors::NewError;

/// The operation and the code under which it is listed that jobs rest.
const OP: &str = "bulk job";
const CODE: &str = "BULK_JOB_FAILED";
/// After a job failed.
const FAILED: Backoff =
    Backoff { base: Duration::from_secs(60), cap: Duration::from_secs(3_600), max_retries: u32::MAX };
/// From how many units on a look costs something.
const COSTLY: usize = 1_000;
/// After a look found too few, by how often it did one after the other.
const TOO_FEW: Backoff =
    Backoff { base: Duration::from_secs(1), cap: Duration::from_secs(60), max_retries: u32::MAX };

/// Which tables rest.
#[derive(Default)]
pub(super) struct Rests(Mutex<HashMap<String, Rest>>);

#[derive(Clone, Copy, Default)]
struct Rest {
    until: Option<Instant>,
    failures: u32,
    looks: u32,
    listed: bool,
    /// When it was told last that deletes wait for jobs.
    told: Option<Instant>,
}

impl Rests {
    fn change<T>(&self, table: &str, change: impl FnOnce(&mut Rest) -> T) -> Option<T> {
        self.0.lock().ok().map(|mut rests| change(rests.entry(table.to_owned()).or_default()))
    }

    /// Whether no job is to be made for a table now.
    pub(super) fn is_resting(&self, table: &str) -> bool {
        let is_resting = |rest: &mut Rest| rest.until.is_some_and(|until| Instant::now() < until);
        self.change(table, is_resting).unwrap_or(true)
    }

    /// Too few of so many ready units of a table could go by a job.
    pub(super) fn found_few(&self, table: &str, ready: usize) {
        if ready < COSTLY {
            return;
        }
        self.change(table, |rest| {
            rest.until = Some(Instant::now() + TOO_FEW.delay(rest.looks, 1.0));
            rest.looks = rest.looks.saturating_add(1);
        });
    }

    /// Whether it is to be told that deletes of a table wait for jobs: they are looked at often.
    pub(super) fn is_news(&self, table: &str) -> bool {
        let is_news = |rest: &mut Rest| {
            let is_news = rest.told.is_none_or(|told| told.elapsed() >= FAILED.base);
            if is_news {
                rest.told = Some(Instant::now());
            }
            is_news
        };
        self.change(table, is_news).unwrap_or(true)
    }

    /// A job was begun.
    pub(super) fn found_enough(&self, table: &str) {
        self.change(table, |rest| rest.looks = 0);
    }

    /// A job failed as a whole. Returns for how long none is made.
    fn failed(&self, table: &str) -> Duration {
        let pause = |rest: &mut Rest| {
            let pause = FAILED.delay(rest.failures, 1.0);
            (rest.until, rest.listed) = (Some(Instant::now() + pause), true);
            rest.failures = rest.failures.saturating_add(1);
            pause
        };
        self.change(table, pause).unwrap_or(FAILED.base)
    }
}

/// A job failed as a whole: its mapping's changes go by collections for a while, and it is told why.
pub(super) async fn rest(shared: &Shared, mapping: &Mapping, job: Option<&str>, why: &str) {
    let pause = shared.bulk_writes.rests.failed(&mapping.table);
    let shown = duration::text(pause);
    shared.log.of("writer").warn(
        format!(
            "{}: a job of Bulk API 2.0 failed; changes go by collections for {shown}: {why}",
            mapping.object
        ),
        json!({"mapping": mapping.object, "job": job, "pause": shown, "code": CODE}),
    );
    let error = NewError::classified(&mapping.object, OP, ErrorSource::Engine, CODE, why, Vec::new());
    let _ = shared.store.keep_mapping_error(&mapping.table, &error, Some(pause)).await;
    let _ = shared.store.notify("errors").await;
}

/// A job was worked on to its end: what was listed of others before is over.
pub(super) async fn works(shared: &Shared, mapping: &Mapping) {
    let listed = shared.bulk_writes.rests.change(&mapping.table, |rest| {
        (rest.failures, rest.until) = (0, None);
        std::mem::take(&mut rest.listed)
    });
    if listed == Some(true) {
        forget(shared, mapping).await;
    }
}

/// Takes an error off the list whose pause is over: the next job shows whether it still holds.
pub(super) async fn look(shared: &Shared) {
    for mapping in shared.mappings().iter() {
        let over = shared.bulk_writes.rests.change(&mapping.table, |rest| {
            let over = rest.listed && rest.until.is_none_or(|until| Instant::now() >= until);
            rest.listed &= !over;
            over
        });
        if over == Some(true) {
            shared.log.of("writer").info(
                format!("{}: changes may go by jobs of Bulk API 2.0 again", mapping.object),
                json!({"mapping": mapping.object}),
            );
            forget(shared, mapping).await;
        }
    }
}

/// Takes what an engine before listed off the list.
pub(super) async fn forget(shared: &Shared, mapping: &Mapping) {
    if let Ok(1..) = shared.store.resolve_mapping_errors(&mapping.object, &[OP]).await {
        let _ = shared.store.notify("errors").await;
    }
}
