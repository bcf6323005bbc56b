//! Ways to sign in, and a login that is lost while the engine runs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use syncdeck::salesforce::{Client, Credentials, Grant};

use crate::world::{MAPPINGS, World, write_private};

const PRIVATE: &str = include_str!("../support/test-key.pem");
const PUBLIC: &str = include_str!("../support/test-key.pub.pem");

fn private(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    write_private(&path, text);
    path
}

async fn syncs(world: &World, key: &str) {
    world
        .run(&format!("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Doe', '{key}')"))
        .await;
    world.until("it arrives", async || world.record("Contact", key).is_some()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_speaks_for_a_user() {
    let dir = tempfile::tempdir().unwrap();
    let key = private(dir.path(), "key.pem", PRIVATE);
    let auth = format!(
        "auth = \"jwt\"\nusername = \"integration@acme.example\"\nprivate_key_file = {:?}\n",
        key.to_str().unwrap()
    );
    let world =
        World::signing_in(&auth, MAPPINGS, |options| options.public_key = Some(PUBLIC.to_owned())).await;
    syncs(&world, "K1").await;
    // A session that ends is renewed the same way.
    world.org.change_secret("another, which nobody needs");
    syncs(&world, "K2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_that_is_rotated_is_written_down_each_time() {
    let dir = tempfile::tempdir().unwrap();
    let file = private(dir.path(), "token", "5Aep861SIMULATED\n");
    let auth = format!("auth = \"refresh_token\"\nrefresh_token_file = {:?}\n", file.to_str().unwrap());
    let world = World::signing_in(&auth, MAPPINGS, |options| options.rotate_refresh_tokens = true).await;
    let held = || std::fs::read_to_string(&file).unwrap();
    assert_eq!(held(), world.org.refresh_token());
    assert_ne!(held().trim(), "5Aep861SIMULATED");
    world.org.change_faults(|faults| faults.expire_session = 1);
    syncs(&world, "K1").await;
    assert_eq!(held(), world.org.refresh_token());
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    // Revoked, the connection says so; a new token in the file is enough.
    world.org.change_refresh_token("5Aep861ANOTHER");
    let error = "SELECT category || ' ' || class || ' ' || message FROM syncdeck.error WHERE code = 'LOGIN_FAILED' AND resolved_at IS NULL";
    world.until_text(error, "connection permanent invalid_grant: expired access/refresh token").await;
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Doe', 'K2')").await;
    private(dir.path(), "token", "5Aep861ANOTHER");
    world.store.notify("reconnect").await.unwrap();
    world.until("what waited arrives", async || world.record("Contact", "K2").is_some()).await;
    world.until_text("SELECT count(*)::text FROM syncdeck.error WHERE resolved_at IS NULL", "0").await;
    let told = "SELECT string_agg(t::text, ' ') FROM syncdeck.log t";
    assert!(!world.text(told).await.unwrap().contains("5Aep861"), "a token is told");
    assert_eq!(world.record("Contact", "K2").unwrap()["LastName"], json!("Doe"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_no_login_cures_is_told_as_one_and_over_when_the_app_is_mended() {
    let world = World::start(MAPPINGS).await;
    syncs(&world, "K1").await;
    // More than the requests that can be under way: each closes the way again.
    world.org.change_faults(|faults| faults.unusable_session = 1_000);
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Doe', 'K2')").await;
    let error = "SELECT category || ' ' || class || ' ' || message FROM syncdeck.error WHERE code = 'INVALID_SESSION_ID' AND resolved_at IS NULL";
    world.until_text(error, "connection permanent This session is not valid for use with the REST API").await;
    assert!(world.record("Contact", "K2").is_none());
    world.org.change_faults(|faults| faults.unusable_session = 0);
    // A request that was refused before may be told of after the operator's word.
    let arrives = async || {
        world.store.notify("reconnect").await.unwrap();
        world.record("Contact", "K2").is_some()
    };
    world.until("what waited arrives", arrives).await;
    world.until_text("SELECT count(*)::text FROM syncdeck.error WHERE resolved_at IS NULL", "0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_that_share_a_rotated_refresh_token_take_turns() {
    let dir = tempfile::tempdir().unwrap();
    let file = private(dir.path(), "token", "5Aep861SIMULATED\n");
    let auth = format!("auth = \"refresh_token\"\nrefresh_token_file = {:?}\n", file.to_str().unwrap());
    let world = World::signing_in(&auth, MAPPINGS, |options| options.rotate_refresh_tokens = true).await;
    // Long enough that all of them have read the file before the first one is answered.
    world.org.change_faults(|faults| faults.latency_ms = 200);
    let credentials = Credentials {
        login_url: world.config.salesforce.login_url.clone(),
        client_id: world.config.salesforce.client_id.clone(),
        grant: Grant::Refresh { secret: None, file: file.clone() },
    };
    let sign_in = async || {
        let client = Client::new(credentials.clone(), "62.0", Duration::from_secs(60)).unwrap();
        client.org_id().await
    };
    let (one, two, three) = tokio::join!(sign_in(), sign_in(), sign_in());
    for org in [one, two, three] {
        assert!(!org.unwrap().is_empty());
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), world.org.refresh_token());
}
