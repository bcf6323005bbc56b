//! Mappings: state and counts of each; on the whole screen everything that is known of them.

mod zoom;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

pub use zoom::MappingZoom;

use crate::console::context::Context;
use crate::console::pane::Pane;
use crate::console::panes::Slot;
use crate::console::widgets::cells::{ago, cell, clip, count, fit, short, wrap};
use crate::console::widgets::charts::{bar, fold, sparkline};
use crate::console::widgets::cursor::Cursor;
use crate::domain::attached::told::ToldMapping;
use crate::domain::reports::overview::{LoadProgress, MappingStatus};
use crate::domain::reports::trend::{Minute, Trend};
use crate::domain::state::MappingState;
use crate::domain::values::duration::spoken;

/// From so many columns on the whole screen has two columns below the list.
const ZOOMED_WIDE: u16 = 110;
/// After so many seconds without anything that went through, a mapping fails.
const FAILING: i64 = 30;

/// The pane's state; the mappings themselves are in the overview.
#[derive(Debug, Default)]
pub struct MappingsPane {
    /// Which one.
    pub cursor: Cursor,
    /// The last hour of each, once known.
    pub trends: Vec<Trend>,
    /// What is told of the selected one on the whole screen.
    pub zoom: MappingZoom,
}

/// Whether nothing that was sent went through for a while; one rejection among many changes is no such thing.
fn is_failing(ctx: &Context, mapping: &MappingStatus) -> bool {
    mapping.failing_since.is_some_and(|since| (ctx.now - since).num_seconds() >= FAILING)
}

/// Sign, word and looks of a mapping's state. The sign differs in shape, the word in letters, the colour besides.
fn state(ctx: &Context, mapping: &MappingStatus) -> (&'static str, String, Style) {
    let theme = ctx.theme;
    let (sign, style) = match mapping.state {
        // One that reads well while nothing that it writes goes through must not look well.
        MappingState::Ok | MappingState::Errors | MappingState::Behind if is_failing(ctx, mapping) => {
            return ("✗", "failing".to_owned(), theme.bad());
        }
        // Nor one whose rows wait for parents.
        MappingState::Ok if mapping.held > 0 => return ("○", "held".to_owned(), theme.warn()),
        MappingState::Ok => ("●", theme.good()),
        MappingState::Loading => ("◌", theme.warn()),
        MappingState::Behind => ("◐", theme.warn()),
        MappingState::Errors => ("▲", theme.warn()),
        MappingState::Paused => ("=", theme.dim()),
        MappingState::Draining => ("↓", theme.warn()),
        MappingState::Broken | MappingState::Stopped => ("✗", theme.bad()),
        MappingState::Unmapped => ("-", theme.dim()),
        MappingState::Unknown => ("?", theme.dim()),
    };
    (sign, mapping.state.to_string(), style)
}

/// Draws the pane.
pub fn draw(ctx: &Context, pane: &MappingsPane, frame: &mut Frame, slot: Slot) {
    let mappings = ctx.mappings();
    // What is cut off is told of, where the list is no taller than what it shows of it.
    let cut = mappings.len().saturating_sub(usize::from(slot.area.height.saturating_sub(3)).max(1));
    let cut = if cut > 0 && !ctx.zoom { format!("+{cut}") } else { String::new() };
    let block = super::frame(ctx, slot, "", &super::dated(ctx, ctx.database.told_at, &cut));
    let inner = block.inner(slot.area);
    frame.render_widget(block, slot.area);
    if mappings.is_empty() {
        let text = match ctx.overview {
            None => "reading ...",
            Some(_) if ctx.is_attached() => "Heroku Connect maps nothing in this schema",
            Some(_) => "no mapping yet: the engine has not started",
        };
        frame.render_widget(Paragraph::new(super::empty(ctx, inner, text)), inner);
        return;
    }
    let cursor = pane.cursor;
    let columns = Columns::of(usize::from(inner.width));
    let selected = &mappings[cursor.at.min(mappings.len() - 1)];
    // Beside what the overview tells there is room for the lists on a wide screen, else below it.
    let is_wide = inner.width >= ZOOMED_WIDE;
    let left = if is_wide { inner.width * 9 / 16 } else { inner.width };
    let details = if ctx.zoom { details(ctx, pane, selected, usize::from(left)) } else { Vec::new() };
    let mut lines = vec![columns.head(ctx)];
    let height = match ctx.zoom {
        // The list gives way to what is told of one of it.
        true => usize::from(inner.height).saturating_sub(1 + details.len() + if is_wide { 0 } else { 8 }),
        false => usize::from(inner.height).saturating_sub(1),
    };
    let height = height.max(3);
    let window = cursor.window(mappings.len(), height);
    let top = window.start;
    super::place_in_list(ctx, frame, slot, mappings.len(), &window);
    for at in window {
        let row = columns.row(ctx, pane, &mappings[at]);
        lines.push(super::list_line(ctx, Pane::Mappings, at == cursor.at, row));
    }
    super::place_cursor(frame, slot, inner, 1 + cursor.at.saturating_sub(top));
    if !ctx.zoom {
        return frame.render_widget(Paragraph::new(lines), inner);
    }
    lines.push(Line::from(Span::styled("─".repeat(usize::from(inner.width)), ctx.theme.dim())));
    let length = |lines: &[Line]| Constraint::Length(u16::try_from(lines.len()).unwrap_or(u16::MAX));
    let [list, below] = inner.layout(&Layout::vertical([length(&lines), Constraint::Fill(1)]));
    frame.render_widget(Paragraph::new(lines), list);
    let [told, lists] = match is_wide {
        true => below.layout(&Layout::horizontal([Constraint::Length(left), Constraint::Fill(1)])),
        false => below.layout(&Layout::vertical([length(&details), Constraint::Fill(1)])),
    };
    frame.render_widget(Paragraph::new(details), told);
    let room = (usize::from(lists.width), usize::from(lists.height));
    frame.render_widget(Paragraph::new(zoom::lists(ctx, &pane.zoom, &selected.name, room)), lists);
}

/// What there is room for, in the order in which it is needed.
struct Columns {
    name: usize,
    /// The state's word, rows and the last read.
    words: bool,
    /// Held, records, the oldest change, the last write.
    all: bool,
    trend: usize,
}

/// What the columns take that come with [`Columns::words`] and [`Columns::all`].
const WORDS: usize = 45;
const ALL: usize = 7 + 10 + 8 + 8;

impl Columns {
    fn of(width: usize) -> Columns {
        let words = width >= 58;
        let all = width >= 96;
        let taken = match (words, all) {
            (_, true) => WORDS + ALL,
            (true, false) => WORDS,
            (false, false) => 16,
        };
        // A trend says more than the end of a long name.
        let name = width.saturating_sub(if words { taken + 10 } else { taken }).clamp(8, 24);
        let left = width.saturating_sub(taken + name + 2);
        Columns { name, words, all, trend: if words && left >= NUMBER { left.min(NUMBER + 61) } else { 0 } }
    }

    fn head(&self, ctx: &Context) -> Line<'static> {
        let mut text = format!(" {}", fit("mapping", self.name));
        if !self.words {
            text += &format!("  {:>6}{:>6} ", "err.", "pend.");
            return Line::from(Span::styled(text, ctx.theme.label()));
        }
        text += &format!("   {:<9}{:>7}", "state", "errors");
        if self.all {
            text += &format!("{:>7}", "held");
        }
        text += &format!("{:>8}", "pending");
        if self.all {
            text += &format!("{:>8}", "oldest");
        }
        text += &format!("{:>9}", "rows");
        if self.all {
            text += &format!("{:>10}", "records");
        }
        text += &format!("{:>8}", "read");
        if self.all {
            text += &format!("{:>8}", "wrote");
        }
        if self.trend > 0 {
            let told = if self.trend >= NUMBER + 20 { "sent/h  by minutes" } else { "sent/h" };
            text += &format!("  {}", fit(&format!("{:>NUMBER$}", "sent/h"), NUMBER));
            text += &fit(told.strip_prefix("sent/h").unwrap_or_default(), self.trend - NUMBER);
        }
        Line::from(Span::styled(text, ctx.theme.label()))
    }

    fn row(&self, ctx: &Context, pane: &MappingsPane, mapping: &MappingStatus) -> Line<'static> {
        let theme = ctx.theme;
        let (sign, word, style) = state(ctx, mapping);
        let errors = if mapping.errors > 0 { theme.warn() } else { theme.dim() };
        let pending = if mapping.pending > 0 { theme.text() } else { theme.dim() };
        let mut spans = vec![Span::raw(" "), cell(&mapping.name, self.name, theme.text())];
        if let Some(load) = mapping.load.filter(|_| !self.words && mapping.state == MappingState::Loading) {
            spans.push(Span::styled(format!(" {sign}"), style));
            spans.push(Span::styled(format!("{:>12}", progress(ctx, load, 10)), theme.warn()));
            return Line::from(spans);
        }
        if !self.words {
            spans.extend([
                Span::styled(format!(" {sign}"), style),
                Span::styled(short(mapping.errors, 6), errors),
                Span::styled(short(mapping.pending, 6), pending),
                Span::raw(" "),
            ]);
            return Line::from(spans);
        }
        let since = |time: Option<chrono::DateTime<chrono::Utc>>| {
            time.map_or("-".to_owned(), |time| ago((ctx.now - time).num_seconds()))
        };
        spans.extend([
            Span::styled(format!(" {sign} "), style),
            Span::styled(fit(&word, 9), style),
            Span::styled(short(mapping.errors, 7), errors),
        ]);
        if self.all {
            spans.push(Span::styled(short(mapping.held, 7), theme.dim()));
        }
        spans.push(Span::styled(short(mapping.pending, 8), pending));
        if self.all {
            spans.push(Span::styled(format!("{:>8}", since(mapping.oldest_pending)), pending));
        }
        match mapping.load.filter(|_| mapping.state == MappingState::Loading) {
            // While it loads, how far it is says more than the counts.
            Some(load) => {
                let width = if self.all { 9 + 10 + 8 + 8 } else { 17 };
                spans.push(Span::styled(
                    fit(&format!("  {}", progress(ctx, load, width - 2)), width),
                    theme.warn(),
                ));
            }
            None => {
                let late = mapping.lag_seconds.is_some_and(|lag| lag > 60);
                let read = if late { theme.warn() } else { theme.dim() };
                spans.push(Span::styled(short(mapping.rows, 9), theme.dim()));
                if self.all {
                    let records = mapping.records.map_or("-".to_owned(), |records| short(records, 9));
                    spans.push(Span::styled(format!("{records:>10}"), theme.dim()));
                }
                spans.push(Span::styled(format!("{:>8}", since(mapping.last_read)), read));
                if self.all {
                    spans.push(Span::styled(format!("{:>8}", since(mapping.last_write)), theme.dim()));
                }
            }
        }
        if self.trend > 0 {
            spans.extend(self.sent(ctx, pane, mapping));
        }
        Line::from(spans)
    }
}

/// Columns of how many were sent.
const NUMBER: usize = 7;

impl Columns {
    /// How many changes were sent within the hour, and beside it when: a constant stream fills half of the height, and
    /// nothing all of it, so that what is drawn is a line and not a block.
    fn sent(&self, ctx: &Context, pane: &MappingsPane, mapping: &MappingStatus) -> Vec<Span<'static>> {
        let trend = pane.trends.iter().find(|trend| trend.mapping == mapping.name);
        let Some(trend) = trend else {
            return vec![Span::styled(format!("  {:>NUMBER$}", "-"), ctx.theme.dim())];
        };
        let values: Vec<i64> = trend.minutes.iter().map(|minute| minute.accepted).collect();
        let sum: i64 = values.iter().sum();
        let width = self.trend.saturating_sub(NUMBER + 1);
        let parts = fold(&values, width.max(1));
        let mean = parts.iter().sum::<i64>() / i64::try_from(parts.len()).unwrap_or(1).max(1);
        let highest = parts.into_iter().max().unwrap_or(0);
        let top = (highest * 4 / 3).max(2 * mean);
        let picture = if width > 0 { sparkline(&values, width, top) } else { String::new() };
        let number = if sum > 0 { ctx.theme.text() } else { ctx.theme.dim() };
        vec![
            Span::styled(format!("  {}", short(sum, NUMBER)), number),
            Span::styled(format!(" {picture}"), ctx.theme.good()),
        ]
    }
}

/// How far a load is, as a bar where there is room: `███░░░ 42 % · 3 min left`.
fn progress(ctx: &Context, load: LoadProgress, width: usize) -> String {
    let LoadProgress { done, total, began_at } = load;
    let percent = if total > 0 { (done * 100 / total).clamp(0, 100) } else { 0 };
    let elapsed = (ctx.now - began_at).num_seconds().max(0);
    let left = (done > 0 && total > done).then(|| elapsed * (total - done) / done);
    let left = left.and_then(|left| u64::try_from(left).ok()).map(std::time::Duration::from_secs);
    let words = match left {
        Some(left) if width >= 30 => format!(" {percent} % · {} left", spoken(left)),
        _ => format!(" {percent} %"),
    };
    let room = width.saturating_sub(words.chars().count());
    let filled = bar(done, total, room);
    let rest = "░".repeat(room.saturating_sub(filled.chars().count()));
    format!("{filled}{rest}{words}")
}

/// A mapping's last hour as a line of bars, and its sum.
fn line_of(
    pane: &MappingsPane,
    mapping: &MappingStatus,
    width: usize,
    of: fn(&Minute) -> i64,
) -> (String, i64) {
    let trend = pane.trends.iter().find(|trend| trend.mapping == mapping.name);
    let values: Vec<i64> = trend.map(|trend| trend.minutes.iter().map(of).collect()).unwrap_or_default();
    let top = fold(&values, width).into_iter().max().unwrap_or(0);
    (sparkline(&values, width, top), values.iter().sum())
}

/// What Heroku Connect's API counts of a mapping.
fn told_counts(told: &ToldMapping) -> String {
    let counts =
        [("records", told.records), ("rows", told.rows), ("pending", told.pending), ("errors", told.errors)];
    let counts = counts.into_iter().filter_map(|(name, of)| Some(format!("{name} {}", count(of?, 0))));
    counts.collect::<Vec<_>>().join(", ")
}

/// All that is known of the selected mapping, where the pane has the whole screen.
fn details(ctx: &Context, pane: &MappingsPane, mapping: &MappingStatus, width: usize) -> Vec<Line<'static>> {
    let theme = ctx.theme;
    let (sign, word, style) = state(ctx, mapping);
    let label = |text: &str| Span::styled(format!("  {}", fit(text, 12)), theme.label());
    let room = width.saturating_sub(16);
    let mut lines = vec![Line::from(vec![
        Span::styled(format!("  {} ", clip(&mapping.name, 40)), theme.strong()),
        Span::styled(clip(&format!("{sign} {word}"), 20), style),
        Span::styled(
            format!(
                "   table {} · {} · strategy {}",
                clip(&mapping.table, 40),
                clip(&mapping.access.replace('_', "/"), 20),
                clip(&mapping.strategy, 20)
            ),
            theme.dim(),
        ),
    ])];
    if let Some(since) = mapping.failing_since.filter(|_| is_failing(ctx, mapping)) {
        let text = format!("nothing that was sent since {} went through", ctx.clock(since));
        lines.push(Line::from(vec![label("writes"), Span::styled(clip(&text, room), theme.bad())]));
    }
    if let Some(detail) = mapping.detail.as_ref().filter(|_| mapping.state != MappingState::Loading) {
        lines.push(Line::from(vec![label("why"), Span::styled(clip(detail, room), theme.warn())]));
    }
    if let Some(told) = ctx.heroku() {
        let text = match (&mapping.heroku, told.told_at) {
            (Some(of), Some(at)) => {
                format!("{}, told by its API at {}: {}", of.text(), ctx.clock(at), told_counts(of))
            }
            _ => told.text(|at| ctx.clock(at)),
        };
        let style = if told.failure().is_some() { theme.warn() } else { theme.text() };
        let names = ["Heroku", "", ""].into_iter();
        lines.extend(
            names
                .zip(wrap(&text, room, 3))
                .map(|(name, part)| Line::from(vec![label(name), Span::styled(part, style)])),
        );
    }
    lines.extend(zoom::lags(ctx, mapping, width));
    if let Some(events) = &mapping.events {
        let style = if events.flow { theme.text() } else { theme.warn() };
        let text = wrap(&events.text(|at| ctx.clock(at)), room, 3);
        let names = ["events", "", ""].into_iter();
        let told = |(name, part)| Line::from(vec![label(name), Span::styled(part, style)]);
        lines.extend(names.zip(text).map(told));
    }
    let verify = &mapping.verify;
    if verify.last.is_some() || verify.next.is_some() || verify.progress.is_some() {
        let text = verify.text(|at| ctx.clock(at), ctx.now);
        let style = if verify.found > 0 { theme.warn() } else { theme.text() };
        lines.push(Line::from(vec![label("compared"), Span::styled(clip(&text, room), style)]));
    }
    lines.extend(zoom::tried(ctx, &pane.zoom, &mapping.name, width));
    let kinds: Vec<String> = mapping
        .by_category
        .iter()
        .map(|(category, errors)| format!("{} {category}", count(*errors, 0)))
        .collect();
    let kinds = if kinds.is_empty() { "none".to_owned() } else { kinds.join(" · ") };
    let recent = if mapping.errors_last_hour > 0 {
        format!("   {} new within the hour", count(mapping.errors_last_hour, 0))
    } else {
        String::new()
    };
    lines.push(Line::from(vec![label("errors"), Span::raw(clip(&format!("{kinds}{recent}"), room))]));
    let cells = room.saturating_sub(22).clamp(10, 60);
    for (name, of, style) in [
        ("taken", (|minute| minute.accepted) as fn(&Minute) -> i64, theme.good()),
        ("rejected", |minute| minute.rejected + minute.lost, theme.bad()),
        ("read", |minute| minute.read, theme.key()),
    ] {
        let (picture, sum) = line_of(pane, mapping, cells, of);
        lines.push(Line::from(vec![
            label(name),
            Span::styled(picture, style),
            Span::styled(format!(" {} in 1 h", count(sum, 10)), theme.dim()),
        ]));
    }
    lines
}
