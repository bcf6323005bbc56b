//! The living demo: a workspace with a private PostgreSQL and a simulated org, an application that keeps writing rows,
//! a Salesforce user who edits records, a program that takes its alerts, all the faults of a bad day, and a judge who compares the application's own
//! ledger of commits with the org's journal. The private server is here for the tests as well.
//!
//! `heroku_connect` is another demo: a database that Heroku Connect keeps.
//!
//! The application here stands for somebody else's: it writes its SQL itself and knows nothing of the engine.

mod app_log;
mod application;
mod careless;
pub mod heroku_connect;
mod judge;
pub mod ledger;
mod org_user;
pub mod private;
mod receiver;
pub mod rulebook;
pub mod verdict;
mod workspace;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use chrono::Utc;
use color_eyre::eyre::{Result, WrapErr};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::state::MappingState;
use crate::engine::{self, Engine};
use crate::postgres::Store;

use ledger::Ledger;
use rulebook::Rulebook;
pub use workspace::Workspace;

/// How long what is unsent may take after the writers stopped.
const DRAIN: Duration = Duration::from_secs(10);

/// What the demo is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// The workspace's directory; a temporary one, removed at the end, when it is not given.
    pub dir: Option<PathBuf>,
    /// Records in the org at the start.
    pub rows: usize,
    /// Whether Heroku Connect keeps the database, rather than syncdeck's engine.
    pub heroku_connect: bool,
}

/// A running demo.
pub struct Demo {
    /// The workspace: where `syncdeck.toml` is.
    pub workspace: Workspace,
    /// The database.
    pub store: Store,
    engine: Engine,
    writers: TaskTracker,
    stop: CancellationToken,
    ledger: Ledger,
    began: Instant,
    began_at: chrono::DateTime<Utc>,
}

impl Demo {
    /// Sets everything up and going.
    ///
    /// # Errors
    /// Names what is missing and the remedy; nothing is left behind.
    pub async fn start(options: &Options) -> Result<Demo> {
        let workspace = Workspace::start(options).await?;
        let config = workspace.config()?;
        let store = Store::connect(
            config.postgres_url(),
            &config.postgres.schema,
            "syncdeck demo",
            config.postgres.timeout,
        )
        .await?;
        let (began, began_at) = (Instant::now(), Utc::now());
        let engine = engine::start(config, store.clone()).await?;
        let (stop, writers, ledger) = (CancellationToken::new(), TaskTracker::new(), Ledger::default());
        let url = workspace.database_url();
        for number in 0..application::WORKERS {
            let worker = application::Worker::new(
                number,
                workspace.org.clone(),
                ledger.clone(),
                store.clone(),
                stop.clone(),
                workspace.app_log.clone(),
            );
            writers.spawn(worker.run(url.clone()));
        }
        writers.spawn(careless::run(url, workspace.org.clone(), store.clone(), stop.clone()));
        writers.spawn(org_user::run(workspace.org.clone(), store.clone(), stop.clone()));
        Ok(Demo { workspace, store, engine, writers, stop, ledger, began, began_at })
    }

    /// Runs without a console for `time`, lets what is unsent drain, and judges.
    ///
    /// # Errors
    /// When PostgreSQL cannot be asked.
    pub async fn report(self, time: Duration, interrupted: impl Future<Output = ()>) -> Result<DemoReport> {
        let looked_at = CancellationToken::new();
        let rules = tokio::spawn(Rulebook::keep(self.store.clone(), looked_at.clone()));
        let loaded = self.wait_loaded().await;
        tokio::select! {
            () = tokio::time::sleep(time.saturating_sub(self.began.elapsed())) => {}
            () = interrupted => {}
        }
        let seconds = self.began.elapsed().as_secs_f64();
        self.stop_writers().await;
        self.drain().await;
        self.engine.stop().await;
        looked_at.cancel();
        let rules = rules.await.wrap_err("the rules were not looked at")?;
        let (org, ledger) = (&self.workspace.org, &self.ledger);
        judge::report(&self.store, org, ledger, rules, self.began_at, seconds, loaded)
            .await
            .wrap_err("the report cannot be made")
    }

    /// Stops everything in good order.
    pub async fn stop(self) {
        self.stop_writers().await;
        self.engine.stop().await;
    }

    async fn stop_writers(&self) {
        self.stop.cancel();
        self.writers.close();
        self.writers.wait().await;
    }

    /// Waits for the first load. Returns how long it took.
    async fn wait_loaded(&self) -> Duration {
        while let Ok(overview) = self.store.overview().await {
            if overview
                .mappings
                .iter()
                .all(|mapping| mapping.last_read.is_some() && mapping.state != MappingState::Loading)
            {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.began.elapsed()
    }

    /// Waits until nothing is unsent, but not for ever.
    async fn drain(&self) {
        let deadline = Instant::now() + DRAIN;
        while Instant::now() < deadline {
            if matches!(self.store.unsent().await, Ok(0)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// What a headless demo says at its end.
#[derive(Debug)]
pub struct DemoReport {
    /// The document of design 8.
    pub document: Value,
    /// Whether nothing was lost, doubled or out of order.
    pub holds: bool,
}
