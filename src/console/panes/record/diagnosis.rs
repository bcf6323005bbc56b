//! What is wrong with the record and what helps: the answer to the last save, the error in words, the remedies, what
//! will be sent.

use ratatui::text::{Line, Span};

use crate::console::context::Context;
use crate::console::widgets::cells::{clip, wrap};
use crate::domain::errors::catalogue;
use crate::domain::errors::remedy::{RemedyAction, SuggestedFix};
use crate::domain::errors::sync_error::ErrorSource;
use crate::domain::errors::sync_error::{ErrorState, SyncError};
use crate::domain::records::record::RecordView;

use super::{BEING_SENT, RecordPane, SendStatus, in_console};

/// Of when the record is, where it could not be read again.
pub(super) fn dated_line(ctx: &Context, pane: &RecordPane, width: usize) -> Vec<Line<'static>> {
    let why = ctx.away().or_else(|| pane.refusal.clone());
    let (Some(why), Some(at)) = (why, pane.read_at) else { return Vec::new() };
    let text = format!(" as of {}, {why}", ctx.clock(at));
    vec![Line::from(Span::styled(clip(&text, width), ctx.theme.warn().patch(ctx.theme.strong())))]
}

/// The answer to the operator's last save or retry, in the place where they look.
pub(super) fn answer_line(
    ctx: &Context,
    pane: &RecordPane,
    view: &RecordView,
    width: usize,
) -> Vec<Line<'static>> {
    let theme = ctx.theme;
    if pane.has_changes() {
        let text = format!(" ✎ {} changed: Ctrl-S saves and sends", pane.changes.len());
        return vec![Line::from(Span::styled(clip(&text, width), theme.warn().patch(theme.strong())))];
    }
    let (text, style) = match &pane.answer {
        _ if pane.is_saving() => ("↻ saving ...".to_owned(), theme.warn()),
        None => return Vec::new(),
        Some(SendStatus::Sending { .. }) => match view.error.as_ref().and_then(|error| error.next_retry_at) {
            Some(at) if at > ctx.now => {
                (format!("↻ not yet: tried again at {}", ctx.clock(at)), theme.warn())
            }
            _ => ("↻ sending ...".to_owned(), theme.warn()),
        },
        Some(SendStatus::Accepted { at }) => {
            (format!("✓ Salesforce took it at {}", ctx.clock(*at)), theme.good())
        }
        Some(SendStatus::Settled { at }) => {
            (format!("· no longer to be sent, since {}", ctx.clock(*at)), theme.text())
        }
        Some(SendStatus::Rejected { at }) => (format!("✗ rejected again at {}", ctx.clock(*at)), theme.bad()),
    };
    vec![Line::from(Span::styled(
        format!(" {}", clip(&text, width.saturating_sub(2))),
        style.patch(theme.strong()),
    ))]
}

pub(super) fn error_lines(
    ctx: &Context,
    view: &RecordView,
    being_sent: bool,
    width: usize,
    height: usize,
) -> Vec<Line<'static>> {
    let theme = ctx.theme;
    let room = width.saturating_sub(2);
    let Some(error) = &view.error else {
        let text = match view.unit.as_str() {
            "in step" => "In step with Salesforce.",
            "held" => "Waits for its parent.",
            "kept out" => "Not sent, and not in step:",
            _ => "Waits to be sent.",
        };
        let why = view.sending.why.as_ref().filter(|_| view.unit != "in step");
        let text = why.map_or_else(|| text.to_owned(), |why| format!("{text} {why}"));
        let mut lines = vec![Line::from(Span::styled(format!(" {}", clip(&text, room)), theme.dim()))];
        lines.extend(conflict_line(ctx, view, room));
        if view.unit != "in step" {
            lines.extend(sending_line(ctx, view, room));
        }
        return lines;
    };
    // On a low screen the words are cut before the values are.
    let (message, cause, fixes) = match height {
        ..14 => (1, 1, 1),
        14..20 => (2, 1, 3),
        _ => (2, 2, 3),
    };
    let mut lines: Vec<Line> = wrap(&error.message, room, message)
        .into_iter()
        .map(|line| Line::from(Span::styled(format!(" {line}"), theme.bad())))
        .collect();
    lines.push(Line::from(Span::styled(format!(" {}", clip(&standing(ctx, error), room)), theme.dim())));
    let why = format!("{}. {}", view.advice.title, view.advice.cause);
    lines.extend(wrap(&why, room, cause).into_iter().map(|line| Line::from(Span::raw(format!(" {line}")))));
    lines.extend(remedy_lines(ctx, view, being_sent, room, fixes));
    lines.extend(conflict_line(ctx, view, room));
    // What is refused here was said already.
    if height >= 14 && view.sending.what != "refused" {
        lines.extend(sending_line(ctx, view, room));
    }
    lines
}

/// What an error of a read, a mapping or the connection means, and what a person can do about it.
pub(super) fn rowless_lines(ctx: &Context, error: &SyncError, width: usize) -> Vec<Line<'static>> {
    let theme = ctx.theme;
    let room = width.saturating_sub(2);
    let advice = catalogue::diagnose_error(error);
    let said = |text: &str, most: usize| wrap(text, room, most).into_iter().map(|line| format!(" {line}"));
    let mut lines: Vec<Line> =
        said(&error.message, 4).map(|line| Line::from(Span::styled(line, theme.bad()))).collect();
    lines.push(Line::from(Span::styled(format!(" {}", clip(&standing(ctx, error), room)), theme.dim())));
    lines.extend(said(&format!("{}. {}", advice.title, advice.cause), 4).map(Line::from));
    if let Some(overview) = &ctx.overview {
        lines.extend(said(&overview.waits_for(error), 2).map(Line::from));
    }
    lines.push(Line::default());
    for (at, remedy) in advice.remedies.iter().enumerate() {
        for (line, words) in
            wrap(&in_console(&remedy.text), room.saturating_sub(8), 2).into_iter().enumerate()
        {
            let lead = if at == 0 && line == 0 { " Help   " } else { "        " };
            let point = match (remedy.number, line) {
                (Some(number), 0) => format!("[{number}] "),
                (None, 0) => "· ".to_owned(),
                _ => "  ".to_owned(),
            };
            lines.push(Line::from(vec![
                Span::styled(lead, theme.key()),
                Span::styled(point, theme.key()),
                Span::raw(words),
            ]));
        }
    }
    lines
}

/// The first remedies: what can be done by itself with its number and what it changes, each in a line where there is
/// room.
fn remedy_lines(
    ctx: &Context,
    view: &RecordView,
    being_sent: bool,
    room: usize,
    most: usize,
) -> Vec<Line<'static>> {
    let theme = ctx.theme;
    let words = |offer: &SuggestedFix| {
        let changes = offer.changes_in_words();
        if matches!(offer.action, Some(RemedyAction::Rule { .. })) {
            return format!("for all of {}: {}", view.mapping, offer.text);
        }
        let asks = if offer.clears { "; asks first" } else { "" };
        if changes.is_empty() { in_console(&offer.text) } else { format!("{}: {changes}{asks}", offer.text) }
    };
    if being_sent {
        let text = clip(BEING_SENT, room.saturating_sub(6));
        return vec![Line::from(vec![Span::styled(" Fix  ", theme.key()), Span::styled(text, theme.warn())])];
    }
    let mut offers: Vec<&SuggestedFix> = view.advice.remedies.iter().collect();
    offers.sort_by_key(|offer| (offer.clears, offer.number.is_none()));
    let many = offers.len() > most;
    let mut lines = Vec::new();
    for (at, offer) in offers.iter().take(most).enumerate() {
        let lead = if at == 0 { " Fix  " } else { "      " };
        let number = offer.number.map_or("  · ".to_owned(), |number| format!("[{number}] "));
        let more = if many && at + 1 == most { "  … f shows all" } else { "" };
        lines.push(Line::from(vec![
            Span::styled(lead, theme.key()),
            Span::styled(number, theme.key()),
            Span::raw(clip(&words(offer), room.saturating_sub(9 + more.chars().count()))),
            Span::styled(more, theme.dim()),
        ]));
    }
    lines
}

/// What waits to be chosen.
fn conflict_line(ctx: &Context, view: &RecordView, room: usize) -> Option<Line<'static>> {
    let open: Vec<String> = view
        .conflicts
        .iter()
        .filter(|conflict| conflict.winner.is_none())
        .map(|conflict| {
            let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
            format!(
                "{}: {} here, {} there",
                conflict.column,
                shown(&conflict.postgres),
                shown(&conflict.salesforce)
            )
        })
        .collect();
    let text = format!(" Both changed  {}", clip(&open.join("; "), room.saturating_sub(14)));
    (!open.is_empty()).then(|| Line::from(Span::styled(text, ctx.theme.differs())))
}

/// Why nothing goes out, or what stays behind; what goes out is marked at its fields.
fn sending_line(ctx: &Context, view: &RecordView, room: usize) -> Option<Line<'static>> {
    let sending = &view.sending;
    let mut parts: Vec<String> = sending.why.iter().cloned().collect();
    if sending.what == "delete" {
        parts.push("the row is gone: its record goes too".to_owned());
    }
    parts.extend(sending.left_out.iter().map(|(field, why)| format!("without {field} ({why})")));
    if parts.is_empty() {
        return None;
    }
    let text = format!("{}: {}", sending.what, parts.join("; "));
    Some(Line::from(vec![
        Span::styled(" Send ", ctx.theme.dim()),
        Span::styled(clip(&text, room.saturating_sub(6)), ctx.theme.dim()),
    ]))
}

/// Code, category, class, attempts and state in a line.
fn standing(ctx: &Context, error: &SyncError) -> String {
    let state = match (error.state, error.next_retry_at) {
        (ErrorState::Retrying, Some(at)) if at > ctx.now => {
            format!("tried again in {} s", (at - ctx.now).num_seconds() + 1)
        }
        (state, _) => state.word().to_owned(),
    };
    let tries = match (error.source, error.attempts) {
        (ErrorSource::Salesforce, 1) => "1 attempt".to_owned(),
        (ErrorSource::Salesforce, attempts) => format!("{attempts} attempts"),
        // Salesforce was not asked.
        _ => "found here".to_owned(),
    };
    let parts = [&error.code, error.category.word(), error.class.word(), &error.op, &tries, &state];
    format!("{} · since {}", parts.join(" · "), ctx.clock(error.first_seen))
}
