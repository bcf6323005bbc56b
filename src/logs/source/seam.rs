//! Where one stream of a log ends and the next one begins: Heroku sends its newest lines once more, or two streams are
//! followed for a while side by side. Lines that were told are left out. A line is the same where its whole text is, which
//! has its time in microseconds.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

use chrono::{DateTime, Utc};

use crate::logs::parse::taken_at;

/// How many lines Heroku keeps, and sends once more at most.
pub(super) const HISTORY: usize = 1_500;
/// How many of the newest lines are known again. More than the history: old and new streams come in pieces.
const KNOWN: usize = 2 * HISTORY;

/// What a line of a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SeamLine {
    /// One that was told, or that was written before the first one that was.
    Known,
    /// A new one.
    New,
    /// A new one, and nothing shows that it is the next.
    NewBehindGap,
}

/// Which of the streams a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SeamStream {
    /// The one that began last.
    Newest,
    /// The one before it, which is still followed.
    Before,
}

/// Lines that were told and that a stream has not sent.
type Owed = HashMap<u64, u32>;

/// What was told last.
#[derive(Debug, Default)]
pub(super) struct Seam {
    hasher: RandomState,
    /// The newest lines, and when they were taken in.
    told: VecDeque<(u64, Option<DateTime<Utc>>)>,
    newest: Owed,
    /// Of the stream before, while it is followed.
    before: Option<Owed>,
    /// The earliest line that was told, until the newest stream sent one that was told or a new one.
    earliest: Option<DateTime<Utc>>,
    /// Whether nothing shows yet that the newest stream goes on where the others ended.
    begins: bool,
}

impl Seam {
    /// Whether nothing was told yet.
    pub(super) fn is_new(&self) -> bool {
        self.told.is_empty()
    }

    /// Another stream begins, when the one before has ended.
    pub(super) fn begin(&mut self) {
        self.before = None;
        self.owe_all();
        self.begins = !self.told.is_empty();
    }

    /// Another stream begins beside the one that is followed: nothing can be missing between them.
    pub(super) fn overlap(&mut self) {
        self.before = Some(std::mem::take(&mut self.newest));
        self.owe_all();
        self.begins = false;
    }

    /// The stream before is not followed any more.
    pub(super) fn leave(&mut self) {
        self.before = None;
    }

    fn owe_all(&mut self) {
        self.newest.clear();
        for (hash, _) in &self.told {
            *self.newest.entry(*hash).or_default() += 1;
        }
        self.earliest = self.told.iter().filter_map(|(_, time)| *time).min();
    }

    /// Takes a line of a stream in.
    pub(super) fn take(&mut self, from: SeamStream, line: &str) -> SeamLine {
        let hash = self.hasher.hash_one(line);
        let is_newest = from == SeamStream::Newest;
        let (owed, other) = match (is_newest, &mut self.before) {
            (true, before) => (Some(&mut self.newest), before.as_mut()),
            (false, before) => (before.as_mut(), Some(&mut self.newest)),
        };
        if let Some(left) = owed.and_then(|owed| owed.get_mut(&hash)).filter(|left| **left > 0) {
            *left -= 1;
            if is_newest {
                (self.begins, self.earliest) = (false, None);
            }
            return SeamLine::Known;
        }
        let time = taken_at(line);
        if let (Some(earliest), Some(time), true) = (self.earliest, time, is_newest)
            && time < earliest
        {
            self.begins = false;
            return SeamLine::Known;
        }
        if let Some(other) = other {
            *other.entry(hash).or_default() += 1;
        }
        self.told.push_back((hash, time));
        if self.told.len() > KNOWN {
            self.told.pop_front();
        }
        if !is_newest {
            return SeamLine::New;
        }
        self.earliest = None;
        if std::mem::take(&mut self.begins) { SeamLine::NewBehindGap } else { SeamLine::New }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(second: usize) -> String {
        format!("2024-10-28T16:{:02}:{:02}.000001+00:00 app[web.1]: line", second / 60, second % 60)
    }

    /// Which lines of a stream are told.
    fn told(seam: &mut Seam, lines: impl Iterator<Item = usize>) -> (Vec<usize>, bool) {
        seam.begin();
        let mut gap = false;
        let new = lines.filter(|number| {
            let taken = seam.take(SeamStream::Newest, &line(*number));
            gap |= taken == SeamLine::NewBehindGap;
            taken != SeamLine::Known
        });
        (new.collect(), gap)
    }

    #[test]
    fn a_stream_without_a_line_that_was_told_has_a_gap_before_it() {
        let mut seam = Seam::default();
        assert_eq!(told(&mut seam, 5..7), (vec![5, 6], false));
        assert_eq!(told(&mut seam, 3..9), (vec![7, 8], false));
        assert_eq!(told(&mut seam, 20..22), (vec![20, 21], true));
        assert_eq!(told(&mut seam, 21..23), (vec![22], false));
    }

    #[test]
    fn two_lines_of_one_text_are_two() {
        let mut seam = Seam::default();
        assert_eq!(told(&mut seam, [1, 1].into_iter()).0.len(), 2);
        assert_eq!(told(&mut seam, [1, 1, 1].into_iter()).0.len(), 1);
    }

    /// What two streams tell that are followed side by side, in that order; both send a line once.
    fn both(seam: &mut Seam, lines: impl Iterator<Item = (SeamStream, usize)>) -> Vec<usize> {
        lines
            .filter(|(from, number)| seam.take(*from, &line(*number)) == SeamLine::New)
            .map(|(_, n)| n)
            .collect()
    }

    #[test]
    fn two_streams_side_by_side_tell_each_line_once_also_without_any_history() {
        use SeamStream::{Before, Newest};
        let mut seam = Seam::default();
        assert_eq!(told(&mut seam, 1..4), (vec![1, 2, 3], false));
        seam.overlap();
        let lines =
            [(Before, 4), (Newest, 5), (Before, 5), (Newest, 6), (Newest, 6), (Before, 6), (Before, 6)];
        assert_eq!(both(&mut seam, lines.into_iter()), [4, 5, 6, 6]);
        seam.leave();
        assert_eq!(both(&mut seam, [(Newest, 7), (Newest, 7)].into_iter()), [7, 7]);
    }

    proptest! {
        /// However two streams are mixed that overlap, each line is told once.
        #[test]
        fn an_overlap_neither_loses_nor_doubles(
            ends in (0_usize..30, 0_usize..30),
            history in 0_usize..20,
            order in proptest::collection::vec(any::<bool>(), 120),
        ) {
            let mut seam = Seam::default();
            let (mut all, _) = told(&mut seam, 0..20);
            seam.overlap();
            let (mut before, mut newest) = (20..20 + ends.0, 20 - history..20 + ends.0 + ends.1);
            for first in order {
                let next = if first { before.next().map(|n| (SeamStream::Before, n)) } else { None };
                let next = next.or_else(|| newest.next().map(|n| (SeamStream::Newest, n)));
                all.extend(both(&mut seam, next.into_iter()));
            }
            seam.leave();
            all.extend(both(&mut seam, newest.map(|n| (SeamStream::Newest, n))));
            all.sort_unstable();
            prop_assert_eq!(all, (0..20 + ends.0 + ends.1).collect::<Vec<_>>());
        }

        /// However streams are cut, each line is told once, in order.
        #[test]
        fn nothing_is_lost_or_doubled(first in 0_usize..50, cuts in proptest::collection::vec((0_usize..40, 0_usize..40), 1..8)) {
            let mut seam = Seam::default();
            let (mut all, mut end) = (Vec::new(), first);
            for (number, (back, more)) in cuts.into_iter().enumerate() {
                // The history reaches back at least to the last line that was told.
                let from = if number == 0 { first } else { end.saturating_sub(back + 1) };
                end += more + 1;
                let (new, gap) = told(&mut seam, from..end);
                prop_assert!(!gap);
                all.extend(new);
            }
            prop_assert_eq!(all, (first..end).collect::<Vec<_>>());
        }
    }
}
