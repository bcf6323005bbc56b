//! What consoles ask of the engine: a record's values in Salesforce, now.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use serde_json::{Value, json};

use crate::domain::names::{RowId, RowRef};
use crate::domain::record::{SalesforceState, SalesforceValues};
use crate::postgres::commands::Command;
use crate::salesforce::{query, value};

use super::{Shared, reader};

/// Between looks, should an announcement be missed (a pooler in transaction mode passes none on).
const PAUSE: Duration = Duration::from_millis(500);

/// Runs until the end of the engine.
pub(super) async fn run(shared: Arc<Shared>) {
    while !shared.stop.is_cancelled() {
        match shared.store.take_commands().await {
            Ok(commands) => {
                for command in commands {
                    tokio::spawn(answer(shared.clone(), command));
                }
            }
            Err(_) => {
                shared.pause(PAUSE).await;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = shared.answers_bell.notified() => {}
            () = shared.stop.cancelled() => {}
        }
    }
}

async fn answer(shared: Arc<Shared>, command: Command) {
    let result = match command.kind.as_str() {
        "fetch" => fetch(&shared, &command.args).await,
        other => {
            Err(format!("this engine does not know the command {other:?}; it may be older than the console"))
        }
    };
    let _ = shared.store.answer(command.id, result).await;
}

/// The values of one row's record.
async fn fetch(shared: &Shared, args: &Value) -> Result<Value, String> {
    let table = args.get("table").and_then(Value::as_str).unwrap_or_default();
    let row =
        args.get("row").and_then(Value::as_i64).and_then(|row| i32::try_from(row).ok()).unwrap_or_default();
    let at = RowRef { table: table.to_owned(), row: RowId(row) };
    let mappings = shared.mappings();
    let mapping = mappings
        .iter()
        .find(|mapping| mapping.table == table)
        .ok_or_else(|| format!("this engine has no mapping of the table {table:?}"))?;
    if let Some(wait) = shared.link.closed_for() {
        let status = shared.link.status(None);
        return Err(format!(
            "Salesforce is not asked for another {} s: {}",
            wait.as_secs() + 1,
            status.detail.unwrap_or(status.state)
        ));
    }
    let sfid = shared.store.sfid_of(&at).await.map_err(|error| error.to_string())?;
    let mut values = SalesforceValues {
        fetched_at: Utc::now(),
        state: SalesforceState::NoRecord,
        values: Default::default(),
    };
    if let Some(sfid) = sfid {
        let soql = format!(
            "SELECT {} FROM {} WHERE Id = {}",
            reader::columns(mapping),
            mapping.object,
            query::literal(&sfid)
        );
        let page = shared.client.query(&soql).await.map_err(|error| error.to_string())?;
        match page.records.first() {
            Some(record) => {
                let row = value::to_row(mapping, record);
                values.state = SalesforceState::Found;
                values.values = mapping
                    .fields
                    .iter()
                    .map(|field| {
                        (
                            field.column.clone(),
                            row.get(&field.column).and_then(|found| value::to_text(field, found)),
                        )
                    })
                    .collect();
            }
            None => values.state = SalesforceState::Deleted,
        }
    }
    let _ = shared.store.keep_fetched(&at, &values).await;
    Ok(json!(values))
}
