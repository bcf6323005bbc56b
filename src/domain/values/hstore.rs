//! PostgreSQL's hstore as text: how the change log keeps values, `"name"=>"Ada", "email"=>NULL`.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

/// Columns and their values; `None` is NULL.
pub type Hstore = BTreeMap<String, Option<String>>;

/// Text that is no hstore.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no hstore at character {at}: expected {expected}")]
pub struct HstoreError {
    /// How many characters were read.
    pub at: usize,
    expected: &'static str,
}

/// Reads hstore text. A key that stands twice has its first value, as in PostgreSQL.
///
/// # Errors
/// Where the text stops being an hstore.
pub fn parse(text: &str) -> Result<Hstore, HstoreError> {
    let mut reader = Reader { rest: text.chars().peekable(), read: 0 };
    let mut values = Hstore::new();
    reader.blanks();
    while reader.rest.peek().is_some() {
        let (key, _) = reader.word("a key")?;
        reader.blanks();
        reader.expect('=', "=>")?;
        reader.expect('>', "=>")?;
        reader.blanks();
        let (value, quoted) = reader.word("a value")?;
        let value = if !quoted && value.eq_ignore_ascii_case("null") { None } else { Some(value) };
        values.entry(key).or_insert(value);
        reader.blanks();
        if reader.rest.peek().is_some() {
            reader.expect(',', "a comma")?;
            reader.blanks();
        }
    }
    Ok(values)
}

/// Writes hstore text.
pub fn format(values: &Hstore) -> String {
    let quote = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    values
        .iter()
        .map(|(key, value)| format!("{}=>{}", quote(key), value.as_deref().map_or("NULL".to_owned(), quote)))
        .collect::<Vec<_>>()
        .join(", ")
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    read: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        self.read += 1;
        self.rest.next()
    }

    fn blanks(&mut self) {
        while self.rest.peek().is_some_and(|c| c.is_ascii_whitespace()) {
            self.next();
        }
    }

    fn expect(&mut self, wanted: char, expected: &'static str) -> Result<(), HstoreError> {
        let at = self.read;
        if self.next() == Some(wanted) { Ok(()) } else { Err(HstoreError { at, expected }) }
    }

    /// A quoted or bare word, and whether it was quoted.
    fn word(&mut self, expected: &'static str) -> Result<(String, bool), HstoreError> {
        let mut word = String::new();
        if self.rest.peek() == Some(&'"') {
            self.next();
            loop {
                match self.next() {
                    Some('"') => return Ok((word, true)),
                    Some('\\') => word.extend(self.next()),
                    Some(c) => word.push(c),
                    None => return Err(HstoreError { at: self.read, expected: "a closing quote" }),
                }
            }
        }
        while let Some(&c) = self.rest.peek() {
            if c.is_ascii_whitespace() || c == ',' || c == '=' {
                break;
            }
            self.next();
            word.push(c);
        }
        if word.is_empty() { Err(HstoreError { at: self.read, expected }) } else { Ok((word, false)) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn null_is_not_the_word_null() {
        let values = parse(r#""a"=>"x \"y\" \\", "b"=>NULL, "c"=>"NULL", d=>1"#).unwrap();
        assert_eq!(values["a"].as_deref(), Some(r#"x "y" \"#));
        assert_eq!(values["b"], None);
        assert_eq!(values["c"].as_deref(), Some("NULL"));
        assert_eq!(values["d"].as_deref(), Some("1"));
        assert_eq!(parse("").unwrap(), Hstore::new());
        assert!(parse(r#""a"=>"#).is_err() && parse(r#""a"#).is_err() && parse("a").is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(values in prop::collection::btree_map(".*", prop::option::of(".*"), 0..6)) {
            prop_assert_eq!(parse(&format(&values)).unwrap(), values);
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = parse(&text);
        }
    }
}
