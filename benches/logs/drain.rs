//! What Heroku's log router can send: the drain on one thread, the sender on another.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use syncdeck::logs::parse::line;
use syncdeck::logs::source::{self, DrainAt, LogSource, ReadManner, Receipt, SourceEvent, SourceKind};

use super::a_line;
use super::figures::counted;

/// Requests of so many lines each.
const REQUESTS: usize = 2_000;
pub const LINES: usize = 250;
/// Lines a second that are to be taken in on one core.
const WANTED: u32 = 50_000;
/// A request that is told to come again does so.
const AGAIN: Duration = Duration::from_millis(10);

pub fn figures() {
    let bodies: Vec<String> = (0..REQUESTS).map(body).collect();
    let lines = REQUESTS * LINES;
    let begin = Instant::now();
    bodies.iter().flat_map(|body| body.lines()).for_each(|text| drop(std::hint::black_box(line(text))));
    let parsed = begin.elapsed();
    let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (took, seen) = runtime.block_on(async {
        let kind = SourceKind::Drain(DrainAt { listen, login: None });
        let manner = ReadManner { follow: true, lines: 0 };
        let mut sources = source::start(vec![LogSource { name: "bench".to_owned(), kind }], manner);
        while !matches!(sources.next().await.unwrap(), SourceEvent::CaughtUp) {}
        let begin = Instant::now();
        let sender = std::thread::spawn(move || send(listen, &bodies, 0));
        let mut seen = HashSet::with_capacity(lines);
        while seen.len() < lines {
            let next = tokio::time::timeout(Duration::from_secs(30), sources.batch(512)).await;
            let Ok(Some(batch)) = next else { break };
            seen.extend(batch.records.iter().filter_map(|record| record.fields.get("n")?.as_u64()));
            batch.receipts.into_iter().for_each(Receipt::taken);
        }
        let took = begin.elapsed();
        // The last requests are answered when their lines were taken in, which this thread says too.
        let mut joined = tokio::task::spawn_blocking(|| sender.join().unwrap());
        loop {
            tokio::select! {
                result = &mut joined => break result.unwrap(),
                batch = sources.batch(512) => {
                    batch.into_iter().flat_map(|batch| batch.receipts).for_each(Receipt::taken);
                }
            }
        }
        (took, seen.len())
    });
    counted("drain: lines lost", (lines - seen) as f64, "lines", 0.0);
    a_line(
        &format!("drain: taken in and told, of {WANTED} lines/s wanted"),
        took,
        ("parsed alone", parsed),
        lines,
        20.0,
    );
}

/// Frames of the router's lines, each with its number.
pub fn body(request: usize) -> String {
    (0..LINES)
        .map(|at| {
            let n = request * LINES + at;
            let text = format!(
                "<40>1 2024-10-28T16:02:15.215250+00:00 host app web.1 - level=info msg=\"GET /accounts/{n}\" \
                 request_id=00Dbc0000000000000-f2f3ed60-2dbd-4edd-b707-9dee97d89c7c status=200 service=12ms n={n}\n"
            );
            format!("{} {text}", text.len())
        })
        .collect()
}

/// Sends each until it is taken; in another round they are others.
pub fn send(to: SocketAddr, bodies: &[String], round: usize) {
    let mut connection = TcpStream::connect(to).unwrap();
    connection.set_nodelay(true).unwrap();
    for (number, body) in bodies.iter().enumerate() {
        let request = format!(
            "POST / HTTP/1.1\r\nHost: {to}\r\nContent-Type: application/logplex-1\r\nLogplex-Msg-Count: {LINES}\r\n\
             Logplex-Frame-Id: {round:x}-{number:x}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        loop {
            connection.write_all(request.as_bytes()).unwrap();
            match answer(&mut connection) {
                204 => break,
                503 => std::thread::sleep(AGAIN),
                other => panic!("the drain answered {other}"),
            }
        }
    }
}

/// The status of an answer without a body.
fn answer(connection: &mut TcpStream) -> u16 {
    let mut head = Vec::new();
    let mut piece = [0; 1_024];
    while !head.ends_with(b"\r\n\r\n") {
        let count = connection.read(&mut piece).unwrap();
        assert!(count > 0, "the drain hung up");
        head.extend_from_slice(&piece[..count]);
    }
    std::str::from_utf8(&head[9..12]).unwrap().parse().unwrap()
}
