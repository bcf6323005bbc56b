//! Writes by jobs of Bulk API 2.0 while engines die, stall and compete, and answers are lost: nothing is lost, doubled or out of
//! order, and no row goes another way while its job may still be worked on.

use std::time::Duration;

use nix::sys::signal::Signal;
use rand::RngExt;
use serde_json::json;
use syncdeck::postgres::failpoint;
use syncdeck::simulator::CannedAnswer;
use tokio::time::Instant;

use crate::application::CONTACT;
use crate::support::server;
use crate::world::{World, span};

/// Rows of one change, more than go in one chunk of a job.
const MANY: usize = 420;

/// Requests of a job whose answers are lost.
const ASKED: [&str; 5] =
    ["POST jobs/ingest", "PUT jobs/ingest", "PATCH jobs/ingest", "GET jobs/ingest", "failedResults"];

const MAPPINGS: &str = r#"
[[mapping]]
object = "Contact"
fields = ["LastName", "Description", "FirstName", "Email", "Title"]
external_id = "External_Id__c"
poll_interval = "300ms"
bulk_from = 100
"#;

const IN_FLIGHT: &str = "SELECT count(*) FROM syncdeck.write_job WHERE closed";
const JOBS: &str = "SELECT count(*) FROM syncdeck.write_job";
const TAKEN_OVER: &str = "SELECT count(*) FROM syncdeck.log WHERE message LIKE '%is taken over'";
/// Whether anything is still to be sent, or to be learnt of.
const UNSENT: &str =
    "SELECT (SELECT count(*) FROM syncdeck.unit) + (SELECT count(*) FROM salesforce._trigger_log)";

async fn world(name: &str) -> World {
    // A job is begun in one go, however slow the machine is. No test waits for the end of such a lease.
    world_of(name, "request_timeout = \"20s\"\nlease = \"60s\"").await
}

async fn world_of(name: &str, limits: &str) -> World {
    let mut world = World::build(name, server(), MAPPINGS, &[CONTACT]).await;
    world.limits = limits.to_owned();
    world.engine().await;
    world
}

/// What an engine that is dead holds, as it is when its leases are over.
const END_LEASES: &str = "UPDATE syncdeck.write_job SET lease_until = clock_timestamp();
    UPDATE syncdeck.unit SET lease_until = clock_timestamp() WHERE state = 'inflight' AND lease_until < 'infinity';
    UPDATE syncdeck.lease SET until = clock_timestamp()";

/// Of so many rows each the one with this rest.
type Share = (usize, usize);

/// Changes the test's own rows.
fn changed(value: &str, (of, rest): Share) -> String {
    format!(
        "UPDATE salesforce.contact SET lastname = '{value} ' || substr(external_id__c, 2), description = '{value}'
         WHERE CASE WHEN external_id__c ~ '^B[0-9]+$' THEN substr(external_id__c, 2)::int % {of} = {rest} END"
    )
}

impl World {
    /// Writes all rows twice, the second time by a job that waits once it did so many of them.
    async fn hold_a_job(&mut self, after: u64) {
        self.change_all("first").await;
        self.until_all_sent().await;
        self.org.change_faults(|faults| faults.hold_jobs = Some(after));
        self.change_all("second").await;
        self.until_count("a job is under way", IN_FLIGHT, 1).await;
    }

    /// One transaction that changes all rows, or makes them; the ledger knows of it.
    async fn change_all(&mut self, value: &str) {
        self.run(&format!(
            "INSERT INTO salesforce.contact (lastname, description, external_id__c)
             SELECT 'new', 'new', 'B' || n FROM generate_series(1, {MANY}) n WHERE NOT EXISTS (SELECT FROM salesforce.contact);
             {}",
            changed(value, (1, 0))
        ))
        .await;
        assert_eq!(self.note_changed(value).await, MANY);
    }

    /// One transaction that changes some of the rows.
    async fn change(&mut self, value: &str, which: Share) {
        self.run(&changed(value, which)).await;
        assert_eq!(self.note_changed(value).await, MANY / which.0);
    }

    /// Changes some of the rows until something comes of it. How they go is the engine's to choose; by calls, nothing does.
    async fn change_until(
        &mut self,
        value: &str,
        (of, rest): Share,
        what: &str,
        mut holds: impl AsyncFnMut(&World) -> bool,
    ) {
        let left = format!(
            "SELECT count(*) FROM salesforce.contact
             WHERE CASE WHEN external_id__c ~ '^B[0-9]+$' THEN substr(external_id__c, 2)::int % {of} = {rest} END AND (
                     EXISTS (SELECT FROM syncdeck.unit WHERE record_id = contact.id)
                     OR EXISTS (SELECT FROM salesforce._trigger_log log WHERE log.record_id = contact.id))"
        );
        for time in 0.. {
            self.change(&format!("{value} {time}"), (of, rest)).await;
            let mut held = false;
            self.until(what, async |world| {
                held = holds(world).await;
                held || world.sql.query_one(&left, &[]).await.unwrap().get::<_, i64>(0) == 0
            })
            .await;
            if held {
                return;
            }
        }
    }

    /// The same until an engine met the failpoint once more than before.
    async fn change_until_met(&mut self, point: &str, which: Share, before: usize) {
        let what = format!("the engine meets {point}");
        self.change_until(point, which, &what, async |world| world.met(point) > before).await;
    }

    /// Tells the ledger which rows have a value. Returns how many.
    async fn note_changed(&mut self, value: &str) -> usize {
        let sql = "SELECT id, external_id__c, lastname FROM salesforce.contact WHERE description = $1";
        let rows = self.sql.query(sql, &[&value]).await.unwrap();
        let count = rows.len();
        for row in rows {
            let (id, key, name): (i32, String, String) = (row.get(0), row.get(1), row.get(2));
            let values =
                [("LastName", json!(name)), ("Description", json!(value)), ("External_Id__c", json!(key))];
            self.application.note(CONTACT, &key, id, &values);
        }
        count
    }

    async fn until_all_sent(&mut self) {
        self.until_count("everything is sent", UNSENT, 0).await;
        self.until_count("no job is left", JOBS, 0).await;
    }

    /// Kills the only engine, and starts another one that finds its leases over.
    async fn replace(&mut self, failpoints: &str) {
        self.engines[0].signal(Signal::SIGKILL);
        self.engines.remove(0).forget();
        self.run(END_LEASES).await;
        self.start_engine(failpoints);
    }

    /// Waits until an engine met the failpoint once more than before.
    async fn until_met(&mut self, point: &str, before: usize) {
        self.until(&format!("the engine meets {point}"), async |world| world.met(point) > before).await;
    }

    /// How often rows of `change_all` were written, or made.
    fn written(&self) -> usize {
        let is_own = |key: &Option<String>| key.as_deref().is_some_and(|key| key.starts_with('B'));
        let journal = self.org.journal_since(0);
        journal.iter().filter(|entry| entry.source == "api" && is_own(&entry.external_id)).count()
    }

    fn met(&self, point: &str) -> usize {
        self.printed().matches(&format!("failpoint {point}:")).count()
    }
}

async fn jobs_under_way<const COUNT: i64>(world: &World) -> bool {
    world.sql.query_one(IN_FLIGHT, &[]).await.unwrap().get::<_, i64>(0) == COUNT
}

/// The failpoints that a job passes, with those of every acknowledgement.
fn points() -> impl Iterator<Item = &'static str> {
    failpoint::JOBS.into_iter().chain([failpoint::MID_ACKNOWLEDGE, failpoint::BEFORE_WRITE_BACK])
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_dies_at_each_step_of_a_job_loses_and_doubles_nothing() {
    let mut world = world("job: dies at each step").await;
    world.change_all("first").await;
    world.until_all_sent().await;
    for point in points() {
        let before = world.met(point);
        world.replace(&format!("{point}=kill")).await;
        world.change_until_met(point, (1, 0), before).await;
        world.replace("").await;
        world.until_all_sent().await;
    }
    assert!(world.org.ingest_jobs().0 > failpoint::JOBS.len());
    world.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_fails_at_each_step_of_a_job_loses_and_doubles_nothing() {
    let mut world = world("job: fails at each step").await;
    world.change_all("first").await;
    world.until_all_sent().await;
    for point in points() {
        let before = world.met(point);
        world.replace(&format!("{point}=fail")).await;
        world.change_until_met(point, (1, 0), before).await;
        world.replace("").await;
        world.until_all_sent().await;
    }
    world.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_job_of_a_dead_engine_is_worked_on_none_of_its_rows_goes_another_way() {
    let mut world = world("job: left under way").await;
    world.hold_a_job(200).await;
    world.until("half of it is done", async |world| world.written() >= MANY + 200).await;
    world.engines[0].signal(Signal::SIGKILL);
    world.engines.remove(0).forget();
    world.run(END_LEASES).await;
    // What changes now must not be overtaken by what the job still writes.
    world.change_all("third").await;
    world.start_engine("");
    world.until_count("another engine has it", TAKEN_OVER, 1).await;
    let done = world.written();
    // A round of the queue passes: other changes are sent.
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Else', 'E1')").await;
    world
        .until("another row is sent", async |world| world.org.find_by_external_id("Contact", "E1").is_some())
        .await;
    assert_eq!(world.written(), done);
    world.org.change_faults(|faults| faults.hold_jobs = None);
    world.until_all_sent().await;
    world.run("DELETE FROM salesforce.contact WHERE external_id__c = 'E1'").await;
    world.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_comes_back_after_its_job_was_taken_over_changes_nothing() {
    let mut world = world("job: stopped and resumed").await;
    world.hold_a_job(0).await;
    let owner = "SELECT owner FROM syncdeck.write_job";
    let first = world.text(owner).await;
    world.engines[0].signal(Signal::SIGSTOP);
    world.run(END_LEASES).await;
    world.start_engine("");
    world
        .until("another engine has it", async |world| {
            world.sql.query_one(owner, &[]).await.is_ok_and(|row| Some(row.get::<_, String>(0)) != first)
        })
        .await;
    world.engines[0].signal(Signal::SIGCONT);
    world.org.change_faults(|faults| faults.hold_jobs = None);
    world.until_all_sent().await;
    assert_eq!(world.written(), 2 * MANY, "each row was written once more");
    world.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_gone_counts_as_a_lost_answer() {
    // That there is no such job is believed when a lease is over.
    let mut world = world_of("job: gone", "request_timeout = \"10s\"\nlease = \"20s\"").await;
    world.hold_a_job(200).await;
    world.until("half of it is done", async |world| world.written() >= MANY + 200).await;
    // Somebody ends it and has it forgotten.
    world.org.forget_ingest_jobs();
    world.org.change_faults(|faults| faults.hold_jobs = None);
    world.until_all_sent().await;
    let lost = "SELECT count(*) FROM syncdeck.attempt WHERE outcome = 'lost'";
    assert_eq!(world.count(lost).await, MANY as i64);
    assert_eq!(world.count("SELECT count(*) FROM syncdeck.error WHERE record_id IS NOT NULL").await, 0);
    world.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_cut_or_lost_anywhere_cost_nothing() {
    let mut world = world("job: answers lost").await;
    world.change_all("first").await;
    world.until_all_sent().await;
    let mut lost = 0;
    for round in 0..2 {
        for asked in ASKED {
            // A new engine has no jobs at rest. It is up when it has sent something.
            world.replace("").await;
            world
                .run(&format!(
                    "UPDATE salesforce.contact SET title = '{asked} {round}' WHERE external_id__c = 'B1'"
                ))
                .await;
            world.until_all_sent().await;
            world.org.change_faults(|faults| {
                faults.lose_answer_to = Some(asked.to_owned());
                faults.cut_answer = if round == 1 { 2 } else { 0 };
            });
            world.change_all(&format!("{asked} {round}")).await;
            world.until_all_sent().await;
            lost += 1;
            // An answer that is cut may be one without which nothing of the kind is asked.
            if round == 0 {
                assert_eq!(world.org.fault_counts().lose_answer, lost, "{asked}");
            }
            world.org.change_faults(|faults| (faults.lose_answer_to, faults.cut_answer) = (None, 0));
        }
    }
    world.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_dies_at_each_step_of_one_job_beside_another_loses_and_doubles_nothing() {
    let mut world = world("job: dies beside another").await;
    world.change_all("first").await;
    world.until_all_sent().await;
    // From here on a step is one of results.
    let first_of_results = failpoint::JOBS.iter().position(|at| *at == failpoint::AFTER_JOB_RESULTS).unwrap();
    for (at, point) in points().enumerate() {
        // One job is with Salesforce.
        world.org.change_faults(|faults| faults.hold_jobs = Some(0));
        world.replace("").await;
        world.change_until(&format!("{point} even"), (2, 0), "a job is under way", jobs_under_way::<1>).await;
        let before = world.met(point);
        world.replace(&format!("{point}=kill")).await;
        if at >= first_of_results {
            let odd = format!("{point} odd");
            world.change_until(&odd, (2, 1), "two jobs are under way", jobs_under_way::<2>).await;
            world.org.change_faults(|faults| faults.hold_jobs = None);
            world.until_met(point, before).await;
        } else {
            world.change_until_met(point, (2, 1), before).await;
        }
        world.replace("").await;
        world.org.change_faults(|faults| faults.hold_jobs = None);
        world.until_all_sent().await;
    }
    world.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_two_engines_on_a_bad_day_lose_and_double_nothing() {
    let mut world = world_of("job: bad day", "request_timeout = \"2s\"\nlease = \"8s\"").await;
    world.change_all("first").await;
    world.until_all_sent().await;
    world.start_engine("");
    world.application.start(2, world.seed, Duration::from_millis(20));
    let end = Instant::now() + span(8.0);
    let mut round = 0;
    while Instant::now() < end || round < 14 || world.org.ingest_jobs().0 < 6 {
        let (share, die) = (world.dice.random_range(1..=3), world.dice.random_range(0..3));
        let rest = world.dice.random_range(0..share);
        let jobs = world.org.ingest_jobs().0;
        world.change(&format!("round {round}"), (share, rest)).await;
        let gone = || CannedAnswer::refusal("GET jobs/ingest", 404, "NOT_FOUND", "gone", 1 + die);
        let none = || CannedAnswer {
            to: "successfulResults".to_owned(),
            status: 200,
            body: "\"sf__Id\",\"sf__Created\",\"Id\",\"External_Id__c\"\n".to_owned(),
            content_type: "text/csv".to_owned(),
            times: 1 + die,
        };
        world.org.change_faults(|faults| match round % 7 {
            0 => faults.fail_jobs = 1,
            1 => faults.lose_answer_to = Some(ASKED[round % ASKED.len()].to_owned()),
            2 => faults.answer = Some(gone()),
            3 => faults.answer = Some(none()),
            4 => faults.cut_answer = 1,
            5 => faults.server_error = 1 + die,
            _ => faults.row_lock = 0.02,
        });
        // By a job, or by calls where jobs rest.
        world
            .until("it is on its way", async |world| {
                let left = "SELECT count(*) FROM syncdeck.unit JOIN salesforce.contact ON contact.id = record_id WHERE external_id__c LIKE 'B%'";
                world.org.ingest_jobs().0 > jobs
                    || world.sql.query_one(left, &[]).await.unwrap().get::<_, i64>(0) == 0
            })
            .await;
        world.random_pause(Duration::from_millis(900)).await;
        // One that begins anew has no jobs at rest.
        let at = world.dice.random_range(0..world.engines.len());
        world.kill_and_restart(at);
        world.org.change_faults(|faults| faults.row_lock = 0.0);
        round += 1;
    }
    world.judge().await;
}
