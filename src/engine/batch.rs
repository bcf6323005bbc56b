//! From claimed units to calls: what each unit wants, and which go together. Pure.

use std::collections::BTreeMap;

use crate::domain::field::Field;
use crate::domain::fold::{Action, Folded, Operation, fold};
use crate::domain::hstore::Hstore;
use crate::domain::mapping::{Access, Mapping};
use crate::postgres::queue::{Claimed, Content};
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
    pub(super) key: Option<String>,
    pub(super) upto: i64,
}

/// What a unit comes to.
#[derive(Debug)]
pub(super) enum Planned {
    /// A call.
    Send(Box<Job>),
    /// Nothing to send, and why.
    Nothing { upto: i64, op: &'static str, reason: &'static str },
}

/// Folds a unit's entries into the call it needs.
pub(super) fn plan(mapping: &Mapping, unit: &Claimed, content: &Content) -> Planned {
    let logged = content.entries.iter().rev().find_map(|entry| entry.sfid.clone());
    let sfid = unit.sfid.clone().or_else(|| content.sfid.clone()).or(logged);
    let Folded { operation, upto } = fold(&content.entries, sfid.is_some());
    let nothing = |reason| Planned::Nothing { upto, op: "update", reason };
    let key_column = mapping.external_id_column();
    if operation == Operation::Nothing && unit.lost > 0 {
        // Inserted and deleted again, but an answer was lost in between: the record may be there, under its key.
        let inserted = content.entries.iter().rev().find(|entry| entry.action == Action::Insert);
        let key = inserted.and_then(|entry| entry.values.get(key_column.as_ref()?).cloned().flatten());
        if key.is_some() {
            let (unit, patch) = (unit.clone(), Hstore::new());
            return Planned::Send(Box::new(Job {
                unit,
                call: Call::Delete,
                op: "delete",
                patch,
                sfid: None,
                key,
                upto,
            }));
        }
    }
    if mapping.access == Access::ReadOnly {
        return nothing("the mapping is read-only");
    }
    let (op, mut patch) = match operation {
        Operation::Nothing => return nothing("nothing to send"),
        Operation::Insert(patch) => ("insert", patch),
        Operation::Update(patch) => ("update", patch),
        Operation::Delete => ("delete", Hstore::new()),
    };
    let lost = unit.lost > 0;
    patch.retain(|column, value| {
        mapping.field(column).is_some_and(|field| is_sent(field, op, value.is_some() || lost))
    });
    let key = key_column.as_ref().and_then(|column| {
        patch
            .get(column)
            .cloned()
            .flatten()
            .or_else(|| content.external_id.clone())
            .filter(|key| !key.is_empty())
    });
    let call = match (op, &sfid, &key) {
        ("delete", _, _) => Call::Delete,
        (_, Some(_), _) => Call::Update,
        (_, None, Some(_)) => Call::Upsert,
        (_, None, None) => Call::Create,
    };
    if op == "update" && patch.is_empty() {
        return nothing("none of the changed columns may be written in Salesforce");
    }
    if let (Call::Upsert, Some(column), Some(key)) = (call, &key_column, &key) {
        patch.insert(column.clone(), Some(key.clone()));
    }
    Planned::Send(Box::new(Job { unit: unit.clone(), call, op, patch, sfid, key, upto }))
}

/// What Salesforce sets by itself, whatever a row holds.
const AUDIT_FIELDS: [&str; 4] = ["CreatedDate", "CreatedById", "LastModifiedDate", "LastModifiedById"];

/// Whether a column goes out. On an insert an empty one does not, so that Salesforce's defaults apply (`says` is
/// false); after a lost answer it must, for an earlier value may have arrived. One that the login may not write goes
/// out all the same: a value that silently stayed behind would be a change lost, and the refusal names the field.
fn is_sent(field: &Field, op: &str, says: bool) -> bool {
    let writable = if op == "insert" { field.createable } else { field.updateable };
    let audit = AUDIT_FIELDS.contains(&field.name.as_str());
    (op != "insert" || says) && (writable || !audit)
}

/// Puts jobs of one mapping into calls: of one kind, no external id twice in a call, and smaller the more often a
/// record lost its answer or was rejected for a passing reason, down to one.
pub(super) fn calls(jobs: Vec<Job>) -> Vec<Vec<Job>> {
    let mut groups: BTreeMap<(Call, usize), Vec<Vec<Job>>> = BTreeMap::new();
    for job in jobs {
        let size = call_size(&job.unit);
        let group = groups.entry((job.call, size)).or_default();
        let fits = |call: &Vec<Job>| {
            call.len() < size && (job.key.is_none() || call.iter().all(|other| other.key != job.key))
        };
        // The last call takes it, unless full or holding its key; then a new one begins.
        match group.last_mut().filter(|call| fits(call)) {
            Some(call) => call.push(job),
            None => group.push(vec![job]),
        }
    }
    groups.into_values().flatten().collect()
}

/// Halved with each lost answer, quartered with each rejection that may pass.
fn call_size(unit: &Claimed) -> usize {
    let shift = unit.lost.max(0) as u32 + 2 * unit.attempts.max(0) as u32;
    MAX_RECORDS.checked_shr(shift).unwrap_or(0).max(1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::DateTime;

    use super::*;
    use crate::domain::field::FieldType;
    use crate::domain::fold::Entry;
    use crate::domain::names::RowId;

    fn mapping(external_id: Option<&str>) -> Mapping {
        let field = |name: &str| Field {
            name: name.to_owned(),
            column: name.to_lowercase(),
            label: name.to_owned(),
            kind: FieldType::String,
            length: 80,
            precision: 0,
            scale: 0,
            nillable: true,
            createable: name != "CreatedDate",
            updateable: name != "CreatedDate",
            defaulted: false,
            picklist: Vec::new(),
            restricted: false,
            reference_to: Vec::new(),
        };
        Mapping {
            object: "Contact".to_owned(),
            table: "contact".to_owned(),
            access: Access::ReadWrite,
            external_id: external_id.map(str::to_owned),
            poll_interval: Duration::from_secs(1),
            fields: ["LastName", "CreatedDate", "Key__c"].map(field).to_vec(),
            parents: Vec::new(),
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
        }
    }

    fn content(action: Action, values: &[(&str, &str)], sfid: Option<&str>) -> Content {
        let values = values.iter().map(|(k, v)| ((*k).to_owned(), Some((*v).to_owned()))).collect();
        let entry = Entry { id: 7, action, sfid: None, old: None, values, captured_at: DateTime::UNIX_EPOCH };
        Content { entries: vec![entry], sfid: sfid.map(str::to_owned), external_id: None }
    }

    fn job(planned: Planned) -> Job {
        match planned {
            Planned::Send(job) => *job,
            Planned::Nothing { reason, .. } => panic!("nothing to send: {reason}"),
        }
    }

    #[test]
    fn an_insert_goes_by_its_key_and_without_one_as_it_is() {
        let values = [("lastname", "Lovelace"), ("createddate", "x"), ("key__c", "K1"), ("unmapped", "y")];
        let upsert = job(plan(&mapping(Some("Key__c")), &unit(1), &content(Action::Insert, &values, None)));
        assert_eq!((upsert.call, upsert.op, upsert.key.as_deref()), (Call::Upsert, "insert", Some("K1")));
        assert_eq!(upsert.patch.keys().collect::<Vec<_>>(), ["key__c", "lastname"]);
        let create = job(plan(&mapping(None), &unit(1), &content(Action::Insert, &values, None)));
        assert_eq!(create.call, Call::Create);
        let known =
            job(plan(&mapping(Some("Key__c")), &unit(1), &content(Action::Insert, &values, Some("003"))));
        assert_eq!((known.call, known.sfid.as_deref()), (Call::Update, Some("003")));
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
        assert_eq!(calls(vec![same(1), same(2)]).len(), 2);
        let mut many: Vec<Job> = (0..500)
            .map(|row| {
                job(plan(&mapping(None), &unit(row), &content(Action::Insert, &[("lastname", "A")], None)))
            })
            .collect();
        assert_eq!(calls(many.clone()).iter().map(Vec::len).collect::<Vec<_>>(), [200, 200, 100]);
        for job in &mut many {
            job.unit.lost = 8;
        }
        assert_eq!(calls(many).len(), 500);
    }
}
