//! A line in one piece of text, as it is filtered and held: source, part, message, and each key with its value. Nothing is
//! taken out of it before somebody asks for it.

use std::ops::Range;

use chrono::{DateTime, Utc};
use serde_json::{Map, Number, Value};

use super::numbers::Numbers;
use super::{Level, LogRecord};

/// What stands between the parts of a line; it is no part of any.
pub(super) const BETWEEN: char = '\u{1f}';
/// Fields of which it is known whether they are text.
const TYPED: usize = 64;

/// A line in one piece.
#[derive(Clone, Debug, Default)]
pub struct Packed {
    pub(super) time: DateTime<Utc>,
    pub(super) level: Level,
    pub(super) text: String,
    /// Where the message stands in it.
    message: Range<usize>,
    /// Bit by bit, those of its fields that are no text.
    typed: u64,
    /// How many fields it has.
    fields: usize,
    /// Whether a key could be taken for another one.
    odd: bool,
    /// Whether it may tell that lines are missing here.
    drops: bool,
    pub(super) numbers: Numbers,
    /// The record, where the text does not have all of it.
    whole: Option<Box<LogRecord>>,
}

/// A line of the log as it is held.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// Position in the log store.
    pub id: i64,
    /// When.
    pub time: DateTime<Utc>,
    /// Level.
    pub level: Level,
    pub(super) text: &'a str,
}

impl<'a> Line<'a> {
    fn parts(&self) -> impl Iterator<Item = &'a str> {
        self.text.split(BETWEEN)
    }

    /// The part of the source: `writer`, `reader`.
    pub fn dyno(&self) -> &'a str {
        self.parts().nth(1).unwrap_or_default()
    }

    /// The message.
    pub fn message(&self) -> &'a str {
        self.parts().nth(2).unwrap_or_default()
    }

    /// Keys and values beside it, without those that are empty.
    pub fn fields(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.parts().skip(3).filter_map(|part| part.split_once('=')).filter(|(_, value)| !value.is_empty())
    }

    /// The value of a key.
    pub fn field(&self, key: &str) -> Option<&'a str> {
        self.fields().find(|(other, _)| *other == key).map(|(_, value)| value)
    }

    /// `syncdeck`, or the source of a foreign line.
    pub fn source(&self) -> &'a str {
        self.parts().next().unwrap_or_default()
    }

    /// Whether it tells that lines are missing here.
    pub fn is_gap(&self) -> bool {
        self.field("dropped").is_some()
            && super::is_gap(self.source(), self.fields().count(), self.field("code"))
    }

    /// What of it shows, in one piece: everything but the source.
    pub(super) fn shown(&self) -> &'a str {
        self.text.split_once(BETWEEN).map_or("", |(_, rest)| rest)
    }
}

impl Packed {
    /// A record in one piece.
    pub fn of(record: &LogRecord) -> Packed {
        let mut packed = Packed::default();
        packed.begin(&record.source, &record.dyno, &record.message);
        (packed.time, packed.level) = (record.time, record.level);
        for (key, value) in record.fields.iter().filter(|(_, value)| !value.is_null()) {
            packed.doubt(key);
            match value {
                Value::String(text) => packed.put(key, text, false),
                other => packed.put(key, &other.to_string(), true),
            }
        }
        if !packed.is_whole() || packed.fields < record.fields.len() {
            packed.keep(record);
        }
        packed
    }

    /// An empty one in this piece of memory.
    pub(super) fn within(mut text: String) -> Packed {
        text.clear();
        Packed { text, ..Packed::default() }
    }

    /// Its memory, to be used again, unless it is more than that.
    pub(super) fn into_memory(self, most: usize) -> String {
        if self.text.capacity() > most { String::new() } else { self.text }
    }

    /// Empties it for a line of this source and part with this message.
    pub(super) fn begin(&mut self, source: &str, dyno: &str, message: &str) {
        self.text.clear();
        for part in [source, dyno] {
            self.text.push_str(part);
            self.text.push(BETWEEN);
        }
        let begin = self.text.len();
        self.text.push_str(message);
        self.message = begin..self.text.len();
        self.text.push(BETWEEN);
        (self.typed, self.fields, self.odd, self.drops) = (0, 0, false, false);
        (self.numbers, self.whole) = (Numbers::default(), None);
    }

    /// Notes that a key may be any text.
    pub(super) fn doubt(&mut self, key: &str) {
        self.odd |= key.contains('=');
    }

    /// Adds a field. What is no text is written as JSON writes it.
    pub(super) fn put(&mut self, key: &str, value: &str, is_typed: bool) {
        self.text.push_str(key);
        self.text.push('=');
        self.text.push_str(value);
        self.text.push(BETWEEN);
        if is_typed && self.fields < TYPED {
            self.typed |= 1 << self.fields;
        }
        self.fields += 1;
        self.drops |= key == "dropped";
        self.numbers.put(key, value);
    }

    /// Whether the text has all that was put into it, and nothing that could be taken for something else.
    pub(super) fn is_whole(&self) -> bool {
        let parts = memchr::memchr_iter(BETWEEN as u8, self.text.as_bytes()).count();
        parts == self.fields + 3 && self.fields <= TYPED && !self.odd
    }

    /// Keeps the record too, and takes out of the text what stands between its parts.
    pub(super) fn keep(&mut self, record: &LogRecord) {
        let clean = |text: &str| text.replace(BETWEEN, " ");
        self.begin(&clean(&record.source), &clean(&record.dyno), &clean(&record.message));
        for (key, value) in record.fields.iter().filter(|(_, value)| !value.is_null()) {
            match value {
                Value::String(text) => self.put(&clean(key), &clean(text), false),
                // JSON escapes what stands between parts.
                other => self.put(&clean(key), &other.to_string(), true),
            }
        }
        self.whole = Some(Box::new(record.clone()));
    }

    /// It as a line of the log.
    pub fn line(&self) -> Line<'_> {
        Line { id: 0, time: self.time, level: self.level, text: &self.text }
    }

    /// Whether it tells that lines are missing here.
    pub fn is_gap(&self) -> bool {
        self.drops && self.line().is_gap()
    }

    /// The record.
    pub fn record(&self) -> LogRecord {
        if let Some(whole) = &self.whole {
            return LogRecord { time: self.time, level: self.level, ..(**whole).clone() };
        }
        let mut fields = Map::with_capacity(self.fields);
        let parts = self.text[self.message.end + 1..].split_terminator(BETWEEN).enumerate();
        for (at, (key, value)) in parts.filter_map(|(at, part)| Some((at, part.split_once('=')?))) {
            let value = if self.typed >> at & 1 == 1 { typed(value) } else { value.into() };
            fields.insert(key.to_owned(), value);
        }
        let (source, dyno) = self.place();
        LogRecord {
            id: 0,
            time: self.time,
            level: self.level,
            source: source.to_owned(),
            dyno: dyno.to_owned(),
            message: self.message().to_owned(),
            fields,
        }
    }

    /// Source and part.
    fn place(&self) -> (&str, &str) {
        self.beside().trim_end_matches(BETWEEN).split_once(BETWEEN).unwrap_or((self.beside(), ""))
    }

    /// Source and part in one: lines that have the same stand beside each other.
    pub(super) fn beside(&self) -> &str {
        &self.text[..self.message.start]
    }

    /// The message.
    pub(super) fn message(&self) -> &str {
        &self.text[self.message.clone()]
    }

    /// Another line of the same message.
    pub(super) fn append(&mut self, line: &str) {
        if let Some(whole) = &mut self.whole {
            whole.message.push('\n');
            whole.message.push_str(line);
        }
        let more = format!("\n{line}");
        self.text.insert_str(self.message.end, &more);
        self.message.end += more.len();
    }
}

/// A value as JSON has it.
fn typed(text: &str) -> Value {
    match text.parse::<Number>() {
        Ok(number) => Value::Number(number),
        Err(_) => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
    }
}
