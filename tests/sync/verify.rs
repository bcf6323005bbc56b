//! Both sides compared while writers run: what was planted is found, nothing else is, and either side mends it. A dry run
//! leaves no trace.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Map, Value, json};
use syncdeck::domain::changes::merge::Side;
use syncdeck::domain::operations::operation::RowStatus;
use syncdeck::domain::records::verify::Stage;
use syncdeck::domain::records::verify::{FindingKind, VerifyReport};
use syncdeck::engine::dry_run;
use syncdeck::engine::verify::Verifier;
use syncdeck::simulator::Org;
use tokio_util::sync::CancellationToken;

use crate::support::operation;
use crate::world::{INVOICES, MAPPINGS, World};

/// Records of the large world.
const MANY: usize = 10_000;

impl World {
    fn sides(&self) -> Verifier {
        Verifier::new(&self.config, self.store.clone()).unwrap()
    }

    async fn verify(&self, object: &str) -> VerifyReport {
        let mapping = self.store.registered(object).await.unwrap();
        self.sides().verify(&mapping, &|_| {}, &CancellationToken::new()).await.unwrap()
    }

    /// Writes as the engine does, so that nothing is captured: what an inconsistency is made of.
    pub async fn plant(&self, sql: &str) {
        let session = self.another_session().await;
        let sql = format!(
            "BEGIN; SET LOCAL syncdeck.writer = 'engine'; SET LOCAL xmlbinary = 'hex'; {sql}; COMMIT"
        );
        session.batch_execute(&sql).await.unwrap();
    }
}

fn contact_fields(number: usize) -> Map<String, Value> {
    let fields = json!({"LastName": format!("Doe {number}"), "Email": format!("doe{number}@acme.com"),
        "Phone": "+1 415 555 2671", "Score__c": 1.5, "External_Id__c": format!("K{number}")});
    fields.as_object().unwrap().clone()
}

/// An org of so many contacts, written long ago but for the last: a reader looks back over what is newest, and would
/// mend what a test plants there.
pub fn long_ago(org: &Org, count: usize) {
    for number in 0..count {
        org.user_create("Contact", contact_fields(number)).unwrap();
    }
    org.backdate("Contact", TimeDelta::hours(1));
    let fields = json!({"LastName": "Last", "External_Id__c": "LAST"});
    org.user_create("Contact", fields.as_object().unwrap().clone()).unwrap();
}

fn counts(comparison: &VerifyReport) -> Vec<(FindingKind, i64)> {
    comparison.counts.iter().map(|(kind, count)| (*kind, *count)).collect()
}

/// Writers on both sides until they are told to stop: changes, inserts and deletes of rows, changes of records.
async fn writers(world: &World, stop: CancellationToken) -> Vec<tokio::task::JoinHandle<u64>> {
    let mut tasks = Vec::new();
    for number in 0..2_u64 {
        let session = world.another_session().await;
        let stop = stop.clone();
        tasks.push(tokio::spawn(async move {
            let mut writes = 0;
            while !stop.is_cancelled() {
                writes += 1;
                let id = 1_000 + (writes * 7_919 + number * 104_729) % (MANY as u64 - 2_000);
                let sql = match writes % 5 {
                    0 => format!("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('New', 'N{number}-{writes}')"),
                    1 => format!("DELETE FROM salesforce.contact WHERE external_id__c = 'N{number}-{}'", writes - 1),
                    _ => format!("UPDATE salesforce.contact SET email = 'w{writes}@acme.com' WHERE id = {id}"),
                };
                session.batch_execute(&sql).await.unwrap();
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
            writes
        }));
    }
    let org = world.org.clone();
    let ids = org.ids("Contact");
    tasks.push(tokio::spawn(async move {
        let mut writes = 0;
        while !stop.is_cancelled() {
            writes += 1;
            let id = &ids[2_000 + writes as usize * 6_151 % (ids.len() - 2_000)];
            let change = json!({"Phone": format!("+1 415 555 {:04}", writes % 10_000)});
            let _ = org.user_update("Contact", id, change.as_object().unwrap().clone());
            tokio::time::sleep(std::time::Duration::from_millis(3)).await;
        }
        writes
    }));
    tasks
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_what_was_planted_is_found_among_many_rows_while_writers_run() {
    // The planted rows are not among those that the writers change.
    let world = World::with(MAPPINGS, |org| long_ago(org, MANY)).await;
    world
        .plant(
            "UPDATE salesforce.contact SET lastname = 'Drifted' WHERE id BETWEEN 11 AND 15;
             UPDATE salesforce.contact SET score__c = NULL WHERE id = 16;
             DELETE FROM salesforce.contact WHERE id BETWEEN 21 AND 24;
             UPDATE salesforce.contact SET sfid = '003000000000' || lpad(id::text, 3, '0') || 'AAA' WHERE id BETWEEN 31 AND 33;
             UPDATE salesforce.contact SET accountid = '001000000000000AAA' WHERE id BETWEEN 41 AND 42;
             UPDATE salesforce.contact SET lastname = '  ' || lastname || ' ', score__c = 1.5000000001 WHERE id BETWEEN 51 AND 60",
        )
        .await;
    let stop = CancellationToken::new();
    let tasks = writers(&world, stop.clone()).await;
    let comparison = world.verify("Contact").await;
    stop.cancel();
    for task in tasks {
        assert!(task.await.unwrap() > 50, "the writers really wrote");
    }
    // A record whose row names another one has no row: three of those, beside the four whose rows are gone. A row that
    // names a wrong parent differs from its record as well.
    let expected = [
        (FindingKind::Mismatch, 5 + 1 + 2),
        (FindingKind::Orphan, 2),
        (FindingKind::RowWithoutRecord, 3),
        (FindingKind::RecordWithoutRow, 4 + 3),
    ];
    assert_eq!(counts(&comparison), expected, "{:#?}", comparison.findings);
    assert_eq!(comparison.unsettled, 0);
    let looked_at = comparison.compared + comparison.unsent.values().sum::<i64>();
    assert!(
        looked_at > MANY as i64 - 100 && comparison.records >= MANY as i64,
        "{looked_at} {}",
        comparison.records
    );
    let fields: BTreeMap<i32, Vec<&str>> = comparison
        .findings
        .iter()
        .filter(|finding| finding.kind == FindingKind::Mismatch)
        .map(|finding| {
            let fields = finding.fields.iter().map(|field| field.field.as_str()).collect();
            (finding.row.as_ref().unwrap().row.0, fields)
        })
        .collect();
    assert_eq!(fields[&11], ["LastName"]);
    assert_eq!(fields[&16], ["Score__c"]);
    assert_eq!(fields[&41], ["AccountId"]);
}

/// Repairs what a comparison found; tells how many were done.
async fn repair(world: &World, comparison: &VerifyReport, side: Side) -> usize {
    let stop = CancellationToken::new();
    let report = world.handle.repair("contact", comparison, side, None, &|_| {}, &stop).await.unwrap();
    assert_eq!(report.failed, 0, "{:?}", report.reasons(RowStatus::Failed));
    report.done
}

async fn drifted() -> World {
    let world = World::with(MAPPINGS, |org| long_ago(org, 6)).await;
    world
        .plant(
            "UPDATE salesforce.contact SET lastname = 'Drifted' WHERE external_id__c = 'K1';
             DELETE FROM salesforce.contact WHERE external_id__c = 'K2';
             UPDATE salesforce.contact SET sfid = '003000000000000AAA', external_id__c = 'K30' WHERE external_id__c = 'K3'",
        )
        .await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn salesforces_side_mends_the_rows() {
    let world = drifted().await;
    let comparison = world.verify("Contact").await;
    let found =
        [(FindingKind::Mismatch, 1), (FindingKind::RowWithoutRecord, 1), (FindingKind::RecordWithoutRow, 2)];
    assert_eq!(counts(&comparison), found, "{:#?}", comparison.findings);
    let before = world.org.journal_since(0).len();
    assert_eq!(repair(&world, &comparison, Side::Salesforce).await, 4);
    let names = "SELECT string_agg(lastname, ',' ORDER BY lastname) FROM salesforce.contact";
    world.until_text(names, "Doe 0,Doe 1,Doe 2,Doe 3,Doe 4,Doe 5,Last").await;
    assert_eq!(world.org.journal_since(0).len(), before, "nothing was sent");
    assert_eq!(counts(&world.verify("Contact").await), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_side_mends_the_records() {
    let world = drifted().await;
    let comparison = world.verify("Contact").await;
    assert_eq!(repair(&world, &comparison, Side::Postgres).await, 4);
    world.until_quiet().await;
    assert_eq!(world.record("Contact", "K1").unwrap()["LastName"], json!("Drifted"));
    assert!(world.record("Contact", "K2").is_none() && world.record("Contact", "K3").is_none());
    assert!(world.record("Contact", "K30").is_some());
    assert_eq!(counts(&world.verify("Contact").await), []);
    let audit = "SELECT string_agg(DISTINCT action, ', ') FROM syncdeck.audit";
    assert_eq!(world.text(audit).await.unwrap(), "deleted the record, sent again");
}

/// Between a look and the person's yes, minutes may pass, in which rows are changed, sent, answered and read.
async fn nothing_changed_since_the_look_is_repaired(side: Side) {
    let world = World::with(MAPPINGS, |org| long_ago(org, 6)).await;
    world
        .plant(
            "UPDATE salesforce.contact SET lastname = 'Drifted' WHERE external_id__c IN ('K1', 'K2', 'K3');
             INSERT INTO salesforce.contact (lastname) VALUES ('Alone')",
        )
        .await;
    let comparison = world.verify("Contact").await;
    assert_eq!(counts(&comparison), [(FindingKind::Mismatch, 3), (FindingKind::RowWithoutRecord, 1)]);
    world.run("UPDATE salesforce.contact SET lastname = 'Ours' WHERE external_id__c = 'K1'").await;
    world.run("DELETE FROM salesforce.contact WHERE external_id__c = 'K2'").await;
    world.run("UPDATE salesforce.contact SET email = 'alone@acme.com' WHERE lastname = 'Alone'").await;
    let theirs = world.record("Contact", "K3").unwrap()["Id"].as_str().unwrap().to_owned();
    let change = json!({"LastName": "Theirs"});
    world.org.user_update("Contact", &theirs, change.as_object().unwrap().clone()).unwrap();
    let names = "SELECT string_agg(lastname, ',' ORDER BY lastname) FROM salesforce.contact";
    let now = "Alone,Doe 0,Doe 4,Doe 5,Last,Ours,Theirs";
    world.until_text(names, now).await;
    world.until_quiet().await;
    let before = world.org.journal_since(0).len();
    assert_eq!(repair(&world, &comparison, side).await, 0);
    world.until_quiet().await;
    assert_eq!(world.text(names).await.unwrap(), now);
    assert_eq!(world.org.journal_since(0).len(), before, "nothing was sent");
    assert_eq!(counts(&world.verify("Contact").await), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn salesforces_side_leaves_alone_what_changed_since_the_look() {
    nothing_changed_since_the_look_is_repaired(Side::Salesforce).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_side_leaves_alone_what_changed_since_the_look() {
    nothing_changed_since_the_look_is_repaired(Side::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pending_failed_or_of_one_key_is_told_apart() {
    let world = World::with(INVOICES, |org| {
        let create = |object, fields: Value| org.user_create(object, fields.as_object().unwrap().clone());
        let first = create("Invoice__c", json!({"Name": "I1", "External_Id__c": "I1"})).unwrap();
        create("Invoice__c", json!({"Name": "I2", "External_Id__c": "I2"})).unwrap();
        let line = |key| json!({"Name": key, "External_Id__c": key, "Invoice__c": first});
        create("Invoice_Line__c", line("L1")).unwrap();
        for object in ["Invoice__c", "Invoice_Line__c"] {
            org.backdate(object, TimeDelta::hours(1));
        }
        create("Invoice__c", json!({"Name": "I3", "External_Id__c": "I3"})).unwrap();
        create("Invoice_Line__c", line("L3")).unwrap();
    })
    .await;
    // A failed change is listed already, and no drift.
    world
        .run("UPDATE salesforce.invoice__c SET billing_email__c = 'nobody' WHERE external_id__c = 'I1'")
        .await;
    world.until_text("SELECT count(*)::text FROM syncdeck.error WHERE resolved_at IS NULL", "1").await;
    assert_eq!(counts(&world.verify("Invoice__c").await), []);
    world.plant("UPDATE salesforce.invoice__c SET external_id__c = 'i1' WHERE external_id__c = 'I2'").await;
    world.run("UPDATE salesforce.invoice__c SET billing_email__c = NULL WHERE external_id__c = 'I1'").await;
    world.until_quiet().await;
    let comparison = world.verify("Invoice__c").await;
    assert_eq!(
        counts(&comparison),
        [(FindingKind::Mismatch, 1), (FindingKind::Duplicate, 1)],
        "{:#?}",
        comparison.findings
    );
    world.plant("UPDATE salesforce.invoice_line__c SET invoice__r__external_id__c = 'I9' WHERE external_id__c = 'L1'").await;
    let lines = world.verify("Invoice_Line__c").await;
    assert!(counts(&lines).contains(&(FindingKind::Orphan, 1)), "{:#?}", lines.findings);
    let report = world
        .handle
        .repair("invoice__c", &comparison, Side::Salesforce, None, &|_| {}, &CancellationToken::new())
        .await
        .unwrap();
    assert_eq!((report.done, report.skipped), (1, 1), "a duplicate is left to a person");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_reader_may_have_still_to_read_is_not_said_to_differ() {
    let mut world = World::with(MAPPINGS, |org| long_ago(org, 3)).await;
    world.plant("UPDATE salesforce.contact SET lastname = 'Drifted' WHERE external_id__c = 'K1'").await;
    // An engine that seems to run, and whose reader does not come by.
    world.stop_engine().await;
    world
        .run("UPDATE syncdeck.engine SET state = 'running', seen_at = clock_timestamp() + interval '1 day'")
        .await;
    let mapping = world.store.registered("Contact").await.unwrap();
    let mut sides = world.sides();
    sides.reader_patience = Duration::from_secs(1);
    let comparison = sides.verify(&mapping, &|_| {}, &CancellationToken::new()).await.unwrap();
    assert_eq!((counts(&comparison), comparison.unread), (Vec::new(), 1), "{:#?}", comparison.findings);
    let clauses = comparison.explained().join("; ");
    assert!(clauses.contains("looked different, but nobody read meanwhile: 1; verify again"), "{clauses}");
    // Where no engine runs, both sides are as they are.
    world.run("DELETE FROM syncdeck.engine").await;
    let comparison = sides.verify(&mapping, &|_| {}, &CancellationToken::new()).await.unwrap();
    assert_eq!((counts(&comparison), comparison.unread), (vec![(FindingKind::Mismatch, 1)], 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_can_be_stopped_and_tells_how_far_it_is() {
    let world = World::with(MAPPINGS, |org| long_ago(org, 4_999)).await;
    let mapping = world.store.registered("Contact").await.unwrap();
    let stop = CancellationToken::new();
    let ending = stop.clone();
    let told = move |stage| {
        if matches!(stage, Stage::Comparing(done, 5_000) if done < 5_000) {
            ending.cancel();
        }
    };
    let comparison = world.sides().verify(&mapping, &told, &stop).await.unwrap();
    assert!(comparison.stopped && comparison.compared == 2_000, "{}", comparison.compared);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comparison_goes_on_where_it_was_when_its_session_ends() {
    let world = World::with(MAPPINGS, |org| long_ago(org, 4_999)).await;
    world.plant("UPDATE salesforce.contact SET lastname = 'Wrong' WHERE id IN (7, 4990)").await;
    let mapping = world.store.registered("Contact").await.unwrap();
    let ended = AtomicUsize::new(0);
    let org = world.org.clone();
    let told = |stage| {
        if matches!(stage, Stage::Comparing(..)) {
            org.end_sessions();
            ended.fetch_add(1, Ordering::Relaxed);
        }
    };
    let comparison = world.sides().verify(&mapping, &told, &CancellationToken::new()).await.unwrap();
    assert_eq!((comparison.records, comparison.compared), (5_000, 5_000));
    assert_eq!(counts(&comparison), [(FindingKind::Mismatch, 2)]);
    assert!(ended.into_inner() >= 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_lets_salesforce_speak_and_leaves_no_trace() {
    let mut world = World::start(MAPPINGS).await;
    world
        .run("INSERT INTO salesforce.contact (lastname, email, phone, external_id__c) VALUES ('Doe', 'a@acme.com', '4155552671', 'K1')")
        .await;
    world.until_quiet().await;
    world.stop_engine().await;
    world.run("UPDATE salesforce.contact SET phone = 'call me'").await;
    world
        .run(
            "INSERT INTO salesforce.contact (lastname, email, external_id__c)
             VALUES ('New', 'b@acme.com', 'K2'), ('Bad', 'nobody', 'K3'), ('Primary', NULL, 'K4');
             UPDATE salesforce.contact SET level__c = 'Primary' WHERE external_id__c = 'K4'",
        )
        .await;
    let (config, store) = (&world.config, &world.store);
    let sides = world.sides();
    let mapping = dry_run::mapping(config, store, &sides.client, "contact").await.unwrap();
    let before = (world.org.journal_since(0), world.org.ids("Contact").len());
    fn told(shown: &syncdeck::domain::changes::dry_run::DryRun) -> Vec<(i32, &str, Option<&str>)> {
        shown
            .items
            .iter()
            .map(|tried| (tried.row.0, tried.op.as_str(), tried.refused_by.as_deref()))
            .collect()
    }
    let shown = dry_run::run(store, Some(&sides.client), &mapping, 20).await.unwrap();
    let expected = [
        (4, "insert", Some("salesforce")),
        (3, "insert", Some("check")),
        (2, "insert", None),
        (1, "update", Some("salesforce")),
    ];
    assert_eq!(told(&shown), expected, "{:#?}", shown.items);
    assert_eq!((shown.rows, shown.passed), (4, 1));
    assert_eq!(
        shown.items[3].message.as_deref(),
        Some("Phone must be a valid phone number, for example +1 555 010 1234")
    );
    let offline = dry_run::run(store, None, &mapping, 20).await.unwrap();
    assert_eq!(told(&offline)[0], (4, "insert", None), "only Salesforce knows its rules");
    assert_eq!(told(&offline)[1].2, Some("check"));
    assert_eq!((world.org.journal_since(0), world.org.ids("Contact").len()), before);
    let unknown = dry_run::mapping(config, store, &sides.client, "Nothing").await.unwrap_err().to_string();
    assert!(unknown.contains("has no mapping \"Nothing\"\nit has: Account, Contact"), "{unknown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_wished_for_while_it_is_read_is_read_once_more() {
    let mut world = World::start(MAPPINGS).await;
    world.stop_engine().await;
    let (store, sfids) = (&world.store, ["003000000000001AAA".to_owned()]);
    let wish = async || store.want_read("contact", &sfids, &operation("tester@here")).await.unwrap();
    wish().await;
    let wanted = store.take_rereads("contact", 10).await.unwrap();
    assert_eq!(wanted, [(sfids[0].clone(), false)]);
    let asked_at = store.now().await.unwrap();
    // Somebody takes what a record was a while ago, while its reader has it as it was a moment ago.
    wish().await;
    store.reread_done("contact", &sfids, &[], asked_at).await.unwrap();
    assert_eq!(store.take_rereads("contact", 10).await.unwrap(), wanted);
    store.reread_done("contact", &sfids, &[], store.now().await.unwrap()).await.unwrap();
    assert!(store.take_rereads("contact", 10).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_whose_row_is_held_is_read_again_behind_all_others() {
    let mut world = World::start(MAPPINGS).await;
    world.stop_engine().await;
    let store = &world.store;
    let sfids = ["003000000000001AAA", "003000000000002AAA"].map(str::to_owned);
    for sfid in &sfids {
        let wished = std::slice::from_ref(sfid);
        store.want_read("contact", wished, &operation("tester@here")).await.unwrap();
    }
    let first = async || store.take_rereads("contact", 1).await.unwrap().remove(0).0;
    assert_eq!(first().await, sfids[0]);
    store.reread_done("contact", &[], &sfids[..1], store.now().await.unwrap()).await.unwrap();
    assert_eq!(first().await, sfids[1]);
    assert_eq!(store.take_rereads("contact", 10).await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_is_no_orphan_while_its_parents_are_read() {
    let mut world = World::with(MAPPINGS, |org| long_ago(org, 4)).await;
    world.stop_engine().await;
    world.plant("UPDATE salesforce.contact SET accountid = '001000000000000AAA' WHERE id = 1").await;
    let orphans = async || world.verify("Contact").await.counts.get(&FindingKind::Orphan).copied();
    let loaded =
        |done: bool| format!("UPDATE syncdeck.mapping SET load_done = {done} WHERE name = 'Account'");
    world.run(&loaded(false)).await;
    assert_eq!(orphans().await, None);
    world.run(&loaded(true)).await;
    assert_eq!(orphans().await, Some(1));
}
