//! The values of picklists: one of a list, or several of it joined by semicolons. What of a text is none of the list, and the
//! text with another value in its place.

use super::nearest::nearest_value;
use crate::domain::mappings::field::{Field, FieldType};

/// Whether a field's list has a value, in any case, as Salesforce compares.
pub(super) fn is_listed(field: &Field, text: &str) -> bool {
    field.picklist.iter().any(|value| value.eq_ignore_ascii_case(text.trim()))
}

/// The values of a text, without blanks at their ends.
pub(super) fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(';').map(str::trim).filter(|part| !part.is_empty())
}

/// The text with what was meant in place of each value that the list does not have: `None` where one is near to none.
pub fn nearest_of(field: &Field, text: &str) -> Option<String> {
    if field.kind != FieldType::Multipicklist {
        return nearest_value(text, &field.picklist).map(str::to_owned);
    }
    let meant = |part| match is_listed(field, part) {
        true => Some(part),
        false => nearest_value(part, &field.picklist),
    };
    Some(joined(parts(text).map(meant).collect::<Option<Vec<_>>>()?))
}

/// What a person may put in place of a text that Salesforce refuses, each with the text that it makes. Of several values the
/// first that the list does not have is replaced; there is nothing to choose where it has them all. One value that the list has
/// is refused for this record: any other may do.
pub fn choices<'a>(field: &'a Field, text: Option<&str>) -> Vec<(&'a str, String)> {
    let text = text.unwrap_or_default();
    let others = field.picklist.iter().map(String::as_str);
    match field.kind {
        FieldType::Picklist => {
            let refused = text.trim();
            others
                .filter(|value| !value.eq_ignore_ascii_case(refused))
                .map(|value| (value, value.to_owned()))
                .collect()
        }
        FieldType::Multipicklist => {
            let values: Vec<&str> = parts(text).collect();
            let refused = values.iter().position(|part| !is_listed(field, part));
            if refused.is_none() && !values.is_empty() {
                return Vec::new();
            }
            let with = |value| {
                let mut all = values.clone();
                all.splice(refused.map_or(0..0, |at| at..at + 1), [value]);
                joined(all)
            };
            let is_new = |value: &&str| !values.iter().any(|part| part.eq_ignore_ascii_case(value));
            others.filter(is_new).map(|value| (value, with(value))).collect()
        }
        _ => Vec::new(),
    }
}

/// Values as one text, each of them once.
fn joined(values: Vec<&str>) -> String {
    let mut once: Vec<&str> = Vec::new();
    for value in values {
        if !once.iter().any(|known| known.eq_ignore_ascii_case(value)) {
            once.push(value);
        }
    }
    once.join(";")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(kind: FieldType) -> Field {
        let picklist = ["Coffee", "Green tea", "Water"].map(str::to_owned).to_vec();
        Field { picklist, restricted: true, ..Field::plain("Drinks__c", kind) }
    }

    #[test]
    fn what_was_meant_takes_the_place_of_each_value_that_the_list_does_not_have() {
        let (one, many) = (field(FieldType::Picklist), field(FieldType::Multipicklist));
        assert_eq!(nearest_of(&one, "cofee").as_deref(), Some("Coffee"));
        for (text, meant) in [
            ("Water; green-tea", Some("Water;Green tea")),
            ("cofee;Coffee;Water", Some("Coffee;Water")),
            ("water;Coffee", Some("water;Coffee")),
            ("Water;Beer", None),
        ] {
            assert_eq!(nearest_of(&many, text).as_deref(), meant, "{text}");
        }
    }

    #[test]
    fn one_of_the_list_takes_the_place_of_the_value_that_is_refused_and_of_no_other() {
        let (one, many) = (field(FieldType::Picklist), field(FieldType::Multipicklist));
        let made = |field: &Field, text| -> Vec<String> {
            choices(field, Some(text)).into_iter().map(|(_, made)| made).collect()
        };
        assert_eq!(made(&one, "Beer"), ["Coffee", "Green tea", "Water"]);
        // The list has it, and this record may not have it.
        assert_eq!(made(&one, "coffee"), ["Green tea", "Water"]);
        assert_eq!(made(&many, "Water;Beer; Wine"), ["Water;Coffee;Wine", "Water;Green tea;Wine"]);
        assert!(made(&many, "Water;Coffee").is_empty());
        assert_eq!(made(&many, " ; "), ["Coffee", "Green tea", "Water"]);
        assert!(choices(&field(FieldType::String), Some("Beer")).is_empty());
    }
}
