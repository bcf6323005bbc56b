//! PostgreSQL: Heroku's (`[DATABASE] [12-1] sql_error_code = 53300 FATAL:  too many connections`), with the keys that
//! newer plans add, and a server's own (`2024-10-28 16:02:15.123 UTC [7] ERROR:  relation "x" does not exist`).

use std::borrow::Cow;

use super::logfmt::quoted_text;
use super::{LineFormat, ParsedEntry, Value, names, time};
use crate::logs::Level;

/// A line of PostgreSQL.
pub(super) fn read(line: &str) -> Option<ParsedEntry<'_>> {
    let (stamp, rest) = match time::leading(line) {
        Some((stamp, rest)) => (Some(stamp), rest.trim_start_matches(' ')),
        None => (None, line),
    };
    if !rest.starts_with('[') && !rest.starts_with("sql_error_code") {
        return None;
    }
    let mut entry = ParsedEntry::new(LineFormat::Postgres);
    entry.stamp = stamp;
    let mut rest = brackets(rest, &mut entry)?;
    while let Some((key, value, behind)) = pair(rest) {
        entry.put(names::canonical(key).unwrap_or(key), Value::Text(value));
        rest = behind.trim_start_matches(' ');
    }
    let (severity, message) = severity(rest)?;
    entry.level = Some(level(severity)?);
    entry.put("severity", Value::Text(Cow::Borrowed(severity)));
    entry.message = Cow::Borrowed(message.trim_start_matches(' '));
    Some(entry)
}

/// `[DATABASE]`, `[12-1]` and `[7]`: the database, the statement, the process.
fn brackets<'a>(mut rest: &'a str, entry: &mut ParsedEntry<'a>) -> Option<&'a str> {
    while let Some(inside) = rest.strip_prefix('[') {
        let (word, behind) = inside.split_once(']')?;
        let first = word.as_bytes().first()?;
        let key = match (first.is_ascii_digit(), word.contains('-')) {
            (true, true) => "statement",
            (true, false) => "pid",
            (false, _) => "database",
        };
        if !word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
            return None;
        }
        entry.put(key, Value::read(word));
        rest = behind.trim_start_matches([' ', ':']);
    }
    Some(rest)
}

/// `key = value` or `key="value"`.
fn pair(text: &str) -> Option<(&str, Cow<'_, str>, &str)> {
    let end = text.bytes().take_while(|byte| byte.is_ascii_lowercase() || *byte == b'_').count();
    let (key, rest) = text.split_at(end);
    let value = rest.trim_start_matches(' ').strip_prefix('=')?.trim_start_matches(' ');
    if key.is_empty() {
        return None;
    }
    match value.strip_prefix('"') {
        Some(quoted) => quoted_text(quoted).map(|(value, rest)| (key, value, rest)),
        None => {
            let (value, rest) = value.split_at(value.find(' ')?);
            Some((key, Cow::Borrowed(value), rest))
        }
    }
}

/// `FATAL:  too many connections` in two.
fn severity(text: &str) -> Option<(&str, &str)> {
    let end = text.bytes().take_while(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()).count();
    Some((&text[..end], text[end..].strip_prefix(':')?))
}

fn level(severity: &str) -> Option<Level> {
    Some(match severity {
        "DEBUG" | "DEBUG1" | "DEBUG2" | "DEBUG3" | "DEBUG4" | "DEBUG5" => Level::Debug,
        "LOG" | "INFO" | "NOTICE" | "DETAIL" | "HINT" | "CONTEXT" | "QUERY" | "STATEMENT" | "LOCATION" => {
            Level::Info
        }
        "WARNING" => Level::Warn,
        "ERROR" | "FATAL" | "PANIC" => Level::Error,
        _ => return None,
    })
}
