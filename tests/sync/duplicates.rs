//! A row that is refused because a record has the same: looked at beside that record and its row, and made one with them.

use serde_json::json;
use tokio_util::sync::CancellationToken;

use syncdeck::client::operations::execute::Targets;
use syncdeck::domain::names::{RowId, RowRef};
use syncdeck::domain::operations::operation::{Confirm, OperationKind, Report};
use syncdeck::domain::records::duplicate::{Duplicate, Whose};

use crate::world::World;

/// A poll that has a row in hand is told as somebody who is changing it.
const CONTACTS: &str = r#"
[[mapping]]
object = "Contact"
fields = ["LastName", "FirstName", "Legacy_Code__c", "External_Id__c"]
external_id = "External_Id__c"
poll_interval = "1h"
"#;

const ERROR: &str =
    "SELECT max(id)::text FROM syncdeck.error WHERE resolved_at IS NULL AND code = 'DUPLICATE_VALUE'";

fn row(row: i32) -> RowRef {
    RowRef { table: "contact".to_owned(), row: RowId(row) }
}

/// A record of Ada Doe with its row, the first; a second row that is refused, for it has the same code. The record, and the
/// error's number.
async fn refused() -> (World, String, i64) {
    let world = World::with(CONTACTS, |org| {
        let fields = json!({"LastName": "Doe", "FirstName": "Ada", "Legacy_Code__c": "L77", "External_Id__c": "THEIRS"});
        org.user_create("Contact", fields.as_object().unwrap().clone()).unwrap();
    })
    .await;
    let theirs = world.org.find_by_external_id("Contact", "THEIRS").unwrap();
    world.until_text("SELECT count(*)::text FROM salesforce.contact", "1").await;
    world
        .run("INSERT INTO salesforce.contact (lastname, legacy_code__c, external_id__c) VALUES ('Roe', 'L77', 'K1')")
        .await;
    world.until("it fails", async || world.text(ERROR).await.is_some()).await;
    let id = world.text(ERROR).await.unwrap().parse().unwrap();
    (world, theirs, id)
}

/// The merge in which fields have these values, and all others those of the row.
async fn merged(world: &World, id: i64, found: &Duplicate, chosen: &[(&str, Whose)]) -> Report {
    let whose =
        |name: &str| chosen.iter().find(|(of, _)| *of == name).map_or(Whose::Row, |(_, whose)| *whose);
    let chosen: Vec<Whose> = found.fields.iter().map(|field| whose(&field.name)).collect();
    let kind = OperationKind::Merge(Box::new(found.merge(&chosen)));
    let plan = world.handle.plan(&Targets::Ids(vec![id]), kind).await.unwrap();
    assert_eq!((plan.confirm, plan.preview.removed, plan.len()), (Confirm::Yes, 1, 1), "{plan:?}");
    world.handle.execute(&plan, Some("one person"), &|_| {}, &CancellationToken::new()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_is_merged_field_by_field_and_its_values_are_taken_back() {
    let (world, theirs, id) = refused().await;
    let found = world.handle.duplicate(&row(2)).await.unwrap();
    assert_eq!(
        (found.other, found.sfid.as_str(), found.against.error),
        (Some(RowId(1)), theirs.as_str(), id)
    );
    let shown: Vec<[Option<&str>; 4]> = found
        .fields
        .iter()
        .map(|field| {
            let [other, row, record] = [&field.other, &field.row, &field.record].map(Option::as_deref);
            [Some(field.name.as_str()), other, row, record]
        })
        .collect();
    assert_eq!(
        shown,
        [
            [Some("LastName"), Some("Doe"), Some("Roe"), Some("Doe")],
            [Some("FirstName"), Some("Ada"), None, Some("Ada")],
            [Some("External_Id__c"), Some("THEIRS"), Some("K1"), Some("THEIRS")],
        ]
    );
    let report =
        merged(&world, id, &found, &[("LastName", Whose::Record), ("FirstName", Whose::Other)]).await;
    assert_eq!(report.done, 1, "{report:?}");
    let told = &report.items[0].message;
    assert!(told.contains(&theirs) && told.contains("the row 1 is removed"), "{told}");
    world.until_text("SELECT count(*)::text FROM syncdeck.error WHERE resolved_at IS NULL", "0").await;
    world
        .until_text(
            "SELECT id || ' ' || sfid || ' ' || lastname || ' ' || firstname || ' ' || _hc_lastop FROM salesforce.contact",
            &format!("2 {theirs} Doe Ada UPDATED"),
        )
        .await;
    assert_eq!(world.org.ids("Contact").len(), 1);
    let record = world.org.record("Contact", &theirs).unwrap();
    assert_eq!(
        (&record["LastName"], &record["FirstName"], &record["External_Id__c"]),
        (&json!("Doe"), &json!("Ada"), &json!("K1"))
    );
    // The audit has all of it under one number, with the values of the row that went.
    let audited = "SELECT string_agg(action || ' ' || record_id, ', ' ORDER BY id) || ' ' || count(DISTINCT act) FROM syncdeck.audit";
    assert_eq!(world.text(audited).await.unwrap(), "replaced 1, edited 2, linked 2 1");

    // Taken back are the values; the record stays the row's.
    let undo = OperationKind::Undo(report.operation.unwrap());
    let plan = world.handle.plan(&Targets::Ids(Vec::new()), undo).await.unwrap();
    let back = world.handle.execute(&plan, None, &|_| {}, &CancellationToken::new()).await.unwrap();
    assert_eq!((back.done, back.skipped, back.failed), (1, 2, 0), "{back:?}");
    world
        .until("the record has them", async || {
            world.org.record("Contact", &theirs).unwrap()["LastName"] == json!("Roe")
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_as_it_was_looked_at_is_not_merged() {
    let (world, theirs, id) = refused().await;
    let found = world.handle.duplicate(&row(2)).await.unwrap();
    world.run("UPDATE salesforce.contact SET lastname = 'Poe' WHERE id = 2").await;
    let report = merged(&world, id, &found, &[("LastName", Whose::Record)]).await;
    assert_eq!((report.done, report.failed), (0, 1), "{report:?}");
    assert_eq!(world.text("SELECT count(*)::text FROM salesforce.contact").await.unwrap(), "2");
    assert_eq!(world.text("SELECT count(*)::text FROM syncdeck.audit").await.unwrap(), "0");
    assert_eq!(world.org.record("Contact", &theirs).unwrap()["LastName"], json!("Doe"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_no_duplicate_has_nothing_to_compare() {
    let (world, ..) = refused().await;
    let refused = world.handle.duplicate(&row(1)).await.unwrap_err().to_string();
    assert!(refused.contains("of no duplicate"), "{refused}");
}
