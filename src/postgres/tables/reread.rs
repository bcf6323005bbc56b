//! Records that the next poll of their reader reads once more, whatever it finds changed.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use crate::domain::names::Sfid;
use crate::postgres::{Cached, Error, ErrorContext, Store, Transaction};

/// A record that is wished for already is wished for anew: its reader may be reading it just now, too early for this one.
const AGAIN: &str = "ON CONFLICT (table_name, sfid) DO UPDATE SET at = clock_timestamp()";

impl Store {
    /// Has records read once more by the next poll of their reader, the engine's own way.
    pub async fn want_reread(&self, table: &str, sfids: &[String]) -> Result<(), Error> {
        if sfids.is_empty() {
            return Ok(());
        }
        let client = self.client().await?;
        client
            .execute_cached(
                "INSERT INTO syncdeck.reread (table_name, sfid) SELECT $1::text, unnest($2::text[]) ORDER BY 2 ON CONFLICT DO NOTHING",
                &[&table, &sfids],
            )
            .await
            .context("have records read once more")
            .map(drop)
    }

    /// The same of records that are known to be gone: their rows go where they are not met.
    pub async fn want_reread_of_deleted(&self, table: &str, sfids: &[String]) -> Result<(), Error> {
        if sfids.is_empty() {
            return Ok(());
        }
        let client = self.client().await?;
        client
            .execute_cached(
                &format!("INSERT INTO syncdeck.reread (table_name, sfid, deleted)
                     SELECT $1::text, sfid, true FROM unnest($2::text[]) AS gone (sfid) ORDER BY sfid {AGAIN}, deleted = true"),
                &[&table, &sfids],
            )
            .await
            .context("have rows removed whose records are gone")
            .map(drop)
    }

    /// Records that are to be read once more, those wished for longest first: at most `limit`. Of each, whether an event
    /// said that it was deleted.
    pub async fn take_rereads(&self, table: &str, limit: i64) -> Result<Vec<(String, bool)>, Error> {
        let client = self.client().await?;
        let rows = client
            .query(
                "SELECT sfid::text, deleted FROM syncdeck.reread WHERE table_name = $1 ORDER BY at LIMIT $2",
                &[&table, &limit],
            )
            .await
            .context("look for records to read again")?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// These records were read once more, after `asked_at`: what was wished for since then is still to be done. Those that
    /// are left go behind all others, which would never have their turn behind many whose rows are held.
    pub async fn reread_done(
        &self,
        table: &str,
        done: &[String],
        left: &[String],
        asked_at: DateTime<Utc>,
    ) -> Result<(), Error> {
        let client = self.client().await?;
        client
            .execute(
                "WITH mine AS MATERIALIZED (
                     SELECT sfid FROM syncdeck.reread WHERE table_name = $1 AND sfid = ANY($2::text[] || $3::text[]) AND at < $4
                     ORDER BY sfid FOR UPDATE
                 ), behind AS (
                     UPDATE syncdeck.reread SET at = clock_timestamp()
                     WHERE table_name = $1 AND sfid IN (SELECT sfid FROM mine WHERE sfid = ANY($3)))
                 DELETE FROM syncdeck.reread WHERE table_name = $1 AND sfid IN (SELECT sfid FROM mine WHERE sfid = ANY($2))",
                &[&table, &done, &left, &asked_at],
            )
            .await
            .context("note what was read again")
            .map(drop)
    }
}

/// Has the records of rows read once more. What a row has that is no id of Salesforce's names no record, and in a query it
/// would keep all others from being read. In one order, so that no two of these wait for each other.
pub(in crate::postgres) async fn read_once_more(
    transaction: &Transaction<'_>,
    table: &str,
    sfids: &[String],
) -> Result<(), Error> {
    let known: BTreeSet<&str> =
        sfids.iter().map(String::as_str).filter(|text| Sfid::parse(text).is_some()).collect();
    if known.is_empty() {
        return Ok(());
    }
    let known: Vec<&str> = known.into_iter().collect();
    let sql = format!(
        "INSERT INTO syncdeck.reread (table_name, sfid) SELECT $2, sfid FROM unnest($1::text[]) AS known (sfid) ORDER BY sfid {AGAIN}"
    );
    transaction.execute_cached(&sql, &[&known, &table]).await.context("have records read once more").map(drop)
}
