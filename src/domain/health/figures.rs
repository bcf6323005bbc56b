//! The figures of a span of time, as people and scripts are told them. What each one means stands here and in
//! `docs/health.md`.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::histogram::{EDGES, Histogram};
use super::history::{History, Way};
use crate::domain::errors::sync_error::Category;
use crate::domain::reports::trend::ErrorShare;

/// What happened in a span of time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Changes that Salesforce took.
    pub accepted: i64,
    /// Changes that were refused, each time that they were.
    pub rejected: i64,
    /// Changes whose answer never came.
    pub lost: i64,
    /// Rows that reads changed.
    pub read: i64,
    /// Of the changes that were answered, the share that was refused; none where nothing was answered.
    pub error_rate: Option<f64>,
    /// Errors that came, the most frequent code first.
    pub by_code: Vec<ErrorShare>,
    /// Errors that came.
    pub began: i64,
    /// How long errors were there that ended.
    pub resolution: Spread,
    /// How they ended: every way, in order.
    pub ways: Vec<Ways>,
    /// Sends that repeat one that failed.
    pub repeated: i64,
    /// The share of those that Salesforce took; none where there were none.
    pub repeat_success: Option<f64>,
    /// From a change's commit until Salesforce took it.
    pub waited: Spread,
    /// A request that writes records, until its answer.
    pub requests: Spread,
    /// A request that reads records, until its answer.
    pub reads: Spread,
    /// From a record's stamp in Salesforce until its row was written here.
    pub read_lag: Spread,
    /// The age of the oldest change that waits, looked at once a minute.
    pub oldest: Spread,
}

/// How many errors ended in a way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ways {
    /// The way, as a word.
    pub way: String,
    /// How many.
    pub count: i64,
}

/// How lengths of time are spread.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// How many were measured.
    pub count: i64,
    /// Half of them took no longer than so many seconds.
    pub median: Option<f64>,
    /// Nine of ten took no longer than so many seconds.
    pub p90: Option<f64>,
    /// How many took longer than the bucket before says, and no longer than this one; the empty ones are left out.
    pub buckets: Vec<Bucket>,
}

/// Values between two edges.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    /// The upper edge in seconds; none for what lies beyond the last one.
    pub up_to: Option<f64>,
    /// How many.
    pub count: i64,
}

impl Spread {
    /// That of a histogram.
    pub fn of(histogram: &Histogram) -> Spread {
        let seconds = |share| histogram.quantile(share).map(|time: Duration| time.as_secs_f64());
        let buckets = histogram.counts().iter().enumerate().filter(|(_, count)| **count > 0);
        let buckets = buckets.map(|(bucket, count)| Bucket {
            up_to: EDGES.get(bucket).map(|edge| *edge as f64 / 1_000.0),
            count: *count,
        });
        Spread {
            count: histogram.total(),
            median: seconds(0.5),
            p90: seconds(0.9),
            buckets: buckets.collect(),
        }
    }
}

/// A share of a whole; none of nothing.
fn share(part: i64, whole: i64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

impl Figures {
    /// Those of everything that a history has.
    pub fn of(history: &History) -> Figures {
        let mut figures = Figures::default();
        let (mut waited, mut requests, mut reads) = <(Histogram, Histogram, Histogram)>::default();
        let (mut read_lag, mut oldest) = (Histogram::default(), Histogram::default());
        for cell in &history.cells {
            figures.accepted += cell.counts.accepted;
            figures.rejected += cell.counts.rejected;
            figures.lost += cell.counts.lost;
            figures.read += cell.counts.read;
            figures.repeated += cell.counts.repeated;
            waited.join(&cell.times.waited);
            requests.join(&cell.times.requests);
            reads.join(&cell.times.reads);
            read_lag.join(&cell.times.read_lag);
            oldest.join(&cell.times.oldest);
        }
        figures.waited = Spread::of(&waited);
        figures.requests = Spread::of(&requests);
        figures.reads = Spread::of(&reads);
        figures.read_lag = Spread::of(&read_lag);
        figures.oldest = Spread::of(&oldest);
        figures.error_rate = share(figures.rejected, figures.accepted + figures.rejected);
        figures.by_code = by_code(history);
        figures.began = figures.by_code.iter().map(|share| share.count).sum();
        let mut took = Histogram::default();
        history.ended.iter().for_each(|ended| took.join(&ended.took));
        figures.resolution = Spread::of(&took);
        figures.ways = ways(history);
        let taken = history.cells.iter().map(|cell| cell.counts.repeated_accepted).sum();
        figures.repeat_success = share(taken, figures.repeated);
        figures
    }

    /// Errors that ended.
    pub fn ended(&self) -> i64 {
        self.resolution.count
    }

    /// Errors that came, by category; those without any are left out.
    pub fn by_category(&self) -> BTreeMap<Category, i64> {
        let mut categories = BTreeMap::new();
        for share in &self.by_code {
            *categories.entry(share.category).or_default() += share.count;
        }
        categories
    }
}

fn by_code(history: &History) -> Vec<ErrorShare> {
    let mut codes: BTreeMap<(Category, &str), i64> = BTreeMap::new();
    for began in &history.began {
        *codes.entry((began.category, &began.code)).or_default() += began.count;
    }
    let share = |((category, code), count): ((Category, &str), i64)| ErrorShare {
        category,
        code: code.to_owned(),
        count,
    };
    let mut shares: Vec<ErrorShare> = codes.into_iter().map(share).collect();
    shares.sort_by_key(|share| -share.count);
    shares
}

fn ways(history: &History) -> Vec<Ways> {
    let count =
        |way: Way| history.ended.iter().filter(move |ended| ended.way == way).map(|ended| ended.took.total());
    Way::ALL.map(|way| Ways { way: way.word().to_owned(), count: count(way).sum() }).into()
}

/// How finely a span of time is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpanStep {
    /// By hour.
    Hour,
    /// By day, as UTC has them.
    Day,
}

impl SpanStep {
    /// The one that fits a span: hours up to two days.
    pub fn fitting(span: TimeDelta) -> SpanStep {
        if span <= TimeDelta::days(2) { SpanStep::Hour } else { SpanStep::Day }
    }

    fn length(self) -> TimeDelta {
        match self {
            SpanStep::Hour => TimeDelta::hours(1),
            SpanStep::Day => TimeDelta::days(1),
        }
    }

    fn begin(self, moment: DateTime<Utc>) -> DateTime<Utc> {
        moment.duration_trunc(self.length()).unwrap_or(moment)
    }
}

/// One hour or day of a chart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Its beginning.
    pub at: DateTime<Utc>,
    /// Changes that Salesforce took.
    pub accepted: i64,
    /// Changes that were refused.
    pub rejected: i64,
    /// Changes whose answer never came.
    pub lost: i64,
    /// Rows that reads changed.
    pub read: i64,
    /// See [`Figures::error_rate`].
    pub error_rate: Option<f64>,
    /// Errors that came.
    pub began: i64,
    /// Errors that ended.
    pub ended: i64,
}

/// Every hour or day from `from` to `to`, the oldest first, those in which nothing happened included.
pub fn series(history: &History, from: DateTime<Utc>, to: DateTime<Utc>, step: SpanStep) -> Vec<Point> {
    let mut points = BTreeMap::new();
    let mut at = step.begin(from);
    while at < to {
        points.insert(at, Point { at, ..Point::default() });
        at += step.length();
    }
    for cell in &history.cells {
        if let Some(point) = points.get_mut(&step.begin(cell.at)) {
            point.accepted += cell.counts.accepted;
            point.rejected += cell.counts.rejected;
            point.lost += cell.counts.lost;
            point.read += cell.counts.read;
        }
    }
    for began in &history.began {
        if let Some(point) = points.get_mut(&step.begin(began.at)) {
            point.began += began.count;
        }
    }
    for ended in &history.ended {
        if let Some(point) = points.get_mut(&step.begin(ended.at)) {
            point.ended += ended.took.total();
        }
    }
    let rated =
        |point: Point| Point { error_rate: share(point.rejected, point.accepted + point.rejected), ..point };
    points.into_values().map(rated).collect()
}
