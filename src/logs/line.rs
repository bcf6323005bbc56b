//! A log record as one line of text, and the filter of logs.

use std::ops::Range;

use chrono::{DateTime, Utc};
use regex::Regex;

use super::packed::{Line, Packed};
use super::sanitize::{sanitize, sanitize_json};
use super::term::{KnownKeys, LogTerm, SearchWord};
use super::{Level, LogRecord};
use crate::domain::errors::filter::words;

/// What a filter of the log may ask for: the parts of every line and what lines are about, the keys that lines of this
/// program have beside their message, then those that other programs' lines have in common. A test holds that no line
/// of this program has another one.
pub const QUALIFIERS: &str = "level: since: until: dyno: source: request: record: pattern: mapping: row: code: field: fields: \
    sfid: batch: key: cause: records: retry_in: ms: state: pause: owner: mappings: taken_in: claimed: dropped: \
    request_id: org_id: method: path: status: service:";

/// `2026-11-20T14:02:10.123Z WARN  writer  3 of 200 rejected  mapping=Contact batch=8f2`, harmless for a terminal.
pub fn logfmt(record: &LogRecord) -> String {
    Packed::of(record).line().logfmt()
}

impl Line<'_> {
    /// The line as [`logfmt`] writes it.
    pub fn logfmt(&self) -> String {
        let level = match self.level {
            Level::Debug => "DEBUG",
            Level::Info => "INFO",
            Level::Warn => "WARN",
            Level::Error => "ERROR",
        };
        let time = self.time.format("%Y-%m-%dT%H:%M:%S%.3fZ");
        let mut line = format!("{time} {level:<5} {:<8} {}", sanitize(self.dyno()), sanitize(self.message()));
        for (key, value) in self.fields() {
            let text = if value.contains([' ', '"', '=']) { format!("{value:?}") } else { value.to_owned() };
            line.push_str(&format!(" {}={}", sanitize(key), sanitize(&text)));
        }
        line
    }
}

impl Line<'_> {
    /// The line as `logs --json` prints it. What is held is text: a field's value is a string here.
    pub fn json(&self) -> String {
        let fields = self.fields().map(|(key, value)| (key.to_owned(), value.into())).collect();
        let record = LogRecord {
            id: self.id,
            time: self.time,
            level: self.level,
            source: self.source().to_owned(),
            dyno: self.dyno().to_owned(),
            message: self.message().to_owned(),
            fields,
        };
        let text = serde_json::to_string(&record).unwrap_or_default();
        sanitize_json(&text).into_owned()
    }
}

/// What log lines must have: words anywhere in what a line shows, `level:warn` (that and above), `since:1h`, `dyno:`,
/// `source:`, any field by its name, `mapping:Contact`, also as a number, `status>=500`, and what it is about,
/// `request:`, `record:`; `-` negates; case does not matter.
#[derive(Clone, Debug, Default)]
pub struct LogFilter {
    typed: String,
    terms: Vec<(bool, LogTerm)>,
    /// What every line that passes has somewhere in its text, so that many lines are searched as one text.
    probe: Option<Regex>,
}

impl PartialEq for LogFilter {
    fn eq(&self, other: &LogFilter) -> bool {
        self.typed == other.typed
    }
}

impl LogFilter {
    /// Reads a filter as typed.
    ///
    /// # Errors
    /// A key or a level that there is not, or a word too long to be searched for.
    pub fn parse(text: &str) -> Result<LogFilter, String> {
        LogFilter::read(text, KnownKeys::Own, Utc::now())
    }

    /// Reads a filter of other programs' lines, which may have any field.
    ///
    /// # Errors
    /// A level that there is not, or a word too long to be searched for.
    pub fn parse_any(text: &str) -> Result<LogFilter, String> {
        LogFilter::parse_any_at(text, Utc::now())
    }

    /// The same; `now` is what `since:1h` counts from.
    ///
    /// # Errors
    /// As [`LogFilter::parse_any`].
    pub fn parse_any_at(text: &str, now: DateTime<Utc>) -> Result<LogFilter, String> {
        LogFilter::read(text, KnownKeys::Any, now)
    }

    fn read(text: &str, keys: KnownKeys, now: DateTime<Utc>) -> Result<LogFilter, String> {
        let may_name = match keys {
            KnownKeys::Own => is_name,
            KnownKeys::Any => is_any_name,
        };
        let terms = words(text, may_name)
            .iter()
            .map(|word| Ok((word.negated, LogTerm::parse(word, keys, now)?)))
            .collect::<Result<Vec<(bool, LogTerm)>, String>>()?;
        let probe = terms.iter().filter(|(negated, _)| !negated).find_map(|(_, term)| term.probe());
        Ok(LogFilter { typed: text.to_owned(), terms, probe })
    }

    /// The words as they stand one behind the other, to search for.
    ///
    /// # Errors
    /// As [`LogFilter::parse`].
    pub fn phrase(text: &str) -> Result<LogFilter, String> {
        let word = SearchWord::new(text)?;
        let probe = Some(word.regex.clone());
        Ok(LogFilter { typed: format!("\"{text}\""), terms: vec![(false, LogTerm::Word(word))], probe })
    }

    /// The same without the lines of these sources.
    #[must_use]
    pub fn without<'a>(mut self, sources: impl Iterator<Item = &'a str>) -> LogFilter {
        for source in sources {
            self.typed.push_str(&format!(" -source:{source}"));
            self.terms.push((true, LogTerm::Field("source".to_owned(), source.to_lowercase())));
        }
        self
    }

    /// Where its words stand in a text, in bytes, in order.
    pub fn found_in(&self, text: &str) -> Vec<Range<usize>> {
        let words = self.terms.iter().filter_map(|(negated, term)| match term {
            LogTerm::Word(word) | LogTerm::Named(_, word) if !negated => Some(&word.regex),
            _ => None,
        });
        let mut found: Vec<Range<usize>> = words
            .flat_map(|word| word.find_iter(text).map(|hit| hit.range()))
            .filter(|hit| !hit.is_empty())
            .collect();
        found.sort_by_key(|hit| hit.start);
        found.dedup_by(|next, before| next.start < before.end);
        found
    }

    /// Whether it lets everything pass.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether it asks for all lines about one request, record or batch.
    pub fn is_thread(&self) -> bool {
        self.terms.iter().any(|(negated, term)| !negated && term.is_thread())
    }

    /// The keys that it asks for and that not every log may have.
    pub fn unknown_keys(&self) -> impl Iterator<Item = &str> {
        self.terms.iter().filter_map(|(_, term)| term.key())
    }

    /// What every line that passes has somewhere in its text, where that can be told.
    pub(super) fn probe(&self) -> Option<&Regex> {
        self.probe.as_ref()
    }

    /// Each thing that it asks for, and whether it asks for its opposite.
    pub(super) fn terms(&self) -> &[(bool, LogTerm)] {
        &self.terms
    }

    /// Whether a record passes.
    pub fn matches(&self, record: &LogRecord) -> bool {
        self.terms.is_empty() || self.passes_packed(&Packed::of(record))
    }

    /// Whether a line passes. What tells that lines are missing passes wherever they could have been.
    pub fn passes(&self, line: &Line<'_>) -> bool {
        self.all(|term| term.passes(line)) || self.lets_gaps() && line.is_gap() && self.bounds(line)
    }

    /// The same of one whose numbers stand beside its text.
    pub fn passes_packed(&self, packed: &Packed) -> bool {
        let line = packed.line();
        let holds = |term: &LogTerm| {
            let compared = term.compares().and_then(|(at, holds)| Some(holds(packed.numbers.get(at)?)));
            compared.unwrap_or_else(|| term.passes(&line))
        };
        self.all(holds) || packed.is_gap() && self.lets_gaps() && self.bounds(&line)
    }

    fn all(&self, holds: impl Fn(&LogTerm) -> bool) -> bool {
        self.terms.iter().all(|(negated, term)| holds(term) != *negated)
    }

    /// Whether it asks for anything that a place where lines are missing need not have.
    pub(super) fn lets_gaps(&self) -> bool {
        self.terms.iter().any(|(_, term)| !term.bounds_gaps())
    }

    /// Whether lines may be missing there that it asks for.
    pub(super) fn bounds(&self, line: &Line<'_>) -> bool {
        self.terms.iter().all(|(negated, term)| !term.bounds_gaps() || term.passes(line) != *negated)
    }
}

/// Whether a line's field may be called so; what is all capitals is Salesforce's code, and a word.
fn is_name(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphabetic() || c == '_') && text.chars().any(|c| c.is_ascii_lowercase())
}

/// The same of any program's field: `req.remotePort`, `sample#db_size`.
pub(super) fn is_any_name(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '#' | '@');
    text.chars().all(is_part) && text.chars().any(|c| c.is_ascii_lowercase())
}

/// The level that a word names.
pub(super) fn parse_level(word: &str) -> Result<Level, String> {
    match word.to_lowercase().as_str() {
        "debug" => Ok(Level::Debug),
        "info" => Ok(Level::Info),
        "warn" | "warning" => Ok(Level::Warn),
        "error" => Ok(Level::Error),
        other => Err(format!("level:{other}: use debug, info, warn or error")),
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::{Value, json};

    use super::*;

    fn record() -> LogRecord {
        let fields = match json!({"mapping": "Contact", "row": 7, "code": ""}) {
            Value::Object(fields) => fields,
            _ => unreachable!(),
        };
        LogRecord {
            id: 1,
            time: DateTime::UNIX_EPOCH,
            level: Level::Warn,
            source: "syncdeck".to_owned(),
            dyno: "writer".to_owned(),
            message: "3 of 200\nrejected".to_owned(),
            fields,
        }
    }

    #[test]
    fn a_line_is_one_line_whatever_it_holds() {
        assert_eq!(
            logfmt(&record()),
            "1970-01-01T00:00:00.000Z WARN  writer   3 of 200\\nrejected mapping=Contact row=7"
        );
    }

    #[test]
    fn what_is_missing_shows_whatever_the_filter_where_it_could_have_been() {
        let mut gap = LogRecord::gap(7, DateTime::UNIX_EPOCH, "heroku", "too many came at once");
        gap.source = "shop".to_owned();
        let mut own = record();
        own.fields.insert("dropped".to_owned(), json!(3));
        own.source = "shop".to_owned();
        for (filter, passes) in [
            ("", true),
            ("status>=500", true),
            ("level:error -missing", true),
            ("request:abc", true),
            ("source:shop zzz", true),
            ("source:other zzz", false),
            ("-source:shop", false),
            ("since:2026-01-01", false),
            ("until:2026-01-01 zzz", true),
            ("dropped:7", true),
            ("dropped:8", false),
        ] {
            let parsed = LogFilter::parse_any(filter).unwrap();
            assert_eq!(parsed.matches(&gap), passes, "{filter}");
            let mut ring = crate::logs::ring::Ring::new(1 << 20);
            ring.push(&gap);
            let found = crate::logs::ring::search(&ring.snapshot(), &parsed).len();
            assert_eq!(found, usize::from(passes), "{filter}, searched for");
        }
        assert!(!LogFilter::parse_any("zzz").unwrap().matches(&own), "a queue of the program's own");
    }

    #[test]
    fn filters_match_words_levels_and_fields() {
        for (filter, matches) in [
            ("", true),
            ("rejected", true),
            ("level:info contact", true),
            ("level:error", false),
            ("mapping:contact row:7", true),
            ("-mapping:contact", false),
            ("dyno:reader", false),
            ("row=7", true),
            ("syncdeck", false),
            ("source:SyncDeck", true),
            ("WARN", true),
            ("error", false),
            ("14:02", false),
            ("00:00", false),
            ("http://salesforce", false),
            ("mapping:\"contact\"", true),
            ("\"3 of 200\"", true),
            ("\"of 3\"", false),
            ("\"mapping:contact\"", false),
        ] {
            assert_eq!(LogFilter::parse(filter).unwrap().matches(&record()), matches, "{filter}");
        }
        for (filter, matches) in [
            ("Row:7 -status:503", true),
            ("row:8", false),
            ("status:503", false),
            ("\"status:503\"", false),
            ("14:02", false),
            ("level:error", false),
        ] {
            assert_eq!(LogFilter::parse_any(filter).unwrap().matches(&record()), matches, "{filter}");
        }
        let mut foreign = record();
        foreign.message = "cannot reach localhost:3000".to_owned();
        foreign.fields.insert("req.remotePort".to_owned(), json!(35162));
        for (filter, matches) in
            [("localhost:3000", true), ("req.remotePort:35162", true), ("localhost:30", true)]
        {
            assert_eq!(LogFilter::parse_any(filter).unwrap().matches(&foreign), matches, "{filter}");
        }
        assert_eq!(LogFilter::parse("level:loud").unwrap_err(), "level:loud: use debug, info, warn or error");
        let near = LogFilter::parse("rejected -maping:Contact").unwrap_err();
        assert!(near.starts_with("-maping:Contact: there is no maping:; did you mean mapping:?"), "{near}");
        assert!(near.ends_with("or look for the word itself with \"maping:Contact\""), "{near}");
    }
}
