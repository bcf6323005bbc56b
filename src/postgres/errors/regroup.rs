//! Grouping errors anew, when the configuration has other rules for it than they were grouped by: beside all other work, some
//! at a time.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::domain::errors::cause::{Course, Sight};
use crate::domain::errors::grouping::{Grouped, Grouping};

use crate::postgres::errors::causes::{OPEN, causes_of, insert};
use crate::postgres::{Error, ErrorContext, Store, Transaction};

/// Errors that are looked at together.
const BATCH: i64 = 1_000;

/// What a part of it came to.
#[derive(Debug, Default)]
pub struct Regrouped {
    /// Where to go on; nothing at the end.
    pub next: Option<i64>,
    /// How many errors are of another group now.
    pub moved: usize,
    /// The groups that they were of.
    pub left: BTreeSet<String>,
}

impl Store {
    /// Whether errors are grouped by other rules than this store has.
    pub async fn is_grouped_otherwise(&self) -> Result<bool, Error> {
        let client = self.client().await?;
        let row = client
            .query_one("SELECT grouping FROM syncdeck.cause_mark", &[])
            .await
            .context("read how errors are grouped")?;
        Ok(row.get::<_, String>(0) != self.grouping.stamp())
    }

    /// Groups the next errors behind one anew. Their causes are known ones: nothing of it is told as new, and whoever had
    /// the group before has its parts.
    pub async fn regroup(&self, after: i64, now: DateTime<Utc>) -> Result<Regrouped, Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to group errors anew")?;
        // Whoever changes one of them now groups it by the rules in force.
        let rows = transaction
            .query(
                &format!(
                    "SELECT fingerprint, mapping, code, fields, category, source, message, op, id, {OPEN}
                     FROM syncdeck.error WHERE resolved_at IS NULL AND id > $1
                     ORDER BY id LIMIT {BATCH} FOR UPDATE SKIP LOCKED"
                ),
                &[&after],
            )
            .await
            .context("read errors to group")?;
        let is_end = i64::try_from(rows.len()).unwrap_or(i64::MAX) < BATCH;
        let mut result =
            Regrouped { next: rows.last().filter(|_| !is_end).map(|row| row.get(8)), ..Regrouped::default() };
        let (mut ids, mut prints) = (Vec::new(), Vec::new());
        // Of each new group: an error of it, the group that it was of, and how many there are.
        let mut groups: BTreeMap<String, (&tokio_postgres::Row, String, i64)> = BTreeMap::new();
        for row in &rows {
            let before: String = row.get(0);
            let fields: Vec<String> = row.get(3);
            let of = Grouped {
                mapping: row.get(1),
                code: row.get(2),
                fields: &fields,
                op: row.get(7),
                message: row.get(6),
            };
            let print = self.grouping.fingerprint(Grouping::base(&before), of);
            if print == before {
                continue;
            }
            ids.push(row.get::<_, i64>(8));
            prints.push(print.clone());
            result.left.insert(before.clone());
            if row.get(9) {
                groups.entry(print).or_insert((row, before, 0)).2 += 1;
            }
        }
        result.moved = ids.len();
        if !ids.is_empty() {
            transaction
                .execute(
                    "UPDATE syncdeck.error SET fingerprint = given.print
                     FROM unnest($1::bigint[], $2::text[]) AS given (id, print) WHERE error.id = given.id",
                    &[&ids, &prints],
                )
                .await
                .context("group errors anew")?;
            self.know(&transaction, groups, now).await?;
        }
        transaction.commit().await.context("finish grouping errors anew")?;
        Ok(result)
    }

    /// Takes the new groups for known causes.
    async fn know(
        &self,
        transaction: &Transaction<'_>,
        groups: BTreeMap<String, (&tokio_postgres::Row, String, i64)>,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let before: Vec<&str> = groups.values().map(|(_, before, _)| before.as_str()).collect();
        let before = causes_of(transaction, &before).await?;
        let known: Vec<Value> = groups
            .iter()
            .map(|(print, (row, of, count))| {
                let sight = Sight { open: Some(true), settled: *count, unsettled: 0 };
                let course = Course::begin(true, now).step(sight, now);
                let mut cause = self.cause_json(row, &json!(course));
                cause["fingerprint"] = json!(print);
                if let Some(before) = before.get(of) {
                    (cause["owner"], cause["note"]) = (json!(before.owner), json!(before.note));
                }
                cause
            })
            .collect();
        insert(transaction, &known, now).await
    }

    /// Errors are grouped by the rules of this store; groups that have no errors any more because of it are no mended
    /// causes.
    pub async fn finish_regrouping(&self, left: &BTreeSet<String>) -> Result<(), Error> {
        let client = self.client().await?;
        let left: Vec<&str> = left.iter().map(String::as_str).collect();
        client
            .execute(
                "DELETE FROM syncdeck.cause WHERE fingerprint = ANY($1) AND NOT EXISTS (
                     SELECT FROM syncdeck.error
                     WHERE error.fingerprint COLLATE \"C\" = cause.fingerprint AND resolved_at IS NULL)",
                &[&left],
            )
            .await
            .context("forget groups without errors")?;
        client
            .execute("UPDATE syncdeck.cause_mark SET grouping = $1", &[&self.grouping.stamp()])
            .await
            .context("keep how errors are grouped")
            .map(drop)
    }
}
