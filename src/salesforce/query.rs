//! Queries, page by page, and the list of deleted records.

use std::collections::HashMap;

use chrono::{DateTime, SecondsFormat, Utc};
use reqwest::Method;
use serde_json::Value;

use crate::domain::field::{Field, FieldType};
use crate::domain::key;
use crate::domain::names::Sfid;

use super::{Answer, Ask, Client, Error, body, value};

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
    pub next: Option<Next>,
    /// Values that could not be held as they came: each has a U+FFFD where something was no text.
    pub replaced: Vec<Replaced>,
}

/// A value that is not quite what Salesforce has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Replaced {
    /// The record's id.
    pub id: String,
    /// API name of the field.
    pub field: String,
}

/// The way to a further page.
#[derive(Clone, Debug)]
pub struct Next {
    path: String,
    asked: Asked,
}

/// What is known of a query from page to page.
#[derive(Clone, Debug)]
struct Asked {
    /// Whether each record has its id.
    keyed: bool,
    /// Whether pages are to be short, for they were too long.
    short: bool,
    /// Records on the pages so far.
    read: usize,
    /// Records on all pages, as the first one told.
    total: Option<i64>,
}

impl Client {
    /// Runs a query; the first page.
    pub async fn query(&self, soql: &str) -> Result<Page, Error> {
        let keyed = soql.starts_with("SELECT Id,") || soql.starts_with("SELECT Id ");
        self.page(&format!("query?q={}", encode(soql)), Asked { keyed, short: false, read: 0, total: None })
            .await
    }

    /// A further page.
    pub async fn query_more(&self, next: &Next) -> Result<Page, Error> {
        self.page(&next.path, next.asked.clone()).await
    }

    /// A page, if it is one: an answer that only looks like a page would pass for "no records", and rows would go.
    async fn page(&self, path: &str, asked: Asked) -> Result<Page, Error> {
        let instance = self.session().await?.instance.to_string();
        let (answer, asked) = self.ask_for_page(path, asked).await?;
        let page = read_page(answer.body, &answer.replaced, asked, &instance);
        // A page that leads to itself; a longer way round ends with the number of records that were told.
        let page = page.and_then(|page| match &page.next {
            Some(next) if next.path.ends_with(path) => Err("it leads to itself"),
            _ => Ok(page),
        });
        page.map_err(|cause| self.unusable(&format!("the page of records is none: {cause}")))
    }

    /// A page's answer. One that is too long is asked for once more in short pages, as are those behind it.
    async fn ask_for_page(&self, path: &str, asked: Asked) -> Result<(Answer, Asked), Error> {
        let ask = |short_page| Ask { method: Method::GET, path, body: None, since: None, short_page };
        match self.ask(&ask(asked.short)).await {
            Err(Error::Unusable { cause, .. }) if !asked.short && cause == body::too_long() => {
                let asked = Asked { short: true, ..asked };
                Ok((self.ask(&ask(true)).await?, asked))
            }
            answer => Ok((answer?, asked)),
        }
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
        let Some(deleted) = body.get("deletedRecords").and_then(Value::as_array) else {
            return Err(self.unusable("the list of deleted records is none"));
        };
        let ids = deleted.iter().map(|record| Some(id_of(record, "id")?.to_owned()));
        let Some(ids) = ids.collect() else {
            return Err(self.unusable("the list of deleted records names one without an id"));
        };
        let covered = body
            .get("latestDateCovered")
            .and_then(Value::as_str)
            .and_then(|text| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.3f%z").ok())
            .map(|time| time.with_timezone(&Utc));
        Ok((ids, covered))
    }
}

/// A record's id, if it is one.
fn id_of<'a>(record: &'a Value, name: &str) -> Option<&'a str> {
    record.get(name)?.as_str().filter(|id| Sfid::parse(id).is_some())
}

/// Makes a page of an answer.
///
/// # Errors
/// In words, why it is none.
fn read_page(
    mut body: Value,
    replaced: &[Vec<String>],
    mut asked: Asked,
    instance: &str,
) -> Result<Page, &'static str> {
    let total = body.get("totalSize").and_then(Value::as_i64).filter(|total| *total >= 0);
    let total = total.ok_or("it does not say how many there are")?;
    let records = match body.get_mut("records").map(Value::take) {
        Some(Value::Array(records)) => records,
        _ => return Err("it has no records"),
    };
    if !records.iter().all(|record| record.is_object() && (!asked.keyed || id_of(record, "Id").is_some())) {
        return Err("one of them has no id");
    }
    let first = asked.read == 0;
    asked.read += records.len();
    let told = *asked.total.get_or_insert(total);
    let next = match body.get("nextRecordsUrl") {
        None | Some(Value::Null) => None,
        Some(Value::String(url)) => Some(on_instance(url, instance).ok_or("the next page is elsewhere")?),
        Some(_) => return Err("the next page is nowhere"),
    };
    let count = i64::try_from(asked.read).unwrap_or(i64::MAX);
    // A count has no records. Between two pages some may go.
    let is_count = !asked.keyed && records.is_empty();
    if count > told || first && next.is_none() && count != told && !is_count {
        return Err("there are more or fewer than it says");
    }
    if next.is_some() && records.is_empty() {
        return Err("it leads on for ever");
    }
    let replaced = replaced.iter().filter_map(|path| {
        let [_, at, field @ ..] = path.as_slice() else { return None };
        let record = records.get(at.parse::<usize>().ok()?)?;
        Some(Replaced { id: id_of(record, "Id").unwrap_or_default().to_owned(), field: field.join(".") })
    });
    let replaced = replaced.collect();
    Ok(Page { total: told, next: next.map(|path| Next { path, asked }), records, replaced })
}

/// The path of an address on the org's own host, where alone the token may go.
fn on_instance(url: &str, instance: &str) -> Option<String> {
    let path = url.strip_prefix(instance).unwrap_or(url);
    (path.starts_with("/services/data/") && !path.contains("..")).then(|| path.to_owned())
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const INSTANCE: &str = "https://acme.my.salesforce.com";

    fn asked(read: usize, total: Option<i64>) -> Asked {
        Asked { keyed: true, short: false, read, total }
    }

    fn record(number: u32) -> Value {
        json!({"attributes": {}, "Id": format!("003sd00000000{number:02}")})
    }

    #[test]
    fn only_what_is_a_page_is_taken_for_one() {
        let page = |body: Value| read_page(body, &[], asked(0, None), INSTANCE);
        let good = json!({"totalSize": 1, "done": true, "records": [record(1)]});
        assert_eq!(page(good).unwrap().records.len(), 1);
        let count = json!({"totalSize": 7, "done": true, "records": []});
        assert!(page(count.clone()).is_err());
        let plain = Asked { keyed: false, ..asked(0, None) };
        assert_eq!(read_page(count, &[], plain, INSTANCE).unwrap().total, 7);
        for bad in [
            json!({}),
            json!([]),
            Value::Null,
            json!({"totalSize": 0}),
            json!({"totalSize": -1, "records": []}),
            json!({"totalSize": "1", "records": [record(1)]}),
            json!({"totalSize": 1, "records": null}),
            json!({"totalSize": 1, "records": [null]}),
            json!({"totalSize": 1, "records": [{"Name": "no id"}]}),
            json!({"totalSize": 1, "records": [{"Id": 7}]}),
            json!({"totalSize": 1, "records": [{"Id": "003"}]}),
            json!({"totalSize": 2, "records": [record(1)]}),
            json!({"totalSize": 1, "records": [record(1), record(2)]}),
            json!({"totalSize": 2, "records": [record(1)], "nextRecordsUrl": "https://evil.example/services/data/v62.0/x"}),
            json!({"totalSize": 2, "records": [record(1)], "nextRecordsUrl": "/services/data/../../x"}),
            json!({"totalSize": 2, "records": [record(1)], "nextRecordsUrl": 7}),
            json!({"totalSize": 2, "records": [], "nextRecordsUrl": "/services/data/v62.0/query/01g-2000"}),
        ] {
            assert!(page(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn pages_that_lead_back_end() {
        let url = "/services/data/v62.0/query/01g-2000";
        let body =
            |next: &str| json!({"totalSize": 3, "records": [record(1), record(2)], "nextRecordsUrl": next});
        let first = read_page(body(&format!("{INSTANCE}{url}")), &[], asked(0, None), INSTANCE).unwrap();
        let next = first.next.unwrap();
        assert_eq!(next.path, url);
        assert!(read_page(body(url), &[], next.asked.clone(), INSTANCE).is_err());
        let last = json!({"totalSize": 3, "done": true, "records": [record(3)]});
        assert!(read_page(last, &[], next.asked, INSTANCE).unwrap().next.is_none());
    }
}
