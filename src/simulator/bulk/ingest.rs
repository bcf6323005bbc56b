//! Jobs that write: made, filled by one upload, closed, and read when they are over.

use std::collections::HashSet;
use std::iter;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Response};
use serde_json::Value;

use super::jobs::{Done, Head, Ingest, JobState, is_batch};
use super::load;
use super::operation::Operation;
use super::results::{
    csv, job_body, list, no_entity, no_such_state, wanted_state, wrong_state, wrong_version,
};
use super::sheet::{Dialect, Sheet};
use crate::simulator::call::Call;
use crate::simulator::org::Org;
use crate::simulator::queries::aside;
use crate::simulator::response::{answer, empty, not_found, refusal};
use crate::simulator::schema::ObjectDef;

pub(super) async fn answer_ingest(org: &Org, call: &Call, version: &str, rest: &[&str]) -> Response<Body> {
    match (&call.method, rest) {
        (&Method::POST, []) => create(org, call, version),
        (&Method::GET, []) => {
            let state = org.lock();
            let jobs = state.jobs.ingest.values().filter(|job| !is_batch(&job.head.id));
            list(jobs.map(Ingest::told_whole).collect())
        }
        (&Method::GET, [id]) => {
            let told = org.lock().jobs.ingest.get(*id).map(Ingest::told_whole);
            told.map_or_else(not_found, |told| answer(200, &told))
        }
        (&Method::PUT, [id, "batches"]) => upload(org, call, id),
        (&Method::PATCH, [id]) => change(org, call, id),
        (&Method::DELETE, [id]) => delete(org, id),
        (&Method::GET, [id, "successfulResults"]) => results(org, version, id, Part::Successful).await,
        (&Method::GET, [id, "failedResults"]) => results(org, version, id, Part::Failed).await,
        (&Method::GET, [id, "unprocessedrecords"]) => results(org, version, id, Part::Unprocessed).await,
        _ => not_found(),
    }
}

fn create(org: &Org, call: &Call, version: &str) -> Response<Body> {
    let invalid = |message: String| refusal(400, "INVALIDJOB", &format!("InvalidJob : {message}"));
    let body = match job_body(&call.body) {
        Ok(body) => body,
        Err(response) => return *response,
    };
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let (is_spent, def) = {
        let state = org.lock();
        let def = state.table(text("object")).map(|table| table.def.clone());
        (state.jobs.batches >= state.options.daily_bulk_batches, def)
    };
    if is_spent {
        return refusal(400, "EXCEEDEDQUOTA", "ExceededQuota : ApiBatchItems Limit exceeded.");
    }
    let Some(def) = def else {
        return invalid(format!("Unable to find object: {}", text("object")));
    };
    if def.is_external() {
        return no_entity(&def);
    }
    let operation = match (text("operation"), Operation::of_word(text("operation"))) {
        (_, Some(operation)) => operation,
        ("hardDelete", None) => {
            let message = "FeatureNotEnabled : hardDelete operation requires special user profile permission, please contact your system administrator";
            return refusal(400, "FEATURENOTENABLED", message);
        }
        (other, None) => return refusal(400, "INVALIDOPERATION", &format!("InvalidOperation : {other}")),
    };
    let key = match (operation, text("externalIdFieldName")) {
        (Operation::Upsert, "") => {
            return invalid(format!(
                "External ID was blank for {}. An External ID must be specified for upsert.",
                def.name
            ));
        }
        (Operation::Upsert, key) => match key_of(&def, key) {
            Some(key) => Some(key),
            None => {
                return invalid(format!(
                    "Field name provided, {key} does not match an External ID, Salesforce Id, or indexed field for {}",
                    def.name
                ));
            }
        },
        _ => None,
    };
    let dialect = match Dialect::of(&body) {
        Ok(dialect) => dialect,
        Err(word) => return invalid(format!("{word} is neither a line ending nor a column delimiter")),
    };
    let mut state = org.lock();
    let head = Head::new(state.jobs.next_id(), def.name.clone(), version, dialect, JobState::Open);
    let job = Ingest {
        head,
        operation,
        key,
        upload: None,
        size: 0,
        sheet: None,
        done: Arc::default(),
        failed: 0,
        error: None,
    };
    let told = job.told();
    state.jobs.make_room();
    state.jobs.ingest.insert(job.head.id.clone(), job);
    drop(state);
    answer(200, &told)
}

/// A field by which records can be found, in its own spelling.
pub(super) fn key_of(def: &ObjectDef, name: &str) -> Option<String> {
    def.field(name).filter(|field| field.is_id_lookup()).map(|field| field.name.clone())
}

fn upload(org: &Org, call: &Call, id: &str) -> Response<Body> {
    let mut state = org.lock();
    let limit = state.options.upload_limit;
    let Some(job) = state.jobs.ingest.get_mut(id) else { return not_found() };
    if job.head.state != JobState::Open || job.upload.is_some() {
        return wrong_state(&format!(
            "Found multiple contents for job: <{id}>, please 'Close' / 'Abort' / 'Delete' the current Job then create a new Job and make sure you only do 'PUT' once on a given Job."
        ));
    }
    // The org keeps it in base64, which is longer by a third and more.
    if call.body.len() > limit || call.body.len().div_ceil(3) * 4 > limit / 2 * 3 {
        return refusal(413, "REQUEST_TOO_LARGE", "The uploaded data is too large");
    }
    (job.upload, job.size) = (Some(call.body.clone()), call.body.len());
    empty(201)
}

fn change(org: &Org, call: &Call, id: &str) -> Response<Body> {
    let Some(wanted) = wanted_state(&call.body) else { return no_such_state() };
    let mut state = org.lock();
    let Some(job) = state.jobs.ingest.get_mut(id) else { return not_found() };
    let now = job.head.state;
    let (possible, verb) = match wanted {
        JobState::UploadComplete => (now == JobState::Open, "Closing"),
        _ => (!now.is_over(), "Aborting"),
    };
    if !possible {
        return wrong_state(&format!("{verb} already {} Job not allowed", now.word()));
    }
    job.head.enter(wanted);
    let told = job.told_short();
    drop(state);
    if wanted == JobState::UploadComplete {
        tokio::spawn(load::run(org.clone(), id.to_owned(), call.request, call.origin.clone()));
    }
    org.changed().notify_waiters();
    answer(200, &told)
}

fn delete(org: &Org, id: &str) -> Response<Body> {
    let mut state = org.lock();
    match state.jobs.ingest.get(id).map(|job| job.head.state) {
        None => not_found(),
        Some(JobState::Open | JobState::InProgress) => {
            wrong_state("Only jobs that are closed and not in progress can be deleted")
        }
        Some(_) => {
            state.jobs.ingest.remove(id);
            empty(204)
        }
    }
}

/// Which of a job's rows are asked for.
#[derive(Clone, Copy)]
enum Part {
    Successful,
    Failed,
    Unprocessed,
}

async fn results(org: &Org, version: &str, id: &str, part: Part) -> Response<Body> {
    let (dialect, sheet, upload, done) = {
        let state = org.lock();
        let Some(job) = state.jobs.ingest.get(id) else { return not_found() };
        if let Some(response) = wrong_version(version, &job.head.version) {
            return response;
        }
        if !job.head.state.is_over() {
            return wrong_state("The job is not over");
        }
        (job.head.dialect, job.sheet.clone(), job.upload.clone(), job.done.clone())
    };
    aside(move || {
        let upload = upload.unwrap_or_default();
        match (sheet.map_or_else(|| dialect.read(&upload).map(Arc::new), Ok), part) {
            (Ok(sheet), _) => csv(write(dialect, &sheet, &rows(&sheet, &done, part), part)),
            // What cannot be read goes back as it came.
            (Err(_), Part::Unprocessed) => csv(upload.into()),
            (Err(_), _) => csv(Vec::new()),
        }
    })
    .await
}

/// Row, id, and what became of it, of a part.
fn rows(sheet: &Sheet, done: &[Done], part: Part) -> Vec<(usize, String, String)> {
    let told = |done: &Done| match (&done.outcome, part) {
        (Ok(created), Part::Successful) => Some((done.row, done.id.clone(), created.to_string())),
        (Err(error), Part::Failed) => Some((done.row, done.id.clone(), load::told(error))),
        _ => None,
    };
    match part {
        Part::Successful | Part::Failed => done.iter().filter_map(told).collect(),
        Part::Unprocessed => {
            let done: HashSet<usize> = done.iter().map(|done| done.row).collect();
            let left = (0..sheet.rows.len()).filter(|row| !done.contains(row));
            left.map(|row| (row, String::new(), String::new())).collect()
        }
    }
}

fn write(dialect: Dialect, sheet: &Sheet, rows: &[(usize, String, String)], part: Part) -> Vec<u8> {
    let own: &[&str] = match part {
        Part::Successful => &["sf__Id", "sf__Created"],
        Part::Failed => &["sf__Id", "sf__Error"],
        Part::Unprocessed => &[],
    };
    let header: Vec<&str> = own.iter().copied().chain(sheet.header.iter().map(String::as_str)).collect();
    let rows = rows.iter().map(|(row, id, told)| {
        let own = [id.as_str(), told.as_str()].into_iter().take(own.len());
        own.chain(sheet.row(*row)).collect::<Vec<&str>>()
    });
    dialect.write(iter::once(header).chain(rows))
}
