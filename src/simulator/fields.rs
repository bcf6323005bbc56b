//! The values of a record in one piece of text. An org of a million records is kept in memory, where a map for each of them
//! takes ten times as much as the values themselves.

use std::collections::HashMap;

use serde_json::{Map, Number, Value};

/// Values by field name: those of a record, without nulls, or those that a write names, nulls too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields(Box<str>);

/// One value, where it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held<'a> {
    /// Of a write only.
    Null,
    Bool(bool),
    /// With all its digits.
    Number(&'a str),
    Text(&'a str),
    /// A list or an object as JSON. No field is of that kind, but a text field takes what it gets.
    Json(&'a str),
}

impl<'a> Held<'a> {
    pub(super) fn text(self) -> Option<&'a str> {
        match self {
            Held::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn value(self) -> Value {
        match self {
            Held::Null => Value::Null,
            Held::Bool(value) => Value::from(value),
            Held::Number(digits) => digits.parse::<Number>().map_or(Value::Null, Value::Number),
            Held::Text(text) => Value::from(text),
            Held::Json(text) => serde_json::from_str(text).unwrap_or_default(),
        }
    }
}

impl Fields {
    /// Those of a record.
    pub(super) fn of(values: &Map<String, Value>) -> Fields {
        Fields::packed(values.iter().filter(|(_, value)| !value.is_null()))
    }

    /// Those that a write names.
    pub(super) fn written(values: &Map<String, Value>) -> Fields {
        Fields::packed(values.iter())
    }

    fn packed<'a>(values: impl Iterator<Item = (&'a String, &'a Value)>) -> Fields {
        let mut text = String::new();
        for (name, value) in values {
            let (kind, value) = match value {
                Value::Null => ('z', String::new()),
                Value::Bool(value) => ('b', value.to_string()),
                Value::Number(number) => ('n', number.to_string()),
                Value::String(value) => ('t', value.clone()),
                other => ('j', other.to_string()),
            };
            push(&mut text, name);
            text.push(kind);
            push(&mut text, &value);
        }
        Fields(text.into_boxed_str())
    }

    /// A value by the name of its field, in that one's own spelling.
    pub(super) fn get(&self, name: &str) -> Option<Held<'_>> {
        self.iter().find_map(|(own, held)| (own == name).then_some(held))
    }

    /// All values by the names of their fields. Each look for one goes through those before it: of a wide record they are
    /// taken apart once.
    pub(super) fn by_name(&self) -> HashMap<&str, Held<'_>> {
        self.iter().collect()
    }

    /// The values as JSON.
    pub(super) fn map(&self) -> Map<String, Value> {
        self.iter().map(|(name, held)| (name.to_owned(), held.value())).collect()
    }

    /// The values without one, by its field's name in any case.
    pub(super) fn without(&self, name: &str) -> Fields {
        let mut values = self.map();
        values.retain(|own, _| !own.eq_ignore_ascii_case(name));
        Fields::of(&values)
    }

    fn iter(&self) -> impl Iterator<Item = (&str, Held<'_>)> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || {
            let (name, behind) = piece(rest)?;
            let kind = *behind.as_bytes().first()?;
            let (value, behind) = piece(behind.get(1..)?)?;
            rest = behind;
            let held = match kind {
                b'z' => Held::Null,
                b'b' => Held::Bool(value == "true"),
                b'n' => Held::Number(value),
                b't' => Held::Text(value),
                _ => Held::Json(value),
            };
            Some((name, held))
        })
    }
}

/// Adds a piece of text behind its length, which is written in digits to the base of 64, the lowest first; all but the last
/// have 64 added.
fn push(text: &mut String, piece: &str) {
    let mut length = piece.len();
    loop {
        let more = if length >= 64 { 64 } else { 0 };
        text.push(char::from(u8::try_from(length % 64).unwrap_or(0) + more));
        length /= 64;
        if more == 0 {
            break;
        }
    }
    text.push_str(piece);
}

/// The piece of text that comes first, and what is behind it.
fn piece(text: &str) -> Option<(&str, &str)> {
    let (mut length, mut factor) = (0, 1);
    for (at, digit) in text.bytes().enumerate() {
        length += usize::from(digit % 64) * factor;
        factor *= 64;
        if digit < 64 {
            return text.get(at + 1..)?.split_at_checked(length);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn every_value_comes_back_as_it_went_in() {
        let values = json!({"Name": "Zoë \u{1f600}", "Empty": "", "Long": "x".repeat(70_000), "Yes": true, "No": false,
            "Number": 1.50, "List": [1, {"a": null}], "Gone": null});
        let Value::Object(mut values) = values else { panic!("no object") };
        values
            .insert("Digits".to_owned(), "12345678901234567890.123456789".parse::<Number>().unwrap().into());
        assert_eq!(Fields::written(&values).map(), values);
        let fields = Fields::of(&values);
        values.shift_remove("Gone");
        assert_eq!(fields.map(), values);
        assert_eq!(fields.get("Digits"), Some(Held::Number("12345678901234567890.123456789")));
        assert_eq!((fields.get("Gone"), fields.get("name")), (None, None));
    }

    proptest! {
        #[test]
        fn texts_of_any_length_are_told_apart(values in prop::collection::vec((".{0,80}", ".{0,200}"), 0..6)) {
            let values: Map<String, Value> =
                values.into_iter().map(|(name, value)| (name, Value::from(value))).collect();
            prop_assert_eq!(Fields::of(&values).map(), values);
        }
    }
}
