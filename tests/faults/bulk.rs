//! Loads by a job of Bulk API 2.0 while answers are none and engines die: no record is lost, no row goes that has a record,
//! and nothing is stored that Salesforce does not have.

use nix::sys::signal::Signal;
use serde_json::json;

use crate::liar::{JobLie, Story};
use crate::support::operation;
use crate::world::World;

/// Records of a mapping that is worth a job: five pages.
const MANY: usize = 10_050;

/// Characters of a text in the first one, which would be too long for the others.
const LONG: usize = 100_000;

/// An org of many contacts that nobody changed lately.
fn populate(world: &World) {
    world.org.shorten_field("Contact", "Description", 131_072);
    for number in 0..MANY {
        let long = "x".repeat(if number == 0 { LONG } else { 0 });
        let fields = json!({"LastName": format!("Doe {number}"), "FirstName": "Jane \"J\"", "Title": "a, b",
            "Email": format!("doe{number}@acme.com"), "Description": format!("two\nlines{long}"), "External_Id__c": format!("K{number}")});
        world.org.user_create("Contact", fields.as_object().unwrap().clone()).unwrap();
    }
    world.org.backdate("Contact", chrono::TimeDelta::hours(1));
}

/// How many rows are not as their records are.
fn wrong() -> String {
    format!(
        "SELECT count(*) FROM salesforce.contact WHERE (lastname = 'Doe ' || substr(external_id__c, 2) AND firstname = 'Jane \"J\"'
         AND title = 'a, b' AND email = 'doe' || substr(external_id__c, 2) || '@acme.com'
         AND description = E'two\\nlines' || repeat('x', CASE external_id__c WHEN 'K0' THEN {LONG} ELSE 0 END)
         AND sfid IS NOT NULL AND _hc_lastop = 'SYNCED') IS NOT TRUE"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_of_a_job_whatever_costs_a_record_or_a_row() {
    let (mut world, liar) = World::lied_to("jobs").await;
    world.limits = "request_timeout = \"30s\"\nlease = \"60s\"".to_owned();
    populate(&world);
    // The first load meets some of them, and reloads the others.
    for lie in JobLie::ALL {
        liar.tell(Story { job: Some(lie), ..Story::default() });
        if world.engines.is_empty() {
            world.start_engine("");
        }
        // The way back to the first page is told by the second one only.
        let wanted = liar.told() + if lie == JobLie::Again { 2 } else { 1 };
        world
            .until(&format!("{lie:?} is told"), async |world| {
                // What failed before may end meanwhile, by a query.
                if world.store.is_installed().await.is_ok_and(|installed| installed) {
                    let _ = world.store.ask_reload(Some("Contact"), &operation("tester@here")).await;
                }
                liar.told() >= wanted
            })
            .await;
        // In one statement: the engine goes on meanwhile.
        let is_there = world.store.is_installed().await.unwrap();
        let wrong = if is_there { world.count(&wrong()).await } else { 0 };
        assert_eq!(wrong, 0, "FAULT_SEED={}: {lie:?} brought something else", world.seed);
        assert!(world.engines[0].is_running(), "FAULT_SEED={}: {lie:?} ended it", world.seed);
    }
    liar.tell(Story::default());
    world.until_loaded().await;
    world.until_count("no reload is wanted", "SELECT count(reload_at) FROM syncdeck.mapping", 0).await;
    world.is_right().await;
    // Where jobs bring nothing, or never more than before, a query does.
    for lie in [JobLie::Failed, JobLie::NoMore] {
        let (told, jobs) = (liar.told(), world.org.query_jobs());
        liar.tell(Story { job: Some(lie), ..Story::default() });
        let asked = world.store.ask_reload(Some("Contact"), &operation("tester@here")).await.unwrap();
        assert_eq!(asked, ["Contact"]);
        world.until_count("it is reloaded", "SELECT count(reload_at) FROM syncdeck.mapping", 0).await;
        assert!(liar.told() >= told + 3, "{lie:?}");
        assert_eq!(world.org.query_jobs(), jobs + 3, "{lie:?}");
        world.is_right().await;
    }
    let told = "SELECT count(DISTINCT message) FROM syncdeck.log WHERE message LIKE 'Contact is read page by page: jobs of Bulk API 2.0 failed 3 times'";
    world.until_count("that is told", told, 1).await;
    assert_eq!(liar.strayed(), 0);
    let peak = world.engines[0].peak();
    assert!(peak > 0 && peak < 500, "it held {peak} MiB");
}

impl World {
    /// Each record has its row, and each row is right.
    async fn is_right(&mut self) {
        assert_eq!(self.count(&wrong()).await, 0);
        assert_eq!(self.count("SELECT count(*) FROM salesforce.contact").await, MANY as i64);
    }
}

/// What is kept of the job by which contacts are loaded.
async fn kept(world: &World, what: &str) -> Option<String> {
    if !world.store.is_installed().await.unwrap_or(false) {
        return None;
    }
    let sql = format!("SELECT load_job->>'{what}' FROM syncdeck.mapping WHERE name = 'Contact'");
    world.sql.query_opt(&sql, &[]).await.ok().flatten().and_then(|row| row.get(0))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_by_a_job_goes_on_after_its_engine_died_and_loses_and_doubles_nothing() {
    let mut world = World::new("job killed").await;
    world.limits = "request_timeout = \"10s\"\nlease = \"30s\"".to_owned();
    populate(&world);
    world.org.change_faults(|faults| faults.latency_ms = 2_000);
    world.start_engine("");
    let mut job = None;
    let mut done = String::from("0");
    // Killed while the job is worked off, and after some page.
    for _ in 0..2 {
        let mut next = None;
        world
            .until("it is further", async |world| {
                let id = kept(world, "id").await;
                next =
                    kept(world, "done").await.filter(|now| id.is_some() && (job.is_none() || *now != done));
                job = job.clone().or(id);
                next.is_some()
            })
            .await;
        done = next.unwrap();
        world.engines[0].signal(Signal::SIGKILL);
        world.engines.remove(0).forget();
        world.start_engine("");
    }
    world.org.change_faults(|faults| faults.latency_ms = 0);
    world.until_loaded().await;
    world.is_right().await;
    let captured = "SELECT (SELECT count(*) FROM salesforce._trigger_log) + (SELECT count(*) FROM salesforce._trigger_log_archive)";
    assert_eq!(world.count(captured).await, 0);
    assert_eq!(world.org.query_jobs(), 1, "it began anew");
    world.judge().await;
}

/// Whether what applications write to contacts is captured.
const CAPTURED: &str =
    "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'salesforce.contact'::regclass AND tgenabled = 'O'
     AND tgname IN ('00_hc_logger', 'zz_hc_status')";

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_come_in_another_order_are_stored_in_theirs() {
    let (mut world, liar) = World::lied_to("pages overtaken").await;
    world.limits = "request_timeout = \"30s\"\nlease = \"60s\"".to_owned();
    populate(&world);
    liar.tell(Story { job: Some(JobLie::Overtaken), ..Story::default() });
    world.start_engine("");
    world.until_loaded().await;
    world.is_right().await;
    // The first page and the third one waited for those behind them.
    assert_eq!(liar.told(), 2);
    assert_eq!(world.org.query_jobs(), 1);
    assert_eq!(world.count(CAPTURED).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_breaks_off_while_those_behind_it_are_there_is_asked_for_again() {
    let (mut world, liar) = World::lied_to("middle page broken").await;
    world.limits = "request_timeout = \"30s\"\nlease = \"60s\"".to_owned();
    populate(&world);
    liar.tell(Story { job: Some(JobLie::MiddleBroken), ..Story::default() });
    world.start_engine("");
    world.until_loaded().await;
    world.is_right().await;
    assert_eq!(liar.told(), 2);
    assert_eq!(world.org.query_jobs(), 1, "it began anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_dies_while_it_copies_leaves_capture_on_and_no_row_of_that_page() {
    let mut world = World::new("copy killed").await;
    world.limits = "request_timeout = \"10s\"\nlease = \"30s\"".to_owned();
    populate(&world);
    world.start_engine("mid_copy=kill");
    let mut ended = false;
    world
        .until("it died", async |world| {
            ended = ended || world.printed().contains("failpoint mid_copy: Kill");
            ended
        })
        .await;
    world.engines.remove(0).forget();
    assert_eq!(world.count(CAPTURED).await, 2);
    assert_eq!(world.count("SELECT count(*) FROM salesforce.contact").await, 0);
    world.start_engine("");
    world.until_loaded().await;
    world.is_right().await;
    assert_eq!(world.count(CAPTURED).await, 2);
    assert_eq!(world.org.query_jobs(), 1, "it began anew");
    world.judge().await;
}
