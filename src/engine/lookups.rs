//! What people look up, each in the time of a glance whatever there is: lists in any order, counts, the values that a
//! filter can name.

use chrono::Utc;

use crate::domain::filter::Filter;
use crate::domain::sort::{Key, Sort};
use crate::domain::sync_error::SyncError;
use crate::postgres::listing::COUNT_CAP;

use super::handle::{Handle, Refused};

pub use crate::postgres::listing::ErrorPage;

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
    pub after: Option<Key>,
}

impl ErrorQuery {
    /// The same list, continued behind an error.
    #[must_use]
    pub fn after(mut self, last: &SyncError) -> ErrorQuery {
        self.after = Some(Key::of(self.sort.by, last));
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

impl Handle {
    /// A part of a list of unresolved errors, within about 100 ms: what was found by then, and where to go on.
    ///
    /// # Errors
    /// A filter that cannot be read is refused with what is allowed.
    pub async fn errors(&self, query: &ErrorQuery) -> Result<ErrorPage, Refused> {
        let filter = filter(&query.filter)?;
        let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
        Ok(self.store.errors(&filter, query.sort, query.after.as_ref(), limit).await?)
    }

    /// How many unresolved errors match.
    ///
    /// # Errors
    /// A filter that cannot be read is refused with what is allowed.
    pub async fn count(&self, text: &str) -> Result<Count, Refused> {
        let count = self.store.count_errors(&filter(text)?).await?;
        Ok(Count { matching: count.min(COUNT_CAP), capped: count > COUNT_CAP })
    }
}

impl Handle {
    /// Why operators cannot change anything in this session, in words: which right on which table is missing. `None`
    /// when they can.
    pub async fn may_write(&self) -> Result<Option<String>, Refused> {
        Ok(self.store.lacks_rights().await?)
    }
}

/// A filter as typed, read now.
fn filter(text: &str) -> Result<Filter, Refused> {
    Filter::parse(text, Utc::now()).map_err(|error| Refused(error.to_string()))
}
