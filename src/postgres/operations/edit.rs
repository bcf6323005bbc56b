//! What an operator does to rows: one transaction of the operator's own session with the writes, the audit and the
//! units made ready. An edit is an ordinary captured write; entries change state only through their unit. One row and
//! many go the same way; rows are locked first, in the order of their ids, then entries, units and errors.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use crate::domain::errors::remedy::Against;
use crate::domain::mappings::mapping::{Access, Mapping};
use crate::domain::names::{RowId, RowRef};
use crate::domain::operations::operation::{Operation, RowResult, RowStatus};
use crate::domain::records::record::{Edit, FieldEdit};

use crate::postgres::changes::locks::{LockedUnit, lock_errors, lock_units};
use crate::postgres::changes::queue::UNSENT;
use crate::postgres::errors::failing::failing;
use crate::postgres::operations::audit::{NewAuditEntry, audit};
use crate::postgres::tables::records::json_text;
use crate::postgres::{AS_ENGINE, CHANNEL, Error, ErrorContext, Store, Transaction, describe, quote};

/// More rows than these are announced as "many", and consoles read everything again.
const ANNOUNCED: usize = 20;

/// Changed fields of one row.
#[derive(Clone, Debug)]
pub struct RowEdit {
    /// Which row.
    pub row: RowId,
    /// Its fields, compared with what was shown.
    pub fields: Vec<FieldEdit>,
    /// The entry of the audit that it takes back.
    pub undoes: Option<i64>,
    /// Of a remedy: the error that it was offered for, compared with the one that the row has.
    pub against: Option<Against>,
}

/// A row as it was listed.
#[derive(Clone, Copy, Debug)]
pub struct ListedRow {
    /// Which row.
    pub row: RowId,
    /// When its error was seen last; `None` compares nothing.
    pub seen: Option<DateTime<Utc>>,
    /// Whether somebody said that it may be made a second time, should its first answer have been lost.
    pub twice: bool,
}

impl Store {
    /// Saves an edit, compared with the values that were shown, and makes the unit ready with no attempts spent.
    ///
    /// # Errors
    /// Refused, with nothing changed, when the row is gone, holds another value than was shown, or cannot take the
    /// new one.
    pub async fn save(&self, edit: &Edit, operation: &Operation) -> Result<(), Error> {
        self.mend(edit, None, operation).await
    }

    /// The same as a remedy: compared with the error that it was offered for, too.
    ///
    /// # Errors
    /// As `save`, and when the row is being sent, or has another error than that by now.
    pub async fn mend(
        &self,
        edit: &Edit,
        against: Option<Against>,
        operation: &Operation,
    ) -> Result<(), Error> {
        let one = RowEdit { row: edit.row.row, fields: edit.fields.clone(), undoes: None, against };
        done(self.edit_rows(&edit.row.table, &[one], edit.retry, operation, "edited").await?)
    }

    /// Sends a failing row again as it is.
    ///
    /// # Errors
    /// Refused when the row has no unsent change, or is being sent already.
    pub async fn retry(&self, at: &RowRef, operation: &Operation) -> Result<(), Error> {
        self.retry_seen(at, None, operation).await
    }

    /// The same, unless the row was answered since its error was `seen`.
    ///
    /// # Errors
    /// As `retry`, and when it was answered since.
    pub async fn retry_seen(
        &self,
        at: &RowRef,
        seen: Option<DateTime<Utc>>,
        operation: &Operation,
    ) -> Result<(), Error> {
        done(
            self.retry_rows(
                &at.table,
                &[ListedRow { row: at.row, seen, twice: false }],
                operation,
                "retried",
            )
            .await?,
        )
    }

    /// Stops asking about a failing row: it is not tried again by itself, and leaves the list. A later change of the row
    /// is sent, and fails, like any other; a retry takes it up again.
    ///
    /// # Errors
    /// Refused when the row has no unresolved error.
    pub async fn ignore(&self, at: &RowRef, operation: &Operation) -> Result<(), Error> {
        done(self.ignore_rows(&at.table, &[at.row], operation).await?)
    }

    /// Saves edits of rows of one table, each compared with the values that were shown. What one row's column or
    /// trigger refuses costs the others nothing.
    ///
    /// # Errors
    /// Refused when the mapping, or one of the columns, is not to be written at all.
    pub async fn edit_rows(
        &self,
        table: &str,
        edits: &[RowEdit],
        retry: bool,
        operation: &Operation,
        action: &str,
    ) -> Result<Vec<RowResult>, Error> {
        let mapping = self.registered(table).await?;
        may_write(&mapping, edits)?;
        let mut results = Vec::new();
        let mut waiting: Vec<&[RowEdit]> = vec![edits];
        while let Some(part) = waiting.pop() {
            match self.edit_together(&mapping, part, retry, operation, action).await {
                Ok((done, busy)) => {
                    results.extend(done);
                    let busy = part.iter().filter(|edit| busy.contains(&edit.row.0));
                    waiting.extend(busy.map(std::slice::from_ref));
                }
                Err(error) if !error.is_of_this_table() => return Err(error),
                // One spoils the others: it is found by halving.
                Err(_) if part.len() > 1 => {
                    let (first, second) = part.split_at(part.len() / 2);
                    waiting.extend([second, first]);
                }
                Err(error) => {
                    results.extend(part.iter().map(|edit| {
                        let text =
                            format!("PostgreSQL refuses the value for {}: {}", mapping.table, plain(&error));
                        RowResult::new(edit.row, RowStatus::Failed, text)
                    }));
                }
            }
        }
        Ok(results)
    }

    async fn edit_together(
        &self,
        mapping: &Mapping,
        edits: &[RowEdit],
        retry: bool,
        operation: &Operation,
        action: &str,
    ) -> Result<(Vec<RowResult>, HashSet<i32>), Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin an edit")?;
        let ids: Vec<i32> = edits.iter().map(|edit| edit.row.0).collect();
        let Locked { rows, busy } = self.lock_rows(&transaction, mapping, &ids).await?;
        // Who mends one error must not hit the next one: neither comes while the unit is locked.
        let remedies: Vec<i32> =
            edits.iter().filter(|edit| edit.against.is_some()).map(|edit| edit.row.0).collect();
        self.lock_new_entries(&transaction, &mapping.table, &remedies).await?;
        let failing = failing(&transaction, &mapping.table, &remedies).await?;
        let mut results = Vec::new();
        let mut entries = Vec::new();
        let mut columns: BTreeMap<Vec<&str>, Vec<Value>> = BTreeMap::new();
        for edit in edits.iter().filter(|edit| !busy.contains(&edit.row.0)) {
            let still = edit.against.map_or(Ok(()), |against| failing.compare(edit.row, against));
            match still.and_then(|()| compare(mapping, edit, rows.get(&edit.row.0))) {
                Ok((before, after)) => {
                    let names = edit.fields.iter().map(|field| field.column.as_str()).collect();
                    columns.entry(names).or_default().push(json!({"id": edit.row, "after": after}));
                    entries.push(NewAuditEntry {
                        row: Some(edit.row.0),
                        before: Some(Value::Object(before)),
                        after: Some(Value::Object(after)),
                        undoes: edit.undoes,
                    });
                    results.push(RowResult::new(edit.row, RowStatus::Done, "saved"));
                }
                Err((status, why)) => results.push(RowResult::new(edit.row, status, why)),
            }
        }
        let edited: Vec<i32> = entries.iter().filter_map(|entry| entry.row).collect();
        for (names, rows) in columns.into_iter().filter(|(names, _)| !names.is_empty()) {
            self.write_columns(&transaction, mapping, &names, rows).await?;
            // Whoever edits a field that changed on both sides has chosen, this edit included: a read that comes before it is
            // sent has nothing more to decide.
            let sql = format!(
                "UPDATE syncdeck.conflict SET winner = 'postgres', decided_by = $4, decided_at = clock_timestamp(),
                     upto = coalesce((SELECT max(id) FROM {}._trigger_log log
                         WHERE log.table_name = $1 AND log.record_id = conflict.record_id), upto)
                 WHERE table_name = $1 AND record_id = ANY($2) AND column_name = ANY($3) AND winner IS NULL",
                self.schema
            );
            transaction
                .execute(&sql, &[&mapping.table, &edited, &names, &operation.operator.actor])
                .await
                .context("decide conflicts")?;
        }
        audit(&transaction, operation, action, mapping, &entries).await?;
        if retry {
            self.make_ready(&transaction, mapping, &edited, &[]).await?;
        }
        announce(&transaction, &mapping.table, &edited).await?;
        transaction.commit().await.context("save an edit")?;
        Ok((results, busy))
    }

    /// Writes columns of rows, given as `{"id", "after"}`, each value by the column's own type.
    pub(in crate::postgres) async fn write_columns(
        &self,
        transaction: &Transaction<'_>,
        mapping: &Mapping,
        columns: &[&str],
        rows: Vec<Value>,
    ) -> Result<u64, Error> {
        let table = self.table(&mapping.table);
        let names: Vec<String> = columns.iter().map(|column| quote(column)).collect();
        let sql = format!(
            "UPDATE {table} t SET ({names}) = (
                 SELECT {values} FROM pg_catalog.jsonb_populate_record(NULL::{table}, edit.after) new)
             FROM pg_catalog.jsonb_to_recordset($1) AS edit (id integer, after jsonb) WHERE t.id = edit.id",
            names = names.join(", "),
            values = names.iter().map(|name| format!("new.{name}")).collect::<Vec<_>>().join(", ")
        );
        transaction.write_rows(&sql, &[&Value::from(rows)]).await.context("write the edited rows")
    }

    /// Sends failing rows again as they are; `action` is `retried` or `released`. A row that is being sent already, or
    /// was answered since it was listed, is left alone: two who ask for the same send it once.
    pub async fn retry_rows(
        &self,
        table: &str,
        rows: &[ListedRow],
        operation: &Operation,
        action: &str,
    ) -> Result<Vec<RowResult>, Error> {
        let mapping = self.registered(table).await?;
        let mut results = Vec::new();
        let mut waiting: Vec<&[ListedRow]> = vec![rows];
        while let Some(part) = waiting.pop() {
            let (done, busy) = self.retry_together(&mapping, part, operation, action).await?;
            results.extend(done);
            let busy = part.iter().filter(|listed| busy.contains(&listed.row.0));
            waiting.extend(busy.map(std::slice::from_ref));
        }
        Ok(results)
    }

    async fn retry_together(
        &self,
        mapping: &Mapping,
        rows: &[ListedRow],
        operation: &Operation,
        action: &str,
    ) -> Result<(Vec<RowResult>, HashSet<i32>), Error> {
        let table = mapping.table.as_str();
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin a retry")?;
        let ids: Vec<i32> = rows.iter().map(|listed| listed.row.0).collect();
        let Locked { busy, .. } = self.lock_rows(&transaction, mapping, &ids).await?;
        self.lock_new_entries(&transaction, &mapping.table, &ids).await?;
        let units = lock_units(&transaction, &mapping.table, &ids).await?;
        let errors = lock_errors(&transaction, &mapping.table, &ids).await?;
        let mut results = Vec::new();
        let mut ready = Vec::new();
        for listed in rows.iter().filter(|listed| !busy.contains(&listed.row.0)) {
            let id = listed.row.0;
            let answered =
                listed.seen.is_some_and(|at| errors.get(&id).is_some_and(|(_, error)| error.seen > at));
            let fate = match units.get(&id) {
                Some(LockedUnit { sending: true, .. }) => {
                    Some((RowStatus::Skipped, "it is being sent already".to_owned()))
                }
                _ if answered => {
                    Some((RowStatus::Skipped, "it was tried again since it was listed".to_owned()))
                }
                _ => None,
            };
            match fate {
                Some((status, why)) => results.push(RowResult::new(listed.row, status, why)),
                None => ready.push(id),
            }
        }
        let twice: Vec<i32> = rows.iter().filter(|listed| listed.twice).map(|listed| listed.row.0).collect();
        let made = self.make_ready(&transaction, mapping, &ready, &twice).await?;
        for id in ready.iter().filter(|id| !made.contains(id)) {
            let why = format!(
                "the row {id} of {table} has no unsent change to retry: everything of it was answered"
            );
            results.push(RowResult::new(RowId(*id), RowStatus::Failed, why));
        }
        let entries: Vec<NewAuditEntry> =
            made.iter().map(|id| NewAuditEntry { row: Some(*id), ..NewAuditEntry::default() }).collect();
        audit(&transaction, operation, action, mapping, &entries).await?;
        announce(&transaction, &mapping.table, &made).await?;
        transaction.commit().await.context("retry rows")?;
        results.extend(made.iter().map(|id| RowResult::new(RowId(*id), RowStatus::Done, "it is sent")));
        Ok((results, busy))
    }

    /// Stops asking about failing rows.
    pub async fn ignore_rows(
        &self,
        table: &str,
        rows: &[RowId],
        operation: &Operation,
    ) -> Result<Vec<RowResult>, Error> {
        let mapping = self.registered(table).await?;
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin an ignore")?;
        let ids: Vec<i32> = rows.iter().map(|row| row.0).collect();
        // The unit before the error, as in an acknowledgement.
        lock_units(&transaction, &mapping.table, &ids).await?;
        let errors = lock_errors(&transaction, &mapping.table, &ids).await?;
        let mut results = Vec::new();
        let mut ignored = Vec::new();
        for row in rows {
            match errors.get(&row.0).map(|(state, _)| state.as_str()) {
                None => {
                    let why = format!("the row {row} of {} has no open error to ignore", mapping.table);
                    results.push(RowResult::new(*row, RowStatus::Failed, why));
                }
                Some("ignored") => {
                    results.push(RowResult::new(*row, RowStatus::Skipped, "it is ignored already"))
                }
                Some(_) => {
                    ignored.push(row.0);
                    results.push(RowResult::new(
                        *row,
                        RowStatus::Done,
                        "it is off the list until the row changes; retry takes it up again",
                    ));
                }
            }
        }
        // One in flight stays so; its answer finds the error ignored.
        transaction
            .execute(
                "UPDATE syncdeck.unit SET state = 'failed', version = version + 1
                 WHERE table_name = $1 AND record_id = ANY($2) AND state IN ('ready', 'held', 'review', 'stopped')",
                &[&mapping.table, &ignored],
            )
            .await
            .context("stop units")?;
        let sql = format!(
            "UPDATE syncdeck.error SET state = 'ignored', next_retry_at = NULL, upto = (
                 SELECT max(id) FROM {}._trigger_log log
                 WHERE log.table_name = $1 AND log.record_id = error.record_id AND log.state IN ('PENDING', 'FAILED'))
             WHERE table_name = $1 AND record_id = ANY($2) AND resolved_at IS NULL",
            self.schema
        );
        transaction.execute(&sql, &[&mapping.table, &ignored]).await.context("ignore errors")?;
        let entries: Vec<NewAuditEntry> =
            ignored.iter().map(|id| NewAuditEntry { row: Some(*id), ..NewAuditEntry::default() }).collect();
        audit(&transaction, operation, "ignored", &mapping, &entries).await?;
        announce(&transaction, &mapping.table, &ignored).await?;
        transaction.commit().await.context("ignore errors")?;
        Ok(results)
    }

    /// Locks rows. One is waited for; of several, those that a user has locked are left for a transaction of their own,
    /// for whoever waits for a user's row with another one in hand may deadlock that user.
    pub(in crate::postgres) async fn lock_rows(
        &self,
        transaction: &Transaction<'_>,
        mapping: &Mapping,
        ids: &[i32],
    ) -> Result<Locked, Error> {
        let table = self.table(&mapping.table);
        let several = if ids.len() > 1 { "SKIP LOCKED" } else { "" };
        let sql = format!("SELECT id, to_jsonb(t) FROM {table} t WHERE id = ANY($1) FOR UPDATE {several}");
        let rows = transaction.query(&sql, &[&ids]).await.context("lock rows")?;
        let rows: HashMap<i32, Value> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        let missing: Vec<i32> =
            ids.iter().copied().filter(|id| ids.len() > 1 && !rows.contains_key(id)).collect();
        if missing.is_empty() {
            return Ok(Locked { rows, busy: HashSet::new() });
        }
        let sql = format!("SELECT id FROM {table} WHERE id = ANY($1)");
        let busy = transaction.query(&sql, &[&missing]).await.context("look for locked rows")?;
        Ok(Locked { rows, busy: busy.iter().map(|row| row.get(0)).collect() })
    }

    /// Locks the changes of rows that nobody has taken in. Whoever goes on to units does this first, as an ingestion does;
    /// all others of a unit that is not in flight are nobody else's.
    pub(in crate::postgres) async fn lock_new_entries(
        &self,
        transaction: &Transaction<'_>,
        table: &str,
        ids: &[i32],
    ) -> Result<(), Error> {
        let sql = format!(
            "SELECT FROM {}._trigger_log WHERE table_name = $1 AND record_id = ANY($2) AND state = 'NEW'
             ORDER BY id FOR UPDATE",
            self.schema
        );
        transaction.query(&sql, &[&table, &ids]).await.context("lock new changes").map(drop)
    }

    /// Units are ready at once with no attempts spent; one in flight stays so and is sent again after its answer when
    /// something new joined it. That an answer was lost stays known, for Salesforce may have the record; only of rows that
    /// may be made `twice` somebody said that it does not matter. Tells which rows had something unsent.
    pub(in crate::postgres) async fn make_ready(
        &self,
        transaction: &Transaction<'_>,
        mapping: &Mapping,
        ids: &[i32],
        twice: &[i32],
    ) -> Result<Vec<i32>, Error> {
        let table = mapping.table.as_str();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        // What the rows' changes captured is taken in here: a claim before the next ingestion would send the unit without
        // it. Entries before units, as in an ingestion; the rows' locks, which the caller holds, keep others from adding.
        let sql = format!(
            "UPDATE {schema}._trigger_log SET state = 'PENDING', updated_at = clock_timestamp() WHERE id IN (
                 SELECT id FROM {schema}._trigger_log
                 WHERE table_name = $1 AND record_id = ANY($2) AND state = 'NEW' ORDER BY id FOR UPDATE)",
            schema = self.schema
        );
        transaction.execute(&sql, &[&table, &ids]).await.context("take the rows' changes in")?;
        let sql = format!(
            "INSERT INTO syncdeck.unit AS unit (table_name, record_id, state)
             SELECT table_name, record_id, 'ready' FROM {}._trigger_log
             WHERE table_name = $1 AND record_id = ANY($2) AND {UNSENT} GROUP BY 1, 2 ORDER BY 1, 2
             ON CONFLICT (table_name, record_id) DO UPDATE SET version = unit.version + 1, attempts = 0,
                 lost = CASE WHEN unit.record_id = ANY($3) THEN 0 ELSE unit.lost END, lost_alone = 0, state = CASE unit.state WHEN 'inflight' THEN 'inflight' ELSE 'ready' END,
                 ready_at = CASE unit.state WHEN 'inflight' THEN unit.ready_at ELSE clock_timestamp() END
             RETURNING record_id",
            self.schema
        );
        let ready = transaction.query(&sql, &[&table, &ids, &twice]).await.context("make units ready")?;
        let ready: Vec<i32> = ready.iter().map(|row| row.get(0)).collect();
        transaction
            .execute(
                "UPDATE syncdeck.error SET state = 'retrying', next_retry_at = clock_timestamp()
                 WHERE table_name = $1 AND record_id = ANY($2) AND resolved_at IS NULL",
                &[&table, &ready],
            )
            .await
            .context("mark errors as retrying")?;
        transaction.batch_execute(AS_ENGINE).await.context("mark the engine's own write")?;
        let sql = format!(
            "UPDATE {} SET _hc_lastop = 'PENDING', _hc_err = NULL WHERE id = ANY($1)",
            self.table(table)
        );
        transaction.write_rows(&sql, &[&ready]).await.context("mark rows as pending")?;
        Ok(ready)
    }
}

/// Rows that were to be locked.
pub(in crate::postgres) struct Locked {
    /// Those that are, with their values.
    pub rows: HashMap<i32, Value>,
    /// Those that somebody else has.
    pub busy: HashSet<i32>,
}

/// The only row's fate as a result.
pub(in crate::postgres) fn done(results: Vec<RowResult>) -> Result<(), Error> {
    match results.into_iter().find(|fate| fate.status != RowStatus::Done) {
        Some(fate) => Err(Error::Refused(fate.message)),
        None => Ok(()),
    }
}

fn may_write(mapping: &Mapping, edits: &[RowEdit]) -> Result<(), Error> {
    if mapping.access == Access::ReadOnly {
        return Err(Error::Refused(format!(
            "{} is mapped read-only: a change of the row would never reach Salesforce\n\
             mend the record in Salesforce, or set access = \"read_write\"",
            mapping.object
        )));
    }
    let mut columns = edits.iter().flat_map(|edit| &edit.fields).map(|field| &field.column);
    match columns.find(|column| mapping.field(column).is_none()) {
        Some(unknown) => Err(Error::Refused(format!("{} has no mapped column {unknown:?}", mapping.object))),
        None => Ok(()),
    }
}

type Values = Map<String, Value>;

/// The values before and after, if the row still holds what was shown.
pub(in crate::postgres) fn compare(
    mapping: &Mapping,
    edit: &RowEdit,
    row: Option<&Value>,
) -> Result<(Values, Values), (RowStatus, String)> {
    let Some(row) = row else {
        return Err((RowStatus::Failed, format!("the row {} of {} is gone", edit.row, mapping.table)));
    };
    let (mut before, mut after) = (Map::new(), Map::new());
    for field in &edit.fields {
        let there = row.get(&field.column).and_then(json_text);
        if let Some(text) = moved(field, there.as_deref()) {
            return Err((RowStatus::Skipped, text));
        }
        before.insert(field.column.clone(), json!(there));
        after.insert(field.column.clone(), json!(field.new));
    }
    Ok((before, after))
}

/// Whether a row still holds what was shown of the fields that are edited.
///
/// # Errors
/// Names the first that it does not.
pub(in crate::postgres) fn compare_fields(fields: &[FieldEdit], row: &Value) -> Result<(), Error> {
    let found = |field: &FieldEdit| moved(field, row.get(&field.column).and_then(json_text).as_deref());
    fields.iter().find_map(found).map_or(Ok(()), |text| Err(Error::Conflict(text)))
}

/// What is told of a field that does not hold what was shown of it.
fn moved(field: &FieldEdit, there: Option<&str>) -> Option<String> {
    (there != field.shown.as_deref()).then(|| {
        format!(
            "{} was changed meanwhile: it is now {}, you were shown {}\nlook at the new value and edit again",
            field.column,
            shown(there),
            shown(field.shown.as_deref())
        )
    })
}

fn shown(value: Option<&str>) -> String {
    value.map_or("NULL".to_owned(), |value| format!("{value:?}"))
}

/// What the server said, without what we wanted of it.
pub(in crate::postgres) fn plain(error: &Error) -> String {
    match error {
        Error::Sql { source, .. } => describe(source),
        other => other.to_string(),
    }
}

/// Wakes the engine and every console: an operator's transaction is rare, so NOTIFY costs nothing here.
pub(in crate::postgres) async fn announce(
    transaction: &Transaction<'_>,
    table: &str,
    ids: &[i32],
) -> Result<(), Error> {
    let payload = match ids {
        [] => return Ok(()),
        ids if ids.len() > ANNOUNCED => "retry".to_owned(),
        ids => format!("retry {} {table}", ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")),
    };
    transaction
        .execute("SELECT pg_notify($1, $2)", &[&CHANNEL, &payload])
        .await
        .context("announce a change")
        .map(drop)
}
