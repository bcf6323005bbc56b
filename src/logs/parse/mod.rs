//! Lines of other programs' logs, read into the members of a record. Pure: bytes come from whoever opened a stream.
//!
//! Each format has one file, and its reader takes a line or leaves it. [`line()`] strips Heroku's own beginning
//! (`heroku`), then asks the readers in order: `json` (pino, bunyan, zap, logrus, structlog, log4j's ECS), `platform`
//! (errors of dynos, R, and of Logplex, L), `router`, `connect` (Heroku Connect), `postgres`, `access` (the AppLink
//! service mesh, nginx, Apache), `logfmt`. What none of them takes is `plain` text, and nothing is dropped. What the
//! formats share: `entry` (what a line says), `names` (one name for what many programs name differently), `time`,
//! `level`. `stream` puts the way from bytes to records together: `splitter` makes lines of bytes, `origin` makes
//! records of entries, `joiner` keeps the lines of a stack trace together.

mod access;
mod connect;
mod entry;
mod heroku;
pub mod joiner;
mod json;
mod level;
mod logfmt;
mod names;
pub mod origin;
mod plain;
mod platform;
mod postgres;
mod router;
pub mod splitter;
pub mod stream;
mod time;

use chrono::{DateTime, Utc};

pub use entry::{EntryField, LineFormat, ParsedEntry, Value};
pub use time::{LineTime, Zone};

/// Takes a line without its beginning, or leaves it to the next.
type Reader = for<'a> fn(&'a str) -> Option<ParsedEntry<'a>>;

/// In this order: what can be told by its first bytes comes first.
const READERS: [Reader; 7] =
    [json::read, platform::read, router::read, connect::read, postgres::read, access::read, logfmt::read];

/// When Heroku's log router took a line in, where it is one of its lines.
pub fn taken_at(text: &str) -> Option<DateTime<Utc>> {
    match heroku::head(text)?.0.stamp {
        LineTime::Instant(time) => Some(time),
        LineTime::Wall(_) => None,
    }
}

/// What a line says. Its end is no part of it.
pub fn line(text: &str) -> ParsedEntry<'_> {
    let Some((head, body)) = heroku::head(text) else { return read(text) };
    let mut entry = read(body);
    // When the line was taken in tells less than when it was written only where the two are far apart.
    let written = entry.stamp.replace(head.stamp);
    if let (Some(LineTime::Instant(written)), LineTime::Instant(taken)) = (written, head.stamp)
        && (written - taken).abs() >= heroku::LATE
    {
        let written = written.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true);
        entry.put("time", Value::Text(written.into()));
    }
    (entry.source, entry.dyno) = (head.source, head.dyno);
    entry
}

fn read(text: &str) -> ParsedEntry<'_> {
    READERS.iter().find_map(|reader| reader(text)).unwrap_or_else(|| plain::read(text))
}

#[cfg(test)]
mod tests;
