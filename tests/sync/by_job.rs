//! Many changes at once go by one job of Bulk API 2.0, and end as they would by collections.

use serde_json::{Map, Value, json};
use syncdeck::simulator::JournalEntry;

use crate::world::{MAPPINGS, World};

/// From so many changes on they go by a job here.
const FROM: usize = 50;
pub const MANY: usize = 60;

pub const CONTACTS: &str = r#"
[[mapping]]
object = "Contact"
fields = ["LastName", "FirstName", "Email", "Phone", "Title", "Description", "Birthdate", "Score__c", "Level__c"]
external_id = "External_Id__c"
check = false
bulk_from = 50
poll_interval = "1h"
"#;

/// Contacts of which rows and records are in step.
pub async fn contacts() -> World {
    contacts_of(World::start(CONTACTS).await, MANY).await
}

pub async fn contacts_of(world: World, many: usize) -> World {
    world
        .run(&format!(
            "INSERT INTO salesforce.contact (lastname, email, external_id__c)
             SELECT 'Doe ' || n, 'doe' || n || '@acme.com', 'K' || n FROM generate_series(1, {many}) n"
        ))
        .await;
    world.until_quiet().await;
    world
}

impl World {
    pub fn journal_length(&self) -> usize {
        self.org.journal_since(0).len()
    }

    /// What the API wrote since then.
    pub fn api_writes_since(&self, seq: usize) -> Vec<JournalEntry> {
        let journal = self.org.journal_since(seq as u64);
        journal.into_iter().filter(|entry| entry.source == "api").collect()
    }

    pub async fn listed_with(&self, code: &str) -> usize {
        let sql = format!(
            "SELECT count(*)::text FROM syncdeck.error WHERE resolved_at IS NULL AND code = '{code}'"
        );
        self.text(&sql).await.unwrap().parse().unwrap()
    }

    pub async fn log_says(&self, words: &str) -> usize {
        let sql = format!("SELECT count(*)::text FROM syncdeck.log WHERE message LIKE '%{words}%'");
        self.text(&sql).await.unwrap().parse().unwrap()
    }

    pub async fn until_log_says(&self, words: &str) {
        self.until(words, async || self.log_says(words).await > 0).await;
    }

    pub fn value_of(&self, key: &str, field: &str) -> Value {
        self.record("Contact", key).unwrap().get(field).cloned().unwrap_or(Value::Null)
    }

    /// Waits until a job is with Salesforce, whose rows wait there.
    pub async fn until_job_under_way(&self) {
        self.until_text(
            "SELECT count(*)::text FROM syncdeck.write_job WHERE closed AND operation = 'update'",
            "1",
        )
        .await;
    }
}

pub fn requests(writes: &[JournalEntry]) -> usize {
    let mut requests: Vec<u64> = writes.iter().map(|entry| entry.request).collect();
    requests.dedup();
    requests.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_changes_go_by_one_job_and_one_bad_row_is_one_error() {
    let world = contacts().await;
    assert_eq!(world.org.ingest_jobs(), (1, 0), "the inserts went by a job");
    assert_eq!(requests(&world.api_writes_since(0)), 1);
    let before = world.journal_length();
    world
        .run(
            "UPDATE salesforce.contact SET lastname = 'New ' || id,
                 email = CASE external_id__c WHEN 'K7' THEN 'not an address' ELSE email END",
        )
        .await;
    world
        .until("the bad row is listed", async || world.listed_with("INVALID_EMAIL_ADDRESS").await == 1)
        .await;
    world.until_quiet().await;
    assert_eq!(world.org.ingest_jobs(), (2, 0));
    let writes = world.api_writes_since(before);
    assert_eq!((writes.len(), requests(&writes)), (MANY - 1, 1));
    assert!(writes.iter().all(|entry| entry.op == "update" && entry.batch_size == MANY));
    let of_rows =
        "SELECT count(*)::text FROM salesforce.contact WHERE _hc_lastop = 'UPDATED' AND _hc_err IS NULL";
    assert_eq!(world.text(of_rows).await.unwrap(), (MANY - 1).to_string());
    let error = "SELECT array_to_string(fields, ',') || ' ' || attempts FROM syncdeck.error WHERE code = 'INVALID_EMAIL_ADDRESS'";
    assert_eq!(world.text(error).await.as_deref(), Some("Email 1"));
    // The history of a row names the job.
    let batch = "SELECT string_agg(DISTINCT batch, ' ') FROM syncdeck.attempt WHERE op = 'update'";
    let job = world.text(batch).await.unwrap();
    assert!(job.len() == 18 && job.starts_with("750"), "{job}");
    let sent = "SELECT request->>'Email' FROM syncdeck.attempt WHERE op = 'update' AND outcome = 'rejected'";
    assert_eq!(world.text(sent).await.as_deref(), Some("not an address"));
    world.until_log_says("rows go by a job of Bulk API 2.0: update by Id").await;
    world.until_log_says("a job of Bulk API 2.0 is over: 59 taken, 1 rejected").await;
    // Mended, it goes by itself.
    world.run("UPDATE salesforce.contact SET email = 'k7@acme.com' WHERE external_id__c = 'K7'").await;
    world.until("the error is over", async || world.listed_with("INVALID_EMAIL_ADDRESS").await == 0).await;
    assert_eq!(world.value_of("K7", "Email"), json!("k7@acme.com"));
    assert_eq!(world.org.ingest_jobs(), (2, 0));
}

/// Texts that CSV or Salesforce may take for something else.
const TEXTS: [&str; 10] = [
    "'a, \"quoted\" text'",
    "E'two\\nlines\\r\\nand a tab\\t.'",
    "'#N/A'",
    "''",
    "'   '",
    "NULL",
    "'  blanks around  '",
    "'Grüße 😀 — ''x'''",
    "'\"'",
    "E'\\\\N, \\\\.'",
];

#[tokio::test(flavor = "multi_thread")]
async fn values_end_as_collections_write_them() {
    let world = World::start(CONTACTS).await;
    // By a job, and few enough for collections.
    for (group, count) in [("J", 6 * TEXTS.len()), ("C", TEXTS.len())] {
        let rows: Vec<String> = (0..count)
            .map(|n| {
                let text = TEXTS[n % TEXTS.len()];
                let (score, born) = if n % 2 == 0 { ("12.50", "'1815-12-10'") } else { ("NULL", "NULL") };
                format!("('Doe', {text}, {text}, {score}, {born}, '{group}{n}')")
            })
            .collect();
        let columns = "lastname, title, description, score__c, birthdate, external_id__c";
        world.run(&format!("INSERT INTO salesforce.contact ({columns}) VALUES {}", rows.join(", "))).await;
        world.until_quiet().await;
    }
    same_on_both(&world);
    assert_eq!(world.org.ingest_jobs().0, 1);
    // What an update sets, what it empties, and what it leaves alone.
    for group in ["J", "C"] {
        world
            .run(&format!(
                "UPDATE salesforce.contact SET lastname = 'Next',
                     title = CASE WHEN right(external_id__c, 1)::int % 2 = 0 THEN NULL ELSE title END,
                     description = CASE right(external_id__c, 1) WHEN '1' THEN '' WHEN '2' THEN 'x' ELSE description END,
                     score__c = CASE right(external_id__c, 1) WHEN '0' THEN NULL ELSE 7 END
                 WHERE external_id__c LIKE '{group}%'"
            ))
            .await;
        world.until_quiet().await;
    }
    same_on_both(&world);
    assert_eq!(world.org.ingest_jobs().0, 2);
    assert_eq!(world.text("SELECT count(*)::text FROM syncdeck.error").await.as_deref(), Some("0"));
}

/// What went by a job is what went by collections.
fn same_on_both(world: &World) {
    let values = |key: &str| {
        let mut record: Map<String, Value> = world.record("Contact", key).unwrap();
        record.retain(|field, _| {
            ["LastName", "Title", "Description", "Score__c", "Birthdate"].contains(&field.as_str())
        });
        record
    };
    for (n, text) in TEXTS.iter().enumerate() {
        assert_eq!(values(&format!("J{n}")), values(&format!("C{n}")), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_made_during_a_job_is_sent_after_it() {
    let world = contacts().await;
    let before = world.journal_length();
    world.org.change_faults(|faults| faults.hold_jobs = Some(0));
    world.run("UPDATE salesforce.contact SET lastname = 'First'").await;
    world.until_job_under_way().await;
    world.run("UPDATE salesforce.contact SET lastname = 'Second' WHERE external_id__c = 'K3'").await;
    world.until_text("SELECT max(version)::text FROM syncdeck.unit", "2").await;
    // Somebody else's change goes at once; one of the job's rows waits for the job.
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Else', 'X1')").await;
    world.until("the other one is there", async || world.record("Contact", "X1").is_some()).await;
    assert_eq!(world.api_writes_since(before).len(), 1);
    world.org.change_faults(|faults| faults.hold_jobs = None);
    world.until_quiet().await;
    let key = |entry: &&JournalEntry| entry.external_id.as_deref() == Some("K3");
    let writes = world.api_writes_since(before);
    let names: Vec<&Value> = writes.iter().filter(key).map(|entry| &entry.fields["LastName"]).collect();
    assert_eq!(names, ["First", "Second"]);
    assert_eq!(world.value_of("K4", "LastName"), json!("First"));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_a_failed_job_did_not_look_at_go_by_collections() {
    let world = contacts_of(World::start(CONTACTS).await, 250).await;
    let before = world.journal_length();
    // After the first of its two chunks.
    world.org.change_faults(|faults| faults.fail_jobs = 1);
    world.run("UPDATE salesforce.contact SET lastname = 'New'").await;
    world.until_quiet().await;
    assert_eq!(world.org.fault_counts().fail_jobs, 1);
    let writes = world.api_writes_since(before);
    assert_eq!(writes.len(), 250, "each was written once");
    assert!(requests(&writes) > 1);
    let records = (1..=250).filter(|n| world.value_of(&format!("K{n}"), "LastName") == json!("New"));
    assert_eq!(records.count(), 250);
    // No row is at fault; what failed is the job, which is told, and jobs rest.
    assert_eq!(
        world.text("SELECT count(*)::text FROM syncdeck.error WHERE record_id IS NOT NULL").await.as_deref(),
        Some("0")
    );
    world.until("it is listed", async || world.listed_with("BULK_JOB_FAILED").await == 1).await;
    world.until_log_says("changes go by collections for 1m").await;
    world.until_log_says("not processed").await;
    let jobs = world.org.ingest_jobs();
    world.run("UPDATE salesforce.contact SET lastname = 'Newer'").await;
    world.until_quiet().await;
    assert_eq!((world.value_of("K250", "LastName"), world.org.ingest_jobs()), (json!("Newer"), jobs));
}

#[tokio::test(flavor = "multi_thread")]
async fn deletes_go_by_a_job() {
    let world = contacts().await;
    let before = world.journal_length();
    world.run("DELETE FROM salesforce.contact").await;
    world.until_quiet().await;
    let writes = world.api_writes_since(before);
    assert_eq!((writes.len(), requests(&writes), world.org.ids("Contact").len()), (MANY, 1, 0));
    assert!(writes.iter().all(|entry| entry.op == "delete"));
    assert_eq!(world.org.ingest_jobs(), (2, 0));
}

pub const LINES: &str = r#"
[[mapping]]
object = "Invoice_Line__c"
fields = ["Name", "Quantity__c", "Invoice__r.External_Id__c"]
external_id = "External_Id__c"
bulk_from = 50
poll_interval = "1h"
[[mapping]]
object = "Invoice__c"
fields = ["Name", "Amount__c"]
external_id = "External_Id__c"
bulk_from = 50
poll_interval = "1h"
"#;

/// Lines of the invoice I1, beside which there is I2.
pub async fn family(lines: usize) -> World {
    let world = World::start(LINES).await;
    world
        .run("INSERT INTO salesforce.invoice__c (name, external_id__c) VALUES ('One', 'I1'), ('Two', 'I2')")
        .await;
    world.until_quiet().await;
    world
        .run(&format!(
            "INSERT INTO salesforce.invoice_line__c (name, quantity__c, external_id__c, invoice__r__external_id__c)
             SELECT 'Line ' || n, n, 'L' || n, 'I1' FROM generate_series(1, {lines}) n"
        ))
        .await;
    world.until_quiet().await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn parents_are_named_by_their_external_ids_and_come_first() {
    let world = World::start(LINES).await;
    world
        .run(&format!(
            "BEGIN;
             INSERT INTO salesforce.invoice_line__c (name, quantity__c, external_id__c, invoice__r__external_id__c)
             SELECT 'Line ' || n, n, 'L' || n, 'I' || n FROM generate_series(1, {MANY}) n;
             INSERT INTO salesforce.invoice__c (name, external_id__c)
             SELECT 'Invoice ' || n, 'I' || n FROM generate_series(1, {MANY}) n;
             COMMIT"
        ))
        .await;
    let unsent = "SELECT ((SELECT count(*) FROM syncdeck.unit) + (SELECT count(*) FROM salesforce._trigger_log))::text";
    world.until_text(unsent, "0").await;
    for n in 1..=MANY {
        let parent = world.org.find_by_external_id("Invoice__c", &format!("I{n}")).unwrap();
        assert_eq!(world.record("Invoice_Line__c", &format!("L{n}")).unwrap()["Invoice__c"], json!(parent));
    }
    assert_eq!(
        world
            .text("SELECT count(*)::text FROM syncdeck.error WHERE code <> 'PARENT_NOT_SYNCED'")
            .await
            .as_deref(),
        Some("0")
    );
    let (jobs, _) = world.org.ingest_jobs();
    assert!(jobs >= 1);
    // Lines whose parents are there already.
    world
        .run("UPDATE salesforce.invoice_line__c SET invoice__r__external_id__c = 'I1', quantity__c = 7")
        .await;
    world.until_quiet().await;
    assert_eq!(world.org.ingest_jobs().0, jobs + 1);
    let first = world.org.find_by_external_id("Invoice__c", "I1").unwrap();
    let line = world.record("Invoice_Line__c", "L60").unwrap();
    assert_eq!((&line["Invoice__c"], &line["Quantity__c"]), (&json!(first), &json!(7.0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parents_delete_waits_for_the_job_with_changes_of_its_children() {
    let world = family(MANY).await;
    let before = world.journal_length();
    world.org.change_faults(|faults| faults.hold_jobs = Some(0));
    world
        .run("UPDATE salesforce.invoice_line__c SET quantity__c = 7, invoice__r__external_id__c = 'I2'")
        .await;
    world.until_job_under_way().await;
    world.run("DELETE FROM salesforce.invoice__c WHERE external_id__c = 'I1'").await;
    world.until_log_says("deletes wait for a job of Bulk API 2.0").await;
    // It is not looked at again and again meanwhile, but when the job is over.
    let rests = "SELECT count(*)::text FROM syncdeck.unit WHERE table_name = 'invoice__c' AND state = 'ready' AND ready_at > clock_timestamp() + interval '5 s'";
    world.until_text(rests, "1").await;
    world.run("UPDATE syncdeck.unit SET ready_at = ready_at + interval '1 day' WHERE table_name = 'invoice__c' AND state = 'ready'").await;
    // A round of the queue passes: what is no delete goes.
    world.run("UPDATE salesforce.invoice__c SET name = 'Second' WHERE external_id__c = 'I2'").await;
    world
        .until("the other one goes", async || {
            world.record("Invoice__c", "I2").unwrap()["Name"] == json!("Second")
        })
        .await;
    assert!(world.api_writes_since(before).iter().all(|entry| entry.op != "delete"));
    let attempts = "SELECT max(attempts + lost)::text FROM syncdeck.unit WHERE table_name = 'invoice__c'";
    assert_eq!(world.text(attempts).await.as_deref(), Some("0"));
    world.org.change_faults(|faults| faults.hold_jobs = None);
    world.until_quiet().await;
    let writes = world.api_writes_since(before);
    assert_eq!(writes.last().map(|entry| entry.op), Some("delete"));
    assert!(world.record("Invoice__c", "I1").is_none());
    assert_eq!(world.org.ids("Invoice_Line__c").len(), MANY);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_sent_again_safely_or_is_few_goes_by_no_job() {
    let plain = CONTACTS.replace("external_id = \"External_Id__c\"\n", "");
    let world = World::start(&plain).await;
    let insert = format!(
        "INSERT INTO salesforce.contact (lastname) SELECT 'Doe ' || n FROM generate_series(1, {MANY}) n"
    );
    world.run(&insert).await;
    world.until_quiet().await;
    assert_eq!((world.org.ingest_jobs().0, world.org.ids("Contact").len()), (0, MANY));
    // Their updates go by Id, as soon as there are enough.
    world.run(&format!("UPDATE salesforce.contact SET title = 'x' WHERE id < {FROM}")).await;
    world.until_quiet().await;
    assert_eq!(world.org.ingest_jobs().0, 0);
    world.run("UPDATE salesforce.contact SET title = 'y'").await;
    world.until_quiet().await;
    assert_eq!(world.org.ingest_jobs().0, 1);
    for rule in ["strategy = \"fail_fast\"", "bulk_from = \"off\"", "batch_size = 100"] {
        let own = format!(
            "{}{rule}\n",
            CONTACTS.replace(if rule.starts_with("bulk") { "bulk_from = 50\n" } else { "none" }, "")
        );
        let world = contacts_of(World::start(&own).await, MANY).await;
        assert_eq!((world.org.ingest_jobs().0, world.org.ids("Contact").len()), (0, MANY), "{rule}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_on_the_way_costs_and_doubles_nothing() {
    for asked in
        ["POST jobs/ingest", "PUT jobs/ingest", "PATCH jobs/ingest", "GET jobs/ingest", "successfulResults"]
    {
        let world = contacts().await;
        let before = world.journal_length();
        world.org.change_faults(|faults| faults.lose_answer_to = Some(asked.to_owned()));
        world.run("UPDATE salesforce.contact SET lastname = 'New'").await;
        world.until_quiet().await;
        assert_eq!(world.org.fault_counts().lose_answer, 1, "{asked}");
        let writes = world.api_writes_since(before);
        assert_eq!(writes.len(), MANY, "{asked}");
        assert_eq!(world.value_of("K60", "LastName"), json!("New"));
        let told = "SELECT count(*)::text FROM syncdeck.error WHERE record_id IS NOT NULL";
        assert_eq!(world.text(told).await.as_deref(), Some("0"), "{asked}");
        world.until_text("SELECT count(*)::text FROM syncdeck.write_job", "0").await;
        // One whose id was not told stays open, and nobody ever closes it.
        let open = usize::from(asked.starts_with("POST"));
        assert_eq!(world.org.ingest_jobs().1, open, "{asked}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_ends_leaves_its_job_to_the_next_one() {
    let mut world = contacts().await;
    let before = world.journal_length();
    world.org.change_faults(|faults| faults.hold_jobs = Some(0));
    world.run("UPDATE salesforce.contact SET lastname = 'New'").await;
    world.until_job_under_way().await;
    world.stop_engine().await;
    world.org.change_faults(|faults| faults.hold_jobs = None);
    world.start_engine().await;
    world.until_quiet().await;
    assert_eq!(world.api_writes_since(before).len(), MANY);
    assert_eq!(world.org.ingest_jobs(), (2, 0));
    world.until_log_says("a job of Bulk API 2.0 for contact is taken over").await;
    let lost = "SELECT count(*)::text FROM syncdeck.attempt WHERE outcome <> 'accepted'";
    assert_eq!(world.text(lost).await.as_deref(), Some("0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_usual_mappings_write_at_once_goes_by_a_job() {
    let world = World::start(MAPPINGS).await;
    let insert = "INSERT INTO salesforce.contact (lastname, external_id__c) SELECT 'A' || n, 'A' || n FROM generate_series(1, 2500) n";
    world.run(insert).await;
    world.until_quiet().await;
    assert_eq!((world.org.ids("Contact").len(), world.org.ingest_jobs()), (2_500, (1, 0)));
    let synced = "SELECT count(*)::text FROM salesforce.contact WHERE sfid IS NOT NULL";
    assert_eq!(world.text(synced).await.as_deref(), Some("2500"));
    // Calls apply the org's assignment rules to an account, and a job would not.
    world.run("INSERT INTO salesforce.account (name, external_id__c) SELECT 'A' || n, 'A' || n FROM generate_series(1, 2100) n").await;
    world.until_quiet().await;
    assert_eq!((world.org.ids("Account").len(), world.org.ingest_jobs()), (2_100, (1, 0)));
}
