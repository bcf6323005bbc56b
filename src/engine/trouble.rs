//! What keeps the engine from its work in PostgreSQL: refused rights, a server that takes no writes, one that is gone. The log
//! lies in PostgreSQL too, so this is also told by a way that is not in trouble ([`Teller`]): when it begins, when it
//! changes, now and then while it lasts, and when it is over.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;
use tokio::time::Instant;
use tokio_postgres::error::SqlState;

use crate::domain::reports::overview::ConnectionStatus;
use crate::domain::state::ConnectionState;
use crate::logs::log::{Log, record};
use crate::logs::{Level, LogRecord};
use crate::postgres::Error;

/// Hears of trouble with PostgreSQL, by no way that leads through PostgreSQL.
pub type Teller = Arc<dyn Fn(&LogRecord) + Send + Sync>;

/// The part of the log that such records are of.
pub const PART: &str = "postgres";
/// The connection's state while it lasts.
/// While it lasts, it is told this often.
const AGAIN: Duration = Duration::from_secs(60);
/// What is over within this time is nothing that the connection's state speaks of.
const PASSING: Duration = Duration::from_secs(2);

/// The troubles of one engine's parts.
pub(super) struct Trouble {
    log: Log,
    tell: Option<Teller>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By what could not be done.
    parts: BTreeMap<&'static str, Standing>,
    /// The causes that were told, and when last.
    told: BTreeMap<String, Instant>,
}

struct Standing {
    cause: String,
    since: (Instant, DateTime<Utc>),
}

impl Trouble {
    pub(super) fn new(log: Log, tell: Option<Teller>) -> Arc<Trouble> {
        Arc::new(Trouble { log: log.of(PART), tell, state: Mutex::default() })
    }

    /// Takes note of how something went. Gives its result, where it has one.
    pub(super) fn check<T>(&self, what: &'static str, result: Result<T, Error>) -> Option<T> {
        match result {
            Ok(done) => {
                self.over(what);
                Some(done)
            }
            Err(error) => {
                self.note(what, &error);
                None
            }
        }
    }

    /// Something could not be done.
    pub(super) fn note(&self, what: &'static str, error: &Error) {
        self.note_at(Instant::now(), what, error);
    }

    fn note_at(&self, now: Instant, what: &'static str, error: &Error) {
        let cause = cause(error);
        let Ok(mut state) = self.state.lock() else { return };
        let since = (now, Utc::now());
        let standing = state.parts.entry(what).or_insert_with(|| Standing { cause: String::new(), since });
        standing.cause.clone_from(&cause);
        if state.told.get(&cause).is_none_or(|at| now.duration_since(*at) >= AGAIN) {
            state.told.insert(cause.clone(), now);
            drop(state);
            self.say(Level::Error, format!("{what}: {cause}"));
        }
    }

    /// It can be done.
    pub(super) fn over(&self, what: &'static str) {
        let Ok(mut state) = self.state.lock() else { return };
        if state.parts.remove(what).is_none() || !state.parts.is_empty() {
            return;
        }
        state.told.clear();
        drop(state);
        self.say(Level::Info, "PostgreSQL takes everything again".to_owned());
    }

    /// What the sign of life says of it.
    pub(super) fn shown(&self, status: ConnectionStatus) -> ConnectionStatus {
        self.shown_at(Instant::now(), status)
    }

    fn shown_at(&self, now: Instant, status: ConnectionStatus) -> ConnectionStatus {
        let Ok(state) = self.state.lock() else { return status };
        let lasting = state.parts.iter().filter(|(_, of)| now.duration_since(of.since.0) >= PASSING);
        match lasting.min_by_key(|(_, of)| of.since.0) {
            Some((what, of)) => {
                let since = of.since.1.format("%Y-%m-%d %H:%M:%S UTC");
                let detail = format!("since {since}, {what}: {}", of.cause);
                ConnectionStatus { state: ConnectionState::Database, detail: Some(detail), ..status }
            }
            None => status,
        }
    }

    fn say(&self, level: Level, message: String) {
        if let Some(tell) = &self.tell {
            tell(&record(level, PART, message.clone(), serde_json::Map::new()));
        }
        match level {
            Level::Error => self.log.error(message, json!({})),
            _ => self.log.info(message, json!({})),
        }
    }
}

/// Why, in words that stay the same whatever was to be done, and what to do.
fn cause(error: &Error) -> String {
    if error.is_connection() {
        return match error {
            Error::Connect(text) => text.lines().next().unwrap_or_default().to_owned(),
            _ => "the connection to PostgreSQL is broken; it is tried again".to_owned(),
        };
    }
    // A trigger's words, or a constraint's, may quote what is masked.
    let why = if error.is_of_a_record() { error.without_quotes() } else { error.reason() };
    let remedy = match error.sql_state() {
        Some(state) if *state == SqlState::READ_ONLY_SQL_TRANSACTION => {
            return "PostgreSQL takes no writes (read-only); name the primary in postgres.url, or take \
                    default_transaction_read_only back"
                .to_owned();
        }
        Some(state) if *state == SqlState::INSUFFICIENT_PRIVILEGE => {
            "; let the owner of what is named grant the right to the engine's role"
        }
        Some(state) if *state == SqlState::DISK_FULL => "; make room on the server's disk",
        _ => "",
    };
    format!("{}{remedy}", why.replace('\n', "; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_told_once_for_each_cause_and_now_and_then_while_it_lasts() {
        let told: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = told.clone();
        let tell: Teller = Arc::new(move |record| heard.lock().unwrap().push(record.message.clone()));
        let (log, _records) = Log::new(Level::Info);
        let trouble = Trouble::new(log, Some(tell));
        let no_room = || Error::Refused("no room".to_owned());
        let begin = Instant::now();
        for _ in 0..50 {
            trouble.note_at(begin, "the queue cannot be worked", &no_room());
            trouble.note_at(begin, "the log cannot be kept", &no_room());
        }
        assert_eq!(told.lock().unwrap().as_slice(), ["the queue cannot be worked: no room"]);
        let ok = ConnectionStatus { state: ConnectionState::Ok, ..ConnectionStatus::default() };
        assert_eq!(trouble.shown_at(begin, ok.clone()).state, ConnectionState::Ok);
        trouble.note_at(begin + AGAIN, "the log cannot be kept", &no_room());
        assert_eq!(told.lock().unwrap().len(), 2);
        let shown = trouble.shown_at(begin + AGAIN, ok.clone());
        assert!(shown.state == ConnectionState::Database && shown.detail.unwrap().contains(": no room"));
        trouble.over("the log cannot be kept");
        trouble.over("the queue cannot be worked");
        trouble.over("the queue cannot be worked");
        assert_eq!(told.lock().unwrap().last().unwrap(), "PostgreSQL takes everything again");
        assert_eq!((told.lock().unwrap().len(), trouble.shown(ok).state), (3, ConnectionState::Ok));
    }
}
