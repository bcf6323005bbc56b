//! sObject Collections: up to 200 records written in one call, each answered for itself.

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::domain::names::Sfid;

use super::{Client, Error, told};

/// The most records one call takes.
pub const MAX_RECORDS: usize = 200;

/// The code of a record that was in order, and was taken back with the others of its call.
pub const ROLLED_BACK: &str = "ALL_OR_NONE_OPERATION_ROLLED_BACK";

/// What becomes of a call of which one record is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whole {
    /// The others are saved.
    EachForItself,
    /// All are taken back (allOrNone).
    AllOrNone,
}

impl Whole {
    fn all_or_none(self) -> bool {
        self == Whole::AllOrNone
    }
}

/// What became of one record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SaveResult {
    /// The record's id; missing on a failed create.
    pub id: Option<String>,
    /// Whether it was saved.
    pub success: bool,
    /// Whether an upsert created it.
    pub created: Option<bool>,
    /// Why not.
    #[serde(default)]
    pub errors: Vec<SaveError>,
}

/// One reason why a record was not saved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SaveError {
    /// Code.
    pub status_code: String,
    /// Message.
    pub message: String,
    /// API names of the fields at fault.
    #[serde(default)]
    pub fields: Vec<String>,
}

impl SaveResult {
    /// Whether it was only taken back with the others of its call.
    pub fn is_rolled_back(&self) -> bool {
        !self.success && self.errors.first().is_some_and(|error| error.status_code == ROLLED_BACK)
    }
}

impl Client {
    /// Creates or updates by external id, which each record carries.
    pub async fn upsert(
        &self,
        object: &str,
        key: &str,
        records: Vec<Value>,
        whole: Whole,
    ) -> Result<Vec<SaveResult>, Error> {
        let path = format!("composite/sobjects/{object}/{key}");
        self.save(Method::PATCH, &path, object, records, whole).await
    }

    /// Creates.
    pub async fn create(
        &self,
        object: &str,
        records: Vec<Value>,
        whole: Whole,
    ) -> Result<Vec<SaveResult>, Error> {
        self.save(Method::POST, "composite/sobjects", object, records, whole).await
    }

    /// Updates by `id`, which each record carries.
    pub async fn update(
        &self,
        object: &str,
        records: Vec<Value>,
        whole: Whole,
    ) -> Result<Vec<SaveResult>, Error> {
        self.save(Method::PATCH, "composite/sobjects", object, records, whole).await
    }

    /// Deletes by id.
    pub async fn delete(&self, ids: &[String], whole: Whole) -> Result<Vec<SaveResult>, Error> {
        let path = format!("composite/sobjects?ids={}&allOrNone={}", ids.join(","), whole.all_or_none());
        let answer = self.request(Method::DELETE, &path, None).await?;
        self.results(answer, ids.len())
    }

    /// Writes records in one call that is taken back whole, for at least one of them is bound to fail; each names its
    /// object. What is told of the others is whether they would have gone through.
    pub async fn take_back(&self, create: bool, records: &[Value]) -> Result<Vec<SaveResult>, Error> {
        let (method, count) = (if create { Method::POST } else { Method::PATCH }, records.len());
        let body = json!({"allOrNone": true, "records": records});
        let answer = self.request(method, "composite/sobjects", Some(&body)).await?;
        self.results(answer, count)
    }

    async fn save(
        &self,
        method: Method,
        path: &str,
        object: &str,
        mut records: Vec<Value>,
        whole: Whole,
    ) -> Result<Vec<SaveResult>, Error> {
        let count = records.len();
        for record in &mut records {
            if let Value::Object(fields) = record {
                fields.insert("attributes".to_owned(), json!({"type": object}));
            }
        }
        let answer = self
            .request(method, path, Some(&json!({"allOrNone": whole.all_or_none(), "records": records})))
            .await?;
        self.results(answer, count)
    }

    /// Results come in the order of the request; an answer with another number of them says nothing about any.
    fn results(&self, answer: Value, count: usize) -> Result<Vec<SaveResult>, Error> {
        let mut results: Vec<SaveResult> = serde_json::from_value(answer)
            .map_err(|_| self.unusable("the results are not of the shape that Salesforce gives"))?;
        if results.len() != count {
            return Err(self.unusable(&format!("{} results for {count} records", results.len())));
        }
        if !results.iter().all(SaveResult::is_whole) {
            return Err(self.unusable("a result names no record"));
        }
        for error in results.iter_mut().flat_map(|result| &mut result.errors) {
            (error.status_code, error.message) =
                (told::code(&error.status_code), told::message(&error.message));
        }
        Ok(results)
    }
}

impl SaveResult {
    /// Whether it names its record, by an id that is one. Of one that was not made there is none.
    fn is_whole(&self) -> bool {
        let is_id = |id: &String| Sfid::parse(id).is_some();
        match self.success {
            true => self.id.as_ref().is_some_and(is_id),
            false => self.id.as_ref().is_none_or(is_id),
        }
    }
}
