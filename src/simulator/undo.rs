//! What all-or-none takes back: each record as it was before it was written.

use std::sync::Arc;

use super::records::Record;

/// The writes that can still be taken back, the oldest first.
#[derive(Debug, Default)]
pub(super) struct UndoLog(Vec<Written>);

/// One write.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) object: String,
    pub(super) id: String,
    /// `None` where the write created it.
    pub(super) before: Option<Arc<Record>>,
}

impl UndoLog {
    pub(super) fn note(&mut self, object: &str, id: &str, before: Option<Arc<Record>>) {
        self.0.push(Written { object: object.to_owned(), id: id.to_owned(), before });
    }

    /// The ids of the records of an object that were written.
    pub(super) fn ids(&self, object: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |written| written.object == object).map(|written| written.id.as_str())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// What was written since there were so many, the newest first.
    pub(super) fn take_since(&mut self, len: usize) -> impl Iterator<Item = Written> {
        self.0.split_off(len.min(self.0.len())).into_iter().rev()
    }
}
