//! What operations on many rows cost: `cargo bench --bench operations`. One JSON line a figure. Each is a ratio to a peer that was
//! measured in the same run, mostly the least that somebody would write by hand; what both took stands beside it. A private
//! PostgreSQL with durable commits, a simulated org, an engine, and writers on both sides; the program itself is run for
//! what its own memory is.
//!
//! `verify` looks at 100,000 rows, some of them planted wrong, while writers run; `bulk` fixes and undoes 5,000 errors.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench that cannot go on ends")]
#![allow(clippy::disallowed_macros, reason = "a bench prints its figures")]

mod by_hand;
#[path = "../shared/connected.rs"]
mod connected;
#[path = "../shared/signed_in.rs"]
mod signed_in;

use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use serde_json::{Value, json};
use syncdeck::config::Config;
use syncdeck::demo::private::{Options, PrivateServer};
use syncdeck::domain::state::MappingState;
use syncdeck::engine;
use syncdeck::postgres::Store;
use syncdeck::simulator::{self, Org, OrgOptions};
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use connected::connect;

const ROWS: usize = 100_000;
const ERRORS: usize = 5_000;
/// What is planted, by kind.
const PLANTED: [(&str, i64); 4] =
    [("mismatch", 8), ("orphan", 2), ("row_without_record", 3), ("record_without_row", 7)];

/// Prints a ratio and both its sides. `limit` says what it must reach (`at_least`) or keep below.
fn figure(name: &str, ours: (&str, f64), peer: (&str, f64), unit: &str, limit: f64, at_least: bool) {
    let rounded = |value: f64| (value * 1000.0).round() / 1000.0;
    let value = ours.1 / peer.1;
    let holds = if at_least { value >= limit } else { value <= limit };
    let limit = format!("{} {limit}", if at_least { ">=" } else { "<=" });
    let told = |(what, value): (&str, f64)| json!({"what": what, "value": rounded(value), "unit": unit});
    println!(
        "{}",
        json!({"bench": "operations", "figure": name, "value": rounded(value), "unit": "ratio", "limit": limit, "holds": holds,
            "ours": told(ours), "peer": told(peer)})
    );
}

struct World {
    org: Org,
    sql: Client,
    url: String,
    address: SocketAddr,
    config: PathBuf,
}

impl World {
    /// A command of the program, with `--json`: what it printed, how long it took, and the most memory it had.
    fn run(&self, words: &[&str]) -> (Value, Duration, f64) {
        let begin = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_syncdeck"))
            .args(["--json", "--config"])
            .arg(&self.config)
            .args(words)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut out = child.stdout.take().unwrap();
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            std::io::Read::read_to_string(&mut out, &mut text).unwrap();
            text
        });
        let status = format!("/proc/{}/status", child.id());
        let mut peak = 0.0_f64;
        while child.try_wait().unwrap().is_none() {
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib: f64 = line.and_then(|line| line.trim().split(' ').next()?.parse().ok()).unwrap_or(0.0);
            peak = peak.max(kib / 1024.0);
            std::thread::sleep(Duration::from_millis(10));
        }
        let took = begin.elapsed();
        (serde_json::from_str(&reader.join().unwrap()).unwrap_or_default(), took, peak)
    }

    /// How many errors are open.
    async fn open(&self) -> i64 {
        let sql = "SELECT count(*) FROM syncdeck.error WHERE resolved_at IS NULL AND state = 'open'";
        self.sql.query_one(sql, &[]).await.unwrap().get(0)
    }

    async fn until_open(&self, count: i64) {
        while self.open().await != count {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn org() -> Org {
    let org = Org::new(OrgOptions::default());
    let create = |fields: Value| org.user_create("Contact", fields.as_object().unwrap().clone()).unwrap();
    for number in 0..ROWS {
        create(json!({"LastName": format!("Doe {number}"), "Email": format!("doe{number}@acme.com"),
            "Phone": "+1 415 555 2671", "Score__c": 1.5, "External_Id__c": format!("K{number}")}));
    }
    // A reader looks back over what is newest, and would mend what is planted there.
    org.backdate("Contact", TimeDelta::hours(1));
    create(json!({"LastName": "Last", "External_Id__c": "LAST"}));
    org
}

#[tokio::main(worker_threads = 6)]
async fn main() {
    let dir = tempfile::Builder::new().prefix("syncdeck-bench-").tempdir_in("/var/tmp").unwrap().keep();
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o711)).unwrap();
    let server = PrivateServer::start(&Options { dir, remove: true, durable: true }).unwrap();
    let url = server.url("postgres");
    let org = org();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(simulator::serve(org.clone(), listener, CancellationToken::new()));
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("syncdeck.toml");
    let text = format!(
        "[connection]\nname = \"bench\"\nenvironment = \"test\"\n[postgres]\nurl = \"{url}\"\n[salesforce]\nlogin_url = \"http://{address}\"\n\
         client_id = \"simulated-app\"\nclient_secret = \"simulated-secret\"\nlook_back = \"2s\"\n\
         [[mapping]]\nobject = \"Account\"\nfields = [\"Name\"]\npoll_interval = \"1s\"\n\
         [[mapping]]\nobject = \"Contact\"\nfields = [\"LastName\", \"Email\", \"Phone\", \"Score__c\", \"AccountId\"]\n\
         external_id = \"External_Id__c\"\npoll_interval = \"1s\"\n"
    );
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&config).unwrap();
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
    let store = Store::connect(&url, "salesforce", "syncdeck bench", Duration::from_secs(300)).await.unwrap();
    let engine =
        engine::start(Config::load(Some(Path::new(&config)), None).unwrap(), store.clone()).await.unwrap();
    while store.overview().await.unwrap().mappings.iter().any(|mapping| mapping.state != MappingState::Ok) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let world = World { org, sql: connect(&url).await, url, address, config };
    world.sql.batch_execute(by_hand::TABLES).await.unwrap();
    verify(&world).await;
    bulk(&world, &store).await;
    engine.stop().await;
}

async fn verify(world: &World) {
    world
        .sql
        .batch_execute(
            "BEGIN; SET LOCAL syncdeck.writer = 'engine'; SET LOCAL xmlbinary = 'hex';
             UPDATE salesforce.contact SET lastname = 'Drifted' WHERE id BETWEEN 11 AND 15;
             UPDATE salesforce.contact SET score__c = NULL WHERE id = 16;
             DELETE FROM salesforce.contact WHERE id BETWEEN 21 AND 24;
             UPDATE salesforce.contact SET sfid = '003000000000' || lpad(id::text, 3, '0') || 'AAA' WHERE id BETWEEN 31 AND 33;
             UPDATE salesforce.contact SET accountid = '001000000000000AAA' WHERE id BETWEEN 41 AND 42;
             UPDATE salesforce.contact SET lastname = '  ' || lastname || ' ', score__c = 1.5000000001 WHERE id BETWEEN 51 AND 60;
             COMMIT",
        )
        .await
        .unwrap();
    let alone = writes_while(world, async || tokio::time::sleep(Duration::from_secs(3)).await).await;
    let (mut document, mut took, mut memory) = (Value::Null, Duration::ZERO, 0.0);
    let beside = writes_while(world, async || {
        (document, took, memory) = tokio::task::block_in_place(|| world.run(&["verify", "Contact"]));
    })
    .await;
    let mut bare = Duration::ZERO;
    writes_while(world, async || {
        let begin = Instant::now();
        assert!(by_hand::read_both(world.address, &world.sql).await > 2 * ROWS - 100);
        bare = begin.elapsed();
    })
    .await;
    let (_, _, small) = tokio::task::block_in_place(|| world.run(&["status"]));
    let found = |kind: &str| document[0]["counts"][kind].as_i64().unwrap_or(0);
    let right: i64 = PLANTED.iter().map(|(kind, count)| found(kind).min(*count)).sum();
    let planted: i64 = PLANTED.iter().map(|(_, count)| count).sum();
    let all = document[0]["findings"].as_array().map_or(0, Vec::len) as f64;
    let look = "verify 100,000 rows while writers run";
    let planted = ("planted", planted as f64);
    figure(&format!("{look}: found"), ("found", right as f64), planted, "findings", 1.0, true);
    figure(
        &format!("{look}: false findings"),
        ("false", all - right as f64),
        planted,
        "findings",
        0.0,
        false,
    );
    figure(
        &format!("{look}: their writes"),
        ("beside it", beside),
        ("without", alone),
        "writes/s",
        0.5,
        true,
    );
    let seconds = |what, took: Duration| (what, took.as_secs_f64());
    figure(
        &format!("{look}: time"),
        seconds("verify", took),
        seconds("both sides read, nothing compared", bare),
        "s",
        4.0,
        false,
    );
    figure(&format!("{look}: memory"), ("verify", memory), ("status", small), "MiB", 3.0, false);
}

/// What writers on both sides write in a second meanwhile, away from what is planted.
async fn writes_while(world: &World, meanwhile: impl AsyncFnOnce()) -> f64 {
    let stop = CancellationToken::new();
    let (writers, begin) = (writers(world, &stop).await, Instant::now());
    meanwhile().await;
    let took = begin.elapsed();
    stop.cancel();
    let mut writes = 0;
    for writer in writers {
        writes += writer.await.unwrap();
    }
    writes as f64 / took.as_secs_f64()
}

async fn writers(world: &World, stop: &CancellationToken) -> Vec<tokio::task::JoinHandle<u64>> {
    let (sql, org) = (connect(&world.url).await, world.org.clone());
    let (here, there) = (stop.clone(), stop.clone());
    // Others were there before.
    let who = chrono::Utc::now().timestamp_micros();
    let rows = tokio::spawn(async move {
        let mut writes = 0;
        while !here.is_cancelled() {
            writes += 1;
            let id = 1_000 + writes * 7_919 % 90_000;
            let statement = match writes % 5 {
                0 => format!(
                    "INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('New', 'N{who}-{writes}')"
                ),
                1 => format!("DELETE FROM salesforce.contact WHERE external_id__c = 'N{who}-{}'", writes - 1),
                _ => format!("UPDATE salesforce.contact SET email = 'w{writes}@acme.com' WHERE id = {id}"),
            };
            sql.batch_execute(&statement).await.unwrap();
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        writes
    });
    let ids = org.ids("Contact");
    let records = tokio::spawn(async move {
        let mut writes = 0_u64;
        while !there.is_cancelled() {
            writes += 1;
            let id = &ids[(2_000 + writes as usize * 6_151) % ids.len()];
            let change = json!({"Phone": format!("+1 415 555 {:04}", writes % 10_000)});
            let _ = org.user_update("Contact", id, change.as_object().unwrap().clone());
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        writes
    });
    vec![rows, records]
}

async fn bulk(world: &World, store: &Store) {
    let until_sent = async || {
        while store.unsent().await.unwrap() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    until_sent().await;
    let before = world.open().await;
    let chosen = format!("WHERE id > 100 AND sfid IS NOT NULL ORDER BY id LIMIT {ERRORS}");
    let others: Vec<i32> = world
        .sql
        .query(&format!("SELECT id FROM salesforce.contact {chosen} OFFSET {}", 2 * ERRORS), &[])
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    world
        .sql
        .batch_execute(&format!(
            "UPDATE salesforce.contact SET phone = 'call 415-555-' || lpad((id % 10000)::text, 4, '0')
             WHERE id IN (SELECT id FROM salesforce.contact {chosen})"
        ))
        .await
        .unwrap();
    let errors = before + ERRORS as i64;
    world.until_open(errors).await;
    let program = |words: &[&str]| tokio::task::block_in_place(|| world.run(words));
    let seconds = |what, took: Duration| (what, took.as_secs_f64());
    let fix = ["fix", "--where", "field:phone", "--apply", "replace(\"call \", \"\")", "Phone", "--retry"];

    let (_, start, small) = program(&["status"]);
    let begin = Instant::now();
    assert!(by_hand::preview(&world.sql).await >= ERRORS);
    let peer =
        seconds("the program's status, and the rows read with their new values", start + begin.elapsed());
    let (preview, took, _) = program(&[&fix[..], &["--dry-run"]].concat());
    assert_eq!(preview["passing"], json!(ERRORS));
    figure("bulk fix of 5,000: the preview", seconds("preview", took), peer, "s", 4.0, false);

    let saved_by_hand = by_hand::mend(&world.sql, &others).await;
    let begin = Instant::now();
    until_sent().await;
    let taken_by_hand = saved_by_hand + begin.elapsed();
    let begin = Instant::now();
    let (report, took, memory) = program(&[&fix[..], &["--yes"]].concat());
    assert_eq!(report["done"], json!(ERRORS));
    let peer = seconds("rows updated and audited by hand", saved_by_hand);
    figure("bulk fix of 5,000: saved and audited", seconds("fix", took), peer, "s", 4.0, false);
    figure("bulk fix of 5,000: memory", ("fix", memory), ("status", small), "MiB", 3.0, false);
    world.until_open(before).await;
    let all_of_it = begin.elapsed();
    let operation = report["act"].to_string();
    let (report, took, _) = program(&["undo", &operation, "--yes"]);
    assert_eq!(report["done"], json!(ERRORS));
    figure("undo of 5,000: saved and audited", seconds("undo", took), peer, "s", 4.0, false);
    world.until_open(errors).await;
    let peer = seconds("rows updated by hand, until Salesforce took them", taken_by_hand);
    figure("bulk fix of 5,000: until Salesforce took them", seconds("fix", all_of_it), peer, "s", 3.0, false);
}
