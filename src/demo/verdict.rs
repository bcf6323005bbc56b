//! The judge: a ledger of commits against the org's journal. The engine's word counts for nothing here.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::simulator::{JournalEntry, Org};

use super::ledger::Commits;
use super::rulebook::{Expected, Rulebook};

/// What became of the ledger's keys.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Neither accepted nor listed nor explained, with what is wrong.
    pub lost: Vec<String>,
    /// Creates of a key beyond the first.
    pub duplicated: usize,
    /// Fields whose accepted values, equal neighbours merged, are no subsequence of the committed ones.
    pub out_of_order: Vec<String>,
    /// How many keys the org does not have as they were committed because a rule says so, by what it says.
    pub by_rule: BTreeMap<String, usize>,
}

/// Judges a ledger by what the org's journal holds. `standing` tells, by table and row, what is listed or unsent.
pub fn judge(
    ledger: &BTreeMap<String, Commits>,
    journal: &[JournalEntry],
    org: &Org,
    standing: &HashMap<(String, i32), String>,
) -> Verdict {
    judge_under(&Rulebook::default(), ledger, journal, org, standing)
}

/// The same, where rules may have made something else of what was committed, or have kept it here.
pub fn judge_under(
    rules: &Rulebook,
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
        let keys = rules.keys(commits, key);
        let known = keys.iter().filter_map(|key| by_key.get(key.as_str())).flatten().copied();
        let entries: Vec<&JournalEntry> = known.collect();
        let case = Case { rules, commits, keys, entries, org };
        let of = |source: &str, op: &str| {
            case.entries.iter().filter(|entry| entry.source == source && entry.op == op).count()
        };
        // Whatever was deleted may come again.
        let deletes = commits.deletes + of("user", "delete");
        verdict.duplicated += of("api", "create").saturating_sub(1 + deletes);
        for (field, committed) in &commits.fields {
            if let Some(how) = case.disorder(field, committed) {
                verdict.out_of_order.push(format!("{key} {field}: {how}"));
            }
        }
        if standing.contains_key(&(commits.table.clone(), commits.row)) {
            continue;
        }
        match case.difference() {
            Difference::None => {}
            Difference::ByRule(why) => *verdict.by_rule.entry(why).or_default() += 1,
            Difference::Lost(why) => {
                verdict.lost.push(format!("{key}, {} {}: {why}", commits.table, commits.row));
            }
        }
    }
    verdict
}

/// How the org differs from what was committed last.
enum Difference {
    None,
    /// As a rule says.
    ByRule(String),
    /// Nothing explains it.
    Lost(String),
}

/// One key, with all that is known of it.
struct Case<'a> {
    rules: &'a Rulebook,
    commits: &'a Commits,
    /// The keys under which the org may know it.
    keys: Vec<String>,
    entries: Vec<&'a JournalEntry>,
    org: &'a Org,
}

impl Case<'_> {
    /// How the org differs from what was committed last, except where its own user wrote later.
    fn difference(&self) -> Difference {
        let Case { rules, commits, org, .. } = self;
        let id = self.keys.iter().find_map(|key| org.find_by_external_id(&commits.object, key));
        let record = match (id.and_then(|id| org.record(&commits.object, &id)), commits.deleted) {
            (None, true) => return Difference::None,
            (Some(_), true) if rules.may_keep_record(&commits.table) => {
                return Difference::ByRule("deletes are not passed on".to_owned());
            }
            (Some(_), true) => return Difference::Lost("the record is still there".to_owned()),
            (None, false) => {
                let behind = commits.fields.keys().find_map(|field| self.stays_behind(field));
                return behind.map_or(Difference::Lost("there is no record".to_owned()), Difference::ByRule);
            }
            (Some(record), false) => record,
        };
        let mut by_rule = None;
        for (field, committed) in &commits.fields {
            let last = self.entries.iter().rev().find(|entry| entry.fields.contains_key(field));
            // A parent named by its external id is stored as its id, which the parent's own key accounts for.
            if field.contains('.') || last.is_some_and(|entry| entry.source == "user") {
                continue;
            }
            let found = record.get(field).unwrap_or(&Value::Null);
            let arrived = match committed.last() {
                Some((at, value)) => self.may_be(field, found, value, *at),
                None => found.is_null(),
            };
            if arrived {
                continue;
            }
            let Some(why) = self.stays_behind(field) else {
                let wanted = committed.last().map_or(Value::Null, |(_, value)| value.clone());
                return Difference::Lost(format!("{field} is {found}, committed was {wanted}"));
            };
            by_rule = Some(why);
        }
        by_rule.map_or(Difference::None, Difference::ByRule)
    }

    /// Whether a committed value may be this one in the org.
    fn may_be(&self, field: &str, found: &Value, value: &Value, at: DateTime<Utc>) -> bool {
        self.forms(field, value, at).iter().any(|form| same(found, form))
    }

    /// What a committed value may have become on its way to the org, in the order in which the rules were in force.
    fn forms(&self, field: &str, value: &Value, at: DateTime<Utc>) -> Vec<Value> {
        let taken_over = self.commits.by_operators.contains(&at).then(|| value.clone());
        let sent = self.rules.expected(self.commits, field, value, at).into_iter().filter_map(|expected| {
            match expected {
                Expected::Sent(sent) => Some(sent),
                Expected::StaysBehind(_) => None,
            }
        });
        taken_over.into_iter().chain(sent).collect()
    }

    /// Why the last value of a field may have stayed here.
    fn stays_behind(&self, field: &str) -> Option<String> {
        let (at, value) = self.commits.fields.get(field)?.last()?;
        self.rules.expected(self.commits, field, value, *at).into_iter().find_map(|expected| match expected {
            Expected::StaysBehind(why) => Some(why),
            Expected::Sent(_) => None,
        })
    }

    /// How the values that the API wrote into a field, equal neighbours merged, are no subsequence of the committed ones.
    /// A value that was sent again after its rules changed has come in the form of the old ones and then of the new ones.
    fn disorder(&self, field: &str, committed: &[(DateTime<Utc>, Value)]) -> Option<String> {
        let mut accepted: Vec<&Value> = self
            .entries
            .iter()
            .filter(|entry| entry.source == "api")
            .filter_map(|entry| entry.fields.get(field))
            .collect();
        accepted.dedup_by(|a, b| same(a, b));
        let mut rest = committed.iter().flat_map(|(at, value)| self.forms(field, value, *at));
        let in_order = accepted.iter().all(|value| rest.any(|form| same(value, &form)));
        let values: Vec<&Value> = committed.iter().map(|(_, value)| value).collect();
        (!in_order).then(|| format!("it was written {}, committed was {}", json!(accepted), json!(values)))
    }
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
    let number = |value: &Value| value.as_f64().or_else(|| value.as_str()?.parse().ok());
    let (a, b) = (plain(a), plain(b));
    // What an operator wrote, or a transform made, is text whatever the field holds.
    let differ_in_kind = a.is_number() != b.is_number();
    a == b
        || (!a.is_null() && !b.is_null() && text(&a) == text(&b))
        || (differ_in_kind && number(&a).is_some() && number(&a) == number(&b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::mappings::field::{Field, FieldType};
    use crate::domain::mappings::mapping::Mapping;
    use crate::domain::mappings::rules::Rules;
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
        verdict_under(&Rulebook::default(), org, commits, standing)
    }

    fn verdict_under(rules: &Rulebook, org: &Org, commits: Commits, standing: &[(&str, i32)]) -> Verdict {
        let ledger = [("K".to_owned(), commits)].into();
        let standing =
            standing.iter().map(|(table, row)| (((*table).to_owned(), *row), "open".to_owned())).collect();
        judge_under(rules, &ledger, &journal(org), org, &standing)
    }

    /// Rules of contacts, from long ago on.
    fn rules(settings: &[(&str, &str)]) -> Rulebook {
        let mut rules = Rules::default();
        settings.iter().for_each(|(key, text)| rules.set(key, text).unwrap());
        let mut book = Rulebook::default();
        book.note(DateTime::UNIX_EPOCH, mapping(rules));
        book
    }

    /// Contacts under rules.
    fn mapping(rules: Rules) -> Mapping {
        Mapping {
            external_id: Some("External_Id__c".to_owned()),
            rules,
            ..Mapping::plain(
                "Contact",
                ["LastName", "External_Id__c"].map(|name| Field::plain(name, FieldType::String)).to_vec(),
            )
        }
    }

    #[test]
    fn what_a_rule_made_of_a_value_or_kept_here_is_not_lost() {
        let org = Org::new(OrgOptions::default());
        let id = write(&org, None, "DOE");
        assert_eq!(verdict(&org, commits(&["Doe"]), &[]).lost.len(), 1);
        let upper = rules(&[("LastName.transforms", "uppercase")]);
        assert_eq!(verdict_under(&upper, &org, commits(&["Doe"]), &[]), Verdict::default());
        let raw = verdict_under(&upper, &org, commits(&["Doe", "Roe"]), &[]);
        assert_eq!(raw.lost, ["K, contact 1: LastName is \"DOE\", committed was \"Roe\""]);
        write(&org, Some(&id), "Roe");
        // Rules that hold do not excuse what went by them.
        let raw = verdict_under(&upper, &org, commits(&["Doe", "Roe"]), &[]);
        assert_eq!((raw.lost.len(), raw.out_of_order.len()), (1, 1));
        // What was in hand when the rules changed goes again by the new ones; the old ones never come after them.
        let mut changed = rules(&[("LastName.transforms", "uppercase")]);
        let doe = commits(&["Doe"]);
        changed.note(Utc::now(), mapping(Rules::default()));
        let again = Org::new(OrgOptions::default());
        let id = write(&again, None, "DOE");
        write(&again, Some(&id), "Doe");
        assert_eq!(verdict_under(&changed, &again, doe.clone(), &[]), Verdict::default());
        write(&again, Some(&id), "DOE");
        assert_eq!(verdict_under(&changed, &again, doe, &[]).out_of_order.len(), 1);
        let kept = rules(&[("LastName.read_only", "true")]);
        let kept = verdict_under(&kept, &org, commits(&["Poe"]), &[]);
        assert_eq!((kept.lost.len(), kept.by_rule.len()), (0, 1));
        let gone = Commits { deleted: true, deletes: 1, ..commits(&["Roe"]) };
        let deletes = rules(&[("ignore_deletes", "postgres")]);
        assert_eq!(verdict_under(&deletes, &org, gone, &[]).by_rule.len(), 1);
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
        assert_eq!(
            verdict(&org, commits(&["A", "B"]), &[]).out_of_order,
            [r#"K LastName: it was written ["B","A","B"], committed was ["A","B"]"#]
        );
        org.user_delete("Contact", &id).unwrap();
        write(&org, None, "B");
        assert_eq!(verdict(&org, commits(&["A", "B"]), &[]).duplicated, 1);
    }
}
