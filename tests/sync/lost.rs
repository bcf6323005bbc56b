//! Answers that were lost: what is sent again is what was sent first, and what changed since.

use serde_json::{Map, Value, json};
use syncdeck::simulator::OrgOptions;

use crate::world::{MAPPINGS, World};

const PRODUCTS: &str = r#"
[[mapping]]
object = "Product2"
fields = ["Name", "ProductCode", "Family", "Description", "Weight__c", "IsActive", "CreatedDate"]
external_id = "External_Id__c"
poll_interval = "1h"
"#;

fn fields(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// Loses the answer to what is written next, and waits until Salesforce has carried it out.
async fn lose_answer(world: &World, sql: &str, key: &str) -> String {
    world.org.change_faults(|faults| faults.lose_answer = 1);
    world.run(sql).await;
    let mut id = String::new();
    world
        .until("Salesforce has the record", async || {
            id = world.org.find_by_external_id("Product2", key).unwrap_or_default();
            !id.is_empty()
        })
        .await;
    id
}

/// What the API wrote into a record after it was created.
fn updates(world: &World, id: &str) -> Vec<Map<String, Value>> {
    let journal = world.org.journal_since(0);
    let mine = journal.iter().filter(|e| e.source == "api" && e.op == "update" && e.id == id);
    mine.map(|entry| entry.fields.clone()).collect()
}

const LISTED: &str = "SELECT count(*)::text FROM syncdeck.error WHERE resolved_at IS NULL";
const CONFLICTS: &str = "SELECT string_agg(column_name, ' ') FROM syncdeck.conflict";

#[tokio::test(flavor = "multi_thread")]
async fn a_new_record_goes_again_without_the_fields_that_nobody_wrote() {
    let world = World::start(PRODUCTS).await;
    let insert = "INSERT INTO salesforce.product2 (name, external_id__c) VALUES ('Lamp', 'P1')";
    let id = lose_answer(&world, insert, "P1").await;
    let theirs = json!({"ProductCode": "LMP-1", "Family": "Hardware", "Description": "Bright", "Weight__c": 1.5, "IsActive": true});
    world.org.user_update("Product2", &id, fields(theirs.clone())).unwrap();
    world.until_text("SELECT sfid FROM salesforce.product2", &id).await;
    world.until_quiet().await;
    let record = world.record("Product2", "P1").unwrap();
    for (field, value) in fields(theirs) {
        assert_eq!(record[&field], value, "{field}");
    }
    assert_eq!(record["Name"], json!("Lamp"));
    assert_eq!(world.writes("create", "P1"), 1);
    for update in updates(&world, &id) {
        assert_eq!(update.keys().collect::<Vec<_>>(), ["External_Id__c", "Name"]);
    }
    assert_eq!(world.text(LISTED).await.unwrap(), "0");
    assert_eq!(world.text(CONFLICTS).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_was_taken_away_after_the_send_is_taken_away_there_too() {
    let world = World::start(PRODUCTS).await;
    let insert = "INSERT INTO salesforce.product2 (name, family, description, external_id__c) VALUES ('Lamp', 'Hardware', 'Bright', 'P1')";
    let id = lose_answer(&world, insert, "P1").await;
    world.org.user_update("Product2", &id, fields(json!({"ProductCode": "LMP-1"}))).unwrap();
    world.run("UPDATE salesforce.product2 SET description = NULL").await;
    world.until_text("SELECT sfid FROM salesforce.product2", &id).await;
    world.until_quiet().await;
    let record = world.record("Product2", "P1").unwrap();
    assert_eq!(
        (&record["Description"], &record["Family"], &record["ProductCode"]),
        (&json!(null), &json!("Hardware"), &json!("LMP-1"))
    );
    assert_eq!(world.text(LISTED).await.unwrap(), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_empty_when_it_was_first_sent_stays_unnamed_although_it_had_a_value_before() {
    let mut world = World::start(PRODUCTS).await;
    world.stop_engine().await;
    world
        .run(
            "INSERT INTO salesforce.product2 (name, family, external_id__c) VALUES ('Lamp', 'Hardware', 'P1');
             UPDATE salesforce.product2 SET family = NULL",
        )
        .await;
    world.org.change_faults(|faults| faults.lose_answer = 1);
    world.start_engine().await;
    world.until("Salesforce has it", async || world.record("Product2", "P1").is_some()).await;
    let id = world.org.find_by_external_id("Product2", "P1").unwrap();
    world.org.user_update("Product2", &id, fields(json!({"Family": "Service"}))).unwrap();
    world.until_text("SELECT sfid FROM salesforce.product2", &id).await;
    world.until_quiet().await;
    assert_eq!(world.record("Product2", "P1").unwrap()["Family"], json!("Service"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_may_not_be_written_is_no_error_and_no_conflict() {
    let mappings =
        MAPPINGS.replace("\"Fleet_Size__c\"", "\"Fleet_Size__c\", \"CreatedDate\", \"Secret_Tier__c\"");
    let world = World::with(&mappings, |org| org.deny_write("Account", "Secret_Tier__c", true)).await;
    world.org.change_faults(|faults| faults.lose_answer = 1);
    world.run("INSERT INTO salesforce.account (name, external_id__c) VALUES ('Acme', 'A1')").await;
    world.until("Salesforce has it", async || world.record("Account", "A1").is_some()).await;
    let id = world.org.find_by_external_id("Account", "A1").unwrap();
    world
        .org
        .user_update("Account", &id, fields(json!({"Phone": "+49 30 1", "Secret_Tier__c": "gold"})))
        .unwrap();
    world.until_text("SELECT _hc_lastop FROM salesforce.account", "SYNCED").await;
    world.until_quiet().await;
    world.until_text("SELECT phone || ' ' || secret_tier__c FROM salesforce.account", "+49 30 1 gold").await;
    let record = world.record("Account", "A1").unwrap();
    assert_eq!((&record["Phone"], &record["Secret_Tier__c"]), (&json!("+49 30 1"), &json!("gold")));
    assert_eq!(world.text("SELECT count(*)::text FROM syncdeck.error").await.unwrap(), "0");
    assert_eq!(world.text(CONFLICTS).await, None);
    assert_eq!(world.writes("create", "A1"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_whose_record_is_there_already_leaves_its_empty_fields_to_the_record() {
    let mut world = World::start(&PRODUCTS.replace("1h", "200ms")).await;
    world.stop_engine().await;
    let theirs = json!({"Name": "Lamp", "Family": "Hardware", "External_Id__c": "P1"});
    let id = world.org.user_create("Product2", fields(theirs)).unwrap();
    world.run("INSERT INTO salesforce.product2 (name, productcode, external_id__c) VALUES ('Lamp', 'L-1', 'P1')").await;
    world.run("UPDATE syncdeck.mapping SET writes = 'paused'").await;
    world.start_engine().await;
    world
        .until_text("SELECT sfid || ' ' || family FROM salesforce.product2", &format!("{id} Hardware"))
        .await;
    world.handle.writes(Some("Product2"), syncdeck::domain::reports::overview::Writes::Resume).await.unwrap();
    world.until_text("SELECT _hc_lastop FROM salesforce.product2", "SYNCED").await;
    world.until_quiet().await;
    let record = world.record("Product2", "P1").unwrap();
    assert_eq!((&record["Family"], &record["ProductCode"]), (&json!("Hardware"), &json!("L-1")));
    assert!(updates(&world, &id).iter().all(|update| !update.contains_key("Family")));
    assert_eq!(world.text(CONFLICTS).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_can_only_be_set_at_first_is_no_error_when_the_record_goes_again() {
    let world = World::with(PRODUCTS, |org| org.fix_field("Product2", "ProductCode")).await;
    let insert =
        "INSERT INTO salesforce.product2 (name, productcode, external_id__c) VALUES ('Lamp', 'L-1', 'P1')";
    let id = lose_answer(&world, insert, "P1").await;
    world.run("UPDATE salesforce.product2 SET description = 'Bright'").await;
    world.until_text("SELECT sfid FROM salesforce.product2", &id).await;
    world.until_quiet().await;
    let record = world.record("Product2", "P1").unwrap();
    assert_eq!((&record["ProductCode"], &record["Description"]), (&json!("L-1"), &json!("Bright")));
    assert_eq!(world.text("SELECT count(*)::text FROM syncdeck.error").await.unwrap(), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_whose_answer_was_lost_before_its_record_went_makes_a_new_one_without_a_person() {
    let mapping = "[[mapping]]\nobject = \"Product2\"\nfields = [\"Name\", \"Family\", \"External_Id__c\"]\npoll_interval = \"1h\"\ncreate_if_missing = true\n";
    let mut world = World::start(mapping).await;
    world.run("INSERT INTO salesforce.product2 (name, external_id__c) VALUES ('Lamp', 'P1')").await;
    world.until_text("SELECT (sfid IS NOT NULL)::text FROM salesforce.product2", "true").await;
    world.until_quiet().await;
    world.stop_engine().await;
    let gone = world.org.find_by_external_id("Product2", "P1").unwrap();
    world.run("UPDATE salesforce.product2 SET family = 'Hardware'").await;
    world.store.ingest(&["product2".to_owned()], 10).await.unwrap();
    world.run("UPDATE syncdeck.unit SET lost = 1").await;
    world.org.user_delete("Product2", &gone).unwrap();
    world.start_engine().await;
    world.until("it is there again", async || world.record("Product2", "P1").is_some()).await;
    world.until_quiet().await;
    assert_eq!(world.record("Product2", "P1").unwrap()["Family"], json!("Hardware"));
    assert_eq!(world.text(LISTED).await.unwrap(), "0");
}

/// The change was captured well before Salesforce stamped its record, as on a busy machine.
const LONG_AGO: &str = "UPDATE salesforce._trigger_log SET created_at = created_at - interval '1 minute'";
const UPPERCASE: &str = "[mapping.field.Name]\ntransforms = \"uppercase\"\n";

/// The names that the API wrote into a record after it was created.
fn names(world: &World, id: &str) -> Vec<Value> {
    updates(world, id).iter().map(|update| update["Name"].clone()).collect()
}

/// Answers are lost late, so that the engine can be ended before it sends again.
fn slowly(options: &mut OrgOptions) {
    options.lost_after = std::time::Duration::from_secs(2);
}

async fn without_uppercase(world: &mut World) {
    world.stop_engine().await;
    world.run(LONG_AGO).await;
    world.write(&world.written().replace("\"uppercase\"", "[]"));
    world.config = world.config.load_again().unwrap();
    world.start_engine().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_again_after_its_rules_changed_goes_by_the_new_ones() {
    let mut world = World::made(&format!("{PRODUCTS}\n{UPPERCASE}"), slowly, |_| {}).await;
    let insert = "INSERT INTO salesforce.product2 (name, external_id__c) VALUES ('Lamp', 'P1')";
    let id = lose_answer(&world, insert, "P1").await;
    without_uppercase(&mut world).await;
    world.until_text("SELECT sfid FROM salesforce.product2", &id).await;
    world.until_quiet().await;
    assert_eq!((world.writes("create", "P1"), names(&world, &id)), (1, vec![json!("Lamp")]));
    assert_eq!(world.text(LISTED).await.unwrap(), "0");
    assert_eq!(world.text(CONFLICTS).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_whose_answer_was_lost_under_other_rules_contests_nothing() {
    let mut world = World::made(&format!("{PRODUCTS}\n{UPPERCASE}"), slowly, |_| {}).await;
    world.run("INSERT INTO salesforce.product2 (name, external_id__c) VALUES ('Lamp', 'P1')").await;
    world.until_quiet().await;
    let id = world.org.find_by_external_id("Product2", "P1").unwrap();
    world.org.change_faults(|faults| faults.lose_answer = 1);
    world.run("UPDATE salesforce.product2 SET name = 'Torch'").await;
    world.until("Salesforce has the name", async || names(&world, &id).last() == Some(&json!("TORCH"))).await;
    without_uppercase(&mut world).await;
    world.until("it went again", async || names(&world, &id).last() == Some(&json!("Torch"))).await;
    world.until_quiet().await;
    assert_eq!(world.text(CONFLICTS).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_salesforce_has_changed_after_a_lost_answer_still_contests() {
    let mut world = World::made(&format!("{PRODUCTS}\n{UPPERCASE}"), slowly, |_| {}).await;
    let insert = "INSERT INTO salesforce.product2 (name, external_id__c) VALUES ('Lamp', 'P1')";
    let id = lose_answer(&world, insert, "P1").await;
    world.stop_engine().await;
    world.org.user_update("Product2", &id, fields(json!({"Name": "Lantern"}))).unwrap();
    // Nothing is sent before it was read.
    world.run("UPDATE syncdeck.mapping SET writes = 'paused'").await;
    // What the writer has in hand for a moment while it is read is merged by the next read.
    world.write(&world.written().replace("\"1h\"", "\"200ms\""));
    without_uppercase(&mut world).await;
    world.until_text(CONFLICTS, "name").await;
    world.handle.writes(Some("Product2"), syncdeck::domain::reports::overview::Writes::Resume).await.unwrap();
    world.until_text("SELECT sfid FROM salesforce.product2", &id).await;
    world.until_quiet().await;
    assert_eq!(world.record("Product2", "P1").unwrap()["Name"], "Lantern");
}
