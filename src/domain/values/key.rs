//! External ids as Salesforce compares them: without the blanks around them, in any case unless the field is case-sensitive,
//! numbers by their value. Two texts that are one key here are one record there.

use crate::domain::mappings::field::{Field, FieldType};

/// An external id of a row.
#[derive(Clone, Debug)]
pub struct Key {
    /// As the row has it.
    pub text: String,
    /// As Salesforce compares it.
    pub folded: String,
}

impl Key {
    /// A row's value of a key field; `None` when nothing is left of it, for then the row has none.
    pub fn of(field: &Field, text: &str) -> Option<Key> {
        fold(field, text).map(|folded| Key { text: text.to_owned(), folded })
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        self.folded == other.folded
    }
}

impl Eq for Key {}

/// A key in the one form in which equal keys are alike; `None` when nothing is left of it.
pub fn fold(field: &Field, text: &str) -> Option<String> {
    // What Salesforce takes off: the control characters and the blank, as Java does; a no-break space stays.
    let text = text.trim_matches(|c: char| c <= ' ');
    if text.is_empty() {
        return None;
    }
    let folded = match (field.kind, text.parse::<f64>()) {
        (FieldType::Int | FieldType::Double, Ok(number)) if number.is_finite() => number.to_string(),
        _ if field.case_sensitive => text.to_owned(),
        _ => text.to_lowercase(),
    };
    Some(folded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_one_when_salesforce_takes_them_for_one() {
        let text = Field::plain("Key__c", FieldType::String);
        let exact = Field { case_sensitive: true, ..text.clone() };
        let number = Field::plain("Number__c", FieldType::Double);
        let one = |field: &Field, a: &str, b: &str| fold(field, a) == fold(field, b);
        assert!(one(&text, "K-77", " k-77\t\r\n"));
        assert!(one(&text, "ÄPFEL", "äpfel"));
        assert!(!one(&text, "K 77", "K  77"));
        assert!(!one(&text, "1", "1.0"));
        assert!(!one(&text, "K-77", "K-77\u{a0}"));
        assert!(one(&exact, "K-77 ", "K-77") && !one(&exact, "K-77", "k-77"));
        assert!(one(&number, "1", "1.0") && one(&number, "1e3", "1000") && !one(&number, "1", "2"));
        assert_eq!(fold(&text, " \t"), None);
    }
}
