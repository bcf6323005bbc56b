//! What became of a mapping's records, minute by minute, and what its errors are about: the figures behind a chart.

use std::collections::BTreeMap;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::errors::sync_error::Category;

/// A mapping's last minutes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trend {
    /// The mapping's object name.
    pub mapping: String,
    /// Every minute, the oldest first; the last one still goes on.
    pub minutes: Vec<Minute>,
}

/// What happened in one minute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Minute {
    /// Its beginning.
    pub at: DateTime<Utc>,
    /// Records that Salesforce took.
    pub accepted: i64,
    /// Records that were refused, by Salesforce or by a check before sending.
    pub rejected: i64,
    /// Records whose answer never came.
    pub lost: i64,
    /// Rows that reads changed.
    pub read: i64,
}

impl Minute {
    /// One in which nothing happened.
    pub fn at(at: DateTime<Utc>) -> Minute {
        Minute { at, ..Minute::default() }
    }

    /// Adds what another part of it brought.
    pub fn add(&mut self, other: &Minute) {
        self.accepted += other.accepted;
        self.rejected += other.rejected;
        self.lost += other.lost;
        self.read += other.read;
    }
}

impl Trend {
    /// The `count` minutes up to that of `now`, with nothing in those that are not among `known`.
    pub fn filled(mapping: String, known: Vec<Minute>, now: DateTime<Utc>, count: u32) -> Trend {
        let minute = TimeDelta::minutes(1);
        let newest = now.duration_trunc(minute).unwrap_or(now);
        let mut known: BTreeMap<DateTime<Utc>, Minute> =
            known.into_iter().map(|minute| (minute.at, minute)).collect();
        let ages = (0..i32::try_from(count).unwrap_or(i32::MAX)).rev();
        let at = ages.map(|age| newest - minute * age);
        let minutes = at.map(|at| known.remove(&at).unwrap_or_else(|| Minute::at(at))).collect();
        Trend { mapping, minutes }
    }
}

/// Errors of one category and code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorShare {
    /// Category.
    pub category: Category,
    /// Code.
    pub code: String,
    /// How many.
    pub count: i64,
}

/// What Salesforce said in a span of time, as far as it tells since when a mapping only fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// Whether it took anything.
    pub any_accepted: bool,
    /// The first rejection after the last time that it did.
    pub failing_since: Option<DateTime<Utc>>,
}

impl Answers {
    /// Those of one call.
    pub fn of(accepted: i64, rejected: i64, at: DateTime<Utc>) -> Answers {
        let any_accepted = accepted > 0;
        Answers { any_accepted, failing_since: (rejected > 0 && !any_accepted).then_some(at) }
    }

    /// Joins those of a later span.
    pub fn join(&mut self, later: Answers) {
        self.any_accepted |= later.any_accepted;
        self.failing_since =
            if later.any_accepted { later.failing_since } else { self.failing_since.or(later.failing_since) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn every_minute_is_there_and_the_newest_comes_last() {
        let busy = Minute { accepted: 3, rejected: 1, ..Minute::at(time(-60)) };
        let trend = Trend::filled("Contact".to_owned(), vec![busy.clone()], time(59), 3);
        assert_eq!(trend.minutes, [Minute::at(time(-120)), busy, Minute::at(time(0))]);
        assert_eq!(Trend::filled(String::new(), Vec::new(), time(0), 0).minutes, []);
    }

    #[test]
    fn a_mapping_fails_since_the_first_rejection_after_its_last_acceptance() {
        let joined = |calls: &[(i64, i64)]| {
            let mut whole = Answers::default();
            for (at, (accepted, rejected)) in (0..).zip(calls) {
                whole.join(Answers::of(*accepted, *rejected, time(at)));
            }
            whole.failing_since
        };
        assert_eq!(joined(&[]), None);
        assert_eq!(joined(&[(1, 0), (0, 2), (0, 1)]), Some(time(1)));
        assert_eq!(joined(&[(0, 2), (1, 0)]), None);
        assert_eq!(joined(&[(0, 2), (5, 1)]), None);
        assert_eq!(joined(&[(0, 2), (5, 1), (0, 0), (0, 1)]), Some(time(3)));
    }
}
