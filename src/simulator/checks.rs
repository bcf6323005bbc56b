//! What Salesforce checks before it saves a record: types, lengths, picklists, required fields, unique values,
//! lookups, owners, and then the administrator's own rules. Codes and messages are the real ones; messages name a field by its
//! label, `fields` by its API name.

use serde_json::{Map, Value};

use super::fields::Held;
use super::ids::long_id;
use super::org::State;
use super::records::Record;
use super::rejection::Rejection;
use super::rules::Candidate;
use super::schema::{FieldDef, Kind};
use super::tables::Table;

/// A record that is to be saved.
pub(super) struct Save<'a> {
    pub(super) table: &'a Table,
    /// As it would be.
    pub(super) record: &'a Record,
    /// What is written of it.
    pub(super) written: &'a Map<String, Value>,
    /// Its id, where there is one already.
    pub(super) own: Option<&'a str>,
    /// Whether what duplicate rules only warn of is saved.
    pub(super) allow_duplicates: bool,
}

/// Everything wrong with a record.
pub(super) fn check(state: &State, save: &Save<'_>) -> Vec<Rejection> {
    let Save { table, record, written, own, allow_duplicates } = *save;
    let missing: Vec<&str> = table
        .def
        .fields
        .iter()
        .filter(|field| field.required && record.fields.get(&field.name).is_none())
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
    if let Some(rejection) = check_unique(table, written, own) {
        return vec![rejection];
    }
    let candidate = Candidate { def: &table.def, record, tables: &state.tables };
    let refused = state.rules.validate(&candidate);
    if !refused.is_empty() {
        return refused;
    }
    state.rules.compare(&candidate, table, written, own, allow_duplicates).into_iter().collect()
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
        (_, Value::Null) if field.is_owner() => Some(Rejection::new(
            "INVALID_CROSS_REFERENCE_KEY",
            format!("{label}: owner cannot be blank"),
            &fields,
        )),
        (Kind::Lookup { object, .. }, Value::String(id)) => {
            let rejection = check_lookup(state, field, object, id);
            rejection.or_else(|| field.is_owner().then(|| check_owner(state, id, &fields)).flatten())
        }
        (Kind::Polymorphic { objects, .. }, Value::String(id)) => {
            let of_id =
                |object: &&String| state.table(object).is_some_and(|table| id.starts_with(&table.def.prefix));
            let object = objects.iter().find(of_id).or(objects.first())?;
            let rejection = check_lookup(state, field, object, id);
            rejection.or_else(|| field.is_owner().then(|| check_owner(state, id, &fields)).flatten())
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

/// Whoever left the company owns nothing new, and a group that is no queue owns nothing at all.
fn check_owner(state: &State, id: &str, fields: &[&str]) -> Option<Rejection> {
    let (table, user) = state.find(id)?;
    if table.def.name == "Group" {
        let is_queue = user.fields.get("Type") == Some(Held::Text("Queue"));
        let message = "Owner ID: owner cannot be a group that is no queue".to_owned();
        return (!is_queue).then(|| Rejection::new("INVALID_CROSS_REFERENCE_KEY", message, fields));
    }
    (user.fields.get("IsActive") != Some(Held::Bool(true))).then(|| {
        let message = format!("operation performed with inactive user [{}]", &user.id[..15]);
        Rejection::new("INACTIVE_OWNER_OR_USER", message, fields)
    })
}

fn check_unique(table: &Table, written: &Map<String, Value>, own: Option<&str>) -> Option<Rejection> {
    table.def.fields.iter().filter(|field| field.unique).find_map(|field| {
        let key = field.folded(written.get(&field.name)?)?;
        let others = table.ids_by(field, &key);
        others.iter().find(|other| Some(other.as_str()) != own).map(|other| {
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
