//! Records that PostgreSQL refuses to store, or of which it keeps the row: kept by id until it does, so that none is
//! forgotten when the reader goes on; each with an error of its own. They are tried again a few of each cause at a time,
//! which bounds what a million of them cost.

use std::collections::HashMap;

use serde_json::{Value, json};
use tokio_postgres::Row;

use crate::domain::errors::grouping::Grouping;
use crate::domain::mappings::mapping::Mapping;

use crate::postgres::errors::sync_errors::{NewError, listed};
use crate::postgres::reports::status::Lease;
use crate::postgres::tables::obstacle::RowWrite;
use crate::postgres::{Cached, Error, ErrorContext, Store};

/// The longest wait between two tries of one record.
const LONGEST_WAIT: &str = "10 min";

/// A record that PostgreSQL refuses.
#[derive(Clone, Debug)]
pub struct RowRefusal {
    /// The record.
    pub sfid: String,
    /// What was to be done.
    pub write: RowWrite,
    /// What refuses it, in a word that those of one cause share.
    pub cause: String,
    /// Its error.
    pub error: NewError,
}

/// A refused record that is to be tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The record.
    pub sfid: String,
    /// What was to be done.
    pub write: RowWrite,
    /// What refused it.
    pub cause: String,
}

/// Which of the refused records are tried again.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'a> {
    /// Those of this cause; `None` of each cause.
    pub cause: Option<&'a str>,
    /// Whether their waits count.
    pub waits: bool,
    /// So many of each cause at most.
    pub limit: i64,
}

impl Store {
    /// Keeps refused records with their errors; one that is known waits longer before its next try.
    pub async fn keep_refused(
        &self,
        lease: &Lease,
        mapping: &Mapping,
        refusals: &[RowRefusal],
    ) -> Result<(), Error> {
        if refusals.is_empty() {
            return Ok(());
        }
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to keep refused records")?;
        lease.prove(&transaction).await?;
        // The last of what a page says of one record counts.
        let by_id: HashMap<&str, &RowRefusal> =
            refusals.iter().map(|refusal| (refusal.sfid.as_str(), refusal)).collect();
        let rows: Vec<Value> = by_id.values().map(|refusal| written(&self.grouping, refusal)).collect();
        let rows = Value::from(rows);
        let keep = format!(
            "INSERT INTO syncdeck.refused AS known (table_name, sfid, deed, cause, retry_at)
             SELECT $1::varchar, sfid, deed, cause, clock_timestamp() + interval '5 s'
             FROM jsonb_to_recordset($2) AS new (sfid text, deed text, cause text)
             ON CONFLICT (table_name, sfid) DO UPDATE SET deed = excluded.deed, cause = excluded.cause,
                 tries = known.tries + 1, retry_at = clock_timestamp()
                     + least(interval '5 s' * 2 ^ least(known.tries, 12), interval '{LONGEST_WAIT}') * (0.75 + random() / 2)"
        );
        transaction.execute_cached(&keep, &[&mapping.table, &rows]).await.context("keep refused records")?;
        transaction
            .execute_cached(
                "INSERT INTO syncdeck.error AS known (mapping, table_name, sfid, op, source, code, category, class, message,
                     fields, fingerprint, state, attempts, next_retry_at)
                 SELECT new.mapping, table_name, sfid, op, source, code, category, class, message,
                     ARRAY(SELECT jsonb_array_elements_text(fields)), fingerprint, 'open', tries, retry_at
                 FROM jsonb_to_recordset($2) AS new (mapping text, sfid text, op text, source text, code text, category text,
                     class text, message text, fields jsonb, fingerprint text)
                 JOIN syncdeck.refused USING (sfid) WHERE table_name = $1
                 ON CONFLICT (table_name, sfid) WHERE resolved_at IS NULL AND record_id IS NULL AND sfid IS NOT NULL
                 DO UPDATE SET op = excluded.op, code = excluded.code, category = excluded.category, class = excluded.class,
                     message = excluded.message, fields = excluded.fields, fingerprint = excluded.fingerprint,
                     attempts = excluded.attempts, next_retry_at = excluded.next_retry_at, last_seen = clock_timestamp()",
                &[&mapping.table, &rows],
            )
            .await
            .context("keep the errors of refused records")?;
        transaction.commit().await.context("finish keeping refused records")
    }

    /// These records are refused no more: whatever is kept of them is over. Returns how many were.
    pub async fn settle_refused(&self, table: &str, sfids: &[&str], how: &str) -> Result<u64, Error> {
        if sfids.is_empty() {
            return Ok(0);
        }
        let client = self.client().await?;
        client
            .execute_cached(
                "WITH over AS (DELETE FROM syncdeck.refused WHERE table_name = $1 AND sfid = ANY($2) RETURNING sfid)
                 UPDATE syncdeck.error SET state = 'resolved', resolved_at = clock_timestamp(), resolution = $3,
                     next_retry_at = NULL
                 FROM over WHERE error.table_name = $1 AND error.sfid = over.sfid AND record_id IS NULL AND resolved_at IS NULL",
                &[&table, &sfids, &how],
            )
            .await
            .context("settle refused records")
    }

    /// Whether any record of a table is refused, or has a finding: else there is nothing to settle of what is read.
    pub async fn knows_of_records(&self, table: &str) -> Result<bool, Error> {
        let client = self.client().await?;
        let rows = client
            .query_cached(
                "SELECT EXISTS (SELECT FROM syncdeck.refused WHERE table_name = $1)
                     OR EXISTS (SELECT FROM syncdeck.finding WHERE table_name = $1)",
                &[&table],
            )
            .await
            .context("look whether records are refused")?;
        Ok(rows.first().is_some_and(|row| row.get(0)))
    }

    /// Refused records to try again, a few of each cause, those that wait longest first. Index `refused_due`.
    pub async fn refused_due(&self, table: &str, choice: Choice<'_>) -> Result<Vec<Due>, Error> {
        let client = self.client().await?;
        let rows = client
            .query_cached(
                "WITH RECURSIVE causes AS (
                     SELECT coalesce($2, (SELECT min(cause) FROM syncdeck.refused WHERE table_name = $1)) AS cause
                     UNION ALL
                     SELECT (SELECT min(cause) FROM syncdeck.refused WHERE table_name = $1 AND cause > causes.cause)
                     FROM causes WHERE causes.cause IS NOT NULL AND $2::text IS NULL)
                 SELECT due.sfid::text, due.deed, due.cause FROM causes CROSS JOIN LATERAL (
                     SELECT sfid, deed, cause FROM syncdeck.refused WHERE table_name = $1 AND refused.cause = causes.cause
                         AND (NOT $3 OR retry_at <= clock_timestamp()) ORDER BY retry_at LIMIT $4) due",
                &[&table, &choice.cause, &choice.waits, &choice.limit],
            )
            .await
            .context("find refused records to try again")?;
        Ok(rows.iter().filter_map(due).collect())
    }

    /// What a table's constraints, indexes and triggers are, in a word: when that changes, what was refused may not be
    /// any more. Those of other tables that refer to it count too.
    pub async fn shape_of(&self, table: &str) -> Result<Option<String>, Error> {
        let client = self.client().await?;
        let row = client
            .query_cached(
                "SELECT md5(concat_ws(' ',
                     (SELECT string_agg(oid || '.' || xmin, ',' ORDER BY oid) FROM pg_constraint
                          WHERE conrelid = of.oid OR confrelid = of.oid),
                     (SELECT string_agg(indexrelid || '.' || xmin, ',' ORDER BY indexrelid) FROM pg_index
                          WHERE indrelid = of.oid),
                     (SELECT string_agg(concat_ws('.', t.oid, t.xmin, p.xmin), ',' ORDER BY t.oid) FROM pg_trigger t
                          JOIN pg_proc p ON p.oid = t.tgfoid WHERE t.tgrelid = of.oid),
                     (SELECT string_agg(attnum || '.' || xmin, ',' ORDER BY attnum) FROM pg_attribute
                          WHERE attrelid = of.oid AND attnum > 0)))
                 FROM pg_class of WHERE of.oid = to_regclass($1)",
                &[&self.table(table)],
            )
            .await
            .context("look at a table's constraints")?;
        Ok(row.first().map(|row| row.get(0)))
    }
}

fn written(grouping: &Grouping, refusal: &RowRefusal) -> Value {
    let error = &refusal.error;
    json!({"sfid": refusal.sfid, "deed": refusal.write.word(), "cause": refusal.cause, "mapping": error.mapping,
        "op": error.op, "source": error.source, "code": error.code, "category": error.category, "class": error.class,
        "message": error.message, "fields": listed(&error.fields), "fingerprint": error.group(grouping)})
}

fn due(row: &Row) -> Option<Due> {
    Some(Due { sfid: row.get(0), write: RowWrite::from_word(row.get(1))?, cause: row.get(2) })
}
