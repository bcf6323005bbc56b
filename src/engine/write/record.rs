//! The record that goes out for a job.

use serde_json::{Map, Value, json};

use crate::domain::changes::dispatch::{Call, Job};
use crate::domain::mappings::field::{Field, FieldType};
use crate::domain::mappings::mapping::Mapping;
use crate::salesforce::value;

/// A job with the record that goes out for it.
pub(in crate::engine) struct JobRecord {
    pub(in crate::engine) job: Job,
    pub(in crate::engine) record: Value,
}

/// The JSON of one record.
pub(in crate::engine) fn record(mapping: &Mapping, job: &Job) -> Result<Value, value::Unsendable> {
    let mut record = Map::new();
    if let (Call::Update, Some(sfid)) = (job.call, &job.sfid) {
        record.insert("id".to_owned(), json!(sfid));
    }
    for (column, text) in &job.patch {
        if let Some(field) = mapping.field(column) {
            value::put(&mut record, mapping, field, text.as_deref())?;
        }
    }
    Ok(Value::Object(record))
}

/// Fields whose value is not of the field's type: a request refused whole does not name them.
pub(in crate::engine) fn mistyped(mapping: &Mapping, record: &Value) -> Vec<String> {
    let numeric =
        |field: &&Field| matches!(field.kind, FieldType::Int | FieldType::Double | FieldType::Boolean);
    let words = mapping
        .fields
        .iter()
        .filter(numeric)
        .filter(|field| record.get(&field.name).is_some_and(Value::is_string));
    words.map(|field| field.name.clone()).collect()
}
