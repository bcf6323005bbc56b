//! What really breaks: engines killed, stopped and delayed at every step, PostgreSQL's sessions and the server itself
//! taken away, both ways made bad by a proxy, an org on its worst day, operators and applications in each other's
//! way. One judge decides every test: no change lost, none applied twice, none out of order (`judge.rs`).
//!
//! `FAULT_SECONDS` (60 by default) is how long all of it may take, roughly; `FAULT_SEED` repeats a run's dice. Every
//! test tells its seed on standard error.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod application;
mod bulk;
mod bulk_writes;
mod ends;
mod engines;
mod events;
mod hostile;
mod judge;
mod liar;
mod network;
mod operators;
mod org;
mod policies;
mod proxy;
mod shapes;
#[path = "../support/mod.rs"]
mod support;
mod surroundings;
mod users;
mod world;
