//! Findings looked at again: when their rows changed, when their records were read, when a comparison did not meet them.
//! What is in order goes; what differs in another way is told anew. Nothing is found here that was not known.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::domain::errors::sync_error::ErrorSource;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::RowId;
use crate::domain::records::consistency::{OP, told};
use crate::domain::records::verify::{Finding, FindingKind, TOGETHER, UnsentReason};
use crate::postgres::errors::findings::{KeptFinding, Looked, NewFinding};
use crate::postgres::errors::sync_errors::NewError;
use crate::postgres::tables::verify::Compared;

use super::look::{LISTED, SuspectState, SuspectSubject, Suspicion};
use super::{Error, Verifier, places};

/// Findings looked at in one go.
const DUE: i64 = 200;

impl Verifier {
    /// Looks at findings of a mapping that are due, some at most, and tells how many of them are in order again. The API
    /// requests are added up, also of a look that fails.
    pub(in crate::engine) async fn look_at_due(
        &self,
        mapping: &Mapping,
        requests: &mut i64,
    ) -> Result<u64, Error> {
        let due = self.store.due_findings(mapping, DUE).await?;
        if due.is_empty() {
            return Ok(0);
        }
        let unsent = self.unsent(mapping, &due).await?;
        let waits =
            |finding: &KeptFinding| finding.row.iter().chain(&finding.others).any(|row| unsent.contains(row));
        // Salesforce is not asked about what is on its way.
        let asked: Vec<&KeptFinding> = due.iter().filter(|finding| !waits(finding)).collect();
        let mut seen = self.seen(mapping, &asked, requests).await?;
        let mut places = self.places(mapping, &due).await?;
        let (mut gone, mut looks, mut anew) = (Vec::new(), Vec::new(), Vec::new());
        for finding in &due {
            if waits(finding) {
                looks.push((finding, Looked::Unsent));
                continue;
            }
            let mut now: Vec<Suspicion> = finding.row.and_then(|row| places.remove(&row)).unwrap_or_default();
            now.retain(|(_, place)| finding.kinds.contains(&place.kind));
            match seen.remove(&finding.subject) {
                Some(SuspectState::Differs(print, found)) if print == finding.print => {
                    now.push((print, *found))
                }
                Some(SuspectState::Differs(print, _)) => {
                    looks.push((finding, Looked::Moving(print)));
                    continue;
                }
                Some(SuspectState::Unsent(_, why)) if why != UnsentReason::KeptOut => {
                    looks.push((finding, Looked::Unsent));
                    continue;
                }
                Some(
                    SuspectState::Fine
                    | SuspectState::Leaving
                    | SuspectState::Aside
                    | SuspectState::Unsent(..),
                )
                | None => {}
            }
            if now.is_empty() {
                gone.push(finding);
                continue;
            }
            looks.push((finding, Looked::Same));
            if !finding.is_listed || !is_same(finding, &now) {
                anew.extend(now);
            }
        }
        if !anew.is_empty() {
            let round = self.store.next_round().await?;
            // They are known, and so have their room.
            self.store.keep_findings(None, mapping, round, 0, &by_subject(mapping, anew)).await?;
        }
        let closed = self.store.close_findings(mapping, &gone).await?;
        self.store.note_looks(mapping, &looks).await?;
        Ok(closed)
    }

    /// Both sides of findings of which Salesforce has a part, by what they are about.
    async fn seen(
        &self,
        mapping: &Mapping,
        asked: &[&KeptFinding],
        requests: &mut i64,
    ) -> Result<HashMap<String, SuspectState>, Error> {
        let of_both = |finding: &&&KeptFinding| {
            finding.kinds.iter().any(|kind| !matches!(kind, FindingKind::Duplicate | FindingKind::Orphan))
        };
        let subject = |finding: &KeptFinding| match (finding.row, &finding.sfid) {
            (Some(row), _) => SuspectSubject::Row(row.0),
            (None, sfid) => SuspectSubject::Record(sfid.clone().unwrap_or_default()),
        };
        let subjects: Vec<SuspectSubject> =
            asked.iter().filter(of_both).map(|finding| subject(finding)).collect();
        if subjects.is_empty() {
            return Ok(HashMap::new());
        }
        let seen = self.look_again(mapping, &subjects, requests).await?;
        let name = |subject: SuspectSubject| match subject {
            SuspectSubject::Row(row) => row.to_string(),
            SuspectSubject::Record(sfid) => sfid,
        };
        Ok(seen.into_iter().map(|(subject, seen)| (name(subject), seen)).collect())
    }

    /// Which rows of duplicates and orphans have something unsent: nothing can be said of them.
    async fn unsent(&self, mapping: &Mapping, due: &[KeptFinding]) -> Result<HashSet<RowId>, Error> {
        let rows: Vec<i32> = due
            .iter()
            .flat_map(|finding| finding.row.iter().chain(&finding.others))
            .map(|row| row.0)
            .collect();
        let rows = self.store.rows_to_compare(mapping, &rows).await?;
        let waits = |row: &Compared| row.unsent.is_some_and(|why| why != UnsentReason::KeptOut);
        Ok(rows.into_iter().filter(waits).map(|row| row.row).collect())
    }

    /// The duplicates and orphans among findings, as they stand now.
    async fn places(
        &self,
        mapping: &Mapping,
        due: &[KeptFinding],
    ) -> Result<BTreeMap<RowId, Vec<Suspicion>>, Error> {
        // Only rows that are known: a look at these few reads no whole table.
        let rows = |kind: FindingKind| -> Vec<i32> {
            let of_kind = due.iter().filter(|finding| finding.kinds.contains(&kind));
            of_kind.flat_map(|finding| finding.row.iter().chain(&finding.others)).map(|row| row.0).collect()
        };
        let (duplicates, orphans) = (rows(FindingKind::Duplicate), rows(FindingKind::Orphan));
        let limit = LISTED as i64;
        let mut now = HashSet::new();
        if !duplicates.is_empty() {
            now.extend(places::duplicates(&self.store, mapping, Some(&duplicates), limit).await?);
        }
        if !orphans.is_empty() {
            now.extend(places::orphans(&self.store, mapping, Some(&orphans), limit).await?);
        }
        let mut found: BTreeMap<RowId, Vec<Suspicion>> = BTreeMap::new();
        for (kind, suspect) in now {
            let place = places::finding(mapping, kind, &suspect);
            found.entry(suspect.row).or_default().push((0, place));
        }
        Ok(found)
    }
}

fn is_same(finding: &KeptFinding, now: &[Suspicion]) -> bool {
    let sorted = |mut kinds: Vec<FindingKind>| {
        kinds.sort();
        kinds.dedup();
        kinds
    };
    let kinds = sorted(now.iter().map(|(_, found)| found.kind).collect());
    kinds == sorted(finding.kinds.clone()) && others(now) == finding.others
}

fn others(found: &[Suspicion]) -> Vec<RowId> {
    let mut others: Vec<RowId> = found.iter().flat_map(|(_, found)| found.others.iter().copied()).collect();
    others.sort();
    others.dedup();
    others.truncate(TOGETHER);
    others
}

/// All that was found of each row or record together, as it is kept and listed.
pub(super) fn by_subject(mapping: &Mapping, found: Vec<Suspicion>) -> Vec<NewFinding> {
    let mut subjects: BTreeMap<(Option<RowId>, Option<String>), Vec<Suspicion>> = BTreeMap::new();
    for (print, finding) in found {
        let row = finding.row.as_ref().map(|at| at.row);
        let sfid = if row.is_some() { None } else { finding.sfid.clone() };
        subjects.entry((row, sfid)).or_default().push((print, finding));
    }
    let kept = subjects.into_iter().map(|((row, _), found)| {
        let mut kinds: Vec<FindingKind> = found.iter().map(|(_, finding)| finding.kind).collect();
        kinds.sort();
        kinds.dedup();
        let print = found.iter().map(|(print, _)| *print).find(|print| *print != 0).unwrap_or(0);
        let others = others(&found);
        let findings: Vec<Finding> = found.into_iter().map(|(_, finding)| finding).collect();
        NewFinding { row, kinds, others, print, error: error(mapping, &findings) }
    });
    kept.collect()
}

fn error(mapping: &Mapping, found: &[Finding]) -> NewError {
    let told = told(mapping, found);
    let error =
        NewError::classified(&mapping.object, OP, ErrorSource::Engine, told.code, &told.message, told.fields);
    NewError { sfid: found.iter().find_map(|finding| finding.sfid.clone()), ..error }
}
