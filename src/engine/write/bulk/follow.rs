//! Follows jobs to their end: those that this engine closed, and those that another one left. One that was not closed is
//! ended, and its units go back; one that is worked on is waited for.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::domain::mappings::mapping::{Access, Mapping};
use crate::engine::{Shared, bulk_limits, connection, table_check};
use crate::postgres::Error;
use crate::postgres::changes::write_jobs::WriteJob;
use crate::salesforce;
use crate::salesforce::ingest::{IngestCounts, IngestState};

use super::begin::{ask, least};
use super::results::{self, Known};
use super::{Driven, mapping_of, rest};

/// Between two looks for jobs that nobody drives, and for units whose job is gone. There are some after an engine died: what
/// is left in good order is told within one process, and found by others with the next look.
const LOOK: Duration = Duration::from_secs(5);
const ORPHANS: Duration = Duration::from_secs(60);
/// So many looks at a job come close upon each other: small jobs are done by then.
const FIRST_LOOKS: u32 = 5;
/// Between two of them, and between two of those after them at most.
const FIRST_LOOK: Duration = Duration::from_millis(100);
const NEXT_LOOK: Duration = Duration::from_secs(10);
/// When a job that does not end is told of, and how often then.
const LONG: Duration = Duration::from_secs(600);
/// How often results are asked for that come as none, and a job is closed again whose closing is refused.
const TRIES: u32 = 20;
/// At how many looks, and over at least one lease, Salesforce has to know of no such job before that is believed.
const GONE_LOOKS: u32 = 3;
/// After something that PostgreSQL refused.
const ERROR_PAUSE: Duration = Duration::from_secs(1);
/// What cannot be done while PostgreSQL refuses it.
const WORK: &str = "jobs of Bulk API 2.0 cannot be followed";

/// A job that is followed, and when it is looked at next.
struct Followed {
    driven: Driven,
    next: Instant,
    pause: Duration,
    looks: u32,
    /// Results that came as none.
    useless: u32,
    /// How often it could not be closed again.
    not_closed: u32,
    /// At how many looks in a row Salesforce knew of no such job, and since when.
    gone: Option<(u32, Instant)>,
    /// What it counted when it had ended before its end, and since when.
    counted: Option<(Option<IngestCounts>, Instant)>,
    /// When it was told last that it goes on.
    told: Instant,
    /// Whether it was told that its state cannot be learnt.
    refused: bool,
}

/// What a look at a job came to.
enum Look {
    /// It goes on.
    Later,
    /// It is over, or another engine has it.
    Done,
}

/// Runs until the end of the engine.
pub(in crate::engine) async fn run(shared: Arc<Shared>) {
    let mut jobs: Vec<Followed> = Vec::new();
    let mut left = Left { jobs: Instant::now(), orphans: Instant::now() };
    for mapping in shared.mappings().iter() {
        rest::forget(&shared, mapping).await;
    }
    while !shared.stop.is_cancelled() {
        let gone_on = go_on(&shared, &mut jobs, &mut left).await;
        if shared.trouble.check(WORK, gone_on).is_none() {
            shared.pause(ERROR_PAUSE).await;
            continue;
        }
        let next = jobs.iter().map(|job| job.next).min().map_or(left.jobs, |next| next.min(left.jobs));
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            () = shared.bulk_writes.wake.notified() => left.jobs = Instant::now(),
            () = shared.stop.cancelled() => {}
        }
    }
    let handed = shared.bulk_writes.handed_over();
    for driven in jobs.into_iter().map(|job| job.driven).chain(handed) {
        // Whoever comes next need not wait for its lease to end.
        let _ = shared.store.leave_write_job(&driven.job.token).await;
    }
}

/// One look at everything that is due. What is in the way of one job keeps no other waiting; the first failure is returned.
async fn go_on(shared: &Shared, jobs: &mut Vec<Followed>, left: &mut Left) -> Result<(), Error> {
    let handed = shared.bulk_writes.handed_over();
    jobs.extend(handed.into_iter().map(follow));
    rest::look(shared).await;
    look_at_limits(shared).await;
    let mut failed = take_what_is_left(shared, jobs, left).await.err();
    let mut at = 0;
    while at < jobs.len() && !shared.stop.is_cancelled() {
        // A look may take as long as several requests, and ends no lease of another job.
        for other in jobs.iter_mut() {
            if shared.stop.is_cancelled() || other.driven.renew_if_due(shared).await.is_err() {
                break;
            }
        }
        match look_if_due(shared, &mut jobs[at]).await {
            Ok(Look::Done) => drop(jobs.remove(at)),
            Ok(Look::Later) => at += 1,
            Err(error) => {
                later(shared, &mut jobs[at]);
                let of_all = set_aside(shared, &jobs[at].driven.job, error).await;
                failed = failed.or(of_all);
                at += 1;
            }
        }
    }
    failed.map_or(Ok(()), Err)
}

/// While changes go by calls because a limit of the org is near its end: whether it still is.
async fn look_at_limits(shared: &Shared) {
    if shared.bulk_limits.short().is_none() || shared.link.closed_for().is_some() {
        return;
    }
    if least(shared).is_none() {
        return shared.bulk_limits.forget();
    }
    if bulk_limits::may_write(shared).await {
        shared.wake_writer.notify_one();
    }
}

/// When it is looked next for what other engines left.
struct Left {
    jobs: Instant,
    orphans: Instant,
}

/// Takes over what nobody drives any more.
async fn take_what_is_left(shared: &Shared, jobs: &mut Vec<Followed>, left: &mut Left) -> Result<(), Error> {
    let now = Instant::now();
    if left.jobs > now {
        return Ok(());
    }
    left.jobs = now + LOOK;
    if left.orphans <= now {
        left.orphans = now + ORPHANS;
        tell_orphans(shared, shared.store.rescue_without_write_job().await?);
    }
    while let Some(job) = take_over(shared).await? {
        jobs.push(job);
    }
    Ok(())
}

async fn look_if_due(shared: &Shared, followed: &mut Followed) -> Result<Look, Error> {
    // The others' leases are renewed while the results of one are kept.
    if !followed.driven.renew_if_due(shared).await? {
        tell_taken(shared, &followed.driven.job);
        return Ok(Look::Done);
    }
    if followed.next > Instant::now() { Ok(Look::Later) } else { look(shared, followed).await }
}

/// A failure that concerns a job's table alone is looked into by the guard; any other is returned.
async fn set_aside(shared: &Shared, job: &WriteJob, error: Error) -> Option<Error> {
    if !error.is_of_this_table() {
        return Some(error);
    }
    let mapping = mapping_of(shared, &job.table);
    shared.log.of("writer").error(
        format!("what became of the rows of a job of Bulk API 2.0 for {} cannot be kept yet", job.table),
        json!({"table": job.table, "job": job.job, "cause": error.masked(mapping.iter())}),
    );
    table_check::look(shared).await;
    None
}

fn follow(driven: Driven) -> Followed {
    let now = Instant::now();
    Followed {
        driven,
        next: now,
        pause: FIRST_LOOK,
        looks: 0,
        useless: 0,
        not_closed: 0,
        gone: None,
        counted: None,
        told: now,
        refused: false,
    }
}

impl Followed {
    /// Whether there has been no such job for long enough to believe it.
    fn is_gone(&mut self, lease: Duration) -> bool {
        let (looks, since) = self.gone.get_or_insert((0, Instant::now()));
        *looks += 1;
        *looks >= GONE_LOOKS && since.elapsed() >= lease
    }

    /// Whether nothing of a job is worked on any more that ended before its end: a while later it counts the same.
    fn is_still(&mut self, counts: Option<IngestCounts>, pause: Duration) -> bool {
        match self.counted {
            Some((before, since)) if before == counts => since.elapsed() >= pause,
            _ => {
                self.counted = Some((counts, Instant::now()));
                false
            }
        }
    }
}

/// A job that nobody drives any more, if there is one.
async fn take_over(shared: &Shared) -> Result<Option<Followed>, Error> {
    let tables: Vec<String> = shared.mappings().iter().map(|mapping| mapping.table.clone()).collect();
    let (token, since) = (crate::engine::random_word(), Instant::now());
    let lease = shared.config.salesforce.lease;
    let Some(job) = shared.store.take_write_job(&token, &shared.owner, &tables, lease).await? else {
        return Ok(None);
    };
    shared.log.of("writer").info(
        format!("a job of Bulk API 2.0 for {} is taken over", job.table),
        json!({"table": job.table, "job": job.job, "closed": job.closed}),
    );
    Ok(Some(follow(Driven::new(job, since))))
}

/// Looks how a job is, and does what is to be done about it.
async fn look(shared: &Shared, followed: &mut Followed) -> Result<Look, Error> {
    let Some(mapping) = mapping_of(shared, &followed.driven.job.table) else { return Ok(Look::Done) };
    let Some(id) = followed.driven.job.job.clone() else {
        // Nobody knows of one that could be closed.
        return back(shared, followed, &mapping, "it was not made").await;
    };
    if shared.link.closed_for().is_some() {
        return Ok(later(shared, followed));
    }
    let told = ask(shared, &mapping, shared.client.ingest_job(&id)).await;
    if !told.as_ref().is_err_and(is_gone) {
        followed.gone = None;
    }
    let closed = followed.driven.job.closed;
    match told {
        Ok((IngestState::Open, _)) => see_to_open(shared, followed, &mapping, &id).await,
        Ok((IngestState::UnderWay, _)) => {
            tell_long(shared, followed, &mapping, &id);
            Ok(later(shared, followed))
        }
        Ok((IngestState::Aborted, _)) if !closed => {
            back(shared, followed, &mapping, "it was ended before Salesforce began").await
        }
        // What was begun of it may still be finished.
        Ok((IngestState::Aborted | IngestState::Failed(_), counts))
            if closed && !followed.is_still(counts, shared.client.timeout()) =>
        {
            Ok(later(shared, followed))
        }
        Ok((state, counts)) => end(shared, followed, &mapping, &id, (&state, counts)).await,
        Err(error) if is_gone(&error) && !followed.is_gone(shared.config.salesforce.lease) => {
            tell_refused(shared, followed, &mapping, &id, &error).await;
            Ok(later(shared, followed))
        }
        Err(error) if is_gone(&error) && !closed => {
            back(shared, followed, &mapping, &error.to_string()).await
        }
        Err(error) if is_gone(&error) => lose(shared, followed, &mapping, &error).await,
        // Whatever else is said, Salesforce may still work on it.
        Err(error) => {
            connection::note_failure(shared, &error).await;
            tell_refused(shared, followed, &mapping, &id, &error).await;
            Ok(later(shared, followed))
        }
    }
}

/// Sees to a job that is open. One that was not closed is ended. One that was may be closed at any moment by the request that
/// tells so, and would be ended in the middle then: it is closed again, unless writes are stopped. What is only read by now
/// is ended all the same: nobody would ever close it.
async fn see_to_open(
    shared: &Shared,
    followed: &mut Followed,
    mapping: &Mapping,
    id: &str,
) -> Result<Look, Error> {
    let closed = followed.driven.job.closed;
    let is_written = mapping.access != Access::ReadOnly;
    if closed && is_written && shared.writes_are_off(&mapping.table) {
        return Ok(later(shared, followed));
    }
    if !followed.driven.renew(shared).await? {
        tell_taken(shared, &followed.driven.job);
        return Ok(Look::Done);
    }
    if shared.stop.is_cancelled() || !followed.driven.may_ask(shared) {
        return Ok(later(shared, followed));
    }
    let asked = if closed && is_written && followed.not_closed < TRIES {
        ask(shared, mapping, shared.client.close_ingest_job(id)).await
    } else {
        ask(shared, mapping, shared.client.abort_ingest_job(id)).await
    };
    if let Err(error) = asked {
        connection::note_failure(shared, &error).await;
        followed.not_closed += u32::from(!connection::concerns_link(&error));
        tell_refused(shared, followed, mapping, id, &error).await;
    }
    Ok(later(shared, followed))
}

/// Takes the results of a job that is over.
async fn end(
    shared: &Shared,
    followed: &mut Followed,
    mapping: &Mapping,
    id: &str,
    (state, counts): (&IngestState, Option<IngestCounts>),
) -> Result<Look, Error> {
    let known = match Known::ask(shared, mapping, id, &followed.driven.job, counts).await {
        Ok(Some(known)) => known,
        Ok(None) => return Ok(later(shared, followed)),
        Err(error) if connection::concerns_link(&error) => {
            connection::report(shared, &error).await;
            return Ok(later(shared, followed));
        }
        // Salesforce answers, and what it tells of this job is no reason to ask for nothing else.
        Err(error) => {
            followed.useless += 1;
            if followed.useless >= TRIES {
                return lose(shared, followed, mapping, &error).await;
            }
            tell_refused(shared, followed, mapping, id, &error).await;
            return Ok(later(shared, followed));
        }
    };
    if !results::keep(shared, &mut followed.driven, mapping, id, &known).await? {
        tell_taken(shared, &followed.driven.job);
        return Ok(Look::Done);
    }
    match state {
        IngestState::Failed(why) => rest::rest(shared, mapping, Some(id), why).await,
        IngestState::Aborted => {
            rest::rest(shared, mapping, Some(id), "it was aborted before all its rows were looked at").await;
        }
        _ => rest::works(shared, mapping).await,
    }
    Ok(Look::Done)
}

/// Nothing is known of a job that was closed, and nothing will be: its units count as lost answers, and go again.
async fn lose(
    shared: &Shared,
    followed: &mut Followed,
    mapping: &Mapping,
    error: &salesforce::Error,
) -> Result<Look, Error> {
    let id = followed.driven.job.job.clone().unwrap_or_default();
    shared.log.of("writer").error(
        format!(
            "{}: the results of a job of Bulk API 2.0 cannot be had; its rows are sent again",
            mapping.object
        ),
        json!({"mapping": mapping.object, "job": id, "cause": error.to_string()}),
    );
    if results::keep(shared, &mut followed.driven, mapping, &id, &Known::nothing()).await? {
        rest::rest(shared, mapping, Some(&id), &format!("its results cannot be had: {error}")).await;
    }
    Ok(Look::Done)
}

/// Gives a job's units back: Salesforce worked on none of them.
async fn back(shared: &Shared, followed: &mut Followed, mapping: &Mapping, why: &str) -> Result<Look, Error> {
    let job = followed.driven.job.job.clone();
    let units = followed.driven.give_all_back(shared).await?;
    shared.bulk_writes.note_back(units);
    shared.log.of("writer").info(
        format!("{}: {units} rows of a job of Bulk API 2.0 go back unsent: {why}", mapping.object),
        json!({"mapping": mapping.object, "job": job, "rows": units}),
    );
    shared.wake_writer.notify_one();
    Ok(Look::Done)
}

/// Whether there is no such job any more.
fn is_gone(error: &salesforce::Error) -> bool {
    matches!(error, salesforce::Error::Api { status: 404, code, .. } if code == "NOT_FOUND")
}

/// It is looked at again, the later the longer it takes.
fn later(shared: &Shared, followed: &mut Followed) -> Look {
    followed.looks += 1;
    if followed.looks > FIRST_LOOKS {
        followed.pause = (followed.pause * 2).min(NEXT_LOOK).min(shared.config.salesforce.lease / 4);
    }
    followed.next = Instant::now() + followed.pause;
    Look::Later
}

fn tell_long(shared: &Shared, followed: &mut Followed, mapping: &Mapping, id: &str) {
    if followed.told.elapsed() < LONG {
        return;
    }
    followed.told = Instant::now();
    shared.log.of("writer").warn(
        format!(
            "{}: Salesforce still works on a job of Bulk API 2.0; its rows wait for that. It can be aborted in Setup, Bulk Data Load Jobs",
            mapping.object
        ),
        json!({"mapping": mapping.object, "job": id, "since": followed.driven.job.began_at.to_rfc3339()}),
    );
}

/// Tells that nothing can be learnt of a job. For long, it is listed, and no other job is made for the mapping.
async fn tell_refused(
    shared: &Shared,
    followed: &mut Followed,
    mapping: &Mapping,
    id: &str,
    error: &salesforce::Error,
) {
    let is_news = !std::mem::replace(&mut followed.refused, true);
    if connection::concerns_link(error) || !is_news && followed.told.elapsed() < LONG {
        return;
    }
    followed.told = Instant::now();
    if !is_news {
        rest::rest(shared, mapping, Some(id), &format!("how it is cannot be learnt: {error}")).await;
        return;
    }
    shared.log.of("writer").warn(
        format!(
            "{}: how it is with a job of Bulk API 2.0 cannot be learnt; its rows wait for that",
            mapping.object
        ),
        json!({"mapping": mapping.object, "job": id, "cause": error.to_string()}),
    );
}

fn tell_taken(shared: &Shared, job: &WriteJob) {
    shared.log.of("writer").warn(
        format!("a job of Bulk API 2.0 for {} was taken over by another engine", job.table),
        json!({"table": job.table, "job": job.job}),
    );
}

fn tell_orphans(shared: &Shared, orphans: u64) {
    if orphans > 0 {
        shared.log.of("writer").error(
            format!("{orphans} units were in flight with a job of Bulk API 2.0 that is gone from syncdeck.write_job; they are sent again"),
            json!({"units": orphans}),
        );
    }
}
