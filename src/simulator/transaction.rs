//! Who may write, and what others see meanwhile. Whoever writes waits for the turn, and has the org's lock only while records
//! are saved: nobody waits while a request is parsed, a query is evaluated or an answer is written out. A transaction keeps
//! the turn over all its parts; until it ends, readers see what was there before it.

use std::sync::Arc;

use super::org::{Committed, Org, State, Turn};
use super::schema::ObjectDef;
use super::tables::Snapshot;
use super::undo::{UndoLog, Written};

/// Where a part of a transaction begins: what is written later can be taken back.
pub(super) struct Savepoint {
    written: usize,
    /// Whether nothing could be taken back before.
    is_outermost: bool,
    journal: u64,
    events: u64,
}

impl Savepoint {
    pub(super) fn of(state: &mut State) -> Savepoint {
        let is_outermost = state.undo.is_none();
        let written = state.undo.get_or_insert_default().len();
        Savepoint { written, is_outermost, journal: state.journal.end(), events: state.events.mark() }
    }

    /// Lets what was written since stand.
    pub(super) fn release(&self, state: &mut State) {
        if self.is_outermost {
            state.undo = None;
        }
    }

    /// Takes it back.
    pub(super) fn restore(&self, state: &mut State) {
        state.events.restore(self.events);
        state.journal.restore(self.journal);
        let mut undo: UndoLog = state.undo.take().unwrap_or_default();
        for Written { object, id, before } in undo.take_since(self.written) {
            let Some(table) = state.table_mut(&object) else { continue };
            if let Some(now) = table.records.get(&id).filter(|record| !record.deleted).cloned() {
                table.unindex(&now);
            }
            match before {
                Some(before) => {
                    if !before.deleted {
                        table.index(&before);
                    }
                    table.records.put(before);
                }
                // Ids count up: what was created last has the last one.
                None => table.records.take_back_last(),
            }
        }
        if !self.is_outermost {
            state.undo = Some(undo);
        }
    }
}

/// A transaction of several parts. One that is not committed is taken back when it goes out of scope.
pub(super) struct Transaction<'a> {
    org: &'a Org,
    begin: Savepoint,
    is_committed: bool,
    _turn: Turn<'a>,
}

impl<'a> Transaction<'a> {
    pub(super) fn begin(org: &'a Org) -> Transaction<'a> {
        let turn = org.turn();
        let mut state = org.lock();
        let begin = Savepoint::of(&mut state);
        let snapshot = Snapshot::of(&state.tables);
        state.committed = Some(Committed { snapshot, journal: state.journal.end() });
        state.events.hold();
        drop(state);
        Transaction { org, begin, is_committed: false, _turn: turn }
    }

    pub(super) fn commit(mut self) {
        self.is_committed = true;
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        let mut state = self.org.lock();
        if self.is_committed {
            self.begin.release(&mut state);
        } else {
            self.begin.restore(&mut state);
        }
        state.committed = None;
        state.events.release();
    }
}

/// How a request gets at the records: by itself, or as a part of a transaction, which has the turn and sees what it wrote.
#[derive(Clone, Copy)]
pub(super) struct Access<'a> {
    org: &'a Org,
    is_part: bool,
}

impl<'a> Access<'a> {
    pub(super) fn alone(org: &'a Org) -> Access<'a> {
        Access { org, is_part: false }
    }

    pub(super) fn part_of(transaction: &'a Transaction<'_>) -> Access<'a> {
        Access { org: transaction.org, is_part: true }
    }

    /// Whether it sees what an open transaction wrote.
    pub(super) fn is_part(self) -> bool {
        self.is_part
    }

    /// A short look at the org.
    pub(super) fn read<T>(self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.org.lock())
    }

    /// Changes the org; whoever is no part of a transaction waits for its turn before.
    pub(super) fn write<T>(self, work: impl FnOnce(&mut State) -> T) -> T {
        let _turn = (!self.is_part).then(|| self.org.turn());
        work(&mut self.org.lock())
    }

    /// Changes what is no record and belongs to no transaction.
    pub(super) fn note<T>(self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.org.lock())
    }

    /// An object's definition, by its name in any case.
    pub(super) fn def(self, object: &str) -> Option<Arc<ObjectDef>> {
        self.read(|state| state.table(object).map(|table| table.def.clone()))
    }
}
