//! `syncdeck rebind`: another org behind the same tables. Rows find their records by their external ids, nothing is captured, and
//! what finds none is not created by accident.

use std::process::{Command, Output, Stdio};

use serde_json::{Map, Value, json};
use syncdeck::config::Config;
use syncdeck::domain::reports::overview::Writes;
use syncdeck::simulator::{self, Org, OrgOptions};
use tokio_util::sync::CancellationToken;

use crate::adopt::words;
use crate::world::{MAPPINGS, World};

const OTHER: &str = "00Dsd0000000002MAA";
/// The org's own record, which says whether it is a sandbox.
const ORGANIZATION: &str = "object Organization 00D Organization\n  Name | Name | text 80 | required\n  IsSandbox | Is Sandbox | boolean\n";
const ROWS: &str = "SELECT string_agg(concat_ws(' ', c.external_id__c, c.sfid, a.external_id__c), '; ' ORDER BY c.external_id__c)
    FROM salesforce.contact c LEFT JOIN salesforce.account a ON a.sfid = c.accountid";
/// All that a rebind may change.
const ALL: &str =
    "SELECT concat_ws(' ', (SELECT md5(string_agg(t::text, '' ORDER BY id)) FROM salesforce.contact t),
    (SELECT md5(string_agg(t::text, '' ORDER BY id)) FROM salesforce.account t),
    (SELECT md5(coalesce(string_agg(t::text, '' ORDER BY id), '')) FROM salesforce._trigger_log t),
    (SELECT md5(string_agg(t::text, '' ORDER BY id)) FROM salesforce._hcmeta t),
    (SELECT string_agg(concat_ws(',', name, load_done, writes), ';' ORDER BY name) FROM syncdeck.mapping),
    (SELECT count(*) FROM syncdeck.audit), (SELECT count(*) FROM syncdeck.error WHERE resolved_at IS NULL))";

fn fields(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn account(org: &Org, key: &str) -> String {
    org.user_create("Account", fields(json!({"Name": key, "External_Id__c": key}))).unwrap()
}

fn contact(org: &Org, key: &str, account: &str) -> String {
    let holds = json!({"LastName": key, "External_Id__c": key, "AccountId": account});
    org.user_create("Contact", fields(holds)).unwrap()
}

/// A refreshed sandbox: ids of records are others', some records are gone, some are new.
async fn refreshed(world: &World, is_sandbox: Option<bool>) -> (Org, CancellationToken) {
    let org = Org::new(OrgOptions { organisation: OTHER.to_owned(), ..OrgOptions::default() });
    org.hide_object("Organization");
    if let Some(is_sandbox) = is_sandbox {
        org.define(ORGANIZATION);
        org.user_create("Organization", fields(json!({"Name": "Acme UAT", "IsSandbox": is_sandbox})))
            .unwrap();
    }
    let second = account(&org, "A-2");
    let first = account(&org, "A-1");
    // In another order, so that each id is another record's.
    contact(&org, "K-2", &second);
    contact(&org, "K-1", &first);
    contact(&org, "K-4", &first);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(simulator::serve(org.clone(), listener, stop.clone()));
    let text = world.written();
    let login = &world.config.salesforce.login_url;
    world.write(&text.replace(login, &format!("http://{address}")));
    (org, stop)
}

/// Two accounts and three contacts in step.
async fn world() -> World {
    World::with(MAPPINGS, |org| {
        let first = account(org, "A-1");
        let second = account(org, "A-2");
        contact(org, "K-1", &first);
        contact(org, "K-2", &second);
        contact(org, "K-3", &first);
    })
    .await
}

async fn ask(world: &World, args: &[&str], failpoints: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_syncdeck"));
    command.arg("rebind").args(args).arg("--config").arg(&world.config.path).stdin(Stdio::null());
    command.env("SYNCDECK_FAILPOINTS", failpoints);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

async fn refused(world: &World, args: &[&str], part: &str) {
    let output = ask(world, args, "").await;
    assert_ne!(output.status.code(), Some(0), "{}", words(&output));
    assert!(words(&output).contains(part), "{part}: {}", words(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_find_their_records_in_another_org_by_their_external_ids() {
    let mut world = world().await;
    let (org, stop) = refreshed(&world, None).await;
    refused(&world, &["--yes", "--org", OTHER], "an engine is at work").await;
    world.stop_engine().await;
    let before = world.text(ALL).await;

    let output = ask(&world, &["--dry-run", "--json"], "").await;
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    let plan: Value = serde_json::from_slice::<Value>(&output.stdout).unwrap()["plan"].take();
    let of = |name: &str| {
        let all = plan["mappings"].as_array().unwrap();
        let of = all.iter().find(|of| of["mapping"] == name).unwrap();
        ["rows", "relinked", "unlinked", "unread"].map(|key| of[key].as_i64().unwrap())
    };
    assert_eq!((of("Account"), of("Contact")), ([2, 2, 0, 0], [3, 2, 1, 1]), "{plan:#}");
    assert_eq!(plan["to"]["id"], OTHER);

    // Nobody is asked, and what may be production is named.
    refused(&world, &[], "name it to go on: --org 00Dsd0000000002MAA").await;
    refused(&world, &["--yes"], "name it to go on").await;
    refused(&world, &["--yes", "--org", "00Dsd0000000001EAA"], "but the login is to 00Dsd0000000002MAA")
        .await;
    refused(&world, &["--org", OTHER], "say --yes").await;
    let killed = ask(&world, &["--yes", "--org", OTHER], "mid_rebind=kill").await;
    assert_eq!(killed.status.code(), None, "{}", words(&killed));
    assert_eq!(world.text(ALL).await, before, "one that is broken off has changed nothing");

    let entries = world.text("SELECT last_value::text FROM salesforce._trigger_log_id_seq").await;
    let done = ask(&world, &["--yes", "--org", OTHER, "--why", "the sandbox was refreshed"], "").await;
    assert_eq!(done.status.code(), Some(0), "{}", words(&done));
    let id = |object: &str, key: &str| org.find_by_external_id(object, key).unwrap();
    let wanted = format!("K-1 {} A-1; K-2 {} A-2; K-3 A-1", id("Contact", "K-1"), id("Contact", "K-2"));
    assert_eq!(world.text(ROWS).await.unwrap(), wanted);
    assert_eq!(
        world.text("SELECT last_value::text FROM salesforce._trigger_log_id_seq").await,
        entries,
        "nothing is captured"
    );
    assert_eq!(world.text("SELECT org_id::text FROM salesforce._hcmeta").await.as_deref(), Some(OTHER));
    let audited = "SELECT string_agg(concat_ws(' ', mapping, action, before->>'org', after->>'org', after->>'linked', after->>'unlinked', why), '; ' ORDER BY mapping)
        FROM syncdeck.audit WHERE action = 'rebound'";
    assert_eq!(
        world.text(audited).await.unwrap(),
        "Account rebound 00Dsd0000000001EAA 00Dsd0000000002MAA 2 0 the sandbox was refreshed; \
         Contact rebound 00Dsd0000000001EAA 00Dsd0000000002MAA 2 1 the sandbox was refreshed"
    );
    refused(&world, &["--yes", "--org", OTHER], "there is nothing to do").await;

    // The next start reads everything; the row that has no record stays, and a change of it creates none.
    world.config = Config::load(Some(&world.config.path), None).unwrap();
    world.start_engine().await;
    world.until_text("SELECT bool_and(load_done)::text FROM syncdeck.mapping", "true").await;
    let wanted = format!("{wanted}; K-4 {} A-1", id("Contact", "K-4"));
    world.until_text(ROWS, &wanted).await;
    world
        .run("UPDATE salesforce.contact SET lastname = 'Later' WHERE external_id__c IN ('K-1', 'K-3')")
        .await;
    let stopped = "SELECT string_agg(concat_ws(' ', name, writes), '; ' ORDER BY name) FROM syncdeck.mapping";
    assert_eq!(world.text(stopped).await.unwrap(), "Account on; Contact paused");
    world.until_text("SELECT count(*)::text FROM syncdeck.unit WHERE table_name = 'contact'", "2").await;
    assert!(org.find_by_external_id("Contact", "K-3").is_none());
    assert!(org.journal_since(0).iter().all(|entry| entry.source != "api"));
    world.stop_engine().await;
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_external_id_rows_stay_alone_and_records_come_beside_them() {
    let contacts = "[[mapping]]\nobject = \"Contact\"\nfields = [\"LastName\"]\npoll_interval = \"200ms\"\n";
    let mut world = World::with(contacts, |org| {
        let first = account(org, "A-1");
        contact(org, "K-1", &first);
    })
    .await;
    world.stop_engine().await;
    let (org, stop) = refreshed(&world, Some(false)).await;
    refused(&world, &["--yes"], "a production org: its rows would be written to").await;
    refused(&world, &["--json", "--org", OTHER], "with --json nobody is asked").await;
    let done = ask(&world, &["--yes", "--org", OTHER], "").await;
    assert_eq!(done.status.code(), Some(0), "{}", words(&done));
    let part =
        "no external id is mapped: all 1 become unlinked and stay; the 3 records there are read as new rows";
    assert!(words(&done).contains(part), "{}", words(&done));
    world.config = Config::load(Some(&world.config.path), None).unwrap();
    world.start_engine().await;
    let rows = "SELECT string_agg(concat_ws(' ', lastname, sfid IS NOT NULL), '; ' ORDER BY id) FROM salesforce.contact";
    world.until_text(rows, "K-1 f; K-2 t; K-1 t; K-4 t").await;
    world.stop_engine().await;
    assert!(org.journal_since(0).iter().all(|entry| entry.source != "api"));
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_the_org_before_are_settled_first_or_given_up() {
    let mut world = world().await;
    // One that Salesforce refuses, so that there is an error, and a unit with it.
    world.run("UPDATE salesforce.contact SET email = 'no address' WHERE external_id__c = 'K-1'").await;
    world.until_text("SELECT count(*)::text FROM syncdeck.error WHERE resolved_at IS NULL", "1").await;
    world.stop_engine().await;
    let (org, stop) = refreshed(&world, Some(true)).await;
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c, accountid) SELECT 'New', 'K-9', sfid FROM salesforce.account WHERE external_id__c = 'A-1';
         UPDATE salesforce.contact SET lastname = 'Changed' WHERE external_id__c = 'K-2';
         DELETE FROM salesforce.contact WHERE external_id__c = 'K-3'").await;
    let told = "contact: 1 changes FAILED; contact: 3 changes NEW; contact: 1 rows queued as failed";
    refused(&world, &["--yes", "--org", OTHER], told).await;
    refused(&world, &["--dry-run"], "or give it up: --give-up-changes").await;
    let told = ask(&world, &["--yes", "--org", OTHER, "--give-up-changes"], "").await;
    assert_eq!(told.status.code(), Some(0), "{}", words(&told));
    assert!(words(&told).contains("(Acme UAT)") && words(&told).contains("a sandbox"), "{}", words(&told));
    let left = "SELECT concat_ws(' ', (SELECT count(*) FROM salesforce._trigger_log), (SELECT count(*) FROM syncdeck.unit),
        (SELECT count(*) FROM syncdeck.error WHERE resolved_at IS NULL),
        (SELECT string_agg(concat_ws(':', action, sfid), ' ' ORDER BY id) FROM salesforce._trigger_log_archive WHERE state = 'IGNORED'),
        (SELECT count(*) FROM salesforce._trigger_log_archive WHERE state = 'IGNORED' AND values LIKE '%Changed%'),
        (SELECT after->>'given_up' FROM syncdeck.audit WHERE action = 'rebound' AND mapping = 'Contact'))";
    let id = |key: &str| org.find_by_external_id("Contact", key).unwrap();
    let wanted = format!(
        "0 0 0 UPDATE:{} INSERT UPDATE:{} DELETE 1 {{\"NEW\": 3, \"FAILED\": 1, \"queued failed\": 1}}",
        id("K-1"),
        id("K-2")
    );
    assert_eq!(world.text(left).await.unwrap(), wanted);

    world.config = Config::load(Some(&world.config.path), None).unwrap();
    world.start_engine().await;
    world.until_text("SELECT bool_and(load_done)::text FROM syncdeck.mapping", "true").await;
    world.handle.writes(Some("Contact"), Writes::Resume).await.unwrap();
    world.run("UPDATE salesforce.contact SET lastname = 'Sent' WHERE external_id__c = 'K-1'").await;
    let record = |key: &str| org.record("Contact", &org.find_by_external_id("Contact", key)?);
    world
        .until("what is changed later is sent", async || {
            record("K-1").is_some_and(|of| of["LastName"] == json!("Sent"))
        })
        .await;
    world.until_quiet().await;
    assert!(org.find_by_external_id("Contact", "K-9").is_none());
    assert_eq!(record("K-2").unwrap()["LastName"], json!("K-2"), "what was given up is not sent");
    world.stop_engine().await;
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_was_sent_to_the_org_before_is_not_taken_for_its_record_there() {
    let mut world = world().await;
    // Its id is known from the log as well.
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Sent', 'K-7')").await;
    let sent = "SELECT count(*)::text FROM salesforce._trigger_log_archive WHERE state = 'SUCCESS' AND sfid IS NOT NULL";
    world.until_text(sent, "1").await;
    world.until_quiet().await;
    world.stop_engine().await;
    let was =
        world.text("SELECT sfid::text FROM salesforce.contact WHERE external_id__c = 'K-7'").await.unwrap();
    let (org, stop) = refreshed(&world, Some(true)).await;
    let second = account(&org, "A-3");
    // Somebody else's records have the ids that are in the log.
    while org.record("Contact", &was).is_none() {
        contact(&org, &format!("L-{}", org.journal_since(0).len()), &second);
    }
    let somebody = org.record("Contact", &was).unwrap();
    let done = ask(&world, &["--yes", "--org", OTHER], "").await;
    assert_eq!(done.status.code(), Some(0), "{}", words(&done));
    assert_eq!(world.text(sent).await.unwrap(), "0", "whose record a row's was is believed no more");
    world.config = Config::load(Some(&world.config.path), None).unwrap();
    world.start_engine().await;
    world.until_text("SELECT bool_and(load_done)::text FROM syncdeck.mapping", "true").await;
    world.handle.writes(Some("Contact"), Writes::Resume).await.unwrap();
    world.run("UPDATE salesforce.contact SET lastname = 'Later' WHERE external_id__c = 'K-7'").await;
    world.until("it is another record", async || org.find_by_external_id("Contact", "K-7").is_some()).await;
    world.until_quiet().await;
    assert_ne!(org.find_by_external_id("Contact", "K-7").unwrap(), was);
    assert_eq!(org.record("Contact", &was).unwrap(), somebody);
    world.stop_engine().await;
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_or_finds_nothing_is_refused_by_name() {
    let mut world = world().await;
    world.stop_engine().await;
    let (org, stop) = refreshed(&world, Some(true)).await;
    let before = world.text(ALL).await;
    org.hide_field("Contact", "External_Id__c");
    refused(&world, &["--yes", "--org", OTHER], "cannot read Contact.External_Id__c").await;
    org.show_field("Contact", "External_Id__c");
    refused(&world, &["--yes"], "name it to go on: --org 00Dsd0000000002MAA").await;
    assert_eq!(world.text(ALL).await, before);
    for key in ["A-1", "A-2"] {
        let id = org.find_by_external_id("Account", key).unwrap();
        org.user_update("Account", &id, fields(json!({"External_Id__c": format!("B{key}")}))).unwrap();
    }
    refused(&world, &["--yes"], "which may be a wrong one: Account (none of 2)").await;
    assert_eq!(world.text(ALL).await, before);
    let done = ask(&world, &["--yes", "--org", OTHER], "").await;
    assert_eq!(done.status.code(), Some(0), "{}", words(&done));
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_are_not_mapped_are_unlinked_and_mappings_that_are_not_registered_refused() {
    let mut world = world().await;
    world.stop_engine().await;
    let (org, stop) = refreshed(&world, Some(true)).await;
    let text = world.written();
    let whole = text.find("[[mapping]]").unwrap();
    let second = whole + 1 + text[whole + 1..].find("[[mapping]]").unwrap();
    world.write(&format!("{text}\n[[mapping]]\nobject = \"Invoice__c\"\nfields = [\"Name\"]\n"));
    refused(&world, &["--yes", "--org", OTHER], "Invoice__c is not registered in this database").await;
    org.add_lookup("Contact", "Partner__c", "Partner__r", "Account");
    world.write(&text.replace("\"LastName\"", "\"LastName\", \"Partner__c\""));
    refused(&world, &["--yes", "--org", OTHER], "lacks columns: partner__c").await;
    // Accounts are mapped no more; their changes count all the same.
    world.write(&format!("{}{}", &text[..whole], &text[second..]));
    world.run("UPDATE salesforce.account SET name = 'Changed' WHERE external_id__c = 'A-1'").await;
    refused(&world, &["--yes", "--org", OTHER], "account: 1 changes NEW").await;
    let done = ask(&world, &["--yes", "--org", OTHER, "--give-up-changes"], "").await;
    assert_eq!(done.status.code(), Some(0), "{}", words(&done));
    assert!(words(&done).contains("account: not mapped, its 2 rows become unlinked"), "{}", words(&done));
    let rows = "SELECT concat_ws(' ', (SELECT count(*) FROM salesforce.account), (SELECT count(sfid) FROM salesforce.account),
        (SELECT count(sfid) FROM salesforce.contact), (SELECT string_agg(concat_ws(':', name, writes), ' ' ORDER BY name) FROM syncdeck.mapping),
        (SELECT after->>'unlinked' FROM syncdeck.audit WHERE action = 'rebound' AND table_name = 'account'))";
    assert_eq!(world.text(rows).await.unwrap(), "2 0 2 Account:paused Contact:paused 2");
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_key_on_the_ids_is_refused_by_name() {
    let mut world = world().await;
    world.stop_engine().await;
    let (_, stop) = refreshed(&world, Some(true)).await;
    world.run("CREATE TABLE public.bill (id serial, account varchar(18) CONSTRAINT bill_of REFERENCES salesforce.account (sfid));
         INSERT INTO public.bill (account) SELECT sfid FROM salesforce.account").await;
    let before = world.text(ALL).await;
    refused(
        &world,
        &["--yes", "--org", OTHER],
        "the foreign key bill_of of public.bill is on ids that become others",
    )
    .await;
    refused(&world, &["--dry-run"], "ALTER TABLE public.bill DROP CONSTRAINT bill_of").await;
    assert_eq!(world.text(ALL).await, before);
    world.run("ALTER TABLE public.bill DROP CONSTRAINT bill_of").await;
    let done = ask(&world, &["--yes", "--org", OTHER], "").await;
    assert_eq!(done.status.code(), Some(0), "{}", words(&done));
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_deleted_before_the_next_start_takes_its_row_along() {
    let mut world = world().await;
    world.stop_engine().await;
    let (org, stop) = refreshed(&world, Some(true)).await;
    let done = ask(&world, &["--yes", "--org", OTHER], "").await;
    assert_eq!(done.status.code(), Some(0), "{}", words(&done));
    org.user_delete("Contact", &org.find_by_external_id("Contact", "K-2").unwrap()).unwrap();
    world.config = Config::load(Some(&world.config.path), None).unwrap();
    world.start_engine().await;
    let rows = "SELECT string_agg(external_id__c, ' ' ORDER BY external_id__c) FROM salesforce.contact WHERE sfid IS NOT NULL";
    world.until_text(rows, "K-1 K-4").await;
    world.stop_engine().await;
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_external_id_that_several_records_have_is_refused_and_named() {
    let titled = |org: &Org, title: &str| {
        org.user_create("Contact", fields(json!({"LastName": title, "Title": title}))).unwrap();
    };
    let contacts = "[[mapping]]\nobject = \"Contact\"\nfields = [\"LastName\"]\nexternal_id = \"Title\"\npoll_interval = \"200ms\"\n";
    let mut world = World::with(contacts, |org| {
        org.make_key("Contact", "Title");
        titled(org, "Head");
        titled(org, "Hand");
    })
    .await;
    world.stop_engine().await;
    let (org, stop) = refreshed(&world, Some(true)).await;
    titled(&org, "Head");
    titled(&org, "head");
    titled(&org, "Hand");
    org.make_key("Contact", "Title");
    let before =
        "SELECT string_agg(concat_ws(' ', title, sfid), '; ' ORDER BY title) FROM salesforce.contact";
    let rows = world.text(before).await;
    let told = ask(&world, &["--yes"], "").await;
    assert_eq!(told.status.code(), Some(2), "{}", words(&told));
    for part in [
        "\"Head\" is found more than once: 2 records there, 1 rows here",
        "merge these records, or rows, first",
    ] {
        assert!(words(&told).contains(part), "{part}: {}", words(&told));
    }
    assert_eq!(world.text(before).await, rows);
    world.write(&format!("{}\n[mapping.field.Title]\nmask = true\n", world.written()));
    for args in [&["--dry-run"][..], &["--dry-run", "--json"]] {
        let told = ask(&world, args, "").await;
        assert!(words(&told).contains("•••") && !words(&told).contains("Head"), "{}", words(&told));
    }
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn external_ids_that_are_numbers_are_found_by_their_value() {
    let scored = |org: &Org, name: &str, score: f64| {
        org.user_create("Contact", fields(json!({"LastName": name, "Score__c": score}))).unwrap()
    };
    let contacts = "[[mapping]]\nobject = \"Contact\"\nfields = [\"LastName\"]\nexternal_id = \"Score__c\"\npoll_interval = \"200ms\"\n";
    let mut world = World::with(contacts, |org| {
        org.make_key("Contact", "Score__c");
        scored(org, "One", 1.5);
        scored(org, "Two", 2.0);
        scored(org, "Zero", 0.0);
    })
    .await;
    world.stop_engine().await;
    let (org, stop) = refreshed(&world, Some(true)).await;
    let two = scored(&org, "Two", 2.0);
    let zero = scored(&org, "Zero", 0.0);
    let other = scored(&org, "Less", -0.0);
    org.make_key("Contact", "Score__c");
    refused(&world, &["--yes", "--org", OTHER], "is found more than once: 2 records there, 1 rows here")
        .await;
    org.user_delete("Contact", &other).unwrap();
    let done = ask(&world, &["--yes", "--org", OTHER], "").await;
    assert_eq!(done.status.code(), Some(0), "{}", words(&done));
    let rows =
        "SELECT string_agg(concat_ws(' ', lastname, sfid), '; ' ORDER BY lastname) FROM salesforce.contact";
    assert_eq!(world.text(rows).await.unwrap(), format!("One; Two {two}; Zero {zero}"));
    stop.cancel();
}
