//! The receiver of the demo's alerts: what somebody's own program does with a signed webhook. It proves who sent a message,
//! and writes it into a file, which the console follows as a log of its own.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use hmac::{KeyInit, Mac};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What messages are signed with, as it stands in the configuration.
pub(super) const SECRET: &str = "whsec_c3luY2RlY2sgZGVtbyBzZWNyZXQgMzIgYnl0ZXMhIQ==";

/// Takes messages until `stop`, and writes them into a file.
pub(super) async fn serve(listener: TcpListener, file: PathBuf, stop: CancellationToken) -> io::Result<()> {
    let app = Router::new().route("/alerts", post(take)).with_state(Arc::new(file));
    tokio::select! {
        served = async { axum::serve(listener, app).await } => served,
        () = stop.cancelled() => Ok(()),
    }
}

async fn take(State(file): State<Arc<PathBuf>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if !is_proved(&headers, &body) {
        return StatusCode::UNAUTHORIZED;
    }
    let Ok(message) = serde_json::from_slice::<Value>(&body) else { return StatusCode::BAD_REQUEST };
    match write(&file, &message) {
        Ok(()) => StatusCode::NO_CONTENT,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Whether whoever sent it has the secret, as Standard Webhooks has it.
fn is_proved(headers: &HeaderMap, body: &[u8]) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let key = SECRET.strip_prefix("whsec_").and_then(|key| STANDARD.decode(key).ok()).unwrap_or_default();
    let Ok(mut hash) = hmac::Hmac::<sha2::Sha256>::new_from_slice(&key) else { return false };
    hash.update(format!("{}.{}.", text("webhook-id"), text("webhook-timestamp")).as_bytes());
    hash.update(body);
    let given = text("webhook-signature").strip_prefix("v1,").and_then(|given| STANDARD.decode(given).ok());
    given.is_some_and(|given| hash.verify_slice(&given).is_ok())
}

/// A line of JSON, as programs log.
fn write(path: &Path, message: &Value) -> io::Result<()> {
    let data = &message["data"];
    let level = match (message["type"].as_str(), data["severity"].as_str()) {
        (Some("alert.resolved" | "alert.acknowledged"), _) => "info",
        (_, Some("critical")) => "error",
        _ => "warn",
    };
    let words = data["text"].as_str().unwrap_or_default().replace('\n', " · ");
    let line = json!({"time": Utc::now(), "level": level, "msg": data["title"], "rule": data["rule"],
        "firing": data["firing"], "text": words});
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(format!("{line}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::parse::Zone;
    use crate::logs::parse::origin::LineOrigin;
    use crate::logs::parse::stream::Stream;
    use crate::logs::{Level, LogRecord};

    #[test]
    fn a_message_is_a_line_that_the_console_reads() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("alerts.log");
        let message = json!({"type": "alert.firing", "data": {"severity": "critical", "rule": "login",
            "title": "[acme/demo] FIRING: the login is lost", "text": "one\ntwo", "firing": 1}});
        write(&path, &message).unwrap();
        let mut stream = Stream::new(LineOrigin::named("alerts", "", Zone::Utc));
        stream.feed(&std::fs::read(&path).unwrap(), Utc::now());
        stream.finish(Utc::now());
        let record: LogRecord = stream.pop().unwrap();
        assert_eq!(
            (record.level, record.message.as_str()),
            (Level::Error, "[acme/demo] FIRING: the login is lost")
        );
        assert_eq!((&record.fields["rule"], &record.fields["text"]), (&json!("login"), &json!("one · two")));
    }
}
