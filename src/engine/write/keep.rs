//! Keeping what Salesforce answered. An answer that is known must not be lost: while PostgreSQL is away it is tried again,
//! and a batch that PostgreSQL refuses is cut in halves until the answer that it refuses stands alone. That one is kept
//! without what cannot be kept, and listed; the others lose nothing.

use std::time::Duration;

use serde_json::{Value, json};

use crate::domain::errors::sync_error::ErrorSource;
use crate::postgres::Error;
use crate::postgres::changes::acknowledge::Rows;
use crate::postgres::changes::queue::{Ack, Acked, UnitOutcome};
use crate::postgres::errors::sync_errors::NewError;

use super::claim::Claim;
use crate::engine::Shared;

/// Between two tries to keep an answer.
pub(in crate::engine) const KEEP_PAUSE: Duration = Duration::from_millis(200);
/// When so many answers of a batch cannot be kept even bare, it is not for what they are.
const REFUSALS: usize = 3;
/// The operation and code under which an answer is listed that could not be kept whole.
const OP: &str = "acknowledge";
const CODE: &str = "ANSWER_NOT_KEPT";

/// Acknowledges, and tries again while the lease lives. Doing it twice does no harm, for the first one takes the token
/// away.
pub(in crate::engine) async fn keep_answer(
    shared: &Shared,
    claim: &Claim,
    batch: &str,
    acks: &[Ack],
) -> Result<Acked, Error> {
    let mut total = Acked::default();
    let mut refusals = 0;
    let mut waiting = vec![acks];
    while let Some(part) = waiting.pop() {
        let kept = match keep(shared, claim, batch, part).await {
            Err(error) if may_pass(&error) => return Err(error),
            Err(_) if part.len() > 1 => {
                let (first, second) = part.split_at(part.len() / 2);
                waiting.extend([second, first]);
                continue;
            }
            Err(error) => match keep_bare(shared, claim, batch, part, &error).await {
                Err(again) if !may_pass(&again) && refusals + 1 < REFUSALS => {
                    // Its lease covers it; the others are not to wait for that.
                    refusals += 1;
                    continue;
                }
                kept => kept?,
            },
            Ok(kept) => kept,
        };
        total.fenced += kept.fenced;
        total.deferred += kept.deferred;
    }
    if total.fenced > 0 {
        shared.log.of("writer").warn(
            format!("{} results came after the lease had passed on; they are dropped", total.fenced),
            json!({"batch": batch}),
        );
        shared.metrics.add(&[("fenced", total.fenced as i64)]);
    }
    Ok(total)
}

/// Acknowledges a part of a batch in one transaction, as often as what keeps it from that may pass.
async fn keep(shared: &Shared, claim: &Claim, batch: &str, acks: &[Ack]) -> Result<Acked, Error> {
    let mut rows = Rows::Now;
    loop {
        match shared.store.acknowledge(&claim.token, batch, acks, rows).await {
            // A trigger or a constraint of the application's objects to the outcome: the answer is kept all the same.
            Err(error) if error.is_of_this_table() && rows == Rows::Now => rows = Rows::Later,
            Err(error) if may_pass(&error) && claim.since.elapsed() < shared.config.salesforce.lease => {
                shared.log.of("writer").warn(
                    "an answer cannot be kept yet; it is tried again",
                    json!({"batch": batch, "cause": error.to_string()}),
                );
                if !shared.pause(KEEP_PAUSE).await {
                    return Err(error);
                }
            }
            done => return done,
        }
    }
}

/// Whether waiting may help, rather than another batch: the way is broken, or the server has no room or no time, or takes
/// nothing for now.
fn may_pass(error: &Error) -> bool {
    let of_the_server = |code: &str| code.starts_with("53") || ["55P03", "25P03", "25006"].contains(&code);
    error.is_passing() || error.sql_state().is_some_and(|state| of_the_server(state.code()))
}

/// Keeps the one answer that PostgreSQL refuses without the texts that came with it: above all whether Salesforce has the
/// record, and as which. What was lost of it is listed.
async fn keep_bare(
    shared: &Shared,
    claim: &Claim,
    batch: &str,
    alone: &[Ack],
    refusal: &Error,
) -> Result<Acked, Error> {
    let mut kept = Acked::default();
    for ack in alone {
        let why = refusal.objection();
        let acked = keep(shared, claim, batch, &[bare(ack, &why)]).await;
        let (what, said) = match &acked {
            Ok(_) => ("kept in part", ""),
            Err(_) => ("not kept", "; it may be sent again"),
        };
        shared.log.of("writer").error(
            format!("the answer for row {} of {} is {what}{said}", ack.unit.row, ack.unit.table),
            json!({"row": ack.unit.row, "table": ack.unit.table, "batch": batch, "cause": why}),
        );
        list(shared, ack, &why).await;
        let acked = acked?;
        kept.fenced += acked.fenced;
        kept.deferred += acked.deferred;
    }
    Ok(kept)
}

async fn list(shared: &Shared, ack: &Ack, why: &str) {
    let mappings = shared.mappings();
    let mapping = mappings.iter().find(|mapping| mapping.table == ack.unit.table);
    let object = mapping.map_or(ack.unit.table.as_str(), |mapping| mapping.object.as_str());
    let text = format!("row {}: {}, and {why}", ack.unit.row, told(&ack.outcome));
    let error = NewError::classified(object, OP, ErrorSource::Postgres, CODE, &text, Vec::new());
    let _ = shared.store.keep_mapping_error(&ack.unit.table, &error, None).await;
    let _ = shared.store.notify("errors").await;
}

/// What is known of a record, in words.
fn told(outcome: &UnitOutcome) -> String {
    match outcome {
        UnitOutcome::Accepted { sfid: Some(sfid), .. } | UnitOutcome::Begun { sfid: Some(sfid) } => {
            format!("Salesforce has it as {sfid}")
        }
        UnitOutcome::Accepted { .. } | UnitOutcome::Begun { .. } => "Salesforce took it".to_owned(),
        UnitOutcome::Rejected { error, .. } => format!("Salesforce refused it ({})", error.code),
        UnitOutcome::Lost { .. } => "whether Salesforce has it is not known".to_owned(),
        _ => "it was not sent".to_owned(),
    }
}

/// An answer without the texts that came with it.
fn bare(ack: &Ack, why: &str) -> Ack {
    let left_out = |text: &Value| (!text.is_null()).then(|| json!({"not_kept": why}));
    let plain = |error: &NewError| {
        let message = format!("{}: the rest of the answer could not be kept: {why}", error.code);
        let bare =
            NewError::classified(&error.mapping, &error.op, error.source, &error.code, &message, Vec::new());
        Box::new(NewError { sfid: error.sfid.clone(), ..bare })
    };
    let outcome = match &ack.outcome {
        UnitOutcome::Rejected { error, next } => UnitOutcome::Rejected { error: plain(error), next: *next },
        UnitOutcome::Held { error, awaited } => {
            UnitOutcome::Held { error: plain(error), awaited: awaited.clone() }
        }
        UnitOutcome::Lost { alone, retry, park: Some((error, next)) } => {
            UnitOutcome::Lost { alone: *alone, retry: *retry, park: Some((plain(error), *next)) }
        }
        other => other.clone(),
    };
    Ack {
        request: ack.request.as_ref().and_then(left_out),
        response: ack.response.as_ref().and_then(left_out),
        outcome,
        ..ack.clone()
    }
}
