//! What happened, and for how long it is known.

use std::time::Duration;

use serde_json::json;
use syncdeck::domain::records::record::{Edit, FieldEdit};
use syncdeck::domain::reports::overview::Writes;
use syncdeck::domain::reports::run::RunKind;

use crate::world::{MAPPINGS, World, contact};

#[tokio::test(flavor = "multi_thread")]
async fn each_attempt_is_kept_with_what_was_sent_answered_and_done_in_between() {
    let world = World::start(&MAPPINGS.replace("poll_interval", "check = false\npoll_interval")).await;
    world
        .run(
            "INSERT INTO salesforce.contact (lastname, email, external_id__c) VALUES ('Doe', 'nobody', 'K1')",
        )
        .await;
    world.until_text("SELECT _hc_lastop FROM salesforce.contact", "FAILED").await;
    let fields = vec![FieldEdit {
        column: "email".to_owned(),
        shown: Some("nobody".to_owned()),
        new: Some("jane@acme.com".to_owned()),
    }];
    world.handle.save(&Edit { row: contact(1), fields, retry: true }).await.unwrap();
    world.until_text("SELECT _hc_lastop FROM salesforce.contact", "SYNCED").await;
    let history = world.handle.record(&contact(1)).await.unwrap().history;
    let what: Vec<&str> = history.iter().map(|entry| entry.what.as_str()).collect();
    assert_eq!(what, ["accepted", "edited", "rejected"]);
    assert!(history[1].text.starts_with("tester@here: email nobody → jane@acme.com"), "{}", history[1].text);
    let (first, last) = (&history[2], &history[0]);
    assert_eq!(first.request.as_ref().unwrap()["Email"], json!("nobody"));
    assert_eq!(first.response.as_ref().unwrap()["errors"][0]["statusCode"], json!("INVALID_EMAIL_ADDRESS"));
    assert_eq!(last.response.as_ref().unwrap()["success"], json!(true));
    // The spell of sending says the same in numbers.
    let runs = async || {
        let runs = world.handle.runs(Some("contact"), false, 100).await.unwrap();
        // One, or two where there were seconds between them.
        runs.into_iter().filter(|run| run.kind == RunKind::Send).fold((0, 0, 0, 0), |sum, run| {
            let invalid = run.codes.get("INVALID_EMAIL_ADDRESS").copied().unwrap_or_default();
            (sum.0 + run.records, sum.1 + run.changed, sum.2 + run.failed, sum.3 + invalid)
        })
    };
    world.until("the runs are kept", async || runs().await == (2, 1, 1, 1)).await;
    let refused = world.handle.runs(Some("nothing"), false, 10).await.unwrap_err().to_string();
    assert!(refused.contains("no mapping"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_are_kept_as_runs_and_failing_ones_as_one() {
    let world = World::start(MAPPINGS).await;
    let made = [("LastName".to_owned(), json!("Hopper"))].into_iter().collect();
    world.org.user_create("Contact", made).unwrap();
    let of = async |kind: RunKind, failed: bool| {
        let runs = world.handle.runs(Some("Contact"), failed, 100).await.unwrap();
        runs.into_iter().filter(|run| run.kind == kind).collect::<Vec<_>>()
    };
    world
        .until("the poll is kept", async || of(RunKind::Poll, false).await.iter().any(|run| run.changed == 1))
        .await;
    assert_eq!(of(RunKind::Load, false).await.len(), 1);
    world.org.change_faults(|faults| faults.query_timeout = 6);
    world
        .until("the failure is kept", async || {
            of(RunKind::Poll, true).await.iter().any(|run| run.codes.contains_key("QUERY_TIMEOUT"))
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_old_goes_and_what_must_stay_stays() {
    let world =
        World::start(&MAPPINGS.replace("poll_interval", "ignore_deletes = true\npoll_interval")).await;
    world
        .run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Doe', 'K1'), ('Roe', 'K2')")
        .await;
    world.until_quiet().await;
    world.run("DELETE FROM salesforce.contact WHERE external_id__c = 'K1'").await;
    world.until_quiet().await;
    world.handle.writes(Some("Contact"), Writes::Pause).await.unwrap();
    world.run("UPDATE salesforce.contact SET email = 'unsent@acme.com'").await;
    world.store.prune(Duration::ZERO, 1_000).await.unwrap();
    let count = async |of: &str| world.text(&format!("SELECT count(*)::text FROM {of}")).await.unwrap();
    assert_eq!(count("syncdeck.attempt").await, "0");
    // The delete that was not passed on keeps its record from coming back.
    let kept = "SELECT string_agg(action || ' ' || state, ',') FROM salesforce._trigger_log_archive";
    assert_eq!(world.text(kept).await.unwrap(), "DELETE IGNORED");
    assert_eq!(count("syncdeck.audit").await, "1");
    assert_eq!(count("salesforce._trigger_log").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_read_backwards_by_row_and_says_where_it_was_cut() {
    let world = World::start(&MAPPINGS.replace("poll_interval", "check = false\npoll_interval")).await;
    world
        .run(
            "INSERT INTO salesforce.contact (lastname, email, external_id__c) VALUES ('Doe', 'nobody', 'K1'), ('Roe', 'b@c.de', 'K2')",
        )
        .await;
    let of_row = async || world.handle.log_of(&contact(1), 10).await.unwrap();
    world.until("the rejection is in the log", async || !of_row().await.is_empty()).await;
    for record in of_row().await {
        assert_eq!((&record.fields["mapping"], &record.fields["row"]), (&json!("Contact"), &json!(1)));
    }
    let all = world.handle.log(None, 1_000).await.unwrap();
    let last = all.last().unwrap().id;
    let before = world.handle.log_before(last, 2).await.unwrap();
    assert_eq!(before, all[all.len() - 3..all.len() - 1]);
    assert_eq!(world.handle.log_before(last, 1_000).await.unwrap(), all[..all.len() - 1]);
    world.run(&format!("DELETE FROM syncdeck.log WHERE id < {}", before[0].id)).await;
    let cut = world.handle.log_before(last, 1_000).await.unwrap();
    assert_eq!((cut[0].fields["dropped"].clone(), &cut[1..]), (json!(before[0].id - 1), &before[..]));
}
