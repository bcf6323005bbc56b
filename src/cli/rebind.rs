//! `syncdeck rebind`: another org behind the same tables, such as a sandbox that was refreshed. Shows what becomes of rows, asks,
//! and does it in one transaction.

use std::io::{self, IsTerminal};

use color_eyre::eyre::Result;
use serde_json::json;

use crate::client::api::operator;
use crate::domain::operations::operation::Operation;
use crate::domain::reports::rebind::{LookupColumn, RebindMapping, RebindPlan, UnsettledChanges};
use crate::domain::values::size::thousands;
use crate::engine::rebind::Rebind;
use crate::logs::sanitize::sanitize;
use crate::postgres::session::connect::Session;

use super::args::{Cli, RebindOptions};
use super::dialogue::Dialogue;
use super::verify::clear_line;
use super::{DONE, FAILED, UNHEALTHY, bulk, print, store};

/// Shows, asks, does.
pub(super) async fn run(cli: &Cli, options: &RebindOptions) -> Result<u8> {
    if !options.dry_run {
        bulk::refuse_read_only(cli)?;
    }
    let config = super::config(cli)?;
    super::needs_org(&config)?;
    let session = Session { connections: 2, ..Session::new("syncdeck rebind", config.postgres.timeout) };
    let store = store(&config, &session).await?;
    let progress = |object: &str, records: i64| {
        if io::stderr().is_terminal() {
            print::aside(&format!("\r\x1b[K{object}: {records} records read"));
        }
    };
    let rebind = Rebind::plan(&config, store, options.give_up_changes, &progress).await;
    clear_line();
    let rebind = rebind?;
    let plan = rebind.preview();
    if options.dry_run && cli.json {
        print::json(&json!({"plan": plan}), true)?;
    } else if !cli.json {
        tell(plan)?;
    }
    if options.dry_run {
        return Ok(if plan.refused.is_empty() { DONE } else { UNHEALTHY });
    }
    if !plan.refused.is_empty() {
        if cli.json {
            print::json(&json!({"plan": plan}), true)?;
        }
        return Err(print::Usage(format!("nothing was changed: {}", plan.refused.join("\n"))).into());
    }
    if cli.json && !options.yes {
        print::json(&json!({"plan": plan}), true)?;
        let text =
            "nothing was changed: with --json nobody is asked\nsay --yes, and which org is meant: --org ID";
        return Err(print::Usage(text.to_owned()).into());
    }
    if !agreed(plan, options)? {
        print::problem("nothing was changed");
        return Ok(FAILED);
    }
    let operation = Operation { why: options.why.clone(), ..Operation::single(&operator()) };
    let done = rebind.execute(&operation).await?;
    if cli.json {
        print::json(&json!({"done": done}), true)?;
    } else {
        print::line(&format!(
            "Done: the schema {} is of the org {} now. The next start of the engine reads all records: syncdeck run",
            done.schema, done.to.id
        ))?;
    }
    Ok(DONE)
}

/// Whether it is wanted. Whoever is not asked names the org that is meant, whichever it is.
fn agreed(plan: &RebindPlan, options: &RebindOptions) -> Result<bool> {
    let (to, is_there) = (&plan.to, io::stdin().is_terminal());
    let strangers: Vec<String> =
        plan.strangers().map(|of| format!("{} (none of {})", of.mapping, count(of.keyed))).collect();
    if let Some(named) = &options.org {
        if named.len() < 15 || named.get(..15) != to.id.get(..15) {
            let text = format!(
                "--org names {named}, but the login is to {}\nname the org that is meant, or use its login",
                to.id
            );
            return Err(print::Usage(text).into());
        }
    } else if !strangers.is_empty() {
        let text = format!(
            "no external id of these mappings is found in the org {}, which may be a wrong one: {}\nname it to go on: --org {}",
            to.text(),
            strangers.join(", "),
            to.id
        );
        return Err(print::Usage(text).into());
    } else if options.yes || !is_there {
        let text = format!("{}: its rows would be written to\nname it to go on: --org {}", to.text(), to.id);
        return Err(print::Usage(text).into());
    }
    if options.yes {
        return Ok(true);
    }
    let question = question(plan, &strangers);
    if !(to.is_production() || plan.from.is_production()) || !is_there {
        return bulk::agreed(&question);
    }
    let question = format!("{} Type the org's id to do it", sanitize(&question));
    Ok(Dialogue::new().text(&question, Some("no"))? == to.id)
}

/// What is agreed to, in one sentence each.
fn question(plan: &RebindPlan, strangers: &[String]) -> String {
    let mut text =
        format!("The rows of the schema {} become those of the org {}.", plan.schema, plan.to.text());
    if !strangers.is_empty() {
        text += &format!(" No external id is found there of {}.", strangers.join(", "));
    }
    let unlinked: i64 = plan.mappings.iter().map(|of| of.unlinked).sum();
    let unmapped: i64 = plan.unmapped.iter().map(|of| of.rows).sum();
    if unlinked + unmapped > 0 {
        text += &format!(" {} rows will name no record.", count(unlinked + unmapped));
    }
    if !plan.unsettled.is_empty() {
        text += &format!(" Given up, and never sent: {}.", unsettled(plan));
    }
    text
}

fn unsettled(plan: &RebindPlan) -> String {
    plan.unsettled.iter().map(UnsettledChanges::text).collect::<Vec<_>>().join("; ")
}

fn count(number: i64) -> String {
    thousands(number.max(0) as usize)
}

fn tell(plan: &RebindPlan) -> io::Result<()> {
    print::line(&format!(
        "noted:  {}{}",
        plan.from.id,
        plan.from.host.as_ref().map(|host| format!(" at {host}")).unwrap_or_default()
    ))?;
    print::line(&format!("now:    {}", plan.to.text()))?;
    plan.mappings.iter().try_for_each(tell_mapping)?;
    for of in &plan.unmapped {
        print::line(&format!(
            "{}: not mapped, its {} rows become unlinked and stay",
            of.table,
            count(of.rows)
        ))?;
    }
    if !plan.unsettled.is_empty() {
        let what = if plan.gives_up { "are given up" } else { "are not settled" };
        print::line(&format!("changes of the org before that {what}: {}", unsettled(plan)))?;
    }
    plan.refused.iter().try_for_each(|why| print::line(&format!("refused: {}", why.replace('\n', "\n  "))))
}

fn tell_mapping(of: &RebindMapping) -> io::Result<()> {
    print::line(&format!("{}: {} rows with a record", of.mapping, count(of.rows)))?;
    let Some(key) = &of.external_id else {
        print::line(&format!(
            "  no external id is mapped: all {} become unlinked and stay; the {} records there are read as new rows",
            count(of.unlinked),
            count(of.unread)
        ))?;
        return of.lookups.iter().try_for_each(tell_lookup);
    };
    print::line(&format!("  {} find their record there by {key}", count(of.relinked)))?;
    if of.keyed > 0 && of.relinked == 0 && of.doubled == 0 {
        print::line("  none of them: the org may be a wrong one, and is only taken where --org names it")?;
    }
    for (number, text) in [
        (
            of.unlinked,
            "find none and become unlinked: they stay, and the writes of the mapping are paused until somebody resumes them",
        ),
        (of.unread, "records there have no row: the next load reads them"),
    ] {
        if number > 0 {
            print::line(&format!("  {} {text}", count(number)))?;
        }
    }
    for key in &of.doubled_keys {
        print::line(&format!(
            "  {:?} is found more than once: {} records there, {} rows here",
            key.key,
            count(key.records),
            count(key.rows)
        ))?;
    }
    of.lookups.iter().try_for_each(tell_lookup)
}

fn tell_lookup(of: &LookupColumn) -> io::Result<()> {
    if of.relinked + of.unresolved == 0 {
        return Ok(());
    }
    print::line(&format!(
        "  {}: {} name the same parent there, {} name one that is not found and keep the old id until the load",
        of.column,
        count(of.relinked),
        count(of.unresolved)
    ))
}
