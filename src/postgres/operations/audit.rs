//! The audit: an entry for each row of each operation, written in the operation's own transaction and never changed afterwards.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::RowId;
use crate::domain::operations::operation::{AuditEntry, AuditQuery, AuditRecord, Operation, Operator};

use crate::postgres::tables::records::json_text;
use crate::postgres::{Error, ErrorContext, Store, Transaction};

/// One row of an operation, as it is written.
#[derive(Clone, Debug, Default)]
pub(in crate::postgres) struct NewAuditEntry {
    /// `None` for what concerns the whole mapping.
    pub row: Option<i32>,
    /// Values by column.
    pub before: Option<Value>,
    /// Values by column.
    pub after: Option<Value>,
    /// The entry that it takes back.
    pub undoes: Option<i64>,
}

/// Writes the entries of an operation; each names the row's unresolved error, so it comes before that is resolved.
pub(in crate::postgres) async fn audit(
    transaction: &Transaction<'_>,
    operation: &Operation,
    action: &str,
    mapping: &Mapping,
    entries: &[NewAuditEntry],
) -> Result<(), Error> {
    let rows: Vec<Value> = entries
        .iter()
        .map(|entry| json!({"row": entry.row, "before": entry.before, "after": entry.after, "undoes": entry.undoes}))
        .collect();
    // An unknown number is one for all of them: the sub-select runs once.
    transaction
        .execute(
            "INSERT INTO syncdeck.audit (act, actor, origin, why, action, mapping, table_name, record_id, error_id,
                 before, after, undoes)
             SELECT coalesce($1, (SELECT nextval('syncdeck.act'))), $2, $3, $4, $5, $6, $7::text, entry.\"row\", error.id,
                 entry.before, entry.after, entry.undoes
             FROM jsonb_to_recordset($8) AS entry (\"row\" integer, before jsonb, after jsonb, undoes bigint)
             LEFT JOIN syncdeck.error ON error.table_name = $7::text AND error.record_id = entry.\"row\"
                 AND error.resolved_at IS NULL",
            &[
                &operation.number,
                &operation.operator.actor,
                &operation.operator.origin,
                &operation.why,
                &action,
                &mapping.object,
                &mapping.table,
                &Value::from(rows),
            ],
        )
        .await
        .context("write the audit")
        .map(drop)
}

/// Writes what an operation did to a whole table: its mapping and its name, and what was so before and after.
pub(in crate::postgres) async fn audit_table(
    transaction: &Transaction<'_>,
    operation: &Operation,
    action: &str,
    (mapping, table): (&str, &str),
    (before, after): (Value, Value),
) -> Result<(), Error> {
    transaction
        .execute(
            "INSERT INTO syncdeck.audit (act, actor, origin, why, action, mapping, table_name, before, after)
             SELECT coalesce($1, (SELECT nextval('syncdeck.act'))), $2, $3, $4, $5, $6, $7, $8, $9",
            &[
                &operation.number,
                &operation.operator.actor,
                &operation.operator.origin,
                &operation.why,
                &action,
                &mapping,
                &table,
                &before,
                &after,
            ],
        )
        .await
        .context("write the audit")
        .map(drop)
}

/// Writes that an operation was about these entries of the change log, which are of no row.
pub(in crate::postgres) async fn audit_entries(
    transaction: &Transaction<'_>,
    operation: &Operation,
    action: &str,
    table: &str,
    entries: &[i32],
) -> Result<(), Error> {
    transaction
        .execute(
            "INSERT INTO syncdeck.audit (act, actor, origin, why, action, mapping, table_name, record_id, error_id)
             SELECT coalesce($1, (SELECT nextval('syncdeck.act'))), $2, $3, $4, $5, coalesce(error.mapping, ''), $6::text,
                 given.entry, error.id
             FROM unnest($7::integer[]) AS given (entry)
             LEFT JOIN syncdeck.error ON error.entry = given.entry AND error.resolved_at IS NULL",
            &[&operation.number, &operation.operator.actor, &operation.operator.origin, &operation.why, &action, &table, &entries],
        )
        .await
        .context("write the audit")
        .map(drop)
}

/// Actions that leave nothing to take back.
pub(in crate::postgres) const FINAL: &[&str] = &[
    "retried",
    "released",
    "linked",
    "replaced",
    "sent again",
    "deleted the record",
    "read again",
    "paused",
    "drained",
    "resumed",
    "reloaded",
    "recovered",
    "rebound",
    "gave up",
    "silenced",
    "ended a silence",
    "acknowledged",
    "owned a cause",
    "noted a cause",
    "muted a cause",
    "unmuted a cause",
];

const ENTRY: &str = "id, act, action, table_name::text, record_id, error_id, before, after, undoes";

impl Store {
    /// An operation of several transactions, with its number.
    pub async fn begin_operation(&self, operator: &Operator, why: Option<&str>) -> Result<Operation, Error> {
        let client = self.client().await?;
        let row =
            client.query_one("SELECT nextval('syncdeck.act')", &[]).await.context("number an operation")?;
        Ok(Operation { number: Some(row.get(0)), operator: operator.clone(), why: why.map(str::to_owned) })
    }

    /// Operations, the newest first. Index `audit_act`, from its end.
    pub async fn operations(&self, query: &AuditQuery) -> Result<Vec<AuditRecord>, Error> {
        let client = self.client().await?;
        let (table, row) = match &query.row {
            Some(at) => (Some(at.table.as_str()), Some(at.row.0)),
            None => (None, None),
        };
        let rows = client
            .query(
                &format!(
                    "SELECT act.*, {ENTRY} FROM (
                         SELECT a.act AS number, min(a.at), min(a.actor), min(a.origin), min(a.action), min(a.mapping),
                             count(*), count(u.id), min(a.why), count(DISTINCT a.mapping), min(a.id) AS first, min(a.db_user)
                         FROM syncdeck.audit a LEFT JOIN syncdeck.audit u ON u.undoes = a.id
                         WHERE ($1::text IS NULL OR a.mapping = $1) AND ($2::text IS NULL OR a.actor = $2)
                             AND ($3::text IS NULL OR a.table_name = $3 AND a.record_id = $4)
                             AND (NOT $5 OR a.action <> ALL($6) AND a.undoes IS NULL)
                         GROUP BY a.act HAVING NOT $5 OR count(*) > count(u.id)
                         ORDER BY a.act DESC LIMIT $7) act
                     JOIN syncdeck.audit entry ON entry.id = act.first ORDER BY number DESC"
                ),
                &[&query.mapping, &query.actor, &table, &row, &query.undoable, &FINAL, &query.limit],
            )
            .await
            .context("read the audit")?;
        Ok(rows.iter().map(read_act).collect())
    }

    /// The entries of an operation, in the order in which they were written.
    pub async fn entries(&self, operation: i64) -> Result<Vec<AuditEntry>, Error> {
        let client = self.client().await?;
        let sql = format!("SELECT {ENTRY} FROM syncdeck.audit WHERE act = $1 ORDER BY id");
        let rows = client.query(&sql, &[&operation]).await.context("read an operation's entries")?;
        Ok(rows.iter().map(|row| read_entry(row, 0)).collect())
    }

    /// Which rows of a table an operation has reached already: asked when nobody knows whether a transaction was committed.
    pub async fn reached(&self, operation: i64, table: &str, rows: &[i32]) -> Result<Vec<i32>, Error> {
        let client = self.client().await?;
        let found = client
            .query(
                "SELECT DISTINCT record_id FROM syncdeck.audit WHERE act = $1 AND table_name = $2 AND record_id = ANY($3)",
                &[&operation, &table, &rows],
            )
            .await
            .context("look how far an operation came")?;
        Ok(found.iter().map(|row| row.get(0)).collect())
    }
}

fn read_act(row: &tokio_postgres::Row) -> AuditRecord {
    AuditRecord {
        operation: row.get(0),
        at: row.get(1),
        actor: row.get(2),
        origin: row.get(3),
        is_final: FINAL.contains(&row.get::<_, &str>(4)),
        action: row.get(4),
        mapping: row.get(5),
        rows: row.get(6),
        undone: row.get(7),
        why: row.get(8),
        mappings: row.get(9),
        db_user: row.get(11),
        first: read_entry(row, 12),
    }
}

fn read_entry(row: &tokio_postgres::Row, at: usize) -> AuditEntry {
    let values = |at: usize| match row.get::<_, Option<Value>>(at) {
        Some(Value::Object(values)) => {
            let text = |(column, value): (String, Value)| (column, json_text(&value));
            Some(values.into_iter().map(text).collect::<BTreeMap<_, _>>())
        }
        _ => None,
    };
    AuditEntry {
        id: row.get(at),
        operation: row.get(at + 1),
        action: row.get(at + 2),
        table: row.get(at + 3),
        row: row.get::<_, Option<i32>>(at + 4).map(RowId),
        error: row.get(at + 5),
        before: values(at + 6),
        after: values(at + 7),
        undoes: row.get(at + 8),
    }
}
