//! What a takeover of a production database must leave alone: applications, rights, whoever else is at work; and what it
//! comes to when it is broken off.

use tokio_postgres::Client;

use crate::adopt::{CATALOG, HEROKU, Place, session, words};
use crate::beside::SCHEMA;
use crate::world::{MAPPINGS, World, write_private};

/// What applications written against Heroku Connect do with a row, and what they are told.
const USE: &str = "BEGIN;
    INSERT INTO salesforce.contact (id, lastname, email, phone) VALUES ($row, 'Okafor', 'a@example.com', NULL);
    SELECT set_config('told.inserted', concat_ws(' ', _hc_lastop, _hc_err IS NULL), false) FROM salesforce.contact WHERE id = $row;
    UPDATE salesforce.contact SET email = 'b@example.com' WHERE id = $row; COMMIT;
    BEGIN; SET LOCAL xmlbinary TO 'hex';
    SELECT set_config('told.hex', public.get_xmlbinary(), false);
    UPDATE salesforce.contact SET sfid = '003HC0000000$row', _hc_lastop = 'SYNCED' WHERE id = $row; COMMIT;
    SELECT set_config('told.base64', public.get_xmlbinary(), false);
    SET search_path = public; UPDATE salesforce.contact SET phone = '1' WHERE id = $row; RESET search_path;
    SELECT set_config('told.calls', concat_ws(' ',
        salesforce.hc_capture_update_from_row(hstore(c.*), 'contact', ARRAY['email']) IS NOT NULL,
        salesforce.hc_capture_update_from_row(source_row := hstore(c.*), table_name := 'contact', columns_to_include := '{phone}') IS NOT NULL,
        salesforce.hc_capture_insert_from_row(hstore(c.*), 'contact', ARRAY['phone']) IS NOT NULL,
        salesforce.hc_capture_insert_from_row('lastname=>x', 'contact') IS NULL), false) FROM salesforce.contact c WHERE id = $row;
    DELETE FROM salesforce.contact WHERE id = $row;";
/// The log as it is documented, of columns that the table had before.
const LOG: &str = "SELECT string_agg(concat_ws(' ', state, action, table_name, sfid, txid IS NOT NULL, created_at <= clock_timestamp(),
        processed_at IS NULL, sf_message IS NULL, of_old, of_values), E'\n' ORDER BY id) FROM salesforce._trigger_log log,
    LATERAL (SELECT string_agg(key || '=' || coalesce(value, 'NULL'), ',' ORDER BY key) FROM each(old::hstore)
        WHERE key IN ('lastname', 'email', 'phone', 'sfid', '_hc_lastop')) o (of_old),
    LATERAL (SELECT string_agg(key || '=' || coalesce(value, 'NULL'), ',' ORDER BY key) FROM each(values::hstore)
        WHERE key IN ('lastname', 'email', 'phone', 'sfid', '_hc_lastop')) v (of_values)
    WHERE record_id = $row";
const TOLD: &str = "SELECT concat_ws('; ', current_setting('told.inserted'), current_setting('told.hex'), current_setting('told.base64'),
    current_setting('told.calls'))";

async fn text(sql: &Client, query: &str) -> String {
    let row = sql.query_one(query, &[]).await.unwrap_or_else(|error| panic!("{query}: {error:?}"));
    row.get::<_, Option<String>>(0).unwrap_or_default()
}

/// A role of this database's own: roles are the server's.
async fn role(place: &Place, name: &str) -> String {
    format!("{name}_{}", place.text("SELECT replace(current_database(), '-', '_')").await)
}

/// The address for another role.
fn address(url: &str, role: &str) -> String {
    format!("{}user={role}", url.rsplit_once("user=").unwrap().0)
}

#[tokio::test(flavor = "multi_thread")]
async fn applications_work_after_a_takeover_as_they_did_before() {
    let world = World::without_engine(MAPPINGS).await;
    let place = Place::new(&world, &format!("{SCHEMA}; DELETE FROM salesforce._hcmeta")).await;
    let uses = async |row: i32| {
        let of_row = |sql: &str| sql.replace("$row", &row.to_string());
        let sql = session(&place.url).await;
        sql.batch_execute(&of_row(USE)).await.unwrap_or_else(|error| panic!("{error:?}"));
        let log = text(&sql, &of_row(LOG)).await.replace(&row.to_string(), "ROW");
        format!("{log}\n{}", text(&sql, TOLD).await)
    };
    let before = uses(10_001).await;
    assert!(before.ends_with("PENDING t; hex; base64; t t t t"), "{before}");
    assert_eq!(before.lines().count(), 8, "{before}");
    let notifies = "SELECT count(*)::text FROM pg_trigger WHERE tgname = 'log_notify_trigger'";
    place.done(&["adopt", "--yes"]).await;
    assert_eq!(uses(10_002).await, before);
    assert_eq!(place.text(notifies).await, "1", "who listens is told of new entries as before");
    place.done(&["adopt", "--undo", "--yes"]).await;
    assert_eq!(uses(10_003).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_taken_over_while_heroku_connect_is_seen_at_work() {
    let world = World::without_engine(MAPPINGS).await;
    let long_ago = "INSERT INTO salesforce.contact (id, lastname) VALUES (1, 'One'), (2, 'Two'), (3, 'Three'), (4, 'Four');
        UPDATE salesforce._trigger_log SET created_at = now() - interval '1 hour';
        UPDATE salesforce._trigger_log SET state = 'FAILED' WHERE record_id = 3;
        INSERT INTO salesforce._trigger_log (state, action, table_name, record_id) VALUES ('NEW', 'UPDATE', 'lead', 1)";
    let place = Place::new(&world, &format!("{HEROKU}; {long_ago}")).await;
    let catalog = place.text(CATALOG).await;
    let plan = words(&place.ask(&["plan"]).await);
    for part in [
        "was not seen at work here",
        "of tables that are not mapped here, not sent or failed: 1; nobody sends them",
    ] {
        assert!(plan.contains(part), "{part}: {plan}");
    }
    let refused = async |part: &str| {
        // What this session did itself is not to be seen.
        place.text("SELECT ''").await;
        for args in [&["adopt", "--yes"][..], &["run", "--adopt"]] {
            let output = place.ask(args).await;
            assert_eq!(output.status.code(), Some(1), "{}", words(&output));
            for part in [part, "two engines on one table create records twice", "--allow-two-engines"] {
                assert!(words(&output).contains(part), "{part}: {}", words(&output));
            }
        }
        assert!(words(&place.ask(&["plan"]).await).contains(part));
        assert_eq!(place.text(CATALOG).await, catalog);
        assert_eq!(place.text("SELECT to_regnamespace('syncdeck')::text").await, "");
    };
    // It took a change that was made an hour ago; it noted when.
    let takes = "UPDATE salesforce._trigger_log SET state = 'PENDING', updated_at = clock_timestamp() WHERE record_id = 2";
    place.sql.batch_execute(takes).await.unwrap();
    refused("1 change of its log was taken or answered a moment ago").await;
    // It answered another, which is in the archive by now.
    let answers = "UPDATE salesforce._trigger_log SET updated_at = NULL WHERE record_id = 2;
         WITH done AS (DELETE FROM salesforce._trigger_log WHERE record_id = 4 RETURNING *)
         INSERT INTO salesforce._trigger_log_archive SELECT * FROM done;
         UPDATE salesforce._trigger_log_archive SET state = 'SUCCESS', processed_at = clock_timestamp()";
    place.sql.batch_execute(answers).await.unwrap();
    refused("1 change of its log was taken or answered a moment ago").await;
    let rests = "UPDATE salesforce._trigger_log_archive SET processed_at = now() - interval '1 hour'";
    place.sql.batch_execute(rests).await.unwrap();
    // It listens for new entries.
    let listener = session(&place.url).await;
    listener
        .batch_execute("SET application_name = 'worker'; LISTEN \"salesforce.hc_trigger_log\"")
        .await
        .unwrap();
    refused("(worker) listens for new entries of _trigger_log").await;
    // Whoever knows better says so.
    let told = place.done(&["adopt", "--yes", "--allow-two-engines"]).await;
    assert!(told.contains("(worker) listens") && told.contains("Taken over: contact"), "{told}");
    let wrong = place.ask(&["adopt", "--undo", "--allow-two-engines"]).await;
    assert_eq!(wrong.status.code(), Some(2), "{}", words(&wrong));
}

/// Whoever `args` name waits for the change log, its session is ended, and it says so.
async fn ended_while_it_waits(world: &World, place: &Place, args: &[&str]) {
    let lock = session(&place.url).await;
    lock.batch_execute("BEGIN; LOCK salesforce._trigger_log IN ROW EXCLUSIVE MODE").await.unwrap();
    let waits =
        "FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted AND datname = current_database()
        AND relation = 'salesforce._trigger_log'::regclass AND application_name = 'syncdeck adopt'";
    let end = async {
        let waiting = format!("SELECT (count(*) > 0)::text {waits}");
        world.until("it waits for the log", async || place.text(&waiting).await == "true").await;
        place.text(&format!("SELECT bool_and(pg_terminate_backend(pid))::text {waits}")).await
    };
    let (output, ended) = tokio::join!(place.ask(args), end);
    assert_eq!((output.status.code(), ended.as_str()), (Some(1), "true"), "{}", words(&output));
    lock.batch_execute("ROLLBACK").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ends_on_the_way_leaves_all_as_it_was() {
    let world = World::without_engine(MAPPINGS).await;
    let place = Place::new(&world, HEROKU).await;
    let catalog = place.text(CATALOG).await;
    ended_while_it_waits(&world, &place, &["adopt", "--yes"]).await;
    assert_eq!(place.text(CATALOG).await, catalog);
    assert_eq!(place.text("SELECT to_regnamespace('syncdeck')::text").await, "");
    place.done(&["adopt", "--yes"]).await;
    let taken = place.text(CATALOG).await;
    assert_ne!(taken, catalog);
    ended_while_it_waits(&world, &place, &["adopt", "--undo", "--yes"]).await;
    assert_eq!(place.text(CATALOG).await, taken);
    assert_eq!(place.text("SELECT count(*)::text FROM syncdeck.adoption WHERE undone_at IS NULL").await, "1");
    place.done(&["adopt", "--undo", "--yes"]).await;
    assert_eq!(place.text(CATALOG).await, catalog);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_not_to_be_had_is_told_and_nothing_is_changed() {
    let world = World::without_engine(MAPPINGS).await;
    let (new, taken) = tokio::join!(Place::new(&world, HEROKU), Place::new(&world, HEROKU));
    taken.done(&["adopt", "--yes"]).await;
    let waits_in_vain = async |place: &Place, args: &[&str]| {
        let catalog = place.text(CATALOG).await;
        // Somebody's transaction that goes on, and has written another table of the log.
        let lock = session(&place.url).await;
        lock.batch_execute("BEGIN; LOCK salesforce._trigger_log IN ROW EXCLUSIVE MODE").await.unwrap();
        let output = place.ask(args).await;
        assert_eq!(output.status.code(), Some(1), "{}", words(&output));
        for part in ["lock timeout", "nothing was changed", "pg_stat_activity"] {
            assert!(words(&output).contains(part), "{part}: {}", words(&output));
        }
        lock.batch_execute("ROLLBACK").await.unwrap();
        assert_eq!(place.text(CATALOG).await, catalog);
    };
    tokio::join!(
        waits_in_vain(&new, &["adopt", "--yes"]),
        waits_in_vain(&taken, &["adopt", "--undo", "--yes"])
    );
    new.done(&["adopt", "--yes"]).await;
    taken.done(&["adopt", "--undo", "--yes"]).await;
}
