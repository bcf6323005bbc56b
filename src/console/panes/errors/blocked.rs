//! Rows that wait for a listed one, unfolded below its line until it is folded again. They are no part of the list: what
//! the list knows of its order and its pages is known without them.

use std::collections::HashMap;

use super::ErrorsPane;
use crate::domain::errors::summary::Blocked;
use crate::domain::errors::sync_error::SyncError;
use crate::domain::names::RowRef;

/// The lines that are unfolded, and what stands below them.
#[derive(Debug, Default)]
pub(super) struct Unfolded {
    /// In the order in which they were unfolded: one that stands below another comes after that.
    parents: Vec<Parent>,
    /// How far each line that was put below another one is indented.
    depths: HashMap<i64, usize>,
    /// Lines of the list itself that moved below another one, each with the line of the list that it came after; those together
    /// that moved at once.
    moved: Vec<Vec<(Option<i64>, SyncError)>>,
}

#[derive(Debug)]
struct Parent {
    id: i64,
    row: RowRef,
    /// Once known.
    blocked: Option<Blocked>,
}

impl ErrorsPane {
    /// Whether the rows that wait for an error's row show below it.
    pub fn is_unfolded(&self, error: &SyncError) -> bool {
        self.unfolded.parents.iter().any(|parent| parent.id == error.id)
    }

    /// How many lines an error's line stands below one of the list; 0 is one of the list itself.
    pub fn depth(&self, error: &SyncError) -> usize {
        self.unfolded.depths.get(&error.id).copied().unwrap_or(0)
    }

    /// Whether more rows wait than those that show.
    pub fn shows_some(&self, error: &SyncError) -> bool {
        let parent = self.unfolded.parents.iter().find(|parent| parent.id == error.id);
        parent.and_then(|parent| parent.blocked.as_ref()).is_some_and(|blocked| blocked.more)
    }

    /// Whether the selected line can be unfolded, or folded.
    pub fn can_unfold(&self) -> bool {
        self.selected().is_some_and(|error| {
            let waiting = self.words_of(error).map_or(0, |words| words.waiting);
            waiting > 0 || self.is_unfolded(error) || self.depth(error) > 0
        })
    }

    /// Shows the rows that wait for the selected one below it, or folds them again; of one of them, folds those it is among.
    /// True when they are to be asked for.
    pub fn unfold(&mut self) -> bool {
        let Some(error) = self.selected().cloned() else { return false };
        let waits = self.words_of(&error).map_or(0, |words| words.waiting) > 0;
        match error.row() {
            _ if self.is_unfolded(&error) => self.fold(error.id),
            Some(row) if waits => {
                self.unfolded.parents.push(Parent { id: error.id, row, blocked: None });
                return true;
            }
            _ => {
                let above = self.items[..self.cursor.at].iter().rev();
                let depth = self.depth(&error);
                if let Some(id) = above.clone().find(|other| self.depth(other) < depth).map(|other| other.id)
                {
                    self.fold(id);
                }
            }
        }
        false
    }

    /// The lines whose rows are to be asked for: all that are unfolded.
    pub fn unfolded(&self) -> Vec<(i64, RowRef)> {
        self.unfolded.parents.iter().map(|parent| (parent.id, parent.row.clone())).collect()
    }

    /// The rows came that wait for some of them.
    pub fn take_blocked(&mut self, came: Vec<(i64, Blocked)>) {
        for (id, blocked) in came {
            if let Some(parent) = self.unfolded.parents.iter_mut().find(|parent| parent.id == id) {
                parent.blocked = Some(blocked);
            }
        }
        self.arrange(None);
    }

    /// Folds a line, and all below it; one that was selected there is left for the line.
    fn fold(&mut self, id: i64) {
        let from = self.items.iter().position(|error| error.id == id).unwrap_or(self.items.len());
        let depth = self.items.get(from).map_or(0, |error| self.depth(error));
        let below = self.items.iter().skip(from + 1).take_while(|error| self.depth(error) > depth);
        let folded: Vec<i64> = below.map(|error| error.id).chain([id]).collect();
        self.unfolded.parents.retain(|parent| !folded.contains(&parent.id));
        self.arrange(Some(id));
    }

    /// Folds everything; one stays on the line of the list that one is on, or below.
    pub(super) fn fold_all(&mut self) {
        let root = self.listed().map(|error| error.id);
        self.unfolded.parents.clear();
        self.arrange(root);
    }

    /// Puts what waits below its lines anew. The selection stays on its error; where that does not show any more, it goes to
    /// `otherwise`. The line stays where the eye is.
    fn arrange(&mut self, otherwise: Option<i64>) {
        let selected = self.selected().map(|error| error.id);
        let offset = self.cursor.at.saturating_sub(self.cursor.top);
        self.without_blocked();
        self.with_blocked();
        let place = |id: Option<i64>| id.and_then(|id| self.items.iter().position(|error| error.id == id));
        let at = place(selected).or_else(|| place(otherwise)).unwrap_or(self.cursor.at);
        self.cursor.at = at.min(self.items.len().saturating_sub(1));
        self.cursor.top = self.cursor.at.saturating_sub(offset);
    }

    /// Leaves the list with nothing but its own lines.
    pub(super) fn without_blocked(&mut self) {
        let depths = std::mem::take(&mut self.unfolded.depths);
        if !depths.is_empty() {
            self.items.retain(|error| !depths.contains_key(&error.id));
        }
        // What moved later may have stood before what moved first.
        for (after, error) in std::mem::take(&mut self.unfolded.moved).into_iter().rev().flatten() {
            if self.items.iter().all(|other| other.id != error.id) {
                let after = self.items.iter().position(|other| Some(other.id) == after);
                self.items.insert(after.map_or(0, |at| at + 1), error);
            }
        }
    }

    /// Puts what waits below the lines that have it. One that stands in the list itself moves there, unless it was unfolded
    /// before: of rows that wait for each other in a circle, each shows once.
    pub(super) fn with_blocked(&mut self) {
        let mut parents = std::mem::take(&mut self.unfolded.parents);
        let ids: Vec<i64> = parents.iter().map(|parent| parent.id).collect();
        parents.retain(|parent| {
            if !self.items.iter().any(|error| error.id == parent.id) {
                return false;
            }
            let depth = self.unfolded.depths.get(&parent.id).copied().unwrap_or(0) + 1;
            let blocked = parent.blocked.iter().flat_map(|blocked| &blocked.errors);
            let there = |error: &&SyncError| {
                let before = ids.iter().take_while(|id| **id != parent.id);
                let is_above = before.chain([&parent.id]).any(|id| *id == error.id)
                    && self.items.iter().any(|other| other.id == error.id);
                !is_above && !self.unfolded.depths.contains_key(&error.id)
            };
            let fresh: Vec<SyncError> = blocked.filter(there).cloned().collect();
            self.move_out(&fresh);
            self.unfolded.depths.extend(fresh.iter().map(|error| (error.id, depth)));
            let at = self.items.iter().position(|error| error.id == parent.id).map_or(0, |at| at + 1);
            self.items.splice(at..at, fresh);
            true
        });
        self.unfolded.parents = parents;
    }

    /// Takes lines out of the list that show elsewhere, and keeps where they stood.
    fn move_out(&mut self, fresh: &[SyncError]) {
        let (mut before, mut moved) = (None, Vec::new());
        let mut items = Vec::with_capacity(self.items.len());
        for error in std::mem::take(&mut self.items) {
            let of_list = self.depth(&error) == 0;
            let last = before;
            before = if of_list { Some(error.id) } else { before };
            match fresh.iter().any(|other| other.id == error.id) {
                false => items.push(error),
                true if of_list => moved.push((last, error)),
                true => {}
            }
        }
        self.items = items;
        self.unfolded.moved.push(moved);
    }

    /// Whether an error is marked; what only stands below a line is none of all that match.
    pub fn is_marked(&self, error: &SyncError) -> bool {
        (self.marks.all && self.depth(error) == 0) || self.marks.ids.contains(&error.id)
    }
}
