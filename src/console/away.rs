//! A database that is out of reach: what shows stays as it was last seen, with the time of that; what needs the database
//! says so; and all is read again when it is back.

use chrono::{DateTime, Utc};

use super::effect::Effect;
use super::enabled::AWAY;
use super::model::{Model, Tone};
use super::update::one_line;

impl Model {
    /// The way to it broke.
    pub(super) fn went_away(&mut self, why: String) -> Vec<Effect> {
        self.say(Tone::Bad, format!("{}; what shows is as it was last seen, and stays", one_line(&why)));
        if self.lost.replace(why).is_none() {
            (self.lost_since, self.asked_since) = (Some(self.now), false);
        }
        self.give_up(AWAY);
        Vec::new()
    }

    /// PostgreSQL is back: everything that shows is read again.
    pub(super) fn restored(&mut self) -> Vec<Effect> {
        (self.lost, self.lost_since, self.asked_since) = (None, None, false);
        self.say(Tone::Good, "PostgreSQL is back");
        self.refresh()
    }

    /// Whether PostgreSQL is out of reach, which is said then: what shows is not given up for a list that cannot come.
    pub(super) fn is_away(&mut self) -> bool {
        if self.lost.is_some() {
            self.say(Tone::Neutral, AWAY);
        }
        self.lost.is_some()
    }

    /// While PostgreSQL is out of reach: of when something is that still shows.
    pub fn as_of(&self, seen: Option<DateTime<Utc>>) -> Option<String> {
        self.lost.as_ref()?;
        Some(format!("as of {}", self.clock(seen?)))
    }

    /// Since when PostgreSQL is out of reach, in words.
    pub fn away(&self) -> Option<String> {
        Some(format!("database unreachable since {}", self.clock(self.lost_since?)))
    }
}
