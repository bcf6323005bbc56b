//! How fast the queue is: `cargo bench --bench queue`. One JSON line a figure, its limit beside it. Everything runs on
//! a private PostgreSQL of this machine with durable commits; the limits are those of a quiet machine with two cores.
//!
//! `capture` what the application pays, `drain` what the engine can take out, `engines` what several of them gain.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench that cannot go on ends")]
#![allow(clippy::disallowed_macros, reason = "a bench prints its figures")]

mod capture;
mod drain;
mod engines;

use std::time::Duration;

use serde_json::{Value, json};
use syncdeck::domain::field::{Field, FieldType};
use syncdeck::domain::mapping::{Access, Mapping};
use syncdeck::domain::rules::Rules;
use syncdeck::postgres::Store;
use syncdeck::postgres::private::{Options, PrivateServer};
use tokio_postgres::{Client, NoTls};

/// The units that a claim takes at most.
const BATCH: i64 = 200;

/// Prints one figure. `limit` says what it must reach (`at_least`) or keep below.
fn figure(name: &str, value: f64, unit: &str, limit: Option<f64>, at_least: bool, more: Value) {
    let rounded = (value * 1000.0).round() / 1000.0;
    let mut line = json!({"bench": "queue", "figure": name, "value": rounded, "unit": unit});
    if let Some(limit) = limit {
        line["limit"] = json!(format!("{} {limit}", if at_least { ">=" } else { "<=" }));
        line["holds"] = json!(if at_least { value >= limit } else { value <= limit });
    }
    if let (Value::Object(line), Value::Object(more)) = (&mut line, more) {
        line.extend(more);
    }
    println!("{line}");
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
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
    Mapping {
        object: "Contact".to_owned(),
        table: "contact".to_owned(),
        access: Access::ReadWrite,
        external_id: Some("External_Id__c".to_owned()),
        rules: Rules::default(),
        fields: names.map(field).to_vec(),
        parents: Vec::new(),
        gone: false,
        system: Default::default(),
    }
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
    for (name, part) in [("capture", 0), ("drain", 1), ("engines", 2)] {
        if !runs(name) {
            continue;
        }
        sql.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        let url = server.url(name);
        match part {
            0 => capture::run(&url).await,
            1 => drain::run(&url).await,
            _ => engines::run(&url).await,
        }
    }
}
