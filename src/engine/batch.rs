//! From claimed units to calls: what each unit wants, and which go together. Pure.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::domain::field::Field;
use crate::domain::fold::{Action, Entry, Folded, Operation, fold, named_after};
use crate::domain::hstore::Hstore;
use crate::domain::key::Key;
use crate::domain::lost::first_upto;
use crate::domain::mapping::{Access, Mapping};
use crate::domain::outgoing::{LeftOut, Op, Refusal, outgoing_by};
use crate::domain::strategy::Strategy;
use crate::postgres::queue::{Claimed, Content, Contested, KEPT_OUT};
use crate::salesforce::collections::MAX_RECORDS;

/// The call that a unit needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Call {
    /// By external id: safe to send again.
    Upsert,
    /// A plain insert: not safe to send again.
    Create,
    /// By Id.
    Update,
    /// By Id.
    Delete,
}

/// One unit, folded and ready to be sent.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) unit: Claimed,
    pub(super) call: Call,
    /// `insert`, `update`, `delete`: what the application did.
    pub(super) op: &'static str,
    /// Columns to send.
    pub(super) patch: Hstore,
    /// The record's id, for updates and deletes.
    pub(super) sfid: Option<String>,
    /// The key, for upserts.
    pub(super) key: Option<Key>,
    pub(super) upto: i64,
    /// Its oldest entry; what comes in order comes by these.
    pub(super) first: i64,
    /// When that was captured: it cannot have been sent before.
    pub(super) captured_at: DateTime<Utc>,
    /// What stays behind by the mapping's rules.
    pub(super) left_out: Vec<LeftOut>,
    /// Whether a reference is left out that can only be set once the record is there.
    pub(super) begins: bool,
}

impl Job {
    /// A job that sends no values.
    pub(super) fn bare(unit: Claimed, call: Call, op: &'static str, sfid: Option<String>, upto: i64) -> Job {
        Job {
            unit,
            call,
            op,
            patch: Hstore::new(),
            sfid,
            key: None,
            upto,
            first: upto,
            captured_at: DateTime::UNIX_EPOCH,
            left_out: Vec::new(),
            begins: false,
        }
    }
}

/// What a unit comes to.
#[derive(Debug)]
pub(super) enum Planned {
    /// A call.
    Send(Box<Job>),
    /// Nothing to send, and why.
    Nothing { upto: i64, op: &'static str, reason: &'static str },
    /// It is not sent: what is certain to be refused.
    Refused { upto: i64, op: &'static str, patch: Hstore, refusal: Refusal },
}

/// Folds a unit's entries into the call it needs, by the mapping's rules.
pub(super) fn plan(mapping: &Mapping, unit: &Claimed, content: &Content) -> Planned {
    let mut planned = folded(mapping, unit, content);
    if let (Planned::Send(job), Some(first)) = (&mut planned, content.entries.first()) {
        (job.first, job.captured_at) = (first.id, first.captured_at);
    }
    planned
}

fn folded(mapping: &Mapping, unit: &Claimed, content: &Content) -> Planned {
    let upto = content.entries.iter().map(|entry| entry.id).max().unwrap_or(0);
    let nothing = |reason| Planned::Nothing { upto, op: "update", reason };
    if mapping.access == Access::ReadOnly {
        return nothing("the mapping is read-only");
    }
    let sfid = known_record(unit, content);
    let entries: Vec<Entry> =
        content.entries.iter().map(|entry| without_lost(entry, &content.conflicts)).collect();
    let Folded { mut operation, .. } = fold(&entries, sfid.is_some());
    if operation == Operation::Nothing && unit.lost > 0 {
        // Inserted and deleted again, but an answer was lost in between: the record may be there, under its key.
        let inserted = content.entries.iter().rev().find(|entry| entry.action == Action::Insert);
        let column = mapping.external_id_column();
        let key = inserted.and_then(|entry| entry.values.get(column.as_ref()?).cloned().flatten());
        let key = key.and_then(|key| Key::of(mapping.external_id_field()?, &key));
        if key.is_some() {
            return Planned::Send(Box::new(Job {
                key,
                ..Job::bare(unit.clone(), Call::Delete, "delete", None, upto)
            }));
        }
        if inserted.is_some() {
            let message = "the row was deleted after its insert without an external id had lost its answer: Salesforce \
                may have the record. Look for it there; retry gives it up";
            let refusal =
                Refusal { code: "OUTCOME_UNKNOWN", message: message.to_owned(), fields: Vec::new() };
            return Planned::Refused { upto, op: "delete", patch: Hstore::new(), refusal };
        }
    }
    if content.stays_out && operation != Operation::Delete {
        return nothing(KEPT_OUT);
    }
    // A change of a row without a record makes no record by itself.
    if let (Operation::Update(patch), Some(whole)) = (&operation, &content.whole)
        && sfid.is_none()
    {
        let mut values = whole.clone();
        values.extend(patch.clone());
        operation = Operation::Insert(values);
    }
    if matches!(operation, Operation::Update(_)) && sfid.is_none() {
        return nothing("the row is gone, and Salesforce never had it");
    }
    // A row that goes leaves nothing to choose.
    if matches!(operation, Operation::Insert(_) | Operation::Update(_))
        && let Some(refusal) = undecided(mapping, content)
    {
        return Planned::Refused { upto, op: "update", patch: Hstore::new(), refusal };
    }
    match operation {
        Operation::Nothing => nothing("nothing to send"),
        Operation::Delete if mapping.rules.ignore_deletes.postgres => nothing(IGNORED_DELETE),
        Operation::Delete => {
            let key = key_of(mapping, &Hstore::new(), content);
            Planned::Send(Box::new(Job {
                key,
                ..Job::bare(unit.clone(), Call::Delete, "delete", sfid, upto)
            }))
        }
        Operation::Insert(values) => change(mapping, unit, content, "insert", &values, sfid, upto),
        Operation::Update(values) => change(mapping, unit, content, "update", &values, sfid, upto),
    }
}

/// Why a row's delete was not passed on.
pub(super) const IGNORED_DELETE: &str = "deletes are ignored";

/// The record of a unit, as far as anybody knows it; one that is gone counts for nothing.
fn known_record(unit: &Claimed, content: &Content) -> Option<String> {
    let logged = content.entries.iter().rev().find_map(|entry| entry.sfid.clone());
    unit.sfid.clone().or_else(|| content.sfid.clone()).or(logged).filter(|_| !unit.recreate)
}

/// An insert or update, its values by the mapping's rules.
fn change(
    mapping: &Mapping,
    unit: &Claimed,
    content: &Content,
    op: &'static str,
    values: &Hstore,
    sfid: Option<String>,
    upto: i64,
) -> Planned {
    let later = named_after(&content.entries, first_upto(&content.entries, unit.first_upto));
    let inserted = content.entries.iter().any(|entry| entry.action == Action::Insert);
    let how = |column: &str| match (op, later.contains(column)) {
        ("insert", true) if unit.lost > 0 => Op::InsertAgain,
        ("insert", _) => Op::Insert,
        (_, false) if inserted => Op::Into,
        _ => Op::Update,
    };
    let (mut patch, left_out) = match outgoing_by(mapping, values, how) {
        Ok(outgoing) => (outgoing.values, outgoing.left_out),
        Err(refusal) => return Planned::Refused { upto, op, patch: values.clone(), refusal },
    };
    let key = key_of(mapping, &patch, content).filter(|_| mapping.rules.upsert);
    let call = match (&sfid, &key) {
        (Some(_), _) => Call::Update,
        (None, Some(_)) => Call::Upsert,
        (None, None) => Call::Create,
    };
    if op == "update" && patch.is_empty() {
        let reason = "none of the changed columns is sent to Salesforce";
        return Planned::Nothing { upto, op: "update", reason };
    }
    if let (Call::Upsert, Some(column), Some(key)) = (call, mapping.external_id_column(), &key) {
        patch.insert(column, Some(key.text.clone()));
    }
    Planned::Send(Box::new(Job { patch, key, left_out, ..Job::bare(unit.clone(), call, op, sfid, upto) }))
}

/// Whether the first send of a new record has to be noted before it goes out.
pub(super) fn is_to_be_noted(job: &Job, content: &Content) -> bool {
    let first = matches!(job.call, Call::Upsert | Call::Create) && job.unit.lost == 0;
    first && (content.entries.len() > 1 || content.whole.is_some() || job.unit.first_upto.is_some())
}

/// The row's external id: as it is sent, else as it stands.
fn key_of(mapping: &Mapping, patch: &Hstore, content: &Content) -> Option<Key> {
    let sent = patch.get(&mapping.external_id_column()?).cloned().flatten();
    Key::of(mapping.external_id_field()?, &sent.or_else(|| content.external_id.clone())?)
}

/// An entry without the values that lost against the record's.
fn without_lost(entry: &Entry, conflicts: &[Contested]) -> Entry {
    let mut entry = entry.clone();
    for lost in conflicts.iter().filter(|conflict| !conflict.undecided && entry.id <= conflict.upto) {
        entry.values.remove(&lost.column);
    }
    entry
}

/// The conflict that a person has to decide before the row goes.
fn undecided(mapping: &Mapping, content: &Content) -> Option<Refusal> {
    let open: Vec<&Contested> = content.conflicts.iter().filter(|conflict| conflict.undecided).collect();
    let names: Vec<String> = open
        .iter()
        .filter(|conflict| content.entries.iter().any(|entry| entry.values.contains_key(&conflict.column)))
        .map(|conflict| {
            mapping.field(&conflict.column).map_or(conflict.column.clone(), |field| field.name.clone())
        })
        .collect();
    let message = format!("changed here and in Salesforce: {}", names.join(", "));
    (!names.is_empty()).then_some(Refusal { code: "CONFLICT", message, fields: names })
}

/// The most bytes of JSON in one call, but for one record that has more by itself. Salesforce takes 50 MB.
const CALL_BYTES: usize = 8 << 20;

/// Puts jobs of one mapping into calls: of one kind, no external id twice in a call, of bounded length, and smaller the
/// more often a record lost its answer or was rejected for a passing reason, down to one.
pub(super) fn calls(mapping: &Mapping, mut jobs: Vec<Job>) -> Vec<Vec<Job>> {
    if mapping.rules.strategy == Strategy::FailFast {
        return calls_in_order(mapping, jobs);
    }
    // Children of one parent side by side: in two calls at once they would wait for each other's lock on it.
    let lookups: Vec<&Field> = mapping.fields.iter().filter(|field| !field.reference_to.is_empty()).collect();
    let parents =
        lookups.iter().map(|field| &field.column).chain(mapping.parents.iter().map(|parent| &parent.column));
    let parents: Vec<&String> = parents.collect();
    jobs.sort_by_cached_key(|job| {
        parents.iter().map(|column| job.patch.get(*column).cloned().flatten()).collect::<Vec<_>>()
    });
    let mut groups: BTreeMap<(Call, usize), Vec<Weighed>> = BTreeMap::new();
    for job in jobs {
        let size = call_size(&job.unit, mapping.rules.batch_size);
        let bytes = json_bytes(&job.patch);
        let group = groups.entry((job.call, size)).or_default();
        let fits = |(held, call): &Weighed| {
            call.len() < size
                && held + bytes <= CALL_BYTES
                && (job.key.is_none() || call.iter().all(|other| other.key != job.key))
        };
        // The last call takes it, unless full or holding its key; then a new one begins.
        match group.last_mut().filter(|last| fits(last)) {
            Some((held, call)) => {
                *held += bytes;
                call.push(job);
            }
            None => group.push((bytes, vec![job])),
        }
    }
    groups.into_values().flatten().map(|(_, call)| call).collect()
}

/// The jobs of a call, and how many bytes they are.
type Weighed = (usize, Vec<Job>);

/// How long a record is as JSON, roughly: with its names, and with what is escaped.
fn json_bytes(patch: &Hstore) -> usize {
    let escaped = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
        ..b' ' => 6,
        _ => 1,
    };
    let value = |text: &Option<String>| text.iter().flat_map(|text| text.bytes()).map(escaped).sum::<usize>();
    patch.iter().map(|(column, text)| column.len() + value(text) + 8).sum()
}

/// The same in the order in which the records changed: where the first error stops the rest, nothing that came later may
/// have gone before it.
fn calls_in_order(mapping: &Mapping, mut jobs: Vec<Job>) -> Vec<Vec<Job>> {
    jobs.sort_by_key(|job| job.first);
    let mut calls: Vec<Vec<Job>> = Vec::new();
    let most = mapping.rules.batch_size;
    for job in jobs {
        let fits = |call: &Vec<Job>| {
            let all = call.iter().chain([&job]);
            let size = all.map(|one| call_size(&one.unit, most)).min().unwrap_or(most);
            call.len() < size
                && call[0].call == job.call
                && (job.key.is_none() || call.iter().all(|other| other.key != job.key))
        };
        match calls.last_mut().filter(|call| fits(call)) {
            Some(call) => call.push(job),
            None => calls.push(vec![job]),
        }
    }
    calls
}

/// Halved with each lost answer, quartered with each rejection that may pass.
fn call_size(unit: &Claimed, most: usize) -> usize {
    let shift = unit.lost.max(0) as u32 + 2 * unit.attempts.max(0) as u32;
    most.min(MAX_RECORDS).checked_shr(shift).unwrap_or(0).max(1)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::domain::field::FieldType;
    use crate::domain::names::RowId;
    use crate::domain::rules::Rules;

    fn mapping(external_id: Option<&str>) -> Mapping {
        let field = |name: &str| {
            let writable = name != "CreatedDate";
            Field { createable: writable, updateable: writable, ..Field::plain(name, FieldType::String) }
        };
        Mapping {
            object: "Contact".to_owned(),
            table: "contact".to_owned(),
            access: Access::ReadWrite,
            external_id: external_id.map(str::to_owned),
            rules: Rules::default(),
            fields: ["LastName", "CreatedDate", "Key__c"].map(field).to_vec(),
            parents: Vec::new(),
            gone: false,
            system: Default::default(),
        }
    }

    fn unit(row: i32) -> Claimed {
        Claimed {
            table: "contact".to_owned(),
            row: RowId(row),
            version: 1,
            attempts: 0,
            lost: 0,
            lost_alone: 0,
            sfid: None,
            recreate: false,
            first_upto: None,
        }
    }

    fn content(action: Action, values: &[(&str, &str)], sfid: Option<&str>) -> Content {
        let values = values.iter().map(|(k, v)| ((*k).to_owned(), Some((*v).to_owned()))).collect();
        let entry = Entry { id: 7, action, sfid: None, old: None, values, captured_at: DateTime::UNIX_EPOCH };
        Content { entries: vec![entry], sfid: sfid.map(str::to_owned), ..Content::default() }
    }

    fn job(planned: Planned) -> Job {
        match planned {
            Planned::Send(job) => *job,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_insert_goes_by_its_key_and_without_one_as_it_is() {
        let values = [("lastname", "Lovelace"), ("createddate", "x"), ("key__c", "K1"), ("unmapped", "y")];
        let upsert = job(plan(&mapping(Some("Key__c")), &unit(1), &content(Action::Insert, &values, None)));
        assert_eq!(
            (upsert.call, upsert.op, upsert.key.unwrap().text.as_str()),
            (Call::Upsert, "insert", "K1")
        );
        assert_eq!(upsert.patch.keys().collect::<Vec<_>>(), ["key__c", "lastname"]);
        let create = job(plan(&mapping(None), &unit(1), &content(Action::Insert, &values, None)));
        assert_eq!(create.call, Call::Create);
        let known =
            job(plan(&mapping(Some("Key__c")), &unit(1), &content(Action::Insert, &values, Some("003"))));
        assert_eq!((known.call, known.sfid.as_deref()), (Call::Update, Some("003")));
    }

    #[test]
    fn a_change_of_a_row_without_a_record_takes_the_whole_row_with_it() {
        let mut change = content(Action::Update, &[("lastname", "New")], None);
        let whole = [("lastname", Some("Old")), ("key__c", Some("K1"))];
        change.whole =
            Some(whole.map(|(column, value)| (column.to_owned(), value.map(str::to_owned))).into());
        let upsert = job(plan(&mapping(Some("Key__c")), &unit(1), &change));
        assert_eq!(
            (upsert.call, upsert.op, upsert.patch["lastname"].as_deref()),
            (Call::Upsert, "insert", Some("New"))
        );
        let gone = Claimed { recreate: true, ..unit(1) };
        change.sfid = Some("003".to_owned());
        let again = job(plan(&mapping(None), &gone, &change));
        assert_eq!((again.call, again.sfid), (Call::Create, None));
        change.stays_out = true;
        assert!(matches!(plan(&mapping(None), &gone, &change), Planned::Nothing { .. }));
    }

    #[test]
    fn a_new_record_goes_again_with_what_it_carried_and_what_changed_since() {
        let entry = |id, action, values: &[(&str, Option<&str>)]| Entry {
            id,
            action,
            sfid: None,
            old: None,
            values: values.iter().map(|(k, v)| ((*k).to_owned(), v.map(str::to_owned))).collect(),
            captured_at: DateTime::UNIX_EPOCH,
        };
        let entries = vec![
            entry(
                1,
                Action::Insert,
                &[("lastname", Some("A")), ("key__c", Some("K")), ("createddate", None)],
            ),
            entry(2, Action::Update, &[("lastname", None)]),
        ];
        let content = Content { entries, ..Content::default() };
        let named = |unit: &Claimed, sfid: Option<&str>| {
            let content = Content { sfid: sfid.map(str::to_owned), ..content.clone() };
            let job = job(plan(&mapping(Some("Key__c")), unit, &content));
            job.patch.into_keys().collect::<Vec<_>>()
        };
        let lost = Claimed { lost: 1, ..unit(1) };
        assert_eq!(named(&unit(1), None), ["key__c"]);
        // The engine died with the insert alone in its hands, or with both.
        assert_eq!(named(&lost, None), ["key__c", "lastname"]);
        assert_eq!(named(&Claimed { first_upto: Some(2), ..lost.clone() }, None), ["key__c"]);
        // Into a record that is there by now, the same way.
        assert_eq!(named(&lost, Some("003")), ["key__c", "lastname"]);
        assert_eq!(named(&Claimed { first_upto: Some(2), ..lost }, Some("003")), ["key__c"]);
    }

    #[test]
    fn where_the_first_error_stops_the_rest_calls_go_in_the_order_of_the_changes() {
        let mut own = mapping(Some("Key__c"));
        own.rules.set("strategy", "fail_fast").unwrap();
        let of = |row: i32, id, sfid: Option<&str>| {
            let action = if sfid.is_some() { Action::Update } else { Action::Insert };
            let key = format!("K{row}");
            let mut content = content(action, &[("lastname", "A"), ("key__c", &key)], sfid);
            content.entries[0].id = id;
            job(plan(&own, &unit(row), &content))
        };
        let jobs = vec![of(4, 9, None), of(3, 7, Some("003")), of(2, 6, None), of(1, 5, None)];
        let rows = calls(&own, jobs);
        let rows: Vec<Vec<i32>> =
            rows.iter().map(|call| call.iter().map(|job| job.unit.row.0).collect()).collect();
        assert_eq!(rows, [vec![1, 2], vec![3], vec![4]]);
    }

    #[test]
    fn a_value_that_lost_against_the_record_is_not_sent_and_an_undecided_one_waits() {
        let mut change = content(Action::Update, &[("lastname", "Ours"), ("key__c", "K2")], Some("003"));
        let contested = |upto, undecided| Contested { column: "lastname".to_owned(), upto, undecided };
        change.conflicts = vec![contested(7, false)];
        assert_eq!(job(plan(&mapping(None), &unit(1), &change)).patch.keys().collect::<Vec<_>>(), ["key__c"]);
        change.conflicts = vec![contested(6, false)];
        assert_eq!(job(plan(&mapping(None), &unit(1), &change)).patch.len(), 2);
        change.conflicts = vec![contested(6, true)];
        let Planned::Refused { refusal, .. } = plan(&mapping(None), &unit(1), &change) else { panic!() };
        assert_eq!((refusal.code, refusal.fields), ("CONFLICT", vec!["LastName".to_owned()]));
    }

    #[test]
    fn deletes_and_upserts_are_what_the_rules_say() {
        let mut own = mapping(Some("Key__c"));
        own.rules.set("upsert", "false").unwrap();
        own.rules.set("ignore_deletes", "postgres").unwrap();
        let insert = content(Action::Insert, &[("key__c", "K1")], None);
        assert_eq!(job(plan(&own, &unit(1), &insert)).call, Call::Create);
        let delete = content(Action::Delete, &[], Some("003"));
        assert!(matches!(plan(&own, &unit(1), &delete), Planned::Nothing { reason: IGNORED_DELETE, .. }));
        own.rules.set("batch_size", "10").unwrap();
        let many = (0..25).map(|row| job(plan(&own, &unit(row), &insert))).collect();
        assert!(calls(&own, many).iter().all(|call| call.len() <= 10));
    }

    #[test]
    fn a_change_of_columns_that_cannot_be_written_needs_no_send() {
        let planned =
            plan(&mapping(None), &unit(1), &content(Action::Update, &[("createddate", "x")], Some("003")));
        assert!(matches!(planned, Planned::Nothing { .. }));
    }

    #[test]
    fn two_rows_with_one_key_never_share_a_call_and_troubled_ones_go_in_small_calls() {
        let same = |row| {
            job(plan(
                &mapping(Some("Key__c")),
                &unit(row),
                &content(Action::Insert, &[("key__c", "K")], None),
            ))
        };
        assert_eq!(calls(&mapping(Some("Key__c")), vec![same(1), same(2)]).len(), 2);
        let padded = content(Action::Insert, &[("key__c", "k ")], None);
        let padded = job(plan(&mapping(Some("Key__c")), &unit(3), &padded));
        assert_eq!(calls(&mapping(Some("Key__c")), vec![same(1), padded]).len(), 2);
        let mut many: Vec<Job> = (0..500)
            .map(|row| {
                job(plan(&mapping(None), &unit(row), &content(Action::Insert, &[("lastname", "A")], None)))
            })
            .collect();
        assert_eq!(
            calls(&mapping(None), many.clone()).iter().map(Vec::len).collect::<Vec<_>>(),
            [200, 200, 100]
        );
        for job in &mut many {
            job.unit.lost = 8;
        }
        assert_eq!(calls(&mapping(None), many).len(), 500);
    }

    #[test]
    fn calls_are_bounded_by_their_bytes_and_a_record_beyond_that_goes_alone() {
        let sized = |row, text: &str| {
            job(plan(&mapping(None), &unit(row), &content(Action::Insert, &[("lastname", text)], None)))
        };
        let mb = "x".repeat(1 << 20);
        let many = (0..20).map(|row| sized(row, &mb)).collect();
        assert_eq!(calls(&mapping(None), many).iter().map(Vec::len).collect::<Vec<_>>(), [7, 7, 6]);
        let ten = "x".repeat(10 << 20);
        let huge = vec![sized(1, "small"), sized(2, &ten), sized(3, "small")];
        assert_eq!(calls(&mapping(None), huge).iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1]);
        // Each of these takes six bytes.
        let controls = "\u{1}".repeat(1 << 20);
        assert_eq!(calls(&mapping(None), vec![sized(1, &controls), sized(2, &controls)]).len(), 2);
    }
}
