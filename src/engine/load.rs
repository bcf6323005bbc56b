//! A mapping's load: every record is read, page by page, with its progress told.

use serde_json::json;
use tokio::time::Instant;

use crate::domain::mapping::Mapping;
use crate::domain::overview::LoadProgress;
use crate::domain::run::{Kind, Run};
use crate::postgres::rows::RecordRow;
use crate::postgres::status::{Cursor, Lease};
use crate::salesforce::value;

use super::Shared;
use super::reader::{self, ReadError};

/// The first load.
pub(super) async fn first(
    shared: &Shared,
    mapping: &Mapping,
    lease: &Lease,
    cursor: &mut Cursor,
) -> Result<(), ReadError> {
    let log = shared.log.of("reader");
    let name = &mapping.object;
    log.info(format!("{name} first load begins"), json!({"mapping": name}));
    let began = Instant::now();
    let mut run = Run::begin(name, Kind::Load);
    let start = shared.store.now().await?;
    let mut progress = LoadProgress { began_at: start, ..LoadProgress::default() };
    shared.store.set_mapping_state(name, "loading", Some("asking Salesforce")).await?;
    // Ordering and limits would switch off how Salesforce cuts large reads; the cursor is the greatest stamp seen.
    let mut page = shared.client.query(&format!("SELECT {} FROM {name}", reader::columns(mapping))).await?;
    progress.total = page.total;
    loop {
        let asked_at = shared.store.now().await?;
        let rows: Vec<RecordRow> = page.records.iter().map(|record| value::to_row(mapping, record)).collect();
        let applied = reader::apply(shared, lease, mapping, &rows, asked_at).await?;
        reader::note(&mut run, rows.len(), &applied);
        cursor.read = cursor.read.max(reader::newest(&page.records));
        progress.done += rows.len() as i64;
        shared.store.set_load_progress(name, &progress).await?;
        shared.store.lease(lease, reader::lease_length(shared, mapping)).await?;
        shared.store.notify("overview").await?;
        match page.next {
            Some(next) => page = shared.client.query_more(&next).await?,
            None => break,
        }
    }
    cursor.loaded = true;
    cursor.read = Some(cursor.read.unwrap_or(start));
    cursor.deletes = Some(start);
    shared.store.set_cursor(lease, name, cursor, progress.done).await?;
    reader::count(shared, mapping).await;
    shared.store.keep_run(&run).await?;
    shared.tally.read(name, run.changed);
    let seconds = began.elapsed().as_secs_f64();
    log.info(
        format!("{name} first load complete: {} records in {seconds:.1} s", progress.done),
        json!({"mapping": name, "records": progress.done}),
    );
    shared.tally.add(&[("loaded", progress.done), ("load_ms", began.elapsed().as_millis() as i64)]);
    Ok(())
}
