//! Transforms: what is done to a field's value on its way to Salesforce. Written as in `syncdeck.toml`:
//! `trim`, `phone_e164(US)`, `truncate(40)`, `replace("[^0-9]", "")`, `map{Hot=A, "Very cold"=C}`; several of a field
//! stand one behind the other, joined by `|`.

use std::collections::BTreeMap;
use std::fmt;

use phonenumber::country;
use regex::Regex;
use unicode_segmentation::UnicodeSegmentation;

use crate::domain::mappings::field::Field;
use crate::domain::values::check::units;
use crate::domain::values::phone;

/// The forms, for messages.
pub const FORMS: &str = "trim, lowercase, uppercase, phone_e164(US), truncate(40) or truncate(field), default(value), \
     empty_to_null, null_to_empty, replace(\"regex\", \"to\"), map{from=to, *=other}";

/// One transform. Two are equal when they are written alike.
#[derive(Clone, Debug)]
pub struct Transform {
    text: String,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Trim,
    Lowercase,
    Uppercase,
    PhoneE164(Option<country::Id>),
    /// To so many characters; without, to what the field holds.
    Truncate(Option<usize>),
    Default(String),
    EmptyToNull,
    NullToEmpty,
    Replace(Regex, String),
    Map(BTreeMap<String, String>),
}

impl PartialEq for Transform {
    fn eq(&self, other: &Transform) -> bool {
        self.text == other.text
    }
}

impl fmt::Display for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Transform {
    /// The country of telephone numbers that do not say theirs, of the transform that writes them.
    pub(in crate::domain) fn home(&self) -> Option<country::Id> {
        if let Kind::PhoneE164(country) = self.kind { country } else { None }
    }

    /// Reads one transform.
    ///
    /// # Errors
    /// What is wrong with it, with what is allowed.
    pub fn parse(text: &str) -> Result<Transform, String> {
        let text = text.trim();
        let (name, arguments) = match text.find(['(', '{']) {
            Some(at) => (text[..at].trim(), Some(arguments(&text[at..])?)),
            None => (text, None),
        };
        let given = arguments.as_deref().unwrap_or_default();
        let kind = match (name, given) {
            ("trim", []) => Kind::Trim,
            ("lowercase", []) => Kind::Lowercase,
            ("uppercase", []) => Kind::Uppercase,
            ("empty_to_null", []) => Kind::EmptyToNull,
            ("null_to_empty", []) => Kind::NullToEmpty,
            ("phone_e164", []) => Kind::PhoneE164(None),
            ("phone_e164", [code]) => {
                let country = code.to_uppercase().parse().ok().filter(|country| phone::is_known(*country));
                let country =
                    country.ok_or_else(|| format!("{code:?} is no country; use two letters such as US"))?;
                Kind::PhoneE164(Some(country))
            }
            ("truncate", [to]) if to == "field" => Kind::Truncate(None),
            ("truncate", [to]) => {
                Kind::Truncate(Some(to.parse().ok().filter(|most| *most > 0).ok_or_else(|| {
                    format!("{to:?} is no number of characters; use truncate(40) or truncate(field)")
                })?))
            }
            ("default", [value]) => Kind::Default(value.clone()),
            ("replace", [regex, to]) => Kind::Replace(
                Regex::new(regex)
                    .map_err(|error| format!("{regex:?} is no regular expression: {}", last_line(&error)))?,
                to.clone(),
            ),
            ("map", pairs) if !pairs.is_empty() => {
                Kind::Map(pairs.iter().map(|pair| entry(pair)).collect::<Result<_, _>>()?)
            }
            _ => return Err(format!("{text:?} is no transform; there are {FORMS}")),
        };
        Ok(Transform { text: text.to_owned(), kind })
    }

    /// Reads several, joined by `|`.
    ///
    /// # Errors
    /// See [`Transform::parse`].
    pub fn parse_all(text: &str) -> Result<Vec<Transform>, String> {
        split(text, '|')
            .iter()
            .filter(|part| !part.trim().is_empty())
            .map(|part| Transform::parse(part))
            .collect()
    }

    /// The value that this makes of one; `None` is NULL.
    ///
    /// # Errors
    /// Why it cannot be done with this value.
    pub fn apply(&self, field: &Field, value: Option<String>) -> Result<Option<String>, String> {
        let Some(text) = value else {
            return Ok(match &self.kind {
                Kind::Default(default) => Some(default.clone()),
                Kind::NullToEmpty => Some(String::new()),
                _ => None,
            });
        };
        Ok(Some(match &self.kind {
            Kind::Trim => text.trim_matches(is_nothing).to_owned(),
            Kind::Lowercase => text.to_lowercase(),
            Kind::Uppercase => text.to_uppercase(),
            Kind::EmptyToNull if text.trim().is_empty() => return Ok(None),
            Kind::Default(default) if text.trim().is_empty() => default.clone(),
            Kind::EmptyToNull | Kind::NullToEmpty | Kind::Default(_) => text,
            Kind::Truncate(most) => {
                let held = usize::try_from(field.length).ok().filter(|length| *length > 0);
                cut(&text, most.or(held).unwrap_or(usize::MAX)).to_owned()
            }
            Kind::Replace(regex, to) => regex.replace_all(&text, to.as_str()).into_owned(),
            Kind::Map(map) => {
                let known = map.get(&text).or_else(|| map.get(text.trim_matches(is_nothing)));
                known.or_else(|| map.get(ANYTHING_ELSE)).cloned().unwrap_or(text)
            }
            Kind::PhoneE164(_) if text.trim().is_empty() => text,
            Kind::PhoneE164(country) => phone::e164(*country, &text)?,
        }))
    }

    /// Whether it is there to take something off a value, and so may take all of it.
    fn takes_off(&self) -> bool {
        matches!(self.kind, Kind::Replace(..) | Kind::Truncate(_))
    }

    /// Whether it says what becomes of a value of which nothing is left.
    fn expects_nothing(&self) -> bool {
        matches!(self.kind, Kind::EmptyToNull | Kind::Default(_))
    }
}

/// Applies transforms one behind the other. One that leaves nothing of a value clears it in Salesforce, which nobody
/// is told: that is refused unless a later one says what is meant by nothing.
///
/// ```
/// use syncdeck::domain::mappings::field::{Field, FieldType};
/// use syncdeck::domain::values::transform::{Transform, apply_all};
///
/// let phone = Field::plain("Phone", FieldType::Phone);
/// let transforms = Transform::parse_all("trim | phone_e164(US)").unwrap();
/// let sent = apply_all(&transforms, &phone, Some(" (415) 555-2671 ")).unwrap();
/// assert_eq!(sent.as_deref(), Some("+14155552671"));
///
/// let digits = Transform::parse_all(r#"replace("[^0-9]", "")"#).unwrap();
/// assert!(apply_all(&digits, &phone, Some("none")).is_err());
/// ```
///
/// # Errors
/// The transform that failed, and why.
pub fn apply_all(
    transforms: &[Transform],
    field: &Field,
    value: Option<&str>,
) -> Result<Option<String>, String> {
    let is_blank = |value: Option<&str>| value.is_none_or(|text| text.trim().is_empty());
    transforms.iter().enumerate().try_fold(value.map(str::to_owned), |value, (at, transform)| {
        let before = value.clone();
        let made = transform.apply(field, value).map_err(|why| format!("{transform}: {why}"))?;
        let is_lost = transform.takes_off() && is_blank(made.as_deref()) && !is_blank(before.as_deref());
        if is_lost && !transforms[at + 1..].iter().any(Transform::expects_nothing) {
            let before = before.unwrap_or_default();
            return Err(format!("{transform}: leaves nothing of {before:?}; put \"| empty_to_null\" behind it to clear the field"));
        }
        Ok(made)
    })
}

/// What stands in a map for every value that it does not name.
const ANYTHING_ELSE: &str = "*";

/// What cannot be seen at the ends of a text: blanks of any kind, and the marks that copies from web pages and
/// spreadsheets bring along.
fn is_nothing(c: char) -> bool {
    let mark = matches!(
        c,
        '\u{ad}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
    );
    mark || c.is_whitespace()
}

/// As much of a text as so many UTF-16 units hold, as Salesforce counts them, and nothing that people see as one
/// character cut in two.
fn cut(text: &str, most: usize) -> &str {
    let mut held = 0;
    let fits = |(_, part): &(usize, &str)| {
        held += units(part);
        held <= most
    };
    let end = text.grapheme_indices(true).take_while(fits).last().map_or(0, |(at, part)| at + part.len());
    &text[..end]
}

/// `from=to`, either side quoted or bare.
fn entry(pair: &str) -> Result<(String, String), String> {
    match split(pair, '=').as_slice() {
        [from, to] => Ok((unquote(from), unquote(to))),
        _ => Err(format!("{pair:?} is no from=to")),
    }
}

/// What stands between the brackets, split at commas. Quotes are taken off, but for the pairs of a map, which need them.
fn arguments(text: &str) -> Result<Vec<String>, String> {
    let close = if text.starts_with('{') { '}' } else { ')' };
    let inner = text[1..].strip_suffix(close).ok_or_else(|| format!("{text:?} lacks its closing {close}"))?;
    if inner.trim().is_empty() {
        return Ok(Vec::new());
    }
    let parts = split(inner, ',');
    Ok(if close == '}' { parts } else { parts.iter().map(|part| unquote(part)).collect() })
}

/// Splits at a character that stands outside quotes, brackets and braces.
fn split(text: &str, at: char) -> Vec<String> {
    let (mut parts, mut quoted, mut depth, mut escaped) = (vec![String::new()], false, 0_i32, false);
    for c in text.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '(' | '{' if !quoted => depth += 1,
            ')' | '}' if !quoted => depth -= 1,
            _ if c == at && !quoted && depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = parts.last_mut() {
            last.push(c);
        }
    }
    parts
}

/// Without its quotes, in which `\"` is a quote; any other backslash stays, for regular expressions have many.
fn unquote(text: &str) -> String {
    let text = text.trim();
    match text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) => inner.replace("\\\"", "\""),
        None => text.to_owned(),
    }
}

/// The line of a regular expression's error that says what is wrong.
fn last_line(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::mappings::field::FieldType;

    fn field() -> Field {
        Field { length: 5, ..Field::plain("Phone", FieldType::Phone) }
    }

    fn done(transforms: &str, value: Option<&str>) -> Result<Option<String>, String> {
        apply_all(&Transform::parse_all(transforms).unwrap(), &field(), value)
    }

    #[test]
    fn each_transform_does_what_its_name_says() {
        for (transforms, value, wanted) in [
            ("trim", Some("  a b "), Some("a b")),
            ("lowercase", Some("ÄB@C.De"), Some("äb@c.de")),
            ("uppercase", Some("straße"), Some("STRASSE")),
            ("phone_e164(US)", Some("(202) 555-0143"), Some("+12025550143")),
            ("phone_e164(DE)", Some("030 901820"), Some("+4930901820")),
            ("phone_e164(US)", Some("+44 20 7946 0018"), Some("+442079460018")),
            ("phone_e164(us)", Some("+44 (0)20 7946 0958"), Some("+442079460958")),
            ("phone_e164", Some("+1 415 555 2671"), Some("+14155552671")),
            ("phone_e164(US)", Some(""), Some("")),
            ("phone_e164(US)", None, None),
            ("truncate(3)", Some("äöüß"), Some("äöü")),
            ("truncate(field)", Some("1234567"), Some("12345")),
            // As Salesforce counts, and never half of what is seen as one.
            ("truncate(field)", Some("😀😀😀"), Some("😀😀")),
            ("truncate(3)", Some("a👩‍💻b"), Some("a")),
            ("truncate(2)", Some("e\u{301}a\u{308}"), Some("e\u{301}")),
            ("truncate(5)", Some("🇩🇪🇫🇷"), Some("🇩🇪")),
            ("trim", Some("\u{feff}\u{a0}a\u{202f}b\u{200b}\u{3000}"), Some("a\u{202f}b")),
            ("default(Unknown)", None, Some("Unknown")),
            ("default(\"a, b\")", Some(" "), Some("a, b")),
            ("default(X)", Some("y"), Some("y")),
            ("empty_to_null", Some("  "), None),
            ("null_to_empty", None, Some("")),
            ("replace(\",\", \".\")", Some("jane@acme,com"), Some("jane@acme.com")),
            ("replace(\"^(\\d)(\\d)$\", \"$2-$1\")", Some("12"), Some("2-1")),
            ("map{Hot=A, \"Very cold\"=\"C, D\"}", Some("Very cold"), Some("C, D")),
            ("map{Hot=A}", Some("Warm"), Some("Warm")),
            ("map{Hot=A}", Some(" Hot\u{a0}"), Some("A")),
            ("map{Hot=A, *=B}", Some("Warm"), Some("B")),
            ("map{Hot=A, *=B}", Some("Hot"), Some("A")),
            ("replace(\"^n/a$\", \"\") | empty_to_null", Some("n/a"), None),
            ("replace(\"^n/a$\", \"\") | default(none)", Some("n/a"), Some("none")),
            ("replace(\"x\", \"\")", Some(" "), Some(" ")),
            ("trim | lowercase | truncate(2)", Some("  ABC "), Some("ab")),
            ("replace(\"a|b\", \"\") | trim", Some("ab c"), Some("c")),
            ("", Some("as it is"), Some("as it is")),
        ] {
            assert_eq!(done(transforms, value), Ok(wanted.map(str::to_owned)), "{transforms} of {value:?}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused_by_name() {
        for text in ["(555) ABC-1234", "call me maybe", "12", "123456789012345678"] {
            let why = done("trim | phone_e164(US)", Some(text)).unwrap_err();
            assert_eq!(why, format!("phone_e164(US): {text:?} is no telephone number"));
        }
        assert!(done("phone_e164", Some("555 010 1234")).unwrap_err().contains("no country code"));
        let why = done("phone_e164(US)", Some("(555) 010-1234")).unwrap_err();
        assert_eq!(why, "phone_e164(US): \"(555) 010-1234\" is no valid telephone number in US");
    }

    #[test]
    fn what_leaves_nothing_of_a_value_does_not_clear_it_in_silence() {
        for (transforms, value) in [
            ("replace(\"[^0-9]\", \"\")", "call me"),
            ("replace(\"[^0-9]\", \"\") | trim", "call me"),
            ("truncate(1)", "😀"),
        ] {
            let why = done(transforms, Some(value)).unwrap_err();
            assert!(why.contains(&format!("leaves nothing of {value:?}")), "{why}");
        }
    }

    #[test]
    fn a_bad_transform_is_refused_with_what_is_allowed() {
        for (text, part) in [
            ("trimm", "\"trimm\" is no transform; there are trim, lowercase"),
            ("trim(1)", "is no transform"),
            ("phone_e164(Mars)", "\"Mars\" is no country"),
            ("truncate(many)", "is no number of characters"),
            ("truncate(0)", "is no number of characters"),
            ("replace(\"(\", \"\")", "\"(\" is no regular expression: unclosed group"),
            ("replace(\"a\")", "is no transform"),
            ("map{Hot}", "\"Hot\" is no from=to"),
            ("default(x", "lacks its closing )"),
        ] {
            let why = Transform::parse(text).unwrap_err();
            assert!(why.contains(part), "{text}: {why}");
        }
    }

    proptest! {
        /// What was sent and is read back must not look like a change: a second pass changes nothing.
        #[test]
        fn normalising_twice_is_normalising_once(text in "\\PC{0,12}") {
            for transforms in ["trim", "lowercase", "truncate(4)", "empty_to_null", "default(x)"] {
                let Ok(once) = done(transforms, Some(&text)) else { continue };
                prop_assert_eq!(done(transforms, once.as_deref()).unwrap(), once);
            }
        }

        #[test]
        fn a_number_that_was_written_once_is_written_so_again(text in "[-0-9() +/.]{4,18}") {
            for transforms in ["phone_e164(US)", "phone_e164(GB)", "phone_e164(DE)", "phone_e164(IT)"] {
                let Ok(once) = done(transforms, Some(&text)) else { continue };
                prop_assert_eq!(done(transforms, once.as_deref()).unwrap(), once);
            }
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,30}") {
            let _ = Transform::parse_all(&text);
            for transforms in ["phone_e164", "phone_e164(US)", "phone_e164(BR)", "phone_e164(DE)"] {
                let _ = done(transforms, Some(&text));
            }
        }
    }
}
