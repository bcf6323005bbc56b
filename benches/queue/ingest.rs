//! What the engine can take in: captured changes become units. Beside it the least SQL that does so.

use std::time::Instant;

use syncdeck::postgres::Store;
use tokio_postgres::Client;

use super::by_hand::ByHand;
use super::drain::entries;
use super::{Limit, Side, connect, each, figure};

/// The changes of one measurement.
const COUNT: i64 = 50_000;
/// Of one ingestion.
const AT_ONCE: i64 = 5_000;
const ROUNDS: usize = 5;
/// Empty ones of one measurement.
const EMPTY: u32 = 200;

pub async fn run(store: &Store, sql: &Client, url: &str) {
    let by_hand = ByHand::new(connect(url).await).await;
    let tables = ["contact".to_owned()];
    let (mut ours, mut peer) = (Side::new("our ingestion"), Side::new("the least SQL"));
    for _ in 0..ROUNDS {
        captured(sql, COUNT).await;
        let (begin, mut taken) = (Instant::now(), 0);
        while taken < COUNT {
            taken += by_hand.ingest(AT_ONCE).await;
        }
        peer.rounds.push(COUNT as f64 / begin.elapsed().as_secs_f64());
        captured(sql, COUNT).await;
        let (begin, mut taken) = (Instant::now(), 0);
        while taken < COUNT {
            taken += store.ingest(&tables, AT_ONCE).await.unwrap();
        }
        ours.rounds.push(COUNT as f64 / begin.elapsed().as_secs_f64());
    }
    figure("ingestion over hand-written", &ours, &peer, "changes/s", Limit::AtLeast(0.8));
    let (mut ours, mut peer) = (Side::new("an empty ingestion"), Side::new("SELECT 1, six times"));
    for _ in 0..ROUNDS {
        peer.rounds.push(round_trips(sql, 6).await);
        let begin = Instant::now();
        for _ in 0..EMPTY {
            assert_eq!(store.ingest(&tables, AT_ONCE).await.unwrap(), 0);
        }
        ours.rounds.push(begin.elapsed().as_secs_f64() * 1000.0 / f64::from(EMPTY));
    }
    figure("an empty ingestion over as many bare round trips", &ours, &peer, "ms", Limit::AtMost(3.0));
    let (mut large, mut small) = (Side::new("50000 changes, each"), Side::new("5000 changes, each"));
    for _ in 0..ROUNDS {
        for (side, count) in [(&mut small, COUNT / 10), (&mut large, COUNT)] {
            captured(sql, count).await;
            let begin = Instant::now();
            assert_eq!(store.ingest(&tables, count).await.unwrap(), count);
            side.rounds.push(begin.elapsed().as_secs_f64() * 1_000_000.0 / count as f64);
        }
    }
    figure("a change of a large ingestion over one of a small", &large, &small, "us", Limit::AtMost(2.0));
}

/// How long so many round trips take that ask for nothing, in milliseconds.
pub async fn round_trips(sql: &Client, count: u32) -> f64 {
    let bare = sql.prepare("SELECT 1").await.unwrap();
    let begin = Instant::now();
    for _ in 0..EMPTY * count {
        sql.query_one(&bare, &[]).await.unwrap();
    }
    begin.elapsed().as_secs_f64() * 1000.0 / f64::from(EMPTY)
}

/// So many changes were captured, each of a record of its own.
async fn captured(sql: &Client, count: i64) {
    entries(sql, count, "NEW").await;
    each(sql, "CHECKPOINT").await;
}
