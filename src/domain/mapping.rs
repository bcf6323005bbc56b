//! A mapping: one object and one table, with the fields they share.

use serde::{Deserialize, Serialize};

use super::field::{Field, FieldType};
use super::names::column_of;
use super::rules::Rules;

/// What the engine may do with a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Records are read into rows; a user's write to a row is logged as READONLY and goes nowhere.
    ReadOnly,
    /// Both ways.
    ReadWrite,
}

impl Access {
    /// The word used in the configuration, the database and JSON.
    pub fn word(self) -> &'static str {
        match self {
            Access::ReadOnly => "read_only",
            Access::ReadWrite => "read_write",
        }
    }
}

/// A column that names a parent by its external id, `invoice__r__external_id__c`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parent {
    /// The column.
    pub column: String,
    /// The relationship, `Invoice__r`.
    pub relationship: String,
    /// The parent's external id field, `External_Id__c`.
    pub field: String,
    /// The parent's object, `Invoice__c`.
    pub object: String,
}

/// One mapping, checked against the org's describe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mapping {
    /// Object name, `Contact`; also the mapping's name.
    pub object: String,
    /// Table, `contact`.
    pub table: String,
    /// Direction.
    pub access: Access,
    /// The field that upserts go by, if one is set.
    pub external_id: Option<String>,
    /// How its rows are prepared, and what becomes of errors.
    pub rules: Rules,
    /// The mapped fields in order, relationship columns included; without Id, IsDeleted and SystemModstamp.
    pub fields: Vec<Field>,
    /// The relationship columns among them.
    pub parents: Vec<Parent>,
    /// Whether the object is gone, or the login may not see it: nothing is read or sent.
    #[serde(default)]
    pub gone: bool,
}

impl Mapping {
    /// The column of the external id.
    pub fn external_id_column(&self) -> Option<String> {
        self.external_id.as_deref().map(column_of)
    }

    /// The field of the external id.
    pub fn external_id_field(&self) -> Option<&Field> {
        self.field(&self.external_id_column()?)
    }

    /// The parent that a column names by its external id.
    pub fn parent(&self, column: &str) -> Option<&Parent> {
        self.parents.iter().find(|parent| parent.column == column)
    }

    /// The fields whose values are read.
    pub fn read_fields(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|field| field.is_read())
    }

    /// The field of a column.
    pub fn field(&self, column: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.column == column)
    }
}

/// Orders mappings so that parents come before their children: `order[i]` is the rank of `mappings[i]`.
/// A cycle is cut where it is met; its members are then held by the parent check one by one.
pub fn ranks(mappings: &[Mapping]) -> Vec<usize> {
    fn depth(of: usize, mappings: &[Mapping], path: &mut Vec<usize>) -> usize {
        if path.contains(&of) {
            return 0;
        }
        path.push(of);
        let deepest = mappings[of]
            .fields
            .iter()
            .flat_map(|field| &field.reference_to)
            .chain(mappings[of].parents.iter().map(|parent| &parent.object))
            .filter_map(|object| mappings.iter().position(|mapping| &mapping.object == object))
            .filter(|&parent| parent != of)
            .map(|parent| 1 + depth(parent, mappings, path))
            .max()
            .unwrap_or(0);
        path.pop();
        deepest
    }
    (0..mappings.len()).map(|of| depth(of, mappings, &mut Vec::new())).collect()
}

/// The type of the column that holds a field, as Heroku Connect lays it out.
pub fn column_type(field: &Field) -> String {
    match field.kind {
        FieldType::Id | FieldType::Reference => "varchar(18)".to_owned(),
        FieldType::Boolean => "boolean".to_owned(),
        FieldType::Int => "integer".to_owned(),
        FieldType::Double => "double precision".to_owned(),
        FieldType::Date => "date".to_owned(),
        FieldType::Datetime => "timestamp without time zone".to_owned(),
        FieldType::Time => "time without time zone".to_owned(),
        FieldType::Picklist => "varchar(255)".to_owned(),
        FieldType::Multipicklist => "varchar(4099)".to_owned(),
        FieldType::Textarea if field.length > 255 => "text".to_owned(),
        FieldType::String | FieldType::Email | FieldType::Phone | FieldType::Textarea if field.length > 0 => {
            format!("varchar({})", field.length)
        }
        _ => "text".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(object: &str, parent: Option<&str>) -> Mapping {
        Mapping {
            object: object.to_owned(),
            table: object.to_lowercase(),
            access: Access::ReadWrite,
            external_id: None,
            rules: Rules::default(),
            fields: Vec::new(),
            parents: parent
                .map(|object| Parent {
                    column: "p".to_owned(),
                    relationship: "P__r".to_owned(),
                    field: "X".to_owned(),
                    object: object.to_owned(),
                })
                .into_iter()
                .collect(),
            gone: false,
        }
    }

    #[test]
    fn parents_rank_before_children_and_cycles_end() {
        let chain =
            [mapping("Line", Some("Invoice")), mapping("Invoice", Some("Account")), mapping("Account", None)];
        assert_eq!(ranks(&chain), [2, 1, 0]);
        let cycle = [mapping("A", Some("B")), mapping("B", Some("A")), mapping("Self", Some("Self"))];
        assert_eq!(ranks(&cycle).len(), 3);
    }
}
