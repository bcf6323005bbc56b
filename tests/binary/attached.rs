//! The program on a database that Heroku Connect keeps, named by nothing but DATABASE_URL.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use tokio_postgres::NoTls;

use crate::support::{new_database, server};
use crate::{Ran, config, directory};

const SCHEMA: &str = include_str!("../sync/attached.sql");
/// A row that Salesforce refused, in words that act on a terminal.
const FAILED: &str = r#"
    SET xmlbinary = 'hex';
    INSERT INTO salesforce.contact (id, lastname, email, sfid) VALUES (1, 'Okafor', 'a@example.com', '003HC0000000000001');
    RESET xmlbinary;
    UPDATE salesforce.contact SET email = 'no-mail' WHERE id = 1;
    UPDATE salesforce._trigger_log SET state = 'FAILED', processed_at = now(),
        sf_message = E'INVALID_EMAIL_ADDRESS:Email: invalid email address: \x1b[31mno-mail';"#;

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_listed_and_mended_with_an_address_and_nothing_else() {
    let url = server().url(&new_database().await);
    let (sql, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    sql.batch_execute(&format!("{SCHEMA} {FAILED}")).await.unwrap();
    let dir = directory();
    let run = |args: &[&str]| -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_syncdeck"));
        for name in ["HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"] {
            command.env(name, &dir);
        }
        command.env("DATABASE_URL", &url).arg("--attach-heroku-connect").args(args);
        let output = command.current_dir(&dir).stdin(Stdio::null()).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran { status: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    };
    let listed = run(&["errors"]);
    assert_eq!(listed.status, 0, "{listed:?}");
    assert!(listed.out.contains("INVALID_EMAIL_ADDRESS") && !listed.out.contains('\u{1b}'), "{listed:?}");
    let listed = run(&["errors", "--json"]).json();
    let id = listed[0]["id"].to_string();
    assert_eq!((listed[0]["row_id"].as_i64(), listed[0]["state"].as_str()), (Some(1), Some("open")));
    assert_eq!(run(&["errors", "--group", "--json"]).json()[0]["count"], 1);
    assert_eq!(run(&["status", "--json"]).json()["engine"]["state"], "attached");
    let shown = run(&["show", &id]);
    assert!(shown.status == 0 && shown.out.contains("Invalid e-mail address"), "{shown:?}");

    // What only an engine of ours, or its schema, could tell or do.
    let engine = run(&["run"]);
    assert_eq!(engine.status, 2, "{engine:?}");
    assert!(
        engine.err.contains("a second engine would send the same changes")
            && engine.err.contains("three ways on"),
        "{engine:?}"
    );
    for args in [
        &["runs"][..],
        &["audit"],
        &["undo", "1", "--yes"],
        &["plan"],
        &["verify"],
        &["mapping", "Contact", "pause"],
        &["stats"],
    ] {
        let refused = run(args);
        assert_eq!(refused.status, 1, "{args:?}: {refused:?}");
        assert!(refused.err.contains("Heroku Connect"), "{args:?}: {refused:?}");
    }
    let stray = run(&["import", "heroku-connect", "x.json"]);
    assert_eq!(stray.status, 2, "{stray:?}");
    let reading = run(&["--read-only", "retry", &id]);
    assert!(reading.status != 0, "{reading:?}");

    let fixed = run(&["fix", &id, "Email=okafor@example.com", "--retry"]);
    assert_eq!(fixed.status, 0, "{fixed:?}");
    assert!(run(&["errors", "--where", "state:open", "--json"]).json().as_array().unwrap().is_empty());
    let log = "SELECT string_agg(state, ' ' ORDER BY id) FROM salesforce._trigger_log";
    let states: String = sql.query_one(log, &[]).await.unwrap().get(0);
    assert_eq!(states, "REQUEUED NEW");
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = 'syncdeck'";
    assert_eq!(sql.query_one(schemas, &[]).await.unwrap().get::<_, i64>(0), 0);
    std::fs::remove_dir_all(dir).unwrap();
}

/// A file of connections, `(name, engine)` each; those of ours find no database.
fn file_of(dir: &std::path::Path, connections: &[(&str, &str)]) -> String {
    let section = |(name, engine): &(&str, &str)| {
        let salesforce = match *engine {
            "heroku-connect" => String::new(),
            _ => format!(
                "[connections.{name}.salesforce]\nlogin_url = \"https://{name}.my.salesforce.com\"\nclient_id = \"id\"\n\
                 client_secret = \"secret\"\n[[connections.{name}.mapping]]\nobject = \"Contact\"\nfields = [\"LastName\"]\n"
            ),
        };
        format!(
            "[connections.{name}]\nengine = \"{engine}\"\n[connections.{name}.postgres]\n\
             url = \"host={} dbname={name}\"\n{salesforce}",
            dir.join("nowhere").display()
        )
    };
    let text: String = connections.iter().map(section).collect();
    config(dir, &text, 0o600)
}

#[test]
fn an_engine_of_several_connections_says_why_an_attached_one_has_none() {
    let dir = directory();
    let program = |file: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_syncdeck"));
        command.arg("run").arg("--config").arg(file).current_dir(&dir).stdin(Stdio::null());
        command
    };
    let parts = ["second engine would send the same changes", "three ways on"];
    // Among others it is told, and the others are started.
    let file = file_of(&dir, &[("own", "service"), ("kept", "heroku-connect")]);
    let mut child = program(&file).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut told, mut wanted) = (String::new(), vec!["the connection kept is attached", "own: "]);
    wanted.extend(parts);
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        told += &line.unwrap();
        if wanted.iter().all(|part| told.contains(part)) {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(wanted.iter().all(|part| told.contains(part)), "{told}");
    // Where there is nothing else, there is nothing to run.
    let file = file_of(&dir, &[("one", "heroku-connect"), ("other", "heroku-connect")]);
    let output = program(&file).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(parts.iter().all(|part| told.contains(part)), "{told}");
    std::fs::remove_dir_all(dir).unwrap();
}
