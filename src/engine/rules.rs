//! The rules in force: the configuration's, and before them those set at run time. A rule that changes is taken up
//! within a second by every engine of the database, without a restart.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::config::Config;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::mappings::rules::Rules;
use crate::logs::log::Log;
use crate::postgres::Error;
use crate::postgres::operations::settings::RunTimeRules;

use super::Shared;

/// Between looks, should an announcement be missed.
const INTERVAL: Duration = Duration::from_secs(1);

/// Runs until the end of the engine.
pub(super) async fn run(shared: Arc<Shared>) {
    while !shared.stop.is_cancelled() {
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = shared.wake_rules.notified() => {}
            () = shared.stop.cancelled() => return,
        }
        // Without PostgreSQL the rules stay what they are.
        if follow(&shared).await.is_ok() {
            shared.wake_writer.notify_one();
        }
    }
}

/// Makes what was ordered hold in this engine from now on.
pub(super) async fn follow(shared: &Shared) -> Result<(), Error> {
    let orders = shared.store.orders().await?;
    shared.set_writes_off(orders.writes_off);
    let mut version = shared.rules_version.lock().await;
    if *version != Some(orders.rules_version) {
        take_up(shared, &shared.store.settings().await?).await;
        *version = Some(orders.rules_version);
    }
    Ok(())
}

/// Makes the rules what the configuration and these settings say, and tells what changed.
async fn take_up(shared: &Shared, settings: &RunTimeRules) {
    let before = shared.mappings();
    let mut after = before.as_ref().clone();
    overlay(&shared.config, settings, &mut after, &shared.log);
    if *before == after {
        return;
    }
    for (old, new) in before.iter().zip(&mut after).filter(|(old, new)| old.rules != new.rules) {
        if let Some(fault) = new.rules.filter.as_ref().and_then(|filter| filter.fault()) {
            shared.log.of("rules").error(
                format!(
                    "{}: where cannot be read, so its rules stay as they were: {}",
                    new.object, fault.problem
                ),
                json!({"mapping": new.object, "key": "where"}),
            );
            new.rules = old.rules.clone();
            continue;
        }
        for change in changes(&old.rules, &new.rules) {
            shared.log.of("rules").info(format!("{}: {change}", new.object), json!({"mapping": new.object}));
        }
        let _ = shared.store.set_definition(new).await;
        if (old.rules.strategy, &old.rules.retries) != (new.rules.strategy, &new.rules.retries) {
            // What waits for its next try waits no longer than it would have to from now on.
            let _ = shared.store.retry_sooner(new).await;
        }
    }
    let sooner = is_read_sooner(&before, &after);
    if let Ok(mut held) = shared.mappings.write() {
        *held = Arc::new(after);
    }
    if sooner {
        // Whoever rests by the longer interval would take the shorter one up only after it.
        shared.wake_readers.notify_waiters();
    }
    let _ = shared.store.notify("overview").await;
}

/// Whether one of the mappings is to be read more often than before.
fn is_read_sooner(before: &[Mapping], after: &[Mapping]) -> bool {
    let sooner = |old: &Rules, new: &Rules| {
        [false, true].into_iter().any(|flow| new.poll_pause(flow) < old.poll_pause(flow))
    };
    before.iter().zip(after).any(|(old, new)| sooner(&old.rules, &new.rules))
}

/// Gives each mapping the configuration's rules with those set at run time over them. One that cannot be read any more,
/// as after a change of versions, is told and left out.
pub(super) fn overlay(config: &Config, settings: &RunTimeRules, mappings: &mut [Mapping], log: &Log) {
    for mapping in mappings {
        let written =
            config.mappings.iter().find(|written| written.object.eq_ignore_ascii_case(&mapping.object));
        let mut rules = written.map(|written| written.rules.clone()).unwrap_or_default();
        for (key, value) in settings.get(&mapping.object).into_iter().flatten() {
            if let Err(bad) = rules.set_stored(key, value) {
                log.of("rules").warn(
                    format!("{}: a rule set at run time is left out: {}", mapping.object, bad.problem),
                    json!({"mapping": mapping.object, "key": key}),
                );
            }
        }
        mapping.rules = rules;
    }
}

/// What changed, a line for each rule: `strategy is retry (was skip)`.
pub(super) fn changes(old: &Rules, new: &Rules) -> Vec<String> {
    let (old, new) = (old.shown(), new.shown());
    let text = |rules: &[(String, String)], key: &str| {
        rules.iter().find(|(name, _)| name == key).map_or_else(
            || "not set".to_owned(),
            |(_, text)| {
                if text.is_empty() { "not set".to_owned() } else { text.clone() }
            },
        )
    };
    let mut keys: Vec<&String> = old.iter().chain(&new).map(|(key, _)| key).collect();
    keys.sort();
    keys.dedup();
    let differs = keys.into_iter().filter_map(|key| {
        let (was, is) = (text(&old, key), text(&new, key));
        (was != is).then(|| format!("{key} is {is} (was {was})"))
    });
    differs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_told_rule_by_rule() {
        let mut new = Rules::default();
        for (key, text) in [("strategy", "retry"), ("Phone.transforms", "trim"), ("check", "true")] {
            new.set(key, text).unwrap();
        }
        let told = changes(&Rules::default(), &new);
        assert_eq!(told, ["Phone.transforms is trim (was not set)", "strategy is retry (was skip)"]);
        assert_eq!(changes(&new, &new), Vec::<String>::new());
    }
}
