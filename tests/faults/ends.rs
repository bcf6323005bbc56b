//! Ends: of a part that breaks, and of the program when it is told to end, whatever it is at.

use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::time::Instant;

use crate::proxy::Mode;
use crate::support::Patience;
use crate::world::World;

/// What is promised to whoever stops the service.
const TERMINATED_WITHIN: Duration = Duration::from_secs(10);

/// The longest time that one look counts for: what it takes beyond that, the machine stood still.
const LOOK: Duration = Duration::from_millis(50);

/// Waits for the first engine's end, and tells its status and how long it took.
async fn end_of(world: &mut World) -> (std::process::ExitStatus, Duration) {
    let mut took = Duration::ZERO;
    loop {
        if let Some(status) = world.engines[0].status() {
            return (status, took);
        }
        assert!(took < Duration::from_secs(40), "it does not end");
        let looked = Instant::now();
        tokio::time::sleep(Duration::from_millis(10)).await;
        took += looked.elapsed().min(LOOK);
    }
}

/// Waits until an engine that ended counts as stopped, by its last words or by its silence. Whether it said so: what it
/// tells at its end has little time, and a slow machine may cut it short.
async fn said_its_end(world: &mut World) -> bool {
    let patience = Patience::new();
    while world.store.overview().await.unwrap().engine.state.word() != "stopped" {
        assert!(!patience.is_over(), "an engine that ended counts as running");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let state = "SELECT state FROM syncdeck.engine ORDER BY seen_at DESC LIMIT 1";
    world.text(state).await.as_deref() == Some("stopped")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_panics_ends_the_program_with_a_report_and_status_1() {
    let mut world = World::new("a part panics").await;
    world.engine().await;
    for point in ["after_claim", "before_cursor", "mid_acknowledge"] {
        world.rearm(0, &format!("{point}=panic"));
        world
            .run(
                "INSERT INTO salesforce.account (name, external_id__c) VALUES ('N', gen_random_uuid()::text)",
            )
            .await;
        let (status, _) = end_of(&mut world).await;
        assert_eq!(status.code(), Some(1), "{point}");
        let printed = world.printed();
        assert!(printed.contains(&format!("the failpoint {point} is set to panic")), "{printed}");
        assert!(printed.contains("the engine ended by itself: its part"), "{printed}");
        let listed = "SELECT count(*) FROM syncdeck.log WHERE message = 'the engine ended by itself'";
        if said_its_end(&mut world).await {
            assert!(world.count(listed).await > 0, "the log says nothing");
        }
    }
    // Whoever supervises it starts it again, and nothing is lost.
    world.disarm();
    world.judge().await;
}

/// Has the engine at work for as long as it likes.
fn patient(world: &mut World) {
    world.limits = "request_timeout = \"30s\"\nlease = \"90s\"".to_owned();
    world.statement_timeout = "30s";
}

/// Ends the engine and looks whether that took no longer than is promised.
async fn terminate(world: &mut World, what: &str) {
    world.engines[0].signal(Signal::SIGTERM);
    let (status, took) = end_of(world).await;
    assert!(took < TERMINATED_WITHIN, "{what}: it took {took:?}");
    // One that was told to end did as it was told.
    assert_eq!(status.code(), Some(0), "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_it_within_seconds_while_salesforce_hangs() {
    let mut world = World::new("end while the org hangs").await;
    patient(&mut world);
    world.engine().await;
    // In the middle of reads, and of a write in flight.
    world.org.change_faults(|faults| faults.latency_ms = 60_000);
    world.run("INSERT INTO salesforce.account (name, external_id__c) VALUES ('N', 'K1')").await;
    world
        .until_count("it is in flight", "SELECT count(*) FROM syncdeck.unit WHERE state = 'inflight'", 1)
        .await;
    terminate(&mut world, "a write in flight").await;
    // While it signs in.
    world.to_org.set(Mode::Delay(Duration::from_millis(1)));
    let hits = world.to_org.hits();
    world.start_again();
    world.until("it has asked", async |world| world.to_org.hits() > hits).await;
    terminate(&mut world, "signing in").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_it_within_seconds_while_postgresql_hangs() {
    let mut world = World::new("end while postgresql hangs").await;
    patient(&mut world);
    world.engine().await;
    let hits = world.to_sql.hits();
    world.to_sql.set(Mode::BlackHole);
    world.until("its queries are lost", async |world| world.to_sql.hits() > hits + 2).await;
    terminate(&mut world, "a silent PostgreSQL").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_it_within_seconds_while_answers_trickle_and_a_batch_that_is_answered_is_kept() {
    let mut world = World::new("end while answers trickle").await;
    patient(&mut world);
    world.start_engine("after_send=wait:1");
    world.until_loaded().await;
    world.org.change_faults(|faults| faults.latency_ms = 300);
    world.run("INSERT INTO salesforce.account (name, external_id__c) SELECT 'N', 'K' || n FROM generate_series(1, 20) n").await;
    world
        .until("they are on their way", async |world| world.printed().contains("failpoint after_send"))
        .await;
    terminate(&mut world, "an answer that comes in time").await;
    // A row that a reader had locked is written later; what is to be written there is kept.
    let known = "SELECT count(*) FROM salesforce.account WHERE sfid IS NOT NULL OR id IN (
         SELECT record_id FROM syncdeck.unit WHERE table_name = 'account' AND state = 'writeback')";
    let printed = world.printed();
    assert_eq!(world.count(known).await, 20, "an answer that came in time is lost:\n{printed}");
    world.org.change_faults(|faults| faults.latency_ms = 0);
    world.start_again();
    world.until_loaded().await;
    world.to_org.set(Mode::Trickle);
    let hits = world.to_org.hits();
    world.until("bytes trickle", async |world| world.to_org.hits() > hits).await;
    terminate(&mut world, "answers that trickle").await;
    world.judge().await;
}
