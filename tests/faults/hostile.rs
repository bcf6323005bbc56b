//! Answers that nobody should give, from a proxy between the engine and the org. None may cost a change, a row, memory
//! beyond what is promised, or the token; and while they come, nobody is told that all is well.

use std::collections::BTreeSet;
use std::time::Duration;

use nix::sys::signal::Signal;
use rand::seq::SliceRandom;
use serde_json::json;
use syncdeck::simulator::Refusal;
use tokio::time::Instant;

use crate::liar::{Liar, Lie, Story};
use crate::world::{World, span};

/// What one engine may hold at most, in MiB, whatever it is answered: one answer of the longest that is read, and room.
const MEMORY: u64 = 500;

fn all(lie: Lie) -> Story {
    Story { lie: Some(lie), of_ten: 10, ..Story::default() }
}

async fn connection(world: &World) -> (String, String) {
    let connection = world.store.overview().await.map(|overview| overview.connection).unwrap_or_default();
    (connection.state.to_string(), connection.detail.unwrap_or_default())
}

/// Waits until so many more lies were told.
async fn until_told(world: &mut World, liar: &Liar, more: u64) {
    let wanted = liar.told() + more;
    world.until("lies are told", async |_| liar.told() >= wanted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_whatever_costs_a_change_or_memory_or_the_token() {
    let (mut world, liar) = World::lied_to("every lie").await;
    world.engine().await;
    world.application.start(3, world.seed, Duration::from_millis(40));
    let mut lies = Lie::ALL;
    lies.shuffle(&mut world.dice);
    let mut told = BTreeSet::new();
    let end = Instant::now() + span(12.0);
    for lie in lies.into_iter().cycle() {
        if Instant::now() >= end && told.len() == Lie::ALL.len() {
            break;
        }
        // Half of what is asked, so that whatever leads into a dead end is found.
        liar.tell(Story { lie: Some(lie), of_ten: 5, ..Story::default() });
        until_told(&mut world, &liar, 1).await;
        world.random_pause(Duration::from_millis(300)).await;
        told.insert(lie);
        liar.tell(Story::default());
        if lie == Lie::LongPause {
            // Nobody waits for minutes here.
            world.engines[0].signal(Signal::SIGHUP);
        }
        world
            .until(&format!("it is well after {lie:?}"), async |world| connection(world).await.0 == "ok")
            .await;
        assert!(world.engines[0].is_running(), "FAULT_SEED={}: {lie:?} ended it", world.seed);
    }
    let peak = world.engines[0].peak();
    assert!(peak > 0 && peak < MEMORY, "FAULT_SEED={}: it held {peak} MiB", world.seed);
    world.judge().await;
    assert_eq!(liar.strayed(), 0, "FAULT_SEED={}: somebody went where an answer led", world.seed);
    let parked = world.count("SELECT count(*) FROM syncdeck.error WHERE code = 'OUTCOME_UNKNOWN'").await;
    assert_eq!(parked, 0, "FAULT_SEED={}: of {parked} records nobody knows any more", world.seed);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_answers_are_none_the_connection_is_degraded_and_says_why_and_nothing_is_sent() {
    let (mut world, liar) = World::lied_to("degraded").await;
    world.engine().await;
    for (lie, why) in [
        (Lie::Html(200), "HTML"),
        (Lie::Html(404), "404"),
        (Lie::Half, "the middle"),
        (Lie::WrongTypes, "does not say how many"),
        (Lie::Redirect, "redirect"),
    ] {
        liar.tell(all(lie));
        world
            .until(&format!("{lie:?} is told"), async |world| {
                let (state, detail) = connection(world).await;
                state == "degraded" && detail.contains(why) && detail.contains("ANSWER_UNUSABLE")
            })
            .await;
        world
            .run("INSERT INTO salesforce.account (name, external_id__c) SELECT 'N' || n, gen_random_uuid()::text FROM generate_series(1, 20) n")
            .await;
        until_told(&mut world, &liar, 2).await;
        let listed = "SELECT count(*) FROM syncdeck.error WHERE resolved_at IS NULL AND code = 'ANSWER_UNUSABLE' AND mapping = ''";
        // An answer that was on its way before the lies may have ended it for a moment.
        world.until_count(&format!("{lie:?} is listed"), listed, 1).await;
        liar.tell(Story::default());
        world
            .until("the first good answer ends it", async |world| {
                connection(world).await == ("ok".to_owned(), String::new())
            })
            .await;
        // What goes now is answered in truth; the next lie is about what comes after it.
        world.until("what waited is sent", async |world| world.store.unsent().await.unwrap() == 0).await;
    }
    // An object is not gone because a gateway does not find it.
    assert_eq!(world.count("SELECT count(*) FROM syncdeck.error WHERE code LIKE 'OBJECT%'").await, 0);
    assert_eq!(world.count("SELECT count(*) FROM syncdeck.unit WHERE lost > 0").await, 0);
    assert_eq!(liar.strayed(), 0);
    world.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_to_writes_alone_that_are_none_lose_no_record() {
    let (mut world, liar) = World::lied_to("writes alone").await;
    world.engine().await;
    world.application.start(2, world.seed, Duration::from_millis(30));
    for lie in [Lie::OneLess, Lie::MixedUp, Lie::Stranger, Lie::Nulls, Lie::Broken] {
        liar.tell(Story { lie: Some(lie), of_ten: 5, writes: Some(true), ..Story::default() });
        until_told(&mut world, &liar, 2).await;
    }
    liar.tell(Story::default());
    world.judge().await;
    let lost = world.count("SELECT count(*) FROM syncdeck.attempt WHERE outcome = 'lost'").await;
    assert!(lost > 0, "no answer was lost, so nothing was proved");
}

/// A text of the org's, and half of a character, a NUL, and a byte of no text that stand for it on the way.
const NO_TEXT: [(&str, &str); 3] = [("(half)", "\\ud83d"), ("(nul)", "\\u0000"), ("(raw)", "\u{1}")];

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_is_no_text_costs_its_record_and_page_nothing_and_is_told_once() {
    let (mut world, liar) = World::lied_to("no text").await;
    liar.tell(Story { texts: NO_TEXT.to_vec(), ..Story::default() });
    for number in 0..50 {
        let name = match number {
            17 => "cut (half)".to_owned(),
            18 => "nul (nul)!".to_owned(),
            19 => "control (raw)".to_owned(),
            _ => format!("N{number}"),
        };
        let fields =
            [("Name".to_owned(), json!(name)), ("External_Id__c".to_owned(), json!(format!("K{number}")))];
        world.org.user_create("Account", fields.into_iter().collect()).unwrap();
    }
    // On the first load, and on a poll.
    world.engine().await;
    let sql = "SELECT string_agg(name, '|' ORDER BY external_id__c) FROM salesforce.account WHERE external_id__c IN ('K17', 'K18', 'K19')";
    world.until_text("they are read", sql, "cut \u{FFFD}|nul \u{FFFD}!|control \u{1}").await;
    world.until_count("all of the page", "SELECT count(*) FROM salesforce.account", 50).await;
    let id = world.org.find_by_external_id("Account", "K3").unwrap();
    world.user_writes("Account", &id, "Description", json!("(half)(half) end"));
    let sql = "SELECT description FROM salesforce.account WHERE external_id__c = 'K3'";
    world.until_text("it is read", sql, "\u{FFFD}\u{FFFD} end").await;
    let told = format!(
        "SELECT count(*) FROM syncdeck.log WHERE fields->>'sfid' = '{id}' AND fields->>'field' = 'Description'"
    );
    world.until_count("its record and field are told", &told, 1).await;
    // Further polls meet it again within the look-back.
    polled_twice(&mut world).await;
    assert_eq!(world.count(&told).await, 1);
    world.until("it is well", async |world| connection(world).await.0 == "ok").await;
    assert_eq!(world.count("SELECT count(*) FROM syncdeck.error WHERE resolved_at IS NULL").await, 0);
}

/// Waits until every mapping was read twice more.
async fn polled_twice(world: &mut World) {
    for _ in 0..2 {
        let last = world.text("SELECT min(last_read)::text FROM syncdeck.mapping").await;
        world
            .until("another poll", async |world| {
                let sql = "SELECT min(last_read)::text FROM syncdeck.mapping";
                world.sql.query_one(sql, &[]).await.unwrap().get::<_, Option<String>>(0) > last
            })
            .await;
    }
}

/// The next records are refused in these words.
fn refuse(world: &World, message: &str, times: u32) {
    let code = "FIELD_CUSTOM_VALIDATION_EXCEPTION".to_owned();
    let refusal = Refusal { code, message: message.to_owned(), fields: Vec::new(), times };
    world.org.change_faults(|faults| faults.refuse = Some(refusal));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejection_whose_words_are_no_text_stays_a_rejection_and_the_others_of_its_batch_lose_nothing() {
    let (mut world, liar) = World::lied_to("poison words").await;
    // Five are refused, once: a slow machine is not to lose that answer with its claim.
    world.limits = "request_timeout = \"30s\"\nlease = \"90s\"".to_owned();
    world.engine().await;
    liar.tell(Story { texts: NO_TEXT.to_vec(), ..Story::default() });
    refuse(&world, "(nul)(half)(nul) is no name", 5);
    world
        .run(
            "INSERT INTO salesforce.contact (lastname, external_id__c)
             SELECT 'N' || n, 'K' || n FROM generate_series(1, 100) n",
        )
        .await;
    let listed = "SELECT count(*) FROM syncdeck.error WHERE code = 'FIELD_CUSTOM_VALIDATION_EXCEPTION'
         AND message = '\u{FFFD}\u{FFFD}\u{FFFD} is no name' AND state = 'open'";
    world.until_count("five are refused, in words that can be read", listed, 5).await;
    world.until("the others are there", async |world| world.org.ids("Contact").len() == 95).await;
    world
        .until_count(
            "each row says so",
            "SELECT count(*) FROM salesforce.contact WHERE _hc_err IS NOT NULL",
            5,
        )
        .await;
    let attempts = "SELECT max(n) FROM (SELECT count(*) n FROM syncdeck.attempt GROUP BY record_id) a";
    assert_eq!(world.count(attempts).await, 1, "something was sent again");
    world.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_postgresql_refuses_stands_alone_and_its_record_is_not_sent_again() {
    let mut world = World::new("refused answer").await;
    // It takes some transactions to find both; a slow machine is not to lose its claim meanwhile.
    world.limits = "request_timeout = \"10s\"\nlease = \"30s\"".to_owned();
    world.engine().await;
    refuse(&world, "poison, says the org", 1);
    // What a trigger or a constraint of somebody's may do to our own tables: one is accepted, one is refused.
    world
        .run(
            "ALTER TABLE syncdeck.attempt ADD CHECK (request::text !~ 'Poison') NOT VALID;
             ALTER TABLE syncdeck.error ADD CHECK (message !~ 'poison') NOT VALID;
             INSERT INTO salesforce.contact (lastname, external_id__c)
             SELECT CASE n WHEN 31 THEN 'Poison' ELSE 'N' || n END, 'K' || n FROM generate_series(1, 120) n",
        )
        .await;
    world.until("all but one are there", async |world| world.org.ids("Contact").len() == 119).await;
    let unsent = "SELECT count(*) FROM syncdeck.unit WHERE state <> 'failed'";
    world.until_count("nothing is in the air", unsent, 0).await;
    let rows = "SELECT count(*) FROM salesforce.contact WHERE sfid IS NOT NULL AND _hc_err IS NULL";
    let printed = world.printed();
    assert_eq!(world.count(rows).await, 119, "{printed}");
    let journal = world.org.journal_since(0);
    let mut written: Vec<&str> = journal.iter().map(|entry| entry.id.as_str()).collect();
    written.sort_unstable();
    let twice = written.windows(2).find(|two| two[0] == two[1]).map(|two| two[0]);
    assert_eq!(twice, None, "an accepted record was sent again");
    let told = "SELECT string_agg(message, '; ') FROM syncdeck.error WHERE code = 'ANSWER_NOT_KEPT' AND resolved_at IS NULL";
    let told = world.text(told).await.unwrap();
    assert!(told.contains("constraint ") && told.contains("_check") && !told.contains("oison"), "{told}");
    let refused = "SELECT e.code FROM syncdeck.error e JOIN salesforce.contact c ON c.id = e.record_id
         WHERE c.sfid IS NULL AND c._hc_lastop = 'FAILED' AND e.resolved_at IS NULL AND e.table_name = 'contact'";
    assert_eq!(world.text(refused).await.as_deref(), Some("FIELD_CUSTOM_VALIDATION_EXCEPTION"));
    let logged = "SELECT count(*) FROM syncdeck.log WHERE message LIKE 'the answer for row % kept in part'";
    world.until_count("both are in the log", logged, 2).await;
    world.run("ALTER TABLE syncdeck.attempt DROP CONSTRAINT attempt_request_check; ALTER TABLE syncdeck.error DROP CONSTRAINT error_message_check").await;
    world.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_of_ages_ends_in_minutes_or_with_a_person() {
    let (mut world, liar) = World::lied_to("long pause").await;
    world.engine().await;
    liar.tell(all(Lie::LongPause));
    world.until("it pauses", async |world| connection(world).await.0 == "down").await;
    // What fails beside it waits for what is left of that.
    let pause = "SELECT max(split_part(fields->>'pause', ' ', 1)::numeric)::text || ' s' FROM syncdeck.log WHERE fields ? 'pause'";
    world.until_text("minutes at most", pause, "300.0 s").await;
    assert!(world.engines[0].is_running());
    let told = liar.told();
    liar.tell(Story::default());
    // Nobody waits for five minutes here: SIGHUP says that it is over.
    world.engines[0].signal(Signal::SIGHUP);
    world.until("it is tried again", async |world| connection(world).await.0 == "ok").await;
    assert!(liar.told() - told < 5, "it went on asking");
    let usage = "SELECT api_limit FROM syncdeck.engine ORDER BY seen_at DESC LIMIT 1";
    world
        .until("the limits are the org's", async |world| {
            world.sql.query_one(usage, &[]).await.unwrap().get::<_, Option<i64>>(0) == Some(100_000)
        })
        .await;
    world.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stamps_in_the_future_let_nobody_miss_what_comes() {
    let (mut world, liar) = World::lied_to("the future").await;
    for key in ["A", "B"] {
        let fields = [("Name".to_owned(), json!("before")), ("External_Id__c".to_owned(), json!(key))];
        world.org.user_create("Account", fields.into_iter().collect()).unwrap();
    }
    liar.tell(all(Lie::Future));
    world.engine().await;
    polled_twice(&mut world).await;
    liar.tell(Story::default());
    let id = world.org.find_by_external_id("Account", "A").unwrap();
    world.user_writes("Account", &id, "Name", json!("after"));
    let name = "SELECT name FROM salesforce.account WHERE external_id__c = 'A'";
    world.until_text("a change is read", name, "after").await;
    world.org.user_delete("Account", &world.org.find_by_external_id("Account", "B").unwrap()).unwrap();
    world.until_count("a delete is read", "SELECT count(*) FROM salesforce.account", 1).await;
    world.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_would_fill_the_memory_is_let_go_of() {
    let (mut world, liar) = World::lied_to("memory").await;
    world.engine().await;
    for lie in [Lie::Endless, Lie::Bomb, Lie::ManyValues, Lie::Deep, Lie::EndlessHeaders] {
        liar.tell(all(lie));
        until_told(&mut world, &liar, 2).await;
        world.until("it is told", async |world| connection(world).await.0 != "ok").await;
        liar.tell(Story::default());
        world.until("it is well again", async |world| connection(world).await.0 == "ok").await;
        let peak = world.engines[0].peak();
        assert!(peak < MEMORY, "{lie:?}: it held {peak} MiB");
    }
    world.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn long_values_go_a_few_at_a_time_in_bounded_memory() {
    let mut world = World::new("long values").await;
    world.limits = "request_timeout = \"10s\"\nlease = \"30s\"".to_owned();
    world.statement_timeout = "20s";
    world.org.retype_to_text("Account", "Description", 10_400_000);
    world.engine().await;
    let before = world.engines[0].peak();
    world
        .run(
            "INSERT INTO salesforce.account (name, external_id__c, description)
             SELECT 'N' || n, 'L' || n, repeat(chr(96 + n), 2500000) FROM generate_series(1, 10) n",
        )
        .await;
    world.until("all are there", async |world| world.org.ids("Account").len() == 10).await;
    world.until_count("and acknowledged", "SELECT count(*) FROM syncdeck.unit", 0).await;
    // All at once they are 25 MB, and many times as much on their way.
    let grown = world.engines[0].peak() - before;
    assert!(grown < 300, "it grew by {grown} MiB");
    let calls: BTreeSet<u64> = world.org.journal_since(0).iter().map(|entry| entry.request).collect();
    assert!(calls.len() >= 4, "{calls:?}");
}
