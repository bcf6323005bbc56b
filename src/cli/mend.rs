//! What changes: fix, retry and ignore.

use std::time::Duration;

use color_eyre::eyre::Result;
use serde_json::{Value, json};

use crate::domain::check::check;
use crate::domain::merge::Side;
use crate::domain::names::RowRef;
use crate::domain::record::{Edit, FieldEdit, RecordView};
use crate::domain::sync_error::{ErrorState, SyncError};
use crate::engine::handle::{Handle, Refused};

use super::args::{Cli, FixOptions};
use super::{DONE, FAILED, door, print};

/// How long `--wait` waits for Salesforce's answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What became of one error.
struct Item {
    id: i64,
    /// `done`, `skipped` or `failed`.
    result: &'static str,
    message: String,
}

/// Changes fields of an error's row.
pub(super) async fn fix(cli: &Cli, options: &FixOptions) -> Result<u8> {
    refuse_read_only(cli)?;
    let pairs = options
        .fields
        .iter()
        .map(|pair| pair.split_once('=').ok_or_else(|| print::Usage(format!("{pair:?} is no FIELD=VALUE"))))
        .collect::<Result<Vec<_>, _>>()?;
    let handle = door(cli).await?;
    let item = match fix_one(&handle, options, &pairs).await {
        Ok(message) => Item { id: options.id, result: "done", message },
        Err(refused) => Item { id: options.id, result: "failed", message: refused.0 },
    };
    tell(cli, &[item])
}

async fn fix_one(handle: &Handle, options: &FixOptions, pairs: &[(&str, &str)]) -> Result<String, Refused> {
    let error = handle.error(options.id).await?;
    let row = row_of(&error)?;
    let record = handle.record(&row).await?;
    if let Some(number) = options.remedy {
        let done = apply(handle, &record, number).await?;
        return if options.wait { Ok(format!("{done}: {}", wait(handle, &error).await?)) } else { Ok(done) };
    }
    let fields =
        pairs.iter().map(|(name, value)| field_edit(&record, name, value)).collect::<Result<Vec<_>, _>>()?;
    handle.save(&Edit { row, fields, retry: options.retry }).await?;
    match (options.retry, options.wait) {
        (true, true) => wait(handle, &error).await,
        (true, false) => Ok("saved; it is sent".to_owned()),
        // A changed row is sent as any change of an application is; --retry only makes it at once.
        (false, _) => Ok("saved".to_owned()),
    }
}

fn row_of(error: &SyncError) -> Result<RowRef, Refused> {
    error.row().ok_or_else(|| Refused("this error is not of one row; there is nothing to change".to_owned()))
}

/// Does what a remedy says, by its number.
async fn apply(handle: &Handle, record: &RecordView, number: usize) -> Result<String, Refused> {
    let offers = &record.advice.remedies;
    let Some(offer) = offers.iter().find(|offer| offer.number == Some(number)) else {
        let count = offers.iter().filter(|offer| offer.number.is_some()).count();
        return Err(Refused(format!(
            "there is no remedy {number} that can be done by itself (there are {count})\nsee them with: syncdeck show"
        )));
    };
    handle.apply(&record.row, offer).await
}

/// Chooses a side of fields that changed on both.
pub(super) async fn choose(cli: &Cli, id: i64, sides: &[String]) -> Result<u8> {
    refuse_read_only(cli)?;
    let mut pairs = Vec::new();
    for pair in sides {
        let side = pair.split_once('=').and_then(|(field, side)| Some((field, Side::from_word(side)?)));
        pairs.push(side.ok_or_else(|| {
            print::Usage(format!("{pair:?} is neither FIELD=postgres nor FIELD=salesforce"))
        })?);
    }
    let handle = door(cli).await?;
    let item = match choose_sides(&handle, id, &pairs).await {
        Ok(message) => Item { id, result: "done", message },
        Err(refused) => Item { id, result: "failed", message: refused.0 },
    };
    tell(cli, &[item])
}

async fn choose_sides(handle: &Handle, id: i64, pairs: &[(&str, Side)]) -> Result<String, Refused> {
    let row = row_of(&handle.error(id).await?)?;
    let record = handle.record(&row).await?;
    let open = || record.conflicts.iter().filter(|conflict| conflict.winner.is_none());
    let mut chosen = Vec::new();
    for (field, side) in pairs {
        let known = record.values.iter().map(|(known, _)| known);
        let column = known
            .filter(|known| {
                known.name.eq_ignore_ascii_case(field) || known.column.eq_ignore_ascii_case(field)
            })
            .map(|known| known.column.clone())
            .next();
        let columns: Vec<String> = match column {
            Some(column) => vec![column],
            None if *field == "*" => open().map(|conflict| conflict.column.clone()).collect(),
            None => return Err(Refused(format!("{} has no mapped field {field}", record.mapping))),
        };
        for column in columns {
            handle.choose(&row, &column, *side).await?;
            chosen.push(format!("{column}: {}", side.word()));
        }
    }
    match chosen.is_empty() {
        true => Err(Refused(format!("the row {} of {} has no open conflict", row.row, row.table))),
        false => Ok(chosen.join(", ")),
    }
}

fn field_edit(record: &RecordView, name: &str, value: &str) -> Result<FieldEdit, Refused> {
    let found = record
        .values
        .iter()
        .find(|(field, _)| field.name.eq_ignore_ascii_case(name) || field.column.eq_ignore_ascii_case(name));
    let Some((field, shown)) = found else {
        let known: Vec<&str> = record.values.iter().map(|(field, _)| field.name.as_str()).collect();
        return Err(Refused(format!(
            "{} has no mapped field {name}\nits fields: {}",
            record.mapping,
            known.join(", ")
        )));
    };
    let new = if value.is_empty() { None } else { Some(value.to_owned()) };
    check(field, new.as_deref()).map_err(|why| Refused(format!("{}: {why}", field.name)))?;
    Ok(FieldEdit { column: field.column.clone(), shown: shown.clone(), new })
}

/// Sends the rows of errors again.
pub(super) async fn retry(cli: &Cli, ids: &[i64], wait_for: bool) -> Result<u8> {
    each(cli, ids, async |handle, id| retry_one(handle, id, wait_for).await).await
}

/// Stops asking about errors.
pub(super) async fn ignore(cli: &Cli, ids: &[i64]) -> Result<u8> {
    each(cli, ids, ignore_one).await
}

/// Does one thing to each error, and tells what became of it.
async fn each(
    cli: &Cli,
    ids: &[i64],
    mut one: impl AsyncFnMut(&Handle, i64) -> Result<Item, Refused>,
) -> Result<u8> {
    refuse_read_only(cli)?;
    let handle = door(cli).await?;
    let mut items = Vec::new();
    for &id in ids {
        items.push(match one(&handle, id).await {
            Ok(item) => item,
            Err(refused) => Item { id, result: "failed", message: refused.0 },
        });
    }
    tell(cli, &items)
}

async fn ignore_one(handle: &Handle, id: i64) -> Result<Item, Refused> {
    let error = handle.error(id).await?;
    let skipped = |message: &str| Ok(Item { id, result: "skipped", message: message.to_owned() });
    match (error.state, error.row()) {
        (ErrorState::Resolved, _) => skipped("it is resolved already"),
        (ErrorState::Ignored, _) => skipped("it is ignored already"),
        (_, None) => skipped("it is not of one row; it ends by itself when its cause does"),
        (_, Some(row)) => {
            handle.ignore(&row).await?;
            let message = "it is off the list until the row changes; retry takes it up again".to_owned();
            Ok(Item { id, result: "done", message })
        }
    }
}

async fn retry_one(handle: &Handle, id: i64, wait_for: bool) -> Result<Item, Refused> {
    let error = handle.error(id).await?;
    let skipped = |message: &str| Ok(Item { id, result: "skipped", message: message.to_owned() });
    if error.state == ErrorState::Resolved {
        return skipped("it is resolved already");
    }
    let Some(row) = error.row() else { return skipped("it is not of one row; it is tried again by itself") };
    handle.retry(&row).await?;
    let message = if wait_for { wait(handle, &error).await? } else { "it is sent".to_owned() };
    Ok(Item { id, result: "done", message })
}

/// Waits until Salesforce took the row, or refused it again.
async fn wait(handle: &Handle, before: &SyncError) -> Result<String, Refused> {
    let begin = tokio::time::Instant::now();
    while begin.elapsed() < PATIENCE {
        let now = handle.error(before.id).await?;
        match now.state {
            ErrorState::Resolved => return Ok("Salesforce took it".to_owned()),
            ErrorState::Open | ErrorState::Review if now.last_seen > before.last_seen => {
                return Err(Refused(format!("rejected again: {}: {}", now.code, now.message)));
            }
            ErrorState::Held => return Err(Refused(format!("it {}", now.message))),
            _ => tokio::time::sleep(Duration::from_millis(30)).await,
        }
    }
    Err(Refused(format!("no answer within {} s; it stays queued", PATIENCE.as_secs())))
}

pub(super) fn refuse_read_only(cli: &Cli) -> Result<(), print::Usage> {
    if cli.read_only {
        Err(print::Usage("--read-only changes nothing; leave it out".to_owned()))
    } else {
        Ok(())
    }
}

fn tell(cli: &Cli, items: &[Item]) -> Result<u8> {
    let count = |result: &str| items.iter().filter(|item| item.result == result).count();
    let failed = count("failed");
    if cli.json {
        let list: Vec<Value> = items
            .iter()
            .map(|item| json!({"id": item.id, "result": item.result, "message": item.message}))
            .collect();
        print::json(
            &json!({"done": count("done"), "skipped": count("skipped"), "failed": failed, "items": list}),
            true,
        )?;
    } else {
        for item in items {
            let text = format!("{}: {}: {}", item.id, item.result, item.message);
            if item.result == "failed" { print::problem(&text) } else { print::line(&text)? }
        }
    }
    Ok(if failed > 0 { FAILED } else { DONE })
}
