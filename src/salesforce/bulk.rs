//! Jobs of Bulk API 2.0 that read: a query is handed over, Salesforce works it off by itself, and its result is fetched page by
//! page as CSV. Nothing is asked twice here; who asks decides what may be. The head of an answer tells where the next page is,
//! so that one can be asked for while the records of this one still come.

use std::collections::HashSet;
use std::sync::Arc;

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::domain::names::Sfid;
use crate::domain::reports::forecast::JOB_PAGE;

use super::query::encode;
use super::sheet::{Columns, Sheet};
use super::{Ask, Client, Error, auth, body, told};

/// The longest query that Salesforce takes.
pub const LONGEST_QUERY: usize = 100_000;
/// Records on a page where that many are longer than what is read of an answer.
const SHORT_PAGE: i64 = 500;
/// What is set aside for a page, of which only what it fills is memory. An allocator takes so much from the system, and gives it
/// back with the page, instead of keeping pieces of pages that are gone.
const ROOM: usize = 33 << 20;
/// The longest locator that is believed.
const LONGEST_LOCATOR: usize = 2_000;
/// Records in one result, at most: no org has so many.
const MOST_RECORDS: i64 = 100_000_000_000;

/// How a job is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobState {
    /// It waits for its turn, or is worked off.
    UnderWay,
    /// Its result is there: so many records.
    Complete(i64),
    /// Salesforce gave it up, with its word and what it says of it.
    Over(String),
}

/// The result of a job, from the page on that comes next.
#[derive(Debug)]
pub struct Pages {
    job: String,
    /// Of the page that comes next; `None` for the first one.
    locator: Option<String>,
    columns: Arc<Columns>,
    short: bool,
    /// Locators that led to pages.
    seen: HashSet<String>,
    /// Records on the pages before, and on all of them.
    read: i64,
    total: i64,
    over: bool,
}

impl Pages {
    /// The pages of a job's result of `total` records, from the locator on that was told after `read` of them.
    pub fn new(job: &str, columns: &Arc<Columns>, total: i64, read: i64, locator: Option<&str>) -> Pages {
        Pages {
            job: job.to_owned(),
            locator: locator.map(str::to_owned),
            columns: columns.clone(),
            short: false,
            seen: locator.map(str::to_owned).into_iter().collect(),
            read: if locator.is_some() { read } else { 0 },
            total,
            over: false,
        }
    }

    /// Records on the pages before.
    pub fn read(&self) -> i64 {
        self.read
    }

    /// The same in pages of few records, which are not longer than what is read of an answer.
    pub fn shortened(self) -> Pages {
        Pages { short: true, ..self }
    }

    /// Whether they are short already.
    pub fn is_short(&self) -> bool {
        self.short
    }

    /// Where the page is asked for.
    fn path(&self) -> String {
        let records = if self.short { SHORT_PAGE } else { JOB_PAGE };
        let path = format!("jobs/query/{}/results?maxRecords={records}", self.job);
        match &self.locator {
            Some(locator) => format!("{path}&locator={}", encode(locator)),
            None => path,
        }
    }

    /// Takes note of a page, by its head: of its records, and where the next one is.
    ///
    /// # Errors
    /// In words, why it is none of this result.
    fn take(&mut self, records: usize, next: Option<String>) -> Result<(), &'static str> {
        let read = self.read.saturating_add(i64::try_from(records).unwrap_or(i64::MAX));
        if read > self.total || next.is_none() && read != self.total {
            return Err("there are more or fewer records than the job counted");
        }
        if next.is_some() && records == 0 {
            return Err("it leads on for ever");
        }
        if let Some(next) = &next
            && !self.seen.insert(next.clone())
        {
            return Err("it leads to a page that was read already");
        }
        self.read = read;
        self.over = next.is_none();
        self.locator = next;
        Ok(())
    }
}

/// A page that is asked for, as often as it takes.
#[derive(Debug)]
pub struct PageRequest {
    path: String,
    columns: Arc<Columns>,
    /// The result from this page on, until its head came.
    pages: Option<Pages>,
    /// Who waits for where the next one is.
    behind: Option<oneshot::Sender<Pages>>,
    /// What its head told: its records, where the next page is, and how many records were read then.
    head: Option<(usize, Option<String>, i64)>,
}

impl PageRequest {
    /// Of the next page of a result. `behind` is told the result behind it, if there is more, as soon as its head came.
    pub fn new(pages: Pages, behind: oneshot::Sender<Pages>) -> PageRequest {
        let (path, columns) = (pages.path(), pages.columns.clone());
        PageRequest { path, columns, pages: Some(pages), behind: Some(behind), head: None }
    }

    /// Takes note of the head of an answer.
    ///
    /// # Errors
    /// In words, why it is not that of this page.
    fn take(&mut self, records: usize, next: Option<String>) -> Result<(), &'static str> {
        if let Some((told, told_next, _)) = &self.head
            && (*told, told_next) != (records, &next)
        {
            return Err("it is another page than when it was asked for before");
        }
        if let Some(pages) = &mut self.pages {
            pages.take(records, next.clone())?;
            self.head = Some((records, next, pages.read));
        }
        if let Some(pages) = self.pages.take_if(|pages| !pages.over)
            && let Some(behind) = self.behind.take()
        {
            // Who does not wait any more needs no other page.
            let _ = behind.send(pages);
        }
        // Behind the last one comes nothing.
        (self.pages, self.behind) = (None, None);
        Ok(())
    }
}

/// A page of a job's result.
#[derive(Debug)]
pub struct JobPage {
    /// Its records.
    pub sheet: Sheet,
    /// Where the next page is; nothing behind the last one.
    pub next: Option<String>,
    /// Records on the pages so far.
    pub read: i64,
}

/// Whether a page was longer than what is read of an answer: in short pages its records may come.
pub fn is_too_long(error: &Error) -> bool {
    matches!(error, Error::Unusable { cause, .. } if *cause == body::too_long())
}

impl Client {
    /// Hands a query over. Returns the job's id.
    ///
    /// # Errors
    /// Among others, that the object or a field cannot be read so, or that the day's jobs are used up.
    pub async fn create_query_job(&self, soql: &str) -> Result<String, Error> {
        let wanted = json!({"operation": "query", "query": soql, "contentType": "CSV",
            "columnDelimiter": "COMMA", "lineEnding": "LF"});
        let made = self.request(Method::POST, "jobs/query", Some(&wanted)).await?;
        let id = made.get("id").and_then(Value::as_str).filter(|id| Sfid::parse(id).is_some());
        id.map(str::to_owned).ok_or_else(|| self.unusable("the answer names no job"))
    }

    /// How a job is.
    pub async fn query_job(&self, id: &str) -> Result<JobState, Error> {
        let told = self.get(&format!("jobs/query/{id}")).await?;
        state_of(&told, id).map_err(|cause| self.unusable(cause))
    }

    /// Has a job ended that is still under way.
    pub async fn abort_query_job(&self, id: &str) -> Result<(), Error> {
        let state = json!({"state": "Aborted"});
        self.request(Method::PATCH, &format!("jobs/query/{id}"), Some(&state)).await.map(drop)
    }

    /// Has a job and its result forgotten.
    pub async fn delete_query_job(&self, id: &str) -> Result<(), Error> {
        self.request(Method::DELETE, &format!("jobs/query/{id}"), None).await.map(drop)
    }

    /// A page of a job's result. After an error it can be asked for again.
    pub async fn job_page(&self, request: &mut PageRequest) -> Result<JobPage, Error> {
        let session = self.session().await?;
        match self.page_in(&session, request).await {
            Err(error) => self.page_in(&self.session_after(&session, error).await?, request).await,
            answer => answer,
        }
    }

    async fn page_in(&self, session: &auth::Session, request: &mut PageRequest) -> Result<JobPage, Error> {
        let path = &request.path;
        let ask = Ask { method: Method::GET, path, body: None, since: None, short_page: false };
        let response = self.respond(session, &ask).await?;
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        let none = |cause: &str| self.unusable(&format!("the page of a job's records is none: {cause}"));
        let (count, next) = page_head(response.headers()).map_err(none)?;
        request.take(count, next).map_err(none)?;
        let body = self.body(response, Vec::with_capacity(ROOM)).await?;
        let columns = request.columns.clone();
        let sheet =
            body::beside(body, |bytes| Sheet::parse(bytes, columns)).await.map_err(|cause| none(&cause))?;
        if sheet.len() != count {
            return Err(none("it has more or fewer records than it says"));
        }
        let (_, next, read) = request.head.clone().unwrap_or_default();
        Ok(JobPage { sheet, next, read })
    }
}

/// How a job is, by what is told of it.
fn state_of(told: &Value, id: &str) -> Result<JobState, &'static str> {
    if told.get("id").and_then(Value::as_str) != Some(id) {
        return Err("the answer is about another job");
    }
    match told.get("state").and_then(Value::as_str) {
        Some("UploadComplete" | "InProgress") => Ok(JobState::UnderWay),
        Some("JobComplete") => {
            let count = told.get("numberRecordsProcessed").and_then(Value::as_i64);
            let count = count.filter(|count| (0..=MOST_RECORDS).contains(count));
            count.map(JobState::Complete).ok_or("the job does not say how many records it found")
        }
        Some(state @ ("Failed" | "Aborted")) => {
            let words = told.get("errorMessage").and_then(Value::as_str).map(told::message);
            Ok(JobState::Over(words.map_or_else(|| state.to_owned(), |words| format!("{state}: {words}"))))
        }
        _ => Err("the job is in no state that there is"),
    }
}

/// How many records a page has, and where the next one is: as its head tells.
fn page_head(headers: &HeaderMap) -> Result<(usize, Option<String>), &'static str> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let kind = text(CONTENT_TYPE.as_str()).unwrap_or_default().to_ascii_lowercase();
    if !kind.starts_with("text/csv") {
        return Err("it is no CSV");
    }
    let count = text("sforce-numberofrecords").and_then(|count| count.parse().ok());
    let count = count.ok_or("it does not say how many records it has")?;
    match text("sforce-locator") {
        None => Err("it does not say whether another one follows"),
        Some("null") => Ok((count, None)),
        Some(locator) if locator.is_empty() || locator.len() > LONGEST_LOCATOR => {
            Err("the next page is nowhere")
        }
        Some(locator) => Ok((count, Some(locator.to_owned()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::mappings::mapping::Mapping;

    const JOB: &str = "750sd0000000001AAA";

    #[test]
    fn only_what_tells_of_the_job_is_believed() {
        let told = |state: Value, count: Value| {
            state_of(&json!({"id": JOB, "state": state, "numberRecordsProcessed": count}), JOB)
        };
        assert_eq!(told(json!("InProgress"), json!(0)), Ok(JobState::UnderWay));
        assert_eq!(told(json!("JobComplete"), json!(7)), Ok(JobState::Complete(7)));
        assert_eq!(told(json!("Aborted"), json!(7)), Ok(JobState::Over("Aborted".to_owned())));
        for (state, count) in [
            (json!("Done"), json!(1)),
            (json!(7), json!(1)),
            (json!("JobComplete"), json!(-1)),
            (json!("JobComplete"), json!("1")),
            (json!("JobComplete"), Value::Null),
        ] {
            assert!(told(state, count).is_err());
        }
        assert!(state_of(&json!({"id": "750sd0000000002AAA", "state": "InProgress"}), JOB).is_err());
        assert!(state_of(&json!([]), JOB).is_err());
    }

    #[test]
    fn a_page_says_what_it_is_how_long_and_what_follows() {
        let head = |pairs: &[(&'static str, &str)]| {
            let pairs = pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            page_head(&pairs.collect())
        };
        let csv = ("content-type", "text/csv; charset=UTF-8");
        let (count, next) = (("sforce-numberofrecords", "3"), ("sforce-locator", "MTAw"));
        assert_eq!(head(&[csv, count, next]), Ok((3, Some("MTAw".to_owned()))));
        assert_eq!(head(&[csv, count, ("sforce-locator", "null")]), Ok((3, None)));
        assert!(head(&[("content-type", "text/html"), count, next]).is_err());
        assert!(head(&[csv, next]).is_err() && head(&[csv, count]).is_err());
        assert!(head(&[csv, ("sforce-numberofrecords", "-3"), next]).is_err());
        assert!(head(&[csv, count, ("sforce-locator", "")]).is_err());
    }

    #[test]
    fn pages_lead_on_until_all_records_were_read_and_never_back() {
        let mapping = Mapping::plain("Account", Vec::new());
        let columns = Arc::new(Columns::of(&mapping, &[]));
        let pages = |total| Pages::new(JOB, &columns, total, 0, None);
        let at = |locator: &str| Some(locator.to_owned());
        let mut good = pages(3);
        assert_eq!(good.take(2, at("b")), Ok(()));
        assert_eq!((good.locator.as_deref(), good.read()), (Some("b"), 2));
        assert_eq!(good.take(1, None), Ok(()));
        assert!(good.over);
        assert!(pages(3).take(4, at("b")).is_err());
        assert!(pages(3).take(2, None).is_err());
        assert!(pages(3).take(0, at("b")).is_err());
        let mut back = pages(9);
        assert_eq!(back.take(1, at("b")), Ok(()));
        assert_eq!(back.take(1, at("c")), Ok(()));
        assert!(back.take(1, at("b")).is_err());
        assert_eq!(back.read(), 2);
    }

    #[test]
    fn a_page_tells_what_is_behind_it_once_and_is_the_same_when_it_is_asked_for_again() {
        let columns = Arc::new(Columns::of(&Mapping::plain("Account", Vec::new()), &[]));
        let at = |locator: &str| Some(locator.to_owned());
        let (behind, mut next) = oneshot::channel();
        let mut page = PageRequest::new(Pages::new(JOB, &columns, 3, 0, None), behind);
        // What cannot be its head tells nothing.
        assert!(page.take(4, at("b")).is_err() && next.try_recv().is_err());
        assert_eq!(page.take(2, at("b")), Ok(()));
        let behind = next.try_recv().unwrap();
        assert_eq!((behind.locator.as_deref(), behind.read()), (Some("b"), 2));
        assert_eq!(page.take(2, at("b")), Ok(()));
        assert!(page.take(1, at("b")).is_err() && page.take(2, at("c")).is_err());
        let (last, mut next) = oneshot::channel();
        assert_eq!(PageRequest::new(behind, last).take(1, None), Ok(()));
        assert!(next.try_recv().is_err());
    }
}
