//! Where one stream of a log ends and the next one begins: Heroku sends its newest lines once more, and those that were
//! told are left out. A line is the same where its whole text is, which has its time in microseconds.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

use chrono::{DateTime, Utc};

use crate::logs::parse::taken_at;

/// How many lines Heroku keeps, and sends once more at most.
pub(super) const HISTORY: usize = 1_500;
/// How many of the newest lines are known again. More than the history: old and new streams come in pieces.
const KNOWN: usize = 2 * HISTORY;

/// What a line of the new stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// One that was told, or that was written before the first one that was.
    Known,
    /// A new one.
    New,
    /// A new one, and nothing shows that it is the next.
    NewBehindGap,
}

/// What was told last.
#[derive(Debug, Default)]
pub(super) struct Seam {
    hasher: RandomState,
    /// The newest lines, and when they were taken in.
    told: VecDeque<(u64, Option<DateTime<Utc>>)>,
    /// Of these, those that the new stream has not sent.
    left: HashMap<u64, u32>,
    /// The earliest of them, until the new stream sent one of them or a new one.
    earliest: Option<DateTime<Utc>>,
    /// Whether the new stream sent anything that shows where it begins.
    begins: bool,
}

impl Seam {
    /// Whether nothing was told yet.
    pub(super) fn is_new(&self) -> bool {
        self.told.is_empty()
    }

    /// Another stream begins.
    pub(super) fn begin(&mut self) {
        self.left.clear();
        for (hash, _) in &self.told {
            *self.left.entry(*hash).or_default() += 1;
        }
        self.earliest = self.told.iter().filter_map(|(_, time)| *time).min();
        self.begins = !self.told.is_empty();
    }

    /// Takes a line of the stream in.
    pub(super) fn take(&mut self, line: &str) -> Line {
        let hash = self.hasher.hash_one(line);
        if let Some(left) = self.left.get_mut(&hash).filter(|left| **left > 0) {
            *left -= 1;
            (self.begins, self.earliest) = (false, None);
            return Line::Known;
        }
        let time = taken_at(line);
        if let (Some(earliest), Some(time)) = (self.earliest, time)
            && time < earliest
        {
            self.begins = false;
            return Line::Known;
        }
        self.told.push_back((hash, time));
        if self.told.len() > KNOWN {
            self.told.pop_front();
        }
        self.earliest = None;
        if std::mem::take(&mut self.begins) { Line::NewBehindGap } else { Line::New }
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
            let taken = seam.take(&line(*number));
            gap |= taken == Line::NewBehindGap;
            taken != Line::Known
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

    proptest! {
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
