//! What a key acts on is what one sees. In a list that is the selected line with its record beside it, in the record
//! the record; a key that comes before they agree waits for them, or says why it does nothing.

use crate::domain::errors::sync_error::SyncError;
use crate::domain::names::RowRef;

use super::App;
use super::layout;
use crate::console::command::{Command, Id};
use crate::console::context::Tone;
use crate::console::effect::Effect;
use crate::console::overlays::Overlay;
use crate::console::pane::Pane;
use crate::console::panes::errors::Moved;
use crate::console::panes::record::RecordPane;

/// Said when the list went on under a key that waited.
const WENT_ON: &str = "the list went on to another row meanwhile; nothing was done";

/// How what a key acts on stands to what one sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visibility {
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
            Id::Retry
                | Id::Fix
                | Id::Revert
                | Id::Ignore
                | Id::QuickFix
                | Id::Numbered
                | Id::Conflict
                | Id::Remedy
                | Id::Save
        )
    }
}

impl App {
    /// How that stands in a pane.
    pub(super) fn subject(&self, pane: Pane) -> Visibility {
        if pane == Pane::Record {
            let there = self.selection.record.as_ref().is_some_and(|pane| pane.view.is_some());
            return if there { Visibility::Seen } else { Visibility::Nothing };
        }
        let Some(row) = self.errors.selected().and_then(SyncError::row) else { return Visibility::Nothing };
        let by_hand = self.errors.moved == Moved::ByHand;
        if !layout::shows(&self.ctx, Pane::Record) {
            return if by_hand { Visibility::Seen } else { Visibility::Unseen(row) };
        }
        match &self.selection.record {
            Some(pane) if pane.row == row && (pane.view.is_some() || pane.refusal.is_some()) => {
                Visibility::Seen
            }
            Some(pane) if pane.row != row && pane.keeps() => Visibility::Kept,
            _ if by_hand => Visibility::Coming(row),
            _ => Visibility::Unseen(row),
        }
    }

    /// Whether the command may run now; else it waits, or it is said why not.
    pub(super) fn is_seen(&mut self, command: &'static Command) -> Result<(), Vec<Effect>> {
        let of_marks = self.ctx.focus == Pane::Errors && self.errors.any_marked();
        let in_list = self.ctx.focus == Pane::Errors;
        let acts = command.id.acts_on_a_row() || (command.id == Id::Edit && in_list);
        let elsewhere = self.ctx.focus == Pane::Mappings || self.numbered_remedies().is_none();
        let is_of_a_pane = command.id == Id::Numbered && elsewhere;
        if !acts || of_marks || is_of_a_pane {
            return Ok(());
        }
        let reads = in_list && matches!(command.id, Id::Edit | Id::QuickFix);
        let text = match self.subject(self.ctx.focus) {
            // It is not enough to see the line: what is done is in the record.
            Visibility::Seen if reads && !self.record_is_there(self.acted_on().as_ref()) => {
                match self.acted_on() {
                    Some(row) if !self.selection.record.as_ref().is_some_and(|pane| pane.row != row && pane.keeps()) => {
                        return Err(self.await_record(row, command));
                    }
                    _ => super::movement::NOT_SAVED.to_owned(),
                }
            }
            Visibility::Seen if self.is_drawn() => return Ok(()),
            Visibility::Nothing => return Ok(()),
            Visibility::Coming(row) => return Err(self.await_record(row, command)),
            Visibility::Kept => {
                "the open record has changed fields that are not saved: Ctrl-S there saves them, Esc Esc throws them away"
                    .to_owned()
            }
            Visibility::Unseen(row) => {
                let name = self.ctx.row_name(&row);
                format!("this is {name} by now, which came here by itself: look at it, then press it again")
            }
            Visibility::Seen => "what shows has just changed: look at it, then press it again".to_owned(),
        };
        self.say(Tone::Neutral, text);
        Err(Vec::new())
    }

    // ---- what is on the screen -----------------------------------------------------------------------------------

    /// The row that a key acts on in the pane with the keys.
    fn acted_on(&self) -> Option<RowRef> {
        match self.ctx.focus {
            Pane::Record => self.selection.row(),
            _ => self.errors.selected().and_then(SyncError::row),
        }
    }

    /// Whether the record of that row shows.
    fn record_is_there(&self, row: Option<&RowRef>) -> bool {
        self.selection.record.as_ref().is_some_and(|pane| Some(&pane.row) == row && pane.view.is_some())
    }

    /// A frame was drawn: what it showed is what the next key is about.
    pub fn drawn(&mut self) {
        let row = self.acted_on();
        let there = self.record_is_there(row.as_ref());
        self.selection.on_screen = Some((row, there));
    }

    /// Whether the last frame showed what a key acts on now. Where nothing draws, everything was seen.
    fn is_drawn(&self) -> bool {
        let Some((row, there)) = &self.selection.on_screen else { return true };
        let now = self.acted_on();
        *row == now
            && (*there || !self.record_is_there(now.as_ref()) || !layout::shows(&self.ctx, Pane::Record))
    }

    // ---- waiting for it ------------------------------------------------------------------------------------------

    fn await_record(&mut self, row: RowRef, command: &'static Command) -> Vec<Effect> {
        self.errors.touched = true;
        // What rests now rests on nothing else.
        (self.selection.debounce.number, self.selection.debounce.waits) =
            (self.selection.debounce.number + 1, false);
        self.selection.show(row.clone());
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
        let pane = self.selection.record.as_ref().filter(|pane| pane.row == row);
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
        let rests = self.selection.debounce.waits
            && (self.errors.moved != Moved::ByHand || self.selection.debounce.row == self.selected_row());
        (self.ctx.focus == self.ctx.list && self.overlays.is_empty() && !rests && self.is_parted())
            .then(|| self.debounce())
            .flatten()
    }

    /// Whether the record that shows is not that of the selected line.
    fn is_parted(&self) -> bool {
        if self.ctx.database.lost.is_some() || self.selection.record.as_ref().is_some_and(RecordPane::keeps) {
            return false;
        }
        if !layout::shows(&self.ctx, Pane::Record) {
            return self.ctx.list == Pane::Errors
                && self.errors.moved != Moved::ByHand
                && !self.errors.items.is_empty();
        }
        match self.selected_row() {
            Some(row) => self.selection.record.as_ref().is_none_or(|pane| pane.row != row),
            None => self.rowless().is_some() && self.selection.record.is_some(),
        }
    }
}
