//! Several connections in one console.

use crate::support::server;
use crate::workspace::{CONTACTS, LEASES, Office};
use crate::world::World;

/// A connection of a configuration, with the tables of a world's own.
fn connection(name: &str, url: &str, world: &World) -> String {
    let mappings = CONTACTS.replace("[[mapping]]", &format!("[[connections.{name}.mapping]]"));
    format!(
        "[connections.{name}]\nenvironment = \"test\"\n[connections.{name}.postgres]\nurl = \"{url}\"\n\
         [connections.{name}.salesforce]\nlogin_url = \"{}\"\nclient_id = \"simulated-app\"\n\
         client_secret = \"simulated-secret\"\n{}",
        world.config.salesforce.login_url,
        mappings.split("[console]").next().unwrap()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_cannot_be_opened_leads_back_with_the_reason_and_the_engine_goes_on() {
    let mut office = Office::open().await;
    office.world.stop_engine().await;
    let here = connection("here", office.world.config.postgres_url(), &office.world);
    let there = connection("there", &server().url("missing"), &office.world);
    office.world.write(&format!("{here}{there}"));
    let mut terminal = office.console("one", 120, 40);
    terminal.wait_for(" here ⇄ test");
    let engine = office.until_runs(&terminal).await;
    for (text, reasons) in [
        (format!("{here}{there}"), ["there cannot be opened: PostgreSQL at ", "has no database \"missing\""]),
        (format!("{here}[connections.there]\n"), ["syncdeck.toml:", "missing field `postgres`"]),
        (format!("{here}{there}[[oops\n"), ["syncdeck.toml:", "correct the file there"]),
    ] {
        office.world.write(&text);
        terminal.keys("C2");
        for reason in reasons {
            terminal.wait_for(reason);
        }
        terminal.wait_for(" here ⇄ test");
        terminal.wait_for(" of 8 ");
    }
    assert_eq!(office.until_runs(&terminal).await, engine);
    terminal.keys("q");
    assert_eq!(terminal.exit_code(), 0);
    // In good order, whatever the file is like.
    office.until_none_runs().await;
    office.world.until_text(LEASES, "0").await;
}
