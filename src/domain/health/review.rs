//! Two spans of time side by side: what got better and what got worse, and what errors have in common.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, TimeDelta, Timelike, Utc};
use serde::{Deserialize, Serialize};

use super::figures::{Figures, Point, SpanStep, series};
use super::history::History;
use crate::domain::errors::sync_error::Category;

/// With fewer than this many there is no pattern, and no share worth comparing.
const FEW: i64 = 20;
/// A figure that changed by less than this part of itself stayed the same.
const SAME: f64 = 0.2;

/// How well the sync went in a span of time, beside the span of the same length before it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// From when.
    pub from: DateTime<Utc>,
    /// Up to when.
    pub to: DateTime<Utc>,
    /// The mapping that all of it is about, where it is about one.
    pub mapping: Option<String>,
    /// The figures.
    pub figures: Figures,
    /// Those of the span before.
    pub before: Figures,
    /// Whether `series` is by hour or by day.
    pub step: Option<SpanStep>,
    /// Hour by hour, or day by day.
    pub series: Vec<Point>,
    /// Each mapping.
    pub mappings: Vec<MappingHealth>,
    /// The causes of most errors that came, as far as errors are still kept.
    pub causes: Vec<CauseReview>,
    /// What the errors that came have in common.
    pub patterns: Vec<PatternReview>,
    /// What changed since the span before.
    pub changes: Vec<FigureChange>,
    /// How things stand now.
    pub now: Now,
    /// How much of it is kept.
    pub kept: HistorySize,
}

/// One mapping.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MappingHealth {
    /// Its object.
    pub name: String,
    /// Its figures.
    pub figures: Figures,
    /// Hour by hour, or day by day.
    pub series: Vec<Point>,
    /// How it stands now.
    pub now: Now,
}

/// How things stand.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Now {
    /// Errors that need a person or a retry.
    pub errors: i64,
    /// Rows that wait to be sent.
    pub pending: i64,
    /// Seconds since the oldest change that waits; none where nothing waits.
    pub lag_to_salesforce: Option<f64>,
    /// Seconds by which reads are late; none while it is not known.
    pub lag_from_salesforce: Option<f64>,
}

/// How much is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistorySize {
    /// From when on.
    pub since: Option<DateTime<Utc>>,
    /// What that takes in the database.
    pub bytes: i64,
}

/// Errors of one cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CauseReview {
    /// The mapping; empty for the connection.
    pub mapping: String,
    /// Code.
    pub code: String,
    /// Category.
    pub category: Category,
    /// Fields at fault.
    pub fields: Vec<String>,
    /// The message without what differs from row to row.
    pub template: String,
    /// How many came.
    pub count: i64,
    /// How many came in the span before.
    pub before: i64,
    /// How many are open.
    pub open: i64,
}

/// What many of the errors that came have in common.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PatternReview {
    /// They came at the same hours of the day.
    Hours {
        /// From this hour on, as UTC has it.
        from: u32,
        /// Up to this one.
        to: u32,
        /// Their share of all.
        share: f64,
    },
    /// They came on the same day of the week.
    Weekday {
        /// Which, from Monday (0) on.
        day: u32,
        /// Their share of all.
        share: f64,
    },
    /// They are of one mapping.
    Mapping {
        /// Which.
        name: String,
        /// Their share of all.
        share: f64,
    },
    /// They are of one code.
    Code {
        /// Which.
        code: String,
        /// Their share of all.
        share: f64,
    },
}

/// What is compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum ReviewSubject {
    /// The share of changes that fail.
    ErrorRate,
    /// The errors that came.
    Errors,
    /// Errors of a code that came.
    Code {
        /// The code.
        code: String,
    },
    /// The share of changes of a mapping that fail.
    MappingErrorRate {
        /// The mapping.
        mapping: String,
    },
    /// Half of the errors ended within this.
    Resolution,
    /// The share of repeated sends that were taken.
    RepeatSuccess,
    /// Nine of ten changes were taken within this.
    Waited,
    /// Nine of ten requests were answered within this.
    Requests,
}

/// What got better or worse.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FigureChange {
    /// What.
    #[serde(flatten)]
    pub subject: ReviewSubject,
    /// As it was: a share, a number or seconds.
    pub before: f64,
    /// As it is.
    pub now: f64,
    /// Whether that is better.
    pub better: bool,
}

impl FigureChange {
    /// What changed by so much that it is worth telling. `more_is_better` says which way is good.
    fn of(subject: ReviewSubject, before: f64, now: f64, more_is_better: bool) -> Option<FigureChange> {
        let greatest = before.max(now);
        if greatest <= 0.0 || (now - before).abs() < greatest * SAME {
            return None;
        }
        Some(FigureChange { subject, before, now, better: (now > before) == more_is_better })
    }

    /// By how much of the greater one it changed.
    fn weight(&self) -> f64 {
        (self.now - self.before).abs() / self.before.max(self.now)
    }
}

/// A share of answers that are enough to tell one.
fn rate(figures: &Figures) -> Option<f64> {
    figures.error_rate.filter(|_| figures.accepted + figures.rejected >= FEW)
}

/// What got better and what got worse, what changed most first; only what both spans tell is compared.
fn changes(now: &History, before: &History, mappings: &[String]) -> Vec<FigureChange> {
    let (of_now, of_before) = (Figures::of(now), Figures::of(before));
    let mut changes = Vec::new();
    let mut compare = |subject, before: Option<f64>, now: Option<f64>, more_is_better| {
        if let (Some(before), Some(now)) = (before, now) {
            changes.extend(FigureChange::of(subject, before, now, more_is_better));
        }
    };
    compare(ReviewSubject::ErrorRate, rate(&of_before), rate(&of_now), false);
    for mapping in mappings {
        let of = |history: &History| rate(&Figures::of(&history.of_mapping(mapping)));
        let subject = ReviewSubject::MappingErrorRate { mapping: mapping.clone() };
        compare(subject, of(before), of(now), false);
    }
    let known = |figures: &Figures| figures.accepted + figures.rejected + figures.began > 0;
    if known(&of_before) {
        let enough = |one: i64, other: i64| one.max(other) >= FEW;
        if enough(of_before.began, of_now.began) {
            compare(ReviewSubject::Errors, Some(of_before.began as f64), Some(of_now.began as f64), false);
        }
        let mut codes: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
        of_before.by_code.iter().for_each(|share| codes.entry(&share.code).or_default().0 += share.count);
        of_now.by_code.iter().for_each(|share| codes.entry(&share.code).or_default().1 += share.count);
        for (code, (before, now)) in codes.into_iter().filter(|(_, (one, other))| enough(*one, *other)) {
            let subject = ReviewSubject::Code { code: code.to_owned() };
            compare(subject, Some(before as f64), Some(now as f64), false);
        }
    }
    compare(ReviewSubject::Resolution, of_before.resolution.median, of_now.resolution.median, false);
    compare(ReviewSubject::RepeatSuccess, of_before.repeat_success, of_now.repeat_success, true);
    compare(ReviewSubject::Waited, of_before.waited.p90, of_now.waited.p90, false);
    compare(ReviewSubject::Requests, of_before.requests.p90, of_now.requests.p90, false);
    changes.sort_by(|one, other| other.weight().total_cmp(&one.weight()));
    changes
}

/// What the errors that came have in common; nothing where they are few.
fn patterns(history: &History, span: TimeDelta) -> Vec<PatternReview> {
    let total: i64 = history.began.iter().map(|began| began.count).sum();
    if total < FEW {
        return Vec::new();
    }
    let (mut hours, mut days) = ([0_i64; 24], [0_i64; 7]);
    let mut mappings: BTreeMap<&str, i64> = BTreeMap::new();
    let mut codes: BTreeMap<&str, i64> = BTreeMap::new();
    for began in &history.began {
        hours[began.at.hour() as usize % 24] += began.count;
        days[began.at.weekday().num_days_from_monday() as usize % 7] += began.count;
        *mappings.entry(&began.mapping).or_default() += began.count;
        *codes.entry(&began.code).or_default() += began.count;
    }
    let share = |count: i64| count as f64 / total as f64;
    let mut patterns = Vec::new();
    let three = |from: usize| (0..3).map(|more| hours[(from + more) % 24]).sum::<i64>();
    // Three hours have an eighth of what comes at any time. A single day has no times of the day.
    if span >= TimeDelta::days(2)
        && let Some(from) = (0..24).max_by_key(|from| (three(*from), std::cmp::Reverse(*from)))
        && share(three(from)) >= 0.375
    {
        let from_hour = from as u32;
        patterns.push(PatternReview::Hours {
            from: from_hour,
            to: (from_hour + 3) % 24,
            share: share(three(from)),
        });
    }
    if span >= TimeDelta::days(7)
        && let Some((day, count)) =
            (0..).zip(days).max_by_key(|(day, count)| (*count, std::cmp::Reverse(*day)))
        && share(count) >= 0.4
    {
        patterns.push(PatternReview::Weekday { day, share: share(count) });
    }
    let most = |counts: &BTreeMap<&str, i64>| {
        let most = counts.iter().max_by_key(|(_, count)| **count);
        most.map(|(name, count)| ((*name).to_owned(), share(*count)))
    };
    if let Some((name, share)) = most(&mappings).filter(|(name, share)| !name.is_empty() && *share >= 0.6) {
        patterns.push(PatternReview::Mapping { name, share });
    }
    if let Some((code, share)) = most(&codes).filter(|(_, share)| *share >= 0.5) {
        patterns.push(PatternReview::Code { code, share });
    }
    patterns
}

/// All that a history tells of the span from `from` to `to`, beside what lies before it. `mappings` are those there are,
/// each as it stands now.
pub fn review(
    history: History,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    mappings: Vec<(String, Now)>,
) -> Health {
    let (before, now) = history.split(from);
    let step = SpanStep::fitting(to - from);
    let names: Vec<String> = mappings.iter().map(|(name, _)| name.clone()).collect();
    let of_mapping = |(name, standing): (String, Now)| {
        let part = now.of_mapping(&name);
        let series = series(&part, from, to, step);
        MappingHealth { figures: Figures::of(&part), series, now: standing, name }
    };
    let all = mappings.iter().map(|(_, standing)| standing);
    let latest = |of: fn(&Now) -> Option<f64>| all.clone().filter_map(of).reduce(f64::max);
    Health {
        from,
        to,
        mapping: None,
        figures: Figures::of(&now),
        before: Figures::of(&before),
        step: Some(step),
        series: series(&now, from, to, step),
        causes: Vec::new(),
        patterns: patterns(&now, to - from),
        changes: changes(&now, &before, &names),
        now: Now {
            errors: all.clone().map(|standing| standing.errors).sum(),
            pending: all.clone().map(|standing| standing.pending).sum(),
            lag_to_salesforce: latest(|standing| standing.lag_to_salesforce),
            lag_from_salesforce: latest(|standing| standing.lag_from_salesforce),
        },
        mappings: mappings.into_iter().map(of_mapping).collect(),
        kept: HistorySize::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::health::histogram::Histogram;
    use crate::domain::health::history::{Began, Cell, Counts, Ended, Way};

    fn at(day: i64, hour: i64) -> DateTime<Utc> {
        // A Monday.
        DateTime::from_timestamp(1_772_409_600, 0).unwrap() + TimeDelta::days(day) + TimeDelta::hours(hour)
    }

    fn cell(at: DateTime<Utc>, mapping: &str, accepted: i64, rejected: i64) -> Cell {
        Cell { counts: Counts { accepted, rejected, ..Counts::default() }, ..Cell::of(mapping, at) }
    }

    fn began(at: DateTime<Utc>, code: &str, count: i64) -> Began {
        Began { at, mapping: "Contact".to_owned(), category: Category::Data, code: code.to_owned(), count }
    }

    fn reviewed(history: History) -> Health {
        review(history, at(0, 0), at(7, 0), vec![("Contact".to_owned(), Now::default())])
    }

    #[test]
    fn a_span_without_anything_has_every_day_and_no_figure() {
        let health = reviewed(History::default());
        assert_eq!(health.series.len(), 7);
        assert_eq!((health.figures.error_rate, health.figures.resolution.median), (None, None));
        assert_eq!((health.patterns.len(), health.changes.len(), health.step), (0, 0, Some(SpanStep::Day)));
    }

    #[test]
    fn what_changed_by_a_fifth_is_told_and_what_changed_most_comes_first() {
        let cells = vec![cell(at(-2, 0), "Contact", 90, 10), cell(at(1, 0), "Contact", 60, 40)];
        let came = vec![began(at(-2, 0), "OLD", 100), began(at(1, 0), "OLD", 90), began(at(1, 0), "NEW", 30)];
        let health = reviewed(History { cells, began: came, ..History::default() });
        let told: Vec<(&ReviewSubject, f64, f64, bool)> =
            health.changes.iter().map(|one| (&one.subject, one.before, one.now, one.better)).collect();
        let new = ReviewSubject::Code { code: "NEW".to_owned() };
        let of_contact = ReviewSubject::MappingErrorRate { mapping: "Contact".to_owned() };
        assert_eq!(
            told,
            [
                (&new, 0.0, 30.0, false),
                (&ReviewSubject::ErrorRate, 0.1, 0.4, false),
                (&of_contact, 0.1, 0.4, false)
            ]
        );
        assert_eq!(health.figures.error_rate, Some(0.4));
    }

    #[test]
    fn errors_that_end_faster_are_better_and_where_nothing_is_known_nothing_is_compared() {
        let ended = |at, seconds| {
            let mut took = Histogram::default();
            took.add(std::time::Duration::from_secs(seconds), 3);
            Ended { at, mapping: "Contact".to_owned(), way: Way::Retry, took }
        };
        let history =
            History { ended: vec![ended(at(-1, 0), 3_600), ended(at(1, 0), 60)], ..History::default() };
        let health = reviewed(history);
        assert!(health.changes[0].better && health.changes[0].subject == ReviewSubject::Resolution);
        assert_eq!(health.changes.len(), 1);
        assert_eq!(health.figures.ways[1].count, 3);
        let alone = History {
            ended: vec![ended(at(1, 0), 60)],
            began: vec![began(at(1, 0), "NEW", 90)],
            ..History::default()
        };
        assert_eq!(reviewed(alone).changes, []);
    }

    #[test]
    fn errors_of_the_same_hours_day_and_code_are_a_pattern_once_they_are_many() {
        let nights = |count| (0..7).map(|day| began(at(day, 23), "ROW_LOCK", count)).collect::<Vec<_>>();
        let mut came = nights(5);
        came.push(began(at(2, 12), "INVALID", 10));
        let history = |began| History { began, ..History::default() };
        let share = 35.0 / 45.0;
        assert_eq!(
            reviewed(history(came)).patterns,
            [
                PatternReview::Hours { from: 21, to: 0, share },
                PatternReview::Mapping { name: "Contact".to_owned(), share: 1.0 },
                PatternReview::Code { code: "ROW_LOCK".to_owned(), share },
            ]
        );
        assert_eq!(reviewed(history(nights(2))).patterns, []);
        let tuesday = vec![began(at(1, 1), "A", 10), began(at(1, 9), "B", 10), began(at(4, 16), "C", 9)];
        let days: Vec<PatternReview> = reviewed(history(tuesday)).patterns;
        assert!(days.contains(&PatternReview::Weekday { day: 1, share: 20.0 / 29.0 }), "{days:?}");
    }
}
