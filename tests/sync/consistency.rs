//! Comparisons that go on by themselves: what they find is listed, is put right by its remedies, and leaves the list when
//! both sides agree. They go on over a restart, once for all engines, within their share of requests, and say nothing of
//! what is on its way.

use std::time::Duration;

use serde_json::{Map, Value, json};
use syncdeck::domain::changes::merge::Side;
use syncdeck::domain::errors::remedy::RemedyAction;
use syncdeck::domain::errors::sync_error::SyncError;
use syncdeck::domain::names::RowId;
use syncdeck::domain::records::consistency::VerifyStatus;
use syncdeck::domain::reports::overview::Writes;
use syncdeck::engine;
use tokio_util::sync::CancellationToken;

use crate::alerts::told;
use crate::receivers::Hook;
use crate::verify::long_ago;
use crate::world::{MAPPINGS, World, contact};

/// Contacts that are compared by themselves, the first time at once.
pub const WATCHED: &str = r#"
[verify]
every = "24h"
[[mapping]]
object = "Account"
fields = ["Name", "Phone"]
external_id = "External_Id__c"
poll_interval = "200ms"
verify = "off"
[[mapping]]
object = "Contact"
fields = ["LastName", "Email", "Phone", "AccountId"]
external_id = "External_Id__c"
poll_interval = "200ms"
match = [["Email"], ["LastName", "Phone"]]
"#;

fn fields(fields: Value) -> Map<String, Value> {
    fields.as_object().unwrap().clone()
}

impl World {
    /// A world of so many contacts, all of them in order, after the first comparison.
    pub async fn watched(mappings: &str, contacts: usize) -> World {
        let world = World::with(mappings, |org| long_ago(org, contacts)).await;
        world.until_text("SELECT string_agg(mapping, ' ') FROM syncdeck.verified", "Contact").await;
        assert_eq!(world.findings().await, Vec::<String>::new());
        world
    }

    /// Makes a comparison of the contacts due, as if a day had gone by, and waits until it is through.
    pub async fn compared(&self) {
        let ended = "SELECT at::text FROM syncdeck.verified WHERE mapping = 'Contact'";
        let before = self.text(ended).await;
        self.due().await;
        self.until("the contacts are compared", async || self.text(ended).await != before).await;
        self.until_text("SELECT count(*)::text FROM syncdeck.verify", "0").await;
    }

    pub async fn due(&self) {
        self.run("UPDATE syncdeck.verified SET began_at = began_at - interval '25 hours'").await;
    }

    /// What is listed of comparisons: code, state and row.
    pub async fn findings(&self) -> Vec<String> {
        let sql =
            "SELECT coalesce(string_agg(concat_ws(' ', code, state, coalesce(record_id::text, 'record')), ','
                 ORDER BY code, record_id), '')
             FROM syncdeck.error WHERE resolved_at IS NULL AND op = 'verify'";
        let text = self.text(sql).await.unwrap();
        let mut found: Vec<String> =
            text.split(',').filter(|line| !line.is_empty()).map(str::to_owned).collect();
        found.sort();
        found
    }

    pub async fn until_found(&self, wanted: &[&str]) {
        self.until(&format!("{wanted:?} is listed"), async || self.findings().await == wanted).await;
    }

    /// The error of that code.
    pub async fn listed(&self, code: &str) -> SyncError {
        let sql =
            format!("SELECT id::text FROM syncdeck.error WHERE resolved_at IS NULL AND code = '{code}'");
        let id = self.text(&sql).await.unwrap_or_else(|| panic!("no {code} is listed"));
        self.store.error(id.parse().unwrap()).await.unwrap().unwrap()
    }

    async fn status_of_verify(&self) -> VerifyStatus {
        let overview = self.handle.overview().await.unwrap();
        overview.mappings.into_iter().find(|mapping| mapping.name == "Contact").unwrap().verify
    }

    pub async fn row_of(&self, key: &str) -> i32 {
        let sql = format!("SELECT id::text FROM salesforce.contact WHERE external_id__c = '{key}'");
        self.text(&sql).await.unwrap().parse().unwrap()
    }

    /// Puts what a code lists right, and waits until nothing is listed any more.
    async fn put_right(&self, code: &str, action: &RemedyAction) -> String {
        let error = self.listed(code).await;
        let done = self.handle.put_right(&error, action).await.unwrap();
        self.until_found(&[]).await;
        done
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_is_listed_once_and_leaves_the_list_when_both_sides_agree() {
    let world = World::watched(WATCHED, 12).await;
    let account = "INSERT INTO salesforce.account (name, external_id__c) VALUES ('Acme', 'A1')";
    world.run(account).await;
    world.until_quiet().await;
    let (k1, k3, k4, k6) = (
        world.row_of("K1").await,
        world.row_of("K3").await,
        world.row_of("K4").await,
        world.row_of("K6").await,
    );
    world
        .plant(
            "UPDATE salesforce.contact SET lastname = 'Drifted' WHERE external_id__c = 'K1';
             DELETE FROM salesforce.contact WHERE external_id__c = 'K2';
             UPDATE salesforce.contact SET sfid = NULL, email = 'own@acme.com' WHERE external_id__c = 'K3';
             UPDATE salesforce.contact SET accountid = '001000000000000AAA' WHERE external_id__c = 'K4'",
        )
        .await;
    let six = world.record("Contact", "K6").unwrap()["Id"].as_str().unwrap().to_owned();
    world.org.user_update("Contact", &six, fields(json!({"Email": " DOE7@acme.com"}))).unwrap();
    world
        .until_text(&format!("SELECT btrim(email) FROM salesforce.contact WHERE id = {k6}"), "DOE7@acme.com")
        .await;
    world.compared().await;
    // The record of the row that forgot it has no row, and neither has that of the row that is gone.
    let first = k6.min(world.row_of("K7").await);
    let mut listed = [
        format!("DUPLICATE_ROWS open {first}"),
        format!("RECORD_DIFFERS open {k1}"),
        format!("RECORD_DIFFERS open {k4}"),
        format!("RECORD_MISSING open {k3}"),
        "ROW_MISSING open record".to_owned(),
        "ROW_MISSING open record".to_owned(),
    ];
    listed.sort();
    assert_eq!(world.findings().await, listed);
    let of_orphan = world.store.error_of(&contact(k4)).await.unwrap().unwrap();
    assert!(
        of_orphan.message.contains("AccountId \"001000000000000AAA\" names what has no row"),
        "{of_orphan:?}"
    );
    assert_eq!((of_orphan.fields, of_orphan.category.word()), (vec!["AccountId".to_owned()], "consistency"));
    // Another comparison finds the same, and lists nothing twice.
    let first = world.listed("DUPLICATE_ROWS").await;
    world.compared().await;
    assert_eq!(world.findings().await, listed);
    let second = world.listed("DUPLICATE_ROWS").await;
    assert_eq!((second.id, second.last_seen), (first.id, first.last_seen), "it keeps its place in the list");
    let status = world.status_of_verify().await;
    assert_eq!((status.found, status.left_out), (7, 0));
    // What is put right anywhere leaves the list without another comparison.
    world.plant("UPDATE salesforce.contact SET lastname = 'Doe 1' WHERE external_id__c = 'K1'").await;
    let two = world.record("Contact", "K2").unwrap()["Id"].as_str().unwrap().to_owned();
    world.org.user_delete("Contact", &two).unwrap();
    let four = world.record("Contact", "K4").unwrap()["Id"].as_str().unwrap().to_owned();
    world.org.user_update("Contact", &four, fields(json!({"LastName": "Four"}))).unwrap();
    world.run("UPDATE salesforce.contact SET email = 'six@acme.com' WHERE external_id__c = 'K6'").await;
    world.until_found(&[&format!("RECORD_MISSING open {k3}"), "ROW_MISSING open record"]).await;
    world.until("what stands is counted", async || world.status_of_verify().await.found == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_differs_is_put_right_by_either_side() {
    let world = World::watched(WATCHED, 4).await;
    // Each time another row: a record that was just written is read again with every poll.
    let drift = |key: &str| {
        format!(
            "UPDATE salesforce.contact SET lastname = 'Drifted', email = NULL WHERE external_id__c = '{key}'"
        )
    };
    world.plant(&drift("K1")).await;
    world.compared().await;
    assert_eq!(world.put_right("RECORD_DIFFERS", &RemedyAction::Repair(Side::Postgres)).await, "it is sent");
    let record = world.record("Contact", "K1").unwrap();
    assert_eq!(record["LastName"], json!("Drifted"));
    assert!(record.get("Email").is_none_or(Value::is_null), "{record:?}");
    world.plant(&drift("K2")).await;
    world.compared().await;
    world.put_right("RECORD_DIFFERS", &RemedyAction::Repair(Side::Salesforce)).await;
    let row = "SELECT lastname || ' ' || email FROM salesforce.contact WHERE external_id__c = 'K2'";
    assert_eq!(world.text(row).await.unwrap(), "Doe 2 doe2@acme.com");
    // What nobody put right stays, however often it is looked at.
    world.plant(&drift("K3")).await;
    world.compared().await;
    let error = world.listed("RECORD_DIFFERS").await;
    let looked = "SELECT looked_at::text FROM syncdeck.finding";
    let before = world.text(looked).await;
    world.handle.put_right(&error, &RemedyAction::LookAgain).await.unwrap();
    world.until("it was looked at", async || world.text(looked).await != before).await;
    assert_eq!(world.listed("RECORD_DIFFERS").await.id, error.id);
    // As long as nothing comes of it, the next look waits longer and longer.
    let waits = async || -> f64 {
        world.text("SELECT waits::text FROM syncdeck.finding").await.unwrap().parse().unwrap()
    };
    world.until("it waits for the next look", async || waits().await >= 5.0).await;
    let first = waits().await;
    world.run("UPDATE syncdeck.finding SET due = clock_timestamp()").await;
    world.until("the wait is twice as long", async || waits().await >= 2.0 * first).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_or_a_record_alone_is_put_right_by_either_side() {
    let world = World::watched(WATCHED, 6).await;
    world.plant("DELETE FROM salesforce.contact WHERE external_id__c = 'K1'").await;
    world.compared().await;
    world.put_right("ROW_MISSING", &RemedyAction::Repair(Side::Salesforce)).await;
    assert_eq!(
        world.text("SELECT lastname FROM salesforce.contact WHERE external_id__c = 'K1'").await.unwrap(),
        "Doe 1"
    );
    world.plant("DELETE FROM salesforce.contact WHERE external_id__c = 'K1'").await;
    world.compared().await;
    world.put_right("ROW_MISSING", &RemedyAction::Repair(Side::Postgres)).await;
    world.until_quiet().await;
    assert!(world.record("Contact", "K1").is_none());
    let alone = "INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Alone', 'N1')";
    world.plant(alone).await;
    world.compared().await;
    world.put_right("RECORD_MISSING", &RemedyAction::Repair(Side::Postgres)).await;
    world.until_quiet().await;
    assert_eq!(world.record("Contact", "N1").unwrap()["LastName"], json!("Alone"));
    world.plant(&alone.replace("N1", "N2")).await;
    world.compared().await;
    world.put_right("RECORD_MISSING", &RemedyAction::Repair(Side::Salesforce)).await;
    assert_eq!(
        world
            .text("SELECT count(*)::text FROM salesforce.contact WHERE external_id__c = 'N2'")
            .await
            .unwrap(),
        "0"
    );
}

impl World {
    /// A world of which every mapping was compared once.
    pub async fn watched_all(mappings: &str) -> World {
        let world = World::start(mappings).await;
        world.until_text("SELECT count(*)::text FROM syncdeck.verified", "2").await;
        world
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_forgot_its_record_is_linked_with_it() {
    let world = World::watched(WATCHED, 4).await;
    world
        .plant("UPDATE salesforce.contact SET sfid = NULL, lastname = 'Forgot ' || id WHERE external_id__c IN ('K1', 'K2')")
        .await;
    world.compared().await;
    let (first, second) = (world.row_of("K1").await, world.row_of("K2").await);
    let missing = |row: i32| format!("RECORD_MISSING open {row}");
    world
        .until_found(&[
            &missing(first),
            &missing(second),
            "ROW_MISSING open record",
            "ROW_MISSING open record",
        ])
        .await;
    let sfid = world.record("Contact", "K1").unwrap()["Id"].as_str().unwrap().to_owned();
    let link = async |row: i32| {
        let shown = world.handle.record(&contact(row)).await.unwrap();
        let offers = shown.advice.remedies;
        let link =
            offers.iter().find(|offer| offer.action == Some(RemedyAction::Link) && offer.number.is_some());
        world.handle.apply(&contact(row), link.unwrap_or_else(|| panic!("{offers:#?}"))).await
    };
    link(first).await.unwrap();
    world.until_text(&format!("SELECT sfid FROM salesforce.contact WHERE id = {first}"), &sfid).await;
    // The row has a record by that, and the record a row; that they differ is another thing.
    let differs = format!("RECORD_DIFFERS open {first}");
    world.until_found(&[&differs, &missing(second), "ROW_MISSING open record"]).await;
    // The record got a row of its own meanwhile: nothing of that row is lost by linking.
    let taken = world.record("Contact", "K2").unwrap()["Id"].as_str().unwrap().to_owned();
    world
        .plant(&format!("INSERT INTO salesforce.contact (lastname, sfid) VALUES ('Doe 2', '{taken}')"))
        .await;
    let refused = link(second).await.unwrap_err().to_string();
    assert!(refused.contains("replace that one, with: syncdeck link --replace"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_its_way_is_no_finding_and_closes_none() {
    let world = World::watched(WATCHED, 40).await;
    world.plant("UPDATE salesforce.contact SET lastname = 'Drifted' WHERE external_id__c = 'K1'").await;
    world.compared().await;
    let error = world.listed("RECORD_DIFFERS").await;
    // Rows that wait, fail or go, and records that change and come while both sides are compared.
    world.handle.writes(Some("Contact"), Writes::Pause).await.unwrap();
    world.run("UPDATE salesforce.contact SET email = 'k' || id || '@acme.com' WHERE external_id__c IN ('K1', 'K2', 'K3')").await;
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Waits', 'W1')").await;
    world.run("DELETE FROM salesforce.contact WHERE external_id__c = 'K4'").await;
    let (org, stop) = (world.org.clone(), CancellationToken::new());
    let writing = stop.clone();
    let user = tokio::spawn(async move {
        let ids = org.ids("Contact");
        let mut writes = 0_usize;
        while !writing.is_cancelled() {
            let id = &ids[10 + writes % 20];
            let _ = org.user_update(
                "Contact",
                id,
                fields(json!({"Phone": format!("+1 415 555 {:04}", writes % 10_000)})),
            );
            let new = json!({"LastName": "New", "External_Id__c": format!("U{writes}")});
            let _ = org.user_create("Contact", fields(new));
            writes += 1;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        writes
    });
    world.compared().await;
    stop.cancel();
    assert!(user.await.unwrap() > 10, "the user really wrote");
    assert_eq!(world.findings().await, [format!("RECORD_DIFFERS open {}", error.row_id.unwrap())]);
    // It is over when the record is read back, and a change that fails takes its place in the list.
    world.handle.writes(Some("Contact"), Writes::Resume).await.unwrap();
    world.until_quiet().await;
    world.until_found(&[]).await;
    let row = "SELECT lastname || ' ' || email FROM salesforce.contact WHERE external_id__c = 'K1'";
    assert_eq!(world.text(row).await.unwrap(), format!("Doe 1 k{}@acme.com", error.row_id.unwrap()));
    world.plant("UPDATE salesforce.contact SET lastname = 'Drifted' WHERE external_id__c = 'K5'").await;
    world.compared().await;
    let row = world.listed("RECORD_DIFFERS").await.row_id.unwrap();
    world.run("UPDATE salesforce.contact SET phone = 'call me' WHERE external_id__c = 'K5'").await;
    let op = format!("SELECT op FROM syncdeck.error WHERE resolved_at IS NULL AND record_id = {row}");
    world.until_text(&op, "update").await;
    world.compared().await;
    assert_eq!(world.findings().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comparison_waits_for_its_share_says_so_and_goes_on_after_a_restart() {
    let mappings = WATCHED.replace("every = \"24h\"", "every = \"24h\"\napi_share = 1");
    let mut world = World::watched(&mappings, 4_999).await;
    world
        .plant("UPDATE salesforce.contact SET lastname = 'Drifted' WHERE external_id__c IN ('K1', 'K4990')")
        .await;
    // One request is left of the 1,000 that are its share: one page of three.
    world
        .run("UPDATE syncdeck.verify_cost SET requests = 0; INSERT INTO syncdeck.verify_cost VALUES (clock_timestamp(), 999)")
        .await;
    world.due().await;
    world.until("it waits", async || world.status_of_verify().await.waits.is_some()).await;
    let status = world.status_of_verify().await;
    assert_eq!(status.progress, Some((2_000, 5_000)));
    let why = status.waits.unwrap();
    assert!(why.contains("1000 of the 1000 API requests") && why.contains("1 % of 100000"), "{why}");
    let began = "SELECT began_at::text FROM syncdeck.verify";
    let before = world.text(began).await.unwrap();
    world.stop_engine().await;
    world.run("DELETE FROM syncdeck.verify_cost").await;
    // Whoever goes on does not see what happens on the page behind.
    world.plant("UPDATE salesforce.contact SET lastname = 'Later' WHERE external_id__c = 'K2'").await;
    world.start_engine().await;
    world.until_text("SELECT began_at::text FROM syncdeck.verified", &before).await;
    let mut listed = [world.row_of("K1").await, world.row_of("K4990").await]
        .map(|row| format!("RECORD_DIFFERS open {row}"));
    listed.sort();
    assert_eq!(world.findings().await, listed);
    world.compared().await;
    assert_eq!(world.findings().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn engines_compare_once() {
    let world = World::watched(WATCHED, 4).await;
    let other = engine::start(world.config.clone(), world.store.clone()).await.unwrap();
    let lines = "SELECT count(*)::text FROM syncdeck.log WHERE message LIKE 'Contact compared: %'";
    for number in 2..5 {
        world.compared().await;
        world.until_text(lines, &number.to_string()).await;
    }
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_are_listed_are_counted_and_said() {
    let world = World::watched(&WATCHED.replace("every = \"24h\"", "every = \"24h\"\nlisted = 3"), 12).await;
    world
        .plant("UPDATE salesforce.contact SET lastname = 'Drifted ' || id WHERE external_id__c < 'K5'")
        .await;
    world.compared().await;
    let found = world.findings().await;
    assert_eq!((found.len(), found[0].as_str()), (4, "MORE_DIFFERENCES open record"), "{found:?}");
    let told = world.listed("MORE_DIFFERENCES").await.message;
    assert!(told.starts_with("7 differences were found; 4 of the rows and records are not listed"), "{told}");
    let status = world.status_of_verify().await;
    assert_eq!((status.found, status.left_out), (7, 4));
    let back = "UPDATE salesforce.contact SET lastname = 'Doe ' || substr(external_id__c, 2) WHERE lastname LIKE 'Drifted%'";
    world.plant(back).await;
    world.compared().await;
    world.until_found(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_comparison_by_itself_finds_is_told_and_so_is_its_end() {
    let hook = Hook::start().await;
    let alerts = format!(
        "[[alert]]\nwhen = \"verify\"\nfor = \"0s\"\nagain = \"1s\"\n\
         [alert.channel.ops]\nkind = \"webhook\"\nurl = \"{}/hook\"\n",
        hook.url()
    );
    let world = World::watched(&format!("{WATCHED}{alerts}"), 12).await;
    let until_told = async |change: &str| {
        let what = ("Contact: verify found 2 differences".to_owned(), change.to_owned());
        world
            .until(&format!("{what:?} is told"), async || {
                hook.came().iter().any(|came| told(came).contains(&what))
            })
            .await;
    };
    world
        .plant(
            "UPDATE salesforce.contact SET lastname = 'Drifted ' || id WHERE external_id__c IN ('K1', 'K2')",
        )
        .await;
    world.compared().await;
    until_told("fired").await;
    world.plant("UPDATE salesforce.contact SET lastname = 'Doe ' || substr(external_id__c, 2)").await;
    world.compared().await;
    until_told("resolved").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ignored_finding_stays_ignored_and_masked_values_are_not_told() {
    let mappings = format!("{WATCHED}[mapping.field.Email]\nmask = true\n");
    let world = World::watched(&mappings, 4).await;
    world
        .plant("UPDATE salesforce.contact SET email = 'secret' || id || '@acme.com' WHERE external_id__c IN ('K1', 'K2')")
        .await;
    world.compared().await;
    let told = world.text("SELECT string_agg(message || sent, ' ') FROM syncdeck.error").await.unwrap();
    assert!(
        told.contains("Email: another value here than in Salesforce") && !told.contains("acme.com"),
        "{told}"
    );
    let of_log =
        world.text("SELECT string_agg(message || fields::text, ' ') FROM syncdeck.log").await.unwrap();
    assert!(!of_log.contains("@acme.com"));
    let (k1, k2) = (world.row_of("K1").await, world.row_of("K2").await);
    world.handle.ignore(&contact(k1)).await.unwrap();
    world.compared().await;
    assert_eq!(
        world.findings().await,
        [format!("RECORD_DIFFERS ignored {k1}"), format!("RECORD_DIFFERS open {k2}")]
    );
    world.plant("UPDATE salesforce.contact SET email = 'doe1@acme.com' WHERE external_id__c = 'K1'").await;
    world.until_found(&[&format!("RECORD_DIFFERS open {k2}")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_without_the_rule_is_compared_when_somebody_asks_and_lists_what_is_found() {
    let world = World::with(MAPPINGS, |org| long_ago(org, 4)).await;
    world.plant("UPDATE salesforce.contact SET lastname = 'Drifted' WHERE external_id__c = 'K1'").await;
    let comparison = world.handle.verify("Contact", &|_| {}, &CancellationToken::new()).await.unwrap();
    assert_eq!(comparison.findings.len(), 1);
    assert_eq!(world.listed("RECORD_DIFFERS").await.row_id, Some(RowId(world.row_of("K1").await)));
    assert_eq!(world.status_of_verify().await.next, None);
    world.plant("UPDATE salesforce.contact SET lastname = 'Doe 1' WHERE external_id__c = 'K1'").await;
    world.until_found(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_says_of_a_row_that_it_was_written_behind_the_queue_and_of_nothing_else() {
    let mappings = WATCHED.replace("verify = \"off\"\n", "").replace("every = \"24h\"", "every = \"off\"");
    let mut world = World::start(&mappings).await;
    world.stop_engine().await;
    // Every poll of this engine reads all of it again.
    world.config.salesforce.look_back = Duration::from_secs(600);
    world.start_engine().await;
    world.run("INSERT INTO salesforce.contact (lastname, email, external_id__c) VALUES ('Doe', 'a@acme.com', 'K1'), ('Roe', NULL, 'K2')").await;
    world.until_quiet().await;
    let said = "SELECT count(*)::text FROM syncdeck.log WHERE fields ->> 'code' = 'UNCAPTURED_WRITE'";
    let read = "SELECT count(*)::text FROM salesforce.contact WHERE systemmodstamp IS NOT NULL";
    world.until_text(read, "2").await;
    // Changes on both sides that go their way are nothing of the kind.
    world.run("UPDATE salesforce.contact SET email = 'b@acme.com' WHERE external_id__c = 'K1'").await;
    let id = world.record("Contact", "K2").unwrap()["Id"].as_str().unwrap().to_owned();
    world.org.user_update("Contact", &id, fields(json!({"LastName": "Poe"}))).unwrap();
    world.until_text("SELECT lastname FROM salesforce.contact WHERE external_id__c = 'K2'", "Poe").await;
    world.until_quiet().await;
    // The second poll that ends from now on has seen all of it, and the one behind it sees it once more.
    let polled = "SELECT last_read::text FROM syncdeck.mapping WHERE name = 'Contact'";
    for _ in 0..3 {
        let before = world.text(polled).await;
        world.until("a poll ends", async || world.text(polled).await != before).await;
    }
    assert_eq!(world.text(said).await.unwrap(), "0");
    world.plant("UPDATE salesforce.contact SET lastname = 'Behind' WHERE external_id__c = 'K2'").await;
    world.until_text("SELECT lastname FROM salesforce.contact WHERE external_id__c = 'K2'", "Poe").await;
    world.until_text(said, "1").await;
    let named = "SELECT fields ->> 'fields' FROM syncdeck.log WHERE fields ->> 'code' = 'UNCAPTURED_WRITE'";
    assert_eq!(world.text(named).await.unwrap(), "LastName");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_condition_keeps_here_is_no_finding() {
    let mappings = WATCHED.replace("match = [[", "where = \"phone IS NOT NULL\"\nmatch = [[");
    let world = World::watched(&mappings, 4).await;
    world
        .run("UPDATE salesforce.contact SET phone = NULL, lastname = 'Kept' WHERE external_id__c = 'K1'")
        .await;
    world.until_quiet().await;
    world.compared().await;
    assert_eq!(world.findings().await, Vec::<String>::new());
    assert_eq!(world.record("Contact", "K1").unwrap()["LastName"], json!("Doe 1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_found_of_a_mapping_goes_with_it() {
    let mut world = World::watched(WATCHED, 4).await;
    world.plant("UPDATE salesforce.contact SET lastname = 'Drifted' WHERE external_id__c = 'K1'").await;
    world.compared().await;
    assert_eq!(world.findings().await.len(), 1);
    world.stop_engine().await;
    let mut mappings = world.store.definitions().await.unwrap();
    mappings.retain(|mapping| mapping.object != "Contact");
    world.store.install("", &mappings).await.unwrap();
    assert_eq!(world.findings().await, Vec::<String>::new());
    let kept = "SELECT concat_ws(' ', (SELECT count(*) FROM syncdeck.finding), (SELECT count(*) FROM syncdeck.verified))";
    assert_eq!(world.text(kept).await.unwrap(), "0 0");
}
