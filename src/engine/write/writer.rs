//! The writer: takes changes in, claims units, and sees each claim through to its acknowledgement. Where full claims wait,
//! others work beside it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde_json::json;
use std::sync::Arc;
use tokio::time::Instant;

use crate::domain::changes::dispatch::{Call, Claimed, Job};
use crate::domain::mappings::mapping::{Mapping, ranks};
use crate::postgres::changes::queue::UnitOutcome;
use crate::postgres::{Error, failpoint};

use super::acknowledge::{give_back, release};
use super::bulk;
use super::claim::{Claim, UNFIT_PAUSE};
use super::dependencies::named_by;
use super::planning::{CLAIM_BYTES, plan_table};
use super::send;
use crate::engine::{Shared, connection, rules, table_check};

/// How many changes one ingestion takes at most, and how many units one claim.
const INGEST: i64 = 5_000;
const CLAIM: i64 = 200;
/// Between two ingestions while full claims wait.
const BACKLOG_PAUSE: Duration = Duration::from_millis(500);
/// Between looks: at once after work, then doubling up to this.
const BUSY_PAUSE: Duration = Duration::from_millis(50);
const IDLE_PAUSE: Duration = Duration::from_secs(1);

/// What cannot be done while PostgreSQL refuses it.
const WORK: &str = "the queue cannot be worked";

/// Runs until the end of the engine.
pub(in crate::engine) async fn run(shared: Arc<Shared>) {
    let mut pause = BUSY_PAUSE;
    let mut ingest = Ingest::new();
    loop {
        let turn = shared.turn.read().await;
        if shared.stop.is_cancelled() {
            return;
        }
        let done = round(&shared, &mut ingest).await;
        drop(turn);
        match done {
            Ok(0) => {
                shared.trouble.over(WORK);
                tokio::select! {
                    () = tokio::time::sleep(pause) => pause = (pause * 2).min(IDLE_PAUSE),
                    () = shared.wake_writer.notified() => pause = BUSY_PAUSE,
                    () = shared.stop.cancelled() => {}
                }
            }
            Ok(_) => {
                shared.trouble.over(WORK);
                pause = BUSY_PAUSE;
            }
            Err(error) => {
                shared.trouble.note(WORK, &error);
                shared.pause(IDLE_PAUSE).await;
            }
        }
    }
}

/// One that works beside it, in a lane of its own, until the end of the engine: it claims and sends as long as full claims wait.
pub(in crate::engine) async fn run_beside(shared: Arc<Shared>, lane: usize) {
    while shared.lanes.until_open(&shared, lane).await {
        // The first lane looks whether Salesforce is there again.
        let turn = shared.turn.read().await;
        if shared.stop.is_cancelled() {
            return;
        }
        if !shared.link.is_good() {
            drop(turn);
            shared.pause(IDLE_PAUSE).await;
            continue;
        }
        let worked = work(&shared, bulk::least(&shared).is_none()).await;
        drop(turn);
        if let Err(error) = worked {
            shared.trouble.note(WORK, &error);
            shared.pause(IDLE_PAUSE).await;
        }
    }
}

/// When changes are taken in: before each claim, but with full claims waiting anyway not more often than need be.
struct Ingest {
    /// Since when there is enough to do without one.
    backlog: Option<Instant>,
    /// Changes that came since it was looked for last what goes by jobs. What waits at the start, nobody knows.
    unlooked: u64,
}

impl Ingest {
    fn new() -> Ingest {
        Ingest { backlog: None, unlooked: u64::MAX }
    }

    /// Whether so many may wait that it is worth to look for what goes by jobs.
    fn may_be_many(&self, least: usize) -> bool {
        self.backlog.is_some() || self.unlooked >= least as u64
    }

    fn is_due(&mut self) -> bool {
        let due = self.backlog.is_none_or(|since| since.elapsed() >= BACKLOG_PAUSE);
        if due {
            self.backlog = None;
        }
        due
    }

    fn note(&mut self, full_claim: bool) {
        self.backlog = if full_claim { self.backlog.or_else(|| Some(Instant::now())) } else { None };
    }
}

/// One ingestion, one claim and all its calls. Returns how much there was to do.
async fn round(shared: &Shared, ingest: &mut Ingest) -> Result<usize, Error> {
    let begin = Instant::now();
    let mappings = shared.mappings();
    let tables: Vec<String> = mappings.iter().map(|mapping| mapping.table.clone()).collect();
    let mut taken = 0;
    if ingest.is_due() {
        taken = shared.store.ingest(&tables, INGEST).await?;
        ingest.unlooked = ingest.unlooked.saturating_add(taken.unsigned_abs());
        shared.metrics.add(&[("captured", taken)]);
        failpoint::pass(failpoint::AFTER_INTAKE).await?;
    }
    if let Some(wait) = shared.link.closed_for() {
        shared.pause(wait.min(IDLE_PAUSE)).await;
        return Ok(taken as usize);
    }
    if shared.link.is_doubtful() && !connection::probe(shared).await {
        return Ok(taken as usize);
    }
    // Many at once go by jobs, before the first 200 of them go by calls.
    let least = bulk::least(shared);
    ingest.unlooked = ingest.unlooked.saturating_add(shared.bulk_writes.take_back());
    let looks = least.is_some_and(|least| ingest.may_be_many(least));
    let bulk::DueJobs { begun, wait } = if looks {
        // The other lanes take nothing meanwhile that may go by a job.
        shared.lanes.claimed(false);
        let due = bulk::begin_due(shared).await?;
        // Behind a job that was begun others may be due.
        ingest.unlooked = if due.begun > 0 { u64::MAX } else { 0 };
        due
    } else {
        bulk::DueJobs::default()
    };
    // Nor what the next job takes, or what waits for one, before it was looked for that.
    let opens = least.is_none() || looks && begun == 0 && !wait;
    let count = work(shared, opens).await?;
    ingest.note(count as i64 == CLAIM);
    if count > 0 || taken > 0 {
        let ms = begin.elapsed().as_millis() as u64;
        let fields = json!({"taken_in": taken, "claimed": count, "ms": ms});
        shared.log.of("writer").debug("a round ended", fields);
    }
    Ok(count + begun + taken as usize)
}

/// One claim and all its calls. Where more wait, `opens` says whether other lanes are to take of them. Returns how many units it
/// has.
async fn work(shared: &Shared, opens: bool) -> Result<usize, Error> {
    let claim = Claim::new();
    let claiming = shared.store.claim(&claim.token, shared.config.salesforce.lease, CLAIM);
    let (ticket, units) = shared.lanes.claim(&claim, claiming).await?;
    let followed = if units.is_empty() { Ok(()) } else { rules::follow(shared).await };
    // A claim that cannot be worked now is given back: nothing of it was sent.
    let mut failed = failpoint::pass(failpoint::AFTER_CLAIM).await.err().or(followed.err());
    let count = units.len();
    let is_full = count as i64 == CLAIM;
    if opens || !is_full {
        shared.lanes.claimed(is_full);
    }
    let mut tables: HashMap<&str, Vec<Claimed>> = HashMap::new();
    for unit in &units {
        tables.entry(&unit.table).or_default().push(unit.clone());
    }
    // Rules that were set meanwhile hold for what was claimed.
    let mappings = shared.mappings();
    let mut jobs = Vec::new();
    let mut unmapped = Vec::new();
    let mut room = CLAIM_BYTES;
    for (table, units) in tables {
        if shared.writes_are_off(table) {
            give_back(shared, &claim, units, UnitOutcome::Stopped).await?;
            continue;
        }
        let mapping = mappings.iter().find(|mapping| mapping.table == table);
        // Without a mapping here it stays for an engine that has one; a table that does not fit is waited for.
        let Some(mapping) = mapping.filter(|mapping| !mapping.gone && !shared.guard.is_unfit(table)) else {
            unmapped.extend(units);
            continue;
        };
        match plan_table(shared, &claim, mapping, units.clone(), &mut room).await {
            Ok(planned) => jobs.extend(planned),
            Err(error) => {
                failed = failed.or(set_aside(shared, &claim, mapping, units, error).await);
            }
        }
    }
    release(shared, &claim, unmapped, UNFIT_PAUSE).await?;
    let mut ordered = ordered(&mappings, jobs).into_iter();
    while let Some((mapping, jobs)) = ordered.next() {
        let units: Vec<Claimed> = jobs.iter().map(|job| job.unit.clone()).collect();
        if failed.is_some() {
            release(shared, &claim, units, Duration::ZERO).await?;
            continue;
        }
        let last_start = send::last_start(shared, &claim);
        let goes = if jobs.first().is_some_and(|job| job.call == Call::Delete) {
            shared.lanes.is_next(shared, &ticket, last_start).await
        } else {
            let named: Vec<&str> =
                named_by(&mappings, &mapping.table).map(|parent| parent.table.as_str()).collect();
            shared.lanes.is_after(shared, &ticket, &named, last_start).await
        };
        if !goes {
            release(shared, &claim, units, Duration::ZERO).await?;
            continue;
        }
        if let Err(error) = send::send_all(shared, &claim, mapping, jobs, ordered.len() == 0).await {
            failed = set_aside(shared, &claim, mapping, Vec::new(), error).await;
        }
    }
    if is_full && failed.is_none() && claim.was_answered() {
        let is_heavy = room < CLAIM_BYTES - CLAIM_BYTES / 4;
        shared.lanes.went_well(shared, is_heavy);
    }
    failed.map_or(Ok(count), Err)
}

/// What becomes of one table's units when PostgreSQL fails them: given back unsent. A failure that concerns that
/// table alone is looked into by the guard and stops no other; any other is returned.
async fn set_aside(
    shared: &Shared,
    claim: &Claim,
    mapping: &Mapping,
    units: Vec<Claimed>,
    error: Error,
) -> Option<Error> {
    let pause = if error.is_of_this_table() { UNFIT_PAUSE } else { Duration::ZERO };
    let released = release(shared, claim, units, pause).await;
    if !error.is_of_this_table() {
        return Some(error);
    }
    shared.log.of("writer").error(
        format!("{} cannot be written to Salesforce", mapping.object),
        json!({"mapping": mapping.object, "cause": error.masked(std::iter::once(mapping))}),
    );
    table_check::look(shared).await;
    released.err()
}

/// Parents before children; deletes last, children before parents.
fn ordered(mappings: &[Mapping], jobs: Vec<Job>) -> Vec<(&Mapping, Vec<Job>)> {
    let ranks = ranks(mappings);
    let deepest = ranks.iter().max().copied().unwrap_or(0);
    let mut steps: BTreeMap<(usize, usize), Vec<Job>> = BTreeMap::new();
    for job in jobs {
        let Some(index) = mappings.iter().position(|mapping| mapping.table == job.unit.table) else {
            continue;
        };
        let rank = if job.call == Call::Delete { 2 * deepest + 1 - ranks[index] } else { ranks[index] };
        steps.entry((rank, index)).or_default().push(job);
    }
    steps.into_iter().map(|((_, index), jobs)| (&mappings[index], jobs)).collect()
}
