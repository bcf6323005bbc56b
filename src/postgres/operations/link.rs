//! Linking: a row takes a record that is in Salesforce already as its own, so that its insert becomes an update.

use std::collections::HashMap;

use serde_json::{Value, json};
use tokio_postgres::error::SqlState;

use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::{RowId, RowRef};
use crate::domain::operations::operation::{Operation, Owner};
use crate::domain::records::duplicate::Merge;
use crate::domain::records::record::FieldEdit;

use crate::postgres::changes::queue::UNSENT;
use crate::postgres::errors::failing::failing;
use crate::postgres::operations::audit::{NewAuditEntry, audit};
use crate::postgres::operations::edit::{RowEdit, announce, compare, plain};
use crate::postgres::tables::records::json_text;
use crate::postgres::{AS_ENGINE, AS_USER, Error, ErrorContext, Store, Transaction};

/// A row that somebody has, in words.
fn busy(error: Error, row: i32) -> Error {
    match error.sql_state() {
        Some(&SqlState::LOCK_NOT_AVAILABLE) => {
            Error::Conflict(format!("somebody is changing the row {row} right now\ntry again"))
        }
        _ => error,
    }
}

/// What a row takes over.
#[derive(Clone, Copy)]
struct Taken<'a> {
    sfid: &'a str,
    owner: Owner,
    /// Values that it gets.
    fields: &'a [FieldEdit],
    /// What was looked at: the row's error, and the row that has the record.
    against: Option<&'a Merge>,
}

impl Store {
    /// Takes a record as this row's own, and sends the row again.
    ///
    /// # Errors
    /// Refused when the row has a record; when the record has a row, which is named, unless that is to be replaced, has
    /// nothing unsent and nothing that refers to it.
    pub async fn link(
        &self,
        at: &RowRef,
        sfid: &str,
        owner: Owner,
        operation: &Operation,
    ) -> Result<(), Error> {
        let taken = Taken { sfid, owner, fields: &[], against: None };
        self.take_record(at, &taken, operation).await
    }

    /// The same, where the row gets the values that were chosen; the row that has the record is replaced where that is known.
    ///
    /// # Errors
    /// As `link`, and when the row, its error, or which row has the record is not what was looked at.
    pub async fn link_with(&self, at: &RowRef, merge: &Merge, operation: &Operation) -> Result<(), Error> {
        let owner = if merge.replaces.is_some() { Owner::IsReplaced } else { Owner::Keeps };
        let taken = Taken { sfid: &merge.sfid, owner, fields: &merge.fields, against: Some(merge) };
        self.take_record(at, &taken, operation).await
    }

    async fn take_record(&self, at: &RowRef, taken: &Taken<'_>, operation: &Operation) -> Result<(), Error> {
        let Taken { sfid, owner, fields, against } = *taken;
        let mapping = self.registered(&at.table).await?;
        let table = self.table(&mapping.table);
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to link a row")?;
        let other = transaction
            .query_opt(&format!("SELECT id FROM {table} WHERE sfid = $1"), &[&sfid])
            .await
            .context("look for the record's row")?
            .map(|row| row.get::<_, i32>(0));
        if let Some(merge) = against
            && other.filter(|other| *other != at.row.0) != merge.replaces.map(|row| row.0)
        {
            return Err(Error::Conflict(format!(
                "the record {sfid} has gone to another row meanwhile\nlook at both again"
            )));
        }
        // Both rows are waited for, but for a shorter time than the server takes to look for deadlocks.
        transaction
            .batch_execute("SET LOCAL lock_timeout = '500ms'")
            .await
            .context("limit the wait for locks")?;
        let mut rows = HashMap::new();
        for id in other.into_iter().chain([at.row.0]) {
            let locked =
                self.lock_rows(&transaction, &mapping, &[id]).await.map_err(|error| busy(error, id))?;
            rows.extend(locked.rows);
        }
        transaction.batch_execute("SET LOCAL lock_timeout = 0").await.context("wait for the rest")?;
        let row = rows
            .get(&at.row.0)
            .ok_or_else(|| Error::NotFound(format!("the row {} of {} is gone", at.row, mapping.table)))?;
        if let Some(known) = row.get("sfid").and_then(json_text) {
            return Err(Error::Refused(format!("the row {} has a record already, {known}", at.row)));
        }
        if let Some(merge) = against {
            self.lock_new_entries(&transaction, &mapping.table, &[at.row.0]).await?;
            let failing = failing(&transaction, &mapping.table, &[at.row.0]).await?;
            failing.compare(at.row, merge.against).map_err(|(_, why)| Error::Conflict(why))?;
        }
        if let (Some(merge), Some(other)) = (against, other) {
            // Nothing of it is written: what was shown is compared.
            let same = |(column, shown): &(String, Option<String>)| FieldEdit {
                column: column.clone(),
                shown: shown.clone(),
                new: shown.clone(),
            };
            let fields = merge.others.iter().map(same).collect();
            let edit = RowEdit { row: RowId(other), fields, undoes: None, against: None };
            compare(&mapping, &edit, rows.get(&other)).map_err(|(_, why)| Error::Conflict(why))?;
        }
        let edit = RowEdit { row: at.row, fields: fields.to_vec(), undoes: None, against: None };
        let (before, after) = compare(&mapping, &edit, Some(row)).map_err(|(_, why)| Error::Conflict(why))?;
        transaction.batch_execute(AS_ENGINE).await.context("mark the engine's own write")?;
        if let Some(other) = other {
            self.replace(&transaction, &mapping, other, sfid, owner, operation).await?;
        }
        if !fields.is_empty() {
            // What the operator chose is a change like any other, and is captured.
            transaction.batch_execute(AS_USER).await.context("mark an operator's write")?;
            let columns: Vec<&str> = fields.iter().map(|field| field.column.as_str()).collect();
            let row = json!({"id": at.row, "after": after});
            self.write_columns(&transaction, &mapping, &columns, vec![row]).await.map_err(
                |error| match error.is_of_this_table() {
                    true => Error::Refused(format!(
                        "PostgreSQL refuses it for {}: {}",
                        mapping.table,
                        plain(&error)
                    )),
                    false => error,
                },
            )?;
            let (before, after) = (Some(Value::Object(before)), Some(Value::Object(after)));
            let entry = NewAuditEntry { row: Some(at.row.0), before, after, undoes: None };
            audit(&transaction, operation, "edited", &mapping, &[entry]).await?;
            transaction.batch_execute(AS_ENGINE).await.context("mark the engine's own write")?;
        }
        transaction
            .write_rows(&format!("UPDATE {table} SET sfid = $1 WHERE id = $2"), &[&sfid, &at.row.0])
            .await
            .context("link a row")?;
        // Whatever was lost before: this is its record.
        self.make_ready(&transaction, &mapping, &[at.row.0], &[at.row.0]).await?;
        let entry = NewAuditEntry {
            row: Some(at.row.0),
            before: Some(json!({"sfid": null})),
            after: Some(json!({"sfid": sfid})),
            undoes: None,
        };
        audit(&transaction, operation, "linked", &mapping, &[entry]).await?;
        announce(&transaction, &mapping.table, &[at.row.0]).await?;
        transaction.commit().await.context("link a row")
    }

    /// Takes the row out that has the record.
    async fn replace(
        &self,
        transaction: &Transaction<'_>,
        mapping: &Mapping,
        other: i32,
        sfid: &str,
        owner: Owner,
        operation: &Operation,
    ) -> Result<(), Error> {
        let name = format!("the row {other} of {}", mapping.table);
        if owner == Owner::Keeps {
            return Err(Error::Refused(format!(
                "the record {sfid} belongs to {name} already\nif both rows are the same thing, say that it is to be \
                 replaced: it is removed here, and its record goes over (syncdeck link --replace)"
            )));
        }
        let sql = format!(
            "SELECT FROM {}._trigger_log WHERE table_name = $1 AND record_id = $2 AND {UNSENT} LIMIT 1",
            self.schema
        );
        let unsent = transaction
            .query_opt(&sql, &[&mapping.table, &other])
            .await
            .context("look for unsent changes")?;
        if unsent.is_some() {
            return Err(Error::Refused(format!(
                "{name}, which has the record {sfid}, has changes that are not sent\nwait for them, or revert them first"
            )));
        }
        let before = self.removed_rows(transaction, mapping, &[other]).await?.remove(&other);
        let sql = format!("DELETE FROM {} WHERE id = $1", self.table(&mapping.table));
        transaction.write_rows(&sql, &[&other]).await.context("remove the replaced row").map_err(
            |error| {
                if error.is_of_this_table() {
                    let why = plain(&error);
                    return Error::Refused(format!(
                        "{name} cannot be removed: {why}\nmove what refers to it over first"
                    ));
                }
                error
            },
        )?;
        let entry = NewAuditEntry { row: Some(other), before, ..NewAuditEntry::default() };
        // Of another kind than a revert: bringing the row back would need its record.
        audit(transaction, operation, "replaced", mapping, &[entry]).await
    }
}
