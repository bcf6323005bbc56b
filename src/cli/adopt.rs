//! `syncdeck adopt`: takes over mapped tables that were there before syncdeck, and `--undo` gives them back. Both show what
//! they do, ask, and do it in one transaction; neither starts an engine.

use std::io;

use color_eyre::eyre::Result;
use serde_json::json;

use crate::config::Config;
use crate::domain::reports::way_back::WayBack;
use crate::domain::values::size::thousands;
use crate::engine::{self, Assumed};
use crate::postgres::session::connect::Session;

use super::args::Cli;
use super::{DONE, FAILED, bulk, plan, print, store};

const NEXT: &str = "start the engine with: syncdeck run";

/// Takes over. `two_engines` says that it goes on where Heroku Connect was seen at work.
pub(super) async fn run(cli: &Cli, yes: bool, two_engines: bool) -> Result<u8> {
    bulk::refuse_read_only(cli)?;
    let config = Config { adopts: true, allows_two_engines: two_engines, ..super::config(cli)? };
    super::needs_org(&config)?;
    let looking = plan::looking(&config).await?;
    let tables: Vec<&str> = config.mappings.iter().map(|mapping| mapping.table.as_str()).collect();
    let foreign = looking.foreign_tables(&tables).await?;
    if foreign.is_empty() {
        let text = "none of the mapped tables is anybody else's, so there is nothing to take over";
        if cli.json {
            print::json(&json!({"adopted": foreign, "done": Vec::<String>::new()}), true)?;
        } else {
            print::line(&format!("{text}\n{NEXT}"))?;
        }
        return Ok(DONE);
    }
    let planned = engine::plan(&config, &looking, Assumed::default()).await?;
    if !cli.json {
        plan::tell(&planned)?;
    }
    if planned.setup.is_refused() {
        if cli.json {
            print::json(&planned, true)?;
        }
        return Err(print::Usage(plan::next(&planned.setup)).into());
    }
    let seen = planned.setup.at_work;
    if !seen.is_empty() && !two_engines {
        return Err(engine::StartError::AtWork { seen }.into());
    }
    let question = format!(
        "Of {} of the {}, these tables were there before syncdeck and are taken over: {}. Heroku Connect must be off: two \
         programs would send the same changes.",
        of(&config),
        looking.place(),
        foreign.join(", ")
    );
    if !yes && !bulk::agreed(&question)? {
        print::problem("nothing was changed");
        return Ok(FAILED);
    }
    let store = store(&config, &session(&config)).await?;
    let done = engine::adopt(&config, &store, &|line| print::note(&line)).await?;
    if cli.json {
        print::json(&json!({"adopted": foreign, "done": done}), true)?;
        return Ok(DONE);
    }
    done.iter().try_for_each(|line| print::line(line))?;
    print::line(&format!(
        "Taken over: {}, of {}. What was replaced is kept in syncdeck.replaced; the way back is: syncdeck adopt --undo\n{NEXT}",
        foreign.join(", "),
        of(&config)
    ))?;
    Ok(DONE)
}

/// Gives back.
pub(super) async fn undo(cli: &Cli, yes: bool) -> Result<u8> {
    bulk::refuse_read_only(cli)?;
    let config = super::config(cli)?;
    super::needs_org(&config)?;
    let looking = plan::looking(&config).await?;
    let way_back = looking.way_back().await?;
    if !cli.json {
        tell(&way_back)?;
    }
    let question = format!(
        "In {} of the {}, what the takeover replaced is put back, and syncdeck captures nothing any more.",
        of(&config),
        looking.place()
    );
    if !yes && !bulk::agreed(&question)? {
        print::problem("nothing was changed");
        return Ok(FAILED);
    }
    let done = store(&config, &session(&config)).await?.undo_adoption().await?;
    if cli.json {
        print::json(&done, true)?;
        return Ok(DONE);
    }
    for text in done.kept.iter().filter(|text| !way_back.kept.contains(text)) {
        print::line(&format!("  {text} stays"))?;
    }
    print::line("Done. Switch Heroku Connect on again; to take over once more: syncdeck adopt")?;
    Ok(DONE)
}

/// Which schema it is about, as whoever is asked knows it.
fn of(config: &Config) -> String {
    format!("the schema {} (connection {}, {})", config.postgres.schema, config.name, config.environment)
}

fn session(config: &Config) -> Session {
    Session { connections: 2, ..Session::new("syncdeck adopt", config.postgres.timeout) }
}

fn tell(way_back: &WayBack) -> io::Result<()> {
    let WayBack { adopted_at, adopted_by, restored, removed, kept, unsent, failed, conflicts, settings } =
        way_back;
    print::line(&format!("Taken over at {adopted_at} by {adopted_by}."))?;
    let each = |title: &str, texts: &[String]| -> io::Result<()> {
        if texts.is_empty() {
            return Ok(());
        }
        print::line(title)?;
        texts.iter().try_for_each(|text| print::line(&format!("  {text}")))
    };
    each("Put back as it was:", restored)?;
    each("Removed:", removed)?;
    each("Kept, though the takeover added it:", kept)?;
    print::line("All rows stay, and so do the schema syncdeck and what it says about the past.")?;
    let count = |number: i64| thousands(number.max(0) as usize);
    print::line(&format!(
        "Of the changes in _trigger_log, {} that are not sent are NEW, in their order, and {} that failed or may have been sent are FAILED.",
        count(*unsent),
        count(*failed)
    ))?;
    if *conflicts > 0 {
        print::line(&format!(
            "{} fields that changed on both sides, and about which nobody decided, keep the row's value.",
            count(*conflicts)
        ))?;
    }
    if settings.is_empty() {
        return Ok(());
    }
    print::line(&format!(
        "Rules that were set at run time are noted still, and hold again after another takeover: {}",
        settings.join(", ")
    ))
}
