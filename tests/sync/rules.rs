//! What a mapping's rules do to what is sent, and to what comes back.

use serde_json::json;
use syncdeck::client::api::ErrorQuery;
use syncdeck::domain::reports::overview::Writes;

use crate::world::{World, contact};

/// Contacts alone, with these lines of rules.
fn contacts(rules: &str) -> String {
    format!(
        "[[mapping]]\nobject = \"Contact\"\nfields = [\"LastName\", \"FirstName\", \"Email\", \"Phone\", \"Level__c\", \"Score__c\", \"Title\"]\n\
         external_id = \"External_Id__c\"\npoll_interval = \"200ms\"\n{rules}"
    )
}

/// The state and code of a contact's unresolved error.
async fn error_of(world: &World, row: i32) -> Option<String> {
    world
        .text(&format!(
            "SELECT state || ' ' || code || ' ' || source FROM syncdeck.error
             WHERE record_id = {row} AND resolved_at IS NULL"
        ))
        .await
}

async fn until_error(world: &World, row: i32, wanted: &str) {
    let what = format!("the error of {row} is {wanted}");
    world.until(&what, async || error_of(world, row).await.as_deref() == Some(wanted)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_shaped_on_their_way_and_the_row_stays_as_it_was_written() {
    let world = World::start(&contacts(
        "[mapping.field.Phone]\ntransforms = [\"trim\", \"phone_e164(US)\"]\n\
         [mapping.field.Email]\ntransforms = \"trim | lowercase\"\n\
         [mapping.field.Level__c]\ntransforms = 'map{1=Primary, 2=Secondary}'\n\
         [mapping.field.Title]\ntransforms = 'default(\"none\")'",
    ))
    .await;
    world
        .run(
            "INSERT INTO salesforce.contact (lastname, email, phone, level__c, external_id__c)
             VALUES ('Lovelace', ' ADA@Acme.COM ', '(202) 555-0143', '2', 'K1')",
        )
        .await;
    world.until_text("SELECT _hc_lastop FROM salesforce.contact", "SYNCED").await;
    let record = world.record("Contact", "K1").unwrap();
    let sent = ["Email", "Phone", "Level__c", "Title"].map(|field| record[field].clone());
    assert_eq!(sent, [json!("ada@acme.com"), json!("+12025550143"), json!("Secondary"), json!("none")]);
    // Two polls later the row still holds what the application wrote, and nothing more was sent.
    for _ in 0..2 {
        let last = world.text("SELECT last_read::text FROM syncdeck.mapping").await;
        world
            .until("a poll", async || world.text("SELECT last_read::text FROM syncdeck.mapping").await > last)
            .await;
    }
    let row =
        "SELECT concat_ws('|', email, phone, level__c, coalesce(title, 'NULL')) FROM salesforce.contact";
    assert_eq!(world.text(row).await.unwrap(), " ADA@Acme.COM |(202) 555-0143|2|NULL");
    assert_eq!((world.writes("create", "K1"), world.writes("update", "K1")), (1, 0));
    // What somebody changes in Salesforce comes all the same.
    let id = world.org.find_by_external_id("Contact", "K1").unwrap();
    let changed = [("Phone".to_owned(), json!("+12025550199"))].into_iter().collect();
    world.org.user_update("Contact", &id, changed).unwrap();
    world.until_text("SELECT phone FROM salesforce.contact", "+12025550199").await;
    // And what will be sent can be seen beforehand.
    let view = world.handle.record(&contact(1)).await.unwrap();
    let email = view.sending.values.iter().find(|(field, _)| field == "Email").unwrap();
    assert_eq!(email.1.as_deref(), Some("ada@acme.com"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_certain_to_be_refused_is_found_here_unless_checks_are_off() {
    let world = World::start(&contacts("")).await;
    world
        .run(
            "INSERT INTO salesforce.contact (lastname, email, level__c, external_id__c) VALUES
                 ('Doe', 'nobody', NULL, 'K1'), ('Doe', NULL, 'Top', 'K2'), (NULL, NULL, NULL, 'K3');
             INSERT INTO salesforce.contact (lastname, score__c, external_id__c) VALUES ('Doe', 'NaN', 'K4')",
        )
        .await;
    for (row, code) in [
        (1, "INVALID_EMAIL_ADDRESS"),
        (2, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"),
        (3, "REQUIRED_FIELD_MISSING"),
        (4, "NOT_A_NUMBER"),
    ] {
        until_error(&world, row, &format!("open {code} engine")).await;
    }
    // Nothing of that was a call, and none of it counts as an attempt (I8).
    let attempts = "SELECT sum(attempts)::text FROM syncdeck.error";
    assert_eq!(world.text(attempts).await.unwrap(), "0");
    assert_eq!(world.text("SELECT count(*)::text FROM syncdeck.attempt").await.unwrap(), "0");
    let message = "SELECT message FROM syncdeck.error WHERE record_id = 1";
    assert_eq!(world.text(message).await.unwrap(), "Email: invalid email address: nobody");
    // Switched off at run time, Salesforce says it itself.
    world.handle.set_rule("Contact", "check", Some("false")).await.unwrap();
    let log = "SELECT string_agg(message, ' ') FROM syncdeck.log WHERE message LIKE '%check%'";
    world.until("the engine says what changed", async || world.text(log).await.is_some()).await;
    world.handle.retry(&contact(1)).await.unwrap();
    until_error(&world, 1, "open INVALID_EMAIL_ADDRESS salesforce").await;
    // NaN is never sent, checks or not: it would fail the whole request.
    world.handle.retry(&contact(4)).await.unwrap();
    until_error(&world, 4, "open NOT_A_NUMBER engine").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_keeps_rows_out_until_they_meet_it() {
    let world = World::start(&contacts("where = \"email IS NOT NULL\"")).await;
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Doe', 'K1')").await;
    world.until_quiet().await;
    assert!(world.record("Contact", "K1").is_none());
    let told = "SELECT state || ': ' || sf_message FROM salesforce._trigger_log_archive";
    assert_eq!(world.text(told).await.unwrap(), "IGNORED: the mapping's condition keeps the row out");
    world
        .until("nobody takes it for synced", async || {
            world.text("SELECT _hc_lastop FROM salesforce.contact").await.is_none()
        })
        .await;
    let view = world.handle.record(&contact(1)).await.unwrap();
    assert_eq!(view.unit, "kept out");
    let why = view.sending.why.unwrap();
    assert!(why.contains("condition keeps the row out: email IS NOT NULL"), "{why}");
    world.run("UPDATE salesforce.contact SET email = 'jane@acme.com'").await;
    world
        .until("it enters, whole", async || {
            world.record("Contact", "K1").is_some_and(|record| record["LastName"] == json!("Doe"))
        })
        .await;
    assert_eq!(world.writes("create", "K1"), 1);
    world.until_text("SELECT _hc_lastop FROM salesforce.contact", "SYNCED").await;
    assert_eq!(world.handle.record(&contact(1)).await.unwrap().unit, "in step");

    // What is changed while it is out goes with the change that brings it in again.
    world.run("UPDATE salesforce.contact SET email = NULL, firstname = 'Jane'").await;
    world
        .until("it is out", async || world.text("SELECT _hc_lastop FROM salesforce.contact").await.is_none())
        .await;
    // A read of the record takes nothing of it back.
    let id = world.org.find_by_external_id("Contact", "K1").unwrap();
    let there = json!({"Phone": "+12025550143"});
    world.org.user_update("Contact", &id, there.as_object().unwrap().clone()).unwrap();
    world.until_text("SELECT phone FROM salesforce.contact", "+12025550143").await;
    let row = "SELECT concat_ws(' ', firstname, email, _hc_lastop) FROM salesforce.contact";
    assert_eq!(world.text(row).await.unwrap(), "Jane");
    world.run("UPDATE salesforce.contact SET level__c = 'Primary'").await;
    world.until_quiet().await;
    world
        .until("it is still out", async || {
            world.text("SELECT _hc_lastop FROM salesforce.contact").await.is_none()
        })
        .await;
    assert_eq!(world.record("Contact", "K1").unwrap()["Email"], json!("jane@acme.com"));
    world.run("UPDATE salesforce.contact SET email = 'roe@acme.com'").await;
    let now = async |field: &str| world.record("Contact", "K1").unwrap()[field].clone();
    world.until("the address arrives", async || now("Email").await == json!("roe@acme.com")).await;
    assert_eq!((now("FirstName").await, now("Level__c").await), (json!("Jane"), json!("Primary")));
    assert_eq!(world.writes("update", "K1"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_value_is_left_out_where_the_field_says_so_and_the_rest_goes() {
    let world = World::start(&contacts(
        "[mapping.field.Email]\nskip_invalid = true\n[mapping.field.Phone]\ntransforms = \"phone_e164(US)\"\nskip_invalid = true\n\
         [mapping.field.Title]\nread_only = true\n[mapping.field.FirstName]\nrequired = true",
    ))
    .await;
    world
        .run(
            "INSERT INTO salesforce.contact (lastname, firstname, email, phone, title, external_id__c)
             VALUES ('Doe', 'Jane', 'nobody', 'call me maybe', 'Dr', 'K1'), ('Doe', NULL, NULL, NULL, NULL, 'K2')",
        )
        .await;
    world.until_text("SELECT _hc_lastop FROM salesforce.contact WHERE id = 1", "SYNCED").await;
    let record = world.record("Contact", "K1").unwrap();
    let sent = ["LastName", "Email", "Phone", "Title"].map(|field| record[field].clone());
    assert_eq!(sent, [json!("Doe"), json!(null), json!(null), json!(null)]);
    let left = "SELECT response ->> 'left_out' FROM syncdeck.attempt WHERE record_id = 1";
    let left = world.text(left).await.unwrap();
    assert!(left.contains("call me maybe") && left.contains("read-only in the configuration"), "{left}");
    until_error(&world, 2, "open REQUIRED_FIELD_MISSING engine").await;
    // A read does not take the application's values away for it.
    let row = "SELECT concat_ws('|', email, phone) FROM salesforce.contact WHERE id = 1";
    let last = world.text("SELECT last_read::text FROM syncdeck.mapping").await;
    world
        .until("a poll", async || world.text("SELECT last_read::text FROM syncdeck.mapping").await > last)
        .await;
    assert_eq!(world.text(row).await.unwrap(), "nobody|call me maybe");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_missing_is_made_again_and_deletes_stay_where_they_happen() {
    let world = World::start(&contacts("create_if_missing = true\nignore_deletes = true")).await;
    world
        .run(
            "INSERT INTO salesforce.contact (lastname, firstname, external_id__c)
             VALUES ('Doe', 'Jane', 'K1'), ('Roe', 'Rick', 'K2')",
        )
        .await;
    world.until_quiet().await;
    let gone = world.org.find_by_external_id("Contact", "K1").unwrap();
    world.org.user_delete("Contact", &gone).unwrap();
    world.run("UPDATE salesforce.contact SET email = 'jane@acme.com' WHERE id = 1").await;
    world
        .until("it is there again, whole", async || {
            let record = world.record("Contact", "K1");
            record.is_some_and(|record| {
                record["FirstName"] == json!("Jane") && record["Email"] == json!("jane@acme.com")
            })
        })
        .await;
    assert_eq!(world.text("SELECT count(*)::text FROM salesforce.contact").await.unwrap(), "2");
    // A row's delete is not passed on, and its record does not come back.
    world.run("DELETE FROM salesforce.contact WHERE id = 2").await;
    world.until_quiet().await;
    let left = world.org.find_by_external_id("Contact", "K2").unwrap();
    let touch = [("Title".to_owned(), json!("Dr"))].into_iter().collect();
    world.org.user_update("Contact", &left, touch).unwrap();
    let newest = "SELECT last_read::text FROM syncdeck.mapping";
    for _ in 0..2 {
        let last = world.text(newest).await;
        world.until("a poll", async || world.text(newest).await > last).await;
    }
    assert_eq!(world.text("SELECT count(*)::text FROM salesforce.contact").await.unwrap(), "1");
    assert!(world.record("Contact", "K2").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_change_while_the_engine_runs_and_bad_ones_are_refused() {
    let world = World::start(&contacts("")).await;
    let refused = async |key: &str, value: &str| {
        world.handle.set_rule("Contact", key, Some(value)).await.unwrap_err().to_string()
    };
    for (key, value, part) in [
        ("strategy", "panic", "skip, retry, fail_fast"),
        ("Email.transforms", "trimm", "is no transform"),
        ("Email.transforms", "replace(\"(\", \"\")", "is no regular expression"),
        ("Emial.transforms", "trim", "has no mapped field Emial"),
        ("where", "emial IS NOT NULL", "emial"),
        ("batch_size", "1000", "200"),
        ("colour", "red", "is no rule of a mapping"),
    ] {
        let text = refused(key, value).await;
        assert!(text.contains(part), "{key}={value}: {text}");
    }
    world.handle.set_rule("Contact", "LastName.transforms", Some("uppercase")).await.unwrap();
    let log = "SELECT string_agg(message, ' ') FROM syncdeck.log WHERE message LIKE '%LastName.transforms%'";
    world.until("the engine says what changed", async || world.text(log).await.is_some()).await;
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Doe', 'K1')").await;
    world.until_quiet().await;
    assert_eq!(world.record("Contact", "K1").unwrap()["LastName"], json!("DOE"));
    let (_, rules) = world.handle.rules("Contact").await.unwrap();
    let shown = rules.iter().find(|rule| rule.key == "LastName.transforms").unwrap();
    assert_eq!((shown.value.as_str(), shown.origin), ("uppercase", "run time"));
    world.handle.set_rule("Contact", "LastName.transforms", None).await.unwrap();
    let cleared = "SELECT count(*)::text FROM syncdeck.setting";
    assert_eq!(world.text(cleared).await.unwrap(), "0");
    let audit = "SELECT string_agg(action || ' ' || actor, ',') FROM syncdeck.audit";
    assert_eq!(world.text(audit).await.unwrap(), "set tester@here,set tester@here");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_failure_stops_the_writes_of_a_fail_fast_mapping_until_they_are_resumed() {
    let world = World::start(&contacts("strategy = \"fail_fast\"")).await;
    world
        .run(
            "INSERT INTO salesforce.contact (lastname, email, external_id__c) VALUES ('Doe', 'nobody', 'K1')",
        )
        .await;
    let state = async || {
        let overview = world.handle.overview().await.unwrap();
        overview.mappings[0].state
    };
    world.until("its writes are stopped", async || state().await.word() == "stopped").await;
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Roe', 'K2')").await;
    // Reads go on.
    let made = [("LastName".to_owned(), json!("Hopper"))].into_iter().collect();
    world.org.user_create("Contact", made).unwrap();
    world.until_text("SELECT count(*)::text FROM salesforce.contact", "3").await;
    assert!(world.record("Contact", "K2").is_none());
    world.run("UPDATE salesforce.contact SET email = NULL WHERE id = 1").await;
    world.handle.writes(Some("Contact"), Writes::Resume).await.unwrap();
    world
        .until("both are there", async || {
            world.record("Contact", "K1").is_some() && world.record("Contact", "K2").is_some()
        })
        .await;
    world.until("it is well", async || state().await.word() == "ok").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn under_manual_review_a_failed_row_waits_for_a_person_even_when_it_changes() {
    let world = World::start(&contacts("strategy = \"manual_review\"")).await;
    world
        .run(
            "INSERT INTO salesforce.contact (lastname, email, external_id__c) VALUES ('Doe', 'nobody', 'K1')",
        )
        .await;
    until_error(&world, 1, "review INVALID_EMAIL_ADDRESS engine").await;
    world.run("UPDATE salesforce.contact SET email = 'jane@acme.com'").await;
    // Somebody else's row passes it by.
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Roe', 'K2')").await;
    world.until("the other is there", async || world.record("Contact", "K2").is_some()).await;
    assert!(world.record("Contact", "K1").is_none());
    let page = world
        .handle
        .errors(&ErrorQuery { filter: "state:review".to_owned(), limit: 5, ..ErrorQuery::default() })
        .await
        .unwrap();
    assert_eq!(page.items.len(), 1);
    world.handle.retry(&contact(1)).await.unwrap();
    world.until("it is released", async || world.record("Contact", "K1").is_some()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn under_retry_every_failure_is_tried_again_on_schedule_and_then_waits() {
    let world = World::start(&contacts(
        "strategy = \"retry\"\ncheck = false\nretry_schedule = [\"0s\", \"50ms\", \"50ms\"]",
    ))
    .await;
    world
        .run(
            "INSERT INTO salesforce.contact (lastname, email, external_id__c) VALUES ('Doe', 'nobody', 'K1')",
        )
        .await;
    until_error(&world, 1, "open INVALID_EMAIL_ADDRESS salesforce").await;
    assert_eq!(world.text("SELECT attempts::text FROM syncdeck.error").await.unwrap(), "4");
    assert_eq!(world.text("SELECT count(*)::text FROM syncdeck.attempt").await.unwrap(), "4");
}

#[tokio::test(flavor = "multi_thread")]
async fn passing_trouble_is_tried_again_by_itself_as_often_as_the_mapping_says() {
    let world = World::start(&contacts("max_retries = 2\nretry_delay = \"20ms\"")).await;
    world.org.change_faults(|faults| faults.row_lock = 1.0);
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Doe', 'K1')").await;
    until_error(&world, 1, "open UNABLE_TO_LOCK_ROW salesforce").await;
    assert_eq!(world.text("SELECT attempts::text FROM syncdeck.error").await.unwrap(), "3");
    world.org.change_faults(|faults| faults.row_lock = 0.0);
    world.handle.retry(&contact(1)).await.unwrap();
    world.until("it is there", async || world.record("Contact", "K1").is_some()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn masked_values_are_sent_and_stay_out_of_history_and_log() {
    let world = World::start(&contacts("check = false\n[mapping.field.Email]\nmask = true")).await;
    world.run("INSERT INTO salesforce.contact (lastname, email, external_id__c) VALUES ('Doe', 'secret-nobody', 'K1')").await;
    until_error(&world, 1, "open INVALID_EMAIL_ADDRESS salesforce").await;
    world.run("UPDATE salesforce.contact SET email = 'secret@acme.com'").await;
    world
        .until("it is there", async || {
            world.record("Contact", "K1").is_some_and(|record| record["Email"] == json!("secret@acme.com"))
        })
        .await;
    for table in ["attempt", "log", "error"] {
        let found =
            format!("SELECT string_agg(t::text, ' ') FROM syncdeck.{table} t WHERE t::text LIKE '%secret%'");
        let found =
            world.text(&found).await.filter(|found| found.replace("simulated-secret", "").contains("secret"));
        assert!(found.is_none(), "{table}: {found:?}");
    }
}
