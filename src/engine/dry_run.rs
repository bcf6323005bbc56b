//! A sync on trial: some rows of a mapping as they would be sent, checked here, and then really sent in calls that
//! Salesforce takes back whole, so that its validation rules and triggers speak. No record stays changed.
//!
//! A call with allOrNone is taken back when one record of it fails. Salesforce works consecutive records of one object
//! as a chunk, through all its rules and triggers, before it begins the next; so the record that is bound to fail comes
//! last and is of another object, and fails as late as anything can.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::config::Config;
use crate::domain::changes::dry_run::{DryRun, DryRunRow};
use crate::domain::changes::outgoing::{Outgoing, outgoing};
use crate::domain::mappings::field::Op;
use crate::domain::mappings::mapping::{Access, Mapping};
use crate::domain::names::RowId;
use crate::domain::values::hstore::Hstore;
use crate::domain::values::key::Key;
use crate::postgres::{self, Store};
use crate::salesforce::collections::{MAX_RECORDS, ROLLED_BACK, SaveResult};
use crate::salesforce::{Client, value};

use super::prepare;
use crate::salesforce::retry::{TRIES, again};

/// Why nothing was tried. The text says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DryRunError(pub String);

impl From<postgres::Error> for DryRunError {
    fn from(error: postgres::Error) -> DryRunError {
        DryRunError(error.to_string())
    }
}

/// The most rows of one trial: a call takes 200 records, one of which is bound to fail.
pub const MOST: usize = MAX_RECORDS - 1;

/// A mapping as it is configured, under the rules in force, whether it is switched on or not.
///
/// # Errors
/// An unknown mapping, object or field; an org that does not answer.
pub async fn mapping(
    config: &Config,
    store: &Store,
    client: &Client,
    name: &str,
) -> Result<Mapping, DryRunError> {
    let told = |error: &dyn std::fmt::Display| DryRunError(error.to_string());
    let is = |written: &&crate::config::MappingConfig| {
        written.object.eq_ignore_ascii_case(name) || written.table == name
    };
    let written = config.mappings.iter().find(is).ok_or_else(|| {
        let known: Vec<&str> = config.mappings.iter().map(|written| written.object.as_str()).collect();
        DryRunError(format!(
            "{} has no mapping {name:?}\nit has: {}",
            config.path.display(),
            known.join(", ")
        ))
    })?;
    // What runs already is tried as it runs, rules set at run time included.
    if store.is_installed().await?
        && let Ok(mapping) = store.registered(&written.object).await
    {
        return Ok(mapping);
    }
    let describe = client.describe(&written.object, None).await.map_err(|error| told(&error))?;
    let Some((describe, _)) = describe else {
        return Err(DryRunError(format!("Salesforce did not describe {}", written.object)));
    };
    prepare::mapping(config, written, &describe, None).map_err(|error| told(&error))
}

/// Tries the newest rows of a mapping.
///
/// # Errors
/// A table that is not there; a Salesforce that does not answer, or that did not take everything back.
pub async fn run(
    store: &Store,
    client: Option<&Client>,
    mapping: &Mapping,
    limit: usize,
) -> Result<DryRun, DryRunError> {
    if mapping.access == Access::ReadOnly {
        return Err(DryRunError(format!(
            "{} is mapped read-only: nothing of it is ever sent",
            mapping.object
        )));
    }
    let rows = store.newest_rows(mapping, i64::try_from(limit.min(MOST)).unwrap_or(1)).await?;
    let mut items: Vec<(DryRunRow, Option<Value>)> =
        rows.into_iter().map(|(row, values)| check(mapping, row, &values)).collect();
    if let Some(client) = client {
        known_by_key(client, mapping, &mut items).await?;
        for op in ["insert", "update"] {
            let mut tried: Vec<&mut (DryRunRow, Option<Value>)> =
                items.iter_mut().filter(|(tried, record)| tried.op == op && record.is_some()).collect();
            if !tried.is_empty() {
                send(client, mapping, op, &mut tried).await?;
            }
        }
    }
    let items: Vec<DryRunRow> = items.into_iter().map(|(tried, _)| tried).collect();
    Ok(DryRun {
        mapping: mapping.object.clone(),
        offline: client.is_none(),
        rows: items.len(),
        passed: items.iter().filter(|tried| tried.passes).count(),
        items,
    })
}

/// New rows go by external id: one whose record is there already is an update.
async fn known_by_key(
    client: &Client,
    mapping: &Mapping,
    items: &mut [(DryRunRow, Option<Value>)],
) -> Result<(), DryRunError> {
    let Some(field) = mapping.external_id_field().filter(|_| mapping.rules.upsert) else { return Ok(()) };
    let key_of = |tried: &DryRunRow| Key::of(field, tried.sent.get(&field.name)?.as_ref()?);
    let keys: Vec<Key> = items
        .iter()
        .filter(|(tried, _)| tried.op == "insert")
        .filter_map(|(tried, _)| key_of(tried))
        .collect();
    let keys: Vec<&str> = keys.iter().map(|key| key.text.as_str()).collect();
    let known = again(TRIES, || client.ids_by_key(&mapping.object, field, &keys)).await;
    let known = known.map_err(|error| DryRunError(error.to_string()))?;
    for (tried, record) in items.iter_mut().filter(|(tried, _)| tried.op == "insert") {
        if let (Some(sfid), Some(record)) = (key_of(tried).and_then(|key| known.get(&key.folded)), record) {
            record["id"] = json!(sfid);
            (tried.op, tried.sfid) = ("update".to_owned(), Some(sfid.clone()));
        }
    }
    Ok(())
}

/// A row by the mapping's rules and checks, and the record that would go out.
fn check(mapping: &Mapping, row: RowId, values: &Hstore) -> (DryRunRow, Option<Value>) {
    let sfid = values.get("sfid").cloned().flatten();
    let op = if sfid.is_some() { Op::Update } else { Op::Insert };
    // Of a row that has a record, what nobody may change is not what a change would be about.
    let own: Hstore = values
        .iter()
        .filter(|(column, _)| op == Op::Insert || mapping.field(column).is_some_and(|field| field.updateable))
        .map(|(column, value)| (column.clone(), value.clone()))
        .collect();
    let mut tried = DryRunRow {
        row,
        sfid: sfid.clone(),
        op: if sfid.is_some() { "update" } else { "insert" }.to_owned(),
        passes: true,
        refused_by: None,
        code: None,
        message: None,
        fields: Vec::new(),
        sent: BTreeMap::new(),
        left_out: BTreeMap::new(),
    };
    match outgoing(mapping, op, &own) {
        Ok(Outgoing { values, left_out }) => {
            tried.left_out = left_out.into_iter().map(|left| (left.field, left.why)).collect();
            let mut record = Map::new();
            record.insert("attributes".to_owned(), json!({"type": mapping.object}));
            if let Some(sfid) = sfid {
                record.insert("id".to_owned(), json!(sfid));
            }
            for (column, text) in &values {
                let Some(field) = mapping.field(column) else { continue };
                tried.sent.insert(field.name.clone(), text.clone());
                if let Err(unsendable) = value::put(&mut record, mapping, field, text.as_deref()) {
                    refuse(
                        &mut tried,
                        "check",
                        "NOT_A_NUMBER",
                        &unsendable.to_string(),
                        vec![field.name.clone()],
                    );
                    return (tried, None);
                }
            }
            (tried, Some(Value::Object(record)))
        }
        Err(refusal) => {
            refuse(&mut tried, "check", refusal.code, &refusal.message, refusal.fields);
            (tried, None)
        }
    }
}

fn refuse(tried: &mut DryRunRow, by: &str, code: &str, message: &str, fields: Vec<String>) {
    tried.passes = false;
    tried.refused_by = Some(by.to_owned());
    (tried.code, tried.message, tried.fields) = (Some(code.to_owned()), Some(message.to_owned()), fields);
}

/// One call that is taken back, with what Salesforce said about each record.
async fn send(
    client: &Client,
    mapping: &Mapping,
    op: &str,
    tried: &mut [&mut (DryRunRow, Option<Value>)],
) -> Result<(), DryRunError> {
    let mut records: Vec<Value> = tried.iter().filter_map(|(_, record)| record.clone()).collect();
    records.push(bound_to_fail(mapping, op));
    // What is taken back whole may be asked again.
    let results = again(TRIES, || client.take_back(op == "insert", &records)).await;
    let results = results.map_err(|error| DryRunError(format!("the trial was not answered: {error}")))?;
    let saved: Vec<&str> =
        results.iter().filter(|result| result.success).filter_map(|result| result.id.as_deref()).collect();
    if !saved.is_empty() {
        // Cannot be, by all that Salesforce documents; whoever finds it out must know at once.
        return Err(DryRunError(format!(
            "Salesforce did not take the trial back: these records were written: {}\nlook at them now",
            saved.join(", ")
        )));
    }
    for ((tried, _), result) in tried.iter_mut().zip(results) {
        let SaveResult { errors, .. } = result;
        if let Some(error) = errors.into_iter().find(|error| error.status_code != ROLLED_BACK) {
            refuse(tried, "salesforce", &error.status_code, &error.message, error.fields);
        }
    }
    Ok(())
}

/// A record that no trigger can save: a reference to what is not there, and a required field missing; for an update, a
/// record that is not there.
fn bound_to_fail(mapping: &Mapping, op: &str) -> Value {
    let (object, prefix, parent) = match mapping.object.as_str() {
        "Account" => ("Contact", "003", "AccountId"),
        _ => ("Account", "001", "ParentId"),
    };
    let mut record = json!({"attributes": {"type": object}});
    if op == "insert" {
        record[parent] = json!("001000000000000AAA");
    } else {
        record["id"] = json!(format!("{prefix}000000000000AAA"));
    }
    record
}
