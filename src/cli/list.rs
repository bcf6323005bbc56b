//! What asks: errors, runs, show, explain, logs.

use std::time::Duration;

use color_eyre::eyre::Result;
use serde_json::json;

use crate::domain::catalogue;
use crate::domain::names::{RowId, RowRef};
use crate::domain::record::{RecordView, SalesforceState, SalesforceValues};
use crate::domain::sort::Sort;
use crate::domain::sync_error::SyncError;
use crate::engine::handle::{ErrorQuery, PendingQuery, Refused};
use crate::logs::line::{LogFilter, logfmt};
use crate::logs::sanitize::sanitize;

use super::args::Cli;
use super::{DONE, FAILED, door, print};

/// The list of errors.
pub(super) async fn errors(cli: &Cli, filter: &str, sort: Sort, limit: usize) -> Result<u8> {
    let handle = door(cli).await?;
    let mut query = ErrorQuery { filter: filter.to_owned(), sort, limit, after: None };
    let mut items = Vec::new();
    loop {
        query.limit = limit - items.len();
        let page = handle.errors(&query).await.map_err(|refused| print::Usage(refused.0))?;
        items.extend(page.items);
        query.after = page.next;
        if items.len() >= limit || query.after.is_none() {
            break;
        }
    }
    if cli.json {
        print::json(&items, true)?;
        return Ok(DONE);
    }
    let rows: Vec<Vec<String>> = items.iter().map(error_row).collect();
    print::table(&["id", "seen (UTC)", "record", "code", "fields", "tries", "state", "message"], &rows)?;
    let count = handle.count(filter).await?;
    let more = if count.capped { "more than " } else { "" };
    print::note(&format!("{} of {more}{} errors", items.len(), count.matching));
    Ok(DONE)
}

/// The errors by cause.
pub(super) async fn groups(cli: &Cli, filter: &str, limit: usize) -> Result<u8> {
    let handle = door(cli).await?;
    let groups = handle.groups(filter, limit).await.map_err(|refused| print::Usage(refused.0))?;
    if cli.json {
        print::json(&groups, true)?;
        return Ok(DONE);
    }
    let time = |time: chrono::DateTime<chrono::Utc>| time.format("%m-%d %H:%M").to_string();
    let rows: Vec<Vec<String>> = groups
        .iter()
        .map(|group| {
            vec![
                group.group.clone(),
                group.count.to_string(),
                group.trend.sign(),
                group.mapping.clone(),
                group.code.clone(),
                group.fields.join(","),
                time(group.first_seen),
                time(group.last_seen),
                group.template.clone(),
            ]
        })
        .collect();
    let head = ["group", "count", "1 h", "mapping", "code", "fields", "first (UTC)", "last (UTC)", "message"];
    print::table(&head, &rows)?;
    Ok(DONE)
}

/// What waits to be sent.
pub(super) async fn pending(cli: &Cli, mapping: Option<&str>, limit: usize) -> Result<u8> {
    let query = PendingQuery { mapping: mapping.map(str::to_owned), after: None, limit };
    let waiting = door(cli).await?.pending(&query).await?;
    if cli.json {
        print::json(&waiting, true)?;
        return Ok(DONE);
    }
    let rows: Vec<Vec<String>> = waiting
        .iter()
        .map(|one| {
            vec![
                one.since.format("%m-%d %H:%M:%S").to_string(),
                format!("{} {}", one.mapping, one.row.row),
                one.op.clone(),
                one.state.clone(),
                one.changes.to_string(),
                one.attempts.to_string(),
                match one.rests {
                    true => format!("{} at {} UTC", one.reason, one.ready_at.format("%H:%M:%S")),
                    false => one.reason.clone(),
                },
            ]
        })
        .collect();
    print::table(&["since (UTC)", "record", "op", "state", "changes", "tries", "why"], &rows)?;
    Ok(DONE)
}

/// Runs.
pub(super) async fn runs(cli: &Cli, mapping: Option<&str>, failed: bool, limit: usize) -> Result<u8> {
    let runs = door(cli).await?.runs(mapping, failed, limit).await?;
    if cli.json {
        print::json(&runs, true)?;
        return Ok(DONE);
    }
    let rows: Vec<Vec<String>> = runs
        .iter()
        .map(|run| {
            let seconds = (run.ended_at - run.began_at).as_seconds_f64();
            let codes: Vec<String> =
                run.codes.iter().map(|(code, count)| format!("{count} {code}")).collect();
            let numbers = [run.records, run.changed, run.failed].map(|number| number.to_string());
            let head = vec![
                run.id.to_string(),
                run.began_at.format("%m-%d %H:%M:%S").to_string(),
                format!("{seconds:.1} s"),
                run.mapping.clone(),
                run.kind.word().to_owned(),
            ];
            let why = run.failure.clone().unwrap_or_else(|| codes.join(", "));
            [head, numbers.to_vec(), vec![why]].concat()
        })
        .collect();
    let head =
        ["run", "began (UTC)", "took", "mapping", "kind", "records", "done", "failed", "what went wrong"];
    print::table(&head, &rows)?;
    Ok(DONE)
}

fn error_row(error: &SyncError) -> Vec<String> {
    let record = match error.row_id {
        Some(row) => format!("{} {row}", error.mapping),
        None if error.mapping.is_empty() => "the connection".to_owned(),
        None => format!("{} {}", error.mapping, error.sfid.as_deref().unwrap_or(&format!("({})", error.op))),
    };
    vec![
        error.id.to_string(),
        error.last_seen.format("%m-%d %H:%M:%S").to_string(),
        record,
        error.code.clone(),
        error.fields.join(","),
        error.attempts.to_string(),
        error.state.word().to_owned(),
        error.message.clone(),
    ]
}

/// One error, or one row, with its record.
pub(super) async fn show(cli: &Cli, what: &str) -> Result<u8> {
    let handle = door(cli).await?;
    let (error, row) = match (what.parse::<i64>(), what.split_once(':')) {
        (Ok(id), _) => {
            let error = handle.error(id).await?;
            let row = error.row();
            (Some(error), row)
        }
        (_, Some((mapping, row))) => {
            let refused = |_| {
                print::Usage(format!("{row:?} is no row\nname it by its column id, such as {mapping}:42"))
            };
            let row = RowRef {
                table: handle.rules(mapping).await?.0.table,
                row: RowId(row.parse().map_err(refused)?),
            };
            (None, Some(row))
        }
        _ => {
            let text = format!("{what:?} is neither an error's number nor a row\nsay 12, or Contact:10235");
            return Err(print::Usage(text).into());
        }
    };
    let (record, remote) = match &row {
        Some(row) => (handle.record(row).await, handle.salesforce_values(row).await),
        None => {
            let none = || Refused("this error is not of one row".to_owned());
            (Err(none()), Err(none()))
        }
    };
    // Of a row that was named, there must be something to show.
    let record = if error.is_some() { record.ok() } else { Some(record?) };
    let error = error.or_else(|| record.as_ref().and_then(|record| record.error.clone()));
    if cli.json {
        let document = json!({"error": error, "record": record,
            "salesforce": remote.as_ref().ok(), "salesforce_refused": remote.as_ref().err().map(|refused| &refused.0)});
        print::json(&document, true)?;
        return Ok(DONE);
    }
    if let Some(error) = &error {
        print::line(&format!("error {}: {} ({})", error.id, error.code, error.state.word()))?;
        print::line(&sanitize(&error.message))?;
    }
    if let Some(record) = &record {
        show_record(record, remote.ok().as_ref())?;
    }
    Ok(DONE)
}

/// What a code or a line of a log means.
pub(super) fn explain(cli: &Cli, text: &str) -> Result<u8> {
    let words: Vec<&str> = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    let code = words.into_iter().find(|word| catalogue::of_log(Some(word), text).is_some());
    let Some(entry) = catalogue::of_log(code, text) else {
        print::problem(&format!("the catalogue knows no code and no message in {text:?}"));
        return Ok(FAILED);
    };
    if cli.json {
        let remedies: Vec<&str> = entry.remedies.iter().map(|remedy| remedy.text.as_str()).collect();
        let document = json!({"code": entry.code, "category": entry.category, "class": entry.class,
            "title": entry.title, "cause": entry.cause, "remedies": remedies});
        print::json(&document, true)?;
        return Ok(DONE);
    }
    print::line(&format!("{}  ({}, {})", entry.code, entry.category.word(), entry.class.word()))?;
    print::line(&format!("{}. {}", entry.title, entry.cause))?;
    for remedy in &entry.remedies {
        let text = remedy.text.replace("{field}", "the field").replace("{column}", "the column");
        print::line(&format!("  - {text}"))?;
    }
    Ok(DONE)
}

fn show_record(record: &RecordView, remote: Option<&SalesforceValues>) -> Result<()> {
    if !record.advice.title.is_empty() {
        print::line(&format!("{}. {}", record.advice.title, record.advice.cause))?;
        show_remedies(record)?;
    }
    let sfid = record.sfid.as_deref().unwrap_or("no record yet");
    print::line(&format!("\n{} {}, {sfid}, {}\n", record.mapping, record.row.row, record.unit))?;
    let theirs = |column: &str| match remote {
        Some(values) if values.state == SalesforceState::Found => {
            values.values.get(column).cloned().flatten().unwrap_or_default()
        }
        _ => String::new(),
    };
    let faults = record.error.as_ref().map(|error| error.fields.clone()).unwrap_or_default();
    let rows: Vec<Vec<String>> = record
        .values
        .iter()
        .map(|(field, value)| {
            let sign = if faults.contains(&field.name) { ">" } else { "" };
            let value = value.clone().unwrap_or_else(|| "NULL".to_owned());
            vec![sign.to_owned(), field.name.clone(), value, theirs(&field.column), field.type_text()]
        })
        .collect();
    print::table(&["", "field", "row", "Salesforce", "type"], &rows)?;
    show_conflicts(record)?;
    show_pending(record)?;
    show_sending(record)?;
    for (at, entry) in record.history.iter().enumerate() {
        let head = if at == 0 { "\nwhat happened (UTC), newest first\n" } else { "" };
        let time = entry.at.format("%m-%d %H:%M:%S");
        print::line(&format!("{head}  {time}  {:<9} {}", entry.what, sanitize(&entry.text)))?;
        for (lead, body) in [("request", &entry.request), ("response", &entry.response)] {
            if let Some(body) = body {
                print::line(&sanitize(&format!("                  {lead} {body}")))?;
            }
        }
    }
    Ok(())
}

fn show_remedies(record: &RecordView) -> Result<()> {
    for offer in &record.advice.remedies {
        let number = offer.number.map_or("   -".to_owned(), |number| format!(" [{number}]"));
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "NULL".to_owned());
        let changes: Vec<String> = offer
            .changes
            .iter()
            .map(|edit| format!("{} → {}", shown(&edit.shown), shown(&edit.new)))
            .collect();
        let changes = if changes.is_empty() { String::new() } else { format!(": {}", changes.join(", ")) };
        print::line(&sanitize(&format!("{number} {}{changes}", offer.text)))?;
    }
    if record.advice.remedies.iter().any(|offer| offer.number.is_some()) {
        print::line("do one with: syncdeck fix ID --remedy N --wait")?;
    }
    Ok(())
}

fn show_conflicts(record: &RecordView) -> Result<()> {
    if record.conflicts.is_empty() {
        return Ok(());
    }
    let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "NULL".to_owned());
    let rows: Vec<Vec<String>> = record
        .conflicts
        .iter()
        .map(|conflict| {
            let by = conflict.decided_by.as_deref().map(|by| format!(" ({by})")).unwrap_or_default();
            let winner = conflict.winner.as_deref().map_or("open".to_owned(), |side| format!("{side}{by}"));
            let values = [&conflict.base, &conflict.postgres, &conflict.salesforce].map(shown);
            [vec![conflict.column.clone()], values.to_vec(), vec![winner]].concat()
        })
        .collect();
    print::line("\nchanged here and in Salesforce\n")?;
    print::table(&["column", "before", "row", "Salesforce", "winner"], &rows)?;
    Ok(())
}

fn show_pending(record: &RecordView) -> Result<()> {
    if record.pending.is_empty() {
        return Ok(());
    }
    print::line("\nchanges that Salesforce has not taken (UTC), oldest first\n")?;
    let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "NULL".to_owned());
    for change in &record.pending {
        let values: Vec<String> = change
            .columns
            .iter()
            .filter(|(_, before, after)| change.action == "update" || before.is_some() || after.is_some())
            .map(|(column, before, after)| match change.action.as_str() {
                "update" => format!("{column} {} → {}", shown(before), shown(after)),
                _ => format!("{column} {}", shown(after)),
            })
            .collect();
        let time = change.at.format("%m-%d %H:%M:%S");
        print::line(&sanitize(&format!(
            "  {time}  {:<7} {:<7} {}",
            change.action,
            change.state.to_lowercase(),
            values.join(", ")
        )))?;
    }
    Ok(())
}

fn show_sending(record: &RecordView) -> Result<()> {
    let sending = &record.sending;
    let why = sending.why.as_deref().map(|why| format!(" ({why})")).unwrap_or_default();
    print::line(&format!("\nwill be sent: {}{}", sending.what, sanitize(&why)))?;
    for (field, value) in &sending.values {
        print::line(&sanitize(&format!("  {field} = {}", value.as_deref().unwrap_or("null"))))?;
    }
    for (field, why) in &sending.left_out {
        print::line(&sanitize(&format!("  {field} stays behind: {why}")))?;
    }
    Ok(())
}

/// The log.
pub(super) async fn logs(cli: &Cli, follow: bool, filter: &str, lines: usize) -> Result<u8> {
    let filter = LogFilter::parse(filter).map_err(print::Usage)?;
    let handle = door(cli).await?;
    let mut after = None;
    loop {
        let limit = if after.is_none() { lines } else { 1_000 };
        let records = handle.log(after, limit).await?;
        for record in records.iter().filter(|record| filter.matches(record)) {
            let printed = if cli.json { print::json(record, false) } else { print::line(&logfmt(record)) };
            if printed.is_err() {
                return Ok(DONE);
            }
        }
        after = records.last().map(|record| record.id).or(after).or(Some(0));
        if !follow {
            return Ok(DONE);
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}
