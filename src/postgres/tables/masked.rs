//! What PostgreSQL says may quote values. Where one of them is masked, it is told without its quotes.

use crate::domain::mappings::mapping::Mapping;
use crate::domain::values::masking::hides;

use crate::postgres::{Error, Store};

impl Error {
    /// In PostgreSQL's own words only if none of these mappings masks a field: nobody has the values at hand that it may
    /// quote.
    pub fn masked<'a>(&self, mut mappings: impl Iterator<Item = &'a Mapping>) -> String {
        if mappings.any(hides) { self.without_quotes() } else { self.to_string() }
    }
}

impl Store {
    /// The same of one table.
    pub async fn masked(&self, table: &str, error: &Error) -> String {
        if !error.is_of_a_record() {
            return error.to_string();
        }
        match self.registered(table).await {
            Ok(mapping) => error.masked(std::iter::once(&mapping)),
            Err(_) => error.without_quotes(),
        }
    }
}
