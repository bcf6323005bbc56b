//! Queries, page by page, and the list of deleted records.

use std::collections::HashMap;

use chrono::{DateTime, SecondsFormat, Utc};
use reqwest::Method;
use serde_json::Value;

use crate::domain::mappings::field::{Field, FieldType};
use crate::domain::mappings::mapping::{Mapping, Stamp};
use crate::domain::values::key;

use super::page::{Asked, read_page, valid_id};
use super::{Answer, Ask, Client, Error, body, value};

pub use super::page::{NextPage, Page, Replaced};

/// How long the keys of one query may be in its URL. Salesforce takes 16,384 bytes for the whole of URL and headers, and
/// answers 414 or 431 to more.
const KEY_LIST: usize = 12_000;
/// How long a query may be in its URL, so that the way and the headers have their room.
const QUERY: usize = 14_000;
/// Of it, what the columns may take, so that some ids have theirs.
const COLUMNS: usize = 9_000;
/// Ids in one query, at most.
const IDS: usize = 400;
/// How often a record whose parts are of two moments is read again.
const TRIES: usize = 3;

/// What is asked of the records of an object. Columns that would not fit into one URL go over several queries, whose
/// answers are joined by Id.
#[derive(Clone, Debug)]
pub struct FieldSelection {
    object: String,
    stamp: Option<&'static str>,
    /// Each with Id and the stamp.
    parts: Vec<String>,
    /// All columns, each once.
    columns: Vec<String>,
}

impl FieldSelection {
    /// The columns that a mapping reads.
    pub fn of(mapping: &Mapping) -> FieldSelection {
        let stamp = mapping.system.stamp.map(Stamp::name);
        let head: Vec<&str> = ["Id"].into_iter().chain(stamp).collect();
        let own = mapping.read_fields().map(|field| field.name.as_str());
        let mut parts = vec![head.join(", ")];
        let mut named: Vec<&str> = head.clone();
        for name in mapping.system.names().into_iter().chain(own) {
            if named.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                continue;
            }
            named.push(name);
            let longer = |part: &String| encode(part).len() + encode(name).len() + 6 > COLUMNS;
            if parts.last().is_some_and(longer) {
                parts.push(head.join(", "));
            }
            if let Some(part) = parts.last_mut() {
                *part += ", ";
                *part += name;
            }
        }
        let columns = named.into_iter().map(str::to_owned).collect();
        FieldSelection { object: mapping.object.clone(), stamp, parts, columns }
    }

    /// The columns that are asked for, in their order.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// One query for all of it, for where it need not fit into a URL.
    pub fn whole(&self) -> String {
        format!("SELECT {} FROM {}", self.columns.join(", "), self.object)
    }

    /// How many requests it takes to have so many records of it.
    pub fn requests(&self, records: usize) -> i64 {
        let asked = records.div_ceil(IDS).max(1);
        (1 + (self.parts.len() - 1) * asked) as i64
    }

    fn by_ids(&self, part: &str, ids: &str) -> String {
        format!("SELECT {part} FROM {} WHERE Id IN ({ids})", self.object)
    }
}

impl Client {
    /// Records of an object, all of them or those of some clauses; the first page.
    pub async fn select(&self, of: &FieldSelection, clauses: &str) -> Result<Page, Error> {
        let page = self.query(&format!("SELECT {} FROM {}{clauses}", of.parts[0], of.object)).await?;
        self.complete(of, page).await
    }

    /// A further page of them.
    pub async fn select_more(&self, of: &FieldSelection, next: &NextPage) -> Result<Page, Error> {
        let page = self.query_more(next).await?;
        self.complete(of, page).await
    }

    /// Records by their ids; those that are gone are not among them.
    pub async fn select_ids(&self, of: &FieldSelection, ids: &[&str]) -> Result<Vec<Value>, Error> {
        let mut replaced = Vec::new();
        let found = self.part_by_ids(of, &of.parts[0], ids, &mut replaced).await?;
        self.joined(of, found, &mut replaced).await
    }

    async fn complete(&self, of: &FieldSelection, mut page: Page) -> Result<Page, Error> {
        page.records = self.joined(of, page.records, &mut page.replaced).await?;
        Ok(page)
    }

    /// Records with all their parts. One that changed between two of them is read again whole; one that is gone meanwhile,
    /// or changes each time, is left out: whoever reads what changed meets it again.
    async fn joined(
        &self,
        of: &FieldSelection,
        first: Vec<Value>,
        replaced: &mut Vec<Replaced>,
    ) -> Result<Vec<Value>, Error> {
        if of.parts.len() == 1 || first.is_empty() {
            return Ok(first);
        }
        let (mut whole, mut torn) = self.join_once(of, first, replaced).await?;
        for _ in 0..TRIES {
            if torn.is_empty() {
                break;
            }
            let ids: Vec<&str> = torn.iter().map(String::as_str).collect();
            let again = self.part_by_ids(of, &of.parts[0], &ids, replaced).await?;
            let (mended, still) = self.join_once(of, again, replaced).await?;
            whole.extend(mended);
            torn = still;
        }
        Ok(whole)
    }

    /// The records whose parts are of one moment, in their order, and the ids of the others.
    async fn join_once(
        &self,
        of: &FieldSelection,
        first: Vec<Value>,
        replaced: &mut Vec<Replaced>,
    ) -> Result<(Vec<Value>, Vec<String>), Error> {
        let ids: Vec<String> = first.iter().filter_map(|record| Some(id_of(record)?.to_owned())).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let mut rest: HashMap<String, Vec<Value>> = HashMap::new();
        for part in &of.parts[1..] {
            for record in self.part_by_ids(of, part, &ids, replaced).await? {
                if let Some(id) = id_of(&record) {
                    rest.entry(id.to_owned()).or_default().push(record);
                }
            }
        }
        let (mut whole, mut torn) = (Vec::new(), Vec::new());
        for mut record in first {
            let Some(id) = id_of(&record).map(str::to_owned) else { continue };
            let parts = rest.remove(&id).unwrap_or_default();
            if parts.len() + 1 < of.parts.len() {
                continue;
            }
            let stamp_of = |record: &Value| of.stamp.and_then(|stamp| record.get(stamp).cloned());
            if parts.iter().any(|part| stamp_of(part) != stamp_of(&record)) {
                torn.push(id);
                continue;
            }
            parts.into_iter().for_each(|part| join(&mut record, part));
            whole.push(record);
        }
        Ok((whole, torn))
    }

    /// One part of records, by ids in queries that fit into a URL. What could not be held as it came is added to `replaced`.
    async fn part_by_ids(
        &self,
        of: &FieldSelection,
        part: &str,
        ids: &[&str],
        replaced: &mut Vec<Replaced>,
    ) -> Result<Vec<Value>, Error> {
        // Quotes and comma have three bytes each there.
        let room = QUERY.saturating_sub(encode(&of.by_ids(part, "")).len());
        let many = (room / (18 + 9)).clamp(1, IDS);
        let mut records = Vec::new();
        for some in ids.chunks(many) {
            let list: Vec<String> = some.iter().map(|id| literal(id)).collect();
            let mut page = self.query(&of.by_ids(part, &list.join(","))).await?;
            loop {
                records.append(&mut page.records);
                replaced.append(&mut page.replaced);
                let Some(next) = page.next else { break };
                page = self.query_more(&next).await?;
            }
        }
        Ok(records)
    }

    /// Ids of records that say of themselves that they were deleted, since a time.
    pub async fn deleted_since(
        &self,
        object: &str,
        stamp: &str,
        since: DateTime<Utc>,
    ) -> Result<Vec<String>, Error> {
        let since = instant(since);
        let soql = format!("SELECT Id FROM {object} WHERE IsDeleted = true AND {stamp} >= {since}");
        let mut page = self.page(&format!("queryAll?q={}", encode(&soql)), Asked::first(&soql)).await?;
        let mut ids = Vec::new();
        loop {
            ids.extend(page.records.iter().filter_map(|record| Some(id_of(record)?.to_owned())));
            match page.next {
                Some(next) => page = self.query_more(&next).await?,
                None => return Ok(ids),
            }
        }
    }

    /// Runs a query; the first page.
    pub async fn query(&self, soql: &str) -> Result<Page, Error> {
        self.page(&format!("query?q={}", encode(soql)), Asked::first(soql)).await
    }

    /// A further page.
    pub async fn query_more(&self, next: &NextPage) -> Result<Page, Error> {
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
    async fn ask_for_page(&self, path: &str, mut asked: Asked) -> Result<(Answer, Asked), Error> {
        let ask = |short_page| Ask { method: Method::GET, path, body: None, since: None, short_page };
        match self.ask(&ask(asked.short)).await {
            Err(Error::Unusable { cause, .. }) if !asked.short && cause == body::too_long() => {
                asked.short = true;
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

    /// What was deleted in a span of time (whole minutes, 15 days back at most).
    pub async fn deleted(
        &self,
        object: &str,
        start: DateTime<Utc>,
        end: DateTime<Utc>,
    ) -> Result<DeletedRecords, Error> {
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
        let ids = deleted.iter().map(|record| Some(valid_id(record, "id")?.to_owned()));
        let Some(ids) = ids.collect() else {
            return Err(self.unusable("the list of deleted records names one without an id"));
        };
        let time = |name: &str| {
            let text = body.get(name)?.as_str()?;
            let time = DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.3f%z").ok()?;
            Some(time.with_timezone(&Utc))
        };
        Ok(DeletedRecords { ids, since: time("earliestDateAvailable"), covered: time("latestDateCovered") })
    }
}

/// What was deleted, as Salesforce tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeletedRecords {
    /// The records' ids.
    pub ids: Vec<String>,
    /// Since when deletes are told; earlier ones are known no more.
    pub since: Option<DateTime<Utc>>,
    /// Up to when this is complete.
    pub covered: Option<DateTime<Utc>>,
}

fn id_of(record: &Value) -> Option<&str> {
    record.get("Id")?.as_str()
}

/// Adds the fields of another part, those of one parent to each other.
fn join(record: &mut Value, part: Value) {
    match (record, part) {
        (Value::Object(record), Value::Object(part)) => {
            for (name, value) in part {
                join(record.entry(name).or_insert(Value::Null), value);
            }
        }
        (record, part) if record.is_null() => *record = part,
        _ => {}
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
pub(super) fn encode(text: &str) -> String {
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
    use crate::domain::mappings::field::{Field, FieldType};

    fn mapping(fields: Vec<Field>) -> Mapping {
        Mapping::plain("Wide__c", fields)
    }

    #[test]
    fn columns_go_over_as_many_queries_as_fit_into_a_url() {
        let narrow =
            ["Name", "CreatedDate", "SystemModstamp"].map(|name| Field::plain(name, FieldType::String));
        assert_eq!(
            FieldSelection::of(&mapping(narrow.to_vec())).parts,
            ["Id, SystemModstamp, IsDeleted, Name, CreatedDate"]
        );
        let wide: Vec<Field> = (0..480)
            .map(|at| Field::plain(&format!("A_Field_With_A_Long_Name_{at:03}__c"), FieldType::String))
            .collect();
        let parts = FieldSelection::of(&mapping(wide.clone())).parts;
        assert!(parts.len() > 1 && parts.iter().all(|part| encode(part).len() <= COLUMNS), "{}", parts.len());
        assert!(parts.iter().all(|part| part.starts_with("Id, SystemModstamp, ")));
        for field in wide {
            assert_eq!(parts.iter().filter(|part| part.contains(&field.name)).count(), 1, "{}", field.name);
        }
    }

    #[test]
    fn parts_of_a_record_are_put_together() {
        let mut record = json!({"Id": "1", "Account": {"Name": "Acme"}, "Owner": null, "A": null});
        join(&mut record, json!({"Id": "1", "Account": {"Key__c": "K"}, "Owner": null, "B": 2}));
        let whole =
            json!({"Id": "1", "Account": {"Name": "Acme", "Key__c": "K"}, "Owner": null, "A": null, "B": 2});
        assert_eq!(record, whole);
    }
}
