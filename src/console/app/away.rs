//! A database that is out of reach: what shows stays as it was last seen, with the time of that; what needs the database
//! says so; and all is read again when it is back.

use super::App;
use super::availability::AWAY;
use super::update::one_line;
use crate::console::context::Tone;
use crate::console::effect::Effect;
use crate::console::overlays::Overlay;

impl App {
    /// The way to it broke.
    pub(super) fn went_away(&mut self, why: String) -> Vec<Effect> {
        // A takeover that this console makes tells it itself.
        if !self.overlays.iter().any(|overlay| matches!(overlay, Overlay::Setup(view) if view.did())) {
            self.say(Tone::Bad, format!("{}; what shows is as it was last seen, and stays", one_line(&why)));
        }
        self.ctx.database.lose(why, self.ctx.now);
        self.give_up(AWAY);
        Vec::new()
    }

    /// PostgreSQL is back: everything that shows is read again.
    pub(super) fn restored(&mut self) -> Vec<Effect> {
        let given_back = self.ctx.database.taken_over;
        self.ctx.database.restore();
        let said = if given_back { "Heroku Connect keeps these tables again" } else { "PostgreSQL is back" };
        self.say(Tone::Good, said);
        self.refresh()
    }

    /// Whether PostgreSQL is out of reach, which is said then: what shows is not given up for a list that cannot come.
    pub(super) fn is_away(&mut self) -> bool {
        if self.ctx.database.lost.is_some() {
            self.say(Tone::Neutral, AWAY);
        }
        self.ctx.database.lost.is_some()
    }
}
