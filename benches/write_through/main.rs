//! What it costs to send changes: `cargo bench --bench write_through -- 100000`, of so many rows each where nothing else is said. One
//! JSON line a figure. A simulated org, a private PostgreSQL with durable commits, and the program itself as `syncdeck run`: from
//! the commit of one transaction that inserts, or changes, all rows until nothing is unsent and every row is told. What it is
//! measured by is a bare client that sends the same bodies to the same kind of org with the same concurrency, and keeps nothing.

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
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use syncdeck::demo::private::{Options, PrivateServer};
use syncdeck::simulator::{self, Org, OrgOptions};
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use connected::connect;
use figures::{counted, figure};

/// Of the bare client's speed.
const AIM: f64 = 0.7;
/// How long nobody may see anything happen.
const PATIENCE: Duration = Duration::from_secs(600);

/// How changes go.
#[derive(Clone, Copy)]
enum Way {
    Calls,
    Jobs,
}

#[tokio::main(worker_threads = 4)]
async fn main() {
    let many = std::env::args().skip(1).find_map(|word| word.parse::<usize>().ok()).unwrap_or(100_000);
    let dir = tempfile::Builder::new().prefix("syncdeck-bench-").tempdir_in("/var/tmp").unwrap().keep();
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o711)).unwrap();
    let server = PrivateServer::start(&Options { dir, remove: true, durable: true }).unwrap();
    for (way, word) in [(Way::Calls, "calls"), (Way::Jobs, "jobs")] {
        let bare = by_hand::write(serve().await, many, way).await;
        let ours = write_through(&server, many, way).await;
        for (what, ours, bare) in
            [("inserts", ours.inserts, bare.inserts), ("updates", ours.updates, bare.updates)]
        {
            let name = format!("{many} captured {what} by {word}");
            figure(&name, ours, "s", ("the same bodies by a bare client", bare), 1.0 / AIM);
            counted(&format!("{name}: rows a second"), many as f64 / ours, "rows", f64::INFINITY);
        }
        counted(&format!("memory of an engine that sends by {word}"), ours.peak, "MiB", 250.0);
    }
}

/// The seconds that it took.
struct Took {
    inserts: f64,
    updates: f64,
    /// MiB that the engine held at most.
    peak: f64,
}

/// An org over HTTP.
async fn serve() -> SocketAddr {
    let org = Org::new(OrgOptions { daily_limit: 10_000_000, ..OrgOptions::default() });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(simulator::serve(org, listener, CancellationToken::new()));
    address
}

/// Inserts rows, then changes them, while an engine sends.
async fn write_through(server: &PrivateServer, many: usize, way: Way) -> Took {
    let name = match way {
        Way::Calls => "calls",
        Way::Jobs => "jobs",
    };
    connect(&server.url("postgres")).await.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
    let (url, home) = (server.url(name), tempfile::tempdir().unwrap());
    let sql = connect(&url).await;
    let mut engine = start(&url, serve().await, way, &home.path().join("syncdeck.toml"));
    let ready = "SELECT count(*) FROM syncdeck.mapping WHERE last_read IS NOT NULL";
    until(&mut engine, async || sql.query_one(ready, &[]).await.is_ok_and(|row| row.get::<_, i64>(0) == 1))
        .await;
    let inserts = format!(
        "INSERT INTO salesforce.contact (lastname, email, title, external_id__c)
         SELECT 'Lovelace the ' || n || 'th', 'ada' || n || '@acme.com', 'Countess, \"enchantress\"', 'K' || n
         FROM generate_series(1, {many}) n"
    );
    let updates =
        "UPDATE salesforce.contact SET lastname = 'Byron the ' || id || 'th', title = 'Countess of numbers'";
    let inserts = sent(&mut engine, &sql, &inserts, many).await;
    let updates = sent(&mut engine, &sql, updates, many).await;
    let status = std::fs::read_to_string(format!("/proc/{}/status", engine.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak = line.trim().split(' ').next().unwrap().parse::<f64>().unwrap() / 1024.0;
    let _ = engine.kill();
    let _ = engine.wait();
    Took { inserts, updates, peak }
}

/// How long it takes until a change is sent and its rows are told.
async fn sent(engine: &mut Child, sql: &Client, change: &str, many: usize) -> f64 {
    sql.batch_execute("CHECKPOINT").await.unwrap();
    sql.batch_execute(change).await.unwrap();
    let begin = Instant::now();
    let unsent = "SELECT (SELECT count(*) FROM (SELECT FROM syncdeck.unit LIMIT 1) one)
        + (SELECT count(*) FROM (SELECT FROM salesforce._trigger_log LIMIT 1) one)";
    until(engine, async || sql.query_one(unsent, &[]).await.unwrap().get::<_, i64>(0) == 0).await;
    let seconds = begin.elapsed().as_secs_f64();
    let told = "SELECT count(*) FROM salesforce.contact WHERE sfid IS NOT NULL AND _hc_lastop IN ('INSERTED', 'UPDATED') AND _hc_err IS NULL";
    let told: i64 = sql.query_one(told, &[]).await.unwrap().get(0);
    assert_eq!(usize::try_from(told).unwrap(), many);
    seconds
}

async fn until(engine: &mut Child, mut holds: impl AsyncFnMut() -> bool) {
    let begin = Instant::now();
    while !holds().await {
        assert!(engine.try_wait().unwrap().is_none(), "the engine ended");
        assert!(begin.elapsed() < PATIENCE, "nothing came of it");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn start(url: &str, org: SocketAddr, way: Way, config: &std::path::Path) -> Child {
    let from = match way {
        Way::Calls => "off",
        Way::Jobs => "2000",
    };
    let text = format!(
        "[connection]\nname = \"bench\"\nenvironment = \"test\"\n[postgres]\nurl = \"{url}\"\n[salesforce]\nlogin_url = \"http://{org}\"\n\
         client_id = \"simulated-app\"\nclient_secret = \"simulated-secret\"\n[verify]\nevery = \"off\"\n[[mapping]]\nobject = \"Contact\"\n\
         fields = [\"LastName\", \"Email\", \"Title\"]\nexternal_id = \"External_Id__c\"\npoll_interval = \"1h\"\nbulk_from = \"{from}\"\n"
    );
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(config).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    Command::new(env!("CARGO_BIN_EXE_syncdeck"))
        .args(["run", "--config"])
        .arg(config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}
