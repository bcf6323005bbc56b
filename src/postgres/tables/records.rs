//! One row as the record view shows it: its values, where it stands, what happened to it.

use std::collections::HashMap;

use serde_json::Value;

use crate::domain::errors::sync_error::ErrorState;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::{RowId, RowRef};
use crate::domain::operations::operation::AuditRecord;
use crate::domain::records::record::{
    Diagnosis, HistoryEntry, PendingChange, RecordView, SalesforceValues, Sending,
};
use crate::domain::values::hstore::{self, Hstore};

use crate::domain::operations::operation::AuditQuery;
use crate::postgres::changes::queue::{CAPTURED_AT, UNSENT};
use crate::postgres::tables::row_condition::RowCondition;
use crate::postgres::{Error, ErrorContext, Store, quote};

/// How many lines of history a record view has at most.
const HISTORY: i64 = 50;

impl Store {
    /// A row with its error and history; `advice` is left to the caller.
    ///
    /// # Errors
    /// Refused when neither the row nor anything known of it is there.
    pub async fn record(&self, mapping: &Mapping, at: &RowRef) -> Result<RecordView, Error> {
        let client = self.client().await?;
        let takes_part = RowCondition::of(mapping, 1);
        let sql = format!(
            "SELECT to_jsonb(t), ({}) IS NOT TRUE FROM {} t WHERE id = $1",
            takes_part.sql,
            self.table(&mapping.table)
        );
        let found = client.query_opt(&sql, &takes_part.bound(&[&at.row.0])).await.context("read a row")?;
        let stays_out = found.as_ref().is_some_and(|row| row.get(1));
        let row: Option<Value> = found.map(|row| row.get(0));
        let unit = client
            .query_opt(
                "SELECT state, sfid::text, ready_at <= clock_timestamp() FROM syncdeck.unit
                 WHERE table_name = $1 AND record_id = $2",
                &[&mapping.table, &at.row.0],
            )
            .await
            .context("read a row's unit")?;
        // Who has two sessions in all must not hold one while waiting for another.
        drop(client);
        let error = self.error_of(at).await?;
        if row.is_none() && unit.is_none() && error.is_none() {
            return Err(Error::NotFound(format!("the table {} has no row {}", mapping.table, at.row)));
        }
        let exists = row.is_some();
        let old = if exists { HashMap::new() } else { self.last_known(at).await? };
        let value = |column: &str| match &row {
            Some(row) => row.get(column).and_then(json_text),
            None => old.get(column).cloned().flatten(),
        };
        let unit_state: Option<String> = unit.as_ref().map(|unit| unit.get(0));
        let due = unit.as_ref().is_some_and(|unit| unit.get(2));
        let ignored = error.as_ref().is_some_and(|error| error.state == ErrorState::Ignored);
        Ok(RecordView {
            sfid: value("sfid").or_else(|| unit.and_then(|unit| unit.get(1))),
            lastop: value("_hc_lastop"),
            unit: match standing(unit_state.as_deref()) {
                "in step" if stays_out => "kept out".to_owned(),
                standing => standing.to_owned(),
            },
            exists,
            values: mapping.fields.iter().map(|field| (field.clone(), value(&field.column))).collect(),
            row: at.clone(),
            mapping: mapping.object.clone(),
            error,
            advice: Diagnosis::default(),
            conflicts: self.conflicts(at).await?,
            sending: Sending::default(),
            pending: self.pending(mapping, at).await?,
            masked: {
                let columns = mapping.fields.iter().map(|field| &field.column);
                columns.filter(|column| mapping.rules.masked(column)).cloned().collect()
            },
            history: self.history(mapping, at).await?,
            life: self.life(at, ignored).await?,
            due,
        })
    }

    /// The last values of a row that is gone, from the change that deleted it.
    async fn last_known(&self, at: &RowRef) -> Result<HashMap<String, Option<String>>, Error> {
        let client = self.client().await?;
        let sql = format!(
            "SELECT old FROM {}._trigger_log WHERE table_name = $1 AND record_id = $2 AND action = 'DELETE'
             ORDER BY id DESC LIMIT 1",
            self.schema
        );
        let old: Option<String> = client
            .query_opt(&sql, &[&at.table, &at.row.0])
            .await
            .context("read a deleted row's values")?
            .and_then(|row| row.get(0));
        Ok(hstore::parse(old.as_deref().unwrap_or("")).unwrap_or_default().into_iter().collect())
    }

    /// What happened to a row, newest first; masked values are not in it.
    async fn history(&self, mapping: &Mapping, at: &RowRef) -> Result<Vec<HistoryEntry>, Error> {
        let client = self.client().await?;
        let attempts = client
            .query(
                "SELECT at, outcome, op || coalesce(': ' || code || ' ' || message, '')
                     || CASE WHEN batch ~ '^750[A-Za-z0-9]{15}$' THEN '  bulk job ' ELSE '  batch ' END || batch, request, response
                 FROM syncdeck.attempt WHERE table_name = $1 AND record_id = $2 ORDER BY id DESC LIMIT $3",
                &[&at.table, &at.row.0, &HISTORY],
            )
            .await
            .context("read a record's attempts")?;
        drop(client);
        let attempt = |row: &tokio_postgres::Row| HistoryEntry {
            at: row.get(0),
            what: row.get(1),
            text: row.get(2),
            request: row.get(3),
            response: row.get(4),
        };
        let query = AuditQuery { row: Some(at.clone()), limit: HISTORY, ..AuditQuery::default() };
        let operations = self.operations(&query).await?;
        let operation = |mut operation: AuditRecord| {
            operation.first.mask(mapping);
            HistoryEntry {
                at: operation.at,
                what: operation.action.clone(),
                text: [operation.who(), operation.first.text(), operation.why.unwrap_or_default()]
                    .into_iter()
                    .filter(|part| !part.is_empty())
                    .collect::<Vec<_>>()
                    .join(": "),
                request: None,
                response: None,
            }
        };
        let mut history: Vec<HistoryEntry> =
            attempts.iter().map(attempt).chain(operations.into_iter().map(operation)).collect();
        history.sort_by_key(|entry| std::cmp::Reverse(entry.at));
        history.truncate(usize::try_from(HISTORY).unwrap_or(usize::MAX));
        Ok(history)
    }

    /// A row's changes that Salesforce has not taken, in their order.
    async fn pending(&self, mapping: &Mapping, at: &RowRef) -> Result<Vec<PendingChange>, Error> {
        let client = self.client().await?;
        let sql = format!(
            "SELECT {CAPTURED_AT}, coalesce(action, '?'), state, old, values FROM {}._trigger_log
             WHERE table_name = $1 AND record_id = $2 AND {UNSENT} ORDER BY id LIMIT $3",
            self.schema
        );
        let rows = client
            .query(&sql, &[&at.table, &at.row.0, &HISTORY])
            .await
            .context("read a row's pending changes")?;
        let read = |text: Option<String>| hstore::parse(text.as_deref().unwrap_or("")).unwrap_or_default();
        let change = |row: &tokio_postgres::Row| {
            let (action, old, values) = (row.get::<_, String>(1), read(row.get(3)), read(row.get(4)));
            let shown = |column: &String, value| mapping.rules.shown_value(column, value);
            let columns = values.into_iter().filter(|(column, _)| mapping.field(column).is_some());
            let columns = columns.map(|(column, new)| {
                let before = old.get(&column).cloned().flatten();
                (column.clone(), shown(&column, before), shown(&column, new))
            });
            PendingChange {
                at: row.get(0),
                action: action.to_lowercase(),
                state: row.get(2),
                columns: columns.collect(),
            }
        };
        Ok(rows.iter().map(change).collect())
    }

    /// The record ids of rows, as the row, its unit or its log knows them.
    pub async fn sfids_of(&self, table: &str, rows: &[RowId]) -> Result<HashMap<RowId, String>, Error> {
        let client = self.client().await?;
        let sql = format!(
            "SELECT id, coalesce((SELECT sfid::text FROM {table} t WHERE t.id = wanted.id),
                 (SELECT sfid::text FROM syncdeck.unit WHERE table_name = $1 AND record_id = wanted.id),
                 (SELECT sfid::text FROM {schema}._trigger_log log WHERE log.table_name = $1 AND log.record_id = wanted.id
                      AND log.sfid IS NOT NULL ORDER BY log.id DESC LIMIT 1))
             FROM unnest($2::integer[]) AS wanted (id)",
            table = self.table(table),
            schema = self.schema,
        );
        let ids: Vec<i32> = rows.iter().map(|row| row.0).collect();
        let found = client.query(&sql, &[&table, &ids]).await.context("find rows' record ids")?;
        let known = |row: &tokio_postgres::Row| Some((RowId(row.get(0)), row.get::<_, Option<String>>(1)?));
        Ok(found.iter().filter_map(known).collect())
    }

    /// The external ids of rows, as the row or its unsent changes know them.
    pub async fn keys_of(
        &self,
        table: &str,
        column: &str,
        rows: &[RowId],
    ) -> Result<HashMap<RowId, String>, Error> {
        let client = self.client().await?;
        let sql = format!(
            "SELECT id, coalesce((SELECT {key}::text FROM {table} t WHERE t.id = wanted.id),
                 (SELECT coalesce({schema}.hc_key_of(log.values, $3), {schema}.hc_key_of(log.old, $3))
                  FROM {schema}._trigger_log log WHERE log.table_name = $1 AND log.record_id = wanted.id
                      AND coalesce({schema}.hc_key_of(log.values, $3), {schema}.hc_key_of(log.old, $3)) IS NOT NULL
                  ORDER BY log.id DESC LIMIT 1))
             FROM unnest($2::integer[]) AS wanted (id)",
            key = quote(column),
            table = self.table(table),
            schema = self.schema,
        );
        let ids: Vec<i32> = rows.iter().map(|row| row.0).collect();
        let found = client.query(&sql, &[&table, &ids, &column]).await.context("find rows' external ids")?;
        let known = |row: &tokio_postgres::Row| Some((RowId(row.get(0)), row.get::<_, Option<String>>(1)?));
        Ok(found.iter().filter_map(known).collect())
    }

    /// The record id of one row.
    pub async fn sfid_of(&self, at: &RowRef) -> Result<Option<String>, Error> {
        Ok(self.sfids_of(&at.table, &[at.row]).await?.remove(&at.row))
    }

    /// Keeps what was fetched of a record, for consoles without an engine.
    pub async fn keep_fetched(&self, at: &RowRef, values: &SalesforceValues) -> Result<(), Error> {
        let client = self.client().await?;
        let value = serde_json::to_value(values).unwrap_or_default();
        client
            .execute(
                "INSERT INTO syncdeck.fetched VALUES ($1, $2, $3, $4) ON CONFLICT (table_name, record_id)
                 DO UPDATE SET fetched_at = excluded.fetched_at, value = excluded.value",
                &[&at.table, &at.row.0, &values.fetched_at, &value],
            )
            .await
            .context("keep fetched values")
            .map(drop)
    }

    /// The last fetched values, if there are any.
    pub async fn last_fetched(&self, at: &RowRef) -> Result<Option<SalesforceValues>, Error> {
        let client = self.client().await?;
        let row = client
            .query_opt(
                "SELECT value FROM syncdeck.fetched WHERE table_name = $1 AND record_id = $2",
                &[&at.table, &at.row.0],
            )
            .await
            .context("read the last fetched values")?;
        Ok(row.and_then(|row| serde_json::from_value(row.get(0)).ok()))
    }
}

/// Where a row stands, by its unit's state.
pub(in crate::postgres) fn standing(unit: Option<&str>) -> &'static str {
    match unit {
        None | Some("writeback") => "in step",
        // A stopped one waits as well: for its mapping's writes to go on.
        Some("ready" | "stopped") => "pending",
        Some("inflight") => "in flight",
        Some("held") => "held",
        Some(_) => "failed",
    }
}

/// A row as PostgreSQL's JSON has it, by column.
pub(in crate::postgres) fn row_values(row: &Value) -> Hstore {
    let values = row.as_object().into_iter().flatten();
    values.map(|(column, value)| (column.clone(), json_text(value))).collect()
}

/// A JSON value as the text people see: what PostgreSQL prints, with `true` and `false` spelt out.
pub fn json_text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
