//! Many errors mended at once, each row by its own first remedy that passes: a remedy is proposed by what the row holds,
//! and what empties a value is proposed by nobody.

use std::collections::HashMap;

use chrono::Utc;

use crate::domain::act::{Act, Came, Fate, Sample};
use crate::domain::catalogue;
use crate::domain::dispatch::Content;
use crate::domain::hstore::Hstore;
use crate::domain::mapping::Mapping;
use crate::domain::names::{RowId, RowRef};
use crate::domain::record::{FieldEdit, RecordView};
use crate::domain::remedy::{Against, Offer, offers};
use crate::domain::sync_error::{ErrorState, SyncError};
use crate::postgres;
use crate::postgres::operator::RowEdit;

use super::execute::{LOOK, Plan, Step};
use super::plan::{SAMPLE, refusal};
use crate::client::handle::{Handle, Refused};

/// Said of a row that no remedy mends.
const A_PERSON: &str = "needs a person: none of its remedies gives a value that passes";

impl Handle {
    /// What its first remedy that passes makes of each row; a row without one is left to a person.
    pub(in crate::client) async fn look_at_remedies(&self, plan: &mut Plan) -> Result<(), Refused> {
        let steps = std::mem::take(&mut plan.steps);
        let parts =
            steps.chunk_by(|a, b| a.at.table == b.at.table).flat_map(|of_table| of_table.chunks(LOOK));
        for part in parts {
            let mapping = self.store.registered(&part[0].at.table).await?;
            let rows: Vec<RowId> = part.iter().map(|step| step.at.row).collect();
            let ids: Vec<i64> = part.iter().map(|step| step.id).collect();
            let mut values = self.store.values(&mapping.table, &rows).await?;
            let mut contents = self.store.contents(&mapping, &rows, &[]).await?;
            let errors = self.store.errors_by_id(&ids).await?.into_iter();
            let mut errors: HashMap<i64, SyncError> = errors.map(|error| (error.id, error)).collect();
            for step in part {
                let row = values.remove(&step.at.row);
                let content = contents.remove(&step.at.row).unwrap_or_default();
                match (row, errors.remove(&step.id)) {
                    (None, _) => {
                        let why = format!("the row {} of {} is gone", step.at.row, mapping.table);
                        plan.settle(step.id, Came::Failed, why);
                    }
                    (_, None) => plan.settle(step.id, Came::Skipped, "it is resolved already"),
                    (Some(_), Some(error)) if is_on_its_way(&error) => {
                        plan.settle(step.id, Came::Skipped, "it is being sent");
                    }
                    (Some(row), Some(error)) => {
                        propose(plan, &mapping, step, seen(&mapping, &row, error), &content)
                    }
                }
            }
        }
        Ok(())
    }

    /// Gives the rows the values that were proposed, where they and their errors are as they were looked at.
    pub(in crate::client) async fn mend_rows(
        &self,
        table: &str,
        steps: &[Step],
        proposed: &HashMap<i64, Vec<FieldEdit>>,
        act: &Act,
    ) -> Result<Vec<Fate>, postgres::Error> {
        let edit = |step: &Step| RowEdit {
            row: step.at.row,
            fields: proposed.get(&step.id).cloned().unwrap_or_default(),
            undoes: None,
            against: Some(Against { error: step.id, seen: step.seen }),
        };
        let edits: Vec<RowEdit> = steps.iter().map(edit).collect();
        let saved = self.store.edit_rows(table, &edits, true, act, "edited").await?;
        let told = |fate: Fate| match fate.came {
            Came::Done => Fate { message: "saved; it is sent".to_owned(), ..fate },
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
fn propose(plan: &mut Plan, mapping: &Mapping, step: &Step, record: RecordView, content: &Content) {
    let Some(error) = &record.error else { return };
    let entry = catalogue::classify(catalogue::source_of(&error.code), &error.code, &error.message);
    let passes = |offer: &Offer| refusal(mapping, step.at.row, content.clone(), &offer.changes).is_none();
    let found =
        offers(&entry.remedies, mapping, &record).into_iter().find(|o| o.mends_a_value() && passes(o));
    let Some(offer) = found else {
        return plan.settle(step.id, Came::Skipped, A_PERSON);
    };
    plan.preview.passing += 1;
    for edit in &offer.changes {
        if plan.preview.sample.len() < SAMPLE {
            plan.preview.sample.push(sample(mapping, step, edit));
        }
    }
    plan.steps.push(step.clone());
    plan.proposed.insert(step.id, offer.changes);
}

fn sample(mapping: &Mapping, step: &Step, edit: &FieldEdit) -> Sample {
    let field = mapping.field(&edit.column).map_or(&edit.column, |field| &field.name);
    Sample {
        id: step.id,
        row: step.at.clone(),
        field: field.clone(),
        before: edit.shown.clone(),
        after: edit.new.clone(),
        refused: None,
    }
}

/// A row with its error, as far as remedies are chosen by it.
fn seen(mapping: &Mapping, row: &Hstore, error: SyncError) -> RecordView {
    let value = |column: &str| row.get(column).cloned().flatten();
    let at = RowRef { table: mapping.table.clone(), row: error.row_id.unwrap_or_default() };
    let values = mapping.fields.iter().map(|field| (field.clone(), value(&field.column))).collect();
    RecordView {
        sfid: value("sfid"),
        lastop: value("_hc_lastop"),
        ..RecordView::failed(at, &mapping.object, values, error)
    }
}
