//! A mapping: one object and one table, with the fields they share.

use serde::{Deserialize, Serialize};

use crate::domain::mappings::field::{Field, FieldType};
use crate::domain::mappings::rules::Rules;
use crate::domain::names::column_of;
use crate::domain::values::nearest::nearest;

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
    /// The columns that have an index of their own, beside those of every table.
    #[serde(default)]
    pub indexes: Vec<String>,
    /// Whether the object is gone, or the login may not see it: nothing is read or sent.
    #[serde(default)]
    pub gone: bool,
    /// Which of Salesforce's own fields the object has.
    #[serde(default)]
    pub system: SystemFields,
}

/// The fields of an object that every mapped table has a column for, whether they are mapped or not.
pub const SYSTEM_FIELDS: [&str; 3] = ["Id", "IsDeleted", "SystemModstamp"];

/// Where a record that was read tells when it changed, whichever field says so; no column is named like this.
pub const CHANGED: &str = " changed";

/// Which of Salesforce's own fields an object has: User has no IsDeleted, a history no SystemModstamp, an external object
/// neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemFields {
    /// By what is found what changed; without any, every poll reads all of it.
    pub stamp: Option<Stamp>,
    /// Whether it says of a record that it is deleted.
    pub is_deleted: bool,
    /// Whether Salesforce lists its deletes.
    pub replicateable: bool,
}

/// A field that says when a record changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stamp {
    /// Whatever changed it.
    SystemModstamp,
    /// What a person or a program changed; what Salesforce itself does, such as a roll-up, leaves it.
    LastModifiedDate,
    /// For what never changes.
    CreatedDate,
}

impl Stamp {
    /// From the best to the poorest.
    pub const ALL: [Stamp; 3] = [Stamp::SystemModstamp, Stamp::LastModifiedDate, Stamp::CreatedDate];

    /// API name.
    pub fn name(self) -> &'static str {
        match self {
            Stamp::SystemModstamp => "SystemModstamp",
            Stamp::LastModifiedDate => "LastModifiedDate",
            Stamp::CreatedDate => "CreatedDate",
        }
    }
}

/// What nearly all objects have.
impl Default for SystemFields {
    fn default() -> SystemFields {
        SystemFields { stamp: Some(Stamp::SystemModstamp), is_deleted: true, replicateable: true }
    }
}

impl SystemFields {
    /// What is asked of every record, beside its own fields.
    pub fn names(self) -> Vec<&'static str> {
        let mut names = vec!["Id"];
        names.extend(self.stamp.map(Stamp::name));
        names.extend(self.is_deleted.then_some("IsDeleted"));
        names
    }

    /// Whether deletes are seen by a poll.
    pub fn tells_deletes(self) -> bool {
        self.replicateable || self.stamp.is_none() || self.is_deleted
    }

    /// Whether a poll asks for deletes in a call of its own.
    pub fn asks_deletes(self) -> bool {
        self.replicateable || self.stamp.is_some() && self.is_deleted
    }

    /// What the fields that lack cost, in words; nothing where none does.
    pub fn costs(self) -> Option<String> {
        let stamp = match self.stamp {
            Some(Stamp::SystemModstamp) => None,
            Some(Stamp::LastModifiedDate) => {
                Some("it has no SystemModstamp: what Salesforce changes by itself is seen by a reload only")
            }
            Some(Stamp::CreatedDate) => Some(
                "it has neither SystemModstamp nor LastModifiedDate: new records are read, changes of old ones by a reload only",
            ),
            None => Some("it does not say when a record changed: every poll reads all of its records"),
        };
        let deletes = (!self.tells_deletes()).then_some("its deletes are seen by a reload only");
        let costs: Vec<&str> = stamp.into_iter().chain(deletes).collect();
        (!costs.is_empty()).then(|| costs.join("; "))
    }
}

impl Mapping {
    /// A mapping of these fields in both directions, without an external id and without rules.
    pub fn plain(object: &str, fields: Vec<Field>) -> Mapping {
        Mapping {
            object: object.to_owned(),
            table: object.to_lowercase(),
            access: Access::ReadWrite,
            external_id: None,
            rules: Rules::default(),
            fields,
            parents: Vec::new(),
            indexes: Vec::new(),
            gone: false,
            system: SystemFields::default(),
        }
    }

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

    /// The field that somebody names, by its API name or its column; case does not matter.
    ///
    /// # Errors
    /// Names what there is, and the nearest.
    pub fn field_named(&self, name: &str) -> Result<&Field, String> {
        let is =
            |field: &&Field| field.name.eq_ignore_ascii_case(name) || field.column.eq_ignore_ascii_case(name);
        self.fields.iter().find(is).ok_or_else(|| {
            let known: Vec<&str> = self.fields.iter().map(|field| field.name.as_str()).collect();
            let there =
                format!("{} has no mapped field {name}; its fields: {}", self.object, known.join(", "));
            match nearest(name, known.into_iter()) {
                Some(near) => format!("{there}\ndid you mean {near}?"),
                None => there,
            }
        })
    }

    /// The field of a column.
    pub fn field(&self, column: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.column == column)
    }
}

/// What is said when nothing is mapped under a name; `known` are the objects that are.
pub fn no_such_mapping(name: &str, known: &[&str]) -> String {
    let there = match known {
        [] => "nothing is mapped yet".to_owned(),
        known => format!("there are {}", known.join(", ")),
    };
    let near = nearest(name, known.iter().copied()).map(|near| format!("did you mean {near}? "));
    format!("there is no mapping of a table or object {name:?}\n{}{there}", near.unwrap_or_default())
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
        let parent = parent.map(|object| Parent {
            column: "p".to_owned(),
            relationship: "P__r".to_owned(),
            field: "X".to_owned(),
            object: object.to_owned(),
        });
        Mapping { parents: parent.into_iter().collect(), ..Mapping::plain(object, Vec::new()) }
    }

    #[test]
    fn what_an_object_lacks_costs_what_it_costs() {
        assert_eq!(SystemFields::default().costs(), None);
        let user = SystemFields { is_deleted: false, ..SystemFields::default() };
        assert_eq!((user.costs(), user.names()), (None, vec!["Id", "SystemModstamp"]));
        let member =
            SystemFields { stamp: Some(Stamp::LastModifiedDate), is_deleted: false, replicateable: false };
        assert_eq!(
            member.costs().unwrap(),
            "it has no SystemModstamp: what Salesforce changes by itself is seen by a reload only; its deletes are seen by a reload only"
        );
        let external = SystemFields { stamp: None, is_deleted: false, replicateable: false };
        assert_eq!(
            (external.costs().unwrap().as_str(), external.names()),
            ("it does not say when a record changed: every poll reads all of its records", vec!["Id"])
        );
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
