//! What became of rows that operators sent again, by the errors that they had.

use chrono::{DateTime, Utc};

use crate::domain::operations::answer::{Answer, Tally};

use crate::postgres::{Error, ErrorContext, Store};

/// Where the row of an error stands that was sent again at `since`, in SQL: an answer is newer than that.
fn standing(since: &str) -> String {
    format!(
        "CASE WHEN error.resolution = 'accepted' THEN 'taken'
              WHEN error.resolved_at IS NOT NULL OR error.state = 'ignored' THEN 'settled'
              WHEN error.state IN ('open', 'review') AND error.last_seen > {since} THEN 'rejected'
              WHEN error.state = 'held' THEN 'held'
              ELSE 'waiting' END"
    )
}

impl Store {
    /// What became of rows, by the numbers of their errors and when these had been seen last.
    pub async fn answers(&self, sent: &[(i64, DateTime<Utc>)]) -> Result<Vec<(i64, Answer)>, Error> {
        let client = self.client().await?;
        let (ids, seen): (Vec<i64>, Vec<DateTime<Utc>>) = sent.iter().copied().unzip();
        let sql = format!(
            "SELECT error.id, {} FROM unnest($1::bigint[], $2::timestamptz[]) AS sent (id, seen)
             JOIN syncdeck.error USING (id)",
            standing("sent.seen")
        );
        let rows = client.query(&sql, &[&ids, &seen]).await.context("look for answers")?;
        Ok(rows.iter().map(|row| (row.get(0), Answer::from_word(row.get(1)))).collect())
    }

    /// What became of the rows of an operation. Indexes `audit_act`, `error_row`,
    /// `_trigger_log_idx_record` and `attempt_record`.
    pub async fn tally(&self, act: i64) -> Result<Tally, Error> {
        let client = self.client().await?;
        // Many a row has no error that would tell: it was taken back, chosen or repaired. What was captured, waits and was
        // answered since tells of it, and of an error that a person's doing ended.
        let sql = format!(
            "SELECT CASE
                 WHEN error.resolution = 'accepted' AND error.resolved_at >= act.at THEN 'taken'
                 WHEN open.state = 'ignored' THEN 'settled'
                 WHEN open.state IN ('open', 'review') AND open.last_seen > act.at THEN 'rejected'
                 WHEN captured.new OR unit.state IN ('ready', 'inflight', 'stopped') THEN 'waiting'
                 WHEN unit.state = 'held' THEN 'held'
                 WHEN sent.outcome = 'accepted' THEN 'taken'
                 ELSE 'settled' END, count(*)
             FROM (SELECT table_name, record_id, min(at) AS at, max(error_id) AS error_id FROM syncdeck.audit
                 WHERE act = $1 AND record_id IS NOT NULL GROUP BY table_name, record_id) act
             LEFT JOIN syncdeck.error ON error.id = act.error_id
             LEFT JOIN syncdeck.error open ON open.table_name = act.table_name AND open.record_id = act.record_id
                 AND open.resolved_at IS NULL
             LEFT JOIN syncdeck.unit ON unit.table_name = act.table_name AND unit.record_id = act.record_id
             LEFT JOIN LATERAL (SELECT true AS new FROM {}._trigger_log log WHERE log.table_name = act.table_name
                 AND log.record_id = act.record_id AND state = 'NEW' LIMIT 1) captured ON true
             LEFT JOIN LATERAL (SELECT outcome FROM syncdeck.attempt WHERE attempt.table_name = act.table_name
                 AND attempt.record_id = act.record_id AND attempt.at >= act.at ORDER BY attempt.id DESC LIMIT 1) sent ON true
             GROUP BY 1",
            self.schema
        );
        let mut tally = Tally::default();
        for row in client.query(&sql, &[&act]).await.context("add answers up")? {
            tally.add(Answer::from_word(row.get(0)), row.get(1));
        }
        Ok(tally)
    }
}
