//! Comparisons that go on by themselves: when the last one was, how far this one is, and what they cost.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::postgres::reports::status::Lease;
use crate::postgres::{Error, ErrorContext, Store};

/// A comparison that goes on.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Its number: findings of an earlier one were met before.
    pub number: i64,
    /// When it began.
    pub began_at: DateTime<Utc>,
    /// Where it is; `None` at its beginning.
    pub state: Option<Value>,
}

/// Adds API requests to those of this hour.
const COST: &str =
    "INSERT INTO syncdeck.verify_cost AS known VALUES (date_trunc('hour', clock_timestamp()), $1)
     ON CONFLICT (hour) DO UPDATE SET requests = known.requests + excluded.requests";

impl Store {
    /// A number that no comparison had.
    pub async fn next_round(&self) -> Result<i64, Error> {
        let client = self.client().await?;
        let row = client
            .query_one("SELECT nextval('syncdeck.verify_round')", &[])
            .await
            .context("number a comparison")?;
        Ok(row.get(0))
    }

    /// Notes what a whole comparison of a mapping found, and how much of that is not listed. `None` began just now.
    pub async fn note_verified(
        &self,
        mapping: &str,
        found: i64,
        left_out: i64,
        began_at: Option<DateTime<Utc>>,
    ) -> Result<(), Error> {
        let client = self.client().await?;
        client
            .execute(
                "INSERT INTO syncdeck.verified (mapping, found, left_out, began_at)
                 VALUES ($1, $2, $3, coalesce($4, clock_timestamp()))
                 ON CONFLICT (mapping) DO UPDATE SET found = excluded.found, left_out = excluded.left_out,
                     began_at = excluded.began_at, at = clock_timestamp()",
                &[&mapping, &found, &left_out, &began_at],
            )
            .await
            .context("note what a comparison found")
            .map(drop)
    }

    /// Of these mappings, each with the time from one comparison to the next, the one that is due: one that goes on before
    /// one that begins, and then the one that waits longest. A mapping that is not loaded waits for that.
    pub async fn due_comparison(&self, every: &[(&str, Duration)]) -> Result<Option<String>, Error> {
        let (names, seconds): (Vec<&str>, Vec<f64>) =
            every.iter().map(|(name, every)| (*name, every.as_secs_f64())).unzip();
        let client = self.client().await?;
        let row = client
            .query_opt(
                "SELECT mapping.name FROM unnest($1::text[], $2::float8[]) AS wanted (name, every)
                 JOIN syncdeck.mapping USING (name) LEFT JOIN syncdeck.verified ON verified.mapping = name
                 LEFT JOIN syncdeck.verify ON verify.mapping = name
                 WHERE load_done AND reload_at IS NULL AND (verify.mapping IS NOT NULL OR verified.mapping IS NULL
                     OR coalesce(verified.began_at, verified.at) + make_interval(secs => every) <= clock_timestamp())
                 ORDER BY verify.began_at, coalesce(verified.began_at, verified.at) NULLS FIRST, position LIMIT 1",
                &[&names, &seconds],
            )
            .await
            .context("look which mapping is to be compared")?;
        Ok(row.map(|row| row.get(0)))
    }

    /// The comparison of a mapping that goes on, or begins.
    pub async fn comparison(&self, lease: &Lease, mapping: &str) -> Result<Comparison, Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin a comparison")?;
        lease.prove(&transaction).await?;
        let row = transaction
            .query_one(
                "INSERT INTO syncdeck.verify AS known (mapping, round) VALUES ($1, nextval('syncdeck.verify_round'))
                 ON CONFLICT (mapping) DO UPDATE SET mapping = excluded.mapping
                 RETURNING round, began_at, state",
                &[&mapping],
            )
            .await
            .context("begin a comparison")?;
        transaction.commit().await.context("begin a comparison")?;
        Ok(Comparison { number: row.get(0), began_at: row.get(1), state: row.get(2) })
    }

    /// Keeps how far a comparison is, so that whoever comes next goes on there; and what it cost since.
    pub async fn keep_comparison(
        &self,
        lease: &Lease,
        mapping: &str,
        state: &Value,
        (done, total): (i64, i64),
        requests: i64,
    ) -> Result<(), Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to keep a comparison")?;
        lease.prove(&transaction).await?;
        transaction
            .execute(
                "UPDATE syncdeck.verify SET state = $2, done = $3, total = $4, waits = NULL WHERE mapping = $1",
                &[&mapping, state, &done, &total],
            )
            .await
            .context("keep how far a comparison is")?;
        transaction.execute(COST, &[&requests]).await.context("keep what a comparison cost")?;
        transaction.commit().await.context("keep a comparison")
    }

    /// Keeps what a second look at findings cost.
    pub async fn note_verify_requests(&self, requests: i64) -> Result<(), Error> {
        let client = self.client().await?;
        client.execute(COST, &[&requests]).await.context("keep what a look at findings cost").map(drop)
    }

    /// Says what a comparison waits for. Tells whether that is news.
    pub async fn note_waiting(&self, lease: &Lease, mapping: &str, why: &str) -> Result<bool, Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to say what a comparison waits for")?;
        lease.prove(&transaction).await?;
        let news = transaction
            .query_opt(
                "UPDATE syncdeck.verify SET waits = $2 FROM (SELECT waits AS before FROM syncdeck.verify WHERE mapping = $1) old
                 WHERE mapping = $1 AND waits IS DISTINCT FROM $2 RETURNING before IS NULL",
                &[&mapping, &why],
            )
            .await
            .context("say what a comparison waits for")?;
        transaction.commit().await.context("say what a comparison waits for")?;
        Ok(news.is_some_and(|row| row.get(0)))
    }

    /// A comparison is over.
    pub async fn end_comparison(&self, lease: &Lease, mapping: &str) -> Result<(), Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to end a comparison")?;
        lease.prove(&transaction).await?;
        for sql in [
            "DELETE FROM syncdeck.verify WHERE mapping = $1",
            "DELETE FROM syncdeck.verify_cost WHERE hour < clock_timestamp() - interval '2 days' AND $1 <> ''",
        ] {
            transaction.execute(sql, &[&mapping]).await.context("end a comparison")?;
        }
        transaction.commit().await.context("end a comparison")
    }

    /// API requests that scheduled comparisons took in the last 24 hours, by whole hours.
    pub async fn verify_requests(&self) -> Result<i64, Error> {
        let client = self.client().await?;
        let row = client
            .query_one(
                "SELECT coalesce(sum(requests), 0)::bigint FROM syncdeck.verify_cost
                 WHERE hour > clock_timestamp() - interval '24 hours'",
                &[],
            )
            .await
            .context("add up what comparisons cost")?;
        Ok(row.get(0))
    }
}
