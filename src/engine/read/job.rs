//! A load by a job of Bulk API 2.0: Salesforce works the whole query off by itself, and its result comes in large pages. It is
//! worth its calls where there are many records; what it cannot read is read by a query.
//!
//! The job is kept with the mapping (`LoadJob`), so that an engine that takes over finds it: a first load goes on with the page
//! that was to come, a reload takes the result from its beginning, for it must know which records it met. When the load began
//! is kept until it is done, whatever becomes of its jobs: what was deleted since then is looked for afterwards. While a page
//! is stored (`copy`) the next ones are on their way (`ahead`).

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
use crate::postgres::tables::load::LoadJob;
use crate::salesforce;
use crate::salesforce::bulk::{JobPage, JobState, LONGEST_QUERY};
use crate::salesforce::query::FieldSelection;
use crate::salesforce::retry::{TRIES, again, is_passing};
use crate::salesforce::sheet::Columns;

use super::ahead::PagesAhead;
use super::copy::Copies;
use super::fetch::{self, ReadError};
use super::loading::Load;
use crate::engine::{Shared, bulk_limits, connection};

/// So often jobs may fail, none coming further than those before, until the records are read by a query.
const FAILURES: u32 = 3;
/// Before another job takes the place of one that failed.
const NEXT_JOB: Duration = Duration::from_secs(1);
/// So many looks at a job come close upon each other: most jobs are done by then.
const FIRST_LOOKS: u32 = 5;
/// Between two of them, and between two of those after them at most.
const FIRST_LOOK: Duration = Duration::from_millis(100);
const NEXT_LOOK: Duration = Duration::from_secs(10);
/// How long a job may take. Salesforce gives one up after far less.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

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
        if job.id.is_none()
            && job.failures < FAILURES
            && let Some(why) = bulk_limits::no_load(self.shared).await
        {
            return Ok(JobOutcome::Pages(why));
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
        let at = (resumed, job.done);
        let ahead = PagesAhead::new(self.shared, self.mapping, (&id, columns, total), at);
        (self.progress.total, self.progress.done) = (total, ahead.read());
        self.sheets(job, ahead, cursor).await
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
        shared.bulk_limits.take_query().await;
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
        let (mut pause, mut looks) = (FIRST_LOOK, 0);
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
            looks += 1;
            if looks >= FIRST_LOOKS {
                pause = (pause * 2).min(longest);
            }
        }
    }

    /// Stores page by page, each while the next ones are on their way.
    async fn sheets(
        &mut self,
        job: &mut LoadJob,
        mut ahead: PagesAhead,
        cursor: &mut ReadCursor,
    ) -> Result<JobOutcome, Failed> {
        let (shared, name) = (self.shared, &self.mapping.object);
        let mut copies = Copies::new(!cursor.loaded);
        while let Some(page) = ahead.next().await.map_err(of_job)? {
            let JobPage { sheet, next, read } = page;
            let is_last = next.is_none();
            self.store(&Arc::new(sheet), cursor.loaded, &mut copies).await?;
            let is_further = read > job.done;
            if is_further {
                (job.locator, job.done) = (next, read);
                if read > job.furthest {
                    (job.furthest, job.failures) = (read, 0);
                }
            }
            self.tell_with(is_further.then_some(&*job)).await?;
            if !is_last && shared.stop.is_cancelled() {
                return Ok(JobOutcome::Stopped);
            }
            self.poll_when_due(cursor).await?;
        }
        shared.log.of("reader").debug(format!("{name}: {copies}"), json!({"mapping": name}));
        Ok(JobOutcome::Read)
    }
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
