//! A load by a job of Bulk API 2.0: Salesforce works the whole query off by itself, and its result comes in large pages. It is
//! worth its calls where there are many records; what it cannot read is read by a query.
//!
//! The job is kept with the mapping (`LoadJob`), so that an engine that takes over finds it: a first load goes on with the page
//! that was to come, a reload takes the result from its beginning, for it must know which records it met. When the load began
//! is kept until it is done, whatever becomes of its jobs: what was deleted since then is looked for afterwards. While a page
//! is stored the next one is on its way; more than these two are never held.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;
use tokio::time::Instant;

use crate::domain::mappings::field::FieldType;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::reports::forecast::FEW;
use crate::domain::values::checksum::checksum;
use crate::postgres::reports::status::{Lease, ReadCursor};
use crate::postgres::tables::copy::CopyText;
use crate::postgres::tables::load::LoadJob;
use crate::salesforce::bulk::{JobState, LONGEST_QUERY, Pages};
use crate::salesforce::query::FieldSelection;
use crate::salesforce::retry::{TRIES, again, is_passing};
use crate::salesforce::sheet::{Columns, Sheet};
use crate::salesforce::{self, value};

use super::apply::{self, PageApplied, settle};
use super::fetch::{self, ReadError};
use super::loading::Load;
use super::replaced;
use crate::engine::{Shared, connection};

/// So often jobs may fail, none coming further than those before, until the records are read by a query.
const FAILURES: u32 = 3;
/// Before another job takes the place of one that failed.
const NEXT_JOB: Duration = Duration::from_secs(1);
/// Between two looks at a job, at first and at most.
const FIRST_LOOK: Duration = Duration::from_millis(100);
const NEXT_LOOK: Duration = Duration::from_secs(10);
/// How long a job may take. Salesforce gives one up after far less.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Records that are looked at one by one in one go.
const PART: usize = 2_000;

/// How a load by a job ended.
pub(super) enum JobOutcome {
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
    /// The answer to one request about it. The job may be well.
    Request(salesforce::Error),
    /// Something else, which says nothing of the job.
    Other(ReadError),
}

impl<E: Into<ReadError>> From<E> for Failed {
    fn from(error: E) -> Failed {
        Failed::Other(error.into())
    }
}

/// The load as an engine left it, with its job if that still is about what is read now; or one that begins now. A job that is
/// about something else is taken back.
pub(super) async fn kept(
    shared: &Shared,
    mapping: &Mapping,
    lease: &Lease,
    reload: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<LoadJob, ReadError> {
    let query = query_of(shared, mapping);
    let left = shared.store.load_job(&mapping.object).await?;
    let left_id = left.as_ref().and_then(|job| job["id"].as_str().map(str::to_owned));
    let left = left.map(serde_json::from_value::<LoadJob>).transpose().unwrap_or_else(|why| {
        let text = format!("the load of {} begins anew: what was kept of it cannot be read", mapping.object);
        shared.log.of("reader").warn(text, json!({"mapping": mapping.object, "why": why.to_string()}));
        None
    });
    if let Some(job) = &left
        && (&job.query, job.reload) == (&query, reload)
    {
        return Ok(job.clone());
    }
    // Rows that it stored are there, whatever is asked now.
    let same = left.filter(|job| job.reload == reload);
    let load = LoadJob {
        id: None,
        query,
        reload,
        began_at: same.as_ref().map_or(now, |job| job.began_at),
        read: same.and_then(|job| job.read),
        locator: None,
        done: 0,
        furthest: 0,
        failures: 0,
    };
    shared.store.keep_load_job(lease, &mapping.object, Some(&load)).await?;
    take_back(shared, mapping, left_id.as_deref()).await;
    Ok(load)
}

/// Has a load that is done, and its job, forgotten on both sides.
pub(super) async fn forget(shared: &Shared, mapping: &Mapping, lease: &Lease) -> Result<(), ReadError> {
    if let Some(job) = shared.store.load_job(&mapping.object).await? {
        shared.store.keep_load_job(lease, &mapping.object, None).await?;
        take_back(shared, mapping, job["id"].as_str()).await;
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
    let text = format!("{} {} {}", org.login_url, org.api_version, FieldSelection::of(mapping).whole());
    format!("{:016x}", checksum(&text))
}

/// Why a mapping's records cannot be read by a job at all.
fn unreadable(mapping: &Mapping) -> Option<String> {
    if let Some(field) = mapping.read_fields().find(|field| field.kind == FieldType::Other) {
        return Some(format!("Bulk API 2.0 does not read values like those of {}", field.name));
    }
    let long = FieldSelection::of(mapping).whole().len() > LONGEST_QUERY;
    long.then(|| "its query is too long for one job".to_owned())
}

impl Load<'_> {
    /// Reads all records by a job, where that is possible and worth it.
    pub(super) async fn by_job(
        &mut self,
        cursor: &mut ReadCursor,
        job: &mut LoadJob,
    ) -> Result<JobOutcome, ReadError> {
        if let Some(why) = unreadable(self.mapping) {
            return Ok(JobOutcome::Pages(why));
        }
        if job.id.is_none()
            && job.failures < FAILURES
            && let Some(few) = self.few().await?
        {
            return Ok(JobOutcome::Pages(few));
        }
        let columns = match self.columns().await? {
            Ok(columns) => Arc::new(columns),
            Err(why) => return Ok(JobOutcome::Pages(why)),
        };
        while job.failures < FAILURES {
            self.begin_anew();
            match self.go_on(job, &columns, cursor).await {
                Ok(ended) => return Ok(ended),
                Err(Failed::Other(error)) => return Err(error),
                Err(Failed::Request(error)) => {
                    // What says that nobody can be asked now is not the job's.
                    if !connection::concerns_link(&error) {
                        self.note_failure(job, false, &error.to_string()).await?;
                    }
                    return Err(error.into());
                }
                Err(Failed::Job(why)) => {
                    self.note_failure(job, true, &why).await?;
                    if job.failures < FAILURES && !self.shared.pause(NEXT_JOB).await {
                        return Ok(JobOutcome::Stopped);
                    }
                }
            }
        }
        self.drop_job(job).await?;
        Ok(JobOutcome::Pages(format!("jobs of Bulk API 2.0 failed {} times", job.failures)))
    }

    /// The columns of a page. An external id by which a parent is named is taken as the parent's field has it; or why that is
    /// not known.
    async fn columns(&self) -> Result<Result<Columns, String>, ReadError> {
        let mut kinds = Vec::new();
        for parent in &self.mapping.parents {
            let described = match self.shared.client.describe(&parent.object, None).await {
                Err(error) if is_refusal(&error) => None,
                described => described?,
            };
            let field = described.as_ref().and_then(|(described, _)| described.field(&parent.field));
            match field.map(|field| field.to_field().kind).filter(|kind| *kind != FieldType::Other) {
                Some(kind) => kinds.push(kind),
                None => {
                    let why =
                        format!("Salesforce does not tell what {}.{} holds", parent.object, parent.field);
                    return Ok(Err(why));
                }
            }
        }
        Ok(Ok(Columns::of(self.mapping, &kinds)))
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

    /// Takes note of a failure, and of the job, unless another one is to take its place.
    async fn note_failure(&mut self, job: &mut LoadJob, is_over: bool, why: &str) -> Result<(), ReadError> {
        let (shared, name) = (self.shared, &self.mapping.object);
        job.failures += 1;
        shared.log.of("reader").warn(
            format!("{name}: the job of Bulk API 2.0 that reads its records failed: {why}"),
            json!({"mapping": name, "job": job.id, "failures": job.failures}),
        );
        if is_over {
            return self.drop_job(job).await;
        }
        Ok(shared.store.keep_load_job(self.lease, name, Some(job)).await?)
    }

    /// Drops a job. When its load began is kept, and how far its jobs came.
    async fn drop_job(&self, job: &mut LoadJob) -> Result<(), ReadError> {
        let id = job.id.take();
        (job.locator, job.done) = (None, 0);
        // Where another engine has the lease, the job is that engine's.
        self.shared.store.keep_load_job(self.lease, &self.mapping.object, Some(job)).await?;
        take_back(self.shared, self.mapping, id.as_deref()).await;
        Ok(())
    }

    /// Makes the job if there is none, waits for its end, and stores what it brings.
    async fn go_on(
        &mut self,
        job: &mut LoadJob,
        columns: &Arc<Columns>,
        cursor: &mut ReadCursor,
    ) -> Result<JobOutcome, Failed> {
        let id = match &job.id {
            Some(id) => id.clone(),
            None => match self.create(job).await? {
                Ok(id) => id,
                Err(why) => return Ok(JobOutcome::Pages(why)),
            },
        };
        let Some(total) = self.until_complete(&id, cursor).await? else { return Ok(JobOutcome::Stopped) };
        let resumed = job.locator.clone().filter(|_| !cursor.loaded);
        let pages = Pages::new(&id, columns, total, job.done, resumed.as_deref());
        (self.progress.total, self.progress.done) = (total, pages.read());
        self.sheets(job, pages, cursor).await
    }

    /// Makes the job; or says why Salesforce does not make it.
    async fn create(&mut self, job: &mut LoadJob) -> Result<Result<String, String>, Failed> {
        let (shared, name) = (self.shared, &self.mapping.object);
        let id = match shared.client.create_query_job(&FieldSelection::of(self.mapping).whole()).await {
            Ok(id) => id,
            Err(error) if is_refusal(&error) => {
                return Ok(Err(format!("Salesforce makes no job of Bulk API 2.0 for it: {error}")));
            }
            Err(error) => return Err(Failed::Request(error)),
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
    async fn until_complete(&mut self, id: &str, cursor: &mut ReadCursor) -> Result<Option<i64>, Failed> {
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
        cursor: &mut ReadCursor,
    ) -> Result<JobOutcome, Failed> {
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
                (job.locator, job.done) = (locator, read);
                if read > job.furthest {
                    (job.furthest, job.failures) = (read, 0);
                }
                shared.store.keep_load_job(self.lease, name, Some(job)).await?;
            }
            self.tell().await?;
            next = fetched?;
            if next.is_some() && shared.stop.is_cancelled() {
                return Ok(JobOutcome::Stopped);
            }
            self.poll_when_due(cursor).await?;
        }
        shared.log.of("reader").debug(
            format!("{name}: {} of {} pages were copied at one go", copies.done, copies.pages),
            json!({"mapping": name}),
        );
        Ok(JobOutcome::Read)
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
        let applied = PageApplied { written: ids.len() as u64, ..PageApplied::default() };
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
    match is_refusal(&error) {
        true => Failed::Job(error.to_string()),
        false => Failed::Request(error),
    }
}

/// Whether Salesforce said no, and would say it again.
fn is_refusal(error: &salesforce::Error) -> bool {
    matches!(error, salesforce::Error::Api { .. }) && !connection::concerns_link(error) && !is_passing(error)
}
