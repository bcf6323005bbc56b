//! The demo and the simulated org.

use std::io::IsTerminal;
use std::path::Path;
use std::time::Duration;

use color_eyre::eyre::{Result, eyre};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::client::api::{Client, operator};
use crate::config::console::ConsoleSettings;
use crate::console::Backend;
use crate::console::settings::Settings;
use crate::console::term::hangup;
use crate::demo::heroku_connect::{HerokuConnectDemo, TAKEOVER, WORDS};
use crate::demo::private::{install_line, is_installed};
use crate::demo::{Demo, Options};
use crate::postgres::session::connect::Session;
use crate::simulator::{self, Org, OrgOptions, seed};

use super::args::{Cli, DemoOptions, SimulatorOptions};
use super::dialogue::Dialogue;
use super::setup::ConsoleSetup;
use super::{DONE, FAILED, attached, console, print, signals};

/// Everything on this machine.
pub(super) async fn run(cli: &Cli, options: &DemoOptions) -> Result<u8> {
    let wanted = Options {
        dir: options.dir.clone(),
        rows: options.rows as usize,
        heroku_connect: options.heroku_connect,
    };
    offer_to_install()?;
    if options.headless {
        return match options.heroku_connect {
            true => headless_heroku_connect(cli, options, &wanted).await,
            false => headless(cli, options, &wanted).await,
        };
    }
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Err(print::Usage(
            "the demo's console needs a terminal\nwithout one use: syncdeck demo --headless --for 20s"
                .to_owned(),
        )
        .into());
    }
    let settings =
        console::settings(cli, &ConsoleSettings::default()).map_err(|unfit| print::Usage(unfit.problem))?;
    let opening = "starting a private PostgreSQL and a simulated org ...".to_owned();
    let setup_file = options.heroku_connect.then(|| TAKEOVER.to_owned());
    let settings = Settings { connection: "acme".to_owned(), opening, setup_file, ..settings };
    let (mut started, mut beside) = (None, None);
    let open = async {
        if wanted.heroku_connect {
            let demo = beside.insert(HerokuConnectDemo::start(&wanted).await?);
            let config = demo.workspace.config()?;
            let session = Session::of_console(config.postgres.timeout, cli.read_only);
            let client = attached(&config, &session).await?.with_setup(ConsoleSetup::of(&config));
            return Ok(Backend { client, sources: config.log_sources });
        }
        let demo = started.insert(Demo::start(&wanted).await?);
        let config = demo.workspace.config()?;
        let client = Client::new(demo.store.clone(), operator()).with_setup(ConsoleSetup::of(&config));
        Ok(Backend { client, sources: config.log_sources })
    };
    // Each demo is another one: it begins where everyone begins, and nothing is kept of where it was left.
    let looks = crate::console::Options { settings, ..crate::console::Options::default() };
    let watchdog = tokio::spawn(async {
        hangup::stuck().await;
        // The private PostgreSQL ends with this process.
        std::process::exit(FAILED.into());
    });
    let done = crate::console::run(open, looks, &mut crate::console::Keys::default()).await;
    watchdog.abort();
    if let Some(demo) = started {
        demo.stop().await;
    }
    if let Some(demo) = beside {
        demo.stop().await;
    }
    done.map(|_| DONE)
}

/// A database that Heroku Connect keeps, for so long, and what became of its log.
async fn headless_heroku_connect(cli: &Cli, options: &DemoOptions, wanted: &Options) -> Result<u8> {
    print::note(
        "syncdeck: starting a private PostgreSQL, a simulated org and a stand-in for Heroku Connect ...",
    );
    let demo = tokio::select! {
        demo = HerokuConnectDemo::start(wanted) => demo?,
        () = signals::ended() => return Ok(FAILED),
    };
    let dir = demo.workspace.dir.clone();
    if !cli.json {
        print::note(&format!("syncdeck: what to try stands in {}", dir.join(WORDS).display()));
    }
    tokio::select! {
        () = tokio::time::sleep(options.time) => {}
        () = signals::ended() => {}
    }
    let entries = demo.entries().await?;
    demo.stop().await;
    print::json(&json!({"workspace": dir, "entries": entries}), true)?;
    Ok(DONE)
}

/// Where PostgreSQL's server programs are missing, somebody at a terminal may have them installed at once. Otherwise the
/// start says what is missing, and the line that installs it.
fn offer_to_install() -> Result<()> {
    let Some(line) = install_line().filter(|_| !is_installed() && std::io::stdin().is_terminal()) else {
        return Ok(());
    };
    print::note(
        "syncdeck: the demo runs a PostgreSQL of its own, and the server programs are not on this machine.",
    );
    if Dialogue::new().yes(&format!("Install them now, with: {line}"), true)? {
        let status = std::process::Command::new("sh").args(["-c", &line]).status()?;
        if !status.success() {
            return Err(eyre!("that did not install them ({status}): {line}"));
        }
    }
    Ok(())
}

async fn headless(cli: &Cli, options: &DemoOptions, wanted: &Options) -> Result<u8> {
    print::note("syncdeck: starting a private PostgreSQL and a simulated org ...");
    // Being ended while it starts leaves nothing behind either.
    let demo = tokio::select! {
        demo = Demo::start(wanted) => demo?,
        () = signals::ended() => return Ok(FAILED),
    };
    if !cli.json {
        print::note(&format!("syncdeck: the workspace is {}", demo.workspace.dir.display()));
    }
    let report = demo.report(options.time, signals::ended()).await?;
    print::json(&report.document, true)?;
    if let Some(forgotten @ 1..) = report.document["journal_forgotten"].as_u64() {
        print::note(&format!(
            "syncdeck: the simulated org forgot {forgotten} writes, so this run cannot be judged; let it run for less long"
        ));
    }
    Ok(if report.holds { DONE } else { FAILED })
}

/// The simulated org alone.
pub(super) async fn simulator(options: &SimulatorOptions) -> Result<u8> {
    let app = OrgOptions {
        seed: options.seed,
        public_key: options.jwt_key.as_deref().map(public_key).transpose()?,
        rotate_refresh_tokens: options.rotate_refresh_tokens,
        latency: Duration::from_millis(options.latency),
        ..OrgOptions::default()
    };
    let org = Org::new(app.clone());
    seed::populate(&org, options.rows, options.seed);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", options.port)).await.map_err(|error| {
        eyre!("cannot listen on port {}: {error}\nname another with --port", options.port)
    })?;
    let login = format!(
        "client_id {}  client_secret {}  refresh_token {}  username {}  password {}",
        app.client_id, app.client_secret, app.refresh_token, app.username, app.password
    );
    print::note(&format!(
        "syncdeck: a simulated org at http://{}  {login}\nsyncdeck: its journal is at /_simulator/journal; Ctrl-C ends it",
        listener.local_addr()?
    ));
    let stop = CancellationToken::new();
    tokio::select! {
        served = simulator::serve(org, listener, stop.clone()) => served?,
        () = signals::ended() => {}
    }
    Ok(DONE)
}

/// The key that logins by JWT must be signed for.
fn public_key(file: &Path) -> Result<String> {
    let key = std::fs::read_to_string(file)
        .map_err(|error| eyre!("cannot read --jwt-key {}: {error}", file.display()))?;
    simulator::check_public_key(&key).map_err(|why| eyre!("--jwt-key {}: {why}", file.display()))?;
    Ok(key)
}
