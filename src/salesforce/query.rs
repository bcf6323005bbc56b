//! Queries, page by page, and the list of deleted records.

use std::collections::HashMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;

use crate::domain::field::{Field, FieldType};
use crate::domain::key;

use super::{Client, Error, value};

/// How long the keys of one query may be in its URL, of which Salesforce takes 16,384 bytes.
const KEY_LIST: usize = 12_000;

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

    /// The ids of the records that have these external ids, by the external id as Salesforce compares them
    /// ([`key::fold`]). The keys go out in queries that fit into a URL.
    pub async fn ids_by_key(
        &self,
        object: &str,
        field: &Field,
        keys: &[&str],
    ) -> Result<HashMap<String, String>, Error> {
        let name = &field.name;
        let mut ids = HashMap::new();
        let mut rest = keys;
        while !rest.is_empty() {
            let mut list = String::new();
            let mut taken = 0;
            while let Some(key) = rest.get(taken) {
                let literal = key_literal(field, key);
                if taken > 0 && encode(&list).len() + encode(&literal).len() > KEY_LIST {
                    break;
                }
                list += if taken > 0 { "," } else { "" };
                list += &literal;
                taken += 1;
            }
            rest = &rest[taken..];
            let soql = format!("SELECT Id, {name} FROM {object} WHERE {name} IN ({list})");
            for record in self.query(&soql).await?.records {
                let id = record.get("Id").and_then(Value::as_str).map(str::to_owned);
                let key = record.get(name).and_then(|value| value::to_text(field, value));
                if let (Some(id), Some(key)) = (id, key.and_then(|key| key::fold(field, &key))) {
                    ids.insert(key, id);
                }
            }
        }
        Ok(ids)
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

/// A key as SOQL takes it: a number bare, everything else as text.
fn key_literal(field: &Field, key: &str) -> String {
    match (field.kind, key.trim().parse::<f64>()) {
        (FieldType::Int | FieldType::Double, Ok(number)) if number.is_finite() => number.to_string(),
        _ => literal(key.trim_matches(|c: char| c <= ' ')),
    }
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
