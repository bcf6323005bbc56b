//! What became of a job's rows. Results come in no order, and in three parts; each row is in exactly one. What is in none, or
//! in two, is not known, and counts as a lost answer.

use std::collections::{HashMap, HashSet};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::domain::changes::dispatch::Call;
use crate::domain::changes::write_job::{JobUnit, call_of, short};
use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::RowId;
use crate::domain::values::hstore::Hstore;
use crate::domain::values::key;
use crate::engine::write::record::JobRecord;
use crate::engine::write::send::{Settled, lose, settle};
use crate::engine::{Shared, schema};
use crate::postgres::changes::write_jobs::WriteJob;
use crate::postgres::{Error, failpoint};
use crate::salesforce;
use crate::salesforce::collections::SaveResult;
use crate::salesforce::ingest::{IngestCounts, ResultPart, ResultRows};

use super::begin::ask;
use super::sheet::sent;
use super::{Driven, SLICE};

/// Slices that are acknowledged at once: each is of other units.
const SIDE_BY_SIDE: usize = 3;

/// A row in one of the parts.
type Place = (usize, usize);

/// All results of a job.
pub(super) struct Known {
    parts: Vec<(ResultPart, ResultRows)>,
    /// Where the row of each mark is; nothing where it is in two places.
    places: HashMap<String, Option<Place>>,
    /// Rows that name no record.
    unmarked: usize,
}

impl Known {
    /// Nothing: of no row it is known what became of it.
    pub(super) fn nothing() -> Known {
        Known { parts: Vec::new(), places: HashMap::new(), unmarked: 0 }
    }

    /// Asks for them; nothing where the way to Salesforce is closed meanwhile. They are useless where they are not as many as
    /// the job says that it looked at.
    pub(super) async fn ask(
        shared: &Shared,
        mapping: &Mapping,
        id: &str,
        job: &WriteJob,
        counts: Option<IngestCounts>,
    ) -> Result<Option<Known>, salesforce::Error> {
        let mut known = Known::nothing();
        for part in ResultPart::ALL {
            if shared.link.closed_for().is_some() {
                return Ok(None);
            }
            let rows = ask(shared, mapping, shared.client.ingest_results(id, part)).await?;
            if !rows.is_empty() && rows.place(&job.key_field).is_none() {
                return Err(shared.client.unusable("the results of a job do not name its records"));
            }
            known.add(part, rows, job, |text| mark(mapping, job, text));
        }
        if !known.adds_up(counts) {
            return Err(shared.client.unusable("the results of a job are not as many as it says"));
        }
        Ok(Some(known))
    }

    fn adds_up(&self, counts: Option<IngestCounts>) -> bool {
        let count = |wanted: ResultPart| {
            let of_part = self.parts.iter().filter(|(part, _)| *part == wanted);
            of_part.map(|(_, rows)| rows.len() as u64).sum::<u64>()
        };
        let (saved, failed) = (count(ResultPart::Successful), count(ResultPart::Failed));
        counts == Some(IngestCounts { processed: saved + failed, failed })
    }

    fn add(
        &mut self,
        part: ResultPart,
        rows: ResultRows,
        job: &WriteJob,
        mark: impl Fn(&str) -> Option<String>,
    ) {
        let at = self.parts.len();
        let column = rows.place(&job.key_field).unwrap_or_default();
        for row in 0..rows.len() {
            match mark(rows.value(row, column)) {
                Some(mark) => {
                    let place = self.places.entry(mark);
                    place.and_modify(|known| *known = None).or_insert(Some((at, row)));
                }
                None => self.unmarked += 1,
            }
        }
        self.parts.push((part, rows));
    }

    /// The one row of a unit.
    fn of(&self, unit: &JobUnit, call: Call) -> Option<(ResultPart, &ResultRows, usize)> {
        let (part, row) = (*self.places.get(unit.mark(call)?)?)?;
        self.parts.get(part).map(|(kind, rows)| (*kind, rows, row))
    }
}

/// What tells a row from others, by the value that names its record.
fn mark(mapping: &Mapping, job: &WriteJob, text: &str) -> Option<String> {
    if job.operation != "upsert" {
        return (!text.is_empty()).then(|| short(text).to_owned());
    }
    match mapping.external_id_field().filter(|field| field.name.eq_ignore_ascii_case(&job.key_field)) {
        Some(field) => key::fold(field, text),
        // The mapping has another key by now.
        None => Some(text.to_lowercase()),
    }
}

/// What became of the rows, to be acknowledged.
#[derive(Default)]
struct Sorted {
    /// Saved or refused, with what Salesforce told.
    answered: Vec<(JobUnit, SaveResult, (Hstore, Value))>,
    unprocessed: HashSet<RowId>,
    lost: Vec<JobUnit>,
}

fn sort(mapping: &Mapping, call: Call, units: Vec<JobUnit>, known: &Known) -> Sorted {
    let mut sorted = Sorted::default();
    for unit in units {
        let Some((part, rows, row)) = known.of(&unit, call) else {
            sorted.lost.push(unit);
            continue;
        };
        let id = rows.id(row).map(str::to_owned);
        let result = match part {
            ResultPart::Unprocessed => {
                sorted.unprocessed.insert(unit.row);
                continue;
            }
            ResultPart::Successful => {
                // An update or delete that names another record is about that one.
                let is_of_another =
                    call != Call::Upsert && id.as_deref().map(short) != unit.named(call).map(short);
                if id.is_none() || is_of_another {
                    sorted.lost.push(unit);
                    continue;
                }
                SaveResult { id, success: true, created: Some(rows.is_created(row)), errors: Vec::new() }
            }
            ResultPart::Failed => SaveResult { id, success: false, created: None, errors: rows.errors(row) },
        };
        sorted.answered.push((unit, result, sent(mapping, rows.uploaded(row))));
    }
    sorted
}

/// Acknowledges what became of a job's rows, in transactions of a bounded size, and ends it. False when another engine has it.
pub(super) async fn keep(
    shared: &Shared,
    driven: &mut Driven,
    mapping: &Mapping,
    id: &str,
    known: &Known,
) -> Result<bool, Error> {
    failpoint::pass(failpoint::AFTER_JOB_RESULTS).await?;
    // For the server's time, too: how long changes waited is told by it.
    if !driven.renew(shared).await? {
        return Ok(false);
    }
    let units = shared.store.write_job_units(&driven.job).await?;
    let Some((call, units)) = call_of(&driven.job.operation).zip(units) else {
        let text = "what was kept of a job of Bulk API 2.0 cannot be read; its rows are sent again";
        shared.log.of("writer").error(text, json!({"mapping": mapping.object, "job": id}));
        driven.end(shared).await?;
        return Ok(true);
    };
    let Sorted { answered, unprocessed, lost } = sort(mapping, call, units, known);
    let (back, unknown) = (unprocessed.len(), lost.len());
    let Some(settled) = keep_answers(shared, driven, mapping, id, call, answered).await? else {
        return Ok(false);
    };
    if back > 0 {
        let held = shared.store.held_for_write_job(&driven.job.token).await?;
        let units = held.into_iter().filter(|unit| unprocessed.contains(&unit.row)).collect();
        driven.give_back(shared, units).await?;
        shared.bulk_writes.note_back(back);
    }
    if !keep_lost(shared, driven, mapping, id, call, lost).await? {
        return Ok(false);
    }
    driven.end(shared).await?;
    tell_end(shared, driven, mapping, id, settled, (back, unknown), known.unmarked);
    Ok(true)
}

/// Acknowledges rows that were saved or refused; nothing when another engine has the job.
async fn keep_answers(
    shared: &Shared,
    driven: &mut Driven,
    mapping: &Mapping,
    id: &str,
    call: Call,
    mut answered: Vec<(JobUnit, SaveResult, (Hstore, Value))>,
) -> Result<Option<Settled>, Error> {
    let mut total = Settled::default();
    let mut codes = answered.iter().flat_map(|(_, result, _)| &result.errors).map(|error| &error.status_code);
    if codes.any(|code| ["INVALID_FIELD", "INVALID_FIELD_FOR_INSERT_UPDATE"].contains(&code.as_str())) {
        schema::want(shared, &mapping.object, true);
    }
    while !answered.is_empty() {
        // An answer is kept as long as the lease lives.
        if !driven.renew_if_due(shared).await? {
            return Ok(None);
        }
        let mut slices = Vec::new();
        while !answered.is_empty() && slices.len() < SIDE_BY_SIDE {
            let rest = answered.split_off(answered.len().min(SLICE));
            let (mut outgoing, mut results) = (Vec::new(), Vec::new());
            for (unit, result, (patch, record)) in std::mem::replace(&mut answered, rest) {
                let job = unit.job(&driven.job.table, call, patch, driven.now);
                outgoing.push(JobRecord { job, record });
                results.push(result);
            }
            slices.push(settle(shared, &driven.claim, mapping, id, outgoing, results));
        }
        // None is cut off because another one failed.
        for settled in join_all(slices).await {
            let settled = settled?;
            total.accepted += settled.accepted;
            total.rejected += settled.rejected;
        }
        failpoint::pass(failpoint::MID_JOB_RESULTS).await?;
    }
    Ok(Some(total))
}

/// Acknowledges rows of which nobody knows what became of them. False when another engine has the job.
async fn keep_lost(
    shared: &Shared,
    driven: &mut Driven,
    mapping: &Mapping,
    id: &str,
    call: Call,
    mut lost: Vec<JobUnit>,
) -> Result<bool, Error> {
    let host = String::from("the job");
    let error = salesforce::Error::Lost { host, cause: format!("{id} does not tell what became of the row") };
    while !lost.is_empty() {
        let rest = lost.split_off(lost.len().min(SLICE));
        if !driven.renew_if_due(shared).await? {
            return Ok(false);
        }
        let outgoing = lost.into_iter().map(|unit| {
            // What else was sent is with Salesforce only.
            let record = json!({ (driven.job.key_field.as_str()): unit.named(call) });
            JobRecord { job: unit.job(&driven.job.table, call, Hstore::new(), driven.now), record }
        });
        let outgoing = outgoing.collect();
        // However few they are, they did not go alone.
        lose(shared, &driven.claim, mapping, id, outgoing, (&error, false)).await?;
        lost = rest;
    }
    Ok(true)
}

fn tell_end(
    shared: &Shared,
    driven: &Driven,
    mapping: &Mapping,
    id: &str,
    settled: Settled,
    (back, unknown): (usize, usize),
    unmarked: usize,
) {
    let took = (driven.now - driven.job.began_at).to_std().unwrap_or_default();
    let Settled { accepted, rejected, .. } = settled;
    let mut text =
        format!("{}: a job of Bulk API 2.0 is over: {accepted} taken, {rejected} rejected", mapping.object);
    if back > 0 {
        text += &format!(", {back} not processed");
    }
    if unknown > 0 {
        text += &format!(", {unknown} without an answer, which are sent again");
    }
    if unmarked > 0 {
        text += &format!("; {unmarked} of its rows name no record");
    }
    let fields = json!({"mapping": mapping.object, "job": id, "taken": accepted, "rejected": rejected, "not_processed": back,
        "unknown": unknown, "seconds": format!("{:.1}", took.as_secs_f64())});
    let log = shared.log.of("writer");
    if rejected > 0 || back > 0 || unknown > 0 || unmarked > 0 {
        log.warn(text, fields)
    } else {
        log.info(text, fields)
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::domain::changes::dispatch::{Claimed, Job};

    fn update(row: i32) -> JobUnit {
        let unit = Claimed { table: "contact".to_owned(), row: RowId(row), ..Claimed::default() };
        JobUnit::of(&Job::bare(unit, Call::Update, "update", Some(id(row)), 1))
    }

    fn id(row: i32) -> String {
        format!("003sd000000000{row}AAA")
    }

    #[test]
    fn each_row_is_in_exactly_one_part_or_nobody_knows_what_became_of_it() {
        let mapping = Mapping::plain("Contact", Vec::new());
        let job = WriteJob {
            token: String::new(),
            table: "contact".to_owned(),
            job: None,
            operation: "update".to_owned(),
            key_field: "Id".to_owned(),
            closed: true,
            began_at: DateTime::UNIX_EPOCH,
        };
        let mut known = Known::nothing();
        let mut add = |part, text: String| {
            let rows = ResultRows::parse(part, text.as_bytes()).unwrap();
            known.add(part, rows, &job, |text| mark(&mapping, &job, text));
        };
        // In no order; 4 is in two parts, 5 is told as another record, 6 is nowhere.
        let saved = [(2, 2), (1, 1), (4, 4), (5, 9)];
        let saved = saved.map(|(row, told)| format!("\"{}\",\"false\",\"{}\"\n", id(told), id(row)));
        add(ResultPart::Successful, format!("\"sf__Id\",\"sf__Created\",\"Id\"\n{}", saved.concat()));
        let failed =
            [4, 3].map(|row| format!("\"\",\"INVALID_EMAIL_ADDRESS:no:Email --\",\"{}\"\n", id(row)));
        add(ResultPart::Failed, format!("\"sf__Id\",\"sf__Error\",\"Id\"\n{}", failed.concat()));
        add(ResultPart::Unprocessed, format!("\"Id\"\n\"{}\"\n\"\"\n", id(8)));
        let units = [1, 2, 3, 4, 5, 6, 8].map(update).to_vec();
        let sorted = sort(&mapping, Call::Update, units, &known);
        let answered: Vec<(i32, bool)> =
            sorted.answered.iter().map(|(unit, result, _)| (unit.row.0, result.success)).collect();
        assert_eq!(answered, [(1, true), (2, true), (3, false)]);
        assert_eq!(sorted.lost.iter().map(|unit| unit.row.0).collect::<Vec<_>>(), [4, 5, 6]);
        assert_eq!(sorted.unprocessed, HashSet::from([RowId(8)]));
        assert_eq!(known.unmarked, 1);
        assert!(known.adds_up(Some(IngestCounts { processed: 6, failed: 2 })));
        assert!(!known.adds_up(Some(IngestCounts { processed: 7, failed: 2 })));
        assert!(
            !known.adds_up(None) && !Known::nothing().adds_up(Some(IngestCounts { processed: 1, failed: 0 }))
        );
        let nothing = sort(&mapping, Call::Update, vec![update(1)], &Known::nothing());
        assert_eq!(nothing.lost.len(), 1);
    }
}
