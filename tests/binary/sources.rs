//! Sources of the configuration: followed, told by name, tried.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::logs::{Following, logs, write};
use crate::support::Patience;
use crate::{CONFIG, config, directory, run_in};

/// A configuration with these sources.
fn configured(dir: &Path, sources: &str) -> String {
    config(dir, &format!("{CONFIG}{sources}"), 0o600)
}

fn command(dir: &Path, path: &str, args: &[&str]) -> Command {
    logs(dir, &[&["--config", path], args].concat())
}

/// The next record as its source, its part and its message.
fn next(following: &Following) -> [String; 3] {
    let record = following.record();
    ["source", "dyno", "message"].map(|key| record[key].as_str().unwrap().to_owned())
}

fn append(path: &Path, text: &str) {
    std::fs::OpenOptions::new().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

#[test]
fn a_file_is_told_by_its_sources_name_through_rotation_and_from_when_it_appears() {
    let dir = directory();
    let app = write(&dir, "app.log", "zero\none\ntwo\n");
    let late = dir.join("late.log");
    let path = configured(
        &dir,
        "[[log.source]]\nname = \"shop\"\nkind = \"file\"\npath = \"app.log\"\n\
         [[log.source]]\nname = \"late\"\nkind = \"file\"\npath = \"late.log\"\n",
    );
    let only = ["-f", "--source", "shop", "--source", "late", "--json", "-n", "4"];
    let following = Following::start(command(&dir, &path, &only));
    let mut begun = [(); 4].map(|()| next(&following));
    begun.sort();
    assert_eq!(begun[0][..2], ["late", "file"]);
    assert!(begun[0][2].starts_with("there is no file late.log; "), "{begun:?}");
    assert_eq!(begun[1..], ["one", "two", "zero"].map(|line| ["shop", "app.log", line]));

    append(&app, "three\n");
    assert_eq!(next(&following), ["shop", "app.log", "three"]);
    std::fs::rename(&app, dir.join("app.log.1")).unwrap();
    append(&dir.join("app.log.1"), "four");
    write(&dir, "app.log", "five\n");
    assert_eq!(next(&following)[2], "four");
    assert!(next(&following)[2].starts_with("the file was rotated"));
    assert_eq!(next(&following), ["shop", "app.log", "five"]);

    // All of a file that was not there is new.
    std::fs::write(&late, "2024-10-28T16:02:15.215250+00:00 heroku[router]: six\n").unwrap();
    assert_eq!(next(&following), ["late", "file", "the source works again"]);
    let record = following.record();
    assert_eq!(
        (&record["source"], &record["dyno"], &record["fields"]["from"]),
        (&"late".into(), &"router".into(), &"heroku".into())
    );
    drop(following);
    let text = run_in(&dir, &["--config", &path, "logs", "--source", "late"]);
    assert_eq!(text.out, "2024-10-28T16:02:15.215Z INFO  late[router] six from=heroku\n", "{text:?}");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn sources_are_tried_once_and_unknown_ones_refused() {
    let dir = directory();
    write(&dir, "app.log", "one\n");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap();
    let path = configured(
        &dir,
        &format!(
            "[[log.source]]\nname = \"good\"\nkind = \"file\"\npath = \"app.log\"\n\
             [[log.source]]\nname = \"gone\"\nkind = \"file\"\npath = \"gone.log\"\n\
             [[log.source]]\nname = \"lines\"\nkind = \"drain\"\nlisten = \"{at}\"\n\
             [[log.source]]\nname = \"app\"\nkind = \"heroku\"\napp = \"acme\"\napi_key_env = \"NO_SUCH_KEY\"\n"
        ),
    );
    let all = run_in(&dir, &["--config", &path, "logs", "--check"]);
    let lines: Vec<&str> = all.out.lines().collect();
    assert_eq!((all.status, lines.len(), lines[0]), (1, 4, "good (file): works"), "{all:?}");
    assert_eq!(
        lines[1],
        "gone (file): fails: there is no file gone.log; correct path, or start what writes it"
    );
    assert!(lines[2].starts_with(&format!("lines (drain): fails: cannot listen on {at}")), "{all:?}");
    assert!(lines[3].contains("the environment variable NO_SUCH_KEY is not set; set it to"), "{all:?}");
    let good = run_in(&dir, &["--config", &path, "logs", "--check", "--source", "good", "--json"]);
    assert_eq!((good.status, &good.json()[0]["works"]), (0, &Value::Bool(true)), "{good:?}");
    let unknown = run_in(&dir, &["--config", &path, "logs", "--source", "shop"]);
    assert!(
        unknown.status == 2 && unknown.err.contains("use one of syncdeck, good, gone, lines, app"),
        "{unknown:?}"
    );
    std::fs::remove_dir_all(dir).unwrap();
}

/// Sends a request, and reads the status of its answer; 0 while nobody listens.
fn post(port: u16, headers: &str, body: &str) -> u16 {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return 0 };
    let length = body.len();
    let request = format!(
        "POST /logs HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
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
fn a_drain_takes_what_is_proved_once_tells_what_is_missing_and_answers_503_when_nobody_reads() {
    let dir = directory();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let path = configured(
        &dir,
        &format!(
            "[[log.source]]\nname = \"lines\"\nkind = \"drain\"\nlisten = \"{port}\"\nuser = \"logplex\"\npassword_env = \"DRAIN\"\n"
        ),
    );
    let mut command = command(&dir, &path, &["-f", "--source", "lines", "--json"]);
    command.env("DRAIN", "sesame").stdin(Stdio::null());
    // `logplex:sesame`
    let login = "Authorization: Basic bG9ncGxleDpzZXNhbWU=\r\n";
    let following = Following::start(command);
    let patience = Patience::new();
    while post(port, "", "") != 401 {
        assert!(!patience.is_over(), "nobody listens");
    }
    assert_eq!(post(port, "Authorization: Basic bG9ncGxleDpzZXNhbTE=\r\n", &frame("forged")), 401);
    let two = frame("one") + &frame("two");
    let named = format!("{login}Logplex-Frame-Id: 17\r\nLogplex-Msg-Count: 2\r\n");
    assert_eq!((post(port, &named, &two), post(port, &named, &two)), (204, 204));
    assert_eq!(next(&following), ["lines", "web.1", "one"]);
    assert_eq!(next(&following), ["lines", "web.1", "two"]);
    assert_eq!(post(port, &format!("{login}Logplex-Msg-Count: 4\r\n"), &(frame("three") + "99 half")), 204);
    assert_eq!(next(&following)[2], "three");
    assert_eq!(next(&following)[2], "99 half");
    let gap = following.record();
    assert_eq!((&gap["level"], &gap["fields"]["dropped"]), (&"warn".into(), &3.into()), "{gap}");

    // Nobody takes lines while the program that prints them is stopped by a full pipe: the room ends, and nothing is lost.
    following.hold();
    let many = frame(&"x".repeat(64)).repeat(5_000);
    let mut taken = 0;
    let patience = Patience::new();
    while post(port, login, &many) == 204 {
        taken += 1;
        assert!(!patience.is_over(), "it never answered 503");
    }
    following.go_on();
    for _ in 0..taken * 5_000 {
        assert_eq!(following.record()["dyno"], "web.1");
    }
    drop(following);
    std::fs::remove_dir_all(dir).unwrap();
}
