//! What people look up, each in the time of a glance whatever there is: lists in any order, counts, the values that a
//! filter can name.

use chrono::{DateTime, Utc};

use crate::domain::changes::pending::Pending;
use crate::domain::errors::filter::Filter;
use crate::domain::errors::sort::{PageKey, Sort};
use crate::domain::errors::sync_error::SyncError;
use crate::domain::names::RowRef;
use crate::domain::records::record::Relative;
use crate::logs::LogRecord;
use crate::postgres::errors::listing::COUNT_CAP;

use super::api::{Client, ClientError};
use super::attached::session::beside;

pub use crate::postgres::errors::listing::ErrorPage;

/// What to list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ErrorQuery {
    /// The filter as typed; empty lists everything unresolved.
    pub filter: String,
    /// In which order.
    pub sort: Sort,
    /// How many at most.
    pub limit: usize,
    /// Continue behind this place: [`ErrorPage::next`], or an error's.
    pub after: Option<PageKey>,
}

impl ErrorQuery {
    /// The same list, continued behind an error.
    #[must_use]
    pub fn after(mut self, last: &SyncError) -> ErrorQuery {
        self.after = Some(PageKey::of(self.sort.by, last));
        self
    }
}

/// How many errors match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// How many, counted up to 10,000.
    pub matching: i64,
    /// True when there are more.
    pub capped: bool,
}

impl Client {
    /// A part of a list of unresolved errors, within about 100 ms: what was found by then, and where to go on.
    ///
    /// # Errors
    /// A filter that cannot be read is refused with what is allowed.
    pub async fn errors(&self, query: &ErrorQuery) -> Result<ErrorPage, ClientError> {
        let filter = filter(&query.filter)?;
        if let Some(attached) = self.beside_heroku() {
            return attached.errors(&filter, query.sort, query.after.as_ref(), query.limit).await;
        }
        let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
        Ok(self.own()?.errors(&filter, query.sort, query.after.as_ref(), limit).await?)
    }

    /// How many unresolved errors match.
    ///
    /// # Errors
    /// A filter that cannot be read is refused with what is allowed.
    pub async fn count(&self, text: &str) -> Result<Count, ClientError> {
        let filter = filter(text)?;
        let count = match self.beside_heroku() {
            Some(attached) => attached.count(&filter).await?,
            None => self.own()?.count_errors(&filter).await?,
        };
        Ok(Count { matching: count.min(COUNT_CAP), capped: count > COUNT_CAP })
    }
}

/// Which waiting rows to list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PendingQuery {
    /// Only those of this mapping, by object or table.
    pub mapping: Option<String>,
    /// Continue behind this one: its `since` and row.
    pub after: Option<(DateTime<Utc>, RowRef)>,
    /// How many at most, besides those in flight, of which up to 200 come before the first page.
    pub limit: usize,
}

impl Client {
    /// Rows whose changes wait to be sent, those in flight first, then the oldest; with changes that no engine took in yet.
    /// What failed waits for a person, and is among the errors.
    ///
    /// # Errors
    /// When there is no such mapping.
    pub async fn pending(&self, query: &PendingQuery) -> Result<Vec<Pending>, ClientError> {
        if let Some(attached) = self.beside_heroku() {
            return attached.pending(query.mapping.as_deref(), query.after.as_ref(), query.limit).await;
        }
        let table = match &query.mapping {
            Some(name) => Some(self.own()?.registered(name).await?.table),
            None => None,
        };
        Ok(self.own()?.waiting(table.as_deref(), query.after.as_ref(), query.limit).await?)
    }

    /// The rows around one: the parents that its lookup and relationship columns name, where they have rows here, and the
    /// children that are held for it, or name it and failed; of those at most 50.
    ///
    /// # Errors
    /// When there is no such mapping.
    pub async fn relatives(&self, row: &RowRef) -> Result<Vec<Relative>, ClientError> {
        if self.beside_heroku().is_some() {
            return Err(beside("the database does not tell which object a lookup names"));
        }
        Ok(self.own()?.relatives(row).await?)
    }

    /// Log records before the one at position `before`, oldest first. Where the log's beginning is reached and records
    /// were removed before it, the first one says how many (`fields.dropped`).
    pub async fn log_before(&self, before: i64, limit: usize) -> Result<Vec<LogRecord>, ClientError> {
        if let Some(attached) = self.beside_heroku() {
            return Ok(attached.log((before <= 1).then_some(1)));
        }
        Ok(self.own()?.log_before(before, i64::try_from(limit).unwrap_or(i64::MAX)).await?)
    }

    /// The newest log records that speak of a row, oldest first.
    ///
    /// # Errors
    /// When there is no such mapping.
    pub async fn log_of(&self, row: &RowRef, limit: usize) -> Result<Vec<LogRecord>, ClientError> {
        if self.beside_heroku().is_some() {
            return Err(beside("Heroku Connect's log names no rows, and is not in the database"));
        }
        let mapping = self.own()?.registered(&row.table).await?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        Ok(self.own()?.log_of(&mapping.object, row.row, limit).await?)
    }

    /// The values that unresolved errors have for a qualifier of the filter, of those that begin with `prefix`, at most 50,
    /// the most frequent first. Counts are exact up to 1,000; those of category, class, op and source are of the newest
    /// 10,000 errors.
    ///
    /// # Errors
    /// When the qualifier is none whose values can be told.
    pub async fn values_of(&self, qualifier: &str, prefix: &str) -> Result<Vec<(String, i64)>, ClientError> {
        if let Some(attached) = self.beside_heroku() {
            return attached.values_of(qualifier, prefix).await;
        }
        let store = self.own()?;
        Ok(match qualifier {
            "mapping" | "code" | "state" => store.ordered_values(qualifier, prefix).await?,
            "field" => store.ordered_values("fields", prefix).await?,
            "group" => store.ordered_values("fingerprint", prefix).await?,
            "category" => {
                let known = ["connection", "data", "mapping", "consistency"];
                store.few_values("category", &known, prefix).await?
            }
            "class" => store.few_values("class", &["transient", "permanent", "unknown"], prefix).await?,
            "needs" => ["person", "care"]
                .into_iter()
                .filter(|value| value.starts_with(prefix))
                .map(|value| (value.to_owned(), 0))
                .collect(),
            "op" => store.few_values("op", &["insert", "update", "delete", "read", "login"], prefix).await?,
            "source" => store.few_values("source", &["salesforce", "engine", "postgres"], prefix).await?,
            other => {
                return Err(ClientError::invalid(format!(
                    "the values of {other}: cannot be told\nuse mapping, code, field, category, class, state, op, source or group"
                )));
            }
        })
    }

    /// Why operators cannot change anything in this session, in words: which right on which table is missing. `None`
    /// when they can.
    pub async fn may_write(&self) -> Result<Option<String>, ClientError> {
        if let Some(attached) = self.beside_heroku() {
            return attached.may_write().await;
        }
        Ok(self.own()?.lacks_rights().await?)
    }
}

/// A filter as typed. It is read when it is asked for, here alone, and goes on as a value: until then it is text, for `since:1h`
/// means an hour before each look.
///
/// # Errors
/// Of the kind [`super::error::ErrorKind::Invalid`] when it cannot be read, with what is allowed.
pub(in crate::client) fn filter(text: &str) -> Result<Filter, ClientError> {
    Ok(Filter::parse(text, Utc::now())?)
}
