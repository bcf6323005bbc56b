//! Every error that guides to such syncs name: raised by the org, understood, and cleared by its remedy where that can
//! be done by itself.

use std::time::Duration;

use serde_json::{Map, Value, json};
use syncdeck::domain::names::{RowId, RowRef};
use syncdeck::domain::records::record::RecordView;
use syncdeck::domain::reports::overview::Writes;
use syncdeck::simulator::Refusal;

use crate::world::{World, contact};

/// What an operator is told: code, category, class, title.
type Told = (&'static str, &'static str, &'static str, &'static str);

/// One mapping with these fields and rules.
fn one(object: &str, fields: &str, rules: &str) -> String {
    let fields: Vec<String> = fields.split(' ').map(|field| format!("{field:?}")).collect();
    format!(
        "[[mapping]]\nobject = \"{object}\"\nfields = [{}]\nexternal_id = \"External_Id__c\"\npoll_interval = \"200ms\"\n{rules}\n",
        fields.join(", ")
    )
}

const CONTACT: &str = "LastName FirstName Email Phone Level__c Legacy_Code__c Score__c";

async fn contacts(rules: &str) -> World {
    World::start(&one("Contact", CONTACT, rules)).await
}

fn fields(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// Waits for a row's error, and holds that it is told as it should be, with a cause and remedies.
async fn told(world: &World, row: &RowRef, told: Told) -> RecordView {
    let (code, category, class, title) = told;
    let sql = format!(
        "SELECT code FROM syncdeck.error WHERE table_name = '{}' AND record_id = {} AND resolved_at IS NULL AND state <> 'retrying'",
        row.table, row.row
    );
    world.until_text(&sql, code).await;
    let view = world.handle.record(row).await.unwrap();
    let error = view.error.as_ref().unwrap();
    assert_eq!(
        (error.category.word(), error.class.word(), view.advice.title.as_str()),
        (category, class, title)
    );
    assert!(view.advice.cause.len() > 20 && !view.advice.remedies.is_empty(), "{:?}", view.advice);
    view
}

/// Does the remedy with these words, and waits until nothing is wrong with the row any more.
async fn cleared_by(world: &World, view: &RecordView, words: &str) {
    let offers = &view.advice.remedies;
    let offer = offers.iter().find(|offer| offer.text.contains(words) && offer.number.is_some());
    let offer = offer.unwrap_or_else(|| panic!("{words:?} is not offered: {offers:#?}"));
    world.handle.apply(&view.row, offer).await.unwrap();
    let open = format!(
        "SELECT count(*)::text FROM syncdeck.error WHERE table_name = '{}' AND record_id = {} AND resolved_at IS NULL",
        view.row.table, view.row.row
    );
    world.until_text(&open, "0").await;
}

/// The connection's, or a mapping's, own error.
async fn told_of_all(world: &World, told: Told) {
    let (code, category, class, title) = told;
    let sql = format!(
        "SELECT category || ' ' || class FROM syncdeck.error WHERE code = '{code}' AND record_id IS NULL ORDER BY id DESC LIMIT 1"
    );
    world.until_text(&sql, &format!("{category} {class}")).await;
    let message =
        world.text(&format!("SELECT message FROM syncdeck.error WHERE code = '{code}'")).await.unwrap();
    let entry = syncdeck::domain::errors::catalogue::classify(
        syncdeck::domain::errors::catalogue::source_of(code),
        code,
        &message,
    );
    assert_eq!(entry.title, title);
}

async fn until_all_is_over(world: &World) {
    world.until_text("SELECT count(*)::text FROM syncdeck.error WHERE resolved_at IS NULL", "0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_the_org_refuses() {
    let world = contacts("").await;
    world
        .run(
            "INSERT INTO salesforce.contact (lastname, phone, external_id__c) VALUES ('Doe', '202/555/0143', 'K1');
             INSERT INTO salesforce.contact (lastname, email, external_id__c) VALUES ('Doe', 'jane@acme,com', 'K2');
             INSERT INTO salesforce.contact (lastname, level__c, external_id__c) VALUES ('Doe', 'Top', 'K3');
             INSERT INTO salesforce.contact (lastname, score__c, external_id__c) VALUES ('Doe', 1e17, 'K4');
             INSERT INTO salesforce.contact (lastname, level__c, external_id__c) VALUES ('Doe', 'Primary', 'K5');
             INSERT INTO salesforce.contact (firstname, external_id__c) VALUES ('Jane', 'K6')",
        )
        .await;
    let phone = ("FIELD_CUSTOM_VALIDATION_EXCEPTION", "data", "permanent", "Invalid phone number format");
    cleared_by(&world, &told(&world, &contact(1), phone).await, "in the United States").await;
    assert_eq!(world.record("Contact", "K1").unwrap()["Phone"], json!("+12025550143"));
    let email = ("INVALID_EMAIL_ADDRESS", "data", "permanent", "Invalid e-mail address");
    cleared_by(&world, &told(&world, &contact(2), email).await, "Write a dot").await;
    assert_eq!(world.record("Contact", "K2").unwrap()["Email"], json!("jane@acme.com"));
    let picklist =
        ("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", "data", "permanent", "Not a value of the picklist");
    cleared_by(&world, &told(&world, &contact(3), picklist).await, "Clear Level__c").await;
    let number = ("NUMBER_OUTSIDE_VALID_RANGE", "data", "permanent", "Number out of range");
    cleared_by(&world, &told(&world, &contact(4), number).await, "that cannot be taken out").await;
    assert_eq!(world.record("Contact", "K4").unwrap()["Score__c"], json!(null));
    let required = ("FIELD_CUSTOM_VALIDATION_EXCEPTION", "data", "permanent", "E-mail is required");
    cleared_by(&world, &told(&world, &contact(5), required).await, "Keep rows without an e-mail").await;
    assert!(world.record("Contact", "K5").is_none());
    let missing = ("REQUIRED_FIELD_MISSING", "data", "permanent", "Required field missing");
    cleared_by(&world, &told(&world, &contact(6), missing).await, "Keep rows without LastName").await;
    let (_, rules) = world.handle.rules("Contact").await.unwrap();
    let condition = rules.iter().find(|rule| rule.key == "where").unwrap();
    assert_eq!(condition.value, "email IS NOT NULL AND lastname IS NOT NULL");
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_are_too_long_or_of_another_type_or_not_to_be_transformed() {
    let world = World::start(&one(
        "Account",
        "Name Nickname__c Fleet_Size__c Phone",
        "[mapping.field.Phone]\ntransforms = \"phone_e164(US)\"",
    ))
    .await;
    world.org.shorten_field("Account", "Nickname__c", 8);
    world.org.retype_to_number("Account", "Fleet_Size__c", 6, 0);
    let known =
        "SELECT count(*)::text FROM syncdeck.log WHERE message LIKE 'Account.% changed in Salesforce%'";
    world.until_text(known, "2").await;
    world
        .run(
            "INSERT INTO salesforce.account (name, nickname__c, external_id__c) VALUES ('Acme', 'The Roadrunner', 'A1');
             INSERT INTO salesforce.account (name, fleet_size__c, external_id__c) VALUES ('Acme', '12 cars', 'A2');
             INSERT INTO salesforce.account (name, phone, external_id__c) VALUES ('Acme', 'call me maybe', 'A3')",
        )
        .await;
    let row = |id| RowRef { table: "account".to_owned(), row: RowId(id) };
    let long = ("STRING_TOO_LONG", "data", "permanent", "Value too long");
    cleared_by(&world, &told(&world, &row(1), long).await, "Cut all values of Nickname__c").await;
    assert_eq!(world.record("Account", "A1").unwrap()["Nickname__c"], json!("The Road"));
    let kind = ("INVALID_TYPE_ON_FIELD_IN_RECORD", "data", "permanent", "Invalid format");
    cleared_by(&world, &told(&world, &row(2), kind).await, "Keep only the number").await;
    assert_eq!(world.record("Account", "A2").unwrap()["Fleet_Size__c"], json!(12.0));
    let transform = ("TRANSFORM_FAILED", "mapping", "permanent", "Transform failed");
    cleared_by(&world, &told(&world, &row(3), transform).await, "that cannot be taken out").await;
    assert_eq!(world.record("Account", "A3").unwrap()["Phone"], json!(null));
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_are_there_already_or_not_any_more() {
    // Reads come too late to bring the records in as rows of their own.
    let world = World::start(&one("Contact", CONTACT, "upsert = false").replace("200ms", "1h")).await;
    let made = |key: &str, code: &str| {
        let values = json!({"LastName": "Theirs", "External_Id__c": key, "Legacy_Code__c": code});
        world.org.user_create("Contact", fields(values)).unwrap()
    };
    let first = made("OTHER", "L1");
    world
        .run("INSERT INTO salesforce.contact (id, lastname, legacy_code__c, external_id__c) VALUES (11, 'Ours', 'L1', 'K1')")
        .await;
    let duplicate = ("DUPLICATE_VALUE", "data", "permanent", "Duplicate value");
    cleared_by(&world, &told(&world, &contact(11), duplicate).await, "Link the row").await;
    assert_eq!(world.org.record("Contact", &first).unwrap()["LastName"], json!("Ours"));
    assert_eq!(world.text("SELECT sfid FROM salesforce.contact WHERE id = 11").await.unwrap(), first);
    // A key that is there already, with inserts instead of upserts.
    world.handle.writes(Some("Contact"), Writes::Pause).await.unwrap();
    world
        .run("INSERT INTO salesforce.contact (id, lastname, external_id__c) VALUES (12, 'Ours', 'K2')")
        .await;
    made("K2", "L2");
    world.handle.writes(Some("Contact"), Writes::Resume).await.unwrap();
    cleared_by(&world, &told(&world, &contact(12), duplicate).await, "Update instead of inserting").await;
    assert_eq!(world.record("Contact", "K2").unwrap()["LastName"], json!("Ours"));
    // An update of a record that was deleted meanwhile.
    world.handle.writes(Some("Contact"), Writes::Pause).await.unwrap();
    world.run("UPDATE salesforce.contact SET firstname = 'Jane' WHERE id = 12").await;
    let gone = world.org.find_by_external_id("Contact", "K2").unwrap();
    world.org.user_delete("Contact", &gone).unwrap();
    world.handle.writes(Some("Contact"), Writes::Resume).await.unwrap();
    let deleted = ("ENTITY_IS_DELETED", "data", "permanent", "Record not found");
    cleared_by(&world, &told(&world, &contact(12), deleted).await, "Create records that are missing").await;
    assert_eq!(world.record("Contact", "K2").unwrap()["FirstName"], json!("Jane"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_a_duplicate_rule_finds() {
    let world = World::start(&one("Lead", "LastName Company Email City", "").replace("200ms", "1h")).await;
    let theirs = json!({"LastName": "Doe", "Company": "Acme", "Email": "jane@acme.com"});
    let theirs = world.org.user_create("Lead", fields(theirs)).unwrap();
    world
        .run(
            "INSERT INTO salesforce.lead (id, lastname, company, email, city, external_id__c)
             VALUES (7, 'Doe', 'Acme', 'jane@acme.com', 'Bonn', 'L1')",
        )
        .await;
    let row = RowRef { table: "lead".to_owned(), row: RowId(7) };
    let duplicate = ("DUPLICATES_DETECTED", "data", "permanent", "Duplicate record");
    let view = told(&world, &row, duplicate).await;
    cleared_by(&world, &view, "Link the row").await;
    assert_eq!(world.org.record("Lead", &theirs).unwrap()["City"], json!("Bonn"));
    assert_eq!(world.org.ids("Lead").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn code_in_the_org_that_runs_out_of_time_and_locks_that_others_hold() {
    let world = World::start(&one("Case", "Subject Description", "max_retries = 0")).await;
    world.handle.writes(Some("Case"), Writes::Pause).await.unwrap();
    world
        .run(
            "INSERT INTO salesforce.\"case\" (subject, description, external_id__c)
             SELECT 'Case ' || n, '[heavy]', 'C' || n FROM generate_series(1, 20) n",
        )
        .await;
    world.handle.writes(Some("Case"), Writes::Resume).await.unwrap();
    let row = |id| RowRef { table: "case".to_owned(), row: RowId(id) };
    let apex = ("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "data", "transient", "Apex trigger ran out of time");
    let view = told(&world, &row(1), apex).await;
    cleared_by(&world, &view, "Send at most 10 records").await;
    // The others, sent again together, go in calls of ten.
    for id in 2..=20 {
        world.handle.retry(&row(id)).await.unwrap();
    }
    until_all_is_over(&world).await;
    assert!(world.org.journal_since(0).iter().all(|entry| entry.batch_size <= 10));
    world.org.change_faults(|faults| faults.row_lock = 1.0);
    world.run("UPDATE salesforce.\"case\" SET subject = 'locked' WHERE id = 1").await;
    let locked = ("UNABLE_TO_LOCK_ROW", "data", "transient", "Record is locked");
    let view = told(&world, &row(1), locked).await;
    world.org.change_faults(|faults| faults.row_lock = 0.0);
    cleared_by(&world, &view, "Send it again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_that_the_login_lacks() {
    let world = contacts("check = false").await;
    // As an org says it whose describe does not tell yet: else the engine would find out, and send the rest by itself.
    let refusal = Refusal {
        code: "INVALID_FIELD_FOR_INSERT_UPDATE".to_owned(),
        message: "Unable to create/update fields: Phone. Please check the security settings of this field and verify \
            that it is read/write for your profile or permission set."
            .to_owned(),
        fields: vec!["Phone".to_owned()],
        times: 1,
    };
    world.org.change_faults(|faults| faults.refuse = Some(refusal));
    world.run("INSERT INTO salesforce.contact (lastname, phone, external_id__c) VALUES ('Doe', '2025550143', 'K1')").await;
    let field = ("INVALID_FIELD_FOR_INSERT_UPDATE", "mapping", "permanent", "Permission denied on a field");
    cleared_by(&world, &told(&world, &contact(1), field).await, "Send everything but Phone").await;
    assert_eq!(world.record("Contact", "K1").unwrap()["Phone"], json!(null));
    for (code, message, title) in [
        ("INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on object id", "Permission denied"),
        (
            "CANNOT_EXECUTE_FLOW_TRIGGER",
            "We can't save this record because a process failed.",
            "A flow failed",
        ),
        ("ENTITY_IS_LOCKED", "This record is locked.", "Record locked by an approval"),
    ] {
        let refusal =
            Refusal { code: code.to_owned(), message: message.to_owned(), fields: Vec::new(), times: 1 };
        world.org.change_faults(|faults| faults.refuse = Some(refusal));
        world.run("UPDATE salesforce.contact SET firstname = coalesce(firstname, '') || 'x'").await;
        let category = if title.starts_with("Permission") { "mapping" } else { "data" };
        cleared_by(
            &world,
            &told(&world, &contact(1), (code, category, "permanent", title)).await,
            "Send it again",
        )
        .await;
    }
    world.org.change_faults(|faults| faults.api_disabled = 3);
    told_of_all(&world, ("API_DISABLED_FOR_ORG", "connection", "permanent", "Permission denied")).await;
    until_all_is_over(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daily_limit_lets_everything_wait_and_costs_no_attempt() {
    let world = contacts("").await;
    world.org.change_faults(|faults| faults.daily_limit = 1_000);
    told_of_all(&world, ("REQUEST_LIMIT_EXCEEDED", "connection", "transient", "Rate limit exceeded")).await;
    world
        .until("the sign of life says so", async || {
            world.handle.overview().await.unwrap().connection.state.word() == "limited"
        })
        .await;
    // What is written meanwhile waits with the connection, and is no error of its own.
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Doe', 'K1')").await;
    world.until_text("SELECT state FROM salesforce._trigger_log", "PENDING").await;
    let of_rows = "SELECT count(*)::text FROM syncdeck.error WHERE record_id IS NOT NULL";
    assert_eq!(world.text(of_rows).await.unwrap(), "0");
    assert_eq!(world.text("SELECT sum(attempts)::text FROM syncdeck.unit").await.unwrap(), "0");
    assert!(world.record("Contact", "K1").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_that_take_too_long_and_answers_that_do_not_come() {
    let mut world = contacts("").await;
    world.org.change_faults(|faults| faults.query_timeout = 2);
    told_of_all(&world, ("QUERY_TIMEOUT", "connection", "transient", "Query took too long")).await;
    until_all_is_over(&world).await;
    world.stop_engine().await;
    world.config.salesforce.request_timeout = Duration::from_secs(10);
    world.start_engine().await;
    world.org.change_faults(|faults| faults.latency_ms = 11_000);
    told_of_all(&world, ("REQUEST_TIMEOUT", "connection", "transient", "Connection timeout")).await;
    world.org.change_faults(|faults| faults.latency_ms = 0);
    until_all_is_over(&world).await;
}
