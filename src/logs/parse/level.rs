//! Levels, by the words and the numbers of the loggers.

use super::Value;
use crate::logs::Level;

/// The level that a value names.
pub fn of(value: &Value<'_>) -> Option<Level> {
    match value {
        Value::Text(word) => of_word(word),
        Value::Number(number) => number.parse().ok().and_then(of_number),
        Value::Json(_) => None,
    }
}

/// The level of a word, whatever its case.
pub fn of_word(word: &str) -> Option<Level> {
    const WORDS: [(&str, Level); 22] = [
        ("info", Level::Info),
        ("error", Level::Error),
        ("warn", Level::Warn),
        ("debug", Level::Debug),
        ("warning", Level::Warn),
        ("notice", Level::Info),
        ("log", Level::Info),
        ("trace", Level::Debug),
        ("fatal", Level::Error),
        ("critical", Level::Error),
        ("panic", Level::Error),
        ("dpanic", Level::Error),
        ("severe", Level::Error),
        ("emerg", Level::Error),
        ("alert", Level::Error),
        ("crit", Level::Error),
        ("err", Level::Error),
        ("verbose", Level::Debug),
        ("fine", Level::Debug),
        ("finer", Level::Debug),
        ("finest", Level::Debug),
        ("informational", Level::Info),
    ];
    WORDS.iter().find(|(other, _)| word.eq_ignore_ascii_case(other)).map(|(_, level)| *level)
}

/// The level of a number: up to 7 as syslog counts, downwards; above as pino and bunyan do, 30 for info.
pub fn of_number(number: u32) -> Option<Level> {
    Some(match number {
        0..=3 => Level::Error,
        4 => Level::Warn,
        5 | 6 => Level::Info,
        7 => Level::Debug,
        8..30 => Level::Debug,
        30..40 => Level::Info,
        40..50 => Level::Warn,
        50..=100 => Level::Error,
        _ => return None,
    })
}

/// How bad an answer of HTTP is, for lines that say nothing else.
pub fn of_status(status: u16) -> Level {
    match status {
        500.. => Level::Error,
        400..500 => Level::Warn,
        _ => Level::Info,
    }
}
