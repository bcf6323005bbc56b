//! Finding what a plan asks for, and shaping it as an answer. Works on a snapshot, without a lock.

use std::collections::{HashMap, HashSet};
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::cells::{Cell, Found, cell, holds, owner, parent, sort, value};
use super::fault::Fault;
use super::groups;
use super::plan::{Column, Join, Output, Path, Plan, Selection, Set, Slot, Sort, Test, Type};
use crate::simulator::ids::number_of;
use crate::simulator::records::Record;
use crate::simulator::tables::Snapshot;
use crate::simulator::values::parse_datetime;

/// From so many columns on a record's values are taken apart once, and not looked for one by one.
const WIDE: usize = 32;

/// What a query found.
#[derive(Debug)]
pub(in crate::simulator) enum Answer {
    /// Of `COUNT()`.
    Count(usize),
    Records(Rows),
    /// Ready to be sent.
    Groups(Vec<Value>),
}

/// The records that a query found, as they were when it came; shaped when they are asked for.
#[derive(Debug)]
pub(in crate::simulator) struct Rows {
    snapshot: Snapshot,
    object: usize,
    found: Vec<Arc<Record>>,
    columns: Vec<Shown>,
}

/// A column with what belongs to it.
#[derive(Debug)]
enum Shown {
    Field(Path),
    Children { name: String, object: usize, families: HashMap<String, Vec<Arc<Record>>>, columns: Vec<Shown> },
}

/// Runs a plan.
///
/// # Errors
/// Too many groups.
pub(in crate::simulator) fn run(plan: Plan) -> Result<Answer, Fault> {
    let Plan { snapshot, selection, output, all } = plan;
    match output {
        Output::Count => {
            let (limit, offset) = (selection.limit.unwrap_or(usize::MAX), selection.offset);
            let found = find(&snapshot, selection, all).len();
            Ok(Answer::Count(found.saturating_sub(offset).min(limit)))
        }
        Output::Groups(grouping) => {
            let (object, limit, offset) = (selection.object, selection.limit, selection.offset);
            let found = find(&snapshot, selection, all);
            groups::of(&snapshot, object, &found, &grouping, limit, offset).map(Answer::Groups)
        }
        Output::Records(columns) => {
            let (object, limit, offset) =
                (selection.object, selection.limit.unwrap_or(usize::MAX), selection.offset);
            let found = find(&snapshot, selection, all).into_iter().skip(offset).take(limit).collect();
            let columns = columns.into_iter().map(|column| shown(&snapshot, column, all)).collect();
            Ok(Answer::Records(Rows { snapshot, object, found, columns }))
        }
    }
}

fn shown(snapshot: &Snapshot, column: Column, all: bool) -> Shown {
    let children = match column {
        Column::Field(path) => return Shown::Field(path),
        Column::Children(children) => children,
    };
    let (object, limit, offset) = (
        children.selection.object,
        children.selection.limit.unwrap_or(usize::MAX),
        children.selection.offset,
    );
    let mut families: HashMap<String, Vec<Arc<Record>>> = HashMap::new();
    for record in find(snapshot, children.selection, all) {
        if let Some(parent) = record.lookup(&children.lookup) {
            families.entry(parent.to_owned()).or_default().push(record);
        }
    }
    for family in families.values_mut() {
        family.drain(..offset.min(family.len()));
        family.truncate(limit);
    }
    let columns = children.columns.into_iter().map(|column| shown(snapshot, column, all)).collect();
    Shown::Children { name: children.name, object, families, columns }
}

/// All records of a selection, in its order; limit and offset are not looked at.
fn find(snapshot: &Snapshot, selection: Selection, all: bool) -> Vec<Arc<Record>> {
    let Selection { object, filter, candidates, order, .. } = selection;
    let filter = filter.map(|filter| joined(snapshot, filter));
    let records = &snapshot.views[object].records;
    let wanted = |record: &&Arc<Record>| {
        (all || !record.deleted)
            && filter.as_ref().is_none_or(|test| {
                holds(test, &|path: &Path| (cell(snapshot, path, (object, record)), path.field.exact))
            })
    };
    let mut found: Vec<Arc<Record>> = match candidates {
        Some(ids) => ids.iter().filter_map(|id| records.get(id)).filter(wanted).cloned().collect(),
        None => records.iter().filter(wanted).cloned().collect(),
    };
    let is_by_id = |by: &Path| by.slot == Slot::Id && by.steps.is_empty();
    // In the order of their ids they are already.
    if !matches!(order.as_slice(), [Sort { by, descending: false, .. }] if is_by_id(by)) {
        sort(&mut found, &order, |record, path| cell(snapshot, path, (object, record)).key(path.field.exact));
    }
    found
}

/// A condition with the queries in it answered.
fn joined(snapshot: &Snapshot, test: Test<Path>) -> Test<Path> {
    match test {
        Test::All(terms) => Test::All(terms.into_iter().map(|term| joined(snapshot, term)).collect()),
        Test::Join { subject, negated, inner } => {
            let Join { selection, select } = *inner;
            let object = selection.object;
            let ids = find(snapshot, selection, false);
            let ids = ids.iter().filter_map(|record| match cell(snapshot, &select, (object, record)) {
                Cell::Text(id) => Some(id.to_owned()),
                _ => None,
            });
            let set = Set { texts: ids.collect::<HashSet<_>>(), others: Vec::new() };
            Test::In { subject, negated, set }
        }
        // They stand at the top alone.
        other => other,
    }
}

impl Rows {
    pub(in crate::simulator) fn len(&self) -> usize {
        self.found.len()
    }

    /// Some of the records as JSON.
    pub(in crate::simulator) fn page(&self, range: Range<usize>, version: &str) -> Vec<Value> {
        let shape = |record| self.shape((self.object, record), &self.columns, version);
        self.found[range].iter().map(|record| shape(record.as_ref())).collect()
    }

    /// The names of its columns, of which none holds children.
    pub(in crate::simulator) fn header(&self) -> Vec<String> {
        self.fields().map(Path::spelt).collect()
    }

    /// A record as CSV has it: null is empty, and instants end in Z.
    pub(in crate::simulator) fn texts(&self, at: usize) -> Vec<String> {
        let record = (self.object, self.found[at].as_ref());
        let text = |path: &Path| {
            let value = owner(&self.snapshot, path, record).map(|owner| value(&self.snapshot, path, owner));
            match value.unwrap_or_default() {
                Value::Null => String::new(),
                Value::String(text) if path.field.kind == Type::Instant => text.replace("+0000", "Z"),
                Value::String(text) => text,
                other => other.to_string(),
            }
        };
        self.fields().map(text).collect()
    }

    /// Only the records whose ids have such numbers.
    pub(in crate::simulator) fn within(mut self, numbers: RangeInclusive<u64>) -> Rows {
        self.found.retain(|record| number_of(&record.id).is_some_and(|number| numbers.contains(&number)));
        self
    }

    /// Some of the records as JSON, with days and instants in milliseconds, as the Bulk API before 2.0 has them.
    pub(in crate::simulator) fn with_milliseconds(&self, range: Range<usize>, version: &str) -> Vec<Value> {
        let mut records = self.page(range, version);
        for path in self.fields().filter(|path| matches!(path.field.kind, Type::Date | Type::Instant)) {
            for record in &mut records {
                let parent = path.steps.iter().try_fold(record, |parent, step| parent.get_mut(&step.name));
                let Some(value) = parent.and_then(|parent| parent.get_mut(&path.field.name)) else {
                    continue;
                };
                let instant = value.as_str().and_then(|text| match path.field.kind {
                    Type::Date => parse_datetime(&format!("{text}T00:00:00Z")),
                    _ => parse_datetime(text),
                });
                if let Some(instant) = instant {
                    *value = json!(instant.timestamp_millis());
                }
            }
        }
        records
    }

    fn fields(&self) -> impl Iterator<Item = &Path> {
        self.columns.iter().filter_map(|column| match column {
            Shown::Field(path) => Some(path),
            Shown::Children { .. } => None,
        })
    }

    /// A record as a query answers it: attributes, then the fields, as they are spelt, in the order they were asked for.
    fn shape(&self, record: Found<'_>, columns: &[Shown], version: &str) -> Value {
        let mut shaped = Map::new();
        shaped.insert("attributes".to_owned(), self.attributes(record, version));
        let own = (columns.len() >= WIDE).then(|| record.1.fields.by_name());
        for column in columns {
            match column {
                Shown::Field(path) => match (&path.slot, &own) {
                    (Slot::Stored(name), Some(own)) if path.steps.is_empty() => {
                        let value = own.get(name.as_str()).map_or(Value::Null, |held| held.value());
                        shaped.insert(path.field.name.clone(), value);
                    }
                    _ => self.place(&mut shaped, path, 0, record, version),
                },
                Shown::Children { name, object, families, columns } => {
                    let children = families.get(&record.1.id).map_or(Value::Null, |family| {
                        let records: Vec<Value> = family
                            .iter()
                            .map(|child| self.shape((*object, child), columns, version))
                            .collect();
                        json!({"totalSize": records.len(), "done": true, "records": records})
                    });
                    shaped.insert(name.clone(), children);
                }
            }
        }
        Value::Object(shaped)
    }

    /// Puts a path's value into an answer: those of a parent in the parent's, which is null where there is none.
    fn place(
        &self,
        into: &mut Map<String, Value>,
        path: &Path,
        depth: usize,
        record: Found<'_>,
        version: &str,
    ) {
        let Some(step) = path.steps.get(depth) else {
            into.insert(path.field.name.clone(), value(&self.snapshot, path, record));
            return;
        };
        let entry = into.entry(step.name.clone()).or_insert(Value::Null);
        let Some(parent) = parent(&self.snapshot, step, record) else { return };
        if entry.is_null() {
            *entry = json!({"attributes": self.attributes(parent, version)});
        }
        if let Value::Object(entry) = entry {
            self.place(entry, path, depth + 1, parent, version);
        }
    }

    fn attributes(&self, (object, record): Found<'_>, version: &str) -> Value {
        let name = &self.snapshot.views[object].def.name;
        json!({"type": name, "url": format!("/services/data/{version}/sobjects/{name}/{}", record.id)})
    }
}
