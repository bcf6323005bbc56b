//! What a person feels: keys, filters, start, silence, on the real program.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use tokio_postgres::Client;

use super::session::{Met, Session};
use super::{figure, peer};

const PROGRAM: &str = env!("CARGO_BIN_EXE_syncdeck");
const DOWN: &str = "\x1b[B";
const UP: &str = "\x1b[A";
const PAGE_DOWN: &str = "\x1b[6~";
const PAGE_UP: &str = "\x1b[5~";

/// Where the cursor stands in the list: the `12` of `12 of 10,000+`.
fn position(screen: &str) -> Option<String> {
    let head = screen.lines().find(|line| line.contains("2 Errors"))?;
    let (before, _) = head.rsplit_once(" of ")?;
    before.rsplit(' ').next().map(str::to_owned)
}

/// The part of the screen with the list. An error that comes in above the cursor in the same moment as the cursor goes up
/// leaves its position as it was, and moves the rows.
fn list(screen: &str) -> Vec<String> {
    screen.lines().skip(1).take(11).map(str::to_owned).collect()
}

/// The same as a number.
fn standing(screen: &str) -> u32 {
    position(screen).and_then(|place| place.replace(',', "").parse().ok()).unwrap_or(0)
}

/// Which pane has the keys.
fn focus(screen: &str) -> Option<String> {
    let (_, rest) = screen.split_once("┏ ")?;
    Some(rest.chars().take(9).collect())
}

/// Everything is there.
fn complete(screen: &str) -> bool {
    position(screen).is_some()
        && screen.contains("● running")
        && screen.contains("4 Log")
        && !screen.contains("reading ...")
}

/// The list has a filter, and as many rows as there is room for, or says that there are none.
fn full(screen: &str, filter: &str) -> bool {
    let rows = screen.lines().filter(|line| line.split('│').any(is_row)).count();
    screen.contains(&format!("2 Errors · {filter}"))
        && (screen.contains("No error matches") || position(screen).is_some() && rows >= 6)
}

/// Whether a part of a line is one of the list: sign, time, record.
fn is_row(part: &str) -> bool {
    ["✗ ", "? ", "= ", "- ", "↻ "]
        .iter()
        .any(|sign| part.trim_start_matches([' ', '●', '▌', '┃']).starts_with(sign))
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The p-th of a hundred.
fn percentile(times: &mut [f64], p: usize) -> f64 {
    times.sort_by(f64::total_cmp);
    times[(times.len() * p / 100).min(times.len() - 1)]
}

fn open(config: &Path, home: &Path) -> Session {
    let session = Session::start(&[PROGRAM, "--config", config.to_str().unwrap()], home);
    session.until("the console is complete", complete);
    session
}

/// From exec to the first frame and to a screen with everything.
pub fn start(config: &Path, home: &Path) {
    let (mut first, mut whole) = (Vec::new(), Vec::new());
    for _ in 0..9 {
        let session = Session::start(&[PROGRAM, "--config", config.to_str().unwrap()], home);
        first.push(ms(session.first("a frame", |_| true).took));
        whole.push(ms(session.first("everything", complete).took));
        session.leave();
    }
    figure("exec to the first frame, median", percentile(&mut first, 50), "ms", 50.0);
    figure("exec to overview, errors and log, median", percentile(&mut whole, 50), "ms", 300.0);
}

/// Moves in the list and between the panes; how long each took to its frame.
fn press(session: &mut Session, rounds: usize, pause: Duration) -> Vec<f64> {
    let mut took = Vec::new();
    for round in 0..rounds {
        for key in [DOWN, DOWN, PAGE_DOWN, DOWN, UP, PAGE_DOWN, PAGE_UP, DOWN, DOWN, UP] {
            let before = list(&session.screen());
            let met = session.key(key, "the cursor moves", move |screen| list(screen) != before);
            took.push(ms(met.took));
            std::thread::sleep(pause);
        }
        for key in ["\t", "2"] {
            let before = focus(&session.screen());
            let met =
                session.key(key, &format!("{key:?} in round {round}"), move |screen| focus(screen) != before);
            took.push(ms(met.took));
            std::thread::sleep(pause);
        }
    }
    took
}

/// Keys, filters and memory while the engine works.
pub fn at_work(config: &Path, home: &Path) {
    let mut session = open(config, home);
    let mut took = press(&mut session, 25, Duration::from_millis(20));
    figure("key to frame while the engine works, p50", percentile(&mut took, 50), "ms", 16.0);
    figure("key to frame while the engine works, p99", percentile(&mut took, 99), "ms", 16.0);
    for filter in
        ["mapping:account", "field:fax", "code:MALFORMED", "state:review category:data", "acm", "doe", "zzz"]
    {
        let mut took: Vec<f64> = (0..5)
            .map(|_| {
                session.key("/", "the filter's line", |screen| screen.contains("Filter errors"));
                session.type_in(&format!("\x15{filter}"));
                session.until("the filter is typed", |screen| screen.contains(&format!(" {filter}")));
                // Who types does not press Enter in the same moment.
                std::thread::sleep(Duration::from_millis(150));
                let wanted = filter.to_owned();
                let met = session.key("\r", filter, move |screen| full(screen, &wanted));
                session.key("/", "the filter's line", |screen| screen.contains("Filter errors"));
                session.key("\x15\r", "no filter", |screen| {
                    screen.contains("2 Errors  5 Pending ━") && position(screen).is_some()
                });
                ms(met.took)
            })
            .collect();
        figure(
            &format!("filter {filter:?} to a full screen, median"),
            percentile(&mut took, 50),
            "ms",
            150.0,
        );
    }
    // Far down: the list that is held is long. A page that is still on its way is waited for by asking again.
    while standing(&session.screen()) < 1_500 {
        session.type_in(PAGE_DOWN);
        std::thread::sleep(Duration::from_millis(15));
    }
    let mut took = press(&mut session, 5, Duration::from_millis(20));
    figure("key to frame far down a list, p99", percentile(&mut took, 99), "ms", 16.0);
    figure("memory of the console, most", session.memory("VmHWM"), "MB", 120.0);
    figure("memory of the console, now", session.memory("VmRSS"), "MB", 120.0);
    session.leave();
}

/// Announcements and log lines as fast as they can be written.
pub async fn streams(config: &Path, home: &Path, sql: &Client) {
    let (config, home) = (config.to_owned(), home.to_owned());
    let flooding = Arc::new(AtomicBool::new(true));
    let flag = flooding.clone();
    let console = tokio::task::spawn_blocking(move || {
        let mut session = open(&config, &home);
        let (frames, _) = session.sent();
        let begin = Instant::now();
        std::thread::sleep(Duration::from_secs(5));
        let shown = (session.sent().0 - frames) as f64 / begin.elapsed().as_secs_f64();
        let took = press(&mut session, 15, Duration::from_millis(20));
        session.leave();
        flag.store(false, Ordering::Relaxed);
        (shown, took)
    });
    let written = AtomicI64::new(0);
    while flooding.load(Ordering::Relaxed) {
        sql.batch_execute(
            "INSERT INTO syncdeck.log (time, level, source, dyno, message, fields)
             SELECT clock_timestamp(), 'info', 'syncdeck', 'writer', 'sent ' || i, '{\"mapping\": \"Contact\"}'
             FROM generate_series(1, 20) i;
             UPDATE syncdeck.error SET last_seen = clock_timestamp(), attempts = attempts + 1
             WHERE id IN (SELECT id FROM syncdeck.error WHERE resolved_at IS NULL ORDER BY last_seen DESC LIMIT 3);
             NOTIFY syncdeck, 'log'; NOTIFY syncdeck, 'errors'; NOTIFY syncdeck, 'overview'",
        )
        .await
        .unwrap();
        written.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (shown, mut took) = console.await.unwrap();
    eprintln!("{} announcements during the flood", written.load(Ordering::Relaxed) * 3);
    figure("frames a second from a flood of events", shown, "1/s", 15.5);
    figure("key to frame in a flood of events, p50", percentile(&mut took, 50), "ms", 16.0);
    figure("key to frame in a flood of events, p99", percentile(&mut took, 99), "ms", 16.0);
}

/// Bytes of a step, of silence and of the clock, while nothing changes.
pub fn quiet(config: &Path, quiet: &Path, home: &Path) {
    let filter = "class:permanent";
    let mut session = Session::start(&[PROGRAM, "--config", quiet.to_str().unwrap()], home);
    session.until("errors are listed", |screen| position(screen).is_some());
    session.key("/", "the filter's line", |screen| screen.contains("Filter errors"));
    session.key(&format!("\x15{filter}\r"), filter, move |screen| full(screen, filter));
    session.settle(Duration::from_secs(6));
    let (_, before) = session.sent();
    std::thread::sleep(Duration::from_secs(5));
    figure(
        "bytes of 5 s in which nothing changes, without clock",
        (session.sent().1 - before) as f64,
        "bytes",
        0.0,
    );
    let mut steps: Vec<f64> = (0..20).map(|_| step(&mut session).bytes as f64).collect();
    figure("bytes of a cursor step, median", percentile(&mut steps, 50), "bytes", 600.0);
    figure("bytes of a cursor step, most", percentile(&mut steps, 100), "bytes", 600.0);
    session.leave();

    let mut session = Session::start(&[PROGRAM, "--config", config.to_str().unwrap()], home);
    session.until("errors are listed", |screen| position(screen).is_some());
    session.settle(Duration::from_secs(6));
    let (frames, before) = session.sent();
    // A minute has one frame of the clock.
    std::thread::sleep(Duration::from_secs(61));
    let (now, bytes) = session.sent();
    figure("frames of a minute in which nothing changes", (now - frames) as f64, "frames", 2.0);
    // The marks of synchronized output, five digits with their style, and the cursor there and back.
    let each = (bytes - before) as f64 / (now - frames).max(1) as f64;
    figure("bytes of a frame of the clock", each, "bytes", 80.0);
    step(&mut session);
    session.leave();
}

fn step(session: &mut Session) -> Met {
    let before = position(&session.screen());
    let met = session.key(DOWN, "the cursor moves", move |screen| position(screen) != before);
    session.settle(Duration::from_millis(400));
    met
}

/// How many write(2) a frame takes.
pub fn writes(config: &Path, home: &Path) {
    let trace = home.join("trace");
    let program =
        ["strace", "-f", "-o", trace.to_str().unwrap(), "-e", "trace=write,writev", "-s", "12", PROGRAM];
    if std::process::Command::new("strace").arg("-V").output().is_err() {
        eprintln!("writes a frame: skipped, strace is not here");
        return;
    }
    let mut session = Session::start(&[&program[..], &["--config", config.to_str().unwrap()]].concat(), home);
    session.until("errors are listed", |screen| position(screen).is_some());
    let (before, traced) = (session.sent().0, to_terminal(&trace));
    for _ in 0..30 {
        step(&mut session);
    }
    let (after, now) = (session.sent().0, to_terminal(&trace));
    session.leave();
    figure("writes a frame", (now - traced) as f64 / (after - before) as f64, "writes", 1.0);
}

/// Writes to the terminal so far.
fn to_terminal(trace: &Path) -> usize {
    let text = std::fs::read_to_string(trace).unwrap();
    text.lines().filter(|line| line.contains(" write(1, ") || line.contains(" writev(1, ")).count()
}

/// Other programs at 120x40 on a machine of two cores. From a table that was measured once (versions beside the names;
/// Debian 12's packages, or crates.io); nothing of it is measured here.
pub fn peers() {
    let peers = [
        ("bottom 0.15.0", 20.0, 919.0, 313.0, 0.6, 7.0),
        ("btop 1.2.13", 13.0, 5_880.0, f64::NAN, f64::NAN, 5.0),
        ("csvlens 0.15.1, 1M rows", 21.0, 132.0, 64.0, 0.3, 7.0),
        ("lnav 0.11.1, 1M lines", 75.0, 35.0, 193.0, 0.7, 78.0),
        ("less 590, 1M lines", 16.0, 0.0, 130.0, 0.1, 2.0),
        ("visidata 3.4, 1M rows", 190.0, 0.0, 415.0, 1.5, 520.0),
        ("fzf 0.38, 1M lines", 30.0, 0.0, 189.0, 89.0, f64::NAN),
        ("tokio-console 0.1.14", 8.0, 0.0, 20.0, 0.2, 7.0),
    ];
    for (program, first, idle, key, answer, memory) in peers {
        peer(program, "exec to the first byte", first, "ms");
        peer(program, "bytes a second of silence", idle, "bytes/s");
        peer(program, "bytes a key", key, "bytes");
        peer(program, "key to first byte", answer, "ms");
        peer(program, "memory", memory, "MB");
    }
    for (program, name, value) in [
        ("csvlens 0.15.1", "a million rows filtered", 292.0),
        ("lnav 0.11.1", "a million lines filtered", 460.0),
    ] {
        peer(program, name, value, "ms");
    }
}
