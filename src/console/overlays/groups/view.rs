//! How the groups are drawn: two lines each, the message first.

use chrono::{DateTime, Utc};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use unicode_width::UnicodeWidthStr;

use super::{GroupsView, LINES, MOST};
use crate::console::context::Context;
use crate::console::overlays::{chosen_line, hints, panel, place_in_list};
use crate::console::widgets::cells::{ago, clip, count, fit, short};
use crate::console::widgets::charts::{sparkline, thin_bar};
use crate::domain::errors::cause::Life;
use crate::domain::errors::group::Group;
use crate::domain::errors::group_hours::PARTS;

/// From so many columns on the share has a bar, and the code stands behind the message.
const WIDE: usize = 106;
/// From so many columns on the second line has room for whole words.
const ROOMY: usize = 150;
/// The cells of that bar, and a blank.
const BAR: usize = 12;
/// How many errors there are, and their share.
const COUNTS: usize = 8 + 6;
/// The last hour, and how many came in it.
const HOUR: usize = 2 + PARTS + 7;

/// Draws the groups over everything.
pub fn draw(ctx: &Context, view: &GroupsView, frame: &mut Frame) {
    // What is said about a key stands in the last line of the screen.
    let area = frame.area();
    let area = Rect { height: area.height.saturating_sub(1), ..area };
    let inner = panel(ctx, frame, area, &title(view));
    let [head, body, told, keys] = inner.layout(&Layout::vertical([
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(1),
        Constraint::Length(1),
    ]));
    let columns = Columns::of(usize::from(inner.width));
    frame.render_widget(Paragraph::new(columns.head(ctx)), head);
    frame.render_widget(Paragraph::new(told_below(ctx, view, usize::from(inner.width))), told);
    frame.render_widget(Paragraph::new(hints(ctx, keys_of(ctx), usize::from(inner.width))), keys);
    if view.groups.is_empty() {
        let text = match view.typed.as_str() {
            "" => "  ✓ nothing is wrong here that needs a person".to_owned(),
            typed => format!("  ✓ no error matches {typed}"),
        };
        let line = Line::from(Span::styled(clip(&text, usize::from(body.width)), ctx.theme.good()));
        return frame.render_widget(Paragraph::new(vec![Line::default(), line]), body);
    }
    let window = view.cursor.window(view.groups.len(), usize::from(body.height) / LINES);
    place_in_list(ctx, frame, area, view.groups.len(), &window);
    let all: i64 = view.groups.iter().map(|group| group.count).sum();
    let highest = view.hours.as_ref().map_or(0, |hours| hours.highest());
    let top = window.start;
    let mut lines = Vec::new();
    for at in window {
        let group = &view.groups[at];
        lines.push(columns.first(ctx, view, at, (all, highest)));
        lines.push(columns.second(ctx, view, group));
    }
    frame.render_widget(Paragraph::new(lines), body);
    let line = u16::try_from((view.cursor.at - top.min(view.cursor.at)) * LINES).unwrap_or(0);
    frame.set_cursor_position((body.x, body.y.saturating_add(line)));
}

fn title(view: &GroupsView) -> String {
    let typed = if view.typed.is_empty() { String::new() } else { format!(" that match {}", view.typed) };
    let all: i64 = view.groups.iter().map(|group| group.count).sum();
    match view.groups.len() {
        0 => format!("Groups of errors{typed}"),
        1 => format!("Groups of errors{typed}: 1 cause of {}", count(all, 0)),
        causes => format!("Groups of errors{typed}: {causes} causes of {}", count(all, 0)),
    }
}

fn keys_of(ctx: &Context) -> &'static [(&'static str, &'static str)] {
    if ctx.read_only {
        return &[("Enter", "list"), ("w", "why a group"), ("R", "sort"), ("Esc", "close")];
    }
    &[
        ("Enter", "list"),
        ("m", "mend"),
        ("i", "ignore"),
        ("r", "retry"),
        ("f", "fix"),
        ("u", "revert"),
        ("o", "own"),
        ("n", "note"),
        ("s", "mute"),
        ("w", "why"),
        ("R", "sort"),
        ("Esc", "close"),
    ]
}

/// What came new, and what of the list is not whole.
fn told_below(ctx: &Context, view: &GroupsView, width: usize) -> Line<'static> {
    let mut parts = Vec::new();
    match view.fresh.len() {
        0 => {}
        1 => parts.push("▼ 1 new group at the end: G goes there, R sorts".to_owned()),
        fresh => parts.push(format!("▼ {fresh} new groups at the end: G goes there, R sorts")),
    }
    if let Some(why) = &view.refusal {
        parts.push(format!("✗ this is how it was: {why}"));
    }
    if view.groups.len() >= MOST {
        parts.push(format!("the {MOST} most frequent; there may be more"));
    }
    if let Some(read) = view.hours.as_ref().and_then(|hours| hours.of_newest) {
        parts.push(format!("the hour: of the newest {} errors", count(read, 0)));
    }
    Line::from(Span::styled(clip(&format!(" {}", parts.join(" · ")), width), ctx.theme.warn()))
}

/// What there is room for.
struct Columns {
    width: usize,
    /// Whether the share has a bar.
    wide: bool,
}

impl Columns {
    fn of(width: usize) -> Columns {
        Columns { width, wide: width >= WIDE }
    }

    /// Whether the second line has room for whole words.
    fn roomy(&self) -> bool {
        self.width >= ROOMY
    }

    /// The columns of the message, behind the number.
    fn message(&self) -> usize {
        let bar = if self.wide { BAR } else { 0 };
        self.width.saturating_sub(4 + COUNTS + bar + HOUR + 1)
    }

    fn head(&self, ctx: &Context) -> Line<'static> {
        let bar = if self.wide { " ".repeat(BAR) } else { String::new() };
        let text = format!(
            "    {}{:>8}{:>6}{bar}  {}{:>7}",
            fit("what is wrong", self.message()),
            "errors",
            "share",
            fit("last hour", PARTS),
            "came"
        );
        Line::from(Span::styled(text, ctx.theme.label()))
    }

    /// What is wrong, how often, and when it came.
    fn first(&self, ctx: &Context, view: &GroupsView, at: usize, of: (i64, i64)) -> Line<'static> {
        let theme = ctx.theme;
        let group = &view.groups[at];
        let (all, highest) = of;
        let chosen = at == view.cursor.at;
        // A digit is one key; what lies beyond is reached with j and k.
        let number = if at < 9 { (at + 1).to_string() } else { " ".to_owned() };
        let fresh = if view.fresh.contains(&group.group) { "▼" } else { " " };
        let room = self.message();
        let code = if self.wide { clip(&group.code, room / 3) } else { String::new() };
        let message = clip(&group.template, room.saturating_sub(code.width() + 3));
        let blank = room.saturating_sub(message.width() + code.width() + 2);
        let calm = group.life.as_ref().is_some_and(|life| life.muted.is_some()) || group.aside == group.count;
        let said = if calm { theme.dim() } else { theme.text() };
        let text = Line::from(vec![
            Span::styled(format!("{fresh}{number}  "), theme.key()),
            Span::styled(message, said),
            Span::styled(format!("  {code}{}", " ".repeat(blank)), theme.dim()),
            Span::styled(count(group.count, 8), theme.strong()),
            Span::styled(format!("{:>6}", share(group.count, all)), theme.text()),
        ]);
        let mut line = chosen_line(ctx, chosen, text);
        line.style = Style::new();
        if self.wide {
            line.push_span(Span::styled(
                fit(&format!(" {}", thin_bar(group.count, all, BAR - 2)), BAR),
                theme.warn(),
            ));
        }
        // What is drawn stays a picture where the line is chosen.
        match &view.hours {
            Some(hours) => {
                let parts = hours.of(&group.group);
                let came: i64 = parts.iter().sum();
                line.push_span(Span::styled(format!("  {}", sparkline(&parts, PARTS, highest)), theme.bad()));
                let style = if came > 0 { theme.text() } else { theme.dim() };
                line.push_span(Span::styled(short(came, 7), style));
            }
            None => line.push_span(Span::styled(format!("  {}{:>7}", " ".repeat(PARTS), "..."), theme.dim())),
        }
        line
    }

    /// Of what it is, what would mend it, since when, and what people say.
    fn second(&self, ctx: &Context, view: &GroupsView, group: &Group) -> Line<'static> {
        let theme = ctx.theme;
        let since = |time: DateTime<Utc>| ago((ctx.now - time).num_seconds());
        let fields = group.fields.join(",");
        let mut parts = vec![(clip(&group.mapping, 24), theme.dim())];
        if !self.wide {
            parts.push((clip(&group.code, 20), theme.dim()));
        } else if !fields.is_empty() {
            parts.push((clip(&fields, 24), theme.dim()));
        }
        parts.extend(fit_words(ctx, view, group, self));
        match &group.life {
            Some(life) => {
                parts.push((format!("{} {}", life.state.sign(), life.state.word()), theme.dim()));
                parts.extend(said_of(life).into_iter().map(|said| (said, theme.dim())));
            }
            None if group.aside == group.count => parts.push(("○ aside".to_owned(), theme.dim())),
            None => {}
        }
        // Where there is little room, what people said comes before when.
        let (first, last) = (since(group.first_seen), since(group.last_seen));
        let times = match self.roomy() {
            true => format!("first {first} ago, last {last} ago"),
            false => format!("{first} to {last} ago"),
        };
        parts.push((times, theme.dim()));
        let mut left = self.width.saturating_sub(5);
        let mut line = Line::from("    ");
        for (at, (text, style)) in parts.into_iter().enumerate() {
            let space = if at == 0 { "" } else { " · " };
            if left <= space.width() + 4 {
                break;
            }
            let text = clip(&text, left - space.width());
            left -= text.width() + space.width();
            line.push_span(Span::styled(space, theme.dim()));
            line.push_span(Span::styled(text, style));
        }
        line
    }
}

/// Of how many of its errors a remedy mends the row, in as many words as there is room for.
fn fit_words(ctx: &Context, view: &GroupsView, group: &Group, columns: &Columns) -> Option<(String, Style)> {
    let theme = ctx.theme;
    let (_, fit) = view.fits.get(&group.group)?;
    let number = |n: usize| count(i64::try_from(n).unwrap_or(i64::MAX), 0);
    let Ok(fit) = fit else { return Some(("remedies are not known".to_owned(), theme.dim())) };
    let (what, first) = match (columns.roomy(), columns.wide) {
        (true, _) => ("the first remedy that passes fits", "the first "),
        (false, true) => ("remedy fits", "the first "),
        (false, false) => ("fits", "first "),
    };
    let of = format!("{}{}", if fit.more { first } else { "" }, number(fit.looked));
    Some(match (fit.passing, columns.wide) {
        (0, true) => (format!("no remedy mends any of {of}"), theme.warn()),
        (0, false) => (format!("fits none of {of}"), theme.warn()),
        (passing, _) => (format!("{what} {} of {of}", number(passing)), theme.good()),
    })
}

/// What people said about a cause.
fn said_of(life: &Life) -> Option<String> {
    let parts = [
        life.owner.as_ref().map(|owner| format!("owner {owner}")),
        life.muted.as_ref().map(|muted| format!("muted {muted}")),
        life.note.clone(),
    ];
    let said: Vec<String> = parts.into_iter().flatten().collect();
    (!said.is_empty()).then(|| said.join(" · "))
}

/// A share in whole percents; little is not nothing.
fn share(part: i64, all: i64) -> String {
    match (part, all) {
        (_, ..=0) => String::new(),
        (part, all) if part * 100 < all => "<1 %".to_owned(),
        (part, all) => format!("{} %", part * 100 / all),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_little_is_not_nothing() {
        assert_eq!([share(1, 1_000), share(38, 44), share(7, 7), share(1, 0)], ["<1 %", "86 %", "100 %", ""]);
    }
}
