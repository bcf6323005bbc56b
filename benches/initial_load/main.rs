//! What a first load costs: `cargo bench --bench initial_load -- 500000`, of 100,000 contacts where nothing is said. One JSON line a
//! figure. A simulated org with contacts of twenty fields, a private PostgreSQL with durable commits, and the program itself as
//! `syncdeck run`. The load is measured from its first line in the log to its last, by PostgreSQL's clock; what it is measured
//! by is a bare client that has the same query worked off, fetches pages of the same size, each while the one before is
//! copied into a plain table, and builds the same indexes at the end. Each is done twice, and the better one counts.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench that cannot go on ends")]
#![allow(clippy::disallowed_macros, reason = "a bench prints its figures")]

mod by_hand;
#[path = "../shared/connected.rs"]
mod connected;
#[path = "../shared/figures.rs"]
mod figures;
#[path = "../shared/signed_in.rs"]
mod signed_in;

use std::fs::OpenOptions;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;
use syncdeck::demo::private::{Options, PrivateServer};
use syncdeck::simulator::{self, Org, OrgOptions};
use tokio_util::sync::CancellationToken;

use connected::connect;
use figures::{counted, figure};

/// Of how many records the memory is compared.
const FEW: usize = 50_000;
const ROUNDS: usize = 2;
/// Beside Id, SystemModstamp and IsDeleted.
const FIELDS: [&str; 17] = [
    "Name",
    "External_Id__c",
    "First__c",
    "Last__c",
    "Email__c",
    "Phone__c",
    "Title__c",
    "Born__c",
    "Seen__c",
    "Score__c",
    "Amount__c",
    "Steps__c",
    "Active__c",
    "City__c",
    "Street__c",
    "Source__c",
    "Remark__c",
];
const OBJECT: &str = "object Person__c a21 Person
  Name | Name | text 80
  First__c | First | text 40
  Last__c | Last | text 80
  Email__c | Email | email
  Phone__c | Phone | phone
  Title__c | Title | text 128
  Born__c | Born | date
  Seen__c | Seen | datetime
  Score__c | Score | number 18,2
  Amount__c | Amount | number 18,2
  Steps__c | Steps | int
  Active__c | Active | boolean
  City__c | City | text 40
  Street__c | Street | text 255
  Source__c | Source | text 40
  Remark__c | Remark | long 32000
";

/// What one load took.
struct Loaded {
    seconds: f64,
    /// MiB that the engine held at most.
    peak: f64,
}

#[tokio::main(worker_threads = 4)]
async fn main() {
    let many = std::env::args().skip(1).find_map(|word| word.parse::<usize>().ok()).unwrap_or(100_000);
    let dir = tempfile::Builder::new().prefix("syncdeck-bench-").tempdir_in("/var/tmp").unwrap().keep();
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o711)).unwrap();
    let server = PrivateServer::start(&Options { dir, remove: true, durable: true }).unwrap();
    let (large, small) = (serve(many).await, serve(FEW).await);
    let (mut by_hand, mut loads) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        by_hand.push(by_hand::load(&database(&server).await, large, many).await);
        loads.push(load(&database(&server).await, large, many).await);
    }
    let few = load(&database(&server).await, small, FEW).await;
    let least = |all: &[f64]| all.iter().copied().fold(f64::INFINITY, f64::min);
    let seconds: Vec<f64> = loads.iter().map(|load| load.seconds).collect();
    let name = format!("first load of {many} records");
    figure(&name, least(&seconds), "s", ("the same pages by hand into COPY", least(&by_hand)), 1.0 / 0.9);
    let peak = loads.iter().map(|load| load.peak).fold(0.0, f64::max);
    figure("its memory", peak, "MiB", (&format!("that of {FEW} records"), few.peak), 1.25);
    counted("its memory", peak, "MiB", 150.0);
    counted("records a second", many as f64 / least(&seconds), "records", f64::INFINITY);
}

/// An org with so many records, over HTTP.
async fn serve(records: usize) -> SocketAddr {
    let org = Org::new(OrgOptions::default());
    org.define(OBJECT);
    for number in 0..records {
        let record = json!({"Name": format!("Person {number}"), "External_Id__c": format!("K{number:07}"), "First__c": "Ada",
            "Last__c": format!("Lovelace the {number}th"), "Email__c": format!("ada{number}@acme.com"), "Phone__c": "+1 415 555 2671",
            "Title__c": "Countess, \"enchantress\" of numbers", "Born__c": "1815-12-10", "Seen__c": "2026-03-04T05:06:07.000Z",
            "Score__c": number % 1000, "Amount__c": 12.5, "Steps__c": number, "Active__c": number % 2 == 0, "City__c": "London",
            "Street__c": "12 St James's Square", "Source__c": "Web", "Remark__c": "A note\nof two lines"});
        org.user_create("Person__c", record.as_object().unwrap().clone()).unwrap();
    }
    org.backdate("Person__c", chrono::TimeDelta::days(1));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(simulator::serve(org, listener, CancellationToken::new()));
    address
}

/// A database of its own.
async fn database(server: &PrivateServer) -> String {
    static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let name = format!("b{}", NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
    let sql = connect(&server.url("postgres")).await;
    sql.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
    sql.batch_execute("CHECKPOINT").await.unwrap();
    server.url(&name)
}

/// A first load by the program itself.
async fn load(url: &str, org: SocketAddr, records: usize) -> Loaded {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("syncdeck.toml");
    let fields: Vec<String> = FIELDS.iter().map(|field| format!("\"{field}\"")).collect();
    let text = format!(
        "[connection]\nname = \"bench\"\nenvironment = \"test\"\n[postgres]\nurl = \"{url}\"\n[salesforce]\nlogin_url = \"http://{org}\"\n\
         client_id = \"simulated-app\"\nclient_secret = \"simulated-secret\"\n[verify]\nevery = \"off\"\n[[mapping]]\nobject = \"Person__c\"\n\
         fields = [{}]\nexternal_id = \"External_Id__c\"\npoll_interval = \"60s\"\n",
        fields.join(", ")
    );
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&config).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_syncdeck"))
        .args(["run", "--config"])
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let sql = connect(url).await;
    let took = "SELECT extract(epoch FROM max(time) FILTER (WHERE message LIKE '% first load complete%')
             - min(time) FILTER (WHERE message LIKE '% first load begins'))::float8 FROM syncdeck.log";
    let seconds = loop {
        // Until it is laid out there is no log.
        if let Ok(row) = sql.query_one(took, &[]).await
            && let Some(seconds) = row.get::<_, Option<f64>>(0)
        {
            break seconds;
        }
        assert!(child.try_wait().unwrap().is_none(), "the engine ended");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak = line.trim().split(' ').next().unwrap().parse::<f64>().unwrap() / 1024.0;
    let _ = child.kill();
    let _ = child.wait();
    let rows: i64 = sql.query_one("SELECT count(*) FROM salesforce.person__c", &[]).await.unwrap().get(0);
    assert_eq!(usize::try_from(rows).unwrap(), records);
    Loaded { seconds, peak }
}
