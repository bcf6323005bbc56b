//! The lines of the log by their patterns: one is filtered by, or silenced.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::Frame;
use ratatui::layout::Constraint;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::console::context::Context;
use crate::console::outcome::Outcome;
use crate::console::widgets::cells::{count, fit};
use crate::console::widgets::cursor::{Cursor, Step};
use crate::logs::Level;
use crate::logs::shape::Pattern;

/// The list.
#[derive(Debug)]
pub struct Patterns {
    patterns: Vec<Pattern>,
    /// How many lines were looked at: the newest of those that show.
    lines: usize,
    /// How many show.
    all: usize,
    cursor: Cursor,
}

impl Patterns {
    /// The patterns of the newest `lines` of `all` that show.
    pub fn new(patterns: Vec<Pattern>, lines: usize, all: usize) -> Patterns {
        Patterns { patterns, lines, all, cursor: Cursor::default() }
    }

    /// A key.
    pub fn key(&mut self, key: KeyEvent) -> Vec<Outcome> {
        let step = match key.code {
            KeyCode::Esc | KeyCode::Char('q') => return vec![Outcome::Close],
            KeyCode::Enter => return self.chosen(""),
            KeyCode::Char('-') => return self.chosen("-"),
            KeyCode::Up | KeyCode::Char('k') => Step::Lines(-1),
            KeyCode::Down | KeyCode::Char('j') => Step::Lines(1),
            KeyCode::PageUp => Step::Lines(-10),
            KeyCode::PageDown => Step::Lines(10),
            KeyCode::Home | KeyCode::Char('g') => Step::First,
            KeyCode::End | KeyCode::Char('G') => Step::Last,
            _ => Step::Lines(0),
        };
        self.cursor.step(step, self.patterns.len());
        Vec::new()
    }

    fn chosen(&self, sign: &str) -> Vec<Outcome> {
        let pattern = self.patterns.get(self.cursor.at);
        let part = pattern.map(|pattern| format!("{sign}pattern:\"{}\"", pattern.text));
        [Outcome::Close].into_iter().chain(part.map(Outcome::NarrowLog)).collect()
    }
}

/// Draws the list.
pub fn draw(ctx: &Context, list: &Patterns, frame: &mut Frame) {
    let theme = ctx.theme;
    let screen = frame.area();
    let width = screen.width.saturating_sub(4).min(120);
    let shown = list.patterns.len().clamp(1, usize::from(screen.height.saturating_sub(8)).max(1));
    let height = u16::try_from(shown + 4).unwrap_or(u16::MAX);
    let area = screen.centered(Constraint::Length(width), Constraint::Length(height));
    let number = |number: usize| count(number as i64, 0);
    let plural = |number: usize| if number == 1 { "" } else { "s" };
    let (patterns, all) = (list.patterns.len(), list.all);
    let newest =
        if list.lines < all { format!("the newest {} of ", number(list.lines)) } else { String::new() };
    let title = format!(
        "{} pattern{} of {newest}{} line{}",
        number(patterns),
        plural(patterns),
        number(all),
        plural(all)
    );
    let inner = super::panel(ctx, frame, area, &title);
    let room = usize::from(inner.width);
    let window = list.cursor.window(list.patterns.len(), shown);
    super::place_in_list(ctx, frame, area, list.patterns.len(), &window);
    let mut lines: Vec<Line> = window
        .map(|at| {
            let Pattern { text, count: lines, level } = &list.patterns[at];
            let (word, style) = match level {
                Level::Debug => ("debug", theme.dim()),
                Level::Info => ("info", theme.dim()),
                Level::Warn => ("WARN", theme.warn()),
                Level::Error => ("ERROR", theme.bad()),
            };
            let text = fit(if text.is_empty() { "(no message)" } else { text }, room.saturating_sub(16));
            let selected = at == list.cursor.at;
            let sign = if selected { "▸" } else { " " };
            let line = Line::from(vec![
                Span::styled(format!("{sign}{:>8} ", number(*lines)), theme.strong()),
                Span::styled(fit(word, 6), style),
                Span::styled(text, theme.text()),
            ]);
            if selected { line.style(theme.selected(true)) } else { line }
        })
        .collect();
    lines.push(Line::default());
    let keys = [("Enter", "only these"), ("-", "silence them"), ("↑↓", "choose"), ("Esc", "leave")];
    lines.push(super::hints(ctx, &keys, room));
    frame.render_widget(Paragraph::new(lines), inner);
}
