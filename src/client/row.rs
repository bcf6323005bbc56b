//! What an operator does through the door with one row, and what operators did.

use crate::domain::act::{AuditEntry, PastAct};
use crate::domain::merge::Side;
use crate::domain::names::{RowId, RowRef};
use crate::domain::record::{Edit, Hit};
use crate::domain::remedy::{Action, Offer};
use crate::domain::request::Request;
use crate::postgres::audit::AuditQuery;
use crate::postgres::link::Owner;

use super::handle::{Handle, Refused};

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

impl Handle {
    /// Saves an edit (and sends it).
    ///
    /// # Errors
    /// Refused when the row changed under the editor, naming the field, or cannot take the value.
    pub async fn save(&self, edit: &Edit) -> Result<(), Refused> {
        match self.store.save(edit, &self.act()).await {
            Ok(()) => Ok(()),
            Err(error) => Err(Refused(self.store.masked(&edit.row.table, &error).await)),
        }
    }

    /// Sends a failing row again as it is. One whose insert lost its answer, and that may be in Salesforce, is looked for
    /// there again instead: a second record is only made by a plan, which asks.
    ///
    /// # Errors
    /// Refused when the row has nothing unsent.
    pub async fn retry(&self, row: &RowRef) -> Result<(), Refused> {
        Ok(self.store.retry(row, &self.act()).await?)
    }

    /// Stops asking about a failing row, until it changes again.
    ///
    /// # Errors
    /// Refused when the row has no open error.
    pub async fn ignore(&self, row: &RowRef) -> Result<(), Refused> {
        Ok(self.store.ignore(row, &self.act()).await?)
    }

    /// Does what a remedy says, and sends the row again. Tells what was done.
    ///
    /// # Errors
    /// Refused when nothing can be done by itself, when the row or its error changed since the remedy was offered, while
    /// the row is being sent, or when the engine is needed and does not answer.
    pub async fn apply(&self, row: &RowRef, offer: &Offer) -> Result<String, Refused> {
        let Some(action) = &offer.action else {
            return Err(Refused(format!("this is for a person to do: {}", offer.text)));
        };
        // What changes the row's values compares in its own transaction.
        if let (Some(against), false) = (offer.against, matches!(action, Action::Apply(_) | Action::Clear)) {
            self.store.still_fails(row, against).await?;
        }
        match action {
            Action::Apply(_) | Action::Clear => {
                let edit = Edit { row: row.clone(), fields: offer.changes.clone(), retry: true };
                self.store.mend(&edit, offer.against, &self.act()).await?;
            }
            Action::Rule { key, value } => {
                let set = self.set_rule(&row.table, key, Some(value)).await;
                set.map_err(|not_set| Refused(not_set.to_string()))?;
                self.retry(row).await?;
            }
            Action::Link => {
                if let Linked::Taken { sfid, row: other } = self.link(row, None, Owner::Keeps).await? {
                    return Err(Refused(format!(
                        "the record {sfid} belongs to the row {other} already\nif both rows are the same thing, \
                         replace that one, with: syncdeck link --replace"
                    )));
                }
            }
            Action::Reread => {
                self.ask(&Request::Reread { at: row.clone() }).await?;
                self.retry(row).await?;
            }
            Action::Retry => {
                let seen = offer.against.map(|against| against.seen);
                self.store.retry_seen(row, seen, &self.act()).await?;
            }
            Action::Choose(side) => {
                let open = self.store.conflicts(row).await?;
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
    /// Refused when a column has no open conflict.
    pub async fn choose(&self, row: &RowRef, sides: &[(String, Side)]) -> Result<(), Refused> {
        let act = self.store.begin_act(&self.operator, self.why.as_deref()).await?;
        for (column, side) in sides {
            self.store.choose(row, column, *side, &act).await?;
        }
        Ok(())
    }

    /// Takes a record as a row's own: this one, or the one that the row's error names, or that has its external id or
    /// e-mail address.
    ///
    /// # Errors
    /// Refused when there is none, when the row has a record, or when the row that has the record cannot be replaced.
    pub async fn link(&self, row: &RowRef, sfid: Option<&str>, owner: Owner) -> Result<Linked, Refused> {
        let mapping = self.store.registered(&row.table).await?;
        let at = RowRef { table: mapping.table.clone(), row: row.row };
        let found = self.ask(&Request::Existing { at, sfid: sfid.map(str::to_owned) }).await?;
        let sfid = found.as_str().unwrap_or_default().to_owned();
        let other = self.store.row_of(&mapping, &sfid).await?;
        if let Some(other) = other.filter(|other| owner == Owner::Keeps && *other != row.row) {
            return Ok(Linked::Taken { sfid, row: other });
        }
        let at = RowRef { table: mapping.table, row: row.row };
        self.store.link(&at, &sfid, owner, &self.act()).await?;
        Ok(Linked::Done { sfid })
    }

    /// Acts of operators, the newest first; masked values are not in them.
    pub async fn acts(&self, query: &AuditQuery) -> Result<Vec<PastAct>, Refused> {
        let mut acts = self.store.acts(query).await?;
        let mappings = self.store.definitions().await?;
        for act in &mut acts {
            if let Some(mapping) = mappings.iter().find(|mapping| mapping.object == act.mapping) {
                act.first.mask(&mapping.rules);
            }
        }
        Ok(acts)
    }

    /// The rows of an act; masked values are not in them.
    ///
    /// # Errors
    /// Refused when there is no such act.
    pub async fn act_entries(&self, act: i64) -> Result<Vec<AuditEntry>, Refused> {
        let mut entries = self.store.entries(act).await?;
        if entries.is_empty() {
            return Err(Refused(format!("there is no act {act}\nlist them with: syncdeck audit")));
        }
        let mappings = self.store.definitions().await?;
        for entry in &mut entries {
            if let Some(mapping) = mappings.iter().find(|mapping| mapping.table == entry.table) {
                entry.mask(&mapping.rules);
            }
        }
        Ok(entries)
    }

    /// The newest act of this operator that can be undone, and is not undone whole.
    ///
    /// # Errors
    /// Refused when there is none.
    pub async fn last_act(&self) -> Result<PastAct, Refused> {
        let actor = Some(self.operator.actor.clone());
        let query = AuditQuery { actor, undoable: true, limit: 1, ..AuditQuery::default() };
        let act = self.acts(&query).await?.into_iter().next();
        let act = act.ok_or_else(|| Refused("there is nothing of yours to undo".to_owned()))?;
        // Whoever has just done something else means that, not what they did before; sending a row again, or all of a
        // mapping whose rule was set, belongs to what was done to it.
        let newest = AuditQuery { undoable: false, ..query };
        let last = self.acts(&newest).await?.into_iter().next();
        let other = last.filter(|last| last.is_final && last.act > act.act).filter(|last| {
            let of_the_same = last.rows == 1 && last.mapping == act.mapping;
            !of_the_same || (act.first.row.is_some() && act.first.row != last.first.row)
        });
        match other {
            Some(last) => Err(Refused(format!(
                "your last act, {} {}, leaves nothing to take back\nthe one before it: act {}, {} {}",
                last.action,
                last.about(|rows| rows.to_string()),
                act.act,
                act.action,
                act.about(|rows| rows.to_string())
            ))),
            None => Ok(act),
        }
    }

    /// Rows by what people have in hand: a row id, a record id, an external id.
    ///
    /// # Errors
    /// Refused when there is no such mapping.
    pub async fn find(&self, text: &str, mapping: Option<&str>) -> Result<Vec<Hit>, Refused> {
        Ok(self.store.find(text, mapping).await?)
    }
}
