//! `syncdeck adopt`: takes over mapped tables that were there before syncdeck, and `--undo` gives them back. Both show what
//! they do, ask, and do it in one transaction; neither starts an engine.

use color_eyre::eyre::Result;
use serde_json::json;

use crate::client::setup::text::{
    NOTHING_TO_ADOPT, adopted_lines, after_plan, plan_lines, undone_lines, way_back_lines,
};
use crate::engine::StartError;

use super::args::Cli;
use super::setup::{Takeover, Undoing, looking};
use super::{DONE, FAILED, bulk, print};

const NEXT: &str = "start the engine with: syncdeck run";

/// Takes over. `two_engines` says that it goes on where Heroku Connect was seen at work.
pub(super) async fn run(cli: &Cli, yes: bool, two_engines: bool) -> Result<u8> {
    bulk::refuse_read_only(cli)?;
    let config = super::config(cli)?;
    super::needs_org(&config)?;
    let looked_at = looking(&config).await?;
    let Some(takeover) = Takeover::look(config, looked_at, two_engines).await? else {
        if cli.json {
            print::json(&json!({"adopted": Vec::<String>::new(), "done": Vec::<String>::new()}), true)?;
        } else {
            print::line(&format!("{NOTHING_TO_ADOPT}\n{NEXT}"))?;
        }
        return Ok(DONE);
    };
    let setup = &takeover.planned.setup;
    if !cli.json {
        print::setup(&plan_lines(&takeover.planned))?;
    }
    if setup.is_refused() {
        if cli.json {
            print::json(&takeover.planned, true)?;
        }
        return Err(print::Usage(after_plan(setup)).into());
    }
    if !setup.at_work.is_empty() && !two_engines {
        return Err(StartError::AtWork { seen: setup.at_work.clone() }.into());
    }
    if !yes && !bulk::agreed_by_name(&takeover.question(), takeover.types())? {
        print::problem("nothing was changed");
        return Ok(FAILED);
    }
    let done = takeover.execute(&|line| print::note(&line)).await?;
    if cli.json {
        print::json(&json!({"adopted": takeover.foreign, "done": done}), true)?;
        return Ok(DONE);
    }
    print::setup(&adopted_lines(&takeover.of(), &takeover.foreign, &done))?;
    print::line(NEXT)?;
    Ok(DONE)
}

/// Gives back.
pub(super) async fn undo(cli: &Cli, yes: bool) -> Result<u8> {
    bulk::refuse_read_only(cli)?;
    let config = super::config(cli)?;
    super::needs_org(&config)?;
    let looked_at = looking(&config).await?;
    let undoing = Undoing::look(config, looked_at).await?;
    if !cli.json {
        print::setup(&way_back_lines(&undoing.way_back))?;
    }
    if !yes && !bulk::agreed_by_name(&undoing.question(), undoing.types())? {
        print::problem("nothing was changed");
        return Ok(FAILED);
    }
    let done = undoing.execute().await?;
    if cli.json {
        print::json(&done, true)?;
        return Ok(DONE);
    }
    print::setup(&undone_lines(&undoing.way_back, &done))?;
    Ok(DONE)
}
