//! `query`, `queryAll` and their further pages. The org is locked only while a query is bound to what there is: parsing,
//! searching and writing the answer out hold nobody up.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Response;
use serde_json::json;

use super::call::{Call, token_of};
use super::org::Org;
use super::response::{answer, refusal};
use super::soql::{self, Answer, Fault, Rows};
use super::transaction::Access;

/// Records on a page.
const PAGE: usize = 2_000;

/// Runs a query on the org as it is now.
///
/// # Errors
/// A refusal in Salesforce's words.
pub(super) fn ask(access: Access<'_>, text: &str, all: bool) -> Result<Answer, Fault> {
    let query = soql::parse(text)?;
    let plan = access.read(|state| soql::bind(&query, state.seen(access.is_part()), all))?;
    soql::run(plan)
}

/// A query as a part of a composite request: the whole of its answer.
pub(super) fn query_in_part(access: Access<'_>, call: &Call, version: &str, all: bool) -> Response<Body> {
    let text = call.query.get("q").map_or("", String::as_str);
    match ask(access, text, all) {
        Err(fault) => refusal(400, fault.code, &fault.told(text)),
        Ok(found) => first_page(found, PAGE, version, |rows| {
            access.note(|state| state.cursors.open(session(call), rows))
        }),
    }
}

/// The first page of a query, or all of it.
pub(super) async fn query(org: &Org, call: &Call, version: &str, all: bool) -> Response<Body> {
    let (times_out, count_times_out) = {
        let mut state = org.lock();
        (state.faults.query_timeout(), state.faults.faults.count_timeout)
    };
    let too_long = || refusal(400, "QUERY_TIMEOUT", "Your query request was running for too long.");
    if times_out {
        return too_long();
    }
    let (org, text) = (org.clone(), call.query.get("q").cloned().unwrap_or_default());
    let (size, version, session) = (page_size(call), version.to_owned(), session(call).to_owned());
    aside(move || match ask(Access::alone(&org), &text, all) {
        Err(fault) => refusal(400, fault.code, &fault.told(&text)),
        Ok(Answer::Count(_)) if count_times_out => too_long(),
        Ok(found) => first_page(found, size, &version, |rows| org.lock().cursors.open(&session, rows)),
    })
    .await
}

/// The session that asks.
fn session(call: &Call) -> &str {
    token_of(&call.headers).unwrap_or_default()
}

fn first_page(
    found: Answer,
    size: usize,
    version: &str,
    open: impl FnOnce(Arc<Rows>) -> String,
) -> Response<Body> {
    match found {
        Answer::Count(count) => answer(200, &json!({"totalSize": count, "done": true, "records": []})),
        Answer::Groups(groups) => {
            answer(200, &json!({"totalSize": groups.len(), "done": true, "records": groups}))
        }
        Answer::Records(rows) if rows.len() <= size => page(&rows, 0, size, "", version),
        Answer::Records(rows) => {
            let rows = Arc::new(rows);
            let cursor = open(rows.clone());
            page(&rows, 0, size, &cursor, version)
        }
    }
}

/// The columns of a query, without its records.
pub(super) fn columns(org: &Org, call: &Call) -> Response<Body> {
    let text = call.query.get("q").map_or("", String::as_str);
    let plan = soql::parse(text).and_then(|query| soql::bind(&query, org.lock().seen(false), false));
    match plan {
        Ok(plan) => answer(200, &soql::columns(&plan)),
        Err(fault) => refusal(400, fault.code, &fault.told(text)),
    }
}

/// A query of the Tooling API: this org has nothing that it could be about.
pub(super) fn tooling(call: &Call) -> Response<Body> {
    let text = call.query.get("q").map_or("", String::as_str);
    match soql::parse(text) {
        Ok(query) => {
            let message = format!("sObject type '{}' is not supported.", query.object());
            refusal(400, "INVALID_TYPE", &message)
        }
        Err(fault) => refusal(400, fault.code, &fault.told(text)),
    }
}

/// A further page.
pub(super) async fn query_more(org: &Org, call: &Call, locator: &str, version: &str) -> Response<Body> {
    let place = locator.split_once('-').and_then(|(cursor, from)| {
        let from: usize = from.parse().ok()?;
        let mut state = org.lock();
        let rows = state.cursors.get(session(call), cursor).filter(|rows| from < rows.len())?;
        if from + page_size(call) >= rows.len() {
            state.cursors.close(cursor);
        }
        Some((cursor.to_owned(), from, rows))
    });
    let Some((cursor, from, rows)) = place else {
        return refusal(400, "INVALID_QUERY_LOCATOR", "invalid query locator");
    };
    let (size, version) = (page_size(call), version.to_owned());
    aside(move || page(&rows, from, size, &cursor, &version)).await
}

/// Works where it holds up no other request.
pub(super) async fn aside(work: impl FnOnce() -> Response<Body> + Send + 'static) -> Response<Body> {
    let failed = |_| refusal(500, "UNKNOWN_EXCEPTION", "An unexpected error occurred.");
    tokio::task::spawn_blocking(work).await.unwrap_or_else(failed)
}

/// How many records a page holds.
fn page_size(call: &Call) -> usize {
    let wanted = call.headers.get("Sforce-Query-Options");
    let wanted =
        wanted.and_then(|value| value.to_str().ok()?.split("batchSize=").nth(1)?.parse::<usize>().ok());
    wanted.map_or(PAGE, |size| size.clamp(200, PAGE))
}

fn page(rows: &Rows, from: usize, size: usize, cursor: &str, version: &str) -> Response<Body> {
    let end = (from + size).min(rows.len());
    let mut body =
        json!({"totalSize": rows.len(), "done": end == rows.len(), "records": rows.page(from..end, version)});
    if end < rows.len() {
        body["nextRecordsUrl"] = json!(format!("/services/data/{version}/query/{cursor}-{end}"));
    }
    answer(200, &body)
}
