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

    /// What became of the rows of an operation. Index `audit_act`.
    pub async fn tally(&self, act: i64) -> Result<Tally, Error> {
        let client = self.client().await?;
        let sql = format!(
            "SELECT {}, count(*) FROM syncdeck.audit JOIN syncdeck.error ON error.id = audit.error_id
             WHERE audit.act = $1 GROUP BY 1",
            standing("audit.at")
        );
        let mut tally = Tally::default();
        for row in client.query(&sql, &[&act]).await.context("add answers up")? {
            tally.add(Answer::from_word(row.get(0)), row.get(1));
        }
        Ok(tally)
    }
}
