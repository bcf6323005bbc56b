//! The journal: every accepted write, so that a test can prove what arrived, how often and in which order. The newest are
//! kept, and how many were forgotten is told.

use std::collections::VecDeque;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};

use super::fields::Fields;

/// One accepted write.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JournalEntry {
    /// Position, from 1.
    pub seq: u64,
    /// When.
    pub at: DateTime<Utc>,
    /// `api`, or `user` for somebody in the org itself.
    pub source: &'static str,
    /// `create`, `update`, `delete` or `undelete`.
    pub op: &'static str,
    /// Object.
    pub object: String,
    /// Record.
    pub id: String,
    /// Its external id.
    pub external_id: Option<String>,
    /// What was written, as stored.
    pub fields: Map<String, Value>,
    /// Number of the request; 0 for users.
    pub request: u64,
    /// How many records that request held.
    pub batch_size: usize,
}

/// The same, as it is kept.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) source: &'static str,
    pub(super) op: &'static str,
    pub(super) object: Box<str>,
    pub(super) id: String,
    pub(super) external_id: Option<String>,
    pub(super) fields: Fields,
    pub(super) request: u64,
    pub(super) batch_size: usize,
    pub(super) at: DateTime<Utc>,
}

impl Kept {
    /// As it is told.
    pub(super) fn told(&self, seq: u64) -> JournalEntry {
        JournalEntry {
            seq,
            at: self.at,
            source: self.source,
            op: self.op,
            object: self.object.to_string(),
            id: self.id.clone(),
            external_id: self.external_id.clone(),
            fields: self.fields.map(),
            request: self.request,
            batch_size: self.batch_size,
        }
    }
}

/// The writes of an org, the oldest first.
#[derive(Debug)]
pub(super) struct Journal {
    kept: VecDeque<Arc<Kept>>,
    /// How many are kept.
    room: usize,
    forgotten: u64,
}

impl Journal {
    pub(super) fn new(room: usize) -> Journal {
        Journal { kept: VecDeque::new(), room, forgotten: 0 }
    }

    pub(super) fn add(&mut self, entry: Kept) {
        self.kept.push_back(Arc::new(entry));
        while self.kept.len() > self.room {
            self.kept.pop_front();
            self.forgotten += 1;
        }
    }

    /// How many there are no more.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// The position of the newest.
    pub(super) fn end(&self) -> u64 {
        self.forgotten + self.kept.len() as u64
    }

    /// Takes back what was written after a position.
    pub(super) fn restore(&mut self, end: u64) {
        let left = usize::try_from(end.saturating_sub(self.forgotten)).unwrap_or(usize::MAX);
        self.kept.truncate(left);
    }

    /// What was written after one position and up to another, each with its own.
    pub(super) fn between(&self, since: u64, end: u64) -> Vec<(u64, Arc<Kept>)> {
        let skipped = usize::try_from(since.saturating_sub(self.forgotten)).unwrap_or(usize::MAX);
        let positions = self.forgotten + 1..;
        let numbered = positions.zip(&self.kept).skip(skipped);
        numbered.take_while(|(seq, _)| *seq <= end).map(|(seq, entry)| (seq, entry.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str) -> Kept {
        Kept {
            source: "api",
            op: "create",
            object: Box::from("Contact"),
            id: id.to_owned(),
            external_id: None,
            fields: Fields::default(),
            request: 1,
            batch_size: 1,
            at: DateTime::UNIX_EPOCH,
        }
    }

    fn told(journal: &Journal, since: u64, end: u64) -> Vec<(u64, String)> {
        journal.between(since, end).into_iter().map(|(seq, entry)| (seq, entry.id.clone())).collect()
    }

    #[test]
    fn the_oldest_make_room_and_positions_stay() {
        let mut journal = Journal::new(3);
        for id in ["a", "b", "c", "d", "e"] {
            journal.add(entry(id));
        }
        assert_eq!((journal.forgotten(), journal.end()), (2, 5));
        let of = |parts: &[(u64, &str)]| {
            parts.iter().map(|(seq, id)| (*seq, (*id).to_owned())).collect::<Vec<_>>()
        };
        assert_eq!(told(&journal, 0, u64::MAX), of(&[(3, "c"), (4, "d"), (5, "e")]));
        assert_eq!(told(&journal, 3, 4), of(&[(4, "d")]));
        journal.restore(4);
        assert_eq!(told(&journal, 3, u64::MAX), of(&[(4, "d")]));
        journal.add(entry("f"));
        assert_eq!(told(&journal, 4, u64::MAX), of(&[(5, "f")]));
    }
}
