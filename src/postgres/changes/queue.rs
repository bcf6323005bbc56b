//! The queue of units: ingestion of captured changes and claim. Each statement names the invariant it keeps; what a claim is
//! about (`contents`) and the acknowledgement are next door.

use std::time::Duration;

use serde_json::Value;

use crate::domain::changes::dispatch::Claimed;
use crate::domain::changes::unit::{LOST_WITH_ENGINE, SendResult};
use crate::domain::errors::sync_error::ErrorSource;
use crate::domain::mappings::strategy::RetryDecision;
use crate::domain::names::{RowId, RowRef};
use crate::domain::values::key::Key;

use crate::postgres::errors::sync_errors::NewError;
use crate::postgres::{Cached, Error, ErrorContext, Store};

/// How much of a claim's token names its batches.
pub const CLAIM_WORD: usize = 6;

/// What became of one unit of a batch.
#[derive(Clone, Debug)]
pub enum UnitOutcome {
    /// Salesforce took it.
    Accepted {
        /// The record's id, when the row is to have it.
        sfid: Option<String>,
        /// What the row's `_hc_lastop` becomes; `None` after a delete.
        lastop: Option<&'static str>,
    },
    /// Salesforce took it without a reference that can only be set once it is there; the rest of it is still to go.
    Begun {
        /// The record's id.
        sfid: Option<String>,
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
        /// What becomes of it.
        next: RetryDecision,
    },
    /// Waits for another row: its parent, or one that still has its key.
    Held {
        /// As it is listed.
        error: Box<NewError>,
        /// What it waits for.
        awaited: Awaited,
    },
    /// The answer never came.
    Lost {
        /// Whether the call held nothing else.
        alone: bool,
        /// After how long it is sent again,
        retry: Duration,
        /// unless it is parked for a person, why, and how.
        park: Option<(Box<NewError>, RetryDecision)>,
    },
    /// Not sent after all.
    Released {
        /// After how long it is ready again.
        pause: Duration,
    },
    /// Not sent: the mapping's writes are stopped.
    Stopped,
    /// The record is gone; the row goes again as a new one.
    Recreate,
}

impl UnitOutcome {
    /// What it means for its unit.
    pub fn answer(&self) -> SendResult {
        match self {
            UnitOutcome::Accepted { .. } => SendResult::Accepted,
            UnitOutcome::Begun { .. } => SendResult::Begun,
            UnitOutcome::Nothing { .. } => SendResult::Nothing,
            UnitOutcome::Rejected { error, next } => {
                SendResult::Rejected { next: *next, counted: error.source == ErrorSource::Salesforce }
            }
            UnitOutcome::Held { awaited, .. } => SendResult::Held { pause: awaited.pause() },
            UnitOutcome::Lost { alone, retry, park } => SendResult::Lost {
                alone: *alone,
                retry: *retry,
                parked: park.as_ref().map(|(_, decision)| *decision),
            },
            UnitOutcome::Released { pause } => SendResult::Released { pause: *pause },
            UnitOutcome::Stopped => SendResult::Stopped,
            UnitOutcome::Recreate => SendResult::Anew,
        }
    }
}

/// What a held unit waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// A row's unit.
    Row(RowRef),
    /// A row that is not here yet, by its external id.
    Key {
        /// Its table.
        table: String,
        /// Its external id.
        key: Key,
    },
}

impl Awaited {
    /// How long a held unit sleeps, should the word of what it waits for be missed. One whose parent is not even
    /// here costs a request each time.
    fn pause(&self) -> Duration {
        match self {
            Awaited::Row(_) => Duration::from_secs(10),
            Awaited::Key { .. } => Duration::from_secs(300),
        }
    }
}

/// One unit's acknowledgement.
#[derive(Clone, Debug)]
pub struct Ack {
    /// The unit, as claimed.
    pub unit: Claimed,
    /// The newest entry that was coalesced into what was sent.
    pub upto: i64,
    /// `insert`, `update`, `delete`.
    pub op: &'static str,
    /// The record's external id as Salesforce compares it, for those that wait for it.
    pub key: Option<String>,
    /// What was sent, for the attempt's record; `None` when nothing was.
    pub request: Option<Value>,
    /// What Salesforce answered for it.
    pub response: Option<Value>,
    /// What became of it.
    pub outcome: UnitOutcome,
}

/// What an acknowledgement did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Acked {
    /// Units that this token no longer held; their results were dropped (I7).
    pub fenced: usize,
    /// Rows that were locked by users; they are written back later.
    pub deferred: usize,
}

/// Whether something may have been captured, without a look at any row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureState {
    /// The newest id that `_trigger_log` gave out, committed or not.
    pub captured: i64,
    /// Every transaction below this one has ended.
    pub oldest_transaction: i64,
    /// The server's snapshot; another one when a transaction has ended or begun to write.
    pub snapshot: String,
}

impl Store {
    /// What the sequence of `_trigger_log` and the server's transactions stand at.
    pub async fn capture_state(&self) -> Result<CaptureState, Error> {
        let client = self.client().await?;
        let sql = format!(
            "SELECT last_value, pg_snapshot_xmin(now)::text::bigint, now::text
             FROM {}._trigger_log_id_seq, pg_current_snapshot() AS now",
            self.schema
        );
        let rows = client.query_cached(&sql, &[]).await.context("look whether something was captured")?;
        let row = &rows[0];
        Ok(CaptureState { captured: row.get(0), oldest_transaction: row.get(1), snapshot: row.get(2) })
    }

    /// A transaction of our own, younger than all that have begun to write.
    pub async fn newest_transaction(&self) -> Result<i64, Error> {
        let client = self.client().await?;
        let rows = client
            .query_cached("SELECT pg_current_xact_id()::text::bigint", &[])
            .await
            .context("look which transactions there are")?;
        Ok(rows[0].get(0))
    }

    /// Takes captured changes in: NEW entries become PENDING and their units are there, ready. Returns how many.
    ///
    /// One ingestion at a time (advisory lock): with two, a later change of a record could be claimed before an earlier
    /// one is visible. The unit is upserted with `version + 1`, never DO NOTHING, which strands an entry that
    /// arrives while its unit is being acknowledged (reproduced). A row that was mended keeps its place before those that
    /// came after its first change. Of a mapping that drains, what was captured after that
    /// was asked for stays NEW, and so does an entry that fits nowhere: it is looked into by itself (`custody`).
    ///
    /// Whatever was planned while the log was empty holds for a million entries: the first of them are read along
    /// `_trigger_log_idx_state_id`, and changed by their ids, with no join. No other index has the order that is asked for,
    /// because a range of states is, with one state in it, and sorting is ruled out.
    pub async fn ingest(&self, tables: &[String], limit: i64) -> Result<i64, Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin an ingestion")?;
        let planned = async { transaction.batch_execute(IN_ORDER).await.context("begin an ingestion") };
        let alone = async {
            transaction
                .query_cached("SELECT pg_try_advisory_xact_lock(hashtext('syncdeck intake'))", &[])
                .await
                .context("lock the ingestion")
        };
        let ((), alone) = tokio::try_join!(planned, alone)?;
        if !alone[0].get::<_, bool>(0) {
            return Ok(0);
        }
        let sql = format!(
            "WITH taken AS (
                 UPDATE {schema}._trigger_log SET state = 'PENDING', updated_at = clock_timestamp(), sf_result = NULL
                 WHERE id = ANY(ARRAY(
                     SELECT id FROM {schema}._trigger_log log
                     WHERE state >= 'NEW' AND state <= 'NEW' AND table_name = ANY($1) AND {FITS} AND NOT EXISTS (
                         SELECT FROM syncdeck.mapping WHERE mapping.table_name = log.table_name AND drain_upto < log.id)
                     ORDER BY state, id LIMIT $2 FOR UPDATE OF log SKIP LOCKED))
                 RETURNING table_name, record_id
             ), units AS (
                 INSERT INTO syncdeck.unit AS unit (table_name, record_id, state)
                 SELECT table_name, record_id, 'ready' FROM taken GROUP BY 1, 2 ORDER BY 1, 2
                 ON CONFLICT (table_name, record_id) DO UPDATE SET version = unit.version + 1,
                     state = CASE WHEN unit.state IN ('inflight', 'review') THEN unit.state ELSE 'ready' END,
                     ready_at = CASE WHEN unit.state = 'inflight' THEN unit.ready_at
                         WHEN unit.state IN ('failed', 'stopped') THEN least(unit.created_at, clock_timestamp())
                         ELSE clock_timestamp() END,
                     attempts = 0, lost_alone = 0
             ) SELECT count(*) FROM taken",
            schema = self.schema
        );
        let taken: i64 =
            transaction.query_cached(&sql, &[&tables, &limit]).await.context("take captured changes in")?[0]
                .get(0);
        // A no-op update, and a write to a read-only mapping, need no send (I1): their state is the reason.
        let sql = format!(
            "WITH done AS (
                 DELETE FROM {schema}._trigger_log WHERE id = ANY(
                     ARRAY(SELECT id FROM {schema}._trigger_log WHERE state >= 'IGNORE' AND state <= 'IGNORE'
                         ORDER BY state, id LIMIT $1 FOR UPDATE SKIP LOCKED)
                     || ARRAY(SELECT id FROM {schema}._trigger_log WHERE state >= 'READONLY' AND state <= 'READONLY'
                         ORDER BY state, id LIMIT $1 FOR UPDATE SKIP LOCKED)) RETURNING *
             ) INSERT INTO {schema}._trigger_log_archive {ARCHIVE_COLUMNS}
             SELECT id, txid, created_at, clock_timestamp(), clock_timestamp(), txid_current(),
                 CASE state WHEN 'IGNORE' THEN 'IGNORED' ELSE state END, action, table_name, record_id, sfid, old,
                 values, sf_result, sf_message FROM done",
            schema = self.schema
        );
        transaction.execute_cached(&sql, &[&limit]).await.context("archive changes that need no send")?;
        transaction.commit().await.context("finish an ingestion")?;
        Ok(taken)
    }

    /// Claims up to `limit` ready units under a new random token, for `lease`. They are read along the partial index
    /// `unit_ready`: to a planner that saw an empty queue, sorting all that is ready would be as good.
    pub async fn claim(&self, token: &str, lease: Duration, limit: i64) -> Result<Vec<Claimed>, Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin a claim")?;
        let planned = async { transaction.batch_execute(IN_ORDER).await.context("begin a claim") };
        let sql = format!(
            "UPDATE syncdeck.unit SET state = 'inflight', token = $1,
                 lease_until = clock_timestamp() + make_interval(secs => $2)
             WHERE ctid = ANY(ARRAY(
                 SELECT ctid FROM syncdeck.unit WHERE state = 'ready' AND ready_at <= clock_timestamp()
                 ORDER BY ready_at LIMIT $3 FOR UPDATE SKIP LOCKED))
             RETURNING {CLAIMED}"
        );
        let claim = async {
            transaction
                .query_cached(&sql, &[&token, &lease.as_secs_f64(), &limit])
                .await
                .context("claim units")
        };
        let ((), rows) = tokio::try_join!(planned, claim)?;
        transaction.commit().await.context("finish a claim")?;
        Ok(rows.iter().map(claimed).collect())
    }

    /// Notes up to which entry rows are about to be sent as new records, under the token of their claim.
    pub async fn note_first_send(
        &self,
        token: &str,
        table: &str,
        rows: &[RowId],
        upto: &[i64],
    ) -> Result<(), Error> {
        let client = self.client().await?;
        let rows: Vec<i32> = rows.iter().map(|row| row.0).collect();
        client
            .execute_cached(
                "UPDATE syncdeck.unit SET first_upto = sent.upto
                 FROM unnest($3::integer[], $4::bigint[]) AS sent (record, upto)
                 WHERE table_name = $2 AND record_id = sent.record AND state = 'inflight' AND token = $1",
                &[&token, &table, &rows, &upto],
            )
            .await
            .context("note a first send")
            .map(drop)
    }

    /// Makes units of dead engines ready again, and wakes held ones whose time has come. A send whose answer nobody
    /// waited for counts as lost. Returns how many leases had run out.
    pub async fn rescue_expired(&self) -> Result<u64, Error> {
        let client = self.client().await?;
        let expired = client
            .execute_cached(
                "UPDATE syncdeck.unit SET state = 'ready', token = NULL, lease_until = NULL, lost = greatest(lost, least(lost + 1, $1)),
                     ready_at = clock_timestamp()
                 WHERE ctid = ANY(ARRAY(
                     SELECT ctid FROM syncdeck.unit
                     WHERE state = 'inflight' AND lease_until < clock_timestamp() FOR UPDATE SKIP LOCKED))",
                &[&LOST_WITH_ENGINE],
            )
            .await
            .context("take back units whose lease ran out")?;
        client
            .execute_cached(
                "UPDATE syncdeck.unit SET state = 'ready' WHERE ctid = ANY(ARRAY(
                     SELECT ctid FROM syncdeck.unit
                     WHERE state = 'held' AND ready_at <= clock_timestamp() LIMIT 1000 FOR UPDATE SKIP LOCKED))",
                &[],
            )
            .await
            .context("look at held units again")?;
        drop(client);
        self.wake_stopped().await?;
        Ok(expired)
    }
}

/// What of a unit a claim tells, for [`claimed`].
pub(in crate::postgres) const CLAIMED: &str = "table_name, record_id, version, attempts, lost, lost_alone, sfid, recreate, first_upto::bigint, clock_timestamp()";

/// A unit as it was claimed.
pub(in crate::postgres) fn claimed(row: &tokio_postgres::Row) -> Claimed {
    Claimed {
        table: row.get(0),
        row: RowId(row.get(1)),
        version: row.get(2),
        attempts: row.get(3),
        lost: row.get(4),
        lost_alone: row.get(5),
        sfid: row.get(6),
        recreate: row.get(7),
        first_upto: row.get(8),
        claimed_at: row.get(9),
    }
}

/// Entries whose fate is open; not those that nobody can read, which are FAILED for good (`custody`).
pub(in crate::postgres) const UNSENT: &str =
    "state IN ('NEW', 'PENDING', 'FAILED') AND (state <> 'FAILED' OR sf_result IS DISTINCT FROM -1)";

/// The same of entries that are looked up by their ids or their records: no index of states fits it. To a planner that saw
/// these tables while they were empty all indexes are as good, and one of states holds everything that waits.
pub(in crate::postgres) const STILL_UNSENT: &str =
    "(state || '') IN ('NEW', 'PENDING', 'FAILED') AND (state <> 'FAILED' OR sf_result IS DISTINCT FROM -1)";

/// The units of the table `$1` whose records are in `$2`, for statements that have them locked: each by its key. A planner that
/// saw an empty queue would walk all of the table's units.
pub(in crate::postgres) const UNITS_BY_KEY: &str = "ctid = ANY(ARRAY(
    SELECT found.ctid FROM unnest($2::integer[]) AS wanted (record), LATERAL (
        SELECT ctid FROM syncdeck.unit WHERE table_name = $1 AND record_id = wanted.record OFFSET 0) found))";

/// Entries that are about a row, and say what was done to it.
pub(in crate::postgres) const FITS: &str =
    "record_id IS NOT NULL AND action IN ('INSERT', 'UPDATE', 'DELETE')";

/// When an entry was captured. Somebody else's may not say.
pub(in crate::postgres) const CAPTURED_AT: &str = "coalesce(created_at, updated_at, 'epoch'::timestamptz)";

/// For statements that take the first entries along their index, whatever is planned for a log that is empty yet.
const IN_ORDER: &str =
    "SET LOCAL enable_sort = off; SET LOCAL enable_incremental_sort = off; SET LOCAL enable_bitmapscan = off";

/// The columns of the archive, in the order of its inserts.
pub(in crate::postgres) const ARCHIVE_COLUMNS: &str = "(id, txid, created_at, updated_at, processed_at, processed_tx, state, action, \
     table_name, record_id, sfid, old, values, sf_result, sf_message)";
