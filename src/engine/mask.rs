//! What histories and logs show of a field whose values the configuration keeps out of them. Pure.

use serde_json::{Value, json};

use crate::domain::hstore::Hstore;
use crate::domain::mapping::Mapping;
use crate::domain::rules::MASK;
use crate::salesforce::collections::SaveResult;

use super::batch::Job;

/// A shorter value is in too many texts by chance to be taken out of them.
const SHORTEST: usize = 3;

/// A request as its attempt keeps it.
pub(super) fn request(mapping: &Mapping, mut record: Value) -> Value {
    for field in mapping.fields.iter().filter(|field| mapping.rules.masked(&field.column)) {
        if let Some(value) = record.get_mut(&field.name).filter(|value| !value.is_null()) {
            *value = json!(MASK);
        }
    }
    record
}

/// Salesforce's answer for one record, as its attempt keeps it, with what the rules left out of the request.
pub(super) fn response(mapping: &Mapping, job: &Job, result: &SaveResult) -> Value {
    let mut result = result.clone();
    for error in &mut result.errors {
        error.message = message(mapping, &job.patch, &error.message);
    }
    let mut response = json!(result);
    if !job.left_out.is_empty() {
        let left: serde_json::Map<String, Value> =
            job.left_out.iter().map(|left| (left.field.clone(), json!(left.why))).collect();
        response["left_out"] = Value::Object(left);
    }
    response
}

/// A message without the masked values that it quotes.
pub(super) fn message(mapping: &Mapping, values: &Hstore, text: &str) -> String {
    let masked = values
        .iter()
        .filter(|(column, _)| mapping.rules.masked(column))
        .filter_map(|(_, value)| value.as_ref());
    masked
        .filter(|value| value.len() >= SHORTEST)
        .fold(text.to_owned(), |text, value| text.replace(value.as_str(), MASK))
}

/// The values by which the filter's free words find an error.
pub(super) fn searchable(mapping: &Mapping, values: &Hstore) -> String {
    let shown = values
        .iter()
        .filter(|(column, _)| !mapping.rules.masked(column))
        .filter_map(|(_, value)| value.as_deref());
    shown.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::field::{Field, FieldType};
    use crate::domain::mapping::Access;
    use crate::domain::rules::Rules;

    #[test]
    fn a_masked_value_is_in_no_history() {
        let mut rules = Rules::default();
        rules.set("Email.mask", "true").unwrap();
        let fields = ["Email", "LastName"].map(|name| Field::plain(name, FieldType::String)).to_vec();
        let (object, table) = ("Contact".to_owned(), "contact".to_owned());
        let mapping = Mapping {
            object,
            table,
            access: Access::ReadWrite,
            external_id: None,
            rules,
            fields,
            parents: Vec::new(),
            gone: false,
        };
        let values: Hstore = [("email", "jane@acme,com"), ("lastname", "Doe")]
            .map(|(column, value)| (column.to_owned(), Some(value.to_owned())))
            .into();
        assert_eq!(searchable(&mapping, &values), "Doe");
        let text = message(&mapping, &values, "Email: invalid email address: jane@acme,com");
        assert_eq!(text, "Email: invalid email address: •••");
        let sent = request(&mapping, json!({"Email": "jane@acme,com", "LastName": "Doe"}));
        assert_eq!(sent, json!({"Email": "•••", "LastName": "Doe"}));
    }
}
