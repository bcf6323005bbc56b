//! How the units of a claim end: accepted, refused, lost, given back. What is told of each is made here.

use std::time::Duration;

use serde_json::{Value, json};

use crate::domain::changes::dispatch::{Claimed, Job};
use crate::domain::errors::sync_error::ErrorSource;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::mappings::strategy::{self, RetryDecision};
use crate::postgres::Error;
use crate::postgres::changes::queue::{Ack, Acked, UnitOutcome};
use crate::postgres::errors::sync_errors::NewError;

use super::claim::Claim;
use super::keep::keep_answer;
use super::mask;
use crate::engine::Shared;

/// Gives units back unsent, ready again after a pause.
pub(in crate::engine) async fn release(
    shared: &Shared,
    claim: &Claim,
    units: Vec<Claimed>,
    pause: Duration,
) -> Result<(), Error> {
    give_back(shared, claim, units, UnitOutcome::Released { pause }).await
}

/// Gives units back unsent.
pub(in crate::engine) async fn give_back(
    shared: &Shared,
    claim: &Claim,
    units: Vec<Claimed>,
    outcome: UnitOutcome,
) -> Result<(), Error> {
    if units.is_empty() {
        return Ok(());
    }
    let ack = |unit| Ack {
        unit,
        upto: 0,
        op: "update",
        key: None,
        request: None,
        response: None,
        outcome: outcome.clone(),
    };
    let acks: Vec<Ack> = units.into_iter().map(ack).collect();
    keep_answer(shared, claim, "-", &acks).await.map(drop)
}

/// The error of a record of which nobody knows whether Salesforce has it.
pub(in crate::engine) fn outcome_unknown(
    mapping: &Mapping,
    job: &Job,
    why: &str,
) -> (Box<NewError>, RetryDecision) {
    let error = failure(mapping, job, ErrorSource::Engine, "OUTCOME_UNKNOWN", why, Vec::new());
    let next = strategy::waits(mapping.rules.strategy, error.class);
    (Box::new(error), next)
}

/// Acknowledges what was decided without asking Salesforce.
pub(in crate::engine) async fn finish(
    shared: &Shared,
    claim: &Claim,
    mapping: &Mapping,
    acks: Vec<Ack>,
) -> Result<(), Error> {
    if acks.is_empty() {
        return Ok(());
    }
    note_stop(shared, mapping, &acks);
    let codes = acks.iter().filter_map(|ack| match &ack.outcome {
        UnitOutcome::Rejected { error, .. } => Some(error.code.clone()),
        _ => None,
    });
    shared.metrics.sent(&mapping.object, 0, codes);
    for ack in &acks {
        if let UnitOutcome::Rejected { error, .. } = &ack.outcome {
            shared.log.of("writer").warn(
                format!("{} {} cannot be sent", mapping.object, ack.unit.row),
                json!({"mapping": mapping.object, "row": ack.unit.row, "code": error.code, "fields": error.fields.join(",")}),
            );
        }
    }
    acknowledge(shared, claim, mapping, "-", acks).await.map(drop)
}

/// Acknowledges a batch, and tells who looks at its rows.
pub(in crate::engine) async fn acknowledge(
    shared: &Shared,
    claim: &Claim,
    mapping: &Mapping,
    batch: &str,
    acks: Vec<Ack>,
) -> Result<Acked, Error> {
    let rows: Vec<String> = acks.iter().map(|ack| ack.unit.row.to_string()).collect();
    let acked = keep_answer(shared, claim, batch, &acks).await?;
    // Whoever looks at one of these rows hears of it at once; the next batch does not wait for that.
    let (store, notice) = (shared.store.clone(), format!("rows {} {}", rows.join(","), mapping.table));
    tokio::spawn(async move { store.notify(&notice).await });
    Ok(acked)
}

/// What became of a job.
pub(in crate::engine) fn ack(job: Job, request: Option<Value>, outcome: UnitOutcome) -> Ack {
    let key = job.key.map(|key| key.folded);
    Ack { unit: job.unit, upto: job.upto, op: job.op, key, request, response: None, outcome }
}

/// A failure of one record, classified.
pub(in crate::engine) fn failure(
    mapping: &Mapping,
    job: &Job,
    source: ErrorSource,
    code: &str,
    message: &str,
    fields: Vec<String>,
) -> NewError {
    let message = mask::message(mapping, &job.patch, message);
    NewError {
        sfid: job.sfid.clone(),
        sent: mask::searchable(mapping, &job.patch),
        ..NewError::classified(&mapping.object, job.op, source, code, &message, fields)
    }
}

/// A record that is not sent: the fault was found here.
pub(in crate::engine) fn refused(mapping: &Mapping, error: NewError) -> UnitOutcome {
    let next = strategy::waits(mapping.rules.strategy, error.class);
    UnitOutcome::Rejected { error: Box::new(NewError { source: ErrorSource::Engine, ..error }), next }
}

/// The strategy fail_fast stops the writes of a mapping with the acknowledgement; the rest of the claim is not sent.
pub(in crate::engine) fn note_stop(shared: &Shared, mapping: &Mapping, acks: &[Ack]) {
    let stops = |ack: &&Ack| {
        matches!(
            ack.outcome,
            UnitOutcome::Rejected { next: RetryDecision::Stop, .. }
                | UnitOutcome::Lost { park: Some((_, RetryDecision::Stop)), .. }
        )
    };
    if let Some(ack) = acks.iter().find(stops) {
        shared.turn_writes_off(&mapping.table);
        shared.log.of("writer").error(
            format!(
                "{} stops: its strategy is fail_fast; go on with: syncdeck mapping {} resume",
                mapping.object, mapping.object
            ),
            json!({"mapping": mapping.object, "row": ack.unit.row}),
        );
    }
}
