//! The report of a demo: the verdict on its ledger, with the engine's own counters beside it.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::postgres::{Error, Store};
use crate::simulator::Org;

use super::DemoReport;
use super::ledger::{Commits, Ledger};
use super::rulebook::Rulebook;
use super::verdict::judge_under;

/// Makes the report of design 8.
pub(super) async fn report(
    store: &Store,
    org: &Org,
    ledger: &Ledger,
    mut rules: Rulebook,
    since: DateTime<Utc>,
    seconds: f64,
    loaded: Duration,
) -> Result<DemoReport, Error> {
    // In this order: what is sent between the two is in both, and not in neither.
    let standing = store.standing().await?;
    let (journal, forgotten) = (org.journal_since(0), org.journal_forgotten());
    let mut ledger = ledger.all();
    add_operators(&mut ledger, store.edits().await?);
    rules.look_at_conditions(store, &ledger).await?;
    let verdict = judge_under(&rules, &ledger, &journal, org, &standing);
    for mapping in &store.overview().await?.mappings {
        store
            .count_rows(&mapping.name, &mapping.table, i64::try_from(org.ids(&mapping.name).len()).ok())
            .await?;
    }
    let overview = store.overview().await?;
    let counters = store.counters().await?;
    let counter = |name: &str| counters.get(name).copied().unwrap_or(0);
    let (codes, categories) = store.error_totals(since).await?;
    let (p50, p99) = store.write_latency(since).await?;
    let retries = store.retries(since).await?;
    let mappings: Vec<Value> = overview
        .mappings
        .iter()
        .map(|mapping| {
            json!({"name": mapping.name, "rows": mapping.rows, "records": mapping.records, "pending": mapping.pending,
                "errors": mapping.errors, "held": mapping.held, "state": mapping.state})
        })
        .collect();
    let sum = |of: fn(&crate::domain::reports::overview::MappingStatus) -> i64| {
        overview.mappings.iter().map(of).sum::<i64>()
    };
    let written = counter("succeeded");
    let document = json!({
        "seconds": round(seconds),
        "mappings": mappings,
        "changes": {"captured": counter("captured"), "sent": counter("sent"), "succeeded": written,
            "failed": sum(|mapping| mapping.errors), "held": sum(|mapping| mapping.held), "lost": verdict.lost.len(),
            "duplicated": verdict.duplicated, "out_of_order": verdict.out_of_order.len()},
        "journal_forgotten": forgotten,
        "kept_by_rules": verdict.by_rule, "lost_keys": verdict.lost, "out_of_order_keys": verdict.out_of_order,
        "errors_by_code": codes, "errors_by_category": categories,
        "retries": {"attempted": retries.0, "succeeded": retries.1},
        "faults": org.fault_counts(),
        "read": {"records": counter("loaded"), "rows_per_second": (counter("loaded") as f64 / loaded.as_secs_f64()).round()},
        "write": {"records": written, "records_per_second": round(written as f64 / seconds),
            "latency_ms": {"p50": p50.round(), "p99": p99.round()}},
    });
    // What the journal forgot cannot be judged.
    let holds = forgotten == 0
        && verdict.lost.is_empty()
        && verdict.duplicated == 0
        && verdict.out_of_order.is_empty();
    Ok(DemoReport { document, holds })
}

/// What operators committed to the application's rows belongs to the ledger as well; the audit has it.
fn add_operators(
    ledger: &mut BTreeMap<String, Commits>,
    edits: Vec<crate::postgres::reports::status::OperatorEdit>,
) {
    for edit in edits {
        let commits = ledger
            .values_mut()
            .find(|commits| (commits.table.as_str(), commits.row) == (&edit.table, edit.row));
        let Some(commits) = commits else { continue };
        commits.deleted = edit.after.is_none() || (commits.deleted && edit.before.is_some());
        let after = edit.after.unwrap_or_default();
        for (field, committed) in &mut commits.fields {
            let column = field.replace('.', "__").to_lowercase();
            if let Some(value) = after.get(&column) {
                committed.push((edit.at, value.clone()));
                commits.by_operators.insert(edit.at);
                committed.sort_by_key(|(at, _)| *at);
            }
        }
    }
}

fn round(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}
