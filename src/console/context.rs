//! What every component may read and only the app changes: the time, the screen, the settings, the keys, which pane has
//! them, how things stand, and whether the database can be reached.

use std::sync::Arc;

use chrono::{DateTime, FixedOffset, Offset, Utc};

use super::keymap::Keymap;
use super::pane::Pane;
use super::settings::Settings;
use super::theme::Theme;
use crate::domain::attached::told::HerokuStatus;
use crate::domain::names::RowRef;
use crate::domain::operations::operation;
use crate::domain::reports::overview::{MappingStatus, Overview};
use crate::domain::state::EngineState;

/// After so many seconds without an answer the console says that PostgreSQL is silent.
const SILENCE: i64 = 3;

/// How a message of the last line is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// It went as it should.
    Good,
    /// Worth knowing.
    Neutral,
    /// It did not.
    Bad,
}

/// A message in the last line, which stays for a while.
#[derive(Clone, Debug, PartialEq)]
pub struct Toast {
    /// The words.
    pub text: String,
    /// How they are meant.
    pub tone: Tone,
    /// Until when.
    pub until: DateTime<Utc>,
}

/// Whether PostgreSQL can be reached, and answers.
#[derive(Debug, Default)]
pub struct Database {
    /// Why it is out of reach, while it is.
    pub lost: Option<String>,
    /// Since when.
    pub lost_since: Option<DateTime<Utc>>,
    /// Whether the overview was asked for since: that it is answered tells that PostgreSQL is back.
    pub asked_since: bool,
    /// When the overview was read last.
    pub told_at: Option<DateTime<Utc>>,
    /// Whether what showed here was taken over from Heroku Connect by this console: it is looked for in vain since.
    pub taken_over: bool,
    /// Since when PostgreSQL owes an answer.
    pub owed_since: Option<DateTime<Utc>>,
}

impl Database {
    /// The way to it broke.
    pub fn lose(&mut self, why: String, now: DateTime<Utc>) {
        if self.lost.replace(why).is_none() {
            (self.lost_since, self.asked_since) = (Some(now), false);
        }
    }

    /// It is back.
    pub fn restore(&mut self) {
        (self.lost, self.lost_since, self.asked_since) = (None, None, false);
        self.taken_over = false;
    }

    /// For how many seconds it has not answered, when that is longer than it ever takes.
    pub fn unanswered_for(&self, now: DateTime<Utc>) -> Option<i64> {
        let seconds = (now - self.owed_since?).num_seconds();
        (seconds >= SILENCE).then_some(seconds)
    }
}

/// The context.
#[derive(Debug)]
pub struct Context {
    /// The time, moved by ticks.
    pub now: DateTime<Utc>,
    /// Columns and lines.
    pub size: (u16, u16),
    /// The looks.
    pub theme: Theme,
    /// The keys in force.
    pub keymap: Arc<Keymap>,
    /// The rest of how the console behaves.
    pub settings: Settings,
    /// Whether nothing may be changed here.
    pub read_only: bool,
    /// Why, where that is the database's doing.
    pub why_read_only: Option<String>,
    /// The pane with the keys.
    pub focus: Pane,
    /// Whether it has the whole screen.
    pub zoom: bool,
    /// Which of the two lists shows: [`Pane::Errors`] or [`Pane::Pending`].
    pub list: Pane,
    /// The state of engine, connection and mappings, once known.
    pub overview: Option<Overview>,
    /// Whether PostgreSQL can be reached.
    pub database: Database,
    /// What just happened.
    pub toast: Option<Toast>,
}

impl Context {
    /// Of a console that knows nothing yet.
    pub fn new(now: DateTime<Utc>, size: (u16, u16), settings: Settings) -> Context {
        Context {
            now,
            size,
            theme: settings.theme,
            keymap: settings.keymap.clone(),
            read_only: settings.read_only,
            why_read_only: None,
            focus: Pane::Errors,
            zoom: false,
            list: Pane::Errors,
            overview: None,
            database: Database::default(),
            toast: None,
            settings,
        }
    }

    /// Says something in the last line.
    pub fn say(&mut self, tone: Tone, text: impl Into<String>) {
        let seconds = if tone == Tone::Bad { 12 } else { 5 };
        self.toast =
            Some(Toast { text: text.into(), tone, until: self.now + chrono::Duration::seconds(seconds) });
    }

    /// A time of day as the operator wants it.
    pub fn clock(&self, time: DateTime<Utc>) -> String {
        self.local(time).format("%H:%M:%S").to_string()
    }

    /// A time where the operator is, or in UTC.
    pub fn local(&self, time: DateTime<Utc>) -> DateTime<FixedOffset> {
        time.with_timezone(&if self.settings.utc { Utc.fix() } else { self.settings.zone })
    }

    /// Whether Heroku Connect keeps the database.
    pub fn is_attached(&self) -> bool {
        self.overview.as_ref().is_some_and(|overview| overview.engine.state == EngineState::Attached)
    }

    /// What Heroku Connect's API tells, or why it does not, where the connection is attached.
    pub fn heroku(&self) -> Option<&HerokuStatus> {
        self.overview.as_ref().and_then(|overview| overview.heroku.as_ref())
    }

    /// What of the errors is not listed, and why.
    pub fn gaps(&self) -> &[String] {
        self.overview.as_ref().map_or(&[], |overview| &overview.gaps)
    }

    /// The mappings, as far as they are known.
    pub fn mappings(&self) -> &[MappingStatus] {
        self.overview.as_ref().map_or(&[], |overview| &overview.mappings)
    }

    /// The table of a mapping.
    pub fn table_of(&self, name: &str) -> String {
        let known = self.mappings().iter().find(|mapping| mapping.name == name);
        known.map_or_else(|| name.to_lowercase(), |mapping| mapping.table.clone())
    }

    /// What a row is called: its mapping and its number, as lists have it.
    pub fn row_name(&self, row: &RowRef) -> String {
        let mapping = self.mappings().iter().find(|mapping| mapping.table == row.table);
        format!("{} {}", mapping.map_or(row.table.as_str(), |mapping| mapping.name.as_str()), row.row)
    }

    /// What the connection that shows is for.
    pub fn environment(&self) -> &str {
        let configured =
            self.settings.connections.iter().find(|known| known.name == self.settings.connection);
        let configured = configured.map_or("", |known| known.environment.as_str());
        let told = self.overview.as_ref().map_or("", |overview| overview.connection.environment.as_str());
        operation::environment(configured, told)
    }

    /// While PostgreSQL is out of reach: of when something is that still shows.
    pub fn as_of(&self, seen: Option<DateTime<Utc>>) -> Option<String> {
        self.database.lost.as_ref()?;
        Some(format!("as of {}", self.clock(seen?)))
    }

    /// Since when PostgreSQL is out of reach, in words.
    pub fn away(&self) -> Option<String> {
        Some(format!("database unreachable since {}", self.clock(self.database.lost_since?)))
    }
}
