//! All that the console knows.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, FixedOffset, Offset, Utc};

use crate::config::state::ConsoleState;
use crate::domain::act;
use crate::domain::names::RowRef;
use crate::domain::overview::Overview;
use crate::domain::sync_error::SyncError;

use super::command::Id;
use super::keymap::Keymap;
use super::overlays::Overlay;
use super::panes::errors::ErrorsPane;
use super::panes::log::LogPane;
use super::panes::mappings::MappingsPane;
use super::panes::pending::PendingPane;
use super::panes::record::RecordPane;
use super::theme::Theme;

/// After so many seconds without an answer it is said that PostgreSQL is silent.
const SILENCE: i64 = 3;

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
    /// What waits and what is in flight; it has the place of the errors while it is looked at.
    Pending,
}

impl Pane {
    /// In the order of their numbers.
    pub const ALL: [Pane; 5] = [Pane::Mappings, Pane::Errors, Pane::Record, Pane::Log, Pane::Pending];

    /// Its name.
    pub fn title(self) -> &'static str {
        match self {
            Pane::Mappings => "Mappings",
            Pane::Errors => "Errors",
            Pane::Record => "Record",
            Pane::Log => "Log",
            Pane::Pending => "Pending",
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

    /// Whether an answer is waited for.
    pub fn is_under_way(&self) -> bool {
        self.under_way
    }

    /// It is back. True when another was wanted meanwhile.
    pub fn land(&mut self) -> bool {
        self.under_way = false;
        std::mem::take(&mut self.again)
    }
}

/// How the console is to look and behave; from the configuration and the surroundings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The operator's time zone.
    pub zone: FixedOffset,
    /// Times are shown in UTC.
    pub utc: bool,
    /// The time of day is shown.
    pub clock: bool,
    /// The looks.
    pub theme: Theme,
    /// It runs in tmux, whose default keeps what is copied from the terminal.
    pub tmux: bool,
    /// The keys.
    pub keymap: Arc<Keymap>,
    /// Nothing that changes anything is offered.
    pub read_only: bool,
    /// What the log may take in memory, in bytes.
    pub log_memory: usize,
    /// Filters that were saved, by name.
    pub filters: BTreeMap<String, String>,
    /// The connection that shows.
    pub connection: String,
    /// What is said while it is opened.
    pub opening: String,
    /// What is said when the console comes up: why another connection was not opened.
    pub notice: Option<String>,
    /// The connections of the configuration, with what each is for.
    pub connections: Vec<Connection>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            zone: Utc.fix(),
            utc: false,
            clock: true,
            theme: Theme::new(true),
            tmux: false,
            keymap: Arc::default(),
            read_only: false,
            log_memory: 64 << 20,
            filters: BTreeMap::new(),
            connection: String::new(),
            opening: "reading ...".to_owned(),
            notice: None,
            connections: Vec::new(),
        }
    }
}

/// A connection that one can go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Its name.
    pub name: String,
    /// `prod`, `sandbox`, ...
    pub environment: String,
}

/// The one model.
#[derive(Debug)]
pub struct Model {
    /// The time, moved by ticks.
    pub now: DateTime<Utc>,
    /// Columns and lines.
    pub size: (u16, u16),
    /// The looks.
    pub theme: Theme,
    /// Nothing that changes anything is offered, and why.
    pub read_only: bool,
    /// Why nothing may be changed, where that is the database's doing.
    pub why_read_only: Option<String>,
    /// The keys in force.
    pub keymap: Arc<Keymap>,
    /// The rest of how it behaves.
    pub settings: Settings,
    /// The pane with the keys.
    pub focus: Pane,
    /// Whether it has the whole screen.
    pub zoom: bool,
    /// Which of the two lists shows: [`Pane::Errors`] or [`Pane::Pending`].
    pub list: Pane,
    /// The pane from which the record was opened: one step back.
    pub came_from: Pane,
    /// The records from which relatives were gone to: one step back each.
    pub trail: Vec<RowRef>,
    /// The cause that one comes back from.
    pub cause: Option<String>,
    /// Whether something is to be done with all errors of a cause, right from the causes.
    pub of_cause: bool,
    /// With which command leaving an open record's changes was tried just now.
    pub leaving: Option<Id>,
    /// Whether that had the whole screen.
    pub came_zoomed: bool,
    /// From where lists were opened, with the filter that was there and what it was called: one step
    /// back each.
    pub drilled: Vec<(Pane, String, Option<String>)>,
    /// How things stand, once known.
    pub overview: Option<Overview>,
    /// Why PostgreSQL is out of reach, while it is.
    pub lost: Option<String>,
    /// Since when.
    pub lost_since: Option<DateTime<Utc>>,
    /// Whether how things stand was asked for since: that it is answered tells that it is back.
    pub asked_since: bool,
    /// When how things stand was told last.
    pub told_at: Option<DateTime<Utc>>,
    /// Since when PostgreSQL owes an answer.
    pub owed_since: Option<DateTime<Utc>>,
    /// Mappings.
    pub mappings: MappingsPane,
    /// Errors.
    pub errors: ErrorsPane,
    /// The open record.
    pub record: Option<RecordPane>,
    /// Rows of which a save is under way.
    pub saving: Vec<RowRef>,
    /// Rows that something is being done to which sends them, and of which it is not known yet what came of it.
    pub sending: Vec<RowRef>,
    /// The log.
    pub log: LogPane,
    /// Filters of the log that were typed, newest last.
    pub log_filters: Vec<String>,
    /// What waits and what is in flight.
    pub pending: PendingPane,
    /// Counts the moves of the selection: the record follows the last one.
    pub resting: u64,
    /// Whether the last of them is waited for to have rested.
    pub rests: bool,
    /// The row that was selected then.
    pub resting_on: Option<RowRef>,
    /// The row that a key acts on as the last frame showed it, and whether its record did; nothing where nothing draws.
    pub on_screen: Option<(Option<RowRef>, bool)>,
    /// Whether the selection rested under an overlay, so that the record did not follow.
    pub unfollowed: bool,
    /// Where one stood when that was kept last.
    pub kept_state: Option<ConsoleState>,
    /// Whether it is being looked at what an act would do.
    pub planning: bool,
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
    /// See [`Flight`].
    pub pending_flight: Flight,
    /// See [`Flight`].
    pub count_flight: Flight,
    /// See [`Flight`]; of causes that are read again while they show.
    pub groups_flight: Flight,
    /// See [`Flight`]; of trends that are read again while they show.
    pub trends_flight: Flight,
    /// Whether the record that is asked for is asked for after what was saved or sent last.
    pub awaits_answer: bool,
}

impl Model {
    /// A console that knows nothing yet.
    pub fn new(now: DateTime<Utc>, size: (u16, u16), settings: Settings) -> Model {
        Model {
            now,
            size,
            theme: settings.theme,
            read_only: settings.read_only,
            why_read_only: None,
            keymap: settings.keymap.clone(),
            focus: Pane::Errors,
            zoom: false,
            list: Pane::Errors,
            came_from: Pane::Errors,
            cause: None,
            of_cause: false,
            leaving: None,
            came_zoomed: false,
            trail: Vec::new(),
            drilled: Vec::new(),
            overview: None,
            lost: None,
            lost_since: None,
            asked_since: false,
            told_at: None,
            owed_since: None,
            mappings: MappingsPane::default(),
            errors: ErrorsPane::default(),
            record: None,
            saving: Vec::new(),
            sending: Vec::new(),
            log: LogPane::new(settings.log_memory),
            log_filters: Vec::new(),
            pending: PendingPane::default(),
            resting: 0,
            rests: false,
            resting_on: None,
            on_screen: None,
            unfollowed: false,
            kept_state: None,
            planning: false,
            overlays: Vec::new(),
            toast: None,
            dirty: true,
            overview_flight: Flight::default(),
            errors_flight: Flight::default(),
            record_flight: Flight::default(),
            log_flight: Flight::default(),
            pending_flight: Flight::default(),
            count_flight: Flight::default(),
            groups_flight: Flight::default(),
            trends_flight: Flight::default(),
            awaits_answer: false,
            settings,
        }
    }

    /// Says something in the last line.
    pub fn say(&mut self, tone: Tone, text: impl Into<String>) {
        let seconds = if tone == Tone::Bad { 12 } else { 5 };
        self.toast =
            Some(Toast { text: text.into(), tone, until: self.now + chrono::Duration::seconds(seconds) });
    }

    /// For how many seconds PostgreSQL has not answered, when that is longer than it ever takes.
    pub fn unanswered_for(&self) -> Option<i64> {
        let seconds = (self.now - self.owed_since?).num_seconds();
        (seconds >= SILENCE).then_some(seconds)
    }

    /// A time of day as the operator wants it.
    pub fn clock(&self, time: DateTime<Utc>) -> String {
        self.local(time).format("%H:%M:%S").to_string()
    }

    /// A time where the operator is, or in UTC.
    pub fn local(&self, time: DateTime<Utc>) -> DateTime<FixedOffset> {
        time.with_timezone(&if self.settings.utc { Utc.fix() } else { self.settings.zone })
    }

    /// The selected error, where it is one of a read, a mapping or the connection: there is no record to open for it.
    pub fn rowless(&self) -> Option<&SyncError> {
        self.errors.selected().filter(|error| self.list == Pane::Errors && error.row_id.is_none())
    }

    /// Whether a row is on its way to Salesforce, or something is just being done to it that sends it: what is known to be
    /// wrong with it is no longer what is.
    pub fn is_being_sent(&self, row: &RowRef) -> bool {
        let open = self.record.as_ref().filter(|pane| pane.row == *row);
        self.sending.contains(row) || open.is_some_and(RecordPane::is_being_sent)
    }

    /// What the connection that shows is for.
    pub fn environment(&self) -> &str {
        let configured =
            self.settings.connections.iter().find(|known| known.name == self.settings.connection);
        let configured = configured.map_or("", |known| known.environment.as_str());
        let told = self.overview.as_ref().map_or("", |overview| overview.connection.environment.as_str());
        act::environment(configured, told)
    }

    /// The filters that were saved, by name.
    pub fn saved_filters(&self) -> impl Iterator<Item = (&str, &str)> {
        self.settings.filters.iter().map(|(name, filter)| (name.as_str(), filter.as_str()))
    }
}
