//! A comparison beside Heroku Connect, for whoever watches it: what it will compare and cost, and its rounds until somebody
//! stops it. It reads both sides and changes nothing.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::line::SetupLine;
use crate::client::error::ClientError;

/// What is known before the first round.
#[derive(Clone, Debug)]
pub struct ShadowPreview {
    /// What will be compared, what cannot be, and what it costs.
    pub lines: Vec<SetupLine>,
    /// Compares; nothing where the connection has no login to the org: a configuration that has one is to be named.
    pub run: Option<ShadowRun>,
}

/// What happens while it compares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShadowNews {
    /// What it is at, in a line; of no use any more once it is at something else.
    Now(String),
    /// It waits so long for this.
    Waits(&'static str, Duration),
    /// A round is over, in a line.
    Round(String),
}

/// What it is given.
#[derive(Clone)]
pub struct ShadowOrder {
    /// For how long rounds begin; without, until what differs is decided, which is given up after an hour or so.
    pub time: Option<Duration>,
    /// Hears what happens.
    pub told: Arc<dyn Fn(ShadowNews) + Send + Sync>,
    /// Ends it with the report of what was looked at.
    pub stop: CancellationToken,
}

/// The report, a line each; or why nothing could be compared.
pub type ShadowOutcome = Result<Vec<SetupLine>, ClientError>;

/// A comparison that is ready to begin, once.
#[derive(Clone)]
pub struct ShadowRun(Arc<dyn Fn(ShadowOrder) -> BoxFuture<'static, ShadowOutcome> + Send + Sync>);

impl ShadowRun {
    /// By what compares.
    pub fn new(
        does: impl Fn(ShadowOrder) -> BoxFuture<'static, ShadowOutcome> + Send + Sync + 'static,
    ) -> ShadowRun {
        ShadowRun(Arc::new(does))
    }

    /// Compares, and returns the report.
    ///
    /// # Errors
    /// When nothing can be compared.
    pub async fn execute(&self, order: ShadowOrder) -> ShadowOutcome {
        (self.0)(order).await
    }
}

impl fmt::Debug for ShadowRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShadowRun")
    }
}

impl PartialEq for ShadowRun {
    fn eq(&self, other: &ShadowRun) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
