//! Operations on many errors, carried out as they were planned (`plan`): in short transactions of the operator's own session,
//! each whole or not at all; what each row came to is told. One error goes the same way.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use crate::domain::changes::merge::Side;
use crate::domain::errors::group::template;
use crate::domain::mappings::field::Field;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::{RowId, RowRef};
use crate::domain::operations::operation::{
    AuditEntry, Confirm, FieldChange, Item, Operation, OperationKind, Preview, Progress, Report, RowResult,
    RowStatus, Sample,
};
use crate::domain::records::record::{FieldEdit, SalesforceValues};
use crate::postgres::changes::custody::LOG;
use crate::postgres::operations::edit::{ListedRow, RowEdit};
use crate::postgres::operations::revert::{RevertFor, Reverted};
use crate::postgres::{self, Store};

use crate::client::api::{Client, ClientError, ErrorKind};

/// Rows in one transaction: their locks are held while it lasts.
pub(in crate::client) const CHUNK: usize = 200;
/// Rows looked at together.
pub(in crate::client) const LOOK: usize = 1_000;
/// Said of rows behind one that ended the operation.
const NOT_REACHED: &str = "it was not reached: what was before it failed";
/// How often a transaction that PostgreSQL broke off is tried again.
const TRIES: u32 = 4;

/// Which errors, as an operator says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Targets {
    /// These numbers.
    Ids(Vec<i64>),
    /// Those that match a filter.
    Filter(String),
}

/// An operation as it would be carried out, with every row that it is about as it was looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What is done.
    pub kind: OperationKind,
    /// What it would do.
    pub preview: Preview,
    /// How it is to be confirmed.
    pub confirm: Confirm,
    pub(in crate::client) steps: Vec<PlanStep>,
    /// What is decided already: errors that it does not touch.
    pub(in crate::client) settled: Vec<Item>,
    /// Of an undo: what is taken back, by its number.
    pub(in crate::client) entries: HashMap<i64, AuditEntry>,
    /// Of rows that are mended by their own remedies: the values, by the error's number.
    pub(in crate::client) proposed: HashMap<i64, Vec<FieldEdit>>,
    /// Where each row gets a value of its own: the first of them, as a table.
    pub rows: Vec<Sample>,
    /// The first of those that need a person, each with what is wrong.
    pub persons: Vec<Sample>,
    /// How many others need one.
    pub more_persons: usize,
}

/// One row of a plan.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::client) struct PlanStep {
    pub(in crate::client) id: i64,
    pub(in crate::client) at: RowRef,
    pub(in crate::client) seen: DateTime<Utc>,
    /// Of a fix: what the field held, to be compared with what it holds then.
    pub(in crate::client) print: u64,
    /// Of a revert: whether the row would go, which is confirmed with it.
    pub(in crate::client) removes: bool,
    /// Of a retry: whether it may make a second record, which is confirmed with it.
    pub(in crate::client) doubles: bool,
}

impl Plan {
    /// How many rows it touches.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && !self.entries.values().any(|entry| entry.row.is_none())
    }

    /// A plan as a console is shown it.
    #[cfg(test)]
    pub fn shown(kind: OperationKind, preview: Preview, environment: &str) -> Plan {
        let at = RowRef { table: "contact".to_owned(), row: RowId(1) };
        let step = |id| PlanStep {
            id,
            at: at.clone(),
            seen: DateTime::UNIX_EPOCH,
            print: 0,
            removes: false,
            doubles: false,
        };
        let confirm = crate::domain::operations::operation::confirmation(
            preview.touched,
            environment,
            preview.removed + preview.doubled > 0,
        );
        let steps = (0_i64..).take(preview.touched).map(step).collect();
        Plan {
            kind,
            preview,
            confirm,
            steps,
            settled: Vec::new(),
            entries: HashMap::new(),
            proposed: HashMap::new(),
            rows: Vec::new(),
            persons: Vec::new(),
            more_persons: 0,
        }
    }

    pub(in crate::client) fn settle(&mut self, id: i64, result: RowStatus, message: impl Into<String>) {
        let message = message.into();
        *self.preview.left.entry(template(&message)).or_default() += 1;
        self.settled.push(Item { id, result, message });
    }

    pub(in crate::client) fn step(&mut self, id: i64, at: RowRef, seen: DateTime<Utc>) {
        self.steps.push(PlanStep { id, at, seen, print: 0, removes: false, doubles: false });
    }
}

impl Client {
    /// Carries a plan out. `stop` ends it after the transaction under way: what was not reached is as it was.
    ///
    /// # Errors
    /// When not even the first row was reached.
    pub async fn execute(
        &self,
        plan: &Plan,
        why: Option<&str>,
        progress: &(dyn Fn(Progress) + Send + Sync),
        stop: &CancellationToken,
    ) -> Result<Report, ClientError> {
        let mut report = Report::default();
        plan.settled.iter().cloned().for_each(|item| report.note(item));
        if plan.is_empty() {
            return Ok(report);
        }
        let operation = match self.beside_heroku() {
            // Nothing notes it.
            Some(_) => self.operation(),
            None => self.own()?.begin_operation(&self.operator, why).await?,
        };
        for entry in plan.entries.values().filter(|entry| entry.row.is_none()) {
            report.note(undo_rule(self.own()?, entry, &operation).await);
        }
        let mut through = 0;
        progress(Progress { through, total: plan.steps.len() });
        let parts = plan.steps.chunk_by(|a, b| a.at.table == b.at.table).flat_map(|part| part.chunks(CHUNK));
        for part in parts {
            if stop.is_cancelled() {
                report.cancelled = true;
                break;
            }
            let (results, broken) = match self.execute_batch(plan, part, &operation).await {
                Ok(results) => (results, false),
                // What one table refuses says nothing of the next; a way that is broken, and an engine that does not
                // answer, would cost each part its patience.
                Err(stopped) => {
                    let broken = stopped.is_broken() || plan.kind == OperationKind::Revert;
                    let (mut results, why) = match stopped {
                        Stopped::Postgres(error) => {
                            (Vec::new(), self.own()?.masked(&part[0].at.table, &error).await)
                        }
                        Stopped::Refused(refused) => (Vec::new(), refused.to_string()),
                        Stopped::Midway(results) => (results, NOT_REACHED.to_owned()),
                    };
                    let rest = &part[results.len()..];
                    let failed =
                        |step: &PlanStep| RowResult::new(step.at.row, RowStatus::Failed, why.clone());
                    results.extend(rest.iter().map(failed));
                    (results, broken)
                }
            };
            note(&mut report, part, results);
            through += part.len();
            progress(Progress { through, total: plan.steps.len() });
            if broken {
                // What broke one transaction for good would break them all.
                let rest = &plan.steps[through..];
                rest.iter().for_each(|step| {
                    let message = NOT_REACHED.to_owned();
                    report.note(Item { id: step.id, result: RowStatus::Failed, message });
                });
                break;
            }
        }
        report.operation = operation.number.filter(|_| report.done > 0);
        Ok(report)
    }

    /// Salesforce's side of the rows of steps.
    pub(in crate::client) async fn sides(
        &self,
        table: &str,
        steps: &[PlanStep],
    ) -> Result<HashMap<RowId, SalesforceValues>, ClientError> {
        let asked: Vec<RowId> = steps.iter().map(|step| step.at.row).collect();
        let mut sides = HashMap::new();
        for part in asked.chunks(CHUNK) {
            sides.extend(self.fetch(table, part).await?);
        }
        Ok(sides)
    }

    /// One transaction's worth; what PostgreSQL broke off is tried again, without the rows that it reached all the same.
    async fn execute_batch(
        &self,
        plan: &Plan,
        part: &[PlanStep],
        operation: &Operation,
    ) -> Result<Vec<RowResult>, Stopped> {
        let table = part[0].at.table.as_str();
        let mut done = Vec::new();
        let mut left: Vec<PlanStep> = part.to_vec();
        let mut pause = Duration::from_millis(50);
        for tries in 1.. {
            match self.work(plan, table, &left, operation).await {
                Ok(results) => {
                    done.extend(results);
                    break;
                }
                // Who holds a row for long may let go of it, and the other rows need not fail with that one.
                Err(Stopped::Postgres(error))
                    if (error.is_passing() || error.is_lock_timeout()) && tries < TRIES =>
                {
                    tokio::time::sleep(pause).await;
                    pause *= 4;
                    let rows: Vec<i32> = left.iter().map(|step| step.at.row.0).collect();
                    let number = operation.number.unwrap_or_default();
                    let reached = self.own()?.reached(number, table, &rows).await.unwrap_or_default();
                    let (there, rest) = left.into_iter().partition(|step| reached.contains(&step.at.row.0));
                    left = rest;
                    let there: Vec<PlanStep> = there;
                    done.extend(
                        there.iter().map(|step| RowResult::new(step.at.row, RowStatus::Done, "done")),
                    );
                }
                Err(stopped) => return Err(stopped),
            }
        }
        Ok(done)
    }

    async fn work(
        &self,
        plan: &Plan,
        table: &str,
        steps: &[PlanStep],
        operation: &Operation,
    ) -> Result<Vec<RowResult>, Stopped> {
        if steps.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(attached) = self.beside_heroku() {
            return self.work_beside_heroku(attached, plan, steps).await;
        }
        let listed =
            |step: &PlanStep| ListedRow { row: step.at.row, seen: Some(step.seen), twice: step.doubles };
        let rows: Vec<RowId> = steps.iter().map(|step| step.at.row).collect();
        Ok(match &plan.kind {
            OperationKind::Retry | OperationKind::Release => {
                let action = if plan.kind == OperationKind::Retry { "retried" } else { "released" };
                let listed: Vec<ListedRow> = steps.iter().map(listed).collect();
                self.own()?.retry_rows(table, &listed, operation, action).await?
            }
            OperationKind::Ignore if table == LOG => self.own()?.ignore_entries(&rows, operation).await?,
            OperationKind::Ignore => self.own()?.ignore_rows(table, &rows, operation).await?,
            OperationKind::Revert => {
                let mut sides = self.sides(table, steps).await?;
                let (mut reverted, mut results) = (Vec::new(), Vec::new());
                for step in steps {
                    let row = step.at.row;
                    match sides.remove(&row) {
                        Some(record) => {
                            reverted.push(Reverted { row, record, remove: step.removes, as_found: None })
                        }
                        None => results.push(RowResult::new(
                            row,
                            RowStatus::Failed,
                            "Salesforce's side of it is not known",
                        )),
                    }
                }
                results
                    .extend(self.own()?.revert_rows(table, &reverted, RevertFor::Revert, operation).await?);
                results
            }
            OperationKind::Fix { field, how, retry } => {
                self.fix_rows(table, steps, (field, how), *retry, operation).await?
            }
            OperationKind::Mend => {
                Client::mend_rows(self.own()?, table, steps, &plan.proposed, operation).await?
            }
            OperationKind::Merge(merge) => {
                Client::merge_into_record(self.own()?, steps, merge, operation).await?
            }
            OperationKind::Choose(side) => {
                let mut results = Vec::new();
                for step in steps {
                    results.push(self.choose_all(step, *side, operation).await?);
                }
                results
            }
            OperationKind::Undo(_) => {
                let entries: Vec<AuditEntry> =
                    steps.iter().filter_map(|step| plan.entries.get(&step.id).cloned()).collect();
                self.own()?.undo_entries(table, &entries, operation).await?
            }
        })
    }

    /// Every open conflict of a row goes by one side.
    async fn choose_all(
        &self,
        step: &PlanStep,
        side: Side,
        operation: &Operation,
    ) -> Result<RowResult, Stopped> {
        let conflicts = self.own()?.conflicts(&step.at).await?;
        let mut chosen = Vec::new();
        for conflict in conflicts.iter().filter(|conflict| conflict.winner.is_none()) {
            match self.own()?.choose(&step.at, &conflict.column, side, operation).await {
                Ok(()) => chosen.push(conflict.column.as_str()),
                // Somebody else has chosen meanwhile.
                Err(postgres::Error::NotFound(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(match chosen.is_empty() {
            true => RowResult::new(step.at.row, RowStatus::Skipped, "it has no open conflict"),
            false => RowResult::new(
                step.at.row,
                RowStatus::Done,
                format!("{}: {}", chosen.join(", "), side.word()),
            ),
        })
    }

    /// The rows as they are now; one that does not hold what was looked at any more is somebody else's.
    async fn fix_rows(
        &self,
        table: &str,
        steps: &[PlanStep],
        (name, how): (&str, &FieldChange),
        retry: bool,
        operation: &Operation,
    ) -> Result<Vec<RowResult>, Stopped> {
        let mapping = self.own()?.registered(table).await?;
        let field = field_of(&mapping, name)?;
        let rows: Vec<RowId> = steps.iter().map(|step| step.at.row).collect();
        let values = self.own()?.values(table, &rows).await?;
        let mut results = Vec::new();
        let mut edits = Vec::new();
        for step in steps {
            let row = step.at.row;
            let Some(values) = values.get(&row) else {
                results.push(RowResult::new(
                    row,
                    RowStatus::Failed,
                    format!("the row {row} of {table} is gone"),
                ));
                continue;
            };
            let shown = values.get(&field.column).cloned().flatten();
            if print(shown.as_ref()) != step.print {
                results.push(RowResult::new(
                    row,
                    RowStatus::Skipped,
                    format!("{} was changed meanwhile", field.column),
                ));
                continue;
            }
            match how.apply(field, shown.as_deref()) {
                Ok(new) => {
                    let fields = vec![FieldEdit { column: field.column.clone(), shown, new }];
                    edits.push(RowEdit { row, fields, undoes: None, against: None });
                }
                Err(why) => results.push(RowResult::new(row, RowStatus::Failed, why)),
            }
        }
        let said = if retry { "saved; it is sent" } else { "saved" };
        let saved = self.own()?.edit_rows(table, &edits, retry, operation, "edited").await?;
        results.extend(saved.into_iter().map(|fate| match fate.status {
            RowStatus::Done => RowResult { message: said.to_owned(), ..fate },
            _ => fate,
        }));
        Ok(results)
    }
}

/// Takes back that a rule was set.
async fn undo_rule(store: &Store, entry: &AuditEntry, operation: &Operation) -> Item {
    let (before, after) = (entry.before.clone().unwrap_or_default(), entry.after.clone().unwrap_or_default());
    let item = |result, message: String| Item { id: entry.id, result, message };
    let Some((key, value)) = before.into_iter().next().filter(|_| entry.action == "set") else {
        return item(RowStatus::Skipped, format!("{:?} leaves nothing to take back", entry.action));
    };
    let now = match store.registered(&entry.table).await {
        Ok(mapping) => store.rule_set(&mapping.object, &key).await,
        Err(error) => Err(error),
    };
    let now = match now {
        Ok(now) => now,
        Err(error) => return item(RowStatus::Failed, error.to_string()),
    };
    if now != after.get(&key).cloned().flatten() {
        return item(RowStatus::Skipped, format!("{key} was changed meanwhile"));
    }
    match store.set_rule(&entry.table, &key, value.as_deref(), operation, Some(entry.id)).await {
        Ok(_) => {
            item(RowStatus::Done, format!("{key} is {} again", value.as_deref().unwrap_or("as configured")))
        }
        Err(error) => item(RowStatus::Failed, error.to_string()),
    }
}

/// Why a transaction's worth came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stopped {
    #[error(transparent)]
    Postgres(postgres::Error),
    #[error(transparent)]
    Refused(#[from] ClientError),
    /// Beside Heroku Connect: what became of the rows up to the one at which PostgreSQL was away.
    #[error("PostgreSQL is away")]
    Midway(Vec<RowResult>),
}

impl Stopped {
    /// Whether what comes after it would fail in the same way.
    fn is_broken(&self) -> bool {
        match self {
            Stopped::Postgres(_) | Stopped::Midway(_) => true,
            Stopped::Refused(refused) => refused.kind == ErrorKind::Unavailable,
        }
    }
}

impl From<postgres::Error> for Stopped {
    fn from(error: postgres::Error) -> Stopped {
        match error {
            error @ (postgres::Error::Connect(_) | postgres::Error::Sql { .. }) => Stopped::Postgres(error),
            error => Stopped::Refused(error.into()),
        }
    }
}

/// A mapped field by API name or column.
pub(in crate::client) fn field_of<'a>(mapping: &'a Mapping, name: &str) -> Result<&'a Field, ClientError> {
    let field = mapping.field_named(name).map_err(ClientError::refused)?;
    if field.read_only() {
        return Err(ClientError::refused(format!(
            "{}.{}: Salesforce lets nobody write this field",
            mapping.object, field.name
        )));
    }
    Ok(field)
}

pub(in crate::client) fn print(value: Option<&String>) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Puts what became of rows under the numbers by which they were asked for; a row may be asked for more than once.
fn note(report: &mut Report, part: &[PlanStep], results: Vec<RowResult>) {
    let mut by_row: HashMap<RowId, VecDeque<RowResult>> = HashMap::new();
    for fate in results {
        by_row.entry(fate.row).or_default().push_back(fate);
    }
    for step in part {
        let fate = by_row.get_mut(&step.at.row).and_then(VecDeque::pop_front);
        let (result, message) = fate
            .map_or((RowStatus::Skipped, "nothing became of it".to_owned()), |fate| {
                (fate.status, fate.message)
            });
        report.note(Item { id: step.id, result, message });
    }
}
