//! Bulk API, the one before 2.0: below `/services/async`, with a session of its own header, jobs of many batches, and answers
//! in XML or JSON (`told`). tap-salesforce, jsforce's `bulk` and simple-salesforce's `bulk` still speak it. A batch is carried
//! out as a job of Bulk API 2.0 is, under an id of its own (`batches`).
//!
//! Not there: data in XML or ZIP, `hardDelete`, the order of a serial job, the `parent` of chunks, and, of what goes wrong on
//! demand, answers that are lost or cut.

mod batches;
pub(super) mod job;
mod told;

use axum::body::Body;
use axum::http::{Method, Response};
use chrono::Utc;
use serde_json::{Value, json};

use super::operation::Operation;
use crate::simulator::call::{Call, origin, token_of};
use crate::simulator::faults::Early;
use crate::simulator::org::{Org, State};
use crate::simulator::records::datetime;
use crate::simulator::users::User;
use job::{ClassicJob, ClassicState, Form, Work};
use told::{error, form_asked, no_job, read_body, told};

/// Records of a chunk where the client names no number, and the most that it may name.
const CHUNK: usize = 100_000;
const CHUNK_LIMIT: usize = 250_000;

/// Answers everything below `/services/async`.
pub(in crate::simulator) async fn answer_async(
    org: &Org,
    mut call: Call,
    version: &str,
    rest: &[&str],
) -> Response<Body> {
    let asked = form_asked(&call);
    call.origin = origin(&call.headers, version, &["jobs"]);
    let early = {
        let mut state = org.lock();
        let early;
        (call.request, early) = state.begin_request();
        let early = early.or_else(|| (!state.options.classic_bulk).then_some(Early::ApiDisabled));
        early.or_else(|| (!has_session(&state, &call)).then_some(Early::SessionExpired))
    };
    if let Some(early) = early {
        return refused(early, asked);
    }
    match (&call.method, rest) {
        (&Method::POST, ["job"]) => create(org, &call, version, asked),
        (&Method::GET, ["job", id]) => {
            told_of(org, id, asked, |state, job| job_info(200, state, job, job.form))
        }
        (&Method::POST, ["job", id]) => change(org, &call, id, asked),
        (_, ["job", id, "batch", rest @ ..]) => batches::answer_batch(org, &call, id, rest, asked).await,
        _ => error(
            asked,
            "InvalidUrl",
            &format!("Destination URL not reset. The URL is invalid: {}", rest.join("/")),
        ),
    }
}

/// Whether a session comes with the request: in the header of this API, or as everywhere else.
fn has_session(state: &State, call: &Call) -> bool {
    let own = call.headers.get("X-SFDC-Session").and_then(|value| value.to_str().ok());
    let token = own.or_else(|| token_of(&call.headers));
    token.is_some_and(|token| state.tokens.iter().any(|known| known == token))
}

fn refused(early: Early, asked: Form) -> Response<Body> {
    match early {
        Early::SessionExpired | Early::SessionUnusable | Early::InvalidHeader => {
            error(asked, "InvalidSessionId", "Invalid session id")
        }
        Early::ConcurrentLimit | Early::DailyLimit | Early::TooMany => {
            error(asked, "ExceededQuota", "TotalRequests Limit exceeded.")
        }
        Early::ApiDisabled => {
            error(asked, "FeatureNotEnabled", "Bulk API is not enabled for this organization")
        }
        Early::Unavailable | Early::ServerError => {
            let mut response = error(asked, "Unknown", "An unexpected error occurred.");
            *response.status_mut() = axum::http::StatusCode::SERVICE_UNAVAILABLE;
            response
        }
    }
}

/// Looks at a job.
fn told_of(
    org: &Org,
    id: &str,
    asked: Form,
    look: impl FnOnce(&State, &ClassicJob) -> Response<Body>,
) -> Response<Body> {
    let state = org.lock();
    match state.jobs.classic.get(id) {
        Some(job) => look(&state, job),
        None => no_job(asked, id),
    }
}

fn create(org: &Org, call: &Call, version: &str, asked: Form) -> Response<Body> {
    let Some(body) = read_body(&call.body, asked) else {
        let code = if asked == Form::Json { "InvalidJob" } else { "InvalidXML" };
        return error(asked, code, "Unable to parse Job");
    };
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let invalid = |message: String| error(asked, "InvalidJob", &message);
    let Some(work) = Work::of_word(text("operation")) else {
        return match text("operation") {
            "hardDelete" => error(
                asked,
                "FeatureNotEnabled",
                "hardDelete operation requires special user profile permission, please contact your system administrator",
            ),
            other => invalid(format!("Operation not supported: {other}")),
        };
    };
    let form = match text("contentType") {
        "CSV" => Form::Csv,
        "JSON" => Form::Json,
        other => {
            let named = if other.is_empty() { "XML" } else { other };
            return invalid(format!("This simulated org takes CSV and JSON, no {named}"));
        }
    };
    let mut state = org.lock();
    let Some(def) = state.table(text("object")).map(|table| table.def.clone()) else {
        return invalid(format!("Unable to find object: {}", text("object")));
    };
    if def.is_external() {
        return error(
            asked,
            "InvalidEntity",
            &format!("Entity '{}' is not supported by the Bulk API.", def.name),
        );
    }
    let key = match (work, text("externalIdFieldName")) {
        (Work::Write(Operation::Upsert), key) => match super::ingest::key_of(&def, key) {
            Some(key) => Some(key),
            None if key.is_empty() => {
                return invalid(format!(
                    "External ID was blank for {}. An External ID must be specified for upsert.",
                    def.name
                ));
            }
            None => {
                return invalid(format!(
                    "Field name provided, {key} does not match an External ID for {}",
                    def.name
                ));
            }
        },
        _ => None,
    };
    let (id, now) = (state.jobs.next_id(), Utc::now());
    let job = ClassicJob {
        id: id.clone(),
        object: def.name.clone(),
        version: format!("v{version}"),
        work,
        key,
        form,
        chunk: chunk(call),
        state: ClassicState::Open,
        created: now,
        modified: now,
        batches: Vec::new(),
    };
    let told = job_info(201, &state, &job, asked);
    state.jobs.make_room();
    state.jobs.classic.insert(id, job);
    told
}

/// `Sforce-Enable-PKChunking: true; chunkSize=50000; parent=Account`
fn chunk(call: &Call) -> Option<usize> {
    let header = call.headers.get("Sforce-Enable-PKChunking")?.to_str().ok()?.to_ascii_lowercase();
    let size = header.split("chunksize=").nth(1).and_then(|text| {
        let digits = text.split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse::<usize>().ok()
    });
    (!header.starts_with("false")).then(|| size.unwrap_or(CHUNK).clamp(1, CHUNK_LIMIT))
}

/// Closes a job, or ends it.
fn change(org: &Org, call: &Call, id: &str, asked: Form) -> Response<Body> {
    let body = read_body(&call.body, asked).unwrap_or_default();
    let wanted = match body.get("state").and_then(Value::as_str) {
        Some("Closed") => ClassicState::Closed,
        Some("Aborted") => ClassicState::Aborted,
        other => {
            let message = format!("Invalid job state: {}", other.unwrap_or_default());
            return error(asked, "InvalidJobState", &message);
        }
    };
    let told = {
        let mut state = org.lock();
        let Some(job) = state.jobs.classic.get_mut(id) else { return no_job(asked, id) };
        if job.is_closed() {
            let verb = if wanted == ClassicState::Closed { "Closing" } else { "Aborting" };
            let message = format!("{verb} already {} Job not allowed", job.state.word());
            return error(asked, "InvalidJobState", &message);
        }
        (job.state, job.modified) = (wanted, Utc::now());
        if wanted == ClassicState::Aborted {
            batches::abort(&mut state, id);
        }
        state.jobs.classic.get(id).map(|job| job_info(200, &state, job, asked))
    };
    org.changed().notify_waiters();
    told.unwrap_or_else(|| no_job(asked, id))
}

/// The head of a job's info, to which its numbers are added.
fn head(job: &ClassicJob) -> Value {
    let version: f64 = job.version.trim_start_matches('v').parse().unwrap_or_default();
    json!({"id": job.id, "operation": job.work.word(), "object": job.object, "createdById": User::Integration.id(),
        "createdDate": datetime(job.created), "systemModstamp": datetime(job.modified), "state": job.state.word(),
        "externalIdFieldName": job.key, "concurrencyMode": "Parallel", "contentType": job.form.word(),
        "apiVersion": version})
}

/// A job with the numbers of its batches.
fn job_info(status: u16, state: &State, job: &ClassicJob, form: Form) -> Response<Body> {
    let mut values = head(job);
    if let (Value::Object(values), Value::Object(numbers)) = (&mut values, batches::batch_numbers(state, job))
    {
        values.extend(numbers);
    }
    told(status, form, "jobInfo", &values)
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;

    use super::job::Batch;
    use super::*;
    use crate::simulator::bulk::jobs::Jobs;

    #[test]
    fn a_job_takes_so_much_and_no_more() {
        let request = Bytes::from(vec![b'x'; 10_000_000]);
        let now = Utc::now();
        let job = |batches: usize| ClassicJob {
            id: "750".to_owned(),
            object: "Contact".to_owned(),
            version: "v61.0".to_owned(),
            work: Work::Write(Operation::Insert),
            key: None,
            form: Form::Csv,
            chunk: None,
            state: ClassicState::Open,
            created: now,
            modified: now,
            batches: (0..batches)
                .map(|at| Batch { id: format!("751{at}"), request: request.clone(), created: now })
                .collect(),
        };
        let jobs = Jobs::default();
        assert_eq!([53, 54].map(|batches| jobs.is_full(&job(batches))), [false, true]);
    }
}
