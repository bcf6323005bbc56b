//! The org's API requests of a day: polls become rarer before the budget is used up, and nothing is asked beyond it.

use crate::world::{MAPPINGS, World};

const HALF: &str = "client_secret = \"simulated-secret\"\napi_budget = 50\n";

async fn world() -> World {
    World::signing_in(HALF, MAPPINGS, |org| org.daily_limit = 1_000_000).await
}

async fn insert(world: &World, key: &str) {
    let row = format!("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Doe', '{key}')");
    world.run(&row).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_asked_beyond_the_budget_and_all_goes_on_below_it() {
    let world = world().await;
    world.org.count_requests(600_000);
    let listed = "SELECT category || ' ' || class FROM syncdeck.error WHERE code = 'API_BUDGET_USED' AND resolved_at IS NULL";
    world.until_text(listed, "connection transient").await;
    let state = "SELECT connection_state FROM syncdeck.engine";
    world.until_text(state, "limited").await;
    insert(&world, "K1").await;
    // The error is seen again and not listed anew, however often somebody asks to go on.
    world.store.notify("reconnect").await.unwrap();
    let looks = "SELECT count(*) >= 2 FROM syncdeck.log WHERE message LIKE 'Salesforce cannot be asked: % of 500000 API requests used in 24 hours%'";
    world.until_text(&format!("SELECT ({looks})::text"), "true").await;
    let errors = "SELECT count(*)::text FROM syncdeck.error WHERE code = 'API_BUDGET_USED'";
    assert_eq!(world.text(errors).await.as_deref(), Some("1"));
    world.org.count_requests(10);
    let arrives = async || {
        world.store.notify("reconnect").await.unwrap();
        world.record("Contact", "K1").is_some()
    };
    world.until("what waited arrives", arrives).await;
    world.until_text("SELECT count(*)::text FROM syncdeck.error WHERE resolved_at IS NULL", "0").await;
    world.until_text(state, "ok").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_are_rarer_near_the_end_of_the_budget_and_writes_go_on() {
    let world = world().await;
    world.org.count_requests(450_000);
    let detail = "SELECT (connection_state = 'ok' AND connection_detail LIKE 'polls are 2.0 times rarer: 450% of 500000 %')::text FROM syncdeck.engine";
    world.until_text(detail, "true").await;
    insert(&world, "K1").await;
    world.until("it arrives", async || world.record("Contact", "K1").is_some()).await;
    world.org.count_requests(10);
    world.until_text("SELECT (connection_detail IS NULL)::text FROM syncdeck.engine", "true").await;
    let told = "SELECT count(*)::text FROM syncdeck.log WHERE message = 'polls come as the rules say again'";
    world.until_text(told, "1").await;
}
