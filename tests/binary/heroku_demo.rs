//! `syncdeck demo --heroku-connect`: what its workspace has, and that an error mended there goes through.

use serde_json::Value;

use crate::{Demo, run_in, terminate};

#[test]
fn a_database_that_heroku_connect_keeps_has_errors_to_mend_and_the_words_for_leaving() {
    let mut demo = Demo::of(&["--heroku-connect"]);
    let id = demo.error("code:INVALID_EMAIL_ADDRESS")["id"].to_string();
    let (_, answer) = demo.send(&["fix", &id, "Email=jane@acme.com", "--retry"]);
    assert_eq!(answer, "Salesforce took it");
    let log = std::fs::read_to_string(demo.dir.join("heroku.log")).unwrap();
    assert!(log.contains("event=\"inserted 1 record\" mapping=Contact"), "{log}");

    let words = std::fs::read_to_string(demo.dir.join("README.txt")).unwrap();
    let word = |name: &str| {
        let rest = words.split(&format!("{name} ")).nth(1).unwrap_or_else(|| panic!("{name} in {words}"));
        rest.split_whitespace().next().unwrap().to_owned()
    };
    let (org, app) = (word("--login-url"), word("--client-id"));
    let import = ["import", "heroku-connect", "export.json", "--config", "own.toml"];
    let import = [&import[..], &["--login-url", &org, "--client-id", &app]].concat();
    let imported = run_in(&demo.dir, &import);
    assert_eq!(imported.status, 0, "{imported:?}");
    let own = std::fs::read_to_string(demo.dir.join("own.toml")).unwrap();
    assert!(["Account", "Contact", "Product2"].iter().all(|object| own.contains(object)), "{own}");

    // Its API tells how it stands, and pauses it.
    let status = demo.run(&["status", "--json"]).json();
    assert_eq!(status["heroku"]["state"], "IDLE", "{status}");
    assert!(status["mappings"][1]["heroku"]["records"].as_i64() > Some(0), "{status}");
    let listed = demo.run(&["heroku", "write-errors", "--json"]).json();
    assert!(listed["count"].is_number(), "{listed}");
    let paused = demo.run(&["mapping", "all", "pause"]);
    assert!(paused.out.contains("it says PAUSED now") && demo.dir.join("paused").exists(), "{paused:?}");
    let resumed = demo.run(&["mapping", "all", "resume"]);
    assert!(resumed.status == 0 && !demo.dir.join("paused").exists(), "{resumed:?}");
    let checks = demo.run(&["heroku", "diagnose"]);
    assert!(checks.status == 3 && checks.out.contains("Upsert Field"), "{checks:?}");

    terminate(&demo.child);
    let mut report = String::new();
    std::io::Read::read_to_string(&mut demo.child.stdout.take().unwrap(), &mut report).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    assert!(report["entries"]["SUCCESS"].as_i64() >= Some(1), "{report}");
}
