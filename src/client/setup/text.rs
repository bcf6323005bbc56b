//! The plan of a start, a takeover and its way back, as people read them: what is to be minded first, then what is done.

use std::time::Duration;

use super::forecast::forecast_lines;
use super::line::SetupLine;
use crate::domain::mappings::mapping::Access;
use crate::domain::reports::setup_plan::{
    AT_WORK_REMEDY, Entries, SetupAction, SetupPlan, StartPlan, TableOrigin, TablePlan,
};
use crate::domain::reports::way_back::WayBack;
use crate::domain::values::duration::spoken;
use crate::domain::values::size::{percent, thousands};
use crate::logs::sanitize::sanitize;
use crate::postgres::schema::at_work::LOOK_BACK_SECONDS;

/// The plan of a start.
pub fn plan_lines(plan: &StartPlan) -> Vec<SetupLine> {
    let setup = &plan.setup;
    let mut lines = warnings(setup);
    if !lines.is_empty() {
        lines.push(SetupLine::Blank);
    }
    lines.push(SetupLine::Heading(summary(plan)));
    if !setup.actions.is_empty() {
        lines.push(SetupLine::Blank);
        lines.push(SetupLine::Heading("Beside the mapped tables:".to_owned()));
        lines.extend(setup.actions.iter().map(|action| SetupLine::Item(action.text())));
    }
    lines.push(SetupLine::Blank);
    lines.extend(setup.tables.iter().flat_map(|table| table_lines(table, plan)));
    if setup.foreign().next().is_some() && setup.at_work.is_empty() && setup.refused.is_none() {
        lines.push(SetupLine::Text(format!(
            "In the last {} Heroku Connect was not seen at work here, which does not prove that it is off.",
            spoken(Duration::from_secs(LOOK_BACK_SECONDS.unsigned_abs().into()))
        )));
    }
    if !setup.forgotten.is_empty() {
        lines.push(SetupLine::Text(format!(
            "no longer mapped: {}; their tables stay as they are",
            setup.forgotten.join(", ")
        )));
    }
    lines.extend(loads_line(plan));
    lines.extend(forecast_lines(&plan.forecast));
    lines.push(SetupLine::Blank);
    lines
}

/// What is to be known before anything is done: what is refused, and what is to be known before tables of others are taken
/// over.
fn warnings(setup: &SetupPlan) -> Vec<SetupLine> {
    let mut lines: Vec<SetupLine> =
        setup.refused.iter().map(|why| SetupLine::Warning(format!("refused: {why}"))).collect();
    let of_table = |table: &TablePlan| {
        Some(SetupLine::Warning(format!("{}: refused: {}", table.mapping, table.refused.as_ref()?)))
    };
    lines.extend(setup.tables.iter().filter_map(of_table));
    if setup.foreign().next().is_none() {
        return lines;
    }
    if !setup.at_work.is_empty() {
        lines.push(SetupLine::Warning(format!(
            "Heroku Connect still works here, as it seems: {}\n{AT_WORK_REMEDY}",
            // A name of another session must not look like a line of ours.
            setup.at_work.iter().map(|seen| sanitize(seen)).collect::<Vec<_>>().join("; ")
        )));
    }
    if setup.strangers > 0 {
        lines.push(SetupLine::Warning(format!(
            "changes in _trigger_log of tables that are not mapped here, not sent or failed: {}; nobody sends them once Heroku Connect \
             is off",
            count(setup.strangers)
        )));
    }
    lines
}

/// All of it in one sentence.
fn summary(plan: &StartPlan) -> String {
    let setup = &plan.setup;
    let (mut made, mut columns, mut replaced, mut indexes) = (0, 0, 0, 0);
    for action in setup.actions.iter().chain(setup.tables.iter().flat_map(|table| &table.actions)) {
        match action {
            SetupAction::CreateTable { .. } => made += 1,
            SetupAction::AddColumn { .. } => columns += 1,
            SetupAction::ReplaceFunction { .. } | SetupAction::DropTrigger { .. } => replaced += 1,
            SetupAction::CreateIndex { .. } => indexes += 1,
            _ => {}
        }
    }
    let records: i64 = plan.loads.iter().filter_map(|load| load.records).fold(0, i64::saturating_add);
    let mut parts = Vec::new();
    for (number, one, many) in [
        (setup.foreign().count(), "table is taken over", "tables are taken over"),
        (made, "table is made", "tables are made"),
        (columns, "column is added", "columns are added"),
        (replaced, "trigger or function is replaced", "triggers and functions are replaced"),
        (indexes, "index is made", "indexes are made"),
    ] {
        if number > 0 {
            parts.push(format!("{} {}", thousands(number), if number == 1 { one } else { many }));
        }
    }
    if records > 0 {
        parts.push(format!("{} records are read", count(records)));
    }
    let day = format!(
        "{} API calls a day from then on, {} of what the org allows",
        count(plan.forecast.total.total()),
        percent(plan.forecast.share())
    );
    match (setup.is_empty(), parts.is_empty()) {
        (true, _) => format!("There is nothing to do: the database is as the configuration has it. {day}."),
        (false, true) => format!("Little is done, as stands below. {day}."),
        (false, false) => format!("{}. {day}.", parts.join(", ")),
    }
}

fn table_lines(table: &TablePlan, plan: &StartPlan) -> Vec<SetupLine> {
    let whose = match table.origin {
        TableOrigin::New => "is new",
        TableOrigin::Own => "is syncdeck's",
        TableOrigin::Foreign => "was there before syncdeck",
    };
    let rows =
        if table.rows > 0 { format!(", with about {} rows", count(table.rows)) } else { String::new() };
    let mut items: Vec<String> = table.actions.iter().map(SetupAction::text).collect();
    if !table.adopted.is_empty() {
        items.push(format!("mapped as they are: {}", table.adopted.join(", ")));
    }
    match table.entries {
        Entries { unsent: 0, failed: 0, .. } => {}
        entries => items.push(of_entries(entries, access_of(table, plan))),
    }
    if let Some(load) = plan.loads.iter().find(|load| load.mapping == table.mapping) {
        items.push(match (load.records, load.calls, load.takes()) {
            (Some(records), Some(calls), Some(takes)) => format!(
                "{} records are read, in {} API calls: about {}",
                count(records),
                count(calls),
                spoken(takes)
            ),
            _ => "all records are read; how many there are is not known".to_owned(),
        });
    } else if table.actions.iter().any(|action| matches!(action, SetupAction::AddColumn { .. })) {
        items.push(format!(
            "old records show in new columns when they change, or by: syncdeck mapping {} reload",
            table.mapping
        ));
    }
    if table.refused.is_some() {
        items.push("refused, as is told above".to_owned());
    }
    if items.is_empty() {
        items.push("nothing is done".to_owned());
    }
    let heading = format!("{}: the table {} {whose}{rows}", table.mapping, table.table);
    std::iter::once(SetupLine::Heading(heading)).chain(items.into_iter().map(SetupLine::Item)).collect()
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

fn loads_line(plan: &StartPlan) -> Vec<SetupLine> {
    let known = plan.loads.iter().filter_map(|load| Some((load, load.calls?, load.takes()?)));
    let Some((longest, _, takes)) = known.clone().max_by_key(|(_, _, takes)| *takes) else {
        return Vec::new();
    };
    let calls = known.fold(0_i64, |sum, (_, calls, _)| sum.saturating_add(calls));
    let uncounted = match plan.loads.iter().filter(|load| load.calls.is_none()).count() {
        0 => String::new(),
        loads => format!(", without {loads} whose records could not be counted"),
    };
    let how = if plan.load_rate_is_measured { "as loads here went" } else { "as is assumed" };
    let text = format!(
        "Loads: {} API calls once{uncounted}; the longest is {}, about {}, at {} records a second, {how}",
        count(calls),
        longest.mapping,
        spoken(takes),
        count(plan.load_rate as i64)
    );
    vec![SetupLine::Blank, SetupLine::Text(text)]
}

/// What comes after a plan.
pub fn after_plan(plan: &SetupPlan) -> String {
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

/// Where no mapped table is anybody else's.
pub const NOTHING_TO_ADOPT: &str =
    "none of the mapped tables is anybody else's, so there is nothing to take over";

/// Where Heroku Connect was seen at work.
pub const NOT_YET: &str =
    "Nothing was changed. Tables are taken over once nothing of Heroku Connect is seen at work.";

/// What somebody agrees to who takes these tables over. `of` names schema and connection, `place` the database.
pub fn adopt_question(of: &str, place: &str, tables: &[String]) -> String {
    format!(
        "Heroku Connect must be off: two programs would send the same changes. Of {of} of the {place}, these tables were there \
         before syncdeck and are taken over: {}.",
        some_of(tables, ", ")
    )
}

/// A few of many that stand above.
pub(super) fn some_of(names: &[String], between: &str) -> String {
    match names {
        [first, second, _, _, ..] => {
            format!("{first}{between}{second} and {} others (above)", thousands(names.len() - 2))
        }
        _ => names.join(between),
    }
}

/// What came of it: `done` are the things that a predecessor left.
pub fn adopted_lines(of: &str, tables: &[String], done: &[String]) -> Vec<SetupLine> {
    let told = done.iter().map(|line| SetupLine::Text(line.clone()));
    let taken = format!(
        "Taken over: {}, of {of}. What was replaced is kept in syncdeck.replaced; the way back is: syncdeck adopt --undo",
        tables.join(", ")
    );
    told.chain([SetupLine::Text(taken)]).collect()
}

/// What it is to give tables back.
pub fn way_back_lines(way_back: &WayBack) -> Vec<SetupLine> {
    let WayBack { adopted_at, adopted_by, restored, removed, kept, unsent, failed, conflicts, settings } =
        way_back;
    let mut lines = vec![SetupLine::Text(format!("Taken over at {adopted_at} by {adopted_by}."))];
    for (title, texts) in [
        ("Put back as it was:", restored),
        ("Removed:", removed),
        ("Kept, though the takeover added it:", kept),
    ] {
        if !texts.is_empty() {
            lines.push(SetupLine::Heading(title.to_owned()));
            lines.extend(texts.iter().map(|text| SetupLine::Item(text.clone())));
        }
    }
    let rest = "All rows stay, and so do the schema syncdeck and what it says about the past.";
    lines.push(SetupLine::Text(rest.to_owned()));
    lines.push(SetupLine::Text(format!(
        "Of the changes in _trigger_log, {} that are not sent are NEW, in their order, and {} that failed or may have been sent are FAILED.",
        count(*unsent),
        count(*failed)
    )));
    if *conflicts > 0 {
        lines.push(SetupLine::Text(format!(
            "{} fields that changed on both sides, and about which nobody decided, keep the row's value.",
            count(*conflicts)
        )));
    }
    if !settings.is_empty() {
        lines.push(SetupLine::Text(format!(
            "Rules that were set at run time are noted still, and hold again after another takeover: {}",
            settings.join(", ")
        )));
    }
    lines
}

/// What somebody agrees to who gives the tables back.
pub fn undo_question(of: &str, place: &str) -> String {
    format!(
        "In {of} of the {place}, what the takeover replaced is put back, and syncdeck captures nothing any more."
    )
}

/// What came of it; `before` is what was shown.
pub fn undone_lines(before: &WayBack, done: &WayBack) -> Vec<SetupLine> {
    let more = done.kept.iter().filter(|text| !before.kept.contains(text));
    let more = more.map(|text| SetupLine::Item(format!("{text} stays")));
    let last = "Done. Switch Heroku Connect on again; to take over once more: syncdeck adopt";
    more.chain([SetupLine::Text(last.to_owned())]).collect()
}

fn count(number: i64) -> String {
    thousands(number.max(0) as usize)
}
