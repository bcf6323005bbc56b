//! The record that belongs to the selected row, and what is under way for rows: saves, and what sends them.

use crate::console::panes::record::RecordPane;
use crate::domain::names::RowRef;
use crate::domain::records::record::Edit;

/// The selection.
#[derive(Debug, Default)]
pub struct Selection {
    /// The open record.
    pub record: Option<RecordPane>,
    /// Rows of which a save is under way.
    pub saving: Vec<RowRef>,
    /// Rows that something is being done to which sends them, and of which it is not known yet what came of it.
    pub sending: Vec<RowRef>,
    /// The record follows the selected row when that has not changed for a moment.
    pub debounce: Debounce,
    /// The row that a key acts on as the last frame showed it, and whether its record did; nothing where nothing draws.
    pub on_screen: Option<(Option<RowRef>, bool)>,
    /// Whether the selection rested under an overlay, so that the record did not follow.
    pub unfollowed: bool,
}

/// The moves of the selection, of which only the last one counts.
#[derive(Debug, Default)]
pub struct Debounce {
    /// Counts the moves.
    pub number: u64,
    /// Whether the last of them is waited for to have rested.
    pub waits: bool,
    /// The row that was selected then.
    pub row: Option<RowRef>,
}

impl Selection {
    /// The open row.
    pub fn row(&self) -> Option<RowRef> {
        self.record.as_ref().map(|pane| pane.row.clone())
    }

    /// The open record, where it is that of a row.
    pub fn record_of(&mut self, row: &RowRef) -> Option<&mut RecordPane> {
        self.record.as_mut().filter(|pane| pane.row == *row)
    }

    /// Shows a row's record where it is; false when another one holds changes that are not saved.
    pub fn show(&mut self, row: RowRef) -> bool {
        match &self.record {
            Some(pane) if pane.row == row => true,
            Some(pane) if pane.keeps() => false,
            _ => {
                self.record = Some(RecordPane::open(row));
                true
            }
        }
    }

    /// An edit together with the changes that were kept of its row, to be saved; nothing while a save of the row is under
    /// way: one at a time, so that a refusal says whose changes it is about. The edit is kept then.
    pub fn save(&mut self, mut edit: Edit) -> Option<Edit> {
        let under_way = self.saving.contains(&edit.row);
        if let Some(pane) = self.record_of(&edit.row) {
            if under_way {
                edit.fields.into_iter().for_each(|field| pane.keep(field));
                return None;
            }
            edit.fields = pane.save(edit.fields);
        }
        if under_way {
            return None;
        }
        self.saving.push(edit.row.clone());
        Some(edit)
    }

    /// A save came to its end; false where it was refused, and its changes are kept.
    pub fn saved(&mut self, row: &RowRef, done: bool) {
        self.saving.retain(|other| other != row);
        if let Some(pane) = self.record_of(row) {
            pane.saved(done);
        }
    }

    /// Whether a row is on its way to Salesforce, or something is just being done to it that sends it: what is known to be
    /// wrong with it is no longer what is.
    pub fn is_being_sent(&self, row: &RowRef) -> bool {
        let open = self.record.as_ref().filter(|pane| pane.row == *row);
        self.sending.contains(row) || open.is_some_and(RecordPane::is_being_sent)
    }

    /// It is known what came of something that was done to a row and sends it.
    pub fn came_of(&mut self, row: &RowRef) {
        if let Some(at) = self.sending.iter().position(|other| other == row) {
            self.sending.remove(at);
        }
    }
}
