//! Whether a change event only tells what we sent ourselves: then nothing is read. It is compared, field by field, with the newest
//! request that Salesforce accepted. What a trigger or a flow of the org changed in the same transaction is read, also where it
//! put a field back to what it was, which no event tells: then a field that we sent is missing.

use serde_json::Value;

use crate::domain::mappings::field::Field;
use crate::domain::mappings::mapping::Mapping;
use crate::salesforce::streaming::ChangeEvent;
use crate::salesforce::value;

/// What changes with every record, or never after it was made, and is in no row's interest unless it is mapped.
const STAMPS: [&str; 6] =
    ["CreatedDate", "CreatedById", "LastModifiedDate", "LastModifiedById", "SystemModstamp", "OwnerId"];
/// Of these, what a change leaves as it is.
const LASTING: [&str; 2] = ["CreatedDate", "CreatedById"];

/// Whether an event tells all that the newest request sent, and no more.
pub(super) fn is_echo(mapping: &Mapping, event: &ChangeEvent, sent: Option<&Value>) -> bool {
    let lasts = |field: &Field| !event.creates && LASTING.contains(&field.name.as_str());
    // What Salesforce makes itself, such as a formula, may be another now, and no event tells it.
    if mapping.read_fields().any(|field| field.read_only() && !lasts(field)) {
        return false;
    }
    let told = |field: &Field| event.fields.iter().find(|(name, _)| field.name.eq_ignore_ascii_case(name));
    sent.is_some_and(|sent| {
        let all_told = mapping.read_fields().all(|field| match (sent.get(&field.name), told(field)) {
            (None, _) => true,
            // A new record's event leaves out what is empty.
            (Some(ours), None) => event.creates && ours.is_null(),
            (Some(ours), Some((_, theirs))) => is_same(field, ours, theirs),
        });
        all_told
            && event.fields.iter().all(|(name, theirs)| {
                let field = mapping.read_fields().find(|field| field.name.eq_ignore_ascii_case(name));
                match field {
                    Some(field) => sent.get(&field.name).is_some_and(|ours| is_same(field, ours, theirs)),
                    // Another field may be the lookup behind a column that names a parent.
                    None => mapping.parents.is_empty() || STAMPS.contains(&name.as_str()),
                }
            })
    })
}

fn is_same(field: &Field, ours: &Value, theirs: &Value) -> bool {
    let text = |value: &Value| value::to_text(field, value).map(|text| text.trim_end_matches('Z').to_owned());
    text(ours) == text(theirs)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::mappings::field::FieldType;
    use crate::domain::mappings::mapping::Parent;
    use crate::salesforce::streaming::{ChangeKind, EventSubject};

    fn event(creates: bool, fields: &[(&str, Value)]) -> ChangeEvent {
        ChangeEvent {
            channel: String::new(),
            replay: 1,
            kind: ChangeKind::Changed,
            about: EventSubject::Records(vec!["003".to_owned()]),
            is_gap: false,
            creates,
            is_own: true,
            fields: fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        }
    }

    fn written(name: &str, kind: FieldType) -> Field {
        Field { createable: true, updateable: true, ..Field::plain(name, kind) }
    }

    fn read(name: &str) -> Field {
        Field { createable: false, updateable: false, ..Field::plain(name, FieldType::Datetime) }
    }

    fn mapping() -> Mapping {
        let fields = vec![
            written("LastName", FieldType::String),
            written("Score__c", FieldType::Double),
            written("Seen__c", FieldType::Datetime),
        ];
        Mapping::plain("Contact", fields)
    }

    #[test]
    fn what_was_sent_and_nothing_else_is_an_echo() {
        let sent =
            json!({"LastName": "Doe", "Score__c": 12.5, "Seen__c": "2026-11-20T14:02:11Z", "Id": "003"});
        let sent = Some(&sent);
        let stamp = ("LastModifiedDate", json!("2026-11-20T14:02:12.000Z"));
        let same = [
            ("LastName", json!("Doe")),
            ("Score__c", json!(12.50)),
            ("Seen__c", json!("2026-11-20T14:02:11.000Z")),
            stamp.clone(),
        ];
        assert!(is_echo(&mapping(), &event(false, &same), sent));
        assert!(is_echo(&mapping(), &event(true, &same), sent));
        // A field that is not read here may be whatever it likes.
        let with_another = [&same[..], &[("Title", json!("Dr"))]].concat();
        assert!(is_echo(&mapping(), &event(false, &with_another), sent));
        // What was sent and is not told was put back to what it was.
        assert!(!is_echo(&mapping(), &event(false, std::slice::from_ref(&stamp)), sent));
        assert!(!is_echo(&mapping(), &event(false, &same[1..]), sent));
        // Of a new record, what is empty is not told.
        let empty = json!({"LastName": "Doe", "Score__c": null});
        let empty = Some(&empty);
        assert!(is_echo(&mapping(), &event(true, &same[..1]), empty));
        assert!(!is_echo(&mapping(), &event(false, &same[..1]), empty));
        for changed in [("LastName", json!("DOE")), ("Score__c", Value::Null)] {
            assert!(!is_echo(&mapping(), &event(false, &[changed]), sent));
        }
        // A request must hold all of it.
        for one in [json!({"LastName": "Doe"}), json!({"Score__c": 1})] {
            let both = event(false, &[("LastName", json!("Doe")), ("Score__c", json!(1))]);
            assert!(!is_echo(&mapping(), &both, Some(&one)));
        }
        assert!(!is_echo(&mapping(), &event(false, &[]), None));
    }

    #[test]
    fn what_salesforce_makes_itself_is_read() {
        let sent = json!({"LastName": "Doe"});
        let sent = Some(&sent);
        let told = |creates| event(creates, &[("LastName", json!("Doe"))]);
        let mut made = mapping();
        made.fields.push(read("CreatedDate"));
        assert!(is_echo(&made, &told(false), sent));
        assert!(!is_echo(&made, &told(true), sent));
        made.fields.push(read("LastModifiedDate"));
        assert!(!is_echo(&made, &told(false), sent));
        let parent = Parent {
            column: "account__external_id__c".to_owned(),
            relationship: "Account".to_owned(),
            field: "External_Id__c".to_owned(),
            object: "Account".to_owned(),
        };
        let of_parent = Mapping { parents: vec![parent], ..mapping() };
        assert!(is_echo(&of_parent, &told(false), sent));
        assert!(!is_echo(&of_parent, &event(false, &[("AccountId", json!("001"))]), sent));
    }
}
