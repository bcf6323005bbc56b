//! What mending beside Heroku Connect must never do: create a record twice, send nothing and call it mended, run what is
//! somebody else's, read a long archive whole, go on after a takeover.

use std::time::Duration;

use syncdeck::client::api::ErrorQuery;
use syncdeck::client::operations::execute::Targets;
use syncdeck::domain::attached::mode::WriteMode;
use syncdeck::domain::operations::operation::OperationKind;
use tokio_util::sync::CancellationToken;

use crate::beside::{ARCHIVE, Beside, ROWS, bad_email, client, refused, session};
use crate::support::Patience;
use crate::world::contact;

/// A new row that Salesforce refused.
fn refused_insert() -> String {
    format!(
        "INSERT INTO salesforce.contact (id, lastname, email) VALUES (101, 'New', 'no-mail'); {}",
        refused(101, "contact")
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_created_once_however_often_its_row_is_edited() {
    for mode in [WriteMode::Ordered, WriteMode::Merged] {
        let beside = Beside::new(Some(mode), ROWS).await;
        // An insert that nobody answered yet.
        beside.run("INSERT INTO salesforce.contact (id, lastname, email) VALUES (102, 'Two', 'a@b')").await;
        beside.edit(102, "email", Some("a@b"), Some("two@example.com"), true).await.unwrap();
        let waits = "NEW INSERT email=a@b lastname=Two phone=NULL; NEW UPDATE email=two@example.com";
        assert_eq!(beside.log(102).await, waits);
        // One that was refused, mended twice before it is sent.
        beside.run(&refused_insert()).await;
        beside.edit(101, "email", Some("no-mail"), Some("b@c"), true).await.unwrap();
        let once = beside.log(101).await;
        beside.edit(101, "email", Some("b@c"), Some("new@example.com"), true).await.unwrap();
        assert_eq!(beside.log(101).await, format!("{once}; NEW UPDATE email=new@example.com"));
        let inserts = "SELECT count(*)::text FROM salesforce._trigger_log WHERE record_id = 101 AND action = 'INSERT' AND state = 'NEW'";
        assert_eq!(beside.text(inserts).await.unwrap(), "1");
        // The entry is new again, which leaves the row as it is: it says FAILED still.
        beside.run("SET xmlbinary = 'hex'; UPDATE salesforce.contact SET _hc_lastop = 'FAILED', _hc_err = 'no' WHERE id = 101; RESET xmlbinary").await;
        let waits = beside.client.retry(&contact(101)).await.unwrap_err();
        assert!(waits.message.contains("waits for Heroku Connect"), "{waits}");
        beside.edit(101, "phone", None, Some("1"), true).await.unwrap();
        assert_eq!(beside.text(inserts).await.unwrap(), "1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_that_changes_nothing_is_no_mending() {
    for (mode, archived) in [
        (WriteMode::Ordered, false),
        (WriteMode::Ordered, true),
        (WriteMode::Merged, false),
        (WriteMode::Merged, true),
    ] {
        let beside = Beside::new(Some(mode), ROWS).await;
        // A trigger of the application's own keeps addresses in small letters.
        beside
            .run(
                "CREATE FUNCTION public.small() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.email := lower(NEW.email); RETURN NEW; END';
                 CREATE TRIGGER a_small BEFORE UPDATE ON salesforce.contact FOR EACH ROW EXECUTE FUNCTION public.small();
                 UPDATE salesforce.contact SET score__c = 5 WHERE id = 1",
            )
            .await;
        beside.run(&format!("{} {} {}", refused(1, "contact"), bad_email(2), bad_email(3))).await;
        if archived {
            beside.run(ARCHIVE).await;
        }
        // Without sending again there is nothing to do, and nothing is done.
        let same = beside.edit(2, "email", Some("no-mail"), Some("NO-MAIL"), false).await.unwrap_err();
        assert!(same.message.contains("changes nothing of the row 2 of contact"), "{same}");
        assert_eq!(beside.log(2).await, "FAILED UPDATE email=no-mail");
        // With it, what failed is sent as the row has it.
        beside.edit(2, "email", Some("no-mail"), Some("NO-MAIL"), true).await.unwrap();
        beside.edit(1, "score__c", Some("5"), Some("5.0"), true).await.unwrap();
        for (row, column) in [(1, "score__c"), (2, "email")] {
            let sent = format!(
                "SELECT string_agg(values::hstore -> '{column}', ' ') FROM salesforce._trigger_log WHERE record_id = {row} AND state = 'NEW'"
            );
            let value = if row == 1 { "5" } else { "no-mail" };
            assert_eq!(beside.text(&sent).await.as_deref(), Some(value), "{mode:?} {archived}");
        }
        // Nothing that is only sent again makes up for a change that nothing captured.
        beside
            .run(
                "CREATE FUNCTION public.away() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN IF NEW.values LIKE '%phone%' THEN RETURN NULL; END IF; RETURN NEW; END $$;
                 CREATE TRIGGER a_away BEFORE INSERT ON salesforce._trigger_log FOR EACH ROW EXECUTE FUNCTION public.away()",
            )
            .await;
        let lost = beside.edit(3, "phone", Some("+1 555 03"), Some("3"), true).await.unwrap_err();
        assert!(lost.message.contains("did not capture the change"), "{lost}");
        assert_eq!(beside.log(3).await, "FAILED UPDATE email=no-mail");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_somebody_made_for_the_tables_rows_is_not_run() {
    for mode in [WriteMode::Ordered, WriteMode::Merged] {
        let beside = Beside::new(Some(mode), ROWS).await;
        beside.run(&bad_email(1)).await;
        beside
            .run(
                "CREATE FUNCTION public.hstore(salesforce.contact) RETURNS hstore LANGUAGE sql AS
                  $$ SELECT 'id=>1, email=>theirs, phone=>theirs'::hstore $$",
            )
            .await;
        beside.client.retry(&contact(1)).await.unwrap();
        let log = match mode {
            WriteMode::Ordered => "REQUEUED UPDATE email=no-mail; NEW UPDATE email=no-mail",
            WriteMode::Merged => "NEW UPDATE email=no-mail",
        };
        assert_eq!(beside.log(1).await, log);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_archive_is_read_by_its_indexes_only() {
    let beside = Beside::new(Some(WriteMode::Ordered), ROWS).await;
    beside.run(&format!("{} {ARCHIVE} {}", bad_email(1), bad_email(2))).await;
    beside
        .run(
            "INSERT INTO salesforce._trigger_log_archive (id, state, action, table_name, record_id, created_at, values)
             SELECT 1000000 + n, 'SUCCESS', 'UPDATE', 'contact', 1000 + n, now(), '\"phone\"=>\"1\"' FROM generate_series(1, 50000) n",
        )
        .await;
    beside.run("ANALYZE salesforce._trigger_log_archive").await;
    let role = beside.text("SELECT current_user::text").await.unwrap();
    // Counts of a session are there when it has ended.
    let ended = format!(
        "SELECT (count(*) = 0)::text FROM pg_stat_activity WHERE datname = current_database() AND usename = '{role}' AND pid <> pg_backend_pid()"
    );
    let scans = "SELECT seq_scan::text FROM pg_stat_user_tables WHERE relname = '_trigger_log_archive'";
    let own = session(&beside.url).await;
    let text = async |sql: &str| -> Option<String> { own.query_one(sql, &[]).await.unwrap().get(0) };
    let Beside { url, sql, client: first } = beside;
    drop((sql, first));
    let until_ended = async || {
        let mut patience = Patience::new();
        while text(&ended).await.as_deref() != Some("true") {
            if patience.wants_a_look() {
                patience.sees(text("SELECT string_agg(pid::text, ' ') FROM pg_stat_activity").await);
            }
            assert!(!patience.is_over(), "sessions do not end");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    until_ended().await;
    let before = text(scans).await;
    let client = client(&url, Some(WriteMode::Ordered), false).await;
    let errors = client.errors(&ErrorQuery { limit: 10, ..ErrorQuery::default() }).await.unwrap().items;
    assert_eq!(errors.len(), 2);
    let seen: Vec<_> = errors.iter().map(|error| (error.id, error.last_seen)).collect();
    client.record(&contact(1)).await.unwrap();
    client.retry(&contact(1)).await.unwrap();
    client.retry(&contact(2)).await.unwrap();
    assert_eq!(client.answered(&seen).await.unwrap().len(), 2);
    drop(client);
    until_ended().await;
    assert_eq!(text(scans).await, before);
    let by_index =
        "SELECT (idx_scan > 0)::text FROM pg_stat_user_tables WHERE relname = '_trigger_log_archive'";
    assert_eq!(text(by_index).await.as_deref(), Some("true"), "it was read at all");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_of_a_row_that_is_gone_is_no_error_and_a_takeover_ends_the_mending() {
    let beside = Beside::new(None, ROWS).await;
    beside.run(&format!("{} DELETE FROM salesforce.contact WHERE id = 1", bad_email(1))).await;
    assert!(beside.errors("row:1").await.is_empty());
    let gone = beside.client.retry(&contact(1)).await.unwrap_err();
    assert!(gone.message.contains("nothing of the row 1 of contact failed"), "{gone}");
    // syncdeck takes the tables over while somebody looks.
    beside.run(&bad_email(2)).await;
    let beside = beside.afresh().await;
    assert_eq!(beside.errors("row:2").await.len(), 1);
    beside.run("CREATE TRIGGER \"00_hc_logger\" AFTER UPDATE ON salesforce.contact FOR EACH ROW EXECUTE FUNCTION salesforce.hc_contact_logger()").await;
    let log = beside.log(2).await;
    for refused in [
        beside.client.retry(&contact(2)).await.unwrap_err(),
        beside.client.ignore(&contact(2)).await.unwrap_err(),
        beside.client.overview().await.map(drop).unwrap_err(),
    ] {
        assert!(refused.message.contains("were taken over"), "{refused}");
    }
    assert_eq!(beside.log(2).await, log);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_cannot_be_looked_at_is_told_and_hides_no_other() {
    let beside = Beside::new(None, ROWS).await;
    beside.run(&format!("{} {ARCHIVE}", bad_email(1))).await;
    // Rows of this table fail to be counted, whoever asks.
    beside
        .run(
            "ALTER TABLE salesforce.\"user\" RENAME TO kept;
             CREATE FUNCTION public.fails() RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''out of reach''; END';
             ALTER TABLE salesforce.kept ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
             CREATE POLICY fails ON salesforce.kept USING (public.fails())",
        )
        .await;
    let role = format!("app_{}", beside.text("SELECT replace(current_database(), '-', '_')").await.unwrap());
    beside
        .run(&format!(
            "CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA salesforce TO {role};
             GRANT SELECT ON ALL TABLES IN SCHEMA salesforce TO {role}"
        ))
        .await;
    let (before, _) = beside.url.rsplit_once("user=").unwrap();
    let app = client(&format!("{before}user={role}"), None, false).await;
    let detail = app.overview().await.unwrap().connection.detail.unwrap();
    assert!(
        detail.contains("kept: its rows were not counted") && detail.contains("out of reach"),
        "{detail}"
    );
    let errors = app.errors(&ErrorQuery { limit: 10, ..ErrorQuery::default() }).await.unwrap().items;
    assert_eq!(errors.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_mend_ends_where_the_way_to_postgresql_breaks() {
    let beside = Beside::new(Some(WriteMode::Merged), ROWS).await;
    for row in 1..=6 {
        beside.run(&bad_email(row)).await;
    }
    let all = Targets::Filter("code:INVALID_EMAIL".to_owned());
    let plan = beside.client.plan(&all, OperationKind::Retry).await.unwrap();
    assert_eq!(plan.len(), 6);
    // Whoever sends the fourth of them is cut off, and only then; the others would have another session each.
    beside
        .run(
            "CREATE SEQUENCE public.sends;
             CREATE FUNCTION public.cut() RETURNS trigger LANGUAGE plpgsql AS
              $$ BEGIN IF nextval('public.sends') = 4 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF; RETURN NEW; END $$;
             CREATE TRIGGER a_cut BEFORE UPDATE ON salesforce._trigger_log FOR EACH ROW EXECUTE FUNCTION public.cut()",
        )
        .await;
    let report = beside.client.execute(&plan, None, &|_| {}, &CancellationToken::new()).await.unwrap();
    assert_eq!((report.done, report.failed, report.skipped), (3, 3, 0), "{report:?}");
    let messages: Vec<&str> = report.items.iter().map(|item| item.message.as_str()).collect();
    let not_reached = messages.iter().filter(|message| message.contains("it was not reached")).count();
    assert_eq!(not_reached, 2, "{messages:?}");
    let states = "SELECT concat_ws(' ', count(*) FILTER (WHERE state = 'NEW'), count(*) FILTER (WHERE state = 'FAILED'))
        FROM salesforce._trigger_log";
    assert_eq!(beside.text(states).await.unwrap(), "3 3");
}
