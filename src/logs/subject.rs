//! What a line is about: the request, the record or the batch that it names, as a filter that finds all lines about it.

use std::sync::LazyLock;

use regex::Regex;

use super::packed::Line;
use crate::domain::names::Sfid;

/// The filter of all lines about what a line is about: its request, else its record, else its batch.
pub fn thread(line: &Line<'_>) -> Option<String> {
    let named = |key: &str| line.field(key).filter(|value| !value.contains('"'));
    if let Some(request) = named("request_id") {
        return Some(asked("request", request));
    }
    let row = named("mapping").zip(named("row")).map(|(mapping, row)| format!("{mapping}:{row}"));
    let names: Vec<String> = row.into_iter().chain(sfid(line).map(|id| id.to_string())).collect();
    match (names.is_empty(), named("batch")) {
        (false, _) => Some(asked("record", &names.join("|"))),
        (true, Some(batch)) => Some(asked("batch", batch)),
        (true, None) => None,
    }
}

/// A key with a value, as a filter.
pub fn asked(key: &str, value: &str) -> String {
    if value.contains(char::is_whitespace) { format!("{key}:\"{value}\"") } else { format!("{key}:{value}") }
}

/// The row that a line speaks of, and its mapping, which is one of these names: `row 42` in its words, too.
pub fn row<'a>(line: &Line<'_>, mappings: impl Iterator<Item = &'a str>) -> Option<(&'a str, i32)> {
    static SPOKEN: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?i)\brow[ =]([0-9]{1,10})\b").ok());
    let spoken = || Some(SPOKEN.as_ref()?.captures(line.message())?.get(1)?.as_str());
    let row = line.field("row").or_else(spoken)?.parse().ok()?;
    let is_word = |name: &str| {
        let mut words = line.message().split(|c: char| !c.is_alphanumeric() && c != '_');
        words.any(|word| word.eq_ignore_ascii_case(name))
    };
    let is_named = |name: &str| line.field("mapping").map_or_else(|| is_word(name), |other| other == name);
    mappings.into_iter().find(|name| is_named(name)).map(|name| (name, row))
}

/// The record that a line names by its id; an org's id says only where it came from.
pub fn sfid(line: &Line<'_>) -> Option<Sfid> {
    let told = line.field("sfid").and_then(Sfid::parse);
    told.or_else(|| {
        let texts = [line.message()].into_iter().chain(line.fields().map(|(_, value)| value));
        texts
            .flat_map(|text| text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_'))
            .find_map(id)
    })
}

/// An id that is hardly anything else: with its checksum, or with the beginning of a standard or a custom object's.
fn id(word: &str) -> Option<Sfid> {
    let begins = |word: &str| {
        let standard = word.starts_with("00") && !word.starts_with("000");
        let custom = word.starts_with('a') && word.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
        standard || custom
    };
    let may_be = match word.len() {
        15 => begins(word) && word.bytes().any(|byte| byte.is_ascii_uppercase()),
        18 => word.bytes().any(|byte| byte.is_ascii_digit()),
        _ => false,
    };
    if may_be && !word.starts_with("00D") { Sfid::parse(word) } else { None }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::{Value, json};

    use super::*;
    use crate::logs::ring::Ring;
    use crate::logs::{Level, LogRecord};

    fn with<T>(message: &str, fields: Value, asks: impl Fn(&Line<'_>) -> T) -> T {
        let Value::Object(fields) = fields else { unreachable!() };
        let mut ring = Ring::new(0);
        ring.push(&LogRecord {
            id: 1,
            time: DateTime::UNIX_EPOCH,
            level: Level::Info,
            source: "app".to_owned(),
            dyno: "web.1".to_owned(),
            message: message.to_owned(),
            fields,
        });
        asks(&ring.newest().unwrap())
    }

    #[test]
    fn a_thread_is_of_the_request_else_the_record_else_the_batch() {
        for (message, fields, wanted) in [
            ("x", json!({"request_id": "00Dbc-1", "mapping": "Contact", "row": 7}), Some("request:00Dbc-1")),
            ("x", json!({"mapping": "Contact", "row": 7, "batch": "8f2"}), Some("record:Contact:7")),
            (
                "x",
                json!({"mapping": "Contact", "row": 7, "sfid": "001Ws00003GGHVCIA5"}),
                Some("record:Contact:7|001Ws00003GGHVCIA5"),
            ),
            ("3 of 200 rejected", json!({"mapping": "Contact", "batch": "8f2"}), Some("batch:8f2")),
            ("found [{\"id\":\"001Ws00003GGHVCIA5\"}]", json!({}), Some("record:001Ws00003GGHVCIA5")),
            ("x", json!({"request_id": "a b"}), Some("request:\"a b\"")),
            ("Querying invoking org (00Dbc0000000000000) Accounts", json!({}), None),
            ("an_ordinary_thing and an internationally long word", json!({}), None),
        ] {
            assert_eq!(with(message, fields.clone(), thread).as_deref(), wanted, "{message} {fields}");
        }
    }

    #[test]
    fn a_row_is_told_by_its_fields_or_in_words() {
        for (message, fields, wanted) in [
            ("x", json!({"mapping": "Contact", "row": 7}), Some(("Contact", 7))),
            ("row 42 of contact waits", json!({}), Some(("Contact", 42))),
            ("row 42 waits", json!({"mapping": "Account"}), Some(("Account", 42))),
            ("row 42 waits", json!({"mapping": "Lead"}), None),
            ("row 42 waits", json!({}), None),
            ("rows 42 of contact", json!({}), None),
            ("row 99999999999 of contact", json!({}), None),
        ] {
            let names = || ["Account", "Contact"].into_iter();
            assert_eq!(
                with(message, fields.clone(), |line| row(line, names())),
                wanted,
                "{message} {fields}"
            );
        }
    }
}
