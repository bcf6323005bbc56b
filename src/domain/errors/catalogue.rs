//! The catalogue: every failure, from whichever side, passes this one classifier. The table is data
//! (`assets/errors.toml`); unknown codes get an honest default.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::domain::errors::remedy::{Remedy, RemedyAction, SuggestedFix, named, number, offers};
use crate::domain::errors::sync_error::{Category, Class, ErrorSource, SyncError};
use crate::domain::mappings::mapping::Mapping;
use crate::domain::records::record::{Diagnosis, RecordView};

/// What is known of one kind of failure.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogueEntry {
    /// Code.
    pub code: String,
    /// Who says it.
    #[serde(default)]
    source: ErrorSource,
    /// Parts of the message, `*` between them, that tell this meaning of the code from others.
    #[serde(default)]
    message: Option<String>,
    /// Messages that are of this meaning whatever the code; see `assets/errors.toml`.
    #[serde(default)]
    says: Vec<String>,
    /// What people call it.
    #[serde(default)]
    names: Vec<String>,
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
    error: Vec<CatalogueEntry>,
}

/// The table. A test holds that it can be read; were it not, every failure would get the default.
static CATALOGUE: LazyLock<Vec<CatalogueEntry>> = LazyLock::new(|| read().unwrap_or_default());

static UNKNOWN: LazyLock<CatalogueEntry> = LazyLock::new(|| CatalogueEntry {
    code: String::new(),
    source: ErrorSource::Salesforce,
    message: None,
    says: Vec::new(),
    names: Vec::new(),
    category: Category::Data,
    class: Class::Permanent,
    title: "Refused by Salesforce".to_owned(),
    cause: "This code is not in the catalogue; the message is Salesforce's own.".to_owned(),
    remedies: vec![
        Remedy { text: "Correct what the message speaks of (e)".to_owned(), action: None, only: None },
        Remedy { text: "Send it again".to_owned(), action: Some(RemedyAction::Retry), only: None },
    ],
});

static UNAVAILABLE: LazyLock<CatalogueEntry> = LazyLock::new(|| CatalogueEntry {
    category: Category::Connection,
    class: Class::Transient,
    title: "Salesforce did not answer properly".to_owned(),
    cause: "Something between here and Salesforce answered instead of it.".to_owned(),
    remedies: vec![Remedy { text: "Wait: it is tried again by itself".to_owned(), action: None, only: None }],
    ..UNKNOWN.clone()
});

fn read() -> Result<Vec<CatalogueEntry>, toml::de::Error> {
    let mut own: File = toml::from_str(include_str!("../../../assets/errors.toml"))?;
    let others: File = toml::from_str(include_str!("../../../assets/others.toml"))?;
    own.error.extend(others.error);
    Ok(own.error)
}

/// What a failure means. Codes come before texts: a user's language translates messages. What was found here before
/// anything was sent has Salesforce's code, and means the same.
pub fn classify(source: ErrorSource, code: &str, message: &str) -> &'static CatalogueEntry {
    let fits = |entry: &&CatalogueEntry| entry.code == code && entry.speaks(message);
    let own = CATALOGUE.iter().find(|entry| fits(entry) && entry.source == source);
    match own.or_else(|| CATALOGUE.iter().find(fits)) {
        Some(entry) => entry,
        None if code.starts_with("HTTP_5") || code == "HTTP_420" => &UNAVAILABLE,
        None => &UNKNOWN,
    }
}

/// Why Salesforce refused a login, and what to do, for who is about to start: nothing waits yet.
pub fn login_advice(code: &str, message: &str) -> String {
    let entry = classify(ErrorSource::Salesforce, "LOGIN_FAILED", &format!("{code}: {message}"));
    let cause = entry.cause.trim_end_matches("Reads and writes wait; nothing is lost.").trim_end();
    let remedies = entry.remedies.iter().map(|remedy| remedy.text.as_str());
    let now: Vec<&str> = remedies.filter(|text| !text.contains("--reconnect")).collect();
    format!("{cause}\n{}", now.join("; "))
}

/// Where a code comes from: our own stand in the catalogue, all others are Salesforce's.
pub fn source_of(code: &str) -> ErrorSource {
    let own = CATALOGUE.iter().find(|entry| entry.code == code);
    own.map_or(ErrorSource::Salesforce, |entry| entry.source)
}

/// `CODE: message` as Salesforce's answers are noted; a message alone has no code of its own.
pub fn code_and_message(text: &str) -> (&str, &str) {
    let is_code = |code: &str| {
        code.len() > 3
            && code.starts_with(|c: char| c.is_ascii_uppercase())
            && code.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
    };
    match text.split_once(':') {
        Some((code, message)) if is_code(code) => (code, message.trim_start()),
        _ => ("UNKNOWN_EXCEPTION", text),
    }
}

/// What a code means, with the message that it came with; `None` where the table does not know it.
pub(in crate::domain) fn of_code(code: &str, message: &str) -> Option<&'static CatalogueEntry> {
    let entry = classify(source_of(code), code, message);
    // Of a code that has a meaning for some messages only, these are all that is known.
    let with_code = || CATALOGUE.iter().rfind(|entry| entry.code == code);
    if entry == &*UNKNOWN { with_code() } else { Some(entry) }
}

/// What a text without a code means, by what is most certainly said: the longest of the words that fit. Words of which
/// there is more than one meaning are left out unless they are asked for.
pub(in crate::domain) fn of_words(text: &str, weak: bool) -> Option<&'static CatalogueEntry> {
    let text = plain(text);
    let mut best: Option<(usize, &'static CatalogueEntry)> = None;
    for entry in CATALOGUE.iter() {
        let own = entry.message.as_ref().filter(|_| entry.source == ErrorSource::Log);
        for pattern in entry.says.iter().chain(own) {
            let length = pattern.chars().filter(|c| !"*=".contains(*c)).count();
            let counts = weak || length >= CERTAIN || pattern.starts_with('=');
            if counts && best.is_none_or(|(before, _)| length > before) && says(pattern, &text) {
                best = Some((length, entry));
            }
        }
    }
    best.map(|(_, entry)| entry)
}

/// What people call by this name.
pub(in crate::domain) fn of_name(text: &str) -> Option<&'static CatalogueEntry> {
    let text = plain(text);
    let named = CATALOGUE.iter().find(|entry| entry.names.iter().any(|name| plain(name) == text));
    named.or_else(|| CATALOGUE.iter().find(|entry| plain(&entry.title) == text))
}

/// What the first of these names in a text stands for.
pub(in crate::domain) fn of_name_in(text: &str) -> Option<&'static CatalogueEntry> {
    let text = format!(" {} ", plain(text).replace(|c: char| !c.is_alphanumeric(), " "));
    let names = CATALOGUE.iter().flat_map(|entry| entry.names.iter().map(move |name| (plain(name), entry)));
    let named = names.filter(|(name, _)| text.contains(&format!(" {name} ")));
    named.max_by_key(|(name, _)| name.len()).map(|(_, entry)| entry)
}

/// So many letters in a row are not met by chance in a line of a log.
const CERTAIN: usize = 12;

/// A text as it is compared: its case, its kind of quote and its blanks say nothing.
fn plain(text: &str) -> String {
    let text = text.to_lowercase().replace('’', "'");
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").trim_end_matches(['.', ':', '!']).to_owned()
}

/// Whether a text has a pattern's parts, one behind the other; one that begins with `=` must be all of it.
fn says(pattern: &str, text: &str) -> bool {
    let (whole, pattern) = pattern.strip_prefix('=').map_or((false, pattern), |rest| (true, rest));
    let pattern = pattern.to_lowercase();
    let parts: Vec<&str> = pattern.split('*').collect();
    let mut rest = text;
    for (at, part) in parts.iter().enumerate() {
        let part = if whole { part } else { part.trim() };
        let Some(found) = rest.find(part) else { return false };
        let last = at + 1 == parts.len();
        if whole && ((at == 0 && found > 0) || (last && !part.is_empty() && !rest.ends_with(part))) {
            return false;
        }
        if whole && last && !part.is_empty() {
            return true;
        }
        rest = &rest[found + part.len()..];
    }
    !whole || rest.is_empty() || parts.last().is_some_and(|part| part.is_empty())
}

/// An entry's words for the operator, with the remedies that fit the record; none while that is on its way, for the
/// answer may ask for another.
pub fn diagnose(entry: &CatalogueEntry, mapping: &Mapping, record: &RecordView) -> Diagnosis {
    let remedies = if record.is_being_sent() { Vec::new() } else { offers(&entry.remedies, mapping, record) };
    Diagnosis { title: entry.title.clone(), cause: entry.cause.clone(), remedies }
}

/// Every entry.
#[cfg(test)]
pub(in crate::domain) fn all() -> impl Iterator<Item = &'static CatalogueEntry> {
    CATALOGUE.iter()
}

/// The words of every remedy.
#[cfg(test)]
pub fn all_remedies() -> impl Iterator<Item = &'static str> {
    CATALOGUE.iter().flat_map(|entry| &entry.remedies).map(|remedy| remedy.text.as_str())
}

/// What an error means that is of no row, with what a person can do about it.
pub fn diagnose_error(error: &SyncError) -> Diagnosis {
    let entry = classify(error.source, &error.code, &error.message);
    let field = error.fields.first().map(String::as_str);
    let fields = if error.fields.is_empty() { "the field".to_owned() } else { error.fields.join(", ") };
    let offer = |remedy: &Remedy| {
        let text = named(&remedy.text, &error.mapping, field).replace("{field}", &fields);
        // Of all that is of no row, only what a comparison found of a record is put right one by one.
        let action = remedy.action.clone().filter(|action| error.sfid.is_some() && action.is_of_comparison());
        SuggestedFix {
            number: None,
            text: text.replace("{column}", "the column"),
            clears: action.as_ref().is_some_and(|action| action.removes(Some(error))),
            action,
            changes: Vec::new(),
            against: None,
        }
    };
    let fits = |remedy: &&Remedy| remedy.only.is_none();
    let mut remedies: Vec<SuggestedFix> = entry.remedies.iter().filter(fits).map(offer).collect();
    number(&mut remedies);
    Diagnosis { title: entry.title.clone(), cause: entry.cause.clone(), remedies }
}

impl CatalogueEntry {
    /// Whether it is one of several meanings of its code.
    pub(in crate::domain) fn is_specific(&self) -> bool {
        self.message.is_some()
    }

    /// Whether a message is of this meaning.
    fn speaks(&self, message: &str) -> bool {
        self.message.as_ref().is_none_or(|parts| says(parts, &plain(message)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_can_be_read_and_says_something_of_each_code() {
        let entries = read().unwrap();
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
    const REAL: &str = include_str!("../../../tests/support/messages.txt");

    #[test]
    fn real_messages_are_understood() {
        let mut seen = 0;
        for line in REAL.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let [source, code, message, category, class, title] = cells[..] else { panic!("{line}") };
            let entry = match (source, code) {
                ("log", "") => of_words(message, false).unwrap_or_else(|| panic!("{line}")),
                _ => classify(ErrorSource::from_word(source).unwrap(), code, message),
            };
            let found = (entry.category.word(), entry.class.word(), entry.title.as_str());
            assert_eq!(found, (category, class, title), "{line}");
            seen += 1;
        }
        assert!(seen > 90, "{seen} messages");
    }

    #[test]
    fn every_entry_is_met_by_a_real_message_or_comes_from_here() {
        for entry in read().unwrap().iter().filter(|entry| entry.source == ErrorSource::Salesforce) {
            let named = format!("| {} |", entry.code);
            assert!(REAL.contains(&named), "{} is in no line of the table of messages", entry.code);
        }
    }

    #[test]
    fn a_pattern_is_met_in_order_and_a_whole_one_by_all_of_a_text() {
        for (pattern, text, met) in [
            ("no such * column", "there is no such old column here", true),
            ("no such * column", "a column: no such", false),
            ("=* is gone", "contact is gone", true),
            ("=* is gone", "contact is gone in salesforce", false),
            ("=*.* is now *(*", "contact.level__c is now double(6,0)", true),
            ("=waits for *", "it waits for account 88", false),
            ("=maintenance", "maintenance", true),
            ("=maintenance", "maintenance began", false),
        ] {
            assert_eq!(says(pattern, text), met, "{pattern} of {text}");
        }
    }

    #[test]
    fn codes_tell_who_says_them() {
        assert_eq!(classify(ErrorSource::Engine, "OUTCOME_UNKNOWN", "").class, Class::Unknown);
        assert_eq!(source_of("CAPTURE_MISSING"), ErrorSource::Engine);
        assert_eq!(source_of("WRITE_BACK_REFUSED"), ErrorSource::Postgres);
        assert_eq!(source_of("INVALID_EMAIL_ADDRESS"), ErrorSource::Salesforce);
        assert_eq!(source_of("NOBODY_KNOWS"), ErrorSource::Salesforce);
        // Found here before it was sent, it means what it means there.
        assert_eq!(classify(ErrorSource::Engine, "STRING_TOO_LONG", "").title, "Value too long");
        assert_eq!(of_code("INVALID_EMAIL_ADDRESS", "x").unwrap().title, "Invalid e-mail address");
        assert!(of_code("NOBODY_KNOWS", "x").is_none() && of_words("all is well", true).is_none());
    }

    #[test]
    fn a_noted_failure_is_read_with_its_code_and_without() {
        let told = "INVALID_EMAIL_ADDRESS: Email: invalid email address: no-mail";
        assert_eq!(
            code_and_message(told),
            ("INVALID_EMAIL_ADDRESS", "Email: invalid email address: no-mail")
        );
        let told = "duplicate value found: Key__c duplicates value on record with id: 003";
        assert_eq!(code_and_message(told), ("UNKNOWN_EXCEPTION", told));
    }
}
