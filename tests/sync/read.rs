//! From records to rows.

use serde_json::{Map, Value, json};
use syncdeck::client::api::Event;
use syncdeck::simulator::seed;

use crate::verify::long_ago;
use crate::world::{MAPPINGS, World, contact};

fn fields(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_load_brings_every_record_over_all_pages() {
    let world = World::with(MAPPINGS, |org| seed::populate(org, 12_000, 1)).await;
    for (object, table) in [("Account", "account"), ("Contact", "contact")] {
        let rows = world.text(&format!("SELECT count(*)::text FROM salesforce.{table}")).await.unwrap();
        assert_eq!(rows, world.org.ids(object).len().to_string(), "{object}");
    }
    assert_eq!(world.text("SELECT count(*)::text FROM salesforce._trigger_log").await.unwrap(), "0");
    let wrong = "SELECT count(*)::text FROM salesforce.contact WHERE _hc_lastop <> 'SYNCED' OR sfid IS NULL OR accountid IS NULL";
    assert_eq!(world.text(wrong).await.unwrap(), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_salesforce_user_does_comes_to_the_rows_and_is_not_sent_back() {
    let world = World::start(MAPPINGS).await;
    let id = world
        .org
        .user_create("Contact", fields(json!({"LastName": "Hopper", "External_Id__c": "K1"})))
        .unwrap();
    world.until_text("SELECT lastname FROM salesforce.contact", "Hopper").await;
    let mut events = world.handle.events();
    world.org.user_update("Contact", &id, fields(json!({"FirstName": "Grace"}))).unwrap();
    world.until_text("SELECT firstname FROM salesforce.contact", "Grace").await;
    // Whoever has the row open is told; of the first change only where they listened already.
    let mut looks = 0;
    world
        .until("it is told", async || {
            looks += 1;
            if looks % 100 == 0 {
                let again = fields(json!({"FirstName": "Grace"}));
                world.org.user_update("Contact", &id, again).unwrap();
            }
            std::iter::from_fn(|| events.try_recv().ok()).any(|event| event == Event::Record(contact(1)))
        })
        .await;
    assert_eq!(world.text("SELECT count(*)::text FROM salesforce._trigger_log").await.unwrap(), "0");
    assert!(world.org.journal_since(0).iter().all(|entry| entry.source == "user"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_with_an_unsent_change_is_not_overwritten_and_the_others_are() {
    let world = World::start(MAPPINGS).await;
    let id = world
        .org
        .user_create(
            "Contact",
            fields(json!({"LastName": "Hopper", "Email": "g@navy.mil", "External_Id__c": "K1"})),
        )
        .unwrap();
    world.until_text("SELECT lastname FROM salesforce.contact", "Hopper").await;
    world.run("UPDATE salesforce.contact SET email = 'not an address'").await;
    world.until_text("SELECT _hc_lastop FROM salesforce.contact", "FAILED").await;
    world
        .org
        .user_update("Contact", &id, fields(json!({"Email": "grace@navy.mil", "FirstName": "Grace"})))
        .unwrap();
    world.until_text("SELECT firstname FROM salesforce.contact", "Grace").await;
    assert_eq!(world.text("SELECT email FROM salesforce.contact").await.unwrap(), "not an address");
    assert_eq!(world.text("SELECT _hc_lastop FROM salesforce.contact").await.unwrap(), "FAILED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_of_a_row_that_a_user_holds_is_asked_for_again_however_long_that_takes() {
    let mut world = World::start(MAPPINGS).await;
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Doe', 'K1')").await;
    world.until_text("SELECT _hc_lastop FROM salesforce.contact WHERE sfid IS NOT NULL", "SYNCED").await;
    let user = world.another_session().await;
    user.batch_execute("BEGIN; SELECT FROM salesforce.contact FOR UPDATE").await.unwrap();
    world.org.user_delete("Contact", &world.org.find_by_external_id("Contact", "K1").unwrap()).unwrap();
    // As if all this were a while ago: polls look back a few minutes only.
    world.stop_engine().await;
    world.run("UPDATE syncdeck.mapping SET deletes_cursor = clock_timestamp() - interval '10 min'").await;
    world.start_engine().await;
    for _ in 0..2 {
        world.run("UPDATE syncdeck.mapping SET last_read = NULL").await;
        world.until_text("SELECT count(last_read)::text FROM syncdeck.mapping", "2").await;
    }
    let waits = "SELECT (deletes_cursor < clock_timestamp() - interval '5 min')::text FROM syncdeck.mapping WHERE name = 'Contact'";
    assert_eq!(world.text(waits).await.unwrap(), "true");
    user.batch_execute("COMMIT").await.unwrap();
    world.until_text("SELECT count(*)::text FROM salesforce.contact", "0").await;
    world.until_text(waits, "false").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_go_whose_records_were_deleted_longer_ago_than_is_told() {
    let mut world = World::start(MAPPINGS).await;
    world
        .run("INSERT INTO salesforce.contact (lastname, external_id__c) SELECT 'Doe', 'K' || n FROM generate_series(1, 3) n")
        .await;
    world.until_text("SELECT count(*)::text FROM salesforce.contact WHERE _hc_lastop = 'SYNCED'", "3").await;
    world.stop_engine().await;
    for key in ["K1", "K2"] {
        world.org.user_delete("Contact", &world.org.find_by_external_id("Contact", key).unwrap()).unwrap();
    }
    // The engine was away for three weeks, and the records were deleted in the first days of them.
    world.org.backdate("Contact", chrono::TimeDelta::days(20));
    world.run("UPDATE syncdeck.mapping SET deletes_cursor = clock_timestamp() - interval '21 days'").await;
    let user = world.another_session().await;
    user.batch_execute("BEGIN; SELECT FROM salesforce.contact WHERE external_id__c = 'K2' FOR UPDATE")
        .await
        .unwrap();
    world.start_engine().await;
    world
        .until_text("SELECT string_agg(external_id__c, ',' ORDER BY id) FROM salesforce.contact", "K2,K3")
        .await;
    let told = "SELECT (count(*) > 0)::text FROM syncdeck.log WHERE fields->>'code' = 'DELETES_NOT_TOLD'";
    world.until_text(told, "true").await;
    let moved = "SELECT (deletes_cursor > clock_timestamp() - interval '1 day')::text FROM syncdeck.mapping WHERE name = 'Contact'";
    world.until_text(moved, "true").await;
    // One that somebody holds is not forgotten.
    user.batch_execute("COMMIT").await.unwrap();
    world.until_text("SELECT string_agg(external_id__c, ',') FROM salesforce.contact", "K3").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_goes_on_where_it_was_when_its_session_ends() {
    let world = World::with(MAPPINGS, |org| long_ago(org, 4_500)).await;
    world.org.change_faults(|faults| faults.latency_ms = 1_500);
    for id in world.org.ids("Contact") {
        world.org.user_update("Contact", &id, fields(json!({"FirstName": "New"}))).unwrap();
    }
    // Its further pages are gone with the session that asked for the first one.
    let some = "SELECT (count(*) >= 2000)::text FROM salesforce.contact WHERE firstname = 'New'";
    world.until_text(some, "true").await;
    world.org.end_sessions();
    let rest = "SELECT count(*)::text FROM salesforce.contact WHERE firstname IS DISTINCT FROM 'New'";
    world.until_text(rest, "0").await;
    world.org.change_faults(|faults| faults.latency_ms = 0);
    let listed = "SELECT count(*)::text FROM syncdeck.error WHERE mapping = 'Contact'";
    assert_eq!(world.text(listed).await.unwrap(), "0");
}
