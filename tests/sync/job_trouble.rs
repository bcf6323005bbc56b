//! Jobs of Bulk API 2.0 that write, while Salesforce refuses, forgets or stalls, or somebody stops writes: no change is doubled or
//! lost, nobody else waits, and nothing is asked again and again.

use serde_json::json;
use syncdeck::domain::reports::overview::Writes;
use syncdeck::simulator::CannedAnswer;

use crate::by_job::{CONTACTS, LINES, MANY, contacts, contacts_of};
use crate::world::World;

/// Another mapping than that of the contacts.
const INVOICES: &str = r#"
[[mapping]]
object = "Invoice__c"
fields = ["Name", "Amount__c"]
external_id = "External_Id__c"
bulk_from = 50
poll_interval = "1h"
"#;

/// More often than anybody asks.
const ALWAYS: u32 = 1_000;

/// A refusal in Salesforce's words.
fn refused(to: &str, status: u16, code: &str, times: u32) -> CannedAnswer {
    CannedAnswer::refusal(to, status, code, "as a test wants it", times)
}

/// A part of a job's results.
fn saved(rows: &str, times: u32) -> CannedAnswer {
    CannedAnswer {
        to: "successfulResults".to_owned(),
        status: 200,
        body: format!("\"sf__Id\",\"sf__Created\",\"Id\",\"LastName\"\n{rows}"),
        content_type: "text/csv; charset=UTF-8".to_owned(),
        times,
    }
}

impl World {
    fn answer(&self, answer: CannedAnswer) {
        self.org.change_faults(|faults| faults.answer = Some(answer));
    }

    fn answer_as_ever(&self) {
        self.org.change_faults(|faults| faults.answer = None);
    }

    /// Waits until so many requests were answered as a test wanted.
    async fn until_answered(&self, times: u64) {
        self.until("it was asked", async || self.org.fault_counts().answer >= times).await;
    }

    /// Waits until the engine gave so many more signs of life, one a second.
    async fn until_signs(&self, count: usize) {
        let sign = "SELECT max(seen_at)::text FROM syncdeck.engine";
        for _ in 0..count {
            let before = self.text(sign).await;
            self.until("a sign of life", async || self.text(sign).await != before).await;
        }
    }

    /// Nothing was told of any row but that it was accepted, and no job is left.
    async fn all_went_well(&self) {
        let wrong = "SELECT ((SELECT count(*) FROM syncdeck.attempt WHERE outcome <> 'accepted')
             + (SELECT count(*) FROM syncdeck.error WHERE record_id IS NOT NULL) + (SELECT count(*) FROM syncdeck.write_job))::text";
        self.until_text(wrong, "0").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_job_is_made_changes_go_by_calls_and_it_is_listed() {
    let world = World::start(&format!("{CONTACTS}{INVOICES}")).await;
    world.answer(refused("POST jobs/ingest", 400, "INVALIDENTITY", ALWAYS));
    let invoices =
        "INSERT INTO salesforce.invoice__c (name, external_id__c) VALUES ('One', 'I1'), ('Two', 'I2')";
    world.run(invoices).await;
    let world = contacts_of(world, MANY).await;
    for value in ["First", "Second"] {
        world.run(&format!("UPDATE salesforce.contact SET lastname = '{value}'")).await;
        world.until_quiet().await;
    }
    assert_eq!(world.value_of("K60", "LastName"), json!("Second"));
    assert_eq!((world.org.ids("Contact").len(), world.org.ids("Invoice__c").len()), (MANY, 2));
    assert_eq!(world.org.ingest_jobs().0, 0);
    let listed = "SELECT string_agg(DISTINCT mapping || ' ' || code, ', ') FROM syncdeck.error";
    world.until_text(listed, "Contact BULK_JOB_FAILED").await;
    // That is the one mapping's: the other one's changes go by a job, when Salesforce makes them.
    world.answer_as_ever();
    world.run(&format!("INSERT INTO salesforce.invoice__c (name, external_id__c) SELECT 'N' || n, 'N' || n FROM generate_series(1, {MANY}) n")).await;
    world.until_quiet().await;
    assert_eq!((world.org.ingest_jobs(), world.org.ids("Invoice__c").len()), ((1, 0), MANY + 2));
    assert_eq!(world.text(listed).await.as_deref(), Some("Contact BULK_JOB_FAILED"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_which_nothing_can_be_learnt_keeps_no_other_change_waiting() {
    let world = contacts_of(World::start(&format!("{CONTACTS}{INVOICES}")).await, MANY).await;
    let before = world.journal_length();
    world.answer(refused("GET jobs/ingest", 500, "UNKNOWN_EXCEPTION", ALWAYS));
    world.run("UPDATE salesforce.contact SET lastname = 'New'").await;
    world.until_answered(3).await;
    world.run("INSERT INTO salesforce.invoice__c (name, external_id__c) VALUES ('One', 'I1')").await;
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Else', 'X1')").await;
    world
        .until("others go", async || {
            world.record("Invoice__c", "I1").and(world.record("Contact", "X1")).is_some()
        })
        .await;
    let in_flight = "SELECT count(*)::text FROM syncdeck.unit WHERE state = 'inflight'";
    // Its rows wait.
    world.until_text(in_flight, &MANY.to_string()).await;
    world.answer_as_ever();
    world.until_quiet().await;
    let writes = world.api_writes_since(before);
    assert_eq!((writes.len(), world.value_of("K60", "LastName")), (MANY + 2, json!("New")));
    world.all_went_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_closing_is_refused_is_closed_again() {
    let world = contacts().await;
    let before = world.journal_length();
    world.answer(refused("PATCH jobs/ingest", 500, "UNKNOWN_EXCEPTION", 3));
    world.run("UPDATE salesforce.contact SET lastname = 'New'").await;
    world.until_quiet().await;
    assert_eq!((world.org.fault_counts().answer, world.org.ingest_jobs()), (3, (2, 0)));
    assert_eq!(world.api_writes_since(before).len(), MANY);
    assert_eq!(world.listed_with("BULK_JOB_FAILED").await, 0);
    world.all_went_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn that_there_is_no_such_job_is_not_believed_at_once() {
    let world = contacts().await;
    let before = world.journal_length();
    world.org.change_faults(|faults| faults.hold_jobs = Some(0));
    world.run("UPDATE salesforce.contact SET lastname = 'New'").await;
    world.until_job_under_way().await;
    world.answer(refused("GET jobs/ingest", 404, "NOT_FOUND", 5));
    world.until_answered(5).await;
    let closed = "SELECT count(*)::text FROM syncdeck.write_job WHERE closed";
    assert_eq!(world.text(closed).await.as_deref(), Some("1"), "it is kept");
    assert!(world.api_writes_since(before).is_empty());
    world.until_log_says("cannot be learnt; its rows wait for that").await;
    world.org.change_faults(|faults| faults.hold_jobs = None);
    world.until_quiet().await;
    assert_eq!((world.api_writes_since(before).len(), world.org.ingest_jobs()), (MANY, (2, 0)));
    world.all_went_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn results_that_are_fewer_than_the_job_counts_are_not_believed() {
    let world = contacts().await;
    let id = world.org.find_by_external_id("Contact", "K1").unwrap();
    // None, and one of all.
    for (round, rows) in
        [String::new(), format!("\"{id}\",\"false\",\"{id}\",\"New\"\n")].into_iter().enumerate()
    {
        let before = world.journal_length();
        let asked = world.org.fault_counts().answer;
        world.answer(saved(&rows, ALWAYS));
        world.run(&format!("UPDATE salesforce.contact SET lastname = 'Round {round}'")).await;
        world.until_answered(asked + 3).await;
        let in_flight = "SELECT count(*)::text FROM syncdeck.unit WHERE state = 'inflight'";
        assert_eq!(world.text(in_flight).await.unwrap(), MANY.to_string());
        world.answer_as_ever();
        world.until_quiet().await;
        let writes = world.api_writes_since(before);
        assert_eq!((writes.len(), world.value_of("K1", "LastName")), (MANY, json!(format!("Round {round}"))));
    }
    // Nothing is wrong with the way to Salesforce.
    assert_eq!(world.log_says("Salesforce cannot be asked").await, 0);
    world.all_went_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_holds_for_what_is_not_closed_and_for_what_comes_after_a_job() {
    let world = contacts().await;
    let before = world.journal_length();
    // Salesforce is told to begin, and hears it late.
    world.answer(refused("PATCH jobs/ingest", 500, "UNKNOWN_EXCEPTION", ALWAYS));
    world.run("UPDATE salesforce.contact SET lastname = 'First'").await;
    world.until_answered(2).await;
    world.handle.writes(Some("Contact"), Writes::Pause).await.unwrap();
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Else', 'X1')").await;
    world.until_text("SELECT count(*)::text FROM syncdeck.unit WHERE state = 'stopped'", "1").await;
    world.answer_as_ever();
    world.until_signs(3).await;
    assert_eq!((world.org.ingest_jobs(), world.api_writes_since(before).len()), ((2, 1), 0), "it stays open");
    world.handle.writes(Some("Contact"), Writes::Resume).await.unwrap();
    world.until_quiet().await;
    assert_eq!((world.org.ingest_jobs(), world.api_writes_since(before).len()), ((2, 0), MANY + 1));
    // What Salesforce works on already is not stopped by a pause; what changes meanwhile waits.
    world.org.change_faults(|faults| faults.hold_jobs = Some(0));
    world.run("UPDATE salesforce.contact SET lastname = 'Second'").await;
    world.until_job_under_way().await;
    world.handle.writes(Some("Contact"), Writes::Pause).await.unwrap();
    world.run("UPDATE salesforce.contact SET lastname = 'Third' WHERE external_id__c = 'K3'").await;
    world.org.change_faults(|faults| faults.hold_jobs = None);
    world.until_text("SELECT count(*)::text FROM syncdeck.write_job", "0").await;
    world.until_signs(2).await;
    let names = ["K3", "K4"].map(|key| world.value_of(key, "LastName"));
    assert_eq!(
        (names, world.api_writes_since(before).len()),
        ([json!("Second"), json!("Second")], 2 * MANY + 2)
    );
    world.handle.writes(Some("Contact"), Writes::Resume).await.unwrap();
    world.until("it goes on", async || world.value_of("K3", "LastName") == json!("Third")).await;
    world.all_went_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_asked_about_a_job_while_the_budget_of_requests_is_used_up() {
    let half = "client_secret = \"simulated-secret\"\napi_budget = 50\n";
    let world = World::signing_in(half, CONTACTS, |org| org.daily_limit = 1_000_000).await;
    let world = contacts_of(world, MANY).await;
    let before = world.journal_length();
    world.org.change_faults(|faults| faults.hold_jobs = Some(0));
    world.run("UPDATE salesforce.contact SET lastname = 'New'").await;
    world.until_job_under_way().await;
    world.org.count_requests(600_000);
    let state = "SELECT connection_state FROM syncdeck.engine";
    world.until_text(state, "limited").await;
    world.org.change_faults(|faults| faults.hold_jobs = None);
    world.until_signs(1).await;
    let asked = world.org.requests();
    world.until_signs(4).await;
    assert_eq!(world.org.requests(), asked);
    assert_eq!(world.text("SELECT count(*)::text FROM syncdeck.write_job").await.as_deref(), Some("1"));
    world.org.count_requests(10);
    world.store.notify("reconnect").await.unwrap();
    world.until_quiet().await;
    assert_eq!((world.api_writes_since(before).len(), world.org.ingest_jobs()), (MANY, (2, 0)));
    world.all_went_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_did_not_begin_is_ended_when_its_mapping_is_only_read_by_now() {
    let world = contacts().await;
    let before = world.journal_length();
    world.answer(refused("PATCH jobs/ingest", 500, "UNKNOWN_EXCEPTION", ALWAYS));
    world.run("UPDATE salesforce.contact SET lastname = 'New'").await;
    world.until_answered(2).await;
    world.write(
        &world.written().replace("object = \"Contact\"", "object = \"Contact\"\naccess = \"read_only\""),
    );
    // The parts of the configuration before have ended.
    world.until("it is taken up", async || world.log_says("engine started").await == 2).await;
    world.answer_as_ever();
    world.until_text("SELECT count(*)::text FROM syncdeck.write_job", "0").await;
    world.until_quiet().await;
    assert_eq!((world.org.ingest_jobs(), world.api_writes_since(before).len()), ((2, 0), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_rows_that_name_others_one_job_is_under_way_and_the_rest_goes_beside_it() {
    let world = World::start(LINES).await;
    world
        .run(&format!(
            "INSERT INTO salesforce.invoice__c (name, external_id__c) SELECT 'I' || n, 'I' || n FROM generate_series(1, {}) n",
            2 * MANY
        ))
        .await;
    world.until_quiet().await;
    world
        .run(&format!(
            "INSERT INTO salesforce.invoice_line__c (name, quantity__c, external_id__c, invoice__r__external_id__c)
             SELECT 'L' || n, n, 'L' || n, 'I1' FROM generate_series(1, {}) n",
            2 * MANY
        ))
        .await;
    world.until_quiet().await;
    let jobs = async |table: &str| {
        let sql =
            format!("SELECT count(*)::text FROM syncdeck.write_job WHERE closed AND table_name = '{table}'");
        world.text(&sql).await.unwrap()
    };
    let change = async |table: &str, set: &str, after: usize| {
        let (from, to) = (after + 1, after + MANY);
        let range = format!("substr(external_id__c, 2)::int BETWEEN {from} AND {to}");
        world.run(&format!("UPDATE salesforce.{table} SET {set} WHERE {range}")).await;
    };
    world.org.change_faults(|faults| faults.hold_jobs = Some(0));
    change("invoice_line__c", "quantity__c = 700", 0).await;
    world.until("a job of lines is under way", async || jobs("invoice_line__c").await == "1").await;
    let before = world.journal_length();
    change("invoice_line__c", "quantity__c = 800", MANY).await;
    world.until("the others go by calls", async || world.api_writes_since(before).len() == MANY).await;
    assert_eq!(jobs("invoice_line__c").await, "1");
    // Invoices name nobody: as many jobs as there is reason for.
    for after in [0, MANY] {
        change("invoice__c", "name = 'New'", after).await;
        let wanted = (after / MANY + 1).to_string();
        world.until("a job of invoices is under way", async || jobs("invoice__c").await == wanted).await;
    }
    world.org.change_faults(|faults| faults.hold_jobs = None);
    world.until_quiet().await;
    assert_eq!(world.api_writes_since(before).len(), 4 * MANY);
    world.all_went_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn near_the_end_of_the_orgs_batches_changes_go_by_calls_until_there_are_more() {
    let world = World::made(CONTACTS, |options| options.daily_bulk_batches = 100, |_| {}).await;
    world.org.count_bulk_batches(95);
    let world = contacts_of(world, MANY).await;
    assert_eq!((world.org.ingest_jobs().0, world.org.ids("Contact").len()), (0, MANY));
    let left = "5 of 100 DailyBulkApiBatches are left in 24 hours";
    world.until_log_says(&format!("changes go by calls, not by jobs of Bulk API 2.0: {left}")).await;
    let detail = "SELECT coalesce(connection_detail, 'none') FROM syncdeck.engine";
    world.until_text(detail, &format!("changes go by calls, not by jobs: {left}")).await;
    assert_eq!(world.listed_with("BULK_JOB_FAILED").await, 0);
    world.org.count_bulk_batches(0);
    world.until_log_says("changes may go by jobs of Bulk API 2.0 again").await;
    world.until_text(detail, "none").await;
    world.run("UPDATE salesforce.contact SET lastname = 'New'").await;
    world.until_quiet().await;
    assert_eq!(world.org.ingest_jobs(), (1, 0));
    world.all_went_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_may_not_look_at_limits_has_jobs_all_the_same() {
    let world = World::start(CONTACTS).await;
    world.answer(refused("GET limits", 403, "INSUFFICIENT_ACCESS", ALWAYS));
    let world = contacts_of(world, MANY).await;
    assert_eq!(world.org.ingest_jobs(), (1, 0));
    world.until_log_says("daily limits of Bulk API 2.0 cannot be learnt").await;
    world.all_went_well().await;
}
