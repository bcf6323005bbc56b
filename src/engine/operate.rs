//! What the operator of a mapping sees and does, at the door: its last minutes, what its errors are about.

use chrono::Utc;

use crate::domain::filter::Filter;
use crate::domain::trend::{Share, Trend};

use super::handle::{Handle, Refused};

/// The most minutes that are told at once: a week.
const MINUTES: u32 = 7 * 24 * 60;

impl Handle {
    /// What happened in each of the last `minutes` minutes (a week at most) of every mapping: the oldest first, none
    /// left out, the one that goes on last.
    pub async fn trends(&self, minutes: u32) -> Result<Vec<Trend>, Refused> {
        Ok(self.store.trends(minutes.min(MINUTES)).await?)
    }

    /// The unresolved errors that match, by category and code, the most frequent first.
    ///
    /// # Errors
    /// A filter that cannot be read is refused with what is allowed.
    pub async fn breakdown(&self, filter: &str) -> Result<Vec<Share>, Refused> {
        let filter = Filter::parse(filter, Utc::now()).map_err(|error| Refused(error.to_string()))?;
        Ok(self.store.breakdown(&filter).await?)
    }
}
