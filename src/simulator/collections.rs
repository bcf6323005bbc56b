//! sObject Collections: up to 200 records in one call, each saved or refused for itself, or all or none.

use std::collections::{BTreeMap, HashMap};

use axum::body::Body;
use axum::http::{Method, Response};
use serde_json::{Map, Value, json};

use super::checks;
use super::org::{Record, State, long_id};
use super::response::{answer, not_found, refusal};
use super::routes::Call;
use super::save::{self, Rejection, Writer};

/// The most records of one call.
const COLLECTION: usize = 200;

pub(super) fn answer_collection(state: &mut State, call: &Call<'_>, rest: &[&str]) -> Response<Body> {
    if call.method == Method::DELETE {
        let ids: Vec<String> =
            call.query.get("ids").map(|ids| ids.split(',').map(str::to_owned).collect()).unwrap_or_default();
        let all_or_none = call.query.get("allOrNone").is_some_and(|word| word == "true");
        return each(state, ids.len(), all_or_none, |state, at, writer| {
            save::delete(state, &ids[at], writer).map(|id| (id, None))
        });
    }
    let body: Value = match serde_json::from_slice(&call.body) {
        Ok(body) => body,
        Err(error) => {
            return refusal(
                400,
                "JSON_PARSER_ERROR",
                &format!("{error} at [line:{}, column:{}]", error.line(), error.column()),
            );
        }
    };
    let records: Vec<Map<String, Value>> = body
        .get("records")
        .and_then(Value::as_array)
        .map(|records| records.iter().filter_map(|record| record.as_object().cloned()).collect())
        .unwrap_or_default();
    let kind = |record: &Map<String, Value>| {
        record
            .get("attributes")
            .and_then(|attributes| attributes.get("type"))
            .and_then(Value::as_str)
            .unwrap_or("")
            .to_owned()
    };
    // A value of the wrong JSON type fails the whole call before any record is looked at.
    let mistyped =
        records.iter().find_map(|record| checks::mistyped(&state.table(&kind(record))?.def, record));
    if let Some(message) = mistyped {
        return refusal(400, "JSON_PARSER_ERROR", &message);
    }
    let all_or_none = body.get("allOrNone").and_then(Value::as_bool).unwrap_or(false);
    match (call.method, rest) {
        (&Method::POST, []) => each(state, records.len(), all_or_none, |state, at, writer| {
            save::create(state, &kind(&records[at]), records[at].clone(), writer).map(|id| (id, None))
        }),
        (&Method::PATCH, []) => each(state, records.len(), all_or_none, |state, at, writer| {
            let id = records[at]
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case("id"))
                .and_then(|(_, id)| id.as_str());
            let Some(id) = id else {
                return Err(vec![Rejection::new(
                    "MISSING_ARGUMENT",
                    "Id not specified in an update call".to_owned(),
                    &[],
                )]);
            };
            save::update(state, &kind(&records[at]), id, records[at].clone(), writer)
                .map(|()| (long_id(id).unwrap_or_default(), None))
        }),
        (&Method::PATCH, [object, key]) => each(state, records.len(), all_or_none, |state, at, writer| {
            save::upsert(state, object, key, records[at].clone(), writer)
                .map(|(id, created)| (id, Some(created)))
        }),
        _ => not_found(),
    }
}

/// Saves each record of a collection, answering in its order. With allOrNone, one that fails takes all back.
fn each(
    state: &mut State,
    count: usize,
    all_or_none: bool,
    mut one: impl FnMut(&mut State, usize, &Writer) -> save::Saved<(String, Option<bool>)>,
) -> Response<Body> {
    if count == 0 {
        return refusal(400, "REQUIRED_FIELD_MISSING", "At least 1 record is required");
    }
    if count > COLLECTION {
        return refusal(
            400,
            "EXCEEDED_ID_LIMIT",
            "record limit reached. cannot submit more than 200 records into this call",
        );
    }
    let writer = Writer::api(state.requests, count);
    let before = all_or_none.then(|| (clone_tables(state), state.journal.len()));
    let results: Vec<save::Saved<(String, Option<bool>)>> =
        (0..count).map(|at| one(state, at, &writer)).collect();
    let failed = results.iter().any(Result::is_err);
    if let (Some((tables, journal)), true) = (before, failed) {
        restore_tables(state, tables);
        state.journal.truncate(journal);
    }
    let rolled_back = all_or_none && failed;
    let mut body: Vec<Value> = results.iter().map(|result| collection_result(result, rolled_back)).collect();
    state.faults.spoil(&mut body);
    answer(200, &Value::from(body))
}

fn collection_result(result: &save::Saved<(String, Option<bool>)>, rolled_back: bool) -> Value {
    match result {
        Ok(_) if rolled_back => {
            json!({"success": false, "errors": [{"statusCode": "ALL_OR_NONE_OPERATION_ROLLED_BACK",
            "message": "Record rolled back because not all records were valid and the request was using AllOrNone header", "fields": []}]})
        }
        Ok((id, created)) => {
            let mut body = json!({"id": id, "success": true, "errors": []});
            if let Some(created) = created {
                body["created"] = json!(created);
            }
            body
        }
        Err(rejections) => json!({"success": false, "errors": save::collection_errors(rejections)}),
    }
}

type Kept = Vec<(BTreeMap<String, Record>, HashMap<(String, String), String>, u64)>;

fn clone_tables(state: &State) -> Kept {
    state.tables.iter().map(|table| (table.records.clone(), table.unique.clone(), table.next_id)).collect()
}

fn restore_tables(state: &mut State, kept: Kept) {
    for (table, (records, unique, next_id)) in state.tables.iter_mut().zip(kept) {
        (table.records, table.unique, table.next_id) = (records, unique, next_id);
    }
}
