//! Who of several consoles runs the engine.

use crate::screen::Terminal;
use crate::workspace::{CONTACTS, LEASES, Office, RUNNING};

fn quit(mut terminal: Terminal) {
    terminal.keys("q");
    assert_eq!(terminal.exit_code(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_takes_over_with_what_the_file_says_then_and_one_that_cannot_says_why() {
    let mut office = Office::open().await;
    office.world.stop_engine().await;
    let world = &office.world;
    let written = world.written().replace("engine = \"service\"\n", "");
    world.write(&written);
    let [one, mut two, three] = ["one", "two", "three"].map(|name| office.console(name, 160, 40));

    // What comes into the file while the first one's engine runs is not lost with it.
    let (lead, _) = CONTACTS.split_once("[console]").unwrap();
    let lead = lead.replace("Contact", "Lead").replace(", \"Description\"", ", \"Company\"");
    let more = written.replace("[console]", &format!("{lead}[console]"));
    world.write(&more);
    two.wait_for("Lead ");
    let left = one.process();
    quit(one);
    let is_taken =
        format!("SELECT (count(*) = 1 AND bool_and(owner NOT LIKE '%/{left}/%'))::text FROM {RUNNING}");
    world.until_text(&is_taken, "true").await;
    world
        .run("INSERT INTO salesforce.lead (lastname, company, external_id__c) VALUES ('Roe', 'Acme', 'L1')")
        .await;
    world.until("the lead arrives", async || world.record("Lead", "L1").is_some()).await;

    // Whoever took over is the one that is left first; the others cannot start what does not fit the org.
    let taken = world.text(&format!("SELECT owner FROM {RUNNING}")).await.unwrap();
    let pid = |terminal: &Terminal| format!("/{}/", terminal.process());
    let (next, mut last) = if taken.contains(&pid(&two)) { (two, three) } else { (three, two) };
    assert!(taken.contains(&pid(&next)), "{taken}");
    world.write(&more.replace("\"Company\"", "\"Campany\""));
    quit(next);
    last.wait_for("engine stopped");
    last.wait_for("the engine cannot be started");
    let told = "SELECT count(*)::text FROM syncdeck.log WHERE message = 'the engine cannot be started'
         AND fields->>'cause' LIKE '%has no field Campany%'";
    world.until_text(told, "1").await;
    let listed = "SELECT count(*)::text FROM syncdeck.error WHERE code = 'CONFIGURATION_REFUSED' AND resolved_at IS NULL";
    world.until_text(listed, "1").await;
    // Meanwhile anybody else may start it.
    world.until_text(LEASES, "0").await;

    world.write(&more);
    last.wait_for("● running");
    world.until_text(listed, "0").await;
    quit(last);
    office.until_none_runs().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_outlives_its_engine_says_why_it_ended_and_starts_it_again() {
    let mut office = Office::open().await;
    office.world.stop_engine().await;
    let world = &office.world;
    world.write(&world.written().replace("engine = \"service\"\n", ""));
    let mut terminal = office.console_in("one", 160, 40, &[("SYNCDECK_FAILPOINTS", "mid_acknowledge=panic")]);
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Roe', 'P1')").await;
    terminal.wait_for("engine stopped");
    terminal.wait_for("the engine ended by itself");
    terminal.wait_for("it is started again in");
    let told = "SELECT (count(*) > 0)::text FROM syncdeck.log WHERE message = 'the engine ended by itself'
         AND fields->>'cause' LIKE '%failpoint.rs:%the failpoint mid_acknowledge is set to panic%'";
    world.until_text(told, "true").await;
    terminal.wait_for("● running");
    quit(terminal);
}
