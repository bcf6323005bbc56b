//! What fails of rows, as somebody finds it who was offered a remedy: the error may be answered by now, or another one.

use std::collections::HashMap;

use crate::domain::errors::remedy::Against;
use crate::domain::names::{RowId, RowRef};
use crate::domain::operations::operation::RowStatus;

use crate::postgres::changes::locks::{LockedUnit, lock_errors, lock_units};
use crate::postgres::{Error, ErrorContext, Store, Transaction};

impl Store {
    /// Looks whether the error that a remedy was offered for is still the row's.
    ///
    /// # Errors
    /// Refused when the row is being sent, or has another error than that by now.
    pub async fn still_fails(&self, at: &RowRef, against: Against) -> Result<(), Error> {
        let mapping = self.registered(&at.table).await?;
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin a look at an error")?;
        let found = failing(&transaction, &mapping.table, &[at.row.0]).await?;
        transaction.rollback().await.context("end a look at an error")?;
        found.compare(at.row, against).map_err(|(_, why)| Error::Refused(why))
    }
}

/// The errors of rows, and which of the rows are on their way.
pub(in crate::postgres) struct Failing {
    units: HashMap<i32, LockedUnit>,
    errors: HashMap<i32, (String, Against)>,
}

impl Failing {
    /// Whether a row still has the error that something was offered for.
    pub(in crate::postgres) fn compare(
        &self,
        row: RowId,
        against: Against,
    ) -> Result<(), (RowStatus, String)> {
        let why = if self.units.get(&row.0).is_some_and(|unit| unit.sending || unit.waits) {
            "it is being sent: what helps is known when Salesforce has answered"
        } else if self.errors.get(&row.0).is_none_or(|(_, error)| *error != against) {
            "its error is another one by now: look at it again, then choose what to do"
        } else {
            return Ok(());
        };
        Err((RowStatus::Skipped, why.to_owned()))
    }
}

/// The units of rows, locked, and their unresolved errors.
pub(in crate::postgres) async fn failing(
    transaction: &Transaction<'_>,
    table: &str,
    ids: &[i32],
) -> Result<Failing, Error> {
    if ids.is_empty() {
        return Ok(Failing { units: HashMap::new(), errors: HashMap::new() });
    }
    let units = lock_units(transaction, table, ids).await?;
    Ok(Failing { units, errors: lock_errors(transaction, table, ids).await? })
}
