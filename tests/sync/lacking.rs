//! Objects that lack some of Salesforce's own fields: what is asked for, what is seen all the same, and what is said. And
//! a parent that may be of several objects, which an external id cannot name.

use serde_json::{Map, Value, json};
use syncdeck::config::Config;
use syncdeck::engine;
use tokio_util::sync::CancellationToken;

use crate::world::{World, write_private};

const USERS: &str = r#"
[[mapping]]
object = "User"
fields = ["Username", "LastName", "Email", "IsActive"]
external_id = "External_Id__c"
poll_interval = "200ms"
"#;

fn fields(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn mapping(object: &str, fields: &str) -> String {
    format!("[[mapping]]\nobject = \"{object}\"\nfields = [{fields}]\npoll_interval = \"200ms\"\n")
}

impl World {
    async fn in_step(&self, object: &str) {
        let never = CancellationToken::new();
        let comparison = self.handle.verify(object, &|_| {}, &never).await.unwrap();
        assert_eq!((comparison.findings, comparison.unsettled), (Vec::new(), 0));
    }

    async fn state(&self, object: &str) -> (String, String) {
        let sql = "SELECT state, coalesce(detail, '') FROM syncdeck.mapping WHERE name = $1";
        let row = self.sql.query_one(sql, &[&object]).await.unwrap();
        (row.get(0), row.get(1))
    }

    async fn polled_again(&self, object: &str) {
        let read = format!("SELECT last_read::text FROM syncdeck.mapping WHERE name = '{object}'");
        for _ in 0..2 {
            let last = self.text(&read).await;
            self.until("another poll", async || self.text(&read).await != last).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_have_no_is_deleted_and_are_synced_both_ways() {
    let world = World::with(USERS, |org| {
        let first = json!({"Username": "a@acme.example", "LastName": "Aye", "External_Id__c": "U1"});
        org.user_create("User", fields(first)).unwrap();
    })
    .await;
    // Beside them stand the people whom every org has, without a key.
    let names = "SELECT string_agg(lastname, ' ' ORDER BY id) FROM salesforce.\"user\" WHERE external_id__c IS NOT NULL";
    world.until_text(names, "Aye").await;
    let id = world.org.find_by_external_id("User", "U1").unwrap();
    world.org.user_update("User", &id, fields(json!({"LastName": "Bee"}))).unwrap();
    world.until_text(names, "Bee").await;
    world
        .run("INSERT INTO salesforce.\"user\" (username, lastname, external_id__c) VALUES ('c@acme.example', 'Cee', 'U2')")
        .await;
    world.until("it arrives", async || world.record("User", "U2").is_some()).await;
    world.until_text("SELECT count(*)::text FROM salesforce.\"user\" WHERE _hc_lastop = 'SYNCED'", "4").await;
    let own = "SELECT count(isdeleted) || ' ' || count(systemmodstamp) FROM salesforce.\"user\"";
    world.until_text(own, "0 4").await;
    assert_eq!(world.state("User").await, ("ok".to_owned(), String::new()));
    world.handle.dry_run("User", 5).await.unwrap();
    world.handle.reload(Some("User")).await.unwrap();
    world.until_text("SELECT count(reload_at)::text FROM syncdeck.mapping", "0").await;
    world.in_step("User").await;
    assert_eq!(world.text("SELECT count(*)::text FROM syncdeck.error").await.unwrap(), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_is_read_by_when_its_records_were_made() {
    let world = World::start(&mapping("ContactHistory", "\"Field\", \"NewValue\", \"CreatedDate\"")).await;
    let made = |value: &str| {
        world.org.user_create("ContactHistory", fields(json!({"Field": "Email", "NewValue": value}))).unwrap()
    };
    let values = "SELECT string_agg(newvalue, ' ' ORDER BY newvalue) FROM salesforce.contacthistory";
    let (one, _) = (made("1"), made("2"));
    world.until_text(values, "1 2").await;
    world.org.user_delete("ContactHistory", &one).unwrap();
    world.until_text(values, "2").await;
    let (state, detail) = world.state("ContactHistory").await;
    assert_eq!(state, "ok");
    assert!(detail.contains("neither SystemModstamp nor LastModifiedDate"), "{detail}");
    let told = "SELECT count(*)::text FROM syncdeck.log WHERE message LIKE 'ContactHistory is not read as others are%'";
    world.until_text(told, "1").await;
    world.in_step("ContactHistory").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_say_when_it_changed_is_read_whole_at_each_poll() {
    let world =
        World::start(&(mapping("Stock__x", "\"Quantity__c\"") + "external_id = \"ExternalId\"\n")).await;
    let made = |key: &str, number: f64| {
        world.org.user_create("Stock__x", fields(json!({"ExternalId": key, "Quantity__c": number}))).unwrap()
    };
    let rows = "SELECT string_agg(externalid || '=' || quantity__c, ' ' ORDER BY externalid) FROM salesforce.stock__x";
    let one = made("A", 1.5);
    made("B", 2.0);
    world.until_text(rows, "A=1.5 B=2").await;
    world.org.user_update("Stock__x", &one, fields(json!({"Quantity__c": 7}))).unwrap();
    world.until_text(rows, "A=7 B=2").await;
    world.org.user_delete("Stock__x", &one).unwrap();
    world.until_text(rows, "B=2").await;
    world.run("UPDATE salesforce.stock__x SET quantity__c = 9.25").await;
    world.until_quiet().await;
    world.polled_again("Stock__x").await;
    assert_eq!(world.text(rows).await.unwrap(), "B=9.25");
    let (state, detail) = world.state("Stock__x").await;
    assert_eq!(
        (state.as_str(), detail.as_str()),
        ("ok", "it does not say when a record changed: every poll reads all of its records")
    );
    world.in_step("Stock__x").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deletes_that_salesforce_does_not_list_are_found_as_far_as_records_tell() {
    let world = World::with(
        &(mapping("Told__c", "\"Name\"") + &mapping("Untold__c", "\"Name\"")),
        |org| {
            org.define("object Told__c a10 Told\n  not replicateable\n  without SystemModstamp External_Id__c\n  Name | Name | text 80");
            org.define("object Untold__c a11 Untold\n  not replicateable\n  without IsDeleted External_Id__c\n  Name | Name | text 80");
        },
    )
    .await;
    let mut ids = Vec::new();
    for object in ["Told__c", "Untold__c"] {
        ids.push(world.org.user_create(object, fields(json!({"Name": "Gone"}))).unwrap());
        world.org.user_create(object, fields(json!({"Name": "Stays"}))).unwrap();
    }
    let names = |table: &str| format!("SELECT string_agg(name, ' ' ORDER BY name) FROM salesforce.{table}");
    world.until_text(&names("told__c"), "Gone Stays").await;
    world.until_text(&names("untold__c"), "Gone Stays").await;
    world.org.user_delete("Told__c", &ids[0]).unwrap();
    world.org.user_delete("Untold__c", &ids[1]).unwrap();
    world.until_text(&names("told__c"), "Stays").await;
    world.polled_again("Untold__c").await;
    assert_eq!(world.text(&names("untold__c")).await.unwrap(), "Gone Stays");
    assert_eq!(world.state("Untold__c").await.1, "its deletes are seen by a reload only");
    world.handle.reload(Some("Untold__c")).await.unwrap();
    world.until_text(&names("untold__c"), "Stays").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parent_of_several_objects_is_refused_by_name_at_start_and_mapped_by_its_id() {
    let mut world = World::with(&mapping("Task", "\"Subject\", \"WhoId\""), |org| {
        for (object, key) in [("Contact", "C1"), ("Lead", "L1")] {
            let person = json!({"LastName": "Doe", "Company": "Acme", "External_Id__c": key});
            let mut person = fields(person);
            if object == "Contact" {
                person.remove("Company");
            }
            org.user_create(object, person).unwrap();
        }
    })
    .await;
    // Each of them is a parent, by its id.
    for (object, key) in [("Contact", "C1"), ("Lead", "L1")] {
        let parent = world.org.find_by_external_id(object, key).unwrap();
        let sql = format!("INSERT INTO salesforce.task (subject, whoid) VALUES ('{key}', '{parent}')");
        world.run(&sql).await;
    }
    world.until_text("SELECT count(sfid)::text FROM salesforce.task", "2").await;
    world.in_step("Task").await;
    world.stop_engine().await;
    let text = world.written().replace("\"WhoId\"", "\"Who.External_Id__c\"");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("syncdeck.toml");
    write_private(&file, &text);
    let config = Config::load(Some(&file), None).unwrap();
    let refused = match engine::start(config, world.store.clone()).await {
        Ok(_) => panic!("it starts"),
        Err(refused) => refused.to_string(),
    };
    for word in ["Who.External_Id__c", "Task.WhoId", "Contact, Lead", "map WhoId instead"] {
        assert!(refused.contains(word), "{word}: {refused}");
    }
}
