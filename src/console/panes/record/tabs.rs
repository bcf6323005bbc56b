//! What stands beside the record: its attempts, its relatives, its lines of the log.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use serde_json::Value;

use crate::console::context::Context;
use crate::console::pane::Pane;
use crate::console::panes::{empty, list_line};
use crate::console::widgets::cells::{cell, clip, fit, wrap};
use crate::console::widgets::cursor::Cursor;
use crate::domain::records::record::{HistoryEntry, RecordView, Relative};
use crate::logs::{Level, LogRecord};

use super::part::{Part, View};
use super::{Lazy, RecordPane, RecordTab};

/// Columns of what happened.
const WHAT: usize = 16;

/// All lines of the view, which of them is the selected one, and which part of what it lists shows.
pub(super) fn lines(ctx: &Context, pane: &RecordPane, view: &RecordView, inner: Rect) -> View {
    let width = usize::from(inner.width);
    match pane.tab {
        RecordTab::Relatives => beside(
            ctx,
            &pane.relatives,
            pane.beside[1],
            inner,
            "no parents, and nothing waits for it",
            |one| relative(ctx, one, width),
        ),
        RecordTab::Log => {
            beside(ctx, &pane.lines, pane.beside[2], inner, "the log has no line about it", |one| {
                log_line(ctx, one, width)
            })
        }
        _ => attempts(ctx, pane, view, inner),
    }
}

/// The lines of a list that is asked for, or what is said instead.
fn beside<T>(
    ctx: &Context,
    items: &Lazy<T>,
    cursor: Cursor,
    inner: Rect,
    none: &str,
    line: impl Fn(&T) -> Line<'static>,
) -> View {
    let instead = match items {
        Lazy::Known(items) if !items.is_empty() => {
            return listed(ctx, items, cursor, usize::from(inner.height), line);
        }
        Lazy::Known(_) => none,
        Lazy::Refused(why) => why,
        Lazy::Unknown | Lazy::Loading => "reading ...",
    };
    (empty(ctx, inner, instead), 1, Part::default())
}

fn listed<T>(
    ctx: &Context,
    items: &[T],
    cursor: Cursor,
    height: usize,
    line: impl Fn(&T) -> Line<'static>,
) -> View {
    let window = cursor.window(items.len(), height);
    let top = window.start;
    let part = Part { len: items.len(), shown: window.clone() };
    let lines = window.map(|at| list_line(ctx, Pane::Record, at == cursor.at, line(&items[at]))).collect();
    (lines, cursor.at.saturating_sub(top), part)
}

/// What was sent and answered, newest first; of the selected one the call itself.
fn attempts(ctx: &Context, pane: &RecordPane, view: &RecordView, inner: Rect) -> View {
    let (width, height) = (usize::from(inner.width), usize::from(inner.height));
    let cursor = pane.beside[0];
    let Some(entry) = view.history.get(cursor.at.min(view.history.len().saturating_sub(1))) else {
        return beside(
            ctx,
            &Lazy::Known(Vec::<HistoryEntry>::new()),
            cursor,
            inner,
            "nothing was sent yet",
            |_| Line::default(),
        );
    };
    let call = call(ctx, entry, width);
    let room = height.saturating_sub(call.len()).clamp(3.min(height), view.history.len().max(3));
    let (mut lines, at, part) = listed(ctx, &view.history, cursor, room, |entry| attempt(ctx, entry, width));
    let left = height.saturating_sub(lines.len());
    let cut = call.len().checked_sub(left).filter(|cut| *cut > 0 && left > 0);
    // The line that tells of the rest takes the place of one more.
    lines.extend(call.into_iter().take(left.saturating_sub(usize::from(cut.is_some()))));
    lines.extend(cut.map(|cut| {
        let key = if ctx.zoom { "" } else { "; z shows more of them" };
        Line::from(Span::styled(clip(&format!("  +{} lines{key}", cut + 1), width), ctx.theme.dim()))
    }));
    (lines, at, part)
}

fn attempt(ctx: &Context, entry: &HistoryEntry, width: usize) -> Line<'static> {
    let theme = ctx.theme;
    let style = match entry.what.as_str() {
        "accepted" => theme.good(),
        "rejected" | "lost" => theme.bad(),
        _ => theme.text(),
    };
    let time = ctx.local(entry.at).format(" %b %d %H:%M:%S ").to_string();
    let room = width.saturating_sub(time.len() + WHAT + 1);
    Line::from(vec![
        Span::styled(time, theme.dim()),
        cell(&entry.what, WHAT, style),
        Span::styled(format!(" {}", clip(&entry.text, room)), theme.text()),
    ])
}

/// What was sent and what Salesforce said, as they went over the wire.
fn call(ctx: &Context, entry: &HistoryEntry, width: usize) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let mut part = |title: &str, value: &Option<Value>| {
        let Some(value) = value else { return };
        lines.push(Line::from(Span::styled(format!(" ─ {title}"), ctx.theme.dim())));
        let text = serde_json::to_string_pretty(value).unwrap_or_default();
        let wrapped = text.lines().flat_map(|line| {
            let indent = line.len() - line.trim_start().len();
            let pad = " ".repeat(indent + 2);
            wrap(line.trim_start(), width.saturating_sub(indent + 3), 6)
                .into_iter()
                .map(move |line| format!("{pad}{line}"))
        });
        lines.extend(wrapped.map(Line::from));
    };
    part("sent", &entry.request);
    part("answered", &entry.response);
    lines
}

fn relative(ctx: &Context, relative: &Relative, width: usize) -> Line<'static> {
    let theme = ctx.theme;
    let (what, by) = if relative.is_parent { ("parent", "by") } else { ("child", "names it by") };
    let style = match (relative.error, relative.unit.as_str()) {
        (Some(_), _) => theme.bad(),
        (None, "in step") => theme.good(),
        _ => theme.warn(),
    };
    let name = format!("{} {}", relative.mapping, relative.row.row);
    // The field that binds them needs room, too.
    let named = width.saturating_sub(8 + 14 + 30).clamp(16, 26);
    let rest = width.saturating_sub(8 + named + 14);
    Line::from(vec![
        Span::styled(format!(" {what:<7}"), theme.dim()),
        cell(&name, named, theme.text()),
        cell(&relative.unit, 14, style),
        Span::styled(
            fit(
                &format!("{by} {}  {}", relative.field, relative.sfid.as_deref().unwrap_or("no record yet")),
                rest,
            ),
            theme.dim(),
        ),
    ])
}

fn log_line(ctx: &Context, record: &LogRecord, width: usize) -> Line<'static> {
    let theme = ctx.theme;
    let style = match record.level {
        Level::Error => theme.bad(),
        Level::Warn => theme.warn(),
        _ => theme.text(),
    };
    let code = record.fields.get("code").and_then(Value::as_str).unwrap_or_default();
    let time = ctx.local(record.time).format(" %b %d %H:%M:%S ").to_string();
    let room = width.saturating_sub(time.len() + 9);
    Line::from(vec![
        Span::styled(time, theme.dim()),
        cell(&record.dyno, 9, theme.dim()),
        Span::styled(clip(&format!("{}  {code}", record.message), room), style),
    ])
}
