//! The list while a filter is typed: it shows what would match, and is as it was when nothing was typed after all.

use super::sent::SentLine;
use super::{ErrorsPane, Marks, Moved};
use crate::client::api::Count;
use crate::console::widgets::cursor::Cursor;
use crate::domain::errors::sort::PageKey;
use crate::domain::errors::sync_error::SyncError;

/// The list before a filter was typed.
#[derive(Debug, Default)]
pub(super) struct Before {
    filter: String,
    label: Option<String>,
    marks: Marks,
    items: Vec<SyncError>,
    sent: Vec<SentLine>,
    begins: Option<PageKey>,
    next: Option<PageKey>,
    count: Option<Count>,
    cursor: Cursor,
    moved: Moved,
    touched: bool,
    unseen: usize,
}

impl ErrorsPane {
    /// Whether a filter that is being typed is in force.
    pub fn is_typed(&self) -> bool {
        self.before.is_some()
    }

    /// The filter that stays when nothing is typed after all.
    pub fn filter_in_force(&self) -> &str {
        self.before.as_ref().map_or(&self.filter, |before| &before.filter)
    }

    /// Another filter is typed; false where it is the one in force.
    pub fn type_filter(&mut self, text: &str) -> bool {
        if text == self.filter {
            return false;
        }
        if self.before.is_none() {
            self.fold_all();
            self.before = Some(Before {
                filter: self.filter.clone(),
                label: self.filter_label.take(),
                marks: std::mem::take(&mut self.marks),
                items: std::mem::take(&mut self.items),
                sent: std::mem::take(&mut self.sent),
                begins: self.begins.take(),
                next: self.next.take(),
                count: self.count,
                cursor: self.cursor,
                moved: self.moved,
                touched: self.touched,
                unseen: self.unseen,
            });
        }
        text.clone_into(&mut self.filter);
        self.begin();
        true
    }

    /// The list is as it was before; false where it is so already.
    pub fn untype_filter(&mut self) -> bool {
        let Some(before) = self.before.take() else { return false };
        self.filter = before.filter;
        self.begin();
        self.filter_label = before.label;
        self.marks = before.marks;
        // What showed before shows until it is read again, and one stands where one stood.
        (self.items, self.sent, self.count) = (before.items, before.sent, before.count);
        (self.begins, self.next) = (before.begins, before.next);
        (self.cursor, self.moved, self.touched) = (before.cursor, before.moved, before.touched);
        (self.unseen, self.loaded) = (before.unseen, true);
        true
    }

    /// What was typed stays in force; false where another one was listed last. The way back leads to the one before.
    pub fn keep_typed(&mut self, text: &str) -> bool {
        let Some(before) = self.before.take() else { return false };
        let listed = std::mem::replace(&mut self.filter, before.filter);
        self.visit(text);
        listed == self.filter
    }
}
