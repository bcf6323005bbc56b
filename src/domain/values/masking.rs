//! Values that the configuration keeps out of histories and logs, taken out of what others say: messages of Salesforce, of
//! PostgreSQL, of an application's triggers. They quote a value whole, cut short, in other case, with other separators
//! (`+49 30 1` and `49301`), or a word of it. Pure.

use std::collections::{BTreeSet, HashMap};

use crate::domain::changes::outgoing::as_sent;
use crate::domain::mappings::field::{Field, FieldType};
use crate::domain::mappings::mapping::Mapping;
use crate::domain::mappings::rules::MASK;
use crate::domain::values::hstore::Hstore;

/// So many letters and digits in a row are taken for a quote, wherever they stand; of a long text, more, for it holds
/// every other word.
const WINDOW: usize = 7;
const WIDE_WINDOW: usize = 12;
/// A shorter value is in too many texts by chance: it is taken out only where it stands as a quoted value does.
const SHORT: usize = 3;
/// Up to this many letters and digits, a value is looked for as a word of its own.
const WORD: usize = 4;
/// Of values up to this long, each word counts as well.
const FEW_WORDS: usize = 120;

/// What must not be quoted.
#[derive(Clone, Debug, Default)]
pub struct Hidden {
    values: BTreeSet<String>,
}

impl Hidden {
    /// The values of masked fields among these, as they stand and as they are sent.
    pub fn of(mapping: &Mapping, values: &Hstore) -> Hidden {
        let mut hidden = Hidden::default();
        hidden.add(mapping, values);
        hidden
    }

    /// Those of more values of the same record: its row, what was before.
    pub fn add(&mut self, mapping: &Mapping, values: &Hstore) {
        let masked = |field: &&Field| mapping.rules.masked(&field.column);
        for field in mapping.fields.iter().filter(masked) {
            let Some(value) = values.get(&field.column).and_then(Option::as_deref) else { continue };
            self.values.extend(writings(field, value));
            self.values.extend(as_sent(mapping, field, Some(value)));
        }
    }

    /// What several records hide.
    pub fn join(&mut self, other: &Hidden) {
        self.values.extend(other.values.iter().cloned());
    }

    /// A text without them.
    pub fn hide(&self, text: &str) -> String {
        let folded = Folded::of(text);
        let mut spans = Vec::new();
        for value in &self.values {
            folded.find_value(text, value, &mut spans);
        }
        without(text, spans)
    }
}

/// Whether a mapping hides anything.
pub fn hides(mapping: &Mapping) -> bool {
    mapping.fields.iter().any(|field| mapping.rules.masked(&field.column))
}

/// The ways in which a value may be written.
fn writings(field: &Field, value: &str) -> Vec<String> {
    let mut writings = vec![value.to_owned()];
    match field.kind {
        FieldType::Date | FieldType::Datetime => {
            let day: Vec<&str> = value.get(..10).unwrap_or("").split('-').collect();
            if let [year, month, day] = day[..] {
                writings.extend([
                    format!("{year}-{month}-{day}"),
                    format!("{day}.{month}.{year}"),
                    format!("{month}/{day}/{year}"),
                    format!("{day}/{month}/{year}"),
                ]);
            }
        }
        FieldType::Double | FieldType::Int if value.contains('.') => {
            writings.push(value.trim_end_matches('0').trim_end_matches('.').to_owned());
        }
        _ => {}
    }
    writings
}

/// A text's letters and digits in lower case, each with where it stands.
struct Folded {
    chars: Vec<char>,
    places: Vec<(usize, usize)>,
    /// Where each row of so many of them begins.
    windows: HashMap<Vec<char>, Vec<usize>>,
}

impl Folded {
    fn of(text: &str) -> Folded {
        let (mut chars, mut places) = (Vec::new(), Vec::new());
        for (at, c) in text.char_indices().filter(|(_, c)| c.is_alphanumeric()) {
            for low in c.to_lowercase() {
                chars.push(low);
                places.push((at, at + c.len_utf8()));
            }
        }
        let mut windows: HashMap<Vec<char>, Vec<usize>> = HashMap::new();
        for length in [WINDOW, WIDE_WINDOW] {
            for (at, window) in chars.windows(length).enumerate() {
                windows.entry(window.to_vec()).or_default().push(at);
            }
        }
        Folded { chars, places, windows }
    }

    /// Where a value, or a part of it, is quoted.
    fn find_value(&self, text: &str, value: &str, spans: &mut Vec<(usize, usize)>) {
        let plain = folded(value);
        if plain.is_empty() {
            let value = value.trim();
            if !value.is_empty() {
                spans.extend(text.match_indices(value).map(|(at, found)| (at, at + found.len())));
            }
            return;
        }
        if plain.len() < SHORT {
            return self.find(&plain, |span| is_word(text, span) && is_quoted(text, span), spans);
        }
        if plain.len() <= WORD {
            return self.find(&plain, |span| is_word(text, span), spans);
        }
        let length = if plain.len() <= FEW_WORDS { WINDOW } else { WIDE_WINDOW };
        if plain.len() <= length {
            self.find(&plain, |_| true, spans);
        } else {
            for window in plain.windows(length) {
                let found = self.windows.get(window).into_iter().flatten();
                spans.extend(found.map(|at| self.span(*at, length)));
            }
        }
        if plain.len() <= FEW_WORDS {
            let words = value.split(|c: char| !c.is_alphanumeric()).map(folded);
            for word in words.filter(|word| word.len() >= WORD) {
                self.find(&word, |span| is_word(text, span), spans);
            }
        }
    }

    fn find(
        &self,
        wanted: &[char],
        counts: impl Fn((usize, usize)) -> bool,
        spans: &mut Vec<(usize, usize)>,
    ) {
        let found = self.chars.windows(wanted.len()).enumerate().filter(|(_, window)| *window == wanted);
        spans.extend(found.map(|(at, _)| self.span(at, wanted.len())).filter(|span| counts(*span)));
    }

    fn span(&self, at: usize, length: usize) -> (usize, usize) {
        (self.places[at].0, self.places[at + length - 1].1)
    }
}

fn folded(text: &str) -> Vec<char> {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Whether nothing that belongs to a word or a name stands around.
fn is_word(text: &str, (from, to): (usize, usize)) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    !text[..from].ends_with(part) && !text[to..].starts_with(part)
}

/// Whether it stands where a value stands: in quotes or brackets, behind `=` or `:`.
fn is_quoted(text: &str, (from, to): (usize, usize)) -> bool {
    let before = text[..from].trim_end_matches(' ');
    before.ends_with(['"', '\'', '(', '[', '{', '=', ':', ',', '«', '“', '‘', '`', '>'])
        && (text[to..].is_empty() || !text[to..].starts_with(' ') || before.ends_with([':', '=']))
}

/// A text with a mask for each of the spans; what only separators part is one.
fn without(text: &str, mut spans: Vec<(usize, usize)>) -> String {
    spans.sort_unstable();
    let mut joined: Vec<(usize, usize)> = Vec::new();
    for (from, to) in spans {
        match joined.last_mut() {
            Some(last) if from <= last.1 || separates(&text[last.1..from]) => last.1 = last.1.max(to),
            _ => joined.push((from, to)),
        }
    }
    let mut shown = String::with_capacity(text.len());
    let mut after = 0;
    for (from, to) in joined {
        shown.push_str(&text[after..from]);
        shown.push_str(MASK);
        after = to;
    }
    shown.push_str(&text[after..]);
    shown
}

fn separates(between: &str) -> bool {
    !between.chars().any(|c| c.is_alphanumeric() || c.is_whitespace() || "\"'()=".contains(c))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hide(values: &[&str], text: &str) -> String {
        Hidden { values: values.iter().map(|value| (*value).to_owned()).collect() }.hide(text)
    }

    #[test]
    fn a_value_is_found_however_it_is_quoted() {
        for (value, text, shown) in [
            (
                "jane@acme.com",
                "Email: invalid email address: jane@acme.com",
                "Email: invalid email address: •••",
            ),
            (
                "jane@acme.com",
                "Key (email)=(JANE@ACME.COM) already exists.",
                "Key (email)=(•••) already exists.",
            ),
            ("jane@acme.com", "no mail of acme here", "no mail of ••• here"),
            ("jane@acme.com", "the domain of jane is unknown", "the domain of ••• is unknown"),
            ("+49 30 123456", "49-30-123456 is no number", "••• is no number"),
            ("O'Hara Smith", "row ('O\\'Hara Smith')", "row ('•••')"),
            ("a long text that somebody wrote here", "data: a long text that some...", "data: •••..."),
            ("jane.doe@acme,com", "Acme,com is not welcome", "••• is not welcome"),
            ("Ann", "cannot be Ann, or 'ann'", "cannot be •••, or '•••'"),
            (
                "M",
                "Gender: bad value for restricted picklist field: M",
                "Gender: bad value for restricted picklist field: •••",
            ),
            ("M", "M is for Major (M)", "M is for Major (•••)"),
            ("7", "row 7 of 12 has \"7\"", "row 7 of 12 has \"•••\""),
            ("--", "bad: --", "bad: •••"),
            ("Größe", "GRÖSSE, GRÖßE", "GRÖSSE, •••"),
            ("ours@ours.example", "constraint mail_of_ours", "constraint mail_of_ours"),
        ] {
            assert_eq!(hide(&[value], text), shown, "{value} in {text}");
        }
    }

    #[test]
    fn dates_and_numbers_are_found_in_other_writings() {
        let date = Field::plain("Birthdate", FieldType::Date);
        assert!(writings(&date, "1984-03-07").contains(&"07.03.1984".to_owned()));
        let number = Field::plain("Salary__c", FieldType::Double);
        assert!(writings(&number, "12345.60").contains(&"12345.6".to_owned()));
    }

    proptest! {
        #[test]
        fn no_value_of_some_length_is_left_whole(value in "[a-zA-Z0-9@.+ é-]{5,60}", before in "\\PC{0,20}", after in "\\PC{0,20}") {
            prop_assume!(folded(&value).len() > WORD);
            let shown = hide(&[&value], &format!("{before}{value}{after}"));
            prop_assert!(!shown.to_lowercase().contains(&value.to_lowercase()), "{shown}");
        }
    }
}
