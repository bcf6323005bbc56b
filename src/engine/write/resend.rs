//! What goes again after its answer was lost. A row with an external id is found by it: Salesforce may have its record by
//! now. Without one nobody can say whether it is there; it is looked up by what was sent, and a person decides.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::domain::changes::dispatch::{Call, Job};
use crate::domain::changes::lost::{Candidate, differences, message};
use crate::domain::changes::outgoing::LeftOut;
use crate::domain::errors::sync_error::ErrorSource;
use crate::domain::mappings::field::{Field, FieldType};
use crate::domain::mappings::mapping::Mapping;
use crate::domain::mappings::strategy;
use crate::domain::names::{RowId, RowRef};
use crate::domain::values::hstore::Hstore;
use crate::postgres::changes::candidates::LostInsert;
use crate::postgres::changes::queue::{Ack, UnitOutcome};
use crate::postgres::{self, Error};
use crate::salesforce::query::{FieldSelection, instant, literal};
use crate::salesforce::{self, value};

use super::acknowledge::{ack, failure};
use super::claim::LOST_PAUSE;
use crate::engine::{Shared, connection};

/// How far Salesforce's clock may be behind PostgreSQL's.
const SKEW: chrono::Duration = chrono::Duration::minutes(5);
/// Pages that are looked through for one look, of up to 2,000 records.
const PAGES: usize = 5;
/// How long the values of the field that narrows a look may be in its URL.
const VALUES: usize = 4_000;

/// Rows with an external id whose record is there by now: they are changed by its id, without what can only be set when a
/// record is made, which it was. A record that another row has is left to the upsert's own checks.
pub(in crate::engine) async fn find_made(
    shared: &Shared,
    mapping: &Mapping,
    jobs: &mut [Job],
) -> Result<(), Error> {
    let Some(field) = mapping.external_id_field() else { return Ok(()) };
    let again = |job: &&mut Job| job.call == Call::Upsert && job.unit.lost > 0;
    let mut again: Vec<&mut Job> = jobs.iter_mut().filter(again).collect();
    let keys: Vec<&str> = again.iter().filter_map(|job| Some(job.key.as_ref()?.text.as_str())).collect();
    if keys.is_empty() {
        return Ok(());
    }
    // Without an answer they go as they are: an upsert is safe to send again.
    let Ok(ids) = shared.client.ids_by_key(&mapping.object, field, &keys).await else { return Ok(()) };
    let found: Vec<(RowId, &str)> = again
        .iter()
        .filter_map(|job| Some((job.unit.row, ids.get(&job.key.as_ref()?.folded)?.as_str())))
        .collect();
    let owners = shared.store.other_owners(mapping, &found).await?;
    for job in &mut again {
        let sfid = job.key.as_ref().and_then(|key| ids.get(&key.folded));
        let Some(sfid) = sfid.filter(|sfid| !owners.contains_key(*sfid)) else { continue };
        (job.call, job.sfid) = (Call::Update, Some(sfid.clone()));
        let made: Vec<&Field> =
            mapping.fields.iter().filter(|field| field.createable && !field.updateable).collect();
        for field in made {
            if job.patch.remove(&field.column).is_some() {
                let why = "it was set when the record was made".to_owned();
                job.left_out.push(LeftOut { field: field.name.clone(), why });
            }
        }
    }
    Ok(())
}

/// Plain inserts whose answer was lost, or whose engine died with them: they wait for a person, who is told which records
/// may be theirs.
pub(in crate::engine) async fn park(
    shared: &Shared,
    mapping: &Mapping,
    jobs: Vec<Job>,
) -> Result<Vec<Ack>, Error> {
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    let lost: Vec<LostInsert> = jobs
        .iter()
        .map(|job| LostInsert { row: job.unit.row, sent: job.patch.clone(), captured_at: job.captured_at })
        .collect();
    let (found, trouble) = match look(shared, mapping, &lost).await {
        Ok(found) => (found, None),
        Err(Trouble::Postgres(error)) => return Err(error),
        Err(Trouble::Salesforce(error)) if connection::concerns_link(&error) => {
            // Once Salesforce answers again, it is asked.
            connection::report(shared, &error).await;
            let wait = |job| ack(job, None, UnitOutcome::Released { pause: LOST_PAUSE });
            return Ok(jobs.into_iter().map(wait).collect());
        }
        Err(Trouble::Salesforce(error)) => (Vec::new(), Some(error.to_string())),
    };
    shared.store.keep_candidates(mapping, &found).await?;
    let park = |job: Job| {
        let of_row = found.iter().filter(|(row, _)| *row == job.unit.row);
        let candidates: Vec<Candidate> = of_row.map(|(_, candidate)| candidate.clone()).collect();
        let text = message(&mapping.object, &candidates, trouble.as_deref());
        let error = failure(mapping, &job, ErrorSource::Engine, "OUTCOME_UNKNOWN", &text, Vec::new());
        let next = strategy::waits(mapping.rules.strategy, error.class);
        let park = Some((Box::new(error), next));
        ack(job, None, UnitOutcome::Lost { alone: true, retry: LOST_PAUSE, park })
    };
    Ok(jobs.into_iter().map(park).collect())
}

/// The record that may be that of a row whose insert lost its answer, for somebody who wants to link it. `None` when that is
/// not what the row waits for.
///
/// # Errors
/// In words: none is found, or several, or Salesforce does not answer.
pub(in crate::engine) async fn only_candidate(
    shared: &Shared,
    mapping: &Mapping,
    at: &RowRef,
) -> Result<Option<Value>, String> {
    let lost = shared.store.lost_inserts(mapping).await.map_err(|error| error.to_string())?;
    let lost: Vec<LostInsert> = lost.into_iter().filter(|lost| lost.row == at.row).collect();
    let Some(since) = lost.first().map(|lost| lost.captured_at) else { return Ok(None) };
    let found = look(shared, mapping, &lost).await.map_err(|trouble| trouble.to_string())?;
    shared.store.keep_candidates(mapping, &found).await.map_err(|error| error.to_string())?;
    let mut candidates: Vec<&Candidate> = found.iter().map(|(_, candidate)| candidate).collect();
    candidates.sort_by_key(|candidate| candidate.differs.len());
    match candidates.as_slice() {
        [] => Err(format!(
            "Salesforce has no {} with what was sent, made since {}\nif you know that it is missing, retry sends it once more",
            mapping.object,
            since.format("%Y-%m-%d %H:%M:%S UTC")
        )),
        [one] => Ok(Some(json!(one.sfid))),
        many => {
            let ids: Vec<&str> = many.iter().map(|candidate| candidate.sfid.as_str()).collect();
            Err(format!(
                "several {} have what was sent: {}\nsay which, with: syncdeck link ID RECORD",
                mapping.object,
                ids.join(", ")
            ))
        }
    }
}

/// Why a look came to nothing.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("Salesforce: {0}")]
    Salesforce(#[from] salesforce::Error),
    #[error(transparent)]
    Postgres(#[from] postgres::Error),
}

/// Which records, made since the rows were captured, may be theirs; records that rows have are not.
async fn look(
    shared: &Shared,
    mapping: &Mapping,
    lost: &[LostInsert],
) -> Result<Vec<(RowId, Candidate)>, Trouble> {
    let Some(since) = lost.iter().map(|lost| lost.captured_at).min() else { return Ok(Vec::new()) };
    let narrowed = telling(mapping, lost);
    let selection = FieldSelection::of(mapping);
    let mut page = match shared.client.select(&selection, &clauses(mapping, since, narrowed.as_deref())).await
    {
        // That field is one of those by which a query may not be narrowed.
        Err(salesforce::Error::Api { status: 400, .. }) if narrowed.is_some() => {
            shared.client.select(&selection, &clauses(mapping, since, None)).await?
        }
        page => page?,
    };
    let mut found = Vec::new();
    for pages in 1.. {
        let ids = page.records.iter().filter_map(|record| Some(record.get("Id")?.as_str()?.to_owned()));
        let owned = shared.store.owned(mapping, &ids.collect::<Vec<_>>()).await?;
        for record in &page.records {
            let Some(sfid) = record.get("Id").and_then(Value::as_str) else { continue };
            if owned.contains(sfid) {
                continue;
            }
            let row = value::to_row(mapping, record);
            let value_of = |column: &str| {
                mapping
                    .field(column)
                    .zip(row.get(column))
                    .and_then(|(field, value)| value::to_text(field, value))
            };
            for lost in lost {
                if let Some(differs) = differences(mapping, &lost.sent, value_of) {
                    found.push((lost.row, Candidate { sfid: sfid.to_owned(), differs }));
                }
            }
        }
        match page.next.take().filter(|_| pages < PAGES) {
            Some(next) => page = shared.client.select_more(&selection, &next).await?,
            None => break,
        }
    }
    Ok(found)
}

/// Records made since then, and perhaps of certain values. An object without any date is looked through whole.
fn clauses(mapping: &Mapping, since: DateTime<Utc>, narrowed: Option<&str>) -> String {
    let made = mapping.system.stamp.map(|_| format!("CreatedDate >= {}", instant(since - SKEW)));
    let conditions: Vec<String> = made.into_iter().chain(narrowed.map(str::to_owned)).collect();
    if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) }
}

/// The condition on the one short field whose values tell the rows apart best; the others are compared here, for a field
/// may not be one that queries can be narrowed by.
fn telling(mapping: &Mapping, lost: &[LostInsert]) -> Option<String> {
    let values = |field: &Field| -> Option<Vec<String>> {
        let value = |sent: &Hstore| sent.get(&field.column)?.as_deref().map(|text| literal(text.trim()));
        let mut values: Vec<String> = lost.iter().map(|lost| value(&lost.sent)).collect::<Option<_>>()?;
        values.sort_unstable();
        values.dedup();
        Some(values)
    };
    let is_short = |field: &&Field| {
        let kind = matches!(field.kind, FieldType::String | FieldType::Email | FieldType::Phone);
        kind && field.is_read() && !field.name.contains('.') && !mapping.rules.masked(&field.column)
    };
    let telling = mapping.fields.iter().filter(is_short).filter_map(|field| Some((field, values(field)?)));
    let (field, values) = telling.max_by_key(|(_, values)| values.len())?;
    let list = values.join(",");
    (list.len() <= VALUES).then(|| format!("{} IN ({list})", field.name))
}
