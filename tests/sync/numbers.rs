//! Numbers of 15 to 18 digits go both ways as they are, and are compared so.

use serde_json::{Map, Number, Value, json};

use crate::world::{MAPPINGS, World, contact};

/// As they stand in JSON.
const NUMBERS: [&str; 9] = [
    "123456789.12345678",
    "1234567890123.4567",
    "9007199254740993.0",
    "0.12345678901234567",
    "999999999999999.9",
    "1234567890.1234565",
    "-123456789012345.67",
    "1000000.0000000001",
    "12345678901234.565",
];

fn person(key: &str, score: &str) -> Map<String, Value> {
    let score: Number = score.parse().unwrap();
    json!({"LastName": "Doe", "External_Id__c": key, "Score__c": score}).as_object().unwrap().clone()
}

/// A number as PostgreSQL writes it.
fn plain(number: &str) -> &str {
    number.strip_suffix(".0").unwrap_or(number)
}

async fn world(kind: &str) -> World {
    let world = World::start(MAPPINGS).await;
    world.run(&format!("ALTER TABLE salesforce.contact ALTER COLUMN score__c TYPE {kind}")).await;
    world
}

impl World {
    async fn until_numbers(&self, wanted: &[(String, String)]) {
        let sql =
            "SELECT external_id__c::text, score__c::text FROM salesforce.contact ORDER BY external_id__c";
        self.until("all numbers are there", async || {
            let rows = self.sql.query(sql, &[]).await.unwrap();
            rows.len() == wanted.len() && rows.iter().all(|row| row.get::<_, Option<String>>(1).is_some())
        })
        .await;
        let rows = self.sql.query(sql, &[]).await.unwrap();
        let found: Vec<(String, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        assert_eq!(found, wanted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exact_column_holds_the_digits_that_salesforce_has() {
    let world = world("numeric").await;
    for (at, number) in NUMBERS.iter().enumerate() {
        world.org.user_create("Contact", person(&format!("K{at}"), number)).unwrap();
    }
    let wanted: Vec<(String, String)> =
        NUMBERS.iter().enumerate().map(|(at, number)| (format!("K{at}"), plain(number).to_owned())).collect();
    world.until_numbers(&wanted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn double_precision_holds_the_nearest_it_can() {
    let world = world("double precision").await;
    for (at, number) in NUMBERS.iter().enumerate() {
        world.org.user_create("Contact", person(&format!("K{at}"), number)).unwrap();
    }
    world.until_text("SELECT count(score__c)::text FROM salesforce.contact", "9").await;
    for (at, number) in NUMBERS.iter().enumerate() {
        let sql = format!(
            "SELECT (score__c = '{number}'::float8)::text FROM salesforce.contact WHERE external_id__c = 'K{at}'"
        );
        assert_eq!(world.text(&sql).await.as_deref(), Some("true"), "{number}");
    }
    // What is there already is not written again by the polls that look back.
    let stamp = "SELECT string_agg(xmin::text, ' ' ORDER BY id) FROM salesforce.contact";
    let before = world.text(stamp).await;
    let read = "SELECT last_read::text FROM syncdeck.mapping WHERE name = 'Contact'";
    for _ in 0..2 {
        let last = world.text(read).await;
        world.until("another poll", async || world.text(read).await != last).await;
    }
    assert_eq!(world.text(stamp).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_application_writes_arrives_digit_by_digit() {
    for kind in ["numeric", "double precision"] {
        let world = world(kind).await;
        for (at, number) in NUMBERS.iter().enumerate() {
            world
                .run(&format!("INSERT INTO salesforce.contact (lastname, external_id__c, score__c) VALUES ('Doe', 'K{at}', {})", plain(number)))
                .await;
        }
        world.until_quiet().await;
        for (at, number) in NUMBERS.iter().enumerate() {
            let there = world.record("Contact", &format!("K{at}")).unwrap()["Score__c"].to_string();
            let row = format!("SELECT score__c::text FROM salesforce.contact WHERE external_id__c = 'K{at}'");
            let row = world.text(&row).await.unwrap();
            match kind {
                "numeric" => assert_eq!((plain(&there), row.as_str()), (plain(number), plain(number))),
                // The shortest digits that tell it from its neighbours, on both sides.
                _ => assert_eq!(there.parse::<f64>().unwrap(), row.parse::<f64>().unwrap(), "{number}"),
            }
        }
        let conflicts = "SELECT count(*)::text FROM syncdeck.conflict";
        assert_eq!(world.text(conflicts).await.unwrap(), "0");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_difference_in_the_last_place_is_one() {
    let world = world("numeric").await;
    let id = world.org.user_create("Contact", person("K1", "1234567890.1234567")).unwrap();
    world.until_text("SELECT score__c::text FROM salesforce.contact", "1234567890.1234567").await;
    let other: Number = "1234567890.1234568".parse().unwrap();
    let changed = json!({"Score__c": other}).as_object().unwrap().clone();
    world.org.user_update("Contact", &id, changed).unwrap();
    world.until_text("SELECT score__c::text FROM salesforce.contact", "1234567890.1234568").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_shown_as_it_went() {
    let world = world("numeric").await;
    world
        .run("INSERT INTO salesforce.contact (lastname, external_id__c, score__c) VALUES ('Doe', 'K1', 9007199254740993)")
        .await;
    world.until_text("SELECT outcome FROM syncdeck.attempt", "accepted").await;
    let record = world.handle.record(&contact(1)).await.unwrap();
    let sent = record.history.iter().find_map(|entry| entry.request.as_ref()).unwrap();
    assert_eq!(sent["Score__c"].to_string(), "9007199254740993");
    // As text: jsonb would put its fields in another order, and write 1.0E7 as 10000000.
    let kept = world.text("SELECT request::text FROM syncdeck.attempt").await.unwrap();
    assert_eq!(kept, sent.to_string());
    world.run("UPDATE syncdeck.attempt SET response = '{\"Score__c\": 1.0E7}'").await;
    let record = world.handle.record(&contact(1)).await.unwrap();
    let answered = record.history.iter().find_map(|entry| entry.response.as_ref()).unwrap();
    // All its digits stay; the parser alone spells the exponent in its own way.
    assert_eq!(answered["Score__c"].to_string(), "1.0e+7");
}
