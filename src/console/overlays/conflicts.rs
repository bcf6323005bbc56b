//! Fields that changed both here and in Salesforce, side by side; one chooses field by field.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::Frame;
use ratatui::layout::Constraint;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::console::context::Context;
use crate::console::effect::Effect;
use crate::console::outcome::Outcome;
use crate::console::panes::record::RecordPane;
use crate::console::widgets::cells::{cell, clip, fit};
use crate::console::widgets::cursor::{Cursor, Step};
use crate::domain::changes::merge::Side;
use crate::domain::names::RowRef;
use crate::domain::records::record::Conflict;

/// The open conflicts of one row, and what is chosen so far.
#[derive(Clone, Debug, PartialEq)]
pub struct ConflictPicker {
    row: RowRef,
    fields: Vec<(Conflict, Option<Side>)>,
    cursor: Cursor,
}

impl ConflictPicker {
    /// The open conflicts of the open record, if it has some.
    pub fn of(pane: &RecordPane) -> Option<ConflictPicker> {
        let view = pane.view.as_ref()?;
        let open = view.conflicts.iter().filter(|conflict| conflict.winner.is_none());
        let fields: Vec<(Conflict, Option<Side>)> = open.map(|conflict| (conflict.clone(), None)).collect();
        (!fields.is_empty()).then(|| ConflictPicker {
            row: pane.row.clone(),
            fields,
            cursor: Cursor::default(),
        })
    }

    /// A key.
    pub fn key(&mut self, key: KeyEvent) -> Vec<Outcome> {
        let len = self.fields.len();
        match key.code {
            KeyCode::Esc | KeyCode::Char('q') => return vec![Outcome::Close],
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
                    return Outcome::Effect(Effect::Resolve { row: self.row.clone(), sides: chosen })
                        .closing();
                }
            }
            _ => {}
        }
        Vec::new()
    }
}

/// Draws both sides over the panes.
pub fn draw(ctx: &Context, picker: &ConflictPicker, frame: &mut Frame) {
    let theme = ctx.theme;
    let screen = frame.area();
    let width = screen.width.saturating_sub(4).min(110);
    let height =
        u16::try_from(picker.fields.len() + 6).unwrap_or(u16::MAX).min(screen.height.saturating_sub(2));
    let area = screen.centered(Constraint::Length(width), Constraint::Length(height));
    let title = format!("{}: changed here and in Salesforce", ctx.row_name(&picker.row));
    let inner = super::panel(ctx, frame, area, &title);
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
    let window = picker.cursor.window(picker.fields.len(), visible);
    let top = window.start;
    super::place_in_list(ctx, frame, area, picker.fields.len(), &window);
    let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
    for at in window {
        let (field, side) = &picker.fields[at];
        let picked = |own: Side| if *side == Some(own) { "● " } else { "○ " };
        let style =
            |own: Side| if *side == Some(own) { theme.good().patch(theme.strong()) } else { theme.text() };
        let lead = if at == picker.cursor.at { "▌" } else { " " };
        lines.push(Line::from(vec![
            Span::styled(lead, theme.key()),
            cell(&field.column, name, if at == picker.cursor.at { theme.strong() } else { theme.text() }),
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
    lines.push(super::hints(ctx, &keys, room));
    frame.render_widget(Paragraph::new(lines), inner);
    let line = u16::try_from(1 + picker.cursor.at.saturating_sub(top)).unwrap_or(0);
    frame.set_cursor_position((inner.x, inner.y.saturating_add(line)));
}
