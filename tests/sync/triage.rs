//! What an operator is told of errors and of what became of them, with a real database and org: rows in their own words,
//! parents by their names, answers counted until each has come.

use syncdeck::client::api::{Count, ErrorQuery};
use syncdeck::domain::mappings::rules::MASK;
use syncdeck::domain::operations::answer::{Answer, Tally};
use syncdeck::domain::operations::operation::OperationKind;

use crate::operations::{OPEN, all, operation};
use crate::world::{MAPPINGS, World};

/// Contacts whose e-mail address has a comma, and one whose telephone number nothing mends.
async fn failing() -> World {
    let world = World::start(MAPPINGS).await;
    world
        .run(
            "INSERT INTO salesforce.contact (lastname, firstname, email, phone, external_id__c) VALUES
                 ('Huel', 'Dana', 'dana@yahoo,com', NULL, 'A'), ('Rau', 'Mara', 'mara@yahoo,com', NULL, 'B'),
                 ('Fay', 'Ola', NULL, 'call me maybe', 'C')",
        )
        .await;
    world.until_text(OPEN, "3").await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_is_told_in_the_words_of_its_row() {
    let world = failing().await;
    let query = ErrorQuery { filter: "needs:person".to_owned(), limit: 10, ..ErrorQuery::default() };
    let page = world.handle.errors(&query).await.unwrap();
    assert_eq!(world.handle.count("needs:person").await.unwrap(), Count { matching: 3, capped: false });
    let mut said = world.handle.summaries(&page.items).await.unwrap();
    said.sort_by(|a, b| a.name.cmp(&b.name));
    let told: Vec<(&str, &str, Option<&str>, Option<&str>)> = said
        .iter()
        .map(|words| {
            (words.name.as_str(), words.field.as_str(), words.value.as_deref(), words.becomes.as_deref())
        })
        .collect();
    assert_eq!(
        told,
        [
            ("Dana Huel", "Email", Some("dana@yahoo,com"), Some("dana@yahoo.com")),
            ("Mara Rau", "Email", Some("mara@yahoo,com"), Some("mara@yahoo.com")),
            ("Ola Fay", "Phone", Some("call me maybe"), None),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_mended_is_counted_until_salesforce_has_answered_each() {
    let world = failing().await;
    let handle = &world.handle;
    let plan = handle.plan(&all(""), OperationKind::Mend).await.unwrap();
    assert_eq!((plan.rows.len(), plan.persons.len()), (2, 1));
    assert_eq!(plan.persons[0].before.as_deref(), Some("call me maybe"));
    let sent: Vec<_> = handle.errors(&ErrorQuery { limit: 10, ..ErrorQuery::default() }).await.unwrap().items;
    let sent: Vec<_> = sent.iter().map(|error| (error.id, error.last_seen)).collect();
    let report = operation(handle, &all(""), OperationKind::Mend).await;
    let number = report.operation.unwrap();
    let left = "SELECT count(*)::text FROM syncdeck.error WHERE resolved_at IS NULL";
    world.until_text(left, "1").await;
    assert_eq!(handle.tally(number).await.unwrap(), Tally { taken: 2, ..Tally::default() });
    let answers = handle.answered(&sent).await.unwrap();
    assert_eq!(answers.iter().filter(|(_, answer)| *answer == Answer::Taken).count(), 2);
    // What is sent as it is comes back, and is found by the operation that sent it.
    let again = operation(handle, &all("field:phone"), OperationKind::Retry).await.operation.unwrap();
    let back = "SELECT (state = 'open' AND last_seen > (SELECT max(at) FROM syncdeck.audit))::text FROM syncdeck.error
         WHERE resolved_at IS NULL";
    world.until_text(back, "true").await;
    assert_eq!(handle.tally(again).await.unwrap(), Tally { rejected: 1, ..Tally::default() });
    let rejected = format!("operation:{again} state:open|review");
    assert_eq!(handle.count(&rejected).await.unwrap().matching, 1);
    assert_eq!(handle.count(&format!("operation:{number}")).await.unwrap().matching, 0);
    // What is taken back is counted as well, and what of it is rejected is found by that operation.
    let undone = operation(handle, &all(""), OperationKind::Undo(number)).await.operation.unwrap();
    world.until_text(left, "3").await;
    assert_eq!(handle.tally(undone).await.unwrap(), Tally { rejected: 2, ..Tally::default() });
    assert_eq!(handle.count(&format!("operation:{undone} state:open")).await.unwrap().matching, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lookup_finds_its_parent_by_name() {
    let world = World::start(MAPPINGS).await;
    world
        .run("INSERT INTO salesforce.account (name, external_id__c) VALUES ('Acme Ltd', 'A'), ('Zacme', 'B')")
        .await;
    world.until_quiet().await;
    let found = world.handle.parents("contact", "accountid", "acme").await.unwrap();
    let names: Vec<&str> = found.records.iter().map(|record| record.name.as_str()).collect();
    assert_eq!(names, ["Acme Ltd", "Zacme"]);
    let id = world.text("SELECT sfid FROM salesforce.account WHERE name = 'Acme Ltd'").await;
    assert_eq!(Some(found.records[0].key.clone()), id);
    // The same rows are found by their names where no id fits.
    let rows = world.handle.find_named("acme").await.unwrap().records;
    assert_eq!(rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["Acme Ltd", "Zacme"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_masked_value_is_in_no_line_and_in_no_table() {
    let world = World::start(&format!("{MAPPINGS}\n[mapping.field.Email]\nmask = true\n")).await;
    world
        .run("INSERT INTO salesforce.contact (lastname, email, external_id__c) VALUES ('Huel', 'dana@yahoo,com', 'A')")
        .await;
    world.until_text(OPEN, "1").await;
    let page = world.handle.errors(&ErrorQuery { limit: 10, ..ErrorQuery::default() }).await.unwrap();
    let said = world.handle.summaries(&page.items).await.unwrap();
    let plan = world.handle.plan(&all(""), OperationKind::Mend).await.unwrap();
    assert_eq!((said.len(), plan.rows.len()), (1, 1));
    let told = format!("{said:?} {:?} {:?}", plan.rows, plan.persons);
    assert!(told.contains(MASK) && !told.contains("yahoo"), "{told}");
}
