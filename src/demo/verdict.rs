//! The judge: a ledger of commits against the org's journal. The engine's word counts for nothing here.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::simulator::{JournalEntry, Org};

use super::ledger::Commits;

/// What became of the ledger's keys.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Neither accepted nor listed nor explained, with what is wrong.
    pub lost: Vec<String>,
    /// Creates of a key beyond the first.
    pub duplicated: usize,
    /// Fields whose accepted values, equal neighbours merged, are no subsequence of the committed ones.
    pub out_of_order: Vec<String>,
}

/// Judges a ledger by what the org's journal holds. `standing` tells, by table and row, what is listed or unsent.
pub fn judge(
    ledger: &BTreeMap<String, Commits>,
    journal: &[JournalEntry],
    org: &Org,
    standing: &HashMap<(String, i32), String>,
) -> Verdict {
    let mut by_key: HashMap<&str, Vec<&JournalEntry>> = HashMap::new();
    for entry in journal {
        if let Some(key) = &entry.external_id {
            by_key.entry(key).or_default().push(entry);
        }
    }
    let mut verdict = Verdict::default();
    for (key, commits) in ledger {
        let entries = by_key.get(key.as_str()).map(Vec::as_slice).unwrap_or_default();
        let creates = entries.iter().filter(|entry| entry.source == "api" && entry.op == "create").count();
        verdict.duplicated += creates.saturating_sub(1 + commits.deletes);
        for (field, committed) in &commits.fields {
            if !in_order(field, committed, entries) {
                verdict.out_of_order.push(format!("{key} {field}"));
            }
        }
        let explained = standing.contains_key(&(commits.table.clone(), commits.row));
        if explained {
            continue;
        }
        if let Some(difference) = difference(key, commits, entries, org) {
            verdict.lost.push(format!("{key}, {} {}: {difference}", commits.table, commits.row));
        }
    }
    verdict
}

/// How the org differs from what was committed last, except where its own user wrote later.
fn difference(key: &str, commits: &Commits, entries: &[&JournalEntry], org: &Org) -> Option<String> {
    let record =
        org.find_by_external_id(&commits.object, key).and_then(|id| org.record(&commits.object, &id));
    let record = match (record, commits.deleted) {
        (None, true) => return None,
        (Some(_), true) => return Some("the record is still there".to_owned()),
        (None, false) => return Some("there is no record".to_owned()),
        (Some(record), false) => record,
    };
    commits.fields.iter().find_map(|(field, committed)| {
        let last_writer =
            entries.iter().rev().find(|entry| entry.fields.contains_key(field)).map(|entry| entry.source);
        let wanted = committed.last().map_or(Value::Null, |(_, value)| value.clone());
        let found = record.get(field).unwrap_or(&Value::Null);
        // A parent named by its external id is stored as its id, which the parent's own key accounts for.
        let arrived = field.contains('.') || last_writer == Some("user") || same(found, &wanted);
        (!arrived).then(|| format!("{field} is {found}, committed was {wanted}"))
    })
}

/// Whether the values that the API wrote into a field, equal neighbours merged, are a subsequence of the committed ones.
fn in_order(field: &str, committed: &[(DateTime<Utc>, Value)], entries: &[&JournalEntry]) -> bool {
    let mut accepted: Vec<&Value> = entries
        .iter()
        .filter(|entry| entry.source == "api")
        .filter_map(|entry| entry.fields.get(field))
        .collect();
    accepted.dedup_by(|a, b| same(a, b));
    let mut rest = committed.iter();
    accepted.into_iter().all(|value| rest.any(|(_, wanted)| same(value, wanted)))
}

/// Equal as Salesforce sees it: numbers as numbers, text without its outer blanks, empty text as null.
pub fn same(a: &Value, b: &Value) -> bool {
    let plain = |value: &Value| match value {
        Value::String(text) if text.trim().is_empty() => Value::Null,
        Value::String(text) => Value::from(text.trim()),
        Value::Number(number) => number.as_f64().map_or(Value::Null, Value::from),
        other => other.clone(),
    };
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    // An operator's values are text whatever the field holds.
    plain(a) == plain(b) || (!a.is_null() && !b.is_null() && text(&plain(a)) == text(&plain(b)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::simulator::OrgOptions;

    fn commits(values: &[&str]) -> Commits {
        let mut commits = Commits {
            object: "Contact".to_owned(),
            table: "contact".to_owned(),
            row: 1,
            inserted: true,
            ..Commits::default()
        };
        values.iter().for_each(|value| commits.value("LastName", Value::from(*value)));
        commits
    }

    fn write(org: &Org, id: Option<&str>, name: &str) -> String {
        let mut fields = serde_json::Map::new();
        fields.insert("LastName".to_owned(), json!(name));
        match id {
            Some(id) => org.user_update("Contact", id, fields).map(|()| id.to_owned()).unwrap(),
            None => {
                fields.insert("External_Id__c".to_owned(), json!("K"));
                org.user_create("Contact", fields).unwrap()
            }
        }
    }

    /// A journal as the API would have written it.
    fn journal(org: &Org) -> Vec<JournalEntry> {
        org.journal_since(0).into_iter().map(|entry| JournalEntry { source: "api", ..entry }).collect()
    }

    fn verdict(org: &Org, commits: Commits, standing: &[(&str, i32)]) -> Verdict {
        let ledger = [("K".to_owned(), commits)].into();
        let standing =
            standing.iter().map(|(table, row)| (((*table).to_owned(), *row), "open".to_owned())).collect();
        judge(&ledger, &journal(org), org, &standing)
    }

    #[test]
    fn a_change_that_neither_arrived_nor_is_listed_is_lost() {
        let org = Org::new(OrgOptions::default());
        assert_eq!(verdict(&org, commits(&["A"]), &[]).lost, ["K, contact 1: there is no record"]);
        assert_eq!(verdict(&org, commits(&["A"]), &[("contact", 1)]).lost, Vec::<String>::new());
        let id = write(&org, None, "A");
        assert_eq!(verdict(&org, commits(&["A"]), &[]), Verdict::default());
        assert_eq!(
            verdict(&org, commits(&["A", "B"]), &[]).lost,
            ["K, contact 1: LastName is \"A\", committed was \"B\""]
        );
        write(&org, Some(&id), "B");
        assert_eq!(verdict(&org, commits(&["A", "B"]), &[]), Verdict::default());
    }

    #[test]
    fn values_that_go_back_are_out_of_order_and_a_second_create_is_a_double() {
        let org = Org::new(OrgOptions::default());
        let id = write(&org, None, "B");
        write(&org, Some(&id), "A");
        write(&org, Some(&id), "B");
        assert_eq!(verdict(&org, commits(&["A", "B"]), &[]).out_of_order, ["K LastName"]);
        org.user_delete("Contact", &id).unwrap();
        write(&org, None, "B");
        assert_eq!(verdict(&org, commits(&["A", "B"]), &[]).duplicated, 1);
    }
}
