//! What would harm somebody's data or a running production is not done by a late, a doubled or a thoughtless request.

use std::process::{Command, Output};

use syncdeck::client::operations::execute::Targets;
use syncdeck::domain::errors::remedy::{RemedyAction, SuggestedFix};
use syncdeck::domain::operations::operation::{OperationKind, RowStatus};
use syncdeck::domain::records::record::RecordView;
use syncdeck::domain::reports::overview::Writes;
use tokio_util::sync::CancellationToken;

use crate::world::{MAPPINGS, World, contact};

const OPEN: &str = "SELECT count(*)::text FROM syncdeck.error WHERE state = 'open'";
const EMAIL: &str = "SELECT email FROM salesforce.contact WHERE id = 1";

/// A contact whose address fails.
async fn failing(email: &str) -> World {
    let world = World::start(MAPPINGS).await;
    world
        .run(&format!(
            "INSERT INTO salesforce.contact (lastname, email, external_id__c) VALUES ('Doe', '{email}', 'K1')"
        ))
        .await;
    world.until_text(OPEN, "1").await;
    world
}

fn offered(record: &RecordView, is: impl Fn(&SuggestedFix) -> bool) -> SuggestedFix {
    let offers = &record.advice.remedies;
    offers.iter().find(|offer| is(offer)).unwrap_or_else(|| panic!("{offers:#?}")).clone()
}

async fn run(world: &World, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_syncdeck"));
    command.args(arguments).arg("--config").arg(&world.config.path);
    command.stdin(std::process::Stdio::null());
    let output: Output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code(), text)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_offered_for_a_value_does_nothing_to_the_one_that_was_just_mended() {
    let world = failing("jane@acme,com").await;
    let seen = world.handle.record(&contact(1)).await.unwrap();
    let (dot, clear) = (offered(&seen, |o| o.number == Some(1)), offered(&seen, |o| o.clears));
    assert_eq!((clear.action.as_ref(), dot.clears), (Some(&RemedyAction::Clear), false));
    // It stays on its way while the writes rest.
    world.handle.writes(Some("Contact"), Writes::Pause).await.unwrap();
    world.handle.apply(&contact(1), &dot).await.unwrap();
    let record = world.handle.record(&contact(1)).await.unwrap();
    assert!(record.is_being_sent() && record.advice.remedies.is_empty(), "{:#?}", record.advice);
    assert!(!record.advice.title.is_empty() && record.error.is_some());
    for late in [&dot, &clear] {
        let refused = world.handle.apply(&contact(1), late).await.unwrap_err().to_string();
        assert!(refused.contains("it is being sent"), "{refused}");
    }
    let id = seen.error.unwrap().id.to_string();
    for number in ["1", "2", "3"] {
        let (status, said) = run(&world, &["fix", &id, "--remedy", number, "--yes"]).await;
        assert!(status == Some(1) && said.contains("it is being sent"), "{said}");
    }
    assert_eq!(world.text(EMAIL).await.as_deref(), Some("jane@acme.com"));
    world.handle.writes(Some("Contact"), Writes::Resume).await.unwrap();
    world.until_quiet().await;
    assert_eq!(world.record("Contact", "K1").unwrap()["Email"], "jane@acme.com");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_offered_for_one_error_does_nothing_to_the_next_one_of_the_same_value() {
    let world = failing("jane@acme,com").await;
    let before = world.handle.record(&contact(1)).await.unwrap();
    let seen = "SELECT last_seen::text FROM syncdeck.error";
    let first = world.text(seen).await.unwrap();
    // Somebody else sends it again, and it is rejected again.
    world.handle.retry(&contact(1)).await.unwrap();
    world
        .until("it was rejected again", async || {
            world.text(seen).await.unwrap() != first && world.text(OPEN).await.as_deref() == Some("1")
        })
        .await;
    let audit = "SELECT count(*)::text FROM syncdeck.audit";
    let operations = world.text(audit).await;
    for offer in before.advice.remedies.iter().filter(|offer| offer.action.is_some()) {
        let refused = world.handle.apply(&contact(1), offer).await.unwrap_err().to_string();
        assert!(refused.contains("its error is another one by now"), "{offer:?}: {refused}");
    }
    assert_eq!(
        (world.text(EMAIL).await.as_deref(), world.text(audit).await),
        (Some("jane@acme,com"), operations)
    );
    let set = "SELECT count(*)::text FROM syncdeck.setting WHERE key LIKE 'Email.%'";
    assert_eq!(world.text(set).await.as_deref(), Some("0"), "nor is a rule of the mapping set");
    // One that was offered for what is there now is done.
    let now = world.handle.record(&contact(1)).await.unwrap();
    world.handle.apply(&contact(1), &offered(&now, |o| o.number == Some(1))).await.unwrap();
    world.until_quiet().await;
    assert_eq!(world.record("Contact", "K1").unwrap()["Email"], "jane@acme.com");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_empties_no_value_and_sets_no_rule_without_a_yes() {
    let world = failing("call me maybe").await;
    let record = world.handle.record(&contact(1)).await.unwrap();
    let id = record.error.as_ref().unwrap().id.to_string();
    let number = |offer: SuggestedFix| offer.number.unwrap().to_string();
    let clear = number(offered(&record, |offer| offer.clears));
    let rule = number(offered(&record, |offer| matches!(offer.action, Some(RemedyAction::Rule { .. }))));
    assert_ne!(clear, "1");
    for (number, words) in [(&clear, "call me maybe"), (&rule, "the mapping Contact for all of its rows")] {
        let (status, said) = run(&world, &["fix", &id, "--remedy", number]).await;
        assert_eq!(status, Some(2), "{said}");
        assert!(said.contains(words) && said.contains("--yes"), "{said}");
    }
    assert_eq!(world.text(EMAIL).await.as_deref(), Some("call me maybe"));
    let (status, said) = run(&world, &["fix", &id, "--remedy", &clear, "--yes", "--wait"]).await;
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(world.text("SELECT (email IS NULL)::text FROM salesforce.contact").await.unwrap(), "true");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_rows_are_mended_each_by_its_own_first_remedy_that_passes() {
    let world = World::start(MAPPINGS).await;
    world
        .run(
            "INSERT INTO salesforce.contact (lastname, email, phone, external_id__c) VALUES
                 ('Doe', 'jane@acme,com', NULL, 'K1'), ('Doe', 'call me maybe', NULL, 'K2'),
                 ('Doe', 'jo hn@acme.com', NULL, 'K3'), ('Doe', 'John <john@acme.com>', NULL, 'K4'),
                 ('Doe', 'nobody', NULL, 'K5')",
        )
        .await;
    world.until_text(OPEN, "5").await;
    let chosen = Targets::Filter("mapping:contact".to_owned());
    let plan = world.handle.plan(&chosen, OperationKind::Mend).await.unwrap();
    let preview = &plan.preview;
    assert_eq!((preview.selected, preview.touched, preview.passing), (5, 3, 3), "{preview:#?}");
    let left: Vec<(&String, &usize)> = preview.left.iter().collect();
    assert!(left.len() == 1 && left[0].0.starts_with("needs a person") && *left[0].1 == 2, "{left:?}");
    let mut becomes: Vec<(i32, Option<&str>, Option<&str>)> = preview
        .sample
        .iter()
        .map(|sample| (sample.row.row.0, sample.before.as_deref(), sample.after.as_deref()))
        .collect();
    becomes.sort_unstable();
    assert_eq!(
        becomes,
        [
            (1, Some("jane@acme,com"), Some("jane@acme.com")),
            (3, Some("jo hn@acme.com"), Some("john@acme.com")),
            (4, Some("John <john@acme.com>"), Some("john@acme.com")),
        ]
    );
    // One of them is changed by somebody else before it is carried out.
    world.run("UPDATE salesforce.contact SET email = 'other@acme.com' WHERE id = 4").await;
    let report = world.handle.execute(&plan, None, &|_| {}, &CancellationToken::new()).await.unwrap();
    let done = report.items.iter().filter(|item| item.result == RowStatus::Done).count();
    assert_eq!((done, report.failed), (2, 0), "{report:#?}");
    world.until_quiet().await;
    let emails = "SELECT string_agg(email, ' ' ORDER BY id) FROM salesforce.contact";
    assert_eq!(
        world.text(emails).await.unwrap(),
        "jane@acme.com call me maybe john@acme.com other@acme.com nobody"
    );
    assert_eq!(world.record("Contact", "K3").unwrap()["Email"], "john@acme.com");
    world.until_text(OPEN, "2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_production_a_script_stops_no_writes_without_a_yes() {
    let world = World::start(MAPPINGS).await;
    let written = world.written();
    for environment in ["prod", "Production", "live"] {
        world.write(&written.replace("environment = \"test\"", &format!("environment = \"{environment}\"")));
        for arguments in [
            ["mapping", "Contact", "pause"],
            ["mapping", "Contact", "drain"],
            ["mapping", "all", "pause"],
            ["mapping", "all", "drain"],
            ["mapping", "Contact", "strategy=fail_fast"],
        ] {
            let (status, said) = run(&world, &arguments).await;
            assert_eq!(status, Some(2), "{arguments:?}: {said}");
            assert!(said.contains(environment) && said.contains("--yes"), "{arguments:?}: {said}");
        }
    }
    let states = world.handle.overview().await.unwrap().mappings;
    assert!(
        states.iter().all(|mapping| mapping.state.word() == "ok" && mapping.strategy == "skip"),
        "{states:#?}"
    );
    let (status, said) = run(&world, &["mapping", "Contact", "pause", "--yes"]).await;
    assert!(status == Some(0) && said.contains("its writes rest"), "{said}");
    // What lets them go on needs none.
    let (status, said) = run(&world, &["mapping", "Contact", "resume"]).await;
    assert!(status == Some(0) && said.contains("its writes go on"), "{said}");
}
