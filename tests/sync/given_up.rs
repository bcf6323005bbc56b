//! Changes that somebody gives up by setting them to IGNORED in `_trigger_log`, as Heroku Connect's users do: what nobody but
//! the unit knows of the record is not given up with them.

use std::time::Duration;

use serde_json::json;
use syncdeck::domain::changes::dispatch::{Claimed, Planned, plan};
use syncdeck::domain::mappings::mapping::Mapping;
use syncdeck::domain::reports::overview::Writes;
use syncdeck::postgres::changes::acknowledge::Rows;
use syncdeck::postgres::changes::given_up::FinishedEntries;
use syncdeck::postgres::changes::queue::{Ack, UnitOutcome};
use syncdeck::simulator::ValidationRule;

use crate::world::World;

const ACCOUNTS: &str = r#"
[[mapping]]
object = "Account"
fields = ["Name", "Parent.External_Id__c"]
external_id = "External_Id__c"
poll_interval = "200ms"
"#;
/// Without an external id.
const CONTACTS: &str = r#"
[[mapping]]
object = "Contact"
fields = ["LastName", "Email"]
poll_interval = "200ms"
"#;
const LEASE: Duration = Duration::from_secs(60);
const IGNORE: &str = "UPDATE salesforce._trigger_log SET state = 'IGNORED'";
const GIVEN_UP: &str = "SELECT string_agg(concat_ws(' ', actor, action, table_name, record_id), '; ' ORDER BY id) FROM syncdeck.audit
     WHERE action = 'gave up'";

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_was_begun_is_the_rows_own_when_the_rest_is_given_up() {
    let rule = ValidationRule {
        name: "No_Parent".to_owned(),
        object: "Account".to_owned(),
        condition: "ParentId != null".to_owned(),
        unless_matches: None,
        message: "no parents here".to_owned(),
        field: None,
    };
    let world = World::with(ACCOUNTS, |org| org.add_validation_rule(rule).unwrap()).await;
    world
        .run("INSERT INTO salesforce.account (name, external_id__c, parent__external_id__c) VALUES ('Acme', 'A0', 'A0')")
        .await;
    world.until_text("SELECT _hc_lastop FROM salesforce.account", "FAILED").await;
    let id = world.org.find_by_external_id("Account", "A0").unwrap();
    world.run(IGNORE).await;
    world.until_text("SELECT count(*)::text FROM syncdeck.error WHERE resolved_at IS NULL", "0").await;
    world.until_text("SELECT sfid FROM salesforce.account", &id).await;
    world.until_text("SELECT count(*)::text FROM syncdeck.unit", "0").await;
    // Another key would make another record, were this one not known.
    world.run("UPDATE salesforce.account SET name = 'Acme Ltd', external_id__c = 'A1', parent__external_id__c = NULL").await;
    world
        .until("it arrives", async || world.org.record("Account", &id).unwrap()["Name"] == json!("Acme Ltd"))
        .await;
    assert_eq!(world.org.ids("Account"), [id]);
    assert_eq!(world.text(GIVEN_UP).await.unwrap(), "_trigger_log gave up account 1");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_whose_answer_was_lost_is_not_given_up_by_the_log() {
    let world = World::start(CONTACTS).await;
    world.org.change_faults(|faults| faults.lose_answer = 1);
    world.run("INSERT INTO salesforce.contact (lastname, email) VALUES ('Lovelace', 'ada@acme.com')").await;
    let open = "SELECT code FROM syncdeck.error WHERE resolved_at IS NULL";
    world.until_text(open, "OUTCOME_UNKNOWN").await;
    world.until_text("SELECT state FROM salesforce._trigger_log", "FAILED").await;
    assert_eq!(world.org.ids("Contact").len(), 1);
    world.run(IGNORE).await;
    world.until_text("SELECT state FROM salesforce._trigger_log", "FAILED").await;
    let told = "SELECT DISTINCT fields ->> 'rows' FROM syncdeck.log WHERE message LIKE '%unsent again%'";
    world.until_text(told, "contact 1").await;
    assert_eq!(world.text(open).await.unwrap(), "OUTCOME_UNKNOWN");
    world.run("UPDATE salesforce.contact SET email = 'ada@acme.org'").await;
    world.until_text("SELECT string_agg(state, ' ') FROM salesforce._trigger_log", "FAILED FAILED").await;
    assert_eq!(world.org.ids("Contact").len(), 1);
    assert_eq!(world.text(GIVEN_UP).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_wait_are_given_up_and_their_rows_do_not_say_that_they_arrived() {
    let world = World::start(CONTACTS).await;
    world.handle.writes(Some("Contact"), Writes::Pause).await.unwrap();
    world.run("INSERT INTO salesforce.contact (lastname) VALUES ('Waits')").await;
    world.until_text("SELECT state FROM syncdeck.unit", "stopped").await;
    world.run(IGNORE).await;
    world.until_text("SELECT count(*)::text FROM syncdeck.unit", "0").await;
    assert_eq!(
        world.text("SELECT coalesce(_hc_lastop, 'none') FROM salesforce.contact").await.unwrap(),
        "none"
    );
    world.handle.writes(Some("Contact"), Writes::Resume).await.unwrap();
    world.run("INSERT INTO salesforce.contact (lastname) VALUES ('Goes')").await;
    world.until_text("SELECT _hc_lastop FROM salesforce.contact WHERE id = 2", "SYNCED").await;
    assert_eq!(world.org.ids("Contact").len(), 1);
    assert_eq!(world.text(GIVEN_UP).await.unwrap(), "_trigger_log gave up contact 1");
    let kept = "SELECT string_agg(state, ' ' ORDER BY id) FROM salesforce._trigger_log_archive";
    world.until_text(kept, "IGNORED SUCCESS").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_in_flight_is_left_until_it_is_answered() {
    let world = World::without_engine(CONTACTS).await;
    world.run("INSERT INTO salesforce.contact (lastname) VALUES ('Flies'), ('Done')").await;
    world.store.ingest(&["contact".to_owned()], 10).await.unwrap();
    let claimed = world.store.claim("token", LEASE, 1).await.unwrap();
    let (flies, rests) = (claimed[0].row.0, 3 - claimed[0].row.0);
    let states = format!("CASE record_id WHEN {flies} THEN 'IGNORED' ELSE 'SUCCESS' END");
    world.run(&format!("UPDATE salesforce._trigger_log SET state = {states}")).await;
    let mappings = [world.store.registered("contact").await.unwrap()];
    let found = world.store.look_after(&mappings, 0, 10).await.unwrap();
    let finished = world.store.archive_finished(&mappings, &found.finished).await.unwrap();
    assert_eq!((finished.archived, finished.given_up.len(), finished.put_back.len()), (1, 0, 0));
    // Nor is one given up of which nothing was ignored.
    let left = "SELECT string_agg(concat_ws(' ', record_id, state), '; ' ORDER BY state) FROM syncdeck.unit";
    assert_eq!(world.text(left).await.unwrap(), format!("{flies} inflight; {rests} ready"));
    assert_eq!(world.text("SELECT state FROM salesforce._trigger_log").await.unwrap(), "IGNORED");
}

async fn claim(world: &World, token: &str) -> Claimed {
    world.store.claim(token, LEASE, 1).await.unwrap().remove(0)
}

async fn planned(world: &World, mapping: &Mapping, unit: &Claimed) -> Planned {
    let contents = world.store.contents(mapping, &[unit.row], &[]).await.unwrap();
    plan(mapping, unit, &contents.get(&unit.row).cloned().unwrap_or_default())
}

async fn acknowledge(world: &World, token: &str, unit: Claimed, upto: i64, outcome: UnitOutcome, rows: Rows) {
    let ack = Ack { unit, upto, op: "insert", key: None, request: None, response: None, outcome };
    assert_eq!(world.store.acknowledge(token, "batch", &[ack], rows).await.unwrap().fenced, 0);
}

/// Looks once along the log and archives what is done with, of contacts and of accounts.
async fn archive(world: &World, tables: &[&str]) -> FinishedEntries {
    let mut mappings = Vec::new();
    for table in tables {
        mappings.push(world.store.registered(table).await.unwrap());
    }
    let found = world.store.look_after(&mappings, 0, 100).await.unwrap();
    world.store.archive_finished(&mappings, &found.finished).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_with_nothing_left_takes_no_outcome_from_its_row() {
    // Whether the row could be told with the acknowledgement, or somebody had it locked.
    for rows in [Rows::Now, Rows::Later] {
        let world = World::without_engine(CONTACTS).await;
        let tables = ["contact".to_owned()];
        let mapping = world.store.registered("contact").await.unwrap();
        world.run("INSERT INTO salesforce.contact (lastname) VALUES ('Lovelace')").await;
        world.store.ingest(&tables, 10).await.unwrap();
        let unit = claim(&world, "one").await;
        // What joins between the claim and the look at its changes goes with them.
        world.run("UPDATE salesforce.contact SET email = 'ada@acme.com'").await;
        world.store.ingest(&tables, 10).await.unwrap();
        let Planned::Send(job) = planned(&world, &mapping, &unit).await else { panic!() };
        assert_eq!((job.upto, job.patch.len()), (2, 2));
        let sfid = Some("003000000000001AAA".to_owned());
        let accepted = UnitOutcome::Accepted { sfid, lastop: Some("INSERTED") };
        acknowledge(&world, "one", unit, job.upto, accepted, rows).await;
        let unit = claim(&world, "two").await;
        let Planned::Nothing { upto, reason, .. } = planned(&world, &mapping, &unit).await else { panic!() };
        acknowledge(&world, "two", unit, upto, UnitOutcome::Nothing { reason }, Rows::Now).await;
        let told = "SELECT concat_ws(' ', sfid, _hc_lastop) FROM salesforce.contact";
        assert_eq!(world.text(told).await.unwrap(), "003000000000001AAA INSERTED", "{rows:?}");
        assert_eq!(world.text("SELECT count(*)::text FROM syncdeck.unit").await.unwrap(), "0");
        assert_eq!(world.text(GIVEN_UP).await, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_given_up_before_it_is_taken_in_leaves_its_row_waiting_for_nothing() {
    let world = World::start(CONTACTS).await;
    world
        .run(&format!("BEGIN; INSERT INTO salesforce.contact (lastname) VALUES ('Waits'); {IGNORE}; COMMIT"))
        .await;
    world.until_text("SELECT coalesce(_hc_lastop, 'none') FROM salesforce.contact", "none").await;
    world.until_text(GIVEN_UP, "_trigger_log gave up contact 1").await;
    world.until_text("SELECT count(*)::text FROM syncdeck.unit", "0").await;
    assert_eq!(world.org.ids("Contact").len(), 0);
    // A row that waits for nothing is told nothing, and nobody gave it up.
    world
        .run(
            "BEGIN; INSERT INTO salesforce.contact (lastname) VALUES ('Old'); UPDATE salesforce._trigger_log SET state = 'IGNORED';
             SET LOCAL xmlbinary TO 'hex'; UPDATE salesforce.contact SET _hc_lastop = 'SYNCED' WHERE lastname = 'Old'; COMMIT",
        )
        .await;
    let archived = "SELECT count(*)::text FROM salesforce._trigger_log_archive WHERE action = 'INSERT' AND record_id = 2";
    world.until_text(archived, "1").await;
    assert_eq!(world.text("SELECT _hc_lastop FROM salesforce.contact WHERE id = 2").await.unwrap(), "SYNCED");
    // Nor one that is said to be done.
    world
        .run(
            "BEGIN; INSERT INTO salesforce.contact (lastname) VALUES ('Said'); UPDATE salesforce._trigger_log SET state = 'SUCCESS';
             COMMIT",
        )
        .await;
    world
        .until_text("SELECT coalesce(_hc_lastop, 'none') FROM salesforce.contact WHERE id = 3", "none")
        .await;
    world.until_text(GIVEN_UP, "_trigger_log gave up contact 1; _trigger_log gave up contact 3").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_that_is_given_up_is_not_sent_though_an_answer_was_lost() {
    for claimed in [false, true] {
        let world = World::without_engine(CONTACTS).await;
        let mapping = world.store.registered("contact").await.unwrap();
        world
            .run(
                "BEGIN; SET LOCAL xmlbinary TO 'hex';
                 INSERT INTO salesforce.contact (sfid, lastname) VALUES ('003000000000001AAA', 'Lovelace'); COMMIT;
                 DELETE FROM salesforce.contact",
            )
            .await;
        world.store.ingest(&["contact".to_owned()], 10).await.unwrap();
        world.run(&format!("UPDATE syncdeck.unit SET lost = 1; {IGNORE}")).await;
        if claimed {
            let unit = claim(&world, "token").await;
            let Planned::Nothing { upto, reason, .. } = planned(&world, &mapping, &unit).await else {
                panic!()
            };
            acknowledge(&world, "token", unit, upto, UnitOutcome::Nothing { reason }, Rows::Now).await;
        }
        let finished = archive(&world, &["contact"]).await;
        assert_eq!((finished.archived, finished.put_back.len()), (1, 0));
        assert_eq!(world.text("SELECT count(*)::text FROM syncdeck.unit").await.unwrap(), "0");
        assert_eq!(world.text(GIVEN_UP).await.unwrap(), "_trigger_log gave up contact 1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_send_of_an_insert_whose_answer_was_lost_stays_whatever_is_said_of_it() {
    for state in ["IGNORED", "REQUEUED"] {
        let world = World::without_engine(CONTACTS).await;
        world
            .run(
                "INSERT INTO salesforce.contact (lastname) VALUES ('Lovelace');
                 UPDATE salesforce.contact SET email = 'ada@acme.com'",
            )
            .await;
        world.store.ingest(&["contact".to_owned()], 10).await.unwrap();
        world
            .run(&format!(
                "UPDATE syncdeck.unit SET state = 'failed', lost = 1;
                 UPDATE salesforce._trigger_log SET state = '{state}' WHERE id = 1"
            ))
            .await;
        let finished = archive(&world, &["contact"]).await;
        assert_eq!((finished.archived, finished.put_back.len()), (0, 1), "{state}");
        let states = "SELECT string_agg(state, ' ' ORDER BY id) FROM salesforce._trigger_log";
        assert_eq!(world.text(states).await.unwrap(), "FAILED PENDING");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_change_that_is_said_to_be_done_is_no_error_any_more() {
    let rule = ValidationRule {
        name: "No_Name".to_owned(),
        object: "Contact".to_owned(),
        condition: "LastName != null".to_owned(),
        unless_matches: None,
        message: "nobody".to_owned(),
        field: None,
    };
    let world = World::with(CONTACTS, |org| org.add_validation_rule(rule).unwrap()).await;
    world.run("INSERT INTO salesforce.contact (lastname) VALUES ('Lovelace')").await;
    world.until_text("SELECT _hc_lastop FROM salesforce.contact", "FAILED").await;
    world.run("UPDATE salesforce._trigger_log SET state = 'SUCCESS'").await;
    world.until_text("SELECT count(*)::text FROM syncdeck.error WHERE resolved_at IS NULL", "0").await;
    assert_eq!(world.text("SELECT count(*)::text FROM syncdeck.unit").await.unwrap(), "0");
    assert_eq!(world.text(GIVEN_UP).await.unwrap(), "_trigger_log gave up contact 1");
    assert_eq!(
        world.text("SELECT why FROM syncdeck.audit").await.unwrap(),
        "said to be done in _trigger_log"
    );
    assert_eq!(world.text("SELECT _hc_lastop FROM salesforce.contact").await.unwrap(), "FAILED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_damaged_keeps_no_other_waiting() {
    for harm in ["ALTER TABLE salesforce.account RENAME _hc_lastop TO lastop", "LOCK salesforce.account"] {
        a_table_is_left_and_the_other_looked_after(harm).await;
    }
}

async fn a_table_is_left_and_the_other_looked_after(harm: &str) {
    let world = World::without_engine(&format!("{ACCOUNTS}{CONTACTS}")).await;
    let other = world.another_session().await;
    world
        .run(
            "INSERT INTO salesforce.account (name, external_id__c) VALUES ('Acme', 'A0');
             INSERT INTO salesforce.contact (lastname) VALUES ('Lovelace')",
        )
        .await;
    world.store.ingest(&["account".to_owned(), "contact".to_owned()], 10).await.unwrap();
    world.run(IGNORE).await;
    // Nobody commits it before it was looked at.
    other.batch_execute(&format!("BEGIN; {harm}")).await.unwrap();
    let finished = archive(&world, &["account", "contact"]).await;
    assert_eq!((finished.archived, finished.given_up.len()), (1, 1));
    let refused: Vec<&str> = finished.refused.iter().map(|(table, _)| table.as_str()).collect();
    assert_eq!(refused, ["account"]);
    let left = "SELECT string_agg(table_name, ' ') FROM salesforce._trigger_log";
    assert_eq!(world.text(left).await.unwrap(), "account");
}
