//! `syncdeck adopt` as an operator runs it: what it shows, that it does nothing unasked, and how it exits.

use std::path::Path;

use serde_json::json;
use tokio_postgres::{Client, NoTls};

use crate::simulator::SimulatedOrg;
use crate::support::{new_database, server};
use crate::{Ran, config, directory, run_in};

const HEROKU: &str = include_str!("../sync/heroku.sql");
/// A change in each state, as Heroku Connect left them an hour ago, and its functions that capture by hand.
const LEFT: &str = "INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('A', 'A'), ('B', 'B'), ('C', 'C'), ('D', 'D');
    UPDATE salesforce._trigger_log SET created_at = now() - interval '1 hour', state = CASE record_id WHEN 3 THEN 'PENDING'
        WHEN 4 THEN 'FAILED' ELSE 'NEW' END;
    CREATE FUNCTION salesforce.hc_capture_update_from_row(source_row public.hstore, table_name varchar, columns_to_include text[] DEFAULT '{}')
        RETURNS integer LANGUAGE sql AS 'SELECT 1'";

async fn triggers(sql: &Client) -> String {
    let triggers = "SELECT string_agg(tgname, ' ' ORDER BY tgname) FROM pg_trigger
         WHERE tgrelid = 'salesforce.contact'::regclass AND NOT tgisinternal";
    sql.query_one(triggers, &[]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_taken_over_and_given_back_by_the_command() {
    let url = server().url(&new_database().await);
    let (sql, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    sql.batch_execute(&format!("{HEROKU}; {LEFT}")).await.unwrap();
    // What this session did itself is not to be seen.
    sql.batch_execute("SELECT").await.unwrap();
    let org = SimulatedOrg::start(&[]);
    let dir = directory();
    let text = format!(
        "[connection]\nname = \"acme\"\nenvironment = \"prod\"\n[postgres]\nurl = \"{url}\"\n{}[[mapping]]\nobject = \"Contact\"\n\
         fields = [\"LastName\", \"Email\"]\nexternal_id = \"External_Id__c\"\n",
        org.config()
    );
    config(&dir, &text, 0o600);
    let run = |args: &[&str]| -> Ran { run_in(Path::new(&dir), args) };
    let heroku = "hc_contact_logtrigger hc_contact_status_trigger";
    let ours = "00_hc_logger 00_hc_truncate zz_hc_status";

    // The preview says what comes of everything, and nothing is done without a yes.
    let asked = run(&["adopt"]);
    assert_eq!(asked.status, 2, "{asked:?}");
    for part in [
        "the trigger hc_contact_logtrigger (which calls hc_contact_logger) is dropped",
        "the function hc_contact_logger() is replaced by ours",
        "the function hc_contact_status() is replaced by ours",
        "the function hc_capture_update_from_row(source_row public.hstore, table_name character varying, columns_to_include text[]) is replaced",
        "waiting (NEW): 2, sent in their order; in flight (PENDING): 1, sent again, inserts once Salesforce was asked",
        "failed (FAILED): 1, listed as errors",
        "was not seen at work here",
    ] {
        assert!(asked.out.contains(part), "{part}: {asked:?}");
    }
    for part in ["the schema salesforce (connection acme, prod)", "taken over: contact", "say --yes"] {
        assert!(asked.err.contains(part), "{part}: {asked:?}");
    }
    assert_eq!(triggers(&sql).await, heroku);
    assert_eq!(run(&["--read-only", "adopt", "--yes"]).status, 2);
    let nothing = run(&["adopt", "--undo", "--yes"]);
    assert!(nothing.status == 1 && nothing.err.contains("no takeover of the schema"), "{nothing:?}");

    let done = run(&["adopt", "--yes"]);
    assert_eq!(done.status, 0, "{done:?}");
    assert!(done.out.contains("the way back is: syncdeck adopt --undo"), "{done:?}");
    assert_eq!(triggers(&sql).await, ours);
    let again = run(&["adopt", "--yes", "--json"]);
    assert_eq!((again.status, again.json()), (0, json!({"adopted": [], "done": []})));

    let asked = run(&["adopt", "--undo"]);
    assert_eq!(asked.status, 2, "{asked:?}");
    assert!(asked.out.contains("trigger hc_contact_logtrigger ON salesforce.contact"), "{asked:?}");
    assert!(asked.err.contains("connection acme, prod") && asked.err.contains("say --yes"), "{asked:?}");
    assert_eq!(triggers(&sql).await, ours);
    let undone = run(&["adopt", "--undo", "--yes", "--json"]);
    assert_eq!(
        (undone.status, &undone.json()["unsent"], &undone.json()["failed"]),
        (0, &json!(2), &json!(2))
    );
    assert_eq!(triggers(&sql).await, heroku);
    assert_eq!(run(&["adopt", "--undo", "--yes"]).status, 1);
    std::fs::remove_dir_all(dir).unwrap();
}
