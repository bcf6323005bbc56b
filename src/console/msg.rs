//! Everything that can happen.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use crossterm::event::{KeyEvent, MouseEvent};

use crate::client::about::AboutMapping;
use crate::client::alerts::AlertsView;
use crate::client::api::{ClientError, Count, ErrorPage, Event};
use crate::client::heroku::HerokuListed;
use crate::client::mapping::DryRuns;
use crate::client::operations::execute::{Plan, Targets};
use crate::client::row::Linked;
use crate::client::setup::shadow::{ShadowNews, ShadowOutcome, ShadowPreview};
use crate::client::setup::{SetupOutcome, SetupPreview};
use crate::console::theme::Background;
use crate::domain::changes::dry_run::DryRun;
use crate::domain::changes::pending::Pending;
use crate::domain::errors::group::Group;
use crate::domain::errors::group_hours::{GroupHours, RemedyFit};
use crate::domain::errors::summary::{Blocked, Summary};
use crate::domain::errors::sync_error::SyncError;
use crate::domain::health::review::Health;
use crate::domain::names::RowRef;
use crate::domain::operations::answer::{Answer, Tally};
use crate::domain::operations::operation::{AuditEntry, AuditRecord, Progress, Report};
use crate::domain::records::duplicate::Duplicate;
use crate::domain::records::named::NamedRecords;
use crate::domain::records::record::{Hit, RecordView, Relative, SalesforceValues};
use crate::domain::records::verify::Stage;
use crate::domain::records::verify::VerifyReport;
use crate::domain::reports::overview::Overview;
use crate::domain::reports::trend::{ErrorShare, Trend};
use crate::logs::LogRecord;
use crate::logs::ring::{Place, Sifted};
use crate::logs::source::Batch;

/// Whether an operation has rows sent, by which number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SendState {
    /// Nothing is sent because of it.
    #[default]
    Nothing,
    /// Rows are; of several, their answers are counted by its number.
    Rows(Option<i64>),
}

/// A message.
#[derive(Debug)]
pub enum Msg {
    /// The terminal said what it draws on.
    Background(Background),
    /// A key was pressed.
    Key(KeyEvent),
    /// The mouse did something.
    Mouse(MouseEvent),
    /// A button was pressed a second time, soon and in the same place.
    DoubleClick(MouseEvent),
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
    /// The way to the database is open; the sources of other programs' lines, by name and kind.
    Opened(Vec<(String, &'static str)>),
    /// Why nothing can be changed here, or nothing.
    Rights(Result<Option<String>, ClientError>),
    /// How things stand.
    Overview(Result<Overview, ClientError>),
    /// A page of errors, for the list of that generation; `append` when it continues the list.
    Errors {
        /// Which list it was asked for.
        generation: u64,
        /// Whether it continues it.
        append: bool,
        /// The page.
        result: Result<ErrorPage, ClientError>,
    },
    /// A page of errors in the order turned round.
    Backwards {
        /// Which list it was asked for.
        generation: u64,
        /// Whether it is the end of the list; else it stands before what is known.
        end: bool,
        /// The page.
        result: Result<ErrorPage, ClientError>,
    },
    /// How many errors match, for the list of that generation.
    Counted {
        /// Which list it was asked for.
        generation: u64,
        /// How many.
        result: Result<Count, ClientError>,
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
        result: Result<Vec<Pending>, ClientError>,
    },
    /// The selection has rested; with its number.
    Debounced(u64),
    /// A row's parents and children.
    Relatives {
        /// Which row.
        row: RowRef,
        /// What they are.
        result: Result<Vec<Relative>, ClientError>,
    },
    /// The lines of the log about a row.
    RecordLog {
        /// Which row.
        row: RowRef,
        /// The lines.
        result: Result<Vec<LogRecord>, ClientError>,
    },
    /// What happened in the last minutes; what the errors are about, where that was asked.
    Trends {
        /// How many minutes.
        minutes: u32,
        /// What happened.
        result: Result<(Vec<Trend>, Option<Vec<ErrorShare>>), ClientError>,
    },
    /// How well the sync goes.
    Health {
        /// In which time.
        span: Duration,
        /// The figures.
        result: Box<Result<Health, ClientError>>,
    },
    /// How far a comparison of rows and records is.
    Stage(Stage),
    /// What a comparison of rows and records found.
    Verified(Result<VerifyReport, ClientError>),
    /// What a trial of a mapping came to.
    DryRunDone {
        /// Its name.
        mapping: String,
        /// What it came to.
        result: Result<DryRun, ClientError>,
    },
    /// What trials of all mappings came to.
    DryRunsDone(Result<DryRuns, ClientError>),
    /// The groups of the errors that match a filter.
    Groups {
        /// The filter.
        filter: String,
        /// The groups.
        result: Result<Vec<Group>, ClientError>,
    },
    /// The groups once more, while they show.
    GroupsRenewed {
        /// The filter.
        filter: String,
        /// The groups.
        result: Result<Vec<Group>, ClientError>,
    },
    /// All that is told of a mapping.
    About {
        /// Its name.
        mapping: String,
        /// What is told.
        result: Box<Result<AboutMapping, ClientError>>,
    },
    /// When the errors of groups came within the last hour.
    GroupHours {
        /// The filter of the errors.
        filter: String,
        /// When.
        result: Result<GroupHours, ClientError>,
    },
    /// Of how many errors of a group the first remedy mends the row.
    Fit {
        /// The group.
        group: String,
        /// How many it had then.
        count: i64,
        /// Of how many.
        result: Result<RemedyFit, ClientError>,
    },
    /// Conditions of mappings and of the connection that stand.
    Standing(Result<ErrorPage, ClientError>),
    /// The rows that wait for those of unfolded lines, by the numbers of their errors.
    Blocked(Result<Vec<(i64, Blocked)>, ClientError>),
    /// What became of rows that were sent, by the numbers of their errors.
    Answers(Result<Vec<(i64, Answer)>, ClientError>),
    /// What became of the rows of an operation so far.
    Tallied {
        /// Its number.
        operation: i64,
        /// What became of them.
        result: Result<Tally, ClientError>,
    },
    /// What the rows of errors say.
    Words {
        /// Of which errors.
        asked: Vec<SyncError>,
        /// What they say.
        result: Result<Vec<Summary>, ClientError>,
    },
    /// Records that a lookup may name.
    Parents {
        /// The lookup's column.
        column: String,
        /// What their names have in them.
        text: String,
        /// The records.
        found: Result<NamedRecords, ClientError>,
    },
    /// How many errors of a group need a person.
    CauseCounted {
        /// The group.
        group: String,
        /// How many.
        result: Result<Count, ClientError>,
    },
    /// A row.
    Record {
        /// Which.
        row: RowRef,
        /// What it is.
        result: Box<Result<RecordView, ClientError>>,
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
        result: Result<SalesforceValues, ClientError>,
    },
    /// An edit was saved, or not.
    Saved {
        /// Which row.
        row: RowRef,
        /// Or why not.
        result: Result<(), ClientError>,
    },
    /// A retry was asked for, or not.
    Retried {
        /// Which row.
        row: RowRef,
        /// Or why not.
        result: Result<(), ClientError>,
    },
    /// A remedy was begun, or not.
    Applied {
        /// For which row.
        row: RowRef,
        /// What it does, or why not.
        result: Result<String, ClientError>,
    },
    /// A row that is refused, beside the record that has the same.
    Duplicate {
        /// Which row.
        row: RowRef,
        /// What is there.
        result: Result<Box<Duplicate>, ClientError>,
    },
    /// What an operation would do, or why it cannot be done.
    Planned(Result<Arc<Plan>, ClientError>),
    /// Of so many errors, for how many a remedy of the row's own passes.
    Remedies {
        /// Of which errors.
        chosen: Targets,
        /// How many, and of how many.
        result: Result<(usize, usize), ClientError>,
    },
    /// How far an operation is.
    Progress(Progress),
    /// What an operation came to.
    Reported {
        /// What it was.
        text: String,
        /// What of it sends rows.
        sent: SendState,
        /// What it came to, or why not.
        result: Result<Report, ClientError>,
    },
    /// What operators did.
    Audit(Result<Vec<AuditRecord>, ClientError>),
    /// The rows of an operation.
    AuditRows {
        /// Its number.
        operation: i64,
        /// The rows.
        result: Result<Vec<AuditEntry>, ClientError>,
    },
    /// Rows that were looked for.
    Found {
        /// By what.
        text: String,
        /// What was found.
        result: Result<Vec<Hit>, ClientError>,
    },
    /// Rows that were looked for by their names, where nothing else fits.
    Named {
        /// By what.
        text: String,
        /// What was found.
        found: NamedRecords,
    },
    /// What linking came to.
    Linked {
        /// Which row.
        row: RowRef,
        /// What it came to, or why not.
        result: Result<Linked, ClientError>,
    },
    /// What a configuration makes of the database.
    SetupFound {
        /// By the number of the look.
        id: u64,
        /// What was found.
        result: Result<SetupPreview, ClientError>,
    },
    /// What is going on while it is looked at or done.
    SetupTold {
        /// By the number of the look.
        id: u64,
        /// In a line.
        line: String,
    },
    /// It was done, or not.
    SetupDone {
        /// By the number of the look.
        id: u64,
        /// What came of it.
        result: SetupOutcome,
    },
    /// What can be compared beside Heroku Connect.
    ShadowFound {
        /// By the number of the look.
        id: u64,
        /// What was found.
        result: Result<ShadowPreview, ClientError>,
    },
    /// Something happened while that was looked at, or while it compares.
    ShadowTold {
        /// By the number of the look.
        id: u64,
        /// What.
        news: ShadowNews,
    },
    /// The comparison is over, or broke off.
    ShadowDone {
        /// By the number of the look.
        id: u64,
        /// The report.
        result: ShadowOutcome,
    },
    /// One of the lists of Heroku Connect's API.
    HerokuListed {
        /// By the number that it was asked for.
        id: u64,
        /// What is on it.
        result: Result<HerokuListed, ClientError>,
    },
    /// A row was looked for that another list names.
    RowLookedFor {
        /// Which.
        row: RowRef,
        /// Why there is none, if so.
        result: Result<(), ClientError>,
    },
    /// Heroku Connect's notifications were acknowledged, or not.
    HerokuAcknowledged(Result<String, ClientError>),
    /// How alerts stand.
    Alerts(Result<AlertsView, ClientError>),
    /// The note of a cause, to be changed.
    CauseNote {
        /// The group.
        group: String,
        /// Its errors, in words.
        cause: String,
        /// What is noted; empty where nothing is.
        note: Result<String, ClientError>,
    },
    /// Alerts were silenced or acknowledged, or not.
    AlertsChanged(Result<String, ClientError>),
    /// Something was said about a cause, or not.
    CauseChanged(Result<String, ClientError>),
    /// Something about a mapping was changed, or not.
    Changed(Result<String, ClientError>),
    /// New log records.
    Log(Result<Vec<LogRecord>, ClientError>),
    /// New lines of other programs' logs, and how the sources stand that stand otherwise than before.
    Lines(Batch),
    /// Older log records.
    OlderLog(Result<Vec<LogRecord>, ClientError>),
    /// A text was copied by what the configuration names, or not.
    Copied(Result<String, ClientError>),
    /// Lines of the log were written into a file, or not.
    Kept(Result<String, ClientError>),
    /// What a filter of the log hides that is being typed.
    LogPreviewed {
        /// As it was typed.
        filter: String,
        /// What it makes of the lines.
        sifted: Sifted,
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
