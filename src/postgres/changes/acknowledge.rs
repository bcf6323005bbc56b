//! The acknowledgement: everything a batch touched moves in one short transaction, fenced by the token: attempts,
//! entries, units, rows, errors.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use tokio_postgres::error::SqlState;

use crate::domain::changes::dispatch::{NONE_LEFT, NONE_SENT};
use crate::domain::changes::unit::{self, Unit, UnitEffect, UnitEvent, UnitPhase};
use crate::domain::mappings::strategy::RetryDecision;
use crate::domain::names::{RowId, RowRef};
use crate::postgres::changes::keys;
use crate::postgres::changes::writeback;
use crate::postgres::errors::sync_errors;

use crate::postgres::changes::queue::{
    ARCHIVE_COLUMNS, Ack, Acked, Awaited, STILL_UNSENT, UNITS_BY_KEY, UnitOutcome,
};
use crate::postgres::tables::reread::read_once_more;
use crate::postgres::{AS_ENGINE, Cached, Error, ErrorContext, Store, Transaction, failpoint};

/// When the users' rows are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// With the acknowledgement.
    Now,
    /// By a later pass, because PostgreSQL refuses to write to one of them now.
    Later,
}

impl Store {
    /// Acknowledges a batch in one short transaction, fenced by the token (I7). With `rows` left for later, the users'
    /// rows are not touched; their outcomes wait as if somebody had locked them.
    pub async fn acknowledge(
        &self,
        token: &str,
        batch: &str,
        acks: &[Ack],
        rows: Rows,
    ) -> Result<Acked, Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin an acknowledgement")?;
        // Statements that do not need each other's result go out together.
        let marked =
            async { transaction.batch_execute(AS_ENGINE).await.context("mark the engine's own write") };
        let ((), units) = both(marked, lock_units(&transaction, token, acks)).await?;
        let mut acked = Acked::default();
        let mut mine: Vec<&Ack> =
            acks.iter().filter(|ack| units.contains_key(&(ack.unit.table.clone(), ack.unit.row.0))).collect();
        acked.fenced = acks.len() - mine.len();
        if mine.is_empty() {
            return Ok(acked);
        }
        let ignored = sync_errors::ignored_rows(&transaction, &mine).await?;
        let stopped: Vec<Ack> =
            mine.iter().filter(|ack| ignored.contains(&ack.unit.row())).map(|ack| stop_asking(ack)).collect();
        mine.retain(|ack| !ignored.contains(&ack.unit.row()));
        mine.extend(&stopped);
        both(record_attempts(&transaction, batch, &mine), self.settle_entries(&transaction, &mine)).await?;
        failpoint::pass(failpoint::MID_ACKNOWLEDGE).await?;
        let owed = self.owed_before(&transaction, &mine).await?;
        let deferred = match rows {
            Rows::Now => self.write_back(&transaction, &mine, &owed).await?,
            Rows::Later => writeback::all_deferred(&mine, &owed),
        };
        acked.deferred = deferred.len();
        both(
            settle_units(&transaction, token, &mine, units, &deferred),
            sync_errors::settle_errors(&transaction, &self.grouping, &mine),
        )
        .await?;
        stop_writes(&transaction, &mine).await?;
        self.read_again(&transaction, &mine).await?;
        transaction.commit().await.context("acknowledge a batch")?;
        if mine.iter().any(|ack| matches!(ack.outcome, UnitOutcome::Held { awaited: Awaited::Row(_), .. })) {
            drop(client);
            self.wake_released().await?;
        }
        Ok(acked)
    }

    /// Entries share their unit's fate: accepted, the newest is SUCCESS and older ones MERGED, all archived; sent to
    /// nobody, IGNORED; rejected for good, FAILED with the message, kept in the log. Looked up record by record,
    /// whatever the planner believes of a table that was empty a moment ago. An ingestion may have younger entries in its
    /// hands and wait for our units; those are not among these, or each would wait for the other.
    async fn settle_entries(&self, transaction: &Transaction<'_>, acks: &[&Ack]) -> Result<(), Error> {
        let mut tables: BTreeMap<&str, Done> = BTreeMap::new();
        for ack in acks {
            let how = match &ack.outcome {
                UnitOutcome::Accepted { sfid, .. } => json!({"last": "SUCCESS", "sfid": sfid}),
                UnitOutcome::Nothing { reason } => json!({"last": "IGNORED", "message": reason}),
                _ => continue,
            };
            tables.entry(&ack.unit.table).or_default().note(ack, how);
        }
        // What is known of each record is looked up, not joined: no plan can compare every entry with every other.
        let sql = format!(
            "WITH gone AS (
                 DELETE FROM {schema}._trigger_log WHERE id = ANY(ARRAY(
                     SELECT log.id FROM unnest($2::integer[], $3::integer[]) AS done (record, upto),
                     LATERAL (
                         SELECT id FROM {schema}._trigger_log
                         WHERE table_name = $1 AND record_id = done.record AND id <= done.upto AND {STILL_UNSENT}
                         OFFSET 0) log))
                     AND {STILL_UNSENT}
                 RETURNING *, $4::jsonb -> record_id::text AS done
             ) INSERT INTO {schema}._trigger_log_archive {ARCHIVE_COLUMNS}
             SELECT id, txid, created_at, clock_timestamp(), clock_timestamp(), txid_current(),
                 CASE WHEN done ->> 'last' = 'SUCCESS' AND id < max(id) OVER (PARTITION BY record_id) THEN 'MERGED'
                     ELSE done ->> 'last' END,
                 action, table_name, record_id, coalesce(done ->> 'sfid', sfid), old, values, sf_result, done ->> 'message'
             FROM gone",
            schema = self.schema
        );
        for (table, done) in tables {
            transaction
                .execute_cached(&sql, &[&table, &done.rows, &done.upto, &Value::Object(done.how)])
                .await
                .context("archive sent changes")?;
        }
        let mut tables: BTreeMap<&str, Done> = BTreeMap::new();
        for ack in acks {
            let message = match &ack.outcome {
                UnitOutcome::Rejected { next: RetryDecision::Again(_), .. } => continue,
                UnitOutcome::Rejected { error, .. } | UnitOutcome::Lost { park: Some((error, _)), .. } => {
                    format!("{}: {}", error.code, error.message)
                }
                _ => continue,
            };
            tables.entry(&ack.unit.table).or_default().note(ack, json!(message));
        }
        let sql = format!(
            "UPDATE {schema}._trigger_log SET state = 'FAILED', sf_message = $4::jsonb ->> record_id::text,
                 processed_at = clock_timestamp(), processed_tx = txid_current(), updated_at = clock_timestamp()
             WHERE id = ANY(ARRAY(
                 SELECT log.id FROM unnest($2::integer[], $3::integer[]) AS failed (record, upto),
                 LATERAL (
                     SELECT id FROM {schema}._trigger_log
                     WHERE table_name = $1 AND record_id = failed.record AND id <= failed.upto AND {STILL_UNSENT}
                     ORDER BY id FOR UPDATE) log))",
            schema = self.schema
        );
        for (table, failed) in tables {
            transaction
                .execute_cached(&sql, &[&table, &failed.rows, &failed.upto, &Value::Object(failed.how)])
                .await
                .context("mark failed changes")?;
        }
        Ok(())
    }

    /// What the rows of which no change is left were to be told before. What somebody set to IGNORED, and the claim met first,
    /// is an operation of his: the audit has it, and the outcome of what was sent before that change is not the row's any more.
    async fn owed_before(
        &self,
        transaction: &Transaction<'_>,
        acks: &[&Ack],
    ) -> Result<HashMap<RowRef, Value>, Error> {
        let mut tables: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
        for ack in acks.iter().filter(|ack| matches!(ack.outcome, UnitOutcome::Nothing { reason: NONE_LEFT }))
        {
            tables.entry(&ack.unit.table).or_default().push(ack.unit.row.0);
        }
        let mut owed = HashMap::new();
        for (table, rows) in tables {
            let ignored = self.audit_ignored(transaction, table, &rows).await?;
            let sql = format!(
                "SELECT record_id, outcome FROM syncdeck.unit WHERE {UNITS_BY_KEY} AND outcome IS NOT NULL"
            );
            let found = transaction
                .query_cached(&sql, &[&table, &rows])
                .await
                .context("look what rows were to be told")?;
            for row in found {
                let (record, outcome): (i32, Value) = (row.get(0), row.get(1));
                let is_newest = |ignored: &i32| outcome["upto"].as_i64() < Some(i64::from(*ignored));
                if !ignored.get(&record).is_some_and(is_newest) {
                    owed.insert(RowRef { table: table.to_owned(), row: RowId(record) }, outcome);
                }
            }
        }
        Ok(owed)
    }

    /// What nobody sends is Salesforce's to say: of rows in which such columns alone were changed, the records are read once
    /// more, and what they have comes back into the rows. Object mappers that write old rows back would wipe it out for long.
    async fn read_again(&self, transaction: &Transaction<'_>, acks: &[&Ack]) -> Result<(), Error> {
        let mut tables: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
        for ack in acks.iter().filter(|ack| matches!(ack.outcome, UnitOutcome::Nothing { reason: NONE_SENT }))
        {
            tables.entry(&ack.unit.table).or_default().push(ack.unit.row.0);
        }
        for (table, rows) in tables {
            let sql = format!(
                "SELECT sfid::text FROM {} WHERE id = ANY($1) AND sfid IS NOT NULL",
                self.table(table)
            );
            let found = transaction.query_cached(&sql, &[&rows]).await.context("look for records of rows")?;
            let sfids: Vec<String> = found.iter().map(|row| row.get(0)).collect();
            read_once_more(transaction, table, &sfids).await?;
        }
        Ok(())
    }

    /// Held units whose parent arrived between the look at it and the hold are ready again.
    async fn wake_released(&self) -> Result<(), Error> {
        let client = self.client().await?;
        client
            .execute(
                "UPDATE syncdeck.unit SET state = 'ready', ready_at = clock_timestamp() WHERE ctid = ANY(ARRAY(
                     SELECT child.ctid FROM syncdeck.unit child
                     WHERE child.state = 'held' AND child.held_record IS NOT NULL AND child.ready_at > clock_timestamp() + interval '4 s' AND NOT EXISTS (
                         SELECT FROM syncdeck.unit parent
                         WHERE parent.table_name = child.held_table AND parent.record_id = child.held_record)
                     FOR UPDATE SKIP LOCKED))",
                &[],
            )
            .await
            .context("wake held units")
            .map(drop)
    }
}

/// Two statements that go out together. When one is refused, the other one is told that the transaction has failed, which
/// says nothing; the reason counts, whichever comes first.
async fn both<A, B>(
    one: impl Future<Output = Result<A, Error>>,
    other: impl Future<Output = Result<B, Error>>,
) -> Result<(A, B), Error> {
    let is_reason = |error: &Error| error.sql_state() != Some(&SqlState::IN_FAILED_SQL_TRANSACTION);
    match tokio::join!(one, other) {
        (Ok(one), Ok(other)) => Ok((one, other)),
        (Err(error), Err(reason)) if !is_reason(&error) => Err(reason),
        (Err(reason), _) | (_, Err(reason)) => Err(reason),
    }
}

/// The strategy fail_fast: the first error that does not pass stops the writes of its mapping.
async fn stop_writes(transaction: &Transaction<'_>, acks: &[&Ack]) -> Result<(), Error> {
    for ack in acks {
        let error = match &ack.outcome {
            UnitOutcome::Rejected { error, next: RetryDecision::Stop } => error,
            UnitOutcome::Lost { park: Some((error, RetryDecision::Stop)), .. } => error,
            _ => continue,
        };
        let why = format!("{} on row {}", error.code, ack.unit.row);
        transaction
            .execute_cached(
                "UPDATE syncdeck.mapping SET writes = 'stopped', writes_detail = $2, drain_upto = NULL
                 WHERE table_name = $1 AND writes IN ('on', 'draining')",
                &[&ack.unit.table, &why],
            )
            .await
            .context("stop a mapping's writes")?;
    }
    Ok(())
}

/// Records of one table whose entries share a fate.
#[derive(Default)]
struct Done {
    rows: Vec<i32>,
    /// Of each, the newest entry that it is about.
    upto: Vec<i32>,
    /// What became of each, by its row.
    how: serde_json::Map<String, Value>,
}

impl Done {
    fn note(&mut self, ack: &Ack, how: Value) {
        self.rows.push(ack.unit.row.0);
        self.upto.push(i32::try_from(ack.upto).unwrap_or(i32::MAX));
        self.how.insert(ack.unit.row.to_string(), how);
    }
}

/// The same acknowledgement of a record that a person ignored meanwhile: it does not go again by itself.
fn stop_asking(ack: &Ack) -> Ack {
    match &ack.outcome {
        UnitOutcome::Rejected { error, .. } => Ack {
            outcome: UnitOutcome::Rejected { error: error.clone(), next: RetryDecision::Open },
            ..ack.clone()
        },
        _ => ack.clone(),
    }
}

/// Locks the batch's units that this token still holds, as they stand now: a change may have joined meanwhile.
async fn lock_units(
    transaction: &Transaction<'_>,
    token: &str,
    acks: &[Ack],
) -> Result<BTreeMap<(String, i32), Unit>, Error> {
    let mut tables: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for ack in acks {
        tables.entry(&ack.unit.table).or_default().push(ack.unit.row.0);
    }
    let mut units = BTreeMap::new();
    for (table, mut rows) in tables {
        // In one order, so that no two of these wait for each other.
        rows.sort_unstable();
        let locked = transaction
            .query_cached(
                "SELECT unit.* FROM unnest($3::integer[]) AS wanted (record), LATERAL (
                     SELECT record_id, version, attempts, lost, lost_alone, outcome IS NOT NULL FROM syncdeck.unit
                     WHERE table_name = $2 AND record_id = wanted.record AND (state || '') = 'inflight' AND token = $1
                     FOR UPDATE) unit",
                &[&token, &table, &rows],
            )
            .await
            .context("lock the units of a batch")?;
        units.extend(locked.iter().map(|row| {
            let unit = Unit {
                phase: UnitPhase::InFlight,
                version: row.get(1),
                attempts: row.get(2),
                lost: row.get(3),
                lost_alone: row.get(4),
                token: Some(token.to_owned()),
                owes_row: row.get(5),
                pause: Duration::ZERO,
            };
            ((table.to_owned(), row.get(0)), unit)
        }));
    }
    Ok(units)
}

async fn record_attempts(transaction: &Transaction<'_>, batch: &str, acks: &[&Ack]) -> Result<(), Error> {
    let (mut tables, mut rows, mut ops, mut uptos) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut outcomes, mut codes, mut messages) = (Vec::new(), Vec::new(), Vec::new());
    let (mut requests, mut responses) = (Vec::new(), Vec::new());
    for ack in acks {
        let Some(request) = &ack.request else { continue };
        let (outcome, error) = match &ack.outcome {
            UnitOutcome::Accepted { .. } | UnitOutcome::Begun { .. } => ("accepted", None),
            UnitOutcome::Rejected { error, .. } => ("rejected", Some(error)),
            UnitOutcome::Lost { .. } => ("lost", None),
            UnitOutcome::Recreate => ("rejected", None),
            _ => continue,
        };
        tables.push(ack.unit.table.as_str());
        rows.push(ack.unit.row.0);
        ops.push(ack.op);
        uptos.push(i32::try_from(ack.upto).unwrap_or(i32::MAX));
        outcomes.push(outcome);
        codes.push(error.map(|error| error.code.as_str()));
        messages.push(error.map(|error| error.message.as_str()));
        requests.push(request);
        responses.push(ack.response.as_ref());
    }
    if tables.is_empty() {
        return Ok(());
    }
    transaction
        .execute_cached(
            "INSERT INTO syncdeck.attempt (batch, table_name, record_id, op, upto, outcome, code, message, request,
                 response)
             SELECT $1, sent.* FROM unnest($2::text[], $3::integer[], $4::text[], $5::integer[], $6::text[], $7::text[],
                 $8::text[], $9::json[], $10::json[]) AS sent",
            &[&batch, &tables, &rows, &ops, &uptos, &outcomes, &codes, &messages, &requests, &responses],
        )
        .await
        .context("record the attempts")
        .map(drop)
}

/// One unit's next state, as a row for SQL.
#[derive(Serialize)]
struct Next<'a> {
    table: &'a str,
    row: RowId,
    state: &'static str,
    /// Seconds by the server's clock: an engine's own may be wrong by days.
    pause: f64,
    /// Whether it goes back to its place before what came after it: it was not sent, and need not rest.
    keeps_place: bool,
    attempts: i32,
    lost: i32,
    lost_alone: i32,
    held_table: Option<&'a str>,
    held_record: Option<RowId>,
    held_key: Option<&'a str>,
    held_text: Option<&'a str>,
    recreate: bool,
    first_upto: Option<i64>,
    sfid: Option<&'a str>,
    /// Its record was deleted: what came since makes a new one.
    gone: bool,
    owes_row: bool,
    outcome: Option<&'a Value>,
}

/// Takes each unit one step further, by [`unit::step`].
async fn settle_units(
    transaction: &Transaction<'_>,
    token: &str,
    acks: &[&Ack],
    mut units: BTreeMap<(String, i32), Unit>,
    deferred: &HashMap<RowRef, Value>,
) -> Result<(), Error> {
    let mut finished: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    let mut next = Vec::new();
    let mut awaited: BTreeMap<&str, (Vec<i32>, Vec<&str>)> = BTreeMap::new();
    for ack in acks {
        let claimed = &ack.unit;
        let owed = deferred.get(&claimed.row());
        let event = UnitEvent::Answered {
            token: token.to_owned(),
            version: claimed.version,
            answer: ack.outcome.answer(),
            row_locked: owed.is_some(),
        };
        let (after, effects) = unit::step(units.remove(&(claimed.table.clone(), claimed.row.0)), &event);
        if effects.contains(&UnitEffect::Wake) {
            let (rows, keys) = awaited.entry(&claimed.table).or_default();
            rows.push(claimed.row.0);
            keys.extend(ack.key.as_deref());
        }
        match after {
            None => finished.entry(&claimed.table).or_default().push(claimed.row.0),
            Some(after) => next.push(next_row(ack, &after, owed)),
        }
    }
    for (table, rows) in finished {
        transaction
            .execute_cached(&format!("DELETE FROM syncdeck.unit WHERE {UNITS_BY_KEY}"), &[&table, &rows])
            .await
            .context("remove finished units")?;
    }
    let mut tables: BTreeMap<&str, BTreeMap<String, &Next<'_>>> = BTreeMap::new();
    for next in &next {
        tables.entry(next.table).or_default().insert(next.row.to_string(), next);
    }
    for (table, next) in tables {
        let rows: Vec<i32> = next.values().map(|next| next.row.0).collect();
        // Looked up for each unit, not joined: a plan made while the queue was empty is right for a million.
        transaction
            .execute_cached(
                &format!("UPDATE syncdeck.unit SET token = NULL, lease_until = NULL, (state, ready_at, attempts, lost, lost_alone,
                     held_table, held_record, held_key, held_text, sfid, recreate, first_upto,
                     outcome) = (
                     SELECT next.state, CASE WHEN next.keeps_place THEN least(unit.created_at, clock_timestamp())
                             ELSE clock_timestamp() + make_interval(secs => next.pause) END, next.attempts, next.lost,
                         next.lost_alone, next.held_table, next.held_record, next.held_key, next.held_text,
                         CASE WHEN NOT next.gone THEN coalesce(next.sfid, unit.sfid) END,
                         unit.recreate AND next.sfid IS NULL AND NOT next.gone OR next.recreate, next.first_upto,
                         CASE WHEN next.owes_row THEN coalesce(next.outcome, unit.outcome) END
                     FROM jsonb_to_record($3::jsonb -> unit.record_id::text) AS next (state text, pause double precision, keeps_place boolean,
                         attempts integer, lost integer, lost_alone integer, held_table text, held_record integer,
                         held_key text, held_text text, recreate boolean, first_upto integer, sfid text, gone boolean, owes_row boolean, outcome jsonb))
                 WHERE {UNITS_BY_KEY}"),
                &[&table, &rows, &serde_json::to_value(&next).unwrap_or_default()],
            )
            .await
            .context("set the units' next state")?;
    }
    // Two index scans, one for each way of waiting, where anybody waits.
    for (table, (rows, keys)) in awaited {
        let waits = "SELECT FROM syncdeck.unit WHERE state = 'held' AND held_table = $1 LIMIT 1";
        if transaction.query_cached(waits, &[&table]).await.context("look for held units")?.is_empty() {
            continue;
        }
        transaction
            .execute_cached(
                "UPDATE syncdeck.unit SET state = 'ready', ready_at = clock_timestamp()
                 WHERE state = 'held' AND held_table = $1 AND held_record = ANY($2)",
                &[&table, &rows],
            )
            .await
            .context("release held units")?;
        if !keys.is_empty() {
            keys::wake_for_keys(transaction, table, &keys).await?;
        }
    }
    Ok(())
}

/// The newest entry of the unit's first send as a new record, as long as that may matter.
fn first_upto(ack: &Ack) -> Option<i64> {
    match &ack.outcome {
        UnitOutcome::Lost { .. } if ack.op == "insert" && ack.unit.lost == 0 => Some(ack.upto),
        // The rest of it goes into the record that it made.
        UnitOutcome::Begun { .. } => Some(ack.upto),
        UnitOutcome::Accepted { .. } | UnitOutcome::Nothing { .. } | UnitOutcome::Recreate => None,
        _ => ack.unit.first_upto,
    }
}

fn next_row<'a>(ack: &'a Ack, after: &Unit, owed: Option<&'a Value>) -> Next<'a> {
    let (held_table, held_record, held) = match &ack.outcome {
        UnitOutcome::Held { awaited, .. } if after.phase == UnitPhase::Held => match awaited {
            Awaited::Row(row) => (Some(row.table.as_str()), Some(row.row), None),
            Awaited::Key { table, key } => (Some(table.as_str()), None, Some(key)),
        },
        _ => (None, None, None),
    };
    let sfid = match &ack.outcome {
        UnitOutcome::Accepted { sfid, .. } | UnitOutcome::Begun { sfid } => sfid.as_deref(),
        _ => None,
    };
    Next {
        table: &ack.unit.table,
        row: ack.unit.row,
        state: after.phase.word(),
        pause: after.pause.as_secs_f64(),
        keeps_place: matches!(ack.outcome, UnitOutcome::Released { pause } if pause.is_zero()),
        attempts: after.attempts,
        lost: after.lost,
        lost_alone: after.lost_alone,
        held_table,
        held_record,
        held_key: held.map(|key| key.folded.as_str()),
        held_text: held.map(|key| key.text.as_str()),
        recreate: matches!(ack.outcome, UnitOutcome::Recreate),
        first_upto: first_upto(ack),
        sfid,
        gone: ack.op == "delete" && matches!(ack.outcome, UnitOutcome::Accepted { .. }),
        owes_row: after.owes_row,
        outcome: owed,
    }
}
