//! One row: its values, its error with what helps, and what the log still holds of it.

use std::collections::HashMap;

use chrono::Utc;

use crate::client::error::ClientError;
use crate::domain::attached::history::{EntryState, LogEntry, RowSeen, failure};
use crate::domain::changes::coalesce::WriteKind as Change;
use crate::domain::errors::catalogue;
use crate::domain::errors::remedy::{RemedyAction, number};
use crate::domain::errors::suggested_fix::SuggestedFix;
use crate::domain::errors::sync_error::{Class, ErrorState};
use crate::domain::mappings::field::Field;
use crate::domain::names::RowRef;
use crate::domain::records::life::{ChangeLife, LifeAnswers, LifeStage};
use crate::domain::records::record::{Diagnosis, HistoryEntry, PendingChange, RecordView, Sending};
use crate::postgres::attached::catalog::AttachedTable;

use super::picture::{listed, seen};
use super::session::Attached;

/// How many lines of history a record has at most.
const HISTORY: usize = 50;
/// Why there is no more of a record's history.
const NO_ATTEMPTS: &str = "before this nothing is known: Heroku Connect keeps no attempts, and its archive goes back a month at most";

impl Attached {
    /// A row with its error, what helps, and what the log still holds of it.
    pub(in crate::client) async fn record(&self, at: &RowRef) -> Result<RecordView, ClientError> {
        let table = self.table(&at.table).await?;
        if let Some(why) = &table.unreadable {
            return Err(ClientError::refused(format!("the rows of {} cannot be read: {why}", at.table)));
        }
        let picture = self.picture().await?;
        let at = RowRef { table: table.mapping.table.clone(), row: at.row };
        let archive = picture.schema.archive.is_none();
        let entries = self.store().attached_entries(archive, std::slice::from_ref(&at)).await?;
        let entries = entries.into_values().next().unwrap_or_default();
        let states = self.store().attached_rows(&at.table, &[at.row]).await?;
        let state = states.get(&at.row);
        let row = self.store().values(&at.table, &[at.row]).await?.remove(&at.row);
        if row.is_none() && entries.is_empty() {
            return Err(ClientError::not_found(format!("the table {} has no row {}", at.table, at.row)));
        }
        let exists = row.is_some();
        let gone = || entries.iter().rev().find_map(|entry| entry.old.clone()).unwrap_or_default();
        let values = row.unwrap_or_else(gone);
        let about = seen(Some(&table), state);
        let failed = failure(&entries, about, picture.mode);
        let error = failed
            .as_ref()
            .map(|failed| listed((&at, Utc::now()), Some(&table), &entries, about, failed).error);
        let error_state = error.as_ref().map(|error| error.state);
        let unit = unit(&entries, error_state);
        let value = |field: &Field| values.get(&field.column).cloned().flatten();
        let mut record = RecordView {
            row: at.clone(),
            mapping: table.mapping.object.clone(),
            sfid: state.and_then(|state| state.sfid.clone()),
            lastop: state.and_then(|state| state.lastop.clone()),
            unit: unit.to_owned(),
            exists,
            values: table.mapping.fields.iter().map(|field| (field.clone(), value(field))).collect(),
            error,
            advice: Diagnosis::default(),
            conflicts: Vec::new(),
            sending: sending(&table, &entries, about),
            pending: pending(&entries),
            masked: Vec::new(),
            history: history(&entries),
            life: life(&entries, error_state),
            due: false,
        };
        if let Some(error) = &record.error {
            let entry = catalogue::classify(error.source, &error.code, &error.message);
            let mut advice = catalogue::diagnose(entry, &table.mapping, &record);
            if !record.is_being_sent() {
                advice.remedies = what_helps(advice.remedies, error.class, table.unsent.as_deref());
            }
            advice.cause = without_own_retries(&advice.cause);
            record.advice = advice;
        }
        Ok(record)
    }
}

/// Where the row's changes stand.
fn unit(entries: &[LogEntry], error: Option<ErrorState>) -> &'static str {
    let waits = |word: &str| entries.iter().any(|entry| entry.word == word);
    match error {
        _ if waits("PENDING") => "in flight",
        Some(ErrorState::Open | ErrorState::Ignored) => "failed",
        _ if waits("NEW") => "pending",
        _ => "in step",
    }
}

/// What of an error's remedies can be done beside Heroku Connect. It tries nothing again by itself, whatever is said of that.
fn what_helps(remedies: Vec<SuggestedFix>, class: Class, unsent: Option<&str>) -> Vec<SuggestedFix> {
    let plain = |text: String, action: Option<RemedyAction>| SuggestedFix {
        number: None,
        text,
        action,
        changes: Vec::new(),
        clears: false,
        against: None,
    };
    if let Some(why) = unsent {
        return vec![plain(format!("Mend the record in Salesforce: {why}"), None)];
    }
    let here = |action: &RemedyAction| action.sets_values() || *action == RemedyAction::Retry;
    let mut helps: Vec<SuggestedFix> = remedies
        .into_iter()
        .filter(|remedy| remedy.action.as_ref().is_none_or(here) && !remedy.text.contains("by itself"))
        .collect();
    if class == Class::Transient && !helps.iter().any(|remedy| remedy.action == Some(RemedyAction::Retry)) {
        let text = "Send it again: Heroku Connect tries nothing again by itself".to_owned();
        helps.insert(0, plain(text, Some(RemedyAction::Retry)));
    }
    number(&mut helps);
    helps
}

/// A cause without what is said of what an engine of ours does by itself.
fn without_own_retries(cause: &str) -> String {
    let sentences: Vec<&str> =
        cause.split_inclusive(". ").filter(|part| !part.contains("by itself")).collect();
    if sentences.concat().len() == cause.len() {
        return cause.to_owned();
    }
    format!("{} Heroku Connect tries nothing again by itself.", sentences.concat().trim_end())
        .trim_start()
        .to_owned()
}

/// What waits to be sent of a row, or why nothing does.
fn sending(table: &AttachedTable, entries: &[LogEntry], seen: RowSeen<'_>) -> Sending {
    let waiting: Vec<&LogEntry> = entries.iter().filter(|entry| entry.state == EntryState::Waiting).collect();
    let name = |column: &String| {
        let field = table.mapping.fields.iter().find(|field| field.column == *column);
        field.map_or_else(|| column.clone(), |field| field.name.clone())
    };
    if let Some(last) = waiting.last() {
        let mut values: HashMap<String, Option<String>> = HashMap::new();
        for entry in &waiting {
            let own = entry.values.iter().flatten().filter(|(column, _)| entry.columns().contains(*column));
            values.extend(own.map(|(column, value)| (name(column), value.clone())));
        }
        let mut values: Vec<(String, Option<String>)> = values.into_iter().collect();
        values.sort();
        let what = waiting.iter().find(|entry| entry.action == Some(Change::Insert)).unwrap_or(last);
        return Sending { what: word(what).to_owned(), why: None, values, left_out: Vec::new() };
    }
    let lastop = match seen {
        RowSeen::Row(row) => row.lastop.as_deref(),
        _ => None,
    };
    let why = match (&table.unsent, lastop) {
        (Some(why), _) => why.clone(),
        // A write that changed nothing sets the row so, and so does one of a read-only mapping.
        (None, Some("PENDING")) => {
            "the row says PENDING, and nothing of it waits in the log: it stays so until its record changes in Salesforce".to_owned()
        }
        _ => "nothing of it waits in Heroku Connect's log".to_owned(),
    };
    Sending { what: "nothing".to_owned(), why: Some(why), ..Sending::default() }
}

fn word(entry: &LogEntry) -> &'static str {
    match entry.action {
        Some(Change::Insert) => "insert",
        Some(Change::Delete) => "delete",
        _ => "update",
    }
}

/// Changes that Salesforce has not taken.
fn pending(entries: &[LogEntry]) -> Vec<PendingChange> {
    let unsent =
        entries.iter().filter(|entry| matches!(entry.state, EntryState::Waiting | EntryState::Failed));
    let change = |entry: &LogEntry| {
        let columns = entry.columns().into_iter().map(|column| {
            let value = entry.values.as_ref().and_then(|values| values.get(&column).cloned().flatten());
            (column, None, value)
        });
        let columns = columns.collect();
        PendingChange {
            at: entry.created_at,
            action: word(entry).to_owned(),
            state: entry.word.clone(),
            columns,
        }
    };
    unsent.map(change).collect()
}

/// What became of the newest change of which the log has an entry. How often it was sent nobody notes.
fn life(entries: &[LogEntry], error: Option<ErrorState>) -> ChangeLife {
    let Some(newest) = entries.iter().max_by_key(|entry| entry.id) else {
        let unknown = "Heroku Connect's log has no change of this row: its archive goes back a month at most";
        return ChangeLife { unknown: Some(unknown.to_owned()), ..ChangeLife::default() };
    };
    let (settled_at, word) = (newest.settled_at, newest.word.as_str());
    let answered = |last: &str| {
        let (first_at, last_at) = (settled_at, settled_at);
        Some(LifeAnswers { count: 1, first_at, last_at, last: last.to_owned() })
    };
    let dropped = |why: String| LifeStage::Dropped { why, at: Some(settled_at) };
    let (answers, stage) = match newest.state {
        EntryState::Success | EntryState::Merged => {
            (answered("accepted"), LifeStage::Accepted { at: Some(settled_at) })
        }
        EntryState::Failed if error == Some(ErrorState::Ignored) => {
            (answered("rejected"), dropped("ignored".to_owned()))
        }
        EntryState::Failed => {
            (answered("rejected"), LifeStage::GivenUp { why: "waits for a person".to_owned() })
        }
        EntryState::Waiting if word == "PENDING" => (None, LifeStage::Sending),
        EntryState::Waiting => (None, LifeStage::Waiting { why: "waits for Heroku Connect".to_owned() }),
        EntryState::Ignored => (None, dropped("ignored".to_owned())),
        EntryState::Other => (None, dropped(word.to_lowercase())),
    };
    let captured_at = Some(newest.created_at).filter(|captured| captured.timestamp() > 0);
    ChangeLife { captured_at, answers, stage, unknown: None }
}

/// What the log and its archive still hold of a row, the newest first.
fn history(entries: &[LogEntry]) -> Vec<HistoryEntry> {
    let line = |entry: &LogEntry| {
        let what = match entry.state {
            EntryState::Success | EntryState::Merged => "accepted",
            EntryState::Failed => "rejected",
            EntryState::Waiting => "sent",
            EntryState::Ignored | EntryState::Other => "retried",
        };
        let place = if entry.archived { "archived " } else { "" };
        let said = entry.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
        let columns: Vec<String> = entry.columns().into_iter().collect();
        let columns = if columns.is_empty() { String::new() } else { format!(" of {}", columns.join(", ")) };
        HistoryEntry {
            at: entry.settled_at,
            what: what.to_owned(),
            text: format!("{} {place}entry {}, {}{columns}{said}", entry.word, entry.id, word(entry)),
            request: None,
            response: None,
        }
    };
    let mut lines: Vec<HistoryEntry> = entries.iter().rev().take(HISTORY).map(line).collect();
    lines.push(HistoryEntry {
        at: lines.last().map_or_else(Utc::now, |oldest| oldest.at),
        what: "noted".to_owned(),
        text: match entries.len().saturating_sub(HISTORY) {
            0 => NO_ATTEMPTS.to_owned(),
            older => format!("{older} older entries of it are not shown"),
        },
        request: None,
        response: None,
    });
    lines
}
