//! The tables of an org, one an object, and what they all hold at one moment.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::ids::{make_id, number_of};
use super::index::Index;
use super::records::{Record, Records};
use super::schema::{FieldDef, Kind, ObjectDef};
use super::undo::UndoLog;

/// The records of one object with its definition.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) def: Arc<ObjectDef>,
    pub(super) records: Records,
    /// By the name of each field by which records are found, or whose values no two records share.
    keys: HashMap<String, Index>,
    /// For each duplicate rule of the object.
    alike: Vec<Alike>,
    pub(super) described: DateTime<Utc>,
}

impl Table {
    pub(super) fn of(def: ObjectDef, described: DateTime<Utc>) -> Table {
        Table {
            def: Arc::new(def),
            records: Records::default(),
            keys: HashMap::new(),
            alike: Vec::new(),
            described,
        }
    }

    pub(super) fn def_mut(&mut self) -> &mut ObjectDef {
        Arc::make_mut(&mut self.def)
    }

    /// Notes a record's keys.
    pub(super) fn index(&mut self, record: &Record) {
        let Some(number) = short_number(&record.id) else { return };
        for (field, value) in keys(&self.def, record) {
            self.keys.entry(field).or_default().add(&value, number);
        }
        for alike in &mut self.alike {
            if let Some(value) = alike_key(&self.def, &alike.fields, |field| record.get(field)) {
                alike.index.add(&value, number);
            }
        }
    }

    /// Forgets them.
    pub(super) fn unindex(&mut self, record: &Record) {
        let Some(number) = short_number(&record.id) else { return };
        for (field, value) in keys(&self.def, record) {
            if let Some(index) = self.keys.get_mut(&field) {
                index.remove(&value, number);
            }
        }
        for alike in &mut self.alike {
            if let Some(value) = alike_key(&self.def, &alike.fields, |field| record.get(field)) {
                alike.index.remove(&value, number);
            }
        }
    }

    /// The ids of the records that have a value in a field by which records are found, in the form in which values are
    /// compared. An administrator changes fields and leaves the index as it is: it may name too many.
    pub(super) fn ids_by(&self, field: &FieldDef, value: &str) -> Vec<String> {
        let mut ids = self.indexed(field, value);
        ids.retain(|id| self.records.has(id, field, value));
        ids
    }

    /// What the index has.
    fn indexed(&self, field: &FieldDef, value: &str) -> Vec<String> {
        let numbers = self.keys.get(&field.name).map(|index| index.get(value)).unwrap_or_default();
        numbers.into_iter().map(|number| make_id(&self.def.prefix, number.into())).collect()
    }

    /// Has the records noted that are alike in some fields, for a duplicate rule.
    pub(super) fn watch(&mut self, rule: &str, fields: &[String]) {
        let mut index = Index::default();
        for record in self.records.iter().filter(|record| !record.deleted) {
            let value = alike_key(&self.def, fields, |field| record.get(field));
            if let (Some(value), Some(number)) = (value, short_number(&record.id)) {
                index.add(&value, number);
            }
        }
        self.alike.push(Alike { rule: rule.to_owned(), fields: fields.to_vec(), index });
    }

    pub(super) fn unwatch(&mut self, rule: &str) {
        self.alike.retain(|alike| alike.rule != rule);
    }

    /// The ids of the records that are like one with these values, for a duplicate rule.
    pub(super) fn ids_alike(&self, rule: &str, value: impl Fn(&str) -> Value) -> Vec<String> {
        let Some(alike) = self.alike.iter().find(|alike| alike.rule == rule) else { return Vec::new() };
        let key = alike_key(&self.def, &alike.fields, value);
        let numbers = key.map(|key| alike.index.get(&key)).unwrap_or_default();
        numbers.into_iter().map(|number| make_id(&self.def.prefix, number.into())).collect()
    }

    fn view(&self) -> View {
        View { def: self.def.clone(), records: self.records.clone() }
    }
}

/// The records that are alike to a duplicate rule.
#[derive(Debug)]
struct Alike {
    rule: String,
    fields: Vec<String>,
    index: Index,
}

/// What a duplicate rule compares: records that lack one of the values are like no other.
fn alike_key(def: &ObjectDef, fields: &[String], value: impl Fn(&str) -> Value) -> Option<String> {
    let part = |field: &String| def.field(field).and_then(|field| field.folded(&value(&field.name)));
    Some(fields.iter().map(part).collect::<Option<Vec<String>>>()?.join("\n"))
}

/// A record's number, as indexes have it.
fn short_number(id: &str) -> Option<u32> {
    u32::try_from(number_of(id)?).ok()
}

/// The values by which a record is found, or that no other may have.
fn keys(def: &ObjectDef, record: &Record) -> Vec<(String, String)> {
    let fields =
        def.fields.iter().filter(|field| field.unique || (field.is_id_lookup() && field.name != "Id"));
    let key = |field: &FieldDef| Some((field.name.clone(), field.folded(&record.get(&field.name))?));
    fields.filter_map(key).collect()
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

/// What a query may see, and where it may look keys up.
pub(super) struct Seen<'a> {
    pub(super) snapshot: Snapshot,
    pub(super) keys: Keys<'a>,
}

impl<'a> Seen<'a> {
    pub(super) fn of(tables: &'a [Table]) -> Seen<'a> {
        Seen { snapshot: Snapshot::of(tables), keys: Keys { tables, written: None } }
    }

    /// What others see of an open transaction, which wrote such records.
    pub(super) fn without(written: Option<&'a UndoLog>, snapshot: Snapshot, tables: &'a [Table]) -> Seen<'a> {
        Seen { snapshot, keys: Keys { tables, written } }
    }
}

/// Where keys are looked up: the indexes, and the records that an open transaction wrote, for it changed the indexes too.
#[derive(Clone, Copy)]
pub(super) struct Keys<'a> {
    tables: &'a [Table],
    written: Option<&'a UndoLog>,
}

impl Keys<'_> {
    /// The ids of the records of a snapshot that have a value in a field by which records are found, in the form in which
    /// values are compared.
    pub(super) fn ids_by(
        self,
        snapshot: &Snapshot,
        place: usize,
        field: &FieldDef,
        value: &str,
    ) -> Vec<String> {
        let (Some(table), Some(view)) = (self.tables.get(place), snapshot.views.get(place)) else {
            return Vec::new();
        };
        let mut ids = table.indexed(field, value);
        if let Some(written) = self.written {
            ids.extend(written.ids(&table.def.name).map(str::to_owned));
            ids.sort_unstable();
            ids.dedup();
        }
        ids.retain(|id| view.records.has(id, field, value));
        ids
    }
}

impl Snapshot {
    pub(super) fn of(tables: &[Table]) -> Snapshot {
        Snapshot { views: tables.iter().map(Table::view).collect() }
    }

    /// With the fields that the login may not see: rules know them.
    pub(super) fn whole(tables: &[Table]) -> Snapshot {
        let mut snapshot = Snapshot::of(tables);
        for view in snapshot.views.iter_mut().filter(|view| !view.def.hidden.is_empty()) {
            let def = Arc::make_mut(&mut view.def);
            def.fields.extend(std::mem::take(&mut def.hidden));
        }
        snapshot
    }

    /// An object's place, by its name in any case.
    pub(super) fn place(&self, object: &str) -> Option<usize> {
        self.views.iter().position(|view| view.def.name.eq_ignore_ascii_case(object))
    }
}

/// A lookup from a child's object, as its parent's object sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ChildRelationship {
    /// None where queries cannot go that way: from a user to all that the user made or changed.
    pub(super) name: Option<String>,
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
            if field.system || field.is_owner() {
                found.push(ChildRelationship {
                    name: None,
                    child: object.name.clone(),
                    field: field.name.clone(),
                });
                continue;
            }
            let custom = field.name.ends_with("__c");
            let plural = object.label_plural().replace(' ', if custom { "_" } else { "" });
            let ending = if custom { "__r" } else { "" };
            let mut name = match object.name.eq_ignore_ascii_case(parent) {
                true => format!("Child{plural}{ending}"),
                false => format!("{plural}{ending}"),
            };
            if found.iter().any(|other| other.name.as_ref() == Some(&name)) {
                let stem = field.name.trim_end_matches("__c").trim_end_matches("Id");
                name = format!("{stem}_{name}");
            }
            let (child, field) = (object.name.clone(), field.name.clone());
            found.push(ChildRelationship { name: Some(name), child, field });
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
            child_relationships(objects.iter(), parent).into_iter().filter_map(|of| of.name).collect()
        };
        assert_eq!(
            of("account"),
            ["ChildAccounts", "Contacts", "Opportunities", "Cases", "Invoices__r", "Tasks"]
        );
        assert_eq!(of("Contact"), ["Accounts__r", "Cases", "Tasks", "ContactHistories"]);
        assert_eq!(of("Invoice__c"), ["Invoice_Lines__r"]);
    }
}
