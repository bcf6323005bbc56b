//! A load by a job of Bulk API 2.0: Salesforce works the whole query off by itself, and its result comes in large pages. It is
//! worth its calls where there are many records; what it cannot read is read by a query.
//!
//! The job is kept with the mapping (`LoadJob`), so that an engine that takes over finds it: a first load goes on with the page
//! that was to come, a reload takes the result from its beginning, for it must know which records it met. While a page is
//! stored the next one is on its way; more than these two are never held.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;
use tokio::time::Instant;

use crate::domain::mappings::field::FieldType;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::reports::forecast::FEW;
use crate::domain::values::checksum::checksum;
use crate::postgres::reports::status::{Cursor, Lease};
use crate::postgres::tables::copy::CopyText;
use crate::postgres::tables::load::LoadJob;
use crate::salesforce::bulk::{JobState, LONGEST_QUERY, Pages};
use crate::salesforce::query::Selection;
use crate::salesforce::retry::{TRIES, again, is_passing};
use crate::salesforce::sheet::Sheet;
use crate::salesforce::{self, value};

use super::apply::{self, Applied, settle};
use super::fetch::{self, ReadError};
use super::loading::Load;
use super::replaced;
use crate::engine::{Shared, connection};

/// So often a job may fail in a row before the records are read by a query.
const FAILURES: u32 = 3;
/// Between two looks at a job, at first and at most.
const FIRST_LOOK: Duration = Duration::from_millis(100);
const NEXT_LOOK: Duration = Duration::from_secs(10);
/// How long a job may take. Salesforce gives one up after far less.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Records that are looked at one by one in one go.
const PART: usize = 2_000;

/// How a load by a job ended.
pub(super) enum Outcome {
    /// Every record was read.
    Read,
    /// The engine's end came first; the job goes on by itself.
    Stopped,
    /// The records are to be read by a query, and why.
    Pages(String),
}

/// Why a job cannot be gone on with.
enum Failed {
    /// Another one may bring more.
    Job(String),
    /// The answer to one request. The job may be well.
    Request(ReadError),
}

impl<E: Into<ReadError>> From<E> for Failed {
    fn from(error: E) -> Failed {
        Failed::Request(error.into())
    }
}

/// The job of a load that an engine left, if it still is about what is read now. Another one is taken back.
pub(super) async fn kept(
    shared: &Shared,
    mapping: &Mapping,
    lease: &Lease,
    reload: Option<DateTime<Utc>>,
) -> Result<Option<LoadJob>, ReadError> {
    let Some(job) = shared.store.load_job(&mapping.object).await? else { return Ok(None) };
    if job.query == query_of(shared, mapping) && job.reload == reload {
        return Ok(Some(job));
    }
    take_back(shared, mapping, job.id.as_deref()).await;
    shared.store.keep_load_job(lease, &mapping.object, None).await?;
    Ok(None)
}

/// Has the job of a load that is done, or is not gone on with, forgotten on both sides.
pub(super) async fn forget(shared: &Shared, mapping: &Mapping, lease: &Lease) -> Result<(), ReadError> {
    if let Some(job) = shared.store.load_job(&mapping.object).await? {
        shared.store.keep_load_job(lease, &mapping.object, None).await?;
        take_back(shared, mapping, job.id.as_deref()).await;
    }
    Ok(())
}

/// Ends a job and has its result deleted. What fails here ends by itself after some days.
async fn take_back(shared: &Shared, mapping: &Mapping, id: Option<&str>) {
    let Some(id) = id else { return };
    // One that is over cannot be aborted, and one that is not cannot be deleted.
    let deleted = match shared.client.delete_query_job(id).await {
        Err(salesforce::Error::Api { .. }) => {
            let _ = shared.client.abort_query_job(id).await;
            shared.client.delete_query_job(id).await
        }
        done => done,
    };
    if let Err(error) = deleted {
        shared.log.of("reader").debug(
            format!("{}: the job {id} is left to Salesforce", mapping.object),
            json!({"mapping": mapping.object, "cause": error.to_string()}),
        );
    }
}

/// What tells a query from others: its text, and the org that is asked.
fn query_of(shared: &Shared, mapping: &Mapping) -> String {
    let org = &shared.config.salesforce;
    let text = format!("{} {} {}", org.login_url, org.api_version, Selection::of(mapping).whole());
    format!("{:016x}", checksum(&text))
}

/// Why a mapping's records cannot be read by a job at all.
fn unreadable(mapping: &Mapping) -> Option<String> {
    if let Some(field) = mapping.read_fields().find(|field| field.kind == FieldType::Other) {
        return Some(format!("Bulk API 2.0 does not read values like those of {}", field.name));
    }
    let long = Selection::of(mapping).whole().len() > LONGEST_QUERY;
    long.then(|| "its query is too long for one job".to_owned())
}

impl Load<'_> {
    /// Reads all records by a job, where that is possible and worth it.
    pub(super) async fn by_job(
        &mut self,
        cursor: &mut Cursor,
        kept: Option<LoadJob>,
    ) -> Result<Outcome, ReadError> {
        if let Some(why) = unreadable(self.mapping) {
            return Ok(Outcome::Pages(why));
        }
        let mut job = match kept {
            Some(job) => job,
            None => {
                if let Some(few) = self.few().await? {
                    return Ok(Outcome::Pages(few));
                }
                self.new_job(cursor)
            }
        };
        while job.failures < FAILURES {
            let ended = match self.go_on(&mut job, cursor).await {
                Ok(ended) => ended,
                Err(Failed::Job(why)) => {
                    self.note_failure(&mut job, true, &why).await?;
                    continue;
                }
                Err(Failed::Request(error)) => {
                    if is_of_the_job(&error) {
                        self.note_failure(&mut job, false, &error.to_string()).await?;
                    }
                    return Err(error);
                }
            };
            return Ok(ended);
        }
        forget(self.shared, self.mapping, self.lease).await?;
        Ok(Outcome::Pages(format!("jobs of Bulk API 2.0 failed {} times", job.failures)))
    }

    /// Why a job is not worth it, where the records are few. Those that Salesforce does not count in time are many.
    async fn few(&self) -> Result<Option<String>, ReadError> {
        let counted = self.shared.client.query(&format!("SELECT COUNT() FROM {}", self.mapping.object)).await;
        let count = match counted {
            Ok(page) => page.total,
            Err(salesforce::Error::Api { code, .. }) if code == "QUERY_TIMEOUT" => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let few = || format!("it has {count} records, and a job is for more than {FEW}");
        Ok((count <= FEW).then(few))
    }

    fn new_job(&self, cursor: &Cursor) -> LoadJob {
        LoadJob {
            id: None,
            query: query_of(self.shared, self.mapping),
            reload: cursor.reload.filter(|_| cursor.loaded),
            began_at: self.progress.began_at,
            read: cursor.read,
            locator: None,
            done: 0,
            failures: 0,
        }
    }

    /// Takes note of a failure, and of the job, unless another one is to take its place.
    async fn note_failure(&mut self, job: &mut LoadJob, is_over: bool, why: &str) -> Result<(), ReadError> {
        let (shared, mapping) = (self.shared, self.mapping);
        job.failures += 1;
        shared.log.of("reader").warn(
            format!("{}: the job of Bulk API 2.0 that reads its records failed: {why}", mapping.object),
            json!({"mapping": mapping.object, "job": job.id, "failures": job.failures}),
        );
        if is_over {
            take_back(shared, mapping, job.id.as_deref()).await;
            (job.id, job.locator, job.done) = (None, None, 0);
        }
        Ok(shared.store.keep_load_job(self.lease, &mapping.object, Some(job)).await?)
    }

    /// Makes the job if there is none, waits for its end, and stores what it brings.
    async fn go_on(&mut self, job: &mut LoadJob, cursor: &mut Cursor) -> Result<Outcome, Failed> {
        let id = match &job.id {
            Some(id) => id.clone(),
            None => match self.create(job).await? {
                Ok(id) => id,
                Err(why) => {
                    forget(self.shared, self.mapping, self.lease).await?;
                    return Ok(Outcome::Pages(why));
                }
            },
        };
        let Some(total) = self.until_complete(&id, cursor).await? else { return Ok(Outcome::Stopped) };
        let resumed = job.locator.clone().filter(|_| !cursor.loaded);
        let pages = Pages::new(&id, self.mapping, total, job.done, resumed.as_deref());
        (self.progress.total, self.progress.done) = (total, pages.read());
        self.sheets(job, pages, cursor).await
    }

    /// Makes the job; or says why Salesforce does not make it.
    async fn create(&mut self, job: &mut LoadJob) -> Result<Result<String, String>, Failed> {
        let (shared, name) = (self.shared, &self.mapping.object);
        let id = match shared.client.create_query_job(&Selection::of(self.mapping).whole()).await {
            Ok(id) => id,
            Err(error @ salesforce::Error::Api { .. }) if !connection::concerns_link(&error) => {
                return Ok(Err(format!("Salesforce makes no job of Bulk API 2.0 for it: {error}")));
            }
            Err(error) => return Err(error.into()),
        };
        job.id = Some(id.clone());
        shared.store.keep_load_job(self.lease, name, Some(job)).await?;
        shared.log.of("reader").info(
            format!("{name} is read by a job of Bulk API 2.0: it has more than {FEW} records"),
            json!({"mapping": name, "job": id}),
        );
        Ok(Ok(id))
    }

    /// Waits for the end of a job. Returns how many records it found; nothing when the engine's end came first.
    async fn until_complete(&mut self, id: &str, cursor: &mut Cursor) -> Result<Option<i64>, Failed> {
        let (shared, began) = (self.shared, Instant::now());
        // The lease is renewed at each look.
        let longest = NEXT_LOOK.min(fetch::lease_length(shared, self.mapping) / 4);
        let mut pause = FIRST_LOOK;
        loop {
            match again(TRIES, || shared.client.query_job(id)).await.map_err(of_job)? {
                JobState::Complete(total) => return Ok(Some(total)),
                JobState::Over(why) => return Err(Failed::Job(why)),
                JobState::UnderWay if began.elapsed() > LONGEST => {
                    return Err(Failed::Job("it does not end".to_owned()));
                }
                JobState::UnderWay => {}
            }
            self.renew().await?;
            self.poll_when_due(cursor).await?;
            if !shared.pause(pause.min(longest)).await {
                return Ok(None);
            }
            pause = (pause * 2).min(longest);
        }
    }

    /// Stores page by page, each while the next one is on its way.
    async fn sheets(
        &mut self,
        job: &mut LoadJob,
        mut pages: Pages,
        cursor: &mut Cursor,
    ) -> Result<Outcome, Failed> {
        let (shared, mapping) = (self.shared, self.mapping);
        let name = &mapping.object;
        let mut next = next_sheet(shared, mapping, &mut pages).await?;
        let mut copies = Copies { possible: !cursor.loaded, ..Copies::default() };
        while let Some(sheet) = next {
            let (locator, read) = (pages.locator().map(str::to_owned), pages.read());
            let (stored, fetched) = tokio::join!(
                self.store(&sheet, cursor.loaded, &mut copies),
                next_sheet(shared, mapping, &mut pages)
            );
            stored?;
            if read > job.done {
                (job.locator, job.done, job.failures) = (locator, read, 0);
                shared.store.keep_load_job(self.lease, name, Some(job)).await?;
            }
            self.tell().await?;
            next = fetched?;
            if next.is_some() && shared.stop.is_cancelled() {
                return Ok(Outcome::Stopped);
            }
            self.poll_when_due(cursor).await?;
        }
        shared.log.of("reader").debug(
            format!("{name}: {} of {} pages were copied at one go", copies.done, copies.pages),
            json!({"mapping": name}),
        );
        Ok(Outcome::Read)
    }

    /// Stores a page: at one go where nothing stands in its way, else with a look at each record.
    async fn store(&mut self, sheet: &Sheet, loaded: bool, copies: &mut Copies) -> Result<(), ReadError> {
        replaced::tell(self.shared, self.mapping, &sheet.replaced);
        if loaded {
            self.met.note_ids(sheet.ids());
        }
        copies.pages += 1;
        if copies.possible && self.copy(sheet, copies).await? {
            copies.done += 1;
            return Ok(());
        }
        for from in (0..sheet.len()).step_by(PART) {
            let part = from..sheet.len().min(from + PART);
            self.apply(part.map(|at| value::to_row(self.mapping, &sheet.record(at))).collect()).await?;
            self.renew().await?;
        }
        Ok(())
    }

    /// Copies a page into the table. False where one of its records needs a look; then nothing was written.
    async fn copy(&mut self, sheet: &Sheet, copies: &mut Copies) -> Result<bool, ReadError> {
        let (shared, mapping) = (self.shared, self.mapping);
        let text = copy_text(mapping, sheet);
        match shared.store.copy_records(self.lease, mapping, text, self.progress.began_at).await {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            // What is wrong with one record, or with COPY into this table, the other way tells better.
            Err(error) if error.sql_state().is_some() && !error.is_connection() => {
                shared.log.of("reader").debug(
                    format!("{}: a page cannot be copied at one go", mapping.object),
                    json!({"mapping": mapping.object, "cause": error.masked([mapping].into_iter())}),
                );
                copies.refused += 1;
                copies.possible = copies.refused < MANY_REFUSED || copies.done > 0;
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        }
        let ids: Vec<&str> = sheet.ids().collect();
        settle(shared, mapping, &ids, "it is stored").await?;
        shared.store.notice_read_findings(&mapping.table, &ids).await?;
        let applied = Applied { written: ids.len() as u64, ..Applied::default() };
        apply::note(&mut self.run, ids.len(), &applied);
        self.progress.done += ids.len() as i64;
        Ok(true)
    }
}

/// Pages that PostgreSQL refused to copy before one was copied, after which no more is tried so: the table has the records.
const MANY_REFUSED: u32 = 3;

/// How pages were stored.
#[derive(Default)]
struct Copies {
    /// Whether it may be tried to copy one at one go.
    possible: bool,
    pages: u32,
    done: u32,
    refused: u32,
}

/// A page as COPY takes it.
fn copy_text(mapping: &Mapping, sheet: &Sheet) -> CopyText {
    let place = |name: &str| sheet.columns().place(name);
    let fields: Vec<Option<usize>> = mapping.read_fields().map(|field| place(&field.name)).collect();
    let key = mapping.external_id_field().and_then(|field| place(&field.name));
    let system = ["Id", "SystemModstamp", "IsDeleted"].map(place);
    let mut text = CopyText::default();
    for row in 0..sheet.len() {
        let value = |place: &Option<usize>| place.and_then(|place| sheet.text(row, place));
        text.add(fields.iter().map(value), value(&key), system.each_ref().map(value));
    }
    text
}

/// The next page of a job's result, asked for several times while Salesforce only is not well.
async fn next_sheet(shared: &Shared, mapping: &Mapping, pages: &mut Pages) -> Result<Option<Sheet>, Failed> {
    let mut pause = Duration::from_millis(500);
    for _ in 1..TRIES {
        match fetch::timed(shared, mapping, shared.client.next_sheet(pages)).await {
            Err(error) if is_passing(&error) => tokio::time::sleep(pause).await,
            done => return done.map_err(of_job),
        }
        pause *= 2;
    }
    fetch::timed(shared, mapping, shared.client.next_sheet(pages)).await.map_err(of_job)
}

/// What Salesforce refuses of a job is of that job: it was forgotten, or its result is that of another version.
fn of_job(error: salesforce::Error) -> Failed {
    match &error {
        salesforce::Error::Api { .. } if !connection::concerns_link(&error) && !is_passing(&error) => {
            Failed::Job(error.to_string())
        }
        _ => Failed::Request(error.into()),
    }
}

/// Whether a failure counts against the job: not what is PostgreSQL's, nor what says that nobody can be asked now.
fn is_of_the_job(error: &ReadError) -> bool {
    matches!(error, ReadError::Salesforce(error) if !connection::concerns_link(error))
}
