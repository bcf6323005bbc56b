//! The acknowledgement: everything a batch touched moves in one short transaction, fenced by the token: attempts,
//! entries, units, rows, errors.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use crate::domain::names::{RowId, RowRef};

use super::queue::{ARCHIVE_COLUMNS, Ack, Acked, Outcome};
use super::{Error, Store, While, failpoint};

impl Store {
    /// Acknowledges a batch in one short transaction, fenced by the token (I7).
    pub async fn acknowledge(&self, token: &str, batch: &str, acks: &[Ack]) -> Result<Acked, Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.while_("begin an acknowledgement")?;
        transaction.batch_execute(super::AS_ENGINE).await.while_("mark the engine's own write")?;
        let versions = locked_versions(&transaction, token, acks).await?;
        let mut acked = Acked::default();
        let mine: Vec<&Ack> = acks
            .iter()
            .filter(|ack| versions.contains_key(&(ack.unit.table.clone(), ack.unit.row.0)))
            .collect();
        acked.fenced = acks.len() - mine.len();
        if mine.is_empty() {
            return Ok(acked);
        }
        record_attempts(&transaction, batch, &mine).await?;
        self.settle_entries(&transaction, &mine).await?;
        failpoint::pass(failpoint::MID_ACKNOWLEDGE).await?;
        let deferred = self.write_back(&transaction, &mine).await?;
        acked.deferred = deferred.len();
        settle_units(&transaction, &mine, &versions, &deferred).await?;
        super::errors::settle_errors(&transaction, &mine).await?;
        transaction.commit().await.while_("acknowledge a batch")?;
        if mine.iter().any(|ack| matches!(ack.outcome, Outcome::Held { .. })) {
            self.wake_released().await?;
        }
        Ok(acked)
    }

    /// Entries share their unit's fate: accepted, the newest is SUCCESS and older ones MERGED, all archived; sent to
    /// nobody, IGNORED; rejected for good, FAILED with the message, kept in the log.
    async fn settle_entries(
        &self,
        transaction: &tokio_postgres::Transaction<'_>,
        acks: &[&Ack],
    ) -> Result<(), Error> {
        let done: Vec<Value> = acks
            .iter()
            .filter_map(|ack| {
                let (last, message, sfid) = match &ack.outcome {
                    Outcome::Accepted { sfid, .. } => ("SUCCESS", None, sfid.as_deref()),
                    Outcome::Nothing { reason } => ("IGNORED", Some(*reason), None),
                    _ => return None,
                };
                Some(json!({"table": ack.unit.table, "row": ack.unit.row, "upto": ack.upto, "last": last,
                    "message": message, "sfid": sfid}))
            })
            .collect();
        let sql = format!(
            "WITH done AS (
                 SELECT * FROM jsonb_to_recordset($1) AS done (\"table\" text, \"row\" integer, upto integer, last text, message text, sfid text)
             ), gone AS (
                 DELETE FROM {schema}._trigger_log log USING done
                 WHERE log.table_name = done.\"table\" AND log.record_id = done.\"row\" AND log.id <= done.upto
                     AND log.state IN ('NEW', 'PENDING', 'FAILED')
                 RETURNING log.*, done.upto, done.last, done.message, done.sfid AS known
             ) INSERT INTO {schema}._trigger_log_archive {ARCHIVE_COLUMNS}
             SELECT id, txid, created_at, clock_timestamp(), clock_timestamp(), txid_current(),
                 CASE WHEN last = 'SUCCESS' AND id < upto THEN 'MERGED' ELSE last END,
                 action, table_name, record_id, coalesce(known, sfid), old, values, sf_result, message FROM gone",
            schema = self.schema
        );
        transaction.execute(&sql, &[&Value::from(done)]).await.while_("archive sent changes")?;
        let failed: Vec<Value> = acks
            .iter()
            .filter_map(|ack| {
                let message = match &ack.outcome {
                    Outcome::Rejected { error, retry_at: None } | Outcome::Lost { park: Some(error), .. } => {
                        format!("{}: {}", error.code, error.message)
                    }
                    _ => return None,
                };
                Some(json!({"table": ack.unit.table, "row": ack.unit.row, "upto": ack.upto, "message": message}))
            })
            .collect();
        let sql = format!(
            "UPDATE {schema}._trigger_log log SET state = 'FAILED', sf_message = failed.message,
                 processed_at = clock_timestamp(), processed_tx = txid_current(), updated_at = clock_timestamp()
             FROM jsonb_to_recordset($1) AS failed (\"table\" text, \"row\" integer, upto integer, message text)
             WHERE log.table_name = failed.\"table\" AND log.record_id = failed.\"row\" AND log.id <= failed.upto
                 AND log.state IN ('NEW', 'PENDING', 'FAILED')",
            schema = self.schema
        );
        transaction.execute(&sql, &[&Value::from(failed)]).await.while_("mark failed changes").map(drop)
    }

    /// Held units whose parent arrived between the look at it and the hold are ready again.
    async fn wake_released(&self) -> Result<(), Error> {
        let client = self.client().await?;
        client
            .execute(
                "UPDATE syncdeck.unit child SET state = 'ready', ready_at = clock_timestamp()
                 WHERE child.state = 'held' AND child.ready_at > clock_timestamp() + interval '4 s' AND NOT EXISTS (
                     SELECT FROM syncdeck.unit parent
                     WHERE parent.table_name = child.held_table AND parent.record_id = child.held_record)",
                &[],
            )
            .await
            .while_("wake held units")
            .map(drop)
    }
}

/// Locks the batch's units that this token still holds, and tells their versions.
async fn locked_versions(
    transaction: &tokio_postgres::Transaction<'_>,
    token: &str,
    acks: &[Ack],
) -> Result<BTreeMap<(String, i32), i64>, Error> {
    let tables: Vec<&str> = acks.iter().map(|ack| ack.unit.table.as_str()).collect();
    let rows: Vec<i32> = acks.iter().map(|ack| ack.unit.row.0).collect();
    let locked = transaction
        .query(
            "SELECT unit.table_name, unit.record_id, version FROM syncdeck.unit
             JOIN unnest($2::text[], $3::int[]) AS acked (table_name, record_id)
                 ON unit.table_name = acked.table_name AND unit.record_id = acked.record_id
             WHERE state = 'inflight' AND token = $1 ORDER BY 1, 2 FOR UPDATE OF unit",
            &[&token, &tables, &rows],
        )
        .await
        .while_("lock the units of a batch")?;
    Ok(locked.iter().map(|row| ((row.get(0), row.get(1)), row.get(2))).collect())
}

async fn record_attempts(
    transaction: &tokio_postgres::Transaction<'_>,
    batch: &str,
    acks: &[&Ack],
) -> Result<(), Error> {
    let attempts: Vec<Value> = acks
        .iter()
        .filter_map(|ack| {
            let request = ack.request.clone()?;
            let (outcome, code, message) = match &ack.outcome {
                Outcome::Accepted { .. } => ("accepted", None, None),
                Outcome::Rejected { error, .. } => ("rejected", Some(&error.code), Some(&error.message)),
                Outcome::Lost { .. } => ("lost", None, None),
                _ => return None,
            };
            Some(json!({"table_name": ack.unit.table, "record_id": ack.unit.row, "op": ack.op, "upto": ack.upto,
                "outcome": outcome, "code": code, "message": message, "request": request}))
        })
        .collect();
    transaction
        .execute(
            "INSERT INTO syncdeck.attempt (table_name, record_id, batch, op, upto, outcome, code, message, request)
             SELECT table_name, record_id, $2, op, upto, outcome, code, message, request
             FROM jsonb_to_recordset($1) AS sent (table_name text, record_id integer, op text, upto integer,
                 outcome text, code text, message text, request jsonb)",
            &[&Value::from(attempts), &batch],
        )
        .await
        .while_("record the attempts")
        .map(drop)
}

/// One unit's next state, as a row for SQL.
#[derive(Serialize)]
struct Next<'a> {
    table: &'a str,
    row: RowId,
    state: &'static str,
    ready_at: Option<DateTime<Utc>>,
    attempts: i32,
    lost: i32,
    lost_alone: i32,
    held_table: Option<&'a str>,
    held_record: Option<RowId>,
    sfid: Option<&'a str>,
    outcome: Option<Value>,
}

/// Units leave only at the version they were read at; a change that joined meanwhile makes them ready again (I1).
async fn settle_units(
    transaction: &tokio_postgres::Transaction<'_>,
    acks: &[&Ack],
    versions: &BTreeMap<(String, i32), i64>,
    deferred: &HashMap<RowRef, Value>,
) -> Result<(), Error> {
    let mut finished = Vec::new();
    let mut next = Vec::new();
    let mut accepted = Vec::new();
    for ack in acks {
        let unit = &ack.unit;
        let unchanged = versions.get(&(unit.table.clone(), unit.row.0)) == Some(&unit.version);
        let outcome = deferred.get(&unit.row()).cloned();
        if let Outcome::Accepted { .. } = ack.outcome {
            accepted.push(json!({"table": unit.table, "row": unit.row}));
        }
        let done = matches!(ack.outcome, Outcome::Accepted { .. } | Outcome::Nothing { .. });
        if done && unchanged && outcome.is_none() {
            finished.push(json!({"table": unit.table, "row": unit.row}));
        } else {
            next.push(next_state(ack, unchanged, outcome));
        }
    }
    transaction
        .execute(
            "DELETE FROM syncdeck.unit USING jsonb_to_recordset($1) AS done (\"table\" text, \"row\" integer)
             WHERE table_name = done.\"table\" AND record_id = done.\"row\"",
            &[&Value::from(finished)],
        )
        .await
        .while_("remove finished units")?;
    transaction
        .execute(
            "UPDATE syncdeck.unit SET state = next.state, token = NULL, lease_until = NULL,
                 ready_at = coalesce(next.ready_at, clock_timestamp()), attempts = next.attempts, lost = next.lost,
                 lost_alone = next.lost_alone, held_table = next.held_table, held_record = next.held_record,
                 sfid = coalesce(next.sfid, unit.sfid), outcome = coalesce(next.outcome, unit.outcome)
             FROM jsonb_to_recordset($1) AS next (\"table\" text, \"row\" integer, state text, ready_at timestamptz,
                 attempts integer, lost integer, lost_alone integer, held_table text, held_record integer, sfid text,
                 outcome jsonb)
             WHERE table_name = next.\"table\" AND record_id = next.\"row\"",
            &[&serde_json::to_value(&next).unwrap_or_default()],
        )
        .await
        .while_("set the units' next state")?;
    transaction
        .execute(
            "UPDATE syncdeck.unit SET state = 'ready', ready_at = clock_timestamp()
             FROM jsonb_to_recordset($1) AS parent (\"table\" text, \"row\" integer)
             WHERE state = 'held' AND held_table = parent.\"table\" AND held_record = parent.\"row\"",
            &[&Value::from(accepted)],
        )
        .await
        .while_("release held units")
        .map(drop)
}

fn next_state(ack: &Ack, unchanged: bool, outcome: Option<Value>) -> Next<'_> {
    let unit = &ack.unit;
    // A change that joined meanwhile starts with no attempts spent; that an answer was lost stays known, because
    // Salesforce may have the record.
    let attempts = if unchanged { unit.attempts } else { 0 };
    let (lost, lost_alone) = (unit.lost, unit.lost_alone);
    let mut next = Next {
        table: &unit.table,
        row: unit.row,
        state: "ready",
        ready_at: None,
        attempts,
        lost,
        lost_alone,
        held_table: None,
        held_record: None,
        sfid: None,
        outcome,
    };
    match &ack.outcome {
        Outcome::Accepted { sfid, .. } => {
            next.sfid = sfid.as_deref();
            (next.attempts, next.lost, next.lost_alone) = (0, 0, 0);
            if unchanged && next.outcome.is_some() {
                next.state = "writeback";
            }
        }
        Outcome::Nothing { .. } => {}
        Outcome::Rejected { retry_at, .. } if unchanged => {
            next.attempts += 1;
            next.ready_at = *retry_at;
            if retry_at.is_none() {
                next.state = "failed";
            }
        }
        Outcome::Held { parent, .. } if unchanged => {
            next.state = "held";
            // Looked at again by itself as well, should the parent's word be missed.
            next.ready_at = Some(Utc::now() + chrono::Duration::seconds(10));
            next.held_table = Some(&parent.table);
            next.held_record = Some(parent.row);
        }
        Outcome::Lost { alone, retry_at, park } => {
            next.lost += 1;
            next.lost_alone += i32::from(*alone);
            next.ready_at = Some(*retry_at);
            if park.is_some() {
                next.state = "failed";
            }
        }
        Outcome::Released { at } => next.ready_at = *at,
        Outcome::Rejected { .. } | Outcome::Held { .. } => {}
    }
    next
}
