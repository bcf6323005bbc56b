//! A mapping's load: every record is read, page by page, with its progress told. The first one fills the table; one that an
//! operator asks for brings every row in step again, while polls go on in between. Many records are read by a job (`job`), few
//! by a query.
//!
//! Salesforce may tell a later page as it was when the first was asked for. So nothing that happened since then is taken
//! back by a page: a row that was sent or read meanwhile is read once more instead.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::json;
use tokio::time::Instant;

use crate::domain::mappings::mapping::Mapping;
use crate::domain::reports::overview::LoadProgress;
use crate::domain::reports::run::{Run, RunKind};
use crate::domain::state::MappingState;
use crate::postgres::reports::status::{Lease, ReadCursor};
use crate::postgres::tables::rows::RecordRow;
use crate::salesforce::query::{FieldSelection, Page};
use crate::salesforce::value;

use super::changes::DELETES_KEPT;
use super::fetch::{self, ReadError};
use super::gone::{Met, remove_gone};
use super::job::{self, JobOutcome};
use super::loading::Load;
use super::replaced;
use crate::engine::Shared;

/// Loads a mapping for the first time, or again. False when the engine's end came first.
pub(in crate::engine) async fn run(
    shared: &Arc<Shared>,
    mapping: &Mapping,
    lease: &Lease,
    cursor: &mut ReadCursor,
) -> Result<bool, ReadError> {
    let (log, name) = (shared.log.of("reader"), &mapping.object);
    let what = if cursor.loaded { "reload" } else { "first load" };
    log.info(format!("{name} {what} begins"), json!({"mapping": name}));
    let began = Instant::now();
    let now = shared.store.now().await?;
    let before = cursor.clone();
    let reload = before.reload.filter(|_| before.loaded);
    let mut job = job::kept(shared, mapping, lease, reload, now).await?;
    let began_at = job.began_at;
    let mut load = Load {
        shared,
        mapping,
        lease,
        run: Run::begin(name, RunKind::Load),
        progress: LoadProgress { began_at, ..LoadProgress::default() },
        met: Met::default(),
        polled: began,
    };
    shared.store.set_mapping_state(name, MappingState::Loading, Some("asking Salesforce")).await?;
    if !cursor.loaded {
        if job.read.is_none() {
            // A stamp in the future is nobody's change.
            job.read = Some(load.newest().await?.unwrap_or(began_at).min(began_at));
            shared.store.keep_load_job(lease, name, Some(&job)).await?;
        }
        cursor.read = job.read;
    }
    let is_read = match load.by_job(cursor, &mut job).await? {
        JobOutcome::Read => true,
        JobOutcome::Stopped => false,
        JobOutcome::Pages(why) => {
            log.info(format!("{name} is read page by page: {why}"), json!({"mapping": name}));
            load.begin_anew();
            load.pages(cursor).await?
        }
    };
    if !is_read {
        return Ok(false);
    }
    let records = load.progress.done;
    let mut deleted = 0;
    match reload {
        Some(asked) => {
            deleted = remove_gone(shared, mapping, lease, &load.met).await?;
            // A page may have brought back what a poll in between had removed, also one of an engine before this.
            cursor.deletes = before.deletes.map(|at| at.min(began_at));
            shared.store.set_cursor(lease, name, cursor, records).await?;
            shared.store.reload_done(name, asked).await?;
        }
        None => {
            // Where rows got their records before the load (rebind), deletes since then count.
            let since = before.deletes.map_or(began_at, |at| at.min(began_at));
            if since < shared.store.now().await? - DELETES_KEPT {
                // What was deleted at first is told no more.
                deleted = remove_gone(shared, mapping, lease, &load.met).await?;
            }
            (cursor.loaded, cursor.deletes) = (true, Some(since));
            shared.store.set_cursor(lease, name, cursor, records).await?;
        }
    }
    job::forget(shared, mapping, lease).await?;
    fetch::count(shared, mapping).await;
    load.run.changed += deleted as i64;
    shared.store.keep_run(&load.run).await?;
    shared.metrics.read(name, load.run.changed);
    let seconds = began.elapsed().as_secs_f64();
    log.info(
        format!("{name} {what} complete: {records} records in {seconds:.1} s, {deleted} rows deleted"),
        json!({"mapping": name, "records": records}),
    );
    shared.metrics.add(&[("loaded", records), ("load_ms", began.elapsed().as_millis() as i64)]);
    Ok(true)
}

impl Load<'_> {
    /// When the record that changed last did so: polls begin there. The greatest stamp of the pages may be later than a
    /// change of a record whose page was read before it.
    async fn newest(&self) -> Result<Option<DateTime<Utc>>, ReadError> {
        let Some(stamp) = self.mapping.system.stamp else { return Ok(None) };
        let (object, stamp) = (&self.mapping.object, stamp.name());
        let soql = format!("SELECT {stamp} FROM {object} ORDER BY {stamp} DESC LIMIT 1");
        let page = self.shared.client.query(&soql).await?;
        Ok(page.records.first().and_then(|record| fetch::stamp_of(self.mapping, record)))
    }

    /// All pages. False when the engine's end came first.
    async fn pages(&mut self, cursor: &mut ReadCursor) -> Result<bool, ReadError> {
        // Ordering and limits would switch off how Salesforce cuts large reads.
        let selection = FieldSelection::of(self.mapping);
        let first = self.shared.client.select(&selection, "");
        let mut page = fetch::timed(self.shared, self.mapping, first).await?;
        self.progress.total = page.total;
        loop {
            self.take(&page).await?;
            let Some(next) = page.next else { return Ok(true) };
            if self.shared.stop.is_cancelled() {
                return Ok(false);
            }
            self.poll_when_due(cursor).await?;
            page = fetch::timed(self.shared, self.mapping, self.shared.client.select_more(&selection, &next))
                .await?;
        }
    }

    /// Applies a page and tells the progress.
    async fn take(&mut self, page: &Page) -> Result<(), ReadError> {
        let rows: Vec<RecordRow> =
            page.records.iter().map(|record| value::to_row(self.mapping, record)).collect();
        self.met.note(&rows);
        replaced::tell(self.shared, self.mapping, &page.replaced);
        self.apply(rows).await?;
        self.tell().await
    }
}
