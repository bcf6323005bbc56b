//! Deletes of records that others name, while changes of those go by jobs of Bulk API 2.0: what came before a delete goes before
//! it, whatever becomes of the job, and what came after it keeps it waiting for nothing.

use syncdeck::domain::reports::overview::Writes;
use syncdeck::simulator::CannedAnswer;

use crate::by_job::{MANY, family};
use crate::world::World;

const MOVE: &str =
    "UPDATE salesforce.invoice_line__c SET invoice__r__external_id__c = 'I2', quantity__c = 700";
const DELETE: &str = "DELETE FROM salesforce.invoice__c WHERE external_id__c = 'I1'";

impl World {
    /// What was written since then: so many changes, and the delete at last. All lines are there.
    async fn deleted_last(&self, since: usize, changes: usize, lines: usize) {
        self.until_quiet().await;
        let writes = self.api_writes_since(since);
        let ops: Vec<&str> = writes.iter().map(|entry| entry.op).collect();
        let deletes = ops.iter().filter(|op| **op == "delete").count();
        assert_eq!((ops.len(), deletes, ops.last()), (changes + 1, 1, Some(&"delete")));
        assert!(self.record("Invoice__c", "I1").is_none());
        assert_eq!(self.org.ids("Invoice_Line__c").len(), lines);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_refused_job_gives_back_goes_before_the_parents_delete() {
    // More than one claim.
    let many = 450;
    let world = family(many).await;
    let before = world.journal_length();
    world.org.change_faults(|faults| {
        let refusal = CannedAnswer::refusal("POST jobs/ingest", 400, "EXCEEDEDQUOTA", "none is left", 1_000);
        faults.answer = Some(refusal);
    });
    world.run(&format!("BEGIN; {MOVE}; {DELETE}; COMMIT")).await;
    world.deleted_last(before, many, many).await;
    assert_eq!(world.listed_with("BULK_JOB_FAILED").await, 1);
    let wrong = "SELECT count(*)::text FROM syncdeck.attempt WHERE outcome <> 'accepted'";
    assert_eq!(world.text(wrong).await.as_deref(), Some("0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_whose_answers_a_job_lost_go_again_before_the_parents_delete() {
    let world = family(MANY).await;
    let before = world.journal_length();
    world.org.change_faults(|faults| faults.hold_jobs = Some(0));
    world.run(MOVE).await;
    world.until_job_under_way().await;
    world.run(DELETE).await;
    world.until_log_says("deletes wait for a job of Bulk API 2.0").await;
    // Each row is told as another record: what became of it is not known.
    let id = |n: usize| world.org.find_by_external_id("Invoice_Line__c", &format!("L{n}")).unwrap();
    let row = |n: usize| format!("\"{}\",\"false\",\"{}\"\n", id(n % MANY + 1), id(n));
    let rows: String = (1..=MANY).map(row).collect();
    let answer = CannedAnswer {
        to: "successfulResults".to_owned(),
        status: 200,
        body: format!("\"sf__Id\",\"sf__Created\",\"Id\"\n{rows}"),
        content_type: "text/csv; charset=UTF-8".to_owned(),
        times: 1,
    };
    world.org.change_faults(|faults| {
        faults.answer = Some(answer);
        faults.hold_jobs = None;
    });
    world.deleted_last(before, 2 * MANY, MANY).await;
    let lost = "SELECT count(*)::text FROM syncdeck.attempt WHERE outcome = 'lost'";
    assert_eq!(world.text(lost).await.as_deref(), Some(MANY.to_string().as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_does_not_wait_for_jobs_with_what_came_after_it() {
    let world = family(MANY).await;
    world.run(MOVE).await;
    world.until_quiet().await;
    let before = world.journal_length();
    world.handle.writes(Some("Invoice__c"), Writes::Pause).await.unwrap();
    world.run(DELETE).await;
    world.until_text("SELECT count(*)::text FROM syncdeck.unit WHERE state = 'stopped'", "1").await;
    world.org.change_faults(|faults| faults.hold_jobs = Some(0));
    world.run("UPDATE salesforce.invoice_line__c SET quantity__c = 800").await;
    world.until_job_under_way().await;
    world.handle.writes(Some("Invoice__c"), Writes::Resume).await.unwrap();
    world.until("it is deleted", async || world.record("Invoice__c", "I1").is_none()).await;
    world.until_job_under_way().await;
    assert_eq!(world.api_writes_since(before).len(), 1);
    world.org.change_faults(|faults| faults.hold_jobs = None);
    world.until_quiet().await;
    assert_eq!(world.api_writes_since(before).len(), MANY + 1);
    assert_eq!(world.log_says("deletes wait for").await, 0);
}
