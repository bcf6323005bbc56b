//! The record: every field's value in the row and in Salesforce side by side, the field at fault, what the error
//! means, what to do, and the answer as it comes; behind them its attempts, its relatives and its log lines.

mod fields;
mod story;
mod tabs;

use chrono::{DateTime, Utc};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::console::effect::Effect;
use crate::console::model::{Model, Pane};
use crate::console::panes::errors;
use crate::console::widgets::cursor::{Cursor, Step};
use crate::domain::field::Field;
use crate::domain::names::RowRef;
use crate::domain::record::{FieldEdit, RecordView, Relative, SalesforceValues};
use crate::domain::sync_error::ErrorState;
use crate::logs::LogRecord;
use crate::logs::line::logfmt;

/// Log lines of a record that are shown.
pub const LINES: usize = 500;

/// A view of the record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tab {
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

impl Tab {
    /// In their order.
    pub const ALL: [Tab; 4] = [Tab::Fields, Tab::Attempts, Tab::Relatives, Tab::Log];

    fn title(self) -> &'static str {
        match self {
            Tab::Fields => "fields",
            Tab::Attempts => "attempts",
            Tab::Relatives => "relatives",
            Tab::Log => "log",
        }
    }
}

/// Something beside the record that is asked for when it is looked at.
#[derive(Debug, Default)]
pub enum Beside<T> {
    /// Not asked for yet.
    #[default]
    Unknown,
    /// Asked for.
    Loading,
    /// There.
    Known(Vec<T>),
    /// Not to be had, and why.
    Refused(String),
}

/// What became of the operator's last save or retry.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
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
    pub tab: Tab,
    /// Parents and children.
    pub relatives: Beside<Relative>,
    /// Lines of the log.
    pub lines: Beside<LogRecord>,
    /// Which field.
    pub cursor: Cursor,
    /// Which line of each view but the first.
    beside: [Cursor; 3],
    /// The operator's last save or retry.
    pub answer: Option<Answer>,
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
            tab: Tab::default(),
            relatives: Beside::default(),
            lines: Beside::default(),
            cursor: Cursor::default(),
            beside: Default::default(),
            answer: None,
            changes: Vec::new(),
            saving: Vec::new(),
            resumed: false,
            error: None,
            stale: false,
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
            Some(Answer::Sending { before, .. }) if latest => match view.unit.as_str() {
                "in step" if accepted_at(&view) > before => {
                    Some(Answer::Accepted { at: accepted_at(&view).unwrap_or(now) })
                }
                "in step" | "kept out" => Some(Answer::Settled { at: now }),
                _ if fails => Some(Answer::Rejected { at: now }),
                _ if ignored => Some(Answer::Settled { at: now }),
                _ => None,
            },
            _ => None,
        };
        // What came of it later makes an answer untrue that stands above it.
        let holds = match self.answer {
            Some(Answer::Accepted { .. } | Answer::Settled { .. }) => {
                ["in step", "kept out"].contains(&view.unit.as_str()) || ignored
            }
            Some(Answer::Rejected { .. }) => fails,
            Some(Answer::Sending { .. }) | None => true,
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
        !matches!(self.answer, Some(Answer::Sending { .. })) && (before.sfid != view.sfid || settled)
    }

    /// Whether it is on its way to Salesforce, or was sent and not looked at since.
    pub fn is_being_sent(&self) -> bool {
        self.stale || self.view.as_ref().is_some_and(RecordView::is_being_sent)
    }

    /// Whether the answer to a save or a retry is waited for.
    pub fn awaits_answer(&self) -> bool {
        matches!(self.answer, Some(Answer::Sending { .. }))
    }

    /// A save or a retry was taken: now its answer is waited for.
    pub fn await_answer(&mut self, now: DateTime<Utc>) {
        let before = self.view.as_ref().and_then(accepted_at);
        self.stale = true;
        self.answer = Some(Answer::Sending { since: now, before });
    }

    /// Why the selected field cannot be edited, if so.
    pub fn edit_refusal(&self) -> Option<&'static str> {
        match self.tab {
            Tab::Relatives if self.relative().is_none() => return Some("there is no relative here to open"),
            Tab::Relatives => return None,
            Tab::Attempts | Tab::Log => return Some("this view only shows; Esc goes back to the fields"),
            Tab::Fields => {}
        }
        match (&self.view, self.selected()) {
            // Until it is there, what is typed waits for it.
            (None, _) => self.refusal.as_ref().map(|_| "the record could not be read"),
            (Some(view), _) if !view.exists => Some("the row is gone; only its delete waits"),
            (_, Some((field, _))) if field.read_only() => Some("Salesforce lets nobody write this field"),
            _ => None,
        }
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
        let at = Tab::ALL.iter().position(|tab| *tab == self.tab).unwrap_or(0);
        self.tab = Tab::ALL[(at + by) % Tab::ALL.len()];
        self.ask_beside()
    }

    /// Asks for what the view shows, where that is not known.
    pub fn ask_beside(&mut self) -> Option<Effect> {
        match (self.tab, &self.relatives, &self.lines) {
            (Tab::Relatives, Beside::Unknown, _) => {
                self.relatives = Beside::Loading;
                Some(Effect::LoadRelatives(self.row.clone()))
            }
            (Tab::Log, _, Beside::Unknown) => {
                self.lines = Beside::Loading;
                Some(Effect::LoadRecordLog(self.row.clone()))
            }
            _ => None,
        }
    }

    /// What is beside the record may be other than it was: it is asked for again where it shows.
    pub fn forget_beside(&mut self) -> Option<Effect> {
        let row = self.row.clone();
        // What shows stays until its successor comes.
        match (self.tab, &self.relatives, &self.lines) {
            (Tab::Relatives, Beside::Known(_) | Beside::Refused(_), _) => {
                self.lines = Beside::Unknown;
                Some(Effect::LoadRelatives(row))
            }
            (Tab::Log, _, Beside::Known(_) | Beside::Refused(_)) => {
                self.relatives = Beside::Unknown;
                Some(Effect::LoadRecordLog(row))
            }
            (Tab::Fields | Tab::Attempts, ..) => {
                (self.relatives, self.lines) = (Beside::Unknown, Beside::Unknown);
                None
            }
            _ => self.ask_beside(),
        }
    }

    /// The position in the view, and how many lines that has.
    pub fn here(&mut self) -> (&mut Cursor, usize) {
        match self.tab {
            Tab::Fields => (&mut self.cursor, self.view.as_ref().map_or(0, |view| view.values.len())),
            Tab::Attempts => (&mut self.beside[0], self.view.as_ref().map_or(0, |view| view.history.len())),
            Tab::Relatives => (&mut self.beside[1], self.relatives.len()),
            Tab::Log => (&mut self.beside[2], self.lines.len()),
        }
    }

    /// Moves within the view.
    pub fn step(&mut self, step: Step) {
        let (cursor, len) = self.here();
        cursor.step(step, len);
    }

    /// What of the view's selected line is worth a place on a clipboard.
    pub fn copied(&self) -> Option<String> {
        let [attempt, relative, line] = self.beside.map(|cursor| cursor.at);
        match (self.tab, &self.relatives, &self.lines) {
            (Tab::Fields, ..) => self.selected()?.1.clone(),
            (Tab::Attempts, ..) => {
                let entry = self.view.as_ref()?.history.get(attempt)?;
                Some(format!("{} {} {}", entry.at.to_rfc3339(), entry.what, entry.text))
            }
            (Tab::Relatives, Beside::Known(relatives), _) => {
                relatives.get(relative).map(|relative| format!("{} {}", relative.mapping, relative.row.row))
            }
            (Tab::Log, _, Beside::Known(lines)) => lines.get(line).map(logfmt),
            _ => None,
        }
    }

    /// The selected relative, where the relatives show.
    pub fn relative(&self) -> Option<&Relative> {
        match (&self.relatives, self.tab) {
            (Beside::Known(relatives), Tab::Relatives) => relatives.get(self.beside[1].at),
            _ => None,
        }
    }
}

/// When Salesforce accepted the row last, as far as its history is known.
fn accepted_at(view: &RecordView) -> Option<DateTime<Utc>> {
    view.history.iter().filter(|entry| entry.what == "accepted").map(|entry| entry.at).max()
}

impl<T> Beside<T> {
    fn len(&self) -> usize {
        if let Beside::Known(items) = self { items.len() } else { 0 }
    }

    /// Takes an answer in.
    pub fn take(&mut self, result: Result<Vec<T>, String>) {
        *self = match result {
            Ok(items) => Beside::Known(items),
            Err(why) => Beside::Refused(why),
        };
    }
}

/// Draws the pane.
pub fn draw(model: &Model, frame: &mut Frame, area: Rect) {
    let Some(pane) = &model.record else { return draw_without(model, frame, area) };
    let mapping = pane.view.as_ref().map_or(pane.row.table.as_str(), |view| view.mapping.as_str());
    let sfid = pane.view.as_ref().and_then(|view| view.sfid.as_deref()).unwrap_or("no record yet");
    let unit = pane.view.as_ref().map_or("", |view| view.unit.as_str());
    let shows = format!("{mapping} {} · {sfid}", pane.row.row);
    let unit = super::dated(model, pane.read_at, unit);
    let block = super::frame(model, Pane::Record, area, &shows, &unit).title_bottom(turns(model, pane));
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let Some(view) = &pane.view else {
        let text = pane.refusal.as_deref().unwrap_or("reading ...");
        frame.render_widget(Paragraph::new(super::empty(model, inner, text)), inner);
        return;
    };
    let (lines, at) = match pane.tab {
        Tab::Fields => fields::lines(model, pane, view, inner),
        _ => tabs::lines(model, pane, view, inner),
    };
    frame.render_widget(Paragraph::new(lines), inner);
    super::super::view::place_cursor(model, frame, Pane::Record, inner, at);
}

/// Draws the pane while no record is open: what the selected error means, where it is one of no row.
fn draw_without(model: &Model, frame: &mut Frame, area: Rect) {
    let error = model.rowless();
    let shows = error.map(errors::subject).unwrap_or_default();
    let block = super::frame(model, Pane::Record, area, &shows, "");
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let lines = match error {
        Some(error) => story::rowless_lines(model, error, usize::from(inner.width)),
        None if model.errors.items.is_empty() => super::empty(
            model,
            inner,
            "The record of a failed row shows here, with what is wrong and what helps.",
        ),
        None => super::empty(
            model,
            inner,
            "No record is open.\nChoose an error with j and k: its record shows here; Enter goes into it.",
        ),
    };
    frame.render_widget(Paragraph::new(lines), inner);
}

/// The views, the one that shows marked.
fn turns(model: &Model, pane: &RecordPane) -> Line<'static> {
    let theme = model.theme;
    let spans = Tab::ALL.iter().flat_map(|tab| {
        let shows = *tab == pane.tab;
        let style = if shows { theme.strong() } else { theme.dim() };
        let text = if shows { format!("[{}]", tab.title()) } else { format!(" {} ", tab.title()) };
        [Span::styled(text, style)]
    });
    Line::from_iter(spans).right_aligned()
}
