//! Fields that changed both here and in Salesforce, side by side; one chooses field by field.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::Frame;
use ratatui::layout::Constraint;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::console::model::Model;
use crate::console::panes::record::RecordPane;
use crate::console::widgets::cells::{cell, clip, fit};
use crate::console::widgets::cursor::{Cursor, Step};
use crate::domain::merge::Side;
use crate::domain::names::RowRef;
use crate::domain::record::Conflict;

/// The open conflicts of one row, and what is chosen so far.
#[derive(Clone, Debug, PartialEq)]
pub struct Sides {
    row: RowRef,
    fields: Vec<(Conflict, Option<Side>)>,
    cursor: Cursor,
}

/// What a key did.
#[derive(Debug, PartialEq)]
pub enum Picked {
    /// Nothing yet.
    Open(Sides),
    /// These are chosen, by column.
    Chosen(RowRef, Vec<(String, Side)>),
    /// It was left.
    Left,
}

impl Sides {
    /// The open conflicts of the open record, if it has some.
    pub fn of(pane: &RecordPane) -> Option<Sides> {
        let view = pane.view.as_ref()?;
        let open = view.conflicts.iter().filter(|conflict| conflict.winner.is_none());
        let fields: Vec<(Conflict, Option<Side>)> = open.map(|conflict| (conflict.clone(), None)).collect();
        (!fields.is_empty()).then(|| Sides { row: pane.row.clone(), fields, cursor: Cursor::default() })
    }

    /// A key.
    pub fn key(mut self, key: KeyEvent) -> Picked {
        let len = self.fields.len();
        match key.code {
            KeyCode::Esc | KeyCode::Char('q') => return Picked::Left,
            KeyCode::Char('j') | KeyCode::Down => self.cursor.step(Step::Lines(1), len),
            KeyCode::Char('k') | KeyCode::Up => self.cursor.step(Step::Lines(-1), len),
            KeyCode::Char('h') | KeyCode::Left => self.fields[self.cursor.at].1 = Some(Side::Postgres),
            KeyCode::Char('l') | KeyCode::Right => self.fields[self.cursor.at].1 = Some(Side::Salesforce),
            KeyCode::Char('H') => self.fields.iter_mut().for_each(|(_, side)| *side = Some(Side::Postgres)),
            KeyCode::Char('L') => self.fields.iter_mut().for_each(|(_, side)| *side = Some(Side::Salesforce)),
            KeyCode::Enter => {
                let chosen: Vec<(String, Side)> = self
                    .fields
                    .iter()
                    .filter_map(|(field, side)| Some((field.column.clone(), (*side)?)))
                    .collect();
                if !chosen.is_empty() {
                    return Picked::Chosen(self.row, chosen);
                }
            }
            _ => {}
        }
        Picked::Open(self)
    }
}

/// Draws both sides over the panes.
pub fn draw(model: &Model, sides: &Sides, frame: &mut Frame) {
    let theme = model.theme;
    let screen = frame.area();
    let width = screen.width.saturating_sub(4).min(110);
    let height =
        u16::try_from(sides.fields.len() + 6).unwrap_or(u16::MAX).min(screen.height.saturating_sub(2));
    let area = screen.centered(Constraint::Length(width), Constraint::Length(height));
    let title = format!("{} {}: changed here and in Salesforce", sides.row.table, sides.row.row);
    let inner = super::panel(model, frame, area, &title);
    let room = usize::from(inner.width);
    let name = (room / 5).clamp(12, 24);
    let before = if room >= 90 { (room - name) / 4 } else { 0 };
    let value = room.saturating_sub(name + before + 8) / 2;
    let head = format!(
        " {}{}  {}  {}",
        fit("field", name),
        fit(if before > 0 { "before" } else { "" }, before),
        fit("  here", value),
        fit("  Salesforce", value)
    );
    let mut lines = vec![Line::from(Span::styled(clip(&head, room), theme.label()))];
    let visible = usize::from(inner.height).saturating_sub(3);
    let window = sides.cursor.window(sides.fields.len(), visible);
    let top = window.start;
    let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
    for at in window {
        let (field, side) = &sides.fields[at];
        let picked = |own: Side| if *side == Some(own) { "● " } else { "○ " };
        let style =
            |own: Side| if *side == Some(own) { theme.good().patch(theme.strong()) } else { theme.text() };
        let lead = if at == sides.cursor.at { "▌" } else { " " };
        lines.push(Line::from(vec![
            Span::styled(lead, theme.key()),
            cell(&field.column, name, if at == sides.cursor.at { theme.strong() } else { theme.text() }),
            cell(&if before > 0 { shown(&field.base) } else { String::new() }, before, theme.dim()),
            Span::raw("  "),
            cell(
                &format!("{}{}", picked(Side::Postgres), shown(&field.postgres)),
                value,
                style(Side::Postgres),
            ),
            Span::raw("  "),
            cell(
                &format!("{}{}", picked(Side::Salesforce), shown(&field.salesforce)),
                value,
                style(Side::Salesforce),
            ),
        ]));
    }
    lines.push(Line::default());
    let keys =
        [("←→", "choose"), ("Enter", "do it and send"), ("H L", "one side for all"), ("Esc", "leave it")];
    lines.push(super::hints(model, &keys, room));
    frame.render_widget(Paragraph::new(lines), inner);
    let line = u16::try_from(1 + sides.cursor.at.saturating_sub(top)).unwrap_or(0);
    frame.set_cursor_position((inner.x, inner.y.saturating_add(line)));
}
