//! A look at both sides of a mapping, record by record, in bounded memory, while the sync goes on. What looks different
//! is looked at again after the reader has been by: only what stays the same on both sides, with nothing pending, is an
//! inconsistency. Nothing is changed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::domain::field::FieldType;
use crate::domain::hstore::Hstore;
use crate::domain::mapping::Mapping;
use crate::domain::names::{RowRef, Sfid};
use crate::domain::verify::{Finding, Kind, Stage, Unsent, Verdict, differences};
use crate::postgres::verify::{Compared, Suspect};
use crate::postgres::{self, Store};
use crate::salesforce::query::Selection;
use crate::salesforce::{self, Client, value};

use super::StartError;
use super::read::reader;
use crate::salesforce::retry::again;

/// Suspects that are followed up and listed, of each kind; the rest is counted.
const LISTED: usize = 100_000;
/// Rows listed at once.
const ROWS: i64 = 5_000;
/// Records asked for by id at once.
const IDS: usize = 200;
/// How often Salesforce is asked again.
const TRIES: usize = 5;
/// How often a suspect that changes each time is looked at.
const ROUNDS: usize = 5;

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
pub struct Sides {
    /// PostgreSQL.
    pub store: Store,
    /// Salesforce.
    pub client: Arc<Client>,
}

impl Sides {
    /// A login of its own beside the engine's.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(config: &Config, store: Store) -> Result<Sides, StartError> {
        Ok(Sides { store, client: Arc::new(super::client(&config.salesforce)?) })
    }

    /// Compares a mapping's rows with its records.
    ///
    /// # Errors
    /// When one of the two sides cannot be read.
    pub async fn verify(
        &self,
        mapping: &Mapping,
        told: &(dyn Fn(Stage) + Send + Sync),
        stop: &CancellationToken,
    ) -> Result<Verdict, Error> {
        let mut look = Look {
            verdict: Verdict {
                mapping: mapping.object.clone(),
                condition: mapping.rules.filter.as_ref().map(ToString::to_string),
                ..Verdict::default()
            },
            ..Look::default()
        };
        let places = self.suspects_by_place(mapping).await?;
        self.compare(mapping, &mut look, told, stop).await?;
        if !stop.is_cancelled() {
            self.unmet_rows(mapping, &mut look, told, stop).await?;
        }
        let suspicious = !look.suspects.is_empty() || !places.is_empty();
        if suspicious && !stop.is_cancelled() {
            self.settle(mapping, &mut look, &places, told, stop).await?;
        }
        look.verdict.stopped = stop.is_cancelled();
        let mut findings = std::mem::take(&mut look.verdict.findings);
        findings.sort_by_key(|finding| {
            (finding.kind, finding.row.as_ref().map(|row| row.row), finding.sfid.clone())
        });
        look.verdict.findings = findings;
        Ok(look.verdict)
    }

    /// Every record with its row.
    async fn compare(
        &self,
        mapping: &Mapping,
        look: &mut Look,
        told: &(dyn Fn(Stage) + Send + Sync),
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        let selection = Selection::of(mapping);
        let mut page = again(TRIES, || self.client.select(&selection, "")).await?;
        look.verdict.records = page.total;
        let mut met = 0;
        loop {
            let ids: Vec<&str> = page.records.iter().filter_map(id_of).collect();
            let rows = self.store.rows_of_records(mapping, &ids).await?;
            for record in &page.records {
                let Some(sfid) = id_of(record) else { continue };
                match rows.get(sfid) {
                    None => look.suspect(Subject::Record(sfid.to_owned()), print(None, Some(record))),
                    Some(row) => {
                        look.met.insert(row.row.0);
                        if let Some(why) = row.unsent {
                            *look.verdict.unsent.entry(why).or_default() += 1;
                            continue;
                        }
                        look.verdict.compared += 1;
                        if !differences(mapping, &row.values, &texts(mapping, record)).is_empty() {
                            look.suspect(Subject::Row(row.row.0), print(Some(row), Some(record)));
                        }
                    }
                }
            }
            met += page.records.len() as i64;
            told(Stage::Comparing(met, page.total));
            match page.next.take().filter(|_| !stop.is_cancelled()) {
                Some(next) => page = again(TRIES, || self.client.select_more(&selection, &next)).await?,
                None => return Ok(()),
            }
        }
    }

    /// Rows that no record was met for.
    async fn unmet_rows(
        &self,
        mapping: &Mapping,
        look: &mut Look,
        told: &(dyn Fn(Stage) + Send + Sync),
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        let mut after = 0;
        loop {
            let rows = self.store.row_ids(&mapping.table, after, ROWS).await?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            after = *last;
            look.verdict.rows += rows.len() as i64;
            let unmet: Vec<i32> =
                rows.iter().map(|(id, _)| *id).filter(|id| !look.met.contains(*id)).collect();
            for row in self.store.rows_to_compare(mapping, &unmet).await? {
                match row.unsent {
                    Some(why) => look.leave_out(&row, why),
                    None => look.suspect(Subject::Row(row.row.0), print(Some(&row), None)),
                }
            }
            told(Stage::Rows(look.verdict.rows, look.verdict.rows.max(look.verdict.records)));
            if stop.is_cancelled() {
                return Ok(());
            }
        }
    }

    /// Suspects again and again, with the reader in between, until each is settled or has changed too often.
    async fn settle(
        &self,
        mapping: &Mapping,
        look: &mut Look,
        places: &HashSet<(Kind, Suspect)>,
        told: &(dyn Fn(Stage) + Send + Sync),
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        let mut suspects = std::mem::take(&mut look.suspects);
        for round in 0..ROUNDS {
            told(Stage::Settling(suspects.len() + places.len()));
            self.wait_for_reader(mapping, stop).await?;
            if stop.is_cancelled() {
                return Ok(());
            }
            if round == 0 {
                look.verdict.looked_at = Some(self.store.now().await?);
                let again = self.suspects_by_place(mapping).await?;
                for (kind, suspect) in places.intersection(&again) {
                    look.find(place(mapping, *kind, suspect));
                }
            }
            let mut left = BTreeMap::new();
            let subjects: Vec<Subject> = suspects.keys().cloned().collect();
            for part in subjects.chunks(IDS) {
                for (subject, seen) in self.look_again(mapping, part).await? {
                    match seen {
                        Seen::Fine if subject.row().is_none_or(|row| !look.met.contains(row)) => {
                            look.verdict.meanwhile += 1;
                        }
                        Seen::Fine => {}
                        Seen::Unsent(row, why) => look.leave_out(&row, why),
                        Seen::Leaving => look.verdict.leaving += 1,
                        // The same as before the reader came by: it will not mend it.
                        Seen::Differs(print, finding) if suspects.get(&subject) == Some(&print) => {
                            look.find(*finding)
                        }
                        Seen::Differs(print, _) => {
                            left.insert(subject, print);
                        }
                    }
                }
            }
            suspects = left;
            if suspects.is_empty() {
                break;
            }
        }
        look.verdict.unsettled += suspects.len() as i64;
        Ok(())
    }

    /// Both sides of suspects as they are now.
    async fn look_again(
        &self,
        mapping: &Mapping,
        subjects: &[Subject],
    ) -> Result<Vec<(Subject, Seen)>, Error> {
        let ids: Vec<i32> = subjects.iter().filter_map(Subject::row).collect();
        let sfids: Vec<&str> = subjects.iter().filter_map(Subject::record).collect();
        let rows: HashMap<i32, Compared> = self
            .store
            .rows_to_compare(mapping, &ids)
            .await?
            .into_iter()
            .map(|row| (row.row.0, row))
            .collect();
        let by_record = self.store.rows_of_records(mapping, &sfids).await?;
        let leaving: HashSet<String> = self.store.leaving(mapping, &sfids).await?.into_iter().collect();
        let asked: Vec<&str> =
            rows.values().filter_map(|row| row.sfid.as_deref()).chain(sfids.iter().copied()).collect();
        let records = again(TRIES, || reader::records(&self.client, mapping, &asked)).await?;
        let mut seen = Vec::new();
        for subject in subjects {
            let now = match subject {
                Subject::Record(sfid) => match records.get(sfid) {
                    Some(_) if by_record.contains_key(sfid) => Seen::Fine,
                    Some(_) if leaving.contains(sfid) => Seen::Leaving,
                    Some(record) => Seen::Differs(print(None, Some(record)), Box::new(no_row(mapping, sfid))),
                    None => Seen::Fine,
                },
                Subject::Row(id) => match rows.get(id) {
                    Some(row) => match row.unsent {
                        Some(why) => Seen::Unsent(Box::new(row.clone()), why),
                        None => {
                            let record = row.sfid.as_ref().and_then(|sfid| records.get(sfid));
                            compared(mapping, row, record)
                        }
                    },
                    None => Seen::Fine,
                },
            };
            seen.push((subject.clone(), now));
        }
        Ok(seen)
    }

    /// Until the mapping's reader has begun and ended a whole poll: the second end from now. Without an engine there is
    /// nothing to wait for.
    async fn wait_for_reader(&self, mapping: &Mapping, stop: &CancellationToken) -> Result<(), Error> {
        let patience = mapping.rules.poll_interval * 3 + Duration::from_secs(15);
        let begin = tokio::time::Instant::now();
        let mut ends = 0;
        let mut last = self.store.last_read(&mapping.object).await?;
        while ends < 2 && begin.elapsed() < patience && !stop.is_cancelled() {
            if self.store.overview().await?.engine.state != "running" {
                return Ok(());
            }
            self.store.notify("poll").await?;
            tokio::time::sleep(Duration::from_millis(100)).await;
            let now = self.store.last_read(&mapping.object).await?;
            if now != last {
                (last, ends) = (now, ends + 1);
            }
        }
        Ok(())
    }

    /// Duplicates and orphans, as they stand in PostgreSQL.
    async fn suspects_by_place(&self, mapping: &Mapping) -> Result<HashSet<(Kind, Suspect)>, Error> {
        let limit = LISTED as i64;
        let mut found: HashSet<(Kind, Suspect)> = HashSet::new();
        let duplicates = self.store.duplicates(mapping, limit).await?;
        found.extend(duplicates.into_iter().map(|suspect| (Kind::Duplicate, suspect)));
        let mappings = self.store.definitions().await?;
        let of_object = |object: &str| mappings.iter().find(|mapping| mapping.object == object);
        for field in mapping.read_fields() {
            let parents: Vec<(&Mapping, String)> = match mapping.parent(&field.column) {
                Some(parent) => {
                    let of = of_object(&parent.object);
                    of.map(|of| (of, parent.field.to_lowercase())).into_iter().collect()
                }
                None if field.kind == FieldType::Reference => {
                    let targets: Option<Vec<&Mapping>> =
                        field.reference_to.iter().map(|object| of_object(object)).collect();
                    // A parent of an object that is not mapped may be anywhere.
                    targets.into_iter().flatten().map(|of| (of, "sfid".to_owned())).collect()
                }
                None => continue,
            };
            if parents.is_empty() {
                continue;
            }
            let places: Vec<(&str, &str)> =
                parents.iter().map(|(of, key)| (of.table.as_str(), key.as_str())).collect();
            let orphans = self.store.orphans(mapping, &field.column, &places, limit).await?;
            for orphan in orphans {
                // An application may have written an id in its short form.
                let long = Sfid::parse(&orphan.value).map(|sfid| sfid.as_str().to_owned());
                let there = match long.filter(|long| *long != orphan.value) {
                    Some(long) => {
                        let mut there = false;
                        for (of, _) in &parents {
                            there |= self.store.row_of(of, &long).await?.is_some();
                        }
                        there
                    }
                    None => false,
                };
                if !there {
                    found.insert((Kind::Orphan, orphan));
                }
            }
        }
        Ok(found)
    }
}

/// What is looked at again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Row(i32),
    Record(String),
}

impl Subject {
    fn row(&self) -> Option<i32> {
        if let Subject::Row(row) = self { Some(*row) } else { None }
    }

    fn record(&self) -> Option<&str> {
        if let Subject::Record(sfid) = self { Some(sfid) } else { None }
    }
}

/// How a suspect looks now.
enum Seen {
    Fine,
    /// A change of the row is not sent.
    Unsent(Box<Compared>, Unsent),
    /// The record's row was deleted, which is not sent.
    Leaving,
    Differs(u64, Box<Finding>),
}

/// A look under way. What it holds for each row is a bit, and for each suspect a few words.
#[derive(Default)]
struct Look {
    verdict: Verdict,
    met: Bits,
    suspects: BTreeMap<Subject, u64>,
}

impl Look {
    fn suspect(&mut self, subject: Subject, print: u64) {
        if self.suspects.len() < LISTED {
            self.suspects.insert(subject, print);
        } else {
            self.verdict.unsettled += 1;
        }
    }

    /// A row of which something is not sent is in order, whatever its record holds.
    fn leave_out(&mut self, row: &Compared, why: Unsent) {
        let Verdict { absent, unsent, compared, .. } = &mut self.verdict;
        if self.met.contains(row.row.0) {
            // It counted as compared before it changed.
            *compared -= 1;
        }
        let counts = if row.sfid.is_none() { absent } else { unsent };
        *counts.entry(why).or_default() += 1;
    }

    fn find(&mut self, finding: Finding) {
        *self.verdict.counts.entry(finding.kind).or_default() += 1;
        if self.verdict.findings.len() < LISTED {
            self.verdict.findings.push(finding);
        }
    }
}

/// Row ids, a bit each.
#[derive(Default)]
struct Bits(Vec<u64>);

impl Bits {
    fn insert(&mut self, id: i32) {
        let id = usize::try_from(id).unwrap_or(0);
        if self.0.len() <= id / 64 {
            self.0.resize(id / 64 + 1, 0);
        }
        self.0[id / 64] |= 1 << (id % 64);
    }

    fn contains(&self, id: i32) -> bool {
        let id = usize::try_from(id).unwrap_or(0);
        self.0.get(id / 64).is_some_and(|bits| bits >> (id % 64) & 1 == 1)
    }
}

fn compared(mapping: &Mapping, row: &Compared, record: Option<&Value>) -> Seen {
    let finding = |kind, fields| Finding {
        kind,
        mapping: mapping.object.clone(),
        row: Some(RowRef { table: mapping.table.clone(), row: row.row }),
        sfid: row.sfid.clone(),
        fields,
        text: String::new(),
    };
    let print = print(Some(row), record);
    match record {
        None => Seen::Differs(print, Box::new(finding(Kind::RowWithoutRecord, Vec::new()))),
        Some(record) => match differences(mapping, &row.values, &texts(mapping, record)) {
            fields if fields.is_empty() => Seen::Fine,
            fields => Seen::Differs(print, Box::new(finding(Kind::Mismatch, fields))),
        },
    }
}

fn no_row(mapping: &Mapping, sfid: &str) -> Finding {
    Finding {
        kind: Kind::RecordWithoutRow,
        mapping: mapping.object.clone(),
        row: None,
        sfid: Some(sfid.to_owned()),
        fields: Vec::new(),
        text: String::new(),
    }
}

fn place(mapping: &Mapping, kind: Kind, suspect: &Suspect) -> Finding {
    let others: Vec<String> = suspect.others.iter().map(ToString::to_string).collect();
    let text = match kind {
        Kind::Duplicate => {
            format!("{} {:?}, also in row {}", suspect.column, suspect.value, others.join(", "))
        }
        _ => format!("{} names {}, which has no row", suspect.column, suspect.value),
    };
    Finding {
        kind,
        mapping: mapping.object.clone(),
        row: Some(RowRef { table: mapping.table.clone(), row: suspect.row }),
        sfid: suspect.sfid.clone(),
        fields: Vec::new(),
        text,
    }
}

fn id_of(record: &Value) -> Option<&str> {
    record.get("Id").and_then(Value::as_str)
}

/// A record's values by column, as PostgreSQL would print them.
fn texts(mapping: &Mapping, record: &Value) -> Hstore {
    let row = value::to_row(mapping, record);
    let text = |field: &crate::domain::field::Field| {
        row.get(&field.column).and_then(|found| value::to_text(field, found))
    };
    mapping.read_fields().map(|field| (field.column.clone(), text(field))).collect()
}

/// Both sides in a number: the same number is the same state.
fn print(row: Option<&Compared>, record: Option<&Value>) -> u64 {
    let mut hasher = DefaultHasher::new();
    row.map(|row| (row.row.0, &row.sfid, &row.values)).hash(&mut hasher);
    record.map(Value::to_string).hash(&mut hasher);
    hasher.finish()
}
