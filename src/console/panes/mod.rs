//! The panes: what each knows, and how it is drawn.

pub mod edit;
pub mod errors;
pub mod log;
pub mod mappings;
pub mod pending;
pub mod record;

use chrono::{DateTime, Utc};
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Borders};

use super::model::{Model, Pane};
use super::widgets::cells::{clip, wrap};
use crate::logs::sanitize::sanitize;

/// The frame of a pane with its number, its name and what it shows now.
pub(super) fn frame<'a>(model: &Model, pane: Pane, area: Rect, shows: &str, right: &str) -> Block<'a> {
    let focused = model.focus == pane && model.overlays.is_empty();
    let theme = model.theme;
    let width = usize::from(area.width);
    let name = format!("{} {}", pane.number(), pane.title());
    let right = sanitize(right);
    let right = if width > name.len() + right.len() + 8 { &*right } else { "" };
    let mut title = vec![Span::raw(" "), Span::styled(name.clone(), theme.title(focused))];
    // The two lists share one place.
    let other = match pane {
        Pane::Errors => Some(Pane::Pending),
        Pane::Pending => Some(Pane::Errors),
        _ => None,
    };
    let other = other.filter(|_| width >= 60);
    if !shows.is_empty() {
        let taken = name.len() + right.chars().count() + if other.is_some() { 22 } else { 10 };
        title.push(Span::styled(format!(" · {}", clip(shows, width.saturating_sub(taken))), theme.text()));
    }
    if let Some(other) = other {
        title.push(Span::styled(format!("  {} {}", other.number(), other.title()), theme.dim()));
    }
    title.push(Span::raw(" "));
    let mut block = Block::new()
        .borders(Borders::ALL)
        .border_type(if focused { BorderType::Thick } else { BorderType::Plain })
        .border_style(theme.border(focused))
        .title(Line::from(title));
    if !right.is_empty() {
        block = block.title(Line::from(Span::styled(format!(" {right} "), theme.dim())).right_aligned());
    }
    block
}

/// What stands in a frame's corner, with the time of what shows in it while PostgreSQL is out of reach.
pub(super) fn dated(model: &Model, seen: Option<DateTime<Utc>>, text: &str) -> String {
    let parts = [model.as_of(seen), Some(text.to_owned()).filter(|text| !text.is_empty())];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// A line of a list; the selected one stands out as a whole, whatever the colours of its parts.
pub(super) fn list_line<'a>(model: &Model, pane: Pane, selected: bool, line: Line<'a>) -> Line<'a> {
    if !selected {
        return line;
    }
    // To the end of the pane, however short the line is.
    let mut line = line;
    line.push_span(" ".repeat(usize::from(model.size.0).saturating_sub(line.width())));
    standing_out(model.theme.selected(model.focus == pane), line)
}

/// A line in one style as a whole.
pub(super) fn standing_out(style: Style, line: Line<'_>) -> Line<'_> {
    let spans = line.spans.into_iter().map(|span| Span::styled(span.content, style));
    Line::from_iter(spans).style(style)
}

/// What an empty pane says: any text, made harmless and broken into lines that fit.
pub(super) fn empty<'a>(model: &Model, inner: Rect, text: &str) -> Vec<Line<'a>> {
    let room = usize::from(inner.width).saturating_sub(4);
    let lines = text.lines().flat_map(|line| wrap(line, room, usize::from(inner.height).max(1)));
    let said = lines.map(|line| Line::from(Span::styled(format!("  {line}"), model.theme.dim())));
    std::iter::once(Line::default()).chain(said).collect()
}
