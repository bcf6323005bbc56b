//! The runs of each mapping, kept with the rest of the history.

use serde_json::json;

use crate::domain::reports::run::{Run, RunKind};

use crate::postgres::{Error, ErrorContext, Store};

/// A run goes on when it did something within this time, in seconds.
const SPELL: f64 = 10.0;
/// And is not longer than this, in seconds.
const LONGEST: f64 = 3_600.0;

impl Store {
    /// Keeps a run: joined to the one before where it goes on with it (sending that did not pause, a poll that fails for
    /// the same reason), else as a new one.
    pub async fn keep_run(&self, run: &Run) -> Result<(), Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to keep a run")?;
        let before = transaction
            .query_opt(
                "SELECT id, mapping, kind, began_at, ended_at, records, changed, failed, codes, failure FROM syncdeck.run
                 WHERE mapping = $1 AND kind = $2 AND began_at > clock_timestamp() - make_interval(secs => $3)
                 ORDER BY id DESC LIMIT 1 FOR UPDATE",
                &[&run.mapping, &run.kind.word(), &LONGEST],
            )
            .await
            .context("find the run before")?;
        let goes_on = |before: &Run| match run.kind {
            RunKind::Send => (run.ended_at - before.ended_at).as_seconds_f64() < SPELL,
            RunKind::Load => before.ended_at >= run.began_at,
            RunKind::Poll => run.failure.is_some() && run.failure == before.failure,
        };
        let mut whole = run.clone();
        if let Some(before) = before.as_ref().map(read).filter(|before| goes_on(before)) {
            whole = before;
            whole.join(run);
        }
        let codes = json!(whole.codes);
        transaction
            .execute(
                "INSERT INTO syncdeck.run (id, mapping, kind, began_at, ended_at, records, changed, failed, codes, failure)
                 VALUES (coalesce(nullif($1::bigint, 0), nextval('syncdeck.run_id_seq')), $2, $3, $4, $5, $6, $7, $8, $9, $10)
                 ON CONFLICT (id) DO UPDATE SET ended_at = excluded.ended_at, records = excluded.records,
                     changed = excluded.changed, failed = excluded.failed, codes = excluded.codes",
                &[
                    &whole.id,
                    &whole.mapping,
                    &whole.kind.word(),
                    &whole.began_at,
                    &whole.ended_at,
                    &whole.records,
                    &whole.changed,
                    &whole.failed,
                    &codes,
                    &whole.failure,
                ],
            )
            .await
            .context("keep a run")?;
        transaction.commit().await.context("keep a run")
    }

    /// Runs, newest first: of one mapping, or of all; only those with failures, or all. Index `run_mapping`.
    pub async fn runs(&self, mapping: Option<&str>, failed: bool, limit: i64) -> Result<Vec<Run>, Error> {
        let client = self.client().await?;
        let rows = client
            .query(
                "SELECT id, mapping, kind, began_at, ended_at, records, changed, failed, codes, failure FROM syncdeck.run
                 WHERE ($1::text IS NULL OR mapping = $1) AND (NOT $2 OR failed > 0) ORDER BY id DESC LIMIT $3",
                &[&mapping, &failed, &limit],
            )
            .await
            .context("list runs")?;
        Ok(rows.iter().map(read).collect())
    }
}

fn read(row: &tokio_postgres::Row) -> Run {
    Run {
        id: row.get(0),
        mapping: row.get(1),
        kind: RunKind::from_word(row.get(2)).unwrap_or(RunKind::Poll),
        began_at: row.get(3),
        ended_at: row.get::<_, Option<_>>(4).unwrap_or_else(|| row.get(3)),
        records: row.get(5),
        changed: row.get(6),
        failed: row.get(7),
        codes: serde_json::from_value(row.get(8)).unwrap_or_default(),
        failure: row.get(9),
    }
}
