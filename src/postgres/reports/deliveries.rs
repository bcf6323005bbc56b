//! What waits for the channels of alerts: queued with what came of it, claimed before it is sent, and what became of it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::domain::alert::message::Message;
use crate::domain::state::ChannelHealth;

use crate::postgres::reports::status::Lease;
use crate::postgres::{Error, ErrorContext, Store, Transaction};

/// A message on its way.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Its number.
    pub id: i64,
    /// Where to.
    pub channel: String,
    /// What a receiver knows it by.
    pub message_id: String,
    /// What is told.
    pub message: Message,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// How often it was tried, this time included.
    pub attempts: i32,
}

/// Messages that were taken to be sent.
#[derive(Debug, Default)]
pub struct Taken {
    /// Those that are sent now.
    pub due: Vec<Delivery>,
    /// The channels of those that nobody can read any more; they are dropped.
    pub unreadable: Vec<String>,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq)]
pub enum DeliveryResult {
    /// It was taken.
    Sent,
    /// It is tried again then.
    Later(DateTime<Utc>),
    /// It is given up.
    Dropped,
}

/// Why a channel did not take it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRefusal {
    /// In a word.
    pub reason: &'static str,
    /// In a sentence.
    pub detail: String,
    /// Whether the channel says that it will never take anything again.
    pub disables: bool,
}

impl Store {
    /// The next message for each channel that is due, taken for so long: nobody else sends it meanwhile. One that waits
    /// for its next try lets none behind it pass: its channel is down.
    pub async fn claim_deliveries(
        &self,
        lease: &Lease,
        now: DateTime<Utc>,
        length: Duration,
    ) -> Result<Taken, Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin taking messages")?;
        lease.prove(&transaction).await?;
        let rows = transaction
            .query(
                "UPDATE syncdeck.alert_delivery SET token = $1, attempts = attempts + 1,
                     claimed_until = clock_timestamp() + make_interval(secs => $3)
                 WHERE id IN (SELECT DISTINCT ON (channel) id FROM syncdeck.alert_delivery WHERE state = 'waiting'
                         ORDER BY channel, id)
                     AND next_try <= $2 AND (token IS NULL OR claimed_until < clock_timestamp())
                 RETURNING id, channel, message_id, message, created_at, attempts",
                &[&lease.owner, &now, &length.as_secs_f64()],
            )
            .await
            .context("take messages")?;
        let mut taken = Taken::default();
        let mut lost: Vec<i64> = Vec::new();
        for row in &rows {
            match read_delivery(row) {
                Some(delivery) => taken.due.push(delivery),
                None => {
                    lost.push(row.get(0));
                    taken.unreadable.push(row.get(1));
                }
            }
        }
        if !lost.is_empty() {
            // Kept, it would hold up all that comes after it.
            transaction
                .execute(
                    "UPDATE syncdeck.alert_delivery SET state = 'dropped', token = NULL, claimed_until = NULL, done_at = $2,
                         detail = 'another version queued it' WHERE id = ANY($1)",
                    &[&lost, &now],
                )
                .await
                .context("drop messages that cannot be read")?;
        }
        transaction.commit().await.context("finish taking messages")?;
        Ok(taken)
    }

    /// Keeps what became of a message, and how its channel is.
    pub async fn settle_delivery(
        &self,
        lease: &Lease,
        delivery: &Delivery,
        result: &DeliveryResult,
        refusal: Option<&DeliveryRefusal>,
        stamp: &str,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin settling a message")?;
        let (state, next_try) = match result {
            DeliveryResult::Sent => ("sent", now),
            DeliveryResult::Later(at) => ("waiting", *at),
            DeliveryResult::Dropped => ("dropped", now),
        };
        let reason = refusal.map(|refusal| refusal.reason);
        let detail = refusal.map(|refusal| refusal.detail.as_str());
        transaction
            .execute(
                "UPDATE syncdeck.alert_delivery SET state = $3, next_try = $4, token = NULL, claimed_until = NULL,
                     reason = $5, detail = $6, done_at = CASE WHEN $3 <> 'waiting' THEN $7::timestamptz END
                 WHERE id = $1 AND token = $2",
                &[&delivery.id, &lease.owner, &state, &next_try, &reason, &detail, &now],
            )
            .await
            .context("settle a message")?;
        if let Some(disabling) = refusal.filter(|refusal| refusal.disables) {
            transaction
                .execute(
                    "UPDATE syncdeck.alert_delivery SET state = 'dropped', reason = $2, detail = $3, done_at = $4
                     WHERE channel = $1 AND state = 'waiting'",
                    &[&delivery.channel, &disabling.reason, &disabling.detail, &now],
                )
                .await
                .context("drop the messages for a channel")?;
        }
        // What was not tried says nothing about the channel.
        if refusal.is_some() || matches!(result, DeliveryResult::Sent) {
            note_channel(&transaction, &delivery.channel, refusal, stamp, now).await?;
        }
        transaction.commit().await.context("finish settling a message")
    }

    /// Where the message of an episode is that can be changed.
    pub async fn posted(&self, channel: &str, episode: &str) -> Result<Option<Value>, Error> {
        let client = self.client().await?;
        let row = client
            .query_opt(
                "SELECT place FROM syncdeck.alert_posted WHERE channel = $1 AND episode = $2",
                &[&channel, &episode],
            )
            .await
            .context("look for a posted message")?;
        Ok(row.map(|row| row.get(0)))
    }

    /// Keeps where it is.
    pub async fn note_posted(
        &self,
        channel: &str,
        episode: &str,
        place: &Value,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let client = self.client().await?;
        client
            .execute(
                "INSERT INTO syncdeck.alert_posted VALUES ($1, $2, $3, $4)
                 ON CONFLICT (channel, episode) DO UPDATE SET place = excluded.place, at = excluded.at",
                &[&channel, &episode, place, &now],
            )
            .await
            .context("keep where a message is")
            .map(drop)
    }
}

/// Puts a message into the queue of its channel; one of the same rule that still waits there becomes a part of it.
pub(in crate::postgres) async fn queue(
    transaction: &Transaction<'_>,
    channel: &str,
    message: &Message,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let waiting = transaction
        .query_opt(
            "SELECT id, message FROM syncdeck.alert_delivery WHERE channel = $1 AND rule = $2 AND state = 'waiting'
                 AND (token IS NULL OR claimed_until < clock_timestamp()) ORDER BY id DESC LIMIT 1 FOR UPDATE",
            &[&channel, &message.rule],
        )
        .await
        .context("look for a message that waits")?;
    // What is another message has another name.
    let message_id = format!("msg_{:016x}{:016x}", rand::random::<u64>(), rand::random::<u64>());
    let json = |message: &Message| serde_json::to_value(message).unwrap_or_default();
    let earlier = waiting.and_then(|row| {
        let earlier: Message = serde_json::from_value(row.get(1)).ok()?;
        Some((row.get::<_, i64>(0), earlier))
    });
    match earlier {
        Some((id, earlier)) => {
            let joined = message.clone().after(earlier);
            transaction
                .execute(
                    "UPDATE syncdeck.alert_delivery SET message = $2, message_id = $3, token = NULL, created_at = $4 WHERE id = $1",
                    &[&id, &json(&joined), &message_id, &now],
                )
                .await
        }
        None => {
            transaction
                .execute(
                    "INSERT INTO syncdeck.alert_delivery (channel, rule, message_id, message, created_at, next_try)
                     VALUES ($1, $2, $3, $4, $5, $5)",
                    &[&channel, &message.rule, &message_id, &json(message), &now],
                )
                .await
        }
    }
    .context("queue a message")
    .map(drop)
}

fn read_delivery(row: &tokio_postgres::Row) -> Option<Delivery> {
    Some(Delivery {
        id: row.get(0),
        channel: row.get(1),
        message_id: row.get(2),
        message: serde_json::from_value(row.get(3)).ok()?,
        created_at: row.get(4),
        attempts: row.get(5),
    })
}

/// Notes how a channel is.
pub(in crate::postgres) async fn note_channel(
    transaction: &Transaction<'_>,
    name: &str,
    refusal: Option<&DeliveryRefusal>,
    stamp: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let state = match refusal {
        None => ChannelHealth::Ok,
        Some(refusal) if refusal.disables => ChannelHealth::Disabled,
        Some(_) => ChannelHealth::Failing,
    };
    transaction
        .execute(
            "INSERT INTO syncdeck.alert_channel AS c (name, state, since, reason, detail, stamp) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (name) DO UPDATE SET state = excluded.state, reason = excluded.reason, detail = excluded.detail,
                 stamp = excluded.stamp, since = CASE WHEN c.state = excluded.state THEN c.since ELSE excluded.since END",
            &[
                &name,
                &state.word(),
                &now,
                &refusal.map(|refusal| refusal.reason),
                &refusal.map(|refusal| refusal.detail.as_str()),
                &stamp,
            ],
        )
        .await
        .context("note how a channel is")
        .map(drop)
}
