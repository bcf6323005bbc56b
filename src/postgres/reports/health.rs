//! How well the sync goes, for a year. What an engine counts itself it adds to the hour (`add_cells`); errors and attempts
//! are summed up from what is kept of them (`roll_up`), minute by minute, by one engine at a time. Whoever looks adds what
//! came since the last summing up.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};

use crate::domain::errors::group::template;
use crate::domain::errors::sync_error::Category;
use crate::domain::health::histogram::{EDGES, Histogram};
use crate::domain::health::history::{Began, Cell, Counts, Ended, History, Times, Way, hour_of};
use crate::domain::health::review::{CauseReview, HistorySize};

use crate::postgres::{Cached, Error, ErrorContext, Store, Transaction};

/// What is younger may be committed later than something older: it is summed up when it is certain to be there.
const MARGIN: TimeDelta = TimeDelta::seconds(60);
/// The longest time that is summed up at once.
const CHUNK: TimeDelta = TimeDelta::hours(1);
/// The most attempts that are looked at for it: half a second's work.
const ATTEMPTS: i64 = 50_000;
/// For so many days hours are kept; then they become days.
const HOURS_KEPT: i64 = 35;
/// For so many days anything is kept.
const DAYS_KEPT: i64 = 366;
/// Children of a parent that failed are no errors of their own.
const BLOCKED: &str = "PARENT_NOT_SYNCED";

/// What a summing up came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RolledUp {
    /// Another engine is at it.
    ByAnother,
    /// Nothing is left that is old enough.
    All,
    /// There is more.
    Part,
}

impl Store {
    /// Sums errors and attempts up that are a minute old or older: an hour of them at most. `oldest` is how old the oldest
    /// change of each mapping is now; it is counted once a minute, whichever engine comes to it.
    pub async fn roll_up(
        &self,
        now: DateTime<Utc>,
        oldest: &[(String, Duration)],
    ) -> Result<RolledUp, Error> {
        let mut client = self.client().await?;
        let mut transaction = client.transaction().await.context("begin to sum up the history")?;
        let mark = "SELECT upto FROM syncdeck.health_mark WHERE name = 'errors' FOR UPDATE SKIP LOCKED";
        let Some(mark) =
            transaction.query_opt(mark, &[]).await.context("look how far the history is summed up")?
        else {
            return Ok(RolledUp::ByAnother);
        };
        let from: DateTime<Utc> = mark.get(0);
        let whole = minute_of(now - MARGIN);
        let to = crowded(&transaction, from, whole.min(from + CHUNK)).await?;
        if to <= from {
            return Ok(RolledUp::All);
        }
        let mut summed = between(&transaction, from, to).await?;
        if to == whole {
            let ages = oldest.iter().map(|(mapping, age)| aged(mapping, *age, now));
            summed.cells.extend(ages);
        }
        add(&mut transaction, &summed).await?;
        transaction
            .execute("UPDATE syncdeck.health_mark SET upto = $1 WHERE name = 'errors'", &[&to])
            .await
            .context("note how far the history is summed up")?;
        transaction.commit().await.context("sum up the history")?;
        Ok(if to == whole { RolledUp::All } else { RolledUp::Part })
    }

    /// Makes days of hours that are long ago, and removes days that are more than a year ago.
    pub async fn prune_health(&self, now: DateTime<Utc>) -> Result<(), Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to make days of hours")?;
        let today = now.duration_trunc(TimeDelta::days(1)).unwrap_or(now);
        let (of_hours, of_days) = (today - TimeDelta::days(HOURS_KEPT), today - TimeDelta::days(DAYS_KEPT));
        for sql in [
            "WITH gone AS (DELETE FROM syncdeck.health WHERE span = 'hour' AND at < $1 RETURNING *)
             INSERT INTO syncdeck.health AS day
             SELECT 'day', date_trunc('day', at, 'UTC'), mapping, sum(accepted), sum(rejected), sum(lost), sum(read),
                 sum(repeated), sum(repeated_accepted), syncdeck.sum_counts(waited), syncdeck.sum_counts(requests),
                 syncdeck.sum_counts(read_lag), syncdeck.sum_counts(oldest), syncdeck.sum_counts(reads)
             FROM gone GROUP BY 2, 3
             ON CONFLICT (at, mapping, span) DO UPDATE SET
                 accepted = day.accepted + excluded.accepted, rejected = day.rejected + excluded.rejected,
                 lost = day.lost + excluded.lost, read = day.read + excluded.read,
                 waited = syncdeck.add_counts(day.waited, excluded.waited),
                 requests = syncdeck.add_counts(day.requests, excluded.requests),
                 read_lag = syncdeck.add_counts(day.read_lag, excluded.read_lag),
                 oldest = syncdeck.add_counts(day.oldest, excluded.oldest),
                 reads = syncdeck.add_counts(day.reads, excluded.reads),
                 repeated = day.repeated + excluded.repeated,
                 repeated_accepted = day.repeated_accepted + excluded.repeated_accepted",
            "WITH gone AS (DELETE FROM syncdeck.health_began WHERE span = 'hour' AND at < $1 RETURNING *)
             INSERT INTO syncdeck.health_began AS day
             SELECT 'day', date_trunc('day', at, 'UTC'), mapping, category, code, sum(n) FROM gone GROUP BY 2, 3, 4, 5
             ON CONFLICT (at, mapping, category, code, span) DO UPDATE SET n = day.n + excluded.n",
            "WITH gone AS (DELETE FROM syncdeck.health_ended WHERE span = 'hour' AND at < $1 RETURNING *)
             INSERT INTO syncdeck.health_ended AS day
             SELECT 'day', date_trunc('day', at, 'UTC'), mapping, way, syncdeck.sum_counts(took) FROM gone GROUP BY 2, 3, 4
             ON CONFLICT (at, mapping, way, span) DO UPDATE SET took = syncdeck.add_counts(day.took, excluded.took)",
        ] {
            transaction.execute(sql, &[&of_hours]).await.context("make days of hours")?;
        }
        for table in ["health", "health_began", "health_ended"] {
            let sql = format!("DELETE FROM syncdeck.{table} WHERE at < $1");
            transaction.execute(&sql, &[&of_days]).await.context("remove days of more than a year ago")?;
        }
        transaction.commit().await.context("finish making days of hours")
    }

    /// What is known from `from` on: what is summed up, and what came since.
    pub async fn health_history(&self, from: DateTime<Utc>) -> Result<History, Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to read the history")?;
        // One picture of it all: a summing up between two statements would be counted twice, or not at all.
        transaction
            .batch_execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            .await
            .context("begin to read the history")?;
        let mut history = summed_up(&transaction, from).await?;
        let mark = transaction
            .query_opt("SELECT upto FROM syncdeck.health_mark WHERE name = 'errors'", &[])
            .await
            .context("look how far the history is summed up")?;
        let mark: DateTime<Utc> = mark.map_or(from, |row| row.get(0));
        let far = from + TimeDelta::days(2 * DAYS_KEPT);
        history.join(between(&transaction, mark.max(from), far).await?);
        Ok(history)
    }

    /// The causes of errors that came from `from` on, the most frequent first, with how many of each came before, from
    /// `before` on, and how many are open.
    pub async fn frequent_causes(
        &self,
        before: DateTime<Utc>,
        from: DateTime<Utc>,
        mapping: Option<&str>,
        limit: i64,
    ) -> Result<Vec<CauseReview>, Error> {
        let client = self.client().await?;
        let rows = client
            .query(
                "SELECT mapping, code, min(category), fields, min(message), count(*) FILTER (WHERE first_seen >= $2),
                     count(*) FILTER (WHERE first_seen < $2),
                     count(*) FILTER (WHERE resolved_at IS NULL AND state <> 'ignored')
                 FROM syncdeck.error
                 WHERE first_seen >= $1 AND code <> $3 AND ($4::text IS NULL OR mapping = $4)
                 GROUP BY fingerprint, mapping, code, fields HAVING count(*) FILTER (WHERE first_seen >= $2) > 0
                 ORDER BY 6 DESC, 1, 2, 4 LIMIT $5",
                &[&before, &from, &BLOCKED, &mapping, &limit],
            )
            .await
            .context("count the causes of errors")?;
        let cause = |row: &tokio_postgres::Row| CauseReview {
            mapping: row.get(0),
            code: row.get(1),
            category: category(row.get(2)),
            fields: row.get(3),
            template: template(row.get(4)),
            count: row.get(5),
            before: row.get(6),
            open: row.get(7),
        };
        Ok(rows.iter().map(cause).collect())
    }

    /// How much of the history is kept.
    pub async fn health_kept(&self) -> Result<HistorySize, Error> {
        let client = self.client().await?;
        let row = client
            .query_one(
                "SELECT (SELECT min(at) FROM syncdeck.health),
                     (SELECT sum(pg_total_relation_size(of)) FROM unnest(ARRAY['syncdeck.health'::regclass,
                         'syncdeck.health_began', 'syncdeck.health_ended']) AS of)::bigint",
                &[],
            )
            .await
            .context("measure the history")?;
        Ok(HistorySize { since: row.get(0), bytes: row.get(1) })
    }
}

/// The end of a span, or where it has too many attempts, an earlier one. Index `attempt_at`.
async fn crowded(
    transaction: &Transaction<'_>,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<DateTime<Utc>, Error> {
    let sql = "SELECT at FROM syncdeck.attempt WHERE at >= $1 AND at < $2 ORDER BY at OFFSET $3 LIMIT 1";
    let row =
        transaction.query_opt(sql, &[&from, &to, &ATTEMPTS]).await.context("count the attempts of a time")?;
    Ok(row.map(|row| row.get(0)).filter(|at| *at > from).unwrap_or(to))
}

fn minute_of(moment: DateTime<Utc>) -> DateTime<Utc> {
    moment.duration_trunc(TimeDelta::minutes(1)).unwrap_or(moment)
}

fn aged(mapping: &str, age: Duration, now: DateTime<Utc>) -> Cell {
    let mut cell = Cell::of(mapping, now);
    cell.times.oldest.add(age, 1);
    cell
}

fn category(word: &str) -> Category {
    Category::from_word(word).unwrap_or(Category::Data)
}

/// Errors and attempts of a span of time, by hour.
async fn between(
    transaction: &Transaction<'_>,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<History, Error> {
    Ok(History {
        cells: repeated(transaction, from, to).await?,
        began: began(transaction, from, to).await?,
        ended: ended(transaction, from, to).await?,
    })
}

/// Errors that came. Index `error_began`.
async fn began(
    transaction: &Transaction<'_>,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<Began>, Error> {
    let sql =
        "SELECT date_trunc('hour', first_seen, 'UTC'), mapping, category, code, count(*) FROM syncdeck.error
         WHERE first_seen >= $1 AND first_seen < $2 AND code <> $3 GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4";
    let rows = transaction.query(sql, &[&from, &to, &BLOCKED]).await.context("count the errors that came")?;
    let began = |row: &tokio_postgres::Row| Began {
        at: row.get(0),
        mapping: row.get(1),
        category: category(row.get(2)),
        code: row.get(3),
        count: row.get(4),
    };
    Ok(rows.iter().map(began).collect())
}

/// Errors that ended, by what an operator did about each of them last. One that is ignored stays unresolved: it ended when an
/// operator said so. Indexes `error_ended`, `audit_record`, `audit_at`.
async fn ended(
    transaction: &Transaction<'_>,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<Ended>, Error> {
    let sql = "WITH ended AS (
             SELECT e.mapping, e.resolved_at AS at, e.first_seen, act.act,
                 CASE WHEN act.action IS NULL AND e.resolution = 'ignored' THEN 'gave up' ELSE act.action END AS action
             FROM syncdeck.error e LEFT JOIN LATERAL (
                 SELECT action, act FROM syncdeck.audit
                 WHERE table_name = e.table_name AND record_id = e.record_id AND error_id = e.id AND at <= e.resolved_at
                 ORDER BY id DESC LIMIT 1) act ON true
             WHERE e.resolved_at >= $1 AND e.resolved_at < $2 AND e.code <> $3 AND act.action IS DISTINCT FROM 'ignored'
             UNION ALL
             SELECT e.mapping, audit.at, e.first_seen, audit.act, audit.action
             FROM syncdeck.audit JOIN syncdeck.error e ON e.id = audit.error_id
             WHERE audit.at >= $1 AND audit.at < $2 AND audit.action = 'ignored' AND e.code <> $3)
         SELECT date_trunc('hour', at, 'UTC'), mapping, action, several.are,
             width_bucket(ceil(greatest(extract(epoch FROM at - first_seen), 0) * 1000)::bigint - 1, $4::bigint[]), count(*)
         FROM ended, LATERAL (
             SELECT count(*) > 1 AS are FROM (SELECT FROM syncdeck.audit WHERE act = ended.act LIMIT 2) rows) several
         GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2";
    let edges: &[i64] = &EDGES;
    let rows = transaction
        .query(sql, &[&from, &to, &BLOCKED, &edges])
        .await
        .context("count the errors that ended")?;
    let mut ended: BTreeMap<(DateTime<Utc>, String, Way), Histogram> = BTreeMap::new();
    for row in rows {
        let way = Way::of(row.get(2), row.get(3));
        let bucket: i32 = row.get(4);
        let took = ended.entry((row.get(0), row.get(1), way)).or_default();
        took.add_to(usize::try_from(bucket).unwrap_or(0), row.get(5));
    }
    let of = |((at, mapping, way), took)| Ended { at, mapping, way, took };
    Ok(ended.into_iter().map(of).collect())
}

/// Sends of records whose send before did not succeed. The one before is looked up, not joined, and only where any before
/// failed. Indexes `attempt_at`, `attempt_failed`, `attempt_record`.
async fn repeated(
    transaction: &Transaction<'_>,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<Cell>, Error> {
    let sql =
        "SELECT date_trunc('hour', at, 'UTC'), name, count(*), count(*) FILTER (WHERE outcome = 'accepted')
         FROM (SELECT at, table_name, outcome, (
                 SELECT earlier.outcome FROM syncdeck.attempt earlier
                 WHERE earlier.table_name = attempt.table_name AND earlier.record_id = attempt.record_id
                     AND earlier.id < attempt.id
                 ORDER BY earlier.id DESC LIMIT 1) AS before
             FROM syncdeck.attempt WHERE at >= $1 AND at < $2 AND EXISTS (
                 SELECT FROM syncdeck.attempt failed
                 WHERE failed.table_name = attempt.table_name AND failed.record_id = attempt.record_id
                     AND failed.outcome <> 'accepted' AND failed.id < attempt.id OFFSET 0)) sent
         JOIN syncdeck.mapping USING (table_name)
         WHERE before <> 'accepted' GROUP BY 1, 2 ORDER BY 1, 2";
    let rows = transaction.query(sql, &[&from, &to]).await.context("count the sends that were repeated")?;
    let repeated = |row: &tokio_postgres::Row| {
        let counts = Counts { repeated: row.get(2), repeated_accepted: row.get(3), ..Counts::default() };
        Cell { counts, ..Cell::of(row.get(1), row.get(0)) }
    };
    Ok(rows.iter().map(repeated).collect())
}

/// Adds what was summed up.
async fn add(transaction: &mut Transaction<'_>, summed: &History) -> Result<(), Error> {
    let (at, mappings): (Vec<_>, Vec<_>) =
        summed.began.iter().map(|began| (began.at, began.mapping.as_str())).unzip();
    let categories: Vec<&str> = summed.began.iter().map(|began| began.category.word()).collect();
    let codes: Vec<&str> = summed.began.iter().map(|began| began.code.as_str()).collect();
    let counts: Vec<i64> = summed.began.iter().map(|began| began.count).collect();
    transaction
        .execute(
            "INSERT INTO syncdeck.health_began AS hour (span, at, mapping, category, code, n)
             SELECT 'hour', came.* FROM unnest($1::timestamptz[], $2::text[], $3::text[], $4::text[], $5::bigint[]) AS came
             ON CONFLICT (at, mapping, category, code, span) DO UPDATE SET n = hour.n + excluded.n",
            &[&at, &mappings, &categories, &codes, &counts],
        )
        .await
        .context("keep how many errors came")?;
    for ended in &summed.ended {
        transaction
            .execute(
                "INSERT INTO syncdeck.health_ended AS hour (span, at, mapping, way, took) VALUES ('hour', $1, $2, $3, $4)
                 ON CONFLICT (at, mapping, way, span) DO UPDATE SET took = syncdeck.add_counts(hour.took, excluded.took)",
                &[&ended.at, &ended.mapping, &ended.way.word(), &ended.took.counts()],
            )
            .await
            .context("keep how errors ended")?;
    }
    add_cells(transaction, &summed.cells).await
}

/// Adds what was counted and measured to the hours, in the order of their keys, so that nobody waits for anybody in a circle.
pub(in crate::postgres) async fn add_cells(
    transaction: &mut Transaction<'_>,
    cells: &[Cell],
) -> Result<(), Error> {
    let mut sums: BTreeMap<(DateTime<Utc>, &str), Cell> = BTreeMap::new();
    for cell in cells {
        let sum = sums.entry((cell.at, &cell.mapping));
        sum.or_insert_with(|| Cell::of(&cell.mapping, cell.at)).add(cell);
    }
    for Cell { at, mapping, counts, times } in sums.values() {
        transaction
            .execute_cached(
                "INSERT INTO syncdeck.health AS hour (span, at, mapping, accepted, rejected, lost, read, repeated,
                     repeated_accepted, waited, requests, read_lag, oldest, reads)
                 VALUES ('hour', $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
                 ON CONFLICT (at, mapping, span) DO UPDATE SET
                     accepted = hour.accepted + excluded.accepted, rejected = hour.rejected + excluded.rejected,
                     lost = hour.lost + excluded.lost, read = hour.read + excluded.read,
                     repeated = hour.repeated + excluded.repeated,
                     repeated_accepted = hour.repeated_accepted + excluded.repeated_accepted,
                     waited = syncdeck.add_counts(hour.waited, excluded.waited),
                     requests = syncdeck.add_counts(hour.requests, excluded.requests),
                     read_lag = syncdeck.add_counts(hour.read_lag, excluded.read_lag),
                     oldest = syncdeck.add_counts(hour.oldest, excluded.oldest),
                     reads = syncdeck.add_counts(hour.reads, excluded.reads)",
                &[
                    at,
                    mapping,
                    &counts.accepted,
                    &counts.rejected,
                    &counts.lost,
                    &counts.read,
                    &counts.repeated,
                    &counts.repeated_accepted,
                    &times.waited.counts(),
                    &times.requests.counts(),
                    &times.read_lag.counts(),
                    &times.oldest.counts(),
                    &times.reads.counts(),
                ],
            )
            .await
            .context("add to an hour")?;
    }
    Ok(())
}

/// What is summed up of the hours and days from `from` on.
async fn summed_up(transaction: &Transaction<'_>, from: DateTime<Utc>) -> Result<History, Error> {
    let from = hour_of(from);
    let mut history = History::default();
    let sql = "SELECT at, mapping, accepted, rejected, lost, read, repeated, repeated_accepted, waited, requests, read_lag, oldest,
             reads FROM syncdeck.health WHERE at >= $1 ORDER BY at, mapping";
    for row in transaction.query(sql, &[&from]).await.context("read the hours")? {
        let [accepted, rejected, lost, read, repeated, repeated_accepted] =
            [2, 3, 4, 5, 6, 7].map(|at| row.get(at));
        let [waited, requests, read_lag, oldest, reads] =
            [8, 9, 10, 11, 12].map(|at| Histogram::of(row.get(at)));
        let counts = Counts { accepted, rejected, lost, read, repeated, repeated_accepted };
        let times = Times { waited, requests, reads, read_lag, oldest };
        history.cells.push(Cell { at: row.get(0), mapping: row.get(1), counts, times });
    }
    let sql = "SELECT at, mapping, category, code, n FROM syncdeck.health_began WHERE at >= $1 ORDER BY at";
    for row in transaction.query(sql, &[&from]).await.context("read how many errors came")? {
        let (at, mapping) = (row.get(0), row.get(1));
        history.began.push(Began {
            at,
            mapping,
            category: category(row.get(2)),
            code: row.get(3),
            count: row.get(4),
        });
    }
    let sql = "SELECT at, mapping, way, took FROM syncdeck.health_ended WHERE at >= $1 ORDER BY at";
    for row in transaction.query(sql, &[&from]).await.context("read how errors ended")? {
        let way = Way::from_word(row.get(2)).unwrap_or(Way::Itself);
        history.ended.push(Ended {
            at: row.get(0),
            mapping: row.get(1),
            way,
            took: Histogram::of(row.get(3)),
        });
    }
    Ok(history)
}
