//! The client's end of what is asked of the engine: a row of `syncdeck.command`, waited for until it is answered.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::names::RowId;
use crate::domain::operations::request::Request;
use crate::domain::records::record::SalesforceValues;
use crate::postgres::operations::commands::CommandProgress;

use crate::client::api::{Client, ClientError, FETCH_LIMIT};

/// Between two looks of whoever asked.
const LOOK: Duration = Duration::from_millis(200);

impl Client {
    /// Salesforce's side of rows of one table, fetched now by the engine.
    pub(super) async fn fetch(
        &self,
        table: &str,
        rows: &[RowId],
    ) -> Result<HashMap<RowId, SalesforceValues>, ClientError> {
        let (table, rows) = (table.to_owned(), rows.to_vec());
        self.fetched(Request::Fetch { table, rows, candidates: false }).await
    }

    /// The answer to a request of that kind.
    pub(super) async fn fetched(
        &self,
        request: Request,
    ) -> Result<HashMap<RowId, SalesforceValues>, ClientError> {
        let answer = self.ask(&request).await?;
        let found: HashMap<String, SalesforceValues> =
            serde_json::from_value(answer).map_err(|error| ClientError::refused(error.to_string()))?;
        Ok(found.into_iter().filter_map(|(row, values)| Some((RowId(row.parse().ok()?), values))).collect())
    }

    /// Asks the engine something that is answered soon.
    pub(super) async fn ask(&self, request: &Request) -> Result<Value, ClientError> {
        if self.own()?.is_read_only() {
            return Err(ClientError::refused("--read-only asks nothing of the engine"));
        }
        if !self.own()?.holdups().await?.engine {
            return Err(ClientError::unavailable(
                "no engine runs, which has to be asked\nstart one with: syncdeck run",
            ));
        }
        let begin = Instant::now();
        let id = self.own()?.ask(request, &self.operator.actor).await?;
        match self.own()?.wait_answer(id, FETCH_LIMIT).await? {
            Some(answer) => answer.map_err(ClientError::refused),
            None => Err(ClientError::unavailable(format!(
                "the engine, asked {} s ago, did not answer\nsee whether one runs, with: syncdeck status",
                begin.elapsed().as_secs()
            ))),
        }
    }

    /// Asks something that takes long, with its progress told as it comes.
    pub(super) async fn ask_long(
        &self,
        request: &Request,
        told: &(dyn Fn(&Value) + Send + Sync),
        stop: &CancellationToken,
    ) -> Result<Value, ClientError> {
        let id = self.own()?.ask(request, &self.operator.actor).await?;
        let mut last = None;
        loop {
            match self.own()?.follow_command(id, stop.is_cancelled()).await? {
                CommandProgress::Answered(answer) => return answer.map_err(ClientError::refused),
                CommandProgress::Waiting(seconds) if seconds > FETCH_LIMIT.as_secs_f64() => {
                    return Err(ClientError::unavailable(format!(
                        "no engine took it within {} s\nsee whether one runs, with: syncdeck status",
                        FETCH_LIMIT.as_secs()
                    )));
                }
                CommandProgress::Silent => {
                    return Err(ClientError::unavailable(
                        "the engine that was at it gives no sign of life any more\n\
                         see whether one runs, with: syncdeck status",
                    ));
                }
                CommandProgress::Worked(progress) if progress != last => {
                    progress.iter().for_each(told);
                    last = progress;
                }
                CommandProgress::Waiting(_) | CommandProgress::Worked(_) => {}
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}
