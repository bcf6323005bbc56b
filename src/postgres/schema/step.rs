//! A step of an installation: what it does, and by which statements. A plan shows what an installation executes.

use crate::domain::reports::setup_plan::Action;

use crate::postgres::{Error, ErrorContext, Transaction};

/// One step.
#[derive(Clone, Debug)]
pub(in crate::postgres) struct Step {
    /// What it does.
    pub action: Action,
    /// By which statements.
    pub sql: String,
}

impl Step {
    /// Executes it.
    pub async fn execute(&self, transaction: &Transaction<'_>) -> Result<(), Error> {
        let what = match &self.action {
            Action::CreateExtension { .. } => "make an extension",
            Action::LayOut { .. } => "lay out the schema",
            Action::CreateFunction { .. } => "make a function",
            Action::MendSequence { .. } => "mend the sequence of _trigger_log",
            Action::CreateTable { .. } => "create a mapped table",
            Action::AddColumn { .. } => "add a column to a mapped table",
            Action::CreateIndex { .. } => "create the indexes of a mapped table",
            Action::DropTrigger { .. } => "replace a predecessor's trigger",
            Action::Capture { .. } => "install the capture triggers",
        };
        transaction.batch_execute(&self.sql).await.context(what)
    }
}
