//! The engine's end of a request that takes long. Whoever asked renews a sign of life in the command's row and reads there
//! how far it is; the engine that took it writes that, and gives up when it is not wanted any more. Each command is a task
//! of its own, so that no short one waits for it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::domain::mappings::mapping::Mapping;
use crate::domain::records::verify::{Stage, VerifyReport};

use super::verify::Verifier;
use super::{Shared, dry_run};

/// Between two signs of life of the engine.
const SIGN: Duration = Duration::from_millis(500);

/// Compares a mapping's rows with its records, with this engine's own login.
pub(super) async fn verify(shared: &Shared, id: i64, mapping: &Mapping) -> Result<Value, String> {
    let sides = Verifier::of(shared);
    let stage: Mutex<Option<Stage>> = Mutex::default();
    let told = |now| *stage.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    let stop = shared.stop.child_token();
    let report = attend(shared, id, &stage, &stop, sides.verify(mapping, &told, &stop)).await;
    let report: VerifyReport =
        report.map_err(|error| format!("cannot verify {}: {error}", mapping.object))?;
    if report.stopped && shared.stop.is_cancelled() {
        return Err(
            "the engine ended, or took up a changed configuration, before it was through\nverify again"
                .to_owned(),
        );
    }
    serde_json::to_value(report).map_err(|error| error.to_string())
}

/// Tries a mapping with some of its rows, with this engine's own login.
pub(super) async fn dry_run(
    shared: &Shared,
    id: i64,
    mapping: &Mapping,
    limit: usize,
) -> Result<Value, String> {
    let dry_run = dry_run::run(&shared.store, Some(&shared.client), mapping, limit);
    // A dry run is one or two calls, which Salesforce takes back whole: it is not stopped in between.
    let dry_run = attend(shared, id, &Mutex::new(None::<()>), &CancellationToken::new(), dry_run).await;
    Ok(json!(dry_run.map_err(|error| format!("cannot try {}: {error}", mapping.object))?))
}

/// Sees work through, telling now and then how far it is, and stops it when it is not wanted any more.
async fn attend<T>(
    shared: &Shared,
    id: i64,
    stage: &Mutex<Option<impl Serialize + Clone>>,
    stop: &CancellationToken,
    work: impl Future<Output = T>,
) -> T {
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(SIGN) => {
                let now = stage.lock().unwrap_or_else(PoisonError::into_inner).clone().map(|stage| json!(stage));
                // Without PostgreSQL the work itself will fail.
                if let Ok(false) = shared.store.tell_progress(id, now.as_ref()).await {
                    stop.cancel();
                }
            }
        }
    }
}
