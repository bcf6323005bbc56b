//! The end of a long list, and the way up from there: pages of the order turned round.

use super::{ErrorsPane, MOST, PAGE};
use crate::client::api::{ErrorPage, ErrorQuery};
use crate::console::effect::Effect;
use crate::console::widgets::cursor::Cursor;
use crate::domain::errors::sort::{PageKey, Sort};

impl ErrorsPane {
    /// Asks for the end of the list, where that is not known.
    pub fn want_end(&mut self) -> Option<Effect> {
        self.next.as_ref()?;
        Some(self.backwards(None))
    }

    /// Asks for what stands before the first that is known, when that comes near.
    pub fn want_before(&mut self) -> Option<Effect> {
        if self.cursor.at < PAGE / 2 { self.want_page_before() } else { None }
    }

    /// Asks for what stands before the first that is known, where there is more of it.
    pub fn want_page_before(&mut self) -> Option<Effect> {
        let wanted = self.goes_on_from_here() && !self.more && self.items.len() < MOST;
        let first = self.items.first().filter(|_| wanted)?;
        let after = self.above.clone().unwrap_or_else(|| PageKey::of(self.sort.by, first));
        self.more = true;
        Some(self.backwards(Some(after)))
    }

    fn backwards(&self, after: Option<PageKey>) -> Effect {
        let sort = Sort { descending: !self.sort.descending, ..self.sort };
        let query = ErrorQuery { filter: self.asked_filter(), sort, limit: PAGE, after };
        Effect::LoadBackwards { generation: self.generation, query }
    }

    /// Takes the end of the list in: one is at the last of it. Pages that are under way are of the list before. False where it
    /// was not found in time; the list stays then.
    pub fn take_end(&mut self, page: ErrorPage) -> bool {
        if page.items.is_empty() && !page.done {
            return false;
        }
        self.fold_all();
        self.generation += 1;
        let mut items = page.items;
        items.reverse();
        self.begins = items.first().filter(|_| !page.done).map(|first| PageKey::before(self.sort, first));
        (self.next, self.above, self.more, self.far) = (None, None, false, false);
        self.items = items;
        let at = self.items.len().saturating_sub(1);
        self.cursor = Cursor { at, top: at };
        self.touched = true;
        true
    }

    /// Takes what stands before in; one stays where one is. A list that is under way begins behind it, and is asked for
    /// anew. A page may be empty though there is more: the next key upwards goes on from there.
    pub fn take_before(&mut self, page: ErrorPage) {
        self.more = false;
        if page.items.is_empty() && !page.done {
            self.above = page.next;
            return;
        }
        self.fold_all();
        self.generation += 1;
        self.above = None;
        let mut items = page.items;
        items.retain(|error| self.items.iter().all(|known| known.id != error.id));
        items.reverse();
        let came = items.len();
        items.append(&mut self.items);
        self.items = items;
        self.begins =
            self.items.first().filter(|_| !page.done).map(|first| PageKey::before(self.sort, first));
        (self.cursor.at, self.cursor.top) = (self.cursor.at + came, self.cursor.top + came);
    }
}
