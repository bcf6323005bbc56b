//! The records of an object in the order of their ids, page by page, with their values as PostgreSQL prints them: what every
//! comparison reads, whatever it compares with.

use serde_json::Value;

use crate::domain::mappings::mapping::Mapping;
use crate::domain::values::hstore::Hstore;
use crate::salesforce::query::{FieldSelection, NextPage, Page};
use crate::salesforce::retry::again;
use crate::salesforce::{self, Client, query, value};

/// How often Salesforce is asked again.
pub(in crate::engine) const TRIES: usize = 5;

/// A page of records, and whether it begins a query of its own, which says how many records there are behind `after`.
pub(in crate::engine) struct RecordPage {
    pub(in crate::engine) page: Page,
    pub(in crate::engine) is_first: bool,
}

/// The next page of records, or those behind a record where there is none: a query has more pages only as long as the
/// session lasts that asked. Requests are added up, also those that fail.
pub(in crate::engine) async fn next_page(
    client: &Client,
    selection: &FieldSelection,
    next: Option<NextPage>,
    after: Option<&str>,
    requests: &mut i64,
) -> Result<RecordPage, salesforce::Error> {
    let complete = |page: Page, is_first, requests: &mut i64| {
        *requests += selection.requests(page.records.len()) - 1;
        RecordPage { page, is_first }
    };
    if let Some(next) = next {
        *requests += 1;
        match again(TRIES, || client.select_more(selection, &next)).await {
            Err(error) if error.is_lost_place() => {}
            page => return Ok(complete(page?, false, requests)),
        }
    }
    *requests += 1;
    let behind = after.map(|id| format!(" WHERE Id > {}", query::literal(id)));
    let clauses = format!("{} ORDER BY Id", behind.unwrap_or_default());
    Ok(complete(again(TRIES, || client.select(selection, &clauses)).await?, true, requests))
}

/// A record's id.
pub(in crate::engine) fn id_of(record: &Value) -> Option<&str> {
    record.get("Id").and_then(Value::as_str)
}

/// A record's values by column, as PostgreSQL would print them.
pub(in crate::engine) fn texts(mapping: &Mapping, record: &Value) -> Hstore {
    let row = value::to_row(mapping, record);
    let text = |field: &crate::domain::mappings::field::Field| {
        row.get(&field.column).and_then(|found| value::to_text(field, found))
    };
    mapping.read_fields().map(|field| (field.column.clone(), text(field))).collect()
}
