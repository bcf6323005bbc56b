//! Records that a whole read did not meet: Salesforce is asked once more, and their rows go.

use std::collections::HashSet;

use crate::domain::mappings::mapping::Mapping;
use crate::postgres::reports::status::Lease;
use crate::postgres::tables::rows::RecordRow;

use super::apply;
use super::fetch::{self, ReadError, timed};
use crate::engine::Shared;

/// Rows looked through at once for those whose record is gone.
const ROWS: i64 = 5_000;

/// The records that were met, without the part of an id that follows from the rest.
#[derive(Default)]
pub(in crate::engine) struct Met(HashSet<[u8; 15]>);

impl Met {
    /// Notes a page.
    pub(in crate::engine) fn note(&mut self, rows: &[RecordRow]) {
        self.note_ids(rows.iter().filter_map(|row| row.get("sfid")?.as_str()));
    }

    /// Notes records by their ids.
    pub(in crate::engine) fn note_ids<'a>(&mut self, ids: impl Iterator<Item = &'a str>) {
        self.0.extend(ids.filter_map(short));
    }
}

/// Asks for the ids of all records there are, and deletes the rows whose record is none of them. Returns how many were deleted.
pub(super) async fn compare_ids(shared: &Shared, mapping: &Mapping, lease: &Lease) -> Result<u64, ReadError> {
    let mut met = Met::default();
    let soql = format!("SELECT Id FROM {}", mapping.object);
    let mut page = timed(shared, mapping, shared.client.query(&soql)).await?;
    loop {
        met.note_ids(page.records.iter().filter_map(|record| record.get("Id")?.as_str()));
        let Some(next) = page.next else { break };
        shared.store.lease(lease, fetch::lease_length(shared, mapping)).await?;
        page = timed(shared, mapping, shared.client.query_more(&next)).await?;
    }
    remove_gone(shared, mapping, lease, &met).await
}

/// Deletes the rows whose record is gone, as if Salesforce had told it. Records that came to be since the first page were
/// not met either, so Salesforce is asked for each that is missing. A row that somebody holds goes with one of the next polls.
/// Returns how many were deleted.
pub(in crate::engine) async fn remove_gone(
    shared: &Shared,
    mapping: &Mapping,
    lease: &Lease,
    met: &Met,
) -> Result<u64, ReadError> {
    let (mut after, mut deleted) = (0, 0);
    loop {
        let rows = shared.store.rows_with_records(&mapping.table, after, ROWS).await?;
        let Some((last, _)) = rows.last() else { return Ok(deleted) };
        after = *last;
        let missing = |sfid: &String| short(sfid).is_none_or(|id| !met.0.contains(&id));
        let mut gone: Vec<String> = rows.into_iter().map(|(_, sfid)| sfid).filter(missing).collect();
        if gone.is_empty() {
            continue;
        }
        let ids: Vec<&str> = gone.iter().map(String::as_str).collect();
        let there = fetch::records(&shared.client, mapping, &ids).await?;
        gone.retain(|sfid| !there.contains_key(sfid));
        let removed = apply::remove(shared, lease, mapping, &gone).await?;
        shared.store.want_reread_of_deleted(&mapping.table, &removed.locked).await?;
        deleted += removed.deleted;
        shared.store.lease(lease, fetch::lease_length(shared, mapping)).await?;
    }
}

/// An id without its check characters.
fn short(sfid: &str) -> Option<[u8; 15]> {
    sfid.as_bytes().first_chunk().copied()
}
