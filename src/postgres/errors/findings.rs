//! What comparisons found, kept until it is in order again: each row or record with an error of its own, and the version of
//! the rows as they were looked at, so that a change of one is noticed without asking Salesforce.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::domain::errors::grouping::Grouping;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::RowId;
use crate::domain::records::consistency::{LEFT_OUT, OP};
use crate::domain::records::verify::FindingKind;
use crate::postgres::errors::sync_errors::{NewError, listed};
use crate::postgres::reports::status::Lease;
use crate::postgres::{Cached, Error, ErrorContext, Store, Transaction};

/// How soon a finding is looked at once more: what was kept is proved again when the row is as it was then.
const SOON: &str = "5 s";
/// Seconds between two looks at a finding whose rows change all the time, at least; each look that comes to the same makes
/// it twice as long, until [`RARELY`].
const CHANGES: u32 = 5;
/// Seconds between two looks at a finding that stands whatever changes.
const RARELY: u32 = 600;
/// Seconds between two looks at rows whose parents may have come, at least.
const ORPHANS: u32 = 30;

/// A row or a record that differs, as it is to be kept.
#[derive(Clone, Debug)]
pub struct NewFinding {
    /// The row; `None` of a record without one.
    pub row: Option<RowId>,
    /// All that was found of it.
    pub kinds: Vec<FindingKind>,
    /// Of a duplicate: the other rows.
    pub others: Vec<RowId>,
    /// Both sides in a number.
    pub print: u64,
    /// In words; it names the record.
    pub error: NewError,
}

impl NewFinding {
    fn subject(&self) -> String {
        match self.row {
            Some(row) => row.to_string(),
            None => self.error.sfid.clone().unwrap_or_default(),
        }
    }
}

/// One that is kept.
#[derive(Clone, Debug)]
pub struct KeptFinding {
    /// What it is about, as it is kept by.
    pub subject: String,
    /// The row; `None` of a record without one.
    pub row: Option<RowId>,
    /// The record.
    pub sfid: Option<String>,
    /// What was found.
    pub kinds: Vec<FindingKind>,
    /// Of a duplicate: the other rows.
    pub others: Vec<RowId>,
    /// Both sides in a number, as they were.
    pub print: u64,
    /// The versions of its rows now.
    pub version: Option<String>,
    /// Whether its error is listed: another one of the row may have taken its place, and ended.
    pub is_listed: bool,
}

/// What a second look at a finding came to.
#[derive(Clone, Debug)]
pub enum Looked {
    /// It is as it was.
    Same,
    /// It differs, but not as it did: it is looked at once more before anything is said.
    Moving(u64),
    /// Something of the row is on its way.
    Unsent,
}

impl Store {
    /// Keeps findings of a mapping, `most` at most, each with its error, and tells how many are left out. With a lease, as
    /// long as that is held.
    pub async fn keep_findings(
        &self,
        lease: Option<&Lease>,
        mapping: &Mapping,
        round: i64,
        most: i64,
        found: &[NewFinding],
    ) -> Result<i64, Error> {
        if found.is_empty() {
            return Ok(0);
        }
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to keep findings")?;
        if let Some(lease) = lease {
            lease.prove(&transaction).await?;
        }
        let known: HashSet<String> = transaction
            .query("SELECT subject FROM syncdeck.finding WHERE mapping = $1", &[&mapping.object])
            .await
            .context("read the findings that are kept")?
            .iter()
            .map(|row| row.get(0))
            .collect();
        let mut room = most - known.len() as i64;
        let (mut kept, mut left_out) = (Vec::new(), 0);
        for finding in found {
            if !known.contains(&finding.subject()) {
                room -= 1;
                if room < 0 {
                    left_out += 1;
                    continue;
                }
            }
            kept.push(finding);
        }
        let written: Vec<Value> = kept.iter().map(|finding| written(finding)).collect();
        transaction
            .execute(
                &format!(
                    "INSERT INTO syncdeck.finding AS known
                         (mapping, table_name, subject, record_id, sfid, kinds, others, print, round, due)
                     SELECT $1, $2::varchar, subject, record_id, sfid, ARRAY(SELECT jsonb_array_elements_text(kinds)),
                         ARRAY(SELECT jsonb_array_elements_text(others)::integer), print, $3,
                         clock_timestamp() + interval '{SOON}'
                     FROM jsonb_to_recordset($4) AS new (subject text, record_id integer, sfid text, kinds jsonb,
                         others jsonb, print bigint) ORDER BY subject
                     ON CONFLICT (table_name, subject) DO UPDATE SET sfid = excluded.sfid, kinds = excluded.kinds,
                         others = excluded.others, print = excluded.print, round = excluded.round,
                         looked_at = clock_timestamp(), due = excluded.due, waits = 0"
                ),
                &[&mapping.object, &mapping.table, &round, &Value::from(written)],
            )
            .await
            .context("keep findings")?;
        let (rows, records): (Vec<&NewFinding>, Vec<&NewFinding>) =
            kept.into_iter().partition(|finding| finding.row.is_some());
        let list = async |findings: &[&NewFinding], target: &str| {
            list(&transaction, &self.grouping, mapping, findings, target).await
        };
        list(&rows, "(table_name, record_id) WHERE resolved_at IS NULL AND record_id IS NOT NULL").await?;
        list(
            &records,
            "(table_name, sfid) WHERE resolved_at IS NULL AND record_id IS NULL AND sfid IS NOT NULL",
        )
        .await?;
        transaction.commit().await.context("finish keeping findings")?;
        Ok(left_out)
    }

    /// Findings of a mapping whose rows changed since they were looked at are due, and those whose parent may have come.
    pub async fn notice_changed_findings(&self, mapping: &Mapping) -> Result<(), Error> {
        let client = self.client().await?;
        let any = "SELECT FROM syncdeck.finding WHERE mapping = $1 LIMIT 1";
        if client.query_cached(any, &[&mapping.object]).await.context("look for findings")?.is_empty() {
            return Ok(());
        }
        let sql = format!(
            "UPDATE syncdeck.finding SET due = clock_timestamp() WHERE (table_name, subject) IN (
                 SELECT table_name, subject FROM syncdeck.finding
                 WHERE mapping = $1 AND (due IS NULL OR due > clock_timestamp()) AND (
                     (record_id IS NOT NULL AND version IS DISTINCT FROM {version}
                         AND looked_at < clock_timestamp() - make_interval(secs => greatest(waits, {CHANGES})))
                     OR (record_id IS NULL AND EXISTS (SELECT FROM {table} t WHERE t.sfid = finding.sfid))
                     OR ('orphan' = ANY(kinds)
                         AND looked_at < clock_timestamp() - make_interval(secs => greatest(waits, {ORPHANS}))))
                 ORDER BY table_name, subject FOR UPDATE)",
            version = self.version(mapping),
            table = self.table(&mapping.table)
        );
        client.execute_cached(&sql, &[&mapping.object]).await.context("look which findings changed").map(drop)
    }

    /// Findings of these records are due: they were read, or are gone. One that was looked at again and again, and is as it
    /// was, waits. Whoever writes several findings locks them in one order. Index `finding_record`.
    pub async fn notice_read_findings(&self, table: &str, sfids: &[&str]) -> Result<(), Error> {
        if sfids.is_empty() {
            return Ok(());
        }
        let client = self.client().await?;
        let sql = "UPDATE syncdeck.finding
             SET due = greatest(clock_timestamp(), looked_at + make_interval(secs => waits))
             WHERE (table_name, subject) IN (
                 SELECT table_name, subject FROM syncdeck.finding
                 WHERE table_name = $1 AND sfid = ANY($2)
                     AND (due IS NULL OR due > greatest(clock_timestamp(), looked_at + make_interval(secs => waits)))
                 ORDER BY table_name, subject FOR UPDATE)";
        client.execute_cached(sql, &[&table, &sfids]).await.context("look which findings were read").map(drop)
    }

    /// These findings are due at once, whatever changed. Tells of which rows there are any.
    pub async fn ask_for_look(&self, table: &str, subjects: &[String]) -> Result<Vec<String>, Error> {
        let client = self.client().await?;
        let rows = client
            .query(
                "UPDATE syncdeck.finding SET due = clock_timestamp(), waits = 0 WHERE (table_name, subject) IN (
                     SELECT table_name, subject FROM syncdeck.finding WHERE table_name = $1 AND subject = ANY($2)
                     ORDER BY table_name, subject FOR UPDATE)
                 RETURNING subject",
                &[&table, &subjects],
            )
            .await
            .context("have findings looked at again")?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Findings of a mapping that a comparison did not meet again: they are looked at one by one.
    pub async fn doubt_findings(&self, mapping: &Mapping, before: i64) -> Result<(), Error> {
        let client = self.client().await?;
        let sql = "UPDATE syncdeck.finding SET due = clock_timestamp() WHERE (table_name, subject) IN (
                 SELECT table_name, subject FROM syncdeck.finding WHERE mapping = $1 AND round < $2
                 ORDER BY table_name, subject FOR UPDATE)";
        client.execute(sql, &[&mapping.object, &before]).await.context("doubt findings").map(drop)
    }

    /// Findings of a mapping that are due, the longest first.
    pub async fn due_findings(&self, mapping: &Mapping, limit: i64) -> Result<Vec<KeptFinding>, Error> {
        self.kept(mapping, "due <= clock_timestamp() ORDER BY due LIMIT $2", &limit).await
    }

    /// Findings by what they are about.
    pub async fn findings_of(
        &self,
        mapping: &Mapping,
        subjects: &[String],
    ) -> Result<Vec<KeptFinding>, Error> {
        self.kept(mapping, "subject = ANY($2)", &subjects).await
    }

    async fn kept(
        &self,
        mapping: &Mapping,
        condition: &str,
        value: &(dyn tokio_postgres::types::ToSql + Sync),
    ) -> Result<Vec<KeptFinding>, Error> {
        let client = self.client().await?;
        let sql = format!(
            "SELECT subject, record_id, sfid::text, kinds, others, print, {version}, EXISTS (
                 SELECT FROM syncdeck.error WHERE error.table_name = finding.table_name AND resolved_at IS NULL
                     AND op = '{OP}' AND (error.record_id = finding.record_id
                     OR error.record_id IS NULL AND finding.record_id IS NULL AND error.sfid = finding.sfid))
             FROM syncdeck.finding WHERE mapping = $1 AND {condition}",
            version = self.version(mapping)
        );
        let rows = client.query(&sql, &[&mapping.object, value]).await.context("read findings")?;
        Ok(rows.iter().map(read).collect())
    }

    /// Keeps what second looks came to.
    pub async fn note_looks(&self, mapping: &Mapping, looks: &[(&KeptFinding, Looked)]) -> Result<(), Error> {
        if looks.is_empty() {
            return Ok(());
        }
        let rows: Vec<Value> = looks
            .iter()
            .map(|(finding, looked)| {
                let print = if let Looked::Moving(print) = looked { *print } else { finding.print };
                let came = match looked {
                    Looked::Same => "same",
                    Looked::Moving(_) => "moving",
                    Looked::Unsent => "unsent",
                };
                json!({"subject": finding.subject, "version": finding.version, "print": print as i64, "came": came})
            })
            .collect();
        let subjects: Vec<&str> = looks.iter().map(|(finding, _)| finding.subject.as_str()).collect();
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to note looks")?;
        lock(&transaction, mapping, &subjects).await?;
        // A look at what is not sent asks Salesforce nothing.
        let sql = format!(
            "UPDATE syncdeck.finding SET looked_at = clock_timestamp(), version = new.version, print = new.print,
                 due = clock_timestamp() + CASE came WHEN 'moving' THEN make_interval(secs => greatest(waits, 2))
                     WHEN 'unsent' THEN interval '60 s' END,
                 waits = CASE came WHEN 'unsent' THEN 0 ELSE least(greatest(waits * 2, {CHANGES}), {RARELY}) END
             FROM jsonb_to_recordset($2) AS new (subject text, version text, print bigint, came text)
             WHERE table_name = $1 AND finding.subject = new.subject"
        );
        transaction
            .execute(&sql, &[&mapping.table, &Value::from(rows)])
            .await
            .context("note looks at findings")?;
        let rows: Vec<i32> = looks
            .iter()
            .filter(|(_, looked)| matches!(looked, Looked::Same))
            .filter_map(|(finding, _)| Some(finding.row?.0))
            .collect();
        // Whoever had a row of these sent is told that it still differs.
        let sql = format!(
            "UPDATE syncdeck.error SET state = 'open', next_retry_at = NULL, last_seen = clock_timestamp()
             WHERE table_name = $1 AND record_id = ANY($2) AND resolved_at IS NULL AND op = '{OP}' AND state = 'retrying'"
        );
        transaction.execute(&sql, &[&mapping.table, &rows]).await.context("open errors again")?;
        transaction.commit().await.context("finish noting looks")
    }

    /// These are in order again: they go, and so do their errors. Tells how many were listed.
    pub async fn close_findings(&self, mapping: &Mapping, gone: &[&KeptFinding]) -> Result<u64, Error> {
        if gone.is_empty() {
            return Ok(0);
        }
        let subjects: Vec<&str> = gone.iter().map(|finding| finding.subject.as_str()).collect();
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to close findings")?;
        lock(&transaction, mapping, &subjects).await?;
        let sql = format!(
            "WITH gone AS (
                 DELETE FROM syncdeck.finding WHERE table_name = $1 AND subject = ANY($2) RETURNING record_id, sfid)
             UPDATE syncdeck.error SET state = 'resolved', resolved_at = clock_timestamp(), next_retry_at = NULL,
                 resolution = 'in order again'
             FROM gone WHERE error.table_name = $1 AND error.resolved_at IS NULL AND error.op = '{OP}'
                 AND (error.record_id = gone.record_id
                     OR error.record_id IS NULL AND gone.record_id IS NULL AND error.sfid = gone.sfid)"
        );
        let closed =
            transaction.execute(&sql, &[&mapping.table, &subjects]).await.context("close findings")?;
        let sql = "UPDATE syncdeck.verified SET found = left_out + (
                 SELECT coalesce(sum(cardinality(kinds)), 0) FROM syncdeck.finding WHERE mapping = $1)
             WHERE mapping = $1";
        transaction.execute(sql, &[&mapping.object]).await.context("count the findings that stand")?;
        transaction.commit().await.context("finish closing findings")?;
        Ok(closed)
    }

    /// Lists how many findings of a mapping are not listed, or that none is left out any more.
    pub async fn note_left_out(&self, mapping: &Mapping, left_out: Option<&NewError>) -> Result<(), Error> {
        match left_out {
            Some(error) => self.keep_mapping_error(&mapping.table, error, None).await,
            None => {
                let client = self.client().await?;
                let sql = format!(
                    "UPDATE syncdeck.error SET state = 'resolved', resolved_at = clock_timestamp(),
                         resolution = 'none is left out', next_retry_at = NULL
                     WHERE mapping = $1 AND record_id IS NULL AND resolved_at IS NULL AND op = '{OP}' AND code = '{LEFT_OUT}'"
                );
                client.execute(&sql, &[&mapping.object]).await.context("resolve a sync error").map(drop)
            }
        }
    }

    /// The versions of a finding's rows, one text: whoever writes one of them makes it another.
    fn version(&self, mapping: &Mapping) -> String {
        format!(
            "(SELECT string_agg(t.id || '.' || t.xmin, ' ' ORDER BY t.id) FROM {} t
                 WHERE t.id = ANY(finding.record_id || finding.others))",
            self.table(&mapping.table)
        )
    }
}

/// Locks findings of a table, in the order in which everybody does.
async fn lock(transaction: &Transaction<'_>, mapping: &Mapping, subjects: &[&str]) -> Result<(), Error> {
    let sql = "SELECT FROM syncdeck.finding WHERE table_name = $1 AND subject = ANY($2)
         ORDER BY table_name, subject FOR UPDATE";
    transaction.query(sql, &[&mapping.table, &subjects]).await.context("lock findings").map(drop)
}

/// Mappings that are no longer configured are not compared: what was found of them goes.
pub(in crate::postgres) async fn forget_comparisons(
    transaction: &Transaction<'_>,
    mappings: &[&str],
) -> Result<(), Error> {
    for table in ["finding", "verify", "verified"] {
        let sql = format!("DELETE FROM syncdeck.{table} WHERE mapping <> ALL($1)");
        transaction.execute(&sql, &[&mappings]).await.context("forget what comparisons found")?;
    }
    let sql = format!(
        "UPDATE syncdeck.error SET state = 'resolved', resolved_at = clock_timestamp(), next_retry_at = NULL,
             resolution = 'its mapping is no longer configured'
         WHERE mapping <> ALL($1) AND resolved_at IS NULL AND op = '{OP}'"
    );
    transaction.execute(&sql, &[&mappings]).await.context("resolve what comparisons found").map(drop)
}

/// Lists findings as errors. What is listed of a row for another reason stays: that is to be put right first. A finding that was
/// listed and is as it was keeps its time, and with it its place: that somebody looked is no news.
async fn list(
    transaction: &Transaction<'_>,
    grouping: &Grouping,
    mapping: &Mapping,
    findings: &[&NewFinding],
    target: &str,
) -> Result<(), Error> {
    if findings.is_empty() {
        return Ok(());
    }
    let errors: Vec<Value> = findings.iter().map(|finding| error(grouping, finding)).collect();
    let sql = format!(
        "INSERT INTO syncdeck.error AS known (mapping, table_name, record_id, sfid, op, source, code, category, class,
             message, fields, fingerprint, state)
         SELECT $1, $2::varchar, record_id, sfid, '{OP}', 'engine', code, category, class, message,
             ARRAY(SELECT jsonb_array_elements_text(fields)), fingerprint, 'open'
         FROM jsonb_to_recordset($3) AS new (record_id integer, sfid text, code text, category text, class text,
             message text, fields jsonb, fingerprint text)
         ON CONFLICT {target} DO UPDATE SET sfid = excluded.sfid, code = excluded.code, category = excluded.category,
             class = excluded.class, message = excluded.message, fields = excluded.fields,
             fingerprint = excluded.fingerprint, next_retry_at = NULL,
             last_seen = CASE WHEN known.state = 'retrying'
                     OR (known.sfid, known.code, known.message, known.fields, known.fingerprint)
                         IS DISTINCT FROM
                         (excluded.sfid, excluded.code, excluded.message, excluded.fields, excluded.fingerprint)
                 THEN clock_timestamp() ELSE known.last_seen END,
             state = CASE WHEN known.state = 'ignored' AND known.fingerprint = excluded.fingerprint THEN 'ignored'
                 ELSE 'open' END
         WHERE known.op = '{OP}'"
    );
    transaction
        .execute(&sql, &[&mapping.object, &mapping.table, &Value::from(errors)])
        .await
        .context("list findings")
        .map(drop)
}

fn error(grouping: &Grouping, finding: &NewFinding) -> Value {
    let error = &finding.error;
    json!({"record_id": finding.row, "sfid": error.sfid, "code": error.code, "category": error.category,
        "class": error.class, "message": error.message, "fields": listed(&error.fields),
        "fingerprint": error.group(grouping)})
}

fn written(finding: &NewFinding) -> Value {
    let kinds: Vec<&str> = finding.kinds.iter().map(|kind| kind.word()).collect();
    json!({"subject": finding.subject(), "record_id": finding.row, "sfid": finding.error.sfid, "kinds": kinds,
        "others": finding.others, "print": finding.print as i64})
}

fn read(row: &tokio_postgres::Row) -> KeptFinding {
    let kinds: Vec<String> = row.get(3);
    let others: Vec<i32> = row.get(4);
    KeptFinding {
        subject: row.get(0),
        row: row.get::<_, Option<i32>>(1).map(RowId),
        sfid: row.get(2),
        kinds: kinds.iter().filter_map(|word| FindingKind::from_word(word)).collect(),
        others: others.into_iter().map(RowId).collect(),
        print: row.get::<_, i64>(5) as u64,
        version: row.get(6),
        is_listed: row.get(7),
    }
}
