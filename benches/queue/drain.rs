//! What the engine can take in and out: intake; claim, contents, acknowledge, archive and write-back in batches of
//! 200 at three depths of the queue; and an empty claim while a million are blocked.

use std::time::{Duration, Instant};

use serde_json::json;
use syncdeck::domain::mapping::Mapping;
use syncdeck::domain::names::RowId;
use syncdeck::postgres::Store;
use syncdeck::postgres::acknowledge::Rows;
use syncdeck::postgres::queue::{Ack, Outcome};
use tokio_postgres::Client;

use super::{BATCH, connect, contact, each, figure, median, store};

const LEASE: Duration = Duration::from_secs(90);
const MILLION: i64 = 1_000_000;
/// Batches of one measurement.
const BATCHES: i64 = 100;

pub async fn run(url: &str) {
    let (store, mapping) = (store(url).await, contact());
    store.install("00D000000000000AAA", std::slice::from_ref(&mapping)).await.unwrap();
    let sql = connect(url).await;
    eprintln!("filling the table with a million rows");
    each(&sql, &format!(
        "SET syncdeck.writer = 'engine'; SET xmlbinary = 'hex';
         INSERT INTO salesforce.contact (id, sfid, lastname, firstname, title, email, phone, external_id__c, _hc_lastop)
         SELECT n, '003' || lpad(n::text, 15, '0'), 'Name ' || n, 'First', 'Title', 'n' || n || '@acme.com', '+1 555 0100',
             'K' || n, 'PENDING' FROM generate_series(1, {MILLION}) n;
         RESET syncdeck.writer; RESET xmlbinary;\nVACUUM ANALYZE salesforce.contact"
    ))
    .await;
    intake(&store, &sql).await;
    let mut one = Vec::new();
    for depth in [1_000, 100_000, MILLION] {
        fill(&sql, depth).await;
        let rate = drain(&store, &sql, &mapping, depth, 1).await;
        one.push(rate);
        figure(
            &format!("changes through the queue, 1 worker, {depth} waiting"),
            rate,
            "changes/s",
            (depth == MILLION).then_some(24_000.0),
            true,
            json!({}),
        );
    }
    let flat = one.iter().copied().fold(0.0, f64::max) / one.iter().copied().fold(f64::MAX, f64::min);
    figure("fastest over slowest depth", flat, "ratio", Some(1.3), false, json!({}));
    fill(&sql, MILLION).await;
    let rate = drain(&store, &sql, &mapping, MILLION, 2).await;
    figure(
        "changes through the queue, 2 workers, 1000000 waiting",
        rate,
        "changes/s",
        Some(35_000.0),
        true,
        json!({}),
    );
    each(&sql, "UPDATE syncdeck.unit SET state = 'held', held_table = 'account', held_record = 1;\nVACUUM syncdeck.unit").await;
    let mut times = Vec::new();
    for _ in 0..50 {
        let begin = Instant::now();
        assert!(store.claim("nobody", LEASE, BATCH).await.unwrap().is_empty());
        times.push(begin.elapsed().as_secs_f64() * 1000.0);
    }
    figure("an empty claim while 1000000 are blocked", median(times), "ms", Some(1.0), false, json!({}));
}

/// Captured changes become units.
async fn intake(store: &Store, sql: &Client) {
    const COUNT: i64 = 100_000;
    entries(sql, COUNT, "NEW").await;
    let tables = ["contact".to_owned()];
    let begin = Instant::now();
    let mut taken = 0;
    while taken < COUNT {
        taken += store.intake(&tables, 5_000).await.unwrap();
    }
    let rate = COUNT as f64 / begin.elapsed().as_secs_f64();
    figure("intake", rate, "changes/s", Some(16_000.0), true, json!({}));
    let mut times = Vec::new();
    for _ in 0..50 {
        let begin = Instant::now();
        assert_eq!(store.intake(&tables, 5_000).await.unwrap(), 0);
        times.push(begin.elapsed().as_secs_f64() * 1000.0);
    }
    figure("an empty intake", median(times), "ms", Some(1.0), false, json!({}));
}

async fn entries(sql: &Client, count: i64, state: &str) {
    sql.batch_execute(&format!(
        "TRUNCATE salesforce._trigger_log, salesforce._trigger_log_archive, syncdeck.unit, syncdeck.attempt;
         INSERT INTO salesforce._trigger_log (txid, created_at, state, action, table_name, record_id, sfid, old, values)
         SELECT n, now(), '{state}', 'UPDATE', 'contact', n, '003' || lpad(n::text, 15, '0'),
             hstore(c)::text, '\"lastname\"=>\"Name 2 ' || n || '\"'
         FROM generate_series(1, {count}) n JOIN salesforce.contact c ON c.id = n"
    ))
    .await
    .unwrap();
}

/// So many changes wait, each of a record of its own.
async fn fill(sql: &Client, depth: i64) {
    entries(sql, depth, "PENDING").await;
    each(sql, &format!(
        "INSERT INTO syncdeck.unit (table_name, record_id, state) SELECT 'contact', n, 'ready' FROM generate_series(1, {depth}) n;
VACUUM ANALYZE salesforce._trigger_log;
VACUUM ANALYZE syncdeck.unit;
CHECKPOINT"
    ))
    .await;
}

/// Changes a second through the whole of it. A shallow queue is filled again as often as it takes.
async fn drain(store: &Store, sql: &Client, mapping: &Mapping, depth: i64, workers: usize) -> f64 {
    let (mut changes, mut seconds) = (0, 0.0);
    let at_once = BATCHES.min(depth / BATCH);
    while changes < BATCHES * BATCH {
        if changes > 0 {
            fill(sql, depth).await;
        }
        let begin = Instant::now();
        let share = at_once / workers as i64;
        let tasks: Vec<_> = (0..workers)
            .map(|number| tokio::spawn(work(store.clone(), mapping.clone(), number, share)))
            .collect();
        for task in tasks {
            changes += task.await.unwrap();
        }
        seconds += begin.elapsed().as_secs_f64();
    }
    changes as f64 / seconds
}

/// One worker: what the engine does to PostgreSQL for each batch.
async fn work(store: Store, mapping: Mapping, number: usize, batches: i64) -> i64 {
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
                let outcome = Outcome::Accepted { sfid: content.sfid.clone(), lastop: Some("UPDATED") };
                let request = Some(json!({"id": content.sfid, "LastName": "Name 2"}));
                Ack {
                    unit,
                    upto,
                    op: "update",
                    key: content.external_id.clone(),
                    request,
                    response: None,
                    outcome,
                }
            })
            .collect();
        store.acknowledge(&token, "batch", &acks, Rows::Now).await.unwrap();
        done += acks.len() as i64;
    }
    done
}
