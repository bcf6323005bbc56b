//! Looking and mending beside Heroku Connect: a schema as it keeps it, rows in every state, and a stand-in for its engine that works
//! while people mend.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use syncdeck::client::api::{ErrorKind, ErrorQuery};
use syncdeck::client::attached::session::Attached;
use syncdeck::client::operations::execute::Targets;
use syncdeck::client::queries::PendingQuery;
use syncdeck::config::Config;
use syncdeck::domain::attached::mode::WriteMode;
use syncdeck::domain::errors::sync_error::{ErrorState, SyncError};
use syncdeck::domain::names::RowRef;
use syncdeck::domain::operations::answer::Answer;
use syncdeck::domain::operations::operation::{AuditQuery, FieldChange, OperationKind};
use syncdeck::domain::records::record::{Edit, FieldEdit};
use syncdeck::domain::state::{EngineState, MappingState};
use syncdeck::engine::{self, StartError};
use syncdeck::postgres::Store;
use syncdeck::postgres::session::connect::Session;
use tokio_util::sync::CancellationToken;

use crate::beside::{ARCHIVE, Beside, ROWS, bad_email, client, refused, run, session};
use crate::heroku_engine::HerokuEngine;
use crate::support::{new_database, server};
use crate::world::contact;

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_the_log_the_archive_and_the_rows_are_one_list() {
    let beside = Beside::new(None, ROWS).await;
    // 1: in the archive. 2: in the log, though its row says SYNCED. 3: its row alone tells.
    beside.run(&format!("{} {ARCHIVE} {}", bad_email(1), bad_email(2))).await;
    beside.run("SET xmlbinary = 'hex'; UPDATE salesforce.contact SET _hc_lastop = 'SYNCED', _hc_err = NULL WHERE id = 2").await;
    beside.run("UPDATE salesforce.contact SET _hc_lastop = 'FAILED', _hc_err = '{\"msg\":\"UNABLE_TO_LOCK_ROW: it is locked\"}' WHERE id = 3; RESET xmlbinary").await;
    // 4: refused, then mended by the application. 5: a no-op. 6: sent again, and waits. 7: silenced. 8: another column was taken since.
    beside
        .run(&format!("{} UPDATE salesforce.contact SET email = 'ok@example.com' WHERE id = 4", bad_email(4)))
        .await;
    beside
        .run("UPDATE salesforce._trigger_log SET state = 'SUCCESS' WHERE record_id = 4 AND state = 'NEW'")
        .await;
    beside.run("UPDATE salesforce.contact SET phone = phone WHERE id = 5").await;
    beside
        .run(&format!(
            "{} UPDATE salesforce._trigger_log SET state = 'NEW' WHERE record_id = 6",
            bad_email(6)
        ))
        .await;
    beside
        .run(&format!(
            "{} UPDATE salesforce._trigger_log SET state = 'IGNORED' WHERE record_id = 7",
            bad_email(7)
        ))
        .await;
    beside.run(&format!("{} UPDATE salesforce.contact SET phone = '1' WHERE id = 8", bad_email(8))).await;
    beside
        .run("UPDATE salesforce._trigger_log SET state = 'SUCCESS' WHERE record_id = 8 AND state = 'NEW'")
        .await;
    // A read-only mapping, an insert without a record, a delete that was refused, and one of a table that is not there any more.
    beside.run("UPDATE salesforce.recordtype SET name = 'Other' WHERE id = 1").await;
    beside
        .run(&format!(
            "INSERT INTO salesforce.contact (id, lastname, email) VALUES (101, 'New', 'no-mail'); {}",
            refused(101, "contact")
        ))
        .await;
    beside.run(&format!("DELETE FROM salesforce.contact WHERE id = 9; {}", refused(9, "contact"))).await;
    beside
        .run(
            "INSERT INTO salesforce._trigger_log (state, action, table_name, record_id, values, sf_message)
        VALUES ('FAILED', 'UPDATE', 'gone__c', 1, '\"name\"=>\"x\"', 'entity is deleted')",
        )
        .await;

    let beside = beside.afresh().await;
    let listed: BTreeMap<(String, i32), SyncError> = beside
        .errors("state:open|retrying|ignored")
        .await
        .into_iter()
        .map(|error| ((error.table.clone(), error.row_id.unwrap().0), error))
        .collect();
    let told: Vec<String> = listed
        .iter()
        .map(|((table, row), error)| {
            format!("{table} {row} {} {} {}", error.op, error.state.word(), error.code)
        })
        .collect();
    assert_eq!(
        told,
        [
            "contact 1 update open INVALID_EMAIL_ADDRESS",
            "contact 2 update open INVALID_EMAIL_ADDRESS",
            "contact 3 update open UNABLE_TO_LOCK_ROW",
            "contact 6 update retrying INVALID_EMAIL_ADDRESS",
            "contact 7 update ignored INVALID_EMAIL_ADDRESS",
            "contact 8 update open INVALID_EMAIL_ADDRESS",
            "contact 9 delete open INVALID_EMAIL_ADDRESS",
            "contact 101 insert open INVALID_EMAIL_ADDRESS",
            "gone__c 1 update open ENTITY_IS_DELETED",
        ]
    );
    // Their numbers are those that Heroku's dashboard shows, and the same at every look.
    let one = &listed[&("contact".to_owned(), 1)];
    assert_eq!(
        beside
            .text("SELECT id::text FROM salesforce._trigger_log_archive WHERE record_id = 1")
            .await
            .unwrap(),
        one.id.to_string()
    );
    assert_eq!(
        (one.fields.as_slice(), one.sfid.as_deref()),
        (&["Email".to_owned()][..], Some("003HC0000000000001"))
    );
    let of_row_alone = &listed[&("contact".to_owned(), 3)];
    assert_eq!(beside.client.error(of_row_alone.id).await.unwrap().row_id, of_row_alone.row_id);

    assert_eq!(beside.errors("").await.len(), 8, "what is ignored is listed only when asked for");
    assert_eq!(beside.errors("no-mail field:email mapping:contact -op:delete").await.len(), 5);
    let groups = beside.client.groups("code:INVALID_EMAIL", 10).await.unwrap();
    assert_eq!((groups.len(), groups[0].count), (1, 6));
    let overview = beside.client.overview().await.unwrap();
    assert_eq!(
        (overview.engine.state, overview.connection.environment.as_str()),
        (EngineState::Attached, "test")
    );
    let states: Vec<_> = overview
        .mappings
        .iter()
        .map(|mapping| (mapping.name.as_str(), mapping.state, mapping.errors, mapping.rows))
        .collect();
    assert_eq!(
        states,
        [
            ("Contact", MappingState::Errors, 7, 20),
            ("legacy__c", MappingState::Unmapped, 0, 1),
            ("RecordType", MappingState::Ok, 0, 1),
            ("User", MappingState::Ok, 0, 1),
        ]
    );
    let pending =
        beside.client.pending(&PendingQuery { limit: 10, ..PendingQuery::default() }).await.unwrap();
    let rows: Vec<_> = pending.iter().map(|row| (row.row.row.0, row.op.as_str())).collect();
    assert_eq!(rows, [(6, "update")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_shows_its_values_and_why_there_is_no_more() {
    let beside = Beside::new(None, ROWS).await;
    beside.run(&bad_email(1)).await;
    beside.run("SET xmlbinary = 'hex'; UPDATE salesforce.contact SET tags = '{a,b}', extra = '{\"k\": [1]}', span = '[1,5)' WHERE id = 2; RESET xmlbinary").await;
    beside.run("UPDATE salesforce.contact SET phone = phone WHERE id = 3").await;
    let record = beside.client.record(&contact(1)).await.unwrap();
    assert_eq!(
        (record.unit.as_str(), record.exists, record.lastop.as_deref()),
        ("failed", true, Some("FAILED"))
    );
    assert_eq!(record.advice.title, "Invalid e-mail address");
    assert!(
        record
            .values
            .iter()
            .any(|(field, value)| field.name == "Email" && value.as_deref() == Some("no-mail"))
    );
    assert!(
        record.history.last().unwrap().text.contains("Heroku Connect keeps no attempts"),
        "{:?}",
        record.history
    );
    let odd = beside.client.record(&contact(2)).await.unwrap();
    let value = |name: &str| odd.values.iter().find(|(field, _)| field.name == name).unwrap();
    assert_eq!(value("extra").1.as_deref(), Some(r#"{"k":[1]}"#));
    assert!(value("initials").0.read_only(), "a generated column is nobody's to write");
    assert!(odd.error.is_none());
    // A no-op leaves the row PENDING for good, and says so.
    let no_op = beside.client.record(&contact(3)).await.unwrap();
    assert!(no_op.sending.why.as_ref().unwrap().contains("says PENDING"), "{:?}", no_op.sending);
    let missing = beside.client.record(&contact(999)).await.unwrap_err();
    assert_eq!(missing.kind, ErrorKind::NotFound);
    let user = RowRef { table: "user".to_owned(), ..contact(1) };
    assert_eq!(beside.client.record(&user).await.unwrap().mapping, "User");
    // What is not to be had says why.
    let why = [
        beside.client.relatives(&contact(1)).await.unwrap_err(),
        beside.client.log_of(&contact(1), 10).await.unwrap_err(),
        beside.client.salesforce_values(&contact(1)).await.unwrap_err(),
        beside.client.runs(None, false, 10).await.unwrap_err(),
        beside.client.trends(10).await.unwrap_err(),
        beside.client.operations(&AuditQuery { limit: 10, ..AuditQuery::default() }).await.unwrap_err(),
        beside.client.alerts().await.unwrap_err(),
        beside.client.health(Duration::from_secs(3_600), None).await.unwrap_err(),
        beside.client.plan(&Targets::Filter(String::new()), OperationKind::Revert).await.unwrap_err(),
    ];
    for refused in why {
        assert_eq!(refused.kind, ErrorKind::Refused);
        assert!(refused.message.contains("Heroku Connect"), "{refused}");
    }
    assert!(beside.client.log(None, 10).await.unwrap()[0].message.contains("not in the database"));
}

#[tokio::test(flavor = "multi_thread")]
async fn merged_writes_are_sent_again_by_their_own_entry_unless_that_is_out_of_date() {
    let beside = Beside::new(Some(WriteMode::Merged), ROWS).await;
    beside.run(&format!("{} {ARCHIVE} {} {}", bad_email(2), bad_email(1), bad_email(3))).await;
    // 3 was changed since, and that was taken: its entry would bring the old value back with another column.
    beside.run("UPDATE salesforce._trigger_log SET values = values || ', \"phone\"=>\"old\"' WHERE record_id = 3").await;
    beside.client.retry(&contact(1)).await.unwrap();
    assert_eq!(beside.log(1).await, "NEW UPDATE email=no-mail");
    beside.client.retry(&contact(2)).await.unwrap();
    assert_eq!(beside.log(2).await, "REQUEUED UPDATE email=no-mail; NEW UPDATE email=no-mail");
    assert_eq!(
        beside.text("SELECT state FROM salesforce._trigger_log_archive WHERE record_id = 2").await.unwrap(),
        "REQUEUED"
    );
    beside.client.retry(&contact(3)).await.unwrap();
    assert_eq!(
        beside.log(3).await,
        "REQUEUED UPDATE email=no-mail phone=old; NEW UPDATE email=no-mail phone=+1 555 03"
    );
    // It is sent once, whoever asks again.
    let again = beside.client.retry(&contact(1)).await.unwrap_err();
    assert!(again.message.contains("waits for Heroku Connect"), "{again}");
    let nothing = beside.client.retry(&contact(4)).await.unwrap_err();
    assert!(nothing.message.contains("nothing of the row 4 of contact failed"), "{nothing}");
    // A copy of an archived entry would come behind the edit, and bring the old value back.
    beside.run(&format!("{} {ARCHIVE}", bad_email(5))).await;
    beside.edit(5, "email", Some("no-mail"), Some("five@example.com"), true).await.unwrap();
    assert_eq!(beside.log(5).await, "REQUEUED UPDATE email=no-mail; NEW UPDATE email=five@example.com");
}

#[tokio::test(flavor = "multi_thread")]
async fn ordered_writes_are_captured_again_as_the_row_is_now() {
    let beside = Beside::new(Some(WriteMode::Ordered), ROWS).await;
    beside.run(&format!("{} {} {ARCHIVE}", bad_email(1), bad_email(2))).await;
    beside.client.retry(&contact(1)).await.unwrap();
    assert_eq!(beside.log(1).await, "REQUEUED UPDATE email=no-mail; NEW UPDATE email=no-mail");
    // The edit carries what failed: it is not captured twice.
    beside.edit(2, "email", Some("no-mail"), Some("two@example.com"), true).await.unwrap();
    assert_eq!(beside.log(2).await, "REQUEUED UPDATE email=no-mail; NEW UPDATE email=two@example.com");
    // A refused insert is captured whole, and the edit's own update, which has no record to go to, is not sent before it.
    beside
        .run(&format!(
            "INSERT INTO salesforce.contact (id, lastname, email) VALUES (101, 'New', 'no-mail'); {}",
            refused(101, "contact")
        ))
        .await;
    beside.edit(101, "email", Some("no-mail"), Some("new@example.com"), true).await.unwrap();
    assert_eq!(
        beside.log(101).await,
        "FAILED INSERT email=no-mail lastname=New phone=NULL; IGNORED UPDATE email=new@example.com; NEW INSERT email=new@example.com lastname=New phone=NULL"
            .replace("FAILED", "REQUEUED")
    );
    // A refused delete has no row to capture.
    beside
        .run(&format!("DELETE FROM salesforce.contact WHERE id = 9; {} {ARCHIVE}", refused(9, "contact")))
        .await;
    beside.client.retry(&contact(9)).await.unwrap();
    assert_eq!(beside.log(9).await, "REQUEUED DELETE ; NEW DELETE ");
    // Without Heroku Connect's functions it says what lacks, and nothing is half done.
    beside.run(&format!("{} DROP FUNCTION salesforce.hc_capture_update_from_row", bad_email(3))).await;
    let lacks = beside.client.retry(&contact(3)).await.unwrap_err();
    assert!(lacks.message.contains("hc_capture_update_from_row"), "{lacks}");
    assert_eq!(beside.log(3).await, "FAILED UPDATE email=no-mail");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_is_compared_captured_and_never_made_in_vain() {
    let beside = Beside::new(None, ROWS).await;
    beside.run(&bad_email(1)).await;
    let moved =
        beside.edit(1, "email", Some("row1@example.com"), Some("x@example.com"), true).await.unwrap_err();
    assert!(moved.message.contains("email was changed meanwhile"), "{moved}");
    let long = beside.edit(1, "phone", Some("+1 555 01"), Some(&"1".repeat(41)), false).await.unwrap_err();
    assert!(long.message.contains("PostgreSQL refuses the value for contact"), "{long}");
    assert_eq!(beside.log(1).await, "FAILED UPDATE email=no-mail");
    // A table that nothing captures, one that is read-only, and triggers that are switched off.
    for (table, column, shown) in [("legacy__c", "name", "old"), ("recordtype", "name", "Customer")] {
        let row = RowRef { table: table.to_owned(), ..contact(1) };
        let field =
            FieldEdit { column: column.to_owned(), shown: Some(shown.to_owned()), new: Some("x".to_owned()) };
        let refused = beside.client.save(&Edit { row, fields: vec![field], retry: false }).await.unwrap_err();
        assert!(
            refused.message.contains("Heroku Connect does not map it")
                || refused.message.contains("mapped read-only"),
            "{refused}"
        );
    }
    beside.run("CREATE FUNCTION public.away() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        CREATE TRIGGER a_away BEFORE INSERT ON salesforce._trigger_log FOR EACH ROW EXECUTE FUNCTION public.away()").await;
    let lost = beside.edit(2, "phone", Some("+1 555 02"), Some("2"), false).await.unwrap_err();
    assert!(lost.message.contains("did not capture the change"), "{lost}");
    assert_eq!(beside.text("SELECT phone FROM salesforce.contact WHERE id = 2").await.unwrap(), "+1 555 02");
    // Ignoring is Heroku Connect's own word for it.
    beside.client.ignore(&contact(1)).await.unwrap();
    assert_eq!(beside.log(1).await, "IGNORED UPDATE email=no-mail");
    assert!(beside.errors("").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_rows_are_mended_at_once_each_compared_with_what_was_looked_at() {
    let beside = Beside::new(None, ROWS).await;
    for row in 1..=6 {
        beside
            .run(&format!(
                "UPDATE salesforce.contact SET email = 'row{row}@example,com' WHERE id = {row}; {}",
                refused(row, "contact")
            ))
            .await;
    }
    let all = Targets::Filter("code:INVALID_EMAIL".to_owned());
    let stop = CancellationToken::new();
    let plan = beside.client.plan(&all, OperationKind::Mend).await.unwrap();
    assert_eq!(plan.len(), 6);
    beside.run("UPDATE salesforce.contact SET email = 'own@example.com' WHERE id = 6").await;
    let report = beside.client.execute(&plan, None, &|_| {}, &stop).await.unwrap();
    assert_eq!((report.done, report.skipped, report.failed, report.operation), (5, 1, 0, None), "{report:?}");
    assert_eq!(
        beside.text("SELECT email FROM salesforce.contact WHERE id = 1").await.unwrap(),
        "row1@example.com"
    );
    assert_eq!(
        beside.log(1).await,
        "REQUEUED UPDATE email=row1@example,com; NEW UPDATE email=row1@example.com"
    );
    // One field of many, without sending again; what is the same already is left alone.
    beside.run(&bad_email(7)).await;
    let kind = OperationKind::Fix {
        field: "Phone".to_owned(),
        how: FieldChange::Set(Some("7".to_owned())),
        retry: false,
    };
    let plan = beside.client.plan(&Targets::Filter("row:7".to_owned()), kind).await.unwrap();
    let report = beside.client.execute(&plan, None, &|_| {}, &stop).await.unwrap();
    assert_eq!(report.done, 1, "{report:?}");
    assert_eq!(beside.log(7).await, "FAILED UPDATE email=no-mail; NEW UPDATE phone=7");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_applications_own_rights_are_enough_and_a_session_that_only_reads_says_so() {
    let beside = Beside::new(None, ROWS).await;
    beside.run(&bad_email(1)).await;
    let role = format!("app_{}", beside.text("SELECT replace(current_database(), '-', '_')").await.unwrap());
    beside
        .run(&format!(
            "CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA salesforce TO {role};
             GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA salesforce TO {role};
             GRANT USAGE ON ALL SEQUENCES IN SCHEMA salesforce TO {role}"
        ))
        .await;
    let (before, _) = beside.url.rsplit_once("user=").unwrap();
    let url = format!("{before}user={role}");
    let app = client(&url, None, false).await;
    assert_eq!(app.may_write().await.unwrap(), None);
    app.retry(&contact(1)).await.unwrap();
    assert_eq!(beside.log(1).await, "REQUEUED UPDATE email=no-mail; NEW UPDATE email=no-mail");
    assert_eq!(
        beside.text("SELECT count(*)::text FROM pg_namespace WHERE nspname = 'syncdeck'").await.unwrap(),
        "0"
    );

    beside.run(&bad_email(2)).await;
    let reader = client(&beside.url, None, true).await;
    assert!(reader.may_write().await.unwrap().unwrap().contains("read-only"));
    let rows = reader.errors(&ErrorQuery { limit: 10, ..ErrorQuery::default() }).await.unwrap().items;
    assert!(rows.iter().any(|error| error.row_id == Some(contact(2).row)));
    assert_eq!(reader.retry(&contact(2)).await.unwrap_err().kind, ErrorKind::NoRights);
    // Less than that: the archive cannot be read, and nothing of the log be changed. Both are told.
    beside.run(&format!("REVOKE SELECT ON salesforce._trigger_log_archive FROM {role}; REVOKE UPDATE ON salesforce._trigger_log FROM {role}")).await;
    let less = client(&url, None, false).await;
    assert!(less.may_write().await.unwrap().unwrap().contains("GRANT INSERT, UPDATE"));
    assert!(
        less.overview().await.unwrap().connection.detail.unwrap().contains("older failures are not listed")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_engine_of_ours_starts_there_and_no_other_database_is_taken_for_it() {
    let beside = Beside::new(None, ROWS).await;
    let text = format!(
        "[connection]\nname = \"acme\"\nengine = \"heroku-connect\"\nwrites = \"ordered\"\n[postgres]\nurl = \"{}\"\n",
        beside.url
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    let config = Config::parse(file.path(), &text).unwrap();
    let store = Store::open(&beside.url, "salesforce", &Session::of_console(Duration::from_secs(15), false))
        .await
        .unwrap();
    let refused = engine::start(config, store).await.map(drop).unwrap_err();
    assert!(matches!(refused, StartError::Config(_)), "{refused}");
    let told = refused.to_string();
    for part in ["attached to Heroku Connect", "the console", "run --adopt", "another database"] {
        assert!(told.contains(part), "{told}");
    }
    assert_eq!(
        beside.text("SELECT count(*)::text FROM pg_namespace WHERE nspname = 'syncdeck'").await.unwrap(),
        "0"
    );
    let wrong = Config::parse(Path::new("x"), &text.replace("heroku-connect\"", "service\"")).unwrap_err();
    assert!(wrong.to_string().contains("salesforce"), "{wrong}");

    let mapped = format!("{text}[[mapping]]\nobject = \"Contact\"\nfields = [\"Email\"]\n");
    let mapped = Config::parse(Path::new("x"), &mapped).unwrap_err();
    assert!(mapped.to_string().contains("leave [[mapping]] out"), "{mapped}");

    let empty = server().url(&new_database().await);
    let store = Store::open(&empty, "salesforce", &Session::of_console(Duration::from_secs(15), false))
        .await
        .unwrap();
    let none = Attached::open(store, "hc", None).await.map(drop).unwrap_err();
    assert!(none.message.contains("has no table _trigger_log"), "{none}");
    beside.run("CREATE TRIGGER \"00_hc_logger\" AFTER UPDATE ON salesforce.contact FOR EACH ROW EXECUTE FUNCTION salesforce.hc_contact_logger()").await;
    let store = Store::open(&beside.url, "salesforce", &Session::of_console(Duration::from_secs(15), false))
        .await
        .unwrap();
    let ours = Attached::open(store, "hc", None).await.map(drop).unwrap_err();
    assert!(ours.message.contains("were taken over"), "{ours}");
}

/// An operator mends while the application writes and Heroku Connect sends: at the end Salesforce has every row as it is here.
async fn mended_beside_its_engine(mode: WriteMode) {
    let beside = Arc::new(Beside::new(Some(mode), ROWS).await);
    beside
        .run("INSERT INTO org.contact SELECT id, sfid, lastname, email, phone FROM salesforce.contact")
        .await;
    let engine = HerokuEngine::start(session(&beside.url).await, mode);
    let (own, app) = (beside.clone(), session(&beside.url).await);
    // Every row fails, and some of them are new; meanwhile the application changes another column of each.
    let writing = tokio::spawn(async move {
        for row in 1..=20 {
            run(&app, &format!("UPDATE salesforce.contact SET email = 'bad-{row}' WHERE id = {row}")).await;
            run(&app, &format!("INSERT INTO salesforce.contact (id, lastname, email) VALUES (1{row:02}, 'New{row}', 'bad-1{row:02}')")).await;
            run(&app, &format!("UPDATE salesforce.contact SET phone = 'app-{row}' WHERE id = {row}")).await;
        }
    });
    let mending = async {
        let mut mended = 0;
        own.until("every row was mended", async || {
            for error in own.errors("state:open").await {
                let Some(row) = error.row() else { continue };
                let Ok(record) = own.client.record(&row).await else { continue };
                let email = record.values.iter().find(|(field, _)| field.column == "email").unwrap().1.clone();
                let done = match email {
                    Some(email) if email.starts_with("bad-") => {
                        let new = format!("ok-{}@example.com", row.row);
                        own.edit(row.row.0, "email", Some(&email), Some(&new), true).await
                    }
                    _ => own.client.retry(&row).await,
                };
                // Who came later is told so, and looks again.
                if done.is_ok() {
                    mended += 1;
                }
            }
            let bad = "SELECT count(*)::text FROM salesforce.contact WHERE email LIKE 'bad-%'";
            let rows = own.text("SELECT count(*)::text FROM salesforce.contact").await.unwrap();
            rows == "40" && own.text(bad).await.unwrap() == "0" && own.errors("").await.is_empty()
                && own.text("SELECT count(*)::text FROM salesforce._trigger_log WHERE state IN ('NEW', 'PENDING')").await.unwrap() == "0"
        })
        .await;
        mended
    };
    let mended = mending.await;
    writing.await.unwrap();
    beside
        .until("nothing waits", async || {
            beside
                .text("SELECT count(*)::text FROM salesforce._trigger_log WHERE state IN ('NEW', 'PENDING')")
                .await
                .unwrap()
                == "0"
        })
        .await;
    let refusals = engine.stop().await;
    assert!(mended >= 40 && refusals >= 40, "{mended} mended, {refusals} refused");
    let differs = "SELECT string_agg(concat_ws(' ', c.id, c.email, o.email, c.phone, o.phone), '; ') FROM salesforce.contact c
        LEFT JOIN org.contact o ON o.record_id = c.id
        WHERE (c.email, c.phone, c.sfid) IS DISTINCT FROM (o.email, o.phone, o.sfid)";
    assert_eq!(beside.text(differs).await, None);
    let doubled = "SELECT string_agg(record_id::text, ' ') FROM (
        SELECT record_id FROM org.contact GROUP BY record_id HAVING count(*) <> 1) doubled";
    assert_eq!(beside.text(doubled).await, None, "these rows were created more than once");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_beside_an_engine_with_merged_writes() {
    mended_beside_its_engine(WriteMode::Merged).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_beside_an_engine_with_ordered_writes() {
    mended_beside_its_engine(WriteMode::Ordered).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_became_of_a_row_is_told_when_heroku_connect_has_answered() {
    let beside = Beside::new(None, ROWS).await;
    beside
        .run("INSERT INTO org.contact SELECT id, sfid, lastname, email, phone FROM salesforce.contact")
        .await;
    beside.run(&format!("{} {}", bad_email(1), bad_email(2))).await;
    let beside = beside.afresh().await;
    let before = beside.errors("").await;
    let seen: Vec<_> = before.iter().map(|error| (error.id, error.last_seen)).collect();
    beside.client.retry(&contact(1)).await.unwrap();
    beside.edit(2, "email", Some("no-mail"), Some("two@example.com"), true).await.unwrap();
    let answers = beside.client.answered(&seen).await.unwrap();
    assert!(
        answers.len() == 2 && answers.iter().all(|(_, answer)| *answer == Answer::Waiting),
        "{answers:?}"
    );
    let engine = HerokuEngine::start(session(&beside.url).await, WriteMode::Ordered);
    let number = |row: i32| before.iter().find(|error| error.row_id == Some(contact(row).row)).unwrap().id;
    beside
        .until("both are answered", async || {
            let answers: BTreeMap<_, _> = beside.client.answered(&seen).await.unwrap().into_iter().collect();
            answers[&number(1)] == Answer::Rejected && answers[&number(2)] == Answer::Taken
        })
        .await;
    engine.stop().await;
    beside
        .until("the list has it under its new number", async || {
            let now = beside.errors("").await;
            now.len() == 1
                && now[0].id > number(1)
                && now[0].attempts == 2
                && now[0].state == ErrorState::Open
        })
        .await;
}
