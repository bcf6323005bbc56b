//! What a person feels: keys, filters, start, silence, on the real program.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use tokio_postgres::Client;

use super::session::{Met, Session};
use super::{Place, bare, by_hand, connect, counted, figure, ms, percentile, read};

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
    screen.contains(&format!("5 Pending · {filter}"))
        && (screen.contains("No error matches") || position(screen).is_some() && rows >= 6)
}

/// Whether a part of a line is one of the list: sign, time, record.
fn is_row(part: &str) -> bool {
    ["✗ ", "? ", "= ", "- ", "↻ "]
        .iter()
        .any(|sign| part.trim_start_matches([' ', '●', '▌', '┃']).starts_with(sign))
}

/// The console's command line.
fn console(place: &Place) -> [&str; 3] {
    [PROGRAM, "--config", place.config.to_str().unwrap()]
}

fn open(place: &Place) -> Session {
    let session = Session::start(&console(place), &place.home);
    session.until("the console is complete", complete);
    session
}

/// From exec to the first frame and to a screen with everything.
pub fn start(place: &Place) {
    let version = format!("{PROGRAM} --version; printf '\\033[?2026l'; read _");
    let reads = async || {
        let sql = connect(&place.url).await;
        read(&sql, &by_hand::FILTERS[0].page()).await;
        read(&sql, &by_hand::FILTERS[0].count()).await;
        read(&sql, by_hand::LOG).await;
    };
    let runtime = tokio::runtime::Handle::current();
    let (mut first, mut whole, mut plain, mut by_hand) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..9 {
        let session = Session::start(&console(place), &place.home);
        first.push(ms(session.first("a frame", |_| true).took));
        whole.push(ms(session.first("everything", complete).took));
        session.leave();
        let session = Session::start(&["sh", "-c", &version], &place.home);
        let version = ms(session.first("a version", |_| true).took);
        session.leave();
        let begin = Instant::now();
        runtime.block_on(reads());
        plain.push(version);
        by_hand.push(version + ms(begin.elapsed()));
    }
    let median = |mut times: Vec<f64>| percentile(&mut times, 50);
    let plain = ("exec to what --version prints", median(plain));
    figure("exec to the first frame, median", median(first), "ms", plain, 5.0);
    let by_hand = ("the same, and connecting and reading them by hand", median(by_hand));
    figure("exec to overview, errors and log, median", median(whole), "ms", by_hand, 5.0);
}

/// How long keys took to their frames, in turn with those of a client that does nothing else.
struct Took {
    console: Vec<f64>,
    bare: Vec<f64>,
}

impl Took {
    /// Prints what half of the keys took, and what all but one in a hundred did.
    fn tell(mut self, when: &str, half: f64, most: f64) {
        for (p, limit) in [(50, half), (99, most)] {
            let bare = ("a bare client's", percentile(&mut self.bare, p));
            let name = format!("key to frame {when}, p{p}");
            figure(&name, percentile(&mut self.console, p), "ms", bare, limit);
        }
    }
}

/// The bytes of a bare client's frame: those of a step of the console.
const BYTES: &str = "400";

fn open_bare(place: &Place) -> Session {
    let bench = std::env::current_exe().unwrap();
    shown(Session::start(&[bench.to_str().unwrap(), bare::WORD, BYTES], &place.home))
}

fn shown(bare: Session) -> Session {
    bare.until("the bare client shows", |screen| screen.contains("...."));
    bare
}

/// Moves in the list and between the panes; how long each key took to its frame.
fn press(console: &mut Session, bare: &mut Session, rounds: usize) -> Took {
    let pause = || std::thread::sleep(Duration::from_millis(20));
    let mut took = Took { console: Vec::new(), bare: Vec::new() };
    let mut beside = || {
        pause();
        took.bare.push(ms(bare.key(DOWN, "a frame", |_| true).took));
        pause();
    };
    for round in 0..rounds {
        for key in [DOWN, DOWN, PAGE_DOWN, DOWN, UP, PAGE_DOWN, PAGE_UP, DOWN, DOWN, UP] {
            let before = list(&console.screen());
            let met = console.key(key, "the cursor moves", move |screen| list(screen) != before);
            took.console.push(ms(met.took));
            beside();
        }
        for key in ["\t", "\x1b2"] {
            let before = focus(&console.screen());
            let met =
                console.key(key, &format!("{key:?} in round {round}"), move |screen| focus(screen) != before);
            took.console.push(ms(met.took));
            beside();
        }
    }
    took
}

/// Filters, and their conditions by hand.
const FILTERS: [(&str, &str); 7] = [
    ("mapping:account", "mapping = 'Account'"),
    ("field:fax", "fields && '{Fax}'"),
    ("code:MALFORMED", "code LIKE '%MALFORMED%'"),
    ("state:review category:data", "state = 'review' AND category = 'data'"),
    ("acm", "TEXT ILIKE '%acm%'"),
    ("doe", "TEXT ILIKE '%doe%'"),
    ("zzz", "TEXT ILIKE '%zzz%'"),
];

/// Keys, filters and memory while the engine works.
pub fn at_work(place: &Place) {
    let (mut session, mut bare) = (open(place), open_bare(place));
    let begun = session.memory("VmRSS");
    press(&mut session, &mut bare, 25).tell("while the engine works", 30.0, 10.0);
    let runtime = tokio::runtime::Handle::current();
    let sql = runtime.block_on(connect(&place.url));
    for (filter, condition) in FILTERS {
        let [page, count] = by_hand::page_and_count_of(condition);
        let (mut took, mut beside): (Vec<f64>, Vec<f64>) = (0..5)
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
                let begin = Instant::now();
                runtime.block_on(async {
                    read(&sql, &page).await;
                    read(&sql, &count).await;
                });
                (ms(met.took), ms(begin.elapsed()))
            })
            .unzip();
        let by_hand = ("its page and its count by hand", percentile(&mut beside, 50));
        let name = format!("filter {filter:?} to a full screen, median");
        figure(&name, percentile(&mut took, 50), "ms", by_hand, 20.0);
    }
    // Far down: the list that is held is long. A page that is still on its way is waited for by asking again.
    while standing(&session.screen()) < 1_500 {
        session.type_in(PAGE_DOWN);
        std::thread::sleep(Duration::from_millis(15));
    }
    press(&mut session, &mut bare, 10).tell("far down a list", 30.0, 10.0);
    let begun = ("as it began", begun);
    figure("memory of the console, most", session.memory("VmHWM"), "MB", begun, 2.0);
    figure("memory of the console, now", session.memory("VmRSS"), "MB", begun, 2.0);
    session.leave();
    bare.leave();
}

/// Keys while every core is busy with something else.
pub fn busy(place: &Place) {
    let cores = std::thread::available_parallelism().unwrap().get();
    let bench = std::env::current_exe().unwrap();
    let bare = [bench.to_str().unwrap(), bare::WORD, BYTES];
    let measure = |when: &str, most: f64, start: &dyn Fn(&[&str]) -> Session| {
        let mut session = start(&console(place));
        session.until("the console is complete", complete);
        let mut bare = shown(start(&bare));
        press(&mut session, &mut bare, 50).tell(when, 15.0, most);
        session.leave();
        bare.leave();
    };
    // A scheduler that gives each session a share of its own hardly lets these hold a key up.
    let load: Vec<Session> = (0..cores).map(|_| Session::start(&["sh", "-c", LOOP], &place.home)).collect();
    measure("with every core busy elsewhere", 10.0, &|program| Session::start(program, &place.home));
    load.into_iter().for_each(Session::leave);
    // Those of its own session have the same right to the cores as it: what it hands to another thread waits in line.
    let script = format!("{LOOP} & ").repeat(cores) + "exec \"$@\"";
    measure("with every core busy in its session", 3.0, &|program| {
        Session::start(&[&["sh", "-c", &script, "sh"], program].concat(), &place.home)
    });
}

/// Keeps a core busy until its terminal is gone.
const LOOP: &str = "while :; do :; done";

/// Announcements and log lines as fast as they can be written.
pub async fn streams(place: &Place, sql: &Client) {
    let place = place.clone();
    let flooding = Arc::new(AtomicBool::new(true));
    let flag = flooding.clone();
    let console = tokio::task::spawn_blocking(move || {
        let (mut session, mut bare) = (open(&place), open_bare(&place));
        let (frames, _) = session.sent();
        let begin = Instant::now();
        std::thread::sleep(Duration::from_secs(5));
        let shown = (session.sent().0 - frames) as f64 / begin.elapsed().as_secs_f64();
        let took = press(&mut session, &mut bare, 15);
        session.leave();
        bare.leave();
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
    let (shown, took) = console.await.unwrap();
    eprintln!("{} announcements during the flood", written.load(Ordering::Relaxed) * 3);
    // A bound that the console sets itself; a slow machine shows fewer.
    counted("frames a second from a flood of events", shown, "1/s", 15.5);
    took.tell("in a flood of events", 30.0, 10.0);
}

/// Bytes of a step, of silence and of the clock, while nothing changes.
pub fn quiet(place: &Place, silent: &Path) {
    let filter = "class:permanent";
    let mut session = Session::start(&[PROGRAM, "--config", silent.to_str().unwrap()], &place.home);
    session.until("errors are listed", |screen| position(screen).is_some());
    session.key("/", "the filter's line", |screen| screen.contains("Filter errors"));
    session.key(&format!("\x15{filter}\r"), filter, move |screen| full(screen, filter));
    session.settle(Duration::from_secs(6));
    let (_, before) = session.sent();
    std::thread::sleep(Duration::from_secs(5));
    counted(
        "bytes of 5 s in which nothing changes, without clock",
        (session.sent().1 - before) as f64,
        "bytes",
        0.0,
    );
    let steps: Vec<Met> = (0..20).map(|_| step(&mut session)).collect();
    for (which, percent) in [("median", 50), ("most", 100)] {
        let bytes = percentile(&mut steps.iter().map(|met| met.bytes as f64).collect::<Vec<_>>(), percent);
        let least = percentile(&mut steps.iter().map(|met| met.least as f64).collect::<Vec<_>>(), percent);
        figure(
            &format!("bytes of a cursor step, {which}"),
            bytes,
            "bytes",
            ("the difference as a terminal's own library writes it", least),
            // A colour costs crossterm twice as many bytes as that library; all of a step fits one segment of TCP.
            2.0,
        );
    }
    session.leave();

    let mut session = Session::start(&console(place), &place.home);
    session.until("errors are listed", |screen| position(screen).is_some());
    session.settle(Duration::from_secs(6));
    let (frames, before) = session.sent();
    // A minute has one frame of the clock.
    std::thread::sleep(Duration::from_secs(61));
    let (now, bytes) = session.sent();
    counted("frames of a minute in which nothing changes", (now - frames) as f64, "frames", 2.0);
    // The marks of synchronized output, five digits with their style, and the cursor there and back.
    let each = (bytes - before) as f64 / (now - frames).max(1) as f64;
    counted("bytes of a frame of the clock", each, "bytes", 80.0);
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
pub fn writes(place: &Place) {
    let trace = place.home.join("trace");
    let program =
        ["strace", "-f", "-o", trace.to_str().unwrap(), "-e", "trace=write,writev", "-s", "12", PROGRAM];
    if std::process::Command::new("strace").arg("-V").output().is_err() {
        eprintln!("writes a frame: skipped, strace is not here");
        return;
    }
    let mut session = Session::start(&[&program[..], &console(place)[1..]].concat(), &place.home);
    session.until("errors are listed", |screen| position(screen).is_some());
    let (before, traced) = (session.sent().0, to_terminal(&trace));
    for _ in 0..30 {
        step(&mut session);
    }
    let (after, now) = (session.sent().0, to_terminal(&trace));
    session.leave();
    counted("writes a frame", (now - traced) as f64 / (after - before) as f64, "writes", 1.0);
}

/// Writes to the terminal so far.
fn to_terminal(trace: &Path) -> usize {
    let text = std::fs::read_to_string(trace).unwrap();
    text.lines().filter(|line| line.contains(" write(1, ") || line.contains(" writev(1, ")).count()
}
