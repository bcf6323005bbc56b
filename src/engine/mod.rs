//! The background task that keeps both sides in step.
//!
//! [`start`] signs in, checks the mappings against the org's describe, lays out the schema and sets the parts going:
//!
//! ```text
//!    supervisor ── writer   ingest, claim, coalesce, send, acknowledge        (write/)
//!               ├─ watch    was something captured?                     (write/watch.rs)
//!               ├─ jobs     writes by Bulk API 2.0, to their end           (write/bulk/)
//!               ├─ readers  one per mapping: first load, then polls       (read/)
//!               ├─ events   which records changed in Salesforce just now  (read/events.rs)
//!               ├─ guard    are the tables still what they must be?       (table_check.rs)
//!               ├─ custody  does every entry of the change log have an owner? (custody.rs)
//!               ├─ rules    what was set at run time, without a restart (rules.rs)
//!               ├─ causes   which are new, mended, back, growing          (causes.rs)
//!               ├─ alerts   what people are told about, and the telling (alerts.rs)
//!               ├─ compare  all rows and records, by the rule `verify`    (consistency.rs)
//!               ├─ health   the history summed up by hour                 (health.rs)
//!               ├─ metrics  what Prometheus and supervisors ask           (exposition.rs, figures.rs)
//!               ├─ answers  what consoles ask: Salesforce's values        (answers.rs)
//!               └─ maintenance   sign of life, expired leases, late write-backs, log store, pruning
//! ```
//!
//! They share an [`connection::Link`], which knows whether Salesforce can be asked at all, and a store. PostgreSQL is the
//! only coordinator: any number of engines may run on one database. Nothing in here draws, prints or holds SQL.

mod alerts;
mod answers;
mod bulk_limits;
mod causes;
pub mod connection;
mod consistency;
mod custody;
pub mod dry_run;
mod exposition;
mod figures;
mod health;
mod long_request;
mod maintenance;
mod metrics;
mod parts;
mod plan;
mod prepare;
mod read;
pub mod rebind;
mod recurring;
mod reload;
mod rules;
mod schema;
pub mod shadow;
mod start_error;
mod table_check;
mod trouble;
pub mod verify;
mod write;

use std::collections::HashSet;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::{self, Auth, Config};
use crate::domain::mappings::mapping::Mapping;
use crate::domain::reports::setup_plan::SetupPlan;
use crate::logs::log::{Log, record};
use crate::logs::{Level, LogRecord};
use crate::postgres::schema::install::Foreign;
use crate::postgres::{self, Store};
use crate::salesforce::{Client, Credentials, Grant};

use connection::Link;
use parts::Parts;

pub use parts::{PartFailure, is_of_engine};
pub(crate) use plan::{Assumed, plan};
pub(crate) use reload::{tell_ended, tell_unstarted};
pub use start_error::StartError;
pub use trouble::{PART as TROUBLE, Teller};

/// What the parts of one engine share.
struct Shared {
    store: Store,
    client: Arc<Client>,
    config: Config,
    /// The mappings as describe tells them now; replaced when describe changes.
    mappings: RwLock<Arc<Vec<Mapping>>>,
    link: Link,
    guard: table_check::TableCheck,
    metrics: metrics::EngineMetrics,
    pulse: exposition::Pulse,
    trouble: Arc<trouble::Trouble>,
    /// Mappings whose change events come.
    flows: read::events::Flows,
    /// Jobs of Bulk API 2.0 that write.
    bulk_writes: write::bulk::BulkWrites,
    /// What is left of the org's daily limits of such jobs.
    bulk_limits: bulk_limits::BulkLimits,
    /// How many calls are with Salesforce at once.
    lanes: write::lanes::Lanes,
    /// Values that could not be kept as they came.
    replaced: read::replaced::Reported,
    /// Tables whose writes are stopped or paused.
    writes_off: RwLock<HashSet<String>>,
    /// Held while changes are claimed and sent, and for good from when the tables become those of the next generation: a
    /// change of a column that only that one knows must not be sent by this one.
    turn: Arc<tokio::sync::RwLock<()>>,
    /// Up to which the rules set at run time are in force.
    rules_version: tokio::sync::Mutex<Option<i64>>,
    log: Log,
    /// Rung when there may be work for the writer.
    wake_writer: Notify,
    /// Rung when a console asked something.
    wake_answers: Notify,
    /// Rung for all readers at once.
    wake_readers: Notify,
    /// Rung when change events ask readers for something.
    wake_events: Notify,
    /// Rung when rules were set at run time.
    wake_rules: Notify,
    /// Rung when an object is to be described again.
    wake_schema: Notify,
    /// Rung when the configuration is to be looked at again.
    wake_reload: Notify,
    /// Rung when findings are to be looked at again.
    wake_findings: Notify,
    /// What is remembered of objects.
    schema: std::sync::Mutex<schema::Memory>,
    /// What takes over when this generation of parts ends.
    next: std::sync::Mutex<Option<Box<reload::NextConfig>>>,
    /// This engine among others: host, process and a random part.
    owner: String,
    stop: CancellationToken,
}

impl Shared {
    fn new(
        config: Config,
        store: Store,
        client: Client,
        log: Log,
        trouble: Arc<trouble::Trouble>,
        owner: String,
        stop: CancellationToken,
    ) -> Arc<Shared> {
        Arc::new(Shared {
            link: Link::new(&config.name, &config.environment),
            guard: table_check::TableCheck::default(),
            metrics: metrics::EngineMetrics::default(),
            pulse: exposition::Pulse::default(),
            trouble,
            flows: read::events::Flows::default(),
            bulk_writes: write::bulk::BulkWrites::default(),
            bulk_limits: bulk_limits::BulkLimits::default(),
            lanes: write::lanes::Lanes::new(),
            replaced: read::replaced::Reported::default(),
            store: store.grouped_by(&config.grouping),
            client: Arc::new(client),
            config,
            mappings: RwLock::default(),
            writes_off: RwLock::default(),
            turn: Arc::default(),
            rules_version: tokio::sync::Mutex::default(),
            log,
            wake_writer: Notify::new(),
            wake_answers: Notify::new(),
            wake_readers: Notify::new(),
            wake_events: Notify::new(),
            wake_rules: Notify::new(),
            wake_schema: Notify::new(),
            wake_reload: Notify::new(),
            wake_findings: Notify::new(),
            schema: std::sync::Mutex::default(),
            next: std::sync::Mutex::default(),
            owner,
            stop,
        })
    }

    fn mappings(&self) -> Arc<Vec<Mapping>> {
        self.mappings.read().map(|mappings| mappings.clone()).unwrap_or_default()
    }

    fn writes_are_off(&self, table: &str) -> bool {
        self.writes_off.read().is_ok_and(|tables| tables.contains(table))
    }

    fn turn_writes_off(&self, table: &str) {
        if let Ok(mut tables) = self.writes_off.write() {
            tables.insert(table.to_owned());
        }
    }

    fn set_writes_off(&self, tables: HashSet<String>) {
        if let Ok(mut held) = self.writes_off.write() {
            *held = tables;
        }
    }

    /// Waits, but not beyond the end. False when the end has come.
    async fn pause(&self, time: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(time) => true,
            () = self.stop.cancelled() => false,
        }
    }
}

/// How long the parts have to end in good order: a batch whose answer comes meanwhile is acknowledged. What takes longer is
/// cut off; its lease covers it, as if the machine had gone.
const GRACE: Duration = Duration::from_secs(4);
/// How long is spent on each part of telling the end: what was counted, that it is over, the log.
const LAST_WORDS: Duration = Duration::from_millis(1_500);
/// After this an engine is gone, whatever keeps it.
const LAST: Duration = Duration::from_secs(9);

/// A running engine.
pub struct Engine {
    stop: CancellationToken,
    /// `None` once its end was told.
    task: Option<JoinHandle<Result<(), PartFailure>>>,
}

impl Engine {
    /// Stops it in good order: the batch in flight is finished and acknowledged, if its answer comes within seconds.
    pub async fn stop(self) {
        self.stop.cancel();
        let Some(mut task) = self.task else { return };
        if tokio::time::timeout(LAST, &mut task).await.is_err() {
            task.abort();
        }
    }

    /// Returns when it ended without being stopped, and says why.
    pub async fn ended(&mut self) -> PartFailure {
        let Some(task) = &mut self.task else { return std::future::pending().await };
        let ended = task.await;
        self.task = None;
        match ended {
            Ok(Err(failure)) => failure,
            Ok(Ok(())) => PartFailure("it was stopped from within".to_owned()),
            Err(error) => PartFailure(error.to_string()),
        }
    }
}

/// Starts an engine. When Salesforce cannot be asked right now but the schema is installed, it starts all the same,
/// shows why in its state, and keeps trying: consoles must work on the night when the org is down.
///
/// # Errors
/// When the configuration does not fit the org, the database cannot be laid out, or nothing was ever installed and
/// the org does not answer.
pub async fn start(config: Config, store: Store) -> Result<Engine, StartError> {
    start_logging(config, store, Level::Info, None).await
}

/// As [`start`], with a log of what is of that level or above, and trouble with PostgreSQL told to `tell` as well.
///
/// # Errors
/// See [`start`].
pub async fn start_logging(
    config: Config,
    store: Store,
    least: Level,
    tell: Option<Teller>,
) -> Result<Engine, StartError> {
    config.refuse_engine()?;
    let (log, records) = Log::new(least);
    let client = client(&config.salesforce)?;
    refuse_foreign(&config, &store).await?;
    let installed = store.is_installed().await?;
    let known = if installed { store.definitions().await? } else { Vec::new() };
    let prepared = prepare::mappings(&config, &client, &known).await;
    let mappings = match prepared {
        Ok((org_id, mut mappings)) => {
            if config.adopts {
                // This may take hours, and the log is kept after it only.
                let tell = |line: String| {
                    log.of("layout").info(line.clone(), serde_json::json!({}));
                    let told = record(Level::Info, "layout", line, serde_json::Map::new());
                    tell.iter().for_each(|tell| tell(&told));
                };
                store.index_large(&org_id, &mappings, &tell).await?;
            }
            lay_out(&config, &store, &log, &org_id, &mut mappings).await?;
            Some(mappings)
        }
        Err(StartError::Salesforce { .. }) if installed => None,
        Err(error) => return Err(error),
    };
    let stop = CancellationToken::new();
    let trouble = trouble::Trouble::new(log.clone(), tell);
    let first = Shared::new(config, store, client, log, trouble, owner(), stop.child_token());
    let task = tokio::spawn(parts::here(generations(first, mappings, records, stop.clone())));
    Ok(Engine { stop, task: Some(task) })
}

/// Takes over what was there before, as it was `shown`, and starts nothing. Returns what was done to things that a predecessor
/// left, a line each.
///
/// # Errors
/// As [`start`], and where it is not what was shown; nothing is changed then but for indexes that were made beside. The
/// configuration must say that it adopts.
pub async fn adopt(
    config: &Config,
    store: &Store,
    shown: &SetupPlan,
    tell: &(dyn Fn(String) + Sync),
) -> Result<Vec<String>, StartError> {
    config.refuse_engine()?;
    refuse_foreign(config, store).await?;
    let client = client(&config.salesforce)?;
    let installed = store.is_installed().await?;
    let known = if installed { store.definitions().await? } else { Vec::new() };
    let (org_id, mut mappings) = prepare::mappings(config, &client, &known).await?;
    store.index_large(&org_id, &mappings, tell).await?;
    // That may have taken hours.
    refuse_foreign(config, store).await?;
    let foreign = Foreign::AsShown(shown);
    let log = Log::new(Level::Error).0;
    let mut told = lay_out_telling(config, store, &log, &org_id, &mut mappings, foreign).await?;
    // The tables are taken over by now, whatever becomes of this.
    if let Err(error) = note_configured(config, store).await {
        told.push(format!(
            "the rules of the configuration are not noted yet, the next start does it: {error}"
        ));
    }
    Ok(told)
}

/// The client of the configured org.
pub(crate) fn client(of: &config::Salesforce) -> Result<Client, StartError> {
    let grant = match of.auth.clone() {
        Auth::ClientCredentials { secret } => Grant::ClientCredentials { secret },
        Auth::Jwt { username, key, audience } => Grant::Jwt { username, key, audience },
        Auth::RefreshToken { secret, file } => Grant::Refresh { secret, file },
    };
    let credentials = Credentials { login_url: of.login_url.clone(), client_id: of.client_id.clone(), grant };
    Client::new(credentials, &of.api_version, of.request_timeout)
        .map_err(|source| StartError::Salesforce { source, login_url: of.login_url.clone() })
}

/// Refuses tables that were there before syncdeck, unless they may be taken over. Salesforce is asked nothing, so that it is
/// refused while that is away too.
async fn refuse_foreign(config: &Config, store: &Store) -> Result<(), StartError> {
    let tables: Vec<&str> = config.mappings.iter().map(|mapping| mapping.table.as_str()).collect();
    match store.foreign_tables(&tables).await? {
        tables if tables.is_empty() => Ok(()),
        foreign if config.adopts => {
            let own: Vec<&str> =
                tables.into_iter().filter(|table| !foreign.iter().any(|of| of == table)).collect();
            refuse_two_engines(config, store, &own).await
        }
        tables => Err(StartError::Foreign { tables, schema: config.postgres.schema.clone() }),
    }
}

/// Refuses while Heroku Connect is seen at work, unless somebody said that it goes on then.
async fn refuse_two_engines(config: &Config, store: &Store, own: &[&str]) -> Result<(), StartError> {
    if config.allows_two_engines {
        return Ok(());
    }
    let seen = store.heroku_at_work(own).await?;
    if seen.is_empty() { Ok(()) } else { Err(StartError::AtWork { seen }) }
}

/// Lays out the schema for the mappings, under the rules in force.
async fn lay_out(
    config: &Config,
    store: &Store,
    log: &Log,
    org_id: &str,
    mappings: &mut [Mapping],
) -> Result<(), StartError> {
    refuse_foreign(config, store).await?;
    let foreign = if config.adopts { Foreign::Adopt } else { Foreign::Refuse };
    let told = lay_out_telling(config, store, log, org_id, mappings, foreign).await?;
    note_configured(config, store).await?;
    for line in told {
        log.of("layout").warn(line, serde_json::json!({}));
    }
    Ok(())
}

/// The same, where `foreign` says what is done with tables of others; what was done to things that a predecessor left is returned,
/// a line each.
async fn lay_out_telling(
    config: &Config,
    store: &Store,
    log: &Log,
    org_id: &str,
    mappings: &mut [Mapping],
    foreign: Foreign<'_>,
) -> Result<Vec<String>, StartError> {
    if store.is_installed().await? {
        // An older layout may lack the table of settings; it is there after this installation.
        let settings = store.settings().await.unwrap_or_default();
        rules::overlay(config, &settings, mappings, log);
    }
    match store.install_telling(org_id, mappings, foreign).await {
        Err(postgres::Error::BadFilter { mapping, problem }) => {
            let written =
                config.mappings.iter().find(|written| written.object.eq_ignore_ascii_case(&mapping));
            let remedy = "use a condition on the table's columns, such as: email IS NOT NULL".to_owned();
            Err(match written.filter(|written| written.rules.filter.is_some()) {
                Some(written) => config.refuse_mapping(written, "where", problem, remedy).into(),
                None => postgres::Error::BadFilter { mapping, problem }.into(),
            })
        }
        other => Ok(other?),
    }
}

/// Notes the rules that the configuration has.
async fn note_configured(config: &Config, store: &Store) -> Result<(), postgres::Error> {
    let rules = config.mappings.iter().map(|written| (written.object.as_str(), &written.rules));
    store.set_configured(rules).await
}

/// Runs one generation of parts behind the other: a changed configuration ends one in good order and begins the next,
/// without the log, the signs of life or anybody's claim being lost in between.
///
/// # Errors
/// When a part ended that nobody had stopped.
async fn generations(
    first: Arc<Shared>,
    mappings: Option<Vec<Mapping>>,
    records: mpsc::Receiver<LogRecord>,
    stop: CancellationToken,
) -> Result<(), PartFailure> {
    let log_done = CancellationToken::new();
    let (store, trouble) = (first.store.clone(), first.trouble.clone());
    let mut log_store = Parts::default();
    log_store.spawn("the log store", maintenance::store_log(store, trouble, records, log_done.clone()));
    let (mut shared, mut mappings) = (first, mappings);
    let ended = loop {
        let ended = tokio::select! {
            ended = supervise(&shared, mappings.take(), &stop) => ended,
            Some(failure) = log_store.failure(&log_done) => Err(failure),
        };
        let next = shared.next.lock().ok().and_then(|mut next| next.take()).filter(|_| !stop.is_cancelled());
        let (Some(next), Ok(())) = (next, &ended) else { break ended };
        let reload::NextConfig { config, client, mappings: prepared } = *next;
        let (store, log, owner) = (shared.store.clone(), shared.log.clone(), shared.owner.clone());
        let trouble = shared.trouble.clone();
        shared = Shared::new(config, store, client, log, trouble, owner, stop.child_token());
        mappings = prepared;
    };
    if let Err(failure) = &ended {
        shared.log.error("the engine ended by itself", serde_json::json!({"cause": failure.0}));
    }
    shared.log.info("engine stopped", serde_json::json!({"owner": shared.owner}));
    // What it holds is free for the next one, whatever becomes of its log.
    let _ = tokio::time::timeout(LAST_WORDS, shared.store.retire(&shared.owner)).await;
    log_done.cancel();
    let _ = tokio::time::timeout(LAST_WORDS, log_store.failure(&log_done)).await;
    ended
}

/// Sets the parts going and waits for their end.
///
/// # Errors
/// When one ended that nobody had stopped. The others are stopped then, and so is whatever would come next.
async fn supervise(
    shared: &Arc<Shared>,
    mappings: Option<Vec<Mapping>>,
    stop: &CancellationToken,
) -> Result<(), PartFailure> {
    let mut parts = Parts::default();
    parts.spawn("signs of life", maintenance::signs_of_life(shared.clone()));
    parts.spawn("configuration", reload::run(shared.clone()));
    parts.spawn("alerts", alerts::look(shared.clone()));
    parts.spawn("telling alerts", alerts::tell(shared.clone()));
    parts.spawn("metrics", exposition::run(shared.clone()));
    parts.spawn("causes", causes::run(shared.clone()));
    let signed_in = tokio::select! {
        mappings = sign_in(shared, mappings) => Ok(mappings),
        Some(failure) = parts.failure(&shared.stop) => Err(failure),
        () = shared.stop.cancelled() => Ok(None),
    };
    if let Ok(Some(mappings)) = &signed_in {
        work(shared, &mut parts, mappings);
    }
    // The end of one generation has all the time that its answers take; the end of the engine has not.
    let time_is_up = async {
        stop.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::pin!(time_is_up);
    let mut ended = signed_in.map(drop);
    loop {
        if ended.is_err() {
            stop.cancel();
        }
        tokio::select! {
            failure = parts.failure(&shared.stop) => match failure {
                Some(failure) => ended = ended.and(Err(failure)),
                None => break,
            },
            () = &mut time_is_up => {
                shared.log.warn(
                    format!("cut off at the end: {}", parts.names()),
                    serde_json::json!({"after": format!("{} s", GRACE.as_secs())}),
                );
                break;
            }
        }
    }
    let _ = tokio::time::timeout(LAST_WORDS, shared.metrics.store(&shared.store)).await;
    ended
}

/// Sets those parts going that work the mappings.
fn work(shared: &Arc<Shared>, parts: &mut Parts, mappings: &[Mapping]) {
    if let Ok(mut held) = shared.mappings.write() {
        *held = Arc::new(mappings.to_vec());
    }
    shared.log.info("engine started", serde_json::json!({"mappings": mappings.len(), "owner": shared.owner}));
    parts.spawn("writer", write::writer::run(shared.clone()));
    // One more than calls: it prepares the next one.
    for lane in 1..=shared.config.salesforce.calls_at_once {
        parts.spawn(format!("writer {}", lane + 1), write::writer::run_beside(shared.clone(), lane));
    }
    parts.spawn("watch", write::watch::run(shared.clone()));
    parts.spawn("jobs", write::bulk::run(shared.clone()));
    parts.spawn("answers", answers::run(shared.clone()));
    parts.spawn("rules", rules::run(shared.clone()));
    parts.spawn("maintenance", maintenance::run(shared.clone()));
    parts.spawn_errand("indexes", maintenance::index(shared.clone()));
    parts.spawn("health", health::run(shared.clone()));
    parts.spawn("guard", table_check::run(shared.clone()));
    parts.spawn("comparisons", consistency::run(shared.clone()));
    parts.spawn("findings", consistency::look(shared.clone()));
    parts.spawn("custody", custody::run(shared.clone()));
    parts.spawn("schema", schema::run(shared.clone()));
    parts.spawn("notices", maintenance::listen(shared.clone()));
    parts.spawn("change events", read::events::run(shared.clone()));
    for mapping in mappings {
        let name = mapping.object.clone();
        parts.spawn(format!("reader of {name}"), read::reader::run(shared.clone(), name));
    }
}

/// The mappings, trying until Salesforce can be asked. `None` when the end comes first.
async fn sign_in(shared: &Shared, mappings: Option<Vec<Mapping>>) -> Option<Vec<Mapping>> {
    if mappings.is_some() {
        return mappings;
    }
    loop {
        let known = shared.store.definitions().await.unwrap_or_default();
        match prepare::mappings(&shared.config, &shared.client, &known).await {
            Ok((org_id, mut mappings)) => {
                match lay_out(&shared.config, &shared.store, &shared.log, &org_id, &mut mappings).await {
                    Ok(()) => return Some(mappings),
                    Err(error) => shared
                        .log
                        .error("cannot lay out the schema", serde_json::json!({"cause": error.to_string()})),
                }
            }
            Err(StartError::Salesforce { source, .. }) => {
                connection::report(shared, &source).await;
            }
            Err(error) => shared
                .log
                .error("the mappings do not fit the org", serde_json::json!({"cause": error.to_string()})),
        }
        if !shared.pause(Duration::from_secs(5)).await {
            return None;
        }
    }
}

/// A name for an engine, or for whoever starts one, that no other has: host, process and a random part.
pub(crate) fn owner() -> String {
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    format!("{host}/{}/{:04x}", std::process::id(), rand::random::<u16>())
}

/// A short random word for tokens and batches.
fn random_word() -> String {
    format!("{:016x}", rand::random::<u64>())
}
