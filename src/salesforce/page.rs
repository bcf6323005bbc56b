//! Pages of records: what is one, and what only looks like one. An answer that is none would pass for "no records", and
//! rows would go.

use serde_json::Value;

use crate::domain::names::Sfid;

/// One page of a query's records.
#[derive(Debug, Default)]
pub struct Page {
    /// The records, each with its `attributes`.
    pub records: Vec<Value>,
    /// How many there are on all pages.
    pub total: i64,
    /// Where the next page is.
    pub next: Option<NextPage>,
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
pub struct NextPage {
    pub(super) path: String,
    pub(super) asked: Asked,
}

/// What is known of a query from page to page.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// Whether each record has its id.
    keyed: bool,
    /// Whether pages are to be short, for they were too long.
    pub(super) short: bool,
    /// Records on the pages so far.
    read: usize,
    /// Records on all pages, as the first one told.
    total: Option<i64>,
}

impl Asked {
    /// Before the first page of a query.
    pub(super) fn first(soql: &str) -> Asked {
        let keyed = soql.starts_with("SELECT Id,") || soql.starts_with("SELECT Id ");
        Asked { keyed, short: false, read: 0, total: None }
    }
}

/// A record's id, if it is one.
pub(super) fn valid_id<'a>(record: &'a Value, name: &str) -> Option<&'a str> {
    record.get(name)?.as_str().filter(|id| Sfid::parse(id).is_some())
}

/// Makes a page of an answer.
///
/// # Errors
/// In words, why it is none.
pub(super) fn read_page(
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
    if !records.iter().all(|record| record.is_object() && (!asked.keyed || valid_id(record, "Id").is_some()))
    {
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
        Some(Replaced { id: valid_id(record, "Id").unwrap_or_default().to_owned(), field: field.join(".") })
    });
    let replaced = replaced.collect();
    Ok(Page { total: told, next: next.map(|path| NextPage { path, asked }), records, replaced })
}

/// The path of an address on the org's own host, where alone the token may go.
fn on_instance(url: &str, instance: &str) -> Option<String> {
    let path = url.strip_prefix(instance).unwrap_or(url);
    (path.starts_with("/services/data/") && !path.contains("..")).then(|| path.to_owned())
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
