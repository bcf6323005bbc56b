//! An idle engine: how soon a committed change is with Salesforce, and what looking for one costs. Beside it a sender written
//! by hand, which a NOTIFY wakes.

use std::net::SocketAddr;
use std::time::Duration;

use chrono::Utc;
use serde_json::{Value, json};
use syncdeck::domain::state::MappingState;
use syncdeck::engine::{self, Engine};
use syncdeck::postgres::Store;
use syncdeck::simulator::{self, Org, OrgOptions};
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use super::signed_in::sign_in;
use super::single::{ROWS, updates};
use super::{Limit, Side, bell, config, connect, figure, median};

/// Between two looks of the engine.
const LOOK: Duration = Duration::from_millis(10);
/// Changes of one round, and rounds.
const CHANGES: u64 = 20;
const ROUNDS: u64 = 10;
/// One measurement of what looks cost.
const SPAN: Duration = Duration::from_millis(1_500);
const ENGINE: &str = "syncdeck idle";

/// What the sender by hand works on.
const BY_HAND: &str = r#"
CREATE SCHEMA by_hand;
CREATE TABLE by_hand.contact (LIKE salesforce.contact INCLUDING DEFAULTS INCLUDING INDEXES);
CREATE TABLE by_hand.log (id serial PRIMARY KEY, sfid text, lastname text);
CREATE FUNCTION by_hand.log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO by_hand.log (sfid, lastname) VALUES (NEW.sfid, NEW.lastname);
    PERFORM pg_notify('changes', '');
    RETURN NULL;
END $$;
CREATE TRIGGER log AFTER UPDATE ON by_hand.contact FOR EACH ROW EXECUTE FUNCTION by_hand.log();
CREATE SCHEMA plain;
CREATE TABLE plain.contact (LIKE salesforce.contact INCLUDING DEFAULTS INCLUDING INDEXES);
"#;

pub async fn run(url: &str) {
    let org = Org::new(OrgOptions::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(simulator::serve(org.clone(), listener, CancellationToken::new()));
    for key in ["ours", "by hand"] {
        org.user_create(
            "Contact",
            json!({"LastName": "Doe", "External_Id__c": key}).as_object().unwrap().clone(),
        )
        .unwrap();
    }
    let sql = connect(url).await;
    // Lays the schema out, and brings our record.
    idle_engine(url, address).await.stop().await;
    sql.batch_execute(BY_HAND).await.unwrap();
    sql.batch_execute(&format!(
        "INSERT INTO plain.contact (id, sfid, lastname, external_id__c)
         SELECT n, '003' || lpad(n::text, 15, '0'), 'Name ' || n, 'K' || n FROM generate_series(1, {ROWS}) n"
    ))
    .await
    .unwrap();
    let id = org.find_by_external_id("Contact", "by hand").unwrap();
    sql.execute(
        "INSERT INTO by_hand.contact (sfid, lastname, external_id__c) VALUES ($1, 'Doe', 'by hand')",
        &[&id],
    )
    .await
    .unwrap();
    let engine = idle_engine(url, address).await;
    send_by_hand(url, address).await;
    way_to_salesforce(&org, &sql).await;
    engine.stop().await;
    cost_of_looks(url, address, &sql).await;
}

/// An engine that has nothing to do any more.
async fn idle_engine(url: &str, org: SocketAddr) -> Engine {
    let store = Store::connect(url, "salesforce", ENGINE, Duration::from_secs(60)).await.unwrap();
    let engine = engine::start(config(url, org), store.clone()).await.unwrap();
    while store.overview().await.unwrap().mappings.iter().any(|mapping| mapping.state != MappingState::Ok) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    engine
}

/// From the commit of a single change to its request.
async fn way_to_salesforce(org: &Org, sql: &Client) {
    let mut ours = Vec::new();
    let mut by_hand = Vec::new();
    let sides = [("salesforce.contact", "ours"), ("by_hand.contact", "by hand")];
    for change in 0..ROUNDS * CHANGES {
        for (samples, (table, key)) in [&mut ours, &mut by_hand].into_iter().zip(sides) {
            // At any moment between two looks.
            tokio::time::sleep(Duration::from_micros(40_000 + change * 7_919 % 10_000)).await;
            let seen = org.journal_since(0).len() as u64;
            let update =
                format!("UPDATE {table} SET lastname = 'Doe {change}' WHERE external_id__c = '{key}'");
            sql.batch_execute(&update).await.unwrap();
            let committed = Utc::now();
            let entry = loop {
                if let Some(entry) = org.journal_since(seen).into_iter().next() {
                    break entry;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            };
            assert_eq!(entry.external_id.as_deref(), Some(key));
            samples.push((entry.at - committed).num_microseconds().unwrap() as f64 / 1000.0);
        }
    }
    let look = LOOK.as_secs_f64() * 1000.0;
    let (mut median_of_ours, mut median_of_peer) = (Side::new(OURS), Side::new(PEER));
    for (ours, peer) in ours.chunks(CHANGES as usize).zip(by_hand.chunks(CHANGES as usize)) {
        median_of_ours.rounds.push(median(ours));
        median_of_peer.rounds.push(median(peer) + look);
    }
    figure(
        "commit to request, idle engine, median",
        &median_of_ours,
        &median_of_peer,
        "ms",
        Limit::AtMost(1.5),
    );
    let side = |what, samples: &[f64], more| Side { what, rounds: vec![most_of(samples) + more] };
    let (ours, peer) = (side(OURS, &ours, 0.0), side(PEER, &by_hand, look));
    figure("commit to request, idle engine, 99 of 100", &ours, &peer, "ms", Limit::AtMost(3.0));
}

const OURS: &str = "the engine's looks, one every 10 ms";
const PEER: &str = "a sender by hand that NOTIFY wakes, and the 10 ms between two looks";

/// What 99 of 100 keep below.
fn most_of(samples: &[f64]) -> f64 {
    let mut samples = samples.to_vec();
    samples.sort_by(f64::total_cmp);
    samples[samples.len() * 99 / 100 - 1]
}

/// Sends whatever a NOTIFY tells of, with one statement and one request.
async fn send_by_hand(url: &str, org: SocketAddr) {
    let (client, bell) = bell::listen(url).await;
    let (http, token) = sign_in(org).await;
    tokio::spawn(async move {
        let take = client.prepare("DELETE FROM by_hand.log RETURNING sfid, lastname").await.unwrap();
        loop {
            bell.notified().await;
            let records: Vec<Value> = client
                .query(&take, &[])
                .await
                .unwrap()
                .iter()
                .map(|row| json!({"attributes": {"type": "Contact"}, "id": row.get::<_, &str>(0), "LastName": row.get::<_, &str>(1)}))
                .collect();
            let url = format!("http://{org}/services/data/v62.0/composite/sobjects");
            let body = json!({"allOrNone": false, "records": records});
            let answer = http.patch(url).bearer_auth(&token).json(&body).send().await.unwrap();
            assert!(answer.status().is_success());
        }
    });
}

/// What an application that writes elsewhere notices of an idle engine, and what such an engine takes of a core.
async fn cost_of_looks(url: &str, org: SocketAddr, sql: &Client) {
    for clients in [1, 16] {
        let (mut with, mut without) = (Side::new("beside an idle engine"), Side::new("without"));
        for _ in 0..ROUNDS {
            without.rounds.push(updates(url, "plain.contact", clients, SPAN).await);
            let engine = idle_engine(url, org).await;
            with.rounds.push(updates(url, "plain.contact", clients, SPAN).await);
            engine.stop().await;
        }
        let plural = if clients == 1 { "" } else { "s" };
        let name = format!("single-row updates beside an engine that looks, {clients} client{plural}");
        figure(&name, &with, &without, "tps", Limit::AtLeast(0.97));
    }
    let (mut engine_takes, mut bare_takes) =
        (Side::new("an idle engine"), Side::new("a client that asks SELECT 1 as often"));
    for _ in 0..3 {
        let engine = idle_engine(url, org).await;
        engine_takes.rounds.push(share_of_core(sql, ENGINE, tokio::time::sleep(SPAN * 2)).await);
        engine.stop().await;
        let bare = connect(&format!("{url}&application_name=bare")).await;
        let ask = bare.prepare("SELECT 1").await.unwrap();
        let asks = async {
            for _ in 0..(SPAN * 2).as_millis() / LOOK.as_millis() {
                bare.query_one(&ask, &[]).await.unwrap();
                tokio::time::sleep(LOOK).await;
            }
        };
        bare_takes.rounds.push(share_of_core(sql, "bare", asks).await);
    }
    let name = "processor time of an idle engine over a bare client";
    figure(name, &engine_takes, &bare_takes, "% of a core", Limit::AtMost(3.0));
}

/// How much of a core this program and the sessions of one application take meanwhile, in percent.
async fn share_of_core(sql: &Client, application: &str, meanwhile: impl Future<Output = ()>) -> f64 {
    let pids = "SELECT pid FROM pg_stat_activity WHERE application_name = $1";
    let sessions = sql.query(pids, &[&application]).await.unwrap();
    let mut processes: Vec<String> = sessions.iter().map(|row| row.get::<_, i32>(0).to_string()).collect();
    processes.push("self".to_owned());
    let taken = || -> f64 { processes.iter().map(|process| processor_seconds(process)).sum() };
    let (begin, before) = (std::time::Instant::now(), taken());
    meanwhile.await;
    (taken() - before) / begin.elapsed().as_secs_f64() * 100.0
}

/// What a process has taken of processors by now, all its threads together.
fn processor_seconds(process: &str) -> f64 {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{process}/task")) else { return 0.0 };
    let of_thread = |path: std::path::PathBuf| -> Option<f64> {
        let text = std::fs::read_to_string(path.join("schedstat")).ok()?;
        text.split(' ').next()?.parse().ok()
    };
    threads.flatten().filter_map(|thread| of_thread(thread.path())).sum::<f64>() / 1e9
}
