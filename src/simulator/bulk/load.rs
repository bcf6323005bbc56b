//! Carrying an ingest job out: in chunks of 200, of which each is one transaction, in no particular order. The org is
//! locked for one chunk at a time.

use std::collections::HashMap;
use std::sync::Arc;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use serde_json::{Map, Value};

use super::classic::job::too_many;
use super::columns::Columns;
use super::jobs::{Done, JobState, is_batch};
use super::operation::Operation;
use super::sheet::Sheet;
use crate::simulator::collections::named_twice;
use crate::simulator::hold::go_on;
use crate::simulator::ids::long_id;
use crate::simulator::org::{Org, State};
use crate::simulator::rejection::{Rejection, Saved};
use crate::simulator::save::{self, Writer};
use crate::simulator::schema::{FieldDef, ObjectDef};

/// Records of one transaction.
const CHUNK: usize = 200;
/// Rows of one of the batches that the daily limit counts.
const BATCH: usize = 10_000;

/// The id that a row names, and its values.
type RowRead = (Option<String>, Map<String, Value>);

/// A job that is carried out.
struct Load {
    job: String,
    object: String,
    operation: Operation,
    key: Option<FieldDef>,
    sheet: Arc<Sheet>,
    columns: Columns,
    request: u64,
    origin: String,
}

/// Carries a job out whose upload is complete.
pub(super) async fn run(org: Org, job: String, request: u64, origin: String) {
    let work = carry_out(org.clone(), job.clone(), request, origin);
    watch(&org, &job, work).await;
}

/// Waits for the work on a job: a panic in it is no reason to leave the job open for ever.
async fn watch(org: &Org, job: &str, work: impl Future<Output = ()> + Send + 'static) {
    if tokio::spawn(work).await.is_err() {
        let message = "InternalServerError : An unexpected error occurred.".to_owned();
        end(&mut org.lock(), job, JobState::Failed, Some(message));
    }
}

async fn carry_out(org: Org, job: String, request: u64, origin: String) {
    let reading = org.clone();
    let load = match tokio::task::spawn_blocking(move || read(&reading, job, request, origin)).await {
        Ok(Some(load)) => load,
        Ok(None) => return,
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    };
    let seed = org.lock().options.seed;
    let load = Arc::new(load);
    let chunks = load.chunks(seed);
    let count = chunks.len();
    for (at, chunk) in chunks.into_iter().enumerate() {
        if go_on(&org, |faults| faults.hold_jobs, |state| progress(state, &load.job)).await.is_none() {
            return;
        }
        if load.fails(&org, at == count / 2) {
            return;
        }
        let (saving, org) = (load.clone(), org.clone());
        match tokio::task::spawn_blocking(move || saving.save_chunk(&org, &chunk)).await {
            Ok(()) => {}
            Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
            // The program ends.
            Err(_) => return,
        }
    }
    end(&mut org.lock(), &load.job, JobState::JobComplete, None);
}

/// How many records of a job were looked at; `None` when somebody ended it.
fn progress(state: &State, job: &str) -> Option<usize> {
    let job = state.jobs.ingest.get(job)?;
    (!job.head.state.is_over()).then_some(job.done.len())
}

/// Ends a job, unless somebody else did.
fn end(state: &mut State, job: &str, how: JobState, error: Option<String>) {
    if let Some(job) = state.jobs.ingest.get_mut(job)
        && !job.head.state.is_over()
    {
        job.head.enter(how);
        job.error = error;
    }
}

/// Takes the upload apart; `None` when the job ends with that.
fn read(org: &Org, id: String, request: u64, origin: String) -> Option<Load> {
    let (upload, dialect, operation, key, object) = {
        let mut state = org.lock();
        let job = state.jobs.ingest.get_mut(&id).filter(|job| !job.head.state.is_over())?;
        let upload = job.upload.clone().unwrap_or_default();
        (upload, job.head.dialect, job.operation, job.key.clone(), job.head.object.clone())
    };
    let sheet = dialect.read(&upload);
    let mut state = org.lock();
    let defs: Vec<Arc<ObjectDef>> = state.tables.iter().map(|table| table.def.clone()).collect();
    let def_of = |name: &str| defs.iter().find(|def| def.name.eq_ignore_ascii_case(name)).cloned();
    let def = def_of(&object);
    let job = state.jobs.ingest.get_mut(&id)?;
    let bound = sheet.map(Arc::new).and_then(|sheet| {
        // Of a job that fails with its header, all rows are unprocessed.
        (job.sheet, job.upload) = (Some(sheet.clone()), None);
        let def = def.ok_or_else(|| format!("InvalidBatch : Unable to find object: {object}"))?;
        if let Some(message) = too_many(sheet.rows.len()).filter(|_| is_batch(&id)) {
            return Err(message);
        }
        let columns = Columns::of(&sheet, &def, operation, key.as_deref(), def_of)?;
        Ok((sheet, columns, key.and_then(|key| def.field(&key).cloned())))
    });
    match bound {
        Ok((sheet, columns, key)) => {
            // A batch was counted when it came.
            if !is_batch(&id) {
                state.jobs.batches += sheet.rows.len().div_ceil(BATCH) as u64;
            }
            let job = state.jobs.ingest.get_mut(&id).filter(|job| !job.head.state.is_over())?;
            job.head.enter(JobState::InProgress);
            Some(Load { job: id, object, operation, key, sheet, columns, request, origin })
        }
        Err(message) => {
            end(&mut state, &id, JobState::Failed, Some(message));
            None
        }
    }
}

impl Load {
    /// The rows in chunks, and both in an order that no client should count on.
    fn chunks(&self, seed: u64) -> Vec<Vec<usize>> {
        let rows: Vec<usize> = (0..self.sheet.rows.len()).collect();
        let mut chunks: Vec<Vec<usize>> = rows.chunks(CHUNK).map(<[usize]>::to_vec).collect();
        chunks.shuffle(&mut StdRng::seed_from_u64(seed));
        chunks
    }

    /// Whether the job fails here as a whole, as a test wants it.
    fn fails(&self, org: &Org, in_the_middle: bool) -> bool {
        let mut state = org.lock();
        let fails = in_the_middle && state.faults.job_fails();
        if fails {
            let message = "TooManyLockFailure : Too many lock failure 4. Trying again later.".to_owned();
            end(&mut state, &self.job, JobState::Failed, Some(message));
        }
        fails
    }

    /// Reads the rows of a chunk, waits for the turn to write, and saves them.
    fn save_chunk(&self, org: &Org, chunk: &[usize]) {
        let read: Vec<_> = chunk.iter().map(|&row| (row, self.record(row))).collect();
        let (_turn, mut state) = (org.turn(), org.lock());
        if progress(&state, &self.job).is_none() {
            return;
        }
        let done = self.save(&mut state, chunk, read);
        if let Some(job) = state.jobs.ingest.get_mut(&self.job) {
            job.failed += done.iter().filter(|done| done.outcome.is_err()).count();
            // Results are shared with readers only when the job is over: nothing is copied here.
            Arc::make_mut(&mut job.done).extend(done);
        }
    }

    /// Saves the rows of a chunk, each for itself.
    fn save(&self, state: &mut State, rows: &[usize], read: Vec<(usize, Saved<RowRead>)>) -> Vec<Done> {
        let writer = Writer::api(self.request, &self.origin, rows.len());
        let mut twice = self.named_twice(rows);
        let mut done: Vec<Done> = read
            .into_iter()
            .map(|(row, read)| {
                let known = read.as_ref().ok().and_then(|(id, _)| id.clone()).unwrap_or_default();
                let saved = read.and_then(|(id, fields)| match twice.remove(&row) {
                    Some(rejection) => Err(vec![rejection]),
                    None => self.save_one(state, id, fields, &writer),
                });
                match saved {
                    Ok((id, created)) => Done { row, id, outcome: Ok(created) },
                    Err(rejections) => Done { row, id: known, outcome: Err(rejections) },
                }
            })
            .collect();
        // Results come in any order.
        done.reverse();
        done
    }

    fn record(&self, row: usize) -> Saved<RowRead> {
        if self.sheet.malformed.contains(&row) {
            let message = "A value in quotes has something beside them, or no end".to_owned();
            return Err(vec![Rejection::new("CLIENT_INPUT_ERROR", message, &[])]);
        }
        self.columns.record(&self.sheet.rows[row])
    }

    fn save_one(
        &self,
        state: &mut State,
        id: Option<String>,
        fields: Map<String, Value>,
        writer: &Writer,
    ) -> Saved<(String, bool)> {
        let needed = |call: &str| {
            let message = format!("Id not specified in {call} call");
            vec![Rejection::new("MISSING_ARGUMENT", message, &[])]
        };
        let by_id = self.key.as_ref().is_some_and(|key| key.name == "Id");
        match (self.operation, id) {
            (Operation::Insert, Some(_)) => {
                let message = "cannot specify Id in an insert call".to_owned();
                Err(vec![Rejection::new("INVALID_FIELD_FOR_INSERT_UPDATE", message, &["Id"])])
            }
            (Operation::Update, None) => Err(needed("an update")),
            (Operation::Delete, None) => Err(needed("a delete")),
            (Operation::Delete, Some(id)) => {
                save::delete_of(state, &self.object, &id, writer).map(|id| (id, false))
            }
            (Operation::Update, Some(id)) => self.update(state, &id, fields, writer),
            (Operation::Upsert, Some(id)) if by_id => self.update(state, &id, fields, writer),
            (Operation::Upsert, _) if !by_id => {
                let key = self.key.as_ref().map_or("", |key| key.name.as_str());
                save::upsert(state, &self.object, key, fields, writer)
            }
            (Operation::Insert | Operation::Upsert, _) => {
                save::create(state, &self.object, fields, writer).map(|id| (id, true))
            }
        }
    }

    fn update(
        &self,
        state: &mut State,
        id: &str,
        fields: Map<String, Value>,
        writer: &Writer,
    ) -> Saved<(String, bool)> {
        save::update(state, &self.object, id, fields, writer)?;
        Ok((long_id(id).unwrap_or_default(), false))
    }

    /// Why a row is refused whose Id or key another row of the chunk has too. The first update of a record is carried out.
    fn named_twice(&self, rows: &[usize]) -> HashMap<usize, Rejection> {
        let (name, what) = match (self.operation, &self.key) {
            (Operation::Update, _) => ("Id", "duplicate id"),
            (Operation::Upsert, Some(key)) => (key.name.as_str(), "Duplicate external id"),
            _ => return HashMap::new(),
        };
        let column = self.sheet.header.iter().position(|column| column.eq_ignore_ascii_case(name));
        let text = |row: usize| column.and_then(|at| self.sheet.rows[row].get(at)).unwrap_or_default();
        let folded = |row: &usize| match &self.key {
            Some(key) if key.name != "Id" => key.folded(&Value::from(text(*row))),
            _ => long_id(text(*row)),
        };
        let refused = |(at, _): (usize, bool)| {
            let message = format!("{what} specified: {}", text(rows[at]));
            (rows[at], Rejection::new("DUPLICATE_VALUE", message, &[name]))
        };
        let twice = named_twice(rows.iter().map(folded)).into_iter();
        twice.filter(|(_, first)| !first || self.operation == Operation::Upsert).map(refused).collect()
    }
}

/// `CODE:message:Field1 Field2 --`
pub(super) fn told(rejections: &[Rejection]) -> String {
    let one = |rejection: &Rejection| {
        let fields = rejection.fields.join(" ");
        let space = if fields.is_empty() { "" } else { " " };
        format!("{}:{}:{fields}{space}--", rejection.code, rejection.message)
    };
    rejections.iter().map(one).collect::<Vec<_>>().join(";")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::jobs::{Head, Ingest};
    use super::super::sheet::Dialect;
    use super::*;
    use crate::simulator::org::OrgOptions;

    #[tokio::test]
    async fn a_panic_ends_the_job() {
        let org = Org::new(OrgOptions::default());
        let dialect = Dialect::of(&json!({})).unwrap();
        let head = Head::new("J".to_owned(), "Contact".to_owned(), "v62.0", dialect, JobState::InProgress);
        let (operation, done) = (Operation::Insert, Arc::default());
        let job = Ingest {
            head,
            operation,
            key: None,
            upload: None,
            size: 0,
            sheet: None,
            done,
            failed: 0,
            error: None,
        };
        org.lock().jobs.ingest.insert("J".to_owned(), job);
        watch(&org, "J", async { panic!("as a test wants it") }).await;
        let told = org.lock().jobs.ingest["J"].told_whole();
        assert_eq!(told["state"], "Failed");
        assert_eq!(told["errorMessage"], "InternalServerError : An unexpected error occurred.");
    }
}
