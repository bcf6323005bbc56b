//! The panes: what each knows, and how it is drawn.

pub mod errors;
pub mod groups;
pub mod log;
pub mod mappings;
pub mod pending;
pub mod record;

use std::ops::Range;

use chrono::{DateTime, Utc};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Borders};
use unicode_width::UnicodeWidthStr;

use super::context::Context;
use super::pane::Pane;
use super::widgets::cells::{clip, wrap};
use super::widgets::scroll::scrollbar;
use crate::logs::sanitize::sanitize;

/// Where a pane is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    /// The pane.
    pub pane: Pane,
    /// Its part of the screen.
    pub area: Rect,
    /// Whether it has the keys, and no overlay lies on top.
    pub has_keys: bool,
}

/// The columns of the names of the two lists.
const NAMES: usize = 21;

/// What may stand in the corner of a list of so many columns beside both names.
pub(super) fn corner(width: u16) -> usize {
    usize::from(width).saturating_sub(NAMES + 8)
}

/// The frame of a pane with its number, its name and what it shows now.
pub(super) fn frame<'a>(ctx: &Context, slot: Slot, shows: &str, right: &str) -> Block<'a> {
    frame_with(ctx, slot, shows, Span::styled(right.to_owned(), ctx.theme.dim()))
}

/// The same with looks of its own for what stands in the corner.
pub(super) fn frame_with<'a>(ctx: &Context, slot: Slot, shows: &str, right: Span<'_>) -> Block<'a> {
    let Slot { pane, area, has_keys: focused } = slot;
    let theme = ctx.theme;
    let width = usize::from(area.width);
    let style = right.style;
    let right = sanitize(&right.content);
    // The two lists share one place, and their names the frame: the one that shows stands out.
    let names: Vec<Pane> = match pane {
        Pane::Errors | Pane::Pending if width > NAMES + right.width() + 7 => {
            vec![Pane::Errors, Pane::Pending]
        }
        _ => vec![pane],
    };
    let mut title = vec![Span::raw(" ")];
    for (at, named) in names.iter().enumerate() {
        let style = if *named == pane { theme.title(focused) } else { theme.dim() };
        title.push(Span::raw(if at == 0 { "" } else { "  " }));
        title.push(Span::styled(format!("{} {}", named.number(), named.title()), style));
    }
    let taken: usize = title.iter().map(Span::width).sum();
    let right = if width > taken + right.width() + 7 { &*right } else { "" };
    if !shows.is_empty() {
        let room = width.saturating_sub(taken + right.width() + 9);
        title.push(Span::styled(format!(" · {}", clip(shows, room)), theme.text()));
    }
    title.push(Span::raw(" "));
    let mut block = Block::new()
        .borders(Borders::ALL)
        .border_type(if focused { BorderType::Thick } else { BorderType::Plain })
        .border_style(theme.border(focused))
        .title(Line::from(title));
    if !right.is_empty() {
        block = block.title(Line::from(Span::styled(format!(" {right} "), style)).right_aligned());
    }
    block
}

/// Where one is in a list that is longer than its pane.
pub(super) fn place_in_list(ctx: &Context, frame: &mut Frame, slot: Slot, len: usize, shown: &Range<usize>) {
    scrollbar(frame, slot.area, ctx.theme.border(slot.has_keys), len, shown);
}

/// The terminal's own cursor rests on the selected line, where screen readers and magnifiers look.
pub(super) fn place_cursor(frame: &mut Frame, slot: Slot, inner: Rect, line: usize) {
    let line = u16::try_from(line).unwrap_or(u16::MAX);
    if slot.has_keys && line < inner.height {
        frame.set_cursor_position((inner.x, inner.y + line));
    }
}

/// What stands in a frame's corner, with the time of what shows in it while PostgreSQL is out of reach.
pub(super) fn dated(ctx: &Context, seen: Option<DateTime<Utc>>, text: &str) -> String {
    let parts = [ctx.as_of(seen), Some(text.to_owned()).filter(|text| !text.is_empty())];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// A line of a list; the selected one stands out as a whole, whatever the colours of its parts.
pub(super) fn list_line<'a>(ctx: &Context, pane: Pane, selected: bool, line: Line<'a>) -> Line<'a> {
    if !selected {
        return line;
    }
    // To the end of the pane, however short the line is.
    let mut line = line;
    line.push_span(" ".repeat(usize::from(ctx.size.0).saturating_sub(line.width())));
    standing_out(ctx.theme.selected(ctx.focus == pane), line)
}

/// A line in one style as a whole.
pub(super) fn standing_out(style: Style, line: Line<'_>) -> Line<'_> {
    let spans = line.spans.into_iter().map(|span| Span::styled(span.content, style));
    Line::from_iter(spans).style(style)
}

/// What an empty pane says: any text, made harmless and broken into lines that fit.
pub(super) fn empty<'a>(ctx: &Context, inner: Rect, text: &str) -> Vec<Line<'a>> {
    let room = usize::from(inner.width).saturating_sub(4);
    let lines = text.lines().flat_map(|line| wrap(line, room, usize::from(inner.height).max(1)));
    let said = lines.map(|line| Line::from(Span::styled(format!("  {line}"), ctx.theme.dim())));
    std::iter::once(Line::default()).chain(said).collect()
}
