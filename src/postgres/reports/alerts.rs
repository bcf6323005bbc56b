//! Alerts as they are kept: how each stands, who silenced what, what waits for which channel, how the channels are. Only
//! the engine that holds the lease writes here, and proves it with each transaction; but operators silence and
//! acknowledge.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use crate::domain::alert::life::{Acknowledged, AlertPhase, AlertStanding};
use crate::domain::alert::message::Message;
use crate::domain::alert::rule::{Severity, Silence};
use crate::domain::errors::filter::all_of_mapping;
use crate::domain::operations::operation::Operation;
use crate::domain::state::ChannelHealth;

use crate::postgres::errors::causes::causes_of;
use crate::postgres::reports::deliveries::{DeliveryRefusal, note_channel, queue};
use crate::postgres::reports::status::Lease;
use crate::postgres::{Error, ErrorContext, Store, Transaction};

/// The name of the lease.
pub const LEASE: &str = "alerts";

/// All that is kept, but for what waits.
#[derive(Clone, Debug, Default)]
pub struct StoredAlerts {
    /// How each alert stands, by its rule.
    pub alerts: Vec<(String, AlertStanding)>,
    /// By rule.
    pub rules: BTreeMap<String, RuleState>,
    /// Those that have not ended.
    pub silences: Vec<Silence>,
    /// By name.
    pub channels: BTreeMap<String, ChannelState>,
}

/// What is kept of a rule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleState {
    /// What a message that can be changed is known by, while something of the rule fires.
    pub episode: Option<String>,
    /// When its last digest was made, or when it was looked at first.
    pub digest_at: Option<DateTime<Utc>>,
    /// When its last message was made.
    pub told_at: Option<DateTime<Utc>>,
    /// Since when it is looked at.
    pub since: Option<DateTime<Utc>>,
}

/// How a channel is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChannelState {
    /// Its name.
    pub name: String,
    /// Whether it takes messages.
    pub state: ChannelHealth,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Why it fails, in a word: `auth`, `rate`, `refused`, `unreachable`, `gone`, `unset`.
    pub reason: Option<String>,
    /// The same in a sentence.
    pub detail: Option<String>,
    /// Tells whether it is configured as it was then.
    #[serde(skip)]
    pub stamp: String,
}

/// What one look at everything changed.
#[derive(Clone, Debug, Default)]
pub struct Round {
    /// When.
    pub now: DateTime<Utc>,
    /// How alerts stand now.
    pub alerts: Vec<(String, AlertStanding)>,
    /// Those that are forgotten, by rule and subject.
    pub forgotten: Vec<(String, String)>,
    /// What is kept of rules now.
    pub rules: Vec<(String, RuleState)>,
    /// What is to be told, by channel.
    pub messages: Vec<(String, Message)>,
}

/// An alert as it is listed (`alert list --json` prints exactly these members).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ListedAlert {
    /// `RULE`, or `RULE:SUBJECT`.
    pub name: String,
    /// The rule.
    pub rule: String,
    /// What of it.
    pub subject: String,
    /// Where it is in its life; by its word.
    #[serde(serialize_with = "by_word")]
    pub state: AlertPhase,
    /// Since when.
    pub since: DateTime<Utc>,
    /// When it fired.
    pub fired_at: Option<DateTime<Utc>>,
    /// What it says.
    pub headline: String,
    /// Why, where that is known.
    pub why: Option<String>,
    /// When it was told last.
    pub told_at: Option<DateTime<Utc>>,
    /// Who has it in hand.
    pub acknowledged_by: Option<String>,
    /// In that person's words.
    pub note: Option<String>,
    /// The number of the silence that covers it.
    pub silence: Option<i64>,
    /// How urgent it is, where the rule is known.
    pub severity: Option<Severity>,
    /// The mapping, where it is of one.
    pub mapping: Option<String>,
    /// The cause's fingerprint, where it is one.
    pub cause: Option<String>,
    /// How many there were since it began, where it can be counted.
    pub count: i64,
}

fn by_word<S: Serializer>(phase: &AlertPhase, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(phase.word())
}

impl ListedAlert {
    /// The filter of the errors that it is about, where it is about errors of a cause or a mapping: a rule may speak of
    /// rows that wait.
    pub fn filter(&self) -> Option<String> {
        match (&self.cause, &self.mapping) {
            (Some(cause), _) => Some(format!("group:{cause}")),
            (None, Some(mapping)) => Some(all_of_mapping(mapping)),
            (None, None) => None,
        }
    }
}

/// What waits for a channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WaitingMessage {
    /// The channel.
    pub channel: String,
    /// How many messages.
    pub count: i64,
    /// When the next one is tried.
    pub next_try: DateTime<Utc>,
}

impl Store {
    /// All that is kept about alerts.
    pub async fn kept_alerts(&self, now: DateTime<Utc>) -> Result<StoredAlerts, Error> {
        let client = self.client().await?;
        let rows = client
            .query(
                "SELECT rule, standing, acknowledged_at, acknowledged_by, acknowledged_note FROM syncdeck.alert
                 ORDER BY rule, subject",
                &[],
            )
            .await
            .context("read the alerts")?;
        let alerts = rows.iter().filter_map(|row| Some((row.get(0), read_standing(row)?))).collect();
        let rows = client
            .query("SELECT rule, episode, digest_at, told_at, since FROM syncdeck.alert_rule", &[])
            .await
            .context("read the rules of alerts")?;
        let state = |row: &tokio_postgres::Row| RuleState {
            episode: row.get(1),
            digest_at: row.get(2),
            told_at: row.get(3),
            since: row.get(4),
        };
        let rules = rows.iter().map(|row| (row.get(0), state(row))).collect();
        let rows = client
            .query(
                "SELECT id, rule, subject, until, note, actor, at FROM syncdeck.alert_silence WHERE until > $1 ORDER BY id",
                &[&now],
            )
            .await
            .context("read the silences")?;
        let silences = rows.iter().map(read_silence).collect();
        let rows = client
            .query("SELECT name, state, since, reason, detail, stamp FROM syncdeck.alert_channel", &[])
            .await
            .context("read the channels of alerts")?;
        let channel = |row: &tokio_postgres::Row| ChannelState {
            name: row.get(0),
            state: ChannelHealth::of(row.get(1)),
            since: row.get(2),
            reason: row.get(3),
            detail: row.get(4),
            stamp: row.get(5),
        };
        let channels = rows.iter().map(|row| (row.get(0), channel(row))).collect();
        Ok(StoredAlerts { alerts, rules, silences, channels })
    }

    /// Keeps what a look changed, and puts what is to be told into the queue: all of it or nothing, under the lease.
    pub async fn keep_round(&self, lease: &Lease, round: &Round) -> Result<(), Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin keeping alerts")?;
        lease.prove(&transaction).await?;
        for (rule, standing) in &round.alerts {
            transaction
                .execute(
                    "INSERT INTO syncdeck.alert AS a (rule, subject, phase, incident, standing, changed_at)
                     VALUES ($1, $2, $3, $4, $5, $6)
                     ON CONFLICT (rule, subject) DO UPDATE SET phase = excluded.phase, incident = excluded.incident,
                         standing = excluded.standing, changed_at = excluded.changed_at,
                         acknowledged_at = CASE WHEN a.incident = excluded.incident THEN a.acknowledged_at END,
                         acknowledged_by = CASE WHEN a.incident = excluded.incident THEN a.acknowledged_by END,
                         acknowledged_note = CASE WHEN a.incident = excluded.incident THEN a.acknowledged_note END",
                    &[
                        rule,
                        &standing.seen.subject,
                        &standing.phase.word(),
                        &standing.incident,
                        &serde_json::to_value(standing).unwrap_or_default(),
                        &round.now,
                    ],
                )
                .await
                .context("keep an alert")?;
        }
        let (rules, subjects): (Vec<&str>, Vec<&str>) =
            round.forgotten.iter().map(|(rule, subject)| (rule.as_str(), subject.as_str())).unzip();
        transaction
            .execute(
                "DELETE FROM syncdeck.alert WHERE (rule, subject) IN (SELECT * FROM unnest($1::text[], $2::text[]))",
                &[&rules, &subjects],
            )
            .await
            .context("forget an alert")?;
        for (rule, state) in &round.rules {
            transaction
                .execute(
                    "INSERT INTO syncdeck.alert_rule (rule, episode, digest_at, told_at, since) VALUES ($1, $2, $3, $4, $5)
                     ON CONFLICT (rule) DO UPDATE SET episode = excluded.episode, digest_at = excluded.digest_at,
                         told_at = excluded.told_at, since = excluded.since",
                    &[rule, &state.episode, &state.digest_at, &state.told_at, &state.since],
                )
                .await
                .context("keep a rule of alerts")?;
        }
        for (channel, message) in &round.messages {
            queue(&transaction, channel, message, round.now).await?;
        }
        transaction.commit().await.context("finish keeping alerts")
    }

    /// Notes how a channel is: it was tried by hand, or it is configured anew.
    pub async fn note_channel(
        &self,
        name: &str,
        refusal: Option<&DeliveryRefusal>,
        stamp: &str,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin noting a channel")?;
        note_channel(&transaction, name, refusal, stamp, now).await?;
        transaction.commit().await.context("finish noting a channel")
    }

    /// Drops what waits for channels that are not configured any more, and forgets those.
    pub async fn forget_channels(&self, known: &[&str]) -> Result<(), Error> {
        let client = self.client().await?;
        for sql in [
            "UPDATE syncdeck.alert_delivery SET state = 'dropped', reason = 'gone', done_at = clock_timestamp(),
                 detail = 'the channel is not configured any more' WHERE state = 'waiting' AND channel <> ALL($1)",
            "DELETE FROM syncdeck.alert_channel WHERE name <> ALL($1)",
        ] {
            client.execute(sql, &[&known]).await.context("forget channels of alerts")?;
        }
        Ok(())
    }

    /// Forgets alerts of rules that are not configured any more.
    pub async fn forget_rules(&self, known: &[&str]) -> Result<(), Error> {
        let client = self.client().await?;
        for table in ["alert", "alert_rule"] {
            let sql = format!("DELETE FROM syncdeck.{table} WHERE rule <> ALL($1)");
            client.execute(&sql, &[&known]).await.context("forget rules of alerts")?;
        }
        Ok(())
    }

    /// Removes what is older than `keep`: what was told, alerts that are over, silences that have ended.
    pub async fn prune_alerts(&self, keep: Duration) -> Result<(), Error> {
        let client = self.client().await?;
        let seconds = keep.as_secs_f64();
        for sql in [
            "DELETE FROM syncdeck.alert_delivery WHERE state <> 'waiting' AND done_at < clock_timestamp() - make_interval(secs => $1)",
            "DELETE FROM syncdeck.alert WHERE phase = 'resolved' AND changed_at < clock_timestamp() - make_interval(secs => $1)",
            "DELETE FROM syncdeck.alert_silence WHERE until < clock_timestamp() - make_interval(secs => $1)",
            "DELETE FROM syncdeck.alert_posted WHERE at < clock_timestamp() - make_interval(secs => $1)",
        ] {
            client.execute(sql, &[&seconds]).await.context("remove old alerts")?;
        }
        Ok(())
    }

    /// The alerts, those that fire first.
    pub async fn listed_alerts(&self, now: DateTime<Utc>) -> Result<Vec<ListedAlert>, Error> {
        let kept = self.kept_alerts(now).await?;
        let configured = self.configured_alerts().await?;
        let names: Vec<&str> =
            kept.alerts.iter().filter_map(|(_, standing)| standing.seen.cause.as_deref()).collect();
        let causes = causes_of(&self.client().await?, &names).await?;
        let counted = |standing: &AlertStanding| {
            let cause = standing.seen.cause.as_ref().and_then(|cause| causes.get(cause));
            cause.map_or(standing.seen.total, |cause| cause.course.total())
        };
        let mut listed: Vec<ListedAlert> = kept
            .alerts
            .iter()
            .map(|(rule, standing)| {
                let subject = &standing.seen.subject;
                let silence = kept.silences.iter().find(|silence| silence.covers(rule, subject, now));
                ListedAlert {
                    name: name_of(rule, subject),
                    rule: rule.clone(),
                    subject: subject.clone(),
                    state: standing.phase,
                    since: standing.since,
                    fired_at: standing.fired_at,
                    headline: standing.seen.headline.clone(),
                    why: standing.seen.why.clone(),
                    told_at: standing.told.map(|told| told.at),
                    acknowledged_by: standing.acknowledged.as_ref().map(|one| one.by.clone()),
                    note: standing.acknowledged.as_ref().map(|one| one.note.clone()),
                    silence: silence.filter(|_| standing.phase != AlertPhase::Over).map(|silence| silence.id),
                    severity: configured.severity(rule),
                    mapping: standing.seen.mapping.clone(),
                    cause: standing.seen.cause.clone(),
                    count: counted(standing),
                }
            })
            .collect();
        let place = |state: AlertPhase| {
            [AlertPhase::Firing, AlertPhase::Pending, AlertPhase::Over].iter().position(|one| *one == state)
        };
        listed.sort_by(|a, b| place(a.state).cmp(&place(b.state)).then(b.since.cmp(&a.since)));
        Ok(listed)
    }

    /// What waits for which channel.
    pub async fn waiting_messages(&self) -> Result<Vec<WaitingMessage>, Error> {
        let client = self.client().await?;
        let sql =
            "SELECT channel, count(*), min(next_try) FROM syncdeck.alert_delivery WHERE state = 'waiting'
             GROUP BY channel ORDER BY channel";
        let rows = client.query(sql, &[]).await.context("count the messages that wait")?;
        let waiting = |row: &tokio_postgres::Row| WaitingMessage {
            channel: row.get(0),
            count: row.get(1),
            next_try: row.get(2),
        };
        Ok(rows.iter().map(waiting).collect())
    }

    /// Silences a rule, or something of it, or everything. Returns its number.
    pub async fn silence(
        &self,
        rule: Option<&str>,
        subject: Option<&str>,
        until: DateTime<Utc>,
        note: &str,
        operation: &Operation,
    ) -> Result<i64, Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to silence alerts")?;
        let row = transaction
            .query_one(
                "INSERT INTO syncdeck.alert_silence (rule, subject, until, note, actor) VALUES ($1, $2, $3, $4, $5) RETURNING id",
                &[&rule, &subject, &until, &note, &operation.operator.actor],
            )
            .await
            .context("silence alerts")?;
        let what = rule.map_or_else(|| "all".to_owned(), |rule| name_of(rule, subject.unwrap_or_default()));
        let after = serde_json::json!({"alert": what, "until": until.to_rfc3339()});
        audit(&transaction, operation, "silenced", note, &after).await?;
        transaction.commit().await.context("finish silencing alerts")?;
        Ok(row.get(0))
    }

    /// Ends a silence. False when there is none of that number.
    pub async fn end_silence(&self, id: i64, operation: &Operation) -> Result<bool, Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to end a silence")?;
        let ended = transaction
            .execute(
                "UPDATE syncdeck.alert_silence SET until = clock_timestamp() WHERE id = $1 AND until > clock_timestamp()",
                &[&id],
            )
            .await
            .context("end a silence")?;
        if ended > 0 {
            let after = serde_json::json!({"silence": id});
            audit(&transaction, operation, "ended a silence", "", &after).await?;
        }
        transaction.commit().await.context("finish ending a silence")?;
        Ok(ended > 0)
    }

    /// Takes alerts that fire in hand: all of a rule, or what of it is named. Returns their names.
    pub async fn acknowledge_alerts(
        &self,
        rule: &str,
        subject: Option<&str>,
        note: &str,
        operation: &Operation,
    ) -> Result<Vec<String>, Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to acknowledge alerts")?;
        let rows = transaction
            .query(
                "UPDATE syncdeck.alert SET acknowledged_at = clock_timestamp(), acknowledged_by = $3, acknowledged_note = $4
                 WHERE rule = $1 AND ($2::text IS NULL OR subject = $2) AND phase = 'firing' RETURNING subject",
                &[&rule, &subject, &operation.operator.actor, &note],
            )
            .await
            .context("acknowledge alerts")?;
        let names: Vec<String> = rows.iter().map(|row| name_of(rule, row.get(0))).collect();
        for name in &names {
            audit(&transaction, operation, "acknowledged", note, &serde_json::json!({"alert": name})).await?;
        }
        transaction.commit().await.context("finish acknowledging alerts")?;
        Ok(names)
    }
}

/// `RULE`, or `RULE:SUBJECT`.
pub fn name_of(rule: &str, subject: &str) -> String {
    if subject.is_empty() { rule.to_owned() } else { format!("{rule}:{subject}") }
}

/// Writes into the audit what an operator did to alerts, which are of no mapping.
async fn audit(
    transaction: &Transaction<'_>,
    operation: &Operation,
    action: &str,
    note: &str,
    after: &Value,
) -> Result<(), Error> {
    let why = operation.why.as_deref().unwrap_or(note);
    let why = Some(why).filter(|why| !why.is_empty());
    transaction
        .execute(
            "INSERT INTO syncdeck.audit (actor, origin, why, action, mapping, table_name, after)
             VALUES ($1, $2, $3, $4, '', '', $5)",
            &[&operation.operator.actor, &operation.operator.origin, &why, &action, after],
        )
        .await
        .context("write the audit")
        .map(drop)
}

fn read_standing(row: &tokio_postgres::Row) -> Option<AlertStanding> {
    let mut standing: AlertStanding = serde_json::from_value(row.get(1)).ok()?;
    let told = standing.acknowledged.as_ref().is_some_and(|one| one.told);
    standing.acknowledged = row.get::<_, Option<DateTime<Utc>>>(2).map(|at| Acknowledged {
        at,
        by: row.get::<_, Option<String>>(3).unwrap_or_default(),
        note: row.get::<_, Option<String>>(4).unwrap_or_default(),
        told,
    });
    Some(standing)
}

fn read_silence(row: &tokio_postgres::Row) -> Silence {
    Silence {
        id: row.get(0),
        rule: row.get(1),
        subject: row.get(2),
        until: row.get(3),
        note: row.get(4),
        actor: row.get(5),
        at: row.get(6),
    }
}
