//! Records of entries: what a line does not say comes from where it was read.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::de::IgnoredAny;
use serde_json::map::Entry as Member;
use serde_json::{Map, Number, Value as Json};

use super::{LineFormat, ParsedEntry, Value, Zone};
use crate::logs::packed::Packed;
use crate::logs::{Level, LogRecord};

/// Where lines come from: a file, standard input.
#[derive(Clone, Debug)]
pub struct LineOrigin {
    source: String,
    dyno: String,
    /// Whether a person named it: its lines keep that name, and tell in a field what they say themselves.
    named: bool,
    zone: Zone,
    /// The time of the line before.
    last: Option<DateTime<Utc>>,
}

impl LineOrigin {
    /// Names for lines that have none of their own, and the zone of times that name none.
    pub fn new(source: &str, dyno: &str, zone: Zone) -> LineOrigin {
        LineOrigin { source: source.to_owned(), dyno: dyno.to_owned(), named: false, zone, last: None }
    }

    /// That of a source with a name in the configuration: all its records have the name, and the source that a line names
    /// itself (`app`, `heroku`) is their field `from`.
    pub fn named(name: &str, dyno: &str, zone: Zone) -> LineOrigin {
        LineOrigin { named: true, ..LineOrigin::new(name, dyno, zone) }
    }

    /// The name for lines that have none.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The part of it for lines that name none.
    pub fn dyno(&self) -> &str {
        &self.dyno
    }

    /// A line that was read at `seen`, in one piece. One without a time has that of the one before it.
    pub fn packed(&mut self, entry: ParsedEntry<'_>, seen: DateTime<Utc>) -> Packed {
        self.packed_within(String::new(), entry, seen)
    }

    /// The same in a piece of memory that was used before.
    pub(super) fn packed_within(
        &mut self,
        memory: String,
        mut entry: ParsedEntry<'_>,
        seen: DateTime<Utc>,
    ) -> Packed {
        if self.named && !entry.source.is_empty() {
            let own = std::mem::take(&mut entry.source);
            entry.fields.push(("from".into(), Value::Text(own.into())));
        }
        let told = entry.stamp.map(|stamp| self.zone.instant(stamp, self.last));
        self.last = told.or(self.last);
        let or = |told, other| if str::is_empty(told) { other } else { told };
        let (source, dyno) = (or(entry.source, &self.source), or(entry.dyno, &self.dyno));
        let mut packed = Packed::within(memory);
        packed.begin(source, dyno, &entry.message);
        // Only JSON has keys that may be any text.
        if entry.format == LineFormat::Json {
            entry.fields.iter().for_each(|(key, _)| packed.doubt(key));
        }
        let is_plain = is_plain(&mut entry.fields);
        for (key, value) in &entry.fields {
            match value {
                Value::Text(text) => packed.put(key, text, false),
                Value::Number(text) => packed.put(key, text, true),
                Value::Json(text) => packed.put(key, &dense(text), true),
            }
        }
        (packed.time, packed.level) = (self.last.unwrap_or(seen), entry.level.unwrap_or(Level::Info));
        if !is_plain || !packed.is_whole() {
            packed.keep(&LogRecord {
                id: 0,
                time: packed.time,
                level: packed.level,
                source: source.to_owned(),
                dyno: dyno.to_owned(),
                message: entry.message.into_owned(),
                fields: members(entry.fields),
            });
        }
        packed
    }
}

/// Whether fields are as JSON would have them, each name once and values that it writes as they stand here. The second
/// of a name gets a name of its own, as in [`members`].
fn is_plain(fields: &mut [super::EntryField<'_>]) -> bool {
    let mut seen = 0_u64;
    for at in 0..fields.len() {
        let key = &fields[at].0;
        // What looks alike is compared.
        if seen & mark(key) != 0 && fields[..at].iter().any(|(other, _)| other == key) {
            let again = format!("{key}_");
            let is_known = fields.iter().any(|(other, _)| *other == again);
            if is_known || fields[..at].iter().any(|(other, value)| other == key && *value == fields[at].1) {
                return false;
            }
            fields[at].0 = again.into();
        }
        seen |= mark(&fields[at].0);
        if matches!(&fields[at].1, Value::Json(text) if !is_alike(text)) {
            return false;
        }
    }
    true
}

/// Whether JSON would write a text so, but for blanks. What is no JSON keeps those too.
fn is_alike(text: &str) -> bool {
    let is_json = || serde_json::from_str::<IgnoredAny>(text).is_ok();
    text != "null" && !text.contains('\\') && (!has_blanks(text) || is_json())
}

fn has_blanks(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_whitespace())
}

/// A bit of a name.
fn mark(key: &str) -> u64 {
    let ends = key.as_bytes().first().zip(key.as_bytes().last());
    let (first, last) = ends.map_or((0, 0), |(first, last)| (*first, *last));
    1 << (first.wrapping_mul(7).wrapping_add(last).wrapping_add(key.len() as u8) % 64)
}

/// JSON without the blanks between its parts; no character of it is escaped.
fn dense(text: &str) -> Cow<'_, str> {
    if !has_blanks(text) {
        return Cow::Borrowed(text);
    }
    let mut is_inside = false;
    let keeps = |c: &char| {
        is_inside ^= *c == '"';
        is_inside || !c.is_ascii_whitespace()
    };
    Cow::Owned(text.chars().filter(keeps).collect())
}

/// Fields of one name that get names of their own. All others share one: a line may hold the same name 100,000 times.
const SAME: usize = 8;

/// Two fields of one name are both kept.
fn members(fields: Vec<super::EntryField<'_>>) -> Map<String, Json> {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::logs::line::LogFilter;
    use crate::logs::parse::line;

    /// The record of a line, made member by member.
    fn plainly(text: &str) -> LogRecord {
        let entry = line(text);
        let mut origin = LineOrigin::new("file", "app.log", Zone::Utc);
        let time = entry.stamp.map_or(DateTime::UNIX_EPOCH, |stamp| origin.zone.instant(stamp, None));
        let or = |told: &str, other: &str| if told.is_empty() { other.to_owned() } else { told.to_owned() };
        LogRecord {
            id: 0,
            time,
            level: entry.level.unwrap_or(Level::Info),
            source: or(entry.source, &origin.source),
            dyno: or(entry.dyno, &std::mem::take(&mut origin.dyno)),
            message: entry.message.into_owned(),
            fields: members(entry.fields),
        }
    }

    fn packed(text: &str) -> Packed {
        LineOrigin::new("file", "app.log", Zone::Utc).packed(line(text), DateTime::UNIX_EPOCH)
    }

    fn holds(text: &str) {
        let (plain, packed) = (plainly(text), packed(text));
        assert_eq!(packed.record(), plain, "{text:?}");
        for filter in
            ["a", "-a", "status>=500", "status<500", "level:warn", "k:v", "k:1", "service>1s b", "x=1"]
        {
            let filter = LogFilter::parse_any_at(filter, DateTime::UNIX_EPOCH).unwrap();
            assert_eq!(filter.passes_packed(&packed), filter.matches(&plain), "{filter:?} of {text:?}");
        }
    }

    #[test]
    fn a_line_in_one_piece_is_the_same_record() {
        for text in [
            "",
            "plain a",
            "level=warn msg=\"a b\" status=503 status=200 k=v",
            "status=503 STATUS=200 x=1",
            "service=2000ms service=1 level=info",
            "{\"a\":null,\"k\":1,\"b\":[1, 2],\"c\":{\"d\":\"\\u001f\"},\"status\":500}",
            "{\"a=b\":1,\"k\":\"v\",\"\":\"\",\"n\":1.50,\"l\":[1,2]}",
            "{\"a\":[1 2],\"b\":[1, ,2],\"c\":{\"d e\": \"f g\", \"h\" : [ true , null ]}}",
            "{\"a\":{\"b\":1},\"a.b\":[ 1 ],\"k\":1,\"k\":1,\"k\":2,\"k_\":3,\"k\":[ 2 ]}",
            "k=v k=v k=1 k=1 k_=2 k=3",
            "a\u{1f}b k=v",
            "level=info msg=x\u{1f}y k=1",
            "2024-10-28T16:02:15.215250+00:00 heroku[router]: at=error code=H12 desc=\"Request timeout\" method=GET path=\"/\" host=a fwd=\"1\" dyno=web.1 connect=1ms service=30000ms status=503 bytes=0",
        ] {
            holds(text);
        }
        let many: String = (0..70).map(|n| format!("k{n}={n} ")).collect();
        holds(&many);
    }

    proptest! {
        #[test]
        fn any_line_in_one_piece_is_the_same_record(text in any::<String>()) {
            holds(&text);
        }

        #[test]
        fn pairs_in_one_piece_are_the_same_record(
            pairs in proptest::collection::vec(("(k|status|service|a)", "(v|1|500|2s|\"a b\"|)"), 0..6)
        ) {
            let pairs: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
            holds(&pairs.join(" "));
        }
    }
}
