//! The log: follows, can be paused, scrolled back, filtered and searched; a line that speaks of a row leads to it.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::console::effect::Effect;
use crate::console::pane::Pane;
use crate::console::widgets::cursor::{Cursor, Step};
use crate::logs::line::{LogFilter, QUALIFIERS};
use crate::logs::ring::{self, KeptLines, Line, Place, Ring, Sifted};
use crate::logs::shape::{Minutes, Pattern, patterns};
use crate::logs::{ELSEWHERE, Level, LogRecord};

mod sources;
mod view;

pub use sources::{ShownSource, ShownSources};
pub use view::{draw, line_at};

/// Records asked for at once.
pub const PAGE: usize = 1_000;
/// More lines than this are filtered on another thread.
const AT_ONCE: u64 = 20_000;

/// So many lines at most are counted by their minutes when the filter changes: 2 ms, say.
const COUNTED: usize = 20_000;
/// So many lines at most are grouped by their patterns.
const COUNTED_PATTERNS: usize = 20_000;

/// What a filter that is being typed lets pass.
#[derive(Debug)]
pub enum Previewed {
    /// This.
    Known(Sifted),
    /// This finds it out.
    Asked(Effect),
}

/// The pane's state.
#[derive(Debug)]
pub struct LogPane {
    ring: Ring,
    /// The places that pass the filter, in order; `None` is all.
    passing: Option<Vec<Place>>,
    /// The selected line.
    at: Place,
    /// Whether the newest line keeps being shown.
    pub following: bool,
    /// Lines that came since it was paused.
    pub new_below: usize,
    /// The filter as typed.
    pub filter: String,
    parsed: Arc<LogFilter>,
    /// Grows with every change of the filter; what another thread found for an older one is dropped.
    generation: u64,
    /// Whether another thread is at it.
    filtering: bool,
    /// What is searched for, as typed and as searched.
    pub search: Option<(String, LogFilter)>,
    /// Whether anything was read.
    pub loaded: bool,
    /// Whether older lines are on their way, and whether there are any.
    older: Older,
    /// How many of the lines that show each minute has.
    minutes: Minutes,
    /// Whether older lines that show are not among those.
    counted_in_part: bool,
    /// Where one was before all lines about one thing showed.
    before: Option<Before>,
    /// Where lines come from.
    pub sources: ShownSources,
    /// Filters that were typed, newest last.
    pub typed: Vec<String>,
    /// Whether other programs' lines came too: then each line says whose it is.
    elsewhere: bool,
}

/// Where one was, to be gone back to.
#[derive(Debug)]
struct Before {
    /// The filter of what shows since.
    thread: String,
    filter: String,
    at: Place,
    following: bool,
    /// The pane that had the keys.
    pane: Pane,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Older {
    Unknown,
    Asked,
    None,
    NoRoom,
}

impl LogPane {
    /// An empty log that takes about so many bytes at most.
    pub fn new(memory: usize) -> LogPane {
        LogPane {
            ring: Ring::new(memory),
            passing: None,
            at: 0,
            following: true,
            new_below: 0,
            filter: String::new(),
            parsed: Arc::default(),
            generation: 0,
            filtering: false,
            search: None,
            loaded: false,
            older: Older::Unknown,
            minutes: Minutes::default(),
            counted_in_part: false,
            before: None,
            sources: ShownSources::default(),
            typed: Vec::new(),
            elsewhere: false,
        }
    }

    /// How many lines show.
    pub fn len(&self) -> usize {
        let places = self.ring.places();
        match &self.passing {
            Some(passing) => passing.len() - self.gone(passing),
            None => (places.end - places.start) as usize,
        }
    }

    /// Whether none shows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn place(&self, index: usize) -> Option<Place> {
        match &self.passing {
            Some(passing) => passing.get(self.gone(passing) + index).copied(),
            None => Some(self.ring.places().start + index as Place),
        }
    }

    /// How many of the places that passed are of lines that were dropped since. A thread has none of them.
    fn gone(&self, passing: &[Place]) -> usize {
        let start = self.ring.places().start;
        if self.parsed.is_thread() { 0 } else { passing.partition_point(|place| *place < start) }
    }

    /// Places that pass as they are shown: in the order of their coming, or in that of their times where one thing is
    /// followed through all sources.
    fn ordered(&self, mut passing: Vec<Place>) -> Vec<Place> {
        if self.parsed.is_thread() {
            passing.retain(|place| self.ring.get(*place).is_some());
            passing.sort_by_key(|place| (self.ring.get(*place).map(|line| line.time), *place));
            // What is missing before its first line or behind its last is none of it.
            let is_gap = |place: &Place| self.ring.get(*place).is_some_and(|line| line.is_gap());
            let end = passing.iter().rposition(|place| !is_gap(place)).map_or(0, |last| last + 1);
            passing.truncate(end);
            let begin = passing.iter().position(|place| !is_gap(place)).unwrap_or(0);
            passing.drain(..begin);
        }
        passing
    }

    /// Older lines could not be read; the next step asks again.
    pub fn older_refused(&mut self) {
        self.older = Older::Unknown;
    }

    /// The selected line's index among those that show.
    pub fn index(&self) -> usize {
        let start = self.ring.places().start;
        let index = match &self.passing {
            Some(passing) if self.parsed.is_thread() => {
                let here = passing.iter().position(|place| *place == self.at);
                here.or_else(|| passing.iter().position(|place| *place > self.at)).unwrap_or(passing.len())
            }
            Some(passing) => {
                passing.partition_point(|place| *place < self.at).saturating_sub(self.gone(passing))
            }
            None => self.at.saturating_sub(start) as usize,
        };
        index.min(self.len().saturating_sub(1))
    }

    fn line(&self, index: usize) -> Option<Line<'_>> {
        self.ring.get(self.place(index)?)
    }

    /// The selected line.
    pub fn selected(&self) -> Option<Line<'_>> {
        self.line(self.index())
    }

    /// The newest line's position in the log store.
    pub fn newest(&self) -> Option<i64> {
        self.ring.newest().map(|line| line.id)
    }

    /// Takes new records in. True when there may be more to read at once.
    pub fn take(&mut self, records: &[LogRecord]) -> bool {
        let more = self.loaded && records.len() >= PAGE;
        self.loaded = true;
        let newest = self.newest().unwrap_or(i64::MIN);
        let from = self.ring.places().end;
        self.elsewhere |= records.iter().any(|record| record.id == ELSEWHERE);
        for record in records.iter().filter(|record| record.id > newest) {
            self.sources.count(record);
            self.ring.push(record);
        }
        let fresh = self.pass(from);
        if self.following {
            self.go(Step::Last);
        } else {
            self.new_below += fresh;
        }
        more
    }

    /// Lets what came from a place on pass the filter; how many did.
    fn pass(&mut self, from: Place) -> usize {
        let places = self.ring.places();
        // What another thread finds is told with what came meanwhile.
        if self.filtering {
            return 0;
        }
        let Some(mut passing) = self.passing.take() else {
            let fresh = from.max(places.start)..places.end;
            fresh.clone().for_each(|place| self.count(place));
            return (fresh.end - fresh.start) as usize;
        };
        let gone = self.gone(&passing);
        if gone > passing.len() / 2 {
            passing.drain(..gone);
        }
        let fresh = self.ring.matching_from(from, &self.parsed);
        let count = fresh.len();
        fresh.iter().for_each(|place| self.count(*place));
        passing.extend(fresh);
        self.passing = Some(self.ordered(passing));
        count
    }

    /// Asks for older lines, when there may be any.
    pub fn want_older(&mut self) -> Option<Effect> {
        let first = self.ring.oldest()?.id;
        if self.older != Older::Unknown || self.index() > 0 {
            return None;
        }
        self.older = Older::Asked;
        Some(Effect::LoadOlderLog(first))
    }

    /// Takes older records in, oldest first.
    pub fn take_older(&mut self, records: &[LogRecord]) {
        let first = self.ring.places().start;
        self.older = match () {
            () if records.is_empty() => Older::None,
            () if !self.ring.push_older(records) => Older::NoRoom,
            () => Older::Unknown,
        };
        if let Some(passing) = &mut self.passing
            && !self.filtering
        {
            let start = self.ring.places().start;
            let older = (start..first)
                .filter(|place| self.ring.get(*place).is_some_and(|line| self.parsed.passes(&line)));
            let mut all: Vec<Place> = older.collect();
            all.append(passing);
            self.passing = Some(self.ordered(all));
        }
    }

    /// Shows what passes another filter; `now` is what `since:1h` counts from. Many lines are looked through elsewhere,
    /// which the effect asks for.
    ///
    /// # Errors
    /// What is wrong with it; the old one stays.
    pub fn set_filter(&mut self, filter: &str, now: DateTime<Utc>) -> Result<Option<Effect>, String> {
        self.parsed = Arc::new(self.read(filter, now)?);
        self.filter = filter.trim().to_owned();
        self.generation += 1;
        self.filtering = false;
        let mut effect = None;
        self.passing = match () {
            () if self.parsed.is_empty() => None,
            () if self.is_small() => Some(self.ordered(self.ring.matching_from(0, &self.parsed))),
            () => {
                self.filtering = true;
                effect = Some(Effect::FilterLog {
                    generation: self.generation,
                    upto: self.ring.places().end,
                    lines: self.ring.snapshot(),
                    filter: self.parsed.clone(),
                });
                Some(Vec::new())
            }
        };
        self.count_all();
        // Who looks at a line keeps it in sight, or what stands next to it.
        self.follow(self.following);
        Ok(effect)
    }

    /// Reads a filter, which leaves out what is switched off.
    fn read(&self, filter: &str, now: DateTime<Utc>) -> Result<LogFilter, String> {
        Ok(LogFilter::parse_any_at(filter, now)?.without(self.sources.off()))
    }

    /// Switches the lines of a source on or off: its name and whether they show now, and what filters the others.
    pub fn switch(&mut self, source: usize, now: DateTime<Utc>) -> Option<(String, bool, Option<Effect>)> {
        let (name, shows) = self.sources.switch(source)?;
        let effect = self.set_filter(&self.filter.clone(), now).ok().flatten();
        Some((name, shows, effect))
    }

    /// Keeps what was typed, to be recalled.
    pub fn remember(&mut self, filter: &str) {
        self.typed.retain(|other| other != filter);
        self.typed.extend(Some(filter.to_owned()).filter(|filter| !filter.is_empty()));
    }

    /// Counts a line that shows in its minute.
    fn count(&mut self, place: Place) {
        if let Some((time, level)) = self.ring.stamp(place) {
            self.minutes.add(time, level);
        }
    }

    /// Counts the newest lines that show anew.
    fn count_all(&mut self) {
        let mut minutes = Minutes::default();
        let len = self.len();
        let from = len.saturating_sub(COUNTED);
        let mut count = |place: Place| {
            self.ring.stamp(place).iter().for_each(|(time, level)| minutes.add(*time, *level));
        };
        // Where what was dropped ends is looked for once, not for each line.
        match &self.passing {
            Some(passing) => passing[self.gone(passing) + from..].iter().copied().for_each(&mut count),
            None => (self.ring.places().start + from as Place..self.ring.places().end).for_each(&mut count),
        }
        (self.minutes, self.counted_in_part) = (minutes, len > COUNTED);
    }

    /// The lines that show by their patterns: the newest of them, and how many these are.
    pub fn patterns(&self) -> (Vec<Pattern>, usize) {
        let len = self.len();
        let newest = len.saturating_sub(COUNTED_PATTERNS)..len;
        let lines = newest.len();
        (patterns(newest.filter_map(|index| self.line(index))), lines)
    }

    /// What shows, to be written elsewhere.
    pub fn kept(&self) -> KeptLines {
        KeptLines { lines: self.ring.snapshot(), places: self.passing.clone() }
    }

    /// Whether all lines are looked through in no time.
    fn is_small(&self) -> bool {
        let places = self.ring.places();
        places.end - places.start <= AT_ONCE
    }

    /// What is wrong with a filter that is typed: also a key that nothing here has, which is a slip rather than a wish.
    pub fn refusal(&self, filter: &str, now: DateTime<Utc>) -> Option<String> {
        match LogFilter::parse_any_at(filter, now) {
            Ok(parsed) if parsed.unknown_keys().all(|key| self.ring.has_field(key)) => None,
            Ok(_) => LogFilter::parse(filter).err(),
            Err(why) => Some(why),
        }
    }

    /// What a filter that is being typed hides, or what finds it out elsewhere; nothing while it cannot be read.
    pub fn preview(&self, filter: &str, now: DateTime<Utc>) -> Option<Previewed> {
        let parsed = self.read(filter, now).ok().filter(|parsed| !parsed.is_empty())?;
        let lines = self.ring.snapshot();
        if self.is_small() {
            return Some(Previewed::Known(ring::sift(&lines, &parsed)));
        }
        Some(Previewed::Asked(Effect::PreviewLog {
            filter: filter.to_owned(),
            lines,
            parsed: Arc::new(parsed),
        }))
    }

    /// Names of fields that the newest lines have and that are not known to every log.
    pub fn fields(&self) -> Vec<String> {
        let places = self.ring.places();
        let newest = places.end.saturating_sub(PAGE as Place).max(places.start)..places.end;
        let lines = newest.filter_map(|place| self.ring.get(place));
        let names: BTreeSet<String> =
            lines.flat_map(|line| line.fields().map(|(key, _)| key.to_owned()).collect::<Vec<_>>()).collect();
        names
            .into_iter()
            .filter(|name| !QUALIFIERS.split(' ').any(|known| known.trim_end_matches(':') == name))
            .collect()
    }

    /// What another thread found among the lines before `upto`.
    pub fn filtered(&mut self, generation: u64, upto: Place, mut places: Vec<Place>) {
        if generation != self.generation {
            return;
        }
        self.filtering = false;
        places.extend(self.ring.matching_from(upto, &self.parsed));
        self.passing = Some(self.ordered(places));
        self.count_all();
        self.follow(self.following);
    }

    /// Shows all lines about one thing; the way back leads to where one is now, in that pane.
    ///
    /// # Errors
    /// What is wrong with the filter.
    pub fn enter_thread(
        &mut self,
        thread: &str,
        pane: Pane,
        now: DateTime<Utc>,
    ) -> Result<Option<Effect>, String> {
        let at = self.place(self.index()).unwrap_or(self.at);
        let before = Before {
            thread: thread.to_owned(),
            filter: self.filter.clone(),
            at,
            following: self.following,
            pane,
        };
        self.at = at;
        // Whoever comes from a line stays on it; whoever comes from a record sees what was said last.
        self.following = pane != Pane::Log;
        let effect = self.set_filter(thread, now)?;
        self.before = Some(before);
        Ok(effect)
    }

    /// Whether what shows is a thread that one can go back from.
    pub fn in_thread(&self) -> bool {
        self.before.as_ref().is_some_and(|before| before.thread == self.filter)
    }

    /// Back to where one was, and in which pane that is.
    pub fn leave_thread(&mut self, now: DateTime<Utc>) -> Option<(Pane, Option<Effect>)> {
        let before = self.before.take()?;
        (self.at, self.following) = (before.at, before.following);
        Some((before.pane, self.set_filter(&before.filter, now).ok().flatten()))
    }

    /// Follows, or stops where it is.
    pub fn follow(&mut self, following: bool) {
        self.following = following;
        if following {
            self.new_below = 0;
            self.go(Step::Last);
        }
    }

    fn go(&mut self, step: Step) {
        let mut cursor = Cursor { at: self.index(), ..Cursor::default() };
        cursor.step(step, self.len());
        self.at = self.place(cursor.at).unwrap_or(self.at);
    }

    /// Moves; going back pauses, reaching the end follows again.
    pub fn step(&mut self, step: Step) -> Option<Effect> {
        self.go(step);
        let at_end = self.index() + 1 >= self.len();
        self.follow(at_end);
        self.want_older()
    }

    /// The lines that show in `height`: the newest while it follows, else those around the selected one.
    fn window(&self, height: usize) -> Range<usize> {
        let at = self.index();
        let top = if self.following { usize::MAX } else { at.saturating_sub(height / 2) };
        Cursor { at, top }.window(self.len(), height)
    }

    /// Goes to the next line, or the one before, that holds; false when there is none.
    fn seek(&mut self, forward: bool, holds: impl Fn(&Line<'_>) -> bool) -> bool {
        let here = self.index();
        let is = |index: &usize| self.line(*index).is_some_and(|line| holds(&line));
        let found = if forward { (here + 1..self.len()).find(is) } else { (0..here).rev().find(is) };
        let Some(place) = found.and_then(|index| self.place(index)) else { return false };
        self.following = false;
        self.at = place;
        true
    }

    /// Searches for a text from the selected line backwards: what one looks for has happened already.
    ///
    /// # Errors
    /// A text too long to be searched for.
    pub fn set_search(&mut self, text: &str) -> Result<bool, String> {
        if text.trim().is_empty() {
            self.search = None;
            return Ok(true);
        }
        let needle = LogFilter::phrase(text.trim())?;
        let here = self.selected().is_some_and(|line| needle.passes(&line));
        self.search = Some((text.trim().to_owned(), needle));
        if here {
            self.following = false;
        }
        Ok(here || self.next_match(false) || self.next_match(true))
    }

    /// To the next line with what is searched for, or the one before.
    pub fn next_match(&mut self, forward: bool) -> bool {
        let Some((_, needle)) = self.search.clone() else { return false };
        self.seek(forward, |line| needle.passes(line))
    }

    /// To the next warning or error, or the one before.
    pub fn next_warning(&mut self, forward: bool) -> bool {
        self.seek(forward, |line| line.level >= Level::Warn)
    }

    /// Bytes that the lines take.
    pub fn bytes(&self) -> usize {
        self.ring.bytes()
    }
}
