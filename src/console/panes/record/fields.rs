//! Every field with the row's value and Salesforce's, side by side; what happened last below them.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::console::context::Context;
use crate::console::pane::Pane;
use crate::console::panes::list_line;
use crate::console::widgets::cells::{cell, clip, fit, sideways};
use crate::console::widgets::cursor::Cursor;
use crate::domain::mappings::field::Field;
use crate::domain::records::record::{RecordView, SalesforceState};

use super::diagnosis::{answer_line, dated_line, error_lines};
use super::part::{Part, View};
use super::{RecordPane, Remote};

/// All lines of the view, which of them is the selected one, and which fields show of how many.
pub(super) fn lines(
    ctx: &Context,
    pane: &RecordPane,
    view: &RecordView,
    being_sent: bool,
    inner: Rect,
) -> View {
    let width = usize::from(inner.width);
    let mut lines = dated_line(ctx, pane, width);
    lines.extend(answer_line(ctx, pane, view, width));
    lines.extend(error_lines(ctx, view, being_sent, width, usize::from(inner.height)));
    let head_at = lines.len();
    lines.push(Line::default());
    let history = history_lines(ctx, view, width, usize::from(inner.height).saturating_sub(lines.len()));
    let before = lines.len();
    let height = usize::from(inner.height).saturating_sub(before + history.len()).max(1);
    let shown: Vec<usize> = (0..view.values.len()).filter(|at| pane.shows(*at)).collect();
    let place = shown.iter().position(|at| *at == pane.cursor.at).unwrap_or(0);
    let window = Cursor { at: place, ..pane.cursor }.window(shown.len(), height);
    let top = window.start;
    let part = Part { len: shown.len(), shown: window.clone() };
    let hidden = (top, shown.len() - window.end, view.values.len() - shown.len());
    lines[head_at] = head(ctx, pane, hidden, width);
    for at in shown[window].iter().copied() {
        let (field, value) = &view.values[at];
        let line = field_line(ctx, pane, view, field, value.as_deref(), width);
        lines.push(list_line(ctx, Pane::Record, at == pane.cursor.at, line));
    }
    lines.extend(history);
    (lines, before + place.saturating_sub(top), part)
}

/// Columns of what happened, in a word or two.
const WHAT: usize = 12;

/// The widths of the columns: name, row, Salesforce, type.
fn widths(width: usize) -> (usize, usize, usize, usize) {
    let kind = if width >= 90 { 16 } else { 0 };
    let name = (width / 5).clamp(12, 26);
    let rest = width.saturating_sub(3 + name + kind);
    (name, rest / 2, rest - rest / 2, kind)
}

/// The names of the columns, with how many fields do not show: above, below, and without a value.
fn head(
    ctx: &Context,
    pane: &RecordPane,
    (above, below, empty): (usize, usize, usize),
    width: usize,
) -> Line<'static> {
    let (name, row, remote, kind) = widths(width);
    let salesforce = match &pane.remote {
        Remote::Unasked => "Salesforce: Enter asks".to_owned(),
        Remote::Loading => "Salesforce: asking ...".to_owned(),
        Remote::Refused(_) => "Salesforce: not known".to_owned(),
        Remote::Known(values) => match values.state {
            SalesforceState::Found => format!("Salesforce at {}", ctx.clock(values.fetched_at)),
            SalesforceState::NoRecord => "Salesforce: no record yet".to_owned(),
            SalesforceState::Deleted => "Salesforce: deleted".to_owned(),
        },
    };
    let mut field = "field".to_owned();
    for (sign, fields) in
        [("↑", above), ("↓", below), ("–", empty)].into_iter().filter(|(_, fields)| *fields > 0)
    {
        field += &format!(" {sign}{fields}");
    }
    let text = format!(
        "   {}{}{}{}",
        fit(&field, name),
        fit("row", row),
        fit(&salesforce, remote),
        fit("type", kind)
    );
    Line::from(Span::styled(text, ctx.theme.label()))
}

fn field_line(
    ctx: &Context,
    pane: &RecordPane,
    view: &RecordView,
    field: &Field,
    value: Option<&str>,
    width: usize,
) -> Line<'static> {
    let theme = ctx.theme;
    let (name, row, remote, kind) = widths(width);
    let fault = view.is_at_fault(field);
    let (theirs, differs) = match &pane.remote {
        Remote::Known(values) if values.state == SalesforceState::Found => {
            let theirs = values.values.get(&field.column).cloned().flatten();
            let differs = theirs.as_deref().unwrap_or("") != value.unwrap_or("");
            (theirs.unwrap_or_default(), differs)
        }
        Remote::Refused(why) if fault => (why.clone(), false),
        _ => (String::new(), false),
    };
    let kept = pane.kept(&field.column);
    let instead = kept
        .map(|change| format!("{} (row: {})", change.new.as_deref().unwrap_or("–"), value.unwrap_or("–")));
    let value = instead.as_deref().or(value);
    let sign = match (fault, differs) {
        _ if kept.is_some() => Span::styled(" ✎ ", theme.warn()),
        (true, _) => Span::styled(" ▶ ", theme.bad()),
        (false, true) => Span::styled(" ≠ ", theme.differs()),
        (false, false) => Span::raw("   "),
    };
    let mine = if fault { theme.bad().patch(theme.strong()) } else { Style::new() };
    let null = value.is_none();
    let scrolled = |text: &str, width: usize| sideways(text, pane.scrolled, width);
    Line::from(vec![
        sign,
        cell(&field.name, name.saturating_sub(1), if fault { theme.strong() } else { theme.text() }),
        Span::raw(" "),
        cell(
            &scrolled(value.unwrap_or("–"), row),
            row.saturating_sub(1),
            if null && !fault { theme.dim() } else { mine },
        ),
        Span::raw(" "),
        cell(
            &scrolled(&theirs, remote),
            remote.saturating_sub(1),
            if differs { theme.differs() } else { theme.dim() },
        ),
        Span::raw(" "),
        cell(&field.type_text(), kind, theme.dim()),
    ])
}

/// What happened to the record, newest first, where there is room for it.
fn history_lines(ctx: &Context, view: &RecordView, width: usize, room: usize) -> Vec<Line<'static>> {
    let most = room.saturating_sub(view.values.len().min(8)).min(6);
    if most < 2 || (view.history.is_empty() && view.pending.is_empty()) {
        return Vec::new();
    }
    let theme = ctx.theme;
    let mut lines = Vec::new();
    if let Some(last) = view.pending.last() {
        let columns: Vec<&str> = last.columns.iter().map(|(column, ..)| column.as_str()).collect();
        let others = view.pending.len() - 1;
        let more = if others > 0 { format!("{others} before · ") } else { String::new() };
        let text = format!(" ─ unsent   {} {} {more}{}", ctx.clock(last.at), last.action, columns.join(", "));
        lines.push(Line::from(Span::styled(clip(&text, width), theme.warn())));
    }
    if view.history.is_empty() {
        return lines;
    }
    lines.push(Line::from(Span::styled(" ─ what happened".to_owned(), theme.dim())));
    let left = most.saturating_sub(lines.len());
    lines.extend(view.history.iter().take(left).map(|entry| {
        let style = match entry.what.as_str() {
            "accepted" => theme.good(),
            "rejected" | "lost" => theme.bad(),
            _ => theme.text(),
        };
        Line::from(vec![
            Span::styled(format!("   {} ", ctx.clock(entry.at)), theme.dim()),
            cell(&clip(&entry.what, WHAT - 1), WHAT, style),
            Span::styled(clip(&entry.text, width.saturating_sub(14 + WHAT)), theme.dim()),
        ])
    }));
    lines
}
