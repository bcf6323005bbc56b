//! `syncdeck init`, as somebody answers it.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use serde_json::json;
use syncdeck::config::Config;

use crate::support::{new_database, server};
use crate::world::{MAPPINGS, World};

/// Runs the program with these answers, a line each.
async fn answered(arguments: &[&str], config: &Path, answers: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_syncdeck"));
    command.args(arguments).arg("--config").arg(config);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let text = answers.join("\n") + "\n";
    tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    })
    .await
    .unwrap()
}

fn words(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn init_tests_each_step_and_writes_what_an_engine_starts_with() {
    let world = World::start(MAPPINGS).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("syncdeck.toml");
    let login = world.config.salesforce.login_url.clone();
    let database = server().url(&new_database().await);
    let output = answered(
        &["init"],
        &file,
        &[
            "acme",
            "",
            // A database that is not there, then one that is.
            &server().url("nowhere"),
            "",
            &database,
            "",
            // A wrong secret, then the right one.
            &login,
            "simulated-app",
            "",
            "wrong",
            &login,
            "simulated-app",
            "client_credentials",
            "simulated-secret",
            "Contact, Acount",
            "LastName, Emial",
            "LastName, Email",
            "",
            "service",
        ],
    )
    .await;
    let text = words(&output);
    assert!(output.status.success(), "{text}");
    for part in [
        "has no database \"nowhere\"",
        "invalid_client",
        "ok: PostgreSQL",
        "ok: signed in to the org 00D",
        "Contact has no field Emial",
        "Acount: ",
        "start with: syncdeck run",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    assert!(!text.contains("simulated-secret"), "a secret is told: {text}");
    let config = Config::load(Some(&file), None).unwrap();
    assert_eq!(config.mappings.len(), 1);
    assert_eq!(config.mappings[0].fields, ["LastName", "Email"]);
    assert_eq!(config.mappings[0].external_id.as_deref(), Some("External_Id__c"));
    let store = crate::support::connect(&database).await.unwrap();
    let engine = syncdeck::engine::start(config, store).await.unwrap();
    engine.stop().await;
    // What is there is not overwritten unasked.
    let output = answered(&["init"], &file, &["n"]).await;
    assert!(words(&output).contains("left as it is"), "{}", words(&output));
    let output = answered(&["init"], &dir.path().join("other.toml"), &["acme"]).await;
    assert!(words(&output).contains("the input ended where an answer was needed"), "{}", words(&output));
    assert_eq!(output.status.code(), Some(2));
}

/// The same connection behind another one in the file.
fn among_several(text: &str) -> String {
    let below = |name: &str| {
        text.replace("[verify]\nevery = \"off\"\n", "")
            .replace("[connection]\nname = \"acme\"\n", &format!("[connections.{name}]\n"))
            .replace("[postgres]", &format!("[connections.{name}.postgres]"))
            .replace("[salesforce]", &format!("[connections.{name}.salesforce]"))
            .replace("[[mapping]]", &format!("[[connections.{name}.mapping]]"))
    };
    let other = below("other").replace("url = \"postgresql:", "url = \"postgresql://127.0.0.1:9/other#");
    other + &below("acme")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_login_is_replaced_while_the_engine_waits() {
    let world = World::start(MAPPINGS).await;
    replace_lost_login(&world, &["init", "--reconnect"]).await;
    assert!(!world.written().contains("simulated-secret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_login_is_replaced_in_its_own_connection_of_several() {
    let world = World::start(MAPPINGS).await;
    world.write(&among_several(&world.written()));
    replace_lost_login(&world, &["init", "--reconnect", "--connection", "acme"]).await;
    assert_eq!(world.written().matches("simulated-secret").count(), 1);
}

async fn replace_lost_login(world: &World, arguments: &[&str]) {
    world.org.change_secret("the-next-secret");
    let lost =
        "SELECT count(*)::text FROM syncdeck.error WHERE code = 'LOGIN_FAILED' AND resolved_at IS NULL";
    world.until_text(lost, "1").await;
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Doe', 'K1')").await;
    let output = answered(arguments, &world.config.path, &["wrong", "the-next-secret"]).await;
    let text = words(&output);
    assert!(output.status.success() && text.contains("the engine is connected again"), "{text}");
    assert!(text.contains("nothing was changed"), "{text}");
    world.until("what waited arrives", async || world.record("Contact", "K1").is_some()).await;
    world.until_text(lost, "0").await;
    assert_eq!(world.record("Contact", "K1").unwrap()["LastName"], json!("Doe"));
    assert!(world.written().contains("the-next-secret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_start_on_a_terminal_leads_through_init_into_the_console() {
    let world = World::start(MAPPINGS).await;
    let dir = tempfile::tempdir().unwrap();
    let size = PtySize { rows: 30, cols: 100, pixel_width: 0, pixel_height: 0 };
    let pair = native_pty_system().openpty(size).unwrap();
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_syncdeck"));
    command.cwd(dir.path());
    for name in ["HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"] {
        command.env(name, dir.path());
    }
    command.env("TERM", "xterm-256color");
    let mut child = pair.slave.spawn_command(command).unwrap();
    drop(pair.slave);
    let shown = Arc::new(Mutex::new(Vec::new()));
    let mut reader = pair.master.try_clone_reader().unwrap();
    let feed = shown.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = reader.read(&mut buffer) {
            feed.lock().unwrap().extend_from_slice(&buffer[..read]);
        }
    });
    // As a whole: a piece may end within a character.
    let text = || String::from_utf8_lossy(&shown.lock().unwrap()).into_owned();
    let mut writer = pair.master.take_writer().unwrap();
    let database = server().url(&new_database().await);
    let login = world.config.salesforce.login_url.clone();
    for (question, answer) in [
        ("A short name", "first"),
        ("environment", ""),
        ("URL of the database", &database),
        ("Schema", ""),
        ("My Domain", &login),
        ("Consumer key", "simulated-app"),
        ("sign in", ""),
        ("Consumer secret", "simulated-secret"),
        ("Objects", "Contact"),
        ("Fields", "LastName"),
        ("External id", ""),
        ("Who runs the engine", ""),
    ] {
        world.until(question, async || text().contains(question)).await;
        writeln!(writer, "{answer}").unwrap();
    }
    world.until("the console runs the engine", async || text().contains("● running")).await;
    writer.write_all(b"q").unwrap();
    let mut ended = None;
    world
        .until("it ends", async || {
            ended = child.try_wait().unwrap();
            ended.is_some()
        })
        .await;
    let text = text();
    assert_eq!(ended.unwrap().exit_code(), 0, "{text}");
    for part in ["no configuration found: looked for syncdeck.toml", "a few questions make one", "written to"]
    {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    assert!(!text.contains("simulated-secret"), "a secret is told: {text}");
    let config = Config::load(Some(&dir.path().join("syncdeck.toml")), None).unwrap();
    assert_eq!(config.name, "first");
}
