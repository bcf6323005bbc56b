//! What must go on beside reading and writing: the sign of life, leases that ran out, late write-backs, the log
//! store, pruning, and whom announcements wake.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::domain::errors::sync_error::ErrorSource;
use crate::domain::state::{ConnectionState, EngineState};
use crate::logs::LogRecord;
use crate::postgres::errors::sync_errors::NewError;
use crate::postgres::{self, Store};

use super::trouble::Trouble;
use super::{Shared, connection};

/// Between signs of life.
const SIGN_INTERVAL: Duration = Duration::from_secs(1);
/// Between sweeps of the queue.
const SWEEP_INTERVAL: Duration = Duration::from_millis(500);
/// Sweeps from one adding up of counts to the next.
const COUNT_ROUNDS: u64 = 20;
/// How long log records are gathered before they are stored together.
const LOG_INTERVAL: Duration = Duration::from_millis(100);
/// Between attempts to build the indexes of errors.
const INDEX_INTERVAL: Duration = Duration::from_secs(60);
/// What cannot be done while PostgreSQL refuses it.
const KEEP: &str = "the log cannot be kept";
/// See [`KEEP`].
const LATE: &str = "late outcomes cannot be written back";
/// The operation under which refused outcomes are listed.
const WRITE_BACK: &str = "write back";

/// Leases, late write-backs, pruning; until the end of the engine.
pub(super) async fn run(shared: Arc<Shared>) {
    let log = shared.log.of("maintenance");
    let mut rounds = 0_u64;
    let mut refusing: Vec<String> = Vec::new();
    while shared.pause(SWEEP_INTERVAL).await {
        let swept = shared.store.rescue_expired().await;
        if let Some(expired @ 1..) = shared.trouble.check("the queue cannot be swept", swept) {
            log.warn(
                format!("{expired} units were taken back: their engine gave no answer in time"),
                json!({}),
            );
            shared.wake_writer.notify_one();
        }
        finish_drains(&shared).await;
        let stored = shared.metrics.store(&shared.store).await;
        shared.trouble.check("counters cannot be stored", stored);
        if rounds.is_multiple_of(COUNT_ROUNDS) {
            shared.trouble.check("counts cannot be added up", shared.store.add_up_counts().await);
        }
        match shared.store.write_back_deferred().await {
            Ok((_, refusals)) => {
                for (table, refusal) in &refusals {
                    keep_refusal(&shared, table, refusal).await;
                }
                refusing.retain(|table| !refusals.iter().any(|(still, _)| still == table));
                for over in std::mem::take(&mut refusing) {
                    let _ =
                        shared.store.resolve_other_errors(&object_of(&shared, &over), WRITE_BACK, &[]).await;
                }
                refusing.extend(refusals.into_iter().map(|(table, _)| table));
                shared.trouble.over(LATE);
            }
            Err(error) => shared.trouble.note(LATE, &error),
        }
        // Once after a minute, then hourly.
        if rounds % 7_200 == 120
            && let Err(error) =
                shared.store.prune(shared.config.history.keep, shared.config.history.log_rows).await
        {
            log.warn("old history cannot be removed", json!({"cause": error.to_string()}));
        }
        rounds += 1;
    }
}

/// Builds the indexes of errors that an older layout lacks, beside everything else; once.
pub(super) async fn index(shared: Arc<Shared>) {
    let log = shared.log.of("maintenance");
    let mut told = false;
    loop {
        let built = tokio::select! {
            built = shared.store.build_indexes() => built,
            () = shared.stop.cancelled() => return,
        };
        match built {
            Ok(Some(0)) => return,
            Ok(Some(built)) => {
                return log.info(format!("{built} indexes of errors were built"), json!({}));
            }
            // Another engine is at it.
            Ok(None) => {}
            Err(error) => {
                if !std::mem::replace(&mut told, true) {
                    let text = "errors cannot be indexed; lists of many are slow until then";
                    log.warn(text, json!({"cause": error.to_string()}));
                }
            }
        }
        if !shared.pause(INDEX_INTERVAL).await {
            return;
        }
    }
}

/// Pauses the mappings that are drained.
async fn finish_drains(shared: &Shared) {
    let log = shared.log.of("maintenance");
    let drained = shared.store.finish_drains().await;
    let drained = shared.trouble.check("drained mappings cannot be paused", drained).unwrap_or_default();
    if drained.is_empty() {
        return;
    }
    for object in drained {
        log.info(format!("{object} is drained; its writes are paused"), json!({"mapping": object}));
    }
    let _ = shared.store.notify("settings").await;
}

/// Lists that a table's rows refuse to be told their outcome.
async fn keep_refusal(shared: &Shared, table: &str, refusal: &postgres::Error) {
    let mappings = shared.mappings();
    let of_table = mappings.iter().filter(|mapping| mapping.table == table);
    let (code, text) = ("WRITE_BACK_REFUSED", refusal.masked(of_table));
    let object = object_of(shared, table);
    let error = NewError::classified(&object, WRITE_BACK, ErrorSource::Postgres, code, &text, Vec::new());
    let _ = shared.store.keep_mapping_error(table, &error, Some(SWEEP_INTERVAL)).await;
}

/// The object that is mapped to a table; the table itself when none is.
fn object_of(shared: &Shared, table: &str) -> String {
    let mappings = shared.mappings();
    let mapping = mappings.iter().find(|mapping| mapping.table == table);
    mapping.map_or(table, |mapping| mapping.object.as_str()).to_owned()
}

/// Tells once a second that this engine lives, and how the way to Salesforce is.
pub(super) async fn signs_of_life(shared: Arc<Shared>) {
    let mut renewals = 0;
    let mut slowed = false;
    let mut last = None;
    loop {
        shared.pulse.beat();
        let status = connection::status(&shared);
        let slow = connection::slowed(&shared);
        if slowed != slow.is_some() && status.state == ConnectionState::Ok {
            slowed = slow.is_some();
            let now = slow.unwrap_or_else(|| "polls come as the rules say again".to_owned());
            shared.log.of("link").info(now, json!({"used": status.api_used, "limit": status.api_limit}));
        }
        let status = shared.trouble.shown(status);
        let told = shared.store.heartbeat(&shared.owner, EngineState::Running, &status).await;
        shared.trouble.check("no sign of life can be given", told);
        if last.as_ref() != Some(&status) {
            let _ = shared.store.notify("overview").await;
            last = Some(status);
        }
        let renewed = shared.client.renewals();
        if renewed > renewals {
            renewals = renewed;
            shared
                .log
                .of("link")
                .warn("the session had expired; it was renewed", json!({"code": "INVALID_SESSION_ID"}));
            connection::keep(
                &shared,
                "INVALID_SESSION_ID",
                "Session expired or invalid",
                Some(Duration::ZERO),
            )
            .await;
            let _ = shared.store.resolve_mapping_errors("", &["login"]).await;
        }
        if !shared.pause(SIGN_INTERVAL).await {
            return;
        }
    }
}

/// Hears announcements of operators and consoles and wakes who waits for them; reconnects by itself.
pub(super) async fn listen(shared: Arc<Shared>) {
    while !shared.stop.is_cancelled() {
        if let Ok(mut notices) = shared.store.listen().await {
            loop {
                let notice = tokio::select! {
                    notice = notices.recv() => notice,
                    () = shared.stop.cancelled() => return,
                };
                match notice.as_deref().map(|notice| notice.split(' ').next().unwrap_or_default()) {
                    Some("retry") => shared.wake_writer.notify_one(),
                    Some("settings") => shared.wake_rules.notify_one(),
                    Some("command") => shared.wake_answers.notify_one(),
                    Some("events") => shared.wake_events.notify_waiters(),
                    Some("poll") => shared.wake_readers.notify_waiters(),
                    Some("findings") => shared.wake_findings.notify_one(),
                    Some("reconnect") => {
                        shared.link.try_again();
                        shared.wake_reload.notify_one();
                    }
                    Some(_) => {}
                    None => break,
                }
            }
        }
        shared.pause(SIGN_INTERVAL).await;
    }
}

/// Stores log records in small batches until `done`, and then what is left. While PostgreSQL is away they wait in
/// the channel, which drops and counts what is too much.
pub(super) async fn store_log(
    store: Store,
    trouble: Arc<Trouble>,
    mut records: mpsc::Receiver<LogRecord>,
    done: CancellationToken,
) {
    let mut waiting = Vec::new();
    loop {
        let ended = tokio::select! {
            received = records.recv_many(&mut waiting, 500) => received == 0,
            () = done.cancelled() => {
                records.close();
                records.recv_many(&mut waiting, usize::MAX >> 1).await;
                true
            }
        };
        while !waiting.is_empty() {
            match store.append_log(&waiting).await {
                Ok(()) => {
                    waiting.clear();
                    trouble.over(KEEP);
                    let _ = store.notify("log").await;
                }
                Err(error) if ended => return trouble.note(KEEP, &error),
                Err(error) => {
                    trouble.note(KEEP, &error);
                    tokio::time::sleep(SIGN_INTERVAL).await;
                    if done.is_cancelled() {
                        return;
                    }
                }
            }
        }
        if ended {
            return;
        }
        tokio::time::sleep(LOG_INTERVAL).await;
    }
}
