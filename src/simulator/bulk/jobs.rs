//! The jobs that there are, and how an org tells of them.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use axum::body::Bytes;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::classic::job::ClassicJob;
use super::operation::Operation;
use super::sheet::{Dialect, Sheet};
use crate::simulator::ids::make_id;
use crate::simulator::records::datetime;
use crate::simulator::rejection::Rejection;
use crate::simulator::soql::Rows;
use crate::simulator::users::User;

/// The life of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JobState {
    Open,
    UploadComplete,
    InProgress,
    JobComplete,
    Failed,
    Aborted,
}

impl JobState {
    pub(super) fn word(self) -> &'static str {
        match self {
            JobState::Open => "Open",
            JobState::UploadComplete => "UploadComplete",
            JobState::InProgress => "InProgress",
            JobState::JobComplete => "JobComplete",
            JobState::Failed => "Failed",
            JobState::Aborted => "Aborted",
        }
    }

    /// Whether nothing happens to it any more.
    pub(super) fn is_over(self) -> bool {
        matches!(self, JobState::JobComplete | JobState::Failed | JobState::Aborted)
    }
}

/// What every job has.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) id: String,
    pub(super) object: String,
    /// `v62.0`: results are only told to those who ask in the same version.
    pub(super) version: String,
    pub(super) dialect: Dialect,
    pub(super) state: JobState,
    created: DateTime<Utc>,
    modified: DateTime<Utc>,
}

impl Head {
    pub(super) fn new(id: String, object: String, version: &str, dialect: Dialect, state: JobState) -> Head {
        let now = Utc::now();
        Head { id, object, version: version.to_owned(), dialect, state, created: now, modified: now }
    }

    pub(super) fn enter(&mut self, state: JobState) {
        self.state = state;
        self.modified = Utc::now();
    }

    pub(super) fn modified(&self) -> DateTime<Utc> {
        self.modified
    }

    fn told(&self, operation: &str) -> Value {
        let version: f64 = self.version.trim_start_matches('v').parse().unwrap_or_default();
        json!({"id": self.id, "operation": operation, "object": self.object, "createdById": User::Integration.id(),
            "createdDate": datetime(self.created), "systemModstamp": datetime(self.modified), "state": self.state.word(),
            "concurrencyMode": "Parallel", "contentType": "CSV", "apiVersion": version})
    }

    fn told_dialect(&self, told: &mut Value) {
        told["lineEnding"] = json!(self.dialect.line_ending());
        told["columnDelimiter"] = json!(self.dialect.delimiter());
    }

    fn told_times(&self, told: &mut Value) {
        told["retries"] = json!(0);
        told["totalProcessingTime"] = json!((self.modified - self.created).num_milliseconds());
    }
}

/// What became of a row.
#[derive(Clone, Debug)]
pub(super) struct Done {
    pub(super) row: usize,
    /// Of the record, where it is known.
    pub(super) id: String,
    /// Whether it was created, or why it was refused.
    pub(super) outcome: Result<bool, Vec<Rejection>>,
}

/// A job that writes records.
#[derive(Debug)]
pub(in crate::simulator) struct Ingest {
    pub(super) head: Head,
    pub(super) operation: Operation,
    /// The field of an upsert.
    pub(super) key: Option<String>,
    /// Until it is read; an upload that cannot be read stays.
    pub(super) upload: Option<Bytes>,
    /// Bytes of the upload.
    pub(super) size: usize,
    pub(super) sheet: Option<Arc<Sheet>>,
    /// In the order in which it was done, which is not the upload's.
    pub(super) done: Arc<Vec<Done>>,
    /// How many of them were refused.
    pub(super) failed: usize,
    /// Why the job as a whole failed.
    pub(super) error: Option<String>,
}

impl Ingest {
    /// Whether it can still be filled or closed.
    pub(in crate::simulator) fn is_open(&self) -> bool {
        self.head.state == JobState::Open
    }

    /// Whether it is a batch of the Bulk API before 2.0.
    pub(in crate::simulator) fn is_batch(&self) -> bool {
        is_batch(&self.head.id)
    }

    /// As the job tells itself when it is made.
    pub(super) fn told(&self) -> Value {
        let mut told = self.told_short();
        let head = &self.head;
        told["contentUrl"] = json!(format!("services/data/{}/jobs/ingest/{}/batches", head.version, head.id));
        head.told_dialect(&mut told);
        told
    }

    /// When its state is changed.
    pub(super) fn told_short(&self) -> Value {
        let mut told = self.head.told(self.operation.word());
        if let Some(key) = &self.key {
            told["externalIdFieldName"] = json!(key);
        }
        told
    }

    /// When it is asked for.
    pub(super) fn told_whole(&self) -> Value {
        let mut told = self.told();
        told["jobType"] = json!("V2Ingest");
        self.head.told_times(&mut told);
        told["apiActiveProcessingTime"] = told["totalProcessingTime"].clone();
        told["apexProcessingTime"] = json!(0);
        told["numberRecordsProcessed"] = json!(self.done.len());
        told["numberRecordsFailed"] = json!(self.failed);
        if let Some(error) = &self.error {
            told["errorMessage"] = json!(error);
        }
        told
    }
}

/// A job that reads records.
#[derive(Debug)]
pub(in crate::simulator) struct Query {
    pub(super) head: Head,
    pub(super) soql: String,
    /// Deleted records, too.
    pub(super) all: bool,
    /// Whether a big table is read in chunks of its ids.
    pub(super) in_chunks: bool,
    /// The numbers of the first and the last record of the chunk that it reads, where it reads one.
    pub(super) part: Option<(u64, u64)>,
    /// Why it failed.
    pub(super) error: Option<String>,
    /// What it found, when it is complete.
    pub(super) rows: Option<Arc<Rows>>,
}

impl Query {
    pub(super) fn told(&self) -> Value {
        let mut told = self.head.told(if self.all { "queryAll" } else { "query" });
        self.head.told_dialect(&mut told);
        told
    }

    /// About the bytes that it holds.
    fn held(&self) -> usize {
        self.rows.as_ref().map_or(0, |rows| rows.len()) * RECORD
    }

    pub(super) fn told_whole(&self) -> Value {
        let mut told = self.told();
        told["jobType"] = json!("V2Query");
        self.head.told_times(&mut told);
        told["numberRecordsProcessed"] = json!(self.rows.as_ref().map_or(0, |rows| rows.len()));
        told["isPkChunkingSupported"] = json!(self.in_chunks);
        told
    }
}

/// How many jobs of a kind are kept that are over, and how many of them whatever they hold.
const KEPT: usize = 200;
const KEPT_ALWAYS: usize = 25;
/// The bytes that they may hold together, of a kind.
const HELD: usize = 512 * 1024 * 1024;
/// What the ids of batches begin with.
const BATCH: &str = "751";
/// About what a record takes that a query found.
pub(super) const RECORD: usize = 256;

/// All jobs, and what they used up today.
#[derive(Debug, Default)]
pub(in crate::simulator) struct Jobs {
    pub(in crate::simulator) ingest: BTreeMap<String, Ingest>,
    pub(super) query: BTreeMap<String, Query>,
    /// Jobs of the Bulk API before 2.0; each of their batches stands among the jobs above.
    pub(super) classic: BTreeMap<String, ClassicJob>,
    made: u64,
    pub(in crate::simulator) batches: u64,
    pub(in crate::simulator) queries: u64,
    /// About what the results of queries took.
    pub(in crate::simulator) result_bytes: u64,
}

impl Jobs {
    /// Forgets the oldest jobs that are over, as an org does after some days, where too many are held.
    pub(super) fn make_room(&mut self) {
        let Jobs { ingest, query, classic, .. } = self;
        let is_over = |id: &str| {
            let head = ingest.get(id).map(|job| &job.head).or_else(|| query.get(id).map(|job| &job.head));
            head.is_none_or(|head| head.state.is_over())
        };
        // Clients forget to close their jobs: one that is open and has nothing to do is as good as over.
        forget(classic, |job| job.batch_ids().all(is_over).then(|| held(job, ingest, query)));
        let batches: HashSet<&str> = classic.values().flat_map(ClassicJob::batch_ids).collect();
        ingest.retain(|id, _| !is_batch(id) || batches.contains(id.as_str()));
        query.retain(|id, _| !is_batch(id) || batches.contains(id.as_str()));
        let over = |head: &Head, size| (head.state.is_over() && !is_batch(&head.id)).then_some(size);
        forget(ingest, |ingest| over(&ingest.head, ingest.size));
        forget(query, |query| over(&query.head, query.held()));
    }

    /// Whether a job with batches holds so much that it is given no more.
    pub(super) fn is_full(&self, job: &ClassicJob) -> bool {
        held(job, &self.ingest, &self.query) >= HELD
    }

    pub(super) fn next_id(&mut self) -> String {
        self.made += 1;
        make_id("750", self.made)
    }

    pub(super) fn next_batch_id(&mut self) -> String {
        self.made += 1;
        make_id(BATCH, self.made)
    }
}

/// Whether an id is that of a batch of the Bulk API before 2.0.
pub(super) fn is_batch(id: &str) -> bool {
    id.starts_with(BATCH)
}

/// The bytes that a job with batches holds: what was sent, and what was found.
fn held(job: &ClassicJob, ingest: &BTreeMap<String, Ingest>, query: &BTreeMap<String, Query>) -> usize {
    let batch = |id: &str| {
        let sent = ingest.get(id).map_or(0, |job| job.size);
        sent + query.get(id).map_or(0, Query::held)
    };
    job.sent() + job.batch_ids().map(batch).sum::<usize>()
}

/// Forgets the oldest of the jobs that are over; `size` is what such a job holds.
fn forget<J>(jobs: &mut BTreeMap<String, J>, size: impl Fn(&J) -> Option<usize>) {
    let (mut count, mut held) = (0, 0);
    // Ids count up: the newest come first.
    let over = jobs.iter().rev().filter_map(|(id, job)| Some((id, size(job)?)));
    let old = over.filter(|(_, size)| {
        (count, held) = (count + 1, held + size);
        count > KEPT || (count > KEPT_ALWAYS && held > HELD)
    });
    let old: Vec<String> = old.map(|(id, _)| id.clone()).collect();
    for id in old {
        jobs.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(over: impl IntoIterator<Item = Option<usize>>) -> Vec<String> {
        let mut jobs: BTreeMap<String, Option<usize>> =
            over.into_iter().enumerate().map(|(at, size)| (format!("{at:03}"), size)).collect();
        forget(&mut jobs, |size| *size);
        jobs.into_keys().collect()
    }

    #[test]
    fn the_oldest_jobs_that_are_over_are_forgotten() {
        let open = [None, None];
        let many = left(open.into_iter().chain([Some(1); KEPT + 3]));
        assert_eq!((many.len(), &many[1], &many[2]), (KEPT + 2, &"001".to_owned(), &"005".to_owned()));
        let large = left(open.into_iter().chain([Some(HELD / 30); 40]));
        assert_eq!((large.len(), &large[2]), (2 + 30, &"012".to_owned()));
        assert_eq!(left([Some(HELD); KEPT_ALWAYS + 1]).len(), KEPT_ALWAYS);
    }
}
