//! Everything the console wants done outside of itself.

use crate::domain::names::RowRef;
use crate::domain::record::Edit;
use crate::domain::remedy::Offer;
use crate::engine::handle::ErrorQuery;

/// An effect.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Ask how things stand.
    LoadOverview,
    /// Ask for errors.
    LoadErrors {
        /// For which list.
        generation: u64,
        /// Whether the page continues it.
        append: bool,
        /// What to list.
        query: ErrorQuery,
    },
    /// Ask for the causes of the errors that match a filter.
    LoadGroups(String),
    /// Ask for a row.
    LoadRecord(RowRef),
    /// Ask for Salesforce's values.
    FetchValues(RowRef),
    /// Save an edit.
    Save(Edit),
    /// Send a row again.
    Retry(RowRef),
    /// Do what a remedy says.
    Apply {
        /// For which row.
        row: RowRef,
        /// The remedy.
        offer: Box<Offer>,
    },
    /// Set a rule of a mapping.
    SetRule {
        /// Its name.
        mapping: String,
        /// The rule.
        key: String,
        /// Its value.
        value: String,
    },
    /// Let the writes of a mapping rest, or go on.
    Writes {
        /// Its name.
        mapping: String,
        /// Whether they go on.
        on: bool,
    },
    /// Ask for log records after this one.
    LoadLog(Option<i64>),
    /// Put text on the clipboard of the operator's terminal.
    Copy(String),
    /// Stop for job control (Ctrl-Z).
    Suspend,
    /// Draw everything anew.
    Redraw,
    /// Leave.
    Quit,
}
