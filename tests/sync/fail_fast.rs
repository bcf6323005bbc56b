//! The strategy `fail_fast`: the first error stops the writes of its mapping, and nothing that came after it is written.

use syncdeck::domain::reports::overview::Writes;

use crate::world::World;

const CONTACTS: &str = r#"
[[mapping]]
object = "Contact"
fields = ["LastName", "FirstName", "Legacy_Code__c"]
external_id = "External_Id__c"
poll_interval = "200ms"
strategy = "fail_fast"
check = false
"#;

/// Contacts C1 to C6; `bad` has a name that Salesforce does not take.
async fn six(world: &World, bad: usize) {
    let name = |number: usize| if number == bad { String::new() } else { format!("Name {number}") };
    let rows: Vec<String> =
        (1..=6).map(|number| format!("(nullif('{}', ''), 'C{number}')", name(number))).collect();
    world
        .run(&format!("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES {}", rows.join(", ")))
        .await;
}

fn written(world: &World) -> Vec<String> {
    let journal = world.org.journal_since(0);
    let of_api = journal.iter().filter(|entry| entry.source == "api");
    of_api.map(|entry| format!("{} {}", entry.op, entry.external_id.clone().unwrap_or_default())).collect()
}

const STATES: &str =
    "SELECT string_agg(state || ' ' || attempts, ', ' ORDER BY record_id) FROM syncdeck.unit";

#[tokio::test(flavor = "multi_thread")]
async fn the_first_error_leaves_the_whole_call_unwritten_and_what_waited_goes_on_in_order() {
    let mut world = World::start(CONTACTS).await;
    world.stop_engine().await;
    six(&world, 3).await;
    world.start_engine().await;
    world.until_text("SELECT writes FROM syncdeck.mapping", "stopped").await;
    world.until_text(STATES, "stopped 0, stopped 0, failed 1, stopped 0, stopped 0, stopped 0").await;
    assert_eq!(written(&world), Vec::<String>::new());
    // Who was taken back with the bad one has no error.
    assert_eq!(
        world.text("SELECT string_agg(code || ' ' || record_id, ' ') FROM syncdeck.error").await.unwrap(),
        "REQUIRED_FIELD_MISSING 3"
    );
    assert_eq!(world.text("SELECT count(*)::text FROM syncdeck.attempt").await.unwrap(), "1");

    world.run("UPDATE salesforce.contact SET lastname = 'Name 3' WHERE id = 3").await;
    world.handle.writes(Some("Contact"), Writes::Resume).await.unwrap();
    world.until_text("SELECT count(*)::text FROM syncdeck.unit", "0").await;
    assert_eq!(written(&world), (1..=6).map(|number| format!("create C{number}")).collect::<Vec<_>>());
    world.until_text("SELECT count(*)::text FROM syncdeck.error WHERE resolved_at IS NULL", "0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_change_of_another_kind_does_not_go_before_the_first_error() {
    let mut world = World::start(CONTACTS).await;
    six(&world, 0).await;
    world.until_text("SELECT count(*)::text FROM salesforce.contact WHERE sfid IS NOT NULL", "6").await;
    world.until_quiet().await;
    world.stop_engine().await;
    let before = written(&world).len();
    world
        .run(
            "UPDATE salesforce.contact SET firstname = 'First' WHERE id = 1;
             UPDATE salesforce.contact SET lastname = NULL WHERE id = 2;
             INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Later', 'C7');
             DELETE FROM salesforce.contact WHERE id = 5;
             UPDATE salesforce.contact SET firstname = 'Later' WHERE id = 4",
        )
        .await;
    world.start_engine().await;
    world.until_text("SELECT writes FROM syncdeck.mapping", "stopped").await;
    world
        .until_text(
            "SELECT string_agg(state, ' ' ORDER BY record_id) FROM syncdeck.unit",
            "stopped failed stopped stopped stopped",
        )
        .await;
    assert_eq!(written(&world)[before..], Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_before_an_earlier_change_that_another_claim_holds() {
    let mut world = World::start(CONTACTS).await;
    world.stop_engine().await;
    six(&world, 1).await;
    world
        .run(
            "DELETE FROM salesforce.contact WHERE id = 6;
             INSERT INTO syncdeck.unit (table_name, record_id, state, token, lease_until)
             VALUES ('contact', 1, 'inflight', 'another', clock_timestamp() + interval '2 s')",
        )
        .await;
    world.start_engine().await;
    world.until_text("SELECT writes FROM syncdeck.mapping", "stopped").await;
    let rest = "SELECT count(*)::text FROM syncdeck.unit WHERE state IN ('ready', 'inflight')";
    world.until_text(rest, "0").await;
    assert_eq!(written(&world), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_was_mended_goes_before_those_that_waited_behind_it() {
    let mut world = World::start(&CONTACTS.replace("strategy", "batch_size = 2\nstrategy")).await;
    world.stop_engine().await;
    six(&world, 2).await;
    world.start_engine().await;
    world.until_text("SELECT writes FROM syncdeck.mapping", "stopped").await;
    world.until_text(STATES, "stopped 0, failed 1, stopped 0, stopped 0, stopped 0, stopped 0").await;
    // Sent at once, they would go in the order in which they became ready: the mended one last.
    // In one transaction: else those behind it might go before it is mended.
    world
        .run(
            "UPDATE syncdeck.mapping SET writes = 'on';
             UPDATE salesforce.contact SET lastname = 'Name 2' WHERE id = 2",
        )
        .await;
    world.until_text("SELECT count(*)::text FROM syncdeck.unit", "0").await;
    assert_eq!(written(&world), (1..=6).map(|number| format!("create C{number}")).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_was_mended_after_a_drain_began_does_not_keep_it_from_ending() {
    let mut world = World::start(CONTACTS).await;
    world.stop_engine().await;
    six(&world, 2).await;
    world.start_engine().await;
    world.until_text("SELECT writes FROM syncdeck.mapping", "stopped").await;
    world.until_text(STATES, "stopped 0, failed 1, stopped 0, stopped 0, stopped 0, stopped 0").await;
    world.handle.writes(Some("Contact"), Writes::Resume).await.unwrap();
    world.until_text("SELECT string_agg(state, ' ') FROM syncdeck.unit", "failed").await;
    world.stop_engine().await;
    world.run("UPDATE salesforce.contact SET firstname = 'Waits' WHERE id = 4").await;
    world.handle.writes(Some("Contact"), Writes::Drain).await.unwrap();
    world.run("UPDATE salesforce.contact SET lastname = 'Name 2' WHERE id = 2").await;
    world.start_engine().await;
    world.until_text("SELECT writes FROM syncdeck.mapping", "paused").await;
    assert_eq!(world.record("Contact", "C4").unwrap()["FirstName"], "Waits");
    assert_eq!(world.record("Contact", "C2"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_that_passes_stops_nothing_and_costs_the_others_no_attempt() {
    let mut world = World::start(CONTACTS).await;
    world.stop_engine().await;
    world.org.change_faults(|faults| {
        faults.refuse = Some(syncdeck::simulator::Refusal {
            code: "UNABLE_TO_LOCK_ROW".to_owned(),
            message: "unable to obtain exclusive access to this record".to_owned(),
            times: 1,
            ..Default::default()
        });
    });
    six(&world, 0).await;
    world.start_engine().await;
    world.until_text("SELECT count(*)::text FROM salesforce.contact WHERE sfid IS NOT NULL", "6").await;
    assert_eq!(world.text("SELECT writes FROM syncdeck.mapping").await.unwrap(), "on");
    assert_eq!(written(&world).iter().filter(|line| line.starts_with("create")).count(), 6);
    let rejected = "SELECT count(*)::text FROM syncdeck.attempt WHERE outcome = 'rejected'";
    assert_eq!(world.text(rejected).await.unwrap(), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_of_what_is_gone_is_done_and_the_others_of_its_call_go_again() {
    let mut world = World::start(CONTACTS).await;
    six(&world, 0).await;
    world.until_text("SELECT count(*)::text FROM salesforce.contact WHERE sfid IS NOT NULL", "6").await;
    world.until_quiet().await;
    world.stop_engine().await;
    let gone = world.org.find_by_external_id("Contact", "C2").unwrap();
    world.org.user_delete("Contact", &gone).unwrap();
    world.run("DELETE FROM salesforce.contact").await;
    world.start_engine().await;
    world.until("all are gone", async || world.org.ids("Contact").is_empty()).await;
    world.until_text("SELECT count(*)::text FROM syncdeck.unit", "0").await;
    assert_eq!(world.text("SELECT count(*)::text FROM syncdeck.error").await.unwrap(), "0");
}
