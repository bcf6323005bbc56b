//! Every strategy with every policy, both sides writing while things go wrong: whatever the policy decides, nothing is
//! lost without being kept, and both sides agree in the end.

use std::time::Duration;

use rand::RngExt;
use rand::seq::IndexedRandom;
use serde_json::{Value, json};
use syncdeck::domain::mappings::strategy::Strategy;
use syncdeck::domain::reports::overview::Writes;
use tokio::time::Instant;

use crate::application::{ACCOUNT, CONTACT};
use crate::support::{operation, server};
use crate::world::{MAPPINGS, World, span};

async fn every_strategy_with(policy: &str) {
    for strategy in Strategy::ALL.map(Strategy::word) {
        let rules = format!(
            "strategy = \"{strategy}\"\nconflicts = \"{policy}\"\nretry_schedule = [\"0s\", \"100ms\"]\n\
             retry_delay = \"50ms\"\npoll_interval"
        );
        let name = format!("{strategy} and {policy}");
        let mappings = MAPPINGS.replace("poll_interval", &rules);
        let mut world = World::build(&name, server(), &mappings, &[ACCOUNT, CONTACT]).await;
        world.engine().await;
        collide(&mut world).await;
        world.application.start(3, world.seed, Duration::from_millis(20));
        write_in_the_org(&mut world).await;
        world.application.finish().await;
        world.end_faults().await;
        world.resumes = strategy == "fail_fast";
        if world.resumes {
            let stops = "SELECT (count(*) > 0)::text FROM syncdeck.log WHERE message LIKE '% stops: %'";
            // Its first failure may still be on its way, or its line of the log.
            world.until_text("a failure stops the writes", stops, "true").await;
        }
        world.judge().await;
        world.what_lost_is_kept().await;
    }
}

/// One field that certainly changes on both sides, and one failure.
async fn collide(world: &mut World) {
    let insert =
        "INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Doe', 'both') RETURNING id";
    let id: i32 = world.sql.query_one(insert, &[]).await.unwrap().get(0);
    world.application.note(CONTACT, "both", id, &[("LastName", json!("Doe"))]);
    world
        .until("it is there", async |world| world.org.find_by_external_id("Contact", "both").is_some())
        .await;
    world.store.set_writes(Some("contact"), Writes::Pause, &operation("tester@here")).await.unwrap();
    world.run(&format!("UPDATE salesforce.contact SET lastname = 'Ours' WHERE id = {id}")).await;
    world.application.note(CONTACT, "both", id, &[("LastName", json!("Ours"))]);
    let record = world.org.find_by_external_id("Contact", "both").unwrap();
    world.user_writes("Contact", &record, "LastName", json!("Theirs"));
    world.until_count("both changes are known", "SELECT count(*) FROM syncdeck.conflict", 1).await;
    world.store.set_writes(Some("contact"), Writes::Resume, &operation("tester@here")).await.unwrap();
    let bad = "INSERT INTO salesforce.contact (lastname, email, external_id__c) VALUES ('Doe', 'nobody', 'bad') RETURNING id";
    let id: i32 = world.sql.query_one(bad, &[]).await.unwrap().get(0);
    world.application.note(CONTACT, "bad", id, &[("Email", json!("nobody"))]);
}

/// A user of the org edits the fields that the application writes, and calls fail in between.
async fn write_in_the_org(world: &mut World) {
    let end = Instant::now() + span(1.4);
    let (mut edits, mut toggled, mut resting) = (0, Instant::now(), false);
    while Instant::now() < end {
        world.random_pause(Duration::from_millis(20)).await;
        // What rests a while meets what comes from the other side.
        if toggled.elapsed() > Duration::from_millis(450) {
            (toggled, resting) = (Instant::now(), !resting);
            for table in ["account", "contact"] {
                // One that a failure stopped is no longer to be paused.
                let _ = match resting {
                    true => {
                        world.store.set_writes(Some(table), Writes::Pause, &operation("tester@here")).await
                    }
                    false => {
                        world.store.set_writes(Some(table), Writes::Resume, &operation("tester@here")).await
                    }
                };
            }
        }
        let die = world.dice.random_range(0..150);
        world.org.change_faults(|faults| match die {
            0 => faults.lose_answer = 1,
            1 => faults.server_error = 1,
            2 => faults.row_lock = 0.2,
            3 => faults.row_lock = 0.0,
            _ => {}
        });
        let (object, fields) =
            *[("Account", ["Name", "Description"]), ("Contact", ["FirstName", "Description"])]
                .choose(&mut world.dice)
                .unwrap();
        let ids = world.org.ids(object);
        if let (Some(id), Some(field)) = (ids.choose(&mut world.dice), fields.choose(&mut world.dice)) {
            edits += 1;
            world.user_writes(object, id, field, json!(format!("user-{edits}")));
        }
    }
    for table in ["account", "contact"] {
        let _ = world.store.set_writes(Some(table), Writes::Resume, &operation("tester@here")).await;
    }
}

impl World {
    /// The last value committed to a field arrived, stands in the list, or is kept as what lost.
    async fn what_lost_is_kept(&mut self) {
        let standing = self.store.standing().await.unwrap();
        let journal = self.org.journal_since(0);
        let mut silent = Vec::new();
        for (key, commits) in self.application.ledger.all() {
            if commits.deleted || standing.contains_key(&(commits.table.clone(), commits.row)) {
                continue;
            }
            for (field, values) in &commits.fields {
                let Some((_, Value::String(last))) = values.last() else { continue };
                let arrived = journal.iter().any(|entry| {
                    entry.source == "api"
                        && entry.external_id.as_deref() == Some(&key)
                        && entry.fields.get(field).and_then(Value::as_str) == Some(last)
                });
                let kept = format!(
                    "SELECT count(*) FROM syncdeck.conflict WHERE table_name = '{}' AND record_id = {} AND column_name = '{}'
                     AND postgres = '{last}' AND winner = 'salesforce'",
                    commits.table,
                    commits.row,
                    field.to_lowercase()
                );
                if !arrived && self.count(&kept).await == 0 {
                    silent.push(format!("{key} {field} = {last}"));
                }
            }
        }
        if !silent.is_empty() {
            self.give_up(&format!("overwritten without a trace: {silent:?}")).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_wins_under_every_strategy() {
    every_strategy_with("newest_wins").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn salesforce_wins_under_every_strategy() {
    every_strategy_with("salesforce_wins").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_wins_under_every_strategy() {
    every_strategy_with("postgres_wins").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_decides_under_every_strategy() {
    every_strategy_with("manual").await;
}
