//! What engines say of themselves and of the mappings: signs of life, states, cursors, leases.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::domain::reports::overview::ConnectionStatus;
use crate::domain::state::{EngineState, MappingState};

use crate::postgres::{Cached, Error, ErrorContext, Store, Transaction, literal, quote};

/// An engine that gave no sign of life for this long counts as stopped.
pub(in crate::postgres) const SILENT_AFTER: &str = "10 s";

impl Store {
    /// Gives the engine's sign of life, and with it the connection's state.
    pub async fn heartbeat(
        &self,
        owner: &str,
        state: EngineState,
        connection: &ConnectionStatus,
    ) -> Result<(), Error> {
        let client = self.client().await?;
        client
            .execute(
                "INSERT INTO syncdeck.engine (owner, state, connection, environment, connection_state,
                     connection_detail, api_used, api_limit, instance_url) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
                 ON CONFLICT (owner) DO UPDATE SET state = excluded.state, connection_state = excluded.connection_state,
                     connection_detail = excluded.connection_detail, api_used = excluded.api_used,
                     api_limit = excluded.api_limit, instance_url = coalesce(excluded.instance_url, engine.instance_url),
                     seen_at = clock_timestamp()",
                &[
                    &owner,
                    &state.word(),
                    &connection.name,
                    &connection.environment,
                    &connection.state.word(),
                    &connection.detail,
                    &connection.api_used,
                    &connection.api_limit,
                    &connection.instance_url,
                ],
            )
            .await
            .context("give a sign of life")
            .map(drop)
    }

    /// Takes the engine's row away: it stopped in good order.
    pub async fn retire(&self, owner: &str) -> Result<(), Error> {
        let client = self.client().await?;
        client
            .execute("UPDATE syncdeck.engine SET state = 'stopped' WHERE owner = $1", &[&owner])
            .await
            .context("say that the engine stopped")?;
        client
            .execute("DELETE FROM syncdeck.lease WHERE owner = $1", &[&owner])
            .await
            .context("give leases back")?;
        client
            .execute(
                "UPDATE syncdeck.write_job SET lease_until = clock_timestamp()
                 WHERE owner = $1 AND lease_until > clock_timestamp()",
                &[&owner],
            )
            .await
            .context("give jobs back")
            .map(drop)
    }

    /// Takes or extends a named lease. True when it is ours. That of an engine which gives no sign of life any more is
    /// taken before it ends; whoever works under a lease proves it with each transaction (`prove`).
    pub async fn lease(&self, lease: &Lease, length: Duration) -> Result<bool, Error> {
        let client = self.client().await?;
        let taken = client
            .execute(
                &format!(
                    "INSERT INTO syncdeck.lease AS held VALUES ($1, $2, clock_timestamp() + make_interval(secs => $3))
                     ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until = excluded.until
                     WHERE held.owner = excluded.owner OR held.until < clock_timestamp() OR EXISTS (
                         SELECT FROM syncdeck.engine WHERE engine.owner = held.owner
                             AND (state = 'stopped' OR seen_at < clock_timestamp() - interval '{SILENT_AFTER}'))"
                ),
                &[&lease.name, &lease.owner, &length.as_secs_f64()],
            )
            .await
            .context("take a lease")?;
        Ok(taken == 1)
    }

    /// Sets a mapping's state and the words that go with it. Tells whether that changed anything.
    pub async fn set_mapping_state(
        &self,
        name: &str,
        state: MappingState,
        detail: Option<&str>,
    ) -> Result<bool, Error> {
        let client = self.client().await?;
        let changed = client
            .execute(
                "UPDATE syncdeck.mapping SET state = $2, detail = $3, load_began_at = NULL
                 WHERE name = $1 AND (state, detail) IS DISTINCT FROM ($2, $3)",
                &[&name, &state.word(), &detail],
            )
            .await
            .context("set a mapping's state")?;
        Ok(changed == 1)
    }

    /// How far a mapping was read.
    pub async fn cursor(&self, name: &str) -> Result<ReadCursor, Error> {
        let client = self.client().await?;
        let row = client
            .query_one(
                "SELECT load_done, read_cursor, deletes_cursor, reload_at FROM syncdeck.mapping WHERE name = $1",
                &[&name],
            )
            .await
            .context("read a mapping's cursor")?;
        Ok(ReadCursor { loaded: row.get(0), read: row.get(1), deletes: row.get(2), reload: row.get(3) })
    }

    /// Moves a mapping's cursor after a read, with what that read brought.
    pub async fn set_cursor(
        &self,
        lease: &Lease,
        name: &str,
        cursor: &ReadCursor,
        read: i64,
    ) -> Result<(), Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin moving a cursor")?;
        lease.prove(&transaction).await?;
        transaction
            .execute(
                "UPDATE syncdeck.mapping SET load_done = $2, read_cursor = $3, deletes_cursor = $4,
                     last_read = clock_timestamp(), records_read = records_read + $5 WHERE name = $1",
                &[&name, &cursor.loaded, &cursor.read, &cursor.deletes, &read],
            )
            .await
            .context("move a mapping's cursor")?;
        transaction.commit().await.context("finish moving a cursor")
    }

    /// Notes that Salesforce accepted a write of these mappings' tables just now.
    pub async fn note_write(&self, table: &str) -> Result<(), Error> {
        let client = self.client().await?;
        client
            .execute(
                "UPDATE syncdeck.mapping SET last_write = clock_timestamp() WHERE table_name = $1",
                &[&table],
            )
            .await
            .context("note a write")
            .map(drop)
    }

    /// Counts a mapping's rows: exactly below a million, else the planner's estimate.
    pub async fn count_rows(&self, name: &str, table: &str, records: Option<i64>) -> Result<(), Error> {
        let mut client = self.client().await?;
        let full = self.table(table);
        let estimate: f32 = client
            .query_one("SELECT reltuples FROM pg_class WHERE oid = $1::text::regclass", &[&full])
            .await
            .context("estimate a table")?
            .get(0);
        let sql = if estimate > 1e6 {
            format!("SELECT reltuples::bigint FROM pg_class WHERE oid = {}::regclass", literal(&full))
        } else {
            format!("SELECT count(*) FROM {full}")
        };
        let transaction = client.transaction().await.context("begin a count")?;
        transaction.batch_execute("SET LOCAL enable_seqscan = on").await.context("allow a whole scan")?;
        let rows: i64 = transaction.query_one(&sql, &[]).await.context("count a table")?.get(0);
        transaction
            .execute(
                "UPDATE syncdeck.mapping SET row_count = $2, records = coalesce($3, records) WHERE name = $1",
                &[&name, &rows, &records],
            )
            .await
            .context("store a mapping's counts")?;
        transaction.commit().await.context("finish a count")
    }

    /// Removes history older than `keep`: attempts, resolved errors, decided conflicts, runs, minutes, archived changes; and log
    /// records beyond `log_rows`. The audit stays, and so do the deletes that were not passed on: they keep the records
    /// from coming back.
    pub async fn prune(&self, keep: Duration, log_rows: i64) -> Result<(), Error> {
        let client = self.client().await?;
        let seconds = keep.as_secs_f64();
        for sql in [
            "DELETE FROM syncdeck.attempt WHERE at < clock_timestamp() - make_interval(secs => $1)",
            "DELETE FROM syncdeck.error WHERE resolved_at < clock_timestamp() - make_interval(secs => $1)",
            "DELETE FROM syncdeck.conflict WHERE decided_at < clock_timestamp() - make_interval(secs => $1)",
            "DELETE FROM syncdeck.run WHERE began_at < clock_timestamp() - make_interval(secs => $1)",
            "DELETE FROM syncdeck.minute WHERE minute < clock_timestamp() - make_interval(secs => $1)",
            "DELETE FROM syncdeck.fetched WHERE fetched_at < clock_timestamp() - make_interval(secs => $1)",
            "DELETE FROM syncdeck.command WHERE created_at < clock_timestamp() - make_interval(secs => $1)",
            "DELETE FROM syncdeck.engine WHERE seen_at < clock_timestamp() - make_interval(secs => $1)",
        ] {
            client.execute(sql, &[&seconds]).await.context("remove old history")?;
        }
        // In steps, so that nobody waits long for a lock or a disk.
        let archive = format!(
            "DELETE FROM {schema}._trigger_log_archive WHERE id IN (
                 SELECT id FROM {schema}._trigger_log_archive WHERE processed_at < clock_timestamp() - make_interval(secs => $1)
                     AND NOT (action = 'DELETE' AND state = 'IGNORED') ORDER BY id LIMIT 10000)",
            schema = self.schema
        );
        while client.execute(&archive, &[&seconds]).await.context("remove old archived changes")? == 10_000 {}
        client
            .execute(
                "DELETE FROM syncdeck.log WHERE id <= (SELECT max(id) - $1 FROM syncdeck.log)",
                &[&log_rows],
            )
            .await
            .context("remove old log records")
            .map(drop)
    }
}

/// How far a mapping was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReadCursor {
    /// Whether the first load is complete.
    pub loaded: bool,
    /// The newest SystemModstamp that was read.
    pub read: Option<DateTime<Utc>>,
    /// Up to when deletes are known.
    pub deletes: Option<DateTime<Utc>>,
    /// When somebody asked for everything to be read again, until that is done.
    pub reload: Option<DateTime<Utc>>,
}

impl Store {
    /// How many changes and units are not answered yet; held and failed ones are not waited for.
    pub async fn unsent(&self) -> Result<i64, Error> {
        let client = self.client().await?;
        let sql = format!(
            "SELECT (SELECT count(*) FROM syncdeck.unit WHERE state IN ('ready', 'inflight', 'writeback'))
                 + (SELECT count(*) FROM {}._trigger_log WHERE state = 'NEW')",
            self.schema
        );
        Ok(client.query_one(&sql, &[]).await.context("count what is unsent")?.get(0))
    }

    /// Makes a database; one that is there stays.
    pub async fn create_database(&self, name: &str) -> Result<(), Error> {
        let client = self.client().await?;
        let there = client
            .query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&name])
            .await
            .context("look for a database")?;
        if there.is_none() {
            let sql = format!("CREATE DATABASE {}", quote(name));
            client.batch_execute(&sql).await.context("create a database")?;
        }
        Ok(())
    }

    /// Where a row stands that is not in step: its unresolved error's state, or its unit's. What only a comparison found is
    /// not among them: nothing was to be sent.
    pub async fn standing(&self) -> Result<std::collections::HashMap<(String, i32), String>, Error> {
        let client = self.client().await?;
        let sql = format!(
            "SELECT table_name::text, record_id, state FROM syncdeck.unit WHERE state <> 'writeback'
             UNION ALL SELECT table_name::text, record_id, state FROM syncdeck.error WHERE resolved_at IS NULL AND record_id IS NOT NULL
                 AND op <> 'verify'
             UNION ALL SELECT table_name::text, record_id, 'new' FROM {}._trigger_log
                 WHERE state = 'NEW' AND table_name IS NOT NULL AND record_id IS NOT NULL",
            self.schema
        );
        let rows = client.query(&sql, &[]).await.context("read where rows stand")?;
        Ok(rows.iter().map(|row| ((row.get(0), row.get(1)), row.get(2))).collect())
    }

    /// The time from a change's commit to Salesforce's answer, median and 99th percentile, in milliseconds, of changes
    /// captured since `since`.
    pub async fn write_latency(&self, since: DateTime<Utc>) -> Result<(f64, f64), Error> {
        let client = self.client().await?;
        let sql = format!(
            "SELECT coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY took), 0), coalesce(percentile_cont(0.99) WITHIN GROUP (ORDER BY took), 0)
             FROM (SELECT extract(epoch FROM processed_at - created_at)::double precision * 1000 AS took
                   FROM {}._trigger_log_archive WHERE state = 'SUCCESS' AND created_at >= $1) answered",
            self.schema
        );
        let row = client.query_one(&sql, &[&since]).await.context("measure the writes")?;
        Ok((row.get(0), row.get(1)))
    }
}

/// A named lease, and who holds it or wants it.
#[derive(Clone, Debug)]
pub struct Lease {
    /// What it is for.
    pub name: String,
    /// Who.
    pub owner: String,
}

impl Lease {
    /// Makes a transaction part of the lease: it goes on only while the lease is held, and nobody takes the lease
    /// before it ends. Without this, a reader that was frozen would write what it read long ago.
    pub(in crate::postgres) async fn prove(&self, transaction: &Transaction<'_>) -> Result<(), Error> {
        let held = transaction
            .query_opt(
                "SELECT FROM syncdeck.lease WHERE name = $1 AND owner = $2 FOR SHARE",
                &[&self.name, &self.owner],
            )
            .await
            .context("prove a lease")?;
        match held {
            Some(_) => Ok(()),
            None => Err(self.lost()),
        }
    }

    /// Proves it, and extends it.
    ///
    /// # Errors
    /// That another engine has it.
    pub(in crate::postgres) async fn extend(
        &self,
        transaction: &Transaction<'_>,
        length: Duration,
    ) -> Result<(), Error> {
        let held = transaction
            .execute(
                "UPDATE syncdeck.lease SET until = clock_timestamp() + make_interval(secs => $3)
                 WHERE name = $1 AND owner = $2",
                &[&self.name, &self.owner, &length.as_secs_f64()],
            )
            .await
            .context("extend a lease")?;
        if held == 1 { Ok(()) } else { Err(self.lost()) }
    }

    /// That it is held no more.
    pub fn lost(&self) -> Error {
        Error::Conflict(format!("the lease {:?} went to another engine meanwhile", self.name))
    }
}

impl Store {
    /// Who holds which lease now, of those whose names begin like this.
    pub async fn leases(&self, prefix: &str) -> Result<Vec<Lease>, Error> {
        let client = self.client().await?;
        let sql = "SELECT name, owner FROM syncdeck.lease WHERE starts_with(name, $1) AND until > clock_timestamp()";
        let rows = client.query_cached(sql, &[&prefix]).await.context("look who holds the leases")?;
        Ok(rows.iter().map(|row| Lease { name: row.get(0), owner: row.get(1) }).collect())
    }

    /// Gives a named lease back.
    pub async fn give_back(&self, lease: &Lease) -> Result<(), Error> {
        let client = self.client().await?;
        client
            .execute(
                "DELETE FROM syncdeck.lease WHERE name = $1 AND owner = $2",
                &[&lease.name, &lease.owner],
            )
            .await
            .context("give a lease back")
            .map(drop)
    }
}

/// What an operator did to a row, from the audit.
#[derive(Clone, Debug)]
pub struct OperatorEdit {
    /// When.
    pub at: DateTime<Utc>,
    /// Table.
    pub table: String,
    /// Row.
    pub row: i32,
    /// The values by column before; `None` where the row was not there.
    pub before: Option<serde_json::Map<String, serde_json::Value>>,
    /// The values by column after; `None` where the row is not there any more.
    pub after: Option<serde_json::Map<String, serde_json::Value>>,
}

impl Store {
    /// Everything that operators changed in rows, in order.
    pub async fn edits(&self) -> Result<Vec<OperatorEdit>, Error> {
        let client = self.client().await?;
        let sql = "SELECT at, table_name::text, record_id, before, after FROM syncdeck.audit
             WHERE record_id IS NOT NULL AND (before IS NOT NULL OR after IS NOT NULL) ORDER BY id";
        let rows = client.query(sql, &[]).await.context("read the operators' edits")?;
        let values = |row: &tokio_postgres::Row, at: usize| match row.get::<_, Option<serde_json::Value>>(at)
        {
            Some(serde_json::Value::Object(values)) => Some(values),
            _ => None,
        };
        let edit = |row: &tokio_postgres::Row| OperatorEdit {
            at: row.get(0),
            table: row.get(1),
            row: row.get(2),
            before: values(row, 3),
            after: values(row, 4),
        };
        Ok(rows.iter().map(edit).collect())
    }
}
