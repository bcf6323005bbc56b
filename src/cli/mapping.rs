//! Mappings: their rules, where each comes from, and changes at run time.

use color_eyre::eyre::Result;
use serde_json::json;

use crate::domain::overview::Writes;
use crate::engine::handle::{Handle, Refused};
use crate::logs::sanitize::sanitize;

use super::args::Cli;
use super::{DONE, door, many, print};

/// What stands for every mapping.
const ALL: &str = "all";

/// All mappings, a line each.
pub(super) async fn list(cli: &Cli) -> Result<u8> {
    let overview = door(cli).await?.overview().await?;
    if cli.json {
        print::json(&overview.mappings, true)?;
        return Ok(DONE);
    }
    let rows: Vec<Vec<String>> = overview
        .mappings
        .into_iter()
        .map(|of| vec![of.name, of.state, of.strategy, of.table, of.detail.unwrap_or_default()])
        .collect();
    print::table(&["mapping", "state", "strategy", "table", ""], &rows)?;
    Ok(DONE)
}

/// One mapping: what is to change, then its rules. All of them: what is to change, then the list.
pub(super) async fn one(cli: &Cli, name: &str, changes: &[String]) -> Result<u8> {
    if !changes.is_empty() {
        many::refuse_read_only(cli)?;
    }
    let name = Some(name).filter(|name| *name != ALL);
    let handle = door(cli).await?;
    for change in changes {
        let done = apply(&handle, name, change).await?;
        if let Some(done) = done.filter(|_| !cli.json) {
            print::line(&sanitize(&done))?;
        }
    }
    match name {
        Some(name) => show(cli, &handle, name).await,
        None => list(cli).await,
    }
}

/// Does one of the changes; tells what was done, where the rules do not show it.
async fn apply(handle: &Handle, name: Option<&str>, change: &str) -> Result<Option<String>> {
    if let Some(to) = Writes::from_word(change) {
        return Ok(Some(handle.writes(name, to).await?));
    }
    if change == "reload" {
        return Ok(Some(handle.reload(name).await?));
    }
    match (name, change.split_once('=')) {
        (Some(name), Some((key, value))) => {
            let value = Some(value.trim()).filter(|value| !value.is_empty());
            handle.set_rule(name, key.trim(), value).await?;
            Ok(None)
        }
        (None, Some(_)) => {
            let text =
                format!("{change:?}: a rule is set for one mapping at a time\nname it instead of {ALL:?}");
            Err(print::Usage(text).into())
        }
        _ => {
            let text = format!(
                "{change:?} is none of pause, drain, resume, reload, KEY=VALUE\nsee the keys with: syncdeck mapping {}",
                name.unwrap_or("NAME")
            );
            Err(print::Usage(text).into())
        }
    }
}

async fn show(cli: &Cli, handle: &Handle, name: &str) -> Result<u8> {
    let (mapping, rules) = handle.rules(name).await?;
    let overview = handle.overview().await?;
    let status = overview.mappings.into_iter().find(|status| status.name == mapping.object);
    let status = status
        .ok_or_else(|| Refused(format!("the mapping {} is not configured any more", mapping.object)))?;
    if cli.json {
        print::json(&json!({"mapping": status, "rules": rules}), true)?;
        return Ok(DONE);
    }
    let detail =
        status.detail.as_deref().map(|detail| format!(" ({})", sanitize(detail))).unwrap_or_default();
    print::line(&format!("{} <-> {}  {}{detail}", status.name, status.table, status.state))?;
    let width = rules.iter().map(|rule| rule.key.len()).max().unwrap_or(0);
    for rule in &rules {
        let value = if rule.value.is_empty() { "-".to_owned() } else { sanitize(&rule.value).into_owned() };
        print::line(&format!("  {:<width$}  {value:<24}  {:<13}  {}", rule.key, rule.origin, rule.meaning))?;
    }
    Ok(DONE)
}
