//! The application's log, as its platform writes it: each request to it with the lines of its own, of AppLink before it and
//! of the router after it. The console follows the file as any other program's log.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};

/// How long the file becomes before a new one is begun.
const LONGEST: u64 = 8 << 20;
/// The org that the requests come from, as AppLink names it.
const ORG: &str = "00Dsd0000000001EAA";
/// How long the platform's router waits for an answer.
const ROUTER_WAITS: Duration = Duration::from_secs(30);

/// The file, shared by the workers.
#[derive(Clone, Debug)]
pub(super) struct AppLog {
    path: PathBuf,
    file: Arc<Mutex<File>>,
}

/// One request to the application.
pub(super) struct WebRequest<'a> {
    /// Which of its processes took it, from 1.
    pub web: usize,
    /// Tells it from others.
    pub id: u128,
    /// `POST`.
    pub method: &'a str,
    /// The object that it was about, and its row when it has one.
    pub object: &'a str,
    /// See `object`.
    pub row: Option<i32>,
    /// What the application says that it did, or why it could not.
    pub done: Result<&'a str, String>,
    /// How long it took.
    pub took: Duration,
}

impl AppLog {
    /// Begins the file.
    pub(super) fn begin(path: &Path) -> io::Result<AppLog> {
        Ok(AppLog { path: path.to_owned(), file: Arc::new(Mutex::new(open(path)?)) })
    }

    /// Writes the lines of a request. A log that cannot be written is no reason to stop.
    pub(super) fn request(&self, request: &WebRequest<'_>) {
        let Ok(mut file) = self.file.lock() else { return };
        let _ = file.write_all(lines(request, Utc::now()).as_bytes());
        if file.metadata().is_ok_and(|now| now.len() > LONGEST)
            && std::fs::rename(&self.path, self.path.with_extension("log.1")).is_ok()
            && let Ok(new) = open(&self.path)
        {
            *file = new;
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// The lines of a request that ended at a moment.
fn lines(request: &WebRequest<'_>, ended: DateTime<Utc>) -> String {
    let WebRequest { web, id, method, object, row, done, took } = request;
    let began = ended - *took;
    let at = |time: DateTime<Utc>| time.format("%Y-%m-%dT%H:%M:%S%.6f+00:00");
    let hex = format!("{id:032x}");
    let [a, b, c, d, e] = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    let id = format!("{ORG}-{a}-{b}-{c}-{d}-{e}");
    let path = format!("/{}", object.to_lowercase());
    let logfmt = |time: DateTime<Utc>, level: &str, text: &str, more: &str| {
        format!(
            "{} app[web.{web}]: time={} level={level} msg={text:?} request-id={id}{more}\n",
            at(time),
            time.format("%Y-%m-%dT%H:%M:%S%.3fZ")
        )
    };
    let mesh = " app=local source=heroku-applink-service-mesh";
    let of = row.map(|row| format!(" mapping={object} row={row}")).unwrap_or_default();
    let (mut text, late) = (String::new(), *took >= ROUTER_WAITS);
    text += &logfmt(began, "INFO", &format!("Processing request to {path}..."), mesh);
    text += &match done {
        _ if late => logfmt(ended, "WARN", "still waiting for the pricing service", &of),
        Ok(done) => logfmt(ended, "INFO", &format!("{done} a row of {object}"), &of),
        Err(why) => logfmt(ended, "ERROR", why, &of),
    };
    let status = match done {
        _ if late => 503,
        Ok(_) => 200,
        Err(_) => 500,
    };
    let (how, bytes) =
        if late { ("error code=H12 desc=\"Request timeout\"", 0) } else { ("info", 200 + text.len() % 300) };
    text += &format!(
        "{} heroku[router]: at={how} method={method} path=\"{path}\" host=shop.example.com request_id={id} \
         fwd=\"203.0.113.7\" dyno=web.{web} connect=1ms service={}ms status={status} bytes={bytes} protocol=https\n",
        at(ended),
        took.as_millis()
    );
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::logs::parse::Zone;
    use crate::logs::parse::origin::LineOrigin;
    use crate::logs::parse::stream::Stream;
    use crate::logs::{Level, LogRecord};

    #[test]
    fn a_request_is_read_back_with_its_id_its_row_and_what_became_of_it() {
        let request = WebRequest {
            web: 2,
            id: 0x8601_b555_6a83_4c12_8269_97c8_e32c_db22,
            method: "POST",
            object: "Contact",
            row: Some(42),
            done: Err("the table \"contact\" is locked".to_owned()),
            took: Duration::from_millis(180),
        };
        let text = lines(&request, DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(1));
        let mut stream = Stream::new(LineOrigin::named("shop", "", Zone::Utc));
        stream.feed(text.as_bytes(), Utc::now());
        stream.finish(Utc::now());
        let records: Vec<LogRecord> = std::iter::from_fn(|| stream.pop()).collect();
        let told = |record: &LogRecord| (record.level, record.dyno.clone(), record.message.clone());
        assert_eq!(
            records.iter().map(told).collect::<Vec<_>>()[..2],
            [
                (Level::Info, "web.2".to_owned(), "Processing request to /contact...".to_owned()),
                (Level::Error, "web.2".to_owned(), "the table \"contact\" is locked".to_owned()),
            ]
        );
        let id = "00Dsd0000000001EAA-8601b555-6a83-4c12-8269-97c8e32cdb22";
        assert!(records.iter().all(|record| record.fields["request_id"] == id), "{records:#?}");
        assert_eq!(
            (&records[1].fields["row"], &records[1].fields["mapping"]),
            (&json!(42), &json!("Contact"))
        );
        assert_eq!((&records[2].fields["status"], records[2].dyno.as_str()), (&json!(500), "router"));
    }
}
