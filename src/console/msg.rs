//! Everything that can happen.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use crossterm::event::KeyEvent;

use crate::domain::act::{AuditEntry, PastAct, Progress, Report};
use crate::domain::group::Group;
use crate::domain::names::RowRef;
use crate::domain::overview::Overview;
use crate::domain::record::{Hit, RecordView, SalesforceValues};
use crate::engine::bulk::Plan;
use crate::engine::handle::{Count, ErrorPage, Event, Refused};
use crate::engine::mend::Linked;
use crate::logs::LogRecord;

/// A message.
#[derive(Debug)]
pub enum Msg {
    /// A key was pressed.
    Key(KeyEvent),
    /// Text was pasted.
    Paste(String),
    /// The terminal has another size; columns and lines.
    Resize(u16, u16),
    /// A second went by.
    Tick(DateTime<Utc>),
    /// The engine's side changed.
    Event(Event),
    /// How things stand.
    Overview(Result<Overview, Refused>),
    /// A page of errors, for the list of that generation; `append` when it continues the list.
    Errors {
        /// Which list it was asked for.
        generation: u64,
        /// Whether it continues it.
        append: bool,
        /// The page.
        result: Result<(ErrorPage, Count), Refused>,
    },
    /// The causes of the errors that match a filter.
    Groups {
        /// The filter.
        filter: String,
        /// The causes.
        result: Result<Vec<Group>, Refused>,
    },
    /// A row.
    Record {
        /// Which.
        row: RowRef,
        /// What it is.
        result: Box<Result<RecordView, Refused>>,
    },
    /// Salesforce's values of a row's record.
    Values {
        /// Which.
        row: RowRef,
        /// What they are.
        result: Result<SalesforceValues, Refused>,
    },
    /// An edit was saved, or not.
    Saved {
        /// Which row.
        row: RowRef,
        /// Or why not.
        result: Result<(), Refused>,
    },
    /// A retry was asked for, or not.
    Retried {
        /// Which row.
        row: RowRef,
        /// Or why not.
        result: Result<(), Refused>,
    },
    /// A remedy was begun, or not.
    Applied {
        /// For which row.
        row: RowRef,
        /// What it does, or why not.
        result: Result<String, Refused>,
    },
    /// What an act would do, or why it cannot be done.
    Planned(Result<Arc<Plan>, Refused>),
    /// How far an act is.
    Progress(Progress),
    /// What an act came to.
    Reported {
        /// What it was.
        text: String,
        /// What it came to, or why not.
        result: Result<Report, Refused>,
    },
    /// What operators did.
    Acts(Result<Vec<PastAct>, Refused>),
    /// The rows of an act.
    Act(Result<Vec<AuditEntry>, Refused>),
    /// Rows that were looked for.
    Found {
        /// By what.
        text: String,
        /// What was found.
        result: Result<Vec<Hit>, Refused>,
    },
    /// What linking came to.
    Linked {
        /// Which row.
        row: RowRef,
        /// What it came to, or why not.
        result: Result<Linked, Refused>,
    },
    /// Something about a mapping was changed, or not.
    Changed(Result<String, Refused>),
    /// New log records.
    Log(Result<Vec<LogRecord>, Refused>),
}
