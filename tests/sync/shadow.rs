//! `syncdeck shadow`: Salesforce beside the rows that Heroku Connect keeps. What is only late is no difference, what was changed
//! behind Heroku Connect's back is, and the database is as it was.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Map, Value, json};
use syncdeck::config::Config;
use syncdeck::domain::records::shadow::report::{ShadowKind, ShadowReport, ShadowWait};
use syncdeck::engine::shadow::{Shadow, ShadowOptions, ShadowStage};
use syncdeck::postgres::Store;
use syncdeck::postgres::session::connect::Session;
use syncdeck::simulator::Org;
use tokio_util::sync::CancellationToken;

use crate::adopt::{HEROKU, Place, words};
use crate::adopted::{address, role};
use crate::beside::SCHEMA;
use crate::world::{MAPPINGS, World, write_private};

/// Everything in the database: all rows, and how many things the catalogue has.
const ALL: &str = "SELECT concat_ws(' ', (SELECT md5(string_agg(t::text, '' ORDER BY id)) FROM salesforce.contact t),
        (SELECT md5(coalesce(string_agg(t::text, '' ORDER BY id), '')) FROM salesforce._trigger_log t),
        (SELECT md5(coalesce(string_agg(t::text, '' ORDER BY id), '')) FROM salesforce._trigger_log_archive t),
        (SELECT last_value FROM salesforce._trigger_log_id_seq), (SELECT last_value FROM salesforce.contact_id_seq),
        (SELECT count(*) FROM pg_proc), (SELECT count(*) FROM pg_trigger), (SELECT count(*) FROM pg_class), (SELECT count(*) FROM pg_attribute),
        (SELECT count(*) FROM pg_namespace), (SELECT count(*) FROM pg_extension))";

fn fields(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// A contact in the org; its id.
fn create(org: &Org, number: usize) -> String {
    let holds = json!({"LastName": format!("Row{number}"), "Email": format!("row{number}@example.com"), "External_Id__c": format!("K-{number}")});
    org.user_create("Contact", fields(holds)).unwrap()
}

/// The same contact as a row, as Heroku Connect writes it.
fn row(number: usize, sfid: &str) -> String {
    format!(
        "INSERT INTO salesforce.contact (id, lastname, email, external_id__c, sfid)
         VALUES ({number}, 'Row{number}', 'row{number}@example.com', 'K-{number}', '{sfid}');"
    )
}

/// An org with so many contacts, a database with their rows beside it, and the contacts' ids, from number 1.
async fn beside(schema: &str, many: usize) -> (World, Place, Vec<String>) {
    let world = World::without_engine(MAPPINGS).await;
    let mut sfids = vec![String::new()];
    let mut rows = String::new();
    for number in 1..=many {
        sfids.push(create(&world.org, number));
        rows.push_str(&row(number, &sfids[number]));
    }
    let place = Place::new(&world, &format!("{schema}; SET xmlbinary = 'hex'; {rows} RESET xmlbinary")).await;
    (world, place, sfids)
}

/// A role that may read and nothing else.
async fn reader(place: &Place) -> String {
    let reader = role(place, "reader").await;
    let sql = format!(
        "CREATE ROLE {reader} LOGIN; GRANT USAGE ON SCHEMA salesforce TO {reader};
         GRANT SELECT ON ALL TABLES IN SCHEMA salesforce TO {reader}"
    );
    place.sql.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{error:?}"));
    reader
}

/// What a comparison finds in so many rounds, which nothing delays; `after` comes after each of them.
async fn compared(place: &Place, rounds: u64, after: impl AsyncFn(u64) + Send + Sync) -> ShadowReport {
    compared_every(place, Duration::from_millis(1), rounds, after).await
}

async fn compared_every(
    place: &Place,
    every: Duration,
    rounds: u64,
    after: impl AsyncFn(u64) + Send + Sync,
) -> ShadowReport {
    let config = Config::load_with_org(Some(&place.file), None).unwrap();
    let session = Session { read_only: true, ..Session::new("test", Duration::from_secs(30)) };
    let store = Store::open(config.postgres_url(), "salesforce", &session).await.unwrap();
    let options = ShadowOptions {
        time: Some(Duration::from_secs(3_600)),
        every: Some(every),
        catch_up: Some(Duration::ZERO),
        mapping: None,
    };
    let shadow = Shadow::open(&config, store, options).await.unwrap();
    let (stop, ended) = (CancellationToken::new(), Mutex::new(0));
    let told = |stage: ShadowStage<'_>| {
        if let ShadowStage::Over(round) = stage {
            *ended.lock().unwrap() = round.number;
            if round.number == rounds {
                stop.cancel();
            }
        }
    };
    let report = async {
        // Between two rounds nothing is read, so what is done there is done before the next one.
        let between = |stage: ShadowStage<'_>| {
            let is_over = matches!(stage, ShadowStage::Over(_));
            told(stage);
            if is_over {
                let number = *ended.lock().unwrap();
                tokio::task::block_in_place(|| {
                    tokio::runtime::Handle::current().block_on(after(number));
                });
            }
        };
        shadow.run(&between, &stop).await.unwrap()
    };
    report.await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_late_catches_up_and_what_was_changed_behind_its_back_is_told() {
    let (world, place, sfids) = beside(HEROKU, 12).await;
    let change = |number: usize, name: &str| {
        world.org.user_update("Contact", &sfids[number], fields(json!({"LastName": name}))).unwrap();
    };
    // 1: behind Heroku Connect's back. 2: Salesforce is ahead, and Heroku Connect comes by later. 3: a change is not sent. 4: its
    // row is gone. 5: its record is. 6: only written otherwise. 7: Salesforce refused the change. 8: several rows have it.
    // 9: Salesforce refused the delete, which is archived. 10: one column waits, another was changed behind its back. 11: what
    // was refused was changed behind its back.
    change(2, "Ahead");
    world.org.user_delete("Contact", &sfids[5]).unwrap();
    let planted = format!(
        "UPDATE salesforce.contact SET lastname = 'Unsent' WHERE id = 3;
         UPDATE salesforce.contact SET email = 'no-mail' WHERE id = 7;
         UPDATE salesforce.contact SET lastname = 'Unsent' WHERE id = 10;
         UPDATE salesforce.contact SET email = 'no-mail' WHERE id = 11;
         UPDATE salesforce._trigger_log SET state = 'FAILED', sf_message = 'INVALID_EMAIL_ADDRESS' WHERE record_id IN (7, 11);
         INSERT INTO salesforce._trigger_log_archive (id, table_name, record_id, sfid, action, state)
             VALUES (900, 'contact', 9, '{}', 'DELETE', 'FAILED');
         SET xmlbinary = 'hex';
         UPDATE salesforce.contact SET lastname = 'Behind', email = 'behind@example.com' WHERE id = 1;
         UPDATE salesforce.contact SET email = 'behind@example.com' WHERE id IN (10, 11);
         DELETE FROM salesforce.contact WHERE id IN (4, 9);
         UPDATE salesforce.contact SET lastname = 'Row6 ' WHERE id = 6;
         DROP INDEX salesforce.hcu_idx_contact_sfid;
         INSERT INTO salesforce.contact (id, lastname, sfid) VALUES (108, 'Row8', '{}');
         INSERT INTO salesforce.contact (id, lastname) VALUES (109, 'Never');
         INSERT INTO salesforce.contact (id, lastname, sfid) VALUES (-5, 'Blank', '');
         RESET xmlbinary;
         INSERT INTO salesforce.contact (id, lastname) VALUES (110, 'Waits')",
        sfids[9], sfids[8]
    );
    place.sql.batch_execute(&planted).await.unwrap_or_else(|error| panic!("{error:?}"));
    let brought = "SET xmlbinary = 'hex'; UPDATE salesforce.contact SET lastname = 'Ahead' WHERE id = 2; RESET xmlbinary";
    let report = compared(&place, 3, async |round| {
        if round == 1 {
            place.sql.batch_execute(brought).await.unwrap();
        }
    })
    .await;
    let of = &report.mappings[0];
    assert_eq!(report.rounds[0].differences, 0, "what was met once is no difference: {report:#?}");
    assert_eq!(
        of.differences,
        [
            (ShadowKind::FieldDiffers, 3),
            (ShadowKind::RecordWithoutRow, 1),
            (ShadowKind::RowWithoutRecord, 1),
            (ShadowKind::NeverSent, 2),
            (ShadowKind::SfidTwice, 1),
        ]
        .into(),
        "{report:#?}"
    );
    let fields: Vec<(&str, i64, Option<&str>, Option<&str>)> = of
        .fields
        .iter()
        .map(|of| {
            let one = &of.examples[0];
            (of.field.as_str(), of.rows, one.row_value.as_deref(), one.record_value.as_deref())
        })
        .collect();
    assert_eq!(
        fields,
        [
            ("Email", 3, Some("behind@example.com"), Some("row1@example.com")),
            ("LastName", 1, Some("Behind"), Some("Row1")),
        ]
    );
    assert_eq!((of.caught_up, of.late, of.refused, of.undecided), (1, 0, 2, 0), "{report:#?}");
    assert_eq!(of.waiting, [(ShadowWait::Unsent, 2)].into());
    let formats: Vec<&str> = of.counts.formats.iter().map(|of| of.field.as_str()).collect();
    assert_eq!(formats, ["LastName"]);
    assert_eq!(of.uncompared, ["the field Title: the table has no column title"]);
    assert_eq!(of.unmapped, ["createddate", "firstname", "phone"]);
    assert!(!report.in_step && report.stopped && report.whole_rounds() == 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_last_round_leaves_undecided_is_looked_at_alone() {
    let (_world, place, _) = beside(HEROKU, 3).await;
    let behind = |number: usize, name: &str| {
        format!(
            "SET xmlbinary = 'hex'; UPDATE salesforce.contact SET lastname = '{name}' WHERE id = {number}; RESET xmlbinary"
        )
    };
    for number in [1, 2] {
        place.sql.batch_execute(&behind(number, "Behind")).await.unwrap();
    }
    // There is time for one round, and for more looks than that.
    let report = compared_every(&place, Duration::from_secs(7_200), 2, async |_| {
        place.sql.batch_execute(&behind(2, "Row2")).await.unwrap();
    })
    .await;
    let of = &report.mappings[0];
    assert_eq!(of.differences, [(ShadowKind::FieldDiffers, 1)].into(), "{report:#?}");
    assert_eq!((report.rounds.len(), of.caught_up, of.all_undecided()), (1, 1, 0), "{report:#?}");
    assert_eq!((report.rounds[0].differences, report.rounds[0].undecided), (1, 0), "{report:#?}");
    assert!(!report.stopped && !report.in_step, "{report:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_that_cannot_be_read_leaves_the_others_and_no_proof() {
    let tables = "CREATE TABLE salesforce.account (id serial PRIMARY KEY, sfid varchar(18), name varchar(255), phone varchar(40));
        CREATE TABLE salesforce.lead (id serial PRIMARY KEY, sfid varchar(18), _hc_lastop varchar(32), _hc_err text)";
    let (_world, place, _) = beside(&format!("{HEROKU}; {tables}"), 3).await;
    let text = std::fs::read_to_string(&place.file).unwrap();
    let text = format!("{text}\n[[mapping]]\nobject = \"Account\"\nfields = [\"Name\", \"Phone\"]\n");
    write_private(&place.file, &text);
    let report = compared(&place, 2, async |round| {
        if round == 1 {
            place.sql.batch_execute("ALTER TABLE salesforce.account DROP COLUMN name").await.unwrap();
        }
    })
    .await;
    let rounds: Vec<(&str, u64, bool)> =
        report.mappings.iter().map(|of| (of.mapping.as_str(), of.rounds, of.broken.is_some())).collect();
    assert_eq!(rounds, [("Contact", 2, false), ("Account", 1, true)], "{report:#?}");
    let broken = report.rounds[1].broken.as_deref().unwrap_or_default();
    assert!(broken.starts_with("Account: ") && report.rounds[0].is_whole(), "{report:#?}");
    // It was stopped after that, which excuses nothing.
    assert!(report.stopped && !report.in_step, "{report:#?}");
    assert!(report.uncompared.iter().any(|why| why.contains("the table lead")), "{report:#?}");

    // What does not fit the org is the configuration's fault.
    write_private(&place.file, &text.replace("[\"Name\", ", "[\"Nome\", "));
    let output = place.ask(&["shadow"]).await;
    assert_eq!(output.status.code(), Some(2), "{}", words(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_read_can_compare_and_nothing_is_changed() {
    let (world, place, sfids) = beside(HEROKU, 5).await;
    let reader = reader(&place).await;
    let text = std::fs::read_to_string(&place.file).unwrap();
    write_private(&place.file, &text.replace(&place.url, &address(&place.url, &reader)));
    let before = place.text(ALL).await;
    let args = ["shadow", "--json", "--every", "1ms", "--catch-up", "1ms"];
    let output = place.ask(&args).await;
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["in_step"], true, "{report:#}");
    assert_eq!(report["mappings"][0]["compared"], 5, "{report:#}");
    assert!(report["cost"]["calls_a_day"].as_i64().unwrap() > 0, "{report:#}");
    assert!(words(&output).contains("a round costs 1 API call"), "{}", words(&output));

    // What the role may not read is told, and the rest compared.
    let revoked = format!(
        "REVOKE SELECT ON salesforce.contact, salesforce._trigger_log FROM {reader};
         GRANT SELECT (id, sfid, lastname, external_id__c) ON salesforce.contact TO {reader}"
    );
    place.sql.batch_execute(&revoked).await.unwrap();
    let behind = "SET xmlbinary = 'hex'; UPDATE salesforce.contact SET lastname = E'\\x1b[31mRed', email = 'b@example.com' WHERE id = 2; RESET xmlbinary";
    place.sql.batch_execute(behind).await.unwrap();
    let output = place.ask(&["shadow", "--every", "1ms", "--catch-up", "1ms"]).await;
    let told = words(&output);
    assert_eq!(output.status.code(), Some(3), "{told}");
    for part in [
        "1 rows differ from their records",
        &format!("row 2 {}: \"\\u{{1b}}[31mRed\" here, \"Row2\" there", sfids[2]),
        "the field Email: the role",
        "may not read the column email",
        "changes that are not sent cannot be told from differences: the role",
        "Not in step, over 2 rounds.",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains('\u{1b}'), "{told}");
    let back = "SET xmlbinary = 'hex'; UPDATE salesforce.contact SET lastname = 'Row2', email = 'row2@example.com' WHERE id = 2; RESET xmlbinary";
    place.sql.batch_execute(back).await.unwrap();
    assert_eq!(place.text(ALL).await, before);
    assert!(world.org.journal_since(0).iter().all(|entry| entry.source != "api"));

    // A table that it may not read at all leaves nothing to compare.
    place.sql.batch_execute(&format!("REVOKE ALL ON salesforce.contact FROM {reader}; REVOKE SELECT (id, sfid, lastname, external_id__c) ON salesforce.contact FROM {reader}")).await.unwrap();
    place.refused(&["shadow"], "has no right SELECT on salesforce.contact").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_heroku_connect_the_tables_tell_what_is_compared() {
    // Rows of these tests have no time of creation.
    let schema = format!(
        "{SCHEMA}; DELETE FROM salesforce._hcmeta; ALTER TABLE salesforce.contact DROP COLUMN createddate, ADD COLUMN external_id__c varchar(64)"
    );
    let (_world, place, _) = beside(&schema, 3).await;
    let text = std::fs::read_to_string(&place.file).unwrap();
    let (head, _) = text.split_once("[[mapping]]").unwrap();
    let attached = head.replace("[connection]\n", "[connection]\nengine = \"heroku-connect\"\n");
    write_private(&place.file, &attached);
    let output = place.ask(&["shadow", "--json", "--mapping", "contact"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let of = &report["mappings"][0];
    assert_eq!(
        (&of["mapping"], &of["compared"], &of["catch_up_seconds"]),
        (&json!("Contact"), &json!(3), &json!(600))
    );
    let noted = of["uncompared"].to_string();
    assert!(noted.contains("the column tags: Salesforce tells this login of no field"), "{noted}");

    // Heroku Connect's row of another org is no row of this one.
    place
        .sql
        .batch_execute("INSERT INTO salesforce._hcmeta (hcver, org_id) VALUES (4, '00DHC0000000001')")
        .await
        .unwrap();
    place.refused(&["shadow"], "belongs to the org 00DHC0000000001").await;
    let unknown = place.ask(&["shadow", "--mapping", "Contacts"]).await;
    assert_eq!(unknown.status.code(), Some(2), "{}", words(&unknown));
    let (connection, _) = attached.split_once("[salesforce]").unwrap();
    write_private(&place.file, connection);
    place.refused(&["shadow"], "has no login to the org").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_our_own_engine_keeps_is_compared_by_verify() {
    let world = World::without_engine(MAPPINGS).await;
    let place = Place::new(&world, HEROKU).await;
    place.done(&["adopt", "--yes"]).await;
    place.refused(&["shadow"], "compare both sides with: syncdeck verify").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_it_with_the_report_of_what_was_seen() {
    let (_world, place, _) = beside(HEROKU, 3).await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_syncdeck"));
    command.args(["shadow", "--for", "7d", "--every", "1d", "--config"]).arg(&place.file);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let output = tokio::task::spawn_blocking(move || {
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let told = lines.map(Result::unwrap).find(|line| line.contains("round 1:"));
        assert!(told.is_some_and(|line| line.contains("3 rows compared")));
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        kill(pid, Signal::SIGINT).unwrap();
        child.wait_with_output().unwrap()
    })
    .await
    .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    let part = "In step, as far as it was compared, over 1 round, stopped before its time.";
    assert!(words(&output).contains(part), "{}", words(&output));
}
