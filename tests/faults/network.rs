//! The ways to PostgreSQL and to Salesforce: cut, silent, slow, and a server that crashes.

use std::time::Duration;

use rand::RngExt;
use tokio::time::Instant;

use crate::application::{ACCOUNT, CONTACT};
use crate::proxy::{Mode, Proxy};
use crate::support::new_server;
use crate::world::{MAPPINGS, World, span};

const PACE: Duration = Duration::from_millis(20);

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_are_terminated_at_random_cost_nothing() {
    let mut world = World::new("sessions terminated").await;
    world.engine().await;
    world.application.start(3, world.seed, PACE);
    let end = Instant::now() + span(4.0);
    let mut terminated = 0;
    while Instant::now() < end || terminated <= 10 {
        world.random_pause(Duration::from_millis(100)).await;
        terminated += world
            .count(
                "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity
                 WHERE datname = current_database() AND application_name LIKE 'syncdeck%' ORDER BY random() LIMIT 2) victims",
            )
            .await;
    }
    world.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_crashes_and_restarts_costs_nothing() {
    let server = new_server();
    let mut world = World::build("server crashes", server, MAPPINGS, &[ACCOUNT, CONTACT]).await;
    world.engine().await;
    world.application.start(3, world.seed, PACE);
    let end = Instant::now() + span(5.0);
    let mut crashes = 0;
    while Instant::now() < end || crashes < 2 {
        world.random_pause(Duration::from_millis(1_500)).await;
        tokio::task::spawn_blocking(move || server.crash_and_restart()).await.unwrap().unwrap();
        world.revive();
        crashes += 1;
    }
    world.reconnect().await;
    world.judge().await;
}

/// Every trouble in turn, each for a while, with rest between them.
async fn trouble(world: &mut World, proxy: &Proxy, share: f64) {
    let end = Instant::now() + span(share);
    let mut round = 0;
    while round < 6 || Instant::now() < end {
        let cut = world.dice.random_range(0..3_000);
        let (mode, time) = [
            (Mode::Delay(Duration::from_millis(40)), 600),
            (Mode::Reset, 200),
            (Mode::BlackHole, 1_200),
            (Mode::Trickle, 500),
            (Mode::HalfClose, 300),
            (Mode::CutAfter(cut), 500),
        ][round % 6];
        let before = proxy.hits();
        proxy.set(mode);
        tokio::time::sleep(Duration::from_millis(time)).await;
        world.until(&format!("{mode:?} met something"), async |_| proxy.hits() > before).await;
        proxy.set(Mode::Pass);
        world.random_pause(Duration::from_millis(400)).await;
        round += 1;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_way_to_postgresql_costs_nothing() {
    let mut world = World::new("bad way to PostgreSQL").await;
    world.engine().await;
    world.start_engine("");
    world.application.start(3, world.seed, PACE);
    let proxy = world.to_sql.clone();
    trouble(&mut world, &proxy, 6.0).await;
    world.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_way_to_salesforce_costs_nothing() {
    let mut world = World::new("bad way to Salesforce").await;
    world.engine().await;
    world.application.start(3, world.seed, PACE);
    let proxy = world.to_org.clone();
    trouble(&mut world, &proxy, 6.0).await;
    // Without one, nothing was proved.
    while world.count("SELECT count(*) FROM syncdeck.attempt WHERE outcome = 'lost'").await == 0 {
        trouble(&mut world, &proxy, 0.0).await;
    }
    world.judge().await;
}
