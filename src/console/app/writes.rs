//! What is done to a mapping or to all of them, and what is asked before: on production, whatever stops writes.

use crate::domain::attached::told::{EMPTIES, HerokuStatus, PAUSES};
use crate::domain::operations::operation::{Confirm, confirm_stop};
use crate::domain::reports::overview::{MappingStatus, Writes};
use crate::domain::state::{ConnectionState, MappingState};

use super::App;
use crate::console::context::Tone;
use crate::console::effect::Effect;
use crate::console::overlays::Overlay;
use crate::console::panes::record::BEING_SENT;

impl App {
    /// The selected mapping.
    pub(super) fn mapping(&self) -> Option<&MappingStatus> {
        self.ctx.mappings().get(self.mappings.cursor.at)
    }

    pub(super) fn writes(&mut self) -> Vec<Effect> {
        // Heroku Connect's mappings rest and go on together, whatever becomes of their writes.
        if let Some(heroku) = self.ctx.heroku() {
            let works =
                self.ctx.overview.as_ref().is_some_and(|of| of.connection.state == ConnectionState::Ok);
            // After an error it is resumed, too.
            let to = if heroku.is_paused() || !works { Writes::Resume } else { Writes::Pause };
            return self.ask_all(Effect::Writes { mapping: None, to });
        }
        let off = self.mapping().is_some_and(|mapping| {
            [MappingState::Paused, MappingState::Stopped, MappingState::Draining].contains(&mapping.state)
        });
        self.write_as(if off { Writes::Resume } else { Writes::Pause })
    }

    /// Has the selected mapping's writes stopped, drained or resumed.
    pub(super) fn write_as(&mut self, to: Writes) -> Vec<Effect> {
        let Some(name) = self.mapping().map(|mapping| mapping.name.clone()) else { return Vec::new() };
        self.begin_or_ask(Effect::Writes { mapping: Some(name), to }, None)
    }

    /// Asks before something is done to all mappings.
    pub(super) fn ask_all(&mut self, effect: Effect) -> Vec<Effect> {
        let count = self.ctx.mappings().len();
        let attached = self.ctx.is_attached();
        let does = match &effect {
            Effect::Writes { to: Writes::Pause, .. } if attached => PAUSES,
            Effect::Writes { to: Writes::Resume, .. } if attached => "Heroku Connect goes on",
            Effect::Reload(_) if attached => EMPTIES,
            Effect::Writes { to: Writes::Pause, .. } => "The writes rest: changes are kept, reads go on.",
            Effect::Writes { to: Writes::Resume, .. } => {
                "The writes go on, also where somebody let them rest."
            }
            Effect::Test(_) => {
                "The newest rows of each are sent to Salesforce in calls that it takes back whole."
            }
            Effect::Writes { .. } => {
                "What waits now is sent, then the writes rest: changes are kept, reads go on."
            }
            _ => "All records are read again from Salesforce, which takes API requests and a while.",
        };
        let end = if does.ends_with('.') { "" } else { "." };
        let text = match attached {
            true => self.of_heroku(&format!("all {count} mappings"), does),
            false => format!("All {count} mappings of this connection. {does}{end}"),
        };
        self.begin_or_ask(effect, Some(text))
    }

    pub(super) fn ask_test(&mut self) -> Vec<Effect> {
        let Some(name) = self.mapping().map(|mapping| mapping.name.clone()) else { return Vec::new() };
        let text = format!(
            "{name}: its newest rows are sent to Salesforce in a call that it takes back whole. {}",
            crate::domain::changes::dry_run::NOT_TAKEN_BACK
        );
        self.overlays.push(Overlay::confirm(text, Confirm::Yes, Effect::Test(Some(name))));
        Vec::new()
    }

    pub(super) fn ask_reload(&mut self) -> Vec<Effect> {
        let Some(name) = self.mapping().map(|mapping| mapping.name.clone()) else { return Vec::new() };
        if self.ctx.is_attached() {
            return self.begin_or_ask(Effect::Reload(Some(name)), None);
        }
        let text = format!(
            "{name}: all its records are read again from Salesforce, which takes API requests and a while. What waits to be sent stays."
        );
        self.overlays.push(Overlay::confirm(text, Confirm::Yes, Effect::Reload(Some(name))));
        Vec::new()
    }

    /// Begins something, or asks first: in these words, and on production whenever it stops writes, of several mappings
    /// by their number. What is offered for a row that is being sent by now is done no more.
    pub(super) fn begin_or_ask(&mut self, effect: Effect, text: Option<String>) -> Vec<Effect> {
        let remedy = matches!(effect, Effect::Apply { .. } | Effect::Link { .. });
        if remedy && effect.sends().is_some_and(|row| self.selection.is_being_sent(row)) {
            self.say(Tone::Neutral, BEING_SENT);
            return Vec::new();
        }
        let (stops, confirm) = self.stops(&effect);
        match (text.or(stops), confirm) {
            (None, _) => self.begin(effect),
            (Some(text), confirm) => {
                self.overlays.push(Overlay::confirm(text, confirm, effect));
                Vec::new()
            }
        }
    }

    /// What Heroku Connect is told to do: on which environment, which one, and with what.
    pub(super) fn of_heroku(&self, whose: &str, does: &str) -> String {
        let environment = self.ctx.environment().to_uppercase();
        let heroku = self.ctx.heroku().map(HerokuStatus::whose).unwrap_or_default();
        format!("{environment}: {heroku}: {whose}. {does}.")
    }

    /// What is asked on production before writes are stopped, and how.
    fn stops(&self, effect: &Effect) -> (Option<String>, Confirm) {
        let attached = self.ctx.is_attached();
        // A table that is emptied stops more than writes.
        let empties = match effect {
            Effect::Reload(mapping) if attached => Some((mapping.as_deref(), EMPTIES)),
            _ => None,
        };
        let Some((mapping, does)) = empties.or_else(|| effect.stops()) else { return (None, Confirm::Yes) };
        let all = self.ctx.mappings().len();
        let environment = self.ctx.environment();
        let confirm = confirm_stop(if mapping.is_some() { 1 } else { all }, environment);
        let whose = mapping.map_or_else(|| format!("all {all} mappings"), str::to_owned);
        let text = match attached {
            true => self.of_heroku(&whose, does),
            false => format!("{}: the writes of {whose}: {does}.", environment.to_uppercase()),
        };
        if confirm == Confirm::Nothing && empties.is_some() {
            (Some(text), Confirm::Yes)
        } else if confirm == Confirm::Nothing {
            (None, Confirm::Yes)
        } else {
            (Some(text), confirm)
        }
    }
}
