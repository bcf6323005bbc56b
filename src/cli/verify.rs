//! Both sides compared, and mended by taking one; a mapping's dry run.

use std::io::{self, IsTerminal};

use color_eyre::eyre::{Result, WrapErr};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::client::api::{Client, ClientError};
use crate::client::operations::repair::{confirm, summary, what};
use crate::config::Config;
use crate::domain::changes::dry_run::{DryRunRow, NOT_TAKEN_BACK};
use crate::domain::changes::merge::Side;
use crate::domain::errors::remedy::RemedyAction;
use crate::domain::errors::suggested_fix::removal;
use crate::domain::errors::sync_error::SyncError;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::RowId;
use crate::domain::operations::operation::{Confirm, Progress, Report, RowStatus};
use crate::domain::records::verify::Stage;
use crate::domain::records::verify::{Finding, FindingKind, VerifyReport};
use crate::domain::values::nearest::nearest;
use crate::engine::dry_run;
use crate::engine::verify::Verifier;
use crate::logs::sanitize::sanitize;

use super::args::{Cli, VerifyOptions};
use super::bulk::{self, refuse_read_only};
use super::dialogue::Dialogue;
use super::mapping::named;
use super::{DONE, FAILED, UNHEALTHY, client, config, needs_org, print, session, store};

/// Compares, tells, and repairs where that was asked for.
pub(super) async fn run(cli: &Cli, options: &VerifyOptions) -> Result<u8> {
    let side = options.repair.as_deref().and_then(Side::from_word);
    if side.is_some() && !options.how.dry_run {
        refuse_read_only(cli)?;
    }
    let config = config(cli)?;
    needs_org(&config)?;
    let client = client(cli).await?;
    let mappings = match &options.mapping {
        Some(name) => vec![named(&client, name).await?],
        None => client.mappings().await?,
    };
    let sides = Verifier::new(&config, store(&config, &session(cli, &config)).await?)?;
    let stop = interrupted();
    let mut compared = Vec::new();
    let mut repairs = Vec::new();
    for mapping in &mappings {
        let name = mapping.object.clone();
        let report = sides.verify(mapping, &progress(name), &stop).await;
        clear_line();
        let report = report.wrap_err_with(|| format!("cannot verify {}", mapping.object))?;
        if !cli.json {
            tell(&report, options.limit)?;
            tell_schedule(&client, &mapping.object).await?;
        }
        if let Some(side) = side.filter(|_| !report.findings.is_empty() && !report.stopped) {
            repairs.extend(repair(cli, &client, mapping, &report, side, options, &stop).await?);
        }
        compared.push(report);
        if stop.is_cancelled() {
            break;
        }
    }
    if cli.json {
        let document = match side {
            Some(_) => json!({"verdicts": compared, "repairs": repairs}),
            None => json!(compared),
        };
        print::json(&document, true)?;
    }
    let found = compared.iter().any(|report| !report.counts.is_empty() || report.unread > 0);
    let mended = side.is_some()
        && !options.how.dry_run
        && repairs.iter().all(|report| report.failed + report.skipped == 0);
    Ok(match () {
        () if stop.is_cancelled() || repairs.iter().any(|report| report.failed > 0) => FAILED,
        () if found && !mended => UNHEALTHY,
        () => DONE,
    })
}

/// Ends what is under way on Ctrl-C, between two steps.
fn interrupted() -> CancellationToken {
    let stop = CancellationToken::new();
    let ending = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            ending.cancel();
        }
    });
    stop
}

fn progress(name: String) -> impl Fn(Stage) + Send + Sync {
    let watched = io::stderr().is_terminal();
    move |stage| {
        if !watched {
            return;
        }
        let text = match stage {
            Stage::Comparing(done, total) => format!("{name}: {done} of {total} records compared"),
            Stage::Rows(done, total) => format!("{name}: {done} of {total} rows looked through"),
            Stage::Settling(suspects) => {
                format!("{name}: {suspects} look different; waiting for the reader, then looking again")
            }
        };
        print::aside(&format!("\r\x1b[K{text}"));
    }
}

pub(super) fn clear_line() {
    if io::stderr().is_terminal() {
        print::aside("\r\x1b[K");
    }
}

/// What was found, in words.
fn tell(report: &VerifyReport, limit: usize) -> Result<()> {
    let VerifyReport { mapping, rows, records, compared, counts, findings, stopped, .. } = report;
    let told: Vec<String> = FindingKind::ALL
        .iter()
        .filter_map(|kind| Some(format!("{} {}", counts.get(kind)?, kind.text())))
        .collect();
    let found = if told.is_empty() { "no inconsistency".to_owned() } else { told.join(", ") };
    print::line(&format!("{mapping}: {rows} rows, {records} records, {compared} compared: {found}"))?;
    for clause in report.explained() {
        print::line(&sanitize(&format!("  {clause}")))?;
    }
    if *stopped {
        print::line("  stopped before the end")?;
    }
    for (number, finding) in (1..).zip(findings).take(limit) {
        print::line(&sanitize(&format!("  {number:>5}  {}", finding_line(finding))))?;
    }
    if findings.len() > limit {
        print::line(&format!(
            "         and {} more; --limit or --json tells them all",
            findings.len() - limit
        ))?;
    }
    Ok(())
}

/// When the mapping is compared by itself, where it is.
async fn tell_schedule(client: &Client, object: &str) -> Result<()> {
    let overview = client.overview().await?;
    let status = overview.mappings.iter().find(|mapping| mapping.name == object).map(|of| &of.verify);
    if let Some(status) = status.filter(|status| status.next.is_some() || status.progress.is_some()) {
        print::line(&sanitize(&format!("  by itself: {}", status.text(print::clock, chrono::Utc::now()))))?;
    }
    Ok(())
}

fn finding_line(finding: &Finding) -> String {
    let shown =
        |value: &Option<String>| value.as_ref().map_or("nothing".to_owned(), |value| format!("{value:?}"));
    let fields: Vec<String> = finding
        .fields
        .iter()
        .map(|field| format!("{}: {} here, {} there", field.field, shown(&field.row), shown(&field.record)))
        .collect();
    let row = finding.row.as_ref().map_or("-".to_owned(), |at| format!("{}:{}", finding.mapping, at.row));
    let sfid = finding.sfid.as_deref().unwrap_or("-");
    format!("{:<20} {row:<18} {sfid:<18} {}{}", finding.kind.text(), finding.text, fields.join("; "))
}

/// Shows what a repair would do, asks, and does it.
async fn repair(
    cli: &Cli,
    client: &Client,
    mapping: &Mapping,
    report: &VerifyReport,
    side: Side,
    options: &VerifyOptions,
    stop: &CancellationToken,
) -> Result<Option<Report>> {
    let plan: Vec<String> = summary(&report.findings, side)
        .into_iter()
        .map(|(count, kind, what)| format!("  {count} {}: {what}", kind.text()))
        .collect();
    let said = |line: &str| match cli.json {
        true => {
            print::note(line);
            Ok(())
        }
        false => print::line(line),
    };
    said(&format!("repair of {} as in {}:", report.mapping, side.word()))?;
    plan.iter().try_for_each(|line| said(line))?;
    if options.how.dry_run {
        return Ok(None);
    }
    let environment = client.environment().await?;
    let mended = report.findings.iter().filter(|finding| what(finding.kind, side).is_some()).count();
    if mended == 0 {
        return Ok(None);
    }
    if !options.how.yes && !confirmed(confirm(&report.findings, side, &environment), mended)? {
        print::problem("nothing was changed");
        return Ok(None);
    }
    let quiet = |_: Progress| {};
    let why = options.how.why.as_deref();
    let report = client.repair(&mapping.table, report, side, why, &quiet, stop).await?;
    if !cli.json {
        super::bulk::tell(cli, &report)?;
    }
    Ok(Some(report))
}

fn confirmed(asks: Confirm, mended: usize) -> Result<bool> {
    if !io::stdin().is_terminal() {
        let text = format!(
            "this changes {mended} rows or records, and nobody is there to be asked\nsay --yes, or --dry-run to look"
        );
        return Err(print::Usage(text).into());
    }
    let mut dialogue = Dialogue::new();
    Ok(match asks {
        Confirm::Count(count) => dialogue.typed(&format!("type {count} to do it"), &count.to_string())?,
        _ => dialogue.yes("go on?", false)?,
    })
}

/// Takes one side for one thing that a comparison found, or has it looked at again.
pub(super) async fn repair_one(
    cli: &Cli,
    id: i64,
    side: Option<&str>,
    yes: bool,
    why: Option<&str>,
) -> Result<u8> {
    refuse_read_only(cli)?;
    let action = side.and_then(Side::from_word).map_or(RemedyAction::LookAgain, RemedyAction::Repair);
    put_right(cli, id, yes, why, &action, |client, error| {
        let action = action.clone();
        async move { client.put_right(&error, &action).await }
    })
    .await
}

/// Merges rows that are the same thing.
pub(super) async fn merge(cli: &Cli, id: i64, into: Option<i32>, yes: bool, why: Option<&str>) -> Result<u8> {
    refuse_read_only(cli)?;
    put_right(cli, id, yes, why, &RemedyAction::Merge, |client, error| async move {
        let row = error.row().ok_or_else(|| ClientError::invalid("this error is not of one row"))?;
        client.merge(&row, into.map(RowId)).await
    })
    .await
}

/// Asks where a row or a record goes, does it, and tells what was done.
async fn put_right<D: Future<Output = Result<String, ClientError>>>(
    cli: &Cli,
    id: i64,
    yes: bool,
    why: Option<&str>,
    action: &RemedyAction,
    does: impl FnOnce(Client, SyncError) -> D,
) -> Result<u8> {
    let client = client(cli).await?.because(why);
    let error = client.error(id).await?;
    if action.removes(Some(&error)) && !yes {
        print::note(&sanitize(&removal(&error.message, action)));
        if !confirmed(Confirm::Yes, 1)? {
            print::problem("nothing was changed");
            return Ok(FAILED);
        }
    }
    let done = does(client, error).await.map(|done| (RowStatus::Done, done));
    bulk::tell(cli, &bulk::one(id, done))
}

/// Tries a mapping with some of its rows.
pub(super) async fn test(cli: &Cli, name: &str, limit: usize, offline: bool, yes: bool) -> Result<u8> {
    let config = config(cli)?;
    needs_org(&config)?;
    configured(&config, name)?;
    let store = store(&config, &session(cli, &config)).await?;
    let sides = Verifier::new(&config, store.clone())?;
    let mapping = dry_run::mapping(&config, &store, &sides.client, name).await?;
    if !offline {
        refuse_read_only(cli)?;
        print::note(NOT_TAKEN_BACK);
        let asks = io::stdin().is_terminal() && !yes;
        if asks && !Dialogue::new().yes("send the trial to Salesforce?", false)? {
            print::problem("nothing was sent; --offline checks here only");
            return Ok(FAILED);
        }
    }
    let trial = dry_run::run(&store, (!offline).then_some(&*sides.client), &mapping, limit).await?;
    if cli.json {
        print::json(&trial, true)?;
    } else {
        let asked = if offline {
            "checked here"
        } else {
            "checked here and by Salesforce, which took all of it back"
        };
        print::line(&format!(
            "{}: {} rows {asked}: {} would go through",
            trial.mapping, trial.rows, trial.passed
        ))?;
        if trial.rows == 0 {
            print::line("there are no rows to try")?;
        }
        for tried in trial.items.iter().filter(|tried| !tried.passes || !tried.left_out.is_empty()) {
            print::line(&sanitize(&tried_line(tried)))?;
        }
    }
    Ok(if trial.passed == trial.rows { DONE } else { UNHEALTHY })
}

/// Whether the configuration maps something under a name. A mapping is tried before an engine knows it.
fn configured(config: &Config, name: &str) -> Result<(), print::Usage> {
    let known: Vec<&str> = config.mappings.iter().map(|written| written.object.as_str()).collect();
    if known.iter().any(|object| object.eq_ignore_ascii_case(name))
        || config.mappings.iter().any(|written| written.table == name)
    {
        return Ok(());
    }
    let near = nearest(name, known.iter().copied()).map(|near| format!("did you mean {near}? "));
    let there = format!("{}it has: {}", near.unwrap_or_default(), known.join(", "));
    Err(print::Usage(format!("{} has no mapping {name:?}\n{there}", config.path.display())))
}

fn tried_line(tried: &DryRunRow) -> String {
    let left: Vec<String> =
        tried.left_out.iter().map(|(field, why)| format!("{field} stays behind: {why}")).collect();
    let refused = match (&tried.code, &tried.message) {
        (Some(code), Some(message)) => {
            format!("{} by {}: {message}", code, tried.refused_by.as_deref().unwrap_or_default())
        }
        _ => "goes through".to_owned(),
    };
    format!(
        "  row {:<8} {:<7} {refused}{}",
        tried.row,
        tried.op,
        left.iter().map(|text| format!("; {text}")).collect::<String>()
    )
}
