//! A comparison beside Heroku Connect, as commands and keys ask for it. One goes on at a time; left alone, it waits aside with
//! its rounds, and the command brings it back.

use std::time::Duration;

use crate::client::api::ClientError;
use crate::client::setup::shadow::{ShadowNews, ShadowOutcome, ShadowPreview, ShadowRun};

use super::App;
use crate::console::context::Tone;
use crate::console::effect::Effect;
use crate::console::overlays::{About, DECIDED, Overlay, Prompt, ShadowView};

/// What is offered for how long it compares.
const TIMES: [&str; 5] = [DECIDED, "1h", "8h", "1d", "7d"];

impl App {
    /// Shows the one that goes on, or looks at what can be compared.
    pub(super) fn shadow(&mut self) -> Vec<Effect> {
        match self.shadow_aside.take() {
            Some(view) => {
                self.overlays.push(Overlay::Shadow(view));
                Vec::new()
            }
            None => self.look_at_shadow(None),
        }
    }

    /// Looks at what can be compared by a configuration, in the place of what was looked at before.
    pub(super) fn look_at_shadow(&mut self, file: Option<String>) -> Vec<Effect> {
        self.overlays.retain(|overlay| !matches!(overlay, Overlay::Shadow(_)));
        self.ctx.toast = None;
        self.navigation.setup_file = file.clone().or(self.navigation.setup_file.take());
        self.navigation.setups += 1;
        let id = self.navigation.setups;
        self.overlays.push(Overlay::Shadow(Box::new(ShadowView::new(id, file.clone(), self.ctx.now))));
        vec![Effect::LookAtShadow { id, file }]
    }

    /// The screen of this number, wherever it is.
    fn shadow_view(&mut self, id: u64) -> Option<&mut ShadowView> {
        let shown = self.overlays.iter_mut().find_map(|overlay| match overlay {
            Overlay::Shadow(view) => Some(&mut **view),
            _ => None,
        });
        shown.or(self.shadow_aside.as_deref_mut()).filter(|view| view.id() == id)
    }

    /// Asks for how long it compares.
    pub(super) fn ask_shadow_time(&mut self) -> Vec<Effect> {
        let times = TIMES.map(str::to_owned).to_vec();
        self.overlays.push(Overlay::Prompt(Prompt::new(About::ShadowTime, times)));
        Vec::new()
    }

    /// That was said.
    pub(super) fn shadow_time(&mut self, time: Option<Duration>) -> Vec<Effect> {
        if let Some(Overlay::Shadow(view)) = self.overlays.last_mut() {
            view.take_time(time);
        }
        Vec::new()
    }

    /// What can be compared was found.
    pub(super) fn shadow_found(&mut self, id: u64, result: Result<ShadowPreview, ClientError>) {
        if let Some(view) = self.shadow_view(id) {
            view.found(result);
        }
    }

    /// It begins.
    pub(super) fn run_shadow(&mut self, run: ShadowRun, time: Option<Duration>) -> Vec<Effect> {
        let now = self.ctx.now;
        let Some(Overlay::Shadow(view)) = self.overlays.last_mut() else { return Vec::new() };
        view.begin(now);
        vec![Effect::RunShadow { id: view.id(), run, time }]
    }

    /// It goes on, and one does something else.
    pub(super) fn leave_shadow(&mut self) -> Vec<Effect> {
        if let Some(Overlay::Shadow(view)) = self.overlays.pop_if(|top| matches!(top, Overlay::Shadow(_))) {
            self.shadow_aside = Some(view);
            self.say(Tone::Neutral, "it goes on comparing; :shadow shows how far it is");
        }
        Vec::new()
    }

    /// Something happened.
    pub(super) fn shadow_told(&mut self, id: u64, news: ShadowNews) {
        let now = self.ctx.now;
        if let Some(view) = self.shadow_view(id) {
            view.told(news, now);
        }
    }

    /// It is over.
    pub(super) fn shadow_done(&mut self, id: u64, result: ShadowOutcome) {
        let Some(view) = self.shadow_view(id).filter(|view| view.runs()) else { return };
        view.done(result);
        if self.shadow_aside.is_some() {
            self.say(Tone::Neutral, "the comparison beside Heroku Connect is over; :shadow shows the report");
        }
    }

    /// Whether one goes on, on the screen or aside.
    pub(super) fn shadow_runs(&self) -> bool {
        let shown =
            self.overlays.iter().any(|overlay| matches!(overlay, Overlay::Shadow(view) if view.runs()));
        shown || self.shadow_aside.as_ref().is_some_and(|view| view.runs())
    }
}
