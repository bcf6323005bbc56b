//! A log record as one line of text, and the filter of logs.

use serde_json::Value;

use super::sanitize::sanitize;
use super::{Level, LogRecord};

/// `2026-11-20T14:02:10.123Z WARN  writer  3 of 200 rejected  mapping=Contact batch=8f2`, harmless for a terminal.
pub fn logfmt(record: &LogRecord) -> String {
    let level = match record.level {
        Level::Debug => "DEBUG",
        Level::Info => "INFO",
        Level::Warn => "WARN",
        Level::Error => "ERROR",
    };
    let time = record.time.format("%Y-%m-%dT%H:%M:%S%.3fZ");
    let mut line = format!("{time} {level:<5} {:<8} {}", sanitize(&record.dyno), sanitize(&record.message));
    for (key, value) in &record.fields {
        let text = match value {
            Value::Null => continue,
            Value::String(text) if text.is_empty() => continue,
            Value::String(text) if text.contains([' ', '"', '=']) => format!("{text:?}"),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        line.push_str(&format!(" {}={}", sanitize(key), sanitize(&text)));
    }
    line
}

/// What log records must have: words anywhere, `level:warn` (that and above), `dyno:`, `source:`, and any field by its
/// name, `mapping:Contact`; `-` negates.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogFilter {
    terms: Vec<(bool, Term)>,
}

#[derive(Clone, Debug, PartialEq)]
enum Term {
    Word(String),
    Level(Level),
    Field(String, String),
}

impl LogFilter {
    /// Reads a filter as typed.
    ///
    /// # Errors
    /// A level that there is not.
    pub fn parse(text: &str) -> Result<LogFilter, String> {
        let terms = text
            .split_whitespace()
            .map(|word| {
                let (negated, word) = match word.strip_prefix('-') {
                    Some(rest) if !rest.is_empty() => (true, rest),
                    _ => (false, word),
                };
                let term = match word.split_once(':') {
                    Some(("level", level)) => Term::Level(parse_level(level)?),
                    Some((key, value)) if !key.is_empty() && !value.is_empty() => {
                        Term::Field(key.to_lowercase(), value.to_lowercase())
                    }
                    _ => Term::Word(word.to_lowercase()),
                };
                Ok((negated, term))
            })
            .collect::<Result<_, String>>()?;
        Ok(LogFilter { terms })
    }

    /// Whether a record passes.
    pub fn matches(&self, record: &LogRecord) -> bool {
        self.terms.iter().all(|(negated, term)| term.matches(record) != *negated)
    }
}

impl Term {
    fn matches(&self, record: &LogRecord) -> bool {
        let text = |value: &Value| match value {
            Value::String(text) => text.to_lowercase(),
            other => other.to_string().to_lowercase(),
        };
        match self {
            Term::Level(level) => record.level >= *level,
            Term::Field(key, wanted) => match key.as_str() {
                "source" => record.source.to_lowercase() == *wanted,
                "dyno" => record.dyno.to_lowercase() == *wanted,
                key => record.fields.get(key).is_some_and(|value| text(value) == *wanted),
            },
            Term::Word(word) => {
                record.message.to_lowercase().contains(word)
                    || record.dyno.contains(word)
                    || record.fields.values().any(|value| text(value).contains(word))
            }
        }
    }
}

fn parse_level(word: &str) -> Result<Level, String> {
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
    use serde_json::json;

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
    fn filters_match_words_levels_and_fields() {
        for (filter, matches) in [
            ("", true),
            ("rejected", true),
            ("level:info contact", true),
            ("level:error", false),
            ("mapping:contact row:7", true),
            ("-mapping:contact", false),
            ("dyno:reader", false),
        ] {
            assert_eq!(LogFilter::parse(filter).unwrap().matches(&record()), matches, "{filter}");
        }
        assert_eq!(LogFilter::parse("level:loud").unwrap_err(), "level:loud: use debug, info, warn or error");
    }
}
