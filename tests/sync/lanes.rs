//! Several calls are with Salesforce at once where much waits, and each change is sent once all the same.

use crate::world::{MAPPINGS, World};

/// The usual mappings, of which none goes by jobs of Bulk API 2.0.
fn by_calls() -> String {
    MAPPINGS.replace("poll_interval", "bulk_from = \"off\"\npoll_interval")
}

/// More than four claims.
const MANY: i64 = 2_000;
/// A full claim and more.
const FEW: i64 = 300;

const FOUR: &str = "client_secret = \"simulated-secret\"\ncalls_at_once = 4\n";

fn insert(many: i64) -> String {
    format!(
        "INSERT INTO salesforce.contact (lastname, external_id__c) SELECT 'A' || n, 'K' || n FROM generate_series(1, {many}) n"
    )
}

/// Waits until every row's change is taken.
async fn all_taken(world: &World, many: i64) {
    world.until_quiet().await;
    let taken = "SELECT count(*)::text FROM salesforce.contact WHERE sfid IS NOT NULL AND _hc_err IS NULL";
    world.until_text(taken, &many.to_string()).await;
}

/// Records that the API wrote, and how many of them twice.
fn written(world: &World, since: usize) -> (i64, i64) {
    let journal = world.org.journal_since(since as u64);
    let ids: Vec<_> =
        journal.iter().filter(|entry| entry.source == "api").map(|entry| entry.id.clone()).collect();
    let once: std::collections::HashSet<_> = ids.iter().collect();
    (ids.len() as i64, (ids.len() - once.len()) as i64)
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_go_beside_each_other_where_much_waits() {
    let world = World::signing_in(FOUR, &by_calls(), |_| {}).await;
    world.run(&insert(MANY)).await;
    all_taken(&world, MANY).await;
    assert_eq!(written(&world, 0), (MANY, 0));
    let before = world.org.journal_since(0).len();
    // As many calls as lanes are open by now: with fewer, none would ever be answered.
    world.org.change_faults(|faults| faults.gather = 4);
    world.run("UPDATE salesforce.contact SET lastname = lastname || ' again'").await;
    all_taken(&world, MANY).await;
    assert_eq!(world.org.fault_counts().gather, 4);
    assert_eq!(written(&world, before), (MANY, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_by_no_job_goes_beside_each_other_too() {
    // Contacts go by jobs from 2,000 on; no account does.
    let world = World::signing_in(FOUR, MAPPINGS, |_| {}).await;
    world.run(&insert(MANY).replace("contact (lastname", "account (name")).await;
    world.until_quiet().await;
    let before = world.org.journal_since(0).len();
    world.org.change_faults(|faults| faults.gather = 4);
    world.run("UPDATE salesforce.account SET name = name || ' again'").await;
    world.until_quiet().await;
    assert_eq!((world.org.fault_counts().gather, world.org.ingest_jobs().0), (4, 0));
    assert_eq!(written(&world, before), (MANY, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn fewer_calls_go_where_records_lock_each_other_out() {
    let world = World::signing_in(FOUR, &by_calls(), |_| {}).await;
    world.run(&insert(MANY)).await;
    all_taken(&world, MANY).await;
    world.org.change_faults(|faults| faults.row_lock = 0.01);
    world.run("UPDATE salesforce.contact SET lastname = lastname || ' again'").await;
    let told = "SELECT (count(*) > 0)::text FROM syncdeck.log WHERE message LIKE '2 calls at once instead of 4 for 30 s: UNABLE_TO_LOCK_ROW'";
    world.until_text(told, "true").await;
    world.org.change_faults(|faults| faults.row_lock = 0.0);
    all_taken(&world, MANY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_whose_order_is_kept_has_one_call_at_a_time() {
    let mappings = MAPPINGS.replace("poll_interval", "strategy = \"fail_fast\"\npoll_interval");
    let world = World::signing_in(FOUR, &mappings, |_| {}).await;
    world.run(&insert(FEW)).await;
    all_taken(&world, FEW).await;
    let before = world.org.journal_since(0).len();
    world.run("UPDATE salesforce.contact SET lastname = lastname || ' again'").await;
    all_taken(&world, FEW).await;
    assert_eq!(written(&world, before), (FEW, 0));
    let requests: Vec<u64> =
        world.org.journal_since(before as u64).iter().map(|entry| entry.request).collect();
    assert!(requests.is_sorted(), "one request after the other");
}

const FAMILY: &str = r#"
[[mapping]]
object = "Invoice_Line__c"
fields = ["Name", "Quantity__c", "Invoice__r.External_Id__c"]
external_id = "External_Id__c"
poll_interval = "1h"
[[mapping]]
object = "Invoice__c"
fields = ["Name"]
external_id = "External_Id__c"
poll_interval = "1h"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_waits_for_what_was_claimed_before() {
    let world = World::signing_in(FOUR, FAMILY, |_| {}).await;
    world
        .run(
            "INSERT INTO salesforce.invoice__c (name, external_id__c) SELECT 'I' || n, 'I' || n FROM generate_series(1, 300) n;
             INSERT INTO salesforce.invoice_line__c (name, quantity__c, external_id__c, invoice__r__external_id__c)
             SELECT 'L' || n, n, 'L' || n, 'I1' FROM generate_series(1, 1200) n",
        )
        .await;
    world.until_quiet().await;
    let before = world.org.journal_since(0).len();
    world.org.change_faults(|faults| faults.latency_ms = 200);
    // Lines leave their invoice before it is deleted, which would take them along.
    world
        .run("UPDATE salesforce.invoice_line__c SET invoice__r__external_id__c = 'I2', quantity__c = 7")
        .await;
    world.until_text("SELECT count(*)::text FROM salesforce._trigger_log WHERE state = 'NEW'", "0").await;
    world.run("DELETE FROM salesforce.invoice__c WHERE external_id__c <> 'I2'").await;
    world.until_quiet().await;
    let journal = world.org.journal_since(before as u64);
    let updates = journal.iter().filter(|entry| entry.op == "update").map(|entry| entry.seq).max().unwrap();
    let deletes = journal.iter().filter(|entry| entry.op == "delete").map(|entry| entry.seq).min().unwrap();
    assert!(updates < deletes, "{updates} {deletes}");
    assert_eq!((world.org.ids("Invoice_Line__c").len(), world.org.ids("Invoice__c").len()), (1_200, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_at_a_time_calls_go_in_the_order_of_the_changes() {
    let world = World::with(&by_calls(), |_| {}).await;
    world.run(&insert(MANY)).await;
    all_taken(&world, MANY).await;
    // A unit that is still there keeps its place before those that come.
    world.until_text("SELECT count(*)::text FROM syncdeck.unit", "0").await;
    let before = world.org.journal_since(0).len();
    world.run("UPDATE salesforce.contact SET lastname = lastname || ' again'").await;
    all_taken(&world, MANY).await;
    let mut first_of: std::collections::BTreeMap<u64, i64> = std::collections::BTreeMap::new();
    for entry in world.org.journal_since(before as u64) {
        let name = entry.fields["LastName"].as_str().unwrap();
        let row = name.trim_start_matches('A').trim_end_matches(" again").parse().unwrap();
        let first = first_of.entry(entry.request).or_insert(row);
        *first = row.min(*first);
    }
    let firsts: Vec<i64> = first_of.into_values().collect();
    assert!(firsts.len() >= 10 && firsts.is_sorted(), "{firsts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn children_are_not_listed_as_waiting_for_parents_that_are_just_being_made() {
    let mappings = FAMILY.replace("poll_interval", "bulk_from = \"off\"\npoll_interval");
    let world = World::with(&mappings, |_| {}).await;
    world
        .run(
            "INSERT INTO salesforce.invoice__c (name, external_id__c) SELECT 'I' || n, 'I' || n FROM generate_series(1, 800) n;
             INSERT INTO salesforce.invoice_line__c (name, quantity__c, external_id__c, invoice__r__external_id__c)
             SELECT 'L' || n, n, 'L' || n, 'I' || (800 - n % 800) FROM generate_series(1, 800) n",
        )
        .await;
    world.until_quiet().await;
    world
        .until_text("SELECT count(*)::text FROM salesforce.invoice_line__c WHERE sfid IS NOT NULL", "800")
        .await;
    assert_eq!(world.text("SELECT count(*)::text FROM syncdeck.error").await.as_deref(), Some("0"));
}
