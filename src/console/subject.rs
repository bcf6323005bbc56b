//! What a key acts on is what one sees. In a list that is the selected line with its record beside it, in the record
//! the record; a key that comes before they agree waits for them, or says why it does nothing.

use crate::domain::names::RowRef;
use crate::domain::sync_error::SyncError;

use super::command::{Command, Id};
use super::effect::Effect;
use super::model::{Model, Pane, Tone};
use super::overlays::Overlay;
use super::panes::errors::Moved;
use super::panes::record::RecordPane;
use super::view;

/// Said when the list went on under a key that waited.
const WENT_ON: &str = "the list went on to another row meanwhile; nothing was done";

/// How what a key acts on stands to what one sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// They are the same.
    Seen,
    /// The operator chose this row, and its record is on its way.
    Coming(RowRef),
    /// The list went on to this row by itself: nobody has looked at it.
    Unseen(RowRef),
    /// The record that shows is of another row, and holds changes that are not saved.
    Kept,
    /// There is no row.
    Nothing,
}

impl Id {
    /// Whether it acts on the one row that is selected or open.
    pub(super) fn acts_on_a_row(self) -> bool {
        matches!(
            self,
            Id::Retry | Id::Fix | Id::Revert | Id::Ignore | Id::Mend | Id::Sides | Id::Remedy | Id::Save
        )
    }
}

impl Model {
    /// How that stands in a pane.
    pub(super) fn subject(&self, pane: Pane) -> Subject {
        if pane == Pane::Record {
            let there = self.record.as_ref().is_some_and(|pane| pane.view.is_some());
            return if there { Subject::Seen } else { Subject::Nothing };
        }
        let Some(row) = self.errors.selected().and_then(SyncError::row) else { return Subject::Nothing };
        let by_hand = self.errors.moved == Moved::ByHand;
        if !view::shows(self, Pane::Record) {
            return if by_hand { Subject::Seen } else { Subject::Unseen(row) };
        }
        match &self.record {
            Some(pane) if pane.row == row && (pane.view.is_some() || pane.refusal.is_some()) => Subject::Seen,
            Some(pane) if pane.row != row && pane.keeps() => Subject::Kept,
            _ if by_hand => Subject::Coming(row),
            _ => Subject::Unseen(row),
        }
    }

    /// Whether the command may run now; else it waits, or it is said why not.
    pub(super) fn is_seen(&mut self, command: &'static Command) -> Result<(), Vec<Effect>> {
        let of_marks = self.focus == Pane::Errors && self.errors.any_marked();
        if !command.id.acts_on_a_row() || of_marks {
            return Ok(());
        }
        let text = match self.subject(self.focus) {
            Subject::Seen if self.is_drawn() => return Ok(()),
            Subject::Nothing => return Ok(()),
            Subject::Coming(row) => return Err(self.await_record(row, command)),
            Subject::Kept => {
                "the open record has changed fields that are not saved: Ctrl-S there saves them, Esc Esc throws them away"
                    .to_owned()
            }
            Subject::Unseen(row) => {
                let (table, row) = (row.table, row.row);
                format!("this is {table} {row} by now, which came here by itself: look at it, then press it again")
            }
            Subject::Seen => "what shows has just changed: look at it, then press it again".to_owned(),
        };
        self.say(Tone::Neutral, text);
        Err(Vec::new())
    }

    // ---- what is on the screen -----------------------------------------------------------------------------------

    /// The row that a key acts on in the pane with the keys.
    fn acted_on(&self) -> Option<RowRef> {
        match self.focus {
            Pane::Record => self.record.as_ref().map(|pane| pane.row.clone()),
            _ => self.errors.selected().and_then(SyncError::row),
        }
    }

    /// Whether the record of that row shows.
    fn record_is_there(&self, row: Option<&RowRef>) -> bool {
        self.record.as_ref().is_some_and(|pane| Some(&pane.row) == row && pane.view.is_some())
    }

    /// A frame was drawn: what it showed is what the next key is about.
    pub fn drawn(&mut self) {
        let row = self.acted_on();
        let there = self.record_is_there(row.as_ref());
        self.on_screen = Some((row, there));
    }

    /// Whether the last frame showed what a key acts on now. Where nothing draws, everything was seen.
    fn is_drawn(&self) -> bool {
        let Some((row, there)) = &self.on_screen else { return true };
        let now = self.acted_on();
        *row == now && (*there || !self.record_is_there(now.as_ref()) || !view::shows(self, Pane::Record))
    }

    // ---- waiting for it ------------------------------------------------------------------------------------------

    fn await_record(&mut self, row: RowRef, command: &'static Command) -> Vec<Effect> {
        self.errors.touched = true;
        // What rests now rests on nothing else.
        (self.resting, self.rests) = (self.resting + 1, false);
        self.show_row(row.clone());
        self.overlays.push(Overlay::Awaiting { row, command });
        self.load_record()
    }

    /// The row and the command that wait for its record.
    fn awaited(&self) -> Option<(RowRef, &'static Command)> {
        match self.overlays.last() {
            Some(Overlay::Awaiting { row, command }) => Some((row.clone(), command)),
            _ => None,
        }
    }

    /// A record came: the command that waited for it runs.
    pub(super) fn awaited_came(&mut self) -> Vec<Effect> {
        let Some((row, command)) = self.awaited() else { return Vec::new() };
        let pane = self.record.as_ref().filter(|pane| pane.row == row);
        let refusal = pane.and_then(|pane| pane.refusal.clone());
        let there = pane.is_some_and(|pane| pane.view.is_some());
        match (refusal, there) {
            (Some(why), _) => self.give_up(&why),
            (None, true) => {
                self.overlays.pop();
                if self.acted_on() == Some(row) {
                    return self.run_seen(command);
                }
                self.say(Tone::Neutral, WENT_ON);
            }
            (None, false) => {}
        }
        Vec::new()
    }

    /// The list came: what waits for a row that is no longer selected is given up.
    pub(super) fn list_went_on(&mut self) {
        if self.awaited().is_some_and(|(row, _)| self.acted_on() != Some(row)) {
            self.give_up(WENT_ON);
        }
    }

    /// What waits for a record is given up.
    pub(super) fn give_up(&mut self, why: &str) {
        if self.awaited().is_some() {
            self.overlays.pop();
            self.say(Tone::Neutral, why);
        }
    }

    // ---- the record follows --------------------------------------------------------------------------------------

    /// The record follows the selection, whatever moved that; one that holds changes stays, and so does all that shows
    /// while PostgreSQL is out of reach.
    pub(super) fn follow(&mut self) -> Option<Effect> {
        let rests =
            self.rests && (self.errors.moved != Moved::ByHand || self.resting_on == self.selected_row());
        (self.focus == self.list && self.overlays.is_empty() && !rests && self.is_parted())
            .then(|| self.rest())
            .flatten()
    }

    /// Whether the record that shows is not that of the selected line.
    fn is_parted(&self) -> bool {
        if self.lost.is_some() || self.record.as_ref().is_some_and(RecordPane::keeps) {
            return false;
        }
        if !view::shows(self, Pane::Record) {
            return self.list == Pane::Errors
                && self.errors.moved != Moved::ByHand
                && !self.errors.items.is_empty();
        }
        match self.selected_row() {
            Some(row) => self.record.as_ref().is_none_or(|pane| pane.row != row),
            None => self.rowless().is_some() && self.record.is_some(),
        }
    }
}
