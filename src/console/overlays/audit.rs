//! The audit: what operators did, newest first, and the way back.

use std::collections::BTreeMap;

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::Frame;
use ratatui::layout::Constraint;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::console::context::Context;
use crate::console::effect::Effect;
use crate::console::outcome::Outcome;
use crate::console::widgets::cells::{cell, clip, count, fit};
use crate::console::widgets::cursor::{Cursor, Step};
use crate::domain::operations::answer::Tally;
use crate::domain::operations::operation::AuditRecord;

/// What is done to rows that are sent because of it.
const SENDING: [&str; 11] = [
    "edited",
    "retried",
    "released",
    "linked",
    "replaced",
    "merged",
    "undid",
    "sent again",
    "deleted the record",
    "chose the row's value",
    "chose Salesforce's value",
];

/// The list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AuditLog {
    operations: Vec<AuditRecord>,
    cursor: Cursor,
    /// What became of the rows of those that were looked at, by their numbers; nothing where it could not be counted yet.
    tallies: BTreeMap<i64, Option<Tally>>,
}

impl AuditLog {
    /// The operations that came.
    pub fn new(operations: Vec<AuditRecord>) -> AuditLog {
        AuditLog { operations, cursor: Cursor::default(), tallies: BTreeMap::new() }
    }

    /// The selected one whose rows' answers are to be counted; and whether they were before, so that it has time.
    pub fn uncounted(&self) -> Option<(i64, bool)> {
        let operation = self.operations.get(self.cursor.at)?;
        match self.tallies.get(&operation.operation) {
            None if SENDING.contains(&operation.action.as_str()) => Some((operation.operation, false)),
            Some(tally) if tally.is_none_or(|tally| tally.open() > 0) => Some((operation.operation, true)),
            _ => None,
        }
    }

    /// The answers to an operation's rows were counted, or could not be this time.
    pub fn take(&mut self, operation: i64, tally: Option<Tally>) {
        let known = self.tallies.entry(operation).or_default();
        *known = tally.or(*known);
    }

    /// A key.
    pub fn key(&mut self, key: KeyEvent) -> Vec<Outcome> {
        let len = self.operations.len();
        let selected = self.operations.get(self.cursor.at).map(|operation| operation.operation);
        match (key.code, selected) {
            (KeyCode::Esc | KeyCode::Char('q' | 'a'), _) => return vec![Outcome::Close],
            (KeyCode::Char('u' | 'U'), Some(operation)) => return Outcome::undo(operation).closing(),
            (KeyCode::Enter, Some(operation)) => {
                return Outcome::Load("reading its rows", Effect::LoadAuditRows(operation)).closing();
            }
            (KeyCode::Char('j') | KeyCode::Down, _) => self.cursor.step(Step::Lines(1), len),
            (KeyCode::Char('k') | KeyCode::Up, _) => self.cursor.step(Step::Lines(-1), len),
            (KeyCode::PageDown, _) => self.cursor.step(Step::Lines(10), len),
            (KeyCode::PageUp, _) => self.cursor.step(Step::Lines(-10), len),
            (KeyCode::Char('g') | KeyCode::Home, _) => self.cursor.step(Step::First, len),
            (KeyCode::Char('G') | KeyCode::End, _) => self.cursor.step(Step::Last, len),
            _ => {}
        }
        Vec::new()
    }
}

/// Draws the list over the panes.
pub fn draw(ctx: &Context, operations: &AuditLog, frame: &mut Frame) {
    let theme = ctx.theme;
    let screen = frame.area();
    let width = screen.width.saturating_sub(2).min(140);
    let height = u16::try_from(operations.operations.len().max(1) + 6)
        .unwrap_or(u16::MAX)
        .min(screen.height.saturating_sub(2));
    let area = screen.centered(Constraint::Length(width), Constraint::Length(height));
    let inner = super::panel(ctx, frame, area, "Audit: what operators did");
    let room = usize::from(inner.width);
    let visible = usize::from(inner.height).saturating_sub(4);
    let mut lines = vec![head(ctx, room)];
    let window = operations.cursor.window(operations.operations.len(), visible);
    let top = window.start;
    super::place_in_list(ctx, frame, area, operations.operations.len(), &window);
    for (at, operation) in operations.operations.iter().enumerate().take(window.end).skip(top) {
        lines.push(super::chosen_line(ctx, at == operations.cursor.at, line(ctx, operation, room)));
    }
    if operations.operations.is_empty() {
        lines.push(Line::from(Span::styled("   Nobody has done anything yet.", theme.dim())));
    }
    lines.resize(visible.max(1) + 1, Line::default());
    lines.push(Line::from(Span::styled(detail(operations, room), theme.dim())));
    lines.push(Line::default());
    let undoable = operations
        .operations
        .get(operations.cursor.at)
        .is_some_and(|operation| !operation.is_final && operation.undone < operation.rows);
    let keys: &[(&str, &str)] = match undoable && !ctx.read_only {
        true => &[("u", "take it back"), ("Enter", "its rows"), ("Esc", "close")],
        false => &[("Enter", "its rows"), ("Esc", "close")],
    };
    lines.push(super::hints(ctx, keys, inner.width.into()));
    frame.render_widget(Paragraph::new(lines), inner);
    let line = u16::try_from(1 + operations.cursor.at.saturating_sub(top)).unwrap_or(0);
    frame.set_cursor_position((inner.x, inner.y.saturating_add(line)));
}

/// The widths: operation, time, who, did, to.
fn widths(room: usize) -> [usize; 5] {
    let who = if room >= 110 { 26 } else { 16 };
    [6, 10, who, 12, 24.min(room / 4)]
}

fn head(ctx: &Context, room: usize) -> Line<'static> {
    let [operation, time, who, did, to] = widths(room);
    let text = format!(
        " {}{}{}{}{}what",
        fit("no.", operation),
        fit("time", time),
        fit("who", who),
        fit("did", did),
        fit("to", to)
    );
    Line::from(Span::styled(clip(&text, room), ctx.theme.label()))
}

fn line(ctx: &Context, operation: &AuditRecord, room: usize) -> Line<'static> {
    let theme = ctx.theme;
    let [number, time, who, did, to] = widths(room);
    let undone = operation.undone == operation.rows;
    let what = match operation.undone {
        0 => operation.first.text(),
        _ if undone => format!("undone · {}", operation.first.text()),
        some => format!("{} undone · {}", count(some, 0), operation.first.text()),
    };
    let rest = room.saturating_sub(1 + number + time + who + did + to);
    Line::from(vec![
        Span::raw(" "),
        cell(&operation.operation.to_string(), number, theme.dim()),
        cell(&ctx.clock(operation.at), time, theme.dim()),
        cell(&clip(&operation.actor, who.saturating_sub(1)), who, theme.text()),
        cell(&operation.action, did, if undone { theme.dim() } else { theme.strong() }),
        cell(&clip(&operation.about(|rows| count(rows, 0)), to.saturating_sub(1)), to, theme.text()),
        cell(&what, rest, theme.dim()),
    ])
}

/// Who exactly, and why.
fn detail(operations: &AuditLog, room: usize) -> String {
    let Some(operation) = operations.operations.get(operations.cursor.at) else { return String::new() };
    let why = operation.why.as_ref().map(|why| format!(" · why: {why}")).unwrap_or_default();
    let tally =
        operations.tallies.get(&operation.operation).copied().flatten().filter(|tally| tally.rows() > 0);
    let number = |rows| count(rows, 0);
    let answers = tally.map(|tally| format!(" · {} done, {}", number(operation.rows), tally.text(number)));
    let answers = answers.unwrap_or_default();
    let day = operation.at.format("%Y-%m-%d").to_string();
    clip(&format!(" {day} · {}{answers}{why}", operation.who()), room)
}
