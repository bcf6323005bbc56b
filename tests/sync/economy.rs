//! What people's sessions cost PostgreSQL, and what PostgreSQL lets them do.

use std::time::Duration;

use syncdeck::client::api::{Client, ErrorQuery};
use syncdeck::domain::records::record::{Edit, FieldEdit};
use syncdeck::domain::reports::overview::Writes;
use syncdeck::postgres::Store;
use syncdeck::postgres::session::connect::Session;

use crate::support::operator;
use crate::world::{MAPPINGS, World, contact};

async fn console(url: &str, read_only: bool) -> Client {
    let session = Session::of_console(Duration::from_secs(30), read_only);
    Client::new(Store::open(url, "salesforce", &session).await.unwrap(), operator("tester@here"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_has_three_sessions_that_say_whose_they_are_and_wait_for_nothing_long() {
    let world = World::start(MAPPINGS).await;
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Doe', 'K1')").await;
    world.until_quiet().await;
    // The server is shared with other tests, and the world has a console of its own.
    let consoles =
        "FROM pg_stat_activity WHERE application_name = 'syncdeck console' AND datname = current_database()";
    let before = world.text(&format!("SELECT count(*)::text {consoles}")).await;
    let handle = console(world.config.postgres_url(), false).await;
    // Much at once.
    let all = (0..20).map(async |_| {
        let query = ErrorQuery { limit: 10, ..ErrorQuery::default() };
        let row = contact(1);
        let reads =
            tokio::join!(handle.errors(&query), handle.count(""), handle.overview(), handle.record(&row));
        reads.0.unwrap();
        reads.1.unwrap();
        reads.2.unwrap();
        reads.3.unwrap();
    });
    futures_util::future::join_all(all).await;
    let mine = format!("SELECT (count(*) - {})::text {consoles}", before.unwrap());
    world.until_text(&mine, "3").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn acts_at_once_do_not_wait_for_each_others_sessions() {
    let world = World::start(MAPPINGS).await;
    let resumed = async || world.handle.writes(None, Writes::Resume).await.unwrap();
    tokio::join!(resumed(), resumed(), resumed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_session_is_read_only_in_postgresql_itself() {
    let world = World::start(MAPPINGS).await;
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Doe', 'K1')").await;
    world.until_quiet().await;
    let handle = console(world.config.postgres_url(), true).await;
    let fields = vec![FieldEdit {
        column: "lastname".to_owned(),
        shown: Some("Doe".to_owned()),
        new: Some("Roe".to_owned()),
    }];
    let refused = handle.save(&Edit { row: contact(1), fields, retry: true }).await.unwrap_err().to_string();
    assert!(refused.contains("read-only"), "{refused}");
    assert!(
        handle.writes(Some("Contact"), Writes::Pause).await.unwrap_err().to_string().contains("read-only")
    );
    assert_eq!(handle.may_write().await.unwrap().as_deref(), Some("the session is read-only"));
    handle.record(&contact(1)).await.unwrap();
    assert_eq!(world.text("SELECT count(*)::text FROM syncdeck.audit").await.unwrap(), "0");
    assert_eq!(world.text("SELECT count(*)::text FROM syncdeck.command").await.unwrap(), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_without_a_right_is_told_which_on_what_and_how_to_get_it() {
    let world = World::start(MAPPINGS).await;
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Doe', 'K1')").await;
    world.until_quiet().await;
    assert_eq!(world.handle.may_write().await.unwrap(), None);
    let role = world.text("SELECT 'looker_' || current_database()").await.unwrap();
    world
        .run(&format!(
            "CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA syncdeck, salesforce TO {role};
             GRANT SELECT ON ALL TABLES IN SCHEMA syncdeck, salesforce TO {role}"
        ))
        .await;
    let user = world.text("SELECT current_user::text").await.unwrap();
    let url = world.config.postgres_url().replace(&format!("user={user}"), &format!("user={role}"));
    let handle = console(&url, false).await;
    handle.errors(&ErrorQuery { limit: 10, ..ErrorQuery::default() }).await.unwrap();
    let missing = handle.may_write().await.unwrap().unwrap();
    assert_eq!(
        missing,
        format!(
            "the role {role} has no right INSERT on syncdeck.audit\nlet its owner run: GRANT INSERT ON TABLE syncdeck.audit TO \"{role}\""
        )
    );
    world
        .run(&format!(
            "GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA syncdeck, salesforce TO {role};
             GRANT USAGE ON ALL SEQUENCES IN SCHEMA syncdeck, salesforce TO {role}"
        ))
        .await;
    assert_eq!(handle.may_write().await.unwrap(), None);
    // What is counted by the way is nobody's right to lack: whoever got rights before there were counts has them still.
    world.run(&format!("REVOKE INSERT ON syncdeck.count FROM {role}")).await;
    world.run("UPDATE salesforce.contact SET lastname = NULL").await;
    world.until("it fails", async || handle.count("").await.unwrap().matching == 1).await;
    handle.ignore(&contact(1)).await.unwrap();
    // Roles outlive databases.
    world.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}
