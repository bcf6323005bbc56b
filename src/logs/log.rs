//! The writing end of the log: what engine rooms hold to say what happened. Never blocks and never grows without
//! bound: when nobody stores the records fast enough, new ones are dropped and the gap is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::Utc;
use serde_json::{Map, Value};
use tokio::sync::mpsc;

use super::{Level, LogRecord};

/// How many records wait for the store at most.
const BUFFER: usize = 10_000;

/// The writing end. Cheap to clone.
#[derive(Clone)]
pub struct Log {
    sender: mpsc::Sender<LogRecord>,
    dropped: Arc<AtomicU64>,
    dyno: &'static str,
    /// What is below it is not written.
    least: Level,
}

impl Log {
    /// A log of what is of that level or above, and its reading end.
    pub fn new(least: Level) -> (Log, mpsc::Receiver<LogRecord>) {
        let (sender, receiver) = mpsc::channel(BUFFER);
        (Log { sender, dropped: Arc::default(), dyno: "engine", least }, receiver)
    }

    /// The same log, speaking for a part of the engine.
    pub fn of(&self, dyno: &'static str) -> Log {
        Log { dyno, ..self.clone() }
    }

    /// For whoever looks for a fault.
    pub fn debug(&self, message: impl Into<String>, fields: Value) {
        self.write(Level::Debug, message.into(), fields);
    }

    /// It went as it should.
    pub fn info(&self, message: impl Into<String>, fields: Value) {
        self.write(Level::Info, message.into(), fields);
    }

    /// Worth a look.
    pub fn warn(&self, message: impl Into<String>, fields: Value) {
        self.write(Level::Warn, message.into(), fields);
    }

    /// A person must act.
    pub fn error(&self, message: impl Into<String>, fields: Value) {
        self.write(Level::Error, message.into(), fields);
    }

    fn write(&self, level: Level, message: String, fields: Value) {
        if level < self.least {
            return;
        }
        let fields = match fields {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        let missed = self.dropped.swap(0, Ordering::Relaxed);
        if missed > 0 {
            let dropped = i64::try_from(missed).unwrap_or(i64::MAX);
            let gap = LogRecord::gap(dropped, Utc::now(), self.dyno, "too many came at once");
            if self.sender.try_send(gap).is_err() {
                self.dropped.fetch_add(missed, Ordering::Relaxed);
            }
        }
        if self.sender.try_send(record(level, self.dyno, message, fields)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// One record, for whoever has no log at hand.
pub fn record(level: Level, dyno: &str, message: String, fields: Map<String, Value>) -> LogRecord {
    LogRecord {
        id: 0,
        time: Utc::now(),
        level,
        source: super::OWN_SOURCE.to_owned(),
        dyno: dyno.to_owned(),
        message,
        fields,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_below_the_least_level_is_not_written() {
        for (least, written) in [(Level::Debug, 2), (Level::Info, 1), (Level::Error, 0)] {
            let (log, mut records) = Log::new(least);
            log.debug("a round", json!({}));
            log.of("writer").info("3 accepted", json!({}));
            let count = std::iter::from_fn(|| records.try_recv().ok()).count();
            assert_eq!(count, written, "{least:?}");
        }
    }

    #[test]
    fn what_is_lost_is_told_where_it_was_lost() {
        let (log, mut records) = Log::new(Level::Info);
        for number in 0..BUFFER + 7 {
            log.info("line", json!({"number": number}));
        }
        for _ in 0..BUFFER {
            assert_eq!(records.try_recv().unwrap().message, "line");
        }
        log.info("next", json!({}));
        let gap = records.try_recv().unwrap();
        assert_eq!((gap.level, gap.fields["dropped"].clone()), (Level::Warn, json!(7)));
        assert_eq!(records.try_recv().unwrap().message, "next");
    }
}
