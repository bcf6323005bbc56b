//! What the console reads, and what whoever sits at it feels, at a million open errors: `cargo bench --bench console`. One
//! JSON line a figure. What is a time or a size stands beside the same of a peer that was measured in the same run, and its
//! limit is a ratio to it; what can be counted has a plain limit. A private PostgreSQL with 1,000,000 unresolved errors, a
//! simulated org, an engine that runs, and an application that writes. Words choose parts:
//! `cargo bench --bench console -- reads felt busy layout log`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench that cannot go on ends")]
#![allow(clippy::disallowed_macros, reason = "a bench prints its figures")]

mod bare;
mod by_hand;
#[path = "../shared/connected.rs"]
mod connected;
mod felt;
#[path = "../shared/figures.rs"]
mod figures;
mod log;
mod session;

use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use by_hand::FILTERS;
use figures::{counted, figure};
use syncdeck::client::api::{self, ErrorQuery, operator};
use syncdeck::config::Config;
use syncdeck::demo::private::{Options, PrivateServer};
use syncdeck::domain::errors::sort::{Sort, SortBy};
use syncdeck::domain::state::MappingState;
use syncdeck::engine;
use syncdeck::postgres::Store;
use syncdeck::simulator::{self, Org, OrgOptions};
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use connected::connect;

/// A console's page.
const PAGE: usize = 100;
/// How often each is asked; the median is told.
const TIMES: usize = 5;

/// The medians of how long two things take that are done in turn, in milliseconds, and what came of the first.
async fn medians<T, P>(mut what: impl AsyncFnMut() -> T, mut peer: impl AsyncFnMut() -> P) -> (f64, f64, T) {
    let mut took = [Vec::new(), Vec::new()];
    let mut last = None;
    for _ in 0..TIMES {
        let begin = Instant::now();
        last = Some(what().await);
        took[0].push(ms(begin.elapsed()));
        let begin = Instant::now();
        peer().await;
        took[1].push(ms(begin.elapsed()));
    }
    let [took, beside] = took.map(|mut took| percentile(&mut took, 50));
    (took, beside, last.unwrap())
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The p-th of a hundred.
fn percentile(times: &mut [f64], p: usize) -> f64 {
    times.sort_by(f64::total_cmp);
    times[(times.len() * p / 100).min(times.len() - 1)]
}

/// Whether a part is to be measured: those that are named, or all.
fn wanted(part: &str) -> bool {
    let named: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    named.is_empty() || named.iter().any(|word| word == part)
}

fn main() {
    let mut words = std::env::args().skip(1);
    match (words.next().as_deref(), words.next()) {
        (Some(bare::WORD), Some(bytes)) => bare::run(bytes.parse().unwrap()),
        _ => measure(),
    }
}

#[tokio::main(worker_threads = 4)]
async fn measure() {
    if wanted("log") {
        log::figures();
    }
    if ["reads", "felt", "busy", "layout"].into_iter().any(wanted) {
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
    while store.overview().await.unwrap().mappings.iter().any(|mapping| mapping.state != MappingState::Ok) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let sql = connect(&url).await;
    sql.batch_execute(include_str!("fill.sql")).await.unwrap();
    sql.batch_execute("VACUUM ANALYZE syncdeck.error").await.unwrap();
    let done = CancellationToken::new();
    let application = tokio::spawn(application(connect(&url).await, done.clone()));
    if wanted("reads") {
        figures(&api::Client::new(store.clone(), operator()), &sql).await;
    }
    let place = Place { config: config.clone(), home: home.path().to_owned(), url: url.clone() };
    if wanted("felt") {
        let place = place.clone();
        tokio::task::spawn_blocking(move || {
            felt::start(&place);
            felt::at_work(&place);
        })
        .await
        .unwrap();
    }
    if wanted("busy") {
        let place = place.clone();
        tokio::task::spawn_blocking(move || felt::busy(&place)).await.unwrap();
    }
    if wanted("felt") {
        felt::streams(&place, &sql).await;
    }
    done.cancel();
    application.await.unwrap();
    engine.stop().await;
    if wanted("layout") {
        layout(&config, store, &sql).await;
    }
    if wanted("felt") {
        tokio::task::spawn_blocking(move || {
            felt::quiet(&place, &silent);
            felt::writes(&place);
        })
        .await
        .unwrap();
    }
}

/// Where a console is started.
#[derive(Clone)]
struct Place {
    config: PathBuf,
    home: PathBuf,
    /// The database.
    url: String,
}

/// The first start on errors of an older layout: how long the engine takes to come up, and then to build the indexes.
async fn layout(config: &Path, store: Store, sql: &Client) {
    let start = async || {
        let begin = Instant::now();
        let engine = engine::start(Config::load(Some(config), None).unwrap(), store.clone()).await.unwrap();
        (engine, ms(begin.elapsed()))
    };
    let (engine, as_ever) = start().await;
    engine.stop().await;
    let built = sql.query(&format!("SELECT pg_get_indexdef(indexrelid) {OF_LISTS}"), &[]).await.unwrap();
    sql.batch_execute(DROP).await.unwrap();
    let begin = Instant::now();
    for index in &built {
        sql.batch_execute(index.get(0)).await.unwrap();
    }
    let by_hand = ms(begin.elapsed());
    sql.batch_execute(DROP).await.unwrap();
    sql.batch_execute("DELETE FROM syncdeck.layout").await.unwrap();
    let (engine, took) = start().await;
    figure("start of an engine on an older layout", took, "ms", ("on this one", as_ever), 20.0);
    let begin = Instant::now();
    let missing = format!("SELECT {} - count(*) {OF_LISTS} AND indisvalid", built.len());
    while sql.query_one(&missing, &[]).await.unwrap().get::<_, i64>(0) > 0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let took = ms(begin.elapsed());
    figure("indexes built beside the work", took, "ms", ("the same statements by hand", by_hand), 3.0);
    engine.stop().await;
}

/// The indexes that lists are found by.
const OF_LISTS: &str = "FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
     WHERE indrelid = 'syncdeck.error'::regclass AND (relname LIKE 'error_by_%' OR relname IN ('error_properties', 'error_words'))";
const DROP: &str = "DO $$ DECLARE name text; BEGIN
         FOR name IN SELECT relname FROM pg_class WHERE relname LIKE 'error_by_%' AND relkind = 'i'
             OR relname IN ('error_properties', 'error_words')
         LOOP EXECUTE 'DROP INDEX syncdeck.' || name; END LOOP; END $$";

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

/// How many times as long as by hand a page may take. It is read in one picture, and walked for before it is looked up, which
/// whoever knows what is rare need not do.
const PAGE_LIMIT: f64 = 40.0;
/// The same of a count, which is looked up even where 10,000 are soon come upon.
const COUNT_LIMIT: f64 = 100.0;

async fn figures(handle: &api::Client, sql: &Client) {
    for filter in &FILTERS {
        let (typed, least) = (filter.typed, filter.least);
        let query = ErrorQuery { filter: typed.to_owned(), limit: PAGE, ..ErrorQuery::default() };
        let by_hand = filter.page();
        let (took, beside, page) =
            medians(async || handle.errors(&query).await.unwrap(), async || read(sql, &by_hand).await).await;
        // What is neither frequent nor rare comes in parts.
        let full = page.done || page.items.len() >= PAGE / 2;
        assert!(
            full && page.items.len() >= least.min(PAGE / 2),
            "{typed}: {} errors, done: {}",
            page.items.len(),
            page.done
        );
        figure(&format!("first page of {typed:?}"), took, "ms", ("by hand", beside), PAGE_LIMIT);
        let by_hand = filter.count();
        let (took, beside, _) =
            medians(async || handle.count(typed).await.unwrap(), async || read(sql, &by_hand).await).await;
        figure(&format!("count of {typed:?}"), took, "ms", ("by hand", beside), COUNT_LIMIT);
    }
    for by in SortBy::ALL {
        for descending in [false, true] {
            sorted(handle, sql, Sort { by, descending }).await;
        }
    }
    for filter in FILTERS
        .iter()
        .filter(|filter| ["", "mapping:contact", "code:MALFORMED", "somebody"].contains(&filter.typed))
    {
        let by_hand = filter.groups();
        let (took, beside, groups) = medians(
            async || handle.groups(filter.typed, 200).await.unwrap(),
            async || read(sql, &by_hand).await,
        )
        .await;
        assert!(!groups.is_empty(), "{}", filter.typed);
        figure(&format!("causes of {:?}", filter.typed), took, "ms", ("by hand", beside), 2.0);
    }
    let (took, beside, _) =
        medians(async || handle.overview().await.unwrap(), async || read(sql, by_hand::OVERVIEW).await).await;
    figure("overview", took, "ms", ("counted by hand", beside), 1.0);
}

/// A list's first page and one in its middle, in an order.
async fn sorted(handle: &api::Client, sql: &Client, sort: Sort) {
    let word = format!("{}{}", if sort.descending { "-" } else { "" }, sort.by.word());
    let query = ErrorQuery { sort, limit: PAGE, ..ErrorQuery::default() };
    let by_hand = by_hand::sorted(sort, None);
    let (took, beside, _) =
        medians(async || handle.errors(&query).await.unwrap(), async || read(sql, &by_hand).await).await;
    figure(&format!("first page by {word}"), took, "ms", ("by hand", beside), PAGE_LIMIT);
    let middle = ErrorQuery { filter: "row:500000".to_owned(), ..query.clone() };
    let there = handle.errors(&middle).await.unwrap().items.remove(0);
    let place: String = sql.query_one(&by_hand::place(sort.by, there.id), &[]).await.unwrap().get(0);
    let by_hand = by_hand::sorted(sort, Some(&place));
    let query = query.after(&there);
    let (took, beside, page) =
        medians(async || handle.errors(&query).await.unwrap(), async || read(sql, &by_hand).await).await;
    assert_eq!(page.items.len(), PAGE, "{word}");
    figure(&format!("page in the middle by {word}"), took, "ms", ("by hand", beside), PAGE_LIMIT);
}

/// Reads what a statement answers.
async fn read(sql: &Client, statement: &str) -> usize {
    sql.query(statement, &[]).await.unwrap_or_else(|error| panic!("{statement}: {error:?}")).len()
}
