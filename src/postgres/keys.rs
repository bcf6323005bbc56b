//! External ids: which parents are here, who waits for them, and who has the key that a row is about to be sent by.

use std::collections::HashMap;

use crate::domain::mapping::{Mapping, column_type};
use crate::domain::names::{RowId, RowRef};

use super::queue::UNSENT;
use super::{Cached, Error, Store, While};

impl Store {
    /// Which of these parents, named by external id, have a row here: its row id, and whether Salesforce has it.
    pub async fn parents(
        &self,
        parent: &Mapping,
        column: &str,
        keys: &[String],
    ) -> Result<HashMap<String, (RowId, bool)>, Error> {
        let client = self.client().await?;
        let sql = format!(
            "SELECT parent.{column}::text, parent.id, coalesce(parent.sfid, unit.sfid) IS NOT NULL
             FROM unnest($1::text[]) AS key JOIN {table} parent ON parent.{column} = key{cast}
             LEFT JOIN syncdeck.unit unit ON unit.table_name = $2 AND unit.record_id = parent.id",
            table = self.table(&parent.table),
            cast = key_cast(parent, column),
            column = super::quote(column),
        );
        let rows = client.query(&sql, &[&keys, &parent.table]).await.while_("look up parent rows")?;
        Ok(rows.iter().map(|row| (row.get(0), (RowId(row.get(1)), row.get(2)))).collect())
    }

    /// The row that a held row waits for.
    pub async fn held_for(&self, at: &RowRef) -> Result<Option<RowRef>, Error> {
        let client = self.client().await?;
        let row = client
            .query_opt(
                "SELECT held_table::text, held_record FROM syncdeck.unit
                 WHERE table_name = $1 AND record_id = $2 AND state = 'held' AND held_record IS NOT NULL",
                &[&at.table, &at.row.0],
            )
            .await
            .while_("look what a row waits for")?;
        Ok(row.map(|row| RowRef { table: row.get(0), row: RowId(row.get(1)) }))
    }

    /// Wakes the units that wait for rows with these external ids, which Salesforce has.
    pub async fn wake_for_keys(&self, table: &str, keys: &[&str]) -> Result<(), Error> {
        let client = self.client().await?;
        wake_for_keys(&client, table, keys).await
    }

    /// Which of these rows, about to be upserted by their external id, do not have it alone, and who else has it.
    /// Index `_trigger_log_key_<table>`.
    pub async fn key_holders(
        &self,
        mapping: &Mapping,
        column: &str,
        keys: &[(RowId, String)],
    ) -> Result<Vec<(RowId, String, KeyHolder)>, Error> {
        let client = self.client().await?;
        let sql = format!(
            "WITH wanted AS (SELECT * FROM unnest($1::integer[], $2::text[]) AS wanted (id, key))
             SELECT wanted.id, key, log.record_id, true FROM wanted JOIN {schema}._trigger_log log
                 ON {of_table} AND {gives_up} AND {old_key} = key
             WHERE log.record_id <> wanted.id AND log.{UNSENT}
             UNION ALL
             SELECT wanted.id, key, other.id, false FROM wanted JOIN {table} other ON other.{quoted} = key{cast}
             WHERE other.id <> wanted.id AND (other.sfid IS NOT NULL OR other.id < wanted.id)",
            schema = self.schema,
            of_table = gives_up_key::of_table(&mapping.table),
            gives_up = gives_up_key::condition(column),
            old_key = gives_up_key::expression(&self.schema, column),
            table = self.table(&mapping.table),
            quoted = super::quote(column),
            cast = key_cast(mapping, column),
        );
        let (ids, keys): (Vec<i32>, Vec<&str>) = keys.iter().map(|(row, key)| (row.0, key.as_str())).unzip();
        let rows =
            client.query_cached(&sql, &[&ids, &keys]).await.while_("look for rows with the same key")?;
        Ok(rows
            .iter()
            .map(|row| {
                let other = RowId(row.get(2));
                let holder = if row.get(3) { KeyHolder::Leaving(other) } else { KeyHolder::Row(other) };
                (RowId(row.get(0)), row.get(1), holder)
            })
            .collect())
    }
}

pub(super) async fn wake_for_keys(client: &impl Cached, table: &str, keys: &[&str]) -> Result<(), Error> {
    client
        .execute_cached(
            "UPDATE syncdeck.unit SET state = 'ready', ready_at = clock_timestamp()
             WHERE state = 'held' AND held_table = $1 AND held_key = ANY($2)",
            &[&table, &keys],
        )
        .await
        .while_("wake held units")
        .map(drop)
}

/// Who else has a row's external id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyHolder {
    /// A row whose delete, or whose change of the key, Salesforce does not know yet.
    Leaving(RowId),
    /// Another row.
    Row(RowId),
}

/// How a key, as text, becomes a value of its column, so that the column's index serves.
pub(super) fn key_cast(mapping: &Mapping, column: &str) -> String {
    let field = mapping.fields.iter().find(|field| field.column == column);
    match field.map(column_type) {
        Some(kind) if !kind.starts_with("varchar") && kind != "text" => format!("::{kind}"),
        _ => String::new(),
    }
}

/// The entries of `_trigger_log` by which a record gives its external id up, and the key it gives up: the index and
/// the query must say it in the same words.
pub(super) mod gives_up_key {
    use super::super::literal;

    pub fn of_table(table: &str) -> String {
        format!("table_name = {}", literal(table))
    }

    pub fn condition(column: &str) -> String {
        let changed = literal(&format!("\"{column}\"=>"));
        format!("(action = 'DELETE' OR action = 'UPDATE' AND position({changed} in values) > 0)")
    }

    pub fn expression(schema: &str, column: &str) -> String {
        format!("{schema}.hc_key_of(old, {})", literal(column))
    }
}
