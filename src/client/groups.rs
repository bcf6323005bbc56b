//! What a list of groups of errors tells besides their counts: their last hour, and what remedies would mend.

use crate::domain::errors::group_hours::{GroupHours, RemedyFit};
use crate::domain::errors::sort::Sort;
use crate::domain::operations::operation::OperationKind;

use super::api::{Client, ClientError, ErrorQuery};
use super::operations::execute::Targets;
use super::queries;

/// Errors of a group whose remedies are looked at.
const LOOKED: usize = 200;

impl Client {
    /// The last hour of the groups of the errors that match.
    ///
    /// # Errors
    /// A filter that cannot be read is refused with what is allowed.
    pub async fn group_hours(&self, filter: &str) -> Result<GroupHours, ClientError> {
        let filter = queries::filter(filter)?;
        match self.beside_heroku() {
            Some(attached) => attached.group_hours(&filter).await,
            None => Ok(self.own()?.group_hours(&filter).await?),
        }
    }

    /// Of how many errors that match the first remedy that passes mends the row: of the first ones, where there are many.
    ///
    /// # Errors
    /// A filter that cannot be read is refused with what is allowed.
    pub async fn remedy_fit(&self, filter: &str) -> Result<RemedyFit, ClientError> {
        let query =
            ErrorQuery { filter: filter.to_owned(), sort: Sort::default(), limit: LOOKED, after: None };
        let page = self.errors(&query).await?;
        let looked = page.items.len();
        let of_rows = page.items.iter().filter(|error| error.row_id.is_some());
        let chosen: Vec<i64> = of_rows.map(|error| error.id).collect();
        let passing = match chosen.is_empty() {
            true => 0,
            false => self.plan(&Targets::Ids(chosen), OperationKind::Mend).await?.len(),
        };
        Ok(RemedyFit { passing, looked, more: page.next.is_some() })
    }
}
