//! A job of the Bulk API before 2.0, with its batches.

use axum::body::Bytes;
use chrono::{DateTime, Utc};

use crate::simulator::bulk::operation::Operation;

/// Records of a batch.
const RECORDS_LIMIT: usize = 10_000;

/// The form of data, and of what is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// What is told of it is XML.
    Csv,
    Json,
}

impl Form {
    pub(super) fn word(self) -> &'static str {
        match self {
            Form::Csv => "CSV",
            Form::Json => "JSON",
        }
    }
}

/// What a job does with its batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Deleted records, too, or not.
    Read {
        all: bool,
    },
    Write(Operation),
}

impl Work {
    pub(super) fn of_word(word: &str) -> Option<Work> {
        match word {
            "query" => Some(Work::Read { all: false }),
            "queryAll" => Some(Work::Read { all: true }),
            other => Operation::of_word(other).map(Work::Write),
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Work::Read { all: false } => "query",
            Work::Read { all: true } => "queryAll",
            Work::Write(operation) => operation.word(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClassicState {
    Open,
    Closed,
    Aborted,
}

impl ClassicState {
    pub(super) fn word(self) -> &'static str {
        match self {
            ClassicState::Open => "Open",
            ClassicState::Closed => "Closed",
            ClassicState::Aborted => "Aborted",
        }
    }
}

/// A job with its batches.
#[derive(Debug)]
pub(in crate::simulator::bulk) struct ClassicJob {
    pub(super) id: String,
    pub(super) object: String,
    /// `v61.0`
    pub(super) version: String,
    pub(super) work: Work,
    pub(super) key: Option<String>,
    /// Of the data.
    pub(super) form: Form,
    /// Records of a chunk, where a query is to be read in chunks of its ids.
    pub(super) chunk: Option<usize>,
    pub(super) state: ClassicState,
    pub(super) created: DateTime<Utc>,
    pub(super) modified: DateTime<Utc>,
    pub(super) batches: Vec<Batch>,
}

impl ClassicJob {
    /// Whether nothing is added to it any more.
    pub(super) fn is_closed(&self) -> bool {
        self.state != ClassicState::Open
    }

    pub(super) fn batch(&self, id: &str) -> Option<&Batch> {
        self.batches.iter().find(|batch| batch.id == id)
    }

    /// The bytes that were sent for its batches.
    pub(in crate::simulator::bulk) fn sent(&self) -> usize {
        self.batches.iter().map(|batch| batch.request.len()).sum()
    }

    /// The ids of its batches.
    pub(in crate::simulator::bulk) fn batch_ids(&self) -> impl Iterator<Item = &str> {
        self.batches.iter().map(|batch| batch.id.as_str())
    }
}

/// A batch; what becomes of it is kept with the jobs of Bulk API 2.0.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) id: String,
    /// As it came.
    pub(super) request: Bytes,
    pub(super) created: DateTime<Utc>,
}

/// Why a batch fails that has so many records.
pub(in crate::simulator::bulk) fn too_many(records: usize) -> Option<String> {
    (records > RECORDS_LIMIT).then(|| {
        format!(
            "InvalidBatch : Exceeded number of records: {records}. Number of records should be less than or equal to {RECORDS_LIMIT}"
        )
    })
}
