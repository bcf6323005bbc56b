//! Sending a table's jobs, call by call, and what each answer means for each unit.

use std::collections::HashMap;
use std::time::Duration;

use chrono::DateTime;
use serde_json::{Value, json};

use crate::domain::changes::dispatch::{Call, Claimed, Job};
use crate::domain::errors::sync_error::ErrorSource;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::mappings::strategy::{self, RetryDecision, Strategy};
use crate::domain::names::RowId;
use crate::domain::values::key::Key;
use crate::domain::values::masking::Hidden;
use crate::postgres::changes::queue::{Ack, UnitOutcome};
use crate::postgres::errors::sync_errors::NewError;
use crate::postgres::{Error, failpoint};
use crate::salesforce;
use crate::salesforce::collections::{ROLLED_BACK, SaveError, SaveResult, Whole};

use super::acknowledge::{
    ack, acknowledge, failure, finish, give_back, note_stop, outcome_unknown, refused, release,
};
use super::batch;
use super::claim::{Claim, LOST_PAUSE, UNFIT_PAUSE};
use super::keep::KEEP_PAUSE;
use super::record::{JobRecord, mistyped, record};
use super::{dependencies, lanes, mask, resend, response_check, turn};
use crate::engine::{Shared, connection, schema};

/// A request is started only when the lease outlasts its timeout by this much (I4).
const LEASE_MARGIN: Duration = Duration::from_secs(1);
/// What a record is refused with that another request holds.
const LOCKED_ROW: &str = "UNABLE_TO_LOCK_ROW";
/// A record that loses its answer this often in a call of its own is parked for a person.
const LOST_ALONE_LIMIT: i32 = 3;

/// Sends the jobs of one mapping: holds what waits for a parent, refuses what JSON cannot say, sends the rest. `is_last`: there
/// is nothing more to be sent of the claim.
pub(in crate::engine) async fn send_all(
    shared: &Shared,
    claim: &Claim,
    mapping: &Mapping,
    jobs: Vec<Job>,
    is_last: bool,
) -> Result<(), Error> {
    let units: Vec<Claimed> = jobs.iter().map(|job| job.unit.clone()).collect();
    let parted = async {
        let jobs = dependencies::after_children(shared, claim, mapping, jobs).await?;
        sendable(shared, mapping, jobs).await
    };
    let (jobs, mut acks) = match parted.await {
        Ok(sendable) => sendable,
        Err(error) => {
            // Nothing of them was sent: they must not count as lost.
            let pause = if error.is_of_this_table() { UNFIT_PAUSE } else { Duration::ZERO };
            release(shared, claim, units, pause).await?;
            return Err(error);
        }
    };
    let (ready, unsendable) = with_records(mapping, jobs);
    acks.extend(unsendable);
    finish(shared, claim, mapping, acks).await?;
    // Moved, not copied: values may be long.
    let mut records: HashMap<RowId, Value> = HashMap::new();
    let mut jobs = Vec::new();
    for (job, record) in ready {
        records.insert(job.unit.row, record);
        jobs.push(job);
    }
    let mut calls = batch::calls(mapping, jobs).into_iter();
    while let Some(call) = calls.next() {
        if !turn::is_ours(shared, mapping).await? {
            let units = call.into_iter().chain(calls.flatten()).map(|job| job.unit).collect();
            return release(shared, claim, units, turn::PAUSE).await;
        }
        if shared.writes_are_off(&mapping.table) {
            let units = call.into_iter().chain(calls.flatten()).map(|job| job.unit).collect();
            return give_back(shared, claim, units, UnitOutcome::Stopped).await;
        }
        let (call, early) = turn::split(shared, claim, mapping, call).await?;
        release(shared, claim, early, turn::PAUSE).await?;
        if call.is_empty() {
            continue;
        }
        if !may_send(shared, claim) {
            // All at once, and while the lease lives: units that nobody sent must not count as lost, for those go
            // alone, and a claim of units that go alone is what runs out of time.
            let units = call.into_iter().chain(calls.flatten()).map(|job| job.unit).collect();
            return release(shared, claim, units, Duration::ZERO).await;
        }
        let call = call
            .into_iter()
            .map(|job| JobRecord { record: records.remove(&job.unit.row).unwrap_or_default(), job })
            .collect();
        let is_last = is_last && calls.len() == 0;
        send_call(shared, claim, mapping, call, is_last).await?;
    }
    Ok(())
}

/// The jobs with their records, and the acknowledgements of those whose values JSON cannot say.
pub(in crate::engine) fn with_records(mapping: &Mapping, jobs: Vec<Job>) -> (Vec<(Job, Value)>, Vec<Ack>) {
    let (mut ready, mut acks) = (Vec::new(), Vec::new());
    for job in jobs {
        match record(mapping, &job) {
            Ok(record) => ready.push((job, record)),
            Err(unsendable) => {
                let (code, text) = ("NOT_A_NUMBER", unsendable.to_string());
                let error = failure(mapping, &job, ErrorSource::Engine, code, &text, vec![unsendable.field]);
                acks.push(ack(job, None, refused(mapping, error)));
            }
        }
    }
    (ready, acks)
}

/// Parts jobs into those that may go now and the acknowledgements of those that may not.
pub(in crate::engine) async fn sendable(
    shared: &Shared,
    mapping: &Mapping,
    jobs: Vec<Job>,
) -> Result<(Vec<Job>, Vec<Ack>), Error> {
    let (jobs, mut acks) = dependencies::hold(shared, mapping, jobs).await?;
    // Of a plain insert that lost its answer, or whose engine died with it, nobody knows whether it was made.
    let (lost, mut jobs): (Vec<Job>, Vec<Job>) =
        jobs.into_iter().partition(|job| job.call == Call::Create && job.unit.lost > 0);
    acks.extend(resend::park(shared, mapping, lost).await?);
    resend::find_made(shared, mapping, &mut jobs).await?;
    Ok((jobs, acks))
}

/// Whether a mapping's calls are saved whole or not at all.
fn wholeness(mapping: &Mapping) -> Whole {
    match mapping.rules.strategy {
        Strategy::FailFast => Whole::AllOrNone,
        _ => Whole::EachForItself,
    }
}

/// Whether a request may start: the engine goes on, the way is open, and the lease outlasts the request (I4).
fn may_send(shared: &Shared, claim: &Claim) -> bool {
    // What was lost is asked for by a probe, not by the next call.
    let link_is_open = shared.link.closed_for().is_none() && !shared.link.is_doubtful();
    !shared.stop.is_cancelled() && link_is_open && lease_outlasts(shared, claim)
}

/// One call with its acknowledgement. A request that Salesforce refused as a whole because of one record is cut in
/// halves until that record stands alone: of 200, the other 199 lose nothing.
async fn send_call(
    shared: &Shared,
    claim: &Claim,
    mapping: &Mapping,
    call: Vec<JobRecord>,
    is_last: bool,
) -> Result<(), Error> {
    let mut waiting = vec![call];
    while let Some(mut call) = waiting.pop() {
        if shared.writes_are_off(&mapping.table) {
            // An earlier part of this call stopped them.
            let units = call.into_iter().map(|out| out.job.unit).collect();
            give_back(shared, claim, units, UnitOutcome::Stopped).await?;
            continue;
        }
        let found = find_by_key(shared, mapping, &mut call).await;
        failpoint::pass(failpoint::BEFORE_SEND).await?;
        let in_flight = shared.lanes.call(shared, claim, last_start(shared, claim)).await;
        if in_flight.is_none() || !may_send(shared, claim) {
            let units: Vec<_> = call.into_iter().map(|out| out.job.unit).collect();
            shared.log.of("writer").info(
                format!(
                    "{} records wait for the next claim: this one would end before the answer",
                    units.len()
                ),
                json!({"mapping": mapping.object}),
            );
            release(shared, claim, units, Duration::ZERO).await?;
            continue;
        }
        let batch = claim.name_batch();
        let (began, begun) = (tokio::time::Instant::now(), shared.link.begin());
        let sent = async {
            found?;
            request(shared, mapping, &call).await
        };
        let (answer, passed) = tokio::join!(sent, failpoint::pass(failpoint::AFTER_SEND));
        drop(in_flight);
        passed?;
        failpoint::pass(failpoint::AFTER_ANSWER).await?;
        let elapsed = began.elapsed();
        shared.metrics.requested(&mapping.object, elapsed);
        let took = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        match answer {
            Ok(results) if is_gone(shared, mapping, &results).await => {
                connection::works(shared, begun).await;
                let units = call.into_iter().map(|out| out.job.unit).collect();
                release(shared, claim, units, Duration::ZERO).await?;
            }
            Ok(results) => {
                connection::works(shared, begun).await;
                if is_last && waiting.is_empty() {
                    shared.lanes.sent(claim);
                }
                settle_call(shared, claim, mapping, &batch, call, results, took).await?;
            }
            Err(error) if connection::concerns_link(&error) => {
                lanes::narrow(shared, &error.to_string());
                connection::report(shared, &error).await;
                let units = call.into_iter().map(|out| out.job.unit).collect();
                release(shared, claim, units, Duration::ZERO).await?;
            }
            Err(salesforce::Error::Api { status: 400..=499, code, message, .. }) if call.len() == 1 => {
                let result = SaveResult {
                    id: None,
                    success: false,
                    created: None,
                    errors: vec![SaveError {
                        status_code: code,
                        message,
                        fields: mistyped(mapping, &call[0].record),
                    }],
                };
                settle_call(shared, claim, mapping, &batch, call, vec![result], took).await?;
            }
            Err(salesforce::Error::Api { status: 400..=499, code, .. }) => {
                shared.log.of("writer").warn(
                    format!("a call of {} records was refused whole; it is cut in halves", call.len()),
                    json!({"mapping": mapping.object, "batch": batch, "code": code}),
                );
                let second = call.split_off(call.len() / 2);
                waiting.extend([second, call]);
            }
            Err(error) => {
                let alone = call.len() == 1;
                lose(shared, claim, mapping, &batch, call, (&error, alone)).await?
            }
        }
    }
    Ok(())
}

/// Whether the object itself is gone, when nothing of a call was taken for that reason: then its changes wait. Other
/// refusals that speak of the object's definition let it be looked at again.
async fn is_gone(shared: &Shared, mapping: &Mapping, results: &[SaveResult]) -> bool {
    let codes = || {
        let codes = results.iter().flat_map(|result| &result.errors).map(|error| error.status_code.as_str());
        codes.filter(|code| *code != ROLLED_BACK)
    };
    if codes().any(|code| ["INVALID_FIELD", "INVALID_FIELD_FOR_INSERT_UPDATE"].contains(&code)) {
        schema::want(shared, &mapping.object, true);
    }
    let all = results.iter().all(|result| !result.success)
        && codes().all(|code| ["INVALID_TYPE", "NOT_FOUND"].contains(&code));
    if !all || results.is_empty() {
        return false;
    }
    schema::look(shared, &mapping.object, true).await;
    shared.mappings().iter().any(|fresh| fresh.object == mapping.object && fresh.gone)
}

fn lease_outlasts(shared: &Shared, claim: &Claim) -> bool {
    tokio::time::Instant::now() < last_start(shared, claim)
}

/// When the last request of a claim may start.
pub(in crate::engine) fn last_start(shared: &Shared, claim: &Claim) -> tokio::time::Instant {
    let before_its_end = shared.client.timeout() + LEASE_MARGIN;
    claim.since + shared.config.salesforce.lease.saturating_sub(before_its_end)
}

/// Sends a call, and makes sure that the answer is about what was sent.
async fn request(
    shared: &Shared,
    mapping: &Mapping,
    call: &[JobRecord],
) -> Result<Vec<SaveResult>, salesforce::Error> {
    let client = &shared.client;
    if call[0].job.call == Call::Delete {
        // One without an id is not there.
        let gone = SaveResult { id: None, success: true, created: None, errors: Vec::new() };
        let found: Vec<&Job> = call.iter().map(|out| &out.job).filter(|job| job.sfid.is_some()).collect();
        let ids: Vec<String> = found.iter().filter_map(|job| job.sfid.clone()).collect();
        let results =
            if ids.is_empty() { Vec::new() } else { client.delete(&ids, wholeness(mapping)).await? };
        response_check::check(shared, mapping, &found, &results).await?;
        let mut results = results.into_iter();
        let result = |out: &JobRecord| out.job.sfid.as_ref().and_then(|_| results.next());
        return Ok(call.iter().map(result).map(|result| result.unwrap_or_else(|| gone.clone())).collect());
    }
    let records = call.iter().map(|out| out.record.clone()).collect();
    let whole = wholeness(mapping);
    let results = match (call[0].job.call, &mapping.external_id) {
        (Call::Update, _) => client.update(&mapping.object, records, whole).await?,
        (Call::Upsert, Some(key)) => client.upsert(&mapping.object, key, records, whole).await?,
        _ => client.create(&mapping.object, records, whole).await?,
    };
    let jobs: Vec<&Job> = call.iter().map(|out| &out.job).collect();
    response_check::check(shared, mapping, &jobs, &results).await?;
    Ok(results)
}

/// Deletes of records whose insert lost its answer: their ids are looked up by key. One without an id is not there.
async fn find_by_key(
    shared: &Shared,
    mapping: &Mapping,
    call: &mut [JobRecord],
) -> Result<(), salesforce::Error> {
    let (Call::Delete, Some(field)) = (call[0].job.call, mapping.external_id_field()) else { return Ok(()) };
    let unknown = |out: &JobRecord| out.job.key.clone().filter(|_| out.job.sfid.is_none());
    let keys: Vec<Key> = call.iter().filter_map(unknown).collect();
    let keys: Vec<&str> = keys.iter().map(|key| key.text.as_str()).collect();
    let ids = shared.client.ids_by_key(&mapping.object, field, &keys).await?;
    for out in call {
        if let Some(key) = unknown(out) {
            out.job.sfid = ids.get(&key.folded).cloned();
        }
    }
    Ok(())
}

/// Acknowledges a call that was answered, and tells what came of it.
async fn settle_call(
    shared: &Shared,
    claim: &Claim,
    mapping: &Mapping,
    batch: &str,
    call: Vec<JobRecord>,
    results: Vec<SaveResult>,
    took: u64,
) -> Result<(), Error> {
    let total = call.len();
    claim.note_answer();
    if results.iter().flat_map(|result| &result.errors).any(|error| error.status_code == LOCKED_ROW) {
        lanes::narrow(shared, LOCKED_ROW);
    }
    let Settled { rejected, taken_back, .. } = settle(shared, claim, mapping, batch, call, results).await?;
    let text = match rejected {
        0 => format!("{}: {total} accepted", mapping.object),
        _ if taken_back > 0 => {
            format!("{}: {rejected} of {total} rejected, {taken_back} taken back with them", mapping.object)
        }
        _ => format!("{}: {rejected} of {total} rejected", mapping.object),
    };
    let (log, fields) =
        (shared.log.of("writer"), json!({"mapping": mapping.object, "batch": batch, "ms": took}));
    if rejected > 0 {
        log.warn(text, fields)
    } else {
        log.info(text, fields)
    }
    shared.metrics.add(&[("send_ms", i64::try_from(took).unwrap_or(0)), ("calls", 1)]);
    Ok(())
}

/// What came of units whose answer was acknowledged.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::engine) struct Settled {
    pub(in crate::engine) accepted: i64,
    pub(in crate::engine) rejected: i64,
    pub(in crate::engine) taken_back: i64,
}

/// Acknowledges units that were answered.
pub(in crate::engine) async fn settle(
    shared: &Shared,
    claim: &Claim,
    mapping: &Mapping,
    batch: &str,
    call: Vec<JobRecord>,
    results: Vec<SaveResult>,
) -> Result<Settled, Error> {
    let log = shared.log.of("writer");
    let (mut accepted, mut rejected, mut taken_back) = (0, 0, 0);
    let mut acks = Vec::new();
    let (mut codes, mut waited) = (Vec::new(), Vec::new());
    let refused = call.iter().zip(&results).filter(|(_, result)| !result.success).map(|(out, _)| &out.job);
    let hidden = mask::hidden(&shared.store, mapping, refused).await;
    let nothing = Hidden::default();
    let hidden = |job: &Job| hidden.get(&job.unit.row).unwrap_or(&nothing);
    let responses: Vec<Value> = call
        .iter()
        .zip(&results)
        .map(|(out, result)| mask::response(hidden(&out.job), &out.job, result))
        .collect();
    let taken = taken(shared, claim, mapping, &call, &results).await?;
    let outcomes = outcomes(shared, mapping, &call, results, &taken);
    for ((out, response), outcome) in call.into_iter().zip(responses).zip(outcomes) {
        let outcome = mask::outcome(hidden(&out.job), outcome);
        match &outcome {
            UnitOutcome::Rejected { error, next } => {
                let retry = next.pause();
                rejected += 1;
                codes.push(error.code.clone());
                // Codes and fields only: the message may quote a customer's values; it is kept with the error.
                log.warn(
                    format!("{} {} rejected", mapping.object, out.job.unit.row),
                    json!({"mapping": mapping.object, "row": out.job.unit.row, "code": error.code,
                        "fields": error.fields.join(","), "batch": batch,
                        "retry_in": retry.map(|pause| format!("{:.1} s", pause.as_secs_f64()))}),
                );
            }
            UnitOutcome::Accepted { .. } | UnitOutcome::Begun { .. } => {
                accepted += 1;
                waited.extend(wait_of(claim, &out.job));
            }
            UnitOutcome::Stopped | UnitOutcome::Released { .. } => taken_back += 1,
            _ => {}
        }
        let request = Some(mask::request(mapping, out.record));
        acks.push(Ack { response: Some(response), ..ack(out.job, request, outcome) });
    }
    shared.metrics.sent(&mapping.object, accepted, codes);
    shared.metrics.waited(&mapping.object, &waited);
    note_stop(shared, mapping, &acks);
    let total = acks.len();
    let orphaned = dependencies::awaited_keys(&acks);
    let acked = acknowledge(shared, claim, mapping, batch, acks).await?;
    dependencies::wake_if_there(shared, mapping, orphaned).await?;
    if acked.deferred > 0 {
        log.info(
            format!("{} rows are locked by users; their outcome is written later", acked.deferred),
            json!({"mapping": mapping.object, "batch": batch}),
        );
    }
    shared.metrics.add(&[("sent", total as i64), ("succeeded", accepted), ("rejected", rejected)]);
    if accepted > 0 {
        shared.metrics.written(&mapping.table);
    }
    Ok(Settled { accepted, rejected, taken_back })
}

/// How long a change waited whose answer has just come; nothing where nobody knows when it was captured.
fn wait_of(claim: &Claim, job: &Job) -> Option<Duration> {
    let before = (job.unit.claimed_at - job.captured_at).to_std().unwrap_or_default();
    (job.captured_at > DateTime::UNIX_EPOCH).then(|| before + claim.since.elapsed())
}

/// What the answers to one call mean for its units. Those that were taken back with another are no errors of theirs: they
/// wait unsent, as long as the mapping's writes rest or the other one waits.
fn outcomes(
    shared: &Shared,
    mapping: &Mapping,
    call: &[JobRecord],
    results: Vec<SaveResult>,
    taken: &HashMap<String, RowId>,
) -> Vec<UnitOutcome> {
    let innocent: Vec<bool> = results.iter().map(SaveResult::is_rolled_back).collect();
    let of_result = |(out, result): (&JobRecord, SaveResult)| {
        let owner = result.id.as_ref().and_then(|id| Some((id, *taken.get(id)?)));
        match owner.filter(|_| result.success && is_new(&out.job)) {
            Some((id, owner)) => refused(mapping, of_another(mapping, &out.job, id, owner)),
            None => dependencies::orphan(shared, mapping, &out.job, outcome(mapping, out, result)),
        }
    };
    let mut outcomes: Vec<UnitOutcome> = call.iter().zip(results).map(of_result).collect();
    if innocent.iter().all(|innocent| *innocent) {
        return outcomes;
    }
    let decisions = || {
        let of_the_others = outcomes.iter().zip(&innocent).filter(|(_, innocent)| !**innocent);
        of_the_others.filter_map(|(outcome, _)| {
            if let UnitOutcome::Rejected { next, .. } = outcome { Some(*next) } else { None }
        })
    };
    let wait = if decisions().any(|decision| decision == RetryDecision::Stop) {
        UnitOutcome::Stopped
    } else {
        UnitOutcome::Released {
            pause: decisions().filter_map(RetryDecision::pause).max().unwrap_or_default(),
        }
    };
    for (outcome, _) in outcomes.iter_mut().zip(&innocent).filter(|(_, innocent)| **innocent) {
        *outcome = wait.clone();
    }
    outcomes
}

/// Whether a record that Salesforce tells for it becomes the row's.
fn is_new(job: &Job) -> bool {
    job.sfid.is_none() && job.call != Call::Delete
}

/// The records of an answer that another row has. Salesforce took a new row's values for a change of that one.
async fn taken(
    shared: &Shared,
    claim: &Claim,
    mapping: &Mapping,
    call: &[JobRecord],
    results: &[SaveResult],
) -> Result<HashMap<String, RowId>, Error> {
    let found = call.iter().zip(results).filter(|(out, result)| {
        // A record that was made just now is nobody's.
        is_new(&out.job) && result.success && result.created == Some(false)
    });
    let told: Vec<(RowId, &str)> =
        found.filter_map(|(out, result)| Some((out.job.unit.row, result.id.as_deref()?))).collect();
    if told.is_empty() {
        return Ok(HashMap::new());
    }
    loop {
        match shared.store.other_owners(mapping, &told).await {
            Err(error) if error.is_passing() && claim.since.elapsed() < shared.config.salesforce.lease => {
                if !shared.pause(KEEP_PAUSE).await {
                    return Err(error);
                }
            }
            done => return done,
        }
    }
}

/// The error of a row whose values went into another row's record.
fn of_another(mapping: &Mapping, job: &Job, sfid: &str, owner: RowId) -> NewError {
    let key = job.key.as_ref().zip(mapping.external_id.as_ref());
    let by = key.map(|(key, field)| format!(" by {field} {:?}", key.text)).unwrap_or_default();
    let message = format!(
        "Salesforce found the record {sfid}{by}, which is that of the row {owner}: the values of the row {} went into it",
        job.unit.row
    );
    failure(mapping, job, ErrorSource::Engine, "RECORD_OF_ANOTHER_ROW", &message, Vec::new())
}

/// What one answer means for its unit.
fn outcome(mapping: &Mapping, out: &JobRecord, result: SaveResult) -> UnitOutcome {
    let lastop = match out.job.op {
        "insert" => Some("INSERTED"),
        "update" => Some("UPDATED"),
        _ => None,
    };
    if result.success {
        let sfid = if lastop.is_some() { result.id.or_else(|| out.job.sfid.clone()) } else { None };
        if out.job.begins {
            return UnitOutcome::Begun { sfid };
        }
        return UnitOutcome::Accepted { sfid, lastop };
    }
    let error = result.errors.into_iter().next().unwrap_or(SaveError {
        status_code: "UNKNOWN_EXCEPTION".to_owned(),
        message: "Salesforce refused the record without a reason".to_owned(),
        fields: Vec::new(),
    });
    let gone = ["ENTITY_IS_DELETED", "NOT_FOUND"].contains(&error.status_code.as_str());
    if out.job.call == Call::Delete && gone {
        // Deleting the deleted is done (I5).
        return UnitOutcome::Accepted { sfid: None, lastop: None };
    }
    let missing = gone || (error.status_code == "INVALID_CROSS_REFERENCE_KEY" && error.fields.is_empty());
    if out.job.call == Call::Update && missing && (mapping.rules.create_if_missing || out.job.reborn) {
        return UnitOutcome::Recreate;
    }
    let error =
        failure(mapping, &out.job, ErrorSource::Salesforce, &error.status_code, &error.message, error.fields);
    let before = u32::try_from(out.job.unit.attempts).unwrap_or(0);
    let rules = &mapping.rules;
    let next = strategy::decide(rules.strategy, &rules.retries, error.class, before, rand::random());
    UnitOutcome::Rejected { error: Box::new(error), next }
}

/// Acknowledges a call whose answer never came. What may be sent again is; a plain insert is looked up first, for
/// Salesforce may have it. `alone`: nothing else was in the request, so that the record itself may be the cause.
pub(in crate::engine) async fn lose(
    shared: &Shared,
    claim: &Claim,
    mapping: &Mapping,
    batch: &str,
    call: Vec<JobRecord>,
    (error, alone): (&salesforce::Error, bool),
) -> Result<(), Error> {
    let mut hidden = Hidden::default();
    call.iter().for_each(|out| hidden.add(mapping, &out.job.patch));
    let cause = hidden.hide(&error.to_string());
    shared.log.of("writer").warn(
        format!("the answer to {} records was lost", call.len()),
        json!({"mapping": mapping.object, "batch": batch, "cause": cause}),
    );
    lanes::narrow(shared, "an answer was lost");
    connection::note_unusable(shared, error).await;
    if let salesforce::Error::Api { code, message, .. } = error {
        connection::keep(shared, code, &hidden.hide(message), Some(LOST_PAUSE)).await;
    }
    let acks = call
        .into_iter()
        .map(|out| {
            // A plain insert is looked up with the next claim, which gives Salesforce a moment to be through with it.
            let is_plain = out.job.call == Call::Create;
            let why = if is_plain {
                // Where the first error stops the rest, nothing may go before that is known.
                let stops = mapping.rules.strategy == Strategy::FailFast;
                stops.then_some(
                    "the answer to an insert without an external id was lost: Salesforce may have the record",
                )
            } else if alone && out.job.unit.lost_alone + 1 >= LOST_ALONE_LIMIT {
                Some("three answers in a row were lost for this record alone")
            } else {
                None
            };
            let park = why.map(|why| outcome_unknown(mapping, &out.job, &format!("{why} ({cause})")));
            let outcome = UnitOutcome::Lost { alone, retry: LOST_PAUSE, park };
            ack(out.job, Some(mask::request(mapping, out.record)), outcome)
        })
        .collect::<Vec<_>>();
    note_stop(shared, mapping, &acks);
    shared.metrics.add(&[("lost_answers", acks.len() as i64)]);
    shared.metrics.lost(&mapping.object, acks.len() as i64);
    acknowledge(shared, claim, mapping, batch, acks).await.map(drop)
}
