//! The unsent changes of one record become one change, sent and answered as one.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use crate::domain::values::hstore::Hstore;

/// What a captured write did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteKind {
    /// A row came.
    Insert,
    /// A row changed.
    Update,
    /// A row went.
    Delete,
}

impl WriteKind {
    /// From the word in `_trigger_log.action`.
    pub fn from_word(word: &str) -> Option<WriteKind> {
        match word {
            "INSERT" => Some(WriteKind::Insert),
            "UPDATE" => Some(WriteKind::Update),
            "DELETE" => Some(WriteKind::Delete),
            _ => None,
        }
    }
}

/// One entry of `_trigger_log`.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its id; the order of one record's changes.
    pub id: i64,
    /// What it did.
    pub action: WriteKind,
    /// The record's id as the row knew it.
    pub sfid: Option<String>,
    /// The row before, where it was read.
    pub old: Option<Hstore>,
    /// The whole row of an insert, the changed columns of an update, nothing of a delete.
    pub values: Hstore,
    /// When it was captured.
    pub captured_at: DateTime<Utc>,
}

/// What is to be sent.
#[derive(Clone, Debug, PartialEq)]
pub enum NetChange {
    /// Nothing: the changes come to nothing that Salesforce should know.
    Nothing,
    /// A new record with these values.
    Insert(Hstore),
    /// These values into the record.
    Update(Hstore),
    /// The record away.
    Delete,
}

/// A unit's entries as one.
#[derive(Clone, Debug, PartialEq)]
pub struct Coalesced {
    /// What is to be sent.
    pub change: NetChange,
    /// The newest entry in it; what is sent never goes back behind it (I3).
    pub upto: i64,
}

/// Coalesces entries, which stand in id order. `known` says that Salesforce has the record, or may have it.
///
/// The newest value of a column wins; NULL is a value, absence is none. A record that Salesforce never saw and
/// that is deleted again comes to nothing.
pub fn coalesce(entries: &[Entry], known: bool) -> Coalesced {
    let mut inserted = false;
    let mut deleted = false;
    let mut patch = Hstore::new();
    for entry in entries {
        match entry.action {
            WriteKind::Insert => {
                (inserted, deleted) = (true, false);
                patch = entry.values.clone();
            }
            WriteKind::Update => patch.extend(entry.values.clone()),
            WriteKind::Delete => {
                deleted = true;
                patch.clear();
            }
        }
    }
    let change = match (deleted, inserted && !known) {
        (true, true) => NetChange::Nothing,
        (true, false) if known => NetChange::Delete,
        (true, false) => NetChange::Nothing,
        (false, true) => NetChange::Insert(patch),
        (false, false) if patch.is_empty() => NetChange::Nothing,
        (false, false) => NetChange::Update(patch),
    };
    Coalesced { change, upto: entries.iter().map(|entry| entry.id).max().unwrap_or(0) }
}

/// The columns that entries after `sent` name, a column without a value included. Of a row that was inserted again, only
/// those that had a value before: the others were never the row's word.
pub fn named_after(entries: &[Entry], sent: i64) -> BTreeSet<&str> {
    let mut carried = BTreeSet::new();
    let mut named = BTreeSet::new();
    for entry in entries {
        let columns = entry.values.iter().map(|(column, value)| (column.as_str(), value.is_some()));
        if entry.id <= sent {
            carried.extend(columns.filter(|(_, there)| *there).map(|(column, _)| column));
        } else if entry.action == WriteKind::Update {
            named.extend(columns.map(|(column, _)| column));
        } else {
            named.extend(columns.map(|(column, _)| column).filter(|column| carried.contains(column)));
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(id: i64, action: WriteKind, values: &[(&str, Option<&str>)]) -> Entry {
        Entry {
            id,
            action,
            sfid: None,
            old: None,
            values: values.iter().map(|(k, v)| ((*k).to_owned(), v.map(str::to_owned))).collect(),
            captured_at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn an_insert_takes_its_updates_with_it() {
        let entries = [
            entry(1, WriteKind::Insert, &[("a", Some("1")), ("b", Some("2"))]),
            entry(2, WriteKind::Update, &[("b", None)]),
            entry(5, WriteKind::Update, &[("a", Some("3"))]),
        ];
        let wanted = entry(0, WriteKind::Insert, &[("a", Some("3")), ("b", None)]).values;
        assert_eq!(
            coalesce(&entries, false),
            Coalesced { change: NetChange::Insert(wanted.clone()), upto: 5 }
        );
        assert_eq!(coalesce(&entries, true).change, NetChange::Update(wanted));
    }

    #[test]
    fn a_delete_counts_only_where_salesforce_has_the_record() {
        let entries = [entry(1, WriteKind::Insert, &[("a", None)]), entry(2, WriteKind::Delete, &[])];
        assert_eq!(coalesce(&entries, false).change, NetChange::Nothing);
        assert_eq!(coalesce(&entries, true).change, NetChange::Delete);
        assert_eq!(coalesce(&entries[1..], false).change, NetChange::Nothing);
        assert_eq!(coalesce(&[], true), Coalesced { change: NetChange::Nothing, upto: 0 });
        assert_eq!(coalesce(&[entry(3, WriteKind::Update, &[])], true).change, NetChange::Nothing);
    }

    #[test]
    fn what_was_named_after_a_send_is_what_later_changes_name() {
        let entries = [
            entry(1, WriteKind::Insert, &[("a", Some("1")), ("b", None), ("c", None)]),
            entry(2, WriteKind::Update, &[("b", Some("2"))]),
            entry(5, WriteKind::Update, &[("b", None), ("a", Some("3"))]),
        ];
        let named = |sent| named_after(&entries, sent).into_iter().collect::<String>();
        assert_eq!((named(1), named(2), named(5)), ("ab".to_owned(), "ab".to_owned(), String::new()));
        let again = [
            entries[0].clone(),
            entry(7, WriteKind::Delete, &[]),
            entry(8, WriteKind::Insert, &[("a", None), ("c", None)]),
        ];
        assert_eq!(named_after(&again, 1).into_iter().collect::<String>(), "a");
    }

    proptest! {
        #[test]
        fn the_patch_does_what_the_updates_do_one_by_one(
            updates in prop::collection::vec(prop::collection::btree_map("[a-c]", prop::option::of("[xy]"), 0..3), 0..6)
        ) {
            let entries: Vec<Entry> = updates.iter().enumerate().map(|(i, values)| Entry {
                values: values.clone(), ..entry(i as i64 + 1, WriteKind::Update, &[])
            }).collect();
            let mut row = Hstore::new();
            for entry in &entries {
                row.extend(entry.values.clone());
            }
            let patch = match coalesce(&entries, true).change {
                NetChange::Update(patch) => patch,
                _ => Hstore::new(),
            };
            prop_assert_eq!(patch, row);
        }
    }
}
