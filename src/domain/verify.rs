//! The two sides against each other: what differs between a row and its record although nothing is pending, and what
//! only looks different.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::hstore::Hstore;
use super::mapping::Mapping;
use super::merge::same;
use super::names::RowRef;
use super::outgoing::is_in_step;

/// A kind of inconsistency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A row and its record hold different values.
    Mismatch,
    /// Several rows have one external id.
    Duplicate,
    /// A row names a parent that is not there.
    Orphan,
    /// A row has no record, and nothing of it waits to be sent.
    RowWithoutRecord,
    /// A record has no row.
    RecordWithoutRow,
}

impl Kind {
    /// In the order in which they are told.
    pub const ALL: [Kind; 5] =
        [Kind::Mismatch, Kind::Duplicate, Kind::Orphan, Kind::RowWithoutRecord, Kind::RecordWithoutRow];

    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Kind::Mismatch => "mismatch",
            Kind::Duplicate => "duplicate",
            Kind::Orphan => "orphan",
            Kind::RowWithoutRecord => "row without a record",
            Kind::RecordWithoutRow => "record without a row",
        }
    }
}

/// A field that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Its API name.
    pub field: String,
    /// Its column.
    pub column: String,
    /// The row's value.
    pub row: Option<String>,
    /// The record's value.
    pub record: Option<String>,
}

/// One inconsistency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Its kind.
    pub kind: Kind,
    /// The mapping's object name.
    pub mapping: String,
    /// The row, where there is one.
    pub row: Option<RowRef>,
    /// The record, where there is one.
    pub sfid: Option<String>,
    /// Of a mismatch: the fields that differ.
    pub fields: Vec<Difference>,
    /// Of a duplicate, the key and the other rows; of an orphan, the parent that is missing.
    pub text: String,
}

/// A row as a look found it, as far as a repair goes by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsFound {
    /// Its record.
    pub sfid: Option<String>,
    /// The columns that differed.
    pub values: Hstore,
}

impl Finding {
    /// The row as it was found.
    pub fn as_found(&self) -> AsFound {
        let values = self.fields.iter().map(|field| (field.column.clone(), field.row.clone())).collect();
        AsFound { sfid: self.sfid.clone(), values }
    }
}

/// What a look at one mapping found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The mapping's object name.
    pub mapping: String,
    /// When what was found was looked at last, by PostgreSQL's clock, or before that; `None` where nothing was.
    pub looked_at: Option<DateTime<Utc>>,
    /// How many rows there are.
    pub rows: i64,
    /// How many records Salesforce told of.
    pub records: i64,
    /// How many rows were compared with their records.
    pub compared: i64,
    /// How many of each kind were found.
    pub counts: BTreeMap<Kind, i64>,
    /// What was found, at most as many as are listed.
    pub findings: Vec<Finding>,
    /// How many looked different but changed each time that one looked: nothing can be said about them.
    pub unsettled: i64,
    /// Whether it was stopped before its end.
    pub stopped: bool,
}

/// The fields that really differ: outer blanks, empty and NULL, digits beyond the scale, and what a transform makes of
/// the row's value on its way out make no difference.
pub fn differences(mapping: &Mapping, row: &Hstore, record: &Hstore) -> Vec<Difference> {
    let differing = mapping.read_fields().filter_map(|field| {
        let ours = row.get(&field.column).cloned().flatten();
        let theirs = record.get(&field.column)?.clone();
        let agree = same(field, ours.as_deref(), theirs.as_deref())
            || is_in_step(mapping, field, ours.as_deref(), theirs.as_deref());
        (!agree).then(|| Difference {
            field: field.name.clone(),
            column: field.column.clone(),
            row: ours,
            record: theirs,
        })
    });
    differing.collect()
}

#[cfg(test)]
mod tests {
    use super::super::field::{Field, FieldType};
    use super::super::mapping::Access;
    use super::super::rules::Rules;
    use super::*;

    #[test]
    fn what_only_looks_different_is_no_difference() {
        let mut rules = Rules::default();
        rules.set("Phone.transforms", "phone_e164(US)").unwrap();
        let number = Field { precision: 16, scale: 2, ..Field::plain("Amount", FieldType::Double) };
        let mapping = Mapping {
            object: "Contact".to_owned(),
            table: "contact".to_owned(),
            access: Access::ReadWrite,
            external_id: None,
            rules,
            fields: vec![
                Field::plain("Name", FieldType::String),
                Field::plain("Phone", FieldType::Phone),
                number,
                Field::plain("Active", FieldType::Boolean),
            ],
            parents: Vec::new(),
            gone: false,
            system: Default::default(),
        };
        let side = |name: Option<&str>, phone: Option<&str>, amount: Option<&str>, active: Option<&str>| {
            [("name", name), ("phone", phone), ("amount", amount), ("active", active)]
                .map(|(column, value)| (column.to_owned(), value.map(str::to_owned)))
                .into()
        };
        let record = side(Some("Doe"), Some("+14155552671"), Some("1.5"), Some("false"));
        for row in [
            side(Some(" Doe "), Some("(415) 555-2671"), Some("1.50"), Some("f")),
            side(Some("Doe"), Some("+14155552671"), Some("1.499999999999"), None),
        ] {
            assert_eq!(differences(&mapping, &row, &record), []);
        }
        let row = side(Some("Dow"), Some("(415) 555-2672"), Some("1.51"), Some("t"));
        let fields: Vec<String> =
            differences(&mapping, &row, &record).into_iter().map(|one| one.field).collect();
        assert_eq!(fields, ["Name", "Phone", "Amount", "Active"]);
        let blank = differences(
            &mapping,
            &side(Some(""), None, None, None),
            &side(None, Some(" "), None, Some("false")),
        );
        assert_eq!(blank, []);
    }
}
