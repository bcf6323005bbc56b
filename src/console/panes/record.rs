//! The record: every field's value in the row and in Salesforce side by side, the field at fault, what the error
//! means, what to do, and the answer as it comes.

use chrono::{DateTime, Utc};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::console::model::{Model, Pane};
use crate::console::overlays::changes;
use crate::console::widgets::cells::{ago, cell, clip, fit, wrap};
use crate::console::widgets::cursor::Cursor;
use crate::domain::catalogue::Source;
use crate::domain::field::Field;
use crate::domain::names::RowRef;
use crate::domain::record::{FieldEdit, RecordView, SalesforceState, SalesforceValues};
use crate::domain::remedy::Offer;
use crate::domain::sync_error::{ErrorState, SyncError};

/// What became of the operator's last save or retry.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Saved, and on its way.
    Sending {
        /// Since when.
        since: DateTime<Utc>,
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
}

/// Salesforce's side.
#[derive(Clone, Debug, PartialEq)]
pub enum Remote {
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
    /// Which field.
    pub cursor: Cursor,
    /// The operator's last save or retry.
    pub answer: Option<Answer>,
    /// Changed fields that are not saved yet.
    changes: Vec<FieldEdit>,
    /// Whether the operator was told that leaving throws them away.
    leaving: bool,
}

impl RecordPane {
    /// Keeps a changed field, to be saved with others; one that is as it was is no change.
    pub fn keep(&mut self, change: FieldEdit) {
        self.leaving = false;
        self.changes.retain(|other| other.column != change.column);
        if change.new != change.shown {
            self.changes.push(change);
        }
    }

    /// What is kept of a field.
    pub fn kept(&self, column: &str) -> Option<&FieldEdit> {
        self.changes.iter().find(|change| change.column == column)
    }

    /// Whether something is kept.
    pub fn keeps(&self) -> bool {
        !self.changes.is_empty()
    }

    /// All that is kept, to be saved.
    pub fn take_kept(&mut self) -> Vec<FieldEdit> {
        std::mem::take(&mut self.changes)
    }

    /// Whether the pane may be left: at the second time, what is kept is thrown away.
    pub fn leave(&mut self) -> bool {
        if self.changes.is_empty() || std::mem::replace(&mut self.leaving, true) {
            self.changes.clear();
            self.leaving = false;
            return true;
        }
        false
    }

    /// A row that was just opened.
    pub fn open(row: RowRef) -> RecordPane {
        RecordPane {
            row,
            view: None,
            refusal: None,
            remote: Remote::Loading,
            cursor: Cursor::default(),
            answer: None,
            changes: Vec::new(),
            leaving: false,
        }
    }

    /// The selected field with the row's value.
    pub fn selected(&self) -> Option<&(Field, Option<String>)> {
        self.view.as_ref()?.values.get(self.cursor.at)
    }

    /// Takes the row in. On first sight the cursor goes to the field at fault. True when an answer came with it.
    pub fn take(&mut self, view: RecordView, now: DateTime<Utc>) -> bool {
        if self.view.is_none() {
            self.cursor.at = view.values.iter().position(|(field, _)| view.is_at_fault(field)).unwrap_or(0);
        }
        let answered = match self.answer {
            Some(Answer::Sending { .. }) => match view.unit.as_str() {
                "in step" => Some(Answer::Accepted { at: now }),
                "failed" | "held" => Some(Answer::Rejected { at: now }),
                _ => None,
            },
            _ => None,
        };
        self.refusal = None;
        self.cursor.at = self.cursor.at.min(view.values.len().saturating_sub(1));
        self.view = Some(view);
        let came = answered.is_some();
        self.answer = answered.or(self.answer.take());
        came
    }

    /// Why the selected field cannot be edited, if so.
    pub fn edit_refusal(&self) -> Option<&'static str> {
        match (&self.view, self.selected()) {
            (None, _) => Some("the record is still being read"),
            (Some(view), _) if !view.exists => Some("the row is gone; only its delete waits"),
            (_, Some((field, _))) if field.read_only() => Some("Salesforce lets nobody write this field"),
            _ => None,
        }
    }
}

/// Draws the pane.
pub fn draw(model: &Model, frame: &mut Frame, area: Rect) {
    let Some(pane) = &model.record else {
        let block = super::frame(model, Pane::Record, area, "", "");
        let inner = block.inner(area);
        frame.render_widget(block, area);
        let text = ["No record is open.", "Choose an error with j and k, and press Enter."];
        frame.render_widget(Paragraph::new(super::empty(model, &text)), inner);
        return;
    };
    let mapping = pane.view.as_ref().map_or(pane.row.table.as_str(), |view| view.mapping.as_str());
    let sfid = pane.view.as_ref().and_then(|view| view.sfid.as_deref()).unwrap_or("no record yet");
    let unit = pane.view.as_ref().map_or("", |view| view.unit.as_str());
    let block =
        super::frame(model, Pane::Record, area, &format!("{mapping} {} · {sfid}", pane.row.row), unit);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let Some(view) = &pane.view else {
        let text = pane.refusal.as_deref().unwrap_or("reading ...");
        frame.render_widget(
            Paragraph::new(super::empty(model, &[&clip(text, usize::from(inner.width))])),
            inner,
        );
        return;
    };
    let width = usize::from(inner.width);
    let mut lines = answer_line(model, pane, view, width);
    lines.extend(error_lines(model, view, width, usize::from(inner.height)));
    lines.push(head(model, pane, width));
    let history = history_lines(model, view, width, usize::from(inner.height).saturating_sub(lines.len()));
    let before = lines.len();
    let height = usize::from(inner.height).saturating_sub(before + history.len()).max(1);
    let window = pane.cursor.window(view.values.len(), height);
    let top = window.start;
    for at in window {
        let (field, value) = &view.values[at];
        let line = field_line(model, pane, view, field, value.as_deref(), width);
        lines.push(super::list_line(model, Pane::Record, at == pane.cursor.at, line));
    }
    lines.extend(history);
    frame.render_widget(Paragraph::new(lines), inner);
    super::super::view::place_cursor(
        model,
        frame,
        Pane::Record,
        inner,
        before + pane.cursor.at.saturating_sub(top),
    );
}

/// The answer to the operator's last save or retry, in the place where they look.
fn answer_line(model: &Model, pane: &RecordPane, view: &RecordView, width: usize) -> Vec<Line<'static>> {
    let theme = model.theme;
    if pane.keeps() {
        let text = format!(" ✎ {} changed: Ctrl-S saves and sends", pane.changes.len());
        return vec![Line::from(Span::styled(clip(&text, width), theme.warn().patch(theme.strong())))];
    }
    let (text, style) = match &pane.answer {
        None => return Vec::new(),
        Some(Answer::Sending { .. }) => match view.error.as_ref().and_then(|error| error.next_retry_at) {
            Some(at) if at > model.now => {
                (format!("↻ not yet: tried again at {}", model.clock(at)), theme.warn())
            }
            _ => ("↻ saved, sending ...".to_owned(), theme.warn()),
        },
        Some(Answer::Accepted { at }) => {
            (format!("✓ Salesforce took it at {}", model.clock(*at)), theme.good())
        }
        Some(Answer::Rejected { at }) => (format!("✗ rejected again at {}:", model.clock(*at)), theme.bad()),
    };
    vec![Line::from(Span::styled(
        format!(" {}", clip(&text, width.saturating_sub(2))),
        style.patch(theme.strong()),
    ))]
}

fn error_lines(model: &Model, view: &RecordView, width: usize, height: usize) -> Vec<Line<'static>> {
    let theme = model.theme;
    let room = width.saturating_sub(2);
    let Some(error) = &view.error else {
        let text = match view.unit.as_str() {
            "in step" => "In step with Salesforce.",
            "held" => "Waits for its parent.",
            _ => "Waits to be sent.",
        };
        return vec![Line::from(Span::styled(format!(" {text}"), theme.dim()))];
    };
    // On a low screen the words are cut before the values are.
    let (message, cause) = if height < 14 { (1, 1) } else { (2, 2) };
    let mut lines: Vec<Line> = wrap(&error.message, room, message)
        .into_iter()
        .map(|line| Line::from(Span::styled(format!(" {line}"), theme.bad())))
        .collect();
    lines.push(Line::from(Span::styled(format!(" {}", clip(&standing(model, error), room)), theme.dim())));
    let why = format!("{}. {}", view.advice.title, view.advice.cause);
    lines.extend(wrap(&why, room, cause).into_iter().map(|line| Line::from(Span::raw(format!(" {line}")))));
    lines.extend(remedy_lines(model, view, room, if height < 20 { 1 } else { 3 }));
    lines.extend(conflict_line(model, view, room));
    // What is refused here was said already.
    if height >= 14 && view.sending.what != "refused" {
        lines.push(sending_line(model, view, room));
    }
    lines
}

/// The first remedies: what can be done by itself with its number and what it changes, each in a line where there is
/// room.
fn remedy_lines(model: &Model, view: &RecordView, room: usize, most: usize) -> Vec<Line<'static>> {
    let theme = model.theme;
    let words = |offer: &Offer| {
        let changes = changes(offer);
        if changes.is_empty() { offer.text.clone() } else { format!("{}: {changes}", offer.text) }
    };
    let mut offers: Vec<&Offer> = view.advice.remedies.iter().collect();
    offers.sort_by_key(|offer| offer.number.is_none());
    let many = offers.len() > most;
    let mut lines = Vec::new();
    for (at, offer) in offers.iter().take(most).enumerate() {
        let lead = if at == 0 { " Fix  " } else { "      " };
        let number = offer.number.map_or("  · ".to_owned(), |number| format!("[{number}] "));
        let more = if many && at + 1 == most { "  … f shows all" } else { "" };
        lines.push(Line::from(vec![
            Span::styled(lead, theme.key()),
            Span::styled(number, theme.key()),
            Span::raw(clip(&words(offer), room.saturating_sub(9 + more.chars().count()))),
            Span::styled(more, theme.dim()),
        ]));
    }
    lines
}

/// What waits to be chosen.
fn conflict_line(model: &Model, view: &RecordView, room: usize) -> Option<Line<'static>> {
    let open: Vec<String> = view
        .conflicts
        .iter()
        .filter(|conflict| conflict.winner.is_none())
        .map(|conflict| {
            let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
            format!(
                "{}: {} here, {} there",
                conflict.column,
                shown(&conflict.postgres),
                shown(&conflict.salesforce)
            )
        })
        .collect();
    let text = format!(" Both changed  {}", clip(&open.join("; "), room.saturating_sub(14)));
    (!open.is_empty()).then(|| Line::from(Span::styled(text, model.theme.differs())))
}

/// What goes out, or why nothing does.
fn sending_line(model: &Model, view: &RecordView, room: usize) -> Line<'static> {
    let sending = &view.sending;
    let mut text = match (&sending.why, sending.values.is_empty()) {
        (Some(why), true) => format!("{}: {why}", sending.what),
        _ => {
            let value = |(field, value): &(String, Option<String>)| {
                format!("{field} = {}", value.as_deref().unwrap_or("nothing"))
            };
            let values: Vec<String> = sending.values.iter().map(value).collect();
            format!("{}  {}", sending.what, values.join("  "))
        }
    };
    for (field, why) in &sending.left_out {
        text.push_str(&format!("  without {field} ({why})"));
    }
    Line::from(vec![
        Span::styled(" Send ", model.theme.dim()),
        Span::styled(clip(&text, room.saturating_sub(6)), model.theme.dim()),
    ])
}

/// Code, category, class, attempts and state in a line.
fn standing(model: &Model, error: &SyncError) -> String {
    let state = match (error.state, error.next_retry_at) {
        (ErrorState::Retrying, Some(at)) if at > model.now => {
            format!("tried again in {} s", (at - model.now).num_seconds() + 1)
        }
        (state, _) => state.word().to_owned(),
    };
    let tries = match (error.source, error.attempts) {
        (Source::Salesforce, 1) => "1 attempt".to_owned(),
        (Source::Salesforce, attempts) => format!("{attempts} attempts"),
        // Salesforce was not asked.
        _ => "found here".to_owned(),
    };
    let parts = [&error.code, error.category.word(), error.class.word(), &error.op, &tries, &state];
    format!("{} · since {}", parts.join(" · "), model.clock(error.first_seen))
}

/// The widths of the columns: name, row, Salesforce, type.
fn widths(width: usize) -> (usize, usize, usize, usize) {
    let kind = if width >= 90 { 16 } else { 0 };
    let name = (width / 5).clamp(12, 26);
    let rest = width.saturating_sub(3 + name + kind);
    (name, rest / 2, rest - rest / 2, kind)
}

fn head(model: &Model, pane: &RecordPane, width: usize) -> Line<'static> {
    let (name, row, remote, kind) = widths(width);
    let salesforce = match &pane.remote {
        Remote::Loading => "Salesforce: asking ...".to_owned(),
        Remote::Refused(_) => "Salesforce: not known".to_owned(),
        Remote::Known(values) => {
            let age = ago((model.now - values.fetched_at).num_seconds());
            match values.state {
                SalesforceState::Found => format!("Salesforce, {age} ago"),
                SalesforceState::NoRecord => "Salesforce: no record yet".to_owned(),
                SalesforceState::Deleted => "Salesforce: deleted".to_owned(),
            }
        }
    };
    let text = format!(
        "   {}{}{}{}",
        fit("field", name),
        fit("row", row),
        fit(&salesforce, remote),
        fit("type", kind)
    );
    Line::from(Span::styled(text, model.theme.label()))
}

fn field_line(
    model: &Model,
    pane: &RecordPane,
    view: &RecordView,
    field: &Field,
    value: Option<&str>,
    width: usize,
) -> Line<'static> {
    let theme = model.theme;
    let (name, row, remote, kind) = widths(width);
    let fault = view.is_at_fault(field);
    let (theirs, differs) = match &pane.remote {
        Remote::Known(values) if values.state == SalesforceState::Found => {
            let theirs = values.values.get(&field.column).cloned().flatten();
            let differs = theirs.as_deref().unwrap_or("") != value.unwrap_or("");
            (theirs.unwrap_or_default(), differs)
        }
        Remote::Refused(why) if fault => (why.clone(), false),
        _ => (String::new(), false),
    };
    let kept = pane.kept(&field.column);
    let value = kept.map_or(value, |change| change.new.as_deref());
    let sign = match (fault, differs) {
        _ if kept.is_some() => Span::styled(" ✎ ", theme.warn()),
        (true, _) => Span::styled(" ▶ ", theme.bad()),
        (false, true) => Span::styled(" ≠ ", theme.differs()),
        (false, false) => Span::raw("   "),
    };
    let mine = if fault { theme.bad().patch(theme.strong()) } else { Style::new() };
    let null = value.is_none();
    Line::from(vec![
        sign,
        cell(&field.name, name.saturating_sub(1), if fault { theme.strong() } else { theme.text() }),
        Span::raw(" "),
        cell(value.unwrap_or("–"), row.saturating_sub(1), if null && !fault { theme.dim() } else { mine }),
        Span::raw(" "),
        cell(&theirs, remote.saturating_sub(1), if differs { theme.differs() } else { theme.dim() }),
        Span::raw(" "),
        cell(&field.type_text(), kind, theme.dim()),
    ])
}

/// What happened to the record, newest first, where there is room for it.
fn history_lines(model: &Model, view: &RecordView, width: usize, room: usize) -> Vec<Line<'static>> {
    let most = room.saturating_sub(view.values.len().min(8)).min(6);
    if most < 2 || (view.history.is_empty() && view.pending.is_empty()) {
        return Vec::new();
    }
    let theme = model.theme;
    let mut lines = Vec::new();
    if let Some(last) = view.pending.last() {
        let columns: Vec<&str> = last.columns.iter().map(|(column, ..)| column.as_str()).collect();
        let others = view.pending.len() - 1;
        let more = if others > 0 { format!("{others} before · ") } else { String::new() };
        let text =
            format!(" ─ unsent   {} {} {more}{}", model.clock(last.at), last.action, columns.join(", "));
        lines.push(Line::from(Span::styled(clip(&text, width), theme.warn())));
    }
    if view.history.is_empty() {
        return lines;
    }
    lines.push(Line::from(Span::styled(" ─ what happened".to_owned(), theme.dim())));
    let left = most.saturating_sub(lines.len());
    lines.extend(view.history.iter().take(left).map(|entry| {
        let style = match entry.what.as_str() {
            "accepted" => theme.good(),
            "rejected" | "lost" => theme.bad(),
            _ => theme.text(),
        };
        Line::from(vec![
            Span::styled(format!("   {} ", model.clock(entry.at)), theme.dim()),
            cell(&entry.what, 9, style),
            Span::styled(clip(&entry.text, width.saturating_sub(23)), theme.dim()),
        ])
    }));
    lines
}
