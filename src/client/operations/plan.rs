//! What an operation would do: every error that it is about is looked at, and nothing is changed.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use crate::domain::changes::coalesce::{Entry, WriteKind};
use crate::domain::changes::dispatch::{self, Claimed, Content, Planned};
use crate::domain::errors::sync_error::ErrorState;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::{RowId, RowRef};
use crate::domain::operations::operation::{
    AuditEntry, Confirm, FieldChange, OperationKind, Preview, RowStatus, Sample, confirmation,
};
use crate::domain::records::record::{FieldEdit, SalesforceState, SalesforceValues};
use crate::domain::values::hstore::Hstore;
use crate::postgres::changes::custody::LOG;
use crate::postgres::errors::sync_errors::{ErrorSelection, ErrorTarget};

use super::execute::{CHUNK, LOOK, Plan, PlanStep, Targets, field_of, print};
use crate::client::api::{Client, ClientError};
use crate::client::queries::filter;

/// Rows that a preview shows.
pub(in crate::client) const SAMPLE: usize = 12;

impl Client {
    /// Looks at what an operation would do. Nothing is changed.
    ///
    /// # Errors
    /// A filter, a field or an operation that there is not; of a revert, also when no engine tells Salesforce's values.
    pub async fn plan(&self, chosen: &Targets, kind: OperationKind) -> Result<Plan, ClientError> {
        let mut plan = Plan {
            kind: kind.clone(),
            preview: Preview::default(),
            confirm: Confirm::Nothing,
            steps: Vec::new(),
            settled: Vec::new(),
            entries: HashMap::new(),
            proposed: HashMap::new(),
            rows: Vec::new(),
            persons: Vec::new(),
            more_persons: 0,
        };
        self.refuse_beside_heroku(&kind)?;
        match kind {
            OperationKind::Undo(operation) => self.plan_undo(operation, &mut plan).await?,
            _ => self.select(chosen, &mut plan).await?,
        }
        plan.steps.sort_by(|a, b| (&a.at.table, a.at.row).cmp(&(&b.at.table, b.at.row)));
        match &kind {
            OperationKind::Fix { field, how, .. } => self.look_at_fix(field, how, &mut plan).await?,
            OperationKind::Merge(merge) => self.look_at_merge(merge, &mut plan).await?,
            OperationKind::Mend => self.look_at_remedies(&mut plan).await?,
            OperationKind::Revert => self.look_at_revert(&mut plan).await?,
            OperationKind::Retry | OperationKind::Release if self.beside_heroku().is_none() => {
                self.look_at_doubles(&mut plan).await?
            }
            _ => {}
        }
        plan.preview.touched = plan.steps.len();
        let environment = self.environment().await?;
        plan.confirm =
            confirmation(plan.steps.len(), &environment, plan.preview.removed + plan.preview.doubled > 0);
        Ok(plan)
    }

    /// Every error that is chosen becomes a step, or is decided already.
    async fn select(&self, chosen: &Targets, plan: &mut Plan) -> Result<(), ClientError> {
        let selection = match chosen {
            Targets::Ids(ids) => ErrorSelection::Ids(ids.clone()),
            Targets::Filter(text) => ErrorSelection::Filter(filter(text)?),
        };
        let targets = match self.beside_heroku() {
            Some(attached) => attached.targets(&selection).await?,
            None => self.own()?.targets(&selection).await?,
        };
        if let Targets::Ids(ids) = chosen {
            for id in ids.iter().filter(|id| !targets.iter().any(|target| target.id == **id)) {
                plan.settle(
                    *id,
                    RowStatus::Failed,
                    format!("there is no error {id}\nlist them with: syncdeck errors"),
                );
            }
        }
        plan.preview.selected = targets.len();
        for target in targets {
            let entry = target.entry.map(|entry| RowRef { table: LOG.to_owned(), row: RowId(entry) });
            let row = target.row.map(|row| RowRef { table: target.table.clone(), row });
            match (settled(&plan.kind, &target), row.or(entry)) {
                (Some(why), _) => plan.settle(target.id, RowStatus::Skipped, why),
                (None, Some(at)) => plan.step(target.id, at, target.seen),
                (None, None) => {}
            }
        }
        Ok(())
    }

    async fn plan_undo(&self, operation: i64, plan: &mut Plan) -> Result<(), ClientError> {
        let entries = self.own()?.entries(operation).await?;
        if entries.is_empty() {
            return Err(ClientError::not_found(format!(
                "there is no operation {operation}\nlist them with: syncdeck audit"
            )));
        }
        plan.preview.selected = entries.len();
        let rules: HashMap<String, Mapping> = self
            .own()?
            .definitions()
            .await?
            .into_iter()
            .map(|mapping| (mapping.table.clone(), mapping))
            .collect();
        for entry in entries {
            if let Some(row) = entry.row {
                plan.step(entry.id, RowRef { table: entry.table.clone(), row }, DateTime::UNIX_EPOCH);
            }
            if plan.preview.sample.len() < SAMPLE {
                let mut shown = entry.clone();
                if let Some(mapping) = rules.get(&entry.table) {
                    shown.mask(mapping);
                }
                plan.preview.sample.extend(back(&shown));
            }
            plan.entries.insert(entry.id, entry);
        }
        Ok(())
    }

    /// What a fix makes of each row: rows whose value stays as it is are left alone, and so is one whose value a
    /// transform does not take.
    async fn look_at_fix(&self, name: &str, how: &FieldChange, plan: &mut Plan) -> Result<(), ClientError> {
        let steps = std::mem::take(&mut plan.steps);
        let (mut unfit, mut fits) = (None, false);
        for part in steps.chunk_by(|a, b| a.at.table == b.at.table).flat_map(|of_table| of_table.chunks(LOOK))
        {
            let mapping = self.registered(&part[0].at.table).await?;
            let field = match field_of(&mapping, name) {
                Ok(field) => field,
                // Of errors of several mappings, those that have the field are fixed.
                Err(refused) => {
                    part.iter().for_each(|step| plan.settle(step.id, RowStatus::Failed, refused.to_string()));
                    unfit = Some(refused);
                    continue;
                }
            };
            fits = true;
            let rows: Vec<RowId> = part.iter().map(|step| step.at.row).collect();
            let mut values = self.tables().values(&mapping.table, &rows).await?;
            let mut contents = self.contents(&mapping, &rows).await?;
            for step in part {
                let Some(row) = values.remove(&step.at.row) else {
                    let why = format!("the row {} of {} is gone", step.at.row, mapping.table);
                    plan.settle(step.id, RowStatus::Failed, why);
                    continue;
                };
                let before = row.get(&field.column).cloned().flatten();
                let after = match how.apply(field, before.as_deref()) {
                    Ok(after) if after == before => {
                        plan.settle(step.id, RowStatus::Skipped, "its value stays as it is");
                        continue;
                    }
                    Ok(after) => after,
                    Err(why) => {
                        plan.settle(step.id, RowStatus::Failed, format!("{}: {why}", field.name));
                        continue;
                    }
                };
                let content = contents.remove(&step.at.row).unwrap_or_default();
                let edit =
                    FieldEdit { column: field.column.clone(), shown: before.clone(), new: after.clone() };
                let refused = refusal(&mapping, step.at.row, content, &[edit]);
                match &refused {
                    None => plan.preview.passing += 1,
                    Some((group, _)) => *plan.preview.refused.entry(group.clone()).or_default() += 1,
                }
                if plan.preview.sample.len() < SAMPLE {
                    plan.preview.sample.push(Sample {
                        id: step.id,
                        row: step.at.clone(),
                        field: field.name.clone(),
                        before: before.clone(),
                        after,
                        refused: refused.map(|(_, message)| message),
                    });
                }
                plan.steps.push(PlanStep { print: print(before.as_ref()), ..step.clone() });
            }
        }
        match unfit.filter(|_| !fits) {
            Some(refused) => Err(refused),
            None => Ok(()),
        }
    }

    /// What of rows is unsent, as far as that is known; the values of an edit are checked with it.
    pub(in crate::client) async fn contents(
        &self,
        mapping: &Mapping,
        rows: &[RowId],
    ) -> Result<HashMap<RowId, Content>, ClientError> {
        match self.beside_heroku() {
            Some(attached) => attached.contents(&mapping.table, rows).await,
            None => Ok(self.own()?.contents(mapping, rows, &[]).await?),
        }
    }

    /// Which rows may have a record already: the answer to their insert was lost, and nothing but a person can tell.
    async fn look_at_doubles(&self, plan: &mut Plan) -> Result<(), ClientError> {
        for part in plan.steps.chunk_by_mut(|a, b| a.at.table == b.at.table) {
            let mapping = self.own()?.registered(&part[0].at.table).await?;
            let lost = self.own()?.lost_rows(&mapping).await?;
            for step in part.iter_mut().filter(|step| lost.contains(&step.at.row)) {
                step.doubles = true;
                plan.preview.doubled += 1;
            }
        }
        Ok(())
    }

    /// Which rows a revert would remove, and what becomes of the first.
    async fn look_at_revert(&self, plan: &mut Plan) -> Result<(), ClientError> {
        let mut steps = std::mem::take(&mut plan.steps);
        for part in steps.chunk_by_mut(|a, b| a.at.table == b.at.table) {
            let mapping = self.own()?.registered(&part[0].at.table).await?;
            let rows: Vec<RowId> = part.iter().map(|step| step.at.row).collect();
            let known = self.own()?.sfids_of(&mapping.table, &rows).await?;
            part.iter_mut().for_each(|step| step.removes = !known.contains_key(&step.at.row));
            // Of the first, also those that Salesforce has under their external id, or has no more.
            let first = part.len().min(CHUNK);
            let first = &mut part[..first];
            let sides = self.sides(&mapping.table, first).await?;
            let rows: Vec<RowId> = first.iter().map(|step| step.at.row).collect();
            let values = self.own()?.values(&mapping.table, &rows).await?;
            for step in first {
                let side = sides.get(&step.at.row);
                step.removes = side.is_none_or(|side| side.state != SalesforceState::Found);
                let room = SAMPLE.saturating_sub(plan.preview.sample.len());
                let samples = reverted(&mapping, step, values.get(&step.at.row), side);
                plan.preview.sample.extend(samples.into_iter().take(room));
            }
        }
        plan.preview.removed = steps.iter().filter(|step| step.removes).count();
        plan.steps = steps;
        Ok(())
    }
}

/// Why an error is left alone, whatever its row is like.
fn settled(kind: &OperationKind, target: &ErrorTarget) -> Option<&'static str> {
    match (target.row, target.state, kind) {
        (_, ErrorState::Resolved, _) => Some("it is resolved already"),
        (Some(_), ErrorState::Ignored, OperationKind::Ignore) => Some("it is ignored already"),
        (Some(_), _, OperationKind::Retry | OperationKind::Release | OperationKind::Revert)
            if target.is_finding =>
        {
            Some(
                "a comparison found it, and nothing of it is unsent: put it right by its remedies, or with: syncdeck repair",
            )
        }
        (None, _, OperationKind::Ignore) if target.entry.is_some() => None,
        (None, ..) if target.entry.is_some() => {
            Some("it is of an entry that fits no row: mend the entry and set its state to NEW, or ignore it")
        }
        (None, _, OperationKind::Ignore) => {
            Some("it is not of one row; it ends by itself when its cause does")
        }
        (None, _, OperationKind::Retry | OperationKind::Release) => {
            Some("it is not of one row; it is tried again by itself")
        }
        (None, ..) => Some("it is not of one row; there is nothing to change"),
        (_, state, OperationKind::Release) if state != ErrorState::Review => {
            Some("it does not wait for a release")
        }
        _ => None,
    }
}

/// What the checks would say against a row with other values: in a few words, and whole.
pub(in crate::client) fn refusal(
    mapping: &Mapping,
    row: RowId,
    mut content: Content,
    edits: &[FieldEdit],
) -> Option<(String, String)> {
    let unit = Claimed { table: mapping.table.clone(), row, ..Claimed::default() };
    // Who changes a field that changed on both sides has chosen.
    content.conflicts.retain(|conflict| edits.iter().all(|edit| edit.column != conflict.column));
    content.entries.push(Entry {
        id: i64::from(i32::MAX),
        action: WriteKind::Update,
        sfid: content.sfid.clone(),
        old: None,
        values: edits.iter().map(|edit| (edit.column.clone(), edit.new.clone())).collect::<Hstore>(),
        captured_at: Utc::now(),
    });
    match dispatch::plan(mapping, &unit, &content) {
        Planned::Refused { refusal, .. } => {
            let group = format!("{} {}", refusal.code, refusal.fields.join(", "));
            Some((group, refusal.message))
        }
        _ => None,
    }
}

/// What an undo would do to an entry's row: a line for each value.
fn back(entry: &AuditEntry) -> Vec<Sample> {
    let row = RowRef { table: entry.table.clone(), row: entry.row.unwrap_or_default() };
    let line = |field: &str, before: Option<String>, after: Option<String>| Sample {
        id: entry.id,
        row: row.clone(),
        field: field.to_owned(),
        before,
        after,
        refused: None,
    };
    match (&entry.before, &entry.after) {
        (Some(before), Some(after)) => {
            let changed = after.iter().filter(|(column, value)| before.get(*column) != Some(*value));
            changed
                .map(|(column, value)| line(column, value.clone(), before.get(column).cloned().flatten()))
                .collect()
        }
        (Some(_), None) => {
            vec![line("", Some("the row was removed".to_owned()), Some("it comes back".to_owned()))]
        }
        (None, Some(_)) => {
            vec![line("", Some("the row came back".to_owned()), Some("it is removed".to_owned()))]
        }
        (None, None) => vec![line("", Some(entry.action.clone()), None)],
    }
}

/// What a revert would do to a row: a line for each value.
fn reverted(
    mapping: &Mapping,
    step: &PlanStep,
    row: Option<&Hstore>,
    side: Option<&SalesforceValues>,
) -> Vec<Sample> {
    let line = |field: &str, before: Option<String>, after: Option<String>| Sample {
        id: step.id,
        row: step.at.clone(),
        field: field.to_owned(),
        before,
        after,
        refused: None,
    };
    let there = side.filter(|side| side.state == SalesforceState::Found);
    match (row, there) {
        (Some(_), None) => {
            vec![line("", Some("Salesforce has no record".to_owned()), Some("the row is removed".to_owned()))]
        }
        (None, Some(_)) => {
            vec![line("", Some("the row is gone".to_owned()), Some("the row comes back".to_owned()))]
        }
        (None, None) => Vec::new(),
        (Some(row), Some(side)) => {
            let fields = mapping.read_fields().filter_map(|field| {
                let ours = row.get(&field.column).cloned().flatten();
                let theirs = side.values.get(&field.column)?.clone();
                let same = crate::domain::changes::merge::same(field, ours.as_deref(), theirs.as_deref());
                (!same).then(|| line(&field.name, ours, theirs))
            });
            fields.collect()
        }
    }
}
