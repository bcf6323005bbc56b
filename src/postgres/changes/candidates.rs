//! Plain inserts whose answer was lost, and the records that may be theirs: until a person says which, such a record gets no
//! row of its own.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};

use crate::domain::changes::lost::{Candidate, differences, first_sent, message};
use crate::domain::changes::outgoing::outgoing;
use crate::domain::mappings::field::Op;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::RowId;
use crate::domain::values::hstore::Hstore;

use crate::postgres::tables::records::json_text;
use crate::postgres::tables::rows::RecordRow;
use crate::postgres::{Cached, Error, ErrorContext, Store};

/// Whether a record was changed so lately that an insert whose answer is still waited for may have made it: no lease, and
/// no difference of clocks, is as long.
const JUST_MADE: &str =
    "coalesce(i.systemmodstamp >= (clock_timestamp() AT TIME ZONE 'UTC') - interval '3 min', true)";
/// Lost inserts of one mapping that are compared with records at most.
const MOST: i64 = 1_000;

/// A plain insert whose answer was lost.
#[derive(Clone, Debug)]
pub struct LostInsert {
    /// Its row.
    pub row: RowId,
    /// What was sent, by column.
    pub sent: Hstore,
    /// When it was captured: it was not sent before.
    pub captured_at: DateTime<Utc>,
}

impl Store {
    /// The condition on a unit `u` and its row `t` under which nothing but its values tells which record it made: both know
    /// no record, and the row has no external id that it goes by.
    pub(in crate::postgres) fn is_plain(&self, mapping: &Mapping) -> String {
        let without_key = match mapping.external_id_column().filter(|_| mapping.rules.upsert) {
            Some(column) => format!("{} IS NULL", self.key_column(mapping, &column).of_row("t")),
            None => "true".to_owned(),
        };
        format!("u.sfid IS NULL AND t.sfid IS NULL AND {without_key}")
    }

    /// Whether a plain insert of a mapping is on its way.
    async fn awaits_insert(&self, mapping: &Mapping) -> Result<bool, Error> {
        let client = self.client().await?;
        let sql = format!(
            "SELECT EXISTS (SELECT FROM syncdeck.unit u LEFT JOIN {} t ON t.id = u.record_id
                 WHERE u.table_name = $1 AND u.state = 'inflight' AND {})",
            self.table(&mapping.table),
            self.is_plain(mapping)
        );
        let row =
            client.query_cached(&sql, &[&mapping.table]).await.context("look for inserts on their way")?;
        Ok(row[0].get(0))
    }

    /// The rows of a mapping that are plain inserts whose answer was lost. Partial index `unit_lost`.
    pub async fn lost_rows(&self, mapping: &Mapping) -> Result<HashSet<RowId>, Error> {
        Ok(self.lost_units(mapping).await?.into_iter().map(|(row, ..)| row).collect())
    }

    async fn lost_units(&self, mapping: &Mapping) -> Result<Vec<(RowId, Option<i64>, bool)>, Error> {
        let client = self.client().await?;
        let sql = format!(
            "SELECT u.record_id, u.first_upto::bigint, u.recreate
             FROM syncdeck.unit u LEFT JOIN {} t ON t.id = u.record_id
             WHERE u.table_name = $1 AND u.lost > 0 AND {} ORDER BY u.record_id LIMIT {MOST}",
            self.table(&mapping.table),
            self.is_plain(mapping)
        );
        let rows = client
            .query_cached(&sql, &[&mapping.table])
            .await
            .context("look for inserts without an answer")?;
        Ok(rows.iter().map(|row| (RowId(row.get(0)), row.get(1), row.get(2))).collect())
    }

    /// The same with what was sent.
    pub async fn lost_inserts(&self, mapping: &Mapping) -> Result<Vec<LostInsert>, Error> {
        let units = self.lost_units(mapping).await?;
        if units.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<RowId> = units.iter().map(|(row, ..)| *row).collect();
        let again: Vec<RowId> = units.iter().filter(|(.., again)| *again).map(|(row, ..)| *row).collect();
        let mut contents = self.contents(mapping, &rows, &again).await?;
        let lost = |(row, noted, _): (RowId, Option<i64>, bool)| {
            let content = contents.remove(&row)?;
            let sent = first_sent(&content.entries, noted, content.whole.as_ref());
            // What the rules would refuse by now is compared as it is.
            let sent = outgoing(mapping, Op::Insert, &sent).map_or(sent, |out| out.values);
            Some(LostInsert { row, sent, captured_at: content.entries.first()?.captured_at })
        };
        Ok(units.into_iter().filter_map(lost).collect())
    }

    /// Takes out of records those that may be of lost inserts, and tells whether an insert is on its way. In this order: one
    /// that loses its answer in between is then seen as either of the two.
    pub(in crate::postgres) async fn hold_back(
        &self,
        mapping: &Mapping,
        records: &mut Vec<&RecordRow>,
    ) -> Result<bool, Error> {
        if records.is_empty() {
            return Ok(false);
        }
        let on_its_way = self.awaits_insert(mapping).await?;
        let held_back = self.held_back(mapping, records).await?;
        let sfid = |record: &RecordRow| record.get("sfid").and_then(json_text).unwrap_or_default();
        records.retain(|record| !held_back.contains(&sfid(record)));
        Ok(on_its_way)
    }

    /// The condition on a record `i` under which it is not the answer to an insert of ours. While a plain one is on its way,
    /// nothing that was made just now is sure to be another; the next read will know.
    pub(in crate::postgres) fn answered(&self, mapping: &Mapping, on_its_way: bool) -> String {
        let column = mapping.external_id_column().filter(|_| mapping.rules.upsert);
        let without_key =
            column.map(|column| format!(" AND {} IS NULL", self.key_column(mapping, &column).of_row("i")));
        let just_made = match on_its_way {
            true => format!("AND NOT ({JUST_MADE}{})", without_key.unwrap_or_default()),
            false => String::new(),
        };
        format!(
            "(NOT EXISTS (SELECT FROM syncdeck.unit u WHERE u.table_name = $2 AND u.sfid = i.sfid) {just_made})"
        )
    }

    /// Which of these records may be those of lost inserts, and get no row of their own. What is found is kept.
    async fn held_back(&self, mapping: &Mapping, records: &[&RecordRow]) -> Result<HashSet<String>, Error> {
        let lost = self.lost_inserts(mapping).await?;
        if lost.is_empty() {
            return Ok(HashSet::new());
        }
        let sfid = |record: &RecordRow| record.get("sfid").and_then(json_text).unwrap_or_default();
        let sfids: Vec<String> = records.iter().map(|record| sfid(record)).collect();
        let owned = self.owned(mapping, &sfids).await?;
        let mut found = Vec::new();
        for record in records.iter().filter(|record| !owned.contains(&sfid(record))) {
            for lost in &lost {
                let value = |column: &str| record.get(column).and_then(json_text);
                if let Some(differs) = differences(mapping, &lost.sent, value) {
                    found.push((lost.row, Candidate { sfid: sfid(record), differs }));
                }
            }
        }
        self.keep_candidates(mapping, &found).await?;
        let client = self.client().await?;
        let kept = client
            .query_cached(
                "SELECT DISTINCT sfid::text FROM syncdeck.candidate WHERE table_name = $1 AND sfid = ANY($2)",
                &[&mapping.table, &sfids],
            )
            .await
            .context("look for records that may be those of lost inserts")?;
        Ok(kept.iter().map(|row| row.get(0)).filter(|sfid| !owned.contains(sfid)).collect())
    }

    /// Which of these records rows have.
    pub async fn owned(&self, mapping: &Mapping, sfids: &[String]) -> Result<HashSet<String>, Error> {
        let client = self.client().await?;
        let sql = format!("SELECT sfid::text FROM {} WHERE sfid = ANY($1)", self.table(&mapping.table));
        let rows = client.query_cached(&sql, &[&sfids]).await.context("look whose records these are")?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Keeps which records may be those of rows, and tells so in the rows' errors.
    pub async fn keep_candidates(
        &self,
        mapping: &Mapping,
        found: &[(RowId, Candidate)],
    ) -> Result<(), Error> {
        if found.is_empty() {
            return Ok(());
        }
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to keep candidates")?;
        let mut rows: BTreeMap<RowId, Vec<Candidate>> = BTreeMap::new();
        for (row, candidate) in found {
            transaction
                .execute_cached(
                    "INSERT INTO syncdeck.candidate (table_name, record_id, sfid, differs) VALUES ($1, $2, $3, $4)
                     ON CONFLICT (table_name, record_id, sfid) DO UPDATE SET differs = excluded.differs",
                    &[&mapping.table, &row.0, &candidate.sfid, &candidate.differs],
                )
                .await
                .context("keep a candidate")?;
            rows.entry(*row).or_default();
        }
        for (row, candidates) in &mut rows {
            let kept = transaction
                .query_cached(
                    "SELECT sfid::text, differs FROM syncdeck.candidate WHERE table_name = $1 AND record_id = $2
                     ORDER BY cardinality(differs), sfid",
                    &[&mapping.table, &row.0],
                )
                .await
                .context("read candidates")?;
            candidates.extend(kept.iter().map(|row| Candidate { sfid: row.get(0), differs: row.get(1) }));
            transaction
                .execute_cached(
                    "UPDATE syncdeck.error SET message = $3
                     WHERE table_name = $1 AND record_id = $2 AND resolved_at IS NULL AND code = 'OUTCOME_UNKNOWN' AND op = 'insert'",
                    &[&mapping.table, &row.0, &message(&mapping.object, candidates, None)],
                )
                .await
                .context("tell candidates")?;
        }
        transaction.commit().await.context("keep candidates")
    }

    /// The record that may be that of a row, where there is only one.
    pub async fn sole_candidates(&self, table: &str, rows: &[RowId]) -> Result<Vec<(RowId, String)>, Error> {
        let client = self.client().await?;
        let ids: Vec<i32> = rows.iter().map(|row| row.0).collect();
        let found = client
            .query(
                "SELECT record_id, min(sfid)::text FROM syncdeck.candidate
                 WHERE table_name = $1 AND record_id = ANY($2) GROUP BY 1 HAVING count(*) = 1",
                &[&table, &ids],
            )
            .await
            .context("look for candidates")?;
        Ok(found.iter().map(|row| (RowId(row.get(0)), row.get(1))).collect())
    }

    /// Records that were held back for a row about which it is decided by now are read like any other.
    pub async fn release_candidates(&self, mapping: &Mapping) -> Result<(), Error> {
        let client = self.client().await?;
        let table = self.table(&mapping.table);
        let sql = format!(
            "WITH decided AS (
                 DELETE FROM syncdeck.candidate c WHERE c.table_name = $1 AND NOT EXISTS (
                     SELECT FROM syncdeck.unit u LEFT JOIN {table} t ON t.id = u.record_id
                     WHERE u.table_name = c.table_name AND u.record_id = c.record_id AND u.lost > 0 AND {})
                 RETURNING c.sfid)
             INSERT INTO syncdeck.reread (table_name, sfid) SELECT DISTINCT $1, sfid FROM decided
             WHERE NOT EXISTS (SELECT FROM {table} t WHERE t.sfid = decided.sfid) ORDER BY 2 ON CONFLICT DO NOTHING",
            self.is_plain(mapping),
        );
        client
            .execute_cached(&sql, &[&mapping.table])
            .await
            .context("have records read that were held back")
            .map(drop)
    }
}
