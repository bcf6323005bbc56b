//! Figures: counters that only grow, what happened in each minute, and what the errors are about.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::errors::filter::Filter;
use crate::domain::errors::sync_error::Category;
use crate::domain::health::history::Cell;
use crate::domain::reports::trend::{Answers, ErrorShare, Minute, Trend};

use crate::postgres::errors::condition::{ErrorCondition, read_whole};
use crate::postgres::reports::health::add_cells;
use crate::postgres::{Error, ErrorContext, Store};

impl Store {
    /// Adds to counters that only grow, and to mappings' minutes and hours; either all of it or nothing.
    pub async fn add(
        &self,
        counters: &[(&'static str, i64)],
        minutes: &[(String, Minute)],
        hours: &[Cell],
    ) -> Result<(), Error> {
        let counters: Vec<&(&str, i64)> = counters.iter().filter(|(_, n)| *n != 0).collect();
        if counters.is_empty() && minutes.is_empty() && hours.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = counters.iter().map(|(name, _)| *name).collect();
        let values: Vec<i64> = counters.iter().map(|(_, value)| *value).collect();
        let mappings: Vec<&str> = minutes.iter().map(|(mapping, _)| mapping.as_str()).collect();
        let at: Vec<DateTime<Utc>> = minutes.iter().map(|(_, minute)| minute.at).collect();
        let of =
            |part: fn(&Minute) -> i64| minutes.iter().map(|(_, minute)| part(minute)).collect::<Vec<i64>>();
        let mut client = self.client().await?;
        let mut transaction = client.transaction().await.context("begin to count")?;
        transaction
            .execute(
                "WITH minutes AS (
                     INSERT INTO syncdeck.minute AS m (mapping, minute, accepted, rejected, lost, read)
                     SELECT * FROM unnest($3::text[], $4::timestamptz[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[])
                     ORDER BY 1, 2
                     ON CONFLICT (mapping, minute) DO UPDATE SET accepted = m.accepted + excluded.accepted,
                         rejected = m.rejected + excluded.rejected, lost = m.lost + excluded.lost, read = m.read + excluded.read)
                 INSERT INTO syncdeck.counter AS c SELECT * FROM unnest($1::text[], $2::bigint[]) ORDER BY 1
                 ON CONFLICT (name) DO UPDATE SET value = c.value + excluded.value",
                &[
                    &names,
                    &values,
                    &mappings,
                    &at,
                    &of(|minute| minute.accepted),
                    &of(|minute| minute.rejected),
                    &of(|minute| minute.lost),
                    &of(|minute| minute.read),
                ],
            )
            .await
            .context("count")?;
        add_cells(&mut transaction, hours).await?;
        transaction.commit().await.context("count")
    }

    /// All counters.
    pub async fn counters(&self) -> Result<BTreeMap<String, i64>, Error> {
        let client = self.client().await?;
        let rows = client
            .query("SELECT name, value FROM syncdeck.counter", &[])
            .await
            .context("read the counters")?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// Notes since when a mapping only fails, after these answers.
    pub async fn note_answers(&self, mapping: &str, answers: &Answers) -> Result<(), Error> {
        let client = self.client().await?;
        client
            .execute(
                "UPDATE syncdeck.mapping SET failing_since = CASE WHEN $2 THEN $3 ELSE coalesce(failing_since, $3) END
                 WHERE name = $1 AND failing_since IS DISTINCT FROM CASE WHEN $2 THEN $3 ELSE coalesce(failing_since, $3) END",
                &[&mapping, &answers.any_accepted, &answers.failing_since],
            )
            .await
            .context("note since when a mapping fails")
            .map(drop)
    }

    /// What happened in each of the last `count` minutes of every mapping, in the order of the configuration.
    pub async fn trends(&self, count: u32) -> Result<Vec<Trend>, Error> {
        let now = self.now().await?;
        let client = self.client().await?;
        let rows = client
            .query(
                "SELECT name, minute, accepted, rejected, lost, read
                 FROM syncdeck.mapping LEFT JOIN syncdeck.minute
                     ON mapping = name AND minute > $1
                 ORDER BY position, minute",
                &[&(now - TimeDelta::minutes(count.into()))],
            )
            .await
            .context("read the minutes of mappings")?;
        let mut known: Vec<(String, Vec<Minute>)> = Vec::new();
        for row in rows {
            let name: String = row.get(0);
            if known.last().is_none_or(|(last, _)| *last != name) {
                known.push((name, Vec::new()));
            }
            if let (Some(at), Some((_, minutes))) = (row.get::<_, Option<DateTime<Utc>>>(1), known.last_mut())
            {
                let [accepted, rejected, lost, read] = [2, 3, 4, 5].map(|at| row.get(at));
                minutes.push(Minute { at, accepted, rejected, lost, read });
            }
        }
        Ok(known.into_iter().map(|(name, minutes)| Trend::filled(name, minutes, now, count)).collect())
    }

    /// Unresolved errors that match, by category and code, the most frequent first. Reads every error that matches.
    pub async fn breakdown(&self, filter: &Filter) -> Result<Vec<ErrorShare>, Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to count sync errors by code")?;
        read_whole(&transaction).await?;
        let condition = ErrorCondition::of(filter);
        let sql = format!(
            "SELECT category, code, count(*) FROM syncdeck.error WHERE {} GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2",
            condition.sql
        );
        let rows = transaction.query(&sql, &condition.params()).await.context("count sync errors by code")?;
        transaction.commit().await.context("end counting sync errors by code")?;
        let share = |row: &tokio_postgres::Row| ErrorShare {
            category: Category::from_word(row.get(0)).unwrap_or(Category::Data),
            code: row.get(1),
            count: row.get(2),
        };
        Ok(rows.iter().map(share).collect())
    }
}
