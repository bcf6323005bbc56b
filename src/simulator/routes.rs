//! From a request to its answer. One dispatcher on method and path segments: real clients add trailing slashes and
//! name any version.

use std::collections::HashMap;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State as Extract;
use axum::http::{HeaderMap, Method, Request, Response, header};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};

use super::administrator::Order;
use super::faults::{Early, Faults, Late};
use super::org::{Org, State, datetime, long_id};
use super::response::{answer, empty, not_found, refusal, rejected};
use super::save::{self, Writer};
use super::schema::{describe, object_head};
use super::{checks, collections, evaluate, oauth, soql};

/// The largest body that is read; a real org takes 50 MB.
const BODY_LIMIT: usize = 50 * 1024 * 1024;
/// The longest request line.
const LINE_LIMIT: usize = 16_384;
/// Records on a page of a query.
const PAGE: usize = 2_000;

/// A request in its parts.
pub(super) struct Call<'a> {
    pub(super) method: &'a Method,
    segments: Vec<&'a str>,
    pub(super) query: HashMap<String, String>,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: Bytes,
    pub(super) host: String,
}

/// Answers any request.
pub(super) async fn dispatch(Extract(org): Extract<Org>, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, BODY_LIMIT).await else {
        return refusal(413, "REQUEST_TOO_LARGE", "The request is too large");
    };
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    if format!("{} {target} HTTP/1.1", parts.method).len() > LINE_LIMIT {
        return too_long();
    }
    let path = percent_decode(parts.uri.path());
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let call = Call {
        method: &parts.method,
        segments: path.split('/').filter(|segment| !segment.is_empty()).collect(),
        query: form(parts.uri.query().unwrap_or("")),
        headers: &parts.headers,
        body,
        host: host.to_owned(),
    };
    let latency = org.lock().faults.faults.latency_ms;
    if latency > 0 && call.segments.first() != Some(&"_simulator") {
        tokio::time::sleep(Duration::from_millis(latency)).await;
    }
    match call.segments.as_slice() {
        ["_simulator", rest @ ..] => admin(&org, &call, rest),
        ["services", "oauth2", rest @ ..] => oauth::token(&mut org.lock(), &call, rest),
        ["services", "data"] => versions(),
        ["services", "data", version, rest @ ..] => data(&org, &call, version, rest).await,
        _ => not_found(),
    }
}

/// What the front of the org answers before anybody reads the request: a page.
fn too_long() -> Response<Body> {
    let page = "<html><head><title>Error 414 URI Too Long</title></head><body><h1>Bad Message 414</h1><pre>reason: URI Too Long</pre></body></html>";
    let mut response = Response::new(Body::from(page));
    *response.status_mut() = axum::http::StatusCode::URI_TOO_LONG;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/html;charset=iso-8859-1"));
    response
}

/// Everything below `/services/data/vXX.0`: the session, the faults, the limit header.
async fn data(org: &Org, call: &Call<'_>, version: &str, rest: &[&str]) -> Response<Body> {
    let (mut response, late) = {
        let mut state = org.lock();
        state.requests += 1;
        let early = state.faults.early();
        if early == Some(Early::SessionExpired) {
            state.tokens.clear();
        }
        let response = match early {
            Some(early) => early_answer(early),
            None if !signed_in(&state, call.headers) => early_answer(Early::SessionExpired),
            None => rest_api(&mut state, call, version, rest),
        };
        let write = !matches!(*call.method, Method::GET) && early.is_none() && response.status().is_success();
        (response, state.faults.late(write))
    };
    match late {
        Some(Late::Lost) => {
            // Carried out, and nobody ever hears of it.
            let lost_after = org.lock().options.lost_after;
            tokio::time::sleep(lost_after).await;
            response = cut(response).await;
        }
        Some(Late::Cut) => response = cut(response).await,
        None => {}
    }
    let state = org.lock();
    let usage = format!("api-usage={}/{}", state.requests, state.options.daily_limit);
    if let Ok(value) = usage.parse() {
        response.headers_mut().insert("Sforce-Limit-Info", value);
    }
    response
}

fn early_answer(early: Early) -> Response<Body> {
    match early {
        Early::SessionExpired => refusal(401, "INVALID_SESSION_ID", "Session expired or invalid"),
        Early::ConcurrentLimit => refusal(
            403,
            "REQUEST_LIMIT_EXCEEDED",
            "ConcurrentRequests (Concurrent API Requests) Limit exceeded.",
        ),
        Early::DailyLimit => refusal(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."),
        Early::TooMany => {
            let mut response = refusal(429, "REQUEST_LIMIT_EXCEEDED", "Too many requests");
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
            response
        }
        Early::ApiDisabled => {
            refusal(403, "API_DISABLED_FOR_ORG", "API is not enabled for this Organization or Partner")
        }
        Early::Unavailable => refusal(503, "SERVER_UNAVAILABLE", "Server Unavailable"),
        Early::ServerError => refusal(
            500,
            "UNKNOWN_EXCEPTION",
            "An unexpected error occurred. Please include this ErrorId if you contact support: 1452464078-314667 (-1173371248)",
        ),
    }
}

fn signed_in(state: &State, headers: &HeaderMap) -> bool {
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer ").or_else(|| value.strip_prefix("OAuth ")));
    token.is_some_and(|token| state.tokens.iter().any(|known| known == token))
}

fn rest_api(state: &mut State, call: &Call<'_>, version: &str, rest: &[&str]) -> Response<Body> {
    match (call.method, rest) {
        (&Method::GET, []) => {
            let base = format!("/services/data/{version}");
            answer(
                200,
                &json!({"sobjects": format!("{base}/sobjects"), "query": format!("{base}/query"),
                "queryAll": format!("{base}/queryAll"), "limits": format!("{base}/limits"), "composite": format!("{base}/composite")}),
            )
        }
        (&Method::GET, ["limits"]) => limits(state),
        (&Method::GET, ["limits", "recordCount"]) => record_count(state, call),
        (&Method::GET, ["sobjects"]) => {
            let objects: Vec<Value> =
                state.tables.iter().map(|table| object_head(&table.def, version)).collect();
            answer(200, &json!({"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": objects}))
        }
        (&Method::GET, ["sobjects", object, "describe"]) => describe_object(state, call, object, version),
        (&Method::GET, ["sobjects", object, "deleted"]) => deleted(state, call, object),
        (&Method::GET, ["sobjects", object, "updated"]) => updated(state, call, object),
        (&Method::GET, ["query"]) => query(state, call, version, false),
        (&Method::GET, ["queryAll"]) => query(state, call, version, true),
        (&Method::GET, ["query" | "queryAll", locator]) => query_more(state, call, locator, version),
        (_, ["composite", "sobjects", rest @ ..]) => collections::answer_collection(state, call, rest),
        (_, ["sobjects", object]) => create_row(state, call, object, version),
        (_, ["sobjects", object, id]) => row(state, call, object, id, version),
        (_, ["sobjects", object, key, value]) => row_by_key(state, call, object, key, value, version),
        _ => not_found(),
    }
}

// ---- sign-in and the small resources ---------------------------------------------------------------------------------

fn versions() -> Response<Body> {
    let versions: Vec<Value> = (59..=67)
        .map(|number| json!({"label": format!("Release {number}"), "url": format!("/services/data/v{number}.0"), "version": format!("{number}.0")}))
        .collect();
    answer(200, &Value::from(versions))
}

fn limits(state: &State) -> Response<Body> {
    let limit = state.options.daily_limit;
    let whole = |max: u64| json!({"Max": max, "Remaining": max});
    answer(
        200,
        &json!({"DailyApiRequests": {"Max": limit, "Remaining": limit.saturating_sub(state.requests)},
            "DailyBulkApiBatches": whole(15_000), "DailyBulkV2QueryJobs": whole(10_000), "DataStorageMB": whole(1_024), "FileStorageMB": whole(1_024)}),
    )
}

fn record_count(state: &State, call: &Call<'_>) -> Response<Body> {
    let wanted = call.query.get("sObjects").map(|names| names.split(',').collect::<Vec<_>>());
    let counts: Vec<Value> = state
        .tables
        .iter()
        .filter(|table| wanted.as_ref().is_none_or(|names| names.contains(&table.def.name.as_str())))
        .map(|table| json!({"count": table.records.values().filter(|record| !record.deleted).count(), "name": table.def.name}))
        .collect();
    answer(200, &json!({"sObjects": counts}))
}

fn describe_object(state: &State, call: &Call<'_>, object: &str, version: &str) -> Response<Body> {
    let Some(table) = state.table(object) else { return not_found() };
    let since = call
        .headers
        .get(header::IF_MODIFIED_SINCE)
        .and_then(|value| DateTime::parse_from_rfc2822(value.to_str().ok()?).ok());
    if since.is_some_and(|since| table.described.timestamp() <= since.timestamp()) {
        return empty(304);
    }
    let mut response = answer(200, &describe(&table.def, version));
    if let Ok(value) = table.described.format("%a, %d %b %Y %H:%M:%S GMT").to_string().parse() {
        response.headers_mut().insert(header::LAST_MODIFIED, value);
    }
    response
}

/// From and to, whole minutes.
type Span = (DateTime<Utc>, DateTime<Utc>);

/// The span that getDeleted and getUpdated are asked for; seconds do not count.
fn span(call: &Call<'_>) -> Result<Span, Box<Response<Body>>> {
    let time = |name: &str| call.query.get(name).and_then(|text| checks::parse_datetime(text));
    let (Some(start), Some(end)) = (time("start"), time("end")) else {
        return Err(Box::new(refusal(400, "INVALID_REPLICATION_DATE", "start and end are needed")));
    };
    let minute = |time: DateTime<Utc>| {
        DateTime::from_timestamp(time.timestamp().div_euclid(60) * 60, 0).unwrap_or(time)
    };
    if start >= end || start < Utc::now() - TimeDelta::days(30) {
        return Err(Box::new(refusal(
            400,
            "INVALID_REPLICATION_DATE",
            "startDate before org replication enabled date, or not before endDate",
        )));
    }
    Ok((minute(start), minute(end)))
}

fn not_replicateable(object: &str) -> Response<Body> {
    refusal(400, "INVALID_TYPE_FOR_OPERATION", &format!("object type {object} is not replicateable"))
}

fn deleted(state: &State, call: &Call<'_>, object: &str) -> Response<Body> {
    let (start, end) = match span(call) {
        Ok(span) => span,
        Err(response) => return *response,
    };
    let Some(table) = state.table(object) else { return not_found() };
    if !table.def.replicateable {
        return not_replicateable(object);
    }
    let records: Vec<Value> = table
        .records
        .values()
        .filter(|record| record.deleted && record.modified >= start && record.modified < end)
        .map(|record| json!({"id": record.id, "deletedDate": datetime(record.modified)}))
        .collect();
    let covered = end.min(Utc::now());
    answer(
        200,
        &json!({"deletedRecords": records, "earliestDateAvailable": datetime(Utc::now() - TimeDelta::days(15)), "latestDateCovered": datetime(covered)}),
    )
}

fn updated(state: &State, call: &Call<'_>, object: &str) -> Response<Body> {
    let (start, end) = match span(call) {
        Ok(span) => span,
        Err(response) => return *response,
    };
    let Some(table) = state.table(object) else { return not_found() };
    if !table.def.replicateable {
        return not_replicateable(object);
    }
    let changed = table
        .records
        .values()
        .filter(|record| !record.deleted && record.modified >= start && record.modified < end);
    let ids: Vec<&str> = changed.map(|record| record.id.as_str()).collect();
    answer(200, &json!({"ids": ids, "latestDateCovered": datetime(end.min(Utc::now()))}))
}

// ---- queries ---------------------------------------------------------------------------------------------------------

fn query(state: &mut State, call: &Call<'_>, version: &str, all: bool) -> Response<Body> {
    if state.faults.query_timeout() {
        return refusal(400, "QUERY_TIMEOUT", "Your query request was running for too long.");
    }
    let text = call.query.get("q").cloned().unwrap_or_default();
    let parsed = match soql::parse(&text) {
        Ok(parsed) => parsed,
        Err(problem) => return refusal(400, "MALFORMED_QUERY", &problem),
    };
    match evaluate::run(state, &parsed, &text, all, version) {
        Err((code, message)) => refusal(400, code, &message),
        Ok((_, count)) if parsed.count => {
            answer(200, &json!({"totalSize": count, "done": true, "records": []}))
        }
        Ok((records, _)) => {
            let size = page_size(call);
            let total = records.len();
            if total <= size {
                return answer(200, &json!({"totalSize": total, "done": true, "records": records}));
            }
            let cursor = super::org::make_id("01g", state.next_cursor);
            state.next_cursor += 1;
            let page = page(&records, 0, size, &cursor, version);
            state.cursors.insert(cursor, records);
            page
        }
    }
}

/// How many records a page holds.
fn page_size(call: &Call<'_>) -> usize {
    let wanted = call.headers.get("Sforce-Query-Options");
    let wanted =
        wanted.and_then(|value| value.to_str().ok()?.split("batchSize=").nth(1)?.parse::<usize>().ok());
    wanted.map_or(PAGE, |size| size.clamp(200, PAGE))
}

fn page(records: &[Value], from: usize, size: usize, cursor: &str, version: &str) -> Response<Body> {
    let end = (from + size).min(records.len());
    let mut body =
        json!({"totalSize": records.len(), "done": end == records.len(), "records": records[from..end]});
    if end < records.len() {
        body["nextRecordsUrl"] = json!(format!("/services/data/{version}/query/{cursor}-{end}"));
    }
    answer(200, &body)
}

fn query_more(state: &mut State, call: &Call<'_>, locator: &str, version: &str) -> Response<Body> {
    let parts =
        locator.split_once('-').and_then(|(cursor, from)| Some((cursor, from.parse::<usize>().ok()?)));
    match parts.and_then(|(cursor, from)| {
        Some((cursor, from, state.cursors.get(cursor).filter(|all| from < all.len())?))
    }) {
        Some((cursor, from, records)) => {
            let size = page_size(call);
            let last = from + size >= records.len();
            let response = page(records, from, size, cursor, version);
            if last {
                state.cursors.remove(cursor);
            }
            response
        }
        None => refusal(400, "INVALID_QUERY_LOCATOR", "invalid query locator"),
    }
}

// ---- rows ------------------------------------------------------------------------------------------------------------

/// The body as one record, unless it cannot be read as one of this object's.
fn record_body(
    state: &State,
    call: &Call<'_>,
    object: &str,
) -> Result<Map<String, Value>, Box<Response<Body>>> {
    let table = state.table(object).ok_or_else(|| Box::new(not_found()))?;
    let parsed: Result<Map<String, Value>, _> = serde_json::from_slice(&call.body);
    let record = parsed.map_err(|error| {
        refusal(
            400,
            "JSON_PARSER_ERROR",
            &format!("{error} at [line:{}, column:{}]", error.line(), error.column()),
        )
    })?;
    match checks::mistyped(&table.def, &record) {
        Some(message) => Err(Box::new(refusal(400, "JSON_PARSER_ERROR", &message))),
        None => Ok(record),
    }
}

fn create_row(state: &mut State, call: &Call<'_>, object: &str, version: &str) -> Response<Body> {
    if call.method != Method::POST {
        return refusal(
            405,
            "METHOD_NOT_ALLOWED",
            &format!("HTTP Method '{}' not allowed. Allowed are GET,POST", call.method),
        );
    }
    let record = match record_body(state, call, object) {
        Ok(record) => record,
        Err(response) => return *response,
    };
    let writer = Writer::api(state.requests, 1);
    match save::create(state, object, record, &writer) {
        Ok(id) => {
            let mut response = answer(201, &json!({"id": id, "success": true, "errors": []}));
            if let Ok(location) = format!("/services/data/{version}/sobjects/{object}/{id}").parse() {
                response.headers_mut().insert(header::LOCATION, location);
            }
            response
        }
        Err(rejections) => rejected(&rejections),
    }
}

fn row(state: &mut State, call: &Call<'_>, object: &str, id: &str, version: &str) -> Response<Body> {
    let writer = Writer::api(state.requests, 1);
    match *call.method {
        Method::GET => get_row(state, call, object, id, version),
        Method::PATCH => match record_body(state, call, object) {
            Err(response) => *response,
            Ok(record) => save::update(state, object, id, record, &writer)
                .map_or_else(|no| rejected(&no), |()| empty(204)),
        },
        Method::DELETE => save::delete(state, id, &writer).map_or_else(|no| rejected(&no), |_| empty(204)),
        _ => refusal(
            405,
            "METHOD_NOT_ALLOWED",
            &format!("HTTP Method '{}' not allowed. Allowed are HEAD,GET,PATCH,DELETE", call.method),
        ),
    }
}

fn get_row(state: &State, call: &Call<'_>, object: &str, id: &str, version: &str) -> Response<Body> {
    let Some(table) = state.table(object) else { return not_found() };
    let Some(record) = long_id(id).and_then(|id| table.records.get(&id)).filter(|record| !record.deleted)
    else {
        return not_found();
    };
    let fields: Vec<String> = match call.query.get("fields") {
        Some(names) => {
            let names: Vec<String> = names.split(',').map(|name| name.trim().to_owned()).collect();
            evaluate::spelt(table, &names)
        }
        None => table.def.fields.iter().map(|field| field.name.clone()).collect(),
    };
    answer(200, &evaluate::shape(state, table, record, &fields, version))
}

fn row_by_key(
    state: &mut State,
    call: &Call<'_>,
    object: &str,
    key: &str,
    value: &str,
    version: &str,
) -> Response<Body> {
    let Some(table) = state.table(object) else { return not_found() };
    let Some(field) = table.def.field(key).filter(|field| field.key).map(|field| field.name.clone()) else {
        let message = format!("Provided external ID field does not exist or is not accessible: {key}");
        return refusal(404, "NOT_FOUND", &message);
    };
    let found = table.unique.get(&(field.clone(), value.to_lowercase())).cloned();
    match (call.method, found) {
        (&Method::PATCH, _) => {
            let mut record = match record_body(state, call, object) {
                Ok(record) => record,
                Err(response) => return *response,
            };
            record.insert(field.clone(), Value::from(value));
            let writer = Writer::api(state.requests, 1);
            match save::upsert(state, object, &field, record, &writer) {
                Ok((id, created)) => answer(
                    if created { 201 } else { 200 },
                    &json!({"id": id, "success": true, "errors": [], "created": created}),
                ),
                Err(rejections) => rejected(&rejections),
            }
        }
        (_, Some(id)) => row(state, call, object, &id, version),
        (_, None) => not_found(),
    }
}

// ---- the simulator's own -----------------------------------------------------------------------------------------------

/// What tests and the curious ask: the journal, the faults, what the administrator is to do. No session is needed; the server listens on loopback.
fn admin(org: &Org, call: &Call<'_>, rest: &[&str]) -> Response<Body> {
    match (call.method, rest) {
        (&Method::GET, ["journal"]) => {
            let since = call.query.get("since").and_then(|text| text.parse().ok()).unwrap_or(0);
            let wanted = |name: &str, value: Option<&str>| {
                call.query.get(name).is_none_or(|wanted| Some(wanted.as_str()) == value)
            };
            let entries: Vec<Value> = org
                .journal_since(since)
                .iter()
                .filter(|entry| {
                    wanted("object", Some(&entry.object))
                        && wanted("id", Some(&entry.id))
                        && wanted("external_id", entry.external_id.as_deref())
                })
                .map(|entry| json!(entry))
                .collect();
            answer(200, &Value::from(entries))
        }
        (&Method::GET, ["faults"]) => answer(200, &json!(org.fault_counts())),
        (&Method::POST, ["administrator"]) => match serde_json::from_slice::<Order>(&call.body) {
            Ok(order) => {
                org.administer(&order);
                empty(204)
            }
            Err(error) => refusal(400, "JSON_PARSER_ERROR", &error.to_string()),
        },
        (&Method::POST, ["faults"]) => match serde_json::from_slice::<Faults>(&call.body) {
            Ok(faults) => {
                org.set_faults(faults);
                empty(204)
            }
            Err(error) => refusal(400, "JSON_PARSER_ERROR", &error.to_string()),
        },
        _ => not_found(),
    }
}

/// Half of the body, then the connection breaks.
async fn cut(response: Response<Body>) -> Response<Body> {
    let (parts, body) = response.into_parts();
    let whole = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let half = whole.slice(..whole.len() / 2);
    let pieces = futures_util::stream::iter([Ok(half), Err(std::io::Error::other("cut"))]);
    Response::from_parts(parts, Body::from_stream(pieces))
}

/// `a=b&c=d`, decoded.
pub(super) fn form(text: &str) -> HashMap<String, String> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent_decode(&name.replace('+', " ")), percent_decode(&value.replace('+', " ")))
        })
        .collect()
}

fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok()))
            .flatten();
        match hex {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}
