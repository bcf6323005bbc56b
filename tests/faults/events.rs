//! Change events on bad days: engines that die between an event and its row, and long polls that break. Polls are no help
//! here: they are an hour apart, and what changes is made older than they look back.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::json;
use syncdeck::postgres::failpoint;

use crate::application::CONTACT;
use crate::proxy::Mode;
use crate::support::server;
use crate::world::World;

const MAPPINGS: &str = r#"
[[mapping]]
object = "Contact"
fields = ["LastName", "Description", "FirstName", "Email", "Title"]
external_id = "External_Id__c"
poll_interval = "1h"
change_events = true
"#;

/// A world whose engine has heard of one contact; its id.
async fn listening(name: &str) -> (World, String) {
    let mut world = World::build(name, server(), MAPPINGS, &[CONTACT]).await;
    world.org.select_entity("Contact");
    world.engine().await;
    let flows = "SELECT count(*) FROM syncdeck.change_events WHERE flows AND poll_at IS NULL";
    world.until_count("events come", flows, 1).await;
    let contact = json!({"LastName": "Hopper", "External_Id__c": "K1"});
    let id = world.org.user_create("Contact", contact.as_object().unwrap().clone()).unwrap();
    let noted = "SELECT count(*) FROM syncdeck.change_events, salesforce.contact WHERE replay_id IS NOT NULL";
    world.until_count("it has its row", noted, 1).await;
    (world, id)
}

/// Changes the contact, so that only an event tells.
fn change(world: &World, id: &str, title: &str) {
    world.user_writes("Contact", id, "Title", json!(title));
    world.org.backdate("Contact", TimeDelta::days(1));
}

const TITLE: &str = "SELECT title FROM salesforce.contact";

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_dies_between_an_event_and_its_row_loses_nothing() {
    let (mut world, id) = listening("dies between event and row").await;
    for point in failpoint::EVENTS {
        world.rearm(0, &format!("{point}=kill"));
        let (met, mut number) = (format!("failpoint {point}:"), 0);
        // What is noted before the first poll of an engine is read by that.
        while !world.printed().contains(&met) {
            number += 1;
            change(&world, &id, &format!("{point} {number}"));
            world.look_after().await;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        world.disarm();
        world.until_text("the row has it", TITLE, &format!("{point} {number}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn long_polls_that_break_lose_no_event() {
    let (mut world, id) = listening("long polls break").await;
    let modes = [Mode::Reset, Mode::HalfClose, Mode::CutAfter(0), Mode::CutAfter(400), Mode::Trickle];
    for (number, mode) in modes.into_iter().enumerate() {
        let before = world.to_org.hits();
        world.to_org.set(mode);
        change(&world, &id, &format!("Title {number}"));
        let proxy = world.to_org.clone();
        world.until(&format!("{mode:?} met something"), async |_| proxy.hits() > before).await;
        world.to_org.set(Mode::Pass);
        world.until_text("the row has it", TITLE, &format!("Title {number}")).await;
    }
}
