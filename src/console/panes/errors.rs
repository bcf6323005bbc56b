//! Errors: the list, newest first, a window onto PostgreSQL page by page.

use std::collections::BTreeSet;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::console::effect::Effect;
use crate::console::model::{Model, Pane};
use crate::console::widgets::cells::{ago, cell, clip, count, fit};
use crate::console::widgets::cursor::Cursor;
use crate::domain::sort::Key;
use crate::domain::sync_error::{ErrorState, SyncError};
use crate::engine::handle::{Count, ErrorPage, ErrorQuery};

/// Errors asked for at once.
pub const PAGE: usize = 100;

/// The pane's state.
#[derive(Debug, Default)]
pub struct ErrorsPane {
    /// What is known of the list, from its beginning on.
    pub items: Vec<SyncError>,
    /// How many match.
    pub matching: i64,
    /// Whether `matching` stopped counting.
    pub capped: bool,
    /// Where one is. The selected error is followed by its number, wherever new ones put it.
    pub cursor: Cursor,
    /// The filter as typed.
    pub filter: String,
    /// Grows with every change of the filter; pages of an older list are dropped.
    pub generation: u64,
    /// Whether the first page came.
    pub loaded: bool,
    /// Why the list cannot be shown.
    pub refusal: Option<String>,
    /// Where the list goes on.
    pub next: Option<Key>,
    /// Whether a further page is on its way.
    pub more: bool,
    /// The errors that are marked, by their numbers.
    pub marked: BTreeSet<i64>,
    /// Whether all that match are marked.
    pub all: bool,
    /// Whether the operator moved the cursor; until then it stays on the newest error.
    pub touched: bool,
}

impl ErrorsPane {
    /// The selected error.
    pub fn selected(&self) -> Option<&SyncError> {
        self.items.get(self.cursor.at)
    }

    /// Whether something is marked.
    pub fn any_marked(&self) -> bool {
        self.all || !self.marked.is_empty()
    }

    /// Takes all marks away.
    pub fn unmark(&mut self) {
        self.all = false;
        self.marked.clear();
    }

    /// Asks for the list from its beginning, as much of it as is known.
    pub fn reload(&self) -> Effect {
        let limit = self.items.len().clamp(PAGE, 10 * PAGE);
        let query = ErrorQuery { filter: self.filter.clone(), limit, ..ErrorQuery::default() };
        Effect::LoadErrors { generation: self.generation, append: false, query }
    }

    /// Asks for the next page when the end of what is known comes near.
    pub fn want_more(&mut self) -> Option<Effect> {
        let near_end = self.cursor.at + PAGE / 2 >= self.items.len();
        if !near_end || self.more {
            return None;
        }
        let after = Some(self.next.clone()?);
        self.more = true;
        let query = ErrorQuery { filter: self.filter.clone(), limit: PAGE, after, ..ErrorQuery::default() };
        Some(Effect::LoadErrors { generation: self.generation, append: true, query })
    }

    /// Takes a page in. The cursor stays on its error; when that is gone, it stays where it was.
    pub fn take(&mut self, (page, count): (ErrorPage, Count), append: bool) {
        let selected = self.selected().map(|error| error.id);
        let offset = self.cursor.at.saturating_sub(self.cursor.top);
        self.refusal = None;
        self.loaded = true;
        (self.matching, self.capped) = (count.matching, count.capped);
        self.next = page.next;
        if append {
            self.more = false;
            let known: std::collections::HashSet<i64> = self.items.iter().map(|error| error.id).collect();
            self.items.extend(page.items.into_iter().filter(|error| !known.contains(&error.id)));
        } else {
            self.items = page.items;
        }
        let there = selected.and_then(|id| self.items.iter().position(|error| error.id == id));
        self.cursor.at = there.unwrap_or(self.cursor.at).min(self.items.len().saturating_sub(1));
        // The line stays where the eye is, also when others come in above it.
        self.cursor.top = self.cursor.at.saturating_sub(offset);
        if !self.touched {
            self.cursor = Cursor::default();
        }
    }

    /// Shows another list.
    pub fn set_filter(&mut self, filter: &str) -> Effect {
        self.filter = filter.trim().to_owned();
        self.generation += 1;
        self.items.clear();
        self.next = None;
        self.unmark();
        self.cursor = Cursor::default();
        (self.loaded, self.more, self.touched) = (false, false, false);
        self.reload()
    }
}

/// Sign, word and looks of an error's state.
pub fn state(model: &Model, error: &SyncError) -> (&'static str, String, Style) {
    let theme = model.theme;
    match error.state {
        ErrorState::Open => ("✗", "open".to_owned(), theme.bad()),
        ErrorState::Review => ("?", "review".to_owned(), theme.warn()),
        ErrorState::Held => ("=", "held".to_owned(), theme.dim()),
        ErrorState::Ignored => ("-", "ignored".to_owned(), theme.dim()),
        ErrorState::Resolved => ("✓", "resolved".to_owned(), theme.good()),
        ErrorState::Retrying => {
            let left = error.next_retry_at.map_or(0, |at| (at - model.now).num_seconds());
            let word = if left > 0 { format!("in {}", ago(left)) } else { "sending".to_owned() };
            ("↻", word, theme.warn())
        }
    }
}

/// Draws the pane.
pub fn draw(model: &Model, frame: &mut Frame, area: Rect) {
    let pane = &model.errors;
    let more = if pane.capped { "+" } else { "" };
    let right = match (pane.loaded, pane.items.is_empty()) {
        (true, false) => {
            let marked = match (pane.all, pane.marked.len()) {
                (true, _) => "all marked · ".to_owned(),
                (false, 0) => String::new(),
                (false, marked) => format!("{marked} marked · "),
            };
            format!("{marked}{} of {}{more}", pane.cursor.at + 1, count(pane.matching, 0))
        }
        _ => String::new(),
    };
    let block = super::frame(model, Pane::Errors, area, &pane.filter, &right);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    if let Some(text) = what_instead(model) {
        frame.render_widget(Paragraph::new(super::empty(model, &text.lines().collect::<Vec<_>>())), inner);
        return;
    }
    let columns = Columns::of(usize::from(inner.width));
    let mut lines = vec![columns.head(model)];
    let height = usize::from(inner.height).saturating_sub(1);
    let window = pane.cursor.window(pane.items.len(), height);
    let top = window.start;
    for at in window {
        lines.push(super::list_line(
            model,
            Pane::Errors,
            at == pane.cursor.at,
            columns.row(model, &pane.items[at]),
        ));
    }
    frame.render_widget(Paragraph::new(lines), inner);
    super::super::view::place_cursor(
        model,
        frame,
        Pane::Errors,
        inner,
        1 + pane.cursor.at.saturating_sub(top),
    );
}

/// What the pane says when it has no list to show.
fn what_instead(model: &Model) -> Option<String> {
    let pane = &model.errors;
    // What was last known stays in sight while PostgreSQL is out of reach; the line above says that it is.
    if let Some(refusal) = pane.refusal.as_ref().filter(|_| pane.items.is_empty()) {
        return Some(crate::logs::sanitize::sanitize(&refusal.replace('\n', " · ")).into_owned());
    }
    if !pane.loaded {
        return Some("reading ...".to_owned());
    }
    if !pane.items.is_empty() {
        return None;
    }
    Some(if pane.filter.is_empty() {
        "No errors. Everything that was written is in Salesforce,\nor on its way (see pending).".to_owned()
    } else {
        "No error matches the filter.\nEsc shows all errors, / changes the filter.".to_owned()
    })
}

/// The widths of the columns; the least needed go first where room is short.
struct Columns {
    time: usize,
    record: usize,
    code: usize,
    fields: usize,
    tries: bool,
}

impl Columns {
    fn of(width: usize) -> Columns {
        let tries = width >= 70;
        let time = if width >= 60 { 9 } else { 6 };
        // Sign 3, state 9, tries 4.
        let room = width.saturating_sub(3 + time + 9 + if tries { 4 } else { 0 });
        let record = (room * 3 / 10).clamp(14, 24);
        let fields = if width >= 84 { ((room - record) * 3 / 10).clamp(8, 18) } else { 0 };
        Columns { time, record, code: room.saturating_sub(record + fields), fields, tries }
    }

    fn head(&self, model: &Model) -> Line<'static> {
        let mut text =
            format!("   {}{}{}", fit("seen", self.time), fit("record", self.record), fit("code", self.code));
        text += &fit("field", self.fields);
        if self.tries {
            text += &format!("{:>3} ", "try");
        }
        text += &fit("state", 9);
        Line::from(Span::styled(text, model.theme.label()))
    }

    fn row(&self, model: &Model, error: &SyncError) -> Line<'static> {
        let theme = model.theme;
        let (sign, word, style) = state(model, error);
        let width = self.record.saturating_sub(1);
        let record = match error.row_id {
            // The number tells rows apart; where room is short, the name gives way.
            Some(row) => {
                let number = row.to_string();
                format!("{} {number}", clip(&error.mapping, width.saturating_sub(number.len() + 1)))
            }
            None if error.mapping.is_empty() => "the connection".to_owned(),
            None => format!("{} ({})", error.mapping, error.op),
        };
        let marked = model.errors.all || model.errors.marked.contains(&error.id);
        let mut spans = vec![
            Span::styled(if marked { "●" } else { " " }, theme.key()),
            Span::styled(format!("{sign} "), style),
            Span::styled(fit(&model.clock(error.last_seen)[..self.time - 1], self.time), theme.dim()),
            cell(&record, width, theme.text()),
            Span::raw(" "),
            cell(&error.code, self.code.saturating_sub(1), theme.text()),
            Span::raw(" "),
        ];
        if self.fields > 0 {
            spans.push(cell(&error.fields.join(","), self.fields.saturating_sub(1), theme.strong()));
            spans.push(Span::raw(" "));
        }
        if self.tries {
            spans.push(Span::styled(format!("{:>3} ", error.attempts), theme.dim()));
        }
        spans.push(cell(&word, 9, style));
        Line::from(spans)
    }
}
