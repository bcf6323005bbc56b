//! The rows around one.

use syncdeck::domain::names::{RowId, RowRef};

use crate::world::{INVOICES, MAPPINGS, World, contact};

async fn told(world: &World, row: &RowRef) -> Vec<String> {
    let relatives = world.handle.relatives(row).await.unwrap();
    let line = |relative: &syncdeck::domain::records::record::Relative| {
        let way = if relative.is_parent { "parent" } else { "child" };
        let error = if relative.error.is_some() { "with an error" } else { "well" };
        format!(
            "{way} {} {} by {}: {}, {error}",
            relative.mapping, relative.row.row, relative.field, relative.unit
        )
    };
    relatives.iter().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lookup_leads_to_the_parent_and_back_to_the_children_that_failed() {
    let world = World::start(MAPPINGS).await;
    world.run("INSERT INTO salesforce.account (name, external_id__c) VALUES ('Acme', 'A1')").await;
    world.until_quiet().await;
    world
        .run(
            "INSERT INTO salesforce.contact (lastname, email, accountid, external_id__c)
             SELECT 'Doe', email, sfid, key FROM salesforce.account, (VALUES ('nobody', 'K1'), ('a@b.cd', 'K2')) new (email, key)",
        )
        .await;
    world
        .until_text("SELECT string_agg(_hc_lastop, ' ' ORDER BY id) FROM salesforce.contact", "FAILED SYNCED")
        .await;
    let account = RowRef { table: "account".to_owned(), row: RowId(1) };
    assert_eq!(told(&world, &contact(1)).await, ["parent Account 1 by AccountId: in step, well"]);
    assert_eq!(told(&world, &account).await, ["child Contact 1 by AccountId: failed, with an error"]);
    assert!(told(&world, &contact(99)).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parent_that_failed_shows_the_children_that_are_held_for_it() {
    let world = World::start(INVOICES).await;
    world
        .run(
            "INSERT INTO salesforce.invoice__c (name, billing_email__c, external_id__c) VALUES ('I', 'nobody', 'I1');
             INSERT INTO salesforce.invoice_line__c (name, external_id__c, invoice__r__external_id__c) VALUES ('L', 'L1', 'I1')",
        )
        .await;
    world.until_text("SELECT state FROM syncdeck.unit WHERE table_name = 'invoice_line__c'", "held").await;
    let invoice = RowRef { table: "invoice__c".to_owned(), row: RowId(1) };
    let line = RowRef { table: "invoice_line__c".to_owned(), row: RowId(1) };
    let by = "by Invoice__r.External_Id__c";
    assert_eq!(told(&world, &invoice).await, [format!("child Invoice_Line__c 1 {by}: held, with an error")]);
    assert_eq!(told(&world, &line).await, [format!("parent Invoice__c 1 {by}: failed, with an error")]);
    // What waits for it is told with its errors, by the external id that it is named by.
    let blocked = world.handle.blocked(&[(7, invoice), (8, line.clone())]).await.unwrap();
    let told: Vec<_> = blocked
        .iter()
        .map(|(id, found)| {
            let errors = found.errors.iter().map(|error| (error.row(), error.code.as_str()));
            (*id, errors.collect::<Vec<_>>(), found.more)
        })
        .collect();
    assert_eq!(told, [(7, vec![(Some(line), "PARENT_NOT_SYNCED")], false), (8, vec![], false)]);
}
