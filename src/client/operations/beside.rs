//! Operations on many rows of a database that Heroku Connect keeps: each row is a transaction of its own, compared with what
//! was looked at.

use crate::domain::mappings::mapping::Mapping;
use crate::domain::operations::operation::{FieldChange, OperationKind, RowResult, RowStatus};
use crate::domain::records::record::FieldEdit;

use super::execute::{Plan, PlanStep, Stopped, field_of, print};
use crate::client::api::{Client, ClientError, ErrorKind};
use crate::client::attached::session::{Attached, beside};

impl Client {
    /// Refuses what cannot be done beside Heroku Connect.
    pub(in crate::client) fn refuse_beside_heroku(&self, kind: &OperationKind) -> Result<(), ClientError> {
        let why = match kind {
            _ if self.beside_heroku().is_none() => return Ok(()),
            OperationKind::Retry
            | OperationKind::Ignore
            | OperationKind::Fix { .. }
            | OperationKind::Mend => {
                return Ok(());
            }
            OperationKind::Release => "nothing waits for a release there",
            OperationKind::Revert => "Salesforce's values are known to Heroku Connect only",
            OperationKind::Merge(_) => {
                "the record that is there already is asked of Salesforce by an engine of syncdeck only"
            }
            OperationKind::Choose(_) => "it does not tell what changed on both sides",
            OperationKind::Undo(_) => "nothing notes here who did what, so nothing can be undone",
        };
        Err(beside(why))
    }

    /// Does what was planned to rows of one table. Where PostgreSQL is away it ends: each row would wait as long as the first.
    pub(super) async fn work_beside_heroku(
        &self,
        attached: &Attached,
        plan: &Plan,
        steps: &[PlanStep],
    ) -> Result<Vec<RowResult>, Stopped> {
        let mapping = self.registered(&steps[0].at.table).await?;
        let mut results = Vec::new();
        for step in steps {
            let seen = Some((step.id, step.seen));
            let (done, said) = match &plan.kind {
                OperationKind::Ignore => (attached.ignore(&step.at, seen).await, "ignored"),
                OperationKind::Fix { field, how, retry } => {
                    let edit = self.fixed(attached, &mapping, step, (field, how)).await;
                    let done = match edit {
                        Ok(fields) => attached.mend(&step.at, &fields, *retry, seen).await,
                        Err(error) => Err(error),
                    };
                    (done, "saved; Heroku Connect sends it")
                }
                OperationKind::Mend => {
                    let fields = plan.proposed.get(&step.id).cloned().unwrap_or_default();
                    (attached.mend(&step.at, &fields, true, seen).await, "saved; Heroku Connect sends it")
                }
                _ => (attached.mend(&step.at, &[], true, seen).await, "Heroku Connect sends it again"),
            };
            let result = match done {
                Ok(()) => RowResult::new(step.at.row, RowStatus::Done, said),
                Err(error) if error.kind == ErrorKind::Conflict => {
                    RowResult::new(step.at.row, RowStatus::Skipped, error.message)
                }
                Err(error) => {
                    let result = RowResult::new(step.at.row, RowStatus::Failed, error.to_string());
                    if error.kind == ErrorKind::Unavailable {
                        results.push(result);
                        return Err(Stopped::Midway(results));
                    }
                    result
                }
            };
            results.push(result);
        }
        Ok(results)
    }

    /// What a fix makes of a row as it is now; one that does not hold what was looked at any more is somebody else's.
    async fn fixed(
        &self,
        attached: &Attached,
        mapping: &Mapping,
        step: &PlanStep,
        (name, how): (&str, &FieldChange),
    ) -> Result<Vec<FieldEdit>, ClientError> {
        let field = field_of(mapping, name)?;
        let values = attached.store().values(&mapping.table, &[step.at.row]).await?.remove(&step.at.row);
        let values = values.ok_or_else(|| {
            ClientError::not_found(format!("the row {} of {} is gone", step.at.row, mapping.table))
        })?;
        let shown = values.get(&field.column).cloned().flatten();
        if print(shown.as_ref()) != step.print {
            return Err(ClientError::new(
                ErrorKind::Conflict,
                format!("{} was changed meanwhile", field.column),
            ));
        }
        let new = how.apply(field, shown.as_deref()).map_err(ClientError::refused)?;
        Ok(vec![FieldEdit { column: field.column.clone(), shown, new }])
    }
}
