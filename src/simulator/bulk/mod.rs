//! Bulk API 2.0: jobs that take or give records as CSV. A job lives in `jobs`; `ingest` and `query` are its endpoints;
//! `load` carries an ingest job out, by `columns` and `sheet`. `classic` is the Bulk API before it.

pub(super) mod classic;
mod columns;
mod ingest;
pub(super) mod jobs;
mod load;
mod operation;
mod query;
mod results;
mod sheet;

use axum::body::Body;
use axum::http::Response;

use super::call::Call;
use super::org::Org;
use super::response::not_found;
use jobs::is_batch;

/// Answers everything below `jobs`.
pub(super) async fn answer_jobs(org: &Org, call: &Call, version: &str, rest: &[&str]) -> Response<Body> {
    match rest {
        // A batch of the API before this one is no job.
        [_, id, ..] if is_batch(id) => not_found(),
        ["ingest", rest @ ..] => ingest::answer_ingest(org, call, version, rest).await,
        ["query", rest @ ..] => query::answer_query(org, call, version, rest).await,
        _ => not_found(),
    }
}
