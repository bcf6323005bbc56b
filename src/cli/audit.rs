//! What was done and where things are: the audit, its way back, any row by what one has in hand, and lists as files.

use std::io::Write;
use std::path::Path;

use color_eyre::eyre::{Result, WrapErr};
use serde_json::json;

use crate::client::export::{ExportFormat, export as write_export};
use crate::client::operations::execute::Targets;
use crate::domain::names::{RowId, RowRef};
use crate::domain::operations::operation::AuditQuery;
use crate::domain::operations::operation::{AuditRecord, OperationKind};

use super::args::{Cli, OperationOptions};
use super::bulk::{self, list_json, row_of};
use super::mapping::named;
use super::{DONE, FAILED, client, print};

/// Operations, newest first.
pub(super) async fn audit(
    cli: &Cli,
    mapping: Option<&str>,
    row: Option<&str>,
    actor: Option<&str>,
    limit: usize,
) -> Result<u8> {
    let client = client(cli).await?;
    let mapping = match mapping {
        Some(name) => Some(named(&client, name).await?.object),
        None => None,
    };
    let row = match row.map(row_of).transpose()? {
        Some((name, row)) => Some(RowRef { table: named(&client, &name).await?.table, row: RowId(row) }),
        None => None,
    };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let query = AuditQuery { mapping, row, actor: actor.map(str::to_owned), limit, ..AuditQuery::default() };
    let operations = client.operations(&query).await?;
    if cli.json {
        list_json(&operations)?;
        return Ok(DONE);
    }
    let line = |operation: &AuditRecord| {
        let about = operation.about(|rows| rows.to_string());
        let undone = match operation.undone {
            0 => String::new(),
            undone if undone == operation.rows => "undone".to_owned(),
            undone => format!("{undone} undone"),
        };
        let mut what = operation.first.text();
        if operation.rows > 1 && !what.is_empty() {
            what.push_str(", ...");
        }
        let why = operation.why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
        let time = operation.at.format("%m-%d %H:%M:%S").to_string();
        let role = operation.db_user.clone().unwrap_or_default();
        let who = vec![operation.operation.to_string(), time, operation.who(), role];
        [who, vec![operation.action.clone(), about, undone, format!("{what}{why}")]].concat()
    };
    let lines: Vec<Vec<String>> = operations.iter().map(line).collect();
    if lines.is_empty() {
        print::line("nobody has done anything yet")?;
    } else {
        print::table(&["operation", "time (UTC)", "who", "role", "did", "to", "", "what"], &lines)?;
    }
    Ok(DONE)
}

/// The rows of one operation.
pub(super) async fn operation(cli: &Cli, operation: i64) -> Result<u8> {
    let entries = client(cli).await?.operation_entries(operation).await?;
    if cli.json {
        list_json(&entries)?;
        return Ok(DONE);
    }
    let lines: Vec<Vec<String>> = entries
        .iter()
        .map(|entry| {
            let row = entry.row.map_or(entry.table.clone(), |row| format!("{} {row}", entry.table));
            let error = entry.error.map(|error| error.to_string()).unwrap_or_default();
            vec![entry.id.to_string(), entry.action.clone(), row, error, entry.text()]
        })
        .collect();
    print::table(&["entry", "did", "row", "error", "what"], &lines)?;
    Ok(DONE)
}

/// Takes an operation back.
pub(super) async fn undo(cli: &Cli, operation: Option<i64>, how: &OperationOptions) -> Result<u8> {
    let operation = match operation {
        Some(operation) => operation,
        None => client(cli).await?.last_operation().await?.operation,
    };
    bulk::operation(cli, &Targets::Ids(Vec::new()), OperationKind::Undo(operation), how).await
}

/// Rows by what one has in hand.
pub(super) async fn find(cli: &Cli, text: &str, mapping: Option<&str>) -> Result<u8> {
    let client = client(cli).await?;
    if let Some(name) = mapping {
        named(&client, name).await?;
    }
    let hits = client.find(text, mapping).await?;
    if cli.json {
        list_json(&hits)?;
        return Ok(if hits.is_empty() { FAILED } else { DONE });
    }
    if hits.is_empty() {
        print::problem(&format!("no row has the id, the record id or the external id {text:?}"));
        return Ok(FAILED);
    }
    let lines: Vec<Vec<String>> = hits
        .iter()
        .map(|hit| {
            let standing = match (&hit.state, hit.exists) {
                (Some(state), _) => {
                    format!("{}, error {} ({state})", hit.unit, hit.error.unwrap_or_default())
                }
                (None, true) => hit.unit.clone(),
                (None, false) => format!("{}, the row is gone", hit.unit),
            };
            let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
            vec![
                format!("{}:{}", hit.mapping, hit.row.row),
                shown(&hit.sfid),
                shown(&hit.external_id),
                standing,
                hit.by.clone(),
            ]
        })
        .collect();
    print::table(&["row", "record", "external id", "stands", "found by"], &lines)?;
    print::line("see one with: syncdeck show MAPPING:ROW")?;
    Ok(DONE)
}

/// The errors that match, as CSV or JSON lines.
pub(super) async fn export(
    cli: &Cli,
    filter: &str,
    format: Option<&str>,
    output: Option<&Path>,
) -> Result<u8> {
    bulk::matching(filter)?;
    let by_name = output.and_then(|path| path.extension()?.to_str());
    // What is printed is JSON where that is asked for; a file has the format of its name.
    let of_output = cli.json && output.is_none();
    if of_output && format == Some("csv") {
        let text =
            "--json prints JSON, and --format csv is none\nleave one of them out, or name a file with -o";
        return Err(print::Usage(text.to_owned()).into());
    }
    let by_name = by_name.filter(|name| ["json", "jsonl", "ndjson"].contains(name));
    let format = match format.or(of_output.then_some("jsonl")).or(by_name) {
        Some("csv") | None => ExportFormat::Csv,
        Some(_) => ExportFormat::JsonLines,
    };
    let client = client(cli).await?;
    let count = match output {
        Some(path) => {
            let count = client.export_to(path, filter, format).await?;
            if cli.json {
                print::json(&json!({"written": count, "file": path.display().to_string()}), true)?;
            } else {
                print::problem(&format!("{count} errors written to {}", path.display()));
            }
            return Ok(DONE);
        }
        None => write_export(&client, filter, format, &mut std::io::stdout()).await,
    };
    count.wrap_err("cannot export")?;
    let _ = std::io::stdout().flush();
    Ok(DONE)
}
