//! Units that go by one ingest job of Bulk API 2.0: what is kept of each while Salesforce works on it, so that whichever
//! engine is there at its end can acknowledge it. Pure.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::changes::dispatch::{Call, Claimed, Job};
use crate::domain::changes::outgoing::LeftOut;
use crate::domain::mappings::rules::Rules;
use crate::domain::mappings::strategy::Strategy;
use crate::domain::names::RowId;
use crate::domain::reports::forecast::BATCH;
use crate::domain::values::hstore::Hstore;
use crate::domain::values::key::Key;

/// Objects to which calls apply the org's assignment rules, and jobs do not.
const ASSIGNED: [&str; 3] = ["Account", "Case", "Lead"];

/// From how many ready units on a mapping's changes go by a job. Where each call is to be small, or all of them in order, they
/// never do: Salesforce works on the rows of a job 200 at a time, and in any order.
pub fn from_how_many(object: &str, rules: &Rules) -> Option<usize> {
    let may = !ASSIGNED.contains(&object)
        && rules.strategy != Strategy::FailFast
        && i64::try_from(rules.batch_size) == Ok(BATCH);
    rules.bulk_from.filter(|_| may)
}

/// What a job does with its rows, in Salesforce's word. A plain insert goes by none: it is not safe to send again.
pub fn operation_of(call: Call) -> Option<&'static str> {
    match call {
        Call::Upsert => Some("upsert"),
        Call::Update => Some("update"),
        Call::Delete => Some("delete"),
        Call::Create => None,
    }
}

/// The same the other way round.
pub fn call_of(operation: &str) -> Option<Call> {
    [Call::Upsert, Call::Update, Call::Delete].into_iter().find(|call| operation_of(*call) == Some(operation))
}

/// A unit of a job, as it went.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JobUnit {
    /// Its row.
    pub row: RowId,
    /// The version it was read at.
    version: i64,
    /// What the application did.
    op: String,
    /// Its newest entry.
    upto: i64,
    /// Its oldest one, and when that was captured.
    first: i64,
    captured_at: DateTime<Utc>,
    /// The newest entry of its first send as a new record, where that is noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first_upto: Option<i64>,
    /// The record's id, for updates and deletes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sfid: Option<String>,
    /// The row's external id, and the same as Salesforce compares it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<(String, String)>,
    /// What stayed behind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<LeftOut>,
}

impl JobUnit {
    /// Of what is about to be sent.
    pub fn of(job: &Job) -> JobUnit {
        JobUnit {
            row: job.unit.row,
            version: job.unit.version,
            op: job.op.to_owned(),
            upto: job.upto,
            first: job.first,
            captured_at: job.captured_at,
            first_upto: job.unit.first_upto,
            sfid: job.sfid.clone(),
            key: job.key.clone().map(|key| (key.text, key.folded)),
            left_out: job.left_out.clone(),
        }
    }

    /// What tells its results from others': the record's id without its check digits, or the external id as Salesforce
    /// compares it.
    pub fn mark(&self, call: Call) -> Option<&str> {
        match call {
            Call::Upsert => self.key.as_ref().map(|(_, folded)| folded.as_str()),
            _ => self.sfid.as_deref().map(short),
        }
    }

    /// The value by which its record was named.
    pub fn named(&self, call: Call) -> Option<&str> {
        match call {
            Call::Upsert => self.key.as_ref().map(|(text, _)| text.as_str()),
            _ => self.sfid.as_deref(),
        }
    }

    /// The same as it was planned, with the columns that were sent. `now` is the server's clock.
    pub fn job(self, table: &str, call: Call, patch: Hstore, now: DateTime<Utc>) -> Job {
        let op = ["insert", "delete"].into_iter().find(|op| *op == self.op).unwrap_or("update");
        let unit = Claimed {
            table: table.to_owned(),
            row: self.row,
            version: self.version,
            first_upto: self.first_upto,
            claimed_at: now,
            ..Claimed::default()
        };
        Job {
            patch,
            key: self.key.map(|(text, folded)| Key { text, folded }),
            first: self.first,
            captured_at: self.captured_at,
            left_out: self.left_out,
            ..Job::bare(unit, call, op, self.sfid, self.upto)
        }
    }
}

/// The 15 characters of an id that tell records apart.
pub fn short(id: &str) -> &str {
    id.get(..15).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::changes::coalesce::WriteKind;
    use crate::domain::changes::dispatch::plan;
    use crate::domain::changes::dispatch::samples::{content, job, mapping, unit};

    #[test]
    fn what_is_kept_of_a_unit_makes_its_acknowledgement() {
        let own = mapping(Some("Key__c"));
        let insert = content(WriteKind::Insert, &[("key__c", "K 1"), ("lastname", "A")], None);
        let sent = job(plan(&own, &unit(3), &insert));
        let kept = serde_json::to_value(JobUnit::of(&sent)).unwrap();
        let kept: JobUnit = serde_json::from_value(kept).unwrap();
        assert_eq!((kept.mark(Call::Upsert), kept.named(Call::Upsert)), (Some("k 1"), Some("K 1")));
        let again = kept.job("contact", sent.call, sent.patch.clone(), DateTime::UNIX_EPOCH);
        assert_eq!(
            (again.op, again.upto, again.key.clone(), again.unit.version),
            (sent.op, sent.upto, sent.key.clone(), sent.unit.version)
        );
        let known = content(WriteKind::Update, &[("lastname", "B")], Some("003sd0000000001AAA"));
        let kept = JobUnit::of(&job(plan(&own, &unit(4), &known)));
        assert_eq!(kept.mark(Call::Update), Some("003sd0000000001"));
    }

    #[test]
    fn a_plain_insert_goes_by_no_job() {
        for call in [Call::Upsert, Call::Update, Call::Delete] {
            assert_eq!(operation_of(call).and_then(call_of), Some(call));
        }
        assert_eq!(operation_of(Call::Create), None);
        assert_eq!(call_of("insert"), None);
    }
}
