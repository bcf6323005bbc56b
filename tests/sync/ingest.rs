//! The ingestion's cost grows with the changes, whatever was planned when.

use std::time::{Duration, Instant};

use syncdeck::postgres::changes::acknowledge::Rows;
use syncdeck::postgres::changes::queue::{Ack, UnitOutcome};

use crate::world::{MAPPINGS, World};

/// A burst of changes of as many rows, and how long one ingestion of them takes.
async fn burst(world: &World, count: i32) -> Duration {
    world
        .run(&format!(
            "INSERT INTO salesforce._trigger_log (state, action, table_name, record_id, values, created_at)
             SELECT 'NEW', 'UPDATE', 'contact', n, 'lastname=>X', now() FROM generate_series(1, {count}) n"
        ))
        .await;
    let tables = ["contact".to_owned(), "account".to_owned()];
    let begin = Instant::now();
    assert_eq!(world.store.ingest(&tables, 100_000).await.unwrap(), i64::from(count));
    let took = begin.elapsed();
    // A TRUNCATE would have everything planned anew.
    world.run("DELETE FROM salesforce._trigger_log; DELETE FROM syncdeck.unit").await;
    took
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_made_for_an_empty_log_is_right_for_a_burst() {
    let mut world = World::start(MAPPINGS).await;
    world.stop_engine().await;
    world.run("ANALYZE salesforce._trigger_log; ANALYZE syncdeck.unit").await;
    // Often enough that the server keeps one plan for all.
    let tables = ["contact".to_owned(), "account".to_owned()];
    for _ in 0..12 {
        assert_eq!(world.store.ingest(&tables, 100_000).await.unwrap(), 0);
    }
    let (mut small, mut large) = (Duration::MAX, Duration::MAX);
    // The least of many is what it takes where nothing else runs; what is slow by itself stays so however often it is tried.
    for _ in 0..40 {
        small = small.min(burst(&world, 1_200).await);
        large = large.min(burst(&world, 9_600).await);
        if large.as_secs_f64() / small.as_secs_f64() < 24.0 {
            break;
        }
    }
    // Eight times as many; with every change compared with every other it would be 64 times as long.
    let ratio = large.as_secs_f64() / small.as_secs_f64();
    assert!(ratio < 24.0, "{small:?} {large:?}");
}

/// An acknowledgement of 200 units with so many changes each, and how long it takes.
async fn acknowledge(world: &World, each: i32) -> Duration {
    world
        .run(&format!(
            "INSERT INTO salesforce._trigger_log (state, action, table_name, record_id, values, created_at)
             SELECT 'PENDING', 'UPDATE', 'contact', n, 'lastname=>X', now() FROM generate_series(1, 200) n, generate_series(1, {each});
             INSERT INTO syncdeck.unit (table_name, record_id, state) SELECT 'contact', n, 'ready' FROM generate_series(1, 200) n"
        ))
        .await;
    let units = world.store.claim("token", Duration::from_secs(60), 200).await.unwrap();
    let ack = |unit| Ack {
        unit,
        upto: i64::from(i32::MAX),
        op: "update",
        key: None,
        request: None,
        response: None,
        outcome: UnitOutcome::Accepted { sfid: None, lastop: Some("UPDATED") },
    };
    let acks: Vec<Ack> = units.into_iter().map(ack).collect();
    let begin = Instant::now();
    assert_eq!(world.store.acknowledge("token", "batch", &acks, Rows::Now).await.unwrap().fenced, 0);
    let took = begin.elapsed();
    assert_eq!(world.text("SELECT count(*)::text FROM salesforce._trigger_log").await.unwrap(), "0");
    world.run("DELETE FROM salesforce._trigger_log_archive").await;
    took
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_grows_with_its_changes_alone() {
    let mut world = World::start(MAPPINGS).await;
    world.stop_engine().await;
    world.run("ANALYZE salesforce._trigger_log; ANALYZE syncdeck.unit; ANALYZE syncdeck.error").await;
    for _ in 0..12 {
        acknowledge(&world, 0).await;
    }
    let (mut small, mut large) = (Duration::MAX, Duration::MAX);
    // The least of many is what it takes where nothing else runs; what is slow by itself stays so however often it is tried.
    for _ in 0..40 {
        small = small.min(acknowledge(&world, 6).await);
        large = large.min(acknowledge(&world, 48).await);
        if large.as_secs_f64() / small.as_secs_f64() < 24.0 {
            break;
        }
    }
    let ratio = large.as_secs_f64() / small.as_secs_f64();
    assert!(ratio < 24.0, "{small:?} {large:?}");
}
