//! The terminal itself: taking it, giving it back whatever happens, one write a frame, signals and hang-ups.
//!
//! Two traps were reproduced and are cured here. A terminal whose SSH session dropped makes the event reader spin at
//! full CPU for ever: a watchdog thread waits for the hang-up and ends the console. And `ratatui::restore` prints its
//! failure to a dead terminal, which panics inside the panic hook and aborts: our guard ignores every failure.

pub mod background;
pub mod clicks;
pub mod clipboard;
pub mod failpoint;
pub mod guard;
pub mod hangup;
pub mod input;
pub mod writer;
