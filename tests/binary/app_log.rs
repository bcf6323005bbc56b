//! An app's log at Heroku is followed by sessions that end, break and are refused, without a line lost or told twice.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::heroku_api::{APP, Heroku, KEY};
use crate::logs::{Following, logs};
use crate::support::Patience;
use crate::{CONFIG, Ran, config, directory};

struct Setting {
    dir: PathBuf,
    path: String,
    heroku: Heroku,
    /// The stand-in lives in it.
    _runtime: tokio::runtime::Runtime,
}

impl Setting {
    fn new(app: &str, renew: &str) -> Setting {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let heroku = runtime.block_on(Heroku::start());
        let dir = directory();
        let source = format!(
            "[[log.source]]\nname = \"shop\"\nkind = \"heroku\"\napp = \"{app}\"\nfrom = \"app\"\napi_url = \"{}\"\nrenew = \"{renew}\"\n",
            heroku.url()
        );
        let path = config(&dir, &format!("{CONFIG}{source}"), 0o600);
        Setting { dir, path, heroku, _runtime: runtime }
    }

    fn command(&self, key: &str, args: &[&str]) -> std::process::Command {
        let mut command =
            logs(Path::new(&self.dir), &[&["--config", &self.path, "--source", "shop"], args].concat());
        command.env("HEROKU_API_KEY", key);
        command
    }

    fn run(&self, key: &str, args: &[&str]) -> Ran {
        let output = self.command(key, args).stderr(std::process::Stdio::piped()).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran { status: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    fn follow(&self) -> Following {
        Following::start(self.command(KEY, &["-f", "--json"]))
    }

    /// Waits until a session is open: without history, nobody hears what is written before.
    fn until_open(&self) {
        let patience = Patience::new();
        while self.heroku.open() == 0 {
            assert!(!patience.is_over(), "no session was opened");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Waits until the stand-in was asked for so many sessions.
    fn until_created(&self, sessions: usize) {
        let patience = Patience::new();
        while self.heroku.created() < sessions {
            assert!(!patience.is_over(), "{} sessions of {sessions}", self.heroku.created());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// The next message that is none of the source about itself.
fn next(following: &Following) -> String {
    loop {
        let record = following.record();
        assert_eq!(record["source"], "shop");
        if record["dyno"] != "heroku" {
            return record["message"].as_str().unwrap().to_owned();
        }
    }
}

#[test]
fn sessions_are_renewed_without_a_line_lost_or_told_twice() {
    let setting = Setting::new(APP, "300ms");
    setting.heroku.write("app[web.1]: before");
    let following = setting.follow();
    assert_eq!(next(&following), "before");
    let mut line = 0;
    for sessions in [2, 4, 6] {
        while setting.heroku.created() < sessions {
            setting.heroku.write(&format!("app[web.1]: line {line}"));
            assert_eq!(next(&following), format!("line {line}"));
            line += 1;
        }
    }
    let asked = setting.heroku.asked();
    assert_eq!(asked[0], json!({"lines": 100, "tail": true, "source": "app"}));
    assert_eq!(asked[1], json!({"lines": 1500, "tail": true, "source": "app"}));
}

#[test]
fn an_app_without_history_is_followed_over_renewals_without_a_gap() {
    // Two sessions are followed side by side for half of that: what the old one has comes within it.
    let setting = Setting::new(APP, "6s");
    setting.heroku.is_fir();
    let following = setting.follow();
    setting.until_open();
    let mut line = 0;
    while setting.heroku.created() < 4 {
        setting.heroku.write(&format!("app[web-1b2c3d]: line {line}"));
        let record = following.record();
        assert_eq!(record["message"], format!("line {line}"), "{record}");
        line += 1;
    }
    assert_eq!(setting.heroku.asked()[0], json!({"source": "app"}));
}

#[test]
fn what_an_app_without_history_writes_while_nobody_listens_is_lost_and_that_is_told() {
    let setting = Setting::new(APP, "10m");
    setting.heroku.is_fir();
    let following = setting.follow();
    setting.until_open();
    setting.heroku.write("app[web-1b2c3d]: line 0");
    assert_eq!(following.record()["message"], "line 0");
    setting.heroku.cut_before(&["app[web-1b2c3d]: unheard"]);
    let mut told = std::iter::repeat_with(|| following.record()["message"].as_str().unwrap().to_owned());
    assert!(told.next().unwrap().starts_with("acme-shop: the log's stream broke"));
    assert_eq!(told.next().unwrap(), "the source works again");
    setting.heroku.write("app[web-1b2c3d]: heard again");
    assert!(told.next().unwrap().starts_with("lines may be missing here"));
    assert_eq!(told.next().unwrap(), "heard again");
}

#[test]
fn an_app_without_history_is_read_until_nothing_comes() {
    let setting = Setting::new(APP, "10m");
    setting.heroku.is_fir();
    let read = setting.run(KEY, &["--json"]);
    assert_eq!((read.status, read.out.as_str()), (0, ""), "{read:?}");
}

#[test]
fn a_stream_that_is_cut_is_told_and_goes_on_where_it_was() {
    let setting = Setting::new(APP, "10m");
    for text in ["app[web.1]: one", "app[web.1]: two"] {
        setting.heroku.write(text);
    }
    let following = setting.follow();
    assert_eq!([next(&following), next(&following)], ["one", "two"]);
    setting.heroku.refuse(503, 1);
    setting.heroku.cut();
    setting.heroku.write("app[web.1]: while it was away");
    let told = [following.record(), following.record(), following.record()];
    let said: Vec<&str> = told.iter().map(|record| record["message"].as_str().unwrap()).collect();
    assert!(said[0].starts_with("acme-shop: the log's stream broke: "), "{said:?}");
    assert!(said[1].starts_with("acme-shop: Heroku answers 503"), "{said:?}");
    assert_eq!(
        (said[2], &told[0]["level"], &told[2]["level"]),
        ("the source works again", &"warn".into(), &"info".into())
    );
    assert_eq!(next(&following), "while it was away");

    // What Logplex forgot meanwhile is told as a gap.
    setting.heroku.refuse(429, 1);
    setting.heroku.keep(1);
    setting.heroku.cut_before(&["app[web.1]: forgotten", "app[web.1]: kept"]);
    let gap = loop {
        let record = following.record();
        let message = record["message"].as_str().unwrap().to_owned();
        assert!(message != "kept" && message != "forgotten", "there is no gap before it");
        if message.starts_with("lines may be missing here") {
            break record;
        }
    };
    assert_eq!((&gap["source"], &gap["level"]), (&"shop".into(), &"warn".into()));
    assert_eq!(next(&following), "kept");
    setting.until_created(3);
    // Lines that Logplex itself lost are counted.
    setting.heroku.write("heroku[logplex]: Error L10 (output buffer overflow): 500 messages dropped since 2024-10-28T16:02:15+00:00.");
    let lost = following.record();
    assert_eq!((&lost["fields"]["dropped"], &lost["fields"]["code"]), (&500.into(), &"L10".into()), "{lost}");
}

#[test]
fn what_is_there_is_read_once_and_what_is_refused_is_told_without_the_key() {
    let setting = Setting::new(APP, "10m");
    setting.heroku.write("app[web.1]: one");
    setting.heroku.write("heroku[router]: at=info method=GET path=\"/\" host=a status=200");
    let read = setting.run(KEY, &["--json"]);
    assert_eq!((read.status, read.out.lines().count()), (0, 2), "{read:?}");
    assert_eq!(setting.run(KEY, &["--check"]).out, "shop (heroku): works\n");
    let refused = setting.run("HRKU-wrong", &["--check"]);
    assert!(
        refused.status == 1 && refused.out.contains("acme-shop: the API key is refused; set HEROKU_API_KEY"),
        "{refused:?}"
    );
    let wrong = Setting::new("other", "10m");
    let absent = wrong.run(KEY, &["--check"]);
    assert!(absent.out.contains("there is no app other; correct app"), "{absent:?}");
    for ran in [read, refused, absent] {
        assert!(
            !ran.out.contains("HRKU") && !ran.err.contains("HRKU") && !ran.out.contains("secret="),
            "{ran:?}"
        );
    }
}

#[test]
fn hostile_bytes_in_a_stream_spoil_no_other_line() {
    let setting = Setting::new(APP, "10m");
    let long = "y".repeat((1 << 20) - 100);
    for text in
        ["app[web.1]: a\0b \u{1b}[2J", &format!("app[web.1]: {long}"), "no \u{1f} head", "app[web.1]: after"]
    {
        setting.heroku.write(text);
    }
    let following = setting.follow();
    assert_eq!(next(&following), "a\0b \u{1b}[2J");
    assert_eq!(next(&following).len(), long.len());
    assert_eq!(next(&following), "no \u{1f} head");
    assert_eq!(next(&following), "after");
}
