//! `syncdeck plan` says what the start of an engine does, and `run` asks before it takes over what was there.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use serde_json::{Map, Value, json};
use tokio_postgres::{Client, NoTls};

use crate::support::{new_database, server};
use crate::world::{MAPPINGS, World, config_text, write_private};

const HEROKU: &str = include_str!("heroku.sql");
const CONTACT: &str = "[[mapping]]\nobject = \"Contact\"\nfields = [\"LastName\", \"Email\", \"Title\", \"Birthdate\"]\n\
    external_id = \"External_Id__c\"\nindexes = [\"Email\"]\npoll_interval = \"10m\"\n";

/// A database without an engine, and the configuration for it.
struct Place {
    sql: Client,
    file: PathBuf,
    text: String,
    _dir: tempfile::TempDir,
}

impl Place {
    async fn new(world: &World, mappings: &str, found: &str) -> Place {
        let url = server().url(&new_database().await);
        let (sql, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        tokio::spawn(connection);
        sql.batch_execute(found).await.unwrap();
        // What this session did itself is not to be seen.
        sql.batch_execute("SELECT").await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("syncdeck.toml");
        let text = config_text(&url, &world.config.salesforce.login_url, "simulated-secret", mappings);
        write_private(&file, &text);
        Place { sql, file, text, _dir: dir }
    }

    async fn text(&self, sql: &str) -> Option<String> {
        self.sql.query(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}")).first()?.get(0)
    }

    /// All relations, columns, triggers and functions outside of PostgreSQL's own schemas.
    async fn shape(&self) -> String {
        let sql = "SELECT string_agg(thing, E'\\n' ORDER BY thing) FROM (
            SELECT format('%s.%s %s', nspname, relname, relkind) FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
                WHERE nspname !~ '^pg_|^information_schema'
            UNION ALL SELECT format('%s.%s.%s %s', table_schema, table_name, column_name, data_type)
                FROM information_schema.columns WHERE table_schema !~ '^pg_|^information_schema'
            UNION ALL SELECT format('%s %s', tgrelid::regclass, tgname) FROM pg_trigger WHERE NOT tgisinternal
            UNION ALL SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace::regnamespace::text !~ '^pg_|^information_schema'
            UNION ALL SELECT format('schema %s', nspname) FROM pg_namespace WHERE nspname !~ '^pg_'
        ) all_of_it (thing)";
        self.text(sql).await.unwrap_or_default()
    }

    async fn ask(&self, args: &[&str]) -> Output {
        let mut command = self.command(args);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_syncdeck"));
        command.args(args).arg("--config").arg(&self.file).stdin(Stdio::null());
        command
    }

    async fn plan(&self) -> Value {
        let output = self.ask(&["plan", "--json"]).await;
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }

    /// An engine in a process of its own; it ends with what is returned.
    fn serve(&self, args: &[&str]) -> Service {
        let said = std::fs::File::create(self.file.with_file_name("said")).unwrap();
        let mut command = self.command(&[&["run"], args].concat());
        Service(command.stdout(Stdio::null()).stderr(said).spawn().unwrap())
    }

    async fn until_read(&self, world: &World) {
        let all = "SELECT bool_and(load_done)::text FROM syncdeck.mapping";
        world
            .until("all is read", async || {
                self.text("SELECT to_regclass('syncdeck.mapping')::text").await.is_some()
                    && self.text(all).await.as_deref() == Some("true")
            })
            .await;
    }
}

struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What of a plan's tables is of this kind, by one of its members.
fn named(plan: &Value, action: &str, member: &str) -> BTreeSet<String> {
    let tables = plan["tables"].as_array().unwrap();
    let actions = tables.iter().flat_map(|table| table["actions"].as_array().unwrap());
    actions.filter(|of| of["action"] == action).map(|of| of[member].as_str().unwrap().to_owned()).collect()
}

fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn shape_of(before: &str, after: &str, prefix: &str) -> BTreeSet<String> {
    let before: BTreeSet<&str> = before.lines().collect();
    let new = after.lines().filter(|line| !before.contains(line));
    new.filter_map(|line| Some(line.strip_prefix(prefix)?.split(' ').next()?.to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_an_empty_database_is_what_the_start_does_then_and_changes_nothing_itself() {
    let world = World::with(MAPPINGS, |org| {
        for name in ["Okafor", "Lindqvist", "Rau"] {
            org.user_create("Contact", Map::from_iter([("LastName".to_owned(), json!(name))])).unwrap();
        }
    })
    .await;
    let place = Place::new(&world, CONTACT, "").await;
    let before = place.shape().await;
    let plan = place.plan().await;
    assert_eq!(place.shape().await, before, "a plan changes nothing");
    assert_eq!((&plan["tables"][0]["origin"], &plan["tables"][0]["loads"]), (&json!("new"), &json!(true)));
    let beside: Vec<&str> =
        plan["actions"].as_array().unwrap().iter().map(|of| of["action"].as_str().unwrap()).collect();
    assert_eq!(beside, ["create_extension", "lay_out", "lay_out", "create_function"]);
    assert_eq!((&plan["loads"][0]["records"], &plan["loads"][0]["calls"]), (&json!(3), &json!(3)));
    assert_eq!(plan["forecast"]["total"]["changes"], json!(144));
    assert_eq!(plan["forecast"]["allowance"]["from"], json!("told"));

    let _service = place.serve(&[]);
    place.until_read(&world).await;
    let after = place.shape().await;
    // What was announced is there, and nothing else.
    let columns = plan["tables"][0]["actions"][0]["columns"].as_array().unwrap();
    let announced: BTreeSet<String> =
        columns.iter().map(|column| column[0].as_str().unwrap().to_owned()).collect();
    assert_eq!(shape_of(&before, &after, "salesforce.contact."), announced);
    let indexes = named(&plan, "create_index", "name");
    let sql =
        "SELECT string_agg(indexname, ' ') FROM pg_indexes WHERE tablename IN ('contact', '_trigger_log')
         AND indexname !~ '_pkey$' AND indexname ~ 'contact'";
    let made: BTreeSet<String> = place.text(sql).await.unwrap().split(' ').map(str::to_owned).collect();
    assert_eq!(made, indexes);
    assert!(indexes.contains("hc_idx_contact_email"), "{indexes:?}");

    // A second start has nothing to do, and a field more is one column more.
    let again = place.plan().await;
    assert_eq!((&again["actions"], &again["tables"][0]["actions"]), (&json!([]), &json!([])), "{again}");
    assert_eq!((&again["loads"], &again["tables"][0]["origin"]), (&json!([]), &json!("own")));
    drop(_service);
    write_private(&place.file, &place.text.replace("\"Title\"", "\"Title\", \"Phone\""));
    let more = place.plan().await;
    assert_eq!(named(&more, "add_column", "column"), BTreeSet::from(["phone".to_owned()]));
    let told = words(&place.ask(&["plan"]).await);
    assert!(
        told.contains("syncdeck mapping Contact reload") && told.contains("To do it: syncdeck run\n"),
        "{told}"
    );
    write_private(
        &place.file,
        &place.text.replace(CONTACT, "[[mapping]]\nobject = \"Account\"\nfields = [\"Name\"]\n"),
    );
    assert_eq!(place.plan().await["forgotten"], json!(["Contact"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_heroku_connect_are_taken_over_only_where_somebody_says_so() {
    let world = World::start(MAPPINGS).await;
    let left = "INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Okafor', 'HC-1');
         UPDATE salesforce._trigger_log SET state = 'FAILED', created_at = now() - interval '1 hour' WHERE record_id = 1;
         INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Lindqvist', 'HC-2'); ANALYZE salesforce.contact";
    let place = Place::new(&world, CONTACT, &format!("{HEROKU}; {left}")).await;
    let before = place.shape().await;
    let plan = place.plan().await;
    let table = &plan["tables"][0];
    assert_eq!((&table["origin"], &table["rows"]), (&json!("foreign"), &json!(2)));
    assert_eq!(table["entries"], json!({"unsent": 1, "in_flight": 0, "failed": 1}));
    assert_eq!(named(&plan, "add_column", "column"), ["birthdate", "title"].map(str::to_owned).into());
    assert_eq!(table["adopted"], json!(["lastname", "email", "external_id__c"]));
    assert_eq!(
        named(&plan, "drop_trigger", "trigger"),
        ["hc_contact_logtrigger", "hc_contact_status_trigger"].map(str::to_owned).into()
    );
    let told = words(&place.ask(&["plan"]).await);
    for wanted in [
        "Contact: the table contact was there before syncdeck, with about 2 rows",
        "  the column title is added (varchar(128))",
        "  mapped as they are: lastname, email, external_id__c",
        "  of its changes in _trigger_log: waiting (NEW): 1, sent in their order; failed (FAILED): 1, listed as errors",
        "  the function hc_contact_logger() is replaced by ours of that name",
        "  the function hc_contact_status() is replaced by ours of that name",
        "Heroku Connect was not seen at work here",
    ] {
        assert!(told.contains(wanted), "{wanted}\n{told}");
    }
    // Nobody can be asked: nothing is done.
    let refused = place.ask(&["run"]).await;
    let told = words(&refused);
    assert_eq!(refused.status.code(), Some(2), "{told}");
    for wanted in [
        "syncdeck: the table contact of the schema salesforce was there before syncdeck",
        "  look at what would be done with: syncdeck plan; then take over with: syncdeck adopt (or take over and start at once: syncdeck run --adopt)",
    ] {
        assert!(told.contains(wanted), "{wanted}\n{told}");
    }
    assert_eq!(place.shape().await, before, "what was not asked for is not done");

    let _service = place.serve(&["--adopt"]);
    place.until_read(&world).await;
    let after = place.shape().await;
    assert_eq!(shape_of(&before, &after, "salesforce.contact."), named(&plan, "add_column", "column"));
    for trigger in named(&plan, "drop_trigger", "trigger") {
        assert!(!after.contains(&format!("salesforce.contact {trigger}")), "{trigger} is still there");
    }
    world.until("what was unsent arrives", async || world.record("Contact", "HC-2").is_some()).await;
    drop(_service);
    // From now on it is syncdeck's, and nobody is asked.
    let again = place.plan().await;
    assert_eq!((&again["tables"][0]["origin"], &again["tables"][0]["actions"]), (&json!("own"), &json!([])));
    let started = "SELECT count(*)::text FROM syncdeck.log WHERE message = 'engine started'";
    // The first one was killed, perhaps before it had written its log.
    let noted = place.text(started).await;
    let _service = place.serve(&[]);
    world.until("it starts unasked", async || place.text(started).await != noted).await;
    drop(_service);
    // Where a predecessor works in our place, its table it is, as after a restored backup.
    let back = "DROP TRIGGER \"00_hc_logger\" ON salesforce.contact; DROP TRIGGER zz_hc_status ON salesforce.contact;
         DROP TRIGGER \"00_hc_truncate\" ON salesforce.contact;
         CREATE FUNCTION salesforce.hc_back_logger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
         CREATE TRIGGER hc_contact_logtrigger AFTER UPDATE ON salesforce.contact FOR EACH ROW
             EXECUTE FUNCTION salesforce.hc_back_logger()";
    place.sql.batch_execute(back).await.unwrap();
    assert_eq!(place.plan().await["tables"][0]["origin"], json!("foreign"));
    assert_eq!(place.ask(&["run"]).await.status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_terminal_run_asks_and_a_no_changes_nothing() {
    let world = World::start(MAPPINGS).await;
    let place = Place::new(&world, CONTACT, HEROKU).await;
    let before = place.shape().await;
    let (mut child, said) = at_a_terminal(&place.file, "n\n").await;
    let status = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
    let said = said.join().unwrap();
    assert!(status.exit_code() == 2 && said.contains("nothing was changed"), "{said}");
    assert_eq!(place.shape().await, before);
    let (mut child, _) = at_a_terminal(&place.file, "y\n").await;
    place.until_read(&world).await;
    let told = place.text("SELECT count(*)::text FROM pg_trigger WHERE tgname = '00_hc_logger'").await;
    assert_eq!(told.as_deref(), Some("1"));
    child.kill().unwrap();
    child.wait().unwrap();
}

type Said = std::thread::JoinHandle<String>;

/// Runs the engine at a terminal, and answers its question.
async fn at_a_terminal(file: &Path, answer: &str) -> (Box<dyn portable_pty::Child + Send + Sync>, Said) {
    let (file, answer) = (file.to_owned(), answer.to_owned());
    tokio::task::spawn_blocking(move || {
        let size = PtySize { rows: 40, cols: 120, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_syncdeck"));
        command.args(["run", "--config"]);
        command.arg(&file);
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().unwrap();
        let mut writer = pair.master.take_writer().unwrap();
        let mut said = String::new();
        let mut buffer = [0; 4096];
        while !said.contains("Take them over?") {
            let read = reader.read(&mut buffer).unwrap_or(0);
            assert!(read > 0, "it ended without a question: {said}");
            said.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
        writer.write_all(answer.as_bytes()).unwrap();
        let rest = std::thread::spawn(move || {
            let _master = (pair.master, writer);
            while let Ok(read @ 1..) = reader.read(&mut buffer) {
                said.push_str(&String::from_utf8_lossy(&buffer[..read]));
            }
            said
        });
        (child, rest)
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_told_beside_what_can() {
    let world = World::start(MAPPINGS).await;
    let made = "CREATE TABLE salesforce.account (id int, name text);
         CREATE TABLE salesforce.\"user\" (id serial PRIMARY KEY, sfid varchar(18), systemmodstamp timestamp,
             _hc_lastop varchar(32), _hc_err text, username varchar(80))";
    let more = "[[mapping]]\nobject = \"Account\"\nfields = [\"Name\"]\n\
        [[mapping]]\nobject = \"User\"\naccess = \"read_only\"\nfields = [\"Username\"]\n";
    let place = Place::new(&world, &format!("{CONTACT}{more}"), &format!("{HEROKU}; {made}")).await;
    let output = place.ask(&["plan"]).await;
    let told = words(&output);
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(
        told.contains(
            "refused: the table \"salesforce\".\"account\" exists, but is not one of Heroku Connect's"
        ),
        "{told}"
    );
    assert!(told.contains("what is refused comes first"), "{told}");
    // Heroku Connect's table of users has no isdeleted.
    assert!(told.contains("  the column isdeleted is added (boolean)"), "{told}");
    let plan = place.plan().await;
    assert_eq!((&plan["tables"][0]["refused"], &plan["tables"][2]["refused"]), (&Value::Null, &Value::Null));
    // An index that cannot be made is not promised.
    place
        .sql
        .batch_execute("INSERT INTO salesforce.\"user\" (sfid) VALUES ('005A'), ('005A')")
        .await
        .unwrap();
    let plan = place.plan().await;
    let doubled = plan["tables"][2]["refused"].as_str().unwrap_or_default();
    assert!(doubled.contains("1 of its values stand in several rows"), "{plan}");
    // A condition that PostgreSQL refuses keeps nobody from looking at the tables behind it.
    let bad = "[[mapping]]\nobject = \"Contact\"\nfields = [\"LastName\", \"Email\"]\nwhere = \"id = 'abc'\"\n\
        [[mapping]]\nobject = \"Lead\"\nfields = [\"Company\"]\nwhere = \"nonsense = 1\"\n";
    write_private(&place.file, &place.text.replace(&format!("{CONTACT}{more}"), bad));
    let plan = place.plan().await;
    let why = |at: usize| plan["tables"][at]["refused"].as_str().unwrap_or_default().to_owned();
    assert!(why(0).contains("invalid input syntax"), "{plan}");
    // The columns of a table that is to be made are known.
    assert!(why(1).contains("no column \"nonsense\"") && why(1).contains("company"), "{plan}");
    // The wrong org is refused as a whole.
    place
        .sql
        .batch_execute(
            "CREATE TABLE salesforce._hcmeta (id serial PRIMARY KEY, hcver int, org_id varchar(50), details text);
             INSERT INTO salesforce._hcmeta (hcver, org_id) VALUES (4, '00DXXXXXXXXXXXXEAA')",
        )
        .await
        .unwrap();
    let plan = place.plan().await;
    assert!(plan["refused"].as_str().unwrap().contains("belongs to the org 00DXXXXXXXXXXXXEAA"), "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_are_forecast_from_the_log_of_changes_where_there_is_one() {
    let world = World::start(MAPPINGS).await;
    // In two days: 450 records changed in one second, which are three calls, and 150 seconds with one change each.
    let entries = "INSERT INTO salesforce._trigger_log_archive (id, created_at, state, action, table_name, record_id)
             SELECT n, now() - interval '2 days', 'SUCCESS', 'UPDATE', 'contact', n FROM generate_series(1, 450) n;
         INSERT INTO salesforce._trigger_log_archive (id, created_at, state, action, table_name, record_id)
             SELECT 1000 + n, now() - interval '1 day' + n * interval '10 seconds', 'SUCCESS', 'UPDATE', 'contact', 7
             FROM generate_series(1, 150) n;
         INSERT INTO salesforce._trigger_log_archive (id, created_at, state, action, table_name, record_id)
             SELECT 2000 + n, now() - interval '1 hour', 'READONLY', 'UPDATE', 'contact', n FROM generate_series(1, 99) n";
    let more = "[[mapping]]\nobject = \"Account\"\nfields = [\"Name\"]\n";
    let place = Place::new(&world, &format!("{CONTACT}{more}"), &format!("{HEROKU}; {entries}")).await;
    let plan = place.plan().await;
    let written = &plan["forecast"]["mappings"][0]["written"];
    let near = |member: &str, wanted: i64| {
        let found = written[member].as_i64().unwrap();
        assert!((found - wanted).abs() <= 1, "{member}: {found}, not {wanted}: {written}");
    };
    assert_eq!(written["from"], json!("measured"));
    near("changes", 300);
    near("calls", 77);
    // No change of it was ever logged.
    assert_eq!(plan["forecast"]["mappings"][1]["written"], json!({"from": "assumed", "changes": 5_000}));
    // What the operator says goes before.
    let said = place.ask(&["plan", "--json", "--changes-a-day", "50", "--allowance", "1000"]).await;
    let said: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(said["forecast"]["mappings"][0]["written"], json!({"from": "assumed", "changes": 25}));
    assert_eq!(said["forecast"]["allowance"], json!({"from": "given", "calls": 1000}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_engine_takes_no_table_over_that_comes_into_its_configuration() {
    let mut world = World::start(MAPPINGS).await;
    world.stop_engine().await;
    // A yes is about the tables of its start.
    world.config.adopts = true;
    world.start_engine().await;
    world
        .run(
            "CREATE TABLE salesforce.lead (id serial PRIMARY KEY, sfid varchar(18), systemmodstamp timestamp, isdeleted boolean,
             _hc_lastop varchar(32), _hc_err text, company varchar(255))",
        )
        .await;
    let more = "[[mapping]]\nobject = \"Lead\"\nfields = [\"Company\", \"LastName\"]\n";
    world.write(&format!("{}{more}", world.written()));
    let listed =
        "SELECT message FROM syncdeck.error WHERE code = 'CONFIGURATION_REFUSED' AND resolved_at IS NULL";
    world.until("it is listed", async || world.text(listed).await.is_some()).await;
    let told = world.text(listed).await.unwrap();
    assert!(
        told.contains("the table lead of the schema salesforce") && told.contains("run --adopt"),
        "{told}"
    );
    let columns = "SELECT count(*)::text FROM information_schema.columns WHERE table_name = 'lead'";
    assert_eq!(world.text(columns).await.as_deref(), Some("7"));
}
