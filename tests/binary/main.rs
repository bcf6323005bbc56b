//! The program as scripts use it: what it prints, on which stream, and how it exits.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]
#![allow(clippy::disallowed_macros, reason = "a test says what it skips")]

mod adopt;
mod app_log;
mod attached;
mod configuration;
mod connect_api;
mod docs;
mod drain;
mod heroku_api;
mod heroku_connect;
mod heroku_demo;
mod house;
mod logs;
mod manual;
mod rules;
mod simulator;
mod sources;
#[allow(dead_code, reason = "each way of testing uses its part of what is shared")]
#[path = "../support/mod.rs"]
mod support;

use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use support::Patience;

/// What a run of the program printed.
#[derive(Debug)]
struct Ran {
    status: i32,
    out: String,
    err: String,
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

fn run(args: &[&str]) -> Ran {
    run_in(Path::new("."), args)
}

/// Runs it in a directory that is the user's home as well.
fn run_in(dir: &Path, args: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_syncdeck"));
    for name in ["HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"] {
        command.env(name, dir);
    }
    command.env("COLUMNS", "80");
    let output = command.args(args).current_dir(dir).stdin(Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { status: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

/// A pipe that nobody reads.
fn unread() -> std::io::PipeWriter {
    std::io::pipe().unwrap().1
}

fn directory() -> PathBuf {
    let dir = tempfile::Builder::new().prefix("syncdeck-bin-").tempdir_in("/tmp").unwrap().keep();
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o711)).unwrap();
    dir
}

fn config(dir: &Path, text: &str, mode: u32) -> String {
    let path = dir.join("syncdeck.toml");
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    // The mode above counts only for a new file.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    path.to_str().unwrap().to_owned()
}

const CONFIG: &str = "[connection]\nname = \"acme\"\n[postgres]\nurl = \"postgresql://u@127.0.0.1:9/d\"\n[salesforce]\n\
    login_url = \"http://127.0.0.1:9\"\nclient_id = \"i\"\nclient_secret = \"hush\"\n[[mapping]]\nobject = \"Contact\"\nfields = [\"LastName\"]\n";

#[test]
fn bad_input_is_refused_by_name_with_the_remedy_and_status_two() {
    let dir = directory();
    let missing = run(&["--config", "/nowhere/syncdeck.toml", "status"]);
    assert_eq!(missing.status, 2);
    assert!(
        missing.err.contains("there is no configuration /nowhere/syncdeck.toml")
            && missing.err.contains("syncdeck init --config /nowhere/syncdeck.toml"),
        "{missing:?}"
    );
    let path = config(&dir, &CONFIG.replace("[\"LastName\"]", "[]"), 0o600);
    let wrong = run(&["--config", &path, "run"]);
    assert_eq!((wrong.status, wrong.out.as_str()), (2, ""));
    assert!(wrong.err.contains(&format!("{path}:11: mapping.fields: is empty")), "{wrong:?}");
    let path = config(&dir, CONFIG, 0o644);
    let open = run(&["--config", &path, "status"]);
    assert!(
        open.status == 2 && open.err.contains("other users can read") && open.err.contains("chmod 600"),
        "{open:?}"
    );
    let path = config(&dir, CONFIG, 0o600);
    let down = run(&["--config", &path, "run"]);
    assert_eq!(down.status, 1);
    assert!(down.err.contains("no connection to PostgreSQL at 127.0.0.1:9"), "{down:?}");
    for ran in [wrong, open, down] {
        assert!(
            !ran.err.contains("hush") && !ran.err.contains("Backtrace") && !ran.err.contains("Location"),
            "{ran:?}"
        );
    }
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_pipe_is_no_terminal_and_says_what_to_use_instead() {
    let demo = run(&["demo"]);
    assert_eq!((demo.status, demo.out.as_str()), (2, ""));
    assert!(demo.err.contains("needs a terminal") && demo.err.contains("--headless"), "{demo:?}");
    assert_eq!(run(&["demo", "--rows", "many"]).status, 2);
    assert_eq!(run(&["conjure"]).status, 2);
}

#[test]
fn a_workspace_that_is_somebody_elses_directory_is_refused() {
    let dir = directory();
    std::fs::write(dir.join("letter.txt"), "dear").unwrap();
    let refused = run(&["demo", "--headless", "--for", "1s", "--dir", dir.to_str().unwrap()]);
    assert!(refused.status == 1 && refused.err.contains("is not empty"), "{refused:?}");
    assert!(dir.join("letter.txt").exists());
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_directory_that_the_servers_account_cannot_enter_is_refused_by_name() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: only root hands the server to another account");
        return;
    }
    let dir = directory();
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700)).unwrap();
    let inner = dir.join("workspace");
    let refused = run(&["demo", "--headless", "--for", "1s", "--dir", inner.to_str().unwrap()]);
    assert_eq!(refused.status, 2, "{refused:?}");
    assert!(
        refused.err.contains(&format!("{} cannot be entered by the account", dir.display())),
        "{refused:?}"
    );
    std::fs::remove_dir_all(dir).unwrap();
}

/// A headless demo that runs until it is told to stop.
struct Demo {
    child: Child,
    dir: PathBuf,
}

impl Demo {
    fn start() -> Demo {
        Demo::of(&[])
    }

    /// One of another kind.
    fn of(kind: &[&str]) -> Demo {
        let dir = directory();
        let child = Command::new(env!("CARGO_BIN_EXE_syncdeck"))
            .args(["demo", "--headless", "--for", "1h", "--rows", "800", "--dir", dir.to_str().unwrap()])
            .args(kind)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(unread())
            .spawn()
            .unwrap();
        Demo { child, dir }
    }

    fn run(&self, args: &[&str]) -> Ran {
        let config = self.dir.join("syncdeck.toml");
        run(&[&["--config", config.to_str().unwrap()], args].concat())
    }

    /// The first error that a filter finds, once there is one.
    fn error(&self, filter: &str) -> Value {
        let mut patience = Patience::new();
        while !patience.is_over() {
            let listed = self.run(&["errors", "--where", filter, "--limit", "1", "--json"]);
            if listed.status == 0 && listed.out.trim() != "[]" {
                return listed.json()[0].clone();
            }
            patience.sees(&self.run(&["status", "--json"]).out);
        }
        panic!("no error came that matches {filter}");
    }

    /// Runs what sends one row, until Salesforce says something of the row. Now and then the org has its record locked, as orgs do:
    /// the row is tried again by itself then, and this waits for what comes of that. Tells the report, and the answer.
    fn send(&self, args: &[&str]) -> (Ran, String) {
        let ran = self.run(&[args, &["--wait", "--json"]].concat());
        let item = ran.json()["items"][0].clone();
        let message = item["message"].as_str().unwrap_or_default().to_owned();
        if !message.contains("UNABLE_TO_LOCK_ROW") {
            return (ran, message);
        }
        let id = item["id"].to_string();
        let mut patience = Patience::new();
        while !patience.is_over() {
            let error = self.run(&["show", &id, "--json"]).json()["error"].clone();
            match (error["state"].as_str(), error["code"].as_str()) {
                (None | Some("resolved"), _) => return (ran, "Salesforce took it".to_owned()),
                (_, Some("UNABLE_TO_LOCK_ROW")) => {}
                (_, code) => return (ran, format!("rejected again: {}", code.unwrap_or_default())),
            }
            patience.sees(error.to_string());
        }
        panic!("the record stays locked: {ran:?}");
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

#[test]
fn a_running_demo_is_asked_and_mended_from_a_second_terminal_and_reports_at_its_end() {
    let mut demo = Demo::start();
    let error = demo.error("code:EMAIL mapping:contact state:open");
    let id = error["id"].to_string();
    for member in [
        "mapping",
        "table",
        "row_id",
        "op",
        "code",
        "category",
        "class",
        "message",
        "fields",
        "attempts",
        "state",
        "first_seen",
        "last_seen",
        "group",
    ] {
        assert!(!error[member].is_null(), "{member} is missing: {error}");
    }
    let shown = demo.run(&["show", &id, "--json"]).json();
    assert_eq!(
        (&shown["error"]["code"], &shown["salesforce"]["state"]),
        (&Value::from("INVALID_EMAIL_ADDRESS"), &Value::from("no_record"))
    );
    let text = demo.run(&["show", &id]);
    assert!(text.out.contains("Invalid e-mail address.") && text.out.contains("> "), "{text:?}");

    let refused = demo.run(&["fix", &id, "Email=nobody", "--retry"]);
    assert!(
        refused.status == 1 && refused.err.contains("Email: an e-mail address needs an @"),
        "{refused:?}"
    );
    let unknown = demo.run(&["fix", &id, "Emial=a@b.co"]);
    assert!(unknown.status == 1 && unknown.err.contains("Contact has no mapped field Emial"), "{unknown:?}");
    assert_eq!(demo.run(&["fix", &id, "Email"]).status, 2);
    assert_eq!(demo.run(&["--read-only", "fix", &id, "Email=a@b.co"]).status, 2);
    let (fixed, answer) = demo.send(&["fix", &id, "Email=mended@example.com", "--retry"]);
    assert_eq!(answer, "Salesforce took it", "{fixed:?}");
    assert_eq!(fixed.status == 0, fixed.json()["done"] == 1, "{fixed:?}");
    let again = demo.run(&["retry", &id, "--json"]);
    assert_eq!((again.status, &again.json()["skipped"]), (0, &Value::from(1)));
    let gone = demo.run(&["retry", "999999"]);
    assert!(gone.status == 1 && gone.err.contains("there is no error 999999"), "{gone:?}");

    let phone = demo.error("field:phone mapping:contact state:open source:salesforce")["id"].to_string();
    let (rejected, answer) = demo.send(&["retry", &phone]);
    assert!(
        rejected.status == 1 && answer.starts_with("rejected again: FIELD_CUSTOM_VALIDATION_EXCEPTION"),
        "{answer}: {rejected:?}"
    );
    let wrong = demo.run(&["errors", "--where", "state:shut"]);
    assert!(wrong.status == 2 && wrong.err.contains("use open, retrying"), "{wrong:?}");

    let status = demo.run(&["status", "--json"]).json();
    assert_eq!(
        (&status["engine"]["state"], status["mappings"].as_array().unwrap().len()),
        (&Value::from("running"), 8)
    );
    assert_eq!(demo.run(&["status", "--fail-on", "errors"]).status, 3);
    let logs = demo.run(&["logs", "-n", "500", "--where", "level:warn", "--json"]);
    for line in logs.out.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        assert!(["warn", "error"].contains(&record["level"].as_str().unwrap()), "{line}");
    }

    its_alerts_are_told_and_can_be_read(&demo);
    a_service_goes_on_where_nobody_reads_its_log(&demo);

    terminate(&demo.child);
    let mut out = String::new();
    std::io::Read::read_to_string(&mut demo.child.stdout.take().unwrap(), &mut out).unwrap();
    assert_eq!(demo.child.wait().unwrap().code(), Some(0), "{out}");
    let report: Value = serde_json::from_str(&out).unwrap();
    for count in ["lost", "duplicated", "out_of_order"] {
        assert_eq!(report["changes"][count], 0, "{report}");
    }
    assert!(report["changes"]["captured"].as_i64().unwrap() > 20, "{report}");
}

fn its_alerts_are_told_and_can_be_read(demo: &Demo) {
    let fires = |line: &str| {
        let record: Value = serde_json::from_str(line).unwrap();
        assert_eq!(record["source"], "alerts", "{line}");
        record["fields"]["rule"] == "new_cause" && line.contains("FIRING: ")
    };
    let mut patience = Patience::new();
    loop {
        let told = demo.run(&["logs", "--source", "alerts", "-n", "50", "--json"]).out;
        if told.lines().any(fires) {
            break;
        }
        assert!(!patience.is_over(), "no new cause was told: {told}");
        patience.sees(&demo.run(&["status", "--json"]).out);
    }
    // The receiver has it a moment before the engine knows that.
    let mut patience = Patience::new();
    loop {
        let listed = demo.run(&["alert", "--json"]).json();
        assert_eq!(listed["channels"][0]["name"], "hook", "{listed}");
        let mut alerts = listed["alerts"].as_array().unwrap().iter();
        if listed["channels"][0]["state"] == "ok" && alerts.any(|alert| alert["state"] == "firing") {
            return;
        }
        assert!(!patience.is_over(), "nothing fires, or no channel took it: {listed}");
        patience.sees(&demo.run(&["status", "--json"]).out);
    }
}

fn terminate(child: &Child) {
    let pid = i32::try_from(child.id()).unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM).unwrap();
}

/// What it logs at its end is written there too, so that it has met the pipe when it exits.
fn a_service_goes_on_where_nobody_reads_its_log(demo: &Demo) {
    let config = demo.dir.join("syncdeck.toml");
    let mut service = Command::new(env!("CARGO_BIN_EXE_syncdeck"))
        .args(["run", "--config", config.to_str().unwrap()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(unread())
        .spawn()
        .unwrap();
    let patience = Patience::new();
    let started = || demo.run(&["logs", "-n", "100000", "--where", "engine started"]).out.lines().count();
    while started() < 2 && !patience.is_over() {}
    terminate(&service);
    assert_eq!(service.wait().unwrap().code(), Some(0), "it stopped as it was told to");
}

#[test]
fn acts_on_many_errors_are_shown_asked_about_told_and_taken_back_by_commands() {
    let demo = Demo::start();
    let one = demo.error("field:phone mapping:contact state:open");
    let row = one["row_id"].as_i64().unwrap();
    // Nothing of the others is touched: this row's error is the only one that the filter finds.
    let filter = format!("mapping:contact row:{row}");
    let fix = ["fix", "--where", &filter, "Phone=+1 555 010 1234", "--retry"];
    let preview = demo.run(&[&fix[..], &["--dry-run", "--json"]].concat()).json();
    assert_eq!((&preview["touched"], &preview["passing"]), (&Value::from(1), &Value::from(1)), "{preview}");
    assert_eq!(preview["sample"][0]["after"], "+1 555 010 1234");
    let words = demo.run(&[&fix[..], &["--dry-run"]].concat());
    assert!(
        words.out.contains("1 selected, 1 to do") && words.out.contains("→ +1 555 010 1234"),
        "{words:?}"
    );
    let all = demo.run(&["ignore", "--where", "state:open"]);
    assert!(all.status == 2 && all.err.contains("nobody is there to be asked"), "{all:?}");
    assert!(all.err.contains("--dry-run, then say --yes"), "{all:?}");

    // Bad input names the thing and the remedy, and changes nothing.
    for (args, status, says) in [
        (vec!["fix", "--where", &filter, "Fone=1"], 1, "Contact has no mapped field Fone"),
        (vec!["fix", "--where", &filter, "CreatedDate=2026-01-01"], 1, "lets nobody write this field"),
        (vec!["fix", "--where", &filter, "Phone"], 2, "changes one field"),
        (vec!["fix", "--where", &filter, "--apply", "shout", "Phone"], 2, "is no transform; there are trim"),
        (vec!["fix", "--where", "state:shut", "Phone=1"], 2, "use open, retrying"),
        (vec!["fix", "Phone=1"], 2, "is no error's number"),
        (vec!["retry"], 2, "required"),
        (vec!["undo", "99"], 1, "there is no operation 99"),
        (vec!["undo"], 1, "there is nothing of yours to undo"),
        (vec!["audit", "99"], 1, "there is no operation 99"),
        (vec!["link", "999999"], 1, "there is no error 999999"),
        (vec!["resolve", "999999", "Email=postgres"], 1, "there is no error 999999"),
        // The name that it had before.
        (vec!["choose", "999999", "Email=postgres"], 1, "there is no error 999999"),
        (vec!["resolve", "1", "Email=mine"], 2, "neither FIELD=postgres nor FIELD=salesforce"),
        (vec!["find", "no such thing"], 1, "no row has the id"),
        (vec!["verify", "Nothing"], 2, "there is no mapping"),
        (vec!["test", "Nothing", "--offline"], 2, "has no mapping \"Nothing\""),
        (vec!["export", "--where", "mapping:"], 2, "a value is missing"),
        (vec!["--read-only", "ignore", "1"], 2, "--read-only changes nothing"),
    ] {
        let ran = demo.run(&args);
        assert!(ran.status == status && ran.err.contains(says), "{args:?}: {ran:?}");
    }
    assert_eq!(demo.run(&["audit", "--json"]).json(), Value::Array(Vec::new()));

    let (done, answer) = demo.send(&[&fix[..], &["--yes", "--why", "the importer"]].concat());
    assert_eq!(answer, "Salesforce took it", "{done:?}");
    let report = done.json();
    assert_eq!(done.status == 0, report["done"] == 1, "{done:?}");
    let audit = demo.run(&["audit", "--json"]).json();
    assert_eq!(
        (&audit[0]["action"], &audit[0]["why"]),
        (&Value::from("edited"), &Value::from("the importer"))
    );
    let undone = demo.run(&["undo", "--yes", "--json"]).json();
    assert_eq!(undone["done"], 1, "{undone}");
    let again = demo.error(&filter);
    assert_eq!(again["code"], "FIELD_CUSTOM_VALIDATION_EXCEPTION");
    let twice = demo.run(&["undo", &report["act"].to_string(), "--yes", "--json"]).json();
    assert_eq!(
        (&twice["skipped"], &twice["items"][0]["message"]),
        (&Value::from(1), &Value::from("it was undone already"))
    );
    let told = demo.run(&["audit", "--row", &format!("Contact:{row}")]);
    assert!(told.out.contains("undid") && told.out.contains("(the importer)"), "{told:?}");

    let found = demo.run(&["find", &row.to_string(), "--mapping", "Contact", "--json"]).json();
    assert_eq!((&found[0]["row"]["row"], &found[0]["unit"]), (&Value::from(row), &Value::from("failed")));
    let shown = demo.run(&["show", &format!("Contact:{row}")]);
    assert!(shown.out.contains("changes that Salesforce has not taken"), "{shown:?}");
    let listed = demo.run(&["export", "--where", &filter]);
    assert!(listed.out.starts_with("id,mapping,") && listed.out.lines().count() == 2, "{listed:?}");
    let ignored = demo.run(&["ignore", &again["id"].to_string(), "--json"]).json();
    assert_eq!(ignored["done"], 1);
    assert_eq!(demo.run(&["errors", "--where", &filter, "--json"]).json(), Value::Array(Vec::new()));
    let reverted =
        demo.run(&["revert", "--where", &format!("{filter} state:ignored"), "--yes", "--json"]).json();
    assert_eq!(reverted["done"], 1, "{reverted}");

    let trial = demo.run(&["test", "Contact", "--limit", "3", "--json"]);
    assert!([0, 3].contains(&trial.status) && trial.err.contains("does not take back"), "{trial:?}");
    assert_eq!(trial.json()["rows"], 3);
    let verdict = demo.run(&["verify", "Product2", "--json"]);
    assert_eq!(
        (verdict.status, &verdict.json()[0]["findings"]),
        (0, &Value::Array(Vec::new())),
        "{verdict:?}"
    );
}
