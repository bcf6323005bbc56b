//! Operators and applications in each other's way, and in the engine's.

use std::time::Duration;

use serde_json::json;
use syncdeck::domain::names::{RowId, RowRef};
use syncdeck::domain::records::record::{Edit, FieldEdit};
use tokio_postgres::NoTls;

use crate::application::{ACCOUNT, CONTACT};
use crate::support::{operation, server};
use crate::world::{MAPPINGS, World};

fn row(id: i32) -> RowRef {
    RowRef { table: "contact".to_owned(), row: RowId(id) }
}

fn edit(id: i32, shown: &str, new: &str) -> Edit {
    let field =
        FieldEdit { column: "email".to_owned(), shown: Some(shown.to_owned()), new: Some(new.to_owned()) };
    Edit { row: row(id), fields: vec![field], retry: true }
}

/// The state of a contact's unresolved error.
fn state_sql(id: i32) -> String {
    format!(
        "SELECT coalesce(string_agg(state, ' '), '') FROM syncdeck.error
         WHERE table_name = 'contact' AND record_id = {id} AND resolved_at IS NULL"
    )
}

impl World {
    /// A contact whose e-mail address Salesforce refuses. Returns its row.
    async fn failing_contact(&mut self, key: &str) -> i32 {
        self.contact(key, &format!("{key} at acme")).await
    }

    async fn contact(&mut self, key: &str, email: &str) -> i32 {
        let sql = format!(
            "INSERT INTO salesforce.contact (lastname, email, external_id__c) VALUES ('Doe', '{email}', '{key}') RETURNING id"
        );
        let id: i32 = self.sql.query_one(&sql, &[]).await.unwrap().get(0);
        self.application.note(CONTACT, key, id, &[("LastName", json!("Doe")), ("Email", json!(email))]);
        id
    }

    async fn state_of(&mut self, id: i32) -> String {
        self.text(&state_sql(id)).await.unwrap()
    }

    async fn until_state(&mut self, id: i32, wanted: &str) {
        self.until_text(&format!("the error of {id} is {wanted:?}"), &state_sql(id), wanted).await;
    }

    async fn until_in_flight(&mut self, id: i32) {
        let sql = format!("SELECT count(*) FROM syncdeck.unit WHERE record_id = {id} AND state = 'inflight'");
        self.until_count(&format!("{id} is in flight"), &sql, 1).await;
    }
}

/// How long a request is under way, in milliseconds: whoever looks for it finds it.
const LONG: u64 = 5_000;

/// A world in which nothing is refused before Salesforce was asked, and in which its answer may take long.
async fn asking_salesforce(name: &str) -> World {
    let mappings = MAPPINGS.replace("poll_interval", "check = false\npoll_interval");
    let mut world = World::build(name, server(), &mappings, &[ACCOUNT, CONTACT]).await;
    world.limits = "request_timeout = \"30s\"\nlease = \"90s\"".to_owned();
    world.statement_timeout = "30s";
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn mending_while_a_retry_is_in_flight_and_mending_twice_send_the_last_value_once() {
    let mut world = asking_salesforce("mending in flight").await;
    world.engine().await;
    let id = world.failing_contact("K1").await;
    world.until_state(id, "open").await;
    world.org.change_faults(|faults| faults.latency_ms = LONG);
    world.store.retry(&row(id), &operation("one@here")).await.unwrap();
    world.until_in_flight(id).await;
    world.org.change_faults(|faults| faults.latency_ms = 0);
    // Two operators, one after the other, both before the retry is answered.
    world.store.save(&edit(id, "K1 at acme", "first@acme.com"), &operation("one@here")).await.unwrap();
    world.application.note(CONTACT, "K1", id, &[("Email", json!("first@acme.com"))]);
    let stale = world.store.save(&edit(id, "K1 at acme", "stale@acme.com"), &operation("two@here")).await;
    assert!(stale.unwrap_err().to_string().contains("was changed meanwhile"));
    world.store.save(&edit(id, "first@acme.com", "second@acme.com"), &operation("two@here")).await.unwrap();
    world.application.note(CONTACT, "K1", id, &[("Email", json!("second@acme.com"))]);
    world.until_state(id, "").await;
    world.judge().await;
    let record =
        world.org.record("Contact", &world.org.find_by_external_id("Contact", "K1").unwrap()).unwrap();
    assert_eq!(record["Email"], json!("second@acme.com"));
    let audit = "SELECT string_agg(actor || ' ' || action, ', ' ORDER BY id) FROM syncdeck.audit";
    assert_eq!(world.text(audit).await.unwrap(), "one@here retried, one@here edited, two@here edited");
}

#[tokio::test(flavor = "multi_thread")]
async fn ignoring_in_flight_is_kept_until_the_row_changes_again() {
    let mut world = asking_salesforce("ignoring in flight").await;
    world.engine().await;
    let id = world.failing_contact("K1").await;
    world.until_state(id, "open").await;
    world.org.change_faults(|faults| faults.latency_ms = LONG);
    world.store.retry(&row(id), &operation("one@here")).await.unwrap();
    world.until_in_flight(id).await;
    world.org.change_faults(|faults| faults.latency_ms = 0);
    world.store.ignore(&row(id), &operation("one@here")).await.unwrap();
    let parked = format!("SELECT count(*) FROM syncdeck.unit WHERE record_id = {id} AND state = 'failed'");
    world.until_count("the retry was answered", &parked, 1).await;
    assert_eq!(world.state_of(id).await, "ignored");

    // One that would be tried again by itself is not, once it is ignored.
    world.org.change_faults(|faults| (faults.latency_ms, faults.row_lock) = (LONG, 1.0));
    let locked = world.contact("K2", "k2@acme.com").await;
    world.until_state(locked, "retrying").await;
    world.until_in_flight(locked).await;
    world.org.change_faults(|faults| faults.latency_ms = 0);
    world.store.ignore(&row(locked), &operation("one@here")).await.unwrap();
    let parked =
        format!("SELECT count(*) FROM syncdeck.unit WHERE record_id = {locked} AND state = 'failed'");
    world.until_count("it rests", &parked, 1).await;
    assert_eq!(world.state_of(locked).await, "ignored");
    world.org.change_faults(|faults| (faults.latency_ms, faults.row_lock) = (0, 0.0));

    // A later change is asked about again, and one that is right goes through.
    world.run(&format!("UPDATE salesforce.contact SET email = 'still wrong' WHERE id = {id}")).await;
    world.application.note(CONTACT, "K1", id, &[("Email", json!("still wrong"))]);
    world.until_state(id, "open").await;
    world.run(&format!("UPDATE salesforce.contact SET email = 'right@acme.com' WHERE id = {locked}")).await;
    world.application.note(CONTACT, "K2", locked, &[("Email", json!("right@acme.com"))]);
    world.until_state(locked, "").await;
    world.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_holds_rows_for_long_delays_only_their_outcome() {
    let mut world = World::new("rows held").await;
    world.engine().await;
    world
        .run(
            "INSERT INTO salesforce.contact (lastname, external_id__c) SELECT 'Name ' || n, 'K' || n FROM generate_series(1, 20) n",
        )
        .await;
    world.until("all are there", async |world| world.org.ids("Contact").len() == 20).await;
    world.application.start(2, world.seed, Duration::from_millis(20));
    let url = world.server.url(&world.database);
    let (holder, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    world.run("UPDATE salesforce.contact SET description = 'before' WHERE external_id__c LIKE 'K%'").await;
    holder
        .batch_execute("BEGIN; SELECT FROM salesforce.contact WHERE external_id__c LIKE 'K%' FOR UPDATE")
        .await
        .unwrap();
    world
        .until("their change arrives all the same", async |world| {
            let ids = world.org.ids("Contact");
            let there = |id: &String| {
                world.org.record("Contact", id).is_some_and(|r| r["Description"] == json!("before"))
            };
            ids.iter().filter(|id| there(id)).count() == 20
        })
        .await;
    // The others go on meanwhile, and what became of these rows waits for them.
    let before = world.application.commits();
    world.until("others go on", async |world| world.application.commits() > before + 100).await;
    let owed = "SELECT (count(*) > 0)::text FROM syncdeck.unit WHERE outcome IS NOT NULL";
    world.until_text("outcomes wait for their rows", owed, "true").await;
    holder
        .batch_execute(
            "UPDATE salesforce.contact SET description = 'after' WHERE external_id__c LIKE 'K%'; COMMIT",
        )
        .await
        .unwrap();
    world.judge().await;
    let told =
        "SELECT count(*) FROM salesforce.contact WHERE external_id__c LIKE 'K%' AND description = 'after'
         AND _hc_lastop IN ('SYNCED', 'UPDATED')";
    assert_eq!(world.count(told).await, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_held_open_slows_nothing_down_to_a_halt() {
    let mut world = World::new("snapshot held").await;
    world.engine().await;
    let url = world.server.url(&world.database);
    let (holder, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    holder
        .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM syncdeck.unit")
        .await
        .unwrap();
    world.application.start(2, world.seed, Duration::from_millis(5));
    for round in 0..4 {
        world
            .run(&format!(
                "INSERT INTO salesforce.account (name, external_id__c) SELECT 'Name', 'S{round}-' || n FROM generate_series(1, 1000) n"
            ))
            .await;
        world
            .until("the round is sent", async |world| {
                let sent = world.org.ids("Account").len();
                sent >= 1_000 * (usize::try_from(round).unwrap() + 1)
            })
            .await;
    }
    world.judge().await;
    drop(holder);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_trigger_that_updates_the_same_row_is_captured_in_order() {
    let mut world = World::new("nested change").await;
    world.engine().await;
    world
        .run(
            "CREATE FUNCTION salesforce.app_touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF NEW.description IS DISTINCT FROM 'seen ' || NEW.lastname THEN
                     UPDATE salesforce.contact SET description = 'seen ' || NEW.lastname WHERE id = NEW.id;
                 END IF;
                 RETURN NULL;
             END $$;
             CREATE TRIGGER app_touch AFTER INSERT OR UPDATE ON salesforce.contact FOR EACH ROW EXECUTE FUNCTION salesforce.app_touch()",
        )
        .await;
    for n in 0..40 {
        let (key, name) = (format!("T{}", n % 5), format!("Name{n}"));
        let sql = format!(
            "INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('{name}', '{key}')
             ON CONFLICT (external_id__c) DO UPDATE SET lastname = excluded.lastname RETURNING id"
        );
        let id: i32 = world.sql.query_one(&sql, &[]).await.unwrap().get(0);
        let values = [("LastName", json!(name)), ("Description", json!(format!("seen {name}")))];
        world.application.note(CONTACT, &key, id, &values);
        world.random_pause(Duration::from_millis(60)).await;
    }
    world.judge().await;
}
