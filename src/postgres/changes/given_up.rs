//! Entries of `_trigger_log` that are done with and were left there: a predecessor left them, or somebody gave a change up by
//! setting it to IGNORED, as Heroku Connect's users do. They are archived; what a unit alone knows of its record is not lost
//! with them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::{RowId, RowRef};

use crate::postgres::changes::queue::{ARCHIVE_COLUMNS, UNSENT};
use crate::postgres::{Error, ErrorContext, Store, Transaction};

/// Who gave changes up, in the audit: whoever writes to the log by hand signs nowhere.
const ACTOR: &str = "_trigger_log";

/// What became of entries that are done with.
#[derive(Debug, Default)]
pub struct FinishedEntries {
    /// How many were archived.
    pub archived: usize,
    /// Rows whose changes were given up.
    pub given_up: Vec<RowRef>,
    /// Rows whose changes cannot be given up like this, for Salesforce may have their record: they are unsent again.
    pub put_back: Vec<RowRef>,
}

/// The unit of a row of which entries are done with.
struct Concerned {
    row: i32,
    /// Its unit alone knows that Salesforce may have its record, or that it has to get a new one.
    is_in_doubt: bool,
    /// What its row is still to be told: the record that the unit alone knows, and that it waits for nothing.
    owed: Option<Value>,
}

impl Store {
    /// Archives entries that are done with, and gives up the units of which nothing is left to send because somebody said
    /// IGNORED: their errors are over, and the audit tells it. A row that failed goes on saying so.
    ///
    /// A unit in flight, or with an outcome to write back, is left with its entries for the next walk. One that may have a
    /// record in Salesforce which no row knows is not given up: without it, the row's next change would make a second one.
    pub async fn archive_finished(
        &self,
        mappings: &[Mapping],
        ids: &[i32],
    ) -> Result<FinishedEntries, Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to archive changes")?;
        let mut found = FinishedEntries::default();
        let mut free: BTreeMap<&str, Vec<Concerned>> = BTreeMap::new();
        for mapping in mappings {
            let concerned = self.lock_concerned(&transaction, mapping, ids).await?;
            if concerned.is_empty() {
                continue;
            }
            let put_back = self.keep_in_doubt(&transaction, &mapping.table, &concerned, ids).await?;
            found.put_back.extend(put_back.into_iter().map(|row| at(&mapping.table, row)));
            free.insert(&mapping.table, concerned);
        }
        let ignored = self.archive_left(&transaction, &free, ids, &mut found.archived).await?;
        for (table, units) in free {
            let rows = ignored.get(table).map(Vec::as_slice).unwrap_or_default();
            let units: Vec<&Concerned> =
                units.iter().filter(|unit| !unit.is_in_doubt && rows.contains(&unit.row)).collect();
            let rows = self.give_units_up(&transaction, table, &units).await?;
            found.given_up.extend(rows.into_iter().map(|row| at(table, row)));
        }
        transaction.commit().await.context("archive changes that are done with")?;
        Ok(found)
    }

    /// Locks the units of a table that these entries are of, those that somebody works on left out.
    async fn lock_concerned(
        &self,
        transaction: &Transaction<'_>,
        mapping: &Mapping,
        ids: &[i32],
    ) -> Result<Vec<Concerned>, Error> {
        let sql = format!(
            "SELECT record_id FROM syncdeck.unit WHERE table_name = $1 AND state NOT IN ('inflight', 'writeback')
                 AND outcome IS NULL AND record_id = ANY(ARRAY(
                     SELECT record_id FROM {}._trigger_log WHERE id = ANY($2) AND table_name = $1))
             ORDER BY record_id FOR UPDATE SKIP LOCKED",
            self.schema
        );
        let rows = transaction.query(&sql, &[&mapping.table, &ids]).await.context("lock units of changes")?;
        let rows: Vec<i32> = rows.iter().map(|row| row.get(0)).collect();
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT unit.record_id, unit.recreate OR unit.lost > 0 AND unit.sfid IS NULL AND t.sfid IS NULL,
                 CASE WHEN t.id IS NOT NULL AND unit.sfid IS NOT NULL AND t.sfid IS NULL THEN unit.sfid::text END,
                 t._hc_lastop::text, t._hc_err
             FROM syncdeck.unit LEFT JOIN {} t ON t.id = unit.record_id
             WHERE unit.table_name = $1 AND unit.record_id = ANY($2)",
            self.table(&mapping.table)
        );
        let units = transaction.query(&sql, &[&mapping.table, &rows]).await.context("look at units")?;
        let concerned = |unit: &tokio_postgres::Row| {
            let (row, sfid): (i32, Option<String>) = (unit.get(0), unit.get(2));
            let (lastop, err): (Option<String>, Option<String>) = (unit.get(3), unit.get(4));
            let waits = lastop.as_deref() == Some("PENDING");
            let lastop = lastop.filter(|_| !waits);
            // A change that is newer than nothing keeps what the row says.
            let owed = json!({"id": row, "sfid": sfid, "lastop": lastop, "err": err, "upto": 0});
            Concerned { row, is_in_doubt: unit.get(1), owed: (sfid.is_some() || waits).then_some(owed) }
        };
        Ok(units.iter().map(concerned).collect())
    }

    /// Makes ignored entries unsent again whose unit has to stay: it would have nothing to be looked up by. Entries that the
    /// first send did not carry are archived, where others are left. Returns the rows.
    async fn keep_in_doubt(
        &self,
        transaction: &Transaction<'_>,
        table: &str,
        units: &[Concerned],
        ids: &[i32],
    ) -> Result<Vec<i32>, Error> {
        let rows: Vec<i32> = units.iter().filter(|unit| unit.is_in_doubt).map(|unit| unit.row).collect();
        if rows.is_empty() {
            return Ok(rows);
        }
        let sql = format!(
            "UPDATE {schema}._trigger_log log SET updated_at = clock_timestamp(),
                 state = CASE WHEN unit.state IN ('failed', 'review') THEN 'FAILED' ELSE 'PENDING' END
             FROM syncdeck.unit WHERE log.id = ANY($3) AND log.state = 'IGNORED' AND log.sf_result IS DISTINCT FROM -1
                 AND log.table_name = $1 AND log.record_id = ANY($2)
                 AND unit.table_name = log.table_name AND unit.record_id = log.record_id
                 AND (log.id <= unit.first_upto OR NOT EXISTS (SELECT FROM (
                     SELECT state, sf_result FROM {schema}._trigger_log other
                     WHERE other.table_name = log.table_name AND other.record_id = log.record_id OFFSET 0) other WHERE {UNSENT}))
             RETURNING log.record_id",
            schema = self.schema
        );
        let rows = transaction
            .query(&sql, &[&table, &rows, &ids])
            .await
            .context("put changes back that cannot be given up")?;
        let mut rows: Vec<i32> = rows.iter().map(|row| row.get(0)).collect();
        rows.sort_unstable();
        rows.dedup();
        Ok(rows)
    }

    /// Archives what is done with, of rows that have no unit or a locked one. Returns the rows of which something was ignored.
    async fn archive_left(
        &self,
        transaction: &Transaction<'_>,
        free: &BTreeMap<&str, Vec<Concerned>>,
        ids: &[i32],
        archived: &mut usize,
    ) -> Result<BTreeMap<String, Vec<i32>>, Error> {
        let (tables, records): (Vec<&str>, Vec<i32>) =
            free.iter().flat_map(|(table, units)| units.iter().map(|unit| (*table, unit.row))).unzip();
        let sql = format!(
            "WITH done AS (
                 DELETE FROM {schema}._trigger_log log WHERE id = ANY($1)
                     AND state IN ('SUCCESS', 'MERGED', 'IGNORED', 'REQUEUED') AND (NOT EXISTS (
                         SELECT FROM syncdeck.unit WHERE unit.table_name = log.table_name
                             AND unit.record_id = log.record_id OFFSET 0)
                         OR (table_name::text, record_id) IN (SELECT * FROM unnest($2::text[], $3::integer[])))
                 RETURNING *
             ), archived AS (
                 INSERT INTO {schema}._trigger_log_archive {ARCHIVE_COLUMNS}
                 SELECT id, txid, created_at, updated_at, processed_at, processed_tx, state, action, table_name, record_id,
                     sfid, old, values, sf_result, sf_message FROM done ON CONFLICT (id) DO NOTHING
             ) SELECT table_name::text, record_id, state = 'IGNORED' FROM done",
            schema = self.schema
        );
        let done = transaction
            .query(&sql, &[&ids, &tables, &records])
            .await
            .context("archive changes that are done with")?;
        *archived = done.len();
        let mut ignored: BTreeMap<String, Vec<i32>> = BTreeMap::new();
        for row in done.iter().filter(|row| row.get(2)) {
            if let (Some(table), Some(record)) = (row.get(0), row.get(1)) {
                ignored.entry(table).or_default().push(record);
            }
        }
        Ok(ignored)
    }

    /// Gives locked units up of which nothing is unsent and no conflict is open. What their rows are owed is written by the
    /// pass that is for late outcomes, which waits for nobody. Returns the rows.
    async fn give_units_up(
        &self,
        transaction: &Transaction<'_>,
        table: &str,
        units: &[&Concerned],
    ) -> Result<Vec<i32>, Error> {
        let owed: serde_json::Map<String, Value> =
            units.iter().filter_map(|unit| Some((unit.row.to_string(), unit.owed.clone()?))).collect();
        let rows: Vec<i32> = units.iter().map(|unit| unit.row).collect();
        let sql = format!(
            "SELECT record FROM unnest($2::integer[]) record WHERE NOT EXISTS (
                     SELECT FROM {}._trigger_log WHERE table_name = $1 AND record_id = record AND {UNSENT})
                 AND NOT EXISTS (SELECT FROM syncdeck.conflict WHERE table_name = $1 AND record_id = record AND winner IS NULL)",
            self.schema
        );
        let rows = transaction.query(&sql, &[&table, &rows]).await.context("look what is left to send")?;
        let rows: Vec<i32> = rows.iter().map(|row| row.get(0)).collect();
        if rows.is_empty() {
            return Ok(rows);
        }
        transaction
            .execute(
                "UPDATE syncdeck.unit SET state = 'writeback', version = version + 1, ready_at = clock_timestamp(),
                     outcome = $3::jsonb -> record_id::text
                 WHERE table_name = $1 AND record_id = ANY($2) AND $3::jsonb ? record_id::text",
                &[&table, &rows, &Value::Object(owed)],
            )
            .await
            .context("have rows told")?;
        transaction
            .execute(
                "DELETE FROM syncdeck.unit WHERE table_name = $1 AND record_id = ANY($2) AND state <> 'writeback'",
                &[&table, &rows],
            )
            .await
            .context("give units up")?;
        // Whoever waited for one of them is looked at again.
        transaction
            .execute(
                "UPDATE syncdeck.unit SET state = 'ready', ready_at = clock_timestamp()
                 WHERE state = 'held' AND held_table = $1 AND held_record = ANY($2)",
                &[&table, &rows],
            )
            .await
            .context("wake held units")?;
        audit_given_up(transaction, table, &rows).await?;
        transaction
            .execute(
                "UPDATE syncdeck.error SET state = 'resolved', resolved_at = clock_timestamp(), next_retry_at = NULL,
                     resolution = 'ignored'
                 WHERE table_name = $1 AND record_id = ANY($2) AND resolved_at IS NULL AND op <> 'verify'",
                &[&table, &rows],
            )
            .await
            .context("resolve the errors of changes that were given up")?;
        Ok(rows)
    }

    /// Puts those of these rows into the audit whose changes somebody set to IGNORED before the walk along the log met them.
    pub(in crate::postgres) async fn audit_ignored(
        &self,
        transaction: &Transaction<'_>,
        table: &str,
        rows: &[i32],
    ) -> Result<(), Error> {
        let sql = format!(
            "SELECT DISTINCT record_id FROM {}._trigger_log
             WHERE table_name = $1 AND record_id = ANY($2) AND (state || '') = 'IGNORED'",
            self.schema
        );
        let rows = transaction.query(&sql, &[&table, &rows]).await.context("look for ignored changes")?;
        let rows: Vec<i32> = rows.iter().map(|row| row.get(0)).collect();
        audit_given_up(transaction, table, &rows).await
    }
}

fn at(table: &str, row: i32) -> RowRef {
    RowRef { table: table.to_owned(), row: RowId(row) }
}

/// Puts rows whose changes were given up by hand into the audit, before their errors are resolved.
async fn audit_given_up(transaction: &Transaction<'_>, table: &str, rows: &[i32]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    transaction
        .execute(
            "INSERT INTO syncdeck.audit (act, actor, why, action, mapping, table_name, record_id, error_id)
             SELECT (SELECT nextval('syncdeck.act')), $3, 'IGNORED in _trigger_log', 'gave up', coalesce(mapping.name, ''),
                 $1::text, given.record, error.id
             FROM unnest($2::integer[]) AS given (record)
             LEFT JOIN syncdeck.mapping ON mapping.table_name = $1::text
             LEFT JOIN syncdeck.error ON error.table_name = $1::text AND error.record_id = given.record
                 AND error.resolved_at IS NULL AND error.op <> 'verify'",
            &[&table, &rows, &ACTOR],
        )
        .await
        .context("write the audit")
        .map(drop)
}
