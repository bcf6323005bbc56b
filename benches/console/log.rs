//! The log in memory: what a million lines take, and how long a filter of them takes.

use std::time::Instant;

use chrono::{DateTime, TimeDelta};
use serde_json::json;
use syncdeck::console::effect::Effect;
use syncdeck::console::panes::log::LogPane;
use syncdeck::logs::{Level, LogRecord, ring};

use super::{TIMES, figure, ms, percentile};

/// Lines.
const MANY: i64 = 1_000_000;
/// The default cap, in bytes.
const CAP: usize = 64 << 20;

fn record(id: i64) -> LogRecord {
    let fields = json!({"mapping": "Contact", "row": id, "batch": format!("{:08x}", id / 200), "code": "INVALID_EMAIL_ADDRESS"});
    LogRecord {
        id,
        time: DateTime::UNIX_EPOCH + TimeDelta::milliseconds(id),
        level: if id % 50 == 0 { Level::Warn } else { Level::Info },
        source: "syncdeck".to_owned(),
        dyno: if id % 3 == 0 { "reader" } else { "writer" }.to_owned(),
        message: format!("{} of 200 rejected by Salesforce", id % 200),
        fields: fields.as_object().cloned().unwrap_or_default(),
    }
}

fn filled(cap: usize) -> LogPane {
    let mut pane = LogPane::new(cap);
    for page in 0..MANY / 1_000 {
        let records: Vec<LogRecord> = (page * 1_000..(page + 1) * 1_000).map(record).collect();
        pane.take(&records);
    }
    pane
}

/// What a record says, in one line of text.
fn text(record: &LogRecord) -> String {
    let fields: Vec<String> = record.fields.iter().map(|(key, value)| format!("{key}={value}")).collect();
    format!("{:?} {} {} {} {}", record.level, record.source, record.dyno, record.message, fields.join(" "))
}

/// Filters, and what a plain search for the same would look for.
const FILTERS: [(&str, &str); 6] = [
    ("level:warn", "Warn"),
    ("mapping:contact", "Contact"),
    ("rejected", "rejected"),
    ("row:4711", "row=4711"),
    ("-writer zzz", "zzz"),
    ("batch=00000a8f", "00000a8f"),
];

pub fn figures() {
    let pane = filled(CAP);
    let mb = |bytes: usize| bytes as f64 / f64::from(1 << 20);
    let cap = ("the configured cap", mb(CAP));
    figure("log: memory after a million lines", mb(pane.bytes()), "MB", cap, 1.04);
    let mut pane = filled(1 << 30);
    assert_eq!(pane.len(), MANY as usize);
    let lines: Vec<String> = (0..MANY).map(|id| text(&record(id))).collect();
    let each = |bytes: usize| bytes as f64 / MANY as f64;
    let plain = each(lines.iter().map(String::len).sum());
    figure("log: a line held", each(pane.bytes()), "bytes", ("its text", plain), 2.0);
    for (filter, word) in FILTERS {
        let [mut whole, mut held, mut scan] = [const { Vec::new() }; 3];
        for _ in 0..TIMES {
            let begin = Instant::now();
            std::hint::black_box(lines.iter().filter(|line| line.contains(word)).count());
            scan.push(ms(begin.elapsed()));
            let (took, kept) = filtered(&mut pane, filter);
            whole.push(took);
            held.push(kept);
        }
        let scan = ("a plain search of the same lines", percentile(&mut scan, 50));
        figure(&format!("log: {filter:?} over a million lines"), percentile(&mut whole, 50), "ms", scan, 4.0);
        figure(&format!("log: {filter:?} holds a key up"), percentile(&mut held, 50), "ms", scan, 0.1);
    }
}

/// Filters a log: how long it took, and the longest that it kept the console's own thread from keys.
fn filtered(pane: &mut LogPane, filter: &str) -> (f64, f64) {
    assert!(pane.set_filter("", DateTime::UNIX_EPOCH).unwrap().is_none(), "all lines were filtered");
    let begin = Instant::now();
    let effect = pane.set_filter(filter, DateTime::UNIX_EPOCH).unwrap();
    let asked = begin.elapsed();
    let Some(Effect::FilterLog { generation, upto, lines, filter: parsed }) = effect else {
        panic!("{filter}: was filtered at once")
    };
    let places = ring::search(&lines, &parsed);
    let found = Instant::now();
    pane.filtered(generation, upto, places);
    (ms(begin.elapsed()), ms(asked.max(found.elapsed())))
}
