//! Salesforce's side taken: its values back into rows, a rejected insert's row removed, a row whose delete was rejected
//! brought back. The unsent changes are given up and stay in the archive; the values that went are in the audit.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Map, Value, json};

use crate::domain::changes::merge::same;
use crate::domain::changes::outgoing::is_in_step;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::RowId;
use crate::domain::operations::operation::{Operation, RowResult, RowStatus};
use crate::domain::records::record::{SalesforceState, SalesforceValues};
use crate::domain::records::verify::AsFound;

use crate::postgres::changes::locks::{LockedUnit, lock_units};
use crate::postgres::changes::queue::{ARCHIVE_COLUMNS, UNSENT};
use crate::postgres::operations::audit::{NewAuditEntry, audit};
use crate::postgres::operations::edit::{Locked, announce, plain};
use crate::postgres::tables::records::json_text;
use crate::postgres::tables::reread::read_once_more;
use crate::postgres::tables::rows::recently_accepted;
use crate::postgres::tables::verify::{CHANGED_SINCE, is_still};
use crate::postgres::{AS_ENGINE, Error, ErrorContext, Store, Transaction, quote};

/// A row to revert.
#[derive(Clone, Debug)]
pub struct Reverted {
    /// Which.
    pub row: RowId,
    /// What Salesforce has for it.
    pub record: SalesforceValues,
    /// Whether it may be removed.
    pub remove: bool,
    /// How it has to be still.
    pub as_found: Option<AsFound>,
}

/// What rows may be reverted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevertFor {
    /// Something unsent is given up.
    Revert,
    /// Nothing is unsent, and yet the row differs from its record.
    Repair,
}

/// What becomes of one row.
enum Change {
    /// These columns get Salesforce's values; none where they agree already.
    Values { before: Map<String, Value>, after: Map<String, Value>, sfid: Option<String> },
    /// The row goes: Salesforce never had it, or has it no longer.
    Remove,
    /// The row comes back.
    Restore { after: Map<String, Value> },
    /// Neither side has it.
    Nothing,
}

impl Store {
    /// Takes Salesforce's side for rows of one table.
    pub async fn revert_rows(
        &self,
        table: &str,
        rows: &[Reverted],
        wanted: RevertFor,
        operation: &Operation,
    ) -> Result<Vec<RowResult>, Error> {
        let mapping = self.registered(table).await?;
        let mut results = Vec::new();
        let mut waiting: Vec<&[Reverted]> = vec![rows];
        while let Some(part) = waiting.pop() {
            match self.revert_together(&mapping, part, wanted, operation).await {
                Ok((done, busy)) => {
                    results.extend(done);
                    let busy = part.iter().filter(|one| busy.contains(&one.row.0));
                    waiting.extend(busy.map(std::slice::from_ref));
                }
                Err(error) if !error.is_of_this_table() => return Err(error),
                Err(_) if part.len() > 1 => {
                    let (first, second) = part.split_at(part.len() / 2);
                    waiting.extend([second, first]);
                }
                Err(error) => results.extend(part.iter().map(|one| {
                    RowResult::new(
                        one.row,
                        RowStatus::Failed,
                        format!("PostgreSQL refuses it for {table}: {}", plain(&error)),
                    )
                })),
            }
        }
        Ok(results)
    }

    async fn revert_together(
        &self,
        mapping: &Mapping,
        rows: &[Reverted],
        wanted: RevertFor,
        operation: &Operation,
    ) -> Result<(Vec<RowResult>, HashSet<i32>), Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin a revert")?;
        let ids: Vec<i32> = rows.iter().map(|one| one.row.0).collect();
        let Locked { rows: there, busy } = self.lock_rows(&transaction, mapping, &ids).await?;
        self.lock_new_entries(&transaction, &mapping.table, &ids).await?;
        let units = lock_units(&transaction, &mapping.table, &ids).await?;
        let unsent = self.rows_with_unsent(&transaction, mapping, &ids).await?;
        // What was fetched before Salesforce took a change is not what it has.
        let fetched = rows.iter().map(|one| one.record.fetched_at).min().unwrap_or_default();
        let overtaken = recently_accepted(&transaction, mapping, &ids, fetched).await?;
        let mut results = Vec::new();
        let mut changes: BTreeMap<i32, Change> = BTreeMap::new();
        for Reverted { row, record, remove, as_found } in rows.iter().filter(|one| !busy.contains(&one.row.0))
        {
            let unit = units.get(&row.0);
            let left = match wanted {
                _ if unit.is_some_and(|unit| unit.in_flight) => {
                    Some("it is being sent right now; try again when it is answered")
                }
                _ if overtaken.contains(&row.0) => {
                    Some("Salesforce took a change of it meanwhile; look again")
                }
                _ if !as_found.as_ref().is_none_or(|found| is_still(found, there.get(&row.0))) => {
                    Some(CHANGED_SINCE)
                }
                RevertFor::Revert if !unsent.contains(&row.0) => Some("nothing of it is unsent"),
                RevertFor::Repair if unit.is_some() || unsent.contains(&row.0) => {
                    Some("it was changed meanwhile, and the change is on its way")
                }
                _ => None,
            };
            let change = change(mapping, there.get(&row.0), unit, record);
            match (left, &change) {
                (Some(why), _) => results.push(RowResult::new(*row, RowStatus::Skipped, why)),
                (None, Change::Remove) if !remove => {
                    let why =
                        "Salesforce has no record for it: this would remove the row, which nobody confirmed";
                    results.push(RowResult::new(*row, RowStatus::Skipped, why));
                }
                (None, _) => {
                    results.push(RowResult::new(*row, RowStatus::Done, told(&change)));
                    changes.insert(row.0, change);
                }
            }
        }
        let removed: Vec<i32> = changes
            .iter()
            .filter(|(_, change)| matches!(change, Change::Remove))
            .map(|(id, _)| *id)
            .collect();
        let mut whole = self.removed_rows(&transaction, mapping, &removed).await?;
        let entries: Vec<NewAuditEntry> =
            changes.iter().map(|(id, change)| entry(*id, change, whole.remove(id))).collect();
        let action = if wanted == RevertFor::Revert { "reverted" } else { "repaired" };
        audit(&transaction, operation, action, mapping, &entries).await?;
        let touched: Vec<i32> = changes.keys().copied().collect();
        let why = format!("given up by {}", operation.operator.actor);
        self.give_up(&transaction, mapping, &touched, &why).await?;
        transaction.batch_execute(AS_ENGINE).await.context("mark the engine's own write")?;
        self.apply_changes(&transaction, mapping, &changes, &there, &units).await?;
        announce(&transaction, &mapping.table, &touched).await?;
        transaction.commit().await.context("revert rows")?;
        Ok((results, busy))
    }

    async fn apply_changes(
        &self,
        transaction: &Transaction<'_>,
        mapping: &Mapping,
        changes: &BTreeMap<i32, Change>,
        there: &HashMap<i32, Value>,
        units: &HashMap<i32, LockedUnit>,
    ) -> Result<(), Error> {
        let table = self.table(&mapping.table);
        let mut columns: BTreeMap<Vec<&str>, Vec<Value>> = BTreeMap::new();
        let (mut settled, mut removed, mut restored) = (Vec::new(), Vec::new(), Vec::new());
        for (id, change) in changes {
            match change {
                Change::Values { after, sfid, .. } => {
                    let names = after.keys().map(String::as_str).collect();
                    columns.entry(names).or_default().push(json!({"id": id, "after": after}));
                    let known = units.get(id).and_then(|unit| unit.sfid.clone());
                    let own = there.get(id).and_then(|row| json_text(row.get("sfid")?));
                    settled.push(json!({"id": id, "sfid": own.or(known).or_else(|| sfid.clone())}));
                }
                Change::Remove => removed.push(*id),
                Change::Restore { after } => {
                    let mut row = after.clone();
                    row.insert("id".to_owned(), json!(id));
                    restored.push(Value::Object(row));
                }
                Change::Nothing => {}
            }
        }
        for (names, rows) in columns.into_iter().filter(|(names, _)| !names.is_empty()) {
            self.write_columns(transaction, mapping, &names, rows).await?;
        }
        let sql = format!(
            "UPDATE {table} t SET _hc_lastop = 'SYNCED', _hc_err = NULL, sfid = coalesce(t.sfid, done.sfid)
             FROM pg_catalog.jsonb_to_recordset($1) AS done (id integer, sfid text) WHERE t.id = done.id
             RETURNING t.sfid::text"
        );
        let settled = transaction.write_rows_returning(&sql, &[&Value::from(settled)]).await;
        let settled = settled.context("settle rows")?;
        let sfids: Vec<String> = settled.iter().filter_map(|row| row.get(0)).collect();
        read_once_more(transaction, &mapping.table, &sfids).await?;
        let sql = format!("DELETE FROM {table} WHERE id = ANY($1)");
        transaction.write_rows(&sql, &[&removed]).await.context("remove rows")?;
        if !removed.is_empty() {
            // Whoever waited for one of them is looked at again, and told that it is not there.
            transaction
                .execute(
                    "UPDATE syncdeck.unit SET state = 'ready', ready_at = clock_timestamp()
                     WHERE state = 'held' AND held_table = $1 AND held_record = ANY($2)",
                    &[&mapping.table, &removed],
                )
                .await
                .context("wake held units")?;
        }
        self.insert_rows(transaction, mapping, restored, "SYNCED").await
    }

    /// Inserts rows with ids of their own; they are captured unless the transaction is the engine's.
    pub(in crate::postgres) async fn insert_rows(
        &self,
        transaction: &Transaction<'_>,
        mapping: &Mapping,
        rows: Vec<Value>,
        lastop: &str,
    ) -> Result<(), Error> {
        if rows.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = ["id", "sfid"]
            .into_iter()
            .chain(mapping.read_fields().map(|field| field.column.as_str()))
            .map(quote)
            .collect();
        let table = self.table(&mapping.table);
        let sql = format!(
            "INSERT INTO {table} ({list}, _hc_lastop) SELECT {values}, $2 FROM pg_catalog.jsonb_populate_recordset(NULL::{table}, $1) new",
            list = names.join(", "),
            values = names.iter().map(|name| format!("new.{name}")).collect::<Vec<_>>().join(", "),
        );
        transaction
            .write_rows(&sql, &[&Value::from(rows), &lastop])
            .await
            .context("bring rows back")
            .map(drop)
    }

    /// Gives the unsent changes of rows up: archived with the reason, their units and errors over, open conflicts
    /// decided for Salesforce.
    pub(in crate::postgres) async fn give_up(
        &self,
        transaction: &Transaction<'_>,
        mapping: &Mapping,
        ids: &[i32],
        why: &str,
    ) -> Result<(), Error> {
        let sql = format!(
            "WITH done AS (
                 DELETE FROM {schema}._trigger_log WHERE table_name = $1 AND record_id = ANY($2) AND {UNSENT} RETURNING *
             ) INSERT INTO {schema}._trigger_log_archive {ARCHIVE_COLUMNS}
             SELECT id, txid, created_at, clock_timestamp(), clock_timestamp(), txid_current(), 'IGNORED', action,
                 table_name, record_id, sfid, old, values, sf_result, $3 FROM done",
            schema = self.schema,
        );
        transaction.execute(&sql, &[&mapping.table, &ids, &why]).await.context("archive what is given up")?;
        transaction
            .execute(
                "DELETE FROM syncdeck.unit WHERE table_name = $1 AND record_id = ANY($2)",
                &[&mapping.table, &ids],
            )
            .await
            .context("give units up")?;
        for sql in [
            "UPDATE syncdeck.error SET state = 'resolved', resolved_at = clock_timestamp(), next_retry_at = NULL,
                 resolution = $3 WHERE table_name = $1 AND record_id = ANY($2) AND resolved_at IS NULL",
            "UPDATE syncdeck.conflict SET winner = 'salesforce', decided_by = $3, decided_at = clock_timestamp()
             WHERE table_name = $1 AND record_id = ANY($2) AND winner IS NULL",
        ] {
            transaction.execute(sql, &[&mapping.table, &ids, &why]).await.context("give changes up")?;
        }
        Ok(())
    }

    /// Which of these rows have something unsent.
    pub(in crate::postgres) async fn rows_with_unsent(
        &self,
        transaction: &Transaction<'_>,
        mapping: &Mapping,
        ids: &[i32],
    ) -> Result<HashSet<i32>, Error> {
        let sql = format!(
            "SELECT DISTINCT record_id FROM {}._trigger_log WHERE table_name = $1 AND record_id = ANY($2) AND {UNSENT}",
            self.schema
        );
        let rows =
            transaction.query(&sql, &[&mapping.table, &ids]).await.context("look for unsent changes")?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }
}

/// What becomes of a row, given its record.
fn change(
    mapping: &Mapping,
    row: Option<&Value>,
    unit: Option<&LockedUnit>,
    record: &SalesforceValues,
) -> Change {
    let found = record.state == SalesforceState::Found;
    match row {
        Some(_) if !found => Change::Remove,
        Some(row) => {
            let (mut before, mut after) = (Map::new(), Map::new());
            for field in mapping.read_fields() {
                let ours = row.get(&field.column).and_then(json_text);
                let Some(theirs) = record.values.get(&field.column) else { continue };
                if same(field, ours.as_deref(), theirs.as_deref())
                    || is_in_step(mapping, field, ours.as_deref(), theirs.as_deref())
                {
                    continue;
                }
                before.insert(field.column.clone(), json!(ours));
                after.insert(field.column.clone(), json!(theirs));
            }
            Change::Values { before, after, sfid: record.sfid.clone() }
        }
        None if found => {
            let mut after: Map<String, Value> =
                record.values.iter().map(|(column, value)| (column.clone(), json!(value))).collect();
            after.insert(
                "sfid".to_owned(),
                json!(record.sfid.clone().or(unit.and_then(|unit| unit.sfid.clone()))),
            );
            Change::Restore { after }
        }
        None => Change::Nothing,
    }
}

fn told(change: &Change) -> &'static str {
    match change {
        Change::Values { after, .. } if after.is_empty() => {
            "it has Salesforce's values already; its unsent changes are given up"
        }
        Change::Values { .. } => "it has Salesforce's values",
        Change::Remove => "the row is removed",
        Change::Restore { .. } => "the row is back",
        Change::Nothing => "neither side has it any more",
    }
}

/// The entry of the audit for a row; `whole` is the row that goes.
fn entry(id: i32, change: &Change, whole: Option<Value>) -> NewAuditEntry {
    let (before, after) = match change {
        Change::Values { before, after, .. } => (Some(json!(before)), Some(json!(after))),
        Change::Remove => (whole, None),
        Change::Restore { after } => (None, Some(json!(after))),
        Change::Nothing => (None, None),
    };
    NewAuditEntry { row: Some(id), before, after, undoes: None }
}
