//! The org's daily limits of Bulk API 2.0. Near the end of one no more jobs are made of its kind: changes and records go by calls,
//! and what is left is the org's other programs'. It is looked at no more often than definitions are, and only while there is
//! a job to be made, or none is for that reason.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::{Shared, connection};
use crate::domain::reports::daily_limit::DailyLimit;

/// What a job takes that writes: a batch for each 10,000 rows.
const BATCHES: &str = "DailyBulkApiBatches";
/// What a job takes that reads.
const QUERY_JOBS: &str = "DailyBulkV2QueryJobs";
const QUERY_STORAGE: &str = "DailyBulkV2QueryFileStorageMB";

/// What these limits are about.
const DAY: Duration = Duration::from_secs(86_400);

/// What an engine knows of them.
#[derive(Default)]
pub(super) struct BulkLimits {
    known: tokio::sync::Mutex<Option<KnownLimits>>,
    /// Why no jobs are made that write.
    short: Mutex<Option<String>>,
    /// Whether it was told that they cannot be learnt.
    told: AtomicBool,
}

struct KnownLimits {
    /// When it was asked last.
    at: Instant,
    /// When it was told last.
    told: Instant,
    limits: Vec<DailyLimit>,
}

impl KnownLimits {
    /// With what is told now. What is not told stays as it was, for as long as these limits are about.
    fn renewed(before: Option<KnownLimits>, mut limits: Vec<DailyLimit>, now: Instant) -> KnownLimits {
        let mut told = now;
        if let Some(before) = before.filter(|before| now.duration_since(before.told) < DAY) {
            let is_new = |limit: &DailyLimit| limits.iter().all(|other| other.name != limit.name);
            let kept: Vec<DailyLimit> = before.limits.into_iter().filter(is_new).collect();
            if !kept.is_empty() {
                told = before.told;
            }
            limits.extend(kept);
        }
        KnownLimits { at: now, told, limits }
    }
}

impl BulkLimits {
    /// Why changes go by calls now, for the sign of life.
    pub(super) fn short(&self) -> Option<String> {
        self.short.lock().ok()?.clone()
    }

    /// Takes note why changes go by calls. True when that begins or ends.
    fn set_short(&self, why: Option<String>) -> bool {
        self.short.lock().is_ok_and(|mut short| {
            let is_news = short.is_some() != why.is_some();
            *short = why;
            is_news
        })
    }

    /// Nothing would go by jobs, whatever is left.
    pub(super) fn forget(&self) {
        self.set_short(None);
    }

    async fn take(&self, name: &str) {
        if let Some(known) = self.known.lock().await.as_mut() {
            let of = known.limits.iter_mut().find(|limit| limit.name == name);
            of.into_iter().for_each(|limit| limit.left -= 1);
        }
    }

    /// A job that writes was given to Salesforce.
    pub(super) async fn take_batch(&self) {
        self.take(BATCHES).await;
    }

    /// A job that reads was made.
    pub(super) async fn take_query(&self) {
        self.take(QUERY_JOBS).await;
    }
}

/// Whether a job that writes may be made. When that changes it is told.
pub(super) async fn may_write(shared: &Shared) -> bool {
    let why = near_its_end(shared, &[BATCHES]).await;
    let may = why.is_none();
    if shared.bulk_limits.set_short(why.clone().map(|why| format!("changes go by calls, not by jobs: {why}")))
    {
        let log = shared.log.of("writer");
        match why {
            Some(why) => log.warn(
                format!("changes go by calls, not by jobs of Bulk API 2.0: {why}"),
                json!({"limit": BATCHES}),
            ),
            None => log.info("changes may go by jobs of Bulk API 2.0 again", json!({"limit": BATCHES})),
        }
    }
    may
}

/// Why no job that reads is to be made now.
pub(super) async fn no_load(shared: &Shared) -> Option<String> {
    near_its_end(shared, &[QUERY_JOBS, QUERY_STORAGE]).await
}

/// Tells, until they are told again, that the limits are not: what was known of them holds for a day, and then none does.
fn tell_unknown(shared: &Shared, cause: &str) {
    if !shared.bulk_limits.told.swap(true, Ordering::Relaxed) {
        let text = "how much is left of the org's daily limits of Bulk API 2.0 cannot be learnt; jobs are made without";
        shared.log.of("link").info(text, json!({"cause": cause}));
    }
}

/// Which of these limits is near its end. What nobody tells is not.
async fn near_its_end(shared: &Shared, names: &[&str]) -> Option<String> {
    let mut known = shared.bulk_limits.known.lock().await;
    let is_old = |known: &KnownLimits| known.at.elapsed() >= shared.config.salesforce.describe_interval;
    if known.as_ref().is_none_or(is_old) && shared.link.closed_for().is_none() {
        let begun = shared.link.begin();
        match shared.client.limits().await {
            Ok(limits) => {
                connection::works(shared, begun).await;
                if limits.iter().any(|limit| limit.name == BATCHES) {
                    shared.bulk_limits.told.store(false, Ordering::Relaxed);
                } else {
                    tell_unknown(shared, &format!("the answer does not tell {BATCHES}"));
                }
                *known = Some(KnownLimits::renewed(known.take(), limits, Instant::now()));
            }
            // Nothing goes while nobody can be asked, by whichever way.
            Err(error) if connection::concerns_link(&error) => connection::report(shared, &error).await,
            Err(error) => {
                tell_unknown(shared, &error.to_string());
                *known = Some(KnownLimits::renewed(known.take(), Vec::new(), Instant::now()));
            }
        }
    }
    let limits = &known.as_ref()?.limits;
    limits.iter().filter(|limit| names.contains(&limit.name.as_str())).find_map(DailyLimit::near_its_end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(name: &str, left: i64) -> DailyLimit {
        DailyLimit { name: name.to_owned(), max: 100, left }
    }

    #[test]
    fn what_an_answer_does_not_tell_stays_known_for_a_day() {
        let now = Instant::now();
        let first = KnownLimits::renewed(None, vec![limit(BATCHES, 3), limit(QUERY_JOBS, 9)], now);
        let hour = Duration::from_secs(3_600);
        let second = KnownLimits::renewed(Some(first), vec![limit(QUERY_JOBS, 8)], now + hour);
        assert_eq!(second.limits, [limit(QUERY_JOBS, 8), limit(BATCHES, 3)]);
        assert_eq!((second.at, second.told), (now + hour, now));
        let third = KnownLimits::renewed(Some(second), Vec::new(), now + DAY);
        assert!(third.limits.is_empty());
    }
}
