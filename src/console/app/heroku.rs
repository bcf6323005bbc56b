//! Heroku Connect's own lists, as commands and keys ask for them, and what it is told to do about itself.

use crate::client::api::ClientError;
use crate::client::heroku::{HerokuList, HerokuListed};
use crate::domain::attached::told::NotificationFilter;
use crate::domain::names::RowRef;

use super::App;
use super::navigation::HerokuOrigin;
use crate::console::context::Tone;
use crate::console::effect::Effect;
use crate::console::overlays::{HerokuView, Overlay};

/// What a recovery does, for whoever is asked.
const RECOVERS: &str = "Heroku Connect begins again, as after a new sign-in";

impl App {
    /// Shows one of the lists, in the place of what showed of them before.
    pub(super) fn heroku_list(&mut self, list: HerokuList) -> Vec<Effect> {
        self.overlays.retain(|overlay| !matches!(overlay, Overlay::Heroku(_)));
        self.navigation.heroku_list = None;
        self.overlays.push(Overlay::Heroku(Box::new(HerokuView::new(list))));
        self.ask_heroku()
    }

    /// Asks for the list that shows.
    pub(super) fn ask_heroku(&mut self) -> Vec<Effect> {
        self.navigation.heroku_asks += 1;
        let (id, now) = (self.navigation.heroku_asks, self.ctx.now);
        let Some(view) = self.heroku_view() else { return Vec::new() };
        view.ask(id, now);
        vec![Effect::LoadHeroku { id, list: view.list() }]
    }

    fn heroku_view(&mut self) -> Option<&mut HerokuView> {
        self.overlays.iter_mut().rev().find_map(|overlay| match overlay {
            Overlay::Heroku(view) => Some(&mut **view),
            _ => None,
        })
    }

    /// A list came.
    pub(super) fn heroku_came(&mut self, id: u64, result: Result<HerokuListed, ClientError>) {
        let now = self.ctx.now;
        if let Some(view) = self.heroku_view() {
            view.take(id, result, now);
        }
    }

    /// The row of a refused write was looked for: its record is opened, or it is said why not.
    pub(super) fn row_looked_for(&mut self, row: &RowRef, result: Result<(), ClientError>) -> Vec<Effect> {
        if !self.was_waited_for(|asked| matches!(asked, Effect::LookForRow(of) if of == row)) {
            return Vec::new();
        }
        if let Err(refused) = result {
            self.say_refused(&refused);
            return Vec::new();
        }
        let unsaved = self.selection.record.as_ref().filter(|pane| pane.row != *row && pane.keeps());
        if let Some(unsaved) = unsaved.map(|pane| self.ctx.row_name(&pane.row)) {
            let text = format!(
                "{unsaved} has changed fields that are not saved: Esc closes this list, then Ctrl-S saves and sends them"
            );
            self.say(Tone::Neutral, text);
            return Vec::new();
        }
        self.ctx.toast = None;
        let at = self.overlays.iter().rposition(|overlay| matches!(overlay, Overlay::Heroku(_)));
        let list = at.map(|at| self.overlays.remove(at));
        let mut effects = vec![Effect::EndHeroku];
        effects.extend(self.open_row(row.clone()));
        if let Some(Overlay::Heroku(mut view)) = list {
            view.give_up();
            let depth = self.navigation.record_stack.len();
            self.navigation.heroku_list = Some(HerokuOrigin { view, row: row.clone(), depth });
        }
        effects
    }

    /// The list that the open record was opened from, where the next step back leads to it.
    pub(super) fn heroku_list_of_record(&mut self) -> Option<Box<HerokuView>> {
        let (row, depth) = (self.selection.row()?, self.navigation.record_stack.len());
        let origin = &mut self.navigation.heroku_list;
        origin.take_if(|origin| origin.row == row && origin.depth == depth).map(|origin| origin.view)
    }

    /// Asks before what was shown is acknowledged.
    pub(super) fn ask_acknowledge_heroku(
        &mut self,
        filter: NotificationFilter,
        count: usize,
        is_whole: bool,
    ) -> Vec<Effect> {
        if self.ctx.read_only {
            self.say(Tone::Neutral, "this console is read-only");
            return Vec::new();
        }
        let others = if is_whole { "" } else { ", and those before them that did not come" };
        let (what, does) = match count {
            1 => ("1 notification".to_owned(), "It is"),
            count => (format!("{count} notifications"), "They are"),
        };
        let does = format!("{does} acknowledged for everybody{others}");
        let text = self.of_heroku(&what, &does);
        self.begin_or_ask(Effect::AcknowledgeHeroku(filter), Some(text))
    }

    /// It was done, or not, or the answer was lost; what is left is asked for where it shows.
    pub(super) fn heroku_acknowledged(&mut self, result: Result<String, ClientError>) -> Vec<Effect> {
        self.say_done(result);
        let Some(view) = self.heroku_view() else { return Vec::new() };
        view.forget(HerokuList::Notifications);
        if view.list() == HerokuList::Notifications { self.ask_heroku() } else { Vec::new() }
    }

    /// Asks before Heroku Connect begins again.
    pub(super) fn ask_recover(&mut self) -> Vec<Effect> {
        let count = self.ctx.mappings().len();
        let text = self.of_heroku(&format!("all {count} mappings"), RECOVERS);
        self.begin_or_ask(Effect::RecoverHeroku, Some(text))
    }
}
