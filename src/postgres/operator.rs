//! What an operator does to a row: one transaction of the operator's own session with the write, the audit and the
//! unit made ready. The edit is an ordinary captured write; entries change state only through their unit.

use serde_json::{Map, Value, json};

use crate::domain::mapping::Access;
use crate::domain::names::RowRef;
use crate::domain::record::Edit;

use super::queue::UNSENT;
use super::{CHANNEL, Error, Store, Transaction, While, quote};

impl Store {
    /// Saves an edit, compared with the values that were shown, and makes the unit ready with no attempts spent.
    ///
    /// # Errors
    /// Refused, with nothing changed, when the row is gone, holds another value than was shown, or cannot take the
    /// new one.
    pub async fn save(&self, edit: &Edit, actor: &str) -> Result<(), Error> {
        let mapping = self.registered(&edit.row.table).await?;
        if mapping.access == Access::ReadOnly {
            return Err(Error::Refused(format!(
                "{} is mapped read-only: a change of the row would never reach Salesforce\n\
                 mend the record in Salesforce, or set access = \"read_write\"",
                mapping.object
            )));
        }
        for field in &edit.fields {
            if !mapping.fields.iter().any(|known| known.column == field.column) {
                return Err(Error::Refused(format!(
                    "{} has no mapped column {:?}",
                    mapping.object, field.column
                )));
            }
        }
        let mut client = self.client().await?;
        let transaction = client.transaction().await.while_("begin an edit")?;
        let table = self.table(&mapping.table);
        let row: Value = transaction
            .query_opt(
                &format!("SELECT to_jsonb(t) FROM {table} t WHERE id = $1 FOR UPDATE"),
                &[&edit.row.row.0],
            )
            .await
            .while_("lock the row to edit")?
            .ok_or_else(|| Error::Refused(format!("the row {} of {} is gone", edit.row.row, mapping.table)))?
            .get(0);
        let mut before = Map::new();
        let mut after = Map::new();
        for field in &edit.fields {
            let there = row.get(&field.column).and_then(super::records::json_text);
            if there != field.shown {
                return Err(Error::Refused(format!(
                    "{} was changed meanwhile: it is now {}, you were shown {}\nlook at the new value and edit again",
                    field.column,
                    shown(there.as_deref()),
                    shown(field.shown.as_deref())
                )));
            }
            before.insert(field.column.clone(), json!(there));
            after.insert(field.column.clone(), json!(field.new));
        }
        let names: Vec<String> = edit.fields.iter().map(|field| quote(&field.column)).collect();
        if !names.is_empty() {
            let sql = format!(
                "UPDATE {table} t SET ({names}) = (SELECT {values} FROM jsonb_populate_record(NULL::{table}, $1) new)
                 WHERE t.id = $2",
                names = names.join(", "),
                values = names.iter().map(|name| format!("new.{name}")).collect::<Vec<_>>().join(", ")
            );
            // ROW() would be needed for one column in older servers; a sub-select of one column is a row already.
            transaction
                .execute(&sql, &[&Value::Object(after.clone()), &edit.row.row.0])
                .await
                .map_err(|source| refused_value(source, &mapping.table))?;
        }
        // Whoever edits a field that changed on both sides has chosen.
        let columns: Vec<&str> = edit.fields.iter().map(|field| field.column.as_str()).collect();
        transaction
            .execute(
                "UPDATE syncdeck.conflict SET winner = 'postgres', decided_by = $4, decided_at = clock_timestamp()
                 WHERE table_name = $1 AND record_id = $2 AND column_name = ANY($3) AND winner IS NULL",
                &[&mapping.table, &edit.row.row.0, &columns, &actor],
            )
            .await
            .while_("decide conflicts")?;
        audit(&transaction, actor, "edited", &mapping.object, &edit.row, Some((before, after))).await?;
        if edit.retry {
            self.make_ready(&transaction, &edit.row).await?;
        }
        announce(&transaction, &edit.row).await?;
        transaction.commit().await.while_("save an edit")
    }

    /// Sends a failing row again as it is.
    ///
    /// # Errors
    /// Refused when the row has no unsent change.
    pub async fn retry(&self, at: &RowRef, actor: &str) -> Result<(), Error> {
        let mapping = self.registered(&at.table).await?;
        let at = RowRef { table: mapping.table.clone(), row: at.row };
        let mut client = self.client().await?;
        let transaction = client.transaction().await.while_("begin a retry")?;
        // The row first, then the unit: the order in which everybody takes them.
        transaction
            .execute(&format!("SELECT FROM {} WHERE id = $1 FOR UPDATE", self.table(&at.table)), &[&at.row.0])
            .await
            .while_("lock the row to retry")?;
        if self.make_ready(&transaction, &at).await? == 0 {
            return Err(Error::Refused(format!(
                "the row {} of {} has no unsent change to retry: everything of it was answered",
                at.row, at.table
            )));
        }
        audit(&transaction, actor, "retried", &mapping.object, &at, None).await?;
        announce(&transaction, &at).await?;
        transaction.commit().await.while_("retry a row")
    }

    /// Takes a record that is in Salesforce already as this row's own, and sends the row again: its insert becomes an
    /// update.
    ///
    /// # Errors
    /// Refused when the row has a record, or the record has a row.
    pub async fn link(&self, at: &RowRef, sfid: &str, actor: &str) -> Result<(), Error> {
        let mapping = self.registered(&at.table).await?;
        let table = self.table(&mapping.table);
        let mut client = self.client().await?;
        let transaction = client.transaction().await.while_("begin to link a row")?;
        let row = transaction
            .query_opt(&format!("SELECT sfid::text FROM {table} WHERE id = $1 FOR UPDATE"), &[&at.row.0])
            .await
            .while_("lock the row to link")?
            .ok_or_else(|| Error::Refused(format!("the row {} of {} is gone", at.row, mapping.table)))?;
        if let Some(known) = row.get::<_, Option<String>>(0) {
            return Err(Error::Refused(format!("the row {} has a record already, {known}", at.row)));
        }
        let owner = transaction
            .query_opt(&format!("SELECT id FROM {table} WHERE sfid = $1"), &[&sfid])
            .await
            .while_("look for the record's row")?;
        if let Some(owner) = owner {
            return Err(Error::Refused(format!(
                "the record {sfid} belongs to the row {} already\nif both rows are the same thing, delete one of them",
                owner.get::<_, i32>(0)
            )));
        }
        transaction.batch_execute(super::AS_ENGINE).await.while_("mark the engine's own write")?;
        transaction
            .execute(&format!("UPDATE {table} SET sfid = $1 WHERE id = $2"), &[&sfid, &at.row.0])
            .await
            .while_("link a row")?;
        self.make_ready(&transaction, at).await?;
        let values = [json!({"sfid": null}), json!({"sfid": sfid})].map(|value| match value {
            Value::Object(map) => map,
            _ => Map::new(),
        });
        let [before, after] = values;
        audit(&transaction, actor, "linked", &mapping.object, at, Some((before, after))).await?;
        announce(&transaction, at).await?;
        transaction.commit().await.while_("link a row")
    }

    /// Stops asking about a failing row: it is not tried again by itself, and leaves the list. A later change of the row
    /// is sent, and fails, like any other; a retry takes it up again.
    ///
    /// # Errors
    /// Refused when the row has no unresolved error.
    pub async fn ignore(&self, at: &RowRef, actor: &str) -> Result<(), Error> {
        let mapping = self.registered(&at.table).await?;
        let at = RowRef { table: mapping.table.clone(), row: at.row };
        let mut client = self.client().await?;
        let transaction = client.transaction().await.while_("begin an ignore")?;
        // The unit before the error, as in an acknowledgement. One in flight stays so; its answer finds the error
        // ignored.
        transaction
            .execute(
                "UPDATE syncdeck.unit SET state = 'failed', version = version + 1
                 WHERE table_name = $1 AND record_id = $2 AND state IN ('ready', 'held', 'review', 'stopped')",
                &[&at.table, &at.row.0],
            )
            .await
            .while_("stop a unit")?;
        let sql = format!(
            "UPDATE syncdeck.error SET state = 'ignored', next_retry_at = NULL, upto = (
                 SELECT max(id) FROM {}._trigger_log
                 WHERE table_name = $1 AND record_id = $2 AND state IN ('PENDING', 'FAILED'))
             WHERE table_name = $1 AND record_id = $2 AND resolved_at IS NULL",
            self.schema
        );
        let ignored = transaction.execute(&sql, &[&at.table, &at.row.0]).await.while_("ignore an error")?;
        if ignored == 0 {
            return Err(Error::Refused(format!(
                "the row {} of {} has no open error to ignore",
                at.row, at.table
            )));
        }
        audit(&transaction, actor, "ignored", &mapping.object, &at, None).await?;
        announce(&transaction, &at).await?;
        transaction.commit().await.while_("ignore a row's error")
    }

    /// The unit is ready at once with no attempts spent; one in flight stays so and is sent again after its answer
    /// when something new joined it. Tells how many units there were (0 or 1).
    pub(super) async fn make_ready(&self, transaction: &Transaction<'_>, at: &RowRef) -> Result<u64, Error> {
        // What the row's change captured is taken in here: a claim before the next intake would send the unit without
        // it. Entries before units, as in an intake; the row's lock, which the caller holds, keeps others from adding.
        let sql = format!(
            "UPDATE {}._trigger_log SET state = 'PENDING', updated_at = clock_timestamp()
             WHERE table_name = $1 AND record_id = $2 AND state = 'NEW'",
            self.schema
        );
        transaction.execute(&sql, &[&at.table, &at.row.0]).await.while_("take a row's changes in")?;
        let sql = format!(
            "INSERT INTO syncdeck.unit AS unit (table_name, record_id, state)
             SELECT DISTINCT table_name, record_id, 'ready' FROM {}._trigger_log
             WHERE table_name = $1 AND record_id = $2 AND {UNSENT}
             ON CONFLICT (table_name, record_id) DO UPDATE SET version = unit.version + 1, attempts = 0, lost = 0,
                 lost_alone = 0, state = CASE unit.state WHEN 'inflight' THEN 'inflight' ELSE 'ready' END,
                 ready_at = CASE unit.state WHEN 'inflight' THEN unit.ready_at ELSE clock_timestamp() END",
            self.schema
        );
        let ready = transaction.execute(&sql, &[&at.table, &at.row.0]).await.while_("make a unit ready")?;
        if ready > 0 {
            transaction
                .execute(
                    "UPDATE syncdeck.error SET state = 'retrying', next_retry_at = clock_timestamp()
                     WHERE table_name = $1 AND record_id = $2 AND resolved_at IS NULL",
                    &[&at.table, &at.row.0],
                )
                .await
                .while_("mark an error as retrying")?;
            transaction.batch_execute(super::AS_ENGINE).await.while_("mark the engine's own write")?;
            let sql = format!(
                "UPDATE {} SET _hc_lastop = 'PENDING', _hc_err = NULL WHERE id = $1",
                self.table(&at.table)
            );
            transaction.execute(&sql, &[&at.row.0]).await.while_("mark the row as pending")?;
        }
        Ok(ready)
    }
}

fn shown(value: Option<&str>) -> String {
    value.map_or("NULL".to_owned(), |value| format!("{value:?}"))
}

/// A value that the column cannot take, in words; anything else stays what it is.
fn refused_value(source: tokio_postgres::Error, table: &str) -> Error {
    match source.as_db_error() {
        Some(error) if error.code().code().starts_with("22") || error.code().code().starts_with("23") => {
            Error::Refused(format!("PostgreSQL refuses the value for {table}: {}", error.message()))
        }
        _ => Error::Sql { what: "write the edited row", source },
    }
}

pub(super) async fn audit(
    transaction: &Transaction<'_>,
    actor: &str,
    action: &str,
    mapping: &str,
    at: &RowRef,
    values: Option<(Map<String, Value>, Map<String, Value>)>,
) -> Result<(), Error> {
    let (before, after) = match values {
        Some((before, after)) => (Some(Value::Object(before)), Some(Value::Object(after))),
        None => (None, None),
    };
    transaction
        .execute(
            "INSERT INTO syncdeck.audit (actor, action, mapping, table_name, record_id, error_id, before, after)
             VALUES ($1, $2, $3, $4::text, $5, (SELECT id FROM syncdeck.error
                 WHERE table_name = $4::text AND record_id = $5 AND resolved_at IS NULL), $6, $7)",
            &[&actor, &action, &mapping, &at.table, &at.row.0, &before, &after],
        )
        .await
        .while_("write the audit")
        .map(drop)
}

/// Wakes the engine and every console: an operator's transaction is rare, so NOTIFY costs nothing here.
pub(super) async fn announce(transaction: &Transaction<'_>, at: &RowRef) -> Result<(), Error> {
    transaction
        .execute("SELECT pg_notify($1, $2)", &[&CHANNEL, &format!("retry {} {}", at.row, at.table)])
        .await
        .while_("announce a change")
        .map(drop)
}
