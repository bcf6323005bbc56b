//! What Salesforce checks before it saves a record: types, lengths, picklists, required fields, unique values,
//! lookups, the duplicate rule, the administrator's validation rules. Codes and messages are the real ones; messages
//! name a field by its label, `fields` by its API name.

use chrono::NaiveDate;
use serde_json::{Map, Value};

use super::ids::long_id;
use super::org::State;
use super::save::Rejection;
use super::schema::{FieldDef, Kind, ObjectDef};
use super::tables::{Table, duplicate_key};
use super::values::parse_datetime;

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

/// Everything wrong with a record that is to have `written` on top of what it `holds`. `own` is its id.
pub(super) fn check(
    state: &State,
    table: &Table,
    holds: &Map<String, Value>,
    written: &Map<String, Value>,
    own: Option<&str>,
) -> Vec<Rejection> {
    let mut merged = holds.clone();
    merged.extend(written.clone());
    let missing: Vec<&str> = table
        .def
        .fields
        .iter()
        .filter(|field| field.required && merged.get(&field.name).is_none_or(Value::is_null))
        .map(|field| field.name.as_str())
        .collect();
    if !missing.is_empty() {
        return vec![Rejection::new(
            "REQUIRED_FIELD_MISSING",
            format!("Required fields are missing: [{}]", missing.join(", ")),
            &missing,
        )];
    }
    for (name, value) in written {
        let Some(field) = table.def.field(name) else { continue };
        if let Some(rejection) = check_value(state, field, value) {
            return vec![rejection];
        }
    }
    if let Some(rejection) =
        check_unique(table, written, own).or_else(|| duplicate_rule(table, &merged, written, own))
    {
        return vec![rejection];
    }
    validation_rules(&table.def.name, &merged)
}

fn check_value(state: &State, field: &FieldDef, value: &Value) -> Option<Rejection> {
    let label = &field.label;
    let fields = [field.name.as_str()];
    match (&field.kind, value) {
        (Kind::Email, Value::String(text)) if !is_email(text) => Some(Rejection::new(
            "INVALID_EMAIL_ADDRESS",
            format!("{label}: invalid email address: {text}"),
            &fields,
        )),
        (Kind::Picklist(values), Value::String(text)) if field.restricted && !values.contains(text) => {
            Some(Rejection::new(
                "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
                format!("{label}: bad value for restricted picklist field: {text}"),
                &fields,
            ))
        }
        (Kind::Lookup { object, .. }, Value::String(id)) => check_lookup(state, field, object, id),
        (Kind::Polymorphic { objects, .. }, Value::String(id)) => {
            let of_id =
                |object: &&String| state.table(object).is_some_and(|table| id.starts_with(&table.def.prefix));
            let object = objects.iter().find(of_id).or(objects.first())?;
            check_lookup(state, field, object, id)
        }
        (Kind::Number { precision, scale }, Value::Number(number)) => {
            let most = 10_f64.powi(i32::try_from(precision - scale).unwrap_or(18));
            number.as_f64().is_some_and(|value| value.abs() >= most).then(|| {
                Rejection::new(
                    "NUMBER_OUTSIDE_VALID_RANGE",
                    format!(
                        "{label}: value outside of valid range on numeric field: {}",
                        number.to_string().trim_end_matches(".0")
                    ),
                    &fields,
                )
            })
        }
        (Kind::Int, Value::Number(number)) => {
            number.as_f64().is_some_and(|value| value.abs() > 99_999_999.0).then(|| {
                Rejection::new(
                    "NUMBER_OUTSIDE_VALID_RANGE",
                    format!("{label}: value outside of valid range on numeric field: {number}"),
                    &fields,
                )
            })
        }
        // Java's strings: an emoji is two characters.
        (_, Value::String(text))
            if field.length > 0 && text.encode_utf16().count() > field.length as usize =>
        {
            Some(Rejection::new(
                "STRING_TOO_LONG",
                format!("{label}: data value too large: {text} (max length={})", field.length),
                &fields,
            ))
        }
        (Kind::Text | Kind::Long | Kind::Email | Kind::Phone, Value::Number(_) | Value::Bool(_)) => {
            Some(Rejection::new(
                "INVALID_TYPE_ON_FIELD_IN_RECORD",
                format!("{label}: value not of required type: {value}"),
                &fields,
            ))
        }
        _ => None,
    }
}

fn check_lookup(state: &State, field: &FieldDef, object: &str, id: &str) -> Option<Rejection> {
    let fields = [field.name.as_str()];
    let malformed = || {
        Rejection::new("MALFORMED_ID", format!("{}: id value of incorrect type: {id}", field.label), &fields)
    };
    let Some(parent) = state.table(object) else { return Some(malformed()) };
    match long_id(id) {
        Some(long) if long.starts_with(&parent.def.prefix) => match parent.records.get(&long) {
            Some(record) if record.deleted => {
                Some(Rejection::new("ENTITY_IS_DELETED", "entity is deleted".to_owned(), &[]))
            }
            Some(_) => None,
            None => Some(Rejection::new(
                "INVALID_CROSS_REFERENCE_KEY",
                "invalid cross reference id".to_owned(),
                &[],
            )),
        },
        _ => Some(malformed()),
    }
}

fn check_unique(table: &Table, written: &Map<String, Value>, own: Option<&str>) -> Option<Rejection> {
    table.def.fields.iter().filter(|field| field.unique).find_map(|field| {
        let key = field.folded(written.get(&field.name)?)?;
        let other = table.unique.get(&(field.name.clone(), key))?;
        (Some(other.as_str()) != own).then(|| {
            Rejection::new(
                "DUPLICATE_VALUE",
                format!(
                    "duplicate value found: {} duplicates value on record with id: {}",
                    field.name,
                    &other[..15]
                ),
                &[],
            )
        })
    })
}

/// The org's one duplicate rule: no two leads with one e-mail address and last name.
fn duplicate_rule(
    table: &Table,
    merged: &Map<String, Value>,
    written: &Map<String, Value>,
    own: Option<&str>,
) -> Option<Rejection> {
    if table.def.name != "Lead" || !(written.contains_key("Email") || written.contains_key("LastName")) {
        return None;
    }
    let alike = table.alike.get(&duplicate_key(&table.def, merged)?)?;
    let other = alike.iter().find(|id| Some(id.as_str()) != own)?;
    let mut rejection = Rejection::new("DUPLICATES_DETECTED", "Use one of these records?".to_owned(), &[]);
    rejection.duplicate_of = Some((table.def.name.clone(), other.clone()));
    Some(rejection)
}

/// The administrator's validation rules, with the administrator's own texts.
fn validation_rules(object: &str, record: &Map<String, Value>) -> Vec<Rejection> {
    let text = |field: &str| record.get(field).and_then(Value::as_str);
    let refuse = |message: &str, field: &str| {
        Rejection::new("FIELD_CUSTOM_VALIDATION_EXCEPTION", message.to_owned(), &[field])
    };
    let mut refused = Vec::new();
    if matches!(object, "Contact" | "Lead") && text("Phone").is_some_and(|phone| !is_phone(phone)) {
        refused.push(refuse("Phone must be a valid phone number, for example +1 555 010 1234", "Phone"));
    }
    if object == "Contact" && text("Level__c") == Some("Primary") && text("Email").is_none() {
        refused.push(refuse("Email is required for primary contacts", "Email"));
    }
    let negative = |field: &str| record.get(field).and_then(Value::as_f64).is_some_and(|number| number < 0.0);
    if object == "Opportunity" && negative("Amount") {
        refused.push(refuse("Amount must not be negative", "Amount"));
    }
    if object == "Invoice__c" && text("Status__c") == Some("Sent") && text("Due_Date__c").is_none() {
        refused.push(refuse("An invoice that is sent needs a due date", "Due_Date__c"));
    }
    refused
}

fn is_phone(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_digit() || " +-().x".contains(c))
        && text.chars().filter(char::is_ascii_digit).count() >= 7
}

fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let plain =
        |part: &str| !part.is_empty() && part.chars().all(|c| !c.is_whitespace() && !",;@<>()".contains(c));
    plain(local)
        && plain(domain)
        && domain.contains('.')
        && !domain.starts_with('.')
        && !domain.ends_with('.')
}
