//! Engines that die, stall and compete.

use std::time::Duration;

use nix::sys::signal::Signal;
use syncdeck::postgres::failpoint;
use tokio::time::Instant;

use crate::world::{LEASE, LONGEST, World, span};

/// Between two transactions of a writer.
const PACE: Duration = Duration::from_millis(20);

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_killed_at_random_loses_and_doubles_nothing() {
    let mut world = World::new("killed at random").await;
    world.engine().await;
    world.application.start(3, world.seed, PACE);
    let end = Instant::now() + span(6.0);
    let mut kills = 0;
    while Instant::now() < end || kills < 5 || world.application.commits() <= 100 {
        world.random_pause(Duration::from_millis(900)).await;
        world.kill_and_restart(0);
        kills += 1;
    }
    world.judge().await;
}

/// Has an engine meet each failpoint in turn, at least once.
async fn meet_each(world: &mut World, action: &str) {
    for point in failpoint::ALL {
        let before = world.printed().matches(&format!("failpoint {point}:")).count();
        world.rearm(0, &format!("{point}={action}"));
        world
            .until(&format!("the engine meets {point}"), async |world| {
                world.printed().matches(&format!("failpoint {point}:")).count() > before
            })
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_dies_at_each_step_loses_and_doubles_nothing() {
    let mut world = World::new("dies at each step").await;
    world.engine().await;
    world.org.change_faults(|faults| faults.latency_ms = 20);
    world.application.start(3, world.seed, PACE);
    meet_each(&mut world, "kill@0.5").await;
    world.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_fails_at_each_step_loses_and_doubles_nothing() {
    let mut world = World::new("fails at each step").await;
    world.engine().await;
    world.application.start(3, world.seed, PACE);
    meet_each(&mut world, "fail@0.3").await;
    world.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_delayed_beyond_its_lease_at_each_step_sends_nothing_old() {
    let mut world = World::new("delayed at each step").await;
    world.engine().await;
    world.application.start(3, world.seed, PACE);
    let wait = LEASE + Duration::from_millis(500);
    let armed: Vec<String> =
        failpoint::ALL.iter().map(|point| format!("{point}=wait:{}@0.06", wait.as_millis())).collect();
    world.rearm(0, &armed.join(" "));
    world.start_engine(&armed.join(" "));
    world.start_engine("");
    tokio::time::sleep(span(LONGEST)).await;
    world
        .until("most failpoints were met, and a result came too late", async |world| {
            let printed = world.printed();
            let met = failpoint::ALL
                .iter()
                .filter(|point| printed.contains(&format!("failpoint {point}:")))
                .count();
            let fenced = world.store.counters().await.unwrap().get("fenced").copied();
            met >= 6 && fenced.is_some_and(|fenced| fenced > 0)
        })
        .await;
    world.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_stopped_longer_than_its_lease_and_resumed_is_fenced() {
    let mut world = World::new("stopped and resumed").await;
    world.engine().await;
    world.org.change_faults(|faults| faults.latency_ms = 200);
    world.application.start(2, world.seed, PACE);
    loop {
        world
            .until("a unit is in flight", async |world| {
                let sql = "SELECT count(*) FROM syncdeck.unit WHERE state = 'inflight'";
                world.sql.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) > 0
            })
            .await;
        world.engines[0].signal(Signal::SIGSTOP);
        // A statement that is under way in the server may still end, and with it the flight.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let busy = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
             AND application_name LIKE 'syncdeck engine%' AND state = 'active'";
        world.until_count("the server is done with what it was told", busy, 0).await;
        // What it holds now; the other one takes that over when the lease runs out.
        world
            .run(
                "DROP TABLE IF EXISTS held;
                 CREATE TABLE held AS SELECT DISTINCT token FROM syncdeck.unit WHERE state = 'inflight'",
            )
            .await;
        if world.count("SELECT count(*) FROM held").await > 0 {
            break;
        }
        world.engines[0].signal(Signal::SIGCONT);
    }
    world.start_engine("");
    let held =
        "SELECT count(*) FROM syncdeck.unit WHERE state = 'inflight' AND token IN (SELECT token FROM held)";
    world.until_count("its lease has passed on", held, 0).await;
    world.engines[0].signal(Signal::SIGCONT);
    world
        .until("the resumed engine's results are dropped", async |world| {
            let counters = world.store.counters().await.unwrap();
            counters.get("fenced").is_some_and(|fenced| *fenced > 0)
        })
        .await;
    world.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_three_engines_is_killed_and_the_others_take_over() {
    let mut world = World::new("killed among three").await;
    world.engine().await;
    world.start_engine("");
    world.start_engine("");
    world.application.start(4, world.seed, PACE);
    let end = Instant::now() + span(4.0);
    while Instant::now() < end {
        world.random_pause(Duration::from_millis(800)).await;
        let victim = rand::RngExt::random_range(&mut world.dice, 0..3);
        world.kill_and_restart(victim);
    }
    // One for good, in the middle of its work; what it held is with the others within its lease, reads included.
    world.engines[0].signal(Signal::SIGKILL);
    world.engines.remove(0).forget();
    world.application.finish().await;
    world
        .until("what the dead one held is sent", async |world| world.store.unsent().await.unwrap() == 0)
        .await;
    world.judge().await;
}
