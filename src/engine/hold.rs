//! What cannot be sent yet, or not beside another row: children whose parent is not in Salesforce, rows whose key
//! still belongs to a row that leaves, and rows that share a key.

use std::collections::HashMap;

use crate::domain::catalogue::Source;
use crate::domain::mapping::Mapping;
use crate::domain::names::{RowId, RowRef};
use crate::postgres::Error;
use crate::postgres::queue::{Ack, Awaited, KeyHolder, Outcome};

use super::Shared;
use super::batch::{Call, Job};
use super::send::{ack, failure};

/// Why a job does not go out now.
struct Obstacle {
    code: &'static str,
    message: String,
    /// The row it waits for; without, it waits for a person.
    waits_for: Option<RowRef>,
}

/// Parts the jobs of one mapping into those that go and the acknowledgements of those that do not.
pub(super) async fn hold(
    shared: &Shared,
    mapping: &Mapping,
    jobs: Vec<Job>,
) -> Result<(Vec<Job>, Vec<Ack>), Error> {
    let mut obstacles = keys_in_use(shared, mapping, &jobs).await?;
    obstacles.extend(missing_parents(shared, mapping, &jobs).await?);
    let mut free = Vec::new();
    let mut acks = Vec::new();
    for job in jobs {
        let Some(obstacle) = obstacles.remove(&job.unit.row) else {
            free.push(job);
            continue;
        };
        let mut message = obstacle.message;
        if let Some(row) = &obstacle.waits_for
            && let Some(error) = shared.store.error_of(row).await?
        {
            message += &format!(", which failed: {}", error.code);
        }
        let error = Box::new(failure(mapping, &job, Source::Engine, obstacle.code, &message, Vec::new()));
        let outcome = match obstacle.waits_for {
            Some(row) => Outcome::Held { error, awaited: Awaited::Row(row) },
            None => super::send::refused(mapping, *error),
        };
        acks.push(ack(job, None, outcome));
    }
    Ok((free, acks))
}

/// A child that Salesforce refused because it does not know the parent either, whose table is mapped here, is held for
/// the row that is still to come. Any other outcome stays what it is.
pub(super) fn orphan(shared: &Shared, mapping: &Mapping, job: &Job, outcome: Outcome) -> Outcome {
    let Outcome::Rejected { error, .. } = &outcome else { return outcome };
    if error.code != "INVALID_FIELD" || !error.message.contains("Foreign key external ID") {
        return outcome;
    }
    let mappings = shared.mappings();
    let parent = mapping.parents.iter().find_map(|parent| {
        let key = job.patch.get(&parent.column).cloned().flatten()?;
        let of = mappings.iter().find(|other| other.object == parent.object)?;
        error.message.to_lowercase().contains(&key.to_lowercase()).then_some((of, key))
    });
    let Some((of, key)) = parent else { return outcome };
    let message = format!("waits for {} {key}, which is neither here nor in Salesforce", of.object);
    let error = Box::new(failure(mapping, job, Source::Engine, "PARENT_NOT_SYNCED", &message, Vec::new()));
    Outcome::Held { error, awaited: Awaited::Key { table: of.table.clone(), key } }
}

/// The keys that acknowledged units wait for.
pub(super) fn awaited_keys(acks: &[Ack]) -> Vec<(String, String)> {
    let key = |ack: &Ack| match &ack.outcome {
        Outcome::Held { awaited: Awaited::Key { table, key }, .. } => Some((table.clone(), key.clone())),
        _ => None,
    };
    acks.iter().filter_map(key).collect()
}

/// Wakes those whose parent arrived between Salesforce's answer and their hold, and whose word they missed.
pub(super) async fn wake_if_there(
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
) -> Result<HashMap<RowId, Obstacle>, Error> {
    let mut obstacles = HashMap::new();
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
            let Some((row, false)) = known.get(&key) else { continue };
            if of.table == mapping.table && *row == job.unit.row {
                continue;
            }
            obstacles.insert(
                job.unit.row,
                Obstacle {
                    code: "PARENT_NOT_SYNCED",
                    message: format!("waits for {} {row} ({key})", of.object),
                    waits_for: Some(RowRef { table: of.table.clone(), row: *row }),
                },
            );
        }
    }
    Ok(obstacles)
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
    let keys: Vec<(RowId, String)> = new.filter_map(|job| Some((job.unit.row, job.key.clone()?))).collect();
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
            },
            KeyHolder::Row(other) => Obstacle {
                code: "DUPLICATE_EXTERNAL_ID",
                message: format!(
                    "{field} {key} is that of the row {other}: both would be one record in Salesforce"
                ),
                waits_for: None,
            },
        };
        (row, obstacle)
    };
    let holders = shared.store.key_holders(mapping, &column, &keys).await?;
    Ok(holders.into_iter().map(obstacle).collect())
}
