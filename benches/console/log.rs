//! The log in memory: what a million lines take, and how long a filter of them takes.

use std::time::Instant;

use chrono::{DateTime, TimeDelta};
use serde_json::json;
use syncdeck::console::effect::Effect;
use syncdeck::console::panes::log::LogPane;
use syncdeck::logs::{Level, LogRecord, ring};

use super::figure;

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

pub fn figures() {
    let pane = filled(CAP);
    let mb = |bytes: usize| bytes as f64 / f64::from(1 << 20);
    figure("log: memory after a million lines, capped at 64 MB", mb(pane.bytes()), "MB", 66.0);
    let mut pane = filled(1 << 30);
    assert_eq!(pane.len(), MANY as usize);
    figure("log: a line held", pane.bytes() as f64 / MANY as f64, "bytes", 250.0);
    for filter in ["level:warn", "mapping:contact", "rejected", "row:4711", "-writer zzz", "batch=00000a8f"] {
        let begin = Instant::now();
        let effect = pane.set_filter(filter).unwrap();
        let asked = begin.elapsed();
        let Some(Effect::FilterLog { generation, upto, lines, filter: parsed }) = effect else {
            panic!("{filter}: was filtered at once")
        };
        let places = ring::search(&lines, &parsed);
        let found = Instant::now();
        pane.filtered(generation, upto, places);
        let taken = found.elapsed();
        let whole = begin.elapsed();
        let ms = |time: std::time::Duration| time.as_secs_f64() * 1000.0;
        figure(&format!("log: {filter:?} over a million lines"), ms(whole), "ms", 100.0);
        figure(&format!("log: {filter:?} holds a key up"), ms(asked.max(taken)), "ms", 8.0);
    }
}
