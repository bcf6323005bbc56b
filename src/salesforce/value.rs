//! Values on their way: PostgreSQL's text to the JSON that Salesforce takes, and back.
//!
//! Types are told by describe, because a value of the wrong JSON type fails a whole request (JSON_PARSER_ERROR), and
//! the change log keeps everything as text.

use std::borrow::Cow;

use serde_json::{Map, Number, Value, json};

use crate::domain::mappings::field::{Field, FieldType};
use crate::domain::mappings::mapping::{CHANGED, Mapping};
use crate::domain::values::number::Decimal;

/// A value that JSON has no way to write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{label}: {text} cannot be sent to Salesforce, which takes only finite values")]
pub struct Unsendable {
    /// API name of the field.
    pub field: String,
    /// Its label.
    label: String,
    /// The value.
    text: String,
}

/// Adds one column's value to a record that is to be sent. Text that is no number in a number field goes as it is:
/// Salesforce says so better than we could, and another type may be what its administrator meant.
///
/// # Errors
/// `NaN` and infinity, for numbers, dates and times.
pub fn put(
    record: &mut Map<String, Value>,
    mapping: &Mapping,
    field: &Field,
    text: Option<&str>,
) -> Result<(), Unsendable> {
    if let Some(parent) = mapping.parents.iter().find(|parent| parent.column == field.column) {
        // A NULL here says nothing about the lookup, which may be set by its id.
        if let Some(text) = text {
            record.insert(parent.relationship.clone(), json!({ (parent.field.as_str()): text }));
        }
        return Ok(());
    }
    record.insert(field.name.clone(), to_json(field, text)?);
    Ok(())
}

fn to_json(field: &Field, text: Option<&str>) -> Result<Value, Unsendable> {
    let Some(text) = text else { return Ok(Value::Null) };
    let unsendable =
        || Unsendable { field: field.name.clone(), label: field.label.clone(), text: text.to_owned() };
    let endless = |text: &str| text.trim_start_matches('-').eq_ignore_ascii_case("infinity");
    Ok(match field.kind {
        FieldType::Boolean => match text {
            "t" | "true" => Value::Bool(true),
            "f" | "false" => Value::Bool(false),
            other => json!(other),
        },
        FieldType::Int | FieldType::Double => match text.trim().parse::<f64>() {
            Ok(number) if !number.is_finite() => return Err(unsendable()),
            Ok(_) => number_json(text),
            Err(_) if endless(text) => return Err(unsendable()),
            Err(_) => json!(text),
        },
        FieldType::Date if endless(text) => return Err(unsendable()),
        FieldType::Datetime if endless(text) => return Err(unsendable()),
        // Salesforce keeps whole seconds. A column with a zone is captured in UTC, and says so.
        FieldType::Datetime => {
            let text = text.trim_end_matches("+00:00").trim_end_matches("+00");
            json!(format!("{}Z", text.replace(' ', "T").split('.').next().unwrap_or(text)))
        }
        FieldType::Time => json!(format!("{}.000Z", text.split('.').next().unwrap_or(text))),
        _ => json!(text),
    })
}

/// A number with the digits of its text.
fn number_json(text: &str) -> Value {
    let number = Decimal::parse(text).and_then(|number| number.to_string().parse::<Number>().ok());
    number.map_or_else(|| json!(text.trim()), Value::Number)
}

/// A value of a job's CSV as JSON has the same value. What is empty there is null.
pub(super) fn of_csv(kind: FieldType, text: &str) -> Value {
    match (kind, text) {
        (_, "") => Value::Null,
        (FieldType::Boolean, "true") => Value::Bool(true),
        (FieldType::Boolean, "false") => Value::Bool(false),
        (FieldType::Int | FieldType::Double, text) => number_json(text),
        (_, text) => json!(plain_of_csv(kind, text)),
    }
}

/// A value that was uploaded to a job as JSON has the same; without one, it was null.
pub fn of_upload(kind: FieldType, text: Option<&str>) -> Value {
    match (kind, text) {
        (_, None) => Value::Null,
        (FieldType::Boolean, Some(text)) => text.parse().map_or_else(|_| json!(text), Value::Bool),
        (FieldType::Int | FieldType::Double, Some(text)) => number_json(text),
        (_, Some(text)) => json!(text),
    }
}

/// The same as the text in which [`to_row`] gives it.
pub(super) fn plain_of_csv(kind: FieldType, text: &str) -> Cow<'_, str> {
    let is_short =
        text.len() < 16 && !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    match kind {
        FieldType::Int | FieldType::Double if !is_short => match Decimal::parse(text) {
            Some(number) => Cow::Owned(number.to_string()),
            None => Cow::Borrowed(text.trim()),
        },
        // Here an instant ends in `Z`, in JSON in `+0000`.
        FieldType::Datetime => match text.strip_suffix('Z') {
            Some(time) => Cow::Owned(format!("{time}+0000")),
            None => Cow::Borrowed(text),
        },
        _ => Cow::Borrowed(text),
    }
}

/// A record as read, in the columns of its table; relationship columns are taken from the nested parent.
pub fn to_row(mapping: &Mapping, record: &Value) -> Map<String, Value> {
    let mut row = Map::new();
    for (column, name) in [("sfid", "Id"), ("systemmodstamp", "SystemModstamp"), ("isdeleted", "IsDeleted")] {
        row.insert(column.to_owned(), record.get(name).cloned().unwrap_or(Value::Null));
    }
    let stamp = mapping.system.stamp.and_then(|stamp| record.get(stamp.name()));
    row.insert(CHANGED.to_owned(), stamp.cloned().unwrap_or(Value::Null));
    for field in mapping.read_fields() {
        let value = match field.name.split_once('.') {
            Some((parent, name)) => record.get(parent).and_then(|parent| parent.get(name)),
            None => record.get(&field.name),
        };
        let value = match value {
            // An integer column takes 23, and no 23.0.
            Some(Value::Number(number)) => number_json(&number.to_string()),
            other => other.cloned().unwrap_or(Value::Null),
        };
        row.insert(field.column.clone(), value);
    }
    row
}

/// A value as read, as text in the form in which PostgreSQL's JSON shows the same value.
pub fn to_text(field: &Field, value: &Value) -> Option<String> {
    match (field.kind, value) {
        (_, Value::Null) => None,
        // `2026-11-20T14:02:11.000+0000` here is `2026-11-20T14:02:11` there.
        (FieldType::Datetime, Value::String(text)) => Some(text.split('.').next().unwrap_or(text).to_owned()),
        (FieldType::Time, Value::String(text)) => Some(text.split('.').next().unwrap_or(text).to_owned()),
        (_, Value::String(text)) => Some(text.clone()),
        // 23.0 there is 23 here.
        (FieldType::Int | FieldType::Double, Value::Number(number)) => {
            let text = number.to_string();
            Some(Decimal::parse(&text).map_or(text, |number| number.to_string()))
        }
        (_, other) => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(kind: FieldType) -> Field {
        Field { precision: 18, scale: 2, ..Field::plain("F__c", kind) }
    }

    #[test]
    fn values_are_typed_by_describe() {
        let sent = |kind, text| to_json(&field(kind), Some(text)).unwrap();
        assert_eq!(sent(FieldType::Boolean, "t"), json!(true));
        assert_eq!(sent(FieldType::Int, "42"), json!(42));
        assert_eq!(sent(FieldType::Double, "1.50"), json!(1.5));
        assert_eq!(sent(FieldType::Double, "twelve"), json!("twelve"));
        assert_eq!(sent(FieldType::Datetime, "2026-11-20 14:02:11.25"), json!("2026-11-20T14:02:11Z"));
        assert_eq!(sent(FieldType::Datetime, "2026-11-20 14:02:11+00"), json!("2026-11-20T14:02:11Z"));
        assert_eq!(sent(FieldType::Date, "2026-11-20"), json!("2026-11-20"));
        assert_eq!(to_json(&field(FieldType::Int), None).unwrap(), Value::Null);
    }

    #[test]
    fn numbers_go_both_ways_digit_by_digit() {
        for (text, json) in [
            ("1234567890.1234567", "1234567890.1234567"),
            ("9007199254740993", "9007199254740993"),
            ("123456789012345678", "123456789012345678"),
            ("0.30000000000000004", "0.30000000000000004"),
            ("1e+21", "1000000000000000000000"),
            ("-12.50", "-12.5"),
            ("007", "7"),
        ] {
            let sent = to_json(&field(FieldType::Double), Some(text)).unwrap();
            assert_eq!(sent.to_string(), json, "{text}");
            let read: Value = serde_json::from_str(json).unwrap();
            assert_eq!(to_text(&field(FieldType::Double), &read).as_deref(), Some(json), "{text}");
        }
        let read: Value = serde_json::from_str("1.2345678901234567E16").unwrap();
        assert_eq!(to_text(&field(FieldType::Double), &read).as_deref(), Some("12345678901234567"));
    }

    #[test]
    fn what_json_cannot_write_is_refused() {
        for (kind, text) in [
            (FieldType::Double, "NaN"),
            (FieldType::Double, "Infinity"),
            (FieldType::Date, "-infinity"),
            (FieldType::Datetime, "infinity"),
        ] {
            assert_eq!(to_json(&field(kind), Some(text)).unwrap_err().field, "F__c", "{text}");
        }
    }

    #[test]
    fn values_read_show_as_postgresql_shows_them() {
        assert_eq!(to_text(&field(FieldType::Double), &json!(23.0)).as_deref(), Some("23"));
        assert_eq!(
            to_text(&field(FieldType::Datetime), &json!("2026-11-20T14:02:11.000+0000")).as_deref(),
            Some("2026-11-20T14:02:11")
        );
        assert_eq!(to_text(&field(FieldType::String), &Value::Null), None);
    }
}
