//! Where people would rather look than read: throughput and errors of each mapping, minute by minute, and what the
//! errors are about.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::console::context::Context;
use crate::console::effect::Effect;
use crate::console::outcome::Outcome;
use crate::console::widgets::cells::{count, fit, short, wrap};
use crate::console::widgets::charts::{fold, sparkline, thin_bar};
use crate::console::widgets::cursor::{Cursor, Step};
use crate::console::widgets::scroll::beyond;
use crate::domain::reports::trend::{ErrorShare, Minute, Trend};

/// Spans of time that can be chosen, in minutes, with their names.
const SPANS: [(u32, &str); 3] = [(60, "1 h"), (6 * 60, "6 h"), (24 * 60, "24 h")];

/// From so many columns on there is room for whole numbers and words.
const WIDE: usize = 76;

/// The pictures.
#[derive(Debug, Default)]
pub struct Trends {
    /// What happened, once known.
    pub trends: Option<Vec<Trend>>,
    /// What the errors are about, once known.
    pub shares: Option<Vec<ErrorShare>>,
    /// Why nothing newer is known.
    pub refusal: Option<String>,
    span: usize,
    cursor: Cursor,
}

impl Trends {
    /// How many minutes are looked at.
    pub fn minutes(&self) -> u32 {
        SPANS[self.span].0
    }

    /// Asks for what it shows.
    pub fn load(&self) -> Effect {
        Effect::LoadTrends { minutes: self.minutes(), shares: true }
    }

    /// Takes in what came.
    pub fn take(&mut self, trends: Vec<Trend>, shares: Vec<ErrorShare>) {
        self.cursor.step(Step::Lines(0), shares.len());
        (self.trends, self.shares, self.refusal) = (Some(trends), Some(shares), None);
    }

    /// A key.
    pub fn key(&mut self, key: KeyEvent) -> Vec<Outcome> {
        let shares = self.shares.as_ref().map_or(0, Vec::len);
        match key.code {
            KeyCode::Esc | KeyCode::Char('q') => return vec![Outcome::Close],
            KeyCode::Char('j') | KeyCode::Down => self.cursor.step(Step::Lines(1), shares),
            KeyCode::Char('k') | KeyCode::Up => self.cursor.step(Step::Lines(-1), shares),
            KeyCode::Char('t') => {
                self.span = (self.span + 1) % SPANS.len();
                self.trends = None;
                return vec![Outcome::Effect(self.load())];
            }
            KeyCode::Enter => {
                let share = self.shares.as_ref().and_then(|shares| shares.get(self.cursor.at));
                if let Some(share) = share {
                    let filter = format!("code:{} category:{}", share.code, share.category.word());
                    return Outcome::List { filter, label: None }.closing();
                }
            }
            _ => {}
        }
        Vec::new()
    }
}

/// Draws the pictures over everything.
pub fn draw(ctx: &Context, trends: &Trends, frame: &mut Frame) {
    let area = frame.area();
    let title = format!("Trends: the last {}", SPANS[trends.span].1);
    let inner = super::panel(ctx, frame, area, &title);
    let [body, keys] = inner.layout(&Layout::vertical([Constraint::Fill(1), Constraint::Length(1)]));
    let hints = if usize::from(inner.width) >= WIDE {
        [("t", "another span"), ("j k", "choose a code"), ("Enter", "list its errors"), ("Esc", "close")]
    } else {
        [("t", "span"), ("j k", "choose"), ("Enter", "its errors"), ("Esc", "close")]
    };
    frame.render_widget(Paragraph::new(super::hints(ctx, &hints, inner.width.into())), keys);
    let mappings = trends.trends.as_ref().map_or(1, Vec::len);
    let upper = u16::try_from(mappings + 3).unwrap_or(u16::MAX).min(body.height.saturating_sub(6));
    let [top, bottom] = body.layout(&Layout::vertical([Constraint::Length(upper), Constraint::Fill(1)]));
    frame.render_widget(Paragraph::new(throughput(ctx, trends, top)), top);
    let (lines, cursor) = causes(ctx, trends, bottom);
    frame.render_widget(Paragraph::new(lines), bottom);
    if let Some(line) = cursor {
        frame.set_cursor_position((bottom.x, bottom.y.saturating_add(line)));
    }
}

/// The widths of the columns: a mapping's name, each picture, and the number beside it.
struct Columns {
    name: usize,
    picture: usize,
    number: usize,
}

impl Columns {
    fn of(width: usize) -> Columns {
        let name = (width / 6).clamp(10, 20);
        let number = if width >= WIDE { 9 } else { 6 };
        let picture = (width.saturating_sub(name + 2 + 3 * (number + 1)) / 3).clamp(6, 60);
        Columns { name, picture, number }
    }

    /// A number in its column, apart from the picture before it.
    fn number(&self, number: i64) -> String {
        format!(" {} ", short(number, self.number - 1))
    }

    /// The heads; of mappings that have no room it is told how many there are.
    fn head(&self, ctx: &Context, hidden: usize) -> Line<'static> {
        let width = self.picture + self.number + 1;
        let taken = if width >= 20 { "taken by Salesforce" } else { "taken" };
        let titles: String = [taken, "rejected", "read"].map(|title| fit(title, width)).concat();
        let name = if hidden > 0 { format!("mapping +{hidden}") } else { "mapping".to_owned() };
        let text = format!(" {} {titles}", fit(&name, self.name));
        Line::from(Span::styled(text, ctx.theme.label()))
    }

    /// What the pictures stand on: from when to when they are, and beside each the highest minute of any mapping.
    fn axis(&self, ctx: &Context, span: usize, cells: usize, highest: [i64; 3]) -> Line<'static> {
        let (minutes, name) = SPANS[span];
        let ago = if minutes == 60 { "60 min ago".to_owned() } else { format!("{name} ago") };
        let since = if ago.len() + " now".len() <= cells { ago } else { name.to_owned() };
        let time = format!("{since}{:>room$}", "now", room = cells.saturating_sub(since.len()));
        let parts =
            highest.map(|highest| format!("{time:>width$}{}", self.number(highest), width = self.picture));
        let text = format!(" {} {}", fit("peak/min", self.name), parts.concat());
        Line::from(Span::styled(text, ctx.theme.dim()))
    }
}

/// A line for each mapping: accepted, rejected and read, with what they come to; below them time and scale.
fn throughput(ctx: &Context, trends: &Trends, area: Rect) -> Vec<Line<'static>> {
    let theme = ctx.theme;
    let Some(all) = &trends.trends else {
        let (text, style) = match &trends.refusal {
            Some(why) => (why.as_str(), theme.bad()),
            None => ("reading ...", theme.dim()),
        };
        let room = usize::from(area.width).saturating_sub(4);
        let lines = wrap(text, room, usize::from(area.height).max(1)).into_iter();
        let said = lines.map(|line| Line::from(Span::styled(format!("  {line}"), style)));
        return std::iter::once(Line::default()).chain(said).collect();
    };
    let columns = Columns::of(usize::from(area.width));
    let each = columns.picture;
    let parts: [fn(&Minute) -> i64; 3] =
        [|minute| minute.accepted, |minute| minute.rejected + minute.lost, |minute| minute.read];
    let styles = [theme.good(), theme.bad(), theme.key()];
    // One scale for all mappings in a column: what is small beside another one looks small.
    let tops = parts.map(|of| top(all, each, of));
    let room = usize::from(area.height).saturating_sub(2);
    let mut lines = vec![columns.head(ctx, all.len().saturating_sub(room))];
    lines.extend(all.iter().take(room).map(|trend| {
        let mut line = Line::from(format!(" {} ", fit(&trend.mapping, columns.name)));
        for ((of, top), style) in parts.into_iter().zip(tops).zip(styles) {
            let values: Vec<i64> = trend.minutes.iter().map(of).collect();
            line.push_span(Span::styled(sparkline(&values, each, top), style));
            line.push_span(Span::styled(columns.number(values.iter().sum()), theme.text()));
        }
        line
    }));
    let minutes = all.iter().map(|trend| trend.minutes.len()).max().unwrap_or(0);
    let cells = fold(&vec![0; minutes], each).len();
    let highest = parts.map(|of| all.iter().flat_map(|trend| &trend.minutes).map(of).max().unwrap_or(0));
    lines.push(columns.axis(ctx, trends.span, cells, highest));
    lines
}

fn top(all: &[Trend], width: usize, of: impl Fn(&Minute) -> i64) -> i64 {
    let highest = |trend: &Trend| {
        let values: Vec<i64> = trend.minutes.iter().map(&of).collect();
        fold(&values, width).into_iter().max().unwrap_or(0)
    };
    all.iter().map(highest).max().unwrap_or(0)
}

/// The errors that are open now, by category and code, as bars.
fn causes(ctx: &Context, trends: &Trends, area: Rect) -> (Vec<Line<'static>>, Option<u16>) {
    let theme = ctx.theme;
    let head = |beyond: &str| {
        let text = format!(" errors that are open now, by category and code{beyond}");
        Line::from(Span::styled(text, theme.label()))
    };
    let mut lines = vec![head("")];
    let shares = match &trends.shares {
        Some(shares) if !shares.is_empty() => shares,
        Some(_) => {
            lines.push(Line::from(Span::styled("  none", theme.good())));
            return (lines, None);
        }
        None => return (lines, None),
    };
    let width = usize::from(area.width);
    let code = (width / 3).clamp(16, 40);
    let room = width.saturating_sub(12 + code + 12);
    let highest = shares.iter().map(|share| share.count).max().unwrap_or(0);
    let height = usize::from(area.height).saturating_sub(1).max(1);
    let window = trends.cursor.window(shares.len(), height);
    let first = window.start;
    lines[0] = head(&beyond(shares.len(), &window));
    for at in window {
        let share = &shares[at];
        // The bar of the chosen one stays a bar.
        let picture = Span::styled(fit(&thin_bar(share.count, highest, room), room), theme.warn());
        let line = Line::from(vec![
            Span::styled(format!(" {}", fit(share.category.word(), 11)), theme.dim()),
            Span::raw(format!("{} ", fit(&share.code, code - 1))),
            Span::raw(count(share.count, 9)),
        ]);
        let mut line = super::chosen_line(ctx, at == trends.cursor.at, line);
        line.style = ratatui::style::Style::new();
        // Reversed, it would run into the bar.
        line.push_span(Span::raw(" "));
        line.push_span(picture);
        lines.push(line);
    }
    let cursor = u16::try_from(1 + trends.cursor.at.saturating_sub(first)).ok();
    (lines, cursor)
}
