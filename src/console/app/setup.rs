//! What a configuration makes of the database, as commands ask for it: which configuration, the look, and what came of it.

use crate::client::api::ClientError;
use crate::client::setup::{SetupOutcome, SetupPreview, SetupRun, SetupTask};

use super::App;
use crate::console::context::Tone;
use crate::console::effect::{Effect, SetupRequest};
use crate::console::overlays::{About, Overlay, Prompt, SetupView};

/// What a configuration is often called that was imported beside one that is attached.
const IMPORTED: &str = "own.toml";
/// Said to whoever leaves while it is compared.
const SHADOW_ENDED: &str = "the comparison beside Heroku Connect ended with the console, without its report\n\
    from a shell it goes on without a console: syncdeck shadow";

impl App {
    /// Looks at it; beside Heroku Connect, whose connection has neither mappings nor a login, after asking for the
    /// configuration.
    pub(super) fn ask_setup(&mut self, task: SetupTask) -> Vec<Effect> {
        let needs_file = matches!(task, SetupTask::Plan | SetupTask::Adopt) && self.ctx.is_attached();
        if !needs_file {
            return self.look_at_setup(task, None);
        }
        self.ask_file(About::SetupFile { task })
    }

    /// Asks for a configuration: the one that was named last is the likeliest.
    pub(super) fn ask_file(&mut self, about: About) -> Vec<Effect> {
        let named = self.navigation.setup_file.clone().or(self.ctx.settings.setup_file.clone());
        let file = named.unwrap_or_else(|| IMPORTED.to_owned());
        self.overlays.push(Overlay::Prompt(Prompt::new(about, vec![file])));
        Vec::new()
    }

    /// Looks at it, in the place of what was looked at before.
    pub(super) fn look_at_setup(&mut self, task: SetupTask, file: Option<String>) -> Vec<Effect> {
        self.overlays.retain(|overlay| !matches!(overlay, Overlay::Setup(_)));
        self.ctx.toast = None;
        self.navigation.setup_file = file.clone().or(self.navigation.setup_file.take());
        self.navigation.setups += 1;
        let request = SetupRequest { id: self.navigation.setups, task, file };
        let view = SetupView::new(request.clone(), self.ctx.is_attached(), self.ctx.now);
        self.overlays.push(Overlay::Setup(Box::new(view)));
        vec![Effect::LookAtSetup(request)]
    }

    /// The screen that a look of this number shows on, while it is open.
    fn setup_view(&mut self, id: u64) -> Option<&mut SetupView> {
        self.overlays.iter_mut().find_map(|overlay| match overlay {
            Overlay::Setup(view) if view.request().id == id => Some(&mut **view),
            _ => None,
        })
    }

    /// Whether something is being done to the database that must not stand still.
    pub(super) fn setup_does(&self) -> bool {
        self.overlays.iter().any(|overlay| matches!(overlay, Overlay::Setup(view) if view.does()))
    }

    /// What is to be looked at after the console was left now, of what is being done.
    pub fn unfinished(&self) -> Option<String> {
        let of_setup = self.overlays.iter().find_map(|overlay| match overlay {
            Overlay::Setup(view) => view.unfinished(),
            _ => None,
        });
        of_setup.or_else(|| self.shadow_runs().then(|| SHADOW_ENDED.to_owned()))
    }

    /// What was found came. Whoever gave it up is not told.
    pub(super) fn setup_found(&mut self, id: u64, result: Result<SetupPreview, ClientError>) {
        if let Some(view) = self.setup_view(id).filter(|view| view.looks()) {
            view.found(result);
        }
    }

    /// It begins.
    pub(super) fn run_setup(&mut self, run: SetupRun) -> Vec<Effect> {
        let now = self.ctx.now;
        let Some(Overlay::Setup(view)) = self.overlays.last_mut() else { return Vec::new() };
        view.begin(now);
        vec![Effect::RunSetup { id: view.request().id, run }]
    }

    /// What it is at.
    pub(super) fn setup_told(&mut self, id: u64, line: String) {
        if let Some(view) = self.setup_view(id) {
            view.told(line);
        }
    }

    /// It is over. It changed who keeps the tables, so all that shows is asked for again.
    pub(super) fn setup_done(&mut self, id: u64, result: SetupOutcome) -> Vec<Effect> {
        let (task, well) = (self.setup_view(id).map(|view| view.request().task), result.is_ok());
        match self.setup_view(id).filter(|view| view.does()) {
            Some(view) => view.done(result),
            None => match result {
                Ok(_) => self.say(Tone::Good, "it is done"),
                Err(refused) => self.say_refused(&refused),
            },
        }
        if well && task == Some(SetupTask::Adopt) {
            self.ctx.database.taken_over = true;
        }
        self.load_overview()
    }
}
