//! What a key could harm, in a real terminal: a value that was just mended, an error that nobody looked at, production,
//! and a screen whose database is gone.

use crate::support::server;
use crate::workspace::{Office, open_record};
use syncdeck::domain::reports::overview::Writes;

#[tokio::test(flavor = "multi_thread")]
async fn a_second_m_leaves_the_value_that_the_first_one_mended() {
    let office = Office::open().await;
    let mut terminal = office.console("hasty", 120, 40);
    let row = open_record(&mut terminal);
    let mended = office.contact("replace(email, ',', '.')", row).await;
    // What is sent stays on its way while the writes rest: the second key comes in the middle of it.
    office.world.handle.writes(Some("Contact"), Writes::Pause).await.unwrap();
    terminal.keys("m");
    terminal.wait_for("Fix  being sent");
    let email = format!("SELECT email FROM salesforce.contact WHERE id = {row}");
    office.world.until_text(&email, mended.as_deref().unwrap()).await;
    terminal.wait_for("↻ sending ...");
    terminal.keys("m");
    terminal.wait_for("being sent: what helps is known when Salesforce has answered");
    terminal.keys("f");
    terminal.keys("1");
    terminal.keys("\x1b2");
    terminal.wait_for("┏ 2 Errors");
    assert_eq!(office.contact("email", row).await, mended);
    terminal.keys("3");
    terminal.wait_for("┏ 3 Record");
    office.world.handle.writes(Some("Contact"), Writes::Resume).await.unwrap();
    terminal.wait_for("✓ Salesforce took it at");
    assert_eq!(office.contact("email", row).await, mended);
    let edits = "SELECT count(*)::text FROM syncdeck.audit WHERE action = 'edited'";
    assert_eq!(office.world.text(edits).await.as_deref(), Some("1"));
    terminal.keys("q");
    assert_eq!(terminal.exit_code(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_i_ignores_nothing_that_was_not_looked_at() {
    let office = Office::open().await;
    let mut terminal = office.console("hasty", 120, 40);
    let ignored = "SELECT count(*)::text FROM syncdeck.error WHERE state = 'ignored'";
    terminal.wait_for("▶ Email");
    terminal.keys("i");
    // It is said when nothing lies on top of the list any more.
    terminal.wait_for("(U takes it back)");
    terminal.wait_for(" of 7 ");
    // Its line stays where it was, with what became of it: the second key is about that one, too.
    terminal.keys("i");
    terminal.wait_for("it is ignored already");
    assert_eq!(office.world.text(ignored).await.as_deref(), Some("1"));
    // Whoever goes on sees the next one with its record, and then the key is about that.
    terminal.keys("n");
    let selected = |screen: &str| {
        let row = |mark: &str| {
            let line = screen.lines().find(|line| line.contains(mark))?;
            // The mapping of that name stands before it on the same line.
            line.rsplit("Contact ").next()?.split_whitespace().next().map(str::to_owned)
        };
        let record = row("3 Record");
        record.is_some() && record == row("✗") && screen.contains("▶ Email")
    };
    terminal.wait_until("the record is that of the selected line", selected);
    let row = terminal
        .line_with("3 Record")
        .split("Contact ")
        .nth(1)
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .to_owned();
    terminal.keys("i");
    terminal.wait_for("(U takes it back)");
    terminal.wait_for(" of 6 ");
    let which =
        format!("SELECT count(*)::text FROM syncdeck.error WHERE state = 'ignored' AND record_id = {row}");
    assert_eq!(office.world.text(&which).await.as_deref(), Some("1"));
    assert_eq!(office.world.text(ignored).await.as_deref(), Some("2"));
    terminal.keys("q");
    assert_eq!(terminal.exit_code(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_production_a_key_that_stops_writes_asks() {
    let office = Office::open().await;
    let production = office.world.written().replace("environment = \"test\"", "environment = \"production\"");
    office.world.write(&production);
    let mut terminal = office.console("careful", 120, 40);
    terminal.keys("1");
    terminal.wait_for("┏ 1 Mappings");
    for (key, words) in [("p", "nothing is sent to Salesforce any more"), ("d", "what waits now is sent")] {
        terminal.keys(key);
        terminal.wait_for("PRODUCTION: the writes of Contact");
        terminal.wait_for(words);
        terminal.keys("n");
        terminal.wait_until("the question is gone", |screen| !screen.contains("PRODUCTION: "));
    }
    assert_eq!(office.world.handle.overview().await.unwrap().mappings[0].state.word(), "errors");
    terminal.keys("p");
    terminal.wait_for("PRODUCTION: the writes of Contact");
    terminal.keys("y");
    terminal.wait_for("Contact: its writes rest");
    terminal.keys("q");
    assert_eq!(terminal.exit_code(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_shows_stays_dated_while_the_database_is_gone_and_is_read_again_when_it_is_back() {
    let office = Office::open().await;
    let mut terminal = office.console("patient", 120, 40);
    let row = open_record(&mut terminal);
    let database = office.world.text("SELECT current_database()::text").await.unwrap();
    let (client, connection) =
        tokio_postgres::connect(&server().url("postgres"), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let open = async |open: bool| {
        let sql = format!("ALTER DATABASE \"{database}\" ALLOW_CONNECTIONS {open}");
        client.batch_execute(&sql).await.unwrap();
    };
    open(false).await;
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = $1";
    client.query_one(end, &[&database]).await.unwrap();
    terminal.wait_for("database unreachable since");
    terminal.wait_for("PostgreSQL out of reach since");
    let stays = |screen: &str| {
        let shown = ["▶ Email", "@acme,com", "Invalid e-mail address.", "as it was", " of 8 ", "Contact"];
        shown.iter().all(|words| screen.contains(words)) && screen.matches("as of ").count() >= 3
    };
    terminal.wait_until("everything is there still", stays);
    for key in ["m", "r", "u"] {
        terminal.keys(key);
        terminal.wait_for("PostgreSQL is out of reach: what shows is as it was last seen");
        terminal.wait_until("everything is there still", stays);
    }
    terminal.keys("2jj/");
    terminal.wait_until("everything is there still", stays);
    terminal.keys("3");
    open(true).await;
    terminal
        .wait_until("nothing is dated", |screen| !screen.contains("as of ") && screen.contains("▶ Email"));
    // It works on by itself.
    terminal.keys("m");
    terminal.wait_for("✓ Salesforce took it at");
    let world = office.world.another_session().await;
    let sql = format!("SELECT email FROM salesforce.contact WHERE id = {row}");
    let email: String = world.query_one(&sql, &[]).await.unwrap().get(0);
    assert!(email.ends_with("@acme.com"), "{email}");
    terminal.keys("q");
    assert_eq!(terminal.exit_code(), 0);
}
