//! A configuration that changes while the engine runs.

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::world::{MAPPINGS, World};

async fn until_told(world: &World, words: &str) {
    let sql = format!("SELECT count(*)::text FROM syncdeck.log WHERE message LIKE '%{words}%'");
    world
        .until(&format!("{words:?} is told"), async || {
            world.text(&sql).await.is_some_and(|count| count != "0")
        })
        .await;
}

async fn open_errors(world: &World) -> String {
    world.text("SELECT count(*)::text FROM syncdeck.error WHERE resolved_at IS NULL").await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_fields_and_mappings_change_without_a_restart_and_what_changed_is_said() {
    let world = World::start(MAPPINGS).await;
    let before = world.written();
    let changed = before.replace("\"Birthdate\", ", "\"Birthdate\", \"Title\", ").replace(
        "[[mapping]]\nobject = \"Contact\"",
        "[[mapping]]\nobject = \"Contact\"\nstrategy = \"manual_review\"",
    );
    world.write(&format!(
        "{changed}\n[[mapping]]\nobject = \"Lead\"\nfields = [\"LastName\", \"Company\"]\nexternal_id = \"External_Id__c\"\npoll_interval = \"200ms\"\n"
    ));
    for words in [
        "the configuration changed: Contact: strategy is manual_review (was skip)",
        "the configuration changed: Contact.Title is mapped now",
        "the configuration changed: Lead is mapped now",
    ] {
        until_told(&world, words).await;
    }
    let there = "SELECT count(*)::text FROM information_schema.columns WHERE table_name = 'contact' AND column_name = 'title'";
    world.until_text(there, "1").await;
    world
        .run(
            "INSERT INTO salesforce.contact (lastname, title, external_id__c) VALUES ('Doe', 'Dr', 'K1');
             INSERT INTO salesforce.lead (lastname, company, external_id__c) VALUES ('Roe', 'Acme', 'L1')",
        )
        .await;
    world
        .until("both arrive", async || {
            world.record("Contact", "K1").is_some_and(|record| record["Title"] == json!("Dr"))
                && world.record("Lead", "L1").is_some()
        })
        .await;
    // A mapping that goes leaves its table, and is worked no more.
    world.write(&changed);
    until_told(&world, "Lead is no longer mapped").await;
    let mapped = async || world.handle.overview().await.unwrap().mappings.len();
    world.until("it is no longer shown", async || mapped().await == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_comes_while_rows_are_written_loses_no_value() {
    let world = World::start(MAPPINGS).await;
    let stop = CancellationToken::new();
    let (session, done) = (world.another_session().await, stop.clone());
    let writer = tokio::spawn(async move {
        let mut written = 0;
        while !done.is_cancelled() {
            let sql = format!(
                "INSERT INTO salesforce.contact (lastname, title, external_id__c) VALUES ('Doe', 'T{written}', 'W{written}')"
            );
            // Until the column is there, only what keeps the engine at work is written.
            written += u64::from(session.batch_execute(&sql).await.is_ok());
            // A new layout may make it wait in vain.
            let _ = session.batch_execute("INSERT INTO salesforce.account (name) VALUES ('Acme')").await;
        }
        written
    });
    world.write(&world.written().replace("\"Birthdate\", ", "\"Birthdate\", \"Title\", "));
    until_told(&world, "the configuration changed: Contact.Title is mapped now").await;
    world.until("what was written arrives", async || world.record("Contact", "W40").is_some()).await;
    stop.cancel();
    let written = writer.await.unwrap();
    world.until_quiet().await;
    let titles = (0..written).map(|n| world.record("Contact", &format!("W{n}")).unwrap()["Title"].clone());
    let expected: Vec<Value> = (0..written).map(|n| json!(format!("T{n}"))).collect();
    assert_eq!(titles.collect::<Vec<_>>(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_configuration_is_refused_by_its_place_and_the_one_before_stays() {
    let mut world = World::start(MAPPINGS).await;
    let good = world.written();
    for (bad, part) in [
        (good.replace("\"Email\"", "\"Emial\""), "has no field Emial"),
        (good.replace("poll_interval = \"200ms\"", "strategy = \"panic\""), "skip, retry, fail_fast"),
        (good.replace("[[mapping]]", "[[mapping"), "syncdeck.toml"),
    ] {
        world.write(&bad);
        let error =
            "SELECT message FROM syncdeck.error WHERE code = 'CONFIGURATION_REFUSED' AND resolved_at IS NULL";
        world
            .until(&format!("it is refused: {part}"), async || {
                world
                    .text(error)
                    .await
                    .is_some_and(|message| message.contains(part) && message.contains("syncdeck.toml:"))
            })
            .await;
        world
            .run(&format!(
                "INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Doe', '{}')",
                part.len()
            ))
            .await;
        world
            .until("the engine goes on", async || world.record("Contact", &part.len().to_string()).is_some())
            .await;
    }
    world.write(&format!("{good}\n# mended\n"));
    world.until("the refusal is over", async || open_errors(&world).await == "0").await;
    // What is mended while no engine runs is over with the next one.
    world.write(&good.replace("[[mapping]]", "[[mapping"));
    world.until("it is refused once more", async || open_errors(&world).await == "1").await;
    world.stop_engine().await;
    world.write(&good);
    world.start_engine().await;
    world.until("this refusal is over, too", async || open_errors(&world).await == "0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_for_the_console_is_no_matter_of_the_engine() {
    let world = World::start(MAPPINGS).await;
    let before = world.written();
    let part = world.config.engine_part(&before);
    for console in ["[console]\ntheme = \"light\"\n", "[console]\ntheme = 3\n[console.keys]\nretry = \"R\"\n"]
    {
        assert_eq!(world.config.engine_part(&format!("# mine\n{console}{before}")), part);
    }
    assert_ne!(world.config.engine_part(&before.replace("\"Birthdate\", ", "")), part);
    let changed = before.replace("\"Birthdate\", ", "\"Birthdate\", \"Title\", ");
    world.write(&format!("[console]\ntheme = 3\n{changed}"));
    until_told(&world, "the configuration changed: Contact.Title is mapped now").await;
    assert_eq!(open_errors(&world).await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_was_revoked_is_replaced_while_the_engine_waits() {
    let world = World::start(MAPPINGS).await;
    world.org.change_secret("the-next-secret");
    let error = "SELECT category || ' ' || class FROM syncdeck.error WHERE code = 'LOGIN_FAILED' AND resolved_at IS NULL";
    world.until_text(error, "connection permanent").await;
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Doe', 'K1')").await;
    world.write(&world.written().replace("simulated-secret", "the-next-secret"));
    world.until("what waited arrives", async || world.record("Contact", "K1").is_some()).await;
    world.until("the error is over", async || open_errors(&world).await == "0").await;
    let told = world.text("SELECT string_agg(t::text, ' ') FROM syncdeck.log t").await.unwrap();
    assert!(!told.contains("the-next-secret"), "a secret is told");
}
