//! Which jobs go together in a call. Pure.

use std::collections::BTreeMap;

use crate::domain::changes::dispatch::{Call, Claimed, Job};
use crate::domain::mappings::field::Field;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::mappings::strategy::Strategy;
use crate::domain::values::hstore::Hstore;
use crate::salesforce::collections::MAX_RECORDS;

/// The most bytes of JSON in one call, but for one record that has more by itself. Salesforce takes 50 MB.
const CALL_BYTES: usize = 8 << 20;

/// Puts jobs of one mapping into calls: of one kind, no external id twice in a call, of bounded length, and smaller the
/// more often a record lost its answer or was rejected for a passing reason, down to one.
pub(in crate::engine) fn calls(mapping: &Mapping, mut jobs: Vec<Job>) -> Vec<Vec<Job>> {
    if mapping.rules.strategy == Strategy::FailFast {
        return calls_in_order(mapping, jobs);
    }
    // Children of one parent side by side: in two calls at once they would wait for each other's lock on it.
    let lookups: Vec<&Field> = mapping.fields.iter().filter(|field| !field.reference_to.is_empty()).collect();
    let parents =
        lookups.iter().map(|field| &field.column).chain(mapping.parents.iter().map(|parent| &parent.column));
    let parents: Vec<&String> = parents.collect();
    jobs.sort_by_cached_key(|job| {
        parents.iter().map(|column| job.patch.get(*column).cloned().flatten()).collect::<Vec<_>>()
    });
    let mut groups: BTreeMap<(Call, usize), Vec<Weighed>> = BTreeMap::new();
    for job in jobs {
        let size = call_size(&job.unit, mapping.rules.batch_size);
        let bytes = json_bytes(&job.patch);
        let group = groups.entry((job.call, size)).or_default();
        let fits = |(held, call): &Weighed| {
            call.len() < size
                && held + bytes <= CALL_BYTES
                && (job.key.is_none() || call.iter().all(|other| other.key != job.key))
        };
        // The last call takes it, unless full or holding its key; then a new one begins.
        match group.last_mut().filter(|last| fits(last)) {
            Some((held, call)) => {
                *held += bytes;
                call.push(job);
            }
            None => group.push((bytes, vec![job])),
        }
    }
    groups.into_values().flatten().map(|(_, call)| call).collect()
}

/// The jobs of a call, and how many bytes they are.
type Weighed = (usize, Vec<Job>);

/// How long a record is as JSON, roughly: with its names, and with what is escaped.
fn json_bytes(patch: &Hstore) -> usize {
    let escaped = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
        ..b' ' => 6,
        _ => 1,
    };
    let value = |text: &Option<String>| text.iter().flat_map(|text| text.bytes()).map(escaped).sum::<usize>();
    patch.iter().map(|(column, text)| column.len() + value(text) + 8).sum()
}

/// The same in the order in which the records changed: where the first error stops the rest, nothing that came later may
/// have gone before it.
fn calls_in_order(mapping: &Mapping, mut jobs: Vec<Job>) -> Vec<Vec<Job>> {
    jobs.sort_by_key(|job| job.first);
    let mut calls: Vec<Vec<Job>> = Vec::new();
    let most = mapping.rules.batch_size;
    for job in jobs {
        let fits = |call: &Vec<Job>| {
            let all = call.iter().chain([&job]);
            let size = all.map(|one| call_size(&one.unit, most)).min().unwrap_or(most);
            call.len() < size
                && call[0].call == job.call
                && (job.key.is_none() || call.iter().all(|other| other.key != job.key))
        };
        match calls.last_mut().filter(|call| fits(call)) {
            Some(call) => call.push(job),
            None => calls.push(vec![job]),
        }
    }
    calls
}

/// Halved with each lost answer, quartered with each rejection that may pass.
fn call_size(unit: &Claimed, most: usize) -> usize {
    let shift = unit.lost.max(0) as u32 + 2 * unit.attempts.max(0) as u32;
    most.min(MAX_RECORDS).checked_shr(shift).unwrap_or(0).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::changes::coalesce::WriteKind;
    use crate::domain::changes::dispatch::plan;
    use crate::domain::changes::dispatch::samples::{content, job, mapping, unit};

    #[test]
    fn where_the_first_error_stops_the_rest_calls_go_in_the_order_of_the_changes() {
        let mut own = mapping(Some("Key__c"));
        own.rules.set("strategy", "fail_fast").unwrap();
        let of = |row: i32, id, sfid: Option<&str>| {
            let action = if sfid.is_some() { WriteKind::Update } else { WriteKind::Insert };
            let key = format!("K{row}");
            let mut content = content(action, &[("lastname", "A"), ("key__c", &key)], sfid);
            content.entries[0].id = id;
            job(plan(&own, &unit(row), &content))
        };
        let jobs = vec![of(4, 9, None), of(3, 7, Some("003")), of(2, 6, None), of(1, 5, None)];
        let rows = calls(&own, jobs);
        let rows: Vec<Vec<i32>> =
            rows.iter().map(|call| call.iter().map(|job| job.unit.row.0).collect()).collect();
        assert_eq!(rows, [vec![1, 2], vec![3], vec![4]]);
    }

    #[test]
    fn two_rows_with_one_key_never_share_a_call_and_troubled_ones_go_in_small_calls() {
        let same = |row| {
            job(plan(
                &mapping(Some("Key__c")),
                &unit(row),
                &content(WriteKind::Insert, &[("key__c", "K")], None),
            ))
        };
        assert_eq!(calls(&mapping(Some("Key__c")), vec![same(1), same(2)]).len(), 2);
        let padded = content(WriteKind::Insert, &[("key__c", "k ")], None);
        let padded = job(plan(&mapping(Some("Key__c")), &unit(3), &padded));
        assert_eq!(calls(&mapping(Some("Key__c")), vec![same(1), padded]).len(), 2);
        let mut many: Vec<Job> = (0..500)
            .map(|row| {
                job(plan(&mapping(None), &unit(row), &content(WriteKind::Insert, &[("lastname", "A")], None)))
            })
            .collect();
        assert_eq!(
            calls(&mapping(None), many.clone()).iter().map(Vec::len).collect::<Vec<_>>(),
            [200, 200, 100]
        );
        for job in &mut many {
            job.unit.lost = 8;
        }
        assert_eq!(calls(&mapping(None), many).len(), 500);
    }

    #[test]
    fn calls_are_bounded_by_their_bytes_and_a_record_beyond_that_goes_alone() {
        let sized = |row, text: &str| {
            job(plan(&mapping(None), &unit(row), &content(WriteKind::Insert, &[("lastname", text)], None)))
        };
        let mb = "x".repeat(1 << 20);
        let many = (0..20).map(|row| sized(row, &mb)).collect();
        assert_eq!(calls(&mapping(None), many).iter().map(Vec::len).collect::<Vec<_>>(), [7, 7, 6]);
        let ten = "x".repeat(10 << 20);
        let huge = vec![sized(1, "small"), sized(2, &ten), sized(3, "small")];
        assert_eq!(calls(&mapping(None), huge).iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1]);
        // Each of these takes six bytes.
        let controls = "\u{1}".repeat(1 << 20);
        assert_eq!(calls(&mapping(None), vec![sized(1, &controls), sized(2, &controls)]).len(), 2);
    }

    #[test]
    fn no_call_is_larger_than_the_rules_say() {
        let mut own = mapping(Some("Key__c"));
        own.rules.set("batch_size", "10").unwrap();
        let insert = content(WriteKind::Insert, &[("key__c", "K1")], None);
        let many = (0..25).map(|row| job(plan(&own, &unit(row), &insert))).collect();
        assert!(calls(&own, many).iter().all(|call| call.len() <= 10));
    }
}
