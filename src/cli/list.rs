//! What asks: errors, runs, show, explain, logs.

use std::collections::VecDeque;

use color_eyre::eyre::Result;
use serde_json::{Value, json};

use crate::client::api::{Client, ClientError, ErrorQuery, PendingQuery};
use crate::domain::errors::catalogue;
use crate::domain::errors::explain::{self, Explained, KnownError};
use crate::domain::errors::remedy::Remedy;
use crate::domain::errors::sort::Sort;
use crate::domain::errors::sync_error::SyncError;
use crate::domain::names::{RowId, RowRef};
use crate::domain::records::record::{Diagnosis, RecordView, SalesforceState, SalesforceValues};
use crate::logs::LogRecord;
use crate::logs::line::{LogFilter, logfmt};
use crate::logs::sanitize::sanitize;

use super::args::Cli;
use super::mapping::named;
use super::{DONE, FAILED, bulk, client, print};

/// The list of errors.
pub(super) async fn errors(cli: &Cli, filter: &str, sort: Sort, limit: usize) -> Result<u8> {
    bulk::matching(filter)?;
    let client = client(cli).await?;
    let mut query = ErrorQuery { filter: filter.to_owned(), sort, limit, after: None };
    let mut items = Vec::new();
    loop {
        query.limit = limit - items.len();
        let page = client.errors(&query).await?;
        items.extend(page.items);
        query.after = page.next;
        if items.len() >= limit || query.after.is_none() {
            break;
        }
    }
    client.gaps().await?.iter().for_each(|gap| print::note(gap));
    if cli.json {
        print::json(&items, true)?;
        return Ok(DONE);
    }
    let rows: Vec<Vec<String>> = items.iter().map(error_row).collect();
    print::table(&["id", "seen (UTC)", "record", "code", "fields", "tries", "state", "message"], &rows)?;
    let count = client.count(filter).await?;
    let more = if count.capped { "more than " } else { "" };
    print::note(&format!("{} of {more}{} errors", items.len(), count.matching));
    Ok(DONE)
}

/// The errors by cause.
pub(super) async fn groups(cli: &Cli, filter: &str, limit: usize) -> Result<u8> {
    bulk::matching(filter)?;
    let client = client(cli).await?;
    let groups = client.groups(filter, limit).await?;
    client.gaps().await?.iter().for_each(|gap| print::note(gap));
    if cli.json {
        print::json(&groups, true)?;
        return Ok(DONE);
    }
    let time = |time: chrono::DateTime<chrono::Utc>| time.format("%m-%d %H:%M").to_string();
    let rows: Vec<Vec<String>> = groups
        .iter()
        .map(|group| {
            let life = group.life.as_ref();
            let words = [life.and_then(|life| life.note.clone()), Some(group.template.clone())];
            vec![
                group.group.clone(),
                group.count.to_string(),
                group.trend.sign(),
                life.map(|life| life.state.word().to_owned()).unwrap_or_default(),
                life.and_then(|life| life.owner.clone()).unwrap_or_default(),
                group.mapping.clone(),
                group.code.clone(),
                group.fields.join(","),
                time(group.first_seen),
                time(group.last_seen),
                words.into_iter().flatten().collect::<Vec<_>>().join(" · "),
            ]
        })
        .collect();
    let head = [
        "group",
        "count",
        "1 h",
        "state",
        "owner",
        "mapping",
        "code",
        "fields",
        "first (UTC)",
        "last (UTC)",
        "note · message",
    ];
    print::table(&head, &rows)?;
    Ok(DONE)
}

/// What waits to be sent.
pub(super) async fn pending(cli: &Cli, mapping: Option<&str>, limit: usize) -> Result<u8> {
    let client = client(cli).await?;
    let mapping = match mapping {
        Some(name) => Some(named(&client, name).await?.object),
        None => None,
    };
    let waiting = client.pending(&PendingQuery { mapping, after: None, limit }).await?;
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
                one.state.to_string(),
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
    let client = client(cli).await?;
    if let Some(name) = mapping {
        named(&client, name).await?;
    }
    let runs = client.runs(mapping, failed, limit).await?;
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
pub(super) async fn show(cli: &Cli, what: &str, full: bool) -> Result<u8> {
    if full {
        print::be_full();
    }
    let client = client(cli).await?;
    let (error, row) = match (what.parse::<i64>(), what.split_once(':')) {
        (Ok(id), _) => {
            let error = client.error(id).await?;
            let row = error.row();
            (Some(error), row)
        }
        (_, Some((mapping, row))) => {
            let refused = |_| {
                print::Usage(format!("{row:?} is no row\nname it by its column id, such as {mapping}:42"))
            };
            let row = RowRef {
                row: RowId(row.parse().map_err(refused)?),
                table: named(&client, mapping).await?.table,
            };
            (None, Some(row))
        }
        _ => {
            let text = format!("{what:?} is neither an error's number nor a row\nsay 12, or Contact:10235");
            return Err(print::Usage(text).into());
        }
    };
    let (record, remote) = match &row {
        Some(row) => (client.record(row).await, client.salesforce_values(row).await),
        None => {
            let none = || ClientError::invalid("this error is not of one row");
            (Err(none()), Err(none()))
        }
    };
    // Of a row that was named, there must be something to show.
    let record = if error.is_some() { record.ok() } else { Some(record?) };
    let error = error.or_else(|| record.as_ref().and_then(|record| record.error.clone()));
    // What is of no row is told by itself.
    let alone = error.as_ref().filter(|_| record.is_none());
    let waits = match alone {
        Some(error) => Some(client.overview().await?.waits_for(error)),
        None => None,
    };
    let advice = alone.map(catalogue::diagnose_error);
    if cli.json {
        let mut document = json!({"error": error, "record": record,
            "salesforce": remote.as_ref().ok(), "salesforce_refused": remote.as_ref().err().map(ClientError::to_string)});
        if let (Some(advice), Some(waits)) = (&advice, &waits) {
            document["advice"] = json!(advice);
            document["waits"] = json!(waits);
        }
        print::json(&document, true)?;
        return Ok(DONE);
    }
    if let Some(error) = &error {
        print::line(&format!("error {}: {} ({})", error.id, error.code, error.state.word()))?;
        print::line(&print::shorten(&sanitize(&error.message), 4))?;
    }
    if let (Some(error), Some(advice), Some(waits)) = (alone, &advice, &waits) {
        show_alone(error, advice, waits)?;
    }
    if let Some(record) = &record {
        show_record(record, remote.ok().as_ref())?;
    }
    Ok(DONE)
}

/// What a code, a message or a line of a log means. A number is that of an error, unless it is a code itself.
pub(super) async fn explain(cli: &Cli, text: &str) -> Result<u8> {
    let explained = explain::explain(text);
    if let (Explained::Unknown(_), Ok(id)) = (&explained, text.trim().trim_start_matches('#').parse::<i64>())
    {
        return show(cli, &id.to_string(), false).await;
    }
    match explained {
        Explained::Known(known) => {
            if cli.json {
                print::json(&explained_json(&known), true)?;
                return Ok(DONE);
            }
            for (at, one) in known.iter().enumerate() {
                if at > 0 {
                    print::line("")?;
                }
                show_meaning(one)?;
            }
            Ok(DONE)
        }
        Explained::NoError => {
            let says = "this is no error: nothing went wrong here";
            if cli.json {
                print::json(&json!({"code": null, "title": says}), true)?
            } else {
                print::line(says)?
            }
            Ok(DONE)
        }
        Explained::Unknown(Some(code)) => {
            print::problem(&format!(
                "the catalogue does not know the code {code}; what it means, its message says"
            ));
            Ok(FAILED)
        }
        Explained::Unknown(None) => {
            let shown = print::shorten(text.trim(), 2);
            print::problem(&format!("the catalogue knows no code and no message in {shown:?}"));
            Ok(FAILED)
        }
    }
}

/// The first error that was found, and the others of the same text.
fn explained_json(known: &[KnownError]) -> Value {
    let one = |known: &KnownError| {
        let remedies: Vec<String> = known.entry.remedies.iter().map(Remedy::plainly).collect();
        json!({"code": known.code, "category": known.entry.category, "class": known.entry.class,
            "title": known.entry.title, "cause": known.entry.cause, "remedies": remedies})
    };
    let mut all = known.iter().map(one);
    let mut document = all.next().unwrap_or_default();
    let others: Vec<Value> = all.collect();
    if !others.is_empty() {
        document["others"] = Value::from(others);
    }
    document
}

fn show_meaning(known: &KnownError) -> Result<()> {
    let entry = known.entry;
    print::line(&format!("{}  ({}, {})", known.code, entry.category.word(), entry.class.word()))?;
    print::line(&format!("{}. {}", entry.title, entry.cause))?;
    for remedy in &entry.remedies {
        print::line(&format!("  - {}", remedy.plainly()))?;
    }
    Ok(())
}

/// An error of a read, a mapping or the connection.
fn show_alone(error: &SyncError, advice: &Diagnosis, waits: &str) -> Result<()> {
    let time = |time: chrono::DateTime<chrono::Utc>| time.format("%Y-%m-%d %H:%M:%S");
    let (first, last) = (time(error.first_seen), time(error.last_seen));
    let of = if error.mapping.is_empty() { "the connection" } else { &error.mapping };
    let kind = format!("{}, {}, {}", error.category.word(), error.class.word(), error.op);
    print::line(&format!("{of}: {kind}, since {first} UTC, last seen {last} UTC"))?;
    print::line(&format!("{}. {}", advice.title, advice.cause))?;
    print::line(waits)?;
    for remedy in &advice.remedies {
        print::line(&sanitize(&format!("  - {}", remedy.text)))?;
    }
    Ok(())
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
        let text = format!("  {time}  {:<9} {}", entry.what, sanitize(&entry.text));
        print::line(&format!("{head}{}", print::shorten(&text, 2)))?;
        for (lead, body) in [("request", &entry.request), ("response", &entry.response)] {
            if let Some(body) = body {
                print::line(&print::shorten(&sanitize(&format!("                  {lead} {body}")), 4))?;
            }
        }
    }
    Ok(())
}

fn show_remedies(record: &RecordView) -> Result<()> {
    for offer in &record.advice.remedies {
        let number = offer.number.map_or("   -".to_owned(), |number| format!(" [{number}]"));
        let shown = |value: &Option<String>| print::shorten(value.as_deref().unwrap_or("NULL"), 1);
        let changes: Vec<String> = offer
            .changes
            .iter()
            .map(|edit| format!("{} → {}", shown(&edit.shown), shown(&edit.new)))
            .collect();
        let changes = if changes.is_empty() { String::new() } else { format!(": {}", changes.join(", ")) };
        let asks = offer.question(record).map_or("", |_| "  (asks first, or takes --yes)");
        print::line(&sanitize(&format!("{number} {}{changes}{asks}", offer.text)))?;
    }
    if record.is_being_sent() && record.error.is_some() {
        print::line("it is being sent: what helps is known when Salesforce has answered")?;
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
    let shown = |value: &Option<String>| print::shorten(value.as_deref().unwrap_or("NULL"), 1);
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
    print::line(&print::shorten(&format!("\nwill be sent: {}{}", sending.what, sanitize(&why)), 4))?;
    for (field, value) in &sending.values {
        let text = format!("  {field} = {}", value.as_deref().unwrap_or("null"));
        print::line(&print::shorten(&sanitize(&text), 1))?;
    }
    for (field, why) in &sending.left_out {
        let text = format!("  {field} stays behind: {why}");
        print::line(&print::shorten(&sanitize(&text), 4))?;
    }
    Ok(())
}

/// Lines that the log begins with where nobody says how many.
pub(super) const LOG_LINES: usize = 100;
/// Log records read at once while older ones that pass a filter are looked for.
pub(super) const LOG_PAGE: usize = 2_000;

/// A record of any log.
pub(super) fn log_record(cli: &Cli, record: &LogRecord) -> std::io::Result<()> {
    match cli.json {
        true => print::json(record, false),
        false => print::line(&logfmt(record)),
    }
}

/// The newest records up to a position that pass a filter, oldest first.
pub(super) async fn newest(
    client: &Client,
    upto: i64,
    filter: &LogFilter,
    lines: usize,
) -> Result<VecDeque<LogRecord>, ClientError> {
    let mut found = VecDeque::new();
    let mut before = upto.saturating_add(1);
    while found.len() < lines {
        // What a filter leaves out is not counted, so nobody knows how far back the lines lie.
        let page =
            client.log_before(before, if filter.is_empty() { lines - found.len() } else { LOG_PAGE }).await?;
        let passing = page.iter().rev().filter(|record| filter.matches(record));
        for record in passing.take(lines - found.len()) {
            found.push_front(record.clone());
        }
        // The mark of what was removed has no position of its own; nothing lies before it.
        match page.first().map(|record| record.id) {
            Some(oldest) if oldest > 0 => before = oldest,
            _ => break,
        }
    }
    Ok(found)
}
