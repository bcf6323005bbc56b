//! Errors: the list, newest first, a window onto PostgreSQL page by page.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, Utc};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::client::handle::{Count, ErrorPage, ErrorQuery};
use crate::console::effect::Effect;
use crate::console::model::{Model, Pane};
use crate::console::widgets::cells::{ago, cell, clip, count, fit};
use crate::console::widgets::cursor::Cursor;
use crate::domain::sort::{Key, Sort, SortBy};
use crate::domain::sync_error::{ErrorState, SyncError};

/// Errors asked for at once.
pub const PAGE: usize = 100;
/// Errors held at most; whoever wants to see others filters or sorts.
const MOST: usize = 20_000;
/// Errors of the list's beginning that are read again at most.
const FAR: usize = 10 * PAGE;
/// Typed filters that are remembered.
const REMEMBERED: usize = 100;

/// What brought the selection to the error that it is on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Moved {
    /// The operator.
    #[default]
    ByHand,
    /// The list, which begins with it.
    WithTheList,
    /// The list, which has no longer the one before, or has a newer one at its head.
    ByItself,
}

/// The pane's state.
#[derive(Debug, Default)]
pub struct ErrorsPane {
    /// What is known of the list, from its beginning on.
    pub items: Vec<SyncError>,
    /// How many match, once counted: rows do not wait for it.
    pub count: Option<Count>,
    /// Where the next page begins, when there is one.
    pub next: Option<Key>,
    /// Where one is. The selected error is followed by its number, wherever new ones put it.
    pub cursor: Cursor,
    /// What brought it there.
    pub moved: Moved,
    /// When the list was read last.
    pub read_at: Option<DateTime<Utc>>,
    /// The filter as typed.
    pub filter: String,
    /// What that is called, where it was not typed: a cause in words.
    pub called: Option<String>,
    /// Grows with every change of the filter; pages of an older list are dropped.
    pub generation: u64,
    /// Whether the first page came.
    pub loaded: bool,
    /// Why the list cannot be shown.
    pub refusal: Option<String>,
    /// Whether a further page is on its way.
    pub more: bool,
    /// Where the list begins, when so many came at once that it goes on from where one looks.
    begins: Option<Key>,
    /// Whether the beginning is asked for as far as a page may go, to find what is selected.
    far: bool,
    /// The errors that are marked, by their numbers.
    pub marked: BTreeSet<i64>,
    /// Whether all that match are marked.
    pub all: bool,
    /// Whether the act under way is about what is marked.
    pub acted: bool,
    /// Whether the operator moved the cursor; until then it stays on the newest error.
    pub touched: bool,
    /// The order.
    pub sort: Sort,
    /// Whether only what needs a person is listed.
    pub faults: bool,
    /// Filters that were typed, newest last.
    pub typed: Vec<String>,
    /// The error on which the last console stood.
    pub wanted: Option<i64>,
    /// Filters that were gone through, and where in them one is.
    visited: Vec<String>,
    at_visited: usize,
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

    /// Whether one step back lists something else.
    pub fn is_narrowed(&self) -> bool {
        !self.any_marked() && (self.faults || !self.filter.is_empty())
    }

    /// Takes all marks away.
    pub fn unmark(&mut self) {
        self.all = false;
        self.marked.clear();
    }

    /// The filter as it is asked for: with what needs nobody left out, where that is wanted.
    pub fn asked_filter(&self) -> String {
        match (self.faults, self.filter.as_str()) {
            (false, filter) => filter.to_owned(),
            // Before what was typed, where a quote may stand open.
            (true, filter) => format!("state:open|review {filter}").trim().to_owned(),
        }
    }

    /// Asks for the list from its beginning, up to where one looks: with each event, so not for all that is known.
    pub fn reload(&self) -> Effect {
        let limit = if self.far { FAR } else { (self.cursor.at + PAGE).min(FAR) };
        let query = ErrorQuery {
            filter: self.asked_filter(),
            sort: self.sort,
            limit,
            after: self.begins.clone().filter(|_| !self.far),
        };
        Effect::LoadErrors { generation: self.generation, append: false, query }
    }

    /// The next look begins at the first error again, wherever one is.
    pub fn from_the_beginning(&mut self) {
        if self.goes_on_from_here() {
            let (marked, all) = (std::mem::take(&mut self.marked), self.all);
            self.begin();
            (self.marked, self.all) = (marked, all);
        }
    }

    /// Asks for the next page when the end of what is known comes near.
    pub fn want_more(&mut self) -> Option<Effect> {
        let near_end = self.cursor.at + PAGE / 2 >= self.items.len();
        if !near_end || self.more || self.items.len() >= MOST {
            return None;
        }
        let next = self.next.clone()?;
        self.more = true;
        let query =
            ErrorQuery { filter: self.asked_filter(), sort: self.sort, limit: PAGE, after: Some(next) };
        Some(Effect::LoadErrors { generation: self.generation, append: true, query })
    }

    /// Whether a page of the beginning leaves open where the selected error is: so many came that it lies behind all of
    /// the page. It is asked for once more, as far as a page may go; then the list goes on without its beginning.
    pub fn loses(&mut self, page: &ErrorPage) -> bool {
        if self.goes_on_from_here() {
            return false;
        }
        let selected = self.selected().filter(|_| self.touched && page.next.is_some());
        let lost = selected.zip(page.items.last()).is_some_and(|(selected, last)| {
            let known = self.items.iter().any(|error| error.id == last.id);
            !known && Key::is_behind(self.sort, selected, last)
        });
        if lost && self.far {
            self.begins = self.items.first().map(|first| Key::before(self.sort, first));
        }
        self.far = lost && !self.far;
        lost
    }

    /// Whether the list goes on from where one looks, without its beginning.
    pub fn goes_on_from_here(&self) -> bool {
        self.begins.is_some()
    }

    /// Takes a page in. The cursor stays on its error; when that is gone, it stays where it was.
    pub fn take(&mut self, page: ErrorPage, append: bool) {
        let selected = self.selected().map(|error| error.id);
        let offset = self.cursor.at.saturating_sub(self.cursor.top);
        self.refusal = None;
        self.loaded = true;
        if append {
            self.more = false;
            let known: HashSet<i64> = self.items.iter().map(|error| error.id).collect();
            self.items.extend(page.items.into_iter().filter(|error| !known.contains(&error.id)));
            self.next = page.next;
        } else {
            // What was read behind it stays, so that nobody who went far down is thrown back.
            let last = page.items.last().map(|error| error.id);
            let known = self.items.iter().position(|error| Some(error.id) == last);
            let upto = known.map_or(page.items.len(), |last| last + 1).min(self.items.len());
            let mut behind = self.items.split_off(upto);
            let fresh: HashSet<i64> = page.items.iter().map(|error| error.id).collect();
            behind.retain(|error| page.next.is_some() && !fresh.contains(&error.id));
            if behind.is_empty() {
                self.next = page.next;
            }
            self.items = page.items;
            self.items.append(&mut behind);
        }
        let there = selected.and_then(|id| self.items.iter().position(|error| error.id == id));
        self.cursor.at = there.unwrap_or(self.cursor.at).min(self.items.len().saturating_sub(1));
        // The line stays where the eye is, also when others come in above it.
        self.cursor.top = self.cursor.at.saturating_sub(offset);
        if !self.touched {
            self.cursor = Cursor::default();
        }
        if self.selected().map(|error| error.id) != selected {
            self.moved = if selected.is_some() { Moved::ByItself } else { Moved::WithTheList };
        }
    }

    /// Goes to a filter; from here the way back leads to the one before.
    pub fn visit(&mut self, filter: &str) {
        let filter = filter.trim().to_owned();
        if filter == self.filter {
            return;
        }
        self.visited.truncate(self.at_visited);
        self.visited.push(std::mem::replace(&mut self.filter, filter));
        self.at_visited = self.visited.len();
    }

    /// To the filter before, or on to the one after it; false when there is none.
    pub fn travel(&mut self, newer: bool) -> bool {
        if self.at_visited == self.visited.len() {
            self.visited.push(self.filter.clone());
        }
        let to = if newer { self.at_visited.checked_add(1) } else { self.at_visited.checked_sub(1) };
        let Some((at, filter)) = to.and_then(|at| Some((at, self.visited.get(at)?.clone()))) else {
            return false;
        };
        self.at_visited = at;
        self.filter = filter;
        true
    }

    /// Goes to the error on which the last console stood, when it is among those that came.
    pub fn restore(&mut self) {
        if let Some(at) = self.wanted.take().and_then(|id| self.items.iter().position(|error| error.id == id))
        {
            self.cursor = Cursor { at, top: at.saturating_sub(5) };
            self.touched = true;
        }
    }

    /// Remembers a filter that was typed.
    pub fn remember(&mut self, filter: &str) {
        let filter = filter.trim();
        if !filter.is_empty() {
            self.typed.retain(|other| other != filter);
            self.typed.push(filter.to_owned());
            let surplus = self.typed.len().saturating_sub(REMEMBERED);
            self.typed.drain(..surplus);
        }
    }

    /// Begins the list anew.
    pub fn begin(&mut self) {
        self.generation += 1;
        self.called = None;
        self.items.clear();
        self.unmark();
        self.cursor = Cursor::default();
        self.next = None;
        self.count = None;
        (self.loaded, self.more, self.touched) = (false, false, false);
        (self.begins, self.far) = (None, false);
    }

    /// Asks how many there are.
    pub fn count(&self) -> Effect {
        Effect::CountErrors { generation: self.generation, filter: self.asked_filter() }
    }
}

/// What an error is about that is of no row.
pub fn subject(error: &SyncError) -> String {
    if error.mapping.is_empty() {
        "the connection".to_owned()
    } else if let Some(sfid) = &error.sfid {
        format!("{} {sfid}", error.mapping)
    } else {
        format!("{} ({})", error.mapping, error.op)
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
    let mut shows = pane.called.clone().unwrap_or_else(|| pane.filter.clone());
    if pane.faults {
        shows = if shows.is_empty() { "faults only".to_owned() } else { format!("faults only · {shows}") };
    }
    let standing = super::dated(model, pane.read_at, &standing(pane));
    let block = super::frame(model, Pane::Errors, area, &shows, &standing);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    if let Some(text) = what_instead(model) {
        frame.render_widget(Paragraph::new(super::empty(model, inner, &text)), inner);
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
            at == pane.cursor.at && has_bar(model, &pane.items[at]),
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

/// Whether the selected error's line stands out: not while the record of another row has been opened, for a key there
/// acts on that one.
fn has_bar(model: &Model, error: &SyncError) -> bool {
    model.focus == Pane::Errors
        || model.record.as_ref().is_none_or(|pane| error.row().as_ref() == Some(&pane.row))
}

/// How many are marked, where one is, of how many.
fn standing(pane: &ErrorsPane) -> String {
    if !pane.loaded || pane.items.is_empty() {
        return String::new();
    }
    let marked = match (pane.all, pane.marked.len()) {
        (true, _) => "all marked · ".to_owned(),
        (false, 0) => String::new(),
        (false, marked) => format!("{marked} marked · "),
    };
    let all = match pane.count {
        Some(Count { matching, capped }) => {
            // The list may be newer than its count.
            let all = matching.max(pane.cursor.at as i64 + 1);
            format!("{}{}", count(all, 0), if capped { "+" } else { "" })
        }
        None if pane.next.is_some() => "...".to_owned(),
        None => count(pane.items.len() as i64, 0),
    };
    if pane.goes_on_from_here() {
        return format!("{marked}others above: R · {all}");
    }
    format!("{marked}{} of {all}", count(pane.cursor.at as i64 + 1, 0))
}

/// What the pane says when it has no list to show.
fn what_instead(model: &Model) -> Option<String> {
    let pane = &model.errors;
    // What was last known stays in sight while PostgreSQL is out of reach; the line above says that it is.
    if let Some(refusal) = pane.refusal.as_ref().filter(|_| pane.items.is_empty()) {
        return Some(refusal.replace('\n', " · "));
    }
    if !pane.loaded {
        return Some("reading ...".to_owned());
    }
    if !pane.items.is_empty() {
        return None;
    }
    Some(if pane.faults && pane.filter.is_empty() {
        "Nothing needs a person. Esc shows what is tried again or waits.".to_owned()
    } else if pane.filter.is_empty() && loads(model) {
        "No errors yet. The first records are being loaded.".to_owned()
    } else if pane.filter.is_empty() {
        "No errors. Everything that was written is in Salesforce, or on its way (5 shows it).".to_owned()
    } else if pane.next.is_some() {
        "searching ...".to_owned()
    } else {
        "No error matches the filter.\nEsc shows all errors, / changes the filter.".to_owned()
    })
}

/// Whether a mapping's records are still being loaded, or the engine has only begun.
fn loads(model: &Model) -> bool {
    model.overview.as_ref().is_none_or(|overview| {
        overview.connection.state == "connecting"
            || overview.mappings.iter().any(|mapping| mapping.state == "loading")
    })
}

/// The widths of the columns; the least needed go first where room is short, the message comes where there is plenty.
struct Columns {
    time: usize,
    record: usize,
    code: usize,
    fields: usize,
    message: usize,
    tries: bool,
}

impl Columns {
    fn of(width: usize) -> Columns {
        let tries = width >= 70;
        let time = if width >= 60 { 9 } else { 6 };
        // Sign 3, state 9, tries 4.
        let mut room = width.saturating_sub(3 + time + 9 + if tries { 4 } else { 0 });
        let message = if room > 110 { room - 86 } else { 0 };
        room -= message;
        let record = (room * 3 / 10).clamp(14, 24);
        let fields = if width >= 84 { ((room - record) * 3 / 10).clamp(8, 18) } else { 0 };
        Columns { time, record, code: room.saturating_sub(record + fields), fields, message, tries }
    }

    fn head(&self, model: &Model) -> Line<'static> {
        let Sort { by, descending } = model.errors.sort;
        let head = |name: &str, column: SortBy, width: usize| {
            let sign = if descending { "↓" } else { "↑" };
            fit(&if by == column { format!("{name}{sign}") } else { name.to_owned() }, width)
        };
        let seen = if by == SortBy::FirstSeen { ("first", by) } else { ("seen", SortBy::LastSeen) };
        let mut text = format!(
            "   {}{}{}",
            head(seen.0, seen.1, self.time),
            head("record", if by == SortBy::Row { by } else { SortBy::Mapping }, self.record),
            head("code", SortBy::Code, self.code)
        );
        text += &head("field", SortBy::Field, self.fields);
        text += &fit("message", self.message);
        if self.tries {
            text += &head("try", SortBy::Attempts, 4);
        }
        text += &head("state", if by == SortBy::NextRetry { by } else { SortBy::State }, 9);
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
            None => subject(error),
        };
        let marked = model.errors.all || model.errors.marked.contains(&error.id);
        let time = if model.errors.sort.by == SortBy::FirstSeen { error.first_seen } else { error.last_seen };
        let mut spans = vec![
            Span::styled(if marked { "●" } else { " " }, theme.key()),
            Span::styled(format!("{sign} "), style),
            Span::styled(fit(&self.when(model, time), self.time), theme.dim()),
            cell(&record, width, theme.text()),
            Span::raw(" "),
            cell(&error.code, self.code.saturating_sub(1), theme.text()),
            Span::raw(" "),
        ];
        if self.fields > 0 {
            spans.push(cell(&error.fields.join(","), self.fields.saturating_sub(1), theme.strong()));
            spans.push(Span::raw(" "));
        }
        if self.message > 0 {
            spans.push(cell(&error.message, self.message.saturating_sub(1), theme.dim()));
            spans.push(Span::raw(" "));
        }
        if self.tries {
            spans.push(Span::styled(format!("{:>3} ", error.attempts), theme.dim()));
        }
        spans.push(cell(&word, 9, style));
        Line::from(spans)
    }

    /// The time of day; the day, when it is another one.
    fn when(&self, model: &Model, time: DateTime<Utc>) -> String {
        if model.local(time).date_naive() == model.local(model.now).date_naive() {
            model.clock(time)[..self.time - 1].to_owned()
        } else {
            model.local(time).format("%b %d").to_string()
        }
    }
}
