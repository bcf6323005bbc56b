//! How well the sync goes: figures of a history whose answers were worked out by hand, and what a real engine tells those
//! that ask it.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use syncdeck::domain::health::figures::{Figures, SpanStep, series};
use syncdeck::domain::health::history::{Cell, Counts, History};
use syncdeck::postgres::Store;
use syncdeck::postgres::reports::health::RolledUp;

use crate::scripts::{json_of, run, text};
use crate::support::connect;
use crate::world::{MAPPINGS, World};

fn at(text: &str) -> DateTime<Utc> {
    format!("{text}Z").parse().unwrap()
}

/// Two days of a sync, of which everything is known. The engine is gone.
async fn two_days() -> World {
    let mut world = World::start(MAPPINGS).await;
    world.stop_engine().await;
    world
        .run(
            "TRUNCATE syncdeck.health, syncdeck.health_began, syncdeck.health_ended, syncdeck.attempt, syncdeck.minute;
             DELETE FROM syncdeck.error;
             UPDATE syncdeck.health_mark SET upto = '2026-03-02 00:00Z'",
        )
        .await;
    let error = |row: &str, code: &str, came: &str, ended: &str, state: &str| {
        let ended = if ended.is_empty() { "NULL".to_owned() } else { format!("'2026-03-0{ended}Z'") };
        let (mapping, table) = if row == "NULL" { ("", "") } else { ("Contact", "contact") };
        let category = if code == "LOGIN_FAILED" { "connection" } else { "data" };
        format!(
            "INSERT INTO syncdeck.error (mapping, table_name, record_id, op, code, category, class, message, fingerprint, state,
                 first_seen, last_seen, resolved_at, resolution)
             VALUES ('{mapping}', '{table}', {row}, 'update', '{code}', '{category}', 'permanent', 'no', '{code}', '{state}',
                 '2026-03-0{came}Z', '2026-03-0{came}Z', {ended}, 'accepted');"
        )
    };
    let email = "INVALID_EMAIL_ADDRESS";
    let errors = [
        // Gone after a minute, ten minutes, an hour and twice two hours.
        error("1", email, "2 10:00:00", "2 10:01:00", "resolved"),
        error("2", email, "2 10:00:00", "2 10:10:00", "resolved"),
        error("3", email, "2 10:30:00", "2 11:30:00", "resolved"),
        error("4", email, "2 10:30:00", "2 12:30:00", "resolved"),
        error("5", email, "2 10:30:00", "2 12:30:00", "resolved"),
        // Over midnight.
        error("6", email, "2 23:59:30", "3 00:00:30", "resolved"),
        error("7", "STRING_TOO_LONG", "2 23:00:00", "", "ignored"),
        error("8", "STRING_TOO_LONG", "2 23:10:00", "", "open"),
        // It waited for its parent, which is no failure of its own.
        error("9", "PARENT_NOT_SYNCED", "2 10:00:00", "2 10:20:00", "resolved"),
        error("NULL", "LOGIN_FAILED", "2 10:00:00", "2 10:05:00", "resolved"),
    ];
    world.run(&errors.concat()).await;
    let audited = |act: i64, action: &str, row: i32, at: &str| {
        format!(
            "INSERT INTO syncdeck.audit (act, at, actor, action, mapping, table_name, record_id, error_id)
             SELECT {act}, '2026-03-02 {at}Z', 'tester@here', '{action}', mapping, table_name, record_id, id
             FROM syncdeck.error WHERE record_id = {row};"
        )
    };
    let audit = [
        audited(1_001, "retried", 2, "10:09:00"),
        // What was done last counts.
        audited(1_002, "retried", 3, "10:40:00"),
        audited(1_003, "edited", 3, "11:20:00"),
        audited(1_004, "edited", 4, "12:29:00"),
        audited(1_004, "edited", 5, "12:29:00"),
        audited(1_005, "reverted", 6, "23:59:59"),
        audited(1_006, "ignored", 7, "23:30:00"),
    ];
    world.run(&audit.concat()).await;
    let attempt = |row: i32, at: &str, outcome: &str| {
        format!(
            "INSERT INTO syncdeck.attempt (at, table_name, record_id, batch, op, upto, outcome)
             VALUES ('2026-03-02 {at}Z', 'contact', {row}, 'b', 'update', 1, '{outcome}');"
        )
    };
    let attempts = [
        attempt(1, "10:00:00", "rejected"),
        attempt(2, "10:00:00", "rejected"),
        attempt(20, "10:00:00", "accepted"),
        attempt(1, "10:01:00", "accepted"),
        attempt(2, "10:05:00", "rejected"),
        attempt(2, "10:10:00", "accepted"),
        attempt(20, "10:30:00", "accepted"),
        attempt(8, "23:10:00", "rejected"),
        attempt(8, "23:11:00", "lost"),
        attempt(8, "23:12:00", "accepted"),
    ];
    world.run(&attempts.concat()).await;
    // Two engines counted in the same hour.
    let mut one = Cell::of("Contact", at("2026-03-02T10:15:00"));
    one.counts = Counts { accepted: 4, rejected: 2, lost: 1, ..Counts::default() };
    one.times.waited.add(Duration::from_millis(10), 1);
    one.times.waited.add(Duration::from_millis(11), 1);
    let mut other = Cell::of("Contact", at("2026-03-02T10:45:00"));
    other.counts = Counts { accepted: 2, ..Counts::default() };
    other.times.waited.add(Duration::from_millis(400), 4);
    let mut late = Cell::of("Contact", at("2026-03-02T23:59:59"));
    late.counts = Counts { accepted: 3, rejected: 1, ..Counts::default() };
    let mut next = Cell::of("Account", at("2026-03-03T00:00:00"));
    next.counts = Counts { accepted: 10, read: 7, ..Counts::default() };
    world.store.add(&[], &[], &[one, late]).await.unwrap();
    world.store.add(&[], &[], &[other, next]).await.unwrap();
    world
}

async fn history(store: &Store) -> History {
    store.health_history(at("2026-03-02T00:00:00")).await.unwrap()
}

/// Sums up until nothing is left at that moment.
async fn sum_up(store: &Store, now: &str) {
    while store.roll_up(at(now), &[]).await.unwrap() == RolledUp::Part {}
}

/// What was worked out by hand.
fn holds(history: &History) {
    let all = Figures::of(history);
    assert_eq!((all.accepted, all.rejected, all.lost, all.read), (19, 3, 1, 7));
    assert_eq!(all.error_rate, Some(3.0 / 22.0));
    let codes: Vec<(&str, i64)> =
        all.by_code.iter().map(|share| (share.code.as_str(), share.count)).collect();
    assert_eq!(codes, [("INVALID_EMAIL_ADDRESS", 6), ("STRING_TOO_LONG", 2), ("LOGIN_FAILED", 1)]);
    let ways: Vec<(&str, i64)> = all.ways.iter().map(|way| (way.way.as_str(), way.count)).collect();
    let wanted = [("itself", 2), ("retry", 1), ("edit", 1), ("bulk", 2), ("revert", 1), ("ignore", 1)];
    assert_eq!(ways, wanted);
    // Of 1, 1, 5, 10, 30, 60, 120 and 120 minutes: the fourth; the last of two between 7,000 s and 10,000 s.
    assert_eq!((all.resolution.median, all.resolution.p90), (Some(600.0), Some(9_250.0)));
    assert_eq!((all.repeated, all.repeat_success), (5, Some(0.6)));
    let waited: Vec<(Option<f64>, i64)> =
        all.waited.buckets.iter().map(|bucket| (bucket.up_to, bucket.count)).collect();
    assert_eq!(waited, [(Some(0.01), 1), (Some(0.015), 1), (Some(0.5), 4)]);
    let contact = Figures::of(&history.of_mapping("Contact"));
    assert_eq!((contact.error_rate, contact.began, contact.ended()), (Some(0.25), 8, 7));
    // Of 1, 1, 10, 30, 60, 120 and 120 minutes: the fourth, alone between 1,500 s and 2,000 s.
    assert_eq!(contact.resolution.median, Some(1_750.0));
    assert_eq!(Figures::of(&history.of_mapping("Account")).error_rate, Some(0.0));
}

fn points(history: &History, step: SpanStep) -> Vec<(i64, i64, i64, i64)> {
    let points = series(history, at("2026-03-02T00:00:00"), at("2026-03-04T00:00:00"), step);
    points.iter().map(|point| (point.accepted, point.rejected, point.began, point.ended)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_those_worked_out_by_hand_however_much_of_them_is_summed_up() {
    let world = two_days().await;
    let store = &world.store;
    // Nothing is summed up yet; then a part; then all; then all once more.
    holds(&history(store).await);
    for now in ["2026-03-02T10:06:00", "2026-03-02T23:59:45", "2026-03-04T00:30:00", "2026-03-04T00:30:00"] {
        sum_up(store, now).await;
        holds(&history(store).await);
    }
    let known = history(store).await;
    let hours = points(&known, SpanStep::Hour);
    assert_eq!(hours.len(), 48);
    assert_eq!((hours[9], hours[10], hours[11]), ((0, 0, 0, 0), (6, 2, 6, 3), (0, 0, 0, 1)));
    assert_eq!((hours[23], hours[24], hours[25]), ((3, 1, 3, 1), (10, 0, 0, 1), (0, 0, 0, 0)));
    assert_eq!(points(&known, SpanStep::Day), [(9, 3, 9, 7), (10, 0, 0, 1)]);
    // The age of the oldest change is looked at once a minute, whoever comes.
    let oldest = [("Contact".to_owned(), Duration::from_secs(90))];
    assert_eq!(store.roll_up(at("2026-03-04T00:31:10"), &oldest).await.unwrap(), RolledUp::All);
    assert_eq!(store.roll_up(at("2026-03-04T00:31:50"), &oldest).await.unwrap(), RolledUp::All);
    assert_eq!(Figures::of(&history(store).await).oldest.count, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_engines_sum_up_nothing_twice_and_days_come_of_hours_and_go_after_a_year() {
    let world = two_days().await;
    let other = connect(&world.direct).await.unwrap();
    tokio::join!(sum_up(&world.store, "2026-03-03T12:00:00"), sum_up(&other, "2026-03-03T12:00:00"));
    sum_up(&world.store, "2026-03-04T00:30:00").await;
    let known = history(&world.store).await;
    holds(&known);
    let days = points(&known, SpanStep::Day);
    let spans = "SELECT string_agg(DISTINCT span, ' ') FROM syncdeck.health";
    assert_eq!(world.text(spans).await.as_deref(), Some("hour"));
    for _ in 0..2 {
        world.store.prune_health(at("2026-04-20T00:00:00")).await.unwrap();
        let kept = history(&world.store).await;
        holds(&kept);
        assert_eq!(points(&kept, SpanStep::Day), days);
        assert_eq!(world.text(spans).await.as_deref(), Some("day"));
    }
    // What comes late joins its day.
    let mut late = Cell::of("Account", at("2026-03-03T05:00:00"));
    late.counts.accepted = 5;
    world.store.add(&[], &[], &[late]).await.unwrap();
    world.store.prune_health(at("2026-04-20T00:00:00")).await.unwrap();
    assert_eq!(points(&history(&world.store).await, SpanStep::Day)[1].0, 15);
    assert!(world.store.health_kept().await.unwrap().bytes > 0);
    world.store.prune_health(at("2027-03-04T00:00:00")).await.unwrap();
    assert_eq!(world.text("SELECT count(*)::text FROM syncdeck.health").await.as_deref(), Some("1"));
    world.store.prune_health(at("2027-03-05T00:00:00")).await.unwrap();
    assert_eq!(world.text("SELECT count(*)::text FROM syncdeck.health").await.as_deref(), Some("0"));
}

/// Where the engine of a world answers Prometheus.
async fn address(world: &World) -> String {
    let mut found = None;
    let begin = "Prometheus is answered at ";
    world
        .until("the engine says where it answers", async || {
            let log = world.store.log(None, 1_000).await.unwrap();
            found = log.iter().find_map(|record| record.message.strip_prefix(begin).map(str::to_owned));
            found.is_some()
        })
        .await;
    found.unwrap().trim_end_matches("/metrics").to_owned()
}

/// Somebody writes in the org. What is stamped before the first load's end, by a clock that is behind, is not told as new: who
/// waits for what is new goes on writing.
fn user_writes(world: &World) {
    let made = [("LastName".to_owned(), json!("Hopper"))].into_iter().collect();
    world.org.user_create("Contact", made).unwrap();
}

async fn ask(address: &str, path: &str) -> (u16, String) {
    let answer = reqwest::get(format!("{address}{path}")).await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

const ANSWERING: &str = "[metrics]\nlisten = \"127.0.0.1:0\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_real_scrape_has_every_figure_of_the_dashboard_and_no_id() {
    let mappings = MAPPINGS.replace("poll_interval", "check = false\npoll_interval");
    let world = World::start(&format!("{mappings}{ANSWERING}")).await;
    world
        .run(
            "INSERT INTO salesforce.contact (lastname, email, external_id__c) VALUES ('Doe', 'nobody', 'K1'), ('Roe', 'b@c.de', 'K2')",
        )
        .await;
    let address = address(&world).await;
    let value = |scrape: &str, series: &str| -> Option<f64> {
        let line = scrape.lines().find(|line| line.starts_with(series))?;
        line.rsplit(' ').next()?.parse().ok()
    };
    let mut scrape = String::new();
    world
        .until("everything was counted", async || {
            user_writes(&world);
            scrape = ask(&address, "/metrics").await.1;
            value(&scrape, "syncdeck_errors_open{").is_some()
                && value(&scrape, "syncdeck_read_lag_seconds_count{connection=\"acme\",mapping=\"Contact\"}")
                    .is_some_and(|count| count > 0.0)
        })
        .await;
    let of = |name: &str, more: &str| {
        value(&scrape, &format!("syncdeck_{name}{{connection=\"acme\",mapping=\"Contact\"{more}}}"))
    };
    assert_eq!(of("changes_total", ",outcome=\"accepted\""), Some(1.0), "{scrape}");
    assert_eq!(of("changes_total", ",outcome=\"rejected\""), Some(1.0));
    assert_eq!(
        (of("change_wait_seconds_count", ""), of("errors_open", ",category=\"data\"")),
        (Some(1.0), Some(1.0))
    );
    assert_eq!(of("lag_seconds", ",direction=\"to_salesforce\""), Some(0.0));
    assert_eq!(of("change_wait_seconds_bucket", ",le=\"+Inf\""), Some(1.0));
    assert_eq!(value(&scrape, "syncdeck_ready{"), Some(1.0));
    // Lag first; nothing that tells one row from another.
    assert!(scrape.starts_with("# HELP syncdeck_lag_seconds "), "{scrape}");
    // A figure may have any digits.
    let labels = scrape.lines().map(|line| match line.rsplit_once(' ') {
        Some((series, _)) if !line.starts_with('#') => series,
        _ => line,
    });
    let labels: Vec<&str> = labels.collect();
    for secret in ["nobody", "K1", "003sd", "Doe", "row=", "id="] {
        assert!(!labels.iter().any(|line| line.contains(secret)), "{secret}:\n{scrape}");
    }
    let names: BTreeSet<&str> = scrape
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    let dashboard: Value = serde_json::from_str(include_str!("../../assets/grafana/syncdeck.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut asked = BTreeSet::new();
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        let unit = panel["fieldConfig"]["defaults"]["unit"].as_str().unwrap_or_default();
        assert!(!unit.is_empty(), "{} has no unit", panel["title"]);
        for target in panel["targets"].as_array().unwrap() {
            let expr = target["expr"].as_str().unwrap();
            let words = expr.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
            asked.extend(words.filter(|word| word.starts_with("syncdeck_")));
        }
    }
    let missing: Vec<&&str> = asked.difference(&names).collect();
    assert!(missing.is_empty() && asked.len() >= 10, "not told: {missing:?} of {asked:?}");
    assert_eq!(ask(&address, "/healthz").await.0, 200);
    assert_eq!(ask(&address, "/").await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_is_not_ready_while_the_org_refuses_its_login_and_is_again_after_it() {
    let mut world = World::start(&format!("{MAPPINGS}{ANSWERING}")).await;
    let address = address(&world).await;
    world.until("it is ready", async || ask(&address, "/readyz").await.0 == 200).await;
    let told: Value = serde_json::from_str(&ask(&address, "/readyz").await.1).unwrap();
    assert_eq!(told["reads"].as_array().unwrap().len(), 2);
    world.org.change_secret("another");
    let mut told = String::new();
    world
        .until("it says that the login is lost", async || {
            let (status, text) = ask(&address, "/readyz").await;
            told = text;
            status == 503 && told.contains("LOGIN_FAILED")
        })
        .await;
    assert!(told.contains("Salesforce cannot be asked: unauthorized: LOGIN_FAILED"), "{told}");
    // It lives, though: to start it again would not help.
    assert_eq!(ask(&address, "/healthz").await.0, 200);
    let scrape = ask(&address, "/metrics").await.1;
    assert!(scrape.contains("\nsyncdeck_connection_up{connection=\"acme\"} 0.0\n"), "{scrape}");
    world.org.change_secret("simulated-secret");
    world.store.notify("reconnect").await.unwrap();
    world.until("it is ready again", async || ask(&address, "/readyz").await.0 == 200).await;
    // With the engine its answers end.
    world.stop_engine().await;
    assert!(reqwest::get(format!("{address}/healthz")).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_whose_table_is_unfit_leaves_an_engine_ready() {
    let world = World::start(&format!("{MAPPINGS}{ANSWERING}")).await;
    let address = address(&world).await;
    world.until("it is ready", async || ask(&address, "/readyz").await.0 == 200).await;
    world.run("ALTER TABLE salesforce.account RENAME COLUMN phone TO telephone").await;
    let listed = "SELECT count(*)::text FROM syncdeck.error WHERE resolved_at IS NULL AND code LIKE 'TABLE%' AND mapping = 'Account'";
    world.until("that is listed", async || world.text(listed).await.unwrap() != "0").await;
    // As if the time of the lease had gone by.
    let end = "DELETE FROM syncdeck.lease WHERE name = 'reader Account'";
    world
        .until("nobody reads it, and the engine is ready", async || {
            world.run(end).await;
            let (status, text) = ask(&address, "/readyz").await;
            let told: Value = serde_json::from_str(&text).unwrap();
            status == 200 && told["reads"] == json!(["Contact"])
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_that_no_engine_reads_makes_an_engine_unready_and_one_that_another_reads_does_not() {
    let mappings = MAPPINGS.replace("200ms", "1h");
    let world = World::start(&format!("{mappings}{ANSWERING}")).await;
    let address = address(&world).await;
    let reasons = async || {
        let told: Value = serde_json::from_str(&ask(&address, "/readyz").await.1).unwrap();
        told["reasons"].to_string()
    };
    world.until("it is ready", async || reasons().await == "[]").await;
    world.run("UPDATE syncdeck.lease SET owner = 'another' WHERE name = 'reader Account'").await;
    world
        .until("it knows who reads", async || {
            ask(&address, "/readyz").await.1.contains("\"read_elsewhere\":[\"Account\"]")
        })
        .await;
    assert_eq!(reasons().await, "[]");
    world.run("UPDATE syncdeck.lease SET until = clock_timestamp() WHERE name = 'reader Account'").await;
    world
        .until("nobody reads", async || reasons().await == "[\"no engine has the lease to read Account\"]")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_real_engine_counted_is_what_people_are_told() {
    let mappings = MAPPINGS.replace("poll_interval", "check = false\npoll_interval");
    let world = World::start(&mappings).await;
    world
        .run(
            "INSERT INTO salesforce.contact (lastname, email, external_id__c) VALUES ('Doe', 'nobody', 'K1'), ('Roe', 'b@c.de', 'K2')",
        )
        .await;
    let day = Duration::from_secs(86_400);
    let health = async |mapping| world.handle.health(day, mapping).await.unwrap();
    world
        .until("it is counted", async || {
            user_writes(&world);
            let figures = health(Some("contact")).await.figures;
            (figures.accepted, figures.rejected, figures.began) == (1, 1, 1)
                && figures.waited.count == 1
                && figures.read_lag.count > 0
        })
        .await;
    let told = health(None).await;
    assert_eq!(told.figures.error_rate, Some(0.5));
    assert_eq!((told.figures.waited.count, told.now.errors, told.mappings.len()), (1, 1, 2));
    assert!(told.figures.requests.count >= 1);
    assert!(told.figures.reads.count >= 1);
    assert_eq!((told.causes[0].code.as_str(), told.causes[0].count), ("INVALID_EMAIL_ADDRESS", 1));
    assert!(told.to - told.from < TimeDelta::hours(25));
    // The same for scripts, for people, and for those who were not there.
    let document = json_of(&world, &["stats", "--since", "24h"]).await;
    assert_eq!(document["figures"]["error_rate"], json!(0.5));
    // In the hour that it was in.
    let hours = document["series"].as_array().unwrap();
    assert_eq!(hours.iter().filter(|hour| hour["rejected"] == json!(1)).count(), 1, "{hours:?}");
    let glance = text(&run(&world, &["stats"]).await);
    assert!(glance.contains("1 taken, 1 refused, 0 without an answer; 50.0 % failed"), "{glance}");
    assert!(glance.contains("INVALID_EMAIL_ADDRESS"), "{glance}");
    let review = text(&run(&world, &["stats", "--report", "--mapping", "contact"]).await);
    assert!(review.starts_with("# Sync health of acme, Contact\n\nThe last 7d, "), "{review}");
    assert!(
        review.contains(
            "| Contact | INVALID_EMAIL_ADDRESS | Email | Email: invalid email address: … | 1 | 0 | 1 |"
        ),
        "{review}"
    );
    assert!(!review.contains("nobody"), "{review}");
    let refused = run(&world, &["stats", "--since", "5s"]).await;
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
    assert_eq!(health(Some("Account")).await.figures.error_rate, None);
    let refused = world.handle.health(Duration::from_secs(60), None).await.unwrap_err().to_string();
    assert_eq!(refused, "1m is no span of health\nuse 1h to 366d");
    assert!(world.handle.health(day, Some("nothing")).await.unwrap_err().to_string().contains("no mapping"));
}
