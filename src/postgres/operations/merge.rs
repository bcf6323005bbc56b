//! Rows that are the same thing made one: what the row that stays lacks is taken from the others, which are deleted. All of
//! it is captured like any other change, so Salesforce comes to the same; one transaction of the operator's own session.

use serde_json::{Map, Value, json};

use crate::domain::mappings::field::FieldType;
use crate::domain::mappings::mapping::{Access, Mapping};
use crate::domain::names::{RowId, RowRef};
use crate::domain::operations::operation::Operation;
use crate::domain::records::verify::TOGETHER;

use crate::postgres::changes::locks::lock_units;
use crate::postgres::operations::audit::{NewAuditEntry, audit};
use crate::postgres::operations::edit::{announce, plain};
use crate::postgres::tables::records::json_text;
use crate::postgres::{Error, ErrorContext, Store, Transaction, quote};

impl Store {
    /// Merges rows of one table into one of them.
    ///
    /// # Errors
    /// Refused, with nothing changed, when they are too many, when one of them is gone or has something unsent, when they
    /// are not the same thing as they stand now, and when a row here refers to one that would go: with its record Salesforce
    /// would delete what belongs to it, or leave that without a parent.
    pub async fn merge_rows(
        &self,
        into: &RowRef,
        others: &[RowId],
        operation: &Operation,
    ) -> Result<(), Error> {
        let mapping = self.registered(&into.table).await?;
        if mapping.access == Access::ReadOnly {
            return Err(Error::Refused(format!(
                "{} is mapped read-only: merge the records in Salesforce",
                mapping.object
            )));
        }
        let mut ids: Vec<i32> = others.iter().map(|row| row.0).filter(|id| *id != into.row.0).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() {
            return Err(Error::Wrong("a row is merged with others; name one".to_owned()));
        }
        if ids.len() >= TOGETHER {
            return Err(Error::Refused(format!(
                "more than {TOGETHER} rows are not merged at once\nlook at what makes them the same thing, or delete rows first"
            )));
        }
        let mappings = self.definitions().await?;
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to merge rows")?;
        let mut all = ids.clone();
        all.push(into.row.0);
        all.sort_unstable();
        let locked = self.lock_rows(&transaction, &mapping, &all).await?;
        for id in &all {
            if locked.busy.contains(id) {
                return Err(Error::Conflict(format!(
                    "somebody is changing the row {id} right now\ntry again"
                )));
            }
            if !locked.rows.contains_key(id) {
                return Err(Error::NotFound(format!("the row {id} of {} is gone", mapping.table)));
            }
        }
        self.lock_new_entries(&transaction, &mapping.table, &all).await?;
        let units = lock_units(&transaction, &mapping.table, &all).await?;
        let unsent = self.rows_with_unsent(&transaction, &mapping, &all).await?;
        if let Some(id) = all.iter().find(|id| units.contains_key(id) || unsent.contains(id)) {
            return Err(Error::Refused(format!(
                "the row {id} has changes that are not sent\nwait for them, or revert them first"
            )));
        }
        // They were found some time ago, and may have changed before they were locked.
        if !self.are_one(&transaction, &mapping, &all).await? {
            return Err(Error::Refused("they are not the same thing any more\ncompare again".to_owned()));
        }
        let gone: Vec<&Value> = ids.iter().filter_map(|id| locked.rows.get(id)).collect();
        self.refuse_relatives(&transaction, (&mapping, &mappings), &gone).await?;
        let kept = &locked.rows[&into.row.0];
        let (before, after) = lacking(&mapping, kept, &gone);
        let columns: Vec<&str> = after.keys().map(String::as_str).collect();
        let refused = |error: Error| match error.is_of_this_table() {
            true => Error::Refused(format!("PostgreSQL refuses it for {}: {}", mapping.table, plain(&error))),
            false => error,
        };
        if !columns.is_empty() {
            let row = json!({"id": into.row, "after": after});
            self.write_columns(&transaction, &mapping, &columns, vec![row]).await.map_err(refused)?;
        }
        let whole = self.removed_rows(&transaction, &mapping, &ids).await?;
        let mut entries = vec![NewAuditEntry {
            row: Some(into.row.0),
            before: Some(Value::Object(before)),
            after: Some(Value::Object(after.clone())),
            ..NewAuditEntry::default()
        }];
        entries.extend(ids.iter().map(|id| NewAuditEntry {
            row: Some(*id),
            before: whole.get(id).cloned(),
            ..NewAuditEntry::default()
        }));
        audit(&transaction, operation, "merged", &mapping, &entries).await?;
        let sql = format!("DELETE FROM {} WHERE id = ANY($1)", self.table(&mapping.table));
        transaction.write_rows(&sql, &[&ids]).await.context("delete the merged rows").map_err(refused)?;
        self.make_ready(&transaction, &mapping, &all, &[]).await?;
        announce(&transaction, &mapping.table, &all).await?;
        transaction.commit().await.context("merge rows").map_err(refused)
    }

    /// Refuses when a row of a mapped table names one that would go.
    async fn refuse_relatives(
        &self,
        transaction: &Transaction<'_>,
        (mapping, mappings): (&Mapping, &[Mapping]),
        gone: &[&Value],
    ) -> Result<(), Error> {
        let of = |column: &str| -> Vec<String> {
            gone.iter().filter_map(|row| row.get(column).and_then(json_text)).collect()
        };
        for child in mappings {
            for field in child.read_fields() {
                let column = format!("t.{}::text", quote(&field.column));
                let (named, names) = match child.parent(&field.column) {
                    Some(parent) if parent.object == mapping.object => {
                        let fold = format!("{}.hc_fold_key", self.schema);
                        let names =
                            format!("{fold}({column}) IN (SELECT {fold}(key) FROM unnest($1::text[]) key)");
                        (of(&parent.field.to_lowercase()), names)
                    }
                    None if field.kind == FieldType::Reference
                        && field.reference_to.contains(&mapping.object) =>
                    {
                        (in_both_forms(of("sfid")), format!("{column} = ANY($1)"))
                    }
                    _ => continue,
                };
                let sql = format!("SELECT id FROM {} t WHERE {names} LIMIT 1", self.table(&child.table));
                let relative = transaction
                    .query_opt(&sql, &[&named])
                    .await
                    .context("look for rows that refer to them")?;
                if let Some(row) = relative {
                    return Err(Error::Refused(format!(
                        "the row {} of {} refers to one that would go, by {}\nlet it name the row that stays first",
                        row.get::<_, i32>(0),
                        child.table,
                        field.name
                    )));
                }
            }
        }
        Ok(())
    }
}

/// An application may have written an id in its short form.
fn in_both_forms(mut sfids: Vec<String>) -> Vec<String> {
    let short: Vec<String> = sfids.iter().filter_map(|sfid| Some(sfid.get(..15)?.to_owned())).collect();
    sfids.extend(short);
    sfids
}

/// What a row lacks and another one has, the first that has it: before and after. The external id tells rows apart, so
/// it stays.
fn lacking(mapping: &Mapping, kept: &Value, gone: &[&Value]) -> (Map<String, Value>, Map<String, Value>) {
    let (mut before, mut after) = (Map::new(), Map::new());
    let key = mapping.external_id_column();
    let has = |row: &Value, column: &str| row.get(column).and_then(json_text).filter(|text| !text.is_empty());
    let fields =
        mapping.read_fields().filter(|field| !field.read_only() && Some(&field.column) != key.as_ref());
    for field in fields.filter(|field| has(kept, &field.column).is_none()) {
        if let Some(value) = gone.iter().find_map(|row| has(row, &field.column)) {
            before.insert(field.column.clone(), kept.get(&field.column).cloned().unwrap_or(Value::Null));
            after.insert(field.column.clone(), json!(value));
        }
    }
    (before, after)
}
