//! What waits to be sent, and why.

use syncdeck::client::api::PendingQuery;

use crate::world::{INVOICES, MAPPINGS, World};

async fn told(world: &World, query: &PendingQuery) -> Vec<String> {
    let waiting = world.handle.pending(query).await.unwrap();
    let line = |one: &syncdeck::domain::changes::pending::Pending| {
        format!("{} {} {} {} x{}: {}", one.mapping, one.row.row, one.op, one.state, one.changes, one.reason)
    };
    waiting.iter().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_listed_page_by_page_whether_it_was_taken_in_or_not() {
    let mut world = World::start(MAPPINGS).await;
    world.handle.writes(Some("Contact"), syncdeck::domain::reports::overview::Writes::Pause).await.unwrap();
    world
        .run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('A', 'K1'), ('B', 'K2')")
        .await;
    world.until_text("SELECT count(*)::text FROM syncdeck.unit WHERE state = 'stopped'", "2").await;
    world.stop_engine().await;
    world
        .until("its end is told", async || {
            world.handle.overview().await.unwrap().engine.state.word() == "stopped"
        })
        .await;
    world
        .run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('C', 'K3'), ('D', 'K4')")
        .await;
    world.run("UPDATE salesforce.contact SET phone = '1' WHERE id IN (1, 3); DELETE FROM salesforce.contact WHERE id = 2").await;
    let paused = "its mapping's writes are paused";
    let all = [
        format!("Contact 1 insert stopped x2: {paused}"),
        format!("Contact 2 delete stopped x2: {paused}"),
        format!("Contact 3 insert new x2: {paused}"),
        format!("Contact 4 insert new x1: {paused}"),
    ];
    let query = PendingQuery { limit: 10, ..PendingQuery::default() };
    assert_eq!(told(&world, &query).await, all);
    // And so they are counted.
    let contacts = world.handle.overview().await.unwrap().mappings.remove(1);
    assert_eq!((contacts.name.as_str(), contacts.pending), ("Contact", 4));
    assert!(contacts.oldest_pending.is_some());
    let mut query = PendingQuery { mapping: Some("contact".to_owned()), after: None, limit: 1 };
    let mut pages = Vec::new();
    loop {
        pages.extend(told(&world, &query).await);
        let page = world.handle.pending(&query).await.unwrap();
        let Some(last) = page.last() else { break };
        query.after = Some((last.since, last.row.clone()));
    }
    assert_eq!(pages, all);
    let accounts = PendingQuery { mapping: Some("Account".to_owned()), after: None, limit: 10 };
    assert!(told(&world, &accounts).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_names_what_it_waits_for_and_what_is_tried_again_says_when() {
    let world = World::start(INVOICES).await;
    world
        .run("INSERT INTO salesforce.invoice_line__c (name, external_id__c, invoice__r__external_id__c) VALUES ('L', 'L1', 'I1')")
        .await;
    world.until_text("SELECT state FROM syncdeck.unit", "held").await;
    let query = PendingQuery { limit: 10, ..PendingQuery::default() };
    assert_eq!(told(&world, &query).await, ["Invoice_Line__c 1 insert held x1: waits for Invoice__c I1"]);
    world.run("UPDATE syncdeck.unit SET state = 'ready', held_table = NULL, attempts = 1, ready_at = '2100-01-01 10:20:30Z'").await;
    assert_eq!(told(&world, &query).await, ["Invoice_Line__c 1 insert ready x1: tried again"]);
    let waiting = world.handle.pending(&query).await.unwrap();
    assert_eq!(
        (waiting[0].rests, waiting[0].ready_at.to_rfc3339().as_str()),
        (true, "2100-01-01T10:20:30+00:00")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_flight_bears_the_word_with_which_the_name_of_its_batch_begins() {
    let world = World::start(MAPPINGS).await;
    world.org.change_faults(|faults| faults.latency_ms = 20_000);
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('A', 'K1')").await;
    world.until_text("SELECT state FROM syncdeck.unit", "inflight").await;
    let query = PendingQuery { limit: 10, ..PendingQuery::default() };
    let waiting = world.handle.pending(&query).await.unwrap();
    assert_eq!(waiting[0].reason, "in flight");
    let word = waiting[0].batch.clone().unwrap();
    world.org.change_faults(|faults| faults.latency_ms = 0);
    world.until_text("SELECT count(*)::text FROM syncdeck.attempt", "1").await;
    let batch = world.text("SELECT batch FROM syncdeck.attempt").await.unwrap();
    assert_eq!(batch, format!("{word}-1"));
}
