//! The engine alone, of one connection or of all that the configuration has, until a signal ends it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use color_eyre::eyre::{Result, WrapErr, bail};
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, ConfigError, ConnectionName, EngineMode};
use crate::domain::mappings::backoff::Backoff;
use crate::domain::values::duration::spoken;
use crate::engine::{self, Engine, StartError, TROUBLE, Teller};
use crate::logs::Level;
use crate::logs::line::logfmt;
use crate::logs::sanitize::sanitize;
use crate::postgres::Store;
use crate::postgres::session::connect::{ENGINE_SESSION, Session};

use super::args::Cli;
use super::signals::{ended, terminated};
use super::{DONE, explain, plan, print, store};

/// How long the last lines of the log are waited for.
const ECHO: Duration = Duration::from_millis(500);
/// How long the end of all engines may take.
const END: Duration = Duration::from_millis(9_300);
/// Between two looks at which connections the file has.
const LOOK: Duration = Duration::from_secs(2);

/// What whoever starts an engine says yes to, about tables that were there before.
#[derive(Clone, Copy, Default)]
pub(super) struct Consent {
    /// That they are taken over.
    pub(super) adopts: bool,
    /// Also where Heroku Connect was seen at work.
    pub(super) allows_two_engines: bool,
}

impl Consent {
    fn of(self, config: Config) -> Config {
        Config { adopts: self.adopts, allows_two_engines: self.allows_two_engines, ..config }
    }
}

/// The engine alone; of several connections each its own. Its log goes to standard error as well.
pub(super) async fn run(cli: &Cli, consent: Consent) -> Result<u8> {
    if cli.read_only {
        return Err(print::Usage(
            "--read-only starts no engine\nleave it out, or run the console".to_owned(),
        )
        .into());
    }
    if cli.attach_heroku_connect.is_some() {
        super::config(cli)?.refuse_engine()?;
    }
    match super::several(cli)? {
        None => {
            let config = Config::load_engine(cli.config.as_deref(), cli.connection.as_deref())?;
            config.refuse_engine()?;
            // Without a terminal nobody can be asked, and the start itself refuses what is not ours.
            let adopts =
                consent.adopts || (std::io::stdin().is_terminal() && plan::may_adopt(&config).await?);
            let config = Consent { adopts, ..consent }.of(config);
            let ended = pin!(until_ended());
            let stop = CancellationToken::new();
            let service = async {
                tokio::select! {
                    started = Service::start(&config, String::new()) => started?.run(&stop).await,
                    () = stop.cancelled() => Ok(()),
                }
            };
            until(ended, &stop, service).await?;
        }
        Some(there) => {
            // One that comes into the file later needs no start of its own, but nothing at all is no service.
            if let Some(of) = there.first().filter(|_| there.iter().all(is_attached)) {
                return Err(ConfigError::Attached { name: of.name.clone() }.into());
            }
            let stop = CancellationToken::new();
            until(pin!(until_ended()), &stop, keep_all(cli.config.clone(), consent, &stop)).await?;
        }
    }
    Ok(DONE)
}

/// Runs services until they end by themselves or are to end; then they have the time that an engine's end takes. A start
/// under way is broken off: nothing is in flight yet.
async fn until(
    ended: Pin<&mut impl Future<Output = ()>>,
    stop: &CancellationToken,
    services: impl Future<Output = Result<()>>,
) -> Result<()> {
    let mut services = pin!(services);
    tokio::select! {
        done = &mut services => return done,
        () = ended => stop.cancel(),
    }
    // Whatever keeps it: nobody waits for it any longer.
    tokio::time::timeout(END, services).await.unwrap_or(Ok(()))
}

/// A service takes SIGHUP as the wish to look at its configuration; one at a terminal ends with the terminal.
async fn until_ended() {
    if std::io::stdin().is_terminal() {
        ended().await;
    } else {
        terminated().await;
    }
}

/// Runs the engines of all connections, of those too that come into the file, until they leave it.
///
/// # Errors
/// When an engine ended by itself. The others are stopped then: whoever runs this program starts all of them again.
async fn keep_all(path: Option<PathBuf>, mut consent: Consent, stop: &CancellationToken) -> Result<()> {
    let mut services: JoinSet<Result<()>> = JoinSet::new();
    let mut failed = None;
    let mut kept: BTreeMap<String, CancellationToken> = BTreeMap::new();
    // Connections that have another engine.
    let mut left: BTreeSet<String> = BTreeSet::new();
    while !stop.is_cancelled() {
        // A file that cannot be read now ends nothing: each engine tells what is wrong, and goes on.
        if let Ok(there) = Config::connections(path.as_deref()) {
            kept.retain(|name, ends| {
                let stays = there.iter().any(|of| of.name == *name);
                if !stays {
                    ends.cancel();
                }
                stays
            });
            for of in there {
                if kept.contains_key(&of.name) {
                    continue;
                }
                if is_attached(&of) {
                    if left.insert(of.name.clone()) {
                        print::problem(&ConfigError::Attached { name: of.name }.to_string());
                    }
                    continue;
                }
                let ends = stop.child_token();
                services.spawn(keep(path.clone(), of.name.clone(), consent, ends.clone()));
                kept.insert(of.name, ends);
            }
            // It was said about the connections that were there then.
            consent = Consent::default();
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            Some(ended) = services.join_next() => {
                failed = failed.or(flat(ended).err());
                if failed.is_some() {
                    stop.cancel();
                }
            }
            () = stop.cancelled() => {}
        }
    }
    while let Some(ended) = services.join_next().await {
        failed = failed.or(flat(ended).err());
    }
    failed.map_or(Ok(()), Err)
}

/// Whether Heroku Connect does the work of a connection.
fn is_attached(of: &ConnectionName) -> bool {
    of.engine == EngineMode::HerokuConnect
}

/// A task that panicked failed like any other.
fn flat(ended: Result<Result<()>, JoinError>) -> Result<()> {
    ended.unwrap_or_else(|error| Err(error.into()))
}

/// Runs the engine of one connection among several. What does not let it start is said and tried again: the others
/// must not suffer from it.
///
/// # Errors
/// When it ended by itself.
async fn keep(
    path: Option<PathBuf>,
    name: String,
    mut consent: Consent,
    stop: CancellationToken,
) -> Result<()> {
    let start = async |consent: Consent| {
        let config = consent.of(Config::load_engine(path.as_deref(), Some(&name))?);
        Service::start(&config, format!("{} ", sanitize(&name))).await
    };
    let mut attempts = 0;
    let service = loop {
        let started = tokio::select! {
            started = start(consent) => started,
            () = stop.cancelled() => return Ok(()),
        };
        let report = match started {
            Ok(service) => break service,
            Err(report) => report,
        };
        if report.chain().any(|cause| matches!(cause.downcast_ref(), Some(StartError::AtWork { .. }))) {
            // That nothing is seen of it later is no proof that it is off: somebody is to say so again.
            consent = Consent::default();
        }
        let wait = Backoff::default().delay(attempts, 1.0);
        attempts += 1;
        print::problem(&format!("{name}: {}\nit is tried again in {}", explain(&report), spoken(wait)));
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => return Ok(()),
        }
    };
    service.run(&stop).await.wrap_err(name)
}

/// A running engine and the echo of its log.
struct Service {
    engine: Engine,
    echo: JoinHandle<()>,
    stop: CancellationToken,
}

impl Service {
    /// Each line of the log begins with `lead`.
    async fn start(config: &Config, lead: String) -> Result<Service> {
        let store = store(config, &Session::new(ENGINE_SESSION, config.postgres.timeout)).await?;
        let least = if print::is_verbose() { Level::Debug } else { Level::Info };
        let of_trouble = lead.clone();
        // What keeps PostgreSQL from keeping the log is told here at once.
        let tell: Teller = Arc::new(move |record| print::note(&format!("{of_trouble}{}", logfmt(record))));
        let engine = engine::start_logging(config.clone(), store.clone(), least, Some(tell)).await?;
        let stop = CancellationToken::new();
        let echo = tokio::spawn(echo_log(store, lead, stop.clone()));
        Ok(Service { engine, echo, stop })
    }

    /// Runs until it is stopped.
    ///
    /// # Errors
    /// When a part of it ended before: a supervisor is to start it again.
    async fn run(mut self, stop: &CancellationToken) -> Result<()> {
        let ended = tokio::select! {
            () = stop.cancelled() => Ok(()),
            failure = self.engine.ended() => Err(failure.into()),
            ended = &mut self.echo => {
                self.engine.stop().await;
                ended?;
                bail!("the echo of the log came to an end");
            }
        };
        self.engine.stop().await;
        self.stop.cancel();
        // What PostgreSQL does not give now stands in its log.
        if tokio::time::timeout(ECHO, &mut self.echo).await.is_err() {
            self.echo.abort();
        }
        ended
    }
}

async fn echo_log(store: Store, lead: String, stop: CancellationToken) {
    let mut after =
        store.log(None, 1).await.ok().and_then(|log| log.last().map(|record| record.id)).unwrap_or(0);
    loop {
        for record in store.log(Some(after), 1_000).await.unwrap_or_default() {
            after = record.id;
            if record.dyno == TROUBLE {
                continue;
            }
            print::note(&format!("{lead}{}", logfmt(&record)));
        }
        if stop.is_cancelled() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(300)) => {}
            () = stop.cancelled() => {}
        }
    }
}
