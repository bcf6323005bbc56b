//! What the org's administrator changes while the engine runs: only what it touches stops, and it is named.

use serde_json::{Map, Value, json};

use crate::world::{MAPPINGS, World, contact};

fn fields(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// The mapping's own error of a code: `state category title`-like words, with its fields.
async fn until_listed(world: &World, code: &str, fields: &str) {
    let sql = format!(
        "SELECT format('%s %s %s', state, category, fields) FROM syncdeck.error
         WHERE code = '{code}' AND record_id IS NULL AND resolved_at IS NULL"
    );
    world.until_text(&sql, &format!("open mapping {fields}")).await;
}

async fn until_over(world: &World, code: &str) {
    let sql =
        format!("SELECT count(*)::text FROM syncdeck.error WHERE code = '{code}' AND resolved_at IS NULL");
    world.until_text(&sql, "0").await;
}

async fn insert(world: &World, columns: &str, values: &str) {
    world.run(&format!("INSERT INTO salesforce.contact ({columns}) VALUES ({values})")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_is_hidden_stops_its_own_changes_and_no_others() {
    let mut world = World::start(MAPPINGS).await;
    insert(&world, "lastname, phone, external_id__c", "'Doe', '+12025550143', 'K1'").await;
    world.until_text("SELECT _hc_lastop FROM salesforce.contact", "SYNCED").await;
    world.org.hide_field("Contact", "Phone");
    until_listed(&world, "FIELD_REMOVED", "{Phone}").await;
    // Reads go on without it, and the row keeps what it had.
    let id = world.org.find_by_external_id("Contact", "K1").unwrap();
    world.org.user_update("Contact", &id, fields(json!({"FirstName": "Jane"}))).unwrap();
    world.until_text("SELECT firstname FROM salesforce.contact WHERE id = 1", "Jane").await;
    assert_eq!(
        world.text("SELECT phone FROM salesforce.contact WHERE id = 1").await.unwrap(),
        "+12025550143"
    );
    // So do changes of other fields; those of the field wait, and say why.
    world.run("UPDATE salesforce.contact SET email = 'jane@acme.com' WHERE id = 1").await;
    world
        .until("the address arrives", async || {
            world.record("Contact", "K1").unwrap()["Email"] == json!("jane@acme.com")
        })
        .await;
    insert(&world, "lastname, phone, external_id__c", "'Roe', '+12025550199', 'K2'").await;
    world
        .until_text(
            "SELECT code FROM syncdeck.error WHERE record_id = 2 AND resolved_at IS NULL",
            "INVALID_FIELD",
        )
        .await;
    // An engine that starts meanwhile does not refuse to.
    world.stop_engine().await;
    world.start_engine().await;
    let view = world.handle.record(&contact(1)).await.unwrap();
    let phone = view.values.iter().find(|(field, _)| field.name == "Phone").unwrap();
    assert_eq!(phone.0.type_text(), "gone there");
    world.org.show_field("Contact", "Phone");
    world
        .until("what waited arrives by itself", async || {
            world.record("Contact", "K2").is_some_and(|record| record["Phone"] == json!("+12025550199"))
        })
        .await;
    until_over(&world, "FIELD_REMOVED").await;
    until_over(&world, "INVALID_FIELD").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_of_another_type_is_read_again_once_its_column_can_hold_it() {
    let world = World::start(MAPPINGS).await;
    insert(&world, "lastname, score__c, external_id__c", "'Doe', 5, 'K1'").await;
    world.until_text("SELECT _hc_lastop FROM salesforce.contact", "SYNCED").await;
    world.org.retype_to_text("Contact", "Score__c", 20);
    until_listed(&world, "FIELD_RETYPED", "{Score__c}").await;
    let id = world.org.find_by_external_id("Contact", "K1").unwrap();
    world.org.user_update("Contact", &id, fields(json!({"Score__c": "high", "FirstName": "Jane"}))).unwrap();
    world.until_text("SELECT firstname FROM salesforce.contact", "Jane").await;
    assert_eq!(world.text("SELECT score__c::text FROM salesforce.contact").await.unwrap(), "5");
    world.run("ALTER TABLE salesforce.contact ALTER COLUMN score__c TYPE varchar(20)").await;
    until_over(&world, "FIELD_RETYPED").await;
    world.org.user_update("Contact", &id, fields(json!({"Score__c": "higher"}))).unwrap();
    world.until_text("SELECT score__c FROM salesforce.contact", "higher").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_grew_widens_its_column_and_one_that_shrank_is_checked_for_it() {
    let world = World::start(MAPPINGS).await;
    insert(&world, "lastname, firstname, external_id__c", "'Doe', 'Jane', 'K1'").await;
    world.until_text("SELECT _hc_lastop FROM salesforce.contact", "SYNCED").await;
    world.org.shorten_field("Contact", "FirstName", 60);
    let width = "SELECT character_maximum_length::text FROM information_schema.columns
         WHERE table_name = 'contact' AND column_name = 'firstname'";
    world.until_text(width, "60").await;
    world.org.shorten_field("Contact", "FirstName", 5);
    let told = "SELECT count(*)::text FROM syncdeck.log WHERE message = 'Contact.FirstName changed in Salesforce: text(60) is now text(5)'";
    world.until_text(told, "1").await;
    world.run("UPDATE salesforce.contact SET firstname = 'Josephine'").await;
    let error = "SELECT code || ' ' || source FROM syncdeck.error WHERE resolved_at IS NULL";
    world.until_text(error, "STRING_TOO_LONG engine").await;
    // It grows again: what was refused for what it was goes by itself.
    world.org.shorten_field("Contact", "FirstName", 40);
    world
        .until("it arrives", async || {
            world.record("Contact", "K1").unwrap()["FirstName"] == json!("Josephine")
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_taken_away_is_named_and_its_return_is_enough() {
    let world = World::start(MAPPINGS).await;
    insert(&world, "lastname, phone, external_id__c", "'Doe', '+12025550143', 'K1'").await;
    world.until_text("SELECT _hc_lastop FROM salesforce.contact", "SYNCED").await;
    world.org.deny_write("Contact", "Phone", true);
    until_listed(&world, "FIELD_NOT_WRITABLE", "{Phone}").await;
    world.run("UPDATE salesforce.contact SET phone = '+12025550199'").await;
    let error =
        "SELECT code || ' ' || category FROM syncdeck.error WHERE record_id = 1 AND resolved_at IS NULL";
    world.until_text(error, "INVALID_FIELD_FOR_INSERT_UPDATE mapping").await;
    world.org.deny_write("Contact", "Phone", false);
    world
        .until("it arrives", async || {
            world.record("Contact", "K1").unwrap()["Phone"] == json!("+12025550199")
        })
        .await;
    until_over(&world, "FIELD_NOT_WRITABLE").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_gone_rests_alone_and_loses_nothing() {
    let mut world = World::start(MAPPINGS).await;
    world.org.hide_object("Contact");
    until_listed(&world, "OBJECT_REMOVED", "{}").await;
    insert(&world, "lastname, external_id__c", "'Doe', 'K1'").await;
    world.run("INSERT INTO salesforce.account (name, external_id__c) VALUES ('Acme', 'A1')").await;
    world.until("the other mapping goes on", async || world.record("Account", "A1").is_some()).await;
    let state = async || {
        let overview = world.handle.overview().await.unwrap();
        overview.mappings.iter().find(|mapping| mapping.name == "Contact").unwrap().state
    };
    world.until("it is broken", async || state().await.word() == "broken").await;
    assert_eq!(
        world.text("SELECT count(*)::text FROM syncdeck.error WHERE record_id IS NOT NULL").await.unwrap(),
        "0"
    );
    world.stop_engine().await;
    world.start_engine().await;
    world.org.show_object("Contact");
    world.until("what waited arrives", async || world.record("Contact", "K1").is_some()).await;
    until_over(&world, "OBJECT_REMOVED").await;
    world
        .until("it is well", async || {
            let overview = world.handle.overview().await.unwrap();
            overview.mappings.iter().all(|mapping| mapping.state.word() == "ok")
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picklist_value_that_comes_lets_through_what_waited_for_it() {
    let world = World::start(MAPPINGS).await;
    insert(&world, "lastname, level__c, external_id__c", "'Doe', 'Top', 'K1'").await;
    let error = "SELECT code FROM syncdeck.error WHERE resolved_at IS NULL";
    world.until_text(error, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST").await;
    world.org.add_picklist_value("Contact", "Level__c", "Top");
    world.until("it arrives", async || world.record("Contact", "K1").is_some()).await;
}
