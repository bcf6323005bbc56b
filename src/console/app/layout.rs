//! Where the panes are.

use ratatui::layout::{Constraint, Layout, Rect};

use crate::console::context::Context;
use crate::console::pane::Pane;

/// The smallest screen that shows anything of use.
pub const SMALLEST: (u16, u16) = (60, 15);

/// Whether a screen of so many columns and lines shows anything of use.
pub fn fits((columns, lines): (u16, u16)) -> bool {
    columns >= SMALLEST.0 && lines >= SMALLEST.1
}

/// Where each pane is. On a low screen, mappings and errors give way to the record while it has the keys.
pub fn arrange(ctx: &Context, area: Rect) -> Vec<(Pane, Rect)> {
    if ctx.zoom {
        return vec![(ctx.focus, area)];
    }
    let split = |area: Rect| {
        let left = if area.width >= 180 {
            78
        } else if area.width >= 140 {
            70
        } else if area.width >= 100 {
            34
        } else {
            30
        };
        let [mappings, errors] =
            area.layout(&Layout::horizontal([Constraint::Length(left), Constraint::Fill(1)]));
        vec![(Pane::Mappings, mappings), (ctx.list, errors)]
    };
    if area.height >= 32 {
        // What has the keys gets the room: a long list, all fields of a record, much of the log.
        let (lists, log) = match ctx.focus {
            Pane::Record => (24, 16),
            Pane::Log => (28, 44),
            _ => (42, 16),
        };
        let [lists, record, log] = area.layout(&Layout::vertical([
            Constraint::Percentage(lists),
            Constraint::Fill(1),
            Constraint::Percentage(log),
        ]));
        let mut places = split(lists);
        places.extend([(Pane::Record, record), (Pane::Log, log)]);
        return places;
    }
    let log_height = if ctx.focus == Pane::Log { area.height / 2 } else { (area.height / 4).max(4) };
    let [main, log] = area.layout(&Layout::vertical([Constraint::Fill(1), Constraint::Length(log_height)]));
    let mut places = if ctx.focus == Pane::Record { vec![(Pane::Record, main)] } else { split(main) };
    places.push((Pane::Log, log));
    places
}

/// Whether a pane shows.
pub fn shows(ctx: &Context, pane: Pane) -> bool {
    let middle = Rect::new(0, 0, ctx.size.0, ctx.size.1.saturating_sub(2));
    arrange(ctx, middle).iter().any(|(other, _)| *other == pane)
}

/// How many lines of a pane's list show, for moving by pages.
pub fn page(ctx: &Context, pane: Pane) -> usize {
    let middle = Rect::new(0, 0, ctx.size.0, ctx.size.1.saturating_sub(2));
    let height = arrange(ctx, middle)
        .into_iter()
        .find(|(other, _)| *other == pane)
        .map_or(10, |(_, area)| area.height);
    usize::from(height).saturating_sub(4).max(1)
}
