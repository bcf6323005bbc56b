//! Single records: create, read, update, delete, by id and by key.

use axum::body::Body;
use axum::http::{Method, Response, header};
use serde_json::{Map, Value, json};

use super::call::Call;
use super::ids::long_id;
use super::queries;
use super::response::{answer, empty, not_found, refusal, rejected, unreadable};
use super::save;
use super::soql::Answer;
use super::transaction::Access;
use super::values::mistyped;

/// The body as one record, unless it cannot be read as one of this object's.
fn record_body(
    access: Access<'_>,
    call: &Call,
    object: &str,
) -> Result<Map<String, Value>, Box<Response<Body>>> {
    let def = access.def(object).ok_or_else(|| Box::new(not_found()))?;
    let parsed: Result<Map<String, Value>, _> = serde_json::from_slice(&call.body);
    let record = parsed.map_err(|error| unreadable(&error))?;
    match mistyped(&def, &record) {
        Some(message) => Err(Box::new(refusal(400, "JSON_PARSER_ERROR", &message))),
        None => Ok(record),
    }
}

pub(super) fn create_row(access: Access<'_>, call: &Call, object: &str, version: &str) -> Response<Body> {
    if call.method != Method::POST {
        return refusal(
            405,
            "METHOD_NOT_ALLOWED",
            &format!("HTTP Method '{}' not allowed. Allowed are GET,POST", call.method),
        );
    }
    let record = match record_body(access, call, object) {
        Ok(record) => record,
        Err(response) => return *response,
    };
    let writer = call.writer(1);
    match access.write(|state| save::create(state, object, record, &writer)) {
        Ok(id) => created_at(object, &id, version, &json!({"id": id, "success": true, "errors": []})),
        Err(rejections) => rejected(&rejections),
    }
}

/// 201, and where the record is.
fn created_at(object: &str, id: &str, version: &str, body: &Value) -> Response<Body> {
    let mut response = answer(201, body);
    if let Ok(location) = format!("/services/data/{version}/sobjects/{object}/{id}").parse() {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// Up to version 45 an update by a key has no body.
fn upserted(object: &str, id: &str, created: bool, version: &str) -> Response<Body> {
    let number: f64 = version.trim_start_matches('v').parse().unwrap_or(f64::MAX);
    let body = json!({"id": id, "success": true, "errors": [], "created": created});
    match created {
        true => created_at(object, id, version, &body),
        false if number < 46.0 => empty(204),
        false => answer(200, &body),
    }
}

pub(super) fn row(access: Access<'_>, call: &Call, object: &str, id: &str, version: &str) -> Response<Body> {
    if call.method == Method::GET {
        return get_row(access, call, object, id, version);
    }
    let writer = call.writer(1);
    match call.method {
        Method::PATCH => match record_body(access, call, object) {
            Err(response) => *response,
            Ok(record) => access
                .write(|state| save::update(state, object, id, record, &writer))
                .map_or_else(|no| rejected(&no), |()| empty(204)),
        },
        Method::DELETE if access.def(object).is_some_and(|def| !def.is_deletable()) => {
            refusal(405, "METHOD_NOT_ALLOWED", "HTTP Method 'DELETE' not allowed. Allowed are HEAD,GET,PATCH")
        }
        Method::DELETE => access
            .write(|state| save::delete_of(state, object, id, &writer))
            .map_or_else(|no| rejected(&no), |_| empty(204)),
        _ => refusal(
            405,
            "METHOD_NOT_ALLOWED",
            &format!("HTTP Method '{}' not allowed. Allowed are HEAD,GET,PATCH,DELETE", call.method),
        ),
    }
}

/// Some fields of a record, or all; asked for as any query does.
fn get_row(access: Access<'_>, call: &Call, object: &str, id: &str, version: &str) -> Response<Body> {
    let Some(id) = long_id(id).filter(|_| access.def(object).is_some()) else { return not_found() };
    let fields = call.query.get("fields").map_or("FIELDS(ALL)", String::as_str);
    let soql = format!("SELECT {fields} FROM {object} WHERE Id = '{id}' LIMIT 1");
    match queries::ask(access, &soql, false) {
        Ok(Answer::Records(rows)) if rows.len() == 1 => {
            answer(200, &rows.page(0..1, version).pop().unwrap_or_default())
        }
        Ok(_) => not_found(),
        Err(fault) => refusal(400, fault.code, &fault.told(&soql)),
    }
}

pub(super) fn row_by_key(
    access: Access<'_>,
    call: &Call,
    object: &str,
    key: &str,
    value: &str,
    version: &str,
) -> Response<Body> {
    let Some(def) = access.def(object) else { return not_found() };
    let Some(field) = def.field(key).filter(|field| field.is_id_lookup() && field.name != "Id").cloned()
    else {
        let message = format!("Provided external ID field does not exist or is not accessible: {key}");
        return refusal(404, "NOT_FOUND", &message);
    };
    let is_part = access.is_part();
    let found = field.folded(&Value::from(value));
    let found = found.map(|value| access.read(|state| state.ids_by(object, &field, &value, is_part)));
    let found = found.unwrap_or_default();
    if found.len() > 1 {
        let url = |id: &String| format!("/services/data/{version}/sobjects/{object}/{id}");
        return answer(300, &found.iter().map(url).collect());
    }
    match (&call.method, found.first()) {
        (&Method::PATCH, _) => {
            let mut record = match record_body(access, call, object) {
                Ok(record) => record,
                Err(response) => return *response,
            };
            record.insert(field.name.clone(), Value::from(value));
            let writer = call.writer(1);
            match access.write(|state| save::upsert(state, object, &field.name, record, &writer)) {
                Ok((id, created)) => upserted(object, &id, created, version),
                Err(rejections) => rejected(&rejections),
            }
        }
        (_, Some(id)) => row(access, call, object, id, version),
        (_, None) => not_found(),
    }
}
