//! What histories and logs show of a field whose values the configuration keeps out of them. Pure.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::domain::changes::dispatch::Job;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::mappings::rules::MASK;
use crate::domain::names::RowId;
use crate::domain::values::hstore::Hstore;
use crate::domain::values::masking::{Hidden, hides};
use crate::postgres::Store;
use crate::postgres::changes::queue::UnitOutcome;
use crate::salesforce::collections::SaveResult;

/// A request as its attempt keeps it.
pub(in crate::engine) fn request(mapping: &Mapping, mut record: Value) -> Value {
    for field in mapping.fields.iter().filter(|field| mapping.rules.masked(&field.column)) {
        if let Some(value) = record.get_mut(&field.name).filter(|value| !value.is_null()) {
            *value = json!(MASK);
        }
    }
    record
}

/// Salesforce's answer for one record, as its attempt keeps it, with what the rules left out of the request.
pub(in crate::engine) fn response(hidden: &Hidden, job: &Job, result: &SaveResult) -> Value {
    let mut result = result.clone();
    for error in &mut result.errors {
        error.message = hidden.hide(&error.message);
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
pub(in crate::engine) fn message(mapping: &Mapping, values: &Hstore, text: &str) -> String {
    Hidden::of(mapping, values).hide(text)
}

/// What must not be quoted of the rows of jobs: what is sent, what the rows have, what was there before. Asked for only
/// where something is masked.
pub(in crate::engine) async fn hidden<'a>(
    store: &Store,
    mapping: &Mapping,
    jobs: impl Iterator<Item = &'a Job>,
) -> HashMap<RowId, Hidden> {
    let mut hidden: HashMap<RowId, Hidden> = HashMap::new();
    if !hides(mapping) {
        return hidden;
    }
    for job in jobs {
        hidden.entry(job.unit.row).or_default().add(mapping, &job.patch);
    }
    let rows: Vec<RowId> = hidden.keys().copied().collect();
    let known = store.known_values(&mapping.table, &rows).await.unwrap_or_default();
    for (row, values) in &known {
        hidden.entry(*row).or_default().add(mapping, values);
    }
    hidden
}

/// An outcome whose error quotes nothing of that.
pub(in crate::engine) fn outcome(hidden: &Hidden, mut outcome: UnitOutcome) -> UnitOutcome {
    if let UnitOutcome::Rejected { error, .. } | UnitOutcome::Held { error, .. } = &mut outcome {
        error.message = hidden.hide(&error.message);
    }
    outcome
}

/// The values by which the filter's free words find an error.
pub(in crate::engine) fn searchable(mapping: &Mapping, values: &Hstore) -> String {
    let shown = values
        .iter()
        .filter(|(column, _)| !mapping.rules.masked(column))
        .filter_map(|(_, value)| value.as_deref());
    shown.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::mappings::field::{Field, FieldType};
    use crate::domain::mappings::rules::Rules;

    #[test]
    fn a_masked_value_is_in_no_history() {
        let mut rules = Rules::default();
        rules.set("Email.mask", "true").unwrap();
        let fields = ["Email", "LastName"].map(|name| Field::plain(name, FieldType::String)).to_vec();
        let mapping = Mapping { rules, ..Mapping::plain("Contact", fields) };
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
