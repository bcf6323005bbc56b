//! The console, with the engine behind it where the configuration says so, on each connection that one goes to.

use std::io::IsTerminal;
use std::sync::Arc;

use chrono::{Local, Offset};
use color_eyre::eyre::Result;

use crate::client::api::{Client, operator};
use crate::config::console::ConsoleSettings;
use crate::config::state::{SessionState, StateFile};
use crate::config::{Config, ConfigError, ConnectionName, EngineMode};
use crate::console::keymap::Keymap;
use crate::console::settings::{Connection, Settings};
use crate::console::term::{guard, hangup};
use crate::console::theme::{Always, Background, Theme};
use crate::console::{self, Backend, InvalidSetting, Left};
use crate::engine;
use crate::postgres::session::connect::{Session, database_of};

use super::args::Cli;
use super::engines::Engines;
use super::setup::ConsoleSetup;
use super::{DONE, FAILED, attached, config, explain, init, print, store};

/// The console; with `engine = "with-console"` the first one runs the engine too.
pub(super) async fn run(cli: &Cli) -> Result<u8> {
    let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let config = match config(cli) {
        Err(missing @ ConfigError::Missing { .. }) if terminal && !cli.read_only => {
            init::first_start(cli, &missing).await?;
            config(cli)?
        }
        found => found?,
    };
    let engines = Engines::new();
    // The console outlives the engine, says that it ended, and starts it again.
    guard::spare(engine::is_of_engine);
    let watchdog = tokio::spawn(end_when_stuck(engines.clone()));
    let left = visit(cli, config, &engines).await;
    watchdog.abort();
    // The engine of a connection that was left goes on until the console ends, however it ends.
    engines.stop().await;
    left.map(|()| DONE)
}

/// Ends the program in good order when the console was told to end and cannot, because its terminal takes nothing.
async fn end_when_stuck(engines: Engines) {
    hangup::stuck().await;
    engines.stop().await;
    std::process::exit(FAILED.into());
}

/// Shows one connection after the other until the console is left. One that cannot be opened leads back to where the
/// operator came from, with the reason.
async fn visit(cli: &Cli, mut config: Config, engines: &Engines) -> Result<()> {
    let mut connections = Vec::new();
    // The client of the connection that shows, once it is open; and where one came from, until then.
    let mut shown: Option<Client> = None;
    let mut former: Option<(Config, Client)> = None;
    let mut notice = None;
    // What is typed behind the choice of a connection is for that one.
    let mut keys = console::Keys::default();
    loop {
        let mut options = options(cli, &config)?;
        if let Ok(known) = Config::connections(Some(&config.path)) {
            let connection = |of: ConnectionName| Connection { name: of.name, environment: of.environment };
            connections = known.into_iter().map(connection).collect();
        }
        options.settings.connections.clone_from(&connections);
        options.settings.notice = notice.take().or(options.settings.notice);
        let mut refused = None;
        let opening = async {
            let opened = match &shown {
                Some(client) => {
                    return Ok(Backend { client: client.clone(), sources: config.log_sources.clone() });
                }
                None => open(cli, &config, engines).await,
            };
            match &opened {
                Ok(client) => (shown, former) = (Some(client.clone()), None),
                Err(report) => refused = Some(explain(report)),
            }
            Ok(Backend { client: opened?, sources: config.log_sources.clone() })
        };
        let left = console::run(opening, options, &mut keys).await;
        match left {
            Ok(Left::Quit) => return Ok(()),
            Ok(Left::Connect(name)) => match other(cli, &config, &name) {
                Ok(next) => {
                    let before = std::mem::replace(&mut config, next);
                    former = shown.take().map(|client| (before, client)).or(former);
                }
                Err(error) => notice = Some(error.to_string()),
            },
            Err(report) => match (refused, former.take()) {
                (Some(why), Some((before, client))) => {
                    notice = Some(format!("{} cannot be opened: {why}", config.name));
                    (config, shown) = (before, Some(client));
                }
                _ => return Err(report),
            },
        }
    }
}

/// The configuration of another connection of the same file.
fn other(cli: &Cli, config: &Config, name: &str) -> Result<Config, ConfigError> {
    let next = Config::load(Some(&config.path), Some(name))?;
    looks(cli, &next).map(|_| next)
}

/// Opens a connection.
async fn open(cli: &Cli, config: &Config, engines: &Engines) -> Result<Client> {
    let own = Session::of_console(config.postgres.timeout, cli.read_only);
    if config.engine == EngineMode::HerokuConnect {
        return Ok(attached(config, &own).await?.with_setup(ConsoleSetup::of(config)));
    }
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
    let client = Client::new(own, operator()).meant_for(&config.environment);
    Ok(client.with_setup(ConsoleSetup::of(config)))
}

/// How a console of this connection looks, and where it begins.
fn options(cli: &Cli, config: &Config) -> Result<console::Options, ConfigError> {
    let mut settings = looks(cli, config)?;
    let database = format!("{} {}", database_of(config.postgres_url()), config.postgres.schema);
    let file = StateFile::of(&config.name, &database).map(Arc::new);
    let state = match file.as_ref().map(|file| file.load()) {
        Some(Ok(state)) => state,
        Some(Err(why)) => {
            settings.notice = Some(why);
            SessionState::default()
        }
        None => SessionState::default(),
    };
    Ok(console::Options { settings, mouse: config.console.mouse, state, file })
}

/// Looks and keys, from the configuration, the arguments and the surroundings.
fn looks(cli: &Cli, config: &Config) -> Result<Settings, ConfigError> {
    let settings = settings(cli, &config.console).map_err(|unfit| {
        let InvalidSetting { entry, problem, remedy } = unfit;
        config.refuse_console(&entry, problem, remedy)
    })?;
    let opening = "connecting to PostgreSQL ...".to_owned();
    // Without a file of its own, it is the one that import writes.
    let setup_file = cli.attach_heroku_connect.as_ref().map(|_| "syncdeck.toml".to_owned());
    Ok(Settings { connection: config.name.clone(), opening, setup_file, ..settings })
}

/// The same without a connection.
pub(super) fn settings(cli: &Cli, wanted: &ConsoleSettings) -> Result<Settings, InvalidSetting> {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let terminal = variable("TERM");
    // What COLORFGBG tells is of use where there are colours enough to fit it.
    let colorful = terminal.contains("256color") || !variable("COLORTERM").is_empty();
    let always = Always {
        // The fonts of the Linux console have few of our signs; of a dumb terminal nothing is known.
        ascii: wanted.ascii || !speaks_utf8() || ["linux", "dumb"].contains(&terminal.as_str()),
        no_color: !variable("NO_COLOR").is_empty() || terminal == "dumb",
        colorful,
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
        copy: wanted.copy.clone(),
        log_memory: usize::try_from(wanted.log_memory).unwrap_or(usize::MAX),
        begins_with_groups: wanted.home == "groups",
        filters: wanted.filters.clone(),
        log_filters: wanted.log_filters.clone(),
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
