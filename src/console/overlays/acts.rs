//! The audit: what operators did, newest first, and the way back.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::Frame;
use ratatui::layout::Constraint;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::console::model::Model;
use crate::console::widgets::cells::{cell, clip, count, fit};
use crate::console::widgets::cursor::{Cursor, Step};
use crate::domain::act::PastAct;

/// The list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Acts {
    acts: Vec<PastAct>,
    cursor: Cursor,
}

/// What a key did.
#[derive(Debug, PartialEq)]
pub enum Looked {
    /// Nothing yet.
    Open(Acts),
    /// This one is to be taken back.
    Undo(i64),
    /// Its rows are to be shown.
    Rows(i64),
    /// It was left.
    Left,
}

impl Acts {
    /// The acts that came.
    pub fn new(acts: Vec<PastAct>) -> Acts {
        Acts { acts, cursor: Cursor::default() }
    }

    /// A key.
    pub fn key(mut self, key: KeyEvent) -> Looked {
        let len = self.acts.len();
        let selected = self.acts.get(self.cursor.at).map(|act| act.act);
        match (key.code, selected) {
            (KeyCode::Esc | KeyCode::Char('q' | 'a'), _) => return Looked::Left,
            (KeyCode::Char('u' | 'U'), Some(act)) => return Looked::Undo(act),
            (KeyCode::Enter, Some(act)) => return Looked::Rows(act),
            (KeyCode::Char('j') | KeyCode::Down, _) => self.cursor.step(Step::Lines(1), len),
            (KeyCode::Char('k') | KeyCode::Up, _) => self.cursor.step(Step::Lines(-1), len),
            (KeyCode::PageDown, _) => self.cursor.step(Step::Lines(10), len),
            (KeyCode::PageUp, _) => self.cursor.step(Step::Lines(-10), len),
            (KeyCode::Char('g') | KeyCode::Home, _) => self.cursor.step(Step::First, len),
            (KeyCode::Char('G') | KeyCode::End, _) => self.cursor.step(Step::Last, len),
            _ => {}
        }
        Looked::Open(self)
    }
}

/// Draws the list over the panes.
pub fn draw(model: &Model, acts: &Acts, frame: &mut Frame) {
    let theme = model.theme;
    let screen = frame.area();
    let width = screen.width.saturating_sub(2).min(140);
    let height =
        u16::try_from(acts.acts.len().max(1) + 6).unwrap_or(u16::MAX).min(screen.height.saturating_sub(2));
    let area = screen.centered(Constraint::Length(width), Constraint::Length(height));
    let inner = super::panel(model, frame, area, "Audit: what operators did");
    let room = usize::from(inner.width);
    let visible = usize::from(inner.height).saturating_sub(4);
    let mut lines = vec![head(model, room)];
    let window = acts.cursor.window(acts.acts.len(), visible);
    let top = window.start;
    for (at, act) in acts.acts.iter().enumerate().take(window.end).skip(top) {
        lines.push(super::chosen_line(model, at == acts.cursor.at, line(model, act, room)));
    }
    if acts.acts.is_empty() {
        lines.push(Line::from(Span::styled("   Nobody has done anything yet.", theme.dim())));
    }
    lines.resize(visible.max(1) + 1, Line::default());
    lines.push(Line::from(Span::styled(detail(acts, room), theme.dim())));
    lines.push(Line::default());
    let undoable = acts.acts.get(acts.cursor.at).is_some_and(|act| !act.is_final && act.undone < act.rows);
    let keys: &[(&str, &str)] = match undoable && !model.read_only {
        true => &[("u", "take it back"), ("Enter", "its rows"), ("Esc", "close")],
        false => &[("Enter", "its rows"), ("Esc", "close")],
    };
    lines.push(super::hints(model, keys, inner.width.into()));
    frame.render_widget(Paragraph::new(lines), inner);
    let line = u16::try_from(1 + acts.cursor.at.saturating_sub(top)).unwrap_or(0);
    frame.set_cursor_position((inner.x, inner.y.saturating_add(line)));
}

/// The widths: act, time, who, did, to.
fn widths(room: usize) -> [usize; 5] {
    let who = if room >= 110 { 26 } else { 16 };
    [6, 10, who, 12, 24.min(room / 4)]
}

fn head(model: &Model, room: usize) -> Line<'static> {
    let [act, time, who, did, to] = widths(room);
    let text = format!(
        " {}{}{}{}{}what",
        fit("act", act),
        fit("time", time),
        fit("who", who),
        fit("did", did),
        fit("to", to)
    );
    Line::from(Span::styled(clip(&text, room), model.theme.label()))
}

fn line(model: &Model, act: &PastAct, room: usize) -> Line<'static> {
    let theme = model.theme;
    let [number, time, who, did, to] = widths(room);
    let undone = act.undone == act.rows;
    let what = match act.undone {
        0 => act.first.text(),
        _ if undone => format!("undone · {}", act.first.text()),
        some => format!("{} undone · {}", count(some, 0), act.first.text()),
    };
    let rest = room.saturating_sub(1 + number + time + who + did + to);
    Line::from(vec![
        Span::raw(" "),
        cell(&act.act.to_string(), number, theme.dim()),
        cell(&model.clock(act.at), time, theme.dim()),
        cell(&clip(&act.actor, who.saturating_sub(1)), who, theme.text()),
        cell(&act.action, did, if undone { theme.dim() } else { theme.strong() }),
        cell(&clip(&act.about(|rows| count(rows, 0)), to.saturating_sub(1)), to, theme.text()),
        cell(&what, rest, theme.dim()),
    ])
}

/// Who exactly, and why.
fn detail(acts: &Acts, room: usize) -> String {
    let Some(act) = acts.acts.get(acts.cursor.at) else { return String::new() };
    let why = act.why.as_ref().map(|why| format!(" · why: {why}")).unwrap_or_default();
    let day = act.at.format("%Y-%m-%d").to_string();
    clip(&format!(" {day} · {}{why}", act.who()), room)
}
