//! What is kept of each hour, and of each day where it is long ago.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};

use super::histogram::Histogram;
use crate::domain::errors::sync_error::Category;

/// What became of a mapping's records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Changes that Salesforce took.
    pub accepted: i64,
    /// Changes that were refused, by Salesforce or by a check before sending.
    pub rejected: i64,
    /// Changes whose answer never came.
    pub lost: i64,
    /// Rows that reads changed.
    pub read: i64,
    /// Sends that repeat one that failed.
    pub repeated: i64,
    /// Of those, how many Salesforce took.
    pub repeated_accepted: i64,
}

impl Counts {
    /// Adds more.
    pub fn add(&mut self, more: Counts) {
        self.accepted += more.accepted;
        self.rejected += more.rejected;
        self.lost += more.lost;
        self.read += more.read;
        self.repeated += more.repeated;
        self.repeated_accepted += more.repeated_accepted;
    }
}

/// How long things took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// From a change's commit until Salesforce took it.
    pub waited: Histogram,
    /// A request that writes records, until its answer.
    pub requests: Histogram,
    /// A request that reads records, until its answer.
    pub reads: Histogram,
    /// From a record's stamp in Salesforce until its row was written here.
    pub read_lag: Histogram,
    /// The age of the oldest change that waits, looked at once a minute.
    pub oldest: Histogram,
}

/// One hour or day of a mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Its beginning.
    pub at: DateTime<Utc>,
    /// The mapping.
    pub mapping: String,
    /// What became of its records.
    pub counts: Counts,
    /// How long that took.
    pub times: Times,
}

impl Cell {
    /// One in which nothing happened, of the hour of this moment.
    pub fn of(mapping: &str, moment: DateTime<Utc>) -> Cell {
        let at = hour_of(moment);
        Cell { at, mapping: mapping.to_owned(), counts: Counts::default(), times: Times::default() }
    }

    /// Adds what another part of it brought.
    pub fn add(&mut self, other: &Cell) {
        self.counts.add(other.counts);
        self.times.waited.join(&other.times.waited);
        self.times.requests.join(&other.times.requests);
        self.times.reads.join(&other.times.reads);
        self.times.read_lag.join(&other.times.read_lag);
        self.times.oldest.join(&other.times.oldest);
    }
}

/// The beginning of an hour.
pub fn hour_of(moment: DateTime<Utc>) -> DateTime<Utc> {
    moment.duration_trunc(TimeDelta::hours(1)).unwrap_or(moment)
}

/// Errors that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Began {
    /// When, as of a cell.
    pub at: DateTime<Utc>,
    /// The mapping; empty for the connection.
    pub mapping: String,
    /// Category.
    pub category: Category,
    /// Code.
    pub code: String,
    /// How many.
    pub count: i64,
}

/// Errors that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// When, as of a cell.
    pub at: DateTime<Utc>,
    /// The mapping; empty for the connection.
    pub mapping: String,
    /// How.
    pub way: Way,
    /// How many, by how long they were there.
    pub took: Histogram,
}

/// How an error ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// Nobody did anything about it: it was sent again by itself, or the application changed the row.
    Itself,
    /// An operator sent it again as it was, or released it.
    Retry,
    /// An operator changed the row, or chose its record.
    Edit,
    /// An operator did something to several rows at once.
    Bulk,
    /// An operator took Salesforce's values back.
    Revert,
    /// An operator stopped asking about it.
    Ignore,
}

impl Way {
    /// All, in the order in which they are told.
    pub const ALL: [Way; 6] = [Way::Itself, Way::Retry, Way::Edit, Way::Bulk, Way::Revert, Way::Ignore];

    /// In a word, as it is stored and told to scripts.
    pub fn word(self) -> &'static str {
        match self {
            Way::Itself => "itself",
            Way::Retry => "retry",
            Way::Edit => "edit",
            Way::Bulk => "bulk",
            Way::Revert => "revert",
            Way::Ignore => "ignore",
        }
    }

    /// From its word.
    pub fn from_word(word: &str) -> Option<Way> {
        Way::ALL.into_iter().find(|way| way.word() == word)
    }

    /// By the last thing that an operator did about the error before it ended, as the audit names it, and whether that was
    /// done to several rows.
    pub fn of(action: Option<&str>, to_several: bool) -> Way {
        match action {
            None => Way::Itself,
            // What ends without being sent is told apart, however many rows it was.
            Some("ignored" | "gave up") => Way::Ignore,
            Some("reverted" | "read again") => Way::Revert,
            Some(_) if to_several => Way::Bulk,
            Some("retried" | "released" | "sent again") => Way::Retry,
            Some(_) => Way::Edit,
        }
    }
}

/// What is known of a span of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// What became of records, and how long that took.
    pub cells: Vec<Cell>,
    /// Errors that came.
    pub began: Vec<Began>,
    /// Errors that ended.
    pub ended: Vec<Ended>,
}

impl History {
    /// Adds what another part of it brought.
    pub fn join(&mut self, other: History) {
        self.cells.extend(other.cells);
        self.began.extend(other.began);
        self.ended.extend(other.ended);
    }

    /// That of one mapping.
    #[must_use]
    pub fn of_mapping(&self, mapping: &str) -> History {
        let mut part = self.clone();
        part.cells.retain(|cell| cell.mapping == mapping);
        part.began.retain(|began| began.mapping == mapping);
        part.ended.retain(|ended| ended.mapping == mapping);
        part
    }

    /// What lies before a moment, and what comes from it on.
    pub fn split(self, at: DateTime<Utc>) -> (History, History) {
        let (mut before, mut after) = (History::default(), History::default());
        (before.cells, after.cells) = self.cells.into_iter().partition(|cell| cell.at < at);
        (before.began, after.began) = self.began.into_iter().partition(|began| began.at < at);
        (before.ended, after.ended) = self.ended.into_iter().partition(|ended| ended.at < at);
        (before, after)
    }
}
