//! Whoever may make functions and operators where an application's names are looked up gets nobody's rights by it: none of
//! them is called by a session of ours, whatever it does. Applications' triggers find what they look up there all the same.

use serde_json::json;
use syncdeck::client::api::ErrorQuery;
use syncdeck::client::export::ExportFormat;
use syncdeck::domain::changes::merge::Side;
use syncdeck::domain::operations::operation::AuditQuery;
use syncdeck::domain::operations::operation::OperationKind;
use syncdeck::domain::operations::operation::Owner;
use syncdeck::domain::reports::overview::Writes;
use tokio_util::sync::CancellationToken;

use crate::operations::{OPEN, all, fix, operation, undo};
use crate::verify::long_ago;
use crate::world::{MAPPINGS, World, contact};

/// What was called by whom; sessions of applications have no name here.
const SEEN: &str =
    "SELECT coalesce(string_agg(DISTINCT what || ' by ' || application, ', '), '') FROM public.seen
     WHERE application <> ''";

/// An intruder comes, and the engine starts once more after they came.
async fn invaded(mut world: World) -> World {
    world.run(include_str!("intruder.sql")).await;
    world.stop_engine().await;
    world.start_engine().await;
    world
}

async fn seen(world: &World) -> String {
    world.text(SEEN).await.unwrap()
}

async fn org_changes(world: &World, key: &str, change: serde_json::Value) {
    let id = world.org.find_by_external_id("Contact", key).unwrap();
    world.org.user_update("Contact", &id, change.as_object().unwrap().clone()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_reads_and_errors_call_nothing_of_an_intruders() {
    let world = invaded(World::start(MAPPINGS).await).await;
    world
        .run(
            "INSERT INTO salesforce.account (name, external_id__c) VALUES ('Acme', 'A1');
             INSERT INTO salesforce.contact (lastname, phone, email, external_id__c)
             SELECT 'Doe', 'call 415-555-000' || i, 'd@acme.com', 'K' || i FROM generate_series(1, 4) i",
        )
        .await;
    world.until_text(OPEN, "4").await;
    let (handle, never) = (&world.handle, CancellationToken::new());
    let fixed = operation(handle, &all("field:phone"), fix("Phone", " | replace(\"call \", \"\")")).await;
    assert_eq!(fixed.done, 4, "{fixed:?}");
    world.until_quiet().await;
    assert_eq!(undo(handle, fixed.operation.unwrap()).await.done, 4);
    world.until_text(OPEN, "4").await;
    assert_eq!(operation(handle, &all("row:1"), OperationKind::Ignore).await.done, 1);
    assert_eq!(operation(handle, &all("row:3"), OperationKind::Retry).await.done, 1);
    world.until_text(OPEN, "3").await;
    let reverted = operation(handle, &all("row:4"), OperationKind::Revert).await;
    assert_eq!(reverted.done, 1, "{reverted:?}");
    undo(handle, reverted.operation.unwrap()).await;
    world.until_text(OPEN, "3").await;
    for filter in ["", "code:INVALID", "mapping:contact doe", "state:open"] {
        handle
            .errors(&ErrorQuery { filter: filter.to_owned(), limit: 10, ..ErrorQuery::default() })
            .await
            .unwrap();
        handle.count(filter).await.unwrap();
        handle.groups(filter, 10).await.unwrap();
        handle.breakdown(filter).await.unwrap();
    }
    handle.record(&contact(3)).await.unwrap();
    handle.record(&contact(1)).await.unwrap();
    handle.relatives(&contact(3)).await.unwrap();
    handle.salesforce_values(&contact(2)).await.unwrap();
    handle.find("K3", None).await.unwrap();
    handle.values_of("code", "").await.unwrap();
    handle.operations(&AuditQuery { limit: 10, ..AuditQuery::default() }).await.unwrap();
    handle.log(None, 10).await.unwrap();
    handle.log_of(&contact(3), 10).await.unwrap();
    handle.runs(None, false, 10).await.unwrap();
    handle.trends(60).await.unwrap();
    handle.dry_run("contact", 5).await.unwrap();
    let file = world.config.path.with_file_name("errors.csv");
    handle.export_to(&file, "", ExportFormat::Csv).await.unwrap();
    handle
        .set_rule("Contact", "where", Some("lastname <> 'Nobody' AND (email IS NULL OR email LIKE '%@%')"))
        .await
        .unwrap();
    world.run("UPDATE salesforce.contact SET phone = '415-555-0001' WHERE id IN (1, 2, 3, 4)").await;
    world.until_quiet().await;
    world.until_text(OPEN, "0").await;

    // What the org does comes to the rows.
    let record = json!({"LastName": "There", "External_Id__c": "K9"});
    let id = world.org.user_create("Contact", record.as_object().unwrap().clone()).unwrap();
    org_changes(&world, "K2", json!({"LastName": "Theirs"})).await;
    let names = "SELECT string_agg(lastname, ',' ORDER BY lastname) FROM salesforce.contact";
    world.until_text(names, "Doe,Doe,Doe,Theirs,There").await;
    world.org.user_delete("Contact", &id).unwrap();
    world.until_text(names, "Doe,Doe,Doe,Theirs").await;
    handle.reload(Some("Contact")).await.unwrap();
    world.until_text("SELECT count(*)::text FROM syncdeck.mapping WHERE reload_at IS NOT NULL", "0").await;
    handle.verify("Contact", &|_| {}, &never).await.unwrap();
    world.run("DELETE FROM salesforce.contact WHERE id = 1").await;
    world.until_quiet().await;
    assert_eq!(seen(&world).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn repairs_links_and_decisions_call_nothing_of_an_intruders() {
    let mappings = MAPPINGS.replace("poll_interval", "conflicts = \"manual\"\npoll_interval");
    let world = World::with(&mappings, |org| long_ago(org, 6)).await;
    world.run(include_str!("intruder.sql")).await;
    let (handle, never) = (&world.handle, CancellationToken::new());
    // Both sides of a repair.
    for side in [Side::Salesforce, Side::Postgres] {
        world
            .plant(
                "UPDATE salesforce.contact SET lastname = 'Drifted' WHERE external_id__c = 'K2';
                 UPDATE salesforce.contact SET sfid = '003000000000000AAA', external_id__c = 'K50'
                 WHERE external_id__c = 'K3';
                 DELETE FROM salesforce.contact WHERE external_id__c = 'K4'",
            )
            .await;
        let comparison = handle.verify("Contact", &|_| {}, &never).await.unwrap();
        assert!(comparison.findings.len() >= 3, "{side:?}: {comparison:?}");
        handle.repair("contact", &comparison, side, None, &|_| {}, &never).await.unwrap();
        world.until_quiet().await;
        world.until_text("SELECT count(*)::text FROM syncdeck.reread", "0").await;
    }
    // A conflict for either decision.
    handle.writes(Some("Contact"), Writes::Pause).await.unwrap();
    world
        .run("UPDATE salesforce.contact SET email = 'ours@acme.com' WHERE external_id__c IN ('K0', 'K1')")
        .await;
    for key in ["K0", "K1"] {
        org_changes(&world, key, json!({"Email": "theirs@acme.com"})).await;
    }
    world.until_text("SELECT count(*)::text FROM syncdeck.conflict WHERE winner IS NULL", "2").await;
    handle.writes(Some("Contact"), Writes::Resume).await.unwrap();
    let conflicts =
        "SELECT count(*)::text FROM syncdeck.error WHERE code = 'CONFLICT' AND resolved_at IS NULL";
    world.until_text(conflicts, "2").await;
    let row =
        world.text("SELECT id::text FROM salesforce.contact WHERE external_id__c = 'K0'").await.unwrap();
    let one = all(&format!("code:CONFLICT row:{row}"));
    assert_eq!(operation(handle, &one, OperationKind::Choose(Side::Salesforce)).await.done, 1);
    assert_eq!(operation(handle, &all("code:CONFLICT"), OperationKind::Choose(Side::Postgres)).await.done, 1);
    world.until_quiet().await;
    // A row takes another one's record.
    let sfid = world.org.find_by_external_id("Contact", "K5").unwrap();
    world.run("INSERT INTO salesforce.contact (id, lastname, email) VALUES (99, 'Doe', 'wrong')").await;
    world.until_text(OPEN, "1").await;
    handle.link(&contact(99), Some(&sfid), Owner::IsReplaced).await.unwrap();
    world.run("UPDATE salesforce.contact SET email = 'd@acme.com' WHERE id = 99").await;
    world.until_quiet().await;
    assert_eq!(seen(&world).await, "");
}

/// Names that an application's trigger does not tell the schema of are found, whoever's write it is that fires it, and
/// whether it fires with the statement or with the end of the transaction.
#[tokio::test(flavor = "multi_thread")]
async fn an_applications_triggers_find_what_they_look_up() {
    let world = World::start(MAPPINGS).await;
    world
        .run(
            "CREATE TABLE public.heard (said text);
             CREATE FUNCTION public.hear() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 INSERT INTO heard VALUES (TG_NAME || ' ' || coalesce(NEW.lastname, OLD.lastname)); RETURN coalesce(NEW, OLD); END $$;
             CREATE TRIGGER before BEFORE INSERT OR UPDATE OR DELETE ON salesforce.contact
                 FOR EACH ROW EXECUTE FUNCTION public.hear();
             CREATE CONSTRAINT TRIGGER late AFTER INSERT OR UPDATE OR DELETE ON salesforce.contact
                 DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.hear()",
        )
        .await;
    let heard = async |name: &str, times: &str| {
        let of = |trigger: &str| {
            format!("SELECT (count(*) >= {times})::text FROM heard WHERE said = '{trigger} {name}'")
        };
        world.until_text(&of("before"), "true").await;
        world.until_text(&of("late"), "true").await;
    };
    // The application's own write, and the engine's outcome.
    world.run("INSERT INTO salesforce.contact (lastname, email, external_id__c) VALUES ('Ours', 'a@acme.com', 'K1')").await;
    heard("Ours", "2").await;
    // A record that comes, that changes, that goes.
    let id =
        world.org.user_create("Contact", json!({"LastName": "There"}).as_object().unwrap().clone()).unwrap();
    heard("There", "1").await;
    world
        .org
        .user_update("Contact", &id, json!({"LastName": "Theirs"}).as_object().unwrap().clone())
        .unwrap();
    heard("Theirs", "1").await;
    world.run("DELETE FROM heard").await;
    world.org.user_delete("Contact", &id).unwrap();
    heard("Theirs", "1").await;
    // What a person mends.
    world.run("UPDATE salesforce.contact SET email = 'wrong', lastname = 'Wrong' WHERE id = 1").await;
    world.until_text(OPEN, "1").await;
    world.run("DELETE FROM heard").await;
    operation(&world.handle, &all(""), fix("Email", " = b@acme.com")).await;
    heard("Wrong", "1").await;
    world.until_quiet().await;
    let troubles = "SELECT count(*)::text FROM syncdeck.error WHERE resolved_at IS NULL";
    assert_eq!(world.text(troubles).await.unwrap(), "0");
}
