//! Changes on both sides of one field: who wins, and that what lost is kept.

use chrono::Utc;
use serde_json::{Value, json};
use syncdeck::domain::changes::merge::Side;
use syncdeck::domain::errors::remedy::RemedyAction;
use syncdeck::domain::records::record::{Conflict, Edit, FieldEdit};
use syncdeck::domain::reports::overview::Writes;

use crate::world::{World, contact};

/// One contact in step on both sides, under a policy; its writes rest.
async fn resting(rules: &str) -> (World, String) {
    let world = World::start(&format!(
        "[[mapping]]\nobject = \"Contact\"\nfields = [\"LastName\", \"FirstName\", \"Email\", \"Title\"]\n\
         external_id = \"External_Id__c\"\npoll_interval = \"200ms\"\n{rules}"
    ))
    .await;
    world
        .run(
            "INSERT INTO salesforce.contact (lastname, firstname, email, title, external_id__c)
             VALUES ('Doe', 'Jane', 'jane@acme.com', 'Dr', 'K1')",
        )
        .await;
    world.until_text("SELECT _hc_lastop FROM salesforce.contact", "SYNCED").await;
    world.handle.writes(Some("Contact"), Writes::Pause).await.unwrap();
    let id = world.org.find_by_external_id("Contact", "K1").unwrap();
    (world, id)
}

fn there(world: &World, id: &str, field: &str, value: &str) {
    world.org.user_update("Contact", id, [(field.to_owned(), json!(value))].into_iter().collect()).unwrap();
}

/// Salesforce stamps whole seconds: what comes in the next one is later beyond doubt.
async fn next_second(world: &World) {
    let now = Utc::now().timestamp();
    world.until("the next second", async || Utc::now().timestamp() > now).await;
}

/// Two whole polls.
async fn polls(world: &World) {
    for _ in 0..2 {
        let newest = "SELECT last_read::text FROM syncdeck.mapping";
        let last = world.text(newest).await;
        world.until("a poll", async || world.text(newest).await > last).await;
    }
}

async fn conflicts(world: &World) -> Vec<Conflict> {
    world.handle.record(&contact(1)).await.unwrap().conflicts
}

async fn row(world: &World, column: &str) -> Option<String> {
    world.text(&format!("SELECT {column} FROM salesforce.contact WHERE id = 1")).await
}

fn record(world: &World, field: &str) -> Value {
    world.record("Contact", "K1").unwrap()[field].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_that_changed_on_one_side_each_are_merged() {
    let (world, id) = resting("conflicts = \"manual\"").await;
    world.run("UPDATE salesforce.contact SET firstname = 'Janet'").await;
    there(&world, &id, "Title", "Prof");
    world.until("the row has it", async || row(&world, "title").await.as_deref() == Some("Prof")).await;
    world.handle.writes(Some("Contact"), Writes::Resume).await.unwrap();
    world.until("the record has it", async || record(&world, "FirstName") == json!("Janet")).await;
    polls(&world).await;
    assert_eq!(
        (record(&world, "Title"), row(&world, "firstname").await.as_deref()),
        (json!("Prof"), Some("Janet"))
    );
    assert!(conflicts(&world).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn salesforce_wins_the_field_and_the_rest_of_the_row_goes() {
    let (world, id) = resting("conflicts = \"salesforce_wins\"").await;
    world.run("UPDATE salesforce.contact SET email = 'ours@acme.com', firstname = 'Janet'").await;
    there(&world, &id, "Email", "theirs@acme.com");
    world
        .until("the row has it", async || row(&world, "email").await.as_deref() == Some("theirs@acme.com"))
        .await;
    world.handle.writes(Some("Contact"), Writes::Resume).await.unwrap();
    world.until("the rest went", async || record(&world, "FirstName") == json!("Janet")).await;
    world.until_quiet().await;
    assert_eq!(record(&world, "Email"), json!("theirs@acme.com"));
    let kept = conflicts(&world).await;
    let [conflict] = &kept[..] else { panic!("{kept:?}") };
    assert_eq!((conflict.column.as_str(), conflict.winner.as_deref()), ("email", Some("salesforce")));
    let values =
        [&conflict.base, &conflict.postgres, &conflict.salesforce].map(|value| value.as_deref().unwrap());
    assert_eq!(values, ["jane@acme.com", "ours@acme.com", "theirs@acme.com"]);
    assert_eq!(conflict.decided_by.as_deref(), Some("salesforce_wins"));
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_wins_where_one_field_says_so_against_the_mapping() {
    let rules = "conflicts = \"salesforce_wins\"\n[mapping.field.Email]\nconflicts = \"postgres_wins\"";
    let (world, id) = resting(rules).await;
    world.run("UPDATE salesforce.contact SET email = 'ours@acme.com'").await;
    there(&world, &id, "Email", "theirs@acme.com");
    world.until("it is decided", async || conflicts(&world).await.len() == 1).await;
    world.handle.writes(Some("Contact"), Writes::Resume).await.unwrap();
    world.until("it went", async || record(&world, "Email") == json!("ours@acme.com")).await;
    let kept = conflicts(&world).await;
    assert_eq!(kept[0].salesforce.as_deref(), Some("theirs@acme.com"));
    assert_eq!(kept[0].winner.as_deref(), Some("postgres"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_later_change_wins_by_default() {
    let (world, id) = resting("").await;
    // Within one second ours counts as the later. Until that is there, no poll may bring theirs.
    world.run("BEGIN; SELECT FROM salesforce.contact FOR UPDATE").await;
    there(&world, &id, "Email", "theirs@acme.com");
    world.run("UPDATE salesforce.contact SET email = 'ours@acme.com', title = 'Mx'; COMMIT").await;
    // A record has one time for all its fields: the first change must be read before the next one.
    world.until("theirs was read", async || !conflicts(&world).await.is_empty()).await;
    next_second(&world).await;
    there(&world, &id, "Title", "Prof");
    world
        .until("the later title is in the row", async || {
            row(&world, "title").await.as_deref() == Some("Prof")
        })
        .await;
    world.handle.writes(Some("Contact"), Writes::Resume).await.unwrap();
    world
        .until("the later address is in the record", async || {
            record(&world, "Email") == json!("ours@acme.com")
        })
        .await;
    world.until_quiet().await;
    assert_eq!(
        (record(&world, "Title"), row(&world, "email").await.as_deref()),
        (json!("Prof"), Some("ours@acme.com"))
    );
    let lost = conflicts(&world).await;
    let title = lost.iter().find(|conflict| conflict.column == "title").unwrap();
    assert_eq!((title.postgres.as_deref(), title.winner.as_deref()), (Some("Mx"), Some("salesforce")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_chooses_field_by_field_and_both_values_wait() {
    let (world, id) = resting("conflicts = \"manual\"").await;
    let email = |side| [("email".to_owned(), side)];
    world.run("UPDATE salesforce.contact SET email = 'ours@acme.com', title = 'Mx'").await;
    there(&world, &id, "Email", "theirs@acme.com");
    there(&world, &id, "Title", "Prof");
    world.until("both are known", async || conflicts(&world).await.len() == 2).await;
    world.handle.writes(Some("Contact"), Writes::Resume).await.unwrap();
    let error = "SELECT format('%s %s %s %s', state, code, category, fields) FROM syncdeck.error WHERE resolved_at IS NULL";
    world.until_text(error, "open CONFLICT consistency {Email,Title}").await;
    assert_eq!(row(&world, "email").await.as_deref(), Some("ours@acme.com"));
    assert_eq!(record(&world, "Email"), json!("theirs@acme.com"));
    world.handle.choose(&contact(1), &email(Side::Salesforce)).await.unwrap();
    let again = world.handle.choose(&contact(1), &email(Side::Postgres)).await.unwrap_err().to_string();
    assert!(again.contains("has no open conflict"), "{again}");
    world.until_text(error, "open CONFLICT consistency {Title}").await;
    assert_eq!(row(&world, "email").await.as_deref(), Some("theirs@acme.com"));
    // The rest by the remedy of the error.
    let view = world.handle.record(&contact(1)).await.unwrap();
    let ours =
        view.advice.remedies.iter().find(|o| o.action == Some(RemedyAction::Choose(Side::Postgres))).unwrap();
    world.handle.apply(&contact(1), ours).await.unwrap();
    world.until("it went", async || record(&world, "Title") == json!("Mx")).await;
    world.until_quiet().await;
    assert_eq!(
        (record(&world, "Email"), row(&world, "title").await.as_deref()),
        (json!("theirs@acme.com"), Some("Mx"))
    );
    world.until_text("SELECT count(*)::text FROM syncdeck.error WHERE resolved_at IS NULL", "0").await;
    let audit = "SELECT string_agg(action, ', ' ORDER BY id) FROM syncdeck.audit WHERE record_id = 1";
    assert_eq!(world.text(audit).await.unwrap(), "chose Salesforce's value, chose the row's value");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_failed_does_not_win_long_afterwards_by_itself() {
    let (world, id) = resting("").await;
    world.handle.writes(Some("Contact"), Writes::Resume).await.unwrap();
    world.run("UPDATE salesforce.contact SET email = 'nobody'").await;
    world.until_text("SELECT _hc_lastop FROM salesforce.contact", "FAILED").await;
    next_second(&world).await;
    there(&world, &id, "Email", "theirs@acme.com");
    world.until("it is known", async || conflicts(&world).await.len() == 1).await;
    assert_eq!(conflicts(&world).await[0].winner, None);
    assert_eq!(row(&world, "email").await.as_deref(), Some("nobody"));
    // Whoever mends it has chosen.
    let fields = vec![FieldEdit {
        column: "email".to_owned(),
        shown: Some("nobody".to_owned()),
        new: Some("mended@acme.com".to_owned()),
    }];
    world.handle.save(&Edit { row: contact(1), fields, retry: true }).await.unwrap();
    world.until("it went", async || record(&world, "Email") == json!("mended@acme.com")).await;
    assert_eq!(conflicts(&world).await[0].decided_by.as_deref(), Some("tester@here"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_deleted_while_its_row_changed_goes_by_the_policy_too() {
    let (world, id) = resting("conflicts = \"salesforce_wins\"").await;
    world.run("UPDATE salesforce.contact SET email = 'ours@acme.com'").await;
    world.org.user_delete("Contact", &id).unwrap();
    world.until_text("SELECT count(*)::text FROM salesforce.contact", "0").await;
    let kept = "SELECT format('%s %s %s', column_name, postgres, winner) FROM syncdeck.conflict";
    assert_eq!(world.text(kept).await.unwrap(), "* {\"email\":\"ours@acme.com\"} salesforce");
    let why =
        "SELECT state || ': ' || sf_message FROM salesforce._trigger_log_archive ORDER BY id DESC LIMIT 1";
    assert_eq!(world.text(why).await.unwrap(), "IGNORED: deleted in Salesforce, which wins");
    // Where the row wins, its change is an error that says what happened, and nothing is lost.
    let (world, id) = resting("conflicts = \"postgres_wins\"").await;
    world.run("UPDATE salesforce.contact SET email = 'ours@acme.com'").await;
    world.org.user_delete("Contact", &id).unwrap();
    world.handle.writes(Some("Contact"), Writes::Resume).await.unwrap();
    world.until_text("SELECT code FROM syncdeck.error WHERE resolved_at IS NULL", "ENTITY_IS_DELETED").await;
    assert_eq!(row(&world, "email").await.as_deref(), Some("ours@acme.com"));
    let view = world.handle.record(&contact(1)).await.unwrap();
    let create = |offer: &&syncdeck::domain::errors::remedy::SuggestedFix| matches!(&offer.action, Some(RemedyAction::Rule { key, .. }) if key == "create_if_missing");
    let create = view.advice.remedies.iter().find(create).unwrap();
    world.handle.apply(&contact(1), create).await.unwrap();
    world
        .until("it is there again", async || {
            world.record("Contact", "K1").is_some_and(|record| record["Email"] == json!("ours@acme.com"))
        })
        .await;
}
