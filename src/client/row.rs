//! What an operator does with one row, and what operators did.

use crate::domain::changes::merge::Side;
use crate::domain::errors::remedy::{RemedyAction, SuggestedFix};
use crate::domain::errors::sync_error::ErrorState;
use crate::domain::names::{RowId, RowRef};
use crate::domain::operations::operation::AuditQuery;
use crate::domain::operations::operation::Owner;
use crate::domain::operations::operation::{AuditEntry, AuditRecord};
use crate::domain::operations::request::Request;
use crate::domain::records::consistency::OP;
use crate::domain::records::record::{Edit, Hit};

use super::api::{Client, ClientError};
use super::attached::session::beside;

/// What linking came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Linked {
    /// The record is the row's.
    Done {
        /// Which.
        sfid: String,
    },
    /// It belongs to another row, and nothing was done.
    Taken {
        /// Which record.
        sfid: String,
        /// The row that has it.
        row: RowId,
    },
}

impl Client {
    /// Saves an edit (and sends it).
    ///
    /// # Errors
    /// When the row changed under the editor, naming the field, or cannot take the value.
    pub async fn save(&self, edit: &Edit) -> Result<(), ClientError> {
        if let Some(attached) = self.beside_heroku() {
            return attached.mend(&edit.row, &edit.fields, edit.retry, None).await;
        }
        match self.own()?.save(edit, &self.operation()).await {
            Ok(()) => Ok(()),
            Err(error) => Err(ClientError::refused(self.own()?.masked(&edit.row.table, &error).await)),
        }
    }

    /// Sends a failing row again as it is. One whose insert lost its answer, and that may be in Salesforce, is looked for
    /// there again instead: a second record is only made by a plan, which asks. What a comparison found is looked at again.
    ///
    /// # Errors
    /// When the row has nothing unsent.
    pub async fn retry(&self, row: &RowRef) -> Result<(), ClientError> {
        if let Some(attached) = self.beside_heroku() {
            return attached.mend(row, &[], true, None).await;
        }
        let found = self.own()?.error_of(row).await?.filter(|error| error.op == OP);
        if let Some(found) = found.filter(|error| error.state != ErrorState::Retrying) {
            return self.put_right(&found, &RemedyAction::LookAgain).await.map(drop);
        }
        Ok(self.own()?.retry(row, &self.operation()).await?)
    }

    /// Stops asking about a failing row, until it changes again.
    ///
    /// # Errors
    /// When the row has no open error.
    pub async fn ignore(&self, row: &RowRef) -> Result<(), ClientError> {
        if let Some(attached) = self.beside_heroku() {
            return attached.ignore(row, None).await;
        }
        Ok(self.own()?.ignore(row, &self.operation()).await?)
    }

    /// Does what a remedy says, and sends the row again. Tells what was done.
    ///
    /// # Errors
    /// When nothing can be done by itself, when the row or its error changed since the remedy was offered, while
    /// the row is being sent, or when the engine is needed and does not answer.
    pub async fn apply(&self, row: &RowRef, offer: &SuggestedFix) -> Result<String, ClientError> {
        let is_open = |action: &&RemedyAction| match action {
            RemedyAction::Pick => offer.changes.is_empty(),
            RemedyAction::Compare => true,
            _ => false,
        };
        let Some(action) = offer.action.as_ref().filter(|action| !is_open(action)) else {
            return Err(ClientError::refused(format!("this is for a person to do: {}", offer.text)));
        };
        if let Some(attached) = self.beside_heroku() {
            attached.apply(row, action, offer).await?;
            return Ok(offer.text.clone());
        }
        // What changes the row's values compares in its own transaction.
        if let (Some(against), false) = (offer.against, action.sets_values()) {
            self.own()?.still_fails(row, against).await?;
        }
        match action {
            RemedyAction::Apply(_) | RemedyAction::Nearest | RemedyAction::Pick | RemedyAction::Clear => {
                let edit = Edit { row: row.clone(), fields: offer.changes.clone(), retry: true };
                self.own()?.mend(&edit, offer.against, &self.operation()).await?;
            }
            RemedyAction::Rule { key, value } => {
                let set = self.set_rule(&row.table, key, Some(value)).await;
                set.map_err(|not_set| ClientError::refused(not_set.to_string()))?;
                self.retry(row).await?;
            }
            RemedyAction::Link => {
                if let Linked::Taken { sfid, row: other } = self.link(row, None, Owner::Keeps).await? {
                    return Err(ClientError::refused(format!(
                        "the record {sfid} belongs to the row {other} already\nif both rows are the same thing, \
                         replace that one, with: syncdeck link --replace"
                    )));
                }
            }
            // It is looked at, and done as an operation.
            RemedyAction::Compare => {}
            RemedyAction::Reread => {
                self.ask(&Request::Reread { at: row.clone() }).await?;
                self.retry(row).await?;
            }
            RemedyAction::Retry => {
                let seen = offer.against.map(|against| against.seen);
                self.own()?.retry_seen(row, seen, &self.operation()).await?;
            }
            RemedyAction::Repair(_) | RemedyAction::Merge | RemedyAction::LookAgain => {
                let error = self.own()?.error_of(row).await?;
                let error = error.ok_or_else(|| ClientError::refused("the row has no error any more"))?;
                return self.put_right(&error, action).await;
            }
            RemedyAction::Choose(side) => {
                let open = self.own()?.conflicts(row).await?;
                let open = open.iter().filter(|conflict| conflict.winner.is_none());
                let sides: Vec<(String, Side)> =
                    open.map(|conflict| (conflict.column.clone(), *side)).collect();
                self.choose(row, &sides).await?;
            }
        }
        Ok(offer.text.clone())
    }

    /// Chooses sides of fields that changed on both, by column.
    ///
    /// # Errors
    /// When a column has no open conflict.
    pub async fn choose(&self, row: &RowRef, sides: &[(String, Side)]) -> Result<(), ClientError> {
        let operation = self.own()?.begin_operation(&self.operator, self.why.as_deref()).await?;
        for (column, side) in sides {
            self.own()?.choose(row, column, *side, &operation).await?;
        }
        Ok(())
    }

    /// Takes a record as a row's own: this one, or the one that the row's error names, or that has its external id or
    /// e-mail address.
    ///
    /// # Errors
    /// When there is none, when the row has a record, or when the row that has the record cannot be replaced.
    pub async fn link(&self, row: &RowRef, sfid: Option<&str>, owner: Owner) -> Result<Linked, ClientError> {
        let mapping = self.own()?.registered(&row.table).await?;
        let at = RowRef { table: mapping.table.clone(), row: row.row };
        let found = self.ask(&Request::Existing { at, sfid: sfid.map(str::to_owned) }).await?;
        let sfid = found.as_str().unwrap_or_default().to_owned();
        let other = self.own()?.row_of(&mapping, &sfid).await?;
        if let Some(other) = other.filter(|other| owner == Owner::Keeps && *other != row.row) {
            return Ok(Linked::Taken { sfid, row: other });
        }
        let at = RowRef { table: mapping.table, row: row.row };
        self.own()?.link(&at, &sfid, owner, &self.operation()).await?;
        Ok(Linked::Done { sfid })
    }

    /// Operations of operators, the newest first; masked values are not in them.
    pub async fn operations(&self, query: &AuditQuery) -> Result<Vec<AuditRecord>, ClientError> {
        if self.beside_heroku().is_some() {
            return Err(beside("nothing notes here who did what, so nothing can be undone"));
        }
        let mut operations = self.own()?.operations(query).await?;
        let mappings = self.own()?.definitions().await?;
        for operation in &mut operations {
            if let Some(mapping) = mappings.iter().find(|mapping| mapping.object == operation.mapping) {
                operation.first.mask(mapping);
            }
        }
        Ok(operations)
    }

    /// The rows of an operation; masked values are not in them.
    ///
    /// # Errors
    /// When there is no such operation.
    pub async fn operation_entries(&self, operation: i64) -> Result<Vec<AuditEntry>, ClientError> {
        let mut entries = self.own()?.entries(operation).await?;
        if entries.is_empty() {
            return Err(ClientError::not_found(format!(
                "there is no operation {operation}\nlist them with: syncdeck audit"
            )));
        }
        let mappings = self.own()?.definitions().await?;
        for entry in &mut entries {
            if let Some(mapping) = mappings.iter().find(|mapping| mapping.table == entry.table) {
                entry.mask(mapping);
            }
        }
        Ok(entries)
    }

    /// The newest operation of this operator that can be undone, and is not undone whole.
    ///
    /// # Errors
    /// When there is none.
    pub async fn last_operation(&self) -> Result<AuditRecord, ClientError> {
        let actor = Some(self.operator.actor.clone());
        let query = AuditQuery { actor, undoable: true, limit: 1, ..AuditQuery::default() };
        let operation = self.operations(&query).await?.into_iter().next();
        let operation = operation.ok_or_else(|| ClientError::refused("there is nothing of yours to undo"))?;
        // Whoever has just done something else means that, not what they did before; sending a row again, or all of a
        // mapping whose rule was set, belongs to what was done to it.
        let newest = AuditQuery { undoable: false, ..query };
        let last = self.operations(&newest).await?.into_iter().next();
        let other =
            last.filter(|last| last.is_final && last.operation > operation.operation).filter(|last| {
                let of_the_same = last.rows == 1 && last.mapping == operation.mapping;
                !of_the_same || (operation.first.row.is_some() && operation.first.row != last.first.row)
            });
        match other {
            Some(last) => Err(ClientError::refused(format!(
                "your last operation, {} {}, leaves nothing to take back\nthe one before it: operation {}, {} {}",
                last.action,
                last.about(|rows| rows.to_string()),
                operation.operation,
                operation.action,
                operation.about(|rows| rows.to_string())
            ))),
            None => Ok(operation),
        }
    }

    /// Rows by what people have in hand: a row id, a record id, an external id.
    ///
    /// # Errors
    /// When there is no such mapping.
    pub async fn find(&self, text: &str, mapping: Option<&str>) -> Result<Vec<Hit>, ClientError> {
        if let Some(attached) = self.beside_heroku() {
            return attached.find(text, mapping).await;
        }
        Ok(self.own()?.find(text, mapping).await?)
    }
}
