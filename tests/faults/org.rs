//! An org on its worst day.

use std::time::Duration;

use rand::RngExt;
use tokio::time::Instant;

use crate::world::{World, span};

#[tokio::test(flavor = "multi_thread")]
async fn an_org_with_every_trouble_at_once_costs_nothing_and_no_attempt_that_is_not_one() {
    let mut world = World::new("every trouble").await;
    world.engine().await;
    world.application.start(4, world.seed, Duration::from_millis(10));
    world.org.change_faults(|faults| faults.row_lock = 0.05);
    let end = Instant::now() + span(8.0);
    let mut round = 0;
    while Instant::now() < end || round < 18 {
        let die = world.dice.random_range(0..3);
        world.org.change_faults(|faults| match round % 9 {
            0 => faults.server_error = die,
            1 => faults.too_many = 1,
            2 => faults.expire_session = 1,
            3 => faults.lose_answer = 1,
            4 => faults.cut_answer = 1,
            5 => faults.short_answer = 1,
            6 => faults.reorder_answer = 1 + die,
            7 => faults.unavailable = 1,
            _ => faults.concurrent_limit = 1,
        });
        world.random_pause(Duration::from_millis(700)).await;
        round += 1;
    }
    world
        .until("every trouble happened", async |world| {
            let counts = world.org.fault_counts();
            // The answer of a read may have been lost instead.
            let lost = "SELECT count(*) FROM syncdeck.attempt WHERE outcome = 'lost'";
            let sent_again: i64 = world.sql.query_one(lost, &[]).await.unwrap().get(0);
            if sent_again == 0 {
                world.org.change_faults(|faults| faults.lose_answer = 1);
            } else if counts.short_answer == 0 {
                world.org.change_faults(|faults| faults.short_answer = 1);
            } else if counts.reorder_answer == 0 {
                world.org.change_faults(|faults| faults.reorder_answer = 1);
            }
            let all = [
                counts.row_lock,
                counts.too_many,
                counts.expire_session,
                counts.lose_answer,
                counts.cut_answer,
                counts.short_answer,
                counts.reorder_answer,
                counts.unavailable,
                counts.concurrent_limit,
            ];
            sent_again > 0 && all.iter().all(|count| *count > 0)
        })
        .await;
    world.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_record_among_200_is_found_in_few_calls_and_costs_the_others_nothing() {
    let mut world = World::new("poison record").await;
    // A word in a number field fails a whole call before any record is looked at.
    world.engine().await;
    world.org.retype_to_number("Account", "BillingCity", 6, 0);
    let poison = world.dice.random_range(1..=200);
    world
        .run(&format!(
            "INSERT INTO salesforce.account (name, external_id__c, billingcity)
             SELECT 'Company ' || n, 'A' || n, CASE WHEN n = {poison} THEN 'twelve' ELSE n::text END FROM generate_series(1, 200) n"
        ))
        .await;
    world.until("the others are in step", async |world| world.org.ids("Account").len() == 199).await;
    let failing = "SELECT string_agg(a.external_id__c || ' ' || e.state, ',') FROM syncdeck.error e
         JOIN salesforce.account a ON a.id = e.record_id WHERE e.resolved_at IS NULL";
    world
        .until("the poison record is listed, alone", async |world| {
            let row = world.sql.query_one(failing, &[]).await.unwrap();
            row.get::<_, Option<String>>(0) == Some(format!("A{poison} open"))
        })
        .await;
    let told = "SELECT count(*) FROM salesforce.account WHERE _hc_err IS NOT NULL";
    world.until_count("its row says so", told, 1).await;
    let requests: std::collections::BTreeSet<u64> = world
        .org
        .journal_since(0)
        .iter()
        .filter(|entry| entry.object == "Account")
        .map(|entry| entry.request)
        .collect();
    // A call that a slow machine let run out of time may have been carried out, and goes again in two halves; a claim
    // that it lets run out is made again, and what was answered after its lease is sent again.
    let signs =
        ["timed out", "wait for the next claim", "units were taken back", "after the lease had passed on"];
    let is_late = |line: &&str| signs.iter().any(|sign| line.contains(sign));
    let late = world.printed().lines().filter(is_late).count();
    assert!(requests.len() <= 9 + 2 * late, "the 199 went in {} calls, {late} were late", requests.len());
    world.judge().await;
}
