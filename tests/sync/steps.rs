//! The SQL of the queue against the pure steps of `domain::changes::unit`: the same events, the same units.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use syncdeck::domain::changes::dispatch::Claimed;
use syncdeck::domain::changes::unit::{SendResult, Unit, UnitEvent, step};
use syncdeck::domain::errors::sync_error::ErrorSource;
use syncdeck::domain::mappings::strategy::RetryDecision;
use syncdeck::domain::names::{RowId, RowRef};
use syncdeck::domain::reports::overview::Writes;
use syncdeck::postgres::changes::acknowledge::Rows;
use syncdeck::postgres::changes::queue::{Ack, Awaited, UnitOutcome};
use syncdeck::postgres::errors::sync_errors::NewError;

use crate::support::operation;
use crate::world::{MAPPINGS, World};

const ROWS: i32 = 6;
/// Longer than the test: the model knows of no time.
const LEASE: Duration = Duration::from_secs(3_600);

type Model = BTreeMap<i32, Unit>;

fn happen(model: &mut Model, row: i32, event: &UnitEvent) {
    if let (Some(unit), _) = step(model.remove(&row), event) {
        model.insert(row, unit);
    }
}

fn outcome(dice: &mut StdRng) -> UnitOutcome {
    let error = || {
        Box::new(NewError::classified("Contact", "update", ErrorSource::Salesforce, "ANY", "any", Vec::new()))
    };
    let pause = Duration::from_secs(1_000);
    match dice.random_range(0..12) {
        0 | 1 => UnitOutcome::Accepted { sfid: None, lastop: Some("UPDATED") },
        2 => UnitOutcome::Nothing { reason: "nothing to send" },
        3 => UnitOutcome::Rejected {
            error: error(),
            next: *[RetryDecision::Open, RetryDecision::Stop].choose(dice).unwrap(),
        },
        4 => UnitOutcome::Rejected { error: error(), next: RetryDecision::Again(Duration::ZERO) },
        9 => UnitOutcome::Rejected { error: error(), next: RetryDecision::Review },
        10 => UnitOutcome::Rejected { error: found_here(error()), next: RetryDecision::Open },
        11 => UnitOutcome::Stopped,
        5 => UnitOutcome::Held { error: error(), awaited: Awaited::Row(parent()) },
        6 => UnitOutcome::Lost {
            alone: true,
            retry: Duration::ZERO,
            park: Some((error(), RetryDecision::Open)),
        },
        7 => UnitOutcome::Lost { alone: false, retry: Duration::ZERO, park: None },
        _ => UnitOutcome::Released { pause: if dice.random() { pause } else { Duration::ZERO } },
    }
}

fn found_here(mut error: Box<NewError>) -> Box<NewError> {
    error.source = ErrorSource::Engine;
    error
}

/// The row that held units wait for: it failed.
fn parent() -> RowRef {
    RowRef { table: "account".to_owned(), row: RowId(1) }
}

/// The units as the database has them, in the words of the model; time and token aside.
async fn units(world: &World) -> Vec<String> {
    let sql = "SELECT format('%s %s %s %s %s %s %s', record_id, state, version, attempts, lost, lost_alone, outcome IS NOT NULL)
         FROM syncdeck.unit WHERE table_name = 'contact' ORDER BY record_id";
    world.sql.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

fn expected(model: &Model) -> Vec<String> {
    let line = |(row, unit): (&i32, &Unit)| {
        let owes = if unit.owes_row { "t" } else { "f" };
        let Unit { phase, version, attempts, lost, lost_alone, .. } = unit;
        format!("{row} {} {version} {attempts} {lost} {lost_alone} {owes}", phase.word())
    };
    model.iter().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sql_of_the_queue_takes_the_same_steps_as_the_model() {
    let mut world = World::start(MAPPINGS).await;
    world.stop_engine().await;
    let seed: u64 = rand::random();
    let mut dice = StdRng::seed_from_u64(seed);
    world
        .run(&format!(
            "SET syncdeck.writer = 'engine'; SET xmlbinary = 'hex';
             INSERT INTO salesforce.contact (id, lastname, external_id__c)
             SELECT n, 'Name', CASE WHEN n % 2 = 0 THEN 'K' || n END FROM generate_series(1, {ROWS}) n;
             RESET syncdeck.writer; RESET xmlbinary;
             INSERT INTO syncdeck.unit (table_name, record_id, state) VALUES ('account', 1, 'failed')"
        ))
        .await;
    let tables = ["contact".to_owned()];
    let mut model = Model::new();
    // Every claim that was ever made: late ones are acknowledged as well.
    let mut claims: Vec<(String, Claimed)> = Vec::new();
    let mut story = Vec::new();
    for round in 0..400 {
        let row = dice.random_range(1..=ROWS);
        let at = RowRef { table: "contact".to_owned(), row: RowId(row) };
        let what = dice.random_range(0..10);
        match what {
            0..=2 => {
                world
                    .run(&format!("UPDATE salesforce.contact SET lastname = 'n{round}' WHERE id = {row}"))
                    .await;
                world.store.ingest(&tables, 100).await.unwrap();
                happen(&mut model, row, &UnitEvent::Changed);
            }
            3 | 4 => {
                let token = format!("token {round}");
                let due = |unit: &&Unit| unit.pause.is_zero();
                let ready = model.values().filter(|unit| unit.phase.word() == "ready").filter(due).count();
                let claimed = world.store.claim(&token, LEASE, 200).await.unwrap();
                assert_eq!(claimed.len(), ready, "seed {seed}: {story:#?}");
                for unit in claimed {
                    happen(&mut model, unit.row.0, &UnitEvent::Claimed { token: token.clone() });
                    claims.push((token.clone(), unit));
                }
            }
            5 | 6 => {
                let recent = &claims[claims.len().saturating_sub(10)..];
                let Some((token, unit)) = recent.choose(&mut dice).cloned() else { continue };
                let (outcome, row_locked) = (outcome(&mut dice), dice.random());
                let upto = world
                    .text("SELECT coalesce(max(id), 0)::text FROM salesforce._trigger_log")
                    .await
                    .unwrap();
                let ack = Ack {
                    unit: unit.clone(),
                    upto: upto.parse().unwrap(),
                    op: "update",
                    key: None,
                    request: None,
                    response: None,
                    outcome: outcome.clone(),
                };
                if matches!(outcome, UnitOutcome::Stopped) {
                    world.run("UPDATE syncdeck.mapping SET writes = 'stopped' WHERE name = 'Contact'").await;
                }
                let answer: SendResult = outcome.answer();
                let rows = if row_locked { Rows::Later } else { Rows::Now };
                world.store.acknowledge(&token, "batch", &[ack], rows).await.unwrap();
                // Nor of the look after a while whether what is waited for came in some other way.
                world
                    .run("UPDATE syncdeck.unit SET ready_at = now() + interval '1 h' WHERE state = 'held'")
                    .await;
                let event = UnitEvent::Answered { token, version: unit.version, answer, row_locked };
                happen(&mut model, unit.row.0, &event);
            }
            7 => {
                let sql = format!(
                    "UPDATE syncdeck.unit SET lease_until = now() - interval '1 s' WHERE record_id = {row} AND state = 'inflight'"
                );
                world.run(&sql).await;
                world.store.rescue_expired().await.unwrap();
                happen(&mut model, row, &UnitEvent::LeaseRanOut);
            }
            8 => {
                let sql = format!(
                    "UPDATE syncdeck.unit SET ready_at = now() WHERE record_id = {row} AND state = 'held'"
                );
                world.run(&sql).await;
                world.store.rescue_expired().await.unwrap();
                happen(&mut model, row, &UnitEvent::Woken);
                world
                    .store
                    .set_writes(Some("Contact"), Writes::Resume, &operation("tester@here"))
                    .await
                    .unwrap();
                for row in 1..=ROWS {
                    happen(&mut model, row, &UnitEvent::Resumed);
                }
                world.store.write_back_deferred().await.unwrap();
                for row in 1..=ROWS {
                    happen(&mut model, row, &UnitEvent::RowTold);
                }
            }
            _ => {
                if world.store.retry(&at, &operation("tester@here")).await.is_ok() {
                    happen(&mut model, row, &UnitEvent::RetryAsked { twice: false });
                }
            }
        }
        story.push(format!("{round}: {what} on {row}"));
        if story.len() > 12 {
            story.remove(0);
        }
        assert_eq!(units(&world).await, expected(&model), "seed {seed}, after {story:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_more_fields_than_an_index_holds_is_kept_with_the_first_of_them() {
    let mut world = World::start(MAPPINGS).await;
    world.stop_engine().await;
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('One', 'K1')").await;
    world.store.ingest(&["contact".to_owned()], 100).await.unwrap();
    let unit = world.store.claim("token", LEASE, 200).await.unwrap().remove(0);
    let mut dice = StdRng::seed_from_u64(1);
    let fields: Vec<String> = (0..300).map(|_| format!("F{:016x}__c", dice.random::<u64>())).collect();
    let code = "REQUIRED_FIELD_MISSING";
    let error =
        NewError::classified("Contact", "insert", ErrorSource::Salesforce, code, "missing", fields.clone());
    world.store.keep_mapping_error("contact", &error, None).await.unwrap();
    let outcome = UnitOutcome::Rejected { error: Box::new(error), next: RetryDecision::Open };
    let ack = Ack { unit, upto: 1, op: "insert", key: None, request: None, response: None, outcome };
    world.store.acknowledge("token", "batch", &[ack], Rows::Now).await.unwrap();
    let kept = "SELECT string_agg(fields[1], ' ') FROM syncdeck.error WHERE code = 'REQUIRED_FIELD_MISSING'";
    assert_eq!(world.text(kept).await.unwrap(), format!("{0} {0}", fields[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_an_intake_holds_is_left_to_it_and_the_record_stays_known() {
    let mut world = World::start(MAPPINGS).await;
    world.stop_engine().await;
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('One', 'K1')").await;
    let tables = ["contact".to_owned()];
    let mapping = world.store.registered("contact").await.unwrap();
    assert_eq!(world.store.ingest(&tables, 100).await.unwrap(), 1);
    world.run("UPDATE salesforce.contact SET lastname = 'Two'").await;
    let unit = world.store.claim("token", LEASE, 200).await.unwrap().remove(0);
    let row = unit.row;
    let content = world.store.contents(&mapping, &[row], &[]).await.unwrap().remove(&row).unwrap();
    // The insert alone was sent: the update is the next ingestion's, which has it in its hands. The row is gone before it
    // could be told its record.
    assert_eq!(content.entries.len(), 1);
    let held = world.another_session().await;
    held.batch_execute("BEGIN; SELECT FROM salesforce._trigger_log WHERE state = 'NEW' FOR UPDATE")
        .await
        .unwrap();
    world.run("SET syncdeck.writer = 'engine'; SET xmlbinary = 'hex'; DELETE FROM salesforce.contact; RESET syncdeck.writer; RESET xmlbinary").await;
    let outcome =
        UnitOutcome::Accepted { sfid: Some("003000000000001AAA".to_owned()), lastop: Some("INSERTED") };
    let upto = content.entries[0].id;
    let ack = Ack { unit, upto, op: "insert", key: None, request: None, response: None, outcome };
    world.store.acknowledge("token", "batch", &[ack], Rows::Now).await.unwrap();
    held.batch_execute("COMMIT").await.unwrap();
    assert_eq!(world.store.ingest(&tables, 100).await.unwrap(), 1);
    assert_eq!(units(&world).await, [format!("{row} ready 1 0 0 0 f")]);
    let known = world.store.contents(&mapping, &[row], &[]).await.unwrap().remove(&row).unwrap();
    assert_eq!(known.sfid.as_deref(), Some("003000000000001AAA"));
    // Set NEW by hand behind a younger change, an old one goes with it, not after it.
    world.run("UPDATE salesforce._trigger_log SET state = 'FAILED' WHERE state = 'PENDING'").await;
    let old: i32 = world
        .sql
        .query_one(
            "INSERT INTO salesforce._trigger_log (id, state, action, table_name, record_id, values)
             VALUES (0, 'NEW', 'UPDATE', 'contact', $1, '\"lastname\"=>\"Zero\"') RETURNING id",
            &[&row.0],
        )
        .await
        .unwrap()
        .get(0);
    let both = world.store.contents(&mapping, &[row], &[]).await.unwrap().remove(&row).unwrap();
    assert_eq!((both.entries.len(), both.entries[0].id), (2, i64::from(old)));
}
