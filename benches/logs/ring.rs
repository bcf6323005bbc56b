//! The log in memory: filters of a million lines, and what it takes while ten millions pass.

use std::hint::black_box;

use syncdeck::logs::ELSEWHERE;
use syncdeck::logs::line::LogFilter;
use syncdeck::logs::ring::{self, Ring};

use super::mix::{each_packed, each_record, text};
use super::{TIMES, a_line, figure, medians, passed};

/// Lines that are filtered.
const MANY: usize = 1_000_000;
/// Within so many milliseconds.
const WITHIN: u32 = 50;
/// Lines that pass.
const PASSING: usize = 10_000_000;
/// The default of `console.log_memory`, in bytes.
const CAP: usize = 64 << 20;
/// Filters, and what a plain search for the same would look for.
const FILTERS: [(&str, &str); 6] = [
    ("status>=500", "status=500"),
    ("reserved", "reserved"),
    ("timeout", "timeout"),
    ("addon:postgresql-round-12345", "addon=postgresql-round-12345"),
    ("level:error", "ERROR"),
    ("error", "error"),
];

pub fn filters() {
    let (text, lines) = text(MANY);
    let mut ring = Ring::new(1 << 30);
    each_packed(&text, |packed| ring.push_packed(packed, ELSEWHERE));
    let snapshot = ring.snapshot();
    for (typed, plain) in FILTERS {
        let filter = LogFilter::parse_any(typed).unwrap();
        let finder = memchr::memmem::Finder::new(plain);
        let [scan, search] = medians(
            passed,
            [
                &mut || {
                    black_box(finder.find_iter(text.as_bytes()).count());
                },
                &mut || drop(black_box(ring::search(&snapshot, &filter))),
            ],
        );
        let name = format!(
            "ring: {typed:?} over a million lines on two threads in {:.1} ms, of {WITHIN} wanted",
            search.as_secs_f64() * 1e3
        );
        a_line(&name, search, ("a plain search of the same bytes", scan), lines, 4.0);
    }
}

pub fn memory() {
    let (text, lines) = text(PASSING / 20);
    let mut ring = Ring::new(CAP);
    let begin = resident();
    let (mut held, mut taken, mut passed) = (0, 0, 0);
    while passed < PASSING {
        each_record(&text, |record| {
            ring.push(&record);
            held = held.max(ring.bytes());
        });
        passed += lines;
        taken = taken.max(resident().saturating_sub(begin));
    }
    told("ten million lines", held, taken);
    drop(ring);
    let mut ring = Ring::new(CAP);
    let begin = resident();
    let (mut held, mut taken) = (0, 0);
    // A stream without line ends is cut into such lines.
    let long = format!("{}\n", "x".repeat(1 << 20)).repeat(50);
    for _ in 0..TIMES * 4 {
        each_record(&long, |record| {
            ring.push(&record);
            held = held.max(ring.bytes());
        });
        taken = taken.max(resident().saturating_sub(begin));
    }
    told("a thousand lines of 1 MB", held, taken);
}

fn told(what: &str, held: usize, taken: usize) {
    let mb = |bytes: usize| bytes as f64 / f64::from(1 << 20);
    let cap = ("the configured limit", mb(CAP));
    figure(&format!("memory: held while {what} pass"), mb(held), "MB", cap, 1.1);
    figure(&format!("memory: the process grew while {what} passed"), mb(taken), "MB", cap, 2.5);
}

/// Bytes of the process in memory.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}
