//! From a claimed unit to the call that it needs: what became of its changes, by the mapping's rules. Pure.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use crate::domain::changes::coalesce::{Coalesced, Entry, NetChange, WriteKind, coalesce, named_after};
use crate::domain::changes::lost::first_upto;
use crate::domain::changes::outgoing::{FieldRefusal, LeftOut, outgoing_by};
use crate::domain::mappings::field::Op;
use crate::domain::mappings::mapping::{Access, Mapping};
use crate::domain::names::{RowId, RowRef};
use crate::domain::values::hstore::Hstore;
use crate::domain::values::key::Key;

/// Why a change is not sent while the mapping's condition does not hold for its row; so it is archived, too.
pub const KEPT_OUT: &str = "the mapping's condition keeps the row out";

/// A unit that this engine holds, under the token of its claim.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Claimed {
    /// Table.
    #[serde(rename = "table_name")]
    pub table: String,
    /// Row.
    #[serde(rename = "record_id")]
    pub row: RowId,
    /// The version it was read at.
    pub version: i64,
    /// Rejections so far.
    pub attempts: i32,
    /// Answers lost so far, in any batch and in a batch of one.
    pub lost: i32,
    /// See `lost`.
    pub lost_alone: i32,
    /// The record's id when the unit knows it and the row does not yet.
    pub sfid: Option<String>,
    /// Whether the record is gone and is to be created again from the whole row.
    pub recreate: bool,
    /// The newest entry of its first send as a new record, where that is noted: the answer may have been lost.
    pub first_upto: Option<i64>,
    /// When it was claimed, by the server's clock.
    #[serde(default)]
    pub claimed_at: DateTime<Utc>,
}

impl Claimed {
    /// The row.
    pub fn row(&self) -> RowRef {
        RowRef { table: self.table.clone(), row: self.row }
    }
}

/// What a unit is about, read after the claim.
#[derive(Clone, Debug, Default)]
pub struct Content {
    /// Its unsent entries, in id order.
    pub entries: Vec<Entry>,
    /// The row's current `sfid` and external id, while the row exists.
    pub sfid: Option<String>,
    /// See `sfid`.
    pub external_id: Option<String>,
    /// The whole row, where its changes alone make no record.
    pub whole: Option<Hstore>,
    /// Whether the mapping's condition keeps the row out.
    pub stays_out: bool,
    /// Entries that cannot be read: they are set aside, and nothing waits for them.
    pub unreadable: Vec<Misfit>,
    /// Columns that changed on both sides.
    pub conflicts: Vec<Contested>,
}

/// A column that changed on both sides, and on which the row's side did not win.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contested {
    /// The column.
    pub column: String,
    /// The newest change of the row's side that it is about.
    pub upto: i64,
    /// Whether a person still has to choose; otherwise the record's value won.
    pub undecided: bool,
}

/// An entry that fits nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// Its id.
    pub entry: i32,
    /// Why.
    pub why: Why,
}

/// Why an entry fits nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It names no row.
    NoRow,
    /// It does not say what was done.
    NoAction,
    /// What was done is nothing that is known.
    Action(String),
    /// It names no table.
    NoTable,
    /// There is no such table.
    Table(String),
    /// Its state is none of Heroku Connect's.
    State(Option<String>),
    /// Its values are no hstore, as the reader of them says.
    Values(String),
}

impl Why {
    /// What is wrong with an action that is none.
    pub fn of_action(action: Option<&str>) -> Why {
        match action.filter(|action| !action.is_empty()) {
            None => Why::NoAction,
            Some(action) => Why::Action(action.to_owned()),
        }
    }

    /// In words.
    pub fn text(&self) -> String {
        match self {
            Why::NoRow => "it names no row (record_id is NULL)".to_owned(),
            Why::NoAction => "it does not say what was done (action is NULL)".to_owned(),
            Why::Action(action) => format!("its action is {action:?}, not INSERT, UPDATE or DELETE"),
            Why::NoTable => "it names no table (table_name is NULL)".to_owned(),
            Why::Table(table) => format!("there is no table {table:?}"),
            Why::State(None) => "it has no state".to_owned(),
            Why::State(Some(state)) => format!("its state is {state:?}, which nothing knows"),
            Why::Values(why) => format!("its values cannot be read: {why}"),
        }
    }
}

/// The call that a unit needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// By external id: safe to send again.
    Upsert,
    /// A plain insert: not safe to send again.
    Create,
    /// By Id.
    Update,
    /// By Id.
    Delete,
}

/// One unit, coalesced and ready to be sent.
#[derive(Clone, Debug)]
pub struct Job {
    /// The unit.
    pub unit: Claimed,
    /// How it goes.
    pub call: Call,
    /// `insert`, `update`, `delete`: what the application did.
    pub op: &'static str,
    /// Columns to send.
    pub patch: Hstore,
    /// The record's id, for updates and deletes.
    pub sfid: Option<String>,
    /// The key, for upserts.
    pub key: Option<Key>,
    /// Its newest entry.
    pub upto: i64,
    /// Its oldest entry; what comes in order comes by these.
    pub first: i64,
    /// When that was captured: it cannot have been sent before.
    pub captured_at: DateTime<Utc>,
    /// What stays behind by the mapping's rules.
    pub left_out: Vec<LeftOut>,
    /// Whether a reference is left out that can only be set once the record is there.
    pub begins: bool,
    /// Whether the row was inserted since its record was made: it gets a new one, should that be gone.
    pub reborn: bool,
}

impl Job {
    /// A job that sends no values.
    pub fn bare(unit: Claimed, call: Call, op: &'static str, sfid: Option<String>, upto: i64) -> Job {
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
            reborn: false,
        }
    }
}

/// What a unit comes to.
#[derive(Debug)]
pub enum Planned {
    /// A call.
    Send(Box<Job>),
    /// Nothing to send.
    Nothing {
        /// Its newest entry.
        upto: i64,
        /// What the application did.
        op: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// It is not sent: what is certain to be refused.
    Refused {
        /// Its newest entry.
        upto: i64,
        /// What the application did.
        op: &'static str,
        /// What it would have sent.
        patch: Hstore,
        /// Why not.
        refusal: FieldRefusal,
    },
}

/// Coalesces a unit's entries into the call it needs, by the mapping's rules.
pub fn plan(mapping: &Mapping, unit: &Claimed, content: &Content) -> Planned {
    let mut planned = coalesced(mapping, unit, content);
    if let (Planned::Send(job), Some(first)) = (&mut planned, content.entries.first()) {
        (job.first, job.captured_at) = (first.id, first.captured_at);
    }
    planned
}

fn coalesced(mapping: &Mapping, unit: &Claimed, content: &Content) -> Planned {
    let upto = content.entries.iter().map(|entry| entry.id).max().unwrap_or(0);
    let nothing = |reason| Planned::Nothing { upto, op: "update", reason };
    if mapping.access == Access::ReadOnly {
        return nothing("the mapping is read-only");
    }
    let sfid = known_record(unit, content);
    if content.entries.is_empty() {
        return match unit.lost > 0 && sfid.is_none() {
            true => Planned::Refused { upto, op: "insert", patch: Hstore::new(), refusal: in_doubt() },
            false => nothing(NONE_LEFT),
        };
    }
    let entries: Vec<Entry> =
        content.entries.iter().map(|entry| without_lost(entry, &content.conflicts)).collect();
    let Coalesced { mut change, .. } = coalesce(&entries, sfid.is_some());
    if change == NetChange::Nothing && unit.lost > 0 {
        // Inserted and deleted again, but an answer was lost in between: the record may be there, under its key.
        let inserted = content.entries.iter().rev().find(|entry| entry.action == WriteKind::Insert);
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
                FieldRefusal { code: "OUTCOME_UNKNOWN", message: message.to_owned(), fields: Vec::new() };
            return Planned::Refused { upto, op: "delete", patch: Hstore::new(), refusal };
        }
    }
    if content.stays_out && change != NetChange::Delete {
        return nothing(KEPT_OUT);
    }
    // A change of a row without a record makes no record by itself.
    if let (NetChange::Update(patch), Some(whole)) = (&change, &content.whole)
        && sfid.is_none()
    {
        let mut values = whole.clone();
        values.extend(patch.clone());
        change = NetChange::Insert(values);
    }
    if matches!(change, NetChange::Update(_)) && sfid.is_none() {
        return nothing("the row is gone, and Salesforce never had it");
    }
    // A row that goes leaves nothing to choose.
    if matches!(change, NetChange::Insert(_) | NetChange::Update(_))
        && let Some(refusal) = undecided(mapping, content)
    {
        return Planned::Refused { upto, op: "update", patch: Hstore::new(), refusal };
    }
    match change {
        NetChange::Nothing => nothing("nothing to send"),
        NetChange::Delete if mapping.rules.ignore_deletes.postgres => nothing(IGNORED_DELETE),
        NetChange::Delete => {
            let key = key_of(mapping, &Hstore::new(), content);
            Planned::Send(Box::new(Job {
                key,
                ..Job::bare(unit.clone(), Call::Delete, "delete", sfid, upto)
            }))
        }
        NetChange::Insert(values) => send_change(mapping, unit, content, "insert", &values, sfid, upto),
        NetChange::Update(values) => send_change(mapping, unit, content, "update", &values, sfid, upto),
    }
}

/// Why nothing is sent of a record whose changes somebody took out of the queue by hand.
pub const NONE_LEFT: &str = "no change of it is left in _trigger_log";
/// Why nothing was sent of a change of columns that Salesforce alone sets.
pub const NONE_SENT: &str = "none of the changed columns is sent to Salesforce";
/// Why a row's delete was not passed on.
pub const IGNORED_DELETE: &str = "deletes are ignored";

/// Why a row is not done with whose changes somebody took out of the queue after an answer was lost.
fn in_doubt() -> FieldRefusal {
    let message = "its changes are no longer unsent in _trigger_log, but an answer to them was lost: Salesforce may have the \
        record. Look for it there, and link the row to it";
    FieldRefusal { code: "OUTCOME_UNKNOWN", message: message.to_owned(), fields: Vec::new() }
}

/// The record of a unit, as far as anybody knows it; one that is gone counts for nothing.
fn known_record(unit: &Claimed, content: &Content) -> Option<String> {
    let logged = content.entries.iter().rev().find_map(|entry| entry.sfid.clone());
    unit.sfid.clone().or_else(|| content.sfid.clone()).or(logged).filter(|_| !unit.recreate)
}

/// An insert or update, its values by the mapping's rules.
fn send_change(
    mapping: &Mapping,
    unit: &Claimed,
    content: &Content,
    op: &'static str,
    values: &Hstore,
    sfid: Option<String>,
    upto: i64,
) -> Planned {
    let later = named_after(&content.entries, first_upto(&content.entries, unit.first_upto));
    let inserted = content.entries.iter().any(|entry| entry.action == WriteKind::Insert);
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
        return Planned::Nothing { upto, op: "update", reason: NONE_SENT };
    }
    if let (Call::Upsert, Some(column), Some(key)) = (call, mapping.external_id_column(), &key) {
        patch.insert(column, Some(key.text.clone()));
    }
    // A unit's own id is that of a record which it made itself.
    let reborn = inserted && call == Call::Update && unit.sfid.is_none();
    Planned::Send(Box::new(Job {
        patch,
        key,
        left_out,
        reborn,
        ..Job::bare(unit.clone(), call, op, sfid, upto)
    }))
}

/// Whether the first send of a new record has to be noted before it goes out.
pub fn is_to_be_noted(job: &Job, content: &Content) -> bool {
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
fn undecided(mapping: &Mapping, content: &Content) -> Option<FieldRefusal> {
    let open: Vec<&Contested> = content.conflicts.iter().filter(|conflict| conflict.undecided).collect();
    let names: Vec<String> = open
        .iter()
        .filter(|conflict| content.entries.iter().any(|entry| entry.values.contains_key(&conflict.column)))
        .map(|conflict| {
            mapping.field(&conflict.column).map_or(conflict.column.clone(), |field| field.name.clone())
        })
        .collect();
    let message = format!("changed here and in Salesforce: {}", names.join(", "));
    (!names.is_empty()).then_some(FieldRefusal { code: "CONFLICT", message, fields: names })
}

/// What tests plan and send.
#[cfg(test)]
pub(crate) mod samples {
    use super::*;
    use crate::domain::mappings::field::{Field, FieldType};

    pub(crate) fn mapping(external_id: Option<&str>) -> Mapping {
        let field = |name: &str| {
            let writable = name != "CreatedDate";
            Field { createable: writable, updateable: writable, ..Field::plain(name, FieldType::String) }
        };
        Mapping {
            external_id: external_id.map(str::to_owned),
            ..Mapping::plain("Contact", ["LastName", "CreatedDate", "Key__c"].map(field).to_vec())
        }
    }

    pub(crate) fn unit(row: i32) -> Claimed {
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
            claimed_at: DateTime::UNIX_EPOCH,
        }
    }

    pub(crate) fn content(action: WriteKind, values: &[(&str, &str)], sfid: Option<&str>) -> Content {
        let values = values.iter().map(|(k, v)| ((*k).to_owned(), Some((*v).to_owned()))).collect();
        let entry = Entry { id: 7, action, sfid: None, old: None, values, captured_at: DateTime::UNIX_EPOCH };
        Content { entries: vec![entry], sfid: sfid.map(str::to_owned), ..Content::default() }
    }

    pub(crate) fn job(planned: Planned) -> Job {
        match planned {
            Planned::Send(job) => *job,
            other => panic!("{other:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{content, job, mapping, unit};
    use super::*;

    #[test]
    fn an_insert_goes_by_its_key_and_without_one_as_it_is() {
        let values = [("lastname", "Lovelace"), ("createddate", "x"), ("key__c", "K1"), ("unmapped", "y")];
        let upsert =
            job(plan(&mapping(Some("Key__c")), &unit(1), &content(WriteKind::Insert, &values, None)));
        assert_eq!(
            (upsert.call, upsert.op, upsert.key.unwrap().text.as_str()),
            (Call::Upsert, "insert", "K1")
        );
        assert_eq!(upsert.patch.keys().collect::<Vec<_>>(), ["key__c", "lastname"]);
        let create = job(plan(&mapping(None), &unit(1), &content(WriteKind::Insert, &values, None)));
        assert_eq!(create.call, Call::Create);
        let known =
            job(plan(&mapping(Some("Key__c")), &unit(1), &content(WriteKind::Insert, &values, Some("003"))));
        assert_eq!((known.call, known.sfid.as_deref()), (Call::Update, Some("003")));
    }

    #[test]
    fn a_change_of_a_row_without_a_record_takes_the_whole_row_with_it() {
        let mut change = content(WriteKind::Update, &[("lastname", "New")], None);
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
                WriteKind::Insert,
                &[("lastname", Some("A")), ("key__c", Some("K")), ("createddate", None)],
            ),
            entry(2, WriteKind::Update, &[("lastname", None)]),
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
    fn a_value_that_lost_against_the_record_is_not_sent_and_an_undecided_one_waits() {
        let mut change = content(WriteKind::Update, &[("lastname", "Ours"), ("key__c", "K2")], Some("003"));
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
        let insert = content(WriteKind::Insert, &[("key__c", "K1")], None);
        assert_eq!(job(plan(&own, &unit(1), &insert)).call, Call::Create);
        let delete = content(WriteKind::Delete, &[], Some("003"));
        assert!(matches!(plan(&own, &unit(1), &delete), Planned::Nothing { reason: IGNORED_DELETE, .. }));
    }

    #[test]
    fn a_change_of_columns_that_cannot_be_written_needs_no_send() {
        let planned =
            plan(&mapping(None), &unit(1), &content(WriteKind::Update, &[("createddate", "x")], Some("003")));
        assert!(matches!(planned, Planned::Nothing { .. }));
    }
}
