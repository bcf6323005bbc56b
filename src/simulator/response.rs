//! The shapes of answers.

use axum::body::Body;
use axum::http::{Response, StatusCode, header};
use serde_json::{Value, json};

use super::rejection::{Duplicate, Rejection};

/// A JSON answer.
pub(super) fn answer(status: u16, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = header::HeaderValue::from_static("application/json;charset=UTF-8");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// Whatever somebody wants to be answered.
pub(super) fn written(status: u16, content_type: &str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Ok(kind) = content_type.parse() {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response
}

/// 204 and the like.
pub(super) fn empty(status: u16) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

/// A refusal of the whole request: an array with one error, without `fields`.
pub(super) fn refusal(status: u16, code: &str, message: &str) -> Response<Body> {
    answer(status, &json!([{"message": message, "errorCode": code}]))
}

/// A body that is no JSON, or not of the form that is wanted.
pub(super) fn unreadable(error: &serde_json::Error) -> Response<Body> {
    let message = format!("{error} at [line:{}, column:{}]", error.line(), error.column());
    refusal(400, "JSON_PARSER_ERROR", &message)
}

/// A refusal by a row endpoint: an array of errors with `errorCode`.
pub(super) fn rejected(rejections: &[Rejection]) -> Response<Body> {
    let status = rejections.first().map_or(400, |rejection| rejection.status);
    let errors: Vec<Value> = rejections.iter().map(row_error).collect();
    answer(status, &Value::from(errors))
}

fn row_error(rejection: &Rejection) -> Value {
    let mut error = json!({"message": rejection.message, "errorCode": rejection.code});
    if rejection.status != 404 {
        error["fields"] = json!(rejection.fields);
    }
    if let Some(Duplicate { rule, allow_save, object, ids }) = &rejection.duplicate {
        let url = |id: &String| format!("/services/data/v62.0/sobjects/{object}/{id}");
        let matches: Vec<Value> = ids
            .iter()
            .map(|id| {
                json!({"additionalInformation": [], "fieldDiffs": [], "matchConfidence": 100.0,
                "record": {"attributes": {"type": object, "url": url(id)}, "Id": id}})
            })
            .collect();
        error["duplicateResult"] = json!({
            "allowSave": allow_save, "duplicateRule": rule, "duplicateRuleEntityType": object,
            "errorMessage": rejection.message,
            "matchResults": [{"entityType": object, "errors": [], "matchEngine": "ExactMatchEngine",
                "matchRecords": matches, "rule": rule.replace("Duplicate", "Match"), "size": ids.len(), "success": true}]
        });
    }
    error
}

/// Not there.
pub(super) fn not_found() -> Response<Body> {
    refusal(404, "NOT_FOUND", "The requested resource does not exist")
}

/// Half of the body, then the connection breaks.
pub(super) async fn cut(response: Response<Body>) -> Response<Body> {
    let (parts, body) = response.into_parts();
    let whole = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let half = whole.slice(..whole.len() / 2);
    let pieces = futures_util::stream::iter([Ok(half), Err(std::io::Error::other("cut"))]);
    Response::from_parts(parts, Body::from_stream(pieces))
}
