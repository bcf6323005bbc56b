//! The demo and the simulated org.

use color_eyre::eyre::{Result, eyre};
use tokio_util::sync::CancellationToken;

use crate::console;
use crate::demo::{Demo, Options};
use crate::engine::handle::{Handle, operator};
use crate::simulator::{self, Org, OrgOptions, seed};

use super::args::{Cli, DemoOptions, SimulatorOptions};
use super::{DONE, FAILED, print, run};

/// Everything on this machine.
pub(super) async fn run(cli: &Cli, options: &DemoOptions) -> Result<u8> {
    use std::io::IsTerminal;
    let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if !options.headless && !terminal {
        return Err(print::Usage(
            "the demo's console needs a terminal\nwithout one use: syncdeck demo --headless --for 20s"
                .to_owned(),
        )
        .into());
    }
    let wanted = Options { dir: options.dir.clone(), rows: options.rows as usize };
    eprintln!("syncdeck: starting a private PostgreSQL and a simulated org ...");
    // Being ended while it starts leaves nothing behind either.
    let demo = tokio::select! {
        demo = Demo::start(&wanted) => demo?,
        () = run::ended() => return Ok(FAILED),
    };
    if options.headless {
        if !cli.json {
            eprintln!("syncdeck: the workspace is {}", demo.workspace.dir.display());
        }
        let report = demo.report(options.time, run::ended()).await?;
        print::json(&report.document, true)?;
        return Ok(if report.holds { DONE } else { FAILED });
    }
    let handle = Handle::new(demo.store.clone(), operator());
    let done = console::run(handle, run::options(cli)).await;
    demo.stop().await;
    done.map(|()| DONE)
}

/// The simulated org alone.
pub(super) async fn simulator(options: &SimulatorOptions) -> Result<u8> {
    let app = OrgOptions::default();
    let org = Org::new(app.clone());
    seed::populate(&org, options.rows, app.seed);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", options.port)).await.map_err(|error| {
        eyre!("cannot listen on port {}: {error}\nname another with --port", options.port)
    })?;
    eprintln!(
        "syncdeck: a simulated org at http://{}  client_id {}  client_secret {}\nsyncdeck: its journal is at /_simulator/journal; Ctrl-C ends it",
        listener.local_addr()?,
        app.client_id,
        app.client_secret
    );
    let stop = CancellationToken::new();
    tokio::select! {
        served = simulator::serve(org, listener, stop.clone()) => served?,
        () = run::ended() => {}
    }
    Ok(DONE)
}
