//! Bad input: a clear message that names the thing and the remedy, and nothing half-made.

use std::path::Path;

use syncdeck::config::{Auth, Config};
use syncdeck::engine;

use crate::support::{connect, new_database, server};
use crate::world::{MAPPINGS, World, config_text};

async fn refusal(world: &World, change: impl FnOnce(&mut Config), prepare: &str) -> String {
    let database = new_database().await;
    let url = server().url(&database);
    let mut config = world.config.clone();
    change(&mut config);
    let store = connect(&url).await.unwrap();
    let (sql, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    sql.batch_execute(prepare).await.unwrap();
    let Err(error) = engine::start(config, store.clone()).await else { panic!("it started") };
    assert!(!store.is_installed().await.unwrap(), "something was left behind");
    error.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_refused_by_name_with_the_remedy() {
    let world = World::start(MAPPINGS).await;
    let text = refusal(
        &world,
        |config| config.salesforce.auth = Auth::ClientCredentials { secret: "wrong".into() },
        "",
    )
    .await;
    assert!(text.contains("invalid_client") && text.contains("Check salesforce.client_id"), "{text}");
    let text =
        refusal(&world, |config| config.salesforce.login_url = "http://127.0.0.1:9".to_owned(), "").await;
    assert!(text.contains("no connection to 127.0.0.1:9"), "{text}");
    let text = refusal(&world, |config| config.mappings[0].object = "Acount".to_owned(), "").await;
    assert!(text.contains("/syncdeck.toml:") && text.contains("did you mean Account?"), "{text}");
    let text = refusal(&world, |config| config.mappings[1].fields.push("Emial".to_owned()), "").await;
    assert!(text.contains("Contact has no field Emial") && text.contains("did you mean Email?"), "{text}");
    let made = "CREATE SCHEMA salesforce; CREATE TABLE salesforce.account (id int, name text)";
    let text = refusal(&world, |_| {}, made).await;
    assert!(text.contains("account of the schema salesforce was there before syncdeck"), "{text}");
    let text = refusal(&world, |config| config.adopts = true, made).await;
    assert!(text.contains("\"salesforce\".\"account\" exists") && text.contains("no column sfid"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_database_is_refused_without_showing_the_password() {
    let wrong = server().url("nowhere").replace("user=syncdeck", "user=syncdeck&password=hush");
    let Err(error) = connect(&wrong).await else { panic!("it connected") };
    let text = error.to_string();
    assert!(text.contains("has no database \"nowhere\"") && text.contains("createdb nowhere"), "{text}");
    let Err(error) = connect("postgresql://u:hush@127.0.0.1:9/d").await else { panic!("it connected") };
    let text = error.to_string();
    assert!(text.contains("127.0.0.1:9") && !text.contains("hush"), "{text}");
    let text =
        config_text("postgresql:///d", "http://127.0.0.1:1", "hush", MAPPINGS).replace("fields", "feilds");
    let text = Config::parse(Path::new("x.toml"), &text).unwrap_err().to_string();
    assert!(text.contains("feilds") && !text.contains("hush"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn truncate_is_refused_with_the_reason() {
    let world = World::start(MAPPINGS).await;
    let error = world.sql.batch_execute("TRUNCATE salesforce.contact").await.unwrap_err();
    assert!(error.as_db_error().unwrap().message().contains("cannot be captured"));
}
