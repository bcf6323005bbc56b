//! One row as the record view shows it: its values, where it stands, what happened to it.

use std::collections::HashMap;

use serde_json::Value;

use crate::domain::hstore;
use crate::domain::mapping::Mapping;
use crate::domain::names::RowRef;
use crate::domain::record::{Advice, HistoryEntry, RecordView, SalesforceValues, Sending};

use super::{Error, Store, While};

/// How many lines of history a record view has at most.
const HISTORY: i64 = 50;

impl Store {
    /// A row with its error and history; `advice` is left to the caller.
    ///
    /// # Errors
    /// Refused when neither the row nor anything known of it is there.
    pub async fn record(&self, mapping: &Mapping, at: &RowRef) -> Result<RecordView, Error> {
        let client = self.client().await?;
        let row: Option<Value> = client
            .query_opt(
                &format!("SELECT to_jsonb(t) FROM {} t WHERE id = $1", self.table(&mapping.table)),
                &[&at.row.0],
            )
            .await
            .while_("read a row")?
            .map(|row| row.get(0));
        let unit = client
            .query_opt(
                "SELECT state, sfid::text FROM syncdeck.unit WHERE table_name = $1 AND record_id = $2",
                &[&mapping.table, &at.row.0],
            )
            .await
            .while_("read a row's unit")?;
        let error = self.error_of(at).await?;
        if row.is_none() && unit.is_none() && error.is_none() {
            return Err(Error::Refused(format!("the table {} has no row {}", mapping.table, at.row)));
        }
        let exists = row.is_some();
        let old = if exists { HashMap::new() } else { self.last_known(at).await? };
        let value = |column: &str| match &row {
            Some(row) => row.get(column).and_then(json_text),
            None => old.get(column).cloned().flatten(),
        };
        let unit_state: Option<String> = unit.as_ref().map(|unit| unit.get(0));
        Ok(RecordView {
            sfid: value("sfid").or_else(|| unit.and_then(|unit| unit.get(1))),
            lastop: value("_hc_lastop"),
            unit: match unit_state.as_deref() {
                None | Some("writeback") => "in step",
                Some("ready") => "pending",
                Some("inflight") => "in flight",
                Some("held") => "held",
                Some(_) => "failed",
            }
            .to_owned(),
            exists,
            values: mapping.fields.iter().map(|field| (field.clone(), value(&field.column))).collect(),
            row: at.clone(),
            mapping: mapping.object.clone(),
            error,
            advice: Advice::default(),
            conflicts: self.conflicts(at).await?,
            sending: Sending::default(),
            history: self.history(at).await?,
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
            .while_("read a deleted row's values")?
            .and_then(|row| row.get(0));
        Ok(hstore::parse(old.as_deref().unwrap_or("")).unwrap_or_default().into_iter().collect())
    }

    async fn history(&self, at: &RowRef) -> Result<Vec<HistoryEntry>, Error> {
        let client = self.client().await?;
        let rows = client
            .query(
                "SELECT at, what, text, request, response FROM (
                     (SELECT at, outcome AS what, op || coalesce(': ' || code || ' ' || message, '') || '  batch ' || batch AS text, request, response
                      FROM syncdeck.attempt WHERE table_name = $1 AND record_id = $2 ORDER BY id DESC LIMIT $3)
                     UNION ALL
                     (SELECT at, action, actor || coalesce(': ' || (SELECT string_agg(format('%s %s -> %s', key,
                          coalesce(before ->> key, 'NULL'), coalesce(value, 'NULL')), ', ') FROM jsonb_each_text(after)), ''), NULL, NULL
                      FROM syncdeck.audit WHERE table_name = $1 AND record_id = $2 ORDER BY id DESC LIMIT $3)
                 ) history ORDER BY at DESC LIMIT $3",
                &[&at.table, &at.row.0, &HISTORY],
            )
            .await
            .while_("read a record's history")?;
        Ok(rows
            .iter()
            .map(|row| HistoryEntry {
                at: row.get(0),
                what: row.get(1),
                text: row.get(2),
                request: row.get(3),
                response: row.get(4),
            })
            .collect())
    }

    /// The row's `sfid` (or the unit's, while the row does not know it yet).
    pub async fn sfid_of(&self, at: &RowRef) -> Result<Option<String>, Error> {
        let client = self.client().await?;
        let sql = format!(
            "SELECT coalesce((SELECT sfid::text FROM {} WHERE id = $2),
                 (SELECT sfid::text FROM syncdeck.unit WHERE table_name = $1 AND record_id = $2))",
            self.table(&at.table)
        );
        Ok(client.query_one(&sql, &[&at.table, &at.row.0]).await.while_("find a row's record id")?.get(0))
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
            .while_("keep fetched values")
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
            .while_("read the last fetched values")?;
        Ok(row.and_then(|row| serde_json::from_value(row.get(0)).ok()))
    }
}

/// A JSON value as the text people see: what PostgreSQL prints, with `true` and `false` spelt out.
pub fn json_text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
