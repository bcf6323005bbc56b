//! What is listed beside Heroku Connect: of this schema alone, and without waiting for whoever looks.

use std::time::Duration;

use syncdeck::client::api::{Client, ErrorQuery};
use syncdeck::client::attached::session::Attached;
use syncdeck::postgres::Store;
use syncdeck::postgres::session::connect::Session;

use crate::beside::{Beside, ROWS, SCHEMA, bad_email, session};
use crate::support::operator;
use crate::world::contact;

/// The same tables, rows and functions once more, in a schema beside the first.
fn sibling() -> String {
    let begin = SCHEMA.find("CREATE SCHEMA salesforce").unwrap();
    let end = SCHEMA.find("-- What the stand-in").unwrap();
    format!("{}{ROWS}", &SCHEMA[begin..end]).replace("salesforce", "sibling")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_the_same_name_in_another_schema_is_another_one() {
    let beside = Beside::new(None, ROWS).await;
    beside.run(&sibling()).await;
    beside.run(&format!("{} {}", bad_email(1).replace("salesforce", "sibling"), bad_email(2))).await;
    // syncdeck took the other one over.
    beside
        .run(
            "CREATE TRIGGER \"00_hc_logger\" AFTER UPDATE ON sibling.contact FOR EACH ROW
             EXECUTE FUNCTION sibling.hc_contact_logger()",
        )
        .await;
    let beside = beside.afresh().await;
    let rows: Vec<_> = beside.errors("").await.iter().filter_map(|error| error.row_id).collect();
    assert_eq!(rows, [contact(2).row]);
    let overview = beside.client.overview().await.unwrap();
    let of_contact = overview.mappings.iter().filter(|mapping| mapping.table == "contact");
    assert_eq!(of_contact.map(|mapping| (mapping.rows, mapping.errors)).collect::<Vec<_>>(), [(20, 1)]);
    assert_eq!(
        beside.client.find("2", None).await.unwrap().iter().filter(|hit| hit.row == contact(2)).count(),
        1
    );
    let log =
        "SELECT string_agg(concat_ws(' ', id, state, record_id), '; ' ORDER BY id) FROM sibling._trigger_log";
    let before = beside.text(log).await;
    beside.edit(2, "email", Some("no-mail"), Some("two@example.com"), true).await.unwrap();
    assert_eq!(beside.text(log).await, before);
    let session = Session::of_console(Duration::from_secs(15), false);
    let store = Store::open(&beside.url, "sibling", &session).await.unwrap();
    let ours = Attached::open(store, "hc", None).await.map(drop).unwrap_err();
    assert!(ours.message.contains("were taken over"), "{ours}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lists_has_the_last_picture_while_the_next_one_is_taken() {
    let beside = Beside::new(None, ROWS).await;
    beside.run(&bad_email(1)).await;
    // Its statements may take as long as the machine needs.
    let patient = Session::of_console(Duration::from_secs(600), false);
    let store = Store::open(&beside.url, "salesforce", &patient).await.unwrap();
    let client = Client::attached(Attached::open(store, "hc", None).await.unwrap(), operator("tester@here"));
    let beside = Beside { client, ..beside };
    assert_eq!(beside.errors("").await.len(), 1);
    // Whoever looks now waits for the table.
    let lock = session(&beside.url).await;
    lock.batch_execute("BEGIN; LOCK salesforce.contact IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let client = beside.client.clone();
    let looking = tokio::spawn(async move {
        loop {
            // The picture that there is serves for a moment.
            client.errors(&ErrorQuery { limit: 10, ..ErrorQuery::default() }).await.unwrap();
        }
    });
    let waits = "SELECT (count(*) > 0)::text FROM pg_locks JOIN pg_stat_activity USING (pid)
        WHERE NOT granted AND datname = current_database()";
    beside.until("somebody looks", async || beside.text(waits).await.as_deref() == Some("true")).await;
    assert_eq!(beside.errors("").await.len(), 1);
    assert_eq!(beside.client.overview().await.unwrap().mappings[0].errors, 1);
    assert_eq!(beside.text(waits).await.as_deref(), Some("true"), "the look went on meanwhile");
    lock.batch_execute("COMMIT").await.unwrap();
    // What was changed is waited for: the list is newer than that.
    looking.abort();
    beside.client.ignore(&contact(1)).await.unwrap();
    assert!(beside.errors("").await.is_empty());
}
