//! How fast lines of other programs are read, filtered and held: `cargo bench --bench logs`, or only some parts:
//! `cargo bench --bench logs -- parse ring memory drain flood sync`. One JSON line a figure. What is a time or a size stands beside
//! the same of a peer that was measured in the same run, and its limit is a ratio to it; what can be counted has a plain
//! limit. Beside a time stands how many lines that is in a second of one core, which says nothing about another machine.
//!
//! `parse` bytes to entries, to records, and through a filter; `ring` filters over a million lines in memory; `memory` what
//! the ring takes while ten million lines pass; `drain` what Heroku's log router can send; `flood` ten million lines through the
//! console's log, and its frames meanwhile; `sync` how long a change takes to the org beside a flood.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench that cannot go on ends")]
#![allow(clippy::disallowed_macros, reason = "a bench prints its figures")]

mod drain;
#[path = "../shared/figures.rs"]
mod figures;
mod flood;
mod mix;
mod parse;
mod ring;
#[path = "../shared/writing.rs"]
mod writing;

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use figures::figure;

/// How often each is measured; the median is told.
const TIMES: usize = 5;

/// The same of a time for so many lines, told for one of them.
fn a_line(name: &str, took: Duration, (peer, beside): (&str, Duration), lines: usize, limit: f64) {
    let of_one = |took: Duration| took.as_secs_f64() * 1e9 / lines as f64;
    let name = format!("{name} ({:.0} lines/s)", lines as f64 / took.as_secs_f64());
    figure(&name, of_one(took), "ns/line", (peer, of_one(beside)), limit);
}

/// What tells how long something takes.
type Clock = fn() -> Duration;

/// The time that passes.
fn passed() -> Duration {
    static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    BEGIN.elapsed()
}

/// How long this thread has worked, whatever else the machine does; exact to a few milliseconds.
fn worked() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(told.split(' ').next().unwrap().parse().unwrap())
}

/// The medians of how long things take that are done in turn.
fn medians<const N: usize>(clock: Clock, mut things: [&mut dyn FnMut(); N]) -> [Duration; N] {
    let mut took = [const { Vec::new() }; N];
    for _ in 0..TIMES {
        for (thing, took) in things.iter_mut().zip(&mut took) {
            let begin = clock();
            thing();
            took.push(clock() - begin);
        }
    }
    took.map(|mut took| {
        took.sort();
        took[took.len() / 2]
    })
}

fn main() {
    let named: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wanted = |part: &str| named.is_empty() || named.iter().any(|word| word == part);
    // First, while the process is small: it looks at what the process takes.
    if wanted("memory") {
        ring::memory();
    }
    if wanted("parse") {
        parse::figures();
    }
    if wanted("ring") {
        ring::filters();
    }
    if wanted("drain") {
        drain::figures();
    }
    if wanted("flood") {
        flood::pane();
    }
    if wanted("sync") {
        flood::sync();
    }
}
