//! The batches of a job: each is carried out as a job of Bulk API 2.0 is, and kept among these under an id of its own kind.

use std::collections::HashMap;
use std::iter;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{Method, Response};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::job::{Batch, ClassicJob, Form, Work, too_many};
use super::told::{document, elements, error, json_of, no_job, told};
use crate::simulator::bulk::jobs::{Done, Head, Ingest, JobState, Query};
use crate::simulator::bulk::operation::Operation;
use crate::simulator::bulk::results::csv;
use crate::simulator::bulk::sheet::Dialect;
use crate::simulator::bulk::{load, query};
use crate::simulator::call::Call;
use crate::simulator::ids::{make_id, number_of};
use crate::simulator::org::{Org, State};
use crate::simulator::queries::aside;
use crate::simulator::records::datetime;
use crate::simulator::rejection::collection_errors;
use crate::simulator::schema::ObjectDef;
use crate::simulator::soql::{self, Fault, Rows};

/// Characters of a batch.
const SIZE_LIMIT: usize = 10_000_000;
/// Fields of a batch's records.
const FIELDS_LIMIT: usize = 5_000;
/// The numbers of results that each batch has for itself.
const RESULTS: u64 = 1_000_000;
/// What stands in place of records where a query found none.
const NONE_FOUND: &str = "Records not found for this query";

/// How far a batch is.
struct Progress {
    state: JobState,
    message: Option<String>,
    modified: DateTime<Utc>,
    processed: usize,
    failed: usize,
}

impl Progress {
    fn of(state: &State, id: &str) -> Option<Progress> {
        let of = |head: &Head, error: &Option<String>, processed, failed| Progress {
            state: head.state,
            message: error.clone(),
            modified: head.modified(),
            processed,
            failed,
        };
        let ingest =
            state.jobs.ingest.get(id).map(|job| of(&job.head, &job.error, job.done.len(), job.failed));
        let found = |job: &Query| job.rows.as_ref().map_or(0, |rows| rows.len());
        ingest.or_else(|| state.jobs.query.get(id).map(|job| of(&job.head, &job.error, found(job), 0)))
    }

    fn word(&self) -> &'static str {
        match self.state {
            JobState::Open | JobState::UploadComplete => "Queued",
            JobState::InProgress => "InProgress",
            JobState::JobComplete => "Completed",
            JobState::Failed => "Failed",
            JobState::Aborted => "NotProcessed",
        }
    }
}

pub(super) async fn answer_batch(
    org: &Org,
    call: &Call,
    id: &str,
    rest: &[&str],
    asked: Form,
) -> Response<Body> {
    if (&call.method, rest.is_empty()) == (&Method::POST, true) {
        return add(org, call, id, asked).await;
    }
    let (form, work) = {
        let state = org.lock();
        let Some(job) = state.jobs.classic.get(id) else { return no_job(asked, id) };
        let batch = rest.first().map(|batch| (batch, job.batch(batch)));
        match (&call.method, rest, batch) {
            (_, _, Some((id, None))) => {
                return error(asked, "InvalidBatch", &format!("Unable to find a batch with id: {id}"));
            }
            (&Method::GET, [], _) => return list(&state, job),
            (&Method::GET, [_], Some((_, Some(batch)))) => {
                return told(200, job.form, "batchInfo", &info(&state, job, batch));
            }
            (&Method::GET, [_, "request"], Some((_, Some(batch)))) => return request(job.form, batch),
            _ => (job.form, job.work),
        }
    };
    match (&call.method, rest, work) {
        (&Method::GET, [batch, "result"], Work::Read { .. }) => result_list(org, batch, form),
        (&Method::GET, [batch, "result", result], Work::Read { .. }) => found(org, batch, result, form).await,
        (&Method::GET, [batch, "result"], Work::Write(_)) => outcomes(org, batch, form).await,
        _ => error(asked, "InvalidUrl", &format!("The URL is invalid: {}", rest.join("/"))),
    }
}

fn info(state: &State, job: &ClassicJob, batch: &Batch) -> Value {
    let id = &batch.id;
    let Some(progress) = Progress::of(state, id) else { return json!({}) };
    let time = (progress.modified - batch.created).num_milliseconds();
    json!({"id": id, "jobId": job.id, "state": progress.word(), "stateMessage": progress.message,
        "createdDate": datetime(batch.created), "systemModstamp": datetime(progress.modified),
        "numberRecordsProcessed": progress.processed, "numberRecordsFailed": progress.failed,
        "totalProcessingTime": time, "apiActiveProcessingTime": time, "apexProcessingTime": 0})
}

fn list(state: &State, job: &ClassicJob) -> Response<Body> {
    let infos: Vec<Value> = job.batches.iter().map(|batch| info(state, job, batch)).collect();
    match job.form {
        Form::Json => json_of(200, &json!({"batchInfo": infos})),
        Form::Csv => {
            let element = |info: &Value| format!("<batchInfo>{}</batchInfo>", elements(info));
            document(200, "batchInfoList", &infos.iter().map(element).collect::<String>())
        }
    }
}

/// The numbers of a job.
pub(super) fn batch_numbers(state: &State, job: &ClassicJob) -> Value {
    let progress: Vec<Progress> = job.batch_ids().filter_map(|id| Progress::of(state, id)).collect();
    let count = |word: &str| progress.iter().filter(|batch| batch.word() == word).count();
    let sum = |number: fn(&Progress) -> usize| progress.iter().map(number).sum::<usize>();
    json!({"numberBatchesQueued": count("Queued"), "numberBatchesInProgress": count("InProgress"),
        "numberBatchesCompleted": count("Completed"), "numberBatchesFailed": count("Failed"),
        "numberBatchesTotal": progress.len(), "numberRecordsProcessed": sum(|batch| batch.processed),
        "numberRetries": 0, "numberRecordsFailed": sum(|batch| batch.failed), "totalProcessingTime": 0,
        "apiActiveProcessingTime": 0, "apexProcessingTime": 0})
}

// ---- adding ----------------------------------------------------------------------------------------------------------

async fn add(org: &Org, call: &Call, id: &str, asked: Form) -> Response<Body> {
    let upload = upload_of(org, call, id).await;
    let mut state = org.lock();
    let Some(job) = state.jobs.classic.get(id) else { return no_job(asked, id) };
    if job.is_closed() {
        let message = format!("Job is not in the Open state: {}", job.state.word());
        return error(asked, "InvalidJobState", &message);
    }
    if call.body.len() > SIZE_LIMIT {
        let message = format!("Failed to read request. Exceeded max size limit of {SIZE_LIMIT}");
        return error(asked, "ClientInputError", &message);
    }
    let is_spent = state.jobs.batches >= state.options.daily_bulk_batches;
    if is_spent {
        return error(asked, "ExceededQuota", "ApiBatchItems Limit exceeded.");
    }
    if state.jobs.is_full(job) {
        let message = "This simulated org keeps no more of one job: go on with another";
        return error(asked, "ExceededQuota", message);
    }
    let added = match job.work {
        Work::Write(operation) => add_write(&mut state, id, call, operation, upload),
        Work::Read { all } => add_reads(&mut state, id, call, all),
    };
    let Some(job) = state.jobs.classic.get(id) else { return no_job(asked, id) };
    let Some(first) = added.first().and_then(|id| job.batch(id)) else { return no_job(asked, id) };
    let answered = told(201, job.form, "batchInfo", &info(&state, job, first));
    let is_read = matches!(job.work, Work::Read { .. });
    drop(state);
    let (org, request, origin) = (org.clone(), call.request, call.origin.clone());
    tokio::spawn(async move {
        // One after the other: many chunks at once would each hold all that the query finds.
        for batch in added {
            match is_read {
                true => query::run(org.clone(), batch).await,
                false => load::run(org.clone(), batch, request, origin.clone()).await,
            }
        }
    });
    answered
}

/// A batch's records as an upload has them. The org is not locked for it.
async fn upload_of(org: &Org, call: &Call, id: &str) -> Result<Bytes, String> {
    let def = {
        let state = org.lock();
        let job = state.jobs.classic.get(id);
        let job = job.filter(|job| job.form == Form::Json && matches!(job.work, Work::Write(_)));
        job.and_then(|job| state.table(&job.object)).map(|table| table.def.clone())
    };
    let body = call.body.clone();
    match def.filter(|_| body.len() <= SIZE_LIMIT) {
        Some(def) => {
            let read = tokio::task::spawn_blocking(move || as_csv(&body, &def, Dialect::default())).await;
            read.unwrap_or_else(|_| Err("InternalServerError : An unexpected error occurred.".to_owned()))
        }
        None => Ok(body),
    }
}

/// A batch of records.
fn add_write(
    state: &mut State,
    job: &str,
    call: &Call,
    operation: Operation,
    upload: Result<Bytes, String>,
) -> Vec<String> {
    let Some((head, key)) = begin(state, job, call) else { return Vec::new() };
    let id = head.id.clone();
    let (upload, error) = match upload {
        Ok(upload) => (Some(upload), None),
        Err(message) => (None, Some(message)),
    };
    let mut batch = Ingest {
        head,
        operation,
        key,
        size: upload.as_ref().map_or(0, Bytes::len),
        upload,
        sheet: None,
        done: Arc::default(),
        failed: 0,
        error,
    };
    if batch.error.is_some() {
        batch.head.enter(JobState::Failed);
    }
    state.jobs.ingest.insert(id.clone(), batch);
    vec![id]
}

/// A query; one that is to be read in chunks is not carried out itself, and each chunk has a batch of its own.
fn add_reads(state: &mut State, job: &str, call: &Call, all: bool) -> Vec<String> {
    let text = String::from_utf8_lossy(&call.body).trim().to_owned();
    let bound = soql::parse(&text).and_then(|query| match query.refused_in_bulk() {
        Some(message) => Err(Fault::new("FEATURENOTENABLED", message)),
        None => soql::bind(&query, state.seen(false), all).map(|_| query.object().to_owned()),
    });
    let Some((object, chunk)) = state.jobs.classic.get(job).map(|job| (job.object.clone(), job.chunk)) else {
        return Vec::new();
    };
    let mut refused = match bound {
        Err(fault) => Some(query::failed(&fault, &text)),
        Ok(asked) if !asked.eq_ignore_ascii_case(&object) => {
            Some(format!("InvalidBatch : The job is of {object}, and the query asks for {asked}"))
        }
        Ok(_) => None,
    };
    let mut parts: Vec<Option<(u64, u64)>> = match chunk {
        Some(size) if refused.is_none() => {
            let count = state.table(&object).map_or(0, |table| table.records.len());
            let part = |from: usize| (from as u64 + 1, (from + size) as u64);
            iter::once(None).chain((0..count.max(1)).step_by(size).map(|from| Some(part(from)))).collect()
        }
        _ => vec![None],
    };
    if parts.len() as u64 > state.options.daily_bulk_batches.saturating_sub(state.jobs.batches) {
        refused = Some("ExceededQuota : ApiBatchItems Limit exceeded.".to_owned());
        parts.truncate(1);
    }
    let is_chunked = parts.len() > 1;
    let mut added = Vec::new();
    for part in parts {
        let Some((mut head, _)) = begin(state, job, call) else { break };
        if refused.is_some() {
            head.enter(JobState::Failed);
        } else if is_chunked && part.is_none() {
            head.enter(JobState::Aborted);
        }
        let (id, error) = (head.id.clone(), refused.clone());
        let query = Query { head, soql: text.clone(), all, in_chunks: is_chunked, part, error, rows: None };
        state.jobs.query.insert(id.clone(), query);
        added.push(id);
    }
    added
}

/// Notes a batch with its job: its head, and its job's key.
fn begin(state: &mut State, job: &str, call: &Call) -> Option<(Head, Option<String>)> {
    let id = state.jobs.next_batch_id();
    let job = state.jobs.classic.get_mut(job)?;
    state.jobs.batches += 1;
    let dialect = match job.form {
        Form::Json => Dialect::default(),
        // This API takes both line ends.
        Form::Csv => Dialect::as_written(&call.body),
    };
    let head = Head::new(id.clone(), job.object.clone(), &job.version, dialect, JobState::UploadComplete);
    job.batches.push(Batch { id, request: call.body.clone(), created: Utc::now() });
    Some((head, job.key.clone()))
}

/// Ends the batches of a job that are not over.
pub(super) fn abort(state: &mut State, job: &str) {
    let ids: Vec<String> =
        state.jobs.classic.get(job).into_iter().flat_map(ClassicJob::batch_ids).map(str::to_owned).collect();
    for id in ids {
        let ingest = state.jobs.ingest.get_mut(&id).map(|job| &mut job.head);
        let head = ingest.or_else(|| state.jobs.query.get_mut(&id).map(|job| &mut job.head));
        if let Some(head) = head.filter(|head| !head.state.is_over()) {
            head.enter(JobState::Aborted);
        }
    }
}

/// Records in JSON as an upload in CSV has them.
fn as_csv(body: &[u8], def: &ObjectDef, dialect: Dialect) -> Result<Bytes, String> {
    let records: Vec<Map<String, Value>> = serde_json::from_slice(body)
        .map_err(|error| format!("ClientInputError : Failed to parse JSON: {error}"))?;
    if let Some(message) = too_many(records.len()) {
        return Err(message);
    }
    let text = |value: &Value| match value {
        Value::Null => "#N/A".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut header: Vec<String> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut rows: Vec<Vec<(usize, String)>> = Vec::new();
    for record in &records {
        let mut row = Vec::new();
        for (name, value) in record.iter().filter(|(name, _)| *name != "attributes") {
            let columns: Vec<(String, String)> = match value {
                Value::Object(parent) => {
                    let kind = parent.get("attributes").and_then(|attributes| attributes["type"].as_str());
                    let kind = kind.filter(|_| def.polymorphic(name).is_some());
                    let path = kind.map_or_else(|| name.clone(), |kind| format!("{kind}:{name}"));
                    let keys = parent.iter().filter(|(key, _)| *key != "attributes");
                    keys.map(|(key, value)| (format!("{path}.{key}"), text(value))).collect()
                }
                value => vec![(name.clone(), text(value))],
            };
            for (column, value) in columns {
                let at = *places.entry(column).or_insert_with_key(|column| {
                    header.push(column.clone());
                    header.len() - 1
                });
                if at >= FIELDS_LIMIT {
                    return Err(format!("InvalidBatch : Exceeded number of fields: {FIELDS_LIMIT}"));
                }
                row.push((at, value));
            }
        }
        rows.push(row);
    }
    let lines = rows.iter().map(|row| {
        let mut line = vec![""; header.len()];
        row.iter().for_each(|(at, value)| line[*at] = value);
        line
    });
    let names: Vec<&str> = header.iter().map(String::as_str).collect();
    Ok(dialect.write(iter::once(names).chain(lines)).into())
}

// ---- what came of it -------------------------------------------------------------------------------------------------

fn request(form: Form, batch: &Batch) -> Response<Body> {
    let mut response = csv(batch.request.to_vec());
    if form == Form::Json {
        let kind = axum::http::HeaderValue::from_static("application/json");
        response.headers_mut().insert(axum::http::header::CONTENT_TYPE, kind);
    }
    response
}

fn not_completed(form: Form) -> Response<Body> {
    error(form, "InvalidBatch", "Batch not completed")
}

/// The rows that a batch found, the version in which it was asked, and how many rows a result has.
fn rows(org: &Org, id: &str) -> Option<(Arc<Rows>, String, usize)> {
    let state = org.lock();
    let job = state.jobs.query.get(id)?;
    Some((job.rows.clone()?, job.head.version.clone(), state.options.bulk_page.max(1)))
}

fn result_list(org: &Org, id: &str, form: Form) -> Response<Body> {
    let Some((rows, _, page)) = rows(org, id) else { return not_completed(form) };
    let first = number_of(id).unwrap_or_default() * RESULTS;
    let count = rows.len().div_ceil(page).max(1) as u64;
    let results: Vec<String> = (first..first + count).map(|number| make_id("752", number)).collect();
    match form {
        Form::Json => json_of(200, &json!(results)),
        Form::Csv => {
            let element = |result: &String| format!("<result>{result}</result>");
            document(200, "result-list", &results.iter().map(element).collect::<String>())
        }
    }
}

async fn found(org: &Org, id: &str, result: &str, form: Form) -> Response<Body> {
    let Some((rows, version, page)) = rows(org, id) else { return not_completed(form) };
    let first = number_of(id).unwrap_or_default() * RESULTS;
    let at =
        number_of(result).filter(|_| result.starts_with("752")).and_then(|number| number.checked_sub(first));
    let start = at.and_then(|at| usize::try_from(at).ok()?.checked_mul(page));
    let Some(start) = start.filter(|start| *start < rows.len().max(1)) else {
        return error(form, "InvalidBatch", &format!("Unable to find a result with id: {result}"));
    };
    let range = start..rows.len().min(start + page);
    aside(move || match form {
        Form::Json => json_of(200, &Value::from(rows.with_milliseconds(range, &version))),
        Form::Csv if rows.len() == 0 => csv(NONE_FOUND.as_bytes().to_vec()),
        Form::Csv => {
            let records = range.map(|at| rows.texts(at));
            let table: Vec<Vec<String>> = iter::once(rows.header()).chain(records).collect();
            csv(Dialect::default().write(table.iter().map(|row| row.iter().map(String::as_str))))
        }
    })
    .await
}

/// What became of each record, in the order in which they came.
async fn outcomes(org: &Org, id: &str, form: Form) -> Response<Body> {
    let done = {
        let state = org.lock();
        let job = state.jobs.ingest.get(id).filter(|job| job.head.state == JobState::JobComplete);
        let Some(job) = job else { return not_completed(form) };
        job.done.clone()
    };
    aside(move || {
        let mut done: Vec<&Done> = done.iter().collect();
        done.sort_by_key(|done| done.row);
        match form {
            Form::Json => json_of(200, &done.into_iter().map(as_json).collect()),
            Form::Csv => {
                let header = ["Id", "Success", "Created", "Error"].map(str::to_owned);
                let table: Vec<[String; 4]> =
                    iter::once(header).chain(done.into_iter().map(as_row)).collect();
                csv(Dialect::default().write(table.iter().map(|row| row.iter().map(String::as_str))))
            }
        }
    })
    .await
}

fn as_json(done: &Done) -> Value {
    match &done.outcome {
        Ok(created) => json!({"success": true, "created": created, "id": done.id, "errors": []}),
        Err(rejections) => {
            json!({"success": false, "created": false, "id": null, "errors": collection_errors(rejections)})
        }
    }
}

fn as_row(done: &Done) -> [String; 4] {
    match &done.outcome {
        Ok(created) => [done.id.clone(), "true".to_owned(), created.to_string(), String::new()],
        Err(rejections) => [String::new(), "false".to_owned(), "false".to_owned(), load::told(rejections)],
    }
}
