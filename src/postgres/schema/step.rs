//! A step of an installation: what it does, and by which statements. A plan shows what an installation executes.

use crate::domain::reports::setup_plan::SetupAction;

use crate::postgres::{Error, ErrorContext, Transaction};

/// One step.
#[derive(Clone, Debug)]
pub(in crate::postgres) struct SetupStep {
    /// What it does.
    pub action: SetupAction,
    /// By which statements.
    pub sql: String,
}

impl SetupStep {
    /// Executes it.
    pub async fn execute(&self, transaction: &Transaction<'_>) -> Result<(), Error> {
        let what = match &self.action {
            SetupAction::CreateExtension { .. } => "make an extension",
            SetupAction::LayOut { .. } => "lay out the schema",
            SetupAction::CreateFunction { .. } => "make a function",
            SetupAction::MendSequence { .. } => "mend the sequence of _trigger_log",
            SetupAction::CreateTable { .. } => "create a mapped table",
            SetupAction::AddColumn { .. } => "add a column to a mapped table",
            SetupAction::CreateIndex { .. } => "create the indexes of a mapped table",
            SetupAction::ReplaceFunction { .. } => "replace a predecessor's function",
            SetupAction::DropTrigger { .. } => "replace a predecessor's trigger",
            SetupAction::Capture { .. } => "install the capture triggers",
        };
        transaction.batch_execute(&self.sql).await.context(what)
    }
}
