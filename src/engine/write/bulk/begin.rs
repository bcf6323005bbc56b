//! The beginning of a job: its units are claimed, coalesced and put into a sheet, and Salesforce is given it.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use serde_json::json;
use tokio::time::Instant;

use crate::domain::changes::dispatch::{Call, Claimed, Job};
use crate::domain::changes::write_job::{JobUnit, from_how_many, operation_of};
use crate::domain::mappings::mapping::{Access, Mapping, ranks};
use crate::engine::write::acknowledge::{finish, give_back};
use crate::engine::write::dependencies::{named_by, naming};
use crate::engine::write::planning::plan_table;
use crate::engine::write::send::{sendable, with_records};
use crate::engine::{Shared, bulk_limits, connection, rules, table_check};
use crate::postgres::changes::queue::UnitOutcome;
use crate::postgres::changes::write_jobs::WriteJob;
use crate::postgres::{Error, failpoint};
use crate::salesforce;

use super::sheet::{UploadSheet, cells};
use super::{BACK, Driven, mapping_of, rest};

/// Units of one job, at most, and how many of them are coalesced at a time.
const UNITS: i64 = 10_000;
const PART: usize = 1_000;
/// Bytes of changes in one job, and of its upload, at most: far below what Salesforce takes (100 MB), and so few that they are
/// uploaded within a request's timeout.
const BYTES: i64 = 8 << 20;
/// Jobs under way at once, at most, of all engines; a few more where two begin theirs in the same moment.
const AT_ONCE: i64 = 10;

fn from(mapping: &Mapping) -> Option<usize> {
    from_how_many(&mapping.object, &mapping.rules)
}

/// From how many changes on a look at all is worth it; `None` where no mapping has jobs.
pub(in crate::engine::write) fn least(shared: &Shared) -> Option<usize> {
    shared.mappings().iter().filter_map(from).min()
}

/// What a look for jobs that are due came to.
#[derive(Default)]
pub(in crate::engine::write) struct DueJobs {
    /// How many units went.
    pub(in crate::engine::write) begun: usize,
    /// Whether enough for a job wait for one that is under way: the more calls go beside it, the more lock each other out.
    pub(in crate::engine::write) wait: bool,
}

/// Begins the first job that is due, parents first: the next one is begun after the calls that wait.
pub(in crate::engine::write) async fn begin_due(shared: &Shared) -> Result<DueJobs, Error> {
    let mut due = DueJobs::default();
    if shared.bulk_limits.short().is_some() {
        // Whoever follows jobs looks when there are some again.
        return Ok(due);
    }
    let mappings = shared.mappings();
    let ranks = ranks(&mappings);
    let mut order: Vec<usize> = (0..mappings.len()).collect();
    order.sort_by_key(|index| ranks[*index]);
    for mapping in order.into_iter().map(|index| &mappings[index]) {
        let Some(from) = from(mapping).filter(|_| is_open(shared, mapping)) else { continue };
        match claim_if_many(shared, mapping, from).await {
            Ok(of_mapping) => {
                due = DueJobs { begun: of_mapping.begun, wait: due.wait || of_mapping.wait };
                if due.begun > 0 {
                    break;
                }
            }
            Err(error) if error.is_of_this_table() => {
                shared.bulk_writes.rests.found_few(&mapping.table, usize::MAX);
                shared.log.of("writer").error(
                    format!("{} cannot be written to Salesforce", mapping.object),
                    json!({"mapping": mapping.object, "cause": error.masked(std::iter::once(mapping))}),
                );
                table_check::look(shared).await;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(due)
}

fn is_open(shared: &Shared, mapping: &Mapping) -> bool {
    mapping.access != Access::ReadOnly
        && !mapping.gone
        && !shared.guard.is_unfit(&mapping.table)
        && !shared.writes_are_off(&mapping.table)
        && !shared.bulk_writes.rests.is_resting(&mapping.table)
        && !shared.stop.is_cancelled()
}

/// Begins a job where enough units are ready, and not too many jobs are under way.
async fn claim_if_many(shared: &Shared, mapping: &Mapping, from: usize) -> Result<DueJobs, Error> {
    let (fit, ready) = shared.store.ready_for_job(mapping, UNITS).await?;
    if fit < from {
        shared.bulk_writes.rests.found_few(&mapping.table, ready);
        return Ok(DueJobs::default());
    }
    if shared.store.write_jobs_under_way().await? >= AT_ONCE {
        return Ok(DueJobs::default());
    }
    // Two jobs with children of the same parents lock each other out.
    let mappings = shared.mappings();
    if named_by(&mappings, &mapping.table).any(|of| of.object != mapping.object)
        && shared.store.has_write_job(std::slice::from_ref(&mapping.table)).await?
    {
        return Ok(DueJobs { begun: 0, wait: true });
    }
    if !bulk_limits::may_write(shared).await || shared.link.closed_for().is_some() {
        return Ok(DueJobs::default());
    }
    Ok(DueJobs { begun: claim(shared, mapping).await?, wait: false })
}

/// Claims units for a job and begins it. Whatever keeps it from that, somebody sees to its units.
async fn claim(shared: &Shared, mapping: &Mapping) -> Result<usize, Error> {
    let (token, since) = (crate::engine::random_word(), Instant::now());
    let lease = shared.config.salesforce.lease;
    let units = shared.store.claim_for_job(&token, &shared.owner, lease, mapping, UNITS).await?;
    let job = WriteJob {
        token: token.clone(),
        table: mapping.table.clone(),
        job: None,
        operation: String::new(),
        key_field: String::new(),
        closed: false,
        began_at: units.first().map(|unit| unit.claimed_at).unwrap_or_default(),
    };
    let begun = begin(shared, Driven::new(job, since), units).await;
    if !matches!(begun, Ok(Begun::Closed(_) | Begun::Over)) {
        // Whoever follows jobs looks how far it came: what was not closed is ended, and goes back as if nothing had been sent.
        let left = shared.store.leave_write_job(&token).await;
        shared.bulk_writes.wake.notify_one();
        begun.as_ref().map_or(Ok(()), |_| left)?;
    }
    Ok(if let Begun::Closed(units) = begun? { units } else { 0 })
}

/// How far the beginning of a job came.
enum Begun {
    /// So many units are with Salesforce.
    Closed(usize),
    /// There is no job, and its units are elsewhere.
    Over,
    /// Somebody has to see to it.
    Left,
}

async fn begin(shared: &Shared, mut driven: Driven, units: Vec<Claimed>) -> Result<Begun, Error> {
    rules::follow(shared).await?;
    failpoint::pass(failpoint::AFTER_JOB_CLAIM).await?;
    // Rules that were set meanwhile hold for what was claimed.
    let Some(mapping) = mapping_of(shared, &driven.job.table) else {
        // Nobody takes over what is mapped nowhere.
        driven.give_all_back(shared).await?;
        return Ok(Begun::Over);
    };
    if shared.writes_are_off(&mapping.table) {
        for part in units.chunks(BACK) {
            give_back(shared, &driven.claim, part.to_vec(), UnitOutcome::Stopped).await?;
        }
        driven.end(shared).await?;
        return Ok(Begun::Over);
    }
    let Some(from) = from(&mapping).filter(|_| mapping.access != Access::ReadOnly) else {
        driven.give_all_back(shared).await?;
        return Ok(Begun::Over);
    };
    let Some(prepared) = prepare(shared, &mut driven, &mapping, units, from).await? else {
        driven.give_all_back(shared).await?;
        return Ok(Begun::Over);
    };
    shared.bulk_writes.rests.found_enough(&mapping.table);
    send(shared, driven, &mapping, prepared).await
}

/// Units of one kind, and what is uploaded for them.
#[derive(Default)]
struct Prepared {
    units: Vec<JobUnit>,
    sheet: UploadSheet,
    /// What tells their results from each other.
    marks: HashSet<String>,
    /// Whether there was no room for another one.
    is_full: bool,
}

impl Prepared {
    /// Takes a unit in, if it can be told from the others and there is room for it.
    fn take(&mut self, job: &Job, cells: super::sheet::Cells) -> bool {
        let unit = JobUnit::of(job);
        let has_room = self.sheet.bytes() < usize::try_from(BYTES).unwrap_or(usize::MAX);
        self.is_full |= !has_room;
        let Some(mark) = unit.mark(job.call).filter(|_| has_room) else { return false };
        if !self.marks.insert(mark.to_owned()) {
            return false;
        }
        self.units.push(unit);
        self.sheet.add(cells);
        true
    }
}

/// Coalesces the units part by part, and picks the kind of which there are most. The others go back.
async fn prepare(
    shared: &Shared,
    driven: &mut Driven,
    mapping: &Mapping,
    mut units: Vec<Claimed>,
    from: usize,
) -> Result<Option<(Call, Prepared)>, Error> {
    let ready = units.len();
    let mut room = BYTES;
    let mut kinds: BTreeMap<Call, Prepared> = BTreeMap::new();
    while !units.is_empty() {
        let later = units.split_off(units.len().min(PART));
        if !driven.renew_if_due(shared).await? || shared.stop.is_cancelled() {
            return Ok(None);
        }
        let jobs = plan_table(shared, &driven.claim, mapping, units, &mut room).await?;
        let (jobs, mut acks) = sendable(shared, mapping, jobs).await?;
        let (jobs, unsendable) = with_records(mapping, jobs);
        acks.extend(unsendable);
        finish(shared, &driven.claim, mapping, acks).await?;
        let mut back = Vec::new();
        for (job, record) in jobs {
            let cells = if may_go(&job) { cells(mapping, &job, &record) } else { None };
            let taken = cells.is_some_and(|cells| kinds.entry(job.call).or_default().take(&job, cells));
            if !taken {
                back.push(job.unit);
            }
        }
        driven.give_back(shared, back).await?;
        units = later;
    }
    if kinds.contains_key(&Call::Delete) && children_wait(shared, mapping).await? {
        kinds.insert(Call::Delete, Prepared::default());
    }
    let most = kinds.iter().map(|(call, kind)| (kind.units.len(), *call)).max();
    // What fills a job is enough, however few rows that are.
    let is_full = |call: &Call| room < BYTES / 2 || kinds.get(call).is_some_and(|kind| kind.is_full);
    let enough = most.filter(|(count, call)| *count >= from || *count > 0 && is_full(call));
    let Some((_, call)) = enough else {
        shared.bulk_writes.rests.found_few(&mapping.table, ready);
        return Ok(None);
    };
    let Some(prepared) = kinds.remove(&call) else { return Ok(None) };
    let goes: HashSet<_> = prepared.units.iter().map(|unit| unit.row).collect();
    if !kinds.is_empty() {
        let held = shared.store.held_for_write_job(&driven.job.token).await?;
        let others = held.into_iter().filter(|unit| !goes.contains(&unit.row)).collect();
        driven.give_back(shared, others).await?;
    }
    Ok(Some((call, prepared)))
}

/// Whether changes of records wait that name this object's: they go before its deletes do, or those would be refused.
async fn children_wait(shared: &Shared, mapping: &Mapping) -> Result<bool, Error> {
    let naming = naming(&shared.mappings(), mapping);
    let children: Vec<&str> =
        naming.iter().map(String::as_str).filter(|table| *table != mapping.table).collect();
    if children.is_empty() { Ok(false) } else { shared.store.has_unsent(&children).await }
}

/// Whether a unit's change may go by a job at all: it is safe to send again, and nothing about it is out of the ordinary.
fn may_go(job: &Job) -> bool {
    let is_plain = job.unit.lost == 0 && job.unit.attempts == 0 && !job.unit.recreate;
    operation_of(job.call).is_some() && is_plain && !job.begins && !job.reborn
}

/// Gives the job to Salesforce: makes it, fills it, and has it begin. Each step is kept before the next one.
async fn send(
    shared: &Shared,
    mut driven: Driven,
    mapping: &Mapping,
    (call, prepared): (Call, Prepared),
) -> Result<Begun, Error> {
    let Prepared { units, mut sheet, .. } = prepared;
    sheet.sort_by_parents(mapping);
    let (count, operation) = (units.len(), operation_of(call).unwrap_or_default());
    let key = mapping.external_id.clone().filter(|_| call == Call::Upsert);
    driven.job.operation = operation.to_owned();
    driven.job.key_field = key.clone().unwrap_or_else(|| "Id".to_owned());
    if !shared.store.keep_write_job(&driven.job, &units, shared.config.salesforce.lease).await? {
        return Ok(Begun::Over);
    }
    drop(units);
    if !may_ask(shared, &mut driven).await? {
        return Ok(Begun::Left);
    }
    let client = &shared.client;
    let made =
        ask(shared, mapping, client.create_ingest_job(&mapping.object, operation, key.as_deref())).await;
    failpoint::pass(failpoint::AFTER_JOB_MADE).await?;
    let Some(id) = told(shared, mapping, None, made).await else {
        // One whose id was not told stays open, and nobody can close it.
        driven.give_all_back(shared).await?;
        return Ok(Begun::Over);
    };
    driven.job.job = Some(id.clone());
    if !may_ask(shared, &mut driven).await? {
        return Ok(Begun::Left);
    }
    let csv = tokio::task::spawn_blocking(move || Bytes::from(sheet.csv())).await.unwrap_or_default();
    let bytes = csv.len();
    let filled = ask(shared, mapping, client.upload_to_job(&id, &csv)).await;
    drop(csv);
    failpoint::pass(failpoint::AFTER_JOB_UPLOAD).await?;
    if told(shared, mapping, Some(&id), filled).await.is_none() {
        return Ok(Begun::Left);
    }
    // What was ordered since the claim holds for it until it is closed: what was not closed is ended, and goes back.
    rules::follow(shared).await?;
    let goes = |now: &Mapping| from(now).is_some() && is_open(shared, now);
    if !mapping_of(shared, &mapping.table).is_some_and(|now| goes(&now)) {
        return Ok(Begun::Left);
    }
    // Here, for it may wait while somebody asks how much is left.
    shared.bulk_limits.take_batch().await;
    // From now on it may be worked on, whatever becomes of us.
    driven.job.closed = true;
    if !may_ask(shared, &mut driven).await? {
        return Ok(Begun::Left);
    }
    shared.log.of("writer").info(
        format!(
            "{}: {count} rows go by a job of Bulk API 2.0: {operation} by {}",
            mapping.object, driven.job.key_field
        ),
        json!({"mapping": mapping.object, "job": id, "operation": operation, "rows": count, "bytes": bytes}),
    );
    let closed = ask(shared, mapping, client.close_ingest_job(&id)).await;
    failpoint::pass(failpoint::AFTER_JOB_CLOSE).await?;
    if let Err(error) = closed {
        // Whether it is closed is asked when it is followed.
        shared.log.of("writer").warn(
            format!("{}: whether the job was closed is not known yet", mapping.object),
            json!({"mapping": mapping.object, "job": id, "cause": error.to_string()}),
        );
        connection::note_failure(shared, &error).await;
    }
    shared.bulk_writes.hand_over(driven);
    Ok(Begun::Closed(count))
}

/// Renews the lease, and tells whether a request may start.
async fn may_ask(shared: &Shared, driven: &mut Driven) -> Result<bool, Error> {
    let ours = driven.renew(shared).await?;
    let is_open = !shared.stop.is_cancelled()
        && shared.link.closed_for().is_none()
        && !shared.writes_are_off(&driven.job.table);
    Ok(ours && is_open && driven.may_ask(shared))
}

/// Makes a request about a job, and counts it.
pub(super) async fn ask<T>(
    shared: &Shared,
    mapping: &Mapping,
    request: impl Future<Output = Result<T, salesforce::Error>>,
) -> Result<T, salesforce::Error> {
    let (began, begun) = (Instant::now(), shared.link.begin());
    let answer = request.await;
    let took = began.elapsed();
    shared.metrics.requested(&mapping.object, took);
    let ms = i64::try_from(took.as_millis()).unwrap_or(i64::MAX);
    shared.metrics.add(&[("send_ms", ms), ("calls", 1)]);
    if answer.is_ok() {
        connection::works(shared, begun).await;
    }
    answer
}

/// What Salesforce told, unless a job cannot be begun now: then its units go another way.
async fn told<T>(
    shared: &Shared,
    mapping: &Mapping,
    job: Option<&str>,
    answer: Result<T, salesforce::Error>,
) -> Option<T> {
    match answer {
        Ok(told) => Some(told),
        Err(error) => {
            connection::note_failure(shared, &error).await;
            if !connection::concerns_link(&error) {
                rest::rest(shared, mapping, job, &error.to_string()).await;
            }
            None
        }
    }
}
