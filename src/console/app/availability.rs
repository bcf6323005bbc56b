//! Why a command cannot be used right now: said when its key is pressed, and beside it in the help and the palette.

use super::App;
use super::operations::is_duplicate;
use crate::console::command::{Command, Id};
use crate::console::overlays::Menu;
use crate::console::pane::Pane;
use crate::console::panes::record::{BEING_SENT, RecordPane, RecordTab};
use crate::domain::errors::remedy::SuggestedFix;
use crate::domain::errors::sync_error::SyncError;
use crate::domain::records::record::RecordView;

/// Said of what nobody can look at yet.
const READING: &str = "the record is still being read: look at it, then press it again";
/// Said of what nobody can look at.
const UNREAD: &str = "the record could not be read";
/// Said where no remedy can be done by itself.
const NO_QUICK_FIX: &str = "nothing here is mended by one key; f shows what helps, e edits";
/// Said of what is taken over already.
const OWN: &str = "these tables are syncdeck's already; adopt undo gives them back to Heroku Connect";
/// Said of what only Heroku Connect tells.
const NOT_HEROKU: &str =
    "an engine of syncdeck keeps these tables: Heroku Connect has nothing to tell of them";
/// Said of the key that does one of two things, where it is not known which.
const UNKNOWN: &str = "it is not known whether Heroku Connect is paused: use :pause-all or :resume-all";
/// Said of what needs the database while that is out of reach.
pub(super) const AWAY: &str =
    "PostgreSQL is out of reach: what shows is as it was last seen, and stays until it is back";

impl Command {
    /// Why it cannot be used right now, if so.
    pub fn disabled(&self, app: &App) -> Option<&'static str> {
        self.disabled_in(app, app.ctx.focus)
    }

    /// Why it could not be used if that pane had the keys.
    pub fn disabled_in(&self, app: &App, pane: Pane) -> Option<&'static str> {
        if self.mutates && app.ctx.read_only {
            return Some("this console is read-only");
        }
        let by_api = app.ctx.heroku().is_some_and(|heroku| heroku.has_key);
        if let Some(why) = beside_heroku(self.id, by_api).filter(|_| app.ctx.is_attached()) {
            return Some(why);
        }
        if self.id == Id::Writes && app.ctx.heroku().is_some_and(|heroku| !heroku.is_known()) {
            return Some(UNKNOWN);
        }
        if app.ctx.database.lost.is_some() && self.needs_the_database(app, pane) {
            return Some(AWAY);
        }
        let unsaved = pane == Pane::Record && app.selection.record.as_ref().is_some_and(RecordPane::keeps);
        match self.id {
            // They would act on the row as it was before, under the change.
            Id::Retry | Id::Revert | Id::Ignore | Id::QuickFix | Id::Remedy | Id::Conflict if unsaved => {
                Some("a changed field is not saved yet: Ctrl-S saves and sends it, Esc Esc throws it away")
            }
            Id::Remedy | Id::QuickFix | Id::Conflict | Id::Retry | Id::Revert | Id::Ignore
                if pane == Pane::Record && unread(app).is_some() =>
            {
                unread(app)
            }
            Id::QuickFix if pane == Pane::Errors && app.rowless().is_some() && !app.errors.any_marked() => {
                let helps = app.rowless().and_then(Menu::remedies_of).and_then(Menu::first);
                unless(helps.is_some(), "this error is of no row: what helps stands below it")
            }
            Id::QuickFix | Id::Edit if pane == Pane::Errors => in_list(app, self.id),
            // A digit that stands for no remedy is that of a pane.
            Id::Numbered if pane == Pane::Mappings || app.numbered_remedies().is_none() => None,
            Id::Remedy | Id::QuickFix | Id::Numbered if on_its_way(app) => Some(BEING_SENT),
            Id::Remedy | Id::QuickFix if app.selection.record.is_none() && app.remedies().is_some() => None,
            Id::Remedy | Id::QuickFix | Id::Edit
                if app.selection.record.is_none() && app.rowless().is_some() =>
            {
                Some("this error is of no row: what helps stands below it")
            }
            Id::Strategy | Id::Writes | Id::Drain | Id::Reload | Id::Verify | Id::Test | Id::Rule => {
                app.mapping().is_none().then_some("no mapping is there yet")
            }
            Id::GoRecord => unless(
                app.selection.record.is_some() || app.rowless().is_some(),
                "no record is open; choose an error and press Enter",
            ),
            Id::Edit
                if app.ctx.read_only
                    && app.selection.record.as_ref().is_some_and(|pane| pane.tab == RecordTab::Fields) =>
            {
                Some("this console is read-only")
            }
            Id::Edit => {
                app.selection.record.as_ref().map_or(Some("no record is open"), RecordPane::edit_refusal)
            }
            Id::Fix | Id::Revert | Id::Ignore if app.chosen_in(pane).is_none() => {
                Some("there is no error of a row here; choose or mark one")
            }
            Id::Open => open(app, pane),
            Id::Thread | Id::Patterns | Id::KeepLines if pane == Pane::Log => open(app, pane),
            Id::Thread => unless(view(app).is_some(), "no record is open"),
            Id::Groups if pane == Pane::Mappings => {
                unless(app.mapping().is_some(), "no mapping is there yet")
            }
            // They are grouped by the filter, whatever of the list came so far.
            Id::GoGroups if app.has_groups() => None,
            Id::Groups | Id::GoGroups if !app.errors.loaded => None,
            Id::Larger | Id::Smaller if app.ctx.zoom => {
                Some("the pane has the whole screen; z takes it back")
            }
            Id::NextOpen
            | Id::PreviousOpen
            | Id::Mark
            | Id::MarkAll
            | Id::Groups
            | Id::GoGroups
            | Id::OwnCause
            | Id::NoteCause
            | Id::MuteCause => unless(!app.errors.items.is_empty(), no_errors(app)),
            Id::Standing => unless(
                !app.errors.standing.is_empty() || !app.ctx.gaps().is_empty(),
                "nothing stands in the way of a mapping or the connection",
            ),
            Id::Unfold => unless(app.errors.can_unfold(), "no row waits for this one"),
            Id::Parent => unless(view(app).is_some(), "no record is open"),
            Id::ScrollRight | Id::ScrollLeft if pane == Pane::Errors => {
                unless(!app.errors.items.is_empty(), no_errors(app))
            }
            Id::HideEmpty | Id::ScrollRight | Id::ScrollLeft => {
                unless(app.selection.record.is_some(), "no record is open")
            }
            Id::NextView | Id::PreviousView => unless(app.selection.record.is_some(), "no record is open"),
            Id::QuickFix => unless(view(app).is_some_and(offers), NO_QUICK_FIX),
            Id::Conflict => unless(
                view(app).is_some_and(contested) || app.selection.record.as_ref().is_some_and(is_duplicate),
                "no conflict, and no duplicate of it",
            ),
            Id::MergeInto => {
                let is_one = |view: &RecordView| {
                    view.error.as_ref().is_some_and(|error| error.code == "DUPLICATE_ROWS")
                };
                unless(view(app).is_some_and(is_one), "no comparison found other rows to be the same thing")
            }
            Id::Save => {
                let changes = app.selection.record.as_ref().is_some_and(RecordPane::has_changes);
                unless(changes, "nothing is changed yet; e edits the selected field")
            }
            Id::Remedy => unless(
                view(app).is_some_and(|view| !view.advice.remedies.is_empty()),
                "there is nothing to mend",
            ),
            Id::SaveFilter => {
                let filter = if pane == Pane::Log { &app.log.filter } else { &app.errors.filter };
                unless(!filter.is_empty(), "there is no filter to keep; / types one")
            }
            Id::KeptFilters => unless(
                app.ctx.settings.saved_filters(pane).next().is_some(),
                "no filter was kept yet; F keeps the one in force",
            ),
            Id::Export => unless(!app.errors.items.is_empty(), no_errors(app)),
            Id::Plan
            | Id::Adopt
            | Id::Shadow
            | Id::HerokuWriteErrors
            | Id::HerokuNotifications
            | Id::HerokuChecks
            | Id::HerokuRecover
                if app.ctx.overview.is_none() =>
            {
                Some("it is not known yet who keeps these tables")
            }
            Id::HerokuWriteErrors | Id::HerokuNotifications | Id::HerokuChecks | Id::HerokuRecover => {
                unless(app.ctx.is_attached(), NOT_HEROKU)
            }
            Id::Adopt => unless(app.ctx.is_attached(), OWN),
            Id::Shadow => unless(
                app.ctx.is_attached(),
                "an engine of syncdeck keeps these tables: verify compares them",
            ),
            Id::Connection if app.ctx.settings.connections.len() < 2 => {
                Some("the configuration has one connection only")
            }
            Id::Retry => retry(app, pane),
            _ => None,
        }
    }
}

/// Why a command cannot be used beside Heroku Connect, if so; some can where its API may be asked.
fn beside_heroku(id: Id, by_api: bool) -> Option<&'static str> {
    match id {
        Id::Writes | Id::PauseAll | Id::ResumeAll | Id::Reload | Id::ReloadAll | Id::HerokuRecover
            if by_api =>
        {
            None
        }
        Id::Drain | Id::DrainAll if by_api => Some(
            "Heroku Connect cannot drain: a pause lets what it has begun be finished, and keeps the rest",
        ),
        Id::Revert | Id::Conflict => Some("Heroku Connect alone knows what Salesforce has"),
        Id::Undo | Id::Audit => {
            Some("attached to Heroku Connect: nothing notes here who did what, so nothing can be undone")
        }
        Id::Trends | Id::Health => Some("Heroku Connect keeps no figures of the past in the database"),
        Id::Alerts | Id::Silence => Some("attached to Heroku Connect: alerts need an engine of syncdeck"),
        Id::OwnCause | Id::NoteCause | Id::MuteCause => {
            Some("attached to Heroku Connect: nothing of syncdeck is installed here that could keep it")
        }
        Id::SignIn => Some("attached to Heroku Connect, which has the login"),
        Id::Rule => Some("attached to Heroku Connect, which keeps the mappings"),
        Id::Strategy | Id::StrategyAll => {
            Some("Heroku Connect has no strategies: what failed waits for a person")
        }
        Id::Writes | Id::Drain | Id::PauseAll | Id::DrainAll | Id::ResumeAll => Some(
            "only Heroku Connect's API does this, and none can be asked: set HEROKU_API_KEY and [heroku] app",
        ),
        Id::Reload | Id::ReloadAll | Id::HerokuRecover => Some(
            "only Heroku Connect's API does this, and none can be asked: set HEROKU_API_KEY and [heroku] app",
        ),
        Id::Verify | Id::Test | Id::TestAll => Some(
            "this asks Salesforce itself, and a connection that is attached to Heroku Connect has no login",
        ),
        Id::Rebind => Some(
            "attached to Heroku Connect, which keeps these tables and knows their org: rebind is for tables of syncdeck",
        ),
        _ => None,
    }
}

impl Command {
    /// Whether it asks the database for something, so that what shows could not stay.
    fn needs_the_database(&self, app: &App, pane: Pane) -> bool {
        match self.id {
            Id::Open => !opens_what_shows(app, pane),
            Id::Filter => pane != Pane::Log,
            Id::GoGroups => !app.has_groups(),
            Id::Back => pane == Pane::Errors && !app.ctx.zoom && app.errors.is_narrowed(),
            Id::Export
            | Id::Undo
            | Id::Audit
            | Id::Find
            | Id::Groups
            | Id::Sort
            | Id::Actionable
            | Id::OlderFilter
            | Id::NewerFilter
            | Id::Unfold
            | Id::Trends
            | Id::Health
            | Id::Alerts => true,
            // They have sessions of their own: what shows may be lost for having been taken over.
            Id::Adopt | Id::AdoptUndo => false,
            _ => self.mutates,
        }
    }
}

/// Why what is done to the row of the selected line cannot be, as far as that is known before its record is read.
fn in_list(app: &App, id: Id) -> Option<&'static str> {
    if id == Id::QuickFix && app.errors.any_marked() {
        return None;
    }
    if app.ctx.read_only {
        return Some("this console is read-only");
    }
    let Some(error) = app.errors.selected() else { return Some(no_errors(app)) };
    let Some(row) = error.row() else { return Some("this error is of no row: what helps stands below it") };
    let record = app.selection.record.as_ref().filter(|pane| pane.row == row && pane.view.is_some())?;
    match id {
        _ if record.keeps() && id == Id::QuickFix => {
            Some("a changed field is not saved yet: Ctrl-S in the record saves and sends it")
        }
        Id::Edit => record.field_refusal(),
        _ if on_its_way(app) => Some(BEING_SENT),
        _ => unless(record.view.as_ref().is_some_and(offers), NO_QUICK_FIX),
    }
}

/// Why the list has no line.
fn no_errors(app: &App) -> &'static str {
    if app.errors.loaded { "there are no errors here" } else { "the list is still being read" }
}

/// Whether the record that is to be opened is the one that shows.
fn opens_what_shows(app: &App, pane: Pane) -> bool {
    let selected = match pane {
        Pane::Errors => app.errors.selected().and_then(SyncError::row),
        Pane::Pending => app.pending.selected().map(|pending| pending.row.clone()),
        _ => None,
    };
    let shown = app.selection.record.as_ref().filter(|pane| pane.view.is_some()).map(|pane| &pane.row);
    selected.is_some() && selected.as_ref() == shown
}

/// Why what the record is like is not known, if it is not.
fn unread(app: &App) -> Option<&'static str> {
    let pane = app.selection.record.as_ref().filter(|pane| pane.view.is_none())?;
    Some(if pane.refusal.is_some() { UNREAD } else { READING })
}

fn on_its_way(app: &App) -> bool {
    app.selection.record.as_ref().is_some_and(|pane| app.selection.is_being_sent(&pane.row))
}

fn unless(holds: bool, why: &'static str) -> Option<&'static str> {
    (!holds).then_some(why)
}

fn view(app: &App) -> Option<&RecordView> {
    app.selection.record.as_ref()?.view.as_ref()
}

fn offers(view: &RecordView) -> bool {
    let at_once = |offer: &SuggestedFix| offer.action.is_some() && offer.question(view).is_none();
    view.advice.remedies.iter().any(at_once)
}

fn contested(view: &RecordView) -> bool {
    view.conflicts.iter().any(|conflict| conflict.winner.is_none())
}

fn open(app: &App, pane: Pane) -> Option<&'static str> {
    match pane {
        Pane::Mappings => unless(app.mapping().is_some(), "no mapping is there yet"),
        Pane::Log => unless(app.log.selected().is_some(), "no line is there yet"),
        Pane::Pending => unless(app.pending.selected().is_some(), "nothing waits"),
        Pane::Groups if !app.has_groups() => Some("the screen has no room for the causes; c shows them"),
        Pane::Groups => unless(app.groups.selected().is_some(), "no cause is there yet"),
        // What is read just now is opened when it comes.
        _ if !app.errors.loaded => None,
        _ => unless(app.errors.selected().is_some(), "there are no errors here"),
    }
}

fn retry(app: &App, pane: Pane) -> Option<&'static str> {
    match pane {
        Pane::Record => unless(app.selection.record.is_some(), "no record is open"),
        Pane::Errors if app.errors.any_marked() => None,
        _ if app.errors.items.is_empty() => Some(no_errors(app)),
        _ => {
            let of_a_row = app.errors.selected().is_some_and(|error| error.row_id.is_some());
            unless(of_a_row, "this error is not of one row; it is tried again by itself")
        }
    }
}
