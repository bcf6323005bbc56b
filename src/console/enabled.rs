//! Why a command cannot be used right now: said when its key is pressed, and beside it in the help and the palette.

use super::command::{Command, Id};
use super::model::{Model, Pane};
use super::panes::record::{RecordPane, Tab};
use crate::domain::record::RecordView;
use crate::domain::remedy::Action;

impl Command {
    /// Why it cannot be used right now, if so.
    pub fn disabled(&self, model: &Model) -> Option<&'static str> {
        self.disabled_in(model, model.focus)
    }

    /// Why it could not be used if that pane had the keys.
    pub fn disabled_in(&self, model: &Model, pane: Pane) -> Option<&'static str> {
        if self.mutates && model.read_only {
            return Some("this console is read-only");
        }
        let unsaved = pane == Pane::Record && model.record.as_ref().is_some_and(RecordPane::keeps);
        match self.id {
            // They would act on the row as it was before, under the change.
            Id::Retry | Id::Revert | Id::Ignore | Id::Mend | Id::Remedy | Id::Sides if unsaved => {
                Some("a changed field is not saved yet: Ctrl-S saves and sends it, Esc Esc throws it away")
            }
            Id::Remedy | Id::Mend | Id::Edit if model.record.is_none() && model.rowless().is_some() => {
                Some("this error is of no row: what helps stands below it")
            }
            Id::Strategy | Id::Writes | Id::Drain | Id::Reload | Id::Verify | Id::Test => {
                model.mapping().is_none().then_some("no mapping is there yet")
            }
            Id::GoRecord => unless(
                model.record.is_some() || model.rowless().is_some(),
                "no record is open; choose an error and press Enter",
            ),
            Id::Edit
                if model.read_only && model.record.as_ref().is_some_and(|pane| pane.tab == Tab::Fields) =>
            {
                Some("this console is read-only")
            }
            Id::Edit => model.record.as_ref().map_or(Some("no record is open"), RecordPane::edit_refusal),
            Id::Fix | Id::Revert | Id::Ignore if model.chosen_in(pane).is_none() => {
                Some("there is no error of a row here; choose or mark one")
            }
            Id::Open => open(model, pane),
            Id::Mark | Id::MarkAll | Id::Groups => {
                unless(!model.errors.items.is_empty(), "there are no errors here")
            }
            Id::NextView | Id::PreviousView => unless(model.record.is_some(), "no record is open"),
            Id::Mend => unless(
                view(model).is_some_and(offers),
                "nothing here is mended by one key; f shows what helps, e edits",
            ),
            Id::Sides => unless(view(model).is_some_and(contested), "no field waits for a choice of sides"),
            Id::Save => {
                let changes = model.record.as_ref().is_some_and(RecordPane::has_changes);
                unless(changes, "nothing is changed yet; e edits the selected field")
            }
            Id::Remedy => unless(
                view(model).is_some_and(|view| !view.advice.remedies.is_empty()),
                "there is nothing to mend",
            ),
            Id::Export => unless(!model.errors.items.is_empty(), "there are no errors to export"),
            Id::Connection if model.settings.connections.len() < 2 => {
                Some("the configuration has one connection only")
            }
            Id::Retry => retry(model, pane),
            _ => None,
        }
    }
}

fn unless(holds: bool, why: &'static str) -> Option<&'static str> {
    (!holds).then_some(why)
}

fn view(model: &Model) -> Option<&RecordView> {
    model.record.as_ref()?.view.as_ref()
}

fn offers(view: &RecordView) -> bool {
    let of_the_row = |action: &Action| !matches!(action, Action::Rule { .. });
    view.advice.remedies.iter().any(|offer| offer.action.as_ref().is_some_and(of_the_row))
}

fn contested(view: &RecordView) -> bool {
    view.conflicts.iter().any(|conflict| conflict.winner.is_none())
}

fn open(model: &Model, pane: Pane) -> Option<&'static str> {
    match pane {
        Pane::Mappings => unless(model.mapping().is_some(), "no mapping is there yet"),
        Pane::Log => unless(model.log.selected().is_some(), "no line is there yet"),
        Pane::Pending => unless(model.pending.selected().is_some(), "nothing waits"),
        // What is read just now is opened when it comes.
        _ if !model.errors.loaded => None,
        _ => unless(model.errors.selected().is_some(), "there are no errors here"),
    }
}

fn retry(model: &Model, pane: Pane) -> Option<&'static str> {
    match pane {
        Pane::Record => unless(model.record.is_some(), "no record is open"),
        Pane::Errors if model.errors.any_marked() => None,
        _ if !model.errors.loaded => Some("the list is still being read"),
        _ if model.errors.items.is_empty() => Some("there are no errors here"),
        _ => {
            let of_a_row = model.errors.selected().is_some_and(|error| error.row_id.is_some());
            unless(of_a_row, "this error is not of one row; it is tried again by itself")
        }
    }
}
