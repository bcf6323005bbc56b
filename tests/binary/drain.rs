//! A drain: what Heroku's log router sends is taken in once, or the router is told to come again.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::net::TcpSocket;

use crate::directory;
use crate::logs::Following;
use crate::sources::{command, configured, next};
use crate::support::Patience;

/// How long lines are sent under load, in seconds: `DRAIN_SECONDS=60 cargo test --test binary drain`.
fn seconds() -> u64 {
    std::env::var("DRAIN_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(3)
}

/// The program that follows a drain named `lines`, and its port.
struct Drain {
    dir: PathBuf,
    port: u16,
    following: Following,
    /// Holds the port without listening there: until the program does, and while it does, nobody else is given it.
    _held: TcpSocket,
}

impl Drain {
    /// With these further keys of the source, and this in the environment.
    fn start(keys: &str, env: &[(&str, &str)]) -> Drain {
        let dir = directory();
        let held = TcpSocket::new_v4().unwrap();
        held.set_reuseaddr(true).unwrap();
        held.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let port = held.local_addr().unwrap().port();
        let source =
            format!("[[log.source]]\nname = \"lines\"\nkind = \"drain\"\nlisten = \"{port}\"\n{keys}");
        let path = configured(&dir, &source);
        let mut command = command(Path::new(&dir), &path, &["-f", "--source", "lines", "--json"]);
        command.envs(env.iter().copied()).stdin(Stdio::null());
        let following = Following::start(command);
        let patience = Patience::new();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(!patience.is_over(), "nobody listens");
        }
        Drain { dir, port, following, _held: held }
    }

    /// Sends a request that has a name until it is taken in: a slow reader has it sent again.
    fn post_until_taken(&self, headers: &str, body: &[u8]) {
        let patience = Patience::new();
        loop {
            match self.post(headers, body) {
                204 => return,
                answer => assert!(answer == 503 && !patience.is_over(), "{answer}"),
            }
        }
    }

    fn post(&self, headers: &str, body: impl AsRef<[u8]>) -> u16 {
        post(self.port, headers, body.as_ref())
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Sends a request.
fn send(port: u16, headers: &str, body: &[u8]) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    let length = body.len();
    let head = format!(
        "POST /logs HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
    );
    stream.write_all(&[head.as_bytes(), body].concat())?;
    Ok(stream)
}

/// Sends a request, and reads the status of its answer; 0 while nobody listens.
fn post(port: u16, headers: &str, body: &[u8]) -> u16 {
    let Ok(mut stream) = send(port, headers, body) else { return 0 };
    let mut answer = String::new();
    // An answer that comes before the body was read may be followed by a reset.
    let _ = stream.read_to_string(&mut answer);
    answer.split(' ').nth(1).map_or(0, |status| status.parse().unwrap())
}

fn frame(text: &str) -> String {
    let message = format!("<190>1 2024-10-28T16:02:15.215250+00:00 host app web.1 - {text}\n");
    format!("{} {message}", message.len())
}

#[test]
fn what_is_proved_is_taken_once_and_what_is_missing_is_told() {
    let drain = Drain::start("user = \"logplex\"\npassword_env = \"DRAIN\"\n", &[("DRAIN", "sesame")]);
    // `logplex:sesame`
    let login = "Authorization: Basic bG9ncGxleDpzZXNhbWU=\r\n";
    assert_eq!(drain.post("", ""), 401);
    assert_eq!(drain.post("Authorization: Basic bG9ncGxleDpzZXNhbTE=\r\n", frame("forged")), 401);
    let two = frame("one") + &frame("two");
    let named = format!("{login}Logplex-Frame-Id: 17\r\nLogplex-Msg-Count: 2\r\n");
    drain.post_until_taken(&named, two.as_bytes());
    assert_eq!(drain.post(&named, &two), 204);
    assert_eq!(next(&drain.following), ["lines", "web.1", "one"]);
    assert_eq!(next(&drain.following), ["lines", "web.1", "two"]);
    let counted = format!("{login}Logplex-Msg-Count: 4\r\n");
    assert_eq!(drain.post(&counted, frame("three") + "99 half"), 204);
    assert_eq!(next(&drain.following)[2], "three");
    assert_eq!(next(&drain.following)[2], "99 half");
    let gap = drain.following.record();
    assert_eq!((&gap["level"], &gap["fields"]["dropped"]), (&"warn".into(), &3.into()), "{gap}");
}

#[test]
fn a_request_is_answered_when_its_lines_were_taken_in_and_else_told_to_come_again() {
    let drain = Drain::start("", &[]);
    // Nobody takes lines while the program that prints them is stopped by a full pipe.
    drain.following.hold();
    let many = frame(&"x".repeat(64)).repeat(5_000);
    let named = |number: usize| format!("Logplex-Frame-Id: {number}\r\n");
    let patience = Patience::new();
    let mut number = 0;
    while drain.post(&named(number), &many) == 204 {
        number += 1;
        assert!(!patience.is_over(), "it never answered 503");
    }
    drain.following.go_on();
    drain.post_until_taken(&named(number), many.as_bytes());
    for _ in 0..(number + 1) * 5_000 {
        assert_eq!(drain.following.record()["message"].as_str().unwrap().len(), 64);
    }
    // Nothing of it was told twice.
    assert_eq!(drain.post("", frame("the next one")), 204);
    assert_eq!(next(&drain.following)[2], "the next one");
}

#[test]
fn hostile_bytes_in_a_frame_spoil_no_other() {
    let drain = Drain::start("", &[]);
    let long = "y".repeat(1 << 20);
    let mut body = Vec::new();
    for text in ["a\0b \x1b[2J", &long, "{\"msg\":\"\\u0000\"}", "200000 <", "after"] {
        body.extend_from_slice(frame(text).as_bytes());
    }
    let raw: [&[u8]; 3] = [b"4 \xff\xfe\0\n", b"1 \n", b"13 <190>1 broken"];
    raw.iter().for_each(|frame| body.extend_from_slice(frame));
    assert_eq!(drain.post("", [&body[..], frame("the last").as_bytes(), b"9999 half a fra"].concat()), 204);
    let told: Vec<String> = (0..10).map(|_| next(&drain.following)[2].clone()).collect();
    assert_eq!(told[0], "a\0b \x1b[2J");
    assert_eq!(told[1].len(), 1 << 20);
    assert_eq!(told[2..5], ["\0", "200000 <", "after"]);
    assert_eq!(told[5..], ["\u{fffd}\u{fffd}\0", "", "<190>1 broken", "the last", "9999 half a fra"]);
    assert_eq!(drain.post("Content-Type: nothing\r\n", b"\0\0\0"), 204);
    assert_eq!(next(&drain.following)[2], "\0\0\0");
}

/// Two senders, a reader that stops now and then, answers that nobody waits for: each line that was answered with 204
/// comes once.
#[test]
fn no_line_is_lost_or_doubled_under_load() {
    const LINES: usize = 250;
    let drain = Drain::start("", &[]);
    let (over, requests) = (AtomicBool::new(false), AtomicUsize::new(0));
    let senders = || {
        while !over.load(Ordering::Relaxed) {
            let request = requests.fetch_add(1, Ordering::Relaxed);
            let lines =
                (0..LINES).map(|at| frame(&format!("level=info msg=line n={}", request * LINES + at)));
            let body: String = lines.collect();
            let headers = format!("Logplex-Frame-Id: {request:032x}\r\nLogplex-Msg-Count: {LINES}\r\n");
            if request % 7 == 3 {
                // One that hangs up before it is answered sends again.
                drop(send(drain.port, &headers, body.as_bytes()));
            }
            let patience = Patience::new();
            while post(drain.port, &headers, body.as_bytes()) != 204 {
                assert!(!patience.is_over(), "request {request} was never taken in");
            }
        }
    };
    let mut told: Vec<u32> = Vec::new();
    let mut count = |record: serde_json::Value| {
        let n = record["fields"]["n"].as_u64().unwrap_or_else(|| panic!("{record}"));
        let n = usize::try_from(n).unwrap();
        told.resize(told.len().max(n + 1), 0);
        told[n] += 1;
    };
    std::thread::scope(|scope| {
        let handles = [(); 2].map(|()| scope.spawn(senders));
        let end = Instant::now() + Duration::from_secs(seconds());
        let mut round = 0;
        while Instant::now() < end {
            round += 1;
            if round % 20_000 == 0 {
                drain.following.hold();
                std::thread::sleep(Duration::from_millis(300));
                drain.following.go_on();
            }
            count(drain.following.record());
        }
        over.store(true, Ordering::Relaxed);
        handles.into_iter().for_each(|sender| sender.join().unwrap());
    });
    assert_eq!(drain.post("", frame("level=info msg=end end=1")), 204);
    loop {
        let record = drain.following.record();
        if record["message"] == "end" {
            break;
        }
        count(record);
    }
    let sent = requests.load(Ordering::Relaxed) * LINES;
    let wrong: Vec<(usize, &u32)> =
        told.iter().enumerate().filter(|(_, times)| **times != 1).take(5).collect();
    assert_eq!((told.len(), wrong), (sent, Vec::new()));
}
