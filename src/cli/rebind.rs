//! `syncdeck rebind`: another org behind the same tables, such as a sandbox that was refreshed. Shows what becomes of rows, asks,
//! and does it in one transaction.

use std::io::{self, IsTerminal};

use color_eyre::eyre::Result;
use serde_json::json;

use crate::client::api::operator;
use crate::domain::operations::operation::Operation;
use crate::domain::reports::rebind::{LookupColumn, RebindMapping, RebindPlan};
use crate::domain::values::size::thousands;
use crate::engine::rebind::Rebind;
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
    let rebind = Rebind::plan(&config, store, options.keep_changes, &progress).await;
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

/// Whether it is wanted. An org that may be production is named by whoever wants it.
fn agreed(plan: &RebindPlan, options: &RebindOptions) -> Result<bool> {
    let (to, is_there) = (&plan.to, io::stdin().is_terminal());
    if let Some(named) = &options.org {
        if named.len() < 15 || named.get(..15) != to.id.get(..15) {
            let text = format!(
                "--org names {named}, but the login is to {}\nname the org that is meant, or use its login",
                to.id
            );
            return Err(print::Usage(text).into());
        }
    } else if to.is_production() && (options.yes || !is_there) {
        let text = format!("{}: its rows would be written to\nname it to go on: --org {}", to.text(), to.id);
        return Err(print::Usage(text).into());
    }
    if options.yes {
        return Ok(true);
    }
    let question = format!("The rows of the schema {} become those of the org {}.", plan.schema, to.text());
    if !to.is_production() || options.org.is_some() || !is_there {
        return bulk::agreed(&question);
    }
    let question = format!("{question} Type the org's id to do it");
    Ok(Dialogue::new().text(&question, Some("no"))? == to.id)
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
    if plan.unsent + plan.failed > 0 {
        print::line(&format!(
            "changes of the org before: {} are not sent, {} failed",
            count(plan.unsent),
            count(plan.failed)
        ))?;
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
