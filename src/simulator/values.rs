//! Values as the API takes them and as the org keeps them.

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Map, Value};

use super::ids::long_id;
use super::records::datetime;
use super::schema::{FieldDef, Kind, ObjectDef};

/// Reads the instants that the API takes.
pub(super) fn parse_datetime(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z"))
        .ok()
        .map(|time| time.with_timezone(&Utc))
}

/// Values as they are stored: text trimmed, empty text null, numbers numbers, instants in whole seconds.
pub(super) fn normalise(field: &FieldDef, value: Value) -> Value {
    match (&field.kind, value) {
        (Kind::Number { .. }, Value::String(text)) => decimal(text.trim()),
        (Kind::Int, Value::String(text)) => text.trim().parse::<i64>().map_or(Value::Null, Value::from),
        (Kind::Number { .. }, Value::Number(number)) => decimal(&number.to_string()),
        (Kind::Boolean, Value::String(text)) => Value::from(text == "true"),
        (Kind::Boolean, Value::Null) => Value::from(false),
        (Kind::Datetime, Value::String(text)) => {
            parse_datetime(&text).map_or(Value::Null, |time| Value::from(datetime(time)))
        }
        // An instant is taken for its day, and a day has four digits and twice two.
        (Kind::Date, Value::String(text)) => {
            let day = text.trim().get(..10).unwrap_or(text.trim());
            match chrono::NaiveDate::parse_from_str(day, "%Y-%m-%d") {
                Ok(date) => Value::from(date.to_string()),
                Err(_) if day.is_empty() => Value::Null,
                Err(_) => Value::from(text),
            }
        }
        (Kind::Lookup { .. } | Kind::Polymorphic { .. }, Value::String(text)) => {
            let text = text.trim();
            if text.is_empty() {
                Value::Null
            } else {
                Value::from(long_id(text).unwrap_or_else(|| text.to_owned()))
            }
        }
        (_, Value::String(text)) => {
            let text = text.trim_matches(|c: char| c <= ' ');
            if text.is_empty() { Value::Null } else { Value::from(text) }
        }
        (_, other) => other,
    }
}

/// A value whose JSON type cannot be read as the field's: that fails the whole request, not one record.
pub(super) fn mistyped(def: &ObjectDef, record: &Map<String, Value>) -> Option<String> {
    record.iter().find_map(|(name, value)| {
        let field = def.field(name)?;
        let (wanted, wrong) = match (&field.kind, value) {
            (_, Value::Null) => return None,
            (Kind::Number { .. }, Value::String(text)) => ("double", (!text.trim().parse::<f64>().is_ok_and(f64::is_finite)).then(|| text.clone())),
            (Kind::Number { .. }, Value::Number(number)) => ("double", number.as_f64().is_none_or(f64::is_infinite).then(|| number.to_string())),
            (Kind::Int, Value::String(text)) => ("int", text.trim().parse::<i64>().is_err().then(|| text.clone())),
            (Kind::Boolean, Value::String(text)) => ("boolean", (!["true", "false"].contains(&text.as_str())).then(|| text.clone())),
            (Kind::Date, Value::String(text)) => ("date", NaiveDate::parse_from_str(text.get(..10).unwrap_or(text), "%Y-%m-%d").is_err().then(|| text.clone())),
            (Kind::Datetime, Value::String(text)) => ("dateTime", parse_datetime(text).is_none().then(|| text.clone())),
            _ => return None,
        };
        let text = wrong?;
        Some(format!(
            "Cannot deserialize instance of {wanted} from VALUE_STRING value {text} or request may be missing a required field at [line:1, column:{}]",
            text.len() + name.len() + 8
        ))
    })
}

/// A power of ten that no number of an org comes near; beyond it a number is none, or nothing.
const FARTHEST: u64 = 400;

/// A number as an org keeps and answers it: all its digits, at least one of them behind the point. Null where it is none.
pub(super) fn decimal(text: &str) -> Value {
    let (number, power) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (sign, number) = match number.strip_prefix('-') {
        Some(number) => ("-", number),
        None => ("", number.trim_start_matches('+')),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let is_zero = !number.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
    let power = match power.parse::<i64>() {
        Ok(_) if is_zero => 0,
        Ok(power) if power.abs_diff(0) <= FARTHEST => power,
        Ok(power) if power < 0 => return decimal("0"),
        _ => return Value::Null,
    };
    let point = usize::try_from(whole.len() as i64 + power).unwrap_or(0);
    let front = "0".repeat(usize::try_from(-(whole.len() as i64 + power)).unwrap_or(0));
    let digits = format!("{front}{whole}{fraction}");
    let digits = format!("{digits}{}", "0".repeat(point.saturating_sub(digits.len())));
    let (whole, fraction) = digits.split_at(point.min(digits.len()));
    let whole = Some(whole.trim_start_matches('0')).filter(|whole| !whole.is_empty()).unwrap_or("0");
    let fraction = Some(fraction.trim_end_matches('0')).filter(|part| !part.is_empty()).unwrap_or("0");
    format!("{sign}{whole}.{fraction}").parse::<serde_json::Number>().map_or(Value::Null, Value::Number)
}
