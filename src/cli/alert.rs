//! Alerts: how they stand, silences, who has what in hand, and whether a channel works.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use color_eyre::eyre::Result;
use serde_json::json;

use crate::alerts::channel::{self, Out, Sender};
use crate::alerts::{AlertPlace, channel::DeliveryFailure};
use crate::client::alerts::AlertsView;
use crate::client::api::Client;
use crate::config::Config;
use crate::config::channel::{Channel, ChannelKind};
use crate::domain::alert::message::{Message, MessageChange, MessageItem};
use crate::domain::alert::rule::{CHANNELS, Severity};
use crate::domain::values::duration::spoken;
use crate::domain::values::nearest::suggestion;
use crate::logs::sanitize::sanitize;

use super::args::{AlertAction, AlertOptions, Cli};
use super::{DONE, FAILED, bulk, client_of, config, print, session, store};

/// What stands for every rule.
const ALL: &str = "all";

/// Does what is asked.
pub(super) async fn run(cli: &Cli, options: &AlertOptions) -> Result<u8> {
    let config = config(cli)?;
    let named = || {
        let text = match options.action {
            AlertAction::Test => "name a channel, as [alert.channel.NAME]".to_owned(),
            AlertAction::Unsilence => {
                "name a silence by its number, as listed by: syncdeck alert list".to_owned()
            }
            _ => "name a rule, RULE:SUBJECT, or all, as listed by: syncdeck alert list".to_owned(),
        };
        options.what.as_deref().ok_or(print::Usage(text))
    };
    if let Some((option, of)) = options.foreign() {
        return Err(print::Usage(format!("{option} is for alert {of}\nleave it out")).into());
    }
    match options.action {
        AlertAction::List => list(cli, &config, options.what.as_deref()).await,
        AlertAction::Test => test(cli, &config, named()?).await,
        AlertAction::Silence => {
            bulk::refuse_read_only(cli)?;
            let client = client_of(cli, &config).await?;
            let (rule, subject) = find(&config, &client, named()?).await?;
            let length = options.length.unwrap_or(Duration::from_secs(3_600));
            let note = options.note.as_deref().unwrap_or_default();
            let id = client.silence(rule.as_deref(), subject.as_deref(), length, note).await?;
            match cli.json {
                true => print::json(&json!({"silence": id, "rule": rule, "subject": subject}), true)?,
                false => print::line(&format!(
                    "silence {id}: {} for {}; end it with: syncdeck alert unsilence {id}",
                    sanitize(options.what.as_deref().unwrap_or(ALL)),
                    spoken(length)
                ))?,
            }
            Ok(DONE)
        }
        AlertAction::Unsilence => {
            bulk::refuse_read_only(cli)?;
            let wrong =
                || print::Usage("name a silence by its number, as listed by: syncdeck alert list".to_owned());
            let id: i64 = named()?.parse().map_err(|_| wrong())?;
            client_of(cli, &config).await?.end_silence(id).await?;
            match cli.json {
                true => print::json(&json!({"ended": id}), true)?,
                false => print::line(&format!("the silence {id} has ended"))?,
            }
            Ok(DONE)
        }
        AlertAction::Acknowledge => {
            bulk::refuse_read_only(cli)?;
            let client = client_of(cli, &config).await?;
            let (rule, subject) = find(&config, &client, named()?).await?;
            let Some(rule) = rule else {
                let text =
                    "acknowledge the alerts of one rule at a time\nlist them with: syncdeck alert list";
                return Err(print::Usage(text.to_owned()).into());
            };
            let note = options.note.as_deref().unwrap_or_default();
            let names = client.acknowledge(&rule, subject.as_deref(), note).await?;
            match cli.json {
                true => print::json(&json!({"acknowledged": names}), true)?,
                false => names.iter().try_for_each(|name| {
                    print::line(&format!("{} is in your hand; it is not repeated", sanitize(name)))
                })?,
            }
            Ok(DONE)
        }
    }
}

/// The rule and the subject that somebody means; neither of them means everything. A subject may be cut short.
async fn find(config: &Config, client: &Client, what: &str) -> Result<(Option<String>, Option<String>)> {
    if what == ALL {
        return Ok((None, None));
    }
    let (rule, subject) = what.split_once(':').map_or((what, None), |(rule, subject)| (rule, Some(subject)));
    let known = || config.alerts.rules.iter().map(|rule| rule.name.as_str()).chain([CHANNELS]);
    if !known().any(|name| name == rule) {
        let all = format!("the rules are {}", known().collect::<Vec<_>>().join(", "));
        let remedy = suggestion(rule, known(), &all);
        return Err(print::Usage(format!("there is no rule {rule:?}\n{remedy}")).into());
    }
    let Some(begin) = subject.filter(|subject| !subject.is_empty()) else {
        return Ok((Some(rule.to_owned()), None));
    };
    let alerts = client.alerts().await?.alerts;
    let mut found: Vec<String> = alerts
        .into_iter()
        .filter(|alert| alert.rule == rule && alert.subject.starts_with(begin))
        .map(|alert| alert.subject)
        .collect();
    found.sort_by_key(|subject| subject != begin);
    match found.as_slice() {
        [one] => Ok((Some(rule.to_owned()), Some(one.clone()))),
        [first, ..] if first == begin => Ok((Some(rule.to_owned()), Some(first.clone()))),
        [] => {
            let text = format!("there is no alert {what}\nlist them with: syncdeck alert list");
            Err(print::Usage(text).into())
        }
        several => {
            let text = format!("{what} may be one of {}\nname more of it", several.join(", "));
            Err(print::Usage(text).into())
        }
    }
}

/// How everything stands.
async fn list(cli: &Cli, config: &Config, only: Option<&str>) -> Result<u8> {
    let mut view = client_of(cli, config).await?.alerts().await?;
    if let Some(only) = only {
        view.alerts.retain(|alert| alert.rule == only || alert.name.starts_with(only));
    }
    let channels: Vec<serde_json::Value> =
        config.alerts.channels.iter().map(|one| channel_json(one, &view)).collect();
    if cli.json {
        let document = json!({"alerts": view.alerts, "silences": view.silences, "channels": channels});
        print::json(&document, true)?;
        return Ok(DONE);
    }
    if view.alerts.is_empty() {
        print::line("nothing fires")?;
    } else {
        let rows: Vec<Vec<String>> = view
            .alerts
            .iter()
            .map(|alert| {
                let hand = alert.acknowledged_by.as_ref().map(|by| format!("in hand: {by}"));
                let silent = alert.silence.map(|id| format!("silence {id}"));
                let more = hand.or(silent).unwrap_or_default();
                vec![
                    alert.name.clone(),
                    alert.state.word().to_owned(),
                    time(alert.since),
                    more,
                    alert.headline.clone(),
                ]
            })
            .collect();
        print::table(&["alert", "state", "since (UTC)", "", "what"], &rows)?;
    }
    if !view.silences.is_empty() {
        let rows: Vec<Vec<String>> = view
            .silences
            .iter()
            .map(|silence| {
                let (id, until) = (silence.id.to_string(), time(silence.until));
                vec![id, silence.of(), until, silence.actor.clone(), silence.note.clone()]
            })
            .collect();
        print::line("")?;
        print::table(&["silence", "of", "until (UTC)", "by", "note"], &rows)?;
    }
    if !channels.is_empty() {
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let rows: Vec<Vec<String>> = channels
            .iter()
            .map(|of| {
                let waiting = of["waiting"].as_i64().filter(|count| *count > 0);
                let waiting = waiting.map(|count| format!("{count} waiting")).unwrap_or_default();
                let why = match of["reason"].as_str() {
                    Some(reason) => format!("{reason}: {}", text(&of["detail"])),
                    None => String::new(),
                };
                vec![text(&of["name"]), text(&of["kind"]), text(&of["state"]), waiting, why]
            })
            .collect();
        print::line("")?;
        print::table(&["channel", "kind", "state", "", "why"], &rows)?;
    } else {
        print::note("syncdeck: no alerts are configured; see [[alert]] in the guide");
    }
    Ok(DONE)
}

fn channel_json(channel: &Channel, view: &AlertsView) -> serde_json::Value {
    let state = view.channels.iter().find(|state| state.name == channel.name);
    let waiting = view.waiting.iter().find(|waiting| waiting.channel == channel.name);
    json!({
        "name": channel.name,
        "kind": channel.kind.word(),
        "state": state.map_or("unused", |state| state.state.word()),
        "since": state.map(|state| state.since),
        "reason": state.and_then(|state| state.reason.clone()),
        "detail": state.and_then(|state| state.detail.clone()),
        "waiting": waiting.map_or(0, |waiting| waiting.count),
    })
}

fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S").to_string()
}

/// Sends a message through a channel now, whatever is silenced.
async fn test(cli: &Cli, config: &Config, name: &str) -> Result<u8> {
    let known = || config.alerts.channels.iter().map(|channel| channel.name.as_str());
    let Some(channel) = config.alerts.channels.iter().find(|channel| channel.name == name) else {
        let all = match known().collect::<Vec<_>>().join(", ") {
            none if none.is_empty() => "there is no [alert.channel.NAME] in the configuration".to_owned(),
            all => format!("the channels are {all}"),
        };
        let remedy = suggestion(name, known(), &all);
        return Err(print::Usage(format!("there is no channel {name:?}\n{remedy}")).into());
    };
    let tried = try_channel(config, channel).await;
    // A channel that was switched off works again from now on; without a database nobody needs to know.
    if !cli.read_only
        && let Ok(store) = store(config, &session(cli, config)).await
        && let Ok(true) = store.is_installed().await
    {
        let refusal = tried.as_ref().err().map(DeliveryFailure::refusal);
        let _ = store.note_channel(name, refusal.as_ref(), &channel::stamp(channel), Utc::now()).await;
    }
    let failure = tried.err();
    if cli.json {
        let (reason, detail) =
            failure.as_ref().map(|failure| (failure.reason.word(), &failure.detail)).unzip();
        let document = json!({"channel": name, "kind": channel.kind.word(), "works": failure.is_none(),
            "reason": reason, "detail": detail});
        print::json(&document, true)?;
    } else if let Some(failure) = &failure {
        print::problem(&format!("{name}: {failure}\n{}", remedy(failure)));
    } else {
        print::line(&format!("{name} ({}): a message was taken", channel.kind.word()))?;
    }
    Ok(if failure.is_none() { DONE } else { FAILED })
}

async fn try_channel(config: &Config, channel: &Channel) -> Result<(), DeliveryFailure> {
    let now = Utc::now();
    let message = test_message(&AlertPlace::of(config), &channel.name, now, MessageChange::Fired);
    let id = format!("msg_test_{:016x}", rand::random::<u64>());
    let sender = Sender::new();
    let place = sender.send(channel, &Out { message: &message, id: &id, place: None, now }).await?;
    // What stands until it is over is ended at once.
    if matches!(channel.kind, ChannelKind::PagerDuty { .. } | ChannelKind::SlackBot { .. }) {
        let message = test_message(&AlertPlace::of(config), &channel.name, now, MessageChange::Over);
        let id = format!("{id}_end");
        sender.send(channel, &Out { message: &message, id: &id, place, now }).await?;
    }
    Ok(())
}

fn test_message(place: &AlertPlace, channel: &str, now: DateTime<Utc>, change: MessageChange) -> Message {
    let item = MessageItem {
        incident: format!("test-{channel}-{}", now.timestamp()),
        subject: channel.to_owned(),
        change,
        headline: format!("a test of the channel {channel}: nothing is wrong"),
        why: None,
        mapping: None,
        cause: None,
        count: None,
        examples: Vec::new(),
        fired_at: Some(now - TimeDelta::seconds(1)),
        over_at: (change == MessageChange::Over).then_some(now),
        acknowledged: None,
    };
    Message {
        connection: place.connection.clone(),
        environment: place.environment.clone(),
        rule: "test".to_owned(),
        severity: Severity::Info,
        episode: format!("test-{}", now.timestamp()),
        at: now,
        digest: false,
        items: vec![item],
        omitted: 0,
        also: Vec::new(),
        firing: usize::from(change != MessageChange::Over),
        instance_url: None,
        option: place.option.clone(),
    }
}

/// What to do about it.
fn remedy(failure: &DeliveryFailure) -> &'static str {
    use channel::Reason;
    match failure.reason {
        Reason::Auth => "check its secret, token, key or password",
        Reason::Rate => "try again later",
        Reason::Refused => "check what it is configured with: the address, the channel, the recipients",
        Reason::Unreachable => "does this machine reach it, and is its service up?",
        Reason::Gone => "make a new one there, and write its address into the configuration",
        Reason::Unset => "give it what it lacks",
    }
}
