//! Writing the outcome back into the users' rows: `sfid`, `_hc_lastop`, `_hc_err`.
//!
//! A row that a user has locked is not waited for: waiting deadlocked users 10 times in 10 s and cut them from 680
//! to 3 transactions a second. Its outcome stays in the unit and is written by a later pass.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Value, json};

use crate::domain::errors::sync_error::ErrorSource;
use crate::domain::mappings::strategy::RetryDecision;
use crate::domain::names::{RowId, RowRef};

use crate::domain::changes::dispatch::{KEPT_OUT, NONE_LEFT};
use crate::postgres::changes::custody::{UNREADABLE, UNREADABLE_CHANGES};
use crate::postgres::changes::queue::{Ack, UNITS_BY_KEY, UnitOutcome};
use crate::postgres::{AS_ENGINE, Cached, Error, ErrorContext, Store, Transaction, failpoint};

impl Store {
    /// Writes a batch's outcomes into rows that nobody has locked; `owed` is what rows of which no change is left were to be
    /// told before. Returns the outcomes of rows that are locked.
    pub(in crate::postgres) async fn write_back(
        &self,
        transaction: &Transaction<'_>,
        acks: &[&Ack],
        owed: &HashMap<RowRef, Value>,
    ) -> Result<HashMap<RowRef, Value>, Error> {
        failpoint::pass(failpoint::BEFORE_WRITE_BACK).await?;
        let mut tables: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for ack in acks {
            let Some(mut outcome) = row_outcome(ack, owed) else { continue };
            outcome["id"] = json!(ack.unit.row);
            tables.entry(&ack.unit.table).or_default().push(outcome);
        }
        let mut deferred = HashMap::new();
        for (table, outcomes) in tables {
            for (row, outcome) in self.write_back_table(transaction, table, &outcomes).await? {
                deferred.insert(RowRef { table: table.to_owned(), row }, outcome);
            }
        }
        Ok(deferred)
    }

    async fn write_back_table(
        &self,
        transaction: &Transaction<'_>,
        table: &str,
        outcomes: &[Value],
    ) -> Result<Vec<(RowId, Value)>, Error> {
        let name = self.table(table);
        let id_of =
            |outcome: &Value| outcome["id"].as_i64().and_then(|id| i32::try_from(id).ok()).unwrap_or(0);
        let ids: Vec<i32> = outcomes.iter().map(id_of).collect();
        // Whether each row that nobody has locked knows its record already.
        let locked: HashMap<i32, bool> = transaction
            .query_cached(
                &format!(
                    "SELECT id, sfid IS NOT NULL FROM {name} WHERE id = ANY($1) FOR NO KEY UPDATE SKIP LOCKED"
                ),
                &[&ids],
            )
            .await
            .context("lock the rows of a batch")?
            .iter()
            .map(|row| (row.get(0), row.get(1)))
            .collect();
        let new =
            |outcome: &Value| outcome["sfid"].is_string() && locked.get(&id_of(outcome)) == Some(&false);
        if outcomes.iter().any(new) {
            // The reader inserts records it does not know; it must not do so between this record's first answer
            // and the moment its row carries the id.
            lock_new_records(transaction, table, false).await?;
        }
        // A second statement, with a snapshot after the locks: a change that joined meanwhile keeps the row PENDING.
        // An id that another row already carries is left out; that other row shows the same record. What is known of each
        // row is looked up, not joined: no plan can compare every row with every other.
        let sql = format!(
            "UPDATE {name} t SET (sfid, _hc_lastop, _hc_err) = (
                 SELECT CASE WHEN o.sfid IS NULL OR o.sfid = t.sfid::text OR EXISTS (
                             SELECT FROM {name} other WHERE other.sfid::text = o.sfid AND other.id <> t.id)
                         THEN t.sfid ELSE o.sfid END,
                     CASE WHEN newer.there OR o.keeps AND t._hc_lastop::text IS DISTINCT FROM 'PENDING' THEN t._hc_lastop ELSE o.lastop END,
                     CASE WHEN newer.there OR o.keeps AND t._hc_lastop::text IS DISTINCT FROM 'PENDING' THEN t._hc_err ELSE o.err END
                 FROM (SELECT ($3::text[])[at] AS sfid, ($4::text[])[at] AS lastop, ($5::text[])[at] AS err,
                         ($6::bigint[])[at] AS upto, ($7::boolean[])[at] AS keeps
                     FROM (SELECT pg_catalog.array_position($2::integer[], t.id) AS at OFFSET 0) place OFFSET 0) o,
                 LATERAL (SELECT EXISTS (SELECT FROM {schema}._trigger_log log WHERE log.table_name::text = $1 AND log.record_id = t.id
                     AND log.id > o.upto AND log.state::text IN ('NEW', 'PENDING')) AS there OFFSET 0) newer)
             WHERE t.id = ANY($2)",
            schema = self.schema
        );
        let ready: Vec<&Value> =
            outcomes.iter().filter(|outcome| locked.contains_key(&id_of(outcome))).collect();
        let texts = |name: &str| ready.iter().map(|outcome| outcome[name].as_str()).collect::<Vec<_>>();
        let ready_ids: Vec<i32> = ready.iter().map(|outcome| id_of(outcome)).collect();
        let upto: Vec<i64> = ready.iter().map(|outcome| outcome["upto"].as_i64().unwrap_or(0)).collect();
        let keeps: Vec<bool> = ready.iter().map(|outcome| outcome["keeps"] == true).collect();
        transaction
            .write_rows(
                &sql,
                &[&table, &ready_ids, &texts("sfid"), &texts("lastop"), &texts("err"), &upto, &keeps],
            )
            .await
            .context("write outcomes back into rows")?;
        if locked.len() == ids.len() {
            return Ok(Vec::new());
        }
        let existing: HashSet<i32> = transaction
            .query_cached(&format!("SELECT id FROM {name} WHERE id = ANY($1)"), &[&ids])
            .await
            .context("find the rows of a batch")?
            .iter()
            .map(|row| row.get(0))
            .collect();
        Ok(outcomes
            .iter()
            .filter(|outcome| existing.contains(&id_of(outcome)) && !locked.contains_key(&id_of(outcome)))
            .map(|outcome| (RowId(id_of(outcome)), outcome.clone()))
            .collect())
    }

    /// Writes back what an earlier batch could not because the row was locked or refused. Returns how many were done,
    /// and the tables that refuse still, with the reason. One bad table, or one bad row of it, stops no other.
    pub async fn write_back_deferred(&self) -> Result<(usize, Vec<(String, Error)>), Error> {
        let client = self.client().await?;
        let tables: Vec<String> = client
            .query("SELECT DISTINCT table_name::text FROM syncdeck.unit WHERE outcome IS NOT NULL AND state <> 'inflight'", &[])
            .await
            .context("find late write-backs")?
            .iter()
            .map(|row| row.get(0))
            .collect();
        drop(client);
        let mut done = 0;
        let mut refusals = Vec::new();
        for table in tables {
            match self.write_back_late(&table, 200, 0).await {
                Ok(count) => done += count,
                Err(error) if error.is_of_this_table() => {
                    // One of them is refused; alone, each shows what it is.
                    for offset in 0..200 {
                        match self.write_back_late(&table, 1, offset).await {
                            Ok(0) => break,
                            Ok(count) => done += count,
                            Err(error) if !error.is_of_this_table() => return Err(error),
                            Err(_) => {}
                        }
                    }
                    refusals.push((table, error));
                }
                Err(error) => return Err(error),
            }
        }
        Ok((done, refusals))
    }

    /// Writes back up to `limit` outcomes of one table. Returns how many it looked at.
    async fn write_back_late(&self, table: &str, limit: i64, offset: i64) -> Result<usize, Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin a late write-back")?;
        transaction.batch_execute(AS_ENGINE).await.context("mark the engine's own write")?;
        let rows = transaction
            .query_cached(
                "SELECT record_id, outcome FROM syncdeck.unit
                 WHERE table_name = $1 AND outcome IS NOT NULL AND state <> 'inflight'
                 ORDER BY ready_at, record_id LIMIT $2 OFFSET $3 FOR UPDATE SKIP LOCKED",
                &[&table, &limit, &offset],
            )
            .await
            .context("find late write-backs")?;
        if rows.is_empty() {
            return Ok(0);
        }
        failpoint::pass(failpoint::BEFORE_WRITE_BACK).await?;
        let outcomes: Vec<Value> = rows.iter().map(|row| row.get(1)).collect();
        let locked = self.write_back_table(&transaction, table, &outcomes).await?;
        let told: Vec<i32> = rows
            .iter()
            .map(|row| row.get(0))
            .filter(|row| !locked.iter().any(|(locked, _)| locked.0 == *row))
            .collect();
        transaction
            .execute_cached(
                &format!("DELETE FROM syncdeck.unit WHERE {UNITS_BY_KEY} AND (state || '') = 'writeback'"),
                &[&table, &told],
            )
            .await
            .context("remove units written back late")?;
        transaction
            .execute_cached(
                &format!("UPDATE syncdeck.unit SET outcome = NULL WHERE {UNITS_BY_KEY}"),
                &[&table, &told],
            )
            .await
            .context("clear late write-backs")?;
        transaction.commit().await.context("finish a late write-back")?;
        Ok(rows.len())
    }
}

/// The outcomes of a batch, all left for later.
pub(in crate::postgres) fn all_deferred(
    acks: &[&Ack],
    owed: &HashMap<RowRef, Value>,
) -> HashMap<RowRef, Value> {
    let of_ack = |ack: &&Ack| {
        let mut outcome = row_outcome(ack, owed)?;
        outcome["id"] = json!(ack.unit.row);
        Some((ack.unit.row(), outcome))
    };
    acks.iter().filter_map(of_ack).collect()
}

/// What the row is to say, if this outcome says anything to it.
fn row_outcome(ack: &Ack, owed: &HashMap<RowRef, Value>) -> Option<Value> {
    let known = ack.unit.sfid.as_deref().filter(|_| !ack.unit.recreate);
    let (lastop, err, sfid) = match &ack.outcome {
        UnitOutcome::Accepted { sfid, lastop: Some(lastop) } => (*lastop, None, sfid.as_deref()),
        UnitOutcome::Nothing { reason: UNREADABLE_CHANGES } => {
            let err = json!({"op": ack.op.to_uppercase(), "src": ErrorSource::Engine, "code": UNREADABLE,
                "msg": format!("{UNREADABLE_CHANGES}; see the errors of the log"), "fields": []});
            ("FAILED", Some(err.to_string()), known)
        }
        // It waits for nothing, and is in step with nothing.
        UnitOutcome::Nothing { reason: KEPT_OUT } => {
            return Some(json!({"lastop": null, "err": null, "sfid": known, "upto": ack.upto}));
        }
        // Its changes were taken out of the queue, or were sent before: what joins a unit between its claim and the look at
        // its changes goes with them, and leaves nothing for the claim that it calls for.
        UnitOutcome::Nothing { reason: NONE_LEFT } => {
            let nothing = || waits_for_nothing(ack.unit.row.0, known);
            return Some(owed.get(&ack.unit.row()).cloned().unwrap_or_else(nothing));
        }
        // Nothing of it concerns Salesforce, so nothing is pending either.
        UnitOutcome::Nothing { .. } => ("SYNCED", None, known),
        UnitOutcome::Rejected { next: RetryDecision::Again(_), .. } => return None,
        UnitOutcome::Rejected { error, .. } | UnitOutcome::Lost { park: Some((error, _)), .. } => {
            let err = json!({"op": ack.op.to_uppercase(), "src": error.source, "code": error.code,
                "msg": error.message, "fields": error.fields});
            ("FAILED", Some(err.to_string()), None)
        }
        _ => return None,
    };
    Some(json!({"lastop": lastop, "err": err, "sfid": sfid, "upto": ack.upto}))
}

/// What a row is told whose changes were given up: that it waits for nothing, where it says that it waits, and its record.
pub(in crate::postgres) fn waits_for_nothing(row: i32, sfid: Option<&str>) -> Value {
    json!({"id": row, "sfid": sfid, "keeps": true, "upto": 0})
}

/// Keeps the reader from inserting a record of one table while an acknowledgement is about to give its id to a row.
/// Acknowledgements share the lock; they do not concern each other.
pub(in crate::postgres) async fn lock_new_records(
    transaction: &Transaction<'_>,
    table: &str,
    reader: bool,
) -> Result<(), Error> {
    let kind = if reader { "" } else { "_shared" };
    let sql = format!("SELECT pg_advisory_xact_lock{kind}(hashtext('syncdeck new records'), hashtext($1))");
    transaction.execute_cached(&sql, &[&table]).await.context("serialise new records of a table").map(drop)
}
