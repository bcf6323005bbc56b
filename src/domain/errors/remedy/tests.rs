//! What remedies offer, row by row.

use super::*;
use crate::domain::errors::catalogue::classify;
use crate::domain::errors::sync_error::ErrorSource;
use crate::domain::errors::sync_error::SyncError;
use crate::domain::mappings::field::FieldType;
use crate::domain::names::{RowId, RowRef};

fn mapping() -> Mapping {
    let field = |name: &str, kind, length| Field {
        length,
        nillable: name != "LastName",
        createable: true,
        updateable: true,
        label: name.to_owned(),
        ..Field::plain(name, kind)
    };
    Mapping::plain(
        "Contact",
        vec![
            field("LastName", FieldType::String, 10),
            field("Email", FieldType::Email, 80),
            field("Phone", FieldType::Phone, 40),
        ],
    )
}

/// What is offered for a value that failed with a code: texts, and the values they make.
fn offered(
    mapping: &Mapping,
    name: &str,
    value: Option<&str>,
    code: &str,
    message: &str,
) -> Vec<SuggestedFix> {
    let entry = classify(ErrorSource::Salesforce, code, message);
    offers(&entry.remedies, mapping, &failing(mapping, name, value, code, message))
}

fn failing(mapping: &Mapping, name: &str, value: Option<&str>, code: &str, message: &str) -> RecordView {
    let entry = classify(ErrorSource::Salesforce, code, message);
    let error = SyncError {
        mapping: mapping.object.clone(),
        table: mapping.table.clone(),
        category: entry.category,
        class: entry.class,
        message: message.to_owned(),
        fields: vec![name.to_owned()],
        ..SyncError::sample(1, code)
    };
    let value_of = |field: &Field| (field.name == name).then(|| value.map(str::to_owned)).flatten();
    let row = RowRef { table: mapping.table.clone(), row: RowId(1) };
    let values = mapping.fields.iter().map(|field| (field.clone(), value_of(field))).collect();
    RecordView::failed(row, &mapping.object, values, error)
}

fn made(offers: &[SuggestedFix]) -> Vec<Option<&str>> {
    offers.iter().flat_map(|offer| &offer.changes).map(|edit| edit.new.as_deref()).collect()
}

#[test]
fn only_what_changes_the_value_into_one_that_fits_is_offered() {
    let email = |value| offered(&mapping(), "Email", Some(value), "INVALID_EMAIL_ADDRESS", "Email: invalid");
    assert_eq!(made(&email("jane@acme,com")), [Some("jane@acme.com"), None]);
    assert_eq!(made(&email("jane at acme.com")), [Some("jane@acme.com"), None]);
    assert_eq!(made(&email("Jane Doe <jane@acme.com>")), [Some("jane@acme.com"), None]);
    assert_eq!(made(&email("call me maybe")), [None]);
    let long = offered(&mapping(), "LastName", Some("  Lovelace     "), "STRING_TOO_LONG", "");
    assert_eq!(made(&long)[0], Some("Lovelace"));
    // Counted as it was refused, and never half of what is seen as one character.
    let emoji = offered(&mapping(), "LastName", Some("😀😀😀😀😀😀"), "STRING_TOO_LONG", "");
    assert_eq!(made(&emoji), [Some("😀😀😀😀😀")]);
    let family = offered(&mapping(), "LastName", Some("👨‍👩‍👧‍👦👨‍👩‍👧‍👦"), "STRING_TOO_LONG", "");
    assert!(made(&family).is_empty());
    // A required field is not cleared; a number of no country is not offered as one.
    let missing = offered(&mapping(), "LastName", None, "REQUIRED_FIELD_MISSING", "");
    assert!(made(&missing).is_empty());
    let phone = |value| {
        let text = "Phone must be a valid phone number";
        offered(&mapping(), "Phone", Some(value), "FIELD_CUSTOM_VALIDATION_EXCEPTION", text)
    };
    assert_eq!(made(&phone("(202) 555-0143")), [Some("+12025550143"), None]);
    assert_eq!(made(&phone("+49 30 901820")), [Some("+4930901820"), None]);
    assert_eq!(made(&phone("(555) 555-0143")), [None]);
}

#[test]
fn what_is_near_no_value_of_a_list_is_chosen_by_a_person() {
    let mut mapping = mapping();
    let picklist = ["Hot", "Warm", "Cold"].map(str::to_owned).to_vec();
    mapping.fields.push(Field {
        picklist,
        restricted: true,
        nillable: true,
        createable: true,
        updateable: true,
        ..Field::plain("Rating", FieldType::Picklist)
    });
    let rating =
        |value| offered(&mapping, "Rating", value, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", "bad value");
    assert_eq!(made(&rating(Some("Clod"))), [Some("Cold"), None]);
    let picks = |offers: &[SuggestedFix]| {
        offers.iter().find(|offer| offer.action == Some(RemedyAction::Pick)).and_then(|offer| offer.number)
    };
    assert_eq!(picks(&rating(Some("Clod"))), None);
    for value in ["Hotel", "Lukewarm", "Colour"] {
        let offers = rating(Some(value));
        assert_eq!((made(&offers), picks(&offers)), (vec![None], Some(1)), "{value}: {offers:#?}");
    }
    let missing = offered(&mapping, "Rating", None, "REQUIRED_FIELD_MISSING", "");
    assert_eq!(picks(&missing), Some(1), "{missing:#?}");
    // The list has it, and the record's type or another field of it forbids it.
    let forbidden = rating(Some("Warm"));
    assert_eq!((made(&forbidden), picks(&forbidden)), (vec![None], Some(1)), "{forbidden:#?}");
    mapping.fields.last_mut().unwrap().kind = FieldType::Multipicklist;
    let many = |value| {
        offered(&mapping, "Rating", Some(value), "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", "bad value")
    };
    assert_eq!(made(&many("Warm;Clod")), [Some("Warm;Cold"), None]);
    assert_eq!((made(&many("Warm;Hotel")), picks(&many("Warm;Hotel"))), (vec![None], Some(1)));
}

fn rules_of(offers: &[SuggestedFix]) -> Vec<&str> {
    let is_rule = |offer: &&SuggestedFix| matches!(offer.action, Some(RemedyAction::Rule { .. }));
    offers.iter().filter(is_rule).map(|offer| offer.text.as_str()).collect()
}

#[test]
fn a_rule_is_offered_only_where_it_makes_the_value_pass() {
    let phone = |mapping: &Mapping, value| {
        offered(mapping, "Phone", Some(value), "FIELD_CUSTOM_VALIDATION_EXCEPTION", "Invalid phone number")
    };
    assert!(rules_of(&phone(&mapping(), "call me")).is_empty());
    assert!(rules_of(&phone(&mapping(), "(202) 555-0143"))[0].contains("in the international form"));
    let mut with = mapping();
    with.rules.set("Phone.transforms", "phone_e164(US)").unwrap();
    let failed = offered(&with, "Phone", Some("202-555-0143 x12"), "TRANSFORM_FAILED", "");
    assert_eq!(rules_of(&failed), ["Leave values of Phone that cannot be taken out from now on"]);
    assert_eq!(made(&failed), [Some("202-555-0143"), None]);
    // Salesforce accepts such a value of no field, and refuses it whatever is said here.
    let email = offered(&mapping(), "Email", Some("jane@acme.com"), "INVALID_EMAIL_ADDRESS", "");
    assert!(rules_of(&email).is_empty());
}

#[test]
fn a_remedy_never_contradicts_the_reason() {
    let texts = |mapping: &Mapping, name: &str| -> Vec<String> {
        let offers = offered(mapping, name, None, "REQUIRED_FIELD_MISSING", "");
        offers.into_iter().map(|offer| offer.text).collect()
    };
    let asks = |texts: &[String]| texts.iter().any(|text| text.starts_with("Do not ask for"));
    assert!(!asks(&texts(&mapping(), "LastName")), "Salesforce itself asks for it");
    let mut asked = mapping();
    asked.rules.set("Phone.required", "true").unwrap();
    assert!(asks(&texts(&asked, "Phone")), "the mapping asks for it");
    let mut made = mapping();
    made.fields[0].createable = false;
    made.fields[0].updateable = false;
    let told = texts(&made, "LastName");
    assert!(told.iter().all(|text| !text.contains("(e)")), "{told:?}");
    assert!(told[0].contains("Grant"), "{told:?}");
}

#[test]
fn a_rule_is_offered_until_it_is_set_and_joins_what_is_there() {
    let mut mapping = mapping();
    let rules = |mapping: &Mapping| -> Vec<(String, String)> {
        let offers = offered(mapping, "LastName", Some("far too long a name"), "STRING_TOO_LONG", "");
        offers
            .into_iter()
            .filter_map(|offer| match offer.action {
                Some(RemedyAction::Rule { key, value }) => Some((key, value)),
                _ => None,
            })
            .collect()
    };
    let joined = |value: &str| vec![("LastName.transforms".to_owned(), value.to_owned())];
    assert_eq!(rules(&mapping), joined("truncate(field)"));
    mapping.rules.set("LastName.transforms", "trim").unwrap();
    assert_eq!(rules(&mapping), joined("trim | truncate(field)"));
    mapping.rules.set("LastName.transforms", "trim | truncate(field)").unwrap();
    assert!(rules(&mapping).is_empty());
    // Upserts need a key to go by.
    let upsert = |mapping: &Mapping| {
        let offers = offered(mapping, "LastName", Some("x"), "DUPLICATE_VALUE", "");
        offers.iter().any(|o| matches!(&o.action, Some(RemedyAction::Rule { key, .. }) if key == "upsert"))
    };
    mapping.rules.set("upsert", "false").unwrap();
    assert!(!upsert(&mapping));
    mapping.external_id = Some("LastName".to_owned());
    assert!(upsert(&mapping));
}

#[test]
fn what_empties_a_value_is_never_the_first_and_asks() {
    for (value, numbers) in [("a@b,c", vec![1, 2, 3]), ("call me maybe", vec![1, 2])] {
        let offers = offered(&mapping(), "Email", Some(value), "INVALID_EMAIL_ADDRESS", "");
        let found: Vec<usize> = offers.iter().filter_map(|offer| offer.number).collect();
        assert_eq!(found, numbers);
        let last = offers.last().unwrap();
        assert!(last.clears && offers.iter().filter(|offer| offer.clears).count() == 1, "{offers:#?}");
        let mut record = failing(&mapping(), "Email", Some(value), "INVALID_EMAIL_ADDRESS", "");
        assert!(last.question(&record).unwrap().contains(value), "{last:?}");
        record.masked = vec!["email".to_owned()];
        assert!(!last.question(&record).unwrap().contains(value), "{last:?}");
    }
    // The only one that there is bears another number all the same.
    let mut mapping = mapping();
    mapping.rules.set("Email.skip_invalid", "true").unwrap();
    let offers = offered(&mapping, "Email", Some("call me maybe"), "INVALID_EMAIL_ADDRESS", "");
    let numbers: Vec<usize> = offers.iter().filter_map(|offer| offer.number).collect();
    assert_eq!(numbers, [2], "{offers:#?}");
    assert!(!offers[0].clears && !offers[0].mends_a_value());
}

#[test]
fn what_can_be_done_is_numbered_and_the_rest_is_not() {
    let offers = offered(&mapping(), "Email", Some("a@b,c"), "INVALID_EMAIL_ADDRESS", "");
    let numbers: Vec<usize> = offers.iter().filter_map(|offer| offer.number).collect();
    assert_eq!(numbers, [1, 2, 3]);
    assert!(offers.iter().all(|offer| offer.number.is_some() == offer.action.is_some()));
    assert!(offers.iter().any(|offer| offer.text == "Clear Email"));
}
