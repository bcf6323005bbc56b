//! Entries of `_trigger_log` that are done with and were left there: a predecessor left them, or somebody gave a change up by
//! setting it to IGNORED, as Heroku Connect's users do. They are archived; what a unit alone knows of its record is not lost
//! with them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::{RowId, RowRef};

use crate::postgres::changes::queue::{ARCHIVE_COLUMNS, STILL_UNSENT, UNSENT};
use crate::postgres::changes::writeback::waits_for_nothing;
use crate::postgres::tables::rows::LIMIT_WAITS;
use crate::postgres::{Error, ErrorContext, Store, Transaction};

/// Who gave changes up, in the audit: whoever writes to the log by hand signs nowhere.
const ACTOR: &str = "_trigger_log";
/// How, in the audit.
const IGNORED: &str = "IGNORED in _trigger_log";
/// The same of failed changes that are SUCCESS, MERGED or REQUEUED there.
const SAID_TO_BE_DONE: &str = "said to be done in _trigger_log";

/// What became of entries that are done with.
#[derive(Debug, Default)]
pub struct FinishedEntries {
    /// How many were archived.
    pub archived: usize,
    /// Rows whose changes were given up.
    pub given_up: Vec<RowRef>,
    /// Rows whose changes cannot be given up like this, for Salesforce may have their record: they are unsent again.
    pub put_back: Vec<RowRef>,
    /// Tables that PostgreSQL refused or kept locked, with what it said. Theirs are left for the next walk.
    pub refused: Vec<(String, Error)>,
}

/// The unit of a row of which entries are done with.
struct Concerned {
    row: i32,
    /// Its unit alone knows that Salesforce may have its record, or that it has to get a new one.
    is_in_doubt: bool,
    /// Whether it waits for a person: nobody claims it.
    is_parked: bool,
    /// What its row is still to be told: the record that the unit alone knows, and that it waits for nothing.
    owed: Option<Value>,
}

/// Rows of one table of which entries were archived.
#[derive(Default)]
struct Archived {
    count: usize,
    /// By somebody who gave the change up.
    ignored: BTreeSet<i32>,
    /// By somebody who says that it arrived, or goes by another entry.
    settled: BTreeSet<i32>,
}

impl Store {
    /// Archives entries that are done with, and gives up the units of which nothing is left to send because somebody said
    /// IGNORED, or of which a failed one is said to be done: their errors are over, and the audit tells it. A row that failed
    /// goes on saying so.
    ///
    /// A unit in flight, or with an outcome to write back, is left with its entries for the next walk. One that may have a
    /// record in Salesforce which no row knows is not given up: without it, the row's next change would make a second one.
    /// One table that is locked or damaged keeps no other waiting.
    pub async fn archive_finished(
        &self,
        mappings: &[Mapping],
        ids: &[i32],
    ) -> Result<FinishedEntries, Error> {
        let mut found = FinishedEntries::default();
        for mapping in mappings {
            match self.archive_finished_of(mapping, ids).await {
                Ok(of_table) => {
                    found.archived += of_table.archived;
                    found.given_up.extend(of_table.given_up);
                    found.put_back.extend(of_table.put_back);
                }
                Err(error)
                    if error.is_of_this_table()
                        || error.is_lock_timeout()
                        || error.is_passing() && !error.is_connection() =>
                {
                    found.refused.push((mapping.table.clone(), error));
                }
                Err(error) => return Err(error),
            }
        }
        let tables: Vec<&str> = mappings.iter().map(|mapping| mapping.table.as_str()).collect();
        found.archived += self.archive_strangers(&tables, ids).await?;
        Ok(found)
    }

    /// The same of one table.
    async fn archive_finished_of(&self, mapping: &Mapping, ids: &[i32]) -> Result<FinishedEntries, Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to archive changes")?;
        // The units that are locked first keep ingestions waiting.
        transaction.batch_execute(LIMIT_WAITS).await.context("begin to archive changes")?;
        let sql = format!(
            "SELECT id FROM {}._trigger_log WHERE id = ANY($2) AND (table_name || '') = $1",
            self.schema
        );
        let table = mapping.table.as_str();
        let ids = transaction.query(&sql, &[&table, &ids]).await.context("find changes of a table")?;
        let ids: Vec<i32> = ids.iter().map(|row| row.get(0)).collect();
        if ids.is_empty() {
            return Ok(FinishedEntries::default());
        }
        let units = self.lock_concerned(&transaction, mapping, &ids).await?;
        let put_back = self.keep_in_doubt(&transaction, table, &units, &ids).await?;
        let done = self.archive_left(&transaction, table, &units, &ids).await?;
        let free = |unit: &&Concerned| !unit.is_in_doubt;
        let (ignored, other): (Vec<&Concerned>, Vec<&Concerned>) =
            units.iter().filter(free).partition(|unit| done.ignored.contains(&unit.row));
        let settled: Vec<&Concerned> =
            other.into_iter().filter(|unit| unit.is_parked && done.settled.contains(&unit.row)).collect();
        let mut given_up = self.give_units_up(&transaction, table, &ignored, IGNORED).await?;
        given_up.extend(self.give_units_up(&transaction, table, &settled, SAID_TO_BE_DONE).await?);
        for (rows, why) in [(&done.ignored, IGNORED), (&done.settled, SAID_TO_BE_DONE)] {
            given_up.extend(self.give_up_without_units(&transaction, table, rows, why).await?);
        }
        transaction.commit().await.context("archive changes that are done with")?;
        let rows = |rows: Vec<i32>| rows.into_iter().map(|row| at(table, row)).collect();
        Ok(FinishedEntries {
            archived: done.count,
            given_up: rows(given_up),
            put_back: rows(put_back),
            refused: Vec::new(),
        })
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
                     SELECT record_id FROM {}._trigger_log WHERE id = ANY($2)))
             ORDER BY record_id FOR UPDATE SKIP LOCKED",
            self.schema
        );
        let rows = transaction.query(&sql, &[&mapping.table, &ids]).await.context("lock units of changes")?;
        let rows: Vec<i32> = rows.iter().map(|row| row.get(0)).collect();
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        // A record that an entry of the row names was there before what was lost; a delete that is given up leaves it there.
        let sql = format!(
            "SELECT unit.record_id, unit.recreate OR unit.lost > 0 AND unit.sfid IS NULL AND t.sfid IS NULL AND NOT EXISTS (
                     SELECT FROM {schema}._trigger_log log WHERE log.table_name::text = $1 AND log.record_id = unit.record_id
                         AND log.sfid IS NOT NULL AND {same_row} OFFSET 0),
                 unit.state IN ('failed', 'review'),
                 CASE WHEN t.id IS NOT NULL AND unit.sfid IS NOT NULL AND t.sfid IS NULL THEN unit.sfid::text END,
                 t._hc_lastop::text = 'PENDING'
             FROM syncdeck.unit LEFT JOIN {table} t ON t.id = unit.record_id
             WHERE unit.table_name = $1 AND unit.record_id = ANY($2)",
            same_row = self.not_before_an_insert(),
            schema = self.schema,
            table = self.table(&mapping.table)
        );
        let units = transaction.query(&sql, &[&mapping.table, &rows]).await.context("look at units")?;
        let concerned = |unit: &tokio_postgres::Row| {
            let (row, sfid): (i32, Option<String>) = (unit.get(0), unit.get(3));
            let waits = unit.get::<_, Option<bool>>(4) == Some(true);
            let owed = (sfid.is_some() || waits).then(|| waits_for_nothing(row, sfid.as_deref()));
            Concerned { row, is_in_doubt: unit.get(1), is_parked: unit.get(2), owed }
        };
        Ok(units.iter().map(concerned).collect())
    }

    /// Makes entries unsent again whose unit has to stay: it would have nothing to be looked up by. What the first send did not
    /// carry is archived, where others are left. Returns the rows.
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
        let of_record = format!(
            "SELECT id, state, action, sf_result FROM {}._trigger_log other
             WHERE other.table_name = log.table_name AND other.record_id = log.record_id OFFSET 0",
            self.schema
        );
        let sql = format!(
            "UPDATE {schema}._trigger_log log SET updated_at = clock_timestamp(),
                 state = CASE WHEN unit.state IN ('failed', 'review') THEN 'FAILED' ELSE 'PENDING' END
             FROM syncdeck.unit WHERE log.id = ANY(ARRAY(
                     SELECT id FROM {schema}._trigger_log WHERE id = ANY($3) ORDER BY id FOR UPDATE SKIP LOCKED))
                 AND log.state IN ('IGNORED', 'REQUEUED') AND log.sf_result IS DISTINCT FROM -1 AND log.record_id = ANY($2)
                 AND unit.table_name = $1 AND unit.record_id = log.record_id
                 AND (log.id <= coalesce(unit.first_upto,
                         (SELECT min(id) FROM ({of_record}) first WHERE action = 'INSERT'))
                     OR NOT EXISTS (SELECT FROM ({of_record}) other WHERE {UNSENT}))
             RETURNING log.record_id",
            schema = self.schema
        );
        let rows = transaction
            .query(&sql, &[&table, &rows, &ids])
            .await
            .context("put changes back that cannot be given up")?;
        let rows: BTreeSet<i32> = rows.iter().map(|row| row.get(0)).collect();
        Ok(rows.into_iter().collect())
    }

    /// Archives what is done with, of rows that have no unit or a locked one.
    async fn archive_left(
        &self,
        transaction: &Transaction<'_>,
        table: &str,
        units: &[Concerned],
        ids: &[i32],
    ) -> Result<Archived, Error> {
        let locked: Vec<i32> = units.iter().map(|unit| unit.row).collect();
        let sql = self.archiving(
            "(record_id = ANY($2) OR NOT EXISTS (
                 SELECT FROM syncdeck.unit WHERE unit.table_name = $3 AND unit.record_id = log.record_id OFFSET 0))",
        );
        let done = transaction
            .query(&sql, &[&ids, &locked, &table])
            .await
            .context("archive changes that are done with")?;
        let mut archived = Archived { count: done.len(), ..Archived::default() };
        for row in &done {
            let (record, state): (Option<i32>, String) = (row.get(0), row.get(1));
            let Some(record) = record else { continue };
            match state.as_str() {
                "IGNORED" => archived.ignored.insert(record),
                _ => archived.settled.insert(record),
            };
        }
        Ok(archived)
    }

    /// Archives what is done with of tables that no mapping is about. Returns how many.
    async fn archive_strangers(&self, mapped: &[&str], ids: &[i32]) -> Result<usize, Error> {
        let client = self.client().await?;
        let sql = self.archiving("(table_name = ANY($2)) IS NOT TRUE");
        let done = client.query(&sql, &[&ids, &mapped]).await.context("archive changes of other tables")?;
        Ok(done.len())
    }

    /// Moves those of the entries `$1` into the archive that are done with and of which a condition holds. Each row is a
    /// record and the state of one of its entries.
    fn archiving(&self, condition: &str) -> String {
        format!(
            "WITH done AS (
                 DELETE FROM {schema}._trigger_log WHERE id = ANY(ARRAY(
                     SELECT id FROM {schema}._trigger_log log WHERE id = ANY($1)
                         AND (state || '') IN ('SUCCESS', 'MERGED', 'IGNORED', 'REQUEUED') AND {condition}
                     ORDER BY id FOR UPDATE SKIP LOCKED)) RETURNING *
             ), archived AS (
                 INSERT INTO {schema}._trigger_log_archive {ARCHIVE_COLUMNS}
                 SELECT id, txid, created_at, updated_at, processed_at, processed_tx, state, action, table_name, record_id,
                     sfid, old, values, sf_result, sf_message FROM done ON CONFLICT (id) DO NOTHING
             ) SELECT record_id, state FROM done",
            schema = self.schema
        )
    }

    /// Those of these rows of which nothing is unsent and no conflict is open.
    async fn with_nothing_left(
        &self,
        transaction: &Transaction<'_>,
        table: &str,
        rows: &[i32],
    ) -> Result<Vec<i32>, Error> {
        let sql = format!(
            "SELECT record FROM unnest($2::integer[]) record WHERE NOT EXISTS (
                     SELECT FROM {}._trigger_log WHERE table_name = $1 AND record_id = record AND {STILL_UNSENT} OFFSET 0)
                 AND NOT EXISTS (
                     SELECT FROM syncdeck.conflict WHERE table_name = $1 AND record_id = record AND winner IS NULL OFFSET 0)",
            self.schema
        );
        let rows = transaction.query(&sql, &[&table, &rows]).await.context("look what is left to send")?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Gives locked units up of which nothing is left. What their rows are owed is written by the pass that is for late
    /// outcomes, which waits for nobody. Returns the rows.
    async fn give_units_up(
        &self,
        transaction: &Transaction<'_>,
        table: &str,
        units: &[&Concerned],
        why: &str,
    ) -> Result<Vec<i32>, Error> {
        let owed: serde_json::Map<String, Value> =
            units.iter().filter_map(|unit| Some((unit.row.to_string(), unit.owed.clone()?))).collect();
        let rows: Vec<i32> = units.iter().map(|unit| unit.row).collect();
        let rows = self.with_nothing_left(transaction, table, &rows).await?;
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
        // Whoever waited for one of them is looked at again; one that is locked sleeps for as long as it would have.
        transaction
            .execute(
                "UPDATE syncdeck.unit SET state = 'ready', ready_at = clock_timestamp() WHERE ctid = ANY(ARRAY(
                     SELECT ctid FROM syncdeck.unit WHERE state = 'held' AND held_table = $1 AND held_record = ANY($2)
                     FOR UPDATE SKIP LOCKED))",
                &[&table, &rows],
            )
            .await
            .context("wake held units")?;
        audit_given_up(transaction, table, &rows, why).await?;
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

    /// The same of rows whose changes were given up before they were taken in: they have no unit yet, and still say that they
    /// wait. A predecessor's entries of rows that wait for nothing were given up by nobody. Returns the rows.
    async fn give_up_without_units(
        &self,
        transaction: &Transaction<'_>,
        table: &str,
        rows: &BTreeSet<i32>,
        why: &str,
    ) -> Result<Vec<i32>, Error> {
        let rows: Vec<i32> = rows.iter().copied().collect();
        let sql = format!(
            "SELECT t.id FROM {} t WHERE t.id = ANY($2) AND t._hc_lastop::text = 'PENDING' AND NOT EXISTS (
                 SELECT FROM syncdeck.unit WHERE table_name = $1 AND record_id = t.id OFFSET 0)",
            self.table(table)
        );
        let rows = transaction.query(&sql, &[&table, &rows]).await.context("look for rows that wait")?;
        let rows: Vec<i32> = rows.iter().map(|row| row.get(0)).collect();
        let rows = self.with_nothing_left(transaction, table, &rows).await?;
        let owed: Vec<Value> = rows.iter().map(|row| waits_for_nothing(*row, None)).collect();
        let rows = transaction
            .query(
                "INSERT INTO syncdeck.unit (table_name, record_id, state, outcome)
                 SELECT $1, record, 'writeback', owed FROM unnest($2::integer[], $3::jsonb[]) AS told (record, owed)
                 ORDER BY record ON CONFLICT (table_name, record_id) DO NOTHING RETURNING record_id",
                &[&table, &rows, &owed],
            )
            .await
            .context("have rows told that waited")?;
        let rows: Vec<i32> = rows.iter().map(|row| row.get(0)).collect();
        audit_given_up(transaction, table, &rows, why).await?;
        Ok(rows)
    }

    /// Of an entry `log`, that the row of its number was not inserted after it: what it names is that row's record.
    pub(in crate::postgres) fn not_before_an_insert(&self) -> String {
        format!(
            "NOT EXISTS (SELECT FROM {}._trigger_log later WHERE later.table_name = log.table_name
                 AND later.record_id = log.record_id AND later.id > log.id AND later.action = 'INSERT' OFFSET 0)",
            self.schema
        )
    }

    /// Those of these rows whose changes somebody set to IGNORED before the walk along the log met them, each with the newest
    /// of them; the audit tells it.
    pub(in crate::postgres) async fn audit_ignored(
        &self,
        transaction: &Transaction<'_>,
        table: &str,
        rows: &[i32],
    ) -> Result<BTreeMap<i32, i32>, Error> {
        let sql = format!(
            "SELECT record_id, max(id) FROM {}._trigger_log
             WHERE table_name = $1 AND record_id = ANY($2) AND (state || '') = 'IGNORED' GROUP BY 1",
            self.schema
        );
        let rows = transaction.query(&sql, &[&table, &rows]).await.context("look for ignored changes")?;
        let newest: BTreeMap<i32, i32> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        let rows: Vec<i32> = newest.keys().copied().collect();
        audit_given_up(transaction, table, &rows, IGNORED).await?;
        Ok(newest)
    }
}

fn at(table: &str, row: i32) -> RowRef {
    RowRef { table: table.to_owned(), row: RowId(row) }
}

/// Puts rows whose changes were given up by hand into the audit, before their errors are resolved.
async fn audit_given_up(
    transaction: &Transaction<'_>,
    table: &str,
    rows: &[i32],
    why: &str,
) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    transaction
        .execute(
            "INSERT INTO syncdeck.audit (act, actor, why, action, mapping, table_name, record_id, error_id)
             SELECT (SELECT nextval('syncdeck.act')), $3, $4, 'gave up', coalesce(mapping.name, ''),
                 $1::text, given.record, error.id
             FROM unnest($2::integer[]) AS given (record)
             LEFT JOIN syncdeck.mapping ON mapping.table_name = $1::text
             LEFT JOIN syncdeck.error ON error.table_name = $1::text AND error.record_id = given.record
                 AND error.resolved_at IS NULL AND error.op <> 'verify'",
            &[&table, &rows, &ACTOR, &why],
        )
        .await
        .context("write the audit")
        .map(drop)
}
