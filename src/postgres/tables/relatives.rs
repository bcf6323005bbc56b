//! The rows around one: its parents, and the children that cannot go on without it.

use std::collections::HashSet;

use serde_json::Value;
use tokio_postgres::Row;

use crate::domain::mappings::field::{Field, FieldType};
use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::{RowId, RowRef};
use crate::domain::records::record::Relative;
use crate::domain::values::key;

use crate::postgres::changes::keys::key_cast;
use crate::postgres::tables::records::{json_text, standing};
use crate::postgres::{Error, ErrorContext, Store, quote};

/// Children that are told at most.
const MOST: usize = 50;
/// The newest errors of a child's mapping that are looked through: lookup columns have no index of their own.
const LOOKED_AT: i64 = 5_000;

/// By which value a field names rows of another table, and in which of its columns they have it.
struct Reference<'a> {
    field: &'a Field,
    /// The column of the named row: `sfid`, or its external id.
    column: String,
}

/// The fields by which rows of `child` name rows of `parent`.
fn references<'a>(child: &'a Mapping, parent: &Mapping) -> Vec<Reference<'a>> {
    let fields = child.fields.iter().filter_map(|field| match child.parent(&field.column) {
        Some(named) if named.object == parent.object => {
            Some(Reference { field, column: named.field.to_lowercase() })
        }
        Some(_) => None,
        None => field
            .reference_to
            .contains(&parent.object)
            .then(|| Reference { field, column: "sfid".to_owned() }),
    });
    fields.collect()
}

impl Store {
    /// The parents that a row names and that have rows here, then the children that are held for it, or name it and have
    /// an error among the newest 5,000 of their mapping; 50 at most.
    ///
    /// # Errors
    /// Refused when there is no such mapping.
    pub async fn relatives(&self, at: &RowRef) -> Result<Vec<Relative>, Error> {
        let mapping = self.registered(&at.table).await?;
        let mappings = self.definitions().await?;
        let client = self.client().await?;
        let sql = format!("SELECT to_jsonb(t) FROM {} t WHERE id = $1", self.table(&mapping.table));
        let row = client.query_opt(&sql, &[&at.row.0]).await.context("read a row")?;
        drop(client);
        let Some(row) = row.map(|row| row.get::<_, Value>(0)) else { return Ok(Vec::new()) };
        let value = |column: &str| row.get(column).and_then(json_text);
        let mut found = Vec::new();
        for parent in &mappings {
            for by in references(&mapping, parent) {
                if let Some(named) = value(&by.field.column) {
                    found.extend(self.named(parent, &by, &named).await?);
                }
            }
        }
        let mut known = HashSet::new();
        for child in &mappings {
            for by in references(child, &mapping) {
                let Some(own) = value(&by.column) else { continue };
                for relative in self.naming(child, &by, &own, at).await? {
                    if known.len() < MOST && known.insert(relative.row.clone()) {
                        found.push(relative);
                    }
                }
            }
        }
        Ok(found)
    }

    /// The row of a parent that has a value.
    async fn named(
        &self,
        parent: &Mapping,
        by: &Reference<'_>,
        value: &str,
    ) -> Result<Option<Relative>, Error> {
        let cast = key_cast(parent, &by.column);
        // A key that its column cannot hold is nobody's.
        if !cast.is_empty() && value.parse::<f64>().is_err() {
            return Ok(None);
        }
        let sql = around(&format!(
            "SELECT id, sfid::text AS sfid, $2::text AS table_name FROM {} WHERE {} = $1::text{cast} LIMIT 1",
            self.table(&parent.table),
            quote(&by.column)
        ));
        let client = self.client().await?;
        let row = client.query_opt(&sql, &[&value, &parent.table]).await.context("look for a parent")?;
        Ok(row.map(|row| read_relative(&row, parent, by, true)))
    }

    /// The rows of a child that have a value, and wait for the row that it names or failed.
    async fn naming(
        &self,
        child: &Mapping,
        by: &Reference<'_>,
        value: &str,
        at: &RowRef,
    ) -> Result<Vec<Relative>, Error> {
        let column = quote(&by.field.column);
        let sql = around(&format!(
            "SELECT c.id, c.sfid::text AS sfid, $2::text AS table_name FROM (
                 SELECT record_id FROM syncdeck.unit WHERE state = 'held' AND held_table = $3
                     AND (held_record = $4 OR held_key IN ($1, $6)) AND table_name = $2
                 UNION
                 SELECT record_id FROM (SELECT record_id FROM syncdeck.error WHERE resolved_at IS NULL AND mapping = $5
                     ORDER BY last_seen DESC LIMIT {LOOKED_AT}) newest
             ) troubled JOIN {} c ON c.id = troubled.record_id WHERE {} ORDER BY c.id LIMIT {MOST}",
            self.table(&child.table),
            match by.field.kind {
                FieldType::Reference => format!("c.{column} = $1"),
                _ => format!("(c.{column}::text = $1 OR lower(btrim(c.{column}::text)) = lower(btrim($1)))"),
            }
        ));
        let folded = key::fold(by.field, value);
        let client = self.client().await?;
        let rows = client
            .query(&sql, &[&value, &child.table, &at.table, &at.row.0, &child.object, &folded])
            .await
            .context("look for children")?;
        Ok(rows.iter().map(|row| read_relative(row, child, by, false)).collect())
    }
}

/// Rows with where they stand.
fn around(rows: &str) -> String {
    format!(
        "SELECT r.id, r.sfid, unit.state, error.id FROM ({rows}) r
         LEFT JOIN syncdeck.unit ON unit.table_name = r.table_name AND unit.record_id = r.id
         LEFT JOIN syncdeck.error ON error.table_name = r.table_name AND error.record_id = r.id AND error.resolved_at IS NULL
         ORDER BY r.id"
    )
}

fn read_relative(row: &Row, mapping: &Mapping, by: &Reference<'_>, is_parent: bool) -> Relative {
    let unit: Option<String> = row.get(2);
    Relative {
        row: RowRef { table: mapping.table.clone(), row: RowId(row.get(0)) },
        mapping: mapping.object.clone(),
        field: by.field.name.clone(),
        is_parent,
        sfid: row.get(1),
        unit: standing(unit.as_deref()).to_owned(),
        error: row.get(3),
    }
}
