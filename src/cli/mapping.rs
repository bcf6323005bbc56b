//! Mappings: their rules, where each comes from, and changes at run time.

use color_eyre::eyre::Result;
use serde_json::json;

use crate::client::api::{Client, ClientError, SetTo};
use crate::domain::attached::told::{EMPTIES, PAUSES};
use crate::domain::mappings::mapping::{Mapping, no_such_mapping};
use crate::domain::mappings::strategy::Strategy;
use crate::domain::operations::operation::{Confirm, confirm_stop};
use crate::domain::reports::overview::Writes;
use crate::logs::sanitize::sanitize;

use super::args::Cli;
use super::{DONE, FAILED, bulk, client, print};

/// What stands for every mapping.
const ALL: &str = "all";

/// All mappings, a line each.
pub(super) async fn list(cli: &Cli) -> Result<u8> {
    let client = client(cli).await?;
    client.glance_at_heroku().await;
    let overview = client.overview().await?;
    if cli.json {
        print::json(&overview.mappings, true)?;
        return Ok(DONE);
    }
    let rows: Vec<Vec<String>> = overview
        .mappings
        .into_iter()
        .map(|of| vec![of.name, of.state.to_string(), of.strategy, of.table, of.detail.unwrap_or_default()])
        .collect();
    print::table(&["mapping", "state", "strategy", "table", ""], &rows)?;
    Ok(DONE)
}

/// One thing to change.
enum Change {
    /// Whether rows are sent.
    Writes(Writes),
    /// All records are read again.
    Reload,
    /// A rule, and its value; `None` leaves it to the configuration.
    Rule(String, Option<String>),
}

/// One mapping: what is to change, then its rules. All of them: what is to change, then the list.
pub(super) async fn one(cli: &Cli, name: &str, changes: &[String], yes: bool) -> Result<u8> {
    if !changes.is_empty() {
        bulk::refuse_read_only(cli)?;
    }
    let name = Some(name).filter(|name| *name != ALL);
    // What is wrong is said before anything is changed.
    let changes: Vec<Change> =
        changes.iter().map(|change| read(name, change)).collect::<Result<_, print::Usage>>()?;
    let client = client(cli).await?;
    if let Some(name) = name {
        named(&client, name).await?;
    }
    for change in &changes {
        match change {
            Change::Writes(to) => client.takes_writes(name, *to)?,
            Change::Reload => client.takes_reload()?,
            Change::Rule(..) => {}
        }
    }
    if !yes && !agreed(&client, name, &changes).await? {
        print::problem("nothing was changed");
        return Ok(FAILED);
    }
    let said = |text: &str| if cli.json { Ok(()) } else { print::line(&sanitize(text)) };
    // Rules first: what goes on again goes on under them.
    let mut rules = Vec::new();
    let mut operations = Vec::new();
    for change in changes {
        match change {
            Change::Rule(key, value) => rules.push((key, value)),
            other => operations.push(other),
        }
    }
    if let Some(name) = name.filter(|_| !rules.is_empty()) {
        for set in client.set_rules(name, &rules).await? {
            match set {
                SetTo { key, value: Some(value), is_so: true } => said(&format!("{key} is {value} already"))?,
                SetTo { key, value: None, is_so: true } => said(&format!("{key} is not set at run time"))?,
                SetTo { .. } => {}
            }
        }
    }
    for change in operations {
        match change {
            Change::Writes(to) => said(&client.writes(name, to).await?)?,
            Change::Reload => said(&client.reload(name).await?)?,
            Change::Rule(..) => {}
        }
    }
    match name {
        Some(name) => show(cli, &client, name).await,
        None => list(cli).await,
    }
}

/// Whether all of it is wanted indeed: one question of whatever stops writes or empties tables, as strict as the strictest asks.
async fn agreed(client: &Client, name: Option<&str>, changes: &[Change]) -> Result<bool> {
    let attached = client.is_attached();
    let empties = attached && changes.iter().any(|change| matches!(change, Change::Reload));
    let stopped = changes.iter().filter_map(stops).map(|does| if attached { PAUSES } else { does });
    let mut does: Vec<&str> = stopped.chain(empties.then_some(EMPTIES)).collect();
    does.dedup();
    if does.is_empty() {
        return Ok(true);
    }
    let environment = client.environment().await?;
    let count = if name.is_some() { 1 } else { client.overview().await?.mappings.len() };
    let confirm = match confirm_stop(count, &environment) {
        Confirm::Nothing if empties => Confirm::Yes,
        confirm => confirm,
    };
    if confirm == Confirm::Nothing {
        return Ok(true);
    }
    let whose = name.map_or_else(|| format!("all {count} mappings"), str::to_owned);
    let whose = match attached {
        true => format!("{}: {whose}", client.heroku_name().await?),
        false => format!("the writes of {whose}"),
    };
    let question = format!("{environment}: {whose}: {}.", does.join("; "));
    match confirm {
        Confirm::Count(count) => bulk::agreed_by_count(&question, count),
        _ => bulk::agreed(&question),
    }
}

/// What a change does to the writes, where it may stop them.
fn stops(change: &Change) -> Option<&'static str> {
    match change {
        Change::Writes(to) => to.stops(),
        Change::Rule(key, Some(value)) if key == "strategy" => Strategy::from_word(value)?.stops(),
        Change::Rule(..) | Change::Reload => None,
    }
}

/// What is to change, as it is typed.
fn read(name: Option<&str>, change: &str) -> Result<Change, print::Usage> {
    if let Some(to) = Writes::from_word(change) {
        return Ok(Change::Writes(to));
    }
    if change == "reload" {
        return Ok(Change::Reload);
    }
    match (name, change.split_once('=')) {
        (Some(_), Some((key, value))) => {
            let value = Some(value.trim()).filter(|value| !value.is_empty());
            Ok(Change::Rule(key.trim().to_owned(), value.map(str::to_owned)))
        }
        (None, Some(_)) => {
            let text =
                format!("{change:?}: a rule is set for one mapping at a time\nname it instead of {ALL:?}");
            Err(print::Usage(text))
        }
        _ => {
            let text = format!(
                "{change:?} is none of pause, drain, resume, reload, KEY=VALUE\nsee the keys with: syncdeck mapping {}",
                name.unwrap_or("NAME")
            );
            Err(print::Usage(text))
        }
    }
}

/// The mapping of that object or table; a name that nothing is mapped under is wrong usage.
pub(super) async fn named(client: &Client, name: &str) -> Result<Mapping> {
    let mappings = client.overview().await?.mappings;
    if mappings.iter().any(|mapping| mapping.table == name || mapping.name.eq_ignore_ascii_case(name)) {
        return Ok(client.mapping(name).await?);
    }
    let known: Vec<&str> = mappings.iter().map(|mapping| mapping.name.as_str()).collect();
    Err(print::Usage(no_such_mapping(name, &known)).into())
}

async fn show(cli: &Cli, client: &Client, name: &str) -> Result<u8> {
    // Beside Heroku Connect a mapping has no rules.
    let (mapping, rules) = match client.is_attached() {
        true => (client.mapping(name).await?, Vec::new()),
        false => client.rules(name).await?,
    };
    client.glance_at_heroku().await;
    let overview = client.overview().await?;
    let status = overview.mappings.into_iter().find(|status| status.name == mapping.object);
    let status = status.ok_or_else(|| {
        ClientError::not_found(format!("the mapping {} is not configured any more", mapping.object))
    })?;
    if cli.json {
        print::json(&json!({"mapping": status, "rules": rules}), true)?;
        return Ok(DONE);
    }
    let detail =
        status.detail.as_deref().map(|detail| format!(" ({})", sanitize(detail))).unwrap_or_default();
    print::line(&format!("{} <-> {}  {}{detail}", status.name, status.table, status.state))?;
    if let Some(told) = &status.heroku {
        print::line(&format!("  {}", sanitize(&super::heroku_api::counts(told))))?;
    }
    let width = rules.iter().map(|rule| rule.key.len()).max().unwrap_or(0);
    for rule in &rules {
        let value = if rule.value.is_empty() { "-".to_owned() } else { sanitize(&rule.value).into_owned() };
        print::line(&format!("  {:<width$}  {value:<24}  {:<13}  {}", rule.key, rule.origin, rule.meaning))?;
    }
    Ok(DONE)
}
