//! What all-or-none takes back. The journal tells which records were written since; the records themselves are kept as
//! they were, which costs nothing.

use super::org::State;
use super::records::Records;

/// The org as it was.
pub(super) struct Mark {
    records: Vec<Records>,
    journal: usize,
    events: u64,
}

impl Mark {
    pub(super) fn of(state: &State) -> Mark {
        let records = state.tables.iter().map(|table| table.records.clone()).collect();
        Mark { records, journal: state.journal.len(), events: state.events.mark() }
    }

    /// Takes everything back that was written since.
    pub(super) fn restore(self, state: &mut State) {
        state.events.restore(self.events);
        let written: Vec<(String, String)> =
            state.journal.drain(self.journal..).map(|entry| (entry.object, entry.id)).collect();
        for (object, id) in &written {
            if let Some(table) = state.table_mut(object)
                && let Some(record) = table.records.get(id).cloned()
            {
                table.unindex(&record);
            }
        }
        for (table, records) in state.tables.iter_mut().zip(self.records) {
            table.records = records;
        }
        for (object, id) in &written {
            if let Some(table) = state.table_mut(object)
                && let Some(record) = table.records.get(id).cloned().filter(|record| !record.deleted)
            {
                table.index(&record);
            }
        }
    }
}
