//! Alerts as people look at them: how many fire, what the configuration has, and what was told through which channel and
//! how that went.

use chrono::{DateTime, Utc};

use crate::domain::alert::message::Message;
use crate::domain::alert::rule::Severity;
use crate::domain::reports::overview::{AlertsStatus, FailingChannel};
use crate::domain::state::DeliveryState;

use crate::postgres::reports::status::Lease;
use crate::postgres::session::client::{Cached, PooledClient};
use crate::postgres::{Error, ErrorContext, Store};

/// What the configuration has, as the engine read it that looks after the alerts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Configured {
    /// Rules, with how urgent they are, in the order of the configuration.
    pub rules: Vec<(String, Severity)>,
    /// Channels, with their kind.
    pub channels: Vec<(String, String)>,
}

impl Configured {
    /// How urgent a rule is, where it is known.
    pub fn severity(&self, rule: &str) -> Option<Severity> {
        self.rules.iter().find(|(name, _)| name == rule).map(|(_, severity)| *severity)
    }
}

/// A message for a channel, and how its delivery went.
#[derive(Clone, Debug, PartialEq)]
pub struct Posted {
    /// Its number.
    pub id: i64,
    /// Where to.
    pub channel: String,
    /// What is told.
    pub message: Message,
    /// How far it is.
    pub state: DeliveryState,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it is tried next.
    pub next_try: DateTime<Utc>,
    /// How often it was tried.
    pub attempts: i32,
    /// Why it was not taken last, in a word.
    pub reason: Option<String>,
    /// The same in a sentence.
    pub detail: Option<String>,
    /// When it was taken, or given up.
    pub done_at: Option<DateTime<Utc>>,
}

impl Store {
    /// How many alerts fire, and which channels fail: cheap enough to be asked several times a second. Index
    /// `alert_firing`.
    pub(in crate::postgres) async fn alerts_status(
        &self,
        client: &PooledClient,
    ) -> Result<AlertsStatus, Error> {
        let rows = client
            .query_cached(
                "SELECT count(*), count(*) FILTER (WHERE acknowledged_at IS NULL AND NOT EXISTS (
                     SELECT FROM syncdeck.alert_silence silence WHERE until > clock_timestamp()
                         AND coalesce(silence.rule, alert.rule) = alert.rule
                         AND coalesce(silence.subject, alert.subject) = alert.subject)),
                     (SELECT coalesce(jsonb_agg(jsonb_build_object('name', name, 'reason', coalesce(reason, state))
                         ORDER BY name), '[]') FROM syncdeck.alert_channel WHERE state <> 'ok')
                 FROM syncdeck.alert WHERE phase = 'firing'",
                &[],
            )
            .await
            .context("count the alerts that fire")?;
        let Some(row) = rows.first() else { return Ok(AlertsStatus::default()) };
        let channels: Vec<FailingChannel> = serde_json::from_value(row.get(2)).unwrap_or_default();
        Ok(AlertsStatus { firing: row.get(0), unattended: row.get(1), failing_channels: channels })
    }

    /// Keeps what the configuration has, for whoever looks at alerts. Under the lease.
    pub async fn keep_configured(&self, lease: &Lease, configured: &Configured) -> Result<(), Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to keep what alerts there are")?;
        lease.prove(&transaction).await?;
        transaction
            .execute("DELETE FROM syncdeck.alert_configured", &[])
            .await
            .context("forget what alerts there were")?;
        let rules = configured.rules.iter().map(|(name, severity)| ("rule", name, severity.word()));
        let channels = configured.channels.iter().map(|(name, kind)| ("channel", name, kind.as_str()));
        for (position, (what, name, word)) in (0_i32..).zip(rules.chain(channels)) {
            transaction
                .execute(
                    "INSERT INTO syncdeck.alert_configured (what, name, word, position) VALUES ($1, $2, $3, $4)",
                    &[&what, name, &word, &position],
                )
                .await
                .context("keep what alerts there are")?;
        }
        transaction.commit().await.context("finish keeping what alerts there are")
    }

    /// What the configuration has; nothing where no engine looked after alerts yet.
    pub async fn configured_alerts(&self) -> Result<Configured, Error> {
        let client = self.client().await?;
        let rows = client
            .query("SELECT what, name, word FROM syncdeck.alert_configured ORDER BY position", &[])
            .await
            .context("read what alerts there are")?;
        let mut configured = Configured::default();
        for row in &rows {
            let (name, word): (String, String) = (row.get(1), row.get(2));
            match row.get(0) {
                "rule" => {
                    configured.rules.push((name, Severity::from_word(&word).unwrap_or_default()));
                }
                _ => configured.channels.push((name, word)),
            }
        }
        Ok(configured)
    }

    /// The newest messages, newest first. One that another version queued is left out.
    pub async fn posted_messages(&self, limit: i64) -> Result<Vec<Posted>, Error> {
        let client = self.client().await?;
        let rows = client
            .query(
                "SELECT id, channel, message, state, coalesce(claimed_until > clock_timestamp(), false), created_at, next_try,
                     attempts, reason, detail, done_at
                 FROM syncdeck.alert_delivery ORDER BY id DESC LIMIT $1",
                &[&limit],
            )
            .await
            .context("read the messages of alerts")?;
        Ok(rows.iter().filter_map(read_posted).collect())
    }
}

fn read_posted(row: &tokio_postgres::Row) -> Option<Posted> {
    let attempts: i32 = row.get(7);
    let state = match (row.get(3), row.get(4), attempts) {
        ("sent", ..) => DeliveryState::Sent,
        ("dropped", ..) => DeliveryState::Dropped,
        (_, true, _) => DeliveryState::Sending,
        (_, false, 0) => DeliveryState::Queued,
        (_, false, _) => DeliveryState::Failed,
    };
    Some(Posted {
        id: row.get(0),
        channel: row.get(1),
        message: serde_json::from_value(row.get(2)).ok()?,
        state,
        created_at: row.get(5),
        next_try: row.get(6),
        attempts,
        reason: row.get(8),
        detail: row.get(9),
        done_at: row.get(10),
    })
}
