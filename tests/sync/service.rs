//! `syncdeck run` with several connections in one configuration.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::support::server;
use crate::world::{MAPPINGS, World, write_private};

/// A service in a process of its own, with what it says kept in a file.
struct Service {
    child: Child,
    said: PathBuf,
}

impl Service {
    fn start(config: &Path) -> Service {
        let said = config.with_file_name("said");
        let child = Command::new(env!("CARGO_BIN_EXE_syncdeck"))
            .args(["run", "-v", "--config"])
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&said).unwrap())
            .spawn()
            .unwrap();
        Service { child, said }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.said).unwrap()
    }

    fn end(mut self) -> Option<i32> {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), Signal::SIGTERM).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn connection(name: &str, url: &str, login_url: &str) -> String {
    let mappings = MAPPINGS.replace("[[mapping]]", &format!("[[connections.{name}.mapping]]"));
    format!(
        "[connections.{name}]\nenvironment = \"test\"\n[connections.{name}.postgres]\nurl = \"{url}\"\n\
         [connections.{name}.salesforce]\nlogin_url = \"{login_url}\"\nclient_id = \"simulated-app\"\n\
         client_secret = \"simulated-secret\"\nrequest_timeout = \"2s\"\nlease = \"6s\"\nlook_back = \"2s\"\n{mappings}"
    )
}

fn of(world: &World, name: &str) -> String {
    connection(name, world.config.postgres_url(), &world.config.salesforce.login_url)
}

fn statuses(config: &Path) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_syncdeck"))
        .args(["status", "--json", "--config"])
        .arg(config)
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_service_keeps_two_connections_in_step_while_a_third_does_not_start() {
    let mut worlds = [World::start(MAPPINGS).await, World::start(MAPPINGS).await];
    for world in &mut worlds {
        world.stop_engine().await;
    }
    let [a, b] = &worlds;
    let late = server().url("late");
    let text = of(a, "a") + &connection("late", &late, &a.config.salesforce.login_url) + &of(b, "b");
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("syncdeck.toml");
    write_private(&config, &text);
    let service = Service::start(&config);
    for (world, key) in [(a, "A1"), (b, "B1")] {
        let sql =
            format!("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Doe', '{key}')");
        world.run(&sql).await;
        world.until("it arrives in its own org", async || world.record("Contact", key).is_some()).await;
    }
    assert!(a.record("Contact", "B1").is_none() && b.record("Contact", "A1").is_none());
    a.until("the third is told", async || service.said().contains("late: PostgreSQL")).await;
    let told = statuses(&config);
    let of_each: Vec<(&Value, &Value)> = told
        .as_array()
        .unwrap()
        .iter()
        .map(|status| (&status["connection"]["name"], &status["engine"]["state"]))
        .collect();
    let (running, unknown) = (json!("running"), json!("unknown"));
    assert_eq!(of_each, [(&json!("a"), &running), (&json!("late"), &unknown), (&json!("b"), &running)]);
    assert!(told[1]["connection"]["detail"].as_str().unwrap().contains("has no database \"late\""), "{told}");

    // It is tried again by itself.
    a.run("CREATE DATABASE late").await;
    a.until("the third starts", async || statuses(&config)[1]["engine"]["state"] == running).await;

    // A change of one connection is no matter of the others.
    write_private(&config, &text.replacen("\"Birthdate\", ", "\"Birthdate\", \"Title\", ", 1));
    let changed = "SELECT count(*)::text FROM syncdeck.log WHERE message LIKE 'the configuration changed%'";
    a.until_text(changed, "1").await;
    b.until_text(changed, "0").await;
    let echoed = |line: &str| line.starts_with("a ") && line.contains("Contact.Title is mapped now");
    a.until("its log names the connection", async || service.said().lines().any(echoed)).await;
    assert!(service.said().contains("DEBUG writer   a round ended "), "{}", service.said());

    // A connection that leaves the file ends, and one that comes begins.
    let state = async || b.handle.overview().await.unwrap().engine.state;
    write_private(&config, &text.replace(&of(b, "b"), ""));
    b.until("it ends", async || state().await.word() == "stopped").await;
    write_private(&config, &text);
    b.until("it begins again", async || state().await.word() == "running").await;
    b.until_text("SELECT count(*)::text FROM syncdeck.error WHERE resolved_at IS NULL", "0").await;
    assert_eq!(service.end(), Some(0));
    b.until_text("SELECT count(*)::text FROM syncdeck.engine WHERE state = 'running'", "0").await;
}
