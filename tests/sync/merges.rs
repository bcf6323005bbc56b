//! Rows that are the same thing made one, what is refused of that, and the way back.

use serde_json::{Value, json};
use syncdeck::domain::names::RowId;
use syncdeck::domain::operations::operation::RowStatus;

use crate::consistency::WATCHED;
use crate::operations::undo;
use crate::support::operation;
use crate::world::{World, contact};

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_the_same_are_merged_into_the_one_that_is_named() {
    let world = World::watched(WATCHED, 4).await;
    world
        .run(
            "INSERT INTO salesforce.contact (lastname, email, phone, external_id__c)
             VALUES ('Jane', 'jane@acme.com', NULL, 'J1'), ('Jane Doe', 'JANE@acme.com', '+1 415 555 0100', 'J2')",
        )
        .await;
    world.until_quiet().await;
    world.compared().await;
    let error = world.listed("DUPLICATE_ROWS").await;
    let (first, second) = (world.row_of("J1").await, world.row_of("J2").await);
    assert_eq!((error.row_id, error.fields), (Some(RowId(first)), vec!["Email".to_owned()]));
    assert!(error.message.contains(&format!("the row {second} has the same")), "{}", error.message);
    let stranger =
        world.handle.merge(&contact(first), Some(RowId(second + 1))).await.unwrap_err().to_string();
    assert!(stranger.contains("is not among those that are the same thing"), "{stranger}");
    // A row that the engine has in hand just then is refused; one tries again.
    let merge = async || world.handle.merge(&contact(first), Some(RowId(first))).await.is_ok();
    world.until("they are merged", merge).await;
    world.until_quiet().await;
    world.until_found(&[]).await;
    assert!(world.record("Contact", "J2").is_none());
    let merged = world.record("Contact", "J1").unwrap();
    assert_eq!((&merged["LastName"], &merged["Phone"]), (&json!("Jane"), &json!("+1 415 555 0100")));
    let last = world.handle.last_operation().await.unwrap();
    assert_eq!((last.action.as_str(), last.rows), ("merged", 2));
}

/// What an application keeps beside the mapped columns: of types that print in their own ways, one too narrow, one computed.
const OWN_COLUMNS: &str = r#"ALTER TABLE salesforce.contact ADD "it's" text, ADD tags text[], ADD settings jsonb,
    ADD code character(3), ADD flags bit(4), ADD seen timestamptz,
    ADD shout text GENERATED ALWAYS AS (upper(lastname)) STORED"#;
const OWN: &str = r#"SELECT concat_ws('|', lastname, email, phone, "it's", tags, settings, code, flags, seen AT TIME ZONE 'UTC', shout)
    FROM salesforce.contact WHERE external_id__c = 'J2'"#;

/// Two rows that are the same, of which the second has columns of an application; after a comparison.
async fn doubled() -> World {
    let world = World::watched(WATCHED, 4).await;
    world.run(OWN_COLUMNS).await;
    world
        .run(
            r#"INSERT INTO salesforce.contact (lastname, email, phone, external_id__c, "it's", tags, settings, code, flags, seen)
             VALUES ('Jane', 'jane@acme.com', NULL, 'J1', NULL, NULL, NULL, NULL, NULL, NULL),
                 ('Jane Doe', 'JANE@acme.com', '+1 415 555 0100', 'J2', 'o''clock', '{a,"b,c"}', '{"a": "{}"}', 'xyz',
                  B'1010', '2026-02-03 04:05:06+00')"#,
        )
        .await;
    world.until_quiet().await;
    world.compared().await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_is_taken_back_whole_with_a_record_of_its_own() {
    let world = doubled().await;
    let (first, second) = (world.row_of("J1").await, world.row_of("J2").await);
    let (own, gone) = (world.text(OWN).await.unwrap(), world.record("Contact", "J2").unwrap());
    let merge = async || world.handle.merge(&contact(first), Some(RowId(first))).await.is_ok();
    world.until("they are merged", merge).await;
    world.until("its record is gone", async || world.record("Contact", "J2").is_none()).await;
    world.until_quiet().await;
    let merged = world.handle.last_operation().await.unwrap().operation;
    let back = undo(&world.handle, merged).await;
    assert_eq!((back.done, back.failed, back.skipped), (2, 0, 0), "{back:?}");
    assert_eq!((world.text(OWN).await.unwrap(), world.row_of("J2").await), (own, second));
    world.until_quiet().await;
    let (kept, new) = (world.record("Contact", "J1").unwrap(), world.record("Contact", "J2").unwrap());
    assert_eq!((&kept["LastName"], &kept["Phone"]), (&json!("Jane"), &Value::Null));
    assert_eq!((&new["LastName"], &new["Phone"]), (&gone["LastName"], &gone["Phone"]));
    assert_ne!(new["Id"], gone["Id"]);
    // They are the same again, and said to be so.
    world.compared().await;
    world.until_found(&[&format!("DUPLICATE_ROWS open {first}")]).await;
    // What an application made of its own columns meanwhile is left alone, and can be taken back to what it was.
    world.run("UPDATE salesforce.contact SET tags = '{new}' WHERE external_id__c = 'J2'").await;
    let left = undo(&world.handle, back.operation.unwrap()).await;
    assert_eq!((left.done, left.skipped), (1, 1), "{left:?}");
    assert_eq!(undo(&world.handle, left.operation.unwrap()).await.done, 1);
    world.run("UPDATE salesforce.contact SET tags = '{a,\"b,c\"}' WHERE external_id__c = 'J2'").await;
    world.until_quiet().await;
    // What was taken back can be done again, although Salesforce gave the row an id and times since.
    // The row that stayed had its part of it done and taken back already.
    let again = undo(&world.handle, back.operation.unwrap()).await;
    assert_eq!((again.done, again.failed, again.skipped), (1, 0, 1), "{again:?}");
    world.until("its record is gone again", async || world.record("Contact", "J2").is_none()).await;
    world.until_quiet().await;
    assert_eq!(world.writes("create", "J2"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_is_taken_back_before_any_of_it_was_sent() {
    let mut world = doubled().await;
    world.stop_engine().await;
    let (first, second) = (world.row_of("J1").await, world.row_of("J2").await);
    let own = world.text(OWN).await.unwrap();
    world.handle.merge(&contact(first), Some(RowId(first))).await.unwrap();
    let merged = world.handle.last_operation().await.unwrap().operation;
    let back = undo(&world.handle, merged).await;
    assert_eq!((back.done, back.failed, back.skipped), (2, 0, 0), "{back:?}");
    assert_eq!((world.text(OWN).await.unwrap(), world.row_of("J2").await), (own, second));
    world.start_engine().await;
    world.until_quiet().await;
    let sfid = world.text("SELECT sfid FROM salesforce.contact WHERE external_id__c = 'J2'").await.unwrap();
    let (kept, new) = (world.record("Contact", "J1").unwrap(), world.record("Contact", "J2").unwrap());
    assert_eq!((&kept["Phone"], &new["Phone"]), (&Value::Null, &json!("+1 415 555 0100")));
    assert_eq!(new["Id"], json!(sfid));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_row_that_comes_back_has_no_place_for_is_told() {
    let world = doubled().await;
    let first = world.row_of("J1").await;
    let merge = async || world.handle.merge(&contact(first), Some(RowId(first))).await.is_ok();
    world.until("they are merged", merge).await;
    world.until_quiet().await;
    world.run("ALTER TABLE salesforce.contact DROP tags, DROP code, ADD code character(2)").await;
    let merged = world.handle.last_operation().await.unwrap().operation;
    let failed = undo(&world.handle, merged).await;
    assert_eq!((failed.done, failed.failed), (1, 1), "{failed:?}");
    assert!(failed.reasons(RowStatus::Failed)[0].0.contains("value too long"), "{failed:?}");
    world.run("ALTER TABLE salesforce.contact DROP code").await;
    // What failed was not taken back, and can be.
    let back = undo(&world.handle, merged).await;
    assert_eq!((back.done, back.skipped), (1, 1), "{back:?}");
    let told = &back.reasons(RowStatus::Done)[0].0;
    assert!(told.starts_with("the row is back, but for columns that are gone: code, tags"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_not_the_same_any_more_are_not_merged() {
    let mut world = World::watched(WATCHED, 4).await;
    world
        .run(
            "INSERT INTO salesforce.contact (lastname, email, external_id__c)
             VALUES ('Jane', 'jane@acme.com', 'J1'), ('Jane Doe', 'JANE@acme.com', 'J2')",
        )
        .await;
    world.until_quiet().await;
    let (first, second) = (world.row_of("J1").await, world.row_of("J2").await);
    // Somebody merges what was the same when they looked.
    world.run("UPDATE salesforce.contact SET email = 'roe@acme.com' WHERE external_id__c = 'J2'").await;
    world.until_quiet().await;
    // Nobody else locks a row meanwhile.
    world.stop_engine().await;
    let merge = async |rows: &[RowId]| {
        world.store.merge_rows(&contact(first), rows, &operation("jane")).await.unwrap_err().to_string()
    };
    let refused = merge(&[RowId(second)]).await;
    assert!(refused.contains("they are not the same thing any more\ncompare again"), "{refused}");
    assert_eq!(world.row_of("J2").await, second);
    let many: Vec<RowId> = (first + 1..=first + 100).map(RowId).collect();
    let many = merge(&many).await;
    assert!(many.contains("more than 100 rows are not merged at once"), "{many}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_others_name_is_not_merged_away() {
    let mappings = WATCHED
        .replace("fields = [\"Name\", \"Phone\"]", "fields = [\"Name\", \"Phone\"]\nmatch = \"Phone\"");
    let mappings = mappings.replace("verify = \"off\"\n", "");
    let world = World::watched_all(&mappings).await;
    world
        .run(
            "INSERT INTO salesforce.account (name, phone, external_id__c)
             VALUES ('Acme', '(415) 555-0100', 'A1'), ('Acme Inc.', '415 555 0100', 'A2')",
        )
        .await;
    world.until_quiet().await;
    let id = world.record("Account", "A2").unwrap()["Id"].as_str().unwrap().to_owned();
    world
        .run(&format!("INSERT INTO salesforce.contact (lastname, accountid, external_id__c) VALUES ('Doe', '{id}', 'C1')"))
        .await;
    world.until_quiet().await;
    world.due().await;
    world.until("the accounts are listed", async || world.findings().await.len() == 1).await;
    let error = world.listed("DUPLICATE_ROWS").await;
    let refused = world.handle.merge(&error.row().unwrap(), None).await.unwrap_err().to_string();
    assert!(refused.contains("of contact refers to one that would go, by AccountId"), "{refused}");
    assert!(world.record("Account", "A2").is_some());
}
