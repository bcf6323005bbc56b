//! A configuration that was imported from Heroku Connect, at work.

use std::process::Command;

use serde_json::json;
use syncdeck::config::Config;
use syncdeck::engine;
use syncdeck::postgres::Store;

use crate::support::{connect, new_database, server};
use crate::world::{MAPPINGS, World, write_private};

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_works_with_what_was_imported() {
    let world = World::start(MAPPINGS).await;
    let dir = tempfile::tempdir().unwrap();
    let (export, file) = (dir.path().join("export.json"), dir.path().join("syncdeck.toml"));
    std::fs::write(&export, include_str!("../support/connect-export.json")).unwrap();
    let mut import = Command::new(env!("CARGO_BIN_EXE_syncdeck"));
    import.args(["import", "heroku-connect"]).arg(&export).arg("--config").arg(&file);
    import.args(["--client-id", "simulated-app", "--login-url", &world.config.salesforce.login_url]);
    let output = import.output().unwrap();
    assert!(output.status.success(), "{output:?}");

    // What the two variables would say, where no test changes the environment of all others.
    let url = server().url(&new_database().await);
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text.replace("url_env = \"DATABASE_URL\"", &format!("url = \"{url}\""));
    let text =
        text.replace("client_secret_env = \"SALESFORCE_SECRET\"", "client_secret = \"simulated-secret\"");
    write_private(&file, &text);
    let config = Config::load(Some(&file), None).unwrap();
    let store: Store = connect(&url).await.unwrap();
    let running = engine::start(config, store.clone()).await.unwrap();
    let (sql, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let one = async |query: &str| -> Option<String> {
        sql.query(query, &[]).await.unwrap().first().and_then(|row| row.get(0))
    };
    let read = "SELECT string_agg(name || ' ' || access, ', ' ORDER BY position) FROM syncdeck.mapping WHERE state = 'ok'";
    world
        .until("all mappings are read", async || {
            one(read).await.as_deref() == Some("Account read_only, Contact read_write, User read_only")
        })
        .await;
    let indexes = "SELECT string_agg(indexname, ' ' ORDER BY indexname) FROM pg_indexes
         WHERE schemaname = 'salesforce' AND tablename IN ('account', 'contact') AND indexname ~ '^hcu?_idx'";
    assert_eq!(
        one(indexes).await.unwrap(),
        "hc_idx_account_name hc_idx_account_systemmodstamp hc_idx_contact_accountid hc_idx_contact_email \
         hc_idx_contact_systemmodstamp hcu_idx_account_sfid hcu_idx_contact_external_id__c hcu_idx_contact_sfid"
    );
    sql.batch_execute(
        "INSERT INTO salesforce.contact (lastname, email, external_id__c) VALUES ('Okafor', 'okafor@example.com', 'HC-1')",
    )
    .await
    .unwrap();
    world
        .until("what is written arrives", async || {
            world
                .record("Contact", "HC-1")
                .is_some_and(|record| record["Email"] == json!("okafor@example.com"))
        })
        .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_on_a_long_text_is_refused_at_its_place() {
    let world = World::start(MAPPINGS).await;
    let text = world.written().replacen("\"Birthdate\"", "\"Description\"", 1);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("syncdeck.toml");
    write_private(&file, &format!("{text}indexes = [\"Email\", \"Description\"]\n"));
    let config = Config::load(Some(&file), None).unwrap();
    let refused = engine::start(config, world.store.clone()).await.err().unwrap().to_string();
    assert!(
        refused.contains("mapping.indexes: Contact.Description is long text(32000), too long for an index")
            && refused.contains("take Description out of indexes"),
        "{refused}"
    );
}
