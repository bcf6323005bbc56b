//! Bodies of answers, which may be anything: read within bounds, made into JSON that the rest of the program can hold, or
//! refused with the reason. Nothing that a server sends costs more memory than is said here, or a thread of the runtime.
//!
//! JSON may hold texts that are none: half of a surrogate pair (text cut in the middle of an emoji), a NUL, bytes that are
//! no UTF-8. Neither Rust's texts nor PostgreSQL's can hold those, and a parser refuses the whole page for one of them.
//! Each is replaced by U+FFFD, and it is told where.

use std::sync::Arc;

use reqwest::Response;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most bytes of one answer, decompressed. A page holds 2,000 records at most, and Salesforce makes pages of long
/// records shorter; one that is longer than this is asked for again with 200.
pub(super) const MAX_BYTES: usize = 64 << 20;
/// The most values of one answer: 2,000 records with all of the 900 fields that an object can have at most, and room. A
/// value of two bytes costs a hundred in memory, so bytes alone bound nothing.
const MAX_VALUES: usize = 2_500_000;
/// The deepest nesting. Records have three levels; a describe has five.
const MAX_DEPTH: usize = 64;
/// From this size on an answer is parsed on a thread of its own.
const LONG: usize = 256 << 10;
/// From this size on only few answers are read at a time.
const BIG: usize = 8 << 20;
/// How many that are.
pub(super) const BIG_AT_ONCE: usize = 2;
/// Stands for what is no text while an answer is parsed: a noncharacter, which Unicode keeps for such uses and no text
/// holds.
pub(super) const STANDS_IN: char = '\u{FDD0}';
/// What was replaced is named up to this many times an answer.
pub(super) const NAMED: usize = 10_000;

/// Why a body cannot be had.
#[derive(Debug)]
pub(super) enum Unread {
    /// The way broke, or the time was up.
    Broken(reqwest::Error),
    /// It is longer than is read.
    TooLong,
}

/// Why a long answer cannot be used.
pub(super) fn too_long() -> String {
    format!("the answer is longer than {} MiB", MAX_BYTES >> 20)
}

/// A body, and the right to hold it where it is big.
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    _big: Option<OwnedSemaphorePermit>,
}

/// JSON that can be held, and where something in it was replaced.
#[derive(Debug, Default)]
pub(super) struct Json {
    pub(super) value: Value,
    /// Paths of the texts that hold a U+FFFD instead of what came, step by step: `records`, `3`, `Name`.
    pub(super) replaced: Vec<Vec<String>>,
}

/// Reads a body up to its end or its bound, into `bytes`. `big` is shared by all answers of a client.
pub(super) async fn read(
    mut response: Response,
    mut bytes: Vec<u8>,
    big: &Arc<Semaphore>,
) -> Result<Body, Unread> {
    let mut permit = None;
    while let Some(chunk) = response.chunk().await.map_err(Unread::Broken)? {
        if bytes.len() + chunk.len() > MAX_BYTES {
            return Err(Unread::TooLong);
        }
        bytes.extend_from_slice(&chunk);
        if permit.is_none() && bytes.len() > BIG {
            permit = big.clone().acquire_owned().await.ok();
        }
    }
    Ok(Body { bytes, _big: permit })
}

/// Makes JSON of a body. What is long is parsed beside the runtime, which has other answers to wait for.
///
/// # Errors
/// In words, why it is no JSON that can be held.
pub(super) async fn json(body: Body) -> Result<Json, String> {
    if body.bytes.len() < LONG {
        return parse(body.bytes);
    }
    beside(body, parse).await
}

/// Takes a long answer apart beside the runtime. The right to hold it ends with that, even where nobody waits any more.
pub(super) async fn beside<T: Send + 'static>(
    body: Body,
    parse: impl FnOnce(Vec<u8>) -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let parse = move || {
        let Body { bytes, _big } = body;
        parse(bytes)
    };
    match tokio::task::spawn_blocking(parse).await {
        Ok(parsed) => parsed,
        Err(failed) => match failed.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err("the program ends".to_owned()),
        },
    }
}

fn parse(bytes: Vec<u8>) -> Result<Json, String> {
    let (text, spoilt) = readable(bytes)?;
    let mut value: Value = serde_json::from_str(&text).map_err(|error| not_json(&text, &error))?;
    let mut replaced = Vec::new();
    if spoilt {
        mark(&mut value, &mut Vec::new(), &mut replaced);
    }
    Ok(Json { value, replaced })
}

/// Says what came instead of JSON, without a word of its content: that may be anybody's.
fn not_json(text: &str, error: &serde_json::Error) -> String {
    let start = text.trim_start();
    match start.chars().next() {
        None => "the answer is empty".to_owned(),
        Some('<') => "the answer is a page of HTML or XML, not Salesforce's".to_owned(),
        Some('{' | '[') if error.is_eof() => "the answer ends in the middle".to_owned(),
        Some('{' | '[') => format!("the answer is not whole JSON: {error}"),
        Some(_) => "the answer is no JSON".to_owned(),
    }
}

/// The body as text that a parser takes, with a stand-in for all that is no text, and whether there is any. One look at
/// each byte; of an answer in order none is copied.
fn readable(mut bytes: Vec<u8>) -> Result<(String, bool), String> {
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        bytes.drain(..3);
    }
    let Found { escapes, raw } = look(&bytes)?;
    let mut spoilt = !escapes.is_empty();
    for at in escapes {
        bytes[at..at + 6].copy_from_slice(b"\\ufdd0");
    }
    if !raw.is_empty() {
        spoilt = true;
        bytes = escape_raw(&bytes, &raw);
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok((text, spoilt)),
        Err(error) => Ok((stand_in(error.as_bytes()), true)),
    }
}

/// What a parser would refuse, by its place.
#[derive(Default)]
struct Found {
    /// Escapes of half a surrogate pair, or of NUL.
    escapes: Vec<usize>,
    /// Control characters that are not escaped.
    raw: Vec<usize>,
}

/// Looks through JSON for what cannot be held, and at its bounds.
fn look(bytes: &[u8]) -> Result<Found, String> {
    let mut found = Found::default();
    let (mut depth, mut values) = (0_usize, 0_usize);
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = look_at_text(bytes, at + 1, &mut found),
            b'{' | b'[' => {
                depth += 1;
                values += 1;
                if depth > MAX_DEPTH {
                    return Err(format!("the answer is nested more than {MAX_DEPTH} deep"));
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' => values += 1,
            _ => {}
        }
        if values > MAX_VALUES {
            return Err(format!("the answer has more than {MAX_VALUES} values"));
        }
        at += 1;
    }
    Ok(found)
}

/// Looks through one text. Returns the place of its closing quote.
fn look_at_text(bytes: &[u8], from: usize, found: &mut Found) -> usize {
    let mut at = from;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at,
            b'\\' => match code_unit(bytes, at) {
                Some(0xD800..=0xDBFF) if matches!(code_unit(bytes, at + 6), Some(0xDC00..=0xDFFF)) => {
                    at += 12
                }
                Some(0 | 0xD800..=0xDFFF) => {
                    found.escapes.push(at);
                    at += 6;
                }
                Some(_) => at += 6,
                None => at += 2,
            },
            ..b' ' => {
                found.raw.push(at);
                at += 1;
            }
            _ => at += 1,
        }
    }
    at
}

/// The number of the escape `\uXXXX` at a place.
fn code_unit(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
    u16::from_str_radix(digits, 16).ok()
}

/// Escapes control characters that came as they are; a NUL is no text.
fn escape_raw(bytes: &[u8], raw: &[usize]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(bytes.len() + raw.len() * 6);
    let mut from = 0;
    for &at in raw {
        escaped.extend_from_slice(&bytes[from..at]);
        let escape = match bytes[at] {
            0 => "\\ufdd0".to_owned(),
            control => format!("\\u{control:04x}"),
        };
        escaped.extend_from_slice(escape.as_bytes());
        from = at + 1;
    }
    escaped.extend_from_slice(&bytes[from..]);
    escaped
}

/// Text with the stand-in for each run of bytes that is no UTF-8.
pub(super) fn stand_in(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 64);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push(STANDS_IN);
        }
    }
    text
}

/// Puts the mark that people know in place of the stand-in, and notes where.
fn mark(value: &mut Value, path: &mut Vec<String>, replaced: &mut Vec<Vec<String>>) {
    match value {
        Value::String(text) if text.contains(STANDS_IN) => {
            *text = text.replace(STANDS_IN, "\u{FFFD}");
            if replaced.len() < NAMED {
                replaced.push(path.clone());
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter_mut().enumerate() {
                path.push(at.to_string());
                mark(item, path, replaced);
                path.pop();
            }
        }
        Value::Object(fields) => {
            if fields.keys().any(|name| name.contains(STANDS_IN)) {
                let all = std::mem::take(fields).into_iter();
                *fields = all.map(|(name, value)| (name.replace(STANDS_IN, "\u{FFFD}"), value)).collect();
            }
            for (name, value) in fields.iter_mut() {
                path.push(name.clone());
                mark(value, path, replaced);
                path.pop();
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parsed(text: impl AsRef<[u8]>) -> (Value, Vec<String>) {
        let Json { value, replaced } = parse(text.as_ref().to_vec()).unwrap();
        (value, replaced.into_iter().map(|path| path.join(".")).collect())
    }

    #[test]
    fn what_is_no_text_is_replaced_and_named_and_the_rest_stays() {
        let page = br#"{"records":[{"Name":"a\ud83d","Note":"whole \ud83d\ude00"},{"Name":"\u0000b\udc00\ud83d\ud83d\ude00"}]}"#;
        let (value, replaced) = parsed(page);
        let wanted = json!({"records": [{"Name": "a\u{FFFD}", "Note": "whole \u{1F600}"},
            {"Name": "\u{FFFD}b\u{FFFD}\u{FFFD}\u{1F600}"}]});
        assert_eq!(value, wanted);
        assert_eq!(replaced, ["records.0.Name", "records.1.Name"]);
    }

    #[test]
    fn bytes_and_control_characters_that_are_no_json_cost_their_text_alone() {
        let (value, replaced) =
            parsed(b"[\"a\xFFb\", \"tab\there\", \"nul\x00\", \"\xED\xA0\xBD\", \"fine\"]");
        assert_eq!(value[0], "a\u{FFFD}b");
        assert_eq!(value[1], "tab\there");
        assert_eq!(value[2], "nul\u{FFFD}");
        assert_eq!(value[4], "fine");
        assert_eq!(replaced, ["0", "2", "3"]);
    }

    #[test]
    fn a_backslash_before_the_letters_is_no_escape_and_names_are_held_as_well() {
        let (value, replaced) = parsed(br#"{"a\\u0000":"\\ud83d \\\ud83d","k\ud83d":"\"\u0041"}"#);
        assert_eq!(value, json!({"a\\u0000": "\\ud83d \\\u{FFFD}", "k\u{FFFD}": "\"A"}));
        assert_eq!(replaced, ["a\\u0000"]);
        assert_eq!(parsed(b"\xEF\xBB\xBF{}").0, json!({}));
    }

    #[test]
    fn what_is_no_json_is_said_without_a_word_of_it() {
        for (text, said) in [
            ("", "empty"),
            ("<html>secret</html>", "HTML"),
            ("{\"secret\":[1,", "ends in the middle"),
            ("{\"a\" 1}", "not whole JSON"),
            ("secret", "no JSON"),
            ("\"secret", "no JSON"),
            ("{\"a\":\"\\u12\"}", "not whole JSON"),
            ("\"\\", "no JSON"),
        ] {
            let why = parse(text.as_bytes().to_vec()).unwrap_err();
            assert!(why.contains(said) && !why.contains("secret"), "{text}: {why}");
        }
    }

    #[test]
    fn nesting_and_values_are_bounded_whatever_they_weigh() {
        let deep = "[".repeat(100_000);
        assert!(parse(deep.into_bytes()).unwrap_err().contains("nested"));
        let many = format!("[{}1]", "1,".repeat(MAX_VALUES));
        assert!(parse(many.into_bytes()).unwrap_err().contains("values"));
        let within = format!("[\"{}\"]", ",[{".repeat(MAX_VALUES));
        assert!(parse(within.into_bytes()).is_ok());
    }
}
