//! The tables of an org, one an object, and what they all hold at one moment.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::records::{Record, Records};
use super::schema::{FieldDef, Kind, ObjectDef};

/// The records of one object with its definition.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) def: Arc<ObjectDef>,
    pub(super) records: Records,
    /// (unique field, folded value) -> id.
    pub(super) unique: HashMap<(String, String), String>,
    /// (field by which records are found and which is not unique, folded value) -> ids.
    pub(super) shared: HashMap<(String, String), BTreeSet<String>>,
    /// What the duplicate rule compares -> ids.
    pub(super) alike: HashMap<String, BTreeSet<String>>,
    pub(super) described: DateTime<Utc>,
}

impl Table {
    pub(super) fn of(def: ObjectDef, described: DateTime<Utc>) -> Table {
        Table {
            def: Arc::new(def),
            records: Records::default(),
            unique: HashMap::new(),
            shared: HashMap::new(),
            alike: HashMap::new(),
            described,
        }
    }

    pub(super) fn def_mut(&mut self) -> &mut ObjectDef {
        Arc::make_mut(&mut self.def)
    }

    /// Notes a record's unique values.
    pub(super) fn index(&mut self, record: &Record) {
        for key in unique_keys(&self.def, record) {
            self.unique.insert(key, record.id.clone());
        }
        for key in shared_keys(&self.def, record) {
            self.shared.entry(key).or_default().insert(record.id.clone());
        }
        if let Some(key) = duplicate_key(&self.def, &record.fields) {
            self.alike.entry(key).or_default().insert(record.id.clone());
        }
    }

    /// Forgets them.
    pub(super) fn unindex(&mut self, record: &Record) {
        for key in unique_keys(&self.def, record) {
            self.unique.remove(&key);
        }
        for key in shared_keys(&self.def, record) {
            take_out(&mut self.shared, &key, &record.id);
        }
        if let Some(key) = duplicate_key(&self.def, &record.fields) {
            take_out(&mut self.alike, &key, &record.id);
        }
    }

    fn view(&self) -> View {
        View { def: self.def.clone(), records: self.records.clone() }
    }
}

/// The values of the fields that no two records share.
fn unique_keys(def: &ObjectDef, record: &Record) -> Vec<(String, String)> {
    keys(def, record, |field| field.unique)
}

/// The values of the fields by which a record is found beside others.
fn shared_keys(def: &ObjectDef, record: &Record) -> Vec<(String, String)> {
    keys(def, record, |field| field.is_id_lookup() && !field.unique)
}

fn keys(def: &ObjectDef, record: &Record, of: impl Fn(&FieldDef) -> bool) -> Vec<(String, String)> {
    let fields = def.fields.iter().filter(|field| of(field));
    let key = |field: &FieldDef| Some((field.name.clone(), field.folded(record.fields.get(&field.name)?)?));
    fields.filter_map(key).collect()
}

/// Takes an id out of an index, which keeps no empty sets.
fn take_out<K: Eq + Hash>(index: &mut HashMap<K, BTreeSet<String>>, key: &K, id: &str) {
    if let Some(ids) = index.get_mut(key) {
        ids.remove(id);
        if ids.is_empty() {
            index.remove(key);
        }
    }
}

/// What the org's one duplicate rule compares: no two leads with one e-mail address and last name.
pub(super) fn duplicate_key(def: &ObjectDef, fields: &Map<String, Value>) -> Option<String> {
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let (email, name) = (text("Email")?, text("LastName")?);
    (def.name == "Lead").then(|| format!("{}\n{name}", email.to_lowercase()))
}

/// An object as it was at one moment.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) def: Arc<ObjectDef>,
    pub(super) records: Records,
}

/// All objects at one moment; others may write on meanwhile.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    pub(super) views: Vec<View>,
}

impl Snapshot {
    pub(super) fn of(tables: &[Table]) -> Snapshot {
        Snapshot { views: tables.iter().map(Table::view).collect() }
    }

    /// An object's place, by its name in any case.
    pub(super) fn place(&self, object: &str) -> Option<usize> {
        self.views.iter().position(|view| view.def.name.eq_ignore_ascii_case(object))
    }
}

/// A lookup from a child's object, as its parent's object sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ChildRelationship {
    pub(super) name: String,
    pub(super) child: String,
    pub(super) field: String,
}

/// The relationships from other objects to one. Salesforce lets an administrator name them; here they have the names that
/// it offers: the child's plural, with `__r` where the field is a custom one. A second one of a child has its field's name
/// before that.
pub(super) fn child_relationships<'a>(
    objects: impl Iterator<Item = &'a ObjectDef>,
    parent: &str,
) -> Vec<ChildRelationship> {
    let mut found: Vec<ChildRelationship> = Vec::new();
    for object in objects {
        for field in &object.fields {
            let is_parent = match &field.kind {
                Kind::Lookup { object, .. } => object.eq_ignore_ascii_case(parent),
                Kind::Polymorphic { objects, .. } => {
                    objects.iter().any(|object| object.eq_ignore_ascii_case(parent))
                }
                _ => false,
            };
            if !is_parent {
                continue;
            }
            let custom = field.name.ends_with("__c");
            let plural = object.label_plural().replace(' ', if custom { "_" } else { "" });
            let ending = if custom { "__r" } else { "" };
            let mut name = match object.name.eq_ignore_ascii_case(parent) {
                true => format!("Child{plural}{ending}"),
                false => format!("{plural}{ending}"),
            };
            if found.iter().any(|other| other.name == name) {
                let stem = field.name.trim_end_matches("__c").trim_end_matches("Id");
                name = format!("{stem}_{name}");
            }
            found.push(ChildRelationship { name, child: object.name.clone(), field: field.name.clone() });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::schema::demo_objects;
    use super::*;

    #[test]
    fn children_have_the_names_that_salesforce_offers() {
        let objects = demo_objects();
        let of = |parent: &str| -> Vec<String> {
            child_relationships(objects.iter(), parent).into_iter().map(|of| of.name).collect()
        };
        assert_eq!(
            of("account"),
            ["ChildAccounts", "Contacts", "Opportunities", "Cases", "Invoices__r", "Tasks"]
        );
        assert_eq!(of("Contact"), ["Accounts__r", "Cases", "Tasks", "ContactHistories"]);
        assert_eq!(of("Invoice__c"), ["Invoice_Lines__r"]);
    }
}
