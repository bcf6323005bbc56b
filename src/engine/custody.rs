//! Custody looks whether every entry of the change log has somebody who answers for it. A predecessor leaves entries in
//! flight and failed ones; people set states by hand; something else writes what fits nowhere. None of that may lie there
//! unseen, and none may hold up what is right.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::domain::changes::dispatch::Content;
use crate::domain::errors::catalogue::{self, code_and_message};
use crate::domain::errors::sync_error::ErrorSource;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::{RowId, RowRef};
use crate::postgres::Error;
use crate::postgres::changes::custody::{RowHint, Unowned};
use crate::postgres::changes::given_up::FinishedEntries;
use crate::postgres::errors::sync_errors::NewError;

use super::Shared;
use super::write::mask;

/// Between two parts of the log, once it was walked whole.
const INTERVAL: Duration = Duration::from_secs(1);
/// Between the parts of the first walk.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// How many entries are looked at in one go.
const PART: i64 = 5_000;
/// What keeps a table's entries where they are; the others are looked after.
const NOT_ARCHIVED: &str = "changes that are done with cannot be archived";
/// The operation under which tables without a mapping are listed.
const OP: &str = "log";

/// Where a walk is.
#[derive(Default)]
struct Walk {
    /// In the log.
    entry: i32,
    /// In the errors of entries.
    error: i32,
    /// Tables without a mapping, as far as they were met.
    strangers: BTreeSet<String>,
    /// Whether a table's entries could not be archived on this walk.
    refused: bool,
    /// Whether the log was walked whole once.
    again: bool,
}

/// Runs until the end of the engine.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut walk = Walk::default();
    loop {
        let done = shared.trouble.check("the change log cannot be looked after", walk.step(&shared).await);
        if !shared.pause(if walk.again || done.is_none() { INTERVAL } else { FIRST_PAUSE }).await {
            return;
        }
    }
}

impl Walk {
    /// Looks after one part of the log.
    async fn step(&mut self, shared: &Shared) -> Result<(), Error> {
        let mappings = shared.mappings();
        let found = shared.store.look_after(&mappings, self.entry, PART).await?;
        let mut news = shared.store.set_aside(&mappings, &found.misfits).await? > 0;
        if news {
            let text =
                format!("{} entries of _trigger_log fit nowhere; they are listed", found.misfits.len());
            shared.log.of("custody").error(text, json!({"code": "ENTRY_UNREADABLE"}));
        }
        if !found.finished.is_empty() {
            let finished = shared.store.archive_finished(&mappings, &found.finished).await?;
            news |= !finished.given_up.is_empty() || !finished.put_back.is_empty();
            tell_finished(shared, &finished);
            for (_, error) in &finished.refused {
                shared.trouble.note(NOT_ARCHIVED, error);
                self.refused = true;
            }
        }
        news |= adopt(shared, &mappings, found.unowned).await?;
        self.strangers.extend(found.strangers);
        self.entry = match found.next {
            Some(next) => next,
            None => {
                tell_strangers(shared, &std::mem::take(&mut self.strangers)).await;
                if !std::mem::take(&mut self.refused) {
                    shared.trouble.over(NOT_ARCHIVED);
                }
                self.again = true;
                0
            }
        };
        let (next, resolved) = shared.store.resolve_entries(self.error, PART).await?;
        self.error = next.unwrap_or(0);
        if news || resolved > 0 {
            let _ = shared.store.notify("errors").await;
            let _ = shared.store.notify("overview").await;
        }
        Ok(())
    }
}

/// Tells what became of entries that are done with.
fn tell_finished(shared: &Shared, finished: &FinishedEntries) {
    let log = shared.log.of("custody");
    let rows = |rows: &[RowRef]| {
        let rows: Vec<String> = rows.iter().map(|at| format!("{} {}", at.table, at.row)).collect();
        json!({"rows": rows.join(", ")})
    };
    if finished.archived > 0 {
        let text = format!(
            "{} entries of _trigger_log whose state says that they are done with were archived",
            finished.archived
        );
        log.info(text, json!({}));
    }
    if !finished.given_up.is_empty() {
        let text = format!(
            "the changes of {} rows were given up in _trigger_log (IGNORED, or said to be done); their errors are over",
            finished.given_up.len()
        );
        log.warn(text, rows(&finished.given_up));
    }
    if !finished.put_back.is_empty() {
        let text = format!(
            "the changes of {} rows were given up in _trigger_log and are unsent again: Salesforce may have their \
             records; link, ignore or retry their errors",
            finished.put_back.len()
        );
        log.warn(text, rows(&finished.put_back));
    }
}

/// Takes entries that nothing answers for into custody. Tells whether there were any.
async fn adopt(shared: &Shared, mappings: &[Mapping], unowned: Vec<Unowned>) -> Result<bool, Error> {
    if unowned.is_empty() {
        return Ok(false);
    }
    let classified: Vec<(Unowned, Option<NewError>)> = unowned
        .into_iter()
        .map(|one| {
            let mapping = mappings.iter().find(|mapping| mapping.table == one.at.table);
            let error = mapping.filter(|_| one.failed).map(|mapping| failure(mapping, &one));
            (one, error)
        })
        .collect();
    let failed = classified.iter().filter(|(one, _)| one.failed).count();
    let rows = shared.store.adopt(&classified).await?;
    shared.log.of("custody").warn(
        format!(
            "{} changes that nothing answered for were taken over: {} were in flight, {failed} had failed",
            classified.len(),
            classified.len() - failed
        ),
        json!({"rows": rows}),
    );
    shared.wake_writer.notify_one();
    Ok(true)
}

/// The error of an entry that failed before there was anybody to list it.
fn failure(mapping: &Mapping, one: &Unowned) -> NewError {
    let told = one.message.as_deref().unwrap_or("it failed, and nothing was noted of why");
    let (code, message) = code_and_message(told);
    let message = mask::message(mapping, &one.values, message);
    NewError {
        sfid: one.sfid.clone(),
        sent: mask::searchable(mapping, &one.values),
        ..NewError::classified(
            &mapping.object,
            &one.op,
            catalogue::source_of(code),
            code,
            &message,
            Vec::new(),
        )
    }
}

/// Lists, or no longer lists, tables whose changes no mapping sends.
async fn tell_strangers(shared: &Shared, tables: &BTreeSet<String>) {
    let codes: &[&str] = if tables.is_empty() { &[] } else { &["TABLE_NOT_MAPPED"] };
    let _ = shared.store.resolve_other_errors("", OP, codes).await;
    if tables.is_empty() {
        return;
    }
    let names = tables.iter().cloned().collect::<Vec<_>>().join(", ");
    let message = format!("changes of {names} wait in _trigger_log, and no mapping sends them");
    let error = NewError::classified("", OP, ErrorSource::Engine, "TABLE_NOT_MAPPED", &message, Vec::new());
    let _ = shared.store.keep_mapping_error("", &error, None).await;
}

/// Sets aside what of the claimed units' entries cannot be read.
pub(super) async fn set_unreadable_aside(
    shared: &Shared,
    mapping: &Mapping,
    contents: &HashMap<RowId, Content>,
) -> Result<(), Error> {
    let misfits = contents.iter().flat_map(|(row, content)| {
        let hint = RowHint { table: Some(mapping.table.clone()), row: Some(row.0) };
        content.unreadable.iter().map(move |misfit| (misfit.clone(), hint.clone()))
    });
    let misfits: Vec<_> = misfits.collect();
    if shared.store.set_aside(std::slice::from_ref(mapping), &misfits).await? > 0 {
        shared.log.of("custody").error(
            format!("{} entries of {} cannot be read; they are listed", misfits.len(), mapping.table),
            json!({"mapping": mapping.object, "code": "ENTRY_UNREADABLE"}),
        );
        let _ = shared.store.notify("errors").await;
    }
    Ok(())
}
