//! `syncdeck rebind`: another org behind the same tables, such as a sandbox that was refreshed. Shows what becomes of rows, asks,
//! and does it in one transaction.

use std::io::{self, IsTerminal};

use color_eyre::eyre::Result;
use serde_json::json;

use crate::client::api::operator;
use crate::client::setup::rebind::{rebind_lines, rebind_question, rebound, strangers};
use crate::domain::operations::operation::Operation;
use crate::domain::reports::rebind::RebindPlan;
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
    let place = store.place();
    let rebind = Rebind::plan(&config, store, options.give_up_changes, &progress).await;
    clear_line();
    let rebind = rebind?;
    let plan = rebind.preview();
    if options.dry_run && cli.json {
        print::json(&json!({"plan": plan}), true)?;
    } else if !cli.json {
        print::setup(&rebind_lines(plan))?;
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
    if !agreed(plan, &place, options)? {
        print::problem("nothing was changed");
        return Ok(FAILED);
    }
    let operation = Operation { why: options.why.clone(), ..Operation::single(&operator()) };
    let done = rebind.execute(&operation).await?;
    if cli.json {
        print::json(&json!({"done": done}), true)?;
    } else {
        print::line(&rebound(&done))?;
    }
    Ok(DONE)
}

/// Whether it is wanted. Whoever is not asked names the org that is meant, whichever it is.
fn agreed(plan: &RebindPlan, place: &str, options: &RebindOptions) -> Result<bool> {
    let (to, is_there) = (&plan.to, io::stdin().is_terminal());
    let strangers = strangers(plan);
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
    let question = rebind_question(plan, place);
    if !(to.is_production() || plan.from.is_production()) || !is_there {
        return bulk::agreed(&question);
    }
    let question = format!("{} Type the org's id to do it", sanitize(&question));
    Ok(Dialogue::new().typed(&question, &to.id)?)
}
