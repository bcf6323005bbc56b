//! Inconsistencies mended by taking one side: each in a short transaction of the operator's own session, audited, and
//! left alone where somebody changed something meanwhile.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use crate::domain::changes::merge::Side;
use crate::domain::names::RowId;
use crate::domain::operations::operation::{
    Confirm, Item, Operation, Progress, Report, RowResult, RowStatus, confirmation,
};
use crate::domain::records::record::{SalesforceState, SalesforceValues};
use crate::domain::records::verify::{AsFound, Finding, FindingKind, VerifyReport};
use crate::postgres::operations::revert::{RevertFor, Reverted};

use crate::client::api::{Client, ClientError};

/// Findings in one transaction.
const CHUNK: usize = 200;

/// What a repair does about one kind, in words; `None` where a person has to decide.
pub fn what(kind: FindingKind, side: Side) -> Option<&'static str> {
    match (kind, side) {
        (FindingKind::Mismatch, Side::Salesforce) => Some("the rows get Salesforce's values"),
        (FindingKind::Mismatch, Side::Postgres) => Some("the rows' values are sent"),
        (FindingKind::RowWithoutRecord, Side::Salesforce) => Some("the rows are removed"),
        (FindingKind::RowWithoutRecord, Side::Postgres) => Some("the records are created anew from the rows"),
        (FindingKind::RecordWithoutRow, Side::Salesforce) => Some("the records are read in as rows"),
        (FindingKind::RecordWithoutRow, Side::Postgres) => Some("the records are deleted in Salesforce"),
        (FindingKind::Duplicate | FindingKind::Orphan, _) => None,
    }
}

/// What a repair does: how many of each kind there are, and what becomes of them.
pub fn summary(findings: &[Finding], side: Side) -> Vec<(usize, FindingKind, &'static str)> {
    let count = |kind: FindingKind| findings.iter().filter(|finding| finding.kind == kind).count();
    let kinds = FindingKind::ALL.into_iter().map(|kind| (count(kind), kind));
    kinds
        .filter(|(count, _)| *count > 0)
        .map(|(count, kind)| (count, kind, what(kind, side).unwrap_or("left to a person")))
        .collect()
}

/// How a repair is to be confirmed.
pub fn confirm(findings: &[Finding], side: Side, environment: &str) -> Confirm {
    let mended = findings.iter().filter(|finding| what(finding.kind, side).is_some());
    let removes = findings.iter().any(|finding| match side {
        Side::Salesforce => finding.kind == FindingKind::RowWithoutRecord,
        Side::Postgres => finding.kind == FindingKind::RecordWithoutRow,
    });
    confirmation(mended.count(), environment, removes)
}

impl Client {
    /// Takes one side for what a look at one mapping found. Items are numbered as the findings are, from 1. What is not
    /// as it was found any more is left alone.
    ///
    /// # Errors
    /// When not even the first was reached.
    pub async fn repair(
        &self,
        table: &str,
        found: &VerifyReport,
        side: Side,
        why: Option<&str>,
        progress: &(dyn Fn(Progress) + Send + Sync),
        stop: &CancellationToken,
    ) -> Result<Report, ClientError> {
        let operation = self.own()?.begin_operation(&self.operator, why).await?;
        let mut report = Report::default();
        let mut kinds: BTreeMap<FindingKind, Vec<(i64, &Finding)>> = BTreeMap::new();
        for (number, finding) in (1..).zip(&found.findings) {
            match what(finding.kind, side) {
                Some(_) => kinds.entry(finding.kind).or_default().push((number, finding)),
                None => {
                    let message = "which of them is meant, only a person can tell".to_owned();
                    report.note(Item { id: number, result: RowStatus::Skipped, message });
                }
            }
        }
        let looked_at = found.looked_at.unwrap_or_default();
        let total = kinds.values().map(Vec::len).sum();
        let mut through = 0;
        let mut parts: Vec<(FindingKind, &[(i64, &Finding)])> = Vec::new();
        for (kind, all) in &kinds {
            parts.extend(all.chunks(CHUNK).map(|part| (*kind, part)));
        }
        for (kind, part) in parts {
            if stop.is_cancelled() {
                report.cancelled = true;
                break;
            }
            match self.repair_part(table, kind, part, side, looked_at, &operation).await {
                Ok(items) => items.into_iter().for_each(|item| report.note(item)),
                Err(refused) => part.iter().for_each(|(number, _)| {
                    report.note(Item {
                        id: *number,
                        result: RowStatus::Failed,
                        message: refused.to_string(),
                    });
                }),
            }
            through += part.len();
            progress(Progress { through, total });
        }
        report.operation = operation.number.filter(|_| report.done > 0);
        Ok(report)
    }

    async fn repair_part(
        &self,
        table: &str,
        kind: FindingKind,
        part: &[(i64, &Finding)],
        side: Side,
        looked_at: DateTime<Utc>,
        operation: &Operation,
    ) -> Result<Vec<Item>, ClientError> {
        let sfids: Vec<String> = part.iter().filter_map(|(_, finding)| finding.sfid.clone()).collect();
        let row_of = |finding: &Finding| finding.row.as_ref().map_or(RowId::default(), |at| at.row);
        let results: Vec<RowResult> = match (kind, side) {
            (FindingKind::RecordWithoutRow, Side::Salesforce) => {
                self.own()?.want_read(table, &sfids, operation).await?;
                self.own()?.notify("poll").await?;
                return Ok(part
                    .iter()
                    .map(|(number, _)| done(*number, "it is read with the next poll"))
                    .collect());
            }
            (FindingKind::RecordWithoutRow, Side::Postgres) => {
                let deleted = self.own()?.delete_records(table, &sfids, operation).await?;
                let item = |(number, finding): &(i64, &Finding)| match &finding.sfid {
                    Some(sfid) if deleted.contains(sfid) => done(*number, "its delete is sent"),
                    _ => Item {
                        id: *number,
                        result: RowStatus::Skipped,
                        message: "it has a row meanwhile".to_owned(),
                    },
                };
                return Ok(part.iter().map(item).collect());
            }
            (_, Side::Salesforce) => {
                let rows: Vec<Reverted> =
                    part.iter().map(|(_, finding)| reverted(finding, looked_at)).collect();
                self.own()?.revert_rows(table, &rows, RevertFor::Repair, operation).await?
            }
            (_, Side::Postgres) => {
                let rows: Vec<(RowId, AsFound)> =
                    part.iter().map(|(_, finding)| (row_of(finding), finding.as_found())).collect();
                self.own()?.send_again(table, &rows, operation).await?
            }
        };
        let numbers: BTreeMap<RowId, i64> =
            part.iter().map(|(number, finding)| (row_of(finding), *number)).collect();
        let item = |fate: RowResult| Item {
            id: numbers.get(&fate.row).copied().unwrap_or_default(),
            result: fate.status,
            message: fate.message,
        };
        Ok(results.into_iter().map(item).collect())
    }
}

fn done(number: i64, message: &str) -> Item {
    Item { id: number, result: RowStatus::Done, message: message.to_owned() }
}

/// A row with Salesforce's side as it was found.
fn reverted(finding: &Finding, looked_at: DateTime<Utc>) -> Reverted {
    let gone = finding.kind == FindingKind::RowWithoutRecord;
    Reverted {
        row: finding.row.as_ref().map_or(RowId::default(), |at| at.row),
        record: SalesforceValues {
            fetched_at: looked_at,
            state: if gone { SalesforceState::Deleted } else { SalesforceState::Found },
            sfid: finding.sfid.clone(),
            values: finding.fields.iter().map(|field| (field.column.clone(), field.record.clone())).collect(),
        },
        remove: gone,
        as_found: Some(finding.as_found()),
    }
}
