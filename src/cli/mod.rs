//! The command line: arguments, one file per family of commands. Prints, decides nothing: what it shows and does goes
//! through a client, or starts the console, an engine, the demo or the simulator.

mod adopt;
mod alert;
mod args;
mod audit;
mod bulk;
mod cause;
mod console;
mod console_shadow;
mod demo;
mod dialogue;
mod docs;
mod engines;
mod fix;
mod forecast;
mod heroku;
mod heroku_api;
mod init;
mod lines;
mod list;
mod mapping;
mod plan;
mod print;
mod rebind;
mod service;
mod setup;
mod shadow;
mod signals;
mod sources;
mod stats;
mod status;
mod verify;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use color_eyre::config::HookBuilder;
use color_eyre::eyre::Report;

use crate::client::api::{Client, ClientError, ErrorKind, operator};
use crate::client::attached::heroku::HerokuApi;
use crate::client::attached::session::Attached;
use crate::config::heroku_connect::ImportError;
use crate::config::{Config, ConfigError, ConnectionName, EngineMode};
use crate::demo::private::PrivateServerError;
use crate::domain::operations::operation::OperationKind;
use crate::engine::StartError;
use crate::postgres::session::connect::Session;
use crate::postgres::{self, Store};

use args::{Cli, CliCommand, ExportWhat};

/// Done.
const DONE: u8 = 0;
/// It failed.
const FAILED: u8 = 1;
/// Wrong usage or configuration.
const WRONG: u8 = 2;
/// Done, but what was asked about is not healthy.
const UNHEALTHY: u8 = 3;

/// Parses the arguments, does what they ask, and tells the exit status. Expected failures are a few plain lines;
/// a bug is what gets color-eyre's report.
pub fn main() -> ExitCode {
    report_bugs();
    let cli = Cli::parse();
    let begin = Instant::now();
    if cli.verbose {
        print::be_verbose();
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            print::problem(&format!("cannot start: {error}"));
            return ExitCode::from(FAILED);
        }
    };
    let status = match runtime.block_on(dispatch(cli)) {
        Ok(status) => status,
        Err(report) if print::reader_left(&report) => DONE,
        Err(report) => {
            print::problem(&explain(&report));
            status_of(&report)
        }
    };
    print::detail(&format!("exit status {status} after {:.2} s", begin.elapsed().as_secs_f64()));
    // Tasks that wait for nobody are not waited for.
    runtime.shutdown_background();
    ExitCode::from(status)
}

/// A bug is told by color-eyre, whose own hook would panic again, and so abort, where nobody reads standard error.
fn report_bugs() {
    let (of_panics, of_errors) = HookBuilder::default().into_hooks();
    let _ = of_errors.install();
    std::panic::set_hook(Box::new(move |panic| {
        print::aside(&format!("{}\n", of_panics.panic_report(panic)))
    }));
}

async fn dispatch(cli: Cli) -> Result<u8, Report> {
    refuse_attached(&cli)?;
    match &cli.command {
        None => console::run(&cli).await,
        Some(CliCommand::Init { reconnect }) => init::run(&cli, *reconnect).await,
        Some(CliCommand::Plan(options)) => plan::run(&cli, options).await,
        Some(CliCommand::Shadow(keys)) => shadow::run(&cli, keys).await,
        Some(CliCommand::Adopt { undo: false, yes, allow_two_engines }) => {
            adopt::run(&cli, *yes, *allow_two_engines).await
        }
        Some(CliCommand::Adopt { undo: true, yes, .. }) => adopt::undo(&cli, *yes).await,
        Some(CliCommand::Rebind(options)) => rebind::run(&cli, options).await,
        Some(CliCommand::Run { adopt, allow_two_engines }) => {
            service::run(&cli, service::Consent { adopts: *adopt, allows_two_engines: *allow_two_engines })
                .await
        }
        Some(CliCommand::Demo(options)) => demo::run(&cli, options).await,
        Some(CliCommand::Simulator(options)) => demo::simulator(options).await,
        Some(CliCommand::Status { fail_on }) => status::run(&cli, fail_on).await,
        Some(CliCommand::Errors { filter, limit, group: true, .. }) => {
            list::groups(&cli, filter.as_deref().unwrap_or(""), *limit).await
        }
        Some(CliCommand::Errors { filter, sort, limit, .. }) => {
            list::errors(&cli, filter.as_deref().unwrap_or(""), *sort, *limit).await
        }
        Some(CliCommand::Pending { mapping, limit }) => list::pending(&cli, mapping.as_deref(), *limit).await,
        Some(CliCommand::Show { what, full }) => list::show(&cli, what, *full).await,
        Some(CliCommand::Logs { check: true, names, .. }) => sources::check(&cli, names).await,
        Some(CliCommand::Logs { files, follow, filter, lines, zone, names, check: false }) => {
            let (follow, filter, lines) = (*follow, filter.as_deref().unwrap_or(""), *lines);
            match files.as_slice() {
                [] => {
                    let lines = lines.unwrap_or(list::LOG_LINES);
                    sources::run(&cli, &sources::FollowedSources { names, follow, filter, lines }).await
                }
                files => {
                    lines::run(&cli, &lines::FollowedLines { files, zone: *zone, follow, filter, lines })
                        .await
                }
            }
        }
        Some(CliCommand::Runs { mapping, failed, limit }) => {
            list::runs(&cli, mapping.as_deref(), *failed, *limit).await
        }
        Some(CliCommand::Mapping { name: None, .. }) => mapping::list(&cli).await,
        Some(CliCommand::Mapping { name: Some(name), changes, yes }) => {
            mapping::one(&cli, name, changes, *yes).await
        }
        Some(CliCommand::Fix(options)) => fix::fix(&cli, options).await,
        Some(CliCommand::Retry(many)) => bulk::run(&cli, many, OperationKind::Retry).await,
        Some(CliCommand::Release(many)) => bulk::run(&cli, many, OperationKind::Release).await,
        Some(CliCommand::Revert(many)) => bulk::run(&cli, many, OperationKind::Revert).await,
        Some(CliCommand::Ignore(many)) => bulk::run(&cli, many, OperationKind::Ignore).await,
        Some(CliCommand::Resolve(options)) => fix::resolve(&cli, options).await,
        Some(CliCommand::Repair { id, side, yes, why }) => {
            verify::repair_one(&cli, *id, side.as_deref(), *yes, why.as_deref()).await
        }
        Some(CliCommand::Merge { id, into, yes, why }) => {
            verify::merge(&cli, *id, *into, *yes, why.as_deref()).await
        }
        Some(CliCommand::Link { id, sfid, replace, wait, why }) => {
            let how = fix::Linking { replace: *replace, wait: *wait, why: why.as_deref() };
            fix::link(&cli, *id, sfid.as_deref(), &how).await
        }
        Some(CliCommand::Undo { operation, how }) => audit::undo(&cli, *operation, how).await,
        Some(CliCommand::Audit { operation: Some(operation), .. }) => {
            audit::operation(&cli, *operation).await
        }
        Some(CliCommand::Audit { mapping, row, actor, limit, .. }) => {
            audit::audit(&cli, mapping.as_deref(), row.as_deref(), actor.as_deref(), *limit).await
        }
        Some(CliCommand::Verify(options)) => verify::run(&cli, options).await,
        Some(CliCommand::Test { mapping, limit, offline, yes }) => {
            verify::test(&cli, mapping, usize::from(*limit), *offline, *yes).await
        }
        Some(CliCommand::Stats(options)) => stats::run(&cli, options).await,
        Some(CliCommand::Alert(options)) => alert::run(&cli, options).await,
        Some(CliCommand::Cause(options)) => cause::run(&cli, options).await,
        Some(CliCommand::Find { text, mapping }) => audit::find(&cli, text, mapping.as_deref()).await,
        Some(CliCommand::Heroku(options)) => heroku_api::run(&cli, options).await,
        Some(CliCommand::Import(options)) => heroku::import(&cli, options),
        Some(CliCommand::Export { what: ExportWhat::HerokuConnect, filter, format, output }) => {
            heroku::export(&cli, filter, format.as_deref(), output.as_deref())
        }
        Some(CliCommand::Export { filter, format, output, .. }) => {
            audit::export(&cli, filter, format.as_deref(), output.as_deref()).await
        }
        Some(CliCommand::Explain { text }) => list::explain(&cli, text).await,
        Some(CliCommand::Keys) => docs::keys(&cli),
        Some(CliCommand::Completions { .. } | CliCommand::Man { .. }) if cli.json => {
            Err(print::Usage("this has no JSON\nleave --json out".to_owned()).into())
        }
        Some(CliCommand::Completions { shell }) => docs::completions(*shell),
        Some(CliCommand::Man { command }) => docs::man(command.as_deref()),
    }
}

/// The causes in a line each, without repeating what an outer one says already.
fn explain(report: &Report) -> String {
    let mut text = String::new();
    for cause in report.chain().map(ToString::to_string) {
        if text.contains(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    text
}

fn status_of(report: &Report) -> u8 {
    let wrong = report.chain().any(|cause| {
        cause.is::<ConfigError>()
            || matches!(
                cause.downcast_ref::<StartError>(),
                Some(StartError::Config(_) | StartError::Foreign { .. } | StartError::AtWork { .. })
            )
            || matches!(cause.downcast_ref::<PrivateServerError>(), Some(PrivateServerError::Closed { .. }))
            || cause.downcast_ref::<ClientError>().is_some_and(|error| error.kind == ErrorKind::Invalid)
            || cause.is::<ImportError>()
            || cause.is::<print::Usage>()
    });
    if wrong { WRONG } else { FAILED }
}

/// The configuration that the options name.
fn config(cli: &Cli) -> Result<Config, ConfigError> {
    match &cli.attach_heroku_connect {
        Some(schema) => Config::attached(schema, cli.writes.as_deref()),
        None => Config::load(cli.config.as_deref(), cli.connection.as_deref()),
    }
}

/// Refuses what asks Salesforce itself where only Heroku Connect does.
fn needs_org(config: &Config) -> Result<(), ClientError> {
    if config.engine != EngineMode::HerokuConnect {
        return Ok(());
    }
    Err(ClientError::refused(format!(
        "this asks Salesforce itself, and the connection {} is attached to Heroku Connect: it has no login to the org\n\
         it needs a configuration of its own: syncdeck import heroku-connect",
        config.name
    )))
}

/// Refuses commands that are not about a connection, or make one, together with --attach-heroku-connect.
fn refuse_attached(cli: &Cli) -> Result<(), print::Usage> {
    let stray = matches!(
        &cli.command,
        Some(
            CliCommand::Init { .. }
                | CliCommand::Import(_)
                | CliCommand::Demo(_)
                | CliCommand::Simulator(_)
                | CliCommand::Export { what: ExportWhat::HerokuConnect, .. }
                | CliCommand::Keys
                | CliCommand::Completions { .. }
                | CliCommand::Man { .. }
        )
    );
    let text = match (&cli.attach_heroku_connect, &cli.writes) {
        (Some(_), _) if stray => "--attach-heroku-connect is not for this command\nleave it out",
        (None, Some(_)) => {
            "--writes goes with --attach-heroku-connect\nin a configuration it is: writes, beside engine = \"heroku-connect\""
        }
        _ => return Ok(()),
    };
    Err(print::Usage(text.to_owned()))
}

/// A connection to a database that Heroku Connect keeps.
async fn attached(config: &Config, session: &Session) -> Result<Client, Report> {
    let store = store(config, session).await?;
    let attached = Attached::open(store, &config.name, config.writes).await?;
    let attached = attached.with_api(HerokuApi::new(heroku_api::client(config, session.read_only))).await?;
    Ok(Client::attached(attached, operator()).meant_for(&config.environment))
}

/// The connections that a command is about which takes all of several; `None` where it is one.
fn several(cli: &Cli) -> Result<Option<Vec<ConnectionName>>, ConfigError> {
    if cli.connection.is_some() || cli.attach_heroku_connect.is_some() {
        return Ok(None);
    }
    let names = Config::connections(cli.config.as_deref())?;
    Ok(Some(names).filter(|names| names.len() > 1))
}

/// The database of the configuration, laid out already.
async fn store(config: &Config, session: &Session) -> Result<Store, postgres::Error> {
    let (path, name, environment) = (config.path.display(), &config.name, &config.environment);
    print::detail(&format!("configuration {path}, connection {name} ({environment})"));
    let store = Store::open(config.postgres_url(), &config.postgres.schema, session).await?;
    print::detail(&format!("connected to {}, schema {}", store.place(), config.postgres.schema));
    Ok(store)
}

/// The sessions of a command that looks, or does what an operator does.
fn session(cli: &Cli, config: &Config) -> Session {
    Session { connections: 2, read_only: cli.read_only, ..Session::new("syncdeck", config.postgres.timeout) }
}

/// The client, for commands that need an installation.
async fn client(cli: &Cli) -> Result<Client, Report> {
    client_of(cli, &config(cli)?).await
}

/// The client of one connection.
async fn client_of(cli: &Cli, config: &Config) -> Result<Client, Report> {
    if config.engine == EngineMode::HerokuConnect {
        return attached(config, &session(cli, config)).await;
    }
    let store = store(config, &session(cli, config)).await?;
    if !store.is_installed().await? {
        let text = format!(
            "nothing is installed in the database of {} yet\nstart the engine once, with: syncdeck run",
            config.path.display()
        );
        return Err(ClientError::refused(text).into());
    }
    Ok(Client::new(store, operator()).meant_for(&config.environment))
}
