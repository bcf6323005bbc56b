//! `syncdeck adopt` takes over what Heroku Connect left, and `adopt --undo` gives it back as it was.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use syncdeck::config::Config;
use syncdeck::domain::reports::setup_plan::{SetupPlan, StartPlan};
use syncdeck::engine;
use syncdeck::postgres::Store;
use syncdeck::postgres::session::connect::Session;
use tokio_postgres::{Client, NoTls};

use crate::support::{new_database, server};
use crate::world::{MAPPINGS, World, config_text, write_private};

pub const HEROKU: &str = include_str!("heroku.sql");
const CONTACT: &str = "[[mapping]]\nobject = \"Contact\"\nfields = [\"LastName\", \"Email\", \"Title\"]\n\
    external_id = \"External_Id__c\"\npoll_interval = \"10m\"\n";
/// What is easily lost on the way back: states of triggers, comments, rights, the old forms of a function.
const PARTICULAR: &str = r#"
    ALTER TABLE salesforce.contact DISABLE TRIGGER hc_contact_status_trigger;
    ALTER TABLE salesforce.contact ENABLE ALWAYS TRIGGER hc_contact_logtrigger;
    COMMENT ON TRIGGER hc_contact_logtrigger ON salesforce.contact IS 'it''s Heroku''s';
    REVOKE ALL ON FUNCTION salesforce.hc_contact_logger() FROM PUBLIC;
    CREATE FUNCTION salesforce.hc_capture_insert_from_row(a hstore, b text) RETURNS bigint LANGUAGE sql AS $$ SELECT 1::bigint $$;
    COMMENT ON FUNCTION salesforce.hc_capture_insert_from_row(hstore, text) IS 'old';
    CREATE FUNCTION salesforce.hc_capture_update_from_row(r hstore, t varchar, c text[]) RETURNS bigint LANGUAGE sql AS $$ SELECT 2::bigint $$;
    INSERT INTO salesforce.contact (id, lastname, external_id__c) VALUES (1, 'One', 'A-1'), (2, 'Two', 'A-2'), (3, 'Three', 'A-3');
    UPDATE salesforce._trigger_log SET created_at = now() - interval '1 hour';
    UPDATE salesforce._trigger_log SET state = 'PENDING' WHERE record_id = 2;
    UPDATE salesforce._trigger_log SET state = 'FAILED', sf_message = 'no' WHERE record_id = 3"#;
/// Triggers and functions to the letter, with whether they fire, whose they are, who may call them and what is said of them.
pub const CATALOG: &str = "SELECT string_agg(thing, E'\\n' ORDER BY thing) FROM (
    SELECT concat_ws(' ', pg_get_triggerdef(t.oid), tgenabled, obj_description(t.oid, 'pg_trigger')) FROM pg_trigger t
        JOIN pg_class c ON c.oid = tgrelid WHERE relnamespace = 'salesforce'::regnamespace AND NOT tgisinternal
    UNION ALL SELECT concat_ws(' ', pg_get_functiondef(oid), proowner, proacl, obj_description(oid, 'pg_proc')) FROM pg_proc
        WHERE pronamespace = 'salesforce'::regnamespace) things (thing)";
const ROWS: &str = "SELECT string_agg(format('%s %s %s', id, lastname, external_id__c), ';' ORDER BY id) FROM salesforce.contact";
const ENTRIES: &str = "SELECT string_agg(format('%s %s %s', record_id, action, state), ';' ORDER BY id) FROM salesforce._trigger_log";

/// A database without an engine, and the configuration for it.
pub struct Place {
    pub sql: Client,
    pub url: String,
    pub file: PathBuf,
    _dir: tempfile::TempDir,
}

impl Place {
    pub async fn new(world: &World, found: &str) -> Place {
        let url = server().url(&new_database().await);
        let sql = session(&url).await;
        sql.batch_execute(found).await.unwrap_or_else(|error| panic!("{error:?}"));
        // What this session did itself is not to be seen.
        sql.batch_execute("SELECT").await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("syncdeck.toml");
        let text = config_text(&url, &world.config.salesforce.login_url, "simulated-secret", CONTACT);
        write_private(&file, &text);
        Place { sql, url, file, _dir: dir }
    }

    pub async fn text(&self, sql: &str) -> String {
        let row = self.sql.query_one(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        row.get::<_, Option<String>>(0).unwrap_or_default()
    }

    pub async fn ask(&self, args: &[&str]) -> Output {
        self.ask_with(args, "").await
    }

    async fn ask_with(&self, args: &[&str], failpoints: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_syncdeck"));
        command.args(args).arg("--config").arg(&self.file).stdin(Stdio::null());
        command.env("SYNCDECK_FAILPOINTS", failpoints);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    /// Does it, and returns what it said.
    pub async fn done(&self, args: &[&str]) -> String {
        let output = self.ask(args).await;
        assert_eq!(output.status.code(), Some(0), "{}", words(&output));
        words(&output)
    }

    pub async fn refused(&self, args: &[&str], part: &str) {
        let output = self.ask(args).await;
        assert_ne!(output.status.code(), Some(0), "{}", words(&output));
        assert!(words(&output).contains(part), "{part}: {}", words(&output));
    }
}

pub async fn session(url: &str) -> Client {
    let (sql, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    sql
}

pub fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adopt_is_undone_to_the_letter_and_changes_stay_in_order() {
    let world = World::without_engine(MAPPINGS).await;
    let place = Place::new(&world, &format!("{HEROKU}; {PARTICULAR}")).await;
    let (catalog, rows) = (place.text(CATALOG).await, place.text(ROWS).await);

    let unasked = place.ask(&["adopt"]).await;
    assert_eq!(unasked.status.code(), Some(2), "{}", words(&unasked));
    assert!(words(&unasked).contains("say --yes"), "{}", words(&unasked));
    place.refused(&["adopt", "--undo", "--yes"], "no takeover of the schema").await;
    assert_eq!(place.text(CATALOG).await, catalog);

    let told = place.done(&["adopt", "--yes"]).await;
    assert!(told.contains("hc_contact_logtrigger") && told.contains("syncdeck run"), "{told}");
    assert_eq!(place.text(ROWS).await, rows);
    let triggers = "SELECT string_agg(tgname, ' ' ORDER BY tgname) FROM pg_trigger
         WHERE tgrelid = 'salesforce.contact'::regclass AND NOT tgisinternal";
    assert_eq!(place.text(triggers).await, "00_hc_logger 00_hc_truncate zz_hc_status");
    let noted = "SELECT concat_ws(' ', adopted_by = session_user, (SELECT before LIKE 'CREATE TRIGGER%' FROM syncdeck.replaced
         WHERE kind = 'trigger' AND name LIKE 'hc_contact_logtrigger%')) FROM syncdeck.adoption";
    assert_eq!(place.text(noted).await, "t t");
    let again = place.done(&["adopt", "--yes"]).await;
    assert!(again.contains("nothing to take over"), "{again}");

    place.sql.batch_execute("UPDATE salesforce.contact SET lastname = 'Eins' WHERE id = 1").await.unwrap();
    place.refused(&["adopt", "--undo"], "say --yes").await;
    let undone = place.done(&["adopt", "--undo", "--yes"]).await;
    assert!(undone.contains("trigger hc_contact_logtrigger") && undone.contains("contact.title"), "{undone}");
    assert_eq!(place.text(CATALOG).await, catalog);
    // Heroku Connect had the second one in flight.
    let told = "SELECT sf_message FROM salesforce._trigger_log WHERE record_id = 2";
    assert!(place.text(told).await.contains("may be in Salesforce already"));
    assert_eq!(place.text(ENTRIES).await, "1 INSERT NEW;2 INSERT FAILED;3 INSERT FAILED;1 UPDATE NEW");
    place.sql.batch_execute("UPDATE salesforce.contact SET lastname = 'Uno' WHERE id = 1").await.unwrap();
    assert!(place.text(ENTRIES).await.ends_with(";1 UPDATE NEW;1 UPDATE NEW"));
    place.refused(&["adopt", "--undo", "--yes"], "was undone at").await;

    // It can be taken over once more, and given back once more.
    let json = place.done(&["adopt", "--yes", "--json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["adopted"], serde_json::json!(["contact"]));
    assert_eq!(place.text(triggers).await, "00_hc_logger 00_hc_truncate zz_hc_status");
    place.done(&["adopt", "--undo", "--yes"]).await;
    assert_eq!(place.text(CATALOG).await, catalog);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_undo_while_an_engine_works_or_something_is_in_flight() {
    let world = World::without_engine(MAPPINGS).await;
    let place = Place::new(&world, HEROKU).await;
    place.done(&["adopt", "--yes"]).await;
    let set = async |sql: &str| place.sql.batch_execute(sql).await.unwrap();
    set("INSERT INTO syncdeck.lease VALUES ('reader Contact', 'somebody-1', clock_timestamp() + interval '1 hour')").await;
    place
        .refused(&["adopt", "--undo", "--yes"], "an engine is at work, or was a moment ago: somebody-1")
        .await;
    set("DELETE FROM syncdeck.lease; INSERT INTO salesforce.contact (id, lastname) VALUES (1, 'One'), (2, 'Two'), (3, 'Three');
        UPDATE salesforce._trigger_log SET state = 'PENDING';
        INSERT INTO syncdeck.unit (table_name, record_id, state) VALUES ('contact', 1, 'inflight'), ('contact', 2, 'review'), ('contact', 3, 'ready');
        UPDATE syncdeck.unit SET lost = 1 WHERE record_id = 3")
    .await;
    place.refused(&["adopt", "--undo", "--yes"], "the changes of 1 rows were in flight").await;
    set("UPDATE syncdeck.unit SET state = 'ready' WHERE record_id = 1").await;
    place.done(&["adopt", "--undo", "--yes"]).await;
    // What may be in Salesforce is not sent a second time by itself.
    assert_eq!(place.text(ENTRIES).await, "1 INSERT NEW;2 INSERT FAILED;3 INSERT FAILED");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_starts_meanwhile_keeps_the_undo_out_or_is_refused() {
    let world = World::without_engine(MAPPINGS).await;
    let place = Place::new(&world, HEROKU).await;
    place.done(&["adopt", "--yes"]).await;
    // Within one transaction, pg_stat_activity stays as it was first seen: so it is looked at by another session.
    let lock = session(&place.url).await;
    lock.batch_execute("BEGIN; SELECT pg_advisory_xact_lock(hashtext('syncdeck install'))").await.unwrap();
    let starting = place.ask(&["run"]);
    let meanwhile = async {
        // It has seen that the tables are syncdeck's, and waits to lay them out.
        let waits = "SELECT EXISTS (SELECT FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory'
             AND NOT granted AND datname = current_database())::text";
        world.until("the engine waits", async || place.text(waits).await == "true").await;
        place.refused(&["adopt", "--undo", "--yes"], "of an engine").await;
        let taken_back = "DELETE FROM syncdeck.layout WHERE name <> '_syncdeck';
             DROP TRIGGER \"00_hc_logger\" ON salesforce.contact; DROP TRIGGER zz_hc_status ON salesforce.contact;
             DROP TRIGGER \"00_hc_truncate\" ON salesforce.contact; COMMIT";
        lock.batch_execute(taken_back).await.unwrap();
    };
    let (refused, ()) = tokio::join!(starting, meanwhile);
    assert_ne!(refused.status.code(), Some(0), "{}", words(&refused));
    assert!(words(&refused).contains("others took these tables"), "{}", words(&refused));
    let triggers = "SELECT count(*)::text FROM pg_trigger WHERE tgrelid = 'salesforce.contact'::regclass";
    assert_eq!(place.text(triggers).await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_leaves_all_or_nothing_and_each_write_is_captured_once() {
    let world = World::without_engine(MAPPINGS).await;
    let place = Place::new(&world, HEROKU).await;
    let catalog = place.text(CATALOG).await;
    let url = place.url.clone();
    let (end, mut ended) = tokio::sync::oneshot::channel::<()>();
    let writer = tokio::spawn(async move {
        let sql = session(&url).await;
        let mut written = 0_i64;
        while ended.try_recv().is_err() {
            sql.execute("INSERT INTO salesforce.contact (lastname) VALUES ('Beside')", &[]).await.unwrap();
            written += 1;
        }
        written
    });
    let killed = place.ask_with(&["adopt", "--yes"], "mid_adopt=kill").await;
    assert!(killed.status.code().is_none(), "{}", words(&killed));
    // Its session ends when PostgreSQL notices.
    let free = "SELECT (NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
         AND application_name LIKE 'syncdeck%'))::text";
    world.until("the killed one's session is over", async || place.text(free).await == "true").await;
    assert_eq!(place.text(CATALOG).await, catalog);
    assert_eq!(place.text("SELECT (to_regclass('syncdeck.adoption') IS NULL)::text").await, "true");
    place.done(&["adopt", "--yes"]).await;
    let taken = place.text(CATALOG).await;
    assert_ne!(taken, catalog);
    let killed = place.ask_with(&["adopt", "--undo", "--yes"], "mid_undo=kill").await;
    assert!(killed.status.code().is_none(), "{}", words(&killed));
    world.until("the killed one's session is over", async || place.text(free).await == "true").await;
    assert_eq!(place.text(CATALOG).await, taken);
    place.done(&["adopt", "--undo", "--yes"]).await;
    assert_eq!(place.text(CATALOG).await, catalog);
    end.send(()).unwrap();
    let written = writer.await.unwrap();
    let counts = "SELECT concat_ws(' ', count(*), count(DISTINCT record_id)) FROM salesforce._trigger_log WHERE state = 'NEW'";
    assert_eq!(place.text(counts).await, format!("{written} {written}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_over_is_named_and_nothing_is_changed() {
    let world = World::without_engine(MAPPINGS).await;
    let cases = [
        (
            "ALTER TABLE salesforce.contact ALTER COLUMN id DROP DEFAULT, ALTER COLUMN id TYPE text",
            "is text, but",
        ),
        ("ALTER TABLE salesforce.contact ALTER COLUMN id TYPE bigint", "ALTER COLUMN id TYPE integer"),
        ("ALTER TABLE salesforce.contact ALTER COLUMN id TYPE smallint", "is smallint, but"),
        ("ALTER TABLE salesforce.contact DROP CONSTRAINT contact_pkey", "is not unique"),
        ("ALTER TABLE salesforce.contact SET UNLOGGED", "is unlogged"),
        ("ALTER TABLE salesforce.contact DROP COLUMN _hc_err", "it has no column _hc_err"),
    ];
    for (sql, part) in cases {
        let place = Place::new(&world, &format!("{HEROKU}; {sql}")).await;
        let catalog = place.text(CATALOG).await;
        place.refused(&["adopt", "--yes"], part).await;
        assert_eq!(place.text(CATALOG).await, catalog);
        assert_eq!(place.text("SELECT to_regnamespace('syncdeck')::text").await, "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_beside_one_that_was_taken_over_is_another_one() {
    let world = World::without_engine(MAPPINGS).await;
    // The other one has a table of the same name, and nothing but its schema tells whose that is.
    let sibling = HEROKU[HEROKU.find("CREATE SCHEMA").unwrap()..].replace("salesforce", "sibling");
    let found = format!(
        "{HEROKU}; {sibling}; DROP TRIGGER hc_contact_logtrigger ON sibling.contact;
         DROP TRIGGER hc_contact_status_trigger ON sibling.contact"
    );
    let place = Place::new(&world, &found).await;
    let (catalog, of_sibling) = (place.text(CATALOG).await, CATALOG.replace("salesforce", "sibling"));
    let before = place.text(&of_sibling).await;
    place.done(&["adopt", "--yes"]).await;
    let first = std::fs::read_to_string(&place.file).unwrap();
    let other = first.replace("[postgres]\n", "[postgres]\nschema = \"sibling\"\n");
    assert_ne!(first, other);
    write_private(&place.file, &other);
    let plan = place.ask(&["plan", "--json"]).await;
    let plan: Value = serde_json::from_slice(&plan.stdout).unwrap_or_else(|_| panic!("{}", words(&plan)));
    assert_eq!(plan["tables"][0]["origin"], "foreign", "{plan}");
    place.refused(&["adopt", "--yes"], "one database holds one connection").await;
    place.refused(&["run"], "was there before syncdeck").await;
    place.refused(&["adopt", "--undo", "--yes"], "no takeover of the schema \"sibling\" is noted").await;
    assert_eq!(place.text(&of_sibling).await, before);
    // Once the first one is given back, the other one may be taken over.
    write_private(&place.file, &first);
    place.done(&["adopt", "--undo", "--yes"]).await;
    assert_eq!(place.text(CATALOG).await, catalog);
    write_private(&place.file, &other);
    let json = place.done(&["adopt", "--yes", "--json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["adopted"], serde_json::json!(["contact"]));
    assert_eq!(place.text(CATALOG).await, catalog);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_shown_is_taken_over_and_given_back() {
    let world = World::without_engine(MAPPINGS).await;
    let place = Place::new(&world, HEROKU).await;
    let config = Config { adopts: true, ..Config::load_engine(Some(&place.file), None).unwrap() };
    let session = Session::new("test", config.postgres.timeout);
    let store = Store::open(config.postgres_url(), &config.postgres.schema, &session).await.unwrap();
    let plan = async || {
        let shown = place.ask(&["plan", "--json"]).await;
        serde_json::from_slice::<StartPlan>(&shown.stdout)
            .unwrap_or_else(|_| panic!("{}", words(&shown)))
            .setup
    };
    let adopt = async |shown: &SetupPlan| {
        engine::adopt(&config, &store, shown, &|_| {}).await.map_err(|error| error.to_string())
    };
    let conflict = |error: String, part: &str| {
        assert!(error.contains(part) && error.contains("look again"), "{error}");
    };

    let shown = plan().await;
    place.sql.batch_execute("DROP TRIGGER hc_contact_logtrigger ON salesforce.contact").await.unwrap();
    let catalog = place.text(CATALOG).await;
    conflict(adopt(&shown).await.unwrap_err(), "other things are done to the table contact by now");
    let mut shown = plan().await;
    let tables = std::mem::take(&mut shown.tables);
    conflict(adopt(&shown).await.unwrap_err(), "other tables are taken over by now than were shown");
    assert_eq!(place.text(CATALOG).await, catalog);
    shown.tables = tables;
    adopt(&shown).await.unwrap();

    let shown = store.way_back().await.unwrap();
    place.sql.batch_execute("DROP TRIGGER zz_hc_status ON salesforce.contact").await.unwrap();
    let adopted = place.text(CATALOG).await;
    let error = store.undo_adoption(&shown).await.unwrap_err();
    conflict(error.to_string(), "other things are put back or removed by now than were shown");
    assert_eq!(place.text(CATALOG).await, adopted);
    let shown = store.way_back().await.unwrap();
    store.undo_adoption(&shown).await.unwrap();
    assert_eq!(place.text(CATALOG).await, catalog);
}
