//! Every entry of `_trigger_log` has an owner. What no unit and no error answers for is found here: entries that a
//! predecessor left in flight or failed, those whose state somebody set by hand, and those that fit nowhere. The log is
//! walked along its primary key, a part at a time, so that a log of a million entries costs no more than a small one.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::domain::changes::dispatch::{Misfit, Why};
use crate::domain::errors::grouping::Grouping;
use crate::domain::errors::sync_error::ErrorSource;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::{RowId, RowRef};
use crate::domain::operations::operation::{Operation, RowResult, RowStatus};
use crate::domain::values::hstore::{self, Hstore};
use crate::postgres::tables::records;

use crate::postgres::changes::queue::{ARCHIVE_COLUMNS, FITS};
use crate::postgres::errors::sync_errors::{NewError, error_json, keep_row_errors};
use crate::postgres::operations::audit::audit_entries;
use crate::postgres::{CHANNEL, Error, ErrorContext, Store, Transaction};

/// Where an operation finds entries that it is about, in place of a mapped table; none of those begins like this.
pub const LOG: &str = "_trigger_log";
/// The code of an entry that fits nowhere.
pub const UNREADABLE: &str = "ENTRY_UNREADABLE";
/// Why nothing is sent of a row whose changes are all of that kind.
pub const UNREADABLE_CHANGES: &str = "its changes cannot be read";
/// The operation under which it is listed.
const OP: &str = "log";
/// How many entries that need something one look returns at most.
const FOUND: i64 = 500;

/// An entry that nothing answers for.
#[derive(Clone, Debug)]
pub struct Unowned {
    /// Its id.
    pub entry: i32,
    /// The row.
    pub at: RowRef,
    /// `insert`, `update`, `delete`.
    pub op: String,
    /// Whether it failed; otherwise it was in flight.
    pub failed: bool,
    /// What Salesforce said, where it failed.
    pub message: Option<String>,
    /// The record, where the entry knows it.
    pub sfid: Option<String>,
    /// What it changed.
    pub values: Hstore,
}

/// What a part of the log holds that somebody must look after.
#[derive(Debug, Default)]
pub struct LeftBehind {
    /// Where the next part begins; `None` at the end of the log.
    pub next: Option<i32>,
    /// Entries that fit nowhere.
    pub misfits: Vec<(Misfit, RowHint)>,
    /// Entries that nothing answers for.
    pub unowned: Vec<Unowned>,
    /// Entries that are done with, and were left where they are.
    pub finished: Vec<i32>,
    /// Tables that are there, and that no mapping is about.
    pub strangers: BTreeSet<String>,
}

/// What a misfit says of its row, if anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowHint {
    /// Its table, as the entry has it.
    pub table: Option<String>,
    /// Its row.
    pub row: Option<i32>,
}

impl Store {
    /// Looks at up to `limit` entries from `after` on. Index: the primary key; a unit and an error are looked up for each.
    pub async fn look_after(
        &self,
        mappings: &[Mapping],
        after: i32,
        limit: i64,
    ) -> Result<LeftBehind, Error> {
        let client = self.client().await?;
        let sql = format!(
            "SELECT max(id), count(*) FROM (SELECT id FROM {}._trigger_log WHERE id > $1 ORDER BY id LIMIT $2) part",
            self.schema
        );
        let part =
            client.query_one(&sql, &[&after, &limit]).await.context("walk along the log of changes")?;
        let Some(end) = part.get::<_, Option<i32>>(0) else { return Ok(LeftBehind::default()) };
        let whole = part.get::<_, i64>(1) == limit;
        let tables: Vec<&str> = mappings.iter().map(|mapping| mapping.table.as_str()).collect();
        let sql = format!(
            "SELECT id, state, action, table_name::text, record_id, sfid::text, sf_message,
                 CASE WHEN state IN ('PENDING', 'FAILED') THEN {schema}.hc_is_hstore(values) END,
                 CASE WHEN state IN ('PENDING', 'FAILED') THEN values END,
                 table_name = ANY($3) IS TRUE, to_regclass('{literal}.' || quote_ident(table_name)) IS NOT NULL
             FROM {schema}._trigger_log log, LATERAL (SELECT (SELECT state FROM syncdeck.unit
                 WHERE unit.table_name = log.table_name AND unit.record_id = log.record_id OFFSET 0) AS state) unit (unit)
             WHERE id > $1 AND id <= $2 AND CASE
                 WHEN state = 'FAILED' AND sf_result = -1 THEN
                     NOT EXISTS (SELECT FROM syncdeck.error WHERE entry = log.id AND resolved_at IS NULL OFFSET 0)
                 WHEN state = 'NEW' THEN NOT coalesce({FITS} AND table_name = ANY($3), false)
                 WHEN state = 'PENDING' THEN NOT coalesce({FITS} AND table_name = ANY($3), false) OR unit IS NULL
                 WHEN state = 'FAILED' THEN NOT coalesce({FITS} AND table_name = ANY($3), false) OR unit IS NULL
                     OR unit IN ('failed', 'review') AND NOT EXISTS (SELECT FROM syncdeck.error
                         WHERE error.table_name = log.table_name AND error.record_id = log.record_id AND resolved_at IS NULL OFFSET 0)
                 ELSE state IS NULL OR state NOT IN ('IGNORE', 'READONLY') END
             ORDER BY id LIMIT $4",
            schema = self.schema,
            literal = self.schema.replace('\'', "''"),
        );
        let rows = client
            .query(&sql, &[&after, &end, &tables, &FOUND])
            .await
            .context("look for changes that nothing answers for")?;
        let mut found = LeftBehind { next: whole.then_some(end), ..LeftBehind::default() };
        if i64::try_from(rows.len()).unwrap_or(0) == FOUND {
            found.next = rows.last().map(|row| row.get(0));
        }
        for row in &rows {
            found.note(row);
        }
        Ok(found)
    }

    /// Takes entries that nothing answers for into custody: one that was in flight is sent again like any whose answer
    /// was lost, and one that failed is listed with its error. Returns how many rows there were.
    ///
    /// An entry may be older than what Salesforce was sent since; then it is brought up to what the row has now, so that
    /// nothing goes back (I3).
    pub async fn adopt(&self, unowned: &[(Unowned, Option<NewError>)]) -> Result<usize, Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to take changes into custody")?;
        let ids: Vec<i32> = unowned.iter().map(|(one, _)| one.entry).collect();
        let sql = format!(
            "SELECT id FROM {}._trigger_log WHERE id = ANY($1) AND state IN ('PENDING', 'FAILED') ORDER BY id FOR UPDATE SKIP LOCKED",
            self.schema
        );
        let rows = transaction.query(&sql, &[&ids]).await.context("lock changes")?;
        let held: BTreeSet<i32> = rows.iter().map(|row| row.get(0)).collect();
        let mut taken: Vec<&(Unowned, Option<NewError>)> =
            unowned.iter().filter(|(one, _)| held.contains(&one.entry)).collect();
        // What was in flight decides for its row; of those that failed, the newest.
        taken.sort_by_key(|(one, _)| (one.at.clone(), one.failed, std::cmp::Reverse(one.entry)));
        let tables: BTreeSet<&str> = taken.iter().map(|(one, _)| one.at.table.as_str()).collect();
        for table in tables {
            let ids: Vec<i32> =
                taken.iter().filter(|(one, _)| one.at.table == table).map(|(one, _)| one.entry).collect();
            self.bring_up_to_date(&transaction, table, &ids).await?;
        }
        taken.dedup_by(|(next, _), (first, _)| next.at == first.at);
        let units: Vec<Value> = taken
            .iter()
            .map(|(one, _)| json!({"table": one.at.table, "row": one.at.row, "failed": one.failed}))
            .collect();
        transaction
            .execute(
                "INSERT INTO syncdeck.unit (table_name, record_id, state, lost)
                 SELECT \"table\", \"row\", CASE WHEN failed THEN 'failed' ELSE 'ready' END, CASE WHEN failed THEN 0 ELSE 1 END
                 FROM jsonb_to_recordset($1) AS unit (\"table\" text, \"row\" integer, failed boolean) ORDER BY 1, 2
                 ON CONFLICT DO NOTHING",
                &[&Value::from(units)],
            )
            .await
            .context("make units of changes")?;
        let errors = taken.iter().filter_map(|(one, error)| {
            let error = error.as_ref()?;
            Some(error_json(&self.grouping, error, &one.at, 1, "open", i64::from(one.entry), None))
        });
        keep_row_errors(&transaction, errors.collect()).await?;
        transaction.commit().await.context("take changes into custody")?;
        Ok(taken.len())
    }

    /// Of updates after which Salesforce was sent something newer, the values become the row's own.
    async fn bring_up_to_date(
        &self,
        transaction: &Transaction<'_>,
        table: &str,
        ids: &[i32],
    ) -> Result<(), Error> {
        let sql = format!(
            "SELECT log.id, log.values, to_jsonb(t) FROM {schema}._trigger_log log JOIN {table} t ON t.id = log.record_id
             WHERE log.id = ANY($1) AND log.action <> 'DELETE' AND EXISTS (
                 SELECT FROM {schema}._trigger_log_archive done WHERE done.record_id = log.record_id
                     AND done.table_name = log.table_name AND done.id > log.id AND done.state IN ('SUCCESS', 'MERGED') OFFSET 0)",
            schema = self.schema,
            table = self.table(table),
        );
        let rows = transaction.query(&sql, &[&ids]).await.context("look for changes that were overtaken")?;
        for row in rows {
            let (id, values, now): (i32, Option<String>, Value) = (row.get(0), row.get(1), row.get(2));
            let Ok(values) = hstore::parse(values.as_deref().unwrap_or_default()) else { continue };
            let now = records::row_values(&now);
            let fresh: Hstore = values
                .into_iter()
                .map(|(column, value)| {
                    let value = now.get(&column).cloned().unwrap_or(value);
                    (column, value)
                })
                .collect();
            let sql = format!("UPDATE {}._trigger_log SET values = $2 WHERE id = $1", self.schema);
            transaction
                .execute(&sql, &[&id, &hstore::format(&fresh)])
                .await
                .context("bring a change up to date")?;
        }
        Ok(())
    }

    /// Sets entries aside that fit nowhere: they are FAILED and listed, and nothing reads them again until somebody has
    /// mended them and says NEW.
    pub async fn set_aside(
        &self,
        mappings: &[Mapping],
        misfits: &[(Misfit, RowHint)],
    ) -> Result<usize, Error> {
        if misfits.is_empty() {
            return Ok(0);
        }
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to set entries aside")?;
        let ids: Vec<i32> = misfits.iter().map(|(misfit, _)| misfit.entry).collect();
        let errors: serde_json::Map<String, Value> = misfits
            .iter()
            .map(|(misfit, hint)| (misfit.entry.to_string(), listed(&self.grouping, mappings, misfit, hint)))
            .collect();
        let errors = Value::Object(errors);
        let sql = format!(
            "UPDATE {}._trigger_log SET state = 'FAILED', sf_result = -1, sf_message = $2::jsonb -> id::text ->> 'told',
                 processed_at = clock_timestamp(), processed_tx = txid_current(), updated_at = clock_timestamp()
             WHERE id = ANY($1) RETURNING id",
            self.schema
        );
        let rows = transaction.query(&sql, &[&ids, &errors]).await.context("set entries aside")?;
        let ids: Vec<i32> = rows.iter().map(|row| row.get(0)).collect();
        transaction
            .execute(
                "INSERT INTO syncdeck.error (mapping, table_name, op, source, code, category, class, message, fingerprint, state,
                     upto, entry)
                 SELECT new.mapping, new.table_name, new.op, new.source, new.code, new.category, new.class, new.message,
                     new.fingerprint, 'open', id, id
                 FROM unnest($1::integer[]) id, jsonb_to_record($2::jsonb -> id::text) AS new (mapping text, table_name text,
                     op text, source text, code text, category text, class text, message text, fingerprint text)
                 ON CONFLICT (entry) WHERE resolved_at IS NULL AND entry IS NOT NULL DO UPDATE SET
                     message = excluded.message, fingerprint = excluded.fingerprint, last_seen = clock_timestamp()",
                &[&ids, &errors],
            )
            .await
            .context("list entries that fit nowhere")?;
        transaction.commit().await.context("set entries aside")?;
        Ok(ids.len())
    }

    /// Resolves the errors of entries that are gone, or were mended, of up to `limit` from `after` on. Returns where the
    /// next ones begin, and how many were resolved.
    pub async fn resolve_entries(&self, after: i32, limit: i64) -> Result<(Option<i32>, u64), Error> {
        let client = self.client().await?;
        let part = client
            .query_one(
                "SELECT max(entry), count(*) FROM (SELECT entry FROM syncdeck.error
                 WHERE resolved_at IS NULL AND entry > $1 ORDER BY entry LIMIT $2) part",
                &[&after, &limit],
            )
            .await
            .context("look at errors of entries")?;
        let Some(end) = part.get::<_, Option<i32>>(0) else { return Ok((None, 0)) };
        let sql = format!(
            "UPDATE syncdeck.error SET state = 'resolved', resolved_at = clock_timestamp(), resolution = 'the entry is gone, or was mended'
             WHERE resolved_at IS NULL AND entry > $1 AND entry <= $2 AND NOT EXISTS (
                 SELECT FROM {}._trigger_log log WHERE log.id = error.entry AND state = 'FAILED' AND sf_result = -1 OFFSET 0)",
            self.schema
        );
        let resolved =
            client.execute(&sql, &[&after, &end]).await.context("resolve the errors of entries")?;
        Ok(((part.get::<_, i64>(1) == limit).then_some(end), resolved))
    }

    /// Gives entries up that fit nowhere: they are archived as IGNORED.
    pub async fn ignore_entries(
        &self,
        entries: &[RowId],
        operation: &Operation,
    ) -> Result<Vec<RowResult>, Error> {
        let ids: Vec<i32> = entries.iter().map(|entry| entry.0).collect();
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to ignore entries")?;
        let sql = format!(
            "WITH done AS (
                 DELETE FROM {schema}._trigger_log WHERE id = ANY($1) AND state = 'FAILED' AND sf_result = -1 RETURNING *
             ), archived AS (
                 INSERT INTO {schema}._trigger_log_archive {ARCHIVE_COLUMNS}
                 SELECT id, txid, created_at, clock_timestamp(), clock_timestamp(), txid_current(), 'IGNORED', action,
                     table_name, record_id, sfid, old, values, NULL, sf_message FROM done ON CONFLICT (id) DO NOTHING
             ) SELECT id FROM done",
            schema = self.schema
        );
        let rows = transaction.query(&sql, &[&ids]).await.context("give entries up")?;
        let gone: BTreeSet<i32> = rows.iter().map(|row| row.get(0)).collect();
        let given_up: Vec<i32> = gone.iter().copied().collect();
        audit_entries(&transaction, operation, "gave up", LOG, &given_up).await?;
        transaction
            .execute(
                "UPDATE syncdeck.error SET state = 'resolved', resolved_at = clock_timestamp(), resolution = 'ignored'
                 WHERE entry = ANY($1) AND resolved_at IS NULL",
                &[&ids],
            )
            .await
            .context("resolve the errors of entries")?;
        transaction
            .execute("SELECT pg_notify($1, 'errors')", &[&CHANNEL])
            .await
            .context("announce a change")?;
        transaction.commit().await.context("ignore entries")?;
        let fate = |entry: &RowId| match gone.contains(&entry.0) {
            true => RowResult::new(*entry, RowStatus::Done, "the entry is given up, and kept in the archive"),
            false => RowResult::new(*entry, RowStatus::Skipped, "the entry is gone, or was mended"),
        };
        Ok(entries.iter().map(fate).collect())
    }
}

impl LeftBehind {
    fn note(&mut self, row: &tokio_postgres::Row) {
        let entry: i32 = row.get(0);
        let (state, action): (Option<String>, Option<String>) = (row.get(1), row.get(2));
        let hint = RowHint { table: row.get(3), row: row.get(4) };
        let readable: Option<bool> = row.get(7);
        let (mapped, there): (bool, Option<bool>) = (row.get(9), row.get(10));
        let known = action.as_deref().is_some_and(|word| ["INSERT", "UPDATE", "DELETE"].contains(&word));
        let why = match (state.as_deref(), &hint.table, hint.row) {
            (Some("SUCCESS" | "MERGED" | "IGNORED" | "REQUEUED"), ..) => {
                self.finished.push(entry);
                return;
            }
            (Some("NEW" | "PENDING" | "FAILED"), None, _) => Why::NoTable,
            (Some("NEW" | "PENDING" | "FAILED"), Some(table), _) if !mapped && there != Some(true) => {
                Why::Table(table.clone())
            }
            (Some("NEW" | "PENDING" | "FAILED"), Some(table), _) if !mapped => {
                self.strangers.insert(table.clone());
                return;
            }
            (Some("NEW" | "PENDING" | "FAILED"), _, None) => Why::NoRow,
            (Some("NEW" | "PENDING" | "FAILED"), ..) if !known => Why::of_action(action.as_deref()),
            (Some(failed @ ("PENDING" | "FAILED")), Some(table), Some(at)) if readable == Some(true) => {
                let values: Option<String> = row.get(8);
                match hstore::parse(values.as_deref().unwrap_or_default()) {
                    Ok(values) => {
                        self.unowned.push(Unowned {
                            entry,
                            at: RowRef { table: table.clone(), row: RowId(at) },
                            op: action.unwrap_or_default().to_lowercase(),
                            failed: failed == "FAILED",
                            message: row.get(6),
                            sfid: row.get(5),
                            values,
                        });
                        return;
                    }
                    Err(error) => Why::Values(error.to_string()),
                }
            }
            (Some("PENDING" | "FAILED"), ..) => Why::Values("they are no hstore".to_owned()),
            (state, ..) => Why::State(state.map(str::to_owned)),
        };
        self.misfits.push((Misfit { entry, why }, hint));
    }
}

/// How an entry that fits nowhere is listed.
fn listed(grouping: &Grouping, mappings: &[Mapping], misfit: &Misfit, hint: &RowHint) -> Value {
    let table = hint.table.as_deref().unwrap_or_default();
    let mapping = mappings.iter().find(|mapping| mapping.table == table);
    let object = mapping.map_or("", |mapping| mapping.object.as_str());
    let of = match (hint.table.as_deref(), hint.row) {
        (Some(table), Some(row)) => format!(" (row {row} of {table})"),
        (Some(table), None) => format!(" (of {table})"),
        _ => String::new(),
    };
    let why = misfit.why.text();
    let message = format!("the entry {} of _trigger_log{of}: {why}", misfit.entry);
    let error = NewError::classified(object, OP, ErrorSource::Engine, UNREADABLE, &message, Vec::new());
    json!({"mapping": error.mapping, "table_name": table, "op": error.op, "source": error.source, "code": error.code,
        "category": error.category, "class": error.class, "message": error.message, "fingerprint": error.group(grouping),
        "told": format!("{UNREADABLE}: {why}")})
}
