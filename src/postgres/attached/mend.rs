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

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use crate::domain::attached::history::{
    EntryState, Failure, LogEntry, RowState, SYSTEM_COLUMNS, Seen, Unsent, failure,
};
use crate::domain::attached::mode::WriteMode;
use crate::domain::changes::coalesce::Action;
use crate::domain::errors::sync_error::ErrorState;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::RowRef;
use crate::domain::records::record::FieldEdit;
use crate::domain::values::hstore::{self, Hstore};

use crate::postgres::operations::edit::{compare_fields, plain};
use crate::postgres::schema::install::found_hstore;
use crate::postgres::session::client::Transaction;
use crate::postgres::{Error, ErrorContext, Store};

/// How often a transaction is tried that PostgreSQL broke off: it and Heroku Connect waited for each other.
const TRIES: u32 = 3;

/// What is done to a row.
#[derive(Clone, Debug)]
pub struct Mend<'a> {
    /// Its mapping.
    pub mapping: &'a Mapping,
    /// Which row.
    pub at: &'a RowRef,
    /// Fields that change, compared with what was shown.
    pub fields: &'a [FieldEdit],
    /// Whether what failed is sent again.
    pub retry: bool,
    /// The error that it is done about, by its entry and when that was seen last; compared where it is given.
    pub seen: Option<(Option<i64>, DateTime<Utc>)>,
    /// How Heroku Connect writes.
    pub mode: WriteMode,
    /// Whether the archive is there to read.
    pub archive: bool,
}

/// A row as it is locked.
struct Locked {
    json: Value,
    state: RowState,
    /// The values as the log writes them; empty without the extension hstore.
    values: Hstore,
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
            self.lock_failed(&transaction, mend).await?;
            self.attached_entries_in(&transaction, mend.archive, mend.at).await?
        } else {
            Vec::new()
        };
        let seen = row.as_ref().map_or(Seen::Gone, |row| Seen::Row(&row.state));
        let failed = failure(&entries, seen, mend.mode);
        still_fails(mend, &entries, failed.as_ref())?;
        if let Some(row) = &row {
            compare_fields(mend.fields, &row.json)?;
        }
        let unsent = failed.map(|failed| failed.unsent).unwrap_or_default();
        let recipe =
            if mend.retry { Recipe::of(mend, &entries, &unsent, row.as_ref()) } else { Recipe::Nothing };
        if let Recipe::Again { live, archived } = &recipe {
            // Before the edit: of two entries with the same column the later one wins.
            self.send_entries(&transaction, live, archived).await?;
        }
        if !mend.fields.is_empty() {
            self.write_edit(&transaction, mend, matches!(recipe, Recipe::Capture { insert: true, .. }))
                .await?;
        }
        if let Recipe::Capture { insert, columns, failed } = &recipe {
            let hstore = hstore.ok_or_else(|| lacks("the extension hstore"))?;
            self.capture_again(&transaction, mend, &hstore, (*insert, columns)).await?;
            self.set_state(&transaction, failed, "REQUEUED").await?;
        }
        if let Recipe::Unknown = recipe {
            return Err(Error::Refused(format!(
                "the change log of {} no longer holds what was refused of the row {}\nchange the field that the message names: that is \
                 captured and sent",
                mend.at.table, mend.at.row
            )));
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
        self.lock_failed(&transaction, mend).await?;
        let entries = self.attached_entries_in(&transaction, mend.archive, mend.at).await?;
        let seen = row.as_ref().map_or(Seen::Gone, |row| Seen::Row(&row.state));
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
    ) -> Result<Option<Locked>, Error> {
        let values = hstore.map_or("NULL".to_owned(), |schema| format!("{schema}.hstore(t)::text"));
        let sql = format!(
            "SELECT to_jsonb(t), t.sfid::text, t._hc_lastop::text, t._hc_err::text, {values}
             FROM {} t WHERE t.id = $1 FOR NO KEY UPDATE",
            self.table(&mend.at.table)
        );
        let row = transaction.query_opt(&sql, &[&mend.at.row.0]).await.context("lock the row")?;
        Ok(row.map(|row| Locked {
            json: row.get(0),
            state: RowState { sfid: row.get(1), lastop: row.get(2), err: row.get(3) },
            values: row
                .get::<_, Option<String>>(4)
                .and_then(|text| hstore::parse(&text).ok())
                .unwrap_or_default(),
        }))
    }

    /// Locks the entries that failed, so that nobody else sends them again.
    async fn lock_failed(&self, transaction: &Transaction<'_>, mend: &Mend<'_>) -> Result<(), Error> {
        for table in ["_trigger_log", "_trigger_log_archive"].into_iter().take(1 + usize::from(mend.archive))
        {
            let sql = format!(
                "SELECT FROM {}.{table} WHERE table_name = $1 AND record_id = $2 AND state = 'FAILED' ORDER BY id FOR UPDATE",
                self.schema
            );
            transaction
                .query(&sql, &[&mend.at.table, &mend.at.row.0])
                .await
                .context("lock the failed changes")?;
        }
        Ok(())
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

    /// Writes the changed fields as an application would, and makes sure that Heroku Connect's trigger captured them.
    /// `whole`: the row is captured as a whole besides, so that this entry of its own is not to be sent.
    async fn write_edit(
        &self,
        transaction: &Transaction<'_>,
        mend: &Mend<'_>,
        whole: bool,
    ) -> Result<(), Error> {
        let columns: Vec<&str> = mend.fields.iter().map(|field| field.column.as_str()).collect();
        let after: Map<String, Value> =
            mend.fields.iter().map(|field| (field.column.clone(), json!(field.new))).collect();
        let row = json!({"id": mend.at.row, "after": after});
        self.write_columns(transaction, mend.mapping, &columns, vec![row]).await?;
        let own = format!(
            "{}._trigger_log WHERE table_name = $1 AND record_id = $2 AND txid = txid_current() AND action = 'UPDATE'",
            self.schema
        );
        let sql = format!("SELECT state::text FROM {own}");
        let captured = transaction
            .query(&sql, &[&mend.at.table, &mend.at.row.0])
            .await
            .context("look for what was captured")?;
        if !captured.iter().any(|entry| ["NEW", "IGNORE"].contains(&entry.get(0))) {
            return Err(Error::Refused(format!(
                "Heroku Connect's triggers did not capture the change of {}: it would never reach Salesforce, and was not made",
                mend.at.table
            )));
        }
        if whole {
            let schema = &self.schema;
            let sql = format!(
                "UPDATE {schema}._trigger_log SET state = 'IGNORED' WHERE table_name = $1 AND record_id = $2
                     AND txid = txid_current() AND action = 'UPDATE' AND state = 'NEW'"
            );
            transaction
                .execute(&sql, &[&mend.at.table, &mend.at.row.0])
                .await
                .context("set the change aside that the whole row has")?;
        }
        Ok(())
    }

    /// The documented way of ordered writes: Heroku Connect's own functions make an entry of the row as it is now.
    async fn capture_again(
        &self,
        transaction: &Transaction<'_>,
        mend: &Mend<'_>,
        hstore: &str,
        (insert, columns): (bool, &BTreeSet<String>),
    ) -> Result<(), Error> {
        if !insert && columns.is_empty() {
            return Ok(());
        }
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
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        let chosen = if insert { "" } else { ", $3::text[]" };
        let sql = format!(
            "SELECT {}.{name}({hstore}.hstore(t.*), $2::varchar{chosen})::bigint FROM {} t WHERE t.id = $1",
            self.schema,
            self.table(&mend.at.table)
        );
        let found = if insert {
            transaction.write_rows_returning(&sql, &[&mend.at.row.0, &mend.at.table]).await
        } else {
            transaction.write_rows_returning(&sql, &[&mend.at.row.0, &mend.at.table, &columns]).await
        };
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

/// Whether there is something to send again, and the error is the one that was seen.
fn still_fails(mend: &Mend<'_>, entries: &[LogEntry], failed: Option<&Failure>) -> Result<(), Error> {
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

/// How what failed of a row is sent again.
#[derive(Debug, PartialEq)]
enum Recipe {
    /// There is nothing, or the edit itself carries it.
    Nothing,
    /// The entries themselves, by number: those of the log, and copies of those of the archive.
    Again { live: Vec<i64>, archived: Vec<i64> },
    /// The row is captured anew: whole, or these columns. The failed entries are done with.
    Capture { insert: bool, columns: BTreeSet<String>, failed: Vec<(i64, bool)> },
    /// Nobody knows any more what failed.
    Unknown,
}

impl Recipe {
    fn of(mend: &Mend<'_>, entries: &[LogEntry], unsent: &Unsent, row: Option<&Locked>) -> Recipe {
        // It is under way; what the edit changes comes behind it.
        if unsent.is_on_its_way {
            return Recipe::Nothing;
        }
        let failed: Vec<&LogEntry> =
            entries.iter().filter(|entry| unsent.failed.contains(&entry.id)).collect();
        let Some(row) = row else {
            // Nothing captures a delete again; one is never out of date.
            let deletes = failed.iter().filter(|entry| entry.action == Some(Action::Delete));
            let (archived, live): (Vec<&LogEntry>, Vec<&LogEntry>) =
                deletes.copied().partition(|entry| entry.archived);
            let ids = |of: Vec<&LogEntry>| of.into_iter().map(|entry| entry.id).collect();
            return Recipe::Again { live: ids(live), archived: ids(archived) };
        };
        let numbers: Vec<(i64, bool)> = failed.iter().map(|entry| (entry.id, entry.archived)).collect();
        if failed.is_empty() {
            // Only the row says that it failed. Without a record it can be sent whole, else nobody knows what of it.
            return match (&row.state.sfid, mend.fields.is_empty()) {
                (None, _) => Recipe::Capture { insert: true, columns: BTreeSet::new(), failed: numbers },
                (Some(_), false) => Recipe::Nothing,
                (Some(_), true) => Recipe::Unknown,
            };
        }
        let edited = |column: &String| mend.fields.iter().any(|field| field.column == *column);
        if mend.mode == WriteMode::Merged
            && !unsent.folded
            && failed.iter().all(|entry| is_current(entry, entries, row, &edited))
        {
            let (archived, live): (Vec<&LogEntry>, Vec<&LogEntry>) =
                failed.into_iter().partition(|entry| entry.archived);
            let ids = |of: Vec<&LogEntry>| of.into_iter().map(|entry| entry.id).collect();
            return Recipe::Again { live: ids(live), archived: ids(archived) };
        }
        let there =
            |column: &String| row.json.get(column).is_some() && !SYSTEM_COLUMNS.contains(&column.as_str());
        let columns =
            unsent.columns.iter().filter(|column| there(column) && !edited(column)).cloned().collect();
        if !unsent.insert && failed.iter().any(|entry| entry.values.is_none()) {
            return Recipe::Unknown;
        }
        Recipe::Capture { insert: unsent.insert, columns, failed: numbers }
    }
}

/// Whether an entry would not bring an old value back: the row has its values still, or somebody later has newer ones.
fn is_current(entry: &LogEntry, all: &[LogEntry], row: &Locked, edited: &impl Fn(&String) -> bool) -> bool {
    let Some(values) = &entry.values else { return false };
    let later = |column: &String| {
        let waits =
            |other: &&LogEntry| other.id > entry.id && other.state == EntryState::Waiting && !entry.archived;
        all.iter().filter(waits).any(|other| other.columns().contains(column))
    };
    entry
        .columns()
        .iter()
        .all(|column| edited(column) || later(column) || row.values.get(column) == values.get(column))
}
