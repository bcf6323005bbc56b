//! How what failed of a row is sent again.

use std::collections::BTreeSet;

use crate::domain::attached::history::{EntryState, LogEntry, RowFailure, SYSTEM_COLUMNS};
use crate::domain::attached::mode::WriteMode;
use crate::domain::changes::coalesce::WriteKind;

use crate::postgres::Error;

use super::asked::{LockedRow, Mend};

/// How what failed of a row is sent again.
#[derive(Debug, PartialEq)]
pub(super) enum Recipe {
    /// There is nothing, it is under way, or the edit itself carries it.
    Nothing,
    /// The entries themselves, by number: those of the log, and copies of those of the archive.
    Again { live: Vec<i64>, archived: Vec<i64> },
    /// The row is captured anew: whole, or these columns. The failed entries are done with.
    Capture { insert: bool, columns: BTreeSet<String>, failed: Vec<(i64, bool)> },
}

impl Recipe {
    /// Chosen by what failed, once the row was edited: `captured` are the columns that the edit sends already.
    ///
    /// # Errors
    /// Refused where nobody knows any more what failed, and where the row is gone that would be sent.
    pub(super) fn of(
        mend: &Mend<'_>,
        entries: &[LogEntry],
        failed: Option<&RowFailure>,
        row: Option<&LockedRow>,
        captured: &BTreeSet<String>,
    ) -> Result<Recipe, Error> {
        let Some(unsent) = failed.map(|failed| &failed.unsent) else { return Ok(Recipe::Nothing) };
        let failed: Vec<&LogEntry> =
            entries.iter().filter(|entry| unsent.failed.contains(&entry.id)).collect();
        // It is under way; what the edit changes comes behind it.
        if unsent.is_on_its_way || creates(mend, entries, row) {
            return Ok(Recipe::Nothing);
        }
        let Some(row) = row else {
            // Nothing captures a delete again; one is never out of date.
            let deletes = failed.into_iter().filter(|entry| entry.action == Some(WriteKind::Delete));
            return match Recipe::again(deletes) {
                again if again.sends() => Ok(again),
                _ => Err(Error::Refused(format!(
                    "the row {} of {} is gone: nothing of it can be sent again",
                    mend.at.row, mend.at.table
                ))),
            };
        };
        let numbers: Vec<(i64, bool)> = failed.iter().map(|entry| (entry.id, entry.archived)).collect();
        if failed.is_empty() {
            // Only the row says that it failed. Without a record it can be sent whole, else nobody knows what of it.
            return match (&row.state.sfid, mend.fields.is_empty()) {
                (None, _) => Ok(Recipe::Capture { insert: true, columns: BTreeSet::new(), failed: numbers }),
                (Some(_), false) => Ok(Recipe::Nothing),
                (Some(_), true) => Err(unknown(mend)),
            };
        }
        if mend.mode == WriteMode::Merged
            && !unsent.folded
            && failed.iter().all(|entry| is_current(entry, entries, row, captured))
        {
            return Ok(Recipe::again(failed.into_iter()));
        }
        if !unsent.insert && failed.iter().any(|entry| entry.values.is_none()) {
            return Err(unknown(mend));
        }
        let is_there =
            |column: &String| row.json.get(column).is_some() && !SYSTEM_COLUMNS.contains(&column.as_str());
        let left = unsent.columns.difference(captured).filter(|column| is_there(column));
        Ok(Recipe::Capture { insert: unsent.insert, columns: left.cloned().collect(), failed: numbers })
    }

    fn again<'a>(entries: impl Iterator<Item = &'a LogEntry>) -> Recipe {
        let (archived, live): (Vec<&LogEntry>, Vec<&LogEntry>) = entries.partition(|entry| entry.archived);
        let ids = |of: Vec<&LogEntry>| of.into_iter().map(|entry| entry.id).collect();
        Recipe::Again { live: ids(live), archived: ids(archived) }
    }

    /// Whether anything of it reaches Salesforce.
    pub(super) fn sends(&self) -> bool {
        match self {
            Recipe::Nothing => false,
            Recipe::Again { live, archived } => !live.is_empty() || !archived.is_empty(),
            Recipe::Capture { insert, columns, .. } => *insert || !columns.is_empty(),
        }
    }
}

/// Whether something that waits may create the row's record: an insert, and without a record whatever is being sent, for
/// merged writes try the insert again with an update. A second insert would create it twice.
fn creates(mend: &Mend<'_>, entries: &[LogEntry], row: Option<&LockedRow>) -> bool {
    let has_record = row.is_none_or(|row| row.state.sfid.is_some());
    entries.iter().filter(|entry| entry.state == EntryState::Waiting).any(|entry| match entry.action {
        Some(WriteKind::Insert) => true,
        Some(WriteKind::Update) => !has_record && (mend.mode == WriteMode::Merged || entry.word == "PENDING"),
        _ => false,
    })
}

fn unknown(mend: &Mend<'_>) -> Error {
    Error::Refused(format!(
        "the change log of {} no longer holds what was refused of the row {}\nchange the field that the message names: that is \
         captured and sent",
        mend.at.table, mend.at.row
    ))
}

/// Whether an entry that is sent again brings no old value back: the row has its values still, or a later entry has newer
/// ones. Nothing is later than the copy of an archived entry.
fn is_current(entry: &LogEntry, all: &[LogEntry], row: &LockedRow, captured: &BTreeSet<String>) -> bool {
    let Some(values) = &entry.values else { return false };
    let waits = |column: &String| {
        all.iter().any(|other| {
            other.id > entry.id && other.state == EntryState::Waiting && other.columns().contains(column)
        })
    };
    entry.columns().iter().all(|column| match captured.contains(column) {
        true => !entry.archived,
        false => row.values.get(column) == values.get(column) || (!entry.archived && waits(column)),
    })
}
