//! Failpoints: named places where a test lets the console panic. They exist in debug builds only; in a release build
//! each is an empty function.
//!
//! `SYNCDECK_FAILPOINTS="console_key=panic"` arms one; the engine's own are in the same variable.

/// When a key came.
pub const KEY: &str = "console_key";
/// In a task beside the loop.
pub const TASK: &str = "console_task";

/// Passes a failpoint.
#[cfg(not(debug_assertions))]
pub fn pass(_: &str) {}

/// Passes a failpoint: panics when it is armed.
#[cfg(debug_assertions)]
pub fn pass(name: &str) {
    let points = std::env::var("SYNCDECK_FAILPOINTS").unwrap_or_default();
    let armed = points.split_whitespace().any(|point| point.split_once('=') == Some((name, "panic")));
    assert!(!armed, "the failpoint {name} is set to panic");
}
