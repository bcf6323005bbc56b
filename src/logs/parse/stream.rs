//! Records of a stream of bytes: lines, what they say, and traces in one piece.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};

use super::joiner::Joiner;
use super::line;
use super::origin::LineOrigin;
use super::splitter::Splitter;
use crate::logs::LogRecord;
use crate::logs::packed::Packed;

/// As many pieces of memory are kept to be used again: the lines of what is read at once.
const SPARE: usize = 512;
/// Room beside the line itself, for names that are longer than its own.
const BESIDE: usize = 128;
/// A larger one is given back.
const LARGE: usize = 4 << 10;

/// What is read from one place.
#[derive(Debug)]
pub struct Stream {
    origin: LineOrigin,
    splitter: Splitter,
    joiner: Joiner,
    ready: VecDeque<Packed>,
    /// The one that was given last.
    given: Packed,
    /// Memory of those that were given before, for the next ones.
    spare: Vec<String>,
}

impl Stream {
    /// One that has read nothing yet.
    pub fn new(origin: LineOrigin) -> Stream {
        Stream {
            origin,
            splitter: Splitter::default(),
            joiner: Joiner::default(),
            ready: VecDeque::new(),
            given: Packed::default(),
            spare: Vec::new(),
        }
    }

    /// Takes a piece in that was read at `seen`.
    pub fn feed(&mut self, piece: &[u8], seen: DateTime<Utc>) {
        let Stream { origin, splitter, joiner, ready, spare, .. } = self;
        splitter.feed(piece, &mut |text| take(origin, joiner, ready, spare, text, seen));
    }

    /// Takes a line in that somebody else found the ends of.
    pub fn line(&mut self, text: &str, seen: DateTime<Utc>) {
        let Stream { origin, joiner, ready, spare, .. } = self;
        take(origin, joiner, ready, spare, text, seen);
    }

    /// Nothing has come for a while: waits for no more lines of a trace, but for the rest of a line that has begun.
    pub fn idle(&mut self) {
        self.joiner.close();
        self.ready.extend(std::iter::from_fn(|| self.joiner.pop()));
    }

    /// Waits for no more lines than those of traces that have begun.
    pub fn settle(&mut self) {
        self.joiner.settle();
        self.ready.extend(std::iter::from_fn(|| self.joiner.pop()));
    }

    /// Nothing will come any more.
    pub fn finish(&mut self, seen: DateTime<Utc>) {
        let Stream { origin, splitter, joiner, ready, spare, .. } = self;
        splitter.finish(&mut |text| take(origin, joiner, ready, spare, text, seen));
        self.idle();
    }

    /// Puts a record of this program between the others.
    pub fn note(&mut self, record: &LogRecord) {
        self.ready.push_back(Packed::of(record));
    }

    /// The next record.
    pub fn pop(&mut self) -> Option<LogRecord> {
        self.next_packed().map(Packed::record)
    }

    /// The next record in one piece.
    pub fn next_packed(&mut self) -> Option<&Packed> {
        let given = std::mem::replace(&mut self.given, self.ready.pop_front()?);
        if self.spare.len() < SPARE {
            self.spare.push(given.into_memory(LARGE));
        }
        Some(&self.given)
    }
}

fn take(
    origin: &mut LineOrigin,
    joiner: &mut Joiner,
    ready: &mut VecDeque<Packed>,
    spare: &mut Vec<String>,
    text: &str,
    seen: DateTime<Utc>,
) {
    let entry = line(text);
    let (format, levelled) = (entry.format, entry.level.is_some());
    let mut memory = spare.pop().unwrap_or_default();
    memory.reserve(text.len() + BESIDE);
    joiner.push(format, levelled, origin.packed_within(memory, entry, seen));
    ready.extend(std::iter::from_fn(|| joiner.pop()));
}
