//! Changing a row and having its failed changes sent again, beside Heroku Connect, in one transaction of the operator's own
//! session. The row is locked first, then its entries that failed: so neither another operator nor Heroku Connect's
//! own answer about the row comes between what is compared and what is done. Nothing is written over an entry that Heroku
//! Connect works on: only what is FAILED is touched, and what is new is captured behind it.
//!
//! How a failed change is sent again depends on how Heroku Connect writes:
//!
//! - merged: the entry becomes NEW again, or is copied from the archive. The latest value of a column wins, so that is right
//!   as long as the row still has the values of the entry, or a later entry has the newer ones.
//! - ordered, and wherever an old entry would bring an old value back: the row is captured anew, as a whole or the columns that
//!   failed, by Heroku Connect's own functions. The failed entries become REQUEUED.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::domain::attached::history::{EntryState, LogEntry, RowFailure, RowSeen, RowState, failure};
use crate::domain::errors::sync_error::ErrorState;
use crate::domain::values::hstore;

use crate::postgres::operations::edit::{compare_fields, plain};
use crate::postgres::schema::install::found_hstore;
use crate::postgres::session::client::Transaction;
use crate::postgres::{Error, ErrorContext, Store};

use super::asked::{LockedRow, Mend};
use super::catalog::taken_over;
use super::recipe::Recipe;

/// How often a transaction is tried that PostgreSQL broke off: it and Heroku Connect waited for each other.
const TRIES: u32 = 3;

/// What Heroku Connect's trigger captured of an edit, to be sent.
#[derive(Default)]
struct Captured {
    entries: Vec<i64>,
    columns: BTreeSet<String>,
}

impl Store {
    /// Changes a row, has its failed changes sent again, or both: all of it or nothing.
    ///
    /// # Errors
    /// Refused when the row or its error is not as it was shown, when nothing would reach Salesforce, or when what is
    /// needed lacks in the database: the text names it.
    pub async fn attached_mend(&self, mend: &Mend<'_>) -> Result<(), Error> {
        let mut tries = 1;
        loop {
            match self.mend_once(mend).await {
                Err(error) if error.is_passing() && !error.is_connection() && tries < TRIES => tries += 1,
                Err(error) if error.is_of_a_record() && !mend.fields.is_empty() => {
                    return Err(Error::Refused(format!(
                        "PostgreSQL refuses the value for {}: {}",
                        mend.mapping.table,
                        plain(&error)
                    )));
                }
                Err(error) if error.is_lock_timeout() => {
                    return Err(Error::Conflict(format!(
                        "the row {} of {} is locked by somebody else\ntry it again in a moment",
                        mend.at.row, mend.at.table
                    )));
                }
                other => return other,
            }
        }
    }

    async fn mend_once(&self, mend: &Mend<'_>) -> Result<(), Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to mend a row")?;
        let hstore = found_hstore(&transaction).await?;
        let row = self.lock_attached(&transaction, mend, hstore.as_deref()).await?;
        if row.is_none() && !mend.fields.is_empty() {
            return Err(Error::NotFound(format!("the row {} of {} is gone", mend.at.row, mend.at.table)));
        }
        let entries = if mend.retry || mend.seen.is_some() {
            self.lock_failed(&transaction, mend).await?
        } else {
            Vec::new()
        };
        let seen = row.as_ref().map_or(RowSeen::Gone, |row| RowSeen::Row(&row.state));
        let failed = failure(&entries, seen, mend.mode);
        still_fails(mend, &entries, failed.as_ref())?;
        let mut captured = Captured::default();
        if let Some(row) = row.as_ref().filter(|_| !mend.fields.is_empty()) {
            compare_fields(mend.fields, &row.json)?;
            captured = self.write_edit(&transaction, mend).await?;
        }
        let failed = failed.as_ref().filter(|_| mend.retry);
        // What the edit came to is known only now: a trigger may have turned a value back into the old one.
        let recipe = Recipe::of(mend, &entries, failed, row.as_ref(), &captured.columns)?;
        if !recipe.sends() && captured.entries.is_empty() {
            return Err(nothing_sent(mend));
        }
        match &recipe {
            Recipe::Nothing => {}
            Recipe::Again { live, archived } => self.send_entries(&transaction, live, archived).await?,
            Recipe::Capture { insert, columns, failed } => {
                if *insert {
                    self.leave_unsent(&transaction, &captured.entries).await?;
                }
                self.capture_again(&transaction, mend, hstore.as_deref(), (*insert, columns)).await?;
                self.set_state(&transaction, failed, "REQUEUED").await?;
            }
        }
        // Heroku Connect listens to it; its own trigger tells it of new entries only, not of those that are new again.
        let channel = format!("{}.hc_trigger_log", self.schema_name);
        transaction
            .execute("SELECT pg_notify($1, 'ping')", &[&channel])
            .await
            .context("tell Heroku Connect")?;
        transaction.commit().await.context("mend a row")
    }

    /// Has everybody stop asking about what failed of a row: its failed entries become IGNORED.
    ///
    /// # Errors
    /// Refused when nothing of it failed, as far as the log goes.
    pub async fn attached_ignore(&self, mend: &Mend<'_>) -> Result<(), Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to ignore an error")?;
        let row = self.lock_attached(&transaction, mend, None).await?;
        let entries = self.lock_failed(&transaction, mend).await?;
        let seen = row.as_ref().map_or(RowSeen::Gone, |row| RowSeen::Row(&row.state));
        let failed = failure(&entries, seen, mend.mode);
        still_fails(mend, &entries, failed.as_ref())?;
        let unsent = failed.map(|failed| failed.unsent).unwrap_or_default();
        let failed: Vec<&LogEntry> =
            entries.iter().filter(|entry| unsent.failed.contains(&entry.id)).collect();
        if failed.is_empty() {
            return Err(Error::Refused(
                "no entry of the change log failed, and only an entry can be ignored\nmend the row, or let a change of it succeed"
                    .to_owned(),
            ));
        }
        let failed: Vec<(i64, bool)> = failed.iter().map(|entry| (entry.id, entry.archived)).collect();
        self.set_state(&transaction, &failed, "IGNORED").await?;
        transaction.commit().await.context("ignore an error")
    }

    /// Locks the row against everybody who writes it, Heroku Connect's answer included; `None` where it is gone.
    async fn lock_attached(
        &self,
        transaction: &Transaction<'_>,
        mend: &Mend<'_>,
        hstore: Option<&str>,
    ) -> Result<Option<LockedRow>, Error> {
        // The row of a subquery is of no type but record: for one of the table's own type somebody may have made another
        // function of this name.
        let values = hstore.map_or("NULL".to_owned(), |schema| format!("{schema}.hstore(t)::text"));
        let sql = format!(
            "SELECT to_jsonb(t), t.sfid::text, t._hc_lastop::text, t._hc_err::text, {values}
             FROM (SELECT r.* FROM {} r WHERE r.id = $1 FOR NO KEY UPDATE) t",
            self.table(&mend.at.table)
        );
        let row = transaction.query_opt(&sql, &[&mend.at.row.0]).await.context("lock the row")?;
        self.refuse_if_ours(transaction, &mend.at.table).await?;
        Ok(row.map(|row| LockedRow {
            json: row.get(0),
            state: RowState { sfid: row.get(1), lastop: row.get(2), err: row.get(3) },
            values: row
                .get::<_, Option<String>>(4)
                .and_then(|text| hstore::parse(&text).ok())
                .unwrap_or_default(),
        }))
    }

    /// Refused where syncdeck took the table over: Heroku Connect sends nothing of it any more.
    async fn refuse_if_ours(&self, transaction: &Transaction<'_>, table: &str) -> Result<(), Error> {
        let ours = transaction
            .query_opt(
                "SELECT FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
                 WHERE n.nspname = $1 AND c.relname = $2 AND g.tgname = '00_hc_logger'",
                &[&self.schema_name, &table],
            )
            .await
            .context("look who captures changes")?;
        match ours {
            Some(_) => Err(Error::Refused(taken_over(&self.schema_name))),
            None => Ok(()),
        }
    }

    /// Locks the entries that failed, so that nobody else sends them again; returns all entries of the row as they are
    /// then. The archive, which asks for a right of its own, is locked only where one of its entries failed.
    async fn lock_failed(
        &self,
        transaction: &Transaction<'_>,
        mend: &Mend<'_>,
    ) -> Result<Vec<LogEntry>, Error> {
        let sql = format!(
            "SELECT FROM {}._trigger_log WHERE table_name = $1 AND record_id = $2 AND state = 'FAILED' ORDER BY id FOR UPDATE",
            self.schema
        );
        transaction
            .query(&sql, &[&mend.at.table, &mend.at.row.0])
            .await
            .context("lock the failed changes")?;
        let entries = self.attached_entries_in(transaction, mend.archive, mend.at).await?;
        let is_archived = |entry: &&LogEntry| entry.archived && entry.state == EntryState::Failed;
        let archived: Vec<i64> = entries.iter().filter(is_archived).map(|entry| entry.id).collect();
        if archived.is_empty() {
            return Ok(entries);
        }
        let sql = format!(
            "SELECT FROM {}._trigger_log_archive WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE",
            self.schema
        );
        transaction.query(&sql, &[&archived]).await.context("lock the failed changes in the archive")?;
        self.attached_entries_in(transaction, mend.archive, mend.at).await
    }

    /// The documented way of merged writes.
    async fn send_entries(
        &self,
        transaction: &Transaction<'_>,
        live: &[i64],
        archived: &[i64],
    ) -> Result<(), Error> {
        let live: Vec<(i64, bool)> = live.iter().map(|id| (*id, false)).collect();
        self.set_state(transaction, &live, "NEW").await?;
        if archived.is_empty() {
            return Ok(());
        }
        let sql = format!(
            "INSERT INTO {schema}._trigger_log (txid, created_at, state, action, table_name, record_id, sfid, old, values)
             SELECT pg_catalog.txid_current(), pg_catalog.clock_timestamp(), 'NEW', action, table_name, record_id, sfid, old, values
             FROM {schema}._trigger_log_archive WHERE id = ANY($1::bigint[]) ORDER BY id",
            schema = self.schema
        );
        transaction.write_rows(&sql, &[&archived]).await.context("copy failed changes out of the archive")?;
        let archived: Vec<(i64, bool)> = archived.iter().map(|id| (*id, true)).collect();
        self.set_state(transaction, &archived, "REQUEUED").await
    }

    /// Gives failed entries, by number and whether they are archived, another state.
    async fn set_state(
        &self,
        transaction: &Transaction<'_>,
        entries: &[(i64, bool)],
        state: &str,
    ) -> Result<(), Error> {
        for (archived, table) in [(false, "_trigger_log"), (true, "_trigger_log_archive")] {
            let ids: Vec<i64> =
                entries.iter().filter(|entry| entry.1 == archived).map(|entry| entry.0).collect();
            if ids.is_empty() {
                continue;
            }
            let sql = format!(
                "UPDATE {}.{table} SET state = $2 WHERE id = ANY($1::bigint[]) AND state = 'FAILED'",
                self.schema
            );
            let set = transaction
                .execute(&sql, &[&ids, &state])
                .await
                .context("set the state of failed changes")?;
            if set != ids.len() as u64 {
                return Err(Error::Conflict("somebody else has sent it again meanwhile".to_owned()));
            }
        }
        Ok(())
    }

    /// Writes the changed fields as an application would, and tells what Heroku Connect's trigger captured of it: nothing
    /// where the row is the same afterwards.
    async fn write_edit(&self, transaction: &Transaction<'_>, mend: &Mend<'_>) -> Result<Captured, Error> {
        let newest = format!("SELECT coalesce(max(id), 0)::bigint FROM {}._trigger_log", self.schema);
        let newest: i64 =
            transaction.query_one(&newest, &[]).await.context("look at the newest change")?.get(0);
        let columns: Vec<&str> = mend.fields.iter().map(|field| field.column.as_str()).collect();
        let after: Map<String, Value> =
            mend.fields.iter().map(|field| (field.column.clone(), json!(field.new))).collect();
        let row = json!({"id": mend.at.row, "after": after});
        self.write_columns(transaction, mend.mapping, &columns, vec![row]).await?;
        let sql = format!(
            "SELECT id::bigint, state::text, values FROM {}._trigger_log
             WHERE id > $3::bigint AND table_name = $1 AND record_id = $2 AND txid = txid_current() AND action = 'UPDATE'",
            self.schema
        );
        let found = transaction
            .query(&sql, &[&mend.at.table, &mend.at.row.0, &newest])
            .await
            .context("look for what was captured")?;
        if !found.iter().any(|entry| ["NEW", "IGNORE"].contains(&entry.get(1))) {
            return Err(Error::Refused(format!(
                "Heroku Connect's triggers did not capture the change of {}: it would never reach Salesforce, and was not made",
                mend.at.table
            )));
        }
        let mut captured = Captured::default();
        for entry in found.iter().filter(|entry| entry.get::<_, &str>(1) == "NEW") {
            captured.entries.push(entry.get(0));
            let values = entry.get::<_, Option<String>>(2).and_then(|text| hstore::parse(&text).ok());
            captured.columns.extend(values.unwrap_or_default().into_keys());
        }
        Ok(captured)
    }

    /// Has an edit's own entries not be sent: the row is captured as a whole besides.
    async fn leave_unsent(&self, transaction: &Transaction<'_>, entries: &[i64]) -> Result<(), Error> {
        let sql = format!(
            "UPDATE {}._trigger_log SET state = 'IGNORED' WHERE id = ANY($1::bigint[]) AND state = 'NEW'",
            self.schema
        );
        transaction
            .execute(&sql, &[&entries])
            .await
            .context("set the change aside that the whole row has")
            .map(drop)
    }

    /// The documented way of ordered writes: Heroku Connect's own functions make an entry of the row as it is now.
    async fn capture_again(
        &self,
        transaction: &Transaction<'_>,
        mend: &Mend<'_>,
        hstore: Option<&str>,
        (insert, columns): (bool, &BTreeSet<String>),
    ) -> Result<(), Error> {
        if !insert && columns.is_empty() {
            return Ok(());
        }
        let hstore = hstore.ok_or_else(|| lacks("the extension hstore"))?;
        let name = if insert { "hc_capture_insert_from_row" } else { "hc_capture_update_from_row" };
        let there = transaction
            .query_opt(
                "SELECT FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
                 WHERE nspname = $1 AND proname = $2 AND has_function_privilege(p.oid, 'EXECUTE')",
                &[&self.schema_name, &name],
            )
            .await
            .context("look for Heroku Connect's functions")?;
        if there.is_none() {
            return Err(lacks(&format!(
                "the function {}.{name}, or the right EXECUTE on it",
                self.schema_name
            )));
        }
        // Of an insert no column is left out.
        let columns: Vec<&str> =
            if insert { Vec::new() } else { columns.iter().map(String::as_str).collect() };
        let sql = format!(
            "SELECT {}.{name}({hstore}.hstore(t), $2::varchar, $3::text[])::bigint
             FROM (SELECT r.* FROM {} r WHERE r.id = $1) t",
            self.schema,
            self.table(&mend.at.table)
        );
        let found = transaction.write_rows_returning(&sql, &[&mend.at.row.0, &mend.at.table, &columns]).await;
        let found = found.context("capture the row again")?;
        match found.first().and_then(|row| row.get::<_, Option<i64>>(0)) {
            Some(_) => Ok(()),
            None => Err(Error::Refused(format!(
                "Heroku Connect's function {name} captured nothing of the row {} of {}",
                mend.at.row, mend.at.table
            ))),
        }
    }
}

fn lacks(what: &str) -> Error {
    Error::Refused(format!(
        "this database lacks {what}: the row cannot be captured again in the documented way\nchange a field of it, which is captured \
         by itself"
    ))
}

/// Why nothing is left of what was asked for.
fn nothing_sent(mend: &Mend<'_>) -> Error {
    let (row, table) = (mend.at.row, &mend.at.table);
    Error::Refused(match (mend.fields.is_empty(), mend.retry) {
        (false, false) => format!(
            "this changes nothing of the row {row} of {table}: it holds the same value, or a trigger turns the new one back into it"
        ),
        (false, true) => format!(
            "this changes nothing of the row {row} of {table}, and nothing of it can be sent again\ngive another value"
        ),
        _ => format!(
            "nothing of the row {row} of {table} can be sent again now: it waits for Heroku Connect, or the columns that failed are gone"
        ),
    })
}

/// Whether there is something to send again, and the error is the one that was seen.
fn still_fails(mend: &Mend<'_>, entries: &[LogEntry], failed: Option<&RowFailure>) -> Result<(), Error> {
    let newest = failed.and_then(|failed| failed.entry);
    if let Some((entry, at)) = mend.seen {
        let settled = entries.iter().find(|entry| Some(entry.id) == newest).map(|entry| entry.settled_at);
        let same = newest == entry && settled.is_none_or(|settled| settled <= at);
        if failed.is_none() || !same {
            return Err(Error::Conflict(format!(
                "the row {} of {} has another error by now, or none\nlook at it again",
                mend.at.row, mend.at.table
            )));
        }
    }
    match failed {
        // Whoever only changes a field needs no error.
        _ if !mend.retry => Ok(()),
        None if mend.fields.is_empty() => Err(Error::Refused(format!(
            "nothing of the row {} of {} failed any more: there is nothing to send again",
            mend.at.row, mend.at.table
        ))),
        Some(failed) if failed.state == ErrorState::Retrying && mend.fields.is_empty() => {
            Err(Error::Conflict("it waits for Heroku Connect, or is being sent already".to_owned()))
        }
        _ => Ok(()),
    }
}
