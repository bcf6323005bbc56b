//! sObject Collections: up to 200 records in one call, each saved or refused for itself, or all or none.

use std::collections::HashMap;

use axum::body::Body;
use axum::http::{Method, Response};
use serde_json::{Map, Value, json};

use super::call::Call;
use super::ids::long_id;
use super::org::State;
use super::queries::ask;
use super::rejection::{Rejection, Saved, collection_errors};
use super::response::{answer, not_found, refusal, unreadable};
use super::save::{self, Writer};
use super::soql::Answer;
use super::transaction::{Access, Savepoint};
use super::values::mistyped;

/// The most records of one call.
const COLLECTION: usize = 200;
/// The most that are read in one.
const RETRIEVED: usize = 2_000;

pub(super) fn answer_collection(
    access: Access<'_>,
    call: &Call,
    version: &str,
    rest: &[&str],
) -> Response<Body> {
    if let (&Method::GET | &Method::POST, [object]) = (&call.method, rest) {
        return retrieve(access, call, object, version);
    }
    if call.method == Method::DELETE {
        let ids: Vec<String> =
            call.query.get("ids").map(|ids| ids.split(',').map(str::to_owned).collect()).unwrap_or_default();
        let all_or_none = call.query.get("allOrNone").is_some_and(|word| word == "true");
        return each(access, call, ids.len(), all_or_none, |state, at, writer| {
            save::delete(state, &ids[at], writer).map(|id| (id, None))
        });
    }
    let body: Value = match serde_json::from_slice(&call.body) {
        Ok(body) => body,
        Err(error) => return unreadable(&error),
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
    let wrong = records.iter().find_map(|record| mistyped(access.def(&kind(record))?.as_ref(), record));
    if let Some(message) = wrong {
        return refusal(400, "JSON_PARSER_ERROR", &message);
    }
    let all_or_none = body.get("allOrNone").and_then(Value::as_bool).unwrap_or(false);
    let given = |at: usize, name: &str| -> Option<&Value> {
        records[at].iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    };
    // As values are compared: ids in their long form, keys by their field.
    let key = match rest {
        [object, key] => access.def(object).and_then(|def| def.field(key).cloned()),
        _ => None,
    };
    let twice = named_twice((0..records.len()).map(|at| match &key {
        Some(key) if key.name != "Id" => key.folded(given(at, &key.name)?),
        _ => long_id(given(at, "Id")?.as_str()?),
    }));
    match (&call.method, rest) {
        (&Method::POST, []) => each(access, call, records.len(), all_or_none, |state, at, writer| {
            save::create(state, &kind(&records[at]), records[at].clone(), writer).map(|id| (id, None))
        }),
        (&Method::PATCH, []) => each(access, call, records.len(), all_or_none, |state, at, writer| {
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
            // The first of them is carried out.
            if twice.get(&at) == Some(&false) {
                let message = format!("duplicate id specified: {id}");
                return Err(vec![Rejection::new("DUPLICATE_VALUE", message, &["Id"])]);
            }
            save::update(state, &kind(&records[at]), id, records[at].clone(), writer)
                .map(|()| (long_id(id).unwrap_or_default(), None))
        }),
        (&Method::PATCH, [object, key]) => {
            each(access, call, records.len(), all_or_none, |state, at, writer| {
                if twice.contains_key(&at) {
                    let value = given(at, key)
                        .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
                    let message = format!("Duplicate external id specified: {}", value.unwrap_or_default());
                    return Err(vec![Rejection::new("DUPLICATE_VALUE", message, &[key])]);
                }
                save::upsert(state, object, key, records[at].clone(), writer)
                    .map(|(id, created)| (id, Some(created)))
            })
        }
        _ => not_found(),
    }
}

/// The places of records that name what another of the call names, and whether they are the first that does.
pub(super) fn named_twice(names: impl Iterator<Item = Option<String>>) -> HashMap<usize, bool> {
    let mut places: HashMap<String, Vec<usize>> = HashMap::new();
    for (at, name) in names.enumerate() {
        if let Some(name) = name {
            places.entry(name).or_default().push(at);
        }
    }
    let alike = places.into_values().filter(|places| places.len() > 1);
    alike.flat_map(|places| places.into_iter().enumerate().map(|(nth, at)| (at, nth == 0))).collect()
}

/// Saves each record of a collection, answering in its order. With allOrNone, one that fails takes all back.
fn each(
    access: Access<'_>,
    call: &Call,
    count: usize,
    all_or_none: bool,
    mut one: impl FnMut(&mut State, usize, &Writer) -> Saved<(String, Option<bool>)>,
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
    let writer = call.writer(count);
    let results: Vec<Saved<(String, Option<bool>)>> = access.write(|state| {
        let before = all_or_none.then(|| Savepoint::of(state));
        let results: Vec<_> = (0..count).map(|at| one(state, at, &writer)).collect();
        match before {
            Some(before) if results.iter().any(Result::is_err) => before.restore(state),
            Some(before) => before.release(state),
            None => {}
        }
        results
    });
    let rolled_back = all_or_none && results.iter().any(Result::is_err);
    let mut body: Vec<Value> = results.iter().map(|result| collection_result(result, rolled_back)).collect();
    access.note(|state| state.faults.spoil(&mut body));
    answer(200, &Value::from(body))
}

/// Records by their ids, in the order of these; null for what is not there.
fn retrieve(access: Access<'_>, call: &Call, object: &str, version: &str) -> Response<Body> {
    let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
    let list = |name: &str| -> Vec<String> {
        let text =
            call.query.get(name).map(|text| text.split(',').map(|word| word.trim().to_owned()).collect());
        let listed = || {
            let words = body.get(name)?.as_array()?.iter().filter_map(Value::as_str);
            Some(words.map(str::to_owned).collect())
        };
        text.or_else(listed).unwrap_or_default()
    };
    let (ids, fields) = (list("ids"), list("fields"));
    if access.def(object).is_none() {
        return not_found();
    }
    if ids.is_empty() || fields.is_empty() {
        return refusal(400, "MISSING_ARGUMENT", "ids and fields must be specified");
    }
    if ids.len() > RETRIEVED {
        let message =
            format!("record limit reached. cannot retrieve more than {RETRIEVED} records in this call");
        return refusal(400, "EXCEEDED_ID_LIMIT", &message);
    }
    let long: Vec<Option<String>> = ids.iter().map(|id| long_id(id)).collect();
    let named: Vec<String> = long.iter().flatten().map(|id| format!("'{id}'")).collect();
    let with_id = !fields.iter().any(|field| field.eq_ignore_ascii_case("Id"));
    let fields = fields.join(",");
    let condition =
        if named.is_empty() { "Id = null".to_owned() } else { format!("Id IN ({})", named.join(",")) };
    let soql = format!("SELECT {fields}{} FROM {object} WHERE {condition}", if with_id { ",Id" } else { "" });
    match ask(access, &soql, false) {
        Ok(Answer::Records(rows)) => {
            let id_of = |record: &Value| record["Id"].as_str().map(str::to_owned);
            let page = rows.page(0..rows.len(), version);
            let mut found: HashMap<String, Value> =
                page.into_iter().filter_map(|record| Some((id_of(&record)?, record))).collect();
            if with_id {
                found
                    .values_mut()
                    .filter_map(Value::as_object_mut)
                    .for_each(|record| drop(record.shift_remove("Id")));
            }
            let of =
                |id: &Option<String>| id.as_ref().and_then(|id| found.get(id).cloned()).unwrap_or_default();
            answer(200, &long.iter().map(of).collect())
        }
        Ok(_) => refusal(400, "MALFORMED_QUERY", "fields must be names of fields"),
        Err(fault) => refusal(400, fault.code, &fault.told(&soql)),
    }
}

fn collection_result(result: &Saved<(String, Option<bool>)>, rolled_back: bool) -> Value {
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
        Err(rejections) => json!({"success": false, "errors": collection_errors(rejections)}),
    }
}
