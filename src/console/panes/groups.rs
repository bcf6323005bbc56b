//! The causes of the errors that the list has, on a wide screen: what they say first, and how many each has.

use chrono::{DateTime, Utc};
use ratatui::Frame;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use unicode_width::UnicodeWidthStr;

use crate::console::context::Context;
use crate::console::pane::Pane;
use crate::console::panes::Slot;
use crate::console::widgets::cells::{fit, short};
use crate::console::widgets::cursor::Cursor;
use crate::domain::errors::group::Group;

/// Between two looks at the causes, in seconds, at least; and how many times as long as the last look took.
const REST: i64 = 5;
const SPARED: i64 = 20;

/// The pane's state.
#[derive(Debug, Default)]
pub struct GroupsPane {
    /// Which one.
    pub cursor: Cursor,
    /// The causes, the most frequent first as they were listed first.
    pub items: Vec<Group>,
    /// The filter that was asked for, and when.
    asked: Option<(String, DateTime<Utc>)>,
    /// The filter that they are of, once they are known.
    pub of: Option<String>,
    /// When they are read again at the earliest: reading them reads every error.
    again: Option<DateTime<Utc>>,
    /// When they were read.
    pub read_at: Option<DateTime<Utc>>,
    /// Why they could not be.
    pub refusal: Option<String>,
}

impl GroupsPane {
    /// The selected one.
    pub fn selected(&self) -> Option<&Group> {
        self.items.get(self.cursor.at)
    }

    /// Whether those of this filter are to be read now.
    pub fn is_due(&self, filter: &str, now: DateTime<Utc>) -> bool {
        self.of.as_deref() != Some(filter) || self.again.is_none_or(|again| again <= now)
    }

    /// They are asked for.
    pub fn ask(&mut self, filter: &str, now: DateTime<Utc>) {
        self.asked = Some((filter.to_owned(), now));
    }

    /// They came, or not. What was known of the same filter keeps its place, so that the next line means what it meant.
    pub fn take(&mut self, filter: &str, result: Result<Vec<Group>, String>, now: DateTime<Utc>) {
        let Some((asked, since)) = self.asked.take_if(|(asked, _)| asked == filter) else { return };
        let took = (now - since).num_seconds();
        self.again = Some(now + chrono::Duration::seconds(REST.max(took * SPARED)));
        let is_same = self.of.replace(asked).as_deref() == Some(filter);
        match result {
            Ok(mut groups) => {
                let selected = self.selected().map(|group| group.group.clone());
                if is_same {
                    let place = |group: &Group| self.items.iter().position(|old| old.group == group.group);
                    groups.sort_by_key(|group| place(group).unwrap_or(usize::MAX));
                }
                let there = groups.iter().position(|group| Some(&group.group) == selected.as_ref());
                let at = there.unwrap_or(if is_same { self.cursor.at } else { 0 });
                self.cursor.at = at.min(groups.len().saturating_sub(1));
                (self.items, self.refusal, self.read_at) = (groups, None, Some(now));
            }
            Err(refused) => {
                self.refusal = Some(refused);
                if !is_same {
                    self.items.clear();
                }
            }
        }
    }

    /// Lines that each takes in so many: two where there is room for what kind of errors they are.
    pub fn lines_each(&self, height: usize) -> usize {
        if self.items.len() * 2 <= height { 2 } else { 1 }
    }
}

/// Draws the pane; `listed` is the group whose errors the list has.
pub fn draw(ctx: &Context, pane: &GroupsPane, listed: Option<&str>, frame: &mut Frame, slot: Slot) {
    let inside = usize::from(slot.area.height.saturating_sub(2)).max(1);
    let each = pane.lines_each(inside);
    let shown = (inside / each).max(1);
    let cut = pane.items.len().saturating_sub(shown);
    let cut = if cut > 0 { format!("+{cut}") } else { String::new() };
    let block = super::frame(ctx, slot, "", &super::dated(ctx, pane.read_at, &cut));
    let inner = block.inner(slot.area);
    frame.render_widget(block, slot.area);
    if pane.items.is_empty() {
        let text = match (&pane.refusal, &pane.of) {
            (Some(refused), _) => refused.as_str(),
            (None, None) => "reading ...",
            (None, Some(_)) => "no errors, and so no causes",
        };
        frame.render_widget(Paragraph::new(super::empty(ctx, inner, text)), inner);
        return;
    }
    let window = pane.cursor.window(pane.items.len(), shown);
    super::place_in_list(ctx, frame, slot, pane.items.len(), &window);
    let top = window.start;
    let width = usize::from(inner.width);
    let mut lines = Vec::with_capacity(inside);
    for at in window {
        let group = &pane.items[at];
        let [first, second] = drawn(ctx, group, listed == Some(group.group.as_str()), width, each == 1);
        lines.push(super::list_line(ctx, Pane::Groups, at == pane.cursor.at, first));
        lines.extend((each > 1).then_some(second));
    }
    frame.render_widget(Paragraph::new(lines), inner);
    super::place_cursor(frame, slot, inner, (pane.cursor.at.saturating_sub(top)) * each);
}

/// A cause in two lines: how many and what they say, then of what; alone, the first names the mapping.
fn drawn(ctx: &Context, group: &Group, listed: bool, width: usize, alone: bool) -> [Line<'static>; 2] {
    let theme = ctx.theme;
    let (sign, grows) = match &group.life {
        Some(life) => (life.state.sign(), life.state.word() == "growing"),
        None => (" ", false),
    };
    let mark = if listed { "▸" } else { " " };
    let said = if group.template.is_empty() { &group.code } else { &group.template };
    let of = if alone && width >= 40 { format!(" {}", group.mapping) } else { String::new() };
    let room = width.saturating_sub(9);
    let of_width = of.width().min(room / 3);
    let first = Line::from(vec![
        Span::styled(mark, theme.key()),
        Span::styled(short(group.count, 5), theme.strong()),
        Span::styled(format!(" {sign} "), if grows { theme.warn() } else { theme.dim() }),
        Span::raw(fit(said, room - of_width)),
        Span::styled(fit(&of, of_width), theme.dim()),
    ]);
    let fields = group.fields.join(",");
    let trend = group.trend.sign();
    let trend = if trend.is_empty() { trend } else { format!("{trend} in 1 h  ") };
    let text = format!("{trend}{} {fields} {}", group.mapping, group.code);
    let second = Line::from(Span::styled(format!("         {}", fit(&text, room)), theme.dim()));
    [first, second]
}
