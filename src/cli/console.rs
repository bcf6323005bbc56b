//! The console, with the engine behind it where the configuration says so, on each connection that one goes to.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use chrono::{Local, Offset};
use color_eyre::eyre::Result;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::console::ConsoleSettings;
use crate::config::state::ConsoleState;
use crate::config::{Config, ConfigError, EngineMode};
use crate::console::keymap::Keymap;
use crate::console::model::{Connection, Settings};
use crate::console::theme::{Always, Background, Theme};
use crate::console::{self, Left, Unfit};
use crate::engine::handle::{Handle, operator};
use crate::engine::{self, Engine, StartError};
use crate::postgres::connect::Session;
use crate::postgres::status::Lease;
use crate::postgres::{self, Store};

use super::args::Cli;
use super::{DONE, config, init, print, store};

/// The lease under which one of several consoles starts the engine.
const ENGINE_LEASE: &str = "engine of a console";
const LEASE: Duration = Duration::from_secs(10);

/// The console; with `engine = "with-console"` the first one runs the engine too.
pub(super) async fn run(cli: &Cli) -> Result<u8> {
    let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let mut config = match config(cli) {
        Err(missing @ ConfigError::Missing { .. }) if terminal && !cli.read_only => {
            init::first_start(cli, &missing).await?;
            config(cli)?
        }
        found => found?,
    };
    let connections = Config::connections(Some(&config.path))?;
    let connections: Vec<Connection> = connections
        .into_iter()
        .map(|connection| Connection { name: connection.name, environment: connection.environment })
        .collect();
    // The engine of a connection that was left goes on until the console ends.
    let mut engines = Engines::default();
    let left = loop {
        let mut options = options(cli, &config)?;
        options.settings.connections.clone_from(&connections);
        let opening = open(cli, &config, &mut engines);
        match console::run(opening, options).await {
            Ok(Left::Connect(name)) => config = Config::load(Some(&config.path), Some(&name))?,
            left => break left,
        }
    };
    engines.stop().await;
    left.map(|_| DONE)
}

/// Opens the door of a connection.
async fn open(cli: &Cli, config: &Config, engines: &mut Engines) -> Result<Handle> {
    let own = Session::of_console(config.postgres.timeout, cli.read_only);
    let own = store(config, &own).await?;
    if config.engine == EngineMode::WithConsole && !cli.read_only {
        engines.keep(config).await?;
    }
    if !own.is_installed().await? {
        return Err(print::Usage(
            "nothing is installed in this database yet, and this console does not run the engine\nstart it once, with: syncdeck run"
                .to_owned(),
        )
        .into());
    }
    Ok(Handle::new(own, operator()))
}

/// Looks and keys, from the configuration, the arguments and the surroundings.
fn options(cli: &Cli, config: &Config) -> Result<console::Options, ConfigError> {
    let settings = settings(cli, &config.console).map_err(|unfit| {
        let Unfit { entry, problem, remedy } = unfit;
        config.refuse_console(&entry, problem, remedy)
    })?;
    let settings = Settings {
        connection: config.name.clone(),
        opening: "connecting to PostgreSQL ...".to_owned(),
        ..settings
    };
    Ok(console::Options { settings, mouse: config.console.mouse, state: ConsoleState::load(&config.name) })
}

/// The same without a connection.
pub(super) fn settings(cli: &Cli, wanted: &ConsoleSettings) -> Result<Settings, Unfit> {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let terminal = variable("TERM");
    // What COLORFGBG tells is of use where there are colours enough to fit it.
    let colorful = terminal.contains("256color") || !variable("COLORTERM").is_empty();
    let always = Always {
        // The fonts of the Linux console have few of our signs; of a dumb terminal nothing is known.
        ascii: wanted.ascii || !speaks_utf8() || ["linux", "dumb"].contains(&terminal.as_str()),
        no_color: !variable("NO_COLOR").is_empty() || terminal == "dumb",
        background: Background::told(&variable("COLORFGBG")).filter(|_| colorful),
        ..Always::default()
    };
    Ok(Settings {
        zone: Local::now().offset().fix(),
        utc: wanted.utc,
        clock: wanted.clock,
        theme: Theme::configured(&wanted.theme, &wanted.colors, always)?,
        tmux: !variable("TMUX").is_empty(),
        keymap: Arc::new(Keymap::configured(&wanted.keys)?),
        read_only: cli.read_only,
        log_memory: usize::try_from(wanted.log_memory).unwrap_or(usize::MAX),
        filters: wanted.filters.clone(),
        ..Settings::default()
    })
}

/// Whether the locale has more than ASCII; one that is not said has, as on every system of today.
fn speaks_utf8() -> bool {
    let said = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    said.is_none_or(|locale| {
        let locale = locale.to_lowercase();
        locale.contains("utf-8") || locale.contains("utf8") || locale == "c" || locale == "posix"
    })
}

/// The engines that this console runs, by connection.
#[derive(Default)]
struct Engines {
    stop: CancellationToken,
    keepers: BTreeMap<String, JoinHandle<()>>,
}

impl Engines {
    /// Runs the engine of a connection unless another console or service does, and takes over when that is gone. The
    /// first start tells at once what does not fit.
    async fn keep(&mut self, config: &Config) -> Result<(), StartError> {
        if !self.keepers.contains_key(&config.name) {
            let store = store(config, &Session::new("syncdeck engine", config.postgres.timeout)).await?;
            let first = first_engine(config, &store).await?;
            let keeper = keep_engine(config.clone(), store, first, self.stop.clone());
            self.keepers.insert(config.name.clone(), tokio::spawn(keeper));
        }
        Ok(())
    }

    async fn stop(self) {
        self.stop.cancel();
        for keeper in self.keepers.into_values() {
            let _ = keeper.await;
        }
    }
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
