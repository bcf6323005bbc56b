//! Rows that were written without being captured, as far as a read can tell for certain: the row has seen this very version
//! of its record, nothing of it is unsent, and yet it holds another value, which no captured change brought.

use std::collections::HashMap;

use serde_json::Value;

use crate::domain::changes::merge::same;
use crate::domain::changes::outgoing::is_in_step;
use crate::domain::mappings::field::{Field, FieldType};
use crate::domain::mappings::mapping::{Mapping, Stamp};
use crate::domain::names::RowId;
use crate::domain::values::hstore;
use crate::postgres::tables::records::json_text;
use crate::postgres::{Cached, Error, ErrorContext, Store, Transaction};

/// Captured changes that are looked through; of a row with more, nothing is certain.
const LOOKED_THROUGH: i64 = 2_000;

/// A row that was written without being captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uncaptured {
    /// Which.
    pub row: RowId,
    /// In which fields, by API names.
    pub fields: Vec<String>,
}

impl Store {
    /// Which of these rows, which differ from their records although they have seen them as they are, were written without
    /// being captured. The rows are locked.
    pub(in crate::postgres) async fn written_uncaptured(
        &self,
        transaction: &Transaction<'_>,
        mapping: &Mapping,
        records: &Value,
        rows: &[i32],
    ) -> Result<Vec<Uncaptured>, Error> {
        if rows.is_empty() || mapping.system.stamp != Some(Stamp::SystemModstamp) {
            return Ok(Vec::new());
        }
        let table = self.table(&mapping.table);
        let sql = format!(
            "SELECT t.id, to_jsonb(t), to_jsonb(i) FROM jsonb_populate_recordset(NULL::{table}, $1) i
             JOIN {table} t ON t.id = i.id WHERE t.id = ANY($2)"
        );
        let found = transaction.query_cached(&sql, &[records, &rows]).await.context("compare rows")?;
        let mut written: HashMap<i32, Vec<Written<'_>>> = HashMap::new();
        for row in &found {
            let (id, ours, theirs): (i32, Value, Value) = (row.get(0), row.get(1), row.get(2));
            let differing = differing(mapping, &ours, &theirs);
            if !differing.is_empty() {
                written.insert(id, differing);
            }
        }
        if written.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<i32> = written.keys().copied().collect();
        let sql = format!(
            "SELECT record_id, values::text FROM (
                 SELECT record_id, values, id FROM {schema}._trigger_log WHERE table_name = $1 AND record_id = ANY($2)
                 UNION ALL SELECT record_id, values, id FROM {schema}._trigger_log_archive
                 WHERE table_name = $1 AND record_id = ANY($2)) captured ORDER BY id DESC LIMIT $3",
            schema = self.schema
        );
        let captured = transaction
            .query_cached(&sql, &[&mapping.table, &ids, &LOOKED_THROUGH])
            .await
            .context("look what was captured")?;
        if captured.len() as i64 == LOOKED_THROUGH {
            return Ok(Vec::new());
        }
        for entry in &captured {
            let values = entry.get::<_, Option<&str>>(1).and_then(|text| hstore::parse(text).ok());
            let (Some(values), Some(written)) = (values, written.get_mut(&entry.get::<_, i32>(0))) else {
                continue;
            };
            written.retain(|one| match values.get(&one.field.column) {
                // A rule may have kept it here.
                Some(captured) if one.field.kind.is_text() => captured.as_ref() != Some(&one.value),
                // Numbers and times are written in several ways.
                Some(_) => false,
                None => true,
            });
        }
        let mut rows: Vec<Uncaptured> = written
            .into_iter()
            .filter(|(_, fields)| !fields.is_empty())
            .map(|(row, fields)| Uncaptured {
                row: RowId(row),
                fields: fields.into_iter().map(|one| one.field.name.clone()).collect(),
            })
            .collect();
        rows.sort_by_key(|one| one.row);
        Ok(rows)
    }
}

/// A field of a row, with what it holds.
struct Written<'a> {
    field: &'a Field,
    value: String,
}

/// Fields that an application can write, and that hold other values than the record's. Formulas change without the
/// record's stamp, and an empty value may be one that was not read until now.
fn differing<'a>(mapping: &'a Mapping, ours: &Value, theirs: &Value) -> Vec<Written<'a>> {
    let text = |row: &Value, column: &str| row.get(column).and_then(json_text);
    let fields = mapping
        .read_fields()
        .filter(|field| (field.updateable || field.createable) && field.kind != FieldType::Other);
    let differs = fields.filter_map(|field| {
        let (value, record) = (text(ours, &field.column)?, text(theirs, &field.column));
        let agree = same(field, Some(&value), record.as_deref())
            || is_in_step(mapping, field, Some(&value), record.as_deref());
        (!agree).then_some(Written { field, value })
    });
    differs.collect()
}
