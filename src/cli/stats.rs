//! How well the sync goes: figures at a glance, and a review in Markdown for those who were not there.

use std::fmt::Write as _;
use std::time::Duration;

use chrono::{DateTime, Utc};
use color_eyre::eyre::Result;

use crate::console::widgets::charts::bar;
use crate::domain::health::figures::{Figures, Point, SpanStep, Spread};
use crate::domain::health::review::{FigureChange, Health, MappingHealth, PatternReview, ReviewSubject};
use crate::domain::values::duration::{self, measured};
use crate::domain::values::size::{bytes, percent, thousands};
use crate::logs::sanitize::sanitize;

use super::args::{Cli, StatsOptions};
use super::{DONE, client_of, config, print};

/// The cells of a bar in a chart.
const BAR: usize = 32;
/// Codes that are listed.
const CODES: usize = 10;

/// Shows them.
pub(super) async fn run(cli: &Cli, options: &StatsOptions) -> Result<u8> {
    let config = config(cli)?;
    let client = client_of(cli, &config).await?;
    let health = client.health(options.since, options.mapping.as_deref()).await?;
    match (cli.json, options.report) {
        (true, _) => print::json(&health, true)?,
        (false, true) => print::line(report(&config.name, options.since, &health).trim_end())?,
        (false, false) => glance(options.since, &health)?,
    }
    Ok(DONE)
}

/// The figures at a glance.
fn glance(span: Duration, health: &Health) -> Result<()> {
    let figures = &health.figures;
    let of = health.mapping.as_deref().map(|name| format!(" of {name}")).unwrap_or_default();
    print::line(&format!(
        "the last {}{of}, up to {}; {}\n",
        duration::text(span),
        stamp(health.to),
        kept(health)
    ))?;
    for (name, told) in lines(health) {
        print::line(&format!("{name:<17}{told}"))?;
    }
    if health.mappings.len() > 1 {
        print::line("")?;
        let rows: Vec<Vec<String>> = health.mappings.iter().map(row).collect();
        print::table(&HEADS, &rows)?;
    }
    if !figures.by_code.is_empty() {
        print::line("")?;
        let code = |share: &crate::domain::reports::trend::ErrorShare| {
            vec![share.category.word().to_owned(), share.code.clone(), number(share.count)]
        };
        let rows: Vec<Vec<String>> = figures.by_code.iter().take(CODES).map(code).collect();
        print::table(&["category", "code", "errors that came"], &rows)?;
    }
    Ok(())
}

/// The heads of a table of mappings.
const HEADS: [&str; 9] = [
    "mapping",
    "taken",
    "refused",
    "failed",
    "errors came",
    "ended",
    "ended within",
    "waited (90 %)",
    "open now",
];

fn row(mapping: &MappingHealth) -> Vec<String> {
    let figures = &mapping.figures;
    vec![
        sanitize(&mapping.name).into_owned(),
        number(figures.accepted),
        number(figures.rejected),
        figures.error_rate.map_or_else(dash, percent),
        number(figures.began),
        number(figures.ended()),
        figures.resolution.median.map_or_else(dash, measured),
        figures.waited.p90.map_or_else(dash, measured),
        number(mapping.now.errors),
    ]
}

/// What everything comes to, each figure with its name.
fn lines(health: &Health) -> Vec<(&'static str, String)> {
    let (figures, before) = (&health.figures, &health.before);
    let rate = match (figures.error_rate, before.error_rate) {
        (Some(now), Some(before)) => format!("{} failed (before: {})", percent(now), percent(before)),
        (Some(now), None) => format!("{} failed", percent(now)),
        (None, _) => "none was answered".to_owned(),
    };
    let late = |lag: Option<f64>| lag.map(|lag| format!("; now {}", measured(lag))).unwrap_or_default();
    let to_salesforce = late(health.now.lag_to_salesforce);
    let late_reads = health.now.lag_from_salesforce.filter(|lag| *lag > 0.0);
    let late_reads =
        late_reads.map(|lag| format!("; reads are late by {}", measured(lag))).unwrap_or_default();
    let repeated = match figures.repeat_success {
        Some(success) => format!("{}, {} taken", number(figures.repeated), percent(success)),
        None => "none".to_owned(),
    };
    vec![
        (
            "changes",
            format!(
                "{} taken, {} refused, {} without an answer; {rate}",
                number(figures.accepted),
                number(figures.rejected),
                number(figures.lost)
            ),
        ),
        ("rows read", number(figures.read)),
        (
            "errors",
            format!(
                "{} came, {} ended, {} are open",
                number(figures.began),
                number(figures.ended()),
                number(health.now.errors)
            ),
        ),
        ("ended by", ways(figures)),
        ("ended within", spread(&figures.resolution)),
        ("sent again", repeated),
        ("changes waited", format!("{}{to_salesforce}", spread(&figures.waited))),
        ("requests took", spread(&figures.requests)),
        ("reads took", spread(&figures.reads)),
        ("oldest change", spread(&figures.oldest)),
        ("reads behind", format!("{}{late_reads}", spread(&figures.read_lag))),
    ]
}

fn ways(figures: &Figures) -> String {
    let told = figures.ways.iter().map(|way| format!("{} {}", way.way, number(way.count)));
    told.collect::<Vec<_>>().join(", ")
}

fn spread(spread: &Spread) -> String {
    match (spread.median, spread.p90) {
        (Some(median), Some(p90)) => format!("median {}, 90 % {}", measured(median), measured(p90)),
        _ => "not measured".to_owned(),
    }
}

fn kept(health: &Health) -> String {
    let size = bytes(health.kept.bytes);
    match health.kept.since {
        Some(since) => format!("kept since {} in {size}", since.format("%Y-%m-%d")),
        None => "nothing is kept yet".to_owned(),
    }
}

fn stamp(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}

fn number(number: i64) -> String {
    thousands(usize::try_from(number).unwrap_or(0))
}

fn dash() -> String {
    "-".to_owned()
}

/// The review in Markdown, with its charts in text.
fn report(connection: &str, span: Duration, health: &Health) -> String {
    let mut text = String::new();
    let of = health.mapping.as_deref().map(|name| format!(", {}", cell(name))).unwrap_or_default();
    section(&mut text, &format!("# Sync health of {}{of}", cell(connection)), |text| {
        let _ = writeln!(
            text,
            "The last {}, {} to {}, beside the {} before. {}.",
            duration::text(span),
            stamp(health.from),
            stamp(health.to),
            duration::text(span),
            first_upper(&kept(health))
        );
    });
    section(&mut text, "## Figures", |text| {
        table(text, &["figure", "", "before"], figures(&health.figures, &health.before));
    });
    section(&mut text, "## Rates", |text| rates(text, health));
    section(&mut text, "## Most frequent causes", |text| causes(text, health));
    section(&mut text, "## Patterns", |text| {
        list(
            text,
            health.patterns.iter().map(pattern),
            "The errors that came have nothing in common, or are few.",
        )
    });
    let changed = |better| health.changes.iter().filter(move |change| change.better == better).map(change);
    section(&mut text, "## Better than before", |text| list(text, changed(true), "Nothing that counts."));
    section(&mut text, "## Worse than before", |text| list(text, changed(false), "Nothing that counts."));
    section(&mut text, "## How errors ended", |text| {
        let most = health.figures.ways.iter().map(|way| way.count).max().unwrap_or(0);
        let bars = health.figures.ways.iter().map(|way| (way.way.clone(), way.count, number(way.count)));
        chart(text, bars.collect(), most);
    });
    section(&mut text, "## How long changes waited", |text| {
        let waited = &health.figures.waited;
        let most = waited.buckets.iter().map(|bucket| bucket.count).max().unwrap_or(0);
        let edge =
            |edge: Option<f64>| edge.map_or("longer".to_owned(), |edge| format!("up to {}", measured(edge)));
        let bars =
            waited.buckets.iter().map(|bucket| (edge(bucket.up_to), bucket.count, number(bucket.count)));
        chart(text, bars.collect(), most);
    });
    text
}

fn section(text: &mut String, title: &str, body: impl FnOnce(&mut String)) {
    let _ = writeln!(text, "{title}\n");
    body(text);
    text.push('\n');
}

/// How a figure is told.
type Told = fn(&Figures) -> String;

fn figures(now: &Figures, before: &Figures) -> Vec<Vec<String>> {
    let rows: [(&str, Told); 11] = [
        ("changes taken", |figures| number(figures.accepted)),
        ("changes refused", |figures| number(figures.rejected)),
        ("share of changes that fail", |figures| figures.error_rate.map_or_else(dash, percent)),
        ("errors that came", |figures| number(figures.began)),
        ("errors that ended", |figures| number(figures.ended())),
        ("errors ended within", |figures| spread(&figures.resolution)),
        ("sends repeated, and taken then", |figures| {
            format!("{}, {}", number(figures.repeated), figures.repeat_success.map_or_else(dash, percent))
        }),
        ("changes waited", |figures| spread(&figures.waited)),
        ("requests took", |figures| spread(&figures.requests)),
        ("reads took", |figures| spread(&figures.reads)),
        ("reads behind", |figures| spread(&figures.read_lag)),
    ];
    rows.into_iter().map(|(name, of)| vec![name.to_owned(), of(now), of(before)]).collect()
}

/// The share of changes that fail over time, and by mapping.
fn rates(text: &mut String, health: &Health) {
    let highest = health.series.iter().map(|point| point.rejected).max().unwrap_or(0);
    let label = |at: DateTime<Utc>| match health.step {
        Some(SpanStep::Hour) => at.format("%a %H:00").to_string(),
        _ => at.format("%Y-%m-%d").to_string(),
    };
    let told = |point: &Point| {
        let rate = point.error_rate.map_or_else(dash, percent);
        format!("{rate}: {} of {} refused", number(point.rejected), number(point.accepted + point.rejected))
    };
    let bars = health.series.iter().map(|point| (label(point.at), point.rejected, told(point)));
    chart(text, bars.collect(), highest);
    if !health.mappings.is_empty() {
        text.push('\n');
        table(text, &HEADS, health.mappings.iter().map(row).collect());
    }
}

fn causes(text: &mut String, health: &Health) {
    if health.causes.is_empty() {
        let _ = writeln!(text, "No error came.");
        return;
    }
    let cause = |cause: &crate::domain::health::review::CauseReview| {
        let whose = if cause.mapping.is_empty() { "connection" } else { &cause.mapping };
        let fields = cause.fields.join(", ");
        vec![
            whose.to_owned(),
            cause.code.clone(),
            fields,
            cause.template.clone(),
            number(cause.count),
            number(cause.before),
            number(cause.open),
        ]
    };
    let heads = ["mapping", "code", "fields", "message", "errors", "before", "open"];
    table(text, &heads, health.causes.iter().map(cause).collect());
}

fn list(text: &mut String, items: impl Iterator<Item = String>, none: &str) {
    let lines: Vec<String> = items.map(|item| format!("- {item}")).collect();
    let _ = writeln!(text, "{}", if lines.is_empty() { none.to_owned() } else { lines.join("\n") });
}

fn pattern(pattern: &PatternReview) -> String {
    match pattern {
        PatternReview::Hours { from, to, share } => {
            format!("{} of the errors came between {from}:00 and {to}:00 UTC.", percent(*share))
        }
        PatternReview::Weekday { day, share } => {
            let names = ["Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays"];
            format!("{} of the errors came on {}.", percent(*share), names[*day as usize % 7])
        }
        PatternReview::Mapping { name, share } => {
            format!("{} of the errors are of {}.", percent(*share), cell(name))
        }
        PatternReview::Code { code, share } => {
            format!("{} of the errors are {}.", percent(*share), cell(code))
        }
    }
}

fn change(change: &FigureChange) -> String {
    let (as_share, as_time) = (|value: f64| percent(value), |value: f64| measured(value));
    let as_number = |value: f64| number(value as i64);
    let (what, (before, now)) = match &change.subject {
        ReviewSubject::ErrorRate => ("The share of changes that fail".to_owned(), both(change, as_share)),
        ReviewSubject::MappingErrorRate { mapping } => {
            (format!("The share of changes of {} that fail", cell(mapping)), both(change, as_share))
        }
        ReviewSubject::Errors => ("Errors that came".to_owned(), both(change, as_number)),
        ReviewSubject::Code { code } => (format!("Errors {}", cell(code)), both(change, as_number)),
        ReviewSubject::Resolution => ("Half of the errors ended within".to_owned(), both(change, as_time)),
        ReviewSubject::RepeatSuccess => ("Repeated sends that were taken".to_owned(), both(change, as_share)),
        ReviewSubject::Waited => {
            ("Nine of ten changes waited no longer than".to_owned(), both(change, as_time))
        }
        ReviewSubject::Requests => {
            ("Nine of ten requests took no longer than".to_owned(), both(change, as_time))
        }
    };
    format!("{what}: {before} before, {now} now.")
}

fn both(change: &FigureChange, told: impl Fn(f64) -> String) -> (String, String) {
    (told(change.before), told(change.now))
}

/// A table of Markdown.
fn table(text: &mut String, heads: &[&str], rows: Vec<Vec<String>>) {
    let _ = writeln!(text, "| {} |\n|{}", heads.join(" | "), "---|".repeat(heads.len()));
    for row in rows {
        let cells: Vec<String> = row.iter().map(|value| cell(value)).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
}

/// A text that stands in Markdown as it is.
fn cell(text: &str) -> String {
    let mut clean = String::new();
    for letter in sanitize(text).chars() {
        if matches!(letter, '|' | '\\' | '`' | '*' | '[' | ']' | '<' | '>' | '#') {
            clean.push('\\');
        }
        clean.push(if letter == '\n' { ' ' } else { letter });
    }
    clean
}

/// Bars with what they stand for before them and what they come to behind.
fn chart(text: &mut String, bars: Vec<(String, i64, String)>, highest: i64) {
    let name = bars.iter().map(|(name, ..)| name.chars().count()).max().unwrap_or(0);
    let _ = writeln!(text, "```text");
    if bars.is_empty() {
        let _ = writeln!(text, "nothing was measured");
    }
    for (label, value, told) in bars {
        let _ = writeln!(text, "{label:<name$}  {:<BAR$}  {told}", bar(value, highest, BAR));
    }
    let _ = writeln!(text, "```");
}

fn first_upper(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::domain::errors::sync_error::Category;
    use crate::domain::health::history::{Began, Cell, Counts, History};
    use crate::domain::health::review::{CauseReview, HistorySize, Now, review};

    /// Two days: one without anything, and one with a failing Contact.
    fn two_days() -> Health {
        let to = DateTime::from_timestamp(1_772_582_400, 0).unwrap();
        let counts = |accepted, rejected| Counts { accepted, rejected, ..Counts::default() };
        let cell = |days, counts| Cell { counts, ..Cell::of("Contact", to - TimeDelta::days(days)) };
        let mut late = cell(1, counts(60, 40));
        late.times.waited.add(Duration::from_millis(400), 60);
        let code = "INVALID_EMAIL_ADDRESS".to_owned();
        let (category, mapping) = (Category::Data, "Contact".to_owned());
        let at = to - TimeDelta::days(1);
        let history = History {
            cells: vec![cell(4, counts(90, 10)), late],
            began: vec![Began { at, mapping, category, code: code.clone(), count: 40 }],
            ended: Vec::new(),
        };
        let now = Now { errors: 40, ..Now::default() };
        let health = review(history, to - TimeDelta::days(3), to, vec![("Contact".to_owned(), now)]);
        let cause = CauseReview {
            mapping: "Contact".to_owned(),
            code,
            category,
            fields: vec!["Email".to_owned()],
            template: "Email: | invalid".to_owned(),
            count: 40,
            before: 0,
            open: 40,
        };
        let kept = HistorySize { since: Some(to - TimeDelta::days(9)), bytes: 99_000 };
        Health { causes: vec![cause], kept, ..health }
    }

    #[test]
    fn a_review_tells_rates_causes_patterns_and_what_changed() {
        let text = report("acme", Duration::from_secs(3 * 86_400), &two_days());
        for part in [
            "# Sync health of acme\n\nThe last 3d, 2026-03-01 00:00 UTC to 2026-03-04 00:00 UTC, beside the 3d before. \
                Kept since 2026-02-23 in 97 kB.\n\n## Figures\n\n| figure |  | before |\n|---|---|---|\n| changes taken | 60 | 90 |\n",
            "2026-03-01                                    -: 0 of 0 refused\n",
            "2026-03-03  ████████████████████████████████  40.0 %: 40 of 100 refused\n",
            "| Contact | INVALID_EMAIL_ADDRESS | Email | Email: \\| invalid | 40 | 0 | 40 |\n",
            "- 100 % of the errors came between 0:00 and 3:00 UTC.\n- 100 % of the errors are of Contact.\n",
            "## Better than before\n\nNothing that counts.\n",
            "- Errors that came: 0 before, 40 now.\n",
            "- The share of changes that fail: 10.0 % before, 40.0 % now.\n",
            "up to 500 ms  ████████████████████████████████  60\n",
        ] {
            assert!(text.contains(part), "{part}\n---\n{text}");
        }
    }
}
