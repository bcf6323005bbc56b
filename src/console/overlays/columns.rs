//! The columns of the errors: each left out or shown, wider or narrower, while the list shows what comes of it.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::console::columns::{Column, ErrorColumns};
use crate::console::context::Context;
use crate::console::outcome::Outcome;
use crate::console::widgets::cells::fit;
use crate::console::widgets::cursor::{Cursor, Step};

/// The list of columns.
#[derive(Debug)]
pub struct ColumnsView {
    columns: ErrorColumns,
    cursor: Cursor,
}

impl ColumnsView {
    /// The columns as they are now.
    pub fn new(columns: ErrorColumns) -> ColumnsView {
        ColumnsView { columns, cursor: Cursor::default() }
    }

    /// A key; what it changes shows at once.
    pub fn key(&mut self, key: KeyEvent) -> Vec<Outcome> {
        let column = Column::ALL[self.cursor.at.min(Column::ALL.len() - 1)];
        let before = self.columns.clone();
        match key.code {
            KeyCode::Esc | KeyCode::Enter | KeyCode::Char('q') => return vec![Outcome::Close],
            KeyCode::Char('j') | KeyCode::Down => self.cursor.step(Step::Lines(1), Column::ALL.len()),
            KeyCode::Char('k') | KeyCode::Up => self.cursor.step(Step::Lines(-1), Column::ALL.len()),
            KeyCode::Char(' ') => self.columns.toggle(column),
            KeyCode::Char('l' | '>' | '+') | KeyCode::Right => self.columns.widen(column, true),
            KeyCode::Char('h' | '<' | '-') | KeyCode::Left => self.columns.widen(column, false),
            KeyCode::Char('d') => self.columns = ErrorColumns::default(),
            _ => {}
        }
        let changed = self.columns != before;
        changed.then(|| Outcome::Columns(self.columns.clone())).into_iter().collect()
    }
}

/// Draws them in the lower part of the screen, below the list that they are of.
pub fn draw(ctx: &Context, view: &ColumnsView, frame: &mut Frame) {
    let theme = ctx.theme;
    let screen = frame.area();
    let width = screen.width.saturating_sub(4).min(76);
    let height = u16::try_from(Column::ALL.len() + 4).unwrap_or(7).min(screen.height);
    let area = Rect::new(
        screen.x + (screen.width - width) / 2,
        screen.bottom().saturating_sub(height + 1).max(screen.y),
        width,
        height,
    );
    let inner = super::panel(ctx, frame, area, "Columns of the errors; the field takes the rest");
    let mut lines: Vec<Line> = Column::ALL
        .into_iter()
        .enumerate()
        .map(|(at, column)| {
            let shows = if view.columns.hides(column) { "off" } else { "on " };
            let word = if view.columns.hides(column) { String::new() } else { view.columns.word(column) };
            let line = Line::from(vec![
                Span::styled(format!("  {shows}  "), theme.key()),
                Span::styled(fit(column.name(), 12), theme.text()),
                Span::styled(fit(&word, usize::from(inner.width).saturating_sub(19)), theme.dim()),
            ]);
            super::chosen_line(ctx, at == view.cursor.at, line)
        })
        .collect();
    lines.push(Line::default());
    let keys =
        [("Space", "show or not"), ("←→", "narrower, wider"), ("d", "as it was made"), ("Esc", "close")];
    lines.push(super::hints(ctx, &keys, inner.width.into()));
    frame.render_widget(Paragraph::new(lines), inner);
    let line = u16::try_from(view.cursor.at).unwrap_or(0);
    frame.set_cursor_position((inner.x, inner.y.saturating_add(line)));
}
