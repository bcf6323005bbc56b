//! What the rules ask for, fetched: as little as they need.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::alert::look::AlertLook;
use crate::domain::alert::rule::{Rule, When};
use crate::domain::state::ChannelHealth;
use crate::logs::line::LogFilter;
use crate::postgres::reports::alerts::StoredAlerts;
use crate::postgres::{Error, Store};

use super::PART;

/// Lines read at once.
const LINES: i64 = 2_000;
/// Lines that one rule keeps in mind at most.
const HITS: usize = 100_000;

/// How things stand, as far as these rules ask.
pub(super) async fn look(
    store: &Store,
    rules: &[Rule],
    kept: &StoredAlerts,
    lines: &mut Lines,
    now: DateTime<Utc>,
) -> Result<AlertLook, Error> {
    let mut look = AlertLook { overview: store.overview().await?, ..AlertLook::default() };
    for rule in rules {
        let since = kept.rules.get(&rule.name).and_then(|state| state.since);
        look.since.insert(rule.name.clone(), since.unwrap_or(now));
    }
    if rules.iter().any(|rule| rule.when.is_of_causes()) {
        store.look_at_causes(now, None).await?;
        look.causes = store.open_causes().await?;
    }
    for rule in rules {
        let name = || rule.name.clone();
        match &rule.when {
            When::Errors { within: Some(within), .. } => {
                look.recent.insert(name(), store.errors_since(before(now, *within)).await?);
            }
            When::ErrorRate(share) | When::SuccessRate(share) => {
                look.answers.insert(name(), store.answers_since(before(now, share.within)).await?);
            }
            When::Blocked(_) => {
                let held = look.overview.mappings.iter().filter(|mapping| mapping.held > 0);
                let tables: Vec<&str> = held.map(|mapping| mapping.table.as_str()).collect();
                look.blocked = store.oldest_blocked(&tables).await?;
            }
            When::Verify { .. } => look.verified = store.verified().await?,
            _ => {}
        }
    }
    lines.read(store, rules, now).await?;
    look.lines = lines.counts(rules, now);
    let failing = kept.channels.values().filter(|channel| channel.state != ChannelHealth::Ok);
    look.failing_channels = failing
        .map(|channel| {
            let text = |part: &Option<String>| part.clone().unwrap_or_default();
            let disabled = match channel.state {
                ChannelHealth::Disabled => ", and it is switched off",
                _ => "",
            };
            (channel.name.clone(), format!("{}: {}{disabled}", text(&channel.reason), text(&channel.detail)))
        })
        .collect();
    Ok(look)
}

/// The time that a span before `now` began.
fn before(now: DateTime<Utc>, span: std::time::Duration) -> DateTime<Utc> {
    let span = TimeDelta::from_std(span).unwrap_or(TimeDelta::MAX);
    now.checked_sub_signed(span).unwrap_or(DateTime::UNIX_EPOCH)
}

/// Lines of the engine's log that rules count.
#[derive(Default)]
pub(super) struct Lines {
    /// Whether anything was looked at before.
    looked: bool,
    /// How far the log was read.
    upto: Option<i64>,
    /// When a line came that a rule counts, by rule.
    hits: BTreeMap<String, VecDeque<DateTime<Utc>>>,
}

impl Lines {
    /// Whether this is the first look.
    pub(super) fn is_new(&self) -> bool {
        !self.looked
    }

    /// Reads what came since the last look; at the first one, what the longest time among the rules holds.
    async fn read(&mut self, store: &Store, rules: &[Rule], now: DateTime<Utc>) -> Result<(), Error> {
        self.looked = true;
        let counted: Vec<(&str, LogFilter, std::time::Duration)> = rules
            .iter()
            .filter_map(|rule| match &rule.when {
                When::Log { filter, within, .. } => {
                    // The configuration was refused if it could not be read.
                    Some((rule.name.as_str(), LogFilter::parse(filter).ok()?, *within))
                }
                _ => None,
            })
            .collect();
        let Some(longest) = counted.iter().map(|(_, _, within)| *within).max() else { return Ok(()) };
        let mut upto = match self.upto {
            Some(upto) => upto,
            None => store.log_position(before(now, longest)).await?,
        };
        loop {
            let records = store.log(Some(upto), LINES).await?;
            let Some(last) = records.last() else { break };
            upto = last.id;
            // What is said about alerts must not make more of them.
            for record in records.iter().filter(|record| record.dyno != PART) {
                for (name, filter, _) in &counted {
                    if filter.matches(record) {
                        let hits = self.hits.entry((*name).to_owned()).or_default();
                        hits.push_back(record.time);
                        if hits.len() > HITS {
                            hits.pop_front();
                        }
                    }
                }
            }
        }
        self.upto = Some(upto);
        Ok(())
    }

    /// How many there are of each rule, within its time.
    fn counts(&mut self, rules: &[Rule], now: DateTime<Utc>) -> BTreeMap<String, i64> {
        let mut counts = BTreeMap::new();
        for rule in rules {
            let When::Log { within, .. } = &rule.when else { continue };
            let since = before(now, *within);
            let hits = self.hits.entry(rule.name.clone()).or_default();
            hits.retain(|time| *time > since);
            counts.insert(rule.name.clone(), i64::try_from(hits.len()).unwrap_or(i64::MAX));
        }
        counts
    }
}
