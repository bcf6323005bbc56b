//! The record: every field's value in the row and in Salesforce side by side, the field at fault, what the error
//! means, what to do, and the answer as it comes; behind them its attempts, its relatives and its log lines.

mod diagnosis;
mod fields;
mod lazy;
mod life;
mod part;
mod tabs;
mod told;
mod view;

pub use lazy::Lazy;
pub use told::{ToldCommand, in_console, told};
pub use view::{draw, draw_without};

use chrono::{DateTime, Utc};

use crate::console::effect::Effect;
use crate::console::widgets::cells::{SIDEWAYS, columns};
use crate::console::widgets::cursor::{Cursor, Step};
use crate::domain::errors::sync_error::ErrorState;
use crate::domain::mappings::field::Field;
use crate::domain::names::RowRef;
use crate::domain::records::record::{FieldEdit, RecordView, Relative, SalesforceValues};
use crate::logs::LogRecord;
use crate::logs::line::logfmt;

/// Said of what would be done about an error that is about to be answered anew.
pub const BEING_SENT: &str = "being sent: what helps is known when Salesforce has answered";

/// Lines above the fields, most often: what is wrong, what helps, its life and the names of the columns.
const SAID: usize = 9;

/// Log lines of a record that are shown.
pub const LINES: usize = 500;

/// A view of the record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecordTab {
    /// Both sides' values, and what is wrong.
    #[default]
    Fields,
    /// What was sent and answered, and what operators did.
    Attempts,
    /// Parents, and children that wait for it.
    Relatives,
    /// The lines of the log that speak of it.
    Log,
}

impl RecordTab {
    /// In their order.
    pub const ALL: [RecordTab; 4] =
        [RecordTab::Fields, RecordTab::Attempts, RecordTab::Relatives, RecordTab::Log];

    /// The columns of its name in the frame.
    pub fn columns(self) -> u16 {
        u16::try_from(self.title().len() + 2).unwrap_or(u16::MAX)
    }

    fn title(self) -> &'static str {
        match self {
            RecordTab::Fields => "fields",
            RecordTab::Attempts => "attempts",
            RecordTab::Relatives => "relatives",
            RecordTab::Log => "log",
        }
    }
}

/// What became of the operator's last save or retry.
#[derive(Clone, Debug, PartialEq)]
pub enum SendStatus {
    /// Saved, and on its way.
    Sending {
        /// Since when.
        since: DateTime<Utc>,
        /// When Salesforce accepted the row last, before that.
        before: Option<DateTime<Utc>>,
    },
    /// Salesforce took it.
    Accepted {
        /// When that was seen.
        at: DateTime<Utc>,
    },
    /// It failed again.
    Rejected {
        /// When that was seen.
        at: DateTime<Utc>,
    },
    /// Nothing is to be sent any more, and nothing was: it was ignored, is kept out, or is as it was.
    Settled {
        /// When that was seen.
        at: DateTime<Utc>,
    },
}

/// Salesforce's side.
#[derive(Clone, Debug, PartialEq)]
pub enum Remote {
    /// Not asked for: the record is only looked at in passing.
    Unasked,
    /// Asked for.
    Loading,
    /// There.
    Known(SalesforceValues),
    /// Not to be had, and why.
    Refused(String),
}

/// The pane's state: one open row.
#[derive(Debug)]
pub struct RecordPane {
    /// Which row.
    pub row: RowRef,
    /// What it is, once known.
    pub view: Option<RecordView>,
    /// Why it cannot be shown.
    pub refusal: Option<String>,
    /// Salesforce's values.
    pub remote: Remote,
    /// Which view.
    pub tab: RecordTab,
    /// Parents and children.
    pub relatives: Lazy<Relative>,
    /// Lines of the log.
    pub lines: Lazy<LogRecord>,
    /// Which field.
    pub cursor: Cursor,
    /// Which line of each view but the first.
    beside: [Cursor; 3],
    /// The operator's last save or retry.
    pub answer: Option<SendStatus>,
    /// Changed fields that are not saved yet.
    changes: Vec<FieldEdit>,
    /// Those that are on their way to be saved: what is refused is not lost.
    saving: Vec<FieldEdit>,
    /// Whether its changes are those of the console before.
    resumed: bool,
    /// The row's last error, by its number.
    error: Option<i64>,
    /// Whether something was done since that sends the row, so that what shows of it is from before.
    stale: bool,
    /// Whether fields without a value are left out, where somebody chose.
    fold: Option<bool>,
    /// Lines that the screen has for it.
    room: usize,
    /// Columns by which values are scrolled to the left.
    scrolled: usize,
    /// When it was read last.
    pub read_at: Option<DateTime<Utc>>,
}

impl RecordPane {
    /// Keeps a changed field, to be saved with others; one that is as it was is no change.
    pub fn keep(&mut self, change: FieldEdit) {
        self.changes.retain(|other| other.column != change.column);
        if change.new != change.shown {
            self.changes.push(change);
        }
    }

    /// What is kept of a field.
    pub fn kept(&self, column: &str) -> Option<&FieldEdit> {
        self.changes.iter().find(|change| change.column == column)
    }

    /// Takes over what the console before kept.
    pub fn resume(&mut self, changes: &[FieldEdit]) {
        self.resumed = true;
        changes.iter().cloned().for_each(|change| self.keep(change));
    }

    /// All that is kept, saved or not.
    pub fn kept_changes(&self) -> impl Iterator<Item = &FieldEdit> {
        let saving = self.saving.iter();
        saving
            .filter(|saving| self.changes.iter().all(|change| change.column != saving.column))
            .chain(&self.changes)
    }

    /// Whether a column's values are kept out of files. As long as that is not known, they are.
    pub fn is_masked(&self, column: &str) -> bool {
        match &self.view {
            Some(view) => view.masked.iter().any(|masked| masked == column),
            // What the console before kept was not masked.
            None => !self.resumed,
        }
    }

    /// Whether something would be lost with the pane.
    pub fn keeps(&self) -> bool {
        !(self.changes.is_empty() && self.saving.is_empty())
    }

    /// Whether a save is on its way.
    pub fn is_saving(&self) -> bool {
        !self.saving.is_empty()
    }

    /// Whether changed fields wait to be saved.
    pub fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// These changes and all that is kept, to be saved.
    pub fn save(&mut self, fields: Vec<FieldEdit>) -> Vec<FieldEdit> {
        fields.into_iter().for_each(|field| self.keep(field));
        self.saving = std::mem::take(&mut self.changes);
        self.saving.clone()
    }

    /// They were saved; or they were refused, and are kept as before.
    pub fn saved(&mut self, done: bool) {
        for change in std::mem::take(&mut self.saving).into_iter().filter(|_| !done) {
            if self.kept(&change.column).is_none() {
                self.changes.push(change);
            }
        }
    }

    /// Nothing of what was changed and not saved is wanted.
    pub fn throw_away(&mut self) {
        self.changes.clear();
        self.stay_in_sight(false);
    }

    /// Whether it is this error's row that is open.
    pub fn is_of(&self, error: i64) -> bool {
        self.error == Some(error)
    }

    /// A row that was just opened.
    pub fn open(row: RowRef) -> RecordPane {
        RecordPane {
            row,
            view: None,
            refusal: None,
            remote: Remote::Unasked,
            tab: RecordTab::default(),
            relatives: Lazy::default(),
            lines: Lazy::default(),
            cursor: Cursor::default(),
            beside: Default::default(),
            answer: None,
            changes: Vec::new(),
            saving: Vec::new(),
            resumed: false,
            error: None,
            stale: false,
            fold: None,
            room: usize::MAX,
            scrolled: 0,
            read_at: None,
        }
    }

    /// The selected field with the row's value.
    pub fn selected(&self) -> Option<&(Field, Option<String>)> {
        self.view.as_ref()?.values.get(self.cursor.at)
    }

    /// Takes the row in. On first sight the cursor goes to the field at fault. True when an answer came with it, which is
    /// looked for only in what was asked for after the save (`latest`).
    pub fn take(&mut self, view: RecordView, now: DateTime<Utc>, latest: bool) -> bool {
        if self.view.is_none() {
            self.cursor.at = view.values.iter().position(|(field, _)| view.is_at_fault(field)).unwrap_or(0);
        }
        let ignored = view.error.as_ref().is_some_and(|error| error.state == ErrorState::Ignored);
        let fails = matches!(view.unit.as_str(), "failed" | "held") && !ignored;
        let answered = match self.answer {
            Some(SendStatus::Sending { before, .. }) if latest => match view.unit.as_str() {
                "in step" if accepted_at(&view) > before => {
                    Some(SendStatus::Accepted { at: accepted_at(&view).unwrap_or(now) })
                }
                "in step" | "kept out" => Some(SendStatus::Settled { at: now }),
                _ if fails => Some(SendStatus::Rejected { at: now }),
                _ if ignored => Some(SendStatus::Settled { at: now }),
                _ => None,
            },
            _ => None,
        };
        // What came of it later makes an answer untrue that stands above it.
        let holds = match self.answer {
            Some(SendStatus::Accepted { .. } | SendStatus::Settled { .. }) => {
                ["in step", "kept out"].contains(&view.unit.as_str()) || ignored
            }
            Some(SendStatus::Rejected { .. }) => fails,
            Some(SendStatus::Sending { .. }) | None => true,
        };
        if !holds {
            self.answer = None;
        }
        self.refusal = None;
        self.stale &= !latest;
        self.read_at = Some(now);
        self.error = view.error.as_ref().map(|error| error.id).or(self.error);
        self.cursor.at = self.cursor.at.min(view.values.len().saturating_sub(1));
        self.view = Some(view);
        // What is at fault no more may be hidden by now, and keys act on what is selected.
        self.stay_in_sight(false);
        let came = answered.is_some();
        self.answer = answered.or(self.answer.take());
        came
    }

    /// Whether Salesforce's values, as they were fetched, are those of a record that is another one by now: the row is in
    /// step again, has a record, or its values changed without a person's doing.
    pub fn outdates(&self, view: &RecordView) -> bool {
        let Some(before) = self.view.as_ref().filter(|_| matches!(self.remote, Remote::Known(_))) else {
            return false;
        };
        let settled = view.unit == "in step" && (before.unit != view.unit || before.values != view.values);
        !matches!(self.answer, Some(SendStatus::Sending { .. })) && (before.sfid != view.sfid || settled)
    }

    /// Whether it is on its way to Salesforce, or was sent and not looked at since.
    pub fn is_being_sent(&self) -> bool {
        self.stale || self.view.as_ref().is_some_and(RecordView::is_being_sent)
    }

    /// Whether the answer to a save or a retry is waited for.
    pub fn awaits_answer(&self) -> bool {
        matches!(self.answer, Some(SendStatus::Sending { .. }))
    }

    /// A save or a retry was taken: now its answer is waited for.
    pub fn await_answer(&mut self, now: DateTime<Utc>) {
        let before = self.view.as_ref().and_then(accepted_at);
        self.stale = true;
        self.answer = Some(SendStatus::Sending { since: now, before });
    }

    /// Why the selected field cannot be edited, if so.
    pub fn edit_refusal(&self) -> Option<&'static str> {
        match self.tab {
            RecordTab::Relatives if self.relative().is_none() => {
                return Some("there is no relative here to open");
            }
            RecordTab::Relatives => return None,
            RecordTab::Attempts | RecordTab::Log => {
                return Some("this view only shows; Esc goes back to the fields");
            }
            RecordTab::Fields => {}
        }
        self.field_refusal()
    }

    /// Why the selected field cannot be edited, whatever view shows.
    pub fn field_refusal(&self) -> Option<&'static str> {
        match (&self.view, self.selected()) {
            // Until it is there, what is typed waits for it.
            (None, _) => self.refusal.as_ref().map(|_| "the record could not be read"),
            (Some(view), _) if !view.exists => Some("the row is gone; only its delete waits"),
            (_, Some((field, _))) if field.read_only() => Some("Salesforce lets nobody write this field"),
            _ => None,
        }
    }

    /// Takes Salesforce's values in, or why they are not to be had.
    pub fn take_values(&mut self, result: Result<SalesforceValues, String>) {
        self.remote = match result {
            Ok(values) => Remote::Known(values),
            Err(why) => Remote::Refused(why),
        };
    }

    /// Asks for Salesforce's values, once.
    pub fn ask(&mut self) -> Option<RowRef> {
        (self.remote == Remote::Unasked).then(|| {
            self.remote = Remote::Loading;
            self.row.clone()
        })
    }

    /// Goes on to the view `by` places further; asks for what it shows.
    pub fn turn(&mut self, by: usize) -> Option<Effect> {
        let at = RecordTab::ALL.iter().position(|tab| *tab == self.tab).unwrap_or(0);
        self.tab = RecordTab::ALL[(at + by) % RecordTab::ALL.len()];
        self.ask_lazy()
    }

    /// Goes to a view; asks for what it shows.
    pub fn turn_to(&mut self, tab: RecordTab) -> Option<Effect> {
        self.tab = tab;
        self.ask_lazy()
    }

    /// Asks for what the view shows, where that is not known.
    pub fn ask_lazy(&mut self) -> Option<Effect> {
        match (self.tab, &self.relatives, &self.lines) {
            (RecordTab::Relatives, Lazy::Unknown, _) => {
                self.relatives = Lazy::Loading;
                Some(Effect::LoadRelatives(self.row.clone()))
            }
            (RecordTab::Log, _, Lazy::Unknown) => {
                self.lines = Lazy::Loading;
                Some(Effect::LoadRecordLog(self.row.clone()))
            }
            _ => None,
        }
    }

    /// What is beside the record may be other than it was: it is asked for again where it shows.
    pub fn forget_lazy(&mut self) -> Option<Effect> {
        let row = self.row.clone();
        // What shows stays until its successor comes.
        match (self.tab, &self.relatives, &self.lines) {
            (RecordTab::Relatives, Lazy::Known(_) | Lazy::Refused(_), _) => {
                self.lines = Lazy::Unknown;
                Some(Effect::LoadRelatives(row))
            }
            (RecordTab::Log, _, Lazy::Known(_) | Lazy::Refused(_)) => {
                self.relatives = Lazy::Unknown;
                Some(Effect::LoadRecordLog(row))
            }
            (RecordTab::Fields | RecordTab::Attempts, ..) => {
                (self.relatives, self.lines) = (Lazy::Unknown, Lazy::Unknown);
                None
            }
            _ => self.ask_lazy(),
        }
    }

    /// Whether a field shows, by its place: one that is at fault, or changed, always does.
    pub(super) fn shows(&self, at: usize) -> bool {
        let Some((view, (field, value))) =
            self.view.as_ref().and_then(|view| Some((view, view.values.get(at)?)))
        else {
            return false;
        };
        !self.hides_empty()
            || value.is_some()
            || view.is_at_fault(field)
            || self.kept(&field.column).is_some()
            || view.sending.value_of(field).is_some()
    }

    /// Whether only fields that have a value show: by choice, or because there is no room for all.
    pub fn hides_empty(&self) -> bool {
        let lines = self.view.as_ref().map_or(0, |view| view.values.len() + SAID);
        self.fold.unwrap_or(lines > self.room)
    }

    /// How many lines the screen has for it, and what was chosen of fields without a value. The selected one shows.
    pub fn fit(&mut self, room: usize, fold: Option<bool>) {
        let changed = (self.room, self.fold) != (room, fold);
        (self.room, self.fold) = (room, fold);
        if changed {
            self.stay_in_sight(true);
        }
    }

    /// The selected field is one that shows, where some do not: the next one, or the one before.
    fn stay_in_sight(&mut self, forward: bool) {
        if !self.hides_empty() {
            return;
        }
        let len = self.view.as_ref().map_or(0, |view| view.values.len());
        let at = self.cursor.at;
        let next = (at..len).find(|at| self.shows(*at));
        let before = (0..at.min(len)).rev().find(|at| self.shows(*at));
        let found = if forward {
            next.or(before)
        } else {
            (at < len && self.shows(at)).then_some(at).or(before).or(next)
        };
        self.cursor.at = found.unwrap_or(0);
    }

    /// Scrolls values sideways.
    pub fn scroll(&mut self, right: bool) {
        let longest = self.view.iter().flat_map(|view| &view.values).filter_map(|(_, value)| value.as_ref());
        let most = longest.map(|value| columns(value)).max().unwrap_or(0);
        self.scrolled =
            self.scrolled.saturating_add_signed(if right { SIDEWAYS } else { -SIDEWAYS }).min(most);
    }

    /// The position in the view, and how many lines that has.
    pub fn here(&mut self) -> (&mut Cursor, usize) {
        match self.tab {
            RecordTab::Fields => (&mut self.cursor, self.view.as_ref().map_or(0, |view| view.values.len())),
            RecordTab::Attempts => {
                (&mut self.beside[0], self.view.as_ref().map_or(0, |view| view.history.len()))
            }
            RecordTab::Relatives => (&mut self.beside[1], self.relatives.len()),
            RecordTab::Log => (&mut self.beside[2], self.lines.len()),
        }
    }

    /// Moves within the view.
    pub fn step(&mut self, step: Step) {
        let (cursor, len) = self.here();
        let before = cursor.at;
        cursor.step(step, len);
        if self.tab == RecordTab::Fields {
            self.stay_in_sight(self.cursor.at > before);
        }
    }

    /// What of the view's selected line is worth a place on a clipboard.
    pub fn copied(&self) -> Option<String> {
        let [attempt, relative, line] = self.beside.map(|cursor| cursor.at);
        match (self.tab, &self.relatives, &self.lines) {
            (RecordTab::Fields, ..) => self.selected()?.1.clone(),
            (RecordTab::Attempts, ..) => {
                let entry = self.view.as_ref()?.history.get(attempt)?;
                Some(format!("{} {} {}", entry.at.to_rfc3339(), entry.what, entry.text))
            }
            (RecordTab::Relatives, Lazy::Known(relatives), _) => {
                relatives.get(relative).map(|relative| format!("{} {}", relative.mapping, relative.row.row))
            }
            (RecordTab::Log, _, Lazy::Known(lines)) => lines.get(line).map(logfmt),
            _ => None,
        }
    }

    /// The selected relative, where the relatives show.
    pub fn relative(&self) -> Option<&Relative> {
        match (&self.relatives, self.tab) {
            (Lazy::Known(relatives), RecordTab::Relatives) => relatives.get(self.beside[1].at),
            _ => None,
        }
    }
}

/// When Salesforce accepted the row last, as far as its history is known.
fn accepted_at(view: &RecordView) -> Option<DateTime<Utc>> {
    view.history.iter().filter(|entry| entry.what == "accepted").map(|entry| entry.at).max()
}
