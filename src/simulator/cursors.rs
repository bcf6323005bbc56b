//! Queries that have more pages.

use std::collections::VecDeque;
use std::sync::Arc;

use super::ids::make_id;
use super::soql::Rows;

/// How many queries may have more pages at a time; the oldest makes room.
const OPEN: usize = 1_000;

/// The open queries, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Cursors {
    open: VecDeque<(String, Arc<Rows>)>,
    opened: u64,
}

impl Cursors {
    /// Keeps a query; its locator, without the position.
    pub(super) fn open(&mut self, rows: Arc<Rows>) -> String {
        self.opened += 1;
        let id = make_id("01g", self.opened);
        self.open.push_back((id.clone(), rows));
        if self.open.len() > OPEN {
            self.open.pop_front();
        }
        id
    }

    pub(super) fn get(&self, id: &str) -> Option<Arc<Rows>> {
        self.open.iter().find(|(open, _)| open == id).map(|(_, rows)| rows.clone())
    }

    pub(super) fn close(&mut self, id: &str) {
        self.open.retain(|(open, _)| open != id);
    }
}
