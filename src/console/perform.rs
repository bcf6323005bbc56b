//! What keys do in the panes: the key's command, and what each command does to the model. Pure.

use crossterm::event::KeyEvent;

use crate::domain::act::Deed;
use crate::domain::names::RowRef;
use crate::domain::overview::Writes;

use super::command::{Command, Id};
use super::effect::Effect;
use super::keys;
use super::model::{Model, Pane, Tone};
use super::overlays::{Choice, Overlay, Palette, Trends};
use super::panes::errors::Moved;
use super::panes::log::LogPane;
use super::panes::record::{RecordPane, Tab};
use super::view;
use super::widgets::cursor::Step;

/// Said when an open record's changes would be lost.
const NOT_SAVED: &str = "changed fields are not saved: Ctrl-S saves and sends them, Esc Esc throws them away";
/// Said when leaving was tried while a save is on its way.
const SAVING: &str = "the save is still on its way: the same key again does not wait for it";
/// Said when leaving was tried once.
const LEAVING: &str =
    "changed fields are not saved: Ctrl-S saves and sends them; the same key again throws them away";

impl Model {
    /// A key was pressed.
    pub(super) fn key(&mut self, key: KeyEvent) -> Vec<Effect> {
        let name = keys::name(key);
        let command = self.keymap.find(self.focus, &name).map(|command| command.id);
        // These work whatever lies on top.
        if let Some(id @ (Id::ForceQuit | Id::Suspend | Id::Redraw)) = command {
            return self.perform(id);
        }
        // Leaving is asked for twice in a row, or it begins anew.
        if command != self.leaving {
            self.leaving = None;
        }
        // What cannot be seen is not done.
        if !view::fits(self.size) {
            let leaves = command == Some(Id::Quit) && self.overlays.is_empty();
            return if leaves { self.perform(Id::Quit) } else { Vec::new() };
        }
        if let Some(overlay) = self.overlays.pop() {
            return self.overlay_key(overlay, key);
        }
        self.of_cause = false;
        match self.keymap.find(self.focus, &name) {
            Some(command) => self.run(command),
            None => {
                self.unknown(&name);
                Vec::new()
            }
        }
    }

    /// A key that means nothing here, said with where it means something.
    fn unknown(&mut self, name: &str) {
        let elsewhere = Pane::ALL.into_iter().find_map(|pane| Some((pane, self.keymap.find(pane, name)?)));
        let key = keys::shown(name);
        let text = match elsewhere {
            Some((pane, command)) => {
                format!("{key} is \u{201c}{}\u{201d} in {} ({})", command.title, pane.title(), pane.number())
            }
            None => format!("{key} does nothing here; ? shows the keys"),
        };
        self.say(Tone::Neutral, text);
    }

    /// Runs a command, or says why not.
    pub(super) fn run(&mut self, command: &'static Command) -> Vec<Effect> {
        if let Some(reason) = command.disabled(self) {
            let why = self.why_read_only.clone().filter(|_| self.read_only && command.mutates);
            self.say(Tone::Neutral, why.unwrap_or_else(|| reason.to_owned()));
            return Vec::new();
        }
        self.toast = None;
        match self.is_seen(command) {
            Ok(()) => self.perform(command.id),
            Err(effects) => effects,
        }
    }

    /// Runs what waited for the record that has just come, or says why not.
    pub(super) fn run_seen(&mut self, command: &'static Command) -> Vec<Effect> {
        match command.disabled(self) {
            Some(reason) => {
                self.say(Tone::Neutral, reason);
                Vec::new()
            }
            None => self.perform(command.id),
        }
    }

    /// Whether the open record may be left with what is kept of it; the first time it is said what would be lost.
    fn may_leave(&mut self, by: Id) -> bool {
        let changed = self.record.as_ref().is_some_and(RecordPane::has_changes);
        // One step back the console is still there to hear what became of a save.
        let saving = by != Id::Back && self.record.as_ref().is_some_and(RecordPane::is_saving);
        if (changed || saving) && self.leaving.replace(by) != Some(by) {
            self.say(Tone::Neutral, if changed { LEAVING } else { SAVING });
            return false;
        }
        self.leaving = None;
        self.record.iter_mut().for_each(RecordPane::throw_away);
        true
    }

    fn perform(&mut self, id: Id) -> Vec<Effect> {
        match id {
            Id::Down => self.step(Step::Lines(1)),
            Id::Up => self.step(Step::Lines(-1)),
            Id::PageDown => self.step(Step::Lines(self.page())),
            Id::PageUp => self.step(Step::Lines(-self.page())),
            Id::Top if self.focus == Pane::Errors && self.errors.goes_on_from_here() => {
                self.errors.from_the_beginning();
                self.load_errors()
            }
            Id::Top => self.step(Step::First),
            Id::Bottom => self.step(Step::Last),
            Id::NextPane => self.go(self.neighbour(1)),
            Id::PreviousPane => self.go(self.neighbour(3)),
            Id::GoMappings => self.go(Pane::Mappings),
            Id::GoErrors => self.go(Pane::Errors),
            Id::GoRecord => self.enter_record(),
            Id::GoLog => self.go(Pane::Log),
            Id::GoPending => self.go(Pane::Pending),
            Id::Open => self.open(),
            Id::Edit => self.edit(),
            Id::Retry => self.retry(),
            Id::Mark => self.mark(),
            Id::MarkAll => self.mark_all(),
            Id::Fix => self.ask_fix(),
            Id::Revert => self.plan(Deed::Revert),
            Id::Ignore => self.plan(Deed::Ignore),
            Id::Export => self.ask_export(),
            Id::Mend => self.mend(),
            Id::Sides => self.sides(),
            Id::Save => self.save_kept(),
            Id::Undo => self.look_first(Effect::UndoLast),
            Id::Audit => self.wait_for("reading what operators did", Effect::LoadActs),
            Id::Find => self.ask_find(),
            Id::Remedy => self.choose(Model::remedies),
            Id::Groups => {
                let filter = self.errors.asked_filter();
                self.wait_for("grouping the errors by cause", Effect::LoadGroups(filter))
            }
            Id::Strategy => self.choose(|model| Some(Choice::strategies(Some(model.mapping()?)))),
            Id::Writes => self.writes(),
            Id::Drain => self.write_as(Writes::Drain),
            Id::Reload => self.ask_reload(),
            Id::Verify => self.verify(),
            Id::Test => self.ask_test(),
            Id::PauseAll => self.ask_all(Effect::Writes { mapping: None, to: Writes::Pause }),
            Id::DrainAll => self.ask_all(Effect::Writes { mapping: None, to: Writes::Drain }),
            Id::ResumeAll => self.ask_all(Effect::Writes { mapping: None, to: Writes::Resume }),
            Id::ReloadAll => self.ask_all(Effect::Reload(None)),
            Id::StrategyAll => self.choose(|_| Some(Choice::strategies(None))),
            Id::TestAll => self.ask_all(Effect::Test(None)),
            Id::Filter => self.filter(),
            Id::Sort => self.choose(|model| Some(Choice::sorts(model.errors.sort))),
            Id::Faults => self.faults(),
            Id::OlderFilter => self.visit(false),
            Id::NewerFilter => self.visit(true),
            Id::SaveFilter => self.ask_filter_name(),
            Id::NextView => self.turn(1),
            Id::PreviousView => self.turn(Tab::ALL.len() - 1),
            Id::Follow => self.of_log(|log| log.follow(!log.following)),
            Id::Explain => self.explain(),
            Id::Thread => self.thread(),
            Id::Patterns => self.patterns(),
            Id::KeepLines => self.ask_keep_lines(),
            Id::Search => self.ask_search(),
            Id::NextMatch => self.seek("no line further down has it", |log| log.next_match(true)),
            Id::PreviousMatch => self.seek("no line further up has it", |log| log.next_match(false)),
            Id::NextTrouble => self.seek("no warning further down", |log| log.next_trouble(true)),
            Id::PreviousTrouble => self.seek("no warning further up", |log| log.next_trouble(false)),
            Id::Copy => self.copy(),
            Id::CopyLink => self.copy_link(),
            Id::Trends => self.trends(),
            Id::Utc => {
                self.settings.utc = !self.settings.utc;
                self.say(
                    Tone::Neutral,
                    if self.settings.utc { "times are in UTC" } else { "times are as on this machine" },
                );
                Vec::new()
            }
            Id::Theme => self.choose(|model| Some(Choice::themes(model.theme.name))),
            Id::Connection if !self.may_leave(Id::Connection) => Vec::new(),
            Id::Connection => self.choose(|model| {
                let settings = &model.settings;
                Some(Choice::connections(&settings.connections, &settings.connection))
            }),
            Id::Zoom => {
                self.zoom = !self.zoom;
                self.load_trends()
            }
            Id::Refresh => {
                if self.lost.is_none() {
                    self.errors.from_the_beginning();
                }
                let row = self.record.as_ref().map(|pane| pane.row.clone());
                let mut effects = self.refresh();
                effects.extend(row.map(Effect::FetchValues));
                self.say(Tone::Neutral, "reading everything again");
                effects
            }
            Id::Palette => self.overlay(|model| Overlay::Palette(Palette::all(model))),
            Id::Help => self.overlay(|model| Overlay::Palette(Palette::help(model))),
            Id::Back => self.back(),
            Id::Quit if !self.may_leave(Id::Quit) => Vec::new(),
            Id::Quit | Id::ForceQuit => vec![Effect::Quit],
            Id::Redraw => vec![Effect::Redraw],
            Id::Suspend => vec![Effect::Suspend],
        }
    }

    fn overlay(&mut self, of: impl Fn(&Model) -> Overlay) -> Vec<Effect> {
        let overlay = of(self);
        self.overlays.push(overlay);
        Vec::new()
    }

    fn choose(&mut self, of: impl Fn(&Model) -> Option<Choice>) -> Vec<Effect> {
        let choice = of(self);
        self.overlays.extend(choice.map(Overlay::Choice));
        Vec::new()
    }

    // ---- moving --------------------------------------------------------------------------------------------------

    fn page(&self) -> isize {
        isize::try_from(view::page(self, self.focus)).unwrap_or(10)
    }

    /// The pane `by` places on among those that show. The record is left out while it has nothing to tell.
    fn neighbour(&self, by: usize) -> Pane {
        let round = [Pane::Mappings, self.list, Pane::Record, Pane::Log];
        let mut at = round.iter().position(|pane| *pane == self.focus).unwrap_or(0);
        loop {
            at = (at + by) % round.len();
            if round[at] != Pane::Record || self.record.is_some() || self.rowless().is_some() {
                return round[at];
            }
        }
    }

    /// Gives a pane the keys.
    pub(super) fn go(&mut self, pane: Pane) -> Vec<Effect> {
        if pane == Pane::Record {
            return self.enter_record();
        }
        self.focus = pane;
        if matches!(pane, Pane::Errors | Pane::Pending) {
            self.list = pane;
        }
        let list = if pane == Pane::Pending { self.load_pending() } else { Vec::new() };
        let rest = if pane == self.list { self.rest() } else { None };
        list.into_iter().chain(rest).collect()
    }

    /// Gives the open record the keys: now Salesforce is asked what it has.
    pub(super) fn enter_record(&mut self) -> Vec<Effect> {
        if self.focus != Pane::Record {
            self.trail.clear();
            (self.came_from, self.came_zoomed) = (self.focus, self.zoom);
        }
        self.focus = Pane::Record;
        self.record.as_mut().and_then(|pane| pane.ask()).map(Effect::FetchValues).into_iter().collect()
    }

    /// Opens a row's record and goes there.
    pub(super) fn open_row(&mut self, row: RowRef) -> Vec<Effect> {
        let from = self.record.as_ref().filter(|_| self.focus == Pane::Record).map(|pane| pane.row.clone());
        let other = from.filter(|from| *from != row);
        if !self.show_row(row) {
            self.focus = Pane::Record;
            self.say(Tone::Neutral, NOT_SAVED);
            return Vec::new();
        }
        self.trail.extend(other);
        let mut effects = self.load_record();
        effects.extend(self.enter_record());
        effects
    }

    /// Shows a row's record where it is; false when another one holds changes that are not saved.
    pub(super) fn show_row(&mut self, row: RowRef) -> bool {
        match &self.record {
            Some(pane) if pane.row == row => true,
            Some(pane) if pane.keeps() => false,
            _ => {
                self.record = Some(RecordPane::open(row));
                true
            }
        }
    }

    /// Moves the selection of the pane with the keys.
    pub(super) fn step(&mut self, step: Step) -> Vec<Effect> {
        let effects = self.moved(step);
        self.settle(self.focus);
        effects
    }

    /// Scrolls the list no further than the selected line needs.
    pub(super) fn settle(&mut self, pane: Pane) {
        let height = view::page(self, pane) + 1;
        match pane {
            Pane::Mappings => {
                let len = self.overview.as_ref().map_or(0, |overview| overview.mappings.len());
                self.mappings.cursor.settle(len, height);
            }
            Pane::Errors => self.errors.cursor.settle(self.errors.items.len(), height),
            Pane::Pending => self.pending.cursor.settle(self.pending.items.len(), height),
            Pane::Record | Pane::Log => {}
        }
    }

    /// Moves, without scrolling.
    pub(super) fn moved(&mut self, step: Step) -> Vec<Effect> {
        match self.focus {
            Pane::Mappings => {
                let len = self.overview.as_ref().map_or(0, |overview| overview.mappings.len());
                self.mappings.cursor.step(step, len);
                Vec::new()
            }
            Pane::Errors => {
                self.errors.touched = true;
                self.errors.moved = Moved::ByHand;
                self.errors.cursor.step(step, self.errors.items.len());
                let more = self.errors.want_more();
                more.into_iter().chain(self.rest()).collect()
            }
            Pane::Pending => {
                let more = self.pending.step(step);
                more.into_iter().chain(self.rest()).collect()
            }
            Pane::Record => {
                if let Some(pane) = &mut self.record {
                    pane.step(step);
                }
                Vec::new()
            }
            Pane::Log => self.log.step(step).into_iter().collect(),
        }
    }

    /// The selection moved: once it rests, the record follows, where it shows.
    pub(super) fn rest(&mut self) -> Option<Effect> {
        self.resting += 1;
        self.resting_on = self.selected_row();
        let effect = match self.errors.moved {
            _ if self.list == Pane::Pending => Effect::Rest,
            Moved::ByItself => Effect::Settle,
            Moved::ByHand | Moved::WithTheList => Effect::Rest,
        };
        // Where the record does not show, nothing follows; but a line that nobody chose wants to be seen.
        self.rests = view::shows(self, Pane::Record) || self.errors.moved != Moved::ByHand;
        self.rests.then(|| effect(self.resting))
    }

    /// The selection rested.
    pub(super) fn rested(&mut self, number: u64) -> Vec<Effect> {
        // Under an overlay nothing changes; it follows when that is gone.
        self.unfollowed = number == self.resting && !self.overlays.is_empty();
        if number != self.resting || self.unfollowed {
            return Vec::new();
        }
        self.rests = false;
        if self.focus != self.list || self.lost.is_some() {
            return Vec::new();
        }
        if !view::shows(self, Pane::Record) {
            // Its line was there to be seen.
            self.errors.moved = Moved::ByHand;
            return Vec::new();
        }
        match self.selected_row() {
            Some(row) if self.record.as_ref().is_none_or(|pane| pane.row != row) => {
                // From now on the selection stays on its line, whatever comes in above it.
                self.errors.touched = true;
                if self.show_row(row) { self.load_record() } else { Vec::new() }
            }
            None => {
                self.tell_rowless();
                Vec::new()
            }
            Some(_) => Vec::new(),
        }
    }

    /// The record's place tells of the selected error, where it is of no row; false when an open record holds changes.
    fn tell_rowless(&mut self) -> bool {
        if self.rowless().is_none() || self.record.as_ref().is_some_and(RecordPane::keeps) {
            return false;
        }
        self.errors.touched = true;
        self.record = None;
        true
    }

    /// The row of the selected line of the list.
    pub(super) fn selected_row(&self) -> Option<RowRef> {
        match self.list {
            Pane::Pending => self.pending.selected().map(|pending| pending.row.clone()),
            _ => self.errors.selected()?.row(),
        }
    }

    pub(super) fn open(&mut self) -> Vec<Effect> {
        match self.focus {
            Pane::Errors if !self.errors.loaded => {
                self.overlays.push(Overlay::Opening(Vec::new()));
                Vec::new()
            }
            Pane::Mappings => {
                let Some(filter) = self.mapping().map(|mapping| format!("mapping:{}", mapping.name)) else {
                    return Vec::new();
                };
                self.drill(&filter, None)
            }
            Pane::Log => self.open_of_line(),
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
    fn back_to(&mut self, row: RowRef) -> Vec<Effect> {
        self.show_row(row);
        let mut effects = self.load_record();
        effects.extend(self.enter_record());
        if let Some(pane) = &mut self.record {
            pane.tab = Tab::Relatives;
            effects.extend(pane.ask_beside());
        }
        effects
    }

    /// From the record back to where it was opened.
    fn leave_record(&mut self) -> Vec<Effect> {
        let to = if self.came_from == Pane::Record { Pane::Errors } else { self.came_from };
        self.go(to)
    }

    /// One step back: out of the zoom, to where one came from, out of the filter.
    fn back(&mut self) -> Vec<Effect> {
        // All lines about one thing were asked for last, and are left first.
        if self.focus == Pane::Log && self.log.search.is_none() && self.log.in_thread() {
            return self.leave_thread();
        }
        // A record that was opened from a zoomed pane leads back into that.
        if self.zoom && !(self.focus == Pane::Record && self.came_zoomed) {
            self.zoom = false;
            return Vec::new();
        }
        match self.focus {
            Pane::Record => {
                if let Some(pane) = self.record.as_mut().filter(|pane| pane.tab != Tab::Fields) {
                    pane.tab = Tab::Fields;
                    return Vec::new();
                }
                if !self.may_leave(Id::Back) {
                    return Vec::new();
                }
                match self.trail.pop() {
                    Some(before) => self.back_to(before),
                    None => self.leave_record(),
                }
            }
            Pane::Errors if self.errors.any_marked() => {
                self.errors.unmark();
                Vec::new()
            }
            Pane::Errors if self.errors.faults => self.faults(),
            Pane::Errors if !self.drilled.is_empty() => self.undrill(),
            Pane::Errors if !self.errors.filter.is_empty() => self.list(""),
            Pane::Errors => self.go(Pane::Mappings),
            Pane::Log if self.log.search.is_some() => self.of_log(|log| log.search = None),
            Pane::Log if !self.log.filter.is_empty() => self.filter_log(""),
            Pane::Log | Pane::Pending => self.go(Pane::Errors),
            Pane::Mappings => {
                self.say(Tone::Neutral, "q leaves the console");
                Vec::new()
            }
        }
    }

    fn trends(&mut self) -> Vec<Effect> {
        let trends = Trends::default();
        let minutes = trends.minutes();
        self.overlays.push(Overlay::Trends(trends));
        vec![Effect::LoadTrends { minutes, shares: true }]
    }

    // ---- the record's views --------------------------------------------------------------------------------------

    fn turn(&mut self, by: usize) -> Vec<Effect> {
        match &mut self.record {
            Some(pane) => pane.turn(by).into_iter().collect(),
            None => Vec::new(),
        }
    }

    // ---- the log -------------------------------------------------------------------------------------------------

    fn of_log(&mut self, act: impl FnOnce(&mut LogPane)) -> Vec<Effect> {
        act(&mut self.log);
        Vec::new()
    }

    fn seek(&mut self, without: &str, seek: impl FnOnce(&mut LogPane) -> bool) -> Vec<Effect> {
        if !seek(&mut self.log) {
            self.say(Tone::Neutral, without);
        }
        Vec::new()
    }
}
