//! Errors in the words of their rows, for the lines of a list.

use std::collections::HashMap;

use crate::domain::errors::summary::{Blocked, Summary, name_columns};
use crate::domain::errors::sync_error::SyncError;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::{RowId, RowRef};
use crate::domain::records::named::NamedRecords;
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

    /// Records that a lookup of a row may name, by id or by external id, whose names have a text in them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn parents(&self, table: &str, column: &str, text: &str) -> Result<NamedRecords, ClientError> {
        if self.beside_heroku().is_some() {
            // Which object a lookup names is not told there.
            return Ok(NamedRecords::default());
        }
        let all = self.own()?.definitions().await?;
        let Some(of) = all.iter().find(|mapping| mapping.table == table) else {
            return Ok(NamedRecords::default());
        };
        let by_key = of.parents.iter().find(|parent| parent.column == column);
        let objects: Vec<&str> = match (by_key, of.field(column)) {
            (Some(parent), _) => vec![parent.object.as_str()],
            (None, field) => {
                field.into_iter().flat_map(|field| &field.reference_to).map(String::as_str).collect()
            }
        };
        let mut found = NamedRecords::default();
        for parent in all.iter().filter(|parent| objects.contains(&parent.object.as_str())) {
            let key = match by_key {
                None => Some("sfid"),
                Some(named) => {
                    parent.fields.iter().find(|field| field.name == named.field).map(|f| f.column.as_str())
                }
            };
            if let Some(key) = key.filter(|key| !parent.rules.masked(key)) {
                self.add_named(&mut found, parent, key, text).await?;
            }
        }
        Ok(found)
    }

    /// Rows of any mapping whose names have a text in them, in step or not.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn find_named(&self, text: &str) -> Result<NamedRecords, ClientError> {
        let mut found = NamedRecords::default();
        if self.beside_heroku().is_some() {
            return Ok(found);
        }
        for mapping in &self.own()?.definitions().await? {
            self.add_named(&mut found, mapping, "id", text).await?;
        }
        Ok(found)
    }

    async fn add_named(
        &self,
        found: &mut NamedRecords,
        mapping: &Mapping,
        key: &str,
        text: &str,
    ) -> Result<(), ClientError> {
        let columns = name_columns(mapping);
        if columns.is_empty() {
            return Ok(());
        }
        let NamedRecords { records, only_beginnings } =
            self.own()?.records_named(mapping, &columns, key, text).await?;
        found.records.extend(records);
        found.only_beginnings |= only_beginnings;
        Ok(())
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
