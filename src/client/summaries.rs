//! Errors in the words of their rows, for the lines of a list.

use std::collections::HashMap;

use crate::domain::errors::summary::{Blocked, Summary, name_columns};
use crate::domain::errors::sync_error::SyncError;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::{RowId, RowRef};
use crate::domain::records::record::RecordView;
use crate::domain::values::hstore::Hstore;
use crate::domain::values::key;

use super::api::{Client, ClientError, ErrorKind};

/// Rows that are told of at most which wait for one.
pub const BLOCKED: usize = 100;

impl Client {
    /// What rows say of their errors; nothing of one that is of no row, or whose row is gone.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn summaries(&self, errors: &[SyncError]) -> Result<Vec<Summary>, ClientError> {
        let mut by_table: HashMap<&str, Vec<&SyncError>> = HashMap::new();
        for error in errors.iter().filter(|error| error.row_id.is_some()) {
            by_table.entry(error.table.as_str()).or_default().push(error);
        }
        let mut summaries = Vec::new();
        for (table, errors) in by_table {
            let mapping = match self.registered(table).await {
                Ok(mapping) => mapping,
                // It left the configuration, or is of another version: the others have their words.
                Err(error) if matches!(error.kind, ErrorKind::Invalid | ErrorKind::Refused) => continue,
                Err(error) => return Err(error),
            };
            let rows: Vec<RowId> = errors.iter().filter_map(|error| error.row_id).collect();
            let values = self.tables().values(table, &rows).await?;
            let keys: Vec<(RowId, Option<String>)> = rows
                .iter()
                .map(|row| (*row, values.get(row).and_then(|row| key_of(&mapping, row))))
                .collect();
            let waiting = match self.beside_heroku() {
                // Which rows wait for which is not told there.
                Some(_) => HashMap::new(),
                None => self.own()?.waiting_for(table, &keys).await?,
            };
            summaries.extend(errors.into_iter().filter_map(|error| {
                let row = error.row_id?;
                let record = failed(&mapping, values.get(&row)?, error.clone());
                Summary::of(&mapping, &record, waiting.get(&row).copied().unwrap_or_default())
            }));
        }
        Ok(summaries)
    }
}

impl Client {
    /// The errors of rows that wait for those of these errors, at most [`BLOCKED`] of each.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn blocked(&self, parents: &[(i64, RowRef)]) -> Result<Vec<(i64, Blocked)>, ClientError> {
        let mut found = Vec::new();
        // Beside Heroku Connect nothing tells which row waits for which.
        let parents = if self.beside_heroku().is_some() { &[] } else { parents };
        for (id, at) in parents {
            let mapping = self.own()?.registered(&at.table).await?;
            let values = self.own()?.values(&at.table, &[at.row]).await?;
            let key = values.get(&at.row).and_then(|row| key_of(&mapping, row));
            let mut errors = self.own()?.blocked_by(at, key.as_deref(), BLOCKED as i64 + 1).await?;
            let more = errors.len() > BLOCKED;
            errors.truncate(BLOCKED);
            found.push((*id, Blocked { errors, more }));
        }
        Ok(found)
    }

    /// Records that a lookup of a row may name, whose names have a text in them: each with its id and its name.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn parents(
        &self,
        table: &str,
        column: &str,
        text: &str,
    ) -> Result<Vec<(String, String)>, ClientError> {
        if self.beside_heroku().is_some() {
            // Which object a lookup names is not told there.
            return Ok(Vec::new());
        }
        let all = self.own()?.definitions().await?;
        let of = all.iter().find(|mapping| mapping.table == table);
        let field = of.and_then(|mapping| mapping.field(column));
        let objects = field.map_or(&[][..], |field| &field.reference_to);
        let mut found = Vec::new();
        for parent in all.iter().filter(|parent| objects.contains(&parent.object)) {
            let columns = name_columns(parent);
            if !columns.is_empty() {
                found.extend(self.own()?.records_named(parent, &columns, text).await?);
            }
        }
        Ok(found)
    }
}

/// A row's external id as Salesforce compares it.
fn key_of(mapping: &Mapping, row: &Hstore) -> Option<String> {
    let field = mapping.external_id_field()?;
    key::fold(field, row.get(&field.column)?.as_deref()?)
}

/// A row with its error, as far as remedies are chosen by it.
pub(in crate::client) fn failed(mapping: &Mapping, row: &Hstore, error: SyncError) -> RecordView {
    let value = |column: &str| row.get(column).cloned().flatten();
    let at = RowRef { table: mapping.table.clone(), row: error.row_id.unwrap_or_default() };
    let values = mapping.fields.iter().map(|field| (field.clone(), value(&field.column))).collect();
    RecordView {
        sfid: value("sfid"),
        lastop: value("_hc_lastop"),
        ..RecordView::failed(at, &mapping.object, values, error)
    }
}
