//! Jobs that read: a query, and its results page by page, by locators that are good as often as they are asked for, and in
//! any order.

use std::iter;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, Method, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::{Value, json};

use super::jobs::{Head, JobState, Query, RECORD, is_batch};
use super::results::{
    csv, job_body, list, no_entity, no_such_state, wanted_state, wrong_state, wrong_version,
};
use super::sheet::Dialect;
use crate::simulator::call::Call;
use crate::simulator::hold::go_on;
use crate::simulator::org::Org;
use crate::simulator::queries::{aside, ask};
use crate::simulator::response::{answer, empty, not_found, refusal};
use crate::simulator::soql::{self, Answer, Fault, Rows};
use crate::simulator::transaction::Access;

/// Pages that are offered at a time for reading side by side.
const SIDE_BY_SIDE: usize = 5;

pub(super) async fn answer_query(org: &Org, call: &Call, version: &str, rest: &[&str]) -> Response<Body> {
    match (&call.method, rest) {
        (&Method::POST, []) => create(org, call, version),
        (&Method::GET, []) => {
            let state = org.lock();
            let jobs = state.jobs.query.values().filter(|job| !is_batch(&job.head.id));
            list(jobs.map(Query::told_whole).collect())
        }
        (&Method::GET, [id]) => {
            let told = org.lock().jobs.query.get(*id).map(Query::told_whole);
            told.map_or_else(not_found, |told| answer(200, &told))
        }
        (&Method::PATCH, [id]) => abort(org, call, id),
        (&Method::DELETE, [id]) => delete(org, id),
        (&Method::GET, [id, "results"]) => results(org, call, version, id).await,
        (&Method::GET, [id, "resultPages"]) => result_pages(org, call, version, id),
        _ => not_found(),
    }
}

fn create(org: &Org, call: &Call, version: &str) -> Response<Body> {
    let body = match job_body(&call.body) {
        Ok(body) => body,
        Err(response) => return *response,
    };
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let soql = text("query").to_owned();
    let all = match text("operation") {
        "query" => false,
        "queryAll" => true,
        other => return refusal(400, "INVALIDOPERATION", &format!("InvalidOperation : {other}")),
    };
    let dialect = match Dialect::of(&body) {
        Ok(dialect) => dialect,
        Err(word) => {
            let message = format!("InvalidJob : {word} is neither a line ending nor a column delimiter");
            return refusal(400, "INVALIDJOB", &message);
        }
    };
    let query = match soql::parse(&soql) {
        Ok(query) => query,
        Err(fault) => return refusal(400, fault.code, &fault.told(&soql)),
    };
    if let Some(message) = query.refused_in_bulk() {
        return refusal(400, "API_ERROR", message);
    }
    let mut state = org.lock();
    if let Err(fault) = soql::bind(&query, state.seen(false), all) {
        return refusal(400, fault.code, &fault.told(&soql));
    }
    let def = state.table(query.object()).map(|table| table.def.clone());
    if let Some(def) = def.filter(|def| def.is_external()) {
        return no_entity(&def);
    }
    let most = state.options.daily_query_jobs;
    if state.jobs.queries >= most {
        let message = format!(
            "Max bulk v2 query jobs ({most}) per 24 hrs has been reached ({}).",
            state.jobs.queries + 1
        );
        return refusal(400, "LIMIT_EXCEEDED", &message);
    }
    state.jobs.queries += 1;
    let object = state.table(query.object()).map(|table| table.def.name.clone()).unwrap_or_default();
    let head = Head::new(state.jobs.next_id(), object, version, dialect, JobState::UploadComplete);
    let id = head.id.clone();
    let job =
        Query { head, soql, all, in_chunks: query.is_in_order_of_ids(), part: None, error: None, rows: None };
    let told = job.told();
    state.jobs.make_room();
    state.jobs.query.insert(id.clone(), job);
    drop(state);
    tokio::spawn(run(org.clone(), id));
    answer(200, &told)
}

/// Carries a query out, unless somebody ends it before.
pub(super) async fn run(org: Org, id: String) {
    let open = |state: &crate::simulator::org::State| {
        state.jobs.query.get(&id).filter(|job| !job.head.state.is_over()).map(|_| 0)
    };
    if go_on(&org, |faults| faults.hold_jobs, open).await.is_none() {
        return;
    }
    let asked = {
        let mut state = org.lock();
        let is_whole = state.jobs.query.get(&id).is_some_and(|job| is_batch(&id) && job.part.is_none());
        let is_slow = is_whole && state.faults.query_timeout();
        state.jobs.query.get_mut(&id).map(|job| {
            job.head.enter(JobState::InProgress);
            (job.soql.clone(), job.all, is_slow)
        })
    };
    let Some((soql, all, is_slow)) = asked else { return };
    let (asking, text) = (org.clone(), soql.clone());
    let found = tokio::task::spawn_blocking(move || {
        if is_slow {
            return Err(Fault::new("QUERY_TIMEOUT", "Your query request was running for too long."));
        }
        ask(Access::alone(&asking), &text, all)
    })
    .await;
    let mut state = org.lock();
    let Some(job) = state.jobs.query.get_mut(&id).filter(|job| !job.head.state.is_over()) else { return };
    match found {
        Ok(Ok(Answer::Records(rows))) => {
            let rows = match job.part {
                Some((first, last)) => rows.within(first..=last),
                None => rows,
            };
            // What a day holds of results is of Bulk API 2.0 alone.
            let bytes = if is_batch(&id) { 0 } else { rows.len() * RECORD };
            job.rows = Some(Arc::new(rows));
            job.head.enter(JobState::JobComplete);
            state.jobs.result_bytes += bytes as u64;
        }
        // What it asked for is gone meanwhile.
        Ok(Err(fault)) => {
            job.error = Some(failed(&fault, &soql));
            job.head.enter(JobState::Failed);
        }
        _ => job.head.enter(JobState::Failed),
    }
}

/// Why a batch failed that is a query.
pub(super) fn failed(fault: &Fault, soql: &str) -> String {
    format!("InvalidBatch : Failed to process query: {}: {}", fault.code, fault.told(soql))
}

fn abort(org: &Org, call: &Call, id: &str) -> Response<Body> {
    if wanted_state(&call.body) != Some(JobState::Aborted) {
        return no_such_state();
    }
    let mut state = org.lock();
    let Some(job) = state.jobs.query.get_mut(id) else { return not_found() };
    if job.head.state.is_over() {
        return wrong_state(&format!("Aborting already {} Job not allowed", job.head.state.word()));
    }
    job.head.enter(JobState::Aborted);
    let told = job.told();
    drop(state);
    org.changed().notify_waiters();
    answer(200, &told)
}

fn delete(org: &Org, id: &str) -> Response<Body> {
    let mut state = org.lock();
    match state.jobs.query.get(id).map(|job| job.head.state.is_over()) {
        None => not_found(),
        Some(false) => wrong_state("Only jobs that are over can be deleted"),
        Some(true) => {
            state.jobs.query.remove(id);
            empty(204)
        }
    }
}

/// What a job found, for those who may have it now, and how many records a page has.
fn found(org: &Org, version: &str, id: &str) -> Result<(Arc<Rows>, Dialect, usize), Box<Response<Body>>> {
    let state = org.lock();
    let job = state.jobs.query.get(id).ok_or_else(|| Box::new(not_found()))?;
    if let Some(response) = wrong_version(version, &job.head.version) {
        return Err(Box::new(response));
    }
    let rows = job.rows.clone().ok_or_else(|| Box::new(wrong_state("The job is not complete")))?;
    Ok((rows, job.head.dialect, state.options.bulk_page))
}

/// Where a page begins: after the records before it, in a form that nobody should read.
fn locator(from: usize) -> String {
    STANDARD_NO_PAD.encode(from.to_string())
}

/// Where the page begins that is asked for, of so many records.
fn position(call: &Call, count: usize) -> Option<usize> {
    let from = match call.query.get("locator").map(String::as_str) {
        None | Some("") => Some(0),
        Some(locator) => String::from_utf8(STANDARD_NO_PAD.decode(locator).ok()?).ok()?.parse().ok(),
    };
    from.filter(|from| *from == 0 || *from < count)
}

fn no_locator() -> Response<Body> {
    refusal(400, "INVALIDQUERYLOCATOR", "invalid query locator")
}

async fn results(org: &Org, call: &Call, version: &str, id: &str) -> Response<Body> {
    let (rows, dialect, page) = match found(org, version, id) {
        Ok(found) => found,
        Err(response) => return *response,
    };
    let most = org.lock().options.bulk_page_limit;
    let Some(from) = position(call, rows.len()) else { return no_locator() };
    let wanted = call.query.get("maxRecords").and_then(|text| text.parse::<usize>().ok());
    let size = wanted.filter(|wanted| *wanted > 0).unwrap_or(page).min(most);
    let end = from.saturating_add(size).min(rows.len());
    let next = if end < rows.len() { locator(end) } else { "null".to_owned() };
    aside(move || {
        let records = (from..end).map(|at| rows.texts(at));
        let table: Vec<Vec<String>> = iter::once(rows.header()).chain(records).collect();
        let mut response = csv(dialect.write(table.iter().map(|row| row.iter().map(String::as_str))));
        let headers = response.headers_mut();
        headers.insert("Sforce-NumberOfRecords", HeaderValue::from(end - from));
        if let Ok(next) = HeaderValue::from_str(&next) {
            headers.insert("Sforce-Locator", next);
        }
        response
    })
    .await
}

/// The next pages, to be read side by side.
fn result_pages(org: &Org, call: &Call, version: &str, id: &str) -> Response<Body> {
    let (rows, _, page) = match found(org, version, id) {
        Ok(found) => found,
        Err(response) => return *response,
    };
    let Some(from) = position(call, rows.len()) else { return no_locator() };
    let url = |resource: &str, at: usize| {
        format!("/services/data/{version}/jobs/query/{id}/{resource}?locator={}", locator(at))
    };
    let mut starts = (from..rows.len().max(from + 1)).step_by(page.max(1));
    let pages: Vec<Value> =
        starts.by_ref().take(SIDE_BY_SIDE).map(|at| json!({"resultUrl": url("results", at)})).collect();
    let next = starts.next().map(|at| url("resultPages", at));
    answer(200, &json!({"resultPages": pages, "done": next.is_none(), "nextRecordsUrl": next}))
}
