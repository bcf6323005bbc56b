//! What cannot be sent yet, or not beside another row: children whose parent is not in Salesforce, rows whose key
//! still belongs to a row that leaves, and rows that share a key. Rows that name themselves, or wait for each other in a
//! circle, begin without that reference and get it once their record is there.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::json;

use crate::domain::changes::dispatch::{Call, Claimed, Job};
use crate::domain::errors::sync_error::{ErrorSource, NOWHERE};
use crate::domain::mappings::field::Field;
use crate::domain::mappings::mapping::{Access, Mapping, Parent};
use crate::domain::mappings::rules::MASK;
use crate::domain::mappings::strategy::Strategy;
use crate::domain::names::{RowId, RowRef};
use crate::domain::values::key::{self, Key};
use crate::postgres::Error;
use crate::postgres::changes::keys::KeyHolder;
use crate::postgres::changes::queue::{Ack, Awaited, UnitOutcome};

use super::acknowledge::{ack, failure, refused, release};
use super::claim::Claim;
use super::turn;
use crate::engine::Shared;

/// Why a job does not go out now.
struct Obstacle {
    code: &'static str,
    message: String,
    /// The row it waits for; without, it waits for a person.
    waits_for: Option<RowRef>,
    /// The column of the reference, where it is one.
    column: Option<String>,
}

/// How long a delete rests for which changes of its children are with Salesforce, unless their job ends before.
const CHILDREN_PAUSE: Duration = Duration::from_secs(10);

/// The tables whose rows may name records of a mapping's object.
pub(in crate::engine) fn naming(mappings: &[Mapping], mapping: &Mapping) -> Vec<String> {
    let names_it = |other: &&Mapping| {
        let looks_up = other.fields.iter().any(|field| field.reference_to.contains(&mapping.object));
        looks_up || other.parents.iter().any(|parent| parent.object == mapping.object)
    };
    mappings.iter().filter(names_it).map(|other| other.table.clone()).collect()
}

/// The mappings whose records the rows of a table may name, with its own where they may name each other.
pub(in crate::engine) fn named_by<'a>(
    mappings: &'a [Mapping],
    table: &str,
) -> impl Iterator<Item = &'a Mapping> {
    mappings.iter().filter(move |of| naming(mappings, of).iter().any(|naming| naming == table))
}

/// Deletes were given back that wait for jobs: none waits for one that ended before it was there.
async fn wake_if_over(shared: &Shared, mapping: &Mapping) -> Result<(), Error> {
    let children = naming(&shared.mappings(), mapping);
    if !shared.store.has_write_job(&children).await? {
        shared.store.ready_now(&[mapping.table.as_str()]).await?;
    }
    Ok(())
}

/// Deletes that wait for changes of rows that may name their records.
#[derive(Default)]
struct EarlyDeletes {
    units: Vec<Claimed>,
    /// Whether some of those changes are with Salesforce in a job of Bulk API 2.0.
    for_job: bool,
}

/// Gives deletes back before which changes of rows that may name their records are still to be sent: those that came before
/// them and are ready, rest for a moment, or are with Salesforce. Before those, a delete would take the rows' records along,
/// or be refused. What came after it keeps no delete waiting, however much that is. Returns the jobs that go.
pub(in crate::engine) async fn after_children(
    shared: &Shared,
    claim: &Claim,
    mapping: &Mapping,
    jobs: Vec<Job>,
) -> Result<Vec<Job>, Error> {
    let (jobs, early) = split_early(shared, claim, mapping, jobs).await?;
    let EarlyDeletes { units, for_job } = early;
    if units.is_empty() {
        return Ok(jobs);
    }
    if shared.bulk_writes.is_news(&mapping.table) {
        let what = if for_job { "a job of Bulk API 2.0 with rows" } else { "earlier changes of rows" };
        shared.log.of("writer").info(
            format!("{} deletes wait for {what} that may name them", units.len()),
            json!({"mapping": mapping.object}),
        );
    }
    release(shared, claim, units, if for_job { CHILDREN_PAUSE } else { turn::PAUSE }).await?;
    if for_job {
        wake_if_over(shared, mapping).await?;
    }
    Ok(jobs)
}

async fn split_early(
    shared: &Shared,
    claim: &Claim,
    mapping: &Mapping,
    jobs: Vec<Job>,
) -> Result<(Vec<Job>, EarlyDeletes), Error> {
    let deletes = jobs.iter().filter(|job| job.call == Call::Delete);
    let Some(last) = deletes.map(|job| job.upto).max() else { return Ok((jobs, EarlyDeletes::default())) };
    let mappings = shared.mappings();
    let children = naming(&mappings, mapping);
    if children.is_empty() {
        return Ok((jobs, EarlyDeletes::default()));
    }
    // What is not sent for long, or waits for its own turn, keeps nobody waiting.
    let goes = |of: &&Mapping| {
        children.contains(&of.table)
            && of.access != Access::ReadOnly
            && of.rules.strategy != Strategy::FailFast
            && !of.gone
            && !shared.guard.is_unfit(&of.table)
            && !shared.writes_are_off(&of.table)
    };
    let sent: Vec<&str> = mappings.iter().filter(goes).map(|of| of.table.as_str()).collect();
    let Some(earliest) = shared.store.earliest_change(&children, &sent, last, &claim.token).await? else {
        return Ok((jobs, EarlyDeletes::default()));
    };
    let for_job = shared.store.has_write_job(&children).await?;
    let is_early = |job: &Job| job.call == Call::Delete && job.upto > earliest;
    let (early, others): (Vec<Job>, Vec<Job>) = jobs.into_iter().partition(is_early);
    Ok((others, EarlyDeletes { units: early.into_iter().map(|job| job.unit).collect(), for_job }))
}

/// Parts the jobs of one mapping into those that go and the acknowledgements of those that do not.
pub(in crate::engine) async fn hold(
    shared: &Shared,
    mapping: &Mapping,
    jobs: Vec<Job>,
) -> Result<(Vec<Job>, Vec<Ack>), Error> {
    let mut obstacles = missing_parents(shared, mapping, &jobs).await?;
    let circular = circular(shared, mapping, &jobs, &mut obstacles).await?;
    for (row, obstacle) in keys_in_use(shared, mapping, &jobs).await? {
        obstacles.entry(row).or_default().insert(0, obstacle);
    }
    let mut free = Vec::new();
    let mut acks = Vec::new();
    for mut job in jobs {
        for column in circular.get(&job.unit.row).into_iter().flatten() {
            job.patch.remove(column);
            job.begins = true;
        }
        let Some(obstacle) = obstacles.remove(&job.unit.row).and_then(|all| all.into_iter().next()) else {
            free.push(job);
            continue;
        };
        let mut message = obstacle.message;
        if let Some(row) = &obstacle.waits_for
            && let Some(error) = shared.store.error_of(row).await?
        {
            message += &format!(", which failed: {}", error.code);
        }
        let error =
            Box::new(failure(mapping, &job, ErrorSource::Engine, obstacle.code, &message, Vec::new()));
        let outcome = match obstacle.waits_for {
            Some(row) => UnitOutcome::Held { error, awaited: Awaited::Row(row) },
            None => refused(mapping, *error),
        };
        acks.push(ack(job, None, outcome));
    }
    Ok((free, acks))
}

/// A child that Salesforce refused because it does not know the parent either, whose table is mapped here, is held for
/// the row that is still to come. Any other outcome stays what it is.
pub(in crate::engine) fn orphan(
    shared: &Shared,
    mapping: &Mapping,
    job: &Job,
    outcome: UnitOutcome,
) -> UnitOutcome {
    let UnitOutcome::Rejected { error, .. } = &outcome else { return outcome };
    if error.code != "INVALID_FIELD" || !error.message.contains("Foreign key external ID") {
        return outcome;
    }
    let mappings = shared.mappings();
    let parent = mapping.parents.iter().find_map(|parent| {
        let of = mappings.iter().find(|other| other.object == parent.object)?;
        let key = Key::of(key_field(mapping, of, parent)?, job.patch.get(&parent.column)?.as_ref()?)?;
        // A masked key is in no message any more, and is shown nowhere.
        let masked = mapping.rules.masked(&parent.column);
        let named = masked || error.message.to_lowercase().contains(&key.folded.to_lowercase());
        let text = if masked { MASK.to_owned() } else { key.text };
        named.then_some((of, Key { text, folded: key.folded }))
    });
    let Some((of, key)) = parent else { return outcome };
    let message = format!("waits for {} {}, which is {NOWHERE}", of.object, key.text);
    let error =
        Box::new(failure(mapping, job, ErrorSource::Engine, "PARENT_NOT_SYNCED", &message, Vec::new()));
    UnitOutcome::Held { error, awaited: Awaited::Key { table: of.table.clone(), key } }
}

/// The field by whose values a column of a child names its parents.
fn key_field<'a>(mapping: &'a Mapping, of: &'a Mapping, parent: &Parent) -> Option<&'a Field> {
    of.field(&parent.field.to_lowercase()).or_else(|| mapping.field(&parent.column))
}

/// The keys that acknowledged units wait for.
pub(in crate::engine) fn awaited_keys(acks: &[Ack]) -> Vec<(String, String)> {
    let key = |ack: &Ack| match &ack.outcome {
        UnitOutcome::Held { awaited: Awaited::Key { table, key }, .. } => {
            Some((table.clone(), key.folded.clone()))
        }
        _ => None,
    };
    acks.iter().filter_map(key).collect()
}

/// Wakes those whose parent arrived between Salesforce's answer and their hold, and whose word they missed.
pub(in crate::engine) async fn wake_if_there(
    shared: &Shared,
    mapping: &Mapping,
    awaited: Vec<(String, String)>,
) -> Result<(), Error> {
    let mappings = shared.mappings();
    for parent in &mapping.parents {
        let Some(of) = mappings.iter().find(|other| other.object == parent.object) else { continue };
        let keys = awaited.iter().filter(|(table, _)| *table == of.table).map(|(_, key)| key.clone());
        let keys: Vec<String> = keys.collect();
        if keys.is_empty() {
            continue;
        }
        let known = shared.store.parents(of, &parent.field.to_lowercase(), &keys).await?;
        let there = known.iter().filter(|(_, (_, synced))| *synced);
        let there: Vec<&str> = there.map(|(key, _)| key.as_str()).collect();
        shared.store.wake_for_keys(&of.table, &there).await?;
    }
    Ok(())
}

/// Children whose column names a parent row that Salesforce does not have yet. A parent that has no row here may
/// well be in Salesforce: it is asked.
async fn missing_parents(
    shared: &Shared,
    mapping: &Mapping,
    jobs: &[Job],
) -> Result<HashMap<RowId, Vec<Obstacle>>, Error> {
    let mut obstacles: HashMap<RowId, Vec<Obstacle>> = HashMap::new();
    let mappings = shared.mappings();
    for parent in &mapping.parents {
        let Some(of) = mappings.iter().find(|other| other.object == parent.object) else { continue };
        let named = |job: &Job| job.patch.get(&parent.column).cloned().flatten();
        let keys: Vec<String> = jobs.iter().filter_map(named).collect();
        if keys.is_empty() {
            continue;
        }
        let known = shared.store.parents(of, &parent.field.to_lowercase(), &keys).await?;
        for job in jobs {
            let Some(key) = named(job) else { continue };
            let folded = key_field(mapping, of, parent).and_then(|field| key::fold(field, &key));
            let Some((row, false)) = folded.and_then(|key| known.get(&key)) else { continue };
            obstacles.entry(job.unit.row).or_default().push(Obstacle {
                code: "PARENT_NOT_SYNCED",
                message: format!("waits for {} {row} ({key})", of.object),
                waits_for: Some(RowRef { table: of.table.clone(), row: *row }),
                column: Some(parent.column.clone()),
            });
        }
    }
    Ok(obstacles)
}

/// How far a chain of waiting rows is followed.
const CHAIN: usize = 100;

/// Takes the obstacles away that would never go by themselves: of new rows that name themselves, or whose parent waits
/// for them in turn. Returns the columns of those references by row. A reference that Salesforce requires, or that
/// cannot be set later, stays an obstacle.
async fn circular(
    shared: &Shared,
    mapping: &Mapping,
    jobs: &[Job],
    obstacles: &mut HashMap<RowId, Vec<Obstacle>>,
) -> Result<HashMap<RowId, Vec<String>>, Error> {
    let mut columns: HashMap<RowId, Vec<String>> = HashMap::new();
    for job in jobs.iter().filter(|job| job.sfid.is_none()) {
        let own = job.unit.row();
        let references = obstacles.get(&own.row).into_iter().flatten();
        let references: Vec<(RowRef, String)> =
            references.filter_map(|of| Some((of.waits_for.clone()?, of.column.clone()?))).collect();
        for (first, column) in references {
            let can_follow = mapping.field(&column).is_some_and(|field| field.nillable && field.updateable);
            if can_follow && comes_back(shared, mapping, obstacles, &own, first).await? {
                if let Some(of_row) = obstacles.get_mut(&own.row) {
                    of_row.retain(|obstacle| obstacle.column.as_ref() != Some(&column));
                }
                columns.entry(own.row).or_default().push(column);
            }
        }
    }
    obstacles.retain(|_, of_row| !of_row.is_empty());
    Ok(columns)
}

/// Whether the chain of waiting rows that begins with `at` ends where it began, at `own`.
async fn comes_back(
    shared: &Shared,
    mapping: &Mapping,
    obstacles: &HashMap<RowId, Vec<Obstacle>>,
    own: &RowRef,
    mut at: RowRef,
) -> Result<bool, Error> {
    for _ in 0..CHAIN {
        if at == *own {
            return Ok(true);
        }
        // Those of this very batch are not held yet.
        let here = obstacles.get(&at.row).filter(|_| at.table == mapping.table);
        let next = match here {
            Some(of_row) => of_row.iter().find_map(|obstacle| obstacle.waits_for.clone()),
            None => shared.store.held_for(&at).await?,
        };
        match next {
            Some(next) => at = next,
            None => return Ok(false),
        }
    }
    Ok(false)
}

/// New records whose external id is not theirs alone. While a row that leaves still has it in Salesforce, an upsert
/// would take that row's record, which its delete then removes.
async fn keys_in_use(
    shared: &Shared,
    mapping: &Mapping,
    jobs: &[Job],
) -> Result<HashMap<RowId, Obstacle>, Error> {
    let (Some(column), Some(field)) = (mapping.external_id_column(), &mapping.external_id) else {
        return Ok(HashMap::new());
    };
    let new = jobs.iter().filter(|job| job.call == Call::Upsert);
    let keys: Vec<(RowId, &Key)> = new.filter_map(|job| Some((job.unit.row, job.key.as_ref()?))).collect();
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let obstacle = |(row, key, holder): (RowId, String, KeyHolder)| {
        let obstacle = match holder {
            KeyHolder::Leaving(other) => Obstacle {
                code: "KEY_IN_USE",
                message: format!(
                    "waits for the change of {} {other}, which gives {field} {key} up",
                    mapping.object
                ),
                waits_for: Some(RowRef { table: mapping.table.clone(), row: other }),
                column: None,
            },
            KeyHolder::Row(other, of_other) => Obstacle {
                code: "DUPLICATE_EXTERNAL_ID",
                message: match of_other == key {
                    true => format!(
                        "{field} {key} is that of the row {other}: both would be one record in Salesforce"
                    ),
                    // What differs may be blanks, which quotes show.
                    false => format!(
                        "{field} {key:?} is that of the row {other}, {of_other:?}: both would be one record in Salesforce"
                    ),
                },
                waits_for: None,
                column: None,
            },
        };
        (row, obstacle)
    };
    let holders = shared.store.key_holders(mapping, &column, &keys).await?;
    Ok(holders.into_iter().map(obstacle).collect())
}
