//! Whether a mapping's rows are sent: paused, drained and resumed by operators; and what waited while they were not.

use serde_json::json;

use crate::domain::mappings::mapping::Mapping;
use crate::domain::operations::operation::Operation;
use crate::domain::reports::overview::Writes;

use crate::postgres::changes::queue::FITS;
use crate::postgres::operations::audit::{NewAuditEntry, audit};
use crate::postgres::operations::settings::announce;
use crate::postgres::{Cached, Error, ErrorContext, Store};

impl Store {
    /// Makes the writes of a mapping, or of all of them, what an operator wants, in one transaction. Returns the
    /// objects of those that this changed.
    ///
    /// # Errors
    /// Refused when there is no such mapping.
    pub async fn set_writes(
        &self,
        name: Option<&str>,
        to: Writes,
        operation: &Operation,
    ) -> Result<Vec<String>, Error> {
        let mappings = self.one_or_all(name).await?;
        let objects: Vec<&str> = mappings.iter().map(|mapping| mapping.object.as_str()).collect();
        let (state, from, action) = match to {
            Writes::Pause => ("paused", ["on", "draining"].as_slice(), "paused"),
            Writes::Drain => ("draining", ["on"].as_slice(), "drained"),
            Writes::Resume => ("on", ["paused", "stopped", "draining"].as_slice(), "resumed"),
        };
        let detail = (to != Writes::Resume).then(|| format!("by {}", operation.operator.actor));
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to set the writes of mappings")?;
        // In one order, so that two who do this do not wait for each other.
        let locked = transaction
            .query(
                "SELECT name, writes FROM syncdeck.mapping WHERE name = ANY($1) AND writes = ANY($2)
                 ORDER BY name FOR UPDATE",
                &[&objects, &from],
            )
            .await
            .context("lock mappings")?;
        let before = |mapping: &Mapping| {
            let row = locked.iter().find(|row| row.get::<_, &str>(0) == mapping.object)?;
            Some(row.get::<_, String>(1))
        };
        let changed: Vec<String> = locked.iter().map(|row| row.get(0)).collect();
        let sql = format!(
            "UPDATE syncdeck.mapping SET writes = $2, writes_detail = $3, drain_upto = CASE $2 WHEN 'draining'
                 THEN (SELECT coalesce(max(id), 0) FROM {}._trigger_log) END
             WHERE name = ANY($1)",
            self.schema
        );
        transaction
            .execute(&sql, &[&changed, &state, &detail])
            .await
            .context("set the writes of mappings")?;
        for (mapping, before) in mappings.iter().filter_map(|mapping| Some((mapping, before(mapping)?))) {
            let (before, after) = (json!({ "writes": before }), json!({ "writes": state }));
            let entry =
                NewAuditEntry { before: Some(before), after: Some(after), ..NewAuditEntry::default() };
            audit(&transaction, operation, action, mapping, &[entry]).await?;
        }
        announce(&transaction).await?;
        transaction.commit().await.context("set the writes of mappings")?;
        if to == Writes::Resume {
            // Not in the same transaction: everybody else takes units before mappings. Nor with this session in hand: a
            // console has two.
            drop(client);
            self.wake_stopped().await?;
        }
        Ok(changed)
    }

    /// Units that were given back while the writes of their mapping rested go on once these do. An engine that learns
    /// of a resume late gives back a few more, so this is looked at again with every sweep. They go in the order in which
    /// they came.
    pub async fn wake_stopped(&self) -> Result<(), Error> {
        let client = self.client().await?;
        client
            .execute_cached(
                "UPDATE syncdeck.unit SET state = 'ready', ready_at = least(created_at, clock_timestamp())
                 WHERE (table_name, record_id) IN (
                     SELECT stopped.table_name, stopped.record_id FROM syncdeck.mapping, LATERAL (
                         SELECT table_name, record_id FROM syncdeck.unit
                         WHERE unit.table_name = mapping.table_name AND unit.state = 'stopped'
                         FOR UPDATE SKIP LOCKED) stopped
                     WHERE writes IN ('on', 'draining'))",
                &[],
            )
            .await
            .context("let stopped units go on")
            .map(drop)
    }

    /// The earliest change of a table up to `last` that somebody else has to send: its unit is ready, waits to be woken,
    /// is in flight under another token, or failed and was mended since, which the next ingestion takes in. Index `_trigger_log_idx_state_id`.
    pub async fn earliest_elsewhere(
        &self,
        table: &str,
        last: i64,
        token: &str,
    ) -> Result<Option<i64>, Error> {
        let client = self.client().await?;
        let sql = format!(
            "SELECT min(log.id)::bigint FROM {0}._trigger_log log JOIN syncdeck.unit USING (table_name, record_id)
             WHERE log.state IN ('PENDING', 'FAILED') AND log.id <= $2::bigint AND log.table_name = $1
                 AND (unit.state IN ('ready', 'stopped', 'inflight') AND unit.token IS DISTINCT FROM $3
                     OR unit.state = 'failed' AND EXISTS (
                         SELECT FROM {0}._trigger_log mended JOIN syncdeck.mapping USING (table_name)
                         WHERE mended.state = 'NEW' AND {FITS} AND mended.table_name = log.table_name
                             AND mended.record_id = log.record_id AND (drain_upto IS NULL OR mended.id <= drain_upto)))",
            self.schema
        );
        let rows = client
            .query_cached(&sql, &[&table, &last, &token])
            .await
            .context("look which changes come before those of a claim")?;
        Ok(rows.first().and_then(|row| row.get(0)))
    }

    /// Pauses the mappings that are drained: nothing that waited when that was asked for is ready, in flight or captured
    /// any more. Returns their objects.
    pub async fn finish_drains(&self) -> Result<Vec<String>, Error> {
        let client = self.client().await?;
        let sql = format!(
            "UPDATE syncdeck.mapping SET writes = 'paused', drain_upto = NULL
             WHERE writes = 'draining' AND NOT EXISTS (
                 SELECT FROM syncdeck.unit
                 WHERE unit.table_name = mapping.table_name AND unit.state IN ('ready', 'stopped'))
             AND NOT EXISTS (
                 SELECT FROM syncdeck.unit WHERE unit.table_name = mapping.table_name AND unit.state = 'inflight')
             AND NOT EXISTS (
                 SELECT FROM {}._trigger_log log
                 WHERE log.state = 'NEW' AND log.table_name = mapping.table_name AND log.id <= drain_upto)
             RETURNING name",
            self.schema
        );
        let rows = client.query_cached(&sql, &[]).await.context("pause mappings that are drained")?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }
}
