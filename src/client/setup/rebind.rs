//! Another org behind the same tables, as people read it: what becomes of rows, what is asked, and what was done.

use super::line::SetupLine;
use super::text::some_of;
use crate::domain::reports::rebind::{LookupColumn, RebindMapping, RebindPlan, UnsettledChanges};
use crate::domain::values::size::thousands;

/// What it does: what keeps it from being done first.
pub fn rebind_lines(plan: &RebindPlan) -> Vec<SetupLine> {
    let mut lines: Vec<SetupLine> =
        plan.refused.iter().map(|why| SetupLine::Warning(format!("refused: {why}"))).collect();
    let host = plan.from.host.as_ref().map(|host| format!(" at {host}")).unwrap_or_default();
    lines.push(SetupLine::Text(format!("noted:  {}{host}", plan.from.id)));
    lines.push(SetupLine::Text(format!("now:    {}", plan.to.text())));
    lines.extend(plan.mappings.iter().flat_map(mapping_lines));
    lines.extend(plan.unmapped.iter().map(|of| {
        let rows = count(of.rows);
        SetupLine::Text(format!("{}: not mapped, its {rows} rows become unlinked and stay", of.table))
    }));
    if !plan.unsettled.is_empty() {
        let what = if plan.gives_up { "are given up" } else { "are not settled" };
        lines.push(SetupLine::Text(format!(
            "changes of the org before that {what}: {}",
            unsettled(plan).join("; ")
        )));
    }
    lines
}

fn mapping_lines(of: &RebindMapping) -> Vec<SetupLine> {
    let mut lines =
        vec![SetupLine::Heading(format!("{}: {} rows with a record", of.mapping, count(of.rows)))];
    let lookups = of.lookups.iter().filter_map(lookup_line);
    let Some(key) = &of.external_id else {
        lines.push(SetupLine::Item(format!(
            "no external id is mapped: all {} become unlinked and stay; the {} records there are read as new rows",
            count(of.unlinked),
            count(of.unread)
        )));
        return lines.into_iter().chain(lookups).collect();
    };
    lines.push(SetupLine::Item(format!("{} find their record there by {key}", count(of.relinked))));
    if of.keyed > 0 && of.relinked == 0 && of.doubled == 0 {
        let text = "none of them: the org may be a wrong one, and is only taken where --org names it";
        lines.push(SetupLine::Item(text.to_owned()));
    }
    for (number, text) in [
        (
            of.unlinked,
            "find none and become unlinked: they stay, and the writes of the mapping are paused until somebody resumes them",
        ),
        (of.unread, "records there have no row: the next load reads them"),
    ] {
        if number > 0 {
            lines.push(SetupLine::Item(format!("{} {text}", count(number))));
        }
    }
    lines.extend(of.doubled_keys.iter().map(|key| {
        SetupLine::Item(format!(
            "{:?} is found more than once: {} records there, {} rows here",
            key.key,
            count(key.records),
            count(key.rows)
        ))
    }));
    lines.into_iter().chain(lookups).collect()
}

fn lookup_line(of: &LookupColumn) -> Option<SetupLine> {
    let text = format!(
        "{}: {} name the same parent there, {} name one that is not found and keep the old id until the load",
        of.column,
        count(of.relinked),
        count(of.unresolved)
    );
    (of.relinked + of.unresolved > 0).then_some(SetupLine::Item(text))
}

/// The mappings none of whose external ids is found there: the org may be a wrong one.
pub fn strangers(plan: &RebindPlan) -> Vec<String> {
    plan.strangers().map(|of| format!("{} (none of {})", of.mapping, count(of.keyed))).collect()
}

/// What is agreed to, in one sentence each: first what is lost. `place` names the database.
pub fn rebind_question(plan: &RebindPlan, place: &str) -> String {
    let mut text = String::new();
    if !plan.unsettled.is_empty() {
        text += &format!("Given up, and never sent: {}. ", some_of(&unsettled(plan), "; "));
    }
    let strangers = strangers(plan);
    if !strangers.is_empty() {
        text += &format!("No external id is found there of {}. ", some_of(&strangers, ", "));
    }
    let unlinked: i64 = plan.mappings.iter().map(|of| of.unlinked).sum();
    let unmapped: i64 = plan.unmapped.iter().map(|of| of.rows).sum();
    if unlinked + unmapped > 0 {
        text += &format!("{} rows will name no record. ", count(unlinked + unmapped));
    }
    text + &format!(
        "The rows of the schema {} of the {place} become those of the org {}.",
        plan.schema,
        plan.to.text()
    )
}

/// What was done.
pub fn rebound(done: &RebindPlan) -> String {
    format!(
        "Done: the schema {} is of the org {} now. The next start of the engine reads all records: syncdeck run",
        done.schema, done.to.id
    )
}

fn unsettled(plan: &RebindPlan) -> Vec<String> {
    plan.unsettled.iter().map(UnsettledChanges::text).collect()
}

fn count(number: i64) -> String {
    thousands(number.max(0) as usize)
}
