//! What every read asks of Salesforce: records by their ids, their stamps, how many there are.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::time::Instant;

use crate::domain::mappings::mapping::Mapping;
use crate::postgres::{self, Store};
use crate::salesforce::query::FieldSelection;
use crate::salesforce::{self, Client};

use crate::engine::{Shared, connection};

/// Why a read did not end well.
#[derive(Debug, thiserror::Error)]
pub(in crate::engine) enum ReadError {
    #[error(transparent)]
    Salesforce(#[from] salesforce::Error),
    #[error(transparent)]
    Postgres(#[from] postgres::Error),
}

/// A reader holds its mapping over the pause to its next poll.
pub(in crate::engine) fn lease_length(shared: &Shared, mapping: &Mapping) -> Duration {
    shared.config.salesforce.lease + mapping.rules.poll_pause(true)
}

/// An answer of Salesforce about records of this mapping; notes how long it took.
pub(in crate::engine) async fn timed<T>(
    shared: &Shared,
    mapping: &Mapping,
    answer: impl Future<Output = Result<T, salesforce::Error>>,
) -> Result<T, salesforce::Error> {
    let asked = Instant::now();
    let answer = answer.await;
    shared.metrics.asked(&mapping.object, asked.elapsed());
    answer
}

/// Records by their ids, with everything that a read asks for; those that are gone are not among them.
pub(in crate::engine) async fn records(
    client: &Client,
    mapping: &Mapping,
    ids: &[&str],
) -> Result<HashMap<String, Value>, salesforce::Error> {
    let found = client.select_ids(&FieldSelection::of(mapping), ids).await?;
    let id = |record: &Value| record.get("Id").and_then(Value::as_str).map(str::to_owned);
    Ok(found.into_iter().filter_map(|record| Some((id(&record)?, record))).collect())
}

/// Counts rows and records. What fails here beside the way itself is not worth a word: the next count comes soon.
pub(in crate::engine) async fn count(shared: &Shared, mapping: &Mapping) {
    let records = match shared.client.query(&format!("SELECT COUNT() FROM {}", mapping.object)).await {
        Ok(page) => Some(page.total),
        Err(error) => {
            connection::note_failure(shared, &error).await;
            None
        }
    };
    let store: &Store = &shared.store;
    let _ = store.count_rows(&mapping.object, &mapping.table, records).await;
}

/// When a record changed, by the field that says so.
pub(in crate::engine) fn stamp_of(mapping: &Mapping, record: &Value) -> Option<DateTime<Utc>> {
    let text = record.get(mapping.system.stamp?.name())?.as_str()?;
    DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.3f%z").ok().map(|time| time.with_timezone(&Utc))
}

/// When the newest of some records changed.
pub(in crate::engine) fn newest(mapping: &Mapping, records: &[Value]) -> Option<DateTime<Utc>> {
    records.iter().filter_map(|record| stamp_of(mapping, record)).max()
}
