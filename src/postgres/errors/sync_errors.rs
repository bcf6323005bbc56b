//! Sync errors: kept, repeated, resolved, listed. At most one unresolved error per row; for reads, mappings and the
//! connection one per code; for a record that PostgreSQL refuses, one (`refused.rs`).

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use serde_json::{Value, json};
use tokio_postgres::types::ToSql;

use crate::domain::errors::catalogue;
use crate::domain::errors::filter::Filter;
use crate::domain::errors::group::{self, Group, GroupTrend};
use crate::domain::errors::grouping::{Grouped, Grouping};
use crate::domain::errors::sync_error::ErrorSource;
use crate::domain::errors::sync_error::{Category, Class, ErrorState, SyncError};
use crate::domain::mappings::strategy::RetryDecision;
use crate::domain::names::{RowId, RowRef};

use crate::postgres::changes::queue::{Ack, UnitOutcome};
use crate::postgres::errors::causes::{OPEN, causes_of};
use crate::postgres::errors::condition::{ErrorCondition, read_whole};
use crate::postgres::{Cached, Error, ErrorContext, Store, Transaction};

/// A failure as it is to be kept.
#[derive(Clone, Debug, PartialEq)]
pub struct NewError {
    /// Mapping's object; empty for the connection.
    pub mapping: String,
    /// `insert`, `update`, `delete`, `read`, `login`, ...
    pub op: String,
    /// The record's id, where known.
    pub sfid: Option<String>,
    /// Who found it.
    pub source: ErrorSource,
    /// Code.
    pub code: String,
    /// Category, from the catalogue.
    pub category: Category,
    /// Class, from the catalogue.
    pub class: Class,
    /// Message as it came.
    pub message: String,
    /// API names of the fields at fault.
    pub fields: Vec<String>,
    /// Group.
    pub fingerprint: String,
    /// The values that were sent, as text to search in.
    pub sent: String,
}

impl NewError {
    /// A failure as the catalogue understands it, of no record in particular.
    pub fn classified(
        mapping: &str,
        op: &str,
        source: ErrorSource,
        code: &str,
        message: &str,
        fields: Vec<String>,
    ) -> NewError {
        let entry = catalogue::classify(source, code, message);
        NewError {
            mapping: mapping.to_owned(),
            op: op.to_owned(),
            sfid: None,
            source,
            code: code.to_owned(),
            category: entry.category,
            class: entry.class,
            message: message.to_owned(),
            fingerprint: group::fingerprint(mapping, code, &fields, message),
            fields,
            sent: String::new(),
        }
    }

    /// The group that it is of, where these rules split groups.
    pub(in crate::postgres) fn group(&self, grouping: &Grouping) -> String {
        let (mapping, code, op) = (&self.mapping, &self.code, &self.op);
        let of = Grouped { mapping, code, fields: &self.fields, op, message: &self.message };
        grouping.fingerprint(&self.fingerprint, of)
    }
}

/// Which errors an operation is about.
#[derive(Clone, Debug, PartialEq)]
pub enum ErrorSelection {
    /// These.
    Ids(Vec<i64>),
    /// Those that match.
    Filter(Filter),
}

/// One of them.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorTarget {
    /// Its number.
    pub id: i64,
    /// Table.
    pub table: String,
    /// Row; `None` for one of a read or a mapping.
    pub row: Option<RowId>,
    /// The entry of the change log that it is about, where that fits no row.
    pub entry: Option<i32>,
    /// Where it stands.
    pub state: ErrorState,
    /// When it was seen last.
    pub seen: DateTime<Utc>,
    /// Whether a comparison found it: nothing of it is unsent.
    pub is_finding: bool,
}

pub(in crate::postgres) const COLUMNS: &str = "id, mapping, table_name, record_id, sfid::text, op, code, category, class, message, fields, \
     attempts, state, next_retry_at, first_seen, last_seen, fingerprint, source";

impl Store {
    /// Unresolved errors that match, by cause, the most frequent first; `limit` groups at most. Reads every error that
    /// matches.
    pub async fn groups(&self, filter: &Filter, limit: i64) -> Result<Vec<Group>, Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to group sync errors")?;
        read_whole(&transaction).await?;
        let mut condition = ErrorCondition::of(filter);
        let limit = condition.bind(limit);
        let sql = format!(
            "SELECT fingerprint, mapping, code, fields, min(message), min(category), min(class), count(*),
                 min(first_seen), max(last_seen),
                 count(*) FILTER (WHERE first_seen >= clock_timestamp() - interval '1 hour'),
                 count(*) FILTER (WHERE first_seen >= clock_timestamp() - interval '2 hours'
                     AND first_seen < clock_timestamp() - interval '1 hour'),
                 count(*) FILTER (WHERE NOT ({OPEN}))
             FROM syncdeck.error WHERE {} GROUP BY fingerprint, mapping, code, fields
             ORDER BY count(*) DESC, max(last_seen) DESC LIMIT {limit}",
            condition.sql
        );
        let rows = transaction.query(&sql, &condition.params()).await.context("group sync errors")?;
        drop(transaction);
        let names: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
        // An older layout knows no causes.
        let causes = causes_of(&client, &names).await.unwrap_or_default();
        let now = self.now().await?;
        let word = |row: &tokio_postgres::Row, at: usize| row.get::<_, String>(at);
        Ok(rows
            .iter()
            .map(|row| Group {
                life: causes.get(row.get::<_, &str>(0)).map(|cause| cause.life(now)),
                group: row.get(0),
                mapping: row.get(1),
                code: row.get(2),
                fields: row.get(3),
                template: group::template(&word(row, 4)),
                category: Category::from_word(&word(row, 5)).unwrap_or(Category::Data),
                class: Class::from_word(&word(row, 6)).unwrap_or(Class::Unknown),
                count: row.get(7),
                first_seen: row.get(8),
                last_seen: row.get(9),
                trend: GroupTrend { last_hour: row.get(10), hour_before: row.get(11) },
                aside: row.get(12),
            })
            .collect())
    }

    /// Which unresolved errors an operation would be about, by their numbers: those that match, or those that are named
    /// (resolved ones included). Read as a stream, a few words each.
    pub async fn targets(&self, of: &ErrorSelection) -> Result<Vec<ErrorTarget>, Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to select sync errors")?;
        let (condition, values) = match of {
            ErrorSelection::Filter(filter) => {
                let condition = ErrorCondition::of(filter);
                (condition.sql, condition.values)
            }
            ErrorSelection::Ids(ids) => {
                ("id = ANY($1)".to_owned(), vec![Box::new(ids.clone()) as Box<dyn ToSql + Sync + Send>])
            }
        };
        let sql = format!(
            "SELECT id, table_name::text, record_id, state, last_seen, entry, op = 'verify' FROM syncdeck.error
             WHERE {condition} ORDER BY id"
        );
        let rows = transaction.query_raw(&sql, values).await.context("select sync errors")?;
        let mut rows = std::pin::pin!(rows);
        let mut targets = Vec::new();
        while let Some(row) = rows.try_next().await.context("select sync errors")? {
            targets.push(ErrorTarget {
                id: row.get(0),
                table: row.get(1),
                row: row.get::<_, Option<i32>>(2).map(RowId),
                state: ErrorState::from_word(row.get(3)).unwrap_or(ErrorState::Open),
                seen: row.get(4),
                entry: row.get(5),
                is_finding: row.get(6),
            });
        }
        Ok(targets)
    }

    /// One error by number, resolved ones included.
    pub async fn error(&self, id: i64) -> Result<Option<SyncError>, Error> {
        let client = self.client().await?;
        let row = client
            .query_opt(&format!("SELECT {COLUMNS} FROM syncdeck.error WHERE id = $1"), &[&id])
            .await
            .context("read a sync error")?;
        Ok(row.as_ref().map(read_error))
    }

    /// Errors by their numbers, resolved ones included.
    pub async fn errors_by_id(&self, ids: &[i64]) -> Result<Vec<SyncError>, Error> {
        let client = self.client().await?;
        let sql = format!("SELECT {COLUMNS} FROM syncdeck.error WHERE id = ANY($1)");
        let rows = client.query(&sql, &[&ids]).await.context("read sync errors")?;
        Ok(rows.iter().map(read_error).collect())
    }

    /// The unresolved error of a row.
    pub async fn error_of(&self, row: &RowRef) -> Result<Option<SyncError>, Error> {
        let client = self.client().await?;
        let found = client
            .query_opt(
                &format!(
                    "SELECT {COLUMNS} FROM syncdeck.error
                     WHERE table_name = $1 AND record_id = $2 AND resolved_at IS NULL"
                ),
                &[&row.table, &row.row.0],
            )
            .await
            .context("read a row's sync error")?;
        Ok(found.as_ref().map(read_error))
    }

    /// Keeps an error of a read, a mapping or the connection: open for a person, or retrying by itself.
    pub async fn keep_mapping_error(
        &self,
        table: &str,
        error: &NewError,
        retry: Option<Duration>,
    ) -> Result<(), Error> {
        let client = self.client().await?;
        let state = if retry.is_some() { "retrying" } else { "open" };
        client
            .execute(
                "INSERT INTO syncdeck.error AS e (mapping, table_name, op, code, category, class, message, fields,
                     fingerprint, state, next_retry_at, source)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, clock_timestamp() + make_interval(secs => $11), $12)
                 ON CONFLICT (mapping, op, code) WHERE resolved_at IS NULL AND record_id IS NULL AND sfid IS NULL AND entry IS NULL
                 DO UPDATE SET
                     message = excluded.message, fields = excluded.fields, fingerprint = excluded.fingerprint,
                     state = excluded.state, next_retry_at = excluded.next_retry_at,
                     last_seen = clock_timestamp(), attempts = e.attempts + 1",
                &[
                    &error.mapping,
                    &table,
                    &error.op,
                    &error.code,
                    &error.category.word(),
                    &error.class.word(),
                    &error.message,
                    &listed(&error.fields),
                    &error.group(&self.grouping),
                    &state,
                    &retry.map(|pause| pause.as_secs_f64()),
                    &error.source.word(),
                ],
            )
            .await
            .context("keep a sync error")
            .map(drop)
    }

    /// Units that failed for what these fields were are ready again: what was found here before sending, and what
    /// concerns the mapping rather than the values.
    pub async fn wake_for_fields(&self, table: &str, fields: &[String]) -> Result<u64, Error> {
        let client = self.client().await?;
        client
            .execute(
                "UPDATE syncdeck.unit SET state = 'ready', version = version + 1, attempts = 0, ready_at = clock_timestamp()
                 WHERE state = 'failed' AND ctid = ANY(ARRAY(
                     SELECT unit.at FROM syncdeck.error, LATERAL (
                         SELECT ctid AS at FROM syncdeck.unit
                         WHERE table_name = error.table_name AND record_id = error.record_id OFFSET 0) unit
                     WHERE error.table_name = $1 AND error.resolved_at IS NULL AND error.state = 'open' AND error.fields && $2
                         AND (error.source = 'engine' OR error.category = 'mapping')))",
                &[&table, &fields],
            )
            .await
            .context("wake units for fields that changed")
    }

    /// Resolves the errors of a mapping's reads (or of the connection, with an empty name): it works again.
    /// Returns how many there were.
    pub async fn resolve_mapping_errors(&self, mapping: &str, ops: &[&str]) -> Result<u64, Error> {
        let client = self.client().await?;
        client
            .execute(
                "UPDATE syncdeck.error SET state = 'resolved', resolved_at = clock_timestamp(), resolution = 'works again',
                     next_retry_at = NULL
                 WHERE mapping = $1 AND record_id IS NULL AND entry IS NULL AND resolved_at IS NULL AND op = ANY($2)",
                &[&mapping, &ops],
            )
            .await
            .context("resolve a sync error")
    }

    /// Resolves a mapping's errors of one operation that are not of these codes: those are over.
    pub async fn resolve_other_errors(&self, mapping: &str, op: &str, codes: &[&str]) -> Result<u64, Error> {
        let client = self.client().await?;
        client
            .execute(
                "UPDATE syncdeck.error SET state = 'resolved', resolved_at = clock_timestamp(), resolution = 'works again',
                     next_retry_at = NULL
                 WHERE mapping = $1 AND record_id IS NULL AND entry IS NULL AND resolved_at IS NULL AND op = $2 AND code <> ALL($3)",
                &[&mapping, &op, &codes],
            )
            .await
            .context("resolve a sync error")
    }

    /// Errors by code and by category since `since`, resolved ones included: what the demo's report shows.
    pub async fn error_totals(
        &self,
        since: DateTime<Utc>,
    ) -> Result<(serde_json::Map<String, Value>, serde_json::Map<String, Value>), Error> {
        let client = self.client().await?;
        let mut totals = [serde_json::Map::new(), serde_json::Map::new()];
        for (total, column) in totals.iter_mut().zip(["code", "category"]) {
            let sql = format!(
                "SELECT {column}, count(*) FROM syncdeck.error WHERE last_seen >= $1 AND code <> 'PARENT_NOT_SYNCED'
                 GROUP BY 1 ORDER BY 2 DESC, 1"
            );
            for row in client.query(&sql, &[&since]).await.context("add up sync errors")? {
                total.insert(row.get(0), json!(row.get::<_, i64>(1)));
            }
        }
        let [codes, categories] = totals;
        Ok((codes, categories))
    }
}

/// Keeps or resolves the errors of an acknowledged batch.
pub(in crate::postgres) async fn settle_errors(
    transaction: &Transaction<'_>,
    grouping: &Grouping,
    acks: &[&Ack],
) -> Result<(), Error> {
    let mut kept = Vec::new();
    let mut resolved: BTreeMap<&str, serde_json::Map<String, Value>> = BTreeMap::new();
    for ack in acks {
        let (error, state, retry, attempts) = match &ack.outcome {
            UnitOutcome::Rejected { error, next } => {
                let attempts = ack.unit.attempts + i32::from(error.source == ErrorSource::Salesforce);
                (error, state_of(*next), next.pause(), attempts)
            }
            UnitOutcome::Held { error, .. } => (error, "held", None, ack.unit.attempts),
            UnitOutcome::Lost { park: Some((error, next)), .. } => {
                (error, state_of(*next), None, ack.unit.attempts)
            }
            UnitOutcome::Accepted { .. } => {
                resolved
                    .entry(ack.unit.table.as_str())
                    .or_default()
                    .insert(ack.unit.row.to_string(), json!("accepted"));
                continue;
            }
            UnitOutcome::Nothing { reason } => {
                resolved
                    .entry(ack.unit.table.as_str())
                    .or_default()
                    .insert(ack.unit.row.to_string(), json!(reason));
                continue;
            }
            _ => continue,
        };
        kept.push(error_json(grouping, error, &ack.unit.row(), attempts, state, ack.upto, retry));
    }
    keep_row_errors(transaction, kept).await?;
    for (table, how) in resolved {
        let mut rows: Vec<i32> = how.keys().filter_map(|row| row.parse().ok()).collect();
        rows.sort_unstable();
        // Mostly there are none, and even an update of no row has errors counted. Looked up row by row: a planner that saw an
        // empty list would walk all of it. What a comparison found is over when both sides agree, not when one change was taken.
        let found = transaction
            .query_cached(
                "SELECT error.id FROM unnest($2::integer[]) AS wanted (record), LATERAL (
                     SELECT id FROM syncdeck.error WHERE table_name = $1 AND record_id = wanted.record AND resolved_at IS NULL
                     AND op <> 'verify' FOR UPDATE) error",
                &[&table, &rows],
            )
            .await
            .context("look for sync errors")?;
        if found.is_empty() {
            continue;
        }
        let ids: Vec<i64> = found.iter().map(|row| row.get(0)).collect();
        transaction
            .execute_cached(
                "UPDATE syncdeck.error SET state = 'resolved', resolved_at = clock_timestamp(),
                     resolution = $2::jsonb ->> record_id::text, next_retry_at = NULL
                 WHERE id = ANY($1)",
                &[&ids, &Value::Object(how)],
            )
            .await
            .context("resolve sync errors")?;
    }
    Ok(())
}

/// An error of a row as [`keep_row_errors`] takes it; `upto` is the newest change that it is about.
pub(in crate::postgres) fn error_json(
    grouping: &Grouping,
    error: &NewError,
    at: &RowRef,
    attempts: i32,
    state: &str,
    upto: i64,
    retry: Option<Duration>,
) -> Value {
    json!({"mapping": error.mapping, "table_name": at.table, "record_id": at.row, "sfid": error.sfid, "op": error.op,
        "source": error.source, "code": error.code, "category": error.category, "class": error.class,
        "message": error.message, "fields": listed(&error.fields), "fingerprint": error.group(grouping),
        "attempts": attempts, "state": state, "upto": upto, "retry": retry.map(|pause| pause.as_secs_f64()),
        "sent": error.sent})
}

/// Keeps errors of rows.
pub(in crate::postgres) async fn keep_row_errors(
    transaction: &Transaction<'_>,
    kept: Vec<Value>,
) -> Result<(), Error> {
    if kept.is_empty() {
        return Ok(());
    }
    transaction
        .execute_cached(
            "INSERT INTO syncdeck.error (mapping, table_name, record_id, sfid, op, source, code, category, class, message,
                 fields, fingerprint, attempts, state, next_retry_at, upto, sent)
             SELECT mapping, table_name, record_id, sfid, op, source, code, category, class, message,
                 ARRAY(SELECT jsonb_array_elements_text(fields)), fingerprint, attempts, state,
                 clock_timestamp() + make_interval(secs => retry), upto, sent
             FROM jsonb_to_recordset($1) AS new (mapping text, table_name text, record_id integer, sfid text, op text,
                 source text, code text, category text, class text, message text, fields jsonb, fingerprint text, attempts integer,
                 state text, upto integer, retry double precision, sent text)
             ON CONFLICT (table_name, record_id) WHERE resolved_at IS NULL AND record_id IS NOT NULL DO UPDATE SET
                 sfid = excluded.sfid, op = excluded.op, source = excluded.source, code = excluded.code, category = excluded.category,
                 class = excluded.class, message = excluded.message, fields = excluded.fields,
                 fingerprint = excluded.fingerprint, attempts = excluded.attempts,
                 state = CASE WHEN error.state = 'ignored' AND excluded.upto <= error.upto THEN 'ignored' ELSE excluded.state END,
                 upto = greatest(error.upto, excluded.upto),
                 next_retry_at = excluded.next_retry_at, sent = excluded.sent, last_seen = clock_timestamp()",
            &[&Value::from(kept)],
        )
        .await
        .context("keep sync errors")
        .map(drop)
}

/// Of the fields at fault, those that are kept: no more than an entry of the index `error_by_field` holds (2,704 bytes),
/// where each takes up to seven bytes beside its name.
pub(in crate::postgres) fn listed(fields: &[String]) -> &[String] {
    let mut bytes = 0;
    let fitting = fields.iter().take_while(|field| {
        bytes += field.len() + 7;
        bytes <= 2_400
    });
    &fields[..fitting.count()]
}

/// How an error is listed whose record comes to this.
fn state_of(next: RetryDecision) -> &'static str {
    match next {
        RetryDecision::Again(_) => "retrying",
        RetryDecision::Open | RetryDecision::Stop => "open",
        RetryDecision::Review => "review",
    }
}

/// Of rejected units that would go again by themselves, the rows whose error a person ignored: they do not.
pub(in crate::postgres) async fn ignored_rows(
    transaction: &Transaction<'_>,
    acks: &[&Ack],
) -> Result<HashSet<RowRef>, Error> {
    let again: Vec<Value> = acks
        .iter()
        .filter(|ack| matches!(ack.outcome, UnitOutcome::Rejected { next: RetryDecision::Again(_), .. }))
        .map(|ack| json!({"table": ack.unit.table, "row": ack.unit.row, "upto": ack.upto}))
        .collect();
    if again.is_empty() {
        return Ok(HashSet::new());
    }
    let rows = transaction
        .query_cached(
            "SELECT again.\"table\", again.\"row\" FROM jsonb_to_recordset($1) AS again (\"table\" text, \"row\" integer, upto integer),
             LATERAL (
                 SELECT state, upto FROM syncdeck.error
                 WHERE table_name = again.\"table\" AND record_id = again.\"row\" AND resolved_at IS NULL OFFSET 0) error
             WHERE error.state = 'ignored' AND again.upto <= error.upto",
            &[&Value::from(again)],
        )
        .await
        .context("look for ignored errors")?;
    Ok(rows.iter().map(|row| RowRef { table: row.get(0), row: RowId(row.get(1)) }).collect())
}

pub(in crate::postgres) fn read_error(row: &tokio_postgres::Row) -> SyncError {
    let word = |index: usize| row.get::<_, String>(index);
    SyncError {
        id: row.get(0),
        mapping: row.get(1),
        table: row.get(2),
        row_id: row.get::<_, Option<i32>>(3).map(RowId),
        sfid: row.get(4),
        op: row.get(5),
        code: row.get(6),
        category: Category::from_word(&word(7)).unwrap_or(Category::Data),
        class: Class::from_word(&word(8)).unwrap_or(Class::Unknown),
        message: row.get(9),
        fields: row.get(10),
        attempts: row.get(11),
        state: ErrorState::from_word(&word(12)).unwrap_or(ErrorState::Open),
        next_retry_at: row.get(13),
        first_seen: row.get(14),
        last_seen: row.get(15),
        group: row.get(16),
        source: ErrorSource::from_word(&word(17)).unwrap_or_default(),
    }
}

impl Store {
    /// How many sends were repeats of an earlier rejected one since `since`, and how many of those Salesforce took.
    pub async fn retries(&self, since: DateTime<Utc>) -> Result<(i64, i64), Error> {
        let client = self.client().await?;
        let row = client
            .query_one(
                "SELECT count(*), count(*) FILTER (WHERE outcome = 'accepted') FROM (
                     SELECT outcome, lag(outcome) OVER (PARTITION BY table_name, record_id ORDER BY id) AS before
                     FROM syncdeck.attempt WHERE at >= $1) attempt
                 WHERE before IN ('rejected', 'lost')",
                &[&since],
            )
            .await
            .context("count the retries")?;
        Ok((row.get(0), row.get(1)))
    }
}
