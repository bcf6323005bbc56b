//! The ingestion's cost grows with the changes, whatever was planned when.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use syncdeck::domain::changes::dispatch::Claimed;
use syncdeck::domain::mappings::mapping::Mapping;
use syncdeck::domain::names::RowId;
use syncdeck::postgres::Store;
use syncdeck::postgres::changes::acknowledge::Rows;
use syncdeck::postgres::changes::queue::{Ack, UnitOutcome};

use crate::support::connect;
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

/// Takes up to 200 units through a store: claimed, read, and acknowledged. Returns how many.
async fn batch(store: &Store, mapping: &Mapping) -> usize {
    let units = store.claim("token", Duration::from_secs(60), 200).await.unwrap();
    let rows: Vec<RowId> = units.iter().map(|unit| unit.row).collect();
    store.unsent_bytes("contact", &rows).await.unwrap();
    let contents = store.contents(mapping, &rows, &[]).await.unwrap();
    let ack = |unit: Claimed| Ack {
        upto: contents[&unit.row].entries.iter().map(|entry| entry.id).max().unwrap(),
        unit,
        op: "update",
        key: None,
        request: None,
        response: None,
        outcome: UnitOutcome::Accepted { sfid: None, lastop: Some("UPDATED") },
    };
    let acks: Vec<Ack> = units.into_iter().map(ack).collect();
    assert_eq!(store.acknowledge("token", "batch", &acks, Rows::Now).await.unwrap().fenced, 0);
    acks.len()
}

/// Rows with a change each, from the one on to the other, that are `ready`, or in flight elsewhere.
async fn wait(world: &World, rows: std::ops::RangeInclusive<i32>, state: &str) {
    let (from, to) = rows.into_inner();
    world
        .run(&format!(
            "SET syncdeck.writer = 'engine';
             INSERT INTO salesforce.contact (id, lastname) SELECT n, 'Doe' FROM generate_series({from}, {to}) n;
             RESET syncdeck.writer;
             INSERT INTO salesforce._trigger_log (state, action, table_name, record_id, values, created_at)
             SELECT 'PENDING', 'UPDATE', 'contact', n, 'lastname=>X', now() FROM generate_series({from}, {to}) n;
             INSERT INTO syncdeck.unit (table_name, record_id, state, token, lease_until)
             SELECT 'contact', n, '{state}', CASE '{state}' WHEN 'inflight' THEN 'another' END, CASE '{state}' WHEN 'inflight' THEN 'infinity'::timestamptz END
             FROM generate_series({from}, {to}) n"
        ))
        .await;
}

/// How many entries of each index were read so far, and how many rows of each table without one.
async fn read(world: &World) -> BTreeMap<String, i64> {
    let counts = "SELECT indexrelname::text, idx_tup_read FROM pg_stat_user_indexes WHERE schemaname IN ('salesforce', 'syncdeck')
        UNION ALL SELECT relname::text, seq_tup_read FROM pg_stat_user_tables WHERE schemaname IN ('salesforce', 'syncdeck')";
    let rows = world.sql.query(counts, &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// Entries of indexes, and rows of whole tables, that a batch of 200 reads while more wait. Its statements ran so often while
/// nothing did: the server plans the first few anew each time, and then keeps one plan for all.
async fn read_by_batch(world: &World, runs: i32, more: i32) -> BTreeMap<String, i64> {
    let sessions = "SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database()";
    let others = world.text(sessions).await.unwrap();
    let store = connect(&world.direct).await.unwrap();
    let mapping =
        Mapping { external_id: Some("External_Id__c".to_owned()), ..Mapping::plain("Contact", Vec::new()) };
    for row in 1..=runs {
        wait(world, row..=row, "ready").await;
        assert_eq!(batch(&store, &mapping).await, 1);
    }
    wait(world, 101..=300, "ready").await;
    if more > 0 {
        wait(world, 1_001..=1_000 + more, "ready").await;
        wait(world, 100_001..=100_000 + more, "inflight").await;
        world
            .run(&format!(
                "INSERT INTO syncdeck.error (mapping, table_name, record_id, op, code, category, class, message, fingerprint, state)
                 SELECT 'Contact', 'contact', n, 'update', 'X', 'data', 'permanent', 'no', 'x', 'open' FROM generate_series(100001, {}) n",
                100_000 + more
            ))
            .await;
    }
    let before = read(world).await;
    assert_eq!(batch(&store, &mapping).await, 200);
    // A session that ends tells what it read.
    drop(store);
    world.until_text(sessions, &others).await;
    let mut read = read(world).await;
    read.iter_mut().for_each(|(name, count)| *count -= before.get(name).copied().unwrap_or(0));
    world.run("DELETE FROM salesforce._trigger_log; DELETE FROM syncdeck.unit; DELETE FROM syncdeck.error; SET syncdeck.writer = 'engine'; DELETE FROM salesforce.contact; RESET syncdeck.writer").await;
    read
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_reads_no_more_where_much_waits() {
    let mut world = World::start(MAPPINGS).await;
    world.stop_engine().await;
    // The planner knows what it knew of empty tables, as in a burst.
    world
        .run(
            "ALTER TABLE syncdeck.unit SET (autovacuum_enabled = off);
             ALTER TABLE syncdeck.error SET (autovacuum_enabled = off);
             ALTER TABLE salesforce._trigger_log SET (autovacuum_enabled = off);
             ALTER TABLE salesforce.contact SET (autovacuum_enabled = off)",
        )
        .await;
    for runs in [1, 12] {
        let few = read_by_batch(&world, runs, 0).await;
        let many = read_by_batch(&world, runs, 20_000).await;
        let sum = |read: &BTreeMap<String, i64>| read.values().sum::<i64>();
        assert!(sum(&few) > 200 && sum(&many) < 2 * sum(&few), "{few:?} {many:?}");
    }
}
