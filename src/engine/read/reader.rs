//! A mapping's reader: polls by SystemModstamp (or what the object has of it) with look-back, and deletes, after the load
//! (next door). One engine at a time reads a mapping, by a named lease.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::domain::catalogue::Source;
use crate::domain::mapping::Mapping;
use crate::domain::names::{RowId, RowRef};
use crate::domain::run::{Kind, Run};
use crate::domain::sync_error::Class;
use crate::postgres::errors::NewError;
use crate::postgres::rows::RecordRow;
use crate::postgres::status::{Cursor, Lease};
use crate::postgres::{self, Store, failpoint};
use crate::salesforce::query::{Selection, instant};
use crate::salesforce::{self, Client, value};

use super::apply::{apply, note, remove};
use super::{load, refused, replaced};
use crate::engine::{Shared, connection, schema, table_check};

/// Between counts of rows and records.
const COUNT_INTERVAL: Duration = Duration::from_secs(30);
/// After a failure.
const FAILURE_PAUSE: Duration = Duration::from_secs(5);
/// Salesforce tells deletes for the last 15 days only.
const DELETES_KEPT: chrono::Duration = chrono::Duration::days(14);

/// Records read once more in one poll.
const REREADS: i64 = 1_000;
/// Rows that one announcement names at most; PostgreSQL's take 8,000 bytes.
const ANNOUNCED: usize = 200;

/// Why a read did not end well.
#[derive(Debug, thiserror::Error)]
pub(in crate::engine) enum ReadError {
    #[error(transparent)]
    Salesforce(#[from] salesforce::Error),
    #[error(transparent)]
    Postgres(#[from] postgres::Error),
}

/// Runs until the end of the engine.
pub(in crate::engine) async fn run(shared: Arc<Shared>, name: String) {
    let mut counted: Option<Instant> = None;
    let mut shape = None;
    let mut told = None;
    while !shared.stop.is_cancelled() {
        let mappings = shared.mappings();
        let Some(mapping) = mappings.iter().find(|mapping| mapping.object == name) else { return };
        tell_costs(&shared, mapping, &mut told);
        let mut pause = mapping.rules.poll_interval;
        if let Some(wait) = shared.link.closed_for() {
            pause = wait.min(FAILURE_PAUSE);
        } else if mapping.gone || shared.guard.is_unfit(&mapping.table) {
            // What was listed is waited for.
        } else {
            match poll(&shared, mapping, &mut shape).await {
                // Another engine reads it: nothing was asked, so nothing is known.
                Ok(false) => {}
                Ok(true) => {
                    connection::works(&shared).await;
                    if counted.is_none_or(|at| at.elapsed() >= COUNT_INTERVAL) {
                        counted = Some(Instant::now());
                        count(&shared, mapping).await;
                    }
                }
                Err(error) => {
                    report(&shared, mapping, &error).await;
                    pause = pause.max(FAILURE_PAUSE);
                }
            }
        }
        // The interval may have become shorter while it was read; from here on the bell rings for that.
        let bell = shared.readers_bell.notified();
        let fresh = shared.mappings();
        if let Some(fresh) = fresh.iter().find(|fresh| fresh.object == name)
            && pause == mapping.rules.poll_interval
        {
            pause = fresh.rules.poll_interval;
        }
        tokio::select! {
            _ = shared.pause(pause) => {}
            () = bell => {}
        }
    }
}

/// Says once what it costs that the object lacks some of Salesforce's own fields.
fn tell_costs(shared: &Shared, mapping: &Mapping, told: &mut Option<String>) {
    let costs = mapping.system.costs();
    if costs == *told {
        return;
    }
    if let Some(costs) = &costs {
        let text = format!("{} is not read as others are: {costs}", mapping.object);
        shared.log.of("reader").warn(text, json!({"mapping": mapping.object}));
    }
    *told = costs;
}

/// One look at Salesforce, when this engine holds the mapping's lease; false when it does not. `shape` is what the table's
/// constraints were at the last one.
async fn poll(shared: &Shared, mapping: &Mapping, shape: &mut Option<String>) -> Result<bool, ReadError> {
    let lease = Lease { name: format!("reader {}", mapping.object), owner: shared.owner.clone() };
    if !shared.store.lease(&lease, lease_length(shared, mapping)).await? {
        return Ok(false);
    }
    let mut cursor = shared.store.cursor(&mapping.object).await?;
    let mut run = Run::begin(&mapping.object, Kind::Poll);
    if (!cursor.loaded || cursor.reload.is_some()) && !load::run(shared, mapping, &lease, &mut cursor).await?
    {
        return Ok(true);
    }
    let (mut read, deleted) = look(shared, &lease, mapping, &mut cursor, &mut run).await?;
    read.changed.extend(refused::retry(shared, &lease, mapping, shape).await?);
    let resolved = shared.store.resolve_mapping_errors(&mapping.object, &["read"]).await?;
    let well = !shared.guard.is_defective(&mapping.object);
    let costs = mapping.system.costs();
    let news = well && shared.store.set_mapping_state(&mapping.object, "ok", costs.as_deref()).await?;
    shared.tally.read(&mapping.object, run.changed);
    if run.changed + run.failed > 0 {
        shared.store.keep_run(&run).await?;
    }
    // It was read: that nobody hears of it at once is no failure.
    let _ = announce(shared, mapping, &read.changed).await;
    if read.written + deleted > 0 || news || resolved > 0 {
        shared.log.of("reader").info(
            format!("{} read: {} rows changed, {deleted} deleted", mapping.object, read.written),
            json!({"mapping": mapping.object, "records": read.records}),
        );
        shared.store.notify("overview").await?;
    } else {
        shared.log.of("reader").debug(
            format!("{} read: nothing new", mapping.object),
            json!({"mapping": mapping.object, "records": read.records}),
        );
    }
    Ok(true)
}

/// Tells whoever looks at one of these rows. Of more than a few, somebody who looks at one sees it a little later.
async fn announce(shared: &Shared, mapping: &Mapping, rows: &[RowId]) -> Result<(), postgres::Error> {
    if rows.is_empty() || rows.len() > ANNOUNCED {
        return Ok(());
    }
    let rows: Vec<String> = rows.iter().map(ToString::to_string).collect();
    shared.store.notify(&format!("read {} {}", rows.join(","), mapping.table)).await
}

/// What changed, what was deleted and what is to be read once more; then the cursor moves. Returns what was read, and how
/// many rows were deleted.
pub(in crate::engine) async fn look(
    shared: &Shared,
    lease: &Lease,
    mapping: &Mapping,
    cursor: &mut Cursor,
    run: &mut Run,
) -> Result<(Read, u64), ReadError> {
    // Deletes come first: a record that takes the place of one that is gone may have its unique values.
    let deleted = deletes(shared, lease, mapping, cursor).await?;
    let mut read = changes(shared, lease, mapping, cursor, run).await?;
    read.changed.extend(once_more(shared, lease, mapping).await?);
    failpoint::pass(failpoint::BEFORE_CURSOR).await?;
    shared.store.set_cursor(lease, &mapping.object, cursor, read.records).await?;
    run.changed += deleted as i64;
    Ok((read, deleted))
}

/// A reader holds its mapping over the pause to its next poll.
pub(in crate::engine) fn lease_length(shared: &Shared, mapping: &Mapping) -> Duration {
    shared.config.salesforce.lease + mapping.rules.poll_interval
}

#[derive(Default)]
pub(in crate::engine) struct Read {
    records: i64,
    written: u64,
    /// The rows that changed.
    changed: Vec<RowId>,
}

/// What changed since the cursor. Salesforce stamps a record before it commits it, so each read goes back a little;
/// records that could not be applied keep the cursor behind them.
async fn changes(
    shared: &Shared,
    lease: &Lease,
    mapping: &Mapping,
    cursor: &mut Cursor,
    run: &mut Run,
) -> Result<Read, ReadError> {
    let mut read = Read::default();
    let Some(since) = cursor.read else { return Ok(read) };
    let Some(stamp) = mapping.system.stamp else { return everything(shared, lease, mapping, run).await };
    let mut asked_at = shared.store.now().await?;
    let since = since.min(asked_at);
    let selection = Selection::of(mapping);
    let name = stamp.name();
    let from = instant(back_from(since, shared.config.salesforce.look_back));
    let mut page =
        shared.client.select(&selection, &format!(" WHERE {name} >= {from} ORDER BY {name} ASC")).await?;
    // A stamp may lie anywhere; from one in the future on, nothing would be read until that day has come.
    let newest_possible = asked_at;
    let mut reached = since;
    let mut skipped: Option<DateTime<Utc>> = None;
    loop {
        let rows: Vec<RecordRow> = page.records.iter().map(|record| value::to_row(mapping, record)).collect();
        replaced::tell(shared, mapping, &page.replaced);
        let applied = apply(shared, lease, mapping, &rows, asked_at).await?;
        note(run, rows.len(), &applied);
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
        asked_at = shared.store.now().await?;
        page = shared.client.select_more(&selection, &next).await?;
    }
    cursor.read = Some(skipped.map_or(reached, |stamp| reached.min(stamp)).max(since));
    Ok(read)
}

/// Every record of an object that does not say when one changed; what is not met is gone.
async fn everything(
    shared: &Shared,
    lease: &Lease,
    mapping: &Mapping,
    run: &mut Run,
) -> Result<Read, ReadError> {
    let mut read = Read::default();
    let asked_at = shared.store.now().await?;
    let selection = Selection::of(mapping);
    let mut page = shared.client.select(&selection, "").await?;
    let mut met = load::Met::default();
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
        page = shared.client.select_more(&selection, &next).await?;
    }
    read.written += load::remove_gone(shared, mapping, lease, &met).await?;
    Ok(read)
}

/// A little before a stamp, or the stamp itself where there is no such instant.
fn back_from(stamp: DateTime<Utc>, back: Duration) -> DateTime<Utc> {
    let back = chrono::Duration::from_std(back).unwrap_or_default();
    stamp.checked_sub_signed(back).unwrap_or(stamp)
}

/// Records whose rows were written by hand: what a person was shown may be older than what is there. Returns the rows
/// that changed.
async fn once_more(shared: &Shared, lease: &Lease, mapping: &Mapping) -> Result<Vec<RowId>, ReadError> {
    shared.store.release_candidates(mapping).await?;
    let wanted = shared.store.take_rereads(&mapping.table, REREADS).await?;
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let asked_at = shared.store.now().await?;
    let ids: Vec<&str> = wanted.iter().map(String::as_str).collect();
    let found = records(&shared.client, mapping, &ids).await?;
    let rows: Vec<RecordRow> = found.values().map(|record| value::to_row(mapping, record)).collect();
    let applied = apply(shared, lease, mapping, &rows, asked_at).await?;
    // One that is gone is told by the deletes.
    let done: Vec<String> = wanted.into_iter().filter(|id| !applied.skipped.contains(id)).collect();
    shared.store.reread_done(&mapping.table, &done, asked_at).await?;
    Ok(applied.changed)
}

/// What was deleted. Salesforce cuts the span to whole minutes, so it is widened by one on either side.
async fn deletes(
    shared: &Shared,
    lease: &Lease,
    mapping: &Mapping,
    cursor: &mut Cursor,
) -> Result<u64, ReadError> {
    let now = shared.store.now().await?.trunc_subsecs(0);
    let minute = chrono::Duration::minutes(1);
    let start = cursor.deletes.unwrap_or(now).clamp(now - DELETES_KEPT, now) - minute * 2;
    let (ids, covered) = match (mapping.system.replicateable, mapping.system.stamp) {
        (true, _) => shared.client.deleted(&mapping.object, start, now + minute).await?,
        (false, Some(stamp)) if mapping.system.is_deleted => {
            let start = back_from(start, shared.config.salesforce.look_back);
            (shared.client.deleted_since(&mapping.object, stamp.name(), start).await?, None)
        }
        // Nobody tells; a reload finds out.
        _ => (Vec::new(), None),
    };
    let removed = remove(shared, lease, mapping, &ids).await?;
    // However long somebody holds a row, its delete is told again until it is done.
    if removed.locked.is_empty() || cursor.deletes.is_none() {
        cursor.deletes = Some(covered.unwrap_or(now).min(now));
    }
    Ok(removed.deleted)
}

/// Keeps a poll that failed whole.
async fn note_failed(shared: &Shared, mapping: &Mapping, code: &str, text: &str) {
    let mut run = Run::begin(&mapping.object, Kind::Poll);
    run.failed = 1;
    run.codes.insert(code.to_owned(), 1);
    run.failure = Some(text.to_owned());
    let _ = shared.store.keep_run(&run).await;
}

async fn report(shared: &Shared, mapping: &Mapping, error: &ReadError) {
    let source = match error {
        ReadError::Salesforce(source) if connection::concerns_link(source) => {
            connection::report(shared, source).await;
            return;
        }
        ReadError::Salesforce(source) => {
            connection::note_unusable(shared, source).await;
            source
        }
        ReadError::Postgres(error) => {
            if error.is_of_this_table() {
                table_check::look(shared).await;
            }
            let text = error.masked(std::iter::once(mapping));
            shared.log.of("reader").error(
                format!("{} cannot be read into its table", mapping.object),
                json!({"mapping": mapping.object, "cause": text}),
            );
            // What PostgreSQL itself refuses stays until somebody looks; a lost connection does not.
            if error.sql_state().is_some_and(|state| !state.code().starts_with("57")) {
                let new = read_failure(mapping, Source::Postgres, "TABLE_NOT_WRITTEN", &text);
                let _ = shared.store.keep_mapping_error(&mapping.table, &new, Some(FAILURE_PAUSE)).await;
                note_failed(shared, mapping, "TABLE_NOT_WRITTEN", &text).await;
            }
            return;
        }
    };
    if let salesforce::Error::Api { code, .. } = source
        && ["INVALID_FIELD", "INVALID_TYPE", "NOT_FOUND"].contains(&code.as_str())
        && schema::look(shared, &mapping.object, true).await
    {
        // The org changed, and that is listed now: the next read asks for what is there.
        return;
    }
    let (code, message) = match source {
        salesforce::Error::Api { code, message, .. } => (code.clone(), message.trim().to_owned()),
        other @ salesforce::Error::Unusable { .. } => ("ANSWER_UNUSABLE".to_owned(), other.to_string()),
        other => ("REQUEST_TIMEOUT".to_owned(), other.to_string()),
    };
    let new = read_failure(mapping, Source::Salesforce, &code, &message);
    let transient = new.class == Class::Transient;
    shared.log.of("reader").warn(
        format!("{} cannot be read", mapping.object),
        json!({"mapping": mapping.object, "code": code, "cause": message}),
    );
    let _ = shared.store.keep_mapping_error(&mapping.table, &new, Some(FAILURE_PAUSE)).await;
    note_failed(shared, mapping, &code, &message).await;
    if !transient {
        let _ = shared
            .store
            .set_mapping_state(&mapping.object, "broken", Some(&format!("{code}: {message}")))
            .await;
    }
    let _ = shared.store.notify("errors").await;
}

fn read_failure(mapping: &Mapping, source: Source, code: &str, message: &str) -> NewError {
    NewError::classified(&mapping.object, "read", source, code, message, Vec::new())
}

/// Reads an object's definition again, and one record, for somebody who asked.
///
/// # Errors
/// Why that could not be done, in words.
pub(in crate::engine) async fn reread(
    shared: &Shared,
    mapping: &Mapping,
    at: &RowRef,
) -> Result<Value, String> {
    schema::look(shared, &mapping.object, true).await;
    let mappings = shared.mappings();
    let told = |error: postgres::Error| error.masked(mappings.iter());
    let mapping = mappings.iter().find(|fresh| fresh.object == mapping.object).unwrap_or(mapping);
    let lease = Lease { name: format!("reader {}", mapping.object), owner: shared.owner.clone() };
    let Some(sfid) = shared.store.sfid_of(at).await.map_err(told)? else { return Ok(Value::Null) };
    // The engine that reads the mapping does so by its own poll.
    if !shared.store.lease(&lease, lease_length(shared, mapping)).await.map_err(told)? {
        return Ok(Value::Null);
    }
    let asked_at = shared.store.now().await.map_err(told)?;
    let found = records(&shared.client, mapping, &[&sfid]).await.map_err(|error| error.to_string())?;
    let rows: Vec<RecordRow> = found.values().map(|record| value::to_row(mapping, record)).collect();
    let applied = apply(shared, &lease, mapping, &rows, asked_at).await.map_err(|error| match error {
        ReadError::Postgres(error) => told(error),
        ReadError::Salesforce(error) => error.to_string(),
    })?;
    if applied.refused.is_empty() {
        return Ok(json!(rows.len()));
    }
    Err(format!("PostgreSQL refuses the record {sfid}; its error says why\nlist it with: syncdeck errors"))
}

/// Records by their ids, with everything that a read asks for; those that are gone are not among them.
pub(in crate::engine) async fn records(
    client: &Client,
    mapping: &Mapping,
    ids: &[&str],
) -> Result<HashMap<String, Value>, salesforce::Error> {
    let found = client.select_ids(&Selection::of(mapping), ids).await?;
    let id = |record: &Value| record.get("Id").and_then(Value::as_str).map(str::to_owned);
    Ok(found.into_iter().filter_map(|record| Some((id(&record)?, record))).collect())
}

/// Counts rows and records. What fails here beside the way itself is not worth a word: the next count comes soon.
pub(in crate::engine) async fn count(shared: &Shared, mapping: &Mapping) {
    let records = match shared.client.query(&format!("SELECT COUNT() FROM {}", mapping.object)).await {
        Ok(page) => Some(page.total),
        Err(error) => {
            note_failure(shared, &error).await;
            None
        }
    };
    let store: &Store = &shared.store;
    let _ = store.count_rows(&mapping.object, &mapping.table, records).await;
}

/// A failure of the way to Salesforce counts wherever it is met.
pub(in crate::engine) async fn note_failure(shared: &Shared, error: &salesforce::Error) {
    if connection::concerns_link(error) || matches!(error, salesforce::Error::Unusable { .. }) {
        connection::report(shared, error).await;
    }
}

/// When a record changed, by the field that says so.
pub(in crate::engine) fn stamp_of(mapping: &Mapping, record: &Value) -> Option<DateTime<Utc>> {
    let text = record.get(mapping.system.stamp?.name())?.as_str()?;
    DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.3f%z").ok().map(|time| time.with_timezone(&Utc))
}

fn newest(mapping: &Mapping, records: &[Value]) -> Option<DateTime<Utc>> {
    records.iter().filter_map(|record| stamp_of(mapping, record)).max()
}
