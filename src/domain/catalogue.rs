//! The catalogue: every failure, from whichever side, passes this one classifier. The table is data
//! (`assets/errors.toml`); unknown codes get an honest default.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::record::Advice;
use super::sync_error::{Category, Class};

/// Who said that it failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Salesforce, or the way there.
    #[default]
    Salesforce,
    /// The engine itself, before or after sending.
    Engine,
    /// PostgreSQL.
    Postgres,
}

impl Source {
    /// The word used in the database and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Source::Salesforce => "salesforce",
            Source::Engine => "engine",
            Source::Postgres => "postgres",
        }
    }

    /// From its word.
    pub fn from_word(word: &str) -> Option<Source> {
        [Source::Salesforce, Source::Engine, Source::Postgres]
            .into_iter()
            .find(|source| source.word() == word)
    }
}

/// What is known of one kind of failure.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Code.
    pub code: String,
    /// Who says it.
    #[serde(default)]
    source: Source,
    /// A part of the message that tells this meaning of the code from others.
    #[serde(default)]
    message: Option<String>,
    /// Where the cause lies.
    pub category: Category,
    /// What helps.
    pub class: Class,
    /// A few words.
    pub title: String,
    /// Why it happens.
    pub cause: String,
    /// What to do, most useful first.
    pub remedies: Vec<String>,
}

#[derive(Deserialize)]
struct File {
    error: Vec<Entry>,
}

/// The table. A test holds that it can be read; were it not, every failure would get the default.
static CATALOGUE: LazyLock<Vec<Entry>> = LazyLock::new(|| read().map(|file| file.error).unwrap_or_default());

static UNKNOWN: LazyLock<Entry> = LazyLock::new(|| Entry {
    code: String::new(),
    source: Source::Salesforce,
    message: None,
    category: Category::Data,
    class: Class::Permanent,
    title: "Refused by Salesforce".to_owned(),
    cause: "This code is not in the catalogue; the message is Salesforce's own.".to_owned(),
    remedies: vec!["Correct what the message speaks of (e)".to_owned(), "Retry (r)".to_owned()],
});

static UNAVAILABLE: LazyLock<Entry> = LazyLock::new(|| Entry {
    category: Category::Connection,
    class: Class::Transient,
    title: "Salesforce did not answer properly".to_owned(),
    cause: "Something between here and Salesforce answered instead of it.".to_owned(),
    remedies: vec!["Wait: it is tried again".to_owned()],
    ..UNKNOWN.clone()
});

fn read() -> Result<File, toml::de::Error> {
    toml::from_str(include_str!("../../assets/errors.toml"))
}

/// What a failure means. Codes come before texts: a user's language translates messages.
pub fn classify(source: Source, code: &str, message: &str) -> &'static Entry {
    let message = message.to_lowercase();
    let fits = |entry: &&Entry| {
        entry.code == code
            && entry.source == source
            && entry.message.as_ref().is_none_or(|part| message.contains(&part.to_lowercase()))
    };
    match CATALOGUE.iter().find(fits) {
        Some(entry) => entry,
        None if code.starts_with("HTTP_5") || code == "HTTP_420" => &UNAVAILABLE,
        None => &UNKNOWN,
    }
}

/// Where a code comes from: our own stand in the catalogue, all others are Salesforce's.
pub fn source_of(code: &str) -> Source {
    let own = CATALOGUE.iter().find(|entry| entry.code == code);
    own.map_or(Source::Salesforce, |entry| entry.source)
}

/// An entry's words for the operator.
pub fn advice(entry: &Entry) -> Advice {
    Advice { title: entry.title.clone(), cause: entry.cause.clone(), remedies: entry.remedies.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_can_be_read_and_says_something_of_each_code() {
        let entries = read().unwrap().error;
        assert!(entries.len() > 40, "{} entries", entries.len());
        for entry in entries {
            assert!(
                !entry.title.is_empty() && !entry.cause.is_empty() && !entry.remedies.is_empty(),
                "{}",
                entry.code
            );
        }
    }

    #[test]
    fn real_messages_are_understood() {
        use Category::{Connection, Data, Mapping};
        use Class::{Permanent, Transient};
        for (code, message, category, class, title) in [
            (
                "REQUIRED_FIELD_MISSING",
                "Required fields are missing: [LastName]",
                Data,
                Permanent,
                "Required field missing",
            ),
            (
                "INVALID_EMAIL_ADDRESS",
                "Email: invalid email address: jane@acme,com",
                Data,
                Permanent,
                "Invalid e-mail address",
            ),
            (
                "FIELD_CUSTOM_VALIDATION_EXCEPTION",
                "Phone must be a valid phone number",
                Data,
                Permanent,
                "Invalid phone number format",
            ),
            (
                "FIELD_CUSTOM_VALIDATION_EXCEPTION",
                "Amount must not be negative",
                Data,
                Permanent,
                "Refused by a validation rule",
            ),
            (
                "STRING_TOO_LONG",
                "Topic Name: data value too large: X (max length=25)",
                Data,
                Permanent,
                "Value too long",
            ),
            (
                "REQUEST_LIMIT_EXCEEDED",
                "TotalRequests Limit exceeded.",
                Connection,
                Transient,
                "Rate limit exceeded",
            ),
            (
                "REQUEST_LIMIT_EXCEEDED",
                "ConcurrentRequests (Concurrent API Requests) Limit exceeded.",
                Connection,
                Transient,
                "Too many requests at once",
            ),
            (
                "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
                "Task_Trigger: System.LimitException: Apex CPU time limit exceeded",
                Data,
                Transient,
                "Apex trigger ran out of time",
            ),
            (
                "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
                "record type missing for: Account",
                Data,
                Permanent,
                "Refused by an Apex trigger",
            ),
            (
                "INVALID_FIELD",
                "No such column 'foo' on sobject of type Bar",
                Mapping,
                Permanent,
                "Field not found",
            ),
            (
                "INVALID_FIELD",
                "Foreign key external ID: notfound not found for field Name in entity Inspector_Test__c",
                Data,
                Permanent,
                "Parent not found",
            ),
            ("INVALID_SESSION_ID", "Session expired or invalid", Connection, Transient, "Session expired"),
            ("HTTP_502", "", Connection, Transient, "Salesforce did not answer properly"),
            ("SOMETHING_NEW", "never seen", Data, Permanent, "Refused by Salesforce"),
        ] {
            let entry = classify(Source::Salesforce, code, message);
            assert_eq!(
                (entry.category, entry.class, entry.title.as_str()),
                (category, class, title),
                "{code} {message}"
            );
        }
        assert_eq!(classify(Source::Engine, "OUTCOME_UNKNOWN", "").class, Class::Unknown);
        assert_eq!(source_of("CAPTURE_MISSING"), Source::Engine);
        assert_eq!(source_of("WRITE_BACK_REFUSED"), Source::Postgres);
        assert_eq!(source_of("INVALID_EMAIL_ADDRESS"), Source::Salesforce);
        assert_eq!(source_of("NOBODY_KNOWS"), Source::Salesforce);
    }
}
