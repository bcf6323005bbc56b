//! The log in memory: as many of the newest lines as a number of bytes holds, in chunks that can be searched on another
//! thread while new lines come in.

use std::collections::VecDeque;
use std::fmt::Write;
use std::ops::Range;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use regex::Regex;

use super::line::{Asked, LogFilter};
use super::term::literal;
use super::{ELSEWHERE, Level, LogRecord};

/// Lines of a chunk.
const CHUNK: usize = 4_096;
/// Bytes of text at which a chunk is closed with fewer lines: only what is closed can be dropped.
const CHUNK_BYTES: usize = 1 << 20;
/// What stands between the parts of a line; it is no part of any.
pub(super) const BETWEEN: char = '\u{1f}';

/// A line's place: grows by one a line, whatever is dropped before it.
pub type Place = u64;

/// Some lines one behind the other: their texts in one piece.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chunk {
    /// The place of its first line.
    first: Place,
    lines: Vec<Meta>,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Meta {
    id: i64,
    time: DateTime<Utc>,
    level: Level,
    /// Where its text ends.
    end: u32,
}

/// A line of the log as it is held.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// Position in the log store.
    pub id: i64,
    /// When.
    pub time: DateTime<Utc>,
    /// Level.
    pub level: Level,
    text: &'a str,
}

impl<'a> Line<'a> {
    fn parts(&self) -> impl Iterator<Item = &'a str> {
        self.text.split(BETWEEN)
    }

    /// The part of the source: `writer`, `reader`.
    pub fn dyno(&self) -> &'a str {
        self.parts().nth(1).unwrap_or_default()
    }

    /// The message.
    pub fn message(&self) -> &'a str {
        self.parts().nth(2).unwrap_or_default()
    }

    /// Keys and values beside it, without those that are empty.
    pub fn fields(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.parts().skip(3).filter_map(|part| part.split_once('=')).filter(|(_, value)| !value.is_empty())
    }

    /// The value of a key.
    pub fn field(&self, key: &str) -> Option<&'a str> {
        self.fields().find(|(other, _)| *other == key).map(|(_, value)| value)
    }

    /// `syncdeck`, or the source of a foreign line.
    pub fn source(&self) -> &'a str {
        self.parts().next().unwrap_or_default()
    }

    /// What of it shows, in one piece: everything but the source.
    pub(super) fn shown(&self) -> &'a str {
        self.text.split_once(BETWEEN).map_or("", |(_, rest)| rest)
    }
}

/// A record in one text: source, part, message, and each key with its value.
fn pack(record: &LogRecord, into: &mut String) {
    for part in [&record.source, &record.dyno, &record.message] {
        add(part, into);
        into.push(BETWEEN);
    }
    for (key, value) in record.fields.iter().filter(|(_, value)| !value.is_null()) {
        add(key, into);
        into.push('=');
        match value {
            serde_json::Value::String(text) => add(text, into),
            // JSON escapes what stands between parts.
            other => {
                let _ = write!(into, "{other}");
            }
        }
        into.push(BETWEEN);
    }
}

/// Adds a text without what stands between parts.
fn add(text: &str, into: &mut String) {
    if memchr::memchr(BETWEEN as u8, text.as_bytes()).is_none() {
        into.push_str(text);
    } else {
        into.extend(text.chars().map(|c| if c == BETWEEN { ' ' } else { c }));
    }
}

impl Chunk {
    fn push(&mut self, record: &LogRecord, id: i64) {
        pack(record, &mut self.text);
        let end = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
        self.lines.push(Meta { id, time: record.time, level: record.level, end });
    }

    fn bytes(&self) -> usize {
        self.text.capacity() + self.lines.capacity() * size_of::<Meta>()
    }

    fn line(&self, at: usize) -> Option<Line<'_>> {
        let meta = self.lines.get(at)?;
        let start = at.checked_sub(1).map_or(0, |before| self.lines[before].end as usize);
        let text = self.text.get(start..meta.end as usize)?;
        Some(Line { id: meta.id, time: meta.time, level: meta.level, text })
    }

    /// The places of its lines that pass a filter.
    fn matching(&self, filter: &LogFilter) -> Vec<Place> {
        if let Some((key, holds)) = filter.compares_only() {
            return self.comparing(key, holds);
        }
        let mut places = Vec::new();
        let mut at = 0_usize;
        loop {
            // One search through all the text finds the next line worth a look sooner than a search of each line.
            let mut proven = false;
            if let Some(probe) = filter.probe() {
                let Some(hit) = probe.find_at(&self.text, self.start(at)) else { return places };
                at += self.lines[at..].iter().take_while(|line| line.end as usize <= hit.start()).count();
                proven = self.proves(filter, self.start(at), hit.range());
            }
            let Some(line) = self.line(at) else { return places };
            if proven || filter.passes(&line) {
                places.push(self.first + at as Place);
            }
            at += 1;
        }
    }

    /// The places of its lines that have a field for which `holds` holds; `key` finds what stands before its value.
    fn comparing(&self, key: &Regex, holds: impl Fn(&str) -> bool) -> Vec<Place> {
        let mut places = Vec::new();
        let (mut at, mut from) = (0_usize, 0_usize);
        while let Some(hit) = key.find_at(&self.text, from) {
            at += self.lines[at..].iter().take_while(|line| line.end as usize <= hit.start()).count();
            let end = self.lines.get(at).map_or(0, |line| line.end as usize);
            from = hit.end();
            let is_field = from < end && self.parts(self.start(at), hit.start()) >= 2;
            if is_field && self.text[from..].split(BETWEEN).next().is_some_and(&holds) {
                places.push(self.first + at as Place);
                from = end;
            }
        }
        places
    }

    /// Parts of a line that have ended between two places.
    fn parts(&self, start: usize, end: usize) -> usize {
        memchr::memchr_iter(BETWEEN as u8, &self.text.as_bytes()[start..end]).count()
    }

    /// Where a line's text starts.
    fn start(&self, at: usize) -> usize {
        at.checked_sub(1).map_or(0, |before| self.lines[before].end as usize)
    }

    /// Whether what was found in the line that starts there is all that the filter asks for, in a part where it counts.
    fn proves(&self, filter: &LogFilter, start: usize, hit: Range<usize>) -> bool {
        let text = self.text.as_bytes();
        let parts = self.parts(start, hit.start);
        match filter.asks_only() {
            Some(Asked::Word) => parts >= 1,
            Some(Asked::Field) => {
                parts >= 3
                    && text[hit.start - 1] == BETWEEN as u8
                    && text.get(hit.end) == Some(&(BETWEEN as u8))
            }
            None => false,
        }
    }
}

/// Lines that were held at a time, to be written elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// All lines.
    pub lines: Vec<Arc<Chunk>>,
    /// The places of those that are wanted, in their order; `None` is all.
    pub places: Option<Vec<Place>>,
}

impl Kept {
    /// Gives each wanted line to `write`; how many.
    ///
    /// # Errors
    /// What `write` could not do.
    pub fn each<E>(&self, mut write: impl FnMut(&Line<'_>) -> Result<(), E>) -> Result<usize, E> {
        let mut count = 0;
        let mut give = |line: Option<Line<'_>>| {
            count += usize::from(line.is_some());
            line.map_or(Ok(()), |line| write(&line))
        };
        match &self.places {
            None => self
                .lines
                .iter()
                .try_for_each(|chunk| (0..chunk.lines.len()).try_for_each(|at| give(chunk.line(at))))?,
            Some(places) => places.iter().try_for_each(|place| {
                let behind = self.lines.partition_point(|chunk| chunk.first <= *place);
                let chunk = behind.checked_sub(1).map(|at| &self.lines[at]);
                give(chunk.and_then(|chunk| chunk.line((place - chunk.first) as usize)))
            })?,
        }
        Ok(count)
    }
}

/// The lines held.
#[derive(Debug)]
pub struct Ring {
    chunks: VecDeque<Arc<Chunk>>,
    open: Chunk,
    /// Bytes of the closed chunks.
    held: usize,
    cap: usize,
}

impl Ring {
    /// An empty one that takes about so many bytes at most.
    pub fn new(cap: usize) -> Ring {
        // Places begin in the middle, so that older lines find room before them.
        let open = Chunk { first: 1 << 40, ..Chunk::default() };
        Ring { chunks: VecDeque::new(), open, held: 0, cap }
    }

    /// The places held.
    pub fn places(&self) -> Range<Place> {
        let first = self.chunks.front().map_or(self.open.first, |chunk| chunk.first);
        first..self.open.first + self.open.lines.len() as Place
    }

    /// The line at a place.
    pub fn get(&self, place: Place) -> Option<Line<'_>> {
        if place >= self.open.first {
            return self.open.line((place - self.open.first) as usize);
        }
        let behind = self.chunks.partition_point(|chunk| chunk.first <= place);
        let chunk = self.chunks.get(behind.checked_sub(1)?)?;
        chunk.line((place - chunk.first) as usize)
    }

    /// The newest line.
    pub fn newest(&self) -> Option<Line<'_>> {
        self.places().end.checked_sub(1).and_then(|place| self.get(place))
    }

    /// The oldest line.
    pub fn oldest(&self) -> Option<Line<'_>> {
        self.get(self.places().start)
    }

    /// Takes a line in; the oldest ones go when there are too many bytes.
    pub fn push(&mut self, record: &LogRecord) {
        let id = match record.id {
            ELSEWHERE => self.newest().map_or(0, |line| line.id),
            id => id,
        };
        // Before the line comes in, so that the newest one is always held.
        if self.open.lines.len() == CHUNK || self.open.text.len() >= CHUNK_BYTES {
            self.close();
        }
        self.open.push(record, id);
    }

    /// Begins another chunk, and drops the oldest ones that are too many.
    fn close(&mut self) {
        let next = Chunk { first: self.places().end, ..Chunk::default() };
        let mut full = std::mem::replace(&mut self.open, next);
        full.text.shrink_to_fit();
        full.lines.shrink_to_fit();
        self.held += full.bytes();
        self.chunks.push_back(Arc::new(full));
        while self.held > self.cap {
            match self.chunks.pop_front() {
                Some(oldest) => self.held -= oldest.bytes(),
                None => break,
            }
        }
    }

    /// Takes older lines in before the others, oldest first; false when there is no room for them.
    pub fn push_older(&mut self, records: &[LogRecord]) -> bool {
        let mut chunk = Chunk { first: self.places().start - records.len() as Place, ..Chunk::default() };
        records.iter().for_each(|record| chunk.push(record, record.id));
        chunk.text.shrink_to_fit();
        if self.held + chunk.bytes() > self.cap {
            return false;
        }
        self.held += chunk.bytes();
        self.chunks.push_front(Arc::new(chunk));
        true
    }

    /// What is held now, to be searched elsewhere. Only the newest lines are copied.
    pub fn snapshot(&self) -> Vec<Arc<Chunk>> {
        self.chunks.iter().cloned().chain([Arc::new(self.open.clone())]).collect()
    }

    /// The places from one on that pass a filter.
    pub fn matching_from(&self, from: Place, filter: &LogFilter) -> Vec<Place> {
        let places = self.places();
        (from.max(places.start)..places.end)
            .filter(|place| self.get(*place).is_some_and(|line| filter.passes(&line)))
            .collect()
    }

    /// Whether any line has a field of this name, whatever its case.
    pub fn has_field(&self, key: &str) -> bool {
        let Ok(part) = literal(&format!("{BETWEEN}{key}=")) else { return false };
        self.chunks.iter().map(Arc::as_ref).chain([&self.open]).any(|chunk| part.is_match(&chunk.text))
    }

    /// Bytes taken.
    pub fn bytes(&self) -> usize {
        self.held + self.open.bytes()
    }
}

/// The places of a snapshot's lines that pass a filter, in their order; on two threads where that is worth it.
pub fn search(chunks: &[Arc<Chunk>], filter: &LogFilter) -> Vec<Place> {
    let of = |part: &[Arc<Chunk>]| part.iter().flat_map(|chunk| chunk.matching(filter)).collect::<Vec<_>>();
    if chunks.len() < 8 {
        return of(chunks);
    }
    let (older, newer) = chunks.split_at(chunks.len() / 2);
    std::thread::scope(|scope| {
        let newer = scope.spawn(move || of(newer));
        let mut places = of(older);
        places.extend(newer.join().unwrap_or_default());
        places
    })
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn record(id: i64, message: &str) -> LogRecord {
        LogRecord {
            id,
            time: DateTime::UNIX_EPOCH,
            level: if id % 10 == 0 { Level::Error } else { Level::Info },
            source: "syncdeck".to_owned(),
            dyno: "writer".to_owned(),
            message: message.to_owned(),
            fields: json!({"mapping": "Contact", "row": id, "code": ""})
                .as_object()
                .cloned()
                .unwrap_or_default(),
        }
    }

    #[test]
    fn the_newest_lines_stay_and_places_do_not_move() {
        let mut ring = Ring::new(2_000_000);
        (0..100_000).for_each(|id| ring.push(&record(id, "an ordinary line of the log")));
        assert!(ring.bytes() < 2_500_000, "{}", ring.bytes());
        let newest = ring.newest().unwrap();
        assert_eq!((newest.id, newest.field("row"), newest.field("code")), (99_999, Some("99999"), None));
        let places = ring.places();
        assert!(places.end - places.start > 4_096);
        let place = places.start + 5;
        let id = ring.get(place).unwrap().id;
        ring.push(&record(100_000, "one more"));
        assert_eq!(ring.get(place).unwrap().id, id);
        assert!(ring.get(places.start - 1).is_none() && ring.get(ring.places().end).is_none());
    }

    #[test]
    fn long_lines_take_no_more_than_short_ones() {
        let mut ring = Ring::new(4 << 20);
        let long = record(1, &"x".repeat(300_000));
        for _ in 0..200 {
            ring.push(&long);
            assert!(ring.bytes() < 7 << 20, "{}", ring.bytes());
        }
        assert!(ring.places().all(|place| ring.get(place).unwrap().message().len() == 300_000));
        assert!(ring.places().count() > 10);
        let mut small = Ring::new(0);
        small.push(&record(1, &"x".repeat(CHUNK_BYTES)));
        assert_eq!(small.newest().unwrap().message().len(), CHUNK_BYTES);
    }

    #[test]
    fn a_line_from_elsewhere_stands_behind_the_newest_of_the_store() {
        let mut ring = Ring::new(100_000);
        for id in [ELSEWHERE, 7, ELSEWHERE, ELSEWHERE, 8] {
            ring.push(&record(id, "a line"));
        }
        let ids: Vec<i64> = ring.places().filter_map(|place| Some(ring.get(place)?.id)).collect();
        assert_eq!(ids, [0, 7, 7, 7, 8]);
    }

    #[test]
    fn older_lines_come_before_the_others_while_there_is_room() {
        let mut ring = Ring::new(100_000);
        ring.push(&record(500, "new"));
        assert!(ring.push_older(&[record(498, "old"), record(499, "old")]));
        let ids: Vec<i64> = ring.places().filter_map(|place| Some(ring.get(place)?.id)).collect();
        assert_eq!(ids, [498, 499, 500]);
        let many: Vec<LogRecord> = (0..5_000).map(|id| record(id, "too many")).collect();
        assert!(!ring.push_older(&many) && ring.oldest().unwrap().id == 498);
    }

    #[test]
    fn a_search_elsewhere_finds_what_one_here_finds() {
        let mut ring = Ring::new(100 << 20);
        (0..50_000).for_each(|id| ring.push(&record(id, if id % 7 == 0 { "Rejected" } else { "accepted" })));
        let filter = LogFilter::parse("rejected level:error mapping:contact").unwrap();
        let found = search(&ring.snapshot(), &filter);
        assert_eq!(found.len(), 50_000_usize.div_ceil(70));
        assert_eq!(found, ring.matching_from(0, &filter));
        for filter in [
            "rejected",
            "mapping:contact",
            "row:70",
            "contact",
            "-rejected",
            "writer",
            "mapping:cont",
            "syncdeck",
        ] {
            let filter = LogFilter::parse(filter).unwrap();
            assert_eq!(search(&ring.snapshot(), &filter), ring.matching_from(0, &filter), "{filter:?}");
        }
    }

    #[test]
    fn lines_searched_as_one_text_are_those_that_pass_one_by_one() {
        let mut ring = Ring::new(100 << 20);
        let words = ["", "writer", "syncdeck", "row=", "=7", "Straße", "\u{212a}elvin", "end"];
        (0..9_000).for_each(|id| ring.push(&record(id, words[id as usize * 31 % words.len()])));
        for filter in [
            "writer",
            "syncdeck",
            "row:77",
            "row:7 -end",
            "STRASSE",
            "straße",
            "kelvin",
            "-row:7",
            "dyno:writer end",
            "r",
            "7\u{1f}",
            "request:writer",
            "request:syncdeck",
            "ROW>8990",
            "status>0",
            "row>=8990 -end",
            "record:77",
            "record:contact:77|kelvin",
            "row>8000",
            "pattern:\"Stra*\"",
            "pattern:writer",
            "-pattern:end",
            "until:2026-01-01 end",
        ] {
            let filter = LogFilter::parse(filter).unwrap();
            assert_eq!(search(&ring.snapshot(), &filter), ring.matching_from(0, &filter), "{filter:?}");
        }
    }

    proptest! {
        #[test]
        fn a_line_comes_out_as_it_went_in(message in any::<String>(), value in any::<String>()) {
            let mut ring = Ring::new(1 << 20);
            let fields = json!({"code": value}).as_object().cloned().unwrap_or_default();
            ring.push(&LogRecord { fields, ..record(1, &message) });
            let line = ring.newest().unwrap();
            let clean = |text: &str| text.replace(BETWEEN, " ");
            prop_assert_eq!(line.message(), clean(&message));
            prop_assert_eq!(line.field("code").unwrap_or_default(), clean(&value));
        }
    }
}
