//! `syncdeck plan`: what the start of an engine with the configuration would do, and what it would take. `run` shows the
//! same before it takes over tables that were there.

use color_eyre::eyre::Result;

use crate::client::setup::text::{after_plan, plan_lines};
use crate::config::Config;
use crate::engine::{self, Assumed};

use super::args::{CallOptions, Cli};
use super::dialogue::Dialogue;
use super::setup::looking;
use super::{DONE, UNHEALTHY, print};

/// Shows the plan.
pub(super) async fn run(cli: &Cli, options: &CallOptions) -> Result<u8> {
    let config = super::config(cli)?;
    super::needs_org(&config)?;
    let store = looking(&config).await?;
    let assumed = Assumed { changes_a_day: options.changes_a_day, allowance: options.allowance };
    let plan = engine::plan(&config, &store, assumed).await?;
    if cli.json {
        print::json(&plan, true)?;
    } else {
        print::setup(&plan_lines(&plan))?;
        print::line(&after_plan(&plan.setup))?;
    }
    Ok(if plan.setup.is_refused() { UNHEALTHY } else { DONE })
}

/// Before an engine, at a terminal: tables that were there before syncdeck are taken over only where somebody says so.
/// Returns whether they may be.
///
/// # Errors
/// Where the plan is refused, or the answer is no.
pub(super) async fn may_adopt(config: &Config) -> Result<bool> {
    let store = looking(config).await?;
    let tables: Vec<&str> = config.mappings.iter().map(|mapping| mapping.table.as_str()).collect();
    let foreign = store.foreign_tables(&tables).await?;
    if foreign.is_empty() {
        return Ok(false);
    }
    let plan = engine::plan(config, &store, Assumed::default()).await?;
    print::setup(&plan_lines(&plan))?;
    if plan.setup.is_refused() {
        return Err(print::Usage(after_plan(&plan.setup)).into());
    }
    if !plan.setup.at_work.is_empty() {
        return Err(engine::StartError::AtWork { seen: plan.setup.at_work }.into());
    }
    let question = format!("{} of these tables were there before syncdeck. Take them over?", foreign.len());
    match Dialogue::new().yes(&question, false)? {
        true => Ok(true),
        false => Err(print::Usage("nothing was changed".to_owned()).into()),
    }
}
