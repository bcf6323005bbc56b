//! How soon a record that is saved in Salesforce is in its row: `cargo bench --bench change_events`. One JSON line a figure. A
//! simulated org behind 2 and 80 ms of network, an engine that hears of changes by events and polls once an hour, and beside it
//! a bare client that waits for the same event, fetches the record and writes it into a plain table. Both hear of each of a
//! hundred changes, one at a time.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench that cannot go on ends")]
#![allow(clippy::disallowed_macros, reason = "a bench prints its figures")]

mod by_hand;
#[path = "../shared/connected.rs"]
mod connected;
#[path = "../shared/figures.rs"]
mod figures;
#[path = "../shared/signed_in.rs"]
mod signed_in;

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use syncdeck::config::Config;
use syncdeck::demo::private::{Options, PrivateServer};
use syncdeck::engine;
use syncdeck::postgres::Store;
use syncdeck::simulator::{self, Org, OrgOptions};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use connected::connect;
use figures::{counted, figure};

const CHANGES: usize = 100;
/// Between two changes: none of them finds its reader at work.
const PAUSE: Duration = Duration::from_millis(300);

// Engine, org and client would be programs of their own, each with its threads.
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
    let org = Org::new(OrgOptions::default());
    org.select_entity("Contact");
    let fields = json!({"LastName": "Doe", "External_Id__c": "K1"});
    let id = org.user_create("Contact", fields.as_object().unwrap().clone()).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(simulator::serve(org.clone(), listener, CancellationToken::new()));
    let store = Store::connect(url, "salesforce", "syncdeck bench", Duration::from_secs(30)).await.unwrap();
    let engine = engine::start(config(url, address), store).await.unwrap();
    let sql = connect(url).await;
    let ready =
        "SELECT count(*) FROM syncdeck.change_events, salesforce.contact WHERE flows AND poll_at IS NULL";
    while sql.query_one(ready, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (stored, mut peer) = mpsc::unbounded_channel();
    let by_hand = tokio::spawn(by_hand::listen(connect(url).await, address, stored));
    assert_eq!(peer.recv().await.unwrap().0, "ready");
    org.change_faults(|faults| faults.latency_ms = latency);
    let look = sql.prepare("SELECT firstname = $1 FROM salesforce.contact").await.unwrap();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for number in 0..CHANGES {
        tokio::time::sleep(PAUSE).await;
        let name = format!("Name {number}");
        let begin = Instant::now();
        let change = json!({"FirstName": name});
        org.user_update("Contact", &id, change.as_object().unwrap().clone()).unwrap();
        while sql.query_one(&look, &[&name]).await.unwrap().get::<_, Option<bool>>(0) != Some(true) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        ours.push(begin.elapsed().as_secs_f64() * 1_000.0);
        let (stored, at) = peer.recv().await.unwrap();
        assert_eq!(stored, name);
        theirs.push((at - begin).as_secs_f64() * 1_000.0);
    }
    by_hand.abort();
    engine.stop().await;
    counted(
        &format!("the slowest of {CHANGES} changes, {latency} ms of network"),
        percentile(&mut ours, 100),
        "ms",
        1_000.0,
    );
    for (share, limit) in [(50, 2.0), (99, 3.0)] {
        let name = format!("saved in Salesforce, in its row, {latency} ms of network, p{share}");
        let peer =
            ("a bare client that waits for the event and fetches the record", percentile(&mut theirs, share));
        figure(&name, percentile(&mut ours, share), "ms", peer, limit);
    }
}

fn percentile(values: &mut [f64], share: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() * share / 100).min(values.len() - 1)]
}

fn config(url: &str, org: SocketAddr) -> Config {
    let text = format!(
        "[connection]\nname = \"bench\"\n[postgres]\nurl = \"{url}\"\n[salesforce]\nlogin_url = \"http://{org}\"\n\
         client_id = \"simulated-app\"\nclient_secret = \"simulated-secret\"\nchange_events = true\n[verify]\nevery = \"off\"\n\
         [[mapping]]\nobject = \"Contact\"\nfields = [\"LastName\", \"FirstName\", \"Email\", \"Phone\"]\n\
         external_id = \"External_Id__c\"\npoll_interval = \"1h\"\n"
    );
    Config::parse(Path::new("/nowhere/syncdeck.toml"), &text).unwrap()
}
