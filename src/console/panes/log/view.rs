//! How the log is drawn: its lines, the selected one in full, and the minutes above them.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line as Drawn, Span};
use ratatui::widgets::Paragraph;
use unicode_width::UnicodeWidthStr;

use crate::console::model::{Model, Pane};
use crate::console::panes;
use crate::console::view::place_cursor;
use crate::console::widgets::cells::{clip, count, fit, wrap};
use crate::console::widgets::charts::sparkline;
use crate::logs::ring::Line;
use crate::logs::{Level, OWN_SOURCE};

use super::{COUNTED, Older};

/// A pane of fewer lines shows no picture of the minutes.
const PICTURED: u16 = 16;

/// Draws the pane.
pub fn draw(model: &Model, frame: &mut Frame, area: Rect) {
    let pane = &model.log;
    let mut shows = pane.filter.clone();
    if let Some((text, _)) = &pane.search {
        shows = format!("{shows}{}search {text}", if shows.is_empty() { "" } else { " · " });
    }
    let block = panes::frame(model, Pane::Log, area, &shows, &state(model));
    let whole_pane = block.inner(area);
    frame.render_widget(block, area);
    let [picture, inner] = parts(model, whole_pane);
    frame.render_widget(Paragraph::new(pictured(model, usize::from(picture.width))), picture);
    if pane.is_empty() {
        let text = match (pane.loaded, pane.filtering, pane.filter.is_empty()) {
            (false, ..) => "reading ...",
            (true, true, _) => "searching ...",
            (true, _, true) => "nothing was logged yet",
            (true, _, false) if pane.in_thread() => "no line here speaks of it; Esc goes back",
            (true, _, false) => "no line matches the filter; Esc shows all",
        };
        frame.render_widget(Paragraph::new(panes::empty(model, inner, text)), inner);
        return;
    }
    let whole = whole(model, usize::from(inner.width));
    let height = usize::from(inner.height).saturating_sub(whole.len()).max(1);
    let window = pane.window(height);
    let (at, top) = (pane.index(), window.start);
    let mut lines = Vec::with_capacity(height);
    for index in window {
        let Some(line) = pane.line(index) else { continue };
        // While it follows there is nothing to point at, unless the pane has the keys.
        let selected = index == at && model.focus == Pane::Log;
        lines.push(panes::list_line(
            model,
            Pane::Log,
            selected,
            drawn(model, &line, usize::from(inner.width)),
        ));
    }
    lines.resize(height, Drawn::default());
    lines.extend(whole);
    frame.render_widget(Paragraph::new(lines), inner);
    place_cursor(model, frame, Pane::Log, inner, at.saturating_sub(top));
}

/// Which line is drawn so many below the pane's frame.
pub fn line_at(model: &Model, area: Rect, below: usize) -> Option<usize> {
    let inside = Rect::new(0, 0, area.width.saturating_sub(2), area.height.saturating_sub(2));
    let [picture, lines] = parts(model, inside);
    let below = below.checked_sub(usize::from(picture.height))?;
    let [width, height] = [lines.width, lines.height].map(usize::from);
    model.log.window(height.saturating_sub(whole(model, width).len())).nth(below)
}

/// Where the minutes show, when the pane has the screen and room for them, and where the lines do.
fn parts(model: &Model, inside: Rect) -> [Rect; 2] {
    let pictured =
        model.zoom && model.focus == Pane::Log && inside.height >= PICTURED && !model.log.is_empty();
    Layout::vertical([Constraint::Length(if pictured { 4 } else { 0 }), Constraint::Min(0)]).areas(inside)
}

/// How many lines each of the last minutes has, and how many of them are bad.
fn pictured(model: &Model, width: usize) -> Vec<Drawn<'static>> {
    let theme = model.theme;
    let room = width.saturating_sub(20);
    let Some((begin, all)) = model.log.minutes.newest(room, Level::Debug) else { return Vec::new() };
    let bars = |name: &str, level, style| {
        let (_, values) = model.log.minutes.newest(room, level).unwrap_or_default();
        let top = values.iter().copied().max().unwrap_or(0);
        Drawn::from(vec![
            Span::styled(format!(" {name:<6}"), theme.dim()),
            Span::styled(sparkline(&values, values.len(), top), style),
            Span::styled(format!(" {}", count(values.iter().sum(), 0)), theme.dim()),
        ])
    };
    let from = model.local(begin).format("%H:%M");
    let minutes = all.len();
    let part = if model.log.counted_in_part {
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

fn state(model: &Model) -> String {
    let pane = &model.log;
    let standing = match (pane.following, pane.new_below) {
        (true, _) => "following".to_owned(),
        (false, 0) => "paused".to_owned(),
        (false, new) => format!("paused, {} new below", count(new as i64, 0)),
    };
    let day =
        pane.selected().filter(|_| !pane.following).map(|line| model.local(line.time).format("%b %d · "));
    let first = match pane.older {
        Older::NoRoom if pane.index() == 0 => "older lines: syncdeck logs · ",
        Older::None if pane.index() == 0 && !pane.following => "the first line · ",
        _ => "",
    };
    let zone = if model.settings.utc { "UTC · " } else { "" };
    format!("{first}{}{zone}{standing}", day.map_or(String::new(), |day| day.to_string()))
}

/// The selected line in full, below the others, where there is room and one reads line by line.
fn whole(model: &Model, width: usize) -> Vec<Drawn<'static>> {
    let pane = &model.log;
    let Some(line) = pane.selected().filter(|_| model.zoom && model.focus == Pane::Log && !pane.following)
    else {
        return Vec::new();
    };
    let fields: Vec<String> = line.fields().map(|(key, value)| format!("{key}={value}")).collect();
    let text = format!("{}  {}", line.message(), fields.join(" "));
    let mut lines = vec![Drawn::from(Span::styled("─".repeat(width), model.theme.dim()))];
    lines.extend(
        wrap(&text, width.saturating_sub(2), 5).into_iter().map(|line| Drawn::from(format!(" {line}"))),
    );
    lines
}

fn drawn(model: &Model, line: &Line<'_>, width: usize) -> Drawn<'static> {
    let theme = model.theme;
    if line.field("dropped").is_some() {
        let text = clip(&format!("── {} {} ", model.clock(line.time), line.message()), width);
        let rest = width.saturating_sub(text.width());
        return Drawn::from(Span::styled(format!("{text}{}", "─".repeat(rest)), theme.warn()));
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
    let part = if model.log.elsewhere { 16 } else { 8 };
    let room = width.saturating_sub(1 + 9 + 6 + part);
    let message = clip(line.message(), room);
    let left = room.saturating_sub(message.width() + 2);
    let text = if line.level == Level::Debug { theme.dim() } else { theme.text() };
    let mut spans = vec![
        Span::styled(format!(" {} ", model.clock(line.time)), theme.dim()),
        Span::styled(format!("{word} "), style),
        Span::styled(fit(&whose(line), part), theme.dim()),
    ];
    spans.extend(marked(model, message, text));
    spans.extend(marked(model, format!("  {}", clip(&values.join(" "), left)), theme.dim()));
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
fn marked(model: &Model, text: String, style: Style) -> Vec<Span<'static>> {
    let Some((_, needle)) = &model.log.search else { return vec![Span::styled(text, style)] };
    let mut spans = Vec::new();
    let mut end = 0;
    for hit in needle.found_in(&text) {
        spans.push(Span::styled(text[end..hit.start].to_owned(), style));
        spans.push(Span::styled(text[hit.clone()].to_owned(), model.theme.found()));
        end = hit.end;
    }
    spans.push(Span::styled(text[end..].to_owned(), style));
    spans
}
