//! What several engines on one database gain: 80 ms of Salesforce latency, one request at a time each.

use std::time::Duration;

use syncdeck::engine;
use syncdeck::simulator::{self, Org, OrgOptions};
use tokio_util::sync::CancellationToken;

use super::{Limit, Side, config, connect, figure, store};

/// For each engine, so that all are busy for as long.
const CHANGES: i64 = 10_000;
const LATENCY_MS: u64 = 80;

pub async fn run(url: &str) {
    let org = Org::new(OrgOptions::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(simulator::serve(org.clone(), listener, CancellationToken::new()));
    let config = config(url, address);
    let sql = connect(url).await;
    // Lays the schema out.
    engine::start(config.clone(), store(url).await).await.unwrap().stop().await;
    org.change_faults(|faults| faults.latency_ms = LATENCY_MS);
    let mut sides = [Side::new("one engine"), Side::new("three engines")];
    for (side, count) in sides.iter_mut().zip([1, 3]) {
        let changes = CHANGES * count;
        sql.batch_execute(&format!(
            "INSERT INTO salesforce.contact (lastname, external_id__c) SELECT 'Name', 'E{count}-' || n FROM generate_series(1, {changes}) n"
        ))
        .await
        .unwrap();
        let before = org.journal_since(0).len();
        let mut engines = Vec::new();
        for _ in 0..count {
            engines.push(engine::start(config.clone(), store(url).await).await.unwrap());
        }
        let waiting = store(url).await;
        while waiting.unsent().await.unwrap() > 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        for engine in engines {
            engine.stop().await;
        }
        let journal = &org.journal_since(0)[before..];
        assert_eq!(journal.len() as i64, changes, "each change arrived once");
        let (first, last) = (journal[0].at, journal[journal.len() - 1].at);
        let seconds = (last - first).num_milliseconds() as f64 / 1000.0;
        // The first call's records are there when the clock starts.
        side.rounds.push((changes - super::BATCH) as f64 / seconds);
    }
    let [one, three] = sides;
    let name = "three engines over one, 80 ms of latency, one request at a time each";
    figure(name, &three, &one, "changes/s", Limit::AtLeast(2.5));
}
