//! Believable records for a new org, the same ones for the same seed.

use chrono::{TimeDelta, Utc};
use fake::Fake;
use fake::faker::address::en::{CityName, CountryName};
use fake::faker::company::en::{Buzzword, CatchPhrase, CompanyName, Profession};
use fake::faker::internet::en::{DomainSuffix, FreeEmailProvider};
use fake::faker::name::en::{FirstName, LastName};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Map, Value, json};

use super::fields::Fields;
use super::ids::make_id;
use super::org::{Org, State};
use super::records::Record;
use super::schema::FieldDef;
use super::users::User;

/// Shares of the objects, of 100.
const SHARES: [(&str, &str, usize); 8] = [
    ("Account", "ACC", 20),
    ("Contact", "CON", 30),
    ("Lead", "LEA", 12),
    ("Opportunity", "OPP", 12),
    ("Case", "CAS", 8),
    ("Product2", "PRO", 2),
    ("Invoice__c", "INV", 6),
    ("Invoice_Line__c", "LIN", 10),
];

/// Fills an org with about `records` records over its objects, parents linked, changed over the past year.
pub fn populate(org: &Org, records: usize, seed: u64) {
    let mut dice = StdRng::seed_from_u64(seed);
    let _turn = org.turn();
    for (object, prefix, share) in SHARES {
        let count = (records * share).div_ceil(100);
        for number in 1..=count {
            // Whoever reads meanwhile waits for one record at most.
            let mut state = org.lock();
            let mut fields = values(&state, object, number, &mut dice);
            fields.insert("External_Id__c".to_owned(), json!(format!("{prefix}-{number:06}")));
            insert(&mut state, object, fields, &mut dice);
        }
    }
}

fn insert(state: &mut State, object: &str, mut fields: Map<String, Value>, dice: &mut StdRng) {
    let Some(table) = state.table_mut(object) else { return };
    table.def.compose(&mut fields);
    let id = table.records.next_id(&table.def.prefix);
    let by = User::ALL[table.records.len() % User::ALL.len()];
    if table.def.fields.iter().any(FieldDef::is_owner) {
        fields.insert("OwnerId".to_owned(), json!(by.id()));
    }
    let age = TimeDelta::seconds(dice.random_range(86_400..31_536_000));
    let created = Utc::now() - age;
    let modified = created + age * dice.random_range(0..90) / 100;
    let record = Record { modified, ..Record::new(id, Fields::of(&fields), created, by) };
    table.index(&record);
    table.records.put(record);
}

/// A person's name and an address that goes with it.
pub fn person(dice: &mut StdRng) -> (String, String, String) {
    let first: String = FirstName().fake_with_rng(dice);
    let last: String = LastName().fake_with_rng(dice);
    let host: String = FreeEmailProvider().fake_with_rng(dice);
    let plain =
        |name: &str| name.chars().filter(char::is_ascii_alphabetic).collect::<String>().to_lowercase();
    let email = format!("{}.{}{}@{host}", plain(&first), plain(&last), dice.random_range(1..9_999));
    (first, last, email)
}

/// Area codes of the United States that are in use.
const AREAS: [u16; 8] = [202, 206, 212, 303, 312, 415, 512, 617];

/// A phone number in a country's usual way, of those that are valid and given to nobody: 555-0100 to 555-0199, and
/// London's 7946 0000 to 0999.
pub fn phone(dice: &mut StdRng) -> String {
    let area = |dice: &mut StdRng| AREAS[dice.random_range(0..AREAS.len())];
    match dice.random_range(0..3) {
        0 => format!("+1 {} 555 {:04}", area(dice), dice.random_range(100..200)),
        1 => format!("({}) 555-{:04}", area(dice), dice.random_range(100..200)),
        _ => format!("+44 20 7946 {:04}", dice.random_range(0..1_000)),
    }
}

/// A company.
pub fn company(dice: &mut StdRng) -> String {
    CompanyName().fake_with_rng(dice)
}

/// A few words about business.
pub fn phrase(dice: &mut StdRng) -> String {
    CatchPhrase().fake_with_rng(dice)
}

fn pick(dice: &mut StdRng, words: &[&str]) -> Value {
    json!(words.choose(dice).copied().unwrap_or_default())
}

fn date(dice: &mut StdRng, from: i64, to: i64) -> Value {
    json!((Utc::now() + TimeDelta::days(dice.random_range(from..to))).format("%Y-%m-%d").to_string())
}

fn any(state: &State, object: &str, dice: &mut StdRng) -> Value {
    let Some(table) = state.table(object).filter(|table| table.records.len() > 0) else { return Value::Null };
    json!(make_id(&table.def.prefix, dice.random_range(1..=table.records.len() as u64)))
}

fn values(state: &State, object: &str, number: usize, dice: &mut StdRng) -> Map<String, Value> {
    let (first, last, email) = person(dice);
    let money =
        |dice: &mut StdRng, most: f64| json!((dice.random_range(1.0..most) * 100.0_f64).round() / 100.0);
    let fields = match object {
        "Account" => {
            let name = company(dice);
            let host = name.split([' ', ',', '-']).next().unwrap_or("acme").to_lowercase();
            let suffix: String = DomainSuffix().fake_with_rng(dice);
            json!({"Name": name, "AccountNumber": format!("A{number:05}"), "Phone": phone(dice),
                "Website": format!("https://www.{host}.{suffix}"),
                "Industry": pick(dice, &["Banking", "Construction", "Energy", "Retail", "Technology", "Transportation"]),
                "Rating": pick(dice, &["Hot", "Warm", "Cold"]), "AnnualRevenue": dice.random_range(100_000..90_000_000),
                "NumberOfEmployees": dice.random_range(3..20_000), "BillingCity": CityName().fake_with_rng::<String, _>(dice),
                "BillingCountry": CountryName().fake_with_rng::<String, _>(dice), "Nickname__c": host.chars().take(9).collect::<String>(),
                "Fleet_Size__c": dice.random_range(0..400).to_string(), "Secret_Tier__c": pick(dice, &["gold", "silver", "bronze"])})
        }
        "Contact" => json!({"FirstName": first, "LastName": last, "Email": email, "Phone": phone(dice),
            "AccountId": any(state, "Account", dice), "Title": Profession().fake_with_rng::<String, _>(dice),
            "Birthdate": date(dice, -25_000, -7_000), "LeadSource": pick(dice, &["Web", "Phone Inquiry", "Other"]),
            "Level__c": pick(dice, &["Primary", "Secondary", "Tertiary"]), "Legacy_Code__c": format!("L{number:06}"),
            "Score__c": money(dice, 100.0)}),
        "Lead" => {
            json!({"FirstName": first, "LastName": last, "Email": email, "Phone": phone(dice), "Company": company(dice),
            "Status": pick(dice, &["Open", "Contacted", "Qualified"]), "Rating": pick(dice, &["Hot", "Warm", "Cold"]),
            "City": CityName().fake_with_rng::<String, _>(dice), "NumberOfEmployees": dice.random_range(1..5_000)})
        }
        "Opportunity" => {
            json!({"Name": format!("{} {}", company(dice), Buzzword().fake_with_rng::<String, _>(dice)),
            "AccountId": any(state, "Account", dice), "StageName": pick(dice, &["Prospecting", "Proposal", "Negotiation", "Closed Won"]),
            "CloseDate": date(dice, -100, 300), "Amount": money(dice, 500_000.0), "Probability": dice.random_range(0..100), "IsPrivate": false})
        }
        "Case" => json!({"Subject": phrase(dice), "Status": pick(dice, &["New", "Working", "Closed"]),
            "Priority": pick(dice, &["High", "Medium", "Low"]), "Origin": pick(dice, &["Phone", "Email", "Web"]),
            "ContactId": any(state, "Contact", dice), "AccountId": any(state, "Account", dice), "SuppliedEmail": email}),
        "Product2" => {
            json!({"Name": phrase(dice), "ProductCode": format!("P-{number:04}"), "Family": pick(dice, &["Hardware", "Software", "Service"]),
            "IsActive": true, "Weight__c": money(dice, 80.0)})
        }
        "Invoice__c" => {
            json!({"Name": format!("Invoice {number}"), "Account__c": any(state, "Account", dice), "Amount__c": money(dice, 9_000.0),
            "Status__c": pick(dice, &["Draft", "Sent", "Paid"]), "Due_Date__c": date(dice, -60, 60), "Billing_Email__c": email})
        }
        _ => {
            json!({"Name": phrase(dice), "Invoice__c": any(state, "Invoice__c", dice), "Quantity__c": dice.random_range(1..20),
            "Unit_Price__c": money(dice, 400.0), "Taxed__c": dice.random_range(0..2) == 1})
        }
    };
    match fields {
        Value::Object(mut fields) => {
            // Business names run long; what is seeded is valid.
            if let Some(Value::String(name)) = fields.get_mut("Name") {
                *name = name.chars().take(80).collect();
            }
            fields
        }
        _ => Map::new(),
    }
}
