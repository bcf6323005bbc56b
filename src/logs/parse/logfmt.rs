//! `key=value` pairs and nothing else, as logrus, Go's slog, lograge and Heroku's samples write them.

use std::borrow::Cow;

use memchr::memchr2;

use super::{LineFormat, ParsedEntry, Value};

/// Fewer pairs than this may stand in any text.
const PAIRS: usize = 2;

/// A line of pairs.
pub(super) fn read(line: &str) -> Option<ParsedEntry<'_>> {
    let mut pairs = Pairs::of(line);
    // Most lines of text are none by their first word.
    let first = pairs.next()??;
    let mut entry = ParsedEntry::new(LineFormat::Logfmt);
    let mut count = 0;
    for pair in std::iter::once(Some(first)).chain(pairs) {
        let (key, value) = pair?;
        entry.take(Cow::Borrowed(key), value);
        count += 1;
    }
    (count >= PAIRS).then_some(entry)
}

/// The pairs of a text; `None` for what is no pair, which is the last one.
pub(super) struct Pairs<'a> {
    rest: &'a str,
}

impl<'a> Pairs<'a> {
    pub(super) fn of(text: &'a str) -> Pairs<'a> {
        Pairs { rest: text }
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Option<(&'a str, Value<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        let text = self.rest.trim_start_matches([' ', '\t']);
        if text.is_empty() {
            self.rest = text;
            return None;
        }
        let pair = pair(text);
        self.rest = pair.as_ref().map_or("", |(_, _, rest)| rest);
        Some(pair.map(|(key, value, _)| (key, value)))
    }
}

/// The pair at the beginning of a text, and the rest.
fn pair(text: &str) -> Option<(&str, Value<'_>, &str)> {
    let end = text.bytes().take_while(|byte| is_key(*byte)).count();
    let (key, rest) = text.split_at(end);
    let rest = rest.strip_prefix('=')?;
    if !key.starts_with(|first: char| first.is_ascii_alphabetic() || matches!(first, '_' | '@')) {
        return None;
    }
    if let Some(quoted) = rest.strip_prefix('"') {
        let (value, rest) = quoted_text(quoted)?;
        let is_over = rest.is_empty() || rest.starts_with([' ', '\t']);
        return is_over.then_some((key, Value::Text(value), rest));
    }
    let end = memchr2(b' ', b'\t', rest.as_bytes()).unwrap_or(rest.len());
    let (value, rest) = rest.split_at(end);
    Some((key, Value::read(value), rest))
}

fn is_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'@' | b'#' | b'/' | b':')
}

/// A text up to its closing quote, and what stands behind that.
pub(super) fn quoted_text(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let first = memchr2(b'"', b'\\', text.as_bytes())?;
    if text.as_bytes()[first] == b'"' {
        return Some((Cow::Borrowed(&text[..first]), &text[first + 1..]));
    }
    let mut plain = String::with_capacity(text.len().min(first + 64));
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((Cow::Owned(plain), &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => plain.push('\n'),
                't' => plain.push('\t'),
                'r' => plain.push('\r'),
                c @ ('"' | '\\') => plain.push(c),
                // Windows' paths and regular expressions are often quoted without care.
                c => plain.extend(['\\', c]),
            },
            c => plain.push(c),
        }
    }
    None
}
