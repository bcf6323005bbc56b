//! Saving: create, update, upsert, delete of single records, with their checks, triggers and journal.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, SubsecRound, Utc};
use serde_json::{Map, Value};

use super::checks;
use super::fields::Fields;
use super::ids::long_id;
use super::journal::Kept;
use super::org::State;
use super::records::Record;
use super::rejection::{Rejection, Saved};
use super::rules::{Candidate, TriggerEvent};
use super::schema::{FieldDef, Kind, ObjectDef};
use super::streaming::events::{self, Author, Change, ChangeType};
use super::users::User;
use super::values::normalise;

/// Who writes.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    user: User,
    request: u64,
    batch_size: usize,
    /// Where it comes from, as change events tell it.
    origin: String,
    /// What all that it writes is a part of.
    transaction: u64,
    /// Whether what duplicate rules only warn of is saved.
    allow_duplicates: bool,
}

/// The number of the next transaction, of whatever org.
static TRANSACTION: AtomicU64 = AtomicU64::new(1);

impl Writer {
    pub(super) fn api(request: u64, origin: &str, batch_size: usize) -> Writer {
        let user = User::Integration;
        Writer { user, request, batch_size, origin: origin.to_owned(), ..Writer::user() }
    }

    pub(super) fn user() -> Writer {
        let transaction = TRANSACTION.fetch_add(1, Ordering::Relaxed);
        Writer {
            user: User::Person,
            request: 0,
            batch_size: 1,
            origin: String::new(),
            transaction,
            allow_duplicates: false,
        }
    }

    /// Saves what duplicate rules only warn of, where that is wanted.
    pub(super) fn allowing_duplicates(self, allow_duplicates: bool) -> Writer {
        Writer { allow_duplicates, ..self }
    }

    /// In the journal's words.
    fn source(&self) -> &'static str {
        if self.is_api() { "api" } else { "user" }
    }

    fn is_api(&self) -> bool {
        self.user == User::Integration
    }
}

/// A record as it would be saved, and what was written of it.
struct Draft {
    written: Map<String, Value>,
    /// What it holds beside.
    holds: Map<String, Value>,
    def: Arc<ObjectDef>,
    id: String,
    created: DateTime<Utc>,
    created_by: User,
    now: DateTime<Utc>,
    by: User,
}

impl Draft {
    fn record(&self) -> Record {
        let mut fields = self.holds.clone();
        fields.extend(self.written.clone());
        self.def.compose(&mut fields);
        Record {
            id: self.id.clone(),
            fields: Fields::of(&fields),
            created: self.created,
            created_by: self.created_by,
            modified: self.now,
            modified_by: self.by,
            deleted: false,
        }
    }
}

/// Creates a record; its id.
pub(super) fn create(
    state: &mut State,
    object: &str,
    fields: Map<String, Value>,
    writer: &Writer,
) -> Saved<String> {
    let written = resolve(state, object, fields, writer)?;
    let table = state.table(object).ok_or_else(|| vec![no_object()])?;
    let mut holds = Map::new();
    for field in &table.def.fields {
        if field.kind == Kind::Boolean && !field.system {
            holds.insert(field.name.clone(), Value::from(false));
        } else if field.is_owner() {
            holds.insert(field.name.clone(), Value::from(writer.user.id()));
        }
    }
    let (now, by) = (Utc::now().trunc_subsecs(0), writer.user);
    let (id, def) = (table.records.next_id(&table.def.prefix), table.def.clone());
    let mut draft = Draft { written, holds, def, id, created: now, created_by: by, now, by };
    let events = (TriggerEvent::BeforeInsert, TriggerEvent::AfterInsert);
    let parent = parent_of(&draft.def, &draft.written);
    let record = pass(state, &mut draft, None, parent, events, writer)?;
    keep(state, writer, ChangeType::Create, &draft.def, None, record, draft.written);
    Ok(draft.id)
}

/// Changes a record.
pub(super) fn update(
    state: &mut State,
    object: &str,
    id: &str,
    fields: Map<String, Value>,
    writer: &Writer,
) -> Saved<()> {
    let id = existing(state, object, id)?;
    let written = resolve(state, object, fields, writer)?;
    let table = state.table(object).ok_or_else(|| vec![no_object()])?;
    let fixed = table.def.fields.iter().filter(|field| field.fixed && written.contains_key(&field.name));
    let fixed: Vec<String> = fixed.map(|field| field.name.clone()).collect();
    if writer.is_api() && !fixed.is_empty() {
        return Err(vec![denied_fields(&fixed)]);
    }
    let before = table.records.get(&id).cloned().ok_or_else(|| vec![unknown_id()])?;
    let (created, created_by) = (before.created, before.created_by);
    let (now, by) = (Utc::now().trunc_subsecs(0), writer.user);
    let (holds, def) = (before.fields.map(), table.def.clone());
    let mut draft = Draft { written, holds, def, id, created, created_by, now, by };
    let events = (TriggerEvent::BeforeUpdate, TriggerEvent::AfterUpdate);
    let held = Some(draft.id.clone());
    let record = pass(state, &mut draft, Some(&before), held, events, writer)?;
    keep(state, writer, ChangeType::Update, &draft.def, Some(&before), record, draft.written);
    Ok(())
}

/// What a record must pass before it is saved, in Salesforce's order: triggers, checks and rules, locks that others hold,
/// triggers again. `held` is the record that is locked.
fn pass(
    state: &mut State,
    draft: &mut Draft,
    before: Option<&Arc<Record>>,
    held: Option<String>,
    (first, last): (TriggerEvent, TriggerEvent),
    writer: &Writer,
) -> Saved<Record> {
    if state.rules.run_on(first, &draft.def.name) {
        let set = fire(state, first, &draft.def, &draft.record(), writer)?;
        draft.written.extend(set);
    }
    let record = draft.record();
    let table = state.table(&draft.def.name).ok_or_else(|| vec![no_object()])?;
    let save = checks::Save {
        table,
        record: &record,
        written: &draft.written,
        own: before.map(|before| before.id.as_str()),
        allow_duplicates: writer.allow_duplicates,
    };
    let refused = checks::check(state, &save);
    if !refused.is_empty() {
        return Err(refused);
    }
    if writer.is_api() && state.faults.row_lock() {
        return Err(vec![locked(held.as_deref())]);
    }
    if writer.is_api() {
        ordered(state)?;
    }
    fire(state, last, &draft.def, &record, writer)?;
    Ok(record)
}

/// Runs the triggers of an event.
fn fire(
    state: &State,
    event: TriggerEvent,
    def: &ObjectDef,
    record: &Record,
    writer: &Writer,
) -> Saved<Map<String, Value>> {
    let candidate = Candidate { def, record, tables: &state.tables };
    state.rules.fire(event, &candidate, writer.batch_size)
}

/// Keeps a record as it is now, with all that knows of it: the indexes, what can be taken back, events, the journal.
fn keep(
    state: &mut State,
    writer: &Writer,
    what: ChangeType,
    def: &Arc<ObjectDef>,
    before: Option<&Arc<Record>>,
    record: Record,
    written: Map<String, Value>,
) {
    if let Some(undo) = &mut state.undo {
        undo.note(&def.name, &record.id, before.cloned());
    }
    let record = Arc::new(record);
    if let Some(table) = state.table_mut(&def.name) {
        if let Some(before) = before.filter(|before| !before.deleted) {
            table.unindex(before);
        }
        if !record.deleted {
            table.index(&record);
        }
        table.records.put(record.clone());
    }
    let by = Author { user: writer.user.id(), origin: &writer.origin, transaction: writer.transaction };
    let told = before.filter(|_| what == ChangeType::Update).map(Arc::as_ref);
    let change = Change { what, before: told, after: &record };
    events::note(&mut state.events, &mut state.faults, def, &by, &change);
    state.journal.add(Kept {
        source: writer.source(),
        op: what.op(),
        object: Box::from(def.name.as_str()),
        id: record.id.clone(),
        external_id: record.lookup("External_Id__c").map(str::to_owned),
        fields: Fields::written(&written),
        request: writer.request,
        batch_size: writer.batch_size,
        at: Utc::now(),
    });
}

/// Creates or updates by a key field, which `fields` carries. The id, and whether it was created.
pub(super) fn upsert(
    state: &mut State,
    object: &str,
    key: &str,
    fields: Map<String, Value>,
    writer: &Writer,
) -> Saved<(String, bool)> {
    let table = state.table(object).ok_or_else(|| vec![no_object()])?;
    if key.eq_ignore_ascii_case("Id") {
        return upsert_by_id(state, object, fields, writer);
    }
    let Some(field) = table.def.field(key).filter(|field| field.is_id_lookup()) else {
        let message = format!("Provided external ID field does not exist or is not accessible: {key}");
        return Err(vec![Rejection::new("NOT_FOUND", message, &[]).with_status(404)]);
    };
    let given = fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(&field.name));
    let Some(value) = given.and_then(|(_, value)| field.folded(value)) else {
        let message = format!("{} not specified", field.name);
        return Err(vec![Rejection::new("MISSING_ARGUMENT", message, &[])]);
    };
    match table.ids_by(field, &value).as_slice() {
        [] => create(state, object, fields, writer).map(|id| (id, true)),
        [id] => update(state, object, id, fields, writer).map(|()| (id.clone(), false)),
        ids => Err(vec![several(field, ids)]),
    }
}

/// A key that several records have names none of them.
fn several(field: &FieldDef, ids: &[String]) -> Rejection {
    let message =
        format!("{}: more than one record found for external id field: [{}]", field.label, ids.join(", "));
    Rejection::new("DUPLICATE_EXTERNAL_ID", message, &[])
}

fn upsert_by_id(
    state: &mut State,
    object: &str,
    fields: Map<String, Value>,
    writer: &Writer,
) -> Saved<(String, bool)> {
    let id = fields.iter().find(|(name, _)| name.eq_ignore_ascii_case("Id"));
    match id.and_then(|(_, id)| id.as_str()).map(str::to_owned) {
        Some(id) => {
            update(state, object, &id, fields, writer)?;
            Ok((long_id(&id).unwrap_or(id), false))
        }
        None => create(state, object, fields, writer).map(|id| (id, true)),
    }
}

/// Deletes a record of an object: one of another object is unknown to it.
pub(super) fn delete_of(state: &mut State, object: &str, id: &str, writer: &Writer) -> Saved<String> {
    let id = existing(state, object, id)?;
    delete(state, &id, writer)
}

/// Deletes a record, whatever its object.
pub(super) fn delete(state: &mut State, id: &str, writer: &Writer) -> Saved<String> {
    let (def, record) = match state.find(id) {
        Some((table, record)) if !record.deleted => (table.def.clone(), record.clone()),
        Some(_) => return Err(vec![deleted()]),
        None => return Err(vec![unknown_id()]),
    };
    if writer.is_api() && !def.is_deletable() {
        return Err(vec![no_rights()]);
    }
    fire(state, TriggerEvent::BeforeDelete, &def, &record, writer)?;
    if writer.is_api() && state.faults.row_lock() {
        return Err(vec![locked(Some(id))]);
    }
    if writer.is_api() {
        ordered(state)?;
    }
    fire(state, TriggerEvent::AfterDelete, &def, &record, writer)?;
    let (modified, modified_by) = (Utc::now().trunc_subsecs(0), writer.user);
    let gone = Record { deleted: true, modified, modified_by, ..Record::clone(&record) };
    let id = gone.id.clone();
    keep(state, writer, ChangeType::Delete, &def, Some(&record), gone, Map::new());
    Ok(id)
}

/// Takes a deleted record out of the recycle bin.
pub(super) fn undelete(state: &mut State, object: &str, id: &str, writer: &Writer) -> Saved<()> {
    let id = long_id(id).unwrap_or_default();
    let table = state.table(object).ok_or_else(|| vec![no_object()])?;
    let Some(record) = table.records.get(&id).filter(|record| record.deleted).cloned() else {
        let message = "entity is not in the recycle bin".to_owned();
        return Err(vec![Rejection::new("UNDELETE_FAILED", message, &[])]);
    };
    let def = table.def.clone();
    fire(state, TriggerEvent::AfterUndelete, &def, &record, writer)?;
    let (modified, modified_by) = (Utc::now().trunc_subsecs(0), writer.user);
    let back = Record { deleted: false, modified, modified_by, ..Record::clone(&record) };
    keep(state, writer, ChangeType::Undelete, &def, Some(&record), back, Map::new());
    Ok(())
}

/// The values to store: names in their own spelling, parents by external id looked up, rights checked.
fn resolve(
    state: &State,
    object: &str,
    fields: Map<String, Value>,
    writer: &Writer,
) -> Saved<Map<String, Value>> {
    let table = state.table(object).ok_or_else(|| vec![no_object()])?;
    let mut written = Map::new();
    let mut denied = Vec::new();
    for (name, value) in fields {
        if name.eq_ignore_ascii_case("attributes") || name.eq_ignore_ascii_case("id") {
            continue;
        }
        let is_denied = |field: &FieldDef| field.system || (field.write_denied && writer.is_api());
        if let Some((lookup, parent)) = by_relationship(state, &table.def, &name, &value)? {
            match is_denied(lookup) {
                true => denied.push(lookup.name.clone()),
                false => drop(written.insert(lookup.name.clone(), parent)),
            }
            continue;
        }
        let Some(field) = table.def.field(&name) else {
            let message = format!("No such column '{name}' on sobject of type {object}");
            return Err(vec![Rejection::new("INVALID_FIELD", message, &[])]);
        };
        if is_denied(field) {
            denied.push(field.name.clone());
            continue;
        }
        written.insert(field.name.clone(), normalise(field, value));
    }
    if denied.is_empty() {
        return Ok(written);
    }
    Err(vec![denied_fields(&denied)])
}

fn denied_fields(denied: &[String]) -> Rejection {
    let message = format!(
        "Unable to create/update fields: {}. Please check the security settings of this field and verify that it is read/write for your profile or permission set.",
        denied.join(", ")
    );
    let names: Vec<&str> = denied.iter().map(String::as_str).collect();
    Rejection::new("INVALID_FIELD_FOR_INSERT_UPDATE", message, &names)
}

/// The lookup that a relationship's name stands for, with its parent's id; `None` when the name stands for none.
fn by_relationship<'a>(
    state: &State,
    def: &'a ObjectDef,
    name: &str,
    value: &Value,
) -> Saved<Option<(&'a FieldDef, Value)>> {
    let plain = def.relationship(name).map(|(lookup, _)| lookup);
    let lookup = plain.or_else(|| def.polymorphic(name).map(|(lookup, _)| lookup));
    let Some(lookup) = lookup else { return Ok(None) };
    let key = match value {
        Value::Null if def.field(name).is_none() => return Ok(Some((lookup, Value::Null))),
        Value::Object(key) => key,
        _ => return Ok(None),
    };
    let named = key.get("attributes").and_then(|attributes| attributes.get("type")?.as_str());
    let parent = match &lookup.kind {
        Kind::Lookup { object, .. } => Some(object),
        Kind::Polymorphic { objects, .. } => {
            objects.iter().find(|object| named.is_some_and(|named| named.eq_ignore_ascii_case(object)))
        }
        _ => None,
    };
    let Some(parent) = parent else {
        let message = format!(
            "The relationship '{name}' is polymorphic: the type of its record must be named in attributes"
        );
        return Err(vec![Rejection::new("INVALID_FIELD", message, &[])]);
    };
    Ok(Some((lookup, Value::from(parent_id(state, parent, key)?))))
}

/// `{"External_Id__c": "X"}` to the parent's id.
fn parent_id(state: &State, object: &str, key: &Map<String, Value>) -> Saved<String> {
    let found = key.iter().find(|(name, _)| *name != "attributes").and_then(|(name, value)| {
        let table = state.table(object)?;
        let field = table.def.field(name)?;
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let ids = field.folded(value).map(|key| table.ids_by(field, &key)).unwrap_or_default();
        Some((ids, field, text))
    });
    match found {
        Some((ids, field, _)) if ids.len() > 1 => Err(vec![several(field, &ids)]),
        Some((ids, ..)) if ids.len() == 1 => Ok(ids[0].clone()),
        Some((_, field, text)) => {
            let field = &field.name;
            let message = format!(
                "Foreign key external ID: {} not found for field {field} in entity {object}",
                text.to_lowercase()
            );
            Err(vec![Rejection::new("INVALID_FIELD", message, &[])])
        }
        None => Err(vec![Rejection::new(
            "INVALID_FIELD",
            format!("No such column on sobject of type {object}"),
            &[],
        )]),
    }
}

fn existing(state: &State, object: &str, id: &str) -> Saved<String> {
    let Some(long) = long_id(id) else {
        return Err(vec![Rejection::new("MALFORMED_ID", format!("malformed id {id}"), &["Id"])]);
    };
    match state.table(object).and_then(|table| table.records.get(&long)) {
        Some(record) if record.deleted => Err(vec![deleted()]),
        Some(_) => Ok(long),
        None => Err(vec![unknown_id()]),
    }
}

fn deleted() -> Rejection {
    Rejection::new("ENTITY_IS_DELETED", "entity is deleted".to_owned(), &[]).with_status(404)
}

fn unknown_id() -> Rejection {
    Rejection::new("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id".to_owned(), &[])
        .with_status(404)
}

fn locked(id: Option<&str>) -> Rejection {
    let records = id.map_or_else(String::new, |id| format!(" or 1 records: {id}"));
    let message = format!("unable to obtain exclusive access to this record{records}");
    Rejection::new("UNABLE_TO_LOCK_ROW", message, &[])
}

fn no_rights() -> Rejection {
    let message = "insufficient access rights on object id".to_owned();
    Rejection::new("INSUFFICIENT_ACCESS_OR_READONLY", message, &[]).with_status(403)
}

fn no_object() -> Rejection {
    Rejection::new("NOT_FOUND", "The requested resource does not exist".to_owned(), &[]).with_status(404)
}

/// The record that a new one locks: the first that it looks up to.
fn parent_of(def: &ObjectDef, written: &Map<String, Value>) -> Option<String> {
    let lookup = |kind: &Kind| matches!(kind, Kind::Lookup { .. } | Kind::Polymorphic { .. });
    let mut parents = def
        .fields
        .iter()
        .filter(|field| lookup(&field.kind) && !field.is_owner())
        .filter_map(|field| written.get(&field.name));
    parents.find_map(|id| id.as_str().map(str::to_owned))
}

/// Refuses the record as a fault says.
fn ordered(state: &mut State) -> Saved<()> {
    match state.faults.refusal() {
        Some(refusal) => {
            let fields: Vec<&str> = refusal.fields.iter().map(String::as_str).collect();
            Err(vec![Rejection::new(&refusal.code, refusal.message.clone(), &fields)])
        }
        None => Ok(()),
    }
}
