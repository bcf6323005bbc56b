//! Applying what was read from Salesforce to the users' tables.
//!
//! Rows are locked with SKIP LOCKED first and changed in a second statement whose snapshot lies after the locks, so
//! that a change a user committed meanwhile is seen. A field with an unsent, in-flight, held or failed change is never
//! overwritten; a value that is there already is never written (I6).

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use crate::domain::changes::outgoing::is_in_step;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::RowId;
use crate::postgres::changes::writeback;

use crate::postgres::changes::keys::{KeyColumn, gives_up_key, wake_for_keys};
use crate::postgres::changes::queue::UNSENT;
use crate::postgres::reports::status::Lease;
use crate::postgres::tables::records::json_text;
use crate::postgres::tables::uncaptured::Uncaptured;
use crate::postgres::{AS_ENGINE, Cached, Error, ErrorContext, Store, Transaction, quote};

/// One record as read, in the table's columns: `sfid`, `systemmodstamp`, `isdeleted` and the mapped ones.
pub type RecordRow = Map<String, Value>;

/// What an application of records did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Rows inserted.
    pub inserted: u64,
    /// Rows changed.
    pub updated: Vec<RowId>,
    /// Ids of records that must be read again, because their row was locked or just written by us.
    pub skipped: Vec<String>,
    /// Ids of records that no row took, and no error tells why: [`Store::insert_alone`] finds out.
    pub swallowed: Vec<String>,
    /// Ids of records whose row a trigger or a rule keeps as it is.
    pub kept: Vec<String>,
    /// Rows that had been written without being captured; they have the records' values now.
    pub uncaptured: Vec<Uncaptured>,
}

/// What became of a record that was inserted alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alone {
    /// It has its row.
    Inserted,
    /// The next read will know.
    Later,
    /// A trigger or a rule let it fall without a word.
    Dropped,
    /// Its external id is that of a row with another record.
    KeyTaken(Holder),
}

/// The row that has what another record wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The row.
    pub row: RowId,
    /// Its record, where it has one.
    pub sfid: Option<String>,
}

/// Longer is nobody waited for, who holds a row or a value: the record is read again instead.
pub(in crate::postgres) const LIMIT_WAITS: &str = "SET LOCAL lock_timeout = '500ms'";

impl Store {
    /// Applies records of one mapping. `asked_at` is PostgreSQL's time from before Salesforce was asked: a row whose
    /// change Salesforce accepted after that is left for the next read, which will know.
    pub async fn apply_records(
        &self,
        lease: &Lease,
        mapping: &Mapping,
        records: &[RecordRow],
        asked_at: DateTime<Utc>,
    ) -> Result<Applied, Error> {
        if records.is_empty() {
            return Ok(Applied::default());
        }
        let mut applied = self.update_known(lease, mapping, records, asked_at).await?;
        let skipped: HashSet<&str> = applied.skipped.iter().map(String::as_str).collect();
        let mut rest: Vec<&RecordRow> =
            records.iter().filter(|record| !skipped.contains(text(record, "sfid"))).collect();
        let on_its_way = self.hold_back(mapping, &mut rest).await?;
        let arrived = self.insert_unknown(lease, mapping, &rest, asked_at, Way::Together, on_its_way).await?;
        applied.inserted = arrived.inserted;
        applied.skipped.extend(arrived.unsure);
        applied.swallowed = arrived.swallowed;
        Ok(applied)
    }

    /// Inserts a record that PostgreSQL let fall among others, so that it says what is in the way.
    pub async fn insert_alone(
        &self,
        lease: &Lease,
        mapping: &Mapping,
        record: &RecordRow,
        asked_at: DateTime<Utc>,
    ) -> Result<Alone, Error> {
        if let Some(holder) = self.holder_of_key(mapping, record).await? {
            return Ok(if holder.sfid.is_none() { Alone::Later } else { Alone::KeyTaken(holder) });
        }
        let mut records = vec![record];
        let on_its_way = self.hold_back(mapping, &mut records).await?;
        let arrived = self.insert_unknown(lease, mapping, &records, asked_at, Way::Alone, on_its_way).await?;
        Ok(match arrived {
            Arrived { inserted: 1, .. } => Alone::Inserted,
            Arrived { swallowed, .. } if !swallowed.is_empty() => Alone::Dropped,
            _ => Alone::Later,
        })
    }

    /// The row that has a record's external id.
    async fn holder_of_key(&self, mapping: &Mapping, record: &RecordRow) -> Result<Option<Holder>, Error> {
        let Some(column) = mapping.external_id_column() else { return Ok(None) };
        let (table, keys) = (self.table(&mapping.table), self.key_column(mapping, &column));
        let sql = format!(
            "SELECT t.id, t.sfid::text FROM jsonb_populate_record(NULL::{table}, $1) i, LATERAL (
                 SELECT id, sfid FROM {table} t WHERE {} = {} OFFSET 0) t
             WHERE t.sfid IS DISTINCT FROM i.sfid LIMIT 1",
            keys.of_row("t"),
            keys.of_row("i"),
        );
        let client = self.client().await?;
        let record = Value::Object(record.clone());
        let rows = client
            .query_cached(&sql, &[&record])
            .await
            .context("find the row that has a record's external id")?;
        Ok(rows.first().map(|row| Holder { row: RowId(row.get(0)), sfid: row.get(1) }))
    }

    async fn update_known(
        &self,
        lease: &Lease,
        mapping: &Mapping,
        records: &[RecordRow],
        asked_at: DateTime<Utc>,
    ) -> Result<Applied, Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin applying records")?;
        lease.prove(&transaction).await?;
        transaction.batch_execute(AS_ENGINE).await.context("mark the engine's own write")?;
        transaction.batch_execute(LIMIT_WAITS).await.context("limit the wait for locks")?;
        let table = self.table(&mapping.table);
        let incoming = Value::from(records.iter().cloned().map(Value::Object).collect::<Vec<_>>());
        // Matched by sfid, else by external id (design 4.3), as two joins, each with its index. The JSON is cast by
        // the table's own row type.
        let column = mapping.external_id_column();
        let key = column.as_ref().map(|column| self.key_column(mapping, column));
        // Of rows that share a key the first one is the record's, and none where another row has it.
        let by_key = key.map(|key| {
            format!(
                " UNION SELECT t.id, i.sfid::text FROM incoming i, LATERAL (
                      SELECT id FROM {table} t WHERE {} = {} AND t.sfid IS NULL ORDER BY id LIMIT 1) t
                  WHERE NOT EXISTS (SELECT FROM {table} other WHERE other.sfid = i.sfid)
                      AND NOT EXISTS (SELECT FROM leaving l WHERE l.sfid = i.sfid OR l.key = {})",
                key.of_row("t"),
                key.of_row("i"),
                key.of_logged(&format!("i.{}::text", quote(column.as_deref().unwrap_or_default())))
            )
        });
        let matched = format!(
            "WITH {}
             SELECT t.id, i.sfid::text FROM incoming i JOIN {table} t ON t.sfid = i.sfid{}",
            self.incoming_and_leaving(mapping),
            by_key.unwrap_or_default()
        );
        let known: HashMap<i32, String> = transaction
            .query_cached(&matched, &[&incoming, &mapping.table, &asked_at])
            .await
            .context("match records to rows")?
            .iter()
            .map(|row| (row.get(0), row.get(1)))
            .collect();
        let ids: Vec<i32> = known.keys().copied().collect();
        let locked: HashSet<i32> = transaction
            .query_cached(
                &format!("SELECT id FROM {table} WHERE id = ANY($1) FOR NO KEY UPDATE SKIP LOCKED"),
                &[&ids],
            )
            .await
            .context("lock the rows of records")?
            .iter()
            .map(|row| row.get(0))
            .collect();
        let just_sent = recently_accepted(&transaction, mapping, &ids, asked_at).await?;
        let unsent = self.unsent_changes(&transaction, mapping, &ids).await?;
        let written = self.written_values(&transaction, mapping, &ids).await?;
        let mut applied = Applied::default();
        let mut plain = Vec::new();
        let mut merged = Vec::new();
        let by_sfid: HashMap<&str, &RecordRow> =
            records.iter().map(|record| (text(record, "sfid"), record)).collect();
        for (id, sfid) in &known {
            let Some(record) = by_sfid.get(sfid.as_str()) else { continue };
            if !locked.contains(id) || just_sent.contains(id) {
                applied.skipped.push(sfid.clone());
                continue;
            }
            let mut row = as_written(mapping, record, written.get(id));
            row.insert("id".to_owned(), json!(id));
            let Some(unsent) = unsent.get(id) else {
                plain.push(Value::Object(row));
                continue;
            };
            let taken = if unsent.free {
                self.merge_row(&transaction, mapping, *id, unsent, record).await?
            } else {
                // It is on its way; the next read will know what became of it.
                applied.skipped.push(sfid.clone());
                let columns = mapping.read_fields().map(|field| field.column.clone());
                columns.filter(|column| !unsent.columns.contains_key(column)).collect()
            };
            merged.push((taken, row));
        }
        let columns: Vec<String> = mapping.read_fields().map(|field| field.column.clone()).collect();
        let plain = Value::from(plain);
        applied.updated =
            self.update_rows(&transaction, mapping, &columns, &plain, Some(&mut applied.uncaptured)).await?;
        applied.kept = self.kept_rows(&transaction, mapping, &columns, &plain, &applied.updated).await?;
        for (taken, row) in merged {
            let row = Value::from(vec![Value::Object(row)]);
            applied.updated.extend(self.update_rows(&transaction, mapping, &taken, &row, None).await?);
        }
        transaction.commit().await.context("finish applying records")?;
        Ok(applied)
    }

    /// The rows' values in the columns that are written differently there than here, by a transform.
    async fn written_values(
        &self,
        transaction: &Transaction<'_>,
        mapping: &Mapping,
        ids: &[i32],
    ) -> Result<HashMap<i32, RecordRow>, Error> {
        let shaped =
            mapping.rules.fields.values().any(|rules| !rules.transforms.is_empty() || rules.skip_invalid);
        if !shaped {
            return Ok(HashMap::new());
        }
        let sql = format!("SELECT id, to_jsonb(t) FROM {} t WHERE id = ANY($1)", self.table(&mapping.table));
        let rows = transaction.query_cached(&sql, &[&ids]).await.context("read rows to compare")?;
        let values = |row: &tokio_postgres::Row| match row.get::<_, Value>(1) {
            Value::Object(values) => Some((row.get(0), values)),
            _ => None,
        };
        Ok(rows.iter().filter_map(values).collect())
    }

    /// Writes the columns that differ, and tells in which rows. `settled` rows have nothing unsent, so they also become
    /// SYNCED; of these it is told which were written without being captured.
    async fn update_rows(
        &self,
        transaction: &Transaction<'_>,
        mapping: &Mapping,
        columns: &[String],
        rows: &Value,
        settled: Option<&mut Vec<Uncaptured>>,
    ) -> Result<Vec<RowId>, Error> {
        if rows.as_array().is_none_or(Vec::is_empty) {
            return Ok(Vec::new());
        }
        let table = self.table(&mapping.table);
        let mut names: Vec<String> = columns.iter().map(|column| quote(column)).collect();
        names.extend(["sfid", "systemmodstamp", "isdeleted"].map(str::to_owned));
        let list =
            |prefix: &str| names.iter().map(|name| format!("{prefix}.{name}")).collect::<Vec<_>>().join(", ");
        let settle = if settled.is_some() { ", _hc_lastop = 'SYNCED', _hc_err = NULL" } else { "" };
        let also = if settled.is_some() { "OR t._hc_lastop IN ('INSERTED', 'UPDATED')" } else { "" };
        // Values are compared under our own search path, apart from the write. The rows are locked: they stay as they are.
        let sql = format!(
            "SELECT t.id, t.sfid = i.sfid AND t.systemmodstamp = i.systemmodstamp FROM jsonb_populate_recordset(NULL::{table}, $1) i JOIN {table} t ON t.id = i.id
             WHERE ({}) IS DISTINCT FROM ({}) {also}",
            list("t"),
            list("i"),
        );
        let found =
            transaction.query_cached(&sql, &[rows]).await.context("compare values read from Salesforce")?;
        let differ: Vec<i32> = found.iter().map(|row| row.get(0)).collect();
        if differ.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(uncaptured) = settled {
            let seen = found.iter().filter(|row| row.get::<_, Option<bool>>(1) == Some(true));
            let seen: Vec<i32> = seen.map(|row| row.get(0)).collect();
            uncaptured.extend(self.written_uncaptured(transaction, mapping, rows, &seen).await?);
        }
        let sql = format!(
            "UPDATE {table} t SET {}{settle} FROM pg_catalog.jsonb_populate_recordset(NULL::{table}, $1) i
             WHERE t.id = i.id AND i.id = ANY($2) RETURNING t.id",
            names.iter().map(|name| format!("{name} = i.{name}")).collect::<Vec<_>>().join(", "),
        );
        let changed = transaction
            .write_rows_returning(&sql, &[rows, &differ])
            .await
            .context("write values read from Salesforce")?;
        Ok(changed.iter().map(|row| RowId(row.get(0))).collect())
    }

    /// Rows that still differ from their records although they were written: a trigger before the update, or a rule, let
    /// that fall. Looked for only where there is one.
    async fn kept_rows(
        &self,
        transaction: &Transaction<'_>,
        mapping: &Mapping,
        columns: &[String],
        rows: &Value,
        updated: &[RowId],
    ) -> Result<Vec<String>, Error> {
        let table = self.table(&mapping.table);
        // 19: before, for each row, on update.
        let sql = "SELECT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = to_regclass($1) AND tgtype & 19 = 19
                 AND tgname <> 'zz_hc_status' AND NOT tgisinternal)
             OR EXISTS (SELECT FROM pg_rewrite WHERE ev_class = to_regclass($1))";
        let found = transaction.query_cached(sql, &[&table]).await.context("look for triggers")?;
        if !found.first().is_some_and(|row| row.get(0)) || rows.as_array().is_none_or(Vec::is_empty) {
            return Ok(Vec::new());
        }
        let list = |prefix: &str| {
            columns.iter().map(|column| format!("{prefix}.{}", quote(column))).collect::<Vec<_>>().join(", ")
        };
        let sql = format!(
            "SELECT i.sfid::text FROM jsonb_populate_recordset(NULL::{table}, $1) i JOIN {table} t ON t.id = i.id
             WHERE (t.sfid, {}) IS DISTINCT FROM (i.sfid, {}) AND t.id <> ALL($2)",
            list("t"),
            list("i"),
        );
        let updated: Vec<i32> = updated.iter().map(|row| row.0).collect();
        let kept = transaction
            .query_cached(&sql, &[rows, &updated])
            .await
            .context("find rows that stay as they are")?;
        Ok(kept.iter().map(|row| row.get(0)).collect())
    }

    /// The records `$1` of the table `$2`, and those among them that leave: their row was deleted here, and Salesforce
    /// still had them when it was asked at `$3`. Part of each statement that brings records in, so that a delete is
    /// seen either as the row that is still there or as the entry that says it is not.
    fn incoming_and_leaving(&self, mapping: &Mapping) -> String {
        let schema = &self.schema;
        let column = mapping.external_id_column();
        let of_keys = column.as_ref().map(|column| self.key_column(mapping, column));
        let key = of_keys.as_ref().map_or("NULL::text".to_owned(), KeyColumn::of_old);
        let by_key = column.as_ref().zip(of_keys).map(|(column, keys)| {
            format!(
                "UNION ALL SELECT sfid::text, {key} FROM {schema}._trigger_log WHERE {} AND {} AND action = 'DELETE'
                     AND {UNSENT} AND {key} IN (SELECT {} FROM incoming)",
                gives_up_key::of_table(&mapping.table),
                gives_up_key::condition(column),
                keys.of_logged(&format!("incoming.{}::text", quote(column))),
            )
        });
        format!(
            "incoming AS (SELECT * FROM jsonb_populate_recordset(NULL::{table}, $1)), leaving AS (
                 SELECT sfid::text AS sfid, {key} AS key FROM {schema}._trigger_log
                 WHERE table_name = $2 AND action = 'DELETE' AND {UNSENT} AND sfid IN (SELECT incoming.sfid FROM incoming)
                 UNION ALL SELECT archive.sfid::text, {key} FROM syncdeck.attempt
                 JOIN {schema}._trigger_log_archive archive USING (table_name, record_id)
                 WHERE attempt.at >= $3 AND attempt.outcome = 'accepted' AND attempt.op = 'delete' AND table_name = $2
                 {by_key})",
            table = self.table(&mapping.table),
            by_key = by_key.unwrap_or_default()
        )
    }

    /// Inserts the records that no row has. Its own transaction, so that no row lock is held while it may have to
    /// wait for a user who is inserting the same external id.
    async fn insert_unknown(
        &self,
        lease: &Lease,
        mapping: &Mapping,
        records: &[&RecordRow],
        asked_at: DateTime<Utc>,
        way: Way,
        on_its_way: bool,
    ) -> Result<Arrived, Error> {
        if records.is_empty() {
            return Ok(Arrived::default());
        }
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin inserting records")?;
        lease.prove(&transaction).await?;
        transaction.batch_execute(AS_ENGINE).await.context("mark the engine's own write")?;
        transaction.batch_execute(LIMIT_WAITS).await.context("limit the wait for locks")?;
        writeback::lock_new_records(&transaction, &mapping.table, true).await?;
        let incoming =
            Value::from(records.iter().map(|record| Value::Object((*record).clone())).collect::<Vec<_>>());
        let wanted: Vec<String> = transaction
            .query_cached(
                &self.wanted_records(mapping, &self.answered(mapping, on_its_way)),
                &[&incoming, &mapping.table, &asked_at],
            )
            .await
            .context("find the records that no row has")?
            .iter()
            .map(|row| row.get(0))
            .collect();
        let inserted: HashSet<String> = if wanted.is_empty() {
            HashSet::new()
        } else {
            transaction
                .write_rows_returning(&self.insert_wanted(mapping, way), &[&incoming, &wanted])
                .await
                .context("insert records read from Salesforce")?
                .iter()
                .map(|row| row.get(0))
                .collect()
        };
        let unsure = transaction
            .query_cached(
                &self.unsure_records(mapping, &self.answered(mapping, on_its_way)),
                &[&incoming, &mapping.table, &asked_at],
            )
            .await
            .context("find records that the next read will know more of")?;
        let arrived = Arrived {
            inserted: inserted.len() as u64,
            unsure: unsure.iter().map(|row| row.get(0)).collect(),
            swallowed: wanted.into_iter().filter(|sfid| !inserted.contains(sfid)).collect(),
        };
        if let Some(column) = mapping.external_id_column().filter(|_| arrived.inserted > 0) {
            let keys = self.key_column(mapping, &column);
            let of = |record: &&RecordRow| keys.fold(&json_text(record.get(&column)?)?);
            let keys: Vec<String> = records.iter().filter_map(of).collect();
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            wake_for_keys(&transaction, &mapping.table, &keys).await?;
        }
        transaction.commit().await.context("finish inserting records")?;
        Ok(arrived)
    }

    /// The records that belong into a row of their own.
    fn wanted_records(&self, mapping: &Mapping, answered: &str) -> String {
        format!(
            "WITH {with} SELECT i.sfid::text FROM incoming i WHERE {unknown} AND {answered} AND {not_given_up}
                 AND NOT EXISTS (SELECT FROM leaving l WHERE l.sfid = i.sfid OR l.key = {key})",
            with = self.incoming_and_leaving(mapping),
            unknown = unknown_to(&self.table(&mapping.table)),
            not_given_up = self.not_given_up(mapping),
            key = self.key_of(mapping),
        )
    }

    /// Inserts those of the records `$1` that are named by `$2`, and tells which got a row. Among others, a value that
    /// another row has already keeps a record out without an error, for a user may insert the same record right now.
    fn insert_wanted(&self, mapping: &Mapping, way: Way) -> String {
        let table = self.table(&mapping.table);
        let mut names: Vec<String> = mapping.read_fields().map(|field| quote(&field.column)).collect();
        names.extend(["sfid", "systemmodstamp", "isdeleted"].map(str::to_owned));
        let column = mapping.external_id_column();
        // Looked up key by key, whatever the planner believes.
        let by_key = column
            .as_ref()
            .map(|column| self.key_column(mapping, column))
            .map(|keys| {
                format!(
                    "AND NOT EXISTS (SELECT FROM {table} t WHERE {} = {} OFFSET 0)",
                    keys.of_row("t"),
                    keys.of_row("i")
                )
            })
            .unwrap_or_default();
        let (keyless, conflict) = match way {
            Way::Together => (by_key.as_str(), "ON CONFLICT DO NOTHING"),
            Way::Alone => ("", ""),
        };
        format!(
            "INSERT INTO {table} ({list}, _hc_lastop)
             SELECT {values}, 'SYNCED' FROM pg_catalog.jsonb_populate_recordset(NULL::{table}, $1) i
             WHERE i.sfid::pg_catalog.text = ANY($2::pg_catalog.text[]) {keyless} {conflict} RETURNING sfid::text",
            list = names.join(", "),
            values = names.iter().map(|name| format!("i.{name}")).collect::<Vec<_>>().join(", "),
        )
    }

    /// The records that share only their external id with one that leaves, or may be the answer to an insert of ours:
    /// the next read will know whether they are others.
    fn unsure_records(&self, mapping: &Mapping, answered: &str) -> String {
        let (key, table) = (self.key_of(mapping), self.table(&mapping.table));
        format!(
            "WITH {with} SELECT i.sfid::text FROM incoming i WHERE {unknown} AND {not_given_up}
                 AND NOT EXISTS (SELECT FROM leaving l WHERE l.sfid = i.sfid)
                 AND (EXISTS (SELECT FROM leaving l WHERE l.key = {key}) OR NOT {answered})",
            with = self.incoming_and_leaving(mapping),
            unknown = unknown_to(&table),
            not_given_up = self.not_given_up(mapping),
        )
    }

    /// A record's external id, as those of rows that leave are compared.
    fn key_of(&self, mapping: &Mapping) -> String {
        let column = mapping.external_id_column();
        column.map_or("NULL".to_owned(), |column| {
            self.key_column(mapping, &column).of_logged(&format!("i.{}::text", quote(&column)))
        })
    }

    /// A row whose delete is not passed on leaves its record behind; that does not come back.
    fn not_given_up(&self, mapping: &Mapping) -> String {
        if !mapping.rules.ignore_deletes.postgres {
            return "true".to_owned();
        }
        format!(
            "NOT EXISTS (SELECT FROM {}._trigger_log_archive gone WHERE gone.table_name = $2
                 AND gone.action = 'DELETE' AND gone.state = 'IGNORED' AND gone.sfid = i.sfid)",
            self.schema
        )
    }

    /// PostgreSQL's clock.
    pub async fn now(&self) -> Result<DateTime<Utc>, Error> {
        let client = self.client().await?;
        Ok(client.query_one("SELECT clock_timestamp()", &[]).await.context("read the clock")?.get(0))
    }
}

/// How records are inserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Many at once.
    Together,
    /// One, so that what is in its way is told.
    Alone,
}

/// What an insert of records brought.
#[derive(Debug, Default)]
struct Arrived {
    inserted: u64,
    unsure: Vec<String>,
    swallowed: Vec<String>,
}

/// Whether no row has the record.
fn unknown_to(table: &str) -> String {
    format!("NOT EXISTS (SELECT FROM {table} t WHERE t.sfid = i.sfid)")
}

/// Rows of which Salesforce accepted a change after it was asked: what it answered may be older than that.
pub(in crate::postgres) async fn recently_accepted(
    transaction: &Transaction<'_>,
    mapping: &Mapping,
    ids: &[i32],
    asked_at: DateTime<Utc>,
) -> Result<HashSet<i32>, Error> {
    let rows = transaction
        .query_cached(
            "SELECT DISTINCT record_id FROM syncdeck.attempt
             WHERE table_name = $1 AND record_id = ANY($2) AND outcome = 'accepted' AND at >= $3",
            &[&mapping.table, &ids, &asked_at],
        )
        .await
        .context("find rows that were just sent")?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// A record as it goes into its row: a value that the row's becomes on its way out stays as the application wrote it.
fn as_written(mapping: &Mapping, record: &RecordRow, written: Option<&RecordRow>) -> RecordRow {
    let mut row = record.clone();
    let Some(written) = written else { return row };
    for field in mapping.read_fields() {
        let (Some(theirs), Some(ours)) = (record.get(&field.column), written.get(&field.column)) else {
            continue;
        };
        if is_in_step(mapping, field, json_text(ours).as_deref(), json_text(theirs).as_deref()) {
            row.insert(field.column.clone(), ours.clone());
        }
    }
    row
}

fn text<'a>(record: &'a RecordRow, column: &str) -> &'a str {
    record.get(column).and_then(Value::as_str).unwrap_or("")
}
