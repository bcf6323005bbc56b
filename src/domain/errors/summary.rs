//! An error in the words of its row: which record, which field, the value at fault, and what the first remedy would make of
//! that.

use chrono::{DateTime, Utc};

use crate::domain::errors::remedy;
use crate::domain::errors::sync_error::SyncError;
use crate::domain::errors::{catalogue, remedy::SuggestedFix};
use crate::domain::mappings::field::Field;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::records::record::RecordView;

/// Fields that name a record, the best first; several of one entry stand side by side.
const NAMES: [&[&str]; 5] =
    [&["Name"], &["FirstName", "LastName"], &["Subject"], &["Title"], &["CaseNumber"]];

/// An error in the words of its row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// The error's number.
    pub id: i64,
    /// When it had been seen last.
    pub seen: DateTime<Utc>,
    /// What the record is called; empty where nothing names it.
    pub name: String,
    /// The field at fault, by API name; empty where none is.
    pub field: String,
    /// Its value, where there is a field at fault.
    pub value: Option<String>,
    /// What the first remedy that does it by itself makes of it.
    pub becomes: Option<String>,
    /// How many rows wait for this one.
    pub waiting: i64,
}

/// Rows that wait for another one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Blocked {
    /// Their errors, those that have waited longest first.
    pub errors: Vec<SyncError>,
    /// Whether there are more.
    pub more: bool,
}

impl Summary {
    /// That of a row which failed. Masked values are not in it.
    pub fn of(mapping: &Mapping, record: &RecordView, waiting: i64) -> Option<Summary> {
        let error = record.error.as_ref()?;
        let shown =
            |field: &Field, value: &Option<String>| mapping.rules.shown_value(&field.column, value.clone());
        let fault = record.values.iter().find(|(field, _)| record.is_at_fault(field));
        let entry = catalogue::classify(catalogue::source_of(&error.code), &error.code, &error.message);
        let first =
            remedy::offers(&entry.remedies, mapping, record).into_iter().find(SuggestedFix::mends_a_value);
        let change = first.as_ref().and_then(|offer| offer.changes.first());
        // Where several fields are at fault, the one that can be mended speaks for them.
        let changed =
            change.and_then(|edit| record.values.iter().find(|(field, _)| field.column == edit.column));
        let fault = changed.or(fault);
        Some(Summary {
            id: error.id,
            seen: error.last_seen,
            name: name(mapping, record),
            field: fault.map_or(String::new(), |(field, _)| field.name.clone()),
            value: fault.and_then(|(field, value)| shown(field, value)),
            becomes: change.zip(fault).and_then(|(edit, (field, _))| shown(field, &edit.new)),
            waiting,
        })
    }
}

/// The columns that name the records of a mapping, joined by a blank; none where nothing names them.
pub fn name_columns(mapping: &Mapping) -> Vec<&str> {
    let of = |names: &&[&str]| -> Vec<&str> {
        let named = |name: &&str| mapping.fields.iter().find(|field| field.name == **name);
        names.iter().filter_map(named).map(|field| field.column.as_str()).collect()
    };
    let shown = NAMES.iter().map(of).find(|columns| !columns.is_empty()).unwrap_or_default();
    shown.into_iter().filter(|column| !mapping.rules.masked(column)).collect()
}

/// What a record is called.
fn name(mapping: &Mapping, record: &RecordView) -> String {
    let value = |name: &str| {
        let (field, value) = record.values.iter().find(|(field, _)| field.name == name)?;
        value.clone().filter(|value| !value.trim().is_empty() && !mapping.rules.masked(&field.column))
    };
    let names = NAMES.iter().map(|names| names.iter().filter_map(|name| value(name)).collect::<Vec<_>>());
    names.map(|parts| parts.join(" ")).find(|name| !name.is_empty()).unwrap_or_default()
}
