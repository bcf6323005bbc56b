//! How the lists of alerts are drawn.

use chrono::{DateTime, Utc};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::{AlertsOverlay, AlertsTab, ChannelLine};
use crate::client::alerts::{ListedAlert, ToldMessage};
use crate::console::context::Context;
use crate::console::panes::log::LogPane;
use crate::console::widgets::cells::{cell, clip, count, fit, short, wrap};
use crate::domain::alert::life::AlertPhase;
use crate::domain::alert::rule::{Severity, Silence};
use crate::domain::state::{ChannelHealth, DeliveryState};

/// Lines that the selected one's words take at most, on a high screen and on a low one.
const DETAIL: (usize, usize) = (14, 7);
/// Columns from which on a rule's name has its own.
const WIDE: usize = 110;

/// Draws them over the panes: the header stays, and what a key came to is said below.
pub fn draw(ctx: &Context, log: &LogPane, alerts: &AlertsOverlay, frame: &mut Frame) {
    let screen = frame.area();
    let area = Rect { y: screen.y + 1, height: screen.height.saturating_sub(2), ..screen };
    let inner = super::super::panel(ctx, frame, area, "Alerts");
    let (room, height) = (usize::from(inner.width), usize::from(inner.height));
    let detail = detail(ctx, alerts, room.saturating_sub(4), if height > 30 { DETAIL.0 } else { DETAIL.1 });
    let len = alerts.len(alerts.tab);
    // Tabs, head, an empty line before the words and one before the keys.
    let visible = height.saturating_sub(detail.len() + 6).max(1);
    let window = alerts.cursor().window(len, visible);
    let (top, at) = (window.start, alerts.cursor().at);
    super::super::place_in_list(ctx, frame, area, len, &window);
    let mut lines = vec![tabs(ctx, alerts, room), Line::default()];
    match empty(alerts) {
        Some(text) => {
            let style = if alerts.refusal.is_some() { ctx.theme.bad() } else { ctx.theme.dim() };
            let said = wrap(&text, room.saturating_sub(4), 4);
            lines.extend(said.into_iter().map(|line| Line::from(Span::styled(format!("  {line}"), style))));
        }
        None => {
            lines.push(Line::from(Span::styled(clip(&head(alerts.tab, room), room), ctx.theme.label())));
            let rows = rows(ctx, alerts, room).into_iter().enumerate();
            let rows = rows.skip(top).take(window.len());
            lines.extend(rows.map(|(place, line)| super::super::chosen_line(ctx, place == at, line)));
        }
    }
    lines.resize(height.saturating_sub(detail.len() + 2).max(lines.len()), Line::default());
    lines.extend(detail);
    lines.resize(height.saturating_sub(1), Line::default());
    lines.push(keys(ctx, log, alerts, room));
    frame.render_widget(Paragraph::new(lines), inner);
    let line = u16::try_from(3 + at.saturating_sub(top)).unwrap_or(0);
    frame.set_cursor_position((inner.x, inner.y.saturating_add(line.min(inner.height.saturating_sub(1)))));
}

/// The lists by name, with how many lines each has.
fn tabs(ctx: &Context, alerts: &AlertsOverlay, room: usize) -> Line<'static> {
    let firing = alerts.alerts().iter().filter(|alert| alert.state == AlertPhase::Firing).count();
    let failing = alerts.channels().iter().filter(|channel| is_failing(channel)).count();
    let mut spans = Vec::new();
    for tab in AlertsTab::ALL {
        let (name, number) = match tab {
            AlertsTab::Alerts => ("firing", firing),
            AlertsTab::Silences => ("silences", alerts.silences().len()),
            AlertsTab::Channels => ("channels", alerts.channels().len()),
            AlertsTab::Messages => ("messages", alerts.messages().len()),
        };
        let known = alerts.view.is_some();
        let text = if known { format!(" {name} {number} ") } else { format!(" {name} ") };
        spans.push(Span::raw(" "));
        let style = if tab == alerts.tab { ctx.theme.selected(true) } else { ctx.theme.dim() };
        spans.push(Span::styled(text, style));
        if tab == AlertsTab::Channels && failing > 0 {
            spans.push(Span::styled(format!("▲ {failing} failing "), ctx.theme.bad()));
        }
    }
    if let Some(channel) = &alerts.only {
        let used: usize = spans.iter().map(Span::width).sum();
        let text = format!(" of {channel}");
        spans.push(Span::styled(clip(&text, room.saturating_sub(used)), ctx.theme.text()));
    }
    Line::from(spans)
}

/// What is said where there is nothing to list.
fn empty(alerts: &AlertsOverlay) -> Option<String> {
    let Some(view) = &alerts.view else {
        return Some(match &alerts.refusal {
            Some(why) => format!("The alerts cannot be read: {why}"),
            None => "Reading the alerts ...".to_owned(),
        });
    };
    if alerts.len(alerts.tab) > 0 {
        return None;
    }
    let unconfigured = view.configured.rules.is_empty();
    Some(
        match alerts.tab {
            AlertsTab::Alerts | AlertsTab::Channels if unconfigured => {
                "No alerts are configured, or no engine looked after them yet: [[alert]] in syncdeck.toml says what is \
                 told, and where."
            }
            AlertsTab::Alerts => "Nothing fires.",
            AlertsTab::Silences => "Nothing is silenced. s on an alert silences it, S its whole rule.",
            AlertsTab::Channels => "No channel is configured: [alert.channel.NAME] in syncdeck.toml has one.",
            AlertsTab::Messages => "Nothing was told yet.",
        }
        .to_owned(),
    )
}

fn head(tab: AlertsTab, room: usize) -> String {
    match tab {
        AlertsTab::Alerts => {
            let rule = if room >= WIDE { fit("rule", 18) } else { String::new() };
            format!(
                " {}{}{}{}  {rule}what",
                fit("", 11),
                fit("severity", 9),
                fit("since", 9),
                fit("  count", 7)
            )
        }
        AlertsTab::Silences => {
            format!(" {}{}{}{}note", fit("", 6), fit("of", 26), fit("until", 10), fit("by", 18))
        }
        AlertsTab::Channels => {
            let (name, kind) = (fit("channel", 16), fit("kind", 11));
            format!(" {name}{kind}{}{}{}  why", fit("", 11), fit("since", 9), fit("waiting", 8))
        }
        AlertsTab::Messages => {
            format!(" {}{}{}what", fit("made", 9), fit("channel", 14), fit("delivery", 13))
        }
    }
}

fn rows(ctx: &Context, alerts: &AlertsOverlay, room: usize) -> Vec<Line<'static>> {
    match alerts.tab {
        AlertsTab::Alerts => alerts.alerts().iter().map(|alert| alert_line(ctx, alert, room)).collect(),
        AlertsTab::Silences => {
            alerts.silences().iter().map(|silence| silence_line(ctx, silence, room)).collect()
        }
        AlertsTab::Channels => {
            alerts.channels().iter().map(|channel| channel_line(ctx, channel, room)).collect()
        }
        AlertsTab::Messages => alerts.messages().iter().map(|told| message_line(ctx, told, room)).collect(),
    }
}

/// The time of day; of another day, that day.
fn when(ctx: &Context, at: DateTime<Utc>) -> String {
    let (there, now) = (ctx.local(at), ctx.local(ctx.now));
    if there.date_naive() == now.date_naive() { ctx.clock(at) } else { there.format("%d %b").to_string() }
}

/// The same with the day.
fn whole(ctx: &Context, at: DateTime<Utc>) -> String {
    ctx.local(at).format("%Y-%m-%d %H:%M:%S").to_string()
}

fn standing(ctx: &Context, alert: &ListedAlert) -> (&'static str, Style) {
    let theme = ctx.theme;
    match (alert.state, alert.silence, &alert.acknowledged_by) {
        (AlertPhase::Firing, Some(_), _) => ("○ silenced", theme.dim()),
        (AlertPhase::Firing, None, Some(_)) => ("● in hand", theme.warn()),
        (AlertPhase::Firing, None, None) => ("▲ firing", theme.bad()),
        (AlertPhase::Pending, ..) => ("◌ waiting", theme.warn()),
        (AlertPhase::Over, ..) => ("✓ over", theme.good()),
    }
}

fn severity(ctx: &Context, severity: Option<Severity>) -> (&'static str, Style) {
    let style = match severity {
        Some(Severity::Critical) => ctx.theme.bad(),
        Some(Severity::Warning) => ctx.theme.warn(),
        _ => ctx.theme.dim(),
    };
    (severity.map_or("", Severity::word), style)
}

fn alert_line(ctx: &Context, alert: &ListedAlert, room: usize) -> Line<'static> {
    let theme = ctx.theme;
    let (word, style) = standing(ctx, alert);
    let (urgency, color) = severity(ctx, alert.severity);
    let number = if alert.count > 0 { short(alert.count, 7) } else { fit("", 7) };
    let rule = if room >= WIDE { 18 } else { 0 };
    Line::from(vec![
        Span::raw(" "),
        cell(word, 11, style),
        cell(urgency, 9, color),
        cell(&when(ctx, alert.since), 9, theme.dim()),
        Span::styled(number, theme.text()),
        Span::raw("  "),
        cell(&alert.rule, rule, theme.dim()),
        cell(&alert.headline, room.saturating_sub(39 + rule), theme.text()),
    ])
}

fn silence_line(ctx: &Context, silence: &Silence, room: usize) -> Line<'static> {
    let theme = ctx.theme;
    Line::from(vec![
        Span::raw(" "),
        cell(&silence.id.to_string(), 6, theme.dim()),
        cell(&clip(&silence.of(), 25), 26, theme.strong()),
        cell(&when(ctx, silence.until), 10, theme.text()),
        cell(&clip(&silence.actor, 17), 18, theme.text()),
        cell(&silence.note, room.saturating_sub(61), theme.text()),
    ])
}

fn is_failing(channel: &ChannelLine<'_>) -> bool {
    channel.state.is_some_and(|state| state.state != ChannelHealth::Ok)
}

fn channel_line(ctx: &Context, channel: &ChannelLine<'_>, room: usize) -> Line<'static> {
    let theme = ctx.theme;
    let (word, style) = match channel.state.map(|state| state.state) {
        None => ("· unused", theme.dim()),
        Some(ChannelHealth::Ok) => ("✓ works", theme.good()),
        Some(ChannelHealth::Disabled) => ("✗ is off", theme.bad()),
        Some(_) => ("✗ fails", theme.bad()),
    };
    let waiting = if channel.waiting > 0 { count(channel.waiting, 8) } else { fit("", 8) };
    Line::from(vec![
        Span::raw(" "),
        cell(&clip(channel.name, 15), 16, theme.strong()),
        cell(channel.kind, 11, theme.dim()),
        cell(word, 11, style),
        cell(&channel.state.map(|state| when(ctx, state.since)).unwrap_or_default(), 9, theme.dim()),
        Span::styled(waiting, theme.warn()),
        Span::raw("  "),
        cell(&why(channel), room.saturating_sub(58), theme.text()),
    ])
}

/// Why a channel fails.
fn why(channel: &ChannelLine<'_>) -> String {
    let Some(state) = channel.state.filter(|_| is_failing(channel)) else { return String::new() };
    reason(state.reason.as_deref(), state.detail.as_deref())
}

fn reason(reason: Option<&str>, detail: Option<&str>) -> String {
    [reason, detail].into_iter().flatten().collect::<Vec<_>>().join(": ")
}

fn delivery(ctx: &Context, state: DeliveryState) -> (&'static str, Style) {
    let theme = ctx.theme;
    match state {
        DeliveryState::Sent => ("✓ sent", theme.good()),
        DeliveryState::Queued => ("◌ queued", theme.warn()),
        DeliveryState::Sending => ("● sending", theme.text()),
        DeliveryState::Failed => ("▲ failed", theme.bad()),
        DeliveryState::Dropped => ("✗ given up", theme.bad()),
        DeliveryState::Unknown => ("unknown", theme.dim()),
    }
}

fn message_line(ctx: &Context, told: &ToldMessage, room: usize) -> Line<'static> {
    let theme = ctx.theme;
    let (word, style) = delivery(ctx, told.posted.state);
    Line::from(vec![
        Span::raw(" "),
        cell(&when(ctx, told.posted.created_at), 9, theme.dim()),
        cell(&clip(&told.posted.channel, 13), 14, theme.strong()),
        cell(word, 13, style),
        cell(&told.title, room.saturating_sub(37), theme.text()),
    ])
}

/// All about the selected line.
fn detail(ctx: &Context, alerts: &AlertsOverlay, room: usize, most: usize) -> Vec<Line<'static>> {
    let at = alerts.cursor().at;
    let mut text: Vec<String> = match alerts.tab {
        AlertsTab::Alerts => alerts.selected().map(|alert| of_alert(ctx, alerts, alert)).unwrap_or_default(),
        AlertsTab::Silences => {
            alerts.silences().get(at).map(|silence| of_silence(ctx, silence)).unwrap_or_default()
        }
        AlertsTab::Channels => {
            alerts.channels().get(at).map(|channel| vec![why(channel)]).unwrap_or_default()
        }
        AlertsTab::Messages => {
            alerts.messages().get(at).map(|told| of_message(ctx, told)).unwrap_or_default()
        }
    };
    if let Some(why) = alerts.refusal.as_ref().filter(|_| alerts.view.is_some()) {
        text.insert(0, format!("This is how it was: {why}"));
    }
    let lines = text.iter().filter(|line| !line.is_empty()).flat_map(|line| wrap(line, room, 3));
    lines.take(most).map(|line| Line::from(Span::styled(format!("  {line}"), ctx.theme.text()))).collect()
}

fn of_alert(ctx: &Context, alerts: &AlertsOverlay, alert: &ListedAlert) -> Vec<String> {
    let told = alert.told_at.map(|at| format!(", told {}", whole(ctx, at))).unwrap_or_default();
    let hand = alert.acknowledged_by.as_ref().map(|by| {
        let note = alert.note.as_deref().filter(|note| !note.is_empty());
        format!("In hand: {by}{}", note.map(|note| format!(": {note}")).unwrap_or_default())
    });
    let silence = alert.silence.and_then(|id| alerts.silences().iter().find(|silence| silence.id == id));
    vec![
        alert.headline.clone(),
        format!("{}: since {}{told}", alert.name, whole(ctx, alert.since)),
        alert.why.as_ref().map(|why| format!("Why: {why}")).unwrap_or_default(),
        hand.unwrap_or_default(),
        silence.map(|silence| of_silence(ctx, silence).join(" ")).unwrap_or_default(),
    ]
}

fn of_silence(ctx: &Context, silence: &Silence) -> Vec<String> {
    let note = if silence.note.is_empty() { String::new() } else { format!(": {}", silence.note) };
    vec![format!(
        "Silence {} of {} until {}, by {}{note}",
        silence.id,
        silence.of(),
        whole(ctx, silence.until),
        silence.actor
    )]
}

fn of_message(ctx: &Context, told: &ToldMessage) -> Vec<String> {
    let posted = &told.posted;
    let went = match posted.state {
        DeliveryState::Sent => posted.done_at.map(|at| format!("Taken {}", whole(ctx, at))),
        DeliveryState::Failed => Some(format!(
            "Not taken, {}: {}; tried again {}",
            times(posted.attempts),
            reason(posted.reason.as_deref(), posted.detail.as_deref()),
            whole(ctx, posted.next_try)
        )),
        DeliveryState::Dropped => {
            Some(format!("Given up: {}", reason(posted.reason.as_deref(), posted.detail.as_deref())))
        }
        _ => None,
    };
    let mut lines = vec![went.unwrap_or_default(), told.title.clone()];
    lines.extend(told.text.lines().map(str::to_owned));
    lines
}

fn keys(ctx: &Context, log: &LogPane, alerts: &AlertsOverlay, room: usize) -> Line<'static> {
    let acts = !ctx.read_only;
    let mut keys: Vec<(&'static str, &'static str)> = Vec::new();
    match alerts.tab {
        AlertsTab::Alerts if !alerts.alerts().is_empty() => {
            keys.push(("Enter", "its errors"));
            if acts {
                keys.extend([("a", "acknowledge"), ("s", "silence"), ("S", "its rule")]);
            }
            if acts && alerts.selected().is_some_and(|alert| alert.silence.is_some()) {
                keys.push(("e", "end the silence"));
            }
        }
        AlertsTab::Silences if acts && !alerts.silences().is_empty() => keys.push(("e", "end it")),
        AlertsTab::Channels if alerts.len(AlertsTab::Channels) > 0 => keys.push(("Enter", "its messages")),
        AlertsTab::Messages if alerts.len(AlertsTab::Messages) > 0 => keys.push(("Enter", "read it")),
        _ => {}
    }
    keys.push(("Tab", "next list"));
    if log.sources.all().iter().any(|source| source.name == super::RECEIVER) {
        keys.push(("v", "what the receiver got"));
    }
    keys.push(("Esc", if alerts.only.is_some() { "channels" } else { "close" }));
    super::super::hints(ctx, &keys, room)
}

fn times(number: i32) -> String {
    if number == 1 { "once".to_owned() } else { format!("{number} times") }
}
