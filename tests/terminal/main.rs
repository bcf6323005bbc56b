//! The whole, by keys in real terminals: on a pseudo-terminal, under a shell, through tmux and through sshd. The screen
//! is read as a person would, the effect from PostgreSQL and from the org's journal.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]
#![allow(clippy::disallowed_macros, reason = "a test says what it skips")]

mod adopt;
mod connections;
mod demo;
mod engines;
mod foreign;
mod harm;
mod heroku;
mod keys;
mod loops;
mod rebind;
mod resume;
mod screen;
mod shadow;
mod ssh;
#[path = "../support/mod.rs"]
mod support;
mod terminal_compat;
mod workspace;
#[allow(dead_code, reason = "each way of testing uses its part of what is shared")]
#[path = "../sync/world.rs"]
mod world;
