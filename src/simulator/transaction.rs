//! What can be a part of a transaction: it works on the locked org, alone or in a composite request.

use axum::body::Body;
use axum::http::{Method, Response};

use super::call::Call;
use super::org::State;
use super::{collections, queries, rows};

/// Answers a request that writes records, or reads few; `None` when it is none of these.
pub(super) fn answer_write(
    state: &mut State,
    call: &Call<'_>,
    version: &str,
    rest: &[&str],
) -> Option<Response<Body>> {
    Some(match (call.method, rest) {
        (_, ["composite", "sobjects", rest @ ..]) => {
            collections::answer_collection(state, call, version, rest)
        }
        (&Method::GET, ["sobjects", _, "describe" | "deleted" | "updated"]) => return None,
        (_, ["sobjects", object]) => rows::create_row(state, call, object, version),
        (_, ["sobjects", object, id]) => rows::row(state, call, object, id, version),
        (_, ["sobjects", object, key, value]) => rows::row_by_key(state, call, object, key, value, version),
        _ => return None,
    })
}

/// The same for a part of a composite request, where queries are parts too.
pub(super) fn answer_part(
    state: &mut State,
    call: &Call<'_>,
    version: &str,
    rest: &[&str],
) -> Option<Response<Body>> {
    match (call.method, rest) {
        (&Method::GET, ["query"]) => Some(queries::query_locked(state, call, version, false)),
        (&Method::GET, ["queryAll"]) => Some(queries::query_locked(state, call, version, true)),
        _ => answer_write(state, call, version, rest),
    }
}
