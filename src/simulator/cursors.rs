//! Queries that have more pages: they are there for the session that asked, and end with it.

use std::collections::VecDeque;
use std::sync::Arc;

use super::ids::make_id;
use super::soql::Rows;

/// How many queries may have more pages at a time, and how many records they may have found together; the oldest make room.
const OPEN: usize = 1_000;
const FOUND: usize = 10_000_000;

/// The open queries, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Cursors {
    open: VecDeque<Cursor>,
    opened: u64,
}

#[derive(Debug)]
struct Cursor {
    id: String,
    session: String,
    rows: Arc<Rows>,
}

impl Cursors {
    /// Keeps a query; its locator, without the position.
    pub(super) fn open(&mut self, session: &str, rows: Arc<Rows>) -> String {
        self.opened += 1;
        let id = make_id("01g", self.opened);
        self.open.push_back(Cursor { id: id.clone(), session: session.to_owned(), rows });
        // The one that is opened now stays, whatever it found.
        while self.open.len() > 1 && (self.open.len() > OPEN || self.found() > FOUND) {
            self.open.pop_front();
        }
        id
    }

    fn found(&self) -> usize {
        self.open.iter().map(|cursor| cursor.rows.len()).sum()
    }

    pub(super) fn get(&self, session: &str, id: &str) -> Option<Arc<Rows>> {
        let is_it = |cursor: &&Cursor| cursor.id == id && cursor.session == session;
        self.open.iter().find(is_it).map(|cursor| cursor.rows.clone())
    }

    /// Closes those of a session.
    pub(super) fn end(&mut self, session: &str) {
        self.open.retain(|cursor| cursor.session != session);
    }

    pub(super) fn end_all(&mut self) {
        self.open.clear();
    }

    pub(super) fn close(&mut self, id: &str) {
        self.open.retain(|cursor| cursor.id != id);
    }
}
