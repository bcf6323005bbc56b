//! The history summed up beside the work, once a minute, by whichever engine comes to it.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;

use crate::postgres::Error;
use crate::postgres::reports::health::RolledUp;

use super::Shared;
use super::recurring::Recurring;

/// Between two summings up.
const INTERVAL: Duration = Duration::from_secs(60);
/// The same while there is more: the queue comes first.
const CATCH_UP: Duration = Duration::from_millis(500);
/// Summings up from one removal of what is old to the next.
const PRUNE: u64 = 60;

/// Sums up until the end of the engine. What goes wrong with it says nothing about the sync: it stands in the log, once for
/// each cause.
pub(super) async fn run(shared: Arc<Shared>) {
    let log = shared.log.of("maintenance");
    let mut told = Recurring::default();
    let mut rounds = 0_u64;
    let mut is_indexed = false;
    loop {
        let done = sum_up(&shared, &mut is_indexed, rounds.is_multiple_of(PRUNE)).await;
        let failed = done.as_ref().err().filter(|error| !error.is_connection()).map(Error::reason);
        if told.is_news("", failed.as_deref()) {
            log.warn("the history cannot be summed up", json!({"cause": failed}));
        }
        let pause = match done {
            Ok(RolledUp::Part) => CATCH_UP,
            _ => {
                rounds += 1;
                INTERVAL
            }
        };
        if !shared.pause(pause).await {
            return;
        }
    }
}

async fn sum_up(shared: &Shared, is_indexed: &mut bool, prune: bool) -> Result<RolledUp, Error> {
    // The indexes of an older layout are built beside the work; until then each minute would read whole tables.
    *is_indexed = *is_indexed || shared.store.is_history_indexed().await?;
    if !*is_indexed {
        return Ok(RolledUp::ByAnother);
    }
    let now = shared.store.now().await?;
    let overview = shared.store.overview().await?;
    let age = |since: DateTime<Utc>| (now - since).to_std().unwrap_or_default();
    let oldest: Vec<(String, Duration)> = overview
        .mappings
        .iter()
        .filter_map(|mapping| Some((mapping.name.clone(), age(mapping.oldest_pending?))))
        .collect();
    let done = shared.store.roll_up(now, &oldest).await?;
    if prune {
        shared.store.prune_health(now).await?;
    }
    Ok(done)
}
