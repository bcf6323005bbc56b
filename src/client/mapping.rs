//! What the operator of a mapping sees and does: its last minutes, what its errors are about, whether its
//! rows are sent; all of it read again, compared, or tried.

use serde::Deserialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::domain::changes::dry_run::DryRun;
use crate::domain::operations::operation::Operation;
use crate::domain::operations::request::Request;
use crate::domain::records::verify::{Stage, VerifyReport};
use crate::domain::reports::overview::Writes;
use crate::domain::reports::trend::{ErrorShare, Trend};
use crate::domain::state::EngineState;

use super::api::{Client, ClientError};
use super::attached::session::beside;
use super::queries;

/// The most minutes that are told at once: a week.
const MINUTES: u32 = 7 * 24 * 60;

/// What dry runs of several mappings came to, by mapping.
pub type DryRuns = Vec<(String, Result<DryRun, ClientError>)>;

impl Client {
    /// What happened in each of the last `minutes` minutes (a week at most) of every mapping: the oldest first, none
    /// left out, the one that goes on last.
    pub async fn trends(&self, minutes: u32) -> Result<Vec<Trend>, ClientError> {
        if self.beside_heroku().is_some() {
            return Err(beside("Heroku Connect keeps no figures of past minutes in the database"));
        }
        Ok(self.own()?.trends(minutes.min(MINUTES)).await?)
    }

    /// The unresolved errors that match, by category and code, the most frequent first.
    ///
    /// # Errors
    /// A filter that cannot be read is refused with what is allowed.
    pub async fn breakdown(&self, filter: &str) -> Result<Vec<ErrorShare>, ClientError> {
        Ok(self.own()?.breakdown(&queries::filter(filter)?).await?)
    }

    /// Has the running engine read the login of its configuration again and sign in with it now. Tells what was done.
    ///
    /// # Errors
    /// When no engine runs.
    pub async fn sign_in(&self) -> Result<String, ClientError> {
        if self.beside_heroku().is_some() {
            return Err(beside("Heroku Connect has the login"));
        }
        if self.own()?.overview().await?.engine.state != EngineState::Running {
            return Err(ClientError::refused(
                "no engine runs; the next one signs in by itself when it starts",
            ));
        }
        self.own()?.notify("reconnect").await?;
        Ok("the engine signs in again".to_owned())
    }

    /// Pauses, drains or resumes the writes of a mapping; without a name, of every mapping at once that this changes.
    /// Returns what was done, in a sentence.
    ///
    /// # Errors
    /// When there is no such mapping, and when there is nothing to pause or to drain.
    pub async fn writes(&self, mapping: Option<&str>, to: Writes) -> Result<String, ClientError> {
        if let Some(attached) = self.beside_heroku() {
            attached.takes_writes(mapping, to)?;
            return attached.set_writes(to, &self.operation()).await;
        }
        let changed = self.own()?.set_writes(mapping, to, &self.operation_on(mapping).await?).await?;
        let whose = mapping.map_or_else(|| "all mappings".to_owned(), str::to_owned);
        match (to, of_these(&changed)) {
            (Writes::Pause, Some(whose)) => Ok(format!("{whose} writes rest; changes are kept, reads go on")),
            (Writes::Drain, Some(whose)) => Ok(format!(
                "{whose} writes rest when what waits now is sent; later changes are kept, reads go on"
            )),
            (Writes::Resume, Some(whose)) => Ok(format!("{whose} writes go on")),
            (Writes::Resume, None) => Ok(format!("{whose}: nothing rested")),
            (Writes::Pause, None) => {
                Err(ClientError::refused(format!("the writes of {whose} are off already")))
            }
            (Writes::Drain, None) => Err(ClientError::refused(format!(
                "the writes of {whose} are off or draining already\nlet them go on first, with: syncdeck mapping {} resume",
                mapping.unwrap_or("all")
            ))),
        }
    }

    /// Has all records of a mapping, or of every mapping, read again as in the first load. Returns what was done, in a
    /// sentence.
    ///
    /// # Errors
    /// When there is no such mapping, when it is not loaded yet, or being read again already.
    pub async fn reload(&self, mapping: Option<&str>) -> Result<String, ClientError> {
        if let Some(attached) = self.beside_heroku() {
            return attached.reload(mapping, &self.operation()).await;
        }
        let asked = self.own()?.ask_reload(mapping, &self.operation_on(mapping).await?).await?;
        match of_these(&asked) {
            Some(whose) => {
                Ok(format!("{whose} records are all read again; reads and writes go on meanwhile"))
            }
            None => Err(ClientError::refused(format!(
                "{}: loaded or read again already just now\nsee how far it is, with: syncdeck mapping",
                mapping.unwrap_or("all mappings")
            ))),
        }
    }

    /// Compares a mapping's rows with its records, done by the engine with its own login. Nothing is changed.
    ///
    /// # Errors
    /// When there is no such mapping, no engine, or when one of the two sides cannot be read.
    pub async fn verify(
        &self,
        mapping: &str,
        told: &(dyn Fn(Stage) + Send + Sync),
        stop: &CancellationToken,
    ) -> Result<VerifyReport, ClientError> {
        let table = self.own()?.registered(mapping).await?.table;
        let told = |progress: &Value| {
            if let Ok(stage) = Stage::deserialize(progress) {
                told(stage);
            }
        };
        let report = self.ask_long(&Request::Verify { table }, &told, stop).await?;
        serde_json::from_value(report).map_err(|error| ClientError::refused(error.to_string()))
    }

    /// Tries the newest rows of a mapping, at most `limit` and as many as a call takes, done by the engine with its own login.
    /// No record stays changed.
    ///
    /// # Errors
    /// When there is no such mapping, no engine, or when Salesforce does not answer.
    pub async fn dry_run(&self, mapping: &str, limit: usize) -> Result<DryRun, ClientError> {
        let table = self.own()?.registered(mapping).await?.table;
        let request = Request::DryRun { table, limit };
        let dry_run = self.ask_long(&request, &|_| {}, &CancellationToken::new()).await?;
        serde_json::from_value(dry_run).map_err(|error| ClientError::refused(error.to_string()))
    }

    /// An operation on one mapping, or one operation on all of them.
    async fn operation_on(&self, mapping: Option<&str>) -> Result<Operation, ClientError> {
        Ok(match mapping {
            Some(_) => self.operation(),
            None => self.own()?.begin_operation(&self.operator, self.why.as_deref()).await?,
        })
    }
}

/// The beginning of a sentence about these mappings: `Contact: its`.
fn of_these(objects: &[String]) -> Option<String> {
    match objects {
        [] => None,
        [one] => Some(format!("{one}: its")),
        several if several.len() <= 3 => Some(format!("{}: their", several.join(", "))),
        many => Some(format!("{} mappings: their", many.len())),
    }
}
