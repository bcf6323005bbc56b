//! What Heroku Connect's API tells beside the database, and what it is told to do. Nobody who looks waits for it: the last answer is
//! held, and another one asked for beside. Without a key, or while it does not answer, all that shows is what the database tells, with
//! the reason.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use crate::client::error::{ClientError, ErrorKind};
use crate::domain::attached::told::{HerokuStatus, ToldConnection};
use crate::domain::reports::overview::{ConnectionStatus, MappingStatus};
use crate::domain::state::{ConnectionState, MappingState};
use crate::heroku;
use crate::heroku::KeptDatabase;

/// Between two answers.
const PAUSE: Duration = Duration::from_secs(10);
/// How long somebody who looks once waits for it.
const GLANCE: Duration = Duration::from_secs(5);
/// The longest pause after failures, which double it.
const LONGEST: Duration = Duration::from_secs(300);

/// Heroku Connect's API, as far as it can be asked.
pub struct HerokuApi {
    /// The client, or why there is none.
    client: Result<heroku::Client, String>,
    /// Between two answers.
    pause: Duration,
    last: Mutex<Last>,
    /// Whoever holds it asks.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Last {
    told: Option<Arc<ToldConnection>>,
    /// When that was told.
    at: Option<DateTime<Utc>>,
    failed: Option<heroku::Error>,
    /// When it is to be asked again.
    due: Option<Instant>,
    pause: Duration,
    /// Goes up when something was done there; what was asked before that is out of date.
    changes: u64,
}

/// What is known of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Heard {
    /// What it told, unless it failed since.
    pub(super) told: Option<Arc<ToldConnection>>,
    status: HerokuStatus,
}

impl HerokuApi {
    /// An API that can be asked, or why it cannot.
    pub fn new(client: Result<heroku::Client, String>) -> HerokuApi {
        HerokuApi { client, pause: PAUSE, last: Mutex::default(), asking: tokio::sync::Mutex::default() }
    }

    /// The same, asked so often.
    pub fn asked_every(self, pause: Duration) -> HerokuApi {
        HerokuApi { pause, ..self }
    }

    /// The same, for the connection that keeps these tables.
    pub(super) fn of_database(self, kept: KeptDatabase) -> HerokuApi {
        HerokuApi { client: self.client.map(|client| client.of_database(kept)), ..self }
    }

    fn last<T>(&self, of: impl FnOnce(&mut Last) -> T) -> T {
        of(&mut self.last.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The client.
    ///
    /// # Errors
    /// Why there is none.
    pub(in crate::client) fn client(&self) -> Result<&heroku::Client, ClientError> {
        let refused =
            |why: &String| ClientError::refused(format!("Heroku Connect's API is not asked: {why}"));
        self.client.as_ref().map_err(refused)
    }

    /// What is known.
    pub(super) fn heard(&self) -> Heard {
        let client = match &self.client {
            Ok(client) => client,
            Err(why) => {
                let status = HerokuStatus { trouble: Some(why.clone()), ..HerokuStatus::default() };
                return Heard { told: None, status };
            }
        };
        self.last(|last| {
            let told = last.told.clone().filter(|_| last.failed.is_none());
            let trouble = last.failed.as_ref().map(ToString::to_string);
            let status = HerokuStatus {
                has_key: true,
                app: Some(client.app().to_owned()),
                resource: told.as_ref().map(|told| told.resource.clone()),
                state: told.as_ref().map(|told| told.state.clone()),
                meaning: told.as_ref().and_then(|told| told.meaning()).map(str::to_owned),
                told_at: last.at,
                trouble,
            };
            Heard { told, status }
        })
    }

    /// Whether it is time to ask, and nobody does.
    pub(super) fn is_due(&self) -> bool {
        self.client.is_ok() && self.is_old() && self.asking.try_lock().is_ok()
    }

    fn is_old(&self) -> bool {
        self.last(|last| last.due.is_none_or(|due| due <= Instant::now()))
    }

    /// Asks like that, and gives up before long; that it did is told like any other failure.
    pub(in crate::client) async fn glance(&self) {
        let Ok(client) = &self.client else { return };
        if tokio::time::timeout(GLANCE, self.ask()).await.is_err() {
            let (host, seconds) = (client.host(), GLANCE.as_secs());
            let slow = heroku::Error::Slow { host, seconds, changes: false };
            self.last(|last| (last.failed, last.due) = (Some(slow), None));
        }
    }

    /// Asks, where it is time; whoever asks already is waited for.
    pub(in crate::client) async fn ask(&self) {
        let Ok(client) = &self.client else { return };
        let _asking = self.asking.lock().await;
        if !self.is_old() {
            return;
        }
        let changes = self.last(|last| last.changes);
        let told = client.connection().await;
        self.last(|last| {
            match told {
                Ok(told) => {
                    (last.told, last.at, last.failed) = (Some(Arc::new(told)), Some(Utc::now()), None);
                    last.pause = self.pause;
                }
                Err(error) => {
                    last.pause = error.wait().unwrap_or((last.pause * 2).clamp(self.pause, LONGEST));
                    last.failed = Some(error);
                }
            }
            last.due = (last.changes == changes).then(|| Instant::now() + last.pause);
        });
    }

    /// Has the next look ask: something was done there.
    pub(super) fn look_again(&self) {
        self.last(|last| (last.due, last.changes) = (None, last.changes + 1));
    }
}

impl Heard {
    /// What is told of the connection, beside what the database tells of it.
    pub(super) fn connection(&self, connection: ConnectionStatus) -> (ConnectionStatus, HerokuStatus) {
        let Some(told) = &self.told else { return (connection, self.status.clone()) };
        let standing = told.standing();
        let state = if standing == ConnectionState::Unknown { connection.state } else { standing };
        let detail = match (state, told.meaning()) {
            // Where it does not work, that comes before what is good to know.
            (ConnectionState::Ok, _) | (_, None) => connection.detail,
            (_, Some(why)) => {
                let rest = connection.detail.map(|detail| format!("; {detail}")).unwrap_or_default();
                Some(format!("Heroku Connect is {}: {why}{rest}", told.state))
            }
        };
        (ConnectionStatus { state, detail, ..connection }, self.status.clone())
    }

    /// What is told of a mapping, beside what the database tells of it: its state hides no error of its rows.
    pub(super) fn mapping(&self, mapping: MappingStatus) -> MappingStatus {
        let Some(connection) = &self.told else { return mapping };
        if matches!(mapping.state, MappingState::Broken | MappingState::Unmapped) {
            return mapping;
        }
        let Some(told) = connection.mapping(&mapping.table) else {
            let detail = Some("Heroku Connect's API tells of no such mapping".to_owned());
            return MappingStatus { detail: mapping.detail.or(detail), ..mapping };
        };
        let state = match told.standing() {
            standing @ (MappingState::Broken | MappingState::Loading) => standing,
            _ if mapping.state == MappingState::Errors => mapping.state,
            _ if connection.is_paused() => MappingState::Paused,
            _ => mapping.state,
        };
        let why = (state == told.standing() && state != MappingState::Ok)
            .then(|| format!("Heroku Connect: {}", told.text()));
        MappingStatus {
            state,
            detail: why.or(mapping.detail),
            records: told.records,
            last_read: told.last_read,
            last_write: told.last_write,
            heroku: Some(told.clone()),
            ..mapping
        }
    }
}

impl From<heroku::Error> for ClientError {
    fn from(error: heroku::Error) -> ClientError {
        use heroku::Error;
        let kind = match &error {
            Error::NoMapping { .. } => ErrorKind::Invalid,
            Error::KeyRefused { .. } | Error::NoAccess { .. } | Error::NoKey { .. } => ErrorKind::NoRights,
            Error::NoApp { .. } | Error::NoConnection { .. } => ErrorKind::NotFound,
            Error::Refused { status: 409, .. } => ErrorKind::Conflict,
            Error::ReadOnly
            | Error::Several { .. }
            | Error::OtherSchema { .. }
            | Error::OtherDatabase { .. }
            | Error::Unproven { .. }
            | Error::Refused { .. } => ErrorKind::Refused,
            Error::Limited { .. }
            | Error::Unreachable { .. }
            | Error::Lost { .. }
            | Error::Slow { .. }
            | Error::Unusable { .. } => ErrorKind::Unavailable,
        };
        ClientError::new(kind, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::attached::told::ToldMapping;

    fn heard(connection: &str, mapping: &str) -> Heard {
        let mapping = ToldMapping {
            object: "Contact".to_owned(),
            state: mapping.to_owned(),
            records: Some(7),
            ..ToldMapping::default()
        };
        let told = ToldConnection {
            state: connection.to_owned(),
            mappings: vec![mapping],
            ..ToldConnection::default()
        };
        Heard { told: Some(Arc::new(told)), status: HerokuStatus::default() }
    }

    fn standing(connection: &str, mapping: &str, state: MappingState) -> (MappingState, Option<i64>) {
        let own = MappingStatus { table: "contact".to_owned(), state, ..MappingStatus::default() };
        let both = heard(connection, mapping).mapping(own);
        (both.state, both.records)
    }

    #[test]
    fn no_state_that_is_told_hides_what_the_database_shows() {
        use MappingState::{Broken, Errors, Loading, Ok, Paused, Unmapped};
        for (connection, mapping, own, both) in [
            ("IDLE", "DATA_SYNCED", Ok, Ok),
            ("IDLE", "DATA_SYNCED", Errors, Errors),
            ("PAUSED", "DATA_SYNCED", Ok, Paused),
            ("PAUSED", "DATA_SYNCED", Errors, Errors),
            ("IDLE", "RELOAD_TABLE", Ok, Loading),
            ("IDLE", "BULK_LOAD_ERROR", Errors, Broken),
            ("IDLE", "SOMETHING_NEW", Errors, Errors),
            ("IDLE", "SOMETHING_NEW", Ok, Ok),
        ] {
            assert_eq!(standing(connection, mapping, own), (both, Some(7)), "{connection} {mapping} {own}");
        }
        assert_eq!(standing("IDLE", "DATA_SYNCED", Unmapped), (Unmapped, None));
    }

    #[test]
    fn a_connection_that_does_not_work_says_so_first() {
        let own = ConnectionStatus { detail: Some("known".to_owned()), ..ConnectionStatus::default() };
        let own = ConnectionStatus { state: ConnectionState::Ok, ..own };
        let (told, _) = heard("UNAUTHORIZED", "DATA_SYNCED").connection(own.clone());
        assert_eq!(told.state, ConnectionState::Unauthorized);
        assert!(
            told.detail.unwrap().starts_with("Heroku Connect is UNAUTHORIZED: Salesforce refuses its login")
        );
        let (told, _) = heard("PAUSED", "DATA_SYNCED").connection(own.clone());
        assert_eq!(told, own);
        let (told, _) = heard("SOMETHING_NEW", "DATA_SYNCED").connection(own.clone());
        assert_eq!(told, own);
    }
}
