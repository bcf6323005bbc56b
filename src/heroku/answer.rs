//! One request and its answer, which may be anything: read within bounds, and told apart by what it says.

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{RequestBuilder, Response, StatusCode};
use secrecy::ExposeSecret;
use serde_json::Value;

use crate::logs::sanitize::sanitize;

use super::{ApiAccess, Error};

/// The most bytes of an answer: a connection with some hundred mappings of some hundred fields has a few of these.
const MAX_BYTES: usize = 16 << 20;
/// What stands for the key where an answer echoes it.
const HIDDEN: &str = "(the API key)";
/// How much is shown of a refusal's words, in characters.
const MESSAGE: usize = 300;
/// Waits after a refusal for too many requests: where none is told, the shortest and the longest.
const WAIT: Duration = Duration::from_secs(60);
const SHORTEST: u64 = 1;
const LONGEST: u64 = 900;

/// An answer that is success.
pub(super) struct ApiAnswer {
    pub(super) status: StatusCode,
    /// Null where there is none.
    pub(super) body: Value,
}

/// How a request is sent.
#[derive(Clone, Copy)]
pub(super) struct Sent {
    /// How long its answer is waited for.
    pub(super) timeout: Duration,
    /// Whether it changes something.
    pub(super) changes: bool,
}

/// Sends a request, and tells its answer.
pub(super) async fn of(
    request: RequestBuilder,
    host: &str,
    access: &ApiAccess,
    sent: Sent,
) -> Result<ApiAnswer, Error> {
    let failed = |error: reqwest::Error| failure(&error, host, sent);
    let response = request.send().await.map_err(failed)?;
    let (status, headers) = (response.status(), response.headers().clone());
    if status.is_redirection() {
        let cause = format!("a redirect ({}), which is not followed", status.as_u16());
        return Err(Error::Unusable { host: host.to_owned(), cause });
    }
    let bytes = body(response, host, sent).await?;
    let mut parsed = parse(&bytes);
    if let Ok(body) = &mut parsed {
        hide(body, access.key.expose_secret());
    }
    if !status.is_success() {
        return Err(refusal(status, &headers, parsed.ok(), host, access));
    }
    let body = parsed.map_err(|cause| Error::Unusable { host: host.to_owned(), cause })?;
    Ok(ApiAnswer { status, body })
}

async fn body(mut response: Response, host: &str, sent: Sent) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| failure(&error, host, sent))? {
        if bytes.len() + piece.len() > MAX_BYTES {
            let cause = format!("the answer is longer than {} MiB", MAX_BYTES >> 20);
            return Err(Error::Unusable { host: host.to_owned(), cause });
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// The JSON of an answer; why it is none, without a word of it.
fn parse(bytes: &[u8]) -> Result<Value, String> {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    match first {
        None => Ok(Value::Null),
        Some(b'<') => Err("it is a page of HTML, not the API's".to_owned()),
        Some(_) => serde_json::from_slice(bytes).map_err(|_| "it is no whole JSON".to_owned()),
    }
}

/// Replaces the key wherever an answer echoes it.
fn hide(value: &mut Value, key: &str) {
    match value {
        Value::String(text) if text.contains(key) => *text = text.replace(key, HIDDEN),
        Value::Array(values) => values.iter_mut().for_each(|value| hide(value, key)),
        Value::Object(values) => values.values_mut().for_each(|value| hide(value, key)),
        _ => {}
    }
}

fn refusal(
    status: StatusCode,
    headers: &HeaderMap,
    body: Option<Value>,
    host: &str,
    access: &ApiAccess,
) -> Error {
    let (app, place) = (access.app.clone(), access.key_place.clone());
    match status {
        StatusCode::UNAUTHORIZED => Error::KeyRefused { place },
        StatusCode::FORBIDDEN => Error::NoAccess { app, place },
        StatusCode::TOO_MANY_REQUESTS => Error::Limited { wait: wait(headers) },
        status => match body.as_ref().and_then(message) {
            Some(message) => Error::Refused { status: status.as_u16(), message },
            None if status == StatusCode::NOT_FOUND => {
                Error::Refused { status: 404, message: "it is not there".to_owned() }
            }
            None => {
                let cause = format!("HTTP {}, in words that are not the API's", status.as_u16());
                Error::Unusable { host: host.to_owned(), cause }
            }
        },
    }
}

/// What a refusal says.
fn message(body: &Value) -> Option<String> {
    let text = ["message", "error", "detail"].into_iter().find_map(|key| body.get(key)?.as_str())?;
    let short: String = text.chars().take(MESSAGE).collect();
    Some(sanitize(&short).into_owned()).filter(|text| !text.trim().is_empty())
}

fn wait(headers: &HeaderMap) -> Duration {
    let told = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok());
    told.map_or(WAIT, |seconds| Duration::from_secs(seconds.clamp(SHORTEST, LONGEST)))
}

fn failure(error: &reqwest::Error, host: &str, Sent { timeout, changes }: Sent) -> Error {
    let host = host.to_owned();
    match () {
        // Without a connection nothing was sent, let alone done.
        () if error.is_timeout() => {
            let changes = changes && !error.is_connect();
            Error::Slow { host, seconds: timeout.as_secs(), changes }
        }
        () if error.is_connect() => Error::Unreachable { host, cause: root_cause(error) },
        () => Error::Lost { host, cause: root_cause(error), changes },
    }
}

/// The innermost cause, without the URL.
pub(super) fn root_cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "timed out".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let text = if cause.source().is_none() && cause.to_string().contains("://") {
        "the request failed".to_owned()
    } else {
        cause.to_string()
    };
    sanitize(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_json_is_told_without_a_word_of_it() {
        assert_eq!(parse(b" \n").unwrap(), Value::Null);
        assert!(parse(b" <html>secret").unwrap_err().contains("HTML"));
        assert_eq!(parse(b"{\"secret\": ").unwrap_err(), "it is no whole JSON");
    }

    #[test]
    fn the_words_of_a_refusal_are_short_and_harmless() {
        let told =
            message(&serde_json::json!({"message": format!("\u{1b}[2J{}", "x".repeat(5_000))})).unwrap();
        assert!(told.starts_with("\\e[2Jx") && told.chars().count() <= MESSAGE + 1, "{told}");
        assert_eq!(message(&serde_json::json!({"error": "busy"})).as_deref(), Some("busy"));
        assert_eq!(message(&serde_json::json!(["busy"])), None);
    }

    #[test]
    fn a_key_that_is_echoed_is_replaced() {
        let mut body =
            serde_json::json!({"message": "HRKU-1 is bad", "results": [{"state": "HRKU-1"}], "n": 1});
        hide(&mut body, "HRKU-1");
        assert_eq!(body["message"], "(the API key) is bad");
        assert!(!body.to_string().contains("HRKU"), "{body}");
    }

    #[test]
    fn a_wait_is_believed_within_reason() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            wait(&headers).as_secs()
        };
        assert_eq!((of("7"), of("0"), of("99999999"), of("soon")), (7, 1, 900, 60));
    }
}
