//! What was read goes into the rows, and rows of deleted records go. What PostgreSQL refuses of it is found by halving, so
//! that one bad record costs the others nothing; it is kept by id, with an error that names what is in the way, and tried
//! again until it goes (next door).

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::domain::errors::sync_error::ErrorSource;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::RowId;
use crate::domain::reports::run::Run;
use crate::domain::values::hstore::Hstore;
use crate::domain::values::masking::{Hidden, hides};
use crate::postgres::errors::sync_errors::NewError;
use crate::postgres::reports::status::Lease;
use crate::postgres::tables::obstacle::{Obstacle, RowWrite};
use crate::postgres::tables::records::json_text;
use crate::postgres::tables::refused::RowRefusal;
use crate::postgres::tables::rows::{Alone, RecordRow};
use crate::postgres::tables::uncaptured::Uncaptured;
use crate::postgres::{self, Store};

use super::fetch::{self, ReadError};
use crate::engine::Shared;

/// How often a page may wait for somebody's lock before the rest of it is left for the next read.
const WAITS: usize = 8;
/// Rows removed in one transaction, at most.
const REMOVED: usize = 5_000;
/// How long a page is worked off before the mapping is claimed anew: one of which much is refused takes its time.
const CLAIM_ANEW: Duration = Duration::from_secs(2);

/// What an application of records did.
#[derive(Debug, Default)]
pub(in crate::engine) struct PageApplied {
    pub(in crate::engine) written: u64,
    /// The rows that changed.
    pub(in crate::engine) changed: Vec<RowId>,
    /// Records that are to be read again.
    pub(in crate::engine) skipped: Vec<String>,
    /// Rows that had been written without being captured.
    pub(in crate::engine) uncaptured: Vec<Uncaptured>,
    /// Of records that PostgreSQL refused, how many of each code.
    pub(in crate::engine) refused: BTreeMap<&'static str, i64>,
}

/// What a removal of rows did.
#[derive(Debug, Default)]
pub(in crate::engine) struct Removed {
    pub(in crate::engine) deleted: u64,
    /// Records whose row somebody holds.
    pub(in crate::engine) locked: Vec<String>,
}

/// Notes what became of a page.
pub(in crate::engine) fn note(run: &mut Run, records: usize, applied: &PageApplied) {
    run.ended_at = Utc::now();
    run.records += records as i64;
    run.changed += applied.written as i64;
    for (code, count) in &applied.refused {
        run.failed += count;
        *run.codes.entry((*code).to_owned()).or_default() += count;
    }
}

/// Applies a page.
pub(in crate::engine) async fn apply(
    shared: &Shared,
    lease: &Lease,
    mapping: &Mapping,
    rows: &[RecordRow],
    asked_at: DateTime<Utc>,
) -> Result<PageApplied, ReadError> {
    let store = &shared.store;
    let mut total = PageApplied::default();
    let mut refused = Refused::new(mapping, RowWrite::Store);
    let mut waits = WAITS;
    let mut waiting: Vec<&[RecordRow]> = vec![rows];
    let mut claimed = Instant::now();
    while let Some(part) = waiting.pop() {
        claim_anew(shared, lease, mapping, &mut claimed).await?;
        match store.apply_records(lease, mapping, part, asked_at).await {
            Ok(applied) => {
                total.written += applied.inserted + applied.updated.len() as u64;
                total.changed.extend(applied.updated);
                total.skipped.extend(applied.skipped);
                total.uncaptured.extend(applied.uncaptured);
                for sfid in &applied.kept {
                    let record = part.iter().find(|record| id_of(record) == sfid);
                    refused.add(store, sfid, Obstacle::dropped(RowWrite::Store), record).await;
                }
                let swallowed: HashSet<&str> = applied.swallowed.iter().map(String::as_str).collect();
                for record in part.iter().filter(|record| swallowed.contains(id_of(record))) {
                    claim_anew(shared, lease, mapping, &mut claimed).await?;
                    alone(store, lease, record, asked_at, &mut total, &mut refused).await?;
                }
            }
            Err(error) if error.is_lock_timeout() && (part.len() == 1 || waits == 0) => {
                total.skipped.extend(part.iter().map(|record| id_of(record).to_owned()));
            }
            Err(error) if !error.is_lock_timeout() && !error.is_of_a_record() => return Err(error.into()),
            Err(error) if part.len() > 1 => {
                waits -= usize::from(error.is_lock_timeout());
                let (first, second) = part.split_at(part.len() / 2);
                waiting.extend([second, first]);
            }
            Err(error) => {
                let (sfid, record) = (id_of(&part[0]), Some(&part[0]));
                let obstacle = store.obstacle(mapping, RowWrite::Store, &error, record).await;
                refused.add(store, sfid, obstacle, record).await;
            }
        }
    }
    let out: HashSet<&str> = refused.ids().chain(total.skipped.iter().map(String::as_str)).collect();
    let stored: Vec<&str> = rows.iter().map(id_of).filter(|id| !out.contains(id)).collect();
    total.refused = refused.counts();
    refused.keep(shared, lease).await?;
    settle(shared, mapping, &stored, "it is stored").await?;
    let read: Vec<&str> = rows.iter().map(id_of).collect();
    store.notice_read_findings(&mapping.table, &read).await?;
    Ok(total)
}

/// A record that fell among others without a word is tried alone, so that PostgreSQL says why.
async fn alone(
    store: &Store,
    lease: &Lease,
    record: &RecordRow,
    asked_at: DateTime<Utc>,
    total: &mut PageApplied,
    refused: &mut Refused<'_>,
) -> Result<(), ReadError> {
    let (mapping, sfid) = (refused.mapping, id_of(record));
    let obstacle = match store.insert_alone(lease, mapping, record, asked_at).await {
        Ok(Alone::Inserted) => {
            total.written += 1;
            return Ok(());
        }
        Ok(Alone::Later) => {
            total.skipped.push(sfid.to_owned());
            return Ok(());
        }
        Err(error) if error.is_lock_timeout() => {
            total.skipped.push(sfid.to_owned());
            return Ok(());
        }
        Ok(Alone::Dropped) => Obstacle::dropped(RowWrite::Store),
        Ok(Alone::KeyTaken(holder)) => Obstacle::key_taken(mapping, &holder),
        Err(error) if error.is_of_a_record() => {
            store.obstacle(mapping, RowWrite::Store, &error, Some(record)).await
        }
        Err(error) => return Err(error.into()),
    };
    refused.add(store, sfid, obstacle, Some(record)).await;
    Ok(())
}

/// Removes the rows of deleted records.
pub(in crate::engine) async fn remove(
    shared: &Shared,
    lease: &Lease,
    mapping: &Mapping,
    sfids: &[String],
) -> Result<Removed, ReadError> {
    let store = &shared.store;
    let mut total = Removed::default();
    let mut refused = Refused::new(mapping, RowWrite::Remove);
    let mut waits = WAITS;
    let mut waiting: Vec<&[String]> = sfids.chunks(REMOVED).collect();
    let mut claimed = Instant::now();
    while let Some(part) = waiting.pop() {
        claim_anew(shared, lease, mapping, &mut claimed).await?;
        match store.apply_deletes(lease, mapping, part).await {
            Ok(deletes) => {
                total.deleted += deletes.deleted;
                total.locked.extend(deletes.locked);
                for sfid in &deletes.kept {
                    refused.add(store, sfid, Obstacle::dropped(RowWrite::Remove), None).await;
                }
            }
            Err(error) if error.is_lock_timeout() && (part.len() == 1 || waits == 0) => {
                total.locked.extend_from_slice(part);
            }
            Err(error) if !error.is_lock_timeout() && !error.is_of_a_record() => return Err(error.into()),
            Err(error) if part.len() > 1 => {
                waits -= usize::from(error.is_lock_timeout());
                let (first, second) = part.split_at(part.len() / 2);
                waiting.extend([second, first]);
            }
            Err(error) => {
                let obstacle = store.obstacle(mapping, RowWrite::Remove, &error, None).await;
                refused.add(store, &part[0], obstacle, None).await;
            }
        }
    }
    let out: HashSet<&str> = refused.ids().chain(total.locked.iter().map(String::as_str)).collect();
    let gone: Vec<&str> = sfids.iter().map(String::as_str).filter(|id| !out.contains(id)).collect();
    refused.keep(shared, lease).await?;
    settle(shared, mapping, &gone, "its row is gone").await?;
    store.notice_read_findings(&mapping.table, &gone).await?;
    Ok(total)
}

/// Extends the reader's lease now and then.
async fn claim_anew(
    shared: &Shared,
    lease: &Lease,
    mapping: &Mapping,
    claimed: &mut Instant,
) -> Result<(), postgres::Error> {
    if claimed.elapsed() >= CLAIM_ANEW {
        *claimed = Instant::now();
        shared.store.lease(lease, fetch::lease_length(shared, mapping)).await?;
    }
    Ok(())
}

/// These records are refused no more.
pub(in crate::engine) async fn settle(
    shared: &Shared,
    mapping: &Mapping,
    sfids: &[&str],
    how: &str,
) -> Result<(), postgres::Error> {
    let settled = shared.store.settle_refused(&mapping.table, sfids, how).await?;
    if settled > 0 {
        shared.log.of("reader").info(
            format!("{}: {settled} records that were refused are settled: {how}", mapping.object),
            json!({"mapping": mapping.object}),
        );
        shared.store.notify("errors").await?;
    }
    Ok(())
}

/// What was refused of one page.
struct Refused<'a> {
    mapping: &'a Mapping,
    write: RowWrite,
    found: Vec<(&'static str, RowRefusal)>,
}

impl Refused<'_> {
    fn new(mapping: &Mapping, write: RowWrite) -> Refused<'_> {
        Refused { mapping, write, found: Vec::new() }
    }

    fn ids(&self) -> impl Iterator<Item = &str> {
        self.found.iter().map(|(_, refusal)| refusal.sfid.as_str())
    }

    fn counts(&self) -> BTreeMap<&'static str, i64> {
        let mut counts = BTreeMap::new();
        self.found.iter().for_each(|(code, _)| *counts.entry(*code).or_default() += 1);
        counts
    }

    async fn add(&mut self, store: &Store, sfid: &str, obstacle: Obstacle, record: Option<&RecordRow>) {
        let Obstacle { code, cause, text, quoted, fields } = obstacle;
        let why = match quoted {
            Some(quoted) => format!("{text}: {}", self.shown(store, sfid, &quoted, record).await),
            None => text,
        };
        let message = match self.write {
            RowWrite::Store => format!("the record {sfid} cannot be stored: {why}"),
            RowWrite::Remove => {
                format!("the row of the record {sfid}, which was deleted in Salesforce, stays: {why}")
            }
        };
        let (object, op) = (&self.mapping.object, self.write.word());
        let error = NewError::classified(object, op, ErrorSource::Postgres, code, &message, fields);
        let error = NewError { sfid: Some(sfid.to_owned()), ..error };
        self.found.push((code, RowRefusal { sfid: sfid.to_owned(), write: self.write, cause, error }));
    }

    /// What others say of a record, without the masked values of the record and of its row.
    async fn shown(&self, store: &Store, sfid: &str, quoted: &str, record: Option<&RecordRow>) -> String {
        let mapping = self.mapping;
        if !hides(mapping) {
            return quoted.to_owned();
        }
        let row = store.row_of_record(mapping, sfid).await.ok().flatten();
        let mut hidden = Hidden::default();
        for values in [record, row.as_ref()].into_iter().flatten() {
            hidden.add(mapping, &texts(values));
        }
        hidden.hide(quoted)
    }

    async fn keep(self, shared: &Shared, lease: &Lease) -> Result<(), postgres::Error> {
        let Some((code, first)) = self.found.first() else { return Ok(()) };
        let (mapping, what) =
            (self.mapping, if self.write == RowWrite::Store { "stored" } else { "removed" });
        shared.log.of("reader").warn(
            format!("{}: {} records cannot be {what}", mapping.object, self.found.len()),
            json!({"mapping": mapping.object, "code": code, "sfid": first.sfid}),
        );
        let refusals: Vec<RowRefusal> = self.found.into_iter().map(|(_, refusal)| refusal).collect();
        shared.store.keep_refused(lease, mapping, &refusals).await?;
        shared.store.notify("errors").await
    }
}

fn id_of(record: &RecordRow) -> &str {
    record.get("sfid").and_then(Value::as_str).unwrap_or("")
}

fn texts(values: &RecordRow) -> Hstore {
    values.iter().map(|(column, value)| (column.clone(), json_text(value))).collect()
}
