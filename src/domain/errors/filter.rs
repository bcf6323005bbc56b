//! The filter language, one for console and command line: words match message, record and values; `qualifier:value`
//! matches one property; `-` negates; quotes keep spaces.

use chrono::{DateTime, Local, NaiveDate, NaiveDateTime, TimeZone, Utc};

use crate::domain::errors::sync_error::ErrorSource;
use crate::domain::errors::sync_error::{Category, Class, ErrorState};
use crate::domain::values::nearest::nearest;

/// What a filter asks for; all terms must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// The terms.
    pub terms: Vec<Qualified>,
}

/// One term.
#[derive(Clone, Debug, PartialEq)]
pub struct Qualified {
    /// What must hold,
    pub term: Term,
    /// or must not.
    pub negated: bool,
}

/// A property to match.
#[derive(Clone, Debug, PartialEq)]
pub enum Term {
    /// Anywhere in message, code, record and the values that were sent; case does not matter.
    Word(String),
    /// Object or table, whole; case does not matter.
    Mapping(String),
    /// Part of the code; case does not matter.
    Code(String),
    /// A field at fault by API name, whole; case does not matter.
    Field(String),
    /// Category.
    Category(Category),
    /// Class.
    Class(Class),
    /// One of these states.
    State(Vec<ErrorState>),
    /// `insert`, `update`, `delete`, `read`, ...
    Op(String),
    /// Seen at or after.
    Since(DateTime<Utc>),
    /// Seen at or before.
    Until(DateTime<Utc>),
    /// Row id.
    Row(i32),
    /// Record id, 15 or 18 characters.
    Sfid(String),
    /// Group, by the beginning of its name.
    Group(String),
    /// Who found it.
    Source(ErrorSource),
    /// What an operation was about, by its number.
    Operation(i64),
    /// That a person has to do something about a row: nothing else will.
    Person,
    /// That it is of no row and no record: a condition of the connection or of a mapping.
    Standing,
}

/// Why a filter cannot be read; the text names the word and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{word}: {problem}")]
pub struct FilterError {
    word: String,
    problem: String,
}

/// The qualifiers, for messages and help.
pub const QUALIFIERS: &str = "mapping: code: field: category: class: state: op: since: until: row: id: group: source: operation: needs:";

impl Filter {
    /// Reads a filter as typed; `now` is what `since:1h` counts from.
    ///
    /// ```
    /// use chrono::Utc;
    /// use syncdeck::domain::errors::filter::{Filter, Term};
    ///
    /// let filter = Filter::parse("mapping:Contact -code:LOCK \"acme ltd\"", Utc::now()).unwrap();
    /// assert_eq!(filter.terms[0].term, Term::Mapping("Contact".to_owned()));
    /// assert!(filter.terms[1].negated);
    /// assert_eq!(filter.terms[2].term, Term::Word("acme ltd".to_owned()));
    ///
    /// let unknown = Filter::parse("maping:Contact", Utc::now()).unwrap_err();
    /// assert!(unknown.to_string().contains("did you mean mapping:?"));
    /// ```
    ///
    /// # Errors
    /// An unknown qualifier or a value that it does not take.
    pub fn parse(text: &str, now: DateTime<Utc>) -> Result<Filter, FilterError> {
        let terms =
            words(text, is_name).into_iter().map(|word| term(&word, now)).collect::<Result<Vec<_>, _>>()?;
        Ok(Filter { terms })
    }
}

/// The filter of all that stands of a mapping: what is tried again and what waits for other rows, too.
pub fn all_of_mapping(mapping: &str) -> String {
    format!("mapping:{mapping} state:open|retrying|review|held")
}

/// What is wrong with a qualifier that there is not; `known` are those that there are, each with its colon, and `word` is
/// all that was typed.
pub fn unknown(qualifier: &str, word: &str, known: &str) -> String {
    let keys = known.split(' ').map(|key| key.trim_end_matches(':'));
    let near = nearest(qualifier, keys).map(|near| format!(" did you mean {near}:?")).unwrap_or_default();
    let word = word.trim_start_matches('-');
    format!("there is no {qualifier}:;{near} use {known}, or look for the word itself with \"{word}\"")
}

/// A word of a filter's text: its qualifier, if any, and its value without quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// As it was typed.
    pub typed: String,
    /// Whether a `-` stands before it.
    pub negated: bool,
    /// What stands before its colon, in small letters, where that may be a name.
    pub qualifier: Option<String>,
    /// What is to be found.
    pub value: String,
}

/// The words of a filter's text. What stands before a colon counts as a qualifier where `may_name` lets it; what is in
/// quotes never does.
pub fn words(text: &str, may_name: impl Fn(&str) -> bool) -> Vec<Word> {
    let mut words = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(&c) = rest.peek() {
        if c.is_whitespace() {
            rest.next();
            continue;
        }
        let mut word = Word { typed: String::new(), negated: false, qualifier: None, value: String::new() };
        let mut quoted = false;
        let mut was_quoted = false;
        while let Some(&c) = rest.peek() {
            if c.is_whitespace() && !quoted {
                break;
            }
            rest.next();
            word.typed.push(c);
            match c {
                '"' => {
                    quoted = !quoted;
                    was_quoted = true;
                }
                '-' if word.typed == "-" => word.negated = true,
                ':' if !quoted && !was_quoted && word.qualifier.is_none() && may_name(&word.value) => {
                    word.qualifier = Some(std::mem::take(&mut word.value).to_lowercase());
                }
                c => word.value.push(c),
            }
        }
        if word.typed == "-" {
            (word.negated, word.value) = (false, "-".to_owned());
        }
        words.push(word);
    }
    words
}

/// Only letters before a colon make a qualifier; `14:02` and `a.b:` are words.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphabetic())
}

fn term(word: &Word, now: DateTime<Utc>) -> Result<Qualified, FilterError> {
    let value = word.value.clone();
    let fail = |problem: String| FilterError { word: word.typed.clone(), problem };
    let Some(qualifier) = &word.qualifier else {
        return Ok(Qualified { term: Term::Word(value), negated: word.negated });
    };
    if value.is_empty() {
        return Err(fail(format!("a value is missing behind {qualifier}:")));
    }
    let term = match qualifier.as_str() {
        "mapping" => Term::Mapping(value),
        "code" => Term::Code(value),
        "field" => Term::Field(value),
        "category" => Term::Category(
            Category::from_word(&value.to_lowercase())
                .ok_or_else(|| fail("use connection, data, mapping or consistency".to_owned()))?,
        ),
        "class" => Term::Class(
            Class::from_word(&value.to_lowercase())
                .ok_or_else(|| fail("use transient, permanent or unknown".to_owned()))?,
        ),
        "state" => Term::State(states(&value).ok_or_else(|| {
            fail("use open, retrying, review, held or ignored; several with | between".to_owned())
        })?),
        "op" => Term::Op(value.to_lowercase()),
        "since" => Term::Since(time(&value, now).ok_or_else(|| fail(TIME_HELP.to_owned()))?),
        "until" => Term::Until(time(&value, now).ok_or_else(|| fail(TIME_HELP.to_owned()))?),
        "row" => Term::Row(value.parse().map_err(|_| fail("a row id is a whole number".to_owned()))?),
        "id" => Term::Sfid(value),
        "group" if value.chars().all(|c| c.is_ascii_hexdigit() || c == '-') => {
            Term::Group(value.to_lowercase())
        }
        "group" => return Err(fail("a group is named as in: syncdeck errors --group".to_owned())),
        "source" => Term::Source(
            ErrorSource::from_word(&value.to_lowercase())
                .ok_or_else(|| fail("use salesforce, engine or postgres".to_owned()))?,
        ),
        "needs" => match value.to_lowercase().as_str() {
            "person" => Term::Person,
            "care" => Term::Standing,
            _ => return Err(fail("use person (a row that nothing else mends) or care (a condition of a mapping or the connection)".to_owned())),
        },
        "operation" => Term::Operation(
            value.parse().map_err(|_| fail("an operation has a number, as in: syncdeck audit".to_owned()))?,
        ),
        other => return Err(fail(unknown(other, &word.typed, QUALIFIERS))),
    };
    Ok(Qualified { term, negated: word.negated })
}

/// What a time may be given as.
pub const TIME_HELP: &str = "use a span such as 30m, 1h, 2d, or a time such as 2026-11-20T10:00";

fn states(value: &str) -> Option<Vec<ErrorState>> {
    value
        .to_lowercase()
        .split(['|', ','])
        .map(|word| ErrorState::from_word(word).filter(|state| *state != ErrorState::Resolved))
        .collect()
}

/// A span before `now`, or a local date or time.
pub fn time(value: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let local = |naive: NaiveDateTime| {
        Local.from_local_datetime(&naive).earliest().map(|time| time.with_timezone(&Utc))
    };
    if let Ok(time) = NaiveDateTime::parse_from_str(value, "%Y-%m-%dT%H:%M:%S") {
        return local(time);
    }
    if let Ok(time) = NaiveDateTime::parse_from_str(value, "%Y-%m-%dT%H:%M") {
        return local(time);
    }
    if let Ok(day) = NaiveDate::parse_from_str(value, "%Y-%m-%d") {
        return local(day.and_hms_opt(0, 0, 0)?);
    }
    let unit = value.chars().last()?;
    let number: i64 = value[..value.len() - unit.len_utf8()].parse().ok().filter(|number| *number >= 0)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    now.checked_sub_signed(chrono::Duration::try_seconds(number.checked_mul(seconds)?)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Vec<Qualified>, String> {
        Filter::parse(text, DateTime::UNIX_EPOCH)
            .map(|filter| filter.terms)
            .map_err(|error| error.to_string())
    }

    fn only(term: Term) -> Result<Vec<Qualified>, String> {
        Ok(vec![Qualified { term, negated: false }])
    }

    #[test]
    fn every_qualifier_is_read() {
        assert_eq!(parse("mapping:Contact"), only(Term::Mapping("Contact".to_owned())));
        assert_eq!(parse("CODE:EMAIL"), only(Term::Code("EMAIL".to_owned())));
        assert_eq!(parse("state:open|held"), only(Term::State(vec![ErrorState::Open, ErrorState::Held])));
        assert_eq!(parse("category:data"), only(Term::Category(Category::Data)));
        assert_eq!(parse("row:10235"), only(Term::Row(10235)));
        assert_eq!(parse("since:1h"), only(Term::Since(DateTime::UNIX_EPOCH - chrono::Duration::hours(1))));
        assert_eq!(parse("id:003A"), only(Term::Sfid("003A".to_owned())));
        assert_eq!(parse("group:8FB2"), only(Term::Group("8fb2".to_owned())));
        assert_eq!(parse("needs:person"), only(Term::Person));
        assert!(parse("needs:help").unwrap_err().contains("person"));
        assert_eq!(parse("operation:12"), only(Term::Operation(12)));
        assert_eq!(parse("source:engine"), only(Term::Source(ErrorSource::Engine)));
    }

    #[test]
    fn words_quotes_and_negation() {
        let terms = parse(r#"jane -code:LOCK "acme, inc" 14:02"#).unwrap();
        let negated: Vec<bool> = terms.iter().map(|term| term.negated).collect();
        assert_eq!(negated, [false, true, false, false]);
        assert_eq!(terms[2].term, Term::Word("acme, inc".to_owned()));
        assert_eq!(terms[3].term, Term::Word("14:02".to_owned()));
        assert_eq!(parse("").unwrap(), []);
    }

    #[test]
    fn a_refusal_names_the_word_and_what_is_allowed() {
        assert_eq!(
            parse("state:shut").unwrap_err(),
            "state:shut: use open, retrying, review, held or ignored; several with | between"
        );
        assert!(
            parse("colour:red").unwrap_err().starts_with("colour:red: there is no colour:; use mapping:")
        );
        let near = parse("-mapings:contact").unwrap_err();
        assert!(near.starts_with("-mapings:contact: there is no mapings:; did you mean mapping:?"), "{near}");
        assert_eq!(parse("\"colour:red\""), only(Term::Word("colour:red".to_owned())));
        assert_eq!(parse("row:x").unwrap_err(), "row:x: a row id is a whole number");
        assert!(parse("group:it's").unwrap_err().contains("errors --group"));
        assert!(parse("since:soon").unwrap_err().contains("30m, 1h"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = parse(&text);
        }
    }
}
