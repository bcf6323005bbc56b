//! Many errors mended at once, each row by its own first remedy that passes: a remedy is proposed by what the row holds,
//! and what empties a value is proposed by nobody.

use std::collections::HashMap;

use chrono::Utc;

use crate::domain::changes::dispatch::Content;
use crate::domain::errors::catalogue;
use crate::domain::errors::remedy::{Against, SuggestedFix, offers};
use crate::domain::errors::sync_error::{ErrorState, SyncError};
use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::RowId;
use crate::domain::operations::operation::{Operation, RowResult, RowStatus, Sample};
use crate::domain::records::record::{FieldEdit, RecordView};
use crate::postgres::operations::edit::RowEdit;
use crate::postgres::{self, Store};

use super::execute::{LOOK, Plan, PlanStep};
use super::plan::{SAMPLE, refusal};
use crate::client::api::{Client, ClientError};
use crate::client::summaries::failed;

/// Rows of a table that is shown before it is done, and of those that need a person.
const TABLE: usize = 500;
/// Said of a row that no remedy mends.
const A_PERSON: &str = "needs a person: none of its remedies gives a value that passes";

impl Client {
    /// What its first remedy that passes makes of each row; a row without one is left to a person.
    pub(in crate::client) async fn look_at_remedies(&self, plan: &mut Plan) -> Result<(), ClientError> {
        let steps = std::mem::take(&mut plan.steps);
        let parts =
            steps.chunk_by(|a, b| a.at.table == b.at.table).flat_map(|of_table| of_table.chunks(LOOK));
        for part in parts {
            let mapping = self.registered(&part[0].at.table).await?;
            let rows: Vec<RowId> = part.iter().map(|step| step.at.row).collect();
            let ids: Vec<i64> = part.iter().map(|step| step.id).collect();
            let mut values = self.tables().values(&mapping.table, &rows).await?;
            let mut contents = self.contents(&mapping, &rows).await?;
            let errors = match self.beside_heroku() {
                Some(attached) => attached.errors_by_id(&ids).await?,
                None => self.own()?.errors_by_id(&ids).await?,
            };
            let mut errors: HashMap<i64, SyncError> =
                errors.into_iter().map(|error| (error.id, error)).collect();
            for step in part {
                let row = values.remove(&step.at.row);
                let content = contents.remove(&step.at.row).unwrap_or_default();
                match (row, errors.remove(&step.id)) {
                    (None, _) => {
                        let why = format!("the row {} of {} is gone", step.at.row, mapping.table);
                        plan.settle(step.id, RowStatus::Failed, why);
                    }
                    (_, None) => plan.settle(step.id, RowStatus::Skipped, "it is resolved already"),
                    (Some(_), Some(error)) if is_on_its_way(&error) => {
                        plan.settle(step.id, RowStatus::Skipped, "it is being sent");
                    }
                    (Some(row), Some(error)) => {
                        propose(plan, &mapping, step, failed(&mapping, &row, error), &content)
                    }
                }
            }
        }
        Ok(())
    }

    /// Gives the rows the values that were proposed, where they and their errors are as they were looked at.
    pub(in crate::client) async fn mend_rows(
        store: &Store,
        table: &str,
        steps: &[PlanStep],
        proposed: &HashMap<i64, Vec<FieldEdit>>,
        operation: &Operation,
    ) -> Result<Vec<RowResult>, postgres::Error> {
        let edit = |step: &PlanStep| RowEdit {
            row: step.at.row,
            fields: proposed.get(&step.id).cloned().unwrap_or_default(),
            undoes: None,
            against: Some(Against { error: step.id, seen: step.seen }),
        };
        let edits: Vec<RowEdit> = steps.iter().map(edit).collect();
        let saved = store.edit_rows(table, &edits, true, operation, "edited").await?;
        let told = |fate: RowResult| match fate.status {
            RowStatus::Done => RowResult { message: "saved; it is sent".to_owned(), ..fate },
            _ => fate,
        };
        Ok(saved.into_iter().map(told).collect())
    }
}

/// Whether it is tried again just now.
fn is_on_its_way(error: &SyncError) -> bool {
    error.state == ErrorState::Retrying && error.next_retry_at.is_none_or(|at| at <= Utc::now())
}

/// The first remedy that gives a value which passes becomes the row's step.
fn propose(plan: &mut Plan, mapping: &Mapping, step: &PlanStep, record: RecordView, content: &Content) {
    let Some(error) = &record.error else { return };
    let entry = catalogue::classify(catalogue::source_of(&error.code), &error.code, &error.message);
    let passes =
        |offer: &SuggestedFix| refusal(mapping, step.at.row, content.clone(), &offer.changes).is_none();
    let found =
        offers(&entry.remedies, mapping, &record).into_iter().find(|o| o.mends_a_value() && passes(o));
    let Some(offer) = found else {
        match plan.persons.len() {
            ..TABLE => plan.persons.push(person(mapping, step, &record, error)),
            _ => plan.more_persons += 1,
        }
        return plan.settle(step.id, RowStatus::Skipped, A_PERSON);
    };
    plan.preview.passing += 1;
    for edit in &offer.changes {
        let row = sample(mapping, step, edit);
        if plan.preview.sample.len() < SAMPLE {
            plan.preview.sample.push(row.clone());
        }
        if plan.rows.len() < TABLE {
            plan.rows.push(row);
        }
    }
    plan.steps.push(step.clone());
    plan.proposed.insert(step.id, offer.changes);
}

/// A row that a person has to look at: what it holds, and why it was refused.
fn person(mapping: &Mapping, step: &PlanStep, record: &RecordView, error: &SyncError) -> Sample {
    let fault = record.values.iter().find(|(field, _)| record.is_at_fault(field));
    Sample {
        id: step.id,
        row: step.at.clone(),
        field: fault.map_or(String::new(), |(field, _)| field.name.clone()),
        before: fault.and_then(|(field, value)| mapping.rules.shown_value(&field.column, value.clone())),
        after: None,
        refused: Some(error.code.clone()),
    }
}

fn sample(mapping: &Mapping, step: &PlanStep, edit: &FieldEdit) -> Sample {
    let field = mapping.field(&edit.column).map_or(&edit.column, |field| &field.name);
    Sample {
        id: step.id,
        row: step.at.clone(),
        field: field.clone(),
        before: mapping.rules.shown_value(&edit.column, edit.shown.clone()),
        after: mapping.rules.shown_value(&edit.column, edit.new.clone()),
        refused: None,
    }
}
