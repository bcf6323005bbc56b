//! The parts of a filter of the log: how each is read, and which lines have it.

use chrono::{DateTime, Utc};
use regex::Regex;

use super::Level;
use super::line::{QUALIFIERS, parse_level};
use super::needle::Needle;
use super::numbers::{self, quantity};
use super::packed::{BETWEEN, Line};
use super::shape::{self, HOLE};
use crate::domain::errors::filter::{TIME_HELP, Word, time, unknown};
use crate::domain::names::Sfid;

/// Which keys a filter may ask for.
#[derive(Clone, Copy)]
pub(super) enum KnownKeys {
    /// Those that are known; another one is a mistake.
    Own,
    /// Any: other programs' lines have what they like.
    Any,
}

/// What a line must have.
#[derive(Clone, Debug)]
pub(super) enum LogTerm {
    /// A text anywhere in what shows.
    Word(SearchWord),
    /// A name anywhere in what shows, where it is no part of a longer one.
    Whole(Regex),
    /// A key that lines may have, with its value, or both as they are typed: `localhost:3000`.
    Loose {
        key: String,
        value: String,
        typed: Regex,
    },
    /// A word that names a level, as lines show it.
    Named(Level, SearchWord),
    Level(Level),
    Field(String, String),
    /// A key whose value is a number that compares so.
    Compared {
        key: String,
        order: Order,
        to: f64,
    },
    Since(DateTime<Utc>),
    Until(DateTime<Utc>),
    /// What a message has in common with others; `probe` is the longest part of it that has no hole.
    Pattern {
        pattern: String,
        probe: Option<Regex>,
    },
    /// A row or a record; `probe` is in the text of each line that speaks of one of them.
    Record {
        which: Vec<Which>,
        probe: Regex,
    },
}

/// A text that is looked for whatever its case.
#[derive(Clone, Debug)]
pub(super) struct SearchWord {
    pub(super) regex: Regex,
    /// The same for texts that are all ASCII, where it is.
    pub(super) plain: Option<Needle>,
}

impl SearchWord {
    /// # Errors
    /// When it is too long.
    pub(super) fn new(text: &str) -> Result<SearchWord, String> {
        Ok(SearchWord { regex: literal(text)?, plain: Needle::of(text) })
    }

    fn is_in(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

/// How a number compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Less,
    AtMost,
    More,
    AtLeast,
}

/// A row or a record that lines speak of.
#[derive(Clone, Debug)]
pub(super) enum Which {
    /// Its id in Salesforce, or its external id.
    Id(Regex),
    /// A row, of a mapping where it is named.
    Row { mapping: Option<(String, Regex)>, row: String, spoken: Regex },
}

impl LogTerm {
    /// Reads one word of a filter; `now` is what `since:1h` counts from.
    pub(super) fn parse(word: &Word, keys: KnownKeys, now: DateTime<Utc>) -> Result<LogTerm, String> {
        let Word { typed, qualifier, value, .. } = word;
        let at = |value: &str| time(value, now).ok_or_else(|| format!("{typed}: {TIME_HELP}"));
        match qualifier.as_deref() {
            // `http://...` and `Phone: ...` are words.
            Some(key) if value.is_empty() || is_address(key, value, keys) => {
                Ok(LogTerm::Word(SearchWord::new(&format!("{key}:{value}"))?))
            }
            Some("level") => Ok(LogTerm::Level(parse_level(value)?)),
            Some("since") => Ok(LogTerm::Since(at(value)?)),
            Some("until") => Ok(LogTerm::Until(at(value)?)),
            Some("request") => Ok(LogTerm::Whole(whole(value)?)),
            Some("record") => LogTerm::record(value),
            Some("pattern") => {
                let pattern = shape::pattern(value);
                let probe = pattern.split(HOLE).max_by_key(|part| part.len()).filter(|part| part.len() > 2);
                Ok(LogTerm::Pattern { probe: probe.map(literal).transpose()?, pattern })
            }
            Some(key) if is_known(key) => Ok(LogTerm::Field(key.to_owned(), value.to_lowercase())),
            Some(key) => match keys {
                KnownKeys::Own => Err(format!("{typed}: {}", unknown(key, typed, QUALIFIERS))),
                KnownKeys::Any => Ok(LogTerm::Loose {
                    key: key.to_owned(),
                    value: value.to_lowercase(),
                    typed: literal(&format!("{key}:{value}"))?,
                }),
            },
            None if typed.contains('"') => Ok(LogTerm::Word(SearchWord::new(value)?)),
            None => match (compared(value), parse_level(value)) {
                (Some(("level", ..)), _) => {
                    Err(format!("{typed}: level:warn is that level and those above it"))
                }
                (Some((key, order, to)), _) => match (keys, quantity(to)) {
                    (KnownKeys::Own, _) if !is_known(key) => {
                        Err(format!("{typed}: {}", unknown(key, typed, QUALIFIERS)))
                    }
                    (_, Some(to)) => Ok(LogTerm::Compared { key: key.to_owned(), order, to }),
                    (_, None) => Ok(LogTerm::Word(SearchWord::new(value)?)),
                },
                (None, Ok(level)) => Ok(LogTerm::Named(level, SearchWord::new(value)?)),
                (None, Err(_)) => Ok(LogTerm::Word(SearchWord::new(value)?)),
            },
        }
    }

    /// `003...`, `42`, `Contact:42`; several with `|` between are names of one record.
    fn record(value: &str) -> Result<LogTerm, String> {
        let names = value.split('|').filter(|name| !name.is_empty());
        let which = names.map(Which::parse).collect::<Result<Vec<_>, _>>()?;
        let parts: Vec<&str> = which.iter().map(|which| which.probe().as_str()).collect();
        let probe = built(&parts.join("|"))?;
        Ok(LogTerm::Record { which, probe })
    }

    /// The key of a field, where it asks for one that need not be known.
    pub(super) fn key(&self) -> Option<&str> {
        match self {
            LogTerm::Loose { key, .. } | LogTerm::Compared { key, .. } => {
                Some(key).filter(|key| !is_known(key)).map(String::as_str)
            }
            _ => None,
        }
    }

    /// The number that it compares, where that stands beside the text of lines, and how.
    pub(super) fn compares(&self) -> Option<(usize, impl Fn(f64) -> bool)> {
        match self {
            LogTerm::Compared { key, order, to } => {
                Some((numbers::of_key(key)?, |value| order.holds(value, *to)))
            }
            _ => None,
        }
    }

    /// Whether it bounds the places where lines are missing, too.
    pub(super) fn bounds_gaps(&self) -> bool {
        matches!(self, LogTerm::Since(_) | LogTerm::Until(_))
            || matches!(self, LogTerm::Field(key, _) if key == "source" || key == "dropped")
    }

    /// Whether it asks for all lines about one thing.
    pub(super) fn is_thread(&self) -> bool {
        matches!(self, LogTerm::Whole(_) | LogTerm::Record { .. })
            || matches!(self, LogTerm::Field(key, _) if key == "batch")
    }

    /// What every line that has it has somewhere in its text, where that can be told.
    pub(super) fn probe(&self) -> Option<Regex> {
        match self {
            LogTerm::Word(word) => Some(word.regex.clone()),
            LogTerm::Whole(word) => Some(word.clone()),
            LogTerm::Record { probe, .. } => Some(probe.clone()),
            LogTerm::Pattern { probe, .. } => probe.clone(),
            LogTerm::Field(key, value) if key != "source" && key != "dyno" => {
                literal(&format!("{key}={value}")).ok()
            }
            // A small letter may have a large one in two parts, which no search here finds.
            LogTerm::Loose { key, value, .. } if value.is_ascii() => {
                let [key, value] = [key, value].map(|text| regex::escape(text));
                built(&format!("(?i:{key}[:=]{value})")).ok()
            }
            // As names are compared: without regard to the case of ASCII letters alone.
            LogTerm::Compared { key, .. } => built(&format!("(?i-u:{BETWEEN}{}=)", regex::escape(key))).ok(),
            _ => None,
        }
    }

    /// Whether a line has it.
    pub(super) fn passes(&self, line: &Line<'_>) -> bool {
        match self {
            LogTerm::Level(level) => line.level >= *level,
            LogTerm::Since(time) => line.time >= *time,
            LogTerm::Until(time) => line.time <= *time,
            LogTerm::Named(level, word) => line.level == *level || word.is_in(line.shown()),
            LogTerm::Field(key, wanted) => match key.as_str() {
                "source" => is(line.source(), wanted),
                "dyno" => is(line.dyno(), wanted),
                key => line.field(key).is_some_and(|value| is(value, wanted)),
            },
            LogTerm::Loose { key, value: wanted, typed } => {
                let has = |(name, value): (&str, &str)| name.eq_ignore_ascii_case(key) && is(value, wanted);
                line.fields().any(has) || typed.is_match(line.shown())
            }
            LogTerm::Compared { key, order, to } => line
                .fields()
                .any(|(name, value)| name.eq_ignore_ascii_case(key) && order.holds_of(value, *to)),
            LogTerm::Pattern { pattern, .. } => shape::pattern(line.message()) == *pattern,
            LogTerm::Record { which, .. } => which.iter().any(|which| which.is_in(line)),
            LogTerm::Word(word) => word.is_in(line.shown()),
            LogTerm::Whole(word) => word.is_match(line.shown()),
        }
    }
}

impl Which {
    fn parse(name: &str) -> Result<Which, String> {
        let (mapping, row) =
            name.rsplit_once(':').map_or((None, name), |(mapping, row)| (Some(mapping), row));
        if row.parse::<i32>().is_ok() {
            let mapping = mapping.map(|mapping| Ok::<_, String>((mapping.to_lowercase(), whole(mapping)?)));
            let spoken = built(&format!(r"(?i:\brow[ =]{row}\b)"))?;
            return Ok(Which::Row { mapping: mapping.transpose()?, row: row.to_owned(), spoken });
        }
        // Only the case tells two ids of 15 characters apart; the last three of 18 are a checksum.
        match Sfid::parse(name) {
            Some(id) => {
                let id = regex::escape(&id.as_str()[..15]);
                Ok(Which::Id(built(&format!("{BEFORE}{id}(?:[0-9A-Za-z]{{3}})?{BEHIND}"))?))
            }
            None => Ok(Which::Id(whole(name)?)),
        }
    }

    fn probe(&self) -> &Regex {
        match self {
            Which::Id(id) => id,
            Which::Row { spoken, .. } => spoken,
        }
    }

    fn is_in(&self, line: &Line<'_>) -> bool {
        match self {
            Which::Id(id) => id.is_match(line.shown()),
            Which::Row { mapping, row, spoken } => {
                let is_row =
                    line.field("row").map_or_else(|| spoken.is_match(line.message()), |other| other == row);
                let of_it = |(name, word): &(String, Regex)| {
                    line.field("mapping").map_or_else(|| word.is_match(line.shown()), |other| is(other, name))
                };
                is_row && mapping.as_ref().is_none_or(of_it)
            }
        }
    }
}

impl Order {
    /// The same of a number that is written with its unit.
    fn holds_of(self, value: &str, to: f64) -> bool {
        quantity(value).is_some_and(|value| self.holds(value, to))
    }

    fn holds(self, value: f64, to: f64) -> bool {
        match self {
            Order::Less => value < to,
            Order::AtMost => value <= to,
            Order::More => value > to,
            Order::AtLeast => value >= to,
        }
    }
}

/// Whether a key is one of those that are known.
pub(super) fn is_known(key: &str) -> bool {
    QUALIFIERS.split(' ').any(|known| known.trim_end_matches(':') == key)
}

/// Whether what stands behind a colon begins a path, and the colon is none of a key's.
fn is_address(key: &str, value: &str, keys: KnownKeys) -> bool {
    let may_be_key = is_known(key) || matches!(keys, KnownKeys::Any);
    value.starts_with("//") || (value.starts_with('/') && !may_be_key)
}

/// Whether a value is this one; `wanted` is in small letters.
pub(super) fn is(value: &str, wanted: &str) -> bool {
    value.eq_ignore_ascii_case(wanted) || (!value.is_ascii() && value.to_lowercase() == wanted)
}

/// The key, the comparison and what it is with, of `status>=500`.
fn compared(text: &str) -> Option<(&str, Order, &str)> {
    let at = text.find(['<', '>'])?;
    let (key, rest) = text.split_at(at);
    let (order, to) = match rest.as_bytes() {
        [b'<', b'=', ..] => (Order::AtMost, &rest[2..]),
        [b'>', b'=', ..] => (Order::AtLeast, &rest[2..]),
        [b'<', ..] => (Order::Less, &rest[1..]),
        _ => (Order::More, &rest[1..]),
    };
    (super::line::is_any_name(key) && !to.is_empty()).then_some((key, order, to))
}

/// What may stand before an id and behind it.
const BEFORE: &str = "(?:^|[^0-9A-Za-z_-])";
const BEHIND: &str = "(?:$|[^0-9A-Za-z_-])";

/// Finds a text whatever its case, where it is no part of a longer id.
fn whole(text: &str) -> Result<Regex, String> {
    built(&format!("{BEFORE}(?i:{}){BEHIND}", regex::escape(text)))
}

/// Finds a text whatever its case.
pub(super) fn literal(text: &str) -> Result<Regex, String> {
    built(&format!("(?i:{})", regex::escape(text)))
}

fn built(pattern: &str) -> Result<Regex, String> {
    Regex::new(pattern).map_err(|_| "the text is too long to be searched for".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::logs::LogRecord;
    use crate::logs::line::LogFilter;

    const REQUEST: &str = "00Dbc0000000000000-f2f3ed60-2dbd-4edd-b707-9dee97d89c7c";

    fn record(message: &str, fields: Value) -> LogRecord {
        let Value::Object(fields) = fields else { unreachable!() };
        LogRecord {
            id: 1,
            time: DateTime::UNIX_EPOCH,
            level: Level::Info,
            source: "app".to_owned(),
            dyno: "web.1".to_owned(),
            message: message.to_owned(),
            fields,
        }
    }

    fn passes(filter: &str, record: &LogRecord) -> bool {
        LogFilter::parse_any_at(filter, DateTime::UNIX_EPOCH).unwrap().matches(record)
    }

    #[test]
    fn numbers_compare_as_numbers_whatever_their_unit() {
        let line = record(
            "answered",
            json!({"status": 503, "service": "30000ms", "took": 9.5, "sample#memory_total": "512.00MB", "path": "/a"}),
        );
        for (filter, wanted) in [
            ("status>=500", true),
            ("status>=503", true),
            ("status>503", false),
            ("status<1000", true),
            ("status<=503", true),
            ("-status>=500", false),
            ("service>5s", true),
            ("service>30s", false),
            ("service>=30s", true),
            ("service<1m", true),
            ("service>9000", true),
            ("took>10", false),
            ("took>9", true),
            ("sample#memory_total>500MB", true),
            ("sample#memory_total>0.6GB", false),
            ("missing>0", false),
            ("missing<1", false),
            ("path>1", false),
            ("path:/a", true),
            ("path:/", false),
        ] {
            assert_eq!(passes(filter, &line), wanted, "{filter}");
        }
        let text = record("a->b and x>=y", json!({}));
        for word in ["a->b", "x>=y", "\"x>=y\""] {
            assert!(passes(word, &text), "{word}");
        }
    }

    #[test]
    fn what_no_line_can_have_is_refused() {
        for (filter, wanted) in [
            ("servcie>5s", "servcie>5s: there is no servcie:; did you mean service:? use "),
            ("level>=warn", "level>=warn: level:warn is that level and those above it"),
            ("since:soon", "since:soon: use a span such as 30m"),
        ] {
            let refused = LogFilter::parse(filter).unwrap_err();
            assert!(refused.starts_with(wanted), "{refused}");
        }
    }

    #[test]
    fn times_bound_what_passes() {
        let mut line = record("x", json!({}));
        for (age, filter, wanted) in [
            (30, "since:1h", true),
            (61, "since:1h", false),
            (61, "until:1h", true),
            (30, "until:1h", false),
            (61, "-since:1h", true),
        ] {
            line.time = DateTime::UNIX_EPOCH - chrono::Duration::minutes(age);
            assert_eq!(passes(filter, &line), wanted, "{filter} of {age} minutes");
        }
    }

    #[test]
    fn a_request_is_found_wherever_a_line_names_it_and_no_longer_one() {
        let filter = format!("request:{REQUEST}");
        assert!(passes(&filter, &record("x", json!({"request_id": REQUEST}))));
        assert!(passes(&filter, &record(&format!("again: [{REQUEST}]"), json!({}))));
        assert!(!passes(&filter, &record("x", json!({"request_id": format!("{REQUEST}1")}))));
        assert!(!passes("request:00Dbc0000000000000", &record("x", json!({"request_id": REQUEST}))));
    }

    #[test]
    fn a_record_is_found_by_each_of_its_names() {
        let filter = "record:Contact:42|003Ws00003GGHVCIA5";
        for (message, fields, wanted) in [
            ("sent", json!({"mapping": "Contact", "row": 42}), true),
            ("sent", json!({"mapping": "Contact", "row": 421}), false),
            ("sent", json!({"mapping": "Account", "row": 42}), false),
            ("row 42 of Contact waits", json!({}), true),
            ("row 42 waits", json!({"mapping": "contact"}), true),
            ("row 42 waits", json!({"mapping": "account"}), false),
            ("row 421 of Contact waits", json!({}), false),
            ("x", json!({"sfid": "003Ws00003GGHVCIA5"}), true),
            ("found [{\"id\":\"003Ws00003GGHVC\"}]", json!({}), true),
            ("found 003ws00003gghvcia5", json!({}), false),
            ("found 003Ws00003GGHVCIA50", json!({}), false),
        ] {
            assert_eq!(passes(filter, &record(message, fields.clone())), wanted, "{message} {fields}");
        }
        assert!(passes("record:42", &record("x", json!({"row": 42, "mapping": "Account"}))));
        assert!(passes("record:k-77", &record("the external id K-77 is taken", json!({}))));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = LogFilter::parse(&text);
            let _ = LogFilter::parse_any(&text);
            let _ = numbers::quantity(&text);
        }

        #[test]
        fn two_numbers_compare_as_they_do(a in -1_000_000_i64..1_000_000, b in -1_000_000_i64..1_000_000) {
            let line = record("x", Value::Object(Map::from_iter([("n".to_owned(), json!(a))])));
            for (sign, holds) in [("<", a < b), ("<=", a <= b), (">", a > b), (">=", a >= b)] {
                prop_assert_eq!(passes(&format!("n{sign}{b}"), &line), holds);
            }
        }
    }
}
