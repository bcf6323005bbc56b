//! The strategy `fail_fast` keeps the order of changes: nothing is sent beside, or before, a call that may stop the writes.

use crate::domain::changes::dispatch::{Claimed, Job};
use crate::domain::mappings::mapping::Mapping;
use crate::domain::mappings::strategy::Strategy;
use crate::postgres::Error;
use crate::postgres::reports::status::Lease;

use std::time::Duration;

use serde_json::json;

use super::claim::Claim;
use crate::engine::{Shared, rules};

/// How long units rest whose turn it is not.
pub(in crate::engine) const PAUSE: Duration = Duration::from_millis(500);

/// Whether this engine is the one that writes the mapping. It learns before each call whether the writes are stopped.
pub(in crate::engine) async fn is_ours(shared: &Shared, mapping: &Mapping) -> Result<bool, Error> {
    if mapping.rules.strategy != Strategy::FailFast {
        return Ok(true);
    }
    let lease = Lease { name: format!("writer {}", mapping.object), owner: shared.owner.clone() };
    let mine = shared.store.lease(&lease, shared.config.salesforce.lease).await?;
    if mine {
        rules::follow(shared).await?;
    }
    Ok(mine)
}

/// Parts a call into the jobs that may go and the units before which an earlier change is still to be sent, which this
/// claim does not hold: one that was released at another moment, or that rests because the writes did so until now.
pub(in crate::engine) async fn split(
    shared: &Shared,
    claim: &Claim,
    mapping: &Mapping,
    call: Vec<Job>,
) -> Result<(Vec<Job>, Vec<Claimed>), Error> {
    if mapping.rules.strategy != Strategy::FailFast {
        return Ok((call, Vec::new()));
    }
    let last = call.iter().map(|job| job.first).max().unwrap_or(0);
    let Some(earliest) = shared.store.earliest_elsewhere(&mapping.table, last, &claim.token).await? else {
        return Ok((call, Vec::new()));
    };
    shared.store.wake_stopped().await?;
    let (now, early): (Vec<Job>, Vec<Job>) = call.into_iter().partition(|job| job.first < earliest);
    shared.log.of("writer").debug(
        format!("{} changes wait for an earlier one", early.len()),
        json!({"mapping": mapping.object, "entry": earliest}),
    );
    Ok((now, early.into_iter().map(|job| job.unit).collect()))
}
