//! What a configuration makes of a database: the plan of a start, a takeover of Heroku Connect's tables, and the way back.
//! Only who knows the configuration and signs in to the org can find that out and do it. Whoever opens a client gives it
//! that ([`Setup`]); the words are the same for command line and console ([`text`]).

pub mod forecast;
pub mod line;
pub mod rebind;
pub mod shadow;
pub mod text;

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::error::ClientError;
use crate::postgres::Store;
use line::SetupLine;
use shadow::ShadowPreview;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetupTask {
    /// What the start of an engine would do.
    Plan,
    /// Taking over tables that were there before.
    Adopt,
    /// Giving them back.
    UndoAdopt,
    /// Another org behind the same tables.
    Rebind,
}

/// What was found, and what may be done about it.
#[derive(Clone, Debug)]
pub struct SetupPreview {
    /// What it is, in words.
    pub lines: Vec<SetupLine>,
    /// What is asked before it is done; `None` where nothing is to be done.
    pub question: Option<SetupQuestion>,
}

impl SetupPreview {
    /// What there is to read only.
    pub fn told(lines: Vec<SetupLine>) -> SetupPreview {
        SetupPreview { lines, question: None }
    }
}

/// What is asked, and what a yes does.
#[derive(Clone, Debug)]
pub struct SetupQuestion {
    /// What is agreed to.
    pub text: String,
    /// What is typed to agree: the name of what it is done to. One letter is too little for it.
    pub types: String,
    /// Does it.
    pub run: SetupRun,
}

/// Hears what is going on.
pub type SetupListener = Arc<dyn Fn(String) + Send + Sync>;
/// What comes of it: what is to be said, a line each.
pub type SetupOutcome = Result<Vec<SetupLine>, ClientError>;

/// What was shown, ready to be done.
#[derive(Clone)]
pub struct SetupRun(Arc<dyn Fn(SetupListener) -> BoxFuture<'static, SetupOutcome> + Send + Sync>);

impl SetupRun {
    /// By what does it.
    pub fn new(
        does: impl Fn(SetupListener) -> BoxFuture<'static, SetupOutcome> + Send + Sync + 'static,
    ) -> SetupRun {
        SetupRun(Arc::new(does))
    }

    /// Does it: all of it or nothing, but for indexes made beside.
    ///
    /// # Errors
    /// Where it is refused by now, or broke off. Nothing is changed then but for indexes made beside, unless the connection broke
    /// as it was finished: only another look tells.
    pub async fn execute(&self, told: SetupListener) -> SetupOutcome {
        (self.0)(told).await
    }
}

impl fmt::Debug for SetupRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SetupRun")
    }
}

impl PartialEq for SetupRun {
    fn eq(&self, other: &SetupRun) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// Whoever knows the configuration of a client's connection.
pub trait Setup: Send + Sync {
    /// Looks at what is asked for; nothing is changed. `file` names a configuration where the connection's own has no mappings,
    /// `shown` is the database that the client is of, `told` hears how far it is.
    fn look<'a>(
        &'a self,
        task: SetupTask,
        file: Option<&'a str>,
        shown: &'a Store,
        told: SetupListener,
    ) -> BoxFuture<'a, Result<SetupPreview, ClientError>>;

    /// Looks at what can be compared beside Heroku Connect, and what that costs, in the same manner.
    fn look_at_shadow<'a>(
        &'a self,
        file: Option<&'a str>,
        shown: &'a Store,
        told: SetupListener,
    ) -> BoxFuture<'a, Result<ShadowPreview, ClientError>>;
}
