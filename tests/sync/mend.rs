//! The operator's loop: see what failed, mend it, see Salesforce take it.

use serde_json::json;
use syncdeck::client::api::ErrorQuery;
use syncdeck::domain::records::life::LifeStage;
use syncdeck::domain::records::record::{Edit, FieldEdit, SalesforceState};

use crate::world::{MAPPINGS, World, contact};

fn edit(shown: &str, new: &str) -> Edit {
    let field =
        FieldEdit { column: "email".to_owned(), shown: Some(shown.to_owned()), new: Some(new.to_owned()) };
    Edit { row: contact(1), fields: vec![field], retry: true }
}

async fn failing() -> World {
    // Salesforce itself is to say it.
    let world = World::start(&MAPPINGS.replace("poll_interval", "check = false\npoll_interval")).await;
    world.run("INSERT INTO salesforce.contact (lastname, email, external_id__c) VALUES ('Doe', 'jane@acme,com', 'K1')").await;
    world.until_text("SELECT _hc_lastop FROM salesforce.contact", "FAILED").await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_row_says_why_and_a_mended_one_goes_through_once() {
    let world = failing().await;
    let page = world
        .handle
        .errors(&ErrorQuery { filter: "field:email".to_owned(), limit: 10, ..ErrorQuery::default() })
        .await
        .unwrap();
    assert_eq!((page.items.len(), page.items[0].code.as_str()), (1, "INVALID_EMAIL_ADDRESS"));
    let record = world.handle.record(&contact(1)).await.unwrap();
    assert_eq!(record.advice.title, "Invalid e-mail address");
    assert_eq!(record.unit, "failed");
    let answers = record.life.answers.unwrap();
    assert_eq!((answers.count, answers.last.as_str()), (1, "rejected"));
    assert_eq!(record.life.stage, LifeStage::GivenUp { why: "waits for a person".to_owned() });
    assert!(record.life.captured_at.is_some_and(|captured| captured <= answers.last_at));
    let err: serde_json::Value =
        serde_json::from_str(&world.text("SELECT _hc_err FROM salesforce.contact").await.unwrap()).unwrap();
    assert_eq!(err["msg"], json!("Email: invalid email address: jane@acme,com"));
    let values = world.handle.salesforce_values(&contact(1)).await.unwrap();
    assert_eq!(values.state, SalesforceState::NoRecord);

    world.handle.save(&edit("jane@acme,com", "jane@acme.com")).await.unwrap();
    world.until_quiet().await;
    world.until_text("SELECT count(*)::text FROM syncdeck.error WHERE resolved_at IS NULL", "0").await;
    assert_eq!(world.record("Contact", "K1").unwrap()["Email"], json!("jane@acme.com"));
    assert_eq!(world.writes("create", "K1"), 1);
    // The edit is another change than the one that was rejected.
    let life = world.handle.record(&contact(1)).await.unwrap().life;
    assert!(matches!(life.stage, LifeStage::Accepted { at: Some(_) }), "{life:?}");
    let answers = life.answers.as_ref().map(|answers| (answers.count, answers.last.as_str()));
    assert_eq!(answers, Some((1, "accepted")));
    assert!(life.whole().is_some());
    let audit = "SELECT format('%s %s %s -> %s', actor, action, before ->> 'email', after ->> 'email') FROM syncdeck.audit";
    assert_eq!(world.text(audit).await.unwrap(), "tester@here edited jane@acme,com -> jane@acme.com");
    let values = world.handle.salesforce_values(&contact(1)).await.unwrap();
    assert_eq!(values.values["email"].as_deref(), Some("jane@acme.com"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_changed_under_the_editor_is_not_overwritten() {
    let world = failing().await;
    world.run("UPDATE salesforce.contact SET email = 'other@acme.com'").await;
    let refused = world.handle.save(&edit("jane@acme,com", "jane@acme.com")).await.unwrap_err().to_string();
    assert!(refused.contains("email was changed meanwhile: it is now \"other@acme.com\""), "{refused}");
    world.until_quiet().await;
    assert_eq!(world.record("Contact", "K1").unwrap()["Email"], json!("other@acme.com"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_rejection_stays_one_error_and_the_row_stays_failed() {
    let world = failing().await;
    world.handle.retry(&contact(1)).await.unwrap();
    world.until_text("SELECT count(*)::text FROM syncdeck.attempt", "2").await;
    world.until_text("SELECT _hc_lastop FROM salesforce.contact", "FAILED").await;
    assert!(world.text("SELECT _hc_err FROM salesforce.contact").await.is_some());
    assert_eq!(world.text("SELECT count(*)::text FROM syncdeck.error").await.unwrap(), "1");
    world.run("UPDATE salesforce.contact SET email = 'jane@acme.com'").await;
    world.until_quiet().await;
    let refused = world.handle.retry(&contact(1)).await.unwrap_err().to_string();
    assert!(refused.contains("no unsent change"), "{refused}");
}
