//! A comparison of both sides of a mapping, record by record, in bounded memory, while the sync goes on. What looks
//! different is looked at again after the reader has been by: only what stays the same on both sides, with nothing pending,
//! is an inconsistency. No row and no record is changed; what is found is listed as errors, which go when it is in order.
//!
//! A comparison goes in steps (`look`), so that one that goes on by itself can be kept after each and gone on with
//! (`engine/consistency.rs`). Records come in the order of their ids: each page tells which rows between its records have
//! none.

mod again;
mod look;
mod places;
pub(super) mod records;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::domain::errors::sync_error::ErrorSource;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::RowRef;
use crate::domain::records::consistency::{LEFT_OUT, OP};
use crate::domain::records::verify::{Finding, FindingKind, Stage, UnsentReason, VerifyReport, differences};
use crate::domain::state::EngineState;
use crate::postgres::errors::sync_errors::NewError;
use crate::postgres::reports::status::Lease;
use crate::postgres::tables::verify::{Compared, Suspect};
use crate::postgres::{self, Store};
use crate::salesforce::query::FieldSelection;
use crate::salesforce::{self, Client};

use super::read::fetch;
use super::{Shared, StartError};
use crate::salesforce::retry::again;
use again::by_subject;
use look::{Between, LISTED, LookPhase, SETTLED_AT, SuspectState, SuspectSubject, Suspected, place, print};

use records::{RecordPage, TRIES, id_of, next_page, texts};

pub(in crate::engine) use look::Examination;

/// Rows listed in one step: as many suspects as one step settles.
const ROWS: i64 = SETTLED_AT as i64;
/// Records asked for by id at once.
const IDS: usize = 200;
/// How often a suspect that changes each time is looked at.
const ROUNDS: usize = 5;
/// The longest that looking for duplicates and orphans in a whole table may take, and a reader that goes on is waited for.
const PATIENCE: Duration = Duration::from_secs(3_600);
/// Between looks at whether the reader was by, where nobody hurries.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A reader that takes longer for a poll has not been by.
const READER_PATIENCE: Duration = Duration::from_secs(120);
/// Requests by which the reader is had by, at most.
const POLLS: i64 = 2;

/// Why a look came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Salesforce did not answer as it should.
    #[error("Salesforce: {0}")]
    Salesforce(#[from] salesforce::Error),
    /// PostgreSQL did not.
    #[error(transparent)]
    Postgres(#[from] postgres::Error),
}

/// Both sides, as whoever verifies reaches them.
pub struct Verifier {
    /// PostgreSQL.
    pub store: Store,
    /// Salesforce.
    pub client: Arc<Client>,
    /// Findings of a mapping that are listed as errors, at most.
    pub listed: i64,
    /// How long a reader may take for a poll, beside the time between two.
    pub reader_patience: Duration,
    /// Whether somebody waits for it: then the readers are asked to come by at once.
    hurries: bool,
}

impl Verifier {
    /// A login of its own beside the engine's.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(config: &Config, store: Store) -> Result<Verifier, StartError> {
        let client = Arc::new(super::client(&config.salesforce)?);
        Ok(Verifier {
            store,
            client,
            listed: config.verify.listed,
            reader_patience: READER_PATIENCE,
            hurries: true,
        })
    }

    /// With the engine's own login, for somebody who waits for it.
    pub(in crate::engine) fn of(shared: &Shared) -> Verifier {
        let listed = shared.config.verify.listed;
        let (store, client) = (shared.store.clone(), shared.client.clone());
        Verifier { store, client, listed, reader_patience: READER_PATIENCE, hurries: true }
    }

    /// The same for nobody: readers come by in their own time.
    pub(in crate::engine) fn patient(shared: &Shared) -> Verifier {
        Verifier { hurries: false, ..Verifier::of(shared) }
    }

    /// Compares a mapping's rows with its records, and lists what it finds, unless only looking is allowed.
    ///
    /// # Errors
    /// When one of the two sides cannot be read.
    pub async fn verify(
        &self,
        mapping: &Mapping,
        told: &(dyn Fn(Stage) + Send + Sync),
        stop: &CancellationToken,
    ) -> Result<VerifyReport, Error> {
        let began_at = self.store.now().await?;
        let mut look = Examination::begin(mapping);
        while !look.is_over() && !stop.is_cancelled() {
            self.step(mapping, &mut look, told, stop).await?;
        }
        look.report.stopped = stop.is_cancelled();
        let mut found = std::mem::take(&mut look.found);
        found.sort_by_key(|(_, finding)| {
            (finding.kind, finding.row.as_ref().map(|row| row.row), finding.sfid.clone())
        });
        look.report.findings = found.iter().take(LISTED).map(|(_, finding)| finding.clone()).collect();
        // A part of a mapping says nothing about the whole; who may not write here says nothing.
        if !look.report.stopped && !self.store.is_read_only() {
            look.found = found;
            match self.list(mapping, &mut look, began_at).await {
                // Whoever may only read these tables is told what was found all the same.
                Err(Error::Postgres(error)) if !error.is_connection() => {
                    look.report.unlisted = Some(error.masked(std::iter::once(mapping)));
                }
                listed => listed?,
            }
        }
        Ok(look.report)
    }

    /// Lists what a whole comparison found.
    async fn list(
        &self,
        mapping: &Mapping,
        look: &mut Examination,
        began_at: chrono::DateTime<chrono::Utc>,
    ) -> Result<(), Error> {
        let round = self.store.next_round().await?;
        self.keep(None, mapping, look, round).await?;
        self.end(mapping, look, round, began_at).await
    }

    /// One step of a comparison: a page of records, some rows, or some of what looks different once more.
    pub(in crate::engine) async fn step(
        &self,
        mapping: &Mapping,
        look: &mut Examination,
        told: &(dyn Fn(Stage) + Send + Sync),
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        if look.is_full() {
            return self.settle(mapping, look, told, stop).await;
        }
        if let Some(between) = look.between.take() {
            return self.rows_between(mapping, look, between).await;
        }
        match look.phase.clone() {
            LookPhase::Places => {
                let places = self.places_now(mapping, look).await?;
                look.places = places.iter().map(|(kind, suspect)| place(*kind, suspect)).collect();
                look.phase = LookPhase::Records(None);
            }
            LookPhase::Records(after) => self.compare(mapping, look, after, told).await?,
            LookPhase::Rows(after) => self.rows_without_record(mapping, look, after, told).await?,
            LookPhase::Settling => {
                self.settle(mapping, look, told, stop).await?;
                if look.suspects.is_empty() && look.places.is_empty() {
                    look.phase = LookPhase::Over;
                }
            }
            LookPhase::Over => {}
        }
        Ok(())
    }

    /// Duplicates and orphans of the whole table. Where nobody waits for it, records are compared also when these cannot be
    /// looked for, which is told at the end.
    async fn places_now(
        &self,
        mapping: &Mapping,
        look: &mut Examination,
    ) -> Result<HashSet<(FindingKind, Suspect)>, Error> {
        let store = self.store.with_patience(PATIENCE)?;
        match places::suspects(&store, mapping, LISTED as i64).await {
            Err(error) if !self.hurries && !error.is_connection() => {
                look.trouble = Some(error.masked(std::iter::once(mapping)));
                Ok(HashSet::new())
            }
            found => Ok(found?),
        }
    }

    /// Lists what was found since the last time; with a lease, as long as that is held.
    pub(in crate::engine) async fn keep(
        &self,
        lease: Option<&Lease>,
        mapping: &Mapping,
        look: &mut Examination,
        round: i64,
    ) -> Result<(), Error> {
        let found = by_subject(mapping, std::mem::take(&mut look.found));
        look.left_out += self.store.keep_findings(lease, mapping, round, self.listed, &found).await?;
        Ok(())
    }

    /// A whole comparison is through: what it did not meet again is looked at on its own.
    pub(in crate::engine) async fn end(
        &self,
        mapping: &Mapping,
        look: &mut Examination,
        round: i64,
        began_at: chrono::DateTime<chrono::Utc>,
    ) -> Result<(), Error> {
        let (found, left_out) = look.sums();
        self.store.note_verified(&mapping.object, found, left_out, Some(began_at)).await?;
        let message = format!(
            "{found} differences were found; {left_out} of the rows and records are not listed (verify.listed = {})",
            self.listed
        );
        let error =
            NewError::classified(&mapping.object, OP, ErrorSource::Engine, LEFT_OUT, &message, Vec::new());
        self.store.note_left_out(mapping, (left_out > 0).then_some(&error)).await?;
        self.store.doubt_findings(mapping, round).await?;
        self.look_at_due(mapping, &mut look.requests).await?;
        Ok(())
    }

    /// A page of records with their rows, and the rows between them that have no record.
    async fn compare(
        &self,
        mapping: &Mapping,
        look: &mut Examination,
        after: Option<String>,
        told: &(dyn Fn(Stage) + Send + Sync),
    ) -> Result<(), Error> {
        let selection = FieldSelection::of(mapping);
        let next = look.next.take();
        let RecordPage { mut page, is_first } =
            next_page(&self.client, &selection, next, after.as_deref(), &mut look.requests).await?;
        if is_first {
            look.report.records = look.met + page.total;
        }
        let ids: Vec<&str> = page.records.iter().filter_map(id_of).collect();
        let rows = self.store.rows_of_records(mapping, &ids).await?;
        look.report.rows += rows.len() as i64;
        for record in &page.records {
            let Some(sfid) = id_of(record) else { continue };
            match rows.get(sfid) {
                None => {
                    let suspected = Suspected { print: print(None, Some(record)), met: false };
                    look.suspect(SuspectSubject::Record(sfid.to_owned()), suspected);
                }
                Some(row) => {
                    if let Some(why) = row.unsent {
                        *look.report.unsent.entry(why).or_default() += 1;
                        continue;
                    }
                    look.report.compared += 1;
                    if !differences(mapping, &row.values, &texts(mapping, record)).is_empty() {
                        let suspected = Suspected { print: print(Some(row), Some(record)), met: true };
                        look.suspect(SuspectSubject::Row(row.row.0), suspected);
                    }
                }
            }
        }
        look.met += page.records.len() as i64;
        told(Stage::Comparing(look.met, look.report.records));
        look.next = page.next.take();
        let newest = ids.iter().copied().chain(after.as_deref()).max().map(str::to_owned);
        // Behind the last record there may be rows as well.
        let until = newest.clone().filter(|_| look.next.is_some());
        let between = Between { after, until, but: ids.into_iter().map(str::to_owned).collect() };
        look.phase = if look.next.is_some() { LookPhase::Records(newest) } else { LookPhase::Rows(0) };
        self.rows_between(mapping, look, between).await
    }

    /// Some rows between records that were met; the rest is left to the next step.
    async fn rows_between(
        &self,
        mapping: &Mapping,
        look: &mut Examination,
        between: Between,
    ) -> Result<(), Error> {
        let span = (between.after.as_deref(), between.until.as_deref());
        let but: Vec<&str> = between.but.iter().map(String::as_str).collect();
        let unmet = self.store.rows_between(&mapping.table, span, &but, ROWS).await?;
        let rows: Vec<i32> = unmet.iter().map(|(id, _)| *id).collect();
        if rows.len() as i64 == ROWS {
            let after = unmet.into_iter().last().map(|(_, sfid)| sfid);
            look.between = Some(Between { after, ..between });
        }
        self.unmet(mapping, look, &rows).await
    }

    /// Rows that name no record at all.
    async fn rows_without_record(
        &self,
        mapping: &Mapping,
        look: &mut Examination,
        after: i32,
        told: &(dyn Fn(Stage) + Send + Sync),
    ) -> Result<(), Error> {
        let rows = self.store.rows_without_record(&mapping.table, after, ROWS).await?;
        let Some(last) = rows.last() else {
            let suspicious = !look.suspects.is_empty() || !look.places.is_empty();
            look.phase = if suspicious { LookPhase::Settling } else { LookPhase::Over };
            return Ok(());
        };
        self.unmet(mapping, look, &rows).await?;
        told(Stage::Rows(look.report.rows, look.report.rows.max(look.report.records)));
        look.phase = LookPhase::Rows(*last);
        Ok(())
    }

    /// Rows that no record was met for.
    async fn unmet(&self, mapping: &Mapping, look: &mut Examination, rows: &[i32]) -> Result<(), Error> {
        let rows = self.store.rows_to_compare(mapping, rows).await?;
        look.report.rows += rows.len() as i64;
        for row in rows {
            match row.unsent {
                Some(why) => look.leave_out(&row, why, false),
                None => {
                    let suspected = Suspected { print: print(Some(&row), None), met: false };
                    look.suspect(SuspectSubject::Row(row.row.0), suspected);
                }
            }
        }
        Ok(())
    }

    /// Some suspects again and again, with the reader in between, until each is settled or has changed too often. At the end
    /// duplicates and orphans as well, and with them what else was seen of their rows: all of a row is found together.
    async fn settle(
        &self,
        mapping: &Mapping,
        look: &mut Examination,
        told: &(dyn Fn(Stage) + Send + Sync),
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        let (mut suspects, places) = look.take_part();
        for round in 0..ROUNDS {
            told(Stage::Settling(suspects.len() + places.len() + look.suspects.len() + look.places.len()));
            let was_by = self.wait_for_reader(mapping, stop).await?;
            look.requests += if self.hurries { POLLS } else { 0 };
            if stop.is_cancelled() {
                return Ok(());
            }
            if !was_by {
                look.report.unread += (suspects.len() + if round == 0 { places.len() } else { 0 }) as i64;
                return Ok(());
            }
            if round == 0 {
                look.report.looked_at = Some(self.store.now().await?);
                self.find_places(mapping, look, &places).await?;
            }
            let mut left = BTreeMap::new();
            let subjects: Vec<SuspectSubject> = suspects.keys().cloned().collect();
            for part in subjects.chunks(IDS) {
                let seen = self.look_again(mapping, part, &mut look.requests).await?;
                for (subject, seen) in seen {
                    let Some(before) = suspects.get(&subject).copied() else { continue };
                    match seen {
                        SuspectState::Fine if !before.met => look.report.meanwhile += 1,
                        SuspectState::Fine => {}
                        SuspectState::Unsent(row, why) => look.leave_out(&row, why, before.met),
                        SuspectState::Leaving => look.report.leaving += 1,
                        SuspectState::Aside => look.report.aside += 1,
                        // The same as before the reader came by: it will not mend it.
                        SuspectState::Differs(print, finding) if before.print == print => {
                            look.find(print, *finding)
                        }
                        SuspectState::Differs(print, _) => {
                            left.insert(subject, Suspected { print, ..before });
                        }
                    }
                }
            }
            suspects = left;
            if suspects.is_empty() {
                break;
            }
        }
        look.report.unsettled += suspects.len() as i64;
        Ok(())
    }

    /// Which of these duplicates and orphans stand still.
    async fn find_places(
        &self,
        mapping: &Mapping,
        look: &mut Examination,
        places: &BTreeSet<(i32, u64)>,
    ) -> Result<(), Error> {
        if places.is_empty() {
            return Ok(());
        }
        for (kind, suspect) in self.places_now(mapping, look).await? {
            if places.contains(&place(kind, &suspect)) {
                look.find(0, places::finding(mapping, kind, &suspect));
            }
        }
        Ok(())
    }

    /// Both sides of suspects as they are now; API requests are added up.
    async fn look_again(
        &self,
        mapping: &Mapping,
        subjects: &[SuspectSubject],
        requests: &mut i64,
    ) -> Result<Vec<(SuspectSubject, SuspectState)>, Error> {
        let ids: Vec<i32> = subjects.iter().filter_map(SuspectSubject::row).collect();
        let sfids: Vec<&str> = subjects.iter().filter_map(SuspectSubject::record).collect();
        let rows: HashMap<i32, Compared> = self
            .store
            .rows_to_compare(mapping, &ids)
            .await?
            .into_iter()
            .map(|row| (row.row.0, row))
            .collect();
        let by_record = self.store.rows_of_records(mapping, &sfids).await?;
        let leaving: HashSet<String> = self.store.leaving(mapping, &sfids).await?.into_iter().collect();
        // Nothing is said of a row of which something is not sent, so Salesforce is not asked.
        let sent = rows.values().filter(|row| row.unsent.is_none());
        let asked: Vec<&str> =
            sent.filter_map(|row| row.sfid.as_deref()).chain(sfids.iter().copied()).collect();
        let kept_out: HashSet<i32> = match &mapping.rules.filter {
            Some(_) => self.store.kept_out(mapping, &ids).await?.into_iter().collect(),
            None => HashSet::new(),
        };
        let aside = self.store.listed_on_their_own(&mapping.table, &asked).await?;
        let mut records = HashMap::new();
        if !asked.is_empty() {
            *requests += FieldSelection::of(mapping).requests(asked.len());
            records = again(TRIES, || fetch::records(&self.client, mapping, &asked)).await?;
        }
        let mut seen = Vec::new();
        for subject in subjects {
            let now = match subject {
                SuspectSubject::Record(sfid) => match records.get(sfid) {
                    Some(_) if by_record.contains_key(sfid) => SuspectState::Fine,
                    Some(_) if leaving.contains(sfid) => SuspectState::Leaving,
                    Some(_) if aside.contains(sfid) => SuspectState::Aside,
                    Some(record) => {
                        SuspectState::Differs(print(None, Some(record)), Box::new(no_row(mapping, sfid)))
                    }
                    None => SuspectState::Fine,
                },
                SuspectSubject::Row(id) => match rows.get(id) {
                    Some(row) => match row.unsent {
                        Some(why) => SuspectState::Unsent(Box::new(row.clone()), why),
                        None => {
                            let record = row.sfid.as_ref().and_then(|sfid| records.get(sfid));
                            let is_aside = row.sfid.as_ref().is_some_and(|sfid| aside.contains(sfid));
                            match (record, is_aside) {
                                (None, true) => SuspectState::Aside,
                                // Its changes are not sent, so it may differ.
                                (Some(_), _) if kept_out.contains(id) => {
                                    SuspectState::Unsent(Box::new(row.clone()), UnsentReason::KeptOut)
                                }
                                _ => compared(mapping, row, record),
                            }
                        }
                    },
                    None => SuspectState::Fine,
                },
            };
            seen.push((subject.clone(), now));
        }
        Ok(seen)
    }

    /// Until the mapping's reader has begun and ended a whole poll: the second end from now. Where no engine runs there is
    /// nothing to wait for. False when it was not by, although it had all the time that a poll takes on a machine that has much
    /// else to do, and longer as long as it goes on: what looks different may be what it has not read.
    async fn wait_for_reader(&self, mapping: &Mapping, stop: &CancellationToken) -> Result<bool, Error> {
        if !self.engine_runs().await? {
            return Ok(true);
        }
        let patience = mapping.rules.poll_interval * 3 + self.reader_patience;
        let least = Duration::from_millis(100);
        // Nobody waits an hour for a reader that is told by events what to read.
        let hurries = self.hurries || mapping.rules.poll_pause(true) > mapping.rules.poll_interval;
        let pause =
            if hurries { least } else { (mapping.rules.poll_interval / 4).clamp(least, LONGEST_PAUSE) };
        let begin = Instant::now();
        let (mut moved_at, mut ends) = (begin, 0);
        let mut last = self.store.reader_trace(&mapping.object).await?;
        while ends < 2 && moved_at.elapsed() < patience && begin.elapsed() < patience.max(PATIENCE) {
            if stop.is_cancelled() || !self.engine_runs().await? {
                break;
            }
            if hurries {
                self.store.notify("poll").await?;
            }
            tokio::time::sleep(pause).await;
            let now = self.store.reader_trace(&mapping.object).await?;
            ends += usize::from(now.last_read != last.last_read);
            if now != last {
                (last, moved_at) = (now, Instant::now());
            }
        }
        Ok(ends >= 2)
    }

    async fn engine_runs(&self) -> Result<bool, Error> {
        Ok(self.store.overview().await?.engine.state == EngineState::Running)
    }
}

fn compared(mapping: &Mapping, row: &Compared, record: Option<&Value>) -> SuspectState {
    let finding = |kind, fields| Finding {
        kind,
        mapping: mapping.object.clone(),
        row: Some(RowRef { table: mapping.table.clone(), row: row.row }),
        sfid: row.sfid.clone(),
        fields,
        text: String::new(),
        at: Vec::new(),
        others: Vec::new(),
    };
    let print = print(Some(row), record);
    match record {
        None => SuspectState::Differs(print, Box::new(finding(FindingKind::RowWithoutRecord, Vec::new()))),
        Some(record) => match differences(mapping, &row.values, &texts(mapping, record)) {
            fields if fields.is_empty() => SuspectState::Fine,
            fields => SuspectState::Differs(print, Box::new(finding(FindingKind::Mismatch, fields))),
        },
    }
}

fn no_row(mapping: &Mapping, sfid: &str) -> Finding {
    Finding {
        kind: FindingKind::RecordWithoutRow,
        mapping: mapping.object.clone(),
        row: None,
        sfid: Some(sfid.to_owned()),
        fields: Vec::new(),
        text: String::new(),
        at: Vec::new(),
        others: Vec::new(),
    }
}
