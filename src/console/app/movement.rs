//! How one moves: from pane to pane, through lists, into a record and back. The record follows the selection.

use super::App;
use super::layout;
use crate::console::command::Id;
use crate::console::context::Tone;
use crate::console::effect::Effect;
use crate::console::overlays::Overlay;
use crate::console::pane::Pane;
use crate::console::panes::errors::{Moved, banner_height};
use crate::console::panes::record::{RecordPane, RecordTab};
use crate::console::widgets::cursor::Step;
use crate::domain::names::RowRef;

/// Said when an open record's changes would be lost.
pub(super) const NOT_SAVED: &str =
    "changed fields are not saved: Ctrl-S saves and sends them, Esc Esc throws them away";

impl App {
    pub(super) fn page(&self) -> isize {
        isize::try_from(layout::page(&self.ctx, self.ctx.focus)).unwrap_or(10)
    }

    /// The next pane, or the one before. The record is left out while it has nothing to tell, and the causes where the screen
    /// has no room for them.
    pub(super) fn neighbour(&self, forward: bool) -> Pane {
        let mut round = vec![Pane::Mappings, self.ctx.list, Pane::Record, Pane::Log];
        if self.has_groups() {
            round.insert(1, Pane::Groups);
        }
        let by = if forward { 1 } else { round.len() - 1 };
        let mut at = round.iter().position(|pane| *pane == self.ctx.focus).unwrap_or(0);
        loop {
            at = (at + by) % round.len();
            if round[at] != Pane::Record || self.selection.record.is_some() || self.rowless().is_some() {
                return round[at];
            }
        }
    }

    /// Gives a pane the keys.
    pub(in crate::console) fn go(&mut self, pane: Pane) -> Vec<Effect> {
        if pane == Pane::Record {
            return self.enter_record();
        }
        let pane = if pane == Pane::Groups && !self.has_groups() { Pane::Errors } else { pane };
        self.ctx.focus = pane;
        if matches!(pane, Pane::Errors | Pane::Pending) {
            self.ctx.list = pane;
        }
        self.fit_record();
        let list = if pane == Pane::Pending { self.load_pending() } else { Vec::new() };
        let rest = if pane == self.ctx.list { self.debounce() } else { None };
        list.into_iter().chain(rest).collect()
    }

    /// Gives the open record the keys: now Salesforce is asked what it has.
    pub(super) fn enter_record(&mut self) -> Vec<Effect> {
        if self.ctx.focus != Pane::Record {
            self.navigation.record_stack.clear();
            self.navigation.heroku_list = None;
            (self.navigation.came_from, self.navigation.came_zoomed) = (self.ctx.focus, self.ctx.zoom);
        }
        self.ctx.focus = Pane::Record;
        self.fit_record();
        // Whoever goes there looks at it.
        self.errors.moved = Moved::ByHand;
        self.selection
            .record
            .as_mut()
            .and_then(|pane| pane.ask())
            .map(Effect::FetchValues)
            .into_iter()
            .collect()
    }

    /// Opens a row's record and goes there.
    pub(super) fn open_row(&mut self, row: RowRef) -> Vec<Effect> {
        let from = self
            .selection
            .record
            .as_ref()
            .filter(|_| self.ctx.focus == Pane::Record)
            .map(|pane| pane.row.clone());
        let other = from.filter(|from| *from != row);
        if !self.selection.show(row) {
            self.ctx.focus = Pane::Record;
            self.say(Tone::Neutral, NOT_SAVED);
            return Vec::new();
        }
        self.navigation.record_stack.extend(other);
        let mut effects = self.load_record();
        effects.extend(self.enter_record());
        effects
    }

    /// Moves the selection of the pane with the keys.
    pub(super) fn step(&mut self, step: Step) -> Vec<Effect> {
        let effects = self.moved(step);
        self.settle(self.ctx.focus);
        effects
    }

    /// Scrolls the list no further than the selected line needs.
    pub(super) fn settle(&mut self, pane: Pane) {
        let height = layout::page(&self.ctx, pane) + 1;
        match pane {
            Pane::Mappings => {
                let len = self.ctx.mappings().len();
                self.mappings.cursor.settle(len, height);
            }
            Pane::Errors => {
                // The head of the columns is one of the lines that it is measured by.
                let above =
                    banner_height(&self.ctx, &self.errors, u16::try_from(height + 1).unwrap_or(u16::MAX));
                let height = height.saturating_sub(usize::from(above));
                self.errors.cursor.settle(self.errors.items.len(), height);
                self.errors.look_above();
            }
            Pane::Pending => self.pending.cursor.settle(self.pending.items.len(), height),
            Pane::Groups => {
                let height = height + 1;
                let height = (height / self.groups.lines_each(height)).max(1);
                self.groups.cursor.settle(self.groups.items.len(), height);
            }
            Pane::Record | Pane::Log => {}
        }
    }

    /// Moves, without scrolling.
    pub(super) fn moved(&mut self, step: Step) -> Vec<Effect> {
        match self.ctx.focus {
            Pane::Mappings => {
                let len = self.ctx.mappings().len();
                self.mappings.cursor.step(step, len);
                Vec::new()
            }
            Pane::Errors => {
                self.errors.touched = true;
                self.errors.moved = Moved::ByHand;
                self.errors.cursor.step(step, self.errors.items.len());
                let more = self.errors.want_more().or_else(|| self.errors.want_before());
                more.into_iter().chain(self.debounce()).collect()
            }
            Pane::Pending => {
                let more = self.pending.step(step);
                more.into_iter().chain(self.debounce()).collect()
            }
            Pane::Groups => {
                self.groups.cursor.step(step, self.groups.items.len());
                Vec::new()
            }
            Pane::Record => {
                if let Some(pane) = &mut self.selection.record {
                    pane.step(step);
                }
                Vec::new()
            }
            Pane::Log => self.log.step(step).into_iter().collect(),
        }
    }

    /// The selection moved: once it rests, the record follows, where it shows.
    pub(super) fn debounce(&mut self) -> Option<Effect> {
        self.selection.debounce.number += 1;
        self.selection.debounce.row = self.selected_row();
        let effect = match self.errors.moved {
            _ if self.ctx.list == Pane::Pending => Effect::Debounce,
            Moved::ByItself => Effect::DebounceMoved,
            Moved::ByHand | Moved::WithTheList => Effect::Debounce,
        };
        // Where the record does not show, nothing follows; but a line that nobody chose wants to be seen.
        self.selection.debounce.waits =
            layout::shows(&self.ctx, Pane::Record) || self.errors.moved != Moved::ByHand;
        self.selection.debounce.waits.then(|| effect(self.selection.debounce.number))
    }

    /// The selection rested.
    pub(super) fn debounced(&mut self, number: u64) -> Vec<Effect> {
        // Under an overlay nothing changes; it follows when that is gone.
        self.selection.unfollowed = number == self.selection.debounce.number && !self.overlays.is_empty();
        if number != self.selection.debounce.number || self.selection.unfollowed {
            return Vec::new();
        }
        self.selection.debounce.waits = false;
        if self.ctx.focus != self.ctx.list || self.ctx.database.lost.is_some() {
            return Vec::new();
        }
        if !layout::shows(&self.ctx, Pane::Record) {
            // Its line was there to be seen.
            self.errors.moved = Moved::ByHand;
            return Vec::new();
        }
        match self.selected_row() {
            Some(row) if self.selection.record.as_ref().is_none_or(|pane| pane.row != row) => {
                // From now on the selection stays on its line, whatever comes in above it.
                self.errors.touched = true;
                if self.selection.show(row) { self.load_record() } else { Vec::new() }
            }
            None => {
                self.tell_rowless();
                Vec::new()
            }
            Some(_) => Vec::new(),
        }
    }

    /// The record's place tells of the selected error, where it is of no row; false when an open record holds changes.
    pub(super) fn tell_rowless(&mut self) -> bool {
        if self.rowless().is_none() || self.selection.record.as_ref().is_some_and(RecordPane::keeps) {
            return false;
        }
        self.errors.touched = true;
        self.selection.record = None;
        true
    }

    /// The row of the selected line of the list.
    pub(super) fn selected_row(&self) -> Option<RowRef> {
        match self.ctx.list {
            Pane::Pending => self.pending.selected().map(|pending| pending.row.clone()),
            _ => self.errors.selected()?.row(),
        }
    }

    pub(super) fn open(&mut self) -> Vec<Effect> {
        match self.ctx.focus {
            Pane::Errors if !self.errors.loaded => {
                self.overlays.push(Overlay::TypeAhead(Vec::new()));
                Vec::new()
            }
            Pane::Mappings => {
                let Some(filter) = self.mapping().map(|mapping| format!("mapping:{}", mapping.name)) else {
                    return Vec::new();
                };
                self.drill(&filter, None)
            }
            Pane::Log => self.open_of_line(),
            Pane::Groups => self.list_group(),
            _ => match self.selected_row() {
                Some(row) => {
                    self.errors.touched = true;
                    self.open_row(row)
                }
                None if self.rowless().is_some() => {
                    if !self.tell_rowless() {
                        self.say(Tone::Neutral, NOT_SAVED);
                    }
                    self.enter_record()
                }
                None => Vec::new(),
            },
        }
    }

    /// From a relative back to the record it was gone to from, and to its relatives.
    pub(super) fn back_to(&mut self, row: RowRef) -> Vec<Effect> {
        self.selection.show(row);
        let mut effects = self.load_record();
        effects.extend(self.enter_record());
        if let Some(pane) = &mut self.selection.record {
            pane.tab = RecordTab::Relatives;
            effects.extend(pane.ask_lazy());
        }
        effects
    }

    /// From the record back to where it was opened.
    pub(super) fn leave_record(&mut self) -> Vec<Effect> {
        let to =
            if self.navigation.came_from == Pane::Record { Pane::Errors } else { self.navigation.came_from };
        self.go(to)
    }

    /// One step back: out of the zoom, to where one came from, out of the filter.
    pub(super) fn back(&mut self) -> Vec<Effect> {
        // All lines about one thing were asked for last, and are left first.
        if self.ctx.focus == Pane::Log && self.log.search.is_none() && self.log.in_thread() {
            return self.leave_thread();
        }
        // A record that was opened from a zoomed pane leads back into that.
        if self.ctx.zoom && !(self.ctx.focus == Pane::Record && self.navigation.came_zoomed) {
            self.ctx.zoom = false;
            return Vec::new();
        }
        match self.ctx.focus {
            Pane::Record => {
                if let Some(pane) =
                    self.selection.record.as_mut().filter(|pane| pane.tab != RecordTab::Fields)
                {
                    pane.tab = RecordTab::Fields;
                    return Vec::new();
                }
                if !self.may_leave(Id::Back) {
                    return Vec::new();
                }
                let list = self.heroku_list_of_record();
                let effects = match self.navigation.record_stack.pop() {
                    Some(before) => self.back_to(before),
                    None => self.leave_record(),
                };
                self.overlays.extend(list.map(Overlay::Heroku));
                effects
            }
            Pane::Errors if self.errors.any_marked() => {
                self.errors.unmark();
                Vec::new()
            }
            Pane::Errors if self.errors.everything => self.actionable(),
            Pane::Errors if !self.navigation.list_stack.is_empty() => self.undrill(),
            Pane::Errors if !self.errors.filter.is_empty() => self.list(""),
            Pane::Errors => self.go(Pane::Mappings),
            Pane::Log if self.log.search.is_some() => self.of_log(|log| log.search = None),
            Pane::Log if !self.log.filter.is_empty() => self.filter_log(""),
            Pane::Log | Pane::Pending | Pane::Groups => self.go(Pane::Errors),
            Pane::Mappings => {
                self.say(Tone::Neutral, "q leaves the console");
                Vec::new()
            }
        }
    }
}
