//! `syncdeck import heroku-connect` and `syncdeck export heroku-connect`.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::{CONFIG, config, directory, run_in};

const EXPORT: &str = include_str!("../support/connect-export.json");

fn write(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn an_export_of_heroku_connect_becomes_a_configuration_with_what_it_will_cost() {
    let dir = directory();
    let file = write(&dir, "export.json", EXPORT);
    let ran = run_in(&dir, &["import", "heroku-connect", &file]);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{ran:?}");
    for line in [
        "written: syncdeck.toml, with 3 mappings, 2 of them read only",
        "What has no counterpart in syncdeck, and what it does instead:",
        "  Account: sf_notify_enabled = true (accelerated polling): a change in Salesforce is seen at the next poll, every 10m;",
        "  all mappings: sf_max_daily_api_calls = 30000: no mapping has a limit of its own:",
        "Heroku Connect's SOAP calls did not count against the org's allowance; syncdeck's calls do.",
        "  syncdeck.toml:13: write your org's My Domain",
    ] {
        assert!(ran.out.lines().any(|told| told.starts_with(line)), "{line}\n{}", ran.out);
    }
    // Account is polled 144 times a day, Contact 720 times, User 24 times: each for changes, deletes and a count.
    let total = ran.out.lines().find(|line| line.starts_with("all ")).unwrap();
    let cells: Vec<&str> = total.split_whitespace().collect();
    assert_eq!(cells[..5], ["all", "13,528", "3,528", "10,000", "13.5"], "{total}");
    let path = dir.join("syncdeck.toml");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(written.contains("indexes = [\"AccountId\", \"Email\"]"), "{written}");

    // A second time it is refused, and the file stays.
    let again = run_in(&dir, &["import", "heroku-connect", &file]);
    assert_eq!(again.status, 2);
    assert_eq!(
        again.err,
        "syncdeck: syncdeck.toml exists, and is not written over\n  name another with --config FILE, or look first with --dry-run\n"
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), written);
    // Not even where it leads nowhere.
    std::os::unix::fs::symlink(dir.join("nowhere"), dir.join("link.toml")).unwrap();
    let link = run_in(&dir, &["import", "heroku-connect", &file, "--config", "link.toml"]);
    assert!(link.status == 2 && !dir.join("nowhere").exists(), "{link:?}");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn an_import_tells_scripts_all_of_it_and_writes_nothing_when_it_is_only_looked_at() {
    let dir = directory();
    let file = write(&dir, "export.json", EXPORT);
    let args =
        ["import", "heroku-connect", &file, "--json", "--changes-a-day", "1000", "--allowance", "20000"];
    let looked = run_in(&dir, &[&args[..], &["--dry-run", "--read-only"]].concat()).json();
    assert!(
        looked["text"].as_str().unwrap().contains("object = \"Contact\"")
            && !dir.join("syncdeck.toml").exists()
    );
    assert_eq!(run_in(&dir, &[&args[..], &["--read-only"]].concat()).status, 2);
    let chosen =
        ["--login-url", "https://acme.my.salesforce.com", "--client-id", "3MVG9", "--connection", "acme"];
    let told = run_in(&dir, &[&args[..], &chosen].concat()).json();
    assert_eq!((&told["file"], &told["mappings"]), (&json!("syncdeck.toml"), &json!(3)));
    assert_eq!(told["forecast"], looked["forecast"]);
    assert_eq!(
        told["forecast"]["total"],
        json!({"changes": 888, "deletes": 888, "counts": 888, "definitions": 864, "comparisons": 0, "writes": 1000})
    );
    assert_eq!(told["forecast"]["allowance"], json!({"from": "given", "calls": 20000}));
    assert_eq!(told["forecast"]["mappings"][0]["written"], Value::Null);
    assert_eq!(told["notes"][2]["mappings"], json!(["Account"]));
    assert_eq!(told["to_fill"].as_array().unwrap().len(), 2);
    let written = std::fs::read_to_string(dir.join("syncdeck.toml")).unwrap();
    assert!(written.contains("name = \"acme\"") && written.contains("client_id = \"3MVG9\""), "{written}");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn bad_input_names_the_thing_and_the_remedy_and_leaves_no_file() {
    let dir = directory();
    let directory_itself = dir.to_str().unwrap().to_owned();
    let huge = std::fs::File::create(dir.join("huge.json")).unwrap();
    huge.set_len((32 << 20) + 1).unwrap();
    let changed = |from: &str, to: &str| EXPORT.replacen(from, to, 1);
    for (file, wanted) in [
        (dir.join("none.json").to_str().unwrap().to_owned(), "none.json: No such file"),
        (directory_itself, "is a directory"),
        (dir.join("huge.json").to_str().unwrap().to_owned(), "larger than 32 MB"),
        (write(&dir, "words.json", "hello"), "words.json:1: is no JSON"),
        (write(&dir, "bytes.json", "\u{0}\u{1b}[31m"), "bytes.json:1: is no JSON"),
        (
            write(&dir, "two.json", &changed("\"version\": 1", "\"version\": 2")),
            "version: is 2, and syncdeck reads version 1",
        ),
        (write(&dir, "twice.json", &changed("\"User\"", "\"Contact\"")), "Contact is mapped twice"),
        (
            write(&dir, "nameless.json", &changed("\"object_name\": \"User\"", "\"x\": 1")),
            "mappings[2]: has no object_name",
        ),
        (
            write(&dir, "access.json", &changed("read_write", "write_only")),
            "\"write_only\" is no kind of access",
        ),
    ] {
        let ran = run_in(&dir, &["import", "heroku-connect", &file]);
        assert!(ran.status == 2 && ran.out.is_empty() && ran.err.contains(wanted), "{wanted}: {ran:?}");
        assert!(ran.err.lines().count() >= 2 && !ran.err.contains('\u{1b}'), "no remedy: {ran:?}");
        assert!(!dir.join("syncdeck.toml").exists(), "{wanted}");
    }
    let file = write(&dir, "export.json", EXPORT);
    let url = run_in(&dir, &["import", "heroku-connect", &file, "--login-url", "http://acme.com"]);
    assert!(url.status == 2 && url.err.contains("--login-url is no https URL"), "{url:?}");
    assert_eq!(run_in(&dir, &["import", "salesforce-connect", &file]).status, 2);
    let nowhere = run_in(&dir, &["import", "heroku-connect", &file, "--config", "none/syncdeck.toml"]);
    assert!(nowhere.status == 1 && nowhere.err.contains("cannot write none/syncdeck.toml"), "{nowhere:?}");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn mappings_go_to_heroku_connect_and_come_back_the_same() {
    let dir = directory();
    let file = write(&dir, "export.json", EXPORT);
    assert_eq!(run_in(&dir, &["import", "heroku-connect", &file]).status, 0);
    // Neither DATABASE_URL nor SALESFORCE_SECRET is set, nor needed for this.
    let out = run_in(&dir, &["export", "heroku-connect", "-o", "back.json"]);
    assert!(out.status == 0 && out.err.contains("3 mappings written to back.json"), "{out:?}");
    assert!(out.err.contains("poll_db_no_merge is false: merged writes"), "{out:?}");
    let printed = run_in(&dir, &["export", "heroku-connect"]);
    let saved: Value =
        serde_json::from_str(&std::fs::read_to_string(dir.join("back.json")).unwrap()).unwrap();
    assert_eq!((printed.status, &printed.json()["mappings"]), (0, &saved["mappings"]));
    let again = run_in(&dir, &["import", "heroku-connect", "back.json", "--config", "again.toml"]);
    assert_eq!(again.status, 0, "{again:?}");
    let text = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap();
    assert_eq!(text("again.toml"), text("syncdeck.toml"));

    let exists = run_in(&dir, &["export", "heroku-connect", "-o", "back.json"]);
    assert!(
        exists.status == 2 && exists.err.contains("back.json exists, and is not written over"),
        "{exists:?}"
    );
    for wrong in [["--where", "code:X"], ["--format", "csv"]] {
        let ran = run_in(&dir, &[&["export", "heroku-connect"], &wrong[..]].concat());
        assert!(ran.status == 2 && ran.err.contains("are about errors"), "{ran:?}");
    }
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn rules_that_heroku_connect_lacks_are_told() {
    let dir = directory();
    let path =
        config(&dir, &format!("{CONFIG}strategy = \"retry\"\n[alert.channel.ops]\nkind = \"log\"\n"), 0o600);
    let ran = run_in(&dir, &["export", "heroku-connect", "--config", &path]);
    assert_eq!(ran.status, 0, "{ran:?}");
    for wanted in ["  Contact: strategy = \"retry\": ", "  Contact: poll_interval = \"1m\": ", "  [alert]: "]
    {
        assert!(ran.err.contains(wanted), "{wanted}: {ran:?}");
    }
    assert!(!ran.out.contains("hush") && !ran.err.contains("hush"));
    let wrong = config(&dir, &format!("{CONFIG}indexes = [\"Emial\", \"LastName\"]\n"), 0o600);
    let refused = run_in(&dir, &["status", "--config", &wrong]);
    assert!(
        refused.status == 2
            && refused.err.contains(":12: mapping.indexes: Emial is not among the mapping's fields"),
        "{refused:?}"
    );
    std::fs::remove_dir_all(dir).unwrap();
}
