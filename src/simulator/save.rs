//! Saving: create, update, upsert, delete of single records, with their checks, triggers and journal.

use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{SubsecRound, Utc};
use serde_json::{Map, Value, json};

use super::checks;
use super::ids::long_id;
use super::org::{JournalEntry, State};
use super::records::Record;
use super::schema::{FieldDef, Kind};
use super::streaming::events::{self, Author, Change, ChangeType};
use super::tables::Table;
use super::values::normalise;

/// Why a record is not saved.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rejection {
    pub(super) code: String,
    pub(super) message: String,
    pub(super) fields: Vec<String>,
    /// HTTP status on the row endpoints.
    pub(super) status: u16,
    /// Object and id that a duplicate rule found.
    pub(super) duplicate_of: Option<(String, String)>,
}

impl Rejection {
    pub(super) fn new(code: &str, message: String, fields: &[&str]) -> Rejection {
        let fields = fields.iter().map(|field| (*field).to_owned()).collect();
        Rejection { code: code.to_owned(), message, fields, status: 400, duplicate_of: None }
    }

    fn with_status(self, status: u16) -> Rejection {
        Rejection { status, ..self }
    }
}

/// Who writes.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    source: &'static str,
    request: u64,
    batch_size: usize,
    /// Where it comes from, as change events tell it.
    origin: String,
    /// What all that it writes is a part of.
    transaction: u64,
}

/// The number of the next transaction, of whatever org.
static TRANSACTION: AtomicU64 = AtomicU64::new(1);

impl Writer {
    pub(super) fn api(request: u64, origin: &str, batch_size: usize) -> Writer {
        Writer { source: "api", request, batch_size, origin: origin.to_owned(), ..Writer::user() }
    }

    pub(super) fn user() -> Writer {
        let transaction = TRANSACTION.fetch_add(1, Ordering::Relaxed);
        Writer { source: "user", request: 0, batch_size: 1, origin: String::new(), transaction }
    }

    /// Whose it is: the app's user, or somebody in the org.
    fn user_id(&self) -> &'static str {
        if self.is_api() { "005sd0000000001AAA" } else { "005sd0000000002AAA" }
    }

    fn is_api(&self) -> bool {
        self.source == "api"
    }
}

pub(super) type Saved<T> = Result<T, Vec<Rejection>>;

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
    for field in table.def.fields.iter().filter(|field| field.kind == Kind::Boolean && !field.system) {
        holds.insert(field.name.clone(), Value::from(false));
    }
    let refused = checks::check(state, table, &holds, &written, None);
    if !refused.is_empty() {
        return Err(refused);
    }
    triggers(state, object, parent_of(state, object, &written), &written, writer)?;
    let now = Utc::now().trunc_subsecs(0);
    let Some(table) = state.table_mut(object) else { return Err(vec![no_object()]) };
    let id = table.records.next_id(&table.def.prefix);
    holds.extend(written.clone());
    table.def.compose(&mut holds);
    let record = Record { id: id.clone(), fields: holds, created: now, modified: now, deleted: false };
    table.index(&record);
    table.records.put(record.clone());
    let change = Change { what: ChangeType::Create, before: None, after: &record };
    tell(state, writer, object, &change);
    journal(state, writer, "create", object, &id, written);
    Ok(id)
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
    let holds = table.records.get(&id).map(|record| record.fields.clone()).unwrap_or_default();
    let refused = checks::check(state, table, &holds, &written, Some(&id));
    if !refused.is_empty() {
        return Err(refused);
    }
    let mut merged = holds;
    merged.extend(written.clone());
    triggers(state, object, Some(id.clone()), &merged, writer)?;
    let now = Utc::now().trunc_subsecs(0);
    if let Some(table) = state.table_mut(object)
        && let Some(old) = table.records.get(&id).cloned()
    {
        table.unindex(&old);
        table.def.compose(&mut merged);
        let record = Record { fields: merged, modified: now, ..Record::clone(&old) };
        table.index(&record);
        table.records.put(record.clone());
        let change = Change { what: ChangeType::Update, before: Some(&old), after: &record };
        tell(state, writer, object, &change);
    }
    journal(state, writer, "update", object, &id, written);
    Ok(())
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
    match found_by(table, field, &value).as_slice() {
        [] => create(state, object, fields, writer).map(|id| (id, true)),
        [id] => update(state, object, id, fields, writer).map(|()| (id.clone(), false)),
        ids => {
            let ids = ids.join(", ");
            let message =
                format!("{}: more than one record found for external id field: [{ids}]", field.label);
            Err(vec![Rejection::new("DUPLICATE_EXTERNAL_ID", message, &[])])
        }
    }
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

/// The records that have a value, in the form in which values are compared; more than one only where the field is not
/// unique.
pub(super) fn found_by(table: &Table, field: &FieldDef, value: &str) -> Vec<String> {
    if field.unique {
        return table.unique.get(&(field.name.clone(), value.to_owned())).into_iter().cloned().collect();
    }
    // An administrator changes fields and leaves the index as it is: it may name too many.
    let has = |id: &&String| {
        let held = table.records.get(id).and_then(|record| field.folded(record.fields.get(&field.name)?));
        held.as_deref() == Some(value)
    };
    let ids = table.shared.get(&(field.name.clone(), value.to_owned()));
    ids.into_iter().flatten().filter(has).cloned().collect()
}

/// Deletes a record of an object: one of another object is unknown to it.
pub(super) fn delete_of(state: &mut State, object: &str, id: &str, writer: &Writer) -> Saved<String> {
    let id = existing(state, object, id)?;
    delete(state, &id, writer)
}

/// Deletes a record, whatever its object.
pub(super) fn delete(state: &mut State, id: &str, writer: &Writer) -> Saved<String> {
    let object = match state.find(id) {
        Some((table, record)) if !record.deleted => table.def.name.clone(),
        Some(_) => return Err(vec![deleted()]),
        None => return Err(vec![unknown_id()]),
    };
    if writer.is_api() && state.faults.row_lock() {
        return Err(vec![locked(Some(id))]);
    }
    if writer.is_api() {
        ordered(state)?;
    }
    let id = long_id(id).unwrap_or_default();
    if let Some(table) = state.table_mut(&object)
        && let Some(record) = table.records.get(&id).cloned()
    {
        table.unindex(&record);
        let modified = Utc::now().trunc_subsecs(0);
        let gone = Record { deleted: true, modified, ..Record::clone(&record) };
        table.records.put(gone.clone());
        let change = Change { what: ChangeType::Delete, before: None, after: &gone };
        tell(state, writer, &object, &change);
    }
    journal(state, writer, "delete", &object, &id, Map::new());
    Ok(id)
}

/// Takes a deleted record out of the recycle bin.
pub(super) fn undelete(state: &mut State, object: &str, id: &str, writer: &Writer) -> Saved<()> {
    let id = long_id(id).unwrap_or_default();
    let table = state.table_mut(object).ok_or_else(|| vec![no_object()])?;
    let Some(record) = table.records.get(&id).filter(|record| record.deleted).cloned() else {
        let message = "entity is not in the recycle bin".to_owned();
        return Err(vec![Rejection::new("UNDELETE_FAILED", message, &[])]);
    };
    let back = Record { deleted: false, modified: Utc::now().trunc_subsecs(0), ..Record::clone(&record) };
    table.index(&back);
    table.records.put(back.clone());
    let change = Change { what: ChangeType::Undelete, before: None, after: &back };
    tell(state, writer, object, &change);
    journal(state, writer, "undelete", object, &id, Map::new());
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
        let relationship = || {
            let plain = table.def.relationship(&name).map(|(lookup, _)| lookup);
            plain.or_else(|| table.def.polymorphic(&name).map(|(lookup, _)| lookup))
        };
        if let (Value::Null, None, Some(lookup)) = (&value, table.def.field(&name), relationship()) {
            written.insert(lookup.name.clone(), Value::Null);
            continue;
        }
        if let (Some((lookup, parent)), Value::Object(key)) = (table.def.relationship(&name), &value) {
            written.insert(lookup.name.clone(), Value::from(parent_id(state, parent, key)?));
            continue;
        }
        if let (Some((lookup, objects)), Value::Object(key)) = (table.def.polymorphic(&name), &value) {
            let named = key.get("attributes").and_then(|attributes| attributes.get("type")?.as_str());
            let parent =
                objects.iter().find(|object| named.is_some_and(|named| named.eq_ignore_ascii_case(object)));
            let Some(parent) = parent else {
                let message = format!(
                    "The relationship '{name}' is polymorphic: the type of its record must be named in attributes"
                );
                return Err(vec![Rejection::new("INVALID_FIELD", message, &[])]);
            };
            written.insert(lookup.name.clone(), Value::from(parent_id(state, parent, key)?));
            continue;
        }
        let Some(field) = table.def.field(&name) else {
            let message = format!("No such column '{name}' on sobject of type {object}");
            return Err(vec![Rejection::new("INVALID_FIELD", message, &[])]);
        };
        if field.system || (field.write_denied && writer.is_api()) {
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

/// `{"External_Id__c": "X"}` to the parent's id.
fn parent_id(state: &State, object: &str, key: &Map<String, Value>) -> Saved<String> {
    let found = key.iter().find(|(name, _)| *name != "attributes").and_then(|(name, value)| {
        let table = state.table(object)?;
        let field = table.def.field(name)?;
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Some((
            field.folded(value).and_then(|key| table.unique.get(&(field.name.clone(), key))).cloned(),
            field.name.clone(),
            text,
        ))
    });
    match found {
        Some((Some(id), ..)) => Ok(id),
        Some((None, field, text)) => {
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

fn no_object() -> Rejection {
    Rejection::new("NOT_FOUND", "The requested resource does not exist".to_owned(), &[]).with_status(404)
}

/// The record that a new one locks: the first that it looks up to.
fn parent_of(state: &State, object: &str, written: &Map<String, Value>) -> Option<String> {
    let lookup = |kind: &Kind| matches!(kind, Kind::Lookup { .. } | Kind::Polymorphic { .. });
    let fields = &state.table(object)?.def.fields;
    let mut parents =
        fields.iter().filter(|field| lookup(&field.kind)).filter_map(|field| written.get(&field.name));
    parents.find_map(|id| id.as_str().map(str::to_owned))
}

/// What runs in the org when a record is saved: locks that others hold, and the trigger on cases, which uses up its
/// CPU time on heavy ones in large batches, and on runaway ones always.
fn triggers(
    state: &mut State,
    object: &str,
    held: Option<String>,
    record: &Map<String, Value>,
    writer: &Writer,
) -> Saved<()> {
    if !writer.is_api() {
        return Ok(());
    }
    if state.faults.row_lock() {
        return Err(vec![locked(held.as_deref())]);
    }
    ordered(state)?;
    let text = |field: &str| record.get(field).and_then(Value::as_str).unwrap_or("");
    let heavy = text("Description").contains("[heavy]") && writer.batch_size > 10;
    if object == "Case" && (heavy || text("Subject").contains("[runaway]")) {
        let message = "CaseTrigger: System.LimitException: Apex CPU time limit exceeded".to_owned();
        return Err(vec![Rejection::new("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", message, &[])]);
    }
    Ok(())
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

/// Tells of a change those who listen.
fn tell(state: &mut State, writer: &Writer, object: &str, change: &Change<'_>) {
    let Some(def) = state.table(object).map(|table| table.def.clone()) else { return };
    let by = Author { user: writer.user_id(), origin: &writer.origin, transaction: writer.transaction };
    events::note(&mut state.events, &mut state.faults, &def, &by, change);
}

fn journal(
    state: &mut State,
    writer: &Writer,
    op: &'static str,
    object: &str,
    id: &str,
    fields: Map<String, Value>,
) {
    let external_id = state
        .table(object)
        .and_then(|table| table.records.get(id))
        .and_then(|record| record.fields.get("External_Id__c"))
        .and_then(Value::as_str)
        .map(str::to_owned);
    let object = state.table(object).map_or_else(|| object.to_owned(), |table| table.def.name.clone());
    state.journal.push(JournalEntry {
        seq: state.journal.len() as u64 + 1,
        at: Utc::now(),
        source: writer.source,
        op,
        object,
        id: id.to_owned(),
        external_id,
        fields,
        request: writer.request,
        batch_size: writer.batch_size,
    });
}

/// The `errors` of a collection's result.
pub(super) fn collection_errors(rejections: &[Rejection]) -> Value {
    rejections
        .iter()
        .map(|rejection| json!({"statusCode": rejection.code, "message": rejection.message, "fields": rejection.fields}))
        .collect()
}
