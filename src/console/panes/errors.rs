//! Errors: the list, newest first, a window onto PostgreSQL page by page.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};

use crate::client::api::{Count, ErrorPage, ErrorQuery};
use crate::client::operations::execute::Targets;
use crate::console::effect::Effect;
use crate::console::widgets::cells::{SIDEWAYS, columns, count};
use crate::console::widgets::cursor::Cursor;
use crate::domain::errors::filter::{Filter, Term};
use crate::domain::errors::sort::{PageKey, Sort};
use crate::domain::errors::summary::Summary;
use crate::domain::errors::sync_error::SyncError;

mod blocked;
mod end;
mod marks;
mod sent;
mod trail;
mod typing;
mod view;
mod words;

pub use marks::Marks;
pub use trail::FilterTrail;
pub use view::{banner_height, cause_left, draw, subject};

/// The filter of what needs a person.
pub const PERSON: &str = "needs:person";
/// Errors asked for at once.
pub const PAGE: usize = 100;
/// Errors held at most; whoever wants to see others filters or sorts.
const MOST: usize = 20_000;
/// Errors of the list's beginning that are read again at most.
const FAR: usize = 10 * PAGE;

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
    pub next: Option<PageKey>,
    /// Where one is. The selected error is followed by its number, wherever new ones put it.
    pub cursor: Cursor,
    /// What brought it there.
    pub moved: Moved,
    /// When the list was read last.
    pub read_at: Option<DateTime<Utc>>,
    /// The filter as typed.
    pub filter: String,
    /// What that is called, where it was not typed: a cause in words.
    pub filter_label: Option<String>,
    /// Grows with every change of the filter; pages of an older list are dropped.
    pub generation: u64,
    /// Whether the first page came.
    pub loaded: bool,
    /// Why the list cannot be shown.
    pub refusal: Option<String>,
    /// Whether a further page is on its way.
    pub more: bool,
    /// Where the list begins, when so many came at once that it goes on from where one looks.
    begins: Option<PageKey>,
    /// How far above the first that is known nothing was found, where the look went on in vain for as long as one may take.
    above: Option<PageKey>,
    /// Whether the beginning is asked for as far as a page may go, to find what is selected.
    far: bool,
    /// What is marked.
    pub marks: Marks,
    /// Whether the operation under way is about what is marked.
    pub acted: bool,
    /// Whether the operator moved the cursor; until then it stays on the newest error.
    pub touched: bool,
    /// The order.
    pub sort: Sort,
    /// Whether what needs nobody is listed, too.
    pub everything: bool,
    /// Conditions of mappings and of the connection that stand, the newest first.
    pub standing: Vec<SyncError>,
    /// Whether there are more of them than were asked for.
    pub more_standing: bool,
    /// The filters that one went through.
    pub trail: FilterTrail,
    /// The error on which the last console stood.
    pub restore_id: Option<i64>,
    /// What errors' rows say of them, by the errors' numbers.
    words: HashMap<i64, Summary>,
    words_are: words::Words,
    /// Lines that were sent, until one has gone on.
    sent: Vec<sent::SentLine>,
    /// Errors about which something is being done, as they were when that began.
    begun: Vec<SyncError>,
    /// How many errors that need a person have a cause: that of the record that shows.
    pub cause: Option<(String, Count)>,
    /// How many came in above the lines that show.
    unseen: usize,
    /// The list before a filter was typed, while one is.
    before: Option<typing::Before>,
    /// Lines below which the rows show that wait for theirs.
    unfolded: blocked::Unfolded,
    /// Columns by which values are scrolled to the left.
    scrolled: usize,
}

impl ErrorsPane {
    /// The selected error.
    pub fn selected(&self) -> Option<&SyncError> {
        self.items.get(self.cursor.at)
    }

    /// The line of the list itself that one is on, or below.
    fn listed(&self) -> Option<&SyncError> {
        let upto = &self.items[..(self.cursor.at + 1).min(self.items.len())];
        upto.iter().rev().find(|error| self.depth(error) == 0)
    }

    /// Whether something is marked.
    pub fn any_marked(&self) -> bool {
        self.marks.any()
    }

    /// Whether one step back lists something else.
    pub fn is_narrowed(&self) -> bool {
        !self.any_marked() && (self.everything || !self.filter.is_empty())
    }

    /// Which errors an operation is about: what is marked, else the selected one where it is of a row; and how many these
    /// are, in words.
    pub fn chosen(&self) -> Option<(Targets, String)> {
        if self.marks.all {
            return Some((Targets::Filter(self.asked_filter()), format!("all {}", self.how_many())));
        }
        if !self.marks.ids.is_empty() {
            let ids: Vec<i64> = self.marks.ids.iter().copied().collect();
            let text = if ids.len() == 1 { "1 error".to_owned() } else { format!("{} errors", ids.len()) };
            return Some((Targets::Ids(ids), text));
        }
        let error = self.selected()?;
        let row = error.row_id?;
        Some((Targets::Ids(vec![error.id]), format!("{} {row}", error.mapping)))
    }

    /// How many errors the list has, in words.
    pub fn how_many(&self) -> String {
        match self.count {
            Some(Count { matching, capped: true }) => format!("more than {} errors", count(matching, 0)),
            Some(Count { matching, .. }) => format!("{} errors", count(matching, 0)),
            None => "errors that match".to_owned(),
        }
    }

    /// How many lines the list has, as far as that is known, and how many of them lie before the first that is known.
    fn length(&self) -> (usize, usize) {
        let counted = self.count.and_then(|count| usize::try_from(count.matching).ok());
        let all = counted.unwrap_or(0).max(self.items.len());
        // From its end it is known backwards.
        let to_the_end = self.goes_on_from_here() && self.next.is_none();
        (all, if to_the_end { all - self.items.len() } else { 0 })
    }

    /// Marks the selected error, or takes the mark away. Where all were marked, none is any more, and it is false.
    pub fn mark(&mut self) -> bool {
        if std::mem::take(&mut self.marks.all) {
            return false;
        }
        if let Some(id) = self.selected().map(|error| error.id)
            && !self.marks.ids.remove(&id)
        {
            self.marks.ids.insert(id);
        }
        true
    }

    /// Scrolls values sideways, no further than the longest that is known needs.
    pub fn scroll(&mut self, right: bool) {
        let longest = self.items.iter().filter_map(|error| self.words_of(error));
        let length = |value: &Option<String>| value.as_deref().map_or(0, columns);
        let most = longest.map(|words| length(&words.value).max(length(&words.becomes))).max().unwrap_or(0);
        self.scrolled =
            self.scrolled.saturating_add_signed(if right { SIDEWAYS } else { -SIDEWAYS }).min(most);
    }

    /// Marks all that the filter matches, or takes all marks away.
    pub fn mark_all(&mut self) {
        self.marks.all = !self.marks.all && self.marks.ids.is_empty();
        self.marks.ids.clear();
    }

    /// Takes all marks away.
    pub fn unmark(&mut self) {
        self.marks.all = false;
        self.marks.ids.clear();
    }

    /// The filter as it is asked for: with what needs nobody left out, where that is wanted.
    pub fn asked_filter(&self) -> String {
        self.asked(&self.filter)
    }

    /// What is asked for where this was typed.
    pub fn asked(&self, typed: &str) -> String {
        // Whoever names a state, or an operation, means just that.
        let named = Filter::parse(typed, DateTime::UNIX_EPOCH).is_ok_and(|filter| {
            let states =
                |of: &Term| matches!(of, Term::State(_) | Term::Person | Term::Standing | Term::Operation(_));
            filter.terms.iter().any(|asked| states(&asked.term))
        });
        match (self.everything || named, typed) {
            (true, filter) => filter.to_owned(),
            // Before what was typed, where a quote may stand open.
            (false, filter) => format!("{PERSON} {filter}").trim().to_owned(),
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
            let marks = std::mem::take(&mut self.marks);
            self.begin();
            self.marks = marks;
        }
    }

    /// Asks for the next page when the end of what is known comes near.
    pub fn want_more(&mut self) -> Option<Effect> {
        if self.cursor.at + PAGE / 2 >= self.items.len() { self.want_page() } else { None }
    }

    /// Asks for the next page, where there is one.
    pub fn want_page(&mut self) -> Option<Effect> {
        if self.more || self.items.len() >= MOST {
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
        let selected = self.listed().filter(|_| self.touched && page.next.is_some());
        let lost = selected.zip(page.items.last()).is_some_and(|(selected, last)| {
            let known = self.items.iter().any(|error| error.id == last.id);
            !known && PageKey::is_behind(self.sort, selected, last)
        });
        if lost && self.far {
            self.begins = self.items.first().map(|first| PageKey::before(self.sort, first));
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
        self.without_blocked();
        let known: HashSet<i64> = self.items.iter().map(|error| error.id).collect();
        self.note_listed(&page, append);
        self.refusal = None;
        self.loaded = true;
        if append {
            self.more = false;
            self.items.extend(page.items.into_iter().filter(|error| !known.contains(&error.id)));
            self.next = page.next;
        } else {
            // What was read behind it stays, so that nobody who went far down is thrown back.
            let last = page.items.last().map(|error| error.id);
            let known_last = self.items.iter().position(|error| Some(error.id) == last);
            let upto = known_last.map_or(page.items.len(), |last| last + 1).min(self.items.len());
            let mut behind = self.items.split_off(upto);
            let fresh: HashSet<i64> = page.items.iter().map(|error| error.id).collect();
            behind.retain(|error| page.next.is_some() && !fresh.contains(&error.id));
            if behind.is_empty() {
                self.next = page.next;
            }
            self.items = page.items;
            self.items.append(&mut behind);
        }
        self.keep_lines(selected);
        self.with_blocked();
        let there = selected.and_then(|id| self.items.iter().position(|error| error.id == id));
        self.cursor.at = there.unwrap_or(self.cursor.at).min(self.items.len().saturating_sub(1));
        // The line stays where the eye is, also when others come in above it.
        self.cursor.top = self.cursor.at.saturating_sub(offset);
        if !self.touched {
            self.cursor = Cursor::default();
        }
        if !append {
            let above = self.items.iter().take(self.cursor.top);
            let came = above.filter(|error| !known.contains(&error.id)).count();
            // Some of those that came before are gone again.
            self.unseen = (self.unseen + came).min(self.cursor.top);
        }
        if self.selected().map(|error| error.id) != selected {
            self.moved = if selected.is_some() { Moved::ByItself } else { Moved::WithTheList };
        }
    }

    /// What stands above the lines that show was seen, when nothing does.
    pub fn look_above(&mut self) {
        if self.cursor.top == 0 {
            self.unseen = 0;
        }
    }

    /// Goes to a filter; from here the way back leads to the one before.
    pub fn visit(&mut self, filter: &str) {
        let filter = filter.trim().to_owned();
        if filter == self.filter {
            return;
        }
        self.trail.leave(std::mem::replace(&mut self.filter, filter));
    }

    /// To the filter before, or on to the one after it; false when there is none.
    pub fn travel(&mut self, newer: bool) -> bool {
        let Some(filter) = self.trail.step(&self.filter, newer) else { return false };
        self.filter = filter;
        true
    }

    /// Goes to the error on which the last console stood, when it is among those that came.
    pub fn restore(&mut self) {
        if let Some(at) =
            self.restore_id.take().and_then(|id| self.items.iter().position(|error| error.id == id))
        {
            self.cursor = Cursor { at, top: at.saturating_sub(5) };
            self.touched = true;
        }
    }

    /// Begins the list anew.
    pub fn begin(&mut self) {
        self.generation += 1;
        self.unfolded = blocked::Unfolded::default();
        self.filter_label = None;
        self.items.clear();
        (self.unseen, self.scrolled) = (0, 0);
        self.sent.clear();
        self.unmark();
        self.cursor = Cursor::default();
        self.next = None;
        self.count = None;
        (self.loaded, self.more, self.touched) = (false, false, false);
        (self.begins, self.above, self.far) = (None, None, false);
    }

    /// Asks how many there are.
    pub fn count(&self) -> Effect {
        Effect::CountErrors { generation: self.generation, filter: self.asked_filter() }
    }
}
