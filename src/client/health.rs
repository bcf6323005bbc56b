//! How well the sync goes: the figures of a span of time beside those of the span before.

use std::time::Duration;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};

use crate::domain::health::history::hour_of;
use crate::domain::health::review::{Health, Now, review};
use crate::domain::reports::overview::MappingStatus;
use crate::domain::values::duration;

use super::api::{Client, ClientError};
use super::attached::session::beside;

/// The shortest span.
const SHORTEST: TimeDelta = TimeDelta::hours(1);
/// The longest span: nothing is kept for longer.
const LONGEST: TimeDelta = TimeDelta::days(366);
/// Of a longer span, the one before it may be known by day only.
const BY_HOUR: TimeDelta = TimeDelta::days(15);
/// Causes that are told.
const CAUSES: i64 = 10;

impl Client {
    /// The figures of the last `span` of all mappings, or of one: from the full hour (of more than 15 days, from midnight
    /// UTC) to now, beside the same span before that.
    ///
    /// # Errors
    /// When there is no such mapping, and when the span is shorter than an hour or longer than a year.
    pub async fn health(&self, span: Duration, mapping: Option<&str>) -> Result<Health, ClientError> {
        if self.beside_heroku().is_some() {
            return Err(beside("Heroku Connect keeps no figures of the past in the database"));
        }
        let length = TimeDelta::from_std(span).ok().filter(|length| (SHORTEST..=LONGEST).contains(length));
        let Some(length) = length else {
            let text = format!("{} is no span of health\nuse 1h to 366d", duration::text(span));
            return Err(ClientError::invalid(text));
        };
        let only = match mapping {
            Some(name) => Some(self.own()?.registered(name).await?.object),
            None => None,
        };
        let now = self.own()?.now().await?;
        let overview = self.own()?.overview().await?;
        let from = begin(now - length, length);
        let before = begin(from - length, length);
        let history = self.own()?.health_history(before).await?;
        let history = match &only {
            Some(name) => history.of_mapping(name),
            None => history,
        };
        let of_interest = |status: &&MappingStatus| only.as_ref().is_none_or(|name| *name == status.name);
        let mappings = overview.mappings.iter().filter(of_interest);
        let mappings = mappings.map(|status| (status.name.clone(), standing(status, now))).collect();
        let causes = self.own()?.frequent_causes(before, from, only.as_deref(), CAUSES).await?;
        let kept = self.own()?.health_kept().await?;
        Ok(Health { mapping: only, causes, kept, ..review(history, from, now, mappings) })
    }
}

/// The beginning of the hour, or of the day where hours may not be known.
fn begin(moment: DateTime<Utc>, length: TimeDelta) -> DateTime<Utc> {
    if length > BY_HOUR {
        return moment.duration_trunc(TimeDelta::days(1)).unwrap_or(moment);
    }
    hour_of(moment)
}

fn standing(status: &MappingStatus, now: DateTime<Utc>) -> Now {
    let age = |since: DateTime<Utc>| ((now - since).num_milliseconds().max(0) as f64) / 1_000.0;
    Now {
        errors: status.errors,
        pending: status.pending,
        lag_to_salesforce: status.oldest_pending.map(age),
        lag_from_salesforce: status.lag_seconds.map(|seconds| seconds as f64),
    }
}
