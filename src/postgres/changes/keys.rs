//! External ids: which parents are here, who waits for them, and who has the key that a row is about to be sent by.

use std::collections::HashMap;

use crate::domain::mappings::field::Field;
use crate::domain::mappings::mapping::{Mapping, column_type};
use crate::domain::names::{RowId, RowRef};
use crate::domain::values::key::{self, Key};

use crate::postgres::changes::queue::UNSENT;
use crate::postgres::{Cached, Error, ErrorContext, Store, quote};

impl Store {
    /// Which of these parents, named by external id, have a row here: its row id, and whether Salesforce has it; by the
    /// external id as Salesforce compares it.
    pub async fn parents(
        &self,
        parent: &Mapping,
        column: &str,
        keys: &[String],
    ) -> Result<HashMap<String, (RowId, bool)>, Error> {
        let client = self.client().await?;
        let key = self.key_column(parent, column);
        let sql = format!(
            "SELECT key, parent.id, coalesce(parent.sfid, unit.sfid) IS NOT NULL
             FROM unnest($1::text[]) AS key, LATERAL (
                 SELECT id, sfid FROM {table} parent WHERE {own} = {named} ORDER BY sfid IS NULL, id LIMIT 1) parent
             LEFT JOIN syncdeck.unit unit ON unit.table_name = $2 AND unit.record_id = parent.id",
            table = self.table(&parent.table),
            own = key.of_row("parent"),
            named = key.of_text("key"),
        );
        let keys: Vec<String> = keys.iter().filter_map(|text| key.fold(text)).collect();
        let rows = client.query(&sql, &[&keys, &parent.table]).await.context("look up parent rows")?;
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
            .context("look what a row waits for")?;
        Ok(row.map(|row| RowRef { table: row.get(0), row: RowId(row.get(1)) }))
    }

    /// Wakes the units that wait for rows with these external ids, which Salesforce has.
    pub async fn wake_for_keys(&self, table: &str, keys: &[&str]) -> Result<(), Error> {
        let client = self.client().await?;
        wake_for_keys(&client, table, keys).await
    }

    /// Which of these rows, about to be upserted by their external id, do not have it alone, and who else has it. Looked
    /// up key by key, whatever the planner believes. Indexes `hc_key_<table>_<column>` (or, of a number, the unique one of
    /// its column) and `_trigger_log_keys_<table>`.
    pub async fn key_holders(
        &self,
        mapping: &Mapping,
        column: &str,
        keys: &[(RowId, &Key)],
    ) -> Result<Vec<(RowId, String, KeyHolder)>, Error> {
        let client = self.client().await?;
        let key = self.key_column(mapping, column);
        let sql = format!(
            "WITH wanted AS (SELECT * FROM unnest($1::integer[], $2::text[], $3::text[]) AS wanted (id, key, folded))
             SELECT wanted.id, wanted.key, log.record_id, NULL FROM wanted, LATERAL (
                 SELECT record_id FROM {schema}._trigger_log log
                 WHERE {of_table} AND {gives_up} AND {old_key} = {named_old} AND log.record_id <> wanted.id
                     AND log.{UNSENT} OFFSET 0) log
             UNION ALL
             SELECT wanted.id, wanted.key, other.id, other.key FROM wanted, LATERAL (
                 SELECT id, other.{quoted}::text AS key FROM {table} other
                 WHERE {own} = {named} AND other.id <> wanted.id AND (other.sfid IS NOT NULL OR other.id < wanted.id)
                 ORDER BY sfid IS NULL, id LIMIT 1) other",
            schema = self.schema,
            of_table = gives_up_key::of_table(&mapping.table),
            gives_up = gives_up_key::condition(column),
            old_key = key.of_old(),
            named_old = key.of_logged("wanted.folded"),
            table = self.table(&mapping.table),
            quoted = quote(column),
            own = key.of_row("other"),
            named = key.of_text("wanted.folded"),
        );
        let keys: Vec<&(RowId, &Key)> = keys.iter().filter(|(_, of)| key.fold(&of.text).is_some()).collect();
        let (ids, texts): (Vec<i32>, Vec<&str>) =
            keys.iter().map(|(row, key)| (row.0, key.text.as_str())).unzip();
        let folded: Vec<&str> = keys.iter().map(|(_, key)| key.folded.as_str()).collect();
        let rows = client
            .query_cached(&sql, &[&ids, &texts, &folded])
            .await
            .context("look for rows with the same key")?;
        Ok(rows
            .iter()
            .map(|row| {
                let other = RowId(row.get(2));
                let of_other: Option<String> = row.get(3);
                let holder = of_other.map_or(KeyHolder::Leaving(other), |key| KeyHolder::Row(other, key));
                (RowId(row.get(0)), row.get(1), holder)
            })
            .collect())
    }

    /// Which rows other than the one that it was told for have one of these records.
    pub async fn other_owners(
        &self,
        mapping: &Mapping,
        told: &[(RowId, &str)],
    ) -> Result<HashMap<String, RowId>, Error> {
        let client = self.client().await?;
        let sql = format!(
            "SELECT told.sfid, t.id FROM unnest($1::integer[], $2::text[]) AS told (id, sfid)
             JOIN {} t ON t.sfid = told.sfid WHERE t.id <> told.id",
            self.table(&mapping.table)
        );
        let (ids, sfids): (Vec<i32>, Vec<&str>) = told.iter().map(|(row, sfid)| (row.0, *sfid)).unzip();
        let rows =
            client.query_cached(&sql, &[&ids, &sfids]).await.context("look whose records these are")?;
        Ok(rows.iter().map(|row| (row.get(0), RowId(row.get(1)))).collect())
    }

    /// How the keys in a column are compared.
    pub(in crate::postgres) fn key_column<'a>(
        &'a self,
        mapping: &'a Mapping,
        column: &'a str,
    ) -> KeyColumn<'a> {
        KeyColumn {
            schema: &self.schema,
            field: mapping.field(column),
            column,
            cast: key_cast(mapping, column),
        }
    }
}

/// A column of keys, compared in SQL as Salesforce compares them ([`key::fold`]): in the words of its indexes.
pub(in crate::postgres) struct KeyColumn<'a> {
    schema: &'a str,
    field: Option<&'a Field>,
    column: &'a str,
    /// Of a number.
    cast: String,
}

impl KeyColumn<'_> {
    /// A row's key.
    pub fn of_row(&self, row: &str) -> String {
        let column = quote(self.column);
        let column = if row.is_empty() { column } else { format!("{row}.{column}") };
        if self.cast.is_empty() { self.folded(&format!("{column}::text")) } else { column }
    }

    /// A text that is a key, to be compared with a row's.
    pub fn of_text(&self, text: &str) -> String {
        if self.cast.is_empty() { self.folded(text) } else { format!("{text}{}", self.cast) }
    }

    /// A text that is a key, to be compared with one of the log.
    pub fn of_logged(&self, text: &str) -> String {
        if self.cast.is_empty() { self.folded(text) } else { text.to_owned() }
    }

    /// The key that an entry of the log gives up.
    pub fn of_old(&self) -> String {
        self.of_logged(&gives_up_key::expression(self.schema, self.column))
    }

    /// The same outside of PostgreSQL; `None` for what the column cannot hold, which is nobody's.
    pub fn fold(&self, text: &str) -> Option<String> {
        let folded = match self.field {
            Some(field) => key::fold(field, text)?,
            None => text.to_owned(),
        };
        let fits = match self.cast.as_str() {
            "" => true,
            "::integer" => folded.parse::<i32>().is_ok(),
            _ => folded.parse::<f64>().is_ok(),
        };
        fits.then_some(folded)
    }

    /// Whether two keys that differ in writing may be one: then an index of its own serves.
    pub fn is_folded(&self) -> bool {
        self.cast.is_empty()
    }

    fn folded(&self, text: &str) -> String {
        let exact = self.field.is_some_and(|field| field.case_sensitive);
        let function = if exact { "hc_trim_key" } else { "hc_fold_key" };
        format!("{}.{function}({text})", self.schema)
    }
}

pub(in crate::postgres) async fn wake_for_keys(
    client: &impl Cached,
    table: &str,
    keys: &[&str],
) -> Result<(), Error> {
    client
        .execute_cached(
            "UPDATE syncdeck.unit SET state = 'ready', ready_at = clock_timestamp()
             WHERE state = 'held' AND held_table = $1 AND held_key = ANY($2)",
            &[&table, &keys],
        )
        .await
        .context("wake held units")
        .map(drop)
}

/// Who else has a row's external id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyHolder {
    /// A row whose delete, or whose change of the key, Salesforce does not know yet.
    Leaving(RowId),
    /// Another row, and its key as it has it.
    Row(RowId, String),
}

/// How a key, as text, becomes a value of its column, so that the column's index serves.
pub(in crate::postgres) fn key_cast(mapping: &Mapping, column: &str) -> String {
    let field = mapping.fields.iter().find(|field| field.column == column);
    match field.map(column_type) {
        Some(kind) if !kind.starts_with("varchar") && kind != "text" => format!("::{kind}"),
        _ => String::new(),
    }
}

/// The entries of `_trigger_log` by which a record gives its external id up, and the key it gives up: the index and
/// the query must say it in the same words.
pub(in crate::postgres) mod gives_up_key {
    use crate::postgres::literal;

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
