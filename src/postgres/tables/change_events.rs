//! What Salesforce's change events ask for: records to be read, polls to be made, and up to which event that is noted. Whoever
//! listens does so under a lease, and each of these transactions proves it; what they note outlives every engine.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::domain::reports::overview::EventsStatus;
use crate::postgres::reports::status::Lease;
use crate::postgres::{Cached, Error, ErrorContext, PooledClient, Store};

/// The lease of whoever listens.
pub const LISTENER: &str = "change events";

/// What events ask for, of one mapping.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventsAsked {
    /// Records that changed.
    pub changed: Vec<String>,
    /// Records that were deleted.
    pub deleted: Vec<String>,
    /// Whether a poll is to be made.
    pub poll: bool,
    /// Up to which event this is all.
    pub replay: Option<i64>,
}

impl EventsAsked {
    /// Adds a record by what happened to it last.
    pub fn add(&mut self, sfid: &str, deleted: bool) {
        let records = if deleted { &mut self.deleted } else { &mut self.changed };
        records.push(sfid.to_owned());
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        !self.poll && self.changed.is_empty() && self.deleted.is_empty()
    }
}

/// What is still to be done, of one mapping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventsDue {
    /// Whether records are to be read.
    pub records: bool,
    /// Whether a poll is to be made.
    pub poll: bool,
    /// Whether events come.
    pub flows: bool,
}

impl Store {
    /// Up to which event everything is noted, by mapping.
    pub async fn replay_ids(&self) -> Result<HashMap<String, i64>, Error> {
        let client = self.client().await?;
        let sql = "SELECT mapping, replay_id FROM syncdeck.change_events WHERE replay_id IS NOT NULL";
        let rows = client.query(sql, &[]).await.context("read how far events were noted")?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// Notes what events ask for.
    pub async fn note_events(
        &self,
        lease: &Lease,
        mapping: &str,
        table: &str,
        asked: &EventsAsked,
    ) -> Result<(), Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin noting events")?;
        lease.prove(&transaction).await?;
        for (records, deleted) in [(&asked.changed, false), (&asked.deleted, true)] {
            if records.is_empty() {
                continue;
            }
            transaction
                .execute(
                    "INSERT INTO syncdeck.reread (table_name, sfid, deleted) SELECT DISTINCT $1, unnest($2::text[]), $3::boolean ORDER BY 2
                     ON CONFLICT (table_name, sfid) DO UPDATE SET at = clock_timestamp(), deleted = excluded.deleted",
                    &[&table, records, &deleted],
                )
                .await
                .context("note the records of events")?;
        }
        transaction
            .execute(
                "INSERT INTO syncdeck.change_events AS held (mapping, replay_id, poll_at, last_event)
                     VALUES ($1, $2, CASE WHEN $3::boolean THEN clock_timestamp() END, CASE WHEN $4::boolean THEN clock_timestamp() END)
                 ON CONFLICT (mapping) DO UPDATE SET replay_id = coalesce(excluded.replay_id, held.replay_id),
                     poll_at = coalesce(excluded.poll_at, held.poll_at),
                     last_event = coalesce(excluded.last_event, held.last_event)",
                &[&mapping, &asked.replay, &asked.poll, &asked.replay.is_some()],
            )
            .await
            .context("note up to which event")?;
        transaction.commit().await.context("finish noting events")
    }

    /// Begins to listen anew behind everything that there was: what was missed is read by a poll.
    pub async fn forget_replay_id(&self, lease: &Lease, mapping: &str) -> Result<(), Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin listening anew")?;
        lease.prove(&transaction).await?;
        transaction
            .execute(
                "INSERT INTO syncdeck.change_events (mapping, poll_at) VALUES ($1, clock_timestamp())
                 ON CONFLICT (mapping) DO UPDATE SET replay_id = NULL, poll_at = excluded.poll_at",
                &[&mapping],
            )
            .await
            .context("order a poll instead of events")?;
        transaction.commit().await.context("finish listening anew")
    }

    /// Keeps whether events of a mapping come, and why not. Tells whether that is news.
    pub async fn set_events_flow(
        &self,
        lease: &Lease,
        mapping: &str,
        reason: Option<&str>,
    ) -> Result<bool, Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin keeping whether events come")?;
        lease.prove(&transaction).await?;
        let changed = transaction
            .execute(
                "INSERT INTO syncdeck.change_events AS held (mapping, flows, reason) VALUES ($1, $2::text IS NULL, $2::text)
                 ON CONFLICT (mapping) DO UPDATE SET flows = excluded.flows, reason = excluded.reason,
                     since = CASE WHEN held.flows = excluded.flows THEN held.since ELSE clock_timestamp() END
                 WHERE (held.flows, held.reason) IS DISTINCT FROM (excluded.flows, excluded.reason)",
                &[&mapping, &reason],
            )
            .await
            .context("keep whether events come")?;
        transaction.commit().await.context("finish keeping whether events come")?;
        Ok(changed == 1)
    }

    /// What events ask for of a mapping that is still to be done.
    pub async fn events_due(&self, mapping: &str, table: &str) -> Result<EventsDue, Error> {
        let client = self.client().await?;
        let sql = "SELECT EXISTS (SELECT FROM syncdeck.reread WHERE table_name = $2), poll_at IS NOT NULL,
                 coalesce(flows, false) AND EXISTS (SELECT FROM syncdeck.lease WHERE name = $3 AND until > clock_timestamp())
             FROM (SELECT $1::text AS name) of LEFT JOIN syncdeck.change_events ON mapping = of.name";
        let rows = client
            .query_cached(sql, &[&mapping, &table, &LISTENER])
            .await
            .context("look what events ask for")?;
        let due =
            rows.first().map(|row| EventsDue { records: row.get(0), poll: row.get(1), flows: row.get(2) });
        Ok(due.unwrap_or_default())
    }

    /// A poll was made that had begun then.
    pub async fn event_poll_done(&self, mapping: &str, began_at: DateTime<Utc>) -> Result<(), Error> {
        let client = self.client().await?;
        let sql = "UPDATE syncdeck.change_events SET poll_at = NULL WHERE mapping = $1 AND poll_at <= $2";
        client.execute(sql, &[&mapping, &began_at]).await.context("note that a poll was made").map(drop)
    }

    /// What was sent last of records, where that was lately and accepted, by their ids; of records without a row there is
    /// nothing. Index `attempt_record`.
    pub async fn lately_sent(
        &self,
        table: &str,
        sfids: &[&str],
    ) -> Result<HashMap<String, Option<Value>>, Error> {
        let client = self.client().await?;
        let sql = format!(
            "SELECT t.sfid::text, sent.request FROM {} t LEFT JOIN LATERAL (
                 SELECT request FROM syncdeck.attempt WHERE table_name = $2 AND record_id = t.id AND outcome = 'accepted'
                     AND request IS NOT NULL AND at > clock_timestamp() - interval '5 minutes' ORDER BY attempt.id DESC LIMIT 1) sent ON true
             WHERE t.sfid = ANY($1)",
            self.table(table)
        );
        let rows = client.query_cached(&sql, &[&sfids, &table]).await.context("look what was sent lately")?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }
}

/// How the change events of mappings stand. Where nobody listens any more, none come.
pub(in crate::postgres) async fn events_status(
    client: &PooledClient,
) -> Result<HashMap<String, EventsStatus>, Error> {
    let sql = "SELECT mapping, flows AND listens.is, since, CASE WHEN flows AND NOT listens.is THEN 'no engine listens' ELSE reason END,
             last_event
         FROM syncdeck.change_events, (SELECT EXISTS (SELECT FROM syncdeck.lease JOIN syncdeck.engine USING (owner)
             WHERE name = $1 AND until > clock_timestamp() AND state <> 'stopped') AS is) listens";
    let rows = client.query_cached(sql, &[&LISTENER]).await.context("read whether events come")?;
    let status = |row: &tokio_postgres::Row| EventsStatus {
        flow: row.get(1),
        since: Some(row.get(2)),
        reason: row.get(3),
        last: row.get(4),
    };
    Ok(rows.iter().map(|row| (row.get(0), status(row))).collect())
}
