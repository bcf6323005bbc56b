//! What can be a part of a transaction: answered alone or in a composite request.

use axum::body::Body;
use axum::http::{Method, Response};

use super::call::Call;
use super::transaction::Access;
use super::{collections, queries, rows};

/// Answers a request that writes records, or reads few; `None` when it is none of these. It may wait for its turn to write.
pub(super) fn answer_write(
    access: Access<'_>,
    call: &Call,
    version: &str,
    rest: &[&str],
) -> Option<Response<Body>> {
    Some(match (&call.method, rest) {
        (_, ["composite", "sobjects", rest @ ..]) => {
            collections::answer_collection(access, call, version, rest)
        }
        (&Method::GET, ["sobjects", _, "describe" | "deleted" | "updated"]) => return None,
        (_, ["sobjects", object]) => rows::create_row(access, call, object, version),
        (_, ["sobjects", object, id]) => rows::row(access, call, object, id, version),
        (_, ["sobjects", object, key, value]) => rows::row_by_key(access, call, object, key, value, version),
        _ => return None,
    })
}

/// The same for a part of a composite request, where queries are parts too.
pub(super) fn answer_part(
    access: Access<'_>,
    call: &Call,
    version: &str,
    rest: &[&str],
) -> Option<Response<Body>> {
    match (&call.method, rest) {
        (&Method::GET, ["query"]) => Some(queries::query_in_part(access, call, version, false)),
        (&Method::GET, ["queryAll"]) => Some(queries::query_in_part(access, call, version, true)),
        _ => answer_write(access, call, version, rest),
    }
}
