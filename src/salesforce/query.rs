//! Queries, page by page, and the list of deleted records.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;

use super::{Client, Error};

/// One page of a query's records.
#[derive(Debug, Default)]
pub struct Page {
    /// The records, each with its `attributes`.
    pub records: Vec<Value>,
    /// How many there are on all pages.
    pub total: i64,
    /// Where the next page is.
    pub next: Option<String>,
}

impl Client {
    /// Runs a query; the first page.
    pub async fn query(&self, soql: &str) -> Result<Page, Error> {
        self.page(&format!("query?q={}", encode(soql))).await
    }

    /// A further page.
    pub async fn query_more(&self, next: &str) -> Result<Page, Error> {
        self.page(next).await
    }

    async fn page(&self, path: &str) -> Result<Page, Error> {
        let mut body = self.get(path).await?;
        let records = match body.get_mut("records").map(Value::take) {
            Some(Value::Array(records)) => records,
            _ => Vec::new(),
        };
        Ok(Page {
            records,
            total: body.get("totalSize").and_then(Value::as_i64).unwrap_or(0),
            next: body.get("nextRecordsUrl").and_then(Value::as_str).map(str::to_owned),
        })
    }

    /// Ids deleted in a span of time (whole minutes, 15 days back at most), and up to when that answer is complete.
    pub async fn deleted(
        &self,
        object: &str,
        start: DateTime<Utc>,
        end: DateTime<Utc>,
    ) -> Result<(Vec<String>, Option<DateTime<Utc>>), Error> {
        let body = self
            .get(&format!(
                "sobjects/{object}/deleted/?start={}&end={}",
                encode(&instant(start)),
                encode(&instant(end))
            ))
            .await?;
        let ids = body
            .get("deletedRecords")
            .and_then(Value::as_array)
            .map(|deleted| {
                deleted.iter().filter_map(|record| Some(record.get("id")?.as_str()?.to_owned())).collect()
            })
            .unwrap_or_default();
        let covered = body
            .get("latestDateCovered")
            .and_then(Value::as_str)
            .and_then(|text| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.3f%z").ok())
            .map(|time| time.with_timezone(&Utc));
        Ok((ids, covered))
    }
}

/// An instant as SOQL and the replication calls take it.
pub fn instant(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// A SOQL text literal.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n").replace('\r', "\\r"))
}

/// Percent-encodes a query value (RFC 3986, everything but unreserved characters).
fn encode(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len() * 3), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
        encoded
    })
}
