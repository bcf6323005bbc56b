//! New records whose answer was lost: what they carried, and which of Salesforce's records may be one of them. Without an
//! external id only what was sent can tell, and only a person can say.

use crate::domain::changes::coalesce::{Entry, NetChange, WriteKind, coalesce};
use crate::domain::changes::merge::same;
use crate::domain::mappings::field::FieldType;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::values::hstore::Hstore;

/// A record that may be the one of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which.
    pub sfid: String,
    /// API names of the fields in which it is not as it was sent.
    pub differs: Vec<String>,
}

/// Automation of an org may change a field or two of what was sent: at most one field of so many.
const ONE_OF: usize = 4;

/// The newest entry that was in the first send of a new record; what was captured after it cannot have arrived with it.
/// A first send of several entries is `noted` before it goes out, so that this is known although the engine died with it.
pub fn first_upto(entries: &[Entry], noted: Option<i64>) -> i64 {
    let inserted = || entries.iter().find(|entry| entry.action == WriteKind::Insert);
    noted.or_else(|| inserted().map(|entry| entry.id)).unwrap_or(0)
}

/// The values of that first send, before the mapping's rules.
pub fn first_sent(entries: &[Entry], noted: Option<i64>, whole: Option<&Hstore>) -> Hstore {
    let upto = first_upto(entries, noted);
    let sent: Vec<Entry> = entries.iter().filter(|entry| entry.id <= upto).cloned().collect();
    match coalesce(&sent, false).change {
        NetChange::Insert(values) => values,
        NetChange::Update(patch) => {
            let mut values = whole.cloned().unwrap_or_default();
            values.extend(patch);
            values
        }
        NetChange::Nothing | NetChange::Delete => Hstore::new(),
    }
}

/// In which fields a record is not as it was sent; `None` when it is too unlike to be the one.
pub fn differences(
    mapping: &Mapping,
    sent: &Hstore,
    record: impl Fn(&str) -> Option<String>,
) -> Option<Vec<String>> {
    let (mut alike, mut compared, mut differs) = (0, 0, Vec::new());
    for (column, value) in sent {
        let field = mapping.field(column).filter(|field| field.is_read());
        let Some((field, value)) = field.zip(value.as_deref()) else { continue };
        compared += 1;
        if !same(field, Some(value), record(column).as_deref()) {
            differs.push(field.name.clone());
        } else if !matches!(field.kind, FieldType::Boolean | FieldType::Picklist) {
            // Half of all records have the same box ticked.
            alike += 1;
        }
    }
    (alike > 0 && differs.len() * ONE_OF <= compared).then_some(differs)
}

/// What a person is told of a plain insert whose answer was lost.
pub fn message(object: &str, candidates: &[Candidate], trouble: Option<&str>) -> String {
    let told = |candidate: &Candidate| match candidate.differs.as_slice() {
        [] => candidate.sfid.clone(),
        differs => format!("{} (but for {})", candidate.sfid, differs.join(", ")),
    };
    let found = match (candidates, trouble) {
        ([], Some(trouble)) => format!("It could not be looked for there: {trouble}"),
        ([], None) => "None with what was sent is found there so far".to_owned(),
        ([one], _) => format!("The {object} {} has what was sent", told(one)),
        (many, _) => {
            let many: Vec<String> = many.iter().map(told).collect();
            format!("Each of these has what was sent: {}", many.join(", "))
        }
    };
    format!(
        "the answer to an insert without an external id was lost: Salesforce may have the record. {found}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::mappings::field::Field;

    fn mapping() -> Mapping {
        let kinds = [
            ("LastName", FieldType::String),
            ("Email", FieldType::Email),
            ("Phone", FieldType::Phone),
            ("Score__c", FieldType::Double),
            ("Active__c", FieldType::Boolean),
        ];
        Mapping::plain("Contact", kinds.map(|(name, kind)| Field::plain(name, kind)).to_vec())
    }

    fn row(values: &[(&str, &str)]) -> Hstore {
        values.iter().map(|(column, value)| ((*column).to_owned(), Some((*value).to_owned()))).collect()
    }

    #[test]
    fn a_record_may_be_the_one_when_it_has_nearly_all_that_was_sent() {
        let of = |sent: &[(&str, &str)], record: &[(&str, &str)]| {
            let record = row(record);
            differences(&mapping(), &row(sent), |column| record.get(column).cloned().flatten())
        };
        let sent = [("lastname", "Doe"), ("email", "a@b.co"), ("phone", "1"), ("score__c", "1.50")];
        let mut there = [("lastname", "Doe "), ("email", "a@b.co"), ("phone", "1"), ("score__c", "1.5")];
        assert_eq!(of(&sent, &there), Some(Vec::new()));
        there[2].1 = "+1";
        assert_eq!(of(&sent, &there), Some(vec!["Phone".to_owned()]));
        there[0].1 = "Roe";
        assert_eq!(of(&sent, &there), None);
        assert_eq!(of(&[("active__c", "f")], &[("active__c", "false")]), None);
        assert_eq!(of(&[("lastname", "Doe"), ("phone", "1")], &[("lastname", "Doe")]), None);
    }
}
