//! What a large org takes of the machine.

use serde_json::json;
use syncdeck::simulator::{Org, OrgOptions};

const RECORDS: usize = 1_000_000;
const MEGABYTE: u64 = 1_000_000;

/// What this program has in memory, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1_024
}

#[test]
#[ignore = "by hand, for it takes minutes: cargo test --test simulator million -- --ignored --nocapture"]
fn a_million_contacts_with_their_journal_take_less_than_one_and_a_half_gigabytes() {
    let org = Org::new(OrgOptions::default());
    let before = resident();
    let account = json!({"Name": "Acme", "External_Id__c": "A"}).as_object().unwrap().clone();
    let account = org.user_create("Account", account).unwrap();
    for number in 0..RECORDS {
        let contact = json!({"FirstName": "Augusta Ada", "LastName": format!("Lovelace {number}"), "AccountId": account,
            "Email": format!("ada.lovelace.{number}@acme.example"), "Phone": "+1 415 555 0100", "Title": "Countess of numbers",
            "Birthdate": "1815-12-10", "LeadSource": "Phone Inquiry", "Level__c": "Primary", "Score__c": number,
            "Legacy_Code__c": format!("L{number:07}"), "External_Id__c": format!("CON-{number:07}")});
        org.user_create("Contact", contact.as_object().unwrap().clone()).unwrap();
    }
    let taken = resident() - before;
    assert_eq!(org.ids("Contact").len(), RECORDS);
    let kept = org.journal_since(0).len();
    println!("{RECORDS} contacts and a journal of {kept} writes: {} MB", taken / MEGABYTE);
    assert!(taken < 1_500 * MEGABYTE, "{taken}");
}
