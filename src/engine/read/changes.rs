//! One poll: what changed and what was deleted since the cursor, and what is to be read once more.

use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::{RowId, Sfid};
use crate::domain::reports::run::Run;
use crate::postgres::failpoint;
use crate::postgres::reports::status::{Lease, ReadCursor};
use crate::postgres::tables::rows::RecordRow;
use crate::postgres::tables::uncaptured::Uncaptured;
use crate::salesforce::query::{DeletedRecords, FieldSelection, instant};
use crate::salesforce::{self, value};

use super::apply::{apply, note, remove};
use super::fetch::{ReadError, lease_length, newest, records, stamp_of, timed};
use super::{gone, replaced};
use crate::engine::Shared;

/// Salesforce tells deletes for the last 15 days only.
pub(super) const DELETES_KEPT: chrono::Duration = chrono::Duration::days(14);

/// Records read once more in one poll.
const REREADS: i64 = 1_000;

/// What changed, what was deleted and what is to be read once more; then the cursor moves. Returns what was read, and how
/// many rows were deleted.
pub(in crate::engine) async fn look(
    shared: &Shared,
    lease: &Lease,
    mapping: &Mapping,
    cursor: &mut ReadCursor,
    run: &mut Run,
) -> Result<(PollRead, u64), ReadError> {
    // Deletes come first: a record that takes the place of one that is gone may have its unique values.
    let deleted = deletes(shared, lease, mapping, cursor).await?;
    let mut read = changes(shared, lease, mapping, cursor, run).await?;
    read.changed.extend(once_more(shared, lease, mapping).await?.changed);
    failpoint::pass(failpoint::BEFORE_CURSOR).await?;
    shared.store.set_cursor(lease, &mapping.object, cursor, read.records).await?;
    run.changed += deleted as i64;
    Ok((read, deleted))
}

/// What one poll read.
#[derive(Default)]
pub(in crate::engine) struct PollRead {
    /// How many records were read.
    pub(super) records: i64,
    /// How many rows were written.
    pub(super) written: u64,
    /// The rows that changed.
    pub(super) changed: Vec<RowId>,
}

/// What changed since the cursor. Salesforce stamps a record before it commits it, so each read goes back a little;
/// records that could not be applied keep the cursor behind them.
async fn changes(
    shared: &Shared,
    lease: &Lease,
    mapping: &Mapping,
    cursor: &mut ReadCursor,
    run: &mut Run,
) -> Result<PollRead, ReadError> {
    let mut read = PollRead::default();
    let Some(since) = cursor.read else { return Ok(read) };
    let Some(stamp) = mapping.system.stamp else { return everything(shared, lease, mapping, run).await };
    let (mut begin, mut asked_at) = (Instant::now(), shared.store.now().await?);
    let since = since.min(asked_at);
    let selection = FieldSelection::of(mapping);
    let name = stamp.name();
    let later = |since| {
        let from = instant(back_from(since, shared.config.salesforce.look_back));
        format!(" WHERE {name} >= {from} ORDER BY {name} ASC")
    };
    let mut page = timed(shared, mapping, shared.client.select(&selection, &later(since))).await?;
    let mut begun = since;
    // A stamp may lie anywhere; from one in the future on, nothing would be read until that day has come.
    let newest_possible = asked_at;
    let mut reached = since;
    let mut skipped: Option<DateTime<Utc>> = None;
    loop {
        let rows: Vec<RecordRow> = page.records.iter().map(|record| value::to_row(mapping, record)).collect();
        replaced::tell(shared, mapping, &page.replaced);
        let applied = apply(shared, lease, mapping, &rows, asked_at).await?;
        note(run, rows.len(), &applied);
        tell_uncaptured(shared, mapping, &applied.uncaptured);
        let stored_at = asked_at + begin.elapsed();
        let new = page.records.iter().filter_map(|record| stamp_of(mapping, record));
        // Where Salesforce's clock is ahead, a record is no older than nothing.
        let age = |stamp: DateTime<Utc>| (stored_at - stamp).to_std().unwrap_or_default();
        let lags = new.filter(|stamp| *stamp > since).map(age);
        // While events come they bring what changes: to a poll it only looks as old as the poll is rare.
        if !shared.flows.is(&mapping.object) {
            shared.metrics.lagged(&mapping.object, &lags.collect::<Vec<_>>());
        }
        read.records += rows.len() as i64;
        read.written += applied.written;
        read.changed.extend(&applied.changed);
        reached = reached.max(newest(mapping, &page.records).unwrap_or(since).min(newest_possible));
        for record in &page.records {
            let id = record.get("Id").and_then(Value::as_str).unwrap_or("");
            if applied.skipped.iter().any(|skipped| skipped == id) {
                let stamp = stamp_of(mapping, record).unwrap_or(since);
                skipped = Some(skipped.map_or(stamp, |earliest| earliest.min(stamp)));
            }
        }
        let Some(next) = page.next else { break };
        (begin, asked_at) = (Instant::now(), shared.store.now().await?);
        page = match timed(shared, mapping, shared.client.select_more(&selection, &next)).await {
            // Asked anew from where it was, if it has come further since it was asked last.
            Err(error) if error.is_lost_place() && reached > begun => {
                begun = reached;
                timed(shared, mapping, shared.client.select(&selection, &later(begun))).await?
            }
            page => page?,
        };
    }
    cursor.read = Some(skipped.map_or(reached, |stamp| reached.min(stamp)).max(since));
    Ok(read)
}

/// Says that rows were written without being captured: what was written there is gone, and never reached Salesforce. Only a
/// poll tells it, for a load may bring values that were not read before.
fn tell_uncaptured(shared: &Shared, mapping: &Mapping, rows: &[Uncaptured]) {
    let Some(first) = rows.first() else { return };
    let text = match rows.len() {
        1 => format!("{}: the row {} was written without being captured", mapping.object, first.row),
        many => format!("{}: {many} rows were written without being captured", mapping.object),
    };
    shared.log.of("reader").warn(
        format!("{text}; Salesforce's values were taken instead"),
        json!({"mapping": mapping.object, "code": "UNCAPTURED_WRITE", "row": first.row.0.to_string(),
            "fields": first.fields.join(", ")}),
    );
}

/// Every record of an object that does not say when one changed; what is not met is gone.
async fn everything(
    shared: &Shared,
    lease: &Lease,
    mapping: &Mapping,
    run: &mut Run,
) -> Result<PollRead, ReadError> {
    let mut read = PollRead::default();
    let asked_at = shared.store.now().await?;
    let selection = FieldSelection::of(mapping);
    let mut page = timed(shared, mapping, shared.client.select(&selection, "")).await?;
    let mut met = gone::Met::default();
    loop {
        let rows: Vec<RecordRow> = page.records.iter().map(|record| value::to_row(mapping, record)).collect();
        met.note(&rows);
        replaced::tell(shared, mapping, &page.replaced);
        let applied = apply(shared, lease, mapping, &rows, asked_at).await?;
        note(run, rows.len(), &applied);
        read.records += rows.len() as i64;
        read.written += applied.written;
        read.changed.extend(applied.changed);
        let Some(next) = page.next else { break };
        shared.store.lease(lease, lease_length(shared, mapping)).await?;
        page = timed(shared, mapping, shared.client.select_more(&selection, &next)).await?;
    }
    read.written += gone::remove_gone(shared, mapping, lease, &met).await?;
    Ok(read)
}

/// A little before a stamp, or the stamp itself where there is no such instant.
fn back_from(stamp: DateTime<Utc>, back: Duration) -> DateTime<Utc> {
    let back = chrono::Duration::from_std(back).unwrap_or_default();
    stamp.checked_sub_signed(back).unwrap_or(stamp)
}

/// What was read by the records' ids.
#[derive(Default)]
pub(super) struct Fetched {
    /// The rows that changed.
    pub(super) changed: Vec<RowId>,
    /// How many were written or deleted.
    pub(super) written: u64,
    /// How many records were asked for.
    pub(super) records: usize,
    /// Whether some are still to be read: somebody holds their rows.
    pub(super) is_left: bool,
}

/// Records that are to be read by their ids: those that events name, and those whose rows were written by hand, for what a
/// person was shown may be older than what is there. The cursor knows nothing of it.
pub(super) async fn once_more(
    shared: &Shared,
    lease: &Lease,
    mapping: &Mapping,
) -> Result<Fetched, ReadError> {
    shared.store.release_candidates(mapping).await?;
    let wanted = shared.store.take_rereads(&mapping.table, REREADS).await?;
    let (wanted, wrong): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|(id, _)| Sfid::parse(id).is_some());
    drop_wrong(shared, mapping, wrong).await?;
    if wanted.is_empty() {
        return Ok(Fetched::default());
    }
    let (begin, asked_at) = (Instant::now(), shared.store.now().await?);
    let ids: Vec<&str> = wanted.iter().map(|(id, _)| id.as_str()).collect();
    let found = timed(shared, mapping, records(&shared.client, mapping, &ids)).await?;
    let rows: Vec<RecordRow> = found.values().map(|record| value::to_row(mapping, record)).collect();
    let applied = apply(shared, lease, mapping, &rows, asked_at).await?;
    // One that is gone without an event that says so is told by the deletes.
    let gone: Vec<String> = wanted
        .iter()
        .filter(|(id, deleted)| *deleted && !found.contains_key(id))
        .map(|(id, _)| id.clone())
        .collect();
    let removed = remove(shared, lease, mapping, &gone).await?;
    if shared.flows.is(&mapping.object) && applied.written > 0 {
        let stored_at = asked_at + begin.elapsed();
        let stamps = found.values().filter_map(|record| stamp_of(mapping, record));
        let lags = stamps.map(|stamp| (stored_at - stamp).to_std().unwrap_or_default());
        shared.metrics.lagged(&mapping.object, &lags.collect::<Vec<_>>());
    }
    let records = wanted.len();
    let is_left = |id: &String| applied.skipped.contains(id) || removed.locked.contains(id);
    let (left, done): (Vec<String>, Vec<String>) =
        wanted.into_iter().map(|(id, _)| id).partition(|id| is_left(id));
    let is_left = !left.is_empty();
    shared.store.reread_done(&mapping.table, &done, &left, asked_at).await?;
    Ok(Fetched { changed: applied.changed, written: applied.written + removed.deleted, records, is_left })
}

/// Drops what is no id of Salesforce's: a query with it is refused as a whole.
async fn drop_wrong(shared: &Shared, mapping: &Mapping, wrong: Vec<(String, bool)>) -> Result<(), ReadError> {
    if wrong.is_empty() {
        return Ok(());
    }
    let ids: Vec<String> = wrong.into_iter().map(|(id, _)| id).collect();
    shared.log.of("reader").warn(
        format!(
            "{}: {} records cannot be read once more: their ids are none of Salesforce's",
            mapping.object,
            ids.len()
        ),
        json!({"mapping": mapping.object, "sfids": ids.join(", ")}),
    );
    let now = shared.store.now().await?;
    shared.store.reread_done(&mapping.table, &ids, &[], now).await?;
    Ok(())
}

/// What was deleted. Salesforce cuts the span to whole minutes, so it is widened by one on either side.
async fn deletes(
    shared: &Shared,
    lease: &Lease,
    mapping: &Mapping,
    cursor: &mut ReadCursor,
) -> Result<u64, ReadError> {
    let now = shared.store.now().await?.trunc_subsecs(0);
    let minute = chrono::Duration::minutes(1);
    let since = cursor.deletes.unwrap_or(now).min(now);
    let start = since - minute * 2;
    let deleted = match (mapping.system.replicateable, mapping.system.stamp) {
        (true, _) | (_, Some(_)) if since < now - DELETES_KEPT => Err(format!(
            "what was deleted before {} is told no more",
            (now - DELETES_KEPT).format("%Y-%m-%d %H:%M")
        )),
        (true, _) => told_deletes(shared.client.deleted(&mapping.object, start, now + minute).await, since)?,
        (false, Some(stamp)) if mapping.system.is_deleted => {
            let start = back_from(start, shared.config.salesforce.look_back);
            let ids = shared.client.deleted_since(&mapping.object, stamp.name(), start).await?;
            Ok(DeletedRecords { ids, ..DeletedRecords::default() })
        }
        // Nobody tells; a reload finds out.
        _ => Ok(DeletedRecords::default()),
    };
    let deleted = match deleted {
        Ok(deleted) => deleted,
        Err(why) => {
            let removed = missed_deletes(shared, lease, mapping, &why).await?;
            cursor.deletes = Some(now);
            return Ok(removed);
        }
    };
    let removed = remove(shared, lease, mapping, &deleted.ids).await?;
    // However long somebody holds a row, its delete is told again until it is done.
    if removed.locked.is_empty() || cursor.deletes.is_none() {
        cursor.deletes = Some(deleted.covered.unwrap_or(now).min(now));
    }
    Ok(removed.deleted)
}

/// What Salesforce tells of deletes since a time, or why it does not tell them all.
fn told_deletes(
    answer: Result<DeletedRecords, salesforce::Error>,
    since: DateTime<Utc>,
) -> Result<Result<DeletedRecords, String>, salesforce::Error> {
    match answer {
        Ok(deleted) => Ok(match deleted.since.filter(|earliest| *earliest > since) {
            Some(earliest) => {
                Err(format!("what was deleted before {} is told no more", earliest.format("%Y-%m-%d %H:%M")))
            }
            None => Ok(deleted),
        }),
        Err(salesforce::Error::Api { code, message, .. })
            if ["EXCEEDED_ID_LIMIT", "INVALID_REPLICATION_DATE"].contains(&code.as_str()) =>
        {
            Ok(Err(format!("what was deleted is not told: {code}: {message}")))
        }
        Err(error) => Err(error),
    }
}

/// Finds what was deleted where Salesforce does not tell it.
async fn missed_deletes(
    shared: &Shared,
    lease: &Lease,
    mapping: &Mapping,
    why: &str,
) -> Result<u64, ReadError> {
    let log = shared.log.of("reader");
    log.warn(
        format!("{}: {why}; all its records are compared with the rows by their ids", mapping.object),
        json!({"mapping": mapping.object, "code": "DELETES_NOT_TOLD"}),
    );
    let removed = gone::compare_ids(shared, mapping, lease).await?;
    log.info(
        format!("{}: {removed} rows whose records were deleted are gone", mapping.object),
        json!({"mapping": mapping.object, "rows": removed}),
    );
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deletes_that_are_told_in_part_are_not_taken_for_all() {
        let at = |minutes| DateTime::UNIX_EPOCH + chrono::Duration::minutes(minutes);
        let told = |since| Ok(DeletedRecords { since, ..DeletedRecords::default() });
        assert!(told_deletes(told(None), at(5)).unwrap().is_ok());
        assert!(told_deletes(told(Some(at(5))), at(5)).unwrap().is_ok());
        assert!(told_deletes(told(Some(at(6))), at(5)).unwrap().unwrap_err().contains("1970-01-01 00:06"));
        let refused = |code: &str| {
            Err(salesforce::Error::Api {
                status: 400,
                code: code.to_owned(),
                message: String::new(),
                retry_after: None,
            })
        };
        assert!(told_deletes(refused("EXCEEDED_ID_LIMIT"), at(5)).unwrap().is_err());
        assert!(told_deletes(refused("INVALID_REPLICATION_DATE"), at(5)).unwrap().is_err());
        assert!(told_deletes(refused("INVALID_TYPE"), at(5)).is_err());
    }
}
