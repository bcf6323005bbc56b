//! What a person does about one thing that a comparison found: one side taken, rows that are the same merged, both sides
//! looked at once more.

use crate::client::api::{Client, ClientError};
use crate::domain::changes::merge::Side;
use crate::domain::errors::remedy::RemedyAction;
use crate::domain::errors::sync_error::SyncError;
use crate::domain::mappings::mapping::{Access, Mapping};
use crate::domain::names::{RowId, RowRef};
use crate::domain::operations::operation::{RowResult, RowStatus};
use crate::domain::records::consistency::OP;
use crate::domain::records::record::{SalesforceState, SalesforceValues};
use crate::domain::records::verify::{AsFound, FindingKind, differences};
use crate::domain::values::hstore::Hstore;
use crate::postgres::errors::findings::KeptFinding;
use crate::postgres::operations::revert::{RevertFor, Reverted};

/// Said when there is nothing to put right.
const AGREE: &str = "both sides agree by now; it is looked at again";

impl Client {
    /// Does what a remedy of a comparison's finding says. Tells what was done.
    ///
    /// # Errors
    /// When it is not found to differ any more, when somebody changes it just now, and when the engine is needed and does not
    /// answer.
    pub async fn put_right(&self, error: &SyncError, action: &RemedyAction) -> Result<String, ClientError> {
        if error.op != OP {
            return Err(ClientError::refused("no comparison found this; its own remedies put it right"));
        }
        let done = match (action, error.row()) {
            (RemedyAction::LookAgain, at) => {
                let subject = match at {
                    Some(at) => at.row.to_string(),
                    None => error.sfid.clone().unwrap_or_default(),
                };
                self.look_at_again(&error.table, subject).await?;
                return Ok("it is looked at again".to_owned());
            }
            (RemedyAction::Repair(side), Some(at)) => self.repair_row(&at, *side).await?,
            (RemedyAction::Repair(side), None) => self.repair_record(error, *side).await?,
            (RemedyAction::Merge, Some(at)) => self.merge(&at, None).await?,
            _ => return Err(ClientError::refused("this does nothing about what a comparison found")),
        };
        Ok(done)
    }

    /// Has the engine look at a finding at once.
    async fn look_at_again(&self, table: &str, subject: String) -> Result<(), ClientError> {
        let mapping = self.own()?.registered(table).await?;
        if self.own()?.ask_for_look(&mapping.table, &[subject]).await?.is_empty() {
            return Err(ClientError::refused("no comparison found it to differ, or it is in order by now"));
        }
        Ok(self.own()?.notify("findings").await?)
    }

    /// The same after something was done about it: whoever has looked meanwhile and found it in order has closed it.
    async fn look_after(&self, table: &str, subject: String) -> Result<(), ClientError> {
        self.own()?.ask_for_look(table, &[subject]).await?;
        Ok(self.own()?.notify("findings").await?)
    }

    /// Takes one side for a row: Salesforce's values as the engine fetches them now, or the row's, which are sent.
    async fn repair_row(&self, at: &RowRef, side: Side) -> Result<String, ClientError> {
        let mapping = self.own()?.registered(&at.table).await?;
        let finding = self.finding(&mapping, at.row).await?;
        let record = self.fetch(&mapping.table, &[at.row]).await?.remove(&at.row);
        let record =
            record.ok_or_else(|| ClientError::unavailable("Salesforce's side of it is not known"))?;
        let gone = record.state != SalesforceState::Found;
        let was_gone = finding.kinds.contains(&FindingKind::RowWithoutRecord);
        if gone != was_gone {
            self.look_at_again(&mapping.table, at.row.to_string()).await?;
            let now = if gone { "has no record of it any more" } else { "has its record again" };
            return Err(ClientError::refused(format!("Salesforce {now}; it is looked at again")));
        }
        let fates = match side {
            Side::Salesforce => {
                let row = Reverted { row: at.row, record, remove: gone, as_found: None };
                self.own()?.revert_rows(&mapping.table, &[row], RevertFor::Repair, &self.operation()).await?
            }
            Side::Postgres => {
                refuse_read_only(&mapping)?;
                let found = self.as_found(&mapping, at.row, &record, gone).await?;
                self.own()?.send_again(&mapping.table, &[(at.row, found)], &self.operation()).await?
            }
        };
        let done = only(fates)?;
        self.look_after(&mapping.table, at.row.to_string()).await?;
        Ok(done)
    }

    /// A row as it is now, by what a repair goes: the columns that differ, none where its record is made anew.
    async fn as_found(
        &self,
        mapping: &Mapping,
        row: RowId,
        record: &SalesforceValues,
        gone: bool,
    ) -> Result<AsFound, ClientError> {
        let values = self.own()?.values(&mapping.table, &[row]).await?.remove(&row).unwrap_or_default();
        let sfid = values.get("sfid").cloned().flatten();
        if gone {
            return Ok(AsFound { sfid, values: Hstore::default() });
        }
        let theirs: Hstore = record.values.clone().into_iter().collect();
        let differing = differences(mapping, &values, &theirs);
        if differing.is_empty() {
            self.look_at_again(&mapping.table, row.to_string()).await?;
            return Err(ClientError::refused(AGREE));
        }
        let values = differing.into_iter().map(|field| (field.column, field.row)).collect();
        Ok(AsFound { sfid, values })
    }

    /// Takes one side for a record that no row has: it is read in, or deleted.
    async fn repair_record(&self, error: &SyncError, side: Side) -> Result<String, ClientError> {
        let mapping = self.own()?.registered(&error.table).await?;
        let sfid = error.sfid.clone().ok_or_else(|| ClientError::refused("it names no record"))?;
        let sfids = [sfid.clone()];
        let done = match side {
            Side::Salesforce => {
                self.own()?.want_read(&mapping.table, &sfids, &self.operation()).await?;
                self.own()?.notify("poll").await?;
                "it is read with the next poll"
            }
            Side::Postgres => {
                refuse_read_only(&mapping)?;
                if self.own()?.delete_records(&mapping.table, &sfids, &self.operation()).await?.is_empty() {
                    return Err(ClientError::refused("it has a row meanwhile"));
                }
                "its delete is sent"
            }
        };
        self.look_after(&mapping.table, sfid).await?;
        Ok(done.to_owned())
    }

    /// Merges the rows that a comparison found to be the same thing as this one: into it, or into one of the others.
    ///
    /// # Errors
    /// When no comparison found that, and as [`crate::postgres::Store::merge_rows`].
    pub async fn merge(&self, at: &RowRef, into: Option<RowId>) -> Result<String, ClientError> {
        let mapping = self.own()?.registered(&at.table).await?;
        let finding = self.finding(&mapping, at.row).await?;
        let mut rows: Vec<RowId> = finding.others.clone();
        rows.push(at.row);
        let into = into.unwrap_or(at.row);
        if finding.others.is_empty() || !rows.contains(&into) {
            let told: Vec<String> = rows.iter().map(ToString::to_string).collect();
            return Err(ClientError::refused(format!(
                "the row {into} is not among those that are the same thing: {}",
                told.join(", ")
            )));
        }
        rows.retain(|row| *row != into);
        let operation = self.own()?.begin_operation(&self.operator, self.why.as_deref()).await?;
        self.own()?
            .merge_rows(&RowRef { table: mapping.table.clone(), row: into }, &rows, &operation)
            .await?;
        let told: Vec<String> = rows.iter().map(ToString::to_string).collect();
        Ok(format!("merged into the row {into}; the delete of {} is sent", told.join(", ")))
    }

    async fn finding(&self, mapping: &Mapping, row: RowId) -> Result<KeptFinding, ClientError> {
        let found = self.own()?.findings_of(mapping, &[row.to_string()]).await?;
        found.into_iter().next().ok_or_else(|| {
            ClientError::refused(format!(
                "no comparison found the row {row} to differ, or it is in order by now\ncompare again, with: syncdeck verify {}",
                mapping.object
            ))
        })
    }
}

fn refuse_read_only(mapping: &Mapping) -> Result<(), ClientError> {
    match mapping.access {
        Access::ReadWrite => Ok(()),
        Access::ReadOnly => Err(ClientError::refused(format!(
            "{} is mapped read-only: nothing of it goes to Salesforce",
            mapping.object
        ))),
    }
}

/// What one row came to.
fn only(fates: Vec<RowResult>) -> Result<String, ClientError> {
    match fates.into_iter().next() {
        Some(fate) if fate.status == RowStatus::Done => Ok(fate.message),
        Some(fate) => Err(ClientError::refused(fate.message)),
        None => Err(ClientError::refused(AGREE)),
    }
}
