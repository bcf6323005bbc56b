//! Why a command cannot be used right now: said when its key is pressed, and beside it in the help and the palette.

use super::command::{Command, Id};
use super::model::{Model, Pane};
use super::panes::record::{RecordPane, Tab};
use crate::domain::record::RecordView;
use crate::domain::remedy::Offer;
use crate::domain::sync_error::SyncError;

/// Said of what would be done about an error that is about to be answered anew.
pub(super) const BEING_SENT: &str = "being sent: what helps is known when Salesforce has answered";
/// Said of what nobody can look at yet.
const READING: &str = "the record is still being read: look at it, then press it again";
/// Said of what nobody can look at.
const UNREAD: &str = "the record could not be read";
/// Said of what needs the database while that is out of reach.
pub(super) const AWAY: &str =
    "PostgreSQL is out of reach: what shows is as it was last seen, and stays until it is back";

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
        if model.lost.is_some() && self.needs_the_database(model, pane) {
            return Some(AWAY);
        }
        let unsaved = pane == Pane::Record && model.record.as_ref().is_some_and(RecordPane::keeps);
        match self.id {
            // They would act on the row as it was before, under the change.
            Id::Retry | Id::Revert | Id::Ignore | Id::Mend | Id::Remedy | Id::Sides if unsaved => {
                Some("a changed field is not saved yet: Ctrl-S saves and sends it, Esc Esc throws it away")
            }
            Id::Remedy | Id::Mend | Id::Sides | Id::Retry | Id::Revert | Id::Ignore
                if pane == Pane::Record && unread(model).is_some() =>
            {
                unread(model)
            }
            Id::Remedy | Id::Mend if on_its_way(model) => Some(BEING_SENT),
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
            Id::Thread | Id::Patterns | Id::KeepLines if pane == Pane::Log => open(model, pane),
            Id::Thread => unless(view(model).is_some(), "no record is open"),
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

impl Command {
    /// Whether it asks the database for something, so that what shows could not stay.
    fn needs_the_database(&self, model: &Model, pane: Pane) -> bool {
        match self.id {
            Id::Open => !opens_what_shows(model, pane),
            Id::Filter => pane != Pane::Log,
            Id::Back => pane == Pane::Errors && !model.zoom && model.errors.is_narrowed(),
            Id::Export
            | Id::Undo
            | Id::Audit
            | Id::Find
            | Id::Groups
            | Id::Sort
            | Id::Faults
            | Id::OlderFilter
            | Id::NewerFilter
            | Id::Trends => true,
            _ => self.mutates,
        }
    }
}

/// Whether the record that is to be opened is the one that shows.
fn opens_what_shows(model: &Model, pane: Pane) -> bool {
    let selected = match pane {
        Pane::Errors => model.errors.selected().and_then(SyncError::row),
        Pane::Pending => model.pending.selected().map(|pending| pending.row.clone()),
        _ => None,
    };
    let shown = model.record.as_ref().filter(|pane| pane.view.is_some()).map(|pane| &pane.row);
    selected.is_some() && selected.as_ref() == shown
}

/// Why what the record is like is not known, if it is not.
fn unread(model: &Model) -> Option<&'static str> {
    let pane = model.record.as_ref().filter(|pane| pane.view.is_none())?;
    Some(if pane.refusal.is_some() { UNREAD } else { READING })
}

fn on_its_way(model: &Model) -> bool {
    model.record.as_ref().is_some_and(|pane| model.is_being_sent(&pane.row))
}

fn unless(holds: bool, why: &'static str) -> Option<&'static str> {
    (!holds).then_some(why)
}

fn view(model: &Model) -> Option<&RecordView> {
    model.record.as_ref()?.view.as_ref()
}

fn offers(view: &RecordView) -> bool {
    let at_once = |offer: &Offer| offer.action.is_some() && offer.question(view).is_none();
    view.advice.remedies.iter().any(at_once)
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
