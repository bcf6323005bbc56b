//! Linking: a row takes a record that is in Salesforce already as its own, so that its insert becomes an update.

use std::collections::HashMap;

use serde_json::json;
use tokio_postgres::error::SqlState;

use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::RowRef;
use crate::domain::operations::operation::{Operation, Owner};

use crate::postgres::changes::queue::UNSENT;
use crate::postgres::operations::audit::{Entry, audit};
use crate::postgres::operations::edit::{announce, plain};
use crate::postgres::tables::records::json_text;
use crate::postgres::{AS_ENGINE, Error, ErrorContext, Store, Transaction};

/// A row that somebody has, in words.
fn busy(error: Error, row: i32) -> Error {
    match error.sql_state() {
        Some(&SqlState::LOCK_NOT_AVAILABLE) => {
            Error::Conflict(format!("somebody is changing the row {row} right now\ntry again"))
        }
        _ => error,
    }
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
        let mapping = self.registered(&at.table).await?;
        let table = self.table(&mapping.table);
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to link a row")?;
        let other = transaction
            .query_opt(&format!("SELECT id FROM {table} WHERE sfid = $1"), &[&sfid])
            .await
            .context("look for the record's row")?
            .map(|row| row.get::<_, i32>(0));
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
        transaction.batch_execute(AS_ENGINE).await.context("mark the engine's own write")?;
        if let Some(other) = other {
            self.replace(&transaction, &mapping, other, sfid, owner, operation).await?;
        }
        transaction
            .write_rows(&format!("UPDATE {table} SET sfid = $1 WHERE id = $2"), &[&sfid, &at.row.0])
            .await
            .context("link a row")?;
        // Whatever was lost before: this is its record.
        self.make_ready(&transaction, &mapping, &[at.row.0], &[at.row.0]).await?;
        let entry = Entry {
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
        let entry = Entry { row: Some(other), before, ..Entry::default() };
        // Of another kind than a revert: bringing the row back would need its record.
        audit(transaction, operation, "replaced", mapping, &[entry]).await
    }
}
