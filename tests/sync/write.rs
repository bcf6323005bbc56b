//! From rows to records.

use serde_json::json;
use syncdeck::domain::state::ConnectionState;
use syncdeck::engine;

use crate::world::{INVOICES, MAPPINGS, World};

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_an_update_and_a_delete_arrive_and_the_row_says_so() {
    let world = World::start(MAPPINGS).await;
    world.run("INSERT INTO salesforce.contact (lastname, email, score__c, external_id__c) VALUES ('Lovelace', 'ada@acme.com', 1.5, 'K1')").await;
    world.until_text("SELECT _hc_lastop FROM salesforce.contact WHERE external_id__c = 'K1'", "SYNCED").await;
    let record = world.record("Contact", "K1").unwrap();
    assert_eq!(record["Score__c"], json!(1.5));
    assert_eq!(world.text("SELECT sfid FROM salesforce.contact").await.unwrap(), record["Id"]);

    world.run("UPDATE salesforce.contact SET email = NULL, firstname = 'Ada'").await;
    world.until_quiet().await;
    let record = world.record("Contact", "K1").unwrap();
    assert_eq!((&record["Email"], &record["FirstName"]), (&json!(null), &json!("Ada")));

    world.run("DELETE FROM salesforce.contact").await;
    world.until_quiet().await;
    assert!(world.record("Contact", "K1").is_none());
    let writes = ["create", "update", "delete"].map(|op| world.writes(op, "K1"));
    assert_eq!(writes[..2], [1, 1]);
    let states = "SELECT string_agg(state, ' ' ORDER BY id) FROM salesforce._trigger_log_archive";
    assert_eq!(world.text(states).await.unwrap(), "SUCCESS SUCCESS SUCCESS");
    assert_eq!(world.text("SELECT count(*)::text FROM salesforce._trigger_log").await.unwrap(), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_one_record_are_folded_and_a_never_sent_pair_is_not_sent() {
    let mut world = World::start(MAPPINGS).await;
    world.stop_engine().await;
    world
        .run(
            "INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('One', 'K1');
             UPDATE salesforce.contact SET lastname = 'Two' WHERE external_id__c = 'K1';
             UPDATE salesforce.contact SET lastname = 'Three' WHERE external_id__c = 'K1';
             INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Gone', 'K2');
             DELETE FROM salesforce.contact WHERE external_id__c = 'K2'",
        )
        .await;
    world.start_engine().await;
    world.until_quiet().await;
    assert_eq!(world.record("Contact", "K1").unwrap()["LastName"], json!("Three"));
    assert_eq!(
        (world.writes("create", "K1"), world.writes("update", "K1"), world.writes("create", "K2")),
        (1, 0, 0)
    );
    let states = "SELECT string_agg(state, ' ' ORDER BY id) FROM salesforce._trigger_log_archive";
    assert_eq!(world.text(states).await.unwrap(), "MERGED MERGED SUCCESS IGNORED IGNORED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_needs_no_send_leaves_nothing_pending() {
    let world = World::start(MAPPINGS).await;
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Still', 'K1')").await;
    world.until_text("SELECT _hc_lastop FROM salesforce.contact", "SYNCED").await;
    world.run("UPDATE salesforce.contact SET createddate = '2001-02-03'; UPDATE salesforce.contact SET lastname = lastname").await;
    world.until_quiet().await;
    world.until_text("SELECT _hc_lastop FROM salesforce.contact", "SYNCED").await;
    let states = "SELECT string_agg(state, ' ' ORDER BY id) FROM salesforce._trigger_log_archive";
    world.until_text(states, "SUCCESS IGNORED IGNORED").await;
    assert_eq!(world.writes("update", "K1"), 0);
    // What Salesforce alone sets comes back.
    let set = world.record("Contact", "K1").unwrap()["CreatedDate"].as_str().unwrap()[..19].to_owned();
    world
        .until_text("SELECT to_char(createddate, 'YYYY-MM-DD\"T\"HH24:MI:SS') FROM salesforce.contact", &set)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_sfid_that_is_no_id_keeps_no_other_record_from_being_read() {
    let world = World::start(MAPPINGS).await;
    world
        .run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('One', 'K1'), ('Two', 'K2')")
        .await;
    world.until_text("SELECT count(*)::text FROM salesforce.contact WHERE _hc_lastop = 'SYNCED'", "2").await;
    // The application breaks one row, of which nothing is sent then; another one was left to be read by an older program.
    world
        .run(
            "UPDATE salesforce.contact SET sfid = 'x', createddate = '2001-02-03' WHERE external_id__c = 'K1';
             INSERT INTO syncdeck.reread (table_name, sfid) VALUES ('contact', 'no id')",
        )
        .await;
    world.until_quiet().await;
    let told = "SELECT fields ->> 'sfids' FROM syncdeck.log WHERE message LIKE '%none of Salesforce''s'";
    world.until_text(told, "no id").await;
    world.until_text("SELECT count(*)::text FROM syncdeck.reread", "0").await;
    let id = world.org.find_by_external_id("Contact", "K2").unwrap();
    let named = json!({"LastName": "Named"}).as_object().unwrap().clone();
    world.org.user_update("Contact", &id, named).unwrap();
    world.until_text("SELECT lastname FROM salesforce.contact WHERE external_id__c = 'K2'", "Named").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_is_held_for_its_parent_and_released_by_it() {
    let world = World::start(INVOICES).await;
    world
        .run(
            "INSERT INTO salesforce.invoice__c (name, billing_email__c, external_id__c) VALUES ('Invoice', 'not an address', 'I1');
             INSERT INTO salesforce.invoice_line__c (name, quantity__c, invoice__r__external_id__c, external_id__c)
             VALUES ('Line', 2, 'I1', 'L1')",
        )
        .await;
    let held =
        "SELECT state || ' ' || code || ' ' || message FROM syncdeck.error WHERE mapping = 'Invoice_Line__c'";
    world
        .until_text(
            held,
            "held PARENT_NOT_SYNCED waits for Invoice__c 1 (I1), which failed: INVALID_EMAIL_ADDRESS",
        )
        .await;
    assert_eq!(world.text("SELECT _hc_lastop FROM salesforce.invoice_line__c").await.unwrap(), "PENDING");
    assert_eq!(
        world
            .text("SELECT attempts::text FROM syncdeck.unit WHERE table_name = 'invoice_line__c'")
            .await
            .unwrap(),
        "0"
    );
    world.run("UPDATE salesforce.invoice__c SET billing_email__c = 'pay@acme.com'").await;
    world.until_quiet().await;
    world.until_text("SELECT count(*)::text FROM syncdeck.unit", "0").await;
    let invoice = world.record("Invoice__c", "I1").unwrap();
    assert_eq!(world.record("Invoice_Line__c", "L1").unwrap()["Invoice__c"], invoice["Id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_lock_is_tried_again_by_itself_and_a_lost_answer_creates_nothing_twice() {
    let world = World::start(&MAPPINGS.replace("poll_interval", "max_retries = 100\npoll_interval")).await;
    world.org.change_faults(|faults| faults.row_lock = 1.0);
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Locked', 'K1')").await;
    let retrying =
        "SELECT state FROM syncdeck.error WHERE code = 'UNABLE_TO_LOCK_ROW' AND resolved_at IS NULL";
    world.until_text(retrying, "retrying").await;
    world.org.change_faults(|faults| {
        faults.row_lock = 0.0;
        faults.lose_answer = 1;
    });
    world.until("the record is there", async || world.record("Contact", "K1").is_some()).await;
    world.until_quiet().await;
    world.until_text("SELECT count(*)::text FROM syncdeck.error WHERE resolved_at IS NULL", "0").await;
    assert_eq!(world.writes("create", "K1"), 1);
    assert_eq!(world.org.fault_counts().lose_answer, 1);
    assert_eq!(
        world.text("SELECT count(*)::text FROM syncdeck.attempt WHERE outcome = 'lost'").await.unwrap(),
        "1"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_outages_and_expired_sessions_stop_the_connection_and_no_record() {
    let world = World::start(MAPPINGS).await;
    world.org.change_faults(|faults| {
        faults.expire_session = 1;
        faults.concurrent_limit = 1;
        faults.unavailable = 1;
    });
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Patient', 'K1')").await;
    world.until_quiet().await;
    assert!(world.record("Contact", "K1").is_some());
    let seen = "SELECT string_agg(DISTINCT code, ' ' ORDER BY code) FROM syncdeck.error";
    world.until_text(seen, "INVALID_SESSION_ID REQUEST_LIMIT_EXCEEDED SERVER_UNAVAILABLE").await;
    world.until_text("SELECT count(*)::text FROM syncdeck.error WHERE resolved_at IS NULL", "0").await;
    assert_eq!(
        world.text("SELECT count(*)::text FROM syncdeck.attempt WHERE outcome = 'rejected'").await.unwrap(),
        "0"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn maintenance_stops_the_connection_and_no_record() {
    let world = World::start(MAPPINGS).await;
    // In the middle of it the session is lost too: whoever asks for another one is answered by a page.
    world.org.change_faults(|faults| faults.maintenance = true);
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Patient', 'K1')").await;
    let stops = "SELECT (count(*) > 0)::text FROM syncdeck.error WHERE mapping = '' AND resolved_at IS NULL";
    world.until_text(stops, "true").await;
    world.org.end_sessions();
    let overview = world.handle.overview().await.unwrap();
    assert_ne!(overview.connection.state, ConnectionState::Unauthorized, "{:?}", overview.connection);
    world.org.change_faults(|faults| faults.maintenance = false);
    world.until_quiet().await;
    world.until_text("SELECT count(*)::text FROM syncdeck.error WHERE resolved_at IS NULL", "0").await;
    assert_eq!(world.writes("create", "K1"), 1);
    let codes = "SELECT string_agg(DISTINCT code, ' ') FROM syncdeck.error WHERE code IN ('LOGIN_FAILED', 'OUTCOME_UNKNOWN')";
    assert_eq!(world.text(codes).await, None, "it is told as something else");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_error_that_closed_nothing_is_over_with_the_next_answer() {
    let world = World::start(&MAPPINGS.replace("200ms", "1h")).await;
    world.until_text("SELECT bool_and(records IS NOT NULL)::text FROM syncdeck.mapping", "true").await;
    let listed = "SELECT string_agg(DISTINCT code, ' ') FROM syncdeck.error WHERE mapping = ''";
    // Somebody who lists nothing may meet the fault. Then another row is sent: each meets one at most, and has its answer
    // after what it met is listed.
    let mut sent = 0;
    while world.text(listed).await.as_deref() != Some("UNKNOWN_EXCEPTION") {
        sent += 1;
        world.org.change_faults(|faults| faults.server_error = 1);
        let row = format!(
            "INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Patient', 'K{sent}')"
        );
        world.run(&row).await;
        world
            .until("Salesforce has it", async || world.record("Contact", &format!("K{sent}")).is_some())
            .await;
    }
    world
        .until("it is over", async || {
            let open = "SELECT count(*)::text FROM syncdeck.error WHERE mapping = '' AND resolved_at IS NULL";
            world.text(open).await.as_deref() == Some("0")
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_deleted_while_its_insert_is_in_flight_takes_its_record_with_it() {
    let world = World::start(MAPPINGS).await;
    // Its answer cannot be kept as long as this is locked: it stays in flight.
    let held = world.another_session().await;
    held.batch_execute("BEGIN; LOCK TABLE syncdeck.attempt IN SHARE MODE").await.unwrap();
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Brief', 'K1')").await;
    let in_flight = "SELECT count(*)::text FROM syncdeck.unit WHERE state = 'inflight'";
    world.until_text(in_flight, "1").await;
    world.run("DELETE FROM salesforce.contact").await;
    held.batch_execute("COMMIT").await.unwrap();
    world
        .until("the record came and went", async || {
            world.org.journal_since(0).iter().filter(|entry| entry.source == "api").count() == 2
        })
        .await;
    world.until_quiet().await;
    assert!(world.record("Contact", "K1").is_none());
}

/// A row that an application inserts with the number of one that it deleted.
const AGAIN: &str = "INSERT INTO salesforce.contact (id, lastname, external_id__c) VALUES (1, 'Again', 'K1')";

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_comes_back_with_its_number_gets_a_record_of_its_own() {
    let world = World::start(MAPPINGS).await;
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('First', 'K1')").await;
    world.until_quiet().await;
    let first = world.record("Contact", "K1").unwrap()["Id"].clone();
    // Its delete was taken.
    world.run("DELETE FROM salesforce.contact").await;
    world.until_quiet().await;
    world.run(AGAIN).await;
    world.until_quiet().await;
    let second = world.record("Contact", "K1").unwrap();
    assert_eq!(second["LastName"], json!("Again"));
    assert_ne!(second["Id"], first);
    // It comes back while its delete is on its way, of a unit that kept the id from call to call: while one engine
    // sends, the other one ingests what came since.
    let other = engine::start(world.config.clone(), world.store.clone()).await.unwrap();
    world.run("DELETE FROM salesforce.contact").await;
    world.until_quiet().await;
    let before: usize =
        world.text("SELECT count(*)::text FROM syncdeck.attempt").await.unwrap().parse().unwrap();
    world.org.change_faults(|faults| faults.latency_ms = 1000);
    let changes =
        [AGAIN, "UPDATE salesforce.contact SET lastname = 'Twice'", "DELETE FROM salesforce.contact", AGAIN];
    for (sent, change) in changes.into_iter().enumerate() {
        world.run(change).await;
        // The next one comes while this one is on its way, unless it was answered before anybody looked, perhaps together with
        // the one before.
        let on_its_way = format!(
            "SELECT (count(*) > {0} OR NOT EXISTS (SELECT FROM salesforce._trigger_log WHERE state = 'NEW')
                 AND (count(*) = {0} AND EXISTS (SELECT FROM syncdeck.unit WHERE state = 'inflight')
                     OR NOT EXISTS (SELECT FROM syncdeck.unit WHERE state IN ('ready', 'inflight', 'writeback'))))::text
             FROM syncdeck.attempt",
            before + sent
        );
        world.until_text(&on_its_way, "true").await;
    }
    world.org.change_faults(|faults| faults.latency_ms = 0);
    world.until_quiet().await;
    other.stop().await;
    assert_eq!(world.record("Contact", "K1").unwrap()["LastName"], json!("Again"));
    // The record was deleted in Salesforce, and the row went with it.
    let third = world.record("Contact", "K1").unwrap()["Id"].as_str().unwrap().to_owned();
    world.until_text("SELECT sfid FROM salesforce.contact", &third).await;
    world.until_quiet().await;
    world.org.user_delete("Contact", &third).unwrap();
    world.until_text("SELECT count(*)::text FROM salesforce.contact", "0").await;
    world.run(AGAIN).await;
    world.until("it is there once more", async || world.record("Contact", "K1").is_some()).await;
    world.until_quiet().await;
    let told = "SELECT coalesce(string_agg(code, ' '), '') FROM syncdeck.error";
    assert_eq!(world.text(told).await.as_deref(), Some(""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_comes_back_before_its_delete_was_sent_does_without_its_record() {
    let mut world = World::start(MAPPINGS).await;
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('First', 'K1')").await;
    world.until_quiet().await;
    world.stop_engine().await;
    // Somebody deletes the record in Salesforce, which nobody has read yet.
    let first = world.record("Contact", "K1").unwrap()["Id"].as_str().unwrap().to_owned();
    world.org.user_delete("Contact", &first).unwrap();
    world.run(&format!("DELETE FROM salesforce.contact; {AGAIN}")).await;
    world.start_engine().await;
    world.until("it is there anew", async || world.record("Contact", "K1").is_some()).await;
    world.until_quiet().await;
    let told = "SELECT coalesce(string_agg(code, ' '), '') FROM syncdeck.error WHERE resolved_at IS NULL";
    assert_eq!(world.text(told).await.as_deref(), Some(""));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_deletes_are_not_passed_on_a_row_that_comes_back_keeps_its_record() {
    let mappings = MAPPINGS.replace("external_id = \"External_Id__c\"", "ignore_deletes = \"postgres\"");
    let world = World::start(&mappings).await;
    let names = async || -> Vec<String> {
        let records = world.org.ids("Contact").into_iter().filter_map(|id| world.org.record("Contact", &id));
        records.map(|record| record["LastName"].as_str().unwrap().to_owned()).collect()
    };
    world.run("INSERT INTO salesforce.contact (id, lastname) VALUES (1, 'First')").await;
    world.until_quiet().await;
    world.run("DELETE FROM salesforce.contact").await;
    world.until_quiet().await;
    world.run("INSERT INTO salesforce.contact (id, lastname) VALUES (1, 'Again')").await;
    world.until_quiet().await;
    assert_eq!(names().await, ["Again"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_insert_whose_answer_is_lost_waits_for_a_person_and_is_not_sent_twice() {
    let mapping = "[[mapping]]\nobject = \"Contact\"\nfields = [\"LastName\", \"External_Id__c\"]\npoll_interval = \"1h\"\n";
    let world = World::start(mapping).await;
    world.org.change_faults(|faults| faults.lose_answer = 1);
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Once', 'K1')").await;
    let listed = "SELECT code || ' ' || class || ' ' || state FROM syncdeck.error WHERE resolved_at IS NULL";
    world.until_text(listed, "OUTCOME_UNKNOWN unknown open").await;
    world.run("UPDATE salesforce.contact SET lastname = 'Twice'").await;
    world.until_text("SELECT state FROM syncdeck.unit", "failed").await;
    world.until_quiet().await;
    assert_eq!(world.writes("create", "K1"), 1);
    assert_eq!(world.text("SELECT attempts::text FROM syncdeck.unit").await.unwrap(), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_starts_again_waits_for_no_users_lock() {
    let mut world = World::start(MAPPINGS).await;
    world.stop_engine().await;
    // A user's open transaction holds its lock on the table; DDL would wait for it.
    world.run("BEGIN; INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Open', 'K1')").await;
    world.start_engine().await;
    world.run("COMMIT").await;
    world.until_quiet().await;
    assert_eq!(world.writes("create", "K1"), 1);
}

/// Accounts that name their parent, and contacts and accounts that name each other.
const CIRCLES: &str = r#"
[[mapping]]
object = "Account"
fields = ["Name", "Parent.External_Id__c", "Main_Contact__r.External_Id__c"]
external_id = "External_Id__c"
poll_interval = "200ms"
[[mapping]]
object = "Contact"
fields = ["LastName", "Account.External_Id__c"]
external_id = "External_Id__c"
poll_interval = "200ms"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_name_themselves_or_each_other_begin_without_and_get_the_reference_after() {
    let world = World::start(CIRCLES).await;
    world
        .run(
            "BEGIN;
             INSERT INTO salesforce.account (name, external_id__c, parent__external_id__c) VALUES ('Own parent', 'A0', 'A0');
             INSERT INTO salesforce.account (name, external_id__c, parent__external_id__c) VALUES
                 ('One', 'A1', 'A2'), ('Two', 'A2', 'A3'), ('Three', 'A3', 'A1'), ('Child', 'A4', 'A3');
             INSERT INTO salesforce.account (name, external_id__c, main_contact__r__external_id__c) VALUES ('Acme', 'A5', 'C5');
             INSERT INTO salesforce.contact (lastname, external_id__c, account__external_id__c) VALUES ('Doe', 'C5', 'A5');
             COMMIT",
        )
        .await;
    world.until_quiet().await;
    world.until_text("SELECT count(*)::text FROM syncdeck.unit", "0").await;
    let id = |object: &str, key: &str| json!(world.org.find_by_external_id(object, key).unwrap());
    for (child, parent) in [("A0", "A0"), ("A1", "A2"), ("A2", "A3"), ("A3", "A1"), ("A4", "A3")] {
        assert_eq!(world.record("Account", child).unwrap()["ParentId"], id("Account", parent), "{child}");
        assert_eq!(world.writes("create", child), 1, "{child}");
    }
    assert_eq!(world.record("Account", "A5").unwrap()["Main_Contact__c"], id("Contact", "C5"));
    assert_eq!(world.record("Contact", "C5").unwrap()["AccountId"], id("Account", "A5"));
    // Only who had to begin without its reference was sent twice.
    let twice =
        ["A0", "A1", "A2", "A3", "A4", "A5"].iter().filter(|key| world.writes("update", key) > 0).count();
    assert!((2..=3).contains(&twice), "{twice} accounts were sent twice");
    world.until_text("SELECT count(*)::text FROM syncdeck.error WHERE resolved_at IS NULL", "0").await;
    world
        .until_text(
            "SELECT count(*)::text FROM salesforce.account WHERE _hc_lastop <> 'SYNCED' OR sfid IS NULL",
            "0",
        )
        .await;
}

/// Nothing waits for the next look of an idle writer: the commit itself is noticed, however long its transaction was open.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_sent_when_its_transaction_ends() {
    let world = World::start(MAPPINGS).await;
    let mut open = world.another_session().await;
    for (number, rounds) in [0, 1, 40].into_iter().enumerate() {
        let transaction = open.transaction().await.unwrap();
        let sql =
            format!("INSERT INTO salesforce.account (name, external_id__c) VALUES ('Acme', 'W{number}')");
        transaction.batch_execute(&sql).await.unwrap();
        for round in 0..rounds {
            // Others capture, commit and are sent meanwhile; what is open is not.
            let sql = format!(
                "INSERT INTO salesforce.account (name, external_id__c) VALUES ('Other', 'O{number}-{round}')"
            );
            world.run(&sql).await;
            assert_eq!(world.record("Account", &format!("W{number}")), None);
        }
        world.until_quiet().await;
        transaction.commit().await.unwrap();
        world.until("it is sent", async || world.record("Account", &format!("W{number}")).is_some()).await;
    }
    world.until_quiet().await;
}
