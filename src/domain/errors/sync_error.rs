//! A sync error: a record, a read or a mapping that fails.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::names::{RowId, RowRef};

/// How the message of a row ends that waits for a parent which is nowhere.
pub const NOWHERE: &str = "neither here nor in Salesforce";

/// Who said that it failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ErrorSource {
    /// Salesforce, or the way there.
    #[default]
    Salesforce,
    /// The engine itself, before or after sending.
    Engine,
    /// PostgreSQL.
    Postgres,
    /// A line of an application's log.
    Log,
}

impl ErrorSource {
    /// The word used in the database and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            ErrorSource::Salesforce => "salesforce",
            ErrorSource::Engine => "engine",
            ErrorSource::Postgres => "postgres",
            ErrorSource::Log => "log",
        }
    }

    /// From its word.
    pub fn from_word(word: &str) -> Option<ErrorSource> {
        [ErrorSource::Salesforce, ErrorSource::Engine, ErrorSource::Postgres, ErrorSource::Log]
            .into_iter()
            .find(|source| source.word() == word)
    }
}

/// Where the cause lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// The way to Salesforce or PostgreSQL: login, limits, outage.
    Connection,
    /// The values of one record.
    Data,
    /// The configuration against the org: fields, objects, rights.
    Mapping,
    /// The two sides against each other: duplicates, mismatches, orphans.
    Consistency,
}

/// What helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Goes away by itself: tried again automatically.
    Transient,
    /// A person must act.
    Permanent,
    /// Whether Salesforce took it is not known.
    Unknown,
}

/// Where an error stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ErrorState {
    /// Waits for a person.
    Open,
    /// Will be sent again by itself, or is being sent.
    Retrying,
    /// Waits for a person's release.
    Review,
    /// Waits for its parent record; not a failure of its own.
    Held,
    /// A person said to stop asking about it.
    Ignored,
    /// Over.
    Resolved,
}

macro_rules! words {
    ($type:ident: $($variant:ident = $word:literal),+ $(,)?) => {
        impl $type {
            /// The word used in the database, in JSON and in filters.
            pub fn word(self) -> &'static str {
                match self { $($type::$variant => $word),+ }
            }
            /// From its word.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some($type::$variant),)+ _ => None }
            }
        }
    };
}
words!(Category: Connection = "connection", Data = "data", Mapping = "mapping", Consistency = "consistency");
words!(Class: Transient = "transient", Permanent = "permanent", Unknown = "unknown");
words!(ErrorState: Open = "open", Retrying = "retrying", Review = "review", Held = "held",
    Ignored = "ignored", Resolved = "resolved");

/// One sync error, as it is listed (`errors --json` prints exactly these members).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SyncError {
    /// Its number.
    pub id: i64,
    /// The mapping's object name, `Contact`; empty for an error of the whole connection.
    pub mapping: String,
    /// The mapped table; empty for an error of the whole connection.
    pub table: String,
    /// The row, unless it is an error of a read, a mapping or the connection.
    pub row_id: Option<RowId>,
    /// The record, where there is one.
    pub sfid: Option<String>,
    /// `insert`, `update`, `delete`, `read` or `login`.
    pub op: String,
    /// Who found it: Salesforce, or the engine before sending.
    #[serde(default)]
    pub source: ErrorSource,
    /// Salesforce's code, or ours in the same style.
    pub code: String,
    /// Category.
    pub category: Category,
    /// Class.
    pub class: Class,
    /// The message as it came.
    pub message: String,
    /// API names of the fields at fault.
    pub fields: Vec<String>,
    /// How often Salesforce rejected the record itself.
    pub attempts: i32,
    /// State.
    pub state: ErrorState,
    /// When it is sent again by itself.
    pub next_retry_at: Option<DateTime<Utc>>,
    /// When it was seen first.
    pub first_seen: DateTime<Utc>,
    /// When it was seen last.
    pub last_seen: DateTime<Utc>,
    /// Fingerprint of its group: same mapping, code, fields and message template.
    pub group: String,
}

#[cfg(test)]
impl SyncError {
    /// An error that a person mends, of an insert that Salesforce rejected once: the row has the error's number. A test
    /// changes what it is about.
    pub fn sample(id: i64, code: &str) -> SyncError {
        SyncError {
            id,
            mapping: "Contact".to_owned(),
            table: "contact".to_owned(),
            row_id: i32::try_from(id).ok().map(RowId),
            sfid: None,
            op: "insert".to_owned(),
            source: ErrorSource::Salesforce,
            code: code.to_owned(),
            category: Category::Data,
            class: Class::Permanent,
            message: String::new(),
            fields: Vec::new(),
            attempts: 1,
            state: ErrorState::Open,
            next_retry_at: None,
            first_seen: DateTime::UNIX_EPOCH,
            last_seen: DateTime::UNIX_EPOCH,
            group: String::new(),
        }
    }
}

impl SyncError {
    /// The row at fault, if it is a row.
    pub fn row(&self) -> Option<RowRef> {
        self.row_id.map(|row| RowRef { table: self.table.clone(), row })
    }

    /// Whether it stands as what only a person mends: also a row that waits for a parent which is nowhere.
    pub fn waits_for_a_person(&self) -> bool {
        match self.state {
            ErrorState::Open | ErrorState::Review => true,
            ErrorState::Held => self.message.ends_with(NOWHERE),
            ErrorState::Retrying | ErrorState::Ignored | ErrorState::Resolved => false,
        }
    }
}
