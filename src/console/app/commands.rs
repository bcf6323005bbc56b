//! What keys do in the panes: the key's command, whether it may run, and what it does. Pure.

use crossterm::event::KeyEvent;

use crate::client::heroku::HerokuList;
use crate::client::setup::SetupTask;
use crate::domain::operations::operation::OperationKind;
use crate::domain::reports::overview::Writes;

use super::App;
use super::layout;
use crate::console::command::{Command, Id};
use crate::console::context::Tone;
use crate::console::effect::Effect;
use crate::console::keys;
use crate::console::outcome::Outcome;
use crate::console::overlays::{ColumnsView, HealthView, Menu, Overlay, Palette, Trends};
use crate::console::pane::Pane;
use crate::console::panes::errors::Moved;
use crate::console::panes::log::LogPane;
use crate::console::panes::record::{RecordPane, RecordTab};
use crate::console::widgets::cursor::Step;

/// Said when leaving was tried while a save is on its way.
const SAVING: &str = "the save is still on its way: the same key again does not wait for it";
/// Said when leaving was tried once.
const LEAVING: &str =
    "changed fields are not saved: Ctrl-S saves and sends them; the same key again throws them away";

impl App {
    /// A key was pressed.
    pub(super) fn key(&mut self, key: KeyEvent) -> Vec<Effect> {
        let name = keys::name(key);
        let command = self.ctx.keymap.find(self.ctx.focus, &name).map(|command| command.id);
        // These work whatever lies on top.
        if let Some(id @ (Id::ForceQuit | Id::Suspend | Id::Redraw)) = command {
            return self.perform(id);
        }
        // Leaving is asked for twice in a row, or it begins anew.
        if command != self.navigation.leaving {
            self.navigation.leaving = None;
        }
        // What cannot be seen is not done.
        if !layout::fits(self.ctx.size) {
            let leaves = command == Some(Id::Quit) && self.overlays.is_empty();
            return if leaves { self.perform(Id::Quit) } else { Vec::new() };
        }
        if !self.overlays.is_empty() {
            return self.overlay_key(key);
        }
        self.navigation.from_groups = false;
        self.navigation.digit = name.parse().ok().filter(|_| command == Some(Id::Numbered));
        match self.ctx.keymap.find(self.ctx.focus, &name) {
            Some(command) => self.run(command),
            None => {
                self.unknown(&name);
                Vec::new()
            }
        }
    }

    /// A key that means nothing here, said with where it means something.
    fn unknown(&mut self, name: &str) {
        let elsewhere =
            Pane::ALL.into_iter().find_map(|pane| Some((pane, self.ctx.keymap.find(pane, name)?)));
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
    pub(in crate::console) fn run(&mut self, command: &'static Command) -> Vec<Effect> {
        if let Some(reason) = command.disabled(self) {
            let why = self.ctx.why_read_only.clone().filter(|_| self.ctx.read_only && command.mutates);
            self.say(Tone::Neutral, why.unwrap_or_else(|| reason.to_owned()));
            return Vec::new();
        }
        self.ctx.toast = None;
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
    pub(super) fn may_leave(&mut self, by: Id) -> bool {
        let changed = self.selection.record.as_ref().is_some_and(RecordPane::has_changes);
        // One step back the console is still there to hear what became of a save.
        let saving = by != Id::Back && self.selection.record.as_ref().is_some_and(RecordPane::is_saving);
        if (changed || saving) && self.navigation.leaving.replace(by) != Some(by) {
            self.say(Tone::Neutral, if changed { LEAVING } else { SAVING });
            return false;
        }
        self.navigation.leaving = None;
        self.selection.record.iter_mut().for_each(RecordPane::throw_away);
        true
    }

    fn perform(&mut self, id: Id) -> Vec<Effect> {
        match id {
            Id::Down => self.step(Step::Lines(1)),
            Id::Up => self.step(Step::Lines(-1)),
            Id::PageDown => self.step(Step::Lines(self.page())),
            Id::PageUp => self.step(Step::Lines(-self.page())),
            Id::Top if self.ctx.focus == Pane::Errors && self.errors.goes_on_from_here() => {
                self.errors.from_the_beginning();
                self.load_errors()
            }
            Id::Top => self.step(Step::First),
            Id::Bottom if self.ctx.focus == Pane::Errors && self.errors.next.is_some() => {
                self.errors.moved = Moved::ByHand;
                self.errors.want_end().into_iter().collect()
            }
            Id::Bottom => self.step(Step::Last),
            Id::NextPane => self.go(self.neighbour(true)),
            Id::PreviousPane => self.go(self.neighbour(false)),
            Id::GoMappings => self.go(Pane::Mappings),
            Id::GoErrors => self.go(Pane::Errors),
            Id::GoRecord => self.enter_record(),
            Id::GoLog => self.go(Pane::Log),
            Id::GoPending => self.go(Pane::Pending),
            Id::GoGroups if self.has_groups() => self.go(Pane::Groups),
            Id::Open => self.open(),
            Id::Edit => self.edit(),
            Id::Retry => self.retry(),
            Id::Mark => self.mark(),
            Id::MarkAll => self.mark_all(),
            Id::Unfold => self.unfold(),
            Id::Fix => self.ask_fix(),
            Id::Revert => self.plan(OperationKind::Revert),
            Id::Ignore => self.plan(OperationKind::Ignore),
            Id::Export => self.ask_export(),
            Id::QuickFix => self.quick_fix(),
            Id::Conflict => self.conflict(),
            Id::Save => self.save_kept(),
            Id::Undo => self.look_first(Effect::UndoLast),
            Id::Audit => self.wait_for("reading what operators did", Effect::LoadAudit),
            Id::Find => self.ask_find(),
            Id::Plan => self.ask_setup(SetupTask::Plan),
            Id::Adopt => self.ask_setup(SetupTask::Adopt),
            Id::AdoptUndo => self.ask_setup(SetupTask::UndoAdopt),
            Id::Shadow => self.shadow(),
            Id::Rebind => self.ask_setup(SetupTask::Rebind),
            Id::HerokuWriteErrors => self.heroku_list(HerokuList::WriteErrors),
            Id::HerokuNotifications => self.heroku_list(HerokuList::Notifications),
            Id::HerokuChecks => self.heroku_list(HerokuList::Checks),
            Id::HerokuRecover => self.ask_recover(),
            Id::Remedy => self.choose_remedy(),
            Id::Numbered => self.numbered(),
            Id::Parent => self.go_to_parent(),
            Id::Standing if self.errors.standing.is_empty() => {
                let text = self.ctx.gaps().join("\n\n");
                self.overlays.push(Overlay::info("Not listed".to_owned(), text));
                Vec::new()
            }
            Id::Standing => self.choose(|app| Menu::standing(&app.errors.standing, app.errors.more_standing)),
            Id::HideEmpty => {
                let hides = self.selection.record.as_ref().is_some_and(RecordPane::hides_empty);
                self.ctx.settings.fold_empty = Some(!hides);
                Vec::new()
            }
            Id::ScrollRight => self.scroll(true),
            Id::ScrollLeft => self.scroll(false),
            Id::Columns => {
                let columns = self.ctx.settings.columns.clone();
                self.overlays.push(Overlay::Columns(ColumnsView::new(columns)));
                Vec::new()
            }
            Id::NextOpen => self.next_open(true),
            Id::PreviousOpen => self.next_open(false),
            Id::Groups | Id::GoGroups => self.groups(),
            Id::Strategy => self.choose(|app| Some(Menu::strategies(Some(app.mapping()?)))),
            Id::Writes => self.writes(),
            Id::Drain => self.write_as(Writes::Drain),
            Id::Reload => self.ask_reload(),
            Id::Verify => self.verify(),
            Id::Rule => self.settle_outcome(Outcome::AskRule { mapping: None, rule: String::new() }),
            Id::SignIn => self.begin(Effect::SignIn),
            Id::MergeInto => match self.selection.row() {
                Some(row) => self.settle_outcome(Outcome::AskMergeInto(row)),
                None => Vec::new(),
            },
            Id::Test => self.ask_test(),
            Id::PauseAll => self.ask_all(Effect::Writes { mapping: None, to: Writes::Pause }),
            Id::DrainAll => self.ask_all(Effect::Writes { mapping: None, to: Writes::Drain }),
            Id::ResumeAll => self.ask_all(Effect::Writes { mapping: None, to: Writes::Resume }),
            Id::ReloadAll => self.ask_all(Effect::Reload(None)),
            Id::StrategyAll => self.choose(|_| Some(Menu::strategies(None))),
            Id::TestAll => self.ask_all(Effect::Test(None)),
            Id::Filter => self.filter(),
            Id::Sort => self.choose(|app| Some(Menu::sorts(app.errors.sort))),
            Id::Actionable => self.actionable(),
            Id::OlderFilter => self.visit(false),
            Id::NewerFilter => self.visit(true),
            Id::SaveFilter => self.ask_filter_name(),
            Id::KeptFilters => self.choose(|app| {
                let pane = app.ctx.focus;
                let now = if pane == Pane::Log { &app.log.filter } else { &app.errors.filter };
                Menu::kept_filters(&app.ctx.settings, pane, now)
            }),
            Id::Sources => self.sources(),
            Id::NextView => self.turn(1),
            Id::PreviousView => self.turn(RecordTab::ALL.len() - 1),
            Id::Follow => self.of_log(|log| log.follow(!log.following)),
            Id::Explain => self.explain(),
            Id::Thread => self.thread(),
            Id::Patterns => self.patterns(),
            Id::KeepLines => self.ask_keep_lines(),
            Id::Search => self.ask_search(),
            Id::NextMatch => self.seek("no line further down has it", |log| log.next_match(true)),
            Id::PreviousMatch => self.seek("no line further up has it", |log| log.next_match(false)),
            Id::NextWarning => self.seek("no warning further down", |log| log.next_warning(true)),
            Id::PreviousWarning => self.seek("no warning further up", |log| log.next_warning(false)),
            Id::Copy => self.copy(),
            Id::CopyLink => self.copy_link(),
            Id::Trends => self.trends(),
            Id::Health => self.health(),
            Id::Alerts => self.alerts(),
            Id::Silence => self.ask_silence(None, None),
            Id::OwnCause => self.own_cause(),
            Id::NoteCause => self.note_cause(),
            Id::MuteCause => self.mute_cause(),
            Id::Utc => {
                self.ctx.settings.utc = !self.ctx.settings.utc;
                self.say(
                    Tone::Neutral,
                    if self.ctx.settings.utc { "times are in UTC" } else { "times are as on this machine" },
                );
                Vec::new()
            }
            Id::Theme => self.choose(|app| Some(Menu::themes(app.ctx.theme.name))),
            Id::Connection if !self.may_leave(Id::Connection) => Vec::new(),
            Id::Connection => self.choose(|app| {
                let settings = &app.ctx.settings;
                Some(Menu::connections(&settings.connections, &settings.connection))
            }),
            Id::Larger => self.resize(true),
            Id::Smaller => self.resize(false),
            Id::EqualSizes => {
                let shape = layout::shape(&self.ctx);
                self.ctx.settings.sizes.reset(shape);
                self.resized()
            }
            Id::Zoom => {
                self.ctx.zoom = !self.ctx.zoom;
                self.load_trends()
            }
            Id::Refresh => {
                if self.ctx.database.lost.is_none() {
                    self.errors.from_the_beginning();
                }
                let row = self.selection.row();
                let mut effects = self.refresh();
                effects.extend(row.map(Effect::FetchValues));
                self.say(Tone::Neutral, "reading everything again");
                effects
            }
            Id::Palette => {
                let disabled = |command: &Command, pane| command.disabled_in(self, pane);
                self.palette(Palette::all(&self.ctx, self.things(), disabled))
            }
            Id::Help => {
                self.palette(Palette::help(&self.ctx, |command, pane| command.disabled_in(self, pane)))
            }
            Id::Back => self.back(),
            Id::Quit if !self.may_leave(Id::Quit) => Vec::new(),
            Id::Quit | Id::ForceQuit => vec![Effect::Quit],
            Id::Redraw => vec![Effect::Redraw],
            // The engine's answers would come to a stopped program, and whoever is asked to wait would wait for it.
            Id::Suspend if self.setup_does() => {
                self.say(Tone::Neutral, "not while it is done: PostgreSQL would wait for a stopped program");
                Vec::new()
            }
            Id::Suspend => vec![Effect::Suspend],
        }
    }

    /// Gives the pane more room, or less, as far as the others can spare it.
    fn resize(&mut self, larger: bool) -> Vec<Effect> {
        let (pane, shape) = (self.ctx.focus, layout::shape(&self.ctx));
        let (before, place) = (self.ctx.settings.sizes.clone(), layout::place(&self.ctx, pane));
        // Where a step is less than a line, several are one.
        loop {
            let last = self.ctx.settings.sizes.clone();
            self.ctx.settings.sizes.step(shape, pane, larger);
            if layout::place(&self.ctx, pane) != place {
                return self.resized();
            }
            if self.ctx.settings.sizes == last {
                break;
            }
        }
        self.ctx.settings.sizes = before;
        let end = if larger { "large" } else { "small" };
        let title = pane.title();
        self.say(Tone::Neutral, format!("{title} is as {end} as it gets; = gives all panes their own size"));
        Vec::new()
    }

    /// The selected lines stay in sight; what has room now is asked for.
    fn resized(&mut self) -> Vec<Effect> {
        Pane::ALL.into_iter().for_each(|pane| self.settle(pane));
        self.load_trends()
    }

    pub(super) fn choose_remedy(&mut self) -> Vec<Effect> {
        self.choose(App::remedies)
    }

    fn palette(&mut self, palette: Palette) -> Vec<Effect> {
        self.overlays.push(Overlay::Palette(palette));
        Vec::new()
    }

    pub(super) fn choose(&mut self, of: impl Fn(&App) -> Option<Menu>) -> Vec<Effect> {
        let menu = of(self);
        self.overlays.extend(menu.map(Overlay::Menu));
        Vec::new()
    }

    fn trends(&mut self) -> Vec<Effect> {
        let trends = Trends::default();
        let effect = trends.load();
        self.overlays.push(Overlay::Trends(trends));
        vec![effect]
    }

    fn health(&mut self) -> Vec<Effect> {
        let mut view = HealthView::default();
        let effect = view.load();
        self.overlays.push(Overlay::Health(view));
        vec![effect]
    }

    fn turn(&mut self, by: usize) -> Vec<Effect> {
        match &mut self.selection.record {
            Some(pane) => pane.turn(by).into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// Scrolls values sideways, in the list or in the record.
    fn scroll(&mut self, right: bool) -> Vec<Effect> {
        match self.ctx.focus {
            Pane::Errors => self.errors.scroll(right),
            _ => return self.of_record(|pane| pane.scroll(right)),
        }
        Vec::new()
    }

    fn of_record(&mut self, change: impl FnOnce(&mut RecordPane)) -> Vec<Effect> {
        if let Some(pane) = &mut self.selection.record {
            change(pane);
        }
        Vec::new()
    }

    pub(super) fn of_log(&mut self, operation: impl FnOnce(&mut LogPane)) -> Vec<Effect> {
        operation(&mut self.log);
        Vec::new()
    }

    fn seek(&mut self, without: &str, seek: impl FnOnce(&mut LogPane) -> bool) -> Vec<Effect> {
        if !seek(&mut self.log) {
            self.say(Tone::Neutral, without);
        }
        Vec::new()
    }
}
