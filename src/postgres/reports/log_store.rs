//! The log store: the engine's log records, so that every console sees the same log, wherever the engine runs.

use serde_json::Value;

use crate::domain::names::RowId;
use crate::logs::{Level, LogRecord};

use crate::postgres::{Error, ErrorContext, Store};

impl Store {
    /// Appends log records.
    pub async fn append_log(&self, records: &[LogRecord]) -> Result<(), Error> {
        let client = self.client().await?;
        let rows = serde_json::to_value(records).unwrap_or_default();
        client
            .execute(
                "INSERT INTO syncdeck.log (time, level, source, dyno, message, fields)
                 SELECT time, level, source, dyno, message, fields FROM jsonb_to_recordset($1)
                     AS r (time timestamptz, level text, source text, dyno text, message text, fields jsonb)",
                &[&rows],
            )
            .await
            .context("append to the log")
            .map(drop)
    }

    /// Log records after `after`, oldest first; without `after`, the newest ones.
    pub async fn log(&self, after: Option<i64>, limit: i64) -> Result<Vec<LogRecord>, Error> {
        let client = self.client().await?;
        let rows = match after {
            Some(after) => {
                client
                    .query(
                        "SELECT id, time, level, source, dyno, message, fields FROM syncdeck.log WHERE id > $1 ORDER BY id LIMIT $2",
                        &[&after, &limit],
                    )
                    .await
            }
            None => {
                client
                    .query(
                        "SELECT * FROM (SELECT id, time, level, source, dyno, message, fields FROM syncdeck.log
                             ORDER BY id DESC LIMIT $1) newest ORDER BY id",
                        &[&limit],
                    )
                    .await
            }
        };
        Ok(rows.context("read the log")?.iter().map(read_record).collect())
    }

    /// Log records before position `before`, oldest first. When they reach the beginning of what is kept, and it is not the
    /// beginning of the log, a record of its own tells how many are gone.
    pub async fn log_before(&self, before: i64, limit: i64) -> Result<Vec<LogRecord>, Error> {
        let client = self.client().await?;
        let sql = "SELECT * FROM (SELECT id, time, level, source, dyno, message, fields FROM syncdeck.log
             WHERE id < $1 ORDER BY id DESC LIMIT $2) older ORDER BY id";
        let rows = client.query(sql, &[&before, &limit]).await.context("read the log")?;
        let mut records: Vec<LogRecord> = rows.iter().map(read_record).collect();
        if i64::try_from(records.len()).unwrap_or(i64::MAX) < limit {
            let row = client
                .query_opt("SELECT id, time FROM syncdeck.log ORDER BY id LIMIT 1", &[])
                .await
                .context("look for the beginning of the log")?;
            // Positions are given from 1 on, and kept in their order.
            let beginning = row.map(|row| (row.get::<_, i64>(0), row.get(1)));
            if let Some((id, time)) = beginning.filter(|(id, _)| *id > 1 && *id <= before) {
                records.insert(0, LogRecord::gap(id - 1, time, "log store", "removed as old"));
            }
        }
        Ok(records)
    }

    /// The newest log records about a row, oldest first. Index `log_row`.
    pub async fn log_of(&self, mapping: &str, row: RowId, limit: i64) -> Result<Vec<LogRecord>, Error> {
        let client = self.client().await?;
        let sql = "SELECT * FROM (SELECT id, time, level, source, dyno, message, fields FROM syncdeck.log
             WHERE fields->>'row' = $1 AND fields->>'mapping' = $2 ORDER BY id DESC LIMIT $3) newest ORDER BY id";
        let rows =
            client.query(sql, &[&row.to_string(), &mapping, &limit]).await.context("read a row's log")?;
        Ok(rows.iter().map(read_record).collect())
    }
}

fn read_record(row: &tokio_postgres::Row) -> LogRecord {
    let fields: Value = row.get(6);
    LogRecord {
        id: row.get(0),
        time: row.get(1),
        level: match row.get::<_, String>(2).as_str() {
            "debug" => Level::Debug,
            "warn" => Level::Warn,
            "error" => Level::Error,
            _ => Level::Info,
        },
        source: row.get(3),
        dyno: row.get(4),
        message: row.get(5),
        fields: match fields {
            Value::Object(fields) => fields,
            _ => serde_json::Map::new(),
        },
    }
}
