//! External ids as Salesforce compares them: trimmed, in any case unless the field is case-sensitive, numbers by value.

use serde_json::{Value, json};

use crate::world::{INVOICES, World};

const ACCOUNTS: &str = r#"
[[mapping]]
object = "Account"
fields = ["Name", "Phone"]
external_id = "External_Id__c"
poll_interval = "200ms"
"#;

async fn insert(world: &World, name: &str, key: &str) {
    let sql = format!("INSERT INTO salesforce.account (name, external_id__c) VALUES ('{name}', E'{key}')");
    world.run(&sql).await;
}

async fn until_sent(world: &World, rows: &str) {
    world
        .until_text(
            "SELECT count(*)::text FROM salesforce.account WHERE _hc_lastop = 'SYNCED' AND sfid IS NOT NULL",
            rows,
        )
        .await;
}

const LISTED: &str = "SELECT string_agg(record_id || ' ' || code || ': ' || message, '; ' ORDER BY record_id) FROM syncdeck.error WHERE resolved_at IS NULL";

#[tokio::test(flavor = "multi_thread")]
async fn a_row_whose_key_another_row_has_for_salesforce_is_refused_and_names_it() {
    let world = World::start(ACCOUNTS).await;
    insert(&world, "First", "K-77").await;
    until_sent(&world, "1").await;
    let first = world.record("Account", "K-77").unwrap();
    for (row, key, told) in
        [(2, "K-77 ", "K-77 "), (3, "k-77", "k-77"), (4, "\\tK-77\\r\\n", "\\tK-77\\r\\n")]
    {
        insert(&world, "Second", key).await;
        let state = format!("SELECT state FROM syncdeck.unit WHERE record_id = {row}");
        world.until_text(&state, "failed").await;
        let message = format!("SELECT message FROM syncdeck.error WHERE record_id = {row}");
        let told = format!(
            "External_Id__c \"{told}\" is that of the row 1, \"K-77\": both would be one record in Salesforce"
        );
        assert_eq!(world.text(&message).await.unwrap(), told);
    }
    assert_eq!(world.record("Account", "K-77").unwrap()["Name"], first["Name"]);
    assert_eq!(world.org.ids("Account").len(), 1);
    assert_eq!(world.text("SELECT name FROM salesforce.account WHERE id = 1").await.unwrap(), "First");
    // A key of its own lets it go.
    world.run("UPDATE salesforce.account SET external_id__c = 'K-78' WHERE id = 2").await;
    until_sent(&world, "2").await;
    assert_eq!(world.record("Account", "K-78").unwrap()["Name"], json!("Second"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_rows_with_one_key_in_one_transaction_make_one_record_whatever_their_letters() {
    let world = World::start(ACCOUNTS).await;
    world
        .run("INSERT INTO salesforce.account (name, external_id__c) VALUES ('First', 'ÄPFEL'), ('Second', 'äpfel '), ('Third', 'K 1'), ('Fourth', 'K  1')")
        .await;
    until_sent(&world, "3").await;
    world.until_text("SELECT state FROM syncdeck.unit WHERE record_id = 2", "failed").await;
    assert_eq!(world.record("Account", "äpfel").unwrap()["Name"], json!("First"));
    assert!(world.text(LISTED).await.unwrap().starts_with("2 DUPLICATE_EXTERNAL_ID"));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_differ_in_case_are_two_where_the_field_says_so() {
    let world = World::with(ACCOUNTS, |org| org.make_case_sensitive("Account", "External_Id__c")).await;
    insert(&world, "Upper", "K-77").await;
    insert(&world, "Lower", "k-77").await;
    until_sent(&world, "2").await;
    assert_eq!(world.org.ids("Account").len(), 2);
    assert_eq!(world.record("Account", "k-77").unwrap()["Name"], json!("Lower"));
    insert(&world, "Padded", "k-77 ").await;
    world.until_text("SELECT state FROM syncdeck.unit WHERE record_id = 3", "failed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_blanks_is_none() {
    let world = World::start(ACCOUNTS).await;
    insert(&world, "One", " ").await;
    insert(&world, "Two", "\\t").await;
    until_sent(&world, "2").await;
    assert_eq!(world.org.ids("Account").len(), 2);
    assert_eq!(world.text(LISTED).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_keys_by_their_value() {
    let mappings = r#"
[[mapping]]
object = "Contact"
fields = ["LastName", "Score__c"]
external_id = "Score__c"
poll_interval = "200ms"
"#;
    let mut world = World::with(mappings, |org| org.make_key("Contact", "Score__c")).await;
    let there = |name: &str, score: f64| {
        let fields = json!({"LastName": name, "Score__c": score});
        world.org.user_create("Contact", fields.as_object().unwrap().clone()).unwrap()
    };
    let id = there("Old", 7.0);
    world.until_text("SELECT sfid FROM salesforce.contact WHERE score__c = 7", &id).await;
    world.stop_engine().await;
    let id = {
        let fields = json!({"LastName": "There", "Score__c": 8.0});
        world.org.user_create("Contact", fields.as_object().unwrap().clone()).unwrap()
    };
    world.run("INSERT INTO salesforce.contact (lastname, score__c) VALUES ('Eight', 8), ('Nine', 9.5)").await;
    world.start_engine().await;
    world.until_text("SELECT count(*)::text FROM salesforce.contact WHERE _hc_lastop = 'SYNCED'", "3").await;
    assert_eq!(world.text("SELECT sfid FROM salesforce.contact WHERE score__c = 8").await.unwrap(), id);
    assert_eq!(world.org.ids("Contact").len(), 3);
    assert_eq!(
        world.text("SELECT count(*)::text FROM syncdeck.attempt WHERE outcome = 'lost'").await.unwrap(),
        "0"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_another_row_has_is_not_taken() {
    let mut world = World::start(ACCOUNTS).await;
    insert(&world, "First", "K-1").await;
    until_sent(&world, "1").await;
    world.until_quiet().await;
    world.stop_engine().await;
    // Somebody gives the first row's record another key, which a new row has.
    let id = world.org.find_by_external_id("Account", "K-1").unwrap();
    let key = json!({"External_Id__c": "K-2"});
    world.org.user_update("Account", &id, key.as_object().unwrap().clone()).unwrap();
    world.run("UPDATE syncdeck.lease SET owner = 'another', until = now() + interval '1 h'; INSERT INTO syncdeck.engine (owner, state, connection, environment, connection_state, seen_at) VALUES ('another', 'running', 'acme', 'test', 'ok', now() + interval '1 h')").await;
    world.run("INSERT INTO syncdeck.lease SELECT 'reader Account', 'another', now() + interval '1 h' ON CONFLICT DO NOTHING").await;
    insert(&world, "Second", "k-2 ").await;
    world.start_engine().await;
    world.until_text("SELECT state FROM syncdeck.unit WHERE record_id = 2", "failed").await;
    let told = format!(
        "2 RECORD_OF_ANOTHER_ROW: Salesforce found the record {id} by External_Id__c \"k-2 \", which is that of the row 1: the values of the row 2 went into it"
    );
    assert_eq!(world.text(LISTED).await.unwrap(), told);
    assert_eq!(world.text("SELECT string_agg(id || ' ' || coalesce(sfid, '-'), ', ' ORDER BY id) FROM salesforce.account").await.unwrap(), format!("1 {id}, 2 -"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_finds_its_parent_by_a_key_in_another_case_and_waits_for_one_that_is_to_come() {
    let world = World::start(INVOICES).await;
    world
        .run("INSERT INTO salesforce.invoice_line__c (name, quantity__c, invoice__r__external_id__c, external_id__c) VALUES ('Line', 2, 'i-1 ', 'L1')")
        .await;
    world.until_text("SELECT state FROM syncdeck.unit", "held").await;
    world.run("INSERT INTO salesforce.invoice__c (name, external_id__c) VALUES ('Invoice', 'I-1')").await;
    world.until("the line is there", async || world.record("Invoice_Line__c", "L1").is_some()).await;
    let parent = world.record("Invoice__c", "I-1").unwrap()["Id"].clone();
    assert_eq!(world.record("Invoice_Line__c", "L1").unwrap()["Invoice__c"], parent);
    world.run("INSERT INTO salesforce.invoice_line__c (name, quantity__c, invoice__r__external_id__c, external_id__c) VALUES ('Line', 3, 'I-1', 'L2')").await;
    world.until("the other line is there", async || world.record("Invoice_Line__c", "L2").is_some()).await;
    world.until_quiet().await;
    assert_eq!(
        world.text("SELECT count(*)::text FROM syncdeck.error WHERE resolved_at IS NULL").await.unwrap(),
        "0"
    );
    assert_eq!(world.text("SELECT count(*)::text FROM syncdeck.conflict").await.unwrap(), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_finds_the_row_by_its_key_in_another_case() {
    let mut world = World::start(ACCOUNTS).await;
    world.stop_engine().await;
    let fields = json!({"Name": "Acme", "Phone": "1", "External_Id__c": "K-9"});
    let id = world.org.user_create("Account", fields.as_object().unwrap().clone()).unwrap();
    insert(&world, "Acme", "k-9 ").await;
    insert(&world, "Other", "K-9\\t").await;
    world.run("UPDATE syncdeck.mapping SET writes = 'paused'").await;
    world.start_engine().await;
    let rows =
        "SELECT string_agg(id || ' ' || coalesce(sfid, '-'), ', ' ORDER BY id) FROM salesforce.account";
    world.until_text(rows, &format!("1 {id}, 2 -")).await;
}

/// The nodes of a plan, the scans above all.
fn nodes(plan: &Value, found: &mut Vec<String>) {
    let text = |name: &str| plan[name].as_str().unwrap_or("").to_owned();
    found.push(format!("{} {}{}", text("Node Type"), text("Relation Name"), text("Index Name")));
    plan["Plans"].as_array().into_iter().flatten().for_each(|part| nodes(part, found));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_found_by_key_in_an_index_among_a_hundred_thousand() {
    let mut world = World::start(ACCOUNTS).await;
    world.stop_engine().await;
    // Of a table that was just filled, before anything was analysed.
    world
        .run("BEGIN; SET LOCAL syncdeck.writer = 'engine'; SET LOCAL xmlbinary = 'hex'; INSERT INTO salesforce.account (name, external_id__c, sfid) SELECT 'A' || n, 'K-' || n, 'S' || n FROM generate_series(1, 100000) n; COMMIT")
        .await;
    for analyse in ["SELECT", "ANALYZE salesforce.account"] {
        world.run(analyse).await;
        let sql = "EXPLAIN (FORMAT JSON) SELECT wanted.key, other.id FROM unnest(ARRAY['k-1', 'k-2']) AS wanted (key), LATERAL (
            SELECT id FROM salesforce.account other WHERE salesforce.hc_fold_key(other.external_id__c::text) = salesforce.hc_fold_key(wanted.key) OFFSET 0) other";
        let plan: Value = world.sql.query_one(sql, &[]).await.unwrap().get(0);
        let mut found = Vec::new();
        nodes(&plan[0]["Plan"], &mut found);
        assert!(
            found.iter().any(|node| node.ends_with("hc_key_account_external_id__c")),
            "{analyse}: {found:?}"
        );
        assert!(!found.iter().any(|node| node == "Seq Scan account"), "{analyse}: {found:?}");
    }
}
