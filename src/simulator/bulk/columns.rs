//! The header of an upload: what each column is. One that is nothing fails the whole job.

use std::collections::HashSet;
use std::sync::Arc;

use csv::StringRecord;
use serde_json::{Map, Value, json};

use super::operation::Operation;
use super::sheet::Sheet;
use crate::simulator::rejection::{Rejection, Saved};
use crate::simulator::schema::{FieldDef, Kind, ObjectDef, type_names};
use crate::simulator::values::parse_datetime;

/// What stands for null.
const NULL: &str = "#N/A";

/// What a column holds.
#[derive(Debug)]
enum Column {
    Id,
    Field(Box<FieldDef>),
    /// `Account.External_Id__c`, `Lead:Who.External_Id__c`
    Parent {
        relationship: String,
        object: Option<String>,
        key: String,
    },
}

/// The columns of an upload.
#[derive(Debug)]
pub(super) struct Columns {
    columns: Vec<Column>,
}

impl Columns {
    /// Finds what each name of a header means.
    ///
    /// # Errors
    /// What fails the whole job.
    pub(super) fn of(
        sheet: &Sheet,
        def: &ObjectDef,
        operation: Operation,
        key: Option<&str>,
        parents: impl Fn(&str) -> Option<Arc<ObjectDef>>,
    ) -> Result<Columns, String> {
        let needed = match operation {
            Operation::Insert => None,
            Operation::Update | Operation::Delete => Some("Id"),
            Operation::Upsert => key,
        };
        let missing = |name: &str| format!("InvalidBatch : Field name not found : {name}");
        if let Some(needed) =
            needed.filter(|needed| !sheet.header.iter().any(|name| name.eq_ignore_ascii_case(needed)))
        {
            return Err(missing(needed));
        }
        let column = |name: &String| match name.split_once('.') {
            None if name.eq_ignore_ascii_case("Id") => Ok(Column::Id),
            None => def
                .field(name)
                .map(|field| Column::Field(Box::new(field.clone())))
                .ok_or_else(|| missing(name)),
            Some((path, key)) => {
                let (object, relationship) = match path.split_once(':') {
                    Some((object, relationship)) => (Some(object.to_owned()), relationship),
                    None => (None, path),
                };
                let plain = def.relationship(relationship).map(|(_, parent)| parent);
                if plain.is_some() && object.is_some() {
                    return Err(format!(
                        "InvalidBatch : type is not needed for non polymorphic foreign key references: {relationship}"
                    ));
                }
                if plain.is_none() && def.polymorphic(relationship).is_none() {
                    return Err(missing(name));
                }
                // Which object a parent without a type is of is asked row by row.
                let parent = plain.or(object.as_deref());
                let is_key = |parent: &str| parents(parent)?.field(key).map(FieldDef::is_id_lookup);
                if parent.is_some_and(|parent| is_key(parent) != Some(true)) {
                    return Err(missing(name));
                }
                Ok(Column::Parent { relationship: relationship.to_owned(), object, key: key.to_owned() })
            }
        };
        let columns = sheet.header.iter().map(column).collect::<Result<_, _>>()?;
        let mut names = HashSet::new();
        match sheet.header.iter().find(|name| !names.insert(name.to_ascii_lowercase())) {
            Some(name) => Err(format!("InvalidBatch : Duplicate field name : {name}")),
            None => Ok(Columns { columns }),
        }
    }

    /// The record's id in a row, and the values that are to be written. What is empty is left as it is.
    ///
    /// # Errors
    /// Why the row is refused.
    pub(super) fn record(&self, row: &StringRecord) -> Saved<(Option<String>, Map<String, Value>)> {
        if row.len() != self.columns.len() {
            let message =
                format!("The row has {} values and the header {} names", row.len(), self.columns.len());
            return Err(vec![Rejection::new("CLIENT_INPUT_ERROR", message, &[])]);
        }
        let mut id = None;
        let mut fields = Map::new();
        for (at, (column, text)) in
            self.columns.iter().zip(row).enumerate().filter(|(_, (_, text))| !text.is_empty())
        {
            match column {
                Column::Id => id = Some(text.to_owned()),
                Column::Field(field) if text == NULL => {
                    fields.insert(field.name.clone(), Value::Null);
                }
                Column::Field(field) => {
                    let value = value(field, text).ok_or_else(|| vec![unreadable(field, text, at)])?;
                    fields.insert(field.name.clone(), value);
                }
                Column::Parent { relationship, object, key } => {
                    let value = if text == NULL { Value::Null } else { json!({key: text}) };
                    let mut parent = value;
                    if let (Some(object), Value::Object(parent)) = (object, &mut parent) {
                        parent.insert("attributes".to_owned(), json!({"type": object}));
                    }
                    fields.insert(relationship.clone(), parent);
                }
            }
        }
        Ok((id, fields))
    }
}

/// A text as a field's type reads it.
fn value(field: &FieldDef, text: &str) -> Option<Value> {
    let readable = match &field.kind {
        Kind::Boolean => {
            return match text.to_ascii_lowercase().as_str() {
                "true" | "1" => Some(Value::from(true)),
                "false" | "0" => Some(Value::from(false)),
                _ => None,
            };
        }
        Kind::Number { .. } => text.trim().parse::<f64>().is_ok_and(f64::is_finite),
        Kind::Int => text.trim().parse::<i64>().is_ok(),
        Kind::Date => {
            let day = text.get(..10).unwrap_or(text);
            chrono::NaiveDate::parse_from_str(day, "%Y-%m-%d").is_ok()
                && (text.len() == day.len() || parse_datetime(text).is_some())
        }
        Kind::Datetime => parse_datetime(text).is_some(),
        _ => true,
    };
    readable.then(|| Value::from(text))
}

fn unreadable(field: &FieldDef, text: &str, at: usize) -> Rejection {
    let message = format!(
        "Failed to deserialize field at col {at}. Due to, '{text}' is not a valid value for the type {}",
        type_names(field).1
    );
    Rejection::new("INVALID_FIELD", message, &[&field.name])
}
