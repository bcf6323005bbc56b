//! A forecast of API calls, as people read it.

use crate::domain::mappings::mapping::Access;
use crate::domain::reports::forecast::{Calls, Forecast};
use crate::domain::values::size::{percent, thousands};

use super::line::SetupLine;

/// What leavers of Heroku Connect are not told elsewhere.
const COUNTS: &str =
    "Heroku Connect's SOAP calls did not count against the org's allowance; syncdeck's calls do.";
/// From this share on, more is said.
const MUCH: f64 = 0.5;

/// The forecast, in words.
pub fn forecast_lines(forecast: &Forecast) -> Vec<SetupLine> {
    let allowed = forecast.allowance.calls();
    let row = |name: &str, access: &str, calls: &Calls| {
        vec![
            name.to_owned(),
            access.to_owned(),
            count(calls.total()),
            count(calls.reads()),
            count(calls.writes),
            percent(calls.total() as f64 / allowed as f64),
            of_reads(calls),
        ]
    };
    let mut rows: Vec<Vec<String>> = forecast
        .mappings
        .iter()
        .map(|of| {
            let access = if of.access == Access::ReadOnly { "read only" } else { "read and write" };
            row(&of.mapping, access, &of.calls)
        })
        .collect();
    rows.push(row("all", "", &forecast.total));
    let head = ["mapping", "access", "calls", "reads", "writes", "of allowance", "reads are"];
    let mut lines = vec![
        SetupLine::Blank,
        SetupLine::Heading("API calls a day, as a forecast:".to_owned()),
        SetupLine::Table { head: head.to_vec(), rows },
    ];
    let total = &forecast.total;
    let share = |part: i64| percent(part as f64 / total.total().max(1) as f64);
    lines.push(SetupLine::Text(format!(
        "{} of the {} that the org allows a day; {} of the calls read, {} write.",
        percent(forecast.share()),
        count(allowed),
        share(total.reads()),
        share(total.writes)
    )));
    lines.push(SetupLine::Text(COUNTS.to_owned()));
    if forecast.share() >= MUCH {
        let polls = total.changes + total.deletes + total.counts;
        lines.push(SetupLine::Text(format!(
            "That is much: {} of the calls are polls, and a poll_interval twice as long halves them.",
            share(polls)
        )));
    }
    lines.push(SetupLine::Heading("This assumes:".to_owned()));
    lines.extend(forecast.assumptions.iter().map(|told| SetupLine::Item(told.clone())));
    lines
}

/// What calls that read are about.
fn of_reads(calls: &Calls) -> String {
    let parts = [
        ("changes", calls.changes),
        ("deletes", calls.deletes),
        ("counts", calls.counts),
        ("definitions", calls.definitions),
        ("comparisons", calls.comparisons),
    ];
    let told: Vec<String> = parts
        .iter()
        .filter(|(_, calls)| *calls > 0)
        .map(|(name, calls)| format!("{name} {}", count(*calls)))
        .collect();
    told.join(", ")
}

fn count(number: i64) -> String {
    thousands(number.max(0) as usize)
}
