//! A request, taken apart.

use std::collections::HashMap;

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, header};

use super::save::Writer;

/// A request in its parts.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) query: HashMap<String, String>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) host: String,
    /// What change events say of where a change comes from.
    pub(super) origin: String,
    /// Number of the request among those of the API.
    pub(super) request: u64,
}

impl Call {
    /// Who writes the records of the request, of which there are so many.
    pub(super) fn writer(&self, batch_size: usize) -> Writer {
        let header = self.headers.get("Sforce-Duplicate-Rule-Header").and_then(|value| value.to_str().ok());
        let mut options = header.unwrap_or_default().split(';').map(|option| option.trim().to_lowercase());
        let allow = options.any(|option| option.replace(' ', "") == "allowsave=true");
        Writer::api(self.request, &self.origin, batch_size).allowing_duplicates(allow)
    }
}

/// What change events say of where a change comes from: the API, its version, and the name that the client gave itself.
pub(super) fn origin(headers: &HeaderMap, version: &str, rest: &[&str]) -> String {
    let options =
        headers.get("Sforce-Call-Options").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut options = options.split([',', ';']).map(str::trim);
    let client = options.find_map(|option| option.strip_prefix("client=")).unwrap_or_default();
    let api = if rest.first() == Some(&"jobs") { "bulk" } else { "rest" };
    format!("com/salesforce/api/{api}/{};client={client}", version.trim_start_matches('v'))
}

/// `a=b&c=d`, decoded.
pub(super) fn form(text: &str) -> HashMap<String, String> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent_decode(&name.replace('+', " ")), percent_decode(&value.replace('+', " ")))
        })
        .collect()
}

pub(super) fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok()))
            .flatten();
        match hex {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// The token that comes with a request, if it comes in a way that there is.
pub(super) fn token_of(headers: &HeaderMap) -> Option<&str> {
    let header = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    header.strip_prefix("Bearer ").or_else(|| header.strip_prefix("OAuth "))
}
