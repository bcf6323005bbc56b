//! What a batch and an intake cost where much waits, beside where little does, in a database whose statistics were never
//! made: as after a large change of an application, or when the engine was down. Every statement was planned before.

use std::time::Instant;

use syncdeck::postgres::Store;
use tokio_postgres::Client;

use super::drain::{drain, entries};
use super::{BATCH, Limit, MILLION, Side, contact, figure};

const ROUNDS: usize = 5;
const FEW: i64 = 1_000;
/// Batches of one measurement: as many as few changes fill.
const BATCHES: i64 = FEW / BATCH;
/// Changes that waited while the engine was down.
const WAITED: i64 = 200_000;
/// Of one ingestion.
const AT_ONCE: i64 = 5_000;
/// At most so much more for each change.
const FLAT: f64 = 1.3;

pub async fn run(store: &Store, sql: &Client) {
    sql.batch_execute(
        "ALTER TABLE syncdeck.unit SET (autovacuum_enabled = off);
         ALTER TABLE syncdeck.error SET (autovacuum_enabled = off);
         ALTER TABLE salesforce._trigger_log SET (autovacuum_enabled = off)",
    )
    .await
    .unwrap();
    let mapping = contact();
    let (mut few, mut many) = (Side::new("1000 wait"), Side::new("1000000 wait"));
    for _ in 0..ROUNDS {
        fill(sql, FEW).await;
        few.rounds.push(drain(store, &mapping, BATCHES, 1).await);
    }
    fill(sql, MILLION).await;
    for _ in 0..ROUNDS {
        many.rounds.push(drain(store, &mapping, BATCHES, 1).await);
    }
    figure("batches where a million wait over few", &many, &few, "changes/s", Limit::AtLeast(1.0 / FLAT));
    let (mut few, mut many) = (Side::new("5000 waited"), Side::new("200000 waited"));
    for _ in 0..ROUNDS {
        for (side, count) in [(&mut few, AT_ONCE), (&mut many, WAITED)] {
            entries(sql, count, "NEW").await;
            let (begin, mut taken) = (Instant::now(), 0);
            while taken < count {
                taken += store.ingest(&["contact".to_owned()], AT_ONCE).await.unwrap();
            }
            side.rounds.push(count as f64 / begin.elapsed().as_secs_f64());
        }
    }
    figure("intake of what waited long over a little", &many, &few, "changes/s", Limit::AtLeast(1.0 / FLAT));
}

/// So many changes wait, and nobody analyses.
async fn fill(sql: &Client, count: i64) {
    entries(sql, count, "PENDING").await;
    let units = format!(
        "INSERT INTO syncdeck.unit (table_name, record_id, state) SELECT 'contact', n, 'ready' FROM generate_series(1, {count}) n"
    );
    sql.batch_execute(&units).await.unwrap();
    sql.batch_execute("CHECKPOINT").await.unwrap();
}
