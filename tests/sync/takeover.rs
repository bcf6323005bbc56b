//! A schema that Heroku Connect left: its triggers, and the entries of its change log.

use serde_json::json;
use syncdeck::client::operations::execute::Targets;
use syncdeck::domain::operations::operation::OperationKind;
use tokio_util::sync::CancellationToken;

use crate::world::{MAPPINGS, World};

const HEROKU: &str = include_str!("heroku.sql");
const CONTACT: &str = r#"
[[mapping]]
object = "Contact"
fields = ["LastName", "FirstName", "Email", "Phone", "CreatedDate"]
external_id = "External_Id__c"
poll_interval = "200ms"
"#;
const TRIGGERS: &str = "SELECT string_agg(tgname, ' ' ORDER BY tgname) FROM pg_trigger
     WHERE tgrelid = 'salesforce.contact'::regclass AND NOT tgisinternal";
const ERRORS: &str =
    "SELECT string_agg(code, ' ' ORDER BY code) FROM syncdeck.error WHERE resolved_at IS NULL";

async fn until_listed(world: &World, code: &str, part: &str) {
    let sql = format!(
        "SELECT count(*)::text FROM syncdeck.error WHERE code = '{code}' AND message LIKE '%{part}%' AND resolved_at IS NULL"
    );
    world.until_text(&sql, "1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heroku_connects_triggers_are_replaced_and_each_change_is_captured_once() {
    let world = World::found(CONTACT, HEROKU).await;
    assert_eq!(world.text(TRIGGERS).await.unwrap(), "00_hc_logger 00_hc_truncate zz_hc_status");
    let told = "SELECT count(*)::text FROM syncdeck.log WHERE message LIKE '%hc_contact_logtrigger%dropped%'";
    world.until_text(told, "1").await;
    world
        .run(
            "INSERT INTO salesforce.contact (lastname, email, external_id__c) VALUES ('Okafor', 'okafor@example.com', 'C-10');
             INSERT INTO salesforce.contact (lastname, email, external_id__c) VALUES ('Lindqvist', 'no-at-sign', 'C-11')",
        )
        .await;
    let failed = "SELECT external_id__c FROM salesforce.contact WHERE _hc_err IS NOT NULL";
    world.until_text(failed, "C-11").await;
    world
        .until_text("SELECT _hc_lastop FROM salesforce.contact WHERE external_id__c = 'C-10'", "SYNCED")
        .await;
    world.run("UPDATE salesforce.contact SET firstname = 'Ada' WHERE external_id__c = 'C-10'").await;
    world.until_quiet().await;
    world.run("DELETE FROM salesforce.contact WHERE external_id__c = 'C-10'").await;
    world.until_quiet().await;
    assert!(world.record("Contact", "C-10").is_none());
    assert_eq!((world.writes("create", "C-10"), world.writes("update", "C-10")), (1, 1));
    let entries = "SELECT count(*)::text FROM (SELECT FROM salesforce._trigger_log UNION ALL SELECT FROM salesforce._trigger_log_archive) e";
    assert_eq!(world.text(entries).await.unwrap(), "4");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_heroku_connect_said_of_a_row_stays() {
    let rows = "SET xmlbinary = 'hex'; INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Rau', 'C-1');
         RESET xmlbinary";
    let world = World::found(CONTACT, &format!("{HEROKU}; {rows}")).await;
    assert_eq!(world.text("SELECT _hc_lastop FROM salesforce.contact").await.unwrap(), "SYNCED");
    assert_eq!(world.text("SELECT count(*)::text FROM salesforce._trigger_log").await.unwrap(), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_capture_is_named_and_one_of_heroku_connects_ends_with_a_restart() {
    let mut world = World::start(MAPPINGS).await;
    // As if Heroku Connect were switched on again: another name, the function's usual one.
    world
        .run(
            "CREATE TRIGGER later AFTER INSERT OR UPDATE ON salesforce.contact FOR EACH ROW
             EXECUTE FUNCTION salesforce.hc_contact_logger()",
        )
        .await;
    until_listed(&world, "CAPTURE_DOUBLE", "later (which calls hc_contact_logger)").await;
    world.stop_engine().await;
    world.start_engine().await;
    assert_eq!(world.text(TRIGGERS).await.unwrap(), "00_hc_logger 00_hc_truncate zz_hc_status");
    world.until("it is over", async || world.text(ERRORS).await.is_none()).await;

    // Somebody's own function that writes the log, and one that says where rows stand: they are named, not dropped.
    world
        .run(
            r#"CREATE FUNCTION public.own_log() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 INSERT  INTO "salesforce"."_trigger_log" (state, action, table_name, record_id) VALUES ('NEW', 'UPDATE', 'contact', NEW.id);
                 RETURN NULL; END $$;
             CREATE FUNCTION public.own_status() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 NEW._hc_lastop := 'PENDING'; RETURN NEW; END $$;
             CREATE TRIGGER xx_log AFTER UPDATE ON salesforce.contact FOR EACH ROW EXECUTE FUNCTION public.own_log();
             CREATE TRIGGER xx_status BEFORE UPDATE ON salesforce.contact FOR EACH ROW EXECUTE FUNCTION public.own_status()"#,
        )
        .await;
    until_listed(
        &world,
        "CAPTURE_DOUBLE",
        "xx_log (which calls own_log), xx_status (which calls own_status)",
    )
    .await;

    // Heroku Connect's function in the place of ours.
    world
        .run(
            "CREATE OR REPLACE FUNCTION salesforce.hc_contact_logger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
        )
        .await;
    until_listed(&world, "CAPTURE_MISSING", "calls hc_contact_logger, which is not syncdeck''s any more")
        .await;
}

/// What Heroku Connect leaves when it is switched off in the middle.
const LEFT: &str = r#"
    SET xmlbinary = 'hex';
    INSERT INTO salesforce.contact (id, lastname, email, external_id__c) VALUES
        (901, 'InFlight', 'a@example.com', 'TL-1'), (902, 'NotBegun', 'b@example.com', 'TL-2'), (903, 'Failed', 'no-mail', 'TL-3'),
        (904, 'NoKey', 'd@example.com', NULL), (905, 'Overtaken', 'new@example.com', 'TL-5');
    UPDATE salesforce.contact SET _hc_lastop = 'PENDING' WHERE id IN (901, 902, 904);
    UPDATE salesforce.contact SET _hc_lastop = 'FAILED', _hc_err = '{"msg": "no"}' WHERE id = 903;
    RESET xmlbinary;
    INSERT INTO salesforce._trigger_log (txid, state, action, table_name, record_id, values, sf_message)
    SELECT 1, s, 'INSERT', 'contact', c.id, (hstore(c) - ARRAY['_hc_lastop', '_hc_err'])::text, m
    FROM (VALUES (901, 'PENDING', NULL), (902, 'NEW', NULL),
        (903, 'FAILED', 'INVALID_EMAIL_ADDRESS: Email: invalid email address: no-mail'), (904, 'PENDING', NULL)) v (id, s, m)
    JOIN salesforce.contact c USING (id);
    INSERT INTO salesforce._trigger_log (state, action, table_name, record_id, values) VALUES
        ('SUCCESS', 'INSERT', 'contact', 905, '"lastname"=>"Overtaken"'),
        ('PENDING', 'UPDATE', 'contact', 905, '"email"=>"old@example.com"');
    INSERT INTO salesforce._trigger_log_archive (id, state, action, table_name, record_id, values)
    VALUES (500, 'SUCCESS', 'UPDATE', 'contact', 905, '"email"=>"new@example.com"');
"#;

#[tokio::test(flavor = "multi_thread")]
async fn every_entry_that_was_left_behind_has_an_owner() {
    let world = World::found(CONTACT, &format!("{HEROKU}; {LEFT}")).await;
    world.until("what was in flight arrives", async || world.record("Contact", "TL-1").is_some()).await;
    world.until("what was not begun arrives", async || world.record("Contact", "TL-2").is_some()).await;
    let listed = "SELECT format('%s %s %s %s', record_id, code, category, state) FROM syncdeck.error
         WHERE resolved_at IS NULL AND record_id = ";
    world.until_text(&format!("{listed} 903"), "903 INVALID_EMAIL_ADDRESS data open").await;
    // Salesforce may have it: without a key it is not sent a second time by itself.
    world.until_text(&format!("{listed} 904"), "904 OUTCOME_UNKNOWN consistency open").await;
    // What is newer than an entry is not taken back by it.
    world
        .until("the overtaken one arrives", async || {
            world.record("Contact", "TL-5").is_some_and(|record| record["Email"] == json!("new@example.com"))
        })
        .await;
    let left = "SELECT string_agg(record_id::text, ' ' ORDER BY record_id) FROM salesforce._trigger_log";
    world.until_text(left, "903 904").await;
    // New ids come after the ones that were given.
    world.run("UPDATE salesforce.contact SET email = 'c@example.com' WHERE id = 903").await;
    world.until("the failed one is mended", async || world.record("Contact", "TL-3").is_some()).await;
    world.until_text(left, "904").await;
    let highest = "SELECT (max(id) > 500)::text FROM salesforce._trigger_log_archive WHERE record_id = 903";
    world.until_text(highest, "true").await;
    assert_eq!(world.writes("create", "TL-1"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_whose_state_is_set_by_hand_is_taken_up_and_a_retry_sends_a_failed_one() {
    let world = World::start(MAPPINGS).await;
    world
        .run(
            "BEGIN; SET LOCAL xmlbinary = 'hex'; INSERT INTO salesforce.contact (id, lastname, external_id__c) VALUES (1, 'One', 'K1'), (2, 'Two', 'K2'); COMMIT;
             INSERT INTO salesforce._trigger_log (state, action, table_name, record_id, values, created_at) VALUES
                 ('PENDING', 'INSERT', 'contact', 1, 'lastname=>One, external_id__c=>K1', NULL),
                 ('FAILED', 'INSERT', 'contact', 2, 'lastname=>Two, external_id__c=>K2', NULL)",
        )
        .await;
    world.until("the one in flight arrives", async || world.record("Contact", "K1").is_some()).await;
    world.until_text(ERRORS, "UNKNOWN_EXCEPTION").await;
    let error: i64 = world
        .sql
        .query_one("SELECT id FROM syncdeck.error WHERE resolved_at IS NULL", &[])
        .await
        .unwrap()
        .get(0);
    execute(&world, error, OperationKind::Retry).await;
    world.until("the failed one arrives", async || world.record("Contact", "K2").is_some()).await;
}

async fn execute(world: &World, error: i64, kind: OperationKind) -> String {
    let plan = world.handle.plan(&Targets::Ids(vec![error]), kind).await.unwrap();
    let report = world.handle.execute(&plan, None, &|_| {}, &CancellationToken::new()).await.unwrap();
    report.items.first().map(|item| item.message.clone()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_fits_nowhere_is_listed_by_itself_and_nothing_waits_for_it() {
    let world = World::start(MAPPINGS).await;
    world
        .run(
            "BEGIN; SET LOCAL xmlbinary = 'hex'; INSERT INTO salesforce.contact (id, lastname, external_id__c) VALUES (7, 'Seven', 'K7'); COMMIT;
             INSERT INTO salesforce._trigger_log (state, action, table_name, record_id, values) VALUES
                 ('NEW', NULL, 'contact', 7, 'lastname=>X'), ('NEW', 'UPSERT', 'contact', 7, 'lastname=>X'),
                 ('NEW', 'UPDATE', 'contact', NULL, 'lastname=>X'), ('NEW', 'UPDATE', 'no_such_table', 7, 'lastname=>X'),
                 ('NEW', 'UPDATE', NULL, 7, 'lastname=>X'), ('NEW', 'UPDATE', 'contact', 7, 'this is no hstore'),
                 ('PENDING', 'UPDATE', 'contact', 7, '\"a\"=>'), ('WHAT', 'UPDATE', 'contact', 7, 'lastname=>X'),
                 (NULL, 'UPDATE', 'contact', 7, 'lastname=>X');
             INSERT INTO salesforce._trigger_log (state, action, table_name, record_id, values)
             SELECT 'NEW', NULL, 'contact', NULL, NULL FROM generate_series(1, 2000);
             INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Fine', 'K1');
             UPDATE salesforce.contact SET firstname = 'Ada' WHERE id = 7",
        )
        .await;
    world.until("other changes arrive", async || world.record("Contact", "K1").is_some()).await;
    world
        .until("changes of the same row arrive", async || {
            world.record("Contact", "K7").is_some_and(|record| record["FirstName"] == json!("Ada"))
        })
        .await;
    let listed = "SELECT count(*)::text FROM syncdeck.error WHERE code = 'ENTRY_UNREADABLE' AND state = 'open' AND resolved_at IS NULL";
    world.until_text(listed, "2009").await;
    let states = "SELECT string_agg(DISTINCT state, ' ') FROM salesforce._trigger_log";
    world.until_text(states, "FAILED").await;
    // One is ignored by its number, one mended, and one deleted.
    let of = async |part: &str| -> i64 {
        let sql = format!(
            "SELECT id FROM syncdeck.error WHERE message LIKE '%{part}%' AND resolved_at IS NULL LIMIT 1"
        );
        world.sql.query_one(&sql, &[]).await.unwrap().get(0)
    };
    let ignored = of("UPSERT").await;
    assert!(execute(&world, ignored, OperationKind::Retry).await.contains("mend the entry"));
    assert!(execute(&world, ignored, OperationKind::Ignore).await.contains("given up"));
    assert_eq!(world.text(listed).await.unwrap(), "2008");
    let archived = "SELECT state FROM salesforce._trigger_log_archive WHERE action = 'UPSERT'";
    assert_eq!(world.text(archived).await.unwrap(), "IGNORED");
    world.run("DELETE FROM salesforce._trigger_log WHERE table_name = 'no_such_table'").await;
    world.run("UPDATE salesforce._trigger_log SET state = 'NEW', values = 'phone=>\"+12025550143\"' WHERE values = 'this is no hstore'").await;
    world.until_text(listed, "2006").await;
    world
        .until("the mended one arrives", async || {
            world.record("Contact", "K7").unwrap()["Phone"] == json!("+12025550143")
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_a_table_without_a_mapping_are_kept_and_told() {
    let world = World::found(CONTACT, &format!("{HEROKU}; CREATE TABLE salesforce.account (id serial PRIMARY KEY);
         INSERT INTO salesforce._trigger_log (state, action, table_name, record_id) VALUES ('NEW', 'INSERT', 'account', 1)")).await;
    until_listed(&world, "TABLE_NOT_MAPPED", "changes of account wait").await;
    assert_eq!(world.text("SELECT state FROM salesforce._trigger_log").await.unwrap(), "NEW");
    world.run("DELETE FROM salesforce._trigger_log").await;
    world.until("it is over", async || world.text(ERRORS).await.is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_change_that_somebody_sets_to_ignored_is_given_up() {
    let world = World::start(MAPPINGS).await;
    world
        .run(
            "INSERT INTO salesforce.contact (lastname, email, external_id__c) VALUES ('One', 'no-mail', 'K1'), ('Two', 'no-mail', 'K2');
             UPDATE salesforce.contact SET firstname = 'Ada' WHERE id = 2",
        )
        .await;
    world.until_text("SELECT count(*)::text FROM salesforce._trigger_log WHERE state = 'FAILED'", "3").await;
    world.until_text(ERRORS, "INVALID_EMAIL_ADDRESS INVALID_EMAIL_ADDRESS").await;
    // Of the second row another change is left.
    world.run("UPDATE salesforce._trigger_log SET state = 'IGNORED' WHERE action = 'INSERT'").await;
    world.until_text("SELECT count(*)::text FROM salesforce._trigger_log", "1").await;
    world.until_text(ERRORS, "INVALID_EMAIL_ADDRESS").await;
    let over =
        "SELECT concat_ws(' ', record_id, resolution) FROM syncdeck.error WHERE resolved_at IS NOT NULL";
    assert_eq!(world.text(over).await.unwrap(), "1 ignored");
    assert_eq!(world.text("SELECT string_agg(record_id::text, ' ') FROM syncdeck.unit").await.unwrap(), "2");
    let kept = "SELECT concat_ws(' ', count(*), bool_and(sf_message LIKE 'INVALID_EMAIL%')) FROM salesforce._trigger_log_archive
         WHERE state = 'IGNORED'";
    assert_eq!(world.text(kept).await.unwrap(), "2 t");
    // A row without a record goes on saying so, as with Heroku Connect, and its next change is sent with all that it has.
    let row =
        "SELECT concat_ws(' ', _hc_lastop, _hc_err LIKE '%no-mail%') FROM salesforce.contact WHERE id = 1";
    assert_eq!(world.text(row).await.unwrap(), "FAILED t");
    world.run("UPDATE salesforce.contact SET email = 'one@example.com' WHERE id = 1").await;
    world
        .until("it arrives", async || {
            world.record("Contact", "K1").is_some_and(|one| one["LastName"] == json!("One"))
        })
        .await;
}
