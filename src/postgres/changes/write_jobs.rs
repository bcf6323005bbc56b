//! Units that go by ingest jobs: claimed for one, with it kept, given to another engine with it, and let go when it is over.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::domain::changes::dispatch::Claimed;
use crate::domain::changes::write_job::JobUnit;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::RowId;
use crate::postgres::changes::queue::{CLAIMED, claimed};
use crate::postgres::{Cached, Error, ErrorContext, Store};

/// A job whose units are in flight.
#[derive(Clone, Debug)]
pub struct WriteJob {
    /// The token of its units.
    pub token: String,
    /// Their table.
    pub table: String,
    /// Salesforce's id, where it was told.
    pub job: Option<String>,
    /// `update`, `upsert` or `delete`.
    pub operation: String,
    /// The field that names the records.
    pub key_field: String,
    /// Whether Salesforce may have been told to begin.
    pub closed: bool,
    /// When its units were claimed.
    pub began_at: DateTime<Utc>,
}

impl Store {
    /// How many of a mapping's first `most` ready units may go by a job, and how many there are: nothing has gone wrong with
    /// the former, and where an insert may not be one, their rows have records. Index `unit_waits`.
    pub async fn ready_for_job(&self, mapping: &Mapping, most: i64) -> Result<(usize, usize), Error> {
        let client = self.client().await?;
        let sql = format!(
            "SELECT count(*) FILTER (WHERE {}), count(*) FROM ({}) head",
            self.fit_for_job(mapping),
            HEAD.replace("LOCK", "")
        );
        let rows = client.query_cached(&sql, &[&mapping.table, &most]).await.context("count ready units")?;
        let count = |at: usize| usize::try_from(rows[0].get::<_, i64>(at)).unwrap_or(0);
        Ok((count(0), count(1)))
    }

    /// Claims those units for a job of `owner`, under a new random token. The job is kept with the claim: from now on its
    /// units go no other way, and count as lost only if it was closed.
    pub async fn claim_for_job(
        &self,
        token: &str,
        owner: &str,
        lease: Duration,
        mapping: &Mapping,
        most: i64,
    ) -> Result<Vec<Claimed>, Error> {
        let client = self.client().await?;
        let sql = format!(
            "WITH job AS (
                 INSERT INTO syncdeck.write_job (token, owner, table_name, lease_until)
                 VALUES ($3, $4, $1, clock_timestamp() + make_interval(secs => $5)))
             UPDATE syncdeck.unit SET state = 'inflight', token = $3, lease_until = 'infinity'
             WHERE ctid = ANY(ARRAY(SELECT head.ctid FROM ({}) head WHERE {}))
             RETURNING {CLAIMED}",
            HEAD.replace("LOCK", "FOR UPDATE SKIP LOCKED"),
            self.fit_for_job(mapping)
        );
        let rows = client
            .query_cached(&sql, &[&mapping.table, &most, &token, &owner, &lease.as_secs_f64()])
            .await
            .context("claim units for a job")?;
        Ok(rows.iter().map(claimed).collect())
    }

    fn fit_for_job(&self, mapping: &Mapping) -> String {
        let fit = "head.ready_at <= clock_timestamp() AND head.attempts = 0 AND head.lost = 0 AND NOT head.recreate";
        if mapping.external_id.is_some() && mapping.rules.upsert {
            return fit.to_owned();
        }
        let table = self.table(&mapping.table);
        format!("{fit} AND NOT EXISTS (SELECT FROM {table} t WHERE t.id = head.record_id AND t.sfid IS NULL)")
    }

    /// Whether anything of these tables waits or is in flight.
    pub async fn has_unsent(&self, tables: &[&str]) -> Result<bool, Error> {
        let client = self.client().await?;
        let rows = client
            .query_cached(
                "SELECT EXISTS (SELECT FROM syncdeck.unit WHERE table_name = ANY($1) AND state IN ('ready', 'inflight', 'held'))",
                &[&tables],
            )
            .await
            .context("look for unsent changes")?;
        Ok(rows[0].get(0))
    }

    /// Whether a job of one of these tables is under way, whoever drives it.
    pub async fn has_write_job(&self, tables: &[String]) -> Result<bool, Error> {
        let client = self.client().await?;
        let sql = "SELECT EXISTS (SELECT FROM syncdeck.write_job WHERE table_name = ANY($1))";
        let rows = client.query_cached(sql, &[&tables]).await.context("look for jobs of children")?;
        Ok(rows[0].get(0))
    }

    /// The earliest change up to `last` of a row in the tables `naming` that is in flight under another token, or, in those of
    /// `sent`, ready within a minute. Not of rows that are deleted by now: their deletes wait for nobody, or two could wait for
    /// each other. Index `_trigger_log_idx_state_id`.
    pub async fn earliest_change(
        &self,
        naming: &[String],
        sent: &[&str],
        last: i64,
        token: &str,
    ) -> Result<Option<i64>, Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to look for earlier changes")?;
        let planned = async { transaction.batch_execute(BY_INDEX).await.context("look for earlier changes") };
        // Looked up for each change, not joined: the first one that is found is enough. Where nothing is on its way, none is
        // looked up. What is written with a blank text or a zero fits no index but the one of records.
        let sql = format!(
            "SELECT log.id::bigint FROM {0}._trigger_log log
             WHERE state >= 'PENDING' AND state <= 'PENDING' AND id < $3::bigint AND table_name = ANY($1)
                 AND action <> 'DELETE'
                 AND (EXISTS (SELECT FROM syncdeck.unit WHERE unit.state = 'inflight' AND unit.table_name = ANY($1)
                         AND unit.token IS DISTINCT FROM $4 OFFSET 0)
                     OR EXISTS (SELECT FROM syncdeck.unit WHERE unit.state = 'ready' AND unit.table_name = ANY($2) OFFSET 0))
                 AND EXISTS (SELECT FROM syncdeck.unit WHERE unit.table_name = log.table_name
                     AND unit.record_id = log.record_id AND unit.token IS DISTINCT FROM $4
                     AND (unit.state = 'inflight' OR unit.state = 'ready' AND unit.table_name = ANY($2)
                         AND unit.ready_at < clock_timestamp() + interval '1 minute') OFFSET 0)
                 AND NOT EXISTS (SELECT FROM {0}._trigger_log later WHERE later.table_name = log.table_name
                     AND later.record_id = log.record_id AND later.id + 0 >= log.id
                     AND (later.action || '') = 'DELETE' AND (later.state || '') IN ('NEW', 'PENDING') OFFSET 0)
             ORDER BY log.state, log.id LIMIT 1",
            self.schema
        );
        let earliest = async {
            transaction
                .query_cached(&sql, &[&naming, &sent, &last, &token])
                .await
                .context("look for earlier changes of children")
        };
        let ((), rows) = tokio::try_join!(planned, earliest)?;
        transaction.commit().await.context("look for earlier changes")?;
        Ok(rows.first().map(|row| row.get(0)))
    }

    /// How many jobs are driven, by whichever engine. One that nobody drives may be of a table that is mapped no more.
    pub async fn write_jobs_under_way(&self) -> Result<i64, Error> {
        let client = self.client().await?;
        let rows = client
            .query_cached(
                "SELECT count(*) FROM syncdeck.write_job WHERE lease_until > clock_timestamp()",
                &[],
            )
            .await;
        Ok(rows.context("count jobs")?[0].get(0))
    }

    /// Keeps what a job is about, before it is made. False when another engine has it.
    pub async fn keep_write_job(
        &self,
        job: &WriteJob,
        units: &[JobUnit],
        lease: Duration,
    ) -> Result<bool, Error> {
        let units = serde_json::to_value(units).unwrap_or_default();
        let client = self.client().await?;
        let kept = client
            .execute_cached(
                "UPDATE syncdeck.write_job SET operation = $2, key_field = $3, units = $4,
                     lease_until = clock_timestamp() + make_interval(secs => $5) WHERE token = $1",
                &[&job.token, &job.operation, &job.key_field, &units, &lease.as_secs_f64()],
            )
            .await
            .context("keep a job")?;
        Ok(kept > 0)
    }

    /// Keeps how far a job is, and renews its lease. Nothing when another engine has it; otherwise the server's time.
    pub async fn renew_write_job(
        &self,
        job: &WriteJob,
        lease: Duration,
    ) -> Result<Option<DateTime<Utc>>, Error> {
        let client = self.client().await?;
        let rows = client
            .query_cached(
                "UPDATE syncdeck.write_job SET job = $2, closed = closed OR $3,
                     lease_until = clock_timestamp() + make_interval(secs => $4)
                 WHERE token = $1 RETURNING clock_timestamp()",
                &[&job.token, &job.job, &job.closed, &lease.as_secs_f64()],
            )
            .await
            .context("renew a job's lease")?;
        Ok(rows.first().map(|row| row.get(0)))
    }

    /// Lets whichever engine comes first see to a job.
    pub async fn leave_write_job(&self, token: &str) -> Result<(), Error> {
        let client = self.client().await?;
        client
            .execute_cached(
                "UPDATE syncdeck.write_job SET lease_until = clock_timestamp() WHERE token = $1",
                &[&token],
            )
            .await
            .context("leave a job")
            .map(drop)
    }

    /// Takes a job over that nobody drives any more, with its units, under a token of its own: an engine that had it and
    /// comes back changes nothing any more (I7).
    pub async fn take_write_job(
        &self,
        token: &str,
        owner: &str,
        tables: &[String],
        lease: Duration,
    ) -> Result<Option<WriteJob>, Error> {
        let mut client = self.client().await?;
        let left = "SELECT EXISTS (SELECT FROM syncdeck.write_job
             WHERE lease_until <= clock_timestamp() AND table_name = ANY($1))";
        let left =
            client.query_cached(left, &[&tables]).await.context("look for a job that nobody drives")?;
        if !left[0].get::<_, bool>(0) {
            return Ok(None);
        }
        let transaction = client.transaction().await.context("begin to take a job over")?;
        let found = transaction
            .query_cached(
                "SELECT token, table_name::text, job::text, coalesce(operation, ''), coalesce(key_field, ''), closed, began_at
                 FROM syncdeck.write_job WHERE lease_until <= clock_timestamp() AND table_name = ANY($1)
                 ORDER BY began_at LIMIT 1 FOR UPDATE SKIP LOCKED",
                &[&tables],
            )
            .await
            .context("look for a job that nobody drives")?;
        let Some(row) = found.first() else { return Ok(None) };
        let before: String = row.get(0);
        let job = WriteJob {
            token: token.to_owned(),
            table: row.get(1),
            job: row.get(2),
            operation: row.get(3),
            key_field: row.get(4),
            closed: row.get(5),
            began_at: row.get(6),
        };
        transaction
            .execute_cached(
                "UPDATE syncdeck.write_job SET token = $2, owner = $3,
                     lease_until = clock_timestamp() + make_interval(secs => $4) WHERE token = $1",
                &[&before, &token, &owner, &lease.as_secs_f64()],
            )
            .await
            .context("take a job over")?;
        transaction
            .execute_cached(
                "UPDATE syncdeck.unit SET token = $2 WHERE state = 'inflight' AND token = $1",
                &[&before, &token],
            )
            .await
            .context("take a job's units over")?;
        transaction.commit().await.context("take a job over")?;
        Ok(Some(job))
    }

    /// What is to be acknowledged of a job: units that were let go, or acknowledged before, are not among them. `None` where
    /// what was kept cannot be read.
    pub async fn write_job_units(&self, job: &WriteJob) -> Result<Option<Vec<JobUnit>>, Error> {
        let held: HashSet<RowId> =
            self.held_for_write_job(&job.token).await?.into_iter().map(|unit| unit.row).collect();
        let client = self.client().await?;
        let kept = client
            .query_cached("SELECT units FROM syncdeck.write_job WHERE token = $1", &[&job.token])
            .await
            .context("read what a job is about")?;
        let kept: Option<Value> = kept.first().and_then(|row| row.get(0));
        let units: Option<Vec<JobUnit>> = kept.and_then(|kept| serde_json::from_value(kept).ok());
        Ok(units.map(|units| units.into_iter().filter(|unit| held.contains(&unit.row)).collect()))
    }

    /// The units that are in flight with a job, as they stand.
    pub async fn held_for_write_job(&self, token: &str) -> Result<Vec<Claimed>, Error> {
        let client = self.client().await?;
        let sql = format!("SELECT {CLAIMED} FROM syncdeck.unit WHERE state = 'inflight' AND token = $1");
        let rows = client.query_cached(&sql, &[&token]).await.context("find the units of a job")?;
        Ok(rows.iter().map(claimed).collect())
    }

    /// Ends a job. What became of a unit that is still in flight is not known then: it counts as lost with its engine. What
    /// waits a while in the tables `waited`, as deletes do for a job, is ready.
    pub async fn end_write_job(&self, token: &str, waited: &[&str]) -> Result<(), Error> {
        let client = self.client().await?;
        let ended = client
            .execute_cached(
                "WITH ended AS (DELETE FROM syncdeck.write_job WHERE token = $1 RETURNING token),
                 lost AS (UPDATE syncdeck.unit SET lease_until = clock_timestamp() FROM ended
                     WHERE state = 'inflight' AND unit.token = ended.token)
                 SELECT FROM ended",
                &[&token],
            )
            .await
            .context("end a job")?;
        if ended > 0 && !waited.is_empty() { self.ready_now(waited).await } else { Ok(()) }
    }

    /// Makes what waits a while in these tables ready, unless it waits to be sent again, or is just being changed. Index
    /// `unit_ready`.
    pub async fn ready_now(&self, tables: &[&str]) -> Result<(), Error> {
        let client = self.client().await?;
        client
            .execute_cached(
                "UPDATE syncdeck.unit SET ready_at = clock_timestamp() WHERE ctid = ANY(ARRAY(
                     SELECT ctid FROM syncdeck.unit WHERE table_name = ANY($1) AND state = 'ready'
                         AND ready_at > statement_timestamp() AND attempts = 0 AND lost = 0 FOR UPDATE SKIP LOCKED))",
                &[&tables],
            )
            .await
            .context("wake deletes that waited for a job")
            .map(drop)
    }

    /// Gives units a lease that ends whose job is gone, whoever removed it. Returns how many there were.
    pub async fn rescue_without_write_job(&self) -> Result<u64, Error> {
        let client = self.client().await?;
        client
            .execute_cached(
                "UPDATE syncdeck.unit SET lease_until = clock_timestamp()
                 WHERE state = 'inflight' AND lease_until = 'infinity' AND NOT EXISTS (
                     SELECT FROM syncdeck.write_job WHERE write_job.token = unit.token)",
                &[],
            )
            .await
            .context("look for units whose job is gone")
    }
}

/// The units of the table `$1` that wait longest, `$2` of them.
const HEAD: &str = "SELECT ctid, record_id, ready_at, attempts, lost, recreate FROM syncdeck.unit
     WHERE table_name = $1 AND state = 'ready' ORDER BY created_at LIMIT $2 LOCK";

/// For a statement that looks records up, whatever is planned for tables that are empty yet.
const BY_INDEX: &str =
    "SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off";
