//! Everything the console wants done outside of itself.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::client::api::ErrorQuery;
use crate::client::heroku::HerokuList;
use crate::client::operations::execute::{Plan, Targets};
use crate::client::queries::PendingQuery;
use crate::client::setup::shadow::ShadowRun;
use crate::client::setup::{SetupRun, SetupTask};
use crate::config::console::CopyTo;
use crate::config::state::SessionState;
use crate::domain::attached::told::NotificationFilter;
use crate::domain::changes::merge::Side;
use crate::domain::errors::cause::Until;
use crate::domain::errors::remedy::{RemedyAction, SuggestedFix};
use crate::domain::errors::sync_error::SyncError;
use crate::domain::mappings::strategy::Strategy;
use crate::domain::names::{RowId, RowRef};
use crate::domain::operations::operation::OperationKind;
use crate::domain::records::record::Edit;
use crate::domain::records::verify::VerifyReport;
use crate::domain::reports::overview::Writes;
use crate::logs::line::LogFilter;
use crate::logs::ring::{Chunk, KeptLines, Place};

/// What is done about alerts.
#[derive(Clone, Debug, PartialEq)]
pub enum AlertChange {
    /// Nothing is told of them for a time.
    Silence {
        /// The rule; `None` is all.
        rule: Option<String>,
        /// What of it.
        subject: Option<String>,
        /// How long.
        length: Duration,
        /// Why.
        note: String,
    },
    /// A silence ends.
    EndSilence(i64),
    /// Somebody has them in hand.
    Acknowledge {
        /// The rule.
        rule: String,
        /// What of it.
        subject: Option<String>,
        /// In that person's words.
        note: String,
    },
}

/// What is said about a cause.
#[derive(Clone, Debug, PartialEq)]
pub enum CauseChange {
    /// It is the operator's.
    Own,
    /// It is nobody's.
    Disown,
    /// This is to be known about it; nothing takes the note away.
    Note(Option<String>),
    /// It is muted.
    Mute(Until),
    /// It is muted no more.
    Unmute,
}

/// What is asked of a configuration: what, of which configuration, and by which number its answer is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetupRequest {
    /// Its number.
    pub id: u64,
    /// What.
    pub task: SetupTask,
    /// The configuration, where that is not the connection's own.
    pub file: Option<String>,
}

/// An effect.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Ask whether the database lets this operator change anything.
    AskRights,
    /// Ask how things stand.
    LoadOverview,
    /// Ask for errors.
    LoadErrors {
        /// For which list.
        generation: u64,
        /// Whether the page continues it.
        append: bool,
        /// What to list.
        query: ErrorQuery,
    },
    /// Ask for errors in the order turned round: the end of the list, or what stands before a place.
    LoadBackwards {
        /// For which list.
        generation: u64,
        /// What to list.
        query: ErrorQuery,
    },
    /// Ask how many errors match.
    CountErrors {
        /// For which list.
        generation: u64,
        /// The filter.
        filter: String,
    },
    /// Ask for the values of a qualifier that begin so.
    LoadValues {
        /// The qualifier.
        qualifier: String,
        /// The beginning.
        prefix: String,
    },
    /// Ask for what waits.
    LoadPending {
        /// Whether the page continues the list.
        append: bool,
        /// What to list.
        query: PendingQuery,
    },
    /// Say when the selection has rested; with its number.
    Debounce(u64),
    /// The same of one that the list moved by itself: there is time to see it.
    DebounceMoved(u64),
    /// Ask for the parents and children of a row.
    LoadRelatives(RowRef),
    /// Ask for the lines of the log about a row.
    LoadRecordLog(RowRef),
    /// Ask for what happened in the last minutes.
    LoadTrends {
        /// How many minutes.
        minutes: u32,
        /// Whether to ask what the errors are about, too.
        shares: bool,
    },
    /// Ask for the figures of the last so much time.
    LoadHealth(Duration),
    /// Ask for the groups of the errors that match a filter.
    LoadGroups(String),
    /// Ask for them once more, while they show.
    RenewGroups(String),
    /// Ask for all that is told of a mapping.
    LoadAbout(String),
    /// Ask when the errors of groups came within the last hour.
    LoadGroupHours(String),
    /// Ask of how many errors of a group the first remedy mends the row.
    LoadFit {
        /// The group.
        group: String,
        /// The filter of its errors.
        filter: String,
        /// How many it has.
        count: i64,
    },
    /// Ask which conditions of mappings and of the connection stand.
    LoadStanding,
    /// Ask which rows wait for those of these errors.
    LoadBlocked(Vec<(i64, RowRef)>),
    /// Ask what became of the rows of these errors, each with when it had been seen last.
    LoadAnswers(Vec<(i64, DateTime<Utc>)>),
    /// Ask what became of the rows of an operation.
    LoadTally {
        /// Its number.
        operation: i64,
        /// Whether after a while.
        later: bool,
    },
    /// Ask what the rows of these errors say.
    LoadWords(Vec<SyncError>),
    /// Ask which records a lookup may name.
    FindParents {
        /// Of which row.
        row: RowRef,
        /// The lookup's column.
        column: String,
        /// What their names have in them.
        text: String,
    },
    /// Ask how many errors of a group need a person.
    CountCause(String),
    /// Ask for a row.
    LoadRecord(RowRef),
    /// Ask for Salesforce's values.
    FetchValues(RowRef),
    /// Save an edit.
    Save(Edit),
    /// Send a row again.
    Retry(RowRef),
    /// Do what a remedy says.
    Apply {
        /// For which row.
        row: RowRef,
        /// The remedy.
        offer: Box<SuggestedFix>,
    },
    /// Do what a remedy says about what a comparison found.
    PutRight {
        /// The error that it is listed as.
        error: Box<SyncError>,
        /// What is done.
        action: RemedyAction,
    },
    /// Ask for a row that is refused beside the record that has the same, and the row that has that.
    LoadDuplicate(RowRef),
    /// Look at what an operation on many errors would do.
    Plan {
        /// Which errors.
        chosen: Targets,
        /// What is done.
        kind: OperationKind,
    },
    /// Count of how many of these errors' rows a remedy of their own passes.
    CountRemedies(Targets),
    /// Look at what it would be to take the operator's own last operation back.
    UndoLast,
    /// Execute a plan.
    Execute {
        /// What.
        plan: Arc<Plan>,
        /// Why, in the operator's words.
        why: Option<String>,
    },
    /// Stop what is carried out, between two transactions.
    Stop,
    /// Ask for what operators did.
    LoadAudit,
    /// Ask for the rows of an operation.
    LoadAuditRows(i64),
    /// Ask for rows by what somebody has in hand.
    Find(String),
    /// Write the errors that match into a file.
    Export {
        /// The filter.
        filter: String,
        /// The file's name.
        path: String,
    },
    /// Choose sides of fields that changed on both.
    Resolve {
        /// Of which row.
        row: RowRef,
        /// By column.
        sides: Vec<(String, Side)>,
    },
    /// Take a record that is in Salesforce already as a row's own.
    Link {
        /// Which row.
        row: RowRef,
        /// Whether the row that has the record is removed.
        replace: bool,
    },
    /// Set a rule of a mapping, or of all.
    SetRule {
        /// Its name; `None` is all.
        mapping: Option<String>,
        /// The rule.
        key: String,
        /// Its value.
        value: String,
    },
    /// Let the writes of a mapping, or of all, rest or go on.
    Writes {
        /// Its name; `None` is all.
        mapping: Option<String>,
        /// What becomes of them.
        to: Writes,
    },
    /// Read the records of a mapping, or of all, again.
    Reload(Option<String>),
    /// Compare a mapping's rows and records.
    Verify(String),
    /// Try a mapping, or all, with some of its rows.
    Test(Option<String>),
    /// Write a text into a new file.
    WriteText {
        /// The file's name.
        path: String,
        /// The text.
        text: String,
    },
    /// Look at what a configuration makes of the database.
    LookAtSetup(SetupRequest),
    /// Look at what can be compared beside Heroku Connect.
    LookAtShadow {
        /// The number that its answers are known by.
        id: u64,
        /// The configuration, where that is not the connection's own.
        file: Option<String>,
    },
    /// That look is given up.
    EndLook,
    /// Compare, round by round.
    RunShadow {
        /// The number of the look.
        id: u64,
        /// What compares.
        run: ShadowRun,
        /// For how long; without, until what differs is decided.
        time: Option<Duration>,
    },
    /// Stop comparing, with the report of what was looked at.
    StopShadow,
    /// Do what was looked at.
    RunSetup {
        /// The number of the look.
        id: u64,
        /// What.
        run: SetupRun,
    },
    /// Ask Heroku Connect's API for one of its lists.
    LoadHeroku {
        /// The number that its answer is known by.
        id: u64,
        /// Which.
        list: HerokuList,
    },
    /// Nobody waits for those lists any more.
    EndHeroku,
    /// Look whether a row is there, by what another list says of it.
    LookForRow(RowRef),
    /// Acknowledge Heroku Connect's notifications.
    AcknowledgeHeroku(NotificationFilter),
    /// Have the engine read its login again and sign in now.
    SignIn,
    /// Merge rows that are the same thing into one of them.
    MergeInto {
        /// The row of which a comparison found that.
        row: RowRef,
        /// The one that stays.
        into: RowId,
    },
    /// Have Heroku Connect begin again.
    RecoverHeroku,
    /// Ask how alerts stand.
    LoadAlerts,
    /// Ask for the note of a cause, to be changed.
    LoadNote {
        /// The group.
        group: String,
        /// Its errors, in words.
        cause: String,
    },
    /// Silence or acknowledge alerts.
    Alert(AlertChange),
    /// Say something about the cause of a group.
    Cause {
        /// The group.
        group: String,
        /// What.
        change: CauseChange,
    },
    /// Take one side for what a comparison found.
    Repair {
        /// The table.
        table: String,
        /// What was found.
        report: Arc<VerifyReport>,
        /// Whose values stay.
        side: Side,
    },
    /// Ask for log records after this one.
    LoadLog(Option<i64>),
    /// Ask for log records before this one.
    LoadOlderLog(i64),
    /// Find the lines of the log that pass a filter, on another thread.
    FilterLog {
        /// Which filter.
        generation: u64,
        /// The place behind the last of the lines.
        upto: Place,
        /// The lines.
        lines: Vec<Arc<Chunk>>,
        /// The filter.
        filter: Arc<LogFilter>,
    },
    /// Write lines of the log into a file.
    KeepLines {
        /// The file's name.
        path: String,
        /// The lines.
        kept: KeptLines,
    },
    /// Count the lines of the log that pass a filter that is being typed.
    PreviewLog {
        /// As it is typed.
        filter: String,
        /// The lines.
        lines: Vec<Arc<Chunk>>,
        /// The filter.
        parsed: Arc<LogFilter>,
    },
    /// Keep where the console stands, for the next start.
    SaveState(Box<SessionState>),
    /// Go to another connection of the configuration.
    Connect(String),
    /// Put text on the clipboard of the operator's terminal.
    Copy(String),
    /// Give text to what the configuration names for it.
    CopyTo {
        /// What takes it.
        to: CopyTo,
        /// The text.
        text: String,
    },
    /// Stop for job control (Ctrl-Z).
    Suspend,
    /// Draw everything anew.
    Redraw,
    /// Leave.
    Quit,
}

impl Effect {
    /// Whether a console asks for it by itself once the way to the database is open.
    pub fn comes_with_the_start(&self) -> bool {
        matches!(
            self,
            Effect::AskRights
                | Effect::LoadOverview
                | Effect::LoadErrors { .. }
                | Effect::CountErrors { .. }
                | Effect::LoadStanding
                | Effect::LoadPending { .. }
                | Effect::LoadTrends { .. }
                | Effect::LoadRecord(_)
                | Effect::LoadLog(_)
        )
    }

    /// The row that it sends, where it is about one.
    pub fn sends(&self) -> Option<&RowRef> {
        match self {
            Effect::Retry(row)
            | Effect::Apply { row, .. }
            | Effect::Resolve { row, .. }
            | Effect::Link { row, .. } => Some(row),
            _ => None,
        }
    }

    /// Of what may stop writes: the mapping, where it is one of several, and what becomes of the writes.
    pub fn stops(&self) -> Option<(Option<&str>, &'static str)> {
        match self {
            Effect::Writes { mapping, to } => Some((mapping.as_deref(), to.stops()?)),
            Effect::SetRule { mapping, key, value } if key == "strategy" => {
                Some((mapping.as_deref(), Strategy::from_word(value)?.stops()?))
            }
            _ => None,
        }
    }

    /// Whether it changes anything outside of this console.
    pub fn changes(&self) -> bool {
        matches!(
            self,
            Effect::Save(_)
                | Effect::Retry(_)
                | Effect::Apply { .. }
                | Effect::PutRight { .. }
                | Effect::Execute { .. }
                | Effect::Resolve { .. }
                | Effect::Link { .. }
                | Effect::SetRule { .. }
                | Effect::Writes { .. }
                | Effect::Reload(_)
                | Effect::Verify(_)
                | Effect::Test(_)
                | Effect::Repair { .. }
                | Effect::Alert(_)
                | Effect::Cause { .. }
                | Effect::RunSetup { .. }
                | Effect::AcknowledgeHeroku(_)
                | Effect::RecoverHeroku
                | Effect::SignIn
                | Effect::MergeInto { .. }
        )
    }
}
