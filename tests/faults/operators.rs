//! Operators who mend at random while everything else goes on: bulk fixes, retries, reverts, ignores and their undoing, writes that rest and drain, reloads, among engines that die, answers that get lost and writers who do not wait.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use syncdeck::client::api::{Client, ErrorQuery};
use syncdeck::client::operations::execute::Targets;
use syncdeck::demo::ledger::Commits;
use syncdeck::domain::operations::operation::{FieldChange, OperationKind};
use syncdeck::domain::reports::overview::Writes;
use syncdeck::postgres::reports::status::OperatorEdit;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::support::{Patience, operator};
use crate::world::{World, span};

/// How much later than an operator's operation a writer may have noted a commit that came before it.
const NOTED: chrono::TimeDelta = chrono::TimeDelta::seconds(10);

/// How many rows each kind of operation changed.
type Done = Arc<Mutex<BTreeMap<&'static str, usize>>>;

/// What must have been done before the test may end.
const KINDS: [&str; 5] = ["fixed", "retried", "reverted", "ignored", "undone"];

/// One who mends.
async fn operate(handle: Client, mut dice: StdRng, done: Done, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let pause = Duration::from_millis(dice.random_range(5..80));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => break,
        }
        let missing =
            KINDS.iter().position(|kind| done.lock().unwrap().get(kind).is_none_or(|count| *count == 0));
        let Some((name, targets, kind)) = decide(&handle, &mut dice, missing).await else { continue };
        // What changed meanwhile, an engine that is away, a row that is gone: told, and nothing half-done.
        let Ok(plan) = handle.plan(&targets, kind).await else { continue };
        let stop_early = CancellationToken::new();
        if dice.random_range(0..20) == 0 {
            stop_early.cancel();
        }
        if let Ok(report) = handle.execute(&plan, None, &|_| {}, &stop_early).await {
            *done.lock().unwrap().entry(name).or_default() += report.done;
        }
    }
}

/// One who lets the writes of mappings rest, drain and go on, and has all records read again.
async fn rest(handle: Client, mut dice: StdRng, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let pause = Duration::from_millis(dice.random_range(50..400));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => {}
        }
        let mapping = ["Account", "Contact"].choose(&mut dice).copied().filter(|_| dice.random());
        // What is so already is refused.
        let _ = match dice.random_range(0..8) {
            0 => handle.writes(mapping, Writes::Pause).await,
            1 | 2 => handle.writes(mapping, Writes::Drain).await,
            3 => handle.reload(mapping).await,
            _ => handle.writes(mapping, Writes::Resume).await,
        };
    }
    handle.writes(None, Writes::Resume).await.unwrap();
}

/// What is done next, and with which errors; every second time the first of [`KINDS`] that was not done yet.
async fn decide(
    handle: &Client,
    dice: &mut StdRng,
    missing: Option<usize>,
) -> Option<(&'static str, Targets, OperationKind)> {
    let all = |filter: &str| Targets::Filter(filter.to_owned());
    let fix = |text: &str| {
        let (field, how) = FieldChange::parse(text).unwrap();
        OperationKind::Fix { field, how, retry: true }
    };
    let page = handle.errors(&ErrorQuery { limit: 100, ..ErrorQuery::default() }).await.ok()?;
    let ids: Vec<i64> = page.items.iter().map(|error| error.id).collect();
    let some: Vec<i64> = ids.sample(dice, 5).copied().collect();
    let any = dice.random_range(0..12);
    // A die of each kind.
    let wanted = missing.filter(|_| dice.random::<bool>()).map(|kind| [0, 4, 7, 6, 11][kind]);
    Some(match wanted.unwrap_or(any) {
        0..3 => ("fixed", all("field:email"), fix("Email | replace(\" at acme\", \"@acme.com\")")),
        3 => ("cleared", Targets::Ids(some), fix("Email=")),
        4..6 => ("retried", Targets::Ids(some), OperationKind::Retry),
        6 => ("ignored", Targets::Ids(some), OperationKind::Ignore),
        7..9 => ("reverted", Targets::Ids(some), OperationKind::Revert),
        9 => ("released", all("state:review"), OperationKind::Release),
        _ => (
            "undone",
            Targets::Ids(Vec::new()),
            OperationKind::Undo(handle.last_operation().await.ok()?.operation),
        ),
    })
}

impl World {
    /// What the application and the operators committed, by key. A writer notes a commit a moment after it: where an
    /// operator's value is as old as that, either order is right.
    pub async fn ledger(&mut self) -> BTreeMap<String, Commits> {
        let mut ledger = self.application.ledger.all();
        let keys: HashMap<(String, i32), String> =
            ledger.iter().map(|(key, commits)| ((commits.table.clone(), commits.row), key.clone())).collect();
        for edit in self.store.edits().await.unwrap() {
            let Some(key) = keys.get(&(edit.table.clone(), edit.row)) else { continue };
            if let Some(commits) = ledger.get_mut(key) {
                join(commits, &edit);
            }
        }
        ledger
    }

    /// The rows that operators changed.
    pub async fn mended(&self) -> HashMap<(String, i32), Vec<OperatorEdit>> {
        let mut mended: HashMap<(String, i32), Vec<OperatorEdit>> = HashMap::new();
        for edit in self.store.edits().await.unwrap() {
            mended.entry((edit.table.clone(), edit.row)).or_default().push(edit);
        }
        mended
    }

    /// Of rows that operators changed, each holds what somebody committed last: both sides agree by then.
    pub async fn operators_took_nothing_away(&mut self) {
        let mended = self.mended().await;
        for (key, commits) in self.ledger().await {
            let of = (commits.table.clone(), commits.row);
            let Some(edits) = mended.get(&of) else { continue };
            // Writers go on with rows that an operator removed, and note what they did to none.
            if commits.deleted || edits.iter().any(|edit| edit.before.is_none() || edit.after.is_none()) {
                continue;
            }
            let sql = format!("SELECT to_jsonb(t)::text FROM salesforce.{} t WHERE id = {}", of.0, of.1);
            let Some(row) = self.text(&sql).await else { continue };
            let row: Value = serde_json::from_str(&row).unwrap();
            for (field, values) in &commits.fields {
                let last = values.iter().map(|(at, _)| *at).max().unwrap_or_default();
                let latest = values.iter().filter(|(at, _)| *at >= last - NOTED).map(|(_, value)| value);
                let held = &row[field.to_lowercase()];
                let holds = latest.clone().any(|value| syncdeck::demo::verdict::same(held, value));
                assert!(
                    holds,
                    "FAULT_SEED={}: {key} {field} is {held}, committed last were {:?}",
                    self.seed,
                    latest.collect::<Vec<_>>()
                );
            }
        }
    }
}

/// Joins what an operator did to a row's commits.
fn join(commits: &mut Commits, edit: &OperatorEdit) {
    for (field, committed) in &mut commits.fields {
        let column = field.to_lowercase();
        let Some(value) = edit.after.as_ref().and_then(|after| after.get(&column)) else { continue };
        committed.push((edit.at, value.clone()));
        if committed.iter().any(|(at, _)| *at > edit.at && *at < edit.at + NOTED) {
            committed.push((edit.at + NOTED, value.clone()));
        }
        committed.sort_by_key(|(at, _)| *at);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_who_mend_at_random_lose_and_double_nothing() {
    let mut world = World::new("operators at random").await;
    world.start_engine("");
    world.start_engine("");
    world.until_loaded().await;
    world.application.start(3, world.seed, Duration::from_millis(15));
    let stop = CancellationToken::new();
    let (mut people, done) = (Vec::new(), Done::default());
    for (number, name) in [(0, "one@here"), (1, "two@there")] {
        let handle = Client::new(world.store.clone(), operator(name));
        let dice = StdRng::seed_from_u64(world.seed ^ number);
        people.push(tokio::spawn(operate(handle, dice, done.clone(), stop.clone())));
    }
    let handle = Client::new(world.store.clone(), operator("three@home"));
    people.push(tokio::spawn(rest(handle, StdRng::seed_from_u64(world.seed ^ 2), stop.clone())));
    let begin = Instant::now();
    let all_done = || KINDS.iter().all(|kind| done.lock().unwrap().get(kind).is_some_and(|count| *count > 0));
    let mut patience = Patience::new();
    while begin.elapsed() < span(6.0) || (!all_done() && !patience.is_over()) {
        patience.sees(world.org.journal_end());
        world.random_pause(Duration::from_millis(400)).await;
        // What is only waited for then is not disturbed any more.
        let troubles = if begin.elapsed() < span(6.0) { 8 } else { 1 };
        match 7 - world.dice.random_range(0..troubles) {
            0 => world.kill_and_restart(0),
            1 => world.kill_and_restart(1),
            2 => world.org.change_faults(|faults| faults.lose_answer = 1),
            3 => world.org.change_faults(|faults| faults.server_error = 1),
            4 => world.org.change_faults(|faults| faults.row_lock = 0.2),
            5 => world.org.change_faults(|faults| (faults.row_lock, faults.latency_ms) = (0.0, 30)),
            6 => {
                let id = world.org.ids("Contact").choose(&mut world.dice).cloned();
                if let Some(id) = id {
                    let name = format!("user-{}", world.dice.random::<u32>());
                    world.user_writes("Contact", &id, "Title", name.into());
                }
            }
            _ => {}
        }
    }
    stop.cancel();
    for person in people {
        person.await.unwrap();
    }
    assert!(all_done(), "FAULT_SEED={}: not everything was done: {:?}", world.seed, done.lock().unwrap());
    world.judge().await;
    world.operators_took_nothing_away().await;
    let exact = "SELECT ((SELECT coalesce(sum(n), 0) FROM syncdeck.count WHERE subject = 'error')
             = (SELECT count(*) FROM syncdeck.error WHERE resolved_at IS NULL AND state NOT IN ('held', 'ignored'))
         AND (SELECT coalesce(sum(n), 0) FROM syncdeck.count WHERE subject <> 'error')
             = (SELECT count(*) FROM syncdeck.unit WHERE state IN ('ready', 'inflight', 'stopped', 'held')))::text";
    assert_eq!(world.text(exact).await.as_deref(), Some("true"), "FAULT_SEED={}", world.seed);
}
