//! Who is told what, and when: by real receivers, with a clock that the test sets.

use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use syncdeck::alerts::Watch;
use syncdeck::config::Config;
use syncdeck::domain::alert::rule::Severity;
use syncdeck::domain::errors::cause::Until;
use syncdeck::domain::reports::overview::AlertsStatus;
use syncdeck::domain::state::DeliveryState;
use syncdeck::logs::log::Log;
use syncdeck::logs::{Level, LogRecord};
use syncdeck::postgres::Store;
use tokio::sync::mpsc;

use crate::receivers::{Hook, Received};
use crate::scripts::{json_of, run, text};
use crate::support::connect;
use crate::world::{MAPPINGS, World};

/// What looks after the alerts of a world whose engine does not.
pub struct Desk {
    watch: Watch,
    store: Store,
    now: DateTime<Utc>,
    records: mpsc::Receiver<LogRecord>,
}

impl Desk {
    /// With these rules and channels, at this moment.
    pub async fn open(world: &World, owner: &str, alerts: &str) -> Desk {
        let config = configured(world, alerts);
        let store = connect(&world.direct).await.unwrap();
        let (log, records) = Log::new(Level::Info);
        let watch = Watch::new(store.clone(), &config, owner, log).unwrap();
        let now = store.now().await.unwrap();
        Desk { watch, store, now, records }
    }

    /// The next engine, when this one ended in good order.
    pub async fn hand_over(self, world: &World, owner: &str, from: &str, alerts: &str) -> Desk {
        self.store.retire(from).await.unwrap();
        let next = Desk::open(world, owner, alerts).await;
        Desk { now: self.now, ..next }
    }

    /// Looks and tells, as an engine does every few seconds.
    pub async fn round(&mut self) {
        assert!(self.watch.look(self.now).await.unwrap(), "another one looks");
        self.watch.deliver(self.now).await.unwrap();
    }

    /// Goes on for a time, in steps.
    pub async fn pass(&mut self, seconds: i64, step: i64) {
        let end = self.now + TimeDelta::seconds(seconds);
        while self.now < end {
            self.now += TimeDelta::seconds(step);
            self.round().await;
        }
    }

    pub fn said(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.records.try_recv().ok()).map(|record| record.message).collect()
    }
}

pub fn configured(world: &World, alerts: &str) -> Config {
    Config::parse(Path::new("/nowhere/syncdeck.toml"), &format!("{}\n{alerts}", world.written())).unwrap()
}

fn hooked(rules: &str, hook: &Hook) -> String {
    format!("{rules}\n[alert.channel.ops]\nkind = \"webhook\"\nurl = \"{}/hook\"\n", hook.url())
}

/// Each alert that a message tells, with what is told of it.
pub fn told(came: &Received) -> Vec<(String, String)> {
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let body = came.json();
    let alerts = body["data"]["alerts"].as_array().unwrap().clone();
    alerts.iter().map(|alert| (word(&alert["headline"]), word(&alert["change"]))).collect()
}

fn changes(came: &[Received]) -> Vec<String> {
    came.iter().flat_map(told).map(|(_, change)| change).collect()
}

impl World {
    /// So many errors of a cause, with the row numbers from `from` on.
    pub async fn fail(&self, cause: &str, from: i32, count: i32) {
        let to = from + count - 1;
        self.run(&format!(
            "INSERT INTO syncdeck.error (mapping, table_name, record_id, op, code, category, class, message, fields, fingerprint, state)
             SELECT 'Contact', 'contact', row, 'insert', 'INVALID_EMAIL_ADDRESS', 'data', 'permanent',
                 'Email: invalid email address: secret' || row || '@acme,com', '{{Email}}', '{cause}', 'open'
             FROM generate_series({from}, {to}) row"
        ))
        .await;
    }

    pub async fn mend(&self, cause: &str) {
        self.run(&format!(
            "UPDATE syncdeck.error SET state = 'resolved', resolved_at = clock_timestamp() WHERE fingerprint = '{cause}'"
        ))
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_errors_in_a_minute_are_one_message_of_their_cause() {
    let world = World::without_engine(MAPPINGS).await;
    let hook = Hook::start().await;
    world.fail("0dd", 90_000, 3).await;
    let mut desk =
        Desk::open(&world, "one", &hooked("[[alert]]\nwhen = \"error\"\nagain = \"1m\"", &hook)).await;
    desk.pass(120, 10).await;
    assert_eq!(hook.came().len(), 0, "what was open before anybody asked is not new");
    for part in 0..20 {
        world.fail("abc", part * 500, 500).await;
        desk.pass(3, 3).await;
    }
    desk.pass(240, 5).await;
    let came = hook.taken();
    assert_eq!(came.len(), 1, "{came:#?}");
    let body = came[0].json();
    assert_eq!((&body["type"], &body["data"]["firing"]), (&json!("alert.firing"), &json!(1)));
    let alert = &body["data"]["alerts"][0];
    assert_eq!(
        (&alert["group"], &alert["count"], &alert["change"]),
        (&json!("abc"), &json!(10_000), &json!("fired"))
    );
    assert_eq!(alert["command"], "syncdeck errors --where group:abc");
    assert_eq!(alert["headline"], "Contact: Invalid e-mail address (Email) [INVALID_EMAIL_ADDRESS]");
    assert_eq!(alert["examples"].as_array().unwrap().len(), 3);
    assert!(!came[0].body.contains("secret"), "no value goes where none may: {}", came[0].body);
    // More of the same later, once for all of it.
    world.fail("abc", 20_000, 700).await;
    desk.pass(300, 10).await;
    world.mend("abc").await;
    desk.pass(120, 10).await;
    assert_eq!(changes(&hook.taken()), ["more", "resolved"]);
    desk.pass(600, 30).await;
    assert_eq!(hook.came().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_is_down_for_an_hour_loses_nothing_and_floods_nobody() {
    let world = World::without_engine(MAPPINGS).await;
    let hook = Hook::start().await;
    let alerts = hooked("[[alert]]\nwhen = \"new_cause\"\nfor = \"30s\"", &hook);
    let mut desk = Desk::open(&world, "one", &alerts).await;
    desk.round().await;
    hook.answers(503, Vec::new(), "");
    for number in 0..12 {
        world.fail(&format!("c{number:02}"), number * 10, 5).await;
        desk.pass(150, 15).await;
        if number % 2 == 0 {
            world.mend(&format!("c{number:02}")).await;
        }
        desk.pass(150, 15).await;
    }
    let tries = hook.taken().len();
    assert!((5..=16).contains(&tries), "it was asked {tries} times within an hour");
    hook.answers(200, Vec::new(), "");
    desk.pass(1_200, 30).await;
    let came = hook.taken();
    assert_eq!(came.len(), 1, "{came:#?}");
    let mut all: Vec<(Value, Value)> = came[0].json()["data"]["alerts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|alert| (alert["group"].clone(), alert["change"].clone()))
        .collect();
    all.sort_by_key(|(group, _)| group.to_string());
    let wanted: Vec<(Value, Value)> = (0..12)
        .map(|number| {
            let change = if number % 2 == 0 { "resolved" } else { "fired" };
            (json!(format!("c{number:02}")), json!(change))
        })
        .collect();
    assert_eq!(all, wanted, "every one of them, as it is now");
    let state = world.text("SELECT state || coalesce(reason, '') FROM syncdeck.alert_channel").await;
    assert_eq!(state.as_deref(), Some("ok"));
}

#[tokio::test(flavor = "multi_thread")]
async fn causes_that_come_one_after_the_other_are_told_together_and_none_is_left_out() {
    let world = World::without_engine(MAPPINGS).await;
    let hook = Hook::start().await;
    let alerts = hooked("[[alert]]\nwhen = \"new_cause\"\nfor = \"10s\"", &hook);
    let mut desk = Desk::open(&world, "one", &alerts).await;
    desk.round().await;
    for number in 0..40 {
        world.fail(&format!("c{number:02}"), number * 10, 2).await;
        desk.pass(20, 10).await;
        if number % 4 == 0 {
            world.mend(&format!("c{number:02}")).await;
        }
    }
    desk.pass(600, 20).await;
    let came = hook.taken();
    assert!((3..=6).contains(&came.len()), "{} messages in 15 minutes", came.len());
    let mut last = std::collections::BTreeMap::new();
    for told in came.iter().flat_map(told_groups) {
        let (group, change) = told.split_once(' ').unwrap();
        last.insert(group.to_owned(), change.to_owned());
    }
    for number in 0..40 {
        let wanted = if number % 4 == 0 { "resolved" } else { "fired" };
        assert_eq!(
            last.get(&format!("c{number:02}")).map(String::as_str),
            Some(wanted),
            "{number}: {last:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_engines_never_tell_twice_and_the_next_one_goes_on() {
    let world = World::without_engine(MAPPINGS).await;
    let hook = Hook::start().await;
    let alerts = hooked("[[alert]]\nwhen = \"new_cause\"\nfor = \"10s\"\nagain = \"1s\"", &hook);
    let mut one = Desk::open(&world, "one", &alerts).await;
    let mut two = Desk::open(&world, "two", &alerts).await;
    let mut now = one.now;
    one.watch.look(now).await.unwrap();
    for round in 0..30 {
        if round % 3 == 0 {
            world.fail(&format!("c{round:02}"), round * 10, 2).await;
        }
        now += TimeDelta::seconds(10);
        // Both at once; halfway the first one ends.
        if round == 15 {
            world.store.retire("one").await.unwrap();
            assert!(two.watch.look(now).await.unwrap());
        }
        let (a, b) = tokio::join!(one.watch.look(now), two.watch.look(now));
        assert!(!(a.unwrap() && b.unwrap()), "both looked");
        let (a, b) = tokio::join!(one.watch.deliver(now), two.watch.deliver(now));
        a.unwrap();
        b.unwrap();
    }
    let mut told: Vec<String> = hook.came().iter().flat_map(told_groups).collect();
    told.sort();
    let wanted: Vec<String> = (0..30).step_by(3).map(|round| format!("c{round:02} fired")).collect();
    assert_eq!(told, wanted);
    drop(one.said());
    assert!(two.said().len() >= 4, "the second one said what it told");
}

fn told_groups(came: &Received) -> Vec<String> {
    let alerts = came.json()["data"]["alerts"].as_array().unwrap().clone();
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    alerts.iter().map(|alert| format!("{} {}", word(&alert["group"]), word(&alert["change"]))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_in_the_middle_forgets_nothing() {
    let mut world = World::start(MAPPINGS).await;
    // Its clock is another one.
    world.stop_engine().await;
    let hook = Hook::start().await;
    let alerts = hooked("[[alert]]\nwhen = \"new_cause\"\nagain = \"1s\"", &hook);
    let mut desk = Desk::open(&world, "one", &alerts).await;
    desk.round().await;
    world.fail("abc", 0, 5).await;
    desk.pass(40, 10).await;
    // It waits for its delay when the engine ends.
    let mut desk = desk.hand_over(&world, "two", "one", &alerts).await;
    desk.now += TimeDelta::seconds(20);
    assert!(desk.watch.look(desk.now).await.unwrap());
    assert_eq!(hook.came().len(), 0, "it is in the queue");
    let mut desk = desk.hand_over(&world, "three", "two", &alerts).await;
    desk.pass(60, 10).await;
    assert_eq!(changes(&hook.taken()), ["fired"]);
    world.mend("abc").await;
    let mut desk = desk.hand_over(&world, "four", "three", &alerts).await;
    desk.pass(120, 10).await;
    assert_eq!(changes(&hook.taken()), ["resolved"]);
    // The same cause again is not new, but back.
    let back = hooked("[[alert]]\nwhen = \"new_cause\"\n[[alert]]\nwhen = \"cause_back\"", &hook);
    let mut desk = desk.hand_over(&world, "five", "four", &back).await;
    desk.round().await;
    world.fail("abc", 100, 5).await;
    desk.pass(120, 10).await;
    let came = hook.taken();
    assert_eq!((came.len(), &came[0].json()["data"]["rule"]), (1, &json!("cause_back")), "{came:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_silenced_is_not_told_and_what_is_over_is() {
    let world = World::without_engine(MAPPINGS).await;
    let hook = Hook::start().await;
    let alerts =
        hooked("[[alert]]\nwhen = \"new_cause\"\nfor = \"10s\"\nagain = \"1s\"\nrepeat = \"1h\"", &hook);
    let mut desk = Desk::open(&world, "one", &alerts).await;
    desk.round().await;
    let id =
        world.handle.silence(Some("new_cause"), None, Duration::from_secs(600), "a load runs").await.unwrap();
    world.fail("a1", 0, 1).await;
    desk.pass(60, 10).await;
    assert_eq!(hook.came().len(), 0);
    let view = world.handle.alerts().await.unwrap();
    assert_eq!((view.alerts[0].state.word(), view.alerts[0].silence), ("firing", Some(id)));
    assert_eq!(view.silences[0].note, "a load runs");
    world.handle.end_silence(id).await.unwrap();
    assert!(world.handle.end_silence(id).await.is_err(), "it has ended");
    desk.pass(20, 10).await;
    assert_eq!(changes(&hook.taken()), ["fired"], "it still is so when the silence ends");
    desk.pass(3_700, 300).await;
    assert_eq!(changes(&hook.taken()), ["still"]);
    world.handle.acknowledge("new_cause", None, "mine").await.unwrap();
    desk.pass(9_000, 600).await;
    assert_eq!(changes(&hook.taken()), ["acknowledged"], "whoever has it in hand is not told again");
    world.handle.silence(None, None, Duration::from_secs(86_400), "").await.unwrap();
    world.mend("a1").await;
    desk.pass(60, 10).await;
    assert_eq!(changes(&hook.taken()), ["resolved"]);
    let audit = "SELECT string_agg(action, ', ' ORDER BY id) FROM syncdeck.audit";
    assert_eq!(world.text(audit).await.as_deref(), Some("silenced, ended a silence, acknowledged, silenced"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cause_that_is_muted_is_told_again_when_so_many_more_came() {
    let world = World::without_engine(MAPPINGS).await;
    let hook = Hook::start().await;
    let alerts = hooked("[[alert]]\nwhen = \"new_cause\"\nfor = \"10s\"\nagain = \"1s\"", &hook);
    let mut desk = Desk::open(&world, "one", &alerts).await;
    desk.round().await;
    world.fail("a1", 0, 1).await;
    desk.pass(30, 10).await;
    assert_eq!(changes(&hook.taken()), ["fired"]);
    world.handle.mute_cause("a1", Until::More(3)).await.unwrap();
    desk.pass(30, 10).await;
    let over = hook.taken();
    assert_eq!(changes(&over), ["resolved"]);
    assert!(
        over[0].body.contains("it is not over, but muted until 3 more by tester@here"),
        "{}",
        over[0].body
    );
    world.fail("a1", 10, 2).await;
    desk.pass(120, 10).await;
    assert_eq!(hook.came().len(), 0, "two more are not three");
    world.fail("a1", 20, 1).await;
    desk.pass(30, 10).await;
    assert_eq!(changes(&hook.taken()), ["fired"]);
    world.handle.mute_cause("a1", Until::Time(desk.now + TimeDelta::hours(1))).await.unwrap();
    desk.pass(60, 10).await;
    assert_eq!(changes(&hook.taken()), ["resolved"]);
    desk.pass(3_700, 100).await;
    assert_eq!(changes(&hook.taken()), ["fired"], "its time is over, and it still is so");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fires_which_channel_fails_and_what_was_told_is_there_to_look_at() {
    let mut world = World::start(MAPPINGS).await;
    world.stop_engine().await;
    let hook = Hook::start().await;
    let rules = "[[alert]]\nwhen = \"new_cause\"\nseverity = \"critical\"\nfor = \"0s\"\nagain = \"1s\"\n\
                 [[alert]]\nwhen = \"verify\"";
    let mut desk = Desk::open(&world, "one", &hooked(rules, &hook)).await;
    desk.round().await;
    let view = world.handle.alerts().await.unwrap();
    let severities: Vec<(&str, &str)> =
        view.configured.rules.iter().map(|(name, severity)| (name.as_str(), severity.word())).collect();
    assert_eq!(severities, [("new_cause", "critical"), ("verify", "warning")]);
    assert_eq!(view.configured.channels, [("ops".to_owned(), "webhook".to_owned())]);
    let status = async || world.handle.overview().await.unwrap().alerts;
    assert_eq!(status().await, AlertsStatus::default());
    hook.answers(403, Vec::new(), "bad token");
    world.fail("a1", 0, 4).await;
    desk.pass(20, 10).await;
    let now = status().await;
    assert_eq!((now.firing, now.unattended), (1, 1));
    assert_eq!(
        (now.failing_channels[0].name.as_str(), now.failing_channels[0].reason.as_str()),
        ("ops", "auth")
    );
    let view = world.handle.alerts().await.unwrap();
    let alert = &view.alerts[0];
    assert_eq!(
        (alert.count, alert.cause.as_deref(), alert.filter()),
        (4, Some("a1"), Some("group:a1".to_owned()))
    );
    assert_eq!(alert.severity.map(Severity::word), Some("critical"));
    let told = &view.messages[0];
    assert_eq!((told.posted.state, told.posted.reason.as_deref()), (DeliveryState::Failed, Some("auth")));
    assert!(told.title.contains("FIRING: a new cause") && told.text.contains("Open errors: 4"), "{told:?}");
    let words = text(&run(&world, &["status"]).await);
    assert!(words.contains("1 fires, 1 unattended; ops fails: auth (syncdeck alert)"), "{words}");
    hook.answers(200, Vec::new(), "");
    desk.pass(3_600, 300).await;
    world.handle.acknowledge("new_cause", None, "mine").await.unwrap();
    let now = status().await;
    assert_eq!((now.firing, now.unattended, now.failing_channels.len()), (1, 0, 0));
    let view = world.handle.alerts().await.unwrap();
    assert!(view.messages.iter().all(|told| told.posted.state == DeliveryState::Sent), "{:?}", view.messages);
    world.handle.silence(None, None, Duration::from_secs(60), "").await.unwrap();
    assert_eq!(status().await.unattended, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_condition_is_found_in_what_is_kept() {
    let mut world = World::start(MAPPINGS).await;
    world.stop_engine().await;
    let hook = Hook::start().await;
    let rules = "[[alert]]\nname = \"errors\"\nwhen = \"errors\"\nabove = 4\nfor = \"0s\"\n\
        [[alert]]\nname = \"recent\"\nwhen = \"errors\"\nabove = 4\nwithin = \"30m\"\ncategory = \"data\"\nfor = \"0s\"\n\
        [[alert]]\nwhen = \"error_rate\"\nabove = 20\nfor = \"0s\"\n[[alert]]\nwhen = \"success_rate\"\nbelow = 80\nfor = \"0s\"\n\
        [[alert]]\nwhen = \"oldest_unsent\"\nfor = \"0s\"\n[[alert]]\nwhen = \"nothing_synced\"\nfor = \"0s\"\n\
        [[alert]]\nwhen = \"blocked\"\nolder_than = \"20m\"\nfor = \"0s\"\n[[alert]]\nwhen = \"api_budget\"\nfor = \"0s\"\n\
        [[alert]]\nwhen = \"mapping_stopped\"\nfor = \"0s\"\n[[alert]]\nwhen = \"verify\"\nfor = \"0s\"\n\
        [[alert]]\nwhen = \"log\"\nmatch = \"level:warn code:LOCKED\"\nabove = 2\nfor = \"0s\"\n\
        [[alert]]\nwhen = \"cause_grows\"\nabove = 4\nfor = \"0s\"\n";
    let mut desk = Desk::open(&world, "one", &hooked(rules, &hook)).await;
    desk.round().await;
    world.run("INSERT INTO syncdeck.engine (owner, state, connection, environment, connection_state, api_used, api_limit, seen_at)
        VALUES ('x', 'running', 'acme', 'test', 'ok', 13000, 15000, clock_timestamp() + interval '1 hour')").await;
    desk.pass(10, 5).await;
    let of_budget = hook.taken();
    assert_eq!(
        (of_budget.len(), &of_budget[0].json()["data"]["alerts"][0]["subject"]),
        (1, &json!("80%")),
        "{of_budget:#?}"
    );
    world.fail("abc", 0, 5).await;
    let now = desk.now;
    world
        .run(&format!(
            "INSERT INTO syncdeck.minute (mapping, minute, accepted, rejected) VALUES ('Contact', date_trunc('minute', clock_timestamp()), 60, 40);
             INSERT INTO syncdeck.unit (table_name, record_id, state, created_at)
                 VALUES ('contact', 1, 'ready', '{now}'::timestamptz - interval '1 hour'), ('contact', 2, 'held', '{now}'::timestamptz - interval '30 min');
             UPDATE syncdeck.mapping SET writes = 'stopped', writes_detail = 'the first error' WHERE name = 'Account';
             INSERT INTO syncdeck.verified VALUES ('Contact', clock_timestamp(), 12);
             INSERT INTO syncdeck.log (time, level, source, dyno, message, fields)
                 SELECT clock_timestamp(), 'warn', 'syncdeck', 'writer', 'row locked', '{{\"code\": \"LOCKED\"}}' FROM generate_series(1, 3)",
        ))
        .await;
    desk.pass(10, 5).await;
    let came = hook.taken();
    let mut said: Vec<String> = came
        .iter()
        .flat_map(|came| {
            told(came)
                .into_iter()
                .map(|(headline, _)| format!("{}: {headline}", came.json()["data"]["rule"].as_str().unwrap()))
        })
        .collect();
    said.sort();
    assert_eq!(
        said,
        [
            "blocked: Contact: the oldest of 1 blocked rows waits for 30 min",
            "cause_grows: growing: Contact: Invalid e-mail address (Email) [INVALID_EMAIL_ADDRESS]",
            "error_rate: 40.0 % of 100 answers within 10 min rejected",
            "errors: 5 open errors, more than 4",
            "log: 3 matching log lines within 10 min, more than 2",
            "mapping_stopped: Account is stopped",
            "nothing_synced: Contact: 1 changes wait, and Salesforce took nothing ever",
            "oldest_unsent: Contact: the oldest of 1 unsent changes waits for 60 min",
            "recent: 5 errors within 30 min, more than 4",
            "success_rate: 60.0 % of 100 answers within 10 min accepted",
            "verify: Contact: verify found 12 differences",
        ]
    );
    // The connection is down: what follows from it says nothing, whatever becomes of it.
    world.run("UPDATE syncdeck.engine SET connection_state = 'down' WHERE owner = 'x'").await;
    world.run("DELETE FROM syncdeck.unit").await;
    desk.pass(60, 10).await;
    let quiet = ["blocked", "oldest_unsent", "nothing_synced", "error_rate", "success_rate"];
    for came in hook.taken() {
        let rule = came.json()["data"]["rule"].as_str().unwrap().to_owned();
        assert!(!quiet.contains(&rule.as_str()), "{rule} speaks while the connection is down");
    }
    world.run("UPDATE syncdeck.engine SET connection_state = 'ok' WHERE owner = 'x'").await;
    desk.pass(60, 10).await;
    let over: Vec<String> =
        hook.taken().iter().flat_map(told).map(|(headline, change)| format!("{change} {headline}")).collect();
    assert!(
        over.iter().any(|said| said.starts_with("resolved Contact: the oldest of 1 blocked")),
        "{over:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_tells_what_it_meets_and_a_command_tries_lists_and_silences() {
    let hook = Hook::start().await;
    let alerts = hooked(
        "[[alert]]\nwhen = \"error\"\nfor = \"0s\"\nagain = \"1s\"\n[[alert]]\nwhen = \"verify\"\nfor = \"0s\"",
        &hook,
    );
    let mappings =
        MAPPINGS.replace("external_id = \"External_Id__c\"\npoll_interval = \"200ms\"\n\"\"\"", "");
    let world = World::start(&format!("{mappings}\n[mapping.field.Email]\nmask = true\n{alerts}")).await;
    // What is there before anybody looks is no news.
    let looks = "SELECT (SELECT looked_at IS NOT NULL FROM syncdeck.cause_mark)
        AND (SELECT count(*) = 2 FROM syncdeck.alert_rule WHERE since IS NOT NULL)";
    world.until_text(&format!("SELECT ({looks})::text"), "true").await;
    world
        .run("INSERT INTO salesforce.contact (lastname, email, external_id__c) VALUES ('Doe', 'jane@acme,com', 'K1')")
        .await;
    world.until("it is told", async || !hook.came().is_empty()).await;
    let message = hook.came()[0].clone();
    let alert = message.json()["data"]["alerts"][0].clone();
    assert_eq!((&alert["mapping"], &alert["count"]), (&json!("Contact"), &json!(1)), "{message:?}");
    assert!(alert["command"].as_str().unwrap().starts_with("syncdeck show "), "{alert}");
    assert!(!message.body.contains("jane"), "{message:?}");
    let told = "SELECT count(*)::text FROM syncdeck.alert_channel WHERE state = 'ok'";
    world.until_text(told, "1").await;
    let listed = json_of(&world, &["alert"]).await;
    assert_eq!(
        (&listed["alerts"][0]["state"], &listed["channels"][0]["state"]),
        (&json!("firing"), &json!("ok")),
        "{listed}"
    );
    let name = listed["alerts"][0]["name"].as_str().unwrap().to_owned();
    let taken = json_of(&world, &["alert", "acknowledge", &name[..12], "--note", "mine"]).await;
    assert_eq!(taken, json!({"acknowledged": [name]}));
    let silenced = json_of(&world, &["alert", "silence", "error", "--for", "2h"]).await;
    json_of(&world, &["alert", "unsilence", &silenced["silence"].to_string()]).await;
    let words = text(&run(&world, &["alert"]).await);
    assert!(words.contains("in hand: ") && words.contains("ops") && words.contains("webhook"), "{words}");
    world
        .until("that it is in hand is told", async || {
            changes(&hook.came()).contains(&"acknowledged".to_owned())
        })
        .await;
    hook.taken();
    let tried = json_of(&world, &["alert", "test", "ops"]).await;
    assert_eq!((&tried["works"], hook.taken().len()), (&json!(true), 1));
    hook.answers(403, Vec::new(), "bad token");
    let refused = run(&world, &["alert", "test", "ops"]).await;
    assert!(
        refused.status.code() == Some(1) && text(&refused).contains("ops: auth: it answers 403: bad token"),
        "{}",
        text(&refused)
    );
    for (wrong, part) in [
        (["alert", "test", "opps"], "did you mean ops?"),
        (["alert", "silence", "eror"], "did you mean error?"),
        (["alert", "acknowledge", "error:zzz"], "there is no alert error:zzz"),
        (["alert", "unsilence", "x"], "by its number"),
    ] {
        let output = run(&world, &wrong).await;
        assert!(output.status.code() == Some(2) && text(&output).contains(part), "{}", text(&output));
    }
    hook.answers(200, Vec::new(), "");
    world.run("UPDATE salesforce.contact SET email = 'jane@acme.com'").await;
    world
        .until("that it is over is told", async || changes(&hook.came()).contains(&"resolved".to_owned()))
        .await;
    run(&world, &["verify", "contact"]).await;
    world.until_text("SELECT found::text FROM syncdeck.verified WHERE mapping = 'Contact'", "0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_another_version_queued_is_dropped_told_and_holds_up_nobody() {
    let world = World::without_engine(MAPPINGS).await;
    let hook = Hook::start().await;
    let mut desk = Desk::open(&world, "one", &hooked("[[alert]]\nwhen = \"new_cause\"", &hook)).await;
    desk.round().await;
    world
        .run(
            "INSERT INTO syncdeck.alert_delivery (channel, rule, message_id, message, created_at, next_try)
             VALUES ('ops', 'new_cause', 'm', '{\"form\": \"of tomorrow\"}', '2000-01-01', '2000-01-01')",
        )
        .await;
    world.fail("abc", 1, 2).await;
    desk.pass(120, 5).await;
    assert_eq!(hook.came().len(), 1, "what comes after it goes");
    assert!(desk.said().iter().any(|line| line.contains("channel ops is lost: another version queued it")));
    let kept = "SELECT state || ': ' || detail FROM syncdeck.alert_delivery WHERE message_id = 'm'";
    assert_eq!(world.text(kept).await.unwrap(), "dropped: another version queued it");
}

#[tokio::test(flavor = "multi_thread")]
async fn that_a_rule_finds_more_than_it_tells_is_said_once() {
    let world = World::without_engine(MAPPINGS).await;
    let hook = Hook::start().await;
    let mut desk = Desk::open(&world, "one", &hooked("[[alert]]\nwhen = \"new_cause\"", &hook)).await;
    desk.round().await;
    world
        .run(
            "INSERT INTO syncdeck.error (mapping, table_name, record_id, op, code, category, class, message, fields, fingerprint, state)
             SELECT 'Contact', 'contact', row, 'insert', 'CODE', 'data', 'permanent', 'm', '{}', 'cause ' || row, 'open'
             FROM generate_series(1, 503) row",
        )
        .await;
    desk.pass(30, 5).await;
    let said = desk.said();
    let lines: Vec<&String> = said.iter().filter(|line| line.contains("more than the 500 alerts")).collect();
    assert_eq!(lines, ["new_cause finds 3 more than the 500 alerts that it tells"], "{said:#?}");
}
