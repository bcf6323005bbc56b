//! The same things as commands, for scripts.

use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::world::{MAPPINGS, World};

pub async fn run(world: &World, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_syncdeck"));
    command.args(arguments).arg("--config").arg(&world.config.path);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

pub async fn json_of(world: &World, arguments: &[&str]) -> Value {
    let output = run(world, &[arguments, &["--json"]].concat()).await;
    assert!(output.status.success(), "{arguments:?}: {}", text(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

pub fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_is_understood_and_mended_by_commands() {
    let world = World::start(MAPPINGS).await;
    world
        .run(
            "INSERT INTO salesforce.contact (lastname, email, external_id__c)
             VALUES ('Doe', 'jane@acme,com', 'K1'), ('Roe', 'rick@acme,com', 'K2')",
        )
        .await;
    world.until_text("SELECT count(*)::text FROM syncdeck.error WHERE state = 'open'", "2").await;
    let groups = json_of(&world, &["errors", "--group"]).await;
    let [group] = groups.as_array().unwrap().as_slice() else { panic!("{groups}") };
    assert_eq!((&group["count"], &group["code"]), (&json!(2), &json!("INVALID_EMAIL_ADDRESS")));
    assert_eq!(group["template"], json!("Email: invalid email address: …"));
    assert_eq!(group["trend"], json!({"last_hour": 2, "hour_before": 0}));
    let filter = format!("group:{}", group["group"].as_str().unwrap());
    let errors = json_of(&world, &["errors", "--where", &filter]).await;
    assert_eq!(errors.as_array().unwrap().len(), 2);
    let id = errors[0]["id"].to_string();
    let shown = json_of(&world, &["show", &id]).await;
    let offer = &shown["record"]["advice"]["remedies"][0];
    assert_eq!((&offer["number"], &offer["action"]), (&json!(1), &json!({"apply": "replace(\",\", \".\")"})));
    assert_eq!(shown["record"]["sending"]["what"], json!("refused"));
    let shown = text(&run(&world, &["show", &id]).await);
    assert!(
        shown.contains("[1] Write a dot for the comma") && shown.contains("will be sent: refused"),
        "{shown}"
    );
    let fixed = json_of(&world, &["fix", &id, "--remedy", "1", "--wait"]).await;
    assert_eq!((&fixed["done"], &fixed["failed"]), (&json!(1), &json!(0)));
    let key = if errors[0]["row_id"] == json!(1) { "K1" } else { "K2" };
    assert!(world.record("Contact", key).unwrap()["Email"].as_str().unwrap().ends_with("@acme.com"));
    let row = format!("contact:{}", errors[0]["row_id"]);
    let shown = text(&run(&world, &["show", &row]).await);
    assert!(shown.contains("in step") && shown.contains("will be sent: nothing"), "{shown}");
    // Runs are kept every few seconds.
    world.until_text("SELECT (count(*) > 0)::text FROM syncdeck.run WHERE failed > 0", "true").await;
    let runs = json_of(&world, &["runs", "Contact", "--failed"]).await;
    assert!(runs.as_array().is_some_and(|runs| !runs.is_empty()), "{runs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_refused_with_the_remedy() {
    let world = World::start(MAPPINGS).await;
    world
        .run(
            "INSERT INTO salesforce.contact (lastname, email, external_id__c) VALUES ('Doe', 'nobody', 'K1')",
        )
        .await;
    world.until_text("SELECT count(*)::text FROM syncdeck.error WHERE state = 'open'", "1").await;
    let id = world.text("SELECT id::text FROM syncdeck.error").await.unwrap();
    for (arguments, status, part) in [
        (vec!["fix", &id, "--remedy", "99"], 1, "there is no remedy 99"),
        (vec!["fix", "4711", "--remedy", "1"], 1, "there is no error 4711"),
        (vec!["show", "contact:4711"], 1, "4711"),
        (vec!["show", "contact:x"], 2, "is no row"),
        (vec!["show", "nothing"], 2, "neither an error's number nor a row"),
        (vec!["resolve", &id, "Email=mine"], 2, "neither FIELD=postgres nor FIELD=salesforce"),
        (vec!["resolve", &id, "Emial=postgres"], 1, "has no mapped field Emial"),
        (vec!["resolve", &id, "Email=postgres"], 1, "has no open conflict"),
        (vec!["resolve", &id, "*=postgres"], 1, "has no open conflict"),
        (vec!["errors", "--where", "group:it's"], 2, "errors --group"),
        (vec!["runs", "Contract"], 2, "no mapping of a table or object"),
        (vec!["mapping", "Contact", "strategy=panic"], 2, "fail_fast"),
        (vec!["mapping", "Contact", "stop"], 2, "is none of pause, drain, resume, reload"),
        (vec!["mapping", "all", "strategy=retry"], 2, "one mapping at a time"),
        (vec!["explain", "all is well"], 1, "knows no code"),
        (vec!["mapping", "Contact", "pause", "--read-only"], 2, "--read-only changes nothing"),
    ] {
        let output = run(&world, &arguments).await;
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {}", text(&output));
        assert!(text(&output).contains(part), "{arguments:?}: {}", text(&output));
    }
    let explained =
        text(&run(&world, &["explain", "UNABLE_TO_LOCK_ROW: unable to obtain exclusive access"]).await);
    assert!(explained.contains("Record is locked") && explained.contains("Send it again"), "{explained}");
    let log = text(&run(&world, &["explain", "Multiple AppLink add-ons found on app billing"]).await);
    assert!(log.contains("Try again with --addon"), "{log}");
    let mapping = text(&run(&world, &["mapping", "Contact", "strategy=retry"]).await);
    assert!(mapping.contains("strategy") && mapping.contains("run time"), "{mapping}");
    let all = text(&run(&world, &["mapping", "all", "pause"]).await);
    assert!(all.contains("their writes rest") && all.contains("paused"), "{all}");
    let one = text(&run(&world, &["mapping", "Contact", "resume", "drain"]).await);
    assert!(one.contains("Contact: its writes go on\nContact: its writes rest when"), "{one}");
}
