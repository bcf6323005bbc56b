//! Whether an answer is about what was sent. Results carry no key and are matched by position alone; an answer that
//! came in another order would give rows each other's record ids, and the next update would go to the wrong customer.

use std::collections::HashMap;

use crate::domain::changes::dispatch::{Call, Job};
use crate::domain::changes::write_job::short;
use crate::domain::mappings::mapping::Mapping;
use crate::salesforce::Error;
use crate::salesforce::collections::SaveResult;

use crate::engine::Shared;

/// Checks the results of a call. Updates and deletes tell by their ids. New records have ascending ids; an upsert that
/// found records, or was refused in part, is compared with the org by external id.
///
/// # Errors
/// [`Error::Unusable`] when the results are of other records: what became of which is not known.
pub(in crate::engine) async fn check(
    shared: &Shared,
    mapping: &Mapping,
    jobs: &[&Job],
    results: &[SaveResult],
) -> Result<(), Error> {
    let Some(first) = jobs.first() else { return Ok(()) };
    let mixed_up = || shared.client.unusable("the results are not in the order of the records");
    match first.call {
        Call::Update | Call::Delete => {
            let differs = jobs.iter().zip(results).any(|(job, result)| {
                let sent = job.sfid.as_deref().filter(|_| result.success);
                sent.zip(result.id.as_deref()).is_some_and(|(sent, told)| short(sent) != short(told))
            });
            if differs { Err(mixed_up()) } else { Ok(()) }
        }
        Call::Create if in_order(results) => Ok(()),
        Call::Create => Err(mixed_up()),
        Call::Upsert => {
            let accepted = results.iter().filter(|result| result.success).count();
            let all_new = results.iter().all(|result| result.created == Some(true));
            if results.len() < 2 || accepted == 0 || (all_new && in_order(results)) {
                return Ok(());
            }
            let Some(field) = mapping.external_id_field() else { return Ok(()) };
            let keys: Vec<&str> =
                jobs.iter().filter_map(|job| Some(job.key.as_ref()?.text.as_str())).collect();
            // Whatever comes of the look, the records were sent.
            let unproven =
                |error| shared.client.unusable(&format!("the results cannot be verified: {error}"));
            let ids = shared.client.ids_by_key(&mapping.object, field, &keys).await.map_err(unproven)?;
            let sent = jobs.iter().zip(results);
            let told = sent.filter_map(|(job, result)| {
                Some((job.key.as_ref()?.folded.as_str(), result.id.as_deref().filter(|_| result.success)?))
            });
            let differs = told.into_iter().any(|(key, told)| is_of_another(&ids, key, told));
            if differs { Err(mixed_up()) } else { Ok(()) }
        }
    }
}

/// Whether the id that was told for a key is another's. A record that somebody deleted or renamed meanwhile is under no
/// key at all, which proves nothing.
fn is_of_another(ids: &HashMap<String, String>, key: &str, told: &str) -> bool {
    match ids.get(key) {
        Some(there) => short(there) != short(told),
        None => ids.values().any(|other| short(other) == short(told)),
    }
}

/// Whether the ids of the records that were made ascend. Salesforce gives them out in the order of the request, in
/// digits whose order is that of their bytes.
fn in_order(results: &[SaveResult]) -> bool {
    let ids: Vec<&str> = results.iter().filter_map(|result| result.id.as_deref()).map(short).collect();
    ids.is_sorted()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_anothers_when_it_is_under_another_key() {
        let ids = HashMap::from([("k1".to_owned(), "003000000000001AAA".to_owned())]);
        assert!(!is_of_another(&ids, "k1", "003000000000001AAA"));
        assert!(is_of_another(&ids, "k1", "003000000000002AAA"));
        // The only one that was taken, told for one that was refused.
        assert!(is_of_another(&ids, "k2", "003000000000001AAA"));
        assert!(!is_of_another(&ids, "k2", "003000000000003AAA"));
    }

    #[test]
    fn ids_in_another_order_are_noticed_and_refused_records_between_them_are_not() {
        let results = |ids: &[Option<&str>]| -> Vec<SaveResult> {
            let result = |id: &Option<&str>| SaveResult {
                id: id.map(str::to_owned),
                success: id.is_some(),
                created: None,
                errors: Vec::new(),
            };
            ids.iter().map(result).collect()
        };
        assert!(in_order(&results(&[Some("003000000000009AAA"), None, Some("00300000000000AAAA")])));
        assert!(in_order(&results(&[Some("00300000000000ZAAA"), Some("00300000000000aAAA")])));
        assert!(!in_order(&results(&[Some("00300000000000aAAA"), Some("00300000000000ZAAA")])));
    }
}
