//! What the endpoints of both kinds of jobs answer.

use axum::body::Body;
use axum::http::{Response, header};
use serde_json::{Value, json};

use super::jobs::JobState;
use crate::simulator::response::{answer, refusal, unreadable};
use crate::simulator::schema::ObjectDef;

/// CSV.
pub(super) fn csv(body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    let kind = header::HeaderValue::from_static("text/csv; charset=UTF-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// All jobs of a kind, on one page.
pub(super) fn list(jobs: Vec<Value>) -> Response<Body> {
    answer(200, &json!({"done": true, "records": jobs, "nextRecordsUrl": null}))
}

/// The job is in no state for that.
pub(super) fn wrong_state(message: &str) -> Response<Body> {
    refusal(400, "INVALIDJOBSTATE", message)
}

/// Results are for those who ask in the version in which the job was made.
pub(super) fn wrong_version(asked: &str, made: &str) -> Option<Response<Body>> {
    let message = format!("The job was created in API version {made} and can not be read in {asked}");
    (asked != made).then(|| refusal(409, "VERSION_CONFLICT", &message))
}

/// The state that a PATCH asks for.
pub(super) fn wanted_state(body: &[u8]) -> Option<JobState> {
    let body: Value = serde_json::from_slice(body).ok()?;
    match body.get("state")?.as_str()? {
        "UploadComplete" => Some(JobState::UploadComplete),
        "Aborted" => Some(JobState::Aborted),
        _ => None,
    }
}

pub(super) fn no_such_state() -> Response<Body> {
    refusal(400, "INVALIDJOB", "InvalidJob : The state can be set to UploadComplete or Aborted")
}

/// What another system keeps is not read or written in bulk: Airbyte's source goes on by queries then.
pub(super) fn no_entity(def: &ObjectDef) -> Response<Body> {
    refusal(400, "INVALIDENTITY", &format!("Entity '{}' is not supported by the Bulk API.", def.name))
}

/// The body of a job that is to be made.
pub(super) fn job_body(body: &[u8]) -> Result<Value, Box<Response<Body>>> {
    serde_json::from_slice(body).map_err(|error| Box::new(unreadable(&error)))
}
