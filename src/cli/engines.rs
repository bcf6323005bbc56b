//! The engines that a console runs, where the configuration says `engine = "with-console"`: the console that comes first
//! runs the engine of its connection, and when that one is gone, another takes over.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Config, EngineMode};
use crate::domain::mappings::backoff::Backoff;
use crate::domain::state::EngineState;
use crate::domain::values::duration::spoken;
use crate::engine::{self, Engine, PartFailure, StartError};
use crate::postgres::reports::status::Lease;
use crate::postgres::session::connect::{ENGINE_SESSION, Session};
use crate::postgres::{self, Store};

use super::store;

/// The lease under which one of several consoles starts the engine.
const ENGINE_LEASE: &str = "engine of a console";
const LEASE: Duration = Duration::from_secs(10);
/// Between two looks whether an engine runs.
const LOOK: Duration = Duration::from_millis(2_500);
/// How long the end of all engines may take.
const END: Duration = Duration::from_millis(9_500);
/// An engine that ran for so long before it ended by itself is started again without a long rest.
const LASTED: Duration = Duration::from_secs(600);
/// Between two tries of a console that cannot start one; meanwhile any other may.
const RESTS: Backoff =
    Backoff { base: Duration::from_secs(5), cap: Duration::from_secs(60), max_retries: u32::MAX };

/// The engines of this process, by connection. Clones are about the same engines.
#[derive(Clone)]
pub(super) struct Engines {
    /// Who asks for the lease; no console of another host is called the same.
    owner: String,
    stop: CancellationToken,
    keepers: TaskTracker,
    /// The connections that have a keeper.
    kept: Arc<Mutex<HashSet<String>>>,
}

impl Engines {
    /// None yet.
    pub(super) fn new() -> Engines {
        Engines {
            owner: format!("console {}", engine::owner()),
            stop: CancellationToken::new(),
            keepers: TaskTracker::new(),
            kept: Arc::default(),
        }
    }

    /// Runs the engine of a connection unless another console or service does, and takes over when that is gone. The
    /// first start tells at once what does not fit.
    ///
    /// # Errors
    /// See [`StartError`].
    pub(super) async fn keep(&self, config: &Config) -> Result<(), StartError> {
        if self.kept.lock().is_ok_and(|kept| kept.contains(&config.name)) {
            return Ok(());
        }
        let store = store(config, &Session::new(ENGINE_SESSION, config.postgres.timeout)).await?;
        let engine = self.first(config, &store).await?;
        let keeper = Keeper {
            lease: self.lease(),
            config: config.clone(),
            store,
            engine,
            started_at: Instant::now(),
            failures: 0,
            rests_until: Instant::now(),
            told: String::new(),
        };
        if let Ok(mut kept) = self.kept.lock() {
            kept.insert(config.name.clone());
        }
        self.keepers.spawn(keeper.run(self.stop.clone()));
        Ok(())
    }

    /// Stops all of them in good order.
    pub(super) async fn stop(&self) {
        self.stop.cancel();
        self.keepers.close();
        // Whatever keeps one, leases cover it; the console is not to hang for that.
        let _ = tokio::time::timeout(END, self.keepers.wait()).await;
    }

    /// Starts the engine unless one runs already.
    async fn first(&self, config: &Config, store: &Store) -> Result<Option<Engine>, StartError> {
        let lease = self.lease();
        if store.is_installed().await? && !may_start(store, &lease).await? {
            return Ok(None);
        }
        let started = engine::start(config.clone(), store.clone()).await;
        if started.is_err() {
            let _ = store.give_back(&lease).await;
        }
        started.map(Some)
    }

    fn lease(&self) -> Lease {
        Lease { name: ENGINE_LEASE.to_owned(), owner: self.owner.clone() }
    }
}

/// Whether no engine gives a sign of life, and no other console is about to start one.
async fn may_start(store: &Store, lease: &Lease) -> Result<bool, postgres::Error> {
    let running = store.overview().await?.engine.state == EngineState::Running;
    Ok(!running && store.lease(lease, LEASE).await?)
}

/// Sees to it that one connection has an engine.
struct Keeper {
    lease: Lease,
    /// As the file said last, when it could be read.
    config: Config,
    store: Store,
    /// The one that runs in this process.
    engine: Option<Engine>,
    /// When that was started.
    started_at: Instant,
    /// How often it could not be started, or ended by itself soon, one time behind the other.
    failures: u32,
    rests_until: Instant,
    /// Why not, as it was told last.
    told: String,
}

impl Keeper {
    /// Takes over when the engine that ran is gone, until the consoles are left.
    async fn run(mut self, stop: CancellationToken) {
        loop {
            let ended = async {
                match &mut self.engine {
                    Some(engine) => engine.ended().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                failure = ended => self.lost(&failure).await,
                () = stop.cancelled() => break,
            }
            if self.engine.is_none() {
                self.look().await;
            }
        }
        if let Some(engine) = self.engine {
            engine.stop().await;
            let _ = self.store.give_back(&self.lease).await;
        }
    }

    /// Starts the engine where there is none.
    async fn look(&mut self) {
        // What the engine that is gone worked by is what the file says now, not what it said when this console opened.
        // While the file cannot be read, it is what it said last; the engine lists what is wrong with it.
        if let Ok(fresh) = self.config.load_again() {
            if fresh.contents != self.config.contents {
                (self.failures, self.rests_until) = (0, Instant::now());
            }
            self.config = fresh;
        }
        if self.config.engine != EngineMode::WithConsole || Instant::now() < self.rests_until {
            return;
        }
        // PostgreSQL may be away for a while; the next look is soon.
        if !may_start(&self.store, &self.lease).await.unwrap_or(false) {
            return;
        }
        match engine::start(self.config.clone(), self.store.clone()).await {
            Ok(engine) => {
                (self.engine, self.started_at) = (Some(engine), Instant::now());
                self.told.clear();
            }
            Err(error) => self.rest(&error).await,
        }
    }

    /// The engine ended by itself: the console says so, and when it is started again.
    async fn lost(&mut self, failure: &PartFailure) {
        self.engine = None;
        if self.started_at.elapsed() >= LASTED {
            self.failures = 0;
        }
        let rest = RESTS.delay(self.failures, 1.0);
        (self.rests_until, self.failures) = (Instant::now() + rest, self.failures.saturating_add(1));
        let next = format!("it is started again in {}", spoken(rest));
        engine::tell_ended(&self.store, &self.config, &self.lease.owner, failure, &next).await;
        let _ = self.store.give_back(&self.lease).await;
    }

    /// Lets others try, and says why this one cannot.
    async fn rest(&mut self, error: &StartError) {
        self.rests_until = Instant::now() + RESTS.delay(self.failures, 1.0);
        self.failures = self.failures.saturating_add(1);
        let why = error.to_string();
        if self.told != why {
            engine::tell_unstarted(&self.store, &self.config, &self.lease.owner, error).await;
            self.told = why;
        }
        let _ = self.store.give_back(&self.lease).await;
    }
}
