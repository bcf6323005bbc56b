//! What keeps an engine from its work in PostgreSQL is told by a way that does not lead through PostgreSQL.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio_postgres::NoTls;

use crate::support::{new_database, server};
use crate::world::{MAPPINGS, World, config_text, write_private};

/// A service with what it says kept in a file.
struct Service(Child);

impl Service {
    fn start(config: &Path) -> Service {
        let said = std::fs::File::create(config.with_file_name("said")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_syncdeck"))
            .args(["run", "--config"])
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(said)
            .spawn()
            .unwrap();
        Service(child)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(i32::try_from(self.0.id()).unwrap()), Signal::SIGTERM);
        let _ = self.0.wait();
    }
}

fn status(config: &Path, fail_on: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_syncdeck"))
        .args(["status", "--fail-on", fail_on, "--config"])
        .arg(config)
        .output()
        .unwrap()
}

fn counted(config: &Path, word: &str) -> usize {
    std::fs::read_to_string(config.with_file_name("said")).unwrap().matches(word).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_may_not_write_says_so_at_once_and_is_not_ok() {
    // A role of its own, which owns the database and, for a while, may not write.
    let world = World::start(MAPPINGS).await;
    let database = new_database().await;
    let role = format!("engine_{database}");
    world.run(&format!("CREATE ROLE {role} LOGIN; ALTER DATABASE {database} OWNER TO {role}")).await;
    let url = server().url(&database).replace("user=syncdeck", &format!("user={role}"));
    assert!(url.contains(&role), "{url}");
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("syncdeck.toml");
    write_private(
        &config,
        &config_text(&url, &world.config.salesforce.login_url, "simulated-secret", MAPPINGS),
    );
    let service = Service::start(&config);
    world.until("it runs", async || status(&config, "connection").status.code() == Some(0)).await;
    let (sql, connection) = tokio_postgres::connect(&server().url(&database), NoTls).await.unwrap();
    tokio::spawn(connection);
    // Each cause is told once in a minute.
    let began = Instant::now();
    let at_most = |began: Instant| 1 + usize::try_from(began.elapsed().as_secs() / 60).unwrap();
    sql.batch_execute(&format!(
        "REVOKE INSERT ON syncdeck.log, syncdeck.unit FROM {role};
         INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Doe', 'T1')"
    ))
    .await
    .unwrap();
    world.until("it says so", async || counted(&config, "permission denied for table unit") >= 1).await;
    world
        .until("it is not ok", async || {
            let told = status(&config, "connection");
            let text = String::from_utf8(told.stdout).unwrap();
            told.status.code() == Some(3)
                && text.contains("database (since ")
                && text.contains("permission denied")
        })
        .await;
    assert_eq!(status(&config, "stopped").status.code(), Some(3));
    let told = counted(&config, "permission denied for table unit");
    assert!((1..=at_most(began)).contains(&told), "{told}");
    let over = || counted(&config, "PostgreSQL takes everything again");
    let before = over();
    sql.batch_execute(&format!("GRANT INSERT ON syncdeck.log, syncdeck.unit TO {role}")).await.unwrap();
    world.until("it says that it is over", async || over() > before).await;
    world.until("what waited arrives", async || world.record("Contact", "T1").is_some()).await;
    world.until("it is ok", async || status(&config, "connection").status.code() == Some(0)).await;

    // PostgreSQL takes no writes at all: not even the sign of life is given.
    let began = Instant::now();
    sql.batch_execute(&format!("ALTER ROLE {role} SET default_transaction_read_only = on")).await.unwrap();
    sql.batch_execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
        .await
        .unwrap();
    world.until("it says so", async || counted(&config, "takes no writes (read-only)") >= 1).await;
    world
        .until("it is not ok", async || {
            let told = status(&config, "connection");
            let text = String::from_utf8(told.stdout).unwrap();
            told.status.code() == Some(3) && text.contains("no engine gave a sign of life since")
        })
        .await;
    let told = counted(&config, "takes no writes (read-only)");
    assert!((1..=at_most(began)).contains(&told), "{told}");
    drop(service);
}
