//! Inserts without an external id whose answer was lost: whether Salesforce has the record, only a person can say. It is
//! looked up by what was sent, gets no second row, and is not made twice without being asked about.

use std::time::Duration;

use serde_json::{Map, Value, json};
use syncdeck::client::operations::execute::Targets;
use syncdeck::client::row::Linked;
use syncdeck::domain::operations::operation::Owner;
use syncdeck::domain::operations::operation::{Confirm, OperationKind};
use tokio_util::sync::CancellationToken;

use crate::world::{World, contact};

const CONTACTS: &str = r#"
[[mapping]]
object = "Contact"
fields = ["LastName", "FirstName", "Email", "Phone", "Description"]
poll_interval = "200ms"
"#;

const INSERT: &str = "INSERT INTO salesforce.contact (lastname, email, phone, description)
    VALUES ('Lovelace', 'ada@acme.com', '+49 30 1234567', 'First of all')";
const ROWS: &str = "SELECT count(*)::text FROM salesforce.contact";
const CODE: &str = "SELECT code FROM syncdeck.error WHERE resolved_at IS NULL";
const MESSAGE: &str = "SELECT message FROM syncdeck.error WHERE resolved_at IS NULL";
const LOST: &str = "the answer to an insert without an external id was lost: Salesforce may have the record.";

fn fields(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn the_same() -> Map<String, Value> {
    fields(
        json!({"LastName": "Lovelace", "Email": "ada@acme.com", "Phone": "+49 30 1234567", "Description": "First of all"}),
    )
}

/// A world in which the answer to an insert was lost, and what is told of it. The id of the record.
async fn lost(mapping: &str) -> (World, String) {
    let world = World::start(mapping).await;
    world.org.change_faults(|faults| faults.lose_answer = 1);
    world.run(INSERT).await;
    world.until("Salesforce has the record", async || world.org.ids("Contact").len() == 1).await;
    let id = world.org.ids("Contact").remove(0);
    // Meanwhile somebody fills in the rest.
    world.org.user_update("Contact", &id, fields(json!({"FirstName": "Ada"}))).unwrap();
    world.until_text(MESSAGE, &format!("{LOST} The Contact {id} has what was sent")).await;
    (world, id)
}

/// A poll that began after now has ended: the second one that ends.
async fn a_poll_later(world: &World) {
    for _ in 0..2 {
        let now = world.text("SELECT clock_timestamp()::text").await.unwrap();
        world.until_text(&format!("SELECT (last_read > '{now}')::text FROM syncdeck.mapping"), "true").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_has_what_was_sent_is_told_gets_no_row_and_is_linked() {
    let (world, id) = lost(CONTACTS).await;
    a_poll_later(&world).await;
    assert_eq!(world.text(ROWS).await.unwrap(), "1");
    // Both are shown side by side.
    let theirs = world.handle.salesforce_values(&contact(1)).await.unwrap();
    assert_eq!(
        (theirs.sfid.as_deref(), theirs.values["firstname"].as_deref()),
        (Some(id.as_str()), Some("Ada"))
    );
    let linked = world.handle.link(&contact(1), None, Owner::Keeps).await.unwrap();
    assert_eq!(linked, Linked::Done { sfid: id.clone() });
    world
        .until_text(
            "SELECT sfid || ' ' || firstname || ' ' || _hc_lastop FROM salesforce.contact",
            &format!("{id} Ada SYNCED"),
        )
        .await;
    world.until_text("SELECT count(*)::text FROM syncdeck.error WHERE resolved_at IS NULL", "0").await;
    assert_eq!((world.text(ROWS).await.unwrap().as_str(), world.org.ids("Contact").len()), ("1", 1));
    assert_eq!(world.org.record("Contact", &id).unwrap()["FirstName"], json!("Ada"));
    world.until_text("SELECT count(*)::text FROM syncdeck.candidate", "0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_that_may_make_a_second_record_asks_and_one_that_was_not_asked_about_makes_none() {
    let (world, id) = lost(CONTACTS).await;
    world.handle.retry(&contact(1)).await.unwrap();
    world.until_text("SELECT state FROM syncdeck.unit", "failed").await;
    assert_eq!(world.org.ids("Contact").len(), 1);
    // Nor does an edit, nor a change by the application.
    world.run("UPDATE salesforce.contact SET phone = '+49 30 7654321'").await;
    world.until_text("SELECT count(*)::text FROM salesforce._trigger_log WHERE state = 'FAILED'", "2").await;
    assert_eq!(world.org.ids("Contact").len(), 1);

    let error: i64 = world.text("SELECT id::text FROM syncdeck.error").await.unwrap().parse().unwrap();
    let plan = world.handle.plan(&Targets::Ids(vec![error]), OperationKind::Retry).await.unwrap();
    assert_eq!((plan.confirm, plan.preview.doubled), (Confirm::Yes, 1));
    let stop = CancellationToken::new();
    world.handle.execute(&plan, None, &|_| {}, &stop).await.unwrap();
    world.until("there are two", async || world.org.ids("Contact").len() == 2).await;
    // The first one is a record of its own then.
    world.until_text(ROWS, "2").await;
    world.until_text("SELECT firstname FROM salesforce.contact WHERE id <> 1", "Ada").await;
    // Its own row is written a moment after the org took it, where the reader had it locked.
    world.until_text("SELECT (sfid IS NOT NULL)::text FROM salesforce.contact WHERE id = 1", "true").await;
    assert_ne!(world.text("SELECT sfid FROM salesforce.contact WHERE id = 1").await.unwrap(), id);
    world.until_text("SELECT count(*)::text FROM syncdeck.error WHERE resolved_at IS NULL", "0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_without_a_key_is_in_doubt_in_a_mapping_that_has_one_too() {
    let keyed = format!("{CONTACTS}external_id = \"External_Id__c\"\n");
    let (world, id) = lost(&keyed).await;
    a_poll_later(&world).await;
    assert_eq!(world.text(ROWS).await.unwrap(), "1");
    assert_eq!(world.handle.link(&contact(1), None, Owner::Keeps).await.unwrap(), Linked::Done { sfid: id });
    world.until_text("SELECT _hc_lastop FROM salesforce.contact", "SYNCED").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_died_with_an_insert_in_its_hands_leaves_it_in_doubt() {
    let mut world = World::start(CONTACTS).await;
    world.stop_engine().await;
    world.run(INSERT).await;
    world.store.ingest(&["contact".to_owned()], 10).await.unwrap();
    assert_eq!(world.store.claim("dead", Duration::from_millis(1), 10).await.unwrap().len(), 1);
    world.until("its lease ran out", async || world.store.rescue_expired().await.unwrap() == 1).await;
    let ids = [0, 1].map(|_| world.org.user_create("Contact", the_same()).unwrap());
    world.start_engine().await;
    let told = format!("{LOST} Each of these has what was sent: {}, {}", ids[0], ids[1]);
    world.until_text(MESSAGE, &told).await;
    let refused = world.handle.link(&contact(1), None, Owner::Keeps).await.unwrap_err().to_string();
    assert!(refused.contains("several Contact have what was sent"), "{refused}");
    world.handle.link(&contact(1), Some(&ids[1]), Owner::Keeps).await.unwrap();
    // The other one is read like any other.
    world.until_text(ROWS, "2").await;
    let rows = "SELECT string_agg(sfid, ' ' ORDER BY id) FROM salesforce.contact";
    world.until_text(rows, &format!("{} {}", ids[1], ids[0])).await;
    world.until_text("SELECT count(*)::text FROM syncdeck.error WHERE resolved_at IS NULL", "0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_comes_late_is_recognised_and_others_are_read() {
    let mut world = World::start(CONTACTS).await;
    world.stop_engine().await;
    world.run(INSERT).await;
    world.store.ingest(&["contact".to_owned()], 10).await.unwrap();
    world.store.claim("dead", Duration::from_millis(1), 10).await.unwrap();
    world.until("its lease ran out", async || world.store.rescue_expired().await.unwrap() == 1).await;
    world.start_engine().await;
    world.until_text(MESSAGE, &format!("{LOST} None with what was sent is found there so far")).await;
    let refused = world.handle.link(&contact(1), None, Owner::Keeps).await.unwrap_err().to_string();
    assert!(refused.contains("Salesforce has no Contact with what was sent"), "{refused}");
    // A rule of the org writes the number in its own way.
    let mut theirs = the_same();
    theirs.insert("Phone".to_owned(), json!("+49301234567"));
    let id = world.org.user_create("Contact", theirs).unwrap();
    let another = world.org.user_create("Contact", fields(json!({"LastName": "Lovelace"}))).unwrap();
    world.until_text(MESSAGE, &format!("{LOST} The Contact {id} (but for Phone) has what was sent")).await;
    world
        .until_text(
            "SELECT string_agg(coalesce(sfid, '-'), ' ' ORDER BY id) FROM salesforce.contact",
            &format!("- {another}"),
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_deleted_after_its_insert_lost_its_answer_is_told() {
    let (world, _) = lost(CONTACTS).await;
    world.run("DELETE FROM salesforce.contact").await;
    let told = "SELECT message LIKE 'the row was deleted after its insert%' FROM syncdeck.error WHERE resolved_at IS NULL";
    world
        .until(told, async || world.sql.query_one(told, &[]).await.is_ok_and(|row| row.get::<_, bool>(0)))
        .await;
    assert_eq!(world.text(CODE).await.unwrap(), "OUTCOME_UNKNOWN");
    a_poll_later(&world).await;
    assert_eq!(world.text(ROWS).await.unwrap(), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_made_while_an_insert_is_on_its_way_are_read_when_it_is_through() {
    let world = World::start(CONTACTS).await;
    world.run("INSERT INTO syncdeck.unit (table_name, record_id, state, token, lease_until) VALUES ('contact', 99, 'inflight', 'other', clock_timestamp() + interval '1 h')").await;
    let id = world.org.user_create("Contact", fields(json!({"LastName": "New"}))).unwrap();
    a_poll_later(&world).await;
    assert_eq!(world.text(ROWS).await.unwrap(), "0");
    world.run("DELETE FROM syncdeck.unit").await;
    world.until_text("SELECT sfid FROM salesforce.contact", &id).await;
}
