//! The console by keys: `update` as a pure function, the drawn screen by snapshots, the whole loop with a fake
//! terminal.

mod anything;
mod clipboard;
mod doubt;
mod harm;
mod lines;
mod lists;
mod looks;
mod loops;
mod pointer;
mod reliance;
mod scenes;
mod screens;
mod world;
