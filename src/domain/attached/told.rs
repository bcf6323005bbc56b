//! What Heroku Connect's own API tells of a connection and its mappings, in its words, and what these mean here. Its list of
//! words is open: one that is not known is shown as it came, and nothing is made of it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::state::{ConnectionState, MappingState};
use crate::domain::values::size::thousands;

use super::mode::WriteMode;

/// What a pause of Heroku Connect does, for whoever is asked.
pub const PAUSES: &str = "Heroku Connect finishes what it has begun; then nothing is read from Salesforce or sent to it until it is resumed; \
    changes are captured";
/// What a reload by Heroku Connect does, for whoever is asked.
pub const EMPTIES: &str = "Heroku Connect empties the table and loads all records again: applications find rows missing until that is done, \
    and numbers of rows (id) may change";

/// What was told so many seconds ago is as it is now.
const FRESH: i64 = 30;

/// The word of a connection that somebody paused.
const PAUSED: &str = "PAUSED";

/// The states of a connection: the word, what it means, what to do, and what it is here.
const CONNECTIONS: [(&str, &str, ConnectionState); 14] = [
    ("IDLE", "it works", ConnectionState::Ok),
    ("POLLING_DB_CHANGES", "it looks for changes in PostgreSQL", ConnectionState::Ok),
    ("BUSY", "it works", ConnectionState::Ok),
    ("IMPORT_CONFIGURATION", "it takes a configuration in", ConnectionState::Ok),
    (PAUSED, "paused: changes are captured, and wait", ConnectionState::Ok),
    ("RECOVERY", "it begins again", ConnectionState::Connecting),
    ("NEW", "it is not set up yet", ConnectionState::Connecting),
    (
        "NEED_AUTHENTICATION",
        "nobody has signed in to Salesforce: heroku connect:sf:auth",
        ConnectionState::Unauthorized,
    ),
    (
        "UNAUTHORIZED",
        "Salesforce refuses its login; sign in again: heroku connect:sf:auth",
        ConnectionState::Unauthorized,
    ),
    (
        "HEROKU_UNAUTH",
        "Heroku refuses its access to the app; open its dashboard as a member of the app",
        ConnectionState::Unauthorized,
    ),
    (
        "DB_UNAVAILABLE",
        "it cannot use the database; mend that, then: syncdeck mapping all resume",
        ConnectionState::Database,
    ),
    ("TOO_MANY_ROWS", "it has more rows than the plan allows: buy rows", ConnectionState::Limited),
    (
        "SYSTEM_ERROR",
        "an unexpected error; try: syncdeck mapping all resume, then Heroku's support",
        ConnectionState::Degraded,
    ),
    ("INACTIVE_ORG", "its org is not active any more", ConnectionState::Down),
];

/// The states of a mapping: the word, what it means, and what it is here.
const MAPPINGS: [(&str, &str, MappingState); 23] = [
    ("DATA_SYNCED", "in step", MappingState::Ok),
    ("POLLING_SF_CHANGES", "reads what changed", MappingState::Ok),
    ("POLLING_SF_BULK", "reads what changed by a bulk job", MappingState::Ok),
    ("POLLING_SF_FOR_DELETES", "reads what was deleted", MappingState::Ok),
    ("RESOLVE_EXTERNAL_IDS", "resolves external ids", MappingState::Ok),
    ("POLL_EXTERNAL_IDS", "reads external ids", MappingState::Ok),
    ("WAIT_BULK_UPDATE", "waits for a bulk job that writes", MappingState::Ok),
    ("APPLYING_BULK_UPDATE", "takes the results of a bulk job in", MappingState::Ok),
    ("ABORTED", "a job of it was aborted", MappingState::Ok),
    ("INITIAL", "is being made", MappingState::Loading),
    ("RESYNC", "loads new columns", MappingState::Loading),
    ("RELOAD_TABLE", "is read again as a whole", MappingState::Loading),
    ("WAIT_BULK_LOAD", "waits for a bulk job that reads", MappingState::Loading),
    ("LOADING_BULK_JOB", "loads the results of a bulk job", MappingState::Loading),
    ("SCHEMA_CHANGED", "its table is being changed", MappingState::Loading),
    ("RECOVERY", "begins again", MappingState::Loading),
    ("BULK_LOAD_ERROR", "its load by a bulk job failed; reload it", MappingState::Broken),
    ("SYSTEM_ERROR", "an unexpected error; reload it, then ask Heroku's support", MappingState::Broken),
    ("DB_UNAVAILABLE", "the database cannot be used", MappingState::Broken),
    ("BAD_CONFIG", "its configuration does not fit the object or the table", MappingState::Broken),
    ("SYNC_REMOVED", "it is not synced any more", MappingState::Broken),
    ("INACTIVE_ORG", "its org is not active any more", MappingState::Broken),
    ("UNAUTHORIZED", "Salesforce refuses the login: heroku connect:sf:auth", MappingState::Broken),
];

/// A connection, as the API tells it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToldConnection {
    /// The app that has it.
    pub app: String,
    /// The add-on: `herokuconnect-angular-12345`.
    pub resource: String,
    /// The schema that it keeps.
    pub schema: String,
    /// Its state, in the API's word.
    pub state: String,
    /// How it writes, where it says so.
    pub writes: Option<WriteMode>,
    /// Its last write to Salesforce.
    pub last_write: Option<DateTime<Utc>>,
    /// Its mappings.
    pub mappings: Vec<ToldMapping>,
}

impl ToldConnection {
    /// Whether somebody paused it.
    pub fn is_paused(&self) -> bool {
        self.state == PAUSED
    }

    /// What its state means, and what to do about it; nothing for a word that is not known.
    pub fn meaning(&self) -> Option<&'static str> {
        CONNECTIONS.iter().find(|(word, ..)| *word == self.state).map(|(_, meaning, _)| *meaning)
    }

    /// What its state is here.
    pub fn standing(&self) -> ConnectionState {
        let found = CONNECTIONS.iter().find(|(word, ..)| *word == self.state);
        found.map_or(ConnectionState::Unknown, |(.., state)| *state)
    }

    /// Which one it is: `herokuconnect-angular-12345 of acme-prod`.
    pub fn whose(&self) -> String {
        format!("{} of {}", self.resource, self.app)
    }

    /// The mapping of an object; case does not matter, for tables have small letters only.
    pub fn mapping(&self, object: &str) -> Option<&ToldMapping> {
        self.mappings.iter().find(|mapping| mapping.object.eq_ignore_ascii_case(object))
    }
}

/// A mapping, as the API tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldMapping {
    /// Its id in the API.
    pub id: String,
    /// The object: `Account`.
    pub object: String,
    /// Its state, in the API's word. Writes do not show in it.
    pub state: String,
    /// The API's own words for the state, where it has any.
    pub description: Option<String>,
    /// Rows, as the API counted them.
    pub rows: Option<i64>,
    /// Records, as the API counted them.
    pub records: Option<i64>,
    /// Changes that wait, as the API counts them.
    pub pending: Option<i64>,
    /// Write errors, as the API counts them.
    pub errors: Option<i64>,
    /// The last read from Salesforce.
    pub last_read: Option<DateTime<Utc>>,
    /// The last write to Salesforce.
    pub last_write: Option<DateTime<Utc>>,
}

impl ToldMapping {
    /// What its state is here.
    pub fn standing(&self) -> MappingState {
        let found = MAPPINGS.iter().find(|(word, ..)| *word == self.state);
        found.map_or(MappingState::Unknown, |(.., state)| *state)
    }

    /// Its state and what that means: `RELOAD_TABLE: is read again as a whole`.
    pub fn text(&self) -> String {
        let known = MAPPINGS.iter().find(|(word, ..)| *word == self.state).map(|(_, meaning, _)| *meaning);
        match known.or(self.description.as_deref()) {
            Some(meaning) => format!("{}: {meaning}", self.state),
            None => self.state.clone(),
        }
    }
}

/// How Heroku Connect's API is heard, and what it tells of the connection.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HerokuStatus {
    /// Whether it can be asked, and told what to do: an app is named, and there is a key.
    pub has_key: bool,
    /// The app whose connection it is; nothing where it cannot be asked.
    pub app: Option<String>,
    /// The add-on: `herokuconnect-angular-12345`; nothing while the API does not tell.
    pub resource: Option<String>,
    /// The connection's state, in the API's word; nothing while the API does not tell.
    pub state: Option<String>,
    /// What that means, and what to do about it.
    pub meaning: Option<String>,
    /// When the API told it last.
    pub told_at: Option<DateTime<Utc>>,
    /// Why the API does not tell, with what to do: all that shows is what the database tells. Nothing before its first answer.
    pub trouble: Option<String>,
}

impl HerokuStatus {
    /// Whether somebody paused the connection.
    pub fn is_paused(&self) -> bool {
        self.state.as_deref() == Some(PAUSED)
    }

    /// Whether its state is known, and what that means.
    pub fn is_known(&self) -> bool {
        self.state.as_ref().is_some_and(|state| CONNECTIONS.iter().any(|(word, ..)| word == state))
    }

    /// Which Heroku Connect it is, as far as that is known: `herokuconnect-angular-12345 of acme-prod`.
    pub fn whose(&self) -> String {
        let parts = [self.resource.as_deref(), self.app.as_deref()];
        let parts: Vec<&str> = parts.into_iter().flatten().collect();
        if parts.is_empty() { "Heroku Connect".to_owned() } else { parts.join(" of ") }
    }

    /// When its state was told, where that is some time ago.
    pub fn old_since(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.told_at.filter(|at| self.state.is_some() && (now - *at).num_seconds() > FRESH)
    }

    /// Why the API that is asked does not answer, on one line.
    pub fn failure(&self) -> Option<String> {
        self.trouble.as_ref().filter(|_| self.has_key).map(|text| text.replace('\n', " · "))
    }

    /// In a sentence; `clock` shows a time.
    pub fn text(&self, clock: impl Fn(DateTime<Utc>) -> String) -> String {
        let at = self.told_at.map(&clock).unwrap_or_default();
        match (&self.state, &self.trouble) {
            (Some(state), _) => {
                let meaning = self.meaning.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
                format!("{state}{meaning} (told by Heroku Connect's API at {at})")
            }
            (None, Some(trouble)) => {
                let last = if at.is_empty() { String::new() } else { format!(" (it told last at {at})") };
                format!("what the database tells{last}: {}", trouble.replace('\n', "; "))
            }
            (None, None) => "what the database tells: Heroku Connect's API is being asked".to_owned(),
        }
    }
}

/// A write that Salesforce refused, as the API lists it: those of a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ToldWriteError {
    /// Its trigger log id, which is the error's number here too.
    pub id: String,
    /// The table.
    pub table: String,
    /// The row.
    pub row: String,
    /// Salesforce's words.
    pub message: String,
    /// When it was captured.
    pub created_at: Option<DateTime<Utc>>,
}

/// What Heroku Connect wants people to know, until somebody acknowledges it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ToldNotification {
    /// Its id.
    pub id: String,
    /// Of which kind it is: `mapping-error`, `postgres-connection`.
    pub event_type: String,
    /// What it says.
    pub message: String,
    /// When it came.
    pub created_at: Option<DateTime<Utc>>,
}

/// Which notifications are meant; all of them, where nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NotificationFilter {
    /// From this date or time on.
    pub after: Option<String>,
    /// Up to this one.
    pub before: Option<String>,
    /// Of this kind.
    pub event_type: Option<String>,
}

/// A list of the API's, and how many there are of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ToldList<T> {
    /// How many there are, where the API says so.
    pub count: Option<i64>,
    /// Those that it sent.
    pub items: Vec<T>,
    /// Why the others were not asked for, or did not come; nothing where all pages were read.
    pub unread: Option<String>,
}

impl<T> ToldList<T> {
    /// How many are not among those that it sent.
    pub fn missing(&self) -> i64 {
        let sent = i64::try_from(self.items.len()).unwrap_or(i64::MAX);
        self.count.map_or(0, |count| (count - sent).max(0))
    }

    /// What of it is not here, where something is not: `200 more write errors, which are not here: ...`.
    pub fn gap(&self, what: &str) -> Option<String> {
        let more = match usize::try_from(self.missing()) {
            Ok(more) if more > 0 => format!("{} more", thousands(more)),
            _ => "more".to_owned(),
        };
        match (self.missing(), &self.unread) {
            (0, None) => None,
            (_, Some(why)) => Some(format!("there are {more} {what}, which are not here: {why}")),
            (_, None) => {
                Some(format!("there are {more} {what}, which Heroku Connect counts and did not send"))
            }
        }
    }
}

/// How a check of Heroku Connect's diagnosis came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckOutcome {
    /// It must be mended.
    Error,
    /// It should be looked at.
    Warning,
    /// It is well.
    Pass,
    /// It was not looked at.
    Skip,
}

impl CheckOutcome {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            CheckOutcome::Error => "error",
            CheckOutcome::Warning => "warning",
            CheckOutcome::Pass => "pass",
            CheckOutcome::Skip => "skip",
        }
    }
}

/// One check of Heroku Connect's diagnosis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ToldCheck {
    /// The object that it is about; nothing where it is the connection.
    pub mapping: Option<String>,
    /// How it came out.
    pub outcome: CheckOutcome,
    /// What was checked: `Salesforce API Version`.
    pub name: String,
    /// What it found.
    pub message: String,
    /// Where that is explained.
    pub doc_url: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_not_known_is_shown_and_nothing_is_made_of_it() {
        let connection = ToldConnection { state: "DREAMING".to_owned(), ..ToldConnection::default() };
        assert_eq!((connection.meaning(), connection.standing()), (None, ConnectionState::Unknown));
        let mapping = ToldMapping { state: "DREAMING".to_owned(), ..ToldMapping::default() };
        assert_eq!((mapping.text().as_str(), mapping.standing()), ("DREAMING", MappingState::Unknown));
        let described = ToldMapping { description: Some("of electric sheep".to_owned()), ..mapping };
        assert_eq!(described.text(), "DREAMING: of electric sheep");
    }

    #[test]
    fn what_is_told_says_when_and_what_is_not_says_why() {
        let clock = |at: DateTime<Utc>| at.format("%H:%M").to_string();
        let told = HerokuStatus {
            state: Some("IDLE".to_owned()),
            meaning: Some("it works".to_owned()),
            told_at: Some(DateTime::UNIX_EPOCH),
            ..HerokuStatus::default()
        };
        assert_eq!(told.text(clock), "IDLE: it works (told by Heroku Connect's API at 00:00)");
        let failed = HerokuStatus { state: None, trouble: Some("it is away\nmend it".to_owned()), ..told };
        assert_eq!(
            failed.text(clock),
            "what the database tells (it told last at 00:00): it is away; mend it"
        );
    }
}
