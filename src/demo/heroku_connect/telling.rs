//! What the stand-in for Heroku Connect's engine has its API tell, and what somebody had that API do.

use chrono::{SecondsFormat, Utc};
use serde_json::{Value, json};
use tokio_postgres::{Client, Error};

use super::stand_in::StandIn;
use super::{MAPPINGS, Mapped};

/// Write errors that are listed, the newest.
const LISTED: i64 = 200;

impl StandIn {
    /// Tells whether it rests: looked at while nobody can pause it by the API.
    pub(super) fn tell_state(&self) {
        let Some(told) = &self.told else { return };
        let mut stand = told.stand();
        let rests = stand.pause.as_ref().is_some_and(|pause| pause.exists());
        stand.state = if rests { "PAUSED" } else { "IDLE" }.to_owned();
    }

    /// Tells that the org was read just now.
    pub(super) fn tell_read(&self) {
        let Some(told) = &self.told else { return };
        let now = Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true);
        for mapping in &mut told.stand().mappings {
            mapping.times[0] = Some(now.clone());
            "DATA_SYNCED".clone_into(&mut mapping.state);
        }
    }

    /// Empties the tables that somebody wants loaded again, and has their records read anew. Returns whether there are any.
    /// Rows without a record stay: what waits is not lost.
    pub(super) async fn begin_reloads(&mut self, sql: &Client) -> Result<bool, Error> {
        let reloads = self.told.as_ref().map(|told| std::mem::take(&mut told.stand().reloads));
        let reloads = reloads.unwrap_or_default();
        for (mapped, read) in MAPPINGS.iter().zip(&mut self.read) {
            if reloads.iter().any(|object| object == mapped.object) {
                let table = mapped.table();
                let sqls = format!("SET xmlbinary = 'hex'; DELETE FROM salesforce.{table} WHERE sfid IS NOT NULL
                    AND NOT EXISTS (SELECT FROM salesforce._trigger_log waiting WHERE waiting.table_name = '{table}'
                        AND waiting.record_id = {table}.id)");
                sql.batch_execute(&sqls).await?;
                read.clear();
            }
        }
        for object in &reloads {
            self.tell("info", &format!("RELOAD TABLE {}", object.to_lowercase()), "");
        }
        Ok(!reloads.is_empty())
    }

    /// Tells what there is of each mapping, and what Salesforce refused.
    pub(super) async fn tell_counts(&self, sql: &Client) -> Result<(), Error> {
        let Some(told) = &self.told else { return Ok(()) };
        for mapped in &MAPPINGS {
            let counts = self.counts(sql, mapped).await?;
            let written: Option<String> = sql
                .query_one(
                    "SELECT to_char(max(processed_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')
                     FROM salesforce._trigger_log_archive WHERE table_name = $1 AND state = 'SUCCESS'",
                    &[&mapped.table()],
                )
                .await?
                .get(0);
            if let Some(mapping) = told.stand().mapping(mapped.object) {
                mapping.counts = counts;
                mapping.times[1] = written;
            }
        }
        let failed = sql
            .query(
                "SELECT id, table_name::text, record_id, coalesce(sf_message, ''), created_at FROM salesforce._trigger_log
                 WHERE state = 'FAILED' ORDER BY id DESC LIMIT $1",
                &[&LISTED],
            )
            .await?;
        let error = |row: &tokio_postgres::Row| -> Value {
            let at: Option<chrono::DateTime<Utc>> = row.get(4);
            json!({"id": row.get::<_, i32>(0), "table_name": row.get::<_, String>(1), "record_id": row.get::<_, i32>(2),
                "message": row.get::<_, String>(3), "created_at": at.map(|at| at.to_rfc3339())})
        };
        told.stand().write_errors = failed.iter().map(error).collect();
        Ok(())
    }

    /// Rows, records, changes that wait, and refused ones.
    async fn counts(&self, sql: &Client, mapped: &Mapped) -> Result<[i64; 4], Error> {
        let table = mapped.table();
        let counts = format!(
            "SELECT (SELECT count(*) FROM salesforce.{table}),
                 count(*) FILTER (WHERE state IN ('NEW', 'PENDING')), count(*) FILTER (WHERE state = 'FAILED')
             FROM salesforce._trigger_log WHERE table_name = $1"
        );
        let row = sql.query_one(&counts, &[&table]).await?;
        let records = i64::try_from(self.org.ids(mapped.object).len()).unwrap_or(i64::MAX);
        Ok([row.get(0), records, row.get(1), row.get(2)])
    }
}
