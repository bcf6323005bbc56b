//! Heroku's router: `at=info method=GET path="/" ... dyno=web.1 connect=0ms service=267ms status=200 bytes=267`, and
//! with `code=H12 desc="Request timeout"` where the request failed.

use std::borrow::Cow;

use super::logfmt::Pairs;
use super::{LineFormat, ParsedEntry, Value, level};

/// A line of the router.
pub(super) fn read(line: &str) -> Option<ParsedEntry<'_>> {
    if !line.starts_with("at=") && !line.starts_with("sock=") {
        return None;
    }
    let mut entry = ParsedEntry::new(LineFormat::Router);
    let (mut method, mut path, mut description) = ("", None, None);
    for pair in Pairs::of(line) {
        match pair? {
            ("at", Value::Text(word)) => entry.level = Some(level::of_word(&word)?),
            ("desc", Value::Text(text)) => description = Some(text),
            (key @ ("connect" | "service"), Value::Text(time)) => entry.put(key, milliseconds(time)),
            (key, value) => {
                match (key, &value) {
                    ("method", Value::Text(Cow::Borrowed(text))) => method = text,
                    ("path", Value::Text(text)) => path = Some(text.clone()),
                    _ => {}
                }
                entry.take(Cow::Borrowed(key), value);
            }
        }
    }
    // Any program may write `at=`; only the router says these.
    let path = path.filter(|_| entry.field("fwd").is_some() || entry.field("dyno").is_some())?;
    entry.message = description.unwrap_or_else(|| Cow::Owned(format!("{method} {path}")));
    Some(entry)
}

/// `267ms` as the number that it is.
fn milliseconds(text: Cow<'_, str>) -> Value<'_> {
    match &text {
        Cow::Borrowed(borrowed) => match borrowed.strip_suffix("ms").map(Value::read) {
            Some(number @ Value::Number(_)) => number,
            _ => Value::Text(text),
        },
        Cow::Owned(_) => Value::Text(text),
    }
}
