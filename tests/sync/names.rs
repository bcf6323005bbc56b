//! Names that are longer than PostgreSQL keeps them.

use serde_json::json;
use syncdeck::engine::StartError;

use crate::world::World;

/// A relationship of a package, as long as they come: its column would have 76 bytes.
const LONG: &str = "acmeenterprises__A_Rather_Long_Relationship_To_The_Parent__r";
const COLUMN: &str = "acmeenterprises__a_rather_long_relationship_to_the_parent__r__e";

fn mapping(fields: &str) -> String {
    format!(
        "[[mapping]]\nobject = \"Account\"\nfields = [\"Name\"]\nexternal_id = \"External_Id__c\"\npoll_interval = \"200ms\"\n\
         [[mapping]]\nobject = \"Contact\"\nfields = [\"LastName\", {fields}]\nexternal_id = \"External_Id__c\"\npoll_interval = \"200ms\"\n"
    )
}

fn long_field() -> String {
    format!("\"{LONG}.External_Id__c\"")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_whose_name_is_too_long_is_the_one_that_postgresql_keeps() {
    let field = LONG.replace("__r", "__c");
    let mut world = World::with(&mapping(&long_field()), |org| {
        org.add_lookup("Contact", &field, LONG, "Account");
    })
    .await;
    assert_eq!(COLUMN.len(), 63);
    // An application writes the whole name, as describe tells it.
    world
        .run(&format!(
            "INSERT INTO salesforce.account (name, external_id__c) VALUES ('Acme', 'A1');
             INSERT INTO salesforce.contact (lastname, external_id__c, {LONG}__External_Id__c) VALUES ('Doe', 'C1', 'A1')"
        ))
        .await;
    world.until("it arrives", async || world.record("Contact", "C1").is_some()).await;
    let parent = world.org.find_by_external_id("Account", "A1").unwrap();
    assert_eq!(world.record("Contact", "C1").unwrap()[&field], json!(parent));
    world.until_text(&format!("SELECT {COLUMN} FROM salesforce.contact"), "A1").await;
    // The guard, a restart, and what a configuration says of the field's values find the same column.
    world.until_quiet().await;
    world.stop_engine().await;
    world.start_engine().await;
    let id = world.org.find_by_external_id("Contact", "C1").unwrap();
    world.org.user_update("Contact", &id, json!({"LastName": "Roe"}).as_object().unwrap().clone()).unwrap();
    world.until_text("SELECT lastname FROM salesforce.contact", "Roe").await;
    world.until_text("SELECT count(*)::text FROM syncdeck.error WHERE resolved_at IS NULL", "0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_columns_that_would_be_one_are_refused_by_name() {
    let other = LONG.replace("__r", "__c");
    let world = World::with(&mapping("\"FirstName\""), |org| {
        org.add_lookup("Contact", &other, LONG, "Account");
    })
    .await;
    let text =
        world.written().replace("\"FirstName\"", &format!("{}, \"{LONG}.External_Id__x\"", long_field()));
    world.write(&text);
    let config = world.config.load_again().unwrap();
    let Err(StartError::Config(error)) = syncdeck::engine::start(config, world.store.clone()).await else {
        panic!("it started");
    };
    let text = error.to_string();
    assert!(
        text.contains(&format!(
            "{LONG}.External_Id__x and {LONG}.External_Id__c would be one column, {COLUMN}"
        )),
        "{text}"
    );
}
