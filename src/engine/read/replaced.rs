//! Values read from Salesforce that PostgreSQL cannot hold as they are: half of a character, a NUL. They are kept with
//! U+FFFD in that place, and it is told of which record and field, once.

use std::collections::HashSet;
use std::sync::Mutex;

use serde_json::json;

use crate::domain::mappings::mapping::Mapping;
use crate::salesforce::query::Replaced;

use crate::engine::Shared;

/// How many are remembered; beyond, they are counted only.
const REMEMBERED: usize = 10_000;

/// What was told already.
#[derive(Default)]
pub(in crate::engine) struct Reported(Mutex<HashSet<Replaced>>);

/// Tells of values that were not told yet.
pub(in crate::engine) fn tell(shared: &Shared, mapping: &Mapping, found: &[Replaced]) {
    let log = shared.log.of("reader");
    let mut untold = 0;
    for value in found {
        let Ok(mut told) = shared.replaced.0.lock() else { return };
        if told.contains(value) {
            continue;
        }
        if told.len() >= REMEMBERED {
            untold += 1;
            continue;
        }
        told.insert(value.clone());
        log.warn(
            format!(
                "{} {}: {} holds what is no text; it is kept with U+FFFD in its place. Write the value in Salesforce anew",
                mapping.object, value.id, value.field
            ),
            json!({"mapping": mapping.object, "sfid": value.id, "field": value.field}),
        );
    }
    if untold > 0 {
        log.warn(
            format!("{}: {untold} more values hold what is no text", mapping.object),
            json!({"mapping": mapping.object, "count": untold}),
        );
    }
}
