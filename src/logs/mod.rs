//! Log records: what one is, where they come from, how hostile text in them is made harmless. The engine's own
//! events pass through here to the log store and to every console; lines of other programs are read (`input`) and
//! understood (`parse`) here, and the sources that the configuration names are followed (`source`). Nothing here draws or
//! decides.

mod chunk;
pub mod input;
pub mod line;
pub mod log;
mod needle;
mod numbers;
pub mod packed;
pub mod parse;
pub mod ring;
pub mod sanitize;
pub mod shape;
pub mod source;
pub mod subject;
mod term;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// One line of the log (`logs --json` prints exactly these members).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogRecord {
    /// Position in the log store; grows. Not printed. What comes from elsewhere has [`ELSEWHERE`].
    #[serde(skip)]
    pub id: i64,
    /// When.
    pub time: DateTime<Utc>,
    /// Level.
    pub level: Level,
    /// `syncdeck`, or the source of a foreign line (`app`, `heroku`).
    pub source: String,
    /// The part of the source: `writer`, `reader`, `web.1`.
    pub dyno: String,
    /// The message.
    pub message: String,
    /// Keys and values beside it: `mapping`, `row`, `sfid`, `batch`, `code`, ...
    pub fields: serde_json::Map<String, serde_json::Value>,
}

/// The position of a record that is not in the log store. The ring gives it that of the line before it, behind which it
/// is shown.
pub const ELSEWHERE: i64 = i64::MAX;
/// How many lines are missing (`fields.dropped`) where nobody knows it.
pub const UNKNOWN: &str = "unknown";
/// The source of the engine's own lines.
pub const OWN_SOURCE: &str = "syncdeck";

impl LogRecord {
    /// The mark of a place where records are missing: how many (`fields.dropped`), which part of the program lost them,
    /// and why. Its position is 0, that of no record.
    pub fn gap(dropped: i64, time: DateTime<Utc>, dyno: &str, why: &str) -> LogRecord {
        LogRecord {
            id: 0,
            time,
            level: Level::Warn,
            source: OWN_SOURCE.to_owned(),
            dyno: dyno.to_owned(),
            message: format!("{dropped} log records are missing here: {why}"),
            fields: [("dropped".to_owned(), dropped.into())].into_iter().collect(),
        }
    }
}

impl LogRecord {
    /// How many lines it says are missing here, where it says that.
    pub fn dropped(&self) -> Option<&serde_json::Value> {
        let code = self.fields.get("code").and_then(serde_json::Value::as_str);
        let dropped = self.fields.get("dropped")?;
        is_gap(&self.source, self.fields.len(), code).then_some(dropped)
    }
}

/// Whether a line that has the field `dropped` means lines of the log by it: one of this program does, one about another
/// source has no other field, and one of Heroku's log router has its code.
fn is_gap(source: &str, fields: usize, code: Option<&str>) -> bool {
    source == OWN_SOURCE || fields == 1 || code.is_some_and(|code| code.starts_with('L'))
}

/// Level of a log record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// For the developer.
    Debug,
    /// It went as it should.
    #[default]
    Info,
    /// Worth a look.
    Warn,
    /// A person must act.
    Error,
}
