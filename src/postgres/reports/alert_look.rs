//! What alerts look at, cheap at a million errors: each statement reads what came since the last look, or goes along an
//! index to the few rows that it asks for.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::domain::alert::look::AnswerCounts;
use crate::domain::errors::sync_error::{Category, SyncError};

use crate::postgres::errors::causes::OPEN;
use crate::postgres::errors::sync_errors::{COLUMNS, read_error};
use crate::postgres::{Error, ErrorContext, Store};

/// The greatest number that is told of open errors.
pub const COUNTED: i64 = 10_000;
impl Store {
    /// How many errors of each mapping and category are open that were seen first after a time. Index
    /// `error_by_first_seen`.
    pub async fn errors_since(&self, since: DateTime<Utc>) -> Result<Vec<(String, Category, i64)>, Error> {
        let client = self.client().await?;
        let sql = format!(
            "SELECT mapping, category, count(*) FROM syncdeck.error WHERE {OPEN} AND first_seen > $1 GROUP BY 1, 2"
        );
        let rows = client.query(&sql, &[&since]).await.context("count recent errors")?;
        let category = |word: &str| Category::from_word(word).unwrap_or(Category::Data);
        Ok(rows.iter().map(|row| (row.get(0), category(row.get(1)), row.get(2))).collect())
    }

    /// The answers of each mapping after a time, whole minutes. Along the primary key of `syncdeck.minute`.
    pub async fn answers_since(&self, since: DateTime<Utc>) -> Result<Vec<(String, AnswerCounts)>, Error> {
        let client = self.client().await?;
        let sql = "SELECT name, accepted, rejected FROM syncdeck.mapping, LATERAL (
                 SELECT coalesce(sum(accepted), 0)::bigint AS accepted, coalesce(sum(rejected), 0)::bigint AS rejected
                 FROM syncdeck.minute WHERE minute.mapping = mapping.name AND minute > $1) answers";
        let rows = client.query(sql, &[&since]).await.context("count recent answers")?;
        Ok(rows
            .iter()
            .map(|row| (row.get(0), AnswerCounts { accepted: row.get(1), rejected: row.get(2) }))
            .collect())
    }

    /// Since when the oldest row of each of these tables waits for another one. Index `unit_waits`.
    pub async fn oldest_blocked(&self, tables: &[&str]) -> Result<BTreeMap<String, DateTime<Utc>>, Error> {
        let client = self.client().await?;
        let sql = "SELECT given.name, oldest.created_at FROM unnest($1::text[]) AS given (name), LATERAL (
                 SELECT created_at FROM syncdeck.unit WHERE state IN ('ready', 'held', 'stopped', 'review')
                     AND state = 'held' AND table_name = given.name ORDER BY created_at LIMIT 1) oldest";
        let rows = client.query(sql, &[&tables]).await.context("look for the oldest blocked rows")?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// What the last comparison of each mapping found.
    pub async fn verified(&self) -> Result<BTreeMap<String, i64>, Error> {
        let client = self.client().await?;
        let rows = client
            .query("SELECT mapping, found FROM syncdeck.verified", &[])
            .await
            .context("read what comparisons found")?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// The position in the log behind which lines are of after a time. Index `log_time`.
    pub async fn log_position(&self, since: DateTime<Utc>) -> Result<i64, Error> {
        let client = self.client().await?;
        let sql = "SELECT coalesce((SELECT min(id) - 1 FROM syncdeck.log WHERE time > $1),
                 (SELECT max(id) FROM syncdeck.log), 0)";
        Ok(client.query_one(sql, &[&since]).await.context("look for a place in the log")?.get(0))
    }

    /// How many open errors there are of a cause, or of a mapping, up to [`COUNTED`] and one; and the first of them.
    pub async fn open_errors(
        &self,
        cause: Option<&str>,
        mapping: Option<&str>,
        examples: i64,
    ) -> Result<(i64, Vec<SyncError>), Error> {
        let client = self.client().await?;
        let (condition, value) = match (cause, mapping) {
            (Some(cause), _) => ("fingerprint COLLATE \"C\" = $1", cause),
            (None, Some(mapping)) => ("mapping = $1", mapping),
            (None, None) => ("$1 = ''", ""),
        };
        let sql = format!(
            "SELECT count(*) FROM (SELECT FROM syncdeck.error WHERE {OPEN} AND {condition} LIMIT {}) open",
            COUNTED + 1
        );
        let count = client.query_one(&sql, &[&value]).await.context("count open errors")?.get(0);
        let sql = format!(
            "SELECT {COLUMNS} FROM syncdeck.error WHERE {OPEN} AND {condition} ORDER BY first_seen, id LIMIT $2"
        );
        let rows = client.query(&sql, &[&value, &examples]).await.context("read the first errors")?;
        Ok((count, rows.iter().map(read_error).collect()))
    }
}
