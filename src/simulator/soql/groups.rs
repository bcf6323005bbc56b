//! Aggregates: the records of each group, and the figures that are worked out of them.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::ast::Function;
use super::cells::{Cell, Found, Key, cell, holds, owner, sort, value};
use super::fault::Fault;
use super::plan::{Figure, Grouping, Path, Sort};
use crate::simulator::records::Record;
use crate::simulator::tables::Snapshot;
use crate::simulator::values::decimal;

/// Groups have one page.
const PAGE: usize = 2_000;

/// The groups of records, as an answer holds them.
pub(super) fn of(
    snapshot: &Snapshot,
    object: usize,
    found: &[Arc<Record>],
    grouping: &Grouping,
    limit: Option<usize>,
    offset: usize,
) -> Result<Vec<Value>, Fault> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut groups: Vec<Vec<&Record>> = Vec::new();
    if grouping.keys.is_empty() {
        // Of no records at all, too.
        groups.push(Vec::new());
        places.insert("[]".to_owned(), 0);
    }
    for record in found {
        let keys: Value =
            grouping.keys.iter().map(|path| folded(path, shown(snapshot, path, (object, record)))).collect();
        let place = *places.entry(keys.to_string()).or_insert(groups.len());
        if place == groups.len() {
            groups.push(Vec::new());
        }
        groups[place].push(record);
    }
    let figures = |group: &Vec<&Record>| -> Vec<Value> {
        grouping.figures.iter().map(|figure| work_out(snapshot, object, group, figure)).collect()
    };
    let cell_of = |group: &Vec<Value>, figure: usize| {
        let of = &grouping.figures[figure];
        Cell::of(&group[figure], of.kind()).key(of.path().field.exact)
    };
    let mut groups: Vec<Vec<Value>> = groups.iter().map(figures).collect();
    if let Some(having) = &grouping.having {
        groups.retain(|group| {
            holds(having, &|figure: &usize| {
                let of = &grouping.figures[*figure];
                (Cell::of(&group[*figure], of.kind()), of.path().field.exact)
            })
        });
    }
    // By their keys, where nothing else is wanted.
    let by_key = |by| Sort { by, descending: false, nulls_last: false };
    let keys: Vec<Sort<usize>> = (0..grouping.keys.len()).map(by_key).collect();
    sort(&mut groups, &keys, |group, figure| cell_of(group, *figure));
    sort(&mut groups, &grouping.order, |group, figure| cell_of(group, *figure));
    let groups: Vec<Vec<Value>> = groups.into_iter().skip(offset).take(limit.unwrap_or(usize::MAX)).collect();
    if groups.len() > PAGE {
        let message = "Aggregate query does not support queryMore(), use LIMIT to restrict the results to a single batch";
        return Err(Fault::new("EXCEEDED_ID_LIMIT", message));
    }
    let shape = |group: Vec<Value>| {
        let mut shaped = Map::new();
        shaped.insert("attributes".to_owned(), json!({"type": "AggregateResult"}));
        for (name, figure) in &grouping.columns {
            shaped.insert(name.clone(), group[*figure].clone());
        }
        Value::Object(shaped)
    };
    Ok(groups.into_iter().map(shape).collect())
}

fn shown(snapshot: &Snapshot, path: &Path, from: Found<'_>) -> Value {
    owner(snapshot, path, from).map_or(Value::Null, |owner| value(snapshot, path, owner))
}

/// What a group is known by: text is one group whatever its case.
fn folded(path: &Path, value: Value) -> Value {
    match value {
        Value::String(text) if !path.field.exact => Value::from(text.to_lowercase()),
        value => value,
    }
}

/// The sum with all its digits, as far as these fit.
fn sum(cells: &[Cell<'_>]) -> String {
    let numbers: Vec<String> = cells
        .iter()
        .filter_map(|cell| match cell {
            Cell::Number(number) => Some(decimal(number).to_string()),
            _ => None,
        })
        .collect();
    let places = numbers.iter().filter_map(|text| Some(text.split_once('.')?.1.len())).max().unwrap_or(0);
    let scaled = |text: &String| -> Option<i128> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        format!("{whole}{fraction:0<places$}").parse().ok()
    };
    match numbers.iter().try_fold(0_i128, |sum, text| sum.checked_add(scaled(text)?)) {
        Some(sum) => format!("{sum}e-{places}"),
        None => numbers.iter().filter_map(|text| text.parse::<f64>().ok()).sum::<f64>().to_string(),
    }
}

fn work_out(snapshot: &Snapshot, object: usize, group: &[&Record], figure: &Figure) -> Value {
    let (function, path) = match figure {
        Figure::Key(path) => {
            return group.first().map_or(Value::Null, |record| shown(snapshot, path, (object, record)));
        }
        Figure::Of(function, path) => (function, path),
    };
    let cells = group.iter().map(|record| cell(snapshot, path, (object, record)));
    let cells: Vec<Cell<'_>> = cells.filter(|cell| !cell.is_null()).collect();
    match function {
        Function::Count => Value::from(cells.len()),
        Function::CountDistinct => {
            let mut keys: Vec<Key> = cells.iter().map(|cell| cell.key(path.field.exact)).collect();
            keys.sort_by(|a, b| a.order(b, false, false));
            keys.dedup_by(|a, b| a.order(b, false, false).is_eq());
            Value::from(keys.len())
        }
        _ if cells.is_empty() => Value::Null,
        Function::Sum => decimal(&sum(&cells)),
        Function::Avg => {
            let sum: f64 = sum(&cells).parse().unwrap_or_default();
            decimal(&(sum / cells.len() as f64).to_string())
        }
        Function::Min | Function::Max => {
            let wanted = |a: &Key, b: &Key| {
                let ordering = a.order(b, false, false);
                if *function == Function::Min { ordering.is_lt() } else { ordering.is_gt() }
            };
            let mut best: Option<(Key, &Record)> = None;
            for record in group {
                let key = cell(snapshot, path, (object, record)).key(path.field.exact);
                let better = best.as_ref().is_none_or(|(so_far, _)| wanted(&key, so_far));
                if !matches!(key, Key::Null) && better {
                    best = Some((key, record));
                }
            }
            best.map_or(Value::Null, |(_, record)| shown(snapshot, path, (object, record)))
        }
    }
}
