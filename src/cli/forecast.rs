//! A forecast of API calls, as people read it.

use std::io;

use crate::domain::mappings::mapping::Access;
use crate::domain::reports::forecast::{Allowance, Calls, Forecast};
use crate::domain::values::size::{percent, thousands};

use super::args::CallOptions;
use super::print;

/// What leavers of Heroku Connect are not told elsewhere.
pub(super) const COUNTS: &str =
    "Heroku Connect's SOAP calls did not count against the org's allowance; syncdeck's calls do.";
/// From this share on, more is said.
const MUCH: f64 = 0.5;

/// What the org allows, as far as it is known without asking it.
pub(super) fn allowance(options: &CallOptions) -> Allowance {
    options.allowance.map(|calls| Allowance::Given { calls }).unwrap_or_default()
}

/// Prints it.
pub(super) fn print(forecast: &Forecast) -> io::Result<()> {
    let allowed = forecast.allowance.calls();
    print::line("\nAPI calls a day, as a forecast:")?;
    let of_reads = |calls: &Calls| {
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
    };
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
    print::table(&["mapping", "access", "calls", "reads", "writes", "of allowance", "reads are"], &rows)?;
    let total = &forecast.total;
    let share = |part: i64| percent(part as f64 / total.total().max(1) as f64);
    print::line(&format!(
        "{} of the {} that the org allows a day; {} of the calls read, {} write.",
        percent(forecast.share()),
        count(allowed),
        share(total.reads()),
        share(total.writes)
    ))?;
    print::line(COUNTS)?;
    if forecast.share() >= MUCH {
        let polls = total.changes + total.deletes + total.counts;
        print::line(&format!(
            "That is much: {} of the calls are polls, and a poll_interval twice as long halves them.",
            share(polls)
        ))?;
    }
    print::line("This assumes:")?;
    forecast.assumptions.iter().try_for_each(|told| print::line(&format!("  {told}")))
}

fn count(number: i64) -> String {
    thousands(number.max(0) as usize)
}
