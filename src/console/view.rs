//! Drawing: where the panes are, the line above and the line below. Only draws.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph};

use super::command::Id;
use super::model::{Model, Pane, Toast, Tone};
use super::overlays::Overlay;
use super::widgets::cells::{clip, count, wrap};
use super::{ascii, keys, overlays, panes};
use crate::domain::act::is_production;
use crate::domain::overview::MappingStatus;

/// The smallest screen that shows anything of use.
pub const SMALLEST: (u16, u16) = (60, 15);

/// The most lines that something said takes.
const SAID: usize = 3;

/// Whether a screen of so many columns and lines shows anything of use.
pub fn fits((columns, lines): (u16, u16)) -> bool {
    columns >= SMALLEST.0 && lines >= SMALLEST.1
}

/// Draws everything.
pub fn draw(model: &Model, frame: &mut Frame) {
    let area = frame.area();
    if fits((area.width, area.height)) {
        whole(model, frame);
    } else {
        too_small(model, frame);
    }
    model.theme.ground(frame.buffer_mut());
    if model.theme.ascii {
        ascii::plain(frame.buffer_mut());
    }
}

/// What is needed, how one leaves, and what is told, such as what leaving would throw away.
fn too_small(model: &Model, frame: &mut Frame) {
    let area = frame.area();
    let text = format!("need {}x{}, have {}x{}", SMALLEST.0, SMALLEST.1, area.width, area.height);
    let mut lines = vec![Line::from("The terminal is too small:"), Line::from(text), Line::from("q leaves")];
    let width = usize::from(area.width).max(1);
    let told = model.toast.iter().flat_map(|toast| wrap(&toast.text, width, SAID));
    lines.extend(told.map(Line::from));
    frame.render_widget(Paragraph::new(lines), area);
}

fn whole(model: &Model, frame: &mut Frame) {
    let [top, middle, bottom] = frame.area().layout(&Layout::vertical([
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(1),
    ]));
    frame.render_widget(Paragraph::new(header(model, usize::from(top.width))), top);
    for (pane, area) in arrange(model, middle) {
        match pane {
            Pane::Mappings => panes::mappings::draw(model, frame, area),
            Pane::Errors => panes::errors::draw(model, frame, area),
            Pane::Pending => panes::pending::draw(model, frame, area),
            Pane::Record => panes::record::draw(model, frame, area),
            Pane::Log => panes::log::draw(model, frame, area),
        }
    }
    footer(model, frame, bottom);
    overlays::draw(model, frame);
}

/// Where each pane is. On a low screen, mappings and errors give way to the record while it has the keys.
pub fn arrange(model: &Model, area: Rect) -> Vec<(Pane, Rect)> {
    if model.zoom {
        return vec![(model.focus, area)];
    }
    let split = |area: Rect| {
        let left = if area.width >= 180 {
            78
        } else if area.width >= 140 {
            70
        } else if area.width >= 100 {
            34
        } else {
            30
        };
        let [mappings, errors] =
            area.layout(&Layout::horizontal([Constraint::Length(left), Constraint::Fill(1)]));
        vec![(Pane::Mappings, mappings), (model.list, errors)]
    };
    if area.height >= 32 {
        // What has the keys gets the room: a long list, all fields of a record, much of the log.
        let (lists, log) = match model.focus {
            Pane::Record => (24, 16),
            Pane::Log => (28, 44),
            _ => (42, 16),
        };
        let [lists, record, log] = area.layout(&Layout::vertical([
            Constraint::Percentage(lists),
            Constraint::Fill(1),
            Constraint::Percentage(log),
        ]));
        let mut places = split(lists);
        places.extend([(Pane::Record, record), (Pane::Log, log)]);
        return places;
    }
    let log_height = if model.focus == Pane::Log { area.height / 2 } else { (area.height / 4).max(4) };
    let [main, log] = area.layout(&Layout::vertical([Constraint::Fill(1), Constraint::Length(log_height)]));
    let mut places = if model.focus == Pane::Record { vec![(Pane::Record, main)] } else { split(main) };
    places.push((Pane::Log, log));
    places
}

/// Whether a pane shows.
pub fn shows(model: &Model, pane: Pane) -> bool {
    let middle = Rect::new(0, 0, model.size.0, model.size.1.saturating_sub(2));
    arrange(model, middle).iter().any(|(other, _)| *other == pane)
}

/// How many lines of a pane's list show, for moving by pages.
pub fn page(model: &Model, pane: Pane) -> usize {
    let middle = Rect::new(0, 0, model.size.0, model.size.1.saturating_sub(2));
    let height = arrange(model, middle)
        .into_iter()
        .find(|(other, _)| *other == pane)
        .map_or(10, |(_, area)| area.height);
    usize::from(height).saturating_sub(4).max(1)
}

/// The terminal's own cursor rests on the selected line, where screen readers and magnifiers look.
pub fn place_cursor(model: &Model, frame: &mut Frame, pane: Pane, inner: Rect, line: usize) {
    let line = u16::try_from(line).unwrap_or(u16::MAX);
    if model.focus == pane && model.overlays.is_empty() && line < inner.height {
        frame.set_cursor_position((inner.x, inner.y + line));
    }
}

/// Who, how it is, and how much waits: what one looks at first.
fn header(model: &Model, width: usize) -> Line<'static> {
    let theme = model.theme;
    let mut spans = vec![Span::styled(" syncdeck ", theme.strong())];
    let Some(overview) = &model.overview else {
        let text = model.lost.as_ref().unwrap_or(&model.settings.opening);
        let name = &model.settings.connection;
        let text = if name.is_empty() { text.clone() } else { format!("{name}: {text}") };
        spans.push(Span::styled(clip(&text.replace('\n', " · "), width.saturating_sub(12)), theme.warn()));
        return Line::from(spans);
    };
    let connection = &overview.connection;
    spans.push(Span::raw(clip(&format!(" {} ⇄ ", connection.name), 24)));
    let environment = model.environment();
    if is_production(environment) {
        let text = format!(" {} ", environment.to_uppercase());
        spans.push(Span::styled(clip(&text, 16), theme.production()));
    } else {
        spans.push(Span::raw(clip(environment, 16)));
    }
    let (sign, word, style) = match (&model.lost, overview.engine.state.as_str(), connection.state.as_str()) {
        (Some(_), ..) => {
            let since = model.lost_since.map(|at| format!(" since {}", model.clock(at))).unwrap_or_default();
            let what = if width >= 100 { "PostgreSQL out of reach" } else { "no PostgreSQL" };
            ("✗", format!("{what}{since}"), theme.bad())
        }
        _ if model.unanswered_for().is_some() => {
            let seconds = model.unanswered_for().unwrap_or_default();
            ("◌", format!("PostgreSQL does not answer, {seconds} s"), theme.warn())
        }
        (_, "running", "ok") => ("●", "running".to_owned(), theme.good()),
        (_, "running", "connecting") => ("◌", "connecting".to_owned(), theme.warn()),
        (_, "running", "database") => ("▲", "PostgreSQL refuses the engine".to_owned(), theme.bad()),
        (_, "running", state) => ("▲", format!("Salesforce {state}"), theme.bad()),
        (_, state, _) => ("✗", format!("engine {state}"), theme.bad()),
    };
    spans.push(Span::styled(clip(&format!("  {sign} {word}"), 44), style));
    // An engine that runs is not all: writes may rest.
    for (state, style) in [("stopped", theme.bad()), ("broken", theme.bad()), ("paused", theme.warn())] {
        let mappings = overview.mappings.iter().filter(|mapping| mapping.state == state).count();
        if mappings > 0 {
            spans.push(Span::styled(format!(" · {mappings} {state}"), style));
        }
    }
    if model.read_only {
        spans.push(Span::styled("  READ-ONLY", theme.warn().patch(theme.strong())));
    }
    let sum = |of: fn(&MappingStatus) -> i64| overview.mappings.iter().map(of).sum::<i64>();
    let (pending, errors, recent) = (sum(|m| m.pending), sum(|m| m.errors), sum(|m| m.errors_last_hour));
    let held = sum(|m| m.held);
    let of_salesforce = connection.detail.as_ref().filter(|_| connection.state != "ok");
    let detail = model.lost.as_ref().or(of_salesforce);
    // Why it does not work comes before what is good to know.
    let well = detail.is_none();
    let style = if errors > 0 { theme.warn() } else { theme.text() };
    for (text, style) in [
        (format!("   pending {}", count(pending, 0)), theme.text()),
        (format!("   errors {}", count(errors, 0)), style),
    ] {
        // Half a number is another number.
        if spans.iter().map(Span::width).sum::<usize>() + text.len() <= width {
            spans.push(Span::styled(text, style));
        }
    }
    if recent > 0 && width >= 100 && well {
        spans.push(Span::styled(format!(" ▲{} in 1 h", count(recent, 0)), theme.dim()));
    }
    if held > 0 && width >= 100 {
        spans.push(Span::styled(format!("   held {}", count(held, 0)), theme.dim()));
    }
    if let (Some(used), Some(limit), true) = (connection.api_used, connection.api_limit, width >= 110 && well)
    {
        spans.push(Span::styled(format!("   API {}/{}", count(used, 0), count(limit, 0)), theme.dim()));
    }
    let zone = if model.settings.utc { " UTC" } else { "" };
    let clock = if model.settings.clock {
        model.local(model.now).format("%H:%M").to_string() + zone + " "
    } else {
        String::new()
    };
    let used: usize = spans.iter().map(Span::width).sum();
    if let Some(detail) = detail {
        let detail = detail.replace('\n', " · ");
        let room = width.saturating_sub(used + 3 + clock.len() + 2);
        if room >= 16 {
            spans.push(Span::styled(format!("   {}", clip(&detail, room)), theme.warn()));
        }
    }
    let used: usize = spans.iter().map(Span::width).sum();
    if used + clock.len() < width {
        spans.push(Span::raw(" ".repeat(width - used - clock.len())));
        spans.push(Span::styled(clock, theme.dim()));
    }
    Line::from(spans)
}

/// What just happened, or the next keys.
fn footer(model: &Model, frame: &mut Frame, area: Rect) {
    // These two draw nothing themselves: the line stays as long as they take the keys.
    let takes_keys = match model.overlays.last() {
        Some(Overlay::Looking(what)) => Some(format!("{what} ... (Esc gives it up)")),
        Some(Overlay::Awaiting { row, command }) => Some(format!(
            "reading {} {}; {} waits for it (Esc gives it up)",
            row.table, row.row, command.title
        )),
        Some(Overlay::Opening(_)) => Some("reading; what you type waits for it (Esc gives it up)".to_owned()),
        _ => None,
    };
    if let Some(text) = takes_keys {
        let toast = Toast { text, tone: Tone::Neutral, until: model.now };
        return said(model, &toast, frame, area);
    }
    match &model.toast {
        Some(toast) => said(model, toast, frame, area),
        // What lies on top says its keys itself.
        None if !model.overlays.is_empty() => {}
        None => frame.render_widget(Paragraph::new(hints(model, usize::from(area.width))), area),
    }
}

/// What just happened; where it needs several lines it takes them, for its end says what to do.
fn said(model: &Model, toast: &Toast, frame: &mut Frame, area: Rect) {
    let theme = model.theme;
    let (sign, style) = match toast.tone {
        Tone::Good => ("✓", theme.good()),
        Tone::Neutral => ("·", theme.text()),
        Tone::Bad => ("✗", theme.bad()),
    };
    let lines = wrap(&toast.text, usize::from(area.width).saturating_sub(4), SAID);
    let height = u16::try_from(lines.len()).unwrap_or(1);
    let over = Rect { y: area.bottom().saturating_sub(height), height, ..area };
    let lines = lines.into_iter().enumerate().map(|(at, line)| {
        let sign = if at == 0 { sign } else { " " };
        Line::from(Span::styled(format!(" {sign} {line}"), style))
    });
    frame.render_widget(Clear, over);
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), over);
}

fn hints(model: &Model, width: usize) -> Line<'static> {
    let theme = model.theme;
    let mut spans = Vec::new();
    let mut used = 0;
    let hinted = model.keymap.of(model.focus).filter(|(command, keys)| command.hinted && !keys.is_empty());
    // The way to all the other keys is always in sight.
    let (last, hinted): (Vec<_>, Vec<_>) = hinted.partition(|(command, _)| command.id == Id::Help);
    let room = width.saturating_sub(10);
    let with_room =
        hinted.into_iter().map(|hint| (hint, room)).chain(last.into_iter().map(|hint| (hint, room + 10)));
    for ((command, command_keys), width) in with_room {
        // What cannot be done now gives way to what can; its key, the help and the palette say why.
        if command.disabled(model).is_some() {
            continue;
        }
        let key = keys::shown(&command_keys[0]);
        let takes = key.chars().count() + command.title.chars().count() + 4;
        if used + takes > width {
            continue;
        }
        used += takes;
        spans.push(Span::styled(format!(" {key}"), theme.key()));
        spans.push(Span::styled(format!(" {}  ", command.title), theme.text()));
    }
    Line::from(spans)
}
