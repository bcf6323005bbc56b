//! How well the sync goes, at a glance: the share of changes that fail, errors and how they ended, how long things took,
//! and each mapping beside the others.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::console::context::Context;
use crate::console::effect::Effect;
use crate::console::outcome::Outcome;
use crate::console::widgets::cells::{clip, count, fit, short, wrap};
use crate::console::widgets::charts::{fold, sparkline, thin_bar};
use crate::console::widgets::cursor::{Cursor, Step};
use crate::console::widgets::scroll::beyond;
use crate::domain::errors::filter::all_of_mapping;
use crate::domain::health::figures::{Bucket, Figures, Point, SpanStep as Scale, Spread};
use crate::domain::health::review::{Health, MappingHealth};
use crate::domain::values::duration::measured;
use crate::domain::values::size::percent;

/// Spans of time that can be chosen, in hours, with their names.
const SPANS: [(u64, &str); 4] = [(7 * 24, "7 d"), (30 * 24, "30 d"), (365 * 24, "365 d"), (24, "24 h")];
/// The cells of a figure's name.
const NAME: usize = 12;
/// Looks of the console from one question to the next.
const LOOKS: u32 = 15;
/// The rows of the figures.
const FIGURES: usize = 11;
/// From so many columns on a mapping's line has all its columns.
const WIDE: usize = 100;

/// The figures.
#[derive(Debug, Default)]
pub struct HealthView {
    /// What is known, once it is.
    pub health: Option<Box<Health>>,
    /// Why nothing newer is known.
    pub refusal: Option<String>,
    span: usize,
    cursor: Cursor,
    /// How often what shows could have been asked for again, and was not.
    looks: u32,
    /// Whether an answer is waited for.
    asked: bool,
}

impl HealthView {
    /// The span that is looked at.
    pub fn span(&self) -> Duration {
        Duration::from_secs(SPANS[self.span].0 * 3_600)
    }

    /// Asks for what it shows.
    pub fn load(&mut self) -> Effect {
        (self.looks, self.asked) = (0, true);
        Effect::LoadHealth(self.span())
    }

    /// Asks for it again, now and then: it adds much up, and changes slowly.
    pub fn load_again(&mut self) -> Option<Effect> {
        self.looks += 1;
        (self.looks >= LOOKS && !self.asked).then(|| self.load())
    }

    /// Takes in why nothing came.
    pub fn refuse(&mut self, why: String) {
        (self.refusal, self.asked) = (Some(why), false);
    }

    /// Nothing came, and nobody need hear it.
    pub fn answered(&mut self) {
        self.asked = false;
    }

    /// Takes in what came.
    pub fn take(&mut self, health: Health) {
        self.asked = false;
        self.cursor.step(Step::Lines(0), health.mappings.len());
        (self.health, self.refusal) = (Some(Box::new(health)), None);
    }

    /// A key.
    pub fn key(&mut self, key: KeyEvent) -> Vec<Outcome> {
        let mappings = self.health.as_ref().map_or(0, |health| health.mappings.len());
        match key.code {
            KeyCode::Esc | KeyCode::Char('q') => return vec![Outcome::Close],
            KeyCode::Char('j') | KeyCode::Down => self.cursor.step(Step::Lines(1), mappings),
            KeyCode::Char('k') | KeyCode::Up => self.cursor.step(Step::Lines(-1), mappings),
            KeyCode::Char('t') => {
                self.span = (self.span + 1) % SPANS.len();
                self.health = None;
                return vec![Outcome::Effect(self.load())];
            }
            KeyCode::Enter => {
                let mappings = self.health.as_ref().map(|health| &health.mappings);
                if let Some(mapping) = mappings.and_then(|mappings| mappings.get(self.cursor.at)) {
                    return Outcome::List { filter: all_of_mapping(&mapping.name), label: None }.closing();
                }
            }
            _ => {}
        }
        Vec::new()
    }
}

/// Draws the figures over everything.
pub fn draw(ctx: &Context, view: &HealthView, frame: &mut Frame) {
    let area = frame.area();
    let title = format!("Health: the last {}", SPANS[view.span].1);
    let inner = super::panel(ctx, frame, area, &title);
    let [body, keys] = inner.layout(&Layout::vertical([Constraint::Fill(1), Constraint::Length(1)]));
    let hints =
        [("t", "another span"), ("j k", "choose a mapping"), ("Enter", "its errors"), ("Esc", "close")];
    frame.render_widget(Paragraph::new(super::hints(ctx, &hints, inner.width.into())), keys);
    let Some(health) = &view.health else {
        return frame.render_widget(Paragraph::new(waiting(ctx, view, body)), body);
    };
    let body = match &view.refusal {
        Some(why) => {
            let [line, body] = body.layout(&Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]));
            let text = format!(" This is how it was: {why}");
            frame.render_widget(Span::styled(clip(&text, line.width.into()), ctx.theme.bad()), line);
            body
        }
        None => body,
    };
    let upper = u16::try_from(FIGURES).unwrap_or(u16::MAX).min(body.height.saturating_sub(4));
    let rows = u16::try_from(health.mappings.len() + 2).unwrap_or(u16::MAX);
    let room = body.height.saturating_sub(upper);
    let [top, middle, bottom] = body.layout(&Layout::vertical([
        Constraint::Length(upper),
        Constraint::Length(rows.min(room)),
        Constraint::Fill(1),
    ]));
    frame.render_widget(Paragraph::new(figures(ctx, health, top)), top);
    let (lines, cursor) = mappings(ctx, view, health, middle);
    frame.render_widget(Paragraph::new(lines), middle);
    frame.render_widget(Paragraph::new(below(ctx, health, bottom)), bottom);
    if let Some(line) = cursor {
        frame.set_cursor_position((middle.x, middle.y.saturating_add(line)));
    }
}

/// While nothing is known.
fn waiting(ctx: &Context, view: &HealthView, area: Rect) -> Vec<Line<'static>> {
    let (text, style) = match &view.refusal {
        Some(why) => (why.as_str(), ctx.theme.bad()),
        None => ("reading ...", ctx.theme.dim()),
    };
    let room = usize::from(area.width).saturating_sub(4);
    let lines = wrap(text, room, usize::from(area.height).max(1)).into_iter();
    let said = lines.map(|line| Line::from(Span::styled(format!("  {line}"), style)));
    std::iter::once(Line::default()).chain(said).collect()
}

/// A line of figures: their name, then each number with what it counts. `space` is what lies between two of them.
fn line(ctx: &Context, name: &str, space: &str, parts: &[(String, &str)]) -> Line<'static> {
    let mut line = Line::from(Span::styled(format!(" {}", fit(name, NAME)), ctx.theme.label()));
    for (number, what) in parts {
        let gap = if number.is_empty() { "" } else { " " };
        line.push_span(Span::styled(number.clone(), ctx.theme.strong()));
        line.push_span(Span::styled(format!("{gap}{what}{space}"), ctx.theme.text()));
    }
    line
}

fn figures(ctx: &Context, health: &Health, area: Rect) -> Vec<Line<'static>> {
    let figures = &health.figures;
    let number = |number: i64| count(number, 0);
    let taken = figures.repeat_success.map(|success| (percent(success), "taken"));
    let again = [(number(figures.repeated), "sent again")].into_iter().chain(taken);
    let wide = usize::from(area.width) >= WIDE;
    let reads = figures.reads.median.filter(|_| wide).map(|median| (measured(median), "a read"));
    let requests: Vec<(String, &str)> =
        spread(&figures.requests).into_iter().chain(reads).chain(again).collect();
    let ways: Vec<(String, &str)> =
        figures.ways.iter().map(|way| (number(way.count), way.way.as_str())).collect();
    let oldest = match health.now.lag_to_salesforce {
        Some(lag) => (measured(lag), "the oldest now"),
        None => (String::new(), "nothing waits now"),
    };
    let late = match health.now.lag_from_salesforce.filter(|lag| *lag > 0.0) {
        Some(lag) => (measured(lag), "late now"),
        None => (String::new(), "on time now"),
    };
    let width = usize::from(area.width).saturating_sub(NAME + 14).max(8);
    let space = if wide { "   " } else { "  " };
    let line = |name: &str, parts: &[(String, &str)]| line(ctx, name, space, parts);
    let each = match health.step {
        Some(Scale::Hour) => ["taken/h", "refused/h"],
        _ => ["taken/day", "refused/day"],
    };
    vec![
        headline(ctx, health),
        line(
            "changes",
            &[
                (number(figures.accepted), "taken"),
                (number(figures.rejected), "refused"),
                (number(figures.lost), "without an answer"),
            ],
        ),
        line(
            "errors",
            &[
                (number(figures.began), "came"),
                (number(figures.ended()), "ended"),
                (number(health.now.errors), "open now"),
            ],
        ),
        line("ended by", &ways),
        line("lasted", &spread(&figures.resolution)),
        line("waited", &[spread(&figures.waited), vec![oldest]].concat()),
        line("requests", &requests),
        line("reads", &[spread(&figures.read_lag), vec![late]].concat()),
        series(ctx, each[0], &health.series, width, ctx.theme.good(), |point| point.accepted),
        series(ctx, each[1], &health.series, width, ctx.theme.bad(), |point| point.rejected),
    ]
}

/// The one figure that counts most, and whether it got better.
fn headline(ctx: &Context, health: &Health) -> Line<'static> {
    let theme = ctx.theme;
    let Some(now) = health.figures.error_rate else {
        return Line::from(Span::styled(" no change was answered in this time", theme.dim()));
    };
    let style = match now {
        rate if rate < 0.01 => theme.good(),
        rate if rate < 0.05 => theme.warn(),
        _ => theme.bad(),
    };
    let mut line = Line::from(Span::styled(format!(" {} of the changes failed", percent(now)), style));
    if let Some(before) = health.before.error_rate {
        let (sign, word, style) = match (now * 1_000.0).round().total_cmp(&(before * 1_000.0).round()) {
            std::cmp::Ordering::Less => ("▼", "better", theme.good()),
            std::cmp::Ordering::Equal => ("=", "the same", theme.dim()),
            std::cmp::Ordering::Greater => ("▲", "worse", theme.bad()),
        };
        line.push_span(Span::styled(format!("   {sign} {word}"), style));
        line.push_span(Span::styled(format!(": {} in the time before", percent(before)), theme.dim()));
    }
    line
}

fn spread(spread: &Spread) -> Vec<(String, &'static str)> {
    match (spread.median, spread.p90) {
        (Some(median), Some(p90)) => vec![(measured(median), "median"), (measured(p90), "90 %")],
        _ => vec![("-".to_owned(), "not measured")],
    }
}

/// A line of small bars, with the highest beside it.
fn series(
    ctx: &Context,
    name: &str,
    points: &[Point],
    width: usize,
    style: Style,
    of: impl Fn(&Point) -> i64,
) -> Line<'static> {
    let values: Vec<i64> = points.iter().map(of).collect();
    let top = fold(&values, width).into_iter().max().unwrap_or(0);
    let each = (width / values.len().max(1)).max(1);
    let wide: String = sparkline(&values, values.len().min(width), top)
        .chars()
        .flat_map(|bar| std::iter::repeat_n(bar, each))
        .collect();
    Line::from(vec![
        Span::styled(format!(" {}", fit(name, NAME)), ctx.theme.label()),
        Span::styled(wide, style),
        Span::styled(format!("  peak {}", short(top, 7).trim()), ctx.theme.dim()),
    ])
}

/// A line for each mapping, with its share of changes that fail as a bar.
fn mappings(
    ctx: &Context,
    view: &HealthView,
    health: &Health,
    area: Rect,
) -> (Vec<Line<'static>>, Option<u16>) {
    let theme = ctx.theme;
    let width = usize::from(area.width);
    let name = (width / 5).clamp(10, 24);
    let is_wide = width >= WIDE;
    let heads: &[&str] = if is_wide {
        &["taken", "refused", "came", "open", "lasted", "waited"]
    } else {
        &["taken", "refused", "open", "lasted"]
    };
    let head: String = heads.iter().map(|head| format!("{head:>9}")).collect();
    let room = width.saturating_sub(name + 11 + 9 * heads.len());
    let highest = health.mappings.iter().filter_map(|one| one.figures.error_rate).fold(0.0, f64::max);
    let height = usize::from(area.height).saturating_sub(2).max(1);
    let window = view.cursor.window(health.mappings.len(), height);
    let first = window.start;
    let named = format!("mapping{}", beyond(health.mappings.len(), &window));
    let head = format!(" {}{:>8}{head}", fit(&named, name), "failed");
    let mut lines = vec![Line::from(Span::styled(head, theme.label()))];
    for at in window {
        let mapping = &health.mappings[at];
        let picture = mapping.figures.error_rate.unwrap_or(0.0) / highest.max(f64::MIN_POSITIVE);
        let picture = thin_bar((picture * 1_000.0) as i64, 1_000, room.min(40));
        let text = format!(" {}{}", fit(&mapping.name, name), numbers(mapping, is_wide));
        let chosen = super::chosen_line(ctx, at == view.cursor.at, Line::from(text));
        let mut line = Line { style: Style::new(), ..chosen };
        line.push_span(Span::raw(" "));
        line.push_span(Span::styled(picture, theme.bad()));
        lines.push(line);
    }
    let cursor = (!health.mappings.is_empty()).then(|| 1 + view.cursor.at.saturating_sub(first));
    (lines, cursor.and_then(|line| u16::try_from(line).ok()))
}

fn numbers(mapping: &MappingHealth, is_wide: bool) -> String {
    let figures: &Figures = &mapping.figures;
    let dash = || "-".to_owned();
    let time = |time: Option<f64>| time.map_or_else(dash, measured);
    let rate = figures.error_rate.map_or_else(dash, percent);
    let (taken, refused) = (short(figures.accepted, 8), short(figures.rejected, 8));
    let (came, open) = (short(figures.began, 8), short(mapping.now.errors, 8));
    let lasted = time(figures.resolution.median);
    let columns = match is_wide {
        true => vec![taken, refused, came, open, lasted, time(figures.waited.p90)],
        false => vec![taken, refused, open, lasted],
    };
    let columns: String = columns.iter().map(|column| format!("{column:>9}")).collect();
    format!("{rate:>8}{columns}")
}

/// Where there is room: the codes that came most, and how long changes waited.
fn below(ctx: &Context, health: &Health, area: Rect) -> Vec<Line<'static>> {
    let theme = ctx.theme;
    let height = usize::from(area.height);
    if height < 5 {
        return Vec::new();
    }
    let half = (height - 1) / 2;
    let codes = health
        .figures
        .by_code
        .iter()
        .map(|share| (format!("{} {}", fit(share.category.word(), 11), share.code), share.count));
    let waited = &health.figures.waited.buckets;
    // Neighbours are joined where there are more buckets than lines.
    let together = waited.chunks(waited.len().div_ceil(half.saturating_sub(1).max(1)).max(1)).map(|part| {
        let edge = part.last().and_then(|bucket| bucket.up_to);
        let edge = edge.map_or("longer".to_owned(), |edge| format!("up to {}", measured(edge)));
        (edge, part.iter().map(|bucket: &Bucket| bucket.count).sum())
    });
    let mut lines = bars(ctx, "errors that came, by code", codes.collect(), half, area, theme.warn());
    lines.push(Line::default());
    lines.extend(bars(ctx, "how long changes waited", together.collect(), half, area, theme.key()));
    lines
}

fn bars(
    ctx: &Context,
    title: &str,
    values: Vec<(String, i64)>,
    height: usize,
    area: Rect,
    style: Style,
) -> Vec<Line<'static>> {
    let width = usize::from(area.width);
    let name = (width * 2 / 5).clamp(16, 54);
    let room = width.saturating_sub(name + 14);
    let highest = values.iter().map(|(_, count)| *count).max().unwrap_or(0);
    let mut lines = vec![Line::from(Span::styled(format!(" {title}"), ctx.theme.label()))];
    if values.is_empty() {
        lines.push(Line::from(Span::styled("  none", ctx.theme.good())));
    }
    lines.extend(values.into_iter().take(height.saturating_sub(1)).map(|(label, value)| {
        Line::from(vec![
            Span::raw(format!(" {}{} ", fit(&label, name), count(value, 9))),
            Span::styled(thin_bar(value, highest, room), style),
        ])
    }));
    lines
}
