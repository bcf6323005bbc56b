//! Fields that changed on both sides: what a read finds of them, what is decided, and what a person chooses.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::domain::changes::merge::{Local, Merged, Side, merge};
use crate::domain::changes::outgoing::{as_sent, never_sent};
use crate::domain::mappings::field::Field;
use crate::domain::mappings::mapping::{CHANGED, Mapping};
use crate::domain::names::RowRef;
use crate::domain::operations::operation::Operation;
use crate::domain::records::record::Conflict;
use crate::domain::values::hstore;

use crate::domain::changes::dispatch::KEPT_OUT;
use crate::postgres::changes::queue::{CAPTURED_AT, FITS, UNSENT};
use crate::postgres::operations::audit::{NewAuditEntry, audit};
use crate::postgres::operations::edit::announce;
use crate::postgres::tables::records::json_text;
use crate::postgres::tables::rows::RecordRow;
use crate::postgres::{AS_ENGINE, Cached, Error, ErrorContext, Store, Transaction, quote};

/// The unsent changes of one row.
pub(in crate::postgres) struct UnsentChanges {
    /// By column; what they did to it.
    pub columns: BTreeMap<String, Local>,
    /// The oldest of them, and the newest.
    first: i32,
    upto: i32,
    /// Whether they may be merged now: an engine may have them in flight.
    pub free: bool,
    failed: bool,
}

/// A conflict that is known already.
struct Known {
    id: i64,
    salesforce: Option<String>,
    upto: i32,
    winner: Option<Side>,
}

impl Store {
    /// The unsent changes of these rows, whose units are locked for this transaction where nobody has them.
    pub(in crate::postgres) async fn unsent_changes(
        &self,
        transaction: &Transaction<'_>,
        mapping: &Mapping,
        ids: &[i32],
    ) -> Result<HashMap<i32, UnsentChanges>, Error> {
        let sql = format!(
            "SELECT record_id, id, action, old, values, {CAPTURED_AT} FROM {}._trigger_log
             WHERE table_name = $1 AND record_id = ANY($2) AND {UNSENT} AND {FITS} ORDER BY id",
            self.schema
        );
        let mut entries =
            transaction.query_cached(&sql, &[&mapping.table, &ids]).await.context("find unsent changes")?;
        if mapping.rules.filter.is_some() {
            // What a condition keeps out is not sent, but it is nobody's to overwrite either.
            let sql = format!(
                "SELECT record_id, id, action, old, values, {CAPTURED_AT} FROM {} ORDER BY id",
                self.kept_out_changes()
            );
            let kept = transaction.query_cached(&sql, &[&mapping.table, &ids, &KEPT_OUT]).await;
            let unsent = std::mem::replace(&mut entries, kept.context("find changes that were kept out")?);
            entries.extend(unsent);
        }
        let mut rows: HashMap<i32, UnsentChanges> = HashMap::new();
        if entries.is_empty() {
            return Ok(rows);
        }
        let lost = lost_values(transaction, mapping, ids).await?;
        for entry in entries {
            let id: i32 = entry.get(0);
            let unsent = rows.entry(id).or_insert_with(UnsentChanges::none);
            unsent.join(mapping, &entry, |column, entry| {
                lost.get(&(id, column.to_owned())).is_some_and(|upto| entry <= *upto)
            });
        }
        let changed: Vec<i32> = rows.keys().copied().collect();
        for (id, upto, request) in unanswered(transaction, mapping, &changed).await? {
            if let Some(unsent) = rows.get_mut(&id).filter(|unsent| upto >= unsent.first) {
                unsent.may_have(mapping, &request);
            }
        }
        let units = transaction
            .query_cached(
                "SELECT record_id, state FROM syncdeck.unit WHERE table_name = $1 AND record_id = ANY($2)
                 FOR UPDATE SKIP LOCKED",
                &[&mapping.table, &changed],
            )
            .await
            .context("lock the units of changed rows")?;
        let there: HashSet<i32> = transaction
            .query_cached(
                "SELECT record_id FROM syncdeck.unit WHERE table_name = $1 AND record_id = ANY($2)",
                &[&mapping.table, &changed],
            )
            .await
            .context("find the units of changed rows")?
            .iter()
            .map(|row| row.get(0))
            .collect();
        // Without a unit nobody has taken the changes in yet.
        for (id, unsent) in &mut rows {
            unsent.free = !there.contains(id);
        }
        for unit in units {
            let state: String = unit.get(1);
            if let Some(unsent) = rows.get_mut(&unit.get::<_, i32>(0)) {
                unsent.free = state != "inflight";
                unsent.failed = ["failed", "review"].contains(&state.as_str());
                let failed = unsent.failed;
                unsent.columns.values_mut().for_each(|local| local.failed = failed);
            }
        }
        Ok(rows)
    }

    /// Merges one row's unsent changes with its record, keeps what came of it, and tells which columns the record's
    /// values go into.
    pub(in crate::postgres) async fn merge_row(
        &self,
        transaction: &Transaction<'_>,
        mapping: &Mapping,
        id: i32,
        unsent: &UnsentChanges,
        record: &RecordRow,
    ) -> Result<Vec<String>, Error> {
        let known = known(transaction, mapping, id).await?;
        let stamp = record.get(CHANGED).and_then(Value::as_str);
        let stamp = stamp.and_then(|text| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.3f%z").ok());
        let changed = stamp.map_or(DateTime::UNIX_EPOCH, |stamp| stamp.with_timezone(&Utc));
        let mut taken = Vec::new();
        let mut settled = false;
        for field in mapping.read_fields() {
            let Some(ours) = unsent.columns.get(&field.column) else {
                taken.push(field.column.clone());
                continue;
            };
            let theirs = record.get(&field.column).and_then(json_text);
            let merged = merge(mapping.rules.policy(&field.column), field, ours, theirs.as_deref(), changed);
            let before = known.get(&field.column);
            let side =
                self.keep(transaction, mapping, id, field, unsent, ours, theirs, merged, before).await?;
            settled |= side.is_some() && before.is_none_or(|before| before.winner != side);
            if side == Some(Side::Salesforce) {
                taken.push(field.column.clone());
            }
        }
        if settled && unsent.failed {
            // What it failed with may be gone: it goes again, or there is nothing left to send.
            transaction
                .execute_cached(
                    "UPDATE syncdeck.unit SET state = 'ready', version = version + 1, ready_at = clock_timestamp()
                     WHERE table_name = $1 AND record_id = $2 AND state = 'failed'",
                    &[&mapping.table, &id],
                )
                .await
                .context("make a unit ready")?;
        }
        Ok(taken)
    }

    /// Keeps what became of one field. Returns the side that won, where one did.
    #[expect(clippy::too_many_arguments, reason = "one field with everything that is known of it")]
    async fn keep(
        &self,
        transaction: &Transaction<'_>,
        mapping: &Mapping,
        id: i32,
        field: &Field,
        unsent: &UnsentChanges,
        ours: &Local,
        theirs: Option<String>,
        merged: Merged,
        before: Option<&Known>,
    ) -> Result<Option<Side>, Error> {
        let winner = match merged {
            Merged::Keep => {
                // Both agree again: there is nothing left to choose.
                if let Some(open) = before.filter(|before| before.winner.is_none()) {
                    decide(transaction, open.id, Side::Postgres, "both agree again").await?;
                    return Ok(Some(Side::Postgres));
                }
                return Ok(None);
            }
            Merged::Decided(side) => Some(side),
            Merged::Undecided => None,
        };
        if let Some(before) =
            before.filter(|before| before.upto >= unsent.upto && before.salesforce == theirs)
        {
            return Ok(before.winner);
        }
        if let Some(open) = before.filter(|before| before.winner.is_none()) {
            let policy = mapping.rules.policy(&field.column).word();
            transaction
                .execute_cached(
                    "UPDATE syncdeck.conflict SET salesforce = $2, postgres = $3, upto = $4, winner = $5::text,
                         decided_by = CASE WHEN $5::text IS NOT NULL THEN $6::text END,
                         decided_at = CASE WHEN $5::text IS NOT NULL THEN clock_timestamp() END WHERE id = $1",
                    &[
                        &open.id,
                        &theirs,
                        &ours.since.last().cloned().flatten(),
                        &unsent.upto,
                        &winner.map(Side::word),
                        &policy,
                    ],
                )
                .await
                .context("keep a conflict")?;
            return Ok(winner);
        }
        let policy = winner.map(|_| mapping.rules.policy(&field.column).word());
        transaction
            .execute_cached(
                "INSERT INTO syncdeck.conflict (mapping, table_name, record_id, column_name, base, postgres, salesforce,
                     upto, winner, decided_by, decided_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10,
                     CASE WHEN $9::text IS NOT NULL THEN clock_timestamp() END)",
                &[
                    &mapping.object,
                    &mapping.table,
                    &id,
                    &field.column,
                    &ours.base.clone().flatten(),
                    &ours.since.last().cloned().flatten(),
                    &theirs,
                    &unsent.upto,
                    &winner.map(Side::word),
                    &policy,
                ],
            )
            .await
            .context("keep a conflict")?;
        Ok(winner)
    }

    /// Records that were deleted in Salesforce while their rows changed, where Salesforce wins: the changes are given
    /// up, and kept as the losing side. `ids` are locked rows.
    pub(in crate::postgres) async fn give_up_changes(
        &self,
        transaction: &Transaction<'_>,
        mapping: &Mapping,
        ids: &[i32],
    ) -> Result<(), Error> {
        let changes = self.unsent_changes(transaction, mapping, ids).await?;
        let free: Vec<i32> = changes.iter().filter(|(_, unsent)| unsent.free).map(|(id, _)| *id).collect();
        if free.is_empty() {
            return Ok(());
        }
        for id in &free {
            let unsent = &changes[id];
            let value = |local: &Local| local.since.last().cloned().flatten();
            let values: BTreeMap<&String, Option<String>> =
                unsent.columns.iter().map(|(column, local)| (column, value(local))).collect();
            transaction
                .execute_cached(
                    "INSERT INTO syncdeck.conflict (mapping, table_name, record_id, column_name, postgres, upto, winner,
                         decided_by, decided_at)
                     VALUES ($1, $2, $3, '*', $4, $5, 'salesforce', 'salesforce_wins', clock_timestamp())",
                    &[&mapping.object, &mapping.table, id, &json!(values).to_string(), &unsent.upto],
                )
                .await
                .context("keep what lost against a delete")?;
        }
        self.give_up(transaction, mapping, &free, "deleted in Salesforce, which wins").await
    }

    /// The conflicts of a row, the newest first.
    pub async fn conflicts(&self, at: &RowRef) -> Result<Vec<Conflict>, Error> {
        let client = self.client().await?;
        let rows = client
            .query_cached(
                "SELECT column_name, base, postgres, salesforce, winner, decided_by, at FROM syncdeck.conflict
                 WHERE table_name = $1 AND record_id = $2 ORDER BY winner IS NULL DESC, id DESC LIMIT 50",
                &[&at.table, &at.row.0],
            )
            .await
            .context("read a row's conflicts")?;
        Ok(rows
            .iter()
            .map(|row| Conflict {
                column: row.get(0),
                base: row.get(1),
                postgres: row.get(2),
                salesforce: row.get(3),
                winner: row.get(4),
                decided_by: row.get(5),
                at: row.get(6),
            })
            .collect())
    }

    /// Chooses a side of an open conflict; the row goes again at once.
    ///
    /// # Errors
    /// Refused when the column has no open conflict.
    pub async fn choose(
        &self,
        at: &RowRef,
        column: &str,
        side: Side,
        operation: &Operation,
    ) -> Result<(), Error> {
        let mapping = self.registered(&at.table).await?;
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin a choice")?;
        let table = self.table(&mapping.table);
        transaction
            .execute(&format!("SELECT FROM {table} WHERE id = $1 FOR UPDATE"), &[&at.row.0])
            .await
            .context("lock the row to choose for")?;
        let open = transaction
            .query_opt(
                "SELECT id, postgres, salesforce FROM syncdeck.conflict
                 WHERE table_name = $1 AND record_id = $2 AND column_name = $3 AND winner IS NULL FOR UPDATE",
                &[&mapping.table, &at.row.0, &column],
            )
            .await
            .context("find an open conflict")?
            .ok_or_else(|| {
                Error::NotFound(format!(
                    "{column} of the row {} of {} has no open conflict",
                    at.row, mapping.table
                ))
            })?;
        let (id, ours, theirs): (i64, Option<String>, Option<String>) =
            (open.get(0), open.get(1), open.get(2));
        decide(&transaction, id, side, &operation.operator.actor).await?;
        let (before, after) = (
            json!({ column: ours }),
            json!({ column: if side == Side::Postgres { &ours } else { &theirs } }),
        );
        if side == Side::Salesforce {
            transaction.batch_execute(AS_ENGINE).await.context("mark the engine's own write")?;
            let sql = format!(
                "UPDATE {table} t SET {c} = new.{c} FROM pg_catalog.jsonb_populate_record(NULL::{table}, $1) new
                 WHERE t.id = $2",
                c = quote(column)
            );
            transaction.write_rows(&sql, &[&after, &at.row.0]).await.context("write the chosen value")?;
        }
        self.make_ready(&transaction, &mapping, &[at.row.0], &[]).await?;
        let action =
            if side == Side::Postgres { "chose the row's value" } else { "chose Salesforce's value" };
        let entry =
            NewAuditEntry { row: Some(at.row.0), before: Some(before), after: Some(after), undoes: None };
        audit(&transaction, operation, action, &mapping, &[entry]).await?;
        announce(&transaction, &mapping.table, &[at.row.0]).await?;
        transaction.commit().await.context("choose a side")
    }
}

impl UnsentChanges {
    fn none() -> UnsentChanges {
        UnsentChanges { columns: BTreeMap::new(), first: i32::MAX, upto: 0, free: true, failed: false }
    }

    /// The record may have what was sent without an answer, in the words of rules that are no more: to have it is no
    /// change on Salesforce's side.
    fn may_have(&mut self, mapping: &Mapping, request: &Value) {
        for field in &mapping.fields {
            let local = self.columns.get_mut(&field.column);
            if let Some((local, sent)) = local.zip(request.get(&field.name)) {
                local.since.insert(0, json_text(sent));
            }
        }
    }

    /// Joins an entry: record, id, action, old, values, time. What `lost` against the record is no change any more: a
    /// later one begins with what the record had.
    fn join(&mut self, mapping: &Mapping, entry: &tokio_postgres::Row, lost: impl Fn(&str, i32) -> bool) {
        let read = |at: usize| {
            let text: Option<String> = entry.get(at);
            hstore::parse(text.as_deref().unwrap_or("")).unwrap_or_default()
        };
        let (action, at): (String, DateTime<Utc>) = (entry.get(2), entry.get(5));
        let (old, values) = (read(3), read(4));
        self.first = self.first.min(entry.get(1));
        self.upto = self.upto.max(entry.get(1));
        for (column, value) in values {
            let Some(field) = mapping.field(&column).filter(|_| !lost(&column, entry.get(1))) else {
                continue;
            };
            let sent = as_sent(mapping, field, value.as_deref());
            // What is never sent contests nothing: the record's value stands. An empty field of a new row is none's word.
            if never_sent(mapping, field) || (action == "INSERT" && sent.is_none()) {
                continue;
            }
            let local = self.columns.entry(column.clone()).or_insert_with(|| Local {
                base: (action == "UPDATE")
                    .then(|| as_sent(mapping, field, old.get(&column).cloned().flatten().as_deref())),
                since: Vec::new(),
                at,
                failed: false,
            });
            local.since.push(sent);
            local.at = at;
        }
    }
}

/// What was sent of these rows without an answer: row, newest entry that went, request.
async fn unanswered(
    transaction: &Transaction<'_>,
    mapping: &Mapping,
    ids: &[i32],
) -> Result<Vec<(i32, i32, Value)>, Error> {
    let rows = transaction
        .query_cached(
            "SELECT record_id, upto, request FROM syncdeck.attempt
             WHERE table_name = $1 AND record_id = ANY($2) AND outcome = 'lost' AND request IS NOT NULL",
            &[&mapping.table, &ids],
        )
        .await
        .context("read what was sent without an answer")?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect())
}

/// The newest change of each field of these rows that lost against the record.
async fn lost_values(
    transaction: &Transaction<'_>,
    mapping: &Mapping,
    ids: &[i32],
) -> Result<HashMap<(i32, String), i32>, Error> {
    let rows = transaction
        .query_cached(
            "SELECT record_id, column_name, max(upto) FROM syncdeck.conflict
             WHERE table_name = $1 AND record_id = ANY($2) AND winner = 'salesforce' GROUP BY 1, 2",
            &[&mapping.table, &ids],
        )
        .await
        .context("read what lost")?;
    Ok(rows.iter().map(|row| ((row.get(0), row.get(1)), row.get(2))).collect())
}

async fn known(
    transaction: &Transaction<'_>,
    mapping: &Mapping,
    id: i32,
) -> Result<HashMap<String, Known>, Error> {
    let rows = transaction
        .query_cached(
            "SELECT DISTINCT ON (column_name) column_name, id, salesforce, upto, winner FROM syncdeck.conflict
             WHERE table_name = $1 AND record_id = $2 ORDER BY column_name, id DESC",
            &[&mapping.table, &id],
        )
        .await
        .context("read known conflicts")?;
    let known = |row: &tokio_postgres::Row| {
        let winner: Option<String> = row.get(4);
        let winner = winner.as_deref().and_then(Side::from_word);
        Known { id: row.get(1), salesforce: row.get(2), upto: row.get(3), winner }
    };
    Ok(rows.iter().map(|row| (row.get(0), known(row))).collect())
}

async fn decide(transaction: &Transaction<'_>, id: i64, side: Side, by: &str) -> Result<(), Error> {
    transaction
        .execute_cached(
            "UPDATE syncdeck.conflict SET winner = $2, decided_by = $3, decided_at = clock_timestamp() WHERE id = $1",
            &[&id, &side.word(), &by],
        )
        .await
        .context("decide a conflict")
        .map(drop)
}
