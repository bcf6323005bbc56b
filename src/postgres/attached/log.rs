//! Heroku Connect's change log, and what rows say of themselves. Every look is one statement, so that what moves to the
//! archive meanwhile is neither missed nor seen twice.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use tokio_postgres::Row;

use crate::domain::attached::history::{EntryState, LogEntry, RowState};
use crate::domain::changes::coalesce::WriteKind;
use crate::domain::names::{RowId, RowRef};
use crate::domain::values::hstore;

use crate::postgres::errors::condition::read_whole;
use crate::postgres::session::client::{PooledClient, Transaction};
use crate::postgres::{Error, ErrorContext, Params, Store};

/// What of an entry is read.
const COLUMNS: &str = "id::bigint AS id, state::text, action::text, coalesce(table_name, '')::text AS table_name, coalesce(record_id, 0) AS record_id, \
     sfid::text, values, sf_message, coalesce(created_at, updated_at, processed_at, 'epoch') AS created_at, \
     coalesce(processed_at, updated_at, created_at, 'epoch') AS settled_at, CASE WHEN action = 'DELETE' THEN old END AS old";

/// Changes that wait, of one table.
#[derive(Clone, Debug, PartialEq)]
pub struct WaitingChanges {
    /// How many rows have some.
    pub rows: i64,
    /// Since when the oldest waits.
    pub since: DateTime<Utc>,
}

/// A row that waits, with what its entries are.
#[derive(Clone, Debug, PartialEq)]
pub struct WaitingRow {
    /// Which row.
    pub at: RowRef,
    /// `INSERT`, `UPDATE` or `DELETE` of the first of them.
    pub action: String,
    /// Whether one of them is being sent.
    pub in_flight: bool,
    /// Since when the oldest waits.
    pub since: DateTime<Utc>,
    /// How many there are.
    pub changes: i64,
}

/// Whoever can be asked.
enum Asked<'a> {
    Client(&'a PooledClient),
    Transaction(&'a Transaction<'a>),
}

impl Asked<'_> {
    async fn query(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, tokio_postgres::Error> {
        match self {
            Asked::Client(client) => client.query(sql, params).await,
            Asked::Transaction(transaction) => transaction.query(sql, params).await,
        }
    }
}

impl Store {
    /// What `of` makes of the log, and of its archive where that is there to read, as one relation.
    fn whole_log(&self, archive: bool, of: impl Fn(&str, bool) -> String) -> String {
        let live = of(&format!("{}._trigger_log", self.schema), false);
        match archive {
            true => {
                format!("{live} UNION ALL {}", of(&format!("{}._trigger_log_archive", self.schema), true))
            }
            false => live,
        }
    }

    /// The rows with entries that failed, those that failed last first, `most` of them; and how many there are.
    pub async fn attached_failed(&self, archive: bool, most: i64) -> Result<(Vec<RowRef>, i64), Error> {
        let client = self.client().await?;
        let sql = self.whole_log(archive, |log, _| {
            format!(
                "SELECT coalesce(table_name, '')::text AS table_name, coalesce(record_id, 0) AS record_id, id FROM {log} WHERE state = 'FAILED'"
            )
        });
        let sql = format!(
            "SELECT table_name, record_id, count(*) OVER () FROM ({sql}) failed GROUP BY 1, 2 ORDER BY max(id) DESC LIMIT $1"
        );
        let rows = client.query(&sql, &[&most]).await.context("look for failed changes")?;
        let all = rows.first().map_or(0, |row| row.get(2));
        Ok((rows.iter().map(|row| RowRef { table: row.get(0), row: RowId(row.get(1)) }).collect(), all))
    }

    /// The entries of rows, by row, in the order of their numbers.
    pub async fn attached_entries(
        &self,
        archive: bool,
        rows: &[RowRef],
    ) -> Result<HashMap<RowRef, Vec<LogEntry>>, Error> {
        let client = self.client().await?;
        self.entries_by(&Asked::Client(&client), archive, rows).await
    }

    /// The same within a transaction.
    pub(super) async fn attached_entries_in(
        &self,
        transaction: &Transaction<'_>,
        archive: bool,
        at: &RowRef,
    ) -> Result<Vec<LogEntry>, Error> {
        let asked = Asked::Transaction(transaction);
        Ok(self.entries_by(&asked, archive, std::slice::from_ref(at)).await?.remove(at).unwrap_or_default())
    }

    async fn entries_by(
        &self,
        asked: &Asked<'_>,
        archive: bool,
        rows: &[RowRef],
    ) -> Result<HashMap<RowRef, Vec<LogEntry>>, Error> {
        if rows.is_empty() {
            return Ok(HashMap::new());
        }
        let tables: Vec<String> = rows.iter().map(|row| row.table.clone()).collect();
        let ids: Vec<i32> = rows.iter().map(|row| row.row.0).collect();
        // Compared as they are, so that the archive's index of rows serves. Entries that name no row are looked for only when
        // asked for: there is no index for that.
        let names_none = rows.iter().any(|row| row.table.is_empty() || row.row.0 == 0);
        let sql = self.whole_log(archive, |log, archived| {
            let of = |on: &str| {
                format!(
                    "SELECT {COLUMNS}, {archived} AS archived FROM {log} log
                     JOIN unnest($1::text[], $2::integer[]) AS wanted (of_table, of_row) ON {on}"
                )
            };
            let named = of("record_id = of_row AND table_name = of_table");
            let unnamed = of("(record_id IS NULL OR table_name IS NULL) AND coalesce(record_id, 0) = of_row
                     AND coalesce(table_name, '') = of_table");
            if names_none { format!("{named} UNION ALL {unnamed}") } else { named }
        });
        let sql = format!("SELECT * FROM ({sql}) log ORDER BY id");
        let found = asked.query(&sql, &[&tables, &ids]).await.context("read the entries of rows")?;
        let mut entries: HashMap<RowRef, Vec<LogEntry>> = HashMap::new();
        for row in &found {
            let entry = entry(row);
            entries.entry(entry.at.clone()).or_default().push(entry);
        }
        Ok(entries)
    }

    /// What rows of a table say of themselves; those that are gone are not among them.
    pub async fn attached_rows(
        &self,
        table: &str,
        rows: &[RowId],
    ) -> Result<HashMap<RowId, RowState>, Error> {
        let client = self.client().await?;
        let ids: Vec<i32> = rows.iter().map(|row| row.0).collect();
        let sql = format!(
            "SELECT id, sfid::text, _hc_lastop::text, _hc_err::text FROM {} WHERE id = ANY($1)",
            self.table(table)
        );
        let found = client.query(&sql, &[&ids]).await.context("read what rows say")?;
        let state = |row: &Row| RowState { sfid: row.get(1), lastop: row.get(2), err: row.get(3) };
        Ok(found.iter().map(|row| (RowId(row.get(0)), state(row))).collect())
    }

    /// The rows of a table that say that they failed, `most` of them; no index
    /// helps: this reads the whole table.
    pub async fn attached_failing(&self, table: &str, most: i64) -> Result<Vec<RowId>, Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to look for failed rows")?;
        read_whole(&transaction).await?;
        let sql = format!("SELECT id FROM {} WHERE _hc_lastop = 'FAILED' LIMIT $1", self.table(table));
        let found = transaction.query(&sql, &[&most]).await.context("look for failed rows")?;
        Ok(found.iter().map(|row| RowId(row.get(0))).collect())
    }

    /// How many rows a table has.
    pub async fn attached_count(&self, table: &str) -> Result<i64, Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to count rows")?;
        read_whole(&transaction).await?;
        let sql = format!("SELECT count(*) FROM {}", self.table(table));
        Ok(transaction.query_one(&sql, &[]).await.context("count rows")?.get(0))
    }

    /// What waits to be sent, by table.
    pub async fn attached_waiting(&self) -> Result<BTreeMap<String, WaitingChanges>, Error> {
        let client = self.client().await?;
        let sql = format!(
            "SELECT coalesce(table_name, '')::text, count(DISTINCT record_id), coalesce(min(created_at), now())
             FROM {}._trigger_log WHERE state IN ('NEW', 'PENDING') GROUP BY 1",
            self.schema
        );
        let rows = client.query(&sql, &[]).await.context("count changes that wait")?;
        Ok(rows
            .iter()
            .map(|row| (row.get(0), WaitingChanges { rows: row.get(1), since: row.get(2) }))
            .collect())
    }

    /// The rows that wait, the oldest first: of one table, or of all; behind a time and a row.
    pub async fn attached_waiting_rows(
        &self,
        table: Option<&str>,
        after: Option<&(DateTime<Utc>, RowRef)>,
        most: i64,
    ) -> Result<Vec<WaitingRow>, Error> {
        let client = self.client().await?;
        let sql = format!(
            "SELECT * FROM (
                 SELECT coalesce(table_name, '')::text AS of_table, coalesce(record_id, 0) AS of_row, (array_agg(action ORDER BY id))[1]::text,
                     bool_or(state = 'PENDING'), coalesce(min(created_at), 'epoch') AS since, count(*)
                 FROM {}._trigger_log WHERE state IN ('NEW', 'PENDING') AND ($1::text IS NULL OR table_name = $1) GROUP BY 1, 2) waiting
             WHERE $2::timestamptz IS NULL OR (since, of_table, of_row) > ($2, $3::text, $4::integer)
             ORDER BY since, of_table, of_row LIMIT $5",
            self.schema
        );
        let (time, place) = after.map_or((None, None), |(time, row)| (Some(*time), Some(row)));
        let (of_table, of_row) = (place.map(|row| row.table.clone()), place.map(|row| row.row.0));
        let rows = client
            .query(&sql, &[&table, &time, &of_table, &of_row, &most])
            .await
            .context("list changes that wait")?;
        Ok(rows
            .iter()
            .map(|row| WaitingRow {
                at: RowRef { table: row.get(0), row: RowId(row.get(1)) },
                action: row.get(2),
                in_flight: row.get(3),
                since: row.get(4),
                changes: row.get(5),
            })
            .collect())
    }

    /// Whether Heroku Connect folds changes into each other: only merged writes leave entries that say so.
    pub async fn attached_merges(&self, archive: bool) -> Result<bool, Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to look how changes are written")?;
        // The archive has no index of it.
        read_whole(&transaction).await?;
        let merged = self.whole_log(archive, |log, _| format!("SELECT FROM {log} WHERE state = 'MERGED'"));
        let sql = format!("SELECT EXISTS ({merged})");
        Ok(transaction.query_one(&sql, &[]).await.context("look how changes are written")?.get(0))
    }
}

fn entry(row: &Row) -> LogEntry {
    let (word, action): (Option<String>, Option<String>) = (row.get(1), row.get(2));
    let values = |at: usize| row.get::<_, Option<String>>(at).and_then(|text| hstore::parse(&text).ok());
    let word = word.unwrap_or_default();
    LogEntry {
        id: row.get(0),
        state: EntryState::of(&word),
        word,
        action: action.as_deref().and_then(WriteKind::from_word),
        at: RowRef { table: row.get(3), row: RowId(row.get(4)) },
        sfid: row.get(5),
        values: values(6),
        message: row.get(7),
        created_at: row.get(8),
        settled_at: row.get(9),
        old: values(10),
        archived: row.get(11),
    }
}
