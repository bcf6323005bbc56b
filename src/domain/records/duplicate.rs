//! A row that Salesforce, or the engine, refuses because a record has the same already: the row that has the record, this
//! row, and the record, side by side, and what is made of them.

use crate::domain::errors::suggested_fix::Against;
use crate::domain::mappings::field::Field;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::{RowId, RowRef};
use crate::domain::records::record::{FieldEdit, SalesforceValues};
use crate::domain::values::hstore::Hstore;

/// Errors of duplicates, by their codes.
pub const CODES: [&str; 4] =
    ["DUPLICATE_VALUE", "DUPLICATES_DETECTED", "DUPLICATE_EXTERNAL_ID", "RECORD_OF_ANOTHER_ROW"];

/// Whose value a field is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// That of the row that has the record now.
    Other,
    /// That of the row that was refused.
    Row,
    /// The record's, as Salesforce has it.
    Record,
}

/// What is the same thing, side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct Duplicate {
    /// The row that was refused.
    pub row: RowRef,
    /// Its error.
    pub against: Against,
    /// The record that is there already.
    pub sfid: String,
    /// The row that has the record.
    pub other: Option<RowId>,
    /// The fields that are not the same everywhere.
    pub fields: Vec<DuplicateField>,
    /// How many are.
    pub same: usize,
    /// What the other row had when it was looked at, by column.
    pub others: Vec<(String, Option<String>)>,
}

/// A field of them.
#[derive(Clone, Debug, PartialEq)]
pub struct DuplicateField {
    /// By API name.
    pub name: String,
    /// Its column.
    pub column: String,
    /// What the row has that has the record.
    pub other: Option<String>,
    /// What this row has.
    pub row: Option<String>,
    /// What the record has.
    pub record: Option<String>,
    /// What this row has to the letter: an empty text is no NULL to PostgreSQL.
    pub shown: Option<String>,
}

impl DuplicateField {
    /// One of its values.
    pub fn value(&self, whose: Whose) -> Option<&String> {
        match whose {
            Whose::Other => self.other.as_ref(),
            Whose::Row => self.row.as_ref(),
            Whose::Record => self.record.as_ref(),
        }
    }

    /// Whether a side can be chosen. One that has nothing cannot where the record has something: a row that takes a record over
    /// sends what it has, and would soon have the record's value itself.
    pub fn can_be(&self, whose: Whose) -> bool {
        self.value(whose).is_some() || self.record.is_none()
    }
}

/// Two rows and a record made one: the row takes the record over, with the values that were chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Merge {
    /// The record.
    pub sfid: String,
    /// The row that has it, which is removed.
    pub replaces: Option<RowId>,
    /// What becomes of the row's fields, compared with what was shown.
    pub fields: Vec<FieldEdit>,
    /// What the row that is removed was shown with.
    pub others: Vec<(String, Option<String>)>,
    /// The error that it is about.
    pub against: Against,
}

impl Duplicate {
    /// Of the values of both rows and of the record. Fields that nobody may write go by themselves.
    pub fn of(
        mapping: &Mapping,
        (row, against): (RowRef, Against),
        values: &Hstore,
        other: Option<(RowId, &Hstore)>,
        record: &SalesforceValues,
    ) -> Duplicate {
        let filled = |value: Option<String>| value.filter(|text| !text.is_empty());
        let of = |row: &Hstore, column: &str| filled(row.get(column).cloned().flatten());
        let field = |field: &Field| DuplicateField {
            name: field.name.clone(),
            column: field.column.clone(),
            other: other.and_then(|(_, row)| of(row, &field.column)),
            row: of(values, &field.column),
            record: filled(record.values.get(&field.column).cloned().flatten()),
            shown: values.get(&field.column).cloned().flatten(),
        };
        let others = |(_, row): (RowId, &Hstore)| -> Vec<(String, Option<String>)> {
            let columns = mapping.read_fields().filter(|field| !field.read_only()).map(|field| &field.column);
            columns.map(|column| (column.clone(), row.get(column).cloned().flatten())).collect()
        };
        let others = other.map(others).unwrap_or_default();
        let fields = mapping.read_fields().filter(|field| !field.read_only()).map(field);
        let differs = |field: &DuplicateField| {
            field.row != field.record || (other.is_some() && field.row != field.other)
        };
        let (fields, same): (Vec<_>, Vec<_>) = fields.partition(differs);
        let sfid = record.sfid.clone().unwrap_or_default();
        let other = other.map(|(row, _)| row);
        Duplicate { row, against, sfid, other, fields, same: same.len(), others }
    }

    /// Whose value stays where nobody has chosen: this row's; what it lacks is taken from the record, else from the other.
    pub fn proposed(&self, field: &DuplicateField) -> Whose {
        let has = |whose: &Whose| field.value(*whose).is_some();
        [Whose::Row, Whose::Record, Whose::Other].into_iter().find(has).unwrap_or(Whose::Row)
    }

    /// What is done where each field has the value of one of them; those that are not named are as the row has them.
    pub fn merge(&self, chosen: &[Whose]) -> Merge {
        let edit = |(field, whose): (&DuplicateField, &Whose)| {
            let new = field.value(*whose).cloned();
            let edit = FieldEdit { column: field.column.clone(), shown: field.shown.clone(), new };
            (edit.new != field.row && field.can_be(*whose)).then_some(edit)
        };
        Merge {
            sfid: self.sfid.clone(),
            replaces: self.other,
            fields: self.fields.iter().zip(chosen).filter_map(edit).collect(),
            others: self.others.clone(),
            against: self.against,
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::domain::mappings::field::FieldType;
    use crate::domain::records::record::SalesforceState;

    fn duplicate() -> Duplicate {
        let field = |name: &str| Field {
            createable: true,
            updateable: name != "Score",
            ..Field::plain(name, FieldType::String)
        };
        let names = ["LastName", "Email", "City", "Phone", "Title"];
        let mapping = Mapping::plain("Contact", names.map(field).to_vec());
        let row = |values: [Option<&str>; 5]| -> Hstore {
            let columns = mapping.fields.iter().map(|field| field.column.clone());
            columns.zip(values.map(|value| value.map(str::to_owned))).collect()
        };
        let here = row([Some("Rau"), Some("new@x.example"), None, None, Some("")]);
        let other = row([Some("Rau"), Some("old@x.example"), None, Some("123"), None]);
        let record = SalesforceValues {
            fetched_at: DateTime::UNIX_EPOCH,
            state: SalesforceState::Found,
            sfid: Some("003A".to_owned()),
            values: row([Some("Rau"), Some("old@x.example"), Some("Kiel"), None, None]).into_iter().collect(),
        };
        let at = RowRef { table: "contact".to_owned(), row: RowId(2) };
        let against = Against { error: 9, seen: DateTime::UNIX_EPOCH };
        Duplicate::of(&mapping, (at, against), &here, Some((RowId(1), &other)), &record)
    }

    #[test]
    fn only_what_differs_is_asked_about_and_nothing_is_lost_by_itself() {
        let duplicate = duplicate();
        let names: Vec<&str> = duplicate.fields.iter().map(|field| field.name.as_str()).collect();
        assert_eq!((names.as_slice(), duplicate.same), (&["Email", "City", "Phone"][..], 2));
        let proposed: Vec<Whose> = duplicate.fields.iter().map(|field| duplicate.proposed(field)).collect();
        assert_eq!(proposed, [Whose::Row, Whose::Record, Whose::Other]);
    }

    #[test]
    fn a_merge_changes_only_what_the_row_does_not_have() {
        let duplicate = duplicate();
        let merge = duplicate.merge(&[Whose::Row, Whose::Record, Whose::Other]);
        let changes: Vec<(&str, Option<&str>)> =
            merge.fields.iter().map(|edit| (edit.column.as_str(), edit.new.as_deref())).collect();
        assert_eq!(changes, [("city", Some("Kiel")), ("phone", Some("123"))]);
        assert_eq!((merge.replaces, merge.sfid.as_str()), (Some(RowId(1)), "003A"));
        let merge = duplicate.merge(&[Whose::Other, Whose::Row, Whose::Row]);
        assert_eq!(merge.fields[0].shown.as_deref(), Some("new@x.example"));
        assert_eq!(merge.fields[0].new.as_deref(), Some("old@x.example"));
        assert_eq!(merge.fields.len(), 1);
    }
}
