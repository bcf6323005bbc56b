//! Causes of errors beside the work: a look every other second at what came of them, and once, when the configuration has
//! other rules for groups, all open errors grouped anew. It says nothing about the sync: what goes wrong stands in the log,
//! once for each cause.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::postgres::Error;

use super::Shared;
use super::recurring::Recurring;

/// Between two looks, by whichever engine.
const LOOK: Duration = Duration::from_secs(2);
/// A look that somebody had within this time is not repeated.
const LEAST: Duration = Duration::from_millis(1_500);
/// Between two parts of grouping errors anew: everybody else goes first.
const BREATH: Duration = Duration::from_millis(20);
/// Looks from one removal of what is old to the next.
const PRUNE: u64 = 1_800;

/// Looks until the end of the engine. At once: what is open now is what was open before.
pub(super) async fn run(shared: Arc<Shared>) {
    let log = shared.log.of("causes");
    let mut told = Recurring::default();
    let mut grouped = false;
    let mut rounds = 0_u64;
    loop {
        let looked = async {
            if !grouped {
                grouped = regroup(&shared).await?;
            }
            let now = shared.store.now().await?;
            if rounds.is_multiple_of(PRUNE) {
                shared.store.prune_causes(shared.config.history.keep).await?;
            }
            shared.store.look_at_causes(now, Some(LEAST)).await
        };
        match looked.await {
            Ok(ended) => {
                told.is_news("", None);
                rounds += 1;
                for cause in ended {
                    let text = format!("{} is muted no more: what that waited for has come", cause.title);
                    log.info(
                        text,
                        json!({"key": cause.fingerprint, "mapping": cause.mapping, "code": cause.code}),
                    );
                }
            }
            // Others tell that PostgreSQL is away.
            Err(error) if error.is_connection() => {}
            Err(error) => {
                let why = error.reason();
                if told.is_news("", Some(&why)) {
                    log.error("causes of errors cannot be looked at", json!({"cause": why}));
                }
            }
        }
        if !shared.pause(LOOK).await {
            return;
        }
    }
}

/// Groups all open errors by the rules in force, where they are grouped by others. False when the engine ended meanwhile.
async fn regroup(shared: &Shared) -> Result<bool, Error> {
    if !shared.store.is_grouped_otherwise().await? {
        return Ok(true);
    }
    let (mut after, mut moved, mut left) = (0, 0, BTreeSet::new());
    loop {
        let part = shared.store.regroup(after, shared.store.now().await?).await?;
        moved += part.moved;
        left.extend(part.left);
        match part.next {
            Some(next) => after = next,
            None => break,
        }
        if !shared.pause(BREATH).await {
            return Ok(false);
        }
    }
    shared.store.finish_regrouping(&left).await?;
    if moved > 0 {
        let text = format!("{moved} errors were grouped anew, by the rules of [[group]]");
        shared.log.of("causes").info(text, json!({"records": moved}));
        let _ = shared.store.notify("errors").await;
    }
    Ok(true)
}
