//! Errors of dynos (`Error R14 (Memory quota exceeded)`) and of Heroku's log router, which lost lines
//! (`Error L10 (output buffer overflow): 500 messages dropped since 2024-10-28T16:02:15+00:00.`).

use std::borrow::Cow;

use super::{LineFormat, ParsedEntry, Value};
use crate::logs::{Level, UNKNOWN};

/// A line with such an error.
pub(super) fn read(line: &str) -> Option<ParsedEntry<'_>> {
    let rest = line.strip_prefix("Error ")?;
    let code = rest.split([' ', ':']).next()?;
    let format = match code.as_bytes() {
        [b'R', b'0'..=b'9', b'0'..=b'9'] => LineFormat::Dyno,
        [b'L', b'0'..=b'9', b'0'..=b'9'] => LineFormat::Logplex,
        _ => return None,
    };
    let mut entry = ParsedEntry::new(format);
    entry.level = Some(Level::Error);
    entry.message = Cow::Borrowed(line);
    entry.put("code", Value::Text(Cow::Borrowed(code)));
    // These three say that lines were lost, also where they do not say how many.
    let unknown = || ["L10", "L11", "L12"].contains(&code).then_some(Value::Text(Cow::Borrowed(UNKNOWN)));
    let count = if format == LineFormat::Logplex { dropped(rest).or_else(unknown) } else { None };
    if let Some(count) = count {
        entry.put("dropped", count);
    }
    Some(entry)
}

/// How many lines were lost: `500 messages dropped`, and `1 message dropped`.
fn dropped(text: &str) -> Option<Value<'_>> {
    let before = &text[..text.find(" messages dropped").or_else(|| text.find(" message dropped"))?];
    let count = before.rsplit(' ').next()?;
    match Value::read(count) {
        number @ Value::Number(_) => Some(number),
        _ => None,
    }
}
