//! What a look at both sides asks of PostgreSQL: rows by their records, rows without any, and orphans. Reads
//! only; in bounded parts.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::RowId;
use crate::domain::operations::operation::{Operation, RowResult, RowStatus};
use crate::domain::records::verify::{AsFound, UnsentReason};
use crate::domain::values::hstore::Hstore;

use crate::postgres::changes::locks::lock_units;
use crate::postgres::changes::queue::UNSENT;
use crate::postgres::operations::audit::{NewAuditEntry, audit};
use crate::postgres::operations::edit::announce;
use crate::postgres::tables::records::{json_text, row_values};
use crate::postgres::tables::reread::read_once_more;
use crate::postgres::tables::row_condition::RowCondition;
use crate::postgres::{AS_ENGINE, AS_USER, Error, ErrorContext, Store, Transaction, literal, quote};

/// A row as it is compared.
#[derive(Clone, Debug)]
pub struct Compared {
    /// Which row.
    pub row: RowId,
    /// Its record.
    pub sfid: Option<String>,
    /// Its values.
    pub values: Hstore,
    /// Why it may differ, where something of it is not sent.
    pub unsent: Option<UnsentReason>,
}

/// A row whose parent is missing, or that shares its key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Suspect {
    /// Which row.
    pub row: RowId,
    /// Its record.
    pub sfid: Option<String>,
    /// The columns at fault.
    pub fields: Vec<String>,
    /// Their values.
    pub values: Vec<String>,
    /// Of a duplicate: the other rows, as many as one finding has.
    pub others: Vec<i32>,
    /// How many more there are.
    pub more: usize,
}

/// Why a row is left alone that [`is_still`] does not hold for.
pub(in crate::postgres) const CHANGED_SINCE: &str = "it was changed since it was looked at; look again";

/// Whether a locked row is still as a look found it.
pub(in crate::postgres) fn is_still(found: &AsFound, row: Option<&Value>) -> bool {
    row.is_some_and(|row| {
        let now = |column: &str| row.get(column).and_then(json_text);
        now("sfid") == found.sfid && found.values.iter().all(|(column, value)| now(column) == *value)
    })
}

/// How far the reader of a mapping is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReaderTrace {
    /// When its last poll ended.
    pub last_read: Option<DateTime<Utc>>,
    /// Up to when it holds the mapping; it extends that with each page.
    pub lease: Option<DateTime<Utc>>,
}

impl Store {
    /// The rows of records, by the record's id.
    pub async fn rows_of_records(
        &self,
        mapping: &Mapping,
        sfids: &[&str],
    ) -> Result<HashMap<String, Compared>, Error> {
        let rows = self.compared(mapping, "t.sfid = ANY($2)", &sfids).await?;
        Ok(rows.into_iter().filter_map(|row| Some((row.sfid.clone()?, row))).collect())
    }

    /// Rows by their ids.
    pub async fn rows_to_compare(&self, mapping: &Mapping, ids: &[i32]) -> Result<Vec<Compared>, Error> {
        self.compared(mapping, "t.id = ANY($2)", &ids).await
    }

    async fn compared(
        &self,
        mapping: &Mapping,
        condition: &str,
        value: &(dyn tokio_postgres::types::ToSql + Sync),
    ) -> Result<Vec<Compared>, Error> {
        let client = self.client().await?;
        let takes_part = RowCondition::of(mapping, 2);
        let sql = format!(
            "SELECT t.id, t.sfid::text, to_jsonb(t), {} FROM {} t WHERE {condition}",
            self.why_unsent(&takes_part),
            self.table(&mapping.table)
        );
        let bound = takes_part.bound(&[&mapping.table, value]);
        let rows = client.query(&sql, &bound).await.context("read rows to compare")?;
        let compared = |row: &tokio_postgres::Row| Compared {
            row: RowId(row.get(0)),
            sfid: row.get(1),
            values: row_values(&row.get(2)),
            unsent: row.get::<_, Option<&str>>(3).and_then(UnsentReason::from_word),
        };
        Ok(rows.iter().map(compared).collect())
    }

    /// Whether something of the row `t` of the table `$1` is on its way, or failed, or is kept out.
    pub(in crate::postgres) fn is_pending(&self, takes_part: &RowCondition) -> String {
        format!("({} IS NOT NULL)", self.why_unsent(takes_part))
    }

    /// Why something of the row `t` of the table `$1` is not sent, as the word of [`UnsentReason`]; NULL where nothing is.
    fn why_unsent(&self, takes_part: &RowCondition) -> String {
        let kept_out =
            format!("CASE WHEN t.sfid IS NULL AND ({}) IS NOT TRUE THEN 'kept_out' END", takes_part.sql);
        format!(
            "coalesce(
                 (SELECT CASE u.state WHEN 'held' THEN 'blocked' WHEN 'review' THEN 'review' WHEN 'failed' THEN coalesce(
                         (SELECT 'ignored' FROM syncdeck.error e WHERE e.table_name = $1 AND e.record_id = t.id
                              AND e.resolved_at IS NULL AND e.state = 'ignored'), 'failed')
                     ELSE 'pending' END
                  FROM syncdeck.unit u WHERE u.table_name = $1 AND u.record_id = t.id),
                 (SELECT CASE l.state WHEN 'FAILED' THEN 'failed' ELSE 'pending' END
                  FROM {}._trigger_log l WHERE l.table_name = $1 AND l.record_id = t.id AND l.{UNSENT} LIMIT 1),
                 {kept_out})",
            self.schema
        )
    }

    /// Of these rows, those that the mapping's condition keeps out.
    pub async fn kept_out(&self, mapping: &Mapping, ids: &[i32]) -> Result<Vec<i32>, Error> {
        let takes_part = RowCondition::of(mapping, 1);
        let client = self.client().await?;
        let sql = format!(
            "SELECT id FROM {} WHERE id = ANY($1) AND ({}) IS NOT TRUE",
            self.table(&mapping.table),
            takes_part.sql
        );
        let rows =
            client.query(&sql, &takes_part.bound(&[&ids])).await.context("look which rows stay out")?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// The next rows that name a record behind one id, up to another, and none of these; with what they name. In the order
    /// of the index on `sfid`.
    pub async fn rows_between(
        &self,
        table: &str,
        (after, until): (Option<&str>, Option<&str>),
        but: &[&str],
        limit: i64,
    ) -> Result<Vec<(i32, String)>, Error> {
        let client = self.client().await?;
        let until_then = if until.is_some() { "AND sfid <= $4" } else { "AND $4::text IS NULL" };
        let sql = format!(
            "SELECT id, sfid::text FROM {} WHERE sfid > $1 {until_then} AND sfid <> ALL($2) ORDER BY sfid LIMIT $3",
            self.table(table)
        );
        let after = after.unwrap_or_default();
        let rows =
            client.query(&sql, &[&after, &but, &limit, &until]).await.context("list rows between records")?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// The next rows by id that name no record.
    pub async fn rows_without_record(&self, table: &str, after: i32, limit: i64) -> Result<Vec<i32>, Error> {
        let client = self.client().await?;
        let sql = format!(
            "SELECT id FROM {} WHERE id > $1 AND sfid IS NULL ORDER BY id LIMIT $2",
            self.table(table)
        );
        let rows = client.query(&sql, &[&after, &limit]).await.context("list rows that name no record")?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Of these records, those of which an error of their own tells why row and record are not both there: PostgreSQL
    /// refuses the record or the row's removal, or a person has to say whose it is.
    pub async fn listed_on_their_own(&self, table: &str, sfids: &[&str]) -> Result<HashSet<String>, Error> {
        let client = self.client().await?;
        let rows = client
            .query(
                "SELECT sfid::text FROM syncdeck.refused WHERE table_name = $1 AND sfid = ANY($2)
                 UNION SELECT sfid::text FROM syncdeck.candidate WHERE table_name = $1 AND sfid = ANY($2)",
                &[&table, &sfids],
            )
            .await
            .context("look which records are listed already")?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Of records that no row has, those of which that is known: their row's delete waits, or is not passed on.
    pub async fn leaving(&self, mapping: &Mapping, sfids: &[&str]) -> Result<Vec<String>, Error> {
        let client = self.client().await?;
        let sql = format!(
            "SELECT sfid::text FROM {schema}._trigger_log
             WHERE table_name = $1 AND action = 'DELETE' AND sfid = ANY($2) AND {UNSENT}
             UNION SELECT sfid::text FROM {schema}._trigger_log_archive
             WHERE table_name = $1 AND action = 'DELETE' AND state = 'IGNORED' AND sfid = ANY($2) AND $3
             UNION SELECT sfid::text FROM syncdeck.unit WHERE table_name = $1 AND sfid = ANY($2)",
            schema = self.schema
        );
        let kept = mapping.rules.ignore_deletes.postgres;
        let rows =
            client.query(&sql, &[&mapping.table, &sfids, &kept]).await.context("look for rows that leave")?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Rows that name a parent which has no row, by one column; `limit` at most. Of `rows` only, where these are given.
    pub async fn orphans(
        &self,
        mapping: &Mapping,
        column: &str,
        parents: &[(&str, &str)],
        rows: Option<&[i32]>,
        limit: i64,
    ) -> Result<Vec<Suspect>, Error> {
        let client = self.client().await?;
        let there: Vec<String> = parents
            .iter()
            .map(|(table, key)| {
                let (key, named) = (format!("p.{}::text", quote(key)), format!("t.{}::text", quote(column)));
                let table = self.table(table);
                match key.as_str() {
                    "p.\"sfid\"::text" => format!("SELECT FROM {table} p WHERE {key} = {named}"),
                    _ => format!(
                        "SELECT FROM {table} p WHERE {s}.hc_fold_key({key}) = {s}.hc_fold_key({named})",
                        s = self.schema
                    ),
                }
            })
            .collect();
        let takes_part = RowCondition::of(mapping, 3);
        let sql = format!(
            "SELECT t.id, t.sfid::text, t.{column}::text FROM {table} t
             WHERE t.{column} IS NOT NULL AND t.{column}::text <> '' AND t.sfid IS NOT NULL
                 AND ($3::integer[] IS NULL OR t.id = ANY($3)) AND NOT EXISTS ({there}) AND NOT {pending} ORDER BY t.id LIMIT $2",
            table = self.table(&mapping.table),
            column = quote(column),
            there = there.join(" UNION ALL "),
            pending = self.is_pending(&takes_part),
        );
        let bound = takes_part.bound(&[&mapping.table, &limit, &rows]);
        let rows = client.query(&sql, &bound).await.context("look for orphans")?;
        let suspect = |row: &tokio_postgres::Row| Suspect {
            row: RowId(row.get(0)),
            sfid: row.get(1),
            fields: vec![column.to_owned()],
            values: vec![row.get(2)],
            others: Vec::new(),
            more: 0,
        };
        Ok(rows.iter().map(suspect).collect())
    }

    /// The newest rows of a mapping, with their values.
    ///
    /// # Errors
    /// Refused when its table is not there.
    pub async fn newest_rows(&self, mapping: &Mapping, limit: i64) -> Result<Vec<(RowId, Hstore)>, Error> {
        let client = self.client().await?;
        let table = self.table(&mapping.table);
        let there: Option<String> = client
            .query_one("SELECT to_regclass($1)::text", &[&table])
            .await
            .context("look for a table")?
            .get(0);
        if there.is_none() {
            return Err(Error::Refused(format!(
                "the table {table} is not there yet\nthe engine makes it when the mapping is switched on; until then there are no rows to try"
            )));
        }
        let takes_part = RowCondition::of(mapping, 1);
        let sql = format!(
            "SELECT id, to_jsonb(t) FROM {table} t WHERE ({}) IS TRUE ORDER BY id DESC LIMIT $1",
            takes_part.sql
        );
        let rows = client.query(&sql, &takes_part.bound(&[&limit])).await.context("read the newest rows")?;
        Ok(rows.iter().map(|row| (RowId(row.get(0)), row_values(&row.get(1)))).collect())
    }

    /// What the reader of a mapping leaves as it goes on.
    pub async fn reader_trace(&self, object: &str) -> Result<ReaderTrace, Error> {
        let client = self.client().await?;
        let row = client
            .query_one(
                "SELECT (SELECT last_read FROM syncdeck.mapping WHERE name = $1),
                     (SELECT until FROM syncdeck.lease WHERE name = 'reader ' || $1)",
                &[&object],
            )
            .await
            .context("look when a mapping was read")?;
        Ok(ReaderTrace { last_read: row.get(0), lease: row.get(1) })
    }

    /// Sends rows again as they are: columns of a row that has a record, or the whole row as a new record. Rows with
    /// something unsent are left alone.
    pub async fn send_again(
        &self,
        table: &str,
        rows: &[(RowId, AsFound)],
        operation: &Operation,
    ) -> Result<Vec<RowResult>, Error> {
        let mapping = self.registered(table).await?;
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to send rows again")?;
        let ids: Vec<i32> = rows.iter().map(|(row, _)| row.0).collect();
        let there = self.lock_rows(&transaction, &mapping, &ids).await?.rows;
        self.lock_new_entries(&transaction, table, &ids).await?;
        let units = lock_units(&transaction, table, &ids).await?;
        let unsent = self.rows_with_unsent(&transaction, &mapping, &ids).await?;
        let mut results = Vec::new();
        let mut again = Vec::new();
        for (row, found) in rows {
            let id = row.0;
            if !there.contains_key(&id) {
                results.push(RowResult::new(
                    *row,
                    RowStatus::Skipped,
                    "it is gone, or somebody is changing it right now",
                ));
            } else if units.contains_key(&id) || unsent.contains(&id) {
                results.push(RowResult::new(
                    *row,
                    RowStatus::Skipped,
                    "it was changed meanwhile, and the change is on its way",
                ));
            } else if !is_still(found, there.get(&id)) {
                results.push(RowResult::new(*row, RowStatus::Skipped, CHANGED_SINCE));
            } else {
                let columns: Vec<&str> = found.values.keys().map(String::as_str).collect();
                self.capture(&transaction, &mapping, id, &columns).await?;
                again.push(id);
                results.push(RowResult::new(*row, RowStatus::Done, "it is sent"));
            }
        }
        let entries: Vec<NewAuditEntry> =
            again.iter().map(|id| NewAuditEntry { row: Some(*id), ..NewAuditEntry::default() }).collect();
        audit(&transaction, operation, "sent again", &mapping, &entries).await?;
        self.make_ready(&transaction, &mapping, &again, &[]).await?;
        announce(&transaction, table, &again).await?;
        transaction.commit().await.context("send rows again")?;
        Ok(results)
    }

    /// Captures a row by hand: an update of these columns, or, with none, an insert of the whole row for a new record.
    async fn capture(
        &self,
        transaction: &Transaction<'_>,
        mapping: &Mapping,
        id: i32,
        columns: &[&str],
    ) -> Result<(), Error> {
        let table = self.table(&mapping.table);
        let row = format!("(SELECT OPERATOR(syncdeck.@>#) t FROM {table} t WHERE id = $1)");
        let name = literal(&mapping.table);
        if columns.is_empty() {
            transaction.batch_execute(AS_ENGINE).await.context("mark the engine's own write")?;
            let sql = format!("UPDATE {table} SET sfid = NULL WHERE id = $1");
            transaction.write_rows(&sql, &[&id]).await.context("forget a record that is gone")?;
            let fixed: Vec<&str> = mapping
                .fields
                .iter()
                .filter(|field| !field.createable)
                .map(|field| field.column.as_str())
                .collect();
            let sql = format!("SELECT {}.hc_capture_insert_from_row({row}, {name}, $2)", self.schema);
            transaction.query(&sql, &[&id, &fixed]).await.context("capture a row")?;
        } else {
            let sql = format!("SELECT {}.hc_capture_update_from_row({row}, {name}, $2)", self.schema);
            transaction.query(&sql, &[&id, &columns]).await.context("capture a row")?;
        }
        Ok(())
    }

    /// Deletes records that have no row: a row is made for each and deleted, which is captured like any other. Gives
    /// those of which a delete was captured.
    pub async fn delete_records(
        &self,
        table: &str,
        sfids: &[String],
        operation: &Operation,
    ) -> Result<HashSet<String>, Error> {
        let mapping = self.registered(table).await?;
        let full = self.table(table);
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to delete records")?;
        transaction.batch_execute(AS_ENGINE).await.context("mark the engine's own write")?;
        let sql = format!(
            "INSERT INTO {full} (sfid) SELECT sfid FROM pg_catalog.unnest($1::text[]) AS gone (sfid)
             WHERE NOT EXISTS (SELECT FROM {full} t WHERE t.sfid::text = gone.sfid) RETURNING id, sfid::text"
        );
        let rows =
            transaction.write_rows_returning(&sql, &[&sfids]).await.context("make rows for records")?;
        let ids: Vec<i32> = rows.iter().map(|row| row.get(0)).collect();
        let entries: Vec<NewAuditEntry> = rows
            .iter()
            .map(|row| NewAuditEntry {
                row: Some(row.get(0)),
                before: Some(json!({"sfid": row.get::<_, String>(1)})),
                ..NewAuditEntry::default()
            })
            .collect();
        audit(&transaction, operation, "deleted the record", &mapping, &entries).await?;
        transaction.batch_execute(AS_USER).await.context("write as a user")?;
        transaction
            .write_rows(&format!("DELETE FROM {full} WHERE id = ANY($1)"), &[&ids])
            .await
            .context("delete the rows of records")?;
        self.make_ready(&transaction, &mapping, &ids, &[]).await?;
        announce(&transaction, table, &ids).await?;
        transaction.commit().await.context("delete records")?;
        Ok(rows.iter().map(|row| row.get(1)).collect())
    }

    /// Has records read in that no row has: the mapping's reader does it with its next poll.
    pub async fn want_read(&self, table: &str, sfids: &[String], operation: &Operation) -> Result<(), Error> {
        let mapping = self.registered(table).await?;
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to have records read")?;
        read_once_more(&transaction, table, sfids).await?;
        let entry =
            NewAuditEntry { after: Some(json!({"sfid": sfids.join(" ")})), ..NewAuditEntry::default() };
        audit(&transaction, operation, "read again", &mapping, &[entry]).await?;
        transaction.commit().await.context("have records read")
    }
}
