//! What the console reads, and what whoever sits at it feels, at a million open errors: `cargo bench --bench console`. One
//! JSON line a figure, its limit beside it. A private PostgreSQL with 1,000,000 unresolved errors, a simulated org, an
//! engine that runs, and an application that writes. Words choose parts: `cargo bench --bench console -- reads felt log`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench that cannot go on ends")]
#![allow(clippy::disallowed_macros, reason = "a bench prints its figures")]

mod felt;
mod log;
mod session;

use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
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

/// Prints what was measured of another program, elsewhere.
fn peer(program: &str, name: &str, value: f64, unit: &str) {
    if value.is_finite() {
        println!("{}", json!({"peer": program, "figure": name, "value": value, "unit": unit}));
    }
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Whether a part is to be measured: those that are named, or all.
fn wanted(part: &str) -> bool {
    let named: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    named.is_empty() || named.iter().any(|word| word == part)
}

#[tokio::main(worker_threads = 4)]
async fn main() {
    if wanted("log") {
        log::figures();
    }
    if ["reads", "felt", "layout"].into_iter().any(wanted) {
        at_a_million().await;
    }
}

/// What needs the database.
async fn at_a_million() {
    let dir = tempfile::Builder::new().prefix("syncdeck-bench-").tempdir_in("/var/tmp").unwrap().keep();
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o711)).unwrap();
    let server = PrivateServer::start(&Options { dir, remove: true, durable: false }).unwrap();
    let url = server.url("postgres");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let options = OrgOptions { daily_limit: 100_000_000, ..OrgOptions::default() };
    tokio::spawn(simulator::serve(Org::new(options), listener, CancellationToken::new()));
    let home = tempfile::tempdir().unwrap();
    let mut text = format!(
        "[connection]\nname = \"bench\"\nenvironment = \"test\"\nengine = \"service\"\n[postgres]\nurl = \"{url}\"\n\
         [salesforce]\nlogin_url = \"http://{address}\"\nclient_id = \"simulated-app\"\n\
         client_secret = \"simulated-secret\"\nlook_back = \"2s\"\n"
    );
    for (object, name) in [("Account", "Name"), ("Contact", "LastName")] {
        text += &format!(
            "[[mapping]]\nobject = \"{object}\"\nfields = [\"{name}\", \"Phone\"]\npoll_interval = \"1s\"\n"
        );
    }
    let config = write_config(home.path(), "syncdeck.toml", &text);
    let silent = write_config(home.path(), "silent.toml", &format!("{text}[console]\nclock = false\n"));
    let store = Store::connect(&url, "salesforce", "syncdeck bench", Duration::from_secs(300)).await.unwrap();
    let engine = engine::start(Config::load(Some(&config), None).unwrap(), store.clone()).await.unwrap();
    while store.overview().await.unwrap().mappings.iter().any(|mapping| mapping.state != "ok") {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let sql = connect(&url).await;
    sql.batch_execute(include_str!("fill.sql")).await.unwrap();
    sql.batch_execute("VACUUM ANALYZE syncdeck.error").await.unwrap();
    let done = CancellationToken::new();
    let application = tokio::spawn(application(connect(&url).await, done.clone()));
    if wanted("reads") {
        figures(&Handle::new(store.clone(), operator())).await;
    }
    if wanted("felt") {
        let (at, path) = (home.path().to_owned(), config.clone());
        tokio::task::spawn_blocking(move || {
            felt::start(&path, &at);
            felt::at_work(&path, &at);
        })
        .await
        .unwrap();
        felt::streams(&config, home.path(), &sql).await;
    }
    done.cancel();
    application.await.unwrap();
    engine.stop().await;
    if wanted("layout") {
        layout(&config, store, &sql).await;
    }
    if wanted("felt") {
        let at = home.path().to_owned();
        tokio::task::spawn_blocking(move || {
            felt::quiet(&config, &silent, &at);
            felt::writes(&config, &at);
        })
        .await
        .unwrap();
        felt::peers();
    }
}

/// The first start on errors of an older layout: how long the engine takes to come up, and then to build the indexes.
async fn layout(config: &Path, store: Store, sql: &Client) {
    sql.batch_execute(
        "DO $$ DECLARE name text; BEGIN
             FOR name IN SELECT relname FROM pg_class WHERE relname LIKE 'error_by_%' AND relkind = 'i'
                 OR relname IN ('error_properties', 'error_words')
             LOOP EXECUTE 'DROP INDEX syncdeck.' || name; END LOOP; END $$;
         DELETE FROM syncdeck.layout",
    )
    .await
    .unwrap();
    let begin = Instant::now();
    let engine = engine::start(Config::load(Some(config), None).unwrap(), store).await.unwrap();
    figure("start of an engine on an older layout", begin.elapsed().as_secs_f64(), "s", 10.0);
    let begin = Instant::now();
    let missing =
        "SELECT 16 - count(*) FROM pg_index WHERE indrelid = 'syncdeck.error'::regclass AND indisvalid";
    while sql.query_one(missing, &[]).await.unwrap().get::<_, i64>(0) > 0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    figure("indexes built beside the work", begin.elapsed().as_secs_f64(), "s", 300.0);
    engine.stop().await;
}

fn write_config(home: &Path, name: &str, text: &str) -> PathBuf {
    let path = home.join(name);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).unwrap();
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
    path
}

/// An application that writes a hundred rows a second, one in ten of which Salesforce rejects.
async fn application(sql: Client, done: CancellationToken) {
    // The errors that are there are of rows up to a million.
    sql.batch_execute("ALTER SEQUENCE salesforce.contact_id_seq RESTART 2000001").await.unwrap();
    let write = "INSERT INTO salesforce.contact (lastname, phone)
         SELECT CASE WHEN i < 10 THEN 'Writer' END, '+1 415 555 0100' FROM generate_series(1, 10) i";
    while !done.is_cancelled() {
        sql.execute(write, &[]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
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
    for filter in ["", "mapping:contact", "code:MALFORMED", "somebody"] {
        let (took, groups) = median(async || handle.groups(filter, 200).await.unwrap()).await;
        assert!(!groups.is_empty(), "{filter}");
        figure(&format!("causes of {filter:?}"), took, "ms", 2_000.0);
    }
    let (took, _) = median(async || handle.overview().await.unwrap()).await;
    figure("overview", took, "ms", 1_000.0);
}
