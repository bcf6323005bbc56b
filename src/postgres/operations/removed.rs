//! Rows that an operation removes: kept whole in the audit, with the columns that no mapping knows, and brought back from there.

use std::collections::HashMap;

use serde_json::Value;

use crate::domain::mappings::mapping::Mapping;
use crate::postgres::{Error, ErrorContext, Store, Transaction, literal, quote};

/// What the engine says of a row, which a row that comes back gets anew.
pub(super) const OURS: &[&str] = &["id", "sfid", "systemmodstamp", "_hc_lastop", "_hc_err"];

/// A column that a row is brought back into.
struct Column {
    name: String,
    /// Its type with the schema, but without a length: a cast to one cuts, where an assignment refuses.
    kind: String,
}

impl Store {
    /// Rows of a mapped table with every column, each value as PostgreSQL prints it: what the audit keeps of a row that goes.
    pub(in crate::postgres) async fn removed_rows(
        &self,
        transaction: &Transaction<'_>,
        mapping: &Mapping,
        ids: &[i32],
    ) -> Result<HashMap<i32, Value>, Error> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let columns = self.columns_to_keep(transaction, mapping).await?;
        let pairs: Vec<String> = columns
            .iter()
            .map(|column| format!("({}, t.{}::text)", literal(&column.name), quote(&column.name)))
            .collect();
        let sql = format!(
            "SELECT t.id, (SELECT pg_catalog.jsonb_object_agg(kept.name, kept.value)
                           FROM (VALUES {}) AS kept (name, value))
             FROM {} t WHERE t.id = ANY($1)",
            pairs.join(", "),
            self.table(&mapping.table),
        );
        let rows = transaction.query(&sql, &[&ids]).await.context("read rows that are removed")?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// Inserts a row anew with the values that an entry of the audit keeps of it, as a change that is captured. A record that it
    /// had is gone, or goes: it gets a new one. Tells which columns its values have no place in any more.
    ///
    /// # Errors
    /// What PostgreSQL refuses, such as a value that must be unique and was given to another row meanwhile.
    pub(in crate::postgres) async fn reinsert(
        &self,
        transaction: &Transaction<'_>,
        mapping: &Mapping,
        (row, kept): (i32, &Value),
    ) -> Result<Vec<String>, Error> {
        let there = self.columns_to_keep(transaction, mapping).await?;
        let has = |name: &str| kept.get(name).is_some();
        let columns: Vec<Column> = there
            .into_iter()
            .filter(|column| has(&column.name) && !OURS.contains(&column.name.as_str()))
            .collect();
        let names: String = columns.iter().map(|column| format!(", {}", quote(&column.name))).collect();
        let values: String = columns
            .iter()
            .map(|column| {
                format!(", ($2::jsonb OPERATOR(pg_catalog.->>) {})::{}", literal(&column.name), column.kind)
            })
            .collect();
        let sql = format!(
            "INSERT INTO {} (id, _hc_lastop{names}) OVERRIDING SYSTEM VALUE SELECT $1::integer, 'PENDING'{values}",
            self.table(&mapping.table),
        );
        transaction.write_rows(&sql, &[&row, kept]).await.context("bring a row back")?;
        let lost = kept.as_object().into_iter().flatten().filter(|(name, value)| {
            !value.is_null()
                && !OURS.contains(&name.as_str())
                && columns.iter().all(|column| column.name != **name)
        });
        Ok(lost.map(|(name, _)| name.clone()).collect())
    }

    /// The columns of a table that somebody wrote; PostgreSQL computes the others.
    async fn columns_to_keep(
        &self,
        transaction: &Transaction<'_>,
        mapping: &Mapping,
    ) -> Result<Vec<Column>, Error> {
        let rows = transaction
            .query(
                "SELECT attname::text, pg_catalog.format_type(atttypid, -1) FROM pg_catalog.pg_attribute
                 WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
                 ORDER BY attnum",
                &[&self.table(&mapping.table)],
            )
            .await
            .context("look which columns a table has")?;
        Ok(rows.iter().map(|row| Column { name: row.get(0), kind: row.get(1) }).collect())
    }
}
