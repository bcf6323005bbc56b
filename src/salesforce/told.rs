//! What an answer tells beside its body: limits, pauses, refusals. All of it comes from outside, so each number is
//! believed only where it makes sense, and no pause is longer than a person would let it be.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use serde_json::Value;

use super::Error;

/// The longest pause that `Retry-After` is taken at its word for; then it is tried again, whatever was told.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// The shortest: whoever says "at once" with a refusal means "not now".
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
/// Requests a day that no org has; what is beyond is no number of requests.
const MOST_REQUESTS: i64 = 1_000_000_000_000;
/// How much is kept of a message, and of a code, in bytes. Those of Salesforce are far shorter, but for stack traces.
const MESSAGE: usize = 32 << 10;
const CODE: usize = 100;

/// How long to wait, from `Retry-After`: seconds, or a date, which counts from the server's own clock where it tells it.
pub(super) fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        let date = |text: &str| DateTime::parse_from_rfc2822(text).ok();
        let told = headers.get("date").and_then(|value| date(value.to_str().ok()?));
        let now = told.map_or(now, |told| told.with_timezone(&Utc));
        date(text)?.with_timezone(&Utc).signed_duration_since(now).to_std().ok()?
    };
    Some(wait.clamp(SHORTEST_PAUSE, LONGEST_PAUSE))
}

/// Requests used and allowed: `api-usage=18/5000`, possibly with more behind it.
pub(super) fn usage(headers: &HeaderMap) -> Option<(i64, i64)> {
    let text = headers.get("sforce-limit-info")?.to_str().ok()?;
    let (used, limit) = text.split("api-usage=").nth(1)?.split([';', ',']).next()?.trim().split_once('/')?;
    let number = |text: &str| text.parse().ok().filter(|number| (0..=MOST_REQUESTS).contains(number));
    Some((number(used)?, number(limit)?))
}

/// The charset that an answer says to be in, where JSON is never in it.
pub(super) fn foreign_charset(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(CONTENT_TYPE)?.to_str().ok()?.to_ascii_lowercase();
    let charset = text.split("charset=").nth(1)?.split(';').next()?.trim().trim_matches('"').to_owned();
    (!["utf-8", "utf8", "us-ascii", ""].contains(&charset.as_str())).then(|| short(&charset, CODE))
}

/// Whether an answer failed for what it was, by the words of the HTTP library; else the way broke.
pub(super) fn is_no_http(cause: &str) -> bool {
    cause.contains("invalid HTTP") || cause.contains("message head is too large")
}

/// Whether a refusal is Salesforce's own, not that of a gateway before it, which knows no object and no record, nor whether
/// what it passed on was carried out. Some statuses speak for themselves.
pub(super) fn is_by_salesforce(status: StatusCode, body: Option<&Value>) -> bool {
    let speaks = [401, 413, 414, 420, 429, 431, 500].contains(&status.as_u16());
    speaks || first(body).is_some_and(|error| error.get("errorCode").is_some_and(Value::is_string))
}

/// A refusal. Errors come as an array of `{errorCode, message}`; a gateway's may come as HTML.
pub(super) fn api_error(status: u16, body: Option<&Value>, retry_after: Option<Duration>) -> Error {
    let text = |key: &str| first(body).and_then(|error| error.get(key)).and_then(Value::as_str);
    let code = text("errorCode").map(code).unwrap_or_else(|| match status {
        429 => "REQUEST_LIMIT_EXCEEDED".to_owned(),
        500.. => "SERVER_UNAVAILABLE".to_owned(),
        _ => format!("HTTP_{status}"),
    });
    let message = text("message").map_or_else(|| format!("HTTP status {status} without a message"), message);
    Error::Api { status, code, message, retry_after }
}

fn first(body: Option<&Value>) -> Option<&Value> {
    match body? {
        Value::Array(errors) => errors.first(),
        other => Some(other),
    }
}

/// A code as it is kept: they are in indexes, which hold no long ones.
pub(super) fn code(text: &str) -> String {
    short(text, CODE)
}

/// A message as it is kept.
pub(super) fn message(text: &str) -> String {
    short(text, MESSAGE)
}

/// A text up to so many bytes, with a word about the rest.
fn short(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let end = text.char_indices().map(|(at, _)| at).take_while(|at| *at <= most).last().unwrap_or(0);
    format!("{} ... ({} bytes)", &text[..end], text.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn no_pause_is_longer_than_minutes_whatever_is_asked_for() {
        let now = DateTime::parse_from_rfc3339("2026-11-20T14:00:00Z").unwrap().to_utc();
        for (text, seconds) in [
            ("7", Some(7)),
            ("0", Some(1)),
            ("2592000", Some(300)),
            ("18446744073709551615", Some(300)),
            ("99999999999999999999999999", Some(300)),
            ("-5", None),
            ("soon", None),
            ("", None),
            ("1e9", None),
            ("Fri, 20 Nov 2026 14:00:30 GMT", Some(30)),
            ("Fri, 20 Nov 2026 13:00:00 GMT", None),
            ("Sat, 20 Nov 9999 14:00:00 GMT", Some(300)),
            ("Fri, 20 Nov 99999999 14:00:30 GMT", None),
        ] {
            let told = retry_after(&headers(&[("retry-after", text)]), now);
            assert_eq!(told.map(|wait| wait.as_secs()), seconds, "{text}");
        }
        // A machine whose own clock is wrong by an hour waits as long as it was told.
        let both =
            [("retry-after", "Fri, 20 Nov 2026 13:00:20 GMT"), ("date", "Fri, 20 Nov 2026 13:00:00 GMT")];
        assert_eq!(retry_after(&headers(&both), now), Some(Duration::from_secs(20)));
    }

    #[test]
    fn limits_that_cannot_be_are_not_believed() {
        for (text, told) in [
            ("api-usage=18/5000", Some((18, 5000))),
            ("api-usage=25/5000; per-app-api-usage=17/250(appName=x)", Some((25, 5000))),
            ("api-usage=-1/5000", None),
            ("api-usage=1/99999999999999999999999", None),
            ("api-usage=9223372036854775807/1", None),
            ("api-usage=", None),
            ("usage", None),
        ] {
            assert_eq!(usage(&headers(&[("sforce-limit-info", text)])), told, "{text}");
        }
    }

    #[test]
    fn a_gateways_refusal_is_not_taken_for_salesforces() {
        let html = None;
        let own = json!([{"errorCode": "NOT_FOUND", "message": "gone"}]);
        let status = |code: u16| StatusCode::from_u16(code).unwrap();
        assert!(is_by_salesforce(status(404), Some(&own)));
        assert!(!is_by_salesforce(status(404), html));
        assert!(!is_by_salesforce(status(403), Some(&json!({"error": "blocked"}))));
        assert!(!is_by_salesforce(status(400), Some(&json!([]))));
        assert!(!is_by_salesforce(status(504), html));
        for speaking in [401, 414, 429, 500] {
            assert!(is_by_salesforce(status(speaking), html));
        }
    }

    #[test]
    fn codes_and_messages_fit_where_they_are_kept() {
        let long = json!([{"errorCode": "C".repeat(5_000), "message": "\u{1F600}".repeat(20_000)}]);
        let Error::Api { code, message, .. } = api_error(400, Some(&long), None) else { panic!() };
        assert!(code.len() < 130 && code.ends_with("(5000 bytes)"), "{code}");
        assert!(message.len() < MESSAGE + 30 && message.ends_with("(80000 bytes)"));
    }

    #[test]
    fn another_charset_is_noticed() {
        let told = |text: &str| foreign_charset(&headers(&[("content-type", text)]));
        assert_eq!(told("application/json;charset=UTF-8"), None);
        assert_eq!(told("application/json"), None);
        assert_eq!(told("application/json; charset=\"ISO-8859-1\"; x=y").as_deref(), Some("iso-8859-1"));
    }
}
