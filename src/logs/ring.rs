//! The log in memory: as many of the newest lines as a number of bytes holds, in chunks that can be searched on another
//! thread while new lines come in.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::line::LogFilter;
use super::packed::{BETWEEN, Packed};
use super::term::literal;
use super::{ELSEWHERE, Level, LogRecord};

pub use super::chunk::{Chunk, Place};
pub use super::packed::Line;

/// Lines that were held at a time, to be written elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptLines {
    /// All lines.
    pub lines: Vec<Arc<Chunk>>,
    /// The places of those that are wanted, in their order; `None` is all.
    pub places: Option<Vec<Place>>,
}

impl KeptLines {
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
                .try_for_each(|chunk| (0..chunk.len()).try_for_each(|at| give(chunk.line(at))))?,
            Some(places) => places.iter().try_for_each(|place| give(line_of(&self.lines, *place)))?,
        }
        Ok(count)
    }
}

/// What a filter makes of many lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sifted {
    /// How many pass.
    pub passing: usize,
    /// How many there are.
    pub all: usize,
    /// How many of those that do not pass are warnings or errors.
    pub bad: usize,
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
        let open = Chunk::begin(1 << 40);
        Ring { chunks: VecDeque::new(), open, held: 0, cap }
    }

    /// The places held.
    pub fn places(&self) -> Range<Place> {
        let first = self.chunks.front().map_or(self.open.first, |chunk| chunk.first);
        first..self.open.first + self.open.len() as Place
    }

    /// The line at a place.
    pub fn get(&self, place: Place) -> Option<Line<'_>> {
        let (chunk, at) = self.find(place)?;
        chunk.line(at)
    }

    /// When the line at a place was written, and its level.
    pub fn stamp(&self, place: Place) -> Option<(DateTime<Utc>, Level)> {
        let (chunk, at) = self.find(place)?;
        chunk.stamp(at)
    }

    /// The chunk of a place, and which of its lines is there.
    fn find(&self, place: Place) -> Option<(&Chunk, usize)> {
        let chunk = if place >= self.open.first {
            &self.open
        } else {
            let behind = self.chunks.partition_point(|chunk| chunk.first <= place);
            self.chunks.get(behind.checked_sub(1)?)?.as_ref()
        };
        Some((chunk, (place - chunk.first) as usize))
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
        self.push_packed(&Packed::of(record), record.id);
    }

    /// The same of one with this position that is in one piece already.
    pub fn push_packed(&mut self, packed: &Packed, id: i64) {
        let id = match id {
            ELSEWHERE => self.newest().map_or(0, |line| line.id),
            id => id,
        };
        // Before the line comes in, so that the newest one is always held.
        if self.open.is_full() {
            self.close();
        }
        self.open.push(packed, id);
    }

    /// Begins another chunk, and drops the oldest ones that are too many.
    fn close(&mut self) {
        let next = Chunk::begin(self.places().end);
        let mut full = std::mem::replace(&mut self.open, next);
        full.shrink();
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
        let mut chunk = Chunk::begin(self.places().start - records.len() as Place);
        records.iter().for_each(|record| chunk.push(&Packed::of(record), record.id));
        chunk.shrink();
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
        self.chunks.iter().map(Arc::as_ref).chain([&self.open]).any(|chunk| part.is_match(chunk.text()))
    }

    /// Bytes taken.
    pub fn bytes(&self) -> usize {
        self.held + self.open.bytes()
    }
}

/// The places of a snapshot's lines that pass a filter, in their order; on two threads where that is worth it.
pub fn search(chunks: &[Arc<Chunk>], filter: &LogFilter) -> Vec<Place> {
    // Of a copy: who uses an expression that another thread used first waits for what it works with, at each line.
    let of = |part: &[Arc<Chunk>]| {
        let filter = filter.clone();
        part.iter().flat_map(|chunk| chunk.matching(&filter)).collect::<Vec<_>>()
    };
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

/// What a filter would make of a snapshot's lines.
pub fn sift(chunks: &[Arc<Chunk>], filter: &LogFilter) -> Sifted {
    let passing = search(chunks, filter);
    let is_bad = |level: Level| level >= Level::Warn;
    let all = chunks.iter().map(|chunk| chunk.len()).sum();
    let bad = chunks.iter().flat_map(|chunk| chunk.levels()).filter(|level| is_bad(*level)).count();
    let shown = passing.iter().filter_map(|place| line_of(chunks, *place));
    let bad = bad - shown.filter(|line| is_bad(line.level)).count();
    Sifted { passing: passing.len(), all, bad }
}

/// The line at a place of a snapshot.
fn line_of(chunks: &[Arc<Chunk>], place: Place) -> Option<Line<'_>> {
    let behind = chunks.partition_point(|chunk| chunk.first <= place);
    let chunk = &chunks[behind.checked_sub(1)?];
    chunk.line((place - chunk.first) as usize)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::chunk::CHUNK_BYTES;
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

    #[test]
    fn what_is_found_without_a_look_at_each_line_is_what_each_line_says() {
        let fields = [
            json!({"mapping": "Contact", "row": 7}),
            json!({"Mapping": "contact"}),
            json!({"mapping": "", "note": "mapping=contact"}),
            json!({"mapping": "contacts", "x": "mapping=contact"}),
            json!({"note": "a b\u{1f}mapping=contact"}),
            json!({}),
        ];
        let messages = ["mapping=contact", "WARN of writer", "CONTACT", "", "syncdeck"];
        let mut plain = Ring::new(100 << 20);
        let mut other = Ring::new(100 << 20);
        for at in 0..900_usize {
            let mut line = record(at as i64, messages[at % messages.len()]);
            line.fields = fields[at % fields.len()].as_object().cloned().unwrap();
            plain.push(&line);
            line.message.push_str(if at % 7 == 0 { " ſtraße" } else { "" });
            other.push(&line);
        }
        for filter in [
            "mapping:contact",
            "-mapping:contact",
            "contact",
            "warn",
            "-warn",
            "row:7",
            "syncdeck",
            "straSSE",
            "note:a",
        ] {
            let filter = LogFilter::parse_any(filter).unwrap();
            for ring in [&plain, &other] {
                let says = |place: &Place| filter.passes(&ring.get(*place).unwrap());
                let expected: Vec<Place> = ring.places().filter(says).collect();
                assert_eq!(search(&ring.snapshot(), &filter), expected, "{filter:?}");
            }
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
