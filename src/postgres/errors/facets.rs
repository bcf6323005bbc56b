//! The values that a filter can name, as they are found in unresolved errors.

use std::collections::BTreeMap;

use crate::postgres::errors::condition::{distinct, only_lookups, property};
use crate::postgres::{Error, ErrorContext, Store, Transaction};

/// Values that are told at most.
const MOST: usize = 50;
/// A value is counted up to this.
const COUNT_CAP: i64 = 1_000;
/// Different values, or combinations of fields, that are looked at at most.
const DIFFERENT: i64 = 500;
/// The newest errors among which properties without an order of their own are counted.
const NEWEST: i64 = 10_000;

impl Store {
    /// The values of a column that begin with `prefix` (case does not matter), each with its count up to 1,000, the most
    /// frequent first. `column` is `mapping`, `code`, `state`, `fields` or `fingerprint`: one look into its index a value.
    pub async fn ordered_values(&self, column: &str, prefix: &str) -> Result<Vec<(String, i64)>, Error> {
        let ordered = if column == "fingerprint" { "fingerprint COLLATE \"C\"" } else { column };
        // Of combinations of fields, each field is told.
        let (each, told) = match column {
            "fields" => (", unnest(value) AS told", "told"),
            _ => ("", "value"),
        };
        let sql = format!(
            "SELECT {told}, sum(count)::bigint FROM (
                 SELECT value, (SELECT count(*) FROM (
                     SELECT FROM syncdeck.error WHERE resolved_at IS NULL AND {ordered} = value LIMIT {COUNT_CAP}) part) AS count
                 FROM {values} LIMIT {DIFFERENT}) counted{each}
             WHERE {told} <> '' AND starts_with(lower({told}), lower($1)) GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT $2",
            values = distinct(ordered),
        );
        let client = self.client().await?;
        let rows = client
            .query(&sql, &[&prefix, &i64::try_from(MOST).unwrap_or(i64::MAX)])
            .await
            .context("look for the values of a filter")?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// The values of a column that has few and no index of its own (`category`, `class`, `op`, `source`), each with its
    /// count among the newest 10,000 errors, or up to 1,000 where it is not among them. `known` are those to look for.
    pub async fn few_values(
        &self,
        column: &str,
        known: &[&str],
        prefix: &str,
    ) -> Result<Vec<(String, i64)>, Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to look for values")?;
        let sql = format!(
            "SELECT {column}, count(*) FROM (
                 SELECT {column} FROM syncdeck.error WHERE resolved_at IS NULL ORDER BY last_seen DESC, id DESC LIMIT {NEWEST}) newest
             GROUP BY 1"
        );
        let rows = transaction.query(&sql, &[]).await.context("look for the values of a filter")?;
        let mut found: BTreeMap<String, i64> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        only_lookups(&transaction).await?;
        for word in known {
            if !found.contains_key(*word) {
                let count = rare(&transaction, column, word).await?;
                found.insert((*word).to_owned(), count);
            }
        }
        let prefix = prefix.to_lowercase();
        let mut values: Vec<(String, i64)> =
            found.into_iter().filter(|(word, count)| *count > 0 && word.starts_with(&prefix)).collect();
        values.sort_by(|(a, many), (b, more)| more.cmp(many).then_with(|| a.cmp(b)));
        values.truncate(MOST);
        Ok(values)
    }
}

/// How many errors have a property that is not among the newest.
async fn rare(transaction: &Transaction<'_>, column: &str, word: &str) -> Result<i64, Error> {
    let sql = format!(
        "SELECT count(*) FROM (
             SELECT FROM syncdeck.error WHERE resolved_at IS NULL AND {column} = $1 AND {} LIMIT {COUNT_CAP}) part",
        property("$1")
    );
    let row = transaction.query_one(&sql, &[&word]).await.context("count a value of a filter")?;
    Ok(row.get(0))
}
