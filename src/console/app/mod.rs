//! The app: all components together, and what becomes of each message. Here alone components meet: what one of them
//! answers ([`super::outcome::Outcome`]) is done here to the others.
//!
//! Each part of the state has one owner: `Navigation` the way back, `Selection` the selected row and its record,
//! `InFlightRequests` what is under way, each pane its list. What all of them may read is [`Context`].

mod alerts;
mod answers;
mod availability;
mod away;
mod causes;
mod commands;
pub mod draw;
mod groups;
mod heroku;
pub mod inflight;
pub mod layout;
mod lines;
mod lists;
mod load;
mod mouse;
mod movement;
mod navigation;
mod operations;
mod outcomes;
mod record;
mod selection;
mod session;
mod setup;
mod shadow;
mod subject;
mod triage;
pub mod update;
mod writes;

use chrono::{DateTime, Utc};

use self::inflight::InFlightRequests;
use self::navigation::Navigation;
use self::selection::Selection;
use self::update::one_line;
use super::context::{Context, Tone};
use super::overlays::{Overlay, ShadowView};
use super::pane::Pane;
use super::panes::errors::ErrorsPane;
use super::panes::groups::GroupsPane;
use super::panes::log::LogPane;
use super::panes::mappings::MappingsPane;
use super::panes::pending::PendingPane;
use super::settings::Settings;
use crate::client::api::ClientError;
use crate::config::state::SessionState;
use crate::domain::errors::sync_error::SyncError;

/// All components.
#[derive(Debug)]
pub struct App {
    /// What all may read.
    pub ctx: Context,
    /// The way back.
    pub navigation: Navigation,
    /// The selected row and its record.
    pub selection: Selection,
    /// Requests that are under way.
    pub inflight: InFlightRequests,
    /// Mappings.
    pub mappings: MappingsPane,
    /// Errors.
    pub errors: ErrorsPane,
    /// The causes of the errors.
    pub groups: GroupsPane,
    /// The log.
    pub log: LogPane,
    /// What waits and what is in flight.
    pub pending: PendingPane,
    /// What lies on top, the last one uppermost.
    pub overlays: Vec<Overlay>,
    /// The comparison beside Heroku Connect that was left going, or its report.
    pub shadow_aside: Option<Box<ShadowView>>,
    /// The session as it was kept last.
    pub kept: Option<SessionState>,
    /// Whether the screen no longer shows what is known.
    pub dirty: bool,
}

impl App {
    /// A console that knows nothing yet.
    pub fn new(now: DateTime<Utc>, size: (u16, u16), settings: Settings) -> App {
        App {
            navigation: Navigation::default(),
            selection: Selection::default(),
            inflight: InFlightRequests::default(),
            mappings: MappingsPane::default(),
            errors: ErrorsPane::default(),
            groups: GroupsPane::default(),
            log: LogPane::new(settings.log_memory),
            pending: PendingPane::default(),
            overlays: Vec::new(),
            shadow_aside: None,
            kept: None,
            dirty: true,
            ctx: Context::new(now, size, settings),
        }
    }

    /// Says something in the last line.
    pub fn say(&mut self, tone: Tone, text: impl Into<String>) {
        self.ctx.say(tone, text);
    }

    /// Says why something was not done.
    pub(super) fn say_refused(&mut self, refused: &ClientError) {
        self.say(Tone::Bad, one_line(&refused.to_string()));
    }

    /// Says what was done, or why not.
    pub(super) fn say_done(&mut self, result: Result<String, ClientError>) {
        match result {
            Ok(done) => self.say(Tone::Good, done),
            Err(refused) => self.say_refused(&refused),
        }
    }

    /// The selected error, where it is one of a read, a mapping or the connection: there is no record to open for it.
    pub fn rowless(&self) -> Option<&SyncError> {
        self.errors.selected().filter(|error| self.ctx.list == Pane::Errors && error.row_id.is_none())
    }
}
