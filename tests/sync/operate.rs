//! What the operator of a mapping sees at a glance, and what he does to the mapping as a whole.

use std::collections::BTreeMap;

use serde_json::json;
use syncdeck::domain::reports::overview::{MappingStatus, Writes};
use syncdeck::domain::state::MappingState;

use crate::verify::long_ago;
use crate::world::{MAPPINGS, World};

impl World {
    /// A mapping as the overview tells it.
    async fn status(&self, object: &str) -> MappingStatus {
        let overview = self.handle.overview().await.unwrap();
        overview.mappings.into_iter().find(|mapping| mapping.name == object).unwrap()
    }
}

/// Counts as the overview tells them, and as they are.
async fn counts(world: &World) -> (String, String) {
    let minute = "SELECT date_trunc('minute', clock_timestamp())::text";
    loop {
        let before = world.text(minute).await;
        let counts = counts_now(world).await;
        // The last hour is counted by minutes: both looks have to be in one.
        if world.text(minute).await == before {
            return counts;
        }
    }
}

async fn counts_now(world: &World) -> (String, String) {
    let told = world.status("Contact").await;
    let told = (told.pending, told.held, told.errors, told.errors_last_hour, told.by_category);
    let number = async |sql: &str| world.text(sql).await.unwrap().parse::<i64>().unwrap();
    let unit = "SELECT count(*)::text FROM syncdeck.unit WHERE table_name = 'contact' AND state";
    let error = "FROM syncdeck.error WHERE mapping = 'Contact' AND resolved_at IS NULL AND state NOT IN ('held', 'ignored')";
    let by_category = format!(
        "SELECT coalesce(jsonb_object_agg(category, n), '{{}}')::text
         FROM (SELECT category, count(*) AS n {error} GROUP BY 1) of"
    );
    let by_category: BTreeMap<String, i64> =
        serde_json::from_str(&world.text(&by_category).await.unwrap()).unwrap();
    let recent = "date_trunc('minute', first_seen) > clock_timestamp() - interval '1 hour'";
    let there = (
        number(&format!("{unit} IN ('ready', 'inflight', 'stopped')")).await,
        number(&format!("{unit} = 'held'")).await,
        number(&format!("SELECT count(*)::text {error}")).await,
        number(&format!("SELECT count(*)::text {error} AND {recent}")).await,
        by_category,
    );
    (format!("{told:?}"), format!("{there:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_are_exact_whatever_statement_changed_errors_and_units() {
    let mut world = World::start(MAPPINGS).await;
    // An engine would change units between the two looks.
    world.stop_engine().await;
    for statement in [
        "INSERT INTO syncdeck.error (mapping, table_name, record_id, op, code, category, class, message, fingerprint, state, first_seen)
         SELECT CASE g % 5 WHEN 0 THEN 'Account' ELSE 'Contact' END, 'contact', g, 'update', 'CODE', CASE g % 3 WHEN 0 THEN 'mapping' ELSE 'data' END,
             'permanent', 'm', 'f', CASE g % 7 WHEN 0 THEN 'held' ELSE 'open' END, clock_timestamp() - g * interval '30 s'
         FROM generate_series(1, 300) g",
        "INSERT INTO syncdeck.unit (table_name, record_id, state, ready_at)
         SELECT 'contact', g, (ARRAY['stopped', 'held', 'failed'])[1 + g % 3], clock_timestamp() + interval '1 hour' FROM generate_series(1, 300) g",
        "UPDATE syncdeck.error SET state = 'ignored' WHERE record_id < 30",
        "UPDATE syncdeck.error SET category = 'connection' WHERE record_id < 60",
        "UPDATE syncdeck.error SET state = 'open' WHERE record_id < 15",
        "UPDATE syncdeck.error SET resolved_at = clock_timestamp() WHERE record_id > 200",
        "UPDATE syncdeck.mapping SET writes = 'paused' WHERE name = 'Contact'",
        "UPDATE syncdeck.unit SET state = 'stopped' WHERE record_id % 2 = 0",
        "UPDATE syncdeck.unit SET state = 'failed' WHERE record_id < 50",
        "DELETE FROM syncdeck.unit WHERE record_id % 5 = 0",
        "DELETE FROM syncdeck.error WHERE record_id % 4 = 0",
        "INSERT INTO syncdeck.unit (table_name, record_id, state) SELECT 'contact', g, 'review' FROM generate_series(1, 10) g
         ON CONFLICT (table_name, record_id) DO UPDATE SET state = 'held', ready_at = clock_timestamp() + interval '1 hour'",
    ] {
        world.run(statement).await;
        let (told, there) = counts(&world).await;
        assert_eq!(told, there, "{statement}");
        world.store.add_up_counts().await.unwrap();
        let (told, there) = counts(&world).await;
        assert_eq!(told, there, "added up after {statement}");
    }
    let lines = "SELECT count(*)::text FROM (SELECT FROM syncdeck.count GROUP BY subject, name, category, minute HAVING count(*) > 1) of";
    world.store.add_up_counts().await.unwrap();
    assert_eq!(world.text(lines).await.unwrap(), "0");
    let oldest =
        "SELECT min(created_at)::text FROM syncdeck.unit WHERE state IN ('ready', 'inflight', 'stopped')";
    let told = world.status("Contact").await.oldest_pending.unwrap();
    assert_eq!(world.text(oldest).await.unwrap()[..19], told.format("%F %T").to_string());
    // An installation from before is counted when it is laid out anew.
    world
        .run(
            "DROP TABLE syncdeck.count, syncdeck.minute; DROP FUNCTION syncdeck.count_errors CASCADE;
             DROP FUNCTION syncdeck.count_units CASCADE; UPDATE syncdeck.layout SET stamp = 'older' WHERE name = '_syncdeck';
             ALTER TABLE syncdeck.mapping DROP COLUMN load_began_at, DROP COLUMN load_records, DROP COLUMN load_total,
                 DROP COLUMN failing_since, DROP COLUMN drain_upto, DROP COLUMN reload_at;
             ALTER TABLE syncdeck.command DROP COLUMN progress, DROP COLUMN told_at, DROP COLUMN wanted_at, DROP COLUMN stop;
             ALTER TABLE syncdeck.engine DROP COLUMN instance_url",
        )
        .await;
    world.start_engine().await;
    let (told, there) = counts(&world).await;
    assert_eq!(told, there);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_overview_tells_the_org_since_when_a_mapping_fails_and_how_far_behind_its_reads_are() {
    let world = World::start(&MAPPINGS.replace("poll_interval", "check = false\npoll_interval")).await;
    let connection = world.handle.overview().await.unwrap().connection;
    assert_eq!(connection.instance_url.as_deref(), Some(world.config.salesforce.login_url.as_str()));
    assert_eq!(world.status("Contact").await.failing_since, None);
    world
        .run(
            "INSERT INTO salesforce.contact (lastname, email, external_id__c) VALUES ('Doe', 'nobody', 'K1')",
        )
        .await;
    world.until("it fails", async || world.status("Contact").await.failing_since.is_some()).await;
    let since = world.status("Contact").await.failing_since;
    world
        .run(
            "INSERT INTO salesforce.contact (lastname, email, external_id__c) VALUES ('Roe', 'nobody', 'K2')",
        )
        .await;
    world
        .until("both fail", async || world.status("Contact").await.by_category.get("data") == Some(&2))
        .await;
    assert_eq!(world.status("Contact").await.failing_since, since);
    world.run("UPDATE salesforce.contact SET email = 'jane@acme.com'").await;
    world
        .until("it does not fail any more", async || world.status("Contact").await.failing_since.is_none())
        .await;
    // Without an engine its reads fall behind; the interval is not counted.
    world.until("it is not behind", async || world.status("Contact").await.lag_seconds == Some(0)).await;
    let mut world = world;
    world.stop_engine().await;
    world.run("UPDATE syncdeck.mapping SET last_read = clock_timestamp() - interval '1 h'").await;
    let behind = world.status("Contact").await.lag_seconds.unwrap();
    // An hour less the interval, and however long it took to ask.
    assert!((3_599..3_660).contains(&behind), "{behind}");
    world.run("UPDATE syncdeck.mapping SET state = 'loading'").await;
    assert_eq!(world.status("Contact").await.lag_seconds, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_minute_is_counted_and_none_is_left_out() {
    let mut world = World::start(&MAPPINGS.replace("poll_interval", "check = false\npoll_interval")).await;
    let made = [("LastName".to_owned(), json!("Hopper"))].into_iter().collect();
    world.org.user_create("Contact", made).unwrap();
    world
        .run("INSERT INTO salesforce.contact (lastname, email, external_id__c) VALUES ('Doe', 'nobody', 'K1'), ('Roe', NULL, 'K2')")
        .await;
    let sums = async || {
        let trends = world.handle.trends(5).await.unwrap();
        let contact = trends.into_iter().find(|trend| trend.mapping == "Contact").unwrap();
        let times: Vec<_> = contact.minutes.iter().map(|minute| minute.at).collect();
        assert!(
            times.len() == 5 && times.windows(2).all(|two| (two[1] - two[0]).num_seconds() == 60),
            "{times:?}"
        );
        let sum = |part: fn(&syncdeck::domain::reports::trend::Minute) -> i64| {
            contact.minutes.iter().map(part).sum::<i64>()
        };
        (sum(|minute| minute.accepted), sum(|minute| minute.rejected), sum(|minute| minute.read) > 0)
    };
    world.until("everything is counted", async || sums().await == (1, 1, true)).await;
    world.org.change_faults(|faults| faults.lose_answer = 1);
    world.run("UPDATE salesforce.contact SET firstname = 'Jo' WHERE external_id__c = 'K2'").await;
    world.until_text("SELECT (sum(lost) > 0)::text FROM syncdeck.minute", "true").await;
    // What it has counted meanwhile would be kept after that.
    world.stop_engine().await;
    world.store.prune(std::time::Duration::ZERO, 1_000).await.unwrap();
    assert_eq!(world.text("SELECT count(*)::text FROM syncdeck.minute").await.unwrap(), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_broken_down_by_category_and_code() {
    let world = World::start(MAPPINGS).await;
    world
        .run(
            "INSERT INTO salesforce.contact (lastname, email, external_id__c) VALUES
                 ('Doe', 'nobody', 'K1'), ('Roe', 'no one', 'K2'), (NULL, NULL, 'K3')",
        )
        .await;
    let shares = async |filter: &str| {
        let shares = world.handle.breakdown(filter).await.unwrap();
        shares.into_iter().map(|share| (share.code, share.count)).collect::<Vec<_>>()
    };
    let all = [("INVALID_EMAIL_ADDRESS".to_owned(), 2), ("REQUIRED_FIELD_MISSING".to_owned(), 1)];
    world.until("all three failed", async || shares("").await == all).await;
    assert_eq!(shares("mapping:contact code:required").await, all[1..]);
    let refused = world.handle.breakdown("since:never").await.unwrap_err().to_string();
    assert!(refused.contains("never"), "{refused}");
}

/// What was done, in the order of the audit.
const DONE: &str = "SELECT string_agg(action || ' ' || mapping, ', ' ORDER BY id) FROM syncdeck.audit";

#[tokio::test(flavor = "multi_thread")]
async fn all_writes_are_paused_and_resumed_by_one_act() {
    let world = World::start(MAPPINGS).await;
    let told = world.handle.writes(None, Writes::Pause).await.unwrap();
    assert_eq!(told, "Account, Contact: their writes rest; changes are kept, reads go on");
    assert_eq!(
        (world.status("Account").await.state, world.status("Contact").await.state),
        (MappingState::Paused, MappingState::Paused)
    );
    let refused = world.handle.writes(None, Writes::Pause).await.unwrap_err().to_string();
    assert!(refused.contains("are off already"), "{refused}");
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Doe', 'K1')").await;
    world.until_text("SELECT state FROM syncdeck.unit", "stopped").await;
    world.handle.writes(Some("contact"), Writes::Resume).await.unwrap();
    world.until("it is sent", async || world.record("Contact", "K1").is_some()).await;
    assert_eq!(world.handle.writes(None, Writes::Resume).await.unwrap(), "Account: its writes go on");
    assert_eq!(world.handle.writes(None, Writes::Resume).await.unwrap(), "all mappings: nothing rested");
    let done = "paused Account, paused Contact, resumed Contact, resumed Account";
    assert_eq!(world.text(DONE).await.unwrap(), done);
    let operations = "SELECT count(DISTINCT act)::text FROM syncdeck.audit";
    assert_eq!(world.text(operations).await.unwrap(), "3");
    let refused = world.handle.writes(Some("nothing"), Writes::Pause).await.unwrap_err().to_string();
    assert!(refused.contains("no mapping"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_mapping_sends_what_waited_and_nothing_later_across_a_restart() {
    let mut world = World::start(MAPPINGS).await;
    // Nothing is sent before the drain is asked for.
    world.org.change_faults(|faults| faults.unavailable = u32::MAX);
    world
        .run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Doe', 'K1'), ('Roe', 'K2')")
        .await;
    world.until_text("SELECT count(*)::text FROM syncdeck.unit", "2").await;
    world.handle.writes(Some("Contact"), Writes::Drain).await.unwrap();
    assert_eq!(world.status("Contact").await.state.word(), "draining");
    world.stop_engine().await;
    world
        .run(
            "UPDATE salesforce.contact SET firstname = 'Jane' WHERE external_id__c = 'K1';
             INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Poe', 'K3');
             INSERT INTO salesforce.account (name, external_id__c) VALUES ('Acme', 'A1')",
        )
        .await;
    world.org.change_faults(|faults| faults.unavailable = 0);
    world.start_engine().await;
    let other = syncdeck::engine::start(world.config.clone(), world.store.clone()).await.unwrap();
    world.until("it is drained", async || world.status("Contact").await.state.word() == "paused").await;
    let sent =
        ["K1", "K2", "K3"].map(|key| world.record("Contact", key).map(|record| record["FirstName"].clone()));
    assert_eq!(sent, [Some(json!(null)), Some(json!(null)), None]);
    world.until("the other mapping goes on", async || world.record("Account", "A1").is_some()).await;
    let row = "SELECT coalesce(firstname, '-') FROM salesforce.contact WHERE external_id__c = 'K1'";
    assert_eq!(world.text(row).await.unwrap(), "Jane");
    world.handle.writes(Some("Contact"), Writes::Resume).await.unwrap();
    world
        .until("the rest is sent", async || {
            world.record("Contact", "K3").is_some()
                && world.record("Contact", "K1").is_some_and(|record| record["FirstName"] == json!("Jane"))
        })
        .await;
    assert_eq!(world.text(DONE).await.unwrap(), "drained Contact, resumed Contact");
    assert_eq!(["K1", "K2", "K3"].map(|key| world.writes("create", key)), [1, 1, 1]);
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_with_nothing_to_send_is_drained_at_once_and_a_drain_can_be_taken_back() {
    let world = World::start(MAPPINGS).await;
    world.handle.writes(None, Writes::Drain).await.unwrap();
    world
        .until("all are drained", async || {
            world.status("Account").await.state.word() == "paused"
                && world.status("Contact").await.state.word() == "paused"
        })
        .await;
    let refused = world.handle.writes(Some("Contact"), Writes::Drain).await.unwrap_err().to_string();
    assert!(refused.contains("syncdeck mapping Contact resume"), "{refused}");
    world.handle.writes(None, Writes::Resume).await.unwrap();
    world.org.change_faults(|faults| faults.unavailable = u32::MAX);
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Doe', 'K1')").await;
    world.until_text("SELECT count(*)::text FROM syncdeck.unit", "1").await;
    world.handle.writes(Some("Contact"), Writes::Drain).await.unwrap();
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Roe', 'K2')").await;
    world.handle.writes(Some("Contact"), Writes::Resume).await.unwrap();
    world.org.change_faults(|faults| faults.unavailable = 0);
    world
        .until("both are sent", async || {
            world.record("Contact", "K1").and(world.record("Contact", "K2")).is_some()
        })
        .await;
}

/// Contacts of the large world: three pages.
const MANY: usize = 4_500;

/// A world of many contacts in step, in which every answer of the org takes a while from now on.
async fn slow_world() -> World {
    let world = World::with(MAPPINGS, |org| long_ago(org, MANY)).await;
    world.org.change_faults(|faults| faults.latency_ms = 200);
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_brings_every_row_in_step_but_those_with_unsent_changes_while_the_sync_goes_on() {
    let world = slow_world().await;
    world.handle.writes(Some("Contact"), Writes::Pause).await.unwrap();
    world.run("UPDATE salesforce.contact SET email = 'mine@acme.com' WHERE external_id__c = 'K7'").await;
    world
        .plant(
            "UPDATE salesforce.contact SET lastname = 'Wrong', email = 'wrong@acme.com' WHERE external_id__c IN ('K7', 'K8', 'K4400');
             DELETE FROM salesforce.contact WHERE external_id__c = 'K9';
             INSERT INTO salesforce.contact (lastname, sfid) VALUES ('Ghost', '003000000000000AAA')",
        )
        .await;
    world.run("UPDATE salesforce.contact SET email = 'mine@acme.com' WHERE external_id__c = 'K7'").await;
    let untouched = "SELECT xmin::text FROM salesforce.contact WHERE external_id__c = 'K10'";
    let before = world.text(untouched).await;
    world.org.change_faults(|faults| faults.latency_ms = 4_000);
    let told = world.handle.reload(Some("contact")).await.unwrap();
    assert!(told.starts_with("Contact: its records are all read again"), "{told}");
    let refused = world.handle.reload(Some("Contact")).await.unwrap_err().to_string();
    assert!(refused.contains("read again already"), "{refused}");
    let mut during = None;
    world
        .until("it is loading", async || {
            during =
                world.status("Contact").await.load.filter(|load| load.done > 0 && load.done < load.total);
            during.is_some()
        })
        .await;
    assert_eq!(during.unwrap().total, MANY as i64 + 1);
    // Meanwhile the other mapping is written, and changes and deletes of this one are read.
    let id = |key: &str| world.org.find_by_external_id("Contact", key).unwrap();
    let renamed = [("LastName".to_owned(), json!("Renamed"))].into_iter().collect();
    world.org.user_update("Contact", &id("K4450"), renamed).unwrap();
    world.org.user_delete("Contact", &id("K4451")).unwrap();
    world.org.change_faults(|faults| faults.latency_ms = 200);
    world.run("INSERT INTO salesforce.account (name, external_id__c) VALUES ('Acme', 'A1')").await;
    world.until("the account is sent", async || world.record("Account", "A1").is_some()).await;
    world
        .until("the reload is done", async || {
            world.text("SELECT (reload_at IS NULL AND state = 'ok')::text FROM syncdeck.mapping WHERE name = 'Contact'").await.as_deref() == Some("true")
        })
        .await;
    let row = async |key: &str| {
        let sql = format!(
            "SELECT concat_ws('|', lastname, email) FROM salesforce.contact WHERE external_id__c = '{key}'"
        );
        world.text(&sql).await
    };
    for (key, wanted) in [
        ("K7", Some("Doe 7|mine@acme.com")),
        ("K8", Some("Doe 8|doe8@acme.com")),
        ("K9", Some("Doe 9|doe9@acme.com")),
        ("K4400", Some("Doe 4400|doe4400@acme.com")),
        ("K4450", Some("Renamed|doe4450@acme.com")),
        ("K4451", None),
    ] {
        assert_eq!(row(key).await.as_deref(), wanted, "{key}");
    }
    let ghosts = "SELECT count(*)::text FROM salesforce.contact WHERE lastname = 'Ghost'";
    assert_eq!(world.text(ghosts).await.unwrap(), "0");
    assert_eq!(world.text(untouched).await, before);
    assert_eq!(world.text(DONE).await.unwrap(), "paused Contact, reloaded Contact");
    assert_eq!(world.status("Contact").await.load, None);
    world.org.change_faults(|faults| faults.latency_ms = 0);
    world.handle.writes(Some("Contact"), Writes::Resume).await.unwrap();
    world
        .until("the unsent change is sent", async || {
            world.record("Contact", "K7").is_some_and(|record| record["Email"] == json!("mine@acme.com"))
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_its_row_cannot_hold_does_not_keep_the_others_from_being_loaded() {
    let world = World::start(MAPPINGS).await;
    world.run("ALTER TABLE salesforce.contact ALTER COLUMN score__c TYPE numeric(3, 0)").await;
    for (name, score) in [("Doe", json!(7)), ("Roe", json!(12_345))] {
        let fields =
            [("LastName".to_owned(), json!(name)), ("Score__c".to_owned(), score)].into_iter().collect();
        world.org.user_create("Contact", fields).unwrap();
    }
    let refused =
        "SELECT count(*)::text FROM syncdeck.error WHERE resolved_at IS NULL AND code = 'ROW_VALUE_REFUSED'";
    world.until_text(refused, "1").await;
    let there = "SELECT string_agg(lastname, ' ') FROM salesforce.contact";
    world.until_text(there, "Doe").await;
    world.plant("DELETE FROM salesforce.contact").await;
    world.handle.reload(Some("Contact")).await.unwrap();
    world.until_text("SELECT count(reload_at)::text FROM syncdeck.mapping", "0").await;
    world.until_text(there, "Doe").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_an_engine_left_undone_is_done_by_the_next() {
    let mut world = slow_world().await;
    world.plant("UPDATE salesforce.contact SET lastname = 'Wrong' WHERE external_id__c = 'K4400'").await;
    world.org.change_faults(|faults| faults.latency_ms = 5_000);
    world.handle.reload(None).await.unwrap();
    world
        .until("it is loading", async || world.status("Contact").await.load.is_some_and(|load| load.done > 0))
        .await;
    world.stop_engine().await;
    assert_eq!(world.status("Contact").await.state.word(), "loading");
    world.org.change_faults(|faults| faults.latency_ms = 0);
    world.start_engine().await;
    world
        .until_text("SELECT lastname FROM salesforce.contact WHERE external_id__c = 'K4400'", "Doe 4400")
        .await;
    world.until_text("SELECT count(reload_at)::text FROM syncdeck.mapping", "0").await;
    world.until("all is well", async || world.status("Contact").await.state.word() == "ok").await;
    assert_eq!(world.text(DONE).await.unwrap(), "reloaded Account, reloaded Contact");
}
