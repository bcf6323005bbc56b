//! `composite` and `composite/graph`: several requests in one, of which later ones use what earlier ones answered.
//! With all or none they are one transaction: nobody else sees it in the middle, and nobody who reads waits for its end.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Response, header};
use futures_util::FutureExt;
use serde_json::{Value, json};

use super::call::{Call, form, percent_decode};
use super::hold::go_on;
use super::org::Org;
use super::parts::answer_part;
use super::response::{answer, not_found, refusal, unreadable};
use super::transaction::{Access, Transaction};

/// Bytes that references may stand for in one part: no small request grows large.
const FILLED: usize = 10 * 1024 * 1024;
/// Parts of one composite request.
const PARTS: usize = 25;
/// Of them, queries and collections.
const LARGE_PARTS: usize = 5;
const GRAPHS: usize = 75;
/// Parts of all graphs.
const NODES: usize = 500;
/// After as many failed graphs the others are not tried.
const FAILED_GRAPHS: usize = 14;

/// Answers where it may wait: for the turn to write, and where a test holds it.
pub(super) fn answer_composite(org: &Org, call: &Call) -> Response<Body> {
    let body: Value = match serde_json::from_slice(&call.body) {
        Ok(body) => body,
        Err(error) => return unreadable(&error),
    };
    let parts = parts(&body);
    let large = parts.iter().filter(|part| is_large(part)).count();
    if parts.is_empty() || parts.len() > PARTS || large > LARGE_PARTS {
        let message = format!(
            "A composite request has 1 to {PARTS} subrequests, of which at most {LARGE_PARTS} are queries or collections"
        );
        return refusal(400, "LIMIT_EXCEEDED", &message);
    }
    if let Some(reference) = named_twice(parts) {
        return duplicate(reference);
    }
    let all_or_none = body.get("allOrNone").and_then(Value::as_bool).unwrap_or(false);
    let (answers, _) = carry_out(org, call, parts, all_or_none);
    answer(200, &json!({"compositeResponse": answers}))
}

/// The same for graphs.
pub(super) fn answer_graph(org: &Org, call: &Call) -> Response<Body> {
    let body: Value = match serde_json::from_slice(&call.body) {
        Ok(body) => body,
        Err(error) => return unreadable(&error),
    };
    let graphs = body.get("graphs").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let nodes: usize = graphs.iter().map(|graph| parts(graph).len()).sum();
    if graphs.is_empty() || graphs.len() > GRAPHS || nodes > NODES {
        let message = format!("A request has 1 to {GRAPHS} graphs with at most {NODES} nodes");
        return refusal(400, "LIMIT_EXCEEDED", &message);
    }
    if let Some(reference) = graphs.iter().find_map(|graph| named_twice(parts(graph))) {
        return duplicate(reference);
    }
    let mut failed = 0;
    let mut answers = Vec::new();
    for graph in graphs {
        let parts = parts(graph);
        let (answered, whole) = if failed < FAILED_GRAPHS {
            carry_out(org, call, parts, true)
        } else {
            (parts.iter().map(halted).collect(), false)
        };
        failed += usize::from(!whole);
        answers.push(json!({"graphId": graph["graphId"], "graphResponse": {"compositeResponse": answered}, "isSuccessful": whole}));
    }
    answer(200, &json!({"graphs": answers}))
}

/// A referenceId that two parts have: nobody knows which of them a later one means.
fn named_twice(parts: &[Value]) -> Option<&str> {
    let mut seen = HashSet::new();
    parts.iter().filter_map(|part| part["referenceId"].as_str()).find(|reference| !seen.insert(*reference))
}

fn duplicate(reference: &str) -> Response<Body> {
    refusal(400, "INVALID_INPUT", &format!("Duplicate referenceId: {reference}"))
}

fn parts(body: &Value) -> &[Value] {
    body.get("compositeRequest").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn is_large(part: &Value) -> bool {
    let url = part["url"].as_str().unwrap_or_default();
    ["/query", "/composite/sobjects"].iter().any(|resource| url.contains(resource))
}

/// Carries the parts out in their order; the answers, and whether all were good. With all or none, the first that fails
/// takes everything back.
fn carry_out(org: &Org, call: &Call, parts: &[Value], all_or_none: bool) -> (Vec<Value>, bool) {
    if !all_or_none {
        let (answers, failed) = in_order(org, Access::alone(org), call, parts, false);
        return (answers, failed.is_none());
    }
    let transaction = Transaction::begin(org);
    let (answers, failed) = in_order(org, Access::part_of(&transaction), call, parts, true);
    match failed {
        None => {
            transaction.commit();
            (answers, true)
        }
        Some(failed) => {
            drop(transaction);
            let told =
                |(at, part): (usize, &Value)| if at == failed { answers[at].clone() } else { halted(part) };
            (parts.iter().enumerate().map(told).collect(), false)
        }
    }
}

/// The answers of the parts, and which was the first that failed.
fn in_order(
    org: &Org,
    access: Access<'_>,
    call: &Call,
    parts: &[Value],
    ends_at_failure: bool,
) -> (Vec<Value>, Option<usize>) {
    let mut known: HashMap<String, Value> = HashMap::new();
    let mut answers = Vec::new();
    let mut failed = None;
    for (at, part) in parts.iter().enumerate() {
        // This thread does nothing else: it may wait.
        access.note(|state| state.faults.count_held_composite(at));
        let is_held = go_on(org, |faults| faults.hold_composite, |_| Some(at));
        tokio::runtime::Handle::current().block_on(is_held);
        let answered = carry_out_part(access, call, part, &known);
        if answered["httpStatusCode"].as_u64().is_some_and(|status| status < 400) {
            known.insert(
                part["referenceId"].as_str().unwrap_or_default().to_owned(),
                answered["body"].clone(),
            );
        } else {
            failed = failed.or(Some(at));
        }
        answers.push(answered);
        if ends_at_failure && failed.is_some() {
            break;
        }
    }
    (answers, failed)
}

fn halted(part: &Value) -> Value {
    let message = "The transaction was rolled back since another operation in the same transaction failed.";
    part_answer(part, 400, json!([{"errorCode": "PROCESSING_HALTED", "message": message}]), json!({}))
}

fn part_answer(part: &Value, status: u16, body: Value, headers: Value) -> Value {
    json!({"body": body, "httpHeaders": headers, "httpStatusCode": status, "referenceId": part["referenceId"]})
}

fn carry_out_part(access: Access<'_>, outer: &Call, part: &Value, known: &HashMap<String, Value>) -> Value {
    let mut room = FILLED;
    let filled = fill(&part["url"], known, &mut room)
        .and_then(|url| Ok((url, fill(&part["body"], known, &mut room)?)));
    let (url, body) = match filled {
        Ok(filled) => filled,
        Err(message) => {
            return part_answer(
                part,
                400,
                json!([{"errorCode": "PROCESSING_HALTED", "message": message}]),
                json!({}),
            );
        }
    };
    let (path, query) =
        url.as_str().unwrap_or_default().split_once('?').unwrap_or((url.as_str().unwrap_or_default(), ""));
    let path = percent_decode(path);
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let method =
        part["method"].as_str().and_then(|word| Method::from_bytes(word.as_bytes()).ok()).unwrap_or_default();
    let call = Call {
        method,
        query: form(query),
        headers: HeaderMap::new(),
        body: if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) },
        host: outer.host.clone(),
        origin: outer.origin.clone(),
        request: outer.request,
    };
    let answered = match segments.as_slice() {
        ["services", "data", version, rest @ ..] => answer_part(access, &call, version, rest),
        _ => None,
    };
    let answered = answered.unwrap_or_else(not_found);
    let location = answered.headers().get(header::LOCATION).and_then(|location| location.to_str().ok());
    let headers = location.map_or_else(|| json!({}), |location| json!({"Location": location}));
    let status = answered.status().as_u16();
    // The body is there already: nothing is waited for.
    let bytes = axum::body::to_bytes(answered.into_body(), usize::MAX).now_or_never();
    let body = bytes.and_then(Result::ok).and_then(|bytes| serde_json::from_slice(&bytes).ok());
    part_answer(part, status, body.unwrap_or_default(), headers)
}

/// A value with its references, `@{account.id}`, replaced by what they stand for.
fn fill(value: &Value, known: &HashMap<String, Value>, room: &mut usize) -> Result<Value, String> {
    match value {
        Value::String(text) => fill_text(text, known, room),
        Value::Array(values) => values.iter().map(|value| fill(value, known, room)).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| Ok((name.clone(), fill(value, known, room)?))).collect()
        }
        other => Ok(other.clone()),
    }
}

fn fill_text(text: &str, known: &HashMap<String, Value>, room: &mut usize) -> Result<Value, String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, (path, after))) =
        rest.split_once("@{").and_then(|(before, from)| Some((before, from.split_once('}')?)))
    {
        let value = look_up(path, known)?;
        let told = value.as_str().map_or_else(|| Cow::from(value.to_string()), Cow::from);
        let too_large = || format!("The references stand for more than {FILLED} bytes");
        *room = room.checked_sub(told.len()).ok_or_else(too_large)?;
        if before.is_empty() && after.is_empty() && filled.is_empty() {
            return Ok(value.clone());
        }
        filled += before;
        filled += &told;
        rest = after;
    }
    Ok(Value::from(filled + rest))
}

/// `account.id`, `found.records[0].Id`: in the case in which the answer has it.
fn look_up<'a>(path: &str, known: &'a HashMap<String, Value>) -> Result<&'a Value, String> {
    let (reference, fields) = path.split_once('.').unwrap_or((path, ""));
    let missing = || format!("Invalid reference specified. No value for {path} found in {reference}");
    let mut value = known.get(reference).ok_or_else(missing)?;
    for field in fields.split('.') {
        let (name, places) = field.split_once('[').unwrap_or((field, ""));
        value = value.get(name).ok_or_else(missing)?;
        for place in places.split('[').filter(|place| !place.is_empty()) {
            let place: usize = place.trim_end_matches(']').parse().map_err(|_| missing())?;
            value = value.get(place).ok_or_else(missing)?;
        }
    }
    Ok(value)
}
