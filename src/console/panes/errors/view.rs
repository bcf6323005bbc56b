//! How the list of errors is drawn: columns as there is room for.

use chrono::{DateTime, Utc};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use unicode_width::UnicodeWidthStr;

use super::ErrorsPane;
use crate::client::api::Count;
use crate::console::columns::{Column, ErrorColumns};
use crate::console::context::Context;
use crate::console::pane::Pane;
use crate::console::panes::{self, Slot};
use crate::console::widgets::cells::{ago, cell, clip, count, fit, sideways};
use crate::domain::errors::sort::{Sort, SortBy};
use crate::domain::errors::summary::Summary;
use crate::domain::errors::sync_error::{ErrorState, SyncError};
use crate::domain::names::RowRef;
use crate::domain::operations::answer::Answer;
use crate::domain::state::{ConnectionState, MappingState};

/// What an error is about that is of no row.
pub fn subject(error: &SyncError) -> String {
    if error.mapping.is_empty() {
        "the connection".to_owned()
    } else if let Some(sfid) = &error.sfid {
        format!("{} {sfid}", error.mapping)
    } else {
        format!("{} ({})", error.mapping, error.op)
    }
}

/// Sign, word and looks of an error's state.
pub fn state(ctx: &Context, error: &SyncError) -> (&'static str, String, Style) {
    let theme = ctx.theme;
    match error.state {
        ErrorState::Open => ("✗", "open".to_owned(), theme.bad()),
        ErrorState::Review => ("?", "review".to_owned(), theme.warn()),
        ErrorState::Held => ("○", "held".to_owned(), theme.dim()),
        ErrorState::Ignored => ("-", "ignored".to_owned(), theme.dim()),
        ErrorState::Resolved => ("✓", "resolved".to_owned(), theme.good()),
        ErrorState::Retrying => {
            let left = error.next_retry_at.map_or(0, |at| (at - ctx.now).num_seconds());
            let word = if left > 0 { format!("in {}", ago(left)) } else { "sending".to_owned() };
            ("↻", word, theme.warn())
        }
    }
}

/// Draws the pane, beside the record of a row that is open.
/// `beside` tells whether a record shows, which says how many others have its cause.
pub fn draw(
    ctx: &Context,
    pane: &ErrorsPane,
    open: Option<&RowRef>,
    beside: bool,
    frame: &mut Frame,
    slot: Slot,
) {
    let mut shows = pane.filter_label.clone().unwrap_or_else(|| pane.filter.clone());
    if pane.everything {
        shows = if shows.is_empty() { "everything".to_owned() } else { format!("everything · {shows}") };
    }
    let standing = panes::dated(ctx, pane.read_at, &standing(pane, panes::corner(slot.area.width)));
    let mut block = panes::frame(ctx, slot, &shows, &standing);
    if let Some(left) = cause_left(pane, pane.selected()).filter(|_| !beside) {
        block = block.title_bottom(Line::from(Span::styled(left, ctx.theme.dim())));
    }
    let inner = block.inner(slot.area);
    frame.render_widget(block, slot.area);
    let [above, inner] = inner.layout(&Layout::vertical([
        Constraint::Length(banner_height(ctx, pane, inner.height)),
        Constraint::Fill(1),
    ]));
    frame.render_widget(Paragraph::new(banner(ctx, pane, above)), above);
    if let Some(text) = what_instead(ctx, pane) {
        frame.render_widget(Paragraph::new(panes::empty(ctx, inner, &text)), inner);
        return;
    }
    let columns = Columns::of(usize::from(inner.width), &ctx.settings.columns);
    let mut lines = vec![columns.head(ctx, pane)];
    let height = usize::from(inner.height).saturating_sub(1);
    let window = pane.cursor.window(pane.items.len(), height);
    let top = window.start;
    let (all, before) = pane.length();
    panes::place_in_list(ctx, frame, slot, all, &(before + top..before + window.end));
    for at in window {
        lines.push(panes::list_line(
            ctx,
            Pane::Errors,
            at == pane.cursor.at && has_bar(ctx, open, &pane.items[at]),
            columns.row(ctx, pane, &pane.items[at]),
        ));
    }
    frame.render_widget(Paragraph::new(lines), inner);
    panes::place_cursor(frame, slot, inner, 1 + pane.cursor.at.saturating_sub(top));
}

/// How many other errors of the same cause need a person, where that was counted.
pub fn cause_left(pane: &ErrorsPane, error: Option<&SyncError>) -> Option<String> {
    let (group, Count { matching, capped }) = pane.cause.as_ref()?;
    let error = error.filter(|error| error.group == *group)?;
    let itself = i64::from(pane.needs_a_person(error));
    let more = if *capped { "+" } else { "" };
    Some(match matching - itself {
        ..=0 => " n next · the last of its cause ".to_owned(),
        left => format!(" n next · {}{more} more of this cause ", count(left, 0)),
    })
}

/// The most conditions that are told of above the list.
const TOLD: usize = 2;

/// The lines that stand above a list of so many: what it leaves out, and conditions.
pub fn banner_height(ctx: &Context, pane: &ErrorsPane, height: u16) -> u16 {
    let gaps = u16::from(!ctx.gaps().is_empty());
    let most = if height >= 8 { TOLD } else { 1 };
    // Listed with everything, they need no banner.
    let standing = if pane.everything { 0 } else { pane.standing.len().min(most) };
    gaps + u16::try_from(standing).unwrap_or(0)
}

/// What the list leaves out, and what stands in the way of more than one row, with the key that shows what helps.
fn banner(ctx: &Context, pane: &ErrorsPane, area: Rect) -> Vec<Line<'static>> {
    let theme = ctx.theme;
    let line = |text: &str, key: String| {
        let room = usize::from(area.width).saturating_sub(key.width() + 3);
        Line::from(vec![
            Span::styled(" ▲ ", theme.warn()),
            Span::styled(fit(text, room), theme.warn()),
            Span::styled(key, theme.key()),
        ])
    };
    let gaps = ctx.gaps().first().map(|first| {
        let more = ctx.gaps().len() - 1;
        let more = if more > 0 { format!(" +{more}") } else { String::new() };
        // Where conditions stand below it, the key shows those.
        let key = if pane.standing.is_empty() { "  B all " } else { " " };
        line(&format!("incomplete: {first}"), format!("{more}{key}"))
    });
    let told = usize::from(area.height).saturating_sub(usize::from(gaps.is_some()));
    let hidden = pane.standing.len().saturating_sub(told);
    let condition = |(at, error): (usize, &SyncError)| {
        let more = if at + 1 == told && hidden > 0 {
            format!(" +{hidden}{}", if pane.more_standing { " and more" } else { "" })
        } else {
            String::new()
        };
        let text = format!("{}: {} · {}", subject(error), error.code, error.message);
        line(&text, format!("{more}  B what helps "))
    };
    gaps.into_iter().chain(pane.standing.iter().take(told).enumerate().map(condition)).collect()
}

/// Whether the selected error's line stands out: not while the record of another row has been opened, for a key there
/// acts on that one.
fn has_bar(ctx: &Context, open: Option<&RowRef>, error: &SyncError) -> bool {
    ctx.focus == Pane::Errors || open.is_none() || error.row().as_ref() == open
}

/// How many are marked, where one is, of how many, and how many are new: as much of it as there is room for.
fn standing(pane: &ErrorsPane, room: usize) -> String {
    if !pane.loaded || pane.items.is_empty() {
        return String::new();
    }
    let marked = match (pane.marks.all, pane.marks.ids.len()) {
        (true, _) => "all marked".to_owned(),
        (false, 0) => String::new(),
        (false, marked) => format!("{marked} marked"),
    };
    let place = i64::try_from(pane.place()).unwrap_or(i64::MAX);
    let all = match pane.count {
        Some(Count { matching, capped }) => {
            // The list may be newer than its count.
            let all = matching.max(place);
            format!("{}{}", count(all, 0), if capped { "+" } else { "" })
        }
        None if pane.next.is_some() => "...".to_owned(),
        None => count(pane.items.len() as i64, 0),
    };
    let (new, place) = if pane.goes_on_from_here() {
        (String::new(), format!("others above: R · {all}"))
    } else {
        let new = format!("▲ {} new", count(pane.unseen as i64, 0));
        (if pane.unseen > 0 { new } else { String::new() }, format!("{} of {all}", count(place, 0)))
    };
    // What is marked is acted on: it is told of before the rest.
    let joined = |parts: &[&str]| {
        let parts = parts.iter().copied().filter(|part| !part.is_empty());
        parts.collect::<Vec<_>>().join(" · ")
    };
    let all_of_it = joined(&[&new, &marked, &place]);
    let without_new = joined(&[&marked, &place]);
    match all_of_it.width() <= room {
        true => all_of_it,
        false if without_new.width() <= room || marked.is_empty() => without_new,
        false => marked,
    }
}

/// What the pane says when it has no list to show.
fn what_instead(ctx: &Context, pane: &ErrorsPane) -> Option<String> {
    // What was last known stays in sight while PostgreSQL is out of reach; the line above says that it is.
    if let Some(refusal) = pane.refusal.as_ref().filter(|_| pane.items.is_empty()) {
        return Some(refusal.replace('\n', " · "));
    }
    if !pane.loaded {
        return Some("reading ...".to_owned());
    }
    if !pane.items.is_empty() {
        return None;
    }
    Some(if pane.filter.is_empty() && loads(ctx) {
        "No errors yet. The first records are being loaded.".to_owned()
    } else if pane.filter.is_empty() && pane.everything {
        "No errors. Everything that was written is in Salesforce, or on its way (5 shows it).".to_owned()
    } else if pane.filter.is_empty() {
        "No errors. Nothing needs a person.\n! lists what is tried again or waits, 5 what is on its way."
            .to_owned()
    } else if pane.next.is_some() {
        "searching ...".to_owned()
    } else {
        "No error matches the filter.\nEsc shows all errors, / changes the filter, ! looks among all."
            .to_owned()
    })
}

/// Whether a mapping's records are still being loaded, or the engine has only begun.
fn loads(ctx: &Context) -> bool {
    ctx.overview.as_ref().is_none_or(|overview| {
        overview.connection.state == ConnectionState::Connecting
            || overview.mappings.iter().any(|mapping| mapping.state == MappingState::Loading)
    })
}

/// The widths of the columns; the least needed go first where room is short.
struct Columns {
    time: usize,
    record: usize,
    /// Field, value and what becomes of it; at its end what is to be said of the line.
    words: usize,
    code: usize,
}

impl Columns {
    fn of(width: usize, wanted: &ErrorColumns) -> Columns {
        let time = match width {
            _ if wanted.hides(Column::Time) => 0,
            100.. => 9,
            60.. => 6,
            _ => 0,
        };
        let room = width.saturating_sub(SIGNS + time);
        let record = (room * 3 / 10).clamp(14, 34);
        let code = if width >= 110 { ((room - record) / 3).clamp(16, 34) } else { 0 };
        // However wide the others are made, the field has room.
        let left = room.saturating_sub(FIELD);
        let usual = (record, code);
        let record = wanted.width(Column::Record, usual.0).min(left.max(usual.0));
        let least = if record > usual.0 { 0 } else { usual.1 };
        let code = wanted.width(Column::Code, usual.1).min(left.saturating_sub(record).max(least));
        Columns { time, record, words: room.saturating_sub(record + code), code }
    }

    fn head(&self, ctx: &Context, pane: &ErrorsPane) -> Line<'static> {
        let Sort { by, descending } = pane.sort;
        let sign = if descending { "↓" } else { "↑" };
        let head = |name: &str, of: &[SortBy], width: usize| {
            fit(&if of.contains(&by) { format!("{name}{sign}") } else { name.to_owned() }, width)
        };
        // What has no column of its own is told of at the end, where notes stand.
        let note = match by {
            SortBy::Attempts => "tries",
            SortBy::State => "state",
            SortBy::NextRetry => "retry",
            SortBy::Code if self.code == 0 => "code",
            _ => "",
        };
        let note = if note.is_empty() { String::new() } else { format!("{note}{sign}") };
        let time = if by == SortBy::FirstSeen { "first" } else { "last" };
        let words = self.words.saturating_sub(note.width());
        let text = format!(
            "   {}{}{}{note}{}",
            head(time, &[SortBy::FirstSeen, SortBy::LastSeen], self.time),
            head("record", &[SortBy::Row, SortBy::Mapping], self.record),
            head("field", &[SortBy::Field], words),
            head("code", &[SortBy::Code], self.code),
        );
        Line::from(Span::styled(text, ctx.theme.label()))
    }

    fn row(&self, ctx: &Context, pane: &ErrorsPane, error: &SyncError) -> Line<'static> {
        let theme = ctx.theme;
        let (sign, note, style) = standing_of(ctx, pane, error);
        let marked = pane.is_marked(error);
        let time = if pane.sort.by == SortBy::FirstSeen { error.first_seen } else { error.last_seen };
        let words = pane.words_of(error);
        let mut spans = vec![
            Span::styled(if marked { "●" } else { " " }, theme.key()),
            Span::styled(format!("{sign} "), style),
            Span::styled(fit(&self.when(ctx, time), self.time), theme.dim()),
        ];
        spans.extend(self.record(ctx, error, words.map_or("", |words| &words.name), pane.depth(error)));
        let room = self.words.saturating_sub(if note.is_empty() { 1 } else { note.width() + 2 });
        let said = in_words(ctx, error, (words, pane.scrolled), room, self.code == 0);
        let used: usize = said.iter().map(Span::width).sum();
        spans.extend(said);
        spans.push(Span::raw(" ".repeat(self.words.saturating_sub(used + note.width() + 1))));
        spans.push(Span::styled(format!("{note} "), style));
        if self.code > 0 {
            spans.push(cell(&error.code, self.code, theme.dim()));
        }
        Line::from(spans)
    }

    /// The record by its number, and by its name where there is room.
    fn record(&self, ctx: &Context, error: &SyncError, name: &str, depth: usize) -> Vec<Span<'static>> {
        let theme = ctx.theme;
        if self.record == 0 {
            return Vec::new();
        }
        let width = self.record.saturating_sub(1);
        let Some(row) = error.row_id else {
            return vec![cell(&subject(error), width, theme.text()), Span::raw(" ")];
        };
        // What waits for the line above stands below it.
        let below =
            if depth > 0 { format!("{}└ ", "  ".repeat(depth.min(DEEP) - 1)) } else { String::new() };
        let width = width.saturating_sub(below.width());
        // The number tells rows apart; where room is short, the name gives way.
        let number = row.to_string();
        let id = format!("{} {number}", clip(&error.mapping, width.saturating_sub(number.len() + 1)));
        let left = width.saturating_sub(id.width());
        let name = if left < 5 { String::new() } else { format!(" {name}") };
        vec![
            Span::styled(below, theme.dim()),
            Span::styled(id, theme.text()),
            cell(&name, left, theme.dim()),
            Span::raw(" "),
        ]
    }

    /// The time of day; the day, when it is another one.
    fn when(&self, ctx: &Context, time: DateTime<Utc>) -> String {
        if self.time == 0 {
            String::new()
        } else if ctx.local(time).date_naive() == ctx.local(ctx.now).date_naive() {
            ctx.clock(time)[..self.time - 1].to_owned()
        } else {
            ctx.local(time).format("%b %d").to_string()
        }
    }
}

/// Lines below each other that are indented.
const DEEP: usize = 4;
/// Columns that the field has at least, with its value.
const FIELD: usize = 22;
/// Columns of the mark, the sign and the blank behind it.
const SIGNS: usize = 3;

/// Where a line stands: its sign, what is to be said of it, and the looks of both.
fn standing_of(ctx: &Context, pane: &ErrorsPane, error: &SyncError) -> (&'static str, String, Style) {
    let theme = ctx.theme;
    match pane.sent_of(error.id).map(|sent| sent.answer) {
        Some(Answer::Taken) => return ("✓", "taken".to_owned(), theme.good()),
        Some(Answer::Settled) => return ("-", "settled".to_owned(), theme.dim()),
        Some(Answer::Rejected) => return ("✗", "again".to_owned(), theme.bad()),
        Some(Answer::Held) => return ("○", "held".to_owned(), theme.dim()),
        Some(Answer::Waiting) if error.state != ErrorState::Retrying => {
            return ("↻", "sending".to_owned(), theme.warn());
        }
        Some(Answer::Waiting) | None => {}
    }
    let (sign, word, style) = state(ctx, error);
    let note = match (error.state, pane.words_of(error).map_or(0, |words| words.waiting)) {
        (ErrorState::Retrying, _) => word,
        (_, 0) if error.attempts > 1 => format!("{} tries", error.attempts),
        (_, 0) => String::new(),
        (_, waiting) if pane.is_unfolded(error) => {
            let some = if pane.shows_some(error) { "+" } else { "" };
            format!("▾{some} {} wait", count(waiting, 0))
        }
        (_, waiting) => format!("▸ {} wait", count(waiting, 0)),
    };
    (sign, note, style)
}

/// What is wrong: in the row's own words where they are known, else in those of the answer.
fn in_words(
    ctx: &Context,
    error: &SyncError,
    (words, scrolled): (Option<&Summary>, usize),
    room: usize,
    with_code: bool,
) -> Vec<Span<'static>> {
    let theme = ctx.theme;
    let Some(words) = words.filter(|words| !words.field.is_empty()) else {
        let field = error.fields.join(",");
        let told = if with_code || !field.is_empty() { &error.code } else { &error.message };
        let mut spans = Vec::new();
        let mut left = room;
        for (text, style) in
            [(field.as_str(), theme.strong()), (told, theme.text()), (&error.message, theme.dim())]
        {
            if text.is_empty()
                || left < 4
                || (text == error.message && told == &error.message && !spans.is_empty())
            {
                continue;
            }
            let text = clip(text, left);
            left = left.saturating_sub(text.width() + 1);
            spans.extend([Span::styled(text, style), Span::raw(" ")]);
        }
        spans.pop();
        return spans;
    };
    let value = words.value.as_deref().unwrap_or("nothing");
    let Some(becomes) = &words.becomes else {
        let field = clip(&words.field, room.saturating_sub(8));
        let left = room.saturating_sub(field.width() + 2);
        let value = clip(&sideways(value, scrolled, left), left);
        let left = room.saturating_sub(field.width() + value.width() + 4);
        let mut spans =
            vec![Span::styled(field, theme.strong()), Span::styled(format!("  {value}"), theme.text())];
        if with_code && left >= 6 {
            spans.push(Span::styled(format!("  {}", clip(&error.code, left)), theme.dim()));
        }
        return spans;
    };
    // What becomes of the value may not vanish: field and value give way.
    let field = clip(&words.field, (room / 4).max(5));
    let left = room.saturating_sub(field.width() + 5);
    let half = left.saturating_sub(becomes.width().min(left / 2));
    let value = clip(&sideways(value, scrolled, half), half);
    let rest = left.saturating_sub(value.width());
    let becomes = clip(&sideways(becomes, scrolled, rest), rest);
    vec![
        Span::styled(field, theme.strong()),
        Span::styled(format!("  {value}"), theme.text()),
        Span::styled(" → ", theme.dim()),
        Span::styled(becomes, theme.good()),
    ]
}
