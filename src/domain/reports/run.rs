//! Runs: what each load, poll and spell of sending of a mapping did, and what went wrong.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunKind {
    /// The first load.
    Load,
    /// One look for what changed. Those that find nothing are not kept.
    Poll,
    /// Sending, until nothing was to be sent for a while, an hour at most.
    Send,
}

impl RunKind {
    /// The word in the database and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            RunKind::Load => "load",
            RunKind::Poll => "poll",
            RunKind::Send => "send",
        }
    }

    /// From its word.
    pub fn from_word(word: &str) -> Option<RunKind> {
        [RunKind::Load, RunKind::Poll, RunKind::Send].into_iter().find(|kind| kind.word() == word)
    }
}

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its number; 0 for one that is not kept yet.
    pub id: i64,
    /// The mapping's object name.
    pub mapping: String,
    /// Kind.
    pub kind: RunKind,
    /// When it began.
    pub began_at: DateTime<Utc>,
    /// When it did something last.
    pub ended_at: DateTime<Utc>,
    /// Records read, or sent.
    pub records: i64,
    /// Rows changed, or records that Salesforce took.
    pub changed: i64,
    /// Records that failed, or tries of a run that failed whole.
    pub failed: i64,
    /// How often each code was met.
    pub codes: BTreeMap<String, i64>,
    /// Why it failed whole, if it did.
    pub failure: Option<String>,
}

impl Run {
    /// One that begins now and did nothing yet.
    pub fn begin(mapping: &str, kind: RunKind) -> Run {
        let now = Utc::now();
        Run {
            id: 0,
            mapping: mapping.to_owned(),
            kind,
            began_at: now,
            ended_at: now,
            records: 0,
            changed: 0,
            failed: 0,
            codes: BTreeMap::new(),
            failure: None,
        }
    }

    /// Joins what a later part of the same run did.
    pub fn join(&mut self, later: &Run) {
        self.ended_at = self.ended_at.max(later.ended_at);
        self.records += later.records;
        self.changed += later.changed;
        self.failed += later.failed;
        for (code, count) in &later.codes {
            *self.codes.entry(code.clone()).or_default() += count;
        }
    }
}
