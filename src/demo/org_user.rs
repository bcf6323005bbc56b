//! Those on Salesforce's side: a user who edits and creates records, an administrator who has changed three fields,
//! and the passing trouble of an org under load.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use crate::postgres::Store;
use crate::simulator::{Org, seed};

/// Between two things that happen in the org.
const PAUSE: Duration = Duration::from_millis(700);

/// Runs until the end, from when the tables are laid out and loaded.
pub(super) async fn run(org: Org, store: Store, stop: CancellationToken) {
    let mut dice = StdRng::seed_from_u64(55);
    if !wait_loaded(&store, &stop).await {
        return;
    }
    // The columns were made by what the fields were before.
    org.shorten_field("Account", "Nickname__c", 10);
    org.retype_to_number("Account", "Fleet_Size__c", 6, 0);
    org.deny_write("Account", "Secret_Tier__c", true);
    org.change_faults(|faults| {
        faults.latency_ms = 15;
        faults.row_lock = 0.01;
    });
    let mut round = 0_u32;
    loop {
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = stop.cancelled() => break,
        }
        round += 1;
        edit(&org, &mut dice);
        trouble(&org, round);
    }
    // What is still unsent drains without new trouble.
    org.change_faults(|faults| faults.row_lock = 0.0);
}

/// Waits until the tables are laid out and loaded; false when the end comes first.
pub(super) async fn wait_loaded(store: &Store, stop: &CancellationToken) -> bool {
    loop {
        let loaded = store.overview().await.is_ok_and(|overview| {
            !overview.mappings.is_empty()
                && overview.mappings.iter().all(|mapping| mapping.last_read.is_some())
        });
        if loaded {
            return true;
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
            () = stop.cancelled() => return false,
        }
    }
}

/// One edit of the Salesforce user.
fn edit(org: &Org, dice: &mut StdRng) {
    let (object, field) = *[
        ("Contact", "Title"),
        ("Account", "Description"),
        ("Opportunity", "NextStep"),
        ("Case", "Description"),
    ]
    .choose(dice)
    .unwrap_or(&("Contact", "Title"));
    let mut fields = Map::new();
    if dice.random_range(0..8) == 0 {
        let (first, last, email) = seed::person(dice);
        fields.extend(
            [("FirstName", first), ("LastName", last), ("Email", email)]
                .map(|(name, value)| (name.to_owned(), Value::from(value))),
        );
        let _ = org.user_create("Contact", fields);
        return;
    }
    fields.insert(field.to_owned(), json!(seed::phrase(dice)));
    if let Some(id) = org.ids(object).choose(dice) {
        // Somebody else may have deleted it a moment ago.
        let _ = org.user_update(object, id, fields);
    }
}

/// What an org under load does, each in its turn.
fn trouble(org: &Org, round: u32) {
    org.change_faults(|faults| match round % 40 {
        4 => faults.expire_session = 1,
        8 => faults.concurrent_limit = 1,
        12 => faults.server_error = 1,
        16 => faults.unavailable = 1,
        20 => faults.lose_answer = 1,
        26 => faults.too_many = 1,
        _ => {}
    });
}
