//! A message, made of what changed: with the count, the cause and the first examples of errors.

use chrono::{DateTime, Utc};

use crate::config::alert::AlertSettings;
use crate::domain::alert::life::{AlertPhase, AlertStanding};
use crate::domain::alert::look::AlertLook;
use crate::domain::alert::message::{Example, MOST, Message, MessageChange, MessageItem};
use crate::domain::alert::rule::{Rule, When};
use crate::domain::errors::sync_error::SyncError;
use crate::postgres::{Error, Store};

use super::AlertPlace;

/// Items that get a count and examples; what stands behind them in a message is seldom read.
const DETAILED: usize = 10;
/// Examples of each.
const EXAMPLES: i64 = 3;
/// Other alerts of the rule that are named.
const NAMED: usize = 20;

/// What a message is made of.
pub(super) struct Draft<'a> {
    /// The rule.
    pub(super) rule: &'a Rule,
    /// What changed.
    pub(super) news: &'a [(AlertStanding, MessageChange)],
    /// All of the rule that fires.
    pub(super) firing: &'a [AlertStanding],
    /// What a message that can be changed is known by.
    pub(super) episode: String,
    /// The time.
    pub(super) now: DateTime<Utc>,
}

/// The message.
pub(super) async fn message(
    store: &Store,
    alerts: &AlertSettings,
    place: &AlertPlace,
    look: &AlertLook,
    draft: &Draft<'_>,
) -> Result<Message, Error> {
    let mut items = Vec::new();
    for (at, (standing, change)) in draft.news.iter().take(MOST).enumerate() {
        let mut item = item_of(standing, *change);
        if let Some(muted) = muted(look, standing, draft.now).filter(|_| *change == MessageChange::Over) {
            item.why = Some(muted);
        }
        if at < DETAILED && *change != MessageChange::Over {
            let mapping = standing.seen.mapping.as_deref();
            let counted = match (&draft.rule.when, &standing.seen.cause) {
                (_, Some(cause)) => Some(store.open_errors(Some(cause), None, EXAMPLES).await?),
                (When::Errors { .. } | When::ErrorRate(_) | When::SuccessRate(_), None) => match mapping {
                    Some(mapping) => Some(store.open_errors(None, Some(mapping), EXAMPLES).await?),
                    None => None,
                },
                _ => None,
            };
            if let Some((count, errors)) = counted {
                item.count = Some(count);
                item.examples = errors.iter().map(example).collect();
            }
        }
        items.push(item);
    }
    if !allows_values(alerts, draft.rule) {
        // What no channel may have is not kept for them either.
        items.iter_mut().flat_map(|item| &mut item.examples).for_each(|example| example.message.clear());
    }
    let told =
        |standing: &&AlertStanding| !draft.news.iter().any(|(other, _)| other.incident == standing.incident);
    let also = draft.firing.iter().filter(told).take(NAMED).map(|standing| standing.seen.headline.clone());
    Ok(Message {
        connection: place.connection.clone(),
        environment: place.environment.clone(),
        rule: draft.rule.name.clone(),
        severity: draft.rule.severity,
        episode: draft.episode.clone(),
        at: draft.now,
        digest: draft.rule.manner.tell.is_digest(),
        omitted: draft.news.len().saturating_sub(items.len()),
        items,
        also: also.collect(),
        firing: draft.firing.len(),
        instance_url: look.overview.connection.instance_url.clone(),
        option: place.option.clone(),
    })
}

/// That somebody muted the cause, which is why it says nothing any more.
fn muted(look: &AlertLook, standing: &AlertStanding, now: DateTime<Utc>) -> Option<String> {
    let cause = look.causes.iter().find(|cause| Some(&cause.fingerprint) == standing.seen.cause.as_ref())?;
    let mute = cause.mute.as_ref().filter(|_| cause.is_muted(now))?;
    Some(format!("it is not over, but muted {} by {}", mute.text(&cause.course), mute.by))
}

fn allows_values(alerts: &AlertSettings, rule: &Rule) -> bool {
    alerts.channels.iter().any(|channel| channel.values && rule.channels.contains(&channel.name))
}

fn item_of(standing: &AlertStanding, change: MessageChange) -> MessageItem {
    let seen = &standing.seen;
    MessageItem {
        incident: standing.incident.clone(),
        subject: seen.subject.clone(),
        change,
        headline: seen.headline.clone(),
        why: seen.why.clone(),
        mapping: seen.mapping.clone(),
        cause: seen.cause.clone(),
        count: None,
        examples: Vec::new(),
        fired_at: standing.fired_at,
        over_at: (standing.phase == AlertPhase::Over).then_some(standing.since),
        acknowledged: standing.acknowledged.as_ref().map(|one| (one.by.clone(), one.note.clone())),
    }
}

fn example(error: &SyncError) -> Example {
    Example {
        error: error.id,
        mapping: error.mapping.clone(),
        row: error.row_id.map(|row| row.0),
        sfid: error.sfid.clone(),
        fields: error.fields.clone(),
        message: error.message.clone(),
    }
}
