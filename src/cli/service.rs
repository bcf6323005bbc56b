//! The engine alone, of one connection or of all that the configuration has, until a signal ends it.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use color_eyre::eyre::Result;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::domain::backoff::Backoff;
use crate::domain::duration::spoken;
use crate::engine::{self, Engine, TROUBLE, Teller};
use crate::logs::Level;
use crate::logs::line::logfmt;
use crate::logs::sanitize::sanitize;
use crate::postgres::Store;
use crate::postgres::connect::Session;

use super::args::Cli;
use super::signals::{ended, terminated};
use super::{DONE, explain, print, store};

/// Between two looks at which connections the file has.
const LOOK: Duration = Duration::from_secs(2);

/// The engine alone; of several connections each its own. Its log goes to standard error as well.
pub(super) async fn run(cli: &Cli) -> Result<u8> {
    if cli.read_only {
        return Err(print::Usage(
            "--read-only starts no engine\nleave it out, or run the console".to_owned(),
        )
        .into());
    }
    match super::several(cli)? {
        None => {
            let config = Config::load_engine(cli.config.as_deref(), cli.connection.as_deref())?;
            let service = Service::start(&config, String::new()).await?;
            until_ended().await;
            service.stop().await;
        }
        Some(_) => {
            let stop = CancellationToken::new();
            let services = tokio::spawn(keep_all(cli.config.clone(), stop.clone()));
            until_ended().await;
            stop.cancel();
            services.await?;
        }
    }
    Ok(DONE)
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
async fn keep_all(path: Option<PathBuf>, stop: CancellationToken) {
    let mut services = JoinSet::new();
    let mut kept: BTreeMap<String, CancellationToken> = BTreeMap::new();
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
                let ends = stop.child_token();
                services.spawn(keep(path.clone(), of.name.clone(), ends.clone()));
                kept.insert(of.name, ends);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = stop.cancelled() => {}
        }
    }
    services.join_all().await;
}

/// Runs the engine of one connection among several. What does not let it start is said and tried again: the others
/// must not suffer from it.
async fn keep(path: Option<PathBuf>, name: String, stop: CancellationToken) {
    let start = async || {
        let config = Config::load_engine(path.as_deref(), Some(&name))?;
        Service::start(&config, format!("{} ", sanitize(&name))).await
    };
    let mut attempts = 0;
    let service = loop {
        let started = tokio::select! {
            started = start() => started,
            () = stop.cancelled() => return,
        };
        let report = match started {
            Ok(service) => break service,
            Err(report) => report,
        };
        let wait = Backoff::default().delay(attempts, 1.0);
        attempts += 1;
        print::problem(&format!("{name}: {}\nit is tried again in {}", explain(&report), spoken(wait)));
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => return,
        }
    };
    stop.cancelled().await;
    service.stop().await;
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
        let store = store(config, &Session::new("syncdeck engine", config.postgres.timeout)).await?;
        let least = if print::is_verbose() { Level::Debug } else { Level::Info };
        let of_trouble = lead.clone();
        // What keeps PostgreSQL from keeping the log is told here at once.
        let tell: Teller = Arc::new(move |record| print::note(&format!("{of_trouble}{}", logfmt(record))));
        let engine = engine::start_logging(config.clone(), store.clone(), least, Some(tell)).await?;
        let stop = CancellationToken::new();
        let echo = tokio::spawn(echo_log(store, lead, stop.clone()));
        Ok(Service { engine, echo, stop })
    }

    async fn stop(self) {
        self.engine.stop().await;
        self.stop.cancel();
        let _ = self.echo.await;
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
