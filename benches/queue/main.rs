//! How fast the queue is: `cargo bench --bench queue`, or only some parts: `cargo bench --bench queue -- capture idle`. One
//! JSON line a figure. Each is a ratio to a peer that was measured in the same run, round by round, for what a machine does
//! in a second says nothing about another one; what both did stands beside it. Everything runs on a private PostgreSQL with
//! durable commits.
//!
//! `capture` what the application pays, `ingest` and `drain` what the engine can take in and out, `engines` what several of
//! them gain, `idle` how soon an idle engine sends, and what its looks cost, `watched` what alerts and a history cost.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench that cannot go on ends")]
#![allow(clippy::disallowed_macros, reason = "a bench prints its figures")]

#[path = "../shared/bell.rs"]
mod bell;
mod by_hand;
mod capture;
#[path = "../shared/connected.rs"]
mod connected;
mod drain;
mod engines;
mod growth;
mod idle;
mod ingest;
#[path = "../shared/signed_in.rs"]
mod signed_in;
mod single;
mod watched;
#[path = "../shared/writing.rs"]
mod writing;

use std::time::Duration;

use connected::connect;
use serde_json::{Value, json};
use syncdeck::demo::private::{Options, PrivateServer};
use syncdeck::domain::mappings::field::{Field, FieldType};
use syncdeck::domain::mappings::mapping::Mapping;
use syncdeck::postgres::Store;
use tokio_postgres::Client;
use writing::config;

/// The units that a claim takes at most.
const BATCH: i64 = 200;
/// The rows of the queue that is deep.
const MILLION: i64 = 1_000_000;

/// What a ratio must reach or keep below.
#[derive(Clone, Copy)]
enum Limit {
    AtLeast(f64),
    AtMost(f64),
    /// It is no promise of ours, and only says what the others are to be measured by.
    None,
}

/// One side of a ratio: what it is, and what was measured in each round.
struct Side {
    what: &'static str,
    rounds: Vec<f64>,
}

impl Side {
    fn new(what: &'static str) -> Side {
        Side { what, rounds: Vec::new() }
    }

    fn median(&self) -> f64 {
        median(&self.rounds)
    }

    fn told(&self, unit: &str) -> Value {
        json!({"what": self.what, "median": rounded(self.median()), "unit": unit})
    }
}

/// Prints a ratio: the median of the rounds', in each of which both sides were measured one right after the other.
fn figure(name: &str, ours: &Side, peer: &Side, unit: &str, limit: Limit) {
    let ratios: Vec<f64> = ours.rounds.iter().zip(&peer.rounds).map(|(ours, peer)| ours / peer).collect();
    let value = median(&ratios);
    let (limit, holds) = match limit {
        Limit::AtLeast(limit) => (Some(format!(">= {limit}")), Some(value >= limit)),
        Limit::AtMost(limit) => (Some(format!("<= {limit}")), Some(value <= limit)),
        Limit::None => (None, None),
    };
    println!(
        "{}",
        json!({"bench": "queue", "figure": name, "value": rounded(value), "unit": "ratio", "limit": limit, "holds": holds,
            "ours": ours.told(unit), "peer": peer.told(unit)})
    );
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Runs statements one by one: some refuse to be part of a transaction.
async fn each(sql: &Client, statements: &str) {
    for statement in statements.split(";\n") {
        sql.batch_execute(statement).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    }
}

async fn store(url: &str) -> Store {
    Store::connect(url, "salesforce", "syncdeck bench", Duration::from_secs(300)).await.unwrap()
}

/// A mapping of the usual width.
fn contact() -> Mapping {
    let field = |name: &str| Field { length: 80, ..Field::plain(name, FieldType::String) };
    let names =
        ["LastName", "FirstName", "Title", "Email", "Phone", "MobilePhone", "LeadSource", "External_Id__c"];
    let fields = names.map(field).to_vec();
    Mapping { external_id: Some("External_Id__c".to_owned()), ..Mapping::plain("Contact", fields) }
}

/// Fills a contact's table with so many rows, of which nothing is captured.
async fn fill_contacts(sql: &Client, table: &str, rows: i64) {
    each(sql, &format!(
        "SET syncdeck.writer = 'engine'; SET xmlbinary = 'hex';
         INSERT INTO {table} (id, sfid, lastname, firstname, title, email, phone, external_id__c, _hc_lastop)
         SELECT n, '003' || lpad(n::text, 15, '0'), 'Name ' || n, 'First', 'Title', 'n' || n || '@acme.com', '+1 555 0100',
             'K' || n, 'SYNCED' FROM generate_series(1, {rows}) n;
         RESET syncdeck.writer; RESET xmlbinary;\nVACUUM ANALYZE {table}"
    ))
    .await;
}

/// The queue's own tables beside a million rows, made once for all parts that need them.
async fn queue(url: &str) -> (Store, Client) {
    let (store, sql) = (store(url).await, connect(url).await);
    store.install("00D000000000000AAA", &[contact()]).await.unwrap();
    eprintln!("filling the table with a million rows");
    fill_contacts(&sql, "salesforce.contact", MILLION).await;
    sql.batch_execute(by_hand::TABLES).await.unwrap();
    (store, sql)
}

// Engines, org and application would be programs of their own, each with its threads.
#[tokio::main(worker_threads = 6)]
async fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let runs = |name: &str| wanted.is_empty() || wanted.iter().any(|word| word == name);
    let dir = tempfile::Builder::new().prefix("syncdeck-bench-").tempdir_in("/var/tmp").unwrap().keep();
    std::fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o711)).unwrap();
    let server = PrivateServer::start(&Options { dir, remove: true, durable: true }).unwrap();
    let sql = connect(&server.url("postgres")).await;
    for name in ["capture", "queue", "growth", "engines", "idle", "bare", "watched"] {
        sql.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
    }
    if runs("capture") {
        capture::run(&server.url("capture")).await;
    }
    if runs("ingest") || runs("drain") {
        let (store, sql) = queue(&server.url("queue")).await;
        if runs("ingest") {
            ingest::run(&store, &sql, &server.url("queue")).await;
        }
        if runs("drain") {
            drain::run(&store, &sql, &server.url("queue")).await;
        }
    }
    if runs("growth") {
        let (store, sql) = queue(&server.url("growth")).await;
        growth::run(&store, &sql).await;
    }
    if runs("engines") {
        engines::run(&server.url("engines")).await;
    }
    if runs("idle") {
        idle::run(&server.url("idle")).await;
    }
    if runs("watched") {
        watched::run(&server.url("bare"), &server.url("watched")).await;
    }
}
