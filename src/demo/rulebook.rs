//! The rules that mappings had in the course of a demo, as they were seen in force: what may have become of a committed
//! value on its way to the org. What no rule says stays lost.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::domain::changes::outgoing::outgoing;
use crate::domain::mappings::field::Op;
use crate::domain::mappings::mapping::{Access, Mapping};
use crate::postgres::{Error, Store};

use super::ledger::Commits;

/// Between two looks at the rules.
const LOOK: Duration = Duration::from_millis(250);
/// How long rules may hold on after others were set: until an engine has taken them up, and sent what it had in hand.
const SLACK: chrono::Duration = chrono::Duration::seconds(5);

/// The rules of every mapping, from the first look on.
#[derive(Debug, Default)]
pub struct Rulebook {
    by_table: HashMap<String, Vec<Version>>,
}

/// A mapping as it was worked from one moment on.
#[derive(Debug)]
struct Version {
    since: DateTime<Utc>,
    mapping: Mapping,
    /// The rows that its condition keeps out.
    kept_out: HashSet<i32>,
}

/// What may have become of a committed value.
#[derive(Clone, Debug, PartialEq)]
pub enum Expected {
    /// It is there, as this.
    Sent(Value),
    /// It is not there, and this is why.
    StaysBehind(String),
}

impl Rulebook {
    /// Looks at the rules until it is stopped.
    pub(super) async fn keep(store: Store, stop: CancellationToken) -> Rulebook {
        let mut book = Rulebook::default();
        loop {
            // Without PostgreSQL nothing is sent either.
            if let Ok(mappings) = store.definitions().await {
                mappings.into_iter().for_each(|mapping| book.note(Utc::now(), mapping));
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = stop.cancelled() => return book,
            }
        }
    }

    /// Notes how a mapping is worked at a moment.
    pub fn note(&mut self, at: DateTime<Utc>, mapping: Mapping) {
        let versions = self.by_table.entry(mapping.table.clone()).or_default();
        let is_news = versions.last().is_none_or(|last| {
            (&last.mapping.rules, last.mapping.access) != (&mapping.rules, mapping.access)
        });
        if is_news {
            versions.push(Version { since: at, mapping, kept_out: HashSet::new() });
        }
    }

    /// Looks which rows of a ledger each condition keeps out.
    pub(super) async fn look_at_conditions(
        &mut self,
        store: &Store,
        ledger: &BTreeMap<String, Commits>,
    ) -> Result<(), Error> {
        for (table, versions) in &mut self.by_table {
            let rows = ledger.values().filter(|commits| commits.table == *table).map(|commits| commits.row);
            let rows: Vec<i32> = rows.collect();
            for version in versions.iter_mut().filter(|version| version.mapping.rules.filter.is_some()) {
                version.kept_out = store.kept_out(&version.mapping, &rows).await?.into_iter().collect();
            }
        }
        Ok(())
    }

    /// What may have become of a value that was committed to a field at a moment; the value as it is where nobody knows of
    /// any rules.
    pub fn expected(
        &self,
        commits: &Commits,
        field: &str,
        value: &Value,
        at: DateTime<Utc>,
    ) -> Vec<Expected> {
        let versions = self.since(&commits.table, at);
        let mut expected: Vec<Expected> =
            versions.iter().flat_map(|version| version.expected(commits.row, field, value)).collect();
        if versions.is_empty() {
            expected.push(Expected::Sent(value.clone()));
        }
        expected.dedup();
        expected
    }

    /// Whether a deleted row's record may still be there.
    pub fn may_keep_record(&self, table: &str) -> bool {
        self.by_table.get(table).into_iter().flatten().any(|version| {
            version.mapping.rules.ignore_deletes.postgres || version.mapping.access == Access::ReadOnly
        })
    }

    /// The keys under which a row may be known in the org.
    pub fn keys(&self, commits: &Commits, key: &str) -> Vec<String> {
        let mut keys = vec![key.to_owned()];
        for version in self.by_table.get(&commits.table).into_iter().flatten() {
            let Some(field) = &version.mapping.external_id else { continue };
            for expected in version.expected(commits.row, field, &Value::from(key)) {
                if let Expected::Sent(Value::String(sent)) = expected {
                    keys.push(sent);
                }
            }
        }
        keys.sort();
        keys.dedup();
        keys
    }

    /// The versions that may have been in force since a moment.
    fn since(&self, table: &str, at: DateTime<Utc>) -> &[Version] {
        let versions = self.by_table.get(table).map(Vec::as_slice).unwrap_or_default();
        let later = versions.iter().skip(1).take_while(|version| version.since + SLACK <= at).count();
        &versions[later.min(versions.len())..]
    }
}

impl Version {
    fn expected(&self, row: i32, field: &str, value: &Value) -> Vec<Expected> {
        let behind = |why: &str| vec![Expected::StaysBehind(why.to_owned())];
        if self.mapping.access == Access::ReadOnly {
            return behind("the mapping is read-only");
        }
        if self.kept_out.contains(&row) {
            return behind("a condition keeps the row out");
        }
        let column = field.replace('.', "__").to_lowercase();
        let Some(rules) = self.mapping.rules.of(&column) else { return vec![Expected::Sent(value.clone())] };
        let text = match value {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        let as_written = rules.transforms.is_empty();
        let mut expected = Vec::new();
        for op in [Op::Insert, Op::Update] {
            let Ok(out) = outgoing(&self.mapping, op, &[(column.clone(), text.clone())].into()) else {
                continue;
            };
            expected.extend(out.left_out.into_iter().map(|left| Expected::StaysBehind(left.why)));
            expected.extend(match out.values.get(&column) {
                Some(_) if as_written => Some(Expected::Sent(value.clone())),
                Some(sent) => Some(Expected::Sent(sent.clone().map_or(Value::Null, Value::from))),
                None => None,
            });
        }
        expected
    }
}
