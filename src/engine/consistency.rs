//! Comparisons that go on by themselves: each mapping by its rule `verify`, one at a time, by the one engine that holds the
//! lease `verify`, kept after each step so that a restart goes on there. They have a share of the org's API requests, and
//! wait when that is taken. Beside them, what was found is looked at again as soon as something changed about it. Neither
//! takes a lock that readers or the writer want.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::domain::mappings::mapping::Mapping;
use crate::domain::records::consistency::{Requests, waits_for_budget};
use crate::postgres;
use crate::postgres::reports::status::Lease;

use super::recurring::Recurring;
use super::verify::{Error, Examination, Verifier};
use super::{Shared, connection};

/// Between looks at what is to be compared.
const LOOK: Duration = Duration::from_secs(1);
/// Between looks at findings, unless somebody asks for one.
const FINDINGS: Duration = Duration::from_secs(2);
/// Between looks at a comparison that waits for its share of requests.
const WAIT: Duration = Duration::from_secs(10);
/// How long a mapping is left alone that could not be compared.
const AFTER_FAILURE: Duration = Duration::from_secs(60);

/// How a run of a comparison ended.
enum Ended {
    /// It is through, or goes on later by itself.
    Through,
    /// It waits for its share of requests.
    Waits,
}

/// Compares until the end of the engine.
pub(super) async fn run(shared: Arc<Shared>) {
    let lease = Lease { name: "verify".to_owned(), owner: shared.owner.clone() };
    let mut failed: HashMap<String, Instant> = HashMap::new();
    let mut told = Recurring::default();
    let mut pause = LOOK;
    while shared.pause(pause).await {
        pause = LOOK;
        failed.retain(|_, until| *until > Instant::now());
        let due = due(&shared, &lease, &failed).await;
        note(
            &shared,
            &mut told,
            None,
            "it cannot be seen what is to be compared; it is tried again",
            due.as_ref().err(),
        );
        let Ok(Some(mapping)) = due else { continue };
        // Where it is stopped, it goes on from what was kept.
        let ended = tokio::select! {
            ended = compare(&shared, &lease, &mapping) => ended,
            () = shared.stop.cancelled() => return,
        };
        match ended {
            Ok(Ended::Through) => note(&shared, &mut told, Some(&mapping), "", None),
            Ok(Ended::Waits) => pause = WAIT,
            // The lease went to another engine, or PostgreSQL is away, which others tell.
            Err(Error::Postgres(postgres::Error::Conflict(_))) => {}
            Err(Error::Postgres(error)) if error.is_connection() => {}
            Err(error) => {
                failed.insert(mapping.object.clone(), Instant::now() + AFTER_FAILURE);
                let cause = fail(&shared, &lease, &mapping, &error).await;
                let text = format!("{} cannot be compared; it is tried again", mapping.object);
                tell(&shared, &mut told, &mapping.object, &text, &cause);
            }
        }
    }
}

/// Tells why something of a mapping goes wrong, where that is news.
fn tell(shared: &Shared, told: &mut Recurring, mapping: &str, text: &str, cause: &str) {
    if told.is_news(mapping, Some(cause)) {
        shared.log.of("verify").warn(text, json!({"mapping": mapping, "cause": cause}));
    }
}

/// Tells why PostgreSQL refuses something of a mapping, or of all; others tell that it is away.
fn note(
    shared: &Shared,
    told: &mut Recurring,
    mapping: Option<&Mapping>,
    text: &str,
    error: Option<&postgres::Error>,
) {
    let object = mapping.map_or("", |mapping| mapping.object.as_str());
    match error {
        Some(error) if error.is_connection() => {}
        Some(error) => tell(shared, told, object, text, &error.masked(mapping.into_iter())),
        None => {
            told.is_news(object, None);
        }
    }
}

/// The mapping that is to be compared now, when this engine is the one that compares.
async fn due(
    shared: &Shared,
    lease: &Lease,
    failed: &HashMap<String, Instant>,
) -> Result<Option<Mapping>, postgres::Error> {
    let mappings = shared.mappings();
    let every: Vec<(&str, Duration)> = mappings
        .iter()
        .filter(|mapping| !mapping.gone && !shared.guard.is_unfit(&mapping.table))
        .filter(|mapping| !failed.contains_key(&mapping.object))
        .filter_map(|mapping| Some((mapping.object.as_str(), mapping.rules.verify?)))
        .collect();
    if every.is_empty() || shared.link.closed_for().is_some() || !hold(shared, lease).await? {
        return Ok(None);
    }
    let due = shared.store.due_comparison(&every).await?;
    Ok(due.and_then(|name| mappings.iter().find(|mapping| mapping.object == name).cloned()))
}

/// Takes or extends the lease, for longer than a step asks Salesforce.
async fn hold(shared: &Shared, lease: &Lease) -> Result<bool, postgres::Error> {
    let of = &shared.config.salesforce;
    shared.store.lease(lease, of.lease + of.request_timeout * 5).await
}

/// Does what may take longer than the lease is held, and extends that meanwhile. Whether it was held all the time is proved
/// when the work is kept.
async fn holding<T>(shared: &Shared, lease: &Lease, work: impl Future<Output = T>) -> T {
    let every = shared.config.salesforce.lease.max(LOOK);
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(every) => drop(hold(shared, lease).await),
        }
    }
}

/// Begins a comparison or goes on with it, step by step, until it is through or has to wait.
async fn compare(shared: &Shared, lease: &Lease, mapping: &Mapping) -> Result<Ended, Error> {
    let store = &shared.store;
    let sides = Verifier::patient(shared);
    let round = store.comparison(lease, &mapping.object).await?;
    let mut look = Examination::kept(mapping, round.state);
    store.notify("overview").await?;
    while !look.is_over() {
        if shared.stop.is_cancelled() || shared.link.closed_for().is_some() {
            return Ok(Ended::Through);
        }
        if let Some(why) = over_budget(shared).await? {
            if store.note_waiting(lease, &mapping.object, &why).await? {
                let text = format!("the comparison of {} waits: {why}", mapping.object);
                shared.log.of("verify").warn(text, json!({"mapping": mapping.object}));
                store.notify("overview").await?;
            }
            return Ok(Ended::Waits);
        }
        if !hold(shared, lease).await? {
            return Ok(Ended::Through);
        }
        let step = sides.step(mapping, &mut look, &|_| {}, &shared.stop);
        let stepped = holding(shared, lease, step).await;
        // A step that failed or was cut short is done anew; what it asked counts all the same.
        if stepped.is_err() || shared.stop.is_cancelled() {
            let noted = store.note_verify_requests(look.take_requests()).await;
            stepped?;
            noted?;
            return Ok(Ended::Through);
        }
        sides.keep(Some(lease), mapping, &mut look, round.number).await?;
        let requests = look.take_requests();
        store.keep_comparison(lease, &mapping.object, &json!(look), look.progress(), requests).await?;
    }
    let ended = holding(shared, lease, sides.end(mapping, &mut look, round.number, round.began_at)).await;
    store.note_verify_requests(look.take_requests()).await?;
    ended?;
    store.end_comparison(lease, &mapping.object).await?;
    let (found, left_out) = look.sums();
    let fields = json!({"mapping": mapping.object, "found": found, "left_out": left_out});
    let log = shared.log.of("verify");
    if look.is_in_order() {
        log.info(look.summary(), fields)
    } else {
        log.warn(look.summary(), fields)
    }
    store.notify("overview").await?;
    store.notify("errors").await?;
    Ok(Ended::Through)
}

/// Why Salesforce is not asked for a comparison now.
async fn over_budget(shared: &Shared) -> Result<Option<String>, postgres::Error> {
    let Some(of_org) = shared.client.usage() else { return Ok(None) };
    let requests = Requests { by_verify: shared.store.verify_requests().await?, of_org: Some(of_org) };
    Ok(waits_for_budget(shared.config.verify.api_share, requests))
}

/// Says why a mapping cannot be compared; masked values are not in it.
async fn fail(shared: &Shared, lease: &Lease, mapping: &Mapping, error: &Error) -> String {
    let cause = match error {
        Error::Salesforce(error) => {
            if connection::concerns_link(error) {
                connection::report(shared, error).await;
            }
            error.to_string()
        }
        Error::Postgres(error) => error.masked(std::iter::once(mapping)),
    };
    let _ = shared.store.note_waiting(lease, &mapping.object, &cause).await;
    cause
}

/// Looks at findings again, until the end of the engine, whenever their rows changed, or their records were read.
pub(super) async fn look(shared: Arc<Shared>) {
    let lease = Lease { name: "findings".to_owned(), owner: shared.owner.clone() };
    let mut told = Recurring::default();
    loop {
        tokio::select! {
            () = tokio::time::sleep(FINDINGS) => {}
            () = shared.wake_findings.notified() => {}
            () = shared.stop.cancelled() => return,
        }
        if shared.link.closed_for().is_some() {
            continue;
        }
        let of = &shared.config.salesforce;
        let held = shared.store.lease(&lease, of.lease + of.request_timeout * 5).await;
        let text = "findings cannot be looked at again; it is tried again";
        note(&shared, &mut told, None, text, held.as_ref().err());
        if !held.unwrap_or(false) {
            continue;
        }
        for mapping in shared.mappings().iter().filter(|mapping| !mapping.gone) {
            if shared.guard.is_unfit(&mapping.table) {
                continue;
            }
            let settled = tokio::select! {
                settled = settle(&shared, mapping) => settled,
                () = shared.stop.cancelled() => return,
            };
            match settled {
                Ok(()) => note(&shared, &mut told, Some(mapping), "", None),
                Err(Error::Salesforce(error)) if connection::concerns_link(&error) => {
                    connection::report(&shared, &error).await;
                    break;
                }
                // What failed is due still.
                Err(error) => {
                    let text = format!(
                        "findings of {} cannot be looked at again; it is tried again",
                        mapping.object
                    );
                    match error {
                        Error::Salesforce(error) => {
                            tell(&shared, &mut told, &mapping.object, &text, &error.to_string())
                        }
                        Error::Postgres(error) => {
                            note(&shared, &mut told, Some(mapping), &text, Some(&error))
                        }
                    }
                }
            }
        }
    }
}

/// Looks at what is due of one mapping.
async fn settle(shared: &Shared, mapping: &Mapping) -> Result<(), Error> {
    shared.store.notice_changed_findings(mapping).await?;
    // What is due waits, as a comparison does.
    if over_budget(shared).await?.is_some() {
        return Ok(());
    }
    let mut requests = 0;
    let looked = Verifier::patient(shared).look_at_due(mapping, &mut requests).await;
    if requests > 0 {
        shared.store.note_verify_requests(requests).await?;
    }
    let closed = looked?;
    if closed > 0 {
        let text = format!("{}: {closed} findings are in order again", mapping.object);
        shared.log.of("verify").info(text, json!({"mapping": mapping.object}));
        shared.store.notify("errors").await?;
        shared.store.notify("overview").await?;
    }
    Ok(())
}
