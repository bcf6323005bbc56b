//! Records of a first load, copied into their table by COPY: nothing is known of them here, so nothing is compared. It is done
//! only where that is certain, page by page, in one transaction; else [`Store::apply_records`] does it, which looks at each
//! record.

use std::borrow::Cow;
use std::collections::HashSet;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use tokio::sync::mpsc;

use crate::domain::mappings::mapping::Mapping;
use crate::postgres::changes::keys::wake_for_keys;
use crate::postgres::changes::queue::UNSENT;
use crate::postgres::changes::writeback::lock_new_records;
use crate::postgres::reports::status::Lease;
use crate::postgres::tables::copy_format::CopyFormat;
use crate::postgres::tables::rows::LIMIT_WAITS;
use crate::postgres::{AS_ENGINE, Cached, Error, ErrorContext, Store, Transaction, failpoint, quote};

/// The columns that every table has, in the order in which they stand behind those of the fields.
const SYSTEM: [&str; 4] = ["sfid", "systemmodstamp", "isdeleted", "_hc_lastop"];

/// Records that are to be copied.
pub struct CopyRecords<'a> {
    /// Their ids.
    pub ids: &'a [&'a str],
    /// The external ids of those that have one, where the mapping goes by one.
    pub keys: &'a [Cow<'a, str>],
    /// How they are written.
    pub format: &'a CopyFormat,
    /// What a [`CopyWriter`] makes of them. Where it ends early, nothing is copied.
    pub pieces: mpsc::Receiver<Bytes>,
}

/// The columns that get a value, in their order.
fn copied_columns(mapping: &Mapping) -> impl Iterator<Item = &str> {
    mapping.read_fields().map(|field| field.column.as_str()).chain(SYSTEM)
}

impl Store {
    /// Copies records into their table, all or none. False where one of them needs a look: nothing was written then.
    /// `asked_at` is PostgreSQL's time from before Salesforce was asked.
    pub async fn copy_records(
        &self,
        lease: &Lease,
        mapping: &Mapping,
        records: CopyRecords<'_>,
        asked_at: DateTime<Utc>,
    ) -> Result<bool, Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin copying records")?;
        lease.prove(&transaction).await?;
        transaction.batch_execute(AS_ENGINE).await.context("mark the engine's own write")?;
        transaction.batch_execute(LIMIT_WAITS).await.context("limit the wait for locks")?;
        lock_new_records(&transaction, &mapping.table, true).await?;
        let Some(keys) = self.free_keys(&transaction, mapping, records.keys).await? else {
            return Ok(false);
        };
        if !self.is_undisturbed(&transaction, mapping, records.ids, asked_at).await? {
            return Ok(false);
        }
        let columns: Vec<String> = copied_columns(mapping).map(quote).collect();
        let (table, options) = (self.table(&mapping.table), records.format.options());
        let sql = format!("COPY {table} ({}) FROM STDIN{options}", columns.join(", "));
        let copied =
            transaction.copy_rows(&sql, records.pieces).await.context("copy records read from Salesforce")?;
        if copied != records.ids.len() as u64 {
            // A trigger let some fall without a word; which is found out one by one.
            return Ok(false);
        }
        // From the copying on the table stays as it is: now it is certain that the values were taken for what they are.
        if *records.format != CopyFormat::Text
            && self.copy_format_of(&transaction, mapping).await? != *records.format
        {
            return Ok(false);
        }
        failpoint::pass(failpoint::MID_COPY).await?;
        // Nobody was kept from writing meanwhile.
        if !self.is_undisturbed(&transaction, mapping, records.ids, asked_at).await? {
            return Ok(false);
        }
        let held = "SELECT EXISTS (SELECT FROM syncdeck.unit WHERE state = 'held' AND held_table = $1)";
        let held =
            transaction.query_cached(held, &[&mapping.table]).await.context("look for rows that wait")?;
        if held.first().is_some_and(|row| row.get(0)) {
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            wake_for_keys(&transaction, &mapping.table, &keys).await?;
        }
        transaction.commit().await.context("finish copying records")?;
        Ok(true)
    }

    /// How records are written that are to be copied into a mapping's table.
    pub async fn copy_format(&self, mapping: &Mapping) -> Result<CopyFormat, Error> {
        let client = self.client().await?;
        self.copy_format_of(&client, mapping).await
    }

    async fn copy_format_of(&self, session: &impl Cached, mapping: &Mapping) -> Result<CopyFormat, Error> {
        let columns: Vec<&str> = copied_columns(mapping).collect();
        let rows = session
            .query_cached(
                "SELECT atttypid FROM unnest($2::text[]) WITH ORDINALITY AS wanted (name, place)
                 LEFT JOIN pg_attribute ON attrelid = to_regclass($1) AND attname::text = wanted.name AND NOT attisdropped
                 ORDER BY place",
                &[&self.table(&mapping.table), &columns],
            )
            .await
            .context("look at the types of columns")?;
        Ok(CopyFormat::of(rows.iter().map(|row| row.get::<_, Option<u32>>(0))))
    }

    /// The external ids of some records as Salesforce compares them; nothing where two of them are one, or a row has one.
    async fn free_keys(
        &self,
        transaction: &Transaction<'_>,
        mapping: &Mapping,
        keys: &[Cow<'_, str>],
    ) -> Result<Option<HashSet<String>>, Error> {
        let Some(column) = mapping.external_id_column() else { return Ok(Some(HashSet::new())) };
        let of = self.key_column(mapping, &column);
        let folded: HashSet<String> = keys.iter().filter_map(|key| of.fold(key)).collect();
        if folded.len() < keys.len() {
            return Ok(None);
        }
        // Pages often come in the order of their keys; then there is no row between their first and their last one, as the
        // column orders them: it gives its collation to the keys by the rows that it lends them, which are none.
        let sql = format!(
            "WITH wanted AS MATERIALIZED (
                 SELECT {own} AS key FROM {table} t WHERE false UNION ALL SELECT {named} FROM unnest($1::text[]) AS key)
             SELECT CASE WHEN EXISTS (SELECT FROM {table} t WHERE {own} >= (SELECT min(key) FROM wanted)
                     AND {own} <= (SELECT max(key) FROM wanted))
                 THEN EXISTS (SELECT FROM wanted, LATERAL (SELECT FROM {table} t WHERE {own} = key LIMIT 1) t)
                 ELSE false END",
            table = self.table(&mapping.table),
            own = of.of_row("t"),
            named = of.of_text("key"),
        );
        let list: Vec<&str> = folded.iter().map(String::as_str).collect();
        let taken = transaction
            .query_cached(&sql, &[&list])
            .await
            .context("look for rows that have the external ids of records")?;
        Ok(taken.first().is_some_and(|row| !row.get::<_, bool>(0)).then_some(folded))
    }

    /// Whether nothing here can have to do with records that no row has: no change of the table is unsent, and no record of it
    /// was deleted from here while they were on their way; and whether COPY does with the table what INSERT does.
    async fn is_undisturbed(
        &self,
        transaction: &Transaction<'_>,
        mapping: &Mapping,
        ids: &[&str],
        asked_at: DateTime<Utc>,
    ) -> Result<bool, Error> {
        let (schema, table) = (&self.schema, self.table(&mapping.table));
        let ignores = mapping.rules.ignore_deletes.postgres;
        let ids: &[&str] = if ignores { ids } else { &[] };
        let sql = format!(
            "SELECT NOT EXISTS (SELECT FROM {schema}._trigger_log WHERE table_name = $1 AND {UNSENT})
                 AND NOT EXISTS (SELECT FROM syncdeck.unit WHERE table_name = $1)
                 AND NOT EXISTS (SELECT FROM syncdeck.candidate WHERE table_name = $1)
                 AND NOT EXISTS (SELECT FROM {table} WHERE sfid IS NULL)
                 AND NOT EXISTS (SELECT FROM syncdeck.attempt
                     WHERE at >= $3 AND outcome = 'accepted' AND op = 'delete' AND table_name = $1)
                 AND NOT ($5 AND EXISTS (SELECT FROM {schema}._trigger_log_archive gone WHERE gone.table_name = $1
                     AND gone.action = 'DELETE' AND gone.state = 'IGNORED' AND gone.sfid = ANY($2)))
                 AND EXISTS (SELECT FROM pg_class WHERE oid = to_regclass($4) AND relkind IN ('r', 'p') AND NOT relrowsecurity)
                 AND NOT EXISTS (SELECT FROM pg_rewrite WHERE ev_class = to_regclass($4))
                 AND NOT EXISTS (SELECT FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
                     WHERE attrelid = to_regclass($4) AND attnum > 0 AND NOT attisdropped
                         AND (typcategory IN ('A', 'C') OR typname IN ('json', 'jsonb')))"
        );
        let found = transaction
            .query_cached(&sql, &[&mapping.table, &ids, &asked_at, &table, &ignores])
            .await
            .context("look whether records can be copied")?;
        Ok(found.first().is_some_and(|row| row.get(0)))
    }
}
