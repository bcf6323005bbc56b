//! Sources of the configuration: followed, told by name, tried.

use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::logs::{Following, logs, write};
use crate::{CONFIG, config, directory, run_in};

/// A configuration with these sources.
pub fn configured(dir: &Path, sources: &str) -> String {
    config(dir, &format!("{CONFIG}{sources}"), 0o600)
}

pub fn command(dir: &Path, path: &str, args: &[&str]) -> Command {
    logs(dir, &[&["--config", path], args].concat())
}

/// The next record as its source, its part and its message.
pub fn next(following: &Following) -> [String; 3] {
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
