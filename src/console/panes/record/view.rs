//! How the record is drawn: its frame, and within it one of its views.

use ratatui::Frame;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::{RecordPane, RecordTab, diagnosis, fields, tabs};
use crate::console::context::Context;
use crate::console::panes::{self, Slot, errors};
use crate::domain::errors::sync_error::SyncError;

/// Draws the pane; whether the row is being sent by now, a person need not have seen yet, and how many more errors have
/// its cause.
pub fn draw(
    ctx: &Context,
    pane: &RecordPane,
    (being_sent, left): (bool, Option<String>),
    frame: &mut Frame,
    slot: Slot,
) {
    let mapping = pane.view.as_ref().map_or(pane.row.table.as_str(), |view| view.mapping.as_str());
    let sfid = pane.view.as_ref().and_then(|view| view.sfid.as_deref()).unwrap_or("no record yet");
    let unit = pane.view.as_ref().map_or("", |view| view.unit.as_str());
    let shows = format!("{mapping} {} · {sfid}", pane.row.row);
    let unit = panes::dated(ctx, pane.read_at, unit);
    let mut block = panes::frame(ctx, slot, &shows, &unit);
    if let Some(left) = left {
        block = block.title_bottom(Line::from(Span::styled(left, ctx.theme.dim())));
    }
    let block = block.title_bottom(turns(ctx, pane));
    let inner = block.inner(slot.area);
    frame.render_widget(block, slot.area);
    let Some(view) = &pane.view else {
        let text = pane.refusal.as_deref().unwrap_or("reading ...");
        frame.render_widget(Paragraph::new(panes::empty(ctx, inner, text)), inner);
        return;
    };
    let (lines, at, part) = match pane.tab {
        RecordTab::Fields => fields::lines(ctx, pane, view, being_sent, inner),
        _ => tabs::lines(ctx, pane, view, inner),
    };
    frame.render_widget(Paragraph::new(lines), inner);
    panes::place_in_list(ctx, frame, slot, part.len, &part.shown);
    panes::place_cursor(frame, slot, inner, at);
}

/// Draws the pane while no record is open: what the selected error means, where it is one of no row. `listed` tells
/// whether there are errors to choose from.
pub fn draw_without(ctx: &Context, error: Option<&SyncError>, listed: bool, frame: &mut Frame, slot: Slot) {
    let shows = error.map(errors::subject).unwrap_or_default();
    let block = panes::frame(ctx, slot, &shows, "");
    let inner = block.inner(slot.area);
    frame.render_widget(block, slot.area);
    let lines = match error {
        Some(error) => diagnosis::rowless_lines(ctx, error, usize::from(inner.width)),
        None if !listed => panes::empty(
            ctx,
            inner,
            "The record of a failed row shows here, with what is wrong and what helps.",
        ),
        None => panes::empty(
            ctx,
            inner,
            "No record is open.\nChoose an error with j and k: its record shows here; Enter goes into it.",
        ),
    };
    frame.render_widget(Paragraph::new(lines), inner);
}

/// The views, the one that shows marked.
fn turns(ctx: &Context, pane: &RecordPane) -> Line<'static> {
    let theme = ctx.theme;
    let spans = RecordTab::ALL.iter().flat_map(|tab| {
        let shows = *tab == pane.tab;
        let style = if shows { theme.strong() } else { theme.dim() };
        let text = if shows { format!("[{}]", tab.title()) } else { format!(" {} ", tab.title()) };
        [Span::styled(text, style)]
    });
    Line::from_iter(spans).right_aligned()
}
