//! What becomes of a component's outcomes: here alone one component learns what another one asked for.

use crossterm::event::KeyEvent;

use super::{App, layout};
use crate::console::command::Command;
use crate::console::context::Tone;
use crate::console::effect::Effect;
use crate::console::outcome::Outcome;
use crate::console::overlays::{About, Menu, Overlay, Prompt};
use crate::console::pane::Pane;
use crate::domain::errors::filter::Filter;

impl App {
    /// A key for the uppermost overlay.
    pub(super) fn overlay_key(&mut self, key: KeyEvent) -> Vec<Effect> {
        let log = &self.log;
        let outcomes = self.overlays.last_mut().map(|overlay| overlay.key(log, key)).unwrap_or_default();
        if let Some(overlay) = self.overlays.last_mut() {
            overlay.settle(&self.ctx);
        }
        self.settle_outcomes(outcomes)
    }

    fn settle_outcomes(&mut self, outcomes: Vec<Outcome>) -> Vec<Effect> {
        outcomes.into_iter().flat_map(|outcome| self.settle_outcome(outcome)).collect()
    }

    pub(super) fn settle_outcome(&mut self, outcome: Outcome) -> Vec<Effect> {
        if self.ctx.read_only && outcome.command().is_some_and(Command::mutates) {
            self.say(Tone::Neutral, "this console is read-only");
            return Vec::new();
        }
        match outcome {
            Outcome::Effect(effect) => return vec![effect],
            Outcome::Begin { effect, question } => return self.begin_or_ask(effect, question),
            Outcome::Confirmed(effect) => return self.begin(effect),
            Outcome::Load(words, effect) => return self.wait_for(words, effect),
            Outcome::Run(command, pane) => {
                let mut effects = if pane == self.ctx.focus { Vec::new() } else { self.go(pane) };
                effects.extend(self.run(command));
                return effects;
            }
            Outcome::List { filter, label } => return self.drill(&filter, label),
            Outcome::LookAtMapping(name) => return self.look_at_mapping(&name),
            Outcome::Sort(by) => return self.sort(by),
            Outcome::ApplyFilter { pane, text } => return self.apply_filter(pane, &text),
            Outcome::PreviewFilter => return self.preview(),
            Outcome::EndFilter => return self.end_typing(),
            Outcome::FilterBy { pane, filter } => return self.filter_by_kept(pane, &filter),
            Outcome::KeepFilter { pane, name, filter } => return self.keep_filter(pane, &name, filter),
            Outcome::SwitchSource(at) => return self.switch_source(at),
            Outcome::SearchLog(text) => return self.search_log(&text),
            Outcome::NarrowLog(part) => return self.narrow_log(&part),
            Outcome::WriteLogLines(path) => return vec![Effect::KeepLines { path, kept: self.log.kept() }],
            Outcome::AskRule { mapping, rule } => {
                let selected = || self.mapping().map(|mapping| mapping.name.clone());
                let Some(mapping) = mapping.or_else(selected) else { return Vec::new() };
                self.overlays.push(Overlay::Prompt(Prompt::new(About::Rule { mapping }, vec![rule])));
            }
            Outcome::Verify(mapping) => return self.verify_mapping(mapping),
            Outcome::AskMergeInto(row) => {
                self.overlays.push(Overlay::Prompt(Prompt::new(About::MergeInto { row }, Vec::new())));
            }
            Outcome::PickValue { row, field, shown, offer } => {
                let menu = Menu::values(&self.ctx.row_name(&row), &row, &field, shown.as_ref(), &offer);
                self.overlays.push(Overlay::Menu(menu));
            }
            Outcome::Info { title, text } => self.overlays.push(Overlay::info(title, text)),
            Outcome::OpenRow(row) => return self.open_row(row),
            Outcome::Save(edit) => return self.save(edit),
            Outcome::Compare(row) => return self.compare(row),
            Outcome::Plan { chosen, kind } => return self.look_first(Effect::Plan { chosen, kind }),
            Outcome::OfGroup { filter, label, command } => return self.of_group(&filter, label, command),
            Outcome::AskSilence { rule, subject } => return self.ask_silence(rule, subject),
            Outcome::AskAcknowledge { rule, subject } => return self.ask_acknowledge(rule, subject),
            Outcome::AskNote { group, cause, note } => return self.ask_note(group, cause, note),
            Outcome::AskMute { group, cause } => return self.ask_mute(group, cause),
            Outcome::ReadReceived => return self.read_received(),
            Outcome::LookAtSetup { task, file } => return self.look_at_setup(task, file),
            Outcome::RunSetup(run) => return self.run_setup(run),
            Outcome::LookAtShadow { file } => return self.look_at_shadow(file),
            Outcome::AskShadowFile => return self.ask_file(About::ShadowFile),
            Outcome::AskShadowTime => return self.ask_shadow_time(),
            Outcome::ShadowTime(time) => return self.shadow_time(time),
            Outcome::RunShadow { run, time } => return self.run_shadow(run, time),
            Outcome::LeaveShadow => return self.leave_shadow(),
            Outcome::AskHeroku => return self.ask_heroku(),
            Outcome::AcknowledgeHeroku { filter, count, is_whole } => {
                return self.ask_acknowledge_heroku(filter, count, is_whole);
            }
            Outcome::CopyText(text) => return self.copy_text(text),
            Outcome::AskWriteText { name, text } => {
                let about = About::WriteText { text };
                self.overlays.push(Overlay::Prompt(Prompt::new(about, vec![name.to_owned()])));
            }
            Outcome::Execute { plan, why } => return self.execute(plan, why),
            Outcome::GiveUp => return self.gave_up(),
            Outcome::Repair { table, report, side } => self.ask_repair(table, report, side),
            Outcome::Keep(row, change) => {
                self.selection.record_of(&row).into_iter().for_each(|pane| pane.keep(change.clone()));
            }
            Outcome::Close => drop(self.overlays.pop()),
            Outcome::ConfirmLeave => self.overlays.push(Overlay::ConfirmLeave),
            Outcome::Say(tone, text) => self.say(tone, text),
            Outcome::Unsay => self.ctx.toast = None,
            Outcome::Columns(columns) => self.ctx.settings.columns = columns,
            Outcome::Theme(name) => {
                let followed = self.ctx.theme.follows();
                self.ctx.theme = self.ctx.theme.chosen(name).unwrap_or(self.ctx.theme);
                // The terminal is asked for its background with the whole screen.
                if self.ctx.theme.follows() && !followed {
                    return vec![Effect::Redraw];
                }
            }
        }
        Vec::new()
    }

    /// A filter was typed: it is in force, or what is wrong with it is said beside it.
    fn apply_filter(&mut self, pane: Pane, text: &str) -> Vec<Effect> {
        let refused = match pane {
            Pane::Log => self.log.refusal(text, self.ctx.now),
            _ => Filter::parse(text, self.ctx.now).err().map(|error| error.to_string()),
        };
        if let (Some(Overlay::Filter(line)), Some(_)) = (self.overlays.last_mut(), &refused) {
            line.complaint = refused;
            return Vec::new();
        }
        self.overlays.pop();
        if pane == Pane::Errors && self.is_away() {
            return self.end_typing();
        }
        if pane == Pane::Log {
            self.log.remember(text);
            return self.filter_log(text);
        }
        self.errors.trail.remember(text);
        self.navigation.list_stack.clear();
        if self.errors.keep_typed(text) {
            return Vec::new();
        }
        self.list(text)
    }

    /// Pasted text for the uppermost overlay. What cannot be seen is not changed.
    pub(super) fn paste(&mut self, text: &str) -> Vec<Effect> {
        let overlay = self.overlays.last_mut().filter(|_| layout::fits(self.ctx.size));
        let outcomes = overlay.map(|overlay| overlay.paste(text)).unwrap_or_default();
        self.settle_outcomes(outcomes)
    }
}
