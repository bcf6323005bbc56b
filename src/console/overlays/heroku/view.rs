//! How the lists of Heroku Connect's API are drawn.

use chrono::{DateTime, Utc};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::{HerokuView, LISTS, ListState, outcomes};
use crate::client::api::ClientError;
use crate::client::heroku::{HerokuList, HerokuListed};
use crate::console::context::Context;
use crate::console::widgets::cells::{cell, clip, count, fit, wrap};
use crate::domain::attached::refused::{RefusedNow, RefusedWrite};
use crate::domain::attached::told::{
    CheckOutcome, HerokuStatus, ToldCheck, ToldList, ToldNotification, ToldWriteError,
};
use crate::domain::errors::sync_error::ErrorState;

/// Lines that the selected one's words take at most, on a high screen, an old one, and the lowest.
const DETAIL: (usize, usize, usize) = (12, 6, 2);
/// Columns from which on there is room for more of a name.
const WIDE: usize = 100;
/// What a key is for, where there is none.
const WITH_A_KEY: &str = "With a key, this console shows what only Heroku Connect's API tells: its write errors, its notifications, its checks, \
    states, counts and times; and has it pause, go on, reload and recover. The key is read when the console starts. Without one, errors \
    and waiting changes are those that the database shows.";

/// Draws them over the panes: the header stays, and what a key came to is said below.
pub fn draw(ctx: &Context, view: &HerokuView, frame: &mut Frame) {
    let screen = frame.area();
    let area = Rect { y: screen.y + 1, height: screen.height.saturating_sub(2), ..screen };
    let whose = ctx.heroku().map(HerokuStatus::whose).filter(|whose| whose != "Heroku Connect");
    let title = whose.map_or("Heroku Connect".to_owned(), |whose| format!("Heroku Connect · {whose}"));
    let inner = super::super::panel(ctx, frame, area, &title);
    let (room, height) = (usize::from(inner.width), usize::from(inner.height));
    let mut lines = vec![tabs(ctx, view, room)];
    lines.extend(note(ctx, view, room, if height >= 14 { 3 } else { 1 }));
    let line = match view.state() {
        ListState::Told { .. } if view.len_of(view.place()) > 0 => {
            rows(ctx, view, (&mut *frame, area), &mut lines, (room, height))
        }
        _ => {
            let (said, above) = (said(ctx, view, room.saturating_sub(4)), lines.len());
            lines.extend(said.into_iter().take(height.saturating_sub(above + 2)));
            above
        }
    };
    lines.resize(height.saturating_sub(1), Line::default());
    lines.push(super::super::hints(ctx, &keys(ctx, view), room));
    frame.render_widget(Paragraph::new(lines), inner);
    let line = u16::try_from(line).unwrap_or(0).min(inner.height.saturating_sub(1));
    frame.set_cursor_position((inner.x, inner.y.saturating_add(line)));
}

/// The list that shows, and all about its selected line. Returns the line of that.
fn rows(
    ctx: &Context,
    view: &HerokuView,
    (frame, area): (&mut Frame, Rect),
    lines: &mut Vec<Line<'static>>,
    (room, height): (usize, usize),
) -> usize {
    let most = match height {
        31.. => DETAIL.0,
        14.. => DETAIL.1,
        _ => DETAIL.2,
    };
    let detail = detail(ctx, view, room.saturating_sub(4), most);
    let (len, cursor) = (view.len_of(view.place()), view.cursor());
    // The head, an empty line before the words and one before the keys, and these.
    let above = lines.len() + 1;
    let visible = height.saturating_sub(above + detail.len() + 3).max(1);
    let window = cursor.window(len, visible);
    super::super::place_in_list(ctx, frame, area, len, &window);
    lines.push(Line::from(Span::styled(clip(&head(view.list, room), room), ctx.theme.label())));
    lines.extend(
        window.clone().map(|at| super::super::chosen_line(ctx, at == cursor.at, row(ctx, view, at, room))),
    );
    lines.resize(height.saturating_sub(detail.len() + 2).max(lines.len()), Line::default());
    lines.extend(detail);
    above + cursor.at.saturating_sub(window.start)
}

/// The lists by name, with how many lines each has, and when the one that shows was told.
fn tabs(ctx: &Context, view: &HerokuView, room: usize) -> Line<'static> {
    let mut spans = Vec::new();
    for (list, state) in LISTS.into_iter().zip(&view.states) {
        let number = match state {
            ListState::Told { listed: HerokuListed::WriteErrors(told), .. } => Some(many(told)),
            ListState::Told { listed: HerokuListed::Notifications(told), .. } => Some(many(told)),
            ListState::Told { listed: HerokuListed::Checks(checks), .. } => {
                let asking = outcomes(checks, CheckOutcome::Error) + outcomes(checks, CheckOutcome::Warning);
                Some(asking.to_string())
            }
            ListState::Refused(_) => Some("✗".to_owned()),
            _ => None,
        };
        let number = number.map(|number| format!("{number} ")).unwrap_or_default();
        let style = if list == view.list { ctx.theme.selected(true) } else { ctx.theme.dim() };
        spans.push(Span::raw(" "));
        spans.push(Span::styled(format!(" {} {number}", name(list)), style));
    }
    if let ListState::Told { at, .. } = view.state() {
        let used: usize = spans.iter().map(Span::width).sum();
        let told = format!("told {} ", ctx.clock(*at));
        let left = room.saturating_sub(used);
        if told.len() < left {
            spans.push(Span::styled(format!("{told:>left$}"), ctx.theme.dim()));
        }
    }
    Line::from(spans)
}

fn name(list: HerokuList) -> &'static str {
    match list {
        HerokuList::WriteErrors => "write errors",
        HerokuList::Notifications => "notifications",
        HerokuList::Checks => "checks",
    }
}

/// How many there are, with a sign where there are more.
fn many<T>(told: &ToldList<T>) -> String {
    let here = i64::try_from(told.items.len()).unwrap_or(i64::MAX);
    let all = told.count.unwrap_or(0).max(here);
    let more = if told.unread.is_some() && all == here { "+" } else { "" };
    format!("{}{more}", count(all, 0))
}

/// What the list is, or what of it is not here, which may take so many lines.
fn note(ctx: &Context, view: &HerokuView, room: usize, most: usize) -> Vec<Line<'static>> {
    let ListState::Told { listed, .. } = view.state() else { return vec![Line::default()] };
    if let Some(gap) = listed.gap() {
        let lines = wrap(&format!("▲ {gap}"), room.saturating_sub(2), most).into_iter();
        return lines.map(|line| Line::from(Span::styled(format!(" {line}"), ctx.theme.warn()))).collect();
    }
    let text = match listed {
        HerokuListed::WriteErrors(told) => of_rows(&told.items),
        HerokuListed::Notifications(told) if told.items.is_empty() => String::new(),
        HerokuListed::Notifications(_) => "that nobody has acknowledged".to_owned(),
        HerokuListed::Checks(checks) => {
            let of = |outcome| outcomes(checks, outcome) as i64;
            let of = |outcome, one, more| counted(of(outcome), one, more);
            format!(
                "{}, {}, {} passed, {} skipped",
                of(CheckOutcome::Error, "error", "errors"),
                of(CheckOutcome::Warning, "warning", "warnings"),
                outcomes(checks, CheckOutcome::Pass),
                outcomes(checks, CheckOutcome::Skip)
            )
        }
    };
    vec![Line::from(Span::styled(clip(&format!("  {text}"), room), ctx.theme.dim()))]
}

fn counted(number: i64, one: &str, more: &str) -> String {
    format!("{} {}", count(number, 0), if number == 1 { one } else { more })
}

/// What became of the rows of refused writes. Of one that is not known nothing good is said.
fn of_rows(writes: &[RefusedWrite]) -> String {
    let of = |is: fn(&RefusedWrite) -> bool| writes.iter().filter(|write| is(write)).count() as i64;
    let still = of(|write| matches!(write.now, RefusedNow::Listed(state) if state != ErrorState::Ignored));
    let unknown = of(|write| write.now == RefusedNow::Unknown);
    let rows = match (still, unknown) {
        _ if writes.is_empty() => return String::new(),
        (0, 0) => "none of their rows is an open error here".to_owned(),
        (0, unknown) => {
            format!("of {} it cannot be said whether they are errors here", count(unknown, 0))
        }
        (still, unknown) => {
            let rows = counted(
                still,
                "is of a row that is an open error here",
                "are of rows that are open errors here",
            );
            let unknown =
                if unknown == 0 { String::new() } else { format!(", {} unknown", count(unknown, 0)) };
            format!("{rows}{unknown}")
        }
    };
    format!("of the last 24 hours; {rows}")
}

/// What is said where there is nothing to list.
fn said(ctx: &Context, view: &HerokuView, room: usize) -> Vec<Line<'static>> {
    let theme = ctx.theme;
    let lines = |text: &str, style: Style| {
        let lines = text.lines().flat_map(|line| wrap(line, room, usize::MAX)).collect::<Vec<_>>();
        lines.into_iter().map(move |line| Line::from(Span::styled(format!("  {line}"), style)))
    };
    match view.state() {
        ListState::Refused(refused) => {
            let mut said: Vec<Line> = lines(&format!("✗ {}", refused.message), theme.bad()).collect();
            said.extend(lines(remedy(refused), theme.text()));
            if !ctx.heroku().is_some_and(|heroku| heroku.has_key) {
                said.push(Line::default());
                said.extend(lines(WITH_A_KEY, theme.dim()));
            }
            said
        }
        ListState::Asking { since, .. } => {
            let seconds = (ctx.now - *since).num_seconds().max(0);
            let text = match view.list {
                HerokuList::WriteErrors => "asking Heroku Connect for its write errors",
                HerokuList::Notifications => "asking Heroku Connect for its notifications",
                HerokuList::Checks => {
                    "Heroku Connect checks the connection and its mappings, which may take minutes"
                }
            };
            lines(&format!("{text} ... {seconds} s"), theme.dim()).collect()
        }
        ListState::Unasked => Vec::new(),
        // Of what did not come nothing good is said.
        ListState::Told { listed, .. } if listed.gap().is_some() => {
            lines("None of them came.", theme.text()).collect()
        }
        ListState::Told { .. } => {
            let text = match view.list {
                HerokuList::WriteErrors => {
                    "Heroku Connect lists no write that was refused in the last 24 hours. Errors that are older are in the list of errors (2)."
                }
                HerokuList::Notifications => "There is nothing that nobody has acknowledged.",
                HerokuList::Checks => "Heroku Connect told of no check.",
            };
            lines(text, theme.dim()).collect()
        }
    }
}

fn remedy(refused: &ClientError) -> &str {
    refused.remedy.as_deref().unwrap_or_default()
}

/// The time of day; of another day, that day.
fn when(ctx: &Context, at: Option<DateTime<Utc>>) -> String {
    let Some(at) = at else { return "-".to_owned() };
    let (there, now) = (ctx.local(at), ctx.local(ctx.now));
    if there.date_naive() == now.date_naive() { ctx.clock(at) } else { there.format("%d %b").to_string() }
}

/// The same with the day.
fn whole(ctx: &Context, at: Option<DateTime<Utc>>) -> Option<String> {
    Some(ctx.local(at?).format("%Y-%m-%d %H:%M:%S").to_string())
}

/// The widths of what stands before the words: of the number, the table and the row.
fn widths(room: usize) -> [usize; 3] {
    if room >= WIDE { [12, 24, 11] } else { [8, 13, 8] }
}

fn head(list: HerokuList, room: usize) -> String {
    let [number, table, row] = widths(room);
    match list {
        HerokuList::WriteErrors => {
            let (number, table, row) = (fit("error", number), fit("table", table), fit("row", row));
            format!(" {}{}{number}{table}{row}message", fit("here", 11), fit("captured", 10))
        }
        HerokuList::Notifications => format!(" {}{}message", fit("came", 10), fit("kind", table + 6)),
        HerokuList::Checks => format!(" {}{}check", fit("", 11), fit("of", table)),
    }
}

fn row(ctx: &Context, view: &HerokuView, at: usize, room: usize) -> Line<'static> {
    match view.state() {
        ListState::Told { listed: HerokuListed::WriteErrors(told), .. } => {
            told.items.get(at).map(|write| write_line(ctx, write, room))
        }
        ListState::Told { listed: HerokuListed::Notifications(told), .. } => {
            told.items.get(at).map(|of| notification_line(ctx, of, room))
        }
        ListState::Told { listed: HerokuListed::Checks(checks), .. } => {
            checks.get(at).map(|check| check_line(ctx, check, room))
        }
        _ => None,
    }
    .unwrap_or_default()
}

/// What became of a refused write's row, with a sign.
fn standing(ctx: &Context, now: RefusedNow) -> (String, Style) {
    match now {
        RefusedNow::Over => ("✓ over".to_owned(), ctx.theme.good()),
        RefusedNow::Unknown => ("? unknown".to_owned(), ctx.theme.dim()),
        RefusedNow::Listed(ErrorState::Ignored) => ("· ignored".to_owned(), ctx.theme.dim()),
        RefusedNow::Listed(_) => (format!("▲ {}", now.word()), ctx.theme.bad()),
    }
}

fn write_line(ctx: &Context, write: &RefusedWrite, room: usize) -> Line<'static> {
    let theme = ctx.theme;
    let [number, table, row] = widths(room);
    let told = &write.told;
    let (word, style) = standing(ctx, write.now);
    let used = 22 + number + table + row;
    Line::from(vec![
        Span::raw(" "),
        cell(&word, 11, style),
        cell(&when(ctx, told.created_at), 10, theme.dim()),
        cell(&clip(&told.id, number - 1), number, theme.dim()),
        cell(&clip(&told.table, table - 1), table, theme.strong()),
        cell(&clip(&told.row, row - 1), row, theme.text()),
        cell(&told.message, room.saturating_sub(used), theme.text()),
    ])
}

fn notification_line(ctx: &Context, of: &ToldNotification, room: usize) -> Line<'static> {
    let theme = ctx.theme;
    let kind = widths(room)[1] + 6;
    Line::from(vec![
        Span::raw(" "),
        cell(&when(ctx, of.created_at), 10, theme.dim()),
        cell(&clip(&of.event_type, kind - 1), kind, theme.strong()),
        cell(&of.message, room.saturating_sub(11 + kind), theme.text()),
    ])
}

fn check_line(ctx: &Context, check: &ToldCheck, room: usize) -> Line<'static> {
    let theme = ctx.theme;
    let of = widths(room)[1];
    let (word, style) = match check.outcome {
        CheckOutcome::Error => ("✗ error", theme.bad()),
        CheckOutcome::Warning => ("▲ warning", theme.warn()),
        CheckOutcome::Pass => ("✓ pass", theme.good()),
        CheckOutcome::Skip => ("· skip", theme.dim()),
    };
    let said = if check.message.is_empty() { String::new() } else { format!(": {}", check.message) };
    Line::from(vec![
        Span::raw(" "),
        cell(word, 11, style),
        cell(&clip(check.mapping.as_deref().unwrap_or("connection"), of - 1), of, theme.dim()),
        cell(&format!("{}{said}", check.name), room.saturating_sub(12 + of), theme.text()),
    ])
}

/// All about the selected line.
fn detail(ctx: &Context, view: &HerokuView, room: usize, most: usize) -> Vec<Line<'static>> {
    let (first, words) = if let Some(write) = view.write_error() {
        (of_write(ctx, write), vec![write.told.message.clone()])
    } else if let Some(of) = view.notification() {
        let came = whole(ctx, of.created_at).map(|at| format!(", came {at}")).unwrap_or_default();
        (format!("{}{came}", of.event_type), vec![of.message.clone()])
    } else if let Some(check) = view.check() {
        let of = check
            .mapping
            .as_deref()
            .map_or("the connection".to_owned(), |mapping| format!("the mapping {mapping}"));
        let said = [Some(check.message.clone()), check.doc_url.clone()].into_iter().flatten();
        (format!("{}: {} of {of}", check.outcome.word(), check.name), said.collect())
    } else {
        return Vec::new();
    };
    let words = words.iter().flat_map(|text| text.lines()).filter(|line| !line.is_empty());
    let left = most.saturating_sub(1);
    let words = words.flat_map(|line| wrap(line, room, left)).take(left);
    let first = Line::from(Span::styled(clip(&format!("  {first}"), room + 2), ctx.theme.strong()));
    let words = words.map(|line| Line::from(Span::styled(format!("  {line}"), ctx.theme.text())));
    std::iter::once(first).chain(words).collect()
}

/// Which write it is, and what became of its row.
fn of_write(ctx: &Context, write: &RefusedWrite) -> String {
    let ToldWriteError { id, table, row, created_at, .. } = &write.told;
    let named = match &write.row {
        Some(at) => ctx.row_name(at),
        None => format!("{table} {row}"),
    };
    let now = match write.now {
        RefusedNow::Over => "no error here any more",
        RefusedNow::Unknown if write.row.is_none() => "no row is named",
        RefusedNow::Unknown => "it cannot be said whether it is an error here still",
        RefusedNow::Listed(ErrorState::Ignored) => "an error here that somebody ignored",
        RefusedNow::Listed(_) => "an error here: Enter shows what helps",
    };
    let captured = whole(ctx, *created_at).map(|at| format!(", captured {at}")).unwrap_or_default();
    format!("{named}, {now} · error {id}{captured}")
}

/// The keys that mean something, the first one and the way out foremost.
fn keys(ctx: &Context, view: &HerokuView) -> Vec<(&'static str, &'static str)> {
    let mut keys: Vec<(&'static str, &'static str)> = Vec::new();
    if view.write_error().is_some() {
        keys.push(("Enter", "its row"));
    } else if view.notification().is_some() {
        if !ctx.read_only {
            keys.push(("a", "acknowledge"));
        }
        keys.push(("Enter", "read"));
    } else if let Some(check) = view.check() {
        keys.push(("Enter", "read"));
        if check.doc_url.is_some() {
            keys.push(("c", "copy link"));
        }
    }
    keys.push(("Tab", "next list"));
    if !view.waits() {
        let again = if matches!(view.state(), ListState::Refused(_)) { "try again" } else { "ask again" };
        keys.push(("r", again));
    }
    if view.len_of(view.place()) > 0 {
        keys.push(("y", "copy"));
    }
    keys.push(("Esc", if view.waits() { "give it up" } else { "close" }));
    keys
}
