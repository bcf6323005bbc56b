//! From a request to its answer. One dispatcher on method and path segments: real clients add trailing slashes and
//! name any version.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State as Extract;
use axum::http::{HeaderMap, Method, Request, Response, StatusCode, header};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::call::{Call, form, origin, percent_decode, token_of};
use super::faults::{CannedAnswer, Early, Late};
use super::org::{Org, State};
use super::own::admin;
use super::records::datetime;
use super::response::{answer, cut, empty, not_found, refusal, written};
use super::schema::{describe, object_head};
use super::tables::{Snapshot, View, child_relationships};
use super::transaction::Access;
use super::values::parse_datetime;
use super::{bulk, composite, oauth, parts, queries, search, soap, streaming};

/// The largest body that is read; a real org takes 50 MB.
const BODY_LIMIT: usize = 50 * 1024 * 1024;
/// The largest upload to a Bulk job that is read at all.
const UPLOAD_LIMIT: usize = 150 * 1024 * 1024;
const MIB: u64 = 1024 * 1024;
/// Where orgs of all kinds are logged in to. tap-salesforce and Airbyte's source know no others.
const LOGIN_HOSTS: [&str; 2] = ["login.salesforce.com", "test.salesforce.com"];
/// The longest request line.
const LINE_LIMIT: usize = 16_384;

/// Answers any request.
pub(super) async fn dispatch(
    Extract((org, stop, address)): Extract<(Org, CancellationToken, SocketAddr)>,
    request: Request<Body>,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let limit = if parts.uri.path().ends_with("/batches") { UPLOAD_LIMIT } else { BODY_LIMIT };
    let Ok(body) = axum::body::to_bytes(body, limit).await else {
        return refusal(413, "REQUEST_TOO_LARGE", "The request is too large");
    };
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    if format!("{} {target} HTTP/1.1", parts.method).len() > LINE_LIMIT {
        return page(StatusCode::URI_TOO_LONG, "text/html;charset=iso-8859-1", TOO_LONG);
    }
    let path = percent_decode(parts.uri.path());
    let host = match parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()) {
        // Everybody logs in there, and is sent to the org's own address.
        Some(host) if LOGIN_HOSTS.contains(&host) => address.to_string(),
        host => host.unwrap_or("localhost").to_owned(),
    };
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let call = Call {
        query: form(parts.uri.query().unwrap_or("")),
        host,
        method: parts.method,
        headers: parts.headers,
        body,
        origin: String::new(),
        request: 0,
    };
    let is_own = segments.first() == Some(&"_simulator");
    let latency = {
        let state = org.lock();
        state.options.latency + Duration::from_millis(state.faults.faults.latency_ms)
    };
    if !latency.is_zero() && !is_own {
        tokio::time::sleep(latency).await;
    }
    if org.lock().faults.faults.maintenance && !is_own {
        return page(StatusCode::SERVICE_UNAVAILABLE, "text/html;charset=UTF-8", MAINTENANCE);
    }
    match segments.as_slice() {
        ["_simulator", rest @ ..] => admin(&org, &call, rest).await,
        ["services", "oauth2", rest @ ..] => oauth::answer_oauth(&org, &call, rest),
        ["id", organisation, user] => oauth::identity(&org, &call, organisation, user),
        ["cometd"] => streaming::answer_cometd(&org, &call, "", &stop).await,
        ["cometd", version, ..] => streaming::answer_cometd(&org, &call, version, &stop).await,
        ["services", "data"] => versions(),
        ["services", "Soap", _, version, ..] => soap::answer_soap(&org, &call, version),
        ["services", "async", version, rest @ ..] => {
            bulk::classic::answer_async(&org, call, version, rest).await
        }
        ["services", "data", version, rest @ ..] => data(&org, call, version, rest).await,
        _ => not_found(),
    }
}

const TOO_LONG: &str = "<html><head><title>Error 414 URI Too Long</title></head><body><h1>Bad Message 414</h1><pre>reason: URI Too Long</pre></body></html>";
const MAINTENANCE: &str = "<!DOCTYPE html><html><head><title>Scheduled Maintenance</title></head><body><h1>We are down for maintenance.</h1><p>Sorry for the inconvenience. We'll be back shortly.</p></body></html>";

/// What the front of the org answers before anybody reads the request.
fn page(status: StatusCode, kind: &'static str, page: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(page));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}

/// Everything below `/services/data/vXX.0`: the session, the faults, the limit header.
async fn data(org: &Org, mut call: Call, version: &str, rest: &[&str]) -> Response<Body> {
    call.origin = origin(&call.headers, version, rest);
    let early = {
        let mut state = org.lock();
        let early;
        (call.request, early) = state.begin_request();
        early.or_else(|| no_session(&state, &call.headers))
    };
    if early.is_none() && call.method != Method::GET && rest.starts_with(&["composite", "sobjects"]) {
        gather(org).await;
    }
    let asked = format!("{} {}", call.method, rest.join("/"));
    let canned = if early.is_none() { org.lock().faults.canned(&asked) } else { None };
    let is_carried_out = early.is_none() && canned.is_none();
    let mut response = match (early, canned) {
        (Some(early), _) => early_answer(early),
        (None, Some(CannedAnswer { status, body, content_type, .. })) => written(status, &content_type, body),
        (None, None) => rest_api(org, &call, version, rest).await,
    };
    let write = call.method != Method::GET && is_carried_out && response.status().is_success();
    let late = org.lock().faults.late(write, &asked);
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

/// Waits until enough writes are here.
async fn gather(org: &Org) {
    org.lock().faults.arrive();
    while org.lock().faults.faults.gather > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn early_answer(early: Early) -> Response<Body> {
    match early {
        Early::SessionExpired => refusal(401, "INVALID_SESSION_ID", "Session expired or invalid"),
        Early::SessionUnusable => {
            refusal(401, "INVALID_SESSION_ID", "This session is not valid for use with the REST API")
        }
        Early::InvalidHeader => refusal(401, "INVALID_AUTH_HEADER", "INVALID_HEADER_TYPE"),
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

/// Why a request has no session.
fn no_session(state: &State, headers: &HeaderMap) -> Option<Early> {
    if !headers.contains_key(header::AUTHORIZATION) {
        return Some(Early::SessionExpired);
    }
    match token_of(headers) {
        None => Some(Early::InvalidHeader),
        Some(token) if state.tokens.iter().any(|known| known == token) => None,
        Some(_) => Some(Early::SessionExpired),
    }
}

async fn rest_api(org: &Org, call: &Call, version: &str, rest: &[&str]) -> Response<Body> {
    match (&call.method, rest) {
        (&Method::GET, []) => {
            let base = format!("/services/data/{version}");
            answer(
                200,
                &json!({"sobjects": format!("{base}/sobjects"), "query": format!("{base}/query"),
                "queryAll": format!("{base}/queryAll"), "limits": format!("{base}/limits"), "jobs": format!("{base}/jobs"), "composite": format!("{base}/composite")}),
            )
        }
        (&Method::GET, ["limits"]) => {
            let limits = limits(&org.lock());
            answer(200, &limits)
        }
        (&Method::GET, ["limits", "recordCount"]) => record_count(&org.snapshot(), call),
        (&Method::GET, ["sobjects"]) => {
            let objects: Vec<Value> =
                org.snapshot().views.iter().map(|view| object_head(&view.def, version)).collect();
            answer(200, &json!({"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": objects}))
        }
        (&Method::GET, ["sobjects", object, "describe"]) => describe_object(org, call, object, version),
        (&Method::GET, ["sobjects", object, "deleted"]) => deleted(&org.snapshot(), call, object),
        (&Method::GET, ["sobjects", object, "updated"]) => updated(&org.snapshot(), call, object),
        (&Method::GET, ["query"]) if call.query.get("columns").is_some_and(|wanted| wanted == "true") => {
            queries::columns(org, call)
        }
        (&Method::GET, ["query"]) => queries::query(org, call, version, false).await,
        (&Method::GET, ["queryAll"]) => queries::query(org, call, version, true).await,
        (&Method::GET, ["query" | "queryAll", locator]) => {
            queries::query_more(org, call, locator, version).await
        }
        (&Method::GET, ["search"]) => search::answer_search(org, call, version),
        // Nobody looks at records in a browser here.
        (&Method::GET, ["recent"]) => answer(200, &json!([])),
        (&Method::GET, ["tooling", "query"]) => queries::tooling(call),
        (&Method::POST, ["composite"]) => {
            let (org, call) = (org.clone(), call.clone());
            queries::aside(move || composite::answer_composite(&org, &call)).await
        }
        (&Method::POST, ["composite", "graph"]) => {
            let (org, call) = (org.clone(), call.clone());
            queries::aside(move || composite::answer_graph(&org, &call)).await
        }
        (_, ["jobs", rest @ ..]) => bulk::answer_jobs(org, call, version, rest).await,
        _ => {
            let (org, call, version) = (org.clone(), call.clone(), version.to_owned());
            let rest: Vec<String> = rest.iter().map(|part| (*part).to_owned()).collect();
            queries::aside(move || {
                let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
                let answered = parts::answer_write(Access::alone(&org), &call, &version, &rest);
                answered.unwrap_or_else(not_found)
            })
            .await
        }
    }
}

fn view<'a>(snapshot: &'a Snapshot, object: &str) -> Option<&'a View> {
    snapshot.place(object).map(|place| &snapshot.views[place])
}

// ---- sign-in and the small resources ---------------------------------------------------------------------------------

fn versions() -> Response<Body> {
    let versions: Vec<Value> = (59..=67)
        .map(|number| json!({"label": format!("Release {number}"), "url": format!("/services/data/v{number}.0"), "version": format!("{number}.0")}))
        .collect();
    answer(200, &Value::from(versions))
}

fn limits(state: &State) -> Value {
    let limit = state.options.daily_limit;
    let left = |max: u64, used: u64| json!({"Max": max, "Remaining": max.saturating_sub(used)});
    let whole = |max: u64| left(max, 0);
    let options = &state.options;
    json!({"DailyApiRequests": left(limit, state.requests),
        "DailyBulkApiBatches": left(options.daily_bulk_batches, state.jobs.batches),
        "DailyBulkV2QueryJobs": left(options.daily_query_jobs, state.jobs.queries),
        "DailyDeliveredPlatformEvents": left(options.daily_events, state.events.delivered()),
        "DailyBulkV2QueryFileStorageMB": left(options.daily_query_storage, state.jobs.result_bytes.div_ceil(MIB)),
        "DataStorageMB": whole(1_024), "FileStorageMB": whole(1_024)})
}

fn record_count(snapshot: &Snapshot, call: &Call) -> Response<Body> {
    let names = call.query.get("sObjects").filter(|names| !names.is_empty());
    let wanted = names.map(|names| names.split(',').collect::<Vec<_>>());
    let counts: Vec<Value> = snapshot
        .views
        .iter()
        .filter(|view| wanted.as_ref().is_none_or(|names| names.contains(&view.def.name.as_str())))
        .map(|view| (view, view.records.iter().filter(|record| !record.deleted).count()))
        // What has none is not told of.
        .filter(|(_, count)| *count > 0)
        .map(|(view, count)| json!({"count": count, "name": view.def.name}))
        .collect();
    answer(200, &json!({"sObjects": counts}))
}

fn describe_object(org: &Org, call: &Call, object: &str, version: &str) -> Response<Body> {
    let Some((described, place, snapshot)) = ({
        let state = org.lock();
        let snapshot = state.seen(false).snapshot;
        let described = state.table(object).map(|table| table.described);
        snapshot.place(object).zip(described).map(|(place, described)| (described, place, snapshot))
    }) else {
        return not_found();
    };
    let since = call
        .headers
        .get(header::IF_MODIFIED_SINCE)
        .and_then(|value| DateTime::parse_from_rfc2822(value.to_str().ok()?).ok());
    if since.is_some_and(|since| described.timestamp() <= since.timestamp()) {
        return empty(304);
    }
    let def = &snapshot.views[place].def;
    let mut body = describe(def, version);
    body["childRelationships"] = child_relationships(snapshot.views.iter().map(|view| view.def.as_ref()), &def.name)
        .iter()
        .map(|of| {
            json!({"cascadeDelete": false, "childSObject": of.child, "deprecatedAndHidden": false, "field": of.field,
            "junctionIdListNames": [], "junctionReferenceTo": [], "relationshipName": of.name, "restrictedDelete": false})
        })
        .collect();
    let mut response = answer(200, &body);
    if let Ok(value) = described.format("%a, %d %b %Y %H:%M:%S GMT").to_string().parse() {
        response.headers_mut().insert(header::LAST_MODIFIED, value);
    }
    response
}

/// From and to, whole minutes.
type Span = (DateTime<Utc>, DateTime<Utc>);

/// How far back it is told what changed, and what was deleted.
const UPDATED_DAYS: i64 = 30;
const DELETED_DAYS: i64 = 15;

/// The span that getDeleted and getUpdated are asked for, so many days back at most; seconds do not count.
fn span(call: &Call, days: i64) -> Result<Span, Box<Response<Body>>> {
    let time = |name: &str| call.query.get(name).and_then(|text| parse_datetime(text));
    let (Some(start), Some(end)) = (time("start"), time("end")) else {
        return Err(Box::new(refusal(400, "INVALID_REPLICATION_DATE", "start and end are needed")));
    };
    let minute = |time: DateTime<Utc>| {
        DateTime::from_timestamp(time.timestamp().div_euclid(60) * 60, 0).unwrap_or(time)
    };
    if start >= end || start < Utc::now() - TimeDelta::days(days) {
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

fn deleted(snapshot: &Snapshot, call: &Call, object: &str) -> Response<Body> {
    let (start, end) = match span(call, DELETED_DAYS) {
        Ok(span) => span,
        Err(response) => return *response,
    };
    let Some(table) = view(snapshot, object) else { return not_found() };
    if !table.def.replicateable {
        return not_replicateable(object);
    }
    let records: Vec<Value> = table
        .records
        .iter()
        .filter(|record| record.deleted && record.modified >= start && record.modified < end)
        .map(|record| json!({"id": record.id, "deletedDate": datetime(record.modified)}))
        .collect();
    let covered = end.min(Utc::now());
    answer(
        200,
        &json!({"deletedRecords": records, "earliestDateAvailable": datetime(Utc::now() - TimeDelta::days(DELETED_DAYS)), "latestDateCovered": datetime(covered)}),
    )
}

fn updated(snapshot: &Snapshot, call: &Call, object: &str) -> Response<Body> {
    let (start, end) = match span(call, UPDATED_DAYS) {
        Ok(span) => span,
        Err(response) => return *response,
    };
    let Some(table) = view(snapshot, object) else { return not_found() };
    if !table.def.replicateable {
        return not_replicateable(object);
    }
    let changed = table
        .records
        .iter()
        .filter(|record| !record.deleted && record.modified >= start && record.modified < end);
    let ids: Vec<&str> = changed.map(|record| record.id.as_str()).collect();
    answer(200, &json!({"ids": ids, "latestDateCovered": datetime(end.min(Utc::now()))}))
}
