//! Alerts and causes, as keys ask for them: what fires, silences and notes that are typed, and what becomes of them.

use super::App;
use super::update::one_line;
use crate::client::alerts::AlertsView;
use crate::client::api::ClientError;
use crate::console::context::Tone;
use crate::console::effect::{CauseChange, Effect};
use crate::console::overlays::{About, AlertsOverlay, Overlay, Prompt, RECEIVER};
use crate::console::pane::Pane;

/// What is offered for how long a silence lasts.
const LENGTHS: [&str; 4] = ["1h", "4h", "1d", "7d"];
/// What is offered for what ends a mute.
const UNTIL: [&str; 5] = ["grows", "100 more", "1d", "7d", "off"];

impl App {
    /// Shows how alerts stand.
    pub(super) fn alerts(&mut self) -> Vec<Effect> {
        self.overlays.push(Overlay::Alerts(AlertsOverlay::default()));
        self.load_alerts()
    }

    /// Asks how they stand, where that shows.
    pub(super) fn load_alerts(&mut self) -> Vec<Effect> {
        let shows = self.overlays.iter().any(|overlay| matches!(overlay, Overlay::Alerts(_)));
        if shows && self.inflight.alerts.start() { vec![Effect::LoadAlerts] } else { Vec::new() }
    }

    /// How they stand came.
    pub(super) fn alerts_came(&mut self, result: Result<AlertsView, ClientError>) -> Vec<Effect> {
        let again = self.inflight.alerts.finish();
        let open = self.overlays.iter_mut().find_map(|overlay| match overlay {
            Overlay::Alerts(alerts) => Some(alerts),
            _ => None,
        });
        match (open, result) {
            (Some(alerts), Ok(view)) => alerts.take(view),
            (Some(alerts), Err(refused)) => alerts.refuse(one_line(&refused.to_string())),
            (None, _) => {}
        }
        if again { self.load_alerts() } else { Vec::new() }
    }

    /// Something was done about them, or not.
    pub(super) fn alerts_changed(&mut self, result: Result<String, ClientError>) -> Vec<Effect> {
        self.say_done(result);
        let mut effects = self.load_alerts();
        effects.extend(self.load_overview());
        effects
    }

    /// Something was said about a cause, or not; where the causes show, they show it.
    pub(super) fn cause_changed(&mut self, result: Result<String, ClientError>) -> Vec<Effect> {
        self.say_done(result);
        let filter = self.overlays.iter().find_map(|overlay| match overlay {
            Overlay::Groups(view) => Some(view.filter().to_owned()),
            _ => None,
        });
        match filter.filter(|_| self.inflight.groups.start()) {
            Some(filter) => vec![Effect::RenewGroups(filter)],
            None => Vec::new(),
        }
    }

    /// Asks for how long alerts are silenced, and why.
    pub(super) fn ask_silence(&mut self, rule: Option<String>, subject: Option<String>) -> Vec<Effect> {
        self.ask(About::Silence { rule, subject }, LENGTHS.map(str::to_owned).into())
    }

    /// Asks what is said with an acknowledgement.
    pub(super) fn ask_acknowledge(&mut self, rule: String, subject: Option<String>) -> Vec<Effect> {
        self.ask(About::Acknowledge { rule, subject }, Vec::new())
    }

    /// Asks what is to be known about a cause; what is known stands there.
    pub(super) fn ask_note(&mut self, group: String, cause: String, note: String) -> Vec<Effect> {
        self.ask(About::NoteCause { group, cause }, vec![note])
    }

    /// Asks until when a cause is muted.
    pub(super) fn ask_mute(&mut self, group: String, cause: String) -> Vec<Effect> {
        self.ask(About::MuteCause { group, cause, now: self.ctx.now }, UNTIL.map(str::to_owned).into())
    }

    fn ask(&mut self, about: About, suggestions: Vec<String>) -> Vec<Effect> {
        self.overlays.push(Overlay::Prompt(Prompt::new(about, suggestions)));
        Vec::new()
    }

    /// The group of the selected error, and its errors in words.
    fn selected_group(&self) -> Option<(String, String)> {
        let error = self.errors.selected().filter(|error| !error.group.is_empty())?;
        Some((error.group.clone(), format!("{} {}", error.mapping, error.code).trim().to_owned()))
    }

    /// The cause of the selected error is the operator's.
    pub(super) fn own_cause(&mut self) -> Vec<Effect> {
        let group = self.selected_group();
        group.map(|(group, _)| Effect::Cause { group, change: CauseChange::Own }).into_iter().collect()
    }

    /// Asks for the note of the cause of the selected error, to be changed.
    pub(super) fn note_cause(&mut self) -> Vec<Effect> {
        let group = self.selected_group();
        group.map(|(group, cause)| Effect::LoadNote { group, cause }).into_iter().collect()
    }

    /// The note came.
    pub(super) fn note_came(
        &mut self,
        group: String,
        cause: String,
        note: Result<String, ClientError>,
    ) -> Vec<Effect> {
        match note {
            Ok(note) => self.ask_note(group, cause, note),
            Err(refused) => {
                self.say(Tone::Bad, one_line(&refused.to_string()));
                Vec::new()
            }
        }
    }

    /// The same with a mute.
    pub(super) fn mute_cause(&mut self) -> Vec<Effect> {
        self.selected_group().map(|(group, cause)| self.ask_mute(group, cause)).unwrap_or_default()
    }

    /// The log with nothing but what the receiver of alerts got.
    pub(super) fn read_received(&mut self) -> Vec<Effect> {
        if !self.log.sources.all().iter().any(|source| source.name == RECEIVER) {
            self.say(Tone::Neutral, format!("no source of the log is called {RECEIVER}"));
            return Vec::new();
        }
        self.overlays.pop();
        let mut effects = self.go(Pane::Log);
        effects.extend(self.filter_log(&format!("source:{RECEIVER}")));
        effects
    }
}
