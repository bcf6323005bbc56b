//! Salesforce's change events: what they tell is in the row at once, however rare polls are; what they do not tell, a poll reads.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Map, Value, json};
use syncdeck::engine;
use syncdeck::simulator::Org;

use crate::world::World;

/// Contacts, polled once an hour.
const RARELY: &str = r#"
[[mapping]]
object = "Contact"
fields = ["LastName", "FirstName", "Email", "Phone"]
external_id = "External_Id__c"
poll_interval = "1h"
change_events = true
"#;

fn fields(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn selected(org: &Org) {
    org.select_entity("Contact");
}

/// A world whose engine hears events of contacts, and has made the poll that goes with that.
async fn listening(mappings: &str) -> World {
    let world = World::with(mappings, selected).await;
    heard(&world).await;
    world
}

async fn heard(world: &World) {
    let sql =
        "SELECT (flows AND poll_at IS NULL)::text FROM syncdeck.change_events WHERE mapping = 'Contact'";
    world.until_text(sql, "true").await;
}

/// When contacts were polled last.
async fn polled(world: &World) -> String {
    world.text("SELECT last_read::text FROM syncdeck.mapping WHERE name = 'Contact'").await.unwrap()
}

async fn until_polled(world: &World, before: &str) {
    world.until("it is polled", async || polled(world).await != before).await;
}

fn create(world: &World, key: &str) -> String {
    let contact = json!({"LastName": "Hopper", "External_Id__c": key});
    world.org.user_create("Contact", fields(contact)).unwrap()
}

fn rename(world: &World, id: &str, name: &str) {
    world.org.user_update("Contact", id, fields(json!({"FirstName": name}))).unwrap();
}

/// Somebody makes a contact, of which the engine hears; its id.
async fn hears_of(world: &World, key: &str) -> String {
    let id = create(world, key);
    let row = format!("SELECT lastname FROM salesforce.contact WHERE external_id__c = '{key}'");
    world.until_text(&row, "Hopper").await;
    world.until_text(NOTED, "true").await;
    id
}

/// Whether it is known from where on events are to be told again.
const NOTED: &str =
    "SELECT (replay_id IS NOT NULL)::text FROM syncdeck.change_events WHERE mapping = 'Contact'";
const FIRST: &str = "SELECT firstname FROM salesforce.contact";
const ROWS: &str = "SELECT count(*)::text FROM salesforce.contact";

/// How often the log says so.
async fn told(world: &World, words: &str) -> usize {
    let log = world.store.log(None, 1_000).await.unwrap();
    log.iter().filter(|line| line.message.contains(words)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_saved_deleted_and_brought_back_is_in_the_row_without_a_poll() {
    let world = listening(RARELY).await;
    let before = polled(&world).await;
    let id = hears_of(&world, "K1").await;
    rename(&world, &id, "Grace");
    world.until_text(FIRST, "Grace").await;
    world.org.user_delete("Contact", &id).unwrap();
    world.until_text(ROWS, "0").await;
    world.org.user_undelete("Contact", &id).unwrap();
    world.until_text(FIRST, "Grace").await;
    assert_eq!(polled(&world).await, before, "a poll brought it");
    assert_eq!(world.text("SELECT _hc_lastop FROM salesforce.contact").await.unwrap(), "SYNCED");
    assert_eq!(world.text("SELECT count(*)::text FROM salesforce._trigger_log").await.unwrap(), "0");
    let status = world.handle.overview().await.unwrap().mappings.remove(0).events.unwrap();
    assert!(status.flow && status.last.is_some() && status.reason.is_none(), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_we_wrote_ourselves_is_not_read_again_and_what_others_made_of_it_is() {
    let world = listening(RARELY).await;
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Hopper', 'K1')").await;
    world.until_quiet().await;
    // An event is compared with the newest request: of two changes at once the first may be read.
    let first = "SELECT (replay_id >= 1)::text FROM syncdeck.change_events WHERE mapping = 'Contact'";
    world.until_text(first, "true").await;
    world.run("UPDATE salesforce.contact SET firstname = 'Grace'").await;
    world.until_quiet().await;
    let id = world.org.find_by_external_id("Contact", "K1").unwrap();
    let newest = "SELECT (replay_id >= 2)::text FROM syncdeck.change_events WHERE mapping = 'Contact'";
    world.until_text(newest, "true").await;
    // A read would have made it SYNCED.
    let state = "SELECT _hc_lastop || ' ' || (SELECT count(*) FROM syncdeck.reread) FROM salesforce.contact";
    assert_eq!(world.text(state).await.unwrap(), "UPDATED 0");
    rename(&world, &id, "Admiral Grace");
    world.until_text(FIRST, "Admiral Grace").await;
    world.until_text(state, "SYNCED 0").await;
    world.run("DELETE FROM salesforce.contact").await;
    world.until("it is deleted there", async || world.record("Contact", "K1").is_none()).await;
    world.until_quiet().await;
    world.until("it is told", async || told(&world, "read by change events").await >= 1).await;
    assert_eq!(told(&world, "read by change events").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_saved_while_no_engine_ran_is_told_again_by_its_replay_id() {
    let mut world = listening(RARELY).await;
    let id = hears_of(&world, "K1").await;
    world.stop_engine().await;
    rename(&world, &id, "Grace");
    // So old that no poll looks back so far.
    world.org.backdate("Contact", TimeDelta::days(1));
    world.start_engine().await;
    world.until_text(FIRST, "Grace").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_id_that_is_not_kept_any_more_costs_a_poll_and_nothing_else() {
    let mut world = listening(RARELY).await;
    let id = hears_of(&world, "K1").await;
    world.stop_engine().await;
    rename(&world, &id, "Grace");
    world.org.forget_events();
    world.start_engine().await;
    world.until_text(FIRST, "Grace").await;
    // What the engine before this one left says that events come: only what forgets the id orders the poll.
    world.until_text(NOTED, "false").await;
    world.until("it is told", async || told(&world, "is not kept any more").await == 1).await;
    heard(&world).await;
    let before = polled(&world).await;
    rename(&world, &id, "Admiral Grace");
    world.until_text(FIRST, "Admiral Grace").await;
    assert_eq!(polled(&world).await, before, "a poll brought it");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_events_do_not_tell_is_polled_at_once_and_said_once() {
    let world = listening(RARELY).await;
    let id = hears_of(&world, "K1").await;
    for (name, overflows) in [("Grace", 0), ("Admiral", 0), ("Amazing", 1), ("Grand", 1)] {
        let before = polled(&world).await;
        world.org.change_faults(|faults| {
            (faults.gap_events, faults.overflow_events) = (1 - overflows, overflows);
        });
        rename(&world, &id, name);
        until_polled(&world, &before).await;
        world.until_text(FIRST, name).await;
        heard(&world).await;
    }
    world
        .until("both are told", async || {
            told(&world, "a gap event").await >= 1 && told(&world, "names no records").await >= 1
        })
        .await;
    assert_eq!(told(&world, "a gap event").await, 1);
    assert_eq!(told(&world, "names no records").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_is_polled_in_pages() {
    let mut world = listening(RARELY).await;
    let id = hears_of(&world, "K0").await;
    world.stop_engine().await;
    for number in 1..=450 {
        create(&world, &format!("K{number}"));
    }
    world.start_engine().await;
    world.until_text(ROWS, "451").await;
    world.until("it is told", async || told(&world, "many records changed at once").await == 1).await;
    heard(&world).await;
    rename(&world, &id, "Grace");
    world.until_text("SELECT firstname FROM salesforce.contact WHERE external_id__c = 'K0'", "Grace").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_not_selected_is_polled_and_told_and_heard_once_it_is() {
    let often = RARELY.replace("1h", "200ms");
    let world = World::start(&often).await;
    world.until("it is told", async || told(&world, "its change events cannot be had").await == 1).await;
    create(&world, "K1");
    world.until_text("SELECT lastname FROM salesforce.contact", "Hopper").await;
    let status = world.handle.overview().await.unwrap().mappings.remove(0).events.unwrap();
    assert!(!status.flow, "{status:?}");
    let reason = status.reason.unwrap();
    assert!(reason.contains("doesn't exist {/data/ContactChangeEvent}"), "{reason}");
    world.org.select_entity("Contact");
    heard(&world).await;
    assert_eq!(told(&world, "its change events cannot be had").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn trying_what_is_not_selected_again_costs_the_others_no_poll() {
    let both = format!(
        "{RARELY}{}",
        RARELY
            .replace("Contact", "Account")
            .replace("\"LastName\", \"FirstName\", \"Email\", \"Phone\"", "\"Name\"")
    );
    let world = World::made(&both, |options| options.long_poll = Duration::from_millis(500), selected).await;
    heard(&world).await;
    let before = polled(&world).await;
    world.until("it is told", async || told(&world, "its change events cannot be had").await == 1).await;
    // Nothing was told of contacts yet: a new handshake would have to poll them.
    world.org.select_entity("Account");
    let flows = "SELECT flows::text FROM syncdeck.change_events WHERE mapping = 'Account'";
    world.until_text(flows, "true").await;
    hears_of(&world, "K1").await;
    assert_eq!(polled(&world).await, before, "a poll brought it");
    assert_eq!(world.org.listeners(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_unknown_and_a_session_that_ends_lose_nothing() {
    let world = listening(RARELY).await;
    let id = hears_of(&world, "K1").await;
    let before = polled(&world).await;
    world.org.forget_clients();
    rename(&world, &id, "Grace");
    world.until_text(FIRST, "Grace").await;
    world.org.end_sessions();
    rename(&world, &id, "Admiral");
    world.until_text(FIRST, "Admiral").await;
    // What is told in an answer that breaks is told again.
    world.org.change_faults(|faults| faults.cut_events = 1);
    rename(&world, &id, "Amazing");
    world.until_text(FIRST, "Amazing").await;
    assert_eq!(world.org.fault_counts().cut_events, 1);
    assert_eq!(polled(&world).await, before, "a poll brought it");
    heard(&world).await;
    world.until("it is told that they come again", async || told(&world, "come again").await == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_engines_listens_and_the_other_takes_over() {
    let mut world = listening(RARELY).await;
    let second = engine::start(world.config.clone(), world.store.clone()).await.unwrap();
    let id = hears_of(&world, "K1").await;
    assert_eq!(world.org.listeners(), 1);
    let holder = "SELECT owner FROM syncdeck.lease WHERE name = 'change events'";
    let first = world.text(holder).await.unwrap();
    world.stop_engine().await;
    rename(&world, &id, "Grace");
    world.org.backdate("Contact", TimeDelta::days(1));
    world.until_text(FIRST, "Grace").await;
    assert_ne!(world.text(holder).await.unwrap(), first);
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_a_user_holds_is_read_once_it_is_free() {
    let world = listening(RARELY).await;
    let id = hears_of(&world, "K1").await;
    let before = polled(&world).await;
    let user = world.another_session().await;
    user.batch_execute("BEGIN; SELECT FROM salesforce.contact FOR UPDATE").await.unwrap();
    rename(&world, &id, "Grace");
    let waits = "SELECT count(*)::text FROM syncdeck.reread";
    world.until_text(waits, "1").await;
    user.batch_execute("COMMIT").await.unwrap();
    world.until_text(FIRST, "Grace").await;
    world.until_text(waits, "0").await;
    assert_eq!(polled(&world).await, before, "a poll brought it");
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_are_rarer_while_events_come_and_only_then() {
    let mappings = RARELY.replace("1h", "200ms\"\npoll_with_events = \"1h");
    let world = listening(&mappings).await;
    let id = hears_of(&world, "K1").await;
    // A poll that began before the reader knew of the events may still end.
    let mut before = polled(&world).await;
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let now = polled(&world).await;
        if std::mem::replace(&mut before, now.clone()) == now {
            break;
        }
    }
    for name in ["Grace", "Admiral", "Amazing", "Grand"] {
        rename(&world, &id, name);
        world.until_text(FIRST, name).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(polled(&world).await, before, "it is polled although events come");
    // Nobody may listen any more: polls do it all.
    world.org.deselect_entity("Contact");
    world.org.forget_clients();
    until_polled(&world, &before).await;
    rename(&world, &id, "Great");
    world.until_text(FIRST, "Great").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_can_be_left_out_at_run_time() {
    let world = listening(RARELY).await;
    assert_eq!(world.org.listeners(), 1);
    world.handle.set_rule("Contact", "change_events", Some("false")).await.unwrap();
    world
        .until("nobody listens", async || world.handle.overview().await.unwrap().mappings[0].events.is_none())
        .await;
}
