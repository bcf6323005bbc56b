//! The console, with the engine behind it where the configuration says so; and the signals that end the program.

use std::io::IsTerminal;
use std::time::Duration;

use color_eyre::eyre::Result;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, ConfigError, EngineMode};
use crate::console;
use crate::engine::handle::{Handle, operator};
use crate::engine::{self, Engine, StartError};
use crate::postgres::status::Lease;
use crate::postgres::{self, Store};

use super::args::Cli;
use super::{DONE, config, init, print, store};

/// The lease under which one of several consoles starts the engine.
const ENGINE_LEASE: &str = "engine of a console";
const LEASE: Duration = Duration::from_secs(10);

/// The console; with `engine = "with-console"` the first one runs the engine too.
pub(super) async fn console(cli: &Cli) -> Result<u8> {
    let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let config = match config(cli) {
        Err(missing @ ConfigError::Missing { .. }) if terminal && !cli.read_only => {
            init::first_start(cli, &missing).await?;
            config(cli)?
        }
        found => found?,
    };
    let store = store(&config).await?;
    let stop = CancellationToken::new();
    let runs_engine = config.engine == EngineMode::WithConsole && !cli.read_only;
    let keeper = if runs_engine {
        // The first start tells at once what does not fit, before the screen is taken.
        let first = first_engine(&config, &store).await?;
        Some(tokio::spawn(keep_engine(config.clone(), store.clone(), first, stop.clone())))
    } else {
        None
    };
    if !store.is_installed().await? {
        return Err(print::Usage(
            "nothing is installed in this database yet, and this console does not run the engine\nstart it once, with: syncdeck run"
                .to_owned(),
        )
        .into());
    }
    let done = console::run(Handle::new(store, operator()), options(cli)).await;
    stop.cancel();
    if let Some(keeper) = keeper {
        let _ = keeper.await;
    }
    done.map(|()| DONE)
}

/// What the surroundings and the arguments say about the looks.
pub(super) fn options(cli: &Cli) -> console::Options {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var("TERM").is_ok_and(|term| term == "dumb");
    console::Options { read_only: cli.read_only, no_color }
}

/// Starts the engine unless one runs already.
async fn first_engine(config: &Config, store: &Store) -> Result<Option<Engine>, StartError> {
    if store.is_installed().await? && !may_start(store).await? {
        return Ok(None);
    }
    engine::start(config.clone(), store.clone()).await.map(Some)
}

/// Whether no engine gives a sign of life, and no other console is about to start one.
async fn may_start(store: &Store) -> Result<bool, postgres::Error> {
    let running = store.overview().await?.engine.state == "running";
    Ok(!running && store.lease(&engine_lease(), LEASE).await?)
}

fn engine_lease() -> Lease {
    Lease { name: ENGINE_LEASE.to_owned(), owner: format!("console {}", std::process::id()) }
}

/// Takes over when the engine that ran is gone, until this console is left.
async fn keep_engine(config: Config, store: Store, mut engine: Option<Engine>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(LEASE / 4) => {}
            () = stop.cancelled() => break,
        }
        // PostgreSQL may be away for a while; the next look is soon.
        if engine.is_none() && may_start(&store).await.unwrap_or(false) {
            engine = engine::start(config.clone(), store.clone()).await.ok();
        }
    }
    if let Some(engine) = engine {
        engine.stop().await;
        let _ = store.give_back(&engine_lease()).await;
    }
}

/// Ctrl-C, SIGTERM or SIGHUP.
pub(super) async fn ended() {
    let mut hangup = signal(SignalKind::hangup()).ok();
    let hung_up = async {
        match &mut hangup {
            Some(hangup) => hangup.recv().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = terminated() => {}
        _ = hung_up => {}
    }
}

/// Ctrl-C or SIGTERM.
pub(super) async fn terminated() {
    let mut terminate = signal(SignalKind::terminate()).ok();
    let asked = async {
        match &mut terminate {
            Some(terminate) => terminate.recv().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = asked => {}
    }
}
