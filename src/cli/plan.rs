//! `syncdeck plan`: what the start of an engine with the configuration would do, and what it would take. `run` shows the
//! same before it takes over tables that were there.

use std::io;
use std::time::Duration;

use color_eyre::eyre::Result;

use crate::config::Config;
use crate::domain::mappings::mapping::Access;
use crate::domain::reports::setup_plan::{
    Entries, SetupAction, SetupPlan, StartPlan, TableOrigin, TablePlan,
};
use crate::domain::values::duration::spoken;
use crate::domain::values::size::thousands;
use crate::engine::{self, Assumed};
use crate::logs::sanitize::sanitize;
use crate::postgres::Store;
use crate::postgres::schema::at_work::LOOK_BACK_SECONDS;
use crate::postgres::session::connect::Session;

use super::args::{CallOptions, Cli};
use super::dialogue::Dialogue;
use super::{DONE, UNHEALTHY, forecast, print, store};

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
        tell(&plan)?;
        print::line(&next(&plan.setup))?;
    }
    Ok(if plan.setup.is_refused() { UNHEALTHY } else { DONE })
}

/// The database, in sessions that PostgreSQL lets change nothing.
pub(super) async fn looking(config: &Config) -> Result<Store, crate::postgres::Error> {
    let session =
        Session { connections: 2, read_only: true, ..Session::new("syncdeck plan", config.postgres.timeout) };
    store(config, &session).await
}

pub(super) fn next(plan: &SetupPlan) -> String {
    if plan.is_refused() {
        return "Nothing was changed. An engine does not start like this: what is refused comes first."
            .to_owned();
    }
    match plan.foreign().next() {
        Some(_) => {
            "Nothing was changed. To do it, switch Heroku Connect off, then take over with: syncdeck adopt (or take over and start \
             at once: syncdeck run --adopt)"
                .to_owned()
        }
        None => "Nothing was changed. To do it: syncdeck run".to_owned(),
    }
}

pub(super) fn tell(plan: &StartPlan) -> io::Result<()> {
    let setup = &plan.setup;
    if let Some(why) = &setup.refused {
        print::line(&format!("refused: {}", why.replace('\n', "\n  ")))?;
    }
    if !setup.actions.is_empty() {
        print::line("Beside the mapped tables:")?;
        setup.actions.iter().try_for_each(|action| print::line(&format!("  {}", action.text())))?;
    }
    setup.tables.iter().try_for_each(|table| tell_table(table, plan))?;
    tell_takeover(setup)?;
    if !setup.forgotten.is_empty() {
        print::line(&format!(
            "no longer mapped: {}; their tables stay as they are",
            setup.forgotten.join(", ")
        ))?;
    }
    tell_loads(plan)?;
    forecast::print(&plan.forecast)?;
    print::line("")
}

/// What is to be known before tables of others are taken over.
fn tell_takeover(setup: &SetupPlan) -> io::Result<()> {
    if setup.foreign().next().is_none() {
        return Ok(());
    }
    if setup.strangers > 0 {
        print::line(&format!(
            "changes in _trigger_log of tables that are not mapped here, not sent or failed: {}; nobody sends them once Heroku Connect \
             is off",
            count(setup.strangers)
        ))?;
    }
    if setup.at_work.is_empty() {
        return print::line(&format!(
            "In the last {} Heroku Connect was not seen at work here, which does not prove that it is off.",
            spoken(Duration::from_secs(LOOK_BACK_SECONDS.unsigned_abs().into()))
        ));
    }
    print::line("Heroku Connect still works here, as it seems:")?;
    setup.at_work.iter().try_for_each(|seen| print::line(&format!("  {}", sanitize(seen))))
}

fn tell_table(table: &TablePlan, plan: &StartPlan) -> io::Result<()> {
    let whose = match table.origin {
        TableOrigin::New => "is new",
        TableOrigin::Own => "is syncdeck's",
        TableOrigin::Foreign => "was there before syncdeck",
    };
    let rows =
        if table.rows > 0 { format!(", with about {} rows", count(table.rows)) } else { String::new() };
    print::line(&format!("{}: the table {} {whose}{rows}", table.mapping, table.table))?;
    let mut lines: Vec<String> = table.actions.iter().map(|action| action.text()).collect();
    if !table.adopted.is_empty() {
        lines.push(format!("mapped as they are: {}", table.adopted.join(", ")));
    }
    match table.entries {
        Entries { unsent: 0, failed: 0, .. } => {}
        entries => lines.push(of_entries(entries, access_of(table, plan))),
    }
    if let Some(load) = plan.loads.iter().find(|load| load.mapping == table.mapping) {
        lines.push(match (load.records, load.calls, load.takes()) {
            (Some(records), Some(calls), Some(takes)) => format!(
                "{} records are read, in {} API calls: about {}",
                count(records),
                count(calls),
                spoken(takes)
            ),
            _ => "all records are read; how many there are is not known".to_owned(),
        });
    } else if table.actions.iter().any(|action| matches!(action, SetupAction::AddColumn { .. })) {
        lines.push(format!(
            "old records show in new columns when they change, or by: syncdeck mapping {} reload",
            table.mapping
        ));
    }
    if let Some(why) = &table.refused {
        lines.push(format!("refused: {}", why.replace('\n', "\n    ")));
    }
    if lines.is_empty() {
        lines.push("nothing is done".to_owned());
    }
    lines.iter().try_for_each(|line| print::line(&format!("  {line}")))
}

/// What a predecessor's entries become.
fn of_entries(Entries { unsent, in_flight, failed }: Entries, access: Option<Access>) -> String {
    let parts = match access {
        Some(Access::ReadOnly) => {
            vec![(unsent, "not sent (NEW, PENDING)", "never sent, for the mapping is read only")]
        }
        _ => vec![
            (unsent - in_flight, "waiting (NEW)", "sent in their order"),
            (
                in_flight,
                "in flight (PENDING)",
                "sent again, inserts once Salesforce was asked whether it has them",
            ),
        ],
    };
    let all = parts.into_iter().chain([(failed, "failed (FAILED)", "listed as errors")]);
    let told: Vec<String> = all
        .filter(|(number, ..)| *number > 0)
        .map(|(number, which, become_of)| format!("{which}: {}, {become_of}", count(number)))
        .collect();
    format!("of its changes in _trigger_log: {}", told.join("; "))
}

fn access_of(table: &TablePlan, plan: &StartPlan) -> Option<Access> {
    plan.forecast.mappings.iter().find(|of| of.mapping == table.mapping).map(|of| of.access)
}

fn tell_loads(plan: &StartPlan) -> io::Result<()> {
    let known = plan.loads.iter().filter_map(|load| Some((load, load.calls?, load.takes()?)));
    let Some((longest, _, takes)) = known.clone().max_by_key(|(_, _, takes)| *takes) else {
        return Ok(());
    };
    let calls = known.fold(0_i64, |sum, (_, calls, _)| sum.saturating_add(calls));
    let uncounted = match plan.loads.iter().filter(|load| load.calls.is_none()).count() {
        0 => String::new(),
        loads => format!(", without {loads} whose records could not be counted"),
    };
    let how = if plan.load_rate_is_measured { "as loads here went" } else { "as is assumed" };
    print::line(&format!(
        "\nLoads: {} API calls once{uncounted}; the longest is {}, about {}, at {} records a second, {how}",
        count(calls),
        longest.mapping,
        spoken(takes),
        count(plan.load_rate as i64)
    ))
}

fn count(number: i64) -> String {
    thousands(number.max(0) as usize)
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
    tell(&plan)?;
    if plan.setup.is_refused() {
        return Err(print::Usage(next(&plan.setup)).into());
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
