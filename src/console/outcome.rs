//! What a component asks for when it has taken a key. A component changes nothing but itself: the app alone knows the
//! others, and does to them what is asked for here, in order.

use std::sync::Arc;
use std::time::Duration;

use super::columns::ErrorColumns;
use super::command::{Command, Id};
use super::context::Tone;
use super::effect::Effect;
use super::pane::Pane;
use crate::client::operations::execute::{Plan, Targets};
use crate::client::setup::shadow::ShadowRun;
use crate::client::setup::{SetupRun, SetupTask};
use crate::domain::attached::told::NotificationFilter;
use crate::domain::changes::merge::Side;
use crate::domain::errors::remedy::SuggestedFix;
use crate::domain::errors::sort::SortBy;
use crate::domain::mappings::field::Field;
use crate::domain::names::RowRef;
use crate::domain::operations::operation::OperationKind;
use crate::domain::records::record::{Edit, FieldEdit};
use crate::domain::records::verify::VerifyReport;

/// What is asked for.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The uppermost overlay is closed.
    Close,
    /// A message is shown in the last line.
    Say(Tone, String),
    /// The message in the last line is taken away.
    Unsay,
    /// An effect is performed.
    Effect(Effect),
    /// An effect is performed, after a question: in these words, and on production whenever it stops writes.
    Begin {
        /// What.
        effect: Effect,
        /// What is asked before, where something is.
        question: Option<String>,
    },
    /// An effect is performed that was confirmed.
    Confirmed(Effect),
    /// Something is asked for that shows when it comes; until then keys mean nothing.
    Load(&'static str, Effect),
    /// A command runs in a pane.
    Run(&'static Command, Pane),
    /// Errors are listed by a filter; one step back comes here again.
    List {
        /// The filter.
        filter: String,
        /// What it is called, where it was not typed.
        label: Option<String>,
    },
    /// A mapping is looked at alone.
    LookAtMapping(String),
    /// Errors are listed in the order of a column.
    Sort(SortBy),
    /// What was listed before a filter was typed is listed again.
    EndFilter,
    /// A filter that was typed is put in force, and its line closed, unless it cannot be read.
    ApplyFilter {
        /// Of which list.
        pane: Pane,
        /// As typed.
        text: String,
    },
    /// The lines are counted that pass the filter that is being typed.
    PreviewFilter,
    /// The errors, or the log, are filtered by a filter that was kept.
    FilterBy {
        /// Which list.
        pane: Pane,
        /// The filter.
        filter: String,
    },
    /// A filter is kept under a name.
    KeepFilter {
        /// Of which list.
        pane: Pane,
        /// The name.
        name: String,
        /// The filter.
        filter: String,
    },
    /// The log is searched for a text.
    SearchLog(String),
    /// A part is added to the filter of the log.
    NarrowLog(String),
    /// The lines of the log that show are written into this file.
    WriteLogLines(String),
    /// The lines of a source of the log, by its place among them, are switched on or off.
    SwitchSource(usize),
    /// A rule of a mapping is to be finished, beginning with this.
    AskRule {
        /// Of which mapping; `None` is the selected one.
        mapping: Option<String>,
        /// `KEY=VALUE`, as far as it is known.
        rule: String,
    },
    /// A mapping's rows and records are compared.
    Verify(String),
    /// Which of the rows that are the same thing as this one the others become is to be typed.
    AskMergeInto(RowRef),
    /// A value of a field is to be chosen among those that it may have.
    PickValue {
        /// Of which row.
        row: RowRef,
        /// The field.
        field: Box<Field>,
        /// The value that shows.
        shown: Option<String>,
        /// The remedy that sets the value.
        offer: Box<SuggestedFix>,
    },
    /// Something to read is shown.
    Info {
        /// What about.
        title: String,
        /// The words, by paragraphs.
        text: String,
    },
    /// A row's record is opened.
    OpenRow(RowRef),
    /// A changed field is kept, to be saved with others.
    Keep(RowRef, FieldEdit),
    /// An edit is saved and sent.
    Save(Edit),
    /// The operator is asked whether the edit is to be thrown away.
    ConfirmLeave,
    /// It is looked at what an operation would do.
    Plan {
        /// To which errors.
        chosen: Targets,
        /// What is done.
        kind: OperationKind,
    },
    /// A row that is refused is shown beside the record that has the same.
    Compare(RowRef),
    /// An operation on all errors of a group begins.
    OfGroup {
        /// The filter that lists them.
        filter: String,
        /// What that is called.
        label: String,
        /// Which: the one of this command.
        command: Id,
    },
    /// A confirmed plan is executed.
    Execute {
        /// What.
        plan: Arc<Plan>,
        /// Why, where that was said.
        why: Option<String>,
    },
    /// An operation is given up before it began.
    GiveUp,
    /// One side is to be taken for what a comparison found; that is asked about.
    Repair {
        /// In which table.
        table: String,
        /// What was found.
        report: Arc<VerifyReport>,
        /// Whose values stay.
        side: Side,
    },
    /// These are the columns of the errors.
    Columns(ErrorColumns),
    /// These are the colours.
    Theme(&'static str),
    /// For how long is alerts' silence? Of what is named: all alerts, those of a rule, or one.
    AskSilence {
        /// The rule.
        rule: Option<String>,
        /// What of it.
        subject: Option<String>,
    },
    /// What does the operator say who takes an alert in hand?
    AskAcknowledge {
        /// The rule.
        rule: String,
        /// What of it.
        subject: Option<String>,
    },
    /// What is to be known about a cause?
    AskNote {
        /// The group.
        group: String,
        /// Its errors, in words.
        cause: String,
        /// What is known so far.
        note: String,
    },
    /// Until when is a cause muted?
    AskMute {
        /// The group.
        group: String,
        /// Its errors, in words.
        cause: String,
    },
    /// What a configuration makes of the database is looked at, in the place of what was looked at before.
    LookAtSetup {
        /// What.
        task: SetupTask,
        /// The configuration, where that is not the connection's own.
        file: Option<String>,
    },
    /// What was looked at is done.
    RunSetup(SetupRun),
    /// It is looked at what can be compared beside Heroku Connect, in the place of what was looked at before.
    LookAtShadow {
        /// The configuration, where that is not the connection's own.
        file: Option<String>,
    },
    /// Which configuration has a login to the org?
    AskShadowFile,
    /// For how long is to be compared?
    AskShadowTime,
    /// So long; without, until what differs is decided.
    ShadowTime(Option<Duration>),
    /// What was looked at is compared.
    RunShadow {
        /// What compares.
        run: ShadowRun,
        /// For how long.
        time: Option<Duration>,
    },
    /// It goes on comparing, and one does something else.
    LeaveShadow,
    /// The list of Heroku Connect's that shows is asked for.
    AskHeroku,
    /// Heroku Connect's notifications are to be acknowledged; that is asked about.
    AcknowledgeHeroku {
        /// Which.
        filter: NotificationFilter,
        /// How many of them show.
        count: usize,
        /// Whether all that are meant show.
        is_whole: bool,
    },
    /// A text goes to the clipboard.
    CopyText(String),
    /// A text goes into a file, whose name is asked for.
    AskWriteText {
        /// What the file is called where nobody says otherwise.
        name: &'static str,
        /// The text.
        text: String,
    },
    /// The log shows what the receiver of alerts got, which is one of its sources.
    ReadReceived,
}

impl Outcome {
    /// It, and the overlay is closed before.
    pub fn closing(self) -> Vec<Outcome> {
        vec![Outcome::Close, self]
    }

    /// An effect that is performed without a question, unless it stops writes on production.
    pub fn begin(effect: Effect) -> Outcome {
        Outcome::Begin { effect, question: None }
    }

    /// Taking an operation back is looked at.
    pub fn undo(operation: i64) -> Outcome {
        Outcome::Plan { chosen: Targets::Ids(Vec::new()), kind: OperationKind::Undo(operation) }
    }

    /// The command that it stands for, where it does what a command does: what the table says of that holds for it, too.
    pub fn command(&self) -> Option<Id> {
        match self {
            Outcome::OfGroup { command, .. } => Some(*command),
            Outcome::Plan { kind: OperationKind::Undo(_), .. } => Some(Id::Undo),
            Outcome::Plan { .. } => Some(Id::Fix),
            Outcome::Repair { .. } | Outcome::Verify(_) => Some(Id::Verify),
            Outcome::AskMergeInto(_) => Some(Id::MergeInto),
            Outcome::Compare(_) => Some(Id::Conflict),
            Outcome::AskRule { .. } | Outcome::PickValue { .. } => Some(Id::Remedy),
            Outcome::AskSilence { .. } | Outcome::AskAcknowledge { .. } => Some(Id::Silence),
            Outcome::AskNote { .. } => Some(Id::NoteCause),
            Outcome::AskMute { .. } => Some(Id::MuteCause),
            Outcome::LookAtSetup { task, .. } => Some(Id::of_setup(*task)),
            Outcome::RunSetup(_) => Some(Id::Adopt),
            Outcome::Effect(Effect::Alert(_)) => Some(Id::Silence),
            Outcome::Effect(Effect::Cause { .. }) => Some(Id::OwnCause),
            _ => None,
        }
    }
}
