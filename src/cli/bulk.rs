//! Operations on many errors: shown first, confirmed in proportion, with progress, and an honest result.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use color_eyre::eyre::Result;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::client::api::{Client, ClientError};
use crate::client::operations::execute::{Plan, Targets};
use crate::domain::errors::filter::Filter;
use crate::domain::operations::operation::{
    Confirm, Item, OperationKind, Preview, Progress, Report, RowStatus, Sample,
};
use crate::domain::values::duration::spoken;
use crate::logs::sanitize::sanitize;

use super::args::{Cli, Many, OperationOptions};
use super::dialogue::Dialogue;
use super::{DONE, FAILED, client, print};

/// How long `--wait` waits for Salesforce's answers.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// Reasons told of one result; the rest is counted.
const REASONS: usize = 8;
/// Items told one by one.
const TOLD: usize = 20;

/// Does one thing to errors by number or by filter.
pub(super) async fn run(cli: &Cli, many: &Many, kind: OperationKind) -> Result<u8> {
    let chosen = match &many.filter {
        Some(filter) => matching(filter)?,
        None => Targets::Ids(many.ids.clone()),
    };
    operation(cli, &chosen, kind, &many.how).await
}

/// All errors that match a filter, which is wrong usage where it cannot be read.
pub(super) fn matching(filter: &str) -> Result<Targets, print::Usage> {
    Filter::parse(filter, chrono::Utc::now()).map_err(|error| print::Usage(error.to_string()))?;
    Ok(Targets::Filter(filter.to_owned()))
}

/// Plans an operation, shows it, asks where that is due, and carries it out.
pub(super) async fn operation(
    cli: &Cli,
    chosen: &Targets,
    kind: OperationKind,
    how: &OperationOptions,
) -> Result<u8> {
    if !how.dry_run {
        refuse_read_only(cli)?;
    }
    let client = client(cli).await?;
    let plan = client.plan(chosen, kind).await?;
    if how.dry_run {
        return show(cli, &plan.kind.text(), &plan.preview);
    }
    // Who names errors one by one has seen them; what removes rows, and a great many, is asked about all the same.
    let named = matches!(chosen, Targets::Ids(_)) && plan.preview.removed + plan.preview.doubled == 0;
    let asks = match plan.confirm {
        Confirm::Yes if named && !matches!(plan.kind, OperationKind::Undo(_)) => Confirm::Nothing,
        // Whoever filters may not know how many they are.
        Confirm::Nothing if matches!(chosen, Targets::Filter(_)) => Confirm::Yes,
        other => other,
    };
    if !how.yes && !plan.is_empty() && !confirmed(&plan, asks)? {
        print::problem("nothing was changed");
        return Ok(FAILED);
    }
    let mut report = execute(&client, &plan, how.why.as_deref()).await?;
    if how.wait {
        client.answers(&plan, &mut report, PATIENCE).await?;
    } else if report.done > 0 {
        // What is told of each row is that it is sent; what keeps it from that must not be left out.
        client.held_up(&plan).await?.iter().for_each(|why| print::problem(why));
    }
    tell(cli, &report)
}

/// Asks as much as is due.
fn confirmed(plan: &Plan, asks: Confirm) -> Result<bool> {
    if asks == Confirm::Nothing {
        return Ok(true);
    }
    let (kind, rows) = (plan.kind.text(), plan.len());
    if !io::stdin().is_terminal() {
        let removes = match plan.preview.removed {
            0 => String::new(),
            removed => format!(" and removes {removed}"),
        };
        let doubles = match plan.preview.doubled {
            0 => String::new(),
            doubled => {
                format!(", may make {doubled} records a second time, for the answer to their insert was lost")
            }
        };
        let text = format!(
            "{kind}: this is about {rows} rows{removes}{doubles}, and nobody is there to be asked\n\
             look at it with --dry-run, then say --yes"
        );
        return Err(print::Usage(text).into());
    }
    for line in preview_lines(&plan.kind.text(), &plan.preview) {
        print::note(&line);
    }
    let mut dialogue = Dialogue::new();
    Ok(match asks {
        Confirm::Count(count) => {
            dialogue.typed(&format!("{kind}: type {count} to do it"), &count.to_string())?
        }
        _ => dialogue.yes(&format!("{kind}: {rows} rows; go on?"), false)?,
    })
}

/// Whether a person says yes to this; where nobody can be asked, `--yes` says it.
pub(super) fn agreed(question: &str) -> Result<bool> {
    if !io::stdin().is_terminal() {
        let text = format!("{question}\nnobody is there to be asked: say --yes");
        return Err(print::Usage(text).into());
    }
    Ok(Dialogue::new().yes(&format!("{} Go on?", sanitize(question)), false)?)
}

/// The same, by typing a name.
pub(super) fn agreed_by_name(question: &str, name: &str) -> Result<bool> {
    if !io::stdin().is_terminal() {
        return agreed(question);
    }
    let question = format!("{} Type {name} to do it", sanitize(question));
    Ok(Dialogue::new().typed(&question, name)?)
}

/// The same, by typing how many it concerns.
pub(super) fn agreed_by_count(question: &str, count: usize) -> Result<bool> {
    if !io::stdin().is_terminal() {
        return agreed(question);
    }
    let question = format!("{} Type {count} to do it", sanitize(question));
    Ok(Dialogue::new().typed(&question, &count.to_string())?)
}

/// What an operation would do.
pub(super) fn show(cli: &Cli, kind: &str, preview: &Preview) -> Result<u8> {
    if cli.json {
        print::json(preview, true)?;
        return Ok(DONE);
    }
    preview_lines(kind, preview).iter().try_for_each(|line| print::line(&sanitize(line)))?;
    Ok(DONE)
}

fn preview_lines(kind: &str, preview: &Preview) -> Vec<String> {
    let Preview { selected, touched, removed, doubled, passing, refused, left, sample } = preview;
    let mut lines = vec![format!("{kind}: {selected} selected, {touched} to do")];
    if *removed > 0 {
        let rows = if *removed == 1 { "1 row is".to_owned() } else { format!("{removed} rows are") };
        lines.push(format!("  {rows} removed: Salesforce has no record of what is removed"));
    }
    if *doubled > 0 {
        let records = if *doubled == 1 { "1 record".to_owned() } else { format!("{doubled} records") };
        lines.push(format!(
            "  {records} may be made a second time: the answer to the insert was lost, and Salesforce may have it"
        ));
        lines.push("  if it is there, link the row with it instead, with: syncdeck link".to_owned());
    }
    if *passing > 0 || !refused.is_empty() {
        lines.push(format!("  {passing} would then pass the checks"));
        lines.extend(refused.iter().map(|(why, count)| format!("  {count} would not: {why}")));
    }
    lines
        .extend(left.iter().map(|(why, count)| format!("  {count} left alone: {}", why.replace('\n', "; "))));
    lines.extend(sample.iter().map(sample_line));
    let shown = sample.len();
    if shown > 0 && *touched > shown {
        lines.push(format!("    ... the first {shown}"));
    }
    lines
}

fn sample_line(sample: &Sample) -> String {
    let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
    let refused = sample.refused.as_ref().map(|why| format!("   ✗ {why}")).unwrap_or_default();
    let row = format!("{} {}", sample.row.table, sample.row.row);
    format!("    {row:<20} {} {} → {}{refused}", sample.field, shown(&sample.before), shown(&sample.after))
}

/// Carries it out, with progress where somebody looks on; Ctrl-C ends it between two transactions.
async fn execute(client: &Client, plan: &Plan, why: Option<&str>) -> Result<Report> {
    let stop = CancellationToken::new();
    let ending = stop.clone();
    let interrupt = tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            ending.cancel();
        }
    });
    let begin = Instant::now();
    let watched = io::stderr().is_terminal() && plan.len() > 1_000;
    let progress = move |progress: Progress| {
        if watched {
            print::aside(&format!("\r{} ", progress_line(progress, begin.elapsed())));
        }
    };
    let report = client.execute(plan, why, &progress, &stop).await;
    interrupt.abort();
    if watched {
        print::note("");
    }
    Ok(report?)
}

fn progress_line(progress: Progress, elapsed: Duration) -> String {
    let Progress { through, total } = progress;
    let left = progress.time_left(elapsed).map(|left| format!(", {} left", spoken(left))).unwrap_or_default();
    format!("{through} of {total}{left}, Ctrl-C stops here")
}

/// What became of each.
pub(super) fn tell(cli: &Cli, report: &Report) -> Result<u8> {
    if cli.json {
        print::json(report, true)?;
    } else if report.items.is_empty() {
        print::note("nothing matches, and nothing was done");
    } else if report.items.len() <= TOLD {
        for item in &report.items {
            tell_item(item)?;
        }
        if let Some(operation) = report.operation.filter(|_| report.items.len() > 1) {
            print::line(&format!("operation {operation}; take it back with: syncdeck undo {operation}"))?;
        }
    } else {
        for (status, count) in [
            (RowStatus::Done, report.done),
            (RowStatus::Skipped, report.skipped),
            (RowStatus::Failed, report.failed),
        ] {
            print::line(&format!("{}: {count}", status.word()))?;
            let reasons = report.reasons(status);
            for (why, count) in reasons.iter().take(REASONS) {
                print::line(&sanitize(&format!("  {count:>7}  {}", why.as_str())))?;
            }
            if reasons.len() > REASONS {
                print::line(&format!(
                    "           and {} other reasons; --json has them all",
                    reasons.len() - REASONS
                ))?;
            }
        }
        if let Some(operation) = report.operation {
            print::line(&format!("operation {operation}; take it back with: syncdeck undo {operation}"))?;
        }
    }
    if report.cancelled && !cli.json {
        print::problem("stopped half-way: what was not reached is as it was");
    }
    Ok(if report.failed > 0 || report.cancelled { FAILED } else { DONE })
}

fn tell_item(item: &Item) -> Result<()> {
    let text = format!("{}: {}: {}", item.id, item.result.word(), item.message);
    if item.result == RowStatus::Failed {
        print::problem(&text);
    } else {
        print::line(&sanitize(&text.replace('\n', "; ")))?;
    }
    Ok(())
}

/// The report of an operation on one error.
pub(super) fn one(id: i64, status: Result<(RowStatus, String), ClientError>) -> Report {
    let mut report = Report::default();
    let (result, message) = status.unwrap_or_else(|refused| (RowStatus::Failed, refused.to_string()));
    report.note(Item { id, result, message });
    report
}

pub(super) fn refuse_read_only(cli: &Cli) -> Result<(), print::Usage> {
    if cli.read_only {
        Err(print::Usage("--read-only changes nothing\nleave it out".to_owned()))
    } else {
        Ok(())
    }
}

/// Members of a JSON document about one row.
pub(super) fn row_of(text: &str) -> Result<(String, i32), print::Usage> {
    let row = text.split_once(':').and_then(|(mapping, row)| Some((mapping.to_owned(), row.parse().ok()?)));
    row.ok_or_else(|| print::Usage(format!("{text:?} is no MAPPING:ROW, such as Contact:10235")))
}

/// A list as JSON, whatever it is of.
pub(super) fn list_json(items: &[impl serde::Serialize]) -> Result<()> {
    print::json(&json!(items), true)?;
    Ok(())
}
