//! What an engine tells those that ask it by HTTP: figures in Prometheus's text form (`/metrics`), whether it lives
//! (`/healthz`) and whether it can do its work (`/readyz`). Only where the configuration says so. No answer has a row's id or
//! value in it. What is asked of PostgreSQL for it is asked once a second at most, however many ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chrono::{DateTime, Utc};
use prometheus_client::encoding::prometheus_text::{CONTENT_TYPE, encode};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::domain::mappings::mapping::Mapping;
use crate::domain::reports::overview::Overview;
use crate::domain::state::ConnectionState;
use crate::postgres::Error;
use crate::postgres::reports::status::Lease;

use super::Shared;
use super::figures::EngineFigures;

/// How long an answer of PostgreSQL counts.
const FRESH: Duration = Duration::from_secs(1);
/// How long PostgreSQL is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two tries to listen where something else does.
const AGAIN: Duration = Duration::from_secs(5);
/// How long requests that are being answered have at the end.
const LAST: Duration = Duration::from_secs(1);
/// The part of the log.
const PART: &str = "metrics";
/// An engine that gave no sign of life for this much longer than PostgreSQL may take is stuck.
const STUCK: Duration = Duration::from_secs(30);

/// When an engine last went on.
pub(super) struct Pulse {
    begin: Instant,
    last: AtomicU64,
}

impl Default for Pulse {
    fn default() -> Pulse {
        Pulse { begin: Instant::now(), last: AtomicU64::new(0) }
    }
}

impl Pulse {
    /// It goes on.
    pub(super) fn beat(&self) {
        let now = u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Ordering::Relaxed);
    }

    fn silent(&self) -> Duration {
        self.begin.elapsed().saturating_sub(Duration::from_millis(self.last.load(Ordering::Relaxed)))
    }
}

/// What PostgreSQL said.
#[derive(Clone)]
struct Seen {
    /// When, by its clock.
    at: DateTime<Utc>,
    overview: Arc<Overview>,
    readers: Arc<Vec<Lease>>,
}

/// What all requests share.
struct Desk {
    shared: Arc<Shared>,
    seen: Mutex<Option<(Instant, Result<Seen, String>)>>,
}

/// Answers until the end of the engine.
pub(super) async fn run(shared: Arc<Shared>) {
    let Some(metrics) = shared.config.metrics else { return shared.stop.cancelled().await };
    let log = shared.log.of(PART);
    let mut told = false;
    let listener = loop {
        match TcpListener::bind(metrics.listen).await {
            Ok(listener) => break listener,
            Err(error) => {
                if !std::mem::replace(&mut told, true) {
                    let text = format!("nobody can ask at {}, which is tried again", metrics.listen);
                    let remedy = "end what listens there, or change metrics.listen";
                    log.warn(text, json!({"cause": error.to_string(), "remedy": remedy}));
                }
            }
        }
        if !shared.pause(AGAIN).await {
            return;
        }
    };
    let at = listener.local_addr().unwrap_or(metrics.listen);
    log.info(format!("Prometheus is answered at http://{at}/metrics"), json!({}));
    let stop = shared.stop.clone();
    let desk = Arc::new(Desk { shared, seen: Mutex::default() });
    let routes = Router::new()
        .route("/metrics", get(figures))
        .route("/healthz", get(lives))
        .route("/readyz", get(ready))
        .with_state(desk);
    let served = axum::serve(listener, routes).with_graceful_shutdown(stop.clone().cancelled_owned());
    let at_the_end = async {
        stop.cancelled().await;
        tokio::time::sleep(LAST).await;
    };
    tokio::select! {
        served = async { served.await } => if let Err(error) = served {
            log.warn("nobody can ask any more", json!({"cause": error.to_string()}));
            stop.cancelled().await;
        },
        () = at_the_end => {}
    }
}

async fn figures(State(desk): State<Arc<Desk>>) -> Response {
    let seen = desk.look().await;
    let reasons = desk.reasons(&seen);
    let shared = &desk.shared;
    let figures = EngineFigures {
        totals: shared.metrics.totals(),
        connection: shared.link.status(shared.client.usage(), None),
        seen: seen.ok().map(|seen| (seen.at, seen.overview)),
        is_ready: reasons.is_empty(),
    };
    let mut text = String::new();
    match encode(&mut text, &figures.registry(&shared.config.name)) {
        Ok(()) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn lives(State(desk): State<Arc<Desk>>) -> Response {
    let silent = desk.shared.pulse.silent();
    let is_stuck = silent > desk.shared.config.postgres.timeout * 2 + STUCK;
    let status = if is_stuck { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    answer(status, &json!({"alive": !is_stuck, "silent_seconds": silent.as_secs()}))
}

async fn ready(State(desk): State<Arc<Desk>>) -> Response {
    let seen = desk.look().await;
    let reasons = desk.reasons(&seen);
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let (here, elsewhere) = desk.readers(&seen);
    let told =
        json!({"ready": reasons.is_empty(), "reasons": reasons, "reads": here, "read_elsewhere": elsewhere});
    answer(status, &told)
}

fn answer(status: StatusCode, told: &serde_json::Value) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (status, kind, format!("{told}\n")).into_response()
}

impl Desk {
    /// What PostgreSQL says now, or why it says nothing.
    async fn look(&self) -> Result<Seen, String> {
        let mut seen = self.seen.lock().await;
        if let Some((at, known)) = seen.as_ref()
            && at.elapsed() < FRESH
        {
            return known.clone();
        }
        let store = &self.shared.store;
        let asked = async {
            let overview = Arc::new(store.overview().await?);
            let readers = Arc::new(store.leases("reader ").await?);
            Ok::<_, Error>(Seen { at: store.now().await?, overview, readers })
        };
        let fresh = match tokio::time::timeout(PATIENCE, asked).await {
            Ok(asked) => asked.map_err(|error| error.reason()),
            Err(_) => Err(format!("it gave no answer within {} s", PATIENCE.as_secs())),
        };
        *seen = Some((Instant::now(), fresh.clone()));
        fresh
    }

    /// Why this engine cannot do its work.
    fn reasons(&self, seen: &Result<Seen, String>) -> Vec<String> {
        let shared = &self.shared;
        let mut reasons = Vec::new();
        let status = shared.link.status(None, None);
        if status.state != ConnectionState::Ok {
            let detail = status.detail.map(|detail| format!(": {detail}")).unwrap_or_default();
            reasons.push(format!("Salesforce cannot be asked: {}{detail}", status.state));
        }
        let seen = match seen {
            Ok(seen) => seen,
            Err(why) => {
                reasons.push(format!("PostgreSQL cannot be asked: {why}"));
                return reasons;
            }
        };
        let mappings = shared.mappings();
        if mappings.is_empty() {
            reasons.push("the mappings are not known yet: the engine has to sign in first".to_owned());
        }
        let is_read =
            |object: &str| seen.readers.iter().any(|lease| lease.name == format!("reader {object}"));
        // One whose table is unfit is read by nobody until somebody mends it, and is listed: the others have to go on.
        let reads = |mapping: &&Mapping| !mapping.gone && !shared.guard.is_unfit(&mapping.table);
        for mapping in mappings.iter().filter(reads).filter(|mapping| !is_read(&mapping.object)) {
            reasons.push(format!("no engine has the lease to read {}", mapping.object));
        }
        reasons
    }

    /// The mappings that this engine reads, and those that others read.
    fn readers(&self, seen: &Result<Seen, String>) -> (Vec<String>, Vec<String>) {
        let leases = seen.as_ref().map(|seen| seen.readers.as_slice()).unwrap_or_default();
        let (here, elsewhere): (Vec<&Lease>, Vec<&Lease>) =
            leases.iter().partition(|lease| lease.owner == self.shared.owner);
        let names = |leases: Vec<&Lease>| -> Vec<String> {
            leases.iter().filter_map(|lease| lease.name.strip_prefix("reader ").map(str::to_owned)).collect()
        };
        (names(here), names(elsewhere))
    }
}
