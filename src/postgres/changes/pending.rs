//! What waits to be sent, from the oldest on, whether the engine took it in already or not.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::domain::changes::pending::{Pending, WaitReason};
use crate::domain::errors::sync_error::SyncError;
use crate::domain::names::{RowId, RowRef};
use crate::domain::state::{PendingState, WritesState};

use crate::postgres::changes::queue::{CAPTURED_AT, CLAIM_WORD, FITS, UNSENT};
use crate::postgres::errors::sync_errors::{COLUMNS, read_error};
use crate::postgres::{Error, ErrorContext, Store};

/// Changes that are not taken in and looked at for one page, or for a count, at most: many may be of one row.
pub(in crate::postgres) const LOOKED_AT: i64 = 10_000;
/// Units in flight that come before the first page at most.
const IN_FLIGHT: i64 = 200;

impl Store {
    /// Rows that wait, of one table or all: those in flight before the first page, then units by `created_at`, then
    /// changes that no engine took in yet, which are younger. `after` is the last one's time and row. Indexes
    /// `unit_waits`, `_trigger_log_idx_state_id`, `_trigger_log_idx_record`.
    pub async fn waiting(
        &self,
        table: Option<&str>,
        after: Option<&(DateTime<Utc>, RowRef)>,
        limit: usize,
    ) -> Result<Vec<Pending>, Error> {
        let mut found = Vec::new();
        if after.is_none() {
            let of =
                "syncdeck.unit WHERE unit.state = 'inflight' AND ($1::text IS NULL OR unit.table_name = $1)";
            found = self.units(of, &[&table, &IN_FLIGHT]).await?;
        }
        let in_flight = found.len();
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        found.extend(match after {
            Some((since, row)) => {
                let younger = "AND (created_at, record_id) > ($3, CASE WHEN name = $4 THEN $5::integer
                     WHEN name > $4 THEN -1 ELSE 2147483647 END)";
                self.units(&waiting_units(younger), &[&table, &limit, since, &row.table, &row.row.0]).await?
            }
            None => self.units(&waiting_units(""), &[&table, &limit]).await?,
        });
        let missing = limit - i64::try_from(found.len() - in_flight).unwrap_or(i64::MAX);
        if missing > 0 {
            found.extend(self.not_taken_in(table, after, missing).await?);
        }
        Ok(found)
    }

    /// How many rows wait for each of these, which are named by their numbers or by their external ids as Salesforce
    /// compares them. Indexes `unit_held`, `unit_held_key`.
    pub async fn waiting_for(
        &self,
        table: &str,
        rows: &[(RowId, Option<String>)],
    ) -> Result<HashMap<RowId, i64>, Error> {
        let ids: Vec<i32> = rows.iter().map(|(row, _)| row.0).collect();
        let keys: Vec<Option<&str>> = rows.iter().map(|(_, key)| key.as_deref()).collect();
        let client = self.client().await?;
        let found = client
            .query(
                "SELECT of.id, count(*) FROM unnest($2::integer[], $3::text[]) AS of (id, key), LATERAL (
                     SELECT FROM syncdeck.unit WHERE state = 'held' AND held_table = $1 AND held_record = of.id
                     UNION ALL
                     SELECT FROM syncdeck.unit WHERE state = 'held' AND held_table = $1 AND held_key = of.key) held
                 GROUP BY 1",
                &[&table, &ids, &keys],
            )
            .await
            .context("count rows that wait for others")?;
        Ok(found.iter().map(|row| (RowId(row.get(0)), row.get(1))).collect())
    }

    /// The errors of rows that wait for one, which is named by its number or by its external id as Salesforce compares it:
    /// those that have waited longest first. Indexes `unit_held`, `unit_held_key`, `error_row`.
    pub async fn blocked_by(
        &self,
        at: &RowRef,
        key: Option<&str>,
        limit: i64,
    ) -> Result<Vec<SyncError>, Error> {
        let client = self.client().await?;
        let held = |what: &str| {
            format!(
                "SELECT table_name, record_id, created_at FROM syncdeck.unit
                 WHERE state = 'held' AND held_table = $1 AND {what} ORDER BY created_at LIMIT $4"
            )
        };
        let sql = format!(
            "SELECT error.* FROM (({}) UNION ALL ({}) ORDER BY created_at LIMIT $4) held, LATERAL (
                 SELECT {COLUMNS} FROM syncdeck.error
                 WHERE table_name = held.table_name AND record_id = held.record_id AND resolved_at IS NULL) error
             ORDER BY held.created_at, error.id",
            held("held_record = $2"),
            held("held_key = $3")
        );
        let rows = client.query(&sql, &[&at.table, &at.row.0, &key, &limit]).await;
        Ok(rows.context("list rows that wait for one")?.iter().map(read_error).collect())
    }

    /// Units out of a source of them, the oldest first; the second parameter is how many at most.
    async fn units(&self, of: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Pending>, Error> {
        let sql = self.described(&format!(
            "SELECT table_name, record_id, state, created_at AS since, ready_at, attempts, attempts + lost AS sends,
                 held_table, coalesce(held_record::text, held_text, held_key) AS held,
                 CASE WHEN state = 'inflight' THEN left(token, {CLAIM_WORD}) END AS claim
             FROM {of} ORDER BY created_at, table_name, record_id LIMIT $2"
        ));
        let client = self.client().await?;
        let rows = client.query(&sql, params).await.context("list what waits")?;
        Ok(rows.iter().map(read_pending).collect())
    }

    async fn not_taken_in(
        &self,
        table: Option<&str>,
        after: Option<&(DateTime<Utc>, RowRef)>,
        limit: i64,
    ) -> Result<Vec<Pending>, Error> {
        let sql = self.described(&format!(
            "SELECT table_name, record_id, 'new' AS state, {CAPTURED_AT} AS since, {CAPTURED_AT} AS ready_at, 0 AS attempts, 0 AS sends,
                 NULL::text AS held_table, NULL::text AS held, NULL::text AS claim
             FROM (SELECT * FROM {schema}._trigger_log WHERE state = 'NEW' AND table_name IS NOT NULL AND {FITS}
                     AND ($1::text IS NULL OR table_name = $1)
                     AND id > coalesce((SELECT max(id) FROM {schema}._trigger_log
                         WHERE table_name = $4 AND record_id = $5 AND state = 'NEW' AND {CAPTURED_AT} = $3), 0)
                 ORDER BY id LIMIT {LOOKED_AT}) log
             WHERE NOT EXISTS (SELECT FROM syncdeck.unit
                     WHERE unit.table_name = log.table_name AND unit.record_id = log.record_id AND unit.state <> 'failed')
                 AND NOT EXISTS (SELECT FROM {schema}._trigger_log earlier WHERE earlier.table_name = log.table_name
                     AND earlier.record_id = log.record_id AND earlier.id < log.id AND earlier.state = 'NEW')
             ORDER BY id LIMIT $2",
            schema = self.schema
        ));
        let since = after.map(|(since, _)| *since);
        let (of, row) = after.map_or((None, None), |(_, row)| (Some(row.table.as_str()), Some(row.row.0)));
        let client = self.client().await?;
        let rows = client
            .query(&sql, &[&table, &limit, &since, &of, &row])
            .await
            .context("list what was not taken in")?;
        Ok(rows.iter().map(read_pending).collect())
    }

    /// Rows that wait, with their mapping, what their changes come to, and their batch: the claim's word for those in
    /// flight, the last answered one for others.
    fn described(&self, waiting: &str) -> String {
        format!(
            "SELECT unit.table_name::text, unit.record_id, coalesce(mapping.name, unit.table_name), unit.state, since, ready_at,
                 ready_at <= clock_timestamp(), attempts, sends, coalesce(writes, 'on'),
                 coalesce((SELECT name FROM syncdeck.mapping parent WHERE parent.table_name = held_table), held_table), held,
                 changes.number, changes.first, changes.last,
                 coalesce(claim, (SELECT batch FROM syncdeck.attempt
                  WHERE table_name = unit.table_name AND record_id = unit.record_id ORDER BY id DESC LIMIT 1))
             FROM ({waiting}) unit
             LEFT JOIN syncdeck.mapping ON mapping.table_name = unit.table_name
             CROSS JOIN LATERAL (
                 SELECT count(*) AS number, (array_agg(action ORDER BY id))[1] AS first, (array_agg(action ORDER BY id DESC))[1] AS last
                 FROM (SELECT id, action FROM {schema}._trigger_log log WHERE log.table_name = unit.table_name
                     AND log.record_id = unit.record_id AND {UNSENT} ORDER BY id LIMIT 1000) entries) changes
             ORDER BY since, unit.table_name, unit.record_id",
            schema = self.schema
        )
    }
}

/// The oldest units of each table and state that wait, `$2` of each at most, of the table `$1` or of all: each of these is the
/// beginning of a range of the index.
fn waiting_units(further: &str) -> String {
    let of_state = |state: &str| {
        format!(
            "(SELECT * FROM syncdeck.unit WHERE table_name = name AND state = '{state}' {further}
              ORDER BY created_at, record_id LIMIT $2)"
        )
    };
    format!(
        "(WITH RECURSIVE tables (name) AS (
             SELECT min(table_name) FROM syncdeck.unit
             UNION ALL SELECT (SELECT min(table_name) FROM syncdeck.unit WHERE table_name > name) FROM tables WHERE name IS NOT NULL)
         SELECT name FROM tables WHERE name IS NOT NULL AND $1::text IS NULL UNION ALL SELECT $1 WHERE $1::text IS NOT NULL) tables,
         LATERAL ({}) unit",
        ["ready", "held", "stopped", "review"].map(of_state).join(" UNION ALL ")
    )
}

fn read_pending(row: &Row) -> Pending {
    let held: Option<String> = row.get(10);
    let waiting = WaitReason {
        state: PendingState::of(row.get(3)),
        due: row.get(6),
        sends: row.get(8),
        writes: WritesState::of(row.get(9)),
        parent: held.zip(row.get(11)),
    };
    let (first, last): (Option<String>, Option<String>) = (row.get(13), row.get(14));
    let op = match (first.as_deref(), last.as_deref()) {
        (_, Some("DELETE")) => "delete",
        (Some("INSERT"), _) => "insert",
        _ => "update",
    };
    Pending {
        row: RowRef { table: row.get(0), row: RowId(row.get(1)) },
        mapping: row.get(2),
        op: op.to_owned(),
        reason: waiting.reason(),
        rests: waiting.rests(),
        state: waiting.state,
        since: row.get(4),
        ready_at: row.get(5),
        batch: row.get(15),
        attempts: row.get(7),
        changes: row.get(12),
    }
}
