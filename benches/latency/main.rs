//! How soon a committed change is with Salesforce, and noted as taken: `cargo bench --bench latency`. One JSON line a figure. A
//! simulated org behind 2 and 80 ms of network, one change a second and a hundred, and beside the engine a sender written by
//! hand that a NOTIFY wakes, which sends all that waits in one request and notes that it was taken.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench that cannot go on ends")]
#![allow(clippy::disallowed_macros, reason = "a bench prints its figures")]

#[path = "../shared/bell.rs"]
mod bell;
mod by_hand;
#[path = "../shared/connected.rs"]
mod connected;
#[expect(dead_code, reason = "nothing is counted here")]
#[path = "../shared/figures.rs"]
mod figures;
#[path = "../shared/signed_in.rs"]
mod signed_in;
#[path = "../shared/writing.rs"]
mod writing;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use syncdeck::demo::private::{Options, PrivateServer};
use syncdeck::domain::state::MappingState;
use syncdeck::engine;
use syncdeck::postgres::Store;
use syncdeck::simulator::{self, Org, OrgOptions};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use connected::connect;
use figures::figure;

/// Rows that are changed in turn: no two changes of a row wait at once.
const ROWS: i64 = 200;
/// Changes a second, and how many.
const LOADS: [(u64, u64); 2] = [(1, 40), (100, 2_000)];

/// How long nobody may see anything happen.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where changes are made.
struct Side {
    table: &'static str,
    /// What tells of each change, by its number, when it was noted that it was taken.
    taken: &'static str,
}

const OURS: Side = Side {
    table: "salesforce.contact",
    taken: "SELECT substring(values FROM '\"lastname\"=>\"n([0-9]+)\"')::bigint, processed_at
        FROM salesforce._trigger_log_archive WHERE action = 'UPDATE' AND state IN ('SUCCESS', 'MERGED')",
};
const PEER: Side = Side {
    table: "by_hand.contact",
    taken: "SELECT substring(lastname FROM 2)::bigint, taken FROM by_hand.done",
};

// Engine, org and sender would be programs of their own, each with its threads.
#[tokio::main(worker_threads = 4)]
async fn main() {
    let dir = tempfile::Builder::new().prefix("syncdeck-bench-").tempdir_in("/var/tmp").unwrap().keep();
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o711)).unwrap();
    let server = PrivateServer::start(&Options { dir, remove: true, durable: true }).unwrap();
    for latency in [2, 80] {
        let name = format!("l{latency}");
        let sql = connect(&server.url("postgres")).await;
        sql.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        run(&server.url(&name), latency).await;
    }
}

async fn run(url: &str, latency: u64) {
    let (org, address) = serve().await;
    let store = Store::connect(url, "salesforce", "syncdeck bench", Duration::from_secs(30)).await.unwrap();
    let engine = engine::start(writing::config(url, address), store.clone()).await.unwrap();
    let begin = Instant::now();
    while store.overview().await.unwrap().mappings.iter().any(|mapping| mapping.state != MappingState::Ok) {
        assert!(begin.elapsed() < PATIENCE, "the engine does not begin");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let sql = connect(url).await;
    let insert = format!(
        "INSERT INTO salesforce.contact (lastname, external_id__c) SELECT 'Doe', 'K' || n FROM generate_series(1, {ROWS}) n"
    );
    sql.batch_execute(&insert).await.unwrap();
    let told = "SELECT count(*) FROM salesforce.contact WHERE _hc_lastop = 'INSERTED'";
    while sql.query_one(told, &[]).await.unwrap().get::<_, i64>(0) < ROWS {
        assert!(begin.elapsed() < PATIENCE, "the rows are not sent");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (other_org, other_address) = serve().await;
    let by_hand = by_hand::send(url, &sql, &other_org, other_address).await;
    let orgs = [org, other_org];
    for org in &orgs {
        org.change_faults(|faults| faults.latency_ms = latency);
    }
    for (rate, many) in LOADS {
        let mut taken = Vec::new();
        for (side, org) in [OURS, PEER].iter().zip(&orgs) {
            taken.push(measure(&sql, side, org, rate, many).await);
        }
        let beside = "a sender by hand that a NOTIFY wakes";
        for (step, what) in ["commit to request", "commit to taken"].into_iter().enumerate() {
            // An engine looks every few milliseconds whether something was captured: a NOTIFY would cost the application's
            // commits far more. Beside a short way that look is most of it.
            let (median, slowest) = if latency < 20 { (5.0, 10.0) } else { (1.5, 3.0) };
            // The 99th of a hundred of few is the slowest of them.
            let shares =
                [(50, median), (99, slowest)].into_iter().filter(|(share, _)| many >= 100 || *share < 99);
            for (share, limit) in shares {
                let name = format!("{what}, {rate} changes/s, {latency} ms of network, p{share}");
                let [ours, theirs] = [0, 1].map(|side: usize| percentile(&taken[side][step], share));
                figure(&name, ours, "ms", (beside, theirs), limit);
            }
        }
    }
    by_hand.abort();
    engine.stop().await;
}

async fn serve() -> (Org, SocketAddr) {
    let org = Org::new(OrgOptions { daily_limit: 10_000_000, ..OrgOptions::default() });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(simulator::serve(org.clone(), listener, CancellationToken::new()));
    (org, address)
}

/// From the commit of each change to its request, and until it is noted that it was taken; in milliseconds.
async fn measure(sql: &Client, side: &Side, org: &Org, rate: u64, many: u64) -> [Vec<f64>; 2] {
    let change = sql
        .prepare(&format!("UPDATE {} SET lastname = $1 WHERE external_id__c = $2", side.table))
        .await
        .unwrap();
    let seen = org.journal_since(0).len() as u64;
    let mut committed: HashMap<i64, DateTime<Utc>> = HashMap::new();
    let period = Duration::from_secs(1) / u32::try_from(rate).unwrap();
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let first = i64::try_from(rate * 1_000_000).unwrap();
    let begin = Instant::now();
    for number in first..first + i64::try_from(many).unwrap() {
        ticks.tick().await;
        // At any moment between two looks.
        tokio::time::sleep(Duration::from_micros(number.unsigned_abs() * 7_919 % 10_000)).await;
        let key = format!("K{}", number % ROWS + 1);
        assert_eq!(sql.execute(&change, &[&format!("n{number}"), &key]).await.unwrap(), 1);
        committed.insert(number, Utc::now());
    }
    let took = begin.elapsed();
    assert!(took < period * u32::try_from(many).unwrap() * 11 / 10, "{many} changes took {took:?} to make");
    let taken = until_taken(sql, side, first, many).await;
    let since = |number: i64, at: DateTime<Utc>| {
        let committed = committed.get(&number)?;
        Some((at - *committed).num_microseconds().unwrap() as f64 / 1_000.0)
    };
    let arrived = org.journal_since(seen).into_iter().filter_map(|entry| {
        let number = entry.fields.get("LastName")?.as_str()?.strip_prefix('n')?.parse().ok()?;
        since(number, entry.at)
    });
    [arrived.collect(), taken.into_iter().filter_map(|(number, at)| since(number, at)).collect()]
}

/// Waits until all these changes are noted as taken; returns when each was.
async fn until_taken(sql: &Client, side: &Side, first: i64, many: u64) -> Vec<(i64, DateTime<Utc>)> {
    let begin = Instant::now();
    loop {
        let rows = sql.query(side.taken, &[]).await.unwrap();
        let taken: Vec<(i64, DateTime<Utc>)> = rows
            .iter()
            .filter_map(|row| Some((row.get::<_, Option<i64>>(0)?, row.get(1))))
            .filter(|(number, _)| *number >= first)
            .collect();
        if taken.len() as u64 >= many {
            return taken;
        }
        assert!(begin.elapsed() < PATIENCE, "{} of {many} were taken", taken.len());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn percentile(values: &[f64], share: usize) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[(values.len() * share / 100).min(values.len() - 1)]
}
