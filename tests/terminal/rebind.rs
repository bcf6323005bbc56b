//! Another org behind the same tables, by keys in the console of a connection whose engine is a service.

use std::path::Path;

use portable_pty::CommandBuilder;
use syncdeck::simulator::{self, Org, OrgOptions};
use tokio_util::sync::CancellationToken;

use crate::screen::Terminal;
use crate::support::{new_database, server};
use crate::workspace::CONTACTS;
use crate::world::World;

const OTHER: &str = "00Dsd0000000002MAA";
const ORGS: &str = "SELECT string_agg(DISTINCT org_id, ' ') FROM salesforce._hcmeta";

fn console(world: &World, home: &Path) -> Terminal {
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_syncdeck"));
    command.args(["--config".into(), world.config.path.clone().into_os_string()]);
    command.env("TERM", "xterm-256color");
    command.env("LC_ALL", "C.UTF-8");
    for name in ["HOME", "XDG_STATE_HOME"] {
        command.env(name, home);
    }
    for name in ["NO_COLOR", "TMUX", "STY", "SSH_CONNECTION"] {
        command.env_remove(name);
    }
    let mut terminal = Terminal::start(command, 120, 40);
    terminal.wait_for("1 Mappings");
    terminal
}

/// An org to which the login leads from now on.
async fn another_org() -> (String, CancellationToken) {
    let org = Org::new(OrgOptions { organisation: OTHER.to_owned(), ..OrgOptions::default() });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(simulator::serve(org, listener, stop.clone()));
    (format!("http://{address}"), stop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebind_is_done_on_the_database_that_shows_and_on_no_other() {
    let mut world = World::start(CONTACTS).await;
    let service = world.written().replace("[connection]\n", "[connection]\nengine = \"service\"\n");
    world.write(&service);
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('One', 'K-1')").await;
    world.until_quiet().await;
    world.stop_engine().await;
    let before = world.text(ORGS).await;
    let home = tempfile::tempdir().unwrap();
    let mut terminal = console(&world, home.path());

    // The file names another database by now.
    let (login, stop) = another_org().await;
    let own = service.replace(&world.config.salesforce.login_url, &login);
    let url = world.config.postgres_url().to_owned();
    let other = server().url(&new_database().await);
    world.write(&own.replace(&url, &other));
    terminal.keys(":rebind\r");
    terminal.wait_for("and not of what this console shows");
    terminal.keys("\x1b");
    terminal.wait_until("it is closed", |screen| !screen.contains("and not of what this console shows"));

    // Its own database again: the question names it, and the org's id is typed.
    world.write(&own);
    terminal.keys(":rebind\r");
    terminal.wait_for("do it ...");
    terminal.keys("\r");
    terminal.wait_for(&format!("Type {OTHER} and Enter:"));
    terminal.wait_for("of the database");
    terminal.keys("yes\r");
    terminal.wait_for("nothing was done");
    assert_eq!(world.text(ORGS).await, before);
    terminal.keys(&format!("\x15{OTHER}\r"));
    terminal.wait_for("Done: the schema salesforce is of the org");
    assert_eq!(world.text(ORGS).await.as_deref(), Some(OTHER));
    terminal.keys("\x1b");
    terminal.wait_until("it is closed", |screen| !screen.contains("Done: the schema"));
    terminal.keys("q");
    assert_eq!(terminal.exit_code(), 0);
    stop.cancel();
}
