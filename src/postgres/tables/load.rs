//! A mapping's load: that it is wanted again, how far it is, and what it must not take back.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::mappings::mapping::Mapping;
use crate::domain::operations::operation::Operation;
use crate::domain::reports::overview::LoadProgress;

use crate::postgres::operations::audit::{NewAuditEntry, audit};
use crate::postgres::reports::status::Lease;
use crate::postgres::tables::records::json_text;
use crate::postgres::tables::rows::RecordRow;
use crate::postgres::{CHANNEL, Cached, Error, ErrorContext, Store};

/// A load that is not done, the job that it reads by, and how far that is: whoever takes over goes on there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadJob {
    /// The job's id in Salesforce; none before it is made, and where no job is of use.
    pub id: Option<String>,
    /// What tells its query from others.
    pub query: String,
    /// The reload that it is for; none for the first load.
    pub reload: Option<DateTime<Utc>>,
    /// PostgreSQL's time from before Salesforce was asked first, by whichever job or query.
    pub began_at: DateTime<Utc>,
    /// Where polls begin after a first load; none before that is known.
    pub read: Option<DateTime<Utc>>,
    /// Of the page that comes next; none for the first one.
    pub locator: Option<String>,
    /// Records on the pages before.
    pub done: i64,
    /// Records on the pages of that job which came furthest.
    #[serde(default)]
    pub furthest: i64,
    /// How often jobs failed since one came further than all before.
    pub failures: u32,
}

impl Store {
    /// Has all records of a mapping, or of every mapping, read again by whichever engine reads it. Returns the objects of
    /// those that are loaded, and of which this was not asked already.
    ///
    /// # Errors
    /// Refused when there is no such mapping.
    pub async fn ask_reload(&self, name: Option<&str>, operation: &Operation) -> Result<Vec<String>, Error> {
        let mappings = self.one_or_all(name).await?;
        let objects: Vec<&str> = mappings.iter().map(|mapping| mapping.object.as_str()).collect();
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to ask for a reload")?;
        let asked = transaction
            .query(
                "WITH wanted AS (
                     SELECT name FROM syncdeck.mapping WHERE name = ANY($1) AND load_done AND reload_at IS NULL
                     ORDER BY name FOR UPDATE)
                 UPDATE syncdeck.mapping SET reload_at = clock_timestamp() FROM wanted
                 WHERE mapping.name = wanted.name RETURNING mapping.name",
                &[&objects],
            )
            .await
            .context("ask for a reload")?;
        let asked: HashSet<String> = asked.iter().map(|row| row.get(0)).collect();
        let asked: Vec<&Mapping> =
            mappings.iter().filter(|mapping| asked.contains(&mapping.object)).collect();
        for mapping in &asked {
            audit(&transaction, operation, "reloaded", mapping, &[NewAuditEntry::default()]).await?;
        }
        transaction
            .execute("SELECT pg_notify($1, 'poll')", &[&CHANNEL])
            .await
            .context("announce a reload")?;
        transaction.commit().await.context("ask for a reload")?;
        Ok(asked.into_iter().map(|mapping| mapping.object.clone()).collect())
    }

    /// The mappings of which not all records were read yet.
    pub async fn loading(&self) -> Result<HashSet<String>, Error> {
        let client = self.client().await?;
        let rows = client
            .query("SELECT name FROM syncdeck.mapping WHERE NOT load_done", &[])
            .await
            .context("look which mappings are loaded")?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// The reload that was asked for at `asked` is done.
    pub async fn reload_done(&self, name: &str, asked: DateTime<Utc>) -> Result<(), Error> {
        let client = self.client().await?;
        client
            .execute(
                "UPDATE syncdeck.mapping SET reload_at = NULL WHERE name = $1 AND reload_at = $2",
                &[&name, &asked],
            )
            .await
            .context("note that a reload is done")
            .map(drop)
    }

    /// Tells how far a mapping's load is, keeps the job that is so far, and extends the lease under which it goes on.
    ///
    /// # Errors
    /// Also that another engine has the lease.
    pub async fn load_goes_on(
        &self,
        lease: &Lease,
        length: Duration,
        name: &str,
        progress: &LoadProgress,
        job: Option<&LoadJob>,
    ) -> Result<(), Error> {
        let LoadProgress { done, total, began_at } = progress;
        let detail = format!("{done} of {total}");
        let job = job.map(|job| serde_json::json!(job));
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to tell how far a load is")?;
        lease.extend(&transaction, length).await?;
        transaction
            .execute(
                "UPDATE syncdeck.mapping SET state = 'loading', detail = $2, load_records = $3, load_total = $4,
                     load_began_at = $5, load_job = coalesce($6, load_job) WHERE name = $1",
                &[&name, &detail, done, total, began_at, &job],
            )
            .await
            .context("tell how far a load is")?;
        transaction
            .execute("SELECT pg_notify($1, 'overview')", &[&CHANNEL])
            .await
            .context("announce how far a load is")?;
        transaction.commit().await.context("tell how far a load is")
    }

    /// The job that a load reads by, as an engine left it: a [`LoadJob`], or what another version made of one.
    pub async fn load_job(&self, name: &str) -> Result<Option<Value>, Error> {
        let client = self.client().await?;
        let row = client
            .query_opt("SELECT load_job FROM syncdeck.mapping WHERE name = $1", &[&name])
            .await
            .context("look for a load's job")?;
        Ok(row.and_then(|row| row.get(0)))
    }

    /// Keeps the job that a load reads by, with how far it is; or forgets it.
    pub async fn keep_load_job(&self, lease: &Lease, name: &str, job: Option<&LoadJob>) -> Result<(), Error> {
        let job = job.map(|job| serde_json::json!(job));
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to keep a load's job")?;
        lease.prove(&transaction).await?;
        transaction
            .execute("UPDATE syncdeck.mapping SET load_job = $2 WHERE name = $1", &[&name, &job])
            .await
            .context("keep a load's job")?;
        transaction.commit().await.context("keep a load's job")
    }

    /// Of records of one page, those whose row holds a later state of its record.
    pub async fn overtaken(
        &self,
        mapping: &Mapping,
        records: &[RecordRow],
    ) -> Result<HashSet<String>, Error> {
        let of = |column: &str| {
            let value = |record: &RecordRow| record.get(column).and_then(json_text);
            records.iter().map(value).collect::<Vec<Option<String>>>()
        };
        // These two alone: what else a record holds may be what its row cannot, which is found out record by record.
        let sql = format!(
            "SELECT i.sfid FROM unnest($1::text[], $2::text[]) AS i (sfid, stamp) JOIN {} t ON t.sfid = i.sfid
             WHERE t.systemmodstamp > i.stamp::timestamp",
            self.table(&mapping.table)
        );
        let client = self.client().await?;
        let (ids, stamps) = (of("sfid"), of("systemmodstamp"));
        let rows = client
            .query_cached(&sql, &[&ids, &stamps])
            .await
            .context("find rows that a page is behind of")?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// The rows after `after` that have a record, with its id, in the order of their own ids.
    pub async fn rows_with_records(
        &self,
        table: &str,
        after: i32,
        limit: i64,
    ) -> Result<Vec<(i32, String)>, Error> {
        let client = self.client().await?;
        let sql = format!(
            "SELECT id, sfid::text FROM {} WHERE id > $1 AND sfid IS NOT NULL ORDER BY id LIMIT $2",
            self.table(table)
        );
        let rows = client.query_cached(&sql, &[&after, &limit]).await.context("list rows with records")?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }
}
