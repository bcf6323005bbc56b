//! The last hour of groups of errors: when those came that are still there.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

/// Parts of the hour.
pub const PARTS: usize = 12;
/// How long one is.
const PART: TimeDelta = TimeDelta::minutes(5);

/// How many errors of each group came in each part of the last hour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupHours {
    /// By the group's name, the oldest part first.
    pub by_group: BTreeMap<String, [i64; PARTS]>,
    /// So many of the newest errors were looked at, where there were more.
    pub of_newest: Option<i64>,
}

impl GroupHours {
    /// When the hour began.
    pub fn begin(now: DateTime<Utc>) -> DateTime<Utc> {
        now - PART * i32::try_from(PARTS).unwrap_or(i32::MAX)
    }

    /// Counts errors of a group in a part of the hour; what is before it is none of it.
    pub fn add(&mut self, group: &str, part: i32, count: i64) {
        let Ok(part) = usize::try_from(part) else { return };
        let parts = self.by_group.entry(group.to_owned()).or_default();
        parts[part.min(PARTS - 1)] += count;
    }

    /// The part of the hour in which something came; a negative one is before it.
    pub fn part_of(came: DateTime<Utc>, now: DateTime<Utc>) -> i32 {
        let since = (came - GroupHours::begin(now)).num_seconds();
        i32::try_from(since.div_euclid(PART.num_seconds())).unwrap_or(i32::MAX)
    }

    /// Those of a group.
    pub fn of(&self, group: &str) -> [i64; PARTS] {
        self.by_group.get(group).copied().unwrap_or_default()
    }

    /// The most that came of any group in one part.
    pub fn highest(&self) -> i64 {
        self.by_group.values().flatten().copied().max().unwrap_or(0)
    }
}

/// Of how many errors of a group the first remedy that passes mends the row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RemedyFit {
    /// Of so many.
    pub passing: usize,
    /// So many were looked at.
    pub looked: usize,
    /// Whether there are more that were not.
    pub more: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_has_twelve_parts_and_what_came_before_it_is_not_counted() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::hours(5);
        let part = |minutes| GroupHours::part_of(now - TimeDelta::minutes(minutes), now);
        assert_eq!([part(0), part(4), part(5), part(60), part(61)], [12, 11, 11, 0, -1]);
        let mut hours = GroupHours::default();
        for minutes in [0, 1, 60, 61] {
            hours.add("a", part(minutes), 1);
        }
        assert_eq!(hours.of("a"), [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
        assert_eq!((hours.of("b"), hours.highest()), ([0; PARTS], 2));
    }
}
