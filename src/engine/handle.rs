//! The one door through which console and command line meet the engine, wherever it runs.

use tokio::sync::broadcast;

use crate::domain::names::RowRef;
use crate::domain::overview::Overview;
use crate::domain::record::{Edit, RecordView, SalesforceValues};
use crate::domain::sync_error::SyncError;
use crate::logs::LogRecord;

/// Why a request at the door was not served. The text says what, on what, and what to do.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// Something changed; whoever shows it should read it again. Bursts are folded by the sender (10 a second at most).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Counts or states of mappings, connection or engine.
    Overview,
    /// The list of errors.
    Errors,
    /// A row's unit, error or values.
    Record(RowRef),
    /// New log records.
    Log,
    /// The way to PostgreSQL broke, with the reason; the handle reconnects by itself and then sends `Restored`.
    Lost(String),
    /// It is back.
    Restored,
}

/// What to list.
#[derive(Clone, Debug, Default)]
pub struct ErrorQuery {
    /// The filter as typed; empty lists everything unresolved.
    pub filter: String,
    /// How many at most, newest `last_seen` first.
    pub limit: usize,
    /// Continue after this error (its `last_seen` and `id`).
    pub after: Option<(chrono::DateTime<chrono::Utc>, i64)>,
}

/// A screenful of errors.
#[derive(Clone, Debug, Default)]
pub struct ErrorPage {
    /// The errors.
    pub items: Vec<SyncError>,
    /// How many match in all, counted up to 10,000.
    pub matching: i64,
    /// True when `matching` was cut at 10,000.
    pub capped: bool,
}

/// The door. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    events: broadcast::Sender<Event>,
}

impl Handle {
    /// Events from now on.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }
    /// How things stand.
    pub async fn overview(&self) -> Result<Overview, Refused> {
        Err(Refused("not connected".into()))
    }
    /// One page of errors.
    pub async fn errors(&self, _query: &ErrorQuery) -> Result<ErrorPage, Refused> {
        Err(Refused("not connected".into()))
    }
    /// A row with its error, advice and history.
    pub async fn record(&self, _row: &RowRef) -> Result<RecordView, Refused> {
        Err(Refused("not connected".into()))
    }
    /// Salesforce's values of a row's record, fetched now by the engine.
    pub async fn salesforce_values(&self, _row: &RowRef) -> Result<SalesforceValues, Refused> {
        Err(Refused("not connected".into()))
    }
    /// Saves an edit (and sends it). Refused when the row changed under the editor, naming the field.
    pub async fn save(&self, _edit: &Edit) -> Result<(), Refused> {
        Err(Refused("not connected".into()))
    }
    /// Sends a failing row again as it is.
    pub async fn retry(&self, _row: &RowRef) -> Result<(), Refused> {
        Err(Refused("not connected".into()))
    }
    /// The log: records after `after` (oldest first), or the newest `limit` when `after` is None.
    pub async fn log(&self, _after: Option<i64>, _limit: usize) -> Result<Vec<LogRecord>, Refused> {
        Err(Refused("not connected".into()))
    }
}
