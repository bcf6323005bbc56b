//! Telling people. A [`Watch`] looks at how things stand every few seconds (`observe`), takes each rule of the
//! configuration one step further (`domain::alert`), keeps that in PostgreSQL together with the messages that come of it,
//! and brings those to their channels (`queue`, `channel`), in words (`text`). One engine at a time does so, by a lease;
//! the time is always given, so that tests have a clock of their own.
//!
//! An engine, and the command that tries a channel, may know this room. It decides nothing about the sync and changes no
//! row; what it cannot do is logged and tried again. No secret leaves it but to its own channel, and no value of a row but
//! where the configuration lets it.

pub mod channel;
mod compose;
mod observe;
pub mod queue;
pub mod text;

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Local, NaiveDateTime, Utc};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::config::Config;
use crate::config::alert::AlertSettings;
use crate::domain::alert::life::{AlertPhase, AlertSeen, AlertStanding, Gate, Observed, step};
use crate::domain::alert::look::{self, AlertLook};
use crate::domain::alert::message::{Message, MessageChange};
use crate::domain::alert::rule::{Rule, Severity, When};
use crate::domain::state::ChannelHealth;
use crate::logs::log::Log;
use crate::postgres::reports::alert_lists::Configured;
use crate::postgres::reports::alerts::{LEASE, Round, RuleState, StoredAlerts, name_of};
use crate::postgres::reports::deliveries::{Delivery, DeliveryResult, Taken};
use crate::postgres::reports::status::Lease;
use crate::postgres::{Error, Store};

use channel::Sender;
use observe::Lines;

/// How long the lease is held without a sign.
const LEASE_LENGTH: Duration = Duration::from_secs(20);
/// How long a message is ours once it is taken.
const CLAIM: Duration = Duration::from_secs(60);
/// Alerts of one rule; more of them say nothing more.
const MOST: usize = 500;
/// Lines of the log that alerts of one kind get; more of them are one line.
const LINES: usize = 5;
/// The part of the log that speaks of alerts.
pub const PART: &str = "alerts";

/// What looks after the alerts of a connection.
pub struct Watch {
    store: Store,
    alerts: AlertSettings,
    /// Those of the configuration, and the one about the channels.
    rules: Vec<Rule>,
    lease: Lease,
    /// The connection's name, what it is for, and what commands need to find it.
    place: AlertPlace,
    lines: Lines,
    /// Rules that find more than they tell, as was said once.
    overflowing: BTreeSet<String>,
    sender: Sender,
    log: Log,
}

/// Whose alerts they are.
#[derive(Clone, Debug, Default)]
pub struct AlertPlace {
    /// The connection's name.
    pub connection: String,
    /// What it is for.
    pub environment: String,
    /// What is put behind `syncdeck` in commands.
    pub option: String,
}

impl AlertPlace {
    /// That of a configuration.
    pub fn of(config: &Config) -> AlertPlace {
        let option = match config.among_several {
            true => format!(" --connection {}", config.name),
            false => String::new(),
        };
        AlertPlace { connection: config.name.clone(), environment: config.environment.clone(), option }
    }
}

/// What a rule came to in one look.
#[derive(Default)]
struct Step {
    alerts: Vec<AlertStanding>,
    forgotten: Vec<String>,
    state: Option<RuleState>,
    news: Vec<(AlertStanding, MessageChange)>,
    /// How many were found beyond those that are told.
    untold: usize,
    /// All that fire after it and that people know of.
    firing: Vec<AlertStanding>,
}

impl Watch {
    /// One for the alerts of a connection, in the name of an engine; `None` where the configuration has none.
    pub fn new(store: Store, config: &Config, owner: &str, log: Log) -> Option<Watch> {
        let alerts = config.alerts.clone();
        if alerts.rules.is_empty() {
            return None;
        }
        let mut rules = alerts.rules.clone();
        if alerts.channels.len() > 1 {
            rules.push(Rule::of_channels(
                alerts.channels.iter().map(|channel| channel.name.clone()).collect(),
            ));
        }
        Some(Watch {
            store,
            alerts,
            rules,
            lease: Lease { name: LEASE.to_owned(), owner: owner.to_owned() },
            place: AlertPlace::of(config),
            lines: Lines::default(),
            overflowing: BTreeSet::new(),
            sender: Sender::new(),
            log: log.of(PART),
        })
    }

    /// Looks at everything once. False when another engine does.
    ///
    /// # Errors
    /// When PostgreSQL cannot be asked; nothing changed then.
    pub async fn look(&mut self, now: DateTime<Utc>) -> Result<bool, Error> {
        if !self.store.lease(&self.lease, LEASE_LENGTH).await? {
            return Ok(false);
        }
        self.forget().await?;
        self.admit_channels(now).await?;
        let kept = self.store.kept_alerts(now).await?;
        let seen = observe::look(&self.store, &self.rules, &kept, &mut self.lines, now).await?;
        let mut round = Round { now, ..Round::default() };
        let (mut told, mut untold) = (Vec::new(), Vec::new());
        for rule in &self.rules {
            let step = self.step(rule, &kept, &seen, now);
            untold.push((rule.name.clone(), step.untold));
            round.alerts.extend(step.alerts.into_iter().map(|standing| (rule.name.clone(), standing)));
            round.forgotten.extend(step.forgotten.into_iter().map(|subject| (rule.name.clone(), subject)));
            let before = kept.rules.get(&rule.name).cloned().unwrap_or_default();
            let mut state = step.state.unwrap_or_else(|| before.clone());
            if !step.news.is_empty() {
                state.told_at = Some(now);
                let episode =
                    state.episode.get_or_insert_with(|| format!("{:016x}", rand::random::<u64>())).clone();
                let draft = compose::Draft { rule, news: &step.news, firing: &step.firing, episode, now };
                let message = compose::message(&self.store, &self.alerts, &self.place, &seen, &draft).await?;
                told.push((rule, step.news));
                for channel in self.channels_for(rule, &kept, &message) {
                    round.messages.push((channel, message.clone()));
                }
            }
            if step.firing.is_empty() {
                state.episode = None;
            }
            if state != before {
                round.rules.push((rule.name.clone(), state));
            }
        }
        self.store.keep_round(&self.lease, &round).await?;
        for (rule, news) in told {
            self.log_news(rule, &news);
        }
        self.log_untold(untold);
        Ok(true)
    }

    /// Takes each alert of a rule one step further.
    fn step(&self, rule: &Rule, kept: &StoredAlerts, seen: &AlertLook, now: DateTime<Utc>) -> Step {
        let observed = look::observe(rule, seen, now);
        let state = kept.rules.get(&rule.name).cloned().unwrap_or_default();
        let mut result = Step::default();
        let digest =
            state.digest_at.is_some_and(|last| rule.manner.tell.digest_is_due(wall(last), wall(now)));
        if digest || state.digest_at.is_none() || state.since.is_none() {
            let since = state.since.or(Some(now));
            let digest_at = if digest { Some(now) } else { state.digest_at.or(Some(now)) };
            result.state = Some(RuleState { digest_at, since, ..state.clone() });
        }
        let last = state.told_at.filter(|_| rule.gathers());
        let gathers =
            last.is_some_and(|last| (now - last).to_std().is_ok_and(|passed| passed < rule.manner.again));
        let manner = Turn { digest, gathers };
        let known: Vec<&AlertStanding> =
            kept.alerts.iter().filter(|(name, _)| *name == rule.name).map(|(_, standing)| standing).collect();
        let mut subjects: BTreeSet<&str> =
            known.iter().map(|standing| standing.seen.subject.as_str()).collect();
        result.untold = observed.iter().flatten().count().saturating_sub(MOST);
        let found = observed.iter().flatten().take(MOST);
        subjects.extend(found.map(|observed| observed.subject.as_str()));
        for subject in subjects {
            let before = known.iter().find(|standing| standing.seen.subject == subject);
            let found = observed.iter().flatten().find(|observed| observed.subject == subject);
            let what = match (&observed, found) {
                (None, _) => AlertSeen::Unknown,
                (_, Some(found)) if look::is_inhibited(rule, found, seen, &self.rules) => AlertSeen::Unknown,
                (_, Some(found)) => AlertSeen::Holds(found),
                (_, None) => AlertSeen::Clear,
            };
            let gate = match what {
                // What follows from something else that is told says nothing meanwhile.
                AlertSeen::Unknown => Gate::Later,
                _ => self.gate(rule, subject, kept, manner, now),
            };
            let before = before.copied().cloned();
            let (after, change) = step(&rule.name, &rule.manner, before.clone(), what, gate, now);
            if let (Some(after), Some(change)) = (&after, change) {
                result.news.push((after.clone(), change));
            }
            match after {
                Some(after) => {
                    if after.phase == AlertPhase::Firing && after.is_known() {
                        result.firing.push(after.clone());
                    }
                    if is_worth_keeping(before.as_ref(), &after) {
                        result.alerts.push(after);
                    }
                }
                None if before.is_some() => result.forgotten.push(subject.to_owned()),
                None => {}
            }
        }
        // What is worst comes first: what fires, and of that what there is most of.
        result.news.sort_by_key(|(standing, change)| (*change == MessageChange::Over, -standing.seen.total));
        result
    }

    fn gate(&self, rule: &Rule, subject: &str, kept: &StoredAlerts, turn: Turn, now: DateTime<Utc>) -> Gate {
        let is_quiet = rule.severity < Severity::Critical
            && rule.quiet.is_some_and(|quiet| quiet.cover(wall(now).time()));
        let is_silenced = kept.silences.iter().any(|silence| silence.covers(&rule.name, subject, now));
        match () {
            () if rule.manner.tell.is_digest() && !turn.digest => Gate::Later,
            () if is_quiet => Gate::Later,
            () if is_silenced => Gate::Silenced,
            () if turn.digest => Gate::Digest,
            () if turn.gathers => Gate::Gather,
            () => Gate::Open,
        }
    }

    /// Where a message goes: to the rule's channels, but for those that take nothing any more. That a channel fails is
    /// told by the first other one that works.
    fn channels_for(&self, rule: &Rule, kept: &StoredAlerts, message: &Message) -> Vec<String> {
        let health = |name: &str| kept.channels.get(name).map_or(ChannelHealth::Ok, |channel| channel.state);
        let usable = rule.channels.iter().filter(|name| health(name) != ChannelHealth::Disabled);
        if rule.when != When::ChannelFails {
            return usable.cloned().collect();
        }
        let is_other = |name: &&String| message.items.iter().all(|item| item.subject != **name);
        let mut others: Vec<&String> = usable.filter(is_other).collect();
        others.sort_by_key(|name| health(name) != ChannelHealth::Ok);
        others.into_iter().take(1).cloned().collect()
    }

    /// Tells, once, what the configuration has, and forgets what it does not have any more.
    async fn forget(&mut self) -> Result<(), Error> {
        if !self.lines.is_new() {
            return Ok(());
        }
        let rules = self.rules.iter().map(|rule| (rule.name.clone(), rule.severity)).collect();
        let channels = self.alerts.channels.iter();
        let channels = channels.map(|channel| (channel.name.clone(), channel.kind.word().to_owned()));
        let configured = Configured { rules, channels: channels.collect() };
        self.store.keep_configured(&self.lease, &configured).await?;
        let channels: Vec<&str> = self.alerts.channels.iter().map(|channel| channel.name.as_str()).collect();
        let rules: Vec<&str> = self.rules.iter().map(|rule| rule.name.as_str()).collect();
        self.store.forget_channels(&channels).await?;
        self.store.forget_rules(&rules).await
    }

    /// A channel that was disabled works again once it is configured anew.
    async fn admit_channels(&mut self, now: DateTime<Utc>) -> Result<(), Error> {
        if !self.lines.is_new() {
            return Ok(());
        }
        let kept = self.store.kept_alerts(now).await?;
        for channel in &self.alerts.channels {
            let stamp = channel::stamp(channel);
            let known = kept.channels.get(&channel.name).filter(|known| known.state != ChannelHealth::Ok);
            if known.is_some_and(|known| known.stamp != stamp) {
                self.store.note_channel(&channel.name, None, &stamp, now).await?;
            }
        }
        Ok(())
    }

    /// A line for each rule that has begun to find more than it tells.
    fn log_untold(&mut self, rules: Vec<(String, usize)>) {
        for (rule, untold) in rules {
            if untold == 0 {
                self.overflowing.remove(&rule);
            } else if self.overflowing.insert(rule.clone()) {
                let text = format!("{rule} finds {untold} more than the {MOST} alerts that it tells");
                self.log.warn(text, json!({"key": rule, "records": untold}));
            }
        }
    }

    /// A line for each alert, or one for all of a kind where they are many.
    fn log_news(&self, rule: &Rule, news: &[(AlertStanding, MessageChange)]) {
        let kinds: BTreeSet<MessageChange> = news.iter().map(|(_, change)| *change).collect();
        for change in kinds {
            let of: Vec<&AlertStanding> =
                news.iter().filter(|(_, other)| *other == change).map(|(standing, _)| standing).collect();
            let lines: Vec<(String, Value)> = if of.len() > LINES {
                let text = format!("{} alerts {}: {}", of.len(), change.word(), rule.name);
                vec![(text, json!({"key": rule.name, "state": change.word(), "records": of.len()}))]
            } else {
                let line = |standing: &&AlertStanding| {
                    let key = name_of(&rule.name, &standing.seen.subject);
                    let text = format!("alert {}: {}", change.word(), standing.seen.headline);
                    (text, json!({"key": key, "state": change.word(), "mapping": standing.seen.mapping}))
                };
                of.iter().map(line).collect()
            };
            for (text, fields) in lines {
                match change {
                    MessageChange::Fired | MessageChange::More | MessageChange::Still => {
                        self.log.warn(text, fields)
                    }
                    MessageChange::Acknowledged | MessageChange::Over => self.log.info(text, fields),
                }
            }
        }
    }

    /// Brings what is due to its channels. Returns how many messages were taken there.
    ///
    /// # Errors
    /// When PostgreSQL cannot be asked; what was sent meanwhile may be sent once more.
    pub async fn deliver(&self, now: DateTime<Utc>) -> Result<usize, Error> {
        let mut sent = 0;
        loop {
            if !self.store.lease(&self.lease, LEASE_LENGTH).await? {
                return Ok(sent);
            }
            let begun = Instant::now();
            let Taken { due, unreadable } = self.store.claim_deliveries(&self.lease, now, CLAIM).await?;
            for channel in &unreadable {
                let text =
                    format!("a message for the alert channel {channel} is lost: another version queued it");
                self.log.error(text, json!({"key": channel}));
            }
            if due.is_empty() && unreadable.is_empty() {
                return Ok(sent);
            }
            let tries = due.iter().map(|delivery| self.send(delivery, begun, now));
            for done in futures_util::future::join_all(tries).await {
                sent += usize::from(done?);
            }
        }
    }

    /// Brings one message to its channel, and keeps what became of it. True when it was taken.
    async fn send(&self, delivery: &Delivery, claimed: Instant, now: DateTime<Utc>) -> Result<bool, Error> {
        let Some(channel) = self.alerts.channels.iter().find(|one| one.name == delivery.channel) else {
            self.store
                .settle_delivery(&self.lease, delivery, &DeliveryResult::Dropped, None, "", now)
                .await?;
            return Ok(false);
        };
        // An engine that was frozen meanwhile sends nothing: it may be another one's by now.
        if claimed.elapsed() + channel::TIMEOUT >= CLAIM {
            let later = DeliveryResult::Later(now);
            self.store
                .settle_delivery(&self.lease, delivery, &later, None, &channel::stamp(channel), now)
                .await?;
            return Ok(false);
        }
        let episode = &delivery.message.episode;
        let place = self.store.posted(&channel.name, episode).await?;
        let out = channel::Out { message: &delivery.message, id: &delivery.message_id, place, now };
        let result = self.sender.send(channel, &out).await;
        if let Ok(Some(place)) = &result {
            self.store.note_posted(&channel.name, episode, place, now).await?;
        }
        let failure = result.err();
        let (result, refusal) = match &failure {
            None => (DeliveryResult::Sent, None),
            Some(failure) => {
                let result = queue::after_failure(failure, delivery, now, rand::random());
                self.log_failure(delivery, failure, &result, now);
                (result, Some(failure.refusal()))
            }
        };
        let stamp = channel::stamp(channel);
        self.store.settle_delivery(&self.lease, delivery, &result, refusal.as_ref(), &stamp, now).await?;
        Ok(failure.is_none())
    }

    fn log_failure(
        &self,
        delivery: &Delivery,
        failure: &channel::DeliveryFailure,
        result: &DeliveryResult,
        now: DateTime<Utc>,
    ) {
        let name = &delivery.channel;
        let fields = json!({"key": name, "code": failure.reason.word(), "cause": failure.detail});
        match result {
            DeliveryResult::Dropped => {
                self.log.error(format!("the alert channel {name} lost a message for good"), fields)
            }
            DeliveryResult::Later(at) => {
                let wait = (*at - now).to_std().unwrap_or_default();
                let mut fields = fields;
                fields["retry_in"] = crate::domain::values::duration::spoken(wait).into();
                self.log.warn(format!("the alert channel {name} does not take a message"), fields);
            }
            DeliveryResult::Sent => {}
        }
    }
}

/// Whose turn it is.
#[derive(Clone, Copy)]
struct Turn {
    /// The digest's.
    digest: bool,
    /// The next message's, which is not due yet.
    gathers: bool,
}

/// The clock on this machine's wall, by which quiet hours and digests go.
fn wall(time: DateTime<Utc>) -> NaiveDateTime {
    time.with_timezone(&Local).naive_local()
}

/// Whether something changed that the next look, or the next engine, could not see by itself.
fn is_worth_keeping(before: Option<&AlertStanding>, after: &AlertStanding) -> bool {
    let Some(before) = before else { return true };
    let seen = Observed { total: before.seen.total, ..after.seen.clone() };
    *before != AlertStanding { seen, ..after.clone() }
}
