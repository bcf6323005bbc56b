//! Drawing: where the panes are, the line above and the line below. Only draws.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph};
use unicode_width::UnicodeWidthStr;

use super::App;
use super::layout;
use crate::console::command::{Command, Id};
use crate::console::context::{Toast, Tone};
use crate::console::overlays::Overlay;
use crate::console::pane::Pane;
use crate::console::panes::{self, Slot};
use crate::console::widgets::cells::{clip, count, wrap};
use crate::console::{ascii, keys};
use crate::domain::attached::told::HerokuStatus;
use crate::domain::operations::operation::is_production;
use crate::domain::reports::overview::{AlertsStatus, MappingStatus};
use crate::domain::state::{ConnectionState, EngineState, MappingState};

/// The most lines that something said takes.
const SAID: usize = 3;
/// Said beside the org's API requests while polls are rarer than the rules say.
const SLOWED: &str = ", polls slowed";

/// Draws everything.
pub fn draw(app: &App, frame: &mut Frame) {
    let area = frame.area();
    if layout::fits((area.width, area.height)) {
        whole(app, frame);
    } else {
        too_small(app, frame);
    }
    app.ctx.theme.ground(frame.buffer_mut());
    if app.ctx.theme.ascii {
        ascii::plain(frame.buffer_mut());
    }
}

/// What is needed, how one leaves, and what is told, such as what leaving would throw away.
fn too_small(app: &App, frame: &mut Frame) {
    let area = frame.area();
    let text =
        format!("need {}x{}, have {}x{}", layout::SMALLEST.0, layout::SMALLEST.1, area.width, area.height);
    let mut lines = vec![Line::from("The terminal is too small:"), Line::from(text), Line::from("q leaves")];
    let width = usize::from(area.width).max(1);
    let told = app.ctx.toast.iter().flat_map(|toast| wrap(&toast.text, width, SAID));
    lines.extend(told.map(Line::from));
    frame.render_widget(Paragraph::new(lines), area);
}

fn whole(app: &App, frame: &mut Frame) {
    let [top, middle, bottom] = frame.area().layout(&Layout::vertical([
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(1),
    ]));
    frame.render_widget(Paragraph::new(header(app, usize::from(top.width))), top);
    for (pane, area) in layout::arrange(&app.ctx, middle) {
        let has_keys = pane == app.ctx.focus && app.overlays.is_empty();
        let slot = Slot { pane, area, has_keys };
        match pane {
            Pane::Mappings => panes::mappings::draw(&app.ctx, &app.mappings, frame, slot),
            Pane::Errors => {
                let open = app.selection.record.as_ref().map(|pane| &pane.row);
                let beside = layout::shows(&app.ctx, Pane::Record);
                panes::errors::draw(&app.ctx, &app.errors, open, beside, frame, slot);
            }
            Pane::Groups => {
                panes::groups::draw(&app.ctx, &app.groups, app.listed_group(), frame, slot);
            }
            Pane::Pending => panes::pending::draw(&app.ctx, &app.pending, frame, slot),
            Pane::Record => record(app, frame, slot),
            Pane::Log => panes::log::draw(&app.ctx, &app.log, frame, slot),
        }
    }
    footer(app, frame, bottom);
    shown_overlays(app).for_each(|overlay| overlay.draw(&app.ctx, &app.log, frame));
}

/// The overlays that show. A menu has the size of what it lists, and gives way to what is asked or told about a line of it.
pub fn shown_overlays(app: &App) -> impl Iterator<Item = &Overlay> {
    let gives_way = |at: usize| {
        matches!(app.overlays[at], Overlay::Menu(_))
            && matches!(app.overlays.get(at + 1), Some(Overlay::Prompt(_) | Overlay::Info { .. }))
    };
    (0..app.overlays.len()).filter(move |at| !gives_way(*at)).map(|at| &app.overlays[at])
}

fn record(app: &App, frame: &mut Frame, slot: Slot) {
    match &app.selection.record {
        Some(pane) => {
            let being_sent = app.selection.is_being_sent(&pane.row);
            let error = pane.view.as_ref().and_then(|view| view.error.as_ref());
            let left = panes::errors::cause_left(&app.errors, error);
            panes::record::draw(&app.ctx, pane, (being_sent, left), frame, slot);
        }
        None => {
            let listed = !app.errors.items.is_empty();
            panes::record::draw_without(&app.ctx, app.rowless(), listed, frame, slot);
        }
    }
}

/// Who, how it is, and how much waits: what one looks at first.
fn header(app: &App, width: usize) -> Line<'static> {
    let theme = app.ctx.theme;
    let mut spans = vec![Span::styled(" syncdeck ", theme.strong())];
    let Some(overview) = &app.ctx.overview else {
        let text = app.ctx.database.lost.as_ref().unwrap_or(&app.ctx.settings.opening);
        let name = &app.ctx.settings.connection;
        let text = if name.is_empty() { text.clone() } else { format!("{name}: {text}") };
        spans.push(Span::styled(clip(&text.replace('\n', " · "), width.saturating_sub(12)), theme.warn()));
        return Line::from(spans);
    };
    let connection = &overview.connection;
    spans.push(Span::raw(clip(&format!(" {} ⇄ ", connection.name), 24)));
    let environment = app.ctx.environment();
    if is_production(environment) {
        let text = format!(" {} ", environment.to_uppercase());
        spans.push(Span::styled(clip(&text, 16), theme.production()));
    } else {
        spans.push(Span::raw(clip(environment, 16)));
    }
    let (sign, word, style) = match (&app.ctx.database.lost, overview.engine.state, connection.state) {
        (Some(_), ..) if app.ctx.database.taken_over => {
            let what = if width >= 100 { "taken over: its own console shows it now" } else { "taken over" };
            ("▲", what.to_owned(), theme.warn())
        }
        (Some(_), ..) => {
            let since = app
                .ctx
                .database
                .lost_since
                .map(|at| format!(" since {}", app.ctx.clock(at)))
                .unwrap_or_default();
            let what = if width >= 100 { "PostgreSQL out of reach" } else { "no PostgreSQL" };
            ("✗", format!("{what}{since}"), theme.bad())
        }
        _ if app.ctx.database.unanswered_for(app.ctx.now).is_some() => {
            let seconds = app.ctx.database.unanswered_for(app.ctx.now).unwrap_or_default();
            ("◌", format!("PostgreSQL does not answer, {seconds} s"), theme.warn())
        }
        (_, EngineState::Running, ConnectionState::Ok) => ("●", "running".to_owned(), theme.good()),
        (_, EngineState::Running, ConnectionState::Connecting) => {
            ("◌", "connecting".to_owned(), theme.warn())
        }
        (_, EngineState::Running, ConnectionState::Database) => {
            ("▲", "PostgreSQL refuses the engine".to_owned(), theme.bad())
        }
        (_, EngineState::Running, state) => ("▲", format!("Salesforce {state}"), theme.bad()),
        (_, EngineState::Attached, state) => heroku_connect(app, state, width),
        (_, state, _) => ("✗", format!("engine {state}"), theme.bad()),
    };
    spans.push(Span::styled(clip(&format!("  {sign} {word}"), 44), style));
    // An engine that runs is not all: writes may rest.
    for (state, style) in [
        (MappingState::Stopped, theme.bad()),
        (MappingState::Broken, theme.bad()),
        (MappingState::Paused, theme.warn()),
    ] {
        let mappings = overview.mappings.iter().filter(|mapping| mapping.state == state).count();
        if mappings > 0 {
            spans.push(Span::styled(format!(" · {mappings} {state}"), style));
        }
    }
    if app.ctx.read_only {
        spans.push(Span::styled("  READ-ONLY", theme.warn().patch(theme.strong())));
    }
    let sum = |of: fn(&MappingStatus) -> i64| overview.mappings.iter().map(of).sum::<i64>();
    let (pending, errors, recent) = (sum(|m| m.pending), sum(|m| m.errors), sum(|m| m.errors_last_hour));
    let held = sum(|m| m.held);
    let of_salesforce = connection.detail.as_ref().filter(|_| connection.state != ConnectionState::Ok);
    let of_heroku = overview.heroku.as_ref().and_then(HerokuStatus::failure);
    let detail = app.ctx.database.lost.as_ref().or(of_salesforce).or(of_heroku.as_ref());
    // Why it does not work comes before what is good to know.
    let failing = failing_sources(app);
    let well = detail.is_none() && failing.is_empty();
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
    // It belongs to the number before it, and leaves room for what fires.
    if recent > 0 && well && width >= if overview.alerts.firing > 0 { 110 } else { 100 } {
        spans.push(Span::styled(format!(" ▲{} in 1 h", count(recent, 0)), theme.dim()));
    }
    // The clock, which stands behind it, takes ten columns at most.
    let left = width.saturating_sub(spans.iter().map(Span::width).sum::<usize>() + 10);
    let (alerts, style) = alerts(app, &overview.alerts);
    if let Some(text) = alerts.into_iter().find(|text| text.width() <= left) {
        spans.push(Span::styled(text, style));
    }
    let left = width.saturating_sub(spans.iter().map(Span::width).sum::<usize>() + 10);
    if let Some(text) = failing.into_iter().find(|text| text.width() <= left) {
        spans.push(Span::styled(text, theme.warn()));
    }
    if held > 0 && width >= 100 {
        spans.push(Span::styled(format!("   held {}", count(held, 0)), theme.dim()));
    }
    if let (Some(used), Some(limit), true) = (connection.api_used, connection.api_limit, width >= 110 && well)
    {
        // Where all is well and something is told, it is that polls are rarer.
        let style = if connection.detail.is_some() { theme.warn() } else { theme.dim() };
        let text = format!("   API {}/{}", count(used, 0), count(limit, 0));
        let taken = spans.iter().map(Span::width).sum::<usize>() + text.width() + SLOWED.width() + 10;
        let fits = connection.detail.is_some() && taken <= width;
        spans.push(Span::styled(if fits { text + SLOWED } else { text }, style));
    }
    let zone = if app.ctx.settings.utc { " UTC" } else { "" };
    let clock = if app.ctx.settings.clock {
        app.ctx.local(app.ctx.now).format("%H:%M").to_string() + zone + " "
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

/// How Heroku Connect stands, as far as its API tells: in more words and in fewer.
fn heroku_connect(app: &App, state: ConnectionState, width: usize) -> (&'static str, String, Style) {
    let theme = app.ctx.theme;
    let wide = width >= 100;
    let told = app.ctx.heroku();
    let word = told.and_then(|told| told.state.as_deref()).map(str::to_lowercase);
    // What was told some time ago may have passed.
    let old = told.and_then(|told| told.old_since(app.ctx.now));
    let wide = wide && old.is_none();
    let at = old.map(|at| app.ctx.local(at).format(" at %H:%M").to_string()).unwrap_or_default();
    let word = word.map(|word| word + &at);
    match (word, told.and_then(HerokuStatus::failure)) {
        (None, Some(_)) => ("▲", "Heroku Connect's API fails".to_owned(), theme.warn()),
        (Some(word), _) if state != ConnectionState::Ok => {
            ("▲", format!("Heroku Connect {word}"), theme.bad())
        }
        (Some(word), _) if told.is_some_and(HerokuStatus::is_paused) => {
            ("=", format!("Heroku Connect {word}"), theme.warn())
        }
        (Some(word), _) if wide => ("●", format!("attached to Heroku Connect · {word}"), theme.good()),
        (Some(word), _) if old.is_some() => ("●", format!("Heroku Connect {word}"), theme.good()),
        (None, None) if wide => ("●", "attached to Heroku Connect".to_owned(), theme.good()),
        _ => ("●", "Heroku Connect".to_owned(), theme.good()),
    }
}

/// What fires and which channels fail, in more words and in fewer, with the key that shows it.
fn alerts(app: &App, alerts: &AlertsStatus) -> (Vec<String>, Style) {
    let theme = app.ctx.theme;
    let mut keys = app.ctx.keymap.of(app.ctx.focus).filter(|(command, _)| command.id == Id::Alerts);
    let key = keys.find_map(|(_, keys)| Some(format!(" ({})", keys::shown(keys.first()?))));
    let key = key.unwrap_or_default();
    let fire = match alerts.firing {
        1 => "1 alert".to_owned(),
        firing => format!("{} alerts", count(firing, 0)),
    };
    let fails = alerts.failing_channels.first().map(|channel| {
        let (name, reason) = (clip(&channel.name, 16), clip(&channel.reason, 12));
        match alerts.failing_channels.len() {
            1 => format!("{name} fails: {reason}"),
            all => format!("{all} channels fail: {name}: {reason}, ..."),
        }
    });
    match (alerts.firing, fails) {
        (0, None) => (Vec::new(), theme.text()),
        (0, Some(fails)) => (
            vec![
                format!("   ✗ {fails}{key}"),
                format!(" ✗ {fails}"),
                format!(" ✗ channel{key}"),
                " ✗".to_owned(),
            ],
            theme.bad(),
        ),
        (_, None) if alerts.unattended == 0 => {
            (vec![format!("   ● {fire} in hand{key}"), format!(" ● {fire}{key}")], theme.warn())
        }
        (_, None) => (vec![format!("   ▲ {fire}{key}"), format!(" ▲ {}{key}", alerts.firing)], theme.bad()),
        (_, Some(fails)) => (
            vec![
                format!("   ▲ {fire}, {fails}{key}"),
                format!("   ▲ {fire}, a channel fails{key}"),
                format!(" ▲ {} ✗ channel{key}", alerts.firing),
                format!(" ▲ {} ✗{key}", alerts.firing),
            ],
            theme.bad(),
        ),
    }
}

/// Which sources of the log bring nothing, in more words and in fewer; the log has the reasons.
fn failing_sources(app: &App) -> Vec<String> {
    let mut failing = app.log.sources.failing().map(|(name, _)| clip(name, 20));
    let Some(first) = failing.next() else { return Vec::new() };
    match failing.count() {
        0 => vec![format!("   ▲ log of {first} fails"), format!(" ▲ {first} fails"), " ▲ log".to_owned()],
        more => {
            let all = more + 1;
            vec![
                format!("   ▲ {all} logs fail: {first}, ..."),
                format!(" ▲ {all} logs fail"),
                " ▲ logs".to_owned(),
            ]
        }
    }
}

/// What just happened, or the next keys.
fn footer(app: &App, frame: &mut Frame, area: Rect) {
    // These two draw nothing themselves: the line stays as long as they take the keys.
    let takes_keys = match app.overlays.last() {
        Some(Overlay::Loading { words, .. }) => Some(format!("{words} ... (Esc gives it up)")),
        Some(Overlay::Awaiting { row, command }) => Some(format!(
            "reading {}; {} waits for it (Esc gives it up)",
            app.ctx.row_name(row),
            command.title
        )),
        Some(Overlay::TypeAhead(_)) => {
            Some("reading; what you type waits for it (Esc gives it up)".to_owned())
        }
        _ => None,
    };
    if let Some(text) = takes_keys {
        let toast = Toast { text, tone: Tone::Neutral, until: app.ctx.now };
        return said(app, &toast, frame, area);
    }
    match &app.ctx.toast {
        Some(toast) => said(app, toast, frame, area),
        // What lies on top says its keys itself.
        None if !app.overlays.is_empty() => {}
        None => frame.render_widget(Paragraph::new(hints(app, usize::from(area.width))), area),
    }
}

/// What just happened; where it needs several lines it takes them, for its end says what to do.
fn said(app: &App, toast: &Toast, frame: &mut Frame, area: Rect) {
    let theme = app.ctx.theme;
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

/// The commands that the hint line shows in so many columns, each with its key.
fn hinted(app: &App, width: usize) -> Vec<(&'static Command, String)> {
    let mut shown = Vec::new();
    let mut used = 0;
    let hinted =
        app.ctx.keymap.of(app.ctx.focus).filter(|(command, keys)| command.hinted && !keys.is_empty());
    // The way to all the other keys is always in sight.
    let (last, hinted): (Vec<_>, Vec<_>) = hinted.partition(|(command, _)| command.id == Id::Help);
    let room = width.saturating_sub(10);
    let with_room =
        hinted.into_iter().map(|hint| (hint, room)).chain(last.into_iter().map(|hint| (hint, room + 10)));
    for ((command, command_keys), width) in with_room {
        // What cannot be done now gives way to what can; its key, the help and the palette say why.
        if command.disabled(app).is_some() {
            continue;
        }
        let key = keys::shown(&command_keys[0]);
        let takes = taken(command, &key);
        if used + takes > width {
            continue;
        }
        used += takes;
        shown.push((command, key));
    }
    shown
}

/// The columns of one hint.
fn taken(command: &Command, key: &str) -> usize {
    key.chars().count() + command.title.chars().count() + 4
}

fn hints(app: &App, width: usize) -> Line<'static> {
    let theme = app.ctx.theme;
    let spans = hinted(app, width).into_iter().flat_map(|(command, key)| {
        [
            Span::styled(format!(" {key}"), theme.key()),
            Span::styled(format!(" {}  ", command.title), theme.text()),
        ]
    });
    Line::from_iter(spans)
}

/// The command whose hint stands in a column, while the hint line shows.
pub fn hint_at(app: &App, column: u16) -> Option<&'static Command> {
    if app.ctx.toast.is_some() || !app.overlays.is_empty() {
        return None;
    }
    let mut end = 0;
    let here = hinted(app, usize::from(app.ctx.size.0)).into_iter().find(|(command, key)| {
        end += taken(command, key);
        usize::from(column) < end
    });
    here.map(|(command, _)| command)
}
