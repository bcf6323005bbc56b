//! Logs of other programs, from files and standard input, on a machine where nothing is configured.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::Thread;

use serde_json::Value;

use crate::support::Patience;
use crate::{Ran, directory, run_in};

const APPLINK: &str = include_str!("../../src/logs/parse/samples/applink.log");

pub fn logs(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_syncdeck"));
    for name in ["HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"] {
        command.env(name, dir);
    }
    command.arg("logs").args(args).current_dir(dir).stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// Runs it on what is piped to it.
fn piped(dir: &Path, args: &[&str], bytes: &[u8]) -> Ran {
    let mut child = logs(dir, args).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&bytes).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { status: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

fn records(ran: &Ran) -> Vec<Value> {
    ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn messages(ran: &Ran) -> Vec<String> {
    records(ran).iter().map(|record| record["message"].as_str().unwrap().to_owned()).collect()
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

pub fn write(dir: &Path, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn a_request_of_applink_is_read_from_standard_input_and_filtered_by_any_field() {
    let dir = directory();
    let all = piped(&dir, &["-", "--json"], APPLINK.as_bytes());
    assert!(all.status == 0 && all.err.is_empty(), "{all:?}");
    let found = records(&all);
    assert_eq!(found.len(), 14);
    for record in &found {
        let request = "00Dbc0000000000000-f2f3ed60-2dbd-4edd-b707-9dee97d89c7c";
        assert_eq!((&record["level"], &record["fields"]["request_id"]), (&"info".into(), &request.into()));
    }
    for (filter, count) in [
        ("status:200", 3),
        ("org_id:00Dbc0000000000000", 14),
        ("source:heroku service:267", 1),
        ("level:warn", 0),
        ("-dyno:router accounts", 6),
    ] {
        let some = piped(&dir, &["-", "--json", "--where", filter], APPLINK.as_bytes());
        assert_eq!(records(&some).len(), count, "{filter}");
    }
    let newest = piped(&dir, &["-", "-n", "2"], APPLINK.as_bytes());
    let lines: Vec<&str> = newest.out.lines().collect();
    assert!(
        lines.len() == 2 && lines[0].starts_with("2024-10-28T16:02:15.482Z INFO  web.1    request completed")
    );
    assert!(lines[1].contains(" router   GET /accounts method=GET path=/accounts"), "{newest:?}");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn hostile_lines_are_shown_and_do_nothing() {
    let dir = directory();
    let shown =
        piped(&dir, &["-"], b"\x1b]52;c;aGk=\x07 a\0b\xff\r\n{\"msg\":\"\\u001b[2J\",\"level\":50}\nhalf");
    let texts: Vec<&str> = shown.out.lines().map(|line| &line[25..]).collect();
    assert_eq!(
        texts,
        [
            "INFO  -        \\e]52;c;aGk=\\u{7} a\\u{0}b\u{fffd}",
            "ERROR -        \\e[2J",
            "INFO  -        half"
        ]
    );
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn files_also_compressed_ones_are_read_in_the_order_of_their_times() {
    let dir = directory();
    let old = "2024-10-28 01:00:01 first\n2024-10-28 01:00:03 third\n";
    let new = "2024-10-28 01:00:02 second\n2024-10-28 01:00:04 fourth\n";
    write(&dir, "app.log.1.gz", [packed(old.as_bytes()), packed(b"2024-10-28 01:00:05 fifth\n")].concat());
    write(&dir, "app.log", new);
    let both = run_in(&dir, &["logs", "app.log", "app.log.1.gz", "--json"]);
    assert_eq!(messages(&both), ["first", "second", "third", "fourth", "fifth"]);
    let told: Vec<Value> = records(&both).iter().map(|record| record["dyno"].clone()).collect();
    assert_eq!(told[..2], ["app.log.1.gz", "app.log"]);
    let newest = run_in(&dir, &["logs", "app.log", "app.log.1.gz", "--json", "-n", "2"]);
    assert_eq!(messages(&newest), ["fourth", "fifth"]);

    let whole = packed(APPLINK.as_bytes());
    write(&dir, "half.gz", &whole[..whole.len() / 2]);
    let half = run_in(&dir, &["logs", "half.gz"]);
    assert!(half.status == 1 && half.err.contains("cannot read half.gz any further"), "{half:?}");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn times_without_a_zone_are_in_utc_or_in_the_zone_that_is_told() {
    let dir = directory();
    // The hour that is there twice, and the one that is not there.
    let walls = ["2024-10-27 02:30:00", "2024-10-27 02:59:00", "2024-10-27 02:05:00", "2024-03-31 02:30:00"];
    write(&dir, "app.log", walls.map(|wall| format!("{wall} x\n")).concat());
    let berlin =
        ["2024-10-27T00:30:00Z", "2024-10-27T00:59:00Z", "2024-10-27T01:05:00Z", "2024-03-31T01:30:00Z"];
    let utc = walls.map(|wall| wall.replace(' ', "T") + "Z");
    for (zone, times) in [("utc", utc.each_ref().map(String::as_str)), ("local", berlin)] {
        let output = logs(&dir, &["app.log", "--json", "--zone", zone])
            .env("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
            .output()
            .unwrap();
        let ran = Ran { status: 0, out: String::from_utf8(output.stdout).unwrap(), err: String::new() };
        let told: Vec<Value> = records(&ran).iter().map(|record| record["time"].clone()).collect();
        assert_eq!(told, times, "{zone}");
    }
    let offset = run_in(&dir, &["logs", "app.log", "--json", "--zone", "+05:30"]);
    assert_eq!(records(&offset)[0]["time"], "2024-10-26T21:00:00Z");
    let wrong = run_in(&dir, &["logs", "app.log", "--zone", "Berlin"]);
    assert!(wrong.status == 2 && wrong.err.contains("TZ=Europe/Berlin"), "{wrong:?}");
    let alone = run_in(&dir, &["logs", "--zone", "utc"]);
    assert!(alone.status == 2 && alone.err.contains("<FILE>"), "{alone:?}");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn what_cannot_be_read_is_refused_by_name_with_the_remedy() {
    let dir = directory();
    write(&dir, "app.log", APPLINK);
    std::fs::create_dir(dir.join("logs")).unwrap();
    for (args, says) in [
        (
            vec!["logs", "app.log", "ap.log"],
            "there is no file ap.log\n  give the path of a log, or - for standard input",
        ),
        (vec!["logs", "logs"], "logs is a directory\n  give the files in it, for example logs/*.log"),
        (vec!["logs", "app.log", "--where", "level:loud"], "level:loud: use debug, info, warn or error"),
    ] {
        let refused = run_in(&dir, &args);
        assert!(refused.status == 2 && refused.err.contains(says) && refused.out.is_empty(), "{refused:?}");
    }
    let closed = write(&dir, "closed.log", "x");
    std::fs::set_permissions(&closed, Permissions::from_mode(0o0)).unwrap();
    // Nothing is closed to root.
    if File::open(&closed).is_err() {
        let refused = run_in(&dir, &["logs", "closed.log"]);
        assert!(
            refused.status == 2 && refused.err.contains("you may not read closed.log\n  read it as"),
            "{refused:?}"
        );
    }
    std::fs::remove_dir_all(dir).unwrap();
}

/// The program while it follows.
pub struct Following {
    child: Child,
    lines: Receiver<String>,
    /// Whether nothing is to be read of what it prints.
    held: Arc<AtomicBool>,
    reader: Thread,
}

impl Following {
    pub fn start(mut command: Command) -> Following {
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        let held = Arc::new(AtomicBool::new(false));
        let is_held = held.clone();
        let reader = std::thread::spawn(move || {
            out.lines().map_while(Result::ok).try_for_each(|line| {
                while is_held.load(Ordering::Relaxed) {
                    std::thread::park();
                }
                sender.send(line)
            })
        });
        Following { child, lines, held, reader: reader.thread().clone() }
    }

    /// Reads nothing of what it prints any more, so that its pipe fills.
    pub fn hold(&self) {
        self.held.store(true, Ordering::Relaxed);
    }

    /// Reads again.
    pub fn go_on(&self) {
        self.held.store(false, Ordering::Relaxed);
        self.reader.unpark();
    }

    /// The message of the next line.
    fn next(&self) -> String {
        self.record()["message"].as_str().unwrap().to_owned()
    }

    /// The next record.
    pub fn record(&self) -> Value {
        let patience = Patience::new();
        loop {
            match self.lines.recv_timeout(std::time::Duration::from_millis(50)) {
                Ok(line) => return serde_json::from_str(&line).unwrap(),
                Err(_) => assert!(!patience.is_over(), "no line came"),
            }
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_file_is_followed_through_rotation_and_when_it_is_cut_short() {
    let dir = directory();
    let path = write(&dir, "app.log", "zero\none\ntwo\n");
    let following = Following::start(logs(&dir, &["app.log", "-f", "-n", "2", "--json"]));
    assert_eq!([following.next(), following.next()], ["one", "two"]);
    let append =
        |text: &str| OpenOptions::new().append(true).open(&path).unwrap().write_all(text.as_bytes()).unwrap();
    // A line may come in parts, at any pace; what goes on an entry must follow it at once.
    append("Error: no org\n    at sync (/app/index.js:10:5)\nfo");
    append("ur\n");
    assert_eq!(following.next(), "Error: no org\n    at sync (/app/index.js:10:5)");
    assert_eq!(following.next(), "four");

    // What is written to the old file last, without a line end, is not lost.
    append("five");
    let moved = dir.join("app.log.1");
    std::fs::rename(&path, &moved).unwrap();
    OpenOptions::new().append(true).open(&moved).unwrap().write_all(b" and more").unwrap();
    write(&dir, "app.log", "six\nseven\n");
    assert_eq!(following.next(), "five and more");
    assert!(following.next().starts_with("the file was rotated"));
    assert_eq!([following.next(), following.next()], ["six", "seven"]);

    std::fs::write(&path, "8\n").unwrap();
    assert!(following.next().starts_with("the file was cut short"));
    assert_eq!(following.next(), "8");
    drop(following);
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn standard_input_is_shown_as_it_comes_and_ends_with_it() {
    let dir = directory();
    let mut command = logs(&dir, &["-", "--json"]);
    command.stdin(Stdio::piped());
    let mut following = Following::start(command);
    let mut stdin = following.child.stdin.take().unwrap();
    for word in ["one", "two"] {
        stdin.write_all(format!("{word}\n").as_bytes()).unwrap();
        assert_eq!(following.next(), word);
    }
    stdin.write_all(b"three").unwrap();
    drop(stdin);
    assert_eq!(following.next(), "three");
    assert_eq!(following.child.wait().unwrap().code(), Some(0));
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_reader_that_leaves_ends_it() {
    let dir = directory();
    write(&dir, "app.log", APPLINK.repeat(2_000));
    let mut child = logs(&dir, &["app.log"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 24];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    assert_eq!(&first, b"2024-10-28T16:02:15.215Z");
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success() && ended.stderr.is_empty(), "{ended:?}");
    std::fs::remove_dir_all(dir).unwrap();
}
