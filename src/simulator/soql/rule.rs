//! The condition of a rule of the org: what stands behind WHERE, asked of one record that is not saved yet.

use super::ast::Query;
use super::bind::bind_condition;
use super::cells::{cell, holds};
use super::fault::Fault;
use super::parser::parse;
use super::plan::Path;
use crate::simulator::records::Record;
use crate::simulator::tables::Snapshot;

/// Reads a condition on the records of an object.
///
/// # Errors
/// Where it is none.
pub(in crate::simulator) fn condition(object: &str, text: &str) -> Result<Query, Fault> {
    let query = parse(&format!("SELECT Id FROM {object} WHERE {text}"))?;
    let has_more =
        !query.groups.is_empty() || !query.order.is_empty() || query.limit.or(query.offset).is_some();
    match has_more {
        true => Err(Fault::malformed("GROUP BY, ORDER BY, LIMIT and OFFSET are no part of a condition")),
        false => Ok(query),
    }
}

/// Whether a condition means something.
///
/// # Errors
/// What the org has not.
pub(in crate::simulator) fn check_condition(condition: &Query, snapshot: &Snapshot) -> Result<(), Fault> {
    bind_condition(condition, snapshot).map(drop)
}

/// Whether a condition holds for a record, which need not be one of those that there are.
///
/// # Errors
/// What the org has no more.
pub(in crate::simulator) fn holds_for(
    condition: &Query,
    snapshot: &Snapshot,
    record: &Record,
) -> Result<bool, Fault> {
    let (object, test) = bind_condition(condition, snapshot)?;
    Ok(holds(&test, &|path: &Path| (cell(snapshot, path, (object, record)), path.field.exact)))
}
