//! Commands: what consoles ask of whichever engine runs. A row each, announced by NOTIFY, answered in the same row.

use std::time::Duration;

use serde_json::{Value, json};

use crate::domain::operations::request::Request;

use crate::postgres::reports::status::SILENT_AFTER as ENGINE_SILENT_AFTER;
use crate::postgres::{CHANNEL, Error, ErrorContext, Store};

/// A command that an engine took.
#[derive(Clone, Debug)]
pub struct EngineCommand {
    /// Number.
    pub id: i64,
    /// What is asked, or the kind of it where this version does not know it.
    pub request: Result<Request, String>,
}

/// How long either end of a long command may give no sign of life, before the other takes it for gone.
const SILENT_AFTER: &str = "15 s";

/// How many times the limit an engine has that took a command.
const LONGER: u32 = 6;

/// How a long command stands, for whoever asked.
#[derive(Clone, Debug)]
pub enum CommandProgress {
    /// No engine took it yet: since when, in seconds.
    Waiting(f64),
    /// It is worked, and this far.
    Worked(Option<Value>),
    /// The engine that worked it gives no sign of life any more.
    Silent,
    /// It is answered.
    Answered(Result<Value, String>),
}

impl Store {
    /// Asks something of the engine; returns the command's number.
    pub async fn ask(&self, request: &Request, actor: &str) -> Result<i64, Error> {
        let written = serde_json::to_value(request).unwrap_or_default();
        let (kind, args) = (written["kind"].as_str().unwrap_or_default(), &written["args"]);
        let client = self.client().await?;
        let row = client
            .query_one(
                "WITH asked AS (INSERT INTO syncdeck.command (kind, args, actor) VALUES ($1, $2, $3) RETURNING id)
                 SELECT id, pg_notify($4, 'command ' || id) FROM asked",
                &[&kind, args, &actor, &CHANNEL],
            )
            .await
            .context("ask the engine")?;
        Ok(row.get(0))
    }

    /// Takes the waiting commands, each by one engine only. Commands nobody took for a minute are left: whoever
    /// asked has given up.
    pub async fn take_commands(&self) -> Result<Vec<EngineCommand>, Error> {
        let client = self.client().await?;
        let rows = client
            .query(
                "UPDATE syncdeck.command SET taken_at = clock_timestamp() WHERE id IN (
                     SELECT id FROM syncdeck.command WHERE taken_at IS NULL
                         AND created_at > clock_timestamp() - interval '1 min'
                     ORDER BY id LIMIT 20 FOR UPDATE SKIP LOCKED) RETURNING id, kind, args",
                &[],
            )
            .await
            .context("take commands")?;
        Ok(rows
            .iter()
            .map(|row| {
                let (kind, args): (String, Value) = (row.get(1), row.get(2));
                let request = serde_json::from_value(json!({"kind": kind, "args": args}));
                EngineCommand { id: row.get(0), request: request.map_err(|_| kind) }
            })
            .collect())
    }

    /// Answers a command.
    pub async fn answer(&self, id: i64, result: Result<Value, String>) -> Result<(), Error> {
        let client = self.client().await?;
        let (result, failure) = match result {
            Ok(value) => (Some(value), None),
            Err(text) => (None, Some(text)),
        };
        client
            .execute(
                "WITH answered AS (UPDATE syncdeck.command SET done_at = clock_timestamp(), result = $2, failure = $3
                     WHERE id = $1 RETURNING id)
                 SELECT pg_notify($4, 'answer ' || id) FROM answered",
                &[&id, &result, &failure, &CHANNEL],
            )
            .await
            .context("answer a command")
            .map(drop)
    }

    /// Waits for an answer: `None` when it did not come. An engine that took the command and lives has longer than one
    /// that did not take it within `limit`: it may be waiting for Salesforce, on a machine that has other work.
    pub async fn wait_answer(
        &self,
        id: i64,
        limit: Duration,
    ) -> Result<Option<Result<Value, String>>, Error> {
        let begin = tokio::time::Instant::now();
        let sql = format!(
            "SELECT done_at IS NOT NULL, result, failure, taken_at IS NOT NULL AND EXISTS (SELECT FROM syncdeck.engine
                 WHERE engine.state = 'running' AND seen_at > clock_timestamp() - interval '{ENGINE_SILENT_AFTER}')
             FROM syncdeck.command WHERE id = $1"
        );
        let mut pause = Duration::from_millis(10);
        loop {
            let client = self.client().await?;
            let row = client.query_one(&sql, &[&id]).await.context("wait for an answer")?;
            drop(client);
            if row.get(0) {
                let failure: Option<String> = row.get(2);
                let result: Option<Value> = row.get(1);
                return Ok(Some(match failure {
                    Some(text) => Err(text),
                    None => Ok(result.unwrap_or_default()),
                }));
            }
            let is_worked: bool = row.get(3);
            if begin.elapsed() >= if is_worked { limit * LONGER } else { limit } {
                return Ok(None);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(200));
        }
    }

    /// Says that a long command is still wanted, or is to stop, and tells how it stands. What was answered is told once
    /// and then forgotten: it may be large, and quotes rows.
    pub async fn follow_command(&self, id: i64, stop: bool) -> Result<CommandProgress, Error> {
        let client = self.client().await?;
        let row = client
            .query_one(
                &format!(
                    "UPDATE syncdeck.command SET wanted_at = clock_timestamp(), stop = stop OR $2 WHERE id = $1
                     RETURNING done_at IS NOT NULL, result, failure, progress, taken_at IS NOT NULL,
                         extract(epoch FROM clock_timestamp() - created_at)::float8,
                         coalesce(told_at, taken_at) < clock_timestamp() - interval '{SILENT_AFTER}'"
                ),
                &[&id, &stop],
            )
            .await
            .context("follow a command")?;
        Ok(match () {
            () if row.get(0) => {
                client
                    .execute("UPDATE syncdeck.command SET result = NULL WHERE id = $1", &[&id])
                    .await
                    .context("forget an answer")?;
                CommandProgress::Answered(match row.get::<_, Option<String>>(2) {
                    Some(failure) => Err(failure),
                    None => Ok(row.get::<_, Option<Value>>(1).unwrap_or_default()),
                })
            }
            () if !row.get::<_, bool>(4) => CommandProgress::Waiting(row.get(5)),
            () if row.get(6) => CommandProgress::Silent,
            () => CommandProgress::Worked(row.get(3)),
        })
    }

    /// Tells how far a long command is. False when whoever asked does not want it any more, or is gone.
    pub async fn tell_progress(&self, id: i64, progress: Option<&Value>) -> Result<bool, Error> {
        let client = self.client().await?;
        let row = client
            .query_one(
                &format!(
                    "UPDATE syncdeck.command SET progress = $2, told_at = clock_timestamp() WHERE id = $1
                     RETURNING NOT stop
                         AND coalesce(wanted_at, created_at) > clock_timestamp() - interval '{SILENT_AFTER}'"
                ),
                &[&id, &progress],
            )
            .await
            .context("tell how far a command is")?;
        Ok(row.get(0))
    }

    /// Tells everybody who listens.
    pub async fn notify(&self, payload: &str) -> Result<(), Error> {
        let client = self.client().await?;
        client.execute("SELECT pg_notify($1, $2)", &[&CHANNEL, &payload]).await.context("notify").map(drop)
    }
}
