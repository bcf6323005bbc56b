//! An application that was written against Heroku Connect, by way of a library that nobody here wrote: django-heroku-connect.
//! It works on tables that are served from the first day, and on tables that Heroku Connect left. The library is looked for
//! in the folder that `SYNCDECK_CLIENTS` names (CONTRIBUTING.md says how to fill it); without it these tests are skipped.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Map, Value, json};
use syncdeck::demo::heroku_connect::api::{APP, ConnectApi};
use syncdeck::domain::values::address::OrgAddress;
use syncdeck::heroku;
use syncdeck::simulator::Org;
use tokio_util::sync::CancellationToken;

use crate::support::{LONGEST, new_database};
use crate::world::{World, write_private};

const HEROKU: &str = include_str!("django/heroku.sql");
const TABLES: [&str; 4] = ["contact", "invoice__c", "invoice_line__c", "product2"];

/// The application, which does a step at a time; it ends with its owner.
struct Application {
    child: Child,
    pipes: Option<(ChildStdin, BufReader<ChildStdout>)>,
    /// What Python says of itself.
    words: PathBuf,
    dir: tempfile::TempDir,
}

impl Drop for Application {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The folder of the library.
fn library() -> Option<PathBuf> {
    let folder = std::env::var_os("SYNCDECK_CLIENTS").map(|folder| PathBuf::from(folder).join("django"));
    let found = folder.filter(|folder| folder.join("heroku_connect").is_dir());
    let Some(found) = found else {
        eprintln!("skipped: SYNCDECK_CLIENTS names no folder with django/heroku_connect");
        return None;
    };
    let mut probe = Command::new("python3");
    probe.args(["-c", "import django, psycopg2, heroku_connect"]).env("PYTHONPATH", &found);
    match probe.output() {
        Ok(output) if output.status.success() => Some(found),
        Ok(output) => {
            eprintln!("skipped: {}", String::from_utf8_lossy(&output.stderr));
            None
        }
        Err(error) => {
            eprintln!("skipped: python3 cannot be started: {error}");
            None
        }
    }
}

/// Where programs are found: those of the server first.
async fn path(world: &World) -> String {
    let own = world.text("SELECT setting FROM pg_config WHERE name = 'BINDIR'").await.unwrap();
    format!("{own}:{}", std::env::var("PATH").unwrap_or_default())
}

impl Application {
    /// On the database behind `url`, with another one for a copy of its schema, and with the programs on this path.
    fn start(library: &Path, url: &str, copy: &str, path: &str) -> Application {
        Application::asking(library, [url, copy, path], &[])
    }

    /// The same, where these variables say whose API it asks.
    fn asking(library: &Path, [url, copy, path]: [&str; 3], api: &[(&str, &str)]) -> Application {
        let dir = tempfile::tempdir().unwrap();
        let words = dir.path().join("words");
        let of =
            |name: &str| url.split(['?', '&']).find_map(|part| part.strip_prefix(name)).unwrap_or_default();
        let database = url.trim_start_matches("postgresql:///").split('?').next().unwrap();
        let mut child = Command::new("python3")
            .arg("work.py")
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sync/django"))
            .env("PYTHONPATH", library)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("DJANGO_SETTINGS_MODULE", "settings")
            .env("PATH", path)
            .envs([
                ("DATABASE_HOST", of("host=")),
                ("DATABASE_USER", of("user=")),
                ("DATABASE_NAME", database),
            ])
            .envs([("ORGANIZATION_ID", "00D000000000001"), ("COPY_NAME", copy)])
            .env("MAPPING", dir.path().join("mapping.json"))
            .envs(api.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&words).unwrap())
            .spawn()
            .unwrap();
        let pipes = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Application { child, pipes: Some(pipes), words, dir }
    }

    /// Does a step, and is done with it.
    async fn does(&mut self, step: &str) {
        let (mut steps, mut told) = self.pipes.take().unwrap();
        let line = format!("{step}\n");
        let asked = tokio::task::spawn_blocking(move || {
            let mut answer = String::new();
            // Where it has ended, the answer is none.
            let _ = steps.write_all(line.as_bytes()).and_then(|()| steps.flush());
            told.read_line(&mut answer).unwrap();
            ((steps, told), answer)
        });
        let asked = tokio::time::timeout(LONGEST, asked).await;
        let (pipes, answer) = asked.unwrap_or_else(|_| panic!("{step} does not end")).unwrap();
        self.pipes = Some(pipes);
        let words = std::fs::read_to_string(&self.words).unwrap();
        assert!(answer == format!("{step} done\n"), "{}{words}", answer.replace("\\n", "\n"));
    }
}

/// What an engine is to serve: the library writes the mapping of its models as for Heroku Connect, and that is imported.
async fn mappings(library: &Path) -> String {
    let mut application = Application::start(library, "", "", &std::env::var("PATH").unwrap_or_default());
    application.does("writes_the_mapping").await;
    let (mapping, file) = ("mapping.json", "syncdeck.toml");
    let mut import = Command::new(env!("CARGO_BIN_EXE_syncdeck"));
    import.args(["import", "heroku-connect", mapping, "--config", file, "--client-id", "simulated-app"]);
    import.args(["--login-url", "https://acme.my.salesforce.com"]).current_dir(application.dir.path());
    let output = tokio::task::spawn_blocking(move || import.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = std::fs::read_to_string(application.dir.path().join(file)).unwrap();
    let at = text.find("[[mapping]]").unwrap();
    // What the library captures again has no old values: a read just then would take it for a conflict, and ask a person.
    text[at..].replace("poll_interval = \"10m\"", "poll_interval = \"200ms\"\nconflicts = \"postgres_wins\"")
}

fn fields(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// What people of the org made: an account, a user, and contacts whose codes are taken.
fn people(org: &Org) {
    let account = json!({"Name": "Acme", "Website": "https://acme.example.com", "NumberOfEmployees": 12});
    org.user_create("Account", fields(account)).unwrap();
    let user = json!({"Username": "ann@example.com", "LastName": "Ann", "IsActive": true});
    org.user_create("User", fields(user)).unwrap();
    for number in 1..=3 {
        let taken = json!({"LastName": "Holder", "Legacy_Code__c": format!("TAKEN-{number}")});
        org.user_create("Contact", fields(taken)).unwrap();
    }
}

/// Somebody gives a code up.
fn free(org: &Org, code: &str) {
    let holds =
        |id: &String| org.record("Contact", id).is_some_and(|record| record["Legacy_Code__c"] == json!(code));
    let id = org.ids("Contact").into_iter().find(holds).unwrap();
    org.user_update("Contact", &id, fields(json!({"Legacy_Code__c": null}))).unwrap();
}

/// The application's external ids.
fn key(number: u32) -> String {
    format!("{number:032x}")
}

/// One field of the record with this key.
fn value(world: &World, object: &str, number: u32, field: &str) -> Value {
    world.record(object, &key(number)).map_or(Value::Null, |record| record[field].clone())
}

/// Waits until all that can be sent was sent, and read back; what failed stays.
async fn settled(world: &World) {
    world.until_quiet().await;
    world.until_text("SELECT count(*)::text FROM salesforce._trigger_log WHERE state <> 'FAILED'", "0").await;
    for table in TABLES {
        let open = format!(
            "SELECT count(*)::text FROM salesforce.{table} WHERE _hc_lastop NOT IN ('SYNCED', 'FAILED')"
        );
        world.until_text(&open, "0").await;
    }
}

/// Waits until so many rows have failed, and say so. What is said of a row that somebody holds comes later.
async fn until_failed(world: &World, rows: u32) {
    let failed = "SELECT concat_ws(' ', (SELECT count(DISTINCT record_id) FROM salesforce._trigger_log WHERE state = 'FAILED'),
         (SELECT count(*) FROM salesforce.contact WHERE _hc_lastop = 'FAILED'))";
    world.until_text(failed, &format!("{rows} {rows}")).await;
}

/// What the application made is in the org once, as it made it.
fn all_arrived(world: &World) {
    for (object, number) in [("Contact", 1), ("Contact", 2), ("Contact", 3), ("Contact", 4), ("Product2", 31)]
    {
        assert_eq!(world.writes("create", &key(number)), 1, "{object} {number}");
    }
    let text = "two\nlines, \"quoted\" \\ and => an arrow, ünïcode";
    assert_eq!(value(world, "Contact", 1, "Description"), json!(text));
    assert_eq!(value(world, "Contact", 1, "Score__c"), json!(12.34));
    assert_eq!(value(world, "Contact", 3, "Title"), json!("Third"));
    assert_eq!(value(world, "Invoice__c", 11, "Amount__c"), json!(1_234_567.89));
    assert_eq!(value(world, "Invoice__c", 11, "Due_Date__c"), json!("2026-08-01"));
    assert!(world.record("Invoice__c", &key(12)).is_none());
    for line in [21, 22] {
        assert_eq!(value(world, "Invoice_Line__c", line, "Invoice__c"), value(world, "Invoice__c", 11, "Id"));
    }
    let released = value(world, "Product2", 31, "Released_On__c");
    assert!(released.as_str().unwrap().starts_with("2026-07-01T10:00:00"), "{released}");
}

/// What an application does day by day, wherever its tables came from.
async fn works(world: &World, application: &mut Application) {
    // Both were made by people, and are read by themselves.
    world.until_text("SELECT website FROM salesforce.account", "https://acme.example.com").await;
    world
        .until_text(
            "SELECT max(username) FROM salesforce.\"user\" WHERE isactive AND username LIKE 'ann@%'",
            "ann@example.com",
        )
        .await;
    all_arrived(world);
    application.does("finds_them_in_salesforce").await;
    application.does("follows_an_account").await;
    application.does("changes").await;
    settled(world).await;
    let acme = world.org.ids("Account").remove(0);
    assert_eq!(value(world, "Contact", 1, "AccountId"), json!(acme));
    assert_eq!(value(world, "Contact", 1, "FirstName"), json!("Ada"));
    assert_eq!(value(world, "Contact", 1, "Score__c"), json!(13.34));
    assert_eq!(value(world, "Contact", 3, "Title"), json!("Title of Many 3"));
    assert_eq!(value(world, "Invoice_Line__c", 21, "Quantity__c"), json!(3.5));

    application.does("saves_rows_as_it_once_made_them").await;
    settled(world).await;
    assert_eq!(value(world, "Contact", 1, "Title"), json!("Countess"));
    assert_eq!(world.writes("create", &key(1)), 1);
    // What only Salesforce sets was written away, and is read again.
    let wiped =
        "SELECT count(*)::text FROM salesforce.contact WHERE createddate IS NULL OR systemmodstamp IS NULL";
    world.until_text(wiped, "0").await;
    application.does("finds_nothing_pending").await;

    application.does("leaves_what_is_read_only").await;
    world
        .until_text(
            "SELECT count(*)::text FROM salesforce._trigger_log_archive WHERE state = 'READONLY'",
            "1",
        )
        .await;
    assert_eq!(world.org.record("Account", &acme).unwrap()["Website"], json!("https://acme.example.com"));

    application.does("deletes").await;
    settled(world).await;
    for (object, number) in
        [("Contact", 3), ("Contact", 4), ("Invoice__c", 11), ("Invoice_Line__c", 21), ("Invoice_Line__c", 22)]
    {
        assert!(world.record(object, &key(number)).is_none(), "{object} {number}");
    }
    what_fails(world, application).await;

    application.does("captures_by_hand").await;
    settled(world).await;
    assert_eq!(value(world, "Contact", 1, "FirstName"), json!("Augusta"));
    assert_eq!(value(world, "Contact", 1, "Title"), json!("Lady"));
    assert_eq!(value(world, "Contact", 8, "LastName"), json!("Unseen"));
    assert_eq!(world.writes("create", &key(8)), 1);
}

/// Changes that Salesforce refuses: seen, mended, sent again both ways, and given up.
async fn what_fails(world: &World, application: &mut Application) {
    application.does("writes_what_is_refused").await;
    until_failed(world, 3).await;
    application.does("sees_what_was_refused").await;
    application.does("mends_the_value").await;
    free(&world.org, "TAKEN-1");
    free(&world.org, "TAKEN-2");
    application.does("redoes_by_capturing_again").await;
    settled(world).await;
    until_failed(world, 0).await;
    assert_eq!(value(world, "Contact", 5, "Email"), json!("mended@example.com"));
    assert_eq!(value(world, "Contact", 6, "Legacy_Code__c"), json!("TAKEN-1"));
    assert_eq!(value(world, "Contact", 2, "Legacy_Code__c"), json!("TAKEN-2"));
    let listed = "SELECT count(*)::text FROM syncdeck.error WHERE resolved_at IS NULL";
    world.until_text(listed, "0").await;

    application.does("writes_what_is_refused_again").await;
    until_failed(world, 2).await;
    free(&world.org, "TAKEN-3");
    application.does("retries_in_the_admin").await;
    application.does("ignores_in_the_admin").await;
    settled(world).await;
    world.until_text("SELECT count(*)::text FROM salesforce._trigger_log", "0").await;
    assert_eq!(value(world, "Contact", 1, "Legacy_Code__c"), json!("TAKEN-3"));
    assert_eq!(value(world, "Contact", 6, "Email"), json!(null));
    // What somebody gave up is nobody's error any more, and nothing of it is left to send.
    world.until_text(listed, "0").await;
    assert_eq!(world.text("SELECT count(*)::text FROM syncdeck.unit").await.unwrap(), "0");
    let over = "SELECT string_agg(resolution, ' ') FROM syncdeck.error WHERE resolution = 'ignored'";
    assert_eq!(world.text(over).await.unwrap(), "ignored");
    application.does("finds_it_ignored").await;
}

/// The library's own requests to Heroku Connect's API are answered by the stand-in of that API as by Heroku, so that what our
/// client is tested with is not only what we think of it.
#[tokio::test(flavor = "multi_thread")]
async fn the_library_finds_the_stand_in_of_the_api_to_be_one() {
    let Some(library) = library() else { return };
    let mut probe = Command::new("python3");
    probe
        .args(["-c", "from health_check.backends import BaseHealthCheckBackend"])
        .env("PYTHONPATH", &library);
    if !probe.output().is_ok_and(|output| output.status.success()) {
        return eprintln!("skipped: SYNCDECK_CLIENTS names no folder with django/health_check");
    }
    let api = ConnectApi::start("HRKU-django", CancellationToken::new()).await.unwrap();
    api.stand().let_in = false;
    let (endpoint, path) = (format!("{}/api/v3", api.url()), std::env::var("PATH").unwrap_or_default());
    let with = |key: &str| {
        let api = [
            ("HEROKU_CONNECT_API_ENDPOINT", endpoint.as_str()),
            ("HEROKU_AUTH_TOKEN", key),
            ("HEROKU_APP_NAME", APP),
        ];
        Application::asking(&library, ["", "", &path], &api)
    };
    with("HRKU-wrong").does("is_not_let_in_with_another_key").await;
    let mut application = with("HRKU-django");
    application.does("imports_its_mappings").await;
    let imported = api.stand().imported.clone().unwrap();
    let objects: Vec<&str> =
        imported["mappings"].as_array().unwrap().iter().filter_map(|of| of["object_name"].as_str()).collect();
    assert!(objects.contains(&"Contact") && objects.contains(&"Invoice__c"), "{objects:?}");
    application.does("finds_it_healthy").await;
    application.does("finds_merged_writes").await;
    // Our own client hears of the same.
    let access = heroku::ApiAccess {
        app: APP.to_owned(),
        resource: None,
        schema: "salesforce".to_owned(),
        api_url: OrgAddress::parse(&api.url()).unwrap(),
        key_place: "HEROKU_API_KEY".to_owned(),
        key: "HRKU-django".into(),
        read_only: true,
    };
    let told = heroku::Client::new(access).unwrap().connection().await.unwrap();
    let heard: Vec<&str> = told.mappings.iter().map(|mapping| mapping.object.as_str()).collect();
    assert_eq!((told.state.as_str(), heard), ("IDLE", objects));
    {
        let mut stand = api.stand();
        "PAUSED".clone_into(&mut stand.state);
        "BAD_CONFIG".clone_into(&mut stand.mapping("Contact").unwrap().state);
    }
    application.does("finds_it_paused_and_a_mapping_broken").await;
}

async fn copy() -> String {
    let name = new_database().await;
    let sql = crate::adopt::session(&crate::support::server().url(&name)).await;
    sql.batch_execute("CREATE EXTENSION hstore SCHEMA public; CREATE EXTENSION pg_trgm SCHEMA public")
        .await
        .unwrap();
    name
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_works_by_its_library_on_tables_that_are_served() {
    let Some(library) = library() else { return };
    let mut world = World::with(&mappings(&library).await, people).await;
    let mut application = Application::start(&library, &world.direct, &copy().await, &path(&world).await);
    world.stop_engine().await;
    application.does("sets_up").await;
    application.does("creates").await;
    world.start_engine().await;
    settled(&world).await;
    works(&world, &mut application).await;
    application.does("loads_the_schema").await;
}

/// What Heroku Connect has made of an hour's changes when it is switched off: one failed and stays in its log, one failed and
/// is in its archive, the others wait.
const LEFT: &str = r#"
    UPDATE salesforce._trigger_log SET created_at = created_at - interval '1 hour';
    UPDATE salesforce._trigger_log SET state = 'FAILED', sf_message = 'UNABLE_TO_LOCK_ROW: locked', processed_at = created_at
    WHERE table_name = 'contact' AND record_id IN (SELECT id FROM salesforce.contact WHERE lastname IN ('Many 2', 'Many 3'));
    WITH moved AS (DELETE FROM salesforce._trigger_log WHERE state = 'FAILED'
        AND record_id = (SELECT id FROM salesforce.contact WHERE lastname = 'Many 3') RETURNING *)
    INSERT INTO salesforce._trigger_log_archive SELECT * FROM moved;
    BEGIN; SET LOCAL xmlbinary TO 'hex';
    UPDATE salesforce.contact SET _hc_lastop = 'FAILED', _hc_err = '{"msg": "locked"}' WHERE lastname IN ('Many 2', 'Many 3'); COMMIT"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_application_works_by_its_library_on_tables_that_were_taken_over() {
    let Some(library) = library() else { return };
    let mut world = World::with(&mappings(&library).await, people).await;
    world.stop_engine().await;
    world
        .run("DROP SCHEMA salesforce, syncdeck CASCADE; DROP FUNCTION public.get_xmlbinary(); DROP EXTENSION hstore CASCADE")
        .await;
    world.run(HEROKU).await;
    let mut application = Application::start(&library, &world.direct, &copy().await, &path(&world).await);
    application.does("sets_up").await;
    application.does("creates").await;
    world.run(LEFT).await;
    // What this session did itself is not to be seen.
    world.run("SELECT").await;

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("syncdeck.toml");
    write_private(&file, &world.written());
    let mut adopt = Command::new(env!("CARGO_BIN_EXE_syncdeck"));
    adopt.args(["adopt", "--yes", "--config"]).arg(&file).stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || adopt.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    world.start_engine().await;
    settled(&world).await;
    application.does("redoes_what_heroku_connect_left").await;
    settled(&world).await;
    until_failed(&world, 0).await;
    works(&world, &mut application).await;
}
