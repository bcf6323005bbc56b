//! Jobs of Bulk API 2.0 that write: made, filled by one upload of CSV, closed, and read when they are over. Salesforce begins to
//! work on one when it is closed, not before. Nothing is asked twice here; who asks decides what may be.

use bytes::Bytes;
use csv::{ReaderBuilder, StringRecord};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::{Value, json};

use crate::domain::names::Sfid;

use super::body::{self, STANDS_IN, stand_in};
use super::collections::SaveError;
use super::{Ask, Client, Error, auth, told};

/// What stands for null in the CSV of a job. What is empty there leaves a field as it is.
pub const NULL: &str = "#N/A";

/// How a job that writes is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IngestState {
    /// It is not closed: nothing of it was worked on.
    Open,
    /// It waits for its turn, or is worked on.
    UnderWay,
    /// All its rows were looked at.
    Complete,
    /// Salesforce gave it up, perhaps in the middle, and says why.
    Failed(String),
    /// Somebody ended it, perhaps in the middle.
    Aborted,
}

/// How many of a job's rows Salesforce says that it looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IngestCounts {
    /// Saved or refused.
    pub processed: u64,
    /// Refused.
    pub failed: u64,
}

/// Which of a job's rows are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultPart {
    /// Those that were saved.
    Successful,
    /// Those that were refused.
    Failed,
    /// Those that were not looked at.
    Unprocessed,
}

impl ResultPart {
    /// All of them. Each row is in exactly one.
    pub const ALL: [ResultPart; 3] = [ResultPart::Successful, ResultPart::Failed, ResultPart::Unprocessed];

    fn path(self) -> &'static str {
        match self {
            ResultPart::Successful => "successfulResults",
            ResultPart::Failed => "failedResults",
            ResultPart::Unprocessed => "unprocessedrecords",
        }
    }

    /// The columns that are not those of the upload.
    fn own(self) -> &'static [&'static str] {
        match self {
            ResultPart::Successful => &["sf__Id", "sf__Created"],
            ResultPart::Failed => &["sf__Id", "sf__Error"],
            ResultPart::Unprocessed => &[],
        }
    }
}

/// Some of a job's rows, in no order, with what became of them.
#[derive(Debug)]
pub struct ResultRows {
    part: ResultPart,
    header: StringRecord,
    rows: Vec<StringRecord>,
}

impl ResultRows {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The place of a column of the upload.
    pub fn place(&self, name: &str) -> Option<usize> {
        let place = self.header.iter().position(|known| known.eq_ignore_ascii_case(name))?;
        (place >= self.part.own().len()).then_some(place)
    }

    /// A value as it was uploaded.
    pub fn value(&self, row: usize, column: usize) -> &str {
        self.rows[row].get(column).unwrap_or_default()
    }

    /// A row's columns and values, as they were uploaded.
    pub fn uploaded(&self, row: usize) -> impl Iterator<Item = (&str, &str)> {
        self.header.iter().zip(&self.rows[row]).skip(self.part.own().len())
    }

    /// The record's id, where Salesforce tells one.
    pub fn id(&self, row: usize) -> Option<&str> {
        let id = self.rows[row].get(0).filter(|_| self.part != ResultPart::Unprocessed)?;
        Sfid::parse(id).map(|_| id)
    }

    /// Whether the record was made just now.
    pub fn is_created(&self, row: usize) -> bool {
        self.part == ResultPart::Successful && self.rows[row].get(1) == Some("true")
    }

    /// Why it was refused.
    pub fn errors(&self, row: usize) -> Vec<SaveError> {
        let told = self.rows[row].get(1).filter(|_| self.part == ResultPart::Failed);
        told.map(errors_of).unwrap_or_default()
    }

    /// Takes an answer apart.
    ///
    /// # Errors
    /// In words, and without a word of it, why it is none.
    pub fn parse(part: ResultPart, bytes: &[u8]) -> Result<ResultRows, String> {
        let whole = match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => stand_in(bytes).replace(STANDS_IN, "\u{FFFD}"),
        };
        let text = whole.strip_prefix('\u{feff}').unwrap_or(&whole);
        if text.trim_start().starts_with('<') {
            return Err("it is a page of HTML or XML".to_owned());
        }
        let quotes = memchr::memchr_iter(b'"', text.as_bytes()).count();
        if !text.is_empty() && (!text.ends_with('\n') || quotes % 2 == 1) {
            return Err("it ends in the middle".to_owned());
        }
        let mut reader = ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
        // Rows of different lengths are an error to the reader.
        let rows: Result<Vec<StringRecord>, _> = reader.records().collect();
        let mut rows = rows.map_err(|_| "its rows have different lengths")?;
        if rows.is_empty() {
            // Where there is nothing, there may be no header either.
            return Ok(ResultRows { part, header: StringRecord::new(), rows });
        }
        let header = rows.remove(0);
        let is_own =
            |(at, name): (usize, &&str)| header.get(at).is_some_and(|is| is.eq_ignore_ascii_case(name));
        if !part.own().iter().enumerate().all(is_own) {
            return Err("its columns are not those of a job's results".to_owned());
        }
        Ok(ResultRows { part, header, rows })
    }
}

/// The errors in a row's `sf__Error`: `CODE:message:Field1 Field2 --`, one behind the other.
fn errors_of(told: &str) -> Vec<SaveError> {
    let mut errors = Vec::new();
    let mut rest = told.trim();
    while !rest.is_empty() {
        let mut ends = rest.match_indices("--").map(|(at, _)| at);
        let is_end = |at: &usize| {
            let behind = rest[at + 2..].trim_start();
            behind.is_empty()
                || behind.strip_prefix(';').is_some_and(|next| code_of(next.trim_start()).is_some())
        };
        let end = ends.find(is_end);
        let one = &rest[..end.unwrap_or(rest.len())];
        errors.push(error_of(one.trim(), end.is_some()));
        rest = end.map_or("", |end| rest[end + 2..].trim_start().trim_start_matches(';').trim_start());
    }
    errors
}

/// The code at the beginning of an error, and what follows it.
fn code_of(text: &str) -> Option<(&str, &str)> {
    let (code, rest) = text.split_once(':')?;
    let is_code = code.starts_with(|c: char| c.is_ascii_uppercase())
        && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    is_code.then_some((code, rest))
}

/// One error. Only where its end was found are its last words fields.
fn error_of(text: &str, is_whole: bool) -> SaveError {
    let Some((code, rest)) = code_of(text) else {
        let message = told::message(text);
        return SaveError { status_code: "UNKNOWN_EXCEPTION".to_owned(), message, fields: Vec::new() };
    };
    let is_name = |word: &str| word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.');
    let (message, fields) = match rest.rsplit_once(':') {
        Some((message, fields)) if is_whole && fields.split_whitespace().all(is_name) => {
            (message, fields.split_whitespace().map(str::to_owned).collect())
        }
        _ => (rest, Vec::new()),
    };
    SaveError { status_code: told::code(code), message: told::message(message), fields }
}

impl Client {
    /// Makes a job. Returns its id.
    ///
    /// # Errors
    /// Among others, that the object cannot be written so, or that the day's batches are used up.
    pub async fn create_ingest_job(
        &self,
        object: &str,
        operation: &str,
        key: Option<&str>,
    ) -> Result<String, Error> {
        let mut wanted = json!({"object": object, "operation": operation, "contentType": "CSV",
            "columnDelimiter": "COMMA", "lineEnding": "LF"});
        if let Some(key) = key {
            wanted["externalIdFieldName"] = json!(key);
        }
        let made = self.request(Method::POST, "jobs/ingest", Some(&wanted)).await?;
        let id = made.get("id").and_then(Value::as_str).filter(|id| Sfid::parse(id).is_some());
        id.map(str::to_owned).ok_or_else(|| self.unusable("the answer names no job"))
    }

    /// Fills a job, which can be done once.
    pub async fn upload_to_job(&self, id: &str, csv: &Bytes) -> Result<(), Error> {
        let session = self.session().await?;
        match self.upload_in(&session, id, csv).await {
            Err(error) => self.upload_in(&self.session_after(&session, error).await?, id, csv).await,
            done => done,
        }
    }

    async fn upload_in(&self, session: &auth::Session, id: &str, csv: &Bytes) -> Result<(), Error> {
        let url = format!("{}/services/data/v{}/jobs/ingest/{id}/batches", session.instance, self.version);
        let request = self.http.put(url).bearer_auth(session.token());
        let response = self.answered(request.header(CONTENT_TYPE, "text/csv").body(csv.clone())).await?;
        match response.status().is_success() {
            true => Ok(()),
            false => Err(self.refusal(response).await),
        }
    }

    /// Tells Salesforce to begin: from now on it works on the rows.
    pub async fn close_ingest_job(&self, id: &str) -> Result<(), Error> {
        self.change_ingest_job(id, "UploadComplete").await
    }

    /// Has a job ended.
    pub async fn abort_ingest_job(&self, id: &str) -> Result<(), Error> {
        self.change_ingest_job(id, "Aborted").await
    }

    async fn change_ingest_job(&self, id: &str, state: &str) -> Result<(), Error> {
        let told =
            self.request(Method::PATCH, &format!("jobs/ingest/{id}"), Some(&json!({"state": state}))).await?;
        match told.get("state").and_then(Value::as_str) == Some(state) {
            true => Ok(()),
            false => Err(self.unusable("the answer does not say that the job is in that state")),
        }
    }

    /// How a job is, and how many of its rows were looked at, where that is told.
    pub async fn ingest_job(&self, id: &str) -> Result<(IngestState, Option<IngestCounts>), Error> {
        let told = self.get(&format!("jobs/ingest/{id}")).await?;
        let state = state_of(&told, id).map_err(|cause| self.unusable(cause))?;
        Ok((state, counts_of(&told)))
    }

    /// Some of a job's rows, with what became of them.
    pub async fn ingest_results(&self, id: &str, part: ResultPart) -> Result<ResultRows, Error> {
        let path = format!("jobs/ingest/{id}/{}", part.path());
        let session = self.session().await?;
        match self.results_in(&session, &path, part).await {
            Err(error) => self.results_in(&self.session_after(&session, error).await?, &path, part).await,
            answer => answer,
        }
    }

    async fn results_in(
        &self,
        session: &auth::Session,
        path: &str,
        part: ResultPart,
    ) -> Result<ResultRows, Error> {
        let ask = Ask { method: Method::GET, path, body: None, since: None, short_page: false };
        let response = self.respond(session, &ask).await?;
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        let none = |cause: &str| self.unusable(&format!("what came are no results of a job: {cause}"));
        if !is_csv(response.headers()) {
            return Err(none("it is no CSV"));
        }
        let body = self.body(response, Vec::new()).await?;
        body::beside(body, move |bytes| ResultRows::parse(part, &bytes)).await.map_err(|cause| none(&cause))
    }
}

fn is_csv(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.trim().to_ascii_lowercase().starts_with("text/csv")
}

/// How many rows were looked at, by what is told of a job.
fn counts_of(told: &Value) -> Option<IngestCounts> {
    let count = |name: &str| told.get(name).and_then(Value::as_u64);
    Some(IngestCounts { processed: count("numberRecordsProcessed")?, failed: count("numberRecordsFailed")? })
}

/// How a job is, by what is told of it.
fn state_of(told: &Value, id: &str) -> Result<IngestState, &'static str> {
    if told.get("id").and_then(Value::as_str) != Some(id) {
        return Err("the answer is about another job");
    }
    let words = || told.get("errorMessage").and_then(Value::as_str).map(told::message);
    match told.get("state").and_then(Value::as_str) {
        Some("Open") => Ok(IngestState::Open),
        Some("UploadComplete" | "InProgress") => Ok(IngestState::UnderWay),
        Some("JobComplete") => Ok(IngestState::Complete),
        Some("Failed") => Ok(IngestState::Failed(words().unwrap_or_else(|| "no reason is told".to_owned()))),
        Some("Aborted") => Ok(IngestState::Aborted),
        _ => Err("the job is in no state that there is"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: &str = "750sd0000000001AAA";

    fn error(code: &str, message: &str, fields: &[&str]) -> SaveError {
        let fields = fields.iter().map(|field| (*field).to_owned()).collect();
        SaveError { status_code: code.to_owned(), message: message.to_owned(), fields }
    }

    #[test]
    fn an_error_is_its_code_its_message_and_its_fields() {
        for (told, wanted) in [
            (
                "INVALID_FIELD:Failed to deserialize field at col 3. Due to, '2003-04-9' is not a valid value for the type xsd:date:CloseDate --",
                error(
                    "INVALID_FIELD",
                    "Failed to deserialize field at col 3. Due to, '2003-04-9' is not a valid value for the type xsd:date",
                    &["CloseDate"],
                ),
            ),
            (
                "REQUIRED_FIELD_MISSING:Required fields are missing: [Name, LastName]:Name LastName --",
                error(
                    "REQUIRED_FIELD_MISSING",
                    "Required fields are missing: [Name, LastName]",
                    &["Name", "LastName"],
                ),
            ),
            (
                "UNABLE_TO_LOCK_ROW:unable to obtain exclusive access to this record or 200 records: 001a,001b:--",
                error(
                    "UNABLE_TO_LOCK_ROW",
                    "unable to obtain exclusive access to this record or 200 records: 001a,001b",
                    &[],
                ),
            ),
            (
                "FIELD_CUSTOM_VALIDATION_EXCEPTION:no -- never; not like THIS:\nhere:--",
                error("FIELD_CUSTOM_VALIDATION_EXCEPTION", "no -- never; not like THIS:\nhere", &[]),
            ),
            ("INVALID_FIELD:cut off in:Name", error("INVALID_FIELD", "cut off in:Name", &[])),
            ("Something odd", error("UNKNOWN_EXCEPTION", "Something odd", &[])),
            (
                "STORAGE_LIMIT_EXCEEDED:storage limit exceeded",
                error("STORAGE_LIMIT_EXCEEDED", "storage limit exceeded", &[]),
            ),
        ] {
            assert_eq!(errors_of(told), [wanted], "{told}");
        }
        let two = errors_of(
            "STRING_TOO_LONG:Name: data value too large:Name --;INVALID_EMAIL_ADDRESS:Email: invalid:Email --",
        );
        assert_eq!(
            two,
            [
                error("STRING_TOO_LONG", "Name: data value too large", &["Name"]),
                error("INVALID_EMAIL_ADDRESS", "Email: invalid", &["Email"])
            ]
        );
        assert!(errors_of("").is_empty());
    }

    #[test]
    fn results_are_whole_or_none() {
        let good = "\"sf__Id\",\"sf__Error\",\"Id\",\"Name\"\n\"\",\"X:y:--\",\"003sd0000000001AAA\",\"a\nb, \"\"c\"\"\"\n";
        let rows = ResultRows::parse(ResultPart::Failed, good.as_bytes()).unwrap();
        assert_eq!((rows.len(), rows.place("ID"), rows.place("sf__Id")), (1, Some(2), None));
        assert_eq!(
            rows.uploaded(0).collect::<Vec<_>>(),
            [("Id", "003sd0000000001AAA"), ("Name", "a\nb, \"c\"")]
        );
        assert_eq!((rows.id(0), rows.errors(0).len()), (None, 1));
        assert!(ResultRows::parse(ResultPart::Successful, good.as_bytes()).is_err());
        assert!(ResultRows::parse(ResultPart::Unprocessed, b"").unwrap().is_empty());
        assert!(ResultRows::parse(ResultPart::Unprocessed, b"<html></html>\n").is_err());
        for end in 1..good.len() {
            let cut = ResultRows::parse(ResultPart::Failed, &good.as_bytes()[..end]);
            assert!(cut.is_err() || cut.unwrap().is_empty(), "{end}");
        }
    }

    #[test]
    fn only_what_tells_of_the_job_is_believed() {
        let told = |state: &str| state_of(&json!({"id": JOB, "state": state, "errorMessage": "why"}), JOB);
        assert_eq!(told("Open"), Ok(IngestState::Open));
        assert_eq!(told("InProgress"), Ok(IngestState::UnderWay));
        assert_eq!(told("Failed"), Ok(IngestState::Failed("why".to_owned())));
        assert!(told("Done").is_err());
        let counts = json!({"numberRecordsProcessed": 3, "numberRecordsFailed": 1});
        assert_eq!(counts_of(&counts), Some(IngestCounts { processed: 3, failed: 1 }));
        assert_eq!(counts_of(&json!({"numberRecordsProcessed": 3})), None);
        assert!(state_of(&json!({"id": "750sd0000000002AAA", "state": "Open"}), JOB).is_err());
    }
}
