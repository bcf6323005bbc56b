//! One name for what programs name differently, so that a filter finds it in all of them.

use std::borrow::Cow;
use std::ops::Range;

/// The request that a line is about.
pub const REQUEST: &str = "request_id";
/// The org.
pub const ORG: &str = "org_id";

/// The one name of a key, where it has another one than its own.
pub fn canonical(key: &str) -> Option<&'static str> {
    Some(match key {
        "request-id" | "request_id" | "requestId" | "requestID" | "reqId" | "req_id" | "req.id"
        | "x-request-id" | "x_request_id" | "http.request.id" => REQUEST,
        "org-id" | "org_id" | "orgId" | "org.id" | "organization-id" | "organization_id"
        | "organizationId" | "organization.id" => ORG,
        "req.method" | "http.request.method" => "method",
        "req.url" | "url.path" => "path",
        "res.statusCode" | "statusCode" | "status_code" | "http.response.status_code" => "status",
        "responseTime" => "service",
        "sql_error_code" => "code",
        _ => return None,
    })
}

/// The org at the beginning of an AppLink request's id, `00Dbc0000000000000-f2f3ed60-...`.
pub fn org_of<'a>(request: &Cow<'a, str>) -> Option<Cow<'a, str>> {
    let length = request.find('-').filter(|length| matches!(length, 15 | 18))?;
    let is_org =
        request.starts_with("00D") && request[..length].bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_org.then(|| piece(request, 0..length))
}

/// A part of a text, borrowed where the text is.
pub(super) fn piece<'a>(text: &Cow<'a, str>, part: Range<usize>) -> Cow<'a, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[part]),
        Cow::Owned(text) => Cow::Owned(text[part].to_owned()),
    }
}
