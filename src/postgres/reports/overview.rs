//! How things stand, for whoever looks several times a second: nothing here costs more with a million errors than with ten.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_postgres::Row;

use crate::domain::mappings::rules::Rules;
use crate::domain::records::consistency::{VerifyStatus, next};
use crate::domain::reports::overview::{
    ConnectionStatus, EngineStatus, LoadProgress, MappingStatus, Overview,
};
use crate::domain::state::{ConnectionState, EngineState, MappingState, WritesState};
use crate::domain::values::duration;

use crate::postgres::changes::pending::LOOKED_AT;
use crate::postgres::changes::queue::{CAPTURED_AT, FITS};
use crate::postgres::reports::status::SILENT_AFTER;
use crate::postgres::tables::change_events::events_status;
use crate::postgres::{Cached, Error, ErrorContext, PooledClient, Store};

/// Units that wait beyond this many make a mapping that is well otherwise `behind`.
const BEHIND: i64 = 2_000;

/// What `syncdeck.count` adds up to.
const COUNTED: &str = "SELECT subject, name, category, sum(n)::bigint,
         coalesce(sum(n) FILTER (WHERE minute > clock_timestamp() - interval '1 hour'), 0)::bigint
     FROM syncdeck.count GROUP BY 1, 2, 3";

/// The mappings, in the order of the configuration.
const MAPPINGS: &str = "WITH in_flight AS MATERIALIZED (SELECT table_name, created_at FROM syncdeck.unit WHERE unit.state = 'inflight')
     SELECT name, table_name::text, access, state, detail, row_count, records, last_read, last_write, writes,
         writes_detail, coalesce(rules ->> 'strategy', 'skip'), rules ->> 'poll_interval',
         extract(epoch FROM clock_timestamp() - last_read)::float8, load_began_at, load_records, load_total,
         failing_since, least(
             (SELECT min(created_at) FROM syncdeck.unit WHERE unit.table_name = mapping.table_name AND state = 'ready'),
             (SELECT min(created_at) FROM syncdeck.unit WHERE unit.table_name = mapping.table_name AND state = 'stopped'),
             (SELECT min(created_at) FROM in_flight WHERE in_flight.table_name = mapping.table_name)),
         rules ->> 'verify', rules ->> 'change_events', rules ->> 'poll_with_events'
     FROM syncdeck.mapping, LATERAL (
         SELECT coalesce(configured, definition -> 'rules', '{}') || coalesce(jsonb_object_agg(key, value), '{}')
             AS rules FROM syncdeck.setting WHERE setting.mapping = name) in_force
     ORDER BY position";

/// A sum of `syncdeck.count`.
struct Counted {
    /// `error`, `pending`, `held`.
    subject: String,
    /// The mapping of errors, the table of units.
    name: String,
    category: String,
    n: i64,
    /// Of errors first seen within the last hour.
    recent: i64,
}

/// What waits of a table without an engine's knowing.
struct Untaken {
    rows: i64,
    since: DateTime<Utc>,
}

impl Store {
    /// Everything at a glance. Errors and units come counted from `syncdeck.count`, exact at any time; rows and records
    /// are kept by the engine; the oldest unit by the index `unit_waits`. While no engine works, what none took in yet
    /// is looked up (`untaken`).
    pub async fn overview(&self) -> Result<Overview, Error> {
        let client = self.client().await?;
        // All at once: a database that is far away is waited for once.
        let of_engine = of_engine();
        let (engine, counted, rows, alerts, compared, events) = tokio::join!(
            read_all(&client, &of_engine, "read the engine's state"),
            read_all(&client, COUNTED, "read the counts"),
            read_all(&client, MAPPINGS, "read the mappings' states"),
            self.alerts_status(&client),
            compared(&client),
            events_status(&client),
        );
        let (engine, counted, rows) = (engine?, counted?, rows?);
        let mut overview = Overview::default();
        match engine.first() {
            Some(row) => (overview.engine, overview.connection) = read_engine(row),
            None => overview.engine.state = EngineState::Stopped,
        }
        let counted: Vec<Counted> = counted.iter().map(read_counted).collect();
        // A layout of an older engine has no alerts yet.
        overview.alerts = alerts.unwrap_or_default();
        let works =
            overview.engine.state == EngineState::Running && overview.connection.state == ConnectionState::Ok;
        // Who may not read the log of changes sees all the rest.
        let untaken = if works { HashMap::new() } else { self.untaken(&client).await.unwrap_or_default() };
        overview.mappings = rows.iter().map(|row| read_mapping(row, &counted, &untaken)).collect();
        // Rights that were given before there were these tables hold for all the rest.
        let mut compared = compared.unwrap_or_default();
        let mut events = events.unwrap_or_default();
        for (mapping, row) in overview.mappings.iter_mut().zip(&rows) {
            let events = events.remove(&mapping.name).unwrap_or_default();
            if row.get::<_, Option<&str>>(20) == Some("true") {
                // Whoever is told by events polls less often.
                let longer = row.get::<_, Option<&str>>(21).and_then(duration::parse).filter(|_| events.flow);
                mapping.lag_seconds = mapping.lag_seconds.map(|lag| {
                    let interval = row.get::<_, Option<&str>>(12).and_then(duration::parse);
                    let interval = interval.unwrap_or_else(|| Rules::default().poll_interval);
                    let spared = longer.map_or(0, |longer| longer.saturating_sub(interval).as_secs() as i64);
                    (lag - spared).max(0)
                });
                mapping.events = Some(events);
            }
            let every = row.get::<_, Option<&str>>(19).and_then(duration::parse);
            let (status, began_at) = compared.remove(&mapping.name).unwrap_or_default();
            // One that was begun rests as long as the rule is off.
            let (progress, waits) = every.map_or((None, None), |_| (status.progress, status.waits));
            let next = every.map(|every| next(every, began_at));
            mapping.verify = VerifyStatus { next, progress, waits, ..status };
        }
        Ok(overview)
    }

    /// The rows of each table of which no engine took the changes in: how many beside those that wait anyway, and since
    /// when. Of more changes than [`LOOKED_AT`] only so many count, in no order: sorting a million takes 500 ms, and this
    /// 40. Index `_trigger_log_idx_state_id`.
    async fn untaken(&self, client: &PooledClient) -> Result<HashMap<String, Untaken>, Error> {
        let sql = format!(
            "SELECT table_name::text, count(DISTINCT record_id), min(at)
             FROM (SELECT table_name, record_id, {CAPTURED_AT} AS at FROM {}._trigger_log
                 WHERE state = 'NEW' AND table_name IS NOT NULL AND {FITS}
                 LIMIT {LOOKED_AT}) log
             WHERE NOT EXISTS (SELECT FROM syncdeck.unit WHERE unit.table_name = log.table_name
                 AND unit.record_id = log.record_id AND unit.state <> 'failed')
             GROUP BY 1",
            self.schema
        );
        let rows = client.query_cached(&sql, &[]).await.context("count what was not taken in")?;
        let untaken = |row: &Row| (row.get(0), Untaken { rows: row.get(1), since: row.get(2) });
        Ok(rows.iter().map(untaken).collect())
    }

    /// Adds the lines of `syncdeck.count` up, each sum to one line; whoever comes while another does it leaves it.
    pub async fn add_up_counts(&self) -> Result<(), Error> {
        let client = self.client().await?;
        let sql = "WITH alone AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(hashtext('syncdeck count')) AS is),
             settled AS MATERIALIZED (
                 SELECT subject, name, category, minute FROM syncdeck.count, alone WHERE alone.is GROUP BY 1, 2, 3, 4
                 HAVING count(*) > 1 OR (minute <> '-infinity' AND minute <= clock_timestamp() - interval '1 hour')),
             gone AS (
                 DELETE FROM syncdeck.count WHERE (subject, name, category, minute) IN (SELECT * FROM settled) RETURNING *)
             INSERT INTO syncdeck.count (subject, name, category, minute, n)
             SELECT subject, name, category,
                 CASE WHEN minute > clock_timestamp() - interval '1 hour' THEN minute ELSE '-infinity' END, sum(n)
             FROM gone GROUP BY 1, 2, 3, 4 HAVING sum(n) <> 0";
        client.execute_cached(sql, &[]).await.context("add the counts up").map(drop)
    }
}

/// The engine that gave a sign of life last.
fn of_engine() -> String {
    format!(
        "SELECT owner, state, connection, environment, connection_state, connection_detail, api_used, api_limit,
             seen_at, seen_at > clock_timestamp() - interval '{SILENT_AFTER}', instance_url FROM syncdeck.engine
         ORDER BY seen_at DESC LIMIT 1"
    )
}

async fn read_all(client: &PooledClient, sql: &str, doing: &'static str) -> Result<Vec<Row>, Error> {
    client.query_cached(sql, &[]).await.context(doing)
}

fn read_engine(row: &Row) -> (EngineStatus, ConnectionStatus) {
    let alive: bool = row.get(9);
    let engine = EngineStatus {
        state: if alive { EngineState::of(row.get(1)) } else { EngineState::Stopped },
        owner: row.get(0),
        seen_at: row.get(8),
    };
    // What a silent engine said last is no news of today.
    let silent = !alive && row.get::<_, &str>(1) != "stopped";
    let seen: DateTime<Utc> = row.get(8);
    let (state, detail) = match silent {
        true => {
            let since = seen.format("%Y-%m-%d %H:%M:%S UTC");
            (ConnectionState::Unknown, Some(format!("no engine gave a sign of life since {since}")))
        }
        false => (ConnectionState::of(row.get(4)), row.get(5)),
    };
    let connection = ConnectionStatus {
        name: row.get(2),
        environment: row.get(3),
        state,
        detail,
        api_used: row.get(6),
        api_limit: row.get(7),
        instance_url: row.get(10),
    };
    (engine, connection)
}

fn read_counted(row: &Row) -> Counted {
    Counted { subject: row.get(0), name: row.get(1), category: row.get(2), n: row.get(3), recent: row.get(4) }
}

fn read_mapping(row: &Row, counted: &[Counted], untaken: &HashMap<String, Untaken>) -> MappingStatus {
    let (name, table): (String, String) = (row.get(0), row.get(1));
    let state = MappingState::of(row.get(3));
    let of = |subject: &'static str, name: &str| {
        let name = name.to_owned();
        counted.iter().filter(move |one| one.subject == subject && one.name == name)
    };
    let by_category: BTreeMap<String, i64> =
        of("error", &name).filter(|one| one.n != 0).map(|one| (one.category.clone(), one.n)).collect();
    let untaken = untaken.get(&table);
    let pending =
        of("pending", &table).map(|one| one.n).sum::<i64>() + untaken.map_or(0, |untaken| untaken.rows);
    let oldest: Option<DateTime<Utc>> = row.get(18);
    let errors: i64 = by_category.values().sum();
    let writes = WritesState::of(row.get(9));
    // A mapping that reads well while its writes fail must not look well.
    let shown = match (writes, state) {
        (WritesState::Draining, _) => MappingState::Draining,
        (WritesState::Paused, _) => MappingState::Paused,
        (WritesState::Stopped, _) => MappingState::Stopped,
        (_, MappingState::Ok) if errors > 0 => MappingState::Errors,
        (_, MappingState::Ok) if pending > BEHIND => MappingState::Behind,
        _ => state,
    };
    let loading = state == MappingState::Loading;
    let progress = |began_at| {
        let (done, total) = (row.get::<_, Option<i64>>(15), row.get::<_, Option<i64>>(16));
        LoadProgress { began_at, done: done.unwrap_or_default(), total: total.unwrap_or_default() }
    };
    MappingStatus {
        access: row.get(2),
        state: shown,
        detail: row.get(if writes == WritesState::On { 4 } else { 10 }),
        strategy: row.get(11),
        rows: row.get(5),
        records: row.get(6),
        pending,
        held: of("held", &table).map(|one| one.n).sum(),
        errors,
        errors_last_hour: of("error", &name).map(|one| one.recent).sum(),
        last_read: row.get(7),
        last_write: row.get(8),
        by_category,
        oldest_pending: oldest.into_iter().chain(untaken.map(|untaken| untaken.since)).min(),
        failing_since: row.get(17),
        load: row.get::<_, Option<_>>(14).map(progress),
        verify: VerifyStatus::default(),
        events: None,
        heroku: None,
        lag_seconds: row.get::<_, Option<f64>>(13).filter(|_| !loading).map(|since| lag(since, row.get(12))),
        name,
        table,
    }
}

/// How the comparisons of mappings stand, but for when the next one is; with when the last one began.
async fn compared(
    client: &PooledClient,
) -> Result<HashMap<String, (VerifyStatus, Option<DateTime<Utc>>)>, Error> {
    let sql = "SELECT mapping, at, coalesce(verified.began_at, at), found, left_out, done, total, waits
         FROM syncdeck.verified FULL JOIN syncdeck.verify USING (mapping)";
    let rows = client.query_cached(sql, &[]).await.context("read when mappings were compared")?;
    let number = |row: &Row, at: usize| row.get::<_, Option<i64>>(at);
    let status = |row: &Row| VerifyStatus {
        last: row.get(1),
        found: number(row, 3).unwrap_or_default(),
        left_out: number(row, 4).unwrap_or_default(),
        next: None,
        progress: number(row, 5).map(|done| (done, number(row, 6).unwrap_or_default())),
        waits: row.get(7),
    };
    Ok(rows.iter().map(|row| (row.get(0), (status(row), row.get(2)))).collect())
}

/// Whole seconds since the last read beyond the time to the next.
fn lag(since: f64, poll_interval: Option<&str>) -> i64 {
    let interval: Duration =
        poll_interval.and_then(duration::parse).unwrap_or_else(|| Rules::default().poll_interval);
    (since - interval.as_secs_f64()).max(0.0) as i64
}
