//! Changes that somebody gives up by setting them to IGNORED in `_trigger_log`, as Heroku Connect's users do: what nobody but
//! the unit knows of the record is not given up with them.

use serde_json::json;
use syncdeck::domain::reports::overview::Writes;
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
    let claimed = world.store.claim("token", std::time::Duration::from_secs(60), 1).await.unwrap();
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
