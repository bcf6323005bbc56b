//! The least SQL that does what the queue promises, as somebody would write it by hand for one mapping: units that are
//! claimed under a lease, entries that end in the archive, rows that are told. It works on the same rows, log and archive as
//! ours, and has a table of units of its own. What it leaves out: attempts, errors, held records, locked rows, late changes.

use tokio_postgres::{Client, Statement};

/// Its units.
pub const TABLES: &str = "CREATE SCHEMA by_hand;
    CREATE TABLE by_hand.unit (record_id integer PRIMARY KEY, state text NOT NULL, token text, lease_until timestamptz,
        ready_at timestamptz NOT NULL DEFAULT clock_timestamp()) WITH (fillfactor = 70);
    CREATE INDEX ON by_hand.unit (ready_at) WHERE state = 'ready';
    CREATE INDEX ON by_hand.unit (lease_until) WHERE state = 'inflight'";

const INTAKE: &str = "WITH taken AS (
        UPDATE salesforce._trigger_log SET state = 'PENDING', updated_at = clock_timestamp()
        WHERE id = ANY(ARRAY(SELECT id FROM salesforce._trigger_log WHERE state >= 'NEW' AND state <= 'NEW'
            ORDER BY state, id LIMIT $1 FOR UPDATE SKIP LOCKED))
        RETURNING record_id
    ), units AS (
        INSERT INTO by_hand.unit (record_id, state) SELECT DISTINCT record_id, 'ready' FROM taken
        ON CONFLICT (record_id) DO UPDATE SET state = 'ready', ready_at = clock_timestamp()
    ) SELECT count(*) FROM taken";
const CLAIM: &str = "UPDATE by_hand.unit SET state = 'inflight', token = $1, lease_until = clock_timestamp() + interval '90 s'
    WHERE ctid = ANY(ARRAY(SELECT ctid FROM by_hand.unit WHERE state = 'ready' AND ready_at <= clock_timestamp()
        ORDER BY ready_at LIMIT $2 FOR UPDATE SKIP LOCKED))
    RETURNING record_id";
const READ: &str = "SELECT entry.id, entry.record_id, entry.values, contact.sfid::text, contact.external_id__c
    FROM unnest($1::integer[]) AS wanted (record), LATERAL (
        SELECT id, record_id, values FROM salesforce._trigger_log
        WHERE table_name = 'contact' AND record_id = wanted.record AND state = 'PENDING' ORDER BY id OFFSET 0) entry
    JOIN salesforce.contact ON contact.id = entry.record_id";
const ARCHIVE: &str = "WITH gone AS (DELETE FROM salesforce._trigger_log WHERE id = ANY($1) RETURNING *)
    INSERT INTO salesforce._trigger_log_archive (id, txid, created_at, updated_at, processed_at, processed_tx, state, action,
        table_name, record_id, sfid, old, values)
    SELECT id, txid, created_at, clock_timestamp(), clock_timestamp(), txid_current(), 'SUCCESS', action, table_name,
        record_id, sfid, old, values FROM gone";
const TELL: &str = "UPDATE salesforce.contact SET sfid = told.sfid, _hc_lastop = 'UPDATED', _hc_err = NULL
    FROM unnest($1::integer[], $2::text[]) AS told (id, sfid) WHERE contact.id = told.id AND contact.id = ANY($1)";
const REMOVE: &str = "DELETE FROM by_hand.unit WHERE record_id = ANY($1) AND token = $2";

/// One session with its statements.
pub struct ByHand {
    sql: Client,
    intake: Statement,
    claim: Statement,
    read: Statement,
    archive: Statement,
    tell: Statement,
    remove: Statement,
}

impl ByHand {
    pub async fn new(sql: Client) -> ByHand {
        let prepare = async |text: &str| sql.prepare(text).await.unwrap();
        ByHand {
            intake: prepare(INTAKE).await,
            claim: prepare(CLAIM).await,
            read: prepare(READ).await,
            archive: prepare(ARCHIVE).await,
            tell: prepare(TELL).await,
            remove: prepare(REMOVE).await,
            sql,
        }
    }

    /// Takes up to `limit` changes in. Returns how many.
    pub async fn intake(&self, limit: i64) -> i64 {
        self.sql.query_one(&self.intake, &[&limit]).await.unwrap().get(0)
    }

    /// Claims a batch. Returns its records.
    pub async fn claim(&self, token: &str, limit: i64) -> Vec<i32> {
        let rows = self.sql.query(&self.claim, &[&token, &limit]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Claims a batch, reads what it is about, and acknowledges it as accepted. Returns how many.
    pub async fn batch(&self, token: &str, limit: i64) -> i64 {
        let records = self.claim(token, limit).await;
        let entries = self.sql.query(&self.read, &[&records]).await.unwrap();
        let ids: Vec<i32> = entries.iter().map(|row| row.get(0)).collect();
        let rows: Vec<i32> = entries.iter().map(|row| row.get(1)).collect();
        let sfids: Vec<Option<&str>> = entries.iter().map(|row| row.get(3)).collect();
        // What would be sent.
        let values: usize = entries.iter().map(|row| row.get::<_, &str>(2).len()).sum();
        assert!(values > 0);
        self.sql
            .batch_execute("BEGIN; SET LOCAL syncdeck.writer = 'engine'; SET LOCAL xmlbinary = 'hex'")
            .await
            .unwrap();
        self.sql.execute(&self.archive, &[&ids]).await.unwrap();
        self.sql.execute(&self.tell, &[&rows, &sfids]).await.unwrap();
        self.sql.execute(&self.remove, &[&records, &token]).await.unwrap();
        self.sql.batch_execute("COMMIT").await.unwrap();
        records.len() as i64
    }
}
