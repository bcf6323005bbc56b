//! Mappings: state and counts of each.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::console::model::{Model, Pane};
use crate::console::widgets::cells::{ago, cell, count, fit};
use crate::console::widgets::cursor::Cursor;
use crate::domain::overview::MappingStatus;

/// The pane's state; the mappings themselves are in the overview.
#[derive(Debug, Default)]
pub struct MappingsPane {
    /// Which one.
    pub cursor: Cursor,
}

/// Sign, word and looks of a mapping's state. The sign differs in shape, the word in letters, the colour besides.
fn state(model: &Model, mapping: &MappingStatus) -> (&'static str, String, Style) {
    let theme = model.theme;
    match mapping.state.as_str() {
        "ok" => ("●", "ok".to_owned(), theme.good()),
        "loading" => ("◌", "loading".to_owned(), theme.warn()),
        "behind" => ("◐", "behind".to_owned(), theme.warn()),
        "errors" => ("▲", "errors".to_owned(), theme.warn()),
        "paused" => ("=", "paused".to_owned(), theme.dim()),
        "broken" => ("✗", "broken".to_owned(), theme.bad()),
        "stopped" => ("✗", "stopped".to_owned(), theme.bad()),
        other => ("?", other.to_owned(), theme.dim()),
    }
}

/// Draws the pane.
pub fn draw(model: &Model, frame: &mut Frame, area: Rect) {
    let mappings = model.overview.as_ref().map(|overview| overview.mappings.as_slice()).unwrap_or_default();
    let block = super::frame(model, Pane::Mappings, area, "", "");
    let inner = block.inner(area);
    frame.render_widget(block, area);
    if mappings.is_empty() {
        let text = if model.overview.is_none() {
            "reading ..."
        } else {
            "no mapping yet: the engine has not started"
        };
        frame.render_widget(Paragraph::new(super::empty(model, &[text])), inner);
        return;
    }
    let width = usize::from(inner.width);
    let wide = width >= 58;
    let name_width = width.saturating_sub(if wide { 45 } else { 17 }).clamp(8, 24);
    let mut lines = vec![head(model, name_width, wide)];
    let height = usize::from(inner.height).saturating_sub(1);
    for at in model.mappings.cursor.window(mappings.len(), height) {
        let selected = at == model.mappings.cursor.at;
        lines.push(super::list_line(
            model,
            Pane::Mappings,
            selected,
            row(model, &mappings[at], name_width, wide),
        ));
    }
    frame.render_widget(Paragraph::new(lines), inner);
    let cursor = model.mappings.cursor;
    let top = cursor.window(mappings.len(), height).start;
    super::super::view::place_cursor(model, frame, Pane::Mappings, inner, 1 + cursor.at.saturating_sub(top));
}

fn head(model: &Model, name_width: usize, wide: bool) -> Line<'static> {
    let text = if wide {
        format!(
            " {}   {:<8}{:>8}{:>8}{:>8}{:>8}",
            fit("mapping", name_width),
            "state",
            "errors",
            "pending",
            "rows",
            "read"
        )
    } else {
        format!(" {}  {:>7}{:>7}", fit("mapping", name_width), "errors", "pend.")
    };
    Line::from(Span::styled(text, model.theme.label()))
}

fn row(model: &Model, mapping: &MappingStatus, name_width: usize, wide: bool) -> Line<'static> {
    let theme = model.theme;
    let (sign, word, style) = state(model, mapping);
    let errors = if mapping.errors > 0 { theme.warn() } else { theme.dim() };
    let pending = if mapping.pending > 0 { theme.text() } else { theme.dim() };
    let mut spans = vec![Span::raw(" "), cell(&mapping.name, name_width, theme.text())];
    if wide {
        let read = mapping.last_read.map_or("-".to_owned(), |read| ago((model.now - read).num_seconds()));
        let rows = match (&mapping.detail, mapping.state.as_str()) {
            // While it loads, how far it is says more than the count.
            (Some(detail), "loading") => fit(detail, 16),
            _ => format!("{}{:>8}", count(mapping.rows, 8), read),
        };
        spans.extend([
            Span::styled(format!(" {sign} "), style),
            Span::styled(fit(&word, 8), style),
            Span::styled(count(mapping.errors, 8), errors),
            Span::styled(count(mapping.pending, 8), pending),
            Span::styled(rows, theme.dim()),
        ]);
    } else {
        spans.extend([
            Span::styled(format!(" {sign}"), style),
            Span::styled(count(mapping.errors, 7), errors),
            Span::styled(count(mapping.pending, 7), pending),
        ]);
    }
    Line::from(spans)
}
