//! How the log is drawn: its lines, the selected one in full, and the minutes above them.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line as Drawn, Span};
use ratatui::widgets::Paragraph;
use unicode_width::UnicodeWidthStr;

use crate::console::context::Context;
use crate::console::pane::Pane;
use crate::console::panes::{self, Slot, place_cursor};
use crate::console::widgets::cells::{clip, count, fit, wrap};
use crate::console::widgets::charts::sparkline;
use crate::logs::ring::Line;
use crate::logs::{Level, OWN_SOURCE};

use super::{COUNTED, LogPane, Older};

/// A pane of fewer lines shows no picture of the minutes.
const PICTURED: u16 = 16;

/// Draws the pane.
pub fn draw(ctx: &Context, pane: &LogPane, frame: &mut Frame, slot: Slot) {
    // One that stands still is easily taken for one in which nothing happens.
    let style = if pane.following { ctx.theme.dim() } else { ctx.theme.warn() };
    let state = Span::styled(state(ctx, pane), style);
    let block = panes::frame_with(ctx, slot, &shows(pane), state);
    let whole_pane = block.inner(slot.area);
    frame.render_widget(block, slot.area);
    let [picture, inner] = parts(ctx, pane, whole_pane);
    frame.render_widget(Paragraph::new(pictured(ctx, pane, usize::from(picture.width))), picture);
    if pane.is_empty() {
        let nothing = pane.ring.places().is_empty();
        let text = match (pane.loaded, pane.filtering, pane.filter.is_empty()) {
            (false, ..) => "reading ...",
            (true, true, _) => "searching ...",
            (true, _, true) if nothing => "nothing was logged yet",
            (true, _, true) => "all lines here are of sources that are off; S switches them",
            (true, _, false) if pane.in_thread() => "no line here speaks of it; Esc goes back",
            (true, _, false) => "no line matches the filter; Esc shows all",
        };
        frame.render_widget(Paragraph::new(panes::empty(ctx, inner, text)), inner);
        return;
    }
    let whole = whole(ctx, pane, usize::from(inner.width));
    let height = usize::from(inner.height).saturating_sub(whole.len()).max(1);
    let window = pane.window(height);
    let (at, top) = (pane.index(), window.start);
    panes::place_in_list(ctx, frame, slot, pane.len(), &window);
    let mut lines = Vec::with_capacity(height);
    for index in window {
        let Some(line) = pane.line(index) else { continue };
        // While it follows there is nothing to point at, unless the pane has the keys.
        let selected = index == at && ctx.focus == Pane::Log;
        lines.push(panes::list_line(
            ctx,
            Pane::Log,
            selected,
            drawn(ctx, pane, &line, usize::from(inner.width)),
        ));
    }
    lines.resize(height, Drawn::default());
    lines.extend(whole);
    frame.render_widget(Paragraph::new(lines), inner);
    place_cursor(frame, slot, inner, at.saturating_sub(top));
}

/// What the pane shows now: its filter, what is searched for, which sources are off.
fn shows(pane: &LogPane) -> String {
    let filter = Some(pane.filter.clone()).filter(|filter| !filter.is_empty());
    let search = pane.search.as_ref().map(|(text, _)| format!("search {text}"));
    let off: Vec<&str> = pane.sources.off().collect();
    let off = Some(format!("{} off", off.join(", "))).filter(|_| !off.is_empty());
    [filter, search, off].into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// Which line is drawn so many below the pane's frame.
pub fn line_at(ctx: &Context, pane: &LogPane, area: Rect, below: usize) -> Option<usize> {
    let inside = Rect::new(0, 0, area.width.saturating_sub(2), area.height.saturating_sub(2));
    let [picture, lines] = parts(ctx, pane, inside);
    let below = below.checked_sub(usize::from(picture.height))?;
    let [width, height] = [lines.width, lines.height].map(usize::from);
    pane.window(height.saturating_sub(whole(ctx, pane, width).len())).nth(below)
}

/// Where the minutes show, when the pane has the screen and room for them, and where the lines do.
fn parts(ctx: &Context, pane: &LogPane, inside: Rect) -> [Rect; 2] {
    let pictured = ctx.zoom && ctx.focus == Pane::Log && inside.height >= PICTURED && !pane.is_empty();
    Layout::vertical([Constraint::Length(if pictured { 4 } else { 0 }), Constraint::Min(0)]).areas(inside)
}

/// How many lines each of the last minutes has, and how many of them are bad.
fn pictured(ctx: &Context, pane: &LogPane, width: usize) -> Vec<Drawn<'static>> {
    let theme = ctx.theme;
    let room = width.saturating_sub(20);
    let Some((begin, all)) = pane.minutes.newest(room, Level::Debug) else { return Vec::new() };
    let bars = |name: &str, level, style| {
        let (_, values) = pane.minutes.newest(room, level).unwrap_or_default();
        let top = values.iter().copied().max().unwrap_or(0);
        Drawn::from(vec![
            Span::styled(format!(" {name:<6}"), theme.dim()),
            Span::styled(sparkline(&values, values.len(), top), style),
            Span::styled(format!(" {}", count(values.iter().sum(), 0)), theme.dim()),
        ])
    };
    let from = ctx.local(begin).format("%H:%M");
    let minutes = all.len();
    let part = if pane.counted_in_part {
        format!("; of the newest {} lines", count(COUNTED as i64, 0))
    } else {
        String::new()
    };
    vec![
        bars("all", Level::Debug, theme.text()),
        bars("warn", Level::Warn, theme.warn()),
        bars("error", Level::Error, theme.bad()),
        Drawn::from(Span::styled(
            format!(" a cell a minute, {minutes} from {from}; each line by its own highest{part}"),
            theme.dim(),
        )),
    ]
}

fn state(ctx: &Context, pane: &LogPane) -> String {
    let standing = match (pane.following, pane.new_below) {
        (true, _) => "following".to_owned(),
        (false, 0) => "paused".to_owned(),
        (false, new) if ctx.focus == Pane::Log => format!("paused, {} new below", count(new as i64, 0)),
        (false, new) => format!("paused, {} new · {} G follows", count(new as i64, 0), Pane::Log.number()),
    };
    let day = pane.selected().filter(|_| !pane.following).map(|line| ctx.local(line.time).format("%b %d · "));
    let first = match pane.older {
        Older::NoRoom if pane.index() == 0 => "older lines: syncdeck logs · ",
        Older::None if pane.index() == 0 && !pane.following => "the first line · ",
        _ => "",
    };
    let zone = if ctx.settings.utc { "UTC · " } else { "" };
    format!("{first}{}{zone}{standing}", day.map_or(String::new(), |day| day.to_string()))
}

/// The selected line in full, below the others, where there is room and one reads line by line.
fn whole(ctx: &Context, pane: &LogPane, width: usize) -> Vec<Drawn<'static>> {
    let Some(line) = pane.selected().filter(|_| ctx.zoom && ctx.focus == Pane::Log && !pane.following) else {
        return Vec::new();
    };
    let fields: Vec<String> = line.fields().map(|(key, value)| format!("{key}={value}")).collect();
    let text = format!("{}  {}", line.message(), fields.join(" "));
    let mut lines = vec![Drawn::from(Span::styled("─".repeat(width), ctx.theme.dim()))];
    lines.extend(
        wrap(&text, width.saturating_sub(2), 5).into_iter().map(|line| Drawn::from(format!(" {line}"))),
    );
    lines
}

fn drawn(ctx: &Context, pane: &LogPane, line: &Line<'_>, width: usize) -> Drawn<'static> {
    let theme = ctx.theme;
    if line.is_gap() {
        let whose = if pane.elsewhere { format!("{} · ", whose(line)) } else { String::new() };
        let text = clip(&format!("── {} {whose}{} ", ctx.clock(line.time), line.message()), width);
        let rest = width.saturating_sub(text.width());
        let style = if line.level >= Level::Warn { theme.warn() } else { theme.dim() };
        return Drawn::from(Span::styled(format!("{text}{}", "─".repeat(rest)), style));
    }
    let (word, style) = match line.level {
        Level::Debug => ("debug", theme.dim()),
        Level::Info => ("info ", theme.dim()),
        Level::Warn => ("WARN ", theme.warn()),
        Level::Error => ("ERROR", theme.bad()),
    };
    let rank = |key: &str| FIRST.iter().position(|known| *known == key).unwrap_or(FIRST.len());
    let mut fields: Vec<(&str, &str)> = line.fields().collect();
    fields.sort_by_key(|(key, _)| rank(key));
    let values: Vec<String> = fields.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    let part = if pane.elsewhere { 16 } else { 8 };
    let room = width.saturating_sub(1 + 9 + 6 + part);
    let message = clip(line.message(), room);
    let left = room.saturating_sub(message.width() + 2);
    let text = if line.level == Level::Debug { theme.dim() } else { theme.text() };
    let mut spans = vec![
        Span::styled(format!(" {} ", ctx.clock(line.time)), theme.dim()),
        Span::styled(format!("{word} "), style),
        Span::styled(fit(&whose(line), part), theme.dim()),
    ];
    spans.extend(marked(ctx, pane, message, text));
    spans.extend(marked(ctx, pane, format!("  {}", clip(&values.join(" "), left)), theme.dim()));
    Drawn::from(spans)
}

/// The fields that one looks for first; the store keeps no order of its own.
const FIRST: [&str; 6] = ["code", "status", "service", "fields", "row", "mapping"];

/// The engine's part, or another program's source with its own: `shop[web.1]`.
fn whose(line: &Line<'_>) -> String {
    match (line.source(), line.dyno()) {
        (OWN_SOURCE, part) => part.to_owned(),
        (source, "") => source.to_owned(),
        (source, part) => format!("{source}[{part}]"),
    }
}

/// A text with what is searched for standing out.
fn marked(ctx: &Context, pane: &LogPane, text: String, style: Style) -> Vec<Span<'static>> {
    let Some((_, needle)) = &pane.search else { return vec![Span::styled(text, style)] };
    let mut spans = Vec::new();
    let mut end = 0;
    for hit in needle.found_in(&text) {
        spans.push(Span::styled(text[end..hit.start].to_owned(), style));
        spans.push(Span::styled(text[hit.clone()].to_owned(), ctx.theme.found()));
        end = hit.end;
    }
    spans.push(Span::styled(text[end..].to_owned(), style));
    spans
}
