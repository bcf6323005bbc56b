//! Alerts beside the work: two slow tasks, one that looks and one that tells, so that a slow channel keeps nobody from
//! looking. They begin before the login: that it is lost is told too. What goes wrong with them says nothing about the
//! sync: it stands in the log, once for each cause.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::alerts::{PART, Watch};
use crate::postgres::Error;
use crate::postgres::reports::alert_lists::Configured;
use crate::postgres::reports::alerts::LEASE;
use crate::postgres::reports::status::Lease;

use super::Shared;
use super::recurring::Recurring;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(2);
/// Between two looks at what waits for a channel.
const TELL: Duration = Duration::from_secs(1);
/// Looks from one removal of what is old to the next.
const PRUNE: u64 = 1_800;

fn watch(shared: &Shared) -> Option<Watch> {
    Watch::new(shared.store.clone(), &shared.config, &shared.owner, shared.log.clone())
}

/// Looks until the end of the engine.
pub(super) async fn look(shared: Arc<Shared>) {
    let Some(mut watch) = watch(&shared) else { return forget(&shared).await };
    let mut told = Recurring::default();
    let mut rounds = 0_u64;
    // At once: what is open now is what was open before.
    loop {
        let looked = async {
            let now = shared.store.now().await?;
            watch.look(now).await.map(drop)
        };
        check(&shared, &mut told, "alerts cannot be looked at", looked.await);
        if rounds.is_multiple_of(PRUNE) {
            let removed = shared.store.prune_alerts(shared.config.history.keep).await;
            check(&shared, &mut told, "old alerts cannot be removed", removed.map(drop));
        }
        rounds += 1;
        if !shared.pause(LOOK).await {
            return;
        }
    }
}

/// Without any rule nothing fires any more. Then nothing until the end of the engine.
async fn forget(shared: &Shared) {
    let lease = Lease { name: LEASE.to_owned(), owner: shared.owner.clone() };
    let forgotten = async || {
        let there_were = !shared.store.configured_alerts().await?.rules.is_empty();
        if there_were && shared.store.lease(&lease, LOOK).await? {
            shared.store.keep_configured(&lease, &Configured::default()).await?;
            shared.store.forget_rules(&[]).await?;
        }
        Ok::<(), Error>(())
    };
    while forgotten().await.is_err() && shared.pause(LOOK).await {}
    shared.stop.cancelled().await;
}

/// Tells until the end of the engine. What is under way then is waited for as long as the engine's end may take.
pub(super) async fn tell(shared: Arc<Shared>) {
    let Some(watch) = watch(&shared) else { return shared.stop.cancelled().await };
    let mut failures = Recurring::default();
    while shared.pause(TELL).await {
        let told = async {
            let now = shared.store.now().await?;
            watch.deliver(now).await.map(drop)
        };
        check(&shared, &mut failures, "alerts cannot be told", told.await);
    }
}

/// Tells why something cannot be done, each cause once.
fn check(shared: &Shared, told: &mut Recurring, what: &str, result: Result<(), Error>) {
    let cause = match result {
        // Another engine took over meanwhile.
        Ok(()) | Err(Error::Conflict(_)) => None,
        // Others tell that PostgreSQL is away.
        Err(error) if error.is_connection() => return,
        Err(error) => Some(error.reason()),
    };
    if told.is_news(what, cause.as_deref()) {
        shared.log.of(PART).error(what, json!({"cause": cause}));
    }
}
