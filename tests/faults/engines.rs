//! Engines that die, stall and compete.

use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::time::Instant;

use crate::world::{LEASE, World, span};

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_killed_at_random_loses_and_doubles_nothing() {
    let mut world = World::new("killed at random").await;
    world.engine().await;
    world.application.start(3, world.seed, Duration::from_millis(20));
    let end = Instant::now() + span(7.0);
    let mut kills = 0;
    while Instant::now() < end {
        world.random_pause(Duration::from_millis(900)).await;
        world.kill_and_restart(0);
        kills += 1;
    }
    assert!(world.application.commits() > 100, "{} commits", world.application.commits());
    world.judge().await;
    eprintln!("{kills} kills, {} commits", world.application.commits());
}
