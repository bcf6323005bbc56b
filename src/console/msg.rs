//! Everything that can happen.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use crossterm::event::{KeyEvent, MouseEvent};

use crate::client::handle::{Count, ErrorPage, Event, Refused};
use crate::client::mapping::DryRuns;
use crate::client::operations::execute::{Chosen, Plan};
use crate::client::row::Linked;
use crate::domain::act::{AuditEntry, PastAct, Progress, Report};
use crate::domain::dry_run::DryRun;
use crate::domain::group::Group;
use crate::domain::names::RowRef;
use crate::domain::overview::Overview;
use crate::domain::pending::Pending;
use crate::domain::record::{Hit, RecordView, Relative, SalesforceValues};
use crate::domain::trend::{Share, Trend};
use crate::domain::verify::Stage;
use crate::domain::verify::Verdict;
use crate::logs::LogRecord;
use crate::logs::ring::Place;

/// A message.
#[derive(Debug)]
pub enum Msg {
    /// A key was pressed.
    Key(KeyEvent),
    /// The mouse did something.
    Mouse(MouseEvent),
    /// Text was pasted.
    Paste(String),
    /// The terminal has another size; columns and lines.
    Resize(u16, u16),
    /// A second went by.
    Tick(DateTime<Utc>),
    /// The engine's side changed.
    Event(Event),
    /// More changed at once than was told.
    Missed,
    /// The way to the database is open.
    Opened,
    /// Why nothing can be changed here, or nothing.
    Rights(Result<Option<String>, Refused>),
    /// How things stand.
    Overview(Result<Overview, Refused>),
    /// A page of errors, for the list of that generation; `append` when it continues the list.
    Errors {
        /// Which list it was asked for.
        generation: u64,
        /// Whether it continues it.
        append: bool,
        /// The page.
        result: Result<ErrorPage, Refused>,
    },
    /// How many errors match, for the list of that generation.
    Counted {
        /// Which list it was asked for.
        generation: u64,
        /// How many.
        result: Result<Count, Refused>,
    },
    /// The values of a qualifier that begin so, with how many errors have each.
    Offers {
        /// The qualifier.
        qualifier: String,
        /// The beginning.
        prefix: String,
        /// The values.
        values: Vec<(String, i64)>,
    },
    /// A page of what waits.
    Pending {
        /// Whether it continues the list.
        append: bool,
        /// How many were asked for.
        limit: usize,
        /// The page.
        result: Result<Vec<Pending>, Refused>,
    },
    /// The selection has rested; with its number.
    Rested(u64),
    /// A row's parents and children.
    Relatives {
        /// Which row.
        row: RowRef,
        /// What they are.
        result: Result<Vec<Relative>, Refused>,
    },
    /// The lines of the log about a row.
    RecordLog {
        /// Which row.
        row: RowRef,
        /// The lines.
        result: Result<Vec<LogRecord>, Refused>,
    },
    /// What happened in the last minutes; what the errors are about, where that was asked.
    Trends {
        /// How many minutes.
        minutes: u32,
        /// What happened.
        result: Result<(Vec<Trend>, Option<Vec<Share>>), Refused>,
    },
    /// How far a comparison of rows and records is.
    Stage(Stage),
    /// What a comparison of rows and records found.
    Verified(Result<Verdict, Refused>),
    /// What a trial of a mapping came to.
    DryRunDone {
        /// Its name.
        mapping: String,
        /// What it came to.
        result: Result<DryRun, Refused>,
    },
    /// What trials of all mappings came to.
    DryRunsDone(Result<DryRuns, Refused>),
    /// The causes of the errors that match a filter.
    Groups {
        /// The filter.
        filter: String,
        /// The causes.
        result: Result<Vec<Group>, Refused>,
    },
    /// The causes once more, while they show.
    GroupsRenewed {
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
    /// Of a row there is nothing any more.
    Gone {
        /// Which.
        row: RowRef,
        /// In these words.
        why: String,
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
    /// Of so many errors, for how many a remedy of the row's own passes.
    Remedies {
        /// Of which errors.
        chosen: Chosen,
        /// How many, and of how many.
        result: Result<(usize, usize), Refused>,
    },
    /// How far an act is.
    Progress(Progress),
    /// What an act came to.
    Reported {
        /// What it was.
        text: String,
        /// Whether rows are sent because of it.
        sends: bool,
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
    /// New lines of other programs' logs.
    Lines(Vec<LogRecord>),
    /// Older log records.
    OlderLog(Result<Vec<LogRecord>, Refused>),
    /// Lines of the log were written into a file, or not.
    Kept(Result<String, Refused>),
    /// So many lines of the log pass a filter that is being typed.
    LogPreviewed {
        /// As it was typed.
        filter: String,
        /// How many.
        passing: usize,
    },
    /// The lines of the log before a place that pass a filter.
    LogFiltered {
        /// Which filter.
        generation: u64,
        /// The place.
        upto: Place,
        /// The lines' places.
        places: Vec<Place>,
    },
}
