//! Signs that Heroku Connect's own engine still works on a schema. Two engines on one table create records twice, and nothing
//! in the database keeps the other one out: so it is looked for before its tables are taken over. Nothing seen is no proof.

use chrono::{DateTime, Utc};

use crate::postgres::{Error, ErrorContext, Store};

/// How far back is looked: Heroku Connect looks for changes every two minutes, or sooner.
pub const LOOK_BACK_SECONDS: i32 = 180;
/// The newest entries of the archive that are looked at, by its primary key: it may hold a month of them.
const NEWEST: i64 = 10_000;

impl Store {
    /// What is seen of Heroku Connect's engine at work, a sentence each; nothing where nothing is seen. What is sent of the
    /// tables `own` an engine of ours sends.
    pub async fn heroku_at_work(&self, own: &[&str]) -> Result<Vec<String>, Error> {
        let mut seen: Vec<String> = self.sent_lately(own).await?.into_iter().collect();
        seen.extend(self.sessions_on_log().await?);
        Ok(seen)
    }

    /// Changes that somebody took from the log, or answered, a moment ago: only an engine does.
    async fn sent_lately(&self, own: &[&str]) -> Result<Option<String>, Error> {
        let client = self.client().await?;
        let log = format!("{}._trigger_log", self.schema);
        let found = client
            .query_one(
                "SELECT to_regclass($1) IS NOT NULL AND to_regclass($1 || '_archive') IS NOT NULL,
                     6 = (SELECT count(*) FROM pg_attribute WHERE attrelid IN (to_regclass($1), to_regclass($1 || '_archive'))
                         AND attname IN ('processed_at', 'updated_at', 'created_at') AND NOT attisdropped),
                     to_regclass('syncdeck.adoption') IS NOT NULL",
                &[&log],
            )
            .await
            .context("look for the change log")?;
        if !found.get::<_, bool>(0) {
            return Ok(None);
        }
        // An old log may lack some of the columns. Its trigger leaves updated_at empty.
        let at = match found.get(1) {
            true => "coalesce(processed_at, updated_at, created_at)",
            false => {
                "coalesce(to_jsonb(log) ->> 'processed_at', to_jsonb(log) ->> 'updated_at', to_jsonb(log) ->> 'created_at')::timestamptz"
            }
        };
        // Until a takeover was taken back, ours sent.
        let ours_until = match found.get(2) {
            true => "(SELECT max(undone_at) FROM syncdeck.adoption)",
            false => "NULL",
        };
        let sql = format!(
            "SELECT count(*), max(at) FROM (
                 SELECT {at} FROM {log} log WHERE state IN ('PENDING', 'SUCCESS', 'FAILED', 'MERGED') AND (table_name = ANY($3)) IS NOT TRUE
                 UNION ALL SELECT at FROM (
                     SELECT {at} AS at, state, table_name FROM {log}_archive log ORDER BY id DESC LIMIT $2) newest
                 WHERE state IN ('SUCCESS', 'FAILED', 'MERGED') AND (table_name = ANY($3)) IS NOT TRUE) touched (at)
             WHERE at > greatest(clock_timestamp() - make_interval(secs => $1::integer), {ours_until})"
        );
        let row = client
            .query_one(&sql, &[&LOOK_BACK_SECONDS, &NEWEST, &own])
            .await
            .context("look for changes that were sent a moment ago")?;
        let last: Option<DateTime<Utc>> = row.get(1);
        Ok(last.map(|last| {
            let changes = match row.get::<_, i64>(0) {
                1 => "1 change of its log was".to_owned(),
                changes => format!("{changes} changes of its log were"),
            };
            format!("{changes} taken or answered a moment ago, the last at {}", last.format("%H:%M:%S UTC"))
        }))
    }

    /// Sessions of others that listen for new entries of this schema's log, that changed it a moment ago, or that are named
    /// like Heroku Connect. Of those that this role may not look at, PostgreSQL tells nothing but role and name.
    async fn sessions_on_log(&self) -> Result<Vec<String>, Error> {
        let client = self.client().await?;
        let sql = r#"
            SELECT pid, coalesce(usename, '')::text, coalesce(application_name, ''), listens, changes FROM (
                SELECT pid, usename, application_name,
                    query ~* '\mlisten\M' AND position($2 || '.hc_trigger_log' IN plain) > 0 AS listens,
                    query ~* '(update|delete\s+from|insert\s+into)\s+\S*_trigger_log'
                        AND (plain !~ '\._trigger_log' OR position($2 || '._trigger_log' IN plain) > 0)
                        AND (state <> 'idle' OR state_change > clock_timestamp() - make_interval(secs => $1::integer)) AS changes
                FROM pg_stat_activity, replace(query, '"', '') plain
                WHERE datname = current_database() AND pid <> pg_backend_pid()
                    AND coalesce(backend_type, 'client backend') = 'client backend'
                    AND coalesce(application_name, '') NOT LIKE 'syncdeck%') sessions
            WHERE listens OR changes OR application_name ~* 'heroku.?connect|hconnect' ORDER BY pid"#;
        let rows = client
            .query(sql, &[&LOOK_BACK_SECONDS, &self.schema_name])
            .await
            .context("look for sessions of Heroku Connect")?;
        Ok(rows
            .iter()
            .map(|row| {
                let (pid, role, name): (i32, String, String) = (row.get(0), row.get(1), row.get(2));
                let what = match (row.get::<_, Option<bool>>(3), row.get::<_, Option<bool>>(4)) {
                    (Some(true), _) => "listens for new entries of _trigger_log",
                    (_, Some(true)) => "changed _trigger_log a moment ago",
                    _ => "is connected",
                };
                let name = if name.is_empty() { String::new() } else { format!(" ({name})") };
                format!("the session {pid} of the role {role}{name} {what}")
            })
            .collect())
    }
}
