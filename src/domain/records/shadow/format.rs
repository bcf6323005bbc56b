//! Values that are the same to Salesforce, and that syncdeck would write in another form than Heroku Connect did.

use serde::Serialize;

use crate::domain::mappings::field::{Field, FieldType};
use crate::domain::mappings::mapping::Mapping;
use crate::domain::values::number::Decimal;
use crate::domain::values::size::thousands;

/// Characters of a value that are shown.
const SHOWN: usize = 80;

/// Why a value that is the same to Salesforce would be written in another form by syncdeck.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FormatReason {
    /// The row has parts of a second.
    PartsOfASecond,
    /// One side has digits that the field's scale, or a double, does not hold.
    Digits,
    /// One side is empty, the other NULL.
    EmptyOrNull,
    /// A checkbox is NULL in the row, which is false.
    NullIsFalse,
    /// Blanks before or behind.
    OuterBlanks,
    /// An id of 15 characters beside one of 18.
    IdLength,
    /// The values of a multi-picklist stand in another order.
    Order,
    /// A transform makes one of the other.
    Transform,
}

impl FormatReason {
    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            FormatReason::PartsOfASecond => "parts of a second",
            FormatReason::Digits => "digits beyond the field's scale",
            FormatReason::EmptyOrNull => "empty beside NULL",
            FormatReason::NullIsFalse => "NULL beside false",
            FormatReason::OuterBlanks => "outer blanks",
            FormatReason::IdLength => "ids of 15 and 18 characters",
            FormatReason::Order => "order of the values",
            FormatReason::Transform => "a transform of the mapping",
        }
    }
}

/// Why syncdeck's reads would write a value otherwise, of one that is in step; `None` where both are written alike.
pub fn format_reason(field: &Field, row: Option<&str>, record: Option<&str>) -> Option<FormatReason> {
    let blank = |text: Option<&str>| text.is_none_or(|text| text.trim().is_empty());
    match (row, record) {
        (None, None) => None,
        _ if blank(row) && blank(record) => (row != record).then_some(FormatReason::EmptyOrNull),
        (None, Some(_)) if field.kind == FieldType::Boolean => Some(FormatReason::NullIsFalse),
        (Some(row), Some(record)) => of_values(field, row, record),
        // In step although only one has a value: a transform empties it.
        _ => Some(FormatReason::Transform),
    }
}

fn of_values(field: &Field, row: &str, record: &str) -> Option<FormatReason> {
    let differs = |is: bool, reason| is.then_some(reason);
    match field.kind {
        FieldType::Boolean => None,
        FieldType::Datetime | FieldType::Time => {
            differs(moment(row) != moment(record), FormatReason::PartsOfASecond)
        }
        FieldType::Int | FieldType::Double => {
            let exact = |text: &str| {
                Decimal::parse(text).map_or_else(|| text.to_owned(), |number| number.to_string())
            };
            differs(exact(row) != exact(record), FormatReason::Digits)
        }
        _ if row == record => None,
        _ if row.trim() == record.trim() => Some(FormatReason::OuterBlanks),
        FieldType::Id | FieldType::Reference if row.get(..15) == record.get(..15) => {
            Some(FormatReason::IdLength)
        }
        FieldType::Multipicklist if row.split(';').count() == record.split(';').count() => {
            Some(FormatReason::Order)
        }
        _ => Some(FormatReason::Transform),
    }
}

/// A time in one form, with its parts of a second.
fn moment(text: &str) -> String {
    let text = text.trim().replace(' ', "T");
    let text = text.trim_end_matches("+00:00").trim_end_matches("+0000").trim_end_matches("+00");
    let text = text.trim_end_matches('Z');
    match text.split_once('.') {
        Some((whole, part)) if part.bytes().all(|digit| digit == b'0') => whole.to_owned(),
        Some((whole, part)) => format!("{whole}.{}", part.trim_end_matches('0')),
        None => text.to_owned(),
    }
}

/// A value as it is shown in an example: masked where the mapping says so, and cut.
pub fn example_value(mapping: &Mapping, column: &str, value: Option<&str>) -> Option<String> {
    let value = mapping.rules.shown_value(column, value.map(str::to_owned))?;
    let length = value.chars().count();
    if length <= SHOWN {
        return Some(value);
    }
    let begin: String = value.chars().take(SHOWN).collect();
    Some(format!("{begin}… ({} characters)", thousands(length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_would_be_written_otherwise_are_told_with_why() {
        let field = |kind| Field { precision: 18, scale: 2, ..Field::plain("F", kind) };
        for (kind, row, record, reason) in [
            (
                FieldType::Datetime,
                Some("2026-11-20T14:02:11.25"),
                Some("2026-11-20T14:02:11"),
                Some(FormatReason::PartsOfASecond),
            ),
            (FieldType::Datetime, Some("2026-11-20T14:02:11+00:00"), Some("2026-11-20T14:02:11"), None),
            (FieldType::Double, Some("1.50"), Some("1.5"), None),
            (FieldType::Double, Some("1.234"), Some("1.23"), Some(FormatReason::Digits)),
            (FieldType::String, Some(""), None, Some(FormatReason::EmptyOrNull)),
            (FieldType::Boolean, None, Some("false"), Some(FormatReason::NullIsFalse)),
            (FieldType::Boolean, Some("true"), Some("true"), None),
            (FieldType::String, Some("a "), Some("a"), Some(FormatReason::OuterBlanks)),
            (
                FieldType::Reference,
                Some("001Ws00003GGHVC"),
                Some("001Ws00003GGHVCIA5"),
                Some(FormatReason::IdLength),
            ),
            (FieldType::Multipicklist, Some("b;a"), Some("a;b"), Some(FormatReason::Order)),
            (FieldType::Phone, Some("(415) 555"), Some("+1415555"), Some(FormatReason::Transform)),
            (FieldType::String, None, None, None),
        ] {
            assert_eq!(format_reason(&field(kind), row, record), reason, "{kind:?} {row:?} {record:?}");
        }
    }

    #[test]
    fn long_values_are_cut_and_masked_ones_not_shown() {
        let mut mapping = Mapping::plain("Contact", vec![Field::plain("Email", FieldType::Email)]);
        mapping.rules.set("Email.mask", "true").unwrap();
        let shown = |column: &str| example_value(&mapping, column, Some(&"9".repeat(1_000))).unwrap();
        assert!(shown("amount").ends_with("9… (1,000 characters)") && shown("amount").chars().count() < 110);
        assert_eq!(shown("email"), "•••");
    }
}
