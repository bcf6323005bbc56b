//! What one line says, borrowed from it.

use std::borrow::Cow;

use super::time::LineTime;
use super::{level, names, time};
use crate::logs::Level;

/// How a line was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineFormat {
    /// Text that no reader takes apart.
    Plain,
    /// The same behind a time.
    Timed,
    /// An object of JSON.
    Json,
    /// `key=value` pairs.
    Logfmt,
    /// A request that a server answered: the AppLink service mesh, nginx, Apache.
    Access,
    /// A request that Heroku's router passed on, or could not.
    Router,
    /// Heroku Postgres, or PostgreSQL itself.
    Postgres,
    /// Heroku Connect.
    Connect,
    /// An error of a dyno, R10 to R99.
    Dyno,
    /// An error of Heroku's log router, L10 to L15.
    Logplex,
}

/// The value of a field. Numbers keep their digits.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// Text.
    Text(Cow<'a, str>),
    /// A number, as JSON writes one.
    Number(Cow<'a, str>),
    /// A list, an object, `true`, `false` or `null`, as JSON writes it.
    Json(&'a str),
}

/// A key and its value.
pub type EntryField<'a> = (Cow<'a, str>, Value<'a>);

/// What a line says.
#[derive(Clone, Debug, PartialEq)]
pub struct ParsedEntry<'a> {
    /// How it was written.
    pub format: LineFormat,
    /// When, if it says so.
    pub stamp: Option<LineTime>,
    /// Its level, if it says so.
    pub level: Option<Level>,
    /// `app` or `heroku`; empty where the line does not say it.
    pub source: &'a str,
    /// The part of the source, `web.1`; empty where the line does not say it.
    pub dyno: &'a str,
    /// The message.
    pub message: Cow<'a, str>,
    /// Keys and values beside it.
    pub fields: Vec<EntryField<'a>>,
}

/// Fields that a line has room for before it takes more memory: as many as the lines of a router have. Twice as many
/// would be more than memory that is given out again at once.
const FIELDS: usize = 18;

impl<'a> ParsedEntry<'a> {
    /// One that says nothing yet.
    pub(super) fn new(format: LineFormat) -> ParsedEntry<'a> {
        ParsedEntry {
            format,
            stamp: None,
            level: None,
            source: "",
            dyno: "",
            message: Cow::Borrowed(""),
            fields: Vec::with_capacity(FIELDS),
        }
    }

    /// Takes in what a key says: the time, the level, the message, or else a field.
    pub(super) fn take(&mut self, key: Cow<'a, str>, value: Value<'a>) {
        let told = match &*key {
            "time" | "timestamp" | "@timestamp" | "ts" | "datetime" if self.stamp.is_none() => {
                self.stamp = time::of(&value);
                self.stamp.is_some()
            }
            "level" | "severity" | "lvl" | "levelname" | "log.level" if self.level.is_none() => {
                self.level = level::of(&value);
                self.level.is_some()
            }
            "msg" | "message" if self.message.is_empty() => {
                if let Value::Text(text) = &value {
                    self.message = text.clone();
                }
                matches!(value, Value::Text(_))
            }
            _ => false,
        };
        if !told {
            self.put(names::canonical(&key).map_or(key, Cow::Borrowed), value);
        }
    }

    /// Keeps a field; a request of AppLink names its org too.
    pub(super) fn put(&mut self, key: impl Into<Cow<'a, str>>, value: Value<'a>) {
        let key = key.into();
        let org = match &value {
            Value::Text(request) if key == names::REQUEST => names::org_of(request),
            _ => None,
        };
        self.fields.push((key, value));
        if let Some(org) = org {
            self.fields.push((Cow::Borrowed(names::ORG), Value::Text(org)));
        }
    }

    /// The value of a field.
    pub fn field(&self, key: &str) -> Option<&Value<'a>> {
        self.fields.iter().find(|(other, _)| other == key).map(|(_, value)| value)
    }

    /// Takes the message out of a text field, where nothing else said it.
    pub(super) fn say(&mut self, key: &str) {
        if !self.message.is_empty() {
            return;
        }
        let at =
            self.fields.iter().position(|(other, value)| other == key && matches!(value, Value::Text(_)));
        if let Some((_, Value::Text(text))) = at.map(|at| self.fields.remove(at)) {
            self.message = text;
        }
    }
}

impl<'a> Value<'a> {
    /// A number where the text is one, else text.
    pub(super) fn read(text: &'a str) -> Value<'a> {
        match is_number(text) {
            true => Value::Number(Cow::Borrowed(text)),
            false => Value::Text(Cow::Borrowed(text)),
        }
    }

    /// Its text.
    pub fn text(&self) -> &str {
        match self {
            Value::Text(text) | Value::Number(text) => text,
            Value::Json(text) => text,
        }
    }
}

/// Whether JSON would read a text as a number: `007`, `+1` and `1.` are none.
pub(super) fn is_number(text: &str) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut rest = text.as_bytes();
    if !rest.first().is_some_and(|first| first.is_ascii_digit() || *first == b'-') {
        return false;
    }
    rest = rest.strip_prefix(b"-").unwrap_or(rest);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest[0] == b'0') {
        return false;
    }
    rest = &rest[whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let count = digits(fraction);
        if count == 0 {
            return false;
        }
        rest = &fraction[count..];
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = exponent.strip_prefix(b"-").or(exponent.strip_prefix(b"+")).unwrap_or(exponent);
        let count = digits(exponent);
        return count > 0 && count == exponent.len();
    }
    rest.is_empty()
}
