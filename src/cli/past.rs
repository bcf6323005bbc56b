//! What was done and where things are: the audit, its way back, any row by what one has in hand, and lists as files.

use std::io::Write;
use std::path::Path;

use color_eyre::eyre::{Result, WrapErr};
use serde_json::json;

use crate::client::export::{Format, export as write_export};
use crate::client::operations::execute::Chosen;
use crate::domain::act::{Deed, PastAct};
use crate::domain::names::{RowId, RowRef};
use crate::postgres::audit::AuditQuery;

use super::args::{Cli, Manner};
use super::many::{self, list_json, row_of};
use super::mapping::named;
use super::{DONE, FAILED, door, print};

/// Acts, newest first.
pub(super) async fn audit(
    cli: &Cli,
    mapping: Option<&str>,
    row: Option<&str>,
    actor: Option<&str>,
    limit: usize,
) -> Result<u8> {
    let handle = door(cli).await?;
    let mapping = match mapping {
        Some(name) => Some(named(&handle, name).await?.object),
        None => None,
    };
    let row = match row.map(row_of).transpose()? {
        Some((name, row)) => Some(RowRef { table: named(&handle, &name).await?.table, row: RowId(row) }),
        None => None,
    };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let query = AuditQuery { mapping, row, actor: actor.map(str::to_owned), limit, ..AuditQuery::default() };
    let acts = handle.acts(&query).await?;
    if cli.json {
        list_json(&acts)?;
        return Ok(DONE);
    }
    let line = |act: &PastAct| {
        let about = act.about(|rows| rows.to_string());
        let undone = match act.undone {
            0 => String::new(),
            undone if undone == act.rows => "undone".to_owned(),
            undone => format!("{undone} undone"),
        };
        let mut what = act.first.text();
        if act.rows > 1 && !what.is_empty() {
            what.push_str(", ...");
        }
        let why = act.why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
        let time = act.at.format("%m-%d %H:%M:%S").to_string();
        let role = act.db_user.clone().unwrap_or_default();
        let who = vec![act.act.to_string(), time, act.who(), role];
        [who, vec![act.action.clone(), about, undone, format!("{what}{why}")]].concat()
    };
    let lines: Vec<Vec<String>> = acts.iter().map(line).collect();
    if lines.is_empty() {
        print::line("nobody has done anything yet")?;
    } else {
        print::table(&["act", "time (UTC)", "who", "role", "did", "to", "", "what"], &lines)?;
    }
    Ok(DONE)
}

/// The rows of one act.
pub(super) async fn act(cli: &Cli, act: i64) -> Result<u8> {
    let entries = door(cli).await?.act_entries(act).await?;
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

/// Takes an act back.
pub(super) async fn undo(cli: &Cli, act: Option<i64>, how: &Manner) -> Result<u8> {
    let act = match act {
        Some(act) => act,
        None => door(cli).await?.last_act().await?.act,
    };
    many::act(cli, &Chosen::Ids(Vec::new()), Deed::Undo(act), how).await
}

/// Rows by what one has in hand.
pub(super) async fn find(cli: &Cli, text: &str, mapping: Option<&str>) -> Result<u8> {
    let handle = door(cli).await?;
    if let Some(name) = mapping {
        named(&handle, name).await?;
    }
    let hits = handle.find(text, mapping).await?;
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
    many::matching(filter)?;
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
        Some("csv") | None => Format::Csv,
        Some(_) => Format::JsonLines,
    };
    let handle = door(cli).await?;
    let count = match output {
        Some(path) => {
            let count = handle.export_to(path, filter, format).await?;
            if cli.json {
                print::json(&json!({"written": count, "file": path.display().to_string()}), true)?;
            } else {
                print::problem(&format!("{count} errors written to {}", path.display()));
            }
            return Ok(DONE);
        }
        None => write_export(&handle, filter, format, &mut std::io::stdout()).await,
    };
    count.wrap_err("cannot export")?;
    let _ = std::io::stdout().flush();
    Ok(DONE)
}
