//! The console by keys: `update` as a pure function, the drawn screen by snapshots, the whole loop with a fake
//! terminal.

mod alerts;
mod beside;
mod clipboard;
mod columns;
mod compared;
mod doubt;
mod duplicates;
mod fuzz;
mod groups;
mod guarantees;
mod harm;
mod heroku;
mod lines;
mod lists;
mod log_sources;
mod looks;
mod loops;
mod pointer;
mod scenes;
mod screens;
mod setup;
mod triage;
mod unfold;
mod world;
