//! A row that is refused because a record has the same: looked at beside that record and its row, and made one with them.

use crate::client::api::{Client, ClientError};
use crate::domain::errors::suggested_fix::Against;
use crate::domain::names::RowRef;
use crate::domain::operations::operation::{Operation, RowResult, RowStatus, Sample};
use crate::domain::operations::request::Request;
use crate::domain::records::duplicate::{CODES, Duplicate, Merge};
use crate::domain::records::record::{FieldEdit, SalesforceState, SalesforceValues};
use crate::postgres;

use super::execute::{Plan, PlanStep};
use super::plan::{SAMPLE, refusal};

impl Client {
    /// What a row is refused for, side by side: the record that is there, as Salesforce has it now, and the row that has it.
    ///
    /// # Errors
    /// When the row's error is of no duplicate, when it has a record, when there is no such record (any more), and when no
    /// engine runs, which has to be asked.
    pub async fn duplicate(&self, row: &RowRef) -> Result<Duplicate, ClientError> {
        let mapping = self.own()?.registered(&row.table).await?;
        let error = self.own()?.error_of(row).await?;
        let error = error.filter(|error| CODES.contains(&error.code.as_str()));
        let error =
            error.ok_or_else(|| ClientError::refused("the row's error is of no duplicate any more"))?;
        let against = Against { error: error.id, seen: error.last_seen };
        let at = RowRef { table: mapping.table.clone(), row: row.row };
        let found = self.ask(&Request::Existing { at: at.clone(), sfid: None }).await?;
        let sfid = found.as_str().unwrap_or_default().to_owned();
        let record = self.ask(&Request::Record { table: at.table.clone(), sfid: sfid.clone() }).await?;
        let record: SalesforceValues =
            serde_json::from_value(record).map_err(|error| ClientError::refused(error.to_string()))?;
        if record.state != SalesforceState::Found {
            return Err(ClientError::refused(format!(
                "Salesforce has no record {sfid} any more; r sends the row again"
            )));
        }
        let other = self.own()?.row_of(&mapping, &sfid).await?.filter(|other| *other != row.row);
        let rows: Vec<_> = other.into_iter().chain([row.row]).collect();
        let values = self.own()?.values(&mapping.table, &rows).await?;
        let here = values.get(&row.row).ok_or_else(|| {
            ClientError::not_found(format!("the row {} of {} is gone", row.row, mapping.table))
        })?;
        if let Some(own) = here.get("sfid").cloned().flatten() {
            return Err(ClientError::refused(format!(
                "the row has a record already, {own}: change the value that both have (e)"
            )));
        }
        let other = other.and_then(|other| Some((other, values.get(&other)?)));
        Ok(Duplicate::of(&mapping, (at, against), here, other, &record))
    }

    /// What a merge makes of the row, and whether that passes the checks.
    pub(in crate::client) async fn look_at_merge(
        &self,
        merge: &Merge,
        plan: &mut Plan,
    ) -> Result<(), ClientError> {
        for step in std::mem::take(&mut plan.steps) {
            if step.id != merge.against.error {
                plan.settle(
                    step.id,
                    RowStatus::Skipped,
                    "it is another error than the one that was looked at",
                );
                continue;
            }
            let mapping = self.own()?.registered(&step.at.table).await?;
            let rows = [step.at.row];
            let content = self.own()?.contents(&mapping, &rows, &[]).await?.remove(&step.at.row);
            let refused = refusal(&mapping, step.at.row, content.unwrap_or_default(), &merge.fields);
            match &refused {
                None => plan.preview.passing += 1,
                Some((group, _)) => *plan.preview.refused.entry(group.clone()).or_default() += 1,
            }
            let name =
                |column: &str| mapping.field(column).map_or(column.to_owned(), |field| field.name.clone());
            let sample = |edit: &FieldEdit| Sample {
                id: step.id,
                row: step.at.clone(),
                field: name(&edit.column),
                before: edit.shown.clone(),
                after: edit.new.clone(),
                refused: refused.as_ref().map(|(_, message)| message.clone()),
            };
            plan.rows.extend(merge.fields.iter().map(sample));
            plan.preview.sample = plan.rows.iter().take(SAMPLE).cloned().collect();
            plan.preview.removed += usize::from(merge.replaces.is_some());
            plan.steps.push(step);
        }
        Ok(())
    }

    /// Makes the row one with the record, and with the row that had it.
    pub(in crate::client) async fn merge_into_record(
        store: &postgres::Store,
        steps: &[PlanStep],
        merge: &Merge,
        operation: &Operation,
    ) -> Result<Vec<RowResult>, postgres::Error> {
        let mut results = Vec::new();
        for step in steps {
            store.link_with(&step.at, merge, operation).await?;
            let gone = merge.replaces.map(|row| format!("; the row {row} is removed")).unwrap_or_default();
            let message = format!("it has the record {} now; it is sent{gone}", merge.sfid);
            results.push(RowResult::new(step.at.row, RowStatus::Done, message));
        }
        Ok(results)
    }
}
