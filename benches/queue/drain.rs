//! What the engine can take out: claim, contents, acknowledge, archive and write-back in batches of 200, beside the least
//! SQL that does so; at three depths of the queue; with two workers; and an empty claim while a million are blocked.

use std::time::{Duration, Instant};

use serde_json::json;
use syncdeck::domain::mappings::mapping::Mapping;
use syncdeck::domain::names::RowId;
use syncdeck::postgres::Store;
use syncdeck::postgres::changes::acknowledge::Rows;
use syncdeck::postgres::changes::queue::{Ack, UnitOutcome};
use tokio_postgres::Client;

use super::by_hand::ByHand;
use super::{BATCH, Limit, MILLION, Side, connect, contact, each, figure};

const LEASE: Duration = Duration::from_secs(90);
/// Batches of one measurement.
const BATCHES: i64 = 40;
const ROUNDS: usize = 5;
/// The depths of the queue, from the shallow one on.
const DEPTHS: [(i64, &str); 3] =
    [(10_000, "10000 wait"), (100_000, "100000 wait"), (MILLION, "1000000 wait")];

pub async fn run(store: &Store, sql: &Client, url: &str) {
    let mapping = contact();
    let by_hand = ByHand::new(connect(url).await).await;
    let mut depths = Vec::new();
    for (depth, what) in DEPTHS {
        let (mut ours, mut peer) = (Side::new("our queue"), Side::new("the least SQL"));
        let batches = BATCHES.min(depth / 2 / BATCH);
        let mut left = 0;
        for round in 0..ROUNDS {
            if left < batches {
                fill(sql, depth).await;
                left = depth / 2 / BATCH;
            }
            left -= batches;
            // Whoever comes second finds more in the caches.
            for is_ours in [round % 2 == 0, round % 2 != 0] {
                if is_ours {
                    ours.rounds.push(drain(store, &mapping, batches, 1).await);
                } else {
                    peer.rounds.push(drain_by_hand(&by_hand, batches).await);
                }
            }
        }
        figure(&format!("queue over hand-written, {what}"), &ours, &peer, "changes/s", Limit::AtLeast(0.8));
        depths.push(Side { what, rounds: ours.rounds });
    }
    figure("a deep queue over a shallow one", &depths[2], &depths[0], "changes/s", Limit::AtLeast(0.7));
    let (mut one, mut two) = (Side::new("1 worker"), Side::new("2 workers"));
    for _ in 0..ROUNDS {
        one.rounds.push(drain(store, &mapping, BATCHES, 1).await);
        two.rounds.push(drain(store, &mapping, BATCHES, 2).await);
    }
    figure("two workers over one, 1000000 wait", &two, &one, "changes/s", Limit::AtLeast(1.2));
    each(sql, "UPDATE syncdeck.unit SET state = 'held', held_table = 'account', held_record = 1;\nVACUUM syncdeck.unit").await;
    let (mut ours, mut peer) = (Side::new("an empty claim"), Side::new("SELECT 1"));
    for _ in 0..ROUNDS {
        peer.rounds.push(super::ingest::round_trips(sql, 1).await);
        let begin = Instant::now();
        for _ in 0..200 {
            assert!(store.claim("nobody", LEASE, BATCH).await.unwrap().is_empty());
        }
        ours.rounds.push(begin.elapsed().as_secs_f64() * 1000.0 / 200.0);
    }
    figure("an empty claim over a bare round trip, 1000000 blocked", &ours, &peer, "ms", Limit::AtMost(4.0));
}

/// Entries of the log as capture writes them, of as many records.
pub async fn entries(sql: &Client, count: i64, state: &str) {
    sql.batch_execute(&format!(
        "TRUNCATE salesforce._trigger_log, salesforce._trigger_log_archive, syncdeck.unit, syncdeck.attempt, by_hand.unit, by_hand.attempt;
         INSERT INTO salesforce._trigger_log (txid, created_at, state, action, table_name, record_id, sfid, old, values)
         SELECT n, now(), '{state}', 'UPDATE', 'contact', n, '003' || lpad(n::text, 15, '0'),
             hstore(c)::text, '\"lastname\"=>\"Name 2 ' || n || '\"'
         FROM generate_series(1, {count}) n JOIN salesforce.contact c ON c.id = n"
    ))
    .await
    .unwrap();
}

/// So many changes wait, each of a record of its own: the first half for us, the second for the other. On one page the
/// second who comes would find the room that the first one left.
async fn fill(sql: &Client, depth: i64) {
    entries(sql, depth, "PENDING").await;
    let half = depth / 2;
    each(sql, &format!(
        "INSERT INTO syncdeck.unit (table_name, record_id, state) SELECT 'contact', n, 'ready' FROM generate_series(1, {half}) n;
INSERT INTO by_hand.unit (record_id, state) SELECT n, 'ready' FROM generate_series({half} + 1, {depth}) n;
VACUUM ANALYZE salesforce._trigger_log;
VACUUM ANALYZE syncdeck.unit;
VACUUM ANALYZE by_hand.unit;
CHECKPOINT"
    ))
    .await;
}

/// Changes a second through our queue.
pub async fn drain(store: &Store, mapping: &Mapping, batches: i64, workers: i64) -> f64 {
    let begin = Instant::now();
    let tasks: Vec<_> = (0..workers)
        .map(|number| tokio::spawn(work(store.clone(), mapping.clone(), number, batches / workers)))
        .collect();
    let mut changes = 0;
    for task in tasks {
        changes += task.await.unwrap();
    }
    assert_eq!(changes, batches / workers * workers * BATCH);
    changes as f64 / begin.elapsed().as_secs_f64()
}

/// Changes a second by hand.
async fn drain_by_hand(by_hand: &ByHand, batches: i64) -> f64 {
    let begin = Instant::now();
    for batch in 0..batches {
        assert_eq!(by_hand.batch(&format!("by hand {batch}"), BATCH).await, BATCH);
    }
    (batches * BATCH) as f64 / begin.elapsed().as_secs_f64()
}

/// One worker: what the engine does to PostgreSQL for each batch.
async fn work(store: Store, mapping: Mapping, number: i64, batches: i64) -> i64 {
    let mut done = 0;
    for batch in 0..batches {
        let token = format!("{number} {batch}");
        let units = store.claim(&token, LEASE, BATCH).await.unwrap();
        let rows: Vec<RowId> = units.iter().map(|unit| unit.row).collect();
        let contents = store.contents(&mapping, &rows, &[]).await.unwrap();
        let acks: Vec<Ack> = units
            .into_iter()
            .map(|unit| {
                let content = &contents[&unit.row];
                let upto = content.entries.iter().map(|entry| entry.id).max().unwrap_or(0);
                let outcome = UnitOutcome::Accepted { sfid: content.sfid.clone(), lastop: Some("UPDATED") };
                let request = Some(json!({"id": content.sfid, "LastName": "Name 2"}));
                let key = content.external_id.clone();
                Ack { unit, upto, op: "update", key, request, response: None, outcome }
            })
            .collect();
        store.acknowledge(&token, "batch", &acks, Rows::Now).await.unwrap();
        done += acks.len() as i64;
    }
    done
}
