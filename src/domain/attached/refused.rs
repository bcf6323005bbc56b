//! A write that Heroku Connect's API lists as refused, beside what the database shows of its row by now. The API lists a day, also
//! what was mended since, and what failed again.

use crate::domain::errors::sync_error::ErrorState;
use crate::domain::names::{RowId, RowRef};

use super::told::ToldWriteError;

/// What the database shows of the row by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedNow {
    /// It is an error, in this state.
    Listed(ErrorState),
    /// It is no error any more.
    Over,
    /// Nobody can say: not all errors are listed, or PostgreSQL does not answer.
    Unknown,
}

impl RefusedNow {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            RefusedNow::Listed(state) => state.word(),
            RefusedNow::Over => "over",
            RefusedNow::Unknown => "unknown",
        }
    }
}

/// A refused write beside its row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedWrite {
    /// What the API tells.
    pub told: ToldWriteError,
    /// The row; nothing where the API names none.
    pub row: Option<RowRef>,
    /// What became of it.
    pub now: RefusedNow,
}

impl RefusedWrite {
    /// By what the database shows of a row. `named` is the table's own name, where the API names the object or has it in capitals.
    pub fn beside(
        told: ToldWriteError,
        named: Option<&str>,
        shows: impl FnOnce(&RowRef) -> RefusedNow,
    ) -> RefusedWrite {
        let number = told.row.trim().parse().ok().filter(|_| !told.table.is_empty());
        let row = number
            .map(|number| RowRef { table: named.unwrap_or(&told.table).to_owned(), row: RowId(number) });
        let now = row.as_ref().map_or(RefusedNow::Unknown, shows);
        RefusedWrite { told, row, now }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_known_by_its_table_and_its_number_alone() {
        let of = |table: &str, row: &str| {
            let told = ToldWriteError {
                id: "7".to_owned(),
                table: table.to_owned(),
                row: row.to_owned(),
                message: String::new(),
                created_at: None,
            };
            let write = RefusedWrite::beside(told, None, |_| RefusedNow::Over);
            (write.row.map(|row| row.row.0), write.now)
        };
        assert_eq!(of("contact", "12"), (Some(12), RefusedNow::Over));
        for (table, row) in [("", "12"), ("contact", ""), ("contact", "99999999999"), ("contact", "12; DROP")]
        {
            assert_eq!(of(table, row), (None, RefusedNow::Unknown), "{table} {row}");
        }
    }
    #[test]
    fn a_row_is_looked_for_by_its_tables_own_name() {
        for table in ["Contact", "CONTACT"] {
            let told = ToldWriteError {
                id: "7".to_owned(),
                table: table.to_owned(),
                row: "12".to_owned(),
                message: String::new(),
                created_at: None,
            };
            let shows = |row: &RowRef| match row.table.as_str() {
                "contact" => RefusedNow::Listed(ErrorState::Open),
                _ => RefusedNow::Over,
            };
            let write = RefusedWrite::beside(told, Some("contact"), shows);
            assert_eq!(write.now, RefusedNow::Listed(ErrorState::Open), "{table}");
            assert_eq!(write.row.map(|row| row.table).as_deref(), Some("contact"));
        }
    }
}
