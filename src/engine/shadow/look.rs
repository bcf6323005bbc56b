//! One look at both sides of a mapping: all records with their rows, page by page, and what looks different once more. First
//! PostgreSQL, then Salesforce: a change that is not known to wait when its row is read has arrived when its record is.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use serde_json::Value;

use crate::domain::attached::history::LogEntry;
use crate::domain::attached::mode::WriteMode;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::{RowId, RowRef};
use crate::domain::records::shadow::follow::{FOLLOWED, SeenDifference, ShadowState, ShadowSubject};
use crate::domain::records::shadow::judge::{DifferingRow, judged};
use crate::domain::records::shadow::report::{ShadowCounts, ShadowKind, ShadowWait};
use crate::domain::records::verify::differences;
use crate::engine::read::fetch;
use crate::engine::verify::Error;
use crate::engine::verify::records::{RecordPage, TRIES, id_of, next_page, texts};
use crate::postgres::Store;
use crate::postgres::attached::shadow::{RowsBy, ShadowRow};
use crate::salesforce::Client;
use crate::salesforce::query::FieldSelection;
use crate::salesforce::retry::again;

use super::mapped::ShadowedMapping;

/// Rows listed at once.
const ROWS: i64 = 2_000;

/// Both sides, as they are read.
pub(super) struct Sides {
    pub(super) store: Store,
    /// The same, for what reads a whole table.
    pub(super) patient: Store,
    pub(super) client: Arc<Client>,
    pub(super) has_log: bool,
    pub(super) has_archive: bool,
    pub(super) writes: WriteMode,
}

/// What a walk over a mapping met.
pub(super) struct ShadowWalk {
    pub(super) counts: ShadowCounts,
    /// What looks different.
    pub(super) subjects: BTreeSet<ShadowSubject>,
}

impl ShadowWalk {
    fn suspect(&mut self, subject: ShadowSubject) {
        if self.subjects.len() < FOLLOWED {
            self.subjects.insert(subject);
        } else {
            self.counts.unfollowed += 1;
        }
    }
}

impl Sides {
    /// All records of a mapping and all its rows, once; the API calls are added up, also those of a walk that fails.
    pub(super) async fn walk(
        &self,
        of: &ShadowedMapping,
        told: &(dyn Fn(i64, i64) + Send + Sync),
        calls: &mut i64,
    ) -> Result<ShadowWalk, Error> {
        let mapping = &of.mapping;
        let selection = FieldSelection::of(mapping);
        let mut walk = ShadowWalk { counts: ShadowCounts::default(), subjects: BTreeSet::new() };
        let (mut next, mut after, mut total): (_, Option<String>, i64) = (None, None, 0);
        loop {
            let RecordPage { page, is_first } =
                next_page(&self.client, &selection, next, after.as_deref(), calls).await?;
            if is_first {
                total = walk.counts.records + page.total;
            }
            let ids: Vec<&str> = page.records.iter().filter_map(id_of).collect();
            self.compare(of, &mut walk, &page.records, &ids).await?;
            walk.counts.records += page.records.len() as i64;
            told(walk.counts.records, total);
            let newest = ids.iter().copied().chain(after.as_deref()).max().map(str::to_owned);
            let until = newest.as_deref().filter(|_| page.next.is_some());
            self.rows_between(mapping, &mut walk, after.as_deref(), until, &ids).await?;
            (next, after) = (page.next, newest);
            if next.is_none() {
                break;
            }
        }
        self.rows_without_record(mapping, &mut walk).await?;
        Ok(walk)
    }

    /// Records beside their rows.
    async fn compare(
        &self,
        of: &ShadowedMapping,
        walk: &mut ShadowWalk,
        records: &[Value],
        ids: &[&str],
    ) -> Result<(), Error> {
        let mapping = &of.mapping;
        let rows = self.store.shadow_rows(mapping, of.says_state, RowsBy::Records(ids)).await?;
        walk.counts.rows += rows.len() as i64;
        let by_record = by_record(rows);
        for record in records {
            let Some(sfid) = id_of(record) else { continue };
            match by_record.get(sfid).map_or(&[][..], Vec::as_slice) {
                [row] => {
                    walk.counts.compared += 1;
                    let theirs = texts(mapping, record);
                    if differences(mapping, &row.values, &theirs).is_empty() {
                        walk.counts.count_formats(mapping, row.id, &row.values, &theirs);
                    } else {
                        walk.suspect(ShadowSubject::Row(row.id));
                    }
                }
                _ => walk.suspect(ShadowSubject::Record(sfid.to_owned())),
            }
        }
        Ok(())
    }

    /// Rows that name a record between two that were met, and none of these.
    async fn rows_between(
        &self,
        mapping: &Mapping,
        walk: &mut ShadowWalk,
        first: Option<&str>,
        until: Option<&str>,
        but: &[&str],
    ) -> Result<(), Error> {
        let mut after = first.map(str::to_owned);
        loop {
            let span = (after.as_deref(), until);
            let unmet = self.patient.rows_between(&mapping.table, span, but, ROWS).await?;
            // The column may sort otherwise than Salesforce does: what another page meets, or met, is no suspect.
            let is_between =
                |sfid: &str| first.is_none_or(|id| sfid > id) && until.is_none_or(|id| sfid <= id);
            let between = unmet.iter().filter(|(_, sfid)| is_between(sfid));
            for (id, _) in between {
                walk.counts.rows += 1;
                walk.suspect(ShadowSubject::Row(*id));
            }
            if (unmet.len() as i64) < ROWS {
                return Ok(());
            }
            after = unmet.into_iter().next_back().map(|(_, last)| last);
        }
    }

    /// Rows that name no record.
    async fn rows_without_record(&self, mapping: &Mapping, walk: &mut ShadowWalk) -> Result<(), Error> {
        let mut from = Some(i32::MIN);
        while let Some(first) = from {
            let rows = self.patient.shadow_unnamed(&mapping.table, first, ROWS).await?;
            from = rows.last().and_then(|last| last.checked_add(1));
            walk.counts.rows += rows.len() as i64;
            rows.iter().for_each(|id| walk.suspect(ShadowSubject::Row(*id)));
        }
        Ok(())
    }

    /// How rows and records look now, some at a time; the API calls are added up.
    pub(super) async fn look_again(
        &self,
        of: &ShadowedMapping,
        subjects: &[ShadowSubject],
        calls: &mut i64,
    ) -> Result<Vec<(ShadowSubject, ShadowState)>, Error> {
        let mapping = &of.mapping;
        let (mut ids, mut sfids): (Vec<i32>, Vec<&str>) = (Vec::new(), Vec::new());
        for subject in subjects {
            match subject {
                ShadowSubject::Row(id) => ids.push(*id),
                ShadowSubject::Record(sfid) => sfids.push(sfid),
            }
        }
        let rows = self.store.shadow_rows(mapping, of.says_state, RowsBy::Ids(&ids)).await?;
        let rows: HashMap<i32, ShadowRow> = rows.into_iter().map(|row| (row.id, row)).collect();
        let of_records =
            by_record(self.store.shadow_rows(mapping, of.says_state, RowsBy::Records(&sfids)).await?);
        let at = |id: &i32| RowRef { table: mapping.table.clone(), row: RowId(*id) };
        let named: Vec<RowRef> = rows.keys().map(at).collect();
        let (entries, deletes) = match self.has_log {
            true => (
                self.store.attached_entries(self.has_archive, &named).await?,
                self.store.shadow_deletes(&mapping.table, self.has_archive, &sfids).await?,
            ),
            false => (HashMap::new(), HashMap::new()),
        };
        let asked: HashSet<&str> =
            rows.values().filter_map(|row| row.state.sfid.as_deref()).chain(sfids).collect();
        let asked: Vec<&str> = asked.into_iter().collect();
        let mut records = HashMap::new();
        if !asked.is_empty() {
            *calls += FieldSelection::of(mapping).requests(asked.len());
            records = again(TRIES, || fetch::records(&self.client, mapping, &asked)).await?;
        }
        let seen = subjects.iter().map(|subject| {
            let now = match subject {
                ShadowSubject::Row(id) => rows.get(id).map_or_else(ShadowState::default, |row| {
                    let record = row.state.sfid.as_ref().and_then(|sfid| records.get(sfid));
                    let entries = entries.get(&at(id)).map_or(&[][..], Vec::as_slice);
                    of_row(of, row, record, entries, self.writes)
                }),
                ShadowSubject::Record(sfid) => {
                    let rows = of_records.get(sfid).map_or(&[][..], Vec::as_slice);
                    of_record(of, sfid, records.get(sfid), rows, deletes.get(sfid).copied())
                }
            };
            (subject.clone(), now)
        });
        Ok(seen.collect())
    }
}

fn by_record(rows: Vec<ShadowRow>) -> HashMap<String, Vec<ShadowRow>> {
    let mut by_record: HashMap<String, Vec<ShadowRow>> = HashMap::new();
    for row in rows {
        if let Some(sfid) = &row.state.sfid {
            by_record.entry(sfid.clone()).or_default().push(row);
        }
    }
    by_record
}

/// A row beside its record.
fn of_row(
    of: &ShadowedMapping,
    row: &ShadowRow,
    record: Option<&Value>,
    entries: &[LogEntry],
    writes: WriteMode,
) -> ShadowState {
    let sfid = row.state.sfid.as_deref();
    let differs = match (sfid, record) {
        (None, _) => vec![SeenDifference::whole(ShadowKind::NeverSent, Some(row.id), None)],
        (Some(_), None) => vec![SeenDifference::whole(ShadowKind::RowWithoutRecord, Some(row.id), sfid)],
        (Some(_), Some(record)) => differences(&of.mapping, &row.values, &texts(&of.mapping, record))
            .iter()
            .map(|differs| SeenDifference::of_field(&of.mapping, row.id, sfid, differs))
            .collect(),
    };
    let (state, values, is_recent) = (&row.state, &row.values, is_recent(of, record));
    judged(&of.mapping, DifferingRow { state, values, entries, is_recent }, differs, writes)
}

/// A record that had no row, or several.
fn of_record(
    of: &ShadowedMapping,
    sfid: &str,
    record: Option<&Value>,
    rows: &[ShadowRow],
    delete_waits: Option<bool>,
) -> ShadowState {
    let (kind, row) = match (record, rows) {
        (None, _) | (_, [_]) => return ShadowState::default(),
        (Some(_), []) => (ShadowKind::RecordWithoutRow, None),
        (Some(_), [row, ..]) => (ShadowKind::SfidTwice, Some(row.id)),
    };
    let waits = match delete_waits.filter(|_| rows.is_empty()) {
        Some(true) => Some(ShadowWait::Unsent),
        Some(false) => return ShadowState { refused: true, ..ShadowState::default() },
        None => is_recent(of, record).then_some(ShadowWait::Recent),
    };
    let mut seen = SeenDifference::whole(kind, row, Some(sfid));
    seen.waits = waits;
    ShadowState { differs: vec![seen], refused: false }
}

/// Whether a record changed so lately that Heroku Connect need not have it.
fn is_recent(of: &ShadowedMapping, record: Option<&Value>) -> bool {
    let changed = record.and_then(|record| fetch::stamp_of(&of.mapping, record));
    changed.is_some_and(|changed| {
        let age = Utc::now().signed_duration_since(changed).to_std().unwrap_or(Duration::ZERO);
        age < of.catch_up
    })
}
