//! `syncdeck shadow`: Salesforce beside the rows that Heroku Connect keeps, round by round, without changing anything.

use std::io::{self, IsTerminal};
use std::pin::pin;
use std::time::Duration;

use color_eyre::eyre::Result;
use tokio_util::sync::CancellationToken;

use crate::client::api::ClientError;
use crate::client::setup::shadow::ShadowNews;
use crate::config::{Config, ConfigError};
use crate::domain::records::shadow::report::{
    FieldDifferences, FormatDifferences, ShadowCost, ShadowExample, ShadowKind, ShadowMappingReport,
    ShadowReport, ShadowRound, ShadowWait,
};
use crate::domain::values::duration::spoken;
use crate::domain::values::size::{percent, thousands};
use crate::engine::shadow::{Shadow, ShadowError, ShadowOptions, ShadowStage};
use crate::postgres::session::connect::Session;
use crate::postgres::{self, Store};

use super::args::{Cli, ShadowKeys};
use super::signals::ended;
use super::verify::clear_line;
use super::{DONE, FAILED, UNHEALTHY, print, store};

/// Compares for as long as it was asked to, and tells.
pub(super) async fn run(cli: &Cli, keys: &ShadowKeys) -> Result<u8> {
    if keys.every.is_some_and(|every| every.is_zero()) {
        return Err(print::Usage(
            "--every 0s leaves no time between rounds\ngive it a length, such as 15m".to_owned(),
        )
        .into());
    }
    let config = config(cli)?;
    if !config.salesforce.is_somewhere() {
        return Err(no_org(&config).into());
    }
    let store = looking(&config).await?;
    let options = ShadowOptions {
        time: keys.time,
        every: keys.every,
        catch_up: keys.catch_up,
        mapping: keys.mapping.clone(),
    };
    let shadow = Shadow::open(&config, store, options).await.map_err(explained)?;
    // Beside the result, which comes at the end.
    beginning(shadow.report()).iter().for_each(|line| print::note(line));
    let (stop, is_json) = (CancellationToken::new(), cli.json);
    let told = move |stage: ShadowStage<'_>| tell_stage(stage, is_json);
    let report = {
        let mut comparison = pin!(shadow.run(&told, &stop));
        // It may go on for days, as a job of a supervisor: a signal ends it with what was seen. It is listened for first.
        tokio::select! {
            biased;
            () = ended() => {
                // Nothing that hangs from here on, a pipe that nobody reads either, keeps the program from a second one.
                tokio::spawn(async {
                    ended().await;
                    std::process::exit(FAILED.into());
                });
                stop.cancel();
                comparison.await
            }
            report = &mut comparison => report,
        }
    };
    clear_line();
    let report = report.map_err(explained)?;
    if cli.json {
        print::json(&report, true)?;
    } else {
        tell(&report)?;
    }
    Ok(status(&report))
}

/// The database, in sessions that PostgreSQL lets change nothing.
pub(super) async fn looking(config: &Config) -> Result<Store, postgres::Error> {
    let session = Session {
        connections: 2,
        read_only: true,
        ..Session::new("syncdeck shadow", config.postgres.timeout)
    };
    store(config, &session).await
}

fn config(cli: &Cli) -> Result<Config, ConfigError> {
    match &cli.attach_heroku_connect {
        Some(schema) => Config::attached(schema, cli.writes.as_deref()),
        None => Config::load_with_org(cli.config.as_deref(), cli.connection.as_deref()),
    }
}

fn no_org(config: &Config) -> ClientError {
    ClientError::refused(format!(
        "this reads Salesforce itself, and the connection {} has no login to the org\nadd [{}] with login_url, client_id and how the app \
         signs in (docs/setup.md), or use a configuration of: syncdeck import heroku-connect",
        config.name,
        config.table("salesforce").join(".")
    ))
}

/// What was typed wrongly, or configured, ends with another status than what the schema does not allow.
pub(super) fn explained(error: ShadowError) -> color_eyre::eyre::Report {
    match error {
        ShadowError::Unknown(text) => print::Usage(text).into(),
        ShadowError::Refused(text) => ClientError::refused(text).into(),
        ShadowError::Start(error) => error.into(),
        error => error.into(),
    }
}

fn status(report: &ShadowReport) -> u8 {
    match () {
        () if report.in_step => DONE,
        () if !report.was_compared() => FAILED,
        () => UNHEALTHY,
    }
}

/// What is known before the first round.
pub(super) fn beginning(report: &ShadowReport) -> Vec<String> {
    let names: Vec<&str> = report.mappings.iter().map(|of| of.mapping.as_str()).collect();
    let what = format!("comparing {} with the org {}; nothing is changed", names.join(", "), report.org_id);
    [what, cost(&report.cost)].into_iter().chain(uncompared(report)).collect()
}

/// What rounds cost, in a line.
fn cost(cost: &ShadowCost) -> String {
    let count = |number: i64| thousands(number.max(0) as usize);
    let calls = if cost.calls_a_round == 1 { "API call" } else { "API calls" };
    let uncounted = match cost.uncounted {
        0 => String::new(),
        _ => " or more (Salesforce does not say how many records all of them have)".to_owned(),
    };
    let of_org = match cost.allowance {
        Some((used, allowed)) if allowed > 0 => format!(
            ", which is {} of the {} that the org allows ({} are used today)",
            percent(cost.calls_a_day as f64 / allowed as f64),
            count(allowed),
            count(used)
        ),
        _ => String::new(),
    };
    format!(
        "a round costs {} {calls}{uncounted}, and at least another for each 200 of a mapping that look different, 10,000 at most; \
         every {} that is {} a day{of_org}",
        count(cost.calls_a_round),
        spoken(Duration::from_secs(cost.every_seconds)),
        count(cost.calls_a_day)
    )
}

/// What is told of a stage.
pub(super) fn news(stage: ShadowStage<'_>) -> Option<ShadowNews> {
    let count = |number: i64| thousands(number.max(0) as usize);
    match stage {
        ShadowStage::Comparing(name, done, total) => {
            Some(ShadowNews::Now(format!("{name}: {} of {} records compared", count(done), count(total))))
        }
        ShadowStage::Settling(_, 0) => None,
        ShadowStage::Settling(name, many) => {
            let many = thousands(many);
            Some(ShadowNews::Now(format!("{name}: {many} look different, and are looked at once more")))
        }
        ShadowStage::Over(round) => Some(ShadowNews::Round(round_line(round))),
        ShadowStage::Pausing(time) => Some(ShadowNews::Waits("the next round begins", time)),
        ShadowStage::Waiting(time) => Some(ShadowNews::Waits("what is not decided is looked at again", time)),
    }
}

fn tell_stage(stage: ShadowStage<'_>, is_json: bool) {
    let written_over = |text: String| {
        if io::stderr().is_terminal() {
            print::aside(&format!("\r\x1b[K{text}"));
        }
    };
    match news(stage) {
        None => {}
        Some(ShadowNews::Now(line)) => written_over(line),
        Some(ShadowNews::Waits(what, time)) => {
            written_over(format!("{what} in {}; Ctrl-C ends with the report", spoken(time)));
        }
        Some(ShadowNews::Round(line)) => {
            clear_line();
            // A script that wants JSON gets one document; who watches a terminal sees each round.
            if !is_json || io::stderr().is_terminal() {
                print::note(&line);
            }
        }
    }
}

fn round_line(round: &ShadowRound) -> String {
    let count = |number: i64| thousands(number.max(0) as usize);
    let begin = format!("{} round {}", round.began_at, round.number);
    if let Some(why) = &round.broken {
        return format!("{begin} is not whole: {}", why.replace('\n', "\n  "));
    }
    if round.stopped {
        return format!("{begin} was stopped before its end");
    }
    let mut found = vec![format!("{} stay different", count(round.differences))];
    for (number, text) in [
        (round.undecided, "differ, and it cannot be said yet whether they catch up"),
        (round.waiting, "differ while a change is not sent"),
        (round.caught_up, "caught up so far"),
    ] {
        if number > 0 {
            found.push(format!("{} {text}", count(number)));
        }
    }
    format!(
        "{begin}: {} rows compared in {} s, {} API calls: {}",
        count(round.compared),
        round.seconds,
        count(round.calls),
        found.join(", ")
    )
}

/// Everything that could not be compared.
fn uncompared(report: &ShadowReport) -> Vec<String> {
    let mut lines: Vec<String> =
        report.uncompared.iter().map(|why| format!("not compared: {}", why.replace('\n', "\n  "))).collect();
    for of in &report.mappings {
        lines.extend(of.uncompared.iter().map(|why| format!("not compared: {}: {why}", of.mapping)));
        if !of.unmapped.is_empty() {
            lines.push(format!(
                "{}: not mapped, so that nobody keeps them after a move: the columns {}",
                of.mapping,
                of.unmapped.join(", ")
            ));
        }
    }
    lines
}

/// A line of a report.
pub(super) struct ReportLine {
    /// How far it stands in.
    pub(super) depth: usize,
    /// Its words.
    pub(super) text: String,
}

fn line_at(depth: usize, text: String) -> ReportLine {
    ReportLine { depth, text }
}

fn tell(report: &ShadowReport) -> io::Result<()> {
    let told = |line: &ReportLine| print::line(&format!("{}{}", "  ".repeat(line.depth), line.text));
    report_lines(report).iter().try_for_each(told)
}

/// The whole report, in words: each mapping, what was not compared, and in the last line what it comes to.
pub(super) fn report_lines(report: &ShadowReport) -> Vec<ReportLine> {
    let mut lines: Vec<ReportLine> = report.mappings.iter().flat_map(mapping_lines).collect();
    lines.extend(uncompared(report).into_iter().map(|line| line_at(0, line)));
    let broken: Vec<&ShadowRound> = report.rounds.iter().filter(|round| round.broken.is_some()).collect();
    if let Some(last) = broken.last() {
        let text = format!(
            "{} of {} rounds are not whole, the last such one because: {}",
            broken.len(),
            report.rounds.len(),
            last.broken.as_deref().unwrap_or_default().replace('\n', "\n  ")
        );
        lines.push(line_at(0, text));
    }
    lines.push(line_at(0, comes_to(report)));
    lines
}

/// What it comes to.
fn comes_to(report: &ShadowReport) -> String {
    let rounds = report.whole_rounds();
    let stopped = if report.stopped { ", stopped before its time" } else { "" };
    let many = if rounds == 1 { "1 round".to_owned() } else { format!("{rounds} rounds") };
    let is_whole = report.uncompared.is_empty() && report.mappings.iter().all(|of| of.uncompared.is_empty());
    let part = if is_whole { "" } else { ", as far as it was compared" };
    match () {
        () if report.in_step => format!("In step{part}, over {many}{stopped}."),
        () if !report.was_compared() => format!("No round came to its end{stopped}: nothing is proved."),
        () if rounds == 0 => format!("Not in step: no round came to its end{stopped}."),
        () => format!("Not in step, over {many}{stopped}."),
    }
}

fn mapping_lines(of: &ShadowMappingReport) -> Vec<ReportLine> {
    let count = |number: i64| thousands(number.max(0) as usize);
    let broken = of.broken.as_ref();
    let broken =
        broken.map(|why| line_at(0, format!("{}: not compared in the last round: {why}", of.mapping)));
    let mut lines: Vec<ReportLine> = broken.into_iter().collect();
    if of.rounds == 0 {
        lines.push(line_at(0, format!("{}: never compared to its end", of.mapping)));
        return lines;
    }
    let found = match () {
        () if of.different() > 0 => "differences",
        () if of.all_undecided() > 0 => "no difference is sure, and not everything is decided",
        () => "no difference",
    };
    let (rows, records, compared) = (of.counts.rows, of.counts.records, of.counts.compared);
    lines.push(line_at(
        0,
        format!(
            "{}: {} rows, {} records, {} compared: {found}",
            of.mapping,
            count(rows),
            count(records),
            count(compared)
        ),
    ));
    for kind in ShadowKind::ALL {
        let Some(number) = of.differences.get(&kind) else { continue };
        lines.push(line_at(1, format!("{} {}", count(*number), kind.text())));
        if kind == ShadowKind::FieldDiffers {
            lines.extend(of.fields.iter().flat_map(field_lines));
        }
        let examples: Vec<String> =
            of.examples.iter().filter(|example| example.kind == kind).map(place).collect();
        if !examples.is_empty() {
            lines.push(line_at(2, format!("such as {}", examples.join("; "))));
        }
    }
    lines.extend(
        open_counts(of)
            .into_iter()
            .filter(|(number, _)| *number > 0)
            .map(|(number, text)| line_at(1, format!("{} {text}", count(number)))),
    );
    lines.extend(of.counts.formats.iter().map(format_line));
    lines
}

/// How many differ and are no difference, and why.
fn open_counts(of: &ShadowMappingReport) -> [(i64, &'static str); 8] {
    let waiting = |wait: ShadowWait| of.waiting.get(&wait).copied().unwrap_or(0);
    [
        (of.counts.unfollowed, "more look different, too many to be followed: undecided"),
        (of.undecided, "differ, and were not looked at often or long enough to say: compare longer (--for)"),
        (waiting(ShadowWait::Unsent), "differ while a change of the row is not sent"),
        (
            waiting(ShadowWait::Recent),
            "differ, and the record changed a moment ago: undecided, compare longer (--for)",
        ),
        (
            waiting(ShadowWait::Untold),
            "differ, and a change waits or was refused of which nothing tells what it was: undecided, look at them",
        ),
        (of.refused, "differ because Salesforce refused the change: see syncdeck errors"),
        (of.caught_up, "differed and caught up"),
        (of.late, "of these took longer than Heroku Connect should"),
    ]
}

fn field_lines(of: &FieldDifferences) -> Vec<ReportLine> {
    let head = line_at(2, format!("{}: {} rows", of.field, thousands(of.rows.max(0) as usize)));
    let example = |example: &ShadowExample| {
        let (row, record) = (shown(&example.row_value), shown(&example.record_value));
        line_at(3, format!("{}: {row} here, {record} there", place(example)))
    };
    std::iter::once(head).chain(of.examples.iter().map(example)).collect()
}

fn format_line(of: &FormatDifferences) -> ReportLine {
    let (row, ours, theirs) = &of.example;
    let text = format!(
        "{}: the same in another form in {} rows ({}): row {row} has {}, the record {}",
        of.field,
        thousands(of.rows.max(0) as usize),
        of.reason.text(),
        shown(ours),
        shown(theirs)
    );
    line_at(1, text)
}

fn place(example: &ShadowExample) -> String {
    let row = example.row.map(|row| format!("row {row}"));
    let parts: Vec<String> = row.into_iter().chain(example.sfid.clone()).collect();
    parts.join(" ")
}

fn shown(value: &Option<String>) -> String {
    value.as_ref().map_or("nothing".to_owned(), |value| format!("{value:?}"))
}
