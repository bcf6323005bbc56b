//! Records of a stream of bytes: lines, what they say, and traces in one piece.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};

use super::joiner::Joiner;
use super::line;
use super::origin::Origin;
use super::splitter::Splitter;
use crate::logs::LogRecord;

/// What is read from one place.
#[derive(Debug)]
pub struct Stream {
    origin: Origin,
    splitter: Splitter,
    joiner: Joiner,
    ready: VecDeque<LogRecord>,
}

impl Stream {
    /// One that has read nothing yet.
    pub fn new(origin: Origin) -> Stream {
        Stream { origin, splitter: Splitter::default(), joiner: Joiner::default(), ready: VecDeque::new() }
    }

    /// Takes a piece in that was read at `seen`.
    pub fn feed(&mut self, piece: &[u8], seen: DateTime<Utc>) {
        let Stream { origin, splitter, joiner, ready } = self;
        splitter.feed(piece, &mut |text| take(origin, joiner, ready, text, seen));
    }

    /// Takes a line in that somebody else found the ends of.
    pub fn line(&mut self, text: &str, seen: DateTime<Utc>) {
        let Stream { origin, joiner, ready, .. } = self;
        take(origin, joiner, ready, text, seen);
    }

    /// Nothing has come for a while: waits for no more lines of a trace, but for the rest of a line that has begun.
    pub fn idle(&mut self) {
        self.joiner.close();
        self.ready.extend(std::iter::from_fn(|| self.joiner.pop()));
    }

    /// Nothing will come any more.
    pub fn finish(&mut self, seen: DateTime<Utc>) {
        let Stream { origin, splitter, joiner, ready } = self;
        splitter.finish(&mut |text| take(origin, joiner, ready, text, seen));
        self.idle();
    }

    /// Puts a record of this program between the others.
    pub fn note(&mut self, record: LogRecord) {
        self.ready.push_back(record);
    }

    /// The next record.
    pub fn pop(&mut self) -> Option<LogRecord> {
        self.ready.pop_front()
    }
}

fn take(
    origin: &mut Origin,
    joiner: &mut Joiner,
    ready: &mut VecDeque<LogRecord>,
    text: &str,
    seen: DateTime<Utc>,
) {
    let entry = line(text);
    let (format, levelled) = (entry.format, entry.level.is_some());
    joiner.push(format, levelled, origin.record(entry, seen));
    ready.extend(std::iter::from_fn(|| joiner.pop()));
}
