//! Where rows stand that somebody has just sent, and what holds their mapping's writes up.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use crate::domain::state::WritesState;
use crate::postgres::reports::status::SILENT_AFTER;
use crate::postgres::{Cached, Error, ErrorContext, Store};

/// Where a row stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowStanding {
    /// The state of its unit, where something of it is left to do.
    pub unit: Option<String>,
    /// Whether it has a change that no engine took in yet.
    pub untaken: bool,
    /// Its unresolved error.
    pub error: Option<UnresolvedError>,
    /// Why the newest of its changes that is over was not sent, where it was not.
    pub unsent: Option<String>,
}

/// An unresolved error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnresolvedError {
    /// Its number.
    pub id: i64,
    /// `open`, `retrying`, ...
    pub state: String,
    /// Its code.
    pub code: String,
    /// Its message.
    pub message: String,
    /// When it was seen last.
    pub last_seen: DateTime<Utc>,
    /// When the row is sent again by itself.
    pub next_retry_at: Option<DateTime<Utc>>,
}

/// Whether anything is sent at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holdups {
    /// Whether an engine gave a sign of life just now.
    pub engine: bool,
    /// The tables that are mapped, each with its object, how its writes are, and why they rest.
    pub writes: HashMap<String, (String, WritesState, Option<String>)>,
}

impl Store {
    /// Where rows of one table stand, by their ids.
    pub async fn standings(&self, table: &str, rows: &[i32]) -> Result<HashMap<i32, RowStanding>, Error> {
        let client = self.client().await?;
        let sql = format!(
            "SELECT wanted.id, unit.state,
                 EXISTS (SELECT FROM {schema}._trigger_log log
                     WHERE log.table_name = $1 AND log.record_id = wanted.id AND log.state = 'NEW'),
                 error.id, error.state, error.code, error.message, error.last_seen, error.next_retry_at,
                 CASE WHEN over.state = 'IGNORED' THEN coalesce(over.sf_message, 'there was nothing to send') END
             FROM unnest($2::integer[]) AS wanted (id)
             LEFT JOIN syncdeck.unit ON unit.table_name = $1 AND unit.record_id = wanted.id
             LEFT JOIN syncdeck.error ON error.table_name = $1 AND error.record_id = wanted.id
                 AND error.resolved_at IS NULL
             LEFT JOIN LATERAL (
                 SELECT state, sf_message FROM {schema}._trigger_log_archive archive
                 WHERE archive.record_id = wanted.id AND archive.table_name = $1 ORDER BY id DESC LIMIT 1) over ON true",
            schema = self.schema
        );
        let found = client.query_cached(&sql, &[&table, &rows]).await.context("look where rows stand")?;
        let failure = |row: &tokio_postgres::Row| {
            Some(UnresolvedError {
                id: row.get::<_, Option<i64>>(3)?,
                state: row.get(4),
                code: row.get(5),
                message: row.get(6),
                last_seen: row.get(7),
                next_retry_at: row.get(8),
            })
        };
        let standing = |row: &tokio_postgres::Row| RowStanding {
            unit: row.get(1),
            untaken: row.get(2),
            error: failure(row),
            unsent: row.get(9),
        };
        Ok(found.iter().map(|row| (row.get(0), standing(row))).collect())
    }

    /// Whether anything is sent at all, and of which tables nothing is.
    pub async fn holdups(&self) -> Result<Holdups, Error> {
        let client = self.client().await?;
        let sql = format!(
            "SELECT table_name::text, name, writes, writes_detail, EXISTS (SELECT FROM syncdeck.engine
                 WHERE engine.state = 'running' AND seen_at > clock_timestamp() - interval '{SILENT_AFTER}')
             FROM syncdeck.mapping"
        );
        let rows = client.query_cached(&sql, &[]).await.context("look which mappings are stopped")?;
        Ok(Holdups {
            engine: rows.first().is_some_and(|row| row.get(4)),
            writes: rows
                .iter()
                .map(|row| (row.get(0), (row.get(1), WritesState::of(row.get(2)), row.get(3))))
                .collect(),
        })
    }
}
