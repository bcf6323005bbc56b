//! What consoles ask of the engine: above all a record's values in Salesforce, now.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::domain::mappings::field::{Field, FieldType};
use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::{RowId, RowRef, Sfid};
use crate::domain::operations::request::Request;
use crate::domain::records::record::{RecordView, SalesforceState, SalesforceValues};
use crate::domain::values::hstore::Hstore;
use crate::domain::values::key::{self, Key};
use crate::domain::values::masking::Hidden;
use crate::postgres::operations::commands::EngineCommand;
use crate::salesforce::{self, query, value};

use super::read::{fetch, reader};
use super::write::resend;
use super::{Shared, long_request, parts};
use crate::salesforce::retry::{TRIES, again};

/// Between looks, should an announcement be missed (a pooler in transaction mode passes none on).
const PAUSE: Duration = Duration::from_millis(500);

/// How long a moment's outage is waited out for whoever asks: half of what they wait in all.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs until the end of the engine.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut answering = JoinSet::new();
    while !shared.stop.is_cancelled() {
        match shared.store.take_commands().await {
            Ok(commands) => {
                for command in commands {
                    answering.spawn(parts::here(answer(shared.clone(), command)));
                }
            }
            Err(_) => {
                shared.pause(PAUSE).await;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = shared.wake_answers.notified() => {}
            // A bug in an answer is one of the engine; whoever asked would wait in vain.
            Some(Err(failed)) = answering.join_next() => {
                if let Ok(panic) = failed.try_into_panic() {
                    std::panic::resume_unwind(panic);
                }
            }
            () = shared.stop.cancelled() => {}
        }
    }
    // What takes long goes on while the configuration changes; the end of the program ends it.
    answering.detach_all();
}

async fn answer(shared: Arc<Shared>, command: EngineCommand) {
    let id = command.id;
    let result = match &command.request {
        Ok(Request::Fetch { table, rows, candidates }) => fetch(&shared, table, rows, *candidates).await,
        Ok(Request::Existing { at, sfid }) => existing(&shared, at, sfid.as_deref()).await,
        Ok(Request::Record { table, sfid }) => record(&shared, table, sfid).await,
        Ok(Request::Reread { at }) => reread(&shared, at).await,
        Ok(Request::Verify { table }) => verify(&shared, id, table).await,
        Ok(Request::DryRun { table, limit }) => dry_run(&shared, id, table, *limit).await,
        Err(kind) => Err(format!(
            "this engine does not know how to answer {kind:?} as it was asked; its version is another one than the console's"
        )),
    };
    let _ = shared.store.answer(id, result).await;
}

async fn verify(shared: &Shared, id: i64, table: &str) -> Result<Value, String> {
    long_request::verify(shared, id, &mapping_of(shared, table).await?).await
}

async fn dry_run(shared: &Shared, id: i64, table: &str, limit: usize) -> Result<Value, String> {
    long_request::dry_run(shared, id, &mapping_of(shared, table).await?, limit).await
}

/// The mapping that a request is about, once Salesforce may be asked.
async fn mapping_of(shared: &Shared, table: &str) -> Result<Mapping, String> {
    let mappings = shared.mappings();
    let mapping = mappings
        .iter()
        .find(|mapping| mapping.table == table)
        .ok_or_else(|| format!("this engine has no mapping of the table {table:?}"))?;
    let given_up = Instant::now() + PATIENCE;
    while let Some(wait) = shared.link.closed_for() {
        if Instant::now() + wait > given_up || !shared.pause(wait).await {
            let status = shared.link.status(None, None);
            return Err(format!(
                "Salesforce is not asked for another {} s: {}",
                wait.as_secs() + 1,
                status.detail.unwrap_or(status.state.to_string())
            ));
        }
    }
    Ok(mapping.clone())
}

/// The record that is in Salesforce already for a row: the one that the error's message names, else the one with the
/// row's external id, else (a duplicate rule names none) the only one with the row's e-mail address.
async fn existing(shared: &Shared, at: &RowRef, given: Option<&str>) -> Result<Value, String> {
    let mapping = mapping_of(shared, &at.table).await?;
    let told = |error: &dyn std::fmt::Display| error.to_string();
    if let Some(given) = given {
        let records =
            fetch::records(&shared.client, &mapping, &[given]).await.map_err(|error| told(&error))?;
        let found = records.into_keys().next();
        return found
            .map(|id| json!(id))
            .ok_or_else(|| format!("Salesforce has no {} {given}", mapping.object));
    }
    let record = shared.store.record(&mapping, at).await.map_err(|error| told(&error))?;
    if let Some(sfid) = resend::only_candidate(shared, &mapping, at).await? {
        return Ok(sfid);
    }
    let message = record.error.as_ref().map(|error| error.message.clone()).unwrap_or_default();
    for id in message.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| Sfid::parse(word).is_some()) {
        let soql = format!("SELECT Id FROM {} WHERE Id = {}", mapping.object, query::literal(id));
        // An id of another object is no record of this one, which Salesforce may also put as an error.
        let page = shared.client.query(&soql).await.ok();
        let found = page.and_then(|page| Some(page.records.first()?.get("Id")?.clone()));
        if let Some(sfid) = found {
            return Ok(sfid);
        }
    }
    let column = mapping.external_id_column();
    let of_key = record.values.iter().find(|(field, _)| Some(&field.column) == column.as_ref());
    let of_key = of_key.and_then(|(field, key)| Some((field, Key::of(field, key.as_deref()?)?)));
    if let Some((field, key)) = of_key {
        let found = shared.client.ids_by_key(&mapping.object, field, &[&key.text]).await;
        if let Some(sfid) = found.map_err(|error| told(&error))?.get(&key.folded) {
            return Ok(json!(sfid));
        }
    }
    if record.error.as_ref().is_some_and(|error| error.code == "DUPLICATES_DETECTED")
        && let Some(sfid) = by_email(shared, &mapping, &record).await?
    {
        return Ok(sfid);
    }
    Err(format!(
        "Salesforce has no {} that the message names, and none with this row's external id",
        mapping.object
    ))
}

/// The one record that has the row's e-mail address.
async fn by_email(shared: &Shared, mapping: &Mapping, record: &RecordView) -> Result<Option<Value>, String> {
    let address = record.values.iter().find_map(|(field, value)| {
        (field.kind == FieldType::Email).then(|| Some((&field.name, value.as_deref()?.trim())))?
    });
    let Some((field, address)) = address.filter(|(_, address)| !address.is_empty()) else { return Ok(None) };
    let soql =
        format!("SELECT Id FROM {} WHERE {field} = {} LIMIT 2", mapping.object, query::literal(address));
    let told = |error: salesforce::Error| Hidden::of(mapping, &shown(record)).hide(&error.to_string());
    let page = shared.client.query(&soql).await.map_err(told)?;
    match page.records.as_slice() {
        [one] => Ok(one.get("Id").cloned()),
        [] => Ok(None),
        _ => Err(format!(
            "several {} have the address {}; which of them is meant, only a person can tell",
            mapping.object,
            Hidden::of(mapping, &shown(record)).hide(address)
        )),
    }
}

/// A row's values as they are shown.
fn shown(record: &RecordView) -> Hstore {
    record.values.iter().map(|(field, value)| (field.column.clone(), value.clone())).collect()
}

/// Reads the object's definition again, and the row's record where this engine is the one that reads the mapping.
async fn reread(shared: &Shared, at: &RowRef) -> Result<Value, String> {
    let mapping = mapping_of(shared, &at.table).await?;
    reader::reread(shared, &mapping, at).await
}

/// The values of a record, whichever row has it.
async fn record(shared: &Shared, table: &str, sfid: &String) -> Result<Value, String> {
    let mapping = mapping_of(shared, table).await?;
    let told = |error: &dyn std::fmt::Display| error.to_string();
    let asked_at = shared.store.now().await.map_err(|error| told(&error))?;
    let ids = [sfid.as_str()];
    let records = again(TRIES, || fetch::records(&shared.client, &mapping, &ids)).await;
    let records = records.map_err(|error| told(&error))?;
    Ok(json!(side(&mapping, asked_at, Some(sfid), records.get(sfid.as_str()))))
}

/// The values of rows' records, by row.
async fn fetch(shared: &Shared, table: &str, rows: &[RowId], candidates: bool) -> Result<Value, String> {
    let mapping = mapping_of(shared, table).await?;
    let told = |error: &dyn std::fmt::Display| error.to_string();
    let asked_at = shared.store.now().await.map_err(|error| told(&error))?;
    let mut sfids = shared.store.sfids_of(table, rows).await.map_err(|error| told(&error))?;
    for (row, sfid) in by_key(shared, &mapping, rows, &sfids).await? {
        sfids.insert(row, sfid);
    }
    // Who looks at a row is shown the record that may be its own beside it.
    if candidates {
        let may_be = shared.store.sole_candidates(table, rows).await.map_err(|error| told(&error))?;
        for (row, sfid) in may_be {
            sfids.entry(row).or_insert(sfid);
        }
    }
    let ids: Vec<&str> = sfids.values().map(String::as_str).collect();
    let records = again(TRIES, || fetch::records(&shared.client, &mapping, &ids))
        .await
        .map_err(|error| told(&error))?;
    let mut found = BTreeMap::new();
    for &row in rows {
        let sfid = sfids.get(&row);
        let record = sfid.and_then(|sfid| records.get(sfid.as_str()));
        let values = side(&mapping, asked_at, sfid, record);
        let _ = shared.store.keep_fetched(&RowRef { table: table.to_owned(), row }, &values).await;
        found.insert(row.to_string(), values);
    }
    Ok(json!(found))
}

/// Records of rows that do not know them, by their external ids: an answer may have been lost.
async fn by_key(
    shared: &Shared,
    mapping: &Mapping,
    rows: &[RowId],
    known: &HashMap<RowId, String>,
) -> Result<Vec<(RowId, String)>, String> {
    let unknown: Vec<RowId> = rows.iter().copied().filter(|row| !known.contains_key(row)).collect();
    let (Some(field), false) = (mapping.external_id_field(), unknown.is_empty()) else {
        return Ok(Vec::new());
    };
    let told = |error: &dyn std::fmt::Display| error.to_string();
    let keys =
        shared.store.keys_of(&mapping.table, &field.column, &unknown).await.map_err(|error| told(&error))?;
    let wanted: Vec<&str> = keys.values().map(String::as_str).collect();
    let found = again(TRIES, || shared.client.ids_by_key(&mapping.object, field, &wanted));
    let found = found.await.map_err(|error| told(&error))?;
    let mut records = Vec::new();
    for (row, key) in &keys {
        let folded = key::fold(field, key);
        let Some(sfid) = folded.and_then(|key| found.get(&key)) else { continue };
        // A record that another row has is that row's.
        if shared.store.row_of(mapping, sfid).await.map_err(|error| told(&error))?.is_none() {
            records.push((*row, sfid.clone()));
        }
    }
    Ok(records)
}

/// Salesforce's side of a row.
fn side(
    mapping: &Mapping,
    fetched_at: DateTime<Utc>,
    sfid: Option<&String>,
    record: Option<&Value>,
) -> SalesforceValues {
    let state = match (sfid, record) {
        (_, Some(_)) => SalesforceState::Found,
        (Some(_), None) => SalesforceState::Deleted,
        (None, None) => SalesforceState::NoRecord,
    };
    let row = record.map(|record| value::to_row(mapping, record)).unwrap_or_default();
    let text = |field: &Field| row.get(&field.column).and_then(|found| value::to_text(field, found));
    let fields = mapping.read_fields().filter(|_| record.is_some());
    SalesforceValues {
        fetched_at,
        state,
        sfid: sfid.cloned(),
        values: fields.map(|field| (field.column.clone(), text(field))).collect(),
    }
}
