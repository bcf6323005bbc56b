//! What the entries of one row come to together. Heroku Connect's log and its row tell different halves: a second failure
//! turns the row to SYNCED (its trigger sees no difference), a retry through the log leaves the row FAILED, and the log
//! itself is emptied after a month. So the log is believed about what failed, the row where the log says nothing.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use crate::domain::attached::mode::WriteMode;
use crate::domain::changes::coalesce::WriteKind;
use crate::domain::errors::sync_error::ErrorState;
use crate::domain::names::RowRef;
use crate::domain::values::hstore::Hstore;

/// The columns that Heroku Connect keeps for itself: no change of a person is in them.
pub const SYSTEM_COLUMNS: [&str; 6] = ["id", "sfid", "systemmodstamp", "isdeleted", "_hc_lastop", "_hc_err"];

/// The state of an entry, by what it means for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryState {
    /// It waits to be sent, or is being sent: `NEW`, `PENDING`.
    Waiting,
    /// Salesforce took it.
    Success,
    /// Salesforce took or refused it within another entry.
    Merged,
    /// Salesforce refused it.
    Failed,
    /// Nothing is sent of it: a no-op, an error that somebody silenced (`IGNORE`, `IGNORED`).
    Ignored,
    /// It was sent again as another entry, or belongs to a read-only mapping, or has a word that nobody documents.
    Other,
}

impl EntryState {
    /// From the word in the log.
    pub fn of(word: &str) -> EntryState {
        match word {
            "NEW" | "PENDING" => EntryState::Waiting,
            "SUCCESS" => EntryState::Success,
            "MERGED" => EntryState::Merged,
            "FAILED" => EntryState::Failed,
            "IGNORE" | "IGNORED" => EntryState::Ignored,
            _ => EntryState::Other,
        }
    }
}

/// An entry of Heroku Connect's change log.
#[derive(Clone, Debug, PartialEq)]
pub struct LogEntry {
    /// Its number, the trigger log id that Heroku's dashboard shows.
    pub id: i64,
    /// Whether it stands in the archive.
    pub archived: bool,
    /// Where it stands.
    pub state: EntryState,
    /// The state's own word.
    pub word: String,
    /// What was done to the row; `None` for a word that is none of the three.
    pub action: Option<WriteKind>,
    /// The row.
    pub at: RowRef,
    /// The record, where the entry names one.
    pub sfid: Option<String>,
    /// The values of an insert, the changed ones of an update; `None` where they cannot be read.
    pub values: Option<Hstore>,
    /// The values before.
    pub old: Option<Hstore>,
    /// What Salesforce said.
    pub message: Option<String>,
    /// When the change was made.
    pub created_at: DateTime<Utc>,
    /// When the entry was last touched.
    pub settled_at: DateTime<Utc>,
}

impl LogEntry {
    /// The columns of which it holds a change.
    pub fn columns(&self) -> BTreeSet<String> {
        let own = |column: &&String| !SYSTEM_COLUMNS.contains(&column.as_str());
        self.values.iter().flat_map(Hstore::keys).filter(own).cloned().collect()
    }
}

/// What a row itself says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowState {
    /// Its record.
    pub sfid: Option<String>,
    /// `_hc_lastop`.
    pub lastop: Option<String>,
    /// `_hc_err`.
    pub err: Option<String>,
}

/// What is known of a row when its entries are judged.
#[derive(Clone, Copy, Debug)]
pub enum RowSeen<'a> {
    /// The row as it stands.
    Row(&'a RowState),
    /// There is no such row.
    Gone,
    /// Its table is not there, or may not be read.
    Unknown,
}

/// What of a row Salesforce has not got because it refused it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RefusedPart {
    /// The entries that failed and that nothing later made good, the newest first.
    pub failed: Vec<i64>,
    /// Whether the record itself was refused.
    pub insert: bool,
    /// Whether its delete was refused.
    pub delete: bool,
    /// The columns whose changes were refused.
    pub columns: BTreeSet<String>,
    /// Whether something later waits that makes all of it good.
    pub is_on_its_way: bool,
    /// Whether changes were folded into a failed entry, whose own values are not all of it then.
    pub folded: bool,
}

/// The error of a row, from its entries and what it says itself.
#[derive(Clone, Debug, PartialEq)]
pub struct RowFailure {
    /// The entry that tells of it; `None` where only the row does.
    pub entry: Option<i64>,
    /// Where it stands: open, retrying or ignored.
    pub state: ErrorState,
    /// What Salesforce said.
    pub message: String,
    /// How many entries of the row failed, as far as the log goes back.
    pub attempts: i32,
    /// What was refused.
    pub unsent: RefusedPart,
}

/// Said where neither the log nor the row holds Salesforce's words.
const NOTHING_NOTED: &str = "it failed, and Heroku Connect noted nothing of why";

/// What Salesforce refused of a row and still lacks. The entries are of one row, in the order of their numbers.
pub fn unsent(entries: &[LogEntry], seen: RowSeen<'_>, mode: WriteMode) -> RefusedPart {
    let mut unsent = RefusedPart::default();
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut waiting: BTreeSet<String> = BTreeSet::new();
    let (mut created, mut deleted) = (false, false);
    let (mut waits_insert, mut waits_delete, mut waits_update) = (false, false, false);
    let mut all_waits = true;
    let is_gone = matches!(seen, RowSeen::Gone);
    let mut folded_into: Option<(EntryState, i64)> = None;
    if let RowSeen::Row(row) = seen {
        created = row.sfid.is_some();
    }
    for entry in entries.iter().rev() {
        match (entry.state, entry.action) {
            (EntryState::Waiting, action) => {
                waiting.extend(entry.columns());
                waits_insert |= action == Some(WriteKind::Insert);
                waits_delete |= action == Some(WriteKind::Delete);
                waits_update |= action == Some(WriteKind::Update);
            }
            (EntryState::Success, action) => {
                created = true;
                deleted |= action == Some(WriteKind::Delete);
                taken.extend(entry.columns());
            }
            // Folded into the next newer entry, whose fate it has.
            (EntryState::Merged, action) => match folded_into {
                Some((EntryState::Success, _)) => taken.extend(entry.columns()),
                Some((EntryState::Waiting, _)) => waiting.extend(entry.columns()),
                Some((EntryState::Failed, id)) if !deleted && !is_gone => {
                    let columns: Vec<String> = entry.columns().difference(&taken).cloned().collect();
                    if columns.is_empty() {
                        continue;
                    }
                    unsent.folded = true;
                    all_waits &= columns.iter().all(|column| waiting.contains(column));
                    unsent.columns.extend(columns);
                    unsent.insert |= action == Some(WriteKind::Insert) && !created;
                    if !unsent.failed.contains(&id) {
                        unsent.failed.push(id);
                    }
                }
                _ => {}
            },
            (EntryState::Failed, action) => {
                let columns: Vec<String> = entry.columns().difference(&taken).cloned().collect();
                let (still, waits) = match action {
                    _ if deleted => (false, false),
                    // Nothing is left here that Salesforce could lack, but that it is gone.
                    action if is_gone && action != Some(WriteKind::Delete) => (false, false),
                    Some(WriteKind::Insert) => {
                        (!created, waits_insert || (mode == WriteMode::Merged && waits_update))
                    }
                    Some(WriteKind::Delete) => (true, waits_delete),
                    // What it changed cannot be read, so that nothing later can be seen to make it good.
                    _ if entry.values.is_none() => (true, false),
                    _ => (
                        !columns.is_empty(),
                        waits_insert || columns.iter().all(|column| waiting.contains(column)),
                    ),
                };
                if still {
                    all_waits &= waits;
                    unsent.failed.push(entry.id);
                    unsent.insert |= action == Some(WriteKind::Insert);
                    unsent.delete |= action == Some(WriteKind::Delete);
                    unsent.columns.extend(columns);
                }
            }
            _ => {}
        }
        // Nothing is folded into what is never sent.
        if entry.state != EntryState::Merged && !["IGNORE", "READONLY"].contains(&entry.word.as_str()) {
            folded_into = Some((entry.state, entry.id));
        }
    }
    unsent.is_on_its_way = all_waits && !unsent.failed.is_empty();
    unsent
}

/// The error of a row, if it has one. The entries are of one row, in the order of their numbers.
pub fn failure(entries: &[LogEntry], seen: RowSeen<'_>, mode: WriteMode) -> Option<RowFailure> {
    let unsent = unsent(entries, seen, mode);
    let entry = |id: &i64| entries.iter().find(|entry| entry.id == *id);
    let said = |entry: Option<&LogEntry>| {
        entry.and_then(|entry| entry.message.clone()).filter(|text| !text.is_empty())
    };
    let failed = entries.iter().filter(|entry| entry.state == EntryState::Failed || entry.word == "REQUEUED");
    let attempts = i32::try_from(failed.count()).unwrap_or(i32::MAX);
    let row = match seen {
        RowSeen::Row(row) if row.lastop.as_deref() == Some("FAILED") => Some(row),
        _ => None,
    };
    let noted = row.and_then(|row| row.err.as_deref()).map(told_by_row);
    if let Some(newest) = unsent.failed.first().and_then(entry) {
        let state = if unsent.is_on_its_way { ErrorState::Retrying } else { ErrorState::Open };
        let message = said(Some(newest)).or(noted).unwrap_or_else(|| NOTHING_NOTED.to_owned());
        return Some(RowFailure { entry: Some(newest.id), state, message, attempts, unsent });
    }
    row?;
    let newest = entries.last();
    let waits = entries.iter().rev().find(|entry| entry.state == EntryState::Waiting);
    let (state, told) = match (waits, newest) {
        (Some(waits), _) => (ErrorState::Retrying, Some(waits)),
        (None, Some(newest)) if newest.state == EntryState::Ignored => (ErrorState::Ignored, Some(newest)),
        (None, _) => (ErrorState::Open, None),
    };
    let message = noted.or_else(|| said(told)).unwrap_or_else(|| NOTHING_NOTED.to_owned());
    Some(RowFailure { entry: told.map(|entry| entry.id), state, message, attempts: attempts.max(1), unsent })
}

/// The message in `_hc_err`: a JSON object with the key `msg`, or whatever else somebody wrote there.
pub fn told_by_row(err: &str) -> String {
    let parsed = serde_json::from_str::<serde_json::Value>(err).ok();
    let message = parsed.as_ref().and_then(|value| value.get("msg")?.as_str());
    message.unwrap_or(err).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::names::RowId;

    fn entry(id: i64, word: &str, action: WriteKind, columns: &[&str]) -> LogEntry {
        let value = |column: &&str| ((*column).to_owned(), Some(format!("{column}-{id}")));
        LogEntry {
            id,
            archived: false,
            state: EntryState::of(word),
            word: word.to_owned(),
            action: Some(action),
            at: RowRef { table: "contact".to_owned(), row: RowId(1) },
            sfid: None,
            values: Some(columns.iter().map(value).collect()),
            old: None,
            message: (word == "FAILED").then(|| format!("refused {id}")),
            created_at: DateTime::UNIX_EPOCH,
            settled_at: DateTime::UNIX_EPOCH,
        }
    }

    fn row(lastop: &str, sfid: Option<&str>) -> RowState {
        let err = (lastop == "FAILED").then(|| r#"{"op":"UPDATE","msg":"the row says no"}"#.to_owned());
        RowState { sfid: sfid.map(str::to_owned), lastop: Some(lastop.to_owned()), err }
    }

    fn state(entries: &[LogEntry], row: &RowState, mode: WriteMode) -> Option<(Option<i64>, ErrorState)> {
        failure(entries, RowSeen::Row(row), mode).map(|failure| (failure.entry, failure.state))
    }

    use ErrorState::{Ignored, Open, Retrying};
    use WriteKind::{Delete, Insert, Update};
    use WriteMode::{Merged, Ordered};

    #[test]
    fn the_log_is_believed_where_the_row_says_that_it_is_synced() {
        // A retry through the log that fails again turns the row to SYNCED.
        let synced = row("SYNCED", Some("003A"));
        let twice = [entry(1, "REQUEUED", Update, &["email"]), entry(2, "FAILED", Update, &["email"])];
        let found = failure(&twice, RowSeen::Row(&synced), Ordered).unwrap();
        assert_eq!((found.entry, found.state, found.attempts), (Some(2), Open, 2));
        assert_eq!(found.message, "refused 2");
    }

    #[test]
    fn a_row_is_believed_where_the_log_says_nothing() {
        let failed = row("FAILED", Some("003A"));
        let found = failure(&[], RowSeen::Row(&failed), Merged).unwrap();
        assert_eq!((found.entry, found.state, found.message.as_str()), (None, Open, "the row says no"));
        assert_eq!(failure(&[], RowSeen::Row(&row("SYNCED", None)), Merged), None);
        // Somebody silenced it.
        let silenced = [entry(1, "IGNORED", Update, &["email"])];
        assert_eq!(state(&silenced, &failed, Merged), Some((Some(1), Ignored)));
    }

    #[test]
    fn an_update_is_made_good_by_what_salesforce_took_of_the_same_columns() {
        let synced = row("SYNCED", Some("003A"));
        let failed = entry(1, "FAILED", Update, &["email", "phone"]);
        let mut entries = vec![failed, entry(2, "SUCCESS", Update, &["email"])];
        let left = unsent(&entries, RowSeen::Row(&synced), Ordered);
        assert_eq!((left.failed, left.columns), (vec![1], BTreeSet::from(["phone".to_owned()])));
        entries.push(entry(3, "NEW", Update, &["phone"]));
        assert_eq!(state(&entries, &synced, Ordered), Some((Some(1), Retrying)));
        entries[2] = entry(3, "SUCCESS", Update, &["phone"]);
        assert_eq!(state(&entries, &synced, Ordered), None);
    }

    #[test]
    fn a_refused_insert_stands_until_there_is_a_record() {
        let failed = row("FAILED", None);
        let insert = entry(1, "FAILED", Insert, &["id", "lastname", "email"]);
        let later = entry(2, "NEW", Update, &["email"]);
        // Merged writes try the insert again with the next update; with ordered ones that update fails, too.
        let entries = [insert.clone(), later];
        assert_eq!(state(&entries, &failed, Merged), Some((Some(1), Retrying)));
        assert_eq!(state(&entries, &failed, Ordered), Some((Some(1), Open)));
        assert_eq!(state(&entries, &row("UPDATED", Some("003A")), Merged), None);
        assert_eq!(failure(&[insert], RowSeen::Gone, Merged), None);
    }

    #[test]
    fn what_was_folded_into_a_failed_entry_failed_with_it() {
        let entries = [entry(1, "MERGED", Update, &["email"]), entry(2, "FAILED", Update, &["phone"])];
        let left = unsent(&entries, RowSeen::Row(&row("FAILED", Some("003A"))), Merged);
        assert!(left.folded);
        assert_eq!(left.columns, BTreeSet::from(["email".to_owned(), "phone".to_owned()]));
        // What it was folded into was taken: it is not unsent.
        let entries = [entry(1, "MERGED", Update, &["email"]), entry(2, "SUCCESS", Update, &["phone"])];
        assert_eq!(unsent(&entries, RowSeen::Unknown, Merged), RefusedPart::default());
        // Taken with the next newer entry, whatever failed after that.
        let failed = entry(3, "FAILED", Update, &["phone"]);
        let mut entries = [&entries[..], &[entry(3, "IGNORE", Update, &[]), failed]].concat();
        let left = unsent(&entries, RowSeen::Unknown, Merged);
        assert_eq!((left.columns, left.folded), (BTreeSet::from(["phone".to_owned()]), false));
        // Refused with an entry that was made good itself: what was folded into it was not.
        entries[1] = entry(2, "FAILED", Update, &["phone"]);
        entries[3] = entry(4, "SUCCESS", Update, &["phone"]);
        let left = unsent(&entries, RowSeen::Unknown, Merged);
        assert_eq!((left.failed, left.columns), (vec![2], BTreeSet::from(["email".to_owned()])));
    }

    #[test]
    fn of_a_row_that_is_gone_only_a_refused_delete_stands() {
        let mut entries =
            vec![entry(1, "FAILED", Insert, &["email"]), entry(2, "FAILED", Update, &["email"])];
        assert_eq!(failure(&entries, RowSeen::Gone, Merged), None);
        assert_eq!(failure(&entries, RowSeen::Unknown, Merged).unwrap().entry, Some(2));
        entries.push(entry(3, "FAILED", Delete, &[]));
        assert_eq!(unsent(&entries, RowSeen::Gone, Ordered).failed, [3]);
    }

    #[test]
    fn a_delete_stands_until_one_is_taken_and_what_cannot_be_read_stays() {
        let mut entries = vec![entry(1, "FAILED", Delete, &[])];
        assert_eq!(failure(&entries, RowSeen::Gone, Ordered).unwrap().entry, Some(1));
        entries.push(entry(2, "SUCCESS", Delete, &[]));
        assert_eq!(failure(&entries, RowSeen::Gone, Ordered), None);
        let unreadable = LogEntry { values: None, ..entry(1, "FAILED", Update, &[]) };
        let entries = [unreadable, entry(2, "SUCCESS", Update, &["email"])];
        assert_eq!(state(&entries, &row("SYNCED", None), Ordered), Some((Some(1), Open)));
    }

    #[test]
    fn no_op_updates_and_read_only_entries_are_no_errors() {
        let entries = [entry(1, "IGNORE", Update, &[]), entry(2, "READONLY", Update, &["email"])];
        assert_eq!(state(&entries, &row("PENDING", Some("003A")), Merged), None);
    }

    #[test]
    fn whatever_stands_in_a_row_is_told() {
        assert_eq!(told_by_row(r#"{"msg":"no"}"#), "no");
        for text in ["plain words", r#"{"other":1}"#, r#"["msg"]"#, "{"] {
            assert_eq!(told_by_row(text), text);
        }
    }
}
