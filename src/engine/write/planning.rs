//! From claimed units to the jobs that they come to: what each is about is read, coalesced and, where it needs no send,
//! acknowledged at once.

use std::time::Duration;

use crate::domain::changes::dispatch::{self, Call, Claimed, Job, Planned};
use crate::domain::errors::catalogue;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::RowId;
use crate::postgres::Error;
use crate::postgres::changes::custody::UNREADABLE_CHANGES;
use crate::postgres::changes::queue::{Ack, UnitOutcome};

use super::acknowledge::{self, ack, failure, finish, release};
use super::claim::Claim;
use super::keep::keep_answer;
use crate::engine::{Shared, custody, schema};

/// How many bytes of changes are worked at once; what is more goes back, to be claimed next. In memory each is there
/// several times: as it was captured, as it is sent, as the attempt keeps it.
pub(in crate::engine) const CLAIM_BYTES: i64 = 16 << 20;

/// The units whose changes have room in memory; at least one of a claim. The others are given back.
async fn fitting(
    shared: &Shared,
    claim: &Claim,
    mapping: &Mapping,
    units: Vec<Claimed>,
    room: &mut i64,
) -> Result<Vec<Claimed>, Error> {
    let rows: Vec<RowId> = units.iter().map(|unit| unit.row).collect();
    let bytes = shared.store.unsent_bytes(&mapping.table, &rows).await?;
    let (mut fitting, mut later) = (Vec::new(), Vec::new());
    for unit in units {
        let weight = bytes.get(&unit.row).copied().unwrap_or(0);
        if weight <= *room || *room == CLAIM_BYTES {
            *room -= weight;
            fitting.push(unit);
        } else {
            later.push(unit);
        }
    }
    release(shared, claim, later, Duration::ZERO).await?;
    Ok(fitting)
}

/// Folds the units of one table. What needs no send is acknowledged at once.
pub(in crate::engine) async fn plan_table(
    shared: &Shared,
    claim: &Claim,
    mapping: &Mapping,
    units: Vec<Claimed>,
    room: &mut i64,
) -> Result<Vec<Job>, Error> {
    let units = fitting(shared, claim, mapping, units, room).await?;
    let rows: Vec<RowId> = units.iter().map(|unit| unit.row).collect();
    let recreated: Vec<RowId> = units.iter().filter(|unit| unit.recreate).map(|unit| unit.row).collect();
    let mut contents = shared.store.contents(mapping, &rows, &recreated).await?;
    custody::set_unreadable_aside(shared, mapping, &contents).await?;
    let mut jobs = Vec::new();
    let (mut nothing, mut refused, mut noted) = (Vec::new(), Vec::new(), Vec::new());
    for unit in units {
        let content = contents.remove(&unit.row).unwrap_or_default();
        if let (true, Some(last)) = (content.entries.is_empty(), content.unreadable.last()) {
            let outcome = UnitOutcome::Nothing { reason: UNREADABLE_CHANGES };
            let job = Job::bare(unit, Call::Update, "update", content.sfid, i64::from(last.entry));
            nothing.push(ack(job, None, outcome));
            continue;
        }
        match dispatch::plan(mapping, &unit, &content) {
            Planned::Send(mut job) => {
                if dispatch::is_to_be_noted(&job, &content) {
                    job.unit.first_upto = Some(job.upto);
                    noted.push((job.unit.row, job.upto));
                }
                jobs.push(*job);
            }
            Planned::Nothing { upto, op, reason } => {
                nothing.push(Ack {
                    unit,
                    upto,
                    op,
                    key: None,
                    request: None,
                    response: None,
                    outcome: UnitOutcome::Nothing { reason },
                });
            }
            Planned::Refused { upto, op, patch, refusal } => {
                // Understood like Salesforce's own words, where it would say the same.
                let source = catalogue::source_of(refusal.code);
                let job = Job { patch, ..Job::bare(unit, Call::Update, op, content.sfid, upto) };
                let error = failure(mapping, &job, source, refusal.code, &refusal.message, refusal.fields);
                refused.push(ack(job, None, acknowledge::refused(mapping, error)));
            }
        }
    }
    if !refused.is_empty() {
        // What the org would take by now must not be refused for what it was.
        schema::want(shared, &mapping.object, false);
    }
    finish(shared, claim, mapping, refused).await?;
    if !nothing.is_empty() {
        keep_answer(shared, claim, "-", &nothing).await?;
        shared.metrics.add(&[("nothing", nothing.len() as i64)]);
    }
    if !noted.is_empty() {
        let (rows, upto): (Vec<RowId>, Vec<i64>) = noted.into_iter().unzip();
        shared.store.note_first_send(&claim.token, &mapping.table, &rows, &upto).await?;
    }
    Ok(jobs)
}
