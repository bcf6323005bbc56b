//! The sources of the log: how each stands, what it brought and what is missing of it; each can be switched on and off.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::Frame;
use ratatui::layout::Constraint;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::console::context::Context;
use crate::console::outcome::Outcome;
use crate::console::panes::log::{LogPane, ShownSource};
use crate::console::widgets::cells::{clip, count, fit, wrap};
use crate::console::widgets::cursor::{Cursor, Step};
use crate::logs::OWN_SOURCE;
use crate::logs::source::SourceStanding;

/// Lines that the selected source's failure takes at most.
const WHY: usize = 3;
/// Columns of a name, of a number, and of a state's word.
const NAME: usize = 16;
const NUMBER: usize = 11;
const WORD: usize = 10;

/// The list. What it shows is the log's own.
#[derive(Debug, Default)]
pub struct SourceList {
    cursor: Cursor,
}

impl SourceList {
    /// A key; there are so many sources.
    pub fn key(&mut self, key: KeyEvent, sources: usize) -> Vec<Outcome> {
        let step = match key.code {
            KeyCode::Esc | KeyCode::Char('q') => return vec![Outcome::Close],
            KeyCode::Enter | KeyCode::Char(' ') => return vec![Outcome::SwitchSource(self.cursor.at)],
            KeyCode::Up | KeyCode::Char('k') => Step::Lines(-1),
            KeyCode::Down | KeyCode::Char('j') => Step::Lines(1),
            KeyCode::Home | KeyCode::Char('g') => Step::First,
            KeyCode::End | KeyCode::Char('G') => Step::Last,
            _ => Step::Lines(0),
        };
        self.cursor.step(step, sources);
        Vec::new()
    }
}

/// Draws the list.
pub fn draw(ctx: &Context, log: &LogPane, list: &SourceList, frame: &mut Frame) {
    let theme = ctx.theme;
    let screen = frame.area();
    let width = screen.width.saturating_sub(4).min(100);
    let room = usize::from(width).saturating_sub(3);
    let all = log.sources.all();
    let selected = all.get(list.cursor.at);
    let why = selected.and_then(|source| why(ctx, source)).unwrap_or_default();
    let why = wrap(&why, room, WHY);
    let most = usize::from(screen.height).saturating_sub(9 + WHY).max(1);
    let shown = all.len().min(most);
    let height = u16::try_from(shown + why.len() + 5).unwrap_or(u16::MAX);
    let area = screen.centered(Constraint::Length(width), Constraint::Length(height));
    let inner = super::panel(ctx, frame, area, "Where lines come from");
    let head = format!("       {:<NAME$} {:<WORD$} {:>NUMBER$} {:>NUMBER$}  kind", "", "", "lines", "lost");
    let mut lines = vec![Line::from(Span::styled(clip(&head, room), theme.dim()))];
    let window = list.cursor.window(all.len(), shown);
    let (top, at) = (window.start, list.cursor.at);
    super::place_in_list(ctx, frame, area, all.len(), &window);
    for index in window {
        let line = drawn(ctx, log, &all[index], room);
        lines.push(super::chosen_line(ctx, index == at, line));
    }
    lines.extend(why.into_iter().map(|line| Line::from(Span::styled(format!("   {line}"), theme.dim()))));
    lines.push(Line::default());
    let does = if selected.is_some_and(|source| log.sources.is_off(source)) {
        "show its lines"
    } else {
        "hide its lines"
    };
    lines.push(super::hints(ctx, &[("Enter", does), ("↑↓", "choose"), ("Esc", "close")], room));
    frame.render_widget(Paragraph::new(lines), inner);
    let line = u16::try_from(at.saturating_sub(top) + 1).unwrap_or(0);
    frame.set_cursor_position((inner.x, inner.y.saturating_add(line)));
}

fn drawn(ctx: &Context, log: &LogPane, source: &ShownSource, room: usize) -> Line<'static> {
    let theme = ctx.theme;
    let (word, style) = state(ctx, log, source);
    let lost = match (source.lost, source.lost_more) {
        (0, false) => "-".to_owned(),
        (0, true) => "some".to_owned(),
        (lost, more) => format!("{}{}", number(lost), if more { "+" } else { "" }),
    };
    let missing = if source.lost > 0 || source.lost_more { theme.warn() } else { theme.dim() };
    let off = log.sources.is_off(source);
    let shows = if off { "off" } else { "on " };
    Line::from(vec![
        Span::styled(format!("  {shows}  "), if off { theme.warn() } else { theme.key() }),
        Span::styled(format!("{} ", fit(&source.name, NAME)), theme.strong()),
        Span::styled(format!("{} ", fit(word, WORD)), style),
        Span::styled(format!("{:>NUMBER$} ", number(source.lines)), theme.text()),
        Span::styled(format!("{lost:>NUMBER$}  "), missing),
        Span::styled(fit(source.kind, room.saturating_sub(11 + NAME + WORD + 2 * NUMBER)), theme.dim()),
    ])
}

fn number(number: u64) -> String {
    count(i64::try_from(number).unwrap_or(i64::MAX), 0)
}

/// The word for how it stands. The engine's log comes as long as PostgreSQL is there.
fn state(ctx: &Context, log: &LogPane, source: &ShownSource) -> (&'static str, Style) {
    let theme = ctx.theme;
    match &source.standing {
        _ if source.name == OWN_SOURCE && ctx.database.lost.is_some() => ("fails", theme.bad()),
        _ if source.name == OWN_SOURCE && log.loaded => ("works", theme.good()),
        SourceStanding::Opening => ("opening", theme.dim()),
        SourceStanding::Works => ("works", theme.good()),
        SourceStanding::Fails(_) => ("fails", theme.bad()),
        SourceStanding::Ended => ("read", theme.dim()),
    }
}

/// Why it brings nothing, and what helps.
fn why(ctx: &Context, source: &ShownSource) -> Option<String> {
    match &source.standing {
        SourceStanding::Fails(failure) => Some(format!("{}; {}", failure.what, failure.remedy)),
        _ if source.name == OWN_SOURCE => ctx.database.lost.clone(),
        _ => None,
    }
}
