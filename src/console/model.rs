//! All that the console knows.

use chrono::{DateTime, FixedOffset, Utc};

use crate::domain::overview::Overview;

use super::effect::Effect;
use super::overlays::Overlay;
use super::panes::errors::ErrorsPane;
use super::panes::log::LogPane;
use super::panes::mappings::MappingsPane;
use super::panes::record::RecordPane;
use super::theme::Theme;

/// The panes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pane {
    /// Mappings and their counts.
    Mappings,
    /// The list of errors.
    Errors,
    /// One row and its record.
    Record,
    /// The log.
    Log,
}

impl Pane {
    /// In the order of their numbers.
    pub const ALL: [Pane; 4] = [Pane::Mappings, Pane::Errors, Pane::Record, Pane::Log];

    /// Its name.
    pub fn title(self) -> &'static str {
        match self {
            Pane::Mappings => "Mappings",
            Pane::Errors => "Errors",
            Pane::Record => "Record",
            Pane::Log => "Log",
        }
    }

    /// Its number, which is also its key.
    pub fn number(self) -> usize {
        Pane::ALL.iter().position(|pane| *pane == self).unwrap_or(0) + 1
    }
}

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

/// What just happened, said in the last line for a while.
#[derive(Clone, Debug, PartialEq)]
pub struct Toast {
    /// The words.
    pub text: String,
    /// How they are meant.
    pub tone: Tone,
    /// Until when.
    pub until: DateTime<Utc>,
}

/// A kind of request of which one is under way at most, and one more is remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flight {
    under_way: bool,
    again: bool,
}

impl Flight {
    /// True when the request may go now; else it goes when the one under way is back.
    pub fn take_off(&mut self) -> bool {
        self.again = self.under_way;
        !std::mem::replace(&mut self.under_way, true)
    }

    /// It is back. True when another was wanted meanwhile.
    pub fn land(&mut self) -> bool {
        self.under_way = false;
        std::mem::take(&mut self.again)
    }
}

/// The one model.
#[derive(Debug)]
pub struct Model {
    /// The time, moved by ticks.
    pub now: DateTime<Utc>,
    /// The operator's time zone.
    pub zone: FixedOffset,
    /// Columns and lines.
    pub size: (u16, u16),
    /// The looks.
    pub theme: Theme,
    /// Nothing that changes anything is offered.
    pub read_only: bool,
    /// The pane with the keys.
    pub focus: Pane,
    /// Whether it has the whole screen.
    pub zoom: bool,
    /// How things stand, once known.
    pub overview: Option<Overview>,
    /// Why PostgreSQL is out of reach, while it is.
    pub lost: Option<String>,
    /// Mappings.
    pub mappings: MappingsPane,
    /// Errors.
    pub errors: ErrorsPane,
    /// The open record.
    pub record: Option<RecordPane>,
    /// The log.
    pub log: LogPane,
    /// What lies on top, the last one uppermost.
    pub overlays: Vec<Overlay>,
    /// What just happened.
    pub toast: Option<Toast>,
    /// Whether the screen no longer shows what is known.
    pub dirty: bool,
    /// See [`Flight`].
    pub overview_flight: Flight,
    /// See [`Flight`].
    pub errors_flight: Flight,
    /// See [`Flight`].
    pub record_flight: Flight,
    /// See [`Flight`].
    pub log_flight: Flight,
}

impl Model {
    /// A console that knows nothing yet.
    pub fn new(
        now: DateTime<Utc>,
        zone: FixedOffset,
        size: (u16, u16),
        theme: Theme,
        read_only: bool,
    ) -> Model {
        Model {
            now,
            zone,
            size,
            theme,
            read_only,
            focus: Pane::Errors,
            zoom: false,
            overview: None,
            lost: None,
            mappings: MappingsPane::default(),
            errors: ErrorsPane::default(),
            record: None,
            log: LogPane::default(),
            overlays: Vec::new(),
            toast: None,
            dirty: true,
            overview_flight: Flight::default(),
            errors_flight: Flight::default(),
            record_flight: Flight::default(),
            log_flight: Flight::default(),
        }
    }

    /// What a console asks for when it comes up.
    pub fn start(&mut self) -> Vec<Effect> {
        self.refresh()
    }

    /// Says something in the last line.
    pub fn say(&mut self, tone: Tone, text: impl Into<String>) {
        let seconds = if tone == Tone::Bad { 12 } else { 5 };
        self.toast =
            Some(Toast { text: text.into(), tone, until: self.now + chrono::Duration::seconds(seconds) });
    }

    /// A time of day where the operator is.
    pub fn clock(&self, time: DateTime<Utc>) -> String {
        time.with_timezone(&self.zone).format("%H:%M:%S").to_string()
    }
}
