//! Loads by a job of Bulk API 2.0: the rows are those that a query would bring, whatever happens on the way.

use serde_json::{Map, Value, json};
use syncdeck::domain::reports::overview::Writes;
use syncdeck::simulator::{CannedAnswer, Org, OrgOptions};

use crate::verify::long_ago;
use crate::world::{MAPPINGS, World};

/// Records of a mapping that is worth a job.
const MANY: usize = 10_050;
/// Records on a page of its result.
const PAGE: usize = 3_000;
/// Records of a mapping that is read by a job because nobody counts them in time, on as many pages.
const UNCOUNTED: usize = 1_050;
const SHORT_PAGE: usize = 300;

/// Every kind of value, and a parent.
const KINDS: &str = "object Site__c a21 Site
  Name | Name | text 80
  Number__c | Number | number 10,1 | key

object Kind__c a20 Kind
  Name | Name | text 80
  Account__c | Account | lookup Account Account__r
  Site__c | Site | lookup Site__c Site__r
  Note__c | Note | long 32000
  Mail__c | Mail | email
  Level__c | Level | picklist Low/High
  Amount__c | Amount | number 18,4
  Steps__c | Steps | int
  Done__c | Done | boolean
  Born__c | Born | date
  Seen__c | Seen | datetime
";

const KIND: &str = r#"
[[mapping]]
object = "Kind__c"
fields = ["Name", "Account__c", "Account__r.External_Id__c", "Site__c", "Site__r.Number__c", "Note__c", "Mail__c", "Level__c", "Amount__c", "Steps__c", "Done__c", "Born__c", "Seen__c"]
external_id = "External_Id__c"
poll_interval = "200ms"
"#;

/// Texts that would end a value or a row of CSV or of COPY, or pass for none.
const TEXTS: [&str; 8] = [
    "plain",
    "a \"quoted\", text",
    "two\nlines\r\nand a tab\t.",
    "\\N",
    "back\\slash\\n",
    "\\.",
    "#N/A",
    "Grüße \u{1F600} \u{202E}x",
];

fn kinds(org: &Org, count: usize) {
    org.define(KINDS);
    let account = fields(json!({"Name": "Acme", "External_Id__c": "A1"}));
    let account = org.user_create("Account", account).unwrap();
    let site = org.user_create("Site__c", fields(json!({"Name": "Here", "Number__c": 7.0}))).unwrap();
    for number in 0..count {
        let text = TEXTS[number % TEXTS.len()];
        let mut record =
            fields(json!({"External_Id__c": format!("K{number}"), "Name": format!("N{number} {text}")}));
        if number % 3 > 0 {
            record.extend(fields(json!({"Account__c": account, "Site__c": site, "Note__c": text, "Mail__c": "a@acme.com",
                "Level__c": "High", "Amount__c": number as f64 / 16.0, "Steps__c": number, "Done__c": number % 2 == 0,
                "Born__c": "1815-12-10", "Seen__c": "2026-03-04T05:06:07.000Z"})));
        }
        org.user_create("Kind__c", record).unwrap();
    }
    org.backdate("Kind__c", chrono::TimeDelta::hours(1));
}

fn fields(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

impl World {
    /// How often the log says this of an object.
    async fn told(&self, words: &str) -> i64 {
        let sql = "SELECT count(*) FROM syncdeck.log WHERE message LIKE '%' || $1 || '%'";
        self.sql.query_one(sql, &[&words]).await.unwrap().get(0)
    }

    async fn rows(&self, table: &str) -> usize {
        let sql = format!("SELECT count(*)::text FROM salesforce.{table}");
        self.text(&sql).await.unwrap().parse().unwrap()
    }

    /// Has an engine load a mapping for the first time once more, of which an org has records now.
    async fn load_anew(&mut self, object: &str) {
        self.run(&format!(
            "UPDATE syncdeck.mapping SET load_done = false, read_cursor = NULL, last_read = NULL WHERE name = '{object}'"
        ))
        .await;
        self.start_engine().await;
    }

    async fn until_loaded(&self, object: &str) {
        let sql = format!(
            "SELECT (load_done AND state <> 'loading')::text FROM syncdeck.mapping WHERE name = '{object}'"
        );
        self.until_text(&sql, "true").await;
        // The job is forgotten with the load.
        let kept = format!("SELECT count(load_job)::text FROM syncdeck.mapping WHERE name = '{object}'");
        assert_eq!(self.text(&kept).await.unwrap(), "0");
    }

    /// The id of the job by which an object is loaded.
    async fn job(&self, object: &str) -> Option<String> {
        self.text(&format!("SELECT load_job->>'id' FROM syncdeck.mapping WHERE name = '{object}'")).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_brings_the_rows_that_a_query_brings() {
    let options = |options: &mut OrgOptions| {
        (options.daily_query_jobs, options.bulk_page_limit) = (2, PAGE);
    };
    let mut world = World::made(KIND, options, |org| kinds(org, MANY)).await;
    assert_eq!(
        world.told("Kind__c is read by a job of Bulk API 2.0: it has more than 10000 records").await,
        1
    );
    assert_eq!((world.told("is read page by page").await, world.rows("kind__c").await), (0, MANY));
    let wrong = "SELECT count(*)::text FROM salesforce.kind__c WHERE _hc_lastop <> 'SYNCED' OR sfid IS NULL OR isdeleted OR systemmodstamp IS NULL";
    assert_eq!(world.text(wrong).await.unwrap(), "0");
    assert_eq!(world.text("SELECT count(*)::text FROM salesforce._trigger_log").await.unwrap(), "0");
    let all = "SELECT string_agg((to_jsonb(t) - 'id')::text, E'\\n' ORDER BY sfid) FROM salesforce.kind__c t";
    let by_job = world.text(all).await.unwrap();
    let parents = "SELECT count(*)::text FROM salesforce.kind__c WHERE account__r__external_id__c = 'A1' AND account__c IS NOT NULL AND site__r__number__c = '7'";
    assert_eq!(world.text(parents).await.unwrap(), "6700");
    let texts = "SELECT count(DISTINCT note__c)::text FROM salesforce.kind__c";
    assert_eq!(world.text(texts).await.unwrap(), TEXTS.len().to_string());
    world.plant("DELETE FROM salesforce.kind__c").await;
    let (code, message) = ("LIMIT_EXCEEDED", "Max bulk v2 query jobs (2) per 24 hrs has been reached (3).");
    let refused = CannedAnswer::refusal("POST jobs/query", 400, code, message, 1);
    world.org.change_faults(|faults| faults.answer = Some(refused));
    world.handle.reload(Some("Kind__c")).await.unwrap();
    world.until_text("SELECT count(reload_at)::text FROM syncdeck.mapping", "0").await;
    let refused =
        "Kind__c is read page by page: Salesforce makes no job of Bulk API 2.0 for it: LIMIT_EXCEEDED";
    assert_eq!(world.told(refused).await, 1);
    assert!(
        world.text(all).await.unwrap() == by_job,
        "rows read by a query are others than those read by a job"
    );
    // Near the end of the org's jobs of a day none is asked for. An engine that starts looks how many are left.
    world.stop_engine().await;
    world.org.count_query_jobs(2);
    world.start_engine().await;
    world.handle.reload(Some("Kind__c")).await.unwrap();
    world.until_text("SELECT count(reload_at)::text FROM syncdeck.mapping", "0").await;
    let spent = "Kind__c is read page by page: 0 of 2 DailyBulkV2QueryJobs are left in 24 hours";
    assert_eq!((world.told(spent).await, world.org.query_jobs()), (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_by_a_job_mends_what_differs_and_removes_what_is_gone() {
    let world = World::made(MAPPINGS, paged, |org| long_ago(org, MANY)).await;
    let untouched = "SELECT xmin::text FROM salesforce.contact WHERE external_id__c = 'K10'";
    let before = world.text(untouched).await;
    world
        .plant(
            "UPDATE salesforce.contact SET lastname = 'Wrong' WHERE external_id__c IN ('K8', 'K9400');
             DELETE FROM salesforce.contact WHERE external_id__c = 'K9';
             INSERT INTO salesforce.contact (lastname, sfid) VALUES ('Ghost', '003000000000000AAA')",
        )
        .await;
    // While the job is worked off, polls go on.
    world.org.change_faults(|faults| faults.hold_jobs = Some(0));
    world.handle.reload(Some("Contact")).await.unwrap();
    world.until("the job is made", async || world.job("Contact").await.is_some()).await;
    let id = |key: &str| world.org.find_by_external_id("Contact", key).unwrap();
    world.org.user_update("Contact", &id("K50"), fields(json!({"LastName": "Renamed"}))).unwrap();
    world.until_text("SELECT lastname FROM salesforce.contact WHERE external_id__c = 'K50'", "Renamed").await;
    world.org.user_delete("Contact", &id("K51")).unwrap();
    world.until_text("SELECT count(*)::text FROM salesforce.contact WHERE external_id__c = 'K51'", "0").await;
    world.org.change_faults(|faults| faults.hold_jobs = None);
    world.until_text("SELECT count(reload_at)::text FROM syncdeck.mapping", "0").await;
    world.until_loaded("Contact").await;
    let names = "SELECT string_agg(lastname, '|' ORDER BY lastname) FROM salesforce.contact WHERE external_id__c IN ('K8', 'K9', 'K9400', 'K50', 'K51') OR sfid = '003000000000000AAA'";
    assert_eq!(world.text(names).await.unwrap(), "Doe 8|Doe 9|Doe 9400|Renamed");
    assert_eq!(world.rows("contact").await, MANY);
    assert_eq!(world.text(untouched).await, before);
    assert_eq!(world.told("Contact is read by a job of Bulk API 2.0").await, 2);
}

/// Small pages.
fn paged(options: &mut OrgOptions) {
    options.bulk_page_limit = PAGE;
}

/// Still smaller ones.
fn short_paged(options: &mut OrgOptions) {
    options.bulk_page_limit = SHORT_PAGE;
}

/// Has the org count nothing in time.
fn uncounted(org: &Org) {
    org.change_faults(|faults| faults.count_timeout = true);
}

impl World {
    /// Has an engine begin a first load of many contacts by a job, which Salesforce keeps in its hands.
    async fn load_by_a_held_job(&mut self) {
        self.stop_engine().await;
        long_ago(&self.org, UNCOUNTED);
        self.org.change_faults(|faults| (faults.count_timeout, faults.hold_jobs) = (true, Some(0)));
        self.load_anew("Contact").await;
        self.until("the job is made", async || self.job("Contact").await.is_some()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_goes_on_with_the_job_that_another_left() {
    let mut world = World::made(MAPPINGS, short_paged, |_| {}).await;
    world.load_by_a_held_job().await;
    let job = world.job("Contact").await;
    world.stop_engine().await;
    // While nobody looked, somebody changed a record that the job finds as it is then, and one that polls find.
    let org = world.org.clone();
    let id = |key: &str| org.find_by_external_id("Contact", key).unwrap();
    world.org.user_update("Contact", &id("K7"), fields(json!({"LastName": "Renamed"}))).unwrap();
    world.org.change_faults(|faults| (faults.hold_jobs, faults.latency_ms) = (None, 3_000));
    world.start_engine().await;
    let pages = "SELECT (load_job->>'done')::bigint > 0 FROM syncdeck.mapping WHERE name = 'Contact'";
    world
        .until("a page is stored", async || {
            world.sql.query_one(pages, &[]).await.unwrap().get::<_, Option<bool>>(0) == Some(true)
        })
        .await;
    assert_eq!(world.job("Contact").await, job);
    world.org.user_update("Contact", &id("K8"), fields(json!({"LastName": "Late"}))).unwrap();
    world.org.user_delete("Contact", &id("K9")).unwrap();
    world.stop_engine().await;
    world.org.change_faults(|faults| faults.latency_ms = 0);
    world.start_engine().await;
    world.until_loaded("Contact").await;
    let names = "SELECT string_agg(lastname, '|' ORDER BY lastname) FROM salesforce.contact WHERE external_id__c IN ('K7', 'K8', 'K9', 'K10')";
    world.until_text(names, "Doe 10|Late|Renamed").await;
    assert_eq!(world.rows("contact").await, UNCOUNTED);
    assert_eq!(world.told("Contact is read by a job of Bulk API 2.0").await, 1);
    assert_eq!(world.text("SELECT count(*)::text FROM salesforce._trigger_log").await.unwrap(), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_whose_job_is_lost_still_knows_when_it_began() {
    let mut world = World::made(MAPPINGS, short_paged, |_| {}).await;
    world.load_by_a_held_job().await;
    world.stop_engine().await;
    let known = "SELECT load_job->>'began_at' || ' ' || (load_job->>'read') FROM syncdeck.mapping WHERE name = 'Contact'";
    let before = world.text(known).await.unwrap();
    // Nobody knows this one.
    let lost = "750sd00000000zzAAA";
    world
        .run(&format!(
            "UPDATE syncdeck.mapping SET load_job = load_job || '{{\"id\": \"{lost}\"}}' WHERE name = 'Contact'"
        ))
        .await;
    world.start_engine().await;
    world
        .until("another one is made", async || world.job("Contact").await.is_some_and(|job| job != lost))
        .await;
    assert_eq!(world.text(known).await.unwrap(), before);
    world.org.change_faults(|faults| faults.hold_jobs = None);
    world.until_loaded("Contact").await;
    assert_eq!(world.rows("contact").await, UNCOUNTED + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_while_a_job_is_worked_off_stays() {
    let mut world = World::made(MAPPINGS, short_paged, |_| {}).await;
    world.handle.writes(Some("Contact"), Writes::Pause).await.unwrap();
    world.load_by_a_held_job().await;
    world
        .run(
            "INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Mine', 'k7'), ('New', 'N1');
             INSERT INTO salesforce.contact (lastname) VALUES ('Keyless')",
        )
        .await;
    world.org.change_faults(|faults| faults.hold_jobs = None);
    world.until_loaded("Contact").await;
    let mine = "SELECT string_agg(lastname, '|') FROM salesforce.contact WHERE lower(external_id__c) = 'k7'";
    assert_eq!(world.text(mine).await.unwrap(), "Mine");
    world.handle.writes(Some("Contact"), Writes::Resume).await.unwrap();
    world.until_quiet().await;
    world
        .until("the writes arrive", async || {
            let name = |key: &str| world.record("Contact", key).map(|record| record["LastName"].clone());
            name("K7") == Some(json!("Mine")) && name("N1") == Some(json!("New"))
        })
        .await;
    let doubled = "SELECT count(*)::text FROM (SELECT FROM salesforce.contact GROUP BY lower(external_id__c)
         HAVING count(*) > 1 AND lower(max(external_id__c)) IS NOT NULL) doubled";
    assert_eq!(world.text(doubled).await.unwrap(), "0");
    // Those of the org, and the two new ones.
    assert_eq!(world.rows("contact").await, UNCOUNTED + 1 + 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_its_table_refuses_costs_the_others_of_its_page_nothing() {
    let mut world = World::made(MAPPINGS, short_paged, |_| {}).await;
    world.stop_engine().await;
    uncounted(&world.org);
    long_ago(&world.org, UNCOUNTED);
    world
        .run("ALTER TABLE salesforce.contact ADD CONSTRAINT no_such_name CHECK (lastname <> 'Doe 700')")
        .await;
    world
        .run(
            "CREATE FUNCTION public.not_that() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF NEW.lastname = 'Doe 10' THEN RETURN NULL; END IF; RETURN NEW; END $$;
             CREATE TRIGGER not_that BEFORE INSERT ON salesforce.contact FOR EACH ROW EXECUTE FUNCTION public.not_that()",
        )
        .await;
    world.load_anew("Contact").await;
    world.until_loaded("Contact").await;
    let refused = "SELECT string_agg(code, ' ' ORDER BY code) FROM syncdeck.error WHERE resolved_at IS NULL AND op = 'store'";
    assert_eq!(world.text(refused).await.unwrap(), "ROW_CONSTRAINT_REFUSED ROW_TRIGGER_REFUSED");
    assert_eq!(world.rows("contact").await, UNCOUNTED + 1 - 2);
    world.run("ALTER TABLE salesforce.contact DROP CONSTRAINT no_such_name; DROP TRIGGER not_that ON salesforce.contact").await;
    world.until("both are stored", async || world.rows("contact").await == UNCOUNTED + 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_trigger_of_the_application_writes_while_a_page_is_copied_is_captured() {
    let mut world = World::made(MAPPINGS, short_paged, |_| {}).await;
    world.stop_engine().await;
    uncounted(&world.org);
    long_ago(&world.org, UNCOUNTED);
    world
        .run(
            "CREATE FUNCTION public.greets() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 SET LOCAL xmlbinary TO 'base64';
                 UPDATE salesforce.contact SET firstname = 'Greeted' WHERE id = NEW.id;
                 SET LOCAL xmlbinary TO 'hex'; RETURN NULL; END $$;
             CREATE TRIGGER greets AFTER INSERT ON salesforce.contact FOR EACH ROW WHEN (NEW.lastname = 'Doe 7')
                 EXECUTE FUNCTION public.greets()",
        )
        .await;
    world.load_anew("Contact").await;
    world.until_loaded("Contact").await;
    world
        .until("the org has it", async || {
            world.record("Contact", "K7").is_some_and(|record| record["FirstName"] == json!("Greeted"))
        })
        .await;
    assert_eq!(world.rows("contact").await, UNCOUNTED + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_the_same_in_columns_of_other_types() {
    let mut world = World::made(KIND, short_paged, |org| {
        uncounted(org);
        kinds(org, UNCOUNTED);
    })
    .await;
    let all = "SELECT string_agg(concat_ws('|', sfid, name, note__c, amount__c::float8, steps__c::int, done__c, born__c, seen__c::timestamp), E'\\n' ORDER BY sfid) FROM salesforce.kind__c";
    let before = world.text(all).await.unwrap();
    world.plant("DELETE FROM salesforce.kind__c").await;
    world.stop_engine().await;
    world
        .run(
            "ALTER TABLE salesforce.kind__c ALTER amount__c TYPE numeric, ALTER steps__c TYPE bigint, ALTER name TYPE text,
                 ALTER seen__c TYPE timestamptz",
        )
        .await;
    world.load_anew("Kind__c").await;
    world.until_loaded("Kind__c").await;
    assert!(world.text(all).await.unwrap() == before, "rows copied as text are others than those in binary");
}
