//! The way back: entries of the audit taken back one by one, for rows that were not changed since. What is taken back is
//! a new change like any other, and is sent.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::domain::changes::merge::same;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::RowId;
use crate::domain::operations::operation::{AuditEntry, Operation, RowResult, RowStatus};
use crate::domain::records::record::FieldEdit;
use crate::postgres::operations::audit::FINAL;
use crate::postgres::operations::edit;
use crate::postgres::tables::records;

use crate::postgres::operations::audit::{NewAuditEntry, audit};
use crate::postgres::operations::edit::{RowEdit, announce};
use crate::postgres::operations::removed::OURS;
use crate::postgres::{Error, ErrorContext, Store};

impl Store {
    /// Takes entries of one table back.
    pub async fn undo_entries(
        &self,
        table: &str,
        entries: &[AuditEntry],
        operation: &Operation,
    ) -> Result<Vec<RowResult>, Error> {
        let mapping = self.registered(table).await?;
        let undone = self.undone(entries).await?;
        let rebound = self.rebound(table).await?;
        let mut results = Vec::new();
        let (mut edits, mut removed, mut ignored) = (Vec::new(), Vec::new(), Vec::new());
        for entry in entries {
            let Some(row) = entry.row else { continue };
            if undone.contains(&entry.id) {
                results.push(RowResult::new(row, RowStatus::Skipped, "it was undone already"));
                continue;
            }
            if entry.id <= rebound {
                let why = "another org took the place of its own since (rebind)";
                results.push(RowResult::new(row, RowStatus::Skipped, why));
                continue;
            }
            match (&entry.before, &entry.after) {
                _ if FINAL.contains(&entry.action.as_str()) => {
                    let why = format!("{:?} leaves nothing to take back", entry.action);
                    results.push(RowResult::new(row, RowStatus::Skipped, why));
                }
                (Some(_), Some(_)) => match edit_back(entry, row) {
                    Some(edit) => edits.push(edit),
                    None => results.push(RowResult::new(row, RowStatus::Skipped, "it changed no value")),
                },
                (Some(_), None) | (None, Some(_)) => removed.push((row, entry)),
                (None, None) if entry.action == "ignored" => ignored.push((row, entry)),
                (None, None) => results.push(RowResult::new(row, RowStatus::Skipped, "it changed no value")),
            }
        }
        if !edits.is_empty() {
            let saved = self.edit_rows(table, &edits, true, operation, "undid").await?;
            results.extend(saved.into_iter().map(|fate| match fate.status {
                RowStatus::Done => {
                    RowResult::new(fate.row, RowStatus::Done, "it is as it was before; it is sent")
                }
                _ => fate,
            }));
        }
        for (row, entry) in removed {
            results.push(self.undo_presence(&mapping, row, entry, operation).await?);
        }
        if !ignored.is_empty() {
            results.extend(self.ask_again(&mapping, &ignored, operation).await?);
        }
        Ok(results)
    }

    /// Which of these were taken back already.
    async fn undone(&self, entries: &[AuditEntry]) -> Result<HashSet<i64>, Error> {
        let client = self.client().await?;
        let ids: Vec<i64> = entries.iter().map(|entry| entry.id).collect();
        let rows = client
            .query("SELECT undoes FROM syncdeck.audit WHERE undoes = ANY($1)", &[&ids])
            .await
            .context("look what was undone")?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// The last entry by which a table's rows became those of another org; 0 without one. What was done before it was about
    /// records that are not these.
    async fn rebound(&self, table: &str) -> Result<i64, Error> {
        let client = self.client().await?;
        let sql =
            "SELECT coalesce(max(id), 0) FROM syncdeck.audit WHERE table_name = $1 AND action = 'rebound'";
        Ok(client.query_one(sql, &[&table]).await.context("look whether the org is another one now")?.get(0))
    }

    /// A row that was removed comes back as an insert; one that was brought back goes as a delete. Both are captured.
    async fn undo_presence(
        &self,
        mapping: &Mapping,
        row: RowId,
        entry: &AuditEntry,
        operation: &Operation,
    ) -> Result<RowResult, Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin an undo")?;
        let there = self.lock_rows(&transaction, mapping, &[row.0]).await?.rows.remove(&row.0);
        let skipped = |why: &str| Ok(RowResult::new(row, RowStatus::Skipped, why));
        let mut removed = None;
        let done = match (&entry.before, there) {
            (Some(_), Some(_)) => return skipped("the row is there again"),
            (None, None) => return skipped("the row is gone again"),
            (Some(before), None) => {
                // The record, if there was one, is gone: a new one is made from the whole row.
                let back = self.reinsert(&transaction, mapping, (row.0, &json!(before))).await;
                back.map(|lost| match lost.as_slice() {
                    [] => "the row is back".to_owned(),
                    lost => format!("the row is back, but for columns that are gone: {}", lost.join(", ")),
                })
            }
            (None, Some(now)) => {
                let whole = self.removed_rows(&transaction, mapping, &[row.0]).await?.remove(&row.0);
                let linked = "SELECT FROM syncdeck.audit
                    WHERE table_name = $1 AND record_id = $2 AND id > $3 AND action = 'linked' LIMIT 1";
                let linked = transaction.query_opt(linked, &[&mapping.table, &row.0, &entry.id]).await;
                if linked.context("look whether a row was linked")?.is_some() {
                    return skipped("the row took another record as its own meanwhile");
                }
                if !is_as_left(mapping, entry, (&now, whole.as_ref())) {
                    return skipped("the row was changed meanwhile");
                }
                removed = whole;
                let sql = format!("DELETE FROM {} WHERE id = $1", self.table(&mapping.table));
                transaction
                    .write_rows(&sql, &[&row.0])
                    .await
                    .context("remove a row")
                    .map(|_| "the row is removed again".to_owned())
            }
        };
        let message = match done {
            Ok(message) => message,
            Err(error) if error.is_of_this_table() => {
                return Ok(RowResult::new(
                    row,
                    RowStatus::Failed,
                    format!("PostgreSQL refuses it: {}", edit::plain(&error)),
                ));
            }
            Err(error) => return Err(error),
        };
        let undo = NewAuditEntry {
            row: Some(row.0),
            before: removed.or_else(|| entry.after.as_ref().map(|values| json!(values))),
            after: entry.before.as_ref().map(|values| json!(values)),
            undoes: Some(entry.id),
        };
        audit(&transaction, operation, "undid", mapping, &[undo]).await?;
        self.make_ready(&transaction, mapping, &[row.0], &[]).await?;
        announce(&transaction, &mapping.table, &[row.0]).await?;
        transaction.commit().await.context("undo")?;
        Ok(RowResult::new(row, RowStatus::Done, message))
    }

    /// Errors that were ignored are open again.
    async fn ask_again(
        &self,
        mapping: &Mapping,
        entries: &[(RowId, &AuditEntry)],
        operation: &Operation,
    ) -> Result<Vec<RowResult>, Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin an undo")?;
        let ids: Vec<i32> = entries.iter().map(|(row, _)| row.0).collect();
        let rows = transaction
            .query(
                "UPDATE syncdeck.error SET state = 'open', last_seen = clock_timestamp() WHERE id IN (
                     SELECT id FROM syncdeck.error WHERE table_name = $1 AND record_id = ANY($2) AND state = 'ignored'
                         AND resolved_at IS NULL ORDER BY record_id FOR UPDATE) RETURNING record_id",
                &[&mapping.table, &ids],
            )
            .await
            .context("open ignored errors again")?;
        let opened: HashSet<i32> = rows.iter().map(|row| row.get(0)).collect();
        let undos: Vec<NewAuditEntry> = entries
            .iter()
            .filter(|(row, _)| opened.contains(&row.0))
            .map(|(row, entry)| NewAuditEntry {
                row: Some(row.0),
                undoes: Some(entry.id),
                ..NewAuditEntry::default()
            })
            .collect();
        audit(&transaction, operation, "undid", mapping, &undos).await?;
        announce(&transaction, &mapping.table, &ids).await?;
        transaction.commit().await.context("open ignored errors again")?;
        let fate = |(row, _): &(RowId, &AuditEntry)| match opened.contains(&row.0) {
            true => RowResult::new(*row, RowStatus::Done, "it is on the list again"),
            false => RowResult::new(*row, RowStatus::Skipped, "it is not ignored any more"),
        };
        Ok(entries.iter().map(fate).collect())
    }
}

/// Whether a row that came back has the values that it came back with, as the row is and as it is kept; those that Salesforce
/// computes become others by themselves.
fn is_as_left(mapping: &Mapping, entry: &AuditEntry, (now, whole): (&Value, Option<&Value>)) -> bool {
    let kept = |column: &str| whole?.get(column)?.as_str();
    entry.after.iter().flatten().filter(|(column, _)| !OURS.contains(&column.as_str())).all(
        |(column, left)| match mapping.fields.iter().find(|field| field.column == *column) {
            Some(field) if field.read_only() => true,
            Some(field) => {
                let value = now.get(column).and_then(records::json_text);
                same(field, left.as_deref(), value.as_deref())
            }
            None => kept(column) == left.as_deref(),
        },
    )
}

/// The edit that takes an entry's values back; `None` when it changed none.
fn edit_back(entry: &AuditEntry, row: RowId) -> Option<RowEdit> {
    let (before, after) = (entry.before.as_ref()?, entry.after.as_ref()?);
    let fields: Vec<FieldEdit> = after
        .iter()
        .filter_map(|(column, value)| {
            let old = before.get(column)?;
            (old != value).then(|| FieldEdit {
                column: column.clone(),
                shown: value.clone(),
                new: old.clone(),
            })
        })
        .collect();
    (!fields.is_empty()).then_some(RowEdit { row, fields, undoes: Some(entry.id), against: None })
}
