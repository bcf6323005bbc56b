//! Duplicates and orphans, as they stand in PostgreSQL alone.

use std::collections::HashSet;

use crate::domain::mappings::field::FieldType;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::{RowId, RowRef, Sfid};
use crate::domain::records::consistency::shown;
use crate::domain::records::verify::{Finding, FindingKind};
use crate::postgres::tables::verify::Suspect;
use crate::postgres::{self, Store};

/// The other rows of a duplicate that are told.
const TOLD: usize = 5;

/// Duplicates and orphans of a mapping, `limit` of each at most. Reads the whole table some times.
pub(super) async fn suspects(
    store: &Store,
    mapping: &Mapping,
    limit: i64,
) -> Result<HashSet<(FindingKind, Suspect)>, postgres::Error> {
    let mut found = duplicates(store, mapping, None, limit).await?;
    found.extend(orphans(store, mapping, None, limit).await?);
    Ok(found)
}

/// Rows that are the same thing; among `rows` only, where these are given.
pub(super) async fn duplicates(
    store: &Store,
    mapping: &Mapping,
    rows: Option<&[i32]>,
    limit: i64,
) -> Result<HashSet<(FindingKind, Suspect)>, postgres::Error> {
    let mut found = store.duplicates(mapping, rows, limit).await?;
    for by in &mapping.rules.matches {
        found.extend(store.matching(mapping, by, rows, limit).await?);
    }
    Ok(found.into_iter().map(|suspect| (FindingKind::Duplicate, suspect)).collect())
}

/// Rows that name a parent which has no row; of `rows` only, where these are given.
pub(super) async fn orphans(
    store: &Store,
    mapping: &Mapping,
    rows: Option<&[i32]>,
    limit: i64,
) -> Result<HashSet<(FindingKind, Suspect)>, postgres::Error> {
    let mut found: HashSet<(FindingKind, Suspect)> = HashSet::new();
    let mappings = store.definitions().await?;
    let loading = store.loading().await?;
    let of_object = |object: &str| mappings.iter().find(|mapping| mapping.object == object);
    for field in mapping.read_fields() {
        let parents: Vec<(&Mapping, String)> = match mapping.parent(&field.column) {
            Some(parent) => {
                let of = of_object(&parent.object);
                of.map(|of| (of, parent.field.to_lowercase())).into_iter().collect()
            }
            None if field.kind == FieldType::Reference => {
                let targets: Option<Vec<&Mapping>> =
                    field.reference_to.iter().map(|object| of_object(object)).collect();
                // A parent of an object that is not mapped may be anywhere.
                targets.into_iter().flatten().map(|of| (of, "sfid".to_owned())).collect()
            }
            None => continue,
        };
        // A parent that is not read yet is not missing.
        if parents.is_empty() || parents.iter().any(|(of, _)| loading.contains(&of.object)) {
            continue;
        }
        let places: Vec<(&str, &str)> =
            parents.iter().map(|(of, key)| (of.table.as_str(), key.as_str())).collect();
        for orphan in store.orphans(mapping, &field.column, &places, rows, limit).await? {
            if !is_there_in_long(store, &parents, &orphan).await? {
                found.insert((FindingKind::Orphan, orphan));
            }
        }
    }
    Ok(found)
}

/// An application may have written an id in its short form.
async fn is_there_in_long(
    store: &Store,
    parents: &[(&Mapping, String)],
    orphan: &Suspect,
) -> Result<bool, postgres::Error> {
    let written = orphan.values.first().map(String::as_str).unwrap_or_default();
    let long = Sfid::parse(written).map(|sfid| sfid.as_str().to_owned());
    let Some(long) = long.filter(|long| long != written) else { return Ok(false) };
    for (of, _) in parents {
        if store.row_of(of, &long).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A suspect as it is told; masked values are not in it.
pub(super) fn finding(mapping: &Mapping, kind: FindingKind, suspect: &Suspect) -> Finding {
    let name = |column: &String| mapping.field(column).map_or(column.clone(), |field| field.name.clone());
    let names: Vec<String> = suspect.fields.iter().map(name).collect();
    let told = suspect.fields.iter().zip(&names).zip(&suspect.values).map(|((column, name), value)| {
        let masked = mapping.rules.masked(column);
        if masked { name.clone() } else { format!("{name} {}", shown(&Some(value.clone()))) }
    });
    let told = told.collect::<Vec<_>>().join(" and ");
    let text = match (kind, suspect.others.as_slice()) {
        (FindingKind::Duplicate, [other]) => format!("{told}: the row {other} has the same"),
        (FindingKind::Duplicate, others) => {
            let first: Vec<String> = others.iter().take(TOLD).map(ToString::to_string).collect();
            let more = match (others.len() + suspect.more).saturating_sub(TOLD) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("{told}: the rows {}{more} have the same", first.join(", "))
        }
        _ => format!("{told} names what has no row"),
    };
    Finding {
        kind,
        mapping: mapping.object.clone(),
        row: Some(RowRef { table: mapping.table.clone(), row: suspect.row }),
        sfid: suspect.sfid.clone(),
        fields: Vec::new(),
        text,
        at: names,
        others: suspect.others.iter().copied().map(RowId).collect(),
    }
}
