//! What Heroku Connect's log says of a row that differs from its record: what waits to be sent, what Salesforce refused, and
//! what of it cannot be told. Only that part of a row is excused, so that an old refusal or one late column hides nothing else.

use std::collections::BTreeSet;

use crate::domain::attached::history::{EntryState, LogEntry, RowSeen, RowState, unsent};
use crate::domain::attached::mode::WriteMode;
use crate::domain::changes::coalesce::WriteKind;
use crate::domain::changes::merge::same;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::values::hstore::Hstore;

use super::follow::{SeenDifference, ShadowState};
use super::report::{ShadowKind, ShadowWait};

/// A row that differs, with what is known of it. The entries are of this row, in the order of their numbers.
#[derive(Clone, Copy, Debug)]
pub struct DifferingRow<'a> {
    /// What it says of itself.
    pub state: &'a RowState,
    /// Its values.
    pub values: &'a Hstore,
    /// Its entries in the log.
    pub entries: &'a [LogEntry],
    /// Whether its record changed so lately that Heroku Connect need not have it.
    pub is_recent: bool,
}

/// What waits to be sent of a row.
#[derive(Default)]
struct Waiting {
    insert: bool,
    update: bool,
    delete: bool,
    /// Whether there is an entry that does not tell what it changes.
    untold: bool,
    columns: BTreeSet<String>,
}

/// Each difference of a row with why it is none yet; without those that Salesforce refused.
pub fn judged(
    mapping: &Mapping,
    row: DifferingRow<'_>,
    mut differs: Vec<SeenDifference>,
    writes: WriteMode,
) -> ShadowState {
    // An entry of another record tells nothing of this one.
    let entries: Vec<LogEntry> =
        row.entries.iter().filter(|entry| is_of_record(entry, row.state)).cloned().collect();
    let waiting = waiting(&entries);
    let refused = unsent(&entries, RowSeen::Row(row.state), writes);
    let was_refused = |seen: &SeenDifference| match seen.kind {
        ShadowKind::FieldDiffers => {
            refused.columns.contains(&seen.column) && is_as_refused(mapping, &row, &entries, &seen.column)
        }
        ShadowKind::NeverSent => refused.insert,
        _ => false,
    };
    let before = differs.len();
    differs.retain(|seen| !was_refused(seen));
    // The row alone says that something was refused, and not what.
    let untold =
        waiting.untold || (refused.failed.is_empty() && row.state.lastop.as_deref() == Some("FAILED"));
    for seen in &mut differs {
        let is_unsent = match seen.kind {
            ShadowKind::FieldDiffers => {
                waiting.insert || waiting.delete || waiting.columns.contains(&seen.column)
            }
            ShadowKind::NeverSent => waiting.insert || (waiting.update && writes == WriteMode::Merged),
            _ => waiting.delete,
        };
        let can_be_refused = matches!(seen.kind, ShadowKind::FieldDiffers | ShadowKind::NeverSent);
        seen.waits = match () {
            () if is_unsent => Some(ShadowWait::Unsent),
            () if untold && can_be_refused => Some(ShadowWait::Untold),
            () => row.is_recent.then_some(ShadowWait::Recent),
        };
    }
    ShadowState { refused: before > 0 && differs.is_empty(), differs }
}

fn is_of_record(entry: &LogEntry, row: &RowState) -> bool {
    let id = |sfid: &str| sfid.get(..15).unwrap_or(sfid).to_owned();
    match entry.sfid.as_deref().filter(|sfid| !sfid.is_empty()) {
        Some(sfid) => row.sfid.as_deref().map(id) == Some(id(sfid)),
        None => true,
    }
}

fn waiting(entries: &[LogEntry]) -> Waiting {
    let mut waiting = Waiting::default();
    let mut folded_into = None;
    for entry in entries.iter().rev() {
        // What is folded into a change that waits, waits with it.
        let state = if entry.state == EntryState::Merged { folded_into } else { Some(entry.state) };
        if state == Some(EntryState::Waiting) {
            match entry.action {
                Some(WriteKind::Insert) => waiting.insert = true,
                Some(WriteKind::Delete) => waiting.delete = true,
                Some(WriteKind::Update) => waiting.update = true,
                None => waiting.untold = true,
            }
            waiting.untold |= entry.action == Some(WriteKind::Update) && entry.values.is_none();
            waiting.columns.extend(entry.columns());
        }
        // Nothing is folded into what is never sent.
        if !["IGNORE", "READONLY"].contains(&entry.word.as_str()) {
            folded_into = state;
        }
    }
    waiting
}

/// Whether a column still holds what Salesforce refused; what was written there since differs for another reason.
fn is_as_refused(mapping: &Mapping, row: &DifferingRow<'_>, entries: &[LogEntry], column: &str) -> bool {
    let Some(field) = mapping.field(column) else { return false };
    let of = |entry: &LogEntry| match entry.state {
        EntryState::Failed | EntryState::Merged => entry.values.as_ref()?.get(column).cloned(),
        _ => None,
    };
    let newest = entries.iter().rev().find_map(of);
    let now = row.values.get(column).and_then(Option::as_deref);
    newest.is_some_and(|refused| same(field, refused.as_deref(), now))
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::domain::mappings::field::{Field, FieldType};
    use crate::domain::names::{RowId, RowRef};
    use crate::domain::records::verify::Difference;

    fn mapping() -> Mapping {
        let fields = ["Email", "Phone", "LastName"].map(|name| Field::plain(name, FieldType::String));
        Mapping::plain("Contact", fields.to_vec())
    }

    fn entry(word: &str, action: WriteKind, values: &[(&str, &str)]) -> LogEntry {
        let value = |(column, value): &(&str, &str)| ((*column).to_owned(), Some((*value).to_owned()));
        LogEntry {
            id: 1,
            archived: false,
            state: EntryState::of(word),
            word: word.to_owned(),
            action: Some(action),
            at: RowRef { table: "contact".to_owned(), row: RowId(7) },
            sfid: None,
            values: Some(values.iter().map(value).collect()),
            old: None,
            message: None,
            created_at: DateTime::UNIX_EPOCH,
            settled_at: DateTime::UNIX_EPOCH,
        }
    }

    /// What becomes of a row whose email and phone are `b` and `2` and differ from its record.
    fn of(entries: &[LogEntry], lastop: &str) -> (Vec<(String, Option<ShadowWait>)>, bool) {
        let mapping = mapping();
        let state = RowState { sfid: Some("003A".to_owned()), lastop: Some(lastop.to_owned()), err: None };
        let values: Hstore = [("email", "b"), ("phone", "2")]
            .map(|(column, value)| (column.to_owned(), Some(value.to_owned())))
            .into();
        let differs = ["email", "phone"].map(|column| {
            let differs = Difference {
                field: column.to_owned(),
                column: column.to_owned(),
                row: values[column].clone(),
                record: Some("another".to_owned()),
            };
            SeenDifference::of_field(&mapping, 7, Some("003A"), &differs)
        });
        let row = DifferingRow { state: &state, values: &values, entries, is_recent: false };
        let judged = judged(&mapping, row, differs.to_vec(), WriteMode::Ordered);
        (judged.differs.into_iter().map(|seen| (seen.column, seen.waits)).collect(), judged.refused)
    }

    fn told(pairs: &[(&str, Option<ShadowWait>)]) -> Vec<(String, Option<ShadowWait>)> {
        pairs.iter().map(|(column, waits)| ((*column).to_owned(), *waits)).collect()
    }

    use ShadowWait::{Unsent, Untold};
    use WriteKind::{Delete, Insert, Update};

    #[test]
    fn only_the_columns_of_a_change_wait_with_it() {
        let email = entry("NEW", Update, &[("email", "b")]);
        assert_eq!(
            of(std::slice::from_ref(&email), "PENDING").0,
            told(&[("email", Some(Unsent)), ("phone", None)])
        );
        let folded = [entry("MERGED", Update, &[("phone", "2")]), email.clone()];
        assert_eq!(of(&folded, "PENDING").0, told(&[("email", Some(Unsent)), ("phone", Some(Unsent))]));
        for action in [Insert, Delete] {
            let whole = of(&[entry("PENDING", action, &[])], "PENDING").0;
            assert_eq!(whole, told(&[("email", Some(Unsent)), ("phone", Some(Unsent))]));
        }
        // Another record's change.
        let other = LogEntry { sfid: Some("003B".to_owned()), ..email.clone() };
        assert_eq!(of(&[other], "SYNCED").0, told(&[("email", None), ("phone", None)]));
        // What it changes cannot be read.
        let unread = of(&[LogEntry { values: None, ..email }], "PENDING").0;
        assert_eq!(unread, told(&[("email", Some(Untold)), ("phone", Some(Untold))]));
    }

    #[test]
    fn a_refusal_excuses_what_was_refused_and_no_more() {
        let refused = |value: &str| [entry("FAILED", Update, &[("email", value)])];
        assert_eq!(of(&refused("b"), "FAILED").0, told(&[("phone", None)]));
        // The column holds something else by now.
        assert_eq!(of(&refused("a"), "FAILED").0, told(&[("email", None), ("phone", None)]));
        let both = [entry("FAILED", Update, &[("email", "b"), ("phone", "2")])];
        assert_eq!(of(&both, "FAILED"), (Vec::new(), true));
        let other = both.map(|entry| LogEntry { sfid: Some("003B".to_owned()), ..entry });
        assert_eq!(of(&other, "SYNCED").0, told(&[("email", None), ("phone", None)]));
        // The row alone tells of it, and not what it was.
        assert_eq!(of(&[], "FAILED").0, told(&[("email", Some(Untold)), ("phone", Some(Untold))]));
    }
}
