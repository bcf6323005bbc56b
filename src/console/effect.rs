//! Everything the console wants done outside of itself.

use std::sync::Arc;

use crate::domain::act::Deed;
use crate::domain::merge::Side;
use crate::domain::names::RowRef;
use crate::domain::record::Edit;
use crate::domain::remedy::Offer;
use crate::engine::bulk::{Chosen, Plan};
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
    /// Look at what an act on many errors would do.
    Plan {
        /// Which errors.
        chosen: Chosen,
        /// What is done.
        deed: Deed,
    },
    /// Look at what it would be to take the operator's own last act back.
    UndoLast,
    /// Carry a plan out.
    CarryOut {
        /// What.
        plan: Arc<Plan>,
        /// Why, in the operator's words.
        why: Option<String>,
    },
    /// Stop what is carried out, between two transactions.
    Stop,
    /// Ask for what operators did.
    LoadActs,
    /// Ask for the rows of an act.
    LoadAct(i64),
    /// Ask for rows by what somebody has in hand.
    Find(String),
    /// Write the errors that match into a file.
    Export {
        /// The filter.
        filter: String,
        /// The file's name.
        path: String,
    },
    /// Choose sides of fields that changed on both.
    Choose {
        /// Of which row.
        row: RowRef,
        /// By column.
        sides: Vec<(String, Side)>,
    },
    /// Take a record that is in Salesforce already as a row's own.
    Link {
        /// Which row.
        row: RowRef,
        /// Whether the row that has the record is removed.
        replace: bool,
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
