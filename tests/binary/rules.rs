//! A demo whose rules change while it runs: what they make of values, and what they keep here, is not lost.

use std::collections::BTreeSet;

use crate::support::Patience;
use crate::{Demo, terminate};

/// Waits for something that must come true while the demo works.
fn until(demo: &Demo, what: &str, holds: impl Fn() -> bool) {
    let mut patience = Patience::new();
    while !holds() {
        assert!(!patience.is_over(), "this did not come true: {what}");
        patience.sees(&demo.run(&["status", "--json"]).out);
    }
}

/// Waits until an application's worker has made so many rows.
fn until_made(demo: &Demo, rows: u32) {
    for worker in 0..2 {
        // One that was deleted again shows in the next ones.
        let keys: Vec<String> = (rows..rows + 5).map(|number| format!("APP-{worker}-{number:06}")).collect();
        until(demo, &keys[0], || keys.iter().any(|key| demo.run(&["find", key]).status == 0));
    }
}

/// Waits until what a mapping's rows were changed to before now was sent, or kept here, or is listed.
fn until_worked_off(demo: &Demo, mapping: &str) {
    let now = chrono::Utc::now();
    until(demo, "the changes until now are worked off", || {
        let status: serde_json::Value = serde_json::from_str(&demo.run(&["status", "--json"]).out).unwrap();
        let mappings = status["mappings"].as_array().unwrap();
        let oldest = &mappings.iter().find(|of| of["name"] == mapping).unwrap()["oldest_pending"];
        oldest.as_str().is_none_or(|oldest| oldest.parse::<chrono::DateTime<chrono::Utc>>().unwrap() > now)
    });
}

/// Whatever key a line of the log has, a filter may name it.
fn every_line_can_be_filtered_by_its_keys(demo: &Demo) {
    let logs = demo.run(&["logs", "-n", "100000", "--json"]);
    let lines = logs.out.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let keys: BTreeSet<String> = lines
        .flat_map(|line| line["fields"].as_object().unwrap().keys().cloned().collect::<Vec<_>>())
        .collect();
    assert!(keys.contains("mapping") && keys.contains("batch"), "{keys:?}");
    let filter: Vec<String> = keys.iter().map(|key| format!("{key}:x")).collect();
    let filtered = demo.run(&["logs", "-n", "1", "--where", &filter.join(" ")]);
    assert_eq!(filtered.status, 0, "{filtered:?}");
}

#[test]
fn a_demo_reports_nothing_lost_whatever_rules_are_set_while_it_runs() {
    let mut demo = Demo::start();
    demo.error("mapping:contact");
    for (mapping, changes) in [
        ("Contact", &["LastName.transforms=uppercase", "Email.transforms=trim | lowercase"][..]),
        ("Lead", &["Phone.read_only=true", "FirstName.transforms=truncate(3)", "Email.mask=true"]),
        ("Account", &["where=name < 'M'", "Name.transforms=trim"]),
        ("Opportunity", &["ignore_deletes=postgres", "StageName.skip_invalid=true"]),
        ("Case", &["pause"]),
    ] {
        let set = demo.run(&[&["mapping", mapping], changes].concat());
        assert_eq!(set.status, 0, "{set:?}");
    }
    until_made(&demo, 25);
    until_worked_off(&demo, "Lead");
    until_worked_off(&demo, "Account");
    // A mapping that is taken out keeps its changes until it is mapped again.
    let path = demo.dir.join("syncdeck.toml");
    let written = std::fs::read_to_string(&path).unwrap();
    let without: Vec<&str> =
        written.split("\n[[mapping]]\n").filter(|part| !part.contains("\"Lead\"")).collect();
    assert_eq!(without.len(), 8, "the head and seven of eight mappings");
    std::fs::write(&path, without.join("\n[[mapping]]\n")).unwrap();
    until(&demo, "the mapping is gone", || demo.run(&["mapping", "Lead"]).status == 2);
    until_made(&demo, 50);
    let reset = demo.run(&["mapping", "Contact", "LastName.transforms="]);
    assert_eq!(reset.status, 0, "{reset:?}");
    until_made(&demo, 60);
    every_line_can_be_filtered_by_its_keys(&demo);
    terminate(&demo.child);
    let mut out = String::new();
    std::io::Read::read_to_string(&mut demo.child.stdout.take().unwrap(), &mut out).unwrap();
    assert_eq!(demo.child.wait().unwrap().code(), Some(0), "{out}");
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    for count in ["lost", "duplicated", "out_of_order"] {
        assert_eq!(report["changes"][count], 0, "{report}");
    }
    let kept = report["kept_by_rules"].as_object().unwrap();
    assert!(kept.contains_key("read-only in the configuration"), "{report}");
    assert!(kept.contains_key("a condition keeps the row out"), "{report}");
}
