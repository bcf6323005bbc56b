//! Operations on many errors, against a real database and org: fixed, undone, reverted, ignored, linked; two operators at once;
//! what cannot be done is told row by row, and nothing is half-done.

use std::sync::Mutex;

use serde_json::{Value, json};
use syncdeck::client::api::Client;
use syncdeck::client::export::ExportFormat;
use syncdeck::client::operations::execute::{Plan, Targets};
use syncdeck::client::row::Linked;
use syncdeck::domain::changes::merge::Side;
use syncdeck::domain::operations::operation::AuditQuery;
use syncdeck::domain::operations::operation::Owner;
use syncdeck::domain::operations::operation::{
    Confirm, FieldChange, OperationKind, Progress, Report, RowStatus,
};
use syncdeck::domain::reports::overview::Writes;
use syncdeck::simulator::Refusal;
use tokio_util::sync::CancellationToken;

use crate::support::{LONGEST, operator};
use crate::world::{MAPPINGS, World, contact};

pub const OPEN: &str =
    "SELECT count(*)::text FROM syncdeck.error WHERE resolved_at IS NULL AND state = 'open'";

pub fn fix(field: &str, change: &str) -> OperationKind {
    let (field, how) = FieldChange::parse(&format!("{field}{change}")).unwrap();
    OperationKind::Fix { field, how, retry: true }
}

pub fn all(filter: &str) -> Targets {
    Targets::Filter(filter.to_owned())
}

/// Plans and carries out, without a look in between.
pub async fn operation(handle: &Client, chosen: &Targets, kind: OperationKind) -> Report {
    let plan = handle.plan(chosen, kind).await.unwrap();
    execute(handle, &plan).await
}

async fn execute(handle: &Client, plan: &Plan) -> Report {
    handle.execute(plan, Some("a test"), &|_| {}, &CancellationToken::new()).await.unwrap()
}

pub async fn undo(handle: &Client, operation: i64) -> Report {
    self::operation(handle, &Targets::Ids(Vec::new()), OperationKind::Undo(operation)).await
}

/// A delete that is refused for good.
fn locked() -> Refusal {
    Refusal {
        times: 100,
        code: "DELETE_FAILED".to_owned(),
        message: "it is in use".to_owned(),
        fields: Vec::new(),
    }
}

/// A world in which this many contacts failed for their telephone numbers.
async fn phones(count: i32) -> World {
    let world = World::start(MAPPINGS).await;
    world
        .run(&format!(
            "INSERT INTO salesforce.contact (lastname, phone, external_id__c)
             SELECT 'Doe', 'call 415-555-' || lpad(i::text, 4, '0'), 'K' || i FROM generate_series(1, {count}) i"
        ))
        .await;
    world.until_text(OPEN, &count.to_string()).await;
    world
}

fn phone(world: &World, key: &str) -> Value {
    world.record("Contact", key).map_or(Value::Null, |record| record["Phone"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_fixed_undone_and_fixed_again() {
    let world = phones(450).await;
    let handle = &world.handle;
    let group = handle.groups("field:phone", 5).await.unwrap();
    assert_eq!((group.len(), group[0].count), (1, 450));
    let chosen = all(&format!("group:{}", group[0].group));
    let plan = handle.plan(&chosen, fix("Phone", " | replace(\"call \", \"\")")).await.unwrap();
    assert_eq!((plan.preview.selected, plan.preview.touched, plan.preview.passing), (450, 450, 450));
    assert_eq!(plan.confirm, Confirm::Yes);
    // Production is asked about by the count, though the configuration alone calls it so.
    let fixed = fix("Phone", " | replace(\"call \", \"\")");
    let there = handle.clone().meant_for("prod").plan(&chosen, fixed).await.unwrap();
    assert_eq!(there.confirm, Confirm::Count(450));
    let first = &plan.preview.sample[0];
    assert_eq!(
        (first.before.as_deref(), first.after.as_deref()),
        (Some("call 415-555-0001"), Some("415-555-0001"))
    );
    let steps = Mutex::new(Vec::new());
    let progress = |step: Progress| steps.lock().unwrap().push(step.through);
    let mut report = handle
        .execute(&plan, Some("the import wrote call"), &progress, &CancellationToken::new())
        .await
        .unwrap();
    assert_eq!((report.done, report.skipped, report.failed), (450, 0, 0));
    assert_eq!(*steps.lock().unwrap(), [0, 200, 400, 450]);
    handle.answers(&plan, &mut report, LONGEST).await.unwrap();
    assert_eq!(report.reasons(RowStatus::Done), [("Salesforce took it".to_owned(), 450)]);
    assert_eq!(phone(&world, "K450"), json!("415-555-0450"));

    // Somebody changes a row before it is undone: that stays.
    world.run("UPDATE salesforce.contact SET phone = '415-555-9999' WHERE id = 7").await;
    let first = report.operation.unwrap();
    let back = undo(handle, first).await;
    assert_eq!((back.done, back.skipped, back.failed), (449, 1, 0));
    assert!(back.reasons(RowStatus::Skipped)[0].0.contains("was changed meanwhile"));
    world.until_text(OPEN, "449").await;
    world.until_quiet().await;
    assert_eq!(phone(&world, "K7"), json!("415-555-9999"));
    assert_eq!(
        phone(&world, "K8"),
        json!("415-555-0008"),
        "what Salesforce refuses leaves the record as it is"
    );
    let twice = undo(handle, first).await;
    assert_eq!((twice.done, twice.skipped), (0, 450), "{:?}", twice.reasons(RowStatus::Skipped));

    // Undoing the undo fixes again.
    let again = undo(handle, back.operation.unwrap()).await;
    assert_eq!((again.done, again.skipped), (449, 0));
    world.until_text(OPEN, "0").await;
    let operations = handle.operations(&AuditQuery { limit: 10, ..AuditQuery::default() }).await.unwrap();
    let told: Vec<(&str, i64, i64)> = operations
        .iter()
        .map(|operation| (operation.action.as_str(), operation.rows, operation.undone))
        .collect();
    assert_eq!(told, [("undid", 449, 0), ("undid", 449, 449), ("edited", 450, 449)]);
    assert_eq!(
        (operations[2].why.as_deref(), operations[2].who().as_str()),
        (Some("the import wrote call"), "tester@here")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_told_row_by_row_and_costs_the_others_nothing() {
    let world = phones(6).await;
    let handle = &world.handle;
    world
        .run("ALTER TABLE salesforce.contact ADD CONSTRAINT short CHECK (id <> 2 OR phone IS DISTINCT FROM '2')")
        .await;
    let ids =
        |sql: &str| format!("SELECT string_agg(id::text, ' ' ORDER BY id) FROM syncdeck.error WHERE {sql}");
    let errors = world.text(&ids("true")).await.unwrap();
    let errors: Vec<i64> = errors.split(' ').map(|id| id.parse().unwrap()).collect();
    // One is mended by its application between the look and the operation, one is deleted, one does not exist.
    let chosen = Targets::Ids([errors.clone(), vec![9_999]].concat());
    let plan = handle.plan(&chosen, fix("Phone", " | replace(\".*0(\\d)$\", \"$1\")")).await.unwrap();
    world.run("UPDATE salesforce.contact SET phone = '415-555-0003' WHERE id = 3").await;
    world.run("DELETE FROM salesforce.contact WHERE id = 4").await;
    let report = execute(handle, &plan).await;
    let mut told: Vec<(i64, RowStatus, &str)> =
        report.items.iter().map(|item| (item.id, item.result, item.message.as_str())).collect();
    told.sort();
    let expected = [
        (RowStatus::Done, "saved; it is sent"),
        (RowStatus::Failed, "PostgreSQL refuses the value for contact: new row for relation"),
        (RowStatus::Skipped, "phone was changed meanwhile"),
        (RowStatus::Failed, "the row 4 of contact is gone"),
        (RowStatus::Done, "saved; it is sent"),
        (RowStatus::Done, "saved; it is sent"),
        (RowStatus::Failed, "there is no error 9999"),
    ];
    for ((_, status, message), (wanted, text)) in told.iter().zip(expected) {
        assert!(*status == wanted && message.starts_with(text), "{told:#?}");
    }
    let refused = handle.plan(&chosen, fix("Fone", "=1")).await.unwrap_err().to_string();
    assert!(refused.contains("Contact has no mapped field Fone; its fields: LastName"), "{refused}");
    let refused = handle.plan(&chosen, fix("CreatedDate", "=1")).await.unwrap_err().to_string();
    assert!(refused.contains("lets nobody write"), "{refused}");
    // A value that no column holds is told by the preview, and by the server.
    let plan = handle.plan(&all("row:1"), fix("Birthdate", "=yesterday-ish")).await.unwrap();
    let report = execute(handle, &plan).await;
    assert_eq!(report.done, 0, "{report:?}");
    let none = handle.plan(&Targets::Ids(vec![]), OperationKind::Undo(9_999)).await.unwrap_err().to_string();
    assert!(none.contains("there is no operation 9999"), "{none}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_operators_who_retry_the_same_send_each_once() {
    let mut world = World::start(&MAPPINGS.replace("poll_interval", "check = false\npoll_interval")).await;
    world
        .run("INSERT INTO salesforce.contact (lastname, email, external_id__c) SELECT 'Doe', 'nobody', 'K' || i FROM generate_series(1, 60) i")
        .await;
    world.until_text(OPEN, "60").await;
    world.stop_engine().await;
    let other = Client::new(world.store.clone(), operator("other@there"));
    let every = all("");
    let (one, two) = tokio::join!(
        world.handle.plan(&every, OperationKind::Retry),
        other.plan(&every, OperationKind::Retry)
    );
    let (one, two) = (one.unwrap(), two.unwrap());
    let (one, two) = tokio::join!(execute(&world.handle, &one), execute(&other, &two));
    assert_eq!((one.done + two.done, one.skipped + two.skipped, one.failed + two.failed), (60, 60, 0));
    // A third looked at the list before, and comes when everything was answered.
    let late = other.plan(&all(""), OperationKind::Retry).await.unwrap();
    world.start_engine().await;
    world.until_text("SELECT count(*)::text FROM syncdeck.attempt", "120").await;
    world.until_text(OPEN, "60").await;
    let report = execute(&other, &late).await;
    assert_eq!((report.done, report.skipped), (0, 60));
    let why = &report.reasons(RowStatus::Skipped)[0].0;
    assert!(why.contains("tried again since it was listed"), "{why}");
    assert_eq!(world.text("SELECT count(*)::text FROM syncdeck.attempt").await.unwrap(), "120");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_act_that_is_stopped_leaves_no_row_half_done() {
    let world = phones(450).await;
    let plan =
        world.handle.plan(&all("field:phone"), fix("Phone", " | replace(\"call \", \"\")")).await.unwrap();
    let stop = CancellationToken::new();
    let ending = stop.clone();
    let progress = move |step: Progress| {
        if step.through > 0 {
            ending.cancel();
        }
    };
    let report = world.handle.execute(&plan, None, &progress, &stop).await.unwrap();
    assert!(report.cancelled);
    assert_eq!((report.done, report.items.len()), (200, 200));
    world.until_text(OPEN, "250").await;
    let changed = "SELECT count(*)::text FROM salesforce.contact WHERE phone NOT LIKE 'call%'";
    assert_eq!(world.text(changed).await.unwrap(), "200");
    assert_eq!(undo(&world.handle, report.operation.unwrap()).await.done, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revert_takes_salesforces_side_and_can_be_undone() {
    let world = World::start(MAPPINGS).await;
    let handle = &world.handle;
    for key in ["K1", "K3"] {
        world
            .run(&format!("INSERT INTO salesforce.contact (lastname, email, phone, external_id__c) VALUES ('Doe', '{key}@acme.com', '4155552671', '{key}')"))
            .await;
    }
    world.until_text("SELECT count(createddate)::text FROM salesforce.contact", "2").await;
    world.until_quiet().await;
    // A rejected update, and a rejected insert.
    world.run("UPDATE salesforce.contact SET email = 'wrong', lastname = 'Dow' WHERE id = 1").await;
    world
        .run("INSERT INTO salesforce.contact (lastname, email, external_id__c) VALUES ('New', 'wrong', 'K2')")
        .await;
    world.until_text(OPEN, "2").await;
    let plan = handle.plan(&all(""), OperationKind::Revert).await.unwrap();
    assert_eq!((plan.preview.touched, plan.preview.removed, plan.confirm), (2, 1, Confirm::Yes));
    let shown: Vec<&str> = plan.preview.sample.iter().map(|line| line.field.as_str()).collect();
    assert_eq!(shown, ["LastName", "Email", ""]);
    let report = execute(handle, &plan).await;
    assert_eq!((report.done, report.failed), (2, 0), "{report:?}");
    let rows = "SELECT string_agg(format('%s %s %s %s', id, lastname, email, _hc_lastop), ', ' ORDER BY id) FROM salesforce.contact";
    world.until_text(rows, "1 Doe K1@acme.com SYNCED, 2 Doe K3@acme.com SYNCED").await;
    assert_eq!(world.text("SELECT count(*)::text FROM salesforce._trigger_log").await.unwrap(), "0");
    let kept = "SELECT string_agg(DISTINCT sf_message, ',') FROM salesforce._trigger_log_archive WHERE state = 'IGNORED'";
    assert_eq!(world.text(kept).await.unwrap(), "given up by tester@here");
    // Nothing is sent, and the reader looked once more.
    world.until_text("SELECT count(*)::text FROM syncdeck.reread", "0").await;
    assert_eq!(world.writes("update", "K1"), 0);
    let nothing = operation(handle, &all(""), OperationKind::Revert).await;
    assert_eq!((nothing.operation, nothing.items.len()), (None, 0));

    let back = undo(handle, report.operation.unwrap()).await;
    assert_eq!((back.done, back.failed), (2, 0), "{back:?}");
    world.until_text(OPEN, "2").await;
    world.until_text(rows, "1 Dow wrong FAILED, 2 Doe K3@acme.com SYNCED, 3 New wrong FAILED").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_delete_is_reverted_by_bringing_the_row_back() {
    let world = World::start(MAPPINGS).await;
    world.run("INSERT INTO salesforce.contact (lastname, email, external_id__c) VALUES ('Doe', 'a@acme.com', 'K1')").await;
    world.until_quiet().await;
    world.org.change_faults(|faults| faults.refuse = Some(locked()));
    world.run("DELETE FROM salesforce.contact").await;
    world.until_text(OPEN, "1").await;
    let report = operation(&world.handle, &all("op:delete"), OperationKind::Revert).await;
    assert_eq!(report.reasons(RowStatus::Done), [("the row is back".to_owned(), 1)], "{report:?}");
    let row = "SELECT format('%s %s %s %s', id, lastname, email, _hc_lastop) FROM salesforce.contact";
    assert_eq!(world.text(row).await.as_deref(), Some("1 Doe a@acme.com SYNCED"));
    world.until_quiet().await;
    assert!(world.record("Contact", "K1").is_some());
    world.org.change_faults(|faults| faults.refuse = None);
    let back = undo(&world.handle, report.operation.unwrap()).await;
    assert_eq!(back.done, 1, "{back:?}");
    world.until("the record is gone", async || world.record("Contact", "K1").is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revert_does_not_lose_what_changed_there_after_it_was_shown() {
    let world = World::start(MAPPINGS).await;
    world.run("INSERT INTO salesforce.contact (lastname, email, external_id__c) VALUES ('Doe', 'a@acme.com', 'K1')").await;
    world.until_quiet().await;
    let id = world.org.find_by_external_id("Contact", "K1").unwrap();
    world.run("UPDATE salesforce.contact SET email = 'wrong'").await;
    world.until_text(OPEN, "1").await;
    // What the operator's session fetched is older than what the reader passed by since.
    let at = contact(1);
    let shown = world.handle.salesforce_values(&at).await.unwrap();
    let change = [("Email".to_owned(), json!("b@acme.com"))].into_iter().collect();
    world.org.user_update("Contact", &id, change).unwrap();
    world.until_text("SELECT salesforce FROM syncdeck.conflict ORDER BY id DESC LIMIT 1", "b@acme.com").await;
    let reverted = syncdeck::postgres::operations::revert::Reverted {
        row: at.row,
        record: shown,
        remove: false,
        as_found: None,
    };
    let operation = crate::support::operation("tester@here");
    let wanted = syncdeck::postgres::operations::revert::RevertFor::Revert;
    let results = world.store.revert_rows("contact", &[reverted], wanted, &operation).await.unwrap();
    assert_eq!(results[0].status, RowStatus::Done, "{results:?}");
    world.until_text("SELECT email FROM salesforce.contact", "b@acme.com").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ignored_errors_leave_the_list_and_come_back() {
    let world = phones(3).await;
    let handle = &world.handle;
    let report = operation(handle, &all("row:1"), OperationKind::Ignore).await;
    assert_eq!(report.done, 1);
    world.until_text(OPEN, "2").await;
    let again = operation(handle, &all("state:ignored"), OperationKind::Ignore).await;
    assert_eq!((again.skipped, again.operation), (1, None));
    let last = handle.last_operation().await.unwrap();
    assert_eq!((Some(last.operation), last.action.as_str()), (report.operation, "ignored"));
    assert_eq!(undo(handle, last.operation).await.done, 1);
    world.until_text(OPEN, "3").await;
    assert!(handle.last_operation().await.unwrap_err().to_string().contains("nothing of yours"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_act_is_taken_back_once_and_what_leaves_nothing_says_so() {
    let world = phones(3).await;
    let handle = &world.handle;
    handle.set_rule("Contact", "max_retries", Some("5")).await.unwrap();
    assert_eq!(handle.set_rule_everywhere("strategy", "retry").await.unwrap(), 2);
    let strategies = "SELECT coalesce(string_agg(mapping || ' ' || value, ', ' ORDER BY mapping), '') FROM syncdeck.setting
         WHERE key = 'strategy'";
    assert_eq!(world.text(strategies).await.unwrap(), "Account retry, Contact retry");
    // One operation for all of them, taken back as one; then the operation before it, and then there is none.
    for (rows, left) in [(2, ""), (1, "")] {
        let last = handle.last_operation().await.unwrap();
        assert_eq!((last.action.as_str(), last.rows), ("set", rows));
        let back = undo(handle, last.operation).await;
        assert_eq!(back.done, usize::try_from(rows).unwrap(), "{back:?}");
        assert_eq!(world.text(strategies).await.unwrap(), left);
    }
    assert!(handle.last_operation().await.unwrap_err().to_string().contains("nothing of yours"));
    // Whoever sent many again does not take back by it what they did before.
    operation(handle, &all("row:1"), OperationKind::Ignore).await;
    operation(handle, &all("field:phone"), OperationKind::Retry).await;
    let refused = handle.last_operation().await.unwrap_err().to_string();
    assert!(refused.contains("retried Contact 2 rows, leaves nothing to take back"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_review_is_released() {
    let world =
        World::start(&MAPPINGS.replace("poll_interval", "strategy = \"manual_review\"\npoll_interval")).await;
    world
        .run("INSERT INTO salesforce.contact (lastname, email, external_id__c) VALUES ('Doe', 'wrong', 'K1')")
        .await;
    let state = "SELECT state FROM syncdeck.error WHERE resolved_at IS NULL";
    world.until_text(state, "review").await;
    world.run("UPDATE salesforce.contact SET email = 'a@acme.com'").await;
    assert_eq!(operation(&world.handle, &all("state:open"), OperationKind::Release).await.items.len(), 0);
    let report = operation(&world.handle, &all(""), OperationKind::Release).await;
    assert_eq!(report.done, 1, "{report:?}");
    world.until_quiet().await;
    assert_eq!(world.record("Contact", "K1").unwrap()["Email"], json!("a@acme.com"));
    let audit = "SELECT action FROM syncdeck.audit";
    assert_eq!(world.text(audit).await.unwrap(), "released");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_takes_its_record_over_from_the_row_that_has_it() {
    // A poll that has the row in hand is told as somebody who is changing it.
    let world = World::with(&MAPPINGS.replace("200ms", "1h"), |org| {
        let fields = json!({"LastName": "Hopper", "Email": "grace@navy.mil", "External_Id__c": "OLD"});
        org.user_create("Contact", fields.as_object().unwrap().clone()).unwrap();
    })
    .await;
    let handle = &world.handle;
    let sfid = world.org.find_by_external_id("Contact", "OLD").unwrap();
    world.until_text("SELECT external_id__c FROM salesforce.contact WHERE id = 1", "OLD").await;
    world.run("INSERT INTO salesforce.contact (lastname, email) VALUES ('Hopper', 'wrong')").await;
    world.until_text(OPEN, "1").await;
    let row = contact(2);
    let none = handle.link(&row, Some("003000000000000AAA"), Owner::Keeps).await.unwrap_err().to_string();
    assert!(none.contains("Salesforce has no Contact 003000000000000AAA"), "{none}");
    let taken = handle.link(&row, Some(&sfid), Owner::Keeps).await.unwrap();
    assert_eq!(taken, Linked::Taken { sfid: sfid.clone(), row: contact(1).row });
    // What refers to the other row, and what of it is unsent, stand in the way, and are named.
    world.run("CREATE TABLE badge (contact integer REFERENCES salesforce.contact); INSERT INTO badge VALUES (1)").await;
    let refused = handle.link(&row, Some(&sfid), Owner::IsReplaced).await.unwrap_err().to_string();
    assert!(refused.contains("the row 1 of contact cannot be removed"), "{refused}");
    world.run("UPDATE badge SET contact = 2").await;
    world.run("UPDATE salesforce.contact SET email = 'also wrong' WHERE id = 1").await;
    world.until_text(OPEN, "2").await;
    let refused = handle.link(&row, Some(&sfid), Owner::IsReplaced).await.unwrap_err().to_string();
    assert!(refused.contains("has changes that are not sent"), "{refused}");
    operation(handle, &all("row:1"), OperationKind::Revert).await;
    let linked = handle.link(&row, Some(&sfid), Owner::IsReplaced).await.unwrap();
    assert_eq!(linked, Linked::Done { sfid: sfid.clone() });
    // Its insert is an update of that record now.
    world.run("UPDATE salesforce.contact SET email = 'grace@hopper.org' WHERE id = 2").await;
    world.until_text(OPEN, "0").await;
    world.until_quiet().await;
    assert_eq!(world.org.record("Contact", &sfid).unwrap()["Email"], json!("grace@hopper.org"));
    let rows = "SELECT string_agg(format('%s %s', id, sfid), ',') FROM salesforce.contact";
    assert_eq!(world.text(rows).await.unwrap(), format!("2 {sfid}"));
    assert_eq!(world.org.ids("Contact").len(), 1);
    let again = handle.link(&row, Some(&sfid), Owner::Keeps).await.unwrap_err().to_string();
    assert!(again.contains("has a record already"), "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_side_is_chosen_for_all_that_changed_on_both() {
    let world =
        World::start(&MAPPINGS.replace("poll_interval", "conflicts = \"manual\"\npoll_interval")).await;
    for key in ["K1", "K2"] {
        world.run(&format!("INSERT INTO salesforce.contact (lastname, email, external_id__c) VALUES ('Doe', 'a@acme.com', '{key}')")).await;
    }
    world.until_quiet().await;
    world.handle.writes(Some("Contact"), Writes::Pause).await.unwrap();
    world.run("UPDATE salesforce.contact SET email = 'ours@acme.com'").await;
    for key in ["K1", "K2"] {
        let id = world.org.find_by_external_id("Contact", key).unwrap();
        let change = [("Email".to_owned(), json!("theirs@acme.com"))].into_iter().collect();
        world.org.user_update("Contact", &id, change).unwrap();
    }
    world.until_text("SELECT count(*)::text FROM syncdeck.conflict WHERE winner IS NULL", "2").await;
    world.handle.writes(Some("Contact"), Writes::Resume).await.unwrap();
    world
        .until_text(
            "SELECT count(*)::text FROM syncdeck.error WHERE code = 'CONFLICT' AND resolved_at IS NULL",
            "2",
        )
        .await;
    let report =
        operation(&world.handle, &all("code:CONFLICT"), OperationKind::Choose(Side::Salesforce)).await;
    assert_eq!(report.reasons(RowStatus::Done), [("email: salesforce".to_owned(), 2)], "{report:?}");
    world
        .until_text("SELECT string_agg(DISTINCT email, ',') FROM salesforce.contact", "theirs@acme.com")
        .await;
    world.until_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sides_that_were_chosen_field_by_field_are_taken_back_together() {
    let world =
        World::start(&MAPPINGS.replace("poll_interval", "conflicts = \"manual\"\npoll_interval")).await;
    world
        .run("INSERT INTO salesforce.contact (lastname, email, external_id__c) VALUES ('Doe', 'a@acme.com', 'K1')")
        .await;
    world.until_quiet().await;
    world.handle.writes(Some("Contact"), Writes::Pause).await.unwrap();
    world.run("UPDATE salesforce.contact SET email = 'ours@acme.com', lastname = 'Ours'").await;
    let id = world.org.find_by_external_id("Contact", "K1").unwrap();
    let change = json!({"Email": "theirs@acme.com", "LastName": "Theirs"});
    world.org.user_update("Contact", &id, change.as_object().unwrap().clone()).unwrap();
    let open = "SELECT count(*)::text FROM syncdeck.conflict WHERE winner IS NULL";
    world.until_text(open, "2").await;
    let sides = ["email", "lastname"].map(|column| (column.to_owned(), Side::Salesforce));
    world.handle.choose(&contact(1), &sides).await.unwrap();
    let row = "SELECT format('%s %s', lastname, email) FROM salesforce.contact";
    world.until_text(row, "Theirs theirs@acme.com").await;
    let last = world.handle.last_operation().await.unwrap();
    assert_eq!(last.rows, 2, "one operation, an entry for each field");
    let back = undo(&world.handle, last.operation).await;
    assert_eq!((back.done, back.items.len()), (2, 2), "{back:?}");
    world.until_text(row, "Ours ours@acme.com").await;
    world.handle.writes(Some("Contact"), Writes::Resume).await.unwrap();
    // What was claimed just before the resume is given back first.
    let email = || world.record("Contact", "K1").unwrap()["Email"].clone();
    world.until("ours is in the record", async || email() == json!("ours@acme.com")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_table_refuses_costs_the_next_nothing() {
    let world = phones(2).await;
    world.run("INSERT INTO salesforce.account (name, phone, rating, external_id__c) VALUES ('Acme', '1', 'Nope', 'A1')").await;
    world.until_text(OPEN, "3").await;
    let plan = world.handle.plan(&all(""), fix("Phone", "=415-555-0001")).await.unwrap();
    assert_eq!(plan.preview.touched, 3);
    // Accounts come first, and are mapped read-only by now.
    let sql = "UPDATE syncdeck.mapping SET definition = jsonb_set(definition, '{access}', '\"read_only\"') WHERE name = 'Account'";
    world.run(sql).await;
    let report = execute(&world.handle, &plan).await;
    assert_eq!((report.done, report.failed), (2, 1), "{report:?}");
    assert!(report.reasons(RowStatus::Failed)[0].0.contains("Account is mapped read-only"), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_only_grows() {
    let world = phones(1).await;
    operation(&world.handle, &all(""), OperationKind::Ignore).await;
    for sql in [
        "UPDATE syncdeck.audit SET actor = 'nobody'",
        "DELETE FROM syncdeck.audit",
        "TRUNCATE syncdeck.audit",
    ] {
        let refused = world.sql.batch_execute(sql).await.unwrap_err();
        let text = refused.as_db_error().unwrap().message().to_owned();
        assert!(text.contains("the audit only grows"), "{sql}: {text}");
    }
    // Replication's own way round triggers is none here.
    let session = world.another_session().await;
    session.batch_execute("SET session_replication_role = replica").await.unwrap();
    assert!(session.batch_execute("DELETE FROM syncdeck.audit").await.is_err());
    let entry = "SELECT format('%s %s %s %s', actor, origin, action, why) FROM syncdeck.audit";
    assert_eq!(world.text(entry).await.unwrap(), "tester@here local ignored a test");
}

#[tokio::test(flavor = "multi_thread")]
async fn any_row_is_found_by_what_one_has_in_hand() {
    let world = phones(2).await;
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Well', 'W1')").await;
    world.until_quiet().await;
    let sfid = world.text("SELECT sfid FROM salesforce.contact WHERE id = 3").await.unwrap();
    let handle = &world.handle;
    for (text, row, by, unit) in [
        ("3", 3, "row id", "in step"),
        (sfid.as_str(), 3, "record id", "in step"),
        (&sfid[..15], 3, "record id", "in step"),
        ("W1", 3, "external id", "in step"),
        ("K2", 2, "external id", "failed"),
    ] {
        let hits = handle.find(text, Some("Contact")).await.unwrap();
        let hits: Vec<(i32, &str, &str)> =
            hits.iter().map(|hit| (hit.row.row.0, hit.by.as_str(), hit.unit.as_str())).collect();
        assert_eq!(hits, [(row, by, unit)], "{text}");
    }
    assert!(handle.find("nothing", None).await.unwrap().is_empty());
    let record = handle.record(&contact(2)).await.unwrap();
    assert_eq!((record.pending.len(), record.pending[0].action.as_str()), (1, "insert"));
    assert!(handle.find("1", Some("Nothing")).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_exported_whole_and_harmless() {
    let world = phones(3).await;
    world.run("INSERT INTO salesforce.contact (lastname, email, external_id__c) VALUES ('Doe', '=HYPERLINK(\"x\")', 'K9')").await;
    world.until_text(OPEN, "4").await;
    world.run("UPDATE syncdeck.error SET message = '=cmd()' WHERE code = 'INVALID_EMAIL_ADDRESS'").await;
    let dir = tempfile::tempdir().unwrap();
    let csv = dir.path().join("errors.csv");
    assert_eq!(world.handle.export_to(&csv, "", ExportFormat::Csv).await.unwrap(), 4);
    let text = std::fs::read_to_string(&csv).unwrap();
    assert_eq!(text.lines().count(), 5);
    assert!(text.starts_with("id,mapping,table,") && text.contains(",'=cmd(),"), "{text}");
    let lines = dir.path().join("errors.jsonl");
    assert_eq!(world.handle.export_to(&lines, "field:phone", ExportFormat::JsonLines).await.unwrap(), 3);
    for line in std::fs::read_to_string(&lines).unwrap().lines() {
        assert_eq!(
            serde_json::from_str::<Value>(line).unwrap()["code"],
            json!("FIELD_CUSTOM_VALIDATION_EXCEPTION")
        );
    }
    let nowhere =
        world.handle.export_to(&dir.path().join("no/where.csv"), "", ExportFormat::Csv).await.unwrap_err();
    assert!(nowhere.to_string().contains("cannot write"), "{nowhere}");
}
