//! Records of entries: what a line does not say comes from where it was read.

use chrono::{DateTime, Utc};
use serde_json::map::Entry as Member;
use serde_json::{Map, Number, Value as Json};

use super::{Entry, Value, Zone};
use crate::logs::{Level, LogRecord};

/// Where lines come from: a file, standard input.
#[derive(Clone, Debug)]
pub struct Origin {
    source: String,
    dyno: String,
    /// Whether a person named it: its lines keep that name, and tell in a field what they say themselves.
    named: bool,
    zone: Zone,
    /// The time of the line before.
    last: Option<DateTime<Utc>>,
}

impl Origin {
    /// Names for lines that have none of their own, and the zone of times that name none.
    pub fn new(source: &str, dyno: &str, zone: Zone) -> Origin {
        Origin { source: source.to_owned(), dyno: dyno.to_owned(), named: false, zone, last: None }
    }

    /// That of a source with a name in the configuration: all its records have the name, and the source that a line names
    /// itself (`app`, `heroku`) is their field `from`.
    pub fn named(name: &str, dyno: &str, zone: Zone) -> Origin {
        Origin { named: true, ..Origin::new(name, dyno, zone) }
    }

    /// The name for lines that have none.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The part of it for lines that name none.
    pub fn dyno(&self) -> &str {
        &self.dyno
    }

    /// The record of a line that was read at `seen`. A line without a time has that of the one before it.
    pub fn record(&mut self, mut entry: Entry<'_>, seen: DateTime<Utc>) -> LogRecord {
        if self.named && !entry.source.is_empty() {
            let own = std::mem::take(&mut entry.source);
            entry.fields.push(("from".into(), Value::Text(own.into())));
        }
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

/// Fields of one name that get names of their own. All others share one: a line may hold the same name 100,000 times.
const SAME: usize = 8;

/// Two fields of one name are both kept.
fn members(fields: Vec<super::Field<'_>>) -> Map<String, Json> {
    let mut members = Map::with_capacity(fields.len());
    for (key, value) in fields {
        put(&mut members, key.into_owned(), json(value));
    }
    members
}

fn put(members: &mut Map<String, Json>, mut key: String, value: Json) {
    for _ in 0..SAME {
        match members.entry(key) {
            Member::Vacant(place) => {
                place.insert(value);
                return;
            }
            Member::Occupied(other) if *other.get() == value => return,
            Member::Occupied(other) => key = format!("{}_", other.key()),
        }
    }
    let more = match value {
        Json::String(text) => text,
        value => value.to_string(),
    };
    match members.entry(key).or_insert_with(|| Json::String(String::new())) {
        Json::String(text) => {
            text.push(' ');
            text.push_str(&more);
        }
        other => *other = Json::String(format!("{other} {more}")),
    }
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
