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
pub async fn role(place: &Place, name: &str) -> String {
    format!("{name}_{}", place.text("SELECT replace(current_database(), '-', '_')").await)
}

/// The address for another role.
pub fn address(url: &str, role: &str) -> String {
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

/// Owners, rights and defaults of everything in the schema that was there at first.
const RIGHTS: &str = "SELECT string_agg(thing, E'\n' ORDER BY thing) FROM (
    SELECT concat_ws(' ', oid::regclass, pg_get_userbyid(relowner), relacl, relrowsecurity) FROM pg_class
        WHERE relnamespace = 'salesforce'::regnamespace AND relkind IN ('r', 'S')
    UNION ALL SELECT concat_ws(' ', attrelid::regclass, attname, format_type(atttypid, atttypmod), attnotnull, attacl,
        pg_get_expr(adbin, adrelid)) FROM pg_attribute JOIN pg_class c ON c.oid = attrelid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE relnamespace = 'salesforce'::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped
    UNION ALL SELECT concat_ws(' ', nspname, pg_get_userbyid(nspowner), nspacl) FROM pg_namespace WHERE nspname = 'salesforce') things (thing)";

#[tokio::test(flavor = "multi_thread")]
async fn owners_rights_and_defaults_stay_and_applications_write_whoever_takes_over() {
    let world = World::without_engine(MAPPINGS).await;
    let place = Place::new(&world, HEROKU).await;
    let (owner, app) = (role(&place, "owner").await, role(&place, "app").await);
    // The tables are one role's, an application writes as another, and an administrator takes over.
    let found = format!(
        "CREATE ROLE {owner}; CREATE ROLE {app} LOGIN; ALTER SCHEMA salesforce OWNER TO {owner};
         DO $$ DECLARE thing text; BEGIN
             FOR thing IN SELECT oid::regclass FROM pg_class WHERE relnamespace = 'salesforce'::regnamespace AND relkind = 'r' LOOP
                 EXECUTE format('ALTER TABLE %s OWNER TO {owner}', thing); END LOOP;
             FOR thing IN SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'salesforce'::regnamespace LOOP
                 EXECUTE format('ALTER FUNCTION %s OWNER TO {owner}', thing); END LOOP; END $$;
         ALTER TABLE salesforce.contact ALTER phone SET DEFAULT '+1';
         GRANT USAGE ON SCHEMA salesforce TO {app}; GRANT SELECT, INSERT, UPDATE ON salesforce.contact TO {app};
         GRANT SELECT (state), INSERT ON salesforce._trigger_log TO {app};
         GRANT USAGE ON ALL SEQUENCES IN SCHEMA salesforce TO {app}"
    );
    place.sql.batch_execute(&found).await.unwrap_or_else(|error| panic!("{error:?}"));
    let (before, catalog) = (place.text(RIGHTS).await, place.text(CATALOG).await);
    let writes = async |name: &str| {
        let sql = session(&address(&place.url, &app)).await;
        let insert =
            "INSERT INTO salesforce.contact (lastname) VALUES ($1) RETURNING _hc_lastop || ' ' || phone";
        let told: String =
            sql.query_one(insert, &[&name]).await.unwrap_or_else(|error| panic!("{error:?}")).get(0);
        assert_eq!(told, "PENDING +1");
        let captured =
            format!("SELECT count(*)::text FROM salesforce._trigger_log WHERE values LIKE '%{name}%'");
        assert_eq!(place.text(&captured).await, "1");
    };
    writes("Before").await;
    let stays = async || {
        let now = place.text(RIGHTS).await;
        before
            .lines()
            .filter(|line| !now.lines().any(|other| other == *line))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    // One whose functions are a role's that may not write the log would leave nobody able to write.
    let other = role(&place, "other").await;
    let of_other =
        format!("CREATE ROLE {other}; ALTER FUNCTION salesforce.hc_contact_logger() OWNER TO {other}");
    place.sql.batch_execute(&of_other).await.unwrap();
    place
        .refused(&["adopt", "--yes"], &format!("GRANT INSERT ON \"salesforce\"._trigger_log TO \"{other}\""))
        .await;
    let back = format!("ALTER FUNCTION salesforce.hc_contact_logger() OWNER TO {owner}");
    place.sql.batch_execute(&back).await.unwrap();
    let told = place.done(&["adopt", "--yes"]).await;
    assert!(
        told.contains(&format!("{owner}, whose functions capture changes, may use the schema syncdeck")),
        "{told}"
    );
    assert_eq!(stays().await, Vec::<String>::new());
    writes("Between").await;
    // What an engine may leave behind.
    place
        .sql
        .batch_execute(
            "INSERT INTO syncdeck.conflict (mapping, table_name, record_id, column_name, postgres, salesforce, upto)
                 VALUES ('Contact', 'contact', 1, 'email', 'a', 'b', 1);
             INSERT INTO syncdeck.candidate (table_name, record_id, sfid) VALUES ('contact', 1, '003');
             INSERT INTO syncdeck.refused (table_name, sfid, deed, cause, retry_at) VALUES ('contact', '003', 'store', 'x', now());
             INSERT INTO syncdeck.reread (table_name, sfid) VALUES ('contact', '003');
             INSERT INTO syncdeck.command (kind, args, actor) VALUES ('reload', '{}', 'somebody');
             INSERT INTO syncdeck.setting (mapping, key, value, actor) VALUES ('Contact', 'strategy', 'retry', 'somebody')",
        )
        .await
        .unwrap();
    let told = place.done(&["adopt", "--undo", "--yes"]).await;
    for part in ["1 fields that changed on both sides", "hold again after another takeover: Contact.strategy"]
    {
        assert!(told.contains(part), "{part}: {told}");
    }
    let left = "SELECT concat_ws(' ', (SELECT count(*) FROM syncdeck.conflict WHERE winner IS NULL), (SELECT count(*) FROM syncdeck.candidate),
        (SELECT count(*) FROM syncdeck.refused), (SELECT count(*) FROM syncdeck.reread),
        (SELECT count(*) FROM syncdeck.command WHERE done_at IS NULL), (SELECT count(*) FROM syncdeck.mapping))";
    assert_eq!(place.text(left).await, "0 0 0 0 0 0");
    assert_eq!((stays().await, place.text(CATALOG).await), (Vec::new(), catalog));
    writes("After").await;
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
            assert_eq!(output.status.code(), Some(2), "{}", words(&output));
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
    // Another schema's is another matter.
    let listener = session(&place.url).await;
    listener.batch_execute("LISTEN \"other.hc_trigger_log\"").await.unwrap();
    // What this session did itself is not to be seen.
    place.text("SELECT ''").await;
    let plan = words(&place.ask(&["plan"]).await);
    assert!(plan.contains("was not seen at work here"), "{plan}");
    // It listens for new entries.
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

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_not_is_refused_before_anything_is_done() {
    let world = World::without_engine(MAPPINGS).await;
    let place = Place::new(&world, HEROKU).await;
    let may = role(&place, "may").await;
    let rights = format!(
        "CREATE ROLE {may} LOGIN; GRANT CREATE, USAGE ON SCHEMA salesforce TO {may};
         GRANT ALL ON ALL TABLES IN SCHEMA salesforce TO {may}; GRANT ALL ON ALL SEQUENCES IN SCHEMA salesforce TO {may};
         DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO {may}', current_database()); END $$"
    );
    place.sql.batch_execute(&rights).await.unwrap();
    let own = std::fs::read_to_string(&place.file).unwrap();
    write_private(&place.file, &own.replace(&place.url, &address(&place.url, &may)));
    let catalog = place.text(CATALOG).await;
    let refused = async |parts: &[&str]| {
        for args in [&["run", "--adopt"][..], &["adopt", "--yes"]] {
            for part in parts {
                place.refused(args, part).await;
            }
        }
        assert_eq!(place.text(CATALOG).await, catalog);
        assert_eq!(place.text("SELECT to_regnamespace('syncdeck')::text").await, "");
    };
    let grant = format!("TO {may}");
    refused(&["the table salesforce.contact belongs to", "or let it run: GRANT", &grant]).await;
    // The table alone is not enough: the log gets indexes, too.
    let owns = format!("ALTER TABLE salesforce.contact OWNER TO {may}; ALTER FUNCTION salesforce.hc_contact_logger() OWNER TO {may};
         ALTER FUNCTION salesforce.hc_contact_status() OWNER TO {may}");
    place.sql.batch_execute(&owns).await.unwrap();
    let catalog = place.text(CATALOG).await;
    place.refused(&["run", "--adopt"], "salesforce._trigger_log belongs to").await;
    let all = format!("ALTER TABLE salesforce._trigger_log OWNER TO {may}; ALTER TABLE salesforce._trigger_log_archive OWNER TO {may};
         REVOKE CREATE ON SCHEMA salesforce FROM {may}");
    place.sql.batch_execute(&all).await.unwrap();
    place.refused(&["adopt", "--yes"], "GRANT CREATE ON SCHEMA salesforce TO").await;
    assert_eq!(place.text(CATALOG).await, catalog);
    place.sql.batch_execute(&format!("GRANT CREATE ON SCHEMA salesforce TO {may}")).await.unwrap();
    // Of another role's session it may not see what that does, but how it is called.
    let other = session(&place.url).await;
    other.batch_execute("SET application_name = 'Heroku Connect'").await.unwrap();
    let output = place.ask(&["adopt", "--yes"]).await;
    assert!(words(&output).contains("(Heroku Connect) is connected"), "{}", words(&output));
    assert_eq!(place.text(CATALOG).await, catalog);
    other.batch_execute("RESET application_name").await.unwrap();
    place.done(&["adopt", "--yes"]).await;
}
