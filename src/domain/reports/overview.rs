//! How things stand: the connection, the engine and every mapping, with their counts
//! (`status --json` prints exactly these members).

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::attached::told::{HerokuStatus, ToldMapping};
use crate::domain::errors::sync_error::SyncError;
use crate::domain::records::consistency::VerifyStatus;
use crate::domain::state::{ConnectionState, EngineState, MappingState};

/// Everything at a glance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Overview {
    /// The way to Salesforce.
    pub connection: ConnectionStatus,
    /// Who runs the engine, and how it is.
    pub engine: EngineStatus,
    /// One entry per mapping, in the order of the configuration.
    pub mappings: Vec<MappingStatus>,
    /// What people are told about.
    #[serde(default)]
    pub alerts: AlertsStatus,
    /// What of the errors is not listed, and why, a line each: where they are found by looking, as beside Heroku Connect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<String>,
    /// Beside Heroku Connect: what its own API tells, or why it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heroku: Option<HerokuStatus>,
}

/// Alerts at a glance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertsStatus {
    /// How many fire.
    pub firing: i64,
    /// Of those, how many nobody silenced or has in hand.
    pub unattended: i64,
    /// Channels that do not take messages.
    pub failing_channels: Vec<FailingChannel>,
}

/// A channel that does not take messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailingChannel {
    /// Its name.
    pub name: String,
    /// Why, in a word: `auth`, `rate`, `refused`, `unreachable`, `gone`, `unset`.
    pub reason: String,
}

impl Overview {
    /// What waits because of an error that is of no row, in a sentence.
    pub fn waits_for(&self, error: &SyncError) -> String {
        let changes = |pending: i64| match pending {
            0 => "no change".to_owned(),
            1 => "1 change".to_owned(),
            pending => format!("{pending} changes"),
        };
        let mapping = self.mappings.iter().find(|mapping| mapping.name == error.mapping);
        match mapping {
            None if error.mapping.is_empty() && self.connection.state != ConnectionState::Ok => {
                let pending = self.mappings.iter().map(|mapping| mapping.pending).sum();
                format!("All reads and writes wait for it, with {} to be sent.", changes(pending))
            }
            Some(mapping) if mapping.state == MappingState::Broken => {
                let pending = changes(mapping.pending);
                format!("Reads and writes of {} wait for it, with {pending} to be sent.", mapping.name)
            }
            Some(mapping) if mapping.state == MappingState::Stopped => {
                let (name, pending) = (&mapping.name, changes(mapping.pending));
                format!(
                    "Writes of {name} wait, with {pending} to be sent, for: syncdeck mapping {name} resume"
                )
            }
            _ => "Nothing else waits for it.".to_owned(),
        }
    }
}

/// The way to Salesforce.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ConnectionStatus {
    /// Name from the configuration, `acme`.
    pub name: String,
    /// `prod`, `sandbox`, `demo`, ... as configured.
    pub environment: String,
    /// How it is; unknown when the engine gives no sign of life.
    pub state: ConnectionState,
    /// Why, when it is not `ok`, and what to do.
    pub detail: Option<String>,
    /// API requests used of the daily allowance, and that allowance.
    pub api_used: Option<i64>,
    /// See `api_used`.
    pub api_limit: Option<i64>,
    /// The org's own address, as its login answered: `https://acme.my.salesforce.com`.
    #[serde(default)]
    pub instance_url: Option<String>,
}

/// Who runs the engine, and how it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EngineStatus {
    /// How it is.
    pub state: EngineState,
    /// Host and process of the engine.
    pub owner: Option<String>,
    /// Its last sign of life.
    pub seen_at: Option<DateTime<Utc>>,
}

/// One mapping.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MappingStatus {
    /// Object name, `Contact`.
    pub name: String,
    /// Table, `contact`.
    pub table: String,
    /// `read_write` or `read_only`.
    pub access: String,
    /// How it is.
    pub state: MappingState,
    /// Why, where the state needs a word.
    pub detail: Option<String>,
    /// What it does on an error: `skip`, `retry`, `fail_fast`, `manual_review`.
    #[serde(default)]
    pub strategy: String,
    /// Rows in the table (kept by the engine; an estimate above a million).
    pub rows: i64,
    /// Records in Salesforce at the last full count.
    pub records: Option<i64>,
    /// Units waiting or in flight.
    pub pending: i64,
    /// Unresolved errors that need a person or a retry (held and ignored ones excluded).
    pub errors: i64,
    /// Errors first seen within the last hour.
    pub errors_last_hour: i64,
    /// Units held for their parent.
    pub held: i64,
    /// Last successful read from Salesforce.
    pub last_read: Option<DateTime<Utc>>,
    /// Last write that Salesforce accepted.
    pub last_write: Option<DateTime<Utc>>,
    /// `errors`, by the word of their category.
    #[serde(default)]
    pub by_category: BTreeMap<String, i64>,
    /// Since when the oldest unit that is ready, in flight or stopped waits.
    #[serde(default)]
    pub oldest_pending: Option<DateTime<Utc>>,
    /// Since when every answer was a rejection; `None` while the newest is an acceptance, or nothing was ever rejected.
    #[serde(default)]
    pub failing_since: Option<DateTime<Utc>>,
    /// How far it is loaded, while it loads.
    #[serde(default)]
    pub load: Option<LoadProgress>,
    /// Seconds since the last successful read beyond the time from one to the next; `None` while it loads.
    #[serde(default)]
    pub lag_seconds: Option<i64>,
    /// How the comparisons of both sides stand.
    #[serde(default)]
    pub verify: VerifyStatus,
    /// How Salesforce's change events stand, where they are asked for.
    #[serde(default)]
    pub events: Option<EventsStatus>,
    /// What Heroku Connect's API tells of it, beside Heroku Connect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heroku: Option<ToldMapping>,
}

/// How the change events of a mapping stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventsStatus {
    /// Whether they come.
    pub flow: bool,
    /// Since when that is so; nothing while nobody tried.
    pub since: Option<DateTime<Utc>>,
    /// Why they do not come.
    pub reason: Option<String>,
    /// When the last one came.
    pub last: Option<DateTime<Utc>>,
}

impl EventsStatus {
    /// In a sentence; `clock` shows a time.
    pub fn text(&self, clock: impl Fn(DateTime<Utc>) -> String) -> String {
        let since = self.since.map(|since| format!(" since {}", clock(since))).unwrap_or_default();
        let last = self.last.map(|last| format!(", the last one at {}", clock(last))).unwrap_or_default();
        match &self.reason {
            _ if self.flow => format!("change events come{since}{last}"),
            Some(reason) => format!("change events do not come{since}{last}: {reason}"),
            None => format!("change events do not come yet{last}"),
        }
    }
}

/// How far a load is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadProgress {
    /// Records that were read.
    pub done: i64,
    /// Records there are, as Salesforce told at the beginning.
    pub total: i64,
    /// When it began.
    pub began_at: DateTime<Utc>,
}

/// What an operator wants of a mapping's writes. Reads go on, and changes are kept, whatever is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Writes {
    /// Nothing is sent any more, but for what is in flight.
    Pause,
    /// What waits now is still sent, and nothing that is captured later; then they are paused.
    Drain,
    /// Everything is sent.
    Resume,
}

impl Writes {
    /// As it is typed.
    pub fn word(self) -> &'static str {
        match self {
            Writes::Pause => "pause",
            Writes::Drain => "drain",
            Writes::Resume => "resume",
        }
    }

    /// What it does to the writes of a mapping that an operator stops or drains; `None` where it lets them go on.
    pub fn stops(self) -> Option<&'static str> {
        match self {
            Writes::Pause => {
                Some("nothing is sent to Salesforce any more until they are resumed; changes are kept")
            }
            Writes::Drain => Some(
                "what waits now is sent, and nothing after that until they are resumed; changes are kept",
            ),
            Writes::Resume => None,
        }
    }

    /// From its word.
    pub fn from_word(word: &str) -> Option<Writes> {
        [Writes::Pause, Writes::Drain, Writes::Resume].into_iter().find(|writes| writes.word() == word)
    }
}
