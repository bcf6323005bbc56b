//! The log store: the engine's log records, so that every console sees the same log, wherever the engine runs.

use serde_json::Value;

use crate::logs::{Level, LogRecord};

use super::{Error, Store, While};

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
            .while_("append to the log")
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
        Ok(rows.while_("read the log")?.iter().map(read_record).collect())
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
