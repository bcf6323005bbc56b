//! The least SQL that promises for an accepted change what the queue does, as somebody would write it by hand for one mapping:
//! units that are claimed under a lease and removed only at the version that was read, what was sent on record, entries that
//! end in the archive, rows that are told unless a user has them locked or a younger change waits. It works on the same rows,
//! log and archive as ours, and has tables of its own for units and attempts. What it leaves out: errors, held records,
//! retries, counts.

use std::collections::HashMap;

use serde_json::{Value, json};
use tokio_postgres::{Client, Statement};

/// Its units and attempts.
pub const TABLES: &str = "CREATE SCHEMA by_hand;
    CREATE TABLE by_hand.unit (record_id integer PRIMARY KEY, state text NOT NULL, token text, lease_until timestamptz,
        version bigint NOT NULL DEFAULT 1, ready_at timestamptz NOT NULL DEFAULT clock_timestamp()) WITH (fillfactor = 70);
    CREATE INDEX ON by_hand.unit (ready_at) WHERE state = 'ready';
    CREATE INDEX ON by_hand.unit (lease_until) WHERE state = 'inflight';
    CREATE TABLE by_hand.attempt (id bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(),
        batch text NOT NULL, record_id integer NOT NULL, outcome text NOT NULL, request jsonb);
    CREATE INDEX ON by_hand.attempt (record_id)";

const INGEST: &str = "WITH taken AS (
        UPDATE salesforce._trigger_log SET state = 'PENDING', updated_at = clock_timestamp()
        WHERE id = ANY(ARRAY(SELECT id FROM salesforce._trigger_log WHERE state >= 'NEW' AND state <= 'NEW'
            ORDER BY state, id LIMIT $1 FOR UPDATE SKIP LOCKED))
        RETURNING record_id
    ), units AS (
        INSERT INTO by_hand.unit AS unit (record_id, state) SELECT DISTINCT record_id, 'ready' FROM taken
        ON CONFLICT (record_id) DO UPDATE SET version = unit.version + 1, ready_at = clock_timestamp(),
            state = CASE unit.state WHEN 'inflight' THEN 'inflight' ELSE 'ready' END
    ) SELECT count(*) FROM taken";
const CLAIM: &str = "UPDATE by_hand.unit SET state = 'inflight', token = $1, lease_until = clock_timestamp() + interval '90 s'
    WHERE ctid = ANY(ARRAY(SELECT ctid FROM by_hand.unit WHERE state = 'ready' AND ready_at <= clock_timestamp()
        ORDER BY ready_at LIMIT $2 FOR UPDATE SKIP LOCKED))
    RETURNING record_id, version";
const READ: &str = "SELECT entry.id, entry.record_id, entry.values, contact.sfid::text, contact.external_id__c
    FROM unnest($1::integer[]) AS wanted (record), LATERAL (
        SELECT id, record_id, values FROM salesforce._trigger_log
        WHERE table_name = 'contact' AND record_id = wanted.record AND state = 'PENDING' ORDER BY id OFFSET 0) entry
    JOIN salesforce.contact ON contact.id = entry.record_id";
const LOCK: &str = "SELECT record_id, version FROM by_hand.unit WHERE record_id = ANY($1) AND token = $2
    ORDER BY record_id FOR UPDATE";
const ATTEMPT: &str = "INSERT INTO by_hand.attempt (batch, record_id, outcome, request)
    SELECT $1, sent.record, 'accepted', sent.request FROM unnest($2::integer[], $3::jsonb[]) AS sent (record, request)";
const ARCHIVE: &str = "WITH gone AS (DELETE FROM salesforce._trigger_log WHERE id = ANY($1) RETURNING *)
    INSERT INTO salesforce._trigger_log_archive (id, txid, created_at, updated_at, processed_at, processed_tx, state, action,
        table_name, record_id, sfid, old, values)
    SELECT id, txid, created_at, clock_timestamp(), clock_timestamp(), txid_current(), 'SUCCESS', action, table_name,
        record_id, sfid, old, values FROM gone";
const ROWS: &str = "SELECT id FROM salesforce.contact WHERE id = ANY($1) FOR NO KEY UPDATE SKIP LOCKED";
const TELL: &str = "UPDATE salesforce.contact SET sfid = told.sfid, _hc_err = NULL, _hc_lastop = CASE WHEN EXISTS (
            SELECT FROM salesforce._trigger_log WHERE table_name = 'contact' AND record_id = contact.id AND id > told.upto
                AND state IN ('NEW', 'PENDING')) THEN 'PENDING' ELSE 'UPDATED' END
    FROM unnest($1::integer[], $2::text[], $3::integer[]) AS told (id, sfid, upto)
    WHERE contact.id = told.id AND contact.id = ANY($4)";
const REMOVE: &str = "DELETE FROM by_hand.unit WHERE record_id = ANY($1) AND token = $2";

/// One session with its statements.
pub struct ByHand {
    sql: Client,
    ingest: Statement,
    claim: Statement,
    read: Statement,
    lock: Statement,
    attempt: Statement,
    archive: Statement,
    rows: Statement,
    tell: Statement,
    remove: Statement,
}

impl ByHand {
    pub async fn new(sql: Client) -> ByHand {
        let prepare = async |text: &str| sql.prepare(text).await.unwrap();
        ByHand {
            ingest: prepare(INGEST).await,
            claim: prepare(CLAIM).await,
            read: prepare(READ).await,
            lock: prepare(LOCK).await,
            attempt: prepare(ATTEMPT).await,
            archive: prepare(ARCHIVE).await,
            rows: prepare(ROWS).await,
            tell: prepare(TELL).await,
            remove: prepare(REMOVE).await,
            sql,
        }
    }

    /// Takes up to `limit` changes in. Returns how many.
    pub async fn ingest(&self, limit: i64) -> i64 {
        self.sql.query_one(&self.ingest, &[&limit]).await.unwrap().get(0)
    }

    /// Claims a batch. Returns its records, each with its version.
    pub async fn claim(&self, token: &str, limit: i64) -> Vec<(i32, i64)> {
        let rows = self.sql.query(&self.claim, &[&token, &limit]).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// Claims a batch, reads what it is about, and acknowledges it as accepted. Returns how many.
    pub async fn batch(&self, token: &str, limit: i64) -> i64 {
        let claimed = self.claim(token, limit).await;
        let records: Vec<i32> = claimed.iter().map(|(record, _)| *record).collect();
        let entries = self.sql.query(&self.read, &[&records]).await.unwrap();
        let ids: Vec<i32> = entries.iter().map(|row| row.get(0)).collect();
        let rows: Vec<i32> = entries.iter().map(|row| row.get(1)).collect();
        let sfids: Vec<Option<&str>> = entries.iter().map(|row| row.get(3)).collect();
        // What would be sent.
        let values: usize = entries.iter().map(|row| row.get::<_, &str>(2).len()).sum();
        assert!(values > 0);
        let requests: Vec<Value> =
            sfids.iter().map(|sfid| json!({"id": sfid, "LastName": "Name 2"})).collect();
        self.sql
            .batch_execute("BEGIN; SET LOCAL syncdeck.writer = 'engine'; SET LOCAL xmlbinary = 'hex'")
            .await
            .unwrap();
        let mine = self.sql.query(&self.lock, &[&records, &token]).await.unwrap();
        let versions: HashMap<i32, i64> = claimed.into_iter().collect();
        let unchanged = mine.iter().filter(|row| versions.get(&row.get(0)) == Some(&row.get(1)));
        let done: Vec<i32> = unchanged.map(|row| row.get(0)).collect();
        self.sql.execute(&self.attempt, &[&token, &rows, &requests]).await.unwrap();
        self.sql.execute(&self.archive, &[&ids]).await.unwrap();
        let free = self.sql.query(&self.rows, &[&rows]).await.unwrap();
        let free: Vec<i32> = free.iter().map(|row| row.get(0)).collect();
        self.sql.execute(&self.tell, &[&rows, &sfids, &ids, &free]).await.unwrap();
        self.sql.execute(&self.remove, &[&done, &token]).await.unwrap();
        self.sql.batch_execute("COMMIT").await.unwrap();
        done.len() as i64
    }
}
