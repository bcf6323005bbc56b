//! Mappings whose columns do not fit into one URL: Salesforce takes 16,384 bytes of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Map, Value, json};
use syncdeck::simulator::Org;
use tokio_util::sync::CancellationToken;

use crate::world::World;

const WIDTH: usize = 480;

fn name(at: usize) -> String {
    format!("A_Field_With_Quite_A_Long_Name_{at:03}__c")
}

fn define(org: &Org) {
    let fields: String = (0..WIDTH).map(|at| format!("  {} | Field {at} | text 40\n", name(at))).collect();
    org.define(&format!("object Wide__c a20 Wide\n  AccountId | Account | lookup Account Account\n{fields}"));
}

fn mapping() -> String {
    let mut fields: Vec<String> = (0..WIDTH).map(|at| format!("\"{}\"", name(at))).collect();
    fields.push("\"Account.External_Id__c\"".to_owned());
    fields.insert(0, "\"AccountId\"".to_owned());
    format!(
        "[[mapping]]\nobject = \"Wide__c\"\nfields = [{}]\nexternal_id = \"External_Id__c\"\npoll_interval = \"200ms\"\n",
        fields.join(", ")
    )
}

fn record(key: &str, value: &str) -> Map<String, Value> {
    let mut record: Map<String, Value> =
        (0..WIDTH).map(|at| (name(at), json!(format!("{value}{at}")))).collect();
    record.insert("External_Id__c".to_owned(), json!(key));
    record
}

/// How many rows have each value in its place.
fn whole(value: &str) -> String {
    let right = |at: usize| format!("{} = '{value}{at}'", name(at).to_lowercase());
    let all: Vec<String> = (0..WIDTH).map(right).collect();
    format!("SELECT count(*)::text FROM salesforce.wide__c WHERE {}", all.join(" AND "))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_of_480_fields_is_loaded_polled_reread_verified_and_reloaded() {
    let world = World::with(&mapping(), |org| {
        define(org);
        let account = json!({"Name": "Acme", "External_Id__c": "A1"}).as_object().unwrap().clone();
        let account = org.user_create("Account", account).unwrap();
        for number in 0..190 {
            let mut record = record(&format!("K{number}"), "v");
            record.insert("AccountId".to_owned(), json!(account));
            org.user_create("Wide__c", record).unwrap();
        }
        // No poll that looks back reads them once more.
        org.backdate("Wide__c", chrono::TimeDelta::days(1));
    })
    .await;
    world.until_text(&whole("v"), "190").await;
    let parents = "SELECT count(*)::text FROM salesforce.wide__c WHERE account__external_id__c = 'A1' AND accountid IS NOT NULL";
    assert_eq!(world.text(parents).await.unwrap(), "190");
    for id in world.org.ids("Wide__c").iter().take(3) {
        let mut changed = record("", "w");
        changed.remove("External_Id__c");
        world.org.user_update("Wide__c", id, changed).unwrap();
    }
    world.until_text(&whole("w"), "3").await;
    world.plant(&format!("UPDATE salesforce.wide__c SET {} = 'wrong'", name(WIDTH - 1).to_lowercase())).await;
    let mut comparison = world.handle.verify("Wide__c", &|_| {}, &CancellationToken::new()).await.unwrap();
    comparison.findings.retain(|finding| finding.fields.len() == 1);
    assert!(comparison.findings.len() >= 187, "{}", comparison.findings.len());
    world
        .run("INSERT INTO syncdeck.reread (table_name, sfid) SELECT 'wide__c', sfid FROM salesforce.wide__c ORDER BY id DESC LIMIT 5")
        .await;
    world.until_text("SELECT count(*)::text FROM syncdeck.reread", "0").await;
    world.handle.reload(Some("Wide__c")).await.unwrap();
    world.until_text(&whole("v"), "187").await;
    assert_eq!(world.text(&whole("w")).await.unwrap(), "3");
    // What was found is closed when the engine looks at it again.
    world.until_text("SELECT count(*)::text FROM syncdeck.error WHERE resolved_at IS NULL", "0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_is_put_together_of_two_moments() {
    let world = World::with(&mapping(), |org| {
        define(org);
        org.user_create("Wide__c", record("K1", "v0-")).unwrap();
    })
    .await;
    let (first, last) = (name(0).to_lowercase(), name(WIDTH - 1).to_lowercase());
    world
        .run(&format!(
            "CREATE TABLE public.seen (a text, z text, at timestamp);
             CREATE FUNCTION public.see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 INSERT INTO public.seen VALUES (NEW.{first}, NEW.{last}, NEW.systemmodstamp); RETURN NULL; END $$;
             CREATE TRIGGER see AFTER UPDATE ON salesforce.wide__c FOR EACH ROW EXECUTE FUNCTION public.see()"
        ))
        .await;
    world.org.change_faults(|faults| faults.latency_ms = 60);
    let id = world.org.ids("Wide__c")[0].clone();
    let (org, over) = (world.org.clone(), Arc::new(AtomicBool::new(false)));
    let done = over.clone();
    tokio::spawn(async move {
        // Stamps have whole seconds: within one, nobody can tell two moments apart.
        for round in 1..6 {
            let mut changed = record("", &format!("v{round}-"));
            changed.remove("External_Id__c");
            org.user_update("Wide__c", &id, changed).unwrap();
            tokio::time::sleep(Duration::from_millis(1_010)).await;
        }
        done.store(true, Ordering::Release);
    });
    world.until("the changes are made", async || over.load(Ordering::Acquire)).await;
    world.until_text(&whole("v5-"), "1").await;
    let torn = "SELECT count(*)::text FROM public.seen WHERE split_part(a, '-', 1) <> split_part(z, '-', 1)";
    assert_eq!(world.text(torn).await.unwrap(), "0");
}
