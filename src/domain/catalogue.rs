//! The catalogue: every failure, from whichever side, passes this one classifier. The table is data
//! (`assets/errors.toml`); unknown codes get an honest default.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::mapping::Mapping;
use super::record::{Advice, RecordView};
use super::remedy::{Action, Remedy, offers};
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
    /// A line of an application's log.
    Log,
}

impl Source {
    /// The word used in the database and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Source::Salesforce => "salesforce",
            Source::Engine => "engine",
            Source::Postgres => "postgres",
            Source::Log => "log",
        }
    }

    /// From its word.
    pub fn from_word(word: &str) -> Option<Source> {
        [Source::Salesforce, Source::Engine, Source::Postgres, Source::Log]
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
    /// Parts of the message, `*` between them, that tell this meaning of the code from others.
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
    pub remedies: Vec<Remedy>,
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
    remedies: vec![
        Remedy { text: "Correct what the message speaks of (e)".to_owned(), action: None, only: None },
        Remedy { text: "Send it again".to_owned(), action: Some(Action::Retry), only: None },
    ],
});

static UNAVAILABLE: LazyLock<Entry> = LazyLock::new(|| Entry {
    category: Category::Connection,
    class: Class::Transient,
    title: "Salesforce did not answer properly".to_owned(),
    cause: "Something between here and Salesforce answered instead of it.".to_owned(),
    remedies: vec![Remedy { text: "Wait: it is tried again by itself".to_owned(), action: None, only: None }],
    ..UNKNOWN.clone()
});

fn read() -> Result<File, toml::de::Error> {
    toml::from_str(include_str!("../../assets/errors.toml"))
}

/// What a failure means. Codes come before texts: a user's language translates messages. What was found here before
/// anything was sent has Salesforce's code, and means the same.
pub fn classify(source: Source, code: &str, message: &str) -> &'static Entry {
    let fits = |entry: &&Entry| entry.code == code && entry.speaks(message);
    let own = CATALOGUE.iter().find(|entry| fits(entry) && entry.source == source);
    match own.or_else(|| CATALOGUE.iter().find(fits)) {
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

/// What a line of a log speaks of, if the table knows it: by the code it carries, or by its words.
pub fn of_log(code: Option<&str>, message: &str) -> Option<&'static Entry> {
    match code {
        Some(code) => Some(classify(source_of(code), code, message)).filter(|entry| entry.code == code),
        None => CATALOGUE.iter().find(|entry| entry.source == Source::Log && entry.speaks(message)),
    }
}

/// An entry's words for the operator, with the remedies that fit the record.
pub fn advice(entry: &Entry, mapping: &Mapping, record: &RecordView) -> Advice {
    Advice {
        title: entry.title.clone(),
        cause: entry.cause.clone(),
        remedies: offers(&entry.remedies, mapping, record),
    }
}

impl Entry {
    /// Whether a message is of this meaning.
    fn speaks(&self, message: &str) -> bool {
        let Some(parts) = &self.message else { return true };
        let plain = |text: &str| text.to_lowercase().replace('’', "'");
        let message = plain(message);
        let mut rest = message.as_str();
        plain(parts).split('*').map(str::trim).all(|part| match rest.split_once(part) {
            Some((_, after)) => {
                rest = after;
                true
            }
            None => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_can_be_read_and_says_something_of_each_code() {
        let entries = read().unwrap().error;
        assert!(entries.len() > 100, "{} entries", entries.len());
        for entry in entries {
            assert!(
                !entry.title.is_empty() && !entry.cause.is_empty() && !entry.remedies.is_empty(),
                "{}",
                entry.code
            );
        }
    }

    /// Source, code, message as it was seen; then category, class and title.
    const REAL: &str = include_str!("../../tests/support/messages.txt");

    #[test]
    fn real_messages_are_understood() {
        let mut seen = 0;
        for line in REAL.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let [source, code, message, category, class, title] = cells[..] else { panic!("{line}") };
            let entry = match (source, code) {
                ("log", "") => of_log(None, message).unwrap_or_else(|| panic!("{line}")),
                _ => classify(Source::from_word(source).unwrap(), code, message),
            };
            let found = (entry.category.word(), entry.class.word(), entry.title.as_str());
            assert_eq!(found, (category, class, title), "{line}");
            seen += 1;
        }
        assert!(seen > 90, "{seen} messages");
    }

    #[test]
    fn every_entry_is_met_by_a_real_message_or_comes_from_here() {
        for entry in read().unwrap().error.iter().filter(|entry| entry.source == Source::Salesforce) {
            let named = format!("| {} |", entry.code);
            assert!(REAL.contains(&named), "{} is in no line of the table of messages", entry.code);
        }
    }

    #[test]
    fn codes_tell_who_says_them() {
        assert_eq!(classify(Source::Engine, "OUTCOME_UNKNOWN", "").class, Class::Unknown);
        assert_eq!(source_of("CAPTURE_MISSING"), Source::Engine);
        assert_eq!(source_of("WRITE_BACK_REFUSED"), Source::Postgres);
        assert_eq!(source_of("INVALID_EMAIL_ADDRESS"), Source::Salesforce);
        assert_eq!(source_of("NOBODY_KNOWS"), Source::Salesforce);
        assert_eq!(of_log(Some("INVALID_EMAIL_ADDRESS"), "x").unwrap().title, "Invalid e-mail address");
        assert!(of_log(Some("NOBODY_KNOWS"), "x").is_none() && of_log(None, "all is well").is_none());
    }
}
