//! Rows that are one thing without having one key: by the rule `match`, values as people and Salesforce compare them.

use phonenumber::country::Id;

use crate::domain::mappings::field::{Field, FieldType};
use crate::domain::mappings::mapping::Mapping;
use crate::domain::mappings::matches::Match;
use crate::domain::names::column_of;
use crate::domain::values::transform::Transform;
use crate::domain::values::{key, phone};

/// The fields of a match as they are mapped; `None` where one is not, or is not read.
pub fn fields<'a>(by: &Match, mapping: &'a Mapping) -> Option<Vec<&'a Field>> {
    let field = |name: &String| mapping.field(&column_of(name)).filter(|field| field.is_read());
    by.0.iter().map(field).collect()
}

/// The country of a field's numbers that do not say it, by the rule that writes them.
fn home(mapping: &Mapping, field: &Field) -> Option<Id> {
    let rules = mapping.rules.of(&field.column)?;
    rules.transforms.iter().find_map(Transform::home)
}

/// A value in the one form in which equal ones are alike; `None` where nothing is left of it. Telephone numbers are one
/// number however they are written, as far as that is certain; without their country, their digits are compared.
pub fn folded(mapping: &Mapping, field: &Field, text: &str) -> Option<String> {
    if field.kind != FieldType::Phone {
        return key::fold(field, text);
    }
    if let Ok(number) = phone::e164(home(mapping, field), text) {
        // An extension is somebody else's telephone.
        let digits = digits(text);
        let own = digits.trim_start_matches('0');
        let written = number.trim_start_matches('+');
        return Some(if written.ends_with(&own[own.len().saturating_sub(FEWEST)..]) {
            number
        } else {
            digits
        });
    }
    Some(digits(text)).filter(|digits| digits.len() >= FEWEST)
}

/// Numbers of fewer digits are nobody's own; they are compared by so many at their end first.
pub const FEWEST: usize = 7;

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::mappings::rules::Rules;

    #[test]
    fn values_agree_as_salesforce_compares_them() {
        let mut rules = Rules::default();
        rules.set("Phone.transforms", "phone_e164(US)").unwrap();
        let phone = Field::plain("Phone", FieldType::Phone);
        let fax = Field::plain("Fax", FieldType::Phone);
        let email = Field::plain("Email", FieldType::Email);
        let mapping =
            Mapping { rules, ..Mapping::plain("Contact", vec![phone.clone(), fax.clone(), email.clone()]) };
        let one = |field: &Field, a: &str, b: &str| {
            let (a, b) = (folded(&mapping, field, a), folded(&mapping, field, b));
            a.is_some() && a == b
        };
        assert!(one(&email, " Jane@Acme.com", "jane@acme.com "));
        assert!(!one(&email, "jane@acme.com", "june@acme.com") && !one(&email, " ", " "));
        assert!(
            one(&phone, "(415) 555-2671", "+1 415 555 2671") && one(&phone, "4155552671", "+14155552671")
        );
        assert!(!one(&phone, "+1 415 555 2671", "+1 415 555 2672"));
        assert!(!one(&phone, "+1 415 555 2671 x5", "+1 415 555 2671"), "an extension is another telephone");
        assert!(one(&fax, "(415) 555-2671", "415-555-2671"));
        assert!(!one(&fax, "415 555 2671", "+1 415 555 2671"), "without a country nothing is certain");
        assert!(!one(&fax, "112", "112"));
    }
}
