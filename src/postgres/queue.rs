//! The queue of units: intake of captured changes, claim, and the acknowledgement that moves everything a batch
//! touched in one short transaction. Design 4.2 is its law; each statement names the invariant it keeps.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::domain::fold::{Action, Entry};
use crate::domain::hstore;
use crate::domain::names::{RowId, RowRef};

use super::errors::NewError;
use super::{Error, Store, While};

/// A unit that this engine holds, under the token of its claim.
#[derive(Clone, Debug, Deserialize)]
pub struct Claimed {
    /// Table.
    #[serde(rename = "table_name")]
    pub table: String,
    /// Row.
    #[serde(rename = "record_id")]
    pub row: RowId,
    /// The version it was read at.
    pub version: i64,
    /// Rejections so far.
    pub attempts: i32,
    /// Answers lost so far, in any batch and in a batch of one.
    pub lost: i32,
    /// See `lost`.
    pub lost_alone: i32,
    /// The record's id when the unit knows it and the row does not yet.
    pub sfid: Option<String>,
}

impl Claimed {
    /// The row.
    pub fn row(&self) -> RowRef {
        RowRef { table: self.table.clone(), row: self.row }
    }
}

/// What a unit is about, read after the claim.
#[derive(Clone, Debug, Default)]
pub struct Content {
    /// Its unsent entries, in id order.
    pub entries: Vec<Entry>,
    /// The row's current `sfid` and external id, while the row exists.
    pub sfid: Option<String>,
    /// See `sfid`.
    pub external_id: Option<String>,
}

/// What became of one unit of a batch.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Salesforce took it.
    Accepted {
        /// The record's id, when the row is to have it.
        sfid: Option<String>,
        /// What the row's `_hc_lastop` becomes; `None` after a delete.
        lastop: Option<&'static str>,
    },
    /// Nothing had to be sent.
    Nothing {
        /// Why; becomes the entries' `sf_message`.
        reason: &'static str,
    },
    /// Rejected.
    Rejected {
        /// How.
        error: Box<NewError>,
        /// When it goes again by itself; without, it waits for a person.
        retry_at: Option<DateTime<Utc>>,
    },
    /// Waits for its parent.
    Held {
        /// As it is listed.
        error: Box<NewError>,
        /// The parent's row.
        parent: RowRef,
    },
    /// The answer never came.
    Lost {
        /// Whether the call held nothing else.
        alone: bool,
        /// When it is sent again,
        retry_at: DateTime<Utc>,
        /// unless it is parked for a person, and why.
        park: Option<Box<NewError>>,
    },
    /// Not sent after all.
    Released {
        /// When it is ready again; without, at once.
        at: Option<DateTime<Utc>>,
    },
}

/// One unit's acknowledgement.
#[derive(Clone, Debug)]
pub struct Ack {
    /// The unit, as claimed.
    pub unit: Claimed,
    /// The newest entry that was folded into what was sent.
    pub upto: i64,
    /// `insert`, `update`, `delete`.
    pub op: &'static str,
    /// What was sent, for the attempt's record; `None` when nothing was.
    pub request: Option<Value>,
    /// What became of it.
    pub outcome: Outcome,
}

/// What an acknowledgement did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Acked {
    /// Units that this token no longer held; their results were dropped (I7).
    pub fenced: usize,
    /// Rows that were locked by users; they are written back later.
    pub deferred: usize,
}

impl Store {
    /// Takes captured changes in: NEW entries become PENDING and their units are there, ready. Returns how many.
    ///
    /// One intake at a time (advisory lock): with two, a later change of a record could be claimed before an earlier
    /// one is visible. The unit is upserted with `version + 1`, never DO NOTHING, which strands an entry that
    /// arrives while its unit is being acknowledged (reproduced). Index: `_trigger_log_idx_state_id`.
    pub async fn intake(&self, tables: &[String], limit: i64) -> Result<i64, Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.while_("begin an intake")?;
        let alone: bool = transaction
            .query_one("SELECT pg_try_advisory_xact_lock(hashtext('syncdeck intake'))", &[])
            .await
            .while_("lock the intake")?
            .get(0);
        if !alone {
            return Ok(0);
        }
        let sql = format!(
            "WITH new AS (
                 SELECT id, table_name, record_id FROM {schema}._trigger_log
                 WHERE state = 'NEW' AND table_name = ANY($1) ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED
             ), pending AS (
                 UPDATE {schema}._trigger_log log SET state = 'PENDING', updated_at = clock_timestamp()
                 FROM new WHERE log.id = new.id
             ), units AS (
                 INSERT INTO syncdeck.unit AS unit (table_name, record_id, state)
                 SELECT table_name, record_id, 'ready' FROM new GROUP BY 1, 2 ORDER BY 1, 2
                 ON CONFLICT (table_name, record_id) DO UPDATE SET version = unit.version + 1,
                     state = CASE unit.state WHEN 'inflight' THEN 'inflight' ELSE 'ready' END,
                     ready_at = CASE unit.state WHEN 'inflight' THEN unit.ready_at ELSE clock_timestamp() END,
                     attempts = 0, lost_alone = 0
             ) SELECT count(*) FROM new",
            schema = self.schema
        );
        let taken: i64 =
            transaction.query_one(&sql, &[&tables, &limit]).await.while_("take captured changes in")?.get(0);
        // A no-op update, and a write to a read-only mapping, need no send (I1): their state is the reason.
        let sql = format!(
            "WITH done AS (
                 DELETE FROM {schema}._trigger_log WHERE id IN (
                     SELECT id FROM {schema}._trigger_log WHERE state IN ('IGNORE', 'READONLY')
                     ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED) RETURNING *
             ) INSERT INTO {schema}._trigger_log_archive {ARCHIVE_COLUMNS}
             SELECT id, txid, created_at, clock_timestamp(), clock_timestamp(), txid_current(),
                 CASE state WHEN 'IGNORE' THEN 'IGNORED' ELSE state END, action, table_name, record_id, sfid, old,
                 values, sf_result, sf_message FROM done",
            schema = self.schema
        );
        transaction.execute(&sql, &[&limit]).await.while_("archive changes that need no send")?;
        transaction.commit().await.while_("finish an intake")?;
        Ok(taken)
    }

    /// Claims up to `limit` ready units under a new random token, for `lease`. Partial index `unit_ready`.
    pub async fn claim(&self, token: &str, lease: Duration, limit: i64) -> Result<Vec<Claimed>, Error> {
        let client = self.client().await?;
        let statement = client
            .prepare_cached(
                "WITH ready AS (
                     SELECT table_name, record_id FROM syncdeck.unit
                     WHERE state = 'ready' AND ready_at <= clock_timestamp()
                     ORDER BY ready_at LIMIT $3 FOR UPDATE SKIP LOCKED
                 ) UPDATE syncdeck.unit unit SET state = 'inflight', token = $1,
                     lease_until = clock_timestamp() + make_interval(secs => $2)
                 FROM ready WHERE unit.table_name = ready.table_name AND unit.record_id = ready.record_id
                 RETURNING unit.table_name, unit.record_id, version, attempts, lost, lost_alone, sfid",
            )
            .await
            .while_("claim units")?;
        let rows =
            client.query(&statement, &[&token, &lease.as_secs_f64(), &limit]).await.while_("claim units")?;
        Ok(rows
            .iter()
            .map(|row| Claimed {
                table: row.get(0),
                row: RowId(row.get(1)),
                version: row.get(2),
                attempts: row.get(3),
                lost: row.get(4),
                lost_alone: row.get(5),
                sfid: row.get(6),
            })
            .collect())
    }

    /// Makes units of dead engines ready again, and wakes held ones whose time has come. A send whose answer nobody
    /// waited for counts as lost. Returns how many leases had run out.
    pub async fn sweep(&self) -> Result<u64, Error> {
        let client = self.client().await?;
        let expired = client
            .execute(
                "UPDATE syncdeck.unit SET state = 'ready', token = NULL, lease_until = NULL, lost = lost + 1,
                     ready_at = clock_timestamp()
                 WHERE (table_name, record_id) IN (
                     SELECT table_name, record_id FROM syncdeck.unit
                     WHERE state = 'inflight' AND lease_until < clock_timestamp() FOR UPDATE SKIP LOCKED)",
                &[],
            )
            .await
            .while_("take back units whose lease ran out")?;
        client
            .execute(
                "UPDATE syncdeck.unit SET state = 'ready' WHERE (table_name, record_id) IN (
                     SELECT table_name, record_id FROM syncdeck.unit
                     WHERE state = 'held' AND ready_at <= clock_timestamp() LIMIT 1000 FOR UPDATE SKIP LOCKED)",
                &[],
            )
            .await
            .while_("look at held units again")?;
        Ok(expired)
    }

    /// Reads what claimed units of one table are about. Entries that are NEW or FAILED belong to the unit as well:
    /// a unit's entries share its fate. Index `_trigger_log_idx_record`.
    pub async fn contents(
        &self,
        table: &str,
        external_id_column: Option<&str>,
        rows: &[RowId],
    ) -> Result<HashMap<RowId, Content>, Error> {
        let client = self.client().await?;
        let ids: Vec<i32> = rows.iter().map(|row| row.0).collect();
        let mut contents: HashMap<RowId, Content> = HashMap::new();
        let sql = format!(
            "SELECT id, record_id, action, sfid, values, created_at FROM {schema}._trigger_log
             WHERE table_name = $1 AND record_id = ANY($2) AND state IN ('NEW', 'PENDING', 'FAILED') ORDER BY id",
            schema = self.schema
        );
        let statement = client.prepare_cached(&sql).await.while_("read the changes of units")?;
        for row in client.query(&statement, &[&table, &ids]).await.while_("read the changes of units")? {
            let content = contents.entry(RowId(row.get(1))).or_default();
            content.entries.push(read_entry(&row)?);
        }
        let external =
            external_id_column.map_or("NULL".to_owned(), |column| format!("{}::text", super::quote(column)));
        let sql = format!("SELECT id, sfid::text, {external} FROM {} WHERE id = ANY($1)", self.table(table));
        let statement = client.prepare_cached(&sql).await.while_("read the rows of units")?;
        for row in client.query(&statement, &[&ids]).await.while_("read the rows of units")? {
            let content = contents.entry(RowId(row.get(0))).or_default();
            content.sfid = row.get(1);
            content.external_id = row.get(2);
        }
        let unknown: Vec<i32> =
            contents.iter().filter(|(_, content)| content.sfid.is_none()).map(|(row, _)| row.0).collect();
        for (row, sfid) in self.accepted_ids(&client, table, &unknown).await? {
            contents.entry(row).or_default().sfid = Some(sfid);
        }
        Ok(contents)
    }

    /// The record ids that Salesforce gave these rows, from the archive. A row that was deleted while its insert was
    /// in flight never carried its id; without this, its delete would seem to concern a record never sent.
    async fn accepted_ids(
        &self,
        client: &deadpool_postgres::Object,
        table: &str,
        rows: &[i32],
    ) -> Result<Vec<(RowId, String)>, Error> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT DISTINCT ON (record_id) record_id, sfid::text FROM {}._trigger_log_archive
             WHERE table_name = $1 AND record_id = ANY($2) AND state = 'SUCCESS' AND sfid IS NOT NULL AND action <> 'DELETE'
             ORDER BY record_id, id DESC",
            self.schema
        );
        let statement = client.prepare_cached(&sql).await.while_("find the records of rows")?;
        let found = client.query(&statement, &[&table, &rows]).await.while_("find the records of rows")?;
        Ok(found.iter().map(|row| (RowId(row.get(0)), row.get(1))).collect())
    }

    /// Which of these parents, named by external id, have a row here: its row id, and whether Salesforce has it.
    pub async fn parents(
        &self,
        table: &str,
        column: &str,
        keys: &[String],
    ) -> Result<HashMap<String, (RowId, bool)>, Error> {
        let client = self.client().await?;
        let sql = format!(
            "SELECT parent.{column}::text, parent.id, coalesce(parent.sfid, unit.sfid) IS NOT NULL
             FROM {table} parent LEFT JOIN syncdeck.unit unit ON unit.table_name = $2 AND unit.record_id = parent.id
             WHERE parent.{column}::text = ANY($1)",
            column = super::quote(column),
            table = self.table(table)
        );
        let rows = client.query(&sql, &[&keys, &table]).await.while_("look up parent rows")?;
        Ok(rows.iter().map(|row| (row.get(0), (RowId(row.get(1)), row.get(2)))).collect())
    }

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

/// The columns of the archive, in the order of its inserts.
const ARCHIVE_COLUMNS: &str = "(id, txid, created_at, updated_at, processed_at, processed_tx, state, action, \
     table_name, record_id, sfid, old, values, sf_result, sf_message)";

fn read_entry(row: &tokio_postgres::Row) -> Result<Entry, Error> {
    let id: i32 = row.get(0);
    let unreadable =
        |what: String| Error::Refused(format!("the entry {id} of _trigger_log cannot be read: {what}"));
    let action: String = row.get(2);
    let values: Option<String> = row.get(4);
    Ok(Entry {
        id: i64::from(id),
        action: Action::from_word(&action).ok_or_else(|| unreadable(format!("action {action:?}")))?,
        sfid: row.get(3),
        old: None,
        values: hstore::parse(values.as_deref().unwrap_or(""))
            .map_err(|error| unreadable(error.to_string()))?,
        captured_at: row.get(5),
    })
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
