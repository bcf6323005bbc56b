//! What the console reads at a million open errors: `cargo bench --bench console`. One JSON line a figure, its limit
//! beside it. A private PostgreSQL with 1,000,000 unresolved errors, a simulated org, and an engine that runs.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench that cannot go on ends")]

use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use syncdeck::config::Config;
use syncdeck::domain::sort::{Sort, SortBy};
use syncdeck::engine;
use syncdeck::engine::handle::{ErrorQuery, Handle, operator};
use syncdeck::postgres::Store;
use syncdeck::postgres::private::{Options, PrivateServer};
use syncdeck::simulator::{self, Org, OrgOptions};
use tokio_postgres::{Client, NoTls};
use tokio_util::sync::CancellationToken;

/// A console's page.
const PAGE: usize = 100;
/// How often each is asked; the median is told.
const TIMES: usize = 5;

/// Filters of each kind, with the least that a first page must have.
const FILTERS: [(&str, usize); 27] = [
    ("", PAGE),
    ("mapping:contact", PAGE),
    ("mapping:product2", 7),
    ("-mapping:contact -mapping:account", 7),
    ("code:EMAIL", PAGE),
    ("code:MALFORMED", 50),
    ("code:none", 0),
    ("field:phone", PAGE),
    ("field:fax", 40),
    ("category:data", PAGE),
    ("category:mapping", PAGE / 2),
    ("class:unknown", PAGE),
    ("state:review", PAGE),
    ("op:insert", PAGE),
    ("since:1h", PAGE),
    ("until:2020-01-01", 0),
    ("row:4711", 1),
    ("id:Con000000001267", 1),
    ("source:engine", PAGE),
    ("somebody", PAGE),
    ("somebody4711", 10),
    ("zzzz", 0),
    ("\"not good\" mapping:contact", PAGE),
    ("mapping:account field:phone code:MALFORMED", 0),
    ("mapping:contact class:unknown somebody", 10),
    ("state:review category:data since:30d", PAGE),
    ("category:data mapping:contact -code:EMAIL state:open", PAGE),
];

/// Prints one figure, which must be at most `limit`.
fn figure(name: &str, value: f64, unit: &str, limit: f64) {
    let value = (value * 1000.0).round() / 1000.0;
    println!(
        "{}",
        json!({"figure": name, "value": value, "unit": unit, "limit": limit, "ok": value <= limit})
    );
}

/// The median of how long something takes, in milliseconds.
async fn median<T>(mut what: impl AsyncFnMut() -> T) -> (f64, T) {
    let mut took = Vec::new();
    let mut last = None;
    for _ in 0..TIMES {
        let begin = Instant::now();
        last = Some(what().await);
        took.push(begin.elapsed().as_secs_f64() * 1000.0);
    }
    took.sort_by(f64::total_cmp);
    (took[TIMES / 2], last.unwrap())
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::main(worker_threads = 4)]
async fn main() {
    let dir = tempfile::Builder::new().prefix("syncdeck-bench-").tempdir_in("/var/tmp").unwrap().keep();
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o711)).unwrap();
    let server = PrivateServer::start(&Options { dir, remove: true, durable: false }).unwrap();
    let url = server.url("postgres");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(simulator::serve(Org::new(OrgOptions::default()), listener, CancellationToken::new()));
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("syncdeck.toml");
    let mut text = format!(
        "[connection]\nname = \"bench\"\nenvironment = \"test\"\n[postgres]\nurl = \"{url}\"\n[salesforce]\nlogin_url = \"http://{address}\"\n\
         client_id = \"simulated-app\"\nclient_secret = \"simulated-secret\"\nlook_back = \"2s\"\n"
    );
    for object in ["Account", "Contact"] {
        text +=
            &format!("[[mapping]]\nobject = \"{object}\"\nfields = [\"Phone\"]\npoll_interval = \"1s\"\n");
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).unwrap();
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
    let store = Store::connect(&url, "salesforce", "syncdeck bench", Duration::from_secs(300)).await.unwrap();
    let engine =
        engine::start(Config::load(Some(Path::new(&path)), None).unwrap(), store.clone()).await.unwrap();
    while store.overview().await.unwrap().mappings.iter().any(|mapping| mapping.state != "ok") {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let sql = connect(&url).await;
    sql.batch_execute(include_str!("fill.sql")).await.unwrap();
    sql.batch_execute("VACUUM ANALYZE syncdeck.error").await.unwrap();
    let handle = Handle::new(store, operator());
    figures(&handle).await;
    engine.stop().await;
}

async fn figures(handle: &Handle) {
    for (filter, least) in FILTERS {
        let query = ErrorQuery { filter: filter.to_owned(), limit: PAGE, ..ErrorQuery::default() };
        let (took, page) = median(async || handle.errors(&query).await.unwrap()).await;
        // What is neither frequent nor rare comes in parts.
        let full = page.done || page.items.len() >= PAGE / 2;
        assert!(
            full && page.items.len() >= least.min(PAGE / 2),
            "{filter}: {} errors, done: {}",
            page.items.len(),
            page.done
        );
        figure(&format!("first page of {filter:?}"), took, "ms", 120.0);
        let (took, _) = median(async || handle.count(filter).await.unwrap()).await;
        figure(&format!("count of {filter:?}"), took, "ms", 1_000.0);
    }
    for by in SortBy::ALL {
        for descending in [false, true] {
            let sort = Sort { by, descending };
            let word = format!("{}{}", if descending { "-" } else { "" }, by.word());
            let query = ErrorQuery { sort, limit: PAGE, ..ErrorQuery::default() };
            let (took, _) = median(async || handle.errors(&query).await.unwrap()).await;
            figure(&format!("first page by {word}"), took, "ms", 50.0);
            let middle = ErrorQuery { filter: "row:500000".to_owned(), ..query.clone() };
            let there = handle.errors(&middle).await.unwrap().items.remove(0);
            let query = query.after(&there);
            let (took, page) = median(async || handle.errors(&query).await.unwrap()).await;
            assert_eq!(page.items.len(), PAGE, "{word}");
            figure(&format!("page in the middle by {word}"), took, "ms", 50.0);
        }
    }
    let (took, _) = median(async || handle.overview().await.unwrap()).await;
    figure("overview", took, "ms", 1_000.0);
}
