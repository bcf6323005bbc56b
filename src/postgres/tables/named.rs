//! Records by their names, for whoever chooses one.

use std::collections::HashSet;

use tokio_postgres::error::SqlState;

use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::{RowId, RowRef};
use crate::domain::records::named::{NamedRecord, NamedRecords, telling_column};

use crate::postgres::{Error, ErrorContext, Store, quote};

/// Records that are offered.
const OFFERED: usize = 8;

impl Store {
    /// Records of a mapping whose name has a text in it; those that begin with it come first, which an index on the name
    /// finds. `key` is the column by which other rows name them; a record without one is not offered.
    ///
    /// # Errors
    /// Also where the table cannot be looked through while one types, and nothing was found that begins so.
    pub async fn records_named(
        &self,
        mapping: &Mapping,
        columns: &[&str],
        key: &str,
        text: &str,
    ) -> Result<NamedRecords, Error> {
        let begins: Vec<String> =
            columns.iter().map(|column| format!("t.{0} LIKE $1 OR t.{0} LIKE $2", quote(column))).collect();
        let typed = escaped(text);
        let patterns = [format!("{typed}%"), format!("{}%", capital(&typed))];
        let mut records = self
            .named_records(mapping, columns, key, (begins.join(" OR ").as_str(), "name"), &patterns)
            .await?;
        if records.len() >= OFFERED {
            return Ok(NamedRecords { records, only_beginnings: false });
        }
        let has = format!("concat_ws(' ', {}) ILIKE $1", named_columns(columns));
        let order = "position(lower($2) IN lower(name)), name";
        let patterns = [format!("%{typed}%"), text.to_owned()];
        match self.named_records(mapping, columns, key, (has.as_str(), order), &patterns).await {
            Ok(others) => {
                let known: HashSet<RowId> = records.iter().map(|record| record.row.row).collect();
                records.extend(others.into_iter().filter(|record| !known.contains(&record.row.row)));
                records.truncate(OFFERED);
                Ok(NamedRecords { records, only_beginnings: false })
            }
            // What begins so is worth something without the others.
            Err(error) if error.sql_state() == Some(&SqlState::QUERY_CANCELED) && !records.is_empty() => {
                Ok(NamedRecords { records, only_beginnings: true })
            }
            Err(error) => Err(error),
        }
    }

    /// Records that pass a test of their name, in this order.
    async fn named_records(
        &self,
        mapping: &Mapping,
        columns: &[&str],
        key: &str,
        (test, order): (&str, &str),
        patterns: &[String; 2],
    ) -> Result<Vec<NamedRecord>, Error> {
        let telling =
            telling_column(mapping).map_or("NULL".to_owned(), |column| format!("t.{}", quote(column)));
        let sql = format!(
            "SELECT id, key, name, coalesce(telling, '') FROM (
                 SELECT t.id, t.{key}::text AS key, concat_ws(' ', {names}) AS name, {telling}::text AS telling
                 FROM {table} t WHERE t.{key} IS NOT NULL AND ({test}) AND $2::text IS NOT NULL) named
             ORDER BY {order} LIMIT {OFFERED}",
            key = quote(key),
            names = named_columns(columns),
            table = self.table(&mapping.table),
        );
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to look for records by name")?;
        transaction
            .batch_execute("SET LOCAL statement_timeout = '700ms'")
            .await
            .context("look for records by name")?;
        let rows = transaction
            .query(&sql, &[&patterns[0], &patterns[1]])
            .await
            .context("look for records by name")?;
        let record = |row: &tokio_postgres::Row| NamedRecord {
            row: RowRef { table: mapping.table.clone(), row: RowId(row.get(0)) },
            key: row.get(1),
            name: row.get(2),
            telling: row.get(3),
        };
        Ok(rows.iter().map(record).collect())
    }
}

fn named_columns(columns: &[&str]) -> String {
    columns.iter().map(|column| format!("t.{}", quote(column))).collect::<Vec<_>>().join(", ")
}

/// A text in which no character stands for others.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

/// Names begin with a capital, and people type without.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
