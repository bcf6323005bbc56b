//! Records that hang together, and changes that cross.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::RngExt;
use rand::seq::{IndexedRandom, SliceRandom};
use serde_json::json;
use tokio::time::Instant;

use crate::application::{ACCOUNT, CONTACT, Written};
use crate::support::server;
use crate::world::{World, span};

/// Three generations, each naming the one above by its external id; the children are mapped first.
const FAMILY: &str = r#"
[[mapping]]
object = "Invoice_Line__c"
fields = ["Name", "Quantity__c", "Invoice__r.External_Id__c"]
external_id = "External_Id__c"
poll_interval = "300ms"
[[mapping]]
object = "Invoice__c"
fields = ["Name", "Billing_Email__c", "Account__r.External_Id__c"]
external_id = "External_Id__c"
poll_interval = "300ms"
[[mapping]]
object = "Account"
fields = ["Name", "Rating"]
external_id = "External_Id__c"
poll_interval = "300ms"
"#;

const FAMILY_TABLES: [Written; 3] = [
    Written { table: "account", object: "Account", columns: &[("name", "Name")] },
    Written { table: "invoice__c", object: "Invoice__c", columns: &[("name", "Name")] },
    Written { table: "invoice_line__c", object: "Invoice_Line__c", columns: &[("name", "Name")] },
];

/// A member of the family: its key, its parent's, and whether Salesforce refuses it.
struct Member {
    generation: usize,
    key: String,
    parent: Option<String>,
    bad: bool,
}

impl Member {
    fn sql(&self) -> String {
        let Member { key, parent, bad, .. } = self;
        let parent = parent.as_deref().unwrap_or("");
        match self.generation {
            0 => format!(
                "INSERT INTO salesforce.account (name, external_id__c, rating) VALUES ('{key}', '{key}', {})",
                if *bad { "'Nope'" } else { "NULL" }
            ),
            1 => format!(
                "INSERT INTO salesforce.invoice__c (name, external_id__c, billing_email__c, account__r__external_id__c)
                 VALUES ('{key}', '{key}', {}, '{parent}')",
                if *bad { "'nobody'" } else { "NULL" }
            ),
            _ => format!(
                "INSERT INTO salesforce.invoice_line__c (name, external_id__c, invoice__r__external_id__c)
                 VALUES ('{key}', '{key}', '{parent}')"
            ),
        }
    }
}

fn family(dice: &mut rand::rngs::StdRng) -> Vec<Member> {
    let mut members: Vec<Member> = Vec::new();
    for n in 0..90 {
        let generation = if n < 15 { 0 } else { dice.random_range(1..3) };
        let above: Vec<&Member> =
            members.iter().filter(|member| generation > 0 && member.generation == generation - 1).collect();
        let parent = above.choose(dice).map(|member| member.key.clone());
        let generation = if generation > 0 && parent.is_none() { 0 } else { generation };
        let bad = generation < 2 && dice.random_range(0..10) == 0;
        members.push(Member { generation, key: format!("F{n}"), parent, bad });
    }
    // At least one failing parent with a child, whatever the dice say.
    members[0].bad = true;
    members.push(Member {
        generation: 1,
        key: "F-child".to_owned(),
        parent: Some("F0".to_owned()),
        bad: false,
    });
    members.shuffle(dice);
    members
}

#[tokio::test(flavor = "multi_thread")]
async fn children_follow_their_parents_whatever_the_order_and_those_of_failing_ones_are_held() {
    let mut world = World::build("family", server(), FAMILY, &FAMILY_TABLES).await;
    world.engine().await;
    let members = family(&mut world.dice);
    for member in &members {
        world.run(&member.sql()).await;
        if world.dice.random_range(0..5) == 0 {
            world.random_pause(Duration::from_millis(60)).await;
        }
    }
    let by_key: BTreeMap<&str, &Member> =
        members.iter().map(|member| (member.key.as_str(), member)).collect();
    let blocked = |member: &Member| {
        let mut above = member.parent.as_deref();
        while let Some(parent) = above.map(|key| by_key[key]) {
            if parent.bad {
                return true;
            }
            above = parent.parent.as_deref();
        }
        false
    };
    let good: Vec<&Member> = members.iter().filter(|member| !member.bad && !blocked(member)).collect();
    // What is wrong with a child itself is said before it has to wait.
    let held = members.iter().filter(|member| !member.bad && blocked(member)).count();
    world
        .until("every child of well parents is there", async |world| {
            good.iter().all(|member| {
                let object = FAMILY_TABLES[member.generation].object;
                world.org.find_by_external_id(object, &member.key).is_some()
            })
        })
        .await;
    let listed = format!(
        "SELECT count(*) = {held} AND bool_and(message LIKE 'waits for %' AND code = 'PARENT_NOT_SYNCED' AND attempts = 0)
         FROM syncdeck.error WHERE resolved_at IS NULL AND state = 'held'"
    );
    world
        .until(&format!("the {held} others are held and name their blocker"), async |world| {
            world.sql.query_one(&listed, &[]).await.unwrap().get::<_, Option<bool>>(0) == Some(true)
        })
        .await;
    for member in good.iter().filter(|member| member.generation == 2) {
        let of = |object: &str, key: &str| world.org.find_by_external_id(object, key).unwrap();
        let line = world.org.record("Invoice_Line__c", &of("Invoice_Line__c", &member.key)).unwrap();
        assert_eq!(line["Invoice__c"], json!(of("Invoice__c", member.parent.as_deref().unwrap())));
    }
    // The parents are mended; everybody follows by himself.
    world
        .run("UPDATE salesforce.account SET rating = NULL; UPDATE salesforce.invoice__c SET billing_email__c = NULL")
        .await;
    world
        .until("nobody is held any more", async |world| {
            let sql = "SELECT count(*) FROM syncdeck.unit";
            world.sql.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 0
        })
        .await;
    world.judge().await;
    for (of, count) in FAMILY_TABLES.iter().zip([0, 1, 2]) {
        // The probe made one more of the first.
        let there = world.org.ids(of.object).len() - if count == 0 { 2 } else { 0 };
        assert_eq!(there, members.iter().filter(|member| member.generation == count).count());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_edited_at_once_agree_in_the_end_and_fall_silent() {
    let mut world = World::new("both sides").await;
    world.engine().await;
    world.application.start(3, world.seed, Duration::from_millis(20));
    let end = Instant::now() + span(5.0);
    let mut edits = 0;
    while Instant::now() < end || edits <= 50 {
        world.random_pause(Duration::from_millis(30)).await;
        let (object, fields) =
            *[("Account", ["BillingCity", "Description"]), ("Contact", ["Title", "Description"])]
                .choose(&mut world.dice)
                .unwrap();
        let ids = world.org.ids(object);
        let (Some(id), Some(field)) = (ids.choose(&mut world.dice), fields.choose(&mut world.dice)) else {
            continue;
        };
        edits += 1;
        world.user_writes(object, id, field, json!(format!("user-{edits}")));
    }
    world.judge().await;
    // Silence: once a poll has brought the last stamps, three polls later not a write more has gone either way.
    another_poll(&mut world).await;
    let calls = world.org.journal_since(0).len();
    let captured = world.text("SELECT last_value::text FROM salesforce._trigger_log_id_seq").await;
    let stamps = "SELECT sum(xmin::text::bigint)::text FROM salesforce.contact";
    let written = world.text(stamps).await;
    for _ in 0..3 {
        another_poll(&mut world).await;
    }
    assert_eq!(world.org.journal_since(0).len(), calls);
    assert_eq!(world.text("SELECT last_value::text FROM salesforce._trigger_log_id_seq").await, captured);
    assert_eq!(world.text(stamps).await, written);
}

/// Waits until every mapping was read once more, from its beginning to its end.
async fn another_poll(world: &mut World) {
    for _ in 0..2 {
        let sql = "SELECT min(last_read)::text FROM syncdeck.mapping";
        let last = world.text(sql).await;
        world
            .until("another poll of every mapping", async |world| {
                world.sql.query_one(sql, &[]).await.unwrap().get::<_, Option<String>>(0) > last
            })
            .await;
    }
}

/// Makes a contact under a key, in the ledger as well.
async fn insert(world: &mut World, key: &str, name: &str) -> i32 {
    let sql = format!(
        "INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('{name}', '{key}') RETURNING id"
    );
    let id: i32 = world.sql.query_one(&sql, &[]).await.unwrap().get(0);
    world.application.note(CONTACT, key, id, &[("LastName", json!(name))]);
    id
}

async fn delete(world: &mut World, key: &str) {
    world.run(&format!("DELETE FROM salesforce.contact WHERE external_id__c = '{key}'")).await;
    world.application.ledger.note(key, syncdeck::demo::ledger::Commits::delete);
}

#[tokio::test(flavor = "multi_thread")]
async fn deletes_that_cross_with_inserts_and_keys_that_come_again_end_as_the_application_left_them() {
    let mut world = World::new("crossing deletes").await;
    world.engine().await;
    world.org.change_faults(|faults| faults.latency_ms = 60);
    let end = Instant::now() + span(5.0);
    let mut there: BTreeMap<String, bool> = BTreeMap::new();
    let mut round = 0;
    let deletes =
        |world: &World| world.org.journal_since(0).iter().filter(|entry| entry.op == "delete").count();
    while Instant::now() < end || round <= 30 || deletes(&world) <= 3 {
        round += 1;
        let key = format!("C{}", world.dice.random_range(0..8));
        let alive = there.get(&key).copied().unwrap_or(false);
        if !alive {
            insert(&mut world, &key, &format!("N{round}")).await;
        } else if world.dice.random_range(0..3) == 0 {
            let name = format!("N{round}");
            let sql = format!(
                "UPDATE salesforce.contact SET lastname = '{name}' WHERE external_id__c = '{key}' RETURNING id"
            );
            let id: i32 = world.sql.query_one(&sql, &[]).await.unwrap().get(0);
            world.application.note(CONTACT, &key, id, &[("LastName", json!(name))]);
            continue;
        } else {
            delete(&mut world, &key).await;
        }
        there.insert(key, !alive);
        world.random_pause(Duration::from_millis(120)).await;
    }
    world.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_external_id_on_two_rows_makes_one_record_and_names_the_other_row() {
    let mut world =
        World::build("one key, two rows", server(), crate::world::MAPPINGS, &[ACCOUNT, CONTACT]).await;
    world.engine().await;
    world.run("DROP INDEX salesforce.hcu_idx_contact_external_id__c").await;
    world
        .run(
            "INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('First', 'TWIN');
             INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Second', 'TWIN')",
        )
        .await;
    let listed = "SELECT coalesce(string_agg(record_id || ' ' || code || ' ' || message, '; '), '') FROM syncdeck.error WHERE resolved_at IS NULL";
    let wanted = "2 DUPLICATE_EXTERNAL_ID External_Id__c TWIN is that of the row 1: both would be one record in Salesforce";
    world
        .until("the second is listed", async |world| {
            world.sql.query_one(listed, &[]).await.unwrap().get::<_, String>(0) == wanted
        })
        .await;
    let creates =
        |world: &World| world.org.journal_since(0).iter().filter(|entry| entry.op == "create").count();
    world.until("the first is there", async |world| creates(world) == 1).await;
    world.run("UPDATE salesforce.contact SET external_id__c = 'OTHER' WHERE id = 2").await;
    world.until("the second has a record of its own", async |world| creates(world) == 2).await;
    world.judge().await;
}
