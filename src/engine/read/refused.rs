//! Records that PostgreSQL refused are tried again: a few of each cause at each poll, when their wait is over or the table's
//! constraints changed; and all of a cause, one batch behind the other, as long as most of them go. So a record is stored
//! when what was in its way is gone, although it never changes in Salesforce again, and a million that cannot be stored
//! cost a poll no more than a few.

use std::collections::BTreeMap;

use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::RowId;
use crate::postgres::reports::status::Lease;
use crate::postgres::tables::obstacle::RowWrite;
use crate::postgres::tables::refused::{Choice, Due};
use crate::postgres::tables::rows::RecordRow;
use crate::salesforce::value;

use super::apply::{apply, remove, settle};
use super::fetch::{self, ReadError};
use crate::engine::Shared;

/// Of each cause at one poll.
const PROBE: i64 = 20;
/// In one batch, when they go.
const BATCH: i64 = 200;
/// Of each cause at one poll when they go.
const MOST: usize = 10_000;

/// Tries refused records again. `shape` is what the table's constraints were at the last look. Returns the rows that
/// changed.
pub(in crate::engine) async fn retry(
    shared: &Shared,
    lease: &Lease,
    mapping: &Mapping,
    shape: &mut Option<String>,
) -> Result<Vec<RowId>, ReadError> {
    let (store, table) = (&shared.store, &mapping.table);
    let now = store.shape_of(table).await?;
    let changed = *shape != now;
    *shape = now;
    let due = store.refused_due(table, Choice { cause: None, waits: !changed, limit: PROBE }).await?;
    let mut causes: BTreeMap<String, Vec<Due>> = BTreeMap::new();
    for due in due {
        causes.entry(due.cause.clone()).or_default().push(due);
    }
    let mut rows = Vec::new();
    for (cause, mut part) in causes {
        let mut through = 0;
        while !part.is_empty() && !shared.stop.is_cancelled() {
            store.lease(lease, fetch::lease_length(shared, mapping)).await?;
            let settled = again(shared, lease, mapping, &part, &mut rows).await?;
            through += part.len();
            if settled * 2 < part.len() || through >= MOST {
                break;
            }
            let next = Choice { cause: Some(&cause), waits: false, limit: BATCH };
            part = store.refused_due(table, next).await?;
        }
    }
    Ok(rows)
}

/// One more try of some; how many are settled.
async fn again(
    shared: &Shared,
    lease: &Lease,
    mapping: &Mapping,
    part: &[Due],
    rows: &mut Vec<RowId>,
) -> Result<usize, ReadError> {
    let asked_at = shared.store.now().await?;
    let ids: Vec<&str> = part.iter().map(|due| due.sfid.as_str()).collect();
    let found = fetch::records(&shared.client, mapping, &ids).await?;
    let records: Vec<RecordRow> = found.values().map(|record| value::to_row(mapping, record)).collect();
    let applied = apply(shared, lease, mapping, &records, asked_at).await?;
    let refused: i64 = applied.refused.values().sum();
    let mut left = usize::try_from(refused).unwrap_or(0) + applied.skipped.len();
    rows.extend(applied.changed);
    let known = &found;
    let missing = |write: RowWrite| {
        part.iter()
            .filter(move |due| due.write == write && !known.contains_key(&due.sfid))
            .map(|due| &due.sfid)
    };
    let deleted: Vec<String> = missing(RowWrite::Remove).cloned().collect();
    let removed = remove(shared, lease, mapping, &deleted).await?;
    left += deleted.len().saturating_sub(usize::try_from(removed.deleted).unwrap_or(0));
    // Whether a row of it is to go is told by the deletes.
    let gone: Vec<&str> = missing(RowWrite::Store).map(String::as_str).collect();
    settle(shared, mapping, &gone, "the record is not in Salesforce any more").await?;
    Ok(part.len().saturating_sub(left))
}
