//! Records of entries: what a line does not say comes from where it was read.

use chrono::{DateTime, Utc};
use serde_json::{Map, Number, Value as Json};

use super::{Entry, Value, Zone};
use crate::logs::{Level, LogRecord};

/// Where lines come from: a file, standard input.
#[derive(Clone, Debug)]
pub struct Origin {
    source: String,
    dyno: String,
    zone: Zone,
    /// The time of the line before.
    last: Option<DateTime<Utc>>,
}

impl Origin {
    /// Names for lines that have none of their own, and the zone of times that name none.
    pub fn new(source: &str, dyno: &str, zone: Zone) -> Origin {
        Origin { source: source.to_owned(), dyno: dyno.to_owned(), zone, last: None }
    }

    /// The record of a line that was read at `seen`. A line without a time has that of the one before it.
    pub fn record(&mut self, entry: Entry<'_>, seen: DateTime<Utc>) -> LogRecord {
        let told = entry.stamp.map(|stamp| self.zone.instant(stamp, self.last));
        self.last = told.or(self.last);
        let or = |told: &str, other: &str| if told.is_empty() { other.to_owned() } else { told.to_owned() };
        LogRecord {
            id: 0,
            time: self.last.unwrap_or(seen),
            level: entry.level.unwrap_or(Level::Info),
            source: or(entry.source, &self.source),
            dyno: or(entry.dyno, &self.dyno),
            message: entry.message.into_owned(),
            fields: members(entry.fields),
        }
    }
}

/// Two fields of one name are both kept.
fn members(fields: Vec<super::Field<'_>>) -> Map<String, Json> {
    let mut members = Map::with_capacity(fields.len());
    for (key, value) in fields {
        let value = json(value);
        let mut key = key.into_owned();
        while members.get(&key).is_some_and(|other| *other != value) {
            key.push('_');
        }
        members.insert(key, value);
    }
    members
}

fn json(value: Value<'_>) -> Json {
    match value {
        Value::Text(text) => Json::String(text.into_owned()),
        Value::Number(text) => match text.parse::<Number>() {
            Ok(number) => Json::Number(number),
            Err(_) => Json::String(text.into_owned()),
        },
        Value::Json(text) => serde_json::from_str(text).unwrap_or_else(|_| Json::String(text.to_owned())),
    }
}
