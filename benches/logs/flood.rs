//! A flood of lines beside everything else: ten million lines through the console's log and its frames meanwhile, and how
//! long a change takes from the row to the org while lines come as fast as a drain can take them.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chrono::Utc;
use crossterm::event::KeyCode;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use syncdeck::console::app::update::update;
use syncdeck::console::app::{App, draw};
use syncdeck::console::msg::Msg;
use syncdeck::console::settings::Settings;
use syncdeck::demo::private::{Options, PrivateServer};
use syncdeck::engine;
use syncdeck::logs::source::{self, Batch, DrainAt, LogSource, ReadManner, Receipt, SourceEvent, SourceKind};
use syncdeck::logs::{ELSEWHERE, LogRecord};
use syncdeck::postgres::Store;
use syncdeck::simulator::{self, Org, OrgOptions};
use tokio_postgres::NoTls;
use tokio_util::sync::CancellationToken;

use super::drain::{LINES, body, send};
use super::figures::{counted, figure};
use super::mix::{each_record, text};

/// Lines that pass.
const PASSING: usize = 10_000_000;
/// Lines that the console takes in at once.
const AT_ONCE: usize = 250;
/// Keys of which the frames are measured.
const KEYS: usize = 2_000;
/// The default of `console.log_memory`, in bytes.
const CAP: usize = 64 << 20;
/// Changes that are sent one after the other, in each of the rounds.
const CHANGES: usize = 40;
const ROUNDS: usize = 3;

fn percentile(times: &mut [f64], of_hundred: usize) -> f64 {
    times.sort_by(f64::total_cmp);
    times[(times.len() * of_hundred / 100).min(times.len() - 1)]
}

/// A key that moves, and its frame.
fn key(app: &mut App, terminal: &mut Terminal<TestBackend>, number: usize) -> f64 {
    let begin = Instant::now();
    let code = if number.is_multiple_of(2) { KeyCode::Up } else { KeyCode::Down };
    update(app, Msg::Key(code.into()));
    terminal.draw(|frame| draw::draw(app, frame)).unwrap();
    begin.elapsed().as_secs_f64() * 1e3
}

/// Ten million lines through the log, a key now and then: the longest that a key may wait for, the lines taken in at once
/// and its own frame, beside the same of a console to which nothing comes.
pub fn pane() {
    let mut app = App::new(Utc::now(), (120, 40), Settings { log_memory: CAP, ..Settings::default() });
    let mut terminal = Terminal::new(TestBackend::new(120, 40)).unwrap();
    let (text, lines) = text(PASSING / 20);
    let mut page: Vec<LogRecord> = Vec::with_capacity(AT_ONCE);
    update(&mut app, Msg::Log(Ok(Vec::new())));
    update(&mut app, Msg::Key(KeyCode::Char('4').into()));
    each_record(&text, |record| {
        page.extend((page.len() < AT_ONCE).then_some(LogRecord { id: ELSEWHERE, ..record }))
    });
    let batch = |records: &[LogRecord]| Msg::Lines(Batch { records: records.to_vec(), ..Batch::default() });
    update(&mut app, batch(&page));
    let mut quiet: Vec<f64> = (0..KEYS).map(|number| key(&mut app, &mut terminal, number)).collect();
    let (mut flooded, mut held, mut passed, mut pages) = (Vec::new(), 0, 0, 0);
    let every = PASSING / AT_ONCE / KEYS;
    while passed < PASSING {
        page.clear();
        each_record(&text, |record| {
            page.push(LogRecord { id: ELSEWHERE, ..record });
            if page.len() < AT_ONCE {
                return;
            }
            let lines = batch(&page);
            page.clear();
            pages += 1;
            let begin = Instant::now();
            update(&mut app, lines);
            let took = begin.elapsed().as_secs_f64() * 1e3;
            if pages % every == 0 {
                flooded.push(took + key(&mut app, &mut terminal, pages / every));
                update(&mut app, Msg::Key(KeyCode::Char('G').into()));
            }
            held = held.max(app.log.bytes());
        });
        passed += lines;
    }
    let mb = |bytes: usize| bytes as f64 / f64::from(1 << 20);
    let cap = ("the configured limit", mb(CAP));
    figure("flood: the log's memory while ten million lines pass the pane", mb(held), "MB", cap, 1.1);
    let beside = ("the same without lines", percentile(&mut quiet, 99));
    figure(
        "flood: a key with its frame, p99, behind a page of lines",
        percentile(&mut flooded, 99),
        "ms",
        beside,
        4.0,
    );
}

/// How long changes take from the commit of their row to the org: alone, and while a drain takes in what it can.
pub fn sync() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    runtime.block_on(async {
        let dir = tempfile::Builder::new().prefix("syncdeck-bench-").tempdir_in("/var/tmp").unwrap().keep();
        std::fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o711)).unwrap();
        let server = PrivateServer::start(&Options { dir, remove: true, durable: true }).unwrap();
        let url = server.url("postgres");
        let (sql, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        tokio::spawn(connection);
        let org = Org::new(OrgOptions::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = super::writing::config(&url, listener.local_addr().unwrap());
        tokio::spawn(simulator::serve(org.clone(), listener, CancellationToken::new()));
        let store =
            Store::connect(&url, "salesforce", "syncdeck bench", Duration::from_secs(60)).await.unwrap();
        let engine = engine::start(config, store).await.unwrap();
        let (mut quiet, mut flooded, mut number, mut taken, mut span) = (Vec::new(), Vec::new(), 0, 0, 0.0);
        for _ in 0..ROUNDS {
            for is_flooded in [false, true] {
                let flood = if is_flooded { Some(Flood::start().await) } else { None };
                let begin = Instant::now();
                for _ in 0..CHANGES {
                    number += 1;
                    let took = change(&sql, &org, number).await;
                    if is_flooded { &mut flooded } else { &mut quiet }.push(took);
                }
                if let Some(flood) = flood {
                    span += begin.elapsed().as_secs_f64();
                    taken += flood.stop().await;
                }
            }
        }
        engine.stop().await;
        eprintln!("{:.0} lines/s came meanwhile", taken as f64 / span);
        counted(
            "flood: seconds without a line beside the changes",
            if taken > 0 { 0.0 } else { 1.0 },
            "s",
            0.0,
        );
        for (name, p, limit) in [("median", 50, 2.0), ("p90", 90, 3.0)] {
            let beside = ("the same without lines", percentile(&mut quiet, p));
            let name = format!("flood: a change from its row to the org beside lines, {name}");
            figure(&name, percentile(&mut flooded, p), "ms", beside, limit);
        }
    });
}

/// One change, in milliseconds.
async fn change(sql: &tokio_postgres::Client, org: &Org, number: i32) -> f64 {
    let before = org.journal_since(0).len() as u64;
    let begin = Instant::now();
    let insert =
        format!("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Name', 'F{number}')");
    sql.batch_execute(&insert).await.unwrap();
    while org.journal_since(before).is_empty() {
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    begin.elapsed().as_secs_f64() * 1e3
}

/// Lines that come as fast as they are taken.
struct Flood {
    over: Arc<AtomicBool>,
    taken: Arc<AtomicU64>,
    sender: std::thread::JoinHandle<()>,
    reader: tokio::task::JoinHandle<()>,
}

impl Flood {
    async fn start() -> Flood {
        let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let kind = SourceKind::Drain(DrainAt { listen, login: None });
        let manner = ReadManner { follow: true, lines: 0 };
        let mut sources = source::start(vec![LogSource { name: "bench".to_owned(), kind }], manner);
        while !matches!(sources.next().await.unwrap(), SourceEvent::CaughtUp) {}
        let (over, taken) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let stop = over.clone();
        let sender = std::thread::spawn(move || {
            let bodies: Vec<String> = (0..64).map(body).collect();
            let mut round = 0;
            while !stop.load(Ordering::Relaxed) {
                send(listen, &bodies, round);
                round += 1;
            }
        });
        let count = taken.clone();
        let reader = tokio::spawn(async move {
            let mut app =
                App::new(Utc::now(), (120, 40), Settings { log_memory: CAP, ..Settings::default() });
            update(&mut app, Msg::Log(Ok(Vec::new())));
            while let Some(mut batch) = sources.batch(AT_ONCE).await {
                let receipts = std::mem::take(&mut batch.receipts);
                count.fetch_add(batch.records.len() as u64, Ordering::Relaxed);
                update(&mut app, Msg::Lines(batch));
                receipts.into_iter().for_each(Receipt::taken);
            }
        });
        while taken.load(Ordering::Relaxed) < 10 * LINES as u64 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Flood { over, taken, sender, reader }
    }

    async fn stop(self) -> u64 {
        self.over.store(true, Ordering::Relaxed);
        tokio::task::spawn_blocking(|| self.sender.join().unwrap()).await.unwrap();
        self.reader.abort();
        self.taken.load(Ordering::Relaxed)
    }
}
