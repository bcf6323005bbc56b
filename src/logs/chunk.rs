//! Some lines of the log one behind the other: their texts in one piece, and beside it what filters ask for most.

use chrono::{DateTime, Utc};

use super::Level;
use super::line::LogFilter;
use super::needle::Needle;
use super::numbers::NumberColumns;
use super::packed::{BETWEEN, Line, Packed};
use super::term::{LogTerm, SearchWord, is};

/// A line's place: grows by one a line, whatever is dropped before it.
pub type Place = u64;

/// Lines of a chunk.
pub(super) const CHUNK: usize = 4_096;
/// Bytes of text at which a chunk is closed with fewer lines: only what is closed can be dropped.
pub(super) const CHUNK_BYTES: usize = 1 << 20;
/// Fewer lines than this are looked at one by one, rather than searched for in all the text.
const FEW: usize = CHUNK / 16;

/// Some lines.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chunk {
    /// The place of its first line.
    pub(super) first: Place,
    lines: Vec<Meta>,
    text: String,
    /// The sources that its lines come from.
    sources: Vec<String>,
    columns: NumberColumns,
    /// The lines that tell that others are missing.
    gaps: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Meta {
    id: i64,
    time: DateTime<Utc>,
    level: Level,
    /// Which of the chunk's sources it comes from.
    source: u16,
    /// Where its text ends.
    end: u32,
}

/// Which lines of a chunk pass, one by one.
type Mask = Vec<bool>;

impl Chunk {
    /// An empty one whose first line will be at that place.
    pub(super) fn begin(first: Place) -> Chunk {
        Chunk { first, ..Chunk::default() }
    }

    /// How many lines it has.
    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether another one is to be begun.
    pub(super) fn is_full(&self) -> bool {
        self.lines.len() == CHUNK || self.text.len() >= CHUNK_BYTES
    }

    /// All texts.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The level of each line.
    pub(super) fn levels(&self) -> impl Iterator<Item = Level> {
        self.lines.iter().map(|line| line.level)
    }

    pub(super) fn push(&mut self, packed: &Packed, id: i64) {
        let line = packed.line();
        let source = line.source();
        let known = self.sources.iter().position(|known| known == source);
        let source = known.unwrap_or_else(|| {
            self.sources.push(source.to_owned());
            self.sources.len() - 1
        });
        let at = self.lines.len();
        if packed.is_gap() {
            self.gaps.push(at);
        }
        self.columns.push(at, &packed.numbers);
        self.text.push_str(&packed.text);
        let end = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
        let source = u16::try_from(source).unwrap_or(u16::MAX);
        self.lines.push(Meta { id, time: packed.time, level: packed.level, source, end });
    }

    /// Gives back what it took more than it needs.
    pub(super) fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.lines.shrink_to_fit();
        self.columns.shrink();
    }

    /// Bytes taken.
    pub(super) fn bytes(&self) -> usize {
        let sources: usize = self.sources.iter().map(String::capacity).sum();
        self.text.capacity() + self.lines.capacity() * size_of::<Meta>() + self.columns.bytes() + sources
    }

    /// A line.
    pub(super) fn line(&self, at: usize) -> Option<Line<'_>> {
        let meta = self.lines.get(at)?;
        let text = self.text.get(self.start(at)..meta.end as usize)?;
        Some(Line { id: meta.id, time: meta.time, level: meta.level, text })
    }

    /// When a line was written, and its level: its text is left alone, and does not come into the processor's cache.
    pub(super) fn stamp(&self, at: usize) -> Option<(DateTime<Utc>, Level)> {
        self.lines.get(at).map(|line| (line.time, line.level))
    }

    /// Where a line's text starts.
    fn start(&self, at: usize) -> usize {
        at.checked_sub(1).map_or(0, |before| self.lines[before].end as usize)
    }

    /// The places of its lines that pass a filter.
    pub(super) fn matching(&self, filter: &LogFilter) -> Vec<Place> {
        let mut mask: Mask = vec![true; self.lines.len()];
        let mut asks_text = false;
        for (negated, term) in filter.terms() {
            match self.known(term) {
                Some(known) => mask.iter_mut().zip(known).for_each(|(passes, is)| *passes &= is != *negated),
                None => asks_text = true,
            }
            if !mask.contains(&true) {
                break;
            }
        }
        if asks_text && mask.contains(&true) {
            self.search(filter, &mut mask);
        }
        for at in &self.gaps {
            mask[*at] |= self.line(*at).is_some_and(|line| filter.passes(&line));
        }
        let passing = mask.iter().enumerate().filter(|(_, passes)| **passes);
        passing.map(|(at, _)| self.first + at as Place).collect()
    }

    /// Which lines have what a term asks for, where that is known without a look at each of them.
    fn known(&self, term: &LogTerm) -> Option<Mask> {
        let of_lines = |has: &dyn Fn(&Meta) -> bool| Some(self.lines.iter().map(has).collect());
        match term {
            LogTerm::Word(word) => Some(self.having(word)),
            LogTerm::Named(level, word) => {
                let mut mask = self.having(word);
                mask.iter_mut().zip(&self.lines).for_each(|(has, line)| *has |= line.level == *level);
                Some(mask)
            }
            LogTerm::Level(level) => of_lines(&|line| line.level >= *level),
            LogTerm::Since(time) => of_lines(&|line| line.time >= *time),
            LogTerm::Until(time) => of_lines(&|line| line.time <= *time),
            LogTerm::Field(key, wanted) if key == "source" => {
                let is_it: Vec<bool> = self.sources.iter().map(|source| is(source, wanted)).collect();
                of_lines(&|line| is_it.get(usize::from(line.source)).copied().unwrap_or_default())
            }
            LogTerm::Field(key, wanted) if key != "dyno" => self.with_field(term, key, wanted),
            _ => {
                let (column, holds) = term.compares()?;
                let mut mask = vec![false; self.lines.len()];
                let (holding, several) = self.columns.holding(column, holds);
                holding.for_each(|at| mask[at] = true);
                for at in several.iter().map(|at| *at as usize) {
                    mask[at] = self.line(at).is_some_and(|line| term.passes(&line));
                }
                Some(mask)
            }
        }
    }

    /// Which lines show a word.
    fn having(&self, word: &SearchWord) -> Mask {
        // The source stands in the text, and does not show.
        let shows = |at: usize, line: Line<'_>, hit: usize| {
            memchr::memchr(BETWEEN as u8, &self.text.as_bytes()[self.start(at)..hit]).is_some()
                || word.regex.is_match(line.shown())
        };
        match word.plain.as_ref().filter(|_| self.text.is_ascii()) {
            Some(needle) => self.hits(|from| needle.find_at(self.text.as_bytes(), from), shows),
            None => self.hits(|from| Some(word.regex.find_at(&self.text, from)?.start()), shows),
        }
    }

    /// Which lines have a field, where all is ASCII.
    fn with_field(&self, term: &LogTerm, key: &str, wanted: &str) -> Option<Mask> {
        let needle = Needle::of(&format!("{key}={wanted}"));
        let needle = needle.filter(|_| !wanted.is_empty() && self.text.is_ascii())?;
        let text = self.text.as_bytes();
        let field = format!("{BETWEEN}{key}=");
        // Most often it is all of a part behind the message, and the first of its key; else the line tells.
        let has = |at: usize, line: Line<'_>, hit: usize| {
            let is_whole = text.get(hit + needle.len()) == Some(&(BETWEEN as u8))
                && text[hit..].starts_with(key.as_bytes());
            is_whole && self.is_first_part(self.start(at), hit, field.as_bytes()) || term.passes(&line)
        };
        Some(self.hits(|from| needle.find_at(text, from), has))
    }

    /// Which lines have what is found somewhere in them: one search through all the text finds the next one sooner than a
    /// search of each line. `has` is asked of the first hit in a line, by its
    /// number, the line, and where the hit is.
    fn hits(
        &self,
        find: impl Fn(usize) -> Option<usize>,
        has: impl Fn(usize, Line<'_>, usize) -> bool,
    ) -> Mask {
        let mut mask = vec![false; self.lines.len()];
        let mut at = 0_usize;
        while let Some(hit) = find(self.start(at)) {
            at += self.lines[at..].iter().take_while(|line| line.end as usize <= hit).count();
            let Some(line) = self.line(at) else { break };
            mask[at] = has(at, line, hit);
            at += 1;
        }
        mask
    }

    /// Leaves those lines that pass the filter as a whole.
    fn search(&self, filter: &LogFilter, mask: &mut Mask) {
        let left = mask.iter().filter(|passes| **passes).count();
        let passes = |at: usize| self.line(at).is_some_and(|line| filter.passes(&line));
        let Some(probe) = filter.probe().filter(|_| left > FEW) else {
            return mask.iter_mut().enumerate().for_each(|(at, wanted)| *wanted = *wanted && passes(at));
        };
        let find = |from: usize| Some(probe.find_at(&self.text, from)?.start());
        *mask = self.hits(find, |at, line, _| mask[at] && filter.passes(&line));
    }

    /// Whether a part of a line behind its message begins at a place, and none before it begins as that field does.
    fn is_first_part(&self, start: usize, place: usize, field: &[u8]) -> bool {
        let text = &self.text.as_bytes()[start..];
        let (mut ended, mut last) = (0, None);
        for at in memchr::memchr_iter(BETWEEN as u8, &text[..place - start]) {
            if start + at + 1 < place && text[at..].starts_with(field) {
                return false;
            }
            (ended, last) = (ended + 1, Some(start + at + 1));
        }
        ended >= 3 && last == Some(place)
    }
}
