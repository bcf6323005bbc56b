//! Every field with the row's value and Salesforce's, side by side; what happened last below them.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::console::context::Context;
use crate::console::pane::Pane;
use crate::console::panes::list_line;
use crate::console::widgets::cells::{cell, clip, fit, sideways};
use crate::console::widgets::cursor::Cursor;
use crate::domain::mappings::field::{Field, FieldType};
use crate::domain::records::record::{RecordView, SalesforceState};

use super::diagnosis::{answer_line, dated_line, error_lines};
use super::part::{Part, View};
use super::{RecordPane, Remote, life};

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
    // On the lowest of screens the field at fault needs the line more.
    lines.extend(life::line(ctx, view, width).filter(|_| inner.height >= 9));
    let head_at = lines.len();
    lines.push(Line::default());
    let shown: Vec<usize> = (0..view.values.len()).filter(|at| pane.shows(*at)).collect();
    let room = usize::from(inner.height).saturating_sub(lines.len() + shown.len().min(8));
    let history = history_lines(ctx, view, width, room);
    let before = lines.len();
    let height = usize::from(inner.height).saturating_sub(before + history.len()).max(1);
    let place = shown.iter().position(|at| *at == pane.cursor.at).unwrap_or(0);
    let window = Cursor { at: place, ..pane.cursor }.window(shown.len(), height);
    let top = window.start;
    let part = Part { len: shown.len(), shown: window.clone() };
    let hidden = (top, shown.len() - window.end, view.values.len() - shown.len());
    lines[head_at] = head(ctx, pane, view, hidden, width);
    for at in shown[window].iter().copied() {
        let (field, value) = &view.values[at];
        let line = field_line(ctx, pane, view, field, value.as_deref(), width);
        lines.push(list_line(ctx, Pane::Record, at == pane.cursor.at, line));
    }
    lines.extend(history);
    (lines, before + place.saturating_sub(top), part)
}

/// Columns of what happened, in a word or two.
pub(super) const WHAT: usize = 12;

/// Columns of the signs before a field's name.
const SIGNS: usize = 3;

/// The widths of the columns: name, row, Salesforce, type.
fn widths(width: usize) -> (usize, usize, usize, usize) {
    let kind = if width >= 90 { 16 } else { 0 };
    let name = (width / 5).clamp(12, 26);
    let rest = width.saturating_sub(SIGNS + name + kind);
    (name, rest / 2, rest - rest / 2, kind)
}

/// The names of the columns, with how many fields do not show: above, below, and without a value.
fn head(
    ctx: &Context,
    pane: &RecordPane,
    view: &RecordView,
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
    let sending = &view.sending;
    let own = match sending.values.len() {
        _ if pane.has_changes() => "row   → goes out when saved".to_owned(),
        fields if sending.goes_out() && fields > 0 => format!("row   → goes out: {fields}, {}", sending.what),
        _ => "row".to_owned(),
    };
    let text = format!(
        "   {}{}{}{}",
        fit(&field, name),
        fit(&own, row),
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
    // A rule of the mapping may have made another value of it.
    let sent = view.sending.value_of(field).filter(|_| is_as_written(field));
    let sent = sent.filter(|sent| kept.is_none() && sent.as_deref() != value);
    let instead = instead.or_else(|| {
        let sent = sent?.as_deref().unwrap_or("nothing");
        Some(format!("{} → {sent}", value.unwrap_or("–")))
    });
    let value = instead.as_deref().or(value);
    let sign = match (fault, differs) {
        _ if kept.is_some() => Span::styled("✎ ", theme.warn()),
        (true, _) => Span::styled("▶ ", theme.bad()),
        (false, true) => Span::styled("≠ ", theme.differs()),
        (false, false) => Span::raw("  "),
    };
    let mark = match kept.is_some() || view.sending.value_of(field).is_some() {
        true => Span::styled("→", theme.warn()),
        false if view.sending.leaves_out(field) => Span::styled("○", theme.dim()),
        false => Span::raw(" "),
    };
    // What waits to be saved was not refused yet.
    let mine = match (kept.is_some(), fault) {
        (true, _) => theme.warn().patch(theme.strong()),
        (false, true) => theme.bad().patch(theme.strong()),
        (false, false) => Style::new(),
    };
    let null = value.is_none();
    let scrolled = |text: &str, width: usize| sideways(text, pane.scrolled, width);
    Line::from(vec![
        mark,
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

/// Whether a row's text of a field is the one that is sent: times and yes or no are written otherwise.
fn is_as_written(field: &Field) -> bool {
    use FieldType::{Boolean, Date, Datetime, Time};
    !matches!(field.kind, Boolean | Date | Datetime | Time)
}

/// What happened to the record, newest first, where there is room for it.
fn history_lines(ctx: &Context, view: &RecordView, width: usize, room: usize) -> Vec<Line<'static>> {
    let most = room.min(6);
    if most < 2 || view.history.is_empty() {
        return Vec::new();
    }
    let theme = ctx.theme;
    let mut lines = Vec::new();
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
